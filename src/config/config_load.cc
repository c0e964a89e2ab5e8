// From nothing to a Config: defaults, file, overrides, command line.
#include <filesystem>

#include "base/parse.h"
#include "config/config.h"

namespace fluxkv::config {
namespace {

std::string Described(const Assignment& assignment) {
  std::string text = assignment.where + ": " + assignment.name;
  for (const std::string& word : assignment.words) text += " " + QuoteBytes(word);
  return text;
}

}  // namespace

Config::Config()
    : appliers_(AllOptions().size()),
      values_(AllOptions().size()),
      changed_(AllOptions().size(), false) {}

Result<std::unique_ptr<Config>> Config::Load(const CommandLine& line,
                                             std::vector<std::string>* notes) {
  std::unique_ptr<Config> config(new Config());
  Status status = config->LoadDefaults();
  if (!status.ok()) return status;
  status = config->LoadFiles(line.file, notes);
  if (!status.ok()) return status;
  status = config->Apply(line.assignments, notes);
  if (!status.ok()) return status;
  config->FillStart();
  return config;
}

Result<std::unique_ptr<Config>> Config::Load(const std::vector<std::string>& arguments,
                                             std::vector<std::string>* notes) {
  auto line = ParseCommandLine(arguments);
  if (!line.ok()) return std::move(line).status();
  return Load(line.value(), notes);
}

Status Config::LoadDefaults() {
  for (size_t i = 0; i < AllOptions().size(); ++i) {
    const Option& option = AllOptions()[i];
    auto value = ParseValue(option, SplitWords(option, option.fallback), "");
    if (!value.ok()) {
      return Status::Error("default of " + option.dotted_name() + ": " + value.message());
    }
    Store(i, value.value());
  }
  return {};
}

Status Config::LoadFiles(const std::string& file, std::vector<std::string>* notes) {
  if (!file.empty()) {
    auto assignments = IsTomlPath(file) ? ReadToml(file) : ReadRedisConf(file, notes);
    if (!assignments.ok()) return std::move(assignments).status();
    Status status = Apply(assignments.value(), notes);
    if (!status.ok()) return status;
    std::error_code error;
    std::filesystem::path absolute = std::filesystem::absolute(file, error);
    if (error) return Status::Error(file + ": " + error.message());
    path_ = absolute.string();
    override_path_ = absolute.replace_extension(".override.toml").string();
  }
  for (const Value& value : values_) base_.push_back(value.text);
  std::error_code error;
  if (override_path_.empty() || !std::filesystem::exists(override_path_, error)) return {};
  auto assignments = ReadToml(override_path_);
  if (!assignments.ok()) return std::move(assignments).status();
  for (Assignment& assignment : assignments.value()) assignment.lenient = true;
  Status status = Apply(assignments.value(), notes);
  if (!status.ok()) return status;
  for (const Assignment& assignment : assignments.value()) changed_[assignment.index] = true;
  notes->push_back(override_path_ + ": " + std::to_string(assignments.value().size()) +
                   " options that CONFIG REWRITE saved were read after " + path_);
  return {};
}

Status Config::Apply(const std::vector<Assignment>& assignments, std::vector<std::string>* notes) {
  for (const Assignment& assignment : assignments) {
    const Option& option = AllOptions()[assignment.index];
    auto value = ParseValue(option, assignment.words, values_[assignment.index].text);
    if (!value.ok()) {
      return Status::Error(Described(assignment) + ": " + value.message());
    }
    if (auto reason = UnsupportedAtStart(option, value.value())) {
      if (!assignment.lenient) return Status::Error(Described(assignment) + ": " + *reason);
      notes->push_back(Described(assignment) + ": ignored, " + *reason);
      continue;
    }
    Store(assignment.index, value.value());
  }
  return {};
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
  start_.databases = number("server.databases");
  start_.tcp_backlog = number("server.tcp_backlog");
  start_.daemonize = number("server.daemonize") != 0;
  start_.pidfile = value("server.pidfile").text;
  start_.supervised = static_cast<Supervised>(number("server.supervised"));
  start_.logfile = value("log.file").text;
  start_.debug_command = static_cast<Permission>(number("server.enable_debug_command"));
  start_.durability = static_cast<Durability>(number("durability.mode"));
  start_.isolation = static_cast<Isolation>(number("transactions.isolation"));
}

}  // namespace fluxkv::config
