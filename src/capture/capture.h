/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_CAPTURE_CAPTURE_H
#define PCATCH_CAPTURE_CAPTURE_H

#include "../live/tracer.h"
#include "../target/snapshot.h"
#include "../walk/image.h"

/* How long a process may be held while it is copied; then it is let go with what there is. */
#define CAPTURE_BUDGET INT64_C(1000000000)

struct bulk_options;

struct capture_options {
	bool redact;
	bool locals;	     /* of Python frames, too */
	int lines;	     /* of each log file */
	const strings *logs; /* files named by the user; borrowed */
	const struct bulk_options *bulk; /* the whole memory is wanted; NULL: it is not */
};

/*
 * What is known of a process before anything happens to it, so that little is left to do while
 * it is held: its maps, its modules' files (held open: they may be gone from the disk when they
 * are needed), where its Python interpreter is. A capture completes the snapshot in it.
 */
struct look {
	struct snapshot snapshot;
	struct images images;
	bool taken;
};

/*
 * Look at PROCESS, or look again: a no-op when the same modules are mapped as before. What is
 * not readable becomes a gap in the snapshot. ERROR_GONE when the process has ended. KNOWN (may be
 * NULL) is where the interpreter was found before and need not be searched for.
 */
struct error *look_take(struct look *look, const struct traced *process, bool redact,
			const struct python_hint *known)
	__attribute__((warn_unused_result));
void look_deinit(struct look *look);

/* Bring a look up to date that was taken: cheap when the same memory is mapped as before. */
struct error *look_update(struct look *look, const struct traced *process)
	__attribute__((warn_unused_result));

/* FROM as it is, its strings in ARENA: a forked process has its interpreter where its parent has. */
struct error *look_copy_hint(struct arena *arena, const struct python_hint *from,
			     struct python_hint *to) __attribute__((warn_unused_result));

/* After look_update() was given up in the middle: what was known before still holds. */
struct error *look_repair(struct look *look) __attribute__((warn_unused_result));

/* Why a capture is made: it decides who is stopped how, and what is looked at first. */
enum capture_reason {
	CAPTURE_SIGNAL,	  /* `tracee` is about to take a signal that ends the process */
	CAPTURE_EXIT,	  /* the process is ending; its threads come to their exit stops */
	CAPTURE_FINALIZING, /* `tracee` is about to take the Python interpreter down */
	CAPTURE_ON_DEMAND, /* it lives on */
	CAPTURE_CORE,	   /* the kernel holds it for its core, which has the registers */
};

struct capture {
	enum capture_reason reason;
	struct tracee *tracee; /* SIGNAL, FINALIZING: at its stop; EXIT: the first to come; ON_DEMAND: NULL */
	struct signal_info info;
	const struct capture_options *options;
	const char *no_bulk; /* why the whole memory is not for this capture; NULL: it is */
	const struct snapshot *core; /* CORE: threads, death */
};

/*
 * Hold PROCESS (which at FINALIZING runs on: its end is yet to come), copy what a report needs into LOOK's snapshot, let it go again, and finish what
 * needs no holding. Sets death.tid, death.info, death.first_chance, death.sender and the times;
 * what ended the process is told by its wait status later. Never fails because of the target:
 * that is gaps.
 */
struct error *capture_take(struct look *look, struct tracer *tracer, struct traced *process,
			   const struct capture *capture) __attribute__((warn_unused_result));

#endif
