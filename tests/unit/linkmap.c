/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The dynamic linker's list, in memory made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <elf.h>

#include "cleanup.h"
#include "target/linkmap.h"

#define BASE ((taddr)0x10000)

/* A position-independent program at BASE whose linker has loaded itself and a library. */
struct world {
	struct {
		Elf64_Phdr phdrs[2];
		Elf64_Dyn dynamic[3];
		uint64_t debug[5], maps[3][4];
		char names[2][32];
	} image;
	Elf64_auxv_t auxv[3];
	struct mem_range range;
	struct mem_bytes mem;
	struct bytes auxv_bytes;
	struct arena arena;
	struct link_map_list list;
};

static taddr address_of(const struct world *w, const void *p)
{
	return BASE + (taddr)((const char *)p - (const char *)&w->image);
}

static void make(struct world *w)
{
	*w = (struct world){};
	w->image.phdrs[0] = (Elf64_Phdr){ .p_type = PT_PHDR };
	w->image.phdrs[1] = (Elf64_Phdr){ .p_type = PT_DYNAMIC,
					  .p_vaddr = offsetof(struct world, image.dynamic),
					  .p_memsz = sizeof(w->image.dynamic) };
	w->image.dynamic[0].d_tag = DT_NEEDED;
	w->image.dynamic[1].d_tag = DT_DEBUG;
	w->image.dynamic[1].d_un.d_ptr = address_of(w, w->image.debug);
	uint64_t debug[5] = { 1, address_of(w, w->image.maps[0]), 0xb4c, 0, 0x7000 };
	memcpy(w->image.debug, debug, sizeof(debug));
	for (size_t i = 0; i < 3; i++) {
		uint64_t map[4] = { BASE + i, i ? address_of(w, w->image.names[i - 1]) : 0, 0xd0 + i,
				    i < 2 ? address_of(w, w->image.maps[i + 1]) : 0 };
		memcpy(w->image.maps[i], map, sizeof(map));
	}
	strcpy(w->image.names[0], "/lib64/ld-linux-x86-64.so.2");
	strcpy(w->image.names[1], "/usr/lib/libfoo.so");
	w->auxv[0] = (Elf64_auxv_t){ .a_type = AT_PHDR, .a_un.a_val = BASE };
	w->auxv[1] = (Elf64_auxv_t){ .a_type = AT_PHNUM, .a_un.a_val = 2 };
	w->auxv_bytes = (struct bytes){ .data = (uint8_t *)w->auxv, .len = sizeof(w->auxv) };
	w->range = (struct mem_range){ .at = BASE,
				       .len = sizeof(w->image),
				       .data = (const uint8_t *)&w->image };
	mem_bytes_init(&w->mem, &w->range, 1);
}

static void read_list(struct world *w)
{
	assert_null(link_map_read(&w->mem.mem, &w->auxv_bytes, &w->arena, &w->list));
}

static void test_every_object_is_listed(void **state)
{
	struct world w;

	make(&w);
	read_list(&w);
	assert_int_equal(w.list.objects.n, 3);
	assert_int_equal(w.list.dynamic, address_of(&w, w.image.dynamic));
	assert_memory_equal(w.list.dynamic_bytes, w.image.dynamic, sizeof(w.image.dynamic));
	assert_int_equal(w.list.version, 1);
	assert_int_equal(w.list.brk, 0xb4c);
	assert_int_equal(w.list.base, 0x7000);
	assert_string_equal(w.list.objects.v[0].name, "");
	assert_string_equal(w.list.objects.v[2].name, "/usr/lib/libfoo.so");
	assert_int_equal(w.list.objects.v[2].bias, BASE + 2);
	assert_int_equal(w.list.objects.v[2].dynamic, 0xd2);
	arena_deinit(&w.arena);
	(void)state;
}

static void test_a_list_that_bites_its_tail_ends(void **state)
{
	struct world w;

	make(&w);
	w.image.maps[2][3] = address_of(&w, w.image.maps[0]);
	read_list(&w);
	assert_int_equal(w.list.objects.n, 4096);
	arena_deinit(&w.arena);
	(void)state;
}

static void test_pointers_into_nowhere_cut_it_short(void **state)
{
	struct world w;

	make(&w);
	w.image.maps[1][1] = 0xdead0000; /* a name */
	w.image.maps[1][3] = 0xdead0000; /* the next one */
	read_list(&w);
	assert_int_equal(w.list.objects.n, 2);
	assert_string_equal(w.list.objects.v[1].name, "");
	arena_deinit(&w.arena);

	make(&w);
	w.image.dynamic[1].d_un.d_ptr = 0; /* the linker has not come so far */
	read_list(&w);
	assert_int_equal(w.list.objects.n, 0);
	assert_int_not_equal(w.list.dynamic, 0);
	arena_deinit(&w.arena);

	make(&w);
	w.image.phdrs[1].p_memsz = UINT64_MAX;
	read_list(&w);
	assert_int_equal(w.list.dynamic, 0);
	arena_deinit(&w.arena);

	make(&w);
	w.auxv_bytes.len = 7;
	read_list(&w);
	assert_int_equal(w.list.objects.n, 0);
	arena_deinit(&w.arena);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_object_is_listed),
		cmocka_unit_test(test_a_list_that_bites_its_tail_ends),
		cmocka_unit_test(test_pointers_into_nowhere_cut_it_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
