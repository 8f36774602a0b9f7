# SPDX-License-Identifier: GPL-3.0-or-later
"""Nobody was attached: what pcatch autopsy makes of what is left."""
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from conftest import DEATHS, VICTIMS, status_of, until
from test_memory import FILL, group, may_read_kernel_log  # noqa: F401, a fixture


@pytest.fixture
def server(pcatch, any_python, tmp_path):
    """A daemon with workers, pidfile, heartbeat and log; what it left behind is ended with the test."""
    started = []

    def start(*options):
        running = pcatch.start(any_python, VICTIMS / "server.py", tmp_path, *options)
        running.truth
        started.append(running)
        running.log, running.pidfile = tmp_path / "server.log", tmp_path / "server.pid"
        until(lambda: running.log.read_text().count("heartbeat") >= 5, "five heartbeats", 30)
        return running

    yield start
    for running in started:
        for pid in running.truth["workers"]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


def autopsy(pcatch, *arguments, status=0):
    called = pcatch.call("autopsy", "-o", pcatch.out, "-f", "text,json,html", *arguments)
    assert called.status == status, called
    report = pcatch.report()
    assert called.stdout == report.text
    assert report.json["threads"] == [] and report.json["modules"] == []
    return report


def end(running, deed):
    if isinstance(deed, signal.Signals):
        os.kill(running.truth["pid"], deed)
    else:
        running.process.stdin.write(deed.encode() + b"\n")
        running.process.stdin.flush()
    running.process.wait(30)
    # The workers write on, and their lines must not be taken for its own.
    size = running.log.stat().st_size
    until(lambda: running.log.stat().st_size > size + 1000, "the workers' lines", 30)


@pytest.mark.parametrize(
    "deed, cause, confidence",
    [
        (signal.SIGKILL, "vanished", "unknown"),
        ("sigpipe", "vanished", "unknown"),
        (signal.SIGTERM, "graceful-shutdown", "likely"),
        ("sigsegv", "native-crash", "likely"),
        ("exception", "uncaught-exception", "possible"),
        ("exit", "vanished", "unknown"),
    ],
)
def test_end_of_a_daemon_whose_workers_live_on(pcatch, server, deed, cause, confidence):
    running = server()
    truth = running.truth
    end(running, deed)
    report = autopsy(pcatch, "--pidfile", running.pidfile, "--log", running.log, "--lines", "30")
    assert (report.cause, report.verdict["confidence"]) == (cause, confidence), report.text
    assert report.process["pid"] == truth["pid"]
    assert report.death["kind"] == "unknown"
    assert "uid" not in report.process and report.process["exe"] is None
    story = report.json["autopsy"]
    assert story["fate"] == "gone"
    assert sorted(left["process"]["pid"] for left in story["left"]) == sorted(truth["workers"])
    assert all(left["same_session"] and left["same_log"] for left in story["left"])
    assert all(left["listens"].endswith(":%d" % truth["port"]) for left in story["left"])
    assert story["last_seen"] <= story["gone_by"] <= story["at"]
    state = "removed" if deed == signal.SIGTERM else "stale"
    assert report.process["pidfile"]["state"] == state
    assert 0.9 < report.json["hints"]["heartbeat"]["interval_seconds"] < 1.5
    if cause == "vanished":
        assert "SIGKILL" in report.summary and "SIGPIPE" in report.summary
        assert any("pcatch attach --pidfile %s" % running.pidfile in a for a in report.verdict["advice"])
    if deed == "sigsegv":
        frames = report.json["python"] or {}
        assert "string_at" in report.summary
        assert "crash" in report.text and "server.py" in report.text
        assert frames == {} or frames["fatal_stack"]
    if deed == "exception":
        assert "ValueError: a bad request" in report.summary


def test_unmarked_lines_of_workers_lower_the_confidence(pcatch, server):
    running = server("--unmarked")
    end(running, "sigsegv")
    report = autopsy(pcatch, "--pidfile", running.pidfile, "--log", running.log)
    assert (report.cause, report.verdict["confidence"]) == ("native-crash", "likely")
    assert any("no mark" in e["text"] for e in report.verdict["evidence"] if not e["supports"])


def test_process_that_is_alive(pcatch, server):
    running = server()
    report = autopsy(pcatch, "--pidfile", running.pidfile, "--log", running.log, status=1)
    assert (report.cause, report.verdict["confidence"]) == ("alive", "certain")
    assert report.death["kind"] == "snapshot"
    assert report.process["uid"] == os.geteuid()


def test_pid_that_belongs_to_another_process_now(pcatch, tmp_path):
    other = pcatch.start(sys.executable, "-c", "print('{}', flush=True); input()")
    other.said()
    pidfile = tmp_path / "old.pid"
    pidfile.write_text("%d\n" % other.pid)
    hour_ago = time.time() - 3600
    os.utime(pidfile, (hour_ago, hour_ago))
    report = autopsy(pcatch, "--pidfile", pidfile)
    assert report.cause == "vanished"
    assert "now belongs to another process" in report.summary
    assert "pid in it is another process's" in " ".join(report.text.split())
    assert report.json["autopsy"]["fate"] == "pid-reused"
    assert report.json["autopsy"]["pid_holder"]["pid"] == other.pid
    assert any(str(pidfile) in advice for advice in report.verdict["advice"])
    assert other.process.poll() is None


def test_pidfile_older_than_the_boot(pcatch, tmp_path):
    child = subprocess.Popen(["true"])
    child.wait()
    pidfile = tmp_path / "old.pid"
    pidfile.write_text("%d\n" % child.pid)
    os.utime(pidfile, (1000000000, 1000000000))
    report = autopsy(pcatch, "--pidfile", pidfile)
    assert report.cause == "vanished" and "restarted" in report.summary


def test_restart_of_a_container_is_told_apart_from_the_machine_s(pcatch, tmp_path):
    inside = ["unshare", "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*inside, "true"], capture_output=True).returncode:
        pytest.skip("no pid namespace may be made here")
    pidfile = tmp_path / "old.pid"
    pidfile.write_text("4242\n")
    os.utime(pidfile, (time.time() - 60, time.time() - 60))
    called = pcatch.start(*inside, pcatch.program, "autopsy", "-o", pcatch.out, "--pidfile", pidfile)
    assert called.wait() == 0, called.stderr
    report = pcatch.report()
    assert report.cause == "vanished" and report.summary.startswith("The container was restarted at ")


@pytest.mark.parametrize("code", [-9, -11, 0, 7])
def test_zombie_s_end_is_known_from_the_kernel(pcatch, code):
    child = subprocess.Popen([sys.executable, "-c", "import os\nos.%s" % (
        "kill(os.getpid(), %d)" % -code if code < 0 else "_exit(%d)" % code)])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    report = autopsy(pcatch, "--pid", str(child.pid))
    assert child.wait() == code
    cause = {-9: "killed-by-unknown", -11: "native-crash", 0: "clean-exit", 7: "exit-code"}[code]
    assert (report.cause, report.verdict["confidence"]) == (cause, "certain")
    assert report.json["autopsy"]["fate"] == "zombie"


def kernel_s_lines(pid):
    fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    found = []
    try:
        while True:
            try:
                record = os.read(fd, 8192).decode(errors="replace")
            except BrokenPipeError:
                continue
            if re.search(r"\b%d\b" % pid, record):
                found.append(record)
    except BlockingIOError:
        return found
    finally:
        os.close(fd)


def die_unattended(pcatch, tmp_path, *command, **popen):
    """The pid, and a pidfile as the process would have written it."""
    if not may_read_kernel_log():
        pytest.skip("/dev/kmsg may not be read")
    if os.readlink("/proc/self/ns/pid") != "pid:[4026531836]":
        pytest.skip("the kernel counts pids in another way than this container")
    running = pcatch.start(*command, **popen)
    pidfile = tmp_path / "app.pid"
    pidfile.write_text("%d\n" % running.truth["pid"])
    running.go()
    assert running.wait() < 0
    return running.truth["pid"], pidfile


def test_oom_kill_that_nobody_watched_is_in_the_kernel_s_log(pcatch, any_python, group, tmp_path):
    here = group(64 << 20)
    pid, pidfile = die_unattended(pcatch, tmp_path, any_python, "-c", FILL, preexec_fn=here.enter)
    report = autopsy(pcatch, "--pidfile", pidfile)
    assert (report.cause, report.verdict["confidence"]) == ("out-of-memory", "certain"), report.text
    assert "control group had met its limit" in report.summary and "python" in report.process["comm"]
    # Without the pidfile nothing says that the pid was not another one's then.
    called = pcatch.call("autopsy", "-q", "-o", pcatch.out, "--pid", str(pid))
    assert called.status == 0
    report = [r for r in pcatch.reports() if not r.process["pidfile"]][0]
    assert (report.cause, report.verdict["confidence"]) == ("out-of-memory", "likely")
    assert "What keeps this from being certain" in report.text


def test_crash_that_nobody_watched_is_in_the_kernel_s_log(pcatch, any_python, tmp_path):
    with open("/proc/sys/debug/exception-trace") as file:
        if file.read().strip() == "0":
            pytest.skip("debug.exception-trace is 0: the kernel writes no line of a crash")
    for _ in range(5):
        pid, pidfile = die_unattended(pcatch, tmp_path, any_python, DEATHS, "segfault")
        if kernel_s_lines(pid):
            break
    else:
        pytest.skip("others crash so often that the kernel wrote no line of ours")
    report = autopsy(pcatch, "--pidfile", pidfile)
    assert (report.cause, report.verdict["confidence"]) == ("native-crash", "certain"), report.text
    assert "segfault" in report.summary and "python" in report.process["comm"]
    assert "nobody saw how" not in report.text


SCENES = {
    "gunicorn's master saw it": (
        "[T0 +0000] [PID] [INFO] Booting worker with pid: PID\n"
        "[T1 +0000] [1] [CRITICAL] WORKER TIMEOUT (pid:PID)\n"
        "[T2 +0000] [1] [ERROR] Worker (pid:PID) was sent SIGKILL! Perhaps out of "
        "memory?\n",
        "killed-by-supervisor",
        "likely",
    ),
    "supervisord saw it": (
        "T0,001 INFO spawned: 'web' with pid PID\n"
        "T1,001 INFO exited: web (terminated by SIGSEGV (core dumped); not expected)\n",
        "native-crash",
        "likely",
    ),
    "a shell saw it": (
        "T0 [PID] ready\nstart.sh: line 3:   PID Killed       python app.py\n",
        "killed-by-unknown",
        "likely",
    ),
    "it ended in order": (
        "INFO:     Started server process [PID]\nINFO:     Shutting down\n"
        "INFO:     Finished server process [PID]\n",
        "clean-exit",
        "likely",
    ),
    "it took a signal and was not done": (
        "T0 [PID] received SIGTERM, draining\n",
        "graceful-shutdown",
        "likely",
    ),
    "it lived on after a signal": (
        "T0 [PID] received SIGINT, ignored\n" + "T3 [PID] GET /\n",
        "vanished",
        "unknown",
    ),
    "an exception that it caught": (
        "T0 [PID] ERROR oops\nTraceback (most recent call last):\n"
        '  File "a.py", line 1, in f\nValueError: x\nT1 [PID] GET /\n',
        "vanished",
        "unknown",
    ),
    "an exception that nobody caught": (
        "T0 [PID] GET /\nTraceback (most recent call last):\n"
        '  File "a.py", line 1, in f\nValueError: x\n',
        "uncaught-exception",
        "likely",
    ),
}


@pytest.mark.parametrize("name", SCENES)
def test_scene(pcatch, tmp_path, name):
    text, cause, confidence = SCENES[name]
    now = time.time()
    with open("/proc/uptime") as file:
        if float(file.read().split()[0]) < 500:
            pytest.skip("the machine was started less than 500 s ago: lines before that say another thing")
    for mark, ago in (("T0", 400), ("T1", 60), ("T2", 59), ("T3", 20)):
        text = text.replace(mark, time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(now - ago)))
    child = subprocess.Popen(["true"])
    child.wait()
    log = tmp_path / "app.log"
    log.write_text(text.replace("PID", str(child.pid)))
    report = autopsy(pcatch, "--pid", str(child.pid), "--log", log)
    assert (report.cause, report.verdict["confidence"]) == (cause, confidence), report.text
    assert "gunicorn" not in name or "worker timeout" in report.summary


def test_log_of_many_gigabytes_and_of_garbage(pcatch, tmp_path):
    child = subprocess.Popen(["true"])
    child.wait()
    log = tmp_path / "huge.log"
    with open(log, "wb") as file:
        file.truncate(10 << 30)
        file.seek(0, os.SEEK_END)
        file.write(b"\n\x00\x1b[31m\xff\xfe\n2026-01-02 03:04:05 [%d] the end\n" % child.pid)
    report = autopsy(pcatch, "--pid", str(child.pid), "--log", log)
    lines = report.json["logs"][0]["lines"]
    assert lines[-1].endswith("the end") and lines[-2] == "\\x00\\x1b[31m\\xff\\xfe"


def test_fifo_is_refused_and_not_even_opened(pcatch, tmp_path):
    # A second reader that goes away would be the end of a writer who has waited for the first one.
    fifo = tmp_path / "app.log"
    os.mkfifo(fifo)
    writer = pcatch.start("sh", "-c", 'echo "{}"; echo hello >"$1"; echo "{}"', "sh", fifo)
    writer.said()
    until(lambda: status_of(writer.pid)["State"].startswith("S"), "it to wait for a reader")
    called = pcatch.call("autopsy", "-o", pcatch.out, "--pid", "1", "--log", fifo)
    assert called.status == 1 and "not a regular file" in called.stderr
    assert called.stderr.count("\n") == 1
    with open(fifo) as file:
        assert file.read() == "hello\n"
    assert writer.wait() == 0


def test_rotated_log_is_read_where_it_has_the_last_word_and_no_file_twice(pcatch, tmp_path):
    child = subprocess.Popen(["true"])
    child.wait()
    pid, log, before = child.pid, tmp_path / "app.log", tmp_path / "app.log.1"
    before.write_text("2026-01-02 03:04:05 [%d] received SIGTERM, stopping\n" % pid)
    log.write_text("2026-01-02 04:00:00 [%d] another one\n" % (pid + 1))
    report = autopsy(pcatch, "--pid", str(pid), "--log", log, "--log", before, "--log", log)
    assert report.cause == "graceful-shutdown", report.text
    assert sorted(log["path"] for log in report.json["logs"]) == [str(log), str(before)]
    before.write_text("2026-01-02 03:04:05 [%d] not its\n" % (pid + 1))
    called = pcatch.call("autopsy", "-o", tmp_path / "b", "--pid", str(pid), "--log", log, "--log", before)
    assert called.stdout.count("Last lines of ") == 2, called


def test_log_without_a_line_says_nothing(pcatch, tmp_path):
    child = subprocess.Popen(["true"])
    child.wait()
    log, pidfile = tmp_path / "app.log", tmp_path / "app.pid"
    log.write_text("")
    report = autopsy(pcatch, "--pid", str(child.pid), "--log", log)
    assert report.cause == "vanished"
    assert not [e for e in report.verdict["evidence"] if e["source"] == "log"]
    for arguments in (["--log", log], ["--pidfile", pidfile, "--log", log]):
        called = pcatch.call("autopsy", "-o", tmp_path / "none", *arguments)
        assert called.status == 1 and "--pid" in called.stderr and not called.stdout
        assert called.stderr.count("\n") == 1 and not list((tmp_path / "none").glob("*"))


def test_missing_pidfile_is_not_taken_for_an_orderly_end(pcatch, tmp_path):
    child = subprocess.Popen(["true"])
    child.wait()
    report = autopsy(pcatch, "--pid", str(child.pid), "--pidfile", tmp_path / "no.pid")
    assert report.cause == "vanished" and "or never written" in report.text


def test_pid_is_learnt_from_the_lines_of_a_log(pcatch, tmp_path):
    gone = subprocess.Popen(["true"])
    gone.wait()
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime())
    log = tmp_path / "app.log"
    # Its worker, we, is still there.
    log.write_text("[%d] %s ready\n[%d] %s GET /\n" % (gone.pid, when, os.getpid(), when))
    report = autopsy(pcatch, "--log", log)
    assert report.process["pid"] == gone.pid
    also = subprocess.Popen(["true"])
    also.wait()
    log.write_text(log.read_text() + "[%d] %s GET /\n" % (also.pid, when))
    called = pcatch.call("autopsy", "-o", pcatch.out, "--log", log)
    assert called.status == 1 and "--pid" in called.stderr and str(also.pid) in called.stderr


def test_secrets_in_logs_stay_out_of_every_file(pcatch, tmp_path):
    child = subprocess.Popen(["true"])
    child.wait()
    log = tmp_path / "app.log"
    key = ["-----BEGIN PRIVATE KEY-----", *["Tm90IGEgc2VjcmV0IGF0IGFsbCwgYnV0IGxvbmcgZW5vdWdo"] * 3,
           "-----END PRIVATE KEY-----"]
    log.write_text("\n".join(
        ["[%d] early postgres://app:hunter2@db/x" % child.pid, *key]
        + ["GET /%d" % i for i in range(40)]
        + ["[%d] DB_PASSWORD=hunter2" % child.pid, *key, "the end", ""]
    ))
    arguments = ["--pid", str(child.pid), "--log", log, "--lines", "12"]
    report = autopsy(pcatch, *arguments)
    for file in pcatch.out.iterdir():
        data = file.read_bytes()
        assert b"hunter2" not in data and b"Tm90IGEg" not in data, file
    lines = report.json["logs"][0]["lines"]
    assert lines[-1] == "the end" and "postgres://app:[redacted]@db/x" in lines[0]
    shown = report.text.splitlines()
    first = next(i for i, line in enumerate(shown) if "postgres://" in line)
    assert "lines left out" in shown[first + 1]
    everything = pcatch.call("autopsy", "-o", tmp_path / "raw", "--no-redact", *arguments)
    assert everything.status == 0 and everything.stdout.count("hunter2") == 2


@pytest.mark.parametrize(
    "arguments, status, words",
    [
        ([], 2, "--pidfile"),
        (["12"], 2, "--pid"),
        (["--pid", "x"], 2, "--pid"),
        (["--pid", "0"], 2, "--pid"),
        (["--pid", "1", "--since", "yesterday"], 2, "yesterday"),
        (["--pid", "1", "--since", "2026-02-30T00:00:00Z"], 2, "2026-02-30"),
        (["--pid", "1", "--since", "2 hours"], 2, "2 hours"),
        (["--pid", "1", "--since", "2199-01-01T00:00:00Z"], 2, "past"),
        (["--pid", "1", "--since", "2026-01-01T00:00:00 CET"], 2, "no time"),
        (["--pid", "1", "-f", "core"], 2, "core"),
        (["--pidfile", "/nonexistent/x.pid"], 1, "/nonexistent/x.pid"),
        (["--pidfile", "/proc"], 1, "/proc"),
        (["--pidfile", "/proc/version"], 1, "no process id"),
        (["--log", "/nonexistent/x.log"], 1, "/nonexistent/x.log"),
        (["--pid", "1", "--log", "/dev"], 1, "folder: name a file in it"),
        (["--pid", "1", "--log", "/dev/null"], 1, "not a regular file"),
        (["--pid", "99999999"], 2, "--pid"),
    ],
)
def test_bad_input_is_one_line(pcatch, arguments, status, words):
    called = pcatch.call("autopsy", "-o", pcatch.out, *arguments)
    assert called.status == status, called
    assert called.stderr.count("\n") == 1 and words in called.stderr, called
    assert not list(pcatch.out.glob("*")) and not called.stdout


def test_since_leaves_older_lives_out(pcatch, tmp_path):
    child = subprocess.Popen(["true"])
    child.wait()
    log = tmp_path / "app.log"
    log.write_text("2026-01-02 03:04:05 [%d] received SIGTERM\n" % child.pid)
    os.utime(log, (1767323106, 1767323106))
    report = autopsy(pcatch, "--pid", str(child.pid), "--log", log, "--since", "2026-01-02T03:04:06Z")
    assert report.cause == "vanished"
