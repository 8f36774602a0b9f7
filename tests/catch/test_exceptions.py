# SPDX-License-Identifier: GPL-3.0-or-later
"""The exceptions that threads are handling, against what sys.exc_info() says in them."""
from conftest import HANDLING

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


def test_exceptions_that_the_threads_of_a_killed_process_were_handling(pcatch, every_python):
    report = pcatch.catch(every_python, HANDLING, "all-in-threads")
    told = dict(report.truth["threads"], MainThread=report.truth["main"])
    said = {t["python_name"]: t for t in report.json["threads"]}
    assert {name: chain(said[name]["exception"]) for name in said} == told
    assert told["none_handled"] is None and told["in_thread"][0]["type"] != "ValueError"
    assert not [thread["raised"] for thread in said.values() if thread["raised"]]
    for exception in [e for exceptions in told.values() for e in exceptions or []]:
        assert "%s: %s" % (exception["type"], exception["message"]) in report.text


def test_thread_that_handles_nothing_shows_nothing(pcatch, any_python):
    report = pcatch.catch(any_python, HANDLING, "none-handled")
    assert report.thread(report.process["pid"])["exception"] is None
    assert "    handling " not in report.text


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
