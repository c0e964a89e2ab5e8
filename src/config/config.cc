#include "config/config.h"

#include <algorithm>
#include <unordered_set>

#include "base/check.h"
#include "base/parse.h"
#include "base/relaxed.h"
#include "config/combination.h"
#include "config/shown_text.h"

namespace fluxkv::config {
namespace {

Status SetError(std::string_view name, const std::string& reason) {
  return Status::Error("ERR CONFIG SET failed (possibly related to argument '" + OneLine(name) +
                       "') - " + reason);
}

bool IsPattern(std::string_view text) {
  return text.find_first_of("*?[") != std::string_view::npos;
}

// Redis's names have no dot, ours do: `CONFIG GET *` stays the list that Redis's tools expect and
// set back. `*.*` lists ours, and so does what begins with a section (`durability*`).
bool MeansOurs(const std::string& pattern) {
  if (pattern.find('.') != std::string::npos) return true;
  return IsOptionSection(ToLower(pattern.substr(0, pattern.find_first_of("*?["))));
}

bool Listed(const OptionName& name, const std::string& pattern, bool ours) {
  if (name.kind == NameKind::kShort || AllOptions()[name.index].has(kHidden)) return false;
  if (name.kind == NameKind::kDotted && !ours) return false;
  return GlobMatch(pattern, name.text, true);
}

}  // namespace

std::vector<double> Config::latency_percentiles() const {
  return PercentilesOf(Text("latency-tracking-info-percentiles"));
}

std::string Config::Text(std::string_view name) const {
  return ValueAt(OptionIndex(name)).text;
}

Value Config::ValueAt(size_t index) const {
  std::lock_guard lock(mutex_);
  return values_[index];
}

LinkedValues Config::LinkedNow() const {
  LinkedValues values;
  std::lock_guard lock(mutex_);
  for (size_t i = 0; i < kLinkedOptions; ++i) values[i] = values_[LinkedIndexes()[i]];
  return values;
}

void Config::Store(size_t index, const Value& value) {
  const Option& option = AllOptions()[index];
  values_[index] = value;
  if (option.field != nullptr) (settings_.*option.field).store(value.number, kRelaxed);
  if (option.redis_name == "requirepass") {
    settings_.requirepass_set.store(value.text.empty() ? 0 : 1, kRelaxed);
  }
  if (option.type != Type::kOutputBufferLimits) return;
  auto limits = ParseBufferLimits(SplitWords(option, value.text), {});
  ASSERT(limits.ok());  // the text is canonical
  for (size_t i = 0; i < kClientClasses; ++i) {
    settings_.output_buffer[i].hard_bytes.store(limits.value()[i].hard_bytes, kRelaxed);
    settings_.output_buffer[i].soft_bytes.store(limits.value()[i].soft_bytes, kRelaxed);
    settings_.output_buffer[i].soft_seconds.store(limits.value()[i].soft_seconds, kRelaxed);
  }
}

std::vector<std::pair<std::string, std::string>> Config::Get(
    const std::vector<std::string>& patterns) const {
  std::vector<std::pair<std::string, std::string>> found;
  std::unordered_set<std::string> seen;
  std::lock_guard lock(mutex_);
  for (const std::string& pattern : patterns) {
    if (!IsPattern(pattern)) {
      const OptionName* name = FindOption(pattern);
      if (name == nullptr || !seen.insert(ToLower(pattern)).second) continue;
      found.emplace_back(pattern, values_[name->index].text);
      continue;
    }
    const bool ours = MeansOurs(pattern);
    for (const OptionName& name : AllOptionNames()) {
      if (!Listed(name, pattern, ours) || !seen.insert(ToLower(name.text)).second) continue;
      found.emplace_back(name.text, values_[name.index].text);
    }
  }
  return found;
}

bool Config::MayChangeProtected(bool client_is_local) const {
  auto permission =
      static_cast<Permission>(ValueAt(OptionIndex("enable-protected-configs")).number);
  return permission == Permission::kYes || (permission == Permission::kLocal && client_is_local);
}

Result<std::vector<Config::Change>> Config::CheckedChanges(
    const std::vector<std::pair<std::string, std::string>>& pairs, bool client_is_local) const {
  std::vector<Change> changes;
  std::vector<bool> named(AllOptions().size(), false);
  for (const auto& [name, text] : pairs) {
    const OptionName* found = FindOption(name);
    if (found == nullptr) {
      return Status::Error("ERR Unknown option or number of arguments for CONFIG SET - '" +
                           OneLine(name) + "'");
    }
    const Option& option = AllOptions()[found->index];
    if (!option.has(kRuntime)) return SetError(name, "can't set immutable config");
    if (option.has(kProtected) && !MayChangeProtected(client_is_local)) {
      return SetError(name, "can't set protected config");
    }
    if (named[found->index]) return SetError(name, "duplicate parameter");
    named[found->index] = true;
    changes.push_back({found->index, name, Value{}, ValueAt(found->index)});
  }
  // All names first, then all values, as Redis does:
  // an unknown name is reported before a bad value.
  for (size_t i = 0; i < changes.size(); ++i) {
    Change& change = changes[i];
    const Option& option = AllOptions()[change.index];
    auto value = ParseValue(option, SplitWords(option, pairs[i].second), change.before.text);
    if (!value.ok()) return SetError(change.name, value.message());
    change.value = std::move(value.value());
    Status status = CheckNewValue(change);
    if (!status.ok()) return status;
  }
  Status status = AddLinkedChanges(&changes);
  if (!status.ok()) return status;
  status = CheckTogether(changes);
  if (!status.ok()) return status;
  return changes;
}

Status Config::AddLinkedChanges(std::vector<Change>* changes) const {
  LinkedValues before = LinkedNow();
  GivenValues given{};
  std::string name;
  for (const Change& change : *changes) {
    auto linked = LinkedOptionAt(change.index);
    if (!linked) continue;
    given[*linked] = &change.value;
    name = change.name;
  }
  if (name.empty()) return {};
  auto after = LinkedAfter(before, given);
  if (!after.ok()) return SetError(name, after.message());
  std::vector<Change> others;
  for (size_t i = 0; i < kLinkedOptions; ++i) {
    if (given[i] != nullptr) continue;
    others.push_back({LinkedIndexes()[i], name, after.value()[i], before[i]});
    Status status = CheckNewValue(others.back());
    if (!status.ok()) return status;
  }
  changes->insert(changes->end(), others.begin(), others.end());
  return {};
}

Status Config::CheckTogether(const std::vector<Change>& changes) const {
  auto last = std::find_if(changes.rbegin(), changes.rend(),
                           [](const Change& change) { return IsCombined(change.index); });
  if (last == changes.rend()) return {};
  std::vector<Value> values;
  {
    std::lock_guard lock(mutex_);
    values = values_;
  }
  for (const Change& change : changes) values[change.index] = change.value;
  Status status = CheckCombination(values);
  return status.ok() ? Status() : SetError(last->name, status.message());
}

Status Config::CheckNewValue(const Change& change) const {
  const Option& option = AllOptions()[change.index];
  if (auto reason = UnsupportedReason(option, change.value)) {
    return SetError(change.name, *reason);
  }
  bool changes = change.value.text != change.before.text;
  bool fixed = option.has(kRestart) || (option.has(kNeedsApplier) && !appliers_[change.index]);
  if (changes && fixed) return SetError(change.name, "it can be changed by a restart only");
  return {};
}

Status Config::Take(const std::vector<Change>& changes, std::string* failed) {
  {
    std::lock_guard lock(mutex_);
    for (const Change& change : changes) Store(change.index, change.value);
  }
  for (size_t i = 0; i < changes.size(); ++i) {
    const Applier& applier = appliers_[changes[i].index];
    if (!applier || changes[i].value.text == changes[i].before.text) continue;
    Status status = applier(changes[i].value.text);
    if (status.ok()) continue;
    RollBack(changes, i + 1);
    *failed = changes[i].name;
    return status;
  }
  return {};
}

void Config::RollBack(const std::vector<Change>& changes, size_t applied) {
  {
    std::lock_guard lock(mutex_);
    for (const Change& change : changes) Store(change.index, change.before);
  }
  for (size_t i = 0; i < applied; ++i) {
    const Applier& applier = appliers_[changes[i].index];
    if (!applier || changes[i].value.text == changes[i].before.text) continue;
    // The former value was in force a moment ago; if it cannot be had back, the first error is
    // still the one to report.
    static_cast<void>(applier(changes[i].before.text));
  }
}

Status Config::Set(const std::vector<std::pair<std::string, std::string>>& pairs,
                   bool client_is_local) {
  std::lock_guard set_lock(set_mutex_);
  auto changes = CheckedChanges(pairs, client_is_local);
  if (!changes.ok()) return std::move(changes).status();
  std::string failed;
  Status status = Take(changes.value(), &failed);
  if (!status.ok()) return SetError(failed, status.message());
  for (const Change& change : changes.value()) {
    // Who sets it to what it is, while the files ask for something else, means what it is.
    if (change.value.text == change.before.text && !waiting_[change.index]) continue;
    MarkWithLinked(change.index, &changed_);
    waiting_[change.index].reset();
  }
  return {};
}

void Config::Lower(std::string_view name, int64_t number) {
  size_t index = OptionIndex(name);
  std::vector<std::string> words = {std::to_string(number)};
  auto value = ParseValue(AllOptions()[index], words, values_[index].text);
  ASSERT(value.ok());
  waiting_[index] = values_[index];
  Store(index, value.value());
}

void Config::OnChange(std::string_view name, Applier applier) {
  appliers_[OptionIndex(name)] = std::move(applier);
}

bool Config::IsSensitive(std::string_view name) {
  const OptionName* found = FindOption(name);
  return found != nullptr && AllOptions()[found->index].has(kSensitive);
}

}  // namespace fluxkv::config
