/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_LIVE_CENSUS_H
#define PCATCH_LIVE_CENSUS_H

#include <stdint.h>
#include <sys/types.h>

#include "perf.h"

/*
 * Names and parents of processes that may be gone by the time somebody asks, from the kernel's
 * records of forks and of new names. Bounded: the newest of pids that are CENSUS_SIZE apart stays.
 */

#define CENSUS_SIZE 4096

struct census {
	struct census_entry {
		pid_t pid, parent; /* parent 0: it was there before us */
		int64_t born, named;
		char comm[16]; /* "": as its parent's, which was there before us */
	} v[CENSUS_SIZE];
};

/* Take note of a COMM or FORK record; others, and threads, are none of its business. */
void census_note(struct census *census, const struct perf_record *record);

/* NULL: nothing is known of PID. */
const struct census_entry *census_find(const struct census *census, pid_t pid);

#endif
