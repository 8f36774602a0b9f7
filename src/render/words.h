/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_RENDER_WORDS_H
#define PCATCH_RENDER_WORDS_H

#include "../analyse/findings.h"

/*
 * Values in words, the same in every kind of report. The strings live in ARENA, NULL when there
 * is no memory. Times are UTC wherever the reader is: a report reads the same everywhere.
 */

/* "2026-11-24 04:14:05.123Z"; AT is not 0. */
char *words_time(struct arena *arena, int64_t at) __attribute__((warn_unused_result));

/* "2026-11-24T04:14:05.123456Z" */
char *words_rfc3339(struct arena *arena, int64_t at) __attribute__((warn_unused_result));

/* Nanoseconds from FROM to TO, -1 when either is unknown or they are the wrong way round. */
int64_t words_elapsed(int64_t from, int64_t to);

/* "250 ms", "12.5 s", "3 min 5 s", "4 h 12 min", "3 d 4 h" */
char *words_duration(struct arena *arena, int64_t ns) __attribute__((warn_unused_result));

/* "1.5 GiB" */
char *words_size(struct arena *arena, int64_t bytes) __attribute__((warn_unused_result));

/* A command line as a shell would take it, at most MAX columns. */
char *words_command(struct arena *arena, const strings *argv, size_t max)
	__attribute__((warn_unused_result));

/* "pid 812 bash" */
char *words_process(struct arena *arena, const struct process_ref *ref)
	__attribute__((warn_unused_result));

/* "user www-data (33)" */
char *words_user(struct arena *arena, const char *user, uid_t uid)
	__attribute__((warn_unused_result));

/* Who sent a signal, without the ancestors: "pid 812 bash, user root, the parent". */
char *words_sender(struct arena *arena, const struct sender *sender)
	__attribute__((warn_unused_result));

/* "SIGPIPE", also for a number that has no name. */
char *words_signal(struct arena *arena, int signo) __attribute__((warn_unused_result));

/* "exit status 3", "SIGSEGV (11), SEGV_MAPERR"; what ended it. */
char *words_death(struct arena *arena, const struct death *death)
	__attribute__((warn_unused_result));

/* "[  186.199704] message", as dmesg(1) prints it */
char *words_kernel_line(struct arena *arena, const struct kernel_line *line)
	__attribute__((warn_unused_result));

/* "sleeping" for 'S'; "" when unknown. */
const char *words_state(char state);

/*
 * What the trends say: "memory grew 11.0 MiB/min for 43 min, 3 min short of its cgroup's limit (512.0
 * MiB)", with "; " between them; "" when there is none to speak of.
 */
char *words_trends(struct arena *arena, const struct findings *findings)
	__attribute__((warn_unused_result));

#endif
