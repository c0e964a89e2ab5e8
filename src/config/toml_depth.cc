#include "config/toml_depth.h"

#include <algorithm>

namespace fluxkv::config {
namespace {

// Behind a text that begins with the quote at `at`. A text in three quotes ends with the last of up
// to five; one in a single quote ends with its line, closed or not.
size_t EndOfQuoted(std::string_view text, size_t at) {
  const char quote = text[at];
  const std::string_view three = quote == '"' ? "\"\"\"" : "'''";
  const bool long_text = text.substr(at, 3) == three;
  at += long_text ? 3 : 1;
  while (at < text.size()) {
    if (quote == '"' && text[at] == '\\') {
      at += 2;
    } else if (!long_text && (text[at] == quote || text[at] == '\n')) {
      return text[at] == quote ? at + 1 : at;
    } else if (long_text && text.substr(at, 3) == three) {
      at += 3;
      for (int extra = 0; extra < 2 && at < text.size() && text[at] == quote; ++extra) ++at;
      return at;
    } else {
      ++at;
    }
  }
  return text.size();
}

}  // namespace

std::optional<size_t> LineOfTooManyDots(std::string_view text) {
  size_t dots = 0;
  for (size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (c == '"' || c == '\'') {
      at = EndOfQuoted(text, at);
      continue;
    }
    if (c == '#') {
      at = std::min(text.find('\n', at), text.size());
      continue;
    }
    if (c == '.' && ++dots > kTomlDotsMax) {
      return static_cast<size_t>(
          1 + std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(at), '\n'));
    }
    ++at;
  }
  return std::nullopt;
}

}  // namespace fluxkv::config
