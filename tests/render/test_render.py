# SPDX-License-Identifier: GPL-3.0-or-later
"""What render-sample prints, seen by readers that are not ours."""
import html.parser
import json
import re
import os
import pathlib
import subprocess

import jsonschema
import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
PCATCH = pathlib.Path(os.environ.get("PCATCH") or TOP / "build" / "src" / "pcatch")
SAMPLE = pathlib.Path(os.environ.get("RENDER_SAMPLE") or
                      PCATCH.parents[1] / "tests" / "render" / "render-sample")
SCHEMA = json.loads((TOP / "doc" / "report.schema.json").read_text())
CASES = [
    "broken-pipe", "crash", "sigkill", "clean-exit", "exception", "snapshot", "hostile", "empty",
]


@pytest.fixture(scope="module", autouse=True)
def built():
    if not SAMPLE.exists():
        pytest.fail("%s is not there: build it, or name it by RENDER_SAMPLE" % SAMPLE)


def render(case, form):
    done = subprocess.run([SAMPLE, case, form], stdout=subprocess.PIPE, timeout=120, check=True)
    return done.stdout.decode("utf-8")


def report(case):
    return json.loads(render(case, "json"))


def test_every_case_is_tried_here():
    done = subprocess.run([SAMPLE], stdout=subprocess.PIPE, timeout=60, check=True)
    assert done.stdout.decode().split() == CASES


@pytest.mark.parametrize("case", CASES)
def test_json_follows_the_schema(case):
    checker = jsonschema.FormatChecker()

    # jsonschema checks times itself only where another package is installed.
    @checker.checks("date-time", raises=ValueError)
    def is_date_time(text):
        if not isinstance(text, str):
            return True
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", text):
            raise ValueError(text)
        return True

    validator = jsonschema.Draft202012Validator(SCHEMA, format_checker=checker)
    errors = [f"{list(e.absolute_path)}: {e.message[:200]}" for e in validator.iter_errors(report(case))]
    assert errors == []


def closed(schema):
    """The schema, allowing nothing that it does not name: this catches misspelt keys."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {key: closed(value) for key, value in schema.items()}
    if "properties" in strict and "additionalProperties" not in strict:
        strict["additionalProperties"] = False
    return strict


# Keys of ours beyond version 1, which allows them.
OURS = {
    "comm", "number", "code", "code_name", "thread", "count", "last", "forwarded", "syscall_text",
    "message_source", "stack_ends", "source", "fatal_error", "logged_exception", "watchdog", "json",
    "autopsy", "cuts", "fatal_stack", "hints", "levels", "major_faults", "marks", "merged",
    "minor_faults", "modified", "names", "pressure_full_percent", "pressure_some_percent",
    "raised", "redacted", "rss_max_bytes", "rss_min_bytes", "swap_bytes", "trends", "pss_bytes", "children",
    "children_rss_bytes", "voluntary_switches", "involuntary_switches",
    "cause_is", "own_str", "notes", "exceptions", "exceptions_total",
}


@pytest.mark.parametrize("case", CASES)
def test_json_has_no_key_that_nobody_knows(case):
    unknown = set()
    for error in jsonschema.Draft202012Validator(closed(SCHEMA)).iter_errors(report(case)):
        assert error.validator == "additionalProperties", error.message[:200]
        unknown |= set(error.instance) - set(error.schema["properties"])
    assert unknown <= OURS


def test_addresses_and_registers_are_hexadecimal_strings():
    got = report("crash")
    assert got["fault"]["address"] == got["death"]["signal"]["address"] == "0x18"
    assert got["threads"][0]["registers"]["rip"] == "0x109a010"
    assert got["modules"][0]["start"] == "0x400000"
    assert got["threads"][0]["stack"][0]["pc"] == "0x7f3a12001240"


def test_null_is_what_was_looked_for_and_is_not():
    got = report("clean-exit")
    assert got["death"]["signal"] is None and got["fault"] is None and got["python"] is None
    assert got["death"]["exit_code"] == 0 and got["death"]["core_dumped"] is None
    assert got["process"]["limits"]["open_files"] == {"soft": 1024, "hard": 1048576, "unit": "files"}
    assert got["process"]["limits"]["stack_size"]["hard"] is None
    got = report("snapshot")
    assert got["death"]["thread"] is None and got["death"]["kind"] == "snapshot"


def test_broken_pipe_in_figures():
    got = report("broken-pipe")
    assert got["time"]["death"] == "2026-11-24T04:14:05.123456Z"
    assert got["time"]["frozen_seconds"] == 0.0042
    assert got["process"]["environ"] == {
        "PATH": "/usr/bin:/bin", "DATABASE_PASSWORD": "[redacted]", "LANG": "C.UTF-8",
    }
    assert got["process"]["signal_dispositions"]["SIGPIPE"] == "default"
    assert got["process"]["signal_dispositions"]["SIGTERM"] == "handled"
    assert got["process"]["signal_dispositions"]["SIGXFSZ"] == "ignored"
    assert [fd for fd in got["process"]["fds"] if fd["fd"] == 13] == [{
        "fd": 13, "target": "socket:[20013]", "socket": {
            "family": "inet", "type": "stream", "local": "127.0.0.1:8000",
            "peer": "127.0.0.1:51234", "state": "CLOSE_WAIT",
        },
    }]
    python = [f for f in got["threads"][0]["stack"] if f["kind"] == "python"]
    assert (python[0]["function"], python[0]["file"], python[0]["line"]) == ("stream", "/srv/app.py", 31)


def test_a_stack_that_is_cut_says_so():
    got = report("hostile")
    stack = got["threads"][1]["stack"]
    assert len(stack) == 8192 + 2048
    # The outermost frame is there.
    assert stack[-1]["line"] is not None and stack[-1]["kind"] == "python"
    assert [g for g in got["gaps"] if g["what"] == "frames of thread 4242"]


class Reader(html.parser.HTMLParser):
    VOID = {"meta"}
    ALLOWED = {
        "html", "head", "meta", "title", "style", "body", "h1", "h2", "section", "details", "summary", "pre",
        "span", "svg", "path", "polyline", "text",
    }
    # What draws, and neither loads nor runs anything.
    DRAWING = {
        "viewbox", "role", "aria-label", "font-size", "fill", "fill-opacity", "stroke", "stroke-dasharray",
        "d", "points", "x", "y", "text-anchor",
    }

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.text = [], ""

    def handle_starttag(self, tag, attrs):
        assert tag in self.ALLOWED
        drawn = "svg" in self.open or tag == "svg"
        assert {name for name, _ in attrs} <= (
            self.DRAWING if drawn else {"class", "lang", "charset", "name", "content", "http-equiv"}
        )
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("case", CASES)
def test_html_is_well_formed_and_says_what_the_text_says(case):
    reader = Reader()
    reader.feed(render(case, "html"))
    reader.close()
    assert reader.open == []
    shown = {line.rstrip(" ") for line in reader.text.split("\n")}
    missing = [
        line
        for line in render(case, "text").split("\n")
        # In place of the plot in characters there is a drawing.
        if line not in shown and not re.match(r" *([\d.]+ \w+|0)? [│┼└]", line)
    ]
    assert missing == []
