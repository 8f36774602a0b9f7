/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_STORE_SHELF_H
#define PCATCH_STORE_SHELF_H

#include "file.h"

/*
 * The reports in a folder. A report is all files COMM-PID-YYYYMMDDTHHMMSSZ[-N].SUFFIX of one
 * name; what does not look like that, and what is no regular file, is nobody's business here.
 */

#define SHELF_MAX_REPORTS 100000

struct shelf_report {
	char *name, *comm;
	pid_t pid;
	int64_t time;	/* of the end, nanoseconds since the epoch, as the name has it */
	uint64_t bytes; /* of all its files, without their holes */
	uint64_t core_bytes; /* of its core files among them */
	strings suffixes; /* without the dot */
	/* From the digest in the dump; NULL: there is none. */
	char *cause, *summary, *signature;
	size_t group;
	/* By shelf_choose(): all of it, or its core files alone. */
	bool chosen, cores_chosen;
};

/* Reports of one cause with one signature. */
struct shelf_group {
	char *cause, *signature; /* NULL: unknown */
	size_t n;
	int64_t first, last; /* times */
};

struct shelf {
	struct arena arena;
	LIST(struct shelf_report) reports; /* oldest first */
	LIST(struct shelf_group) groups;   /* that of the newest report first */
	uint64_t bytes;
	bool cut; /* SHELF_MAX_REPORTS was met */
};

/* What cannot be read of a single report is left NULL. */
struct error *shelf_read(const struct store *store, struct shelf *ret)
	__attribute__((warn_unused_result));
void shelf_deinit(struct shelf *shelf);

/* 0: no bound. */
struct shelf_bounds {
	uint64_t reports, bytes;
	int64_t age; /* nanoseconds */
};

/*
 * Choose what must go so that the rest keeps within BOUNDS at time NOW: whatever is too old; for too many
 * bytes, the core files of the oldest; then the oldest report of the largest group again and again, so
 * that what happened once is kept longer than what happens daily. The newest report always stays, and
 * its core files do not count. Returns of how many reports something was chosen.
 */
size_t shelf_choose(struct shelf *shelf, const struct shelf_bounds *bounds, int64_t now);

/* Remove the chosen files of a report, its dump last, so that one half removed is still a report. */
struct error *shelf_remove(const struct store *store, const struct shelf_report *report)
	__attribute__((warn_unused_result));

#endif
