#include "base/log.h"

#include <cerrno>
#include <cstring>
#include <mutex>

#include <fcntl.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <sys/stat.h>
#include <unistd.h>

namespace fluxkv {

namespace {

// Appends to a file. Where Redis opens it for each line, this one looks whether it is still there:
// when logrotate or the like has moved it away, the next line begins a new one.
class FileSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit FileSink(std::string path) : path_(std::move(path)) {}
  ~FileSink() override { Close(); }

  // False, with errno: it cannot be opened.
  bool Open() {
    Close();
    fd_ = open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    struct stat now = {};
    if (fd_ < 0 || fstat(fd_, &now) != 0) return false;
    device_ = now.st_dev;
    inode_ = now.st_ino;
    return true;
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    struct stat now = {};
    const bool there =
        fd_ >= 0 && stat(path_.c_str(), &now) == 0 && now.st_dev == device_ && now.st_ino == inode_;
    if (!there && !Open()) return;
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    // What a full disk does not take is dropped.
    static_cast<void>(!write(fd_, line.data(), line.size()));
  }
  void flush_() override {}

 private:
  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

  const std::string path_;
  int fd_ = -1;
  dev_t device_ = 0;
  ino_t inode_ = 0;
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
      auto appending = std::make_shared<FileSink>(file);
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
