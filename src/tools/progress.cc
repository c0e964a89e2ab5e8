#include "tools/progress.h"

#include <utility>

#include <fmt/format.h>
#include <unistd.h>

#include "base/clock.h"

namespace fluxkv::tools {
namespace {

constexpr int64_t kTerminalNs = 1'000'000'000;
constexpr int64_t kElsewhereNs = 10'000'000'000;
constexpr uint64_t kBytesPerMegabyte = 1'000'000;

}  // namespace

Progress::Progress(std::FILE* out, std::optional<uint64_t> total_bytes)
    : out_(out), total_bytes_(total_bytes), terminal_(isatty(fileno(out)) == 1) {}

void Progress::Begin(std::string what) {
  End();
  what_ = std::move(what);
  begun_ns_ = shown_ns_ = MonotonicNs();
}

void Progress::Show(uint64_t keys, uint64_t bytes) {
  int64_t now_ns = MonotonicNs();
  if (now_ns - shown_ns_ >= (terminal_ ? kTerminalNs : kElsewhereNs)) Print(keys, bytes, now_ns);
}

void Progress::Print(uint64_t keys, uint64_t bytes, int64_t now_ns) {
  shown_ns_ = now_ns;
  std::string line = fmt::format("{}: {} keys, {}", what_, keys, bytes / kBytesPerMegabyte);
  if (total_bytes_ && *total_bytes_ > 0) {
    line += fmt::format(" of {} MB ({:.0f}%)", *total_bytes_ / kBytesPerMegabyte,
                        100.0 * static_cast<double>(bytes) / static_cast<double>(*total_bytes_));
  } else {
    line += " MB";
  }
  double seconds = static_cast<double>(now_ns - begun_ns_) / 1e9;
  line += fmt::format(", {:.0f} keys/s", static_cast<double>(keys) / seconds);
  // On a terminal: back to the beginning of the line, and clear what is left of the one before.
  std::fprintf(out_, terminal_ ? "\r%s\x1b[K" : "%s\n", line.c_str());
  std::fflush(out_);
  line_open_ = terminal_;
}

void Progress::End() {
  if (line_open_) std::fputc('\n', out_);
  line_open_ = false;
}

}  // namespace fluxkv::tools
