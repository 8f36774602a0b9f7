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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scene_takes_the_place_of_what_was_captured_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
