#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write tests/unit/pylines-vectors.inc: line tables, and what their interpreter says of them.

    maint/pylines-vectors.py > tests/unit/pylines-vectors.inc

Each interpreter in ~/.pyenv/versions compiles the same functions and tells, by its own means
(co_positions, co_lines, dis), the line and column of every instruction. Equal neighbours make one
run: { first byte behind it, line, column }, columns from 1, 0 for what is unknown.
"""
import glob
import os
import re
import subprocess

INSIDE = r'''
import dis, sys

LONG = ["def long(a):"] + ["    a = a + 1"] * 70 + [""] * 200 + ["    return f(a,", ""]
LONG += [""] * 150 + ["             a +", "             2)"]

SOURCES = {
    "plain": "def plain(a):\n    b = a\n\n\n    return b\n",
    "call": "def call(f):\n    return f(1,\n             f(2),\n             3\n    )\n",
    "loop": "def loop(n):\n    for i in range(n):\n        if i == 2:\n            continue\n"
            "        while i:\n            i -= 1\n    else:\n        n = 0\n    return n\n",
    "handlers": "def handlers(f):\n    try:\n        with f:\n            f()\n"
                "    except (KeyError,\n            OSError) as e:\n        raise\n"
                "    finally:\n        del f\n",
    "closure": "def closure(a):\n    b = 1\n    def inner():\n        return a, b\n    return [\n"
               "        x for x in inner()\n        if x\n    ]\n",
    "empty": "def empty(): pass\n",
    "long": "\n".join(LONG) + "\n",
}

def runs(code):
    size = len(code.co_code)
    if hasattr(code, "co_positions"):
        at = [(line, None if column is None else column + 1)
              for line, _, column, _ in code.co_positions()]
        at = [p for p in at for _ in range(2)]
    elif hasattr(code, "co_lines"):
        at = [None] * size
        for start, end, line in code.co_lines():
            at[start:end] = [(line, None)] * (end - start)
    else:
        starts = sorted(dis.findlinestarts(code))
        at, line = [], code.co_firstlineno
        for offset in range(size):
            if starts and starts[0][0] == offset:
                line = starts.pop(0)[1]
            at.append((line, None))
    ret = []
    for offset in range(size):
        here = tuple(v or 0 for v in at[offset])
        if ret and tuple(ret[-1][1:]) == here:
            ret[-1][0] = offset + 1
        else:
            ret.append([offset + 1, here[0], here[1]])
    return ret

for name in sorted(SOURCES):
    space = {}
    exec(compile("\n" * 9 + SOURCES[name], name, "exec"), space)
    code = space[name].__code__
    table = code.co_linetable if sys.version_info >= (3, 10) else code.co_lnotab
    print(repr((name, code.co_firstlineno, [c for c in bytearray(table)], runs(code))))
'''

KINDS = {(2, 7): "PY_LINES_UNSIGNED", (3, 10): "PY_LINES_RANGES"}
KINDS.update({(3, minor): "PY_LINES_SIGNED" for minor in range(6, 10)})
KINDS.update({(3, minor): "PY_LINES_LOCATIONS" for minor in range(11, 14)})


def wrap(items, end):
    line, lines = "\t\t", []
    for item in items:
        if len(line) + len(item) > 88:
            lines.append(line.rstrip())
            line = "\t\t"
        line += item + ", "
    return "\n".join(lines + [line.rstrip()]) + end


def main():
    print("/* SPDX-License-Identifier: GPL-3.0-or-later */")
    print("/* Made by maint/pylines-vectors.py from what interpreters say; do not edit. */")
    seen = set()
    for python in sorted(glob.glob(os.path.expanduser("~/.pyenv/versions/*/bin/python"))):
        m = re.search(r"/versions/(\d+)\.(\d+)", python)
        version = int(m[1]), int(m[2])
        if version not in KINDS or version in seen:
            continue
        seen.add(version)
        out = subprocess.run([python, "-c", INSIDE], capture_output=True, text=True, check=True)
        for line in out.stdout.splitlines():
            name, first, table, runs = eval(line)
            title = f"{version[0]}.{version[1]} {name}"
            print(f'\t{{ "{title}", {KINDS[version]}, {first}, {len(table)},')
            print("\t  (const uint8_t[]){\n" + wrap([str(b) for b in table] or ["0"], " },"))
            print(f"\t  {len(runs)}, (const struct run[]){{")
            print(wrap([f"{{ {e}, {l}, {c} }}" for e, l, c in runs], " } },"))


main()
