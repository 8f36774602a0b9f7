# SPDX-License-Identifier: GPL-3.0-or-later
"""What an autopsy learns from the journal: journalctl is a program of ours, found first in PATH."""
import json
import os
import subprocess
import sys
import time

import pytest

from conftest import status_of, until
from test_autopsy import autopsy

# What it was asked goes into a file; of the entries those are written that match, as journalctl would:
# the same field twice means either, others all, "+" begins another group.
JOURNALCTL = """#!%s -SE
import json, sys
here = sys.argv[0]
with open(here + ".asked", "a") as file:
    file.write(json.dumps(sys.argv[1:]) + chr(10))
since, count, groups = 0, 0, [{}]
words = iter(sys.argv[1:])
for word in words:
    if word == "-n":
        count = int(next(words))
    elif word.startswith("--since=@"):
        since = int(word[9:]) * 1000000
    elif word == "+":
        groups.append({})
    elif not word.startswith("-") and "=" in word:
        name, value = word.split("=", 1)
        groups[-1].setdefault(name, []).append(value)
found = []
with open(here + ".entries") as file:
    for line in file:
        entry = json.loads(line)
        if int(entry["__REALTIME_TIMESTAMP"]) >= since and any(
            all(entry.get(name) in values for name, values in group.items()) for group in groups
        ):
            found.append(line)
sys.stdout.write("".join(found[-count:]))
"""
UNIT = "web.service"


class Journal:
    def __init__(self, folder):
        self.program = folder / "journalctl"
        self.entries = []
        self.is_a(JOURNALCTL % sys.executable)
        self.start = time.time() - 300
        folder.joinpath("journalctl.entries").write_text("")

    def is_a(self, text):
        self.program.write_text(text)
        self.program.chmod(0o755)

    def add(self, after, message, **fields):
        """AFTER seconds from its start."""
        at = "%d" % ((self.start + after) * 1000000)
        self.entries.append({"__REALTIME_TIMESTAMP": at, "MESSAGE": message, "_BOOT_ID": "b", **fields})
        lines = [json.dumps(entry) + "\n" for entry in self.entries]
        self.program.with_name("journalctl.entries").write_text("".join(lines))

    def own(self, after, message, pid, **fields):
        self.add(after, message, **{
            "_PID": str(pid), "_UID": "33", "_COMM": "web", "_EXE": "/usr/bin/web", "_SYSTEMD_UNIT": UNIT,
            "_CMDLINE": "/usr/bin/web --token=hunter2", "SYSLOG_IDENTIFIER": "web",
            "_SYSTEMD_INVOCATION_ID": "one", **fields})

    def systemd(self, after, message, **fields):
        self.add(after, message, **{"_PID": "1", "_COMM": "systemd", "UNIT": UNIT, "INVOCATION_ID": "one",
                                    **fields})

    def asked(self):
        return [json.loads(line) for line in open(str(self.program) + ".asked")]


@pytest.fixture
def journal(tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", "%s:relative:%s" % (folder, os.environ["PATH"]))
    return Journal(folder)


@pytest.fixture
def dead():
    """The pid of a process that has ended."""
    child = subprocess.Popen(["true"])
    child.wait()
    return child.pid


EXITED = "web.service: Main process exited, code=%s, status=%s"
KILL = dict(EXIT_CODE="killed", EXIT_STATUS="9")


def test_systemd_saw_a_signal_and_nobody_who_sent_it(pcatch, journal, dead):
    journal.own(0, "ready", dead)
    journal.own(60, "GET / 200", dead)
    journal.systemd(61, EXITED % ("killed", "9/KILL"), **KILL)
    journal.systemd(61, "web.service: Failed with result 'signal'.")
    report = autopsy(pcatch, "--pid", str(dead))
    # That the main process was this one is not said.
    assert (report.cause, report.verdict["confidence"]) == ("killed-by-unknown", "likely")
    process = report.process
    assert (process["comm"], process["exe"], process["uid"]) == ("web", "/usr/bin/web", 33)
    assert "hunter2" not in report.text + json.dumps(report.json)
    assert [line.split("]: ")[1] for line in report.json["logs"][0]["lines"]] == ["ready", "GET / 200"]
    assert EXITED % ("killed", "9/KILL") in " ".join(report.text.split())
    # Only what was installed is run, and never from where the user happens to be.
    assert all(["-o", "json"] == words[2:4] for words in journal.asked())
    assert "UNIT=" + UNIT in journal.asked()[1]


def test_status_is_certain_for_the_process_of_the_pidfile(pcatch, journal, dead, tmp_path):
    pidfile = tmp_path / "web.pid"
    pidfile.write_text("%d\n" % dead)
    os.utime(pidfile, (journal.start, journal.start))
    journal.own(1, "ready", dead)
    journal.systemd(61, EXITED % ("exited", "3/NOTIMPLEMENTED"), EXIT_CODE="exited", EXIT_STATUS="3")
    report = autopsy(pcatch, "--pidfile", pidfile)
    assert (report.cause, report.verdict["confidence"]) == ("exit-code", "certain")
    assert "code 3" in report.summary


def test_oom_killer_of_a_unit(pcatch, journal, dead, tmp_path):
    journal.own(0, "ready", dead)
    journal.systemd(61, "web.service: A process of this unit has been killed by the OOM killer.")
    journal.systemd(61, EXITED % ("killed", "9/KILL"), **KILL)
    report = autopsy(pcatch, "--pid", str(dead))
    assert (report.cause, report.verdict["confidence"]) == ("out-of-memory", "likely")
    # The kernel's own line names the process.
    journal.add(60.9, "Memory cgroup out of memory: Killed process %d (web) total-vm:81920kB, "
                "anon-rss:61440kB, file-rss:1024kB, shmem-rss:0kB" % dead, _TRANSPORT="kernel")
    out = tmp_path / "again"
    called = pcatch.call("autopsy", "-o", out, "--pid", str(dead), "-f", "json")
    assert called.status == 0
    verdict = json.loads(next(out.glob("*.json")).read_text())["verdict"]
    assert verdict["cause"] == "out-of-memory" and "60.0 MiB" in verdict["summary"]
    assert "of its unit" not in verdict["summary"] and "control group" in verdict["summary"]


def test_stop_that_took_too_long(pcatch, journal, dead):
    journal.own(0, "ready", dead)
    journal.systemd(60, "Stopping web.service - The web...")
    journal.own(61, "still busy", dead)
    journal.systemd(150, "web.service: State 'stop-sigterm' timed out. Killing.")
    journal.systemd(150, "web.service: Killing process %d (web) with signal SIGKILL." % dead)
    journal.systemd(150, EXITED % ("killed", "9/KILL"), **KILL)
    report = autopsy(pcatch, "--pid", str(dead), "--since", "2026-01-01T00:00:00Z")
    assert (report.cause, report.verdict["confidence"]) == ("killed-by-supervisor", "certain")
    assert "systemd" in report.summary and "had not stopped" in report.summary
    assert any("TimeoutStopSec=" in advice for advice in report.verdict["advice"])
    # The journal is a log of its, too.
    assert "its logs" not in [gap["what"] for gap in report.json["gaps"]]


def test_lines_of_another_run_and_another_boot_are_not_its_own(pcatch, journal, dead):
    journal.own(-9000, "another one", dead, _COMM="cron", _EXE="/usr/sbin/cron", _BOOT_ID="a",
                _SYSTEMD_INVOCATION_ID="zero")
    journal.own(-200, "the run before", dead, _SYSTEMD_INVOCATION_ID="zero")
    journal.systemd(-190, EXITED % ("dumped", "11/SEGV"), EXIT_CODE="dumped", EXIT_STATUS="11",
                    INVOCATION_ID="zero")
    journal.own(0, "ready", dead)
    journal.systemd(5, "web.service: Control process exited, code=exited, status=1/FAILURE",
                    EXIT_CODE="exited", EXIT_STATUS="1")
    report = autopsy(pcatch, "--pid", str(dead))
    assert report.cause == "vanished", report.summary
    assert report.process["comm"] == "web"
    assert [line.split("]: ")[1] for line in report.json["logs"][0]["lines"]] == ["ready"]


def test_words_of_systemd_in_the_mouth_of_others_are_not_systemd_s(pcatch, journal, dead):
    journal.own(0, "ready", dead, UNIT=UNIT, EXIT_CODE="exited", EXIT_STATUS="0")
    journal.own(1, EXITED % ("exited", "0"), dead, UNIT=UNIT, EXIT_CODE="exited", EXIT_STATUS="0")
    journal.add(2, "Process %d (web) of user 33 dumped core." % dead, _PID="77", _UID="1000",
                _EXE="/home/eve/systemd-coredump", COREDUMP_PID=str(dead), COREDUMP_SIGNAL="11")
    report = autopsy(pcatch, "--pid", str(dead))
    assert report.cause == "vanished", report.summary


def test_service_of_a_user(pcatch, journal, dead):
    journal.own(0, "ready", dead, _SYSTEMD_UNIT="user@33.service", _SYSTEMD_USER_UNIT=UNIT)
    journal.add(61, EXITED % ("dumped", "6/ABRT"), _PID="700", _UID="33", USER_UNIT=UNIT,
                _SYSTEMD_USER_UNIT="init.scope", EXIT_CODE="dumped", EXIT_STATUS="6")
    report = autopsy(pcatch, "--pid", str(dead))
    assert report.cause == "abort", report.summary


def test_core_that_systemd_coredump_keeps_has_the_stacks(pcatch, victim, journal, tmp_path):
    caught = pcatch.catch(victim("null-deref"), options=["-f", "text,core"])
    core, pid = caught.dump.with_suffix(".core"), caught.process["pid"]
    journal.add(1, "Process %d (null-deref) of user 33 dumped core.\n\nStack trace of ..." % pid,
                _PID="77", _UID="0", _SYSTEMD_UNIT="systemd-coredump@3-77.service", COREDUMP_PID=str(pid),
                COREDUMP_SIGNAL="11", COREDUMP_COMM="null-deref", COREDUMP_UID="33",
                COREDUMP_EXE=str(victim("null-deref")), COREDUMP_FILENAME=str(core))
    journal.entries[-1]["COREDUMP_TIMESTAMP"] = journal.entries[-1]["__REALTIME_TIMESTAMP"]
    journal.add(2, "x", _PID="5")
    out = tmp_path / "autopsies"
    called = pcatch.call("autopsy", "-o", out, "--pid", str(pid), "-f", "json")
    assert called.status == 0, called
    report = json.loads(next(out.glob("*.json")).read_text())
    verdict = report["verdict"]
    assert (verdict["cause"], verdict["confidence"]) == ("native-crash", "certain")
    assert "SIGSEGV" in verdict["summary"] and report["process"]["comm"] == "null-deref"
    assert "Stack trace" not in called.stdout
    # What it advises works.
    assert any("pcatch show %s" % core in advice for advice in verdict["advice"])
    shown = json.loads(pcatch.call("show", core, "-f", "json").stdout)
    assert shown["threads"][0]["native"][0]["function"] == caught.functions()[0]
    core.unlink()
    called = pcatch.call("autopsy", "-o", tmp_path / "later", "--pid", str(pid), "-f", "json")
    report = json.loads(next((tmp_path / "later").glob("*.json")).read_text())
    assert "which is gone" in str(report["gaps"]) and "pcatch show" not in str(report["verdict"]["advice"])


GARBAGE = r"""#!/bin/sh
printf '\000\377\033[31m{\n{"MESSAGE":[1,2,300,"x",null]}\n[]\n{"_PID":7}\n\n"""
GARBAGE += "{" * 5000 + r"""'
exit 1
"""


@pytest.mark.parametrize(
    "text, why",
    [
        (GARBAGE, "make no sense"),
        ("#!/bin/sh\nexec yes '{\"MESSAGE\":\"x\"}'\n", "the first 8 MiB"),
        ("#!/bin/sh\nexec head -c 20000000 /dev/zero\n", "the first 8 MiB"),
        ("#!/bin/sh\nkill -9 $$\n", "signal"),
        ("#!/bin/sh\nexit 1\n", "exit status 1"),
        ("#!/nonexistent/interpreter\n", "cannot run"),
    ],
    ids=["garbage", "endless", "one endless line", "killed", "fails", "cannot be run"],
)
def test_journalctl_that_cannot_be_trusted_is_a_gap(pcatch, journal, dead, text, why):
    journal.is_a(text)
    report = autopsy(pcatch, "--pid", str(dead))
    assert report.cause == "vanished"
    assert any(gap["what"] == "the journal" and why in gap["why"] for gap in report.json["gaps"])


def test_journalctl_that_hangs_is_cut_short_with_its_children(pcatch, journal, dead, tmp_path):
    # It has closed its output and what it started has not: neither is waited for beyond the bound.
    pids = tmp_path / "pids"
    journal.is_a("#!/bin/sh\nsleep 1000 &\necho $! $$ >%s\nexec >&-\nwait\n" % pids)
    begin = time.monotonic()
    report = autopsy(pcatch, "--pid", str(dead))
    assert time.monotonic() - begin < 100
    assert any("took longer than 10 s" in gap["why"] and gap["remedy"] for gap in report.json["gaps"])
    # One bound for all that is asked.
    assert len(pids.read_text().split()) == 2
    for pid in pids.read_text().split():
        until(lambda: status_of(int(pid)).get("State", "X")[0] in "XZ", "the end of %s" % pid)


def test_without_journalctl_there_is_a_gap(pcatch, journal, dead, monkeypatch, tmp_path):
    # Relative folders of PATH are nobody's: the user may be anywhere.
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(journal.program.parent)
    monkeypatch.setenv("PATH", "%s:.::" % empty)
    report = autopsy(pcatch, "--pid", str(dead))
    assert any("no journalctl" in gap["why"] for gap in report.json["gaps"])
    assert not os.path.exists(str(journal.program) + ".asked")
