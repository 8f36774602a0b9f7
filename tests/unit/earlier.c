/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The signals that a process had before its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "capture/earlier.h"
#include "cleanup.h"

static struct signal_event event(int signo, pid_t pid, int64_t at)
{
	return (struct signal_event){ .info = { .signo = signo, .pid = pid },
				      .at = at,
				      .last = at,
				      .count = 1,
				      .disposition = SIGNAL_HANDLED,
				      .sender.process.pid = pid };
}

static void came(struct earlier *earlier, int signo, pid_t pid, int64_t at)
{
	const struct signal_event e = event(signo, pid, at);

	if (!earlier_again(earlier, &e.info, e.disposition, at))
		assert_null(earlier_add(earlier, &e));
}

static void equal_ones_are_counted(void **state)
{
	_cleanup_(earlier_deinit) struct earlier earlier = {};

	(void)state;
	came(&earlier, 15, 7, 10);
	came(&earlier, 10, 7, 20);
	came(&earlier, 15, 7, 30);
	assert_int_equal(earlier.n, 2);
	assert_int_equal(earlier.v[0].event.count, 2);
	assert_int_equal(earlier.v[0].event.at, 10);
	assert_int_equal(earlier.v[0].event.last, 30);
}

static void another_sender_or_disposition_is_another_one(void **state)
{
	_cleanup_(earlier_deinit) struct earlier earlier = {};
	const struct signal_info info = { .signo = 15, .pid = 7 };

	(void)state;
	came(&earlier, 15, 7, 10);
	came(&earlier, 15, 8, 20);
	assert_int_equal(earlier.n, 2);
	assert_false(earlier_again(&earlier, &info, SIGNAL_IGNORED, 30));
	assert_true(earlier_again(&earlier, &info, SIGNAL_HANDLED, 30));
}

static void the_newest_stay_and_the_others_are_counted(void **state)
{
	_cleanup_(earlier_deinit) struct earlier earlier = {};
	struct snapshot snapshot;

	(void)state;
	for (int i = 0; i < EARLIER_MAX + 3; i++) {
		came(&earlier, 15, 1000 + i, i);
		came(&earlier, 15, 1000 + i, i);
	}
	snapshot_init(&snapshot);
	assert_null(earlier_copy(&earlier, &snapshot));
	assert_int_equal(snapshot.death.earlier_dropped, 6);
	assert_int_equal(snapshot.death.earlier.n, EARLIER_MAX);
	assert_int_equal(snapshot.death.earlier.v[0].sender.process.pid, 1003);
	assert_int_equal(snapshot.death.earlier.v[EARLIER_MAX - 1].at, EARLIER_MAX + 2);
	snapshot_deinit(&snapshot);
}

static void what_an_event_points_to_is_copied(void **state)
{
	_cleanup_(earlier_deinit) struct earlier earlier = {};
	struct signal_event e = event(15, 7, 10);
	struct snapshot snapshot;
	char comm[] = "kill";

	(void)state;
	e.sender.process.comm = comm;
	assert_null(earlier_add(&earlier, &e));
	memset(comm, 'x', 4);
	snapshot_init(&snapshot);
	assert_null(earlier_copy(&earlier, &snapshot));
	assert_string_equal(snapshot.death.earlier.v[0].sender.process.comm, "kill");
	snapshot_deinit(&snapshot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_ones_are_counted),
		cmocka_unit_test(another_sender_or_disposition_is_another_one),
		cmocka_unit_test(the_newest_stay_and_the_others_are_counted),
		cmocka_unit_test(what_an_event_points_to_is_copied),
	};

	return cmocka_run_group_tests_name("earlier", tests, NULL, NULL);
}
