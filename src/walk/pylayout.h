/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_WALK_PYLAYOUT_H
#define PCATCH_WALK_PYLAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "../error.h"
#include "../target/mem.h"

#define PY_VERSION(major, minor)  ((unsigned)(major) << 24 | (unsigned)(minor) << 16)
#define PY_MAJOR_MINOR(version)	  ((version) & 0xffff0000u)
#define PY_MAJOR(version)	  ((version) >> 24)
#define PY_MINOR(version)	  ((version) >> 16 & 0xff)

/* An offset of what this interpreter has not. */
#define PY_NONE UINT32_MAX

/*
 * Where things are. Each is the offset of a member in the structure that its prefix names; the
 * `str_*_bit` are positions in the word at str_state, and str_ascii and str_compact the sizes of
 * the headers behind which the characters of such strings begin (str_compact is also where a
 * string that is neither has the pointer to them).
 */
#define PY_OFFSET_FIELDS(F)                                                                        \
	F(runtime_head) F(runtime_main) F(runtime_finalizing) F(runtime_gil)                       \
	F(interp_next) F(interp_id) F(interp_threads) F(interp_gil) F(interp_own_gil)             \
	F(gil_holder) F(gil_locked) F(gil_enabled)                                                 \
	F(tstate_next) F(tstate_interp) F(tstate_frame) F(tstate_thread_id) F(tstate_native_id)    \
	F(cframe_frame)                                                                            \
	F(frame_back) F(frame_code) F(frame_position) F(frame_owner) F(frame_entry)                \
	F(frame_trace) F(frame_lineno)                                                             \
	F(code_name) F(code_qualname) F(code_file) F(code_firstline) F(code_lines)                 \
	F(code_traceable) F(code_instructions)                                                     \
	F(object_type) F(object_size) F(type_name) F(bytes_data)                                   \
	F(str_length) F(str_state) F(str_ascii) F(str_compact)                                     \
	F(str_kind_bit) F(str_compact_bit) F(str_ascii_bit)

#define PY_OFFSET_MEMBER(name) uint32_t name;
#define PY_OFFSET_ONE(name) +1

union py_offsets {
	struct { PY_OFFSET_FIELDS(PY_OFFSET_MEMBER) };
	uint32_t v[PY_OFFSET_FIELDS(PY_OFFSET_ONE)];
};

/*
 * How one minor version of CPython is laid out and behaves. The walk asks what holds, never which
 * version it is; a new version is a row in pylayout.c and its offsets (maint/pylayout.py).
 */
struct py_layout {
	unsigned version; /* PY_VERSION(major, minor) */

	/* Which frames began an activation of the native eval loop. */
	enum {
		PY_ENTRY_EVERY, /* all of them */
		PY_ENTRY_FLAG,	/* those with the byte at frame_entry set */
		PY_ENTRY_SHIM,	/* those just inside of a frame that C owns and that has no code */
	} entry;
	uint8_t owner_shim; /* value at frame_owner of that frame */
	uint8_t owner_max;  /* greatest value there is */
	uint8_t owner_generator;

	/* What is at frame_position. */
	enum {
		PY_POSITION_BYTES, /* int: offset in bytes, -1 before the first instruction */
		PY_POSITION_UNITS, /* int: the same in units of two bytes */
		PY_POSITION_POINTER, /* pointer into the code's instructions, or one unit before */
	} position;

	/* How code_lines tells lines. */
	enum py_lines {
		PY_LINES_UNSIGNED,  /* pairs of offset and line increments, up to 2.7 */
		PY_LINES_SIGNED,    /* the same, lines may go back */
		PY_LINES_RANGES,    /* pairs that say where a line ends, 3.10 */
		PY_LINES_LOCATIONS, /* lines and columns, from 3.11 */
	} lines;

	/* When frame_lineno is truer than the position. */
	enum { PY_TRACED_NEVER, PY_TRACED_IF_TRACED, PY_TRACED_IF_SET } traced;

	/* Whose the GIL is. */
	enum { PY_GIL_UNKNOWN, PY_GIL_RUNTIME, PY_GIL_INTERPRETER } gil;

	bool names_are_bytes; /* 2.7 */

	union py_offsets offsets;

	/* Where _Py_DebugOffsets at the start of the runtime holds them; NULL: there is none. */
	const union py_offsets *published;
	bool from_target; /* the offsets are the published ones */
	bool free_threaded;
};

/* The row of a version, NULL when there is none; the first and the number of rows for a search. */
const struct py_layout *py_layout_row(unsigned version);
const struct py_layout *py_layout_rows(unsigned *n_ret);

/* The first eight bytes of a runtime that publishes its offsets. */
#define PY_PUBLISHED_COOKIE "xdebugpy"

/*
 * Replace LAYOUT's offsets by those that the interpreter at RUNTIME publishes itself, from 3.13
 * on; for a LAYOUT of earlier versions this does nothing. When they cannot be had or make no
 * sense (ERROR_FAULT, ERROR_INPUT) LAYOUT is as it was, and its row may still hold.
 */
struct error *py_layout_read_published(const struct mem *mem, taddr runtime,
				       struct py_layout *layout) __attribute__((warn_unused_result));

#endif
