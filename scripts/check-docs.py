#!/usr/bin/env python3
"""Files of this repository that README.md, tests/README.md and docs/*.md name in backticks or link to must exist.
A name counts as a path when it begins with one of the repository's folders, or is a relative link."""
import glob
import os
import re
import sys

FOLDERS = ("include/", "src/", "tests/", "docs/", "scripts/", "bench/", "conf/", "examples/", ".ci/")


def main():
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    bad = 0
    for doc in ["README.md", "tests/README.md", *sorted(glob.glob("docs/*.md"))]:
        if not os.path.exists(doc):
            print(f"{doc} is missing")
            bad += 1
            continue
        for number, line in enumerate(open(doc, encoding="utf-8"), 1):
            named = [(n, "") for n in re.findall(r"`([^`\s]+)`", line) if n.startswith(FOLDERS)]
            links = [] if line.startswith("    ") else re.findall(r"\]\(([^)#\s]+)[^)]*\)", line)  # not in code
            named += [(n, os.path.dirname(doc)) for n in links if ":" not in n]
            for name, base in named:
                path = os.path.join(base, re.sub(r"(:\d+|#.*|[.,;])$", "", name))
                pattern = re.sub(r"<[^>]*>", "*", path)  # `tests/<area>/x` stands for any area
                if not glob.glob(pattern, recursive=True) and not re.search(r"[{}]", pattern):
                    print(f"{doc}:{number}: no such file: {name}")
                    bad += 1
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
