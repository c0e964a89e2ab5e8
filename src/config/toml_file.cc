// All that is known of TOML's syntax: reading a file, and writing a literal.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <stdexcept>

// toml++ 3.3 asserts on some wrong texts, "[[[" at the start of a line for one, and without asserts
// goes on undefined. Here its assertions throw instead, in every build, and become an error like
// any other.
#undef NDEBUG

namespace fluxkv::config::internal {
constexpr void TomlAssert(bool condition) {
  if (!condition) throw std::logic_error("unexpected character");
}
}  // namespace fluxkv::config::internal

#define TOML_ASSERT(condition) ::fluxkv::config::internal::TomlAssert(static_cast<bool>(condition))
#include <toml++/toml.h>

#include "base/parse.h"
#include "config/option_table.h"
#include "config/option_value.h"
#include "config/shown_text.h"
#include "config/source.h"
#include "config/toml_depth.h"

namespace fluxkv::config {
namespace {

struct TomlResult {
  toml::table table;
  std::string error;  // empty when good
  size_t line = 0;    // of the error; 0: not known
};

// The only place where toml++ may throw.
TomlResult ParseText(std::string_view text) {
  try {
    return {toml::parse(text), ""};
  } catch (const toml::parse_error& error) {
    return {{}, std::string(error.description()), error.source().begin.line};
  } catch (const std::exception& error) {
    return {{}, error.what()};
  }
}

// An assertion does not say where: the first line with which the text before it fails
// that way, by bisection.
size_t LineOfAssertion(std::string_view text) {
  std::vector<size_t> ends;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '\n' || at + 1 == text.size()) ends.push_back(at + 1);
  }
  auto asserts = [&](size_t end) {
    TomlResult part = ParseText(text.substr(0, end));
    return !part.error.empty() && part.line == 0;
  };
  auto first =
      std::partition_point(ends.begin(), ends.end(), [&](size_t end) { return !asserts(end); });
  return static_cast<size_t>(first - ends.begin()) + 1;
}

// The error begins with file and line.
TomlResult ParseChecked(const std::string& text, const std::string& path) {
  if (auto line = LineOfTooManyDots(text)) {
    return {{}, path + ":" + std::to_string(*line) + ": too many dots outside of texts"};
  }
  TomlResult result = ParseText(text);
  if (result.error.empty()) return result;
  if (result.line == 0) result.line = LineOfAssertion(text);
  result.error =
      path + ":" + std::to_string(result.line) + ": not valid TOML: " + OneLine(result.error);
  return result;
}

std::string FormatDouble(double value) {
  char text[64];
  auto end = std::to_chars(text, text + sizeof text, value);
  return std::string(text, end.ptr);
}

// A scalar as the words that the command line would give; nullopt for dates and tables.
std::optional<std::string> ScalarText(const Option& option, const toml::node& node) {
  if (auto text = node.value_exact<std::string>()) return *text;
  if (auto truth = node.value_exact<bool>()) return *truth ? "yes" : "no";
  if (auto number = node.value_exact<int64_t>()) {
    if (option.type != Type::kOctal) return std::to_string(*number);
    char digits[32];
    auto end = std::to_chars(digits, digits + sizeof digits, *number, 8);
    return std::string(digits, end.ptr);
  }
  if (auto number = node.value_exact<double>()) return FormatDouble(*number);
  return std::nullopt;
}

std::optional<std::vector<std::string>> NodeWords(const Option& option, const toml::node& node) {
  std::vector<std::string> words;
  if (const toml::array* array = node.as_array()) {
    if (!option.several_words()) return std::nullopt;
    for (const toml::node& element : *array) {
      auto text = ScalarText(option, element);
      if (!text) return std::nullopt;
      words.push_back(*text);
    }
    return words;
  }
  auto text = ScalarText(option, node);
  if (!text) return std::nullopt;
  return SplitWords(option, *text);
}

struct Entry {
  uint32_t line;
  std::string name;
  const toml::node* node;
};

// All keys as dotted names, in the order of the lines. A key outside a section has no dot.
std::vector<Entry> Entries(const toml::table& table) {
  std::vector<Entry> entries;
  for (auto&& [key, node] : table) {
    std::string section(key.str());
    const toml::table* inside = node.as_table();
    if (inside == nullptr || !IsOptionSection(section)) {
      entries.push_back({key.source().begin.line, section, &node});
      continue;
    }
    for (auto&& [inner, value] : *inside) {
      entries.push_back(
          {inner.source().begin.line, section + "." + std::string(inner.str()), &value});
    }
  }
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.line < b.line; });
  return entries;
}

std::string SectionNames() {
  std::string names;
  std::string last;
  for (const Option& option : AllOptions()) {
    std::string name = option.dotted_name();
    std::string section = name.substr(0, name.find('.'));
    if (section != last) names += (names.empty() ? "" : ", ") + section;
    last = section;
  }
  return names;
}

std::string UnknownEntry(const Entry& entry) {
  if (entry.name.find('.') != std::string::npos) return UnknownOption(entry.name);
  if (entry.node->is_table()) {
    return "unknown section '" + OneLine(entry.name) + "', the sections are " + SectionNames();
  }
  return "option '" + OneLine(entry.name) + "' stands outside a section, the sections are " +
         SectionNames();
}

bool ValidUtf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    auto byte = static_cast<unsigned char>(text[at]);
    size_t length = byte < 0x80 ? 1 : byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
    if (byte >= 0xf8 || (byte >= 0x80 && byte < 0xc2) || at + length > text.size()) return false;
    uint32_t code = length == 1 ? byte : byte & (0xff >> (length + 1));
    for (size_t i = 1; i < length; ++i) {
      auto next = static_cast<unsigned char>(text[at + i]);
      if ((next & 0xc0) != 0x80) return false;
      code = (code << 6) | (next & 0x3f);
    }
    bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
    if (overlong || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return false;
    at += length;
  }
  return true;
}

}  // namespace

Result<std::string> ReadConfigFile(const std::string& path) {
  std::error_code error;
  auto status = std::filesystem::status(path, error);
  if (status.type() == std::filesystem::file_type::not_found) {
    return Status::Error(path + ": no such file");
  }
  if (error) return Status::Error(path + ": " + error.message());
  if (!std::filesystem::is_regular_file(status)) {
    return Status::Error(path + ": not a regular file");
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) return Status::Error(path + ": cannot be read");
  std::string text(kConfigFileBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) return Status::Error(path + ": cannot be read");
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > kConfigFileBytesMax) {
    return Status::Error(path + ": larger than 1mb, too large for a configuration file");
  }
  return text;
}

bool IsTomlPath(const std::string& path) {
  return ToLower(path).ends_with(".toml");
}

std::string UnknownOption(const std::string& name) {
  return "unknown option '" + OneLine(name) + "', the nearest is '" + NearestOptionName(name) + "'";
}

Result<std::vector<Assignment>> ReadToml(const std::string& path) {
  auto text = ReadConfigFile(path);
  if (!text.ok()) return std::move(text).status();
  return ParseToml(text.value(), path);
}

Result<std::vector<Assignment>> ParseToml(const std::string& text, const std::string& path) {
  TomlResult parsed = ParseChecked(text, path);
  if (!parsed.error.empty()) return Status::Error(parsed.error);
  std::vector<Assignment> assignments;
  for (const Entry& entry : Entries(parsed.table)) {
    std::string where = path + ":" + std::to_string(entry.line);
    const OptionName* found = FindOption(entry.name);
    if (found == nullptr || found->kind != NameKind::kDotted) {
      return Status::Error(where + ": " + UnknownEntry(entry));
    }
    auto words = NodeWords(AllOptions()[found->index], *entry.node);
    if (!words) {
      return Status::Error(where + ": " + entry.name +
                           ": the value must be a text, a number, or true or false");
    }
    assignments.push_back({found->index, entry.name, *words, where});
  }
  return assignments;
}

std::optional<std::string> TomlLiteral(const Option& option, std::string_view text) {
  if (option.type == Type::kBool) return text == "yes" ? "true" : "false";
  bool number = option.type == Type::kInt || option.type == Type::kMemory ||
                option.type == Type::kMemoryOrPercent || option.type == Type::kTimeUs ||
                option.type == Type::kTimeMs || option.type == Type::kTimeS;
  if (number && ParseInt64(text)) return std::string(text);
  if (!ValidUtf8(text)) return std::nullopt;
  std::string literal = "\"";
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') literal += '\\';
    if (byte >= 0x20 && byte != 0x7f) {
      literal += c;
      continue;
    }
    constexpr char kHex[] = "0123456789ABCDEF";
    literal += std::string("\\u00") + kHex[byte >> 4] + kHex[byte & 15];
  }
  return literal + "\"";
}

}  // namespace fluxkv::config
