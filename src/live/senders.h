/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_LIVE_SENDERS_H
#define PCATCH_LIVE_SENDERS_H

#include <stdbool.h>

#include "../target/snapshot.h"

/*
 * Who sends signals to the processes that are watched, from the kernel's own records: the
 * tracepoint signal:signal_generate on every CPU, filtered there, with the names and parents of
 * all processes beside it. A thread of its own takes the records out and looks the sender up at
 * once: a kill command has ended a moment later. Where there is no right to listen, everything
 * here works and finds nothing, and senders_gap() says why.
 */

struct senders;

/* What the kernel said of a signal when it was sent. */
struct sent {
	int64_t at; /* nanoseconds since the epoch */
	int signo, code;
	bool group; /* to the process, not to one of its threads */
	enum {
		SENT_DELIVERED,
		SENT_IGNORED, /* also: the process was dying already */
		SENT_PENDING, /* one was waiting already */
		SENT_LOST,    /* no room for it */
		SENT_WITHOUT_INFO, /* delivered, but its siginfo was lost */
	} result;
	struct sender sender;
};

typedef LIST(struct sent) sents;

/*
 * CHILDREN: processes not known yet may turn out to be watched, so their signals are kept too.
 * KERNEL_KILLED, unless it is NULL, is called in the thread as soon as the kernel itself has sent a
 * SIGKILL to anybody, as the OOM killer does: before anything else is done that may take memory.
 */
struct error *senders_create(bool children, void (*kernel_killed)(void), struct senders **ret)
	__attribute__((warn_unused_result));
void senders_destroy(struct senders *senders);

/* Signals to PID are of interest from now on; no longer. Without memory it stays unknown. */
void senders_watch(struct senders *senders, pid_t pid);
void senders_forget(struct senders *senders, pid_t pid);

/* ... and of this one also those that programs use among themselves too often to listen for all. */
void senders_watch_closely(struct senders *senders, pid_t pid);

/* Why it is not listened, NULL when it is. Borrowed. */
const struct gap *senders_gap(const struct senders *senders);

/* Records that the kernel had no room for; who sent a signal may have been among them. */
uint64_t senders_lost(struct senders *senders);

/*
 * Every signal kept that was sent to PID since SINCE, oldest first, relations being those to
 * TARGET. Waits for senders that are being looked up, no longer than two seconds.
 */
struct error *senders_collect(struct senders *senders, pid_t pid, int64_t since,
			      const struct process *target, struct arena *arena, sents *ret)
	__attribute__((warn_unused_result));

#endif
