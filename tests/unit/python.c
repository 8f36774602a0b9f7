/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An interpreter's memory made by hand for every layout, from the offsets of the layout itself:
 * two interpreters, the main one with a thread of three frames and one of one that has the GIL.
 * That the offsets are those of real interpreters is tests/walk's to prove.
 */
#include "walk/python.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "buf.h"
#include "cleanup.h"
#include "walk/pylayout.h"

#define BASE ((taddr)0x7f1200000000)
#define ROOM ((size_t)4 << 20)
#define MAX_POINTERS 128
#define FIRST_LINE 10

struct fake {
	struct py_layout py;
	uint8_t *bytes;
	size_t used;
	bool spread; /* each object on pages of its own */
	struct mem_range range;
	struct mem_bytes mem;
	struct python_hint hint;
	// Where pointers that the walk follows stand, and what they are.
	struct {
		taddr at;
		const char *what;
	} pointers[MAX_POINTERS];
	size_t n_pointers;
	taddr code_type, str_type, bytes_type, holder;
	taddr interpreters[2], threads[3], frames[3], lone_frame, codes[4], names[4];
};

static void fake_deinit(struct fake *f)
{
	free(f->bytes);
}

static uint8_t *at(struct fake *f, taddr where)
{
	assert_true(where >= BASE && where - BASE < ROOM - 8);
	return f->bytes + (where - BASE);
}

static void put64(struct fake *f, taddr where, uint64_t v)
{
	memcpy(at(f, where), &v, sizeof(v));
}

static void put32(struct fake *f, taddr where, uint32_t v)
{
	memcpy(at(f, where), &v, sizeof(v));
}

static void put8(struct fake *f, taddr where, uint8_t v)
{
	*at(f, where) = v;
}

static uint64_t get64(struct fake *f, taddr where)
{
	uint64_t v;

	memcpy(&v, at(f, where), sizeof(v));
	return v;
}

static void point(struct fake *f, taddr where, taddr to, const char *what)
{
	put64(f, where, to);
	if (f->n_pointers < MAX_POINTERS) {
		f->pointers[f->n_pointers].at = where;
		f->pointers[f->n_pointers++].what = what;
	}
}

static taddr room(struct fake *f, size_t size)
{
	taddr ret = BASE + f->used;

	f->used += f->spread ? (size + TARGET_PAGE - 1) & ~(size_t)(TARGET_PAGE - 1) :
			       (size + 31) & ~(size_t)15;
	assert_true(f->used <= ROOM);
	f->range.len = f->used;
	return ret;
}

static taddr make_type(struct fake *f, const char *name)
{
	taddr text = room(f, strlen(name) + 1), type = room(f, 256);

	memcpy(at(f, text), name, strlen(name) + 1);
	put64(f, type + f->py.offsets.type_name, text);
	return type;
}

static taddr make_bytes(struct fake *f, const void *data, size_t len)
{
	const union py_offsets *o = &f->py.offsets;
	taddr ret = room(f, o->bytes_data + len + 1);

	point(f, ret + o->object_type, f->bytes_type, "type of bytes");
	put64(f, ret + o->object_size, len);
	memcpy(at(f, ret + o->bytes_data), data, len);
	return ret;
}

// A str of N characters of KIND bytes at DATA; ASCII and COMPACT as CPython has them.
static taddr make_str(struct fake *f, const void *data, size_t n, unsigned kind, bool ascii,
		      bool compact)
{
	const union py_offsets *o = &f->py.offsets;
	taddr ret = room(f, o->str_compact + 8 + n * kind);
	taddr text = ret + (ascii ? o->str_ascii : o->str_compact);

	if (!compact) {
		text = room(f, n * kind);
		put64(f, ret + o->str_compact, text);
	}
	point(f, ret + o->object_type, f->str_type, "type of a str");
	put64(f, ret + o->str_length, n);
	put32(f, ret + o->str_state, kind << o->str_kind_bit |
					     (unsigned)compact << o->str_compact_bit |
					     (unsigned)ascii << o->str_ascii_bit);
	memcpy(at(f, text), data, n * kind);
	return ret;
}

// The four ways in which a name can be kept, and what they all come out as.
static taddr make_name(struct fake *f, int i)
{
	static const uint16_t ucs2[] = { 0x444, 0x443, 0x43d };
	static const uint32_t ucs4[] = { 0x10330, 'x' };
	static const char *const utf8[] = { "plain", "größe", "фун", "𐌰x" };

	if (f->py.names_are_bytes)
		return make_bytes(f, utf8[i], strlen(utf8[i]));
	switch (i) {
	case 0:
		return make_str(f, "plain", 5, 1, true, true);
	case 1:
		return make_str(f, "gr\xf6\xdf""e", 5, 1, false, true);
	case 2:
		return make_str(f, ucs2, 3, 2, false, false);
	}
	return make_str(f, ucs4, 2, 4, false, true);
}

static const char *const names[] = { "plain", "größe", "фун", "𐌰x" };

// Bytes 0 to 3 are the first line, 4 to 7 the next, 8 to 11 the one after, in column 5.
static taddr make_lines(struct fake *f)
{
	switch (f->py.lines) {
	case PY_LINES_RANGES:
		return make_bytes(f, "\4\0\4\1\4\1", 6);
	case PY_LINES_LOCATIONS:
		return make_bytes(f, "\xe9\0\xe9\2\xd9\4\11", 7);
	default:
		return make_bytes(f, "\4\1\4\1", 4);
	}
}

static taddr make_code(struct fake *f, taddr name)
{
	const union py_offsets *o = &f->py.offsets;
	taddr ret = room(f, 512);

	point(f, ret + o->object_type, f->code_type, "type of code");
	point(f, ret + o->code_name, name, "name");
	if (o->code_qualname != PY_NONE)
		point(f, ret + o->code_qualname, name, "qualified name");
	taddr file = f->py.names_are_bytes ? make_bytes(f, "/srv/app.py", 11)
					   : make_str(f, "/srv/app.py", 11, 1, true, true);
	point(f, ret + o->code_file, file, "file name");
	put32(f, ret + o->code_firstline, FIRST_LINE);
	point(f, ret + o->code_lines, make_lines(f), "line table");
	if (o->code_instructions != PY_NONE) {
		put64(f, ret + o->object_size, 6);
		put32(f, ret + o->code_traceable, 1);
	}
	return ret;
}

static void set_offset(struct fake *f, taddr frame, taddr code, int offset)
{
	taddr where = frame + f->py.offsets.frame_position;

	switch (f->py.position) {
	case PY_POSITION_BYTES:
		put32(f, where, (uint32_t)offset);
		break;
	case PY_POSITION_UNITS:
		put32(f, where, (uint32_t)(offset < 0 ? -1 : offset / 2));
		break;
	case PY_POSITION_POINTER:
		put64(f, where, code + f->py.offsets.code_instructions + (taddr)(int64_t)offset);
		break;
	}
}

static taddr make_frame(struct fake *f, taddr code, int offset, bool entry, taddr back)
{
	const union py_offsets *o = &f->py.offsets;
	taddr ret = room(f, 256);

	if (entry && f->py.entry == PY_ENTRY_SHIM) {
		taddr shim = room(f, 256);

		put8(f, shim + o->frame_owner, f->py.owner_shim);
		point(f, shim + o->frame_back, back, "frame behind a shim");
		back = shim;
	}
	if (entry && f->py.entry == PY_ENTRY_FLAG)
		put8(f, ret + o->frame_entry, 1);
	point(f, ret + o->frame_code, code, "code");
	point(f, ret + o->frame_back, back, "frame's caller");
	set_offset(f, ret, code, offset);
	return ret;
}

static taddr make_thread(struct fake *f, taddr interpreter, taddr next, taddr frame, int number)
{
	const union py_offsets *o = &f->py.offsets;
	taddr ret = room(f, 512);

	put64(f, ret + o->tstate_next, next);
	point(f, ret + o->tstate_interp, interpreter, "thread's interpreter");
	if (o->cframe_frame != PY_NONE) {
		taddr cframe = room(f, 64);

		point(f, cframe + o->cframe_frame, frame, "innermost frame");
		frame = cframe;
	}
	point(f, ret + o->tstate_frame, frame, "thread's frame");
	put64(f, ret + o->tstate_thread_id, 0x7000 + (uint64_t)number);
	if (o->tstate_native_id != PY_NONE)
		put64(f, ret + o->tstate_native_id, 100 + (uint64_t)number);
	return ret;
}

static taddr make_interpreter(struct fake *f, taddr next, uint64_t id)
{
	const union py_offsets *o = &f->py.offsets;
	taddr ret = room(f, o->interp_threads + 8192);

	point(f, ret + o->interp_next, next, "next interpreter");
	if (o->interp_id != PY_NONE)
		put64(f, ret + o->interp_id, id);
	return ret;
}

// Publish the offsets of F, as 3.13 does: those of the GIL count from the interpreter.
static void publish(struct fake *f)
{
	const union py_offsets *where = f->py.published;
	taddr runtime = f->hint.runtime;

	memcpy(at(f, runtime), PY_PUBLISHED_COOKIE, 8);
	put64(f, runtime + 8, f->py.version | 0xf0);
	put64(f, runtime + 16, f->py.free_threaded);
	for (size_t i = 0; i < ARRAY_SIZE(where->v); i++)
		if (where->v[i] != PY_NONE && f->py.offsets.v[i] != PY_NONE)
			put64(f, runtime + where->v[i], f->py.offsets.v[i]);
	put64(f, runtime + where->gil_holder, f->py.offsets.interp_own_gil + f->py.offsets.gil_holder);
	put64(f, runtime + where->gil_locked, f->py.offsets.interp_own_gil + f->py.offsets.gil_locked);
}

static void fake_make_spread(struct fake *f, const struct py_layout *py, bool spread)
{
	const union py_offsets *o = &f->py.offsets;

	*f = (struct fake){ .py = *py, .bytes = calloc(1, ROOM), .used = 4096, .spread = spread };
	assert_non_null(f->bytes);
	f->range = (struct mem_range){ .at = BASE, .data = f->bytes };
	mem_bytes_init(&f->mem, &f->range, 1);

	f->code_type = make_type(f, "code");
	f->str_type = make_type(f, "str");
	f->bytes_type = py->names_are_bytes ? f->str_type : make_type(f, "bytes");
	for (int i = 0; i < 4; i++) {
		f->names[i] = make_name(f, i);
		f->codes[i] = make_code(f, f->names[i]);
	}
	f->frames[2] = make_frame(f, f->codes[2], 0, true, 0);
	f->frames[1] = make_frame(f, f->codes[1], 4, true, f->frames[2]);
	f->frames[0] = make_frame(f, f->codes[0], 8, false, f->frames[1]);
	f->lone_frame = make_frame(f, f->codes[3], 6, true, 0);

	f->interpreters[0] = make_interpreter(f, 0, 0);
	f->interpreters[1] = make_interpreter(f, f->interpreters[0], 1);
	f->threads[2] = make_thread(f, f->interpreters[1], 0, 0, 2);
	f->threads[1] = make_thread(f, f->interpreters[0], 0, f->lone_frame, 1);
	f->threads[0] = make_thread(f, f->interpreters[0], f->threads[1], f->frames[0], 0);
	point(f, f->interpreters[0] + o->interp_threads, f->threads[0], "threads");
	point(f, f->interpreters[1] + o->interp_threads, f->threads[2], "threads of the second");

	taddr runtime = room(f, (o->runtime_head == PY_NONE ? 0 : o->runtime_head) + 8192);
	point(f, runtime + (o->runtime_head == PY_NONE ? 0 : o->runtime_head), f->interpreters[1],
	      "interpreters");
	if (o->runtime_main != PY_NONE)
		point(f, runtime + o->runtime_main, f->interpreters[0], "main interpreter");
	taddr gil = py->gil == PY_GIL_INTERPRETER ? room(f, 256) : runtime + o->runtime_gil;
	if (py->gil == PY_GIL_INTERPRETER)
		for (int i = 0; i < 2; i++)
			point(f, f->interpreters[i] + o->interp_gil, gil, "GIL");
	if (py->gil != PY_GIL_UNKNOWN) {
		f->holder = gil + o->gil_holder;
		put64(f, f->holder, f->threads[1]);
		put32(f, gil + o->gil_locked, 1);
		if (o->gil_enabled != PY_NONE)
			put32(f, gil + o->gil_enabled, 1);
	}
	f->hint = (struct python_hint){ .found = true, .runtime = runtime, .version = py->version };
	if (py->published)
		publish(f);
}

static void fake_make(struct fake *f, const struct py_layout *py)
{
	fake_make_spread(f, py, false);
}

// All that matters of a state, as text.
static char *told(const struct py_state *state)
{
	_cleanup_(buf_deinit) struct buf b = {};

	buf_printf(&b, "%d interpreters finalizing %d gil %d\n", state->n_interpreters,
		   state->finalizing, state->have_gil);
	for (size_t i = 0; i < state->threads.n; i++) {
		const struct py_thread *t = &state->threads.v[i];

		buf_printf(&b, "thread %d %llx of %lld%s%s%s\n", t->tid,
			   (unsigned long long)t->pthread, (long long)t->interpreter,
			   t->holds_gil ? " gil" : "", t->gap ? " gap " : "", t->gap ? t->gap : "");
		for (size_t k = 0; k < t->frames.n; k++) {
			const struct py_frame *p = &t->frames.v[k];

			buf_printf(&b, "  %s %s %d:%d%s\n", p->function, p->file, p->line, p->column,
				   p->entry ? " entry" : "");
		}
	}
	for (size_t i = 0; i < state->gaps.n; i++)
		buf_printf(&b, "gap %s: %s\n", state->gaps.v[i].what, state->gaps.v[i].why);
	char *ret = buf_steal(&b);
	assert_non_null(ret);
	return ret;
}

// What the fake of layout PY must be walked to.
static char *expected(const struct py_layout *py)
{
	_cleanup_(buf_deinit) struct buf b = {};
	bool ids = py->offsets.tstate_native_id != PY_NONE, columns = py->lines == PY_LINES_LOCATIONS;
	const char *inner = py->entry == PY_ENTRY_EVERY ? " entry" : "";
	int second = py->offsets.interp_id != PY_NONE;

	buf_printf(&b, "2 interpreters finalizing 0 gil %d\n", py->gil != PY_GIL_UNKNOWN);
	buf_printf(&b, "thread %d 7002 of %d\n", ids ? 102 : 0, second);
	buf_printf(&b, "thread %d 7000 of 0\n", ids ? 100 : 0);
	buf_printf(&b, "  plain /srv/app.py 12:%d%s\n", columns ? 5 : 0, inner);
	buf_printf(&b, "  größe /srv/app.py 11:0 entry\n");
	buf_printf(&b, "  фун /srv/app.py 10:0 entry\n");
	buf_printf(&b, "thread %d 7001 of 0%s\n", ids ? 101 : 0,
		   py->gil != PY_GIL_UNKNOWN ? " gil" : "");
	buf_printf(&b, "  𐌰x /srv/app.py 11:0 entry\n");
	char *ret = buf_steal(&b);
	assert_non_null(ret);
	return ret;
}

static void walk(struct fake *f, struct py_state *ret)
{
	struct error *err = walk_python(&f->mem.mem, &f->hint, false, 0, ret);

	if (err)
		fail_msg("%u.%u: %s", PY_MAJOR(f->py.version), PY_MINOR(f->py.version), err->text);
}

static void expect_text(const struct py_layout *py, const char *got, const char *want)
{
	if (strcmp(got, want) != 0)
		fail_msg("%u.%u:\n%s\nshould be:\n%s", PY_MAJOR(py->version), PY_MINOR(py->version),
			 got, want);
}

static void expect_walk(struct fake *f, const char *want)
{
	_cleanup_(py_state_deinit) struct py_state state = {};

	walk(f, &state);
	_cleanup_(freep) char *got = told(&state);
	expect_text(&f->py, got, want);
}

#define FOR_LAYOUTS(py)                                                                            \
	for (unsigned _n, _i = 0; py_layout_rows(&_n), _i < _n; _i++)                              \
		for (const struct py_layout *py = &py_layout_rows(&_n)[_i]; py; py = NULL)

static void every_layout_is_walked(void **unused)
{
	(void)unused;
	FOR_LAYOUTS(py) {
		_cleanup_(fake_deinit) struct fake f = {};
		_cleanup_(freep) char *want = expected(py);

		fake_make(&f, py);
		expect_walk(&f, want);
	}
}

// The layout of a build of PY's version without a GIL; false when there is none.
static bool free_threaded(const struct py_layout *py, struct py_layout *ret)
{
	if (!py->free_threaded_offsets)
		return false;
	*ret = *py;
	ret->offsets = *py->free_threaded_offsets;
	ret->free_threaded = true;
	return true;
}

static void free_threaded_builds_are_walked(void **unused)
{
	(void)unused;
	FOR_LAYOUTS(py) {
		_cleanup_(fake_deinit) struct fake f = {};
		struct py_layout other;

		if (!free_threaded(py, &other))
			continue;
		assert_int_equal(other.offsets.object_type, 24);
		_cleanup_(freep) char *want = expected(&other);
		fake_make(&f, &other);
		expect_walk(&f, want);
		// The frame's thread runs a copy of the instructions, the third there is.
		if (other.offsets.frame_tlbc == PY_NONE)
			continue;
		taddr copies = room(&f, 64), copy = room(&f, 64);
		put64(&f, copies, 3);
		put64(&f, copies + 8 + 2 * 8, copy);
		put64(&f, f.codes[0] + other.offsets.code_tlbc, copies);
		put32(&f, f.frames[0] + other.offsets.frame_tlbc, 2);
		put64(&f, f.frames[0] + other.offsets.frame_position, copy + 8);
		expect_walk(&f, want);
		// One copy less than that is a gap, and no other line.
		put64(&f, copies, 2);
		_cleanup_(py_state_deinit) struct py_state state = {};
		walk(&f, &state);
		assert_int_equal(state.threads.v[1].frames.n, 3);
		assert_int_equal(state.threads.v[1].frames.v[0].line, 0);
		assert_int_equal(state.threads.v[1].frames.v[1].line, 11);
		assert_non_null(strstr(state.gaps.v[0].why, "copy 2 of instructions"));
	}
}

// 3.14 and later mark references in their low bits, in one way with a GIL and another without.
static void flags_in_references_are_no_part_of_them(void **unused)
{
	(void)unused;
	FOR_LAYOUTS(py) {
		for (taddr flags = 1; flags < 4; flags++) {
			_cleanup_(fake_deinit) struct fake f = {};
			_cleanup_(freep) char *want = expected(py);
			_cleanup_(py_state_deinit) struct py_state state = {};

			fake_make(&f, py);
			put64(&f, f.frames[0] + py->offsets.frame_code, f.codes[0] | flags);
			walk(&f, &state);
			_cleanup_(freep) char *got = told(&state);
			assert_int_equal(!strcmp(got, want), (flags & py->reference_tags) == flags);
		}
	}
}

// The frames that C pushes: from 3.14 on there are two kinds, whose code is not looked at.
static void every_owner_from_the_shim_s_on_is_one(void **unused)
{
	(void)unused;
	FOR_LAYOUTS(py) {
		if (py->entry != PY_ENTRY_SHIM)
			continue;
		for (uint8_t owner = py->owner_shim; owner <= py->owner_max; owner++) {
			_cleanup_(fake_deinit) struct fake f = {};
			_cleanup_(freep) char *want = expected(py);

			fake_make(&f, py);
			taddr shim = get64(&f, f.frames[1] + py->offsets.frame_back);
			put8(&f, shim + py->offsets.frame_owner, owner);
			put64(&f, shim + py->offsets.frame_code, owner & 1 ? 0 : 0x1235);
			expect_walk(&f, want);
		}
	}
}

static void capture_touches_what_a_later_walk_reads(void **unused)
{
	(void)unused;
	FOR_LAYOUTS(py) {
		_cleanup_(fake_deinit) struct fake f = {};
		_cleanup_(freep) char *want = expected(py);
		_cleanup_(mem_recorder_deinit) struct mem_recorder recorder;
		_cleanup_(arena_deinit) struct arena arena = {};
		struct py_state state;
		struct mem_range *ranges;
		size_t n;

		fake_make_spread(&f, py, true);
		assert_null(mem_recorder_init(&recorder, &f.mem.mem, 10000));
		assert_null(walk_python(&recorder.mem, &f.hint, true, 0, &state));
		assert_int_equal(state.threads.n, 0);
		py_state_deinit(&state);
		assert_null(mem_recorder_ranges(&recorder, &arena, &ranges, &n));
		assert_true(n > 0);
		mem_bytes_init(&f.mem, ranges, n);
		expect_walk(&f, want);
	}
}

// A structure of an eval loop on the C stack, as 3.10 and 3.11 have them.
static taddr make_cframe(struct fake *f, taddr frame, taddr previous)
{
	const union py_offsets *o = &f->py.offsets;
	taddr ret = room(f, 64);

	if (o->cframe_frame != PY_NONE)
		put64(f, ret + o->cframe_frame, frame);
	put64(f, ret + o->cframe_previous, previous);
	return ret;
}

static void entries_say_where_on_the_c_stack_they_are(void **unused)
{
	(void)unused;
	FOR_LAYOUTS(py) {
		_cleanup_(fake_deinit) struct fake f = {};
		const union py_offsets *o = &f.py.offsets;
		taddr want[3] = {}, inner = 0;

		fake_make(&f, py);
		if (py->entry == PY_ENTRY_SHIM) {
			want[1] = get64(&f, f.frames[1] + o->frame_back);
			want[2] = get64(&f, f.frames[2] + o->frame_back);
		} else if (o->tstate_cframe != PY_NONE) {
			want[2] = make_cframe(&f, f.frames[2], make_cframe(&f, 0, 0));
			want[1] = make_cframe(&f, f.frames[0], want[2]);
			inner = want[1];
			if (py->entry == PY_ENTRY_EVERY)
				inner = want[0] = make_cframe(&f, 0, want[1]);
		}
		// Without one more, and with the loop of a frame that has not yet begun.
		for (int more = 0; more < (py->entry == PY_ENTRY_EVERY ? 2 : 1); more++) {
			_cleanup_(py_state_deinit) struct py_state state = {};

			if (more && inner)
				inner = make_cframe(&f, 0x1234, inner);
			if (inner)
				put64(&f, f.threads[0] + o->tstate_cframe, inner);
			walk(&f, &state);
			assert_int_equal(state.threads.v[1].frames.n, 3);
			for (int i = 0; i < 3; i++)
				assert_int_equal(state.threads.v[1].frames.v[i].on_c_stack, want[i]);
		}
		// One that points to itself says nothing, and ends.
		if (inner && py->entry == PY_ENTRY_EVERY) {
			_cleanup_(py_state_deinit) struct py_state state = {};

			put64(&f, inner + o->cframe_previous, inner);
			walk(&f, &state);
			assert_int_equal(state.threads.v[1].frames.v[0].on_c_stack, 0);
		}
	}
}

// Offsets that no row has: only from what is published can they be known.
static void published_offsets_are_used(void **unused)
{
	struct py_layout other = *py_layout_row(PY_VERSION(3, 13));

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(other.offsets.v); i++)
		if (other.published->v[i] != PY_NONE && other.offsets.v[i] != PY_NONE)
			other.offsets.v[i] += 16;
	other.offsets.code_traceable += 16;
	other.offsets.str_compact += 16;

	_cleanup_(fake_deinit) struct fake f = {};
	_cleanup_(freep) char *want = expected(&other);
	fake_make(&f, &other);
	expect_walk(&f, want);

	_cleanup_(py_state_deinit) struct py_state state = {};
	walk(&f, &state);
	assert_true(state.published_layout);
}

static void published_nonsense_falls_back_to_the_row(void **unused)
{
	const struct py_layout *row = py_layout_row(PY_VERSION(3, 13));
	const struct {
		uint32_t at;
		uint64_t value;
		const char *gap;
	} wrongs[] = {
		{ 0, 0, "no published offsets" },
		{ 8, 0x030c00f0, "version 0x30c00f0" },
		{ 16, 2, "free_threaded is 0x2" },
		{ row->published->tstate_frame, UINT64_MAX, "tstate_frame" },
		{ row->published->frame_owner, 4097, "frame_owner" },
		{ row->published->interp_next, (uint64_t)1 << 60, "interp_next" },
		{ row->published->gil_holder, 0, "the GIL" },
		{ row->published->code_instructions, 8, "code_instructions" },
	};
	_cleanup_(freep) char *want = expected(row);

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(wrongs); i++) {
		_cleanup_(fake_deinit) struct fake f = {};
		_cleanup_(py_state_deinit) struct py_state state = {};

		fake_make(&f, row);
		put64(&f, f.hint.runtime + wrongs[i].at, wrongs[i].value);
		walk(&f, &state);
		assert_false(state.published_layout);
		assert_int_equal(state.gaps.n, 1);
		if (!strstr(state.gaps.v[0].why, wrongs[i].gap))
			fail_msg("case %zu: %s", i, state.gaps.v[0].why);
		state.gaps.n = 0;
		_cleanup_(freep) char *got = told(&state);
		expect_text(row, got, want);
	}
}

static void without_a_gil_nobody_is_said_to_hold_it(void **unused)
{
	struct py_layout py;
	_cleanup_(fake_deinit) struct fake f = {};
	_cleanup_(py_state_deinit) struct py_state state = {};

	(void)unused;
	assert_true(free_threaded(py_layout_row(PY_VERSION(3, 13)), &py));
	fake_make(&f, &py);
	put32(&f, f.holder - py.offsets.gil_holder + py.offsets.gil_enabled, 0);
	walk(&f, &state);
	assert_true(state.free_threaded);
	assert_false(state.have_gil);
	assert_int_equal(state.gaps.n, 0);
}

static void an_unknown_version_is_named(void **unused)
{
	struct python_hint hint = { .found = true, .runtime = BASE, .version = PY_VERSION(3, 99) };
	struct mem_bytes none;
	struct py_state state;

	(void)unused;
	mem_bytes_init(&none, NULL, 0);
	_cleanup_(error_freep) struct error *err = walk_python(&none.mem, &hint, false, 0, &state);
	assert_non_null(err);
	assert_int_equal(err->kind, ERROR_UNSUPPORTED);
	assert_non_null(strstr(err->text, "3.99"));
}

static void memory_that_is_not_there_is_a_gap(void **unused)
{
	(void)unused;
	FOR_LAYOUTS(py) {
		struct python_hint hint = { .found = true, .runtime = BASE, .version = py->version };
		_cleanup_(py_state_deinit) struct py_state state = {};
		struct mem_bytes none;

		mem_bytes_init(&none, NULL, 0);
		assert_null(walk_python(&none.mem, &hint, false, 0, &state));
		assert_int_equal(state.threads.n, 0);
		assert_true(state.gaps.n > 0);
	}
}

static const struct py_thread *thread_of(const struct py_state *state, taddr tstate)
{
	for (size_t i = 0; i < state->threads.n; i++)
		if (state->threads.v[i].tstate == tstate)
			return &state->threads.v[i];
	return NULL;
}

// Thread T's frames are the first of WANT, in order; those missing are accounted for.
static void expect_prefix(struct fake *f, const struct py_state *state, taddr tstate,
			  const char *const *want, size_t n, const char *what, uint64_t value)
{
	const struct py_thread *t = thread_of(state, tstate);

	if (!t) {
		// A list that ends too early looks like one that ends there.
		// Before there was a note of the main interpreter, so did the list of them.
		bool unknowable = f->py.offsets.runtime_main == PY_NONE && strstr(what, "interpreter");
		if (value && !unknowable && !state->gaps.n)
			fail_msg("%u.%u, %s = 0x%llx: a thread is missing without a word",
				 PY_MAJOR(f->py.version), PY_MINOR(f->py.version), what,
				 (unsigned long long)value);
		return;
	}
	assert_true(t->frames.n <= n);
	for (size_t i = 0; i < t->frames.n; i++)
		if (strcmp(t->frames.v[i].function, want[i]) != 0 &&
		    strcmp(t->frames.v[i].function, "?") != 0)
			fail_msg("%u.%u, %s = 0x%llx: frame %zu is %s", PY_MAJOR(f->py.version),
				 PY_MINOR(f->py.version), what, (unsigned long long)value, i,
				 t->frames.v[i].function);
	// Zeros where a frame is looked for through another structure are a thread at rest.
	bool rest = f->py.offsets.cframe_frame != PY_NONE && strcmp(what, "thread's frame") == 0 &&
		    !t->frames.n;
	if (t->frames.n < n && value && !rest && !t->gap)
		fail_msg("%u.%u, %s = 0x%llx: %zu frames of %zu without a word",
			 PY_MAJOR(f->py.version), PY_MINOR(f->py.version), what,
			 (unsigned long long)value, t->frames.n, n);
}

static void no_wrong_pointer_gives_a_wrong_stack(void **unused)
{
	(void)unused;
	FOR_LAYOUTS(py) {
		_cleanup_(fake_deinit) struct fake f = {};

		fake_make(&f, py);
		for (size_t i = 0; i < f.n_pointers; i++) {
			taddr where = f.pointers[i].at;
			uint64_t right = get64(&f, where);
			const uint64_t wrongs[] = {
				0, 1, right + 1, where, where & ~(taddr)7, f.bytes_type, f.names[0],
				f.threads[0], BASE, BASE + f.used, 0xdeadbeef0000, UINT64_MAX,
				UINT64_MAX - 7, (uint64_t)1 << 63,
			};

			for (size_t k = 0; k < ARRAY_SIZE(wrongs); k++) {
				_cleanup_(py_state_deinit) struct py_state state = {};
				const char *what = f.pointers[i].what;

				// Another str is as good a name, and the bytes' type once was str's.
				if (wrongs[k] == f.names[0] && strstr(what, "name"))
					continue;
				put64(&f, where, wrongs[k]);
				walk(&f, &state);
				expect_prefix(&f, &state, f.threads[0], names, 3, what, wrongs[k]);
				expect_prefix(&f, &state, f.threads[1], names + 3, 1, what, wrongs[k]);
			}
			put64(&f, where, right);
		}
	}
}

static void loops_end_where_they_close(void **unused)
{
	(void)unused;
	FOR_LAYOUTS(py) {
		const union py_offsets *o = &py->offsets;
		_cleanup_(fake_deinit) struct fake f = {};

		fake_make(&f, py);
		for (int to = 0; to < 3; to++) {
			_cleanup_(py_state_deinit) struct py_state state = {};

			// The outermost frame's caller is one of the three.
			put64(&f, f.frames[2] + o->frame_back, f.frames[to]);
			walk(&f, &state);
			const struct py_thread *t = thread_of(&state, f.threads[0]);
			assert_int_equal(t->frames.n, 3);
			assert_non_null(t->gap);
			assert_non_null(strstr(t->gap, "met before"));
		}
		put64(&f, f.frames[2] + o->frame_back, f.lone_frame);
		{
			_cleanup_(py_state_deinit) struct py_state state = {};

			// Two threads cannot stand in one call: it is that of the first to come.
			walk(&f, &state);
			const struct py_thread *a = thread_of(&state, f.threads[0]);
			const struct py_thread *b = thread_of(&state, f.threads[1]);
			assert_int_equal(a->frames.n + b->frames.n, 4);
			assert_true(!a->gap != !b->gap);
		}
		put64(&f, f.threads[1] + o->tstate_next, f.threads[0]);
		put64(&f, f.interpreters[0] + o->interp_next, f.interpreters[1]);
		_cleanup_(py_state_deinit) struct py_state state = {};
		walk(&f, &state);
		assert_int_equal(state.threads.n, 3);
		assert_int_equal(state.n_interpreters, 2);
		assert_int_equal(state.gaps.n, 2);
	}
}

static void absurd_sizes_are_gaps(void **unused)
{
	static const uint64_t sizes[] = { (uint64_t)1 << 60, (uint64_t)1 << 31, UINT64_MAX, 1 << 22 };

	(void)unused;
	FOR_LAYOUTS(py) {
		const union py_offsets *o = &py->offsets;
		_cleanup_(fake_deinit) struct fake f = {};

		fake_make(&f, py);
		taddr table = get64(&f, f.codes[0] + o->code_lines);
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
			taddr at_size[] = { table + o->object_size,
					    f.names[0] +
						    (py->names_are_bytes ? o->object_size : o->str_length) };

			for (size_t k = 0; k < ARRAY_SIZE(at_size); k++) {
				_cleanup_(py_state_deinit) struct py_state state = {};
				uint64_t right = get64(&f, at_size[k]);

				put64(&f, at_size[k], sizes[i]);
				walk(&f, &state);
				put64(&f, at_size[k], right);
				// 4 MiB may be: what is too long is cut, when it is there.
				if (sizes[i] != 1 << 22)
					assert_true(state.gaps.n > 0);
				const struct py_thread *t = thread_of(&state, f.threads[0]);
				assert_int_equal(t->frames.n, 3);
				assert_true(strlen(t->frames.v[0].function) < 4 * PY_MAX_STRING + 4);
				assert_string_equal(t->frames.v[1].function, "größe");
			}
			if (o->code_instructions == PY_NONE || sizes[i] == 1 << 22)
				continue;
			_cleanup_(py_state_deinit) struct py_state state = {};
			put64(&f, f.codes[0] + o->object_size, sizes[i]);
			walk(&f, &state);
			put64(&f, f.codes[0] + o->object_size, 6);
			assert_int_equal(thread_of(&state, f.threads[0])->frames.n, 0);
			assert_non_null(thread_of(&state, f.threads[0])->gap);
		}
	}
}

static void names_come_out_clean_and_bounded(void **unused)
{
	const struct py_layout *py = py_layout_row(PY_VERSION(3, 12));
	static const uint16_t odd[] = { 'a', '\n', 0x1b, 0xdc80, 0xd800, 0x85 };
	_cleanup_(fake_deinit) struct fake f = {};

	(void)unused;
	fake_make(&f, py);
	put64(&f, f.codes[0] + py->offsets.code_qualname, make_str(&f, odd, 6, 2, false, true));
	_cleanup_(freep) char *text = malloc(3 * PY_MAX_STRING);
	assert_non_null(text);
	memset(text, 'y', 3 * PY_MAX_STRING);
	put64(&f, f.codes[1] + py->offsets.code_qualname,
	      make_str(&f, text, 3 * PY_MAX_STRING, 1, true, true));
	// Kind 3 is none, and no character is greater than 0x10ffff.
	taddr odd_kind = make_str(&f, "abc", 3, 1, true, true);
	put32(&f, odd_kind + py->offsets.str_state, 3u << py->offsets.str_kind_bit |
							    1u << py->offsets.str_compact_bit);
	put64(&f, f.codes[2] + py->offsets.code_qualname, odd_kind);
	put64(&f, f.codes[3] + py->offsets.code_qualname,
	      make_str(&f, (const uint32_t[]){ 0x110000 }, 1, 4, false, true));

	_cleanup_(py_state_deinit) struct py_state state = {};
	walk(&f, &state);
	const struct py_thread *t = thread_of(&state, f.threads[0]);
	assert_int_equal(t->frames.n, 3);
	assert_string_equal(t->frames.v[0].function, "a\\x0a\\x1b\\x80\\xed\\xa0\\x80\\xc2\\x85");
	assert_int_equal(strlen(t->frames.v[1].function), PY_MAX_STRING + 3);
	assert_string_equal(t->frames.v[1].function + PY_MAX_STRING, "...");
	assert_string_equal(t->frames.v[2].function, "?");
	assert_string_equal(thread_of(&state, f.threads[1])->frames.v[0].function, "?");
	assert_int_equal(state.gaps.n, 2);
}

static int line_of(struct fake *f, size_t n_gaps)
{
	_cleanup_(py_state_deinit) struct py_state state = {};

	walk(f, &state);
	const struct py_thread *t = thread_of(&state, f->threads[0]);
	assert_int_equal(t->frames.n, 3);
	assert_int_equal(state.gaps.n, n_gaps);
	return t->frames.v[0].line;
}

static void lines_are_those_of_the_instruction(void **unused)
{
	(void)unused;
	FOR_LAYOUTS(py) {
		const union py_offsets *o = &py->offsets;
		_cleanup_(fake_deinit) struct fake f = {};

		fake_make(&f, py);
		// Not begun yet.
		set_offset(&f, f.frames[0], f.codes[0], py->position == PY_POSITION_POINTER ? -2 : -1);
		assert_int_equal(line_of(&f, 0), FIRST_LINE);
		if (py->position == PY_POSITION_POINTER) {
			set_offset(&f, f.frames[0], f.codes[0], 12);
			assert_int_equal(line_of(&f, 1), 0);
			set_offset(&f, f.frames[0], f.codes[0], -4);
			assert_int_equal(line_of(&f, 1), 0);
		}
		if (py->traced == PY_TRACED_NEVER)
			continue;
		put32(&f, f.frames[0] + o->frame_lineno, 77);
		assert_int_equal(line_of(&f, 0), py->traced == PY_TRACED_IF_SET ? 77 : FIRST_LINE);
		put64(&f, f.frames[0] + o->frame_trace, f.names[0]);
		assert_int_equal(line_of(&f, 0), 77);
	}
}

static void glue_of_the_interpreter_is_not_shown(void **unused)
{
	(void)unused;
	FOR_LAYOUTS(py) {
		_cleanup_(fake_deinit) struct fake f = {};

		if (py->offsets.code_traceable == PY_NONE)
			continue;
		fake_make(&f, py);
		put32(&f, f.codes[1] + py->offsets.code_traceable, 6);
		_cleanup_(py_state_deinit) struct py_state state = {};
		walk(&f, &state);
		const struct py_thread *t = thread_of(&state, f.threads[0]);
		assert_int_equal(t->frames.n, 2);
		assert_string_equal(t->frames.v[1].function, "фун");
		assert_null(t->gap);
	}
}

static void an_owner_that_there_is_not_ends_the_stack(void **unused)
{
	(void)unused;
	FOR_LAYOUTS(py) {
		_cleanup_(fake_deinit) struct fake f = {};

		if (py->offsets.frame_owner == PY_NONE)
			continue;
		fake_make(&f, py);
		put8(&f, f.frames[1] + py->offsets.frame_owner, 0x41);
		_cleanup_(py_state_deinit) struct py_state state = {};
		walk(&f, &state);
		assert_int_equal(thread_of(&state, f.threads[0])->frames.n, 1);
		assert_non_null(thread_of(&state, f.threads[0])->gap);
	}
}

static void a_holder_that_is_no_thread_is_a_gap(void **unused)
{
	(void)unused;
	FOR_LAYOUTS(py) {
		_cleanup_(fake_deinit) struct fake f = {};

		if (py->gil == PY_GIL_UNKNOWN)
			continue;
		fake_make(&f, py);
		put64(&f, f.holder, f.frames[0]);
		_cleanup_(py_state_deinit) struct py_state state = {};
		walk(&f, &state);
		assert_false(state.have_gil);
		assert_true(state.gaps.n > 0);
		assert_false(thread_of(&state, f.threads[1])->holds_gil);
	}
}

static void a_deep_stack_is_cut_with_a_word(void **unused)
{
	const struct py_layout *py = py_layout_row(PY_VERSION(3, 11));
	_cleanup_(fake_deinit) struct fake f = {};
	_cleanup_(py_state_deinit) struct py_state state = {};
	taddr frame = 0;

	(void)unused;
	fake_make(&f, py);
	// Frames of the frame stack stand close together.
	for (int i = 0; i < PY_MAX_FRAMES + 5; i++) {
		taddr next = room(&f, 96);

		put64(&f, next + py->offsets.frame_code, f.codes[0]);
		put64(&f, next + py->offsets.frame_back, frame);
		set_offset(&f, next, f.codes[0], 0);
		frame = next;
	}
	put64(&f, get64(&f, f.threads[0] + py->offsets.tstate_frame) + py->offsets.cframe_frame, frame);
	walk(&f, &state);
	const struct py_thread *t = thread_of(&state, f.threads[0]);
	assert_int_equal(t->frames.n, PY_MAX_FRAMES);
	assert_non_null(t->gap);
	assert_non_null(strstr(t->gap, "20000"));
	assert_int_equal(thread_of(&state, f.threads[1])->frames.n, 1);
}

static void a_deadline_that_has_passed_is_a_gap(void **unused)
{
	(void)unused;
	FOR_LAYOUTS(py) {
		_cleanup_(fake_deinit) struct fake f = {};
		_cleanup_(py_state_deinit) struct py_state state = {};

		fake_make(&f, py);
		assert_null(walk_python(&f.mem.mem, &f.hint, false, 1, &state));
		assert_int_equal(state.threads.n, 0);
		assert_true(state.gaps.n > 0);
		assert_non_null(strstr(state.gaps.v[0].why, "time"));
	}
}

// Whatever the bytes are, the walk ends, and what it tells is clean.
static void spoilt_memory_is_borne(void **unused)
{
	uint32_t seed = 7;

	(void)unused;
	FOR_LAYOUTS(py) {
		_cleanup_(fake_deinit) struct fake f = {};

		fake_make(&f, py);
		_cleanup_(freep) uint8_t *right = malloc(f.used);
		assert_non_null(right);
		memcpy(right, f.bytes, f.used);
		for (int round = 0; round < 400; round++) {
			_cleanup_(py_state_deinit) struct py_state state = {};

			for (int i = 0; i < 1 + round % 5; i++) {
				seed = seed * 1664525 + 1013904223;
				// Half of it where pointers are, which is little of the whole.
				size_t where = seed & 1 ? (seed >> 3) % (f.used - 8) :
					       f.pointers[(seed >> 3) % f.n_pointers].at - BASE;
				seed = seed * 1664525 + 1013904223;
				uint64_t value = seed & 3 ? BASE + (seed >> 4) % f.used : seed >> 2;
				memcpy(f.bytes + where, &value, seed & 4 ? 8 : 1);
			}
			struct error *err = walk_python(&f.mem.mem, &f.hint, round & 1, 0, &state);
			if (err)
				fail_msg("round %d: %s", round, err->text);
			for (size_t i = 0; i < state.threads.n; i++)
				for (size_t k = 0; k < state.threads.v[i].frames.n; k++) {
					const struct py_frame *p = &state.threads.v[i].frames.v[k];

					assert_null(strchr(p->function, '\n'));
					assert_null(strchr(p->file, '\x1b'));
					assert_true(p->line >= 0 && p->column >= 0);
				}
			memcpy(f.bytes, right, f.used);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_layout_is_walked),
		cmocka_unit_test(free_threaded_builds_are_walked),
		cmocka_unit_test(flags_in_references_are_no_part_of_them),
		cmocka_unit_test(every_owner_from_the_shim_s_on_is_one),
		cmocka_unit_test(capture_touches_what_a_later_walk_reads),
		cmocka_unit_test(entries_say_where_on_the_c_stack_they_are),
		cmocka_unit_test(published_offsets_are_used),
		cmocka_unit_test(published_nonsense_falls_back_to_the_row),
		cmocka_unit_test(without_a_gil_nobody_is_said_to_hold_it),
		cmocka_unit_test(an_unknown_version_is_named),
		cmocka_unit_test(memory_that_is_not_there_is_a_gap),
		cmocka_unit_test(no_wrong_pointer_gives_a_wrong_stack),
		cmocka_unit_test(loops_end_where_they_close),
		cmocka_unit_test(absurd_sizes_are_gaps),
		cmocka_unit_test(names_come_out_clean_and_bounded),
		cmocka_unit_test(lines_are_those_of_the_instruction),
		cmocka_unit_test(glue_of_the_interpreter_is_not_shown),
		cmocka_unit_test(an_owner_that_there_is_not_ends_the_stack),
		cmocka_unit_test(a_holder_that_is_no_thread_is_a_gap),
		cmocka_unit_test(a_deep_stack_is_cut_with_a_word),
		cmocka_unit_test(a_deadline_that_has_passed_is_a_gap),
		cmocka_unit_test(spoilt_memory_is_borne),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
