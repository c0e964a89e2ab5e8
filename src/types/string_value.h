// What a Redis string is over engine versions: three encodings of one sequence of bytes, and the
// pure functions that make a new version out of an old one.
//
//   types::StringView old(*version);                         // bytes, also of an integer
//   engine::VersionPtr next = types::Append(*version, "tail");   // raw, keeps the expiry
//
// Encodings, chosen as Redis 7.2 chooses them: a value given whole is kInt when it is the canonical
// decimal of a signed 64-bit integer, else kEmbstr up to 44 bytes, else kRaw; what was changed in
// place (APPEND, SETRANGE, SETBIT) is kRaw whatever it holds.
// Threads: pure functions over immutable versions.
// Owns:    a StringView only its scratch bytes; the version must outlive it (a handle's epoch).
// Errors:  none; the callers bound sizes by limits::kValueBytesMax first.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

#include "engine/version.h"

namespace fluxkv::types {

inline constexpr uint8_t kTypeString = 1;

enum class StringEncoding : uint8_t {
  kInt = 0,     // the payload is an int64_t in native byte order
  kEmbstr = 1,  // bytes, at most kEmbstrBytesMax
  kRaw = 2,     // bytes
};
inline constexpr size_t kEmbstrBytesMax = 44;
inline constexpr size_t kInt64DigitsMax = 20;  // "-9223372036854775808"

// "string", as TYPE answers; "none" for a tag that no type has.
std::string_view TypeName(uint8_t type);
// "int", "embstr" or "raw", as OBJECT ENCODING answers. Requires: a string.
std::string_view EncodingName(const engine::Version& version);

// The bytes of a string version, whatever its encoding.
class StringView {
 public:
  explicit StringView(const engine::Version& version) {
    if (version.encoding() == static_cast<uint8_t>(StringEncoding::kInt)) {
      bytes_ = FormatInteger(version);
    } else {
      bytes_ = version.payload();
    }
  }
  // An absent key reads as no bytes.
  explicit StringView(const engine::Version* version) {
    if (version != nullptr) *this = StringView(*version);
  }
  StringView(const StringView& other) { *this = other; }
  StringView& operator=(const StringView& other) {
    bytes_ = other.bytes_;
    if (other.bytes_.data() == other.digits_) {
      std::memcpy(digits_, other.digits_, sizeof(digits_));
      bytes_ = {digits_, other.bytes_.size()};
    }
    return *this;
  }

  std::string_view bytes() const { return bytes_; }
  size_t size() const { return bytes_.size(); }

 private:
  std::string_view FormatInteger(const engine::Version& version);

  std::string_view bytes_;
  char digits_[kInt64DigitsMax];
};

// The size of the bytes, without forming them where it is known.
size_t StringSize(const engine::Version& version);
// The value as a canonical signed 64-bit integer, in any encoding.
std::optional<int64_t> TryInt(const engine::Version& version);

// A value given whole. Requires: bytes.size() <= limits::kValueBytesMax.
engine::VersionPtr NewString(std::string_view bytes, int64_t expiry_ms);
engine::VersionPtr NewInt(int64_t value, int64_t expiry_ms);
// As NewString, but an integer stays text (INCRBYFLOAT).
engine::VersionPtr NewText(std::string_view bytes, int64_t expiry_ms);
// `size` bytes, not initialised, for the caller to fill before it is put.
engine::VersionPtr NewRaw(size_t size, int64_t expiry_ms);

// The bytes with `tail` behind them; raw, same expiry.
engine::VersionPtr Append(const engine::Version& old, std::string_view tail);
// The bytes with `patch` written at `offset`, zeros in a gap; raw, the expiry of `old`. `old` may
// be null (absent). Requires: offset + patch.size() <= limits::kValueBytesMax.
engine::VersionPtr SetRange(const engine::Version* old, size_t offset, std::string_view patch);
// A raw copy with at least `size` bytes, zeros behind the old ones; for changing bits of it. `old`
// may be null.
engine::VersionPtr CopyGrown(const engine::Version* old, size_t size);

// The part that GETRANGE names: both ends inclusive, negative ones count from the end. An end
// before the first byte means the first byte, as in Redis up to 7.2.
std::string_view GetRange(std::string_view bytes, int64_t start, int64_t end);

}  // namespace fluxkv::types
