#!/usr/bin/env python3
"""Shows why tests of the Valkey test suite are left out: for each expected test that did not pass, the commands in its
body that a running fluxkv does not know.   scripts/suite-left-out.py SUITE RESULT.json PORT [--markdown]

SUITE is a checkout of Valkey, RESULT.json what a runner of its unit files in external-server mode wrote (for each unit:
expected, passed, and `missing`: the tests by name), PORT where fluxkv answers `COMMAND LIST`. Two lists come out: tests
that send a command outside the table, with that command, and tests in which no such command was found; each of the
latter needs its reason in docs/COMPATIBILITY.md. Exit code 1 if one of them is not named there.
"""
import argparse
import collections
import json
import os
import re
import socket
import sys

DOC = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "docs", "COMPATIBILITY.md")
# Words after a client's variable that are calls of the suite's client library, not commands.
LIBRARY = {"read", "close", "flush", "deferred", "rawread", "write", "channel", "blocking", "readraw", "readnl", "config_get_set",
           "check_client"}
# Procedures of the suite that send commands themselves.
PROCEDURES = {"attach_to_replication_stream": [["sync"]], "createComplexDataset": [["rpush"], ["sadd"], ["zadd"], ["hset"]],
              "create_set": [["sadd"]], "create_zset": [["zadd"]], "populate_stream": [["xadd"]], "waitForBgsave": [],
              "create_hash": [["hset"]], "csvdump": []}


def known_commands(port):
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(b"*2\r\n$7\r\nCOMMAND\r\n$4\r\nLIST\r\n")
        reply = connection.makefile("rb")
        count = int(reply.readline()[1:])
        names = set()
        for _ in range(count):
            size = int(reply.readline()[1:])
            names.add(reply.read(size + 2)[:-2].decode().lower())
    return names


def end_of_word(text, at):
    """Behind the Tcl word that begins at `at`: in braces, in quotes, or bare."""
    if text[at] not in '{"':
        while at < len(text) and not text[at].isspace():
            at += 1
        return at
    depth, i, quoted = 0, at, text[at] == '"'
    while i < len(text):
        c = text[i]
        if c == "\\":
            i += 1
        elif quoted and c == '"' and i > at:
            return i + 1
        elif not quoted and c == "{":
            depth += 1
        elif not quoted and c == "}":
            depth -= 1
            if depth == 0:
                return i + 1
        i += 1
    return i


def tests_of(text):
    """(name, body) of every test, in order; names may hold variables."""
    found = []
    for match in re.finditer(r"^[ \t]*test[ \t]+(?=[{\"])", text, re.M):
        name_end = end_of_word(text, match.end())
        body = re.compile(r"\s*").match(text, name_end).end()
        if body >= len(text) or text[body] != "{":
            continue
        found.append((text[match.end() + 1:name_end - 1], text[body:end_of_word(text, body)]))
    return found


def body_of(tests, name):
    """The body, and the variables that the name stands for."""
    for written, body in tests:
        if written == name:
            return body, {}
    for written, body in tests:
        variables = re.findall(r"\$(\w+)", written)
        pattern = re.sub(r"\\\$\w+|\\\[.*?\\\]", "(.*)", re.escape(written))
        match = re.fullmatch(pattern, name, re.S)
        if variables and match:
            return body, dict(zip(variables, match.groups()))
    return None, {}


def commands_in(body, variables):
    """Every command that the body sends, as [name, following words]."""
    body = re.sub(r"^\s*#.*$", "", body, flags=re.M)
    for name, value in variables.items():
        body = re.sub(r"\$\{?" + name + r"\}?(?!\w)", lambda _: value, body)
    body = body.replace("\\\n", " ")
    sent = []
    clients = r"(?:r|\$(?:r|rd|rr|rc|c|client|slave|replica|master|redis\w*|valkey\w*)\d*)"
    for match in re.finditer(r"(?:^|[\[\s;{\"])" + clients + r"[ \t]+([A-Za-z_]+)([^\n;\]]*)", body):
        sent.append([match[1].lower(), *match[2].lower().split()])
    for match in re.finditer(r"(?:^|[\[\s;{])(?:write|reconnect|puts[^\n]*)[ \t]+\"?(sync)\b", body, re.I):
        sent.append([match[1].lower()])
    for procedure, commands in PROCEDURES.items():
        if re.search(r"\b" + procedure + r"\b", body):
            sent += commands
    # Names of commands that the test looks for in the answer.
    for match in re.finditer(r"lsearch[^\n]*\$commands \"?([a-z]+)(?:\|([a-z]+))?", body):
        sent.append([match[1], match[2]] if match[2] else [match[1]])
    return [command for command in sent if command[0] not in LIBRARY]


def unknown_in(command, known):
    name, rest = command[0], command[1:]
    if name == "command" and len(rest) > 1 and rest[0] in ("getkeys", "getkeysandflags", "info", "docs"):
        asked = rest[1].strip('{}"').split("|")
        return unknown_in(asked, known)
    if name not in known:
        return name
    has_subcommands = any(other.startswith(name + "|") for other in known)
    if has_subcommands and rest and re.fullmatch(r"[a-z-]+", rest[0]) and f"{name}|{rest[0]}" not in known:
        return f"{name} {rest[0]}"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite")
    parser.add_argument("result")
    parser.add_argument("port", type=int)
    parser.add_argument("--markdown", action="store_true", help="as the tables of docs/COMPATIBILITY.md")
    options = parser.parse_args()
    known = known_commands(options.port)
    with open(options.result, encoding="utf-8") as file:
        units = json.load(file)["units"]
    by_command, unexplained, rows = collections.OrderedDict(), [], []
    for unit, score in units.items():
        path = os.path.join(options.suite, "tests", unit + ".tcl")
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            tests = tests_of(file.read())
        names = [test["name"] for test in score["missing"]]
        rows.append((unit, score["expected"], score["passed"], sum(test["count"] for test in score["missing"])))
        for name in names:
            body, variables = body_of(tests, name.replace("{standalone} ", "{$type} ")) if "{standalone}" in name else body_of(tests, name)
            if body is None:
                body, variables = body_of(tests, name)
            unknown = []
            for command in commands_in(body or "", variables):
                word = unknown_in(command, known)
                if word and word not in unknown:
                    unknown.append(word)
            if unknown:
                by_command[(unit, name)] = unknown
            else:
                unexplained.append((unit, name))
    report(options.markdown, rows, by_command, unexplained)
    try:
        with open(DOC, encoding="utf-8") as file:
            documented = file.read()
    except OSError:
        documented = ""
    nameless = [(unit, name) for unit, name in unexplained if name not in documented]
    for unit, name in nameless:
        print(f"no reason in docs/COMPATIBILITY.md: {unit}: {name}", file=sys.stderr)
    sys.exit(1 if nameless else 0)


def report(markdown, rows, by_command, unexplained):
    cell = "| {} | {} | {} | {} |" if markdown else "{:24} {:>5} {:>5} {:>5}"
    print(cell.format("unit", "expected", "passed", "left out"))
    if markdown:
        print("|---|---|---|---|")
    for row in rows:
        print(cell.format(*row))
    print(cell.format("total", *(sum(row[i] for row in rows) for i in (1, 2, 3))))
    print("\n" + ("| unit | test | sends |\n|---|---|---|" if markdown else "Sends a command that the server does not know:"))
    for (unit, name), words in by_command.items():
        if markdown:
            print(f"| {unit.removeprefix('unit/')} | {name.replace('|', chr(92) + '|')} | {', '.join(w.upper() for w in words)} |")
        else:
            print(f"  {unit}: {name}: {', '.join(words)}")
    print("\nNo such command found:")
    for unit, name in unexplained:
        print(f"* {unit.removeprefix('unit/')}: {name}")


if __name__ == "__main__":
    main()
