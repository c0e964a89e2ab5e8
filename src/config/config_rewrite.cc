// CONFIG REWRITE: the file of overrides, written whole beside the old one and renamed over it.
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

#include "base/check.h"
#include "config/config.h"

namespace fluxkv::config {
namespace {

class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  bool open() const { return descriptor_ >= 0; }
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

Status RewriteError() {
  return Status::Error("ERR Rewriting config file: " +
                       std::error_code(errno, std::generic_category()).message());
}

Status WriteAll(int descriptor, std::string_view text) {
  while (!text.empty()) {
    ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return RewriteError();
    text.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

// Readable by the owner only: a password may be in it.
Status WriteNewFile(const std::string& path, std::string_view text) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return RewriteError();
  File file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file.open()) return RewriteError();
  Status status = WriteAll(file.get(), text);
  if (!status.ok()) return status;
  if (::fsync(file.get()) != 0) return RewriteError();
  return {};
}

Status SyncDirectory(const std::string& path) {
  std::string directory = std::filesystem::path(path).parent_path().string();
  File file(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!file.open() || ::fsync(file.get()) != 0) return RewriteError();
  return {};
}

// What the linked options will be when durability.mode is read after the file: of the three it is
// the one to write, and appendfsync only where the mode leaves it open and it would be lost.
LinkedValues LinkedReadBack(const std::vector<Value>& base, const std::vector<Value>& values) {
  const auto& indexes = LinkedIndexes();
  LinkedValues before{};
  for (size_t i = 0; i < kLinkedOptions; ++i) before[i] = base[indexes[i]];
  GivenValues given{};
  given[kLinkedMode] = &values[indexes[kLinkedMode]];
  auto after = LinkedAfter(before, given);
  CHECK(after.ok());  // one alone contradicts nothing
  return after.value();
}

}  // namespace

Result<std::string> Config::OverrideText() const {
  std::string text = "# Written by CONFIG REWRITE: what was changed while running. Read after " +
                     std::filesystem::path(path_).filename().string() +
                     ".\n# Delete this file to go back to that one.\n";
  std::string section;
  std::lock_guard lock(mutex_);
  LinkedValues linked = LinkedReadBack(base_, values_);
  for (size_t i = 0; i < values_.size(); ++i) {
    auto position = LinkedOptionAt(i);
    bool by_mode = position && *position != kLinkedMode;
    const Value& otherwise = by_mode ? linked[*position] : base_[i];
    if (!changed_[i] || values_[i].text == otherwise.text) continue;
    std::string name = AllOptions()[i].dotted_name();
    size_t dot = name.find('.');
    auto literal = TomlLiteral(AllOptions()[i], values_[i].text);
    if (!literal) {
      return Status::Error("ERR Rewriting config file: the value of " + name +
                           " is not UTF-8 and TOML cannot hold it");
    }
    if (name.substr(0, dot) != section) {
      section = name.substr(0, dot);
      text += "\n[" + section + "]\n";
    }
    text += name.substr(dot + 1) + " = " + *literal + "\n";
  }
  return text;
}

Status Config::Rewrite() {
  std::lock_guard set_lock(set_mutex_);
  if (path_.empty()) return Status::Error("ERR The server is running without a config file");
  auto text = OverrideText();
  if (!text.ok()) return std::move(text).status();
  std::string temporary = override_path_ + ".tmp";
  Status status = WriteNewFile(temporary, text.value());
  if (!status.ok()) {
    ::unlink(temporary.c_str());
    return status;
  }
  if (::rename(temporary.c_str(), override_path_.c_str()) != 0) {
    status = RewriteError();
    ::unlink(temporary.c_str());
    return status;
  }
  return SyncDirectory(override_path_);
}

}  // namespace fluxkv::config
