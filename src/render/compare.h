/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_RENDER_COMPARE_H
#define PCATCH_RENDER_COMPARE_H

#include "../analyse/findings.h"

/*
 * What differs between two reports, in words: "it dies as a daemon and not in the foreground".
 * Only what outlives a run is compared: pids, addresses, times and inode numbers always differ.
 */

/* In the order in which they explain most. */
enum area {
	AREA_END,
	AREA_COMMAND,
	AREA_USER,
	AREA_TERMINAL,
	AREA_SIGNALS,
	AREA_LIMITS,
	AREA_CGROUP,
	AREA_ENVIRONMENT,
	AREA_PYTHON,
	AREA_MODULES,
	AREA_TIMELINE,
	AREA_HOST,
	AREAS, /* how many there are */
};

struct difference {
	enum area area;
	char *what;  /* "working folder" */
	char *a, *b; /* NULL: there is none in that report */
};

struct comparison {
	struct arena arena;
	LIST(struct difference) differences; /* by area */
	size_t compared[AREAS];		     /* how many things were looked at in each */
	gaps gaps;			     /* what could not be compared */
};

struct error *compare(const struct findings *a, const struct findings *b, struct comparison *ret)
	__attribute__((warn_unused_result));
void comparison_deinit(struct comparison *comparison);

/* "terminal and session": a heading; "terminal": for a program. */
const char *area_title(enum area area);
const char *area_name(enum area area);

#endif
