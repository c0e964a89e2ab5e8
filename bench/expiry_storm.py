#!/usr/bin/env python3
"""What happens when very many keys expire within one second:   bench/expiry_storm.py [options]
(`make build/fluxkv` builds what it needs; --server build/peers/redis-server shows the same of Redis.)

Sets --keys keys whose deadlines lie evenly within one second, waits for that second, and prints for every 100 ms how
many keys were past their deadline and not yet reclaimed, and how late the oldest of them was: keys go in order of
deadline, so the number that is gone says which is the oldest. A prober sends a GET, a SET, and a GET of a key whose
deadline has just passed, in turn all the while, and notes how long each reply took. These are wall-clock figures, which
a busy machine moves, and are not judged. Judged are what the server says of itself: the longest turn of a loop in CPU
time with the time its threads waited for latches (at most 10 ms), that every key went and none before its time, and
that none could be read after it.
"""
import argparse
import multiprocessing
import os
import random
import re
import socket
import sys
import time

from sidebyside import ROOT, Server

SECOND_MS = 1000
TURN_US_MOST = 10_000


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def line(self, command):
        """A command with a reply of one short piece."""
        self.socket.sendall(command)
        reply = self.socket.recv(4096)
        if reply.startswith(b"-"):
            sys.exit(f"{command!r}: {reply!r}")
        return reply

    def info(self, section):
        self.socket.sendall(f"INFO {section}\r\n".encode())
        reply = self.socket.recv(65536)
        size = int(reply[1:reply.index(b"\r\n")]) + reply.index(b"\r\n") + 4
        while len(reply) < size:
            reply += self.socket.recv(65536)
        return {name: value for name, value in re.findall(r"^(\w+):(.*)\r$", reply.decode(), re.M)}

    def send_all(self, commands, replies):
        """Commands in one piece, each answered +OK."""
        self.socket.sendall(commands)
        left = replies * len("+OK\r\n")
        while left > 0:
            got = len(self.socket.recv(min(left, 1 << 20)))
            if got == 0:
                sys.exit("the server closed the connection")
            left -= got


def name_of(n, keys):
    return f"key:{n * 7919 % keys:012d}"


def probe(port, stop, answer, keys, first_ms):
    """Delays of a GET and a SET, and of a GET of a key whose deadline has just passed; how many of these were there."""
    client = Client(port)
    client.line(b"SET probe 1\r\n")
    delays, asked, visible = [], 0, 0

    def send(command):
        begin = time.perf_counter()
        reply = client.line(command)
        delays.append((time.perf_counter() - begin) * 1000)
        return reply

    while not stop.is_set():
        send(b"GET probe\r\n")
        send(b"SET probe 1\r\n")
        past_ms = int(time.time() * 1000) - first_ms - 1
        if past_ms >= 0:
            n = random.randrange(keys // SECOND_MS) * SECOND_MS + min(past_ms, SECOND_MS - 1)
            asked += 1
            visible += send(f"GET {name_of(n, keys)}\r\n".encode()) != b"$-1\r\n"
        time.sleep(0.0005)
    delays.sort()
    answer.put((len(delays), delays[len(delays) // 2], delays[int(len(delays) * 0.999)], delays[-1], asked, visible))


def fill(client, options, first_ms):
    """Key n's deadline is first_ms + n % 1000, so each millisecond has as many, from all over the keyspace."""
    batch, tail = 1000, f"$1\r\nv\r\n$4\r\nPXAT\r\n$13\r\n"
    for begin in range(0, options.keys, batch):
        numbers = range(begin, min(begin + batch, options.keys))
        client.send_all("".join(f"*5\r\n$3\r\nSET\r\n$16\r\n{name_of(n, options.keys)}\r\n{tail}"
                                f"{first_ms + n % SECOND_MS}\r\n" for n in numbers).encode(), len(numbers))


def watch(client, options, first_ms, gone_before):
    """[(ms after first_ms, keys past their deadline and there, lateness of the oldest)]; early: keys gone too soon."""
    samples, early, keys = [], 0, options.keys
    while True:
        before_ms = time.time() * 1000
        gone = int(client.info("stats")["expired_keys"]) - gone_before
        after_ms = time.time() * 1000
        due_before = keys * min(max(int(before_ms - first_ms) + 1, 0), SECOND_MS) // SECOND_MS
        due_after = keys * min(max(int(after_ms - first_ms) + 1, 0), SECOND_MS) // SECOND_MS
        early = max(early, gone - due_after)
        oldest_ms = first_ms + gone * SECOND_MS // keys
        samples.append((after_ms - first_ms, max(due_before - gone, 0),
                        max(after_ms - oldest_ms, 0) if gone < due_before else 0))
        if gone >= keys or after_ms > first_ms + 60_000:
            return samples, early, gone
        time.sleep(options.sample_ms / 1000)


def show(samples):
    print(f"{'ms':>12}{'past and there':>16}{'oldest is late by ms':>22}   (the worst of each 100 ms)")
    for slot in range(0, int(samples[-1][0]) // 100 + 1):
        inside = [s for s in samples if slot * 100 <= s[0] < slot * 100 + 100]
        if inside:
            print(f"{slot * 100:7d}-{slot * 100 + 99:<4d}{max(s[1] for s in inside):16d}{max(s[2] for s in inside):22.1f}")


def storm(server, options):
    client = Client(server.port)
    ours = "longest_turn_usec" in client.info("fluxkv")
    first_ms = int(time.time() * 1000) + options.fill_s * 1000
    begin = time.time()
    fill(client, options, first_ms)
    left_s = first_ms / 1000 - time.time()
    print(f"{options.keys} keys set in {time.time() - begin:.1f} s; the first is due in {left_s:.1f} s", flush=True)
    if left_s < 1:
        sys.exit("filling took too long: raise --fill-s")
    stop, answer = multiprocessing.Event(), multiprocessing.Queue()
    prober = multiprocessing.Process(target=probe, args=(server.port, stop, answer, options.keys, first_ms))
    time.sleep(left_s - 0.7)
    used_before = int(client.info("memory")["used_memory"])
    client.line(b"CONFIG RESETSTAT\r\n")
    gone_before = int(client.info("stats")["expired_keys"])
    waited = int(client.info("fluxkv").get("latch_wait_usec", 0))
    cpu = server.cpu_s()
    prober.start()
    samples, early, gone = watch(client, options, first_ms, gone_before)
    show(samples)
    cpu, back_at = server.cpu_s() - cpu, None
    for _ in range(1000):  # until what is dead has left the structures
        used = int(client.info("memory")["used_memory"])
        if used < used_before / 4:
            back_at = time.time() * 1000 - first_ms
            break
        time.sleep(0.01)
    stop.set()
    count, median, high, longest, asked, visible = answer.get()
    prober.join()
    print(f"worst lateness               {max(s[2] for s in samples):10.1f} ms")
    print(f"the last key went            {samples[-1][0] - SECOND_MS:10.1f} ms after the last deadline")
    if back_at is not None:
        print(f"memory was back              {back_at - SECOND_MS:10.1f} ms after the last deadline")
    print(f"used memory                  {used_before / 2**20:10.1f} MiB before, {used / 2**20:.1f} MiB after")
    print(f"the server's CPU             {cpu:10.2f} s until the last key went")
    print(f"prober, {count} replies: p50 {median:.2f} ms, p99.9 {high:.2f} ms, longest {longest:.2f} ms")
    print(f"keys just past their deadline: {visible} of {asked} could be read")
    good = gone == options.keys and early <= 0 and visible == 0
    if gone != options.keys:
        print(f"LOST: {gone} of {options.keys} keys went")
    if early > 0:
        print(f"EARLY: {early} keys went before their time")
    if ours:
        figures = client.info("fluxkv")
        turn, latch = int(figures["longest_turn_usec"]), int(figures["latch_wait_usec"]) - waited
        within = turn + latch <= TURN_US_MOST
        print(f"longest turn of a loop       {turn / 1000:10.2f} ms of CPU, all waits for latches together "
              f"{latch / 1000:.2f} ms{'' if within else ': TOO LONG'}")
        good &= within
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--fill-s", type=int, default=20, help="seconds from the start to the first deadline")
    parser.add_argument("--threads", type=int, default=1, help="fluxkv's event loops")
    parser.add_argument("--durability", default="relaxed", help="fluxkv's mode")
    parser.add_argument("--sample-ms", type=float, default=5)
    parser.add_argument("--server", default="build/fluxkv")
    options = parser.parse_args()
    os.chdir(ROOT)
    redis = os.path.basename(options.server).startswith("redis")
    command = [options.server, *(["--save", ""] if redis else
                                 ["--threads", str(options.threads), "--durability", options.durability])]
    server = Server("the server", command)
    try:
        good = storm(server, options)
    finally:
        server.stop()
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
