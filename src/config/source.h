// Where values come from: TOML files and redis.conf files become lists of assignments, checked for
// names but not yet for values. (The command line is in command_line.h.)
// Threads: pure functions over the file system.
// Errors:  one line with file, line and what is allowed.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace fluxkv::config {

struct Assignment {
  size_t index;  // in AllOptions()
  std::string name;
  std::vector<std::string> words;
  std::string where;  // "fluxkv.toml:12" or "command line"
  // What this version cannot do is noted and left out:
  // from a redis.conf, or saved by CONFIG REWRITE.
  bool lenient = false;
};

inline constexpr size_t kConfigFileBytesMax = 1 << 20;

// The text of a regular file of at most kConfigFileBytesMax.
Result<std::string> ReadConfigFile(const std::string& path);
// In the order of the lines.
Result<std::vector<Assignment>> ReadToml(const std::string& path);
// The same of a text that is, or is to be, in the file.
Result<std::vector<Assignment>> ParseToml(const std::string& text, const std::string& path);
// Follows `include`, at most 8 deep. Without a `save` line, Redis's default save points are among
// them. What is ignored or added is told in `notes`, as "file:line: name: reason".
Result<std::vector<Assignment>> ReadRedisConf(const std::string& path,
                                              std::vector<std::string>* notes);
// By the name of the file: .toml, or else redis.conf.
bool IsTomlPath(const std::string& path);

// "unknown option 'prot', the nearest is 'port'".
std::string UnknownOption(const std::string& name);

}  // namespace fluxkv::config
