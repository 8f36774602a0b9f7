/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_WALK_SEEN_H
#define PCATCH_WALK_SEEN_H

#include "../error.h"
#include "../target/mem.h"

/*
 * A set of addresses with a number for each: whatever is linked into a list must not come twice,
 * and what many point to is read once. All zero is empty.
 */
struct seen {
	struct seen_entry {
		taddr at; /* 0: free */
		uint32_t value;
	} *v;
	size_t size, n; /* size is 0 or a power of two */
};

void seen_deinit(struct seen *seen);

/* The number of AT, NULL when it is not there; good until the next seen_add(). */
const uint32_t *seen_find(const struct seen *seen, taddr at);

/* Add AT, which is not 0 and not there yet. */
struct error *seen_add(struct seen *seen, taddr at, uint32_t value)
	__attribute__((warn_unused_result));

#endif
