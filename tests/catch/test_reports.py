# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a report, what is said of it, and who else can read it."""
import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from conftest import DEATHS, MDMP_CHECK, ROOT, need_attach, status_of, until


def test_summary_is_short_and_ends_with_the_path(pcatch, victim):
    report = pcatch.catch(victim("null-deref"))
    lines = [line for line in report.said.splitlines() if not re.search(r"watching \d+", line)]
    assert len(lines) <= 25
    path = re.fullmatch(r"report: (/.+)", lines[-1]).group(1)
    assert os.path.exists(path) and os.path.dirname(path) == str(pcatch.out)
    assert " ".join(lines).startswith(report.summary[:60])
    assert "\x1b" not in report.said


def test_quiet_is_silent(pcatch, victim):
    called = pcatch.call("run", "-q", "-o", pcatch.out, "--", victim("null-deref"))
    assert called.status == -11
    assert called.stderr == ""
    assert pcatch.report().cause == "native-crash"


def test_quiet_attach_is_silent(pcatch, victim):
    target = pcatch.start(victim("null-deref"))
    need_attach()
    target.truth
    watcher = pcatch.start(pcatch.program, "attach", "-q", "-o", pcatch.out, str(target.pid))
    until(lambda: status_of(target.pid)["TracerPid"] == str(watcher.pid), "pcatch to attach")
    target.go()
    target.wait()
    assert watcher.wait() == 0
    assert watcher.stderr == "" and watcher.stdout == ""
    assert pcatch.report().cause == "native-crash"


def test_formats_are_written_as_asked(pcatch, victim):
    report = pcatch.catch(victim("null-deref"), options=["-f", "json,html"])
    files = {file.suffix for file in pcatch.out.iterdir()}
    assert files == {".dmp", ".json", ".html"}
    live = json.loads(report.dump.with_suffix(".json").read_text())
    shown = dict(report.json)
    live.pop("files", None), shown.pop("files", None)
    assert live == shown
    page = report.dump.with_suffix(".html").read_text()
    assert page.lstrip().lower().startswith("<!doctype html") and "<script" not in page
    assert report.json["id"] in page


def test_nothing_is_left_beside_the_report(pcatch, victim):
    report = pcatch.catch(victim("null-deref"))
    names = {file.name for file in pcatch.out.iterdir()}
    assert names == {report.dump.name, report.dump.with_suffix(".txt").name}
    assert report.dump.name.startswith("null-deref-%d-" % report.truth["pid"])


def test_folder_comes_from_the_environment(pcatch, victim, tmp_path):
    pcatch.out = tmp_path / "a" / "b"
    called = pcatch.call(
        "run", "-q", "--", victim("null-deref"), env=dict(os.environ, PCATCH_DIR=str(pcatch.out))
    )
    assert called.status == -11
    assert pcatch.report().cause == "native-crash"


def secrets():
    return dict(
        os.environ,
        API_TOKEN="hunter2-token",
        DB_PASSWORD="hunter2-password",
        AWS_SECRET_ACCESS_KEY="hunter2-key",
        HARMLESS="kept-as-it-is",
    )


def test_secrets_in_the_environment_are_not_told(pcatch, victim):
    report = pcatch.catch(victim("null-deref"), env=secrets(), options=["-f", "text,json,html"])
    environ = report.process["environ"]
    assert environ["HARMLESS"] == "kept-as-it-is"
    for name in ("API_TOKEN", "DB_PASSWORD", "AWS_SECRET_ACCESS_KEY"):
        assert environ[name] == "[redacted]"
    for suffix in (".txt", ".json", ".html"):
        assert "hunter2" not in report.dump.with_suffix(suffix).read_text()
    if MDMP_CHECK.exists():
        state = subprocess.run(
            [sys.executable, MDMP_CHECK, "--extract", "0x70430001", report.dump],
            capture_output=True,
        ).stdout
        assert state and b"hunter2" not in state


def test_secrets_are_told_when_asked_for(pcatch, victim):
    report = pcatch.catch(victim("null-deref"), env=secrets(), options=["--no-redact"])
    assert report.process["environ"]["API_TOKEN"] == "hunter2-token"


@pytest.mark.parametrize("state", ["stale", "missing", "replaced"])
def test_what_became_of_the_pidfile(pcatch, victim, tmp_path, state):
    target = pcatch.start(victim("null-deref"))
    pidfile = tmp_path / "server.pid"
    pidfile.write_text("%d\n" % target.truth["pid"])
    watcher = pcatch.start(
        pcatch.program, "attach", "-o", pcatch.out, "--pidfile", pidfile, stdin=subprocess.DEVNULL
    )
    watcher.line("stderr", r"watching %d\b" % target.pid)
    if state == "missing":
        pidfile.unlink()
    elif state == "replaced":
        pidfile.write_text("%d\n" % os.getpid())
    target.go()
    target.wait()
    assert watcher.wait() == 0
    report = pcatch.report(watcher)
    names = {"stale": target.pid, "missing": None, "replaced": os.getpid()}[state]
    assert report.process["pidfile"] == {"path": str(pidfile), "state": state, "names": names}
    assert str(pidfile) in report.text
    assert any(str(pidfile) in advice for advice in report.verdict["advice"])


def test_pidfile_that_an_orderly_end_removes(pcatch, tmp_path):
    pidfile = tmp_path / "server.pid"
    target = pcatch.start("sh", "-c", "echo '{}'; read x; rm %s; exit 0" % pidfile)
    target.said()
    pidfile.write_text("%d\n" % target.pid)
    watcher = pcatch.start(
        pcatch.program, "attach", "-o", pcatch.out, "--pidfile", pidfile, stdin=subprocess.DEVNULL
    )
    watcher.line("stderr", r"watching %d\b" % target.pid)
    target.go()
    assert target.wait() == 0 and watcher.wait() == 0
    report = pcatch.report(watcher)
    assert report.process["pidfile"]["state"] == "removed"
    assert not any(str(pidfile) in advice for advice in report.verdict["advice"])


LOGGING_VICTIM = """
import os, sys, time
log = sys.argv[1]
out = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
os.dup2(out, 2)
def say(pid, text, second):
    os.write(2, ("2026-11-26 08:00:%02d,000 [%d] INFO %s\\n" % (second, pid, text)).encode())
for beat in range(4):
    say(os.getpid(), "heartbeat %d" % beat, 10 * beat)
    say(99999, "heartbeat %d" % beat, 10 * beat + 3)
os.rename(log, log + ".1")
open(log, "w").write("a new file\\n")
say(os.getpid(), "Received signal 15", 35)
print('{"pid": %d}' % os.getpid(), flush=True)
sys.stdin.readline()
os.kill(os.getpid(), 9)
"""


def test_hints_of_a_rotated_log_that_workers_share(pcatch, any_python, tmp_path):
    log = tmp_path / "app.log"
    report = pcatch.catch(any_python, "-c", LOGGING_VICTIM, log)
    (kept,) = report.json["logs"]
    assert kept["path"] == "%s.1" % log and kept["fd"] == 2
    assert [mark["author"] for mark in kept["marks"]] == ["self", "other"] * 4 + ["self"]
    assert kept["marks"][1]["pid"] == 99999
    hints = report.json["hints"]
    assert hints["heartbeat"]["interval_seconds"] == 10
    assert hints["heartbeat"]["beats"] == 4
    (event,) = hints["events"]
    assert (event["kind"], event["signal"], event["author"]) == ("asked-to-stop", "SIGTERM", "self")
    assert "every 10.0 s" in report.text
    assert "\n  : 2026-11-26 08:00:03" in report.text and "\n  > 2026-11-26 08:00:35" in report.text


@pytest.mark.parametrize("options, shown", [([], "[redacted]"), (["--no-redact"], "hunter2")])
def test_secrets_in_log_lines_are_redacted(pcatch, victim, tmp_path, options, shown):
    log = tmp_path / "app.log"
    log.write_text("using postgres://app:hunter2@db/app\n")
    report = pcatch.catch(victim("null-deref"), options=["--log", str(log), *options])
    (kept,) = [entry for entry in report.json["logs"] if entry["path"] == str(log)]
    assert kept["lines"] == ["using postgres://app:%s@db/app" % shown]
    assert ("hunter2" in report.text) == (shown == "hunter2")


def test_log_s_last_lines_are_kept(pcatch, victim, tmp_path):
    log = tmp_path / "app.log"
    log.write_text("".join("line %d\n" % n for n in range(100)))
    report = pcatch.catch(victim("null-deref"), options=["--log", str(log), "--lines", "5"])
    kept = [entry for entry in report.json["logs"] if entry["path"] == str(log)]
    assert len(kept) == 1 and kept[0]["lines"] == ["line %d" % n for n in range(95, 100)]


def test_a_second_death_of_the_same_name_overwrites_nothing(pcatch, victim):
    program = victim("null-deref")
    for _ in range(3):
        called = pcatch.call("run", "-q", "-o", pcatch.out, "--", program)
        assert called.status == -11
    assert len(pcatch.reports()) == 3
    assert len({report.json["id"] for report in pcatch.reports()}) == 3


def test_show_writes_json_to_stdout(pcatch, victim):
    report = pcatch.catch(victim("null-deref"))
    called = pcatch.call("show", report.dump, "-f", "json")
    assert json.loads(called.stdout) == report.json and called.stderr == ""


def test_cut_dump_is_shown_or_refused_never_fatal(pcatch, victim, tmp_path):
    report = pcatch.catch(victim("null-deref"))
    whole = report.dump.read_bytes()
    for n in range(1, 16):
        (tmp_path / "cut.dmp").write_bytes(whole[: len(whole) * n // 16])
        called = pcatch.call("show", tmp_path / "cut.dmp")
        assert called.status in (0, 1), called


def test_report_is_the_same_on_a_machine_without_the_process(pcatch, victim, tmp_path):
    report = pcatch.catch(victim("null-deref"))
    copy = tmp_path / "elsewhere.dmp"
    shutil.copy(report.dump, copy)
    called = pcatch.call("show", copy, env={"PATH": "/usr/bin"}, cwd="/")
    assert called.stdout == report.text


def test_lldb_shows_the_threads_and_the_backtrace(pcatch, victim):
    if not shutil.which("lldb"):
        pytest.skip("no lldb")
    report = pcatch.catch(victim("threads"), "9")
    done = subprocess.run(
        ["lldb", "--no-lldbinit", "--batch", "-c", report.dump]
        + ["-o", "thread list", "-o", "thread backtrace all"],
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )
    said = done.stdout
    assert len(set(re.findall(r"thread #\d+:", said))) == 10, said + done.stderr
    assert "SIGSEGV" in said
    assert "fault_in_thread" in said and said.count("wait_for_ever") >= 9


def test_lldb_shows_the_backtrace_of_a_python(pcatch, any_python):
    if not shutil.which("lldb"):
        pytest.skip("no lldb")
    report = pcatch.catch(any_python, DEATHS, "segfault")
    done = subprocess.run(
        ["lldb", "--no-lldbinit", "--batch", "-c", report.dump, "-o", "bt"],
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )
    assert done.stdout.count("frame #") >= 10, done.stdout + done.stderr


def test_dump_is_a_minidump_that_a_strict_reader_accepts(pcatch, victim):
    if not MDMP_CHECK.exists():
        pytest.skip("no ../shared/tools/mdmp_check.py beside the tree")
    report = pcatch.catch(victim("threads"), "20")
    tids = ",".join(str(thread["tid"]) for thread in report.json["threads"])
    done = subprocess.run(
        [sys.executable, MDMP_CHECK, "--strict", "--threads", "21", "--tids", tids]
        + ["--exc-tid", str(report.truth["tid"]), report.dump],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_help_and_version(pcatch):
    called = pcatch.call("--help")
    assert called.status == 0 and called.stderr == ""
    for word in ("attach", "run", "snapshot", "show", "--output", "--format", "--children"):
        assert word in called.stdout
    called = pcatch.call("--version")
    assert called.status == 0 and re.match(r"pcatch \d+\.\d+", called.stdout)


def test_schema_is_the_contract(pcatch):
    contract = ROOT.parent / "shared" / "contract" / "report.schema.json"
    if not contract.exists():
        pytest.skip("no ../shared/contract/report.schema.json beside the tree")
    assert json.loads((ROOT / "doc" / "report.schema.json").read_text()) == json.loads(
        contract.read_text()
    )


def mapped(pid):
    with open("/proc/%d/maps" % pid) as file:
        return {line.split(None, 5)[5].strip() for line in file if "/" in line}


def test_waiting_does_not_load_what_only_a_report_needs(pcatch, victim):
    target = pcatch.start(victim("null-deref"))
    watcher = pcatch.attach(target.truth["pid"])
    assert not [path for path in mapped(watcher.pid) if "capstone" in path]


def test_report_without_the_disassembler_says_so(pcatch, victim):
    report = pcatch.catch(victim("null-deref"))
    listed = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True).stdout
    paths = re.findall(r"=> (\S*/libcapstone\.so\S*)", listed)
    hide = "".join("mount --bind /dev/null %s && " % os.path.realpath(path) for path in paths)
    if not paths or pcatch.start("unshare", "-m", "sh", "-c", hide + "true").wait():
        pytest.skip("no way to hide capstone from one process here")
    show = hide + '"$0" show -f json "$1"'
    shown = pcatch.start("unshare", "-m", "sh", "-c", show, pcatch.program, report.dump)
    assert shown.wait() == 0, shown.stderr
    said = json.loads(shown.stdout)
    assert said["verdict"]["cause"] == "native-crash"
    assert [gap for gap in said["gaps"] if gap["what"] == "the faulting instruction"]
    assert not [gap for gap in report.json["gaps"] if gap["what"] == "the faulting instruction"]
