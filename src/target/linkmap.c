/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "linkmap.h"

#include <elf.h>
#include <endian.h>
#include <string.h>

#define MAX_PHDRS   256
#define MAX_DYNAMIC 65536
#define MAX_OBJECTS 4096
#define MAX_NAME    4096

// Address and bytes of the main program's .dynamic.
static struct error *read_dynamic(const struct mem *mem, const struct bytes *auxv,
				  struct arena *arena, struct link_map_list *list)
{
	taddr phdr = auxv_value(auxv, AT_PHDR), bias = 0, vaddr = 0;
	uint64_t n = auxv_value(auxv, AT_PHNUM), size = 0;

	for (uint64_t i = 0; i < n && i < MAX_PHDRS; i++) {
		Elf64_Phdr ph;
		if (error_drop(mem_read(mem, phdr + i * sizeof(ph), &ph, sizeof(ph))))
			return NULL;
		if (le32toh(ph.p_type) == PT_PHDR)
			bias = phdr - le64toh(ph.p_vaddr);
		if (le32toh(ph.p_type) == PT_DYNAMIC) {
			vaddr = le64toh(ph.p_vaddr);
			size = le64toh(ph.p_memsz);
		}
	}
	if (!size || size > MAX_DYNAMIC)
		return NULL;
	uint8_t *bytes = arena_alloc(arena, (size_t)size);
	if (!bytes)
		return error_nomem();
	if (error_drop(mem_read(mem, vaddr + bias, bytes, (size_t)size)))
		return NULL;
	list->dynamic = vaddr + bias;
	list->dynamic_bytes = bytes;
	list->dynamic_len = (size_t)size;
	return NULL;
}

// DT_DEBUG, where the dynamic linker has left the address of its struct r_debug.
static taddr debug_address(const struct link_map_list *list)
{
	for (size_t at = 0; list->dynamic_len - at >= sizeof(Elf64_Dyn); at += sizeof(Elf64_Dyn)) {
		uint64_t pair[2];

		memcpy(pair, list->dynamic_bytes + at, sizeof(pair));
		if (le64toh(pair[0]) == DT_NULL)
			return 0;
		if (le64toh(pair[0]) == DT_DEBUG)
			return le64toh(pair[1]);
	}
	return 0;
}

static struct error *read_object(const struct mem *mem, taddr at, struct arena *arena,
				 struct link_map_list *list, taddr *next)
{
	uint64_t map[4]; // l_addr, l_name, l_ld, l_next
	char *name = NULL;

	*next = 0;
	if (error_drop(mem_read(mem, at, map, sizeof(map))))
		return NULL;
	struct error *err = mem_string(mem, le64toh(map[1]), MAX_NAME, arena, &name, NULL);
	if (err && err->kind == ERROR_NOMEM)
		return err;
	error_free(err);
	struct linked *to = LIST_ADD(arena, &list->objects);
	if (!to)
		return error_nomem();
	to->bias = le64toh(map[0]);
	to->dynamic = le64toh(map[2]);
	to->name = name ? name : arena_strdup(arena, "");
	*next = le64toh(map[3]);
	return to->name ? NULL : error_nomem();
}

struct error *link_map_read(const struct mem *mem, const struct bytes *auxv, struct arena *arena,
			    struct link_map_list *ret)
{
	uint64_t debug[5]; // r_version, r_map, r_brk, r_state, r_ldbase
	struct link_map_list list = {};
	struct error *err = read_dynamic(mem, auxv, arena, &list);

	if (err)
		return err;
	taddr at = debug_address(&list);
	if (at && !error_drop(mem_read(mem, at, debug, sizeof(debug)))) {
		list.version = (uint32_t)le64toh(debug[0]);
		list.brk = le64toh(debug[2]);
		list.base = le64toh(debug[4]);
		at = le64toh(debug[1]);
		while (!err && at && list.objects.n < MAX_OBJECTS)
			err = read_object(mem, at, arena, &list, &at);
	}
	if (!err)
		*ret = list;
	return err;
}
