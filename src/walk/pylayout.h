/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_WALK_PYLAYOUT_H
#define PCATCH_WALK_PYLAYOUT_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "../error.h"
#include "../target/mem.h"

#define PY_VERSION(major, minor)  ((unsigned)(major) << 24 | (unsigned)(minor) << 16)
#define PY_MAJOR_MINOR(version)	  ((version) & 0xffff0000u)
#define PY_MAJOR(version)	  ((version) >> 24)
#define PY_MINOR(version)	  ((version) >> 16 & 0xff)

/* An offset of what this interpreter has not. */
#define PY_NONE UINT32_MAX

/*
 * Where things are. Each is the offset of a member in the structure that its prefix names; which
 * one that is in each version says maint/pylayout.py. What needs more words:
 *
 * - `str_*_bit` are positions in the word at str_state; str_ascii and str_compact the sizes of the
 *   headers behind which the characters of such strings begin (str_compact is also where a string
 *   that is neither has the pointer to them). unicode_* are those of 2.7.
 * - tstate_exception is what is being raised: up to 3.11 its value, with type and traceback apart.
 *   What is being handled is at the head of a list of `handled` items, to which tstate_handled
 *   points and of which tstate_handled_base is the outermost; up to 3.6 it is tstate_handled_*
 *   and there is no list.
 * - frame_fast: local variables, cells and free variables, then the stack of values: up to
 *   frame_stack_top (a pointer), or frame_stack_depth values (up to 3.10 above frame_stack, from
 *   3.11 above frame_fast). frame_* are those of the interpreter's frame, frameobject_* from 3.11
 *   on those of the object that shows it.
 * - interp_tasks and tstate_tasks: heads of the rings (llist) of tasks that link their task_node.
 * - *_size of setentry, entry and strentry, and object_header are whole sizes.
 */
#define PY_OFFSET_FIELDS(F)                                                                        \
	F(runtime_head) F(runtime_main) F(runtime_finalizing) F(runtime_gil) F(runtime_gc)         \
	F(interp_next) F(interp_id) F(interp_threads) F(interp_gil) F(interp_own_gil)              \
	F(interp_gc) F(interp_finalizing) F(interp_modules) F(interp_sysdict) F(interp_builtins)   \
	F(interp_tasks)                                                                            \
	F(gil_holder) F(gil_locked) F(gil_enabled) F(gc_collecting)                                \
	F(tstate_next) F(tstate_interp) F(tstate_frame) F(tstate_cframe) F(tstate_base_frame)      \
	F(tstate_thread_id) F(tstate_native_id) F(tstate_dict) F(tstate_exception)                 \
	F(tstate_exception_type) F(tstate_exception_traceback) F(tstate_handled)                   \
	F(tstate_handled_base) F(tstate_handled_type) F(tstate_handled_value)                      \
	F(tstate_handled_traceback) F(tstate_loop) F(tstate_task) F(tstate_tasks)                  \
	F(handled_type) F(handled_value) F(handled_traceback) F(handled_previous)                  \
	F(cframe_frame) F(cframe_previous)                                                         \
	F(frame_back) F(frame_code) F(frame_position) F(frame_owner) F(frame_entry)                \
	F(frame_trace) F(frame_lineno) F(frame_tlbc) F(frame_function) F(frame_globals)            \
	F(frame_builtins) F(frame_locals) F(frame_object) F(frame_fast) F(frame_stack)             \
	F(frame_stack_top) F(frame_stack_depth) F(frame_state) F(frame_executing)                  \
	F(frameobject_frame) F(frameobject_back) F(frameobject_lineno)                             \
	F(code_name) F(code_qualname) F(code_file) F(code_firstline) F(code_lines)                 \
	F(code_traceable) F(code_instructions) F(code_bytes) F(code_tlbc) F(code_flags)            \
	F(code_argcount) F(code_kwonlyargcount) F(code_stacksize) F(code_nlocals)                  \
	F(code_nlocalsplus) F(code_localsplusnames) F(code_localspluskinds) F(code_varnames)       \
	F(code_cellvars) F(code_freevars)                                                          \
	F(object_header) F(object_type) F(object_size) F(type_name) F(type_flags)                  \
	F(type_basicsize) F(type_itemsize) F(type_dictoffset) F(type_base) F(type_mro)             \
	F(type_dict) F(type_heap_name) F(type_heap_qualname) F(type_cached_keys)                   \
	F(bytes_data) F(bytearray_start) F(str_length) F(str_state) F(str_ascii) F(str_compact)    \
	F(str_kind_bit) F(str_compact_bit) F(str_ascii_bit) F(unicode_length) F(unicode_data)      \
	F(int_value) F(long_tag) F(long_digits) F(float_value) F(complex_value) F(tuple_items)     \
	F(list_items) F(set_fill) F(set_used) F(set_mask) F(set_table) F(setentry_size)            \
	F(setentry_key)                                                                            \
	F(dict_fill) F(dict_used) F(dict_mask) F(dict_table) F(dict_keys) F(dict_values)           \
	F(keys_size) F(keys_log2_size) F(keys_log2_index) F(keys_kind) F(keys_usable)              \
	F(keys_entries) F(keys_indices) F(entry_size) F(entry_key) F(entry_value)                  \
	F(strentry_size) F(strentry_key) F(strentry_value) F(values_capacity) F(values_items)      \
	F(values_valid) F(values_embedded)                                                         \
	F(exc_dict) F(exc_args) F(exc_message) F(exc_notes) F(exc_traceback) F(exc_context)        \
	F(exc_cause) F(exc_suppress_context) F(exc_group_message) F(exc_group_exceptions)          \
	F(exc_exit_code) F(exc_os_errno) F(exc_os_strerror) F(exc_os_filename)                     \
	F(exc_os_filename2) F(exc_import_message) F(exc_syntax_message) F(exc_syntax_file)         \
	F(exc_syntax_line) F(exc_unicode_encoding) F(exc_unicode_object) F(exc_unicode_start)      \
	F(exc_unicode_end) F(exc_unicode_reason)                                                   \
	F(tb_next) F(tb_frame) F(tb_lasti) F(tb_lineno) F(cell_value)                              \
	F(gen_frame) F(gen_iframe) F(gen_state) F(gen_running) F(gen_code) F(gen_name)             \
	F(gen_qualname) F(coro_wrapper_coro) F(asend_gen) F(athrow_gen) F(anext_wrapped)           \
	F(function_code) F(function_name) F(function_qualname) F(function_module)                  \
	F(function_closure) F(partial_function) F(partial_args)                                    \
	F(method_function) F(method_self) F(builtin_self) F(module_dict) F(weakref_object)         \
	F(oldclass_name) F(oldinstance_class) F(oldinstance_dict) F(llist_next)                    \
	F(fut_loop) F(fut_state) F(fut_result) F(fut_exception) F(fut_callback) F(fut_callbacks)   \
	F(fut_awaited_by) F(fut_awaited_by_is_set) F(fut_is_task)                                  \
	F(task_loop) F(task_state) F(task_awaited_by) F(task_awaited_by_is_set) F(task_is_task)    \
	F(task_coro) F(task_name) F(task_waiter) F(task_node) F(futureiter_future)                 \
	F(stepwrapper_task)

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
	uint8_t owner_shim; /* least value at frame_owner of that frame */
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

	/* Where an instance whose type has PY_TYPE_MANAGED_DICT keeps its attributes. */
	enum {
		PY_MANAGED_NONE,
		PY_MANAGED_WORDS,  /* before it: dict, then values that stand for one */
		PY_MANAGED_TAGGED, /* before it: dict, or values when the lowest bit is set */
		PY_MANAGED_INLINE, /* before it: dict; values are inside of the object */
	} managed_dict;

	/*
	 * gen_state of a generator or coroutine that has not begun, is suspended, is suspended in
	 * what it awaits (up to await_last; 3.11 and 3.12 make no difference), runs. Others have ended.
	 */
	struct {
		int8_t created, suspended, await, await_last, running;
	} gen;

	/* Low bits of a reference that a frame holds, which are flags and no part of the address. */
	uint8_t reference_tags;

	union py_offsets offsets;
	const union py_offsets *free_threaded_offsets; /* in such a build; NULL: there is none */

	/* Where _Py_DebugOffsets at the start of the runtime holds them; NULL: there is none. */
	const union py_offsets *published;
	/* The same for what _asyncio publishes in section .AsyncioDebug. */
	const union py_offsets *published_asyncio;
	bool from_target; /* the offsets are the published ones */
	bool asyncio_from_target; /* those that the module _asyncio publishes, too */
	bool newer; /* than every row: that of the newest, good for nothing but what is published */
	bool free_threaded;
};

/* A member at OFFSET of a structure of which bytes were read, as far as PY_SPAN of its members. */
static inline uint64_t py_field(const uint8_t *base, uint32_t offset)
{
	uint64_t v;

	memcpy(&v, base + offset, sizeof(v));
	return le64toh(v);
}

static inline int32_t py_field_int(const uint8_t *base, uint32_t offset)
{
	uint32_t v;

	memcpy(&v, base + offset, sizeof(v));
	return (int32_t)le32toh(v);
}

static inline size_t py_span(const uint32_t *offsets, size_t n)
{
	size_t end = 0;

	for (size_t i = 0; i < n; i++)
		if (offsets[i] != PY_NONE && offsets[i] + (size_t)8 > end)
			end = offsets[i] + (size_t)8;
	return end;
}

#define PY_SPAN(...)                                                                               \
	py_span((const uint32_t[]){ __VA_ARGS__ }, sizeof((uint32_t[]){ __VA_ARGS__ }) / 4)

/* No span is wider: offsets of ours and published ones within small structures are at most 4096. */
#define PY_STRUCT_MAX (4096 + 8)

/* The row of a version, NULL when there is none; the first and the number of rows for a search. */
const struct py_layout *py_layout_row(unsigned version);

/*
 * The row of VERSION; for one that is newer than all of them the newest, marked `newer`, which holds
 * only once its offsets were published, and a walk has shown that they make sense. False: neither.
 */
bool py_layout_of(unsigned version, struct py_layout *ret) __attribute__((warn_unused_result));

const struct py_layout *py_layout_rows(unsigned *n_ret);

/* The first eight bytes of a runtime that publishes its offsets. */
#define PY_PUBLISHED_COOKIE "xdebugpy"

/*
 * Replace LAYOUT's offsets by those that the interpreter at RUNTIME publishes itself, from 3.13
 * on; for a LAYOUT of earlier versions this does nothing. When they cannot be had or make no
 * sense (ERROR_FAULT, ERROR_INPUT) LAYOUT is as it was, and its row may still hold, unless it
 * is `newer`.
 */
struct error *py_layout_read_published(const struct mem *mem, taddr runtime,
				       struct py_layout *layout) __attribute__((warn_unused_result));

/*
 * The same for the SIZE bytes that the module _asyncio of LAYOUT's interpreter publishes at AT,
 * from 3.14 on. They have neither cookie nor version: another size than that version's is
 * ERROR_INPUT.
 */
struct error *py_layout_read_published_asyncio(const struct mem *mem, taddr at, uint64_t size,
					       struct py_layout *layout)
	__attribute__((warn_unused_result));

#endif
