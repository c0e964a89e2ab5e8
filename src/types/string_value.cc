#include "types/string_value.h"

#include <algorithm>
#include <charconv>

#include "base/check.h"
#include "base/parse.h"

namespace fluxkv::types {
namespace {

constexpr uint8_t Tag(StringEncoding encoding) {
  return static_cast<uint8_t>(encoding);
}

int64_t IntegerOf(const engine::Version& version) {
  DEBUG_ASSERT(version.size() == sizeof(int64_t));
  int64_t value;
  std::memcpy(&value, version.payload().data(), sizeof(value));
  return value;
}

void Fill(engine::Version& version, std::string_view bytes) {
  if (!bytes.empty()) std::memcpy(version.mutable_payload(), bytes.data(), bytes.size());
}

}  // namespace

std::string_view TypeName(uint8_t type) {
  return type == kTypeString ? "string" : "none";
}

std::string_view EncodingName(const engine::Version& version) {
  switch (static_cast<StringEncoding>(version.encoding())) {
    case StringEncoding::kInt:
      return "int";
    case StringEncoding::kEmbstr:
      return "embstr";
    case StringEncoding::kRaw:
      return "raw";
  }
  ASSERT(false);
}

std::string_view StringView::FormatInteger(const engine::Version& version) {
  char* end = std::to_chars(digits_, digits_ + sizeof(digits_), IntegerOf(version)).ptr;
  return {digits_, static_cast<size_t>(end - digits_)};
}

size_t StringSize(const engine::Version& version) {
  if (version.encoding() != Tag(StringEncoding::kInt)) return version.size();
  return StringView(version).size();
}

std::optional<int64_t> TryInt(const engine::Version& version) {
  if (version.encoding() == Tag(StringEncoding::kInt)) return IntegerOf(version);
  return ParseInt64(version.payload());
}

engine::VersionPtr NewString(std::string_view bytes, int64_t expiry_ms) {
  if (bytes.size() <= kInt64DigitsMax) {
    if (std::optional<int64_t> value = ParseInt64(bytes)) return NewInt(*value, expiry_ms);
  }
  return NewText(bytes, expiry_ms);
}

engine::VersionPtr NewInt(int64_t value, int64_t expiry_ms) {
  engine::VersionPtr version =
      engine::Version::New(kTypeString, Tag(StringEncoding::kInt), expiry_ms, sizeof(value));
  std::memcpy(version->mutable_payload(), &value, sizeof(value));
  return version;
}

engine::VersionPtr NewText(std::string_view bytes, int64_t expiry_ms) {
  StringEncoding encoding =
      bytes.size() <= kEmbstrBytesMax ? StringEncoding::kEmbstr : StringEncoding::kRaw;
  engine::VersionPtr version =
      engine::Version::New(kTypeString, Tag(encoding), expiry_ms, bytes.size());
  Fill(*version, bytes);
  return version;
}

engine::VersionPtr NewRaw(size_t size, int64_t expiry_ms) {
  return engine::Version::New(kTypeString, Tag(StringEncoding::kRaw), expiry_ms, size);
}

engine::VersionPtr Append(const engine::Version& old, std::string_view tail) {
  StringView head(old);
  engine::VersionPtr version = NewRaw(head.size() + tail.size(), old.expiry_ms());
  Fill(*version, head.bytes());
  if (!tail.empty()) {
    std::memcpy(version->mutable_payload() + head.size(), tail.data(), tail.size());
  }
  return version;
}

engine::VersionPtr SetRange(const engine::Version* old, size_t offset, std::string_view patch) {
  engine::VersionPtr version = CopyGrown(old, offset + patch.size());
  if (!patch.empty()) std::memcpy(version->mutable_payload() + offset, patch.data(), patch.size());
  return version;
}

engine::VersionPtr CopyGrown(const engine::Version* old, size_t size) {
  StringView head(old);
  size_t grown = std::max(size, head.size());
  engine::VersionPtr version = NewRaw(grown, old == nullptr ? engine::kNoExpiry : old->expiry_ms());
  Fill(*version, head.bytes());
  if (grown > head.size()) {
    std::memset(version->mutable_payload() + head.size(), 0, grown - head.size());
  }
  return version;
}

std::string_view GetRange(std::string_view bytes, int64_t start, int64_t end) {
  auto size = static_cast<int64_t>(bytes.size());
  if (start < 0 && end < 0 && start > end) return {};
  start = std::max<int64_t>(start < 0 ? start + size : start, 0);
  end = std::min(std::max<int64_t>(end < 0 ? end + size : end, 0), size - 1);
  if (start > end) return {};
  return bytes.substr(static_cast<size_t>(start), static_cast<size_t>(end - start + 1));
}

}  // namespace fluxkv::types
