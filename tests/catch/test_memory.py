# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory: the OOM killer is blamed on the kernel's own word, and on nothing less."""
import itertools
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile

import pytest

from conftest import status_of, until

NUMBER = itertools.count()
FILL = """
import json, os, sys
def fill():
    kept = []
    while True:
        kept.append(bytearray(1 << 18))
print(json.dumps({"pid": os.getpid()}), flush=True)
sys.stdin.readline()
fill()
"""
# 10 MiB a second, and what it has and when on its standard output.
GROW = """
import json, os, sys, time
print(json.dumps({"pid": os.getpid()}), flush=True)
sys.stdin.readline()
begin, kept = time.monotonic(), []
for i in range(1000):
    kept.append(bytearray(b"x" * (1 << 20)))
    print(time.monotonic(), len(kept), flush=True)
    time.sleep(max(0, begin + (i + 1) / 10 - time.monotonic()))
"""
WAIT = """
import json, os, sys, time
print(json.dumps({"pid": os.getpid()}), flush=True)
sys.stdin.readline()
time.sleep(600)
"""


def memory_mount():
    """The words of the mount whose groups limit memory, and the name of the file with the limit."""
    with open("/proc/self/mountinfo") as file:
        mounts = [line.split() for line in file]
    for name, kind in (("memory.limit_in_bytes", "cgroup"), ("memory.max", "cgroup2")):
        for words in mounts:
            rest = words[words.index("-") + 1 :]
            if rest[0] == kind and (kind == "cgroup2" or "memory" in rest[2].split(",")):
                return words, name
    return None, None


def memory_folder():
    """Where groups can be made that limit memory, and the name of the file with the limit."""
    words, name = memory_mount()
    return words and pathlib.Path(words[4]), name


def groups_are_seen_to_their_root():
    return memory_mount()[0][3] == "/" and os.readlink("/proc/self/ns/cgroup") == "cgroup:[4026531835]"


class Group:
    def __init__(self, path, limit, file):
        self.path = path
        path.mkdir()
        try:
            if limit:
                (path / file).write_text(str(limit))
        except OSError:
            path.rmdir()
            raise

    def enter(self):
        (self.path / "cgroup.procs").write_text(str(os.getpid()))

    def kills(self):
        for name in ("memory.oom_control", "memory.events"):
            if (self.path / name).exists():
                return int(re.search(r"^oom_kill (\d+)", (self.path / name).read_text(), re.M).group(1))
        return None


@pytest.fixture
def group():
    """group(limit) is a new control group; they are gone after the test."""
    folder, file = memory_folder()
    made = []

    def make(limit, below=None):
        if not folder:
            pytest.skip("no control groups that limit memory here")
        path = (below.path if below else folder) / ("pcatch-%d-%d" % (os.getpid(), next(NUMBER)))
        try:
            made.append(Group(path, limit, file))
        except OSError as error:
            pytest.skip("no control group can be made here: %s" % error)
        return made[-1]

    yield make
    for one in reversed(made):
        until(lambda: not (one.path / "cgroup.procs").read_text(), "%s to be empty" % one.path)
        one.path.rmdir()


def may_read_kernel_log():
    try:
        os.close(os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


def is_sanitized(pcatch):
    with open(pcatch.program, "rb") as file:
        return b"__asan_init" in file.read()


def run_in(pcatch, group, python, program, options=()):
    """
    PROGRAM under watch in GROUP, and pcatch in there with it; returns both, which may be one. A
    sanitizer takes memory as it goes, whatever pcatch has put aside: then it is outside of the group.
    """
    if not is_sanitized(pcatch):
        running = pcatch.run(python, "-c", program, options=options, preexec_fn=group.enter)
        return running, running
    running = pcatch.start(python, "-c", program, preexec_fn=group.enter)
    return running, pcatch.attach(running.truth["pid"], options)


def fill_under_watch(pcatch, python, group, program=FILL):
    running, watcher = run_in(pcatch, group, python, program)
    pid = running.truth["pid"]
    running.go()
    assert running.wait() == -signal.SIGKILL
    watcher.wait()
    found = [r for r in pcatch.reports() if r.process["pid"] == pid]
    assert len(found) == 1, (watcher.process.poll(), watcher.stderr)
    return found[0]


def assert_out_of_memory(report):
    assert report.cause == "out-of-memory", (report.summary, report.verdict["evidence"])
    functions = [frame["function"] for frame in report.thread(report.process["pid"])["python"]]
    assert functions[-2:] == ["fill", "<module>"]
    assert len(report.thread(report.process["pid"])["native"]) >= 3


def test_process_that_fills_its_group_is_out_of_memory_with_stacks_each_time(
    pcatch, any_python, group
):
    # pcatch is in the same group and has to live on what it put aside.
    for _ in range(5):
        report = fill_under_watch(pcatch, any_python, group(64 << 20))
        assert_out_of_memory(report)
        if may_read_kernel_log():
            text = "\n".join(report.json["kernel_log"])
            assert "Killed process %d " % report.process["pid"] in text
            # The kernel writes the rest of it no more than ten times in five seconds.
            assert report.verdict["confidence"] == "certain"


def test_limit_of_a_group_above_is_named(pcatch, any_python, group):
    above = group(64 << 20)
    report = fill_under_watch(pcatch, any_python, group(None, below=above))
    assert_out_of_memory(report)
    levels = report.process["cgroup"]["levels"]
    assert [level["limit_bytes"] for level in levels[:2]] == [None, 64 << 20]
    if may_read_kernel_log():
        assert above.path.name in report.summary + str(report.verdict["evidence"])


def test_kill_9_where_the_oom_killer_has_been_before_is_not_out_of_memory(
    pcatch, any_python, group
):
    here = group(64 << 20)
    earlier = subprocess.run(
        [any_python, "-c", FILL], input=b"\n", preexec_fn=here.enter, stdout=subprocess.DEVNULL
    )
    assert earlier.returncode == -signal.SIGKILL
    assert here.kills() == 1
    report = pcatch.catch(any_python, "-c", WAIT, preexec_fn=here.enter, kill=signal.SIGKILL)
    assert report.cause != "out-of-memory"
    cgroup = report.process["cgroup"]
    assert (cgroup["oom_kills_before"], cgroup["oom_kills_after"]) == (1, 1)
    assert "out-of-memory" in [out["cause"] for out in report.verdict["ruled_out"]]


CROWD = """
import threading
ready = threading.Barrier(13)
def idle(n):
    ready.wait()
    threading.Event().wait()
for n in range(12):
    threading.Thread(target=idle, args=(n,), daemon=True).start()
ready.wait()
"""
# Its child fills; it looks how that ends, and ends well.
PARENT = """
import json, os, signal, sys
print(json.dumps({"pid": os.getpid()}), flush=True)
sys.stdin.readline()
child = os.fork()
if not child:
    kept = []
    while True:
        kept.append(bytearray(1 << 18))
_, status = os.waitpid(child, 0)
assert os.WTERMSIG(status) == signal.SIGKILL
print(json.dumps({"child": child}), flush=True)
"""


def test_all_threads_of_a_victim_have_stacks(pcatch, any_python, group):
    for _ in range(3):
        report = fill_under_watch(pcatch, any_python, group(96 << 20), CROWD + FILL)
        assert_out_of_memory(report)
        assert len(report.json["threads"]) == 13
        for thread in report.json["threads"]:
            assert len(thread["native"]) >= 3, thread["name"]
        idle = [t for t in report.json["threads"] if t["tid"] != report.process["pid"]]
        assert all("idle" in [f["function"] for f in t["python"]] for t in idle)


def test_child_that_is_out_of_memory_is_told_from_its_parent(pcatch, any_python, group):
    here = group(64 << 20)
    running = pcatch.start(any_python, "-c", PARENT, preexec_fn=here.enter)
    # Nor may a look at the child, whose pages they share, cost memory that the group has not.
    watcher = pcatch.attach(running.truth["pid"], ["--children"])
    running.go()
    assert running.wait() == 0, watcher.stderr
    watcher.wait()
    pid, child = running.said(1)["pid"], running.said(2)["child"]
    reports = {report.process["pid"]: report for report in pcatch.reports()}
    assert reports[child].cause == "out-of-memory", reports[child].summary
    assert len(reports[child].thread(child)["native"]) >= 3
    assert pid not in reports or reports[pid].cause == "clean-exit"


def test_last_sample_is_of_the_death(pcatch, any_python, group):
    report = fill_under_watch(pcatch, any_python, group(64 << 20))
    samples = report.json["timeline"]["samples"]
    assert len(samples) >= 2
    assert samples[-1]["at"] == report.json["time"]["death"]
    assert samples[-1]["rss_bytes"] > 40 << 20 > samples[0]["rss_bytes"]


def test_server_that_grows_until_it_is_killed_has_the_right_trend(pcatch, any_python, group):
    here = group(96 << 20)
    running, watcher = run_in(pcatch, here, any_python, GROW, ["--sample", "0.2"])
    running.go()
    assert running.wait() == -signal.SIGKILL
    watcher.wait()
    told = re.findall(r"^([\d.]+) (\d+)$", running.stdout, re.M)
    grown = int(told[-1][1]) - int(told[0][1])
    rate = grown / (float(told[-1][0]) - float(told[0][0]))
    report = pcatch.report()
    assert report.cause == "out-of-memory"
    (memory,) = [t for t in report.json["timeline"]["trends"] if t["of"] == "memory"]
    assert memory["shape"] == "grew", memory
    assert memory["per_minute"] / 60 == pytest.approx(rate * (1 << 20), rel=0.2)
    assert (memory["limit"], memory["limit_reached"]) == (96 << 20, True)
    assert re.match(r"memory grew [\d.]+ MiB/s for \d+ s, at its cgroup's limit \(96.0 MiB\)", report.json["timeline"]["trend"])


# Says its truth when its child, and that one's own, have what they are to have.
FAMILY = """
import json, os, subprocess, sys
HOLD = "import sys; x = b'x' * (%d << 20); print(flush=True); sys.stdin.read()"
MIDDLE = "import subprocess, sys; " + HOLD.replace("print", "subprocess.Popen([sys.executable, '-c', sys.argv[1]]); print")
child = subprocess.Popen([sys.executable, "-c", MIDDLE % 30, HOLD % 50], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline(), child.stdout.readline()
print(json.dumps({"pid": os.getpid()}), flush=True)
sys.stdin.readline()
child.communicate()
"""


def test_samples_have_the_memory_of_children_and_its_share_of_its_own(pcatch, any_python):
    if not os.path.exists("/proc/self/task/%d/children" % os.getpid()):
        pytest.skip("this kernel does not list children (CONFIG_PROC_CHILDREN)")
    report = pcatch.catch(any_python, "-c", FAMILY)
    first = report.json["timeline"]["samples"][0]
    assert first["children"] == 2
    assert 80 << 20 < first["children_rss_bytes"] < 200 << 20
    assert 0 < first["pss_bytes"] <= first["rss_bytes"]
    assert first["voluntary_switches"] > 0 and first["involuntary_switches"] >= 0
    assert re.search(r"when +resident +children +cgroup", report.text)


def score(pid):
    return int(pathlib.Path("/proc/%d/oom_score_adj" % pid).read_text())


def set_score(value):
    pathlib.Path("/proc/self/oom_score_adj").write_text(str(value))


@pytest.mark.parametrize(
    "theirs, before, ours", [(0, 300, 0), (300, 100, 100), (-300, 0, -300), (-1000, 0, -999)]
)
def test_nobody_is_killed_in_place_of_pcatch(pcatch, victim, theirs, before, ours):
    try:
        running = pcatch.start(victim("idle"), preexec_fn=lambda: set_score(theirs))
    except subprocess.SubprocessError:
        pytest.skip("oom_score_adj cannot be set to %d here" % theirs)
    pid = running.truth["pid"]
    watcher = pcatch.attach(pid, preexec_fn=lambda: set_score(before))
    until(lambda: score(watcher.pid) == ours, "pcatch at %d" % ours)
    assert score(pid) == theirs
    os.kill(pid, signal.SIGKILL)
    watcher.wait()


SERVER = """
import asyncio, json, os, ssl
print(json.dumps({"pid": os.getpid()}), flush=True)
asyncio.run(asyncio.sleep(600))
"""


def in_kib(pid, name):
    return int(status_of(pid)[name].split()[0])


def lends(pid):
    """Is there, besides everything else, what is lent to a group with a limit (3 MiB)?"""
    return in_kib(pid, "RssAnon") > 4096


def test_waiting_takes_six_megabytes_and_more_only_to_lend_them_to_a_limited_group(
    pcatch, any_python, group
):
    if is_sanitized(pcatch):
        pytest.skip("a sanitizer's own memory is many times pcatch's")
    limited = group(256 << 20)
    alone = pcatch.start(any_python, "-c", SERVER)
    beside = pcatch.attach(alone.truth["pid"])
    within = pcatch.start(any_python, "-c", SERVER, preexec_fn=limited.enter)
    with_it = pcatch.attach(within.truth["pid"], preexec_fn=limited.enter)
    until(lambda: lends(with_it.pid), "something to lend")
    outside = pcatch.start(any_python, "-c", SERVER)
    without = pcatch.attach(outside.truth["pid"], preexec_fn=limited.enter)
    lent = [lends(watcher.pid) for watcher in (beside, without)]
    resident = in_kib(beside.pid, "VmRSS")
    for process, watcher in ((alone, beside), (within, with_it), (outside, without)):
        process.process.kill()
        process.wait()
        watcher.wait()
    levels = [r for r in pcatch.reports() if r.process["pid"] == alone.truth["pid"]][0].process["cgroup"]["levels"]
    if not groups_are_seen_to_their_root() or any(level["limit_bytes"] for level in levels):
        pytest.skip("all processes share a limit here, or may")
    assert lent == [False, False]
    assert resident <= 6000


OWN_LIMIT = """
import json, os, resource, sys
print(json.dumps({"pid": os.getpid()}), flush=True)
sys.stdin.readline()
resource.setrlimit(resource.%s, (512 << 20, 512 << 20))
kept = []
while True:
    kept.append(bytearray(%s))
"""


def assert_own_limit(report, cause, words):
    assert report.cause == cause
    assert any(words in e["text"] for e in report.verdict["evidence"]), report.verdict["evidence"]
    out = [o["because"] for o in report.verdict["ruled_out"] if o["cause"] == "out-of-memory"]
    assert len(out) == 1 and "OOM killer" in out[0]


@pytest.mark.parametrize("limit", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_memory_error_at_its_own_limit_is_no_oom_kill(pcatch, any_python, tmp_path, limit):
    with open(tmp_path / "stderr", "wb") as stderr:
        report = pcatch.catch(any_python, "-c", OWN_LIMIT % (limit, "1 << 20"), stderr=stderr)
    assert_own_limit(
        report,
        "uncaught-exception",
        "no OOM kill: the process hit its own limit (%s 512.0 MiB, it had " % limit,
    )
    assert any("Raise %s" % limit in advice for advice in report.verdict["advice"])


def test_one_allocation_larger_than_the_limit_is_told_from_a_full_one(pcatch, any_python, tmp_path):
    with open(tmp_path / "stderr", "wb") as stderr:
        report = pcatch.catch(any_python, "-c", OWN_LIMIT % ("RLIMIT_AS", "1 << 40"), stderr=stderr)
    assert_own_limit(report, "uncaught-exception", "larger than what its own limit left")


@pytest.mark.parametrize("how", ["new", "malloc"])
def test_abort_at_its_own_limit_is_no_oom_kill(pcatch, victim, how):
    report = pcatch.catch(victim("own-limit"), how)
    assert_own_limit(report, "abort", "its own limit (RLIMIT_AS 256.0 MiB, it had 25")


def test_kernel_log_that_may_not_be_read_is_a_gap_and_not_an_empty_log(pcatch, request):
    if os.geteuid() != 0 or not hasattr(os, "setresuid"):
        pytest.skip("only root can become somebody else")
    if open("/proc/sys/kernel/dmesg_restrict").read().strip() != "1":
        pytest.skip("kernel.dmesg_restrict is off: everybody may read it here")
    # Another user has no way into the folder of the test.
    pcatch.out = pathlib.Path(tempfile.mkdtemp())
    os.chmod(pcatch.out, 0o1777)
    request.addfinalizer(lambda: shutil.rmtree(pcatch.out))
    command = ["/bin/sleep", "0.01"]
    running = pcatch.start(
        pcatch.program, "run", "-o", pcatch.out, "--", *command, user=65534, group=65534
    )
    running.wait()
    if not list(pcatch.out.glob("*.dmp")):
        pytest.skip("another user cannot run pcatch from here: %s" % running.stderr)
    report = pcatch.report(running)
    assert report.json["kernel_log"] is None
    gap = [g for g in report.json["gaps"] if g["what"] == "the kernel's log"]
    assert gap and "CAP_SYSLOG" in gap[0]["remedy"]
