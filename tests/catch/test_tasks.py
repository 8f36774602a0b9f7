# SPDX-License-Identifier: GPL-3.0-or-later
"""asyncio's tasks, against what the victim says of them."""
import os
import signal

import pytest

from conftest import PYTHONS, VICTIMS, need_attach

VICTIM = VICTIMS / "tasks.py"


def check(truth, report):
    tasks = report.json["python"]["tasks"]
    told = truth["tasks"]
    named = any(task["name"] == "child" for task in tasks)
    # Before 3.8 tasks have no names but their addresses.
    name_of = {name: name if named else expected["at"] for name, expected in told.items()}
    for name, expected in told.items():
        (task,) = [task for task in tasks if task["name"] == name_of[name]]
        chain = [[f["function"].split(".")[-1], f["line"]] for f in reversed(task["stack"])]
        assert chain[:len(expected["chain"])] == expected["chain"], name
        assert (task["coroutine"], task["state"]) == (expected["coroutine"], "pending")
        assert task["awaited_by"] == [name_of[by] for by in expected["awaited_by"]], name
    # Beside those that are told: what runs each of the loops.
    assert len(tasks) == len(told) + 2
    assert [task["coroutine"] for task in tasks if task["state"] == "running"] == ["main"]
    threads = {task["coroutine"]: task["thread"] for task in tasks}
    assert threads["main"] == truth["pid"]
    assert threads["other_loop"] not in (None, truth["pid"])
    assert not report.json["gaps"], report.json["gaps"]
    python = report.json["python"]
    major, minor = python["version"].split(".")[:2]
    # _asyncio publishes its offsets from 3.14 on.
    publishes = (int(major), int(minor)) >= (3, 14)
    assert python["asyncio_layout"] == ("published" if publishes else "table")


def need_tasks(python):
    need_attach()
    if "/2.7" in python:
        pytest.skip("CPython 2.7 has no asyncio")
    if "/3.6" in python:
        pytest.skip("CPython 3.6 keeps its tasks where they cannot be found")


def check_snapshot(pcatch, *command):
    victim = pcatch.start(*command)
    truth = victim.truth
    done = pcatch.call("snapshot", "-q", "-o", pcatch.out, truth["pid"])
    assert done.status == 0, done
    victim.go()
    victim.wait()
    check(truth, pcatch.report())


def test_every_task_is_told_with_its_chain(pcatch, every_python):
    need_tasks(every_python)
    check_snapshot(pcatch, every_python, VICTIM)


def test_tasks_of_a_killed_process_are_told(pcatch, any_python):
    need_tasks(any_python)
    victim = pcatch.start(any_python, VICTIM)
    truth = victim.truth
    watcher = pcatch.attach(truth["pid"])
    os.kill(truth["pid"], signal.SIGKILL)
    victim.wait()
    assert watcher.wait() == 0, watcher.stderr
    check(truth, pcatch.report(watcher))


@pytest.mark.parametrize("kind", ["pure", "eager", "factory"])
def test_tasks_of_every_make_are_told(pcatch, python, kind):
    need_tasks(python)
    has = "import asyncio; asyncio.eager_task_factory"
    if kind == "eager" and pcatch.start(python, "-c", has).wait():
        pytest.skip("no eager tasks in " + python)
    check_snapshot(pcatch, python, VICTIM, kind)


def test_tasks_of_anyios_groups_are_told_with_who_waits_for_them(pcatch):
    need_attach()
    paths = [path for path in PYTHONS.values() if path]
    has = (path for path in paths if pcatch.start(path, "-c", "import anyio").wait() == 0)
    python = next(has, None)
    if not python:
        pytest.skip("no CPython here has anyio")
    victim = pcatch.start(python, VICTIMS / "anyio_tasks.py")
    truth = victim.truth
    done = pcatch.call("snapshot", "-q", "-o", pcatch.out, truth["pid"])
    assert done.status == 0, done
    victim.go()
    victim.wait()
    tasks = pcatch.report().json["python"]["tasks"]
    by = {task["name"]: task["awaited_by"] for task in tasks}
    assert by["inner-1"] == by["inner-2"] == ["outer"]
    assert by["starting"] == ["starter"]
