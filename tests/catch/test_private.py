# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may read a report, and where none is written."""
import os
import pathlib
import shutil
import signal
import stat
import tempfile

import pytest

from conftest import need_attach

USER, OTHER = 65534, 65533

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="takes root, and a user who is not")


@pytest.fixture
def reachable():
    """A folder that every user gets to, as those that pytest makes are not."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pcatch-test-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


def folder_of(where, owner, mode=0o700):
    folder = where / "reports"
    folder.mkdir()
    os.chown(folder, owner, -1)
    folder.chmod(mode)
    return folder


def idle(pcatch, victim, where, setuid=False):
    program = where / "idle"
    shutil.copy(victim("idle"), program)
    program.chmod(0o4755 if setuid else 0o755)
    target = pcatch.start(str(program), user=USER, group=USER, extra_groups=[])
    target.truth
    return target


def owners(folder):
    files = sorted(folder.iterdir())
    assert {path.suffix for path in files} == {".dmp", ".txt"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    return {path.stat().st_uid for path in files}


def caught(pcatch, target, folder):
    need_attach()
    pcatch.out = folder
    watcher = pcatch.attach(target.truth["pid"])
    os.kill(target.truth["pid"], signal.SIGKILL)
    assert watcher.wait() == 0, watcher.stderr
    return pcatch.report(watcher)


@as_root
def test_in_a_users_folder_the_report_about_his_process_is_his(pcatch, victim, reachable):
    folder = folder_of(reachable, USER)
    report = caught(pcatch, idle(pcatch, victim, reachable), folder)
    assert report.signal["name"] == "SIGKILL"
    assert owners(folder) == {USER}


@as_root
def test_what_a_setuid_program_knew_is_roots(pcatch, victim, reachable):
    folder = folder_of(reachable, USER)
    caught(pcatch, idle(pcatch, victim, reachable, setuid=True), folder)
    assert owners(folder) == {0}


@as_root
def test_in_a_folder_of_roots_the_report_is_roots(pcatch, victim, reachable):
    folder = folder_of(reachable, 0)
    caught(pcatch, idle(pcatch, victim, reachable), folder)
    assert owners(folder) == {0}


@as_root
def test_a_strangers_folder_is_refused(pcatch, victim, reachable):
    folder = folder_of(reachable, OTHER)
    target = idle(pcatch, victim, reachable)
    done = pcatch.call("attach", "-o", folder, str(target.truth["pid"]))
    assert done.status == 1
    assert "belongs to user %d" % OTHER in done.stderr and "-o DIR" in done.stderr
    assert len(done.stderr.splitlines()) == 1 and not list(folder.iterdir())
    assert target.process.poll() is None


def test_a_folder_that_everybody_may_write_to_is_refused(pcatch, victim, tmp_path):
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    done = pcatch.call("run", "-o", folder, "--", str(victim("null-deref")))
    assert done.status == 125 and "written to by everybody" in done.stderr
    assert not list(folder.iterdir())
    folder.chmod(0o1777)
    pcatch.out = folder
    assert pcatch.catch(victim("null-deref"), how="run").signal["name"] == "SIGSEGV"


def test_names_of_secrets_can_be_added(pcatch, victim, tmp_path):
    rules = tmp_path / "config/pcatch/redact"
    rules.parent.mkdir(parents=True)
    rules.write_text("# doors\nACME_*_PIN # of them all\nno pattern\n\nmate\n")
    env = dict(
        os.environ, XDG_CONFIG_HOME=str(tmp_path / "config"), ACME_DOOR_PIN="4711", MATE="x", PLAIN="y"
    )
    report = pcatch.catch(victim("null-deref"), how="run", env=env)
    environ = report.process["environ"]
    assert (environ["ACME_DOOR_PIN"], environ["MATE"]) == ("[redacted]",) * 2
    assert environ["PLAIN"] == "y"
    complaints = [line for line in report.said.splitlines() if str(rules) in line]
    assert len(complaints) == 1 and ", line 3: " in complaints[0]
    assert report.json["redacted"] is True


def test_that_nothing_was_redacted_is_recorded(pcatch, victim):
    env = dict(os.environ, API_TOKEN="open")
    report = pcatch.catch(victim("null-deref"), how="run", options=["--no-redact"], env=env)
    assert report.process["environ"]["API_TOKEN"] == "open"
    assert report.json["redacted"] is False
    assert "--no-redact" in report.text
