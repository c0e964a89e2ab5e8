#include "base/log.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <system_error>

#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

namespace fluxkv {

namespace {

// Opens its file for each line, as Redis does: when logrotate or the like has moved it away, the
// next line begins a new one. While that fails (no descriptors, no such folder) it goes on with the
// one it has.
class FileSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit FileSink(std::string path) : path_(std::move(path)) {}

  // False, with errno: it cannot be opened.
  bool Open() {
    std::unique_ptr<std::FILE, Closer> file(std::fopen(path_.c_str(), "ae"));
    if (file == nullptr) return false;
    file_ = std::move(file);
    return true;
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    Open();
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    std::fwrite(line.data(), 1, line.size(), file_.get());
  }
  void flush_() override { std::fflush(file_.get()); }  // what a full disk does not take is dropped

 private:
  struct Closer {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  const std::string path_;
  std::unique_ptr<std::FILE, Closer> file_;
};

}  // namespace

Logger::Logger(std::shared_ptr<spdlog::logger> sink) : sink_(std::move(sink)) {}
Logger::~Logger() = default;

Result<std::unique_ptr<Logger>> Logger::Open(const std::string& file) {
  try {
    std::shared_ptr<spdlog::sinks::sink> sink;
    if (file.empty()) {
      sink = std::make_shared<spdlog::sinks::stdout_sink_mt>();
    } else {
      // A program may change its working directory later.
      std::error_code ignored;  // Open tells
      const auto path = std::filesystem::absolute(file, ignored);
      std::filesystem::create_directories(path.parent_path(), ignored);
      auto appending = std::make_shared<FileSink>(path.string());
      if (!appending->Open())
        return Status::Error("cannot open log file '" + file + "': " + std::strerror(errno));
      sink = std::move(appending);
    }
    auto logger = std::make_shared<spdlog::logger>("fluxkv", std::move(sink));
    logger->set_pattern("%P:M %d %b %Y %H:%M:%S.%e %v");
    logger->set_level(spdlog::level::trace);
    logger->flush_on(spdlog::level::trace);
    logger->set_error_handler([](const std::string&) {});
    return std::unique_ptr<Logger>(new Logger(std::move(logger)));
  } catch (const spdlog::spdlog_ex& error) {
    return Status::Error("cannot open log file '" + file + "': " + error.what());
  }
}

void Logger::Write(char mark, std::string_view text) {
  sink_->info("{} {}", mark, text);
}

}  // namespace fluxkv
