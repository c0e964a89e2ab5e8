// Goal: a record's changes come back as they were written, and no bytes whatever can do more than
// be called damaged.
// Method: round trips of every kind at its extremes, then each body cut at every byte, and with
// random bits flipped.
#include "engine/log_record.h"

#include "tests/persist/log_support.h"

namespace fluxkv::engine {
namespace {

std::vector<Change> Extremes() {
  static const std::string kBinary("\0\r\n\xff\x80key", 8), kLong(9000, 'v');
  return {
      {.db = 0, .key = "k", .type = 1, .encoding = 2, .value = "v"},
      {.db = UINT32_MAX, .key = "", .type = 255, .encoding = 255, .value = ""},
      {.db = 3, .key = kBinary, .type = 1, .expiry_ms = INT64_MAX, .value = kBinary},
      {.db = 3, .key = kBinary, .type = 1, .expiry_ms = -1, .value = kLong},
      {.kind = ChangeKind::kDelete, .db = 7, .key = kBinary},
      {.kind = ChangeKind::kDelete, .db = 7, .key = ""},
      {.kind = ChangeKind::kRoots, .roots = {{0, 1}, {1, 0}, {2, RootChange::kFresh}}},
      {.kind = ChangeKind::kRoots},
      {.kind = ChangeKind::kDeleteRange, .db = 7, .key = kBinary, .value = "\xff\xff"},
      {.kind = ChangeKind::kDeleteRange, .db = UINT32_MAX, .key = "", .value = kLong},
      {.kind = ChangeKind::kDeleteRange, .key = ""},
  };
}

void Append(std::string* body, const Change& change) {
  if (change.kind == ChangeKind::kPut) AppendPut(body, change);
  if (change.kind == ChangeKind::kDelete) AppendDelete(body, change.db, change.key);
  if (change.kind == ChangeKind::kRoots) AppendRoots(body, change.roots);
  if (change.kind == ChangeKind::kDeleteRange)
    AppendDeleteRange(body, change.db, change.interval());
}

bool Same(const Change& a, const Change& b) {
  if (a.kind != b.kind) return false;
  if (a.kind == ChangeKind::kRoots)
    return a.roots.size() == b.roots.size() &&
           std::equal(a.roots.begin(), a.roots.end(), b.roots.begin(),
                      [](auto& x, auto& y) { return x.db == y.db && x.from == y.from; });
  const bool same = a.db == b.db && a.key == b.key;
  if (a.kind == ChangeKind::kDelete) return same;
  if (a.kind == ChangeKind::kDeleteRange) return same && a.value == b.value;
  return same && a.type == b.type && a.encoding == b.encoding && a.expiry_ms == b.expiry_ms &&
         a.value == b.value;
}

TEST_CASE("log record: changes come back as they were written") {
  std::string body;
  for (const Change& change : Extremes()) {
    const size_t before = body.size();
    Append(&body, change);
    if (change.kind == ChangeKind::kPut)
      CHECK(body.size() - before ==
            PutBytes(change.key.size(), change.expiry_ms != kNoExpiry, change.value.size()));
  }
  ChangeReader reader(body);
  Change got;
  for (const Change& change : Extremes()) {
    REQUIRE(reader.Next(&got));
    CHECK(Same(got, change));
  }
  CHECK(!reader.Next(&got));
  CHECK(!reader.damaged());
}

TEST_CASE("log record: a put of a version has the bytes of a put of its parts") {
  for (int64_t expiry_ms : {kNoExpiry, int64_t{123456789}}) {
    for (size_t size : {size_t{0}, size_t{5}, kBlobBytesMin, kBlobBytesMin + 1}) {
      const std::string text(size, 'x');
      const VersionPtr version = NewValue(text, expiry_ms);
      std::string a, b;
      AppendPutHead(&a, 5, "key", *version);
      a.append(version->payload());
      AppendPut(&b, {.db = 5,
                     .key = "key",
                     .type = version->type(),
                     .encoding = version->encoding(),
                     .expiry_ms = expiry_ms,
                     .value = text});
      CHECK(a == b);
    }
  }
}

TEST_CASE("log record: a body that is cut is damaged, or has fewer changes") {
  std::string body;
  std::vector<size_t> ends{0};
  for (const Change& change : Extremes()) {
    Append(&body, change);
    ends.push_back(body.size());
  }
  Change got;
  int wrong = 0;
  for (size_t cut = 0; cut < body.size(); ++cut) {
    const std::string bytes = body.substr(0, cut);  // a copy, so that a sanitizer sees its end
    ChangeReader reader(bytes);
    size_t changes = 0;
    while (reader.Next(&got)) ++changes;
    const auto end = std::upper_bound(ends.begin(), ends.end(), cut) - 1;
    const bool between = *end == cut;
    wrong += changes != static_cast<size_t>(end - ends.begin()) || reader.damaged() == between;
    wrong += reader.Next(&got);  // it stays where it is
  }
  CHECK(wrong == 0);
}

TEST_CASE("log record: random bytes are read without harm") {
  FLUXKV_SEEDED(seed);
  std::mt19937_64 random(seed);
  std::string body;
  for (const Change& change : Extremes()) Append(&body, change);
  Change got;
  size_t read = 0, most = 0;
  for (int i = 0; i < 20000 / kSlower; ++i) {
    std::string bytes = body;
    if (i % 4 == 0) {
      bytes.resize(random() % 200);
      for (char& c : bytes) c = static_cast<char>(random() % 5 == 0 ? random() : random() % 4);
    } else {
      for (uint64_t flips = 1 + random() % 3; flips > 0; --flips)
        bytes[random() % 200 % bytes.size()] ^= static_cast<char>(1 << random() % 8);
    }
    ChangeReader reader(bytes);
    for (most = 0; reader.Next(&got); ++most) read += got.key.size() + got.value.size();
    REQUIRE(most <= bytes.size() / sizeof(ChangeHeader));
  }
  CHECK(read > 0);
}

}  // namespace
}  // namespace fluxkv::engine
