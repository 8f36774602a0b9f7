/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tracer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../cleanup.h"
#include "attach.h"
#include "procfs.h"
#include "tracing.h"

int64_t monotonic_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

int64_t realtime_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static long options(const struct tracer *tracer)
{
	long opts = PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT;

	if (tracer->follow_children)
		opts |= PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK;
	return opts;
}

struct error *tracer_init(struct tracer *tracer, const sigset_t *signals, bool follow_children)
{
	struct sigaction dfl = { .sa_handler = SIG_DFL };

	*tracer = (struct tracer){ .follow_children = follow_children, .spawn_pipe = -1 };
	tracer->waited = *signals;
	sigaddset(&tracer->waited, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &tracer->waited, &tracer->original_mask) < 0)
		return error_errno(errno, "cannot block signals");
	// A SIGCHLD that is ignored is not sent at all, not even to one who waits for it.
	if (sigaction(SIGCHLD, &dfl, &tracer->original_sigchld) < 0)
		return error_errno(errno, "cannot reset SIGCHLD");
	return NULL;
}

void traced_close_image(struct traced *p)
{
	closep(&p->mem_fd);
	closep(&p->status_fd);
	closep(&p->maps_fd);
	p->mem_fd = p->status_fd = p->maps_fd = -1;
}

void traced_open_image(struct traced *p)
{
	p->mem_fd = openat(p->proc_dir, "mem", O_RDONLY | O_CLOEXEC);
	p->status_fd = openat(p->proc_dir, "status", O_RDONLY | O_CLOEXEC);
	p->maps_fd = openat(p->proc_dir, "maps", O_RDONLY | O_CLOEXEC);
}

void traced_move_to_living_thread(struct traced *p)
{
	for (const struct tracee *t = p->tracees; t; t = t->next_in_process) {
		int dir = -1;

		if (t->tid == p->pid || t->state == TRACEE_ENDED || t->state == TRACEE_AT_EXIT ||
		    error_drop(procfs_open(t->tid, &dir)))
			continue;
		closep(&p->proc_dir);
		p->proc_dir = dir;
		p->dir_tid = t->tid;
		traced_close_image(p);
		traced_open_image(p);
		return;
	}
}

bool traced_has_thread(const struct traced *p, pid_t tid)
{
	char name[32];

	snprintf(name, sizeof(name), "task/%d", (int)tid);
	return faccessat(p->proc_dir, name, F_OK, 0) == 0;
}

struct traced *tracer_process(const struct tracer *tracer, pid_t pid)
{
	struct traced *p = tracer->processes;

	while (p && p->pid != pid)
		p = p->next;
	return p;
}

struct error *tracer_add_process(struct tracer *tracer, pid_t pid, struct traced **ret)
{
	struct traced *p = calloc(1, sizeof(*p));

	if (!p)
		return error_nomem();
	p->pid = p->dir_tid = pid;
	p->seized = realtime_now();
	struct error *err = procfs_open(pid, &p->proc_dir);
	if (err) {
		free(p);
		return err;
	}
	p->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	traced_open_image(p);
	p->next = tracer->processes;
	tracer->processes = p;
	*ret = p;
	return NULL;
}

struct tracee *tracer_tracee(const struct tracer *tracer, pid_t tid)
{
	struct tracee *t = tracer->table[(unsigned)tid % TRACER_BUCKETS];

	while (t && t->tid != tid)
		t = t->next_in_table;
	return t;
}

struct error *tracer_add_tracee(struct tracer *tracer, struct traced *p, pid_t tid,
				struct tracee **ret)
{
	struct tracee *t = calloc(1, sizeof(*t));
	struct tracee **bucket = &tracer->table[(unsigned)tid % TRACER_BUCKETS];

	if (!t)
		return error_nomem();
	t->tid = tid;
	t->process = p;
	t->next_in_table = *bucket;
	*bucket = t;
	t->next_in_process = p->tracees;
	p->tracees = t;
	p->n_tracees++;
	if (ret)
		*ret = t;
	return NULL;
}

void tracer_remove_tracee(struct tracer *tracer, struct tracee *t)
{
	struct tracee **at = &tracer->table[(unsigned)t->tid % TRACER_BUCKETS];

	while (*at != t)
		at = &(*at)->next_in_table;
	*at = t->next_in_table;
	at = &t->process->tracees;
	while (*at != t)
		at = &(*at)->next_in_process;
	*at = t->next_in_process;
	t->process->n_tracees--;
	free(t->first_chance);
	free(t);
}

void traced_clear_breakpoints(struct traced *p)
{
	for (size_t i = 0; i < ARRAY_SIZE(p->breakpoints); i++)
		breakpoint_clear(&p->breakpoints[i]);
}

void tracer_forget(struct tracer *tracer, struct traced *process)
{
	struct traced **at = &tracer->processes;

	while (*at != process)
		at = &(*at)->next;
	*at = process->next;
	while (process->tracees)
		tracer_remove_tracee(tracer, process->tracees);
	if (tracer->spawned == process)
		tracer->spawned = NULL;
	traced_clear_breakpoints(process);
	traced_close_image(process);
	closep(&process->proc_dir);
	closep(&process->pidfd);
	free(process);
}

void tracer_deinit(struct tracer *tracer)
{
	while (tracer->processes)
		tracer_forget(tracer, tracer->processes);
	closep(&tracer->spawn_pipe);
	tracer->spawn_pipe = -1;
}

// One pass over task/: seize what is not yet ours. *NEWS tells whether there was any.
static struct error *seize_tasks(struct tracer *tracer, struct traced *p, bool *news, int *refused)
{
	int fd = openat(p->proc_dir, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct error *err = NULL;

	*news = false;
	if (!dir) {
		int errnum = errno;

		closep(&fd);
		return errnum == ENOENT || errnum == ESRCH
			       ? error_new(ERROR_GONE, "process %d has ended", (int)p->pid)
			       : error_errno(errnum, "cannot list the threads of %d", (int)p->pid);
	}
	for (struct dirent *d; !err && (d = readdir(dir));) {
		pid_t tid = (pid_t)strtol(d->d_name, NULL, 10);

		if (tid <= 0 || tracer_tracee(tracer, tid))
			continue;
		if (ptrace(PTRACE_SEIZE, tid, 0, options(tracer)) < 0) {
			// Ended meanwhile, or attached meanwhile through the thread that made it: it
			// then reports by itself. For a process as a whole the caller finds out.
			if (errno != ESRCH)
				*refused = errno;
			continue;
		}
		err = tracer_add_tracee(tracer, p, tid, NULL);
		*news = true;
	}
	closedir(dir);
	return err;
}

struct error *tracer_seize(struct tracer *tracer, pid_t pid, struct traced **ret)
{
	struct error *err = attach_possible(pid);
	struct traced *p;
	int refused = 0;

	if (err)
		return err;
	err = tracer_add_process(tracer, pid, &p);
	if (err)
		return err;
	// Threads make threads while we read: until a pass finds nothing new (facts: three at most).
	for (bool news = true; news && !err;)
		err = seize_tasks(tracer, p, &news, &refused);
	if (!err && !p->n_tracees)
		err = attach_refused(pid, refused);
	if (!err && !tracer_tracee(tracer, pid))
		traced_move_to_living_thread(p);
	if (err) {
		tracer_forget(tracer, p);
		return err;
	}
	*ret = p;
	return NULL;
}

static void child_exec(const struct tracer *tracer, char *const argv[], int go, int said)
{
	char byte;

	sigaction(SIGCHLD, &tracer->original_sigchld, NULL);
	// Until this byte comes we are not watched; when the pipe just closes, pcatch has died.
	while (read(go, &byte, 1) < 0 && errno == EINTR)
		;
	sigprocmask(SIG_SETMASK, &tracer->original_mask, NULL);
	execvp(argv[0], argv);
	int why = errno;
	// Nobody to tell it to when the write fails: the exit code says the rest.
	if (write(said, &why, sizeof(why)) != sizeof(why))
		_exit(125);
	_exit(why == ENOENT ? 127 : 126);
}

struct error *tracer_spawn(struct tracer *tracer, char *const argv[], struct traced **ret)
{
	int go[2] = { -1, -1 }, said[2] = { -1, -1 };

	if (pipe2(go, O_CLOEXEC) < 0 || pipe2(said, O_CLOEXEC) < 0) {
		struct error *err = error_errno(errno, "cannot make a pipe");
		closep(&go[0]);
		closep(&go[1]);
		return err;
	}
	pid_t pid = fork();
	if (pid == 0) {
		close(go[1]);
		close(said[0]);
		child_exec(tracer, argv, go[0], said[1]);
	}
	struct error *err = pid < 0 ? error_errno(errno, "cannot fork") : NULL;
	close(go[0]);
	close(said[1]);
	struct traced *p = NULL;
	if (!err)
		err = tracer_add_process(tracer, pid, &p);
	if (!err && ptrace(PTRACE_SEIZE, pid, 0, options(tracer)) < 0)
		err = error_errno(errno, "cannot trace the new process");
	if (!err)
		err = tracer_add_tracee(tracer, p, pid, NULL);
	if (err) {
		if (p)
			tracer_forget(tracer, p);
		// It still waits for its byte; without it, it must not run.
		if (pid > 0) {
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
		}
		close(go[1]);
		close(said[0]);
		return err;
	}
	tracer->spawned = p;
	tracer->spawn_pipe = said[0];
	if (write(go[1], "", 1) != 1)
		err = error_errno(errno, "cannot start the new process");
	close(go[1]);
	*ret = p;
	return err;
}
