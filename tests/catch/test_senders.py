# SPDX-License-Identifier: GPL-3.0-or-later
"""Who sent it: the sender is named, also when it is gone, also for SIGKILL, which nobody sees come."""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

import pytest

from conftest import needs_listening, status_of, until

def assert_named(report, comm, *command, gone=False):
    """The sender is named COMM, and its command line is COMMAND where it could be seen."""
    sender = report.sender
    assert (sender["kind"], sender["source"]) == ("process", "tracepoint"), sender
    assert sender["comm"] == comm, sender
    assert sender["pid"] and sender["tid"]
    assert str(sender["pid"]) in report.summary
    if sender["cmdline"] or not gone:
        assert sender["cmdline"] == [str(word) for word in command]
        assert sender["uid"] == os.geteuid()
    assert report.verdict["confidence"] == "certain"
    return sender


@needs_listening
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_sigkill_by_a_shell_s_builtin_names_the_shell(pcatch, victim, shell):
    if not shutil.which(shell):
        pytest.skip("no %s here" % shell)
    report, sender, command = pcatch.catch_kill(victim("handled"), shell, "-c", "kill -9 {}; exit")
    named = assert_named(report, shell, *command, gone=True)
    assert named["pid"] == sender.pid
    assert report.cause == "killed-by-process"
    assert [ref["pid"] for ref in named["ancestors"]][:1] == [os.getpid()]


@needs_listening
def test_sigkill_by_bin_kill_names_it_and_who_ran_it(pcatch, victim):
    kill = shutil.which("kill")
    if not kill:
        pytest.skip("no kill program here")
    report, sender, _ = pcatch.catch_kill(victim("handled"), "sh", "-c", kill + " -9 {}; true")
    named = report.sender
    assert (named["kind"], named["comm"]) == ("process", "kill")
    assert named["pid"] not in (None, sender.pid)
    assert named["ancestors"][0]["pid"] == sender.pid, "its shell"
    # Its command line may have gone with it by the time somebody looks.
    assert named["ancestors"][0]["comm"] == "sh"
    assert report.cause == "killed-by-process"


@needs_listening
def test_sender_whose_parent_is_gone_was_started_by_that_all_the_same(pcatch, victim):
    script = (
        "import json, subprocess, sys\n"
        "quiet = {'stdout': subprocess.DEVNULL, 'stderr': subprocess.DEVNULL}\n"
        "child = subprocess.Popen(['sh', '-c', 'read go; kill -9 %s; exit' % sys.argv[1]], **quiet)\n"
        "print(json.dumps({'pid': child.pid}), flush=True)\n"
    )
    running = pcatch.start(victim("handled"), "none")
    pid = running.truth["pid"]
    watcher = pcatch.attach(pid)
    starter = pcatch.start(sys.executable, "-c", script, str(pid))
    sender = starter.truth["pid"]
    assert starter.wait() == 0
    starter.go()
    report = pcatch.caught(watcher)
    assert report.sender["pid"] == sender
    assert [ref["pid"] for ref in report.sender["ancestors"]][:2] == [starter.pid, os.getpid()]


NURSERY = """
import json, os, subprocess, sys
children = [subprocess.Popen(["sleep", "600"]) for _ in range(int(sys.argv[1]))]
print(json.dumps({"pid": os.getpid(), "children": [child.pid for child in children]}), flush=True)
for child in children:
    child.wait()
"""


@needs_listening
def test_every_one_of_many_senders_that_end_at_once_is_named(pcatch, tmp_path):
    kill = shutil.which("kill")
    if not kill:
        pytest.skip("no kill program here")
    # How many is a matter of patience: each makes a report.
    count = int(os.environ.get("PCATCH_TEST_SENDERS") or 40)
    nursery = pcatch.start(sys.executable, "-c", NURSERY, str(count))
    options = ["--children", "-f", "json", "-q", "-o", tmp_path / "many"]
    watcher = pcatch.start(pcatch.program, "attach", *options, str(nursery.truth["pid"]))
    children = nursery.truth["children"]
    until(lambda: all(int(status_of(c).get("TracerPid", 0)) for c in children), "all watched")
    senders = {}
    for child in children:
        killer = subprocess.Popen([kill, "-9", str(child)])
        senders[child] = killer.pid
        killer.wait()
    assert nursery.wait(120) == 0
    assert watcher.wait(120) == 0
    seen = {}
    for path in (tmp_path / "many").glob("sleep-*.json"):
        report = json.loads(path.read_text())
        sender = report["death"]["signal"]["sender"]
        seen[report["process"]["pid"]] = sender["pid"]
        assert (sender["kind"], sender["comm"]) == ("process", "kill"), sender
        assert sender["ancestors"][0]["pid"] == os.getpid(), sender
        assert report["verdict"]["cause"] == "killed-by-process"
    assert seen == senders


@needs_listening
def test_sigkill_to_itself_accuses_nobody(pcatch, any_python):
    report = pcatch.catch(
        any_python,
        "-c",
        "import json, os, sys; print(json.dumps({'pid': os.getpid()}), flush=True)\n"
        "sys.stdin.readline(); os.kill(os.getpid(), 9)",
    )
    assert (report.cause, report.sender["kind"]) == ("terminated-by-signal", "self")
    assert report.status == -signal.SIGKILL


@needs_listening
def test_pkill_is_named(pcatch, victim):
    if not shutil.which("pkill"):
        pytest.skip("no pkill here")
    report, sender, command = pcatch.catch_kill(victim("handled"), "pkill", "-KILL", "-P", str(os.getpid()), "handled")
    assert assert_named(report, "pkill", *command, gone=True)["pid"] == sender.pid


@needs_listening
def test_killall_is_named(pcatch, victim, tmp_path):
    if not shutil.which("killall"):
        pytest.skip("no killall here")
    # A file of its own: others may run the victim, too.
    own = shutil.copy(victim("handled"), tmp_path / "handled")
    report, sender, command = pcatch.catch_kill(own, "killall", "-KILL", own)
    assert assert_named(report, "killall", *command, gone=True)["pid"] == sender.pid


@needs_listening
def test_timeout_that_kills_after_terminating_tells_the_story(pcatch, any_python):
    script = (
        "import json, os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *a: None)\n"
        "print(json.dumps({'pid': os.getpid()}), flush=True)\n"
        "while True: time.sleep(600)\n"
    )
    running = pcatch.start("timeout", "-k", "1", "3", any_python, "-c", script)
    watcher = pcatch.attach(running.truth["pid"])
    assert running.wait() != 0
    report = pcatch.caught(watcher)
    assert report.cause == "killed-by-supervisor"
    assert (report.sender["pid"], report.sender["comm"]) == (running.pid, "timeout")
    assert report.sender["relation"] == "parent"
    asked = [e for e in report.death["earlier_signals"] if e["name"] == "SIGTERM"]
    assert len(asked) == 1 and asked[0]["sender"]["pid"] == running.pid
    assert "after SIGTERM" in report.summary
    assert "kill-after" in report.summary
    assert "<string>:4" in report.summary


@needs_listening
@pytest.mark.parametrize("how", ["ignored", "blocked", "handled"])
def test_python_parent_that_kills_after_a_grace_time_is_told_with_its_sigterm(pcatch, any_python, how):
    child = {
        "ignored": "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
        "blocked": "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])",
        "handled": "signal.signal(signal.SIGTERM, lambda *a: None)",
    }[how]
    script = (
        "import json, os, signal, sys, time, subprocess\n"
        "child = subprocess.Popen([sys.executable, '-c', '''import os, signal, time\\n%s\\n"
        "os.write(1, b\"ready\")\\nwhile True: time.sleep(600)'''], stdout=subprocess.PIPE)\n"
        "os.read(child.stdout.fileno(), 5)\n"
        "print(json.dumps({'pid': child.pid}), flush=True)\n"
        "sys.stdin.readline()\n"
        "child.terminate()\n"
        "try: child.wait(1)\n"
        "except subprocess.TimeoutExpired: child.kill()\n"
        "child.wait()\n" % child
    )
    report, running = pcatch.catch_child(any_python, "-c", script)
    assert (report.cause, report.sender["pid"]) == ("killed-by-supervisor", running.pid)
    asked = [e for e in report.death["earlier_signals"] if e["name"] == "SIGTERM"]
    assert len(asked) == 1 and asked[0]["sender"]["pid"] == running.pid
    assert asked[0]["handled"] == (how == "handled")
    assert "after SIGTERM" in report.summary
    assert how in report.text


GUNICORN_APP = """
import time
def app(environ, start_response):
    time.sleep(600)
"""

GUNICORN_LEAVES_SLOWLY = """
import time
def worker_abort(worker):
    time.sleep(600)
"""


@needs_listening
@pytest.mark.parametrize("hook, number", [("", None), (GUNICORN_LEAVES_SLOWLY, signal.SIGKILL)], ids=["exits", "hangs"])
def test_gunicorn_s_worker_timeout_names_its_master(pcatch, tmp_path, hook, number):
    if not os.access("/usr/bin/gunicorn", os.X_OK):
        pytest.skip("no /usr/bin/gunicorn here")
    (tmp_path / "slow.py").write_text(GUNICORN_APP)
    (tmp_path / "gunicorn.conf.py").write_text(hook)
    socket_path = tmp_path / "socket"
    master = pcatch.start(
        "/usr/bin/gunicorn", "--timeout", "2", "-b", "unix:%s" % socket_path, "slow:app", cwd=tmp_path
    )
    pid = int(master.line("stderr", r"Booting worker with pid: (\d+)").group(1))
    watcher = pcatch.attach(pid)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(socket_path))
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        report = pcatch.caught(watcher, 60)
    assert report.cause == "killed-by-supervisor"
    # Where there is a lot to do it may be killed, too, before it has left by itself.
    assert number is None or report.signal["number"] == number
    assert "gunicorn (pid %d), its parent" % master.pid in report.summary
    assert "worker timeout" in report.summary
    # What it hung in, not how it left.
    assert "slow.py:4 in app" in report.summary
    assert "moment at which SIGABRT came" in " ".join(report.text.split())
    aborts = [e for e in report.death["earlier_signals"] if e["name"] == "SIGABRT"]
    assert aborts and aborts[0]["sender"]["pid"] == master.pid
    assert report.verdict["confidence"] in ("likely", "certain")


def test_without_the_right_to_listen_nobody_is_accused(pcatch, any_python, tmp_path):
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("dropping rights takes root and setpriv")
    drop = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all"]
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pcatch-"))
    try:
        os.chmod(folder, 0o1777)
        program = shutil.copy(pcatch.program, folder / "pcatch")
        os.chmod(program, 0o755)
        out = folder / "out"
        command = [program, "run", "-v", "-f", "json", "-o", out, "--", "sleep", "600"]
        running = pcatch.start(*drop, *command, env={**os.environ, "HOME": str(folder)})
        pid = int(running.line("stderr", r"watching (\d+)").group(1))
        os.kill(pid, signal.SIGKILL)
        assert running.wait() == -signal.SIGKILL
        report = json.loads(next(out.glob("*.json")).read_text())
    finally:
        shutil.rmtree(folder)
    assert report["verdict"]["cause"] == "killed-by-unknown"
    assert report["verdict"]["confidence"] == "unknown"
    assert report["death"]["signal"]["sender"]["pid"] is None
    remedies = [gap.get("remedy") or "" for gap in report["gaps"]]
    assert any("setcap" in remedy and "cap_perfmon" in remedy for remedy in remedies), remedies
    assert report["verdict"]["ruled_out"]
    for advice in report["verdict"].get("advice", []):
        assert "certain" not in advice


@needs_listening
def test_command_that_is_to_grant_the_right_to_listen_grants_it(pcatch):
    tools = ("setpriv", "setcap", "unshare")
    if os.geteuid() != 0 or not all(shutil.which(tool) for tool in tools):
        pytest.skip("granting rights takes root, setpriv, setcap and unshare")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pcatch-"))
    try:
        os.chmod(folder, 0o777)
        program = shutil.copy(pcatch.program, folder / "pcatch")
        os.chmod(program, 0o755)
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        watch = "%s run -v -f json -o %s -- sleep 600"
        env = {**os.environ, "HOME": str(folder), "PATH": "%s:%s" % (folder, os.environ["PATH"])}

        def killed(out, *command):
            # What the command mounts is gone with the namespace.
            running = pcatch.start("unshare", "--mount", *command, env=env)
            pid = int(running.line("stderr", r"watching (\d+)").group(1))
            sender = subprocess.Popen(["sh", "-c", "kill -9 %d; exit" % pid])
            sender.wait()
            assert running.wait() != 0
            return json.loads(next((folder / out).glob("*.json")).read_text()), sender.pid

        before, _ = killed("without", *nobody, *(watch % (program, folder / "without")).split())
        assert before["verdict"]["cause"] == "killed-by-unknown"
        remedies = [gap["remedy"] for gap in before["gaps"] if "cap_perfmon" in (gap.get("remedy") or "")]
        command = remedies[0].split(", or ")[0]
        script = 'sudo() { "$@"; }\n%s || exit 3\nexec %s %s' % (
            command,
            " ".join(nobody),
            watch % (program, folder / "with"),
        )
        after, sender = killed("with", "sh", "-c", script)
        assert after["verdict"]["cause"] == "killed-by-process", after["gaps"]
        assert after["death"]["signal"]["sender"]["pid"] == sender
    finally:
        shutil.rmtree(folder)


def in_namespace(pcatch, program, script):
    """
    A shell that runs SCRIPT, in which $0 is PROGRAM, as the first process of a pid namespace, and the
    pid of PROGRAM in ours.
    """
    unshare = ["unshare", "--pid", "--fork", "--kill-child"]
    if subprocess.run(unshare + ["true"], capture_output=True).returncode:
        pytest.skip("unshare --pid is not possible here")
    inside = pcatch.start(*unshare, "sh", "-c", script, program)
    return inside, until(lambda: running_pid(program), "the victim inside of the namespace")


@needs_listening
def test_sigkill_from_outside_the_pid_namespace_names_the_sender_and_says_so(pcatch, victim):
    program = str(victim("handled"))
    inside, pid = in_namespace(pcatch, program, '"$0" none & wait $!; exit 3')
    inside.said()
    watcher = pcatch.attach(pid)
    os.kill(pid, signal.SIGKILL)
    report = pcatch.caught(watcher)
    # That we are an ancestor of the victim, too, is not what counts.
    assert report.cause == "killed-from-outside"
    assert (report.sender["kind"], report.sender["pid"]) == ("outside-namespace", os.getpid())
    assert str(os.getpid()) in report.summary


@needs_listening
def test_sender_outside_the_pid_namespace_that_is_gone_at_once_is_named_all_the_same(pcatch, victim):
    kill = shutil.which("kill")
    if not kill:
        pytest.skip("no kill program here")
    program = str(victim("handled"))
    inside, pid = in_namespace(pcatch, program, '"$0" none & wait $!; exit 3')
    inside.said()
    watcher = pcatch.attach(pid)
    sender = pcatch.start(kill, "-9", str(pid))
    report = pcatch.caught(watcher)
    assert report.cause == "killed-from-outside"
    assert (report.sender["kind"], report.sender["pid"]) == ("outside-namespace", sender.pid)
    assert report.sender["ancestors"][0]["pid"] == os.getpid()
    assert "kill (pid %d)" % sender.pid in report.summary


@needs_listening
def test_sigkill_inside_of_a_pid_namespace_is_from_there(pcatch, victim):
    inside, pid = in_namespace(pcatch, str(victim("handled")), '"$0" none & read go; kill -9 $!; wait')
    watcher = pcatch.attach(pid)
    inside.go()
    report = pcatch.caught(watcher)
    assert report.cause == "killed-by-supervisor"
    assert (report.sender["kind"], report.sender["comm"]) == ("process", "sh")
    assert report.sender["relation"] == "parent"


@needs_listening
def test_end_of_a_pid_namespace_is_told_apart_from_a_kill(pcatch, victim):
    inside, pid = in_namespace(pcatch, str(victim("handled")), '"$0" none & read go; exit 0')
    watcher = pcatch.attach(pid)
    inside.go()
    report = pcatch.caught(watcher)
    assert (report.cause, report.sender["kind"]) == ("killed-by-supervisor", "kernel")
    assert "pid namespace" in report.summary
    assert report.verdict["confidence"] == "certain"


def watched_from_inside(pcatch, program):
    """pcatch and its victim in a pid namespace of their own; the two, and the victim's pid out here."""
    unshare = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if subprocess.run(unshare + ["true"], capture_output=True).returncode:
        pytest.skip("unshare --pid --mount-proc is not possible here")
    script = '"$0" none & victim=$!; "$1" attach -o "$2" $victim & read go; /bin/kill -9 $victim; wait'
    inside = pcatch.start(*unshare, "sh", "-c", script, program, pcatch.program, pcatch.out)
    inside.line("stderr", r"watching \d+")
    return inside, until(lambda: running_pid(program), "the victim inside of the namespace")


@needs_listening
def test_pcatch_in_a_pid_namespace_names_a_sender_in_it(pcatch, victim):
    if not os.access("/bin/kill", os.X_OK):
        pytest.skip("no /bin/kill here")
    inside, _ = watched_from_inside(pcatch, str(victim("handled")))
    inside.go()
    inside.line("stderr", "report: ")
    report = pcatch.report(inside)
    assert report.cause == "killed-by-process"
    assert (report.sender["kind"], report.sender["comm"]) == ("process", "kill")
    assert report.sender["ancestors"][0]["pid"] == 1


@needs_listening
def test_pcatch_in_a_pid_namespace_says_when_the_sender_is_outside(pcatch, victim):
    inside, pid = watched_from_inside(pcatch, str(victim("handled")))
    os.kill(pid, signal.SIGKILL)
    inside.line("stderr", "report: ")
    report = pcatch.report(inside)
    assert report.cause == "killed-from-outside"
    assert (report.sender["kind"], report.sender["pid"]) == ("outside-namespace", None)
    assert [gap for gap in report.json["gaps"] if "outside" in gap["why"] and gap.get("remedy")]


def running_pid(program):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink("/proc/%s/exe" % pid) == program:
                return int(pid)
        except OSError:
            pass
    return None
