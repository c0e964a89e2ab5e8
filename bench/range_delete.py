#!/usr/bin/env python3
"""What deleting very many keys at once costs the others:   bench/range_delete.py [options]
(`make build/fluxkv` builds what it needs.)

Fills --keys keys with one prefix and a tenth as many with another, and sends DELPREFIX while a prober sends a GET of
another key, a SET, a GET of a deleted key, a page of SCAN and now and then DBSIZE (which walks the keys meanwhile) in
turn and notes how long each reply took. Wall-clock figures are printed, which a busy machine moves,
and are not judged. Judged are what the server says of itself: the longest turn of a loop in CPU time with the time its
threads waited for latches (at most 10 ms), the number that DELPREFIX answered and DBSIZE afterwards, and that nobody
could read a key that was gone.
"""
import argparse
import multiprocessing
import os
import sys
import time

from expiry_storm import Client, TURN_US_MOST
from sidebyside import ROOT, Server


def fill(client, prefix, keys):
    batch = 1000
    for begin in range(0, keys, batch):
        numbers = range(begin, min(begin + batch, keys))
        client.send_all("".join(f"*3\r\n$3\r\nSET\r\n$16\r\n{prefix}:{n * 7919 % keys:012d}\r\n$64\r\n{'v' * 64}\r\n"
                                for n in numbers).encode(), len(numbers))


def number(reply):
    return int(reply[1:].split(b"\r\n")[0])


def probe(port, begun, stop, answer, keys, options):
    client = Client(port)
    client.line(b"SET probe 1\r\n")
    delays, visible, n = {}, 0, 0

    def send(what, command):
        begin = time.perf_counter()
        client.socket.sendall(command)
        reply = client.socket.recv(1 << 16)
        delays.setdefault(what, []).append((time.perf_counter() - begin) * 1000)
        return reply

    while not stop.is_set():
        after = begun.is_set()
        n = (n + 104729) % keys
        send("GET of another key", b"GET probe\r\n")
        send("SET of another key", b"SET probe 1\r\n")
        visible += after and send("GET of a deleted key", f"GET del:{n:012d}\r\n".encode()) != b"$-1\r\n"
        send("a page of SCAN", b"SCAN 0 COUNT 10\r\n")
        if after and n % options.dbsize_every == 0:
            send("DBSIZE", b"DBSIZE\r\n")
        time.sleep(0.0005)
    for of in delays.values():
        of.sort()
    answer.put(({what: (len(of), of[len(of) // 2], of[int(len(of) * 0.999)], of[-1]) for what, of in delays.items()},
                visible))


def run(server, options):
    client = Client(server.port)
    fill(client, "del", options.keys)
    fill(client, "not", options.keys // 10)
    begun, stop, answer = multiprocessing.Event(), multiprocessing.Event(), multiprocessing.Queue()
    prober = multiprocessing.Process(target=probe, args=(server.port, begun, stop, answer, options.keys, options))
    time.sleep(0.5)
    used_before = int(client.info("memory")["used_memory"])
    client.line(b"CONFIG RESETSTAT\r\n")
    waited = int(client.info("fluxkv")["latch_wait_usec"])
    prober.start()
    time.sleep(0.3)
    cpu, begin = server.cpu_s(), time.time()
    client.socket.sendall(b"DELPREFIX del:\r\n")
    other = Client(server.port)
    while int(other.info("vacuum")["range_deletes_pending"]) == 0 and time.time() - begin < 1:
        pass
    begun.set()
    deleted = number(client.socket.recv(64))
    took, cpu = time.time() - begin, server.cpu_s() - cpu
    back_s = None
    for _ in range(1000):  # until what is dead has left the structures
        if int(client.info("memory")["used_memory"]) < used_before / 4:
            back_s = time.time() - begin
            break
        time.sleep(0.01)
    stop.set()
    delays, visible = answer.get()
    prober.join()
    left = number(client.line(b"DBSIZE\r\n"))
    print(f"DELPREFIX answered {deleted} after {took * 1000:.0f} ms, {cpu:.2f} s of CPU"
          + (f"; memory was back after {back_s * 1000:.0f} ms" if back_s else ""))
    for what, (count, median, high, longest) in delays.items():
        print(f"{what:<22}{count:6d} replies: p50 {median:.2f} ms, p99.9 {high:.2f} ms, longest {longest:.2f} ms")
    figures = client.info("fluxkv")
    turn, latch = int(figures["longest_turn_usec"]), int(figures["latch_wait_usec"]) - waited
    within = turn + latch <= TURN_US_MOST
    print(f"longest turn of a loop {turn / 1000:.2f} ms of CPU, all waits for latches together {latch / 1000:.2f} ms"
          + ("" if within else ": TOO LONG"))
    right = deleted == options.keys and left == options.keys // 10 + 1
    if not right:
        print(f"WRONG: {deleted} of {options.keys} deleted, {left} left")
    if visible:
        print(f"VISIBLE: {visible} keys that were gone")
    return within and right and not visible


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--threads", type=int, default=1, help="event loops")
    parser.add_argument("--durability", default="relaxed")
    parser.add_argument("--dbsize-every", type=int, default=100, help="rounds of the prober")
    parser.add_argument("--server", default="build/fluxkv")
    options = parser.parse_args()
    os.chdir(ROOT)
    server = Server("the server", [options.server, "--threads", str(options.threads),
                                   "--durability", options.durability])
    try:
        good = run(server, options)
    finally:
        server.stop()
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
