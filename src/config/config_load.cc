// From nothing to a Config.
#include <filesystem>

#include "config/config.h"

namespace fluxkv::config {

Config::Config()
    : appliers_(AllOptions().size()), waiting_(AllOptions().size()), values_(AllOptions().size()) {}

Result<std::unique_ptr<Config>> Config::Load(const CommandLine& line,
                                             std::vector<std::string>* notes) {
  std::unique_ptr<Config> config(new Config());
  Sources& sources = config->sources_;
  sources.path = line.file;
  sources.command_line = line.assignments;
  // The process may go to another directory; all paths stay what they are now.
  std::error_code error;
  std::filesystem::path absolute;
  if (!line.file.empty()) absolute = std::filesystem::absolute(line.file, error);
  if (error) return Status::Error(line.file + ": " + error.message());
  if (!line.file.empty()) {
    sources.override_path =
        std::filesystem::path(absolute).replace_extension(".override.toml").string();
  }
  auto loaded = LoadValues(sources, notes);
  if (!loaded.ok()) return std::move(loaded).status();
  sources.path = absolute.string();
  sources.directory = std::filesystem::current_path(error).string();
  for (size_t i = 0; i < loaded.value().values.size(); ++i) {
    config->Store(i, loaded.value().values[i]);
  }
  config->base_ = std::move(loaded.value().base);
  config->changed_ = std::move(loaded.value().saved);
  config->FillStart();
  return config;
}

Result<std::unique_ptr<Config>> Config::Load(const std::vector<std::string>& arguments,
                                             std::vector<std::string>* notes) {
  auto line = ParseCommandLine(arguments);
  if (!line.ok()) return std::move(line).status();
  return Load(line.value(), notes);
}

void Config::FillStart() {
  auto value = [&](std::string_view name) -> const Value& { return values_[OptionIndex(name)]; };
  auto number = [&](std::string_view name) { return static_cast<int>(value(name).number); };
  const Option& bind = AllOptions()[OptionIndex("server.bind")];
  start_.bind = SplitWords(bind, value("server.bind").text);
  start_.port = number("server.port");
  start_.unixsocket = value("server.unixsocket").text;
  start_.unixsocketperm = number("server.unixsocketperm");
  start_.threads = number("server.threads");
  start_.io_uring = number("server.io_uring") != 0;
  start_.databases = number("server.databases");
  start_.tcp_backlog = number("server.tcp_backlog");
  start_.daemonize = number("server.daemonize") != 0;
  start_.pidfile = value("server.pidfile").text;
  start_.supervised = static_cast<Supervised>(number("server.supervised"));
  start_.logfile = value("log.file").text;
  start_.debug_command = static_cast<Permission>(number("server.enable_debug_command"));
  start_.durability = static_cast<Durability>(number("durability.mode"));
  start_.data_dir = value("durability.dir").text;
  start_.segment_bytes = value("durability.segment_bytes").number;
  start_.segments = number("durability.segments");
  start_.save_points = SavePointsOf(value("durability.save").text);
  start_.isolation = static_cast<Isolation>(number("transactions.isolation"));
}

}  // namespace fluxkv::config
