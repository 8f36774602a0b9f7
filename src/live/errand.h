/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_LIVE_ERRAND_H
#define PCATCH_LIVE_ERRAND_H

#include <stdbool.h>
#include <stdint.h>

#include "../error.h"

/*
 * Work on a process that may never come back: a page of it that waits for a file server or for
 * userfaultfd, a lock that it holds. It is done by a thread of its own, so that the one that
 * holds the process can let it go in time: only that one can.
 *
 * What may block is put between errand_may_block() and errand_came_back(). Between them nothing
 * is written that somebody else looks at, but for the bytes that are being read. So an errand that
 * is stuck can be given up with everything around it in order; when it ever comes back, its
 * thread ends without touching anything more.
 */
struct errand;

/* A thread that waits for work, with the calling one's scheduling. */
struct error *errand_create(struct errand **ret) __attribute__((warn_unused_result));

/* Ends the thread, or forgets it when it was given up. */
void errand_destroy(struct errand *errand);

static inline void errand_destroyp(struct errand **errand)
{
	errand_destroy(*errand);
}

/* It will be needed in some microseconds: be awake. */
void errand_prepare(struct errand *errand);

/*
 * Do WORK(ARG). After DEADLINE (CLOCK_MONOTONIC nanoseconds) nothing is begun that may block. One
 * at a time.
 */
void errand_start(struct errand *errand, void (*work)(void *), void *arg, int64_t deadline);

/* Wait for it, until UNTIL at most. False: not done yet. */
bool errand_wait(struct errand *errand, int64_t until);

/*
 * Wait for what does not block, and give up the rest. NULL: it was done after all. Otherwise what
 * it is stuck in: memory that it was given must then never be freed, nor used for anything else.
 */
const char *errand_give_up(struct errand *errand);

/*
 * The calling thread is about to do what may block: WHAT, a string that nobody frees. False, with
 * errno ETIME, when it is too late for that. Outside of an errand both do nothing. They nest.
 */
bool errand_may_block(const char *what);

/* errno is kept. */
void errand_came_back(void);

#endif
