#!/usr/bin/env python3
"""Load on Debian's redis-server and on fluxkv, in turn, round after round:   bench/sidebyside.py [options]
(`make bench BENCH='--rounds 5 --only get_p1,set_p16'` builds what it needs.)

Per workload, medians: requests a second as the client saw them, 99th percentile, and the server's own CPU time a request
(user + system of its process, which a busy machine moves little). The last columns are fluxkv's figure over redis's:
requests more than 1 is faster, CPU less than 1 is cheaper. Before, both are filled and the resident bytes a key shown.
"""
import argparse
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
LOAD = "build/bench/load"
TICKS, PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
VALUE_BYTES = 64
GET, SET = "GET key:{key}", "SET key:{key} {value}"
WORKLOADS = {  # name: requests, connections, pipeline, commands, further options of the load generator
    "ping_p1": (200_000, 50, 1, "PING", []),
    "get_p1": (200_000, 50, 1, GET, []),
    "set_p1": (200_000, 50, 1, SET, []),
    "get_p16": (2_000_000, 50, 16, GET, []),
    "set_p16": (2_000_000, 50, 16, SET, []),
    "get_p64": (3_000_000, 50, 64, GET, []),
    "set_p64": (3_000_000, 50, 64, SET, []),
    "setnew_p16": (1_000_000, 50, 16, "SET new:{new} {value}", []),
    "setex_p16": (1_000_000, 50, 16, SET + " EX 1000", []),
    "incr_hot_p16": (1_000_000, 50, 16, "INCR counter", []),
    "mget10_p16": (300_000, 50, 16, "MGET" + " key:{key}" * 10, []),
    "zipf_get_p16": (2_000_000, 50, 16, GET, ["--zipf", "0.99"]),
    "multi_p4": (200_000, 50, 4, f"MULTI ; {SET} ; {GET} ; EXEC", []),
}
DEFAULT = "ping_p1,get_p1,set_p1,get_p16,set_p16,get_p64,set_p64,mget10_p16"


class Server:
    def __init__(self, name, command, home=None):
        """`home`: a folder of the caller's for its data; else a temporary one."""
        self.name = name
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.own_home = None if home else tempfile.TemporaryDirectory()
        self.home = home or self.own_home.name
        self.log = os.path.join(self.home, "log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([*command, "--port", str(self.port), "--dir", self.home],
                                            stdout=log, stderr=log)
        for _ in range(2000):
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1) as probe:
                    probe.sendall(b"EXISTS k\r\n")
                    if probe.recv(100).startswith(b":"):  # not while it is loading
                        return
            except OSError:
                pass
            time.sleep(0.005)
        self.stop()
        sys.exit(f"{name} does not come up: {' '.join(command)}")

    def cpu_s(self):
        fields = open(f"/proc/{self.process.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def resident_bytes(self):
        return int(open(f"/proc/{self.process.pid}/statm").read().split()[1]) * PAGE

    def set_all(self, keys, size=VALUE_BYTES, step=7919):
        """Every key once, in an order scrambled by the prime `step`."""
        with subprocess.Popen(["redis-cli", "-p", str(self.port), "--pipe"], stdin=subprocess.PIPE,
                              stdout=subprocess.DEVNULL) as pipe:
            tail = f"${size}\r\n{'x' * size}\r\n"
            for first in range(0, keys, 10000):
                numbers = (i * step % keys for i in range(first, min(first + 10000, keys)))
                pipe.stdin.write("".join(f"*3\r\n$3\r\nSET\r\n$16\r\nkey:{n:012d}\r\n{tail}"
                                         for n in numbers).encode())
            pipe.stdin.close()
        if pipe.returncode:
            sys.exit(f"filling {self.name} failed")

    def fill(self, keys):
        """Every key, then each overwritten at another length. Returns resident bytes a key."""
        before = self.resident_bytes()
        self.set_all(keys, VALUE_BYTES // 2 + 7)
        self.set_all(keys, VALUE_BYTES, 104729)
        return (self.resident_bytes() - before) / keys

    def load(self, workload, keys, scale, seed):
        """(requests/s, p99 in ms, CPU microseconds a request)"""
        requests, connections, pipeline, commands, options = WORKLOADS[workload]
        requests = int(requests * scale)
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


def compare(servers, workload, options):
    rounds = [[s.load(workload, options.keys, options.scale, seed) for s in servers]
              for seed in range(1, options.rounds + 1)]
    line = f"{workload:13}"
    for i in range(len(servers)):
        rps, p99, cpu = (statistics.median(r[i][j] for r in rounds) for j in range(3))
        line += f"{rps:14.0f}{p99:8.2f}{cpu:8.2f}"
    ratio = [statistics.median(r[1][j] / max(r[0][j], 1e-9) for r in rounds) for j in (0, 2)]
    print(f"{line}{ratio[0]:12.2f}{ratio[1]:8.2f}", flush=True)


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


def main():
    options = parser(__doc__, DEFAULT, WORKLOADS).parse_args()
    os.chdir(ROOT)
    redis = ["build/peers/redis-server", "--save", ""]
    ours = redis if options.ours == redis[0] else [options.ours, "--threads", str(options.threads), "--durability", "none"]
    servers = []
    try:
        servers += [Server("redis", redis)]
        servers += [Server("fluxkv", ours)]
        filled = [s.fill(options.keys) for s in servers]
        print(f"{options.keys} keys of 16 bytes, values of {VALUE_BYTES}; {options.rounds} rounds")
        print("resident bytes a key: " + ", ".join(f"{s.name} {b:.1f}" for s, b in zip(servers, filled))
              + f"; fluxkv/redis {filled[1] / filled[0]:.2f}")
        print(f"{'workload':13}" + "".join(f"{s.name + ' req/s':>14}{'p99 ms':>8}{'cpu us':>8}" for s in servers)
              + f"{'req/s x':>12}{'cpu x':>8}")
        for workload in options.only.split(","):
            compare(servers, workload, options)
    finally:
        for server in servers:
            server.stop()


if __name__ == "__main__":
    main()
