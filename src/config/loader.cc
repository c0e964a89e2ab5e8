#include "config/loader.h"

#include <algorithm>
#include <filesystem>

#include "base/check.h"
#include "config/combination.h"
#include "config/linked_options.h"
#include "config/option_table.h"
#include "config/shown_text.h"

namespace fluxkv::config {
namespace {

constexpr size_t kShownWordsMax = 16;

std::string Described(const Assignment& assignment) {
  std::string text = assignment.where + ": " + assignment.name;
  const Option& option = AllOptions()[assignment.index];
  for (size_t i = 0; i < std::min(assignment.words.size(), kShownWordsMax); ++i) {
    text += " " + ShownValue(option, assignment.words[i]);
  }
  return assignment.words.size() > kShownWordsMax ? text + " ..." : text;
}

class Loader {
 public:
  Loader(const Sources& sources, std::vector<std::string>* notes)
      : sources_(sources), notes_(notes) {
    loaded_.values.resize(AllOptions().size());
    loaded_.saved.resize(AllOptions().size(), false);
  }

  Status Run() {
    Status status = Defaults();
    if (status.ok()) status = File();
    loaded_.base = loaded_.values;
    if (status.ok()) status = Overrides();
    if (status.ok()) status = CommandLine();
    return status.ok() ? CheckAll() : std::move(status);
  }

  LoadedValues& loaded() { return loaded_; }

 private:
  Status Defaults() {
    for (size_t i = 0; i < AllOptions().size(); ++i) {
      const Option& option = AllOptions()[i];
      auto value = ValueOf(option, SplitWords(option, option.fallback), "");
      // A default directory that cannot be used matters only if no other is given: CheckAll.
      if (!value.ok() && option.type == Type::kDirectory) continue;
      if (!value.ok()) {
        return Status::Error("default of " + option.dotted_name() + ": " + value.message());
      }
      loaded_.values[i] = std::move(value.value());
    }
    return {};
  }

  Status File() {
    const std::string& path = sources_.path;
    if (path.empty()) return {};
    auto assignments = IsTomlPath(path) ? ReadToml(path) : ReadRedisConf(path, notes_);
    if (!assignments.ok()) return std::move(assignments).status();
    return Apply(assignments.value());
  }

  Status Overrides() {
    const std::string& path = sources_.override_path;
    if (path.empty()) return {};
    std::error_code ignored;  // what else is wrong with it, reading it tells
    auto type = std::filesystem::status(path, ignored).type();
    if (type == std::filesystem::file_type::not_found) return {};
    Status status = ReadOverrides();
    if (status.ok()) return status;
    return Status::Error(status.message() + " (CONFIG REWRITE writes this file; without it " +
                         sources_.path + " counts alone)");
  }

  Status ReadOverrides() {
    auto assignments = ReadToml(sources_.override_path);
    if (!assignments.ok()) return std::move(assignments).status();
    for (Assignment& assignment : assignments.value()) assignment.lenient = true;
    Status status = Apply(assignments.value());
    if (!status.ok()) return status;
    for (const Assignment& assignment : assignments.value()) {
      MarkWithLinked(assignment.index, &loaded_.saved);
    }
    size_t count = assignments.value().size();
    notes_->push_back(sources_.override_path + ": " + std::to_string(count) +
                      (count == 1 ? " option" : " options") +
                      " that CONFIG REWRITE saved, read after " + sources_.path);
    return {};
  }

  Status CommandLine() {
    Status status = Apply(sources_.command_line);
    if (!status.ok()) return status;
    std::vector<bool> noted(AllOptions().size(), false);
    for (const Assignment& assignment : sources_.command_line) {
      if (!loaded_.saved[assignment.index] || noted[assignment.index]) continue;
      noted[assignment.index] = true;
      notes_->push_back("command line: " + assignment.name + " stands above what " +
                        sources_.override_path + " has for it");
    }
    return {};
  }

  Status Apply(const std::vector<Assignment>& assignments) {
    bool has_save_points = false;
    for (const Assignment& assignment : assignments) {
      const Option& option = AllOptions()[assignment.index];
      const std::string& current = loaded_.values[assignment.index].text;
      std::vector<std::string> words = assignment.words;
      if (option.type == Type::kSavePoints) {
        if (has_save_points) words = AddSavePoints(current, words);
        has_save_points = true;
      }
      auto value = ValueOf(option, std::move(words), current);
      if (!value.ok()) return Status::Error(Described(assignment) + ": " + value.message());
      if (auto reason = UnsupportedReason(option, value.value())) {
        if (!assignment.lenient) return Status::Error(Described(assignment) + ": " + *reason);
        notes_->push_back(Described(assignment) + ": ignored, " + *reason);
        continue;
      }
      if (IsCombined(assignment.index)) last_combined_ = Described(assignment);
      Put(assignment.index, std::move(value.value()));
    }
    return {};
  }

  // The process has gone to its data directory by the time of a reload, but what a relative dir
  // means stays what it was.
  Result<Value> ValueOf(const Option& option, std::vector<std::string> words,
                        const std::string& current) const {
    bool from_start = option.type == Type::kDirectory && words.size() == 1 && !words[0].empty() &&
                      words[0][0] != '/' && !sources_.directory.empty();
    if (from_start) words[0] = sources_.directory + "/" + words[0];
    return ParseValue(option, words, current);
  }

  void Put(size_t index, Value value) {
    auto linked = LinkedOptionAt(index);
    if (!linked) {
      loaded_.values[index] = std::move(value);
      return;
    }
    LinkedValues before;
    for (size_t i = 0; i < kLinkedOptions; ++i) before[i] = loaded_.values[LinkedIndexes()[i]];
    GivenValues given{};
    given[*linked] = &value;
    auto after = LinkedAfter(before, given);
    ASSERT(after.ok());  // one alone contradicts nothing
    for (size_t i = 0; i < kLinkedOptions; ++i) {
      loaded_.values[LinkedIndexes()[i]] = after.value()[i];
    }
  }

  Status CheckAll() const {
    for (size_t i = 0; i < loaded_.values.size(); ++i) {
      const Option& option = AllOptions()[i];
      if (option.type != Type::kDirectory || !loaded_.values[i].text.empty()) continue;
      std::vector<std::string> words = {std::string(option.fallback)};
      return Status::Error("default of " + option.dotted_name() + " " +
                           ShownValue(option, option.fallback) + ": " +
                           ValueOf(option, words, "").message());
    }
    Status status = CheckCombination(loaded_.values);
    if (status.ok()) return {};
    ASSERT(!last_combined_.empty());  // the defaults go together
    return Status::Error(last_combined_ + ": " + status.message());
  }

  const Sources& sources_;
  std::vector<std::string>* notes_;
  LoadedValues loaded_;
  std::string last_combined_;  // what was given last of the options that must go together
};

}  // namespace

Result<LoadedValues> LoadValues(const Sources& sources, std::vector<std::string>* notes) {
  Loader loader(sources, notes);
  Status status = loader.Run();
  if (!status.ok()) return status;
  return std::move(loader.loaded());
}

void MarkWithLinked(size_t index, std::vector<bool>* marks) {
  (*marks)[index] = true;
  if (!LinkedOptionAt(index)) return;
  for (size_t linked : LinkedIndexes()) (*marks)[linked] = true;
}

}  // namespace fluxkv::config
