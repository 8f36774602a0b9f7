# SPDX-License-Identifier: GPL-3.0-or-later
"""What victim.py does that Python 2 cannot read: coroutines, and names beyond Latin-1."""
import asyncio


async def leaf(park):
    park()


async def middle(park):
    return await leaf(
        park
    )


class Context:
    async def __aenter__(self):
        return self

    async def __aexit__(self, *unused):
        pass


async def items(park):
    yield 1
    await middle(park)
    yield 2


async def root(park):
    async with Context():
        async for item in items(park):
            pass


class Awaitable:
    def __init__(self, park):
        self.park = park

    def __await__(self):
        yield
        self.park()


async def tasks(park):
    async def one():
        await Awaitable(park)

    await asyncio.gather(one(), asyncio.sleep(0))


def delegate(park):
    def first():
        yield from second()

    def second():
        yield from (third() for third in [lambda: park()])

    list(first())


def naïve(then):
    def größe():
        return then()
    return größe()


def функция(then):
    return (lambda: naïve(then))()


class 名前:
    def メソッド(self, then):
        return функция(then)

    class 𐌰𐌱:
        def 𐌲(self, then):
            return 名前().メソッド(then)


def named(park):
    source = "def f(then):\n\n  return then()\n"
    then = park
    for filename in ["/tmp/plain.py", "/tmp/é.py", "/tmp/文.py", "/tmp/𐌰.py", "/tmp/a\udc80b.py",
                     "/tmp/tab\there\n.py", ""]:
        space = {}
        exec(compile(source, filename, "exec"), space)
        then = (lambda f, inner: lambda: f(inner))(space["f"], then)
    名前.𐌰𐌱().𐌲(then)


def run(coroutine):
    loop = asyncio.new_event_loop()
    loop.run_until_complete(coroutine)
    loop.close()


def targets(park):
    return {
        "coroutines": lambda: run(root(park)),
        "tasks": lambda: run(tasks(park)),
        "delegate": lambda: delegate(park),
        "named": lambda: named(park),
    }
