/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_LIVE_BREAKPOINT_H
#define PCATCH_LIVE_BREAKPOINT_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../error.h"
#include "../target/mem.h"

/*
 * An address at which a traced process comes to a stop before the instruction there is executed:
 * a perf event on one of the processor's debug registers, whose overflow sends a signal that is
 * ignored by default. A tracee stops for that as for any signal and goes on without it. Nothing
 * is written into the target, and our death at any moment does nothing to it: the kernel takes
 * the event away with us, and the signal that nobody suppresses any more is ignored.
 */
struct breakpoint {
	bool set;
	int fd;
	taddr at;
	int signo;     /* the signal that a hit is told by */
	uint64_t hits; /* as many as were told of */
};

/*
 * Set a breakpoint at AT in the process of which PID is the first thread, and in the threads that
 * it will make; processes that it forks and programs that it executes have none. ERROR_DENIED or
 * ERROR_UNSUPPORTED say why that cannot be had, *REMEDY_RET (which may be NULL) what would help;
 * ERROR_GONE: the process has ended.
 */
struct error *breakpoint_set(struct breakpoint *breakpoint, pid_t pid, taddr at,
			     const char **remedy_ret) __attribute__((warn_unused_result));

void breakpoint_clear(struct breakpoint *breakpoint);

/* Is SI, the siginfo of a stop for signo, that of a hit? Each is told of once. */
bool breakpoint_was_hit(struct breakpoint *breakpoint, const siginfo_t *si);

/* Hits that no stop has told of: the signal was kept back, or went to nobody. */
bool breakpoint_was_missed(const struct breakpoint *breakpoint);

#endif
