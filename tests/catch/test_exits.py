# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that end by exiting."""
import pytest

from conftest import DEATHS, PYTHONS, assert_python_frames


@pytest.mark.parametrize("how", ["attach", "run"])
def test_clean_exit_is_reported_as_one(pcatch, victim, how):
    report = pcatch.catch(victim("idle"), how=how)
    assert (report.cause, report.status) == ("clean-exit", 0)
    assert report.fault is None


def test_exit_code_of_a_c_program(pcatch, victim):
    report = pcatch.catch("sh", "-c", 'echo "{\\"pid\\": $$}"; read line; exit 42')
    assert (report.cause, report.death["exit_code"]) == ("exit-code", 42)
    assert "42" in report.summary


def test_sys_exit_is_an_exit_code(pcatch, python):
    report = pcatch.catch(python, DEATHS, "exit-code")
    assert (report.cause, report.status) == ("exit-code", 3)


def test_sys_exit_with_a_text_is_no_uncaught_exception(pcatch, python, tmp_path):
    with open(tmp_path / "stderr", "wb") as stderr:
        report = pcatch.catch(python, DEATHS, "exit-text", stderr=stderr)
    assert (report.cause, report.status) == ("exit-code", 1)


def test_normal_end_of_python_is_clean(pcatch, python):
    report = pcatch.catch(python, DEATHS, "exit-zero")
    assert (report.cause, report.status) == ("clean-exit", 0)


def check_os_exit(report):
    assert (report.cause, report.status) == ("os-exit", 7)
    assert report.death["thread"] == report.truth["tid"]
    assert_python_frames(report.dying, report.truth["frames"], callees=0)
    assert "deaths.py" in report.text


def test_os_exit_in_a_worker_thread_is_found_with_its_line(pcatch, every_python):
    check_os_exit(pcatch.catch(every_python, DEATHS, "hard-exit"))


def test_os_exit_of_a_python_that_was_started_is_found_too(pcatch, any_python):
    check_os_exit(pcatch.catch(any_python, DEATHS, "hard-exit", how="run"))


def test_os_exit_0_is_os_exit_too(pcatch, python):
    report = pcatch.catch(python, DEATHS, "hard-exit-zero")
    assert (report.cause, report.status) == ("os-exit", 0)


@pytest.mark.parametrize(
    "death, type_, message",
    [
        ("uncaught", "IndexError", "list index out of range"),
        ("uncaught-own", "PaymentError", "no customer: 42"),
        ("memory-error", "MemoryError", None),
        ("broken-pipe-error", "BrokenPipeError", "Broken pipe"),
    ],
)
def test_uncaught_exception_on_stderr_is_named(pcatch, python, tmp_path, death, type_, message):
    if python == PYTHONS.get("2.7") and type_ == "BrokenPipeError":
        type_ = "OSError"
    with open(tmp_path / "stderr", "wb") as stderr:
        report = pcatch.catch(python, DEATHS, death, stderr=stderr)
    assert (report.cause, report.status) == ("uncaught-exception", 1)
    exception = report.json["python"]["exception"]
    assert exception["type"].split(".")[-1] == type_
    if message:
        assert message in exception["message"]
        assert message in report.summary
    assert type_ in report.summary
    said = [(f["function"].split(".")[-1], f["line"]) for f in exception["traceback"]]
    wanted = [(f["function"], f["line"]) for f in report.truth["frames"]]
    if death == "uncaught-own":  # raised on the line behind
        wanted[0] = (wanted[0][0], wanted[0][1] + 1)
    assert said == wanted


def test_traceback_of_an_earlier_exception_is_not_the_cause_of_a_clean_exit(
    pcatch, any_python, tmp_path
):
    with open(tmp_path / "stderr", "wb") as stderr:
        stderr.write(
            b"Traceback (most recent call last):\n"
            b'  File "job.py", line 3, in run\n    1 / 0\n'
            b"ZeroDivisionError: division by zero\n"
        )
        stderr.flush()
        report = pcatch.catch(any_python, DEATHS, "exit-zero", stderr=stderr)
    assert report.cause == "clean-exit"
    assert "The last traceback in a log:" in report.text
    assert "The exception that nobody caught:" not in report.text
