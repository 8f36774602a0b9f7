/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "target/snapshot.h"

static void add_thread(struct snapshot *s, pid_t tid)
{
	struct thread *thread = LIST_ADD(&s->arena, &s->threads);

	assert_non_null(thread);
	*thread = (struct thread){ .tid = tid, .name = arena_strdup(&s->arena, "t") };
}

static void add_module(struct snapshot *s, taddr start, int *fd_ret)
{
	struct module *module = LIST_ADD(&s->arena, &s->modules);

	assert_non_null(module);
	*module = (struct module){ .start = start, .end = start + 4096 };
	module->path = arena_strdup(&s->arena, "/lib/x");
	module->fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_true(module->fd >= 0);
	*fd_ret = module->fd;
}

static void test_scene_takes_the_place_of_what_was_captured_later(void **state)
{
	struct snapshot death, scene;
	int death_fd, scene_fd;

	(void)state;
	snapshot_init(&death);
	snapshot_init(&scene);
	add_thread(&death, 1);
	add_module(&death, 0x1000, &death_fd);
	add_thread(&scene, 1);
	add_thread(&scene, 2);
	add_module(&scene, 0x2000, &scene_fd);
	static const char page[4096] = "scene";
	assert_null(snapshot_add_memory(&scene, 0x5000, page, sizeof(page)));
	assert_null(snapshot_settle_memory(&scene));
	assert_null(gaps_add(&death.arena, &death.gaps, "a", NULL, "both"));
	assert_null(gaps_add(&scene.arena, &scene.gaps, "a", NULL, "both"));
	assert_null(gaps_add(&scene.arena, &scene.gaps, "b", NULL, "the scene's"));
	death.time.death = 20;
	death.time.frozen = 3;
	scene.time.death = 10;
	scene.time.frozen = 4;
	death.death.exit_code = 7;
	scene.python.found = true;

	assert_null(snapshot_take_scene(&death, &scene));
	assert_int_equal(death.threads.n, 2);
	assert_int_equal(death.memory.n, 1);
	assert_int_equal(death.memory.v[0].at, 0x5000);
	assert_int_equal(death.modules.v[0].start, 0x2000);
	assert_int_equal(death.gaps.n, 2);
	assert_int_equal(death.time.death, 20);
	assert_int_equal(death.time.finalization, 10);
	assert_int_equal(death.time.frozen, 7);
	assert_int_equal(death.death.exit_code, 7);
	assert_true(death.python.found);
	assert_int_equal(fcntl(death_fd, F_GETFD), -1);
	assert_int_equal(scene.threads.n, 0);
	snapshot_deinit(&scene);
	assert_true(fcntl(scene_fd, F_GETFD) >= 0);
	assert_string_equal(death.threads.v[1].name, "t");
	assert_string_equal(death.gaps.v[1].what, "b");
	snapshot_deinit(&death);
	assert_int_equal(fcntl(scene_fd, F_GETFD), -1);
}

// A file for the whole memory, in one segment.
static int add_bulk(struct snapshot *s)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	s->bulk = (struct bulk){ .has_file = true, .file = fd };
	s->full_core.bytes = 4096;
	s->full_core.held = 5;
	*LIST_ADD(&s->arena, &s->bulk.segments) = (struct segment){ .at = 0x5000, .size = 4096 };
	assert_null(gaps_add(&s->arena, &s->gaps, FULL_CORE, NULL, "cut"));
	assert_null(gaps_add(&s->arena, &s->gaps, "b", NULL, "something else"));
	return fd;
}

static void test_whole_memory_moves_with_its_gaps_alone(void **state)
{
	struct snapshot to, from;

	(void)state;
	snapshot_init(&to);
	snapshot_init(&from);
	int first = add_bulk(&from), second = add_bulk(&to);
	to.gaps.n = 0;
	assert_null(snapshot_take_bulk(&to, &from));
	assert_int_equal(fcntl(second, F_GETFD), -1);
	snapshot_deinit(&from);
	assert_true(fcntl(first, F_GETFD) >= 0);
	assert_int_equal(to.bulk.file, first);
	assert_int_equal(to.bulk.segments.v[0].at, 0x5000);
	assert_int_equal(to.gaps.n, 1);
	assert_string_equal(to.gaps.v[0].why, "cut");
	snapshot_drop_bulk(&to);
	assert_int_equal(fcntl(first, F_GETFD), -1);
	assert_int_equal(to.full_core.bytes, 4096);
	snapshot_deinit(&to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scene_takes_the_place_of_what_was_captured_later),
		cmocka_unit_test(test_whole_memory_moves_with_its_gaps_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
