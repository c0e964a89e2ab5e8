// fluxkv-import: reads an RDB file and writes its strings into a running server.
//
//   Status status = RunImport(options, stdout, stderr);
//
// A regular file is read twice: first whole, so that a damaged one or a server that may not be
// written to is known before the first key is; a pipe cannot be, and is imported as it comes.
// Threads: one.
// Errors:  one sentence, with the number of keys that were acknowledged once any was sent.
#pragma once

#include <cstdio>

#include "base/result.h"
#include "tools/import_options.h"

namespace fluxkv::tools {

// The report goes to `out`, progress to `notices`.
Status RunImport(const ImportOptions& options, std::FILE* out, std::FILE* notices);

}  // namespace fluxkv::tools
