# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs code in a second interpreter, in which it stays until stdin says to go."""
import os
import sys
import threading

try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters

go, end = os.pipe()
code = "def inner():\n  import os\n  os.write(1, b'there\\n'), os.read(%d, 1)\n\ninner()\n" % go
thread = threading.Thread(target=lambda: interpreters.run_string(interpreters.create(), code))
thread.start()
sys.stdin.readline()
os.write(end, b"x")
thread.join()
