# SPDX-License-Identifier: GPL-3.0-or-later
"""Interpreters and victims that the tests of the Python walk share."""
import glob
import os
import pathlib
import subprocess
import threading

import pytest

HERE = pathlib.Path(__file__).resolve().parent
PCATCH = pathlib.Path(os.environ.get("PCATCH") or HERE.parents[1] / "build" / "src" / "pcatch")
SLOWNESS = float(os.environ.get("PCATCH_TEST_SLOWNESS") or 1)
ALL = ["2.7"] + ["3.%d" % minor for minor in range(6, 16)]
WANTED = [tuple(map(int, version.split(".")))
          for version in (os.environ.get("PCATCH_TEST_VERSIONS") or " ".join(ALL)).split()]


def has_gil(python):
    """All but the free-threaded builds, unless they were asked for one."""
    asks = "import sys; sys.exit(not getattr(sys, '_is_gil_enabled', lambda: True)())"
    return subprocess.run([python, "-c", asks], timeout=60).returncode == 0


def version_of(python):
    out = subprocess.run([python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60)
    return tuple(map(int, out.stdout.decode().split("."))) if out.returncode == 0 else None


def find_pythons():
    listed = os.environ.get("PCATCH_TEST_PYTHONS")
    paths = listed.split(":") if listed else (
        sorted(glob.glob(os.path.expanduser("~/.pyenv/versions/*/bin/python"))) +
        ["/usr/bin/python3"])
    found = [(version_of(path), path) for path in paths if os.access(path, os.X_OK)]
    return [(version, path) for version, path in found if version in WANTED]


PYTHONS = find_pythons()
PARAMS = [pytest.param(path, id="%d.%d-%s" % (*version, "system" if path.startswith("/usr") else "pyenv"))
          for version, path in PYTHONS]
PARAMS += [pytest.param(None, id="%d.%d" % version) for version in WANTED
           if version not in [v for v, _ in PYTHONS]]


@pytest.fixture(params=PARAMS)
def python(request):
    if request.param is None:
        pytest.skip("no CPython %s in ~/.pyenv/versions or /usr/bin" % request.node.callspec.id)
    return request.param


class Victim:
    """A victim that has said its first line; it is let go, and must then end well."""

    def __init__(self, *command, env=None, **popen):
        self.process = subprocess.Popen(command, cwd=HERE, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE,
                                        env=dict(env or os.environ, PYTHONDONTWRITEBYTECODE="1"),
                                        **popen)
        self.watchdog = threading.Timer(60 * SLOWNESS, self.process.kill)
        self.watchdog.start()
        self.said = self.process.stdout.readline().decode()

    def __enter__(self):
        if not self.said:
            # Else the thread that waits would keep the test from ending.
            self.watchdog.cancel()
            self.process.kill()
        assert self.said, "the victim said nothing"
        return self

    def __exit__(self, kind, *unused):
        try:
            self.process.stdin.write(b"go\n")
            self.process.stdin.close()
            ended = self.process.wait()
        finally:
            self.watchdog.cancel()
            self.process.kill()
            self.process.stdout.close()
        assert kind or ended == 0, "the victim ended with %s" % ended
