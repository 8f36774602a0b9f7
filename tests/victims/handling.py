# SPDX-License-Identifier: GPL-3.0-or-later
"""handling.py HOW: a Python process of any version from 2.7 on that handles an exception.

It prints as one line of JSON what sys.exc_info() says in each thread, waits for stdin, and is
killed where it stands. all-in-threads: the main thread handles one exception, and a thread of each
way that is named so another in that way.
"""
import json
import os
import signal
import sys
import threading
import traceback


def info():
    """This thread's exception and what it came of, as a report has them."""
    _, value, where = sys.exc_info()
    chain = []
    while value is not None:
        steps = traceback.extract_tb(where)
        chain.append(
            {
                "type": type(value).__name__,
                "message": str(value),
                "traceback": [[step[0], step[2], step[1]] for step in reversed(steps)],
            }
        )
        if sys.version_info[0] < 3:
            break
        value = value.__cause__ or (None if value.__suppress_context__ else value.__context__)
        where = value.__traceback__ if value else None
    return chain or None


class Told:
    """What threads have said, each of which waits for ever once it has."""

    threads, once = {}, threading.Semaphore(0)


def say(**threads):
    name = threading.current_thread().name
    if name != "MainThread":
        Told.threads[name] = info()
        Told.once.release()
        threading.Event().wait()
    truth = {"pid": os.getpid(), "python": sys.version.split()[0], "main": info()}
    truth.update(threads)
    os.write(1, json.dumps(truth).encode() + b"\n")
    os.read(0, 1)
    if sys.argv[1] != "exit-code":
        os.kill(os.getpid(), signal.SIGKILL)


def fail(kind, *args):
    raise kind(*args)


def nothing():
    try:
        fail(ValueError, "over")
    except ValueError:
        pass
    # In 2.7 it is over when its function returns.


def none_handled():
    nothing()
    say()


def nested():
    try:
        {}["key"]
    except KeyError:
        try:
            fail(ValueError, "inner")
        except ValueError:
            say()


def left_inner():
    """The inner one is over, and the outer is being handled again."""
    try:
        fail(KeyError, "outer")
    except KeyError:
        nothing()
        say()


def in_generator():
    def generate():
        try:
            fail(TypeError, "of the generator")
        except TypeError:
            say()
            yield 1

    try:
        fail(ValueError, "of its caller")
    except ValueError:
        next(generate())


def around_generator():
    """What a generator that is suspended handles is not its caller's."""

    def generate():
        try:
            fail(TypeError, "of the generator")
        except TypeError:
            yield 1
            yield 2

    generator = generate()
    try:
        fail(ValueError, "of its caller")
    except ValueError:
        next(generator)
        say()


def through_generators():
    """A generator that handles nothing, within what does."""

    def inner():
        say()
        yield 1

    def outer():
        for item in inner():
            yield item

    try:
        fail(ValueError, "outside")
    except ValueError:
        next(outer())


def in_thread():
    try:
        fail(OSError, 2, "No such file", "gone.txt")
    except OSError:
        say()


def from_none():
    try:
        {}["key"]
    except KeyError:
        try:
            error = ValueError("alone")
            error.__cause__, error.__suppress_context__ = None, True
            raise error
        except ValueError:
            say()


def raising():
    import ctypes

    library = ctypes.PyDLL(sys.argv[2])
    try:
        fail(KeyError, "handled")
    except KeyError:
        truth = {"pid": os.getpid(), "python": sys.version.split()[0], "main": info()}
        os.write(1, json.dumps(truth).encode() + b"\n")
        os.read(0, 1)
        library.raise_and_crash()


def all_in_threads():
    ways = [none_handled, nested, left_inner, in_generator, around_generator, through_generators,
            in_thread, from_none]
    for way in ways:
        thread = threading.Thread(target=way, name=way.__name__)
        thread.daemon = True
        thread.start()
        Told.once.acquire()
    try:
        fail(ValueError, "simple")
    except ValueError:
        say(threads=Told.threads)


def exit_code():
    """The whole process ends within the handler."""
    try:
        fail(ValueError, "and exits")
    except ValueError:
        say()
        os._exit(9)


if __name__ == "__main__":
    globals()[sys.argv[1].replace("-", "_")]()
