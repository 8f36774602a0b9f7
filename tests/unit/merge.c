/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "analyse/merge.h"
#include "buf.h"
#include "cleanup.h"

#define V(major, minor) ((unsigned)(major) << 24 | (unsigned)(minor) << 16)

static struct module python = { .path = (char *)"/usr/lib/libpython.so" };
static struct module other = { .path = (char *)"/usr/lib/ext.so" };

/*
 * Stacks are written as words, innermost first. Native: "E" is an eval loop, "(f" is inlined into
 * what follows, "x:f" is a function of another module, "!f" a signal's trampoline. Python: "f^" is
 * where the eval loop was entered. "@N" says where on the C stack: the stack pointer in the
 * caller, or a place in the eval loop's part, both hexadecimal.
 */
static struct stack parse(struct arena *arena, const char *words, enum frame_kind kind)
{
	struct stack stack = {};
	char *copy = arena_strdup(arena, words), *save = NULL;

	assert_non_null(copy);
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		struct frame *frame = LIST_ADD(arena, &stack.frames);
		size_t len = strlen(w);

		assert_non_null(frame);
		*frame = (struct frame){ .kind = kind, .module = &python, .found_by = FOUND_CFI };
		char *place = strchr(w, '@');
		if (place) {
			frame->stack = strtoull(place + 1, NULL, 16);
			*place = '\0';
			len = (size_t)(place - w);
		}
		if (*w == '(') {
			frame->inlined = true;
			w++;
		} else if (*w == '!') {
			frame->signal_frame = true;
			w++;
		} else if (!strncmp(w, "x:", 2)) {
			frame->module = &other;
			w += 2;
		} else if (w[len - 1] == '^') {
			frame->entry = true;
			w[len - 1] = '\0';
		}
		frame->function = w;
		frame->eval_loop = kind == FRAME_NATIVE && !strcmp(w, "E");
	}
	return stack;
}

static char *print(struct arena *arena, const struct stack *stack)
{
	_cleanup_(buf_deinit) struct buf buf = {};

	for (size_t i = 0; i < stack->frames.n; i++)
		buf_printf(&buf, "%s%s%s", i ? " " : "",
			   stack->frames.v[i].kind == FRAME_PYTHON ? "py:" : "",
			   stack->frames.v[i].function);
	buf_add(&buf, "", 1);
	return arena_strdup(arena, (char *)buf.data);
}

static const struct {
	const char *native, *python, *merged;
	enum merge how;
	bool native_cut, python_cut;
} cases[] = {
	{ "strlen x:string_at E main", "string_at^", "strlen string_at py:string_at main", MERGE_DONE,
	  false, false },
	// Before 3.11: a loop for each frame, with machinery between.
	{ "read os_read E _PyFunction_Vectorcall call_function E _PyFunction_Vectorcall E PyEval_EvalCode main",
	  "a^ b^ c^", "read os_read py:a py:b py:c PyEval_EvalCode main", MERGE_DONE, false, false },
	// From 3.11 on: a loop for several.
	{ "read E _PyEval_Vector x:callback E main", "a b^ c d e^",
	  "read py:a py:b callback py:c py:d py:e main", MERGE_DONE, false, false },
	// What the program may have put there stays, even if it is called like machinery.
	{ "f E slot_tp_call x:method_vectorcall _PyObject_Call.cold E main", "a^ b^",
	  "f py:a slot_tp_call method_vectorcall py:b main", MERGE_DONE, false, false },
	// The eval loop itself was interrupted: its own frame says where.
	{ "(Py_DECREF E main", "a^", "Py_DECREF E py:a main", MERGE_DONE, false, false },
	{ "handler !__restore_rt E main", "a^", "handler __restore_rt E py:a main", MERGE_DONE, false,
	  false },
	// Inlined into the eval loop, or the loop into something else: one activation.
	{ "f (call_function E (E wrapper main", "a^ b^", "f py:a py:b main", MERGE_DONE, false, false },
	// Counts that do not match.
	{ "f E E main", "a^", "f E E main", MERGE_APART, false, false },
	{ "f E main", "a^ b^", "f E main", MERGE_APART, false, false },
	{ "f main", "a^", "f main", MERGE_APART, false, false },
	{ "f E main", "a b", "f E main", MERGE_APART, false, false },
	// Cut short at the outer end, which both stacks say of themselves.
	{ "f E", "a^ b^", "f py:a py:b", MERGE_DONE, true, false },
	{ "f E E main", "a^", "f py:a E main", MERGE_DONE, false, true },
	{ "f E E main", "a^ b", "f py:a py:b main", MERGE_DONE, false, true },
	// Placed by the C stack: no symbols are needed, and loops may be too many.
	{ "f@10 ?@20 g@30 ?@40 main@50", "a^@18 b c^@30", "f py:a g py:b py:c main", MERGE_DONE, false,
	  false },
	{ "E@20 f@30 E@40 main@50", "a^@38", "E f py:a main", MERGE_DONE, false, false },
	{ "f@10 E@20 E@30 main@40", "a^@20", "f E py:a main", MERGE_DONE, false, false },
	{ "f@10 E@20 E@30 main@40", "a^@10", "f py:a E main", MERGE_DONE, false, false },
	{ "f@10 (g@20 ?@20 main@30", "a^@10", "f py:a main", MERGE_DONE, false, false },
	// The tail-calling interpreter: an instruction's function stands just inside of its loop.
	{ "f@10 _TAIL_CALL_CALL@20 E@30 _TAIL_CALL_CALL@40 E@50 main@60", "a^@28 b^@48",
	  "f py:a py:b main", MERGE_DONE, false, false },
	{ "f _TAIL_CALL_CALL E _TAIL_CALL_CALL E main", "a^ b^", "f py:a py:b main", MERGE_DONE, false,
	  false },
	// A handler on a stack of its own, above or below.
	{ "f@9010 !s@9100 ?@20 main@30", "a^@18", "f s ? py:a main", MERGE_DONE, false, false },
	{ "f@10 !s@18 ?@920 main@930", "a^@918", "f s ? py:a main", MERGE_DONE, false, false },
	// Where the native stack ends early the rest stands outside of it.
	{ "f@10 ?@20", "a^@18 b^@38", "f py:a py:b", MERGE_DONE, true, false },
	// It ends in code that was made at run time, an interpreter's own or others': what was called
	// from there and where the loops seen stand is known; the rest is told from the outside.
	{ "f ?", "a^ b^", "f ? py:a py:b", MERGE_DONE, true, false },
	{ "f@10 ?@20", "a^@38 b^@58", "f ? py:a py:b", MERGE_DONE, true, false },
	{ "f E x:callback ?", "a^ b c^", "f py:a callback ? py:b py:c", MERGE_DONE, true, false },
	{ "f E E x:callback ?", "a^", "f E E callback ?", MERGE_APART, true, false },
	// Places that are none of the stack's, in the wrong order, far from any frame: by count.
	{ "f@10 E@20 main@30", "a^@70", "f py:a main", MERGE_DONE, false, false },
	{ "f@10 E@20 E@30 main@40", "a^@28 b^@18", "f py:a py:b main", MERGE_DONE, false, false },
	{ "f@10 ?@20 ?@30 main@40", "a^@28 b^@18", "f ? ? main", MERGE_APART, false, false },
	{ "f@10 ?@20000 main@30000", "a^@18", "f ? main", MERGE_APART, false, false },
	// Cut short before the entry of the outermost came: its loop is the next one.
	{ "f@10 ?@20 E@30 main@40", "a^@18 b", "f py:a py:b main", MERGE_DONE, false, true },
	{ "f@10 ?@20 ?@30 main@40", "a^@18 b", "f ? ? main", MERGE_APART, false, true },
	// One of them only.
	{ "f main", "", "f main", MERGE_NONE, false, false },
	{ "", "a^ b^", "py:a py:b", MERGE_NONE, false, false },
};

static void test_python_frames_stand_where_their_loop_stands(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct arena arena = {};
		struct stack native = parse(&arena, cases[i].native, FRAME_NATIVE), merged;
		struct stack py = parse(&arena, cases[i].python, FRAME_PYTHON);
		char *why;
		enum merge how;

		native.gap = (char *)(cases[i].native_cut ? "cut" : NULL);
		py.gap = (char *)(cases[i].python_cut ? "cut" : NULL);
		struct error *err = merge_stacks(&arena, &native, &py, &merged, &how, &why);
		assert_null(err);
		char *got = print(&arena, &merged);
		if (how != cases[i].how || strcmp(got, cases[i].merged) != 0)
			fail_msg("%s + %s: %d %s, not %d %s", cases[i].native, cases[i].python, how,
				 got, cases[i].how, cases[i].merged);
		assert_true((how == MERGE_APART) == (why != NULL));
		arena_deinit(&arena);
	}
}

static void test_guessed_frames_do_not_excuse_a_mismatch(void **state)
{
	(void)state;
	struct arena arena = {};
	struct stack native = parse(&arena, "f E", FRAME_NATIVE), merged;
	struct stack py = parse(&arena, "a^ b^", FRAME_PYTHON);
	char *why;
	enum merge how;

	native.gap = (char *)"cut";
	native.frames.v[1].found_by = FOUND_SCANNED;
	assert_null(merge_stacks(&arena, &native, &py, &merged, &how, &why));
	assert_int_equal(how, MERGE_APART);
	arena_deinit(&arena);
}

static void test_a_loop_that_only_just_begins_has_no_frame_yet(void **state)
{
	static const struct {
		const char *native;
		int64_t offset; // of the innermost frame
		const char *gap, *merged;
	} stacks[] = {
		{ "E call_function E x:f E main", 20, NULL,
		  "E call_function py:a f py:b main" },
		// It has come farther, is not the one that runs, or there may be more loops.
		{ "E call_function E x:f E main", 900, NULL, NULL },
		{ "E call_function E x:f E main", -1, NULL, NULL },
		{ "g E call_function E x:f E main", 20, NULL, NULL },
		{ "E E E E main", 20, NULL, NULL },
		{ "E call_function E x:f E", 20, "cut", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(stacks); i++) {
		struct arena arena = {};
		struct stack native = parse(&arena, stacks[i].native, FRAME_NATIVE), merged;
		struct stack py = parse(&arena, "a^ b^", FRAME_PYTHON);
		char *why;
		enum merge how;

		native.frames.v[0].symbol_offset = stacks[i].offset;
		native.gap = (char *)stacks[i].gap;
		assert_null(merge_stacks(&arena, &native, &py, &merged, &how, &why));
		assert_int_equal(how, stacks[i].merged ? MERGE_DONE : MERGE_APART);
		if (stacks[i].merged)
			assert_string_equal(print(&arena, &merged), stacks[i].merged);
		arena_deinit(&arena);
	}
}

static void test_frames_of_two_interpreters_stand_as_they_called(void **state)
{
	(void)state;
	static const struct {
		const char *one, *two, *both;
	} pairs[] = {
		{ "a^@10 b^@20", "c d^@40", "py:a py:b py:c py:d" },
		{ "a b^@30", "c^@10 d^@50", "py:c py:a py:b py:d" },
		// Where it is not known where they stand nothing is done.
		{ "a^@10", "c^", NULL },
		{ "a^@10", "c", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		struct arena arena = {};
		struct stack one = parse(&arena, pairs[i].one, FRAME_PYTHON), both;
		struct stack two = parse(&arena, pairs[i].two, FRAME_PYTHON);
		bool ok;

		assert_null(merge_interpreters(&arena, &one, &two, &both, &ok));
		assert_int_equal(ok, pairs[i].both != NULL);
		if (ok)
			assert_string_equal(print(&arena, &both), pairs[i].both);
		arena_deinit(&arena);
	}
}

static void test_eval_loop_is_known_by_name(void **state)
{
	(void)state;
	assert_true(merge_is_eval_loop("_PyEval_EvalFrameDefault", V(3, 11)));
	assert_true(merge_is_eval_loop("_PyEval_EvalFrameDefault.cold", V(3, 6)));
	assert_true(merge_is_eval_loop("_PyEval_EvalFrameDefault.part.0.lto_priv.0", V(3, 13)));
	assert_true(merge_is_eval_loop("PyEval_EvalFrameEx", V(2, 7)));
	assert_true(merge_is_eval_loop("PyEval_EvalFrameEx.cold.3", V(3, 5)));
	assert_false(merge_is_eval_loop("PyEval_EvalFrameEx", V(3, 6)));
	assert_false(merge_is_eval_loop("_PyEval_EvalFrameDefaultX", V(3, 11)));
	assert_false(merge_is_eval_loop("_PyEval_EvalFrame", V(3, 11)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_python_frames_stand_where_their_loop_stands),
		cmocka_unit_test(test_guessed_frames_do_not_excuse_a_mismatch),
		cmocka_unit_test(test_a_loop_that_only_just_begins_has_no_frame_yet),
		cmocka_unit_test(test_frames_of_two_interpreters_stand_as_they_called),
		cmocka_unit_test(test_eval_loop_is_known_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
