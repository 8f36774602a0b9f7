/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_LIVE_KMSG_H
#define PCATCH_LIVE_KMSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../target/snapshot.h"

/*
 * The kernel's log, followed from a moment on, since its ring forgets. Only what the kernel itself
 * said is kept (anybody with the right may write there too, in another facility's name), and of that
 * lines about processes that are watched and whole reports of the OOM killer.
 */

#define KMSG_RECORD 8192 /* no record is longer (CONSOLE_EXT_LOG_MAX) */

struct kmsg;

/*
 * Does a line about the task PID (in the initial namespace's numbers), named COMM, matter? COMM_LEN
 * is 0 when the line does not name it.
 */
typedef bool kmsg_concerns(const void *data, pid_t pid, const char *comm, size_t comm_len);

/*
 * Begin to follow the log at PATH, NULL for /dev/kmsg, at its end. RET is there also when it may not
 * be read: what stands in the way is then kept for kmsg_copy().
 */
struct error *kmsg_create(const char *path, struct kmsg **ret) __attribute__((warn_unused_result));
void kmsg_destroy(struct kmsg *kmsg);

/* Read what has come, a bounded amount; keep what CONCERNS says of. Without memory, lines are lost and counted. */
void kmsg_read(struct kmsg *kmsg, kmsg_concerns *concerns, const void *data);

/* Wait for more to come until DEADLINE (CLOCK_MONOTONIC); false: nothing came. */
bool kmsg_wait(const struct kmsg *kmsg, int64_t deadline);

/* One record as read() gives it; kmsg_read() in small steps. */
void kmsg_take(struct kmsg *kmsg, const char *record, size_t len, kmsg_concerns *concerns,
	       const void *data);

/*
 * Put into SNAPSHOT the lines that CONCERNS says of, and the reports of the OOM killer that struck one of
 * those, or one of the same cgroup or for want of the machine's memory; and the gaps.
 */
struct error *kmsg_copy(const struct kmsg *kmsg, kmsg_concerns *concerns, const void *data,
			struct snapshot *snapshot) __attribute__((warn_unused_result));

/* An OOM kill of a task that CONCERNS says of has been read. */
bool kmsg_has_kill(const struct kmsg *kmsg, kmsg_concerns *concerns, const void *data);

#endif
