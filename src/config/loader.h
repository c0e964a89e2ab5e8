// From files and command line to the values of all options. A start and a reload read them in the
// same way: defaults, the file, what CONFIG REWRITE wrote beside it, the command line, each above
// the one before.
//
//   auto loaded = LoadValues(sources, &notes);   // notes: lines for the log
//   loaded.value().values[OptionIndex("port")].text
//
// Threads: a pure function over the file system. Errors: one line with file, line and what is
// allowed.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "config/option_value.h"
#include "config/source.h"

namespace fluxkv::config {

struct Sources {
  std::string path;           // the file: .toml, or else a redis.conf; empty: none
  std::string override_path;  // beside it; it need not exist; empty without a file
  std::string directory;      // what a relative option dir is meant from; empty: the current one
  std::vector<Assignment> command_line;
};

// All by index of the option.
struct LoadedValues {
  std::vector<Value> values;
  std::vector<Value> base;  // after defaults and file
  std::vector<bool> saved;  // by CONFIG REWRITE; linked options together
};

// Every value is valid, and they go together. `notes` gets a line for everything that was left out
// or deserves a line in the log.
Result<LoadedValues> LoadValues(const Sources& sources, std::vector<std::string>* notes);

// Marks the option, and with it those that are linked with it: they are saved together.
void MarkWithLinked(size_t index, std::vector<bool>* marks);

}  // namespace fluxkv::config
