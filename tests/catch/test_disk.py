# SPDX-License-Identifier: GPL-3.0-or-later
"""No room for the report: one line says so, nothing half-written stays, and the target is unharmed."""
import errno
import os
import resource
import signal
import subprocess

import pytest

PAGE = 4096


@pytest.fixture
def small_disk(tmp_path):
    """small_disk(pages) is a folder with so much room; all of them are gone after the test."""
    mounted = []

    def mount(pages):
        folder = tmp_path / ("disk-%d" % pages)
        folder.mkdir()
        options = "size=%d,mode=700" % (pages * PAGE)
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "pcatch-test", str(folder)],
            capture_output=True, text=True,
        )
        if done.returncode:
            pytest.skip("no tmpfs can be mounted here: " + done.stderr.strip())
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def check_whole(pcatch, folder, done, reason):
    """What is in FOLDER is whole; whether it is all is what DONE said. True when it is."""
    files = {path.suffix: path for path in folder.iterdir()}
    assert set(files) <= {".dmp", ".txt"} and len(files) == len(list(folder.iterdir()))
    if ".dmp" in files:
        shown = pcatch.call("show", files[".dmp"])
        assert shown.status == 0, shown
        if ".txt" in files:
            assert files[".txt"].read_text() == shown.stdout
    else:
        assert ".txt" not in files
    errors = [line for line in done.stderr.splitlines() if line.startswith("pcatch: ")]
    if not errors:
        assert set(files) == {".dmp", ".txt"}, done
        return True
    assert len(errors) == 1 and reason in errors[0] and str(folder) in errors[0], done
    return False


def test_a_disk_that_fills_at_any_point_of_a_report(pcatch, victim, small_disk):
    program = str(victim("null-deref"))
    pcatch.out = small_disk(4096)
    whole = pcatch.catch(program, how="run")
    used = sum((path.stat().st_size + PAGE - 1) // PAGE for path in pcatch.out.iterdir())
    assert whole.signal["name"] == "SIGSEGV"
    outcomes = []
    for pages in [1, used // 2, used - 4, used - 3, used - 2, used - 1, used, used + 2]:
        folder = small_disk(pages)
        done = pcatch.call("run", "-o", folder, "--", program)
        assert done.status == -signal.SIGSEGV, done
        outcomes.append(check_whole(pcatch, folder, done, os.strerror(errno.ENOSPC)))
    assert outcomes[0] is False and outcomes[-1] is True


def test_attach_says_by_its_status_that_there_is_no_report(pcatch, victim, small_disk):
    folder = small_disk(2)
    target = pcatch.start(str(victim("null-deref")))
    pcatch.out = folder
    watcher = pcatch.attach(target.truth["pid"])
    target.go()
    assert target.wait() == -signal.SIGSEGV
    assert watcher.wait() == 1
    assert not check_whole(pcatch, folder, watcher, os.strerror(errno.ENOSPC))


def test_a_limit_on_the_size_of_files_is_no_end_of_pcatch(pcatch, victim, tmp_path):
    for limit in (1, PAGE, 40000):
        folder = tmp_path / str(limit)
        target = pcatch.start(str(victim("null-deref")))
        pcatch.out = folder
        watcher = pcatch.attach(
            target.truth["pid"],
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        )
        target.go()
        assert target.wait() == -signal.SIGSEGV
        assert watcher.wait() == 1
        assert not check_whole(pcatch, folder, watcher, os.strerror(errno.EFBIG))


def test_run_leaves_the_program_its_own_limit(pcatch, tmp_path):
    done = pcatch.call(
        "run", "-q", "-o", tmp_path / "reports", "--", "sh", "-c", "exec head -c 9000 /dev/zero >%s" % (tmp_path / "x"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192)),
    )
    assert done.status == -signal.SIGXFSZ, done
