// The elements that RDB files and DUMP payloads are made of, read from bytes that come in chunks:
// numbers, lengths, and strings in their three forms (plain, integer, LZF).
//
//   ViewSource source(bytes);
//   RdbInput in(source);
//   std::string text;
//   if (!in.TakeString(bytes_max, "a key", text)) return Status::Error(in.error());
//
// Threads: one.
// Owns:    nothing of the bytes; the source must outlive the input.
// Errors:  the first one is kept and every later read fails as well. It names the offset and what
//          was expected there. Any bytes are safe to read: what a length claims is allocated only
//          as the bytes really come, and never more than the caller's bound.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace fluxkv::types {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // The next bytes, valid until the next call; none at the end, and at every call after it.
  virtual Result<std::string_view> NextChunk() = 0;
};

// Bytes that are all there.
class ViewSource : public ByteSource {
 public:
  explicit ViewSource(std::string_view bytes) : bytes_(bytes) {}
  Result<std::string_view> NextChunk() override {
    return std::exchange(bytes_, std::string_view());
  }

 private:
  std::string_view bytes_;
};

class RdbInput {
 public:
  enum class Order : uint8_t { kLittleEndian, kBigEndian };

  explicit RdbInput(ByteSource& source) : source_(source) {}
  RdbInput(const RdbInput&) = delete;
  RdbInput& operator=(const RdbInput&) = delete;

  // `what` names the element in an error: "the length of a key".
  std::optional<uint64_t> TakeNumber(size_t bytes, Order order, const char* what);
  std::optional<uint8_t> TakeByte(const char* what);
  // A length that is none but the mark of an encoded string is an error.
  std::optional<uint64_t> TakeLength(const char* what);
  // A string of more than `bytes_max`, before or after unpacking, is an error. `out` is replaced.
  bool TakeString(size_t bytes_max, const char* what, std::string& out);

  bool SkipBytes(uint64_t count, const char* what);
  // Does not unpack.
  bool SkipString(const char* what);

  // Whether no byte is left. True as well when the source fails: ask ok().
  bool AtEnd();

  // Of the bytes taken so far.
  uint64_t offset() const { return chunk_offset_ + (chunk_.size() - left_.size()); }
  // CRC-64 of the bytes taken so far (types/crc64.h).
  uint64_t Checksum();

  bool ok() const { return error_.empty(); }
  const std::string& error() const { return error_; }
  // Records what was found instead of what was expected; false, for `return in.Fail(...)`.
  bool Fail(uint64_t offset, const std::string& text);

 private:
  // What stands before a string's bytes.
  struct StringForm {
    enum class Kind : uint8_t { kPlain, kInteger, kLzf };
    Kind kind;
    uint64_t bytes;  // that follow
    uint64_t size;   // that they stand for; with kLzf
  };

  std::optional<StringForm> TakeForm(const char* what);
  std::optional<uint64_t> RestOfLength(uint64_t first, const char* what);
  bool TakeBytes(uint64_t count, const char* what, std::string& out);
  bool TakeInteger(size_t bytes, const char* what, std::string& out);
  bool TakeLzf(const StringForm& form, const char* what, std::string& out);
  // Requires: nothing left of the chunk. False at the end.
  bool NextChunk();
  bool FailAtEnd(const char* what);
  void SumChunk();

  ByteSource& source_;
  std::string_view chunk_;
  std::string_view left_;      // of the chunk
  uint64_t chunk_offset_ = 0;  // of the chunk's first byte
  size_t summed_bytes_ = 0;    // of the chunk, in checksum_
  uint64_t checksum_ = 0;
  std::string error_;
};

}  // namespace fluxkv::types
