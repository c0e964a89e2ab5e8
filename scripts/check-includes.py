#!/usr/bin/env python3
"""Checks the folder arrows of src/ (who may include whom), that public headers include only each other and the standard
library, that libuv, toml++ and the file system stay in their folders, and that every header is included by somebody.
Files over 600 lines are a warning."""
import os
import re
import sys

MAY_INCLUDE = {
    "base": "",
    "engine": "base",
    "types": "base engine",
    "resp": "base",
    "config": "base",
    "command": "base resp types engine config",
    "persist": "base engine",
    "library": "base types engine persist",
    "tools": "base types engine persist",
    "server": "base engine types resp config command persist",
}
# Header or call, and the folders and files that may use it.
RESERVED = [
    (r"#include [<\"]uv(\.h|/)", "libuv", "server"),
    (r"#include <liburing", "liburing", "server"),
    (r"#include <toml\+\+/", "toml++", "config"),
    (r"#include <(fstream|filesystem|sys/stat\.h|fcntl\.h|dirent\.h)>|\b(fopen|opendir)\(", "the file system",
     "config persist server tools src/base/log.cc"),
]
# Who in src/ may include public headers (include/fluxkv/): errors are the same everywhere.
PUBLIC = {"library": r"fluxkv/", "base": r"fluxkv/result\.h"}
LINES_MAX = 600


def sources(*tops):
    for top in tops:
        for folder, _, names in os.walk(top):
            yield from (os.path.join(folder, n) for n in sorted(names) if n.endswith((".h", ".cc")))


def main():
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    errors, warnings, included = [], [], set()
    for path in sources("include", "src", "tests", "bench", "examples"):
        lines = open(path, encoding="utf-8").read().split("\n")
        if len(lines) > LINES_MAX:
            warnings.append(f"{path}: {len(lines)} lines, more than {LINES_MAX}: one concern or two?")
        for number, line in enumerate(lines, 1):
            where = f"{path}:{number}"
            match = re.match(r'\s*#include "([^"]+)"', line)
            if match:
                target = match[1]
                beside = os.path.join(os.path.dirname(path), target)
                found = [p for p in ("include/" + target, "src/" + target, target, beside) if os.path.exists(p)]
                if not found:
                    errors.append(f"{where}: no such file: {target}")
                included.update(os.path.normpath(p) for p in found)
            if path.startswith(("include/", "examples/")):
                if match and not match[1].startswith("fluxkv/"):
                    errors.append(f"{where}: what is installed or built against that may not include {match[1]}")
                if path.startswith("include/") and re.match(r"\s*#include <[^>]*[./]", line):
                    errors.append(f"{where}: public headers include the standard library alone")
            if not path.startswith("src/"):
                continue
            folder = path.split("/")[1]
            if folder not in MAY_INCLUDE:
                errors.append(f"{path}: folder src/{folder} is not in the table of arrows")
                break
            if match and match[1].startswith("fluxkv/") and not re.match(PUBLIC.get(folder, "$"), match[1]):
                errors.append(f"{where}: {folder} may not include {match[1]}")
            if match and "/" in match[1]:
                other = match[1].split("/")[0]
                if other in MAY_INCLUDE and other != folder and other not in MAY_INCLUDE[folder].split():
                    errors.append(f"{where}: {folder} may not include {other}")
            for pattern, what, owners in RESERVED:
                if not {folder, path} & set(owners.split()) and re.search(pattern, line):
                    errors.append(f"{where}: {what} belongs to {owners}, not to {folder}")
    included.update(("include/fluxkv/fluxkv.h", "tests/precompiled.h"))  # for users; by the Makefile
    for path in sources("include", "src", "tests"):
        if path.endswith(".h") and os.path.normpath(path) not in included:
            errors.append(f"{path}: no file includes it")
    for text in warnings:
        print("warning:", text)
    for text in errors:
        print(text)
    sys.exit(1 if errors else 0)


if __name__ == "__main__":
    main()
