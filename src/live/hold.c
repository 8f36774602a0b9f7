/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "procfs.h"
#include "tracing.h"

// How often a thread that does not come is looked at, and how long it may sleep uninterruptibly.
#define HOLD_SLICE INT64_C(2000000)
#define HOLD_UNINTERRUPTIBLE INT64_C(20000000)

// What T reports while its process is collected. False: nothing yet.
static bool collect(struct tracer *tracer, struct tracee *t, bool dying)
{
	siginfo_t si;
	int status;

	if (!wait_peek(P_PID, t->tid, &si))
		return false;
	int event = si.si_status >> 8, signo = si.si_status & 0xff;
	if (si.si_code == CLD_EXITED || si.si_code == CLD_KILLED || si.si_code == CLD_DUMPED) {
		t->state = TRACEE_ENDED; // left for tracer_next() to report
		return true;
	}
	if (!event || event == PTRACE_EVENT_EXEC) {
		// Left unconsumed. One that is being killed is about to be torn out of it.
		if (dying)
			return false;
		t->state = TRACEE_AT_SIGNAL;
		t->stop_signal = event ? 0 : signo;
		return true;
	}
	if (!wait_consume(t->tid, &status))
		return false;
	t->state = TRACEE_AT_EVENT;
	t->stop_signal = 0;
	if (event == PTRACE_EVENT_EXIT) {
		t->state = TRACEE_AT_EXIT;
		t->exit_status = tracee_event_message(t->tid);
		if (dying || !tracee_exits_alone(t))
			return true;
		tracee_let_run(t, 0);
		t->state = TRACEE_ENDED;
		return true;
	}
	if (event == PTRACE_EVENT_STOP) {
		t->stop_signal = signal_is_stop(signo) ? signo : 0;
	} else if (event == PTRACE_EVENT_CLONE) {
		pid_t tid = tracee_event_message(t->tid);

		// A process instead of a thread, or one that cannot be noted for want of memory,
		// reports itself later.
		if (tid > 0 && !tracer_tracee(tracer, tid) && traced_has_thread(t->process, tid))
			error_drop(tracer_add_tracee(tracer, t->process, tid, NULL));
	}
	if (dying) {
		tracee_let_run(t, 0);
		return false;
	}
	return true;
}

static bool must_come(const struct tracee *t, bool dying)
{
	if (t->state == TRACEE_RUNNING || t->state == TRACEE_LISTENING)
		return true;
	return dying && (t->state == TRACEE_AT_SIGNAL || t->state == TRACEE_AT_EVENT);
}

// The letter of /proc/PID/task/TID/stat, which follows the name in its parentheses.
static char task_state(const struct tracee *t)
{
	char name[48], text[256];

	snprintf(name, sizeof(name), "task/%d/stat", (int)t->tid);
	if (!procfs_peek(t->process->proc_dir, name, text, sizeof(text)))
		return 'X';
	const char *end = strrchr(text, ')');
	return end && end[1] ? end[2] : 'X';
}

/*
 * Wait until T has come. False at DEADLINE, and before that for one that will not come: a leader
 * that has ended and is not reported while other threads are left, or a sleep that nothing
 * interrupts (vfork() waiting for its child, a dead file server).
 */
static bool await(struct tracer *tracer, struct tracee *t, bool dying, int64_t deadline)
{
	int64_t slice = HOLD_SLICE, uninterruptible = 0;
	sigset_t chld;
	siginfo_t si;

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	while (!collect(tracer, t, dying)) {
		int64_t left = deadline - monotonic_now();

		if (left <= 0)
			return false;
		if (wait_own_signal(&chld, left < slice ? left : slice, &si))
			continue;
		char state = task_state(t);
		if (state == 'Z' || state == 'X') {
			// Between its last sign of life and now it may have become collectable.
			if (!collect(tracer, t, dying))
				t->state = TRACEE_ENDED;
			return true;
		}
		uninterruptible = state == 'D' ? uninterruptible + slice : 0;
		if (uninterruptible >= HOLD_UNINTERRUPTIBLE)
			return false;
	}
	return true;
}

size_t tracer_hold(struct tracer *tracer, struct traced *process, bool dying, int64_t deadline)
{
	size_t stopped = 0;

	// All are told first, then waited for: they come to rest side by side.
	for (struct tracee *t = process->tracees; !dying && t; t = t->next_in_process)
		if (must_come(t, false))
			ptrace(PTRACE_INTERRUPT, t->tid, 0, 0);
	// New threads are put in front while we go: begin again until a round meets only old ones.
	for (bool again = true; again;) {
		again = false;
		for (struct tracee *t = process->tracees; t; t = t->next_in_process) {
			if (!must_come(t, dying) || t->given_up)
				continue;
			again = true;
			t->given_up = !await(tracer, t, dying, deadline);
		}
	}
	for (struct tracee *t = process->tracees; t; t = t->next_in_process) {
		t->given_up = false;
		stopped += t->state == TRACEE_AT_SIGNAL || t->state == TRACEE_AT_EVENT ||
			   t->state == TRACEE_AT_EXIT;
	}
	return stopped;
}

bool tracer_was_killed(const struct traced *process)
{
	for (const struct tracee *t = process->tracees; t; t = t->next_in_process) {
		siginfo_t si;

		if (t->state != TRACEE_AT_SIGNAL && t->state != TRACEE_AT_EVENT)
			continue;
		// SIGKILL takes all of them out of any stop, so one of them tells.
		return wait_peek(P_PID, t->tid, &si) &&
		       (si.si_code == CLD_EXITED || si.si_code == CLD_KILLED ||
			si.si_code == CLD_DUMPED || si.si_status >> 8 == PTRACE_EVENT_EXIT);
	}
	return false;
}

void tracer_release(struct traced *process, struct tracee *first)
{
	if (first)
		tracer_resume(first);
	for (struct tracee *t = process->tracees; t; t = t->next_in_process) {
		// A signal that came in between is still with the kernel: the next look finds it.
		if (t->state == TRACEE_AT_SIGNAL)
			t->state = TRACEE_RUNNING;
		else if (t->state != TRACEE_RUNNING && t->state != TRACEE_LISTENING)
			tracer_resume(t);
	}
}
