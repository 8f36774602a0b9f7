/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cleanup.h"
#include "walk/places.h"

#define LONG_FOLDER (PLACE_MAX - 20)

static char *list[] = { (char *)"/mnt/a", (char *)"/mnt/b" };
static char *debug_list[] = { (char *)"/srv/debug" };
static char *named_list[] = { (char *)"app.debug" };

static struct module module = { .path = (char *)"/usr/bin/app",
				.build_id = { 0xab, 0xcd, 0xef },
				.build_id_len = 3,
				.fd = -1 };

static struct fetched_file fetched_list[] = {
	{ .build_id = { 0xab, 0xcd, 0xef }, .build_id_len = 3, .path = (char *)"/cache/executable" },
	{ .build_id = { 0xab, 0xcd, 0xef }, .build_id_len = 3, .debug = true,
	  .path = (char *)"/cache/debuginfo" },
	{ .build_id = { 0x11, 0x22 }, .build_id_len = 2, .why = (char *)"nobody has it" },
};

static const struct places everywhere = {
	.named = { named_list, 1 },
	.sysroots = { list, 2 },
	.debug_dirs = { debug_list, 1 },
	.fetched = { fetched_list, 3 },
};

typedef bool next_place(const struct places *places, unsigned n, char ret[PLACE_MAX]);

static bool next_file(const struct places *places, unsigned n, char ret[PLACE_MAX])
{
	return places_file(places, &module, n, ret);
}

static bool next_debug(const struct places *places, unsigned n, char ret[PLACE_MAX])
{
	return places_debug(places, module.build_id, module.build_id_len, n, ret);
}

static bool next_link(const struct places *places, unsigned n, char ret[PLACE_MAX])
{
	return places_debuglink(places, module.path, "app.dbg", n, ret);
}

#define MUST_BE(places, next, ...)                                                                 \
	must_be(places, next, (const char *const[]){ __VA_ARGS__ },                                \
		ARRAY_SIZE(((const char *const[]){ __VA_ARGS__ })))

// All paths that there are, in order.
static void must_be(const struct places *places, next_place *next, const char *const *paths, size_t n)
{
	char path[PLACE_MAX];

	for (size_t i = 0; i < n; i++) {
		if (!next(places, (unsigned)i, path))
			fail_msg("no path %zu, which should be %s", i, paths[i]);
		assert_string_equal(path, paths[i]);
	}
	assert_false(next(places, (unsigned)n, path));
}

static void without_being_told_this_machine_is_all(void **state)
{
	static const struct places nowhere;

	(void)state;
	MUST_BE(NULL, next_file, "/usr/bin/app", "/usr/lib/debug/.build-id/ab/cdef");
	MUST_BE(&nowhere, next_debug, "/usr/lib/debug/.build-id/ab/cdef.debug");
	MUST_BE(NULL, next_link, "/usr/lib/debug/usr/bin/app.dbg", "/usr/bin/.debug/app.dbg",
		"/usr/bin/app.dbg");
}

static void what_the_user_says_comes_first_and_servers_last(void **state)
{
	(void)state;
	MUST_BE(&everywhere, next_file, "app.debug", "/mnt/a/usr/bin/app", "/mnt/b/usr/bin/app",
		"/usr/bin/app", "/srv/debug/.build-id/ab/cdef",
		"/mnt/a/usr/lib/debug/.build-id/ab/cdef", "/mnt/b/usr/lib/debug/.build-id/ab/cdef",
		"/usr/lib/debug/.build-id/ab/cdef", "/cache/executable");
	MUST_BE(&everywhere, next_debug, "app.debug", "/srv/debug/.build-id/ab/cdef.debug",
		"/mnt/a/usr/lib/debug/.build-id/ab/cdef.debug",
		"/mnt/b/usr/lib/debug/.build-id/ab/cdef.debug",
		"/usr/lib/debug/.build-id/ab/cdef.debug", "/cache/debuginfo");
	MUST_BE(&everywhere, next_link, "/srv/debug/usr/bin/app.dbg",
		"/mnt/a/usr/lib/debug/usr/bin/app.dbg", "/mnt/b/usr/lib/debug/usr/bin/app.dbg",
		"/usr/lib/debug/usr/bin/app.dbg", "/mnt/a/usr/bin/.debug/app.dbg",
		"/mnt/a/usr/bin/app.dbg", "/mnt/b/usr/bin/.debug/app.dbg", "/mnt/b/usr/bin/app.dbg",
		"/usr/bin/.debug/app.dbg", "/usr/bin/app.dbg");
}

static void this_machine_can_be_left_out(void **state)
{
	struct places elsewhere = everywhere, nothing = { .not_here = true };
	char path[PLACE_MAX];

	(void)state;
	elsewhere.not_here = true;
	MUST_BE(&elsewhere, next_file, "app.debug", "/mnt/a/usr/bin/app", "/mnt/b/usr/bin/app",
		"/srv/debug/.build-id/ab/cdef", "/mnt/a/usr/lib/debug/.build-id/ab/cdef",
		"/mnt/b/usr/lib/debug/.build-id/ab/cdef", "/cache/executable");
	assert_false(next_file(&nothing, 0, path));
	assert_false(next_debug(&nothing, 0, path));
	assert_false(next_link(&nothing, 0, path));
}

static void without_a_build_id_there_is_none_to_look_for(void **state)
{
	struct module plain = { .path = (char *)"/usr/bin/app", .fd = -1 };
	char path[PLACE_MAX];

	(void)state;
	assert_true(places_file(NULL, &plain, 0, path));
	assert_false(places_file(NULL, &plain, 1, path));
	assert_false(places_debug(NULL, plain.build_id, 0, 0, path));
	// Neither is there for one of a byte, which has no folder.
	assert_false(places_debug(NULL, module.build_id, 1, 0, path));
}

static void what_a_server_said_is_known_for_each_of_the_two_files(void **state)
{
	static const uint8_t missing[] = { 0x11, 0x22 };
	char path[PLACE_MAX];

	(void)state;
	assert_string_equal(places_fetched(&everywhere, missing, 2, false)->why, "nobody has it");
	assert_null(places_fetched(&everywhere, missing, 2, true));
	assert_null(places_fetched(&everywhere, missing, 1, false));
	assert_null(places_fetched(NULL, missing, 2, false));
	// What has no path is no place: the last one is this machine's.
	unsigned n = 0;
	struct module other = { .path = (char *)"/x", .build_id = { 0x11, 0x22 }, .build_id_len = 2 };
	while (places_file(&everywhere, &other, n, path))
		n++;
	assert_int_equal(n, 8);
}

static void path_that_is_too_long_is_empty(void **state)
{
	static char folder[LONG_FOLDER + 1];
	char path[PLACE_MAX], *folders[] = { folder };
	struct places places = { .sysroots = { folders, 1 } };

	(void)state;
	memset(folder, 'x', LONG_FOLDER);
	assert_true(places_file(&places, &module, 0, path));
	assert_int_equal(strlen(path), LONG_FOLDER + strlen(module.path));
	assert_true(places_file(&places, &module, 1, path));
	assert_string_equal(path, module.path);
	// In its folder of debug information.
	assert_true(places_file(&places, &module, 2, path));
	assert_string_equal(path, "");
}

static void build_ids_are_written_as_everybody_does(void **state)
{
	static const uint8_t id[BUILD_ID_MAX] = { 0x00, 0x9f, 0xff };
	char text[BUILD_ID_TEXT];

	(void)state;
	build_id_text(id, 3, text);
	assert_string_equal(text, "009fff");
	build_id_text(id, 0, text);
	assert_string_equal(text, "");
	build_id_text(id, 10 * BUILD_ID_MAX, text);
	assert_int_equal(strlen(text), 2 * BUILD_ID_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_being_told_this_machine_is_all),
		cmocka_unit_test(what_the_user_says_comes_first_and_servers_last),
		cmocka_unit_test(this_machine_can_be_left_out),
		cmocka_unit_test(without_a_build_id_there_is_none_to_look_for),
		cmocka_unit_test(what_a_server_said_is_known_for_each_of_the_two_files),
		cmocka_unit_test(path_that_is_too_long_is_empty),
		cmocka_unit_test(build_ids_are_written_as_everybody_does),
	};

	return cmocka_run_group_tests_name("places", tests, NULL, NULL);
}
