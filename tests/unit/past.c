/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <utmp.h>

#include <cmocka.h>

#include "cleanup.h"
#include "folder.h"
#include "live/past.h"
#include "live/testimony.h"

#define SECOND INT64_C(1000000000)
#define HOUR   3600

enum what { NOTHING, BOOT, SHUTDOWN, RUNLEVEL, LOGIN };

/* What is in /var/log/wtmp, in seconds since the last boot. */
struct record {
	enum what what;
	int at;
};

static struct utmp record_of(struct record record, time_t boot)
{
	struct utmp entry = { .ut_type = USER_PROCESS };
	const char *user = "root";

	if (record.what == BOOT) {
		entry.ut_type = BOOT_TIME;
		user = "reboot";
	} else if (record.what == SHUTDOWN || record.what == RUNLEVEL) {
		entry.ut_type = RUN_LVL;
		user = record.what == SHUTDOWN ? "shutdown" : "runlevel";
	}
	strncpy(entry.ut_user, user, sizeof(entry.ut_user));
	entry.ut_tv.tv_sec = (__typeof__(entry.ut_tv.tv_sec))(boot + record.at);
	return entry;
}

// What is said of RECORDS, and of EXTRA bytes behind them.
static int64_t halt_by(const struct record *records, size_t n, size_t extra)
{
	struct folder folder = folder_make();
	struct snapshot snapshot;
	struct utmp entries[16] = {};
	char path[128];
	struct timespec since;

	assert_true(n < ARRAY_SIZE(entries));
	clock_gettime(CLOCK_BOOTTIME, &since);
	time_t boot = time(NULL) - since.tv_sec;
	for (size_t i = 0; i < n; i++)
		entries[i] = record_of(records[i], boot);
	folder_put(&folder, "wtmp", entries, n * sizeof(*entries) + extra);
	snprintf(path, sizeof(path), "%s/wtmp", folder.path);
	snapshot_init(&snapshot);
	assert_null(past_boot(&snapshot, path));
	folder_remove(&folder);
	assert_true(llabs(snapshot.autopsy.boot / SECOND - boot) <= 2);
	int64_t halt = snapshot.autopsy.halt;
	snapshot_deinit(&snapshot);
	return halt ? halt / SECOND - boot : 0;
}

#define HALT_BY(extra, ...)                                                                        \
	halt_by((const struct record[]){ __VA_ARGS__ },                                            \
		sizeof((const struct record[]){ __VA_ARGS__ }) / sizeof(struct record), extra)

static void test_shutdown_before_the_boot_is_found(void **state)
{
	(void)state;
	assert_int_equal(HALT_BY(0, { BOOT, -50 * HOUR }, { LOGIN, -40 * HOUR }, { SHUTDOWN, -90 },
				 { BOOT, 0 }, { RUNLEVEL, 3 }, { LOGIN, 100 }),
			 -90);
	// The boot was not written down.
	assert_int_equal(HALT_BY(0, { BOOT, -50 * HOUR }, { SHUTDOWN, -90 }), -90);
}

static void test_shutdown_of_an_older_boot_says_nothing(void **state)
{
	(void)state;
	// The machine had been started again since, and went down without a word.
	assert_int_equal(HALT_BY(0, { SHUTDOWN, -50 * HOUR }, { BOOT, -49 * HOUR }, { LOGIN, -HOUR },
				 { BOOT, 0 }),
			 0);
	assert_int_equal(HALT_BY(0, { BOOT, 0 }, { LOGIN, 10 }), 0);
	// One that is going on is not how the last one ended.
	assert_int_equal(HALT_BY(0, { BOOT, 0 }, { SHUTDOWN, 500 }), 0);
}

static void test_file_that_is_cut_or_empty_or_no_file(void **state)
{
	struct snapshot snapshot;

	(void)state;
	assert_int_equal(HALT_BY(sizeof(struct utmp) / 2, { BOOT, -50 * HOUR }, { SHUTDOWN, -90 }),
			 -90);
	assert_int_equal(HALT_BY(0, { NOTHING, 0 }), 0);
	assert_int_equal(halt_by(NULL, 0, 0), 0);
	assert_int_equal(halt_by(NULL, 0, 7), 0);
	static const char *const paths[] = { "/nonexistent/wtmp", "/tmp", "/dev/zero" };
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		snapshot_init(&snapshot);
		assert_null(past_boot(&snapshot, paths[i]));
		assert_true(snapshot.autopsy.boot > 0 && !snapshot.autopsy.halt);
		snapshot_deinit(&snapshot);
	}
}

static void test_lines_of_others_do_not_crowd_out_its_own(void **state)
{
	struct snapshot snapshot;
	char line[128];
	size_t own = 0;

	(void)state;
	snapshot_init(&snapshot);
	snapshot.process.pid = 4242;
	for (int i = 0; i < 2000; i++) {
		int pid = i == 10 ? 4242 : 10000 + i;

		snprintf(line, sizeof(line), "x[%d]: segfault at 8 ip 1 sp 2 error 4 in libc.so", pid);
		assert_null(testimony_of_kernel(&snapshot, "/dev/kmsg", SECOND, line, line));
	}
	// What killed others is of no interest, nor is what concerns no process.
	snprintf(line, sizeof(line), "Out of memory: Killed process 77 (x) total-vm:1kB");
	assert_null(testimony_of_kernel(&snapshot, "/dev/kmsg", SECOND, line, line));
	assert_null(testimony_of_kernel(&snapshot, "/dev/kmsg", SECOND, "usb 1-1", "usb 1-1"));
	for (size_t i = 0; i < snapshot.autopsy.told.n; i++)
		own += snapshot.autopsy.told.v[i].by_pid;
	assert_int_equal(own, 1);
	assert_int_equal(snapshot.autopsy.told.n, 201);
	assert_non_null(strstr(snapshot.autopsy.told.v[200].text, "x[11999]"));
	snapshot_deinit(&snapshot);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shutdown_before_the_boot_is_found),
		cmocka_unit_test(test_shutdown_of_an_older_boot_says_nothing),
		cmocka_unit_test(test_file_that_is_cut_or_empty_or_no_file),
		cmocka_unit_test(test_lines_of_others_do_not_crowd_out_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
