# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules are called: by their files, and by the names that they give themselves."""
import json
import os
import shlex
import struct
import subprocess

import pytest

SOURCE = """
static void __attribute__((noinline)) inner(volatile int *p) { *p = 1; }
void die(void) { inner(0); }
"""
MODULE_LIST, MODULE_SIZE = 4, 108


@pytest.fixture
def library(tmp_path):
    """library("libplugin.so.2.5") is that file, which calls itself libplugin.so.2."""

    def made(name):
        path = tmp_path / "lib" / name
        path.parent.mkdir(exist_ok=True)
        source = tmp_path / "plugin.c"
        source.write_text(SOURCE)
        compiler = shlex.split(os.environ.get("CC") or "cc")
        subprocess.run(
            compiler
            + ["-O0", "-fPIC", "-shared", "-Wl,-soname,libplugin.so.2", "-s", "-o", path, source],
            check=True,
        )
        return path

    return made


def names_for_readers(dump):
    """The names in a minidump's list of modules."""
    data = dump.read_bytes()
    streams, directory = struct.unpack_from("<II", data, 8)
    entries = (struct.unpack_from("<III", data, directory + 12 * i) for i in range(streams))
    at = next(rva for kind, _, rva in entries if kind == MODULE_LIST)
    names = []
    for i in range(struct.unpack_from("<I", data, at)[0]):
        (rva,) = struct.unpack_from("<I", data, at + 4 + MODULE_SIZE * i + 20)
        (length,) = struct.unpack_from("<I", data, rva)
        names.append(data[rva + 4 : rva + 4 + length].decode("utf-16-le"))
    return names


def caught(pcatch, tmp_path, *command):
    """The dump of COMMAND's end."""
    running = pcatch.start(pcatch.program, "run", "-o", tmp_path / "own", "--", *command)
    running.go()
    running.wait()
    (dump,) = (tmp_path / "own").glob("*.dmp")
    return dump


def plugin_of(report):
    return next(m for m in report.json["modules"] if m.get("soname"))


def test_library_without_a_file_is_called_what_it_calls_itself(pcatch, victim, library, tmp_path):
    file = library("x.so")
    # What is only in memory is not there for `show`, which every report of pcatch.run() is given to.
    dump = caught(pcatch, tmp_path, victim("plugin", "-ldl"), file, "memory")
    bare = json.loads(pcatch.call("show", "-f", "json", dump).stdout)
    assert "in libplugin.so.2+0x" in bare["verdict"]["summary"], bare["verdict"]["summary"]
    report = json.loads(pcatch.call("show", "-f", "json", dump, file).stdout)
    module = next(m for m in report["modules"] if m.get("soname"))
    assert module["path"] == "/memfd:plugin" and module["deleted"], module
    assert module["soname"] == "libplugin.so.2"
    assert "/libplugin.so.2" in names_for_readers(dump)
    text = dump.with_suffix(".txt").read_text()
    # The function that crashed has no name, and its caller's is not put in its place.
    assert "in libplugin.so.2+0x" in text and "die+0x" in text, text


def test_readers_get_the_name_that_the_loader_goes_by(pcatch, victim, library):
    file = library("libplugin.so.2.5")
    (file.parent / "libplugin.so.2").symlink_to(file.name)
    report = pcatch.catch(victim("plugin", "-ldl"), file)
    module = plugin_of(report)
    assert (module["path"], module["soname"]) == (str(file), "libplugin.so.2")
    names = names_for_readers(report.dump)
    assert str(file.parent / "libplugin.so.2") in names and str(file) not in names
    # In the report it is the file that counts.
    assert "libplugin.so.2.5" in report.text


def test_name_that_leads_nowhere_is_given_to_nobody(pcatch, victim, library, tmp_path):
    file = library("libplugin.so.2.5")
    report = pcatch.catch(victim("plugin", "-ldl"), file)
    module = next(m for m in report.json["modules"] if m["path"] == str(file))
    assert not module.get("soname") and str(file) in names_for_readers(report.dump)
    # Nor is one of another file's.
    (file.parent / "libplugin.so.2").write_bytes(file.read_bytes())
    dump = caught(pcatch, tmp_path, victim("plugin", "-ldl"), file)
    assert str(file) in names_for_readers(dump)
