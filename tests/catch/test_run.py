# SPDX-License-Identifier: GPL-3.0-or-later
"""`run` is as transparent as env(1)."""
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time

import pytest

from conftest import PCATCH, SLOWNESS, status_of, until


def run(pcatch, *command, **popen):
    return pcatch.call("run", "-q", "-o", pcatch.out, "--", *command, **popen)


def test_exit_codes_come_through(pcatch):
    # Those that a shell or env(1) gives a meaning, those around a change of sign, and some of all.
    codes = sorted({*range(4), *range(124, 160), 254, 255, *range(0, 256, 13)})
    got = {}
    for code in codes if SLOWNESS == 1 else codes[::4]:
        called = run(pcatch, "sh", "-c", "exit %d" % code)
        got[code] = called.status
        for file in pcatch.out.iterdir():  # the reports of all these shells are looked at elsewhere
            file.unlink()
    assert got == {code: code for code in got}


@pytest.mark.parametrize(
    "name",
    "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT XCPU XFSZ "
    "VTALRM PROF IO PWR SYS RTMIN RTMAX".split(),
)
def test_death_by_a_signal_is_the_same_death(pcatch, name):
    number = getattr(signal, "SIG" + name, 16)  # signal has no SIGSTKFLT in old versions
    called = run(pcatch, "sh", "-c", "kill -%d $$; sleep 60" % number)
    assert called.status == -number, called
    report = pcatch.report()
    assert report.signal["number"] == number
    # Killing oneself accuses nobody else.
    if name != "KILL":
        assert report.sender["kind"] == "self"
        assert not report.cause.startswith("killed-"), report.summary


def test_what_cannot_be_found_is_127_and_one_line(pcatch):
    called = run(pcatch, "/nowhere/to/be-found")
    assert called.status == 127
    assert len(called.stderr.splitlines()) == 1 and "/nowhere/to/be-found" in called.stderr
    assert not pcatch.reports()


def test_what_cannot_be_executed_is_126_and_one_line(pcatch, tmp_path):
    (tmp_path / "data").write_text("no program\n")
    called = run(pcatch, tmp_path / "data")
    assert called.status == 126
    assert len(called.stderr.splitlines()) == 1 and str(tmp_path / "data") in called.stderr
    assert not pcatch.reports()


def test_streams_come_through_whole(pcatch):
    data = os.urandom(1 << 20)
    done = subprocess.run(
        [PCATCH, "run", "-q", "-o", pcatch.out, "--", "sh", "-c", "cat; echo error >&2"],
        input=data,
        capture_output=True,
        timeout=30 * SLOWNESS,
    )
    assert done.stdout == data
    assert done.stderr == b"error\n"


PROBE = """
import json, os, resource, signal
status = {k: v.strip() for k, _, v in (s.partition(":") for s in open("/proc/self/status"))}
print(json.dumps({
    "environ": {k: v for k, v in os.environ.items() if k != "_"},
    "signals": {k: status[k] for k in ("SigBlk", "SigIgn", "SigCgt")},
    "fds": sorted(map(int, os.listdir("/proc/self/fd"))),
    "limits": [resource.getrlimit(n) for n in range(16)],
    "umask": status.get("Umask"), "nice": os.nice(0), "cwd": os.getcwd(),
    "group": os.getpgrp(), "session": os.getsid(0), "scheduler": os.sched_getscheduler(0),
    "cpus": sorted(os.sched_getaffinity(0)), "nnp": status.get("NoNewPrivs"),
    "dumpable": os.stat("/proc/self/environ").st_uid,
}, sort_keys=True))
"""


def test_child_finds_the_world_that_env_would_show_it(pcatch):
    def prepare():
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        os.umask(0o027)

    reader, writer = os.pipe()
    try:
        worlds = []
        for prefix in (["env"], [str(PCATCH), "run", "-q", "-o", str(pcatch.out), "--"]):
            done = subprocess.run(
                prefix + [sys.executable, "-c", PROBE],
                capture_output=True,
                preexec_fn=prepare,
                pass_fds=[writer],
                timeout=30 * SLOWNESS,
            )
            assert done.returncode == 0, done.stderr
            worlds.append(json.loads(done.stdout))
        assert worlds[1] == worlds[0]
    finally:
        os.close(reader)
        os.close(writer)


@pytest.mark.parametrize("name", ["TERM", "HUP", "USR1", "USR2", "QUIT", "INT", "RTMIN"])
def test_signals_to_run_reach_the_child_and_their_sender_is_known(pcatch, victim, name):
    number = getattr(signal, "SIG" + name)
    running = pcatch.run(victim("handled"), "none")
    child = running.truth["pid"]
    running.go()
    until(lambda: status_of(child).get("State", " ")[0] == "S", "the child to wait")
    os.kill(running.pid, number)
    assert running.wait() == -number
    report = pcatch.report(running)
    assert report.signal["number"] == number
    assert report.sender["pid"] == os.getpid(), "who sent it to pcatch sent it"


def test_stopped_child_stops_run_and_both_continue(pcatch, victim):
    running = pcatch.run(victim("busy"))
    child = running.truth["pid"]
    running.go()
    os.kill(child, signal.SIGSTOP)
    until(lambda: status_of(child).get("State", " ")[0] in "Tt", "the child to stop")
    os.kill(child, signal.SIGCONT)
    until(lambda: status_of(child).get("State", " ")[0] in "SRt", "the child to continue")
    os.kill(child, signal.SIGTERM)
    assert running.wait() == 0
    assert running.said(2)["errors"] == 0


class Terminal:
    """An interactive shell on a terminal of its own."""

    def __init__(self):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(PS1="ready> ", TERM="dumb", HISTFILE="")
            os.environ.pop("PROMPT_COMMAND", None)
            os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
        self.text = ""

    def type(self, text):
        os.write(self.fd, text.encode())

    def expect(self, pattern, seconds=15):
        """Wait for PATTERN; what came up to its end is taken away."""
        deadline = time.monotonic() + seconds * SLOWNESS
        while True:
            match = re.search(pattern, self.text)
            if match:
                self.text = self.text[match.end() :]
                return match
            left = deadline - time.monotonic()
            assert left > 0, "no %r in %r" % (pattern, self.text)
            if select.select([self.fd], [], [], left)[0]:
                try:
                    self.text += os.read(self.fd, 65536).decode(errors="replace")
                except OSError:
                    raise AssertionError("the shell ended before %r: %r" % (pattern, self.text))

    def close(self):
        os.close(self.fd)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


@pytest.fixture
def terminal():
    if not shutil.which("bash"):
        pytest.skip("no bash")
    terminal = Terminal()
    terminal.expect("ready> ")
    yield terminal
    terminal.close()


COUNTER = """
import signal, sys, threading
def interrupted(signo, frame):
    print("got the interrupt", flush=True)
    sys.exit(9)
signal.signal(signal.SIGINT, interrupted)
signal.signal(signal.SIGCONT, lambda *_: print("go" + "ing on", flush=True))
# A thread that took the signal would not wake the main one, which runs Python's handlers.
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGCONT])
threading.Thread(target=threading.Event().wait, daemon=True).start()
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT, signal.SIGCONT])
print("pid", __import__("os").getpid(), flush=True)
while True:
    signal.pause()
"""


def test_interrupt_stop_and_foreground_work_on_a_terminal(pcatch, terminal, tmp_path):
    script = tmp_path / "counter.py"
    script.write_text(COUNTER)
    terminal.type("%s run -q -o %s -- %s %s\n" % (PCATCH, pcatch.out, sys.executable, script))
    child = int(terminal.expect(r"pid (\d+)\r").group(1))

    for _ in range(3):
        terminal.type("\x1a")
        terminal.expect("Stopped")
        terminal.expect("ready> ")
        until(
            lambda: {
                open("/proc/%d/task/%s/stat" % (child, t)).read().rsplit(")", 1)[1].split()[0]
                for t in os.listdir("/proc/%d/task" % child)
            }
            <= {"t", "T"},
            "all threads of the child to stop",
        )
        terminal.type("fg\n")
        terminal.expect("going on")
    terminal.type("\x03")
    terminal.expect("got the interrupt")
    terminal.expect("ready> ")
    terminal.type("echo status $?\n")
    assert terminal.expect(r"status (\d+)\r").group(1) == "9"
    assert pcatch.report().death["exit_code"] == 9


def test_child_that_dies_of_the_interrupt_looks_so_to_the_shell(pcatch, terminal):
    terminal.type("%s run -q -o %s -- sh -c 'echo wai''ting; exec cat'\n" % (PCATCH, pcatch.out))
    terminal.expect("waiting")
    terminal.type("\x03")
    terminal.expect("ready> ")
    terminal.type("echo status $?\n")
    assert terminal.expect(r"status (\d+)\r").group(1) == "130"
    assert pcatch.report().signal["name"] == "SIGINT"


def test_child_reads_from_the_terminal(pcatch, terminal):
    terminal.type("%s run -q -o %s -- sh -c 'read x; echo got $x'\n" % (PCATCH, pcatch.out))
    terminal.type("a-word\n")
    terminal.expect(r"got a-word\r")


@pytest.mark.parametrize("no_color", [False, True])
def test_colours_only_where_they_are_wanted(pcatch, terminal, victim, no_color):
    prefix = "NO_COLOR=1 " if no_color else ""
    command = (prefix, PCATCH, pcatch.out, victim("null-deref"))
    terminal.type("TERM=xterm %s%s run -o %s -- %s </dev/null\n" % command)
    before = terminal.expect(r"(?s)(.*)report: \S+").group(1)
    assert ("\x1b[" in before.split("</dev/null", 1)[-1].replace("\x1b[?2004l", "")) != no_color


def test_run_of_a_program_that_replaces_itself(pcatch, victim):
    report = pcatch.catch("sh", "-c", 'exec "$0"', victim("null-deref"), how="run")
    assert report.cause == "native-crash"
    assert report.process["exe"] == str(victim("null-deref"))
