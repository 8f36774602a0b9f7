# -*- coding: utf-8 -*-
# SPDX-License-Identifier: GPL-3.0-or-later
"""locals.py: frames with variables of every kind, any CPython from 2.7 on.

The one line of JSON says for each frame, innermost first, what repr() makes of its variables, as
far as that depends neither on addresses nor on a class's own way of it; then it waits for a line.
"""
import collections
import json
import os
import sys

LONG = {"huge": 10 ** 5000, "text_of_5000": "x" * 5000, "thousand": list(range(1000))}


class Thing(object):
    pass


class Name(str):
    pass


class Point(collections.namedtuple("Point", "x y")):
    pass


def shown(names):
    skipped = ("__", "huge", "name", "point", "ordered", "counted")
    return {name: repr(value) for name, value in names.items()
            if not name.startswith(skipped) and " at 0x" not in repr(value)}


def say(frames):
    told = {"pid": os.getpid(), "frames": [shown(frame.f_locals) for frame in frames]}
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
    sys.stdin.readline()


def innermost(shared, a, b=2.5, *args, **kwargs):
    yes, no, nothing, etc = True, False, None, Ellipsis
    zero, small, negative, mid, big, minus = 0, 7, -7, 2 ** 30, 10 ** 50, -(2 ** 64)
    tenth, large, tiny, whole, infinite, nan = 0.1, 1e22, 5e-324, -0.0, float("inf"), float("nan")
    digits, third, cut, wide = 123456789012345.6, 1 / 3.0, 1e16, 0.0001
    imaginary, both = 4j, -1.5 - 2j
    quotes, single, lines = "it's \"both\"", "it's", u"a\tb\n\\\x00\x7f"
    latin, bmp, astral, lone = u"caf\xe9 \xa0\xad", u"\u0416\u2028", u"\U0001f600!", u"\udc80"
    raw, array, empty = b"\x00'abc\xff", bytearray(b"xy"), b""
    alone, none_in, nested = (1,), (), [1, (2, {"k": [3]})]
    counts, unhashed = {"a": 1, 2: u"b"}, {}
    one, frozen, no_items = set([1]), frozenset(["f"]), set()
    if a is None:
        unbound = 1
    say([sys._getframe(), sys._getframe(1)])
    return shared


def outer(n):
    captured = [n]
    thing, name, point = Thing(), Name("sub"), Point(1, 2)
    ordered = collections.OrderedDict(a=1)
    counted = collections.defaultdict(list, k=[1])
    loop = []
    loop.append(loop)
    huge, text_of_5000, thousand = LONG["huge"], LONG["text_of_5000"], LONG["thousand"]
    api_key, db = "deadbeef", {"password": "hunter2", "deep": {"token": [1, 2]}}
    header = "Authorization: Bearer abcdef"

    def closure():
        return captured

    innermost(captured, n + 1, 7.0, "x", z=1)
    return closure


outer(41)
