#!/usr/bin/env bash
# Every header under src/ and tests/ compiles on its own, with the warnings of the build.
set -euo pipefail
cd "$(dirname "$0")/.."
check='printf "#include \"%s\"\n" "$0" | ${CXX:-g++} -std=c++20 -Wall -Wextra -Wpedantic -Werror -Isrc -I. \
  -DSPDLOG_COMPILED_LIB -DSPDLOG_SHARED_LIB -DSPDLOG_FMT_EXTERNAL -DFLUXKV_JEMALLOC -fsyntax-only -x c++ - ||
  { echo "$0 does not compile alone"; exit 1; }'
find src tests -name '*.h' -print0 | xargs -0 -r -P "$(nproc)" -n 1 sh -c "$check"
