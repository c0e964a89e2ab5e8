// One line that says how far a long read of a file is: keys, megabytes, percent, keys a second.
// Once a second on a terminal, in place; elsewhere a new line every ten seconds.
//
//   Progress progress(stderr, file_size);
//   progress.Begin("importing");
//   progress.Show(keys, offset);   // as often as there is something new
//   progress.End();
//
// Threads: one.
// Owns:    nothing; the stream must outlive it.
// Errors:  none; what cannot be shown is not.
#pragma once

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>

namespace fluxkv::tools {

class Progress {
 public:
  Progress(std::FILE* out, std::optional<uint64_t> total_bytes);

  void Begin(std::string what);
  void Show(uint64_t keys, uint64_t bytes);
  // Leaves the cursor at the beginning of a line.
  void End();

 private:
  void Print(uint64_t keys, uint64_t bytes, int64_t now_ns);

  std::FILE* const out_;
  const std::optional<uint64_t> total_bytes_;
  const bool terminal_;
  std::string what_;
  int64_t begun_ns_ = 0;
  int64_t shown_ns_ = 0;
  bool line_open_ = false;
};

}  // namespace fluxkv::tools
