# SPDX-License-Identifier: GPL-3.0-or-later
"""pcatch diff: what is different where it dies."""
import json
import os
import resource
import subprocess

import pytest


def two(pcatch, victim, tmp_path):
    """The same program in the foreground of a service, and in another folder with other limits."""
    other = tmp_path / "elsewhere"
    other.mkdir()
    for options in (
        {"env": dict(os.environ, SHARED="same", ONLY_A="1", MODE="foreground")},
        {
            "env": dict(os.environ, SHARED="same", MODE="daemon", API_TOKEN="hunter2"),
            "cwd": other,
            "start_new_session": True,
            "preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (77, 77)),
            "stderr": subprocess.DEVNULL,
        },
    ):
        before = set(pcatch.out.glob("*.dmp"))
        running = pcatch.start(
            pcatch.program, "run", "-q", "-o", pcatch.out, "--", victim("null-deref"), **options
        )
        running.go()
        assert running.wait() == -11, running.stderr
        yield (set(pcatch.out.glob("*.dmp")) - before).pop()


def test_what_differs_is_told_and_what_does_not_is_not(pcatch, victim, tmp_path):
    a, b = two(pcatch, victim, tmp_path)
    called = pcatch.call("diff", "-f", "json", a, b)
    assert called.status == 0, called
    answer = json.loads(called.stdout)
    assert [report["file"] for report in answer["reports"]] == [str(a), str(b)]
    found = {(d["area"], d["what"]): (d["a"], d["b"]) for d in answer["differences"]}
    assert found["environment", "MODE"] == ("foreground", "daemon")
    assert found["environment", "ONLY_A"] == ("1", None)
    assert found["environment", "API_TOKEN"] == (None, "[redacted]")
    assert ("environment", "SHARED") not in found
    assert found["command", "working folder"] == (os.getcwd(), str(tmp_path / "elsewhere"))
    assert found["limits", "Max open files"][1] == "77 files (may be raised to 77)"
    assert found["terminal", "standard error"] == ("a pipe", "/dev/null")
    assert not any(area in ("end", "user", "modules", "host") for area, _ in found), found

    text = pcatch.call("diff", a, b).stdout
    assert text.splitlines()[0] == "%d differences between A and B." % len(found)
    assert "ONLY_A\n    A  1\n    B  not there\n" in text
    assert "The same in both:\n  end, user, signals" in text
    assert "hunter2" not in text and "\x1b" not in text


def test_a_report_does_not_differ_from_itself(pcatch, victim):
    report = pcatch.catch(victim("null-deref"))
    called = pcatch.call("diff", report.dump, report.dump)
    assert called.status == 0
    assert called.stdout.startswith("0 differences between A and B.\n")


@pytest.mark.parametrize(
    "arguments, status, words",
    [
        (["diff"], 2, "name two dumps"),
        (["diff", "A"], 2, "name two dumps"),
        (["diff", "A", "A", "A"], 2, "name two dumps"),
        (["diff", "-f", "html", "A", "A"], 2, "text or json"),
        (["diff", "-f", "text,json", "A", "A"], 2, "one format"),
        (["diff", "-o", "x", "A", "A"], 2, "means nothing to diff"),
        (["diff", "A", "missing"], 1, "missing"),
        (["diff", "A", "/etc/passwd"], 1, "/etc/passwd"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_a_line(pcatch, victim, arguments, status, words):
    dump = str(pcatch.catch(victim("null-deref")).dump)
    called = pcatch.call(*(dump if word == "A" else word for word in arguments))
    assert called.status == status, called
    assert called.stdout == ""
    assert called.stderr.count("\n") == 1 and words in called.stderr
