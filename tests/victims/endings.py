# SPDX-License-Identifier: GPL-3.0-or-later
"""endings.py HOW: a Python process of any version from 2.7 on that ends in the way named.

It prints the truth as one line of JSON, waits for a line on stdin, and ends.
"""
import json
import os
import signal
import sys
import threading


def say(**more):
    truth = {"pid": os.getpid(), "python": sys.version.split()[0]}
    truth.update(more)
    os.write(1, json.dumps(truth).encode() + b"\n")
    os.read(0, 1)


def wait_for_ever():
    parked.set()
    threading.Event().wait()


def park():
    thread = threading.Thread(target=wait_for_ever, name="parked")
    thread.daemon = True
    thread.start()
    parked.wait()


parked = threading.Event()


def end_with_thread():
    park()
    say()
    raise ValueError("with a thread")


def exit_with_thread():
    park()
    say()
    sys.exit(3)


def clean_with_thread():
    park()
    say()


def child_ends_first():
    """A forked child that ends as Python does, before its parent."""
    say()
    child = os.fork()
    if not child:
        sys.exit(5)
    _, status = os.waitpid(child, 0)
    sys.exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 99)


def child_raises():
    """A forked child that nobody has had the time to look at."""
    say()
    child = os.fork()
    if not child:
        raise ValueError("of a child")
    os.waitpid(child, 0)


def masked_child_raises():
    """A fork during which every signal is blocked, as new C libraries have it."""
    import ctypes
    import platform

    sigprocmask = {"x86_64": 14, "aarch64": 135}[platform.machine()]
    block, set_mask = 0, 2
    mask, none = ctypes.c_uint64(2**64 - 1), ctypes.c_uint64(0)
    libc = ctypes.CDLL(None)
    say()
    libc.syscall(sigprocmask, block, ctypes.byref(mask), None, 8)
    child = os.fork()
    libc.syscall(sigprocmask, set_mask, ctypes.byref(none), None, 8)
    if not child:
        raise ValueError("of a child")
    os.waitpid(child, 0)


def thread_raises():
    """What ends a thread is not what ends the process."""

    def work():
        raise KeyError("of a thread")

    say()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    sys.exit(1)


def loop_raises():
    import asyncio

    async_main = {}
    exec(
        "import asyncio\n"
        "async def handle():\n    raise ValueError('of a coroutine')\n"
        "async def main():\n    await asyncio.gather(handle(), asyncio.sleep(60))\n",
        async_main,
    )
    say()
    asyncio.run(async_main["main"]())


def os_exit_while_finalizing():
    import atexit

    def leave():
        os._exit(7)

    atexit.register(leave)
    say()


def exec_another():
    say()
    os.execv(sys.executable, [sys.executable, __file__, "end-without-words"])


def end_without_words():
    park()
    raise ValueError("after an exec")


def own_urg():
    """SIGURG has a handler here."""
    seen = []
    signal.signal(signal.SIGURG, lambda *_: seen.append(1))
    park()
    say()
    os.kill(os.getpid(), signal.SIGURG)
    sys.exit(20 + len(seen))


def own_trap():
    say()
    os.kill(os.getpid(), signal.SIGTRAP)


def chained():
    try:
        {}["key"]
    except KeyError:
        say()
        raise ValueError("bo\u20acom" if sys.version_info[0] > 2 else "boom")


def cyclic():
    """Contexts that lead back to where they began."""
    first, second = ValueError("first"), TypeError("second")
    first.__context__, second.__context__ = second, first
    say()
    raise first


def huge_message():
    say()
    raise RuntimeError("x" * (1 << 20))


def secret_told():
    say()
    raise RuntimeError("cannot log in:\npassword=hunter2hunter2\nnor to http://u:swordfish@db/")


def grouped():
    """Groups in groups, one with more members than anybody wants to see, one without end."""
    inner = ExceptionGroup("inner", [KeyError(i) for i in range(100)])
    cause = TypeError("of a member")
    member = ValueError("a member")
    member.__cause__ = cause
    deep = ValueError("deepest")
    for i in range(200):
        deep = ExceptionGroup(str(i), [deep, KeyError(i)])
    error = ExceptionGroup("outer", [member, inner, deep])
    error.add_note("first note")
    error.add_note("second\nnote")
    say()
    raise error


class Spoken(Exception):
    def __str__(self):
        return "in its own words"


def spoken():
    say()
    raise Spoken("as its args")


def encoded():
    say()
    b"abc\xe9".decode("latin-1").encode("ascii")


def encoded_two():
    say()
    b"ab\xe9\xe8".decode("latin-1").encode("ascii")


def decoded():
    say()
    b"abc\xff".decode("utf-8")


def renamed():
    say()
    os.rename("/nonexistent/a", "/nonexistent/b")


def no_such_file():
    say()
    open("/nonexistent/file")


def sentences():
    """All of these, each the cause of the next."""
    global say
    say()
    say, error = lambda: None, None
    for fail in (encoded, encoded_two, decoded, renamed, no_such_file):
        try:
            fail()
        except Exception as failed:
            failed.__cause__, error = error, failed
    raise error


class OwnError(Exception):
    pass


def own_error():
    say()
    raise OwnError("of our own")


def interrupted():
    say()
    os.kill(os.getpid(), signal.SIGINT)
    parked.wait(60)


def printed_and_exits():
    """An exception of long ago, printed and noted, that is no reason of the end."""

    def callback():
        raise ValueError("long ago")

    try:
        callback()
    except ValueError as error:
        sys.last_type, sys.last_value = type(error), error
        sys.last_exc, sys.last_traceback = error, sys.exc_info()[2].tb_next
        if sys.version_info[0] > 2:
            error.__traceback__ = error.__traceback__.tb_next
    say()
    sys.exit(1)


def hook_replaced():
    sys.excepthook = lambda *_: None
    say()
    raise ValueError("unheard")


if __name__ == "__main__":
    globals()[sys.argv[1].replace("-", "_")]()
