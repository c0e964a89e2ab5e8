// How large a data directory is, and its copy for whoever looks into a failure.
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <string>

namespace fluxkv::crash {

struct DirectorySize {
  uint64_t bytes = 0;
  uint64_t log = 0;               // of them in segments, those to spare too
  uint64_t largest_snapshot = 0;  // a finished one, or one that is being written
  std::string newest_snapshot;    // the name of the last finished one
  std::string files;              // each with its size
};
DirectorySize SizeOf(const std::string& directory);

// `to` holds what `from` holds, and nothing else.
void CopyDirectory(const std::string& from, const std::string& to);

}  // namespace fluxkv::crash
