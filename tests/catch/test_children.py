# SPDX-License-Identifier: GPL-3.0-or-later
"""--children: forks, vforks, daemons."""
import os
import signal

import pytest

from conftest import status_of, until


@pytest.mark.parametrize("how", ["attach", "run"])
def test_children_that_do_not_end_well_are_reported(pcatch, victim, how):
    program = victim("family")
    if how == "run":
        running = watcher = pcatch.run(program, options=["--children"])
    else:
        running = pcatch.start(program)
        watcher = pcatch.attach(running.truth["pid"], ["--children"])
    main = running.truth["pid"]
    running.go()
    assert running.wait() == 0
    assert watcher.wait() == 0
    pids = running.said(2)
    reports = {report.process["pid"]: report for report in pcatch.reports()}
    assert set(reports) == {main, pids["bad"], pids["execs"]}
    assert (reports[main].cause, reports[main].process["role"]) == ("clean-exit", "main")
    bad = reports[pids["bad"]]
    assert (bad.cause, bad.process["role"]) == ("native-crash", "child")
    assert bad.functions()[0] == "crash_in_child"
    execs = reports[pids["execs"]]
    assert (execs.cause, execs.process["role"]) == ("exit-code", "child")
    assert execs.death["exit_code"] == 5


def test_without_children_only_the_named_process_is_watched(pcatch, victim):
    running = pcatch.run(victim("family"))
    running.go()
    assert running.wait() == 0
    assert pcatch.report(running).process["pid"] == running.truth["pid"]


@pytest.mark.parametrize("how", ["attach", "run"])
def test_daemon_counts_as_the_one_that_was_named(pcatch, victim, how):
    if how == "attach":
        starter = pcatch.start(
            "sh", "-c", 'echo "{\\"pid\\": $$}"; read line; exec "$0" crash', victim("daemon")
        )
        watcher = pcatch.attach(starter.truth["pid"], ["--children"])
        starter.go()
        truth = starter.said(2)
    else:
        starter = watcher = pcatch.run(victim("daemon"), "crash", options=["--children"])
        truth = starter.said(1)
    starter.go()
    assert starter.wait() == 0
    assert watcher.wait() == 0
    reports = {report.process["pid"]: report for report in pcatch.reports()}
    daemon = reports.pop(truth["pid"])
    assert (daemon.cause, daemon.process["role"]) == ("native-crash", "main")
    assert daemon.functions()[0] == "crash_in_background"
    # The starter's own clean end may be told; nobody else's.
    assert [r.cause for r in reports.values()] in ([], ["clean-exit"])


def test_run_without_children_ends_with_its_child(pcatch, victim):
    running = pcatch.run(victim("daemon"), "sleep")
    daemon = running.said(1)["pid"]
    try:
        assert running.process.wait(10) == 0
        assert status_of(daemon)["TracerPid"] == "0"
    finally:
        os.kill(daemon, signal.SIGKILL)
        until(lambda: status_of(daemon).get("State", "Z")[0] == "Z", "the daemon to end")


FORKS = """
import os
for _ in range(4):
    if os.fork() == 0:
        for _ in range(200):
            os.fork() or os._exit(0)
        try:
            while True:
                os.wait()
        except ChildProcessError:
            os._exit(0)
try:
    while True:
        os.wait()
except ChildProcessError:
    print('{"pid": %d}' % os.getpid(), flush=True)
"""


def test_children_that_end_at_once_leave_nobody_to_wait_for(pcatch):
    # Some end, and are collected, before their parent's fork is told of.
    watcher = pcatch.run("/usr/bin/python3", "-c", FORKS, options=["--children"])
    assert watcher.wait(120) == 0
    assert [report.process["role"] for report in pcatch.reports()] == ["main"]
