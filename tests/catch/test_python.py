# SPDX-License-Identifier: GPL-3.0-or-later
"""Python processes that crash: their frames, in their place among the native ones."""
import pytest

from conftest import DEATHS, assert_python_frames, interpreter


@pytest.mark.parametrize(
    "death, how", [("segfault", "attach"), ("segfault-in-thread", "run")]
)
def test_segfault_under_faulthandler_shows_the_fault_not_the_reraise(
    pcatch, every_python, death, how
):
    report = pcatch.catch(every_python, DEATHS, death, "faulthandler", how=how)
    assert report.cause == "native-crash"
    assert (report.signal["name"], report.signal["code_name"]) == ("SIGSEGV", "SEGV_MAPERR")
    assert int(report.signal["address"], 16) == 0
    assert report.fault["class"] == "null-pointer"
    assert report.death["thread"] == report.truth["tid"]
    assert_python_frames(report.dying, report.truth["frames"])
    assert report.json["python"]["version"].startswith(
        ".".join(report.truth["python"].split(".")[:2])
    )
    # The library function that read is inside of Python, the interpreter's start outside.
    assert report.dying["stack"][0]["kind"] == "native"
    assert report.dying["stack"][-1]["kind"] == "native"
    assert "raise" not in report.functions()[:3]


def test_segfault_without_faulthandler_names_the_program_s_own_line_and_the_fault(pcatch, python):
    report = pcatch.catch(python, DEATHS, "segfault")
    assert report.cause == "native-crash"
    assert_python_frames(report.dying, report.truth["frames"])
    line = report.truth["frames"][0]["line"]
    assert "deaths.py:%d" % line in report.summary
    assert "through string_at" in report.summary
    assert "null pointer" in report.summary
    # At the death, too, in the summary or right below.
    assert "deaths.py:%d" % line in report.said, report.said


def test_abort_is_an_abort(pcatch, every_python):
    report = pcatch.catch(every_python, DEATHS, "abort", "faulthandler")
    assert (report.cause, report.signal["name"]) == ("abort", "SIGABRT")
    assert_python_frames(report.dying, report.truth["frames"])


def test_fatal_error_tells_its_text(pcatch, python, tmp_path):
    with open(tmp_path / "stderr", "wb") as stderr:
        report = pcatch.catch(python, DEATHS, "fatal-error", stderr=stderr)
    assert report.cause == "python-fatal-error"
    assert "the moon is made of cheese" in report.summary + (report.fault["message"] or "")
    assert_python_frames(report.dying, report.truth["frames"])


def test_fatal_error_is_told_from_an_abort_without_a_log(pcatch, every_python):
    report = pcatch.catch(every_python, DEATHS, "fatal-error")
    assert report.cause == "python-fatal-error"


def test_c_stack_overflow_in_a_thread(pcatch, python):
    report = pcatch.catch(python, DEATHS, "c-stack-overflow")
    if [int(number) for number in report.truth["python"].split(".")[:2]] >= [3, 14]:
        pytest.skip("from 3.14 on CPython sees the end of its C stack, and raises RecursionError")
    assert (report.cause, report.fault["class"]) == ("stack-overflow", "stack-overflow")
    assert_python_frames(report.dying, report.truth["frames"], callees=5)


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.8", "3.10"])
def test_python_stack_overflow_shows_the_innermost_frames(pcatch, version):
    # From 3.11 on, calls among Python functions take no C stack.
    report = pcatch.catch(interpreter(version), DEATHS, "python-stack-overflow")
    assert report.cause == "stack-overflow"
    frames = [frame["function"] for frame in report.dying["python"]]
    assert frames[:20] == ["python_stack_overflow"] * 20
    assert frames[-1] == "<module>" or report.json["gaps"]


def test_default_sigpipe_says_what_python_usually_does(pcatch, python):
    report = pcatch.catch(python, DEATHS, "default-sigpipe")
    assert report.cause == "broken-pipe"
    assert report.process["signal_dispositions"]["SIGPIPE"] == "default"
    assert_python_frames(report.dying, report.truth["frames"])
    words = " ".join(report.text.split())
    assert "ignore" in words, "that CPython's own disposition is to ignore"
