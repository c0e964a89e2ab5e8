// CONFIG RELOAD and SIGHUP: what the files say now, as far as it can be had while running.
#include <algorithm>

#include "config/combination.h"
#include "config/config.h"
#include "config/shown_text.h"

namespace fluxkv::config {
namespace {

std::string Arrow(size_t index, const Value& from, const Value& to) {
  const Option& option = AllOptions()[index];
  return option.dotted_name() + ": " + ShownValue(option, from.text) + " -> " +
         ShownValue(option, to.text);
}

}  // namespace

bool Config::NeedsRestart(size_t index) const {
  // Linked options can change only together.
  if (LinkedOptionAt(index)) index = LinkedIndexes()[kLinkedMode];
  const Option& option = AllOptions()[index];
  if (!option.has(kRuntime) || option.has(kRestart)) return true;
  return option.has(kNeedsApplier) && !appliers_[index];
}

Config::Plan Config::PlanOf(const LoadedValues& loaded) const {
  Plan plan;
  plan.waiting.resize(loaded.values.size());
  for (size_t i = 0; i < loaded.values.size(); ++i) {
    const Value& wanted = loaded.values[i];
    Value before = ValueAt(i);
    if (wanted.text == before.text) continue;
    bool lowered = waiting_[i] && waiting_[i]->text == wanted.text;
    if (NeedsRestart(i) || lowered) {
      plan.waiting[i] = wanted;
    } else {
      plan.changes.push_back({i, AllOptions()[i].dotted_name(), wanted, std::move(before)});
    }
  }
  return plan;
}

Status Config::TryReload() {
  std::vector<std::string> notes;
  auto loaded = LoadValues(sources_, &notes);
  if (!loaded.ok()) return std::move(loaded).status();
  for (const std::string& note : notes) Log(LogLevel::kNotice, note);
  Plan plan = PlanOf(loaded.value());
  std::string failed;
  Status status = Take(plan.changes, &failed);
  if (!status.ok()) return Status::Error(failed + ": " + status.message());
  base_ = std::move(loaded.value().base);
  changed_ = std::move(loaded.value().saved);
  LogPlan(plan);
  waiting_ = std::move(plan.waiting);
  return {};
}

void Config::LogPlan(const Plan& plan) const {
  for (const Change& change : plan.changes) {
    Log(LogLevel::kNotice, "changed " + Arrow(change.index, change.before, change.value));
  }
  for (size_t i = 0; i < plan.waiting.size(); ++i) {
    if (!plan.waiting[i]) continue;
    Log(LogLevel::kWarning,
        Arrow(i, ValueAt(i), *plan.waiting[i]) +
            (NeedsRestart(i) ? " needs a restart" : " is not done, the system gives no more"));
  }
  size_t count = plan.changes.size();
  Log(LogLevel::kNotice, "The configuration was read again, " + std::to_string(count) +
                             (count == 1 ? " option" : " options") + " changed");
}

Status Config::Reload() {
  std::lock_guard set_lock(set_mutex_);
  if (path().empty()) {
    Log(LogLevel::kWarning, "Nothing to read again: the server is running without a config file");
    return Status::Error("ERR The server is running without a config file");
  }
  Status status = TryReload();
  if (status.ok()) return status;
  Log(LogLevel::kWarning,
      "The configuration could not be read again, nothing was changed: " + status.message());
  return Status::Error("ERR Reloading config file: " + status.message());
}

}  // namespace fluxkv::config
