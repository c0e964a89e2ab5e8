#include "base/parse.h"
#include "config/linked_options.h"
#include "config/option_table.h"

namespace fluxkv::config {
namespace {

constexpr size_t kColumns = 100;

std::string OptionHelp(const Option& option) {
  std::string line = "  --" + std::string(option.name);
  for (std::string_view other : {option.redis_name, option.short_name}) {
    if (!other.empty()) line += ", --" + std::string(other);
  }
  std::string fallback = option.fallback.empty() ? "\"\"" : std::string(option.fallback);
  return line + "\n      " + std::string(option.comment) + " Default: " + fallback + ".\n";
}

// `words` separated by commas, in lines of at most kColumns.
std::string Wrapped(const std::vector<std::string_view>& words) {
  std::string text;
  std::string line = " ";
  for (std::string_view word : words) {
    if (line.size() + word.size() + 2 > kColumns) {
      text += line + "\n";
      line = " ";
    }
    line += " " + std::string(word) + ",";
  }
  if (line.ends_with(",")) line.pop_back();
  return text + line + "\n";
}

}  // namespace

std::string HelpText(std::string_view program) {
  std::string text = "Usage: " + std::string(program) +
                     " [FILE] [--name value ...]\n\n"
                     "FILE is a TOML file (name ends with .toml) or a redis.conf.\n\n"
                     "  --help, --version\n"
                     "  --check\n      Validate the file and the options, and leave.\n";
  std::string section;
  std::vector<std::string_view> compatibility;
  std::vector<std::string_view> linked;
  for (size_t i = 0; i < AllOptions().size(); ++i) {
    const Option& option = AllOptions()[i];
    if (option.compatibility_only()) {
      auto& names = LinkedOptionAt(i) ? linked : compatibility;
      if (!option.has(kHidden)) names.push_back(option.redis_name);
      continue;
    }
    std::string own(option.name.substr(0, option.name.find('.')));
    if (own != section) text += "\n[" + own + "]\n";
    section = own;
    text += OptionHelp(option);
  }
  text += "\nOptions of Redis that set durability.mode:\n" + Wrapped(linked);
  return text + "\nOptions of Redis accepted for compatibility, without effect:\n" +
         Wrapped(compatibility);
}

}  // namespace fluxkv::config
