/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_LIVE_TRACER_H
#define PCATCH_LIVE_TRACER_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../error.h"
#include "../target/snapshot.h"
#include "breakpoint.h"

/*
 * Processes under PTRACE_SEIZE. Nothing is stopped that the kernel does not stop by itself, and
 * nothing breaks when we die at any moment: stops for a signal are looked at without consuming
 * them (waitid with WNOWAIT) and left by PTRACE_CONT, so the kernel still holds the signal when
 * we vanish in between; only PTRACE_EVENT_* stops and deaths are consumed. PTRACE_O_EXITKILL is never set.
 *
 * Any ptrace call may find its tracee gone (SIGKILL tears it out of any stop). That is no error
 * anywhere in here: the tracee's next event will tell.
 */

#define TRACER_BUCKETS 1024
#define TRACED_BREAKPOINTS 4 /* as many as processors have */

enum tracee_state {
	TRACEE_RUNNING,
	TRACEE_AT_SIGNAL,  /* signal-delivery-stop, not consumed; stop_signal waits to be delivered */
	TRACEE_AT_EVENT,   /* PTRACE_EVENT_*, consumed: PTRACE_CONT lets it go on */
	TRACEE_AT_EXIT,	   /* PTRACE_EVENT_EXIT, consumed: memory still readable, exit_status final */
	TRACEE_LISTENING,  /* in a group stop that we stay out of */
	TRACEE_ENDED,	   /* its death was seen and waits to be reported */
};

struct tracee {
	pid_t tid;
	struct traced *process;
	enum tracee_state state;
	int stop_signal; /* AT_SIGNAL: to be delivered; AT_EVENT: the group stop's, else 0 */
	int exit_status; /* AT_EXIT: a wait status */
	bool given_up; /* within tracer_hold(): it will not come */
	/* The newest fault that a handler took: registers and siginfo as the fault left them. */
	struct first_chance *first_chance;
	struct tracee *next_in_process, *next_in_table;
};

struct first_chance {
	struct signal_info info;
	struct thread thread; /* registers only; fpregs and xstate point to the arrays below */
	int64_t at;
	uint8_t fpregs[1024], xstate[16384];
};

struct traced {
	pid_t pid;
	struct tracee *tracees;
	size_t n_tracees;
	int proc_dir;  /* /proc/PID; when its first thread has ended, that of another */
	pid_t dir_tid; /* the thread whose folder proc_dir is */
	int mem_fd;    /* /proc/PID/mem, of the present image */
	int status_fd; /* /proc/PID/status */
	int maps_fd;   /* /proc/PID/maps, of the present image */
	int pidfd;
	pid_t parent;  /* the traced process that made it; 0: the user named it */
	int64_t seized; /* nanoseconds since the epoch */
	bool followed; /* came by fork, not by name */
	bool stopped;  /* a group stop was reported */
	/* Set and cleared by the watcher; an exec clears them all. */
	struct breakpoint breakpoints[TRACED_BREAKPOINTS];
	void *data;    /* the watcher's own */
	struct traced *next;
};

struct tracer {
	struct traced *processes;
	struct tracee *table[TRACER_BUCKETS];
	bool follow_children;
	sigset_t waited; /* our own signals, blocked; fetched by tracer_next */
	sigset_t original_mask;
	struct sigaction original_sigchld;
	struct traced *spawned; /* the child of tracer_spawn, until its exec has succeeded */
	int spawn_pipe;		/* where it says why exec failed; -1 */
	unsigned served;	/* stops, counted to look around now and then */
	pid_t ready[64];	/* tracees seen with something to report, next from the end */
	size_t n_ready;
};


enum event_kind {
	EVENT_TIMEOUT,
	EVENT_OWN_SIGNAL, /* somebody sent us a signal: own_signal */
	EVENT_SIGNAL,	  /* tracee is at a signal-delivery-stop; tracer_pass() lets it have the signal */
	/*
	 * `breakpoint` was hit: by tracee, where that is its first thread; another one that comes to
	 * it stops the first thread too, and is itself a moment further. tracer_resume() it.
	 */
	EVENT_BREAKPOINT,
	EVENT_EXITING,	  /* a thread exits: memory still readable, status final; tracer_resume() it */
	EVENT_EXEC,	  /* process runs a new program: its threads but one are gone; tracer_resume() */
	EVENT_NEW_PROCESS, /* followed; it does not run before the next call */
	EVENT_GROUP_STOP, /* process was stopped by job control */
	EVENT_ENDED,	  /* process is gone, status final; tracer_forget() it */
	EVENT_NOT_STARTED, /* the spawned program could not be executed: status is the errno */
};

struct event {
	enum event_kind kind;
	struct traced *process;
	struct tracee *tracee;
	int signo;  /* SIGNAL, GROUP_STOP */
	int status; /* EXITING, ENDED: wait status */
	siginfo_t own_signal;
	struct breakpoint *breakpoint;
};

/*
 * Blocks SIGCHLD and SIGNALS in the calling thread; they come out of tracer_next(). The same
 * thread must make all later calls, since the kernel ties tracees to a thread.
 */
struct error *tracer_init(struct tracer *tracer, const sigset_t *signals, bool follow_children)
	__attribute__((warn_unused_result));

/* Lets everything go (the tracees run on) by no more than forgetting it; call it before exiting. */
void tracer_deinit(struct tracer *tracer);

/*
 * Seize every thread of PID, stopping none. What stands in the way is ERROR_GONE or
 * ERROR_DENIED with the reason and the remedy in one line.
 */
struct error *tracer_seize(struct tracer *tracer, pid_t pid, struct traced **ret)
	__attribute__((warn_unused_result));

/*
 * Start ARGV under watch, with the signal mask and dispositions that we were started with. The
 * program is executed during the following tracer_next() calls: EVENT_EXEC says it runs,
 * EVENT_NOT_STARTED that it could not be.
 */
struct error *tracer_spawn(struct tracer *tracer, char *const argv[], struct traced **ret)
	__attribute__((warn_unused_result));

/*
 * The next event, EVENT_TIMEOUT at DEADLINE (CLOCK_MONOTONIC nanoseconds). Everything that
 * concerns nobody is dealt with inside: new threads, ends of single threads that leave others,
 * signals that cannot matter.
 */
struct error *tracer_next(struct tracer *tracer, int64_t deadline, struct event *ret)
	__attribute__((warn_unused_result));

/* Let a tracee go on without a signal; from a signal-delivery-stop with its signal. */
void tracer_resume(struct tracee *tracee);

/*
 * Stop all threads of PROCESS at one moment, or collect those of a process that is dying
 * (dying: they come by themselves, and interrupting would be refused). Gives up on threads that
 * do not come by DEADLINE. Returns the number that are stopped.
 */
size_t tracer_hold(struct tracer *tracer, struct traced *process, bool dying, int64_t deadline);

/* Whether PROCESS, which tracer_hold() has stopped, has been killed all the same. */
bool tracer_was_killed(const struct traced *process);

/* Let go what tracer_hold() stopped, FIRST (may be NULL) before all others. */
void tracer_release(struct traced *process, struct tracee *first);

void tracer_forget(struct tracer *tracer, struct traced *process);

struct traced *tracer_process(const struct tracer *tracer, pid_t pid);
struct tracee *tracer_tracee(const struct tracer *tracer, pid_t tid);

/* Registers of a stopped tracee into THREAD; sets allocated in ARENA. False: it is gone. */
bool tracee_registers(const struct tracee *tracee, struct arena *arena, bool vectors,
		      struct thread *thread);

/* Registers as they are at a signal, kept with the tracee until the next one; no allocation after the first. */
void tracee_keep_first_chance(struct tracee *tracee, const struct signal_info *info);

/* siginfo of the signal or event that TRACEE is stopped at. False: it is gone. */
bool tracee_siginfo(const struct tracee *tracee, struct signal_info *ret);

struct signal_info signal_info_from(const siginfo_t *si);

/* SigIgn and SigCgt of PROCESS as of now. False: it is gone. */
bool traced_dispositions(const struct traced *process, uint64_t *ignored, uint64_t *caught);

/* CLOCK_MONOTONIC and CLOCK_REALTIME in nanoseconds. */
int64_t monotonic_now(void);
int64_t realtime_now(void);

#endif
