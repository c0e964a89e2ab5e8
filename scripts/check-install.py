#!/usr/bin/env python3
"""Installs into a temporary tree and uses nothing but that: the examples build with pkg-config's flags and print what
they say they do, library and server read each other's directory, the unit's command starts the server and tells the
service manager, and uninstall leaves nothing. Run by the step `install`, which has built what is installed."""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), ".."))
PREFIX = "/usr/local"
WAIT_S = 60
failures = []


def check(good, what):
    if not good:
        print("FAILED:", what)
        failures.append(what)


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S * 5, **options)


def make(tree, target, *arguments):
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    done = run("make", "-C", ROOT, target, f"DESTDIR={tree}", f"PREFIX={PREFIX}", *arguments, env=env)
    check(done.returncode == 0, f"make {target}: {done.stderr}")


def files(tree):
    return sorted(os.path.relpath(os.path.join(folder, name), tree) for folder, _, names in os.walk(tree) for name in names)


def check_tree(tree):
    there = files(tree)
    print("\n".join(there))
    wanted = ["usr/local/bin/fluxkv", "usr/local/bin/fluxkv-check", "usr/local/bin/fluxkv-import",
              "usr/local/etc/fluxkv/fluxkv.toml", "usr/local/include/fluxkv/database.h", "usr/local/include/fluxkv/fluxkv.h",
              "usr/local/lib/libfluxkv.a", "usr/local/lib/pkgconfig/fluxkv.pc", "usr/local/lib/systemd/system/fluxkv.service"]
    check(not set(wanted) - set(there), f"missing: {set(wanted) - set(there)}")
    for name in ("lib/pkgconfig/fluxkv.pc", "lib/systemd/system/fluxkv.service"):
        text = open(f"{tree}{PREFIX}/{name}").read()
        check("@" not in re.sub(r"@system-service", "", text), f"{name} has something not filled in")
        check(tree not in text, f"{name} names the temporary tree")
    symbols = run("nm", "-C", f"{tree}{PREFIX}/lib/libfluxkv.a").stdout
    for stranger in (r"\buv_", r"fluxkv::(command|server|config|resp|tools)::", r"\bmalloc_conf\b", r"\bmain\b"):
        check(not re.search(stranger, symbols), f"libfluxkv.a has {stranger}")
    check("fluxkv::Database::Open" in symbols, "libfluxkv.a lacks Database::Open")


def flags(tree, *what):
    env = {**os.environ, "PKG_CONFIG_PATH": f"{tree}{PREFIX}/lib/pkgconfig", "PKG_CONFIG_SYSROOT_DIR": tree}
    return run("pkg-config", *what, "fluxkv", env=env).stdout.split()


# Opens a database before main, and before what the library's own objects initialize; what the first run wrote the second
# one loads, finds, and writes again.
GLOBAL = """
#include <cstdio>
#include <string>
#include <fluxkv/fluxkv.h>
namespace {
fluxkv::Result<fluxkv::Database> opened = fluxkv::Database::Open({.directory = "global"});
const size_t found = [] {
  size_t keys = 0;
  for (int i = 0; i < 1000; ++i) keys += opened.ok() && *opened->Contains(std::to_string(i));
  return keys;
}();
}
int main() {
  if (!opened.ok()) return std::puts(opened.message().c_str()), 1;
  for (int i = 0; i < 1000; ++i) {
    if (*opened->Contains(std::to_string(i)) != (found == 1000)) return std::puts("lost"), 1;
    if (!opened->Insert(std::to_string(i), "x").ok()) return 1;
  }
  std::printf("%zu %zu\\n", found, opened->List()->size());
}
"""
SHARED = """
#include <fluxkv/fluxkv.h>
extern "C" bool Works() {
  auto db = fluxkv::Database::Open();
  return db.ok() && db->Insert("a", "1").ok() && *db->Contains("a");
}
"""


def build(tree, where, text, name, *options):
    with open(f"{where}/{name}.cc", "w") as file:
        file.write(text)
    done = run(os.environ.get("CXX", "g++"), "-std=c++20", "-Wall", "-Wextra", "-Werror", *options, f"{name}.cc",
               *flags(tree, "--cflags", "--libs"), "-o", name, cwd=where)
    check(done.returncode == 0, f"{name} does not build: {done.stderr}")
    return done.returncode == 0


def check_hosts(tree, where):
    """Programs that use the library otherwise than from main: a global, a shared object."""
    if build(tree, where, GLOBAL, "global_database"):
        for expected in ("0 1000", "1000 1000"):
            done = run(f"{where}/global_database", cwd=where)
            check((done.returncode, done.stdout.strip()) == (0, expected), f"a global database: {done}")
    if build(tree, where, SHARED, "plugin.so", "-fPIC", "-shared"):
        loaded = "import ctypes; assert ctypes.CDLL('./plugin.so').Works() & 1"
        done = run(sys.executable, "-c", loaded, cwd=where, env={**os.environ, "LD_PRELOAD": jemalloc(where)})
        check(done.returncode == 0, f"a shared object: {done}")
    print("a global database, and one in a shared object")


def jemalloc(where):
    """It has to be there from the start: its thread-local memory does not fit in what is left for a later one."""
    linked = run("ldd", "plugin.so", cwd=where).stdout
    return re.search(r"libjemalloc\S* => (\S+)", linked)[1]


def build_examples(tree, where):
    version = run("sed", "-n", r's/.* kVersion = "\(.*\)";/\1/p', f"{ROOT}/src/base/version.h").stdout.strip()
    check(flags(tree, "--modversion") == [version], "pkg-config tells another version than the source")
    programs = {}
    for name in sorted(os.listdir(f"{ROOT}/examples")):
        if not name.endswith(".cc"):
            continue
        source = shutil.copy(f"{ROOT}/examples/{name}", where)
        program = source[:-len(".cc")]
        done = run(os.environ.get("CXX", "g++"), "-std=c++20", "-Wall", "-Wextra", "-Werror", source,
                   *flags(tree, "--cflags", "--libs"), "-o", program, cwd=where)
        check(done.returncode == 0, f"{name} does not build: {done.stderr}")
        programs[name[:-len(".cc")]] = program
    check(len(programs) >= 7, f"only {len(programs)} examples")
    return programs


def run_examples(programs, where):
    for name, program in programs.items():
        if not os.path.exists(program):
            continue
        expected = re.findall(r"^// > (.*)$", open(f"{program}.cc").read(), re.M)
        check(expected, f"{name} does not say what it prints")
        done = run(program, cwd=where)
        check(done.returncode == 0, f"{name}: exit code {done.returncode}: {done.stderr}")
        check(done.stdout.splitlines() == expected, f"{name} prints\n{done.stdout}instead of\n" + "\n".join(expected))
        print(f"{name}: {len(expected)} lines as expected")


class Server:
    """The installed server, as the unit starts it: with the installed file, in its directory, told where to say READY."""

    def __init__(self, tree, where, *options):
        self.port = free_port()
        unit = open(f"{tree}{PREFIX}/lib/systemd/system/fluxkv.service").read()
        command = re.search(r"^ExecStart=(.*)$", unit, re.M)[1].replace(PREFIX, tree + PREFIX).split()
        path = tempfile.mktemp(dir=where)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(path)
            manager.settimeout(WAIT_S)
            self.output = open(f"{where}/server.log", "a")
            self.process = subprocess.Popen([*command, "--port", str(self.port), *options], cwd=where, stdout=self.output,
                                            stderr=self.output, env={**os.environ, "NOTIFY_SOCKET": path})
            try:
                check(b"READY=1" in manager.recv(4096), "the service manager was told something else than READY=1")
            except socket.timeout:
                check(False, "the server did not say READY=1: " + open(f"{where}/server.log").read())

    def command(self, *words):
        return run("redis-cli", "-p", str(self.port), *words).stdout.strip()

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        code = self.process.wait(WAIT_S)
        self.output.close()
        check(code == (0 if how == signal.SIGTERM else -how), f"the server ended with {code}")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def check_together(tree, programs, where):
    """What the library writes the server reads, and the other way round, after an end and after a kill."""
    count = programs["durable_reopen"]
    directory = f"{where}/data"  # that of the installed configuration
    runs = lambda: run(count, directory, cwd=where)
    check(runs().stdout == "run 1\nrun 2 of the same directory\n", "durable_reopen does not count in a directory")
    expected = 2
    for how in (signal.SIGTERM, signal.SIGKILL):
        server = Server(tree, where)
        check(server.command("GET", "runs") == str(expected), "the server does not see what the library wrote")
        check(server.command("INCR", "runs") == str(expected + 1), "INCR of what the library wrote")
        second = runs()
        check(second.returncode == 1 and "another process uses" in second.stderr, f"a locked directory: {second}")
        server.stop(how)
        after = runs().stdout
        check(after == f"run {expected + 2}\nrun {expected + 3} of the same directory\n",
              f"the library does not see what the server wrote: {after}")
        expected += 3
    done = run(programs["orders"], directory, cwd=where)
    check(done.returncode == 0, f"orders: {done.stderr}")
    server = Server(tree, where)
    check(server.command("DBSIZE") == "5", "the server does not see the orders")
    server.stop()
    done = run(f"{tree}{PREFIX}/bin/fluxkv-check", directory)
    check(done.returncode == 0, f"fluxkv-check: {done.stdout}{done.stderr}")
    print("library and server share a directory")


def main():
    tree = tempfile.mkdtemp(prefix="fluxkv-install-")
    where = tempfile.mkdtemp(prefix="fluxkv-work-")
    try:
        make(tree, "install")
        check_tree(tree)
        programs = build_examples(tree, where)
        if not failures:
            check_hosts(tree, where)
            run_examples(programs, where)
            check_together(tree, programs, where)
        conf = f"{tree}{PREFIX}/etc/fluxkv/fluxkv.toml"
        with open(conf, "a") as file:
            file.write("# mine\n")
        make(tree, "install")
        check(open(conf).read().endswith("# mine\n"), "install overwrites a configuration that is there")
        make(tree, "uninstall")
        check([f for f in files(tree)] == ["usr/local/etc/fluxkv/fluxkv.toml"], f"uninstall leaves {files(tree)}")
        os.remove(conf)
        make(tree, "install")
        make(tree, "uninstall")
        check(not files(tree), f"uninstall leaves {files(tree)}")
    finally:
        shutil.rmtree(tree)
        shutil.rmtree(where)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
