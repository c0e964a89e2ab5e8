#include "engine/version.h"

#include <cstring>
#include <new>

#include "base/check.h"
#include "base/limits.h"
#include "base/memory.h"

namespace fluxkv::engine {

Blob* Blob::New(uint32_t size) {
  const size_t bytes = sizeof(Blob) + size;
  return new (bytes >= kLargeBytes ? AllocateLarge(bytes) : Allocate(bytes)) Blob(size);
}

void Blob::Release() {
  if (references_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  size_t bytes = sizeof(Blob) + size_;
  this->~Blob();
  Free(this, bytes);
}

Past* Past::New(Stamp stamp, History* older) {
  return new (Allocate(sizeof(Past))) Past{stamp, older};
}

void Past::Delete(Past* past) {
  past->~Past();
  Free(past, sizeof(Past));
}

size_t Past::Bytes() {
  return fluxkv::AllocatedBytes(sizeof(Past));
}

size_t Version::HeaderAndTailBytes() const {
  return sizeof(Version) + (has_expiry() ? sizeof(int64_t) : 0) +
         ((flags_ & kHasBlob) != 0 ? sizeof(Blob*) : size_);
}

size_t Version::AllocatedBytes() const {
  size_t bytes = fluxkv::AllocatedBytes(HeaderAndTailBytes());
  if ((flags_ & kHasBlob) != 0) bytes += fluxkv::AllocatedBytes(sizeof(Blob) + size_);
  return bytes;
}

Version* Version::Make(uint8_t type, uint8_t encoding, int64_t expiry_ms, size_t size, Blob* blob) {
  uint8_t flags = (expiry_ms != kNoExpiry ? kHasExpiry : 0) | (blob != nullptr ? kHasBlob : 0);
  size_t bytes = sizeof(Version) + (expiry_ms != kNoExpiry ? sizeof(int64_t) : 0) +
                 (blob != nullptr ? sizeof(Blob*) : size);
  auto* version = new (Allocate(bytes)) Version(type, encoding, flags, static_cast<uint32_t>(size));
  char* tail = reinterpret_cast<char*>(version + 1);
  if (expiry_ms != kNoExpiry) {
    std::memcpy(tail, &expiry_ms, sizeof(expiry_ms));
    tail += sizeof(expiry_ms);
  }
  if (blob != nullptr) std::memcpy(tail, &blob, sizeof(blob));
  return version;
}

void Version::set_older(History* older) {
  const uint64_t word = word_.load(std::memory_order_relaxed);
  DEBUG_ASSERT(HasPast(word) && older != nullptr);
  PastOf(word)->older.store(older, std::memory_order_release);
}

Past* Version::TakePast() {
  Past* past = PastOf(word_.load(std::memory_order_relaxed));
  word_.store(past->stamp, std::memory_order_release);
  return past;
}

VersionPtr Version::New(uint8_t type, uint8_t encoding, int64_t expiry_ms, size_t size) {
  ASSERT(type != kTypeTombstone && size <= limits::kValueBytesMax);
  Blob* blob = size >= kBlobBytesMin ? Blob::New(static_cast<uint32_t>(size)) : nullptr;
  return VersionPtr(Make(type, encoding, expiry_ms, size, blob));
}

VersionPtr Version::NewWithExpiry(const Version& from, int64_t expiry_ms) {
  DEBUG_ASSERT(!from.is_tombstone());
  if (Blob* blob = from.blob(); blob != nullptr) {
    blob->AddReference();
    return VersionPtr(Make(from.type(), from.encoding(), expiry_ms, from.size(), blob));
  }
  VersionPtr copy(Make(from.type(), from.encoding(), expiry_ms, from.size(), nullptr));
  std::memcpy(copy->mutable_payload(), from.payload().data(), from.size());
  return copy;
}

VersionPtr Version::NewTombstone() {
  return VersionPtr(Make(kTypeTombstone, 0, kNoExpiry, 0, nullptr));
}

VersionPtr Version::NewExpiryTombstone(Stamp removed) {
  VersionPtr tombstone(Make(kTypeTombstone, 0, kNoExpiry, sizeof(removed), nullptr));
  std::memcpy(tombstone->mutable_payload(), &removed, sizeof(removed));
  return tombstone;
}

Stamp Version::expired_stamp() const {
  Stamp removed = 0;
  if (is_tombstone() && size_ != 0) std::memcpy(&removed, payload().data(), sizeof(removed));
  return removed;
}

void VersionDeleter::operator()(Version* version) const {
  if (Blob* blob = version->blob(); blob != nullptr) blob->Release();
  const uint64_t word = version->word_.load(std::memory_order_relaxed);
  if (Version::HasPast(word)) Past::Delete(Version::PastOf(word));
  size_t bytes = version->HeaderAndTailBytes();
  version->~Version();
  Free(version, bytes);
}

}  // namespace fluxkv::engine
