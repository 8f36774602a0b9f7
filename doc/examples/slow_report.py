# SPDX-License-Identifier: GPL-3.0-or-later
"""A small ASGI server with two mistakes that real ones make, for scripts/demo.

First, SIGPIPE: CPython ignores it so that a write to a closed connection is an exception. Somebody
set it back to its default (a habit from command-line tools). Second, a slow command is run inside
of the event loop, which cannot see meanwhile that the client is gone.

Run it with `python3 -m hypercorn slow_report:app`; SLOW_COMMAND is what /report waits for.
"""
import os
import signal
import subprocess

signal.signal(signal.SIGPIPE, signal.SIG_DFL)


def build_report():
    command = os.environ.get("SLOW_COMMAND", "sleep 5; echo done")
    result = subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE, check=True)
    return result.stdout


async def send_report(send):
    report = build_report()
    for part in (b"<h1>Report</h1>\n", b"<pre>\n", report, b"</pre>\n"):
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    headers = [(b"content-type", b"text/html")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if scope["path"] == "/report":
        await send_report(send)
    else:
        await send({"type": "http.response.body", "body": b"It works.\n"})
