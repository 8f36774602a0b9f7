# SPDX-License-Identifier: GPL-3.0-or-later
"""What C++ threw and nobody caught, and other last words before abort(), from memory alone."""
import os
import shutil
import subprocess
import sys

import pytest

from conftest import VICTIMS

NO_OUTPUT = {"stderr": subprocess.DEVNULL}
TERMINATE = "terminate called after throwing an instance of '%s'"
THROWN = [
    ("runtime", "std::runtime_error", "no such table"),
    ("inherited", "house::gone", "no such room"),
    ("system", "std::system_error", "opening: No such file or directory"),
    ("noexcept", "std::logic_error", "not so quiet"),
    ("again", "std::runtime_error", "first"),
    ("thread", "std::runtime_error", "in a thread"),
    # Their what() is code of their own, or they have none: the type is all that is certain.
    ("overridden", "house::silent", None),
    ("wrapped", "wrapped", None),
    ("int", "int", None),
    ("bad-alloc", "std::bad_alloc", None),
]


def check_thrown(report, kind, what):
    message = TERMINATE % kind + (": " + what if what else "")
    assert report.cause == "abort"
    assert (report.fault["message"], report.fault["message_source"]) == (message, "memory")
    assert message in report.summary


@pytest.mark.parametrize("name, kind, what", THROWN, ids=[t[0] for t in THROWN])
def test_uncaught_exception_tells_what_was_thrown_when_nobody_reads_stderr(
    pcatch, victim, name, kind, what
):
    check_thrown(pcatch.catch(victim("uncaught"), name, **NO_OUTPUT), kind, what)


@pytest.mark.parametrize(
    "flags",
    [["-static-libstdc++", "-static-libgcc", "-rdynamic"], ["-static"]],
    ids=["static-runtime", "static"],
)
def test_runtime_is_found_wherever_it_is_linked(pcatch, tmp_path, flags):
    compiler = (os.environ.get("CXX") or "c++").split()[0]
    if not shutil.which(compiler):
        pytest.skip("no compiler %s" % compiler)
    program = tmp_path / "uncaught"
    build = [compiler, "-g", "-w", "-pthread", "-I", str(VICTIMS), *flags, "-o", str(program)]
    built = subprocess.run(build + [str(VICTIMS / "uncaught.cc")], capture_output=True, text=True)
    if built.returncode:
        pytest.skip("cannot link with %s: %s" % (flags[0], built.stderr.splitlines()[-1]))
    report = pcatch.catch(program, "inherited", **NO_OUTPUT)
    check_thrown(report, "house::gone", "no such room")


LIBRARY = """
#include <stdexcept>
extern "C" void slam() { throw std::out_of_range("slammed"); }
"""
LOADS_IT = """
import ctypes, os, sys
library = ctypes.CDLL(sys.argv[1])
print('{"pid": %d}' % os.getpid(), flush=True)
sys.stdin.read(1)
library.slam()
"""


def test_exception_from_an_extension_that_was_loaded_later_is_told(pcatch, tmp_path):
    library = tmp_path / "slam.so"
    (tmp_path / "slam.cc").write_text(LIBRARY)
    compiler = (os.environ.get("CXX") or "c++").split()
    if not shutil.which(compiler[0]):
        pytest.skip("no compiler %s" % compiler[0])
    build = compiler + ["-g", "-shared", "-fPIC", "-o", library, tmp_path / "slam.cc"]
    subprocess.run(build, check=True)
    report = pcatch.catch(sys.executable, "-c", LOADS_IT, library, **NO_OUTPUT)
    check_thrown(report, "std::out_of_range", "slammed")


@pytest.mark.parametrize("name", ["handler", "none"])
def test_no_exception_is_blamed_for_what_it_did_not_do(pcatch, victim, name):
    report = pcatch.catch(victim("uncaught"), name, **NO_OUTPUT)
    assert report.cause == "abort"
    assert not report.fault.get("message")


@pytest.mark.parametrize("options, shown", [((), False), (("--no-redact",), True)])
def test_last_words_in_memory_hide_secrets(pcatch, victim, options, shown):
    report = pcatch.catch(victim("uncaught"), "secret", options=options, **NO_OUTPUT)
    assert ("hunter2andmore" in report.fault["message"]) == shown
    assert ("hunter2andmore" in report.text) == shown
    assert "cannot log in with password=" in report.fault["message"]
