/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_LIVE_CENSUS_H
#define PCATCH_LIVE_CENSUS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../target/snapshot.h"
#include "perf.h"
#include "procfs.h"

/*
 * Names, parents and pid namespaces of processes that may be gone by the time somebody asks, from
 * the kernel's records of forks, ends and new names. They may be noted in any order: each CPU
 * has its own. Bounded: the newest of pids that are CENSUS_SIZE apart stays.
 */

#define CENSUS_SIZE 4096

/* So many of the last threads that ended are remembered. */
#define CENSUS_ENDS 1024

struct census {
	struct {
		pid_t tid;
		int64_t at;
	} ends[CENSUS_ENDS]; /* a ring */
	unsigned n_ends; /* ever */
	struct census_entry {
		pid_t pid, parent; /* parent 0: it was there before us, and has not ended */
		int64_t born, named;
		int64_t seen; /* in `inode` */
		uint64_t inode; /* of its pid namespace; 0: unknown */
		char comm[16]; /* "": as its parent's, which was there before us */
	} v[CENSUS_SIZE];
};

/*
 * Take note of a COMM, FORK, EXIT or NAMESPACES record; others are none of its business, and
 * neither are threads but for their end.
 */
void census_note(struct census *census, const struct perf_record *record);

/* The thread TID had begun to end by the time AT, or a moment before. */
bool census_had_ended(const struct census *census, pid_t tid, int64_t at);

/* NULL: nothing is known of PID. */
const struct census_entry *census_find(const struct census *census, pid_t pid);

/*
 * Put in what SENDER and its ancestors lack: names, and who was above the last of them; and in the
 * place of one that has adopted an orphan who had forked it. ASK: of those that are found so /proc may
 * be asked for more. Want of memory shortens the list.
 */
void census_complete(const struct census *census, bool ask, struct arena *arena, struct sender *sender);

#endif
