/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "walk/pylines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cleanup.h"

struct run {
	int end, line, column;
};

struct vector {
	const char *name;
	enum py_lines kind;
	int first_line;
	size_t len;
	const uint8_t *table;
	size_t n_runs;
	const struct run *runs;
};

static const struct vector vectors[] = {
#include "pylines-vectors.inc"
};

static void interpreters_agree(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		const struct vector *v = &vectors[i];
		int at = 0;

		for (size_t r = 0; r < v->n_runs; r++) {
			for (; at < v->runs[r].end; at++) {
				struct py_place got = py_lines_place(v->kind, v->table, v->len,
								     v->first_line, at);

				if (got.line != v->runs[r].line || got.column != v->runs[r].column)
					fail_msg("%s at %d: %d:%d, should be %d:%d", v->name, at,
						 got.line, got.column, v->runs[r].line,
						 v->runs[r].column);
			}
		}
		assert_true(at > 0);
	}
}

static void before_the_first_instruction_is_the_first_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		struct py_place got = py_lines_place(vectors[i].kind, vectors[i].table,
						     vectors[i].len, vectors[i].first_line, -1);
		assert_int_equal(got.line, vectors[i].first_line);
		assert_int_equal(got.column, 0);
	}
}

struct wrong {
	enum py_lines kind;
	const char *table;
	size_t len;
	int64_t offset;
	int line, column; /* expected with first line 10 */
};

static void tables_cut_short_or_senseless_give_no_line(void **state)
{
	static const struct wrong wrongs[] = {
		// Nothing in them, or they do not reach.
		{ PY_LINES_RANGES, "", 0, 0, 0, 0 },
		{ PY_LINES_RANGES, "\2\1", 2, 2, 0, 0 },
		{ PY_LINES_LOCATIONS, "", 0, 0, 0, 0 },
		{ PY_LINES_LOCATIONS, "\xd8\0\0", 3, 4, 0, 0 },
		// The old tables' last line goes on for ever.
		{ PY_LINES_SIGNED, "", 0, 5, 10, 0 },
		{ PY_LINES_SIGNED, "\2\1", 2, INT64_MAX, 11, 0 },
		{ PY_LINES_SIGNED, "\2\1\2", 3, 6, 11, 0 },
		{ PY_LINES_SIGNED, "\2\xff", 2, 2, 9, 0 },
		{ PY_LINES_UNSIGNED, "\2\xff", 2, 2, 265, 0 },
		// Lines before the first of the file.
		{ PY_LINES_SIGNED, "\2\x80", 2, 2, 0, 0 },
		{ PY_LINES_RANGES, "\2\x81", 2, 0, 0, 0 },
		// No line of its own.
		{ PY_LINES_RANGES, "\2\x80", 2, 0, 0, 0 },
		{ PY_LINES_LOCATIONS, "\xf8", 1, 0, 0, 0 },
		// An entry that does not begin as one, one that is cut, a number without an end.
		{ PY_LINES_LOCATIONS, "\x50\0\0", 3, 0, 0, 0 },
		{ PY_LINES_LOCATIONS, "\xd8\0", 2, 0, 0, 0 },
		{ PY_LINES_LOCATIONS, "\xf0\2\0\5", 4, 0, 0, 0 },
		{ PY_LINES_LOCATIONS, "\xe8\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f", 9, 0, 0, 0 },
		// The long form: line + 1, no further line, column 5.
		{ PY_LINES_LOCATIONS, "\xf0\2\0\5\6", 5, 1, 11, 5 },
		// Without a column: line - 1.
		{ PY_LINES_LOCATIONS, "\xe8\3", 2, 1, 9, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrongs); i++) {
		const struct wrong *w = &wrongs[i];
		struct py_place got = py_lines_place(w->kind, (const uint8_t *)w->table, w->len, 10,
						     w->offset);

		if (got.line != w->line || got.column != w->column)
			fail_msg("case %zu: %d:%d, should be %d:%d", i, got.line, got.column,
				 w->line, w->column);
	}
}

// Nothing to compare with, but the sanitizers watch, and no line is negative.
static void any_bytes_are_borne(void **state)
{
	uint8_t table[64];
	uint32_t seed = 1;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		for (size_t i = 0; i < sizeof(table); i++)
			table[i] = (uint8_t)((seed = seed * 1664525 + 1013904223) >> 24);
		enum py_lines kind = (enum py_lines)(round % 4);
		size_t len = (size_t)round % (sizeof(table) + 1);
		// At the end of a block of its own, so that a step too far is seen.
		_cleanup_(freep) uint8_t *copy = malloc(len ? len : 1);
		assert_non_null(copy);
		memcpy(copy, table, len);
		struct py_place got = py_lines_place(kind, copy, len, (int)(seed >> 8), round % 300);
		assert_true(got.line >= 0 && got.column >= 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(interpreters_agree),
		cmocka_unit_test(before_the_first_instruction_is_the_first_line),
		cmocka_unit_test(tables_cut_short_or_senseless_give_no_line),
		cmocka_unit_test(any_bytes_are_borne),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
