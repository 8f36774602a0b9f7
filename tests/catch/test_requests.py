# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that dies shows the requests that it was serving."""
import os
import signal
import socket

import pytest

from conftest import PYTHONS, VICTIMS, until

PYTHON = PYTHONS["system"] or next(path for path in PYTHONS.values() if path)
APP = VICTIMS / "requests_app.py"

SERVERS = {
    "hypercorn": ["hypercorn", "--bind", "127.0.0.1:%d"],
    "hypercorn-uvloop": ["hypercorn", "--worker-class", "uvloop", "--bind", "127.0.0.1:%d"],
    "uvicorn": ["uvicorn", "--loop", "asyncio", "--host", "127.0.0.1", "--port", "%d"],
    "uvicorn-uvloop": ["uvicorn", "--loop", "uvloop", "--host", "127.0.0.1", "--port", "%d"],
}


def need(pcatch, *modules):
    for module in modules:
        if pcatch.start(PYTHON, "-c", "import " + module).wait():
            pytest.skip("no module %s for %s" % (module, PYTHON))


def serve(pcatch, name, paths):
    """A server with an open request for each of PATHS, all of which wait; with its clients."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    module, *options = SERVERS[name]
    options = [word % port if "%d" in word else word for word in options]
    server = pcatch.start(
        *(PYTHON, "-m", module, *options, "requests_app:app"),
        cwd=VICTIMS,
        env=dict(os.environ, PYTHONDONTWRITEBYTECODE="1"),
    )

    def connected():
        assert server.process.poll() is None, server.stderr
        try:
            return socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            return None

    clients = []
    for path in paths:
        clients.append(until(connected, "the server to listen", 30))
        clients[-1].sendall(b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % path.encode())
        server.line("stdout", "serving " + path)
    return server, clients


def killed(pcatch, server):
    """The report on SERVER, killed by a signal that nothing can handle."""
    watcher = pcatch.attach(server.pid)
    os.kill(server.pid, signal.SIGKILL)
    assert server.wait() == -signal.SIGKILL
    assert watcher.wait() == 0, watcher.stderr
    return pcatch.report(watcher)


def lines_of(task):
    """What the application is at in a task, outermost first."""
    return [
        (frame["function"].split(".")[-1], frame["line"])
        for frame in reversed(task["stack"])
        if frame["file"] == str(APP)
    ]


def line_of(text):
    return 1 + next(i for i, line in enumerate(APP.read_text().splitlines()) if text in line)


@pytest.mark.parametrize("name", SERVERS)
def test_killed_server_shows_the_requests_it_was_serving(pcatch, name):
    need(pcatch, *name.split("-"))
    server, clients = serve(pcatch, name, ["/1", "/2", "/3"])
    report = killed(pcatch, server)
    expected = [
        ("app", line_of("await slow_query(scope")),
        ("slow_query", line_of("create_future")),
    ]
    tasks = report.json["python"]["tasks"]
    serving = [task for task in tasks if lines_of(task)]
    assert [lines_of(task) for task in serving] == [expected] * 3, tasks
    assert all(task["stack"][0]["function"] == "slow_query" for task in serving)
    assert all(task["thread"] == server.pid for task in tasks)
    # In the text one stack stands for the three, which are at the same place.
    assert "requests_app.py:%d" % expected[-1][1] in report.text
    assert not report.json["gaps"], report.json["gaps"]
    for client in clients:
        client.close()


@pytest.mark.parametrize("name", ["uvicorn", "uvicorn-uvloop"])
def test_tasks_of_an_anyio_group_show_with_their_names(pcatch, name):
    need(pcatch, *name.split("-"), "anyio")
    server, clients = serve(pcatch, name, ["/anyio/a"])
    server.line("stdout", "serving /anyio/a/2")
    report = killed(pcatch, server)
    tasks = {task["name"]: task for task in report.json["python"]["tasks"] if lines_of(task)}
    for child in ("first of /anyio/a", "second of /anyio/a"):
        assert tasks[child]["coroutine"] == "slow_query"
        assert lines_of(tasks.pop(child)) == [("slow_query", line_of("create_future"))]
    # What is left is the task of the request, which waits for its group to end.
    (request,) = tasks.values()
    assert [function for function, line in lines_of(request)] == ["app", "in_group"]
    assert any("/anyio/_backends/" in frame["file"] for frame in request["stack"])
    assert not report.json["gaps"], report.json["gaps"]
    for client in clients:
        client.close()
