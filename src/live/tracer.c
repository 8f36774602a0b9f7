/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tracer.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../cleanup.h"
#include "attach.h"
#include "procfs.h"
#include "procmem.h"

#ifndef NT_ARM_TLS
#define NT_ARM_TLS 0x401
#endif

// How often a thread that does not come is looked at, and for how long it may sleep uninterruptibly.
#define HOLD_SLICE INT64_C(2000000)
#define HOLD_UNINTERRUPTIBLE INT64_C(20000000)

// At one million stops a second our own signals still are looked at every hundred microseconds.
#define LOOK_AROUND_EVERY 128

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

static void close_image(struct traced *p)
{
	closep(&p->mem_fd);
	closep(&p->status_fd);
	p->mem_fd = p->status_fd = -1;
}

static void open_image(struct traced *p)
{
	p->mem_fd = openat(p->proc_dir, "mem", O_RDONLY | O_CLOEXEC);
	p->status_fd = openat(p->proc_dir, "status", O_RDONLY | O_CLOEXEC);
}

/*
 * When the first thread ends before the others, /proc/PID shows neither maps nor files any more;
 * the folder of another thread does.
 */
static void move_to_living_thread(struct traced *p)
{
	for (const struct tracee *t = p->tracees; t; t = t->next_in_process) {
		int dir = -1;

		if (t->tid == p->pid || t->state == TRACEE_ENDED || t->state == TRACEE_AT_EXIT ||
		    error_drop(procfs_open(t->tid, &dir)))
			continue;
		closep(&p->proc_dir);
		p->proc_dir = dir;
		p->dir_tid = t->tid;
		close_image(p);
		open_image(p);
		return;
	}
}

struct traced *tracer_process(const struct tracer *tracer, pid_t pid)
{
	struct traced *p = tracer->processes;

	while (p && p->pid != pid)
		p = p->next;
	return p;
}

static struct error *add_process(struct tracer *tracer, pid_t pid, struct traced **ret)
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
	open_image(p);
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

static struct error *add_tracee(struct tracer *tracer, struct traced *p, pid_t tid,
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

static void remove_tracee(struct tracer *tracer, struct tracee *t)
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

void tracer_forget(struct tracer *tracer, struct traced *process)
{
	struct traced **at = &tracer->processes;

	while (*at != process)
		at = &(*at)->next;
	*at = process->next;
	while (process->tracees)
		remove_tracee(tracer, process->tracees);
	if (tracer->spawned == process)
		tracer->spawned = NULL;
	close_image(process);
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
		closep(&fd);
		return error_new(ERROR_GONE, "process %d has ended", (int)p->pid);
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
		err = add_tracee(tracer, p, tid, NULL);
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
	err = add_process(tracer, pid, &p);
	if (err)
		return err;
	// Threads make threads while we read: until a pass finds nothing new (facts: three at most).
	for (bool news = true; news && !err;)
		err = seize_tasks(tracer, p, &news, &refused);
	if (!err && !p->n_tracees)
		err = attach_refused(pid, refused);
	if (!err && !tracer_tracee(tracer, pid))
		move_to_living_thread(p);
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
		err = add_process(tracer, pid, &p);
	if (!err && ptrace(PTRACE_SEIZE, pid, 0, options(tracer)) < 0)
		err = error_errno(errno, "cannot trace the new process");
	if (!err)
		err = add_tracee(tracer, p, pid, NULL);
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

struct signal_info signal_info_from(const siginfo_t *si)
{
	struct signal_info info = { .signo = si->si_signo, .code = si->si_code };

	if (si->si_code <= 0 && si->si_code != SI_TIMER) {
		info.pid = si->si_pid;
		info.uid = si->si_uid;
		if (si->si_code == SI_QUEUE || si->si_code == SI_MESGQ)
			info.value = (uint64_t)(uintptr_t)si->si_value.sival_ptr;
	} else if (si->si_code == SI_TIMER) {
		info.timer_id = si->si_timerid;
		info.value = (uint64_t)(uintptr_t)si->si_value.sival_ptr;
	} else if (si->si_signo == SIGCHLD) {
		info.pid = si->si_pid;
		info.uid = si->si_uid;
		info.child_status = si->si_status;
	} else if (si->si_signo == SIGSYS) {
		info.addr = (taddr)(uintptr_t)si->si_call_addr;
		info.syscall = si->si_syscall;
	} else if (signal_is_fault(si->si_signo)) {
		info.addr = (taddr)(uintptr_t)si->si_addr;
	}
	return info;
}

bool tracee_siginfo(const struct tracee *tracee, struct signal_info *ret)
{
	siginfo_t si;

	if (ptrace(PTRACE_GETSIGINFO, tracee->tid, 0, &si) < 0)
		return false;
	*ret = signal_info_from(&si);
	return true;
}

static bool get_regset(pid_t tid, unsigned type, void *to, size_t *len)
{
	struct iovec iov = { .iov_base = to, .iov_len = *len };

	if (ptrace(PTRACE_GETREGSET, tid, type, &iov) < 0)
		return false;
	*len = iov.iov_len;
	return true;
}

static bool general_registers(pid_t tid, struct regs *ret)
{
	const struct arch *arch = arch_host();
	struct regs regs = { .arch = arch };
	size_t len = sizeof(regs.r);

	if (!get_regset(tid, NT_PRSTATUS, regs.r, &len) || len < arch->n_regs * sizeof(uint64_t))
		return false;
	if (arch->tls >= 0) {
		regs.tls = regs.r[arch->tls];
	} else {
		len = sizeof(regs.tls);
		if (!get_regset(tid, NT_ARM_TLS, &regs.tls, &len))
			return false;
	}
	*ret = regs;
	return true;
}

bool tracee_registers(const struct tracee *tracee, struct arena *arena, bool vectors,
		      struct thread *thread)
{
	uint8_t set[16384];
	size_t len = sizeof(set);

	if (!general_registers(tracee->tid, &thread->regs))
		return false;
	if (!vectors)
		return true;
	if (get_regset(tracee->tid, NT_PRFPREG, set, &len)) {
		thread->fpregs.data = arena_memdup(arena, set, len);
		thread->fpregs.len = thread->fpregs.data ? len : 0;
	}
	len = sizeof(set);
	if (arch_host()->id == ARCH_X86_64 &&
	    get_regset(tracee->tid, NT_X86_XSTATE, set, &len)) {
		thread->xstate.data = arena_memdup(arena, set, len);
		thread->xstate.len = thread->xstate.data ? len : 0;
	}
	return true;
}

void tracee_keep_first_chance(struct tracee *tracee, const struct signal_info *info)
{
	if (!tracee->first_chance)
		tracee->first_chance = calloc(1, sizeof(*tracee->first_chance));
	struct first_chance *f = tracee->first_chance;
	if (!f)
		return;
	f->info = (struct signal_info){};
	f->thread = (struct thread){ .tid = tracee->tid };
	if (!general_registers(tracee->tid, &f->thread.regs))
		return;
	size_t len = sizeof(f->fpregs);
	if (get_regset(tracee->tid, NT_PRFPREG, f->fpregs, &len))
		f->thread.fpregs = (struct bytes){ f->fpregs, len };
	len = sizeof(f->xstate);
	if (arch_host()->id == ARCH_X86_64 &&
	    get_regset(tracee->tid, NT_X86_XSTATE, f->xstate, &len))
		f->thread.xstate = (struct bytes){ f->xstate, len };
	f->at = realtime_now();
	f->info = *info;
}

bool traced_dispositions(const struct traced *process, uint64_t *ignored, uint64_t *caught)
{
	char text[8192];
	ssize_t n = pread(process->status_fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return false;
	text[n] = '\0';
	const char *ign = strstr(text, "\nSigIgn:"), *cgt = strstr(text, "\nSigCgt:");
	if (!ign || !cgt)
		return false;
	*ignored = strtoull(ign + 8, NULL, 16);
	*caught = strtoull(cgt + 8, NULL, 16);
	return true;
}

static bool is_stop_signal(int signo)
{
	return signo == SIGSTOP || signo == SIGTSTP || signo == SIGTTIN || signo == SIGTTOU;
}

// Look at what TID (P_PID) or anybody (P_ALL) has to report, and leave it there.
static bool peek(idtype_t type, pid_t tid, siginfo_t *ret)
{
	*ret = (siginfo_t){};
	return waitid(type, (id_t)tid, ret, WEXITED | WSTOPPED | WNOWAIT | WNOHANG | __WALL) == 0 &&
	       ret->si_pid;
}

static bool consume(pid_t tid, int *status)
{
	return waitpid(tid, status, __WALL | WNOHANG) == tid;
}

static void let_run(struct tracee *t, int signo)
{
	t->state = TRACEE_RUNNING;
	// ESRCH: torn away by SIGKILL. Its exit stop comes next.
	ptrace(PTRACE_CONT, t->tid, 0, signo);
}

void tracer_resume(struct tracee *tracee)
{
	if (tracee->state == TRACEE_AT_SIGNAL) {
		let_run(tracee, tracee->stop_signal);
	} else if (tracee->state == TRACEE_AT_EVENT && tracee->stop_signal) {
		tracee->state = TRACEE_LISTENING;
		ptrace(PTRACE_LISTEN, tracee->tid, 0, 0);
	} else if (tracee->state == TRACEE_AT_EVENT || tracee->state == TRACEE_AT_EXIT) {
		let_run(tracee, 0);
	}
}

static pid_t event_message(pid_t tid)
{
	unsigned long msg = 0;

	return ptrace(PTRACE_GETEVENTMSG, tid, 0, &msg) < 0 ? 0 : (pid_t)msg;
}

static bool is_thread_of(const struct traced *p, pid_t tid)
{
	char name[32];

	snprintf(name, sizeof(name), "task/%d", (int)tid);
	return faccessat(p->proc_dir, name, F_OK, 0) == 0;
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
		struct error *err = add_process(tracer, status.tgid, &p);
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
	return add_tracee(tracer, p, tid, ret);
}

// Does this exit stop end a thread alone, leaving others to live?
static bool exits_alone(const struct tracee *t)
{
	struct regs regs;
	size_t others = 0;

	for (const struct tracee *o = t->process->tracees; o; o = o->next_in_process)
		if (o != t && o->state != TRACEE_AT_EXIT && o->state != TRACEE_ENDED)
			others++;
	if (!others || !general_registers(t->tid, &regs))
		return false;
	struct procmem live;
	procmem_init(&live, t->process->pid, t->process->mem_fd);
	return regs_syscall_at(&regs, &live.mem) == regs.arch->nr_exit;
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
			remove_tracee(tracer, o);
	}
	free(t->first_chance);
	t->first_chance = NULL;
	int dir;
	if (!error_drop(procfs_open(p->pid, &dir))) {
		closep(&p->proc_dir);
		p->proc_dir = dir;
		p->dir_tid = p->pid;
	}
	close_image(p);
	open_image(p);
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

	remove_tracee(tracer, t);
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

	if (!consume(t->tid, &status))
		return NULL;
	t->state = TRACEE_AT_EVENT;
	t->stop_signal = 0;
	switch (event) {
	case PTRACE_EVENT_STOP:
		if (is_stop_signal(signo)) {
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
		pid_t tid = event_message(t->tid);

		if (tid > 0 && !tracer_tracee(tracer, tid)) {
			if (event == PTRACE_EVENT_CLONE && is_thread_of(p, tid))
				err = add_tracee(tracer, p, tid, NULL);
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
		t->exit_status = event_message(t->tid);
		if (tracer->spawned == p || exits_alone(t) ||
		    (!t->exit_status && gives_way_to_exec(t))) {
			tracer_resume(t);
			// A leader stays listed as a zombie until the last thread has gone.
			t->state = TRACEE_ENDED;
			if (t->tid == p->dir_tid)
				move_to_living_thread(p);
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

// One thing that a child of ours has to report; ret->kind stays EVENT_TIMEOUT when nobody cares.
static struct error *serve(struct tracer *tracer, const siginfo_t *si, struct event *ret)
{
	pid_t tid = si->si_pid;
	struct tracee *t = tracer_tracee(tracer, tid);
	int event = si->si_status >> 8, signo = si->si_status & 0xff, status;
	struct traced *made = NULL;

	if (si->si_code == CLD_EXITED || si->si_code == CLD_KILLED || si->si_code == CLD_DUMPED) {
		if (consume(tid, &status) && t)
			ended(tracer, t, status, ret);
		return NULL;
	}
	if (!t) {
		struct error *err = adopt(tracer, tid, 0, &t, &made);

		if (err)
			return err;
		if (!t) {
			if (consume(tid, &status))
				ptrace(PTRACE_DETACH, tid, 0, event ? 0 : signo);
			return NULL;
		}
	}
	// That it is new shows in whatever it reports: nothing of that may be dropped.
	if (event) {
		struct error *err = event_stop(tracer, t, event, signo, ret);

		if (!err && made && ret->kind == EVENT_TIMEOUT)
			*ret = (struct event){ .kind = EVENT_NEW_PROCESS, .process = made };
		return err;
	}
	t->state = TRACEE_AT_SIGNAL;
	t->stop_signal = signo;
	// None of these ever ends a process, and SIGCHLD may come by the thousand.
	if (signo == SIGCHLD || signo == SIGWINCH || signo == SIGURG || signo == SIGCONT ||
	    is_stop_signal(signo))
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
			if (t->state == TRACEE_RUNNING && peek(P_PID, t->tid, &si))
				tracer->ready[tracer->n_ready++] = t->tid;
		}
}

static bool next_report(struct tracer *tracer, siginfo_t *ret)
{
	while (tracer->n_ready)
		if (peek(P_PID, tracer->ready[--tracer->n_ready], ret))
			return true;
	return peek(P_ALL, 0, ret);
}

// Fetch a signal of our own, waiting WAIT nanoseconds at most. 0: none.
static int own_signal(const sigset_t *set, int64_t wait, siginfo_t *ret)
{
	struct timespec ts = { .tv_sec = wait / 1000000000, .tv_nsec = wait % 1000000000 };
	int signo = sigtimedwait(set, ret, &ts);

	return signo < 0 ? 0 : signo;
}

struct error *tracer_next(struct tracer *tracer, int64_t deadline, struct event *ret)
{
	struct event event = { .kind = EVENT_TIMEOUT };
	sigset_t others = tracer->waited;
	siginfo_t si;

	sigdelset(&others, SIGCHLD);
	for (;;) {
		if (++tracer->served % LOOK_AROUND_EVERY == 0) {
			if (own_signal(&others, 0, &event.own_signal)) {
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
		int signo = own_signal(&tracer->waited, left < 0 ? 0 : left, &event.own_signal);
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

// What T reports while its process is collected. False: nothing yet.
static bool collect(struct tracer *tracer, struct tracee *t, bool dying)
{
	siginfo_t si;
	int status;

	if (!peek(P_PID, t->tid, &si))
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
	if (!consume(t->tid, &status))
		return false;
	t->state = TRACEE_AT_EVENT;
	t->stop_signal = 0;
	if (event == PTRACE_EVENT_EXIT) {
		t->state = TRACEE_AT_EXIT;
		t->exit_status = event_message(t->tid);
		if (dying || !exits_alone(t))
			return true;
		let_run(t, 0);
		t->state = TRACEE_ENDED;
		return true;
	}
	if (event == PTRACE_EVENT_STOP) {
		t->stop_signal = is_stop_signal(signo) ? signo : 0;
	} else if (event == PTRACE_EVENT_CLONE) {
		pid_t tid = event_message(t->tid);

		// A process instead of a thread, or one that cannot be noted for want of memory,
		// reports itself later.
		if (tid > 0 && !tracer_tracee(tracer, tid) && is_thread_of(t->process, tid))
			error_drop(add_tracee(tracer, t->process, tid, NULL));
	}
	if (dying) {
		let_run(t, 0);
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
		if (own_signal(&chld, left < slice ? left : slice, &si))
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
