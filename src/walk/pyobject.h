/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_WALK_PYOBJECT_H
#define PCATCH_WALK_PYOBJECT_H

#include "../buf.h"
#include "pylayout.h"

/*
 * Reading Python objects. Each is believed only when its type's name is that of what it should
 * be; the types are learnt on the way. What does not hold is ERROR_INPUT that says what.
 */
struct py_reader {
	const struct mem *mem;
	const struct py_layout *layout;
	bool touch_only; /* read what is needed, but make nothing of it */
	size_t budget;	 /* bytes of strings and tables that may yet be read; then ERROR_UNSUPPORTED */
	taddr code_type, str_type, bytes_type; /* 0: none seen yet */
};

/* Is there an object of type "code" at AT? */
struct error *py_check_code(struct py_reader *reader, taddr at) __attribute__((warn_unused_result));

/*
 * The str at AT, cut at MAX characters, appended to RET as clean UTF-8 (nothing, for
 * `touch_only`). Undecodable bytes that CPython smuggles as lone surrogates come out as \xNN.
 */
struct error *py_read_str(struct py_reader *reader, taddr at, size_t max, struct buf *ret)
	__attribute__((warn_unused_result));

/* The bytes object at AT, cut at MAX bytes, appended to RET. */
struct error *py_read_bytes(struct py_reader *reader, taddr at, size_t max, struct buf *ret)
	__attribute__((warn_unused_result));

#endif
