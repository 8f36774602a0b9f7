# SPDX-License-Identifier: GPL-3.0-or-later
"""A dump that is opened where the binaries are not, or are in another place."""
import json
import os
import re
import shlex
import shutil
import subprocess

import pytest

from conftest import DEATHS, VICTIMS, python_frames


def show(pcatch, dump, *options):
    called = pcatch.call("show", "-f", "json", dump, *options)
    assert called.status == 0, called
    return json.loads(called.stdout)


def dying(report):
    return report["threads"][0]


def functions(report):
    return [frame.get("function") for frame in dying(report)["native"]]


def gaps_about(report, path):
    """Those on the names of PATH."""
    what = "function names of %s" % path
    return [gap for gap in report["gaps"] if gap["what"] == what]


def move_into(root, path):
    """PATH, out of its place and into ROOT as that place's machine would have it."""
    there = root / str(path).lstrip("/")
    there.parent.mkdir(parents=True)
    shutil.move(path, there)
    return there


def own_copy(python, folder):
    """A copy of PYTHON in FOLDER that runs there."""
    folder.mkdir()
    copy = folder / "python"
    shutil.copy(os.path.realpath(python), copy)
    try:
        subprocess.run([copy, "-c", "import threading, ctypes"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("%s does not run as a copy" % python)
    return copy


@pytest.fixture
def crashed(pcatch, victim, tmp_path):
    """The report on a victim in a folder of its own, and that victim's path."""
    home = tmp_path / "home"
    home.mkdir()
    program = home / "null-deref"
    shutil.copy(victim("null-deref"), program)
    return pcatch.catch(program), program


def test_missing_binary_is_a_gap_and_a_sysroot_mends_it(pcatch, crashed, tmp_path):
    report, program = crashed
    assert functions(report.json)[:2] == ["deref", "main"]
    module = next(m for m in report.json["modules"] if m["path"] == str(program))
    pc = int(dying(report.json)["native"][0]["pc"], 0)

    move_into(tmp_path / "root", program)
    bare = show(pcatch, report.dump)
    frame = dying(bare)["native"][0]
    assert frame.get("function") is None and frame["module"] == str(program)
    assert int(frame["pc"], 0) == pc
    gap = gaps_about(bare, program)[0]
    assert "No such file" in gap["why"] and "--sysroot" in gap["remedy"]
    text = pcatch.call("show", report.dump).stdout
    assert "null-deref+0x%x" % (pc - int(module["start"], 0)) in text

    whole = show(pcatch, report.dump, "--sysroot", tmp_path / "root")
    assert dying(whole)["native"] == dying(report.json)["native"]
    assert not gaps_about(whole, program)
    own = show(pcatch, report.dump, "--sysroot", tmp_path / "root", "--no-local-files")
    assert functions(own)[:2] == ["deref", "main"] and not gaps_about(own, program)
    libc = next(m["path"] for m in own["modules"] if "/libc" in m["path"])
    assert gaps_about(own, libc) and not gaps_about(whole, libc)
    # The first that has it counts, wherever it stands among the folders.
    (tmp_path / "empty").mkdir()
    options = ("--sysroot", tmp_path / "empty", "--sysroot", tmp_path / "root")
    assert dying(show(pcatch, report.dump, *options)) == dying(whole)
    called = pcatch.call("diff", *options, report.dump, report.dump)
    assert called.status == 0, called


def test_another_build_in_its_place_is_refused_and_said(pcatch, crashed, victim, tmp_path):
    report, program = crashed
    module = next(m for m in report.json["modules"] if m["path"] == str(program))
    if not module.get("build_id"):
        pytest.skip("this compiler writes no build ids")
    shutil.copy(victim("write-rodata"), program)
    for options, place in ((), program), (
        ("--sysroot", tmp_path / "root"),
        tmp_path / "root" / str(program).lstrip("/"),
    ):
        if options:
            move_into(tmp_path / "root", program)
        wrong = show(pcatch, report.dump, *options)
        assert "deref" not in functions(wrong) and "main" not in functions(wrong)
        gap = gaps_about(wrong, program)[0]
        assert str(place) in gap["why"] and module["build_id"] in gap["why"]
        assert "another build" in gap["why"] and "this one has" in gap["why"]


def test_binary_and_debug_information_are_found_by_build_id(pcatch, crashed, tmp_path):
    report, program = crashed
    build_id = next(m for m in report.json["modules"] if m["path"] == str(program)).get("build_id")
    if not build_id or not shutil.which("objcopy"):
        pytest.skip("no build id" if not build_id else "no objcopy")
    folder = tmp_path / "debug" / ".build-id" / build_id[:2]
    folder.mkdir(parents=True)
    debug = folder / (build_id[2:] + ".debug")
    subprocess.run(["objcopy", "--only-keep-debug", program, debug], check=True)
    subprocess.run(["objcopy", "--strip-all", program, folder / build_id[2:]], check=True)
    program.unlink()
    found = show(pcatch, report.dump, "--debug-dir", tmp_path / "debug")
    assert dying(found)["native"] == dying(report.json)["native"]


def test_debug_information_alone_gives_names_and_lines(pcatch, crashed, tmp_path):
    report, program = crashed
    module = next(m for m in report.json["modules"] if m["path"] == str(program))
    if not module.get("build_id") or not shutil.which("objcopy"):
        pytest.skip("no build id" if not module.get("build_id") else "no objcopy")
    debug = tmp_path / "app.debug"
    subprocess.run(["objcopy", "--only-keep-debug", program, debug], check=True)
    program.unlink()
    # What unwinding needs is in the dump; so it is by a name of its own that the file is found.
    alone = show(pcatch, report.dump, debug)
    assert dying(alone)["native"] == dying(report.json)["native"]
    assert not gaps_about(alone, program)
    module = next(m for m in alone["modules"] if m["path"] == str(program))
    assert module["symbols"] == "dwarf"
    assert gaps_about(show(pcatch, report.dump), program)


@pytest.mark.parametrize("how", ["zlib", "zlib-gnu", "zstd"])
def test_compressed_debug_information_is_read(pcatch, crashed, tmp_path, how):
    report, program = crashed
    if not shutil.which("objcopy"):
        pytest.skip("no objcopy")
    packed = tmp_path / "packed"
    called = subprocess.run(
        ["objcopy", "--compress-debug-sections=" + how, program, packed], capture_output=True, text=True
    )
    if called.returncode:
        pytest.skip("objcopy does not know %s: %s" % (how, called.stderr.strip()))
    shutil.copy(packed, program)
    # In the place of the one that was mapped, it is another file.
    if not next(m for m in report.json["modules"] if m["path"] == str(program)).get("build_id"):
        pytest.skip("this compiler writes no build ids")
    again = show(pcatch, report.dump)
    assert dying(again)["native"] == dying(report.json)["native"]


SHARED_SOURCE = """
#include "truth.h"
struct order { int number, price; struct order *next; };
static inline __attribute__((always_inline)) int price_of(volatile struct order *order)
{
	return order->price + order->number;
}
int main(void) { truth_fault("price_of", NULL); return price_of(NULL); }
"""


UNWOUND_SOURCE = """
#include "truth.h"
static __attribute__((noinline)) int inner(volatile int *p) { int v = *p; __asm__(""); return v; }
static __attribute__((noinline)) int outer(volatile int *p)
{
	volatile char room[100];
	room[1] = 1;
	int v = inner(p) + room[1];
	__asm__("");
	return v;
}
int main(void) { truth_fault("inner", NULL); return outer(NULL) + 1; }
"""


def test_debug_information_alone_unwinds_where_it_says_how(pcatch, tmp_path):
    if not shutil.which("objcopy"):
        pytest.skip("no objcopy")
    source, program, debug = (tmp_path / name for name in ("app.c", "app", "app.debug"))
    source.write_text(UNWOUND_SOURCE)
    subprocess.run(
        shlex.split(os.environ.get("CC") or "cc")
        + ["-g", "-O1", "-w", "-fomit-frame-pointer", "-fno-asynchronous-unwind-tables"]
        + ["-D_GNU_SOURCE", "-I", VICTIMS, "-Wl,--build-id", "-o", program, source],
        check=True,
    )
    subprocess.run(["objcopy", "--only-keep-debug", program, debug], check=True)
    report = pcatch.catch(program, options=["--embed-unwind=never"])
    if [f["found_by"] for f in dying(report.json)["native"]][1] != "cfi":
        pytest.skip("this compiler writes no .debug_frame")
    program.unlink()
    alone = show(pcatch, report.dump, debug)
    assert functions(alone)[:3] == ["inner", "outer", "main"]
    assert by_cfi(alone) == by_cfi(report.json)


def test_debug_information_that_files_share_is_found_by_its_build_id(pcatch, tmp_path):
    if not shutil.which("dwz") or not shutil.which("objcopy"):
        pytest.skip("no dwz" if shutil.which("objcopy") else "no objcopy")
    compiler = shlex.split(os.environ.get("CC") or "cc")
    shared = tmp_path / "shared.debug"
    for name in "one", "two":
        source = tmp_path / (name + ".c")
        source.write_text(SHARED_SOURCE + "int %s;\n" % name)
        subprocess.run(
            compiler + ["-g", "-gdwarf-4", "-O1", "-w", "-D_GNU_SOURCE", "-I", VICTIMS]
            + ["-Wl,--build-id", "-o", tmp_path / name, source],
            check=True,
        )
        subprocess.run(
            ["objcopy", "--only-keep-debug", tmp_path / name, tmp_path / (name + ".debug")], check=True
        )
        subprocess.run(["strip", tmp_path / name], check=True)
    called = subprocess.run(
        ["dwz", "-m", shared, tmp_path / "one.debug", tmp_path / "two.debug"], capture_output=True, text=True
    )
    if called.returncode or not shared.exists():
        pytest.skip("dwz found nothing to share: " + called.stderr)
    report = pcatch.catch(tmp_path / "one")
    debug = tmp_path / "one.debug"
    whole = show(pcatch, report.dump, debug)
    assert functions(whole)[:2] == ["price_of", "main"], functions(whole)
    moved = tmp_path / "elsewhere.debug"
    shutil.move(shared, moved)
    lacking = show(pcatch, report.dump, debug)
    assert functions(lacking)[0] != "price_of"
    gap = next(g for g in lacking["gaps"] if g["what"] == "inlined functions of %s" % (tmp_path / "one"))
    assert "shared.debug" in gap["why"] and "--debug-dir" in gap["remedy"]
    assert dying(show(pcatch, report.dump, debug, moved)) == dying(whole)


def test_binary_is_named_beside_the_dump_or_the_core(pcatch, crashed, victim, tmp_path):
    report, program = crashed
    if not next(m for m in report.json["modules"] if m["path"] == str(program)).get("build_id"):
        pytest.skip("this compiler writes no build ids")
    called = pcatch.call("show", "-f", "core", "-o", tmp_path / "cores", report.dump)
    core = called.stdout.strip()
    elsewhere = tmp_path / "elsewhere" / program.name
    elsewhere.parent.mkdir()
    shutil.move(program, elsewhere)
    assert gaps_about(show(pcatch, core), program)
    for file in report.dump, core:
        named = show(pcatch, file, elsewhere)
        assert functions(named)[:2] == ["deref", "main"] and not gaps_about(named, program)
    # One that is not it is refused with both build ids, and is no news about other modules.
    shutil.copy(victim("write-rodata"), elsewhere)
    wrong = show(pcatch, core, elsewhere)
    assert "another build" in gaps_about(wrong, program)[0]["why"]
    assert str(elsewhere) not in json.dumps([g for g in wrong["gaps"] if str(program) not in g["what"]])


def test_binary_that_is_not_there_is_refused(pcatch, crashed, tmp_path):
    called = pcatch.call("show", crashed[0].dump, tmp_path / "nothing")
    assert called.status == 1 and str(tmp_path / "nothing") in called.stderr
    called = pcatch.call("show", crashed[0].dump, tmp_path)
    assert called.status == 2 and "is no file" in called.stderr
    # As gdb would have it.
    called = pcatch.call("show", crashed[1], crashed[0].dump)
    assert called.status == 1 and "name the dump or core first" in called.stderr
    assert len(called.stderr.splitlines()) == 1


def test_python_frames_need_no_binary(pcatch, any_python, tmp_path):
    python = own_copy(any_python, tmp_path / "home")
    report = pcatch.catch(python, DEATHS, "segfault")
    move_into(tmp_path / "root", python)
    bare = show(pcatch, report.dump)
    wanted = python_frames(report.truth["frames"])
    assert python_frames(dying(bare)["python"])[-len(wanted) :] == wanted
    assert [t.get("python") for t in bare["threads"]] == [
        t.get("python") for t in report.json["threads"]
    ]
    whole = show(pcatch, report.dump, "--sysroot", tmp_path / "root")
    assert whole["threads"] == report.json["threads"]


def test_folder_that_is_not_there_is_refused(pcatch, crashed, tmp_path):
    report, program = crashed
    for option in "--sysroot", "--debug-dir":
        called = pcatch.call("show", option, tmp_path / "nowhere", report.dump)
        assert called.status == 1 and called.stdout == ""
        assert str(tmp_path / "nowhere") in called.stderr and len(called.stderr.splitlines()) == 1
        called = pcatch.call("show", option, program, report.dump)
        assert called.status == 2 and "no folder" in called.stderr


def by_cfi(report):
    """The pcs of each thread, and how the frames were found."""
    return {
        t["tid"]: [(f["pc"], f["found_by"]) for f in t["native"] if not f.get("inlined")]
        for t in report["threads"]
    }


def without_binaries(pcatch, dump, folders, tmp_path):
    """What `show` says of DUMP where an empty folder lies over each of FOLDERS, libc's last."""
    # It needs some of what is hidden itself: copies serve.
    own = tmp_path / "own"
    own.mkdir()
    listed = subprocess.run(["ldd", pcatch.program], capture_output=True, text=True)
    paths = re.findall(r"(/\S+) \(0x", listed.stdout)
    loader = [os.path.basename(path) for path in paths if "/ld-" in path]
    if not loader:
        pytest.skip("ldd names no loader: " + listed.stdout + listed.stderr)
    for path in paths + [str(pcatch.program)]:
        shutil.copy(path, own)
    script = """
        d=$1 l=$2 own=$3; shift 3
        for f; do mount -t tmpfs none "$f" || exit 99; done
        exec "$own/$l" --library-path "$own" "$own/pcatch" show -f json "$d"
    """
    called = pcatch.start(
        "unshare", "-m", "sh", "-c", script, "sh", dump, loader[0], own, *folders,
        stdin=subprocess.DEVNULL,
    )
    status = called.wait()
    if status == 99 or "unshare" in called.stderr:
        pytest.skip("no mount namespace to hide binaries in: " + called.stderr.strip())
    assert status == 0, called.stderr
    return json.loads(called.stdout)


def test_native_stacks_are_whole_without_any_binary(pcatch, any_python, tmp_path):
    if not shutil.which("unshare") or not shutil.which("ldd"):
        pytest.skip("no unshare or no ldd")
    python = own_copy(any_python, tmp_path / "home")
    report = pcatch.catch(python, DEATHS, "segfault-in-thread")
    assert len(report.json["threads"]) > 1
    paths = [os.path.realpath(m["path"]) for m in report.json["modules"] if m["path"][0] == "/"]
    libc = next(os.path.dirname(path) for path in paths if "/libc" in path or "/ld-" in path)
    folders = sorted({os.path.dirname(path) for path in paths} - {libc})
    # A debug file alone gives names.
    folders += [path for path in ["/usr/lib/debug"] if os.path.isdir(path)] + [libc]
    bare = without_binaries(pcatch, report.dump, folders, tmp_path)
    assert by_cfi(bare) == by_cfi(report.json)
    names = [frame.get("function") for t in bare["threads"] for frame in t["native"]]
    assert not any(names), names
    assert gaps_about(bare, python)
    for thread in bare["threads"]:
        assert thread.get("python") == report.thread(thread["tid"]).get("python")


@pytest.mark.parametrize("when", ["never", "auto", "always"])
def test_unwind_information_is_kept_as_asked(pcatch, any_python, tmp_path, when):
    python = own_copy(any_python, tmp_path / "home")
    report = pcatch.catch(python, DEATHS, "segfault", options=["--embed-unwind=" + when])
    move_into(tmp_path / "root", python)
    bare = show(pcatch, report.dump)
    assert (by_cfi(bare) == by_cfi(report.json)) == (when != "never")
    if when == "auto":
        # What it costs has a bound.
        assert report.dump.stat().st_size < 8 << 20


def test_nonsense_about_unwind_information_is_refused(pcatch):
    called = pcatch.call("run", "--embed-unwind=often", "--", "true")
    assert called.status == 125 or called.status == 2
    assert "never, auto, always" in called.stderr
