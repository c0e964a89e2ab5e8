#include "types/lzf.h"

#include <cstdint>

namespace fluxkv::types {
namespace {

constexpr size_t kLiteralControls = 32;
constexpr size_t kLongLength = 7;
// Three bytes can stand for at most 7 + 255 + 2 bytes.
constexpr size_t kExpansionMax = 264;

class Unpacker {
 public:
  Unpacker(std::string_view packed, size_t size) : packed_(packed), size_(size) {
    out_.reserve(size);
  }

  bool Run() {
    while (at_ < packed_.size()) {
      size_t control = NextByte();
      if (control < kLiteralControls ? !Literal(control + 1) : !Copy(control)) return false;
    }
    return out_.size() == size_;
  }
  std::string Take() { return std::move(out_); }

 private:
  size_t NextByte() { return static_cast<unsigned char>(packed_[at_++]); }
  bool Literal(size_t count) {
    if (packed_.size() - at_ < count || size_ - out_.size() < count) return false;
    out_.append(packed_.substr(at_, count));
    at_ += count;
    return true;
  }
  bool Copy(size_t control) {
    size_t length = control >> 5;
    if (length == kLongLength) {
      if (at_ == packed_.size()) return false;
      length += NextByte();
    }
    length += 2;
    if (at_ == packed_.size()) return false;
    size_t distance = ((control & 0x1f) << 8 | NextByte()) + 1;
    if (distance > out_.size() || size_ - out_.size() < length) return false;
    // The copy may overlap what it writes, so it goes byte by byte.
    for (size_t from = out_.size() - distance; length > 0; --length, ++from) {
      out_.push_back(out_[from]);
    }
    return true;
  }

  std::string_view packed_;
  const size_t size_;
  size_t at_ = 0;
  std::string out_;
};

}  // namespace

std::optional<std::string> UnpackLzf(std::string_view packed, size_t size) {
  if (size / kExpansionMax > packed.size()) return std::nullopt;
  Unpacker unpacker(packed, size);
  if (!unpacker.Run()) return std::nullopt;
  return unpacker.Take();
}

}  // namespace fluxkv::types
