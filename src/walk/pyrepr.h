/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_WALK_PYREPR_H
#define PCATCH_WALK_PYREPR_H

#include "../buf.h"

/*
 * How Python writes numbers and texts, appended to RET. What comes out is clean (buf_clean):
 * printable UTF-8 and nothing that drives a terminal.
 */

/*
 * N characters of WIDTH bytes each, little-endian, in quotes as Python chooses. TWO: a text of
 * 2.7, u'..' with nothing in it but ASCII, whose characters of two bytes may be surrogate pairs.
 * Whether a character is printable is told by the blocks of Unicode that never are.
 */
void py_repr_text(const uint8_t *data, size_t n, unsigned width, bool two, struct buf *ret);

/* b'..', or without PREFIX '..' as 2.7 does. */
void py_repr_bytes(const uint8_t *data, size_t n, bool prefix, struct buf *ret);

/* The shortest text that is read as the same number; with POINT it has a point or an exponent. */
void py_repr_float(double value, bool point, struct buf *ret);

/*
 * An int of N digits of 30 bits each, least first, as they lie in memory: 4 bytes each. A number
 * of more than PY_LONG_WHOLE decimal digits is shown by its ends and how many there are.
 */
#define PY_LONG_WHOLE 200
void py_repr_long(const uint8_t *digits, size_t n, bool negative, struct buf *ret);

#endif
