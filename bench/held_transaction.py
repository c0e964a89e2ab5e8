#!/usr/bin/env python3
"""What a client costs that leaves a transaction open while others overwrite:   bench/held_transaction.py [options]
(`make build/fluxkv` builds what it needs.)

One client opens a transaction (BEGIN READONLY) and reads a key now and then; another overwrites all --keys keys over
and over. Every second what INFO says is printed: the memory that old versions take beside used_memory, how many there
are, how old the oldest snapshot is and who holds it. Twice: without a memory limit, until transactions.timeout (here
--timeout seconds) ends the transaction, and with one, until it is ended because memory is short. Judged: that it was
ended, by -CONFLICT; that what it held never passed the size of the data (one old version a key) plus a tenth; and that
two seconds later it is given back.
"""
import argparse
import os
import sys
import time

from memory import Pipe, key, ours
from sidebyside import ROOT


def figures_of(pipe):
    text = pipe.ask("INFO", "memory") + pipe.ask("INFO", "vacuum")
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def overwrite(pipe, keys, size, until, report):
    """Overwrites all keys in turn; calls report once a second, which ends it by returning True."""
    begin, next_report, version = time.monotonic(), 0, 0
    while time.monotonic() < begin + until:
        version += 1
        for first in range(0, keys, 500):
            value = (b"%d:" % version).ljust(size, b"x")
            pipe.set_all([(key(n), value) for n in range(first, min(first + 500, keys))])
            if time.monotonic() - begin >= next_report:
                next_report += 1
                if report(time.monotonic() - begin):
                    return


def held(options, title, *words):
    server = ours(options, "--transactions.timeout", f"{options.timeout}s", *words)
    writer, reader = Pipe(server), Pipe(server)
    writer.set_all([(key(n), b"0".ljust(options.size, b"x")) for n in range(options.keys)])
    data = int(figures_of(writer)["used_memory"])
    print(f"{title}: {options.keys} keys, {data >> 20} MB of data")
    reader.ask("BEGIN", "READONLY")
    most, answer = 0, ""

    def report(seconds):
        nonlocal most, answer
        figures = figures_of(writer)
        most = max(most, int(figures["mem_garbage"]))
        answer = reader.ask("GET", key(0).decode())
        print(f"  {seconds:5.1f} s: old versions {figures['versions_dead']} in {int(figures['mem_garbage']) >> 20} MB, oldest "
              f"snapshot {int(figures['oldest_snapshot_age_ms']) / 1000:.1f} s old, held by {figures['oldest_snapshot_holder']}"
              f"{'; the transaction: ' + answer if answer.startswith('-') else ''}", flush=True)
        return answer.startswith("-")

    overwrite(writer, options.keys, options.size, options.timeout + 10, report)
    time.sleep(2)
    left = int(figures_of(writer)["mem_garbage"])
    print(f"  at most {most / data:.2f} of the data was held, {left >> 20} MB two seconds after its end")
    options.expect(answer.startswith("-CONFLICT"), f"{title}: the transaction is ended by -CONFLICT")
    options.expect(most <= 1.1 * data, f"{title}: one old version a key is held, no more")
    options.expect(left <= data // 20, f"{title}: what was held is given back")
    server.stop()


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--keys", type=int, default=200_000)
    arguments.add_argument("--threads", type=int, default=2, help="event loops")
    arguments.add_argument("--ours", default="build/fluxkv")
    arguments.add_argument("--size", type=int, default=200, help="bytes of a value")
    arguments.add_argument("--timeout", type=int, default=10, help="transactions.timeout in seconds")
    options = arguments.parse_args()
    os.chdir(ROOT)
    failed = []
    options.expect = lambda holds, what: None if holds else failed.append(what)
    held(options, "without a memory limit")
    limit = int(options.keys * (options.size + 110) * 1.2)
    held(options, "with one that is 1.2 of the data", "--maxmemory", str(limit), "--maxmemory-policy", "allkeys-lru")
    for what in failed:
        print("does not hold: " + what)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
