# SPDX-License-Identifier: GPL-3.0-or-later
"""What cannot be attached to is refused in one line with the reason and the remedy."""
import os
import shutil
import signal
import subprocess
import tempfile

import pytest

from conftest import need_attach, status_of, until


def refused(pcatch, *arguments, status=1, **popen):
    called = pcatch.call("attach", "-o", pcatch.out, *arguments, **popen)
    assert called.status == status, called
    assert len(called.stderr.splitlines()) == 1, called
    assert called.stderr.startswith("pcatch: "), called
    return called.stderr


def test_no_such_process(pcatch):
    child = subprocess.Popen(["true"])
    child.wait()
    said = refused(pcatch, str(child.pid))
    assert str(child.pid) in said and "no such process" in said.lower()


def test_kernel_thread(pcatch):
    if status_of(2).get("Name") != "kthreadd":
        pytest.skip("no kernel threads are seen here")
    assert "kernel thread" in refused(pcatch, "2")


def test_zombie(pcatch, victim):
    parent = pcatch.start(victim("idle"), "zombie")
    zombie = parent.truth["zombie"]
    until(lambda: status_of(zombie)["State"][0] == "Z", "the zombie")
    said = refused(pcatch, str(zombie))
    assert "zombie" in said or "ended" in said


def test_itself(pcatch):
    # exec keeps the pid.
    running = pcatch.start(
        "sh", "-c", 'exec "$0" attach -o "$1" $$', pcatch.program, pcatch.out
    )
    assert running.wait() == 1
    assert len(running.stderr.splitlines()) == 1 and "itself" in running.stderr


def test_process_that_another_pcatch_watches(pcatch, victim):
    target = pcatch.start(victim("idle"))
    first = pcatch.attach(target.truth["pid"])
    said = refused(pcatch, str(target.pid))
    assert "pcatch" in said[len("pcatch: ") :] and str(first.pid) in said
    target.go()
    assert target.wait() == 0
    assert first.wait() == 0


def test_process_that_gdb_holds(pcatch, victim):
    need_attach()
    if not shutil.which("gdb"):
        pytest.skip("no gdb")
    target = pcatch.start(victim("idle"))
    target.truth
    gdb = pcatch.start("gdb", "-nx", "-q", "-p", str(target.pid))
    until(lambda: status_of(target.pid)["TracerPid"] == str(gdb.pid), "gdb to attach", 30)
    said = refused(pcatch, str(target.pid))
    assert "gdb" in said and str(gdb.pid) in said


def test_process_of_another_user(pcatch, victim):
    if os.geteuid() != 0:
        pytest.skip("needs root to become somebody else")
    target = pcatch.start(victim("idle"))
    target.truth
    folder = tempfile.mkdtemp()
    try:
        os.chmod(folder, 0o755)
        program = os.path.join(folder, "pcatch")
        shutil.copy(pcatch.program, program)
        os.mkdir(os.path.join(folder, "out"))
        os.chmod(os.path.join(folder, "out"), 0o1777)

        def become_nobody():
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)

        called = pcatch.start(
            program,
            "attach",
            "-o",
            os.path.join(folder, "out"),
            str(target.pid),
            preexec_fn=become_nobody,
            cwd="/",
        )
        assert called.wait() == 1, called.stderr
        assert len(called.stderr.splitlines()) == 1, called.stderr
        assert "CAP_SYS_PTRACE" in called.stderr or "root" in called.stderr
        assert str(target.pid) in called.stderr
    finally:
        shutil.rmtree(folder)
    target.go()
    assert target.wait() == 0


def test_yama_is_named_where_it_forbids(pcatch, victim):
    try:
        with open("/proc/sys/kernel/yama/ptrace_scope") as file:
            scope = int(file.read())
    except OSError:
        pytest.skip("this kernel has no Yama")
    if os.geteuid() == 0 or scope != 1:
        pytest.skip("Yama's ptrace_scope is %d for uid %d" % (scope, os.geteuid()))
    # A sibling is no descendant, which is what scope 1 allows.
    target = pcatch.start(victim("idle"))
    assert "ptrace_scope" in refused(pcatch, str(target.truth["pid"]))


@pytest.mark.parametrize(
    "content, words",
    [(None, []), ("", []), ("twelve\n", []), ("-5\n", []), ("0\n", []), ("99999999999999\n", [])],
)
def test_bad_pidfile_is_named(pcatch, tmp_path, content, words):
    pidfile = tmp_path / "server.pid"
    if content is not None:
        pidfile.write_text(content)
    assert str(pidfile) in refused(pcatch, "--pidfile", str(pidfile))


def test_unreadable_pidfile_is_named(pcatch, tmp_path):
    assert str(tmp_path) in refused(pcatch, "--pidfile", str(tmp_path))


def test_pidfile_that_names_nobody(pcatch, tmp_path):
    child = subprocess.Popen(["true"])
    child.wait()
    pidfile = tmp_path / "server.pid"
    pidfile.write_text("%d\n" % child.pid)
    said = refused(pcatch, "--pidfile", str(pidfile))
    assert str(pidfile) in said and str(child.pid) in said


def test_unwritable_folder_is_said_before_watching(pcatch, victim, tmp_path):
    (tmp_path / "file").write_text("")
    target = pcatch.start(victim("idle"))
    target.truth
    called = pcatch.call("attach", "-o", tmp_path / "file" / "folder", str(target.pid))
    assert called.status == 1
    assert len(called.stderr.splitlines()) == 1 and str(tmp_path / "file") in called.stderr
    assert status_of(target.pid)["TracerPid"] == "0"


def test_run_with_an_unwritable_folder_starts_nothing(pcatch, tmp_path):
    (tmp_path / "file").write_text("")
    called = pcatch.call(
        "run", "-o", tmp_path / "file" / "folder", "--", "touch", tmp_path / "started"
    )
    assert called.status != 0
    assert len(called.stderr.splitlines()) == 1 and str(tmp_path / "file") in called.stderr
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["explode"],
        ["--explode"],
        ["attach"],
        ["attach", "twelve"],
        ["attach", "0"],
        ["attach", "-5"],
        ["attach", "12x"],
        ["attach", "99999999999999999999"],
        ["attach", "1", "2"],
        ["attach", "--pidfile", "x", "1"],
        ["attach", "--explode", "1"],
        ["attach", "-f", "pdf", "1"],
        ["attach", "--lines", "many", "1"],
        ["attach", "--lines", "-1", "1"],
        ["attach", "--sample", "often", "1"],
        ["attach", "-o"],
        ["run"],
        ["run", "--"],
        ["run", "--explode", "true"],
        ["snapshot"],
        ["snapshot", "me"],
        ["show"],
    ],
    ids=lambda arguments: " ".join(arguments) or "nothing",
)
def test_wrong_command_line_is_2(pcatch, arguments):
    called = pcatch.call(*arguments)
    assert called.status == 2, called
    assert called.stderr.startswith("pcatch"), called
    assert called.stdout == ""


@pytest.mark.parametrize("content", [b"", b"MDMP", b"text\n" * 100, b"MDMP" + b"\xff" * 4000])
def test_show_refuses_what_is_no_dump(pcatch, tmp_path, content):
    (tmp_path / "file.dmp").write_bytes(content)
    called = pcatch.call("show", tmp_path / "file.dmp")
    assert called.status == 1, called
    assert len(called.stderr.splitlines()) == 1 and "file.dmp" in called.stderr


def test_show_of_a_file_that_is_not_there(pcatch, tmp_path):
    called = pcatch.call("show", tmp_path / "nothing.dmp")
    assert called.status == 1
    assert len(called.stderr.splitlines()) == 1 and "nothing.dmp" in called.stderr
