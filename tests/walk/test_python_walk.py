# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Python walk makes of a running interpreter, against what that says of itself.

Every CPython in ~/.pyenv/versions and /usr/bin/python3 is asked, or those in PCATCH_TEST_PYTHONS
(paths with colons between). python-live is looked for beside the program that PCATCH names.
"""
import json
import os
import pathlib
import re
import subprocess
import time

import pytest

from living import PCATCH, SLOWNESS, Victim, has_gil, python, version_of  # noqa: F401 (a fixture)

LIVE = pathlib.Path(os.environ.get("PYTHON_LIVE") or
                    PCATCH.resolve().parents[1] / "tests" / "walk" / "python-live")


class Walk:
    def __init__(self, pid, *args):
        if not os.access(LIVE, os.X_OK):
            pytest.fail("%s is not there: build it, or name it by PYTHON_LIVE" % LIVE)
        out = subprocess.run([LIVE, *args, str(pid)], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, timeout=60 * SLOWNESS)
        assert out.returncode == 0, out.stderr.decode()
        self.text = out.stdout.decode()
        self.threads = {}
        self.gaps = []
        self.found_by = None
        for line in self.text.splitlines():
            kind, *rest = line.split("\t")
            if kind == "found":
                self.found_by = rest[0]
                self.found_asyncio = rest[3] == "1"
            elif kind == "state":
                self.version = tuple(map(int, rest[0].split(".")))
                self.values = dict(field.split() for field in rest[1:])
            elif kind == "thread":
                self.threads[int(rest[1])] = thread = dict(
                    tid=int(rest[0]), gil=rest[2] == "1", interpreter=int(rest[3]), gap=rest[4],
                    frames=[])
            elif kind == "frame":
                thread["frames"].append([rest[0], rest[1], *map(int, rest[2:4]), rest[4] == "1"])
            elif kind == "gap":
                self.gaps.append(rest)


def no_tasks(gap):
    """3.6 keeps the set of its tasks in a static variable: always a gap, and no news."""
    return gap[0] == "asyncio tasks" and "3.6" in gap[1]


def clean(text):
    """Strings as the walk shows them: undecodable bytes and control characters as \\xNN."""
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if ord(c) >= 32 else "\\x%02x" % ord(c) for c in text)


def compare(walk, truth):
    assert [gap for gap in walk.gaps if not no_tasks(gap)] == []
    assert list(walk.version) == truth["version"]
    assert set(walk.threads) == set(map(int, truth["threads"])) | {truth["teller"]}
    for ident, expected in truth["threads"].items():
        thread = walk.threads[int(ident)]
        assert thread["gap"] == ""
        got = [frame[:3] for frame in thread["frames"]]
        assert got == [[clean(name), clean(file), line] for name, file, line, _ in expected]
        # The innermost may have gone on within its line.
        columns = [frame[3] for frame in thread["frames"][1:]]
        assert columns == [column for *_, column in expected[1:]]


@pytest.mark.parametrize("how", ["named", "searched"])
def test_every_frame_of_every_thread_is_as_python_says(python, how):
    with Victim(python, "victim.py") as victim:
        truth = json.loads(victim.said)
        walk = Walk(victim.process.pid, *(["--search"] if how == "searched" else []))
        assert walk.found_by == ("search" if how == "searched" else "symbol")
        compare(walk, truth)
        assert walk.values["interpreters"] == "1"
        assert walk.values["finalizing"] == "0"
        names = [frame[0] for thread in walk.threads.values() for frame in thread["frames"]]
        assert names.count("recurse") == 901


def test_frames_entered_from_c_are_marked(python):
    with Victim(python, "victim.py") as victim:
        truth = json.loads(victim.said)
        walk = Walk(victim.process.pid)
        frames = [frame for thread in walk.threads.values() for frame in thread["frames"]]
        # What C called began an activation of the eval loop, and the outermost frame did.
        for name in ["by_sorted.<locals>.<lambda>", "by_sub.<locals>.replace",
                     "by_ctypes.<locals>.<lambda>", "by_reduce.<locals>.<lambda>"]:
            short = name if truth["version"] >= [3, 11] else name.split(".")[-1]
            found = [frame for frame in frames if frame[0] == short]
            assert found
            if truth["version"] >= [3, 11]:
                assert all(frame[4] for frame in found), name
        assert all(thread["frames"][-1][4] for thread in walk.threads.values() if thread["frames"])
        # From 3.11 on a Python function calls another without entering it anew.
        calls = [frame[4] for frame in frames if frame[0] == "recurse"]
        if truth["version"] >= [3, 11]:
            assert calls.count(True) == 1
        else:
            assert all(frame[4] for frame in frames)


def test_thread_ids_are_those_of_the_kernel(python):
    with Victim(python, "victim.py") as victim:
        truth = json.loads(victim.said)
        walk = Walk(victim.process.pid)
        if truth["version"] < [3, 11]:
            pytest.skip("CPython %d.%d keeps no kernel thread ids" % tuple(truth["version"][:2]))
        tids = {thread["tid"] for thread in walk.threads.values()}
        assert tids == set(map(int, os.listdir("/proc/%d/task" % victim.process.pid)))
        assert walk.threads[truth["main"]]["tid"] == victim.process.pid


def test_the_holder_of_the_gil_is_named(python):
    if not has_gil(python):
        pytest.skip("this CPython has no GIL")
    with Victim(python, "victim.py", "spin") as victim:
        truth = json.loads(victim.said)
        if truth["version"] < [3, 7]:
            pytest.skip("CPython %d.%d keeps it where it cannot be found" % tuple(truth["version"][:2]))
        deadline = time.monotonic() + 20 * SLOWNESS
        while True:
            # The teller may not yet have come to its read.
            walk = Walk(victim.process.pid)
            assert walk.values["gil"] == "1" or walk.gaps
            holders = [ident for ident, thread in walk.threads.items() if thread["gil"]]
            if holders == [truth["main"]]:
                break
            assert time.monotonic() < deadline, walk.text


def test_nobody_holds_the_gil_when_all_wait(python):
    if not has_gil(python):
        pytest.skip("this CPython has no GIL")
    with Victim(python, "victim.py") as victim:
        truth = json.loads(victim.said)
        if truth["version"] < [3, 7]:
            pytest.skip("CPython %d.%d keeps it where it cannot be found" % tuple(truth["version"][:2]))
        deadline = time.monotonic() + 20 * SLOWNESS
        while True:
            walk = Walk(victim.process.pid)
            assert walk.values["gil"] == "1"
            if not any(thread["gil"] for thread in walk.threads.values()):
                break
            assert time.monotonic() < deadline, walk.text


def test_a_second_interpreter_is_walked_too(python):
    with Victim(python, "-c", "import sys; print(sys.version_info >= (3, 8)); sys.stdin.read()") as v:
        modern = v.said == "True\n"
    if not modern:
        pytest.skip("has no module to make a second interpreter")
    with Victim(python, "victim_sub.py") as victim:
        assert victim.said == "there\n"
        walk = Walk(victim.process.pid)
        assert walk.values["interpreters"] == "2"
        assert walk.gaps == []
        # One system thread has a state in each interpreter, under one id: look at the text.
        assert re.search(r"\t1\t\nframe\tinner\t<(string|script)>\t3\t", walk.text)


ASYNCIO = """
import asyncio, sys
sys.stdout.write("there\\n"), sys.stdout.flush(), sys.stdin.readline()
"""


def test_what_asyncio_publishes_is_found(python):
    if version_of(python) < (3, 4):
        pytest.skip("CPython 2.7 has no asyncio")
    with Victim(python, "-c", ASYNCIO) as victim:
        walk = Walk(victim.process.pid)
    if walk.version < (3, 14):
        assert not walk.found_asyncio
        pytest.skip("CPython %d.%d publishes nothing of asyncio" % walk.version[:2])
    assert walk.found_asyncio
    assert walk.gaps == []


def test_what_is_no_python_is_none():
    with Victim("/bin/sh", "-c", "echo there; read x") as victim:
        assert Walk(victim.process.pid).text == "none\t\n"
