/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/annotate.h"
#include "store/minidump.h"
#include "store/shelf.h"

#define SECOND INT64_C(1000000000)
#define DAY    (86400 * SECOND)

static void ok(struct error *err)
{
	if (err)
		fail_msg("%s", err->text);
}

static char folder[] = "/tmp/pcatch-shelf-XXXXXX";
static struct store store;

static int make_folder(void **state)
{
	(void)state;
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	assert_non_null(mkdtemp(folder));
	ok(store_open(folder, &store));
	return 0;
}

static int remove_folder(void **state)
{
	char command[64];

	(void)state;
	store_close(&store);
	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	return system(command);
}

static void put_file(const char *name, const char *text)
{
	int fd = openat(store.dir, name, O_CREAT | O_EXCL | O_WRONLY, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

// A report of DAYS after the first of November 2026 that died of CAUSE.
static void put_report(const char *comm, int day, const char *cause)
{
	struct snapshot s;
	struct buf dump = {}, digest = {};
	char *path, name[64];
	int fd;

	snapshot_init(&s);
	s.host.arch = arch_by_id(ARCH_X86_64);
	s.process.comm = arena_strdup(&s.arena, comm);
	ok(minidump_write(&s, &dump));
	snprintf(name, sizeof(name), "%s-%d-202611%02dT120000Z", comm, 100 + day, day);
	ok(store_write(&store, name, "dmp", dump.data, dump.len, &path));
	free(path);
	ok(store_write(&store, name, "txt", "words", 5, &path));
	free(path);
	buf_printf(&digest, "{\"cause\":\"%s\",\"signature\":\"s\",\"summary\":\"It ended.\"}", cause);
	ok(store_reopen(&store, name, "dmp", O_RDWR, &fd));
	ok(minidump_annotate(fd, &digest, NULL, 0));
	close(fd);
	buf_deinit(&dump);
	buf_deinit(&digest);
	snapshot_deinit(&s);
}

static void reports_are_known_by_their_names(void **state)
{
	struct shelf shelf;

	(void)state;
	put_report("a-b", 3, "abort");
	put_file("x-7-20261102T000000Z-2.txt", "12345");
	put_file("x-7-20261102T000000Z-2.core.zst", "12");
	// None of these is a report, and none is touched.
	put_file("x-0-20261102T000000Z.dmp", "");
	put_file("x-7-20261102T000000.dmp", "");
	put_file("x-7-20261102T000000Z-1.dmp", "");
	put_file("x-7-20261102T000000Zz.dmp", "");
	put_file("x-7-20261302T000000Z.dmp", "");
	put_file("-7-20261102T000000Z.dmp", "");
	put_file("x-7-20261102T000000Z.dmp.bak", "");
	put_file("x-7-20261102T000000Z.pdf", "");
	put_file(".dmp", "");
	put_file("x-7-20261102T000000Z.zst", "");
	put_file("notes.txt", "");
	assert_int_equal(symlinkat("/etc/passwd", store.dir, "y-7-20261102T000000Z.dmp"), 0);
	assert_int_equal(mkdirat(store.dir, "z-7-20261102T000000Z.dmp", 0700), 0);

	ok(shelf_read(&store, &shelf));
	assert_int_equal(shelf.reports.n, 2);
	assert_string_equal(shelf.reports.v[0].name, "x-7-20261102T000000Z-2");
	assert_int_equal(shelf.reports.v[0].bytes, 7);
	assert_null(shelf.reports.v[0].cause);
	assert_string_equal(shelf.reports.v[1].comm, "a-b");
	assert_int_equal(shelf.reports.v[1].pid, 103);
	assert_int_equal(shelf.reports.v[1].time, 1793707200 * SECOND);
	assert_string_equal(shelf.reports.v[1].cause, "abort");
	assert_int_equal(shelf.reports.v[1].suffixes.n, 2);
	assert_int_equal(shelf.groups.n, 2);
	shelf_deinit(&shelf);
}

static bool is_chosen(const struct shelf *shelf, const char *comm)
{
	for (size_t i = 0; i < shelf->reports.n; i++)
		if (!strcmp(shelf->reports.v[i].comm, comm))
			return shelf->reports.v[i].chosen;
	fail_msg("no report of %s", comm);
	return false;
}

static void the_oldest_of_the_most_frequent_go_first(void **state)
{
	struct shelf shelf;

	(void)state;
	put_report("rare", 1, "abort");
	put_report("old", 2, "os-exit");
	put_report("middle", 3, "os-exit");
	put_report("new", 4, "os-exit");
	ok(shelf_read(&store, &shelf));
	assert_int_equal(shelf_choose(&shelf, &(struct shelf_bounds){ .reports = 3 }, 0), 1);
	assert_true(is_chosen(&shelf, "old"));
	shelf_deinit(&shelf);

	// One of each is left before what is rare must go; and the newest never does.
	ok(shelf_read(&store, &shelf));
	assert_int_equal(shelf_choose(&shelf, &(struct shelf_bounds){ .reports = 2 }, 0), 2);
	assert_true(is_chosen(&shelf, "old") && is_chosen(&shelf, "middle"));
	shelf_deinit(&shelf);
	ok(shelf_read(&store, &shelf));
	assert_int_equal(shelf_choose(&shelf, &(struct shelf_bounds){ .bytes = 1 }, 0), 3);
	assert_false(is_chosen(&shelf, "new"));
	shelf_deinit(&shelf);
}

static void old_cores_go_before_any_report(void **state)
{
	static char core[40000];
	char *path;
	struct shelf shelf;

	(void)state;
	memset(core, 1, sizeof(core));
	put_report("first", 1, "abort");
	put_report("second", 2, "abort");
	put_report("third", 3, "abort");
	put_report("last", 4, "abort");
	static const char *const with_core[] = { "second-102-20261102T120000Z",
						 "third-103-20261103T120000Z",
						 "last-104-20261104T120000Z" };
	for (size_t i = 0; i < 3; i++) {
		ok(store_write(&store, with_core[i], i ? "core" : "core.zst", core, sizeof(core),
			       &path));
		free(path);
	}
	ok(shelf_read(&store, &shelf));
	assert_int_equal(shelf_choose(&shelf, &(struct shelf_bounds){ .bytes = 60000 }, 0), 1);
	for (size_t i = 0; i < 4; i++) {
		assert_false(shelf.reports.v[i].chosen);
		assert_int_equal(shelf.reports.v[i].cores_chosen, i == 1);
	}
	ok(shelf_remove(&store, &shelf.reports.v[1]));
	shelf_deinit(&shelf);
	ok(shelf_read(&store, &shelf));
	assert_int_equal(shelf.reports.n, 4);
	assert_int_equal(shelf.reports.v[1].suffixes.n, 2);
	// The last one is no reason for others to go, but for their cores.
	assert_int_equal(shelf_choose(&shelf, &(struct shelf_bounds){ .bytes = 39000 }, 0), 1);
	assert_true(shelf.reports.v[2].cores_chosen && !shelf.reports.v[2].chosen);
	shelf_deinit(&shelf);
	ok(shelf_read(&store, &shelf));
	assert_int_equal(shelf_choose(&shelf, &(struct shelf_bounds){ .bytes = 1 }, 0), 3);
	assert_true(shelf.reports.v[2].chosen && !shelf.reports.v[3].chosen);
	shelf_deinit(&shelf);
}

static void what_is_too_old_goes_whatever_it_is(void **state)
{
	struct shelf shelf;

	(void)state;
	put_report("rare", 1, "abort");
	put_report("old", 2, "os-exit");
	put_report("new", 9, "os-exit");
	ok(shelf_read(&store, &shelf));
	int64_t now = shelf.reports.v[2].time + DAY;
	struct shelf_bounds none = {}, week = { .age = 7 * DAY }, nine = { .age = 9 * DAY };
	assert_int_equal(shelf_choose(&shelf, &none, now), 0);
	assert_int_equal(shelf_choose(&shelf, &nine, now), 0);
	assert_int_equal(shelf_choose(&shelf, &week, now), 2);
	assert_false(is_chosen(&shelf, "new"));
	for (size_t i = 0; i < shelf.reports.n; i++)
		if (shelf.reports.v[i].chosen)
			ok(shelf_remove(&store, &shelf.reports.v[i]));
	// Somebody else was quicker: nothing is wrong.
	ok(shelf_remove(&store, &shelf.reports.v[0]));
	shelf_deinit(&shelf);
	ok(shelf_read(&store, &shelf));
	assert_int_equal(shelf.reports.n, 1);
	assert_string_equal(shelf.reports.v[0].comm, "new");
	shelf_deinit(&shelf);
}

static void a_spoilt_dump_is_listed_without_its_verdict(void **state)
{
	struct shelf shelf;

	(void)state;
	put_file("x-7-20261102T000000Z.dmp", "MDMP is all there is");
	ok(shelf_read(&store, &shelf));
	assert_int_equal(shelf.reports.n, 1);
	assert_null(shelf.reports.v[0].cause);
	shelf_deinit(&shelf);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(reports_are_known_by_their_names),
		CASE(the_oldest_of_the_most_frequent_go_first),
		CASE(old_cores_go_before_any_report),
		CASE(what_is_too_old_goes_whatever_it_is),
		CASE(a_spoilt_dump_is_listed_without_its_verdict),
	};

	return cmocka_run_group_tests_name("shelf", tests, NULL, NULL);
}
