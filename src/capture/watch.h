/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_CAPTURE_WATCH_H
#define PCATCH_CAPTURE_WATCH_H

#include "capture.h"

/*
 * Watching processes until they end: every signal and every end is judged here by what the
 * kernel says about it, and the capture is made when it is the last chance.
 */

enum stop_python {
	STOP_AUTO,  /* where that does not cost a hundredth of its speed */
	STOP_NEVER,
	STOP_ALWAYS,
};

struct watch_options {
	struct capture_options capture;
	bool children;	     /* follow what the process starts */
	bool senders;	     /* listen to who sends signals */
	enum stop_python stop_python; /* as it begins to take itself down */
	const char *pidfile; /* NULL: none */
	double sample;	     /* seconds between two looks at the process, 0: no samples */
	sigset_t signals;    /* our own, to be told of by WATCH_OWN_SIGNAL */
};

struct watch;

enum watch_kind {
	WATCH_REPORT,	   /* somebody ended: snapshot, to be deinitialised and freed by the caller */
	WATCH_STARTED,	   /* the program given to watch_spawn() is running */
	WATCH_NOT_STARTED, /* it could not be: errnum */
	WATCH_OWN_SIGNAL,  /* own_signal */
	WATCH_STOPPED,	   /* the named process was stopped by job control (signo) */
	WATCH_NAMED_ENDED, /* the named process itself ended: status. Its report came before, or comes */
	WATCH_DONE,	   /* nobody is left to watch */
};

struct watch_news {
	enum watch_kind kind;
	struct snapshot *snapshot;
	siginfo_t own_signal;
	int errnum, signo, status;
};

/* OPTIONS is borrowed. All calls come from one thread. */
struct error *watch_create(const struct watch_options *options, struct watch **ret)
	__attribute__((warn_unused_result));

/* Lets go of everything that still runs. */
void watch_destroy(struct watch *watch);

static inline void watch_destroyp(struct watch **watch)
{
	watch_destroy(*watch);
}

/* Watch process PID (with `children`, its descendants too), or start ARGV. One of them, once. */
struct error *watch_attach(struct watch *watch, pid_t pid) __attribute__((warn_unused_result));
struct error *watch_spawn(struct watch *watch, char *const argv[], pid_t *ret)
	__attribute__((warn_unused_result));

/* Hand a signal that was sent to us on to the spawned process, unless it gets it by itself. */
void watch_relay(struct watch *watch, const siginfo_t *si);

/* Wait for the next thing worth telling. */
struct error *watch_next(struct watch *watch, struct watch_news *ret)
	__attribute__((warn_unused_result));

/* A report on the attached process, which lives on and is then let go. */
struct error *watch_snapshot(struct watch *watch, struct snapshot **ret)
	__attribute__((warn_unused_result));

#endif
