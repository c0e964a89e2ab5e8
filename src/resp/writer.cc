#include "resp/writer.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace fluxkv::resp {
namespace {

constexpr int kDigitsMax = 17;  // of a double

// A positive number as its shortest digits, first one not zero:
// digits[0].digits[1]... x 10^exponent.
struct Decimal {
  char digits[kDigitsMax];
  int count = 0;
  int exponent = 0;
};

Decimal ToDecimal(double value) {
  char text[kDoubleBytesMax];
  auto [end, error] =
      std::to_chars(text, text + sizeof(text), value, std::chars_format::scientific);
  ASSERT(error == std::errc());
  Decimal out;
  const char* at = text;
  for (; at < end && *at != 'e'; ++at) {
    if (*at != '.') out.digits[out.count++] = *at;
  }
  ASSERT(at < end);
  ++at;
  if (*at == '+') ++at;  // which from_chars does not take
  std::from_chars(at, end, out.exponent);
  return out;
}

char* PutDigits(char* at, const char* digits, int count) {
  std::memcpy(at, digits, static_cast<size_t>(count));
  return at + count;
}

char* PutZeros(char* at, int count) {
  std::memset(at, '0', static_cast<size_t>(count));
  return at + count;
}

// The choice between plain and scientific form is that of fpconv, which Redis 7.2 uses: with
// `scale` the power of ten of the last digit, plain when a whole number ends in few zeros, or when
// a fraction is short or near to 1.
char* PutDecimal(char* at, const Decimal& number) {
  int scale = number.exponent - number.count + 1;
  int distance = std::abs(number.exponent);
  if (scale >= 0 && distance < number.count + 7) {
    return PutZeros(PutDigits(at, number.digits, number.count), scale);
  }
  if (scale < 0 && (scale > -7 || distance < 4)) {
    int whole = number.count + scale;  // digits before the point
    if (whole > 0) {
      at = PutDigits(at, number.digits, whole);
      *at++ = '.';
      return PutDigits(at, number.digits + whole, -scale);
    }
    *at++ = '0';
    *at++ = '.';
    return PutDigits(PutZeros(at, -whole), number.digits, number.count);
  }
  *at++ = number.digits[0];
  if (number.count > 1) {
    *at++ = '.';
    at = PutDigits(at, number.digits + 1, number.count - 1);
  }
  *at++ = 'e';
  *at++ = number.exponent < 0 ? '-' : '+';
  return std::to_chars(at, at + 4, distance).ptr;
}

size_t PutText(char* out, std::string_view text) {
  std::memcpy(out, text.data(), text.size());
  return text.size();
}

}  // namespace

size_t FormatDouble(double value, char (&out)[kDoubleBytesMax]) {
  constexpr double kWholeMax = 4611686018427387904.0;  // 2^62
  if (std::isnan(value)) return PutText(out, "nan");
  if (std::isinf(value)) return PutText(out, value > 0 ? "inf" : "-inf");
  if (value == 0) return PutText(out, std::signbit(value) ? "-0" : "0");
  if (std::fabs(value) <= kWholeMax && std::trunc(value) == value) {
    char* end = std::to_chars(out, out + sizeof(out), static_cast<int64_t>(value)).ptr;
    return static_cast<size_t>(end - out);
  }
  char* at = out;
  if (value < 0) *at++ = '-';
  return static_cast<size_t>(PutDecimal(at, ToDecimal(std::fabs(value))) - out);
}

void Writer::Line(char type, std::string_view text) {
  char* start = output_->Reserve(text.size() + 3);
  *start = type;
  if (!text.empty()) std::memcpy(start + 1, text.data(), text.size());
  PutLineEnd(start + 1 + text.size());
  output_->Commit(text.size() + 3);
}

void Writer::SimpleString(std::string_view text) {
  DEBUG_ASSERT(text.find_first_of("\r\n") == std::string_view::npos);
  Line('+', text);
}

void Writer::Error(std::string_view text) {
  while (!text.empty() && (text.back() == '\r' || text.back() == '\n')) text.remove_suffix(1);
  while (!text.empty() && (text.front() == '\r' || text.front() == '\n')) text.remove_prefix(1);
  NoteError(text);
  char* start = output_->Reserve(text.size() + 3);
  *start = '-';
  std::replace_copy_if(
      text.begin(), text.end(), start + 1, [](char c) { return c == '\r' || c == '\n'; }, ' ');
  PutLineEnd(start + 1 + text.size());
  output_->Commit(text.size() + 3);
}

void Writer::NoteError(std::string_view text) {
  ++errors_;
  size_t size = text.substr(0, kErrorCodeBytesMax + 1).find(' ');
  std::string_view code = size == std::string_view::npos ? "ERR" : text.substr(0, size);
  error_code_size_ = code.copy(error_code_.data(), error_code_.size());
}

void Writer::AttributeHeader(size_t pairs) {
  ASSERT(protocol_ == 3);
  Header('|', pairs);
}

void Writer::Double(double value) {
  char text[kDoubleBytesMax];
  std::string_view digits(text, FormatDouble(value, text));
  protocol_ == 2 ? Bulk(digits) : Line(',', digits);
}

void Writer::Verbatim(std::string_view text, std::string_view format) {
  ASSERT(format.size() == 3);
  if (protocol_ == 2) return Bulk(text);
  Header('=', text.size() + format.size() + 1);
  Raw(format);
  Raw(":");
  Raw(text);
  Raw("\r\n");
}

void Writer::BigNumber(std::string_view digits) {
  protocol_ == 2 ? Bulk(digits) : Line('(', digits);
}

void Writer::InsertHeader(size_t mark, char type, size_t count) {
  char header[kHeaderBytesMax];
  size_t size = static_cast<size_t>(PutHeader(header, type, count) - header);
  output_->InsertAt(mark, std::string_view(header, size));
}

}  // namespace fluxkv::resp
