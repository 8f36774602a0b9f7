/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_WALK_PYVALUE_H
#define PCATCH_WALK_PYVALUE_H

#include "pyobject.h"

/*
 * Values of built-in types as repr() shows them; numbers, texts and containers within bounds,
 * past which it says how much more there is:
 *
 *   'abc'... (5000 characters)    [1, 2, ... 998 more]    123456...789 (5001 digits)
 *
 * A container within itself, or deeper than is looked, is [...], (...) or {...}. Everything
 * else is <type at 0x7f..>; an instance of a class that derives from a built-in one is
 * <type at 0x7f..: what the built-in one would show>.
 */

/* Bytes of text that one value becomes, about. */
#define PY_VALUE_MAX 1024

/*
 * Append the value at AT to RET, clean for a terminal and for JSON (nothing, for `touch_only`).
 * With HIDE, what a dict has under a name that smells of a secret is '[redacted]'. What cannot be
 * read is said in its place; an error is one of ours, or the end of the budget.
 */
struct error *py_value(struct py_reader *reader, taddr at, bool hide, struct buf *ret)
	__attribute__((warn_unused_result));

/* The same for what a frame holds: a reference with tags, or a number without an object. */
struct error *py_reference_value(struct py_reader *reader, uint64_t reference, bool hide,
				 struct buf *ret) __attribute__((warn_unused_result));

#endif
