# SPDX-License-Identifier: GPL-3.0-or-later
"""The target survives being watched, let go, and a watcher that is killed."""
import os
import random
import signal
import time

import pytest

from conftest import DEATHS, SLOWNESS, assert_python_frames, status_of, tracers_of, until

ROUNDS = 100 if SLOWNESS == 1 else 20


def test_no_signal_is_lost_when_pcatch_is_killed_at_any_moment(pcatch, victim):
    target = pcatch.start(victim("counter"), "3")
    pid = target.truth["pid"]
    target.go()
    sender = pcatch.start(victim("sender"), str(pid))
    sender.truth
    sender.go()
    seed = random.randrange(1 << 32)
    moments = random.Random(seed)
    for _ in range(ROUNDS):
        watcher = pcatch.attach(pid)
        # The moment is the point here; it is drawn from a seed, not waited for.
        time.sleep(moments.random() * 0.03)
        watcher.process.kill()
        watcher.wait()
        assert target.process.poll() is None, "seed %d: the target is gone" % seed
        until(lambda: tracers_of(pid) == {0}, "nobody to trace the target")
    sender.process.stdin.close()
    sender.process.stdin = None
    assert sender.wait() == 0
    sent = sender.said(2)["sent"]

    until(lambda: states_of(pid) <= set("SR"), "no thread to be stuck: %s" % states_of(pid))
    until(lambda: status_of(pid)["ShdPnd"].strip("0") == "", "all signals to be taken")
    os.kill(pid, signal.SIGRTMIN + 1)
    assert target.wait() == 0
    assert target.said(2)["received"] == sent, "seed %d" % seed
    assert sent > ROUNDS
    assert not pcatch.reports()


def states_of(pid):
    return {status_of(pid, int(t)).get("State", "S")[0] for t in os.listdir("/proc/%d/task" % pid)}


def test_attach_and_let_go_under_load(pcatch, victim):
    target = pcatch.start(victim("busy"))
    pid = target.truth["pid"]
    target.go()
    for n in range(ROUNDS):
        watcher = pcatch.attach(pid)
        watcher.process.send_signal((signal.SIGINT, signal.SIGTERM, signal.SIGHUP)[n % 3])
        assert watcher.wait() == 1, watcher.stderr
        assert tracers_of(pid) == {0}
    until(lambda: states_of(pid) <= set("SR"), "no thread to be stuck")
    os.kill(pid, signal.SIGTERM)
    assert target.wait() == 0
    assert target.said(2)["errors"] == 0
    assert not pcatch.reports()


def test_target_that_was_stopped_stays_stopped_when_let_go(pcatch, victim):
    target = pcatch.start(victim("idle"))
    pid = target.truth["pid"]
    os.kill(pid, signal.SIGSTOP)
    until(lambda: states_of(pid) == {"T"}, "the target to stop")
    watcher = pcatch.attach(pid)
    watcher.process.terminate()
    assert watcher.wait() == 1
    # The kernel wakes a thread to have it stop for itself, before it comes to any instruction.
    until(lambda: states_of(pid) == {"T"}, "the target to stop for itself")
    os.kill(pid, signal.SIGCONT)
    target.go()
    assert target.wait() == 0


def test_stop_and_continue_are_seen_by_the_parent_while_watched(pcatch, victim):
    target = pcatch.start(victim("idle"))
    pid = target.truth["pid"]
    watcher = pcatch.attach(pid)
    os.kill(pid, signal.SIGSTOP)
    _, status = os.waitpid(pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status) and os.WSTOPSIG(status) == signal.SIGSTOP
    os.kill(pid, signal.SIGCONT)
    _, status = os.waitpid(pid, os.WCONTINUED)
    assert os.WIFCONTINUED(status)
    target.go()
    assert target.wait() == 0
    assert watcher.wait() == 0
    assert pcatch.report(watcher).cause == "clean-exit"


def test_program_that_lives_from_sigsegv_keeps_its_speed_and_is_not_reported(pcatch, victim):
    target = pcatch.start(victim("guard-loop"))
    pid = target.truth["pid"]
    target.go()
    lines = 1

    def rate():
        nonlocal lines
        points = []
        for _ in range(2):
            target.go()
            lines += 1
            points.append(target.said(lines))
            if len(points) == 1:
                time.sleep(1)  # what is measured is how much happens in a while
        first, last = points
        return (last["faults"] - first["faults"]) * 1e9 / (last["ns"] - first["ns"])

    alone = rate()
    watcher = pcatch.attach(pid)
    watched = rate()
    assert watched >= alone / 20, "%d faults a second alone, %d watched" % (alone, watched)
    watcher.process.terminate()
    watcher.wait()
    assert not pcatch.reports()
    watcher = pcatch.attach(pid)
    target.process.stdin.close()
    target.process.stdin = None
    assert target.wait() == 0
    assert watcher.wait() == 0
    report = pcatch.report(watcher)
    assert report.cause == "clean-exit"


def test_snapshot_leaves_the_process_alive(pcatch, any_python):
    target = pcatch.start(any_python, DEATHS, "waiting")
    truth = target.truth
    target.go()
    until(lambda: states_of(truth["pid"]) == {"S"}, "the target to wait")
    called = pcatch.call("snapshot", "-o", pcatch.out, str(truth["pid"]))
    assert called.status == 0, called
    report = pcatch.report()
    assert (report.cause, report.death["kind"]) == ("alive", "snapshot")
    assert report.signal is None
    assert_python_frames(report.thread(truth["tid"]), truth["frames"], callees=0)
    assert tracers_of(truth["pid"]) == {0}
    assert target.process.poll() is None
    os.kill(truth["pid"], signal.SIGTERM)
    assert target.wait() == -signal.SIGTERM


def test_ten_snapshots_under_load_harm_nobody(pcatch, victim):
    target = pcatch.start(victim("busy"))
    pid = target.truth["pid"]
    target.go()
    for n in range(10):
        called = pcatch.call("snapshot", "-q", "-o", pcatch.out, str(pid))
        assert called.status == 0, called
    assert len(pcatch.reports()) == 10
    os.kill(pid, signal.SIGTERM)
    assert target.wait() == 0
    assert target.said(2)["errors"] == 0


def waiting_page(pcatch, victim, *arguments):
    target = pcatch.start(victim("page-waits"), *arguments)
    until(lambda: target.stdout or target.process.poll() is not None, "the victim's truth")
    if target.process.poll() == 77:
        pytest.skip("no userfaultfd here: " + target.stderr.strip())
    return target


def gap_of(report, what):
    return [gap["why"] for gap in report.json["gaps"] if gap["what"] == what]


def test_page_that_never_comes_does_not_hold_a_dying_process(pcatch, victim):
    target = waiting_page(pcatch, victim)
    watcher = pcatch.attach(target.truth["pid"])
    target.go()
    assert target.wait() == -signal.SIGABRT
    assert watcher.wait() == 0, watcher.stderr
    report = pcatch.report(watcher)
    assert report.cause == "abort"
    # What had been read by then is there: the dying thread's stack, and all registers.
    assert "die" in report.functions()
    assert len(report.json["threads"]) == 2
    # Read through /proc/PID/mem such a page is refused at once; else the wait is cut short, and said.
    assert all("its memory" in why for why in gap_of(report, "part of the capture"))


def test_page_that_never_comes_does_not_hold_a_living_process(pcatch, victim):
    target = waiting_page(pcatch, victim, "lives")
    pid = target.truth["pid"]
    called = pcatch.call("snapshot", "-o", pcatch.out, str(pid))
    assert called.status == 0, called
    assert tracers_of(pid) == {0}
    assert states_of(pid) <= set("SR")
    report = pcatch.report()
    assert all("its memory" in why for why in gap_of(report, "part of the capture"))
    # What only /proc says is asked for after the process was let go, by another thread of ours.
    assert report.process["fds"]
    target.go()
    assert target.wait() == 0
