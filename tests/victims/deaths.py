# SPDX-License-Identifier: GPL-3.0-or-later
"""deaths.py HOW: a Python process that dies in the way named, any CPython from 2.7 on.

First it prints the truth as one line of JSON: pid, tid, and for each thread its Python frames,
innermost first. Then it waits for stdin; whoever wants to attach first keeps that open. A death on
the line of say() is where the frames of the truth still hold when it comes.
"""
import ctypes
import json
import os
import signal
import sys
import threading
import time

try:
    import faulthandler
except ImportError:  # before 3.3
    faulthandler = None

tids = {}  # of each Thread


class Thread(threading.Thread):
    def run(self):
        tids[self] = gettid()
        threading.Thread.run(self)


def gettid():
    # threading has it from 3.8 on only.
    return int(os.readlink("/proc/thread-self").split("/")[-1])


def frames_of(frame):
    frames = []
    while frame:
        code = frame.f_code
        frames.append({"function": code.co_name, "file": code.co_filename, "line": frame.f_lineno})
        frame = frame.f_back
    return frames


def say(**more):
    mine = gettid()
    truth = {
        "pid": os.getpid(),
        "tid": mine,
        "python": sys.version.split()[0],
        "frames": frames_of(sys._getframe(1)),
        "threads": {},
    }
    frames = sys._current_frames()
    for thread in threading.enumerate():
        if tids.get(thread, mine) != mine and thread.ident in frames:
            truth["threads"][str(tids[thread])] = {
                "name": thread.name,
                "frames": frames_of(frames[thread.ident]),
            }
    truth.update(more)
    os.write(1, json.dumps(truth).encode() + b"\n")
    os.read(0, 1)


def nested(die):
    class Request(object):
        def handle(self):
            return [self.query() for _ in range(1)]

        def query(self):
            return die()

    return Request().handle()


def in_thread(die):
    thread = Thread(target=nested, args=(die,), name="worker")
    thread.start()
    thread.join()


def segfault():
    say(), ctypes.string_at(0)


def abort():
    say(), os.abort()


def fatal_error():
    fatal = ctypes.pythonapi.Py_FatalError
    fatal.argtypes = [ctypes.c_char_p]
    say(), fatal(b"the moon is made of cheese")


def hard_exit():
    say(), os._exit(7)


def hard_exit_zero():
    say(), os._exit(0)


def exit_code():
    say(), sys.exit(3)


def exit_text():
    say(), sys.exit("cannot go on")


def exit_zero():
    say(), sys.exit(0)


def uncaught():
    say(), [][0].nothing("to see")


class PaymentError(Exception):
    pass


def uncaught_own():
    try:
        {}["customer"]
    except KeyError as error:
        payment = PaymentError("no customer: 42")
        payment.__cause__ = error
        say()
        raise payment


def memory_error():
    say(), bytearray(1 << 62)


def broken_pipe_error():
    reader, writer = os.pipe()
    os.close(reader)
    say(), os.write(writer, b"x")


def default_sigpipe():
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    reader, writer = os.pipe()
    os.close(reader)
    say(fd=writer), os.write(writer, b"x")


def c_stack_overflow():
    # A small stack: interpreters that bound C recursion by counting do not save this one.
    sys.setrecursionlimit(1000000)
    say(), json.loads("[" * 100000)


def python_stack_overflow(depth=0):
    if depth == 0:
        sys.setrecursionlimit(10000000)
        say()
    return python_stack_overflow(depth + 1)


def handled_term():
    def shut_down(signo, frame):
        sys.exit(0)

    signal.signal(signal.SIGTERM, shut_down)
    say(), wait_for_ever()


def wait_for_ever():
    while True:
        signal.pause()


def waiting():
    say(), signal.pause()


def four_threads():
    begun = threading.Semaphore(0)
    lock = threading.Lock()
    lock.acquire()

    def outer(n):
        inner(n)

    def inner(n):
        begun.release()
        lock.acquire()

    mine = sys._getframe()
    for n in range(4):
        thread = Thread(target=outer, args=(n,), name="worker-%d" % n)
        thread.daemon = True
        thread.start()
    for n in range(4):
        begun.acquire()
    # Until each has come from saying so to the lock and its frames do not change any more.
    while any(
        frame.f_code.co_name != "inner" or frame.f_lineno != inner.__code__.co_firstlineno + 2
        for frame in sys._current_frames().values()
        if frame is not mine
    ):
        time.sleep(0.001)
    say(), signal.pause()


DEATHS = {
    "segfault": lambda: nested(segfault),
    "segfault-in-thread": lambda: in_thread(segfault),
    "abort": lambda: nested(abort),
    "fatal-error": lambda: nested(fatal_error),
    "hard-exit": lambda: in_thread(hard_exit),
    "hard-exit-zero": lambda: nested(hard_exit_zero),
    "exit-code": lambda: nested(exit_code),
    "exit-text": lambda: nested(exit_text),
    "exit-zero": lambda: nested(exit_zero),
    "uncaught": lambda: nested(uncaught),
    "uncaught-own": lambda: nested(uncaught_own),
    "memory-error": lambda: nested(memory_error),
    "broken-pipe-error": lambda: nested(broken_pipe_error),
    "default-sigpipe": lambda: nested(default_sigpipe),
    "c-stack-overflow": lambda: (threading.stack_size(64 << 10), in_thread(c_stack_overflow)),
    "python-stack-overflow": python_stack_overflow,
    "handled-term": lambda: nested(handled_term),
    "waiting": lambda: nested(waiting),
    "four-threads": four_threads,
}

if __name__ == "__main__":
    if "faulthandler" in sys.argv[2:] and faulthandler:
        faulthandler.enable()
    DEATHS[sys.argv[1]]()
