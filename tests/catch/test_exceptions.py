# SPDX-License-Identifier: GPL-3.0-or-later
"""The exceptions that threads are handling, against what sys.exc_info() says in them."""
import pytest

from conftest import HANDLING

CASES = [
    "none-handled",
    "simple",
    "nested",
    "left-inner",
    "in-generator",
    "around-generator",
    "through-generators",
    "from-none",
]


def chain(exception):
    """An exception of a report as the victim tells it."""
    ret = []
    while exception:
        frames = [
            [frame["file"], frame["function"].split(".")[-1], frame["line"]]
            for frame in exception["traceback"]
        ]
        ret.append(
            {"type": exception["type"], "message": exception["message"], "traceback": frames}
        )
        exception = exception.get("cause")
    return ret or None


@pytest.mark.parametrize("case", CASES)
def test_exception_that_a_killed_thread_was_handling(pcatch, every_python, case):
    report = pcatch.catch(every_python, HANDLING, case)
    thread = report.thread(report.process["pid"])
    assert chain(thread["exception"]) == report.truth["main"]
    assert thread["raised"] is None
    for exception in report.truth["main"] or []:
        assert "%s: %s" % (exception["type"], exception["message"]) in report.text
    assert report.truth["main"] or "    handling " not in report.text


def test_exception_that_another_thread_was_handling(pcatch, every_python):
    report = pcatch.catch(every_python, HANDLING, "in-thread")
    assert report.truth["worker"][0]["message"] == "[Errno 2] No such file: 'gone.txt'"
    main = report.thread(report.process["pid"])
    assert main["exception"] is None
    others = [t for t in report.json["threads"] if t is not main and t.get("exception")]
    assert [chain(thread["exception"]) for thread in others] == [report.truth["worker"]]


def test_exception_handled_at_an_os_exit(pcatch, any_python):
    report = pcatch.catch(any_python, HANDLING, "exit-code")
    assert (report.cause, report.status) == ("os-exit", 9)
    assert chain(report.dying["exception"]) == report.truth["main"]


def test_exception_that_c_code_was_raising(pcatch, victim, every_python):
    library = victim("raising", "-shared", "-fPIC")
    report = pcatch.catch(every_python, HANDLING, "raising", library)
    assert report.cause == "native-crash"
    raised = report.dying["raised"]
    assert (raised["type"], raised["message"]) == ("ValueError", "on its way")
    assert chain(report.dying["exception"]) == report.truth["main"]
    if not report.truth["python"].startswith("2."):
        assert raised["cause"]["type"] == "KeyError"
    assert "raising ValueError: on its way" in report.text
