/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_LIVE_COMMAND_H
#define PCATCH_LIVE_COMMAND_H

#include <limits.h>
#include <stdbool.h>

#include "../buf.h"
#include "../error.h"

/* Programs of the system that are asked, as they were installed, for what only they can tell. */

/*
 * The path of NAME in the absolute folders of $PATH. False: there is none. Where more rights came
 * with the program than its user has, $PATH is not looked at.
 */
bool command_find(const char *name, char ret[PATH_MAX]);

enum command_end {
	COMMAND_ENDED,	  /* by itself, with an exit status */
	COMMAND_KILLED,	  /* by a signal that was not ours */
	COMMAND_TOO_LONG, /* it had not ended by the deadline, and was killed */
	COMMAND_TOO_MUCH, /* it had more to say than MAX bytes, and was killed */
};

/*
 * Run ARGV, whose first is a path, until DEADLINE (monotonic_now()) at the latest, with a bare
 * environment and nobody on its standard input and error, and append up to MAX bytes of its
 * standard output to RET. What it started in its own process group ends with it. STATUS_RET is its
 * exit status.
 */
struct error *command_output(const char *const *argv, int64_t deadline, size_t max, struct buf *ret,
			     enum command_end *end_ret, int *status_ret)
	__attribute__((warn_unused_result));

#endif
