#include "config/option_value.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "base/parse.h"
#include "config/list_value.h"
#include "config/notify_flags.h"

namespace fluxkv::config {
namespace {

std::string Join(std::span<const std::string_view> words) {
  std::string text;
  for (std::string_view word : words) {
    if (!text.empty()) text += ", ";
    text += word;
  }
  return text;
}

std::string BoundsError(const Option& option) {
  auto print = [&](int64_t value) {
    char digits[32];
    auto end =
        std::to_chars(digits, digits + sizeof digits, value, option.type == Type::kOctal ? 8 : 10);
    return std::string(digits, end.ptr);
  };
  return "argument must be between " + print(option.low) + " and " + print(option.high) +
         " inclusive";
}

struct TimeUnitName {
  std::string_view suffix;
  int64_t microseconds;
};
constexpr TimeUnitName kUnits[] = {{"us", 1},         {"ms", 1000},      {"s", 1000000},
                                   {"min", 60000000}, {"h", 3600000000}, {"d", 86400000000}};

// A time as people write it, in units of `base_us`; a plain number counts that unit. Nullopt if it
// is none, too large, or not a whole number of units.
std::optional<int64_t> ParseTime(std::string_view text, int64_t base_us) {
  if (auto plain = ParseInt64(text)) return plain;
  size_t digits = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') ++digits;
  auto count = ParseInt64(text.substr(0, digits));
  if (!count) return std::nullopt;
  std::string suffix = ToLower(text.substr(digits));
  for (const TimeUnitName& unit : kUnits) {
    int64_t total = 0;
    if (unit.suffix != suffix) continue;
    if (__builtin_mul_overflow(*count, unit.microseconds, &total)) return std::nullopt;
    if (total % base_us != 0) return std::nullopt;
    return total / base_us;
  }
  return std::nullopt;
}

std::optional<int64_t> ParseMemory(std::string_view text) {
  auto bytes = ParseBytes(text);
  if (!bytes || *bytes > static_cast<uint64_t>(kInt64Max)) return std::nullopt;
  return static_cast<int64_t>(*bytes);
}

std::optional<int64_t> ParsePercent(std::string_view text) {
  if (text.size() < 2 || text.back() != '%') return std::nullopt;
  auto percent = ParseInt64(text.substr(0, text.size() - 1));
  if (!percent || *percent < 0) return std::nullopt;
  return percent;
}

std::optional<int64_t> ParseOctal(std::string_view text) {
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 8);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Result<int64_t> ReadNumber(const Option& option, const std::string& text) {
  std::optional<int64_t> number;
  const char* expected = "argument couldn't be parsed into an integer";
  bool time =
      option.type == Type::kTimeUs || option.type == Type::kTimeMs || option.type == Type::kTimeS;
  // Redis knows no units of time, so its options keep its text.
  if (time && option.redis_name.empty()) {
    expected = "argument must be a time, such as 500ms, 10s or 1h";
  }
  switch (option.type) {
    case Type::kMemory:
      number = ParseMemory(text);
      expected = "argument must be a memory value";
      break;
    case Type::kMemoryOrPercent:
      number = ParseMemory(text);
      if (auto percent = ParsePercent(text)) {
        if (*percent > -option.low) {
          return Status::Error("percentage argument must be less or equal to " +
                               std::to_string(-option.low));
        }
        number = -*percent;
      }
      expected = "argument must be a memory or percent value";
      break;
    case Type::kOctal:
      number = ParseOctal(text);
      expected = "argument couldn't be parsed as an octal number";
      break;
    case Type::kTimeUs:
      number = ParseTime(text, 1);
      break;
    case Type::kTimeMs:
      number = ParseTime(text, 1000);
      break;
    case Type::kTimeS:
      number = ParseTime(text, 1000000);
      break;
    default:
      number = ParseInt64(text);
  }
  if (!number) return Status::Error(expected);
  if (*number < option.low || *number > option.high) return Status::Error(BoundsError(option));
  return *number;
}

std::string PrintNumber(const Option& option, int64_t number) {
  if (option.type == Type::kOctal) {
    char digits[32];
    auto end = std::to_chars(digits, digits + sizeof digits, number, 8);
    return std::string(digits, end.ptr);
  }
  if (option.type == Type::kMemoryOrPercent && number < 0) return std::to_string(-number) + "%";
  // Redis's options are plain numbers in Redis's unit; ours show the unit, in the name or here.
  bool unit_in_name = !option.redis_name.empty() || option.name.ends_with("_ms");
  if (option.type == Type::kTimeMs && !unit_in_name) {
    return std::to_string(number) + "ms";
  }
  return std::to_string(number);
}

Result<Value> ParseNumber(const Option& option, const std::string& text) {
  auto number = ReadNumber(option, text);
  if (!number.ok()) return std::move(number).status();
  int64_t value = number.value();
  if (option.rule == Rule::kClampHz) value = std::clamp<int64_t>(value, 1, 500);
  return Value{PrintNumber(option, value), value};
}

Result<Value> ParseBool(const std::string& text) {
  if (EqualsIgnoreCase(text, "yes")) return Value{"yes", 1};
  if (EqualsIgnoreCase(text, "no")) return Value{"no", 0};
  return Status::Error("argument must be 'yes' or 'no'");
}

Status EnumError(const Option& option) {
  return Status::Error("argument(s) must be one of the following: " + Join(option.values));
}

std::optional<size_t> EnumIndex(const Option& option, const std::string& text) {
  for (size_t i = 0; i < option.values.size(); ++i) {
    if (EqualsIgnoreCase(option.values[i], text)) return i;
  }
  return std::nullopt;
}

Result<Value> ParseEnum(const Option& option, const std::string& text) {
  auto index = EnumIndex(option, text);
  if (!index) return EnumError(option);
  return Value{std::string(option.values[*index]), static_cast<int64_t>(*index)};
}

// The first of the values stands for none of the others.
Result<Value> ParseEnumSet(const Option& option, std::span<const std::string> words) {
  uint32_t bits = 0;
  if (words.empty()) return EnumError(option);
  for (const std::string& word : words) {
    auto index = EnumIndex(option, word);
    if (!index) return EnumError(option);
    if (*index > 0) bits |= 1u << *index;
  }
  std::string text;
  for (size_t i = 1; i < option.values.size(); ++i) {
    if ((bits & (1u << i)) == 0) continue;
    text += (text.empty() ? "" : " ") + std::string(option.values[i]);
  }
  if (text.find("save") == 0 && text.find("nosave") != std::string::npos) {
    return Status::Error("shutdown options SAVE and NOSAVE can't be used simultaneously");
  }
  return Value{text.empty() ? std::string(option.values[0]) : text, bits};
}

// Every {name} of a process title must be known, and every brace paired.
bool ValidProcTitle(std::string_view text) {
  constexpr std::string_view kKnown[] = {"title",    "listen-addr", "server-mode", "port",
                                         "tls-port", "unixsocket",  "config-file"};
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '}') return false;
    if (text[at] != '{') continue;
    size_t end = text.find('}', at);
    if (end == std::string_view::npos) return false;
    std::string_view name = text.substr(at + 1, end - at - 1);
    if (std::find(std::begin(kKnown), std::end(kKnown), name) == std::end(kKnown)) return false;
    at = end;
  }
  return true;
}

Result<Value> CheckedText(const Option& option, const std::string& text) {
  std::string name(option.redis_name);
  bool path = text.find('/') != std::string::npos || text.find('\\') != std::string::npos;
  if (text.find('\0') != std::string::npos) {
    return Status::Error("argument must not contain a NUL byte");
  }
  switch (option.rule) {
    case Rule::kFileNameNotEmpty:
      if (text.empty()) return Status::Error(name + " can't be empty");
      [[fallthrough]];
    case Rule::kFileName:
      if (path) return Status::Error(name + " can't be a path, just a filename");
      break;
    case Rule::kHostName: {
      auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '.';
      };
      if (text.size() >= 256) return Status::Error("Hostnames must be less than 256 characters");
      if (!std::all_of(text.begin(), text.end(), allowed)) {
        return Status::Error("Hostnames may only contain alphanumeric characters, hyphens or dots");
      }
      break;
    }
    case Rule::kProcTitle:
      if (!ValidProcTitle(text)) {
        return Status::Error("template format is invalid or contains unknown variables");
      }
      break;
    default:
      break;
  }
  return Value{text, 0};
}

// The absolute path of a directory.
Result<std::string> ExistingDirectory(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::path absolute = std::filesystem::canonical(path, error);
  if (error) return Status::Error(error.message());
  if (!std::filesystem::is_directory(absolute, error)) return Status::Error("Not a directory");
  return absolute.string();
}

// The absolute path that a directory would have if it were made now, in a parent that exists.
Result<std::string> NewDirectory(const std::filesystem::path& path) {
  std::filesystem::path parent = path.has_parent_path() ? path.parent_path() : ".";
  auto directory = ExistingDirectory(parent);
  if (!directory.ok()) return Status::Error(parent.string() + ": " + directory.message());
  return (std::filesystem::path(directory.value()) / path.filename()).string();
}

Result<Value> ParseDirectory(std::string text) {
  if (text.find('\0') != std::string::npos) {
    return Status::Error("argument must not contain a NUL byte");
  }
  if (text.empty()) return Status::Error("No such file or directory");
  while (text.size() > 1 && text.ends_with('/')) text.pop_back();
  std::error_code ignored;
  auto type = std::filesystem::symlink_status(text, ignored).type();
  bool absent = type == std::filesystem::file_type::not_found;
  auto path = absent ? NewDirectory(text) : ExistingDirectory(text);
  if (!path.ok()) return std::move(path).status();
  return Value{path.value(), 0};
}

Result<Value> ParseNotify(const std::string& text) {
  auto flags = ParseNotifyFlags(text);
  if (!flags) {
    return Status::Error("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
  }
  return Value{FormatNotifyFlags(*flags), *flags};
}

}  // namespace

Result<Value> ParseValue(const Option& option, std::span<const std::string> words,
                         const std::string& current) {
  if (!option.several_words() && words.size() != 1) {
    return Status::Error("wrong number of arguments");
  }
  switch (option.type) {
    case Type::kBool:
      return ParseBool(words[0]);
    case Type::kEnum:
      return ParseEnum(option, words[0]);
    case Type::kText:
      return CheckedText(option, words[0]);
    case Type::kDirectory:
      return ParseDirectory(words[0]);
    case Type::kNotify:
      return ParseNotify(words[0]);
    case Type::kEnumSet:
      return ParseEnumSet(option, words);
    case Type::kAddresses:
      return ParseAddresses(words);
    case Type::kPercentiles:
      return ParsePercentiles(words);
    case Type::kOutputBufferLimits:
      return ParseOutputBufferLimits(words, current);
    case Type::kSavePoints:
      return ParseSavePoints(words);
    case Type::kOomScores:
      return ParseOomScores(words);
    case Type::kReplicaOf:
      return ParseReplicaOf(words);
    default:
      return ParseNumber(option, words[0]);
  }
}

}  // namespace fluxkv::config
