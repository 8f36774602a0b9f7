# SPDX-License-Identifier: GPL-3.0-or-later
"""The interpreter is found whatever was done to its file, and whoever loaded it."""
import json
import os
import re
import shutil
import subprocess

import pytest

from living import HERE, PCATCH, PYTHONS, SLOWNESS, Victim, python  # noqa: F401 (a fixture)

HELLO = """
import sys
def hello():
    sys.stdout.write("there\\n"), sys.stdout.flush(), sys.stdin.readline()
hello()
"""


def library_of(python):
    """The shared libpython that PYTHON runs in, None where there is none."""
    with Victim(python, "-c", HELLO) as victim:
        with open("/proc/%d/maps" % victim.process.pid) as maps:
            found = re.search(r"(/\S*/libpython\d\.\d+\S*)", maps.read())
    return found and found.group(1)


def home_of(python):
    return subprocess.run([python, "-c", "import sys; print(sys.prefix)"], check=True,
                          stdout=subprocess.PIPE, timeout=60).stdout.decode().strip()


@pytest.fixture(scope="session")
def embed(tmp_path_factory):
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        pytest.skip("no C compiler")
    program = tmp_path_factory.mktemp("embed") / "embed"
    subprocess.run(compiler.split() + ["-o", program, HERE / "victim_embed.c", "-ldl"], check=True)
    return str(program)


def shared(python):
    library = library_of(python)
    if not library:
        pytest.skip("%s has no shared libpython" % python)
    return library


def strip(path):
    if not shutil.which("strip"):
        pytest.skip("no strip")
    os.chmod(path, 0o755)
    subprocess.run(["strip", "-s", path], check=True)


def drop_sections(path):
    """Take away the table of sections, which no loader needs and every symbol table is found by."""
    os.chmod(path, 0o755)
    with open(path, "r+b") as file:
        file.seek(0x28)  # e_shoff
        file.write(bytes(8))
        file.seek(0x3c)  # e_shnum, e_shstrndx
        file.write(bytes(4))


def check(victim, out, unlink=None):
    assert victim.said == "there\n"
    if unlink:
        os.unlink(unlink)
    done = subprocess.run([PCATCH, "snapshot", "-q", "-o", out, "-f", "json", str(victim.process.pid)],
                          stderr=subprocess.PIPE, timeout=120 * SLOWNESS)
    assert done.returncode == 0, done.stderr.decode()
    [path] = out.glob("*.json")
    report = json.loads(path.read_text())
    assert report["python"], report["gaps"]
    names = [frame["function"] for frame in report["threads"][0]["python"]]
    assert names == ["hello", "<module>"], report["gaps"]
    return report


@pytest.mark.parametrize("how", ["whole", "stripped", "without sections", "deleted"])
def test_a_privately_loaded_libpython_is_found(python, embed, tmp_path, how):
    original = shared(python)
    library = original
    if how != "whole":
        library = str(tmp_path / os.path.basename(original))
        shutil.copy(original, library)
    if how in ("stripped", "without sections"):
        strip(library)
    if how == "without sections":
        drop_sections(library)
    env = dict(os.environ, PYTHONHOME=home_of(python))
    with Victim(embed, "+" + library, env=env) as victim:
        report = check(victim, tmp_path, unlink=library if how == "deleted" else None)
    assert report["python"]["library"] == library
    merged = [f["function"] for f in report["threads"][0]["stack"] if f["kind"] == "python"]
    version = report["python"]["version"].split(".")
    if how != "without sections" or [int(v) for v in version[:2]] >= [3, 10]:
        assert merged == ["hello", "<module>"]


@pytest.mark.parametrize("how", ["without sections", "deleted"])
def test_a_copy_of_a_static_interpreter_is_found(python, tmp_path, how):
    if library_of(python):
        pytest.skip("%s is no static one" % python)
    copy = str(tmp_path / os.path.basename(os.path.realpath(python)))
    shutil.copy(os.path.realpath(python), copy)
    if how == "without sections":
        drop_sections(copy)
    env = dict(os.environ, PYTHONHOME=home_of(python))
    with Victim(copy, "-c", HELLO, env=env) as victim:
        report = check(victim, tmp_path, unlink=copy if how == "deleted" else None)
    assert report["python"]["library"] == copy


def test_of_two_copies_the_one_that_runs_is_shown(embed, tmp_path):
    libraries = {}
    for version, path in PYTHONS:
        library = library_of(path)
        if library and version >= (3, 7):
            libraries[version] = library, home_of(path)
    if len(libraries) < 2:
        pytest.skip("there are no two shared libpythons")
    (one, home_one), (two, home_two) = libraries[min(libraries)], libraries[max(libraries)]
    for running, idle, home in [(one, two, home_one), (two, one, home_two)]:
        for order in ([idle, "+" + running], ["+" + running, idle]):
            env = dict(os.environ, PYTHONHOME=home)
            out = tmp_path / ("%d-%s" % (running == one, order[0][0] == "+"))
            with Victim(embed, *order, env=env) as victim:
                report = check(victim, out)
            assert report["python"]["library"] == running
            assert not [gap for gap in report["gaps"] if "another Python" in gap["what"]]
    # Both run; each has its home beside its library.
    out = tmp_path / "both"
    env = {name: value for name, value in os.environ.items() if name != "PYTHONHOME"}
    with Victim(embed, "+" + one, "+" + two, env=env) as victim:
        report = check(victim, out)
    assert report["python"]["library"] == two
    [gap] = [gap for gap in report["gaps"] if gap["what"] == "another Python's frames"]
    assert "CPython %d.%d in %s" % (*min(libraries), one) in gap["why"]
