// One immutable version of a key's value: stamp, type tag, expiry and payload. Made private by a
// writer, installed by its commit, then never changed but for the stamp (pending -> final, once)
// and the chain behind it.
//
//   VersionPtr v = Version::New(kTypeString, kEncodingRaw, expiry_ms, size);
//   memcpy(v->mutable_payload(), bytes, size);
//   txn.Put(db, key, std::move(v));
//
// A payload of kBlobBytesMin and more lives in a counted Blob, so that versions which differ in
// expiry or key alone share it (EXPIRE, RENAME, COPY), and a reply can be sent from it without a
// copy and without pinning an epoch.
//
// V1. The stamp is kStampPending from New until the commit publishes the final one with release; a
//     reader that loads the final stamp with acquire sees the payload and `older`.
// V2. Stamps along a chain (head, then older->version, ...) strictly fall.
// V3. older is changed under the key's latch only; entries unlinked from it are retired by epoch.
// V4. Few versions have older ones that a snapshot may read. Such a one has a Past, and the word
//     that is the stamp of the others points at it; the version owns it until TakePast.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>

namespace fluxkv::engine {

// The engine knows one tag: a tombstone. The other tags are the type layer's; the engine stores and
// returns them.
inline constexpr uint8_t kTypeTombstone = 0;

using Stamp = uint64_t;
// A version whose commit has not published its stamp yet. Larger than every real stamp, so
// `stamp <= snapshot` is false for it.
inline constexpr Stamp kStampPending = uint64_t{1} << 62;

inline constexpr int64_t kNoExpiry = 0;
inline constexpr size_t kBlobBytesMin = 8192;

// A large payload, counted. Threads: any thread that holds a reference or an epoch in which a
// version with it is reachable.
class Blob {
 public:
  static Blob* New(uint32_t size);  // one reference, the caller's; the bytes are not initialised
  void AddReference() { references_.fetch_add(1, std::memory_order_relaxed); }
  void Release();
  uint32_t size() const { return size_; }
  char* bytes() { return reinterpret_cast<char*>(this + 1); }
  const char* bytes() const { return reinterpret_cast<const char*>(this + 1); }

 private:
  explicit Blob(uint32_t size) : references_(1), size_(size) {}
  std::atomic<uint32_t> references_;
  const uint32_t size_;
};

struct History;
class Version;

// The stamp of a version with older ones, and the newest of those.
struct Past {
  static Past* New(Stamp stamp, History* older);
  static void Delete(Past* past);
  static size_t Bytes();  // as the allocator rounds it

  const Stamp stamp;
  std::atomic<History*> older;
};

struct VersionDeleter {
  void operator()(Version* version) const;
};
using VersionPtr = std::unique_ptr<Version, VersionDeleter>;

class Version {
 public:
  // Memory for a payload of `size` bytes, not initialised; large ones go to a Blob by themselves.
  // Requires: size <= limits::kValueBytesMax; type != kTypeTombstone.
  static VersionPtr New(uint8_t type, uint8_t encoding, int64_t expiry_ms, size_t size);
  // The same type, encoding and payload with another expiry;
  // a Blob is shared, a small payload copied.
  static VersionPtr NewWithExpiry(const Version& from, int64_t expiry_ms);
  static VersionPtr NewTombstone();
  // The tombstone of a key whose deadline passed; it remembers the stamp of the version it removed.
  static VersionPtr NewExpiryTombstone(Stamp removed);

  uint8_t type() const { return type_; }
  uint8_t encoding() const { return encoding_; }
  bool is_tombstone() const { return type_ == kTypeTombstone; }
  // Of a tombstone that expiry left: the stamp of the version that expired. 0: every other version.
  Stamp expired_stamp() const;
  bool has_expiry() const { return (flags_ & kHasExpiry) != 0; }
  // Milliseconds since 1970, kNoExpiry if it has none.
  int64_t expiry_ms() const {
    return has_expiry() ? *reinterpret_cast<const int64_t*>(this + 1) : kNoExpiry;
  }
  // Whether the key is gone at `now_ms`: at its deadline it is.
  bool ExpiredAt(int64_t now_ms) const { return has_expiry() && expiry_ms() <= now_ms; }

  size_t size() const { return size_; }
  std::string_view payload() const {
    return {const_cast<Version*>(this)->mutable_payload(), size_};
  }
  char* mutable_payload() {
    char* tail = reinterpret_cast<char*>(this + 1) + (has_expiry() ? sizeof(int64_t) : 0);
    return (flags_ & kHasBlob) != 0 ? (*reinterpret_cast<Blob**>(tail))->bytes() : tail;
  }
  // The Blob of a large payload, else null.
  Blob* blob() const {
    if ((flags_ & kHasBlob) == 0) return nullptr;
    return *reinterpret_cast<Blob* const*>(reinterpret_cast<const char*>(this + 1) +
                                           (has_expiry() ? sizeof(int64_t) : 0));
  }

  // Bytes as the allocator rounds them, a Blob included.
  size_t AllocatedBytes() const;

  Stamp stamp() const {
    const uint64_t word = word_.load(std::memory_order_acquire);
    return HasPast(word) ? PastOf(word)->stamp : word;
  }
  // Once, one of the two.
  void Publish(Stamp stamp) { word_.store(stamp, std::memory_order_release); }
  void Publish(Past* past) {  // takes it over
    word_.store(reinterpret_cast<uint64_t>(past) | kPast, std::memory_order_release);
  }
  History* older() const {
    const uint64_t word = word_.load(std::memory_order_acquire);
    return HasPast(word) ? PastOf(word)->older.load(std::memory_order_acquire) : nullptr;
  }
  // Under the key's latch. Requires: it has a past, `older` is not null.
  void set_older(History* older);
  // Under the key's latch, when nothing older is left. The caller retires the past by epoch.
  Past* TakePast();
  size_t PastBytes() const {
    return HasPast(word_.load(std::memory_order_relaxed)) ? Past::Bytes() : 0;
  }

 private:
  friend struct VersionDeleter;
  enum Flags : uint8_t { kHasExpiry = 1, kHasBlob = 2 };
  Version(uint8_t type, uint8_t encoding, uint8_t flags, uint32_t size)
      : size_(size), type_(type), encoding_(encoding), flags_(flags) {}
  // Addresses are below this bit, stamps below kStampPending.
  static constexpr uint64_t kPast = uint64_t{1} << 63;
  static bool HasPast(uint64_t word) { return (word & kPast) != 0; }
  static Past* PastOf(uint64_t word) { return reinterpret_cast<Past*>(word & ~kPast); }
  static Version* Make(uint8_t type, uint8_t encoding, int64_t expiry_ms, size_t size, Blob* blob);
  size_t HeaderAndTailBytes() const;

  std::atomic<uint64_t> word_{kStampPending};  // the stamp, or kPast and the address of a Past
  const uint32_t size_;
  const uint8_t type_;
  const uint8_t encoding_;
  const uint8_t flags_;
  // Then: int64_t expiry_ms if kHasExpiry; then Blob* if kHasBlob, else the payload.
};
static_assert(sizeof(Version) == 16);

// A version that a live snapshot may still read, behind the newest one. `version` null stands for
// "the key was absent".
struct History {
  Version* version;             // owned
  Stamp pi;                     // the pi of the commit that overwrote it (conflicts.h)
  std::atomic<History*> older;  // next older entry
};

}  // namespace fluxkv::engine
