/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "analyse/gil.h"
#include "cleanup.h"

static struct module libc = { .path = (char *)"/lib/libc.so.6" };
static struct module old_libc = { .path = (char *)"/lib/libpthread-2.31.so" };
static struct module crypto = { .path = (char *)"/lib/libcrypto.so.3" };
static struct module python = { .path = (char *)"/usr/bin/python3" };

// Innermost first; NULL is a function without a name.
static const struct {
	struct {
		const struct module *module;
		const char *function;
	} frames[4];
	int waits; /* -1: not known */
} cases[] = {
	{ { { &libc, NULL }, { &python, "take_gil" }, { &python, "PyEval_RestoreThread" } }, 1 },
	{ { { &old_libc, NULL }, { &python, "take_gil.lto_priv.0" } }, 1 },
	{ { { &libc, NULL }, { &python, NULL }, { &python, "PyEval_RestoreThread" } }, 1 },
	{ { { &libc, NULL }, { &python, "PyThread_acquire_lock" }, { &python, "PyEval_AcquireThread" } },
	  1 },
	{ { { &libc, NULL }, { &python, NULL }, { &python, "_PyEval_EvalFrameDefault" } }, -1 },
	{ { { &libc, NULL }, { &python, "os_read" }, { &python, "PyGILState_Ensure" } }, 0 },
	{ { { &libc, NULL }, { &crypto, NULL }, { &python, "PyEval_RestoreThread" } }, 0 },
	{ { { &python, "take_gil_not" }, { &python, "take_gil" } }, 0 },
	{ { { NULL, NULL }, { &python, "take_gil" } }, 0 },
};

static void test_the_functions_that_take_it_say_who_waits(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct frame frames[4] = {};
		struct stack stack = { .frames = { .v = frames } };
		bool waits = false;

		for (size_t k = 0; k < 4 && (cases[i].frames[k].module || !k); k++) {
			frames[k].module = cases[i].frames[k].module;
			frames[k].function = (char *)cases[i].frames[k].function;
			stack.frames.n++;
		}
		bool known = gil_wait(&stack, "/usr/bin/python3", &waits);
		if ((known ? waits : -1) != cases[i].waits)
			fail_msg("case %zu: %d, not %d", i, known ? waits : -1, cases[i].waits);
		assert_false(gil_wait(&stack, NULL, &waits));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_functions_that_take_it_say_who_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
