# -*- coding: utf-8 -*-
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program whose threads stand in every kind of call, and which says where they stand.

    victim.py        all threads park, the truth is printed as one line of JSON, then stdin is read
    victim.py spin   the same, but the main thread runs on in Python

A thread parks on one line: it says that it is there and waits in one expression, so that its
line is the same before and after. Runs on CPython 2.7 and 3.6 to 3.13.
"""
import ctypes
import functools
import json
import re
import sys
import threading

ready = threading.Semaphore(0)
gate = threading.Lock()


def park():
    ready.release(), gate.acquire(), gate.release()


# Each of these calls its continuation in its own way.

def by_plain_call(then):
    return then()


def by_sorted(then):
    return sorted([2, 1],
                  key=lambda item: then())


def by_sub(then):
    def replace(match):
        if match.group():
            return then()
    return re.sub(
        "b",
        replace,
        "abc",
    )


def by_reduce(then):
    return functools.reduce(lambda a, b: then(), [1, 2])


def by_partial(then):
    return functools.partial(by_plain_call, then)()


def by_map(then):
    return list(map(lambda x: then(), [1]))


def by_ctypes(then):
    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(lambda n: then() or 0)
    return callback(1)


def by_list_comprehension(then):
    return [
        then()
        for _ in range(1)
    ]


def by_dict_comprehension(then):
    return {k: then() for k in "a"}


def by_generator_expression(then):
    return sum(then() or 0 for _ in range(1))


def by_generators(then):
    def inner():
        yield 1
        yield then()

    def outer():
        for value in inner():
            yield value

    for value in outer():
        pass


def by_next(then):
    def generator():
        try:
            yield
        finally:
            then()
    g = generator()
    next(g)
    g.close()


def by_throw(then):
    def generator():
        try:
            yield
        except KeyError:
            then()
            yield
    g = generator()
    next(g)
    g.throw(KeyError("x"))


class Methods(object):
    def __init__(self, then=None):
        self.then = then
        if then:
            then()

    @property
    def prop(self):
        return self.then()

    @classmethod
    def of_class(cls, then):
        return then()

    @staticmethod
    def static(then):
        return then()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.then()

    def __getattr__(self, name):
        if name == "missing":
            return self.__dict__["then"]()
        raise AttributeError(name)

    def __call__(self):
        return self.then()

    def __len__(self):
        self.then()
        return 1


def by_init(then):
    Methods(then)


def by_methods(then):
    Methods.of_class(lambda: Methods.static(then))


def by_slots(then):
    m = Methods()
    m.then = then
    n = Methods()
    n.then = lambda: m.prop
    o = Methods()
    o.then = lambda: n()
    p = Methods()
    p.then = lambda: o.missing
    len(p)


def by_with(then):
    m = Methods()
    m.then = then
    with m:
        pass


def by_with_and_return(then):
    m = Methods()
    m.then = then
    with m, m:
        return [
            m]


def by_finally(then):
    for i in range(2):
        try:
            continue
        finally:
            if i:
                then()


def by_finally_of_an_exception(then):
    try:
        try:
            [][
                0]
        finally:
            then()
    except IndexError:
        pass


class Leaving(object):
    def __init__(self, then):
        self.then = then

    def __del__(self):
        self.then()


def by_cleanup(then):
    leaving = Leaving(then)
    leaving.name = "goes with the frame's variables"


def by_cleanup_of_an_expression(then):
    return (Leaving(then),
            1)[1]


def by_nested_comprehensions(then):
    return [[a(
    ) for a in [b]]
            for b in
            [then]]


def by_default_argument(then):
    def function(
        a=1,
        b=then(),
    ):
        return b
    return function


def by_lambda(then):
    return (lambda first, second:
            first or
            second())(
        0, then)


def by_except(then):
    try:
        raise ValueError("x")
    except ValueError:
        try:
            1 // 0
        except ZeroDivisionError:
            return then()


def by_class_body(then):
    class Body(object):
        value = then()
    return Body


def decorator(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)
    return wrapper


@decorator
@decorator
def by_decorators(then, *rest):
    return then()


def by_exec(then):
    exec("x = 1\n\n\nthen()\n", {"then": then})


def by_eval(then):
    return eval("(lambda:\n then())()", {"then": then})


def by_multi_line(then):
    return by_plain_call(
        (1,
         2,
         then)[
             2
        ]
    )


def by_long_function(then):
    # Steps of more than 255 bytes of code and 127 lines, forwards and (in a call) backwards.
    lines = ["def long(then, a):"]
    lines += ["    a = a + 1"] * 100
    lines += ["    a = [a,", ""] + [""] * 400 + ["         (a + 1) * 2]"]
    lines += ["    a = 0"]
    lines += ["    b = (" + " + ".join(["a"] * 300) + ")"]
    lines += ["    then("] + [""] * 200 + ["        *[]"] + [""] * 150 + ["    )"]
    lines += ["    return a"]
    space = {}
    exec(compile("\n".join(lines), "long-" + "x" * 300 + ".py", "exec"), space)
    return space["long"](then, 1)


def by_loop(then):
    for i in range(3):
        if i == 1:
            continue
        while i:
            return then()


def recurse(depth, then):
    if depth:
        return recurse(depth - 1, then)
    return then()


WAYS = [value for name, value in sorted(globals().items()) if name.startswith("by_")]


def chain(ways):
    then = park
    for way in ways:
        then = functools.partial(way, then)
    return then


def describe(frame):
    frames = []
    while frame:
        code = frame.f_code
        column = 0
        if hasattr(code, "co_positions") and frame.f_lasti >= 0:
            column = list(code.co_positions())[frame.f_lasti // 2][2]
            column = 0 if column is None else column + 1
        frames.append([getattr(code, "co_qualname", code.co_name), code.co_filename,
                       frame.f_lineno or 0, column])
        frame = frame.f_back
    return frames


def tell(n, threads):
    for _ in range(n):
        ready.acquire()
    own = threading.current_thread().ident
    truth = {"version": list(sys.version_info[:3]), "teller": own, "main": threads["main"],
             "names": [thread.name for thread in threading.enumerate()],
             "threads": {t: describe(f) for t, f in sys._current_frames().items() if t != own}}
    sys.stdout.write(json.dumps(truth) + "\n")
    sys.stdout.flush()
    sys.stdin.readline()
    gate.release()


def spin():
    ready.release()
    while gate.locked():
        pass


def main():
    sys.setrecursionlimit(2000)
    gate.acquire()
    targets = {
        "deep": functools.partial(recurse, 900, park),
        "ways": chain(WAYS),
        "back": chain(WAYS[::-1]),
        u"plain \u043f\u043e\u0442\u043e\u043a" if sys.version_info >= (3, 0) else "plain": park,
    }
    if sys.version_info >= (3, 6):
        import victim_modern
        targets.update(victim_modern.targets(park))
    for name, target in sorted(targets.items()):
        threading.Thread(target=target, name=name).start()
    mine = {"main": threading.current_thread().ident}
    threading.Thread(target=tell, args=(len(targets) + 1, mine), name="teller").start()
    if sys.argv[1:] == ["spin"]:
        spin()
    else:
        park()


main()
