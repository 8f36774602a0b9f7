# SPDX-License-Identifier: GPL-3.0-or-later
"""Dumps that are kept (make-dumps made them), and the report that each must give."""
import json
import pathlib

import jsonschema
import pytest

import expect

SCHEMA = pathlib.Path(__file__).resolve().parents[2] / "doc" / "report.schema.json"
DUMPS = expect.packed_dumps()
each_dump = pytest.mark.parametrize("packed", DUMPS, ids=[p.name.split(".")[0] for p in DUMPS])


def differences(want, got, where="report"):
    """
    Where GOT is not what is wanted. It may have keys that were not known when the dump was made, and
    gaps: an old dump lacks what is looked for since.
    """
    if where == "report.gaps":
        # Remedies are advice to whoever reads it here and now.
        want = [(gap["what"], gap["why"]) for gap in want]
        got = [(gap["what"], gap["why"]) for gap in got]
        got = [gap for gap in got if gap in want]
    if isinstance(want, dict) and isinstance(got, dict):
        for key, value in want.items():
            if key in got:
                yield from differences(value, got[key], "%s.%s" % (where, key))
            else:
                yield "%s.%s is missing" % (where, key)
    elif isinstance(want, list) and isinstance(got, list) and len(want) == len(got):
        for i, pair in enumerate(zip(want, got)):
            yield from differences(*pair, "%s[%d]" % (where, i))
    elif want != got:
        yield "%s: wanted %s, got %s" % (where, json.dumps(want), json.dumps(got))


@each_dump
def test_kept_dump_gives_the_report_that_was_agreed_upon(packed, tmp_path):
    report = json.loads(expect.show(expect.unpack(packed, tmp_path)))
    jsonschema.validate(report, json.loads(SCHEMA.read_text()))
    wanted = json.loads(expect.expected(packed).read_text())
    differing = list(differences(wanted, report))
    assert not differing, "\n".join(differing + ["if that is right: tests/replay/expect.py"])


def essence(report):
    def frames(stack):
        return [(f["function"], f.get("file"), f.get("line"), f.get("pc")) for f in stack]

    threads = {
        t["tid"]: (t["registers"], frames(t["native"]), frames(t.get("python") or []))
        for t in report["threads"]
    }
    return report["verdict"]["cause"], report["death"].get("signal", {}).get("number"), threads


@each_dump
def test_core_made_of_a_kept_dump_gives_its_verdict_and_stacks(packed, tmp_path):
    dump = expect.unpack(packed, tmp_path)
    report = json.loads(expect.show(dump))
    if report["death"]["kind"] != "signal":
        pytest.skip("a core tells of signals alone, and %s exited" % packed.name)
    expect.show(dump, "core", "-o", tmp_path)
    (core,) = tmp_path.glob("*.core")
    assert essence(json.loads(expect.show(core))) == essence(report)
