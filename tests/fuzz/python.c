/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An interpreter's memory: zeros but for what the input says. A byte for the layout, a byte of
 * flags, where the runtime is (or, with VALUE, an object to show), and then stretches: where (3 bytes), how long (1), the bytes.
 */
#include <string.h>

#include "cleanup.h"
#include "fuzz.h"
#include "walk/pylayout.h"
#include "walk/python.h"
#include "walk/pyvalue.h"

// Low, so that the fuzzer has addresses to guess.
#define BASE ((taddr)0x100000)
#define ROOM ((size_t)1 << 20)

enum { FREE_THREADED = 1, LOCALS = 2, REDACTED_LOCALS = 4, VALUE = 8 };

static size_t offset_at(const uint8_t *p)
{
	return (size_t)(p[0] | p[1] << 8 | p[2] << 16) % ROOM;
}

static void fill(uint8_t *memory, const uint8_t *data, size_t size)
{
	while (size > 4) {
		size_t at = offset_at(data), len = data[3];

		data += 4;
		size -= 4;
		if (len > size)
			len = size;
		if (len > ROOM - at)
			len = ROOM - at;
		memcpy(memory + at, data, len);
		data += len;
		size -= len;
	}
}

static void walk(const struct mem *mem, const struct python_hint *hint, bool for_capture)
{
	struct py_state state;

	if (!error_drop(walk_python(mem, hint, for_capture, 0, &state)))
		py_state_deinit(&state);
}

static void show(const struct mem *mem, const struct py_layout *layout, taddr at)
{
	_cleanup_(freep) struct py_reader *reader = calloc(1, sizeof(*reader));
	_cleanup_(buf_deinit) struct buf text = {};

	if (!reader)
		return;
	*reader = (struct py_reader){ .mem = mem, .layout = layout, .budget = 1 << 20 };
	error_drop(py_value(reader, at, true, &text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned n_layouts;
	const struct py_layout *layouts = py_layout_rows(&n_layouts);
	_cleanup_(freep) uint8_t *memory = calloc(1, ROOM);
	struct mem_range range = { .at = BASE, .data = memory, .len = ROOM };
	struct mem_recorder recorder;
	struct mem_bytes mem;

	if (!memory || size < 5)
		return 0;
	const struct python_hint hint = {
		.found = true,
		.version = layouts[data[0] % n_layouts].version,
		.free_threaded = data[1] & FREE_THREADED,
		.locals = data[1] & LOCALS,
		.locals_redacted = data[1] & REDACTED_LOCALS,
		.runtime = BASE + offset_at(data + 2),
	};
	fill(memory, data + 5, size - 5);
	mem_bytes_init(&mem, &range, 1);
	if (data[1] & VALUE) {
		show(&mem.mem, &layouts[data[0] % n_layouts], hint.runtime);
		return 0;
	}
	walk(&mem.mem, &hint, false);
	if (!error_drop(mem_recorder_init(&recorder, &mem.mem, 256))) {
		walk(&recorder.mem, &hint, true);
		mem_recorder_deinit(&recorder);
	}
	return 0;
}
