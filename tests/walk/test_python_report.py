# SPDX-License-Identifier: GPL-3.0-or-later
"""What `pcatch snapshot` says of the threads of a running interpreter, against what that says."""
import json
import re
import subprocess

import pytest

from living import PCATCH, SLOWNESS, Victim, has_gil, python  # noqa: F401 (a fixture)

# A function that Python calls from C, by what, and the native function between them.
FROM_C = [
    ("by_sorted", "<lambda>", "builtin_sorted"),
    ("sub", "replace", "pattern_subx"),
    ("by_reduce", "<lambda>", "_reduce"),
    ("by_map", "<lambda>", "map"),
    ("by_ctypes", "<lambda>", "ffi_call"),
    ("by_generator_expression", "<genexpr>", "builtin_sum"),
]


def snapshot(victim, out):
    done = subprocess.run([PCATCH, "snapshot", "-q", "-o", out, "-f", "json", str(victim.process.pid)],
                          stderr=subprocess.PIPE, timeout=120 * SLOWNESS)
    assert done.returncode == 0, done.stderr.decode()
    [path] = out.glob("*.json")
    return json.loads(path.read_text())


def places(frames):
    return [(f["function"].split(".")[-1], f["line"]) for f in frames]


def test_every_python_frame_stands_where_its_eval_loop_stood(python, tmp_path):
    with Victim(python, "victim.py", stderr=subprocess.DEVNULL) as victim:
        truth = json.loads(victim.said)
        report = snapshot(victim, tmp_path)
    assert not [gap for gap in report["gaps"] if "Python" in gap["what"]], report["gaps"]
    told = [[(name.split(".")[-1], line) for name, _, line, _ in frames]
            for frames in truth["threads"].values()]
    got = [places(thread["python"]) for thread in report["threads"]]
    for frames in told:
        assert frames in got
    assert sorted(t["python_name"] or "?" for t in report["threads"]) == sorted(truth["names"])
    for thread in report["threads"]:
        # Where a thread stands tells which one it is.
        inner = [name for name, _ in places(thread["python"])]
        assert ("recurse" in inner) == (thread["python_name"] == "deep")
        assert ("main" in inner) == (thread["python_name"] == "MainThread")
    for thread in report["threads"]:
        merged = thread["stack"]
        assert [f for f in merged if f["kind"] == "python"] == thread["python"]
        native = [f for f in merged if f["kind"] == "native"]
        rest = iter(thread["native"])
        assert all(frame in rest for frame in native)
        # Nothing is left of the loops, whose place the frames have.
        # ... but for one that is letting go of its last frame, which has run: what that owned may run
        # code of its own (__del__) and the loop has nothing to show any more.
        loop = "PyEval_EvalFrameEx" if truth["version"] < [3, 6] else "_PyEval_EvalFrameDefault"
        left = [i for i, f in enumerate(merged)
                if f["kind"] == "native" and (f["function"] or "").startswith(loop)]
        assert all(re.search("ClearAndPop|ClearExceptCode", merged[i - 1]["function"] or "")
                   for i in left), left
        names = [f["function"] or "" for f in merged]
        for caller, callee, between in FROM_C:
            for at in [i for i, f in enumerate(merged)
                       if f["kind"] == "python" and f["function"].split(".")[-1] == caller]:
                inner = max(i for i in range(at) if merged[i]["kind"] == "python")
                assert names[inner].split(".")[-1] == callee
                assert inner < at - 1, "nothing between %s and %s" % (callee, caller)
                # Without symbols it has no name, but stands there.
                assert any(between in name or not name for name in names[inner + 1 : at]), (
                    names[inner : at + 1])


def test_a_thread_in_two_interpreters_shows_the_frames_of_both(python, tmp_path):
    with Victim(python, "-c", "import sys; print(sys.version_info[:2]); sys.stdin.read()") as v:
        version = eval(v.said)
    if version < (3, 10):
        pytest.skip("CPython %d.%d does not say where on the C stack they are" % version)
    with Victim(python, "victim_sub.py", stderr=subprocess.DEVNULL) as victim:
        report = snapshot(victim, tmp_path)
    [thread] = [t for t in report["threads"] if t["tid"] != report["process"]["pid"]]
    want = ["inner", "<module>", "<lambda>", "run", "_bootstrap_inner", "_bootstrap"]
    assert [name for name, _ in places(thread["python"])] == want
    assert [f for f in thread["stack"] if f["kind"] == "python"] == thread["python"]
    assert len(report["python"]["interpreters"]) == 2


SPIN = """
import os, sys, threading
def spin():
    while not end:
        pass
end = []
threads = [threading.Thread(target=spin) for _ in range(2)]
for thread in threads:
    thread.start()
sys.stdout.write("%d.%d\\n" % sys.version_info[:2])
sys.stdout.flush()
sys.stdin.readline()
end.append(1)
"""


def check_without_gil(python, out):
    with Victim(python, "-c", SPIN) as victim:
        report = snapshot(victim, out)
    assert report["python"]["free_threaded"]
    assert report["python"]["gil_holder"] is None
    for thread in report["threads"]:
        assert not thread["holds_gil"] and not thread["waits_for_gil"]


def test_who_waits_for_the_gil_is_told(python, tmp_path):
    if not has_gil(python):
        check_without_gil(python, tmp_path)
        return
    with Victim(python, "-c", SPIN) as victim:
        if tuple(map(int, victim.said.split("."))) < (3, 7):
            pytest.skip("CPython keeps the GIL where it cannot be found before 3.7")
        # Between two holders the lock is free, or on its way, for a moment.
        for attempt in range(30):
            report = snapshot(victim, tmp_path / str(attempt))
            spinning = {t["tid"]: t for t in report["threads"] if t["python"] and
                        t["python"][0]["function"] == "spin"}
            holder = report["python"]["gil_holder"]
            waiting = [t["waits_for_gil"] for tid, t in spinning.items() if tid != holder]
            # Without symbols there may be nothing to tell it by.
            if holder in spinning and waiting in ([True], [None]):
                break
    assert holder in spinning and waiting in ([True], [None])
    [waiter] = [t for tid, t in spinning.items() if tid != holder]
    assert waiting == [True] or not all(f["function"] for f in waiter["native"])
    for thread in report["threads"]:
        assert not (thread["holds_gil"] and thread["waits_for_gil"])


COLLECT = """
import gc, sys
def callback(phase, info):
    sys.stdout.write("%s %d.%d\\n" % ((phase,) + sys.version_info[:2]))
    sys.stdout.flush()
    sys.stdin.readline()
    gc.callbacks.remove(callback)
if hasattr(gc, "callbacks"):
    gc.callbacks.append(callback)
    gc.collect()
else:
    sys.stdout.write("none 2.7\\n"), sys.stdout.flush(), sys.stdin.readline()
"""


def test_a_garbage_collection_is_told(python, tmp_path):
    with Victim(python, "-c", COLLECT) as victim:
        phase, version = victim.said.split()
        report = snapshot(victim, tmp_path)
    if tuple(map(int, version.split("."))) < (3, 7):
        assert report["python"]["gc_running"] is None
    else:
        assert report["python"]["gc_running"] is True
        assert "garbage was being collected" in " ".join(text_of(tmp_path).split())


def text_of(out):
    [dump] = out.glob("*.dmp")
    return subprocess.run([PCATCH, "show", dump], stdout=subprocess.PIPE, check=True,
                          timeout=60 * SLOWNESS).stdout.decode()


def test_no_garbage_collection_is_told_when_there_is_none(python, tmp_path):
    with Victim(python, "victim.py", stderr=subprocess.DEVNULL) as victim:
        version = json.loads(victim.said)["version"]
        report = snapshot(victim, tmp_path)
    assert report["python"]["gc_running"] is (None if version < [3, 7] else False)
