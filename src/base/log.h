// The log of the server: one line an event, to standard output or appended to a file, which is
// begun anew when it was moved away. The form is what Redis's tools read: "<pid>:M <date> <mark>
// <text>", where the mark is . - * # by level.
//
//   Result<std::unique_ptr<Logger>> log = Logger::Open(file);   // empty: standard output
//   log.value()->Notice("listening on {}:{}", address, port);
//
// Threads: all methods from any thread. A line below the level costs one relaxed load.
// Owns:    the file.
// Errors:  Open says what is wrong with the file; a line that cannot be written is dropped, for a
//          server must not stop when its disk is full.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/result.h"

namespace spdlog {
class logger;
}

namespace fluxkv {

class Logger {
 public:
  // In the order of the texts of loglevel.
  enum class Level : int { kDebug, kVerbose, kNotice, kWarning, kNothing };

  // Makes the file's folder if it is missing.
  static Result<std::unique_ptr<Logger>> Open(const std::string& file);
  ~Logger();
  Logger(const Logger&) = delete;
  Logger& operator=(const Logger&) = delete;

  void set_level(Level level) { level_.store(level, std::memory_order_relaxed); }
  bool enabled(Level level) const { return level >= level_.load(std::memory_order_relaxed); }

  template <class... A>
  void Debug(fmt::format_string<A...> form, A&&... a) {
    if (enabled(Level::kDebug)) Write('.', fmt::format(form, std::forward<A>(a)...));
  }
  template <class... A>
  void Verbose(fmt::format_string<A...> form, A&&... a) {
    if (enabled(Level::kVerbose)) Write('-', fmt::format(form, std::forward<A>(a)...));
  }
  template <class... A>
  void Notice(fmt::format_string<A...> form, A&&... a) {
    if (enabled(Level::kNotice)) Write('*', fmt::format(form, std::forward<A>(a)...));
  }
  template <class... A>
  void Warning(fmt::format_string<A...> form, A&&... a) {
    if (enabled(Level::kWarning)) Write('#', fmt::format(form, std::forward<A>(a)...));
  }

 private:
  explicit Logger(std::shared_ptr<spdlog::logger> sink);
  void Write(char mark, std::string_view text);

  std::shared_ptr<spdlog::logger> sink_;
  std::atomic<Level> level_{Level::kNotice};
};

}  // namespace fluxkv
