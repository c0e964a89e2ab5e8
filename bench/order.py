#!/usr/bin/env python3
"""What order is worth, beside Debian's redis-server:   bench/order.py [options]
(`make bench-order` builds what it needs.)

  prefix  the time until SCAN 0 MATCH p* COUNT 100, followed to its end, has given the 100 keys with that prefix among
          --keys keys, and the same by PREFIX; redis looks at all keys for that
  walk    the server's CPU for all keys, in pages of a thousand: PREFIX with a cursor (in order, of one moment a page),
          redis's SCAN COUNT 1000

Figures that matter are ratios of one run.
"""
import os
import statistics
import sys
import time

from memory import REDIS, Pipe, ours
from sidebyside import ROOT, Server, parser

FOUND = 100


class Walker(Pipe):
    def command(self, *words):
        self.socket.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
        return self.read()

    def read(self):
        line = self.replies.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"*":
            return [self.read() for _ in range(int(rest))]
        if kind == b"$":
            return self.replies.read(int(rest) + 2)[:-2]
        if kind == b"-":
            sys.exit(f"the server answers {line}")
        return rest

    def all(self, *words, at):
        """All keys of a command whose cursor is its word number `at`; answers cursor and keys."""
        words, found = list(words), []
        while True:
            words[at], keys = self.command(*words)
            found += keys
            if words[at] == b"0":
                return found


def median_ms(times, walk):
    took = []
    for _ in range(times):
        begin = time.perf_counter()
        found = walk()
        took.append((time.perf_counter() - begin) * 1000)
        if len(set(found)) != FOUND:
            sys.exit(f"{len(set(found))} keys found")
    return statistics.median(took)


def prefix(options, walkers):
    for walker in walkers.values():
        for n in range(FOUND):
            walker.command(b"SET", b"special:%d" % n, b"v")
    scan = (b"SCAN", b"0", b"MATCH", b"special:*", b"COUNT", b"100")
    took = {name: median_ms(options.rounds if name == "redis" else 100, lambda w=w: w.all(*scan, at=1))
            for name, w in walkers.items()}
    took["PREFIX"] = median_ms(100, lambda: walkers["fluxkv"].command(b"PREFIX", b"special:", b"KEYS"))
    print(f"{FOUND} keys of {options.keys} by SCAN MATCH COUNT 100: redis {took['redis']:.1f} ms, "
          f"fluxkv {took['fluxkv']:.3f} ms, 1/{took['redis'] / took['fluxkv']:.0f} of it; by PREFIX {took['PREFIX']:.3f} ms, "
          f"1/{took['redis'] / took['PREFIX']:.0f}", flush=True)
    for walker in walkers.values():
        for n in range(FOUND):
            walker.command(b"DEL", b"special:%d" % n)


def walk(options, servers, walkers):
    ways = {"redis SCAN COUNT 1000": ("redis", (b"SCAN", b"0", b"COUNT", b"1000"), 1),
            "fluxkv SCAN COUNT 1000": ("fluxkv", (b"SCAN", b"0", b"COUNT", b"1000"), 1),
            "fluxkv PREFIX LIMIT 1000": ("fluxkv", (b"PREFIX", b"", b"KEYS", b"LIMIT", b"1000", b"CURSOR", b"0"), 6)}
    cpu = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, (server, words, at) in ways.items():
            before = servers[server].cpu_s()
            found = walkers[server].all(*words, at=at)
            cpu[name].append(servers[server].cpu_s() - before)
            if len(found) != options.keys or "PREFIX" in name and found != sorted(found):
                sys.exit(f"{name}: {len(found)} keys")
    for name, times in cpu.items():
        ratio = statistics.median(t / base for t, base in zip(times, cpu["redis SCAN COUNT 1000"]))
        print(f"{name:24} {statistics.median(times) * 1e9 / options.keys:7.0f} ns of CPU a key, {ratio:.2f} of redis",
              flush=True)


def main():
    options = parser(__doc__, "prefix,walk", ("prefix", "walk")).parse_args()
    os.chdir(ROOT)
    servers = {"redis": Server("redis", REDIS), "fluxkv": ours(options)}
    for server in servers.values():
        server.fill(options.keys)
    walkers = {name: Walker(server) for name, server in servers.items()}
    if "prefix" in options.only:
        prefix(options, walkers)
    if "walk" in options.only:
        walk(options, servers, walkers)
    for server in servers.values():
        server.stop()


if __name__ == "__main__":
    main()
