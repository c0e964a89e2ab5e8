#!/usr/bin/env python3
"""What a memory limit holds and costs, beside Debian's redis-server:   bench/memory.py [options]
(`make bench-memory BENCH='--only limit,gets'` builds what it needs.)

  accounting  used_memory beside what the allocator says that the same data took
  limit       a flood of values of 64 bytes to 64 KB at a limit: the most that used_memory was over it, and resident
              memory over used_memory after a churn whose values grow half way, and once more when the kernel's khugepaged,
              which may fill what was given back, has been through all memory
  resident    keys that stay under the same limit (16 B keys, 64 B values): allkeys-lru and allkeys-arc, redis allkeys-lru
  gets        the server's CPU a GET, 16 in a pipeline, with a limit and a policy and without

Figures that matter are ratios of one run; a busy machine moves the absolute ones.
"""
import os
import random
import socket
import statistics
import sys
import time

from sidebyside import ROOT, Server, parser

REDIS = ["build/peers/redis-server", "--save", ""]


class Pipe:
    """A connection that sends commands in batches and wants no errors."""

    def __init__(self, server):
        self.socket = socket.create_connection(("127.0.0.1", server.port))
        self.replies = self.socket.makefile("rb")

    def set_all(self, pairs):
        self.socket.sendall(b"".join(b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (len(k), k, len(v), v)
                                     for k, v in pairs))
        for _ in pairs:
            line = self.replies.readline()
            if line != b"+OK\r\n":
                sys.exit(f"SET answered {line}")

    def ask(self, *words):
        self.socket.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w.encode()) for w in words))
        line = self.replies.readline()
        if line.startswith(b"$"):
            return self.replies.read(int(line[1:]) + 2).decode()
        return line.decode().strip()

    def info(self, name):
        for line in self.ask("INFO", "memory").splitlines():
            if line.startswith(name + ":"):
                return int(line.split(":")[1])
        sys.exit(f"INFO has no {name}")


def key(n):
    return b"key:%012d" % n


def ours(options, *words):
    return Server("fluxkv", [options.ours, "--threads", str(options.threads), "--durability", "none", *words])


def accounting(options):
    server = ours(options)
    pipe = Pipe(server)
    before = pipe.info("used_memory"), pipe.info("allocator_allocated")
    server.set_all(options.keys)
    used, allocated = pipe.info("used_memory") - before[0], pipe.info("allocator_allocated") - before[1]
    print(f"{options.keys} keys: used_memory grew by {used}, the allocator by {allocated}: {used / allocated:.3f} of it")
    options.expect(abs(used / allocated - 1) <= 0.05, "used_memory within 5 % of the allocator's figure")
    server.stop()


def limit(options):
    bound = 256 << 20
    server = ours(options, "--maxmemory", "256mb", "--maxmemory-policy", "allkeys-lru")
    pipe = Pipe(server)
    numbers = random.Random(options.seed)
    most_allowed = bound + bound // 100 + (64 << 10)
    filler = b"x" * (64 << 10)

    def flood(megabytes, low, high):
        sent, n, most = 0, 0, 0
        while sent < megabytes << 20:
            batch = [(key(numbers.randrange(10_000_000)), filler[:int(low * (high / low) ** numbers.random())])
                     for _ in range(200)]
            pipe.set_all(batch)
            sent += sum(len(v) for _, v in batch)
            n += 1
            if n % 20 == 0:
                most = max(most, pipe.info("used_memory"))
        return most

    most = flood(1024, 64, 64 << 10)
    print(f"flood of 64 B to 64 KB: used_memory at most {most / bound:.4f} of maxmemory")
    options.expect(most <= most_allowed, "used_memory within maxmemory, 1 % and a value")
    for low, high in ((64, 256), (400, 2000)):
        most = flood(512, low, high)
        used = pipe.info("used_memory")
        print(f"churn of 512 MB, values of {low} to {high} B: used_memory at most {most / bound:.4f} of maxmemory; "
              f"resident memory {server.resident_bytes() / used:.3f} of used_memory, "
              f"garbage and retired {(pipe.info('mem_garbage') + pipe.info('mem_retired')) / used:.4f}", flush=True)
        options.expect(most <= most_allowed, "used_memory within maxmemory, 1 % and a value")
        options.expect(server.resident_bytes() <= 1.15 * used, "resident memory within 1.15 of used_memory")
    waited = await_khugepaged(options.settle)
    print(f"{waited:.0f} s later: resident memory {server.resident_bytes() / pipe.info('used_memory'):.3f} of used_memory",
          flush=True)
    options.expect(server.resident_bytes() <= 1.15 * pipe.info("used_memory"), "resident memory stays within 1.15")
    server.stop()


def await_khugepaged(seconds):
    """Waits until the kernel's khugepaged has been through all memory twice, so many seconds at the most."""
    scans = "/sys/kernel/mm/transparent_hugepage/khugepaged/full_scans"
    begin = time.monotonic()
    if os.path.exists(scans):
        first = int(open(scans).read())
        while int(open(scans).read()) < first + 2 and time.monotonic() - begin < seconds:
            time.sleep(1)
    return time.monotonic() - begin


def resident(options):
    kept = {}
    for name, command in (("redis allkeys-lru", [*REDIS, "--maxmemory-policy", "allkeys-lru"]),
                          ("fluxkv allkeys-lru", ["allkeys-lru"]), ("fluxkv allkeys-arc", ["allkeys-arc"])):
        words = ["--maxmemory", "128mb"]
        server = (Server(name, [*command, *words]) if command[0] == REDIS[0] else
                  ours(options, "--maxmemory-policy", command[0], *words))
        server.set_all(2_000_000)
        kept[name] = int(Pipe(server).ask("DBSIZE")[1:])
        server.stop()
        print(f"{name}: {kept[name]} keys in 128 MB, {(128 << 20) / kept[name]:.1f} B a key, "
              f"{kept[name] / kept['redis allkeys-lru']:.3f} of redis", flush=True)


def gets(options):
    servers = {policy: ours(options, "--maxmemory-policy", policy,
                            *([] if policy == "noeviction" else ["--maxmemory", "1gb"]))
               for policy in ("noeviction", "allkeys-lru", "allkeys-arc", "allkeys-lfu")}
    for server in servers.values():
        server.fill(options.keys)
    took = {policy: [] for policy in servers}
    for seed in range(1, options.rounds + 1):
        for policy, server in servers.items():
            took[policy].append(server.load("get_p16", options.keys, options.scale, seed)[2])
    for policy, times in took.items():
        ratio = statistics.median(t / base for t, base in zip(times, took["noeviction"]))
        print(f"CPU a GET, pipeline 16, {policy:12} {statistics.median(times):.3f} us, {ratio:.2f} of no limit")
    for server in servers.values():
        server.stop()


MEASUREMENTS = {f.__name__: f for f in (accounting, limit, resident, gets)}


def main():
    arguments = parser(__doc__, ",".join(MEASUREMENTS), MEASUREMENTS)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--seconds", type=int, default=0, help="begins again, with the next seed, until so long has passed")
    arguments.add_argument("--settle", type=int, default=60,
                           help="seconds, at the most, until resident memory is looked at again after khugepaged's work")
    arguments.add_argument("--check", action="store_true", help="ends with 1 when a bound was passed")
    options = arguments.parse_args()
    failed = []
    options.expect = lambda holds, what: None if holds else failed.append(what)
    os.chdir(ROOT)
    begin = time.monotonic()
    while True:
        for name in options.only.split(","):
            MEASUREMENTS[name](options)
        options.seed += 1
        if time.monotonic() - begin >= options.seconds:
            break
    for what in failed:
        print(f"does not hold: {what}")
    return 1 if failed and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
