/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_ANALYSE_LOGLINE_H
#define PCATCH_ANALYSE_LOGLINE_H

#include "findings.h"

/* What a line of somebody's log says about itself: when it was written, and by which process. */

struct log_clock {
	/* Nothing was written later; 0: unknown. Gives the year to who leaves it out. */
	int64_t latest;
	int64_t utc_offset; /* seconds east, for times without a zone */
};

/*
 * The time that LINE carries, nanoseconds since the epoch, 0 for none. HEAD_RET is where the text
 * behind it begins; ZONED_RET whether it named its zone. Either may be NULL.
 */
int64_t logline_time(const char *line, const struct log_clock *clock, size_t *head_ret,
		     bool *zoned_ret);

/*
 * The pid that LINE is marked with, 0 for none: "[4242]" in its head or before its time,
 * "name[4242]:" as syslog has it,
 * "pid=4242" and the like, "Started server process [4242]".
 */
pid_t logline_pid(const char *line);

/* The word of LINE's head, counted from 0, that is PID alone; -1 for none. */
int logline_slot(const char *line, pid_t pid);
/* The pid at word SLOT, 0 when that is none. */
pid_t logline_at_slot(const char *line, int slot);

/* PID stands somewhere in LINE as a number of its own: the text behind it, else NULL. */
const char *logline_mention(const char *line, pid_t pid);

/* The signal that LINE, in small letters, names: "sigterm", "signal 15", "signal: term"; 0: none. */
int logline_signal(const char *line);

#endif
