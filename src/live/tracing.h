/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_LIVE_TRACING_H
#define PCATCH_LIVE_TRACING_H

#include <sys/wait.h>

#include "tracer.h"

/*
 * What the parts of the tracer share: tracer.c knows who is traced, tracee.c what a stopped thread
 * is, events.c what the kernel reports, hold.c stops a whole process.
 */

struct error *tracer_add_process(struct tracer *tracer, pid_t pid, struct traced **ret)
	__attribute__((warn_unused_result));

/* RET may be NULL. */
struct error *tracer_add_tracee(struct tracer *tracer, struct traced *process, pid_t tid,
				struct tracee **ret) __attribute__((warn_unused_result));
void tracer_remove_tracee(struct tracer *tracer, struct tracee *tracee);

/* The files of /proc that show the present program: an exec makes new ones. */
void traced_open_image(struct traced *process);
void traced_close_image(struct traced *process);
void traced_clear_breakpoints(struct traced *process);

/*
 * When the first thread ends before the others, /proc/PID shows neither maps nor files any more;
 * the folder of another thread does.
 */
void traced_move_to_living_thread(struct traced *process);

/* Is TID a thread of PROCESS, and not a process of its own? */
bool traced_has_thread(const struct traced *process, pid_t tid);

/* Look at what TID (P_PID) or anybody (P_ALL) has to report, and leave it there. */
bool wait_peek(idtype_t type, pid_t tid, siginfo_t *ret);
bool wait_consume(pid_t tid, int *status);

/* Fetch a signal of our own that is in SET, waiting WAIT nanoseconds at most. 0: none. */
int wait_own_signal(const sigset_t *set, int64_t wait, siginfo_t *ret);

/* From any stop, with the signal SIGNO or 0. */
void tracee_let_run(struct tracee *tracee, int signo);

/* What came with the PTRACE_EVENT_* stop: a pid, or a wait status. 0 when the tracee is gone. */
pid_t tracee_event_message(pid_t tid);

bool tracee_general_registers(pid_t tid, struct regs *ret);

/* Does this exit stop end a thread alone, leaving others to live? */
bool tracee_exits_alone(const struct tracee *tracee);

#endif
