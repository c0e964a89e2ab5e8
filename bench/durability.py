#!/usr/bin/env python3
"""What durability costs, beside Debian's redis-server on the same disk:   bench/durability.py [options]
(`make bench-durability BENCH='--only sets,start'` builds what it needs.)

  sets      SET with 50 connections, one and sixteen in a pipeline: redis-server with an fsync for each turn
            (appendfsync always) and fluxkv in mode full; the time of one fdatasync here, and commits a sync
  relaxed   the server's CPU a SET, 16 in a pipeline, in mode relaxed and in mode none
  readers   GETs of 50 connections beside 8 connections that SET without pause on the same 1000 keys (Zipf)
  snapshot  BGSAVE of all keys under a mixed load: growth of resident memory, and p99.9 beside the same without it
  start     the time from the start to the first answer, with all keys in a snapshot, and in the log

Figures that matter are ratios of one run; a busy machine moves the absolute ones.
"""
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from sidebyside import LOAD, ROOT, Server, parser

REDIS = ["build/peers/redis-server", "--save", ""]
ALWAYS = ["--appendonly", "yes", "--appendfsync", "always"]
ZIPF = ["--keys", "1000", "--zipf", "0.99"]


def load(server, requests, do, connections=50, pipeline=1, options=(), seed=1):
    """The load generator as a process; figures(process) waits for it."""
    return subprocess.Popen([LOAD, "--port", str(server.port), "--connections", str(connections), "--pipeline",
                             str(pipeline), "--requests", str(requests), "--value-bytes", "64", "--seed", str(seed),
                             *options, "--do", do], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def figures(process):
    out, errors = process.communicate()
    found = re.match(r"rps (\S+) p50_ms (\S+) p99_ms (\S+) p999_ms (\S+) errors 0$", out.strip())
    if not found:
        sys.exit(f"the load failed: {out}{errors}")
    return dict(zip(("rps", "p50", "p99", "p999"), map(float, found.groups())))


def cli(server, *words):
    return subprocess.run(["redis-cli", "-p", str(server.port), *words], capture_output=True, text=True).stdout.strip()


def info(server, name):
    """Asked without a redis-cli, whose start would take the core that is measured."""
    text = server.ask(["INFO", "persistence"])[0][1]
    found = re.search(rf"^{name}:(.*)$", text.replace("\r", ""), re.M)
    return found[1] if found else None


def save_in_background(server):
    server.ask(["BGSAVE"])


def sync_ms():
    """Median milliseconds of fdatasync after a small write into a file that has its blocks."""
    with tempfile.NamedTemporaryFile() as file:
        os.write(file.fileno(), b"\0" * (1 << 22))
        os.fsync(file.fileno())
        times = []
        for i in range(300):
            os.pwrite(file.fileno(), b"x" * 200, i * 200)
            begin = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - begin) * 1000)
    return statistics.median(times)


class Servers:
    """Servers of one measurement, stopped in the end."""

    def __init__(self, options):
        self.options = options
        self.all = []

    def start(self, name, command, home=None):
        self.all.append(Server(name, command, home))
        return self.all[-1]

    def redis(self, *words, home=None):
        return self.start("redis " + " ".join(words), [*REDIS, *words], home)

    def ours(self, mode, *words, home=None):
        command = [self.options.ours, "--threads", str(self.options.threads), "--durability", mode, *words]
        return self.start("fluxkv " + mode, command, home)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for server in self.all:
            server.stop()


def median_of(rounds, run):
    return statistics.median(run(seed) for seed in range(1, rounds + 1))


def sets(options):
    print(f"fdatasync here: {sync_ms():.3f} ms")
    with Servers(options) as servers:
        pair = servers.redis(*ALWAYS), servers.ours("full")
        for pipeline, requests in ((1, 60_000), (16, 600_000)):
            requests = int(requests * options.scale)
            rates = {s.name: [] for s in pair}
            before = int(info(pair[1], "log_records")), int(info(pair[1], "log_syncs"))
            for seed in range(1, options.rounds + 1):
                for s in pair:
                    rates[s.name].append(figures(load(s, requests, "SET key:{key} {value}", 50, pipeline, seed=seed))["rps"])
            records = int(info(pair[1], "log_records")) - before[0]
            syncs = int(info(pair[1], "log_syncs")) - before[1]
            theirs, ours = (statistics.median(rates[s.name]) for s in pair)
            print(f"SET, pipeline {pipeline:2}: redis always {theirs:9.0f}/s, fluxkv full {ours:9.0f}/s, ratio "
                  f"{ours / theirs:.2f}; {records / max(syncs, 1):.1f} commits a sync", flush=True)


def relaxed(options):
    with Servers(options) as servers:
        pair = servers.ours("none"), servers.ours("relaxed")
        requests = int(2_000_000 * options.scale)
        cpu = {s.name: [] for s in pair}
        for s in pair:  # every key is there, so that overwrites are measured
            figures(load(s, 2_000_000, "SET key:{key} {value}", pipeline=16, seed=99))
        for seed in range(1, options.rounds + 1):
            for s in pair:
                before = s.cpu_s()
                figures(load(s, requests, "SET key:{key} {value}", pipeline=16, seed=seed))
                cpu[s.name].append((s.cpu_s() - before) / requests * 1e6)
        none, relaxed_cpu = (statistics.median(cpu[s.name]) for s in pair)
        print(f"CPU a SET, pipeline 16: none {none:.3f} us, relaxed {relaxed_cpu:.3f} us, ratio {relaxed_cpu / none:.2f}",
              flush=True)


def readers(options):
    """GETs a second beside writers, per server."""
    with Servers(options) as servers:
        trio = servers.redis(*ALWAYS), servers.ours("none"), servers.ours("full")
        result = {}
        for s in trio:
            figures(load(s, 20_000, "SET key:{key} {value}", options=["--keys", "1000"]))
        for s in trio:
            def run(seed, s=s):
                writers = load(s, 50_000_000, "SET key:{key} {value}", 8, options=ZIPF, seed=seed)
                time.sleep(0.3)
                rps = figures(load(s, int(200_000 * options.scale), "GET key:{key}", 50, options=ZIPF, seed=seed))["rps"]
                writers.kill()
                writers.communicate()
                return rps
            result[s.name] = median_of(options.rounds, run)
            print(f"GET/s beside 8 writers: {s.name:45} {result[s.name]:9.0f}", flush=True)
        print(f"fluxkv full over none: {result['fluxkv full'] / result['fluxkv none']:.2f}")


def snapshot(options):
    with Servers(options) as servers:
        pair = servers.redis(), servers.ours("relaxed", "--durability.snapshot_after_bytes", "0")
        mixed = "SET key:{key} {value} ; GET key:{key}"
        ratio = {}
        for s in pair:
            s.fill(options.keys)
            save_in_background(s)
            wait_for_snapshot(s)
            rounds = {"without": [], "with": []}
            growth, held, saves = [], "-", []
            for seed in range(1, options.rounds + 1):
                rounds["without"].append(figures(load(s, int(300_000 * options.scale), mixed, seed=seed))["p999"])
                before = s.resident_bytes()
                process = load(s, int(300_000 * options.scale), mixed, seed=seed)
                time.sleep(0.2)
                save_in_background(s)
                most, begun = before, 1
                while process.poll() is None:
                    most = max(most, s.resident_bytes())
                    time.sleep(0.02)
                    if info(s, "rdb_bgsave_in_progress") == "0":
                        save_in_background(s)
                        begun += 1
                saves.append(begun)
                rounds["with"].append(figures(process)["p999"])
                growth.append(most / before - 1)
                wait_for_snapshot(s)
                held = info(s, "snapshot_versions_held_most") or "-"
            without, beside = (statistics.median(rounds[k]) for k in ("without", "with"))
            ratio[s.name] = beside / without
            print(f"BGSAVE: {s.name:10} p99.9 without {without:.2f} ms, with {beside:.2f} ms, ratio {ratio[s.name]:.2f}; "
                  f"{statistics.median(saves):.0f} saves begun; resident memory +{statistics.median(growth) * 100:.1f} %, "
                  f"old versions held at most {held}", flush=True)


def wait_for_snapshot(server):
    while info(server, "rdb_bgsave_in_progress") != "0":
        time.sleep(0.05)


def seconds_to_answer(start):
    """Starts a server and waits until a command that needs the data is answered."""
    begin = time.perf_counter()
    server = start()
    while not cli(server, "DBSIZE").isdigit():
        time.sleep(0.005)
    took = time.perf_counter() - begin
    keys = int(cli(server, "DBSIZE"))
    server.stop()
    return took, keys


def start(options):
    homes = {name: tempfile.mkdtemp(prefix="fluxkv-bench-") for name in ("rdb", "aof", "snapshot", "log")}
    rewrite_never = ["--auto-aof-rewrite-percentage", "0"]
    in_log = ["--durability.snapshot_after_bytes", "0", "--durability.segments", "64"]
    with Servers(options) as servers:
        commands = {
            "rdb": lambda: servers.redis(home=homes["rdb"]),
            "snapshot": lambda: servers.ours("relaxed", home=homes["snapshot"]),
            "aof": lambda: servers.redis("--appendonly", "yes", *rewrite_never, home=homes["aof"]),
            "log": lambda: servers.ours("relaxed", *in_log, home=homes["log"]),
        }
        for name, command in commands.items():
            server = command()
            server.set_all(options.keys)
            if name in ("rdb", "snapshot"):
                cli(server, "SAVE")
            cli(server, "SHUTDOWN", "NOSAVE")
            server.process.wait()
        took = {name: [] for name in commands}
        for _ in range(options.rounds):
            for name, command in commands.items():
                seconds, keys = seconds_to_answer(command)
                if keys != options.keys:
                    sys.exit(f"{name}: {keys} keys instead of {options.keys}")
                took[name].append(seconds)
        m = {name: statistics.median(seconds) for name, seconds in took.items()}
        print(f"start with {options.keys} keys: redis RDB {m['rdb']:.2f} s, fluxkv snapshot {m['snapshot']:.2f} s, ratio "
              f"{m['snapshot'] / m['rdb']:.2f}; redis AOF {m['aof']:.2f} s, fluxkv log {m['log']:.2f} s, ratio "
              f"{m['log'] / m['aof']:.2f}", flush=True)
    for home in homes.values():
        shutil.rmtree(home)


MEASUREMENTS = {f.__name__: f for f in (sets, relaxed, readers, snapshot, start)}


def main():
    options = parser(__doc__, ",".join(MEASUREMENTS), MEASUREMENTS).parse_args()
    os.chdir(ROOT)
    for name in options.only.split(","):
        MEASUREMENTS[name](options)


if __name__ == "__main__":
    main()
