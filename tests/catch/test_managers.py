# SPDX-License-Identifier: GPL-3.0-or-later
"""Process managers that stop their workers, and the rarer ways to kill: each named for what it is."""
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys

import pytest

from conftest import needs_listening, until

ASGI_APP = """
import os, signal, time
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    signal.signal(signal.SIGTERM, lambda *a: os.write(1, b"asked\\n"))
    print("hanging", flush=True)
    time.sleep(600)
"""

SYSTEM = "/usr/bin/python3"
MANAGERS = {
    "uvicorn": ("uvicorn", "--workers", "2", "--uds"),
    "hypercorn": ("hypercorn", "--workers", "2", "--bind"),
}


def need_module(name):
    if subprocess.run([SYSTEM, "-c", "import " + name], capture_output=True).returncode:
        pytest.skip("no %s for %s here" % (name, SYSTEM))


@pytest.fixture
def asgi(tmp_path):
    """asgi("uvicorn") is the command line of such a manager with two workers."""
    (tmp_path / "served.py").write_text(ASGI_APP)

    def command(name):
        need_module(name)
        path = str(tmp_path / "socket")
        path = "unix:" + path if name == "hypercorn" else path
        return (SYSTEM, "-m") + MANAGERS[name] + (path, "served:app")

    return command


def children_of(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
        return [int(child) for child in file.read().split()]


def workers_of(pid):
    """Not multiprocessing's own helper, which looks after what they share."""

    def is_worker(child):
        with open("/proc/%d/cmdline" % child) as file:
            return "resource_tracker" not in file.read()

    return [child for child in children_of(pid) if is_worker(child)]


def serving(running, count=2):
    """The workers, once all of them serve."""
    until(lambda: len(serves(running)) >= count, "%d workers that serve" % count, 30)
    return workers_of(running.pid)


def serves(running):
    said = running.stdout + running.stderr
    return [line for line in said.splitlines() if "startup complete" in line or "Running on" in line]


def hang(tmp_path, running):
    """One request, for which the worker that takes it stands still; the connection is the caller's."""
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(tmp_path / "socket"))
    client.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
    running.line("stdout", "hanging")
    return client


@needs_listening
def test_uvicorn_s_stop_of_a_worker_names_uvicorn(pcatch, asgi, tmp_path):
    manager = pcatch.start(*asgi("uvicorn"), cwd=tmp_path)
    worker = serving(manager)[0]
    watcher = pcatch.attach(worker)
    os.kill(manager.pid, signal.SIGTERM)
    manager.wait()
    report = pcatch.caught(watcher)
    assert report.cause == "graceful-shutdown"
    assert "uvicorn (pid %d), its parent," % manager.pid in report.summary
    assert "a stop or a reload" in report.text


@needs_listening
def test_kill_after_a_stop_by_uvicorn_tells_both(pcatch, asgi, tmp_path):
    manager = pcatch.start(*asgi("uvicorn"), cwd=tmp_path)
    serving(manager)
    with hang(tmp_path, manager):
        hung = until(
            lambda: next((w for w in workers_of(manager.pid) if in_sleep(w)), None), "a worker that hangs"
        )
        watcher = pcatch.attach(hung)
        os.kill(manager.pid, signal.SIGTERM)
        manager.line("stdout", "asked")
        until(lambda: in_sleep(hung), "its sleep to go on")
        # Not by ourselves: who is an ancestor counts as a supervisor.
        killer = pcatch.start("sh", "-c", "kill -9 %d" % hung)
        assert watcher.wait() == 0
    report = pcatch.report(watcher)
    assert report.cause == "killed-by-process"
    assert report.sender["pid"] == killer.pid
    asked = [e for e in report.death["earlier_signals"] if e["name"] == "SIGTERM"]
    assert asked and asked[0]["sender"]["pid"] == manager.pid
    assert "served.py:12 in app" in report.summary


# nanosleep, clock_nanosleep, and select and pselect6, which time.sleep() is up to 3.10
SLEEPS = {"x86_64": (35, 230, 23, 270), "aarch64": (101, 115, 72)}


def in_sleep(pid):
    with open("/proc/%d/syscall" % pid) as file:
        number = file.read().split()[0]
    return number.isdigit() and int(number) in SLEEPS[platform.machine()]


@needs_listening
def test_hypercorn_s_workers_end_as_children_whose_work_is_done(pcatch, asgi, tmp_path):
    manager = pcatch.start(*asgi("hypercorn"), cwd=tmp_path)
    worker = serving(manager)[0]
    watcher = pcatch.attach(worker)
    os.kill(manager.pid, signal.SIGTERM)
    manager.wait()
    report = pcatch.caught(watcher)
    assert (report.cause, report.death["exit_code"]) == ("clean-exit", 0)
    assert "child of multiprocessing whose work was over" in report.summary


POOL = """
import json, multiprocessing, os, sys, time

def work(pipe):
    pipe.send_bytes(b"here")
    time.sleep(600)

if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[2])
    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.Process(target=work, args=(theirs,))
    child.start()
    ours.recv_bytes()
    print(json.dumps({"pid": child.pid, "parent": os.getpid()}), flush=True)
    sys.stdin.readline()
    getattr(child, sys.argv[1])()
    child.join()
"""


@needs_listening
@pytest.mark.parametrize("start", ["fork", "spawn"])
@pytest.mark.parametrize("how, number", [("terminate", signal.SIGTERM), ("kill", signal.SIGKILL)])
def test_multiprocessing_s_end_of_a_child_names_its_parent(pcatch, any_python, tmp_path, how, number, start):
    (tmp_path / "pool.py").write_text(POOL)
    report, parent = pcatch.catch_child(any_python, tmp_path / "pool.py", how, start, ready=in_sleep)
    assert report.cause == "killed-by-supervisor"
    assert report.signal["number"] == number
    assert (report.sender["pid"], report.sender["relation"]) == (parent.pid, "parent")
    assert "Process.%s()" % how in report.summary
    assert "pool.py:6 in work" in report.summary


DONE = """
import json, multiprocessing, sys

def work(pipe, code):
    pipe.send_bytes(b"here")
    pipe.recv_bytes()
    sys.exit(code)

if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.Process(target=work, args=(theirs, int(sys.argv[2])))
    child.start()
    ours.recv_bytes()
    print(json.dumps({"pid": child.pid}), flush=True)
    sys.stdin.readline()
    ours.send_bytes(b"go")
    child.join()
"""


@pytest.mark.parametrize("start, code", [("fork", 0), ("fork", 3), ("forkserver", 0)])
def test_multiprocessing_s_child_that_is_done_ended_in_order(pcatch, any_python, tmp_path, start, code):
    (tmp_path / "done.py").write_text(DONE)
    report, _ = pcatch.catch_child(any_python, tmp_path / "done.py", start, str(code))
    assert (report.cause, report.death["exit_code"]) == ("exit-code" if code else "clean-exit", code)
    assert report.verdict["confidence"] == "certain"
    assert "child of multiprocessing whose work was over" in report.summary


STUBBORN = """
import json, os, signal, time
signal.signal(signal.SIGTERM, lambda *a: None)
parent = os.getppid()
print(json.dumps({"pid": os.getpid()}), flush=True)
while os.getppid() == parent:
    time.sleep(1)
"""

SUPERVISORD = """
[supervisord]
nodaemon=true
logfile=/dev/null
logfile_maxbytes=0
pidfile={folder}/pid
childlogdir={folder}
{user}
[program:stubborn]
command={python} {folder}/stubborn.py
stopwaitsecs=1
startsecs=0
stdout_logfile={folder}/said
"""


@needs_listening
def test_supervisord_s_stop_of_what_does_not_stop_tells_stopwaitsecs(pcatch, any_python, tmp_path):
    supervisord = shutil.which("supervisord")
    if not supervisord:
        pytest.skip("no supervisord here")
    user = "" if os.geteuid() else "user=root"
    (tmp_path / "stubborn.py").write_text(STUBBORN)
    (tmp_path / "conf").write_text(SUPERVISORD.format(folder=tmp_path, python=any_python, user=user))
    manager = pcatch.start(supervisord, "-c", tmp_path / "conf")
    said = until(lambda: read(tmp_path / "said"), "the program that supervisord starts")
    watcher = pcatch.attach(json.loads(said)["pid"])
    os.kill(manager.pid, signal.SIGTERM)
    report = pcatch.caught(watcher)
    assert (report.cause, report.signal["name"]) == ("killed-by-supervisor", "SIGKILL")
    assert "supervisord (pid %d), its parent," % manager.pid in report.summary
    assert "after SIGTERM, likely: stopwaitsecs ran out" in report.summary
    assert "stubborn.py:" in report.summary
    assert report.verdict["confidence"] == "certain"


def read(path):
    """What is in the file, once it ends in a newline."""
    text = path.read_text() if path.exists() else ""
    return text if text.endswith("\n") else None


# Its broker is in its own memory, and the file "go" asks for the task.
CELERY_APP = """
import os, threading, time
from celery import Celery
from celery.signals import worker_ready
app = Celery("jobs", broker="memory://")

@app.task
def hang():
    print("hanging", flush=True)
    time.sleep(600)

@worker_ready.connect
def ready(**more):
    def begin():
        while not os.path.exists("go"):
            time.sleep(0.1)
        hang.delay()
    threading.Thread(target=begin, daemon=True).start()
    print("ready", flush=True)
"""


@pytest.fixture
def celery(pcatch, tmp_path):
    """celery("--time-limit", "1") is a worker of one process, that process, and what makes it hang."""
    need_module("celery")
    (tmp_path / "jobs.py").write_text(CELERY_APP)

    def start(*options):
        command = (SYSTEM, "-m", "celery", "-A", "jobs", "worker", "-P", "prefork", "-c", "1")
        running = pcatch.start(*command, *options, cwd=tmp_path)
        running.line("stderr", "ready", 60)
        [worker] = children_of(running.pid)
        return running, worker, (tmp_path / "go").touch

    return start


@needs_listening
def test_celery_s_hard_time_limit_is_named(pcatch, celery):
    parent, worker, go = celery("--time-limit", "1")
    watcher = pcatch.attach(worker)
    go()
    report = pcatch.caught(watcher, 60)
    assert report.cause == "killed-by-supervisor"
    # SIGKILL follows in a tenth of a second, if there is still somebody.
    assert report.signal["name"] in ("SIGTERM", "SIGKILL")
    assert "celery (pid %d), its parent," % parent.pid in report.summary
    assert "a task's hard time limit (--time-limit)" in report.summary
    asked = [e for e in report.death["earlier_signals"] if e["name"] == "SIGTERM"]
    assert asked and asked[0]["handled"] and asked[0]["sender"]["pid"] == parent.pid


@needs_listening
def test_celery_s_warm_shutdown_is_an_end_in_order(pcatch, celery):
    parent, worker, _ = celery()
    watcher = pcatch.attach(worker)
    os.kill(parent.pid, signal.SIGTERM)
    report = pcatch.caught(watcher, 60)
    assert (report.cause, report.death["exit_code"]) == ("clean-exit", 0)
    assert "child of billiard (celery) whose work was over" in report.summary


@needs_listening
def test_celery_s_cold_shutdown_stops_its_workers_in_order(pcatch, celery):
    parent, worker, go = celery()
    watcher = pcatch.attach(worker)
    go()
    parent.line("stderr", "hanging", 60)
    os.kill(parent.pid, signal.SIGQUIT)
    report = pcatch.caught(watcher, 60)
    assert report.cause in ("graceful-shutdown", "killed-by-supervisor")
    assert "SIGTERM from celery (pid %d), its parent," % parent.pid in report.summary
    assert "a shutdown" in report.text


PIDFD = """
import os, signal, sys
signal.pidfd_send_signal(os.pidfd_open(int(sys.argv[1])), signal.SIGKILL)
"""

TGKILL = """
import ctypes, platform, sys
pid, call = int(sys.argv[1]), {"x86_64": 234, "aarch64": 131}[platform.machine()]
sys.exit(ctypes.CDLL(None).syscall(call, pid, pid, 9) != 0)
"""


@needs_listening
def test_child_of_what_is_run_that_multiprocessing_ends_names_its_parent(pcatch, any_python, tmp_path):
    (tmp_path / "pool.py").write_text(POOL)
    watcher = pcatch.run(any_python, tmp_path / "pool.py", "terminate", "fork", options=["--children"])
    truth = watcher.truth
    watcher.go()
    assert watcher.wait() == 0
    report = {report.process["pid"]: report for report in pcatch.reports()}[truth["pid"]]
    assert report.cause == "killed-by-supervisor"
    assert (report.sender["pid"], report.sender["relation"]) == (truth["parent"], "parent")
    assert "Process.terminate()" in report.summary


@needs_listening
@pytest.mark.parametrize("script", [PIDFD, TGKILL], ids=["pidfd_send_signal", "tgkill"])
def test_sigkill_by_another_call_than_kill_names_the_sender(pcatch, victim, script):
    if script is PIDFD and not hasattr(signal, "pidfd_send_signal"):
        pytest.skip("this Python has no pidfd_send_signal")
    report, killer, _ = pcatch.catch_kill(victim("handled"), sys.executable, "-c", script, "{}")
    assert killer.wait() == 0, killer.stderr
    assert report.cause == "killed-by-process"
    assert (report.sender["kind"], report.sender["pid"]) == ("process", killer.pid)
    assert report.verdict["confidence"] == "certain"


@needs_listening
def test_kill_of_a_whole_process_group_names_who_did_it(pcatch, victim):
    script = (
        "import os, subprocess, sys\n"
        "child = subprocess.Popen([sys.argv[1], 'none'], stdin=subprocess.PIPE, preexec_fn=os.setpgrp)\n"
        "sys.stdin.readline()\n"
        "os.killpg(child.pid, 9)\n"
        "child.wait()\n"
    )
    report, running = pcatch.catch_child(sys.executable, "-c", script, victim("handled"))
    assert report.cause == "killed-by-supervisor"
    assert (report.sender["kind"], report.sender["pid"]) == ("process", running.pid)
    assert report.sender["relation"] == "parent"


@needs_listening
def test_parent_that_kills_its_own_group_and_goes_with_it_is_named(pcatch, victim):
    script = (
        "import os, subprocess, sys\n"
        "subprocess.Popen([sys.argv[1], 'none'], stdin=subprocess.PIPE)\n"
        "sys.stdin.readline()\n"
        "os.kill(0, 9)\n"
    )
    command = (sys.executable, "-c", script, victim("handled"))
    report, running = pcatch.catch_child(*command, status=-signal.SIGKILL, preexec_fn=os.setpgrp)
    assert report.cause == "killed-by-supervisor"
    assert (report.sender["pid"], report.sender["relation"]) == (running.pid, "parent")
    assert report.verdict["confidence"] == "certain"


@needs_listening
def test_sigkill_for_the_parent_s_death_is_told_apart_from_a_kill(pcatch, any_python):
    script = (
        "import ctypes, json, os, signal, sys, time\n"
        "read, write = os.pipe()\n"
        "if os.fork() == 0:\n"
        "    ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)\n"
        "    os.write(write, b'ready')\n"
        "    while True: time.sleep(600)\n"
        "os.read(read, 5)\n"
        "children = open('/proc/self/task/%d/children' % os.getpid()).read()\n"
        "print(json.dumps({'pid': int(children)}), flush=True)\n"
        "sys.stdin.readline()\n"
        "os._exit(0)\n"
    )
    report, _ = pcatch.catch_child(any_python, "-c", script)
    assert (report.cause, report.verdict["confidence"]) == ("parent-death", "certain")
    assert "PR_SET_PDEATHSIG" in report.text


def test_hard_limit_of_cpu_time_is_named_as_the_kernel_s_kill(pcatch, any_python):
    script = (
        "import json, os, resource, signal, sys\n"
        "signal.signal(signal.SIGXCPU, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (1, 2))\n"
        "print(json.dumps({'pid': os.getpid()}), flush=True)\n"
        "sys.stdin.readline()\n"
        "while True: pass\n"
    )
    report = pcatch.catch(any_python, "-c", script)
    assert (report.cause, report.status) == ("resource-limit", -signal.SIGKILL)
    assert "hard limit of 2 s" in report.summary
    assert not report.sender or report.sender["kind"] != "process"


@pytest.fixture
def cgroup():
    """A cgroup of the second version below our own, which the test may put processes into."""
    roots = []
    with open("/proc/self/mountinfo") as file:
        roots = [line.split()[4] for line in file if " - cgroup2 " in line]
    with open("/proc/self/cgroup") as file:
        own = next((line.strip()[4:] for line in file if line.startswith("0::/")), "")
    folder = None
    if roots:
        folder = os.path.join(roots[0], own, "pcatch-test-%d" % os.getpid())
        try:
            os.mkdir(folder)
        except OSError as e:
            pytest.skip("no cgroup can be made here: %s" % e)
    if not folder or not os.path.exists(folder + "/cgroup.kill"):
        if folder:
            os.rmdir(folder)
        pytest.skip("no cgroup with cgroup.kill here")
    yield folder
    until(lambda: not open(folder + "/cgroup.procs").read(), "an empty cgroup")
    os.rmdir(folder)


@needs_listening
def test_kill_of_the_whole_cgroup_is_told_apart_from_a_kill(pcatch, victim, cgroup):
    running = pcatch.start(victim("handled"), "none")
    with open(cgroup + "/cgroup.procs", "w") as file:
        file.write(str(running.truth["pid"]))
    watcher = pcatch.attach(running.truth["pid"])
    killer = pcatch.start("sh", "-c", 'echo 1 > "$0"', cgroup + "/cgroup.kill")
    assert running.wait() == -signal.SIGKILL
    report = pcatch.caught(watcher)
    assert report.sender["pid"] == killer.pid
    assert report.cause == "killed-by-process"
    assert "cgroup.kill" in report.summary
