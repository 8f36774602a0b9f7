# SPDX-License-Identifier: GPL-3.0-or-later
"""asyncio's tasks, against what the victim says of them."""
import os
import signal

import pytest

from conftest import VICTIMS, need_attach

VICTIM = VICTIMS / "tasks.py"


def check(truth, report, kind=""):
    tasks = report.json["python"]["tasks"]
    told = truth["tasks"]
    # Before 3.8 tasks have no names; the chains tell which is which.
    chains = [[[f["function"].split(".")[-1], f["line"]] for f in reversed(task["stack"])]
              for task in tasks]
    for name, expected in told.items():
        found = [task for task, chain in zip(tasks, chains)
                 if chain[:len(expected["chain"])] == expected["chain"]
                 and (task["name"] == name or task["name"].startswith("0x"))]
        assert found, (name, expected, list(zip([t["name"] for t in tasks], chains)))
        assert all(task["coroutine"] == expected["coroutine"] for task in found)
        assert all(task["state"] == "pending" for task in found)
    # Beside those that are told: what runs each of the loops.
    assert len(tasks) == len(told) + 2
    assert [task["coroutine"] for task in tasks if task["state"] == "running"] == ["main"]
    threads = {task["coroutine"]: task["thread"] for task in tasks}
    assert threads["main"] == truth["pid"]
    assert threads["other_loop"] not in (None, truth["pid"])
    assert not report.json["gaps"], report.json["gaps"]
    if any(task["name"] == "child" for task in tasks):
        by = {task["name"]: task["awaited_by"] for task in tasks}
        assert (by["child"], by["one"], by["two"]) == (["parent"], ["gatherer"], ["gatherer"])
        assert by["parent"] == by["middle"] == []
        # Of a task in Python only what it waits for itself is looked at.
        if kind == "pure":
            return
        if "grouped" in by:
            assert by["grouped"] == ["grouper"]
        for name, expected in told.items():
            if "awaited_by" in expected:
                assert sorted(by[name]) == expected["awaited_by"], name


@pytest.mark.parametrize("how", ["snapshot", "killed"])
def test_every_task_is_told_with_its_chain(pcatch, every_python, how):
    need_attach()
    if "/2.7" in every_python:
        pytest.skip("CPython 2.7 has no asyncio")
    if "/3.6" in every_python:
        pytest.skip("CPython 3.6 keeps its tasks where they cannot be found")
    victim = pcatch.start(every_python, VICTIM)
    truth = victim.truth
    if how == "snapshot":
        done = pcatch.call("snapshot", "-q", "-o", pcatch.out, truth["pid"])
        assert done.status == 0, done
        victim.go()
        victim.wait()
        check(truth, pcatch.report())
        return
    watcher = pcatch.attach(truth["pid"])
    os.kill(truth["pid"], signal.SIGKILL)
    victim.wait()
    assert watcher.wait() == 0, watcher.stderr
    check(truth, pcatch.report(watcher))


@pytest.mark.parametrize("kind", ["pure", "eager", "factory"])
def test_tasks_of_every_make_are_told(pcatch, every_python, kind):
    need_attach()
    if "/2.7" in every_python or "/3.6" in every_python:
        pytest.skip("CPython 2.7 has no asyncio, and 3.6 keeps its tasks where they cannot be found")
    has = "import asyncio; asyncio.eager_task_factory"
    if kind == "eager" and pcatch.start(every_python, "-c", has).wait():
        pytest.skip("no eager tasks in " + every_python)
    victim = pcatch.start(every_python, VICTIM, kind)
    truth = victim.truth
    done = pcatch.call("snapshot", "-q", "-o", pcatch.out, truth["pid"])
    assert done.status == 0, done
    victim.go()
    victim.wait()
    check(truth, pcatch.report(), kind)
