# SPDX-License-Identifier: GPL-3.0-or-later
"""Native stacks, frame by frame against those that libdw unwinds in the same process."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import time

import pytest

from living import HERE, PCATCH, SLOWNESS, Victim, python  # noqa: F401 (a fixture)


def all_sleep(pid):
    """Wait until all threads have come to where they stay."""
    deadline = time.monotonic() + 20 * SLOWNESS
    while True:
        states = [path.read_bytes().rpartition(b")")[2].split()[0]
                  for path in pathlib.Path("/proc/%d/task" % pid).glob("*/stat")]
        if set(states) == {b"S"}:
            return
        assert time.monotonic() < deadline, states
        time.sleep(0.01)


def libdw_stacks(pid):
    """Each thread's program counters as eu-stack finds them, and the threads it was lost in."""
    if not shutil.which("eu-stack"):
        pytest.skip("no eu-stack")
    done = subprocess.run(["eu-stack", "-n", "100000", "-p", str(pid)], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=120 * SLOWNESS)
    stacks = re.findall(r"^TID (\d+):\n((?:#.*\n)*)", done.stdout.decode(), re.M)
    if not stacks:
        pytest.skip("eu-stack: " + done.stderr.decode().strip())
    stacks = {int(tid): [int(pc, 16) for pc in re.findall(r"^#\d+\s+(0x[0-9a-f]+)", frames, re.M)]
              for tid, frames in stacks}
    with open("/proc/%d/maps" % pid) as maps:
        code = [[int(end, 16) for end in line.split()[0].split("-")]
                for line in maps if line.split()[1][2] == "x"]
    lost = {int(tid) for tid in re.findall(r"getframes tid (\d+) at", done.stderr.decode())}
    for tid in lost:
        # The callers that it found last may be anything.
        while not any(start <= stacks[tid][-1] < end for start, end in code):
            stacks[tid].pop()
    return stacks, lost


def our_stacks(pid, out):
    done = subprocess.run([PCATCH, "snapshot", "-q", "-o", out, "-f", "json", str(pid)],
                          stderr=subprocess.PIPE, timeout=120 * SLOWNESS)
    assert done.returncode == 0, done.stderr.decode()
    [path] = out.glob("*.json")
    # Frames that were inlined share a program counter.
    return {thread["tid"]: [int(frame["pc"], 16) for frame in thread["native"]
                            if not frame["inlined"]]
            for thread in json.loads(path.read_text())["threads"]}


@pytest.mark.parametrize("level", ["-O0", "-O2"])
def test_stacks_of_a_c_program_are_those_of_libdw(tmp_path, level):
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        pytest.skip("no C compiler")
    program = tmp_path / "deep"
    subprocess.run(compiler.split() + [level, "-w", "-D_GNU_SOURCE", "-pthread", "-o", program,
                                       HERE / "victim_deep.c"], check=True)
    with Victim(program) as victim:
        assert victim.said == "there\n"
        all_sleep(victim.process.pid)
        wanted, lost = libdw_stacks(victim.process.pid)
        found = our_stacks(victim.process.pid, tmp_path / "reports")
    assert not lost
    assert found == wanted
    assert sorted(len(stack) > 50 for stack in found.values()) == [False, True, True, True]


def test_stacks_of_a_python_are_those_of_libdw(python, tmp_path):
    with Victim(python, "victim.py", stderr=subprocess.DEVNULL) as victim:
        truth = json.loads(victim.said)
        all_sleep(victim.process.pid)
        wanted, lost = libdw_stacks(victim.process.pid)
        found = our_stacks(victim.process.pid, tmp_path / "reports")
    assert len(found) == len(truth["threads"]) + 1
    for tid in lost:
        # libdw finds nothing in a library that is loaded in two pieces, such as some libffi.
        assert len(found[tid]) > len(wanted[tid])
        del found[tid][len(wanted[tid]):]
    assert found == wanted
