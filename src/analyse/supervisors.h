/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_ANALYSE_SUPERVISORS_H
#define PCATCH_ANALYSE_SUPERVISORS_H

#include "../target/snapshot.h"

/*
 * Programs whose job it is to start, watch and stop others, and what their signals usually mean.
 * That is their habit and no proof: who sent a signal may be certain, why it did so never is.
 */
struct supervisor {
	const char *name; /* of the program; a '*' at its end stands for any end */
	const char *title; /* "gunicorn's master" */
	/* Why it sends the signal, to stand behind "likely: "; NULL: nothing to say beyond the signal. */
	const char *term;
	const char *kill;	/* SIGKILL alone */
	const char *after_term; /* SIGKILL to who was asked to stop before */
	const char *abort;	/* SIGABRT, or SIGKILL after it */
	const char *advice;
};

/* NULL: none that is known. */
const struct supervisor *supervisor_of(const struct process_ref *process);

/*
 * "uvicorn" for a process that is called "python3" and runs such a program; NULL for all others.
 * Borrowed from PROCESS.
 */
const char *supervisor_program(const struct process_ref *process);

/* What SUPERVISOR means by SIGNO after it had sent BEFORE (0: nothing); NULL for nothing known. */
const char *supervisor_reason(const struct supervisor *supervisor, int signo, int before);

#endif
