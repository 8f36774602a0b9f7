/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "analyse/opinion.h"
#include "analyse/verdict.h"
#include "cleanup.h"

#define PID 4242
#define NOW INT64_C(1700000000000000000)
#define SEC INT64_C(1000000000)

/*
 * A death made in memory: one Python thread in a running server, which the cases below change
 * before it is judged.
 */
struct world {
	struct snapshot snapshot;
	struct findings findings;
	struct thread_findings *dying;
	struct module python, libc, extension;
};

static struct frame *native(struct world *w, const char *function, struct module *module)
{
	struct frame *frame = LIST_ADD(&w->findings.arena, &w->dying->native.frames);

	assert_non_null(frame);
	frame->kind = FRAME_NATIVE;
	frame->function = (char *)function;
	frame->module = module;
	frame->module_offset = 0x1234;
	frame->eval_loop = function && !strcmp(function, "_PyEval_EvalFrameDefault");
	return frame;
}

static struct frame *python(struct world *w, const char *file, int line, const char *function)
{
	struct frame *frame = LIST_ADD(&w->findings.arena, &w->dying->python.frames);

	assert_non_null(frame);
	frame->kind = FRAME_PYTHON;
	frame->file = (char *)file;
	frame->line = line;
	frame->function = (char *)function;
	return frame;
}

// The dying thread is in a system call with these arguments.
static void in_syscall(struct world *w, const char *name, uint64_t a, uint64_t b, uint64_t c)
{
	struct thread *thread = &w->snapshot.threads.v[0];
	const struct arch *arch = arch_by_name("x86_64");

	w->dying->syscall = (char *)name;
	thread->regs.arch = arch;
	thread->regs.r[arch->arguments[0]] = a;
	thread->regs.r[arch->arguments[1]] = b;
	thread->regs.r[arch->arguments[2]] = c;
}

static void world_init(struct world *w)
{
	memset(w, 0, sizeof(*w));
	w->python.path = (char *)"/usr/bin/python3.11";
	w->libc.path = (char *)"/lib/x86_64-linux-gnu/libc.so.6";
	w->extension.path = (char *)"/opt/app/_fast.cpython-311-x86_64-linux-gnu.so";
	struct snapshot *s = &w->snapshot;
	struct arena *arena = &w->findings.arena;
	s->time.death = NOW;
	s->host.arch = arch_by_name("x86_64");
	s->process.pid = PID;
	s->process.ppid = 100;
	s->process.pgid = PID;
	s->process.comm = (char *)"python3";
	s->process.have_dispositions = true;
	s->process.memory_limit = s->process.memory_usage = -1;
	s->process.oom_kills_before = s->process.oom_kills_after = -1;
	struct process_ref *parent = LIST_ADD(arena, &s->process.ancestors);
	*parent = (struct process_ref){ .pid = 100, .uid = 0, .comm = (char *)"launcher" };
	s->death.tid = PID;
	s->python.found = true;
	struct thread *thread = LIST_ADD(arena, &s->threads);
	thread->tid = PID;
	thread->regs.arch = s->host.arch;
	w->findings.snapshot = s;
	w->findings.python.present = true;
	w->findings.python.library = w->python.path;
	w->dying = LIST_ADD(arena, &w->findings.threads);
	w->dying->thread = thread;
	w->dying->has_python = true;
	w->findings.dying = w->dying;
}

static void running(struct world *w)
{
	native(w, "_PyEval_EvalFrameDefault", &w->python);
	python(w, "/opt/app/app.py", 31, "stream");
	python(w, "/opt/app/app.py", 90, "<module>");
}

static void torn_down(struct world *w)
{
	native(w, "_exit", &w->libc);
	native(w, "__run_exit_handlers", &w->libc);
	native(w, "exit", &w->libc);
	native(w, "__libc_start_call_main", &w->libc);
	w->findings.python.finalizing = true;
}

static void exits(struct world *w, int code)
{
	w->snapshot.death.kind = DEATH_EXIT;
	w->snapshot.death.exit_code = code;
}

static void dies(struct world *w, int signo, int code, pid_t pid)
{
	struct death *death = &w->snapshot.death;

	death->kind = DEATH_SIGNAL;
	death->signo = signo;
	death->info = (struct signal_info){ .signo = signo, .code = code, .pid = pid };
	if (code > 0)
		death->sender.kind = SENDER_KERNEL;
	else if (pid == PID)
		death->sender.kind = SENDER_SELF;
	else if (pid == 0)
		death->sender.kind = SENDER_OUTSIDE;
	else
		death->sender.kind = SENDER_PROCESS;
	death->sender.source = SOURCE_SIGINFO;
	death->sender.process = (struct process_ref){ .pid = pid, .uid = 1000 };
	if (death->sender.kind == SENDER_PROCESS)
		death->sender.process.comm = (char *)"killer";
}

// The kernel tells only that it was this signal: no siginfo was seen.
static void dies_unseen(struct world *w, int signo)
{
	w->snapshot.death.kind = DEATH_SIGNAL;
	w->snapshot.death.signo = signo;
}

static struct signal_event *earlier(struct world *w, int signo, int64_t ago, const char *comm)
{
	struct signal_event *event = LIST_ADD(&w->findings.arena, &w->snapshot.death.earlier);

	assert_non_null(event);
	event->info.signo = signo;
	event->at = event->last = NOW - ago;
	event->count = 1;
	event->disposition = SIGNAL_HANDLED;
	event->sender.kind = comm ? SENDER_PROCESS : SENDER_KERNEL;
	event->sender.process = (struct process_ref){ .pid = 777, .comm = (char *)comm };
	return event;
}

static void text(struct bytes *bytes, const char *s)
{
	*bytes = (struct bytes){ .data = (uint8_t *)s, .len = strlen(s) };
}

static void limits(struct world *w, const char *line)
{
	text(&w->snapshot.process.limits, line);
}

static struct exception *exception(struct world *w, const char *type, const char *message)
{
	struct exception *e = arena_alloc(&w->findings.arena, sizeof(*e));

	assert_non_null(e);
	e->type = (char *)type;
	e->message = (char *)message;
	e->source = (char *)"traceback in /var/log/app.log (fd 2)";
	struct frame *frame = LIST_ADD(&w->findings.arena, &e->traceback.frames);
	frame->kind = FRAME_PYTHON;
	frame->file = (char *)"/opt/app/app.py";
	frame->line = 12;
	frame->function = (char *)"pay";
	w->findings.python.exception = e;
	return e;
}

static struct fd *open_fd(struct world *w, int number, const char *target)
{
	struct fd *fd = LIST_ADD(&w->findings.arena, &w->snapshot.process.fds);

	assert_non_null(fd);
	fd->fd = number;
	fd->target = (char *)target;
	w->snapshot.process.have_fds = true;
	return fd;
}

static void fault(struct world *w, enum fault_class class, const char *explanation)
{
	w->findings.fault = (struct fault){ .present = true,
					    .class = class,
					    .explanation = (char *)explanation };
}

/* Exits. */

static void clean(struct world *w)
{
	exits(w, 0), torn_down(w);
}
static void code_3(struct world *w)
{
	exits(w, 3), torn_down(w);
}
static void code_137(struct world *w)
{
	exits(w, 137), torn_down(w);
}
static void code_1(struct world *w)
{
	exits(w, 1), torn_down(w);
}

static void no_python(struct world *w)
{
	exits(w, 1);
	w->snapshot.python.found = w->findings.python.present = false;
}

static void uncaught(struct world *w)
{
	code_1(w), exception(w, "PaymentError", "no customer");
}
static void followed(struct world *w)
{
	code_1(w), exception(w, "KeyError", "'x'")->followed = true;
}
static void exception_but_3(struct world *w)
{
	code_3(w), exception(w, "KeyError", "'x'");
}

static void exception_but_signal(struct world *w)
{
	running(w), exception(w, "KeyError", "'x'"), dies(w, SIGTERM, SI_USER, 55);
}

static void logged(struct world *w)
{
	code_1(w);
	w->findings.python.logged_exception = (char *)"KeyError: 'x' in /var/log/app.log (fd 2)";
}

static void os_exit(struct world *w)
{
	exits(w, 0);
	native(w, "_exit", &w->libc);
	native(w, "os__exit", &w->python);
	running(w);
}

static void os_exit_stripped(struct world *w)
{
	exits(w, 7);
	native(w, "_exit", &w->libc);
	native(w, NULL, &w->python);
	native(w, "PyObject_Vectorcall", &w->python);
	running(w);
}

static void os_exit_no_names(struct world *w)
{
	exits(w, 7);
	native(w, NULL, &w->libc);
	running(w);
}

// Python code that an exit handler of C's runs: what lies outside of it does not count.
static void os_exit_within_exit(struct world *w)
{
	os_exit(w);
	native(w, "__run_exit_handlers", &w->libc);
	native(w, "exit", &w->libc);
}

// A traceback that the program printed before it called os._exit(1) is not what ended it.
static void os_exit_after_traceback(struct world *w)
{
	os_exit(w);
	exits(w, 1);
	exception(w, "KeyError", "'x'");
}

static void raw_exit_in_extension(struct world *w)
{
	exits(w, 4);
	native(w, "_exit", &w->libc);
	native(w, "give_up", &w->extension);
	running(w);
}

static void c_exit(struct world *w)
{
	exits(w, 5);
	native(w, "_exit", &w->libc);
	native(w, "__run_exit_handlers", &w->libc);
	native(w, "exit", &w->libc);
	native(w, "give_up", &w->extension);
	running(w);
}

static void forked_child(struct world *w)
{
	exits(w, 1);
	native(w, "_exit", &w->libc);
	native(w, "os__exit", &w->python);
	native(w, "_PyEval_EvalFrameDefault", &w->python);
	python(w, "/usr/lib/python3.11/multiprocessing/popen_fork.py", 71, "_launch");
	exception(w, "ValueError", "c");
}

static void forked_child_done(struct world *w)
{
	forked_child(w);
	exits(w, 0);
	w->findings.python.exception = NULL;
}

static void forked_child_stripped(struct world *w)
{
	exits(w, 0);
	native(w, NULL, &w->python);
	native(w, "_PyEval_EvalFrameDefault", &w->python);
	python(w, "/usr/lib/python3.11/multiprocessing/popen_fork.py", 71, "_launch");
}

static void forked_child_3(struct world *w)
{
	forked_child_done(w), exits(w, 3);
}

// In what it runs for its parent, not behind it.
static void forked_child_os_exit(struct world *w)
{
	os_exit(w);
	python(w, "/usr/lib/python3.11/multiprocessing/popen_fork.py", 71, "_launch");
}

static void pool_child_stopped(struct world *w)
{
	exits(w, 15);
	native(w, "_exit", &w->libc);
	native(w, "_PyEval_EvalFrameDefault", &w->python);
	python(w, "/usr/lib/python3/dist-packages/billiard/pool.py", 310, "_do_exit");
	earlier(w, SIGTERM, SEC, "celery");
}

static void watchdog(struct world *w)
{
	exits(w, 1);
	native(w, "_exit", &w->libc);
	native(w, "faulthandler_thread", &w->python);
	w->dying->has_python = false;
	w->findings.python.watchdog = (char *)"0:00:05";
}

static void watchdog_stripped(struct world *w)
{
	exits(w, 1);
	native(w, "_exit", &w->libc);
	native(w, NULL, &w->python);
	w->dying->has_python = false;
	w->findings.python.watchdog = (char *)"0:00:05";
}

static void fatal_start(struct world *w)
{
	exits(w, 1);
	w->findings.python.fatal_error = (char *)"init_fs_encoding: failed to get the Python codec";
	w->findings.python.fatal_error_source = (char *)"/var/log/app.log (fd 2)";
}

static void shutdown_0(struct world *w)
{
	clean(w), earlier(w, SIGTERM, 3 * SEC / 2, "systemd");
}

static void shutdown_143(struct world *w)
{
	exits(w, 143), torn_down(w), earlier(w, SIGTERM, 2 * SEC, "systemd");
}

static void shutdown_os_exit(struct world *w)
{
	os_exit(w), earlier(w, SIGTERM, 2 * SEC, "systemd");
}
static void shutdown_by_crash(struct world *w)
{
	uncaught(w), earlier(w, SIGTERM, 2 * SEC, "systemd");
}
static void reloaded_long_ago(struct world *w)
{
	clean(w), earlier(w, SIGHUP, 7200 * SEC, "cron");
}
static void interrupted_long_ago(struct world *w)
{
	code_3(w), earlier(w, SIGINT, 7200 * SEC, NULL);
}
static void child_ended(struct world *w)
{
	clean(w), earlier(w, SIGCHLD, SEC, "worker");
}

static void ignored_term(struct world *w)
{
	code_3(w), earlier(w, SIGTERM, SEC, "systemd")->disposition = SIGNAL_IGNORED;
}

/* Faults and aborts. */

static void crash(struct world *w)
{
	dies(w, SIGSEGV, 1, 0);
	native(w, "string_at", &w->extension);
	running(w);
	fault(w, FAULT_NULL_POINTER, "It read through a null pointer.");
}

static void crash_general_protection(struct world *w)
{
	crash(w);
	w->snapshot.death.info.code = SI_KERNEL;
}

static void crash_handled(struct world *w)
{
	crash(w);
	w->snapshot.death.first_chance = true;
	w->findings.python.fatal_error = (char *)"Segmentation fault";
}

static void crash_unseen(struct world *w)
{
	dies_unseen(w, SIGBUS), running(w);
}

static void crash_rethrown(struct world *w)
{
	dies(w, SIGSEGV, SI_TKILL, PID);
	native(w, "raise", &w->libc);
	native(w, "faulthandler_fatal_error", &w->python);
	running(w);
}

static void crash_long_names(struct world *w)
{
	static char name[5000];

	memset(name, 'x', sizeof(name) - 1);
	crash(w);
	w->dying->native.frames.v[0].function = name;
	w->dying->python.frames.v[0].function = name;
	w->dying->python.frames.v[0].file = name;
	w->findings.fault.explanation = name;
}

static void segv_sent(struct world *w)
{
	running(w), dies(w, SIGSEGV, SI_USER, 55);
}
static void segv_to_itself(struct world *w)
{
	running(w), dies(w, SIGSEGV, SI_USER, PID);
}

// Somebody sent SIGSEGV and faulthandler took it first: the sender is still who sent it.
static void segv_sent_and_handled(struct world *w)
{
	segv_sent(w);
	w->snapshot.death.first_chance = true;
	w->findings.python.fatal_error = (char *)"Segmentation fault";
}

static void overflow(struct world *w)
{
	crash(w);
	fault(w, FAULT_STACK_OVERFLOW, "It pushed below the end of its stack.");
	limits(w,
	       "Max stack size            8388608              unlimited            bytes     \n");
}

static void seccomp_trap(struct world *w)
{
	dies(w, SIGSYS, 1, 0);
	w->snapshot.death.info.syscall = 110;
	in_syscall(w, "getppid", 0, 0, 0);
	running(w);
}

static void seccomp_kill(struct world *w)
{
	dies_unseen(w, SIGSYS);
	text(&w->snapshot.process.status, "Name:\tpython3\nPPid:\t100\nSeccomp:\t2\n");
	in_syscall(w, "getppid", 0, 0, 0);
	running(w);
}

static void seccomp_guess(struct world *w)
{
	dies_unseen(w, SIGSYS);
}
static void sys_sent(struct world *w)
{
	dies(w, SIGSYS, SI_USER, 55);
}

static void aborts(struct world *w)
{
	dies(w, SIGABRT, SI_TKILL, PID);
	native(w, "__pthread_kill_implementation", &w->libc);
	native(w, "raise", &w->libc);
	native(w, "abort", &w->libc);
	native(w, "free_twice", &w->extension);
	running(w);
	w->findings.fault.message = (char *)"free(): double free detected in tcache 2";
	w->findings.fault.message_source = (char *)"__abort_msg";
}

// faulthandler's words for SIGABRT are not Py_FatalError's.
static void aborts_handled(struct world *w)
{
	aborts(w);
	w->snapshot.death.first_chance = true;
	w->findings.python.fatal_error = (char *)"Aborted";
}

static void abort_sent(struct world *w)
{
	running(w), dies(w, SIGABRT, SI_USER, 1);
}

static void fatal_error(struct world *w)
{
	dies(w, SIGABRT, SI_TKILL, PID);
	native(w, "abort", &w->libc);
	native(w, "fatal_error", &w->python);
	native(w, "_Py_FatalErrorFunc", &w->python);
	native(w, "none_dealloc", &w->python);
	running(w);
	w->findings.python.fatal_error = (char *)"none_dealloc: deallocating None";
}

static void fatal_error_stripped(struct world *w)
{
	dies(w, SIGABRT, SI_TKILL, PID);
	native(w, "abort", &w->libc);
	native(w, NULL, &w->python);
	running(w);
	w->findings.python.fatal_error = (char *)"none_dealloc: deallocating None";
}

/* Pipes, limits, timers, terminals. */

static void broken_pipe(struct world *w)
{
	running(w);
	dies(w, SIGPIPE, SI_USER, PID);
	in_syscall(w, "sendto", 7, 0x7f0000, 24);
	struct fd *fd = open_fd(w, 7, "socket:[123]");
	fd->is_socket = true;
	fd->socket = (struct socket){ .family = (char *)"inet",
				      .type = (char *)"stream",
				      .local = (char *)"127.0.0.1:8000",
				      .peer = (char *)"127.0.0.1:51234",
				      .state = (char *)"CLOSE" };
}

// Some know that a SIGPIPE in one's own name is the kernel's.
static void broken_pipe_by_kernel(struct world *w)
{
	broken_pipe(w);
	w->snapshot.death.sender.kind = SENDER_KERNEL;
}

static void broken_stdout(struct world *w)
{
	running(w);
	dies(w, SIGPIPE, SI_USER, PID);
	in_syscall(w, "write", 1, 0x7f0000, 24);
	open_fd(w, 1, "pipe:[99]");
}

// Where one register is the first argument and the result, the descriptor is lost.
static void broken_pipe_lost_fd(struct world *w)
{
	broken_stdout(w);
	in_syscall(w, "write", (uint64_t)-32, 0x7f0000, 24);
}

static void broken_pipe_splice(struct world *w)
{
	broken_pipe(w);
	in_syscall(w, "splice", 3, 0, 7);
}

static void pipe_to_itself(struct world *w)
{
	broken_pipe(w);
	in_syscall(w, "kill", PID, SIGPIPE, 0);
}

static void pipe_sent(struct world *w)
{
	broken_pipe(w);
	dies(w, SIGPIPE, SI_USER, 55);
}

static void cpu_limit(struct world *w)
{
	running(w);
	dies(w, SIGXCPU, SI_KERNEL, 0);
	limits(w,
	       "Limit   Soft   Hard   Units\n"
	       "Max cpu time              10                   20                   seconds   \n");
	text(&w->snapshot.process.stat,
	     "4242 (a) b) R 100 4242 4242 0 -1 4194304 1 0 0 0 998 4 0 0 20 0");
}

// As it reads once the kernel has sent the signal.
static void cpu_limit_raised(struct world *w)
{
	cpu_limit(w);
	limits(w,
	       "Limit   Soft   Hard   Units\n"
	       "Max cpu time              11                   20                   seconds   \n");
}

static void cpu_sent(struct world *w)
{
	cpu_limit(w);
	dies(w, SIGXCPU, SI_USER, 55);
}

static void file_limit(struct world *w)
{
	running(w);
	dies(w, SIGXFSZ, SI_USER, PID);
	in_syscall(w, "write", 5, 0x7f0000, 4096);
	open_fd(w, 5, "/var/tmp/big");
	limits(w,
	       "Max file size             8192                 unlimited            bytes     \n");
}

static void alarm_expired(struct world *w)
{
	running(w), dies(w, SIGALRM, SI_KERNEL, 0);
}
static void alarm_sent(struct world *w)
{
	running(w), dies(w, SIGALRM, SI_USER, 55);
}

static void posix_timer(struct world *w)
{
	running(w);
	dies(w, SIGUSR1, SI_TIMER, 0);
	w->snapshot.death.info.timer_id = 3;
}

static void hangup(struct world *w)
{
	running(w);
	dies(w, SIGHUP, SI_KERNEL, 0);
	w->snapshot.process.tty = (char *)"/dev/pts/3";
}

static void hangup_sent(struct world *w)
{
	running(w), dies(w, SIGHUP, SI_USER, 55);
}

// `run` led the session and passed on what the kernel told it; siginfo has pcatch's pid.
static void hangup_forwarded(struct world *w)
{
	hangup(w);
	w->snapshot.death.info.code = SI_USER;
	w->snapshot.death.info.pid = 100;
	w->snapshot.death.sender.forwarded = true;
}

static void parent_died(struct world *w)
{
	running(w);
	dies(w, SIGTERM, SI_USER, 100);
	w->snapshot.death.sender.process.comm = NULL;
	w->snapshot.death.sender.gone = true;
	text(&w->snapshot.process.status, "Name:\tpython3\nPPid:\t1\n");
}

static void parent_killed_it(struct world *w)
{
	parent_died(w);
	w->snapshot.death.sender.gone = false;
	text(&w->snapshot.process.status, "Name:\tpython3\nPPid:\t100\n");
}

// The kernel's records know when the parent began to end.
static void parent_died_on_record(struct world *w)
{
	parent_killed_it(w);
	w->snapshot.death.sender.gone = true;
	w->snapshot.death.sender.life = SENDER_ENDING;
}

static void shell_died_on_record(struct world *w)
{
	parent_died_on_record(w);
	dies(w, SIGHUP, SI_USER, 100);
	w->snapshot.death.sender.process.comm = (char *)"bash";
	w->snapshot.death.sender.life = SENDER_ENDING;
}

// kill(0, SIGKILL): it is gone as soon as the process.
static void parent_killed_its_group(struct world *w)
{
	parent_died(w);
	dies(w, SIGKILL, SI_USER, 100);
	w->snapshot.death.sender.gone = true;
	w->snapshot.death.sender.source = SOURCE_TRACEPOINT;
	w->snapshot.death.sender.relation = RELATION_PARENT;
	w->snapshot.death.sender.life = SENDER_RUNNING;
}

static void shell_hung_up(struct world *w)
{
	parent_died(w);
	dies(w, SIGHUP, SI_USER, 100);
	w->snapshot.death.sender.process.comm = (char *)"bash";
}

/* Sent. */

static void term_sent(struct world *w)
{
	running(w);
	dies(w, SIGTERM, SI_USER, 55);
	w->snapshot.death.sender.user = (char *)"alice";
}

static void term_by_systemd(struct world *w)
{
	term_sent(w);
	w->snapshot.death.sender.process.pid = w->snapshot.death.info.pid = 1;
	w->snapshot.death.sender.process.comm = (char *)"systemd";
}

static void term_by_some_init(struct world *w)
{
	term_by_systemd(w);
	w->snapshot.death.sender.process.comm = (char *)"start.sh";
}

static void term_by_supervisord(struct world *w)
{
	static char *argv[] = { (char *)"/usr/bin/python3", (char *)"/usr/bin/supervisord" };

	term_sent(w);
	w->snapshot.death.sender.process.comm = (char *)"python3";
	w->snapshot.death.sender.process.cmdline.v = argv;
	w->snapshot.death.sender.process.cmdline.n = 2;
}

static void term_by_ancestor(struct world *w)
{
	term_sent(w);
	w->snapshot.death.sender.relation = RELATION_ANCESTOR;
}

static void term_from_outside(struct world *w)
{
	running(w), dies(w, SIGTERM, SI_USER, 0);
}

// Whoever runs a container is above everything that is in it.
static void kill_by_ancestor_outside(struct world *w)
{
	running(w), dies(w, SIGKILL, SI_USER, 0);
	w->snapshot.death.sender = (struct sender){
		.kind = SENDER_OUTSIDE,
		.process = { .pid = 55, .uid = 0, .comm = (char *)"pytest" },
		.relation = RELATION_ANCESTOR,
		.source = SOURCE_TRACEPOINT,
	};
}

// It starts a process for each signal.
static void docker_stop(struct world *w)
{
	kill_by_ancestor_outside(w);
	w->snapshot.death.sender.process.comm = (char *)"runc";
	w->snapshot.death.sender.relation = RELATION_OTHER;
	struct signal_event *e = LIST_ADD(&w->findings.arena, &w->snapshot.death.earlier);
	assert_non_null(e);
	*e = (struct signal_event){
		.info = { .signo = SIGTERM },
		.at = NOW - INT64_C(10000000000),
		.last = NOW - INT64_C(10000000000),
		.count = 1,
		.disposition = SIGNAL_HANDLED,
		.sender = w->snapshot.death.sender,
	};
	e->sender.process.pid = 54;
}

// The sender was gone before anybody could look, so nobody filled in what siginfo alone says.
static void term_by_nobody_known(struct world *w)
{
	term_sent(w);
	w->snapshot.death.sender = (struct sender){ .kind = SENDER_UNKNOWN };
}

// `run` hands a signal on: siginfo has pcatch's pid, the sender is who sent it to pcatch.
static void term_forwarded(struct world *w)
{
	term_sent(w);
	w->snapshot.death.info.pid = 99;
	w->snapshot.death.sender.forwarded = true;
}

static void interrupt_key(struct world *w)
{
	running(w);
	dies(w, SIGINT, SI_KERNEL, 0);
	w->snapshot.process.tty = (char *)"/dev/pts/3";
}

static void keyboard_interrupt(struct world *w)
{
	dies(w, SIGINT, SI_USER, PID);
	torn_down(w);
	earlier(w, SIGINT, SEC / 5, "bash");
	exception(w, "KeyboardInterrupt", NULL);
}

static void keyboard_interrupt_key(struct world *w)
{
	dies(w, SIGINT, SI_USER, PID);
	torn_down(w);
	earlier(w, SIGINT, SEC / 5, NULL);
	w->snapshot.process.tty = (char *)"/dev/pts/3";
}

// A handler of the program's own, which says by which signal it ended.
static void interrupt_again(struct world *w)
{
	running(w);
	dies(w, SIGINT, SI_USER, PID);
	earlier(w, SIGINT, SEC / 5, "bash");
}

static void term_to_itself(struct world *w)
{
	running(w);
	dies(w, SIGTERM, SI_USER, PID);
	in_syscall(w, "kill", PID, SIGTERM, 0);
}

static void user_signal(struct world *w)
{
	running(w), dies(w, SIGUSR1, SI_USER, 55);
}
static void realtime_signal(struct world *w)
{
	running(w), dies(w, SIGRTMIN + 3, SI_QUEUE, 55);
}
static void kill_9(struct world *w)
{
	running(w), dies_unseen(w, SIGKILL);
}
// What /proc/PID/limits says of nearly everybody.
static void kill_without_limit(struct world *w)
{
	kill_9(w);
	limits(w, "Max cpu time              unlimited            unlimited            seconds   \n");
}

static void kill_under_supervisors(struct world *w)
{
	kill_9(w);
	struct process_ref *manager = &w->snapshot.process.ancestors.v[0];
	manager->comm = (char *)"gunicorn";
	struct process_ref *shell = LIST_ADD(&w->findings.arena, &w->snapshot.process.ancestors);
	*shell = (struct process_ref){ .pid = 90, .comm = (char *)"bash" };
	struct process_ref *init = LIST_ADD(&w->findings.arena, &w->snapshot.process.ancestors);
	*init = (struct process_ref){ .pid = 1, .comm = (char *)"systemd" };
}

// An asyncio server that waits for the next request.
static void term_while_idle(struct world *w)
{
	native(w, "_PyEval_EvalFrameDefault", &w->python);
	python(w, "/usr/lib/python3.11/selectors.py", 468, "EpollSelector.select");
	python(w, "/usr/lib/python3.11/asyncio/base_events.py", 1884, "BaseEventLoop._run_once");
	python(w, "/usr/lib/python3.11/asyncio/base_events.py", 607, "BaseEventLoop.run_forever");
	python(w, "/opt/app/app.py", 90, "<module>");
	in_syscall(w, "epoll_wait", 3, 0, 0);
	for (int i = 0; i < 2; i++) {
		struct task *task = LIST_ADD(&w->findings.arena, &w->findings.python.tasks);
		task->thread = i ? PID : PID + 1;
	}
	dies(w, SIGTERM, SI_USER, 55);
}

static void kill_after_term(struct world *w)
{
	kill_9(w), earlier(w, SIGTERM, 10 * SEC, "systemd");
}

static void kill_no_oom(struct world *w)
{
	kill_9(w);
	w->snapshot.process.oom_kills_before = w->snapshot.process.oom_kills_after = 2;
}

static void kill_oom(struct world *w)
{
	kill_9(w);
	w->snapshot.process.oom_kills_before = 2;
	w->snapshot.process.oom_kills_after = 3;
	w->snapshot.process.memory_limit = 64 << 20;
	w->snapshot.process.cgroup_others = 3;
	struct cgroup_level *own = LIST_ADD(&w->findings.arena, &w->snapshot.process.cgroup_levels);
	*own = (struct cgroup_level){ .path = (char *)"/app/worker",
				      .limit = 64 << 20,
				      .peak = 64 << 20,
				      .kills_before = 2,
				      .kills_after = 3 };
}

static void kernel_says(struct world *w, const char *text)
{
	struct kernel_line *line = LIST_ADD(&w->findings.arena, &w->snapshot.kernel_log.lines);

	assert_non_null(line);
	line->text = (char *)text;
	w->snapshot.kernel_log.followed = w->snapshot.kernel_log.whole = true;
}

#define OOM_CONTEXT                                                                                \
	"oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,"            \
	"oom_memcg=/app,task_memcg=/app/worker,task=python3,pid="
#define OOM_KILLED "Memory cgroup out of memory: Killed process "
#define OOM_SIZES  " (python3) total-vm:296300kB, anon-rss:65024kB, file-rss:6588kB, shmem-rss:0kB, UID:0"

static void kill_oom_logged(struct world *w)
{
	kill_oom(w);
	kernel_says(w, "[   4100]     0  4100    74075    20000    19000  100    0   184320  0  0 greedy");
	kernel_says(w, "[   4242]     0  4242    74075    16256    15000  100    0   184320  0  0 python3");
	kernel_says(w, OOM_CONTEXT "4242,uid=0");
	kernel_says(w, OOM_KILLED "4242" OOM_SIZES);
}

static void kill_oom_machine(struct world *w)
{
	kill_oom(w);
	kernel_says(w, "Out of memory: Killed process 4242" OOM_SIZES);
}

static void kill_while_another_is_out_of_memory(struct world *w)
{
	kill_oom(w);
	kernel_says(w, OOM_CONTEXT "4100,uid=0");
	kernel_says(w, OOM_KILLED "4100" OOM_SIZES);
}

static void kill_oom_alone(struct world *w)
{
	kill_oom(w);
	w->snapshot.process.cgroup_others = 0;
}

static void kernel_raises(struct world *w)
{
	w->snapshot.death.info = (struct signal_info){ .signo = SIGKILL, .code = SI_KERNEL };
	w->snapshot.death.sender =
		(struct sender){ .kind = SENDER_KERNEL, .source = SOURCE_TRACEPOINT };
}

static void kill_oom_recorded(struct world *w)
{
	kill_oom(w);
	kernel_raises(w);
}

// The init of a container may have been struck, and the rest of it killed for that.
static void kill_oom_recorded_in_a_namespace(struct world *w)
{
	kill_oom_recorded(w);
	*LIST_ADD(&w->findings.arena, &w->snapshot.process.ns_pids) = PID;
	*LIST_ADD(&w->findings.arena, &w->snapshot.process.ns_pids) = 7;
}

static void kill_seen_while_oom(struct world *w)
{
	kill_oom(w);
	w->snapshot.death.sender =
		(struct sender){ .kind = SENDER_PROCESS,
				 .source = SOURCE_TRACEPOINT,
				 .process = { .pid = 55, .comm = (char *)"killer" } };
}

static void kill_cpu_limit(struct world *w)
{
	kill_9(w);
	limits(w,
	       "Max cpu time              5                    10                   seconds   \n");
	text(&w->snapshot.process.stat,
	     "4242 (python3) R 100 4242 4242 0 -1 4194304 1 0 0 0 998 4 0 0 20 0");
}

static void kill_below_cpu_limit(struct world *w)
{
	kill_cpu_limit(w);
	text(&w->snapshot.process.stat,
	     "4242 (python3) R 100 4242 4242 0 -1 4194304 1 0 0 0 500 4 0 0 20 0");
}

// Charged in whole ticks, of which a busy CPU gives too many.
static void kill_by_kernel_near_cpu_limit(struct world *w)
{
	kill_cpu_limit(w);
	text(&w->snapshot.process.stat,
	     "4242 (python3) R 100 4242 4242 0 -1 4194304 1 0 0 0 900 4 0 0 20 0");
	w->snapshot.death.info = (struct signal_info){ .signo = SIGKILL, .code = SI_KERNEL };
	w->snapshot.death.sender = (struct sender){ .kind = SENDER_KERNEL,
						    .process = { .pid = PID },
						    .source = SOURCE_TRACEPOINT };
}

// The init of its namespace is gone by the time that somebody looks.
static void namespace_ended(struct world *w)
{
	running(w), dies(w, SIGKILL, SI_KERNEL, 0);
	w->snapshot.death.sender = (struct sender){
		.kind = SENDER_KERNEL,
		.process = { .pid = 100, .uid = 0, .comm = (char *)"tini" },
		.relation = RELATION_PARENT,
		.source = SOURCE_TRACEPOINT,
		.gone = true,
	};
	*LIST_ADD(&w->findings.arena, &w->snapshot.process.ns_pids) = PID;
	*LIST_ADD(&w->findings.arena, &w->snapshot.process.ns_pids) = 7;
}

static void namespace_ended_on_record(struct world *w)
{
	namespace_ended(w);
	w->snapshot.death.sender.life = SENDER_ENDING;
}

// It would not have killed it in its own name.
static void namespace_lived(struct world *w)
{
	namespace_ended(w);
	w->snapshot.death.sender.life = SENDER_RUNNING;
}

static void kill_by_cgroup(struct world *w)
{
	dies(w, SIGKILL, SI_USER, 55);
	w->snapshot.death.sender.source = SOURCE_TRACEPOINT;
	w->snapshot.death.sender.on_behalf = true;
	w->snapshot.process.cgroup = (char *)"/shop.slice/web.service";
}

static void kill_itself(struct world *w)
{
	kill_9(w), in_syscall(w, "kill", PID, SIGKILL, 0);
}
static void kill_while_killing(struct world *w)
{
	kill_9(w), in_syscall(w, "kill", 55, SIGKILL, 0);
}
static void kill_while_terminating(struct world *w)
{
	kill_9(w), in_syscall(w, "kill", PID, 15, 0);
}

static void kill_seen(struct world *w)
{
	kill_9(w);
	w->snapshot.death.sender =
		(struct sender){ .kind = SENDER_PROCESS,
				 .source = SOURCE_TRACEPOINT,
				 .process = { .pid = 55, .comm = (char *)"killer" } };
}

static void alive(struct world *w)
{
	w->snapshot.death.kind = DEATH_SNAPSHOT;
	running(w);
	in_syscall(w, "epoll_wait", 3, 0, 0);
}

static void unseen(struct world *w)
{
	w->snapshot.death.kind = DEATH_UNKNOWN;
}

static const struct {
	const char *name;
	void (*make)(struct world *);
	enum cause cause;
	enum confidence confidence;
	const char *evidence;	/* must be in one of them; NULL: any */
	const char *summary[4]; /* all must be in it; "!x": must not */
} cases[] = {
#define CASE(make, cause, confidence, evidence, ...)                                               \
	{                                                                                          \
		#make, make, cause, confidence, evidence,                                          \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}
	CASE(clean, CAUSE_CLEAN_EXIT, CERTAIN, "code 0", "exit code 0"),
	CASE(code_3, CAUSE_EXIT_CODE, CERTAIN, "code 3", "exit code 3"),
	CASE(code_137, CAUSE_EXIT_CODE, CERTAIN, NULL, "137"),
	CASE(code_1, CAUSE_EXIT_CODE, LIKELY, NULL, "exit code 1"),
	CASE(no_python, CAUSE_EXIT_CODE, CERTAIN, NULL, "exit code 1"),
	CASE(uncaught, CAUSE_UNCAUGHT_EXCEPTION, LIKELY,
	     "the last thing in /var/log/app.log (fd 2)", "PaymentError (no customer)",
	     "app.py:12 in pay"),
	CASE(followed, CAUSE_UNCAUGHT_EXCEPTION, POSSIBLE, "something was written behind it",
	     "KeyError"),
	CASE(exception_but_3, CAUSE_EXIT_CODE, CERTAIN, NULL, "code 3", "!KeyError"),
	CASE(exception_but_signal, CAUSE_KILLED_BY_PROCESS, CERTAIN, NULL, "killer (pid 55)"),
	CASE(logged, CAUSE_EXIT_CODE, LIKELY, "KeyError: 'x' in", "exit code 1"),
	CASE(os_exit, CAUSE_OS_EXIT, CERTAIN, "/opt/app/app.py:31 in stream", "os._exit(0)",
	     "app.py:31 in stream"),
	CASE(os_exit_stripped, CAUSE_OS_EXIT, CERTAIN, NULL, "os._exit(7)", "app.py:31"),
	CASE(os_exit_no_names, CAUSE_OS_EXIT, LIKELY, "no names", "os._exit(7)", "app.py:31"),
	CASE(os_exit_within_exit, CAUSE_OS_EXIT, CERTAIN, NULL, "os._exit(0)"),
	CASE(os_exit_after_traceback, CAUSE_OS_EXIT, CERTAIN, NULL, "os._exit(1)"),
	CASE(raw_exit_in_extension, CAUSE_OS_EXIT, CERTAIN, "called by give_up", "C's _exit(4)"),
	CASE(c_exit, CAUSE_EXIT_CODE, CERTAIN, NULL, "exit(5)", "give_up (_fast.",
	     "app.py:31 in stream"),
	CASE(forked_child_done, CAUSE_CLEAN_EXIT, CERTAIN, "multiprocessing ends its children",
	     "child of multiprocessing whose work was over", "!no cleanup"),
	CASE(forked_child_stripped, CAUSE_CLEAN_EXIT, CERTAIN, NULL, "child of multiprocessing"),
	CASE(forked_child_3, CAUSE_EXIT_CODE, CERTAIN, NULL, "exit code 3", "child of multiprocessing"),
	CASE(forked_child_os_exit, CAUSE_OS_EXIT, CERTAIN, NULL, "os._exit(0)", "!child"),
	CASE(pool_child_stopped, CAUSE_GRACEFUL_SHUTDOWN, LIKELY, NULL, "code 15", "!os._exit"),
	CASE(forked_child, CAUSE_UNCAUGHT_EXCEPTION, LIKELY, NULL, "ValueError (c)"),
	CASE(watchdog, CAUSE_EXIT_CODE, CERTAIN, "watchdog", "faulthandler's watchdog", "0:00:05"),
	CASE(watchdog_stripped, CAUSE_EXIT_CODE, LIKELY, "Timeout", "faulthandler's watchdog"),
	CASE(fatal_start, CAUSE_PYTHON_FATAL_ERROR, LIKELY, "/var/log/app.log", "init_fs_encoding"),
	CASE(shutdown_0, CAUSE_GRACEFUL_SHUTDOWN, LIKELY, "took 1.5 s", "SIGTERM",
	     "systemd (pid 777)", "1.5 s", "code 0"),
	CASE(shutdown_143, CAUSE_GRACEFUL_SHUTDOWN, LIKELY, "128 + 15", "code 143"),
	CASE(shutdown_os_exit, CAUSE_GRACEFUL_SHUTDOWN, LIKELY, NULL, "os._exit at app.py:31"),
	CASE(shutdown_by_crash, CAUSE_UNCAUGHT_EXCEPTION, LIKELY, "SIGTERM from systemd",
	     "PaymentError"),
	CASE(reloaded_long_ago, CAUSE_CLEAN_EXIT, CERTAIN, NULL, "!SIGHUP"),
	CASE(interrupted_long_ago, CAUSE_EXIT_CODE, CERTAIN, NULL, "!SIGINT"),
	CASE(child_ended, CAUSE_CLEAN_EXIT, CERTAIN, NULL, "!SIGCHLD"),
	CASE(ignored_term, CAUSE_EXIT_CODE, CERTAIN, NULL, "!SIGTERM"),
	CASE(crash, CAUSE_NATIVE_CRASH, CERTAIN, "null pointer", "SIGSEGV", "string_at (_fast.",
	     "called from app.py:31 in stream", "null pointer"),
	CASE(crash_general_protection, CAUSE_NATIVE_CRASH, CERTAIN, "SI_KERNEL", "SIGSEGV"),
	CASE(crash_handled, CAUSE_NATIVE_CRASH, CERTAIN, "first fault", "SIGSEGV", "string_at"),
	CASE(crash_unseen, CAUSE_NATIVE_CRASH, LIKELY, NULL, "SIGBUS"),
	CASE(crash_rethrown, CAUSE_NATIVE_CRASH, LIKELY, "faulthandler's handler", "SIGSEGV"),
	CASE(crash_long_names, CAUSE_NATIVE_CRASH, CERTAIN, NULL, "SIGSEGV"),
	CASE(segv_sent, CAUSE_TERMINATED_BY_SIGNAL, CERTAIN, NULL, "SIGSEGV", "killer (pid 55)"),
	CASE(segv_to_itself, CAUSE_TERMINATED_BY_SIGNAL, CERTAIN, NULL, "itself", "app.py:31"),
	CASE(segv_sent_and_handled, CAUSE_TERMINATED_BY_SIGNAL, CERTAIN, NULL, "killer (pid 55)"),
	CASE(overflow, CAUSE_STACK_OVERFLOW, CERTAIN, "8.0 MiB", "ran out of stack",
	     "2 Python frames"),
	CASE(seccomp_trap, CAUSE_BAD_SYSTEM_CALL, CERTAIN, "number 110", "seccomp", "getppid"),
	CASE(seccomp_kill, CAUSE_BAD_SYSTEM_CALL, CERTAIN, "mode 2", "seccomp", "getppid",
	     "app.py:31"),
	CASE(seccomp_guess, CAUSE_BAD_SYSTEM_CALL, LIKELY, NULL, "seccomp"),
	CASE(sys_sent, CAUSE_TERMINATED_BY_SIGNAL, CERTAIN, NULL, "SIGSYS", "killer (pid 55)"),
	CASE(aborts, CAUSE_ABORT, CERTAIN, "double free", "double free", "free_twice", "!raise"),
	CASE(aborts_handled, CAUSE_ABORT, CERTAIN, "double free", "SIGABRT", "free_twice"),
	CASE(abort_sent, CAUSE_TERMINATED_BY_SIGNAL, CERTAIN, NULL, "SIGABRT", "killer (pid 1)"),
	CASE(fatal_error, CAUSE_PYTHON_FATAL_ERROR, CERTAIN, "deallocating None",
	     "deallocating None", "none_dealloc (python3.11)"),
	CASE(fatal_error_stripped, CAUSE_PYTHON_FATAL_ERROR, LIKELY, NULL, "deallocating None"),
	CASE(broken_pipe, CAUSE_BROKEN_PIPE, CERTAIN, "peer 127.0.0.1:51234, state CLOSE",
	     "127.0.0.1:51234", "fd 7", "app.py:31 in stream", "default"),
	CASE(broken_pipe_by_kernel, CAUSE_BROKEN_PIPE, CERTAIN, "CPython ignores it", "fd 7"),
	CASE(broken_stdout, CAUSE_BROKEN_PIPE, CERTAIN, "its stdout", "a pipe", "fd 1"),
	CASE(broken_pipe_lost_fd, CAUSE_BROKEN_PIPE, CERTAIN, NULL, "app.py:31", "!fd"),
	CASE(broken_pipe_splice, CAUSE_BROKEN_PIPE, CERTAIN, NULL, "fd 7"),
	CASE(pipe_to_itself, CAUSE_TERMINATED_BY_SIGNAL, CERTAIN, NULL, "SIGPIPE to itself"),
	CASE(pipe_sent, CAUSE_TERMINATED_BY_SIGNAL, CERTAIN, NULL, "SIGPIPE", "killer (pid 55)"),
	CASE(cpu_limit, CAUSE_RESOURCE_LIMIT, CERTAIN, "10.02 s", "10 s", "app.py:31"),
	CASE(cpu_limit_raised, CAUSE_RESOURCE_LIMIT, CERTAIN, "10.02 s", "limit of 10 s"),
	CASE(cpu_sent, CAUSE_TERMINATED_BY_SIGNAL, CERTAIN, NULL, "killer (pid 55)"),
	CASE(file_limit, CAUSE_RESOURCE_LIMIT, CERTAIN, "8192 bytes", "8.0 KiB", "/var/tmp/big"),
	CASE(alarm_expired, CAUSE_TIMER_EXPIRED, CERTAIN, NULL, "SIGALRM", "alarm()"),
	CASE(alarm_sent, CAUSE_TERMINATED_BY_SIGNAL, CERTAIN, NULL, "killer (pid 55)"),
	CASE(posix_timer, CAUSE_TIMER_EXPIRED, CERTAIN, "SI_TIMER", "POSIX timer 3"),
	CASE(hangup, CAUSE_TERMINAL_HANGUP, CERTAIN, "/dev/pts/3", "/dev/pts/3"),
	CASE(hangup_forwarded, CAUSE_TERMINAL_HANGUP, CERTAIN, "passed it on", "/dev/pts/3"),
	CASE(hangup_sent, CAUSE_TERMINATED_BY_SIGNAL, CERTAIN, NULL, "SIGHUP", "killer (pid 55)"),
	CASE(parent_died, CAUSE_PARENT_DEATH, LIKELY, "that parent had gone", "launcher (pid 100)"),
	CASE(parent_killed_it, CAUSE_KILLED_BY_SUPERVISOR, CERTAIN, NULL, "pid 100"),
	CASE(parent_died_on_record, CAUSE_PARENT_DEATH, CERTAIN, "at its end already",
	     "(pid 100) ended"),
	CASE(shell_died_on_record, CAUSE_PARENT_DEATH, CERTAIN, "at its end already", "SIGHUP"),
	CASE(parent_killed_its_group, CAUSE_KILLED_BY_SUPERVISOR, CERTAIN, NULL, "pid 100",
	     "!PR_SET_PDEATHSIG"),
	CASE(shell_hung_up, CAUSE_TERMINATED_BY_SIGNAL, CERTAIN, NULL, "SIGHUP", "bash (pid 100)"),
	CASE(term_sent, CAUSE_KILLED_BY_PROCESS, CERTAIN, "user alice", "killer (pid 55)",
	     "SIGTERM"),
	CASE(term_by_systemd, CAUSE_KILLED_BY_SUPERVISOR, CERTAIN, NULL, "systemd (pid 1)"),
	CASE(term_by_some_init, CAUSE_KILLED_BY_SUPERVISOR, CERTAIN, NULL, "start.sh (pid 1)"),
	CASE(term_by_supervisord, CAUSE_KILLED_BY_SUPERVISOR, CERTAIN, "supervisord", "pid 55"),
	CASE(term_by_ancestor, CAUSE_KILLED_BY_SUPERVISOR, CERTAIN, "its ancestor",
	     "killer (pid 55)"),
	CASE(term_from_outside, CAUSE_KILLED_FROM_OUTSIDE, CERTAIN, NULL, "outside", "SIGTERM"),
	CASE(kill_by_ancestor_outside, CAUSE_KILLED_FROM_OUTSIDE, CERTAIN, "pytest (pid 55)", "outside",
	     "pytest (pid 55)"),
	CASE(docker_stop, CAUSE_KILLED_FROM_OUTSIDE, CERTAIN, "the container runtime", "outside",
	     "10.0 s after SIGTERM", "grace time"),
	CASE(term_by_nobody_known, CAUSE_KILLED_BY_PROCESS, CERTAIN, "had ended", "pid 55"),
	CASE(term_forwarded, CAUSE_KILLED_BY_PROCESS, CERTAIN, "passed on by pcatch run", "pid 55"),
	CASE(interrupt_key, CAUSE_TERMINATED_BY_SIGNAL, CERTAIN, NULL, "/dev/pts/3", "^C"),
	CASE(keyboard_interrupt, CAUSE_TERMINATED_BY_SIGNAL, LIKELY, "KeyboardInterrupt",
	     "bash (pid 777)", "KeyboardInterrupt"),
	CASE(keyboard_interrupt_key, CAUSE_TERMINATED_BY_SIGNAL, LIKELY, NULL, "/dev/pts/3",
	     "as the interpreter does for a KeyboardInterrupt"),
	CASE(interrupt_again, CAUSE_TERMINATED_BY_SIGNAL, LIKELY, NULL, "bash (pid 777)",
	     "!KeyboardInterrupt"),
	CASE(term_to_itself, CAUSE_TERMINATED_BY_SIGNAL, CERTAIN, NULL, "SIGTERM to itself",
	     "app.py:31"),
	CASE(user_signal, CAUSE_TERMINATED_BY_SIGNAL, CERTAIN, NULL, "SIGUSR1", "killer (pid 55)"),
	CASE(realtime_signal, CAUSE_TERMINATED_BY_SIGNAL, CERTAIN, NULL, "SIGRTMIN",
	     "killer (pid 55)"),
	CASE(kill_9, CAUSE_KILLED_BY_UNKNOWN, CONFIDENCE_UNKNOWN, NULL, "SIGKILL", "app.py:31"),
	CASE(kill_after_term, CAUSE_KILLED_BY_UNKNOWN, CONFIDENCE_UNKNOWN, "SIGTERM from systemd",
	     "SIGKILL"),
	CASE(kill_no_oom, CAUSE_KILLED_BY_UNKNOWN, CONFIDENCE_UNKNOWN,
	     "out-of-memory: ", "SIGKILL"),
	CASE(kill_oom, CAUSE_OUT_OF_MEMORY, LIKELY, "from 2 to 3", "OOM", "64.0 MiB"),
	CASE(kill_oom_logged, CAUSE_OUT_OF_MEMORY, CERTAIN, "greedy (pid 4100) 78.1 MiB", "OOM",
	     "in the cgroup /app above"),
	CASE(kill_oom_machine, CAUSE_OUT_OF_MEMORY, CERTAIN, "63.5 MiB", "on the whole machine"),
	CASE(kill_oom_alone, CAUSE_OUT_OF_MEMORY, CERTAIN, "it was alone in there"),
	CASE(kill_oom_recorded, CAUSE_OUT_OF_MEMORY, CERTAIN, "the kernel itself raised SIGKILL", "OOM"),
	CASE(kill_oom_recorded_in_a_namespace, CAUSE_OUT_OF_MEMORY, LIKELY, "from 2 to 3", "OOM"),
	CASE(kill_while_another_is_out_of_memory, CAUSE_KILLED_BY_UNKNOWN, CONFIDENCE_UNKNOWN,
	     NULL, "SIGKILL"),
	CASE(kill_seen_while_oom, CAUSE_KILLED_BY_PROCESS, CERTAIN, NULL, "killer (pid 55)"),
	CASE(kill_cpu_limit, CAUSE_RESOURCE_LIMIT, LIKELY, "10.02 s", "10 s"),
	CASE(kill_by_kernel_near_cpu_limit, CAUSE_RESOURCE_LIMIT, LIKELY, "the kernel itself",
	     "10 s"),
	CASE(namespace_ended, CAUSE_KILLED_BY_SUPERVISOR, LIKELY, "which was ending", "tini (pid 100)",
	     "pid namespace"),
	CASE(namespace_ended_on_record, CAUSE_KILLED_BY_SUPERVISOR, CERTAIN, "which was ending",
	     "tini (pid 100)", "pid namespace"),
	CASE(namespace_lived, CAUSE_KILLED_BY_UNKNOWN, CONFIDENCE_UNKNOWN, NULL, "SIGKILL"),
	CASE(kill_by_cgroup, CAUSE_KILLED_BY_PROCESS, CERTAIN, "/shop.slice/web.service",
	     "cgroup.kill", "killer (pid 55)"),
	CASE(term_while_idle, CAUSE_KILLED_BY_PROCESS, CERTAIN, NULL,
	     "at app.py:90 in <module>, idle in its event loop (1 asyncio task pending)",
	     "!selectors", "!epoll"),
	CASE(kill_without_limit, CAUSE_KILLED_BY_UNKNOWN, CONFIDENCE_UNKNOWN, NULL, "SIGKILL"),
	CASE(kill_below_cpu_limit, CAUSE_KILLED_BY_UNKNOWN, CONFIDENCE_UNKNOWN, NULL, "SIGKILL"),
	CASE(kill_itself, CAUSE_TERMINATED_BY_SIGNAL, LIKELY, "kill", "SIGKILL to itself",
	     "app.py:31"),
	CASE(kill_while_killing, CAUSE_KILLED_BY_UNKNOWN, CONFIDENCE_UNKNOWN, NULL, "SIGKILL"),
	CASE(kill_while_terminating, CAUSE_KILLED_BY_UNKNOWN, CONFIDENCE_UNKNOWN, NULL, "SIGKILL"),
	CASE(kill_seen, CAUSE_KILLED_BY_PROCESS, CERTAIN, NULL, "SIGKILL", "killer (pid 55)"),
	CASE(alive, CAUSE_ALIVE, CERTAIN, NULL, "epoll_wait", "app.py:31", "1 thread"),
	CASE(unseen, CAUSE_VANISHED, CONFIDENCE_UNKNOWN, NULL, "not known"),
#undef CASE
};

static bool evidence_has(const struct verdict *verdict, const char *words)
{
	for (size_t i = 0; i < verdict->evidence.n; i++)
		if (strstr(verdict->evidence.v[i].text, words))
			return true;
	return false;
}

static void show(const struct verdict *verdict)
{
	print_message("  cause %d confidence %d: %s\n", verdict->cause, verdict->confidence,
		      verdict->summary);
	for (size_t i = 0; i < verdict->evidence.n; i++)
		print_message("    %c %s: %s\n", verdict->evidence.v[i].supports ? '+' : '-',
			      verdict->evidence.v[i].source, verdict->evidence.v[i].text);
	for (size_t i = 0; i < verdict->ruled_out.n; i++)
		print_message("    not %d: %s\n", verdict->ruled_out.v[i].cause,
			      verdict->ruled_out.v[i].because);
	for (size_t i = 0; i < verdict->advice.n; i++)
		print_message("    > %s\n", verdict->advice.v[i]);
}

// What holds of every verdict; the number of complaints.
static int check_form(const struct verdict *verdict)
{
	int bad = 0;
	size_t n = verdict->summary ? strlen(verdict->summary) : 0;

	if (n < 20 || n > OPINION_SUMMARY || strpbrk(verdict->summary, "\n\r\t\x1b")) {
		print_message("  a summary of %zu bytes, or not one line\n", n);
		bad++;
	}
	if (!verdict->evidence.n) {
		print_message("  no evidence\n");
		bad++;
	}
	for (size_t i = 0; i < verdict->evidence.n; i++)
		bad += !verdict->evidence.v[i].source || !*verdict->evidence.v[i].text;
	for (size_t i = 0; i < verdict->ruled_out.n; i++)
		if (verdict->ruled_out.v[i].cause == verdict->cause) {
			print_message("  its own cause is ruled out\n");
			bad++;
		}
	return bad;
}

static void test_every_way_to_end(void **state)
{
	int bad = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct world w;

		world_init(&w);
		cases[i].make(&w);
		assert_null(verdict_judge(&w.findings));
		const struct verdict *verdict = &w.findings.verdict;
		int wrong = check_form(verdict);
		wrong += verdict->cause != cases[i].cause ||
			 verdict->confidence != cases[i].confidence;
		for (size_t k = 0; k < ARRAY_SIZE(cases[i].summary) && cases[i].summary[k]; k++) {
			const char *words = cases[i].summary[k];
			bool not = *words == '!';

			if (!strstr(verdict->summary, words + not) != not) {
				print_message("  summary: %s\n", words);
				wrong++;
			}
		}
		if (cases[i].evidence && !evidence_has(verdict, cases[i].evidence)) {
			print_message("  evidence: %s\n", cases[i].evidence);
			wrong++;
		}
		if (wrong) {
			print_message("%s: expected cause %d confidence %d, got\n", cases[i].name,
				      cases[i].cause, cases[i].confidence);
			show(verdict);
			bad++;
		}
		arena_deinit(&w.findings.arena);
	}
	assert_int_equal(bad, 0);
}

// A death of which next to nothing could be captured still has a verdict, whatever it was.
static void test_nothing_captured(void **state)
{
	static const int codes[] = { SI_USER, SI_TKILL, SI_QUEUE, SI_TIMER, SI_KERNEL, 1, -60 };
	int bad = 0;

	(void)state;
	for (int kind = DEATH_EXIT; kind <= DEATH_UNKNOWN; kind++) {
		for (int signo = 1; signo <= 64; signo++) {
			for (size_t code = 0; code <= ARRAY_SIZE(codes); code++) {
				struct snapshot snapshot = {};
				struct findings findings = { .snapshot = &snapshot };

				snapshot.death.kind = (enum death_kind)kind;
				snapshot.death.signo = snapshot.death.exit_code = signo;
				snapshot.process.oom_kills_before = -1;
				if (code < ARRAY_SIZE(codes)) {
					snapshot.death.info.signo = signo;
					snapshot.death.info.code = codes[code];
				}
				assert_null(verdict_judge(&findings));
				if (check_form(&findings.verdict)) {
					print_message("kind %d signal %d code %zu\n", kind, signo,
						      code);
					show(&findings.verdict);
					bad++;
				}
				arena_deinit(&findings.arena);
			}
		}
	}
	assert_int_equal(bad, 0);
}

static void test_unknown_killer_names_what_would_tell(void **state)
{
	struct world w;
	bool remedy = false, crash_ruled_out = false;

	(void)state;
	world_init(&w);
	kill_9(&w);
	assert_null(verdict_judge(&w.findings));
	for (size_t i = 0; i < w.findings.gaps.n; i++)
		remedy |= w.findings.gaps.v[i].remedy &&
			  strstr(w.findings.gaps.v[i].remedy, "CAP_PERFMON");
	for (size_t i = 0; i < w.findings.verdict.ruled_out.n; i++)
		crash_ruled_out |= w.findings.verdict.ruled_out.v[i].cause == CAUSE_NATIVE_CRASH;
	if (!remedy || !crash_ruled_out)
		show(&w.findings.verdict);
	assert_true(remedy);
	assert_true(crash_ruled_out);
	arena_deinit(&w.findings.arena);
}

static void test_suspects_who_sent_term_before_kill(void **state)
{
	struct world w;
	bool named = false;

	(void)state;
	world_init(&w);
	kill_after_term(&w);
	assert_null(verdict_judge(&w.findings));
	for (size_t i = 0; i < w.findings.verdict.advice.n; i++)
		named |= strstr(w.findings.verdict.advice.v[i], "systemd (pid 777)") != NULL;
	if (!named)
		show(&w.findings.verdict);
	assert_true(named);
	arena_deinit(&w.findings.arena);
}

static void test_supervisors_are_suspected_in_their_order_and_never_for_certain(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	kill_under_supervisors(&w);
	assert_null(verdict_judge(&w.findings));
	const struct verdict *verdict = &w.findings.verdict;
	size_t manager = SIZE_MAX, init = SIZE_MAX;
	for (size_t i = 0; i < verdict->advice.n; i++) {
		const char *advice = verdict->advice.v[i];

		if (strstr(advice, "Suspect gunicorn (pid 100), its parent"))
			manager = i;
		if (strstr(advice, "Suspect then systemd (pid 1), an ancestor"))
			init = i;
		assert_null(strstr(advice, "certain"));
		assert_null(strstr(advice, "bash"));
	}
	if (init == SIZE_MAX || manager >= init)
		show(verdict);
	assert_true(init != SIZE_MAX && manager < init);
	assert_int_equal(verdict->confidence, CONFIDENCE_UNKNOWN);
	arena_deinit(&w.findings.arena);
}

static bool rules_out(void (*make)(struct world *), enum cause cause)
{
	struct world w;
	bool found = false;

	world_init(&w);
	make(&w);
	assert_null(verdict_judge(&w.findings));
	for (size_t i = 0; i < w.findings.verdict.ruled_out.n; i++)
		found |= w.findings.verdict.ruled_out.v[i].cause == cause;
	arena_deinit(&w.findings.arena);
	return found;
}

static void test_limit_and_memory_are_ruled_out_with_evidence_alone(void **state)
{
	(void)state;
	assert_true(rules_out(kill_without_limit, CAUSE_RESOURCE_LIMIT));
	// 5 of 10 s: half of the limit is too near to it.
	assert_false(rules_out(kill_below_cpu_limit, CAUSE_RESOURCE_LIMIT));
	assert_false(rules_out(kill_9, CAUSE_RESOURCE_LIMIT));
	assert_false(rules_out(kill_9, CAUSE_OUT_OF_MEMORY));
}

static void test_hostile_words_stay_one_line(void **state)
{
	struct world w;
	static char message[9000];

	(void)state;
	// Three bytes each: a cut must not fall between them.
	for (size_t i = 0; i + 3 < sizeof(message); i += 3)
		memcpy(message + i, "\xe2\x82\xac", 3);
	world_init(&w);
	code_1(&w);
	exception(&w, "KeyError\n\x1b[2J", message);
	assert_null(verdict_judge(&w.findings));
	const char *summary = w.findings.verdict.summary;
	assert_int_equal(check_form(&w.findings.verdict), 0);
	const char *euro = strstr(summary, "\xe2\x82\xac");
	assert_non_null(euro);
	for (size_t i = 0; euro[i] && euro[i] != '.'; i += 3)
		if (strncmp(euro + i, "\xe2\x82\xac", 3)) {
			print_message("cut within a character: %s\n", summary);
			fail();
		}
	arena_deinit(&w.findings.arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_way_to_end),
		cmocka_unit_test(test_nothing_captured),
		cmocka_unit_test(test_unknown_killer_names_what_would_tell),
		cmocka_unit_test(test_suspects_who_sent_term_before_kill),
		cmocka_unit_test(test_supervisors_are_suspected_in_their_order_and_never_for_certain),
		cmocka_unit_test(test_limit_and_memory_are_ruled_out_with_evidence_alone),
		cmocka_unit_test(test_hostile_words_stay_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
