#!/usr/bin/env bash
# Every header under src/ and tests/ compiles on its own, with the warnings of the build. The library's build, which
# compiles each source alone, shows it for a header that the source of its name includes before all others; the rest is
# compiled here. Public headers compile with nothing but each other.
set -euo pipefail
cd "$(dirname "$0")/.."
check='printf "#include \"%s\"\n" "$0" | ${CXX:-g++} -std=c++20 -Wall -Wextra -Wpedantic -Werror $1 \
  -DSPDLOG_COMPILED_LIB -DSPDLOG_SHARED_LIB -DSPDLOG_FMT_EXTERNAL -DFLUXKV_JEMALLOC -fsyntax-only -x c++ - ||
  { echo "$0 does not compile alone"; exit 1; }'
run_all() { xargs -0 -r -P "$(nproc)" -I {} sh -c "$check" {} "$1"; }
find include -name '*.h' -printf '%P\0' | run_all '-Iinclude -Wno-restrict'
find src tests -name '*.h' | while read -r header; do
  source=${header%.h}.cc
  case $header in
    src/base/* | src/engine/* | src/types/* | src/persist/* | src/library/*)
      [ ! -f "$source" ] || [ "$(grep -m1 '^#include' "$source")" != "#include \"${header#src/}\"" ] || continue ;;
  esac
  printf '%s\0' "$header"
done | run_all '-Iinclude -Isrc -I.'
