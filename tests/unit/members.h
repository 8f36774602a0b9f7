/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_TESTS_UNIT_MEMBERS_H
#define PCATCH_TESTS_UNIT_MEMBERS_H

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "target/snapshot.h"

/*
 * The members of our own structures as this very program's debug information has them, so that a
 * test can fill and compare every one, and a new member cannot be forgotten.
 */
struct members {
	struct arena *arena; /* filling: where strings and lists go */
	unsigned count;	     /* members seen: the source of values, all different */
	bool fill;
	unsigned differences;
	const char *skip[4]; /* paths, without indices, of members to leave alone */
};

static void members_differ(struct members *m, const char *path, const void *a, const void *b,
			   size_t len)
{
	const unsigned char *x = a, *y = b;

	if (!memcmp(a, b, len))
		return;
	m->differences++;
	fprintf(stderr, "%s differs:", path);
	for (size_t i = 0; i < len && i < 16; i++)
		fprintf(stderr, " %02x/%02x", x[i], y[i]);
	fprintf(stderr, "\n");
}

static Dwarf_Word members_size(Dwarf_Die *type)
{
	Dwarf_Word size = 0;

	dwarf_aggregate_size(type, &size);
	return size;
}

/* The type without typedefs and qualifiers; false for void. */
static bool members_type(Dwarf_Die *die, Dwarf_Die *ret)
{
	Dwarf_Attribute attr;
	Dwarf_Die type;

	if (!dwarf_formref_die(dwarf_attr_integrate(die, DW_AT_type, &attr), &type))
		return false;
	return dwarf_peel_type(&type, ret) == 0;
}

static void members_walk(struct members *m, Dwarf_Die *type, const char *path, void *a, void *b);

/* A string that JSON can carry, or, now and then, one that it cannot. */
static char *members_string(struct members *m)
{
	char text[64];

	snprintf(text, sizeof(text), "text %u \xc3\xa9 \xf0\x9f\x90\x8d \"\\%s", m->count,
		 m->count % 3 ? "" : "\xff\x01");
	return arena_strdup(m->arena, text);
}

static void members_scalar(struct members *m, Dwarf_Die *type, const char *path, void *a, void *b)
{
	Dwarf_Word size = members_size(type), encoding = 0;
	Dwarf_Attribute attr;

	if (!m->fill) {
		members_differ(m, path, a, b, size);
		return;
	}
	dwarf_formudata(dwarf_attr(type, DW_AT_encoding, &attr), &encoding);
	if (dwarf_tag(type) == DW_TAG_enumeration_type) {
		memcpy(a, &(unsigned){ 1 }, size);
	} else if (encoding == DW_ATE_boolean) {
		*(bool *)a = true;
	} else if (encoding == DW_ATE_float) {
		*(double *)a = m->count + 0.1;
	} else if (size == 1) {
		*(char *)a = (char)('A' + m->count % 26);
	} else if (size == 8) {
		/* Beyond what a double holds, and signed ones negative now and then. */
		uint64_t v = (m->count % 2 ? 0x8123456789000000u : 0x1122334455000000u) + m->count;
		*(uint64_t *)a = m->count % 5 ? v : m->count;
	} else {
		memcpy(a, &(uint32_t){ m->count }, size);
	}
}

/* struct { T *v; size_t n; } */
static void members_list(struct members *m, Dwarf_Die *pointer, const char *path, void *a, void *b)
{
	LIST(char) *x = a, *y = b;
	Dwarf_Die item;
	char sub[256];

	if (!members_type(pointer, &item))
		abort();
	size_t size = dwarf_tag(&item) == DW_TAG_pointer_type ? sizeof(void *) : members_size(&item);
	if (m->fill) {
		x->n = 2;
		x->v = arena_alloc(m->arena, 4 * size);
	} else if (x->n != y->n) {
		m->differences++;
		fprintf(stderr, "%s has %zu/%zu items\n", path, x->n, y->n);
		return;
	}
	for (size_t i = 0; i < x->n; i++) {
		snprintf(sub, sizeof(sub), "%s[]", path);
		members_walk(m, &item, sub, x->v + i * size, b ? y->v + i * size : NULL);
	}
}

static bool members_is(Dwarf_Die *type, const char *name)
{
	const char *is = dwarf_diename(type);

	return is && !strcmp(is, name);
}

static void members_struct(struct members *m, Dwarf_Die *type, const char *path, void *a, void *b)
{
	Dwarf_Die first, second, pointer;

	if (dwarf_child(type, &first))
		abort();
	if (members_is(type, "bytes") || members_is(type, "mem_range")) {
		/* mem_range has its address in front. */
		size_t skip = members_is(type, "mem_range") ? sizeof(taddr) : 0;
		struct bytes *x = a, *y = b;
		struct mem_range *rx = a, *ry = b;
		const uint8_t *dx = skip ? rx->data : x->data, *dy = b ? skip ? ry->data : y->data : 0;
		size_t lx = skip ? rx->len : x->len, ly = b ? skip ? ry->len : y->len : 0;
		if (m->fill) {
			char *text = members_string(m);
			*x = (struct bytes){ .data = (uint8_t *)text, .len = strlen(text) };
		} else if (lx != ly || (skip && rx->at != ry->at)) {
			m->differences++;
			fprintf(stderr, "%s: %zu/%zu bytes\n", path, lx, ly);
		} else if (lx) {
			members_differ(m, path, dx, dy, lx);
		}
		return;
	}
	if (members_is(&first, "v") && !dwarf_siblingof(&first, &second) &&
	    members_is(&second, "n")) {
		members_type(&first, &pointer);
		members_list(m, &pointer, path, a, b);
		return;
	}
	Dwarf_Die member = first;
	do {
		Dwarf_Attribute attr;
		Dwarf_Word offset = 0;
		Dwarf_Die of;
		char sub[256];

		if (dwarf_tag(&member) != DW_TAG_member || !members_type(&member, &of))
			continue;
		dwarf_formudata(dwarf_attr(&member, DW_AT_data_member_location, &attr), &offset);
		const char *name = dwarf_diename(&member);
		snprintf(sub, sizeof(sub), "%s%s%s", path, name ? "." : "", name ? name : "");
		bool skip = false;
		for (size_t i = 0; i < 4; i++)
			skip = skip || (m->skip[i] && !strcmp(m->skip[i], sub));
		if (!skip)
			members_walk(m, &of, sub, (char *)a + offset, b ? (char *)b + offset : NULL);
	} while (!dwarf_siblingof(&member, &member));
}

static void members_walk(struct members *m, Dwarf_Die *type, const char *path, void *a, void *b)
{
	Dwarf_Die of;

	m->count++;
	switch (dwarf_tag(type)) {
	case DW_TAG_base_type:
	case DW_TAG_enumeration_type:
		members_scalar(m, type, path, a, b);
		break;
	case DW_TAG_structure_type:
		members_struct(m, type, path, a, b);
		break;
	case DW_TAG_array_type: {
		members_type(type, &of);
		size_t n = members_size(type) / members_size(&of);
		for (size_t i = 0; i < n; i++)
			members_walk(m, &of, path, (char *)a + i * members_size(&of),
				     b ? (char *)b + i * members_size(&of) : NULL);
		break;
	}
	case DW_TAG_pointer_type: {
		char **x = a, **y = b;

		members_type(type, &of);
		if (members_is(&of, "char") && m->fill) {
			*x = members_string(m);
		} else if (members_is(&of, "arch")) {
			if (m->fill)
				*(const struct arch **)a = arch_host();
			else
				members_differ(m, path, a, b, sizeof(char *));
		} else if (!members_is(&of, "char")) {
			fprintf(stderr, "%s: a pointer to what?\n", path);
			m->differences++;
		} else if (!*x || !*y ? *x != *y : strcmp(*x, *y) != 0) {
			m->differences++;
			fprintf(stderr, "%s: \"%s\"/\"%s\"\n", path, *x ? *x : "(null)",
				*y ? *y : "(null)");
		}
		break;
	}
	default:
		fprintf(stderr, "%s: tag 0x%x is not known\n", path, (unsigned)dwarf_tag(type));
		m->differences++;
	}
}

/* The type of struct NAME; false when this program has no debug information. */
static bool members_find(Dwarf *dwarf, const char *name, Dwarf_Die *ret)
{
	Dwarf_Off off = 0, next;
	size_t head;

	for (; !dwarf_nextcu(dwarf, off, &next, &head, NULL, NULL, NULL); off = next) {
		Dwarf_Die cu, die;

		if (!dwarf_offdie(dwarf, off + head, &cu) || dwarf_child(&cu, &die))
			continue;
		do {
			if (dwarf_tag(&die) == DW_TAG_structure_type && members_is(&die, name) &&
			    dwarf_haschildren(&die)) {
				*ret = die;
				return true;
			}
		} while (!dwarf_siblingof(&die, &die));
	}
	return false;
}

static Dwarf *members_open(void)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	/* libdw keeps the descriptor until dwarf_end(). */
	return fd < 0 ? NULL : dwarf_begin(fd, DWARF_C_READ);
}

#endif
