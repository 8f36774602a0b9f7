# SPDX-License-Identifier: GPL-3.0-or-later
"""tasks.py [pure | eager | factory]: asyncio tasks that wait in every way, CPython 3.7 and later.

They are tasks of the module in Python, eager ones, or a factory's own. Once all of them wait, one
line of JSON tells of each the name, the address, the coroutine, the lines of the chain of awaits
(outermost first) and who awaits it; then the process waits for a line.
"""
import asyncio
import json
import os
import sys
import threading


def chain_of(coroutine):
    lines = []
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "ag_frame", None)
        if frame is None:
            break
        lines.append([frame.f_code.co_name, frame.f_lineno])
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "ag_await", None)
    return lines


async def leaf(future):
    await future


async def middle(future):
    await leaf(future)


async def numbers(future):
    await future
    yield 1


async def iterate(future):
    async for number in numbers(future):
        print(number)


async def get(queue):
    await queue.get()


async def parent(child):
    await child


async def gatherer(children):
    await asyncio.gather(*children)


async def grouper(future):
    async with asyncio.TaskGroup() as group:
        tasks.append(["grouped", group.create_task(leaf(future), name="grouped")])


async def waiter(child):
    await asyncio.wait([child])


async def shielder(child):
    await asyncio.shield(child)


async def limiter(child):
    await asyncio.wait_for(child, 1000)


async def nester(one, two, three):
    """What is waited for in several ways at once."""
    waiting = asyncio.gather(asyncio.shield(one), asyncio.gather(two, asyncio.shield(three)))
    await asyncio.wait_for(asyncio.shield(waiting), 1000)


def create(coroutine, name):
    task = asyncio.get_event_loop().create_task(coroutine)
    if hasattr(task, "set_name"):
        task.set_name(name)
    tasks.append([name, task])
    return task


class OwnTask(asyncio.Task):
    """What a task factory may make."""


KIND = sys.argv[1] if len(sys.argv) > 1 else ""
if KIND == "pure":
    asyncio.Task = asyncio.tasks.Task = asyncio.tasks._PyTask
    if sys.version_info >= (3, 14):
        asyncio.current_task = asyncio.tasks.current_task = asyncio.tasks._py_current_task
tasks, loops = [], []


def new_loop():
    loop = asyncio.new_event_loop()
    if KIND == "eager":
        loop.set_task_factory(asyncio.eager_task_factory)
    if KIND == "factory":
        loop.set_task_factory(lambda loop, coro, **more: OwnTask(coro, loop=loop, **more))
    return loop


async def other_loop(ready):
    loops.append([asyncio.get_event_loop(), asyncio.Event()])
    create(middle(asyncio.get_event_loop().create_future()), "elsewhere")
    await asyncio.sleep(0)
    ready.set()
    await loops[0][1].wait()


async def main():
    future = asyncio.get_event_loop().create_future()
    create(middle(future), "middle")
    create(iterate(future), "iterate")
    create(get(asyncio.Queue()), "get")
    create(parent(create(leaf(future), "child")), "parent")
    create(gatherer([create(leaf(future), "one"), create(middle(future), "two")]), "gatherer")
    create(waiter(create(leaf(future), "waited")), "waiter")
    create(shielder(create(leaf(future), "shielded")), "shielder")
    create(limiter(create(leaf(future), "limited")), "limiter")
    create(nester(*[create(leaf(future), "nested-%d" % i) for i in range(3)]), "nester")
    by = {"child": "parent", "one": "gatherer", "two": "gatherer", "waited": "waiter",
          "shielded": "shielder", "limited": "limiter", "nested-0": "nester",
          "nested-1": "nester", "nested-2": "nester"}
    if hasattr(asyncio, "TaskGroup"):
        create(grouper(future), "grouper")
        by["grouped"] = "grouper"
    for _ in range(4):
        await asyncio.sleep(0)
    told = {}
    for name, task in tasks:
        coroutine = task.get_coro() if hasattr(task, "get_coro") else task._coro
        told[name] = {"at": hex(id(task)), "coroutine": coroutine.__qualname__,
                      "chain": chain_of(coroutine)}
        told[name]["awaited_by"] = [by[name]] if name in by else []
        # From 3.14 on CPython itself says so, too.
        if KIND != "pure" and hasattr(task, "_asyncio_awaited_by"):
            itself = sorted(other.get_name() for other in task._asyncio_awaited_by or ())
            assert itself == told[name]["awaited_by"], (name, itself)
    sys.stdout.write(json.dumps({"pid": os.getpid(), "tasks": told, "main": len(tasks)}) + "\n")
    sys.stdout.flush()
    sys.stdin.readline()
    os._exit(0)


ready = threading.Event()
thread = threading.Thread(target=lambda: new_loop().run_until_complete(
    other_loop(ready)), daemon=True)
thread.start()
ready.wait()
new_loop().run_until_complete(main())
