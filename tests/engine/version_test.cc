// Goal: a version keeps its type, expiry and payload at every size, and large payloads are shared,
// counted and freed.
// Method: sizes around the Blob's threshold with and without expiry; references taken and given
// back, the sanitizers watch the memory; latches by counting under them.
#include "engine/latch.h"
#include "tests/engine/test_support.h"

namespace fluxkv::engine {
namespace {

TEST_CASE("version keeps what it was given at every size") {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{7}, size_t{8}, size_t{100},
                            kBlobBytesMin - 1, kBlobBytesMin, kBlobBytesMin + 1, size_t{100000}}) {
    for (const int64_t expiry_ms : {kNoExpiry, int64_t{1}, int64_t{1} << 50, int64_t{-5}}) {
      std::string text(size, 'x');
      for (size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 7);
      VersionPtr v = Version::New(3, 2, expiry_ms, size);
      if (size > 0) std::memcpy(v->mutable_payload(), text.data(), size);
      CHECK(v->payload() == text);
      CHECK(v->type() == 3);
      CHECK(v->encoding() == 2);
      CHECK(v->expiry_ms() == expiry_ms);
      CHECK(v->has_expiry() == (expiry_ms != kNoExpiry));
      CHECK((v->blob() != nullptr) == (size >= kBlobBytesMin));
      CHECK(v->AllocatedBytes() >= size + sizeof(Version));
      CHECK(v->stamp() == kStampPending);
      CHECK(v->older() == nullptr);

      for (const int64_t other : {kNoExpiry, int64_t{77}}) {
        VersionPtr copy = Version::NewWithExpiry(*v, other);
        CHECK(copy->payload() == text);
        CHECK(copy->expiry_ms() == other);
        CHECK(copy->type() == 3);
        CHECK(copy->encoding() == 2);
        CHECK(copy->blob() == v->blob());
        if (size > 0 && size < kBlobBytesMin) CHECK(copy->payload().data() != v->payload().data());
      }
    }
  }
}

TEST_CASE("version tells its stamp and what is older, with and without a past") {
  VersionPtr plain = NewValue("a");
  plain->Publish(Stamp{7});
  CHECK(plain->stamp() == 7);
  CHECK(plain->older() == nullptr);
  CHECK(plain->PastBytes() == 0);

  History oldest{.version = nullptr, .pi = 3, .older{nullptr}};
  History old{.version = plain.get(), .pi = 9, .older{&oldest}};
  VersionPtr version = NewValue("b");
  const size_t bytes = version->AllocatedBytes();
  version->Publish(Past::New(9, &old));
  CHECK(version->stamp() == 9);
  CHECK(version->older() == &old);
  CHECK(version->payload() == "b");
  CHECK(version->AllocatedBytes() == bytes);
  CHECK(version->PastBytes() >= sizeof(Past));
  version->set_older(&oldest);
  CHECK(version->older() == &oldest);
  Past* past = version->TakePast();
  CHECK(version->stamp() == 9);
  CHECK(version->older() == nullptr);
  CHECK(version->PastBytes() == 0);
  CHECK(past->older.load() == &oldest);  // for a reader that has met it
  Past::Delete(past);
  // One that still has its past frees it (the sanitizers watch).
  VersionPtr other = NewValue("c");
  other->Publish(Past::New(10, &old));
}

TEST_CASE("version expires at its deadline, not before") {
  VersionPtr v = NewValue("a", 1000);
  CHECK_FALSE(v->ExpiredAt(999));
  CHECK(v->ExpiredAt(1000));
  CHECK(v->ExpiredAt(1001));
  CHECK_FALSE(NewValue("a")->ExpiredAt(int64_t{1} << 60));
  VersionPtr tombstone = Version::NewTombstone();
  CHECK(tombstone->is_tombstone());
  CHECK_FALSE(tombstone->ExpiredAt(int64_t{1} << 60));
  CHECK(tombstone->size() == 0);
}

TEST_CASE("version's blob outlives the version while it is referenced") {
  VersionPtr v = NewValue(std::string(kBlobBytesMin * 2, 'b'));
  Blob* blob = v->blob();
  REQUIRE(blob != nullptr);
  blob->AddReference();
  VersionPtr copy = Version::NewWithExpiry(*v, 5);
  v.reset();
  copy.reset();
  CHECK(blob->size() == kBlobBytesMin * 2);
  CHECK(std::string_view(blob->bytes(), blob->size()) == std::string(kBlobBytesMin * 2, 'b'));
  blob->Release();
}

TEST_CASE("version's blob is counted from many threads") {
  for (int round = 0; round < 200 / kSlower; ++round) {
    Blob* blob = Blob::New(100);
    std::memset(blob->bytes(), 'c', 100);
    for (int i = 0; i < 3; ++i) blob->AddReference();
    std::atomic<int> wrong{0};
    RunThreads(4, [&](size_t) {
      if (blob->bytes()[99] != 'c') ++wrong;
      blob->Release();
    });
    CHECK(wrong == 0);
  }
}

TEST_CASE("latch excludes") {
  Latch latch;
  CHECK(latch.Lock() == 0);
  CHECK_FALSE(latch.TryLock());
  CHECK(latch.locked());
  latch.Unlock();
  CHECK(latch.TryLock());
  latch.Unlock();

  uint64_t counter = 0;  // not atomic: the latch guards it
  const uint64_t rounds = 50000 / kSlower;
  RunThreads(4, [&](size_t) {
    for (uint64_t i = 0; i < rounds; ++i) {
      latch.Lock();
      counter = counter + 1;
      latch.Unlock();
    }
  });
  CHECK(counter == 4 * rounds);
}

TEST_CASE("latch says how long it was waited for") {
  Latch latch;
  latch.Lock();
  uint64_t waited = 0;
  std::thread waiter([&] {
    waited = latch.Lock();
    latch.Unlock();
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  latch.Unlock();
  waiter.join();
  CHECK(waited > 0);
  CHECK(waited < 10'000'000'000);
}

TEST_CASE("latch table tells databases apart") {
  size_t different = 0;
  for (uint64_t hash = 0; hash < 1000; ++hash) {
    CHECK(LatchTable::IndexOf(0, hash * 977) < LatchTable::kSize);
    different += LatchTable::IndexOf(0, hash) != LatchTable::IndexOf(1, hash) ? 1 : 0;
  }
  CHECK(different > 900);
}

}  // namespace
}  // namespace fluxkv::engine
