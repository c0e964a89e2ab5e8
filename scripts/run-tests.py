#!/usr/bin/env python3
"""Builds and runs the tests: scripts/run-tests.py [STEP-PREFIX ...]   (without arguments: what `make test` runs)

Each step writes build/test-logs/<step>.log; of a failing one the tail is shown. The last line is `N passed, M failed`:
the sum of doctest's test cases, and 1 for every other check. A step that ran no test at all has failed.
"""
import glob
import os
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
LOGS = "build/test-logs"
NOT_SLOW = ["-tce=*[slow]*"]
SANITIZER_ENV = {
    "ASAN_OPTIONS": "exitcode=99:detect_stack_use_after_return=1:strict_string_checks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "exitcode=99:halt_on_error=1:second_deadlock_stack=1:history_size=4",
}


@dataclass
class Step:
    name: str
    command: list
    needs: list = field(default_factory=list)  # arguments of make
    env: dict = field(default_factory=dict)
    doctest: bool = False  # count its test cases
    timeout: int = 120
    must_fail: bool = False  # a planted bug: the command has to find it
    on_demand: bool = False  # only when named on the command line
    aside: bool = False  # lasts minutes and seldom uses more than one core: the next steps run beside it


def built(flavour, *targets):
    return [f"FLAVOUR={flavour}", *targets]


def no_aslr():
    """ThreadSanitizer of GCC 12 cannot map its shadow under high-entropy address randomisation."""
    works = subprocess.run(["setarch", "-R", "true"], capture_output=True).returncode == 0
    return ["setarch", "-R"] if works else []


def server_env(flavour, threads):
    path = "build/fluxkv" if flavour == "release" else f"build/{flavour}/fluxkv"
    return {"FLUXKV_SERVER": os.path.abspath(path), "FLUXKV_THREADS": str(threads)}


def over_the_wire(source):
    return "server_process.h" in open(source).read()


def lint_steps():
    sources = sorted(path for top in ("include", "src", "tests", "bench", "examples")
                     for path in glob.glob(top + "/**/*.[ch]*", recursive=True))
    sources = [s for s in sources if s.endswith((".h", ".cc"))]
    return [
        Step("lint-format", ["clang-format", "--dry-run", "-Werror", *sources]),
        Step("lint-includes", ["scripts/check-includes.py"]),
        Step("lint-headers", ["scripts/check-headers.sh"], timeout=600),
        Step("lint-docs", ["scripts/check-docs.py"]),
    ]


def isolation_steps(flavour, seconds, prefix=()):
    for source in sorted(glob.glob("tests/isolation/*_tool.cc")):
        tool = os.path.basename(source)[:-len(".cc")]
        command = [*prefix, f"build/{flavour}/{tool}", "--seconds", str(seconds)]
        server = "release" if flavour == "debug" else flavour
        runs = [(1, ""), (4, ""), (4, "snapshot")] if over_the_wire(source) else [(0, "")]
        for threads, level in runs if flavour == "debug" else runs[:2]:
            suffix = (f"-threads{threads}" if threads else "") + ("-" + level if level else "")
            need_server = built(server, "build/fluxkv" if server == "release" else "server")
            yield Step(f"{'' if flavour == 'debug' else flavour + '-'}isolation-{tool[:-5]}{suffix}",
                       command + (["--level", level] if level else []),
                       built(flavour, "tools") + (["+"] + need_server if threads else []),
                       server_env(server, threads) if threads else {}, timeout=seconds * 3 + 120)


def crash_steps(cycles, long_cycles):
    """The server is killed and must keep what it promised: a few cycles in each mode, many on demand."""
    for mode, seed in (("relaxed", 1), ("full", 2)):
        for name, count in ((f"crash-{mode}", cycles), (f"long-crash-{mode}", long_cycles)):
            command = ["build/debug/kill_tool", "--cycles", str(count), "--mode", mode, "--seed", str(seed)]
            yield Step(name, command, built("debug", "tools") + ["+"] + built("debug", "server"), server_env("debug", 4),
                       timeout=count * 20 + 60, on_demand=name.startswith("long"))


def sanitizer_steps(flavour, prefix):
    unit, wire = [*prefix, f"build/{flavour}/unit_tests"], [*prefix, "build/debug/wire_tests"]
    make_unit, make_wire = built(flavour, "unit"), built(flavour, "server") + ["+"] + built("debug", "wire")
    environment = server_env(flavour, 4)
    one_thread = "" if flavour == "asan" else ",isolation spec*,hash index: no entry is lost*"  # nothing there for TSan
    leave_out = [NOT_SLOW[0] + one_thread]
    yield Step(f"{flavour}-unit", unit + leave_out, make_unit, doctest=True, timeout=900, aside=True)
    yield Step(f"{flavour}-wire", wire + NOT_SLOW, make_wire, environment, True, 400)
    yield Step(f"{flavour}-full-unit", unit, make_unit, {}, True, 1800, on_demand=True)
    yield Step(f"{flavour}-full-wire", wire, make_wire, environment, True, 1800, on_demand=True)


def plant_steps():
    """tests/plants.txt: one planted bug a line, NAME: the program and arguments that must catch it within 60 s."""
    known = {}
    for line in open("tests/plants.txt"):
        if ":" in line and not line.startswith("#"):
            name, command = line.split(":", 1)
            known[name.strip()] = command.split()
    in_code = set()
    for path in glob.glob("src/**/*.*", recursive=True):
        if path.endswith((".h", ".cc")) and not path.endswith("base/planted.h"):
            in_code.update(re.findall(r"\bPLANTED\((\w+)\)", open(path).read()))
    for name in sorted(in_code ^ set(known)):
        yield Step(f"plant-{name}-is-in-code-and-in-tests/plants.txt".replace("/", ":"), ["false"])
    for name in sorted(in_code & set(known)):
        program, *arguments = known[name]
        source = f"tests/isolation/{program}.cc"
        wire = os.path.exists(source) and over_the_wire(source)
        # Without the bug the step `unit` has run the same cases.
        for planted in (True,) if program == "unit_tests" else (False, True):
            needs = built("debug", "tests") + (["+", *built("debug", "server")] if wire else [])
            env = (server_env("debug", 4) if wire else {}) | ({"FLUXKV_PLANT": name} if planted else {})
            yield Step(f"plant-{name}" + ("" if planted else "-absent"), [f"build/debug/{program}", *arguments],
                       needs, env, timeout=60, must_fail=planted)


def all_steps():
    aslr = no_aslr()
    release, debug = built("release", "build/fluxkv", "build/fluxkv-import", "build/fluxkv-check"), built("debug", "tests")
    both = [*release, "+", *debug]
    short = int(os.environ.get("ISOLATION_SECONDS", 10))
    fuzz_seconds = int(os.environ.get("FUZZ_SECONDS", 15))
    yield from lint_steps()
    yield Step("unit", ["build/debug/unit_tests"], both, doctest=True, timeout=400, aside=True)
    yield Step("install", ["scripts/check-install.py"], release + ["+", *built("library", "build/library/libfluxkv.a")],
               timeout=400)
    for threads, io_uring in ((1, "no"), (4, "yes")):  # so that both ways are gone
        yield Step(f"wire-threads{threads}", ["build/debug/wire_tests"], both,
                   server_env("release", threads) | {"FLUXKV_IO_URING": io_uring}, True, 240)
        yield Step(f"compare-threads{threads}", ["scripts/compare-replies.py", "--threads", str(threads)],
                   release + ["+", "build/peers/redis-server"])
    yield from isolation_steps("debug", short)
    yield from crash_steps(5, int(os.environ.get("CRASH_CYCLES", 50)))
    yield from plant_steps()  # while the sanitizers' programs are built
    # ASan's is last because it takes less time to run: behind the last build nothing keeps the other core busy.
    yield from sanitizer_steps("tsan", aslr)
    yield from isolation_steps("tsan", 5, aslr)
    yield from sanitizer_steps("asan", [])
    for source in sorted(glob.glob("tests/fuzz/*_fuzz.cc")):
        name = os.path.basename(source)[:-len("_fuzz.cc")]
        command = [f"build/asan/{name}_fuzz", "--seconds", str(fuzz_seconds), f"tests/fuzz/seeds/{name}"]
        yield Step(f"fuzz-{name}", command, built("asan", "fuzzers"), timeout=fuzz_seconds + 60)


def execute(step, env):
    """Runs one step; returns (passed, failed, path of its log)."""
    log = f"{LOGS}/{step.name}.log"
    with open(log, "wb") as out:
        out.write((" ".join(step.command)[:2000] + "\n").encode())
        out.flush()
        # A planted bug that needs two threads to meet may be missed once, or make the program hang before it is found:
        # it is tried again while its time lasts.
        until = time.monotonic() + step.timeout
        most = step.timeout / 3 if step.must_fail else step.timeout
        while True:
            process = subprocess.Popen(step.command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                       env={**env, **SANITIZER_ENV, **step.env}, start_new_session=True)
            try:
                code = process.wait(max(1, min(most, until - time.monotonic())))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                process.wait()
                code = None
                out.write(f"\nstopped after {most:.0f} s\n".encode())
            # What it breaks may hang as well, after a check has failed.
            caught = code or (code is None and "ERROR:" in open(log, errors="replace").read())
            if not step.must_fail or caught or time.monotonic() >= until:
                break
    if step.must_fail:
        return (1, 0, log) if caught else (0, 1, log)
    if not step.doctest:
        return (1, 0, log) if code == 0 else (0, 1, log)
    text = open(log, errors="replace").read()
    found = re.findall(r"test cases: +\d+ \| +(\d+) passed \| +(\d+) failed", text)
    passed, failed = map(int, found[-1]) if found else (0, 0)
    if (code != 0 or passed == 0) and failed == 0:  # a crash, a sanitizer's report at exit, or nothing ran
        failed = 1
    return passed, failed, log


def groups(step):
    """What make is called with for a step: groups of arguments, separated by '+'."""
    return [tuple(group.split()) for group in " ".join(step.needs).split("+") if group.split()]


class Builder(threading.Thread):
    """Builds what the steps need, in their order, while earlier ones run: most of those leave a core idle. It is nice to
    them, and nothing is built twice."""

    def __init__(self, steps, env):
        super().__init__(daemon=True)
        self.wanted = list(dict.fromkeys(group for step in steps for group in groups(step)))
        self.env = env
        self.logs = {}  # of the groups that were built; None: without errors
        self.built = threading.Condition()

    def run(self):
        for group in self.wanted:
            log = f"{LOGS}/build-{'-'.join(group).replace('/', '-').replace('=', '-')}.log"
            try:
                with open(log, "wb") as out:
                    command = ["nice", "-n", "10", "make", *group]
                    code = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, env=self.env).returncode
            except OSError as error:  # nobody may wait for ever
                print(f"make {' '.join(group)}: {error}", flush=True)
                code = 1
            with self.built:
                self.logs[group] = log if code else None
                self.built.notify()

    def wait(self, step):
        """Returns the log of the first group that could not be built."""
        for group in groups(step):
            with self.built:
                self.built.wait_for(lambda: group in self.logs)
            if self.logs[group]:
                return self.logs[group]
        return None


def tail(path, lines=40):
    if not os.path.exists(path):
        return
    for line in open(path, errors="replace").read().splitlines()[-lines:]:
        print("    " + line[:300])


def digest(path, lines=6):
    """The lines that say what failed, to stand beside the result where only the end of the output is kept."""
    telling = re.compile(r"^TEST CASE:|: ERROR: |: FATAL ERROR: |^ *values: |ERROR: .*Sanitizer|^SUMMARY: |WARNING: Thread"
                         r"|runtime error:|^stopped after|\berror: ")
    found = [line.strip() for line in open(path, errors="replace") if telling.search(line)] if os.path.exists(path) else []
    for line in found[:lines]:
        print("    " + line[:160])


class Report:
    """What the steps came to. Each line is printed when its step has ended."""

    def __init__(self):
        self.passed = self.failed = 0
        self.steps = 0
        self.red = []  # name, log
        self.lock = threading.Lock()

    def add(self, step, result, seconds, waited_s, broken):
        good, bad, log = result
        verdict = "BUILD FAILED" if broken else "FAILED" if bad else "ok"
        note = f"   (waited {waited_s:.0f} s for its build)" if waited_s >= 1 else ""
        with self.lock:
            self.steps, self.passed, self.failed = self.steps + 1, self.passed + good, self.failed + bad
            print(f"{step.name:34} {good:5} passed {bad:3} failed {seconds:7.1f} s  {verdict}{note}", flush=True)
            if bad:
                self.red.append((step.name, log))
                tail(log)
                print(f"    (all of it: {log})", flush=True)


def run(step, env, builder, report):
    """Waits for what the step needs, and runs it. Returns the thread that does so when the step is to run aside."""
    began = time.time()
    broken = builder.wait(step)
    waited_s = time.time() - began

    def go():
        start, result = time.time(), (0, 1, broken)
        try:
            result = result if broken else execute(step, env)
        except Exception as error:  # also in a thread, where nobody else would see it
            print(f"{step.name}: {error!r}", flush=True)
            result = 0, 1, f"{LOGS}/{step.name}.log"
        report.add(step, result, time.time() - start, waited_s, broken)

    if not step.aside:
        go()
        return None
    thread = threading.Thread(target=go, daemon=True)
    thread.start()
    return thread


def main():
    os.chdir(ROOT)
    os.makedirs(LOGS, exist_ok=True)
    prefixes = tuple(sys.argv[1:])
    steps = [s for s in all_steps() if (s.name.startswith(prefixes) if prefixes else not s.on_demand)]
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    report = Report()
    start = time.time()
    if not steps:
        print("no such step: " + " ".join(prefixes))
    builder = Builder(steps, env)
    builder.start()
    aside = None
    for step in steps:
        if step.aside and aside:  # one at a time
            aside.join()
        aside = run(step, env, builder, report) or aside
    if aside:
        aside.join()
    report.failed += len(steps) - report.steps  # a step that did not report has not passed
    print(f"{time.time() - start:.0f} s in all; logs in {LOGS}/")
    for name, log in report.red:
        print(f"failed: {name}")
        digest(log)
    print(f"{report.passed} passed, {report.failed} failed")
    sys.exit(1 if report.failed or not report.passed else 0)


if __name__ == "__main__":
    main()
