# SPDX-License-Identifier: GPL-3.0-or-later
"""--full-core: the whole memory, taken from a process that is held no longer than for that."""
import errno
import fcntl
import glob
import os
import re
import resource
import shutil
import signal
import subprocess

import pytest

from conftest import DEATHS, status_of, until
from test_cores import read_with, show, tool
from test_disk import small_disk  # noqa: F401, a fixture

MIB = 1 << 20


def gaps(report):
    return [gap for gap in report.json["gaps"] if gap["what"] == "full core"]


def catch(pcatch, *command, core=".core", options=("--full-core",), **how):
    report = pcatch.catch(*command, options=options, **how)
    path = report.dump.with_suffix(core)
    assert path.exists(), report.said
    assert "full core: %s\n" % path in report.said
    return report, path


def is_copying(watcher):
    """Some of the memory is in pcatch's file without a name; or it has ended."""
    if watcher.process.poll() is not None:
        return True
    for path in glob.glob("/proc/%d/fd/*" % watcher.pid):
        try:
            if os.readlink(path).endswith(" (deleted)") and os.stat(path).st_size > MIB:
                return True
        except OSError:
            pass
    return False


def values(program, core, *expressions):
    """What gdb prints of EXPRESSIONS, and all that it said."""
    commands = [word for e in expressions for word in ("-ex", "p " + e)]
    said = read_with(tool("gdb"), "-nx", "-batch", "-ex", "bt", *commands, program, core)
    return [re.search(r"^\$%d = (.*)$" % (i + 1), said, re.M).group(1) for i in range(len(expressions))], said


def test_gdb_prints_what_was_on_the_heap(pcatch, victim):
    program = victim("heap")
    report, core = catch(pcatch, program, "8", "4")
    known, said = values(
        program, core, "heap_text", "shared_text", "data_text", "((size_t *)block)[4 * 131072 - 1]", "secret_text"
    )
    assert '"a text in the heap"' in known[0], said
    assert '"a text in shared memory"' in known[1], said
    assert '"written over' in known[2], said
    assert int(known[3]) == (4 * MIB - 8) * 0x9E3779B97F4A7C15 % 2**64, said
    assert "Cannot access memory" in known[4], said
    assert re.search(r"^#0 .*read_through .*\n#1 .*main ", said, re.M), said
    assert b"secret of %d" % report.truth["pid"] not in core.read_bytes()
    assert 4 * MIB < report.json["full_core"]["bytes"] < 8 * MIB
    assert report.json["full_core"]["held_seconds"] <= report.json["time"]["frozen_seconds"]
    assert ["MADV_DONTDUMP" in gap["why"] for gap in gaps(report)] == [True]


def test_show_says_of_a_full_core_what_the_report_says(pcatch, victim):
    report, core = catch(pcatch, victim("threads"), "9")
    assert pcatch.call("show", core).stdout == report.text
    assert show(pcatch, core) == report.json


def test_other_readers_show_the_backtraces_of_a_full_core(pcatch, victim):
    report, core = catch(pcatch, victim("threads"), "9")
    said = read_with(tool("eu-stack"), "-n", "1000", "--core", core)
    assert said.count("wait_for_ever") == 9 and said.count("fault_in_thread") == 1, said
    said = read_with(tool("lldb"), "--no-lldbinit", "--batch", "-c", core, "-o", "thread backtrace all")
    assert said.count("`wait_for_ever(") == 9 and said.count("`fault_in_thread(") == 1, said


def test_python_s_frames_and_variables_are_in_its_full_core(pcatch, any_python):
    options = ["--full-core", "--locals", "--compress"]
    report, core = catch(pcatch, any_python, DEATHS, "segfault", options=options, core=".core.zst")
    assert report.dying["python"]
    shown = show(pcatch, core)
    assert [t["python"] for t in shown["threads"]] == [t["python"] for t in report.json["threads"]]
    assert shown["verdict"] == report.verdict


ENDING = """
import json, os, sys
def work():
    text = "a text that is gone with the frame: %d" % 4711
    print(json.dumps({"pid": os.getpid()}))
    sys.stdout.flush()
    sys.stdin.readline()
    sys.exit(3)
work()
"""


def test_python_that_ends_by_itself_has_the_memory_of_its_last_frames(pcatch, any_python):
    report, core = catch(pcatch, any_python, "-c", ENDING)
    assert b"a text that is gone with the frame: 4711" in core.read_bytes()
    assert show(pcatch, core)["verdict"] == report.verdict
    assert len([gap for gap in gaps(report)]) == 0


def test_compressed_full_core_is_the_core_for_others(pcatch, victim, tmp_path):
    program = victim("heap")
    report, packed = catch(
        pcatch, program, "8", "4", options=["--full-core", "--compress", "-f", "core"], core=".core.zst"
    )
    assert {path.suffix for path in pcatch.out.iterdir()} == {".dmp", ".zst"}
    assert pcatch.call("show", packed).stdout == report.text
    subprocess.run([tool("zstd"), "-q", "-d", packed, "-o", tmp_path / "core"], check=True)
    known, said = values(program, tmp_path / "core", "heap_text")
    assert '"a text in the heap"' in known[0], said


def test_memory_that_was_never_touched_costs_nothing(pcatch, victim):
    report, core = catch(pcatch, victim("heap"), "4096", "1")
    assert core.stat().st_blocks * 512 < 4 * MIB and core.stat().st_size < 8 * MIB
    known, said = values(victim("heap"), core, "heap_text")
    assert '"a text in the heap"' in known[0], said


def test_what_does_not_fit_into_the_limit_is_a_gap_with_its_remedy(pcatch, victim):
    report, core = catch(pcatch, victim("heap"), "16", "9", options=["--full-core=1M"])
    cut = gaps(report)[0]
    assert "did not fit" in cut["why"] and re.fullmatch(r"--full-core=\d+M", cut["remedy"]), cut
    assert report.json["full_core"]["bytes"] == MIB
    assert show(pcatch, core)["threads"] == report.json["threads"]
    # Of small ones there is all.
    known, said = values(victim("heap"), core, "heap_text")
    assert '"a text in the heap"' in known[0], said
    shutil.rmtree(pcatch.out)
    pcatch.seen.clear()
    report, core = catch(pcatch, victim("heap"), "16", "9", options=[cut["remedy"]])
    assert not [gap for gap in gaps(report) if "did not fit" in gap["why"]]


def test_snapshot_s_process_runs_on_and_has_no_page_more(pcatch, victim):
    target = pcatch.start(victim("heap"), "64", "2")
    pid = target.truth["pid"]
    before = status_of(pid)
    done = pcatch.call("snapshot", "-q", "--full-core", "-o", pcatch.out, pid)
    assert done.status == 0, done
    after = status_of(pid)
    assert int(after["RssAnon"].split()[0]) - int(before["RssAnon"].split()[0]) <= 8
    assert after["State"][0] == "S" and after["TracerPid"] == "0"
    core = pcatch.report().dump.with_suffix(".core")
    assert core.stat().st_blocks * 512 < 8 * MIB
    target.go()
    assert target.wait() == -signal.SIGSEGV


def test_kill_is_not_kept_waiting_for_the_memory(pcatch, victim):
    target = pcatch.start(victim("heap"), "8", "1")
    watcher = pcatch.attach(target.truth["pid"], ["--full-core"])
    os.kill(target.truth["pid"], signal.SIGKILL)
    assert watcher.wait() == 0, watcher.stderr
    report = pcatch.report(watcher)
    assert not report.dump.with_suffix(".core").exists()
    assert [gap["why"] for gap in gaps(report)], report.json["gaps"]
    assert "full_core" not in report.json


def test_target_killed_in_the_middle_leaves_what_was_copied(pcatch, victim):
    target = pcatch.start(victim("heap"), "300", "300")
    pid = target.truth["pid"]
    watcher = pcatch.attach(pid, ["--full-core"])
    target.go()
    until(lambda: is_copying(watcher), "the copying")
    os.kill(pid, signal.SIGKILL)
    # It may have been over by then.
    assert target.wait() in (-signal.SIGKILL, -signal.SIGSEGV)
    assert watcher.wait() == 0, watcher.stderr
    report = pcatch.report(watcher)
    cut = [gap["why"] for gap in gaps(report) if "was killed while it was copied" in gap["why"]]
    assert cut or report.json["full_core"]["bytes"] > 300 * MIB
    core = report.dump.with_suffix(".core")
    assert show(pcatch, core)["threads"] == report.json["threads"]


def test_target_lives_on_when_pcatch_is_killed_in_the_middle(pcatch, victim):
    target = pcatch.start(victim("heap"), "300", "300")
    pid = target.truth["pid"]
    done = pcatch.start(pcatch.program, "snapshot", "--full-core", "-o", pcatch.out, pid)
    until(lambda: is_copying(done), "the copying")
    done.process.kill()
    done.wait()
    until(lambda: status_of(pid)["TracerPid"] == "0" and status_of(pid)["State"][0] == "S", "its life")
    assert not [path for path in pcatch.out.iterdir() if path.suffix != ".dmp"]
    target.go()
    assert target.wait() == -signal.SIGSEGV


def test_somebody_who_interrupts_pcatch_is_heard(pcatch, victim):
    target = pcatch.start(victim("heap"), "300", "300")
    pid = target.truth["pid"]
    done = pcatch.start(pcatch.program, "snapshot", "--full-core", "-o", pcatch.out, pid)
    until(lambda: is_copying(done), "the copying")
    done.process.terminate()
    done.wait()
    assert status_of(pid)["State"][0] == "S"
    for report in pcatch.reports():
        assert all("asked to end" in gap["why"] for gap in gaps(report) if "MADV" not in gap["why"])


def test_a_disk_too_small_for_the_memory_has_the_report_and_one_line(pcatch, victim, small_disk):  # noqa: F811
    folder = pcatch.out = small_disk(8 * 256)
    target = pcatch.start(victim("heap"), "32", "20")
    watcher = pcatch.attach(target.truth["pid"], ["--full-core"])
    target.go()
    assert target.wait() == -signal.SIGSEGV
    assert watcher.wait() == 1, watcher.stderr
    errors = [line for line in watcher.stderr.splitlines() if line.startswith("pcatch: ")]
    assert len(errors) == 1 and os.strerror(errno.ENOSPC) in errors[0] and "--full-core=SIZE" in errors[0]
    assert sorted(path.suffix for path in folder.iterdir()) == [".dmp", ".txt"]
    report = pcatch.report(watcher)
    assert os.strerror(errno.ENOSPC) in gaps(report)[0]["why"]


def test_a_limit_on_the_size_of_files_leaves_the_report(pcatch, victim):
    target = pcatch.start(victim("heap"), "16", "8")
    watcher = pcatch.attach(
        target.truth["pid"],
        ["--full-core"],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4 * MIB, 4 * MIB)),
    )
    target.go()
    assert target.wait() == -signal.SIGSEGV
    assert watcher.wait() == 1, watcher.stderr
    errors = [line for line in watcher.stderr.splitlines() if line.startswith("pcatch: ")]
    assert len(errors) == 1 and os.strerror(errno.EFBIG) in errors[0], watcher.stderr
    assert sorted(path.suffix for path in pcatch.out.iterdir()) == [".dmp", ".txt"]


FREEZE, THAW = 0xC0045877, 0xC0045878  # <linux/fs.h>


@pytest.fixture
def freezing_disk(tmp_path):
    """A folder on a disk of its own, and a function that makes all writing to it wait, or not."""
    image, folder = tmp_path / "image", tmp_path / "disk"
    folder.mkdir()
    with open(image, "wb") as file:
        file.truncate(64 * MIB)
    for command in (["mkfs.ext4", "-q", image], ["mount", "-o", "loop", image, folder]):
        if not shutil.which(command[0]):
            pytest.skip("no " + command[0])
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
        if done.returncode:
            pytest.skip("no disk can be made here: " + done.stderr.strip())
    fd = os.open(folder, os.O_RDONLY)
    frozen = []

    def freeze(yes):
        if yes != bool(frozen):
            fcntl.ioctl(fd, FREEZE if yes else THAW, 0)
            frozen[:] = [True] if yes else []

    try:
        yield folder, freeze
    finally:
        freeze(False)
        os.close(fd)
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_stands_still_does_not_hold_the_target(pcatch, victim, freezing_disk):
    folder, freeze = freezing_disk
    pcatch.out = folder / "reports"
    target = pcatch.start(victim("heap"), "8", "4")
    watcher = pcatch.attach(target.truth["pid"], ["--full-core", "-v"])
    freeze(True)
    target.go()
    watcher.line("stderr", r"full core: 0% of \d+ MiB")
    assert target.wait() == -signal.SIGSEGV
    assert watcher.process.poll() is None
    freeze(False)
    assert watcher.wait() == 1, watcher.stderr
    assert "pcatch: no full core: nothing moved for 5 s, copying waits for the disk" in watcher.stderr
    report = pcatch.report(watcher)
    assert 5 <= report.json["time"]["frozen_seconds"] and not report.dump.with_suffix(".core").exists()
    assert [t["native"][0]["function"] for t in report.json["threads"]] == ["read_through"]


def test_pcatch_killed_while_the_disk_stands_still_leaves_nothing(pcatch, victim, freezing_disk):
    folder, freeze = freezing_disk
    pcatch.out = folder / "reports"
    target = pcatch.start(victim("heap"), "8", "4")
    pid = target.truth["pid"]
    watcher = pcatch.attach(pid, ["--full-core"])
    freeze(True)
    target.go()
    until(lambda: status_of(pid).get("State", "?")[0] == "t", "the hold")
    watcher.process.kill()
    assert target.wait() == -signal.SIGSEGV
    freeze(False)
    watcher.wait()
    assert not list(pcatch.out.iterdir())


def test_a_core_of_nothing_is_refused(pcatch):
    for wrong in ("0", "x", "5Q"):
        called = pcatch.call("attach", "--full-core=" + wrong, "1")
        assert called.status == 2 and "--full-core" in called.stderr, called
