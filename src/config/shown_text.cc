#include "config/shown_text.h"

#include <algorithm>

#include "base/parse.h"

namespace fluxkv::config {
namespace {

constexpr size_t kShownBytesMax = 128;

}  // namespace

std::string OneLine(std::string_view text) {
  std::string line(text.substr(0, kShownBytesMax));
  auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  std::replace_if(line.begin(), line.end(), control, ' ');
  return line;
}

std::string ShownValue(const Option& option, std::string_view text) {
  if (option.has(kSensitive)) return text.empty() ? "\"\"" : "(not shown)";
  std::string quoted = QuoteBytes(text.substr(0, kShownBytesMax));
  return text.size() > kShownBytesMax ? quoted + "..." : quoted;
}

}  // namespace fluxkv::config
