/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cleanup.h"
#include "walk/embed.h"

// This program is the target: its libraries are mapped, and its stack leads through some of them.

#define must(call)                                                                                 \
	do {                                                                                       \
		struct error *_err = (call);                                                       \
		if (_err)                                                                          \
			print_error("%s\n", _err->text);                                           \
		assert_null(_err);                                                                 \
	} while (0)

#define STACK UINT64_C(0x10000)

static struct snapshot snapshot;
static uint64_t stack[64];

static const struct module *module_of(const void *address)
{
	const struct module *module = snapshot_module_at(&snapshot, (uintptr_t)address);

	assert_non_null(module);
	return module;
}

static int setup(void **state)
{
	static char text[1 << 20];
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	size_t len = 0;

	(void)state;
	assert_true(fd >= 0);
	for (ssize_t n; (n = read(fd, text + len, sizeof(text) - len)) > 0;)
		len += (size_t)n;
	close(fd);
	snapshot_init(&snapshot);
	snapshot.host.arch = arch_host();
	snapshot.process.maps.data = arena_memdup(&snapshot.arena, text, len + 1);
	snapshot.process.maps.len = len;
	must(snapshot_parse_maps(&snapshot));
	for (size_t i = 0; i < snapshot.modules.n; i++) {
		struct module *module = &snapshot.modules.v[i];

		module->fd = module->in_memory ? -1 : open(module->path, O_RDONLY | O_CLOEXEC);
	}
	memset(stack, 0, sizeof(stack));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	snapshot_deinit(&snapshot);
	return 0;
}

// A thread whose stack is STACK.
static void add_thread(void)
{
	struct thread *thread = LIST_ADD(&snapshot.arena, &snapshot.threads);

	assert_non_null(thread);
	thread->stack_start = STACK;
	thread->stack_end = STACK + sizeof(stack);
	must(snapshot_add_memory(&snapshot, STACK, arena_memdup(&snapshot.arena, stack, sizeof(stack)),
				 sizeof(stack)));
	must(snapshot_settle_memory(&snapshot));
}

static size_t kept(void)
{
	size_t ret = 0;

	for (size_t i = 0; i < snapshot.memory.n; i++)
		if (snapshot.memory.v[i].at != STACK)
			ret += snapshot.memory.v[i].len;
	return ret;
}

static bool is_kept(const struct module *module)
{
	struct mem_bytes mem;
	uint8_t byte;

	snapshot_mem(&snapshot, &mem);
	return mem_read_some(&mem.mem, module->start, &byte, 1) == 1;
}

static void what_stacks_lead_through_is_kept(void **state)
{
	const struct module *own = module_of((const void *)(uintptr_t)setup);
	const struct module *libc = module_of((const void *)(uintptr_t)qsort);

	(void)state;
	stack[10] = (uintptr_t)setup;
	add_thread();
	must(embed_unwind(&snapshot, EMBED_AUTO));
	assert_true(is_kept(own));
	assert_false(is_kept(libc));
	// What is kept is enough for an image that has no file.
	struct image image;
	struct mem_bytes mem;
	snapshot_mem(&snapshot, &mem);
	must(image_open_embedded(own, &mem.mem, &image));
	uint8_t version;
	assert_true(image.eh_frame_hdr);
	assert_int_equal(image_read(&image, image.eh_frame_hdr, &version, 1), 1);
	assert_int_equal(version, 1);
	image_close(&image);
}

static void words_that_point_to_data_lead_nowhere(void **state)
{
	static const char constant[] = "no code";

	(void)state;
	stack[3] = (uintptr_t)constant;
	stack[4] = (uintptr_t)&snapshot;
	stack[5] = 1;
	add_thread();
	must(embed_unwind(&snapshot, EMBED_AUTO));
	assert_int_equal(kept(), 0);
}

static void never_is_never_and_always_is_all(void **state)
{
	(void)state;
	stack[0] = (uintptr_t)setup;
	add_thread();
	must(embed_unwind(&snapshot, EMBED_NEVER));
	assert_int_equal(kept(), 0);
	must(embed_unwind(&snapshot, EMBED_ALWAYS));
	assert_true(is_kept(module_of((const void *)(uintptr_t)setup)));
	assert_true(is_kept(module_of((const void *)(uintptr_t)qsort)));
	assert_true(kept() <= EMBED_BOUND_ALWAYS);
}

static void files_that_are_not_held_are_not_read(void **state)
{
	(void)state;
	stack[0] = (uintptr_t)setup;
	for (size_t i = 0; i < snapshot.modules.n; i++) {
		closep(&snapshot.modules.v[i].fd);
		snapshot.modules.v[i].fd = -1;
	}
	add_thread();
	must(embed_unwind(&snapshot, EMBED_ALWAYS));
	assert_int_equal(kept(), 0);
}

static void nothing_is_kept_of_nothing(void **state)
{
	struct snapshot empty;

	(void)state;
	snapshot_init(&empty);
	must(embed_unwind(&empty, EMBED_AUTO));
	assert_int_equal(empty.memory.n, 0);
	snapshot_deinit(&empty);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_stacks_lead_through_is_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(words_that_point_to_data_lead_nowhere, setup, teardown),
		cmocka_unit_test_setup_teardown(never_is_never_and_always_is_all, setup, teardown),
		cmocka_unit_test_setup_teardown(files_that_are_not_held_are_not_read, setup, teardown),
		cmocka_unit_test(nothing_is_kept_of_nothing),
	};

	return cmocka_run_group_tests_name("embed", tests, NULL, NULL);
}
