/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_ANALYSE_NAMES_H
#define PCATCH_ANALYSE_NAMES_H

#include "../arena.h"

/*
 * Names and paths of functions, each kept once: a stack of twenty thousand calls of one function
 * costs its name once. They come from files and memory that anybody may have made, so they are
 * made clean (buf_clean) on the way in.
 */
struct names {
	struct arena *arena; /* borrowed; the strings live in it */
	char **table;	     /* open hashing; owned */
	size_t size, n;
};

void names_init(struct names *names, struct arena *arena);
void names_deinit(struct names *names);

/* The one copy of S, cleaned and cut at 4096 bytes; NULL when there is no memory. */
char *names_add(struct names *names, const char *s) __attribute__((warn_unused_result));

#endif
