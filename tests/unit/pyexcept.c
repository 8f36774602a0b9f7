/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Exceptions in memory made by hand for every layout: a thread that handles a ValueError, which
 * came of a KeyError, with a traceback through two frames, and raises another one.
 */
#include "walk/pyexcept.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "cleanup.h"
#include "pyfake.h"

struct scene {
	struct fake f;
	taddr base, value_error, key_error, tuple, traceback;
	taddr outer, inner; // the KeyError, the ValueError
	taddr args, message, steps[2], item;
};

static void scene_deinit(struct scene *s)
{
	fake_deinit(&s->f);
}

static taddr class(struct fake *f, const char *name, taddr base)
{
	const union py_offsets *o = &f->py.offsets;
	taddr text = fake_room(f, strlen(name) + 1), ret = fake_room(f, 512);
	taddr type = fake_room(f, 512), type_name = fake_room(f, 8);

	memcpy(fake_at(f, text), name, strlen(name) + 1);
	memcpy(fake_at(f, type_name), "type", 5);
	fake_put64(f, type + o->type_name, type_name);
	fake_point(f, ret + o->object_type, type, "type of a type");
	fake_put64(f, type + o->type_flags, (uint64_t)1 << 31);
	fake_point(f, ret + o->type_name, text, "name of a class");
	fake_point(f, ret + o->type_base, base, "base of a class");
	fake_put64(f, ret + o->type_flags, base ? PY_TYPE_EXCEPTION : 0);
	return ret;
}

static taddr text(struct fake *f, const char *s)
{
	return f->py.names_are_bytes ? fake_bytes(f, s, strlen(s))
				     : fake_str(f, s, strlen(s), 1, true, true);
}

static taddr exception(struct scene *s, taddr type, const char *message, taddr *args_ret)
{
	struct fake *f = &s->f;
	const union py_offsets *o = &f->py.offsets;
	taddr ret = fake_room(f, 256), args = fake_room(f, 64), words = text(f, message);

	fake_point(f, args + o->object_type, s->tuple, "type of args");
	fake_put64(f, args + o->object_size, 1);
	fake_point(f, args + o->tuple_items, words, "message");
	fake_point(f, ret + o->object_type, type, "class of an exception");
	fake_point(f, ret + o->exc_args, args, "args");
	*args_ret = args;
	return ret;
}

static taddr step(struct scene *s, int code, int offset, taddr next)
{
	struct fake *f = &s->f;
	const union py_offsets *o = &f->py.offsets;
	taddr ret = fake_room(f, 128), frame = fake_frame(f, f->codes[code], offset, true, 0);

	fake_point(f, frame + o->frame_code, f->codes[code] | f->py.reference_tags,
		   "code of a frame of a traceback");
	if (o->frameobject_frame != PY_NONE) {
		taddr object = fake_room(f, 128);

		fake_point(f, object + o->frameobject_frame, frame, "frame of a frame object");
		frame = object;
	}
	fake_point(f, ret + o->object_type, s->traceback, "type of a traceback");
	fake_point(f, ret + o->tb_frame, frame, "frame of a traceback");
	fake_put32(f, ret + o->tb_lasti, (uint32_t)offset);
	fake_put32(f, ret + o->tb_lineno, FAKE_FIRST_LINE + 1);
	fake_point(f, ret + o->tb_next, next, "next of a traceback");
	return ret;
}

static void hold(struct scene *s, taddr at, uint32_t type, uint32_t value, uint32_t traceback,
		 taddr type_at, taddr exception_at)
{
	if (type != PY_NONE)
		fake_point(&s->f, at + type, type_at, "class of what is held");
	fake_point(&s->f, at + value, exception_at, "what is held");
	if (traceback != PY_NONE)
		fake_point(&s->f, at + traceback, s->steps[0], "traceback of what is held");
}

static void scene_make(struct scene *s, const struct py_layout *py)
{
	struct fake *f = &s->f;
	const union py_offsets *o = &f->py.offsets;
	taddr args;

	fake_make(f, py);
	f->n_pointers = 0;
	fake_put64(f, f->str_type + o->type_flags, (uint64_t)1 << (py->names_are_bytes ? 27 : 28));
	s->tuple = fake_type(f, "tuple");
	s->traceback = fake_type(f, "traceback");
	s->base = class(f, py->names_are_bytes ? "exceptions.BaseException" : "BaseException", 0);
	s->value_error = class(f, "ValueError", s->base);
	s->key_error = class(f, "KeyError", s->base);
	s->steps[1] = step(s, 1, 4, 0);
	s->steps[0] = step(s, 0, 4, s->steps[1]);
	s->outer = exception(s, s->key_error, "key", &args);
	s->inner = exception(s, s->value_error, "boom", &s->args);
	s->message = fake_get64(f, s->args + o->tuple_items);
	if (o->exc_context != PY_NONE)
		fake_point(f, s->inner + o->exc_context, s->outer, "context");
	if (o->exc_traceback != PY_NONE)
		fake_point(f, s->inner + o->exc_traceback, s->steps[0], "traceback");
	if (o->tstate_handled == PY_NONE) {
		hold(s, f->threads[0], o->tstate_handled_type, o->tstate_handled_value,
		     o->tstate_handled_traceback, s->value_error, s->inner);
	} else {
		// A generator that handles nothing, within what does.
		taddr generator = fake_room(f, 64);

		s->item = fake_room(f, 64);
		fake_point(f, f->threads[0] + o->tstate_handled, generator, "handler");
		fake_point(f, generator + o->handled_previous, s->item, "handler of a caller");
		hold(s, s->item, o->handled_type, o->handled_value, o->handled_traceback,
		     s->value_error, s->inner);
	}
	// Up to 3.11 what C code raises is not made yet.
	hold(s, f->threads[1], o->tstate_exception_type, o->tstate_exception,
	     o->tstate_exception_traceback, s->key_error,
	     o->tstate_exception_type == PY_NONE ? s->outer : text(f, "key"));
}

static void walk(struct scene *s, struct py_state *ret)
{
	assert_null(walk_python(&s->f.mem.mem, &s->f.hint, false, 0, ret));
	assert_int_equal(ret->threads.n, 3);
}

static const struct py_thread *thread(const struct scene *s, const struct py_state *state, int i)
{
	for (size_t j = 0; j < state->threads.n; j++)
		if (state->threads.v[j].tstate == s->f.threads[i])
			return &state->threads.v[j];
	fail_msg("thread %d is not there", i);
	return NULL;
}

static void handled_and_raised_exceptions_are_found(void **unused)
{
	(void)unused;
	FOR_LAYOUTS(py) {
		_cleanup_(scene_deinit) struct scene s = {};
		_cleanup_(py_state_deinit) struct py_state state = {};

		scene_make(&s, py);
		walk(&s, &state);
		assert_int_equal(state.gaps.n, 0);
		const struct py_exception *e = thread(&s, &state, 0)->handled;
		assert_non_null(e);
		assert_string_equal(e->type, "ValueError");
		assert_string_equal(e->message, "boom");
		assert_null(e->gap);
		assert_int_equal(e->traceback.n, 2);
		assert_string_equal(e->traceback.v[0].function, "größe");
		assert_string_equal(e->traceback.v[1].function, "plain");
		assert_int_equal(e->traceback.v[0].line, FAKE_FIRST_LINE + 1);
		assert_null(thread(&s, &state, 0)->raised);
		if (py->offsets.exc_context == PY_NONE) {
			assert_null(e->cause);
		} else {
			assert_non_null(e->cause);
			assert_string_equal(e->cause->type, "KeyError");
			assert_string_equal(e->cause->message, "'key'");
			assert_null(e->cause->cause);
		}
		e = thread(&s, &state, 1)->raised;
		assert_non_null(e);
		assert_string_equal(e->type, "KeyError");
		assert_non_null(strstr(e->message, "key"));
		assert_null(thread(&s, &state, 1)->handled);
		assert_null(thread(&s, &state, 2)->handled);
	}
}

static void none_and_what_is_over_are_nothing(void **unused)
{
	(void)unused;
	FOR_LAYOUTS(py) {
		_cleanup_(scene_deinit) struct scene s = {};
		_cleanup_(py_state_deinit) struct py_state state = {};
		const union py_offsets *o = &s.f.py.offsets;

		scene_make(&s, py);
		taddr none = fake_room(&s.f, 64), type = fake_type(&s.f, "NoneType");
		fake_put64(&s.f, none + o->object_type, type);
		taddr at = s.item ? s.item : s.f.threads[0];
		uint32_t first = s.item ? o->handled_type : o->tstate_handled_type;
		uint32_t second = s.item ? o->handled_value : o->tstate_handled_value;
		if (first != PY_NONE)
			fake_put64(&s.f, at + first, none);
		fake_put64(&s.f, at + second, none);
		walk(&s, &state);
		assert_int_equal(state.gaps.n, 0);
		assert_null(thread(&s, &state, 0)->handled);
	}
}

static void expect_sane(const struct py_state *state)
{
	for (size_t i = 0; i < state->threads.n; i++) {
		const struct py_exception *e = state->threads.v[i].handled;
		size_t n = 0;

		for (; e; e = e->cause, n++)
			assert_true(e->type && *e->type && e->traceback.n <= 4096);
		assert_true(n <= 16);
	}
}

static void loops_end(void **unused)
{
	(void)unused;
	FOR_LAYOUTS(py) {
		for (int which = 0; which < 4; which++) {
			_cleanup_(scene_deinit) struct scene s = {};
			_cleanup_(py_state_deinit) struct py_state state = {};
			const union py_offsets *o = &s.f.py.offsets;

			scene_make(&s, py);
			switch (which) {
			case 0:
				fake_put64(&s.f, s.steps[1] + o->tb_next, s.steps[0]);
				break;
			case 1:
				if (o->exc_context == PY_NONE)
					continue;
				fake_put64(&s.f, s.outer + o->exc_context, s.inner);
				break;
			case 2:
				if (!s.item)
					continue;
				fake_put64(&s.f, s.item + o->handled_value, 0);
				fake_put64(&s.f, s.item + o->handled_previous, s.item);
				break;
			case 3:
				fake_put64(&s.f, s.base + o->type_base, s.value_error);
				fake_put64(&s.f, s.value_error + o->type_base, s.base);
				break;
			}
			walk(&s, &state);
			expect_sane(&state);
			const struct py_exception *e = thread(&s, &state, 0)->handled;
			assert_true((which == 2) == !e);
			if (which == 0)
				assert_non_null(e->gap);
			if (which == 1)
				assert_null(e->cause->cause);
			if (which == 2)
				assert_true(state.gaps.n > 0);
		}
	}
}

static void wild_pointers_are_a_gap_or_nothing(void **unused)
{
	static const uint64_t values[] = { 0, 1, 8, 0x7fffdeadbee8, (uint64_t)1 << 60, UINT64_MAX,
					   UINT64_MAX - 7 };

	(void)unused;
	FOR_LAYOUTS(py) {
		_cleanup_(scene_deinit) struct scene s = {};

		scene_make(&s, py);
		for (size_t i = 0; i < s.f.n_pointers; i++) {
			uint64_t right = fake_get64(&s.f, s.f.pointers[i].at);

			for (size_t j = 0; j < ARRAY_SIZE(values); j++) {
				_cleanup_(py_state_deinit) struct py_state state = {};

				fake_put64(&s.f, s.f.pointers[i].at, values[j]);
				walk(&s, &state);
				expect_sane(&state);
				const struct py_exception *e = thread(&s, &state, 0)->handled;
				if (!e && values[j] && !state.gaps.n)
					fail_msg("%u.%u, %s = 0x%llx: no exception without a word",
						 PY_MAJOR(py->version), PY_MINOR(py->version),
						 s.f.pointers[i].what,
						 (unsigned long long)values[j]);
			}
			fake_put64(&s.f, s.f.pointers[i].at, right);
		}
	}
}

static void sizes_that_are_none_leave_the_rest(void **unused)
{
	static const uint64_t sizes[] = { (uint64_t)1 << 60, UINT64_MAX, (uint64_t)1 << 31 };

	(void)unused;
	FOR_LAYOUTS(py) {
		for (size_t i = 0; i < ARRAY_SIZE(sizes) * 2; i++) {
			_cleanup_(scene_deinit) struct scene s = {};
			_cleanup_(py_state_deinit) struct py_state state = {};
			const union py_offsets *o = &s.f.py.offsets;

			scene_make(&s, py);
			uint32_t length = py->names_are_bytes ? o->object_size : o->str_length;
			fake_put64(&s.f, i % 2 ? s.args + o->object_size : s.message + length,
				   sizes[i / 2]);
			walk(&s, &state);
			const struct py_exception *e = thread(&s, &state, 0)->handled;
			assert_non_null(e);
			assert_string_equal(e->type, "ValueError");
			assert_int_equal(e->traceback.n, 2);
		}
	}
}

// Every layout, with and without a GIL.
static size_t layouts(struct py_layout *ret)
{
	size_t n = 0;

	FOR_LAYOUTS(py) {
		ret[n++] = *py;
		if (!py->free_threaded_offsets)
			continue;
		ret[n] = *py;
		ret[n].offsets = *py->free_threaded_offsets;
		ret[n++].free_threaded = true;
	}
	return n;
}

// A small int.
static taddr number(struct fake *f, uint32_t value)
{
	const union py_offsets *o = &f->py.offsets;
	taddr type = fake_type(f, "int"), ret = fake_room(f, 64);

	fake_put64(f, type + o->type_flags, (uint64_t)1 << (o->int_value == PY_NONE ? 24 : 23));
	fake_point(f, ret + o->object_type, type, "type of a number");
	if (o->int_value != PY_NONE) {
		fake_put64(f, ret + o->int_value, value);
		return ret;
	}
	fake_put64(f, ret + (o->long_tag == PY_NONE ? o->object_size : o->long_tag),
		   o->long_tag == PY_NONE ? 1 : 1 << 3);
	fake_put32(f, ret + o->long_digits, value);
	return ret;
}

enum { OS_ERROR, RENAMED, ENCODED, DECODED, TRANSLATED, SYNTAX, EXIT, STOPPED, SENTENCES };

// The scene's thread handles an exception of KIND that has its words in fields of its own.
static void say_by_fields(struct scene *s, int kind)
{
	static const char *const names[SENTENCES] = {
		"OSError", "OSError", "UnicodeEncodeError", "UnicodeDecodeError",
		"UnicodeTranslateError", "SyntaxError", "SystemExit", "StopIteration",
	};
	struct fake *f = &s->f;
	const union py_offsets *o = &f->py.offsets;
	bool codec = kind == ENCODED || kind == DECODED || kind == TRANSLATED;
	bool os = kind == OS_ERROR || kind == RENAMED;
	taddr type = class(f, names[kind], s->base), args;
	taddr e = exception(s, type, kind == EXIT ? "gone" : "done", &args);
	const struct {
		uint32_t at;
		taddr what;
	} fields[] = {
		{ os ? o->exc_os_errno : PY_NONE, number(f, 2) },
		{ os ? o->exc_os_strerror : PY_NONE, text(f, "No such file") },
		{ os ? o->exc_os_filename : PY_NONE, text(f, "a") },
		{ kind == RENAMED ? o->exc_os_filename2 : PY_NONE, text(f, "b") },
		{ codec ? o->exc_unicode_encoding : PY_NONE, text(f, "ascii") },
		{ codec ? o->exc_unicode_object : PY_NONE,
		  kind == DECODED		? fake_bytes(f, "ab\xff", 3)
		  : f->py.names_are_bytes	? 0
						: fake_str(f, "ab\xe9", 3, 1, false, true) },
		{ codec ? o->exc_unicode_reason : PY_NONE, text(f, "no reason") },
		{ kind == SYNTAX ? o->exc_syntax_message : PY_NONE, text(f, "invalid syntax") },
	};

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (fields[i].at != PY_NONE)
			fake_point(f, e + fields[i].at, fields[i].what, "a field");
	if (codec) {
		fake_put64(f, e + o->exc_unicode_start, kind == TRANSLATED ? 0 : 2);
		fake_put64(f, e + o->exc_unicode_end, 3);
	}
	taddr at = s->item ? s->item : f->threads[0];
	uint32_t held = s->item ? o->handled_value : o->tstate_handled_value;
	uint32_t held_type = s->item ? o->handled_type : o->tstate_handled_type;
	fake_point(f, at + held, e, "what is held");
	if (held_type != PY_NONE)
		fake_point(f, at + held_type, type, "class of what is held");
}

// What Python prints behind the name of the class.
static const char *sentence(const struct py_layout *py, int kind)
{
	switch (kind) {
	case OS_ERROR:
		return "[Errno 2] No such file: 'a'";
	case RENAMED:
		if (py->offsets.exc_os_filename2 == PY_NONE)
			return "[Errno 2] No such file: 'a'";
		return "[Errno 2] No such file: 'a' -> 'b'";
	case ENCODED:
		return "'ascii' codec can't encode character '\\xe9' in position 2: no reason";
	case DECODED:
		return "'ascii' codec can't decode byte 0xff in position 2: no reason";
	case TRANSLATED:
		return "can't translate characters in position 0-2: no reason";
	case SYNTAX:
		return "invalid syntax";
	default:
		return kind == EXIT ? "gone" : "done";
	}
}

static void sentences_are_made_of_fields(void **unused)
{
	struct py_layout all[32];
	size_t n = layouts(all);

	(void)unused;
	for (size_t i = 0; i < n * SENTENCES; i++) {
		_cleanup_(scene_deinit) struct scene s = {};
		_cleanup_(py_state_deinit) struct py_state state = {};
		const struct py_layout *py = &all[i / SENTENCES];
		int kind = i % SENTENCES;

		// 2.7's texts are not made by hand here.
		if (py->names_are_bytes && (kind == ENCODED || kind == TRANSLATED))
			continue;
		scene_make(&s, py);
		say_by_fields(&s, kind);
		walk(&s, &state);
		const struct py_exception *e = thread(&s, &state, 0)->handled;
		assert_non_null(e);
		if (!e->message || strcmp(e->message, sentence(py, kind)) != 0)
			fail_msg("%u.%u%s, %s: %s, should be %s", PY_MAJOR(py->version),
				 PY_MINOR(py->version), py->free_threaded ? " without a GIL" : "",
				 e->type, e->message ? e->message : "nothing", sentence(py, kind));
	}
}

static void broken_fields_leave_the_exception(void **unused)
{
	static const uint64_t values[] = { 0, 1, 8, 0x7fffdeadbee8, (uint64_t)1 << 60, UINT64_MAX };
	struct py_layout all[32];
	size_t n = layouts(all);

	(void)unused;
	for (size_t i = 0; i < n * SENTENCES; i++) {
		_cleanup_(scene_deinit) struct scene s = {};
		const union py_offsets *o = &s.f.py.offsets;

		scene_make(&s, &all[i / SENTENCES]);
		s.f.n_pointers = 0;
		say_by_fields(&s, i % SENTENCES);
		taddr at = s.item ? s.item : s.f.threads[0];
		taddr e = fake_get64(&s.f, at + (s.item ? o->handled_value
							: o->tstate_handled_value));
		// Where a slice begins and ends is a number, and no less the target's.
		s.f.pointers[s.f.n_pointers++].at = e + o->exc_unicode_start;
		s.f.pointers[s.f.n_pointers++].at = e + o->exc_unicode_end;
		for (size_t k = 0; k < s.f.n_pointers; k++) {
			taddr where = s.f.pointers[k].at;
			uint64_t right = fake_get64(&s.f, where);

			for (size_t j = 0; j < ARRAY_SIZE(values); j++) {
				_cleanup_(py_state_deinit) struct py_state state = {};

				fake_put64(&s.f, where, values[j]);
				walk(&s, &state);
				expect_sane(&state);
			}
			fake_put64(&s.f, where, right);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(handled_and_raised_exceptions_are_found),
		cmocka_unit_test(none_and_what_is_over_are_nothing),
		cmocka_unit_test(loops_end),
		cmocka_unit_test(wild_pointers_are_a_gap_or_nothing),
		cmocka_unit_test(sizes_that_are_none_leave_the_rest),
		cmocka_unit_test(sentences_are_made_of_fields),
		cmocka_unit_test(broken_fields_leave_the_exception),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
