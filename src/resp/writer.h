// Writes replies in RESP2 or RESP3 to an Output; a handler says what the reply is, the writer how
// it looks in the connection's protocol.
//
//   writer.ArrayHeader(2);
//   writer.Bulk("value");
//   writer.Null();
//   size_t mark = writer.BeginDeferred();  // a length that is known only later
//   size_t count = WriteMatches(writer);
//   writer.EndDeferredArray(mark, count);
//
// Threads: as its Output.
// Owns: nothing of the bytes; the output must outlive it.
// Errors: none; Error() writes one for the client and notes it for the statistics.
// Source: the RESP specification (redis.io/docs/reference/protocol-spec), reply forms of Redis 7.2.
#pragma once

#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

#include "resp/output.h"

namespace fluxkv::resp {

// Whole replies that look the same in both protocols.
namespace replies {
inline constexpr std::string_view kOk = "+OK\r\n";
inline constexpr std::string_view kPong = "+PONG\r\n";
inline constexpr std::string_view kQueued = "+QUEUED\r\n";
inline constexpr std::string_view kZero = ":0\r\n";
inline constexpr std::string_view kOne = ":1\r\n";
inline constexpr std::string_view kEmptyArray = "*0\r\n";
inline constexpr std::string_view kEmptyBulk = "$0\r\n\r\n";
}  // namespace replies

// A double as Redis 7.2 writes it (inf, -inf, nan, -0; whole numbers below 2^62 in full; else the
// fewest digits that read back as the same number, with an exponent where that is shorter). Returns
// the size; no zero byte is added.
inline constexpr size_t kDoubleBytesMax = 40;
size_t FormatDouble(double value, char (&out)[kDoubleBytesMax]);

class Writer {
 public:
  static constexpr size_t kErrorCodeBytesMax = 30;

  explicit Writer(Output& output, int protocol = 2) : output_(&output), protocol_(protocol) {}

  int protocol() const { return protocol_; }
  void set_protocol(int protocol) { protocol_ = protocol; }  // 2 or 3
  Output& output() { return *output_; }

  // Bytes that are a reply already.
  void Raw(std::string_view reply) { output_->Append(reply); }
  void Ok() { Raw(replies::kOk); }

  // Requires: no line end in it.
  void SimpleString(std::string_view text);

  // `text` begins with the code and has no leading '-': "ERR syntax error". Line ends in it become
  // spaces, at its ends they go.
  void Error(std::string_view text);

  void Integer(int64_t value) {
    char* start = output_->Reserve(kHeaderBytesMax);
    char* at = start;
    *at++ = ':';
    at = PutNumber(at, value);
    output_->Commit(static_cast<size_t>(PutLineEnd(at) - start));
  }

  void Bulk(std::string_view bytes) {
    char* start = output_->Reserve(bytes.size() + kHeaderBytesMax + 2);
    char* at = PutHeader(start, '$', bytes.size());
    if (!bytes.empty()) std::memcpy(at, bytes.data(), bytes.size());
    output_->Commit(static_cast<size_t>(PutLineEnd(at + bytes.size()) - start));
  }
  // A bulk whose bytes are sent from where they are; see Output::AppendPinned.
  void BulkPinned(const char* data, size_t size, Pin pin) {
    Header('$', size);
    output_->AppendPinned(data, size, std::move(pin));
    Raw("\r\n");
  }
  void BulkInteger(int64_t value) {
    char digits[kHeaderBytesMax];
    Bulk(std::string_view(digits, static_cast<size_t>(PutNumber(digits, value) - digits)));
  }

  void Null() { Raw(protocol_ == 2 ? std::string_view("$-1\r\n") : std::string_view("_\r\n")); }
  void NullArray() {
    Raw(protocol_ == 2 ? std::string_view("*-1\r\n") : std::string_view("_\r\n"));
  }

  void ArrayHeader(size_t count) { Header('*', count); }
  // In RESP2 a map is an array of twice as many, a set or a push an array.
  void MapHeader(size_t pairs) { protocol_ == 2 ? Header('*', pairs * 2) : Header('%', pairs); }
  void SetHeader(size_t count) { Header(protocol_ == 2 ? '*' : '~', count); }
  void PushHeader(size_t count) { Header(protocol_ == 2 ? '*' : '>', count); }
  // Requires: protocol() == 3; RESP2 has no attributes, the caller leaves them out whole.
  void AttributeHeader(size_t pairs);

  void Double(double value);
  void Boolean(bool value) {
    Raw(protocol_ == 2 ? (value ? replies::kOne : replies::kZero)
                       : std::string_view(value ? "#t\r\n" : "#f\r\n"));
  }
  // `format` has three letters: "txt", "mkd".
  void Verbatim(std::string_view text, std::string_view format);
  // `digits` is a whole decimal number of any length.
  void BigNumber(std::string_view digits);

  // A header whose count is not known yet: begin, write the elements, end with the count. May be
  // nested; ends go inside out.
  size_t BeginDeferred() const { return output_->Mark(); }
  void EndDeferredArray(size_t mark, size_t count) { InsertHeader(mark, '*', count); }
  void EndDeferredMap(size_t mark, size_t pairs) {
    protocol_ == 2 ? InsertHeader(mark, '*', pairs * 2) : InsertHeader(mark, '%', pairs);
  }
  void EndDeferredSet(size_t mark, size_t count) {
    InsertHeader(mark, protocol_ == 2 ? '*' : '~', count);
  }

  // Errors since the last ResetErrors(), and the first word of the last one ("ERR" if it has none
  // of at most 30 bytes).
  bool wrote_error() const { return errors_ > 0; }
  size_t errors() const { return errors_; }
  std::string_view error_code() const { return {error_code_.data(), error_code_size_}; }
  void ResetErrors() {
    errors_ = 0;
    error_code_size_ = 0;
  }

 private:
  static constexpr size_t kHeaderBytesMax = 24;  // type byte, 20 digits, line end

  static char* PutNumber(char* at, int64_t value) {
    if (static_cast<uint64_t>(value) < 10) {
      *at = static_cast<char>('0' + value);
      return at + 1;
    }
    return std::to_chars(at, at + 20, value).ptr;
  }
  static char* PutLineEnd(char* at) {
    std::memcpy(at, "\r\n", 2);
    return at + 2;
  }
  static char* PutHeader(char* at, char type, size_t count) {
    *at++ = type;
    return PutLineEnd(PutNumber(at, static_cast<int64_t>(count)));
  }
  void Header(char type, size_t count) {
    char* start = output_->Reserve(kHeaderBytesMax);
    output_->Commit(static_cast<size_t>(PutHeader(start, type, count) - start));
  }
  void Line(char type, std::string_view text);
  void InsertHeader(size_t mark, char type, size_t count);
  void NoteError(std::string_view text);

  Output* output_;
  int protocol_;
  size_t errors_ = 0;
  size_t error_code_size_ = 0;
  std::array<char, kErrorCodeBytesMax> error_code_{};
};

}  // namespace fluxkv::resp
