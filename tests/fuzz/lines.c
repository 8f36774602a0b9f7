/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A line table of a code object: a byte, its first line, an offset, the table. */
#include <string.h>

#include "fuzz.h"
#include "walk/pylines.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int32_t numbers[2];

	if (size < 1 + sizeof(numbers))
		return 0;
	memcpy(numbers, data + 1, sizeof(numbers));
	data += 1 + sizeof(numbers);
	size -= 1 + sizeof(numbers);
	for (int kind = PY_LINES_UNSIGNED; kind <= PY_LINES_LOCATIONS; kind++) {
		py_lines_place((enum py_lines)kind, data, size, numbers[0], numbers[1]);
		py_lines_place((enum py_lines)kind, data, size, numbers[0], INT64_MAX);
		for (int64_t at = -2; at < 64; at += 2)
			py_lines_place((enum py_lines)kind, data, size, numbers[0], at);
	}
	return 0;
}
