# SPDX-License-Identifier: GPL-3.0-or-later
"""anyio_tasks.py: tasks of anyio's groups; prints its pid once they wait, ends with a line."""
import json
import os
import sys

import anyio


async def serve(event):
    await event.wait()


async def start(event, *, task_status):
    """It never says that it has started."""
    await event.wait()


async def outer(event):
    async with anyio.create_task_group() as group:
        group.start_soon(serve, event, name="inner-1")
        group.start_soon(serve, event, name="inner-2")


async def starter(event):
    async with anyio.create_task_group() as group:
        await group.start(start, event, name="starting")


async def main():
    event = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(outer, event, name="outer")
        group.start_soon(starter, event, name="starter")
        await anyio.wait_all_tasks_blocked()
        sys.stdout.write(json.dumps({"pid": os.getpid()}) + "\n")
        sys.stdout.flush()
        sys.stdin.readline()
        os._exit(0)


anyio.run(main)
