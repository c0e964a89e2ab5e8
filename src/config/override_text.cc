#include "config/override_text.h"

#include <filesystem>

#include "base/check.h"
#include "base/parse.h"
#include "config/human_number.h"
#include "config/linked_options.h"
#include "config/option_table.h"

namespace fluxkv::config {
namespace {

// What the linked options will be when durability.mode is read after the file: of the three it is
// the one to write, and appendfsync only where the mode leaves it open and it would be lost.
LinkedValues LinkedReadBack(const std::vector<Value>& base, const std::vector<Value>& values) {
  const auto& indexes = LinkedIndexes();
  LinkedValues before{};
  for (size_t i = 0; i < kLinkedOptions; ++i) before[i] = base[indexes[i]];
  GivenValues given{};
  given[kLinkedMode] = &values[indexes[kLinkedMode]];
  auto after = LinkedAfter(before, given);
  ASSERT(after.ok());  // one alone contradicts nothing
  return after.value();
}

std::string Heading(const std::string& path) {
  std::string file = QuoteBytes(std::filesystem::path(path).filename().string());
  return "# Written by CONFIG REWRITE: what was changed while running. Read after " + file +
         ",\n# whose options it stands above; the command line stands above both. The next\n"
         "# CONFIG REWRITE writes this file anew. Delete it to go back to what that one says.\n";
}

}  // namespace

Result<std::string> OverrideText(const std::string& path, const std::vector<Value>& base,
                                 const std::vector<Value>& values,
                                 const std::vector<bool>& changed) {
  std::string text = Heading(path);
  std::string section;
  LinkedValues linked = LinkedReadBack(base, values);
  for (size_t i = 0; i < values.size(); ++i) {
    auto position = LinkedOptionAt(i);
    bool by_mode = position && *position != kLinkedMode;
    const Value& otherwise = by_mode ? linked[*position] : base[i];
    if (!changed[i] || values[i].text == otherwise.text) continue;
    const Option& option = AllOptions()[i];
    std::string name = option.dotted_name();
    size_t dot = name.find('.');
    auto literal = TomlLiteral(option, HumanText(option, values[i].text));
    if (!literal) {
      return Status::Error("the value of " + name + " is not UTF-8 and TOML cannot hold it");
    }
    if (name.substr(0, dot) != section) {
      section = name.substr(0, dot);
      text += "\n[" + section + "]\n";
    }
    text += name.substr(dot + 1) + " = " + *literal + "\n";
  }
  return text;
}

}  // namespace fluxkv::config
