/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_WALK_PYOBJECT_H
#define PCATCH_WALK_PYOBJECT_H

#include "../buf.h"
#include "pytype.h"

#define PY_READER_TYPES 256

/*
 * Reading Python objects. Each is believed only when its type's name is that of what it should
 * be; the types are learnt on the way. What does not hold is ERROR_INPUT that says what.
 */
struct py_reader {
	const struct mem *mem;
	const struct py_layout *layout;
	bool touch_only; /* read what is needed, but make nothing of it */
	size_t budget;	 /* bytes of strings and tables that may yet be read; then ERROR_UNSUPPORTED */
	int64_t deadline; /* CLOCK_MONOTONIC nanoseconds, 0 for none; asked by py_reader_late() */
	bool late;
	unsigned until_clock;
	taddr code_type, str_type, bytes_type; /* 0: none seen yet */
	struct py_type types[PY_READER_TYPES]; /* those met last */
};

/* Is the time up that this may take? A clock is read now and then. */
bool py_reader_late(struct py_reader *reader);

/* The moment in TIME nanoseconds, or DEADLINE when that is sooner; 0, for DEADLINE 0: none. */
int64_t py_reader_deadline(int64_t deadline, int64_t time);

/* Take LEN bytes off the budget; ERROR_UNSUPPORTED when it has not as much. */
struct error *py_spend(struct py_reader *reader, size_t len) __attribute__((warn_unused_result));

/* Is there an object of type "code" at AT? */
struct error *py_check_code(struct py_reader *reader, taddr at) __attribute__((warn_unused_result));

/*
 * The str at AT, cut at MAX characters, appended to RET as clean UTF-8 (nothing, for
 * `touch_only`). Undecodable bytes that CPython smuggles as lone surrogates come out as \xNN.
 */
struct error *py_read_str(struct py_reader *reader, taddr at, size_t max, struct buf *ret)
	__attribute__((warn_unused_result));

/* The same, in which the ends of lines and tabs stay as they are. */
struct error *py_read_lines(struct py_reader *reader, taddr at, size_t max, struct buf *ret)
	__attribute__((warn_unused_result));

/* Where the characters of a text are: str, 2.7's unicode. The type is not checked. */
struct py_text {
	taddr data;
	uint64_t length;
	unsigned width; /* bytes of a character: 1, 2 or 4; of 2, surrogates may be pairs (2.7) */
	bool ascii;
};

struct error *py_find_text(struct py_reader *reader, taddr at, struct py_text *ret)
	__attribute__((warn_unused_result));

/* LEN bytes at AT, appended to RET (nothing, for `touch_only`), at the budget's cost. */
struct error *py_read_raw(struct py_reader *reader, taddr at, size_t len, struct buf *ret)
	__attribute__((warn_unused_result));

/* The bytes object at AT, cut at MAX bytes, appended to RET. */
struct error *py_read_bytes(struct py_reader *reader, taddr at, size_t max, struct buf *ret)
	__attribute__((warn_unused_result));

#endif
