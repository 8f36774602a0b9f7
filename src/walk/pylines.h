/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_WALK_PYLINES_H
#define PCATCH_WALK_PYLINES_H

#include "pylayout.h"

/* A place in a source file; what is unknown is 0. */
struct py_place {
	int line, column; /* both from 1; columns count bytes */
};

/*
 * The place of the instruction at byte OFFSET of a code object with line table TABLE. An OFFSET
 * below 0 is the call itself, before the first instruction: FIRST_LINE. Nothing is known of
 * an instruction that has no line or that the table, of anybody's making, does not reach.
 */
struct py_place py_lines_place(enum py_lines kind, const uint8_t *table, size_t len,
			       int first_line, int64_t offset);

#endif
