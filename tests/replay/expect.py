#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""
usage: expect.py    writes beside each dump of this folder the report that it gives: `git diff` shows
what a change makes of them. PCATCH names the program.
"""
import json
import lzma
import os
import pathlib
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
PROGRAM = os.environ.get("PCATCH") or str(HERE.parent.parent / "build" / "src" / "pcatch")
# Where the one program that is kept was when it died, below a root folder of its own.
KEPT = pathlib.Path("tmp/pcatch-replay/null-deref")


def packed_dumps():
    return sorted(HERE.glob("*.dmp.xz"))


def unpack(packed, folder):
    dump = pathlib.Path(folder) / packed.with_suffix("").name
    dump.write_bytes(lzma.decompress(packed.read_bytes()))
    return dump


def show(file, form="json", *options):
    # What debug information is installed here is no business of the dump's.
    argv = [PROGRAM, "show", str(file), "-f", form, "--no-local-files", *options]
    with tempfile.TemporaryDirectory() as root:
        if pathlib.Path(file).name.startswith(KEPT.name):
            program = root / KEPT
            program.parent.mkdir(parents=True)
            program.write_bytes((HERE / KEPT.name).read_bytes())
            argv += ["--sysroot", root]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout


def expected(packed):
    return packed.with_suffix("").with_suffix(".json")


def main():
    with tempfile.TemporaryDirectory() as folder:
        for packed in packed_dumps():
            report = json.loads(show(unpack(packed, folder)))
            text = json.dumps(report, indent=1, ensure_ascii=False)
            expected(packed).write_text(text + "\n")
            print("%s: %s" % (packed.name, report["verdict"]["summary"]))


if __name__ == "__main__":
    main()
