# SPDX-License-Identifier: GPL-3.0-or-later
"""Deaths by a signal: who raised it decides, not its number."""
import os
import pty
import signal
import subprocess

import pytest

from conftest import DEATHS, ENDINGS, assert_python_frames, until


def kill_by_stranger(pcatch, pid, name):
    """A process that is no ancestor sends the signal and is there when it is looked at."""
    return pcatch.start("sh", "-c", 'kill -s "$1" "$2"; read line', "sh", name, str(pid))


def killed_by_stranger(pcatch, name, *command):
    running = pcatch.start(*command)
    watcher = pcatch.attach(running.truth["pid"])
    running.go()
    stranger = kill_by_stranger(pcatch, running.truth["pid"], name)
    assert running.wait() == -getattr(signal, "SIG" + name)
    assert watcher.wait() == 0
    return pcatch.report(watcher), stranger


def assert_sender(sender, running):
    assert sender["kind"] == "process"
    assert sender["pid"] == running.pid
    assert sender["cmdline"][0] == running.argv[0]
    assert sender["uid"] == os.geteuid()


def test_sigterm_from_another_process_names_it(pcatch, victim):
    report, stranger = killed_by_stranger(pcatch, "TERM", victim("handled"), "none")
    assert report.cause == "killed-by-process"
    assert_sender(report.sender, stranger)
    assert str(stranger.pid) in report.summary


def test_sigterm_from_an_ancestor_is_a_supervisor_s(pcatch, victim):
    report = pcatch.catch(victim("handled"), "none", kill=signal.SIGTERM)
    assert report.cause == "killed-by-supervisor"
    assert report.sender["pid"] == os.getpid()
    assert report.sender["relation"] == "parent"


@pytest.mark.parametrize(
    "name", ["SEGV", "PIPE", "ABRT", "HUP", "ALRM", "XCPU", "BUS", "SYS", "USR1", "TRAP", "QUIT"]
)
def test_signal_sent_by_another_process_is_blamed_on_it(pcatch, victim, name):
    report, stranger = killed_by_stranger(pcatch, name, victim("handled"), "none")
    assert report.cause in ("terminated-by-signal", "killed-by-process")
    assert_sender(report.sender, stranger)
    assert report.fault is None or report.fault["class"] == "other"


def test_killed_process_still_yields_its_stacks(pcatch, every_python):
    report = pcatch.catch(every_python, DEATHS, "four-threads", kill=signal.SIGKILL)
    if report.cause == "killed-by-unknown":
        gaps = [g for g in report.json["gaps"] if g.get("remedy") and "sen" in g["what"] + g["why"]]
        assert gaps, "the missing sender is a gap that names its remedy: %s" % report.json["gaps"]
    else:
        assert (report.cause, report.sender["pid"]) == ("killed-by-supervisor", os.getpid())
    assert_python_frames(report.thread(report.truth["tid"]), report.truth["frames"])
    assert len(report.truth["threads"]) == 4
    for tid, thread in report.truth["threads"].items():
        assert_python_frames(report.thread(int(tid)), thread["frames"])
    for thread in report.json["threads"]:
        assert len(thread["native"]) >= 3 and thread["registers"], thread["tid"]


def test_handled_sigterm_and_exit_is_a_graceful_shutdown(pcatch, victim):
    running = pcatch.start(victim("handled"), "exit", "0")
    watcher = pcatch.attach(running.truth["pid"])
    running.go()
    stranger = kill_by_stranger(pcatch, running.truth["pid"], "TERM")
    assert running.wait() == 0
    assert watcher.wait() == 0
    report = pcatch.report(watcher)
    assert report.cause == "graceful-shutdown"
    earlier = [e for e in report.death["earlier_signals"] if e["name"] == "SIGTERM"]
    assert len(earlier) == 1 and earlier[0]["handled"]
    assert_sender(earlier[0]["sender"], stranger)
    assert str(stranger.pid) in report.text


def test_python_s_sigterm_handler_is_a_graceful_shutdown(pcatch, python):
    report = pcatch.catch(python, DEATHS, "handled-term", kill=signal.SIGTERM)
    assert (report.cause, report.status) == ("graceful-shutdown", 0)


def test_unhandled_sigterm_shows_what_python_did(pcatch, python):
    report = pcatch.catch(python, DEATHS, "waiting", kill=signal.SIGTERM)
    assert report.cause == "killed-by-supervisor"
    assert_python_frames(report.thread(report.truth["tid"]), report.truth["frames"])


def test_abort_in_a_handler_is_an_abort(pcatch, victim):
    report = pcatch.catch(victim("handled"), "abort", kill=signal.SIGTERM)
    assert report.cause == "abort"
    assert "on_term" in report.functions()
    assert "SIGTERM" in [e["name"] for e in report.death["earlier_signals"]]


def test_raising_the_handled_signal_again_accuses_nobody_of_killing(pcatch, victim):
    report = pcatch.catch(victim("handled"), "reraise", kill=signal.SIGTERM)
    assert report.cause in ("terminated-by-signal", "graceful-shutdown")
    assert report.sender["kind"] == "self"
    earlier = [e for e in report.death["earlier_signals"] if e["name"] == "SIGTERM"]
    assert earlier and earlier[0]["sender"]["pid"] == os.getpid()


def test_signal_from_outside_the_pid_namespace_is_said_to_be(pcatch, victim):
    unshare = ["unshare", "--pid", "--fork", "--kill-child"]
    if subprocess.run(unshare + ["true"], capture_output=True).returncode:
        pytest.skip("unshare --pid is not possible here")
    # Beside an init, which no signal of its own would kill.
    program = str(victim("handled"))
    running = pcatch.start(*unshare, "sh", "-c", '"$0" none & wait $!; exit 3', program)
    running.truth

    def inner():
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink("/proc/%s/exe" % pid) == program:
                    return int(pid)
            except OSError:
                pass

    pid = until(inner, "the victim inside of the namespace")
    watcher = pcatch.attach(pid)
    os.kill(pid, signal.SIGTERM)
    assert watcher.wait() == 0
    report = pcatch.report(watcher)
    assert report.cause == "killed-from-outside"
    assert report.sender["kind"] == "outside-namespace"
    assert report.process["ns_pids"][0] == pid and len(report.process["ns_pids"]) == 2


def test_broken_pipe_names_the_descriptor(pcatch, victim):
    report = pcatch.catch(victim("sigpipe"))
    assert (report.cause, report.verdict["confidence"]) == ("broken-pipe", "certain")
    assert report.sender["kind"] in ("self", "kernel")
    words = " ".join(report.text.split())
    assert "fd %d" % report.truth["fd"] in words or "descriptor %d" % report.truth["fd"] in words
    assert "write_to_nobody" in report.functions()


@pytest.mark.parametrize(
    "what, name, cause",
    [
        ("cpu", "SIGXCPU", "resource-limit"),
        ("file", "SIGXFSZ", "resource-limit"),
        ("alarm", "SIGALRM", "timer-expired"),
        ("vtalrm", "SIGVTALRM", "timer-expired"),
    ],
)
def test_limit_or_timer_is_named(pcatch, victim, what, name, cause):
    report = pcatch.catch(victim("limit"), what)
    assert (report.cause, report.signal["name"]) == (cause, name)
    assert report.truth["function"] in report.functions()
    if what == "cpu":
        assert "limit of 1 s" in report.summary


def test_dying_parent_is_named(pcatch, victim):
    parent = pcatch.start(victim("pdeathsig"))
    child = parent.truth["child"]
    watcher = pcatch.attach(child)
    parent.go()
    assert parent.wait() == 0
    assert watcher.wait() == 0
    report = pcatch.report(watcher)
    assert (report.cause, report.signal["name"]) == ("parent-death", "SIGTERM")
    assert str(parent.pid) in report.summary


def test_closed_terminal_is_named(pcatch, victim):
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(victim("handled"), ["handled", "none"])
    reaped = False
    try:
        said = b""
        while b"\n" not in said:
            said += os.read(terminal, 1000)
        watcher = pcatch.attach(pid)
        os.write(terminal, b"\n")
        os.close(terminal)
        terminal = -1
        _, status = os.waitpid(pid, 0)
        reaped = True
        assert os.WTERMSIG(status) == signal.SIGHUP
        assert watcher.wait() == 0
        report = pcatch.report(watcher)
        assert (report.cause, report.signal["name"]) == ("terminal-hangup", "SIGHUP")
        assert report.process["tty"]
    finally:
        if terminal >= 0:
            os.close(terminal)
        if not reaped:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def test_sigtrap_of_the_targets_own_ends_it(pcatch, any_python):
    report = pcatch.catch(any_python, ENDINGS, "own-trap")
    assert report.status == -signal.SIGTRAP
    assert (report.cause, report.signal["name"]) == ("terminated-by-signal", "SIGTRAP")
