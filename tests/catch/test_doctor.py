# SPDX-License-Identifier: GPL-3.0-or-later
"""pcatch doctor says what can be done here, by trying."""
import json
import os
import shutil
import subprocess

import pytest

from conftest import PCATCH, need_attach, tracers_of, until


def doctor(pcatch, *arguments, status=0, **popen):
    called = pcatch.call("doctor", "-f", "json", "-o", pcatch.out, *map(str, arguments), **popen)
    assert called.status == status, called
    report = json.loads(called.stdout)
    assert report["schema"] == "pcatch.doctor/1" and report["works"] == (status == 0)
    text = pcatch.call("doctor", "-o", pcatch.out, *map(str, arguments), **popen)
    assert text.status == status
    assert all(len(line) <= 80 for line in text.stdout.splitlines() if "/" not in line), text
    checks = {}
    for check in report["checks"]:
        assert check["state"] in ("yes", "partly", "no", "none")
        # For each no there is the one thing to do about it.
        assert check["state"] != "no" or check["remedy"], check
        checks.setdefault(check["name"], check)
        assert check["name"] in text.stdout
    return checks


def test_this_machine(pcatch):
    need_attach()
    checks = doctor(pcatch)
    assert checks["ptrace"]["state"] == "yes" and checks["reports"]["state"] == "yes"
    assert {"rights", "container", "attach", "breakpoint", "senders", "kernel log", "cgroup",
            "core files"} <= set(checks)


def test_python_process_is_recognised_and_not_stopped(pcatch, python):
    need_attach()
    target = pcatch.start(python, "-c", "import sys; print('{}'); sys.stdout.flush(); sys.stdin.readline()")
    target.said()
    checks = doctor(pcatch, target.pid)
    assert checks["attach"]["state"] == "yes"
    assert checks["symbols"]["state"] in ("yes", "partly")
    if checks["Python"]["state"] != "yes":
        assert "version" in checks["Python"]["text"]
    told = subprocess.run(
        [python, "-V"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    version = told.stdout.split()[1]
    assert "CPython " + ".".join(version.split(".")[:2]) in checks["Python"]["text"]
    assert tracers_of(target.pid) == {0}
    target.go()
    assert target.wait() == 0


def test_program_that_is_no_python(pcatch):
    need_attach()
    target = pcatch.start("cat")
    assert doctor(pcatch, target.pid)["Python"]["state"] == "none"


def test_process_with_another_tracer(pcatch, victim):
    target = pcatch.start(victim("idle"))
    target.truth
    watcher = pcatch.attach(target.truth["pid"])
    checks = doctor(pcatch, target.truth["pid"], status=1)
    assert checks["attach"]["state"] == "no"
    assert str(watcher.pid) in checks["attach"]["text"] and "end that one" in checks["attach"]["remedy"]


def test_zombie_kernel_thread_and_nobody(pcatch):
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert "zombie" in doctor(pcatch, child.pid, status=1)["attach"]["text"]
    child.wait()
    assert "no such process" in doctor(pcatch, child.pid, status=1)["attach"]["text"]
    with open("/proc/2/comm") as file:
        if file.read().strip() == "kthreadd":
            assert "kernel thread" in doctor(pcatch, 2, status=1)["attach"]["text"]


def test_output_that_cannot_be_written(pcatch, tmp_path):
    (tmp_path / "file").write_text("")
    called = pcatch.call("doctor", "-o", tmp_path / "file" / "x")
    assert called.status == 1 and "-o DIR" in called.stdout


def test_as_nobody(pcatch, tmp_path):
    if os.geteuid():
        pytest.skip("only root can become another user")
    need_attach()
    program = tmp_path / "pcatch"
    shutil.copy(PCATCH, program)
    folder = tmp_path / "mine"
    folder.mkdir()
    os.chown(folder, 65534, 65534)
    for path in (tmp_path, *tmp_path.parents):
        if path.stat().st_mode & 0o001 == 0:
            path.chmod(path.stat().st_mode | 0o011)
    called = subprocess.run(
        [program, "doctor", "-f", "json", "-o", folder, str(os.getpid())],
        user=65534, group=65534, extra_groups=[], capture_output=True, text=True, cwd="/",
    )
    assert called.returncode == 1, called
    checks = {check["name"]: check for check in json.loads(called.stdout)["checks"]}
    assert checks["ptrace"]["state"] == "yes"
    assert checks["attach"]["state"] == "no" and "root" in checks["attach"]["remedy"]
    assert checks["rights"]["state"] == "partly"
    assert "CAP_SYS_PTRACE" in checks["rights"]["text"] and "setcap" in checks["rights"]["remedy"]
    alone = subprocess.run(
        [program, "doctor", "-o", folder], user=65534, group=65534, extra_groups=[],
        capture_output=True, text=True, cwd="/",
    )
    assert alone.returncode == 0, alone


def test_in_a_user_namespace(pcatch):
    if subprocess.run(["unshare", "-Ur", "true"], capture_output=True).returncode:
        pytest.skip("no user namespace may be made here")
    called = pcatch.start("unshare", "-Ur", PCATCH, "doctor", "-f", "json", "-o", pcatch.out, "1")
    assert called.wait() == 1, called.stderr
    checks = {check["name"]: check for check in json.loads(called.stdout)["checks"]}
    assert checks["ptrace"]["state"] == "yes" and checks["attach"]["state"] == "no"
    assert "user namespace" in checks["rights"]["text"] or checks["rights"]["state"] == "partly"


def as_nobody(*argv, **popen):
    return subprocess.Popen(list(map(str, argv)), user=65534, group=65534, extra_groups=[],
                            stdout=subprocess.PIPE, text=True, cwd="/", **popen)


def test_process_with_more_rights_than_its_user_has(pcatch, victim, tmp_path):
    if os.geteuid():
        pytest.skip("only root can become another user")
    need_attach()
    folder = tmp_path / "open"
    folder.mkdir()
    for path in (folder, tmp_path, *tmp_path.parents):
        if path.stat().st_mode & 0o001 == 0:
            path.chmod(path.stat().st_mode | 0o011)
    program, setuid = folder / "pcatch", folder / "setuid"
    shutil.copy(PCATCH, program)
    shutil.copy(victim("idle"), setuid)
    setuid.chmod(0o4755)
    if os.statvfs(setuid).f_flag & os.ST_NOSUID:
        pytest.skip("%s is mounted nosuid" % setuid)
    target = as_nobody(setuid, stdin=subprocess.PIPE)
    try:
        pid = json.loads(target.stdout.readline())["pid"]
        out, _ = as_nobody(program, "doctor", "-f", "json", "-o", tmp_path / "x", pid).communicate()
        checks = {check["name"]: check for check in json.loads(out)["checks"]}
        # It is its own, so "belongs to nobody" would be no reason.
        assert "setuid" in checks["attach"]["text"] and "root" in checks["attach"]["remedy"]
        assert doctor(pcatch, pid)["process"]["state"] == "partly"
    finally:
        target.kill()
        target.wait()


def test_process_in_a_container_below(pcatch, victim):
    need_attach()
    inside = ["unshare", "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*inside, "true"], capture_output=True).returncode:
        pytest.skip("no pid namespace may be made here")
    holder = pcatch.start(*inside, victim("idle"))
    assert holder.truth["pid"] == 1
    with open("/proc/%d/task/%d/children" % (holder.pid, holder.pid)) as file:
        pid = int(file.read())
    try:
        checks = doctor(pcatch, pid)
        assert checks["attach"]["state"] == "yes"
        assert "its pid is 1" in checks["process"]["text"]
    finally:
        os.kill(pid, 9)
        holder.wait()
    called = pcatch.start(*inside, PCATCH, "doctor", "-f", "json", "-o", pcatch.out)
    called.wait()
    checks = {check["name"]: check for check in json.loads(called.stdout)["checks"]}
    assert checks["container"]["state"] == "partly" and "host" in checks["container"]["remedy"]


@pytest.mark.parametrize("arguments", [["x"], ["0"], ["-1"], ["1", "2"], ["-f", "html"], ["--log", "x"]])
def test_garbage_is_one_line(pcatch, arguments):
    called = pcatch.call("doctor", *arguments)
    assert called.status == 2 and called.stderr.count("\n") == 1 and not called.stdout
