/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../cleanup.h"
#include "procfs.h"
#include "tracing.h"

// At one million stops a second our own signals still are looked at every hundred microseconds.
#define LOOK_AROUND_EVERY 128

bool wait_peek(idtype_t type, pid_t tid, siginfo_t *ret)
{
	*ret = (siginfo_t){};
	return waitid(type, (id_t)tid, ret, WEXITED | WSTOPPED | WNOWAIT | WNOHANG | __WALL) == 0 &&
	       ret->si_pid;
}

bool wait_consume(pid_t tid, int *status)
{
	return waitpid(tid, status, __WALL | WNOHANG) == tid;
}

int wait_own_signal(const sigset_t *set, int64_t wait, siginfo_t *ret)
{
	struct timespec ts = { .tv_sec = wait / 1000000000, .tv_nsec = wait % 1000000000 };
	int signo = sigtimedwait(set, ret, &ts);

	return signo < 0 ? 0 : signo;
}

/*
 * TID was attached by the kernel on behalf of a tracee that made it. *RET is NULL when it is a
 * process that nobody wants followed, or has gone; *NEW_RET is set when it is a process to follow.
 */
static struct error *adopt(struct tracer *tracer, pid_t tid, pid_t parent, struct tracee **ret,
			   struct traced **new_ret)
{
	struct procfs_status status;
	struct traced *p = NULL;

	*ret = NULL;
	if (error_drop(procfs_status(tid, &status)))
		return NULL;
	// A child may have run and ended, and been collected by us, before its parent's fork event is
	// served. Its parent's zombie is all that is left, and would never report anything.
	if (status.tracer != getpid())
		return NULL;
	p = tracer_process(tracer, status.tgid);
	if (!p) {
		if (!tracer->follow_children)
			return NULL;
		struct error *err = tracer_add_process(tracer, status.tgid, &p);
		if (err && err->kind == ERROR_GONE) {
			error_free(err);
			return NULL;
		}
		if (err)
			return err;
		p->followed = true;
		p->parent = parent ? parent : status.ppid;
		*new_ret = p;
	}
	return tracer_add_tracee(tracer, p, tid, ret);
}

/*
 * A thread in execve() has the others killed, without any status, while the process lives on:
 * their exit stops must be left at once, for it waits until they are gone.
 */
static bool gives_way_to_exec(const struct tracee *t)
{
	for (const struct tracee *o = t->process->tracees; o; o = o->next_in_process) {
		char name[48], text[16] = "";

		if (o == t || o->state != TRACEE_RUNNING)
			continue;
		snprintf(name, sizeof(name), "task/%d/syscall", (int)o->tid);
		if (!procfs_peek(t->process->proc_dir, name, text, sizeof(text)))
			continue;
		long nr = strtol(text, NULL, 10);
		if (nr == SYS_execve || nr == SYS_execveat)
			return true;
	}
	return false;
}

static bool all_listen(const struct traced *p)
{
	for (const struct tracee *t = p->tracees; t; t = t->next_in_process)
		if (t->state != TRACEE_LISTENING && t->state != TRACEE_ENDED)
			return false;
	return true;
}

static void dropped_by_exec(struct tracer *tracer, struct tracee *t)
{
	struct traced *p = t->process;

	for (struct tracee *o = p->tracees, *next; o; o = next) {
		next = o->next_in_process;
		if (o != t)
			tracer_remove_tracee(tracer, o);
	}
	free(t->first_chance);
	t->first_chance = NULL;
	traced_clear_breakpoints(p);
	int dir;
	if (!error_drop(procfs_open(p->pid, &dir))) {
		closep(&p->proc_dir);
		p->proc_dir = dir;
		p->dir_tid = p->pid;
	}
	traced_close_image(p);
	traced_open_image(p);
}

static int take_spawn_error(struct tracer *tracer)
{
	int why = 0;

	if (read(tracer->spawn_pipe, &why, sizeof(why)) != sizeof(why))
		why = 0;
	close(tracer->spawn_pipe);
	tracer->spawn_pipe = -1;
	tracer->spawned = NULL;
	return why;
}

static void ended(struct tracer *tracer, struct tracee *t, int status, struct event *ret)
{
	struct traced *p = t->process;
	bool leader = t->tid == p->pid;

	tracer_remove_tracee(tracer, t);
	// A leader that ended before we came is not ours: then the last thread stands for all.
	if (!leader && p->n_tracees)
		return;
	*ret = (struct event){ .kind = EVENT_ENDED, .process = p, .status = status };
	if (tracer->spawned == p) {
		int why = take_spawn_error(tracer);

		if (why)
			*ret = (struct event){ .kind = EVENT_NOT_STARTED, .process = p, .status = why };
	}
}

static struct error *event_stop(struct tracer *tracer, struct tracee *t, int event, int signo,
				struct event *ret)
{
	struct traced *p = t->process;
	struct tracee *child;
	struct traced *made = NULL;
	struct error *err = NULL;
	int status;

	if (!wait_consume(t->tid, &status))
		return NULL;
	t->state = TRACEE_AT_EVENT;
	t->stop_signal = 0;
	switch (event) {
	case PTRACE_EVENT_STOP:
		if (signal_is_stop(signo)) {
			t->stop_signal = signo;
			tracer_resume(t);
			if (!p->stopped && all_listen(p)) {
				p->stopped = true;
				*ret = (struct event){ .kind = EVENT_GROUP_STOP,
						       .process = p,
						       .tracee = t,
						       .signo = signo };
			}
			return NULL;
		}
		p->stopped = false;
		tracer_resume(t);
		return NULL;
	case PTRACE_EVENT_CLONE:
	case PTRACE_EVENT_FORK:
	case PTRACE_EVENT_VFORK: {
		pid_t tid = tracee_event_message(t->tid);

		if (tid > 0 && !tracer_tracee(tracer, tid)) {
			if (event == PTRACE_EVENT_CLONE && traced_has_thread(p, tid))
				err = tracer_add_tracee(tracer, p, tid, NULL);
			else
				err = adopt(tracer, tid, p->pid, &child, &made);
		}
		tracer_resume(t);
		if (!err && made)
			*ret = (struct event){ .kind = EVENT_NEW_PROCESS, .process = made };
		return err;
	}
	case PTRACE_EVENT_EXEC:
		dropped_by_exec(tracer, t);
		if (tracer->spawned == p) {
			close(tracer->spawn_pipe);
			tracer->spawn_pipe = -1;
			tracer->spawned = NULL;
		}
		*ret = (struct event){ .kind = EVENT_EXEC, .process = p, .tracee = t };
		return NULL;
	case PTRACE_EVENT_EXIT:
		t->state = TRACEE_AT_EXIT;
		t->exit_status = tracee_event_message(t->tid);
		if (tracer->spawned == p || tracee_exits_alone(t) ||
		    (!t->exit_status && gives_way_to_exec(t))) {
			tracer_resume(t);
			// A leader stays listed as a zombie until the last thread has gone.
			t->state = TRACEE_ENDED;
			if (t->tid == p->dir_tid)
				traced_move_to_living_thread(p);
			return NULL;
		}
		*ret = (struct event){ .kind = EVENT_EXITING,
				       .process = p,
				       .tracee = t,
				       .status = t->exit_status };
		return NULL;
	default:
		tracer_resume(t);
		return NULL;
	}
}

// The breakpoint that T has stopped for, NULL when its signal is not of our making.
static struct breakpoint *breakpoint_of(const struct tracee *t, int signo)
{
	struct traced *p = t->process;
	siginfo_t si;

	for (size_t i = 0; i < ARRAY_SIZE(p->breakpoints); i++) {
		struct breakpoint *b = &p->breakpoints[i];

		if (b->set && b->signo == signo && ptrace(PTRACE_GETSIGINFO, t->tid, 0, &si) == 0 &&
		    breakpoint_was_hit(b, &si))
			return b;
	}
	return NULL;
}

// One thing that a child of ours has to report; ret->kind stays EVENT_TIMEOUT when nobody cares.
static struct error *serve(struct tracer *tracer, const siginfo_t *si, struct event *ret)
{
	pid_t tid = si->si_pid;
	struct tracee *t = tracer_tracee(tracer, tid);
	int event = si->si_status >> 8, signo = si->si_status & 0xff, status;
	struct traced *made = NULL;

	if (si->si_code == CLD_EXITED || si->si_code == CLD_KILLED || si->si_code == CLD_DUMPED) {
		if (wait_consume(tid, &status) && t)
			ended(tracer, t, status, ret);
		return NULL;
	}
	if (!t) {
		struct error *err = adopt(tracer, tid, 0, &t, &made);

		if (err)
			return err;
		if (!t) {
			if (wait_consume(tid, &status))
				ptrace(PTRACE_DETACH, tid, 0, event ? 0 : signo);
			return NULL;
		}
		// It stays in its stop until it is known, so that nothing of it is missed. The stop has
		// not been consumed and is found again.
		if (made) {
			*ret = (struct event){ .kind = EVENT_NEW_PROCESS, .process = made };
			return NULL;
		}
	}
	if (event)
		return event_stop(tracer, t, event, signo, ret);
	t->state = TRACEE_AT_SIGNAL;
	t->stop_signal = signo;
	struct breakpoint *b = breakpoint_of(t, signo);
	if (b) {
		t->stop_signal = 0;
		*ret = (struct event){
			.kind = EVENT_BREAKPOINT, .process = t->process, .tracee = t, .breakpoint = b
		};
		return NULL;
	}
	// None of these ever ends a process, and SIGCHLD may come by the thousand.
	if (signo == SIGCHLD || signo == SIGWINCH || signo == SIGURG || signo == SIGCONT ||
	    signal_is_stop(signo))
		tracer_resume(t);
	else
		*ret = (struct event){
			.kind = EVENT_SIGNAL, .process = t->process, .tracee = t, .signo = signo
		};
	return NULL;
}

// waitid(P_ALL) serves the youngest first and can starve the others: ask each by name in between.
static void look_around(struct tracer *tracer)
{
	siginfo_t si;

	for (struct traced *p = tracer->processes; p; p = p->next)
		for (struct tracee *t = p->tracees; t; t = t->next_in_process) {
			if (tracer->n_ready == ARRAY_SIZE(tracer->ready))
				return;
			if (t->state == TRACEE_RUNNING && wait_peek(P_PID, t->tid, &si))
				tracer->ready[tracer->n_ready++] = t->tid;
		}
}

static bool next_report(struct tracer *tracer, siginfo_t *ret)
{
	while (tracer->n_ready)
		if (wait_peek(P_PID, tracer->ready[--tracer->n_ready], ret))
			return true;
	return wait_peek(P_ALL, 0, ret);
}

struct error *tracer_next(struct tracer *tracer, int64_t deadline, struct event *ret)
{
	struct event event = { .kind = EVENT_TIMEOUT };
	sigset_t others = tracer->waited;
	siginfo_t si;

	sigdelset(&others, SIGCHLD);
	for (;;) {
		if (++tracer->served % LOOK_AROUND_EVERY == 0) {
			if (wait_own_signal(&others, 0, &event.own_signal)) {
				event.kind = EVENT_OWN_SIGNAL;
				break;
			}
			look_around(tracer);
			if (monotonic_now() >= deadline)
				break;
		}
		if (next_report(tracer, &si)) {
			struct error *err = serve(tracer, &si, &event);

			if (err)
				return err;
			if (event.kind != EVENT_TIMEOUT)
				break;
			continue;
		}
		int64_t left = deadline - monotonic_now();
		int signo = wait_own_signal(&tracer->waited, left < 0 ? 0 : left, &event.own_signal);
		if (signo && signo != SIGCHLD) {
			event.kind = EVENT_OWN_SIGNAL;
			break;
		}
		if (!signo && monotonic_now() >= deadline)
			break;
	}
	*ret = event;
	return NULL;
}
