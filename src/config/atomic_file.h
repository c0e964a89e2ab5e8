// Writing a small file so that whoever reads it, also after a loss of power, finds the old text or
// the new one, whole.
//
//   Status status = WriteFileAtomically("/etc/fluxkv/fluxkv.override.toml", text);
//
// Threads: any; of two writers at once, one wins. Errors: what the system says ("Permission
// denied"); the old file is then still there, unless only the sync of its directory failed.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace fluxkv::config {

// Through a file beside it, which is written, synced and renamed over it; then the directory is
// synced. Only the owner may read the new file: a password may be in it.
Status WriteFileAtomically(const std::string& path, std::string_view text);

}  // namespace fluxkv::config
