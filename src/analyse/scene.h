/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_ANALYSE_SCENE_H
#define PCATCH_ANALYSE_SCENE_H

#include "opinion.h"

/*
 * What judges ask about a death. Nothing here decides on a cause; words are made in the
 * opinion's arena and are never NULL.
 */

/* Who raised the signal that ended it: this decides, not the signal's number. */
enum raiser {
	RAISED_UNKNOWN,
	RAISED_BY_INSTRUCTION, /* an instruction of its own */
	RAISED_BY_KERNEL,      /* for what the process did or what became of its surroundings */
	RAISED_BY_TIMER,       /* timer_create() */
	RAISED_BY_ITSELF,      /* kill(), raise(), abort() */
	RAISED_BY_PROCESS,     /* another one */
	RAISED_FROM_OUTSIDE,   /* of its pid namespace */
};

enum raiser scene_raiser(const struct findings *findings);

/* The signal that counts: the one that ended it, or the fault that a handler took and re-raised. */
int scene_signo(const struct findings *findings);

/* A Python process, also when its interpreter had been torn down already. */
bool scene_is_python(const struct findings *findings);

/* The dying thread's innermost frames; NULL when there is none. */
const struct frame *scene_python_frame(const struct findings *findings);
/* ... that is in neither the standard library nor an installed package */
const struct frame *scene_own_frame(const struct findings *findings);
/* ... that is not plumbing */
const struct frame *scene_native_frame(const struct findings *findings);

/*
 * Is FUNCTION a part of how raise(), abort(), assert() and the like are made in the C libraries
 * and in CPython, whoever called them?
 */
bool scene_is_plumbing(const char *function);

/* The dying thread's native frame of one of NAMES (NULL-terminated), NULL when there is none. */
const struct frame *scene_native_named(const struct findings *findings, const char *const *names);

/* "app.py:31 in stream", "strlen (libc.so.6)", short enough for a summary. */
const char *scene_place(struct opinion *opinion, const struct frame *frame);
/*
 * The dying thread's: "app.py:31 in stream through StreamWriter.write", or "app.py:90 in <module>,
 * idle in its event loop (3 asyncio tasks pending)"; "" without a Python frame.
 */
const char *scene_python_place(const struct findings *findings, struct opinion *opinion);
/* The same of any thread. */
const char *scene_thread_place(const struct findings *findings, struct opinion *opinion,
			       const struct thread_findings *thread);
/* The same of frames of Python alone, wherever they come from. */
const char *scene_stack_place(struct opinion *opinion, const struct stack *python);
/* scene_place() with whole paths. */
const char *scene_full_place(struct opinion *opinion, const struct frame *frame);

/* Argument number INDEX of the system call that THREAD is in; false when it is not known. */
bool scene_argument(const struct thread_findings *thread, unsigned index, int64_t *ret);

/* The dying thread's system call writes to descriptor FD_RET (-1: which one is unknown). */
bool scene_writes(const struct findings *findings, int *fd_ret);

/* THREAD is in a system call that sends a signal. */
bool scene_sends_signal(const struct thread_findings *thread);

const struct fd *scene_fd(const struct findings *findings, int fd);

/* The process's pid as it sees it itself. */
pid_t scene_own_pid(const struct findings *findings);

/* "systemd (pid 1)"; "the kernel"; "itself"; with USER and command line: scene_full_sender(). */
const char *scene_sender(struct opinion *opinion, const struct sender *sender);
const char *scene_full_sender(struct opinion *opinion, const struct sender *sender);

/* The sender is an ancestor of the process, or a program whose job it is to keep services. */
bool scene_is_supervisor(const struct findings *findings, const struct sender *sender);

/*
 * The handled SIGTERM, SIGINT, SIGQUIT or SIGHUP that asked it to stop, if there is one recent
 * enough to be the reason of the end; only SIGNO if that is not 0. ELAPSED_RET (-1: unknown) are
 * the nanoseconds from it to the end.
 */
const struct signal_event *scene_asked_to_stop(const struct findings *findings, int signo,
					       int64_t *elapsed_ret);

/*
 * The last request to end that SENDER made before SIGNO, if it is recent enough to be of the same
 * story; NULL when there is none. Everybody outside of the pid namespace counts as one.
 */
const struct signal_event *scene_before(const struct findings *findings, const struct sender *sender,
					int signo, int64_t *elapsed_ret);

/* "; it was at app.py:12 in f" of the thread that died, else of the main one; "" for nothing known. */
const char *scene_main_place(const struct findings *findings, struct opinion *opinion);

/* /proc/PID/limits' line NAME ("Max cpu time"); UINT64_MAX is unlimited. */
bool scene_limit(const struct findings *findings, const char *name, uint64_t *soft_ret,
		 uint64_t *hard_ret);

/* The number in /proc/PID/status' line NAME ("PPid"). */
bool scene_status(const struct findings *findings, const char *name, uint64_t *ret);

/* CPU time used, user and system; < 0 unknown. */
double scene_cpu_seconds(const struct findings *findings);

/* "SIGTERM"; never NULL. */
const char *scene_signal(struct opinion *opinion, int signo);
const char *scene_duration(struct opinion *opinion, int64_t ns);
const char *scene_size(struct opinion *opinion, uint64_t bytes);

/* Evidence that every death may have: the earlier signals, the sender's family. */
void scene_tell_earlier(const struct findings *findings, struct opinion *opinion);
void scene_tell_sender(const struct findings *findings, struct opinion *opinion,
		       const struct sender *sender);

/* The Python lines of the dying thread, innermost and the program's own; says VERB of them. */
void scene_tell_python(const struct findings *findings, struct opinion *opinion, const char *verb);

#endif
