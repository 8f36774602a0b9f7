# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole catches: a victim, pcatch, and what they leave behind.

Every report that a test makes is checked in Report: it validates against the schema, `show` says
again what was said at the death, its files have mode 0600. PCATCH names the program under test,
PCATCH_TEST_SLOWNESS is a factor on all deadlines, PCATCH_TEST_VERSIONS are the CPythons to take ("2.7
3.12") where not all are wanted.
"""
import contextlib
import fcntl
import glob
import importlib.util
import io
import json
import os
import pathlib
import re
import resource
import select
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from datetime import datetime

import jsonschema
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
VICTIMS = ROOT / "tests" / "victims"
PCATCH = pathlib.Path(os.environ.get("PCATCH") or ROOT / "build" / "src" / "pcatch").resolve()
SLOWNESS = float(os.environ.get("PCATCH_TEST_SLOWNESS") or 1)
MDMP_CHECK = ROOT.parent / "shared" / "tools" / "mdmp_check.py"

FORMATS = jsonschema.FormatChecker()


@FORMATS.checks("date-time", raises=ValueError)
def is_date_time(text):
    if not isinstance(text, str):
        return True
    # RFC 3339 with a zone; fromisoformat() of old versions wants neither Z nor nanoseconds.
    match = re.fullmatch(
        r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)", text, re.ASCII
    )
    if not match:
        raise ValueError("not RFC 3339: " + text)
    datetime.fromisoformat(match.group(1))
    return True


def pytest_configure(config):
    # A shell has these ignored in what it starts in the background, and victims would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    # Some distributions set it for all; what it would fetch depends on the day.
    os.environ.pop("DEBUGINFOD_URLS", None)
    if not os.access(PCATCH, os.X_OK):
        raise pytest.UsageError("%s is not there: build it, or name it by PCATCH" % PCATCH)


class Machine:
    """
    What all tests share, which run beside each other: each holds it for itself and others like it,
    and one that changes a setting of the kernel's waits to be alone.
    """

    def __init__(self):
        name = os.path.join(tempfile.gettempdir(), ".pcatch-tests-%d" % os.getuid())
        self.lock, self.door = open(name + ".lock", "w"), open(name + ".door", "w")

    def take(self, how):
        # Who wants to be alone keeps the door shut while it waits, or it would wait for ever.
        fcntl.flock(self.door, fcntl.LOCK_EX)
        fcntl.flock(self.lock, how)
        fcntl.flock(self.door, fcntl.LOCK_UN)

    @contextlib.contextmanager
    def shared(self):
        self.take(fcntl.LOCK_SH)
        try:
            yield
        finally:
            fcntl.flock(self.lock, fcntl.LOCK_UN)

    @contextlib.contextmanager
    def alone(self):
        """For a while within shared()."""
        fcntl.flock(self.lock, fcntl.LOCK_UN)
        self.take(fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self.lock, fcntl.LOCK_UN)
            self.take(fcntl.LOCK_SH)


MACHINE = Machine()


@pytest.fixture(autouse=True)
def beside_others():
    with MACHINE.shared():
        yield


def until(condition, what, seconds=10):
    """Ask until there is a true answer, which is returned."""
    deadline = time.monotonic() + seconds * SLOWNESS
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < deadline, "waited %g s in vain: %s" % (seconds * SLOWNESS, what)
        time.sleep(0.005)


def status_of(pid, tid=None):
    """/proc/PID/status as a dictionary, empty when there is no such process."""
    path = "/proc/%d/status" % pid if tid is None else "/proc/%d/task/%d/status" % (pid, tid)
    try:
        with open(path) as file:
            return {k: v.strip() for k, _, v in (line.partition(":") for line in file)}
    except OSError:
        return {}


def tracers_of(pid):
    """The set of tracers of all threads of PID; {0} is a free process."""
    tids = [int(tid) for tid in os.listdir("/proc/%d/task" % pid)]
    return {int(status_of(pid, tid).get("TracerPid", 0)) for tid in tids}


class Running:
    """A program whose output is read as it comes, so that nobody waits for a full pipe."""

    def __init__(self, argv, **popen):
        self.argv = [str(word) for word in argv]
        popen.setdefault("stdin", subprocess.PIPE)
        popen.setdefault("stdout", subprocess.PIPE)
        popen.setdefault("stderr", subprocess.PIPE)
        self.process = subprocess.Popen(self.argv, **popen)
        self.pid = self.process.pid
        self.news = threading.Condition()
        self.data = {"stdout": b"", "stderr": b""}
        self.readers = []
        for name in ("stdout", "stderr"):
            pipe = getattr(self.process, name)
            if pipe:
                reader = threading.Thread(target=self._read, args=(name, pipe), daemon=True)
                reader.start()
                self.readers.append(reader)

    def _read(self, name, pipe):
        while True:
            piece = os.read(pipe.fileno(), 65536)
            with self.news:
                self.data[name] += piece
                self.news.notify_all()
            if not piece:
                return

    @property
    def stdout(self):
        return self.data["stdout"].decode(errors="replace")

    @property
    def stderr(self):
        return self.data["stderr"].decode(errors="replace")

    def line(self, name, pattern, seconds=10):
        """Wait for a whole line that matches."""
        deadline = time.monotonic() + seconds * SLOWNESS
        regex = re.compile(pattern + r".*\n", re.M)
        with self.news:
            while True:
                match = regex.search(self.data[name].decode(errors="replace"))
                if match:
                    return match
                left = deadline - time.monotonic()
                ended = not any(reader.is_alive() for reader in self.readers)
                assert left > 0 and not ended, "%s: no line %r\nstdout: %s\nstderr: %s" % (
                    self.argv,
                    pattern,
                    self.stdout,
                    self.stderr,
                )
                self.news.wait(min(left, 0.5))

    def said(self, nth=1, seconds=20):
        """The NTH line of JSON on stdout."""
        until(
            lambda: self.stdout.count("\n") >= nth or not self.readers[0].is_alive(),
            "line %d of %s" % (nth, self.argv),
            seconds,
        )
        lines = [line for line in self.stdout.splitlines() if line.startswith("{")]
        assert len(lines) >= nth, "%s said only: %s\n%s" % (self.argv, self.stdout, self.stderr)
        return json.loads(lines[nth - 1])

    @property
    def truth(self):
        return self.said()

    def go(self):
        """Let a victim go on to its death."""
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def wait(self, seconds=30):
        left = seconds * SLOWNESS
        try:
            if hasattr(os, "pidfd_open") and self.process.returncode is None:
                # wait() with a limit asks every 50 ms.
                with open(os.pidfd_open(self.pid), "rb", buffering=0) as pidfd:
                    select.select([pidfd], [], [], left)
                left = 0.1
            status = self.process.wait(left)
        except subprocess.TimeoutExpired:
            pytest.fail(
                "%s did not end in %g s; state %s\nstdout: %s\nstderr: %s"
                % (
                    self.argv,
                    seconds * SLOWNESS,
                    status_of(self.pid).get("State"),
                    self.stdout,
                    self.stderr,
                )
            )
        for reader in self.readers:
            reader.join(2 * SLOWNESS)
        return status

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            try:
                if stream and (stream is self.process.stdin or not self.readers_alive()):
                    stream.close()
            except OSError:
                pass

    def readers_alive(self):
        return any(reader.is_alive() for reader in self.readers)


def schema():
    with open(ROOT / "doc" / "report.schema.json") as file:
        return json.load(file)


def mdmp_check(*arguments):
    """What the independent reader of minidumps says: its exit status, and its words."""
    spec = importlib.util.spec_from_file_location("mdmp_check", MDMP_CHECK)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    words, argv = io.StringIO(), sys.argv
    sys.argv = [str(word) for word in (MDMP_CHECK, *arguments)]
    try:
        with contextlib.redirect_stdout(words), contextlib.redirect_stderr(words):
            return module.main(), words.getvalue()
    finally:
        sys.argv = argv


SHOWN = set()


class Report:
    """A report that was found to be in order."""

    def __init__(self, pcatch, dump):
        self.dump = pathlib.Path(dump)
        assert re.fullmatch(r".+-\d+-\d{8}T\d{6}Z(-\d+)?\.dmp", self.dump.name), self.dump.name
        for file in glob.glob(glob.escape(str(self.dump)[: -len("dmp")]) + "*"):
            mode = stat.S_IMODE(os.stat(file).st_mode)
            assert mode == 0o600, "%s has mode %o" % (file, mode)

        shown = pcatch.call("show", "-f", "json", self.dump)
        assert shown.status == 0, shown
        self.json = json.loads(shown.stdout)
        errors = jsonschema.Draft202012Validator(schema(), format_checker=FORMATS).iter_errors(
            self.json
        )
        problems = ["%s: %s" % (list(e.absolute_path), e.message[:300]) for e in errors]
        assert not problems, "\n".join(problems)

        live = self.dump.with_suffix(".txt")
        self.text = live.read_text() if live.exists() else None
        # Once for each test, whatever its parameters, is enough to tell that the two are the same.
        test = os.environ.get("PYTEST_CURRENT_TEST", "").partition("[")[0]
        if self.text is None or test not in SHOWN:
            SHOWN.add(test)
            shown = pcatch.call("show", self.dump)
            assert shown.status == 0, shown
            assert self.text in (None, shown.stdout), "show says other things than the death did"
            self.text = shown.stdout
        assert self.json["id"] in self.text
        first = " ".join(self.text.split())
        assert first.startswith(" ".join(self.summary.split())), self.text[:500]
        assert "\x1b" not in self.text
        wide = [line for line in self.text.splitlines() if len(line) > 200]
        assert not wide, wide

        if MDMP_CHECK.exists():
            # Of an end that nobody watched there are neither threads nor memory.
            ignore = [] if self.json["threads"] else ["--ignore", "threads-none,mem-none"]
            status, words = mdmp_check(self.dump, "--pid", self.process["pid"], *ignore)
            assert status == 0, words

        self._check_sense()

    def _check_sense(self):
        """What holds for all reports beyond the schema."""
        crashed = [thread for thread in self.json["threads"] if thread["crashed"]]
        assert len(crashed) <= 1
        if crashed:
            assert crashed[0]["tid"] == self.death["thread"]
            assert self.json["threads"][0] is crashed[0], "the dying thread comes first"
        for thread in self.json["threads"]:
            merged = [frame for frame in thread["stack"] if frame["kind"] == "python"]
            if thread.get("python"):
                merged = [frame["function"] for frame in merged]
                python = [frame["function"] for frame in thread["python"]]
                # A stack too long for the file lacks frames in its middle, and says so; what is
                # missing of the merged one and of its Python frames alone is not the same.
                if any(gap["what"] == "frames of thread %d" % thread["tid"] for gap in self.json["gaps"]):
                    both = min(len(merged), len(python), 1000)
                    merged, python = merged[:both], python[:both]
                assert merged == python
        if self.json["verdict"]["confidence"] == "certain":
            assert any(e["supports"] for e in self.json["verdict"]["evidence"]), self.verdict

    @property
    def verdict(self):
        return self.json["verdict"]

    @property
    def cause(self):
        return self.json["verdict"]["cause"]

    @property
    def summary(self):
        return self.json["verdict"]["summary"]

    @property
    def death(self):
        return self.json["death"]

    @property
    def signal(self):
        return self.json["death"]["signal"]

    @property
    def sender(self):
        return self.json["death"]["signal"]["sender"]

    @property
    def fault(self):
        return self.json["fault"]

    @property
    def process(self):
        return self.json["process"]

    def thread(self, tid):
        found = [thread for thread in self.json["threads"] if thread["tid"] == tid]
        assert len(found) == 1, "thread %d among %s" % (
            tid,
            [thread["tid"] for thread in self.json["threads"]],
        )
        return found[0]

    @property
    def dying(self):
        return self.thread(self.death["thread"])

    def functions(self, thread=None):
        return [frame.get("function") for frame in (thread or self.dying)["native"]]


class Called:
    def __init__(self, running):
        self.status = running.wait()
        self.stdout, self.stderr = running.stdout, running.stderr
        self.argv = running.argv

    def __repr__(self):
        return "%s: status %s\nstdout: %s\nstderr: %s" % (
            " ".join(self.argv),
            self.status,
            self.stdout[-2000:],
            self.stderr[-2000:],
        )


class Pcatch:
    def __init__(self, out):
        self.out = out
        self.program = PCATCH
        self.everybody = []
        self.seen = {}

    def start(self, *argv, **popen):
        """Any program, ended with the test at the latest."""
        running = Running(argv, **popen)
        self.everybody.append(running)
        return running

    def call(self, *arguments, **popen):
        """pcatch with ARGUMENTS, which is expected to end by itself."""
        popen.setdefault("stdin", subprocess.DEVNULL)
        return Called(self.start(self.program, *arguments, **popen))

    def run(self, *command, options=(), **popen):
        """pcatch run -v; returns when it watches."""
        running = self.start(
            self.program, "run", "-v", "-o", self.out, *options, "--", *command, **popen
        )
        if running.process.stderr:
            running.line("stderr", r"watching \d+")
        return running

    def attach(self, pid, options=(), **popen):
        """pcatch attach; returns when it watches."""
        need_attach()
        popen.setdefault("stdin", subprocess.DEVNULL)
        running = self.start(self.program, "attach", "-o", self.out, *options, str(pid), **popen)
        running.line("stderr", r"watching %d\b" % pid)
        return running

    def catch(self, *command, how="attach", options=(), kill=None, **popen):
        """
        The whole story: COMMAND says its truth, is watched, goes on (and is sent KILL by us), ends.
        Returns the one report, which has .truth and .status, the end that COMMAND had, beside.
        """
        if how == "run":
            running = watcher = self.run(*command, options=options, **popen)
            truth = running.truth
        else:
            running = self.start(*command, **popen)
            truth = running.truth
            watcher = self.attach(truth["pid"], options)
        running.go()
        if kill:
            os.kill(truth["pid"], kill)
        status = running.wait()
        if how != "run":
            assert watcher.wait() == 0, watcher.stderr
        report = self.report(watcher)
        report.truth, report.status, report.said = truth, status, watcher.stderr
        assert report.process["pid"] == truth["pid"]
        # What the report says of the end is what the parent was told.
        if status < 0:
            assert (report.death["kind"], report.signal["number"]) == ("signal", -status)
        else:
            assert (report.death["kind"], report.death["exit_code"]) == ("exit", status)
        return report

    def caught(self, watcher, seconds=30):
        """The one report of what `attach` watched, once that has ended."""
        assert watcher.wait(seconds) == 0, watcher.stderr
        return self.report(watcher)

    def catch_child(self, *command, status=0, ready=None, **popen):
        """
        As catch, of a child of COMMAND whose pid is in its truth; COMMAND goes on, as soon as READY
        says yes to that pid, and ends with STATUS. Returns COMMAND beside the one report.
        """
        parent = self.start(*command, **popen)
        child = parent.truth["pid"]
        watcher = self.attach(child)
        if ready:
            until(lambda: ready(child), "the child to be ready")
        parent.go()
        assert parent.wait() == status, parent.stderr
        return self.caught(watcher), parent

    def catch_kill(self, victim, *killer):
        """
        VICTIM, a program that waits, watched and put an end to by KILLER, which has its pid for {}.
        Returns KILLER, and its command line, beside the one report.
        """
        running = self.start(victim, "none")
        pid = running.truth["pid"]
        watcher = self.attach(pid)
        command = [str(word).replace("{}", str(pid)) for word in killer]
        sender = self.start(*command)
        assert running.wait() < 0
        sender.wait()
        return self.caught(watcher), sender, command

    def reports(self):
        for dump in sorted(self.out.glob("*.dmp")):
            if dump not in self.seen:
                self.seen[dump] = Report(self, dump)
        return list(self.seen.values())

    def report(self, watcher=None):
        reports = self.reports()
        assert len(reports) == 1, "%d reports of one death\n%s" % (
            len(reports),
            watcher.stderr if watcher else "",
        )
        return reports[0]

    def close(self):
        for running in reversed(self.everybody):
            running.kill()


CAP_SYS_ADMIN = 21


def may_listen():
    """Who may open tracepoints of the whole machine, and find them in tracefs."""
    with open("/proc/self/status") as file:
        effective = int(next(line for line in file if line.startswith("CapEff")).split()[1], 16)
    return effective >> CAP_SYS_ADMIN & 1


needs_listening = pytest.mark.skipif(
    not may_listen(), reason="listening to who sends signals takes CAP_SYS_ADMIN here"
)


def need_attach():
    try:
        with open("/proc/sys/kernel/yama/ptrace_scope") as file:
            scope = int(file.read())
    except OSError:
        scope = 0
    if scope > (2 if os.geteuid() == 0 else 0):
        pytest.skip("no right to attach here: ptrace_scope is %d" % scope)


@pytest.fixture
def pcatch(tmp_path):
    helper = Pcatch(tmp_path / "reports")
    yield helper
    try:
        helper.reports()  # what the test did not look at must be in order too
    finally:
        helper.close()


@pytest.fixture(scope="session")
def victim(tmp_path_factory):
    """
    victim("null-deref") is the path of that program, compiled when it is first asked for, with MORE
    options of the compiler.
    """
    folder = tmp_path_factory.mktemp("victims")
    # A path of 0700 above it would keep other users' processes away.
    flags = ["-g", "-O0", "-w", "-pthread", "-D_GNU_SOURCE", "-I", str(VICTIMS)]

    def compiled(name, *more):
        program = folder / name
        if not program.exists():
            source = VICTIMS / (name + ".c")
            compiler = os.environ.get("CC") or "cc"
            if not source.exists():
                source, compiler = source.with_suffix(".cc"), os.environ.get("CXX") or "c++"
            if not shutil.which(compiler.split()[0]):
                pytest.skip("no compiler %s for %s" % (compiler, source.name))
            subprocess.run(
                compiler.split() + flags + [*more, "-o", str(program), str(source)], check=True
            )
        return program

    return compiled


VERSIONS = (
    os.environ.get("PCATCH_TEST_VERSIONS")
    or " ".join(["2.7"] + ["3.%d" % minor for minor in range(6, 16)])
).split()


def pythons():
    """An interpreter, or None, of each version: pyenv's, else the PATH's; and the system's."""
    found = {}
    for version in VERSIONS:
        pattern = "%s/.pyenv/versions/%s.*/bin/python%s" % (
            os.path.expanduser("~"),
            version,
            version,
        )
        paths = sorted(glob.glob(pattern))
        found[version] = paths[-1] if paths else shutil.which("python" + version)
    system = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else None
    for version, path in found.items():
        # Once is enough.
        if path and system and os.path.samefile(path, system):
            found[version] = None
    found["system"] = system
    return found


PYTHONS = pythons()

# What dies is the same in all; these differ in how frames are linked, and lines and states kept.
SAMPLE = [v for v in ["2.7", "3.8", "3.10", "3.12", "3.13", "3.15", "system"] if v in PYTHONS]


def interpreter(version):
    if version not in PYTHONS:
        pytest.skip("CPython %s is not among PCATCH_TEST_VERSIONS" % version)
    if not PYTHONS[version]:
        pytest.skip("no CPython %s in ~/.pyenv/versions or /usr/bin" % version)
    return PYTHONS[version]


@pytest.fixture(params=list(PYTHONS))
def every_python(request):
    return interpreter(request.param)


@pytest.fixture(params=SAMPLE)
def python(request):
    """One of each family: for what does not hang on the interpreter's structures alone."""
    return interpreter(request.param)


@pytest.fixture(scope="session")
def any_python():
    return PYTHONS["system"] or next(path for path in PYTHONS.values() if path)


DEATHS = VICTIMS / "deaths.py"
ENDINGS = VICTIMS / "endings.py"
HANDLING = VICTIMS / "handling.py"


def python_frames(frames):
    """Frames of a report or of a truth, comparable: names qualified or not."""
    return [((f["function"] or "?").split(".")[-1], f["file"], f["line"]) for f in frames]


def assert_python_frames(thread, truth, callees=3):
    """
    The thread's Python frames end with those of the truth; CALLEES more may lie inside of them, the
    standard library's own.
    """
    said, wanted = python_frames(thread.get("python") or []), python_frames(truth)
    assert said[-len(wanted) :] == wanted
    assert len(said) - len(wanted) <= callees, said[: len(said) - len(wanted)]
    merged = [frame for frame in thread["stack"] if frame["kind"] == "python"]
    assert python_frames(merged) == said
