# SPDX-License-Identifier: GPL-3.0-or-later
"""A dump whose binaries a debuginfod server has: here one of a few lines."""
import ctypes
import http.server
import json
import os
import shlex
import shutil
import subprocess
import threading

import pytest

from conftest import SLOWNESS


class Server:
    """Serves `files`, {(build id, kind): bytes}, and keeps in `asked` what it was asked for."""

    def __init__(self, files, hangs=False):
        self.asked, self.files = [], files
        self.released = threading.Event()
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                _, what, build_id, kind = self.path.split("/")
                server.asked.append((build_id, kind))
                if hangs:
                    server.released.wait(60 * SLOWNESS)
                data = server.files.get((build_id, kind)) if what == "buildid" else None
                self.send_response(200 if data else 404)
                self.send_header("Content-Length", str(len(data or b"")))
                self.end_headers()
                try:
                    self.wfile.write(data or b"")
                except OSError:
                    pass

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()
        self.url = "http://127.0.0.1:%d" % self.http.server_address[1]

    def close(self):
        self.released.set()
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def serve():
    servers = []

    def start(*arguments, **options):
        servers.append(Server(*arguments, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


class Gone:
    """A report whose program is not there any more, but for the two files that it came of."""

    def __init__(self, pcatch, victim, tmp_path):
        home = tmp_path / "home"
        home.mkdir()
        program, debug, stripped = (home / name for name in ("null-deref", "debug", "stripped"))
        shutil.copy(victim("null-deref"), program)
        self.report = pcatch.catch(program)
        module = next(m for m in self.report.json["modules"] if m["path"] == str(program))
        self.path, self.build_id = str(program), module.get("build_id")
        if not self.build_id:
            pytest.skip("this compiler writes no build ids")
        for option, to in ("--only-keep-debug", debug), ("--strip-all", stripped):
            subprocess.run(["objcopy", option, program, to], check=True)
        self.debug, self.executable = debug.read_bytes(), stripped.read_bytes()
        for file in home.iterdir():
            file.unlink()

    @property
    def files(self):
        return {
            (self.build_id, "executable"): self.executable,
            (self.build_id, "debuginfo"): self.debug,
        }


@pytest.fixture
def gone(pcatch, victim, tmp_path):
    if not shutil.which("objcopy"):
        pytest.skip("no objcopy")
    try:
        ctypes.CDLL("libdebuginfod.so.1")
    except OSError as error:
        pytest.skip("no libdebuginfod: %s" % error)
    return Gone(pcatch, victim, tmp_path)


def environment(urls, tmp_path):
    """Ours, with URLS (None: not set), a cache that only this test has, and no proxy between."""
    environ = dict(os.environ, DEBUGINFOD_CACHE_PATH=str(tmp_path / "cache"), no_proxy="*")
    environ.pop("DEBUGINFOD_URLS", None)
    if urls is not None:
        environ["DEBUGINFOD_URLS"] = urls
    return environ


def show(pcatch, gone, urls, tmp_path, *options):
    """What `show` says, and what it said beside."""
    called = pcatch.call(
        "show", "-f", "json", *options, gone.report.dump, env=environment(urls, tmp_path)
    )
    assert called.status == 0, called
    return json.loads(called.stdout), called.stderr


def native(report):
    return report["threads"][0]["native"]


def gaps(report, what, path):
    return [g for g in report["gaps"] if g["what"].startswith(what) and path in g["what"]]


def test_what_a_server_has_makes_the_report_whole(pcatch, gone, serve, tmp_path):
    server = serve(gone.files)
    found, said = show(pcatch, gone, server.url, tmp_path, "-v")
    assert native(found) == native(gone.report.json)
    assert not gaps(found, "", gone.path)
    assert {(gone.build_id, "executable"), (gone.build_id, "debuginfo")} <= set(server.asked)
    assert "debuginfod: debug information of %s: 0." % gone.path in said
    # It is in the cache now, and nobody is asked again.
    server.asked.clear()
    again, said = show(pcatch, gone, server.url, tmp_path)
    assert again == found and said == ""
    assert gone.build_id not in {build_id for build_id, _ in server.asked}
    called = pcatch.call(
        "diff", "-v", gone.report.dump, gone.report.dump,
        env=environment(server.url, tmp_path / "home"),
    )
    assert called.status == 0 and "information of %s: 0." % gone.path in called.stderr, called


def test_what_no_server_has_is_a_gap(pcatch, gone, serve, tmp_path):
    server = serve({(gone.build_id, "executable"): gone.executable})
    found, said = show(pcatch, gone, server.url, tmp_path)
    gap = gaps(found, "debug information of", gone.path)[0]
    assert gap["why"] == "no server in DEBUGINFOD_URLS has it" and said == ""
    server = serve({})
    found, said = show(pcatch, gone, server.url, tmp_path / "home", "-v")
    gap = gaps(found, "function names of", gone.path)[0]
    assert "No such file" in gap["why"] and "no server in DEBUGINFOD_URLS has it" in gap["why"]
    assert "%s: no server in DEBUGINFOD_URLS has it" % gone.path in said


def test_server_that_hangs_costs_the_time_limit_and_no_more(pcatch, gone, serve, tmp_path):
    server = serve({}, hangs=True)
    found, _ = show(pcatch, gone, server.url, tmp_path, "--debuginfod-timeout", "1")
    assert server.asked
    gap = gaps(found, "function names of", gone.path)[0]
    assert "within 1 s (--debuginfod-timeout)" in gap["why"], gap
    assert not server.released.is_set()


def test_server_that_lies_is_not_believed(pcatch, gone, victim, serve, tmp_path):
    other = victim("write-rodata").read_bytes()
    server = serve(
        {(gone.build_id, "executable"): other, (gone.build_id, "debuginfo"): other}
    )
    found, _ = show(pcatch, gone, server.url, tmp_path)
    assert not {"deref", "main"} & {frame.get("function") for frame in native(found)}
    gap = gaps(found, "function names of", gone.path)[0]
    assert "another build" in gap["why"] and str(tmp_path / "cache") in gap["why"]
    # The debug information alone.
    server = serve({**gone.files, (gone.build_id, "debuginfo"): other})
    found, _ = show(pcatch, gone, server.url, tmp_path / "home")
    gap = gaps(found, "debug information of", gone.path)[0]
    assert "another build" in gap["why"]


def test_cache_that_cannot_be_made_is_told_from_a_server_without_the_file(
    pcatch, gone, serve, tmp_path
):
    found, _ = show(pcatch, gone, serve(gone.files).url, tmp_path / "nowhere")
    gap = gaps(found, "function names of", gone.path)[0]
    assert str(tmp_path / "nowhere" / "cache") in gap["why"], gap


def test_garbage_from_a_server_is_a_gap(pcatch, gone, serve, tmp_path):
    server = serve(
        {(gone.build_id, "executable"): b"<html>", (gone.build_id, "debuginfo"): b"\x7fELF" * 99}
    )
    found, _ = show(pcatch, gone, server.url, tmp_path)
    assert gaps(found, "function names of", gone.path)


@pytest.mark.parametrize("urls, options", [(None, ()), (" ", ()), ("", ("--debuginfod-timeout=0",))])
def test_nobody_is_asked_who_was_not_named(pcatch, gone, serve, tmp_path, urls, options):
    server = serve(gone.files)
    found, said = show(pcatch, gone, server.url if urls == "" else urls, tmp_path, "-v", *options)
    assert server.asked == [] and said == ""
    assert not (tmp_path / "cache").exists()
    assert "DEBUGINFOD_URLS" in gaps(found, "function names of", gone.path)[0]["remedy"]


def test_nobody_is_asked_at_a_death(pcatch, victim, serve, tmp_path):
    server = serve({})
    report = pcatch.catch(
        victim("null-deref"), env=environment(server.url, tmp_path), how="run"
    )
    assert report.cause == "native-crash" and server.asked == []


def test_library_that_is_not_there_is_a_gap(pcatch, gone, serve, tmp_path):
    server = serve(gone.files)
    # What the loader finds first, and what has none of the functions.
    source = tmp_path / "empty.c"
    source.write_text("int nothing;\n")
    compiler = shlex.split(os.environ.get("CC") or "cc")
    subprocess.run(
        compiler + ["-shared", "-fPIC", "-o", tmp_path / "libdebuginfod.so.1", source], check=True
    )
    called = pcatch.call(
        "show", "-f", "json", gone.report.dump,
        env=dict(environment(server.url, tmp_path), LD_LIBRARY_PATH=str(tmp_path)),
    )
    assert called.status == 0, called
    gap = gaps(json.loads(called.stdout), "function names of", gone.path)[0]
    assert "libdebuginfod.so.1 has no debuginfod_begin" in gap["why"] and server.asked == []


def test_server_that_is_not_there_is_a_gap(pcatch, gone, tmp_path):
    found, _ = show(pcatch, gone, "http://127.0.0.1:1", tmp_path)
    gap = gaps(found, "function names of", gone.path)[0]
    assert "asking the servers in DEBUGINFOD_URLS: Connection refused" in gap["why"], gap
