#include "config/command_line.h"

#include "base/parse.h"
#include "config/option_table.h"
#include "config/option_value.h"
#include "config/shown_text.h"

namespace fluxkv::config {
namespace {

bool IsName(const std::string& argument) {
  return argument.starts_with("--");
}

// "--name value" given as one argument, as a unit file may: split in place.
Status SplitFirst(std::string* name, std::vector<std::string>* words) {
  if (name->find(' ') == std::string::npos) return {};
  auto parts = SplitArguments(*name);
  if (!parts || parts->empty())
    return Status::Error("command line: unbalanced quotes in " + OneLine(*name));
  *name = (*parts)[0];
  words->assign(parts->begin() + 1, parts->end());
  return {};
}

// Reads the option at `*at` and moves past it and its words. An option of one word takes the next
// argument, whatever it looks like; then and for the others, words go on until the next argument
// that begins with "--".
Result<Assignment> ReadOption(const std::vector<std::string>& arguments, size_t* at) {
  std::string name = arguments[(*at)++].substr(2);
  std::vector<std::string> words;
  Status split = SplitFirst(&name, &words);
  if (!split.ok()) return split;
  const OptionName* found = FindOption(name);
  if (found == nullptr) return Status::Error("command line: " + UnknownOption(name));
  const Option& option = AllOptions()[found->index];
  if (!option.several_words() && words.empty() && *at < arguments.size()) {
    words.push_back(arguments[(*at)++]);
  }
  while (*at < arguments.size() && !IsName(arguments[*at])) words.push_back(arguments[(*at)++]);
  if (words.size() == 1) words = SplitWords(option, words[0]);
  return Assignment{found->index, "--" + name, std::move(words), "command line"};
}

}  // namespace

Result<CommandLine> ParseCommandLine(const std::vector<std::string>& arguments) {
  CommandLine line;
  size_t at = 0;
  if (!arguments.empty() && !arguments[0].starts_with("-")) line.file = arguments[at++];
  while (at < arguments.size()) {
    const std::string& argument = arguments[at];
    if (argument == "--help" || argument == "-h") {
      line.mode = CommandLine::kHelp;
      return line;
    }
    if (argument == "--version" || argument == "-v") {
      line.mode = CommandLine::kVersion;
      return line;
    }
    if (argument == "--check") {
      line.mode = CommandLine::kCheck;
      ++at;
      continue;
    }
    if (!IsName(argument)) {
      return Status::Error("command line: '" + OneLine(argument) +
                           "' is not expected here, allowed is [FILE] [--name value ...]");
    }
    auto assignment = ReadOption(arguments, &at);
    if (!assignment.ok()) return std::move(assignment).status();
    line.assignments.push_back(std::move(assignment.value()));
  }
  return line;
}

}  // namespace fluxkv::config
