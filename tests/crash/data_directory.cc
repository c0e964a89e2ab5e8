#include "tests/crash/data_directory.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

namespace fluxkv::crash {

namespace fs = std::filesystem;

DirectorySize SizeOf(const std::string& directory) {
  DirectorySize size;
  std::error_code error;  // files go while they are looked at
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code gone;
    const uint64_t bytes = entry->file_size(gone);
    if (gone) continue;
    size.bytes += bytes;
    const std::string name = entry->path().filename().string();
    size.files += " " + name + ":" + std::to_string(bytes);
    if (name.ends_with(".seg")) size.log += bytes;
    if (name.ends_with(".snap")) size.newest_snapshot = std::max(size.newest_snapshot, name);
    if (name.starts_with("snapshot"))
      size.largest_snapshot = std::max(size.largest_snapshot, bytes);
  }
  return size;
}

void CopyDirectory(const std::string& from, const std::string& to) {
  fs::remove_all(to);
  fs::copy(from, to, fs::copy_options::recursive);
}

}  // namespace fluxkv::crash
