# SPDX-License-Identifier: GPL-3.0-or-later
"""--locals: what the variables of Python frames were, against what repr() said of them."""
import os
import re
import signal

from conftest import VICTIMS, need_attach

VICTIM = VICTIMS / "locals.py"


def snapshot(pcatch, python, *options):
    need_attach()
    victim = pcatch.start(python, VICTIM)
    truth = victim.truth
    done = pcatch.call("snapshot", "-q", "-o", pcatch.out, *options, truth["pid"])
    assert done.status == 0, done
    victim.go()
    assert victim.wait() == 0
    report = pcatch.report()
    return truth, report, [frame for frame in report.json["threads"][0]["python"]]


def check(truth, frames):
    functions = [frame["function"] for frame in frames]
    at = functions.index("innermost")
    for frame, told in zip(frames[at:], truth["frames"]):
        assert {k: frame["locals"].get(k) for k in told
                if len(told[k]) < 200 and not re.search("key|db|header", k)} == \
               {k: v for k, v in told.items()
                if len(v) < 200 and not re.search("key|db|header", k)}
    assert "unbound" not in frames[at]["locals"]
    return frames[at + 1]["locals"]


def test_variables_are_what_repr_says(pcatch, every_python):
    truth, report, frames = snapshot(pcatch, every_python, "--locals")
    outer = check(truth, frames)
    assert outer["huge"].startswith("1" + "0" * 50) and "(5001 digits)" in outer["huge"]
    assert re.fullmatch(r"'x{100,}'\.\.\. \(5000 (characters|bytes)\)", outer["text_of_5000"])
    assert re.fullmatch(r"\[0, 1, 2, .*, \.\.\. \d+ more\]", outer["thousand"])
    assert outer["loop"] == "[[...]]"
    assert re.fullmatch(r"<Thing at 0x[0-9a-f]+>", outer["thing"])
    assert re.fullmatch(r"<Name at 0x[0-9a-f]+: 'sub'>", outer["name"])
    assert re.fullmatch(r"<Point at 0x[0-9a-f]+: \(1, 2\)>", outer["point"])
    assert re.fullmatch(r"<(collections\.)?OrderedDict at 0x[0-9a-f]+: \{'a': 1\}>", outer["ordered"])
    assert re.fullmatch(r"<collections\.defaultdict at 0x[0-9a-f]+: \{'k': \[1\]\}>", outer["counted"])
    assert re.fullmatch(r"<function at 0x[0-9a-f]+>", outer["closure"])
    # A module's frame has its variables, not its imports, functions and classes.
    module = frames[-1]["locals"]
    assert set(module) == {"LONG"}
    assert "captured = [41]" in report.text
    assert not report.json["gaps"], report.json["gaps"]


def test_secrets_are_not_shown_unless_asked_for(pcatch, any_python):
    _, report, frames = snapshot(pcatch, any_python, "--locals")
    outer = [frame for frame in frames if frame["function"] == "outer"][0]["locals"]
    assert outer["api_key"] == "[redacted]"
    assert outer["db"] == "{'password': '[redacted]', 'deep': {'token': '[redacted]'}}"
    assert outer["header"] == "'Authorization: [redacted]'"
    for secret in ("deadbeef", "hunter2", "abcdef"):
        assert secret not in report.text


def test_no_redact_shows_them(pcatch, any_python):
    _, _, frames = snapshot(pcatch, any_python, "--locals", "--no-redact")
    outer = [frame for frame in frames if frame["function"] == "outer"][0]["locals"]
    assert outer["api_key"] == "'deadbeef'"
    assert outer["db"] == "{'password': 'hunter2', 'deep': {'token': [1, 2]}}"


def test_without_the_option_there_are_none(pcatch, any_python):
    _, report, frames = snapshot(pcatch, any_python)
    assert not any("locals" in frame for frame in frames)
    assert "captured" not in report.text


def test_variables_of_a_killed_process(pcatch, every_python):
    victim = pcatch.start(every_python, VICTIM)
    truth = victim.truth
    watcher = pcatch.attach(truth["pid"], ("--locals",))
    os.kill(truth["pid"], signal.SIGKILL)
    victim.wait()
    assert watcher.wait() == 0, watcher.stderr
    check(truth, pcatch.report(watcher).json["threads"][0]["python"])
