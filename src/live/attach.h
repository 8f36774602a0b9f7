/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_LIVE_ATTACH_H
#define PCATCH_LIVE_ATTACH_H

#include <sys/types.h>

#include "../error.h"

/*
 * Why a process cannot be attached to, in one line with the remedy. attach_possible() is asked
 * before trying and knows what no attempt could change: no such process, a thread instead of a
 * process, a zombie, a kernel thread, ourselves, another tracer (by pid and name).
 */
struct error *attach_possible(pid_t pid) __attribute__((warn_unused_result));

/* PTRACE_SEIZE of PID said ERRNUM: what is behind it (never NULL). */
struct error *attach_refused(pid_t pid, int errnum) __attribute__((warn_unused_result));

/* kernel.yama.ptrace_scope, 0 to 3; -1: there is no Yama here. */
int attach_yama_scope(void);

#endif
