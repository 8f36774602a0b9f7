/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_TARGET_LINKMAP_H
#define PCATCH_TARGET_LINKMAP_H

#include "snapshot.h"

/*
 * The dynamic linker's list of what it has loaded, found as debuggers find it: program headers by
 * AT_PHDR, the main program's .dynamic, DT_DEBUG, struct r_debug. Each page that is read here has
 * to be in a core file, or no debugger can name a shared library in it.
 */
struct link_map_list {
	taddr dynamic; /* of the main program; 0: it could not be had */
	uint8_t *dynamic_bytes;
	size_t dynamic_len;
	uint32_t version; /* of struct r_debug */
	taddr brk, base;  /* its r_brk and r_ldbase */
	LIST(struct linked {
		taddr bias, dynamic; /* l_addr, l_ld */
		char *name;	     /* as the target has it, not clean */
	}) objects;
};

/*
 * Read it through MEM, with AUXV as the kernel gives it. What is missing or broken cuts it short,
 * as do 4096 objects; a static program has none. Everything is in ARENA.
 */
struct error *link_map_read(const struct mem *mem, const struct bytes *auxv, struct arena *arena,
			    struct link_map_list *ret) __attribute__((warn_unused_result));

#endif
