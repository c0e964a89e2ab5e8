// From nothing to a Config: defaults, file, overrides, command line.
#include <algorithm>
#include <filesystem>

#include "base/check.h"
#include "base/parse.h"
#include "config/combination.h"
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
  Loading loading{notes, {}};
  status = config->LoadFiles(line.file, &loading);
  if (!status.ok()) return status;
  status = config->Apply(line.assignments, &loading);
  if (!status.ok()) return status;
  status = config->CheckLoaded(loading);
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
    // A default directory that cannot be used matters only if no other is given: CheckLoaded.
    if (!value.ok() && option.type == Type::kDirectory) continue;
    if (!value.ok()) {
      return Status::Error("default of " + option.dotted_name() + ": " + value.message());
    }
    Store(i, value.value());
  }
  return {};
}

Status Config::LoadFiles(const std::string& file, Loading* loading) {
  if (!file.empty()) {
    auto assignments = IsTomlPath(file) ? ReadToml(file) : ReadRedisConf(file, loading->notes);
    if (!assignments.ok()) return std::move(assignments).status();
    Status status = Apply(assignments.value(), loading);
    if (!status.ok()) return status;
    std::error_code error;
    std::filesystem::path absolute = std::filesystem::absolute(file, error);
    if (error) return Status::Error(file + ": " + error.message());
    path_ = absolute.string();
    override_path_ = absolute.replace_extension(".override.toml").string();
  }
  base_ = values_;
  std::error_code error;
  if (override_path_.empty() || !std::filesystem::exists(override_path_, error)) return {};
  return LoadOverrides(loading);
}

Status Config::LoadOverrides(Loading* loading) {
  auto assignments = ReadToml(override_path_);
  if (!assignments.ok()) return std::move(assignments).status();
  for (Assignment& assignment : assignments.value()) assignment.lenient = true;
  Status status = Apply(assignments.value(), loading);
  if (!status.ok()) return status;
  for (const Assignment& assignment : assignments.value()) MarkChanged(assignment.index);
  loading->notes->push_back(override_path_ + ": " + std::to_string(assignments.value().size()) +
                            " options that CONFIG REWRITE saved were read after " + path_);
  return {};
}

Status Config::Apply(const std::vector<Assignment>& assignments, Loading* loading) {
  bool has_save_points = false;
  for (const Assignment& assignment : assignments) {
    const Option& option = AllOptions()[assignment.index];
    const std::string& current = values_[assignment.index].text;
    std::vector<std::string> words = assignment.words;
    if (option.type == Type::kSavePoints) {
      if (has_save_points) words = AddSavePoints(current, words);
      has_save_points = true;
    }
    auto value = ParseValue(option, words, current);
    if (!value.ok()) {
      return Status::Error(Described(assignment) + ": " + value.message());
    }
    if (auto reason = UnsupportedReason(option, value.value())) {
      if (!assignment.lenient) return Status::Error(Described(assignment) + ": " + *reason);
      loading->notes->push_back(Described(assignment) + ": ignored, " + *reason);
      continue;
    }
    loading->given.emplace_back(assignment.index, Described(assignment));
    if (auto linked = LinkedOptionAt(assignment.index)) {
      ApplyLinked(*linked, value.value());
    } else {
      Store(assignment.index, value.value());
    }
  }
  return {};
}

void Config::ApplyLinked(LinkedOption linked, const Value& value) {
  GivenValues given{};
  given[linked] = &value;
  auto after = LinkedAfter(LinkedNow(), given);
  CHECK(after.ok());  // one alone contradicts nothing
  for (size_t i = 0; i < kLinkedOptions; ++i) Store(LinkedIndexes()[i], after.value()[i]);
}

Status Config::CheckLoaded(const Loading& loading) const {
  for (size_t i = 0; i < values_.size(); ++i) {
    const Option& option = AllOptions()[i];
    if (option.type != Type::kDirectory || !values_[i].text.empty()) continue;
    std::vector<std::string> words = {std::string(option.fallback)};
    return Status::Error("default of " + option.dotted_name() + " " + QuoteBytes(words[0]) + ": " +
                         ParseValue(option, words, "").message());
  }
  Status status = CheckCombination(values_);
  if (status.ok()) return {};
  auto last = std::find_if(loading.given.rbegin(), loading.given.rend(),
                           [](const auto& given) { return IsCombined(given.first); });
  CHECK(last != loading.given.rend());  // the defaults go together
  return Status::Error(last->second + ": " + status.message());
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
  start_.data_dir = value("durability.dir").text;
  start_.segment_bytes = value("durability.segment_bytes").number;
  start_.segments = number("durability.segments");
  start_.save_points = SavePointsOf(value("durability.save").text);
  start_.isolation = static_cast<Isolation>(number("transactions.isolation"));
}

}  // namespace fluxkv::config
