// The command line: [FILE] [--name value ...], --help, --version, --check.
//
//   auto line = ParseCommandLine({"fluxkv.toml", "--port", "7000"});
//   if (line.value().mode == CommandLine::kHelp) std::cout << HelpText("fluxkv");
//
// Threads: pure function. Errors: one line that names the option and what is allowed.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "config/source.h"

namespace fluxkv::config {

struct CommandLine {
  enum Mode { kRun, kCheck, kHelp, kVersion };
  Mode mode = kRun;
  std::string file;  // empty: none given
  std::vector<Assignment> assignments;
};

// `arguments` without the program's name.
Result<CommandLine> ParseCommandLine(const std::vector<std::string>& arguments);

}  // namespace fluxkv::config
