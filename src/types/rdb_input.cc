#include "types/rdb_input.h"

#include <algorithm>

#include <fmt/format.h>

#include "types/crc64.h"
#include "types/lzf.h"
#include "types/rdb_format.h"

namespace fluxkv::types {

bool RdbInput::Fail(uint64_t offset, const std::string& text) {
  if (!ok()) return false;
  error_ = fmt::format("byte {}: {}", offset, text);
  // Nothing is left, for nothing may be read any more.
  chunk_offset_ = this->offset();
  chunk_ = left_ = {};
  summed_bytes_ = 0;
  return false;
}

bool RdbInput::FailAtEnd(const char* what) {
  return Fail(offset(), fmt::format("expected {}, found the end of the file", what));
}

void RdbInput::SumChunk() {
  size_t taken_bytes = chunk_.size() - left_.size();
  checksum_ = Crc64(chunk_.substr(summed_bytes_, taken_bytes - summed_bytes_), checksum_);
  summed_bytes_ = taken_bytes;
}

uint64_t RdbInput::Checksum() {
  SumChunk();
  return checksum_;
}

bool RdbInput::NextChunk() {
  if (!ok()) return false;
  SumChunk();
  chunk_offset_ += chunk_.size();
  chunk_ = left_ = {};
  summed_bytes_ = 0;
  Result<std::string_view> chunk = source_.NextChunk();
  if (!chunk.ok()) return Fail(chunk_offset_, chunk.message());
  chunk_ = left_ = chunk.value();
  return !left_.empty();
}

bool RdbInput::AtEnd() {
  return left_.empty() && !NextChunk();
}

std::optional<uint64_t> RdbInput::TakeNumber(size_t bytes, Order order, const char* what) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes; ++i) {
    if (AtEnd()) {
      FailAtEnd(what);
      return std::nullopt;
    }
    uint64_t byte = static_cast<unsigned char>(left_[0]);
    left_.remove_prefix(1);
    value = order == Order::kBigEndian ? value << 8 | byte : value | byte << (8 * i);
  }
  return value;
}

std::optional<uint8_t> RdbInput::TakeByte(const char* what) {
  std::optional<uint64_t> byte = TakeNumber(1, Order::kBigEndian, what);
  if (!byte) return std::nullopt;
  return static_cast<uint8_t>(*byte);
}

std::optional<uint64_t> RdbInput::RestOfLength(uint64_t first, const char* what) {
  switch (first >> 6) {
    case rdb::kLength6:
      return first;
    case rdb::kLength14: {
      std::optional<uint8_t> low = TakeByte(what);
      if (!low) return std::nullopt;
      return (first & 0x3f) << 8 | *low;
    }
    default:
      break;
  }
  if (first == rdb::kLong32) return TakeNumber(4, Order::kBigEndian, what);
  if (first == rdb::kLong64) return TakeNumber(8, Order::kBigEndian, what);
  Fail(offset() - 1, fmt::format("expected {}, found {:#04x}", what, first));
  return std::nullopt;
}

std::optional<uint64_t> RdbInput::TakeLength(const char* what) {
  std::optional<uint8_t> first = TakeByte(what);
  if (!first) return std::nullopt;
  return RestOfLength(*first, what);
}

std::optional<RdbInput::StringForm> RdbInput::TakeForm(const char* what) {
  using Kind = StringForm::Kind;
  std::optional<uint8_t> first = TakeByte(what);
  if (!first) return std::nullopt;
  if (*first >> 6 != rdb::kLengthEncoded) {
    std::optional<uint64_t> length = RestOfLength(*first, what);
    if (!length) return std::nullopt;
    return StringForm{Kind::kPlain, *length, *length};
  }
  unsigned encoding = *first & 0x3f;
  if (encoding <= rdb::kEncodedInt32) return StringForm{Kind::kInteger, uint64_t{1} << encoding, 0};
  if (encoding != rdb::kEncodedLzf) {
    Fail(offset() - 1, fmt::format("expected {}, found {:#04x}", what, *first));
    return std::nullopt;
  }
  std::optional<uint64_t> packed_bytes = TakeLength(what);
  std::optional<uint64_t> size = packed_bytes ? TakeLength(what) : std::nullopt;
  if (!size) return std::nullopt;
  return StringForm{Kind::kLzf, *packed_bytes, *size};
}

bool RdbInput::TakeString(size_t bytes_max, const char* what, std::string& out) {
  uint64_t start = offset();
  std::optional<StringForm> form = TakeForm(what);
  if (!form) return false;
  if (form->kind == StringForm::Kind::kInteger) return TakeInteger(form->bytes, what, out);
  uint64_t bytes = std::max(form->bytes, form->size);
  if (bytes > bytes_max) {
    return Fail(start,
                fmt::format("expected {} of at most {} bytes, found {}", what, bytes_max, bytes));
  }
  if (form->kind == StringForm::Kind::kLzf) return TakeLzf(*form, what, out);
  return TakeBytes(form->bytes, what, out);
}

bool RdbInput::TakeBytes(uint64_t count, const char* what, std::string& out) {
  out.clear();
  while (count > 0) {
    if (AtEnd()) return FailAtEnd(what);
    std::string_view piece = left_.substr(0, count);
    out.append(piece);
    left_.remove_prefix(piece.size());
    count -= piece.size();
  }
  return true;
}

bool RdbInput::TakeInteger(size_t bytes, const char* what, std::string& out) {
  std::optional<uint64_t> value = TakeNumber(bytes, Order::kLittleEndian, what);
  if (!value) return false;
  unsigned unused_bits = 64 - 8 * static_cast<unsigned>(bytes);
  out = std::to_string(static_cast<int64_t>(*value << unused_bits) >> unused_bits);
  return true;
}

bool RdbInput::TakeLzf(const StringForm& form, const char* what, std::string& out) {
  uint64_t start = offset();
  std::string joined;  // when it does not lie in one chunk
  std::string_view packed = left_.substr(0, form.bytes);
  if (packed.size() == form.bytes) {
    left_.remove_prefix(packed.size());
  } else {
    if (!TakeBytes(form.bytes, what, joined)) return false;
    packed = joined;
  }
  std::optional<std::string> unpacked = UnpackLzf(packed, form.size);
  if (!unpacked) {
    return Fail(start,
                fmt::format("expected {} of {} bytes, found {} bytes that are not its LZF form",
                            what, form.size, form.bytes));
  }
  out = std::move(*unpacked);
  return true;
}

bool RdbInput::SkipBytes(uint64_t count, const char* what) {
  while (count > 0) {
    if (AtEnd()) return FailAtEnd(what);
    uint64_t piece_bytes = std::min<uint64_t>(count, left_.size());
    left_.remove_prefix(piece_bytes);
    count -= piece_bytes;
  }
  return true;
}

bool RdbInput::SkipString(const char* what) {
  std::optional<StringForm> form = TakeForm(what);
  return form && SkipBytes(form->bytes, what);
}

}  // namespace fluxkv::types
