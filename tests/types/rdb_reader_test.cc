// Goal: every value type and opcode of an RDB file is read or passed over to its last byte; no cut,
// damaged or lying file does more than give one error.
// Method: files written by hand, read in chunks of several sizes; every prefix, every byte flipped,
// random damage under a fixed seed.
#include "types/rdb_reader.h"

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "tests/types/rdb_writer.h"
#include "types/rdb_format.h"

namespace fluxkv::types {
namespace {

constexpr int kVersion = 11;
constexpr int kValkeyVersion = 80;
constexpr uint64_t kHuge = ~uint64_t{0};
// Two literal bytes, then 11 that repeat them.
constexpr std::string_view kPacked = "\1ab\xe0\x02\1";
constexpr std::string_view kUnpacked = "ababababababa";
// "ReJSON-RL" in letters of six bits, version 3 of its encoding.
constexpr uint64_t kModuleId = 0x45e25238df912c03;

// Chunks of a fixed size, in blocks of their own, so that a sanitizer sees a read behind one.
class PieceSource : public ByteSource {
 public:
  PieceSource(std::string_view bytes, size_t piece_bytes)
      : bytes_(bytes), piece_bytes_(piece_bytes) {}
  Result<std::string_view> NextChunk() override {
    std::string_view piece = bytes_.substr(0, piece_bytes_);
    bytes_.remove_prefix(piece.size());
    piece_.assign(piece.begin(), piece.end());
    piece_.shrink_to_fit();
    return std::string_view(piece_.data(), piece_.size());
  }

 private:
  std::string_view bytes_;
  const size_t piece_bytes_;
  std::vector<char> piece_;
};

// A line for each entry, then "end" or the error.
std::vector<std::string> Read(std::string_view file, size_t piece_bytes = 1 << 20,
                              RdbLimits limits = {}) {
  PieceSource source(file, piece_bytes);
  RdbReader reader(source, limits);
  RdbEntry entry;
  std::vector<std::string> lines;
  for (;;) {
    Result<bool> more = reader.Next(entry);
    if (!more.ok()) {
      lines.push_back(more.message());
      CHECK(reader.Next(entry).message() == more.message());
      return lines;
    }
    if (!more.value()) break;
    std::string line;
    if (entry.kind == RdbEntry::Kind::kFunctionLibrary) {
      line = "functions";
    } else {
      line = std::to_string(entry.db) + " " + entry.type_name + " " + entry.key;
      if (entry.kind == RdbEntry::Kind::kString) line += "=" + entry.value;
      if (entry.expiry_ms) line += " until " + std::to_string(*entry.expiry_ms);
    }
    lines.push_back(line);
  }
  CHECK_FALSE(reader.Next(entry).value());
  lines.push_back("end");
  return lines;
}

using Lines = std::vector<std::string>;

// One value of each type that is passed over, with its type's name.
struct OtherValue {
  int version;
  unsigned type;
  std::string type_name;
  std::string bytes;
};

RdbWriter Nothing() {
  return RdbWriter(kVersion);
}
std::string Body(const RdbWriter& writer) {
  return writer.bytes().substr(Nothing().bytes().size());
}

std::string StreamBytes(unsigned type) {
  bool second = type != rdb::kStreamListpacks;
  RdbWriter w = Nothing();
  w.Length(1).String(std::string(16, '\1')).String("a listpack");
  w.Length(3).Length(1700000000000).Length(5);  // length, last id
  if (second) w.Length(1).Length(0).Length(0).Length(0).Length(3);
  w.Length(2);
  for (std::string name : {"group", "empty"}) {
    w.String(name).Length(1700000000000).Length(5);
    if (second) w.Length(kHuge);  // entries read: unknown
    if (name == "empty") {
      w.Length(0).Length(0);
      continue;
    }
    w.Length(1).Raw(std::string(16, '\2')).Little(1700000000000, 8).Length(1);
    w.Length(1).String("consumer").Little(1700000000000, 8);
    if (type == rdb::kStreamListpacks3) w.Little(1700000000000, 8);
    w.Length(1).Raw(std::string(16, '\2'));
  }
  return Body(w);
}

std::vector<OtherValue> OtherValues() {
  auto strings = [](int count) {
    RdbWriter w = Nothing();
    for (int i = 0; i < count; ++i) w.String("element");
    return Body(w);
  };
  auto counted = [](uint64_t count, const std::string& elements) {
    return Body(Nothing().Length(count).Raw(elements));
  };
  std::string two_scores = Body(Nothing().String("a").String("1.5").String("b").Byte(254));
  std::string binary_score = Body(Nothing().String("a").Little(0x3ff0000000000000, 8));
  std::string deadline(8, '\x7f');
  std::string field = Body(Nothing().Length(1).String("field").String("value"));
  RdbWriter module = Nothing();
  module.Length(kModuleId).Length(rdb::kModuleSigned).Length(7);
  module.Length(rdb::kModuleUnsigned).Length(kHuge).Length(rdb::kModuleFloat).Raw("ffff");
  module.Length(rdb::kModuleDouble).Raw("dddddddd").Length(rdb::kModuleString).String("text");
  module.Length(rdb::kModuleEnd);
  return {
      {1, rdb::kList, "list", counted(2, strings(2))},
      {1, rdb::kSet, "set", counted(3, strings(3))},
      {1, rdb::kZset, "zset", counted(2, two_scores)},
      {1, rdb::kHash, "hash", counted(2, strings(4))},
      {8, rdb::kZset2, "zset", counted(1, binary_score)},
      {2, rdb::kHashZipmap, "hash", strings(1)},
      {2, rdb::kListZiplist, "list", strings(1)},
      {2, rdb::kSetIntset, "set", strings(1)},
      {2, rdb::kZsetZiplist, "zset", strings(1)},
      {4, rdb::kHashZiplist, "hash", Body(Nothing().Lzf(kPacked, kUnpacked.size()))},
      {7, rdb::kListQuicklist, "list", counted(2, strings(2))},
      {9, rdb::kStreamListpacks, "stream", StreamBytes(rdb::kStreamListpacks)},
      {10, rdb::kStreamListpacks2, "stream", StreamBytes(rdb::kStreamListpacks2)},
      {11, rdb::kStreamListpacks3, "stream", StreamBytes(rdb::kStreamListpacks3)},
      {10, rdb::kHashListpack, "hash", strings(1)},
      {10, rdb::kZsetListpack, "zset", strings(1)},
      {10, rdb::kListQuicklist2, "list", counted(1, "\2" + strings(1))},
      {11, rdb::kSetListpack, "set", strings(1)},
      {12, rdb::kHashMetadataEarly, "hash", counted(2, field + field)},
      {12, rdb::kHashListpackDeadlinesEarly, "hash", strings(1)},
      {12, rdb::kHashMetadata, "hash", deadline + counted(2, field + field)},
      {12, rdb::kHashListpackDeadlines, "hash", deadline + strings(1)},
      {kValkeyVersion, rdb::kHashDeadlinesValkey, "hash", counted(1, strings(2) + deadline)},
      {8, rdb::kModule2, "ReJSON-RL", Body(module)},
  };
}

// Everything that one file of version 12 can have.
std::string FileWithEverything() {
  RdbWriter w(12);
  w.Byte(rdb::kAux).String("redis-ver").String("7.4.0");
  w.Byte(rdb::kAux).String("redis-bits").Integer(64, 1);
  w.Byte(rdb::kModuleAux).Length(12345).Length(2).Length(1).Length(5).String("aux").Length(0);
  w.Byte(rdb::kFunction2).String("#!lua name=l\n");
  w.Byte(rdb::kFunctionEarly).String("l").String("LUA").Length(1).String("about").String("code");
  w.Byte(rdb::kFunctionEarly).String("l").String("LUA").Length(0).String("code");
  w.Byte(rdb::kSelectDb).Length(0).Byte(rdb::kResizeDb).Length(90).Length(20000);
  w.Byte(rdb::kSlotInfo).Length(16383).Length(1).Length(0);
  w.Key(rdb::kString, "plain").String("value");
  w.Byte(rdb::kExpireTimeMs).Little(1700000000123, 8).Byte(rdb::kFrequency).Byte(7);
  w.Key(rdb::kString, "ms").Integer(-1, 1);
  w.Byte(rdb::kExpireTimeSeconds).Little(1700000000, 4).Byte(rdb::kIdle).Length(100);
  w.Key(rdb::kString, "s").Integer(-300, 2);
  w.Byte(rdb::kString).Integer(5, 1).Integer(70000, 4);
  w.Byte(rdb::kSelectDb).Length(15);
  w.Key(rdb::kString, "packed").Lzf(kPacked, kUnpacked.size());
  for (const OtherValue& other : OtherValues()) {
    if (other.version <= 12) w.Key(other.type, "other").Raw(other.bytes);
  }
  w.Byte(rdb::kExpireTimeMs).Little(1, 8);
  w.Key(rdb::kList, "expiring list").Length(0);
  w.Key(rdb::kString, "").String("");
  return w.Finish();
}

Lines LinesOfEverything() {
  Lines lines = {"functions",
                 "functions",
                 "functions",
                 "0 string plain=value",
                 "0 string ms=-1 until 1700000000123",
                 "0 string s=-300 until 1700000000000",
                 "0 string 5=70000",
                 "15 string packed=" + std::string(kUnpacked)};
  for (const OtherValue& other : OtherValues()) {
    if (other.version <= 12) lines.push_back("15 " + other.type_name + " other");
  }
  lines.insert(lines.end(), {"15 list expiring list until 1", "15 string =", "end"});
  return lines;
}

// The one line of a file that is refused before it gives any entry.
std::string Refusal(const std::string& file, RdbLimits limits = {}) {
  Lines lines = Read(file, 1 << 20, limits);
  return lines.size() == 1 ? lines[0] : "(" + lines[0] + ")";
}

TEST_CASE("RDB: every type of value is passed over to its last byte") {
  for (const OtherValue& other : OtherValues()) {
    CAPTURE(other.type);
    CAPTURE(other.version);
    RdbWriter w(other.version);
    w.Key(other.type, "k").Raw(other.bytes);
    w.Key(rdb::kString, "next").String("v");
    CHECK(Read(w.Finish(other.version >= 5)) ==
          Lines{"0 " + other.type_name + " k", "0 string next=v", "end"});
  }
}

TEST_CASE("RDB: a file with everything, in chunks of every size") {
  std::string file = FileWithEverything();
  for (size_t piece_bytes : {1u, 2u, 3u, 7u, 64u, 1u << 20}) {
    CAPTURE(piece_bytes);
    CHECK(Read(file, piece_bytes) == LinesOfEverything());
  }
  ViewSource source(file);
  RdbReader reader(source);
  RdbEntry entry;
  CHECK(reader.version() == 0);
  REQUIRE(reader.Next(entry).value());
  CHECK(reader.version() == 12);
  CHECK(reader.writer() == "Redis 7.4.0");
}

TEST_CASE("RDB: strings of every form and length") {
  RdbWriter w(kVersion);
  Lines expected;
  for (size_t size : {0u, 1u, 63u, 64u, 16383u, 16384u, 300000u}) {
    std::string text(size, 'x');
    w.Key(rdb::kString, "k").String(text);
    expected.push_back("0 string k=" + text);
  }
  for (auto [value, bytes] : {std::pair{-128, 1}, {127, 1}, {-32768, 2}, {-2147483647 - 1, 4}}) {
    w.Key(rdb::kString, "k").Integer(value, static_cast<size_t>(bytes));
    expected.push_back("0 string k=" + std::to_string(value));
  }
  w.Byte(rdb::kString).Lzf(kPacked, kUnpacked.size()).Byte(rdb::kLong64).Big(1, 8).Raw("v");
  expected.push_back("0 string " + std::string(kUnpacked) + "=v");
  expected.push_back("end");
  CHECK(Read(w.Finish()) == expected);
  CHECK(Read(w.Finish(), 5) == expected);
}

TEST_CASE("RDB: versions") {
  for (int version = 1; version <= 12; ++version) {
    CAPTURE(version);
    CHECK(Read(RdbWriter(version).Finish(version >= 5)) == Lines{"end"});
  }
  RdbWriter valkey(kValkeyVersion);
  valkey.Byte(rdb::kAux).String("valkey-ver").String("9.0.0");
  valkey.Byte(rdb::kSlotImport).String("job").Length(1).Length(0).Length(16383);
  CHECK(Read(valkey.Finish()) == Lines{"end"});

  CHECK(Refusal("") == "byte 0: expected the header of an RDB file, found the end of the file");
  CHECK(Refusal("REDISX011") ==
        "byte 0: expected an RDB version from 1 to 12 (or Valkey's 80), found \"X011\"");
  CHECK(Refusal("*1\r\n$4\r\nPING\r\n") ==
        "byte 0: expected the header of an RDB file, found \"*1\\r\\n$4\\r\\nP\"");
  for (int version : {0, 13, 99}) {
    std::string digits = (version < 10 ? "000" : "00") + std::to_string(version);
    CHECK(Refusal("REDIS" + digits + "\xff").find("expected an RDB version") != std::string::npos);
  }
  CHECK(Refusal(RdbWriter(81).Finish()).find("expected an RDB version") != std::string::npos);
  // A number that means something in the other line only.
  CHECK(Refusal(RdbWriter(12).Byte(rdb::kSlotImport).String("job").Length(0).Finish()) ==
        "byte 9: expected the type of a value or an opcode, found 243");
  CHECK(Refusal(RdbWriter(kValkeyVersion).Key(rdb::kHashMetadata, "k").Finish()) ==
        "byte 9: expected the type of a value or an opcode, found 24");
}

TEST_CASE("RDB: checksums") {
  RdbWriter w(kVersion);
  w.Key(rdb::kString, "k").String("v");
  std::string good = w.Finish();
  for (size_t piece_bytes : {1u, 4u, 1000u}) CHECK(Read(good, piece_bytes).back() == "end");
  std::string none = w.Finish(/*with_checksum=*/false) + std::string(8, '\0');
  CHECK(Read(none).back() == "end");
  for (size_t i = 9; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    CHECK(Read(bad).back() != "end");
  }
  good.back() = static_cast<char>(good.back() ^ 1);
  CHECK(Read(good).back().starts_with("byte 15: expected the checksum "));
  CHECK(Read(w.Finish() + "*1\r\n").back().starts_with("byte 23: expected the end of the file"));
  // Before version 5 there is none.
  CHECK(Read(RdbWriter(4).Finish() + "x").back().starts_with("byte 10: expected the end"));
}

TEST_CASE("RDB: every prefix of a file is an error") {
  for (const std::string& file : {FileWithEverything(), RdbWriter(kValkeyVersion)
                                                            .Key(rdb::kHashDeadlinesValkey, "k")
                                                            .Length(1)
                                                            .String("field")
                                                            .String("value")
                                                            .Little(5, 8)
                                                            .Finish()}) {
    for (size_t size = 0; size < file.size(); ++size) {
      std::string last = Read(file.substr(0, size), 50).back();
      CAPTURE(size);
      CHECK(last.starts_with("byte " + std::to_string(size) + ": expected "));
      CHECK(last.ends_with(", found the end of the file"));
    }
  }
}

TEST_CASE("RDB: lengths that lie") {
  auto refused = [](const RdbWriter& w, RdbLimits limits = {}) {
    std::string text = Refusal(w.Finish(), limits);
    return text.starts_with("byte ");
  };
  // A string or a row of elements far longer than the file is.
  for (uint64_t length : {uint64_t{100}, uint64_t{1} << 29, uint64_t{1} << 40, kHuge}) {
    CAPTURE(length);
    CHECK(refused(RdbWriter(kVersion).Byte(rdb::kString).Length(length).Raw("k")));
    CHECK(refused(RdbWriter(kVersion).Key(rdb::kString, "k").Length(length).Raw("v")));
    CHECK(refused(RdbWriter(kVersion).Byte(rdb::kAux).Length(length).Raw("v")));
    CHECK(refused(RdbWriter(kVersion).Byte(rdb::kFunction2).Length(length).Raw("v")));
    for (unsigned type = rdb::kList; type < rdb::kHashMetadata; ++type) {
      CHECK(refused(RdbWriter(12).Key(type, "k").Length(length).Raw("12345678")));
    }
    for (unsigned type : {rdb::kHashMetadata, rdb::kHashListpackDeadlines}) {
      CHECK(refused(RdbWriter(12).Key(type, "k").Little(1, 8).Length(length).Raw("12345678")));
    }
    RdbWriter packed(kVersion);
    packed.Key(rdb::kString, "k").Byte(0xc3);
    CHECK(refused(RdbWriter(packed).Length(length).Length(13).Raw(kPacked)));
    CHECK(refused(RdbWriter(packed).Length(kPacked.size()).Length(length).Raw(kPacked)));
  }
  RdbWriter w(kVersion);
  w.Key(rdb::kString, "key").String("value");
  CHECK(Refusal(w.Finish(), {2, 100}) == "byte 10: expected a key of at most 2 bytes, found 3");
  CHECK(Refusal(w.Finish(), {3, 4}) == "byte 14: expected a string of at most 4 bytes, found 5");
  CHECK(Read(w.Finish(), 1, {3, 5}).back() == "end");
  // The bound is on what a string unpacks to.
  RdbWriter packed(kVersion);
  packed.Key(rdb::kString, "k").Lzf(kPacked, kUnpacked.size());
  CHECK(refused(packed, {3, 12}));
  CHECK(Read(packed.Finish(), 1, {3, 13}).back() == "end");
}

TEST_CASE("RDB: what is neither type nor opcode, and what cannot be passed over") {
  for (unsigned byte = 0; byte < 243; ++byte) {
    if (byte < 26 && byte != 8 && byte != rdb::kModule1) continue;
    CAPTURE(byte);
    CHECK(Refusal(RdbWriter(12).Key(byte, "k").Finish()).starts_with("byte 9: expected "));
  }
  CHECK(Refusal(RdbWriter(8).Key(rdb::kModule1, "k").Finish()) ==
        "byte 9: expected a value that can be passed over, found a module's in the form of Redis "
        "4.0 before its release");
  CHECK(Refusal(RdbWriter(8).Key(rdb::kModule2, "k").Length(kModuleId).Length(6).Finish()) ==
        "byte 21: expected a part of a module's value, found 6");
  CHECK(Refusal(RdbWriter(8).Byte(rdb::kSelectDb).Length(65536).Finish()) ==
        "byte 10: expected the number of a database below 65536, found 65536");
  // An encoded string where a length must stand, and forms that do not exist.
  CHECK(Refusal(RdbWriter(8).Byte(rdb::kSelectDb).Byte(0xc0).Finish()).starts_with("byte 10: "));
  for (unsigned byte : {0x82u, 0xbfu, 0xc4u, 0xffu}) {
    CHECK(Refusal(RdbWriter(8).Byte(rdb::kString).Byte(byte).Finish()).starts_with("byte 10: "));
  }
}

TEST_CASE("RDB: random damage is never more than an error") {
  const std::string good = FileWithEverything();
  std::mt19937_64 random(20240607);
  for (int round = 0; round < 20000; ++round) {
    std::string bad = good;
    for (size_t flips = 1 + random() % 4; flips > 0; --flips) {
      bad[random() % bad.size()] = static_cast<char>(random());
    }
    Lines lines = Read(bad, 1 + random() % 200, {1 << 20, 1 << 20});
    // Only damage that hit nothing goes by: the checksum sees the rest.
    if (lines.back() == "end") CHECK(lines == LinesOfEverything());
  }
}

}  // namespace
}  // namespace fluxkv::types
