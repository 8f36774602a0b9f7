# SPDX-License-Identifier: GPL-3.0-or-later
"""pcatch as what the kernel calls for a crash. kernel.core_pattern is the whole machine's: it is set
for as short as can be, by one test at a time, and put back."""
import json
import os
import resource
import shutil
import stat
import subprocess
import sys
import tempfile

import pytest

from conftest import DEATHS, MACHINE, PCATCH, SLOWNESS, Report, until

PATTERN = "/proc/sys/kernel/core_pattern"
KERNEL_S = "%P %I %s %u %g %d %c %F"


class Machine:
    """Crashes while pcatch handles cores. Its folder has a short name: a pattern has 127 bytes."""

    def __init__(self, folder):
        self.folder = folder
        self.out = os.path.join(folder, "r")
        os.symlink(PCATCH, os.path.join(folder, "p"))

    def crash(self, command, options="", then="", limit=resource.RLIM_INFINITY, **popen):
        pattern = "|%s/p core-handler -o %s %s%s%s" % (
            self.folder, self.out, options and options + " ", KERNEL_S, then and " --then " + then
        )
        assert len(pattern) < 128, pattern
        with MACHINE.alone(), open(PATTERN) as file:
            before = file.read()
            try:
                with open(PATTERN, "w") as setting:
                    setting.write(pattern)
                return subprocess.run(
                    [str(word) for word in command],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    timeout=20 * SLOWNESS,
                    preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (limit, limit)),
                    **popen
                )
            finally:
                with open(PATTERN, "w") as setting:
                    setting.write(before)

    def reports(self, folder=""):
        where = os.path.join(self.out, folder)
        names = os.listdir(where) if os.path.isdir(where) else []
        return [os.path.join(where, name) for name in names if name.endswith(".txt")]

    def report(self, pcatch, folder=""):
        found = until(lambda: self.reports(folder), "a report in %s" % self.out, 20)
        assert len(found) == 1
        return Report(pcatch, found[0][: -len("txt")] + "dmp")


@pytest.fixture
def machine():
    try:
        with open(PATTERN) as file:
            now = file.read()
        with open(PATTERN, "w") as file:
            file.write(now)
    except OSError as error:
        pytest.skip("no right to set kernel.core_pattern: %s" % error)
    folder = tempfile.mkdtemp(prefix="pc", dir="/tmp")
    os.chmod(folder, 0o711)
    yield Machine(folder)
    shutil.rmtree(folder)


SETTINGS = PATTERN, "/proc/sys/kernel/core_pipe_limit"


def settings():
    values = []
    for path in SETTINGS:
        with open(path) as file:
            values.append(file.read())
    return values


@pytest.fixture
def installed(machine):
    """A copy of pcatch with a short path, and the kernel's settings as they were, afterwards."""
    program = os.path.join(machine.folder, "q")
    shutil.copy(PCATCH, program)
    os.chmod(program, 0o755)
    with MACHINE.alone():
        before = settings()
        if " core-handler " in before[0]:
            pytest.skip("kernel.core_pattern is pcatch's already: " + before[0])
        try:
            yield program
        finally:
            for path, value in zip(SETTINGS, before):
                with open(path, "w") as file:
                    file.write(value)


def test_install_says_what_it_replaces_and_uninstall_puts_it_back(pcatch, victim, machine, installed):
    before = settings()
    setup = [installed, "core-handler", "--install", "-o", machine.out]
    printed = subprocess.run([*setup, "--print"], capture_output=True, text=True, check=True).stdout
    assert settings() == before
    done = subprocess.run(setup, capture_output=True, text=True, check=True)
    pattern = settings()[0].strip()
    assert pattern == "|%s core-handler -o %s %s" % (installed, machine.out, KERNEL_S)
    assert "kernel.core_pattern is now: %s\n  it was: %s\n" % (pattern, before[0].strip()) in done.stdout
    assert "sysctl -w 'kernel.core_pattern=%s'\n" % pattern in printed
    assert int(settings()[1]) > 0
    # Once more, and what was there first is still known.
    subprocess.run([*setup, "--ignore-limit"], capture_output=True, check=True)
    assert " --ignore-limit %P" in settings()[0]
    subprocess.run([victim("null-deref")], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    assert machine.report(pcatch).cause == "native-crash"
    undone = subprocess.run(
        [installed, "core-handler", "--uninstall"], capture_output=True, text=True, check=True
    )
    assert settings() == before and "kernel.core_pattern is now: " + before[0].strip() in undone.stdout
    again = subprocess.run([installed, "core-handler", "--uninstall"], capture_output=True, text=True)
    assert again.returncode == 1 and "is not pcatch's" in again.stderr and settings() == before


def test_next_handler_is_installed_with_what_it_wants(machine, installed):
    printed = subprocess.run(
        [installed, "core-handler", "--install", "--print", "--then", "/usr/bin/next", "%p", "--print"],
        capture_output=True, text=True, check=True,
    ).stdout
    assert "=|%s core-handler %s --then /usr/bin/next %%p --print'" % (installed, KERNEL_S) in printed


@pytest.mark.parametrize(
    "options, words",
    [
        (["-o", "here"], "whole path"),
        (["-o", "/with space"], "has spaces"),
        (["-o", "/" + 100 * "x"], "the kernel takes 127"),
        (["--then", "cat"], "whole path"),
        (["%P"], "too much"),
    ],
)
def test_pattern_that_the_kernel_would_not_understand_is_refused(installed, options, words):
    before = settings()
    done = subprocess.run([installed, "core-handler", "--install", *options], capture_output=True, text=True)
    assert done.returncode and words in done.stderr and len(done.stderr.splitlines()) == 1, done
    assert settings() == before


def test_program_that_others_may_change_is_not_installed(installed):
    before = settings()
    os.chmod(installed, 0o777)
    done = subprocess.run([installed, "core-handler", "--install"], capture_output=True, text=True)
    assert done.returncode == 1 and "may be changed by others" in done.stderr
    assert settings() == before


def test_crash_that_nobody_watched_is_reported(pcatch, victim, machine):
    done = machine.crash([victim("threads"), "9"])
    truth = json.loads(done.stdout.splitlines()[0])
    report = machine.report(pcatch)
    assert done.returncode == -11
    assert (report.cause, report.verdict["confidence"]) == ("native-crash", "certain")
    assert report.death["thread"] == truth["tid"] and report.functions()[0] == "fault_in_thread"
    assert len(report.json["threads"]) == 10
    assert {thread["name"] for thread in report.json["threads"]} == {"threads"}
    assert report.process["pid"] == truth["pid"] and report.process["cwd"] == os.getcwd()


def test_python_that_crashed_has_its_stacks_merged(pcatch, python, machine):
    done = machine.crash([python, DEATHS, "segfault"])
    truth = json.loads(done.stdout.splitlines()[0])
    report = machine.report(pcatch)
    said = [(f["function"].split(".")[-1], f["line"]) for f in report.dying["python"]]
    wanted = [(f["function"], f["line"]) for f in truth["frames"]]
    assert said[-len(wanted):] == wanted
    assert report.dying["native"][-1]["function"] == "_start"


def test_core_is_handed_on_whole(pcatch, victim, machine):
    kept = os.path.join(machine.folder, "c")
    script = os.path.join(machine.folder, "t")
    with open(script, "w") as file:
        file.write("#!/bin/sh\ncat > %s.part && mv %s.part %s\n" % (kept, kept, kept))
    os.chmod(script, 0o755)
    machine.crash([victim("null-deref")], then=script)
    report = machine.report(pcatch)
    until(lambda: os.path.exists(kept), "the handler behind")
    shown = pcatch.call("show", "-f", "json", kept)
    assert shown.status == 0, shown
    core = json.loads(shown.stdout)
    assert core["verdict"]["summary"] == report.summary
    assert not any(gap["what"] == "memory" for gap in core["gaps"])


def run_as_nobody(*command):
    """COMMAND, started by somebody who has become nobody before: the kernel lets it be looked at."""
    return [sys.executable, "-c",
            "import os, sys; os.setgroups([]); os.setresgid(*[65534] * 3); os.setresuid(*[65534] * 3);"
            "os.execv(sys.argv[1], sys.argv[1:])", *command]


def test_user_s_crash_belongs_to_the_user(pcatch, victim, machine):
    program = shutil.copy(victim("null-deref"), machine.folder)
    machine.crash(run_as_nobody(program), cwd="/")
    report = machine.report(pcatch, "65534")
    for file in os.listdir(os.path.dirname(report.dump)):
        status = os.stat(os.path.join(os.path.dirname(report.dump), file))
        assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (65534, 0o600)
    folder = os.stat(os.path.dirname(report.dump))
    assert (folder.st_uid, stat.S_IMODE(folder.st_mode)) == (65534, 0o700)
    assert stat.S_IMODE(os.stat(machine.out).st_mode) == 0o711
    assert not machine.reports()


def test_setuid_crash_is_root_s_alone(pcatch, victim, machine):
    program = shutil.copy(victim("null-deref"), machine.folder)
    os.chown(program, 0, 0)
    os.chmod(program, 0o4755)
    with open("/proc/sys/fs/suid_dumpable") as file:
        before = file.read()
    try:
        # Without it the kernel makes no core of a setuid program at all.
        with open("/proc/sys/fs/suid_dumpable", "w") as file:
            file.write("2")
        done = machine.crash(run_as_nobody(program), cwd="/")
    finally:
        with open("/proc/sys/fs/suid_dumpable", "w") as file:
            file.write(before)
    assert done.returncode == -11
    report = machine.report(pcatch)
    assert os.stat(report.dump).st_uid == 0 and report.functions()[0] == "deref"
    assert not machine.reports("65534")


def test_who_wants_no_core_gets_no_report(pcatch, victim, machine):
    machine.crash([victim("null-deref")], limit=0)
    machine.crash([victim("div-zero")], limit=0, options="--ignore-limit")
    report = machine.report(pcatch)
    assert report.signal["name"] == "SIGFPE"


@pytest.mark.parametrize("words", [[], ["1"], ["1", "1", "11", "0", "0", "1"], ["x"] * 7])
def test_handler_refuses_what_is_not_the_kernel_s(pcatch, words):
    called = pcatch.call("core-handler", "-o", pcatch.out, *words)
    assert called.status == 2


def test_what_is_no_core_is_refused(pcatch):
    called = pcatch.call("core-handler", "-o", pcatch.out, *"1 1 11 0 0 1 4096000".split())
    assert called.status == 1 and not pcatch.out.exists()


def test_core_of_another_process_is_refused(pcatch, victim, tmp_path):
    """A number that is somebody else's by now: nothing of that process comes into a report."""
    report = pcatch.catch(victim("null-deref"), options=["-f", "core"])
    other = pcatch.start(victim("null-deref"))
    assert other.truth
    # As the kernel writes it: headers and notes first.
    core = report.dump.with_suffix(".core")
    before = sorted(os.listdir(pcatch.out))
    with open(core, "rb") as stdin:
        called = pcatch.call(
            "core-handler", "-o", pcatch.out,
            *[str(other.pid), str(other.pid), "11", "0", "0", "1", "4096000"], stdin=stdin
        )
    assert called.status == 1 and "is not the one that the core is of" in called.stderr, called
    assert sorted(os.listdir(pcatch.out)) == before
