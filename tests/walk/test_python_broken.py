# SPDX-License-Identifier: GPL-3.0-or-later
"""The walk through the memory of a living interpreter, of which words were overwritten."""
import re
import subprocess

import pytest

from living import HERE, SLOWNESS, Victim, python, version_of  # noqa: F401 (a fixture)
from test_python_walk import LIVE

# Frames, names and variables of all versions; tasks, where they are found.
VICTIMS = {"victim.py": (2, 7), HERE.parent / "victims" / "tasks.py": (3, 7)}
ROUNDS = 100


@pytest.mark.parametrize("script", VICTIMS, ids=["frames", "tasks"])
def test_overwritten_memory_is_walked_to_an_end(python, script):
    if version_of(python) < VICTIMS[script]:
        pytest.skip("this CPython has no asyncio whose tasks can be found")
    with Victim(python, script, stderr=subprocess.DEVNULL) as victim:
        done = subprocess.run(
            [LIVE, "--break", str(ROUNDS), str(victim.process.pid)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=300 * SLOWNESS,
        )
    out = done.stdout.decode()
    assert done.returncode == 0, done.stderr.decode()
    found = re.search(r"^broken\t%d rounds\tlongest \d+ us\tthreads (\d+)" % ROUNDS, out, re.M)
    # Some words among thousands seldom hides the threads.
    assert int(found.group(1)) > ROUNDS / 2, out
    # Where all is as it was, so is what is walked.
    assert re.search(r"^frame\t", out, re.M), out
