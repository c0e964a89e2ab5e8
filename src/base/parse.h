// Text to numbers and back, exactly as Redis reads and writes them.
// Threads: pure functions.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fluxkv {

// A whole signed 64-bit integer in its one canonical form: no spaces, no plus, no leading zeros, no
// "-0" (Redis's string2ll).
inline std::optional<int64_t> ParseInt64(std::string_view text) {
  if (text.empty() || text.size() > 20) return std::nullopt;
  size_t first = text[0] == '-' ? 1 : 0;
  if (first == text.size()) return std::nullopt;
  if (text[first] == '0' && (text.size() > 1)) return std::nullopt;
  if (text[first] < '0' || text[first] > '9') return std::nullopt;
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// A whole unsigned 64-bit decimal, digits only.
inline std::optional<uint64_t> ParseUint64(std::string_view text) {
  if (text.empty() || text[0] < '0' || text[0] > '9') return std::nullopt;
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// A long double as Redis's string2ld reads it: strtold on the whole text, no leading space, no NaN.
// Infinity is returned.
std::optional<long double> ParseLongDouble(std::string_view text);
// Likewise for double (string2d).
std::optional<double> ParseDouble(std::string_view text);

// As Redis's ld2string in human form: 17 digits after the point,
// trailing zeros cut, "-0" written "0".
std::string FormatLongDouble(long double value);

// A number of bytes as people write it ("100", "1kb" = 1024, "1k" = 1000, "2gb", "5m", any case);
// nullopt if it is not one.
std::optional<uint64_t> ParseBytes(std::string_view text);

bool EqualsIgnoreCase(std::string_view a, std::string_view b);
std::string ToLower(std::string_view text);
std::string ToUpper(std::string_view text);

// Redis's glob (stringmatchlen): * ? [a-z] [^x] and backslash. Bounded: never more than pattern x
// text steps; a pattern of which more than kGlobStarsMax stars would be needed matches nothing.
inline constexpr size_t kGlobStarsMax = 1000;
bool GlobMatch(std::string_view pattern, std::string_view text, bool ignore_case = false);

// `text` with quotes and escapes for a log or a reply, as Redis's sdscatrepr: "a\x00\n".
std::string QuoteBytes(std::string_view text);

// Splits a line as redis.conf and inline commands do (sdssplitargs): quotes and escapes; nullopt on
// unbalanced quotes.
std::optional<std::vector<std::string>> SplitArguments(std::string_view line);

}  // namespace fluxkv
