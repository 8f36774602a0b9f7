/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_CAPTURE_WITNESS_H
#define PCATCH_CAPTURE_WITNESS_H

#include "../live/cgroup.h"
#include "../live/kmsg.h"
#include "../live/tracer.h"
#include "../target/snapshot.h"

/*
 * What the machine says about memory and about an end: the kernel's log, and counts that are read
 * before anything happens and again afterwards. None of it is asked while a process is held.
 */

struct witness {
	struct kmsg *kmsg;
	struct cgroup_tree tree;
	int vmstat_fd;
	LIST(struct witness_group *) groups; /* in `arena`, as are they; the processes of one share it */
	struct arena arena;
};

/* How things stood around one process at the last look at it; all zero: there was none. */
struct witness_before {
	bool taken;
	const struct witness_group *group; /* NULL: unknown */
	struct cgroup_events events[CGROUP_LEVELS];
	int64_t machine_kills;
	int others;
	bool shares_limit; /* pcatch's own memory is counted with its, against a limit */
	int64_t next_path; /* CLOCK_MONOTONIC: when its cgroup is to be asked for again */
};

struct error *witness_init(struct witness *witness) __attribute__((warn_unused_result));
void witness_deinit(struct witness *witness);

/*
 * Look how things stand around PROCESS, in place of an earlier look. One that is being killed leaves
 * BEFORE as it was: the OOM killer counts first and kills then.
 */
void witness_look(struct witness *witness, const struct traced *process,
		  struct witness_before *before);

/* The cgroup that it was in at the last look; NULL: unknown. */
const char *witness_path(const struct witness_before *before);

/*
 * After the end, and after it was let go: how things stand now, compared with BEFORE, and what the
 * kernel's log says, are put into SNAPSHOT. KILLED: it was SIGKILL. CONCERNS is for what is read
 * from the log on this occasion; it may be of any process under watch.
 */
struct error *witness_tell(struct witness *witness, const struct witness_before *before, bool killed,
			   kmsg_concerns *concerns, const void *data, struct snapshot *snapshot)
	__attribute__((warn_unused_result));

#endif
