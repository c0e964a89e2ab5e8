#include "base/parse.h"

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace fluxkv {
namespace {

// The C library's answers in the "C" locale, whatever locale the process runs in.
bool IsSpace(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}
bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}
bool IsPrintable(char c) {
  return c >= ' ' && c <= '~';
}
char Lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}
char Upper(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - ('a' - 'A')) : c;
}

int HexValue(char c) {
  if (IsDigit(c)) return c - '0';
  char lower = Lower(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// Longest text of a long double that Redis reads; also room for the longest it writes (4933 digits
// and the fraction).
constexpr size_t kLongDoubleBytesMax = size_t{5} * 1024;
constexpr int kLongDoubleFractionDigits = 17;
constexpr size_t kByteCountDigitsMax = 127;

// `convert` is strtod or strtold; `text` must have a zero byte behind it.
template <class Number, class Convert>
std::optional<Number> ConvertWhole(const char* text, size_t size, Convert convert) {
  errno = 0;
  char* end = nullptr;
  Number value = convert(text, &end);
  if (static_cast<size_t>(end - text) != size || std::isnan(value)) return std::nullopt;
  // A result that is merely denormal is fine; one that left the range is not.
  if (errno == ERANGE && (std::isinf(value) || value == 0)) return std::nullopt;
  return value;
}

// glibc's tolower of a signed byte, which Redis applies to the ends of a range: bytes beyond ASCII
// become positive, but for -1, which is EOF.
int FoldRangeEnd(int byte) {
  return byte == -1 ? byte : static_cast<unsigned char>(Lower(static_cast<char>(byte)));
}

// Matches `c` against the class that starts behind the '[' at `at`; sets `matched`, returns the
// place behind the class. A class that is never closed ends with the pattern.
size_t MatchClass(std::string_view pattern, size_t at, char c, bool ignore_case, bool& matched) {
  ++at;
  bool negated = at < pattern.size() && pattern[at] == '^';
  if (negated) ++at;
  bool found = false;
  while (at < pattern.size() && pattern[at] != ']') {
    size_t left = pattern.size() - at;
    if (pattern[at] == '\\' && left >= 2) {
      found |= pattern[at + 1] == c;  // escaped members keep their case
      at += 2;
    } else if (left >= 3 && pattern[at + 1] == '-') {
      // The ends are put in order as signed bytes, before case is folded: both as Redis has it.
      int first = static_cast<signed char>(pattern[at]);
      int last = static_cast<signed char>(pattern[at + 2]);
      int member = static_cast<signed char>(c);
      if (first > last) std::swap(first, last);
      if (ignore_case) {
        first = FoldRangeEnd(first);
        last = FoldRangeEnd(last);
        member = FoldRangeEnd(member);
      }
      found |= member >= first && member <= last;
      at += 3;
    } else {
      found |= ignore_case ? Lower(pattern[at]) == Lower(c) : pattern[at] == c;
      ++at;
    }
  }
  matched = found != negated;
  return at < pattern.size() ? at + 1 : at;
}

// Matches `c` against the one element of the pattern at `at`, which is not a star; as MatchClass.
size_t MatchElement(std::string_view pattern, size_t at, char c, bool ignore_case, bool& matched) {
  if (pattern[at] == '[') return MatchClass(pattern, at, c, ignore_case, matched);
  if (pattern[at] == '?') {
    matched = true;
    return at + 1;
  }
  if (pattern[at] == '\\' && at + 1 < pattern.size()) ++at;
  matched = ignore_case ? Lower(pattern[at]) == Lower(c) : pattern[at] == c;
  return at + 1;
}

// Reads one line into arguments; one call of a method for one argument. Reading at or behind the
// end gives a zero byte.
class ArgumentSplitter {
 public:
  explicit ArgumentSplitter(std::string_view line) : line_(line.substr(0, line.find('\0'))) {}

  bool SkipBlanks() {
    while (at_ < line_.size() && IsSpace(line_[at_])) ++at_;
    return at_ < line_.size();
  }

  // Appends the next argument to `out`; false on unbalanced quotes.
  bool ReadArgument(std::string& out) {
    while (at_ < line_.size()) {
      char c = line_[at_++];
      if (c == '"') return ReadDoubleQuoted(out);
      if (c == '\'') return ReadSingleQuoted(out);
      if (c == ' ' || c == '\n' || c == '\r' || c == '\t') return true;
      out.push_back(c);
    }
    return true;
  }

 private:
  char Peek(size_t ahead) const { return at_ + ahead < line_.size() ? line_[at_ + ahead] : '\0'; }

  // A closing quote ends the argument and must be followed by a blank or by nothing.
  bool AtEndOfArgument() const { return at_ == line_.size() || IsSpace(line_[at_]); }

  bool ReadDoubleQuoted(std::string& out) {
    while (at_ < line_.size()) {
      char c = line_[at_++];
      if (c == '"') return AtEndOfArgument();
      if (c != '\\' || at_ == line_.size()) {
        out.push_back(c);
      } else if (Peek(0) == 'x' && HexValue(Peek(1)) >= 0 && HexValue(Peek(2)) >= 0) {
        out.push_back(static_cast<char>(HexValue(Peek(1)) * 16 + HexValue(Peek(2))));
        at_ += 3;
      } else {
        out.push_back(Unescape(line_[at_++]));
      }
    }
    return false;
  }

  bool ReadSingleQuoted(std::string& out) {
    while (at_ < line_.size()) {
      char c = line_[at_++];
      if (c == '\'') return AtEndOfArgument();
      if (c == '\\' && Peek(0) == '\'') c = line_[at_++];
      out.push_back(c);
    }
    return false;
  }

  static char Unescape(char c) {
    switch (c) {
      case 'n':
        return '\n';
      case 'r':
        return '\r';
      case 't':
        return '\t';
      case 'b':
        return '\b';
      case 'a':
        return '\a';
      default:
        return c;
    }
  }

  std::string_view line_;
  size_t at_ = 0;
};

// The multiplier of a unit, 0 if there is no such unit.
uint64_t UnitMultiplier(std::string_view unit) {
  if (unit.empty() || EqualsIgnoreCase(unit, "b")) return 1;
  if (unit.size() > 2 || (unit.size() == 2 && Lower(unit[1]) != 'b')) return 0;
  uint64_t base = unit.size() == 2 ? 1024 : 1000;
  switch (Lower(unit[0])) {
    case 'k':
      return base;
    case 'm':
      return base * base;
    case 'g':
      return base * base * base;
    default:
      return 0;
  }
}

}  // namespace

std::optional<long double> ParseLongDouble(std::string_view text) {
  if (text.empty() || text.size() >= kLongDoubleBytesMax || IsSpace(text[0])) return std::nullopt;
  char copy[kLongDoubleBytesMax];
  std::memcpy(copy, text.data(), text.size());
  copy[text.size()] = '\0';
  return ConvertWhole<long double>(copy, text.size(), std::strtold);
}

std::optional<double> ParseDouble(std::string_view text) {
  if (text.empty() || IsSpace(text[0])) return std::nullopt;
  // Redis sets no bound here; a number of more than 5 KB is refused as ParseLongDouble refuses it.
  if (text.size() >= kLongDoubleBytesMax) return std::nullopt;
  char copy[kLongDoubleBytesMax];
  std::memcpy(copy, text.data(), text.size());
  copy[text.size()] = '\0';
  return ConvertWhole<double>(copy, text.size(), std::strtod);
}

std::string FormatLongDouble(long double value) {
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  if (std::isnan(value)) return "nan";
  char text[kLongDoubleBytesMax];
  int size = std::snprintf(text, sizeof(text), "%.*Lf", kLongDoubleFractionDigits, value);
  ASSERT(size > 0 && static_cast<size_t>(size) < sizeof(text));
  std::string_view kept(text, static_cast<size_t>(size));
  while (kept.back() == '0') kept.remove_suffix(1);  // stops at the point, which is always there
  if (kept.back() == '.') kept.remove_suffix(1);
  return kept == "-0" ? "0" : std::string(kept);
}

std::optional<uint64_t> ParseBytes(std::string_view text) {
  size_t digits = 0;
  while (digits < text.size() && IsDigit(text[digits])) ++digits;
  if (digits > kByteCountDigitsMax) return std::nullopt;
  std::optional<uint64_t> count = ParseUint64(text.substr(0, digits));
  uint64_t multiplier = UnitMultiplier(text.substr(digits));
  if (!count || multiplier == 0) return std::nullopt;
  uint64_t bytes = 0;
  if (__builtin_mul_overflow(*count, multiplier, &bytes)) return std::nullopt;
  return bytes;
}

bool EqualsIgnoreCase(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (Lower(a[i]) != Lower(b[i])) return false;
  }
  return true;
}

std::string ToLower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = Lower(c);
  return out;
}

std::string ToUpper(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = Upper(c);
  return out;
}

// Every element but the star takes exactly one byte, so a mismatch needs to go back to the last
// star only: whatever an earlier star could reach, the last one reaches as well.
bool GlobMatch(std::string_view pattern, std::string_view text, bool ignore_case) {
  if (text.empty()) return pattern.empty();  // as Redis: not even "*" matches an empty text
  size_t at = 0;
  size_t behind_star = std::string_view::npos;  // where the pattern goes on behind the last star
  size_t star_text = 0;                         // where the text goes on behind what that star took
  size_t place = 0;
  size_t stars = 0;
  while (place < text.size()) {
    if (at < pattern.size() && pattern[at] == '*') {
      while (at < pattern.size() && pattern[at] == '*') ++at;
      if (at == pattern.size()) return true;
      if (++stars > kGlobStarsMax) return false;
      behind_star = at;
      star_text = place;
      continue;
    }
    bool matched = false;
    size_t next = at;
    if (at < pattern.size()) next = MatchElement(pattern, at, text[place], ignore_case, matched);
    if (matched) {
      at = next;
      ++place;
    } else {
      if (behind_star == std::string_view::npos) return false;
      at = behind_star;
      place = ++star_text;
    }
  }
  while (at < pattern.size() && pattern[at] == '*') ++at;
  return at == pattern.size();
}

std::string QuoteBytes(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  static constexpr std::string_view kNamed = "\n\r\t\a\b";
  static constexpr std::string_view kNames = "nrtab";
  std::string out;
  out.reserve(text.size() + 2);
  out.push_back('"');
  for (char c : text) {
    size_t named = kNamed.find(c);
    if (c == '\\' || c == '"') {
      out.push_back('\\');
      out.push_back(c);
    } else if (named != std::string_view::npos) {
      out.push_back('\\');
      out.push_back(kNames[named]);
    } else if (IsPrintable(c)) {
      out.push_back(c);
    } else {
      auto byte = static_cast<unsigned char>(c);
      out.append({'\\', 'x', kHex[byte >> 4], kHex[byte & 15]});
    }
  }
  out.push_back('"');
  return out;
}

std::optional<std::vector<std::string>> SplitArguments(std::string_view line) {
  std::vector<std::string> arguments;
  ArgumentSplitter splitter(line);
  while (splitter.SkipBlanks()) {
    if (!splitter.ReadArgument(arguments.emplace_back())) return std::nullopt;
  }
  return arguments;
}

}  // namespace fluxkv
