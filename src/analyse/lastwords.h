/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_ANALYSE_LASTWORDS_H
#define PCATCH_ANALYSE_LASTWORDS_H

#include "../walk/image.h"
#include "findings.h"

/* The frames of Py_FatalError() in the dying thread's stack. */
struct fatal_frames {
	taddr from, to;
	const char *name; /* of the outermost; NULL: there are none */
};

/*
 * Set the fault's message and its source to what a process that aborted has left in memory: the
 * text of a failed assertion or of malloc's complaint, what C++ threw and nobody caught, what
 * Py_FatalError() was told. What looks like a secret is replaced, unless that was not wanted.
 */
struct error *last_words_from_memory(struct findings *findings, struct images *images,
				     const struct fatal_frames *fatal)
	__attribute__((warn_unused_result));

/* If it has none yet, to what it wrote into a log. */
struct error *last_words_from_logs(struct findings *findings) __attribute__((warn_unused_result));

#endif
