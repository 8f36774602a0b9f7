/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_RENDER_LIMITS_H
#define PCATCH_RENDER_LIMITS_H

#include "../analyse/findings.h"

/* A line of /proc/PID/limits. */
struct limit {
	char *name;	    /* "Max open files"; clean */
	int64_t soft, hard; /* -1: unlimited */
	char *unit;	    /* "files"; "" when it has none; clean */
};

typedef LIST(struct limit) limit_list;

/* What the process's limits say; empty when they could not be had. Lives in ARENA. */
struct error *limits_parse(const struct process *process, struct arena *arena, limit_list *ret)
	__attribute__((warn_unused_result));

/* NULL when there is no limit of that name. */
const struct limit *limits_find(const limit_list *list, const char *name);

#endif
