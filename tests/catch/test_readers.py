# SPDX-License-Identifier: GPL-3.0-or-later
"""Dumps in the hands of others. BREAKPAD_TOOLS names the folder of Breakpad's minidump_stackwalk and
minidump_dump (the npm package minidump brings them along), RUST_STACKWALK Rust's
minidump-stackwalk, where they are not in PATH."""
import importlib.util
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess

import pytest

from conftest import DEATHS, SLOWNESS

VICTIMS = {
    "null-deref": [],
    "null-offset": [],
    "non-canonical": [],
    "wild-pointer": [],
    "write-rodata": [],
    "jump-to-data": [],
    "past-eof": [],
    "stack-overflow": [],
    "ud2": [],
    "int3": [],
    "div-zero": [],
    "assert": [],
    "double-free": [],
    "sigpipe": [],
    "threads": ["9"],
}


def breakpad(name):
    folders = [os.environ.get("BREAKPAD_TOOLS") or ""]
    for above in pathlib.Path(__file__).resolve().parents:
        folders.append(str(above / "node_modules/minidump/bin/linux-x64"))
    found = shutil.which(name, path=os.pathsep.join(folders + [os.environ["PATH"]]))
    if not found:
        pytest.skip("no %s of Breakpad: name its folder by BREAKPAD_TOOLS" % name)
    return found


def rust_stackwalk():
    found = os.environ.get("RUST_STACKWALK") or shutil.which(
        "minidump-stackwalk", path=os.environ["PATH"] + ":" + os.path.expanduser("~/.cargo/bin")
    )
    if not found:
        pytest.skip("no minidump-stackwalk of Rust: name it by RUST_STACKWALK")
    return found


def read_with(*argv):
    done = subprocess.run(
        [str(word) for word in argv],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=20 * SLOWNESS,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done
    return done.stdout


# As much as pcatch ever puts into a dump.
EVERYTHING = ["--embed-unwind=always"]


@pytest.fixture(params=[*VICTIMS, "python", "python with all that unwinding needs"])
def report(request, pcatch, victim, any_python):
    if request.param.startswith("python with"):
        return pcatch.catch(any_python, DEATHS, "segfault", options=EVERYTHING)
    if request.param == "python":
        return pcatch.catch(any_python, DEATHS, "segfault")
    return pcatch.catch(victim(request.param), *VICTIMS[request.param])


def name_of(module):
    """As others have it."""
    return module.get("soname") or os.path.basename(module["path"])


def names_of_modules(report):
    return {name_of(m) for m in report.json["modules"] if m["path"] != "[vdso]"}


def test_breakpad_names_reason_address_modules_and_threads(report):
    said = read_with(breakpad("minidump_stackwalk"), report.dump)
    reason = re.search(r"^Crash reason: +(\S+)(?: /(\S+))?", said, re.M)
    assert reason.group(1) == report.signal["name"]
    of_its_own = report.signal["code"] > 0 and report.signal["code_name"] != "SI_KERNEL"
    if of_its_own:
        assert reason.group(2) in (report.signal["code_name"], None)
    if of_its_own and report.signal["address"]:
        address = re.search(r"^Crash address: +(\S+)", said, re.M).group(1)
        assert int(address, 16) == int(report.signal["address"], 16)
    threads = re.findall(r"^Thread (\d+)( \(crashed\))?", said, re.M)
    assert len(threads) == len(report.json["threads"]) and threads[0][1]
    assert all(name in said for name in names_of_modules(report))
    assert "Found by: given as instruction pointer in context" in said


def test_breakpad_dumps_each_stream_and_the_verdict(report):
    said = read_with(breakpad("minidump_dump"), report.dump)
    note = dict(re.findall(r'simple_annotations\["(\w+)"\] = (.*)', said))
    assert note["report_id"] == report.json["id"] and note["cause"] == report.cause
    assert note["signal"] == report.signal["name"]
    for name in names_of_modules(report):
        assert name in said


def test_rust_names_reason_address_modules_and_threads(report):
    said = json.loads(read_with(rust_stackwalk(), "--json", report.dump))
    assert said["crash_info"]["type"].split(" ")[0] == report.signal["name"]
    assert said["pid"] == report.process["pid"]
    assert [(t["thread_id"], t["thread_name"]) for t in said["threads"]] == [
        (t["tid"], t["name"]) for t in report.json["threads"]
    ]
    assert said["crash_info"]["crashing_thread"] == 0
    assert names_of_modules(report) <= {m["filename"] for m in said["modules"]}
    ids = {m["filename"]: m["code_id"] for m in said["modules"]}
    for module in report.json["modules"]:
        if module["build_id"] and module["path"] != "[vdso]":
            assert ids[name_of(module)] == module["build_id"]
    assert said["soft_errors"]["cause"] == report.cause


def test_python_s_minidump_package_reads_it(report):
    if not importlib.util.find_spec("minidump"):
        pytest.skip("no Python package minidump")
    from minidump.minidumpfile import MinidumpFile

    dump = MinidumpFile.parse(str(report.dump))
    assert [t.ThreadId for t in dump.threads.threads] == [t["tid"] for t in report.json["threads"]]
    assert len(dump.modules.modules) == len(report.json["modules"])


@pytest.mark.parametrize(
    "name, options",
    [
        *((name, []) for name in ["null-deref", "null-offset", "assert", "sigpipe", "threads"]),
        ("threads", EVERYTHING),
    ],
)
def test_lldb_s_frames_are_ours(pcatch, victim, name, options):
    if not shutil.which("lldb"):
        pytest.skip("no lldb")
    report = pcatch.catch(victim(name), *VICTIMS[name], options=options)
    said = read_with(
        "lldb", "--no-lldbinit", "--batch", "-c", report.dump, "-o", "thread backtrace all"
    )
    parts = re.split(r"^[ *]+thread #\d+.*$", said, flags=re.M)[1:]
    assert len(parts) == len(report.json["threads"])
    own = os.path.basename(str(victim(name)))
    for part, thread in zip(parts, report.json["threads"]):
        # The libraries' debug information, and so their inlined frames, may be this reader's alone.
        frames = re.findall(r"frame #\d+: 0x([0-9a-f]+) %s`(\w+)" % re.escape(own), part)
        wanted = [f for f in thread["native"] if f["module"] == str(victim(name))]
        assert [name for _, name in frames] == [f["function"] for f in wanted], part
        assert [int(pc, 16) for pc, _ in frames] == [int(f["pc"], 16) for f in wanted], part
        # And lldb's walk, too, goes to the root.
        pcs = [int(pc, 16) for pc in re.findall(r"frame #\d+: 0x([0-9a-f]+)", part)]
        assert pcs[-1] == int(thread["native"][-1]["pc"], 16), part


def test_dump_of_a_living_process_did_not_crash(pcatch, victim):
    target = pcatch.start(victim("threads"), "3")
    assert target.truth
    called = pcatch.call("snapshot", "-q", "-o", pcatch.out, target.pid)
    assert called.status == 0, called
    dump = pcatch.reports()[0].dump
    os.kill(target.pid, signal.SIGKILL)
    said = json.loads(read_with(rust_stackwalk(), "--json", dump))
    assert said["crash_info"]["type"] == "DUMP_REQUESTED" and said["pid"] == target.pid
