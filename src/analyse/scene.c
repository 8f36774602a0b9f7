/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "scene.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "../buf.h"
#include "../cleanup.h"
#include "supervisors.h"

#define SECOND INT64_C(1000000000)

// How long a request to stop may lie back and still be the reason of the end.
#define SHUTDOWN_MAX (600 * SECOND)
#define HANGUP_MAX (60 * SECOND) // SIGHUP more often means "read your configuration again"

int scene_signo(const struct findings *findings)
{
	const struct death *death = &findings->snapshot->death;

	return death->first_chance && death->info.signo ? death->info.signo : death->signo;
}

pid_t scene_own_pid(const struct findings *findings)
{
	const struct process *process = &findings->snapshot->process;
	size_t n = process->ns_pids.n;

	return n ? process->ns_pids.v[n - 1] : process->pid;
}

static bool one_of(const char *s, const char *const *names)
{
	for (; s && *names; names++)
		if (!strcmp(s, *names))
			return true;
	return false;
}

bool scene_writes(const struct findings *findings, int *fd_ret)
{
	static const char *const first[] = { "write",	 "writev",   "pwrite64",  "pwritev",
					     "pwritev2", "sendto",   "sendmsg",	  "sendmmsg",
					     "sendfile", "vmsplice", "ftruncate", "fallocate",
					     NULL };
	static const char *const third[] = { "splice", "copy_file_range", NULL };
	static const char *const second[] = { "tee", NULL };
	static const char *const none[] = { "io_uring_enter", "truncate", NULL };
	const struct thread_findings *thread = findings->dying;
	const char *name = thread ? thread->syscall : NULL;
	int64_t fd = -1;

	*fd_ret = -1;
	if (one_of(name, none))
		return true;
	if (one_of(name, first))
		scene_argument(thread, 0, &fd);
	else if (one_of(name, second))
		scene_argument(thread, 1, &fd);
	else if (one_of(name, third))
		scene_argument(thread, 2, &fd);
	else
		return false;
	// Where a register holds both the first argument and the result, the result is an error.
	if ((int)fd >= 0)
		*fd_ret = (int)fd;
	return true;
}

bool scene_sends_signal(const struct thread_findings *thread)
{
	static const char *const calls[] = { "kill",
					     "tkill",
					     "tgkill",
					     "rt_sigqueueinfo",
					     "rt_tgsigqueueinfo",
					     "pidfd_send_signal",
					     NULL };

	return one_of(thread->syscall, calls);
}

bool scene_argument(const struct thread_findings *thread, unsigned index, int64_t *ret)
{
	if (!thread->syscall || !thread->thread || !thread->thread->regs.arch)
		return false;
	*ret = (int64_t)regs_argument(&thread->thread->regs, index);
	return true;
}

/*
 * The kernel sends SIGPIPE and SIGXFSZ in the writer's own name (kernel/signal.c, send_sig with
 * priv 0), so siginfo reads as if it had killed itself: the system call tells the two apart.
 */
static enum raiser raiser_of_write_signal(const struct findings *findings)
{
	int fd;

	if (!findings->dying || !findings->dying->thread || !findings->dying->thread->regs.arch)
		return RAISED_BY_KERNEL;
	return scene_writes(findings, &fd) ? RAISED_BY_KERNEL : RAISED_BY_ITSELF;
}

static enum raiser raiser_of_sender(enum sender_kind kind)
{
	switch (kind) {
	case SENDER_SELF:
		return RAISED_BY_ITSELF;
	case SENDER_PROCESS:
		return RAISED_BY_PROCESS;
	case SENDER_KERNEL:
		return RAISED_BY_KERNEL;
	case SENDER_OUTSIDE:
		return RAISED_FROM_OUTSIDE;
	case SENDER_UNKNOWN:
		break;
	}
	return RAISED_UNKNOWN;
}

enum raiser scene_raiser(const struct findings *findings)
{
	const struct death *death = &findings->snapshot->death;
	const struct signal_info *info = &death->info;
	int signo = scene_signo(findings);
	bool write_signal = signo == SIGPIPE || signo == SIGXFSZ;

	if (!info->signo || death->sender.forwarded)
		return raiser_of_sender(death->sender.kind);
	if (info->code == SI_TIMER)
		return RAISED_BY_TIMER;
	if (info->code > 0)
		return signal_is_fault(signo) ? RAISED_BY_INSTRUCTION : RAISED_BY_KERNEL;
	if (info->code != SI_USER && info->code != SI_QUEUE && info->code != SI_TKILL)
		return RAISED_BY_KERNEL;
	bool own =
		death->sender.kind == SENDER_UNKNOWN
			? info->pid == scene_own_pid(findings)
			: death->sender.kind == SENDER_SELF || death->sender.kind == SENDER_KERNEL;
	if (write_signal && info->code == SI_USER && own)
		return raiser_of_write_signal(findings);
	if (death->sender.kind != SENDER_UNKNOWN)
		return raiser_of_sender(death->sender.kind);
	if (own)
		return RAISED_BY_ITSELF;
	return info->pid ? RAISED_BY_PROCESS : RAISED_FROM_OUTSIDE;
}

bool scene_is_python(const struct findings *findings)
{
	return findings->python.present || findings->snapshot->python.found;
}

static const struct frame *python_frame(const struct stack *stack)
{
	for (size_t i = 0; i < stack->frames.n; i++)
		if (stack->frames.v[i].file || stack->frames.v[i].function)
			return &stack->frames.v[i];
	return NULL;
}

const struct frame *scene_python_frame(const struct findings *findings)
{
	return findings->dying ? python_frame(&findings->dying->python) : NULL;
}

static const struct frame *own_frame(const struct stack *stack)
{
	for (size_t i = 0; i < stack->frames.n; i++) {
		const char *file = stack->frames.v[i].file;

		if (file && *file != '<' && !strstr(file, "/lib/python") &&
		    !strstr(file, "/lib64/python") && !strstr(file, "-packages/"))
			return &stack->frames.v[i];
	}
	return NULL;
}

const struct frame *scene_own_frame(const struct findings *findings)
{
	return findings->dying ? own_frame(&findings->dying->python) : NULL;
}

bool scene_is_plumbing(const char *function)
{
	static const char *const names[] = {
		"raise",
		"gsignal",
		"abort",
		"kill",
		"tgkill",
		"pthread_kill",
		"__kill",
		"killpg",
		"__pthread_kill",
		"__pthread_kill_internal",
		"__pthread_kill_implementation",
		"__GI_raise",
		"__GI_abort",
		"__GI___pthread_kill",
		"__libc_message",
		"__libc_message_impl",
		"malloc_printerr",
		"__assert_fail",
		"__assert_fail_base",
		"__assert_perror_fail",
		"__GI___assert_fail",
		"__fortify_fail",
		"__chk_fail",
		"__GI___fortify_fail",
		"__stack_chk_fail",
		"_int_free",
		"_int_malloc",
		"_int_realloc",
		"_int_free_chunk",
		"_int_free_merge_chunk",
		"fatal_error",
		"fatal_error_exit",
		"Py_FatalError",
		"_Py_FatalErrorFunc",
		"_Py_FatalErrorFormat",
		"Py_ExitStatusException",
		"std::terminate()",
		"std::terminate",
		"__gnu_cxx::__verbose_terminate_handler()",
		"__cxxabiv1::__terminate(void (*)())",
		"__cxa_throw",
		"__cxa_rethrow",
		"os_abort",
		"os_abort_impl",
		"__restore_rt",
		"__kernel_rt_sigreturn",
		"syscall",
		NULL,
	};

	return one_of(function, names);
}

const struct frame *scene_native_frame(const struct findings *findings)
{
	const struct thread_findings *thread = findings->dying;
	const struct frame *first = NULL;
	// A call can be told by whoever made it, a fault is nobody's but the one's whose code it was.
	bool at_once = findings->fault.present && findings->fault.class != FAULT_ABORT;

	for (size_t i = 0; thread && i < thread->native.frames.n; i++) {
		const struct frame *frame = &thread->native.frames.v[i];

		if (!first)
			first = frame;
		if (frame->function ? !scene_is_plumbing(frame->function) : at_once)
			return frame;
	}
	return first;
}

const struct frame *scene_native_named(const struct findings *findings, const char *const *names)
{
	const struct thread_findings *thread = findings->dying;

	for (size_t i = 0; thread && i < thread->native.frames.n; i++)
		if (one_of(thread->native.frames.v[i].function, names))
			return &thread->native.frames.v[i];
	return NULL;
}

static const char *place(struct opinion *opinion, const struct frame *frame, bool full)
{
	size_t max = full ? 200 : 48;
	const char *function = opinion_clip(opinion, frame->function, max);
	const char *file = frame->file ? full ? frame->file : path_basename(frame->file) : NULL;

	if (file && *file) {
		file = opinion_clip(opinion, file, max);
		const char *at =
			frame->line > 0 ? opinion_text(opinion, "%s:%d", file, frame->line) : file;
		// Few know a library by the names of its sources.
		const char *library = frame->module && frame->module->path && !full
					      ? module_name(frame->module)
					      : "";
		if (!strstr(library, ".so"))
			library = "";
		return opinion_text(opinion, "%s%s%s%s%s%s", at, *function ? " in " : "", function,
				    *library ? " (" : "", opinion_clip(opinion, library, max),
				    *library ? ")" : "");
	}
	if (frame->module) {
		const char *path = frame->module->path ? frame->module->path : "?";
		const char *module = opinion_clip(opinion, full ? path : module_name(frame->module), max);

		if (*function)
			return opinion_text(opinion, "%s (%s)", function, module);
		return opinion_text(opinion, "%s+0x%" PRIx64, module, frame->module_offset);
	}
	return *function ? function : opinion_text(opinion, "0x%" PRIx64, frame->pc);
}

const char *scene_place(struct opinion *opinion, const struct frame *frame)
{
	return place(opinion, frame, false);
}

const char *scene_full_place(struct opinion *opinion, const struct frame *frame)
{
	return place(opinion, frame, true);
}

static bool is_in(const struct frame *frame, const char *file)
{
	return frame->file && strstr(frame->file, file);
}

// asyncio's loop waits in the kernel for whatever comes next: no task of it is running.
static bool is_idle_loop(const struct thread_findings *thread)
{
	const struct frame *v = thread->python.frames.v;

	if (!thread->syscall)
		return false;
	for (size_t i = 0; i < thread->python.frames.n; i++) {
		if (is_in(&v[i], "asyncio/base_events.py"))
			return v[i].function && strstr(v[i].function, "_run_once");
		if (!is_in(&v[i], "selectors.py"))
			return false;
	}
	return false;
}

static const char *idle_words(const struct findings *findings, struct opinion *opinion,
			      const struct thread_findings *thread)
{
	size_t pending = 0;

	for (size_t i = 0; thread->thread && i < findings->python.tasks.n; i++)
		pending += findings->python.tasks.v[i].thread == thread->thread->tid;
	if (!pending)
		return "idle in its event loop";
	return opinion_text(opinion, "idle in its event loop (%zu asyncio task%s pending)", pending,
			    pending == 1 ? "" : "s");
}

// Whom a person can ask is the program's own line; what it called there is told with it.
const char *scene_stack_place(struct opinion *opinion, const struct stack *python)
{
	const struct frame *frame = python_frame(python), *own = own_frame(python);

	if (!frame)
		return "";
	if (!own || own == frame || !frame->function)
		return scene_place(opinion, frame);
	return opinion_text(opinion, "%s through %s", scene_place(opinion, own),
			    opinion_clip(opinion, frame->function, 48));
}

const char *scene_thread_place(const struct findings *findings, struct opinion *opinion,
			       const struct thread_findings *thread)
{
	if (!thread || !python_frame(&thread->python))
		return "";
	if (!is_idle_loop(thread))
		return scene_stack_place(opinion, &thread->python);
	const struct frame *own = own_frame(&thread->python);
	return opinion_text(opinion, "%s, %s",
			    scene_place(opinion, own ? own : python_frame(&thread->python)),
			    idle_words(findings, opinion, thread));
}

const char *scene_python_place(const struct findings *findings, struct opinion *opinion)
{
	return scene_thread_place(findings, opinion, findings->dying);
}

const struct fd *scene_fd(const struct findings *findings, int fd)
{
	const struct process *process = &findings->snapshot->process;

	for (size_t i = 0; fd >= 0 && i < process->fds.n; i++)
		if (process->fds.v[i].fd == fd)
			return &process->fds.v[i];
	return NULL;
}

const char *scene_signal(struct opinion *opinion, int signo)
{
	const char *name = signal_name(signo);

	return name ? opinion_text(opinion, "%s", name) : opinion_text(opinion, "signal %d", signo);
}

static const char *name_of(const struct process_ref *process)
{
	const char *program = supervisor_program(process);

	if (program)
		return program;
	if (process->comm && *process->comm)
		return process->comm;
	if (process->exe && *process->exe)
		return path_basename(process->exe);
	return process->cmdline.n ? path_basename(process->cmdline.v[0]) : NULL;
}

const char *scene_sender(struct opinion *opinion, const struct sender *sender)
{
	const char *name = name_of(&sender->process), *outside = "";

	switch (sender->kind) {
	case SENDER_SELF:
		return "itself";
	case SENDER_KERNEL:
		return "the kernel";
	case SENDER_OUTSIDE:
		if (!sender->process.pid)
			return "outside of its pid namespace";
		outside = " outside of its pid namespace";
		break;
	case SENDER_PROCESS:
		break;
	case SENDER_UNKNOWN:
		if (!sender->process.pid)
			return "an unknown sender";
		break;
	}
	if (name)
		return opinion_text(opinion, "%s (pid %d)%s", opinion_clip(opinion, name, 40),
				    (int)sender->process.pid, outside);
	return opinion_text(opinion, "pid %d%s", (int)sender->process.pid, outside);
}

static const char *command(struct opinion *opinion, const strings *cmdline)
{
	_cleanup_(buf_deinit) struct buf buf = {};

	for (size_t i = 0; i < cmdline->n && buf.len < 300; i++) {
		buf_addstr(&buf, i ? " " : "");
		buf_addstr(&buf, cmdline->v[i]);
	}
	buf_zero(&buf, 1);
	if (buf.failed) {
		opinion->failed = true;
		return "";
	}
	return opinion_text(opinion, "%s", opinion_clip(opinion, (const char *)buf.data, 300));
}

const char *scene_full_sender(struct opinion *opinion, const struct sender *sender)
{
	const char *user = "", *cmdline = "", *gone = "";

	if (sender->kind == SENDER_SELF || sender->kind == SENDER_KERNEL ||
	    (sender->kind == SENDER_OUTSIDE && !sender->process.pid))
		return scene_sender(opinion, sender);
	if (sender->user)
		user = opinion_text(opinion, ", user %s", opinion_clip(opinion, sender->user, 64));
	else if (sender->process.uid != (uid_t)-1 && sender->process.pid)
		user = opinion_text(opinion, ", uid %u", (unsigned)sender->process.uid);
	if (sender->process.cmdline.n)
		cmdline = opinion_text(opinion, ": %s", command(opinion, &sender->process.cmdline));
	if (sender->gone)
		gone = ", which had ended before it could be looked at";
	return opinion_text(opinion, "%s%s%s%s%s", scene_sender(opinion, sender), user,
			    relation_words(sender->relation), gone, cmdline);
}

bool scene_is_supervisor(const struct findings *findings, const struct sender *sender)
{
	const struct process *process = &findings->snapshot->process;

	if (sender->relation == RELATION_PARENT || sender->relation == RELATION_ANCESTOR ||
	    sender->process.pid == 1)
		return true;
	for (size_t i = 0; sender->process.pid && i < process->ancestors.n; i++)
		if (process->ancestors.v[i].pid == sender->process.pid)
			return true;
	return supervisor_of(&sender->process) != NULL;
}

const struct signal_event *scene_asked_to_stop(const struct findings *findings, int signo,
					       int64_t *elapsed_ret)
{
	const struct snapshot *snapshot = findings->snapshot;
	const struct signal_event *first = NULL, *hangup = NULL;

	*elapsed_ret = -1;
	for (size_t i = snapshot->death.earlier.n; i-- > 0;) {
		const struct signal_event *event = &snapshot->death.earlier.v[i];
		int number = event->info.signo;
		int64_t ago = snapshot->time.death && event->last
				      ? snapshot->time.death - event->last
				      : 0;

		if (event->disposition != SIGNAL_HANDLED || (signo && number != signo))
			continue;
		if (number == SIGHUP && !hangup && ago <= HANGUP_MAX)
			hangup = event;
		if (number != SIGTERM && number != SIGINT && number != SIGQUIT)
			continue;
		if (ago > SHUTDOWN_MAX)
			break;
		first = event;
	}
	if (!first)
		first = hangup;
	if (first && snapshot->time.death && first->at) {
		int64_t since_first = snapshot->time.death - first->at;

		// Of many of one kind (a notebook is interrupted all day) only the last counts.
		*elapsed_ret = since_first <= SHUTDOWN_MAX ? since_first
							   : snapshot->time.death - first->last;
		if (*elapsed_ret < 0)
			*elapsed_ret = 0;
	}
	return first;
}

// The value behind NAME at the start of a line of TEXT, NULL when there is no such line.
static const char *line_of(const struct bytes *text, const char *name)
{
	const char *s = (const char *)text->data, *end = s ? s + text->len : NULL;
	size_t n = strlen(name);

	while (s && s < end) {
		if ((size_t)(end - s) > n && !memcmp(s, name, n))
			return s + n;
		s = memchr(s, '\n', (size_t)(end - s));
		s = s ? s + 1 : NULL;
	}
	return NULL;
}

// One word of a line of limits, moving *S behind it.
static bool limit_word(const char **s, uint64_t *ret)
{
	*s += strspn(*s, " \t");
	if (!strncmp(*s, "unlimited", 9)) {
		*ret = UINT64_MAX;
		*s += 9;
		return true;
	}
	if (**s < '0' || **s > '9')
		return false;
	char *end;
	*ret = strtoull(*s, &end, 10);
	*s = end;
	return true;
}

bool scene_limit(const struct findings *findings, const char *name, uint64_t *soft_ret,
		 uint64_t *hard_ret)
{
	const char *s = line_of(&findings->snapshot->process.limits, name);
	uint64_t soft, hard;

	if (!s || !limit_word(&s, &soft) || !limit_word(&s, &hard))
		return false;
	*soft_ret = soft;
	*hard_ret = hard;
	return true;
}

bool scene_status(const struct findings *findings, const char *name, uint64_t *ret)
{
	const char *s = line_of(&findings->snapshot->process.status, name);

	if (!s || *s != ':')
		return false;
	s += 1 + strspn(s + 1, " \t");
	if (*s < '0' || *s > '9')
		return false;
	*ret = strtoull(s, NULL, 10);
	return true;
}

double scene_cpu_seconds(const struct findings *findings)
{
	const struct bytes *stat = &findings->snapshot->process.stat;
	const char *s = stat->data ? memrchr(stat->data, ')', stat->len) : NULL;

	if (!s)
		return -1;
	s++;
	// Behind the name come state (field 3) and ten more; utime is field 14, stime 15.
	for (int field = 3; field < 14; field++) {
		s += strspn(s, " ");
		s += strcspn(s, " ");
	}
	char *end;
	errno = 0;
	uint64_t user = strtoull(s, &end, 10);
	if (end == s)
		return -1;
	s = end;
	uint64_t system = strtoull(s, &end, 10);
	if (end == s || errno)
		return -1;
	// USER_HZ is 100 on every architecture we know.
	return ((double)user + (double)system) / 100;
}

const char *scene_duration(struct opinion *opinion, int64_t ns)
{
	if (ns < SECOND)
		return opinion_text(opinion, "%" PRId64 " ms", ns / 1000000);
	if (ns < 120 * SECOND)
		return opinion_text(opinion, "%.1f s", (double)ns / 1e9);
	int64_t minutes = ns / (60 * SECOND);
	if (minutes < 120)
		return opinion_text(opinion, "%" PRId64 " min", minutes);
	return opinion_text(opinion, "%" PRId64 " h %" PRId64 " min", minutes / 60, minutes % 60);
}

const char *scene_size(struct opinion *opinion, uint64_t bytes)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB" };
	double size = (double)bytes / 1024;
	size_t unit = 0;

	if (bytes < 1024)
		return opinion_text(opinion, "%" PRIu64 " bytes", bytes);
	for (; size >= 1024 && unit + 1 < ARRAY_SIZE(units); unit++)
		size /= 1024;
	return opinion_text(opinion, "%.1f %s", size, units[unit]);
}

void scene_tell_earlier(const struct findings *findings, struct opinion *opinion)
{
	const struct snapshot *snapshot = findings->snapshot;
	size_t n = snapshot->death.earlier.n;
	int told = 0;

	for (size_t i = n > 64 ? n - 64 : 0; i < n && told < 8; i++) {
		const struct signal_event *event = &snapshot->death.earlier.v[i];
		const char *when = "", *times = "";

		if (!signal_default_kills(event->info.signo))
			continue;
		if (snapshot->time.death && event->last && snapshot->time.death >= event->last)
			when = opinion_text(
				opinion, " %s before the end",
				scene_duration(opinion, snapshot->time.death - event->last));
		if (event->count > 1)
			times = opinion_text(opinion, ", the last of %" PRIu64, event->count);
		opinion_for(opinion, "earlier signal", "%s from %s came%s%s and %s",
			    scene_signal(opinion, event->info.signo),
			    scene_full_sender(opinion, &event->sender), when, times,
			    event->disposition == SIGNAL_HANDLED   ? "was handled"
			    : event->disposition == SIGNAL_UNTAKEN ? "was never taken (blocked)"
								   : event->disposition == SIGNAL_IGNORED ? "was ignored"
								       : "was not handled");
		told++;
	}
}

void scene_tell_sender(const struct findings *findings, struct opinion *opinion,
		       const struct sender *sender)
{
	const struct signal_info *info = &findings->snapshot->death.info;
	const char *source = sender->source == SOURCE_TRACEPOINT ? "tracepoint"
			     : sender->source == SOURCE_AUDIT	 ? "audit"
			     : sender->source == SOURCE_INFERRED ? "inferred"
								 : "siginfo";
	const char *code = signal_code_name(info->signo, info->code);
	_cleanup_(buf_deinit) struct buf line = {};

	opinion_for(opinion, source, "%s came from %s%s%s%s%s",
		    scene_signal(opinion, scene_signo(findings)),
		    scene_full_sender(opinion, sender), info->signo && code ? " (" : "",
		    info->signo && code ? code : "", info->signo && code ? ")" : "",
		    sender->forwarded ? ", passed on by pcatch run" : "");
	for (size_t i = 0; i < sender->ancestors.n && i < 8; i++) {
		const struct process_ref *process = &sender->ancestors.v[i];
		const char *name = name_of(process);

		buf_printf(&line, "%s%s (%d)", i ? ", started by " : "",
			   name ? opinion_clip(opinion, name, 40) : "?", (int)process->pid);
	}
	buf_zero(&line, 1);
	if (line.failed)
		opinion->failed = true;
	else if (sender->ancestors.n)
		opinion_for(opinion, "/proc", "the sender was started by %s",
			    (const char *)line.data);
}

void scene_tell_python(const struct findings *findings, struct opinion *opinion, const char *verb)
{
	const struct frame *frame = scene_python_frame(findings);
	const struct frame *own = scene_own_frame(findings);

	if (!frame)
		return;
	opinion_for(opinion, "python", "%s %s", verb, scene_full_place(opinion, frame));
	if (own && own != frame)
		opinion_for(opinion, "python", "called from %s", scene_full_place(opinion, own));
}

// Container runtimes start a process for each signal that they send; from inside it is nobody.
static bool is_same_asker(const struct sender *a, const struct sender *b)
{
	if (a->kind == SENDER_OUTSIDE && b->kind == SENDER_OUTSIDE)
		return true;
	return a->process.pid && a->process.pid == b->process.pid;
}

const struct signal_event *scene_before(const struct findings *findings, const struct sender *sender,
					int signo, int64_t *elapsed_ret)
{
	const struct snapshot *snapshot = findings->snapshot;

	for (size_t i = snapshot->death.earlier.n; i-- > 0;) {
		const struct signal_event *event = &snapshot->death.earlier.v[i];
		int number = event->info.signo;
		int64_t elapsed = snapshot->time.death - event->last;

		if (number == signo || !is_same_asker(&event->sender, sender) ||
		    (number != SIGTERM && number != SIGINT && number != SIGQUIT &&
		     number != SIGABRT))
			continue;
		if (elapsed < 0 || elapsed > SHUTDOWN_MAX)
			return NULL;
		*elapsed_ret = elapsed;
		return event;
	}
	return NULL;
}

const char *scene_main_place(const struct findings *findings, struct opinion *opinion)
{
	const struct thread_findings *thread = findings->dying;

	// Who is killed from outside dies of no thread's doing.
	for (size_t i = 0; !thread && i < findings->threads.n; i++)
		if (findings->threads.v[i].thread &&
		    findings->threads.v[i].thread->tid == findings->snapshot->process.pid)
			thread = &findings->threads.v[i];
	if (!thread)
		return "";
	const char *place = scene_thread_place(findings, opinion, thread);
	if (!*place)
		return "";
	bool main = thread->thread && thread->thread->tid == findings->snapshot->process.pid;
	const char *subject = main ? "its main thread" : "it";
	if (main && thread->syscall && !is_idle_loop(thread))
		return opinion_text(opinion, "; %s was in %s at %s", subject, thread->syscall,
				    place);
	return opinion_text(opinion, "; %s was at %s", subject, place);
}
