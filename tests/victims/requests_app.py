# SPDX-License-Identifier: GPL-3.0-or-later
"""requests_app.py: an ASGI application whose requests never end.

/NAME waits for what does not come; /anyio/NAME does so in two tasks of an anyio task group. Each
says the path that it serves, in a line of its own on stdout, once it is about to wait.
"""
import asyncio
import os


def say(path):
    os.write(1, b"serving " + path.encode() + b"\n")


async def slow_query(path):
    say(path)
    await asyncio.get_running_loop().create_future()


async def in_group(path):
    import anyio

    async with anyio.create_task_group() as group:
        group.start_soon(slow_query, path + "/1", name="first of " + path)
        group.start_soon(slow_query, path + "/2", name="second of " + path)


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    if scope["path"].startswith("/anyio/"):
        await in_group(scope["path"])
    else:
        await slow_query(scope["path"])
