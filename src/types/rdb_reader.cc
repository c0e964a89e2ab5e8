#include "types/rdb_reader.h"

#include <fmt/format.h>

#include "base/parse.h"
#include "types/rdb_format.h"

namespace fluxkv::types {
namespace {

constexpr size_t kHeaderBytes = 9;
constexpr std::string_view kRedisMagic = "REDIS";    // and a version of four digits
constexpr std::string_view kValkeyMagic = "VALKEY";  // and one of three
constexpr uint64_t kRedisVersionMax = 12;            // of Redis 7.4; that of 7.2 is 11
constexpr uint64_t kValkeyVersion = 80;
constexpr int kVersionWithChecksum = 5;
constexpr size_t kAuxTextBytesMax = 100;
constexpr size_t kKeptCapacityBytesMax = 1 << 20;

using Order = RdbInput::Order;

// What one huge value took is not kept for the small ones behind it.
void Empty(std::string& text) {
  text.clear();
  if (text.capacity() > kKeptCapacityBytesMax) text.shrink_to_fit();
}

// The digits of a version, leading zeros and all.
std::optional<uint64_t> ParseVersion(std::string_view digits) {
  for (char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
  }
  return ParseUint64(digits);
}

}  // namespace

Result<bool> RdbReader::Next(RdbEntry& entry) {
  if (ended_) return false;
  Outcome outcome = version_ != 0 || TakeHeader() ? Outcome::kMore : Outcome::kError;
  while (outcome == Outcome::kMore) outcome = Step(entry);
  if (outcome == Outcome::kError) return Status::Error(in_.error());
  ended_ = outcome == Outcome::kEnd;
  return !ended_;
}

bool RdbReader::TakeHeader() {
  std::string header;
  for (size_t i = 0; i < kHeaderBytes; ++i) {
    std::optional<uint8_t> byte = in_.TakeByte("the header of an RDB file");
    if (!byte) return false;
    header.push_back(static_cast<char>(*byte));
  }
  bool valkey = header.starts_with(kValkeyMagic);
  if (!valkey && !header.starts_with(kRedisMagic)) {
    return in_.Fail(
        0, fmt::format("expected the header of an RDB file, found {}", QuoteBytes(header)));
  }
  std::string_view digits =
      std::string_view(header).substr(valkey ? kValkeyMagic.size() : kRedisMagic.size());
  std::optional<uint64_t> version = ParseVersion(digits);
  bool known = version && (valkey ? *version == kValkeyVersion
                                  : *version >= 1 && *version <= kRedisVersionMax);
  if (!known) {
    return in_.Fail(0,
                    fmt::format("expected an RDB version from 1 to {} (or Valkey's {}), found {}",
                                kRedisVersionMax, kValkeyVersion, QuoteBytes(digits)));
  }
  flavour_ = valkey ? RdbFlavour::kValkey : RdbFlavour::kRedis;
  version_ = static_cast<int>(*version);
  return true;
}

RdbReader::Outcome RdbReader::Step(RdbEntry& entry) {
  uint64_t offset = in_.offset();
  std::optional<uint8_t> byte = in_.TakeByte("a key or the end mark");
  if (!byte) return Outcome::kError;
  if (*byte == rdb::kEndOfFile) return TakeEnd() ? Outcome::kEnd : Outcome::kError;
  bool good = false;
  if (TakeOpcode(*byte, &good)) return good ? Outcome::kMore : Outcome::kError;
  if (*byte != rdb::kFunction2 && *byte != rdb::kFunctionEarly) {
    return TakeKey(*byte, offset, entry);
  }
  entry.kind = RdbEntry::Kind::kFunctionLibrary;
  good = *byte == rdb::kFunction2 ? in_.SkipString("the code of a function library")
                                  : RdbSkip(in_, flavour_).EarlyFunction();
  return good ? Outcome::kEntry : Outcome::kError;
}

RdbReader::Outcome RdbReader::TakeKey(uint8_t type, uint64_t type_offset, RdbEntry& entry) {
  Empty(entry.key);
  Empty(entry.value);
  entry.kind = type == rdb::kString ? RdbEntry::Kind::kString : RdbEntry::Kind::kOtherKey;
  entry.type_name = "string";
  entry.db = db_;
  entry.expiry_ms = expiry_ms_;
  expiry_ms_.reset();
  RdbSkip skip(in_, flavour_);
  if (!skip.KnowsType(type, type_offset)) return Outcome::kError;
  if (!in_.TakeString(limits_.key_bytes_max, "a key", entry.key)) return Outcome::kError;
  bool good = type == rdb::kString
                  ? in_.TakeString(limits_.value_bytes_max, "a string", entry.value)
                  : skip.Value(type, &entry.type_name);
  return good ? Outcome::kEntry : Outcome::kError;
}

bool RdbReader::TakeOpcode(uint8_t opcode, bool* good) {
  switch (opcode) {
    case rdb::kExpireTimeMs:
      *good = TakeDeadlineMs();
      return true;
    case rdb::kExpireTimeSeconds:
      *good = TakeDeadlineSeconds();
      return true;
    case rdb::kSelectDb:
      *good = TakeDatabase();
      return true;
    case rdb::kResizeDb:
      *good = SkipLengths(2);  // keys, keys with a deadline
      return true;
    case rdb::kAux:
      *good = TakeAux();
      return true;
    case rdb::kFrequency:
      *good = in_.SkipBytes(1, "a frequency of use");
      return true;
    case rdb::kIdle:
      *good = SkipLengths(1);
      return true;
    case rdb::kModuleAux:
      *good = RdbSkip(in_, flavour_).ModuleAux();
      return true;
    case rdb::kSlotInfo:
      *good = SkipLengths(3);  // slot, keys, keys with a deadline
      return true;
    case rdb::kSlotImport:
      if (flavour_ != RdbFlavour::kValkey) return false;
      *good = SkipSlotImport();
      return true;
    default:
      return false;
  }
}

bool RdbReader::TakeAux() {
  std::string name;
  if (!in_.TakeString(limits_.value_bytes_max, "the name of a field", name)) return false;
  if (name != "redis-ver" && name != "valkey-ver") return in_.SkipString("the value of a field");
  std::string text;
  if (!in_.TakeString(kAuxTextBytesMax, "the version of the writer", text)) return false;
  writer_ = (name == "redis-ver" ? "Redis " : "Valkey ") + text;
  return true;
}

bool RdbReader::TakeDatabase() {
  uint64_t offset = in_.offset();
  std::optional<uint64_t> db = in_.TakeLength("the number of a database");
  if (!db) return false;
  if (*db >= limits::kDatabasesMax) {
    return in_.Fail(offset, fmt::format("expected the number of a database below {}, found {}",
                                        limits::kDatabasesMax, *db));
  }
  db_ = static_cast<uint32_t>(*db);
  return true;
}

bool RdbReader::TakeDeadlineMs() {
  std::optional<uint64_t> ms = in_.TakeNumber(sizeof(int64_t), Order::kLittleEndian, "a deadline");
  if (ms) expiry_ms_ = static_cast<int64_t>(*ms);
  return ms.has_value();
}

bool RdbReader::TakeDeadlineSeconds() {
  std::optional<uint64_t> s = in_.TakeNumber(sizeof(int32_t), Order::kLittleEndian, "a deadline");
  if (s) expiry_ms_ = int64_t{static_cast<int32_t>(*s)} * 1000;
  return s.has_value();
}

bool RdbReader::SkipLengths(int count) {
  for (int i = 0; i < count; ++i) {
    if (!in_.TakeLength("a number of keys")) return false;
  }
  return true;
}

bool RdbReader::SkipSlotImport() {
  // A name, then pairs of first and last slot.
  if (!in_.SkipString("the name of a slot import")) return false;
  std::optional<uint64_t> ranges = in_.TakeLength("a number of slot ranges");
  if (!ranges) return false;
  for (uint64_t left = *ranges; left > 0; --left) {
    if (!SkipLengths(2)) return false;
  }
  return true;
}

bool RdbReader::TakeEnd() {
  if (version_ >= kVersionWithChecksum) {
    uint64_t checksum = in_.Checksum();
    uint64_t offset = in_.offset();
    std::optional<uint64_t> stored =
        in_.TakeNumber(rdb::kChecksumBytes, Order::kLittleEndian, "a checksum");
    if (!stored) return false;
    // 0 stands for a file that was written without one.
    if (*stored != 0 && *stored != checksum) {
      return in_.Fail(offset, fmt::format("expected the checksum {:016x}, found {:016x}: the file "
                                          "is damaged",
                                          checksum, *stored));
    }
  }
  uint64_t offset = in_.offset();
  if (!in_.AtEnd()) {
    return in_.Fail(offset,
                    "expected the end of the file, found more (is it an append-only file that "
                    "begins as RDB?)");
  }
  return in_.ok();
}

}  // namespace fluxkv::types
