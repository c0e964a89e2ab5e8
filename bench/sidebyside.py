#!/usr/bin/env python3
"""Load on redis-server, fluxkv and others, in turn, round after round:   bench/sidebyside.py [options]
(`make bench BENCH='--rounds 5 --only get_p1,set_p16'` builds what it needs.)

  redis    Debian's redis-server, which the others are measured against
  fluxkv   without its log, as redis runs without saving
  floor    the least that a server on libuv can do (bench/floor.cc), where it knows the commands
  others   valkey-server, keydb-server, dragonfly and pogocache where they are installed, one thread each, and what
           --peer names; where one of them does not know a command, it has no figures

Per workload, medians: requests a second as the client saw them, 99th percentile, and the server's own CPU time a
request (user + system of its process, which a busy machine moves little). Then each server's figures over redis's,
medians of each round's ratio: requests more than 1 is faster, CPU less than 1 is cheaper; the last column is fluxkv's
CPU over the floor's. Before, all are filled and the resident bytes a key shown. --save keeps it all for bench/plot.py.

setrand and setnew add a million keys a round, and no key is taken out again: the whole table with three rounds takes up
to 2 GB of memory a server.
"""
import argparse
import datetime
import json
import os
import platform
import re
import shlex
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
LOAD = "build/bench/load"
PAGE = os.sysconf("SC_PAGE_SIZE")
VALUE_BYTES, SMALL_BYTES, BIG_BYTES = 64, 16, 16384
COLUMNS_MOST = 160
GET, SET = "GET key:{key}", "SET key:{key} {value}"
WORKLOADS = {  # name: what it is, requests, connections, pipeline, commands, further options of the load generator
    "ping_p1": ("PING, one a round trip", 200_000, 50, 1, "PING", []),
    "get_p1": ("GET, one a round trip", 200_000, 50, 1, GET, []),
    "set_p1": ("SET, one a round trip", 200_000, 50, 1, SET, []),
    "get_c1000": ("GET, 1000 connections", 200_000, 1000, 1, GET, []),
    "get_p16": ("GET, 16 in a pipeline", 2_000_000, 50, 16, GET, []),
    "set_p16": ("SET, 16 in a pipeline", 2_000_000, 50, 16, SET, []),
    "get_p64": ("GET, 64 in a pipeline", 3_000_000, 50, 64, GET, []),
    "set_p64": ("SET, 64 in a pipeline", 3_000_000, 50, 64, SET, []),
    "zipf_get_p16": ("GET by Zipf's law, 16 in a pipeline", 2_000_000, 50, 16, GET, ["--zipf", "0.99"]),
    "setex_p16": ("SET with EX, 16 in a pipeline", 1_000_000, 50, 16, SET + " EX 1000", []),
    "incr_hot_p16": ("INCR of one key, 16 in a pipeline", 1_000_000, 50, 16, "INCR counter", []),
    "mget10_p16": ("MGET of ten keys, 16 in a pipeline", 300_000, 50, 16, "MGET" + " key:{key}" * 10, []),
    "multi_p4": ("MULTI, SET, GET, EXEC, 4 in a pipeline", 200_000, 50, 4, f"MULTI ; {SET} ; {GET} ; EXEC", []),
    "getbig_p1": ("GET of 16 KiB, one a round trip", 50_000, 50, 1, "GET big", []),
    "setrand_p16": ("SET of new keys in random order, 16 in a pipeline", 1_000_000, 50, 16, "SET new:{random} {value}",
                    []),
    "setnew_p16": ("SET of new keys in order, 16 in a pipeline", 1_000_000, 50, 16, "SET new:{new} {value}", []),
    "setbig_p1": ("SET of 16 KiB with EX, new keys, one a round trip", 50_000, 50, 1, "SET big{new} {value} EX 1",
                  ["--value-bytes", str(BIG_BYTES)]),
}
PEERS = {  # program, looked for in PATH: what follows it
    "valkey-server": ["--save", "", "--port", "{port}", "--dir", "{dir}"],
    "keydb-server": ["--save", "", "--server-threads", "1", "--port", "{port}", "--dir", "{dir}"],
    "dragonfly": ["--proactor_threads=1", "--dbfilename=", "--port={port}", "--dir={dir}"],
    "pogocache": ["--threads", "1", "-p", "{port}"],
}


def encode(*words):
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w.encode()) for w in words)


def read_reply(stream):
    """One reply: (its first byte, the text of a line or bulk string, or the replies in an array)."""
    line = stream.readline().decode()
    if not line.endswith("\r\n"):
        raise ConnectionError("the server closed the connection")
    kind, rest = line[0], line[1:-2]
    if kind == "$":
        return kind, stream.read(int(rest) + 2)[:-2].decode() if rest != "-1" else None
    return kind, [read_reply(stream) for _ in range(int(rest))] if kind == "*" else rest


class Server:
    def __init__(self, name, command, home=None):
        """`home`: a folder of the caller's for its data; else a temporary one. The command may have {port} and {dir};
        if it has no {port}, the options --port and --dir follow."""
        self.name = name
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.own_home = None if home else tempfile.TemporaryDirectory()
        self.home = home or self.own_home.name
        self.log = os.path.join(self.home, "log")
        if not any("{port}" in word for word in command):
            command = [*command, "--port", "{port}", "--dir", "{dir}"]
        self.command = [w.replace("{port}", str(self.port)).replace("{dir}", self.home) for w in command]
        with open(self.log, "wb") as log:
            try:
                self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
            except OSError as error:
                sys.exit(f"{name} does not start: {self.command[0]}: {error.strerror}")
        for _ in range(2000):
            if self.process.poll() is not None:
                break
            try:
                if self.ask(["EXISTS", "k"], timeout=1)[0][0] == ":":  # not while it is loading
                    return
            except OSError:
                pass
            time.sleep(0.005)
        self.stop()
        sys.exit(f"{name} does not come up: {shlex.join(self.command)}")

    def connect(self, timeout):
        return socket.create_connection(("127.0.0.1", self.port), timeout)

    def ask(self, *commands, timeout=30):
        """The replies of commands on a connection of their own."""
        with self.connect(timeout) as connection, connection.makefile("rb") as stream:
            connection.sendall(b"".join(encode(*words) for words in commands))
            return [read_reply(stream) for _ in commands]

    def version(self):
        try:
            kind, text = self.ask(["INFO", "server"])[0]
        except OSError:
            return None
        found = dict(re.findall(r"^(\w+)_version:(\S+)", text or "", re.M)) if kind == "$" else {}
        return next((found[n] for n in ("fluxkv", "valkey", "keydb", "dragonfly", "redis") if n in found), None)

    def cpu_s(self):
        """By the clock that clock_getcpuclockid() has for the process: finer than the ticks in /proc."""
        return time.clock_gettime(~self.process.pid << 3 | 2)

    def resident_bytes(self):
        return int(open(f"/proc/{self.process.pid}/statm").read().split()[1]) * PAGE

    def set_all(self, keys, size=VALUE_BYTES, step=7919):
        """Every key once, in an order scrambled by the prime `step`."""
        with self.connect(timeout=60) as connection, connection.makefile("rb") as stream:
            tail, awaited = f"${size}\r\n{'x' * size}\r\n", 0
            for first in range(0, keys, 1000):
                numbers = [i * step % keys for i in range(first, min(first + 1000, keys))]
                batch = "".join(f"*3\r\n$3\r\nSET\r\n$16\r\nkey:{n:012d}\r\n{tail}" for n in numbers).encode()
                self.expect_done(stream, awaited)  # those of the batch before
                connection.sendall(batch)
                awaited = len(numbers)
            self.expect_done(stream, awaited)

    def expect_done(self, stream, replies):
        done = b"+OK\r\n" * replies
        if (got := stream.read(len(done))) != done:
            sys.exit(f"filling {self.name} failed: {got[:100]}")

    def fill(self, keys, size=VALUE_BYTES):
        """Every key, then each overwritten at another length. Returns resident bytes a key."""
        before = self.resident_bytes()
        self.set_all(keys, size // 2 + 7)
        self.set_all(keys, size, 104729)
        return (self.resident_bytes() - before) / keys

    def knows(self, workload):
        """Whether no command of it is answered with an error."""
        commands = re.sub(r"\{\w+\}", "000000000000", WORKLOADS[workload][4]).split(" ; ")
        try:
            return all(kind != "-" for kind, _ in self.ask(*(words.split() for words in commands)))
        except OSError:
            return False

    def load(self, workload, keys, scale, seed):
        """(requests/s, p99 in ms, CPU microseconds a request)"""
        _, requests, connections, pipeline, commands, options = WORKLOADS[workload]
        requests = max(int(requests * scale), 1)
        before = self.cpu_s()
        result = subprocess.run([LOAD, "--port", str(self.port), "--connections", str(connections), "--pipeline",
                                 str(pipeline), "--requests", str(requests), "--keys", str(keys), "--value-bytes",
                                 str(VALUE_BYTES), "--seed", str(seed), *options, "--do", commands],
                                capture_output=True, text=True)
        figures = re.match(r"rps (\S+) p50_ms \S+ p99_ms (\S+) p999_ms \S+ errors 0$", result.stdout.strip())
        if not figures:
            sys.exit(f"{workload} on {self.name}: {result.stdout}{result.stderr}")
        return float(figures[1]), float(figures[2]), (self.cpu_s() - before) / requests * 1e6

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def parser(doc, only, choices):
    """The options that all measurements here have; `only` is what is measured if nothing is said."""
    result = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("--rounds", type=int, default=3)
    result.add_argument("--keys", type=int, default=1_000_000)
    result.add_argument("--scale", type=float, default=1.0, help="multiplies the number of requests")
    result.add_argument("--threads", type=int, default=1, help="fluxkv's event loops")
    result.add_argument("--only", default=only, help=" ".join(choices))
    result.add_argument("--ours", default="build/fluxkv")
    return result


def commands_of(options):
    """Server by server, the reference first: name, command."""
    redis = ["build/peers/redis-server", "--save", ""]
    ours = [options.ours, "--threads", str(options.threads), "--durability", "none"]
    result = {"redis": redis, "fluxkv": redis if options.ours == redis[0] else ours, "floor": ["build/bench/floor"]}
    for program, words in PEERS.items():
        if found := shutil.which(program):
            result[program.removesuffix("-server")] = [found, *words]
    for peer in options.peer:
        name, _, command = peer.partition("=")
        words = shlex.split(command)
        if not name or not words or name in ("redis", "fluxkv", "floor"):
            sys.exit(f"--peer {peer}: NAME=COMMAND is wanted, and a name of its own")
        result[name] = words if "{port}" in command else [*words, "--port", "{port}"]
    return result


def may_run(server, workload):
    """The floor takes options of SET and does not heed them, so it is not asked."""
    return server.name in ("redis", "fluxkv") or (
        server.knows(workload) and not (server.name == "floor" and " EX " in WORKLOADS[workload][4]))


def median_ratio(rounds, name, base, figure):
    return statistics.median(r[name][figure] / max(r[base][figure], 1e-9) for r in rounds)


def compare(servers, workload, options):
    """Server by server what is printed and saved; none of those that do not know the workload."""
    able = [s for s in servers if may_run(s, workload)]
    rounds = [{s.name: s.load(workload, options.keys, options.scale, seed) for s in able}
              for seed in range(1, options.rounds + 1)]
    result = {}
    for s in able:
        rps, p99, cpu = (statistics.median(r[s.name][i] for r in rounds) for i in range(3))
        result[s.name] = {"rps": rps, "p99_ms": p99, "cpu_us": cpu}
        if s.name != "redis":
            result[s.name] |= {"rps_ratio": median_ratio(rounds, s.name, "redis", 0),
                               "cpu_ratio": median_ratio(rounds, s.name, "redis", 2)}
        if s.name == "fluxkv" and "floor" in rounds[0]:
            result[s.name]["cpu_floor_ratio"] = median_ratio(rounds, s.name, "floor", 2)
    return result


class Table:
    """Prints figures and ratios of a workload in one line, or the ratios apart in the end if that were too wide."""
    FIGURES = [("rps", "req/s", 10, ".0f"), ("p99_ms", "p99 ms", 8, ".2f"), ("cpu_us", "cpu us", 8, ".2f")]
    RATIOS = [("rps_ratio", "req/s x", 9, ".2f"), ("cpu_ratio", "cpu x", 7, ".2f")]
    FLOOR = [("cpu_floor_ratio", "cpu x", 13, ".2f")]

    def __init__(self, names):
        figures = [(name, name, self.FIGURES) for name in names]  # title, server, columns
        ratios = [(f"{name}/redis", name, self.RATIOS) for name in names[1:]]
        ratios.append(("fluxkv/floor", "fluxkv", self.FLOOR))
        width = 13 + sum(self.width(columns) for _, _, columns in figures + ratios)
        self.first, self.later = (figures + ratios, []) if width <= COLUMNS_MOST else (figures, ratios)
        self.lines = []
        self.print_head(self.first)

    @staticmethod
    def width(columns):
        return 2 + sum(column[2] for column in columns)

    def print_head(self, blocks):
        print(f"\n{'':13}" + "".join(f"{title:>{self.width(columns)}}" for title, _, columns in blocks))
        print(f"{'workload':13}" + "".join("  " + "".join(f"{head:>{wide}}" for _, head, wide, _ in columns)
                                           for _, _, columns in blocks), flush=True)

    @staticmethod
    def line(blocks, workload, result):
        line = f"{workload:13}"
        for _, server, columns in blocks:
            line += "  " + "".join(f"{result[server][key]:{wide}{form}}" if key in result.get(server, {}) else
                                   f"{'-':>{wide}}" for key, _, wide, form in columns)
        return line

    def add(self, workload, result):
        print(self.line(self.first, workload, result), flush=True)
        if self.later:
            self.lines.append(self.line(self.later, workload, result))

    def end(self):
        if self.later:
            self.print_head(self.later)
            print("\n".join(self.lines), flush=True)


def resident_small(commands, keys):
    result = {}
    for name, command in commands.items():
        server = Server(name, command)
        try:
            result[name] = server.fill(keys, SMALL_BYTES)
        finally:
            server.stop()
    return result


def machine():
    found = re.search(r"^model name\s*:\s*(.*)$", open("/proc/cpuinfo").read(), re.M)
    return {"cpu": found[1] if found else platform.machine(), "cores": os.cpu_count(), "kernel": platform.release()}


def arguments():
    result = parser(__doc__, ",".join(WORKLOADS), WORKLOADS)
    result.add_argument("--peer", action="append", default=[], metavar="NAME=COMMAND",
                        help="one more server; {port} and {dir} are replaced, without {port} `--port P` follows")
    result.add_argument("--small", action="store_true",
                        help=f"resident bytes a key with values of {SMALL_BYTES} bytes as well")
    result.add_argument("--save", metavar="FILE", help="the result as JSON, for bench/plot.py")
    options = result.parse_args()
    options.only = options.only.split(",")
    if unknown := [w for w in options.only if w not in WORKLOADS]:
        sys.exit(f"no such workload: {' '.join(unknown)}; there are {' '.join(WORKLOADS)}")
    if options.rounds < 1 or options.keys < 1 or options.scale <= 0:
        sys.exit("--rounds, --keys and --scale must be more than 0")
    if options.save:
        options.save = os.path.abspath(options.save)
        if not os.access(os.path.dirname(options.save), os.W_OK):
            sys.exit(f"--save {options.save}: its folder is not there, or not writable")
    return options


def resident(result, size, filled):
    """Notes and prints resident bytes a key, by server."""
    entry = {name: {"bytes": bytes_a_key} for name, bytes_a_key in filled.items()}
    for name in list(entry)[1:]:
        entry[name]["ratio"] = filled[name] / max(filled["redis"], 1e-9)
    result["resident_bytes_a_key"][str(size)] = entry
    print(f"resident bytes a key, values of {size}: " + ", ".join(
        f"{name} {e['bytes']:.1f}" + (f" ({e['ratio']:.2f} of redis)" if "ratio" in e else "")
        for name, e in entry.items()), flush=True)


def measure(commands, options, servers, result):
    """Fills `result`, and `servers` with those that are to be stopped."""
    for name, command in commands.items():
        servers.append(Server(name, command))
        result["servers"][name] = {"version": servers[-1].version(), "command": shlex.join(command)}
    print(", ".join(f"{name} {s['version'] or ''}".strip() for name, s in result["servers"].items()))
    print(f"{options.keys} keys of 16 bytes, values of {VALUE_BYTES}; rounds: {options.rounds}", flush=True)
    if options.small:
        resident(result, SMALL_BYTES, resident_small(commands, options.keys))
    resident(result, VALUE_BYTES, {s.name: s.fill(options.keys) for s in servers})
    for s in servers:
        if s.ask(["SET", "big", "x" * BIG_BYTES])[0] != ("+", "OK"):
            sys.exit(f"{s.name} does not take a value of {BIG_BYTES} bytes")
    table = Table(list(commands))
    for workload in options.only:
        figures = compare(servers, workload, options)
        table.add(workload, figures)
        what, requests, connections, pipeline, do, _ = WORKLOADS[workload]
        result["workloads"][workload] = {"what": what, "requests": int(requests * options.scale), "commands": do,
                                         "connections": connections, "pipeline": pipeline, "servers": figures}
    table.end()


def main():
    options = arguments()
    os.chdir(ROOT)
    kept = {name: value for name, value in vars(options).items() if name != "save"}
    result = {"date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"), "machine": machine(),
              "options": kept, "reference": "redis", "value_bytes": VALUE_BYTES, "servers": {},
              "resident_bytes_a_key": {}, "workloads": {}}
    servers = []
    try:
        measure(commands_of(options), options, servers, result)
    finally:
        for server in servers:
            server.stop()
    if options.save:
        with open(options.save, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
