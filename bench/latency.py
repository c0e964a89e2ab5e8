#!/usr/bin/env python3
"""How long requests wait, and what holds a loop up:   bench/latency.py [options]
(`make bench-latency BENCH='--only tail,grow'` builds what it needs.)

  tail     50 connections ask for half of what redis-server answers at most: p99.9 of both, GET and SET; a request
           counts from when it was due
  plain    SETs of keys that are there
  machine  the same SETs on the floor (bench/floor.cc), which does nothing else: what the machine itself takes away (a
           guest's processors are taken from it while its clocks go on); shown, not judged
  spin     no server at all: a loop on each processor that does nothing but read the CPU clock of its thread, and the
           longest step of that clock; shown, not judged
  grow     new keys in random order, from one to four million
  value    a value of 100 MB is deleted, and another overwritten by a short one, beside GETs
  delete   DELPREFIX of a million keys, beside GETs
  expire   a million keys expire within a second, beside GETs
  vacuum   every key overwritten while a READONLY transaction holds the old versions back, then it ends; beside GETs
  evict    SETs of new keys at the memory limit

Of all but tail and spin, the longest turn of a loop in CPU time of its thread (with what it read and sent), from INFO, and
all waits for latches, and for free pages to go back to the system, together (`page_wait_usec`: a loop that has answered
waits a millisecond at most). (Setting 100 MB takes longer: its bytes are copied, every page of them new.)
"""
import multiprocessing
import os
import re
import statistics
import subprocess
import sys
import time

from durability import figures
from sidebyside import GET, LOAD, ROOT, SET, Server, parser

OTHERS = ["--connections", "8", "--pipeline", "1", "--do", GET]
TURN_MS_MOST = 5.0
SPIN_S = 20


def load(server, *options):
    """The load generator as a process."""
    return subprocess.Popen([LOAD, "--port", str(server.port), *map(str, options)], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def well(server, *commands, timeout=120):
    """Sends them; an error for an answer is the end."""
    for command, (kind, text) in zip(commands, server.ask(*commands, timeout=timeout)):
        if kind == "-":
            sys.exit(f"{' '.join(word[:40] for word in command)}: {text}")


def info(server, section):
    text = server.ask(["INFO", section])[0][1]
    return dict(re.findall(r"^(\w+):(\S+)", text, re.M))


def tail(options):
    servers = []
    try:
        servers.append(Server("redis", ["build/peers/redis-server", "--save", ""]))
        servers.append(start(options))
        for s in servers:
            s.set_all(options.keys)
        for name, do in (("GET", GET), ("SET", SET)):
            common = ["--connections", 50, "--pipeline", 1, "--keys", options.keys, "--do", do]
            peak = statistics.median(figures(load(servers[0], *common, "--requests", 200_000, "--seed", seed))["rps"]
                                     for seed in range(1, 4))
            rate = int(peak / 2)
            paced = {s.name: [] for s in servers}
            for seed in range(1, options.rounds + 1):
                for s in servers:
                    paced[s.name].append(figures(load(s, *common, "--requests", int(rate * 4 * options.scale), "--rate",
                                                      rate, "--seed", seed))["p999"])
            theirs, ours = (statistics.median(paced[s.name]) for s in servers)
            print(f"{name}, {rate}/s: p99.9 redis {theirs:.2f} ms, fluxkv {ours:.2f} ms, ratio {ours / theirs:.2f}; rounds "
                  + ", ".join(f"{a:.2f}/{b:.2f}" for a, b in zip(*paced.values())), flush=True)
    finally:
        for s in servers:
            s.stop()


def start(options, *words):
    return Server("fluxkv", [options.ours, "--threads", str(options.threads), "--durability", "none", *words])


def start_floor(options):
    return Server("floor", ["build/bench/floor", "--turns", "yes"])


def beside(server, work):
    """The work, while others read."""
    others = load(server, *OTHERS, "--requests", 10_000_000)
    time.sleep(0.3)
    work()
    time.sleep(0.3)
    if others.poll() is not None:
        sys.exit(f"those that read beside it ended before it: {others.communicate()}")
    others.kill()
    others.communicate()


def longest_step(seconds):
    until, longest, before = time.monotonic() + seconds, 0, time.thread_time_ns()
    while time.monotonic() < until:
        for _ in range(10_000):
            now = time.thread_time_ns()
            longest, before = max(longest, now - before), now
    return longest / 1e6


def spin(options):
    processors = len(os.sched_getaffinity(0))
    seconds = max(1, SPIN_S * options.scale)
    with multiprocessing.Pool(processors) as pool:
        steps = pool.map(longest_step, [seconds] * processors, chunksize=1)
    print(f"spin     longest step of a thread's CPU clock {max(steps):.2f} ms in {seconds:.0f} s", flush=True)


def plain(server, options):
    figures(load(server, "--requests", 6 * options.keys, "--do", SET))


def grow(server, options):
    figures(load(server, "--requests", 3 * options.keys, "--do", "SET new:{random} {value}"))


def value(server, options):
    big = "x" * (100 << 20)

    def work():
        for command in (["DEL", "big:1"], ["SET", "big:2", "short"]):
            well(server, command)
            time.sleep(0.3)
    well(server, ["SET", "big:1", big], ["SET", "big:2", big])
    well(server, ["CONFIG", "RESETSTAT"])
    beside(server, work)


def delete(server, options):
    beside(server, lambda: well(server, ["DELPREFIX", "key:"]))


def expire(server, options):
    def work():
        at = int(time.time() * 1000) + 6000
        for first in range(0, options.keys, 1000):
            well(server, *(["PEXPIREAT", f"key:{n:012d}", str(at + n % 1000)] for n in range(first, first + 1000)))
        while int(info(server, "keyspace").get("db0", "keys=0").split("keys=")[1].split(",")[0]) > 0:
            time.sleep(0.05)
    beside(server, work)


def vacuum(server, options):
    def work():
        with server.connect(timeout=60) as holder, holder.makefile("rb") as answers:
            holder.sendall(b"BEGIN READONLY\r\n")
            begun = answers.readline()
            figures(load(server, "--requests", 2 * options.keys, "--do", SET))
            holder.sendall(b"COMMIT\r\n")
            ended = answers.readline()
        if begun != b"+OK\r\n" or not ended.startswith(b":"):
            sys.exit(f"the transaction did not stay open: {begun} {ended}")
        well(server, ["VACUUM"])
    beside(server, work)


def evict(server, options):
    used = int(info(server, "memory")["used_memory"])
    well(server, ["CONFIG", "SET", "maxmemory", str(used)])
    for policy in ("allkeys-lru", "allkeys-lfu", "allkeys-arc"):
        well(server, ["CONFIG", "SET", "maxmemory-policy", policy])
        time.sleep(0.5)
        figures(load(server, "--requests", options.keys // 2, "--seed", len(policy), "--do", "SET new:{random} {value}"))


def waits(figures):
    """All waits so far, in milliseconds: for latches, and for free pages to go back to the system."""
    return [int(figures.get(name, 0)) / 1000 for name in ("latch_wait_usec", "page_wait_usec")]


def turns(options, what):
    """Whether no turn took too long."""
    server = start_floor(options) if what == "machine" else start(options)
    try:
        server.set_all(options.keys)
        time.sleep(0.3)
        before = waits(info(server, "fluxkv"))
        well(server, ["CONFIG", "RESETSTAT"])
        TURNS[what](server, options)
        now = info(server, "fluxkv")
        turn = int(now["longest_turn_usec"]) / 1000
        latches, pages = (b - a for a, b in zip(before, waits(now)))
        late = turn > TURN_MS_MOST and what != "machine"
        print(f"{what:8} longest turn {turn:.2f} ms, all waits for latches {latches:.2f} ms, for free pages {pages:.2f} ms"
              + (": TOO LONG" if late else ""), flush=True)
        return not late
    finally:
        server.stop()


TURNS = {"machine": plain, "plain": plain, "grow": grow, "value": value, "delete": delete, "expire": expire,
         "vacuum": vacuum, "evict": evict}


def main():
    names = ["tail", "spin", *TURNS]
    options = parser(__doc__, ",".join(names), names).parse_args()
    os.chdir(ROOT)
    well = True
    for what in options.only.split(","):
        if what not in names:
            sys.exit(f"there is no {what}: {' '.join(names)}")
        if what in TURNS:
            well &= turns(options, what)
        else:
            (tail if what == "tail" else spin)(options)
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()
