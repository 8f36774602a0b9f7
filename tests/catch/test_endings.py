# SPDX-License-Identifier: GPL-3.0-or-later
"""Python seen as it begins to take itself down, by a breakpoint that harms nobody."""
import os
import random
import signal
import subprocess
import time

import pytest

from conftest import ENDINGS, PYTHONS, SLOWNESS, interpreter, tracers_of, until

ROUNDS = 100 if SLOWNESS == 1 else 25
GAP = "Python as its finalization began"


def parked(report):
    """The threads that are seen in wait_for_ever()."""
    return [
        thread
        for thread in report.json["threads"]
        if "wait_for_ever" in [f["function"].split(".")[-1] for f in thread.get("python") or []]
    ]


def gaps(report, what=GAP):
    return [gap for gap in report.json["gaps"] if gap["what"] == what]


ENDS = [("end-with-thread", 1), ("exit-with-thread", 3), ("clean-with-thread", 0)]


def check_threads_of_the_end(report, status):
    assert report.status == status
    assert len(parked(report)) == 1, report.text
    assert report.json["time"]["finalization"] <= report.json["time"]["death"]
    assert "began to take itself down" in report.text
    assert not gaps(report)


@pytest.mark.parametrize("ending, status", ENDS)
def test_threads_of_a_python_that_exits_are_seen(pcatch, every_python, ending, status):
    check_threads_of_the_end(pcatch.catch(every_python, ENDINGS, ending), status)


@pytest.mark.parametrize("ending, status", ENDS)
def test_threads_of_a_python_that_was_started_are_seen(pcatch, any_python, ending, status):
    check_threads_of_the_end(pcatch.catch(any_python, ENDINGS, ending, how="run"), status)


def test_script_that_lives_for_no_time_at_all_is_seen(pcatch, every_python):
    called = pcatch.call("run", "-o", pcatch.out, "--", every_python, "-c", "raise ValueError(5)")
    assert called.status == 1
    report = pcatch.report(called)
    assert report.json["time"].get("finalization"), report.text


def test_exec_of_another_python_is_seen_too(pcatch, any_python):
    report = pcatch.catch(any_python, ENDINGS, "exec-another")
    assert report.status == 1
    assert len(parked(report)) == 1, report.text


def test_fork_has_no_breakpoint(pcatch, any_python):
    report = pcatch.catch(any_python, ENDINGS, "child-ends-first", how="run")
    assert (report.cause, report.status) == ("exit-code", 5)
    assert report.json["time"].get("finalization"), report.text


def catch_child(pcatch, python, how):
    running = pcatch.run(python, ENDINGS, how, options=["--children"])
    running.go()
    assert running.wait() == 0
    reports = pcatch.reports()
    assert len(reports) == 2, running.stderr
    child = next(r for r in reports if r.process["pid"] != running.truth["pid"])
    assert (child.cause, child.verdict["confidence"]) == ("uncaught-exception", "certain")
    assert child.json["python"]["exception"]["message"] == "of a child"


def test_forked_child_that_ends_at_once_of_an_exception(pcatch, python):
    catch_child(pcatch, python, "child-raises")


def test_signals_blocked_while_a_process_forks_are_no_plan_of_its_own(pcatch, any_python):
    catch_child(pcatch, any_python, "masked-child-raises")


def test_exception_that_ended_a_thread_is_not_what_ended_the_process(pcatch, python):
    report = pcatch.catch(python, ENDINGS, "thread-raises")
    assert (report.cause, report.status) == ("exit-code", 1)
    assert not report.json["python"].get("exception")


def test_exception_that_came_out_of_an_event_loop(pcatch, python):
    if python == PYTHONS.get("2.7"):
        pytest.skip("CPython 2.7 has no asyncio")
    report = pcatch.catch(python, ENDINGS, "loop-raises")
    assert (report.cause, report.status) == ("uncaught-exception", 1)
    exception = report.json["python"]["exception"]
    assert exception["message"] == "of a coroutine"
    said = [frame["function"] for frame in exception["traceback"]]
    assert said[:2] == ["handle", "main"]
    assert said[-2:] == ["loop_raises", "<module>"]


def test_os_exit_from_an_exit_handler_is_os_exit(pcatch, python):
    report = pcatch.catch(python, ENDINGS, "os-exit-while-finalizing")
    assert (report.cause, report.status) == ("os-exit", 7)
    assert "finalization" not in report.json["time"]


def test_target_that_handles_sigurg_gets_its_own_and_no_other(pcatch, any_python):
    report = pcatch.catch(any_python, ENDINGS, "own-urg")
    assert report.status == 21
    assert len(parked(report)) == 1, report.text


def test_no_breakpoint_is_set_when_it_is_not_wanted(pcatch, any_python):
    report = pcatch.catch(any_python, ENDINGS, "exit-with-thread", options=["--no-breakpoint"])
    assert (report.cause, report.status) == ("exit-code", 3)
    assert "finalization" not in report.json["time"]
    assert "--no-breakpoint" in gaps(report)[0]["why"]


def test_breakpoint_that_cannot_be_had_is_a_gap_with_its_remedy(pcatch, victim, any_python):
    target = pcatch.start(any_python, ENDINGS, "exit-with-thread")
    holder = pcatch.start(victim("registers"), str(target.truth["pid"]))
    if not holder.truth["held"]:
        pytest.skip("no hardware breakpoints to be had here")
    watcher = pcatch.attach(target.truth["pid"])
    target.go()
    assert target.wait() == 3
    assert watcher.wait() == 0, watcher.stderr
    report = pcatch.report(watcher)
    assert "debug registers" in gaps(report)[0]["why"]
    assert gaps(report)[0]["remedy"]


def test_pcatch_killed_around_the_end_of_python_does_nothing_to_it(pcatch, any_python):
    seed = random.randrange(1 << 32)
    moments = random.Random(seed)
    for _ in range(ROUNDS):
        target = pcatch.start(any_python, ENDINGS, "end-with-thread")
        watcher = pcatch.attach(target.truth["pid"])
        target.go()
        # The moment is the point here; it is drawn from a seed, not waited for.
        time.sleep(moments.random() * 0.004)
        watcher.process.kill()
        watcher.wait()
        assert target.wait() == 1, "seed %d: %s" % (seed, target.stderr)
        assert "ValueError: with a thread" in target.stderr, "seed %d" % seed


# Switched to as often as the machine can; SIGTERM and SIGUSR1 end it, of which one asks it to.
RESTLESS = """
import json, os, signal, sys
there, back = os.pipe(), os.pipe()
child = os.fork()
if not child:
    while os.write(back[1], os.read(there[0], 1)):
        pass
for number in signal.SIGTERM, signal.SIGUSR1:
    signal.signal(number, lambda *_: sys.exit(3))
print(json.dumps({"pid": os.getpid()}), flush=True)
try:
    while True:
        os.write(there[1], b"x")
        os.read(back[0], 1)
finally:
    os.kill(child, signal.SIGKILL)
"""


def switches(pid):
    return int(open("/proc/%d/schedstat" % pid).read().split()[2])


def events(pid):
    folder = "/proc/%d/fd/" % pid
    return sum("perf_event" in os.readlink(folder + name) for name in os.listdir(folder))


def until_it_has_no_breakpoint(watcher, pid):
    armed, before, begin = events(watcher.pid), switches(pid), time.monotonic()
    try:
        until(lambda: events(watcher.pid) < armed, "a breakpoint to be taken away")
    except AssertionError:
        if (switches(pid) - before) / (time.monotonic() - begin) > 10000:
            raise
        pytest.skip("this machine is too slow or too busy to switch often")


@pytest.mark.parametrize("signo, seen", [(signal.SIGTERM, True), (signal.SIGUSR1, False)])
def test_process_that_is_switched_to_all_the_time_has_no_breakpoint_until_it_is_asked_to_end(
    pcatch, any_python, signo, seen
):
    target = pcatch.start(any_python, "-c", RESTLESS)
    pid = target.truth["pid"]
    watcher = pcatch.attach(pid)
    until_it_has_no_breakpoint(watcher, pid)
    os.kill(pid, signo)
    assert target.wait() == 3
    assert watcher.wait() == 0, watcher.stderr
    report = pcatch.report(watcher)
    assert ("finalization" in report.json["time"]) == seen
    if not seen:
        assert "switched to so often" in gaps(report)[0]["why"]
        assert "--breakpoint" in gaps(report)[0]["remedy"]


def test_breakpoint_that_is_wanted_at_any_price_stays(pcatch, any_python):
    target, other = (pcatch.start(any_python, "-c", RESTLESS) for _ in range(2))
    watcher = pcatch.attach(target.truth["pid"], options=["--breakpoint"])
    armed = events(watcher.pid)
    # That one is watched for less long.
    until_it_has_no_breakpoint(pcatch.attach(other.truth["pid"]), other.truth["pid"])
    assert events(watcher.pid) == armed
    os.kill(target.truth["pid"], signal.SIGUSR1)
    assert target.wait() == 3
    assert watcher.wait() == 0, watcher.stderr
    assert "finalization" in pcatch.report(watcher).json["time"]
    os.kill(other.truth["pid"], signal.SIGUSR1)
    assert other.wait() == 3


def test_letting_go_takes_the_breakpoint_away(pcatch, any_python):
    target = pcatch.start(any_python, ENDINGS, "end-with-thread")
    watcher = pcatch.attach(target.truth["pid"])
    watcher.process.send_signal(signal.SIGINT)
    assert watcher.wait() == 1
    assert tracers_of(target.truth["pid"]) == {0}
    target.go()
    assert target.wait() == 1
    assert not pcatch.reports()


@pytest.mark.parametrize(
    "ending, type_, message",
    [("own-error", "OwnError", "of our own"), ("hook-replaced", "ValueError", "unheard")],
)
def test_uncaught_exception_is_read_from_the_interpreter(
    pcatch, every_python, ending, type_, message
):
    report = pcatch.catch(every_python, ENDINGS, ending)
    assert (report.cause, report.status) == ("uncaught-exception", 1)
    assert report.verdict["confidence"] == "certain"
    exception = report.json["python"]["exception"]
    assert (exception["type"], exception["message"]) == (type_, message)
    assert "own_str" not in exception
    said = [frame["function"] for frame in exception["traceback"]]
    assert said[-2:] == [ending.replace("-", "_"), "<module>"]
    with open(ENDINGS) as file:
        line = file.read().split("\n")[exception["traceback"][-2]["line"] - 1]
    assert "raise" in line


def test_what_an_exception_came_of_is_read_too(pcatch, every_python):
    report = pcatch.catch(every_python, ENDINGS, "chained")
    exception = report.json["python"]["exception"]
    if report.truth["python"].startswith("2."):
        assert (exception["message"], exception.get("cause")) == ("boom", None)
        return
    assert exception["message"] == "bo\u20acom"
    assert (exception["cause"]["type"], exception["cause"]["message"]) == ("KeyError", "'key'")
    assert exception["cause_is"] == "context"
    assert "raised during the handling of:" in report.text


def test_contexts_in_a_circle_are_told_once(pcatch, any_python):
    report = pcatch.catch(any_python, ENDINGS, "cyclic")
    exception = report.json["python"]["exception"]
    assert [exception["type"], exception["cause"]["type"]] == ["ValueError", "TypeError"]
    assert not exception["cause"].get("cause")


def test_message_of_a_mebibyte_is_cut(pcatch, python):
    report = pcatch.catch(python, ENDINGS, "huge-message")
    message = report.json["python"]["exception"]["message"]
    assert 1000 < len(message) < 10000
    assert message.endswith("...")


SENTENCES = ["encoded", "encoded-two", "decoded", "renamed", "no-such-file"]


# Exceptions of 2.7 come of no other.
@pytest.mark.parametrize(
    "version, ending",
    [
        (version, ending)
        for version in PYTHONS
        for ending in (SENTENCES if version == "2.7" else ["sentences"])
    ],
)
def test_sentences_that_exceptions_make_of_their_fields(pcatch, version, ending, tmp_path):
    with open(tmp_path / "stderr", "w") as stderr:
        report = pcatch.catch(interpreter(version), ENDINGS, ending, stderr=stderr)
    told = (tmp_path / "stderr").read_text().split("\n")
    exception = report.json["python"]["exception"]
    assert exception.get("source", "").startswith("the interpreter's own record")
    said = []
    while exception:
        said.append("%s: %s" % (exception["type"], exception["message"]))
        assert exception.get("cause_is", "cause") == "cause"
        exception = exception.get("cause")
    assert [line for line in reversed(told) if line in said] == said
    assert len(said) == (1 if version == "2.7" else len(SENTENCES))
    assert version == "2.7" or "directly caused by:" in report.text


def test_what_is_said_by_a_str_of_its_own_is_not_made_up(pcatch, every_python):
    report = pcatch.catch(every_python, ENDINGS, "spoken")
    exception = report.json["python"]["exception"]
    assert (exception["type"], exception["message"]) == ("Spoken", "as its args")
    assert exception["own_str"]
    assert "__str__ of its own" in report.text


def test_notes_and_members_of_a_group_that_has_no_end(pcatch, every_python):
    if pcatch.start(every_python, "-c", "ExceptionGroup", stderr=subprocess.DEVNULL).wait():
        pytest.skip("no exception groups in " + every_python)
    report = pcatch.catch(every_python, ENDINGS, "grouped", stderr=subprocess.DEVNULL)
    group = report.json["python"]["exception"]
    assert group["notes"] == ["first note", "second\nnote"]
    assert "\n  second\n  note\n" in report.text
    assert group["message"] == "outer (3 sub-exceptions)"
    assert group["exceptions_total"] == 3
    member, inner, deep = group["exceptions"]
    assert (member["type"], member["message"]) == ("ValueError", "a member")
    assert (member["cause"]["type"], member["cause_is"]) == ("TypeError", "cause")
    assert inner["message"] == "inner (100 sub-exceptions)"
    assert inner["exceptions_total"] == 100
    assert [e["message"] for e in inner["exceptions"]] == [str(i) for i in range(16)]
    assert "ExceptionGroup, exception 2 of 3:" in report.text
    depth = 1
    while deep.get("exceptions"):
        depth, deep = depth + 1, deep["exceptions"][0]
    assert depth == 3


@pytest.mark.parametrize("options", [[], ["--no-redact"]])
def test_secrets_in_a_message_are_not_told(pcatch, any_python, options):
    report = pcatch.catch(
        any_python, ENDINGS, "secret-told", options=options, stderr=subprocess.DEVNULL
    )
    message = report.json["python"]["exception"]["message"]
    assert message.startswith("cannot log in:\npassword=")
    assert ("hunter2" in message, "swordfish" in message) == (bool(options), bool(options))
    assert options or "hunter2" not in report.text


def test_keyboard_interrupt_that_nobody_caught(pcatch, every_python):
    report = pcatch.catch(every_python, ENDINGS, "interrupted")
    # Up to 3.7 it was an exception like any other.
    assert report.status in (1, -signal.SIGINT)
    assert report.json["python"]["exception"]["type"] == "KeyboardInterrupt"
    assert "KeyboardInterrupt" in report.summary


def test_exception_of_long_ago_is_not_what_ended_it(pcatch, every_python):
    report = pcatch.catch(every_python, ENDINGS, "printed-and-exits")
    assert (report.cause, report.status) == ("exit-code", 1)
    assert not report.json["python"].get("exception")
