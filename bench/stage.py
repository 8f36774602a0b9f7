# SPDX-License-Identifier: GPL-3.0-or-later
"""What the benches have in common: the build, the programs that are looked at, the peers, the dump."""
import collections
import json
import os
import re
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))

# N threads, each 20 calls deep.
THREADS = r"""
import sys, threading
n, ready, stop = int(sys.argv[1]), threading.Barrier(int(sys.argv[1])), threading.Event()
def call(depth):
    if depth:
        return call(depth - 1)
    ready.wait()
    if threading.current_thread() is threading.main_thread():
        print("ready", flush=True)
        sys.stdin.read()
        stop.set()
    stop.wait()
threading.stack_size(256 * 1024)
for _ in range(n - 1):
    threading.Thread(target=call, args=(18,)).start()
call(19)
"""

OBJECTS = r"""
import ctypes, sys
for path in sys.argv[1:]:
    ctypes.CDLL(path)
print("ready", flush=True)
sys.stdin.read()
"""

HEAP = r"""
import sys
kept = [bytearray(b"x" * (1 << 20)) for _ in range(int(sys.argv[1]))]
print("ready", flush=True)
sys.stdin.read()
"""


def leave(reason):
    sys.exit("%s: %s" % (os.path.relpath(sys.argv[0]), reason))


def find_build(*programs):
    build = os.environ.get("BUILD") or os.path.join(os.path.dirname(HERE), "build")
    for name in ("src/pcatch",) + programs:
        if not os.access(os.path.join(build, name), os.X_OK):
            leave("%s/%s is missing: run scripts/setup" % (build, name))
    return build


class Waiting:
    """A program that says "ready" and then waits for the end of its stdin."""

    def __init__(self, argv):
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if not self.process.stdout.readline():
            leave("%s does not start" % argv[0])

    def __enter__(self):
        return str(self.process.pid)

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


def frozen_of(pcatch, dump):
    """How long the process was held for the file DUMP, in milliseconds."""
    said = subprocess.run([pcatch, "show", "-f", "json", dump], check=True, capture_output=True).stdout
    return json.loads(said)["time"]["frozen_seconds"] * 1e3


def pcatch_snapshot(pcatch, pid, folder):
    """How long process PID was held, in milliseconds, and the dump."""
    subprocess.run([pcatch, "snapshot", "-q", "-f", "json", "-o", folder, str(pid)], check=True)
    frozen = dump = None
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), "rb") as f:
            if name.endswith(".json"):
                frozen = json.load(f)["time"]["frozen_seconds"] * 1e3
            elif name.endswith(".dmp"):
                dump = f.read()
        os.unlink(os.path.join(folder, name))
    return frozen, dump


def pcatch_frozen(pcatch, pid, folder):
    return pcatch_snapshot(pcatch, pid, folder)[0]


def alternately(pcatch, pids, runs):
    """Medians of the hold of each of PIDS, taken in turns: the machine's speed changes."""
    with tempfile.TemporaryDirectory() as folder:
        rounds = [[pcatch_frozen(pcatch, pid, folder) for pid in pids] for _ in range(runs)]
    return [statistics.median(column) for column in zip(*rounds)]


def shared_object():
    """A library of this Python's, to load copies of; None when it has none."""
    for line in open("/proc/self/maps", encoding="utf-8"):
        path = line.split()[-1]
        if "/" in path and ".so" in path and "libc.so" not in path and "ld-" not in path:
            return path
    return None


PEERS = {
    "gdb bt": ["gdb", "-nx", "-batch", "-p", "PID", "-ex", "thread apply all bt"],
    "lldb": ["lldb", "--no-lldbinit", "--batch", "-p", "PID", "-o", "thread backtrace all"],
    "eu-stack": ["eu-stack", "-p", "PID"],
    "eu-stack -s -i -v": ["eu-stack", "-s", "-i", "-v", "-p", "PID"],
    "py-spy": [os.environ.get("PYSPY", "py-spy"), "dump", "--pid", "PID"],
    "py-spy native": [os.environ.get("PYSPY", "py-spy"), "dump", "--native", "--pid", "PID"],
    "pystack": [os.environ.get("PYSTACK", "pystack"), "remote", "PID"],
    "pystack native": [os.environ.get("PYSTACK", "pystack"), "remote", "--native-all", "PID"],
    "gcore": ["gcore", "-o", "FOLDER/gcore", "PID"],
}


def peers(*names):
    """Those of NAMES that are here; of the others it is said that they are not."""
    found = {}
    for name in names:
        if shutil.which(PEERS[name][0]):
            found[name] = PEERS[name]
        else:
            print("%s is not installed: left out" % name)
    return found


def command_for(pid, command, folder=""):
    return [pid if word == "PID" else word.replace("FOLDER", folder) for word in command]


def streams(dump):
    """The place of each of a minidump's streams, by type: (offset, size)."""
    n, directory = struct.unpack_from("<II", dump, 8)
    entries = [struct.unpack_from("<III", dump, directory + 12 * i) for i in range(n)]
    return {kind: (at, size) for kind, size, at in entries}


MEMORY_LIST, MAPS = 5, 0x47670009


def memory_in(dump):
    """Bytes of memory in a minidump: what the process could write, and what its files hold as well."""
    at, size = streams(dump)[MAPS]
    maps = [re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \d+\s*(.*)", line)
            for line in dump[at : at + size].decode().splitlines()]
    maps = [(int(m[1], 16), int(m[2], 16), "w" in m[3] or not m[4].startswith("/")) for m in maps if m]
    sizes = collections.Counter()
    at, _ = streams(dump)[MEMORY_LIST]
    (n,) = struct.unpack_from("<I", dump, at)
    for i in range(n):
        start, length, _ = struct.unpack_from("<QII", dump, at + 4 + 16 * i)
        for low, high, own in maps:
            part = min(start + length, high) - max(start, low)
            if part > 0:
                sizes["own" if own else "files"] += part
    return sizes["own"], sizes["files"]
