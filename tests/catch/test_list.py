# SPDX-License-Identifier: GPL-3.0-or-later
"""Many reports: pcatch list, pcatch prune, and the bound after each report."""
import json
import os

import pytest


def catch_again(pcatch, program, *options):
    running = pcatch.start(
        pcatch.program, "run", "-q", "-o", pcatch.out, *options, "--", program
    )
    running.go()
    running.wait()
    assert running.stderr == ""


def listed(pcatch):
    called = pcatch.call("list", "-f", "json", "-o", pcatch.out)
    assert called.status == 0, called
    return json.loads(called.stdout)


def test_reports_are_grouped_by_what_they_died_of(pcatch, victim):
    for name in ("null-deref", "ud2", "null-deref"):
        catch_again(pcatch, victim(name))
    answer = listed(pcatch)
    by_name = {report["name"]: report for report in answer["reports"]}
    reports = pcatch.reports()
    assert set(by_name) == {report.dump.stem for report in reports}
    for report in reports:
        line = by_name[report.dump.stem]
        assert (line["cause"], line["summary"]) == (report.cause, report.summary)
        assert line["signature"] == report.json["signature"]["hash"]
        assert line["pid"] == report.process["pid"]
        assert set(line["files"]) == {file.name for file in pcatch.out.glob(report.dump.stem + ".*")}
        assert line["bytes"] == sum((pcatch.out / name).stat().st_size for name in line["files"])
    counts = sorted(group["count"] for group in answer["groups"])
    assert counts == [1, 2], "the same fault has the same signature in every run"
    text = pcatch.call("list", "-o", pcatch.out).stdout
    assert "2 x native-crash" in text and "1 x native-crash" in text
    assert all(name in text for name in by_name)


def test_the_folder_is_kept_within_its_bound(pcatch, victim):
    catch_again(pcatch, victim("ud2"))
    for _ in range(3):
        catch_again(pcatch, victim("null-deref"), "--keep-reports", "3")
    counts = sorted(group["count"] for group in listed(pcatch)["groups"])
    assert counts == [1, 2], "the oldest of the most frequent is the one to go"


def test_prune_says_what_it_removes(pcatch, victim):
    for _ in range(3):
        catch_again(pcatch, victim("null-deref"))
    names = [report["name"] for report in listed(pcatch)["reports"]]
    called = pcatch.call("prune", "-o", pcatch.out, "--keep-reports", "2", "--dry-run")
    assert (called.status, called.stdout) == (0, "would remove %s\n" % names[-1])
    assert len(listed(pcatch)["reports"]) == 3
    called = pcatch.call("prune", "-o", pcatch.out, "--keep-reports", "2")
    assert (called.status, called.stdout) == (0, "removed %s\n" % names[-1])
    assert [report["name"] for report in listed(pcatch)["reports"]] == names[:2]
    assert not list(pcatch.out.glob(names[-1] + ".*"))


@pytest.mark.parametrize(
    "arguments, status, words",
    [
        (["list", "x"], 2, "-o"),
        (["list", "-f", "html"], 2, "text or json"),
        (["list", "-o", "/nowhere/at/all"], 1, "/nowhere/at/all"),
        (["prune", "-f", "json"], 2, "-f means nothing to prune"),
        (["prune", "--keep-bytes", "4Q"], 2, "4Q"),
        (["prune", "--keep-bytes", "99999999T"], 2, "99999999T"),
        (["prune", "--keep-reports", "-1"], 2, "-1"),
        (["run", "--dry-run", "--", "true"], 2, "--dry-run means nothing to run"),
    ],
)
def test_nonsense_is_refused_in_a_line(pcatch, arguments, status, words):
    called = pcatch.call(*arguments)
    assert called.status == status, called
    assert called.stdout == "" and called.stderr.count("\n") == 1
    assert words in called.stderr
    assert not os.path.exists("/nowhere")
