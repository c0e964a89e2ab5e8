#!/usr/bin/env python3
"""Sends the same generated commands to Debian's redis-server and to fluxkv, in RESP2 and in RESP3, and compares the
reply bytes:   scripts/compare-replies.py [--seed N] [--cases N] [--threads N] [--ours PROGRAM]

Replies that depend on time or chance are compared by rule (see `alike`). What differs on purpose stands with its reason
in tests/wire/known_differences.txt; any other difference is printed with the case's seed, and the exit code is 1.
The commands come from scripts/reply_grammar.py.
"""
import argparse
import os
import re
import socket
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # no __pycache__ among the sources
import reply_grammar  # noqa: E402

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
KNOWN = "tests/wire/known_differences.txt"
PEER = "build/peers/redis-server"
SHOWN_MAX = 60


class Server:
    def __init__(self, command, home):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.log = os.path.join(home, os.path.basename(command[0]) + ".log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([*command, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", home],
                                            stdout=log, stderr=log)
        for _ in range(400):
            try:
                connection = Connection(self.port)
                ready = connection.call([b"EXISTS", b"k"])[0].startswith(b":")  # not while it is loading
                connection.close()
                if ready:
                    return
            except OSError:
                if self.process.poll() is not None:
                    break
            time.sleep(0.05)
        self.stop()
        sys.exit(f"{command[0]} does not come up:\n{open(self.log, errors='replace').read()}")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()


class Connection:
    """Sends a command, reads one reply as (bytes, parsed)."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.file = self.socket.makefile("rb")

    def close(self):
        self.file.close()
        self.socket.close()

    def call(self, args):
        if args is not None:
            self.socket.sendall(b"*%d\r\n" % len(args) + b"".join(b"$%d\r\n%s\r\n" % (len(a), a) for a in args))
        raw = []
        try:
            parsed = self.read(raw)
        except ConnectionResetError:
            raw.append(b"<closed>")
            parsed = None
        except (OSError, ValueError) as error:
            raw.append(f"<{error}>".encode())
            parsed = None
        return b"".join(raw), parsed

    def read(self, raw):
        line = self.file.readline()
        raw.append(line)
        if not line.endswith(b"\r\n"):
            raise ValueError("closed")
        kind, value = line[:1], line[1:-2]
        if kind in b"$=!":
            if int(value) < 0:
                return (b"_", None)
            body = self.file.read(int(value) + 2)
            raw.append(body)
            return (kind, body[:-2])
        if kind in b"*~>%":
            count = int(value) * (2 if kind == b"%" else 1)
            return (kind, [self.read(raw) for _ in range(count)]) if count >= 0 else (b"_", None)
        if kind not in b"+-:_#,(":
            raise ValueError("not RESP")
        return (kind, value)


CLOCK = {b"TTL": 1, b"PTTL": 1000, b"EXPIRETIME": 1, b"PEXPIRETIME": 1000}  # name: how much later one may be
UNORDERED = {b"KEYS", b"SCAN", b"CONFIG", b"ACL"}
ONLY_TYPE = {b"RANDOMKEY", b"TIME", b"INFO", b"HELLO", b"DUMP", b"MEMORY", b"SLOWLOG"}


def alike(args, ours, theirs):
    """Whether two parsed replies of one command agree where its reply depends on time, order or chance."""
    if ours is None or theirs is None or ours[0] != theirs[0] or ours[0] == b"-":
        return False
    name = args[0].upper()
    if name in CLOCK and ours[0] == b":":
        a, b = int(ours[1]), int(theirs[1])
        return a >= 0 and b >= 0 and abs(a - b) <= CLOCK[name]
    if name == b"SCAN" and (args[1:2] != [b"0"] or b"1000" not in args):  # one page of many: any keys are right
        return True
    if name in UNORDERED:
        return flat(ours) == flat(theirs)
    if name == b"COMMAND" and ours[0] == b"*":  # INFO: name, arity, flags in any order, first, last, step
        return all(a == b or [flat(x) for x in a[1][:6]] == [flat(x) for x in b[1][:6]]
                   for a, b in zip(ours[1], theirs[1]) if a[0] == b[0] == b"*")
    if name == b"CLIENT":
        return args[1].upper() in (b"ID", b"INFO", b"LIST")
    if name == b"HELLO" and isinstance(ours[1], list):  # the names of the fields, then our own
        return ours[1][:len(theirs[1]):2] == theirs[1][::2]
    return name in ONLY_TYPE


def flat(reply):
    kind, value = reply
    return sorted(str(flat(v)) for v in value) if isinstance(value, list) else (kind, value)


def one_line(reply):
    """A simple parsed reply as it was sent, shown."""
    return shown(reply[0] + reply[1] + b"\r\n") if isinstance(reply[1], bytes) else str(reply)


def command_line(args):
    return " ".join(shown(a) or '""' for a in args or [])


class KnownDifferences:
    def __init__(self):
        self.rows = []
        for line in open(KNOWN, encoding="utf-8"):
            if line.strip() and not line.startswith("#"):
                command, theirs, ours, reason = (part.strip() for part in line.rstrip("\n").split(" | "))
                self.rows.append((re.compile(command, re.I), re.compile(theirs), re.compile(ours), reason))

    def explains(self, command, theirs, ours):
        return any(c.fullmatch(command) and t.fullmatch(theirs) and o.fullmatch(ours) for c, t, o, _ in self.rows)


def shown(data):
    return data.decode("latin-1").encode("unicode_escape").decode()


class Comparison:
    def __init__(self, peer, ours):
        self.ports = (peer.port, ours.port)
        self.known = KnownDifferences()
        self.compared = self.explained = 0
        self.differences = []

    def case(self, seed, resp):
        """One case: two connections to each server; a step is (connection, arguments or None to read only)."""
        connections = [[Connection(port) for port in self.ports] for _ in range(2)]
        queued = [None, None]
        steps = [(0, [b"FLUSHALL"]), (0, [b"HELLO", str(resp).encode()]), *reply_grammar.case(seed)]
        try:
            for who, args in steps:
                (raw_theirs, theirs), (raw_ours, ours) = (c.call(args) for c in connections[who])
                self.compared += 1
                name = args[0].upper() if args else b""
                if raw_ours != raw_theirs:
                    same = self.exec_alike(queued[who] or [], ours, theirs) if name == b"EXEC" \
                        else args is not None and alike(args, ours, theirs)
                    if not same:
                        self.note(seed, resp, args, raw_theirs, raw_ours)
                if ours is None or theirs is None:
                    break  # a connection is gone: the case ends here
                if ours[1] == b"QUEUED" and queued[who] is not None:
                    queued[who].append(args)
                elif name == b"MULTI" and ours[1] == b"OK":
                    queued[who] = []
                elif name in (b"EXEC", b"DISCARD", b"RESET"):
                    queued[who] = None
        finally:
            for pair in connections:
                for connection in pair:
                    connection.close()

    def exec_alike(self, queued, ours, theirs):
        if not (ours and theirs and ours[0] == theirs[0] == b"*") or len(ours[1]) != len(theirs[1]):
            return False
        return all(a == b or alike(args, a, b) or self.known.explains(command_line(args), one_line(b), one_line(a))
                   for args, a, b in zip(queued, ours[1], theirs[1]))

    def note(self, seed, resp, args, theirs, ours):
        command = command_line(args)
        if self.known.explains(command, shown(theirs), shown(ours)):
            self.explained += 1
        else:
            self.differences.append(f"RESP{resp} seed {seed}: {command[:200]}\n    redis:  {shown(theirs)[:300]}\n"
                                    f"    fluxkv: {shown(ours)[:300]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int, default=120)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--ours", default=os.environ.get("FLUXKV_SERVER", "build/fluxkv"))
    options = parser.parse_args()
    os.chdir(ROOT)
    servers = []
    with tempfile.TemporaryDirectory() as home:
        try:
            servers.append(Server([PEER, "--save", "", "--logfile", ""], home))
            threads = [] if options.ours == PEER else ["--threads", str(options.threads), "--durability", "none"]
            servers.append(Server([options.ours, *threads], home))
            comparison = Comparison(*servers)
            for seed in range(options.seed, options.seed + options.cases):
                for resp in (2, 3):
                    comparison.case(seed, resp)
                if servers[1].process.poll() is not None:
                    comparison.differences.append(f"the server died at seed {seed}:\n{open(servers[1].log).read()[-2000:]}")
                    break
        finally:
            for server in servers:
                server.stop()
    for text in comparison.differences[:SHOWN_MAX]:
        print(text)
    print(f"{comparison.compared} replies compared, {comparison.explained} known differences, "
          f"{len(comparison.differences)} unknown")
    sys.exit(1 if comparison.differences else 0)


if __name__ == "__main__":
    main()
