/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pylines.h"

#include <limits.h>

static struct py_place place(int64_t line, int64_t column)
{
	return (struct py_place){ .line = line > 0 && line <= INT_MAX ? (int)line : 0,
				  .column = column > 0 && column <= INT_MAX ? (int)column : 0 };
}

// Up to 3.9: each pair says how far to go in the code, then how far in the lines.
static struct py_place place_by_steps(const uint8_t *table, size_t len, int64_t line,
				      int64_t offset, bool is_signed)
{
	int64_t at = 0;

	for (size_t i = 0; i + 1 < len; i += 2) {
		at += table[i];
		if (at > offset)
			break;
		line += is_signed ? (int8_t)table[i + 1] : table[i + 1];
	}
	return place(line, 0);
}

// 3.10: each pair is a range of code, and the line of it against the last one that had a line.
static struct py_place place_by_ranges(const uint8_t *table, size_t len, int64_t line,
				       int64_t offset)
{
	const int8_t no_line = -128;
	int64_t end = 0;

	for (size_t i = 0; i + 1 < len; i += 2) {
		int8_t step = (int8_t)table[i + 1];

		end += table[i];
		if (step != no_line)
			line += step;
		if (end > offset)
			return place(step == no_line ? 0 : line, 0);
	}
	return place(0, 0);
}

struct cursor {
	const uint8_t *p, *end;
	bool bad;
};

static uint8_t next_byte(struct cursor *c)
{
	if (c->p == c->end) {
		c->bad = true;
		return 0;
	}
	return *c->p++;
}

// Six bits a byte, lowest first, bit 6 set on all but the last.
static int64_t next_varint(struct cursor *c)
{
	int64_t v = 0;
	unsigned shift = 0;
	uint8_t b;

	do {
		b = next_byte(c);
		v |= (int64_t)(b & 63) << shift;
		shift += 6;
	} while (b & 64 && shift < 36);
	// No line or column needs more than 32 bits.
	if (b & 64)
		c->bad = true;
	return v;
}

static int64_t next_signed(struct cursor *c)
{
	int64_t v = next_varint(c);

	return v & 1 ? -(v >> 1) : v >> 1;
}

// From 3.11: Objects/locations.md of CPython describes the entries.
static struct py_place place_by_locations(const uint8_t *table, size_t len, int64_t line,
					  int64_t offset)
{
	struct cursor c = { .p = table, .end = table + len };
	int64_t end = 0;

	while (c.p < c.end) {
		uint8_t head = next_byte(&c);
		unsigned code = head >> 3 & 15;
		int64_t column = 0;
		bool has_line = true;

		if (!(head & 0x80))
			break;
		end += ((head & 7) + 1) * 2;
		switch (code) {
		case 15:
			has_line = false;
			break;
		case 14:
			line += next_signed(&c);
			next_varint(&c); // lines to its end
			column = next_varint(&c);
			next_varint(&c); // end column
			break;
		case 13:
			line += next_signed(&c);
			break;
		case 12:
		case 11:
		case 10:
			line += code - 10;
			column = next_byte(&c) + 1;
			next_byte(&c); // end column
			break;
		default:
			column = (int64_t)(code << 3 | next_byte(&c) >> 4) + 1;
		}
		if (c.bad)
			break;
		if (end > offset)
			return has_line ? place(line, column) : place(0, 0);
	}
	return place(0, 0);
}

struct py_place py_lines_place(enum py_lines kind, const uint8_t *table, size_t len,
			       int first_line, int64_t offset)
{
	// C adds nothing to a null pointer, not even nothing.
	if (!table)
		table = (const uint8_t *)"";
	if (offset < 0)
		return place(first_line, 0);
	switch (kind) {
	case PY_LINES_UNSIGNED:
	case PY_LINES_SIGNED:
		return place_by_steps(table, len, first_line, offset, kind == PY_LINES_SIGNED);
	case PY_LINES_RANGES:
		return place_by_ranges(table, len, first_line, offset);
	case PY_LINES_LOCATIONS:
		break;
	}
	return place_by_locations(table, len, first_line, offset);
}
