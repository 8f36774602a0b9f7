# SPDX-License-Identifier: GPL-3.0-or-later
"""The server of doc/examples, whose client goes away while a slow command runs."""
import errno
import os
import socket
import sys

import pytest

from conftest import PYTHONS, ROOT, until

APP = ROOT / "doc" / "examples"


@pytest.fixture
def server(pcatch, tmp_path):
    """A Hypercorn that listens, with its log in a file; its /report waits for .fifo."""
    python = PYTHONS["system"] or sys.executable
    if pcatch.start(python, "-c", "import hypercorn").wait():
        pytest.skip("no hypercorn for " + python)
    fifo = tmp_path / "slow"
    os.mkfifo(fifo)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path / "server.log"
    with open(log, "wb") as output:
        running = pcatch.start(
            *(python, "-m", "hypercorn", "--bind", "127.0.0.1:%d" % port),
            *("--access-logfile", "-", "slow_report:app"),
            cwd=APP,
            env=dict(os.environ, SLOW_COMMAND="cat " + str(fifo), PYTHONDONTWRITEBYTECODE="1"),
            stdout=output,
            stderr=output,
        )
    running.port, running.log, running.fifo = port, log, fifo

    def connected():
        assert running.process.poll() is None, log.read_text()
        try:
            return socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            return None

    running.connect = lambda: until(connected, "the server to listen")
    return running


def opened_for_writing(fifo):
    try:
        return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise


def test_client_that_goes_away_is_found_behind_the_silent_death(pcatch, server):
    with server.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = b""
        while True:  # to the end, or the server would die of this client already
            piece = client.recv(1000)
            if not piece:
                break
            answer += piece
        assert b"It works." in answer
    watcher = pcatch.attach(server.pid)

    client = server.connect()
    address = "%s:%d" % client.getsockname()
    client.sendall(b"GET /report HTTP/1.1\r\nHost: localhost\r\n\r\n")
    # When there is a reader, the command runs; then the client goes, then the command ends.
    slow = until(lambda: opened_for_writing(server.fifo), "the slow command")
    client.close()
    os.close(slow)
    assert server.wait() == -13
    assert watcher.wait() == 0

    report = pcatch.report(watcher)
    assert (report.cause, report.verdict["confidence"]) == ("broken-pipe", "certain")
    assert "Traceback" not in server.log.read_text()
    sockets = [f for f in report.process["fds"] if (f.get("socket") or {}).get("peer") == address]
    assert len(sockets) == 1, report.process["fds"]
    words = " ".join(report.text.split())
    assert "SIGPIPE" in words and address in words
    assert "fd %d" % sockets[0]["fd"] in words or "descriptor %d" % sockets[0]["fd"] in words
    assert "ignore" in words, "what CPython's own disposition is"
    assert report.process["signal_dispositions"]["SIGPIPE"] == "default"
    lines = [f for f in report.dying["python"] if f["file"] == str(APP / "slow_report.py")]
    assert "send_report" in [f["function"].split(".")[-1] for f in lines]
    logs = [log for log in report.json["logs"] if log["path"] == str(server.log)]
    assert logs and any("Running on" in line for line in logs[0]["lines"])


def test_graceful_stop_of_the_server(pcatch, server):
    server.connect().close()
    watcher = pcatch.attach(server.pid)
    server.process.terminate()
    assert server.wait() == 0
    assert watcher.wait() == 0
    assert pcatch.report(watcher).cause == "graceful-shutdown"
