/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pylayout.h"

#include <endian.h>
#include <string.h>

#include "../cleanup.h"
#include "pylayout-table.inc"

_Static_assert(ARRAY_SIZE(((union py_offsets *)0)->v) == PY_OFFSETS_IN_ROW,
	       "maint/pylayout.py and PY_OFFSET_FIELDS name the same");

static const union py_offsets published_3_13 = PY_PUBLISHED_3_13;
static const union py_offsets published_3_14 = PY_PUBLISHED_3_14;
static const union py_offsets published_3_15 = PY_PUBLISHED_3_15;
static const union py_offsets published_asyncio_3_14 = PY_PUBLISHED_ASYNCIO_3_14;
static const union py_offsets published_asyncio_3_15 = PY_PUBLISHED_ASYNCIO_3_15;
static const union py_offsets free_threaded_3_13 = PY_OFFSETS_3_13_FREE;
static const union py_offsets free_threaded_3_14 = PY_OFFSETS_3_14_FREE;
static const union py_offsets free_threaded_3_15 = PY_OFFSETS_3_15_FREE;

static const struct py_layout rows[] = {
	{ .version = PY_VERSION(3, 15), .entry = PY_ENTRY_SHIM, .owner_shim = 3, .owner_max = 3,
	  .owner_generator = 1, .position = PY_POSITION_POINTER, .lines = PY_LINES_LOCATIONS,
	  .managed_dict = PY_MANAGED_INLINE, .gen = { 0, 1, 2, 3, 4 },
	  .gil = PY_GIL_INTERPRETER, .reference_tags = 3, .offsets = PY_OFFSETS_3_15,
	  .free_threaded_offsets = &free_threaded_3_15, .published = &published_3_15,
	  .published_asyncio = &published_asyncio_3_15 },
	// Owner 3 is the interpreter's own entry frame, 4 one on the C stack; neither shows.
	{ .version = PY_VERSION(3, 14), .entry = PY_ENTRY_SHIM, .owner_shim = 3, .owner_max = 4,
	  .owner_generator = 1, .position = PY_POSITION_POINTER, .lines = PY_LINES_LOCATIONS,
	  .managed_dict = PY_MANAGED_INLINE, .gen = { -3, -2, -1, -1, 0 },
	  .gil = PY_GIL_INTERPRETER, .reference_tags = 3, .offsets = PY_OFFSETS_3_14,
	  .free_threaded_offsets = &free_threaded_3_14, .published = &published_3_14,
	  .published_asyncio = &published_asyncio_3_14 },
	{ .version = PY_VERSION(3, 13), .entry = PY_ENTRY_SHIM, .owner_shim = 3, .owner_max = 3,
	  .owner_generator = 1, .position = PY_POSITION_POINTER, .lines = PY_LINES_LOCATIONS,
	  .managed_dict = PY_MANAGED_INLINE, .gen = { -3, -2, -1, -1, 0 },
	  .gil = PY_GIL_INTERPRETER, .offsets = PY_OFFSETS_3_13,
	  .free_threaded_offsets = &free_threaded_3_13, .published = &published_3_13 },
	{ .version = PY_VERSION(3, 12), .entry = PY_ENTRY_SHIM, .owner_shim = 3, .owner_max = 3,
	  .owner_generator = 1, .position = PY_POSITION_POINTER, .lines = PY_LINES_LOCATIONS,
	  .managed_dict = PY_MANAGED_TAGGED, .gen = { -2, -1, -1, -1, 0 },
	  .gil = PY_GIL_INTERPRETER, .offsets = PY_OFFSETS_3_12 },
	{ .version = PY_VERSION(3, 11), .entry = PY_ENTRY_FLAG, .owner_max = 2,
	  .owner_generator = 1, .position = PY_POSITION_POINTER, .lines = PY_LINES_LOCATIONS,
	  .managed_dict = PY_MANAGED_WORDS, .gen = { -2, -1, -1, -1, 0 },
	  .gil = PY_GIL_RUNTIME, .offsets = PY_OFFSETS_3_11 },
	{ .version = PY_VERSION(3, 10), .position = PY_POSITION_UNITS, .lines = PY_LINES_RANGES,
	  .traced = PY_TRACED_IF_SET, .gil = PY_GIL_RUNTIME, .offsets = PY_OFFSETS_3_10 },
	{ .version = PY_VERSION(3, 9), .lines = PY_LINES_SIGNED, .traced = PY_TRACED_IF_TRACED,
	  .gil = PY_GIL_RUNTIME, .offsets = PY_OFFSETS_3_9 },
	{ .version = PY_VERSION(3, 8), .lines = PY_LINES_SIGNED, .traced = PY_TRACED_IF_TRACED,
	  .gil = PY_GIL_RUNTIME, .offsets = PY_OFFSETS_3_8 },
	{ .version = PY_VERSION(3, 7), .lines = PY_LINES_SIGNED, .traced = PY_TRACED_IF_TRACED,
	  .gil = PY_GIL_RUNTIME, .offsets = PY_OFFSETS_3_7 },
	// Before 3.7 there is no runtime structure: what was found is the head of the list.
	{ .version = PY_VERSION(3, 6), .lines = PY_LINES_SIGNED, .traced = PY_TRACED_IF_TRACED,
	  .offsets = PY_OFFSETS_3_6 },
	{ .version = PY_VERSION(2, 7), .lines = PY_LINES_UNSIGNED, .traced = PY_TRACED_IF_TRACED,
	  .names_are_bytes = true, .offsets = PY_OFFSETS_2_7 },
};

const struct py_layout *py_layout_rows(unsigned *n_ret)
{
	*n_ret = ARRAY_SIZE(rows);
	return rows;
}

const struct py_layout *py_layout_row(unsigned version)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].version == PY_MAJOR_MINOR(version))
			return &rows[i];
	return NULL;
}

bool py_layout_of(unsigned version, struct py_layout *ret)
{
	const struct py_layout *row = py_layout_row(version);

	// The first is the newest.
	struct py_layout layout = row ? *row : rows[0];
	if (!row && (PY_MAJOR_MINOR(version) < rows[0].version || PY_MAJOR(version) > 3))
		return false;
	layout.newer = !row;
	layout.version = PY_MAJOR_MINOR(version);
	*ret = layout;
	return true;
}

// _Py_DebugOffsets of every version begins so: cookie, version, free_threaded.
#define PUBLISHED_VERSION	8
#define PUBLISHED_FREE_THREADED 16
#define PUBLISHED_MAX		((size_t)2048)

// The runtime and the interpreter are a few hundred KiB; everything else is small.
#define OFFSET_MAX_BIG	 ((uint64_t)4 << 20)
#define OFFSET_MAX_SMALL ((uint64_t)4096)

static uint64_t word(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

static struct error *bad_published(const char *name, uint64_t value)
{
	return error_new(ERROR_INPUT, "the offset of %s that the interpreter publishes is 0x%llx",
			 name, (unsigned long long)value);
}

#define OFFSET_NAME(name) #name,
static const char *const offset_names[] = { PY_OFFSET_FIELDS(OFFSET_NAME) };

// How many bytes of a structure the offsets within it, WHERE, need.
static size_t published_size(const union py_offsets *where)
{
	size_t need = 0;

	for (size_t i = 0; i < ARRAY_SIZE(where->v); i++)
		if (where->v[i] != PY_NONE && where->v[i] + 8u > need)
			need = where->v[i] + 8;
	return need;
}

// Put into OFFSETS what RAW holds where WHERE says.
static struct error *take_published(const uint8_t *raw, const union py_offsets *where,
				    union py_offsets *offsets)
{
	for (size_t i = 0; i < ARRAY_SIZE(where->v); i++) {
		if (where->v[i] == PY_NONE)
			continue;
		uint64_t v = word(raw + where->v[i]);
		bool small = strncmp(offset_names[i], "runtime_", 8) != 0 &&
			     strncmp(offset_names[i], "interp_", 7) != 0 &&
			     strncmp(offset_names[i], "gil_", 4) != 0;

		if (v > (small ? OFFSET_MAX_SMALL : OFFSET_MAX_BIG))
			return bad_published(offset_names[i], v);
		offsets->v[i] = (uint32_t)v;
	}
	return NULL;
}

// What is published and does not fit, and what is not published and follows from what is.
static struct error *complete(const union py_offsets *where, const union py_offsets *row,
			      bool free_threaded, bool newer, union py_offsets *offsets)
{
	// The GIL's state is told by where it is in the interpreter that contains it, but an
	// interpreter may use the GIL of another. The switch, where there is one, is told right.
	if (offsets->gil_holder < offsets->interp_own_gil ||
	    offsets->gil_locked < offsets->interp_own_gil)
		return bad_published("the GIL", offsets->interp_own_gil);
	offsets->gil_holder -= offsets->interp_own_gil;
	offsets->gil_locked -= offsets->interp_own_gil;
	// What only free-threaded builds have is published as 0 by the others.
	if (!free_threaded)
		offsets->gil_enabled = offsets->frame_tlbc = offsets->code_tlbc = PY_NONE;
	// What is not published keeps its distance from a neighbour that is.
	if (offsets->code_instructions < row->code_instructions - row->code_traceable)
		return bad_published("code_instructions", offsets->code_instructions);
	offsets->code_traceable =
		offsets->code_instructions - (row->code_instructions - row->code_traceable);
	offsets->runtime_main = offsets->runtime_head + (row->runtime_main - row->runtime_head);
	if (where->str_compact == PY_NONE)
		offsets->str_compact = offsets->str_ascii + (row->str_compact - row->str_ascii);
	if (newer)
		// Where neighbours have moved, too, these would be read from anywhere.
		offsets->runtime_main = offsets->code_traceable = PY_NONE;
	return NULL;
}

struct error *py_layout_read_published(const struct mem *mem, taddr runtime,
				       struct py_layout *layout)
{
	const union py_offsets *where = layout->published;
	uint8_t raw[PUBLISHED_MAX];

	if (!where)
		return NULL;
	struct error *err = mem_read(mem, runtime, raw, published_size(where));
	if (err)
		return err;
	if (memcmp(raw, PY_PUBLISHED_COOKIE, 8) != 0)
		return error_new(ERROR_INPUT, "no published offsets at 0x%llx",
				 (unsigned long long)runtime);
	uint64_t version = word(raw + PUBLISHED_VERSION);
	if (PY_MAJOR_MINOR(version) != layout->version)
		return error_new(ERROR_INPUT, "published offsets are those of version 0x%llx",
				 (unsigned long long)version);
	uint64_t free_threaded = word(raw + PUBLISHED_FREE_THREADED);
	if (free_threaded > 1)
		return error_new(ERROR_INPUT, "published free_threaded is 0x%llx",
				 (unsigned long long)free_threaded);

	const union py_offsets *row =
		free_threaded ? layout->free_threaded_offsets : &layout->offsets;
	union py_offsets offsets = *row;
	err = take_published(raw, where, &offsets);
	if (!err)
		err = complete(where, row, free_threaded != 0, layout->newer, &offsets);
	if (err)
		return err;
	layout->offsets = offsets;
	layout->from_target = true;
	layout->free_threaded = free_threaded != 0;
	return NULL;
}

// Everything that is published of a task is within it, and so is what follows from that.
static struct error *check_task(const union py_offsets *offsets, uint64_t size)
{
	for (size_t i = 0; i < ARRAY_SIZE(offsets->v); i++)
		if ((!strncmp(offset_names[i], "task_", 5) || !strncmp(offset_names[i], "fut_", 4)) &&
		    offsets->v[i] != PY_NONE && offsets->v[i] >= size)
			return bad_published(offset_names[i], offsets->v[i]);
	return NULL;
}

struct error *py_layout_read_published_asyncio(const struct mem *mem, taddr at, uint64_t size,
					       struct py_layout *layout)
{
	const union py_offsets *where = layout->published_asyncio, *row = &layout->offsets;
	union py_offsets offsets = layout->offsets;
	uint8_t raw[PUBLISHED_MAX];

	if (!where)
		return NULL;
	size_t own = published_size(where);
	if (size != own)
		return error_new(ERROR_INPUT, "they are %llu bytes long, those of Python %u.%u %zu",
				 (unsigned long long)size, PY_MAJOR(layout->version),
				 PY_MINOR(layout->version), own);
	struct error *err = mem_read(mem, at, raw, own);
	if (!err)
		err = take_published(raw, where, &offsets);
	if (err)
		return err;
	// A task begins as any future; what is not published keeps its distance from what is.
	offsets.fut_is_task = offsets.task_is_task;
	offsets.fut_awaited_by = offsets.task_awaited_by;
	offsets.fut_awaited_by_is_set = offsets.task_awaited_by_is_set;
	offsets.fut_state = offsets.task_is_task + row->fut_state - row->task_is_task;
	offsets.task_waiter = offsets.task_coro + row->task_waiter - row->task_coro;
	uint64_t task_size = word(raw);
	if (task_size > OFFSET_MAX_SMALL)
		return bad_published("the end of a task", task_size);
	err = check_task(&offsets, task_size);
	if (err)
		return err;
	layout->offsets = offsets;
	layout->asyncio_from_target = true;
	return NULL;
}
