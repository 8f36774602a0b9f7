# SPDX-License-Identifier: GPL-3.0-or-later
"""ELF cores: ours in the hands of others, everybody's in ours."""
import json
import os
import pathlib
import random
import re
import resource
import shutil
import stat
import subprocess

import jsonschema
import pytest

from conftest import DEATHS, FORMATS, SLOWNESS, schema

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
    called = pcatch.call("show", "-f", "core", "-o", tmp_path / "again", core)
    assert called.status == 1 and "is a core file already" in called.stderr, called


def test_core_is_compressed_when_asked(pcatch, victim, tmp_path):
    report = pcatch.catch(victim("threads"), "9", options=["-f", "text,core", "--compress"])
    packed = report.dump.with_suffix(".core.zst")
    assert not report.dump.with_suffix(".core").exists()
    assert pcatch.call("show", packed).stdout == report.text
    later = [
        pcatch.call("show", "-f", "core", *options, "-o", tmp_path / "later", report.dump)
        for options in ([], ["--compress"])
    ]
    assert [pathlib.Path(called.stdout.strip()).name for called in later] == [
        report.dump.stem + ".core",
        packed.name,
    ], later
    plain = (tmp_path / "later" / report.dump.stem).with_suffix(".core")
    subprocess.run([tool("zstd"), "-q", "-d", packed, "-o", tmp_path / "core"], check=True)
    assert (tmp_path / "core").read_bytes() == plain.read_bytes()
    called = pcatch.call("show", "--compress", report.dump)
    assert called.status == 2 and "-f core" in called.stderr, called


def kernel_core(folder, *command):
    """The core that the kernel writes of COMMAND, where it writes cores into the working folder."""
    with open("/proc/sys/kernel/core_pattern") as file:
        pattern = file.read().strip()
    if pattern.startswith("|") or "/" in pattern:
        pytest.skip("kernel.core_pattern is %r: cores go elsewhere" % pattern)
    limit = resource.getrlimit(resource.RLIMIT_CORE)
    if limit[1] != resource.RLIM_INFINITY:
        pytest.skip("no right to unlimited cores")
    folder.mkdir()
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=20 * SLOWNESS,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (-1, -1)),
    )
    assert done.returncode < 0
    cores = list(folder.iterdir())
    assert len(cores) == 1, cores
    return cores[0], json.loads(done.stdout.splitlines()[0])


def show(pcatch, core):
    called = pcatch.call("show", "-f", "json", core)
    assert called.status == 0, called
    report = json.loads(called.stdout)
    validator = jsonschema.Draft202012Validator(schema(), format_checker=FORMATS)
    problems = [error.message[:300] for error in validator.iter_errors(report)]
    assert not problems, problems
    assert pcatch.call("show", core).status == 0
    return report


def said_of(report):
    """What two reports of one victim must agree in, wherever it was loaded."""
    first = report["threads"][0]
    return {
        "cause": report["verdict"]["cause"],
        "confidence": report["verdict"]["confidence"],
        "summary": re.sub("0x[0-9a-f]+", "ADDRESS", report["verdict"]["summary"]),
        "signal": (report["death"]["signal"]["name"], report["death"]["signal"]["code_name"]),
        "fault": (report["fault"] or {}).get("kind"),
        "native": [f["function"] for f in first["native"]],
        "threads": len(report["threads"]),
        "python": [(f["function"], f["file"], f["line"]) for f in first.get("python") or []],
        "command": report["process"]["cmdline"],
    }


@pytest.mark.parametrize("name", ["null-deref", "threads", "div-zero", "wild-pointer", "ud2"])
def test_kernel_s_core_says_what_the_dump_says(pcatch, victim, tmp_path, name):
    command = [victim(name), *VICTIMS.get(name, [])]
    core, truth = kernel_core(tmp_path / "kernel", *command)
    said = said_of(show(pcatch, core))
    assert said == said_of(pcatch.catch(*command).json)
    assert truth["function"] in said["native"]


def test_kernel_s_core_of_a_python_says_what_the_dump_says(pcatch, python, tmp_path):
    core, truth = kernel_core(tmp_path / "kernel", python, DEATHS, "segfault")
    shown = show(pcatch, core)
    if any("%s: nothing tells" % python in gap["why"] for gap in shown["gaps"]):
        # Of a file the kernel keeps the first page, out of which patchelf moves this.
        pytest.skip("the kernel's core does not hold the build id of %s" % python)
    said = said_of(shown)
    assert said == said_of(pcatch.catch(python, DEATHS, "segfault").json)
    assert (truth["frames"][0]["function"], truth["frames"][0]["line"]) in [
        (function.split(".")[-1], line) for function, _, line in said["python"]
    ]


@pytest.mark.parametrize("name", ["null-deref", "threads", "assert", "sigpipe", "stack-overflow"])
def test_our_core_says_what_the_dump_says(pcatch, victim, name):
    report, core = catch_with_core(pcatch, victim(name), *VICTIMS[name])
    assert pcatch.call("show", core).stdout == report.text
    assert show(pcatch, core) == report.json


def test_gdb_s_core_of_a_living_python_has_its_frames(pcatch, any_python, tmp_path):
    target = pcatch.start(any_python, DEATHS, "segfault")
    truth = target.truth
    prefix = tmp_path / "gcore"
    read_with(tool("gcore"), "-o", prefix, target.pid)
    report = show(pcatch, "%s.%d" % (prefix, target.pid))
    assert report["death"]["kind"] == "snapshot" and report["process"]["pid"] == target.pid
    functions = [f["function"].split(".")[-1] for f in report["threads"][0]["python"]]
    assert "segfault" in functions and truth["frames"][-1]["function"] in functions
    assert report["threads"][0]["native"][-1]["function"] == "_start"


def test_compressed_core_is_read(pcatch, victim, tmp_path):
    core, truth = kernel_core(tmp_path / "kernel", victim("null-deref"))
    packed = tmp_path / "core.zst"
    read_with(tool("zstd"), "-q", "-o", packed, core)
    assert show(pcatch, packed) == show(pcatch, core)
    packed.write_bytes(packed.read_bytes()[: packed.stat().st_size // 2])
    called = pcatch.call("show", packed)
    assert called.status == 0 and "cut short" in called.stdout or called.status == 1, called


def test_secrets_in_a_core_s_environment_are_not_told(pcatch, victim, tmp_path):
    os.environ["PCATCH_TEST_TOKEN"] = "hunter2-token"
    try:
        core, truth = kernel_core(tmp_path / "kernel", victim("null-deref"))
    finally:
        del os.environ["PCATCH_TEST_TOKEN"]
    report = show(pcatch, core)
    assert report["process"]["environ"]["PCATCH_TEST_TOKEN"] == "[redacted]"


def test_core_cut_anywhere_is_shown_with_its_gap_or_refused(pcatch, victim, tmp_path):
    core, truth = kernel_core(tmp_path / "kernel", victim("null-deref"))
    whole = core.read_bytes()
    cut = tmp_path / "cut"
    for n in [0, 1, 40, 63, 64, 100, 500, 1000, 3000, 5000] + [len(whole) * k // 8 for k in range(1, 8)]:
        cut.write_bytes(whole[:n])
        called = pcatch.call("show", cut)
        assert called.status in (0, 1), called
        assert len(called.stderr.splitlines()) == (1 if called.status else 0), called
    assert "cut short" in " ".join(called.stdout.split())


def test_core_with_bytes_of_its_headers_turned_is_no_danger(pcatch, victim, tmp_path):
    core, truth = kernel_core(tmp_path / "kernel", victim("null-deref"))
    whole = bytearray(core.read_bytes())
    dice, turned = random.Random(1), tmp_path / "turned"
    for _ in range(60):
        bad = bytearray(whole)
        for _ in range(8):
            bad[dice.randrange(16, 8192)] = dice.choice([0, 1, 0x7F, 0x80, 0xFF])
        turned.write_bytes(bad)
        called = pcatch.call("show", turned)
        assert called.status in (0, 1), called


def test_core_of_another_machine_is_refused_by_its_name(pcatch, victim, tmp_path):
    core, truth = kernel_core(tmp_path / "kernel", victim("null-deref"))
    bad = bytearray(core.read_bytes())
    bad[18:20] = (243).to_bytes(2, "little")
    (tmp_path / "riscv").write_bytes(bad)
    called = pcatch.call("show", tmp_path / "riscv")
    assert called.status == 1 and "machine type 243" in called.stderr
