/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <unistd.h>

#include "live/errand.h"
#include "live/tracer.h"

#define SOON INT64_C(20000000)
#define EVENTUALLY INT64_C(60000000000)

struct work {
	int pipe[2];
	int done;
	int refused; // errno
};

static void do_quickly(void *arg)
{
	struct work *w = arg;

	if (errand_may_block("nothing")) {
		errand_came_back();
		w->done++;
	}
}

static void read_pipe(void *arg)
{
	struct work *w = arg;
	char byte;

	if (!errand_may_block("outer"))
		return;
	if (errand_may_block("inner")) {
		ssize_t n = read(w->pipe[0], &byte, 1);

		(void)n;
		errand_came_back();
	}
	errand_came_back();
	w->done++;
}

static void come_late(void *arg)
{
	struct work *w = arg;

	errno = 0;
	w->refused = errand_may_block("anything") ? -1 : errno;
}

static int threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void work_is_done_again_and_again(void **state)
{
	struct errand *errand;
	struct work w = {};

	(void)state;
	assert_null(errand_create(&errand));
	for (int i = 1; i <= 100; i++) {
		if (i % 2)
			errand_prepare(errand);
		errand_start(errand, do_quickly, &w, INT64_MAX);
		assert_true(errand_wait(errand, monotonic_now() + EVENTUALLY));
		assert_null(errand_give_up(errand));
		assert_int_equal(w.done, i);
	}
	errand_destroy(errand);
}

static void nothing_is_begun_after_the_deadline(void **state)
{
	struct errand *errand;
	struct work w = {};

	(void)state;
	assert_null(errand_create(&errand));
	errand_start(errand, come_late, &w, monotonic_now());
	assert_true(errand_wait(errand, monotonic_now() + EVENTUALLY));
	assert_int_equal(w.refused, ETIME);
	errand_destroy(errand);
}

static void what_is_stuck_is_given_up_and_touches_nothing_more(void **state)
{
	struct errand *errand;
	struct work w = {};
	int before = threads();

	(void)state;
	assert_int_equal(pipe(w.pipe), 0);
	assert_null(errand_create(&errand));
	// On a busy machine the thread may not even have begun by then.
	errand_start(errand, read_pipe, &w, monotonic_now() + EVENTUALLY);
	assert_false(errand_wait(errand, monotonic_now() + SOON));
	assert_string_equal(errand_give_up(errand), "outer");
	errand_destroy(errand);
	assert_int_equal(threads(), before + 1);
	// It comes back, and is gone.
	assert_int_equal(write(w.pipe[1], "x", 1), 1);
	int64_t end = monotonic_now() + EVENTUALLY;
	while (threads() != before && monotonic_now() < end)
		sched_yield();
	assert_int_equal(threads(), before);
	assert_int_equal(w.done, 0);
	close(w.pipe[0]);
	close(w.pipe[1]);
}

static void outside_of_an_errand_everything_may_block(void **state)
{
	(void)state;
	assert_true(errand_may_block("anything"));
	errand_came_back();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(work_is_done_again_and_again),
		cmocka_unit_test(nothing_is_begun_after_the_deadline),
		cmocka_unit_test(what_is_stuck_is_given_up_and_touches_nothing_more),
		cmocka_unit_test(outside_of_an_errand_everything_may_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
