# SPDX-License-Identifier: GPL-3.0-or-later
"""Who sent it: the sender is named, also when it is gone, also for SIGKILL, which nobody sees come."""
import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from conftest import status_of, until

CAP_PERFMON, CAP_SYS_ADMIN = 38, 21


def may_listen():
    """Who may open tracepoints of the whole machine, and find them in tracefs."""
    with open("/proc/self/status") as file:
        effective = int(next(line for line in file if line.startswith("CapEff")).split()[1], 16)
    return effective >> CAP_SYS_ADMIN & 1


needs_listening = pytest.mark.skipif(
    not may_listen(), reason="listening to who sends signals takes CAP_SYS_ADMIN here"
)


def assert_named(report, comm, *command, gone=False):
    """The sender is named COMM, and its command line is COMMAND where it could be seen."""
    sender = report.sender
    assert (sender["kind"], sender["source"]) == ("process", "tracepoint"), sender
    assert sender["comm"] == comm, sender
    assert sender["pid"] and sender["tid"]
    assert str(sender["pid"]) in report.summary
    if sender["cmdline"] or not gone:
        assert sender["cmdline"] == [str(word) for word in command]
        assert sender["uid"] == os.geteuid()
    assert report.verdict["confidence"] == "certain"
    return sender


def killed_by(pcatch, victim, *killer, shell=None):
    """A waiting victim that KILLER, which has its pid for {}, puts an end to."""
    running = pcatch.start(victim("handled"), "none")
    pid = running.truth["pid"]
    watcher = pcatch.attach(pid)
    command = [str(word).replace("{}", str(pid)) for word in killer]
    sender = pcatch.start(*command)
    assert running.wait() < 0
    sender.wait()
    assert watcher.wait() == 0
    return pcatch.report(watcher), sender, command


@needs_listening
def test_sigkill_by_a_shell_s_builtin_names_the_shell(pcatch, victim):
    report, sender, command = killed_by(pcatch, victim, "sh", "-c", "kill -9 {}; exit")
    named = assert_named(report, "sh", *command, gone=True)
    assert named["pid"] == sender.pid
    assert report.cause == "killed-by-process"
    assert [ref["pid"] for ref in named["ancestors"]][:1] == [os.getpid()]


@needs_listening
def test_sigkill_by_bin_kill_names_it_and_who_ran_it(pcatch, victim):
    kill = shutil.which("kill")
    if not kill:
        pytest.skip("no kill program here")
    report, sender, _ = killed_by(pcatch, victim, "sh", "-c", kill + " -9 {}; true")
    named = report.sender
    assert (named["kind"], named["comm"]) == ("process", "kill")
    assert named["pid"] not in (None, sender.pid)
    assert named["ancestors"][0]["pid"] == sender.pid, "its shell"
    assert named["ancestors"][0]["cmdline"][0] == "sh"
    assert report.cause == "killed-by-process"


NURSERY = """
import json, os, subprocess, sys
children = [subprocess.Popen(["sleep", "600"]) for _ in range(int(sys.argv[1]))]
print(json.dumps({"pid": os.getpid(), "children": [child.pid for child in children]}), flush=True)
for child in children:
    child.wait()
"""


@needs_listening
def test_every_one_of_many_senders_that_end_at_once_is_named(pcatch, tmp_path):
    kill = shutil.which("kill")
    if not kill:
        pytest.skip("no kill program here")
    # How many is a matter of patience: each makes a report.
    count = int(os.environ.get("PCATCH_TEST_SENDERS") or 40)
    nursery = pcatch.start(sys.executable, "-c", NURSERY, str(count))
    options = ["--children", "-f", "json", "-q", "-o", tmp_path / "many"]
    watcher = pcatch.start(pcatch.program, "attach", *options, str(nursery.truth["pid"]))
    children = nursery.truth["children"]
    until(lambda: all(int(status_of(c).get("TracerPid", 0)) for c in children), "all watched")
    senders = {}
    for child in children:
        killer = subprocess.Popen([kill, "-9", str(child)])
        senders[child] = killer.pid
        killer.wait()
    assert nursery.wait(120) == 0
    assert watcher.wait(120) == 0
    seen = {}
    for path in (tmp_path / "many").glob("sleep-*.json"):
        report = json.loads(path.read_text())
        sender = report["death"]["signal"]["sender"]
        seen[report["process"]["pid"]] = sender["pid"]
        assert (sender["kind"], sender["comm"]) == ("process", "kill"), sender
        assert sender["ancestors"][0]["pid"] == os.getpid(), sender
        assert report["verdict"]["cause"] == "killed-by-process"
    assert seen == senders


@needs_listening
def test_sigkill_to_itself_accuses_nobody(pcatch, any_python):
    report = pcatch.catch(
        any_python,
        "-c",
        "import json, os, sys; print(json.dumps({'pid': os.getpid()}), flush=True)\n"
        "sys.stdin.readline(); os.kill(os.getpid(), 9)",
    )
    assert (report.cause, report.sender["kind"]) == ("terminated-by-signal", "self")
    assert report.status == -signal.SIGKILL


@needs_listening
def test_pkill_is_named(pcatch, victim):
    if not shutil.which("pkill"):
        pytest.skip("no pkill here")
    report, sender, command = killed_by(pcatch, victim, "pkill", "-KILL", "-P", str(os.getpid()), "handled")
    assert assert_named(report, "pkill", *command, gone=True)["pid"] == sender.pid
