/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_CAPTURE_ENDING_H
#define PCATCH_CAPTURE_ENDING_H

#include "../walk/pyend.h"
#include "capture.h"

/*
 * How a Python process is seen before it ends: by the time that it exits the interpreter has taken
 * itself down, with its frames and its exception. Breakpoints at the functions that do it stop
 * the process a moment earlier, and what is captured there is the scene of its end.
 */
struct ending {
	struct snapshot *scene;	/* NULL: none yet */
	bool aborted;		/* it is of a SIGABRT that was handled, not of Python's end */
	bool gone;		/* the interpreter of the scene had been taken down at the death */
	bool armed;
	int64_t kept; /* CLOCK_MONOTONIC */
	bool costly;		/* there was one, and it cost too much; it was... */
	taddr at[PY_FINALIZERS]; /* ... here; 0: not */
	int64_t counted;	/* CLOCK_MONOTONIC, when its threads had been ... */
	uint64_t switches;	/* ... switched to so often */
	int64_t asked;		/* CLOCK_MONOTONIC, when it was asked to end; 0: never */
	char *why;		/* why there is no breakpoint; NULL: no reason is known */
	const char *remedy;
};

void ending_deinit(struct ending *ending);

/*
 * PROCESS has begun to execute a new program: stop it once more when its libraries are there and
 * nothing of it has run. What cannot be had is kept for ending_settle().
 */
struct error *ending_new_program(struct ending *ending, struct traced *process)
	__attribute__((warn_unused_result));

/*
 * PROCESS has been forked by PARENT and is the same program at the same addresses: set the
 * breakpoints that PARENT has, without looking for them.
 */
struct error *ending_forked(struct ending *ending, struct traced *process,
			    const struct traced *parent) __attribute__((warn_unused_result));

/*
 * Set the breakpoints at what LOOK found, unless they are there already. The kernel loads the debug
 * registers each time that it switches to a thread: where it does that so often that they would cost
 * a hundredth of the program's speed, they are taken away instead, until a look finds it calmer,
 * unless they are to be there at ANY_COST.
 */
struct error *ending_arm(struct ending *ending, struct traced *process, struct look *look,
			 bool any_cost)
	__attribute__((warn_unused_result));

/* PROCESS has been asked to end: for a while the breakpoints are worth what they cost. */
struct error *ending_asked(struct ending *ending, struct traced *process)
	__attribute__((warn_unused_result));

/* There is to be no breakpoint. */
struct error *ending_unwanted(struct ending *ending) __attribute__((warn_unused_result));

/*
 * PROCESS is at BREAKPOINT. True: an interpreter is about to be taken down, capture it; else there
 * is nothing more to do than to resume it.
 */
struct error *ending_reached(struct ending *ending, struct traced *process,
			     struct breakpoint *breakpoint, bool *finalizing_ret)
	__attribute__((warn_unused_result));

/* LOOK's capture is the scene; LOOK is left empty, to be taken anew. */
struct error *ending_keep(struct ending *ending, struct look *look)
	__attribute__((warn_unused_result));

/* The process may be about to end: note whether the interpreter of the scene is gone. */
void ending_foreseen(struct ending *ending, const struct traced *process);

/*
 * PROCESS is still there. When it has lived on for long without the interpreter of the scene, that was
 * not its end, and the scene is let go of.
 */
void ending_passed(struct ending *ending, const struct traced *process);

/*
 * SNAPSHOT is that of the death, its death filled in. Put the scene into it when that shows what
 * led to the death, or say why there is none although there should be.
 */
struct error *ending_settle(struct ending *ending, const struct traced *process,
			    struct snapshot *snapshot) __attribute__((warn_unused_result));

#endif
