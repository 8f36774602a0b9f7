# SPDX-License-Identifier: GPL-3.0-or-later
"""Targets that make themselves hard to look at: there is a report, in time, and it is told again."""
import os
import resource
import struct
import subprocess
import zlib

import pytest

from conftest import DEATHS, PCATCH, need_attach, until


LIBRARY = """
static inline __attribute__((always_inline)) void inner(volatile int *p) { *p = 1; }
void library_crash(void) { inner((volatile int *)0); }
"""
COMPRESSED = 0x800


class Elf:
    """The section headers of an ELF file, to be put wrong."""

    def __init__(self, path):
        self.path, self.data = path, bytearray(path.read_bytes())
        (self.at,) = struct.unpack_from("<Q", self.data, 0x28)
        self.n, names = struct.unpack_from("<HH", self.data, 0x3C)
        table = self.header(names)[4]
        self.names = {}
        for i in range(self.n):
            start = table + self.header(i)[0]
            self.names[self.data[start : self.data.index(0, start)].decode()] = i

    def header(self, i):
        return list(struct.unpack_from("<IIQQQQIIQQ", self.data, self.at + 64 * i))

    def change(self, name, **members):
        keys = "name type flags addr offset size link info align entsize".split()
        header = self.header(self.names[name])
        for key, value in members.items():
            header[keys.index(key)] = value
        struct.pack_into("<IIQQQQIIQQ", self.data, self.at + 64 * self.names[name], *header)

    def append(self, data):
        at = len(self.data)
        self.data += data
        return at

    def debug(self):
        return [name for name in self.names if name.startswith(".debug_")]

    def write(self):
        self.path.write_bytes(self.data)


def wild_headers(elf):
    # Those that the dynamic linker does not look at: all of them.
    for i in range(elf.n):
        for k in range(0, 64, 4):
            elf.data[elf.at + 64 * i + k] ^= (37 * i + 11 * k) & 0xFF


def gigantic(elf):
    for name in elf.debug() + [".symtab", ".strtab"]:
        elf.change(name, size=(1 << 62) - 1)


def overlapping(elf):
    for name in elf.debug():
        elf.change(name, offset=0, size=len(elf.data))


def claimed_bomb(elf):
    packed = zlib.compress(bytes(1000))
    for name in elf.debug():
        at = elf.append(struct.pack("<IIQQ", 1, 0, 1 << 60, 1) + packed)
        elf.change(name, flags=COMPRESSED, offset=at, size=24 + len(packed))


def true_bomb(elf):
    size = 3 << 30
    packer, packed, zeros = zlib.compressobj(1), b"", bytes(1 << 24)
    for _ in range(size // len(zeros)):
        packed += packer.compress(zeros)
    packed += packer.flush()
    at = elf.append(struct.pack("<IIQQ", 1, 0, size, 1) + packed)
    for name in elf.debug():
        elf.change(name, flags=COMPRESSED, offset=at, size=24 + len(packed))


@pytest.mark.parametrize(
    "harm", [wild_headers, gigantic, overlapping, claimed_bomb, true_bomb], ids=lambda f: f.__name__
)
def test_a_hostile_library_takes_its_names_and_no_more(pcatch, victim, tmp_path, harm):
    source, library = tmp_path / "library.c", tmp_path / "library.so"
    source.write_text(LIBRARY)
    compiler = (os.environ.get("CC") or "cc").split()
    subprocess.run(compiler + ["-g", "-shared", "-fPIC", "-o", library, source], check=True)
    elf = Elf(library)
    harm(elf)
    elf.write()
    report = pcatch.catch(victim("mapped"), str(library), how="run")
    assert report.cause == "native-crash" and report.signal["name"] == "SIGSEGV"
    assert report.fault["address"] in ("0x0", "0x0000000000000000", 0), report.fault
    # The caller is in a file that nobody harmed.
    assert "main" in report.functions()


def test_a_million_calls_deep_is_a_report_with_a_gap(pcatch, victim):
    report = pcatch.catch(victim("deep"), "1000000", how="run", options=["-f", "text"])
    assert report.cause == "abort"
    assert "descend" in report.functions()
    assert os.path.getsize(report.dump) < 64 << 20


def test_nineteen_thousand_frames_in_each_of_many_threads(pcatch, any_python):
    program = (
        "import os, sys, threading, json\n"
        "sys.setrecursionlimit(30000)\n"
        "threading.stack_size(256 << 20)\n"
        "deep, end = threading.Barrier(21), threading.Event()\n"
        "def f(n):\n"
        "    if n: return f(n - 1)\n"
        "    deep.wait(); end.wait()\n"
        "for _ in range(20): threading.Thread(target=f, args=(19000,), daemon=True).start()\n"
        "deep.wait()\n"
        "print(json.dumps({'pid': os.getpid(), 'tid': os.getpid()}), flush=True)\n"
        "sys.stdin.read(1)\n"
        "os.abort()\n"
    )
    report = pcatch.catch(str(any_python), "-c", program, how="run")
    assert report.cause == "abort"
    assert len(report.json["threads"]) > 20


def test_too_few_open_files_are_said_with_the_way_to_have_more(pcatch, any_python):
    def few(n):
        return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (n, n))

    need_attach()
    # None to begin with: one line. Some: a report that says what it lacks, and why.
    called = pcatch.call("run", "-o", pcatch.out, "--", "true", preexec_fn=few(6))
    assert called.status == 125 and called.stderr.count("\n") == 1 and "ulimit -n" in called.stderr
    running = pcatch.start(any_python, DEATHS, "segfault")
    # As few as will do, which hangs on the number of processors. Its text may lack what a later look
    # finds: the disassembler is a file, too.
    for n in range(14, 1000, 2):
        watcher = pcatch.start(PCATCH, "attach", "-o", pcatch.out, "-f", "json", running.truth["pid"],
                               stdin=subprocess.DEVNULL, preexec_fn=few(n))
        until(lambda: "watching" in watcher.stderr or watcher.process.poll() is not None, "watching")
        if watcher.process.poll() is None:
            break
        assert watcher.wait() == 1 and "ulimit -n" in watcher.stderr
    running.go()
    assert running.wait() == -11 and watcher.wait() == 0, watcher.stderr
    gaps = pcatch.report(watcher).json["gaps"]
    short = [gap for gap in gaps if "open files" in gap["why"] and "capstone" not in gap["why"]]
    assert short and all("ulimit -n" in gap["remedy"] for gap in short), gaps
    assert not [gap for gap in gaps if "leads elsewhere" in gap["why"]]
