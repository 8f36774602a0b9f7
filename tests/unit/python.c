/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "walk/python.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "buf.h"
#include "cleanup.h"
#include "pyfake.h"
#include "walk/pylayout.h"

static const char *const names[] = { "plain", "größe", "фун", "𐌰x" };

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
		taddr copies = fake_room(&f, 64), copy = fake_room(&f, 64);
		fake_put64(&f, copies, 3);
		fake_put64(&f, copies + 8 + 2 * 8, copy);
		fake_put64(&f, f.codes[0] + other.offsets.code_tlbc, copies);
		fake_put32(&f, f.frames[0] + other.offsets.frame_tlbc, 2);
		fake_put64(&f, f.frames[0] + other.offsets.frame_position, copy + 8);
		expect_walk(&f, want);
		// One copy less than that is a gap, and no other line.
		fake_put64(&f, copies, 2);
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
			fake_put64(&f, f.frames[0] + py->offsets.frame_code, f.codes[0] | flags);
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
			taddr shim = fake_get64(&f, f.frames[1] + py->offsets.frame_back);
			fake_put8(&f, shim + py->offsets.frame_owner, owner);
			fake_put64(&f, shim + py->offsets.frame_code, owner & 1 ? 0 : 0x1235);
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
	taddr ret = fake_room(f, 64);

	if (o->cframe_frame != PY_NONE)
		fake_put64(f, ret + o->cframe_frame, frame);
	fake_put64(f, ret + o->cframe_previous, previous);
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
			want[1] = fake_get64(&f, f.frames[1] + o->frame_back);
			want[2] = fake_get64(&f, f.frames[2] + o->frame_back);
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
				fake_put64(&f, f.threads[0] + o->tstate_cframe, inner);
			walk(&f, &state);
			assert_int_equal(state.threads.v[1].frames.n, 3);
			for (int i = 0; i < 3; i++)
				assert_int_equal(state.threads.v[1].frames.v[i].on_c_stack, want[i]);
		}
		// One that points to itself says nothing, and ends.
		if (inner && py->entry == PY_ENTRY_EVERY) {
			_cleanup_(py_state_deinit) struct py_state state = {};

			fake_put64(&f, inner + o->cframe_previous, inner);
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
		fake_put64(&f, f.hint.runtime + wrongs[i].at, wrongs[i].value);
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

// The newest layout, moved about, as that of a version that is not known.
static void newer_version(struct py_layout *ret)
{
	unsigned n;
	struct py_layout other = py_layout_rows(&n)[0];

	for (size_t i = 0; i < ARRAY_SIZE(other.offsets.v); i++)
		if (other.published->v[i] != PY_NONE && other.offsets.v[i] != PY_NONE)
			other.offsets.v[i] += 16;
	other.version = PY_VERSION(3, 99);
	*ret = other;
}

static void frames_of_a_newer_version_are_had_by_what_it_publishes(void **unused)
{
	_cleanup_(fake_deinit) struct fake f = {};
	_cleanup_(py_state_deinit) struct py_state state = {};
	struct py_layout newer;

	(void)unused;
	newer_version(&newer);
	fake_make(&f, &newer);
	walk(&f, &state);
	assert_true(state.published_layout);
	assert_int_equal(state.gaps.n, 1);
	assert_non_null(strstr(state.gaps.v[0].why, "version 3.99 is newer"));
	state.gaps.n = 0;
	_cleanup_(freep) char *want = expected(&newer), *got = told(&state);
	expect_text(&newer, got, want);
}

// Where one offset leads elsewhere there is a word of it, or no walk at all; never another frame.
static void newer_version_that_makes_no_sense_has_no_frames(void **unused)
{
	struct py_layout newer;
	unsigned refused = 0;

	(void)unused;
	newer_version(&newer);
	const union py_offsets *where = newer.published;
	const uint32_t fields[] = {
		where->runtime_head, where->interp_next, where->interp_threads, where->tstate_next,
		where->tstate_interp, where->tstate_frame, where->frame_back, where->frame_code,
		where->frame_owner, where->object_type, where->type_name, where->code_qualname,
		where->code_file, where->code_lines, where->str_length, where->str_state,
	};
	const uint64_t wrongs[] = { 0, 8, 4088, 4097, UINT64_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(wrongs); k++) {
			_cleanup_(fake_deinit) struct fake f = {};
			_cleanup_(py_state_deinit) struct py_state state = {};

			fake_make(&f, &newer);
			if (fake_get64(&f, f.hint.runtime + fields[i]) == wrongs[k])
				continue;
			fake_put64(&f, f.hint.runtime + fields[i], wrongs[k]);
			_cleanup_(error_freep) struct error *err =
				walk_python(&f.mem.mem, &f.hint, false, 0, &state);
			if (err) {
				assert_int_equal(err->kind, ERROR_UNSUPPORTED);
				assert_non_null(strstr(err->text, "3.99"));
				refused++;
				continue;
			}
			for (size_t t = 0; t < state.threads.n; t++) {
				for (size_t n = 0; n < state.threads.v[t].frames.n; n++) {
					const char *name = state.threads.v[t].frames.v[n].function;

					if (!strstr("plain größe фун 𐌰x", name))
						fail_msg("field %zu as %llu: %s", i,
							 (unsigned long long)wrongs[k], name);
				}
			}
		}
	}
	assert_true(refused >= ARRAY_SIZE(fields));
}

static void without_a_gil_nobody_is_said_to_hold_it(void **unused)
{
	struct py_layout py;
	_cleanup_(fake_deinit) struct fake f = {};
	_cleanup_(py_state_deinit) struct py_state state = {};

	(void)unused;
	assert_true(free_threaded(py_layout_row(PY_VERSION(3, 13)), &py));
	fake_make(&f, &py);
	fake_put32(&f, f.holder - py.offsets.gil_holder + py.offsets.gil_enabled, 0);
	walk(&f, &state);
	assert_true(state.free_threaded);
	assert_false(state.have_gil);
	assert_int_equal(state.gaps.n, 0);
}

static void an_unknown_version_is_named(void **unused)
{
	struct python_hint hint = {
		.found = true, .runtime = FAKE_BASE, .version = PY_VERSION(3, 99)
	};
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
		struct python_hint hint = { .found = true, .runtime = FAKE_BASE, .version = py->version };
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
			uint64_t right = fake_get64(&f, where);
			const uint64_t wrongs[] = {
				0, 1, right + 1, where, where & ~(taddr)7, f.bytes_type, f.names[0],
				f.threads[0], FAKE_BASE, FAKE_BASE + f.used, 0xdeadbeef0000, UINT64_MAX,
				UINT64_MAX - 7, (uint64_t)1 << 63,
			};

			for (size_t k = 0; k < ARRAY_SIZE(wrongs); k++) {
				_cleanup_(py_state_deinit) struct py_state state = {};
				const char *what = f.pointers[i].what;

				// Another str is as good a name, and the bytes' type once was str's.
				if (wrongs[k] == f.names[0] && strstr(what, "name"))
					continue;
				fake_put64(&f, where, wrongs[k]);
				walk(&f, &state);
				expect_prefix(&f, &state, f.threads[0], names, 3, what, wrongs[k]);
				expect_prefix(&f, &state, f.threads[1], names + 3, 1, what, wrongs[k]);
			}
			fake_put64(&f, where, right);
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
			fake_put64(&f, f.frames[2] + o->frame_back, f.frames[to]);
			walk(&f, &state);
			const struct py_thread *t = thread_of(&state, f.threads[0]);
			assert_int_equal(t->frames.n, 3);
			assert_non_null(t->gap);
			assert_non_null(strstr(t->gap, "met before"));
		}
		fake_put64(&f, f.frames[2] + o->frame_back, f.lone_frame);
		{
			_cleanup_(py_state_deinit) struct py_state state = {};

			// Two threads cannot stand in one call: it is that of the first to come.
			walk(&f, &state);
			const struct py_thread *a = thread_of(&state, f.threads[0]);
			const struct py_thread *b = thread_of(&state, f.threads[1]);
			assert_int_equal(a->frames.n + b->frames.n, 4);
			assert_true(!a->gap != !b->gap);
		}
		fake_put64(&f, f.threads[1] + o->tstate_next, f.threads[0]);
		fake_put64(&f, f.interpreters[0] + o->interp_next, f.interpreters[1]);
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
		taddr table = fake_get64(&f, f.codes[0] + o->code_lines);
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
			taddr at_size[] = { table + o->object_size,
					    f.names[0] +
						    (py->names_are_bytes ? o->object_size : o->str_length) };

			for (size_t k = 0; k < ARRAY_SIZE(at_size); k++) {
				_cleanup_(py_state_deinit) struct py_state state = {};
				uint64_t right = fake_get64(&f, at_size[k]);

				fake_put64(&f, at_size[k], sizes[i]);
				walk(&f, &state);
				fake_put64(&f, at_size[k], right);
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
			fake_put64(&f, f.codes[0] + o->object_size, sizes[i]);
			walk(&f, &state);
			fake_put64(&f, f.codes[0] + o->object_size, 6);
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
	fake_put64(&f, f.codes[0] + py->offsets.code_qualname,
		   fake_str(&f, odd, 6, 2, false, true));
	_cleanup_(freep) char *text = malloc(3 * PY_MAX_STRING);
	assert_non_null(text);
	memset(text, 'y', 3 * PY_MAX_STRING);
	fake_put64(&f, f.codes[1] + py->offsets.code_qualname,
		   fake_str(&f, text, 3 * PY_MAX_STRING, 1, true, true));
	// Kind 3 is none, and no character is greater than 0x10ffff.
	taddr odd_kind = fake_str(&f, "abc", 3, 1, true, true);
	fake_put32(&f, odd_kind + py->offsets.str_state, 3u << py->offsets.str_kind_bit |
							    1u << py->offsets.str_compact_bit);
	fake_put64(&f, f.codes[2] + py->offsets.code_qualname, odd_kind);
	fake_put64(&f, f.codes[3] + py->offsets.code_qualname,
		   fake_str(&f, (const uint32_t[]){ 0x110000 }, 1, 4, false, true));

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
		fake_set_offset(&f, f.frames[0], f.codes[0],
				py->position == PY_POSITION_POINTER ? -2 : -1);
		assert_int_equal(line_of(&f, 0), FAKE_FIRST_LINE);
		if (py->position == PY_POSITION_POINTER) {
			fake_set_offset(&f, f.frames[0], f.codes[0], 12);
			assert_int_equal(line_of(&f, 1), 0);
			fake_set_offset(&f, f.frames[0], f.codes[0], -4);
			assert_int_equal(line_of(&f, 1), 0);
		}
		if (py->traced == PY_TRACED_NEVER)
			continue;
		fake_put32(&f, f.frames[0] + o->frame_lineno, 77);
		assert_int_equal(line_of(&f, 0), py->traced == PY_TRACED_IF_SET ? 77 : FAKE_FIRST_LINE);
		fake_put64(&f, f.frames[0] + o->frame_trace, f.names[0]);
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
		fake_put32(&f, f.codes[1] + py->offsets.code_traceable, 6);
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
		fake_put8(&f, f.frames[1] + py->offsets.frame_owner, 0x41);
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
		fake_put64(&f, f.holder, f.frames[0]);
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
		taddr next = fake_room(&f, 96);

		fake_put64(&f, next + py->offsets.frame_code, f.codes[0]);
		fake_put64(&f, next + py->offsets.frame_back, frame);
		fake_set_offset(&f, next, f.codes[0], 0);
		frame = next;
	}
	fake_put64(&f,
		   fake_get64(&f, f.threads[0] + py->offsets.tstate_frame) +
			   py->offsets.cframe_frame,
		   frame);
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
					       f.pointers[(seed >> 3) % f.n_pointers].at - FAKE_BASE;
				seed = seed * 1664525 + 1013904223;
				uint64_t value = seed & 3 ? FAKE_BASE + (seed >> 4) % f.used : seed >> 2;
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
		cmocka_unit_test(frames_of_a_newer_version_are_had_by_what_it_publishes),
		cmocka_unit_test(newer_version_that_makes_no_sense_has_no_frames),
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
