# SPDX-License-Identifier: GPL-3.0-or-later
"""ELF cores: ours in the hands of others, everybody's in ours."""
import os
import re
import shutil
import stat
import subprocess

import pytest

from conftest import DEATHS, SLOWNESS

# Every C victim that dies by a signal of its own, and what it takes to do so.
VICTIMS = {
    "null-deref": [],
    "stack-overflow": [],
    "threads": ["9"],
    "assert": [],
    "div-zero": [],
    "sigpipe": [],
}


def tool(name):
    if not shutil.which(name):
        pytest.skip("no " + name)
    return name


def read_with(*argv):
    done = subprocess.run(
        [str(word) for word in argv],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=20 * SLOWNESS,
        stdin=subprocess.DEVNULL,
    )
    return done.stdout + done.stderr


def pcs(thread):
    """The program counters of a report's thread; frames that were inlined share one."""
    return [int(frame["pc"], 16) for frame in thread["native"] if not frame["inlined"]]


def catch_with_core(pcatch, *command):
    report = pcatch.catch(*command, options=["-f", "text,core"])
    core = report.dump.with_suffix(".core")
    assert stat.S_IMODE(os.stat(core).st_mode) == 0o600
    return report, core


@pytest.mark.parametrize("name", VICTIMS)
def test_eu_stack_sees_each_frame_of_our_core(pcatch, victim, name):
    report, core = catch_with_core(pcatch, victim(name), *VICTIMS[name])
    said = read_with(tool("eu-stack"), "-n", "100000", "--core", core)
    stacks = dict(re.findall(r"^TID (\d+):\n((?:#.*\n)*)", said, re.M))
    assert {int(tid) for tid in stacks} == {t["tid"] for t in report.json["threads"]}, said
    for thread in report.json["threads"]:
        found = re.findall(r"^#\d+\s+(0x[0-9a-f]+)", stacks[str(thread["tid"])], re.M)
        wanted = pcs(thread)
        # A stack too long for the report lacks its middle.
        if len(wanted) > 1000:
            found, wanted = found[:1000], wanted[:1000]
        assert [int(pc, 16) for pc in found] == wanted, said


@pytest.mark.parametrize("name", ["null-deref", "threads", "assert"])
def test_gdb_shows_the_backtraces_of_our_core(pcatch, victim, name):
    program = victim(name)
    report, core = catch_with_core(pcatch, program, *VICTIMS[name])
    said = read_with(
        tool("gdb"), "-nx", "-batch", "-ex", "thread apply all bt", program, core
    )
    for thread in report.json["threads"]:
        part = re.search(r"^Thread \d+ \(.*LWP %d\).*:\n((?:.+\n?)+)" % thread["tid"], said, re.M)
        functions = re.findall(r"^#\d+ +(?:0x[0-9a-f]+ in )?([^ ]+) \(", part.group(1), re.M)
        # gdb ends at main.
        wanted = [f["function"] for f in thread["native"] if f["module"] == str(program)]
        wanted = [name for name in wanted if name != "_start"]
        assert [name for name in functions if name in wanted] == wanted, said
        assert "??" not in part.group(1), said
    first = report.json["threads"][0]["tid"]
    assert re.search(r"^\[New LWP %d\]$" % first, said, re.M).start() == said.index("[New LWP")
    assert report.signal["name"] in said or len(report.json["threads"]) > 1


def test_lldb_shows_the_backtraces_of_our_core(pcatch, victim):
    report, core = catch_with_core(pcatch, victim("threads"), "9")
    said = read_with(
        tool("lldb"), "--no-lldbinit", "--batch", "-c", core, "-o", "thread backtrace all"
    )
    assert len(set(re.findall(r"thread #\d+", said))) == 10, said
    assert "SIGSEGV" in said
    assert said.count("`wait_for_ever(") == 9 and said.count("`fault_in_thread(") == 1, said
    assert said.count("`main(") == 1, said


def test_readers_name_the_frames_of_a_python_s_core(pcatch, any_python):
    report, core = catch_with_core(pcatch, any_python, DEATHS, "segfault")
    said = read_with(tool("eu-stack"), "--core", core)
    found = [int(pc, 16) for pc in re.findall(r"^#\d+\s+(0x[0-9a-f]+)", said, re.M)]
    assert found == pcs(report.json["threads"][0])
    assert "Py" in said


def test_eu_readelf_understands_each_note_of_our_core(pcatch, victim):
    report, core = catch_with_core(pcatch, victim("threads"), "3")
    said = read_with(tool("eu-readelf"), "-n", core)
    assert "invalid" not in said
    owners = re.findall(r"^  (\S+) +\d+  (\S+)", said, re.M)
    kinds = [kind for owner, kind in owners]
    assert kinds[:3] == ["PRSTATUS", "PRPSINFO", "SIGINFO"] and "AUXV" in kinds and "FILE" in kinds
    assert kinds.count("PRSTATUS") == len(report.json["threads"])
    assert int(re.search(r"pid: (\d+), ppid", said).group(1)) == report.death["thread"]
    assert any(owner == "PCATCH" for owner, kind in owners)


def test_signals_that_lldb_waits_at_are_not_the_core_s(pcatch, victim):
    report, core = catch_with_core(pcatch, victim("limit"), "alarm")
    assert report.signal["name"] == "SIGALRM"
    said = read_with(tool("eu-readelf"), "-n", core)
    assert "cursig: 0" in said and "cursig: 14" not in said
    said = read_with(tool("lldb"), "--no-lldbinit", "--batch", "-c", core, "-o", "bt")
    assert "frame #0" in said


def test_core_is_made_of_a_dump_later(pcatch, victim, tmp_path):
    report, core = catch_with_core(pcatch, victim("null-deref"))
    called = pcatch.call("show", "-f", "core", "-o", tmp_path / "later", report.dump)
    made = tmp_path / "later" / core.name
    assert called.status == 0 and called.stdout == "%s\n" % made, called
    assert made.read_bytes() == core.read_bytes()
    # Nothing is overwritten.
    called = pcatch.call("show", "-f", "core", "-o", tmp_path / "later", report.dump)
    assert called.status == 1 and str(made) in called.stderr, called
    assert [file.name for file in made.parent.iterdir()] == [made.name]
