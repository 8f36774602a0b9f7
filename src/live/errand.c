/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "errand.h"

#include <errno.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tracer.h"

// A short hold is over before a sleeping thread would have been woken.
#define SPIN INT64_C(300000)
// How often one that computes, after its time was up, is looked at.
#define LATE_SLICE INT64_C(5000000)

enum state {
	IDLE,
	PREPARED, // spin, work comes at once
	WORKING,
	AT_RISK, // in something that may not come back
	DONE,
	GIVEN_UP,
	QUIT,
};

struct errand {
	_Atomic int state;
	pthread_mutex_t mutex; // for sleeping only
	pthread_cond_t changed;
	pthread_t thread;
	void (*work)(void *);
	void *arg;
	int64_t deadline;
	const char *what;
	unsigned depth;
	struct errand *next; // of those that were given up
};

// They stay, since each is looked at when it comes back.
static struct errand *given_up;

#ifdef __has_feature
#define HAS_FEATURE(x) __has_feature(x)
#else
#define HAS_FEATURE(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || HAS_FEATURE(address_sanitizer)
// LeakSanitizer stops all threads before it looks: for ever, when one of them cannot be stopped.
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return given_up != NULL;
}
#endif

static __thread struct errand *mine;

static void set_state(struct errand *e, int state)
{
	pthread_mutex_lock(&e->mutex);
	atomic_store(&e->state, state);
	pthread_cond_signal(&e->changed);
	pthread_mutex_unlock(&e->mutex);
}

// On one processor the other thread has to get its turn.
static bool spin_while(struct errand *e, int first, int second)
{
	int64_t end = monotonic_now() + SPIN;
	int state;

	while ((state = atomic_load(&e->state)) == first || state == second) {
		if (monotonic_now() >= end)
			return false;
		sched_yield();
	}
	return true;
}

static void *errand_thread(void *arg)
{
	struct errand *e = mine = arg;

	for (;;) {
		pthread_mutex_lock(&e->mutex);
		while (atomic_load(&e->state) == IDLE || atomic_load(&e->state) == DONE)
			pthread_cond_wait(&e->changed, &e->mutex);
		pthread_mutex_unlock(&e->mutex);
		if (!spin_while(e, PREPARED, PREPARED)) {
			int prepared = PREPARED;

			atomic_compare_exchange_strong(&e->state, &prepared, IDLE);
			continue;
		}
		if (atomic_load(&e->state) == QUIT)
			return NULL;
		e->work(e->arg);
		set_state(e, DONE);
	}
}

struct error *errand_create(struct errand **ret)
{
	struct errand *e = calloc(1, sizeof(*e));
	pthread_condattr_t attr;

	if (!e)
		return error_nomem();
#ifdef __GLIBC__
	// One of us waits while the other works: a heap for each would be memory for nothing.
	mallopt(M_ARENA_MAX, 1);
#endif
	pthread_mutex_init(&e->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&e->changed, &attr);
	pthread_condattr_destroy(&attr);
	int errnum = pthread_create(&e->thread, NULL, errand_thread, e);
	if (errnum) {
		free(e);
		return error_errno(errnum, "cannot start a thread");
	}
	*ret = e;
	return NULL;
}

void errand_destroy(struct errand *errand)
{
	if (!errand)
		return;
	if (atomic_load(&errand->state) == GIVEN_UP) {
		errand->next = given_up;
		given_up = errand;
		return;
	}
	set_state(errand, QUIT);
	pthread_join(errand->thread, NULL);
	pthread_cond_destroy(&errand->changed);
	pthread_mutex_destroy(&errand->mutex);
	free(errand);
}

void errand_prepare(struct errand *errand)
{
	// Saying it again costs nothing while it is awake.
	if (atomic_load(&errand->state) != PREPARED)
		set_state(errand, PREPARED);
}

void errand_start(struct errand *errand, void (*work)(void *), void *arg, int64_t deadline)
{
	errand->work = work;
	errand->arg = arg;
	errand->deadline = deadline;
	errand->depth = 0;
	set_state(errand, WORKING);
}

bool errand_wait(struct errand *errand, int64_t until)
{
	struct timespec ts = { .tv_sec = until / 1000000000, .tv_nsec = until % 1000000000 };

	if (spin_while(errand, WORKING, AT_RISK))
		return true;
	pthread_mutex_lock(&errand->mutex);
	while (atomic_load(&errand->state) != DONE &&
	       pthread_cond_timedwait(&errand->changed, &errand->mutex, &ts) == 0)
		;
	pthread_mutex_unlock(&errand->mutex);
	return atomic_load(&errand->state) == DONE;
}

const char *errand_give_up(struct errand *errand)
{
	for (;;) {
		int at_risk = AT_RISK;

		if (errand_wait(errand, monotonic_now() + LATE_SLICE))
			return NULL;
		if (atomic_compare_exchange_strong(&errand->state, &at_risk, GIVEN_UP))
			return errand->what;
	}
}

bool errand_may_block(const char *what)
{
	struct errand *e = mine;

	if (!e)
		return true;
	if (!e->depth && monotonic_now() >= e->deadline) {
		errno = ETIME;
		return false;
	}
	if (e->depth++)
		return true;
	e->what = what;
	atomic_store(&e->state, AT_RISK);
	return true;
}

void errand_came_back(void)
{
	struct errand *e = mine;
	int at_risk = AT_RISK;

	if (!e || --e->depth)
		return;
	// What was given up is not ours any more. The thread's own end must not run code of libc's,
	// which may want memory; its stack and E stay.
	while (!atomic_compare_exchange_strong(&e->state, &at_risk, WORKING))
		syscall(SYS_exit, 0);
}
