// CONFIG REWRITE: the file of overrides, written whole beside the user's file.
#include "config/atomic_file.h"
#include "config/config.h"
#include "config/override_text.h"

namespace fluxkv::config {

std::vector<Value> Config::ValuesToSave() const {
  std::vector<Value> values;
  {
    std::lock_guard lock(mutex_);
    values = values_;
  }
  for (size_t i = 0; i < values.size(); ++i) {
    if (waiting_[i]) values[i] = *waiting_[i];
  }
  return values;
}

Status Config::WriteOverrides() const {
  auto text = OverrideText(path(), base_, ValuesToSave(), changed_);
  if (!text.ok()) return std::move(text).status();
  // A start must be able to read what it is left with.
  if (text.value().size() > kConfigFileBytesMax) {
    return Status::Error("what was changed takes more than 1mb");
  }
  auto read = ParseToml(text.value(), override_path());
  if (!read.ok()) return std::move(read).status();
  return WriteFileAtomically(override_path(), text.value());
}

Status Config::Rewrite() {
  std::lock_guard set_lock(set_mutex_);
  if (path().empty()) return Status::Error("ERR The server is running without a config file");
  Status status = WriteOverrides();
  if (status.ok()) {
    Log(LogLevel::kNotice, "CONFIG REWRITE wrote " + override_path() + ", which is read after " +
                               path() + "; that file is untouched");
    return status;
  }
  Log(LogLevel::kWarning,
      "CONFIG REWRITE could not write " + override_path() + ": " + status.message());
  return Status::Error("ERR Rewriting config file: " + status.message());
}

}  // namespace fluxkv::config
