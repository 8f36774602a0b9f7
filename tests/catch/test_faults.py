# SPDX-License-Identifier: GPL-3.0-or-later
"""Crashes of C programs, each compared with what the victim said of itself."""
import lzma
import platform
import shutil
import subprocess

import pytest

X86 = platform.machine() == "x86_64"

FAULTS = {
    # name: signal, si_code, class, access
    "null-deref": ("SIGSEGV", "SEGV_MAPERR", "null-pointer", "read"),
    "null-offset": ("SIGSEGV", "SEGV_MAPERR", "null-pointer-offset", "write"),
    "wild-pointer": ("SIGSEGV", "SEGV_MAPERR", "wild-pointer", "read"),
    "write-rodata": ("SIGSEGV", "SEGV_ACCERR", "write-to-read-only", "write"),
    "jump-to-data": ("SIGSEGV", "SEGV_ACCERR", "execute-non-executable", "execute"),
    "past-eof": ("SIGBUS", "BUS_ADRERR", "bus-past-end-of-file", "read"),
}
if X86:
    FAULTS["non-canonical"] = ("SIGSEGV", "SI_KERNEL", "non-canonical", "read")
    FAULTS["misaligned"] = ("SIGSEGV", "SI_KERNEL", "misaligned", "write")

INSTRUCTIONS = {
    "ud2": ("SIGILL", "illegal-instruction"),
    "int3": ("SIGTRAP", "trap"),
}
if X86:
    INSTRUCTIONS["div-zero"] = ("SIGFPE", "divide-by-zero")


def assert_place(report):
    truth = report.truth
    assert report.death["thread"] == truth["tid"]
    # One frame may lie inside: the address that was jumped to.
    assert truth["function"] in report.functions()[:2]
    assert report.functions()[-1] in ("_start", "clone3", "__clone3", "clone", "__clone")
    source = [f for f in report.dying["native"] if f["function"] == truth["function"]][0]
    assert source["file"].endswith(".c") and source["line"]


@pytest.mark.parametrize("how", ["attach", "run"])
@pytest.mark.parametrize("name", FAULTS)
def test_bad_access_is_named_with_its_address(pcatch, victim, name, how):
    signal, code, kind, access = FAULTS[name]
    report = pcatch.catch(victim(name), how=how)
    assert (report.cause, report.verdict["confidence"]) == ("native-crash", "certain")
    assert (report.signal["name"], report.signal["code_name"]) == (signal, code)
    assert (report.fault["class"], report.fault["access"]) == (kind, access)
    assert int(report.fault["address"], 16) == int(report.truth["address"], 16)
    assert report.fault["explanation"]
    assert_place(report)


@pytest.mark.parametrize("name", INSTRUCTIONS)
def test_bad_instruction_is_named(pcatch, victim, name):
    signal, kind = INSTRUCTIONS[name]
    report = pcatch.catch(victim(name))
    assert (report.cause, report.signal["name"]) == ("native-crash", signal)
    assert report.fault["class"] == kind
    assert_place(report)


@pytest.mark.parametrize("name", ["null-deref", "write-rodata", "ud2"])
def test_disassembly_points_at_the_faulting_instruction(pcatch, victim, name):
    report = pcatch.catch(victim(name))
    current = [line for line in report.fault["disassembly"] if line.get("current")]
    assert len(current) == 1
    assert int(current[0]["address"], 16) == int(report.dying["native"][0]["pc"], 16)


def test_operand_is_given_with_its_registers(pcatch, victim):
    report = pcatch.catch(victim("non-canonical" if X86 else "wild-pointer"))
    assert "%x" % int(report.truth["address"], 16) in report.fault["operand"]


def test_stack_overflow_is_told_from_other_faults(pcatch, victim):
    report = pcatch.catch(victim("stack-overflow"))
    assert report.cause == "stack-overflow"
    assert report.fault["class"] == "stack-overflow"
    assert report.functions()[:3] == ["recurse"] * 3
    gaps = [gap for gap in report.json["gaps"]]
    assert report.functions()[-1] == "_start" or gaps, "a cut stack must be said"


def test_double_free_tells_the_allocator_s_complaint(pcatch, victim):
    report = pcatch.catch(victim("double-free"))
    assert (report.cause, report.fault["class"]) == ("abort", "abort")
    assert "double free" in report.fault["message"]
    assert "free_twice" in report.functions()


def test_failed_assertion_tells_its_text(pcatch, victim):
    report = pcatch.catch(victim("assert"))
    assert (report.cause, report.fault["class"]) == ("abort", "abort")
    assert report.truth["message"] in report.fault["message"]
    assert "check_answer" in report.functions()
    assert report.truth["message"] in report.summary


def test_uncaught_cplusplus_exception_shows_who_threw(pcatch, victim):
    report = pcatch.catch(victim("throw"))
    assert report.cause == "abort"
    assert report.truth["function"] in report.functions()


@pytest.mark.parametrize("action", ["kill", "trap"])
def test_forbidden_system_call_is_named(pcatch, victim, action):
    report = pcatch.catch(victim("seccomp"), action)
    assert (report.cause, report.signal["name"]) == ("bad-system-call", "SIGSYS")
    assert report.fault["class"] == "bad-system-call"
    assert "getppid" in report.summary
    assert "forbidden" in report.functions()


def test_fault_that_a_handler_took_first_is_the_one_reported(pcatch, victim):
    report = pcatch.catch(victim("first-chance"))
    assert report.cause == "native-crash"
    assert report.signal["code_name"] == "SEGV_MAPERR"
    assert int(report.signal["address"], 16) == 8
    assert_place(report)


def test_fault_inside_of_the_handler_is_the_one_reported(pcatch, victim):
    report = pcatch.catch(victim("fault-in-handler"))
    assert report.cause == "native-crash"
    assert int(report.signal["address"], 16) == 16
    assert report.functions()[0] == "worse"
    assert "bad" in report.functions(), "the frames below the signal frame"


@pytest.mark.parametrize("how", ["attach", "run"])
def test_one_of_200_threads_faults(pcatch, victim, how):
    report = pcatch.catch(victim("threads"), "199", how=how)
    assert report.cause == "native-crash"
    assert_place(report)
    assert len(report.json["threads"]) == 200
    for thread in report.json["threads"]:
        assert len(thread["native"]) >= 3, thread
    waiting = [t for t in report.json["threads"] if "wait_for_ever" in report.functions(t)]
    assert len(waiting) == 199
    assert report.json["time"]["frozen_seconds"] < 1


@pytest.mark.parametrize("how", ["attach", "run"])
def test_crash_after_the_leader_has_ended(pcatch, victim, how):
    report = pcatch.catch(victim("leader-exit"), how=how)
    assert report.cause == "native-crash"
    assert report.truth["tid"] != report.truth["pid"]
    assert_place(report)


@pytest.mark.parametrize("how", ["attach", "run"])
def test_crash_of_the_program_that_a_thread_has_execed(pcatch, victim, how):
    program = victim("exec-thread")
    if how == "run":
        running = watcher = pcatch.run(program)
    else:
        running = pcatch.start(program)
        watcher = pcatch.attach(running.truth["pid"])
    running.truth
    running.go()
    truth = running.said(2)
    running.go()
    assert running.wait() == -11
    watcher.wait()
    report = pcatch.report(watcher)
    assert report.cause == "native-crash"
    assert report.death["thread"] == truth["tid"] == report.process["pid"]
    assert report.functions()[0] == truth["function"]
    assert len(report.json["threads"]) == 1


def run_tool(*argv):
    if not shutil.which(argv[0]):
        pytest.skip("no " + argv[0])
    return subprocess.run([str(a) for a in argv], check=True, capture_output=True, text=True).stdout


def defined(*argv):
    lines = run_tool("nm", "--format=posix", "--defined-only", *argv).splitlines()
    return {line.split()[0] for line in lines if line.split()[1] in "Tt"}


@pytest.mark.parametrize("damaged", [False, True], ids=["whole", "damaged"])
def test_stripped_program_with_mini_debug_info_has_its_names(pcatch, victim, tmp_path, damaged):
    """Made as Fedora's find-debuginfo does: the symbols that the dynamic table has not, packed."""
    program, debug, mini = (tmp_path / name for name in ("program", "debug", "mini"))
    shutil.copy(victim("null-deref"), program)
    keep = tmp_path / "keep"
    keep.write_text("\n".join(sorted(defined(program) - defined("-D", program))) + "\n")
    run_tool("objcopy", "--only-keep-debug", program, debug)
    run_tool("objcopy", "-S", "--keep-symbols=%s" % keep, debug, mini)
    packed = lzma.compress(mini.read_bytes())
    mini.write_bytes(packed[: len(packed) // 2] if damaged else packed)
    run_tool("strip", "--strip-all", program)
    run_tool("objcopy", "--add-section", ".gnu_debugdata=%s" % mini, program)
    report = pcatch.catch(program)
    assert report.cause == "native-crash"
    assert (report.truth["function"] in report.functions()) == (not damaged)
    (module,) = [m for m in report.json["modules"] if m["path"] == str(program)]
    assert (module["symbols"] == "symtab") == (not damaged)
