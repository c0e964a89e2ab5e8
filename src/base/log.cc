#include "base/log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

namespace fluxkv {

Logger::Logger(std::shared_ptr<spdlog::logger> sink) : sink_(std::move(sink)) {}
Logger::~Logger() = default;

Result<std::unique_ptr<Logger>> Logger::Open(const std::string& file) {
  try {
    std::shared_ptr<spdlog::sinks::sink> sink;
    if (file.empty()) {
      sink = std::make_shared<spdlog::sinks::stdout_sink_mt>();
    } else {
      sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(file);
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
