/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_LIVE_RELAY_H
#define PCATCH_LIVE_RELAY_H

#include <signal.h>

#include "../target/snapshot.h"

/*
 * Signals sent to `pcatch run` are meant for its child. Those that the terminal sends go to the
 * whole foreground group, so the child has them already; so do those that somebody sends to the
 * whole process group, which look like any other: such a one is held back for a moment, and
 * dropped when the child is seen to get it from the same sender.
 */

#define RELAY_MAX 32

struct relay {
	pid_t to;
	struct relay_item {
		int signo, code;
		pid_t pid;     /* who sent it to us */
		uint64_t value;
		int64_t at;    /* CLOCK_MONOTONIC */
		bool waiting;  /* not yet passed on */
		bool passed;
		struct sender sender; /* looked up when it came; strings on the relay's arena */
	} items[RELAY_MAX];  /* a ring of the newest */
	unsigned next;
	struct {
		int signo;
		pid_t pid;
		int64_t at;
	} seen[RELAY_MAX]; /* what the child got from others, newest last */
	unsigned next_seen;
	struct arena arena;
};

void relay_init(struct relay *relay, pid_t to);
void relay_deinit(struct relay *relay);

/* A signal came to us. */
void relay_take(struct relay *relay, const struct process *child, const siginfo_t *si);

/* The child is about to get a signal from PID. */
void relay_saw(struct relay *relay, int signo, pid_t pid);

/* Pass on what is due; returns when to call again (CLOCK_MONOTONIC), INT64_MAX for never. */
int64_t relay_pass(struct relay *relay);

/* Who sent the signal SIGNO that we passed on, NULL when we did not. Good until the next take. */
const struct sender *relay_origin(const struct relay *relay, int signo);

#endif
