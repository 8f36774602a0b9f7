// SPDX-License-Identifier: GPL-3.0-or-later
#include "report.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../buf.h"
#include "../cleanup.h"
#include "aftermath.h"
#include "exceptions.h"
#include "logs.h"
#include "surroundings.h"
#include "stacks.h"
#include "words.h"

#define COMMAND_MAX	600 // columns of the command line
#define COMMAND_BRIEF	130
#define DYING_LINES_MAX 120 // of the stack of the thread that died
#define EARLIER_MAX	20
#define ANCESTORS_MAX	6
#define GAPS_MAX	60
#define LIST_MAX	40 // bullets of one list
#define TASK_GROUPS_MAX	 40 // of asyncio tasks that are at the same place
#define TASK_FRAMES_MAX	 16
#define TASK_WAITERS_MAX 8

const struct thread_findings *report_thread(const struct findings *findings)
{
	if (findings->dying)
		return findings->dying;
	for (size_t i = 0; i < findings->threads.n; i++)
		if (findings->threads.v[i].thread->tid == findings->snapshot->process.pid)
			return &findings->threads.v[i];
	return findings->threads.n ? &findings->threads.v[0] : NULL;
}

// "bash (812), sshd (790)", parent first
static char *ancestors_text(struct arena *arena, const process_refs *refs)
{
	_cleanup_(buf_deinit) struct buf text = {};

	for (size_t i = 0; i < refs->n && i < ANCESTORS_MAX; i++)
		buf_printf(&text, "%s%s (%d)", i ? ", " : "",
			   refs->v[i].comm ? refs->v[i].comm : "?", (int)refs->v[i].pid);
	if (refs->n > ANCESTORS_MAX)
		buf_printf(&text, " and %zu more", refs->n - ANCESTORS_MAX);
	_cleanup_(freep) char *s = buf_steal(&text);
	return s ? arena_strdup(arena, s) : NULL;
}

static void head_process(struct page *page, const struct process *process, bool brief)
{
	struct arena *arena = &page->arena;
	char *user = words_user(arena, process->user, process->uid);
	char *command =
		words_command(arena, &process->cmdline, brief ? COMMAND_BRIEF : COMMAND_MAX);
	pid_t inner = process->ns_pids.n > 1 ? process->ns_pids.v[process->ns_pids.n - 1] : 0;
	char *in_container =
		inner ? arena_printf(arena, " (%d in its container)", (int)inner) : NULL;

	if (!user || !command || (inner && !in_container)) {
		page->failed = true;
		return;
	}
	char *pid = process->pid > 0 ? arena_printf(arena, "pid %d", (int)process->pid)
				     : arena_strdup(arena, "pid unknown");
	page->failed |= !pid;
	page_field(page, "process", STYLE_PLAIN, "%s%s%s%s, %s%s", pid ? pid : "",
		   in_container ? in_container : "", *process->comm ? " " : "", process->comm, user,
		   process->role == ROLE_CHILD ? ", a child of the process under watch" : "");
	if (*command)
		page_field(page, "command", STYLE_STRONG, "%s", command);
	else if (process->exe)
		page_field(page, "program", STYLE_STRONG, "%s", process->exe);
	if (brief)
		return;
	if (process->cwd)
		page_field(page, "in folder", STYLE_PLAIN, "%s", process->cwd);
	if (process->ancestors.n) {
		char *ancestors = ancestors_text(arena, &process->ancestors);
		if (ancestors)
			page_field(page, "started by", STYLE_PLAIN, "%s", ancestors);
		page->failed |= !ancestors;
	}
}

static void head_times(struct page *page, const struct snapshot *snapshot, bool brief)
{
	struct arena *arena = &page->arena;
	bool dead = snapshot->death.kind != DEATH_SNAPSHOT;
	char *death = snapshot->time.death ? words_time(arena, snapshot->time.death)
					   : arena_strdup(arena, "at an unknown time");
	char *how = words_death(arena, &snapshot->death);
	int64_t ran = words_elapsed(snapshot->time.process_start, snapshot->time.death);
	char *span = words_duration(arena, ran < 0 ? 0 : ran);

	if (!death || !how || !span) {
		page->failed = true;
		return;
	}
	if (!brief && snapshot->time.process_start) {
		char *start = words_time(arena, snapshot->time.process_start);
		if (start)
			page_field(page, "started", STYLE_PLAIN, "%s", start);
		page->failed |= !start;
	}
	page_field(page, dead ? "ended" : "taken", STYLE_PLAIN, "%s%s%s%s%s", death,
		   ran >= 0 ? " after " : "", ran >= 0 ? span : "", dead ? ", " : "; ", how);
	int64_t before = words_elapsed(snapshot->time.finalization, snapshot->time.death);
	if (brief || !snapshot->time.finalization || before < 0)
		return;
	span = words_duration(arena, before);
	if (span)
		page_field(page, "stacks of", STYLE_PLAIN, "the moment at which %s, %s before the end",
			   snapshot->death.since_abort ? "SIGABRT came"
						       : "Python began to take itself down",
			   span);
	page->failed |= !span;
}

static void head_sender(struct page *page, const struct sender *sender, bool brief)
{
	struct arena *arena = &page->arena;

	if (sender->kind != SENDER_PROCESS && sender->kind != SENDER_OUTSIDE)
		return;
	char *who = words_sender(arena, sender);
	char *command = words_command(arena, &sender->process.cmdline, COMMAND_MAX);
	char *ancestors = ancestors_text(arena, &sender->ancestors);
	if (!who || !command || !ancestors) {
		page->failed = true;
		return;
	}
	page_field(page, "sent by", STYLE_STRONG, "%s", who);
	if (brief)
		return;
	if (*command)
		page_field(page, "", STYLE_PLAIN, "command: %s", command);
	if (*ancestors)
		page_field(page, "", STYLE_PLAIN, "started by: %s", ancestors);
}

static void head_pidfile(struct page *page, const struct snapshot *snapshot)
{
	const struct process *process = &snapshot->process;
	static const char *const states[] = {
		[PIDFILE_NONE] = "not looked at",
		[PIDFILE_REMOVED] = "removed, as an orderly end does",
		[PIDFILE_STALE] = "stale: it still names this process",
		[PIDFILE_REPLACED] = "names another process now",
		[PIDFILE_MISSING] = "missing, and no cleanup of its own removed it",
	};
	enum pidfile_state state = process->pidfile_state;
	const struct autopsy *autopsy = &snapshot->autopsy;
	const char *words = states[state];

	// Who comes afterwards has not seen it there, and its number may be another one's.
	if (autopsy->made && state == PIDFILE_REMOVED)
		words = "not there: removed, as an orderly end does, or never written";
	else if (autopsy->holder.pid && !autopsy->holder_zombie && state == PIDFILE_STALE)
		words = "stale: the pid in it is another process's now";

	if (process->pidfile && snapshot->death.kind == DEATH_SNAPSHOT)
		page_field(page, "pidfile", STYLE_PLAIN, "%s", process->pidfile);
	else if (process->pidfile && process->pidfile_state == PIDFILE_REPLACED && process->pidfile_names)
		page_field(page, "pidfile", STYLE_PLAIN, "%s: names process %d now", process->pidfile,
			   (int)process->pidfile_names);
	else if (process->pidfile)
		page_field(page, "pidfile", STYLE_PLAIN, "%s: %s", process->pidfile, words);
}

static void head_host(struct page *page, const struct host *host)
{
	_cleanup_(buf_deinit) struct buf text = {};

	if (host->hostname && *host->hostname)
		buf_printf(&text, "%s, ", host->hostname);
	buf_printf(&text, "Linux %s", host->kernel ? host->kernel : "?");
	if (host->arch)
		buf_printf(&text, " %s", host->arch->name);
	if (host->cpus > 0)
		buf_printf(&text, ", %d CPU%s", host->cpus, host->cpus == 1 ? "" : "s");
	if (host->memory > 0) {
		char *size = words_size(&page->arena, host->memory);
		buf_printf(&text, ", %s", size ? size : "");
		page->failed |= !size;
	}
	if (host->in_container)
		buf_addstr(&text, ", seen from inside a container");
	_cleanup_(freep) char *s = buf_steal(&text);
	if (s)
		page_field(page, "host", STYLE_PLAIN, "%s", s);
	page->failed |= !s;
}

void report_head(struct page *page, const struct findings *findings, bool brief)
{
	const struct snapshot *snapshot = findings->snapshot;
	const struct verdict *verdict = &findings->verdict;

	head_process(page, &snapshot->process, brief);
	if (findings->aftermath.present && snapshot->death.kind != DEATH_SNAPSHOT)
		aftermath_head(page, findings);
	else
		head_times(page, snapshot, brief);
	if (snapshot->death.kind == DEATH_SIGNAL)
		head_sender(page, &snapshot->death.sender, brief);
	page_field(page, "cause", STYLE_STRONG, "%s (%s)", cause_name(verdict->cause),
		   confidence_name(verdict->confidence));
	if (brief)
		return;
	head_pidfile(page, snapshot);
	head_host(page, &snapshot->host);
	page_field(page, "report", STYLE_PLAIN, "%s", snapshot->id);
}

// Evidence as MARKED; TITLE, unless NULL, begins a section of its own.
static void print_evidence(struct page *page, const struct verdict *verdict,
			   struct evidence marked, const char *id, const char *title)
{
	size_t shown = 0, n = 0;

	for (size_t i = 0; i < verdict->evidence.n; i++) {
		const struct evidence *evidence = &verdict->evidence.v[i];

		if (evidence->supports != marked.supports || evidence->doubt != marked.doubt)
			continue;
		if (!n++ && title)
			page_section(page, id, PAGE_SHOWN, "%s", title);
		if (shown == LIST_MAX)
			continue;
		page_bullet(page, STYLE_PLAIN, "%s [%s]", evidence->text, evidence->source);
		shown++;
	}
	if (shown < n) {
		page_line(page);
		page_add(page, STYLE_LABEL, "    ... and %zu more in the JSON report", n - shown);
	}
}

static void section_verdict(struct page *page, const struct findings *findings)
{
	const struct verdict *verdict = &findings->verdict;
	static const struct evidence other = { .supports = false };
	static const char not[] = "What it was not:";

	page_section(page, "verdict", PAGE_SHOWN, NULL);
	page_line(page);
	// On one line whatever its width: it is what `head -1` shows, what a ticket gets for its
	// title and what programs compare with the JSON.
	page_add(page, STYLE_VERDICT, "%s", verdict->summary);
	page_line(page);
	report_head(page, findings, false);
	print_evidence(page, verdict, (struct evidence){ .supports = true }, "why", "Why:");
	print_evidence(page, verdict, (struct evidence){ .doubt = true }, "doubts",
		       "What keeps this from being certain:");
	if (verdict->ruled_out.n)
		page_section(page, "ruled-out", PAGE_SHOWN, not);
	for (size_t i = 0; i < verdict->ruled_out.n && i < LIST_MAX; i++)
		page_bullet(page, STYLE_PLAIN, "%s: %s", cause_name(verdict->ruled_out.v[i].cause),
			    verdict->ruled_out.v[i].because);
	print_evidence(page, verdict, other, "ruled-out", verdict->ruled_out.n ? NULL : not);
	if (verdict->advice.n) {
		page_section(page, "advice", PAGE_SHOWN, "What to do:");
		for (size_t i = 0; i < verdict->advice.n && i < LIST_MAX; i++)
			page_bullet(page, STYLE_PLAIN, "%s", verdict->advice.v[i]);
	}
}

// Of the registers that are not pc, sp or fp the one at INDEX, in the kernel's order.
static unsigned nth_other(const struct arch *arch, size_t index)
{
	for (unsigned reg = 0; reg < arch->n_regs; reg++)
		if (reg != arch->pc && reg != arch->sp && reg != arch->fp && index-- == 0)
			return reg;
	return arch->n_regs;
}

static void print_registers(struct page *page, const struct regs *regs)
{
	const struct arch *arch = regs->arch;
	// Where the kernel does not count the thread pointer among them, it goes behind them.
	size_t n = arch->n_regs + (arch->tls < 0);

	page_line(page);
	page_line(page);
	page_add(page, STYLE_LABEL, "  Registers:");
	for (size_t i = 0; i < n; i++) {
		// The three that everybody looks for come first.
		unsigned first[] = { arch->pc, arch->sp, arch->fp };
		unsigned reg = i < 3 ? first[i] : nth_other(arch, i - 3);
		bool listed = reg < arch->n_regs;

		if (i % 3 == 0)
			page_line(page);
		page_add(page, STYLE_FAINT, "%s%-8s %016" PRIx64, i % 3 ? " " : "  ",
			 listed ? arch->reg_names[reg] : "tls", listed ? regs->r[reg] : regs->tls);
	}
}

static void print_disassembly(struct page *page, const struct fault *fault)
{
	size_t width = 0;

	for (size_t i = 0; i < fault->disassembly.n; i++) {
		const struct instruction *in = &fault->disassembly.v[i];
		if (in->bytes && strlen(in->bytes) > width)
			width = strlen(in->bytes);
	}
	page_line(page);
	page_line(page);
	page_add(page, STYLE_LABEL, "  Code, with the current instruction marked:");
	for (size_t i = 0; i < fault->disassembly.n && i < LIST_MAX; i++) {
		const struct instruction *in = &fault->disassembly.v[i];
		enum style style = in->current ? STYLE_ALERT : STYLE_FAINT;

		page_line(page);
		page_add(page, style, "  %s 0x%012" PRIx64, in->current ? "=>" : "  ", in->at);
		if (width && width <= 30)
			page_add(page, style, "  %-*s", (int)width, in->bytes ? in->bytes : "");
		page_add(page, style, "  ");
		page_words(page, style, 20, "%s", in->text);
	}
}

static void print_fault(struct page *page, const struct fault *fault)
{
	static const char *const accesses[] = {
		[ACCESS_UNKNOWN] = "",
		[ACCESS_READ] = ", reading",
		[ACCESS_WRITE] = ", writing",
		[ACCESS_EXECUTE] = ", executing",
	};

	if (fault->explanation)
		page_field(page, "fault", STYLE_STRONG, "%s", fault->explanation);
	if (fault->have_address)
		page_field(page, "address", STYLE_PLAIN, "0x%" PRIx64 " (%s%s)", fault->address,
			   fault_class_name(fault->class), accesses[fault->access]);
	else
		page_field(page, "class", STYLE_PLAIN, "%s%s", fault_class_name(fault->class),
			   accesses[fault->access]);
	if (fault->operand)
		page_field(page, "operand", STYLE_PLAIN, "%s", fault->operand);
	if (!fault->message)
		return;
	const char *label = "message", *text = fault->message, *line;
	int len;
	while ((line = page_next_line(&text, &len))) {
		page_field(page, label, STYLE_STRONG, "%.*s", len, line);
		label = "";
	}
	if (fault->message_source)
		page_field(page, "", STYLE_LABEL, "[%s]", fault->message_source);
}

static const char *thread_part(const struct findings *findings,
			       const struct thread_findings *thread)
{
	const struct death *death = &findings->snapshot->death;

	// SIGKILL is the process's, whichever thread it is booked on.
	if (thread != findings->dying || (death->kind == DEATH_SIGNAL && death->signo == SIGKILL))
		return thread->thread->tid == findings->snapshot->process.pid ? "main thread"
									      : "first thread";
	switch (death->kind) {
	case DEATH_EXIT:
		return "thread that called exit";
	case DEATH_SIGNAL:
		return signal_is_fault(death->signo) && findings->fault.present
			       ? "thread that crashed"
			       : "thread that took the signal";
	default:
		return "main thread";
	}
}

static void section_dying(struct page *page, const struct findings *findings)
{
	const struct death *death = &findings->snapshot->death;
	const struct thread_findings *thread = report_thread(findings);
	struct arena *arena = &page->arena;

	if (!thread)
		return;
	char *name = stacks_thread_name(arena, thread);
	char *how = words_death(arena, death);
	if (!name || !how) {
		page->failed = true;
		return;
	}
	page_section(page, "thread", PAGE_SHOWN, "The %s: %s", thread_part(findings, thread), name);
	if (death->kind == DEATH_SIGNAL)
		page_field(page, "signal", STYLE_PLAIN, "%s%s", how,
			   death->first_chance
				   ? "; a handler took it first and then let it end the process"
				   : "");
	if (findings->fault.present)
		print_fault(page, &findings->fault);
	if (thread->syscall_text || thread->syscall)
		page_field(page, "system call", STYLE_PLAIN, "%s",
			   thread->syscall_text ? thread->syscall_text : thread->syscall);
	else if (*words_state(thread->thread->state) && death->kind != DEATH_EXIT)
		page_field(page, "state", STYLE_PLAIN, "%s", words_state(thread->thread->state));
	if (thread->gil_known && thread->has_python)
		page_field(page, "GIL", STYLE_PLAIN, "%s",
			   thread->holds_gil       ? "held by this thread"
			   : thread->waits_for_gil ? "this thread waits for it"
						   : "not held by this thread");
	page_line(page);
	page_line(page);
	page_add(page, STYLE_LABEL, "  Stack, innermost call first%s:",
		 thread->python.frames.n ? " (\"py\" marks Python)" : "");
	stacks_print(page, &thread->merged, DYING_LINES_MAX);
	exceptions_print(page, thread);
	if (findings->fault.present && findings->fault.disassembly.n)
		print_disassembly(page, &findings->fault);
	// Whoever ended by its own exit was where exits are.
	if (thread->thread->regs.arch && death->kind != DEATH_EXIT)
		print_registers(page, &thread->thread->regs);
}

static void print_event(struct page *page, const struct signal_event *event, int64_t death)
{
	static const char *const dispositions[] = {
		[SIGNAL_DEFAULT] = "default action",
		[SIGNAL_IGNORED] = "ignored",
		[SIGNAL_HANDLED] = "handled",
		[SIGNAL_UNTAKEN] = "blocked, never taken",
	};
	struct arena *arena = &page->arena;
	int64_t before = words_elapsed(event->at, death);
	char *name = words_signal(arena, event->info.signo);
	char *at = event->at ? words_time(arena, event->at) : arena_strdup(arena, "time unknown");
	char *end = words_time(arena, death);
	char *span = words_duration(arena, before < 0 ? 0 : before);
	char *who = words_sender(arena, &event->sender);

	if (!name || !at || !end || !span || !who) {
		page->failed = true;
		return;
	}
	// The day is in the head of the report.
	size_t day = strcspn(end, " ") + 1;
	if (!strncmp(at, end, day))
		at += day;
	page_line(page);
	page_add(page, STYLE_PLAIN, "  %s", at);
	if (before >= 0)
		page_add(page, STYLE_LABEL, "  -%s", span);
	page_pad(page, 28);
	page_add(page, STYLE_STRONG, "%s", name);
	if (event->count > 1)
		page_add(page, STYLE_PLAIN, " x %" PRIu64, event->count);
	page_words(page, STYLE_PLAIN, 28, ", %s, from %s", dispositions[event->disposition], who);
}

static void section_earlier(struct page *page, const struct findings *findings)
{
	const struct snapshot *snapshot = findings->snapshot;
	const struct death *death = &snapshot->death;
	size_t first = death->earlier.n > EARLIER_MAX ? death->earlier.n - EARLIER_MAX : 0;

	if (!death->earlier.n)
		return;
	page_section(page, "signals", PAGE_SHOWN, "Signals before that:");
	if (first || death->earlier_dropped) {
		page_line(page);
		page_add(page, STYLE_LABEL, "  (%" PRIu64 " older ones are left out here)",
			 death->earlier_dropped + first);
	}
	for (size_t i = first; i < death->earlier.n; i++)
		print_event(page, &death->earlier.v[i], snapshot->time.death);
}

static void section_threads(struct page *page, const struct findings *findings)
{
	const struct thread_findings *shown = report_thread(findings);
	size_t n = findings->threads.n - (shown ? 1 : 0);

	if (!n)
		return;
	if (n == 1)
		page_section(page, "threads", PAGE_FOLDED, "The other thread:");
	else
		page_section(page, "threads", PAGE_FOLDED, "The other %zu threads:", n);
	stacks_print_threads(page, findings, shown);
}

// Tasks that are at the same place, in the order in which they were found.
struct task_group {
	const struct task *first;
	size_t n;
};

static bool same_place(const struct task *a, const struct task *b)
{
	if (a->running != b->running || a->thread != b->thread ||
	    a->stack.frames.n != b->stack.frames.n || !a->coroutine != !b->coroutine ||
	    (a->coroutine && strcmp(a->coroutine, b->coroutine) != 0))
		return false;
	for (size_t i = 0; i < a->stack.frames.n; i++) {
		const struct frame *x = &a->stack.frames.v[i], *y = &b->stack.frames.v[i];

		if (x->line != y->line || x->function != y->function || x->file != y->file)
			return false;
	}
	return true;
}

static void print_task(struct page *page, const struct task *task, size_t n)
{
	page_line(page);
	page_add(page, STYLE_STRONG, "  %s", task->name);
	if (n > 1)
		page_add(page, STYLE_ALERT, " and %zu more at the same place", n - 1);
	page_words(page, STYLE_LABEL, 4, " %s%s%s", task->running ? "running " : "",
		   task->coroutine ? "of " : "", task->coroutine ? task->coroutine : "");
	for (size_t i = 0; i < task->awaited_by.n && i < TASK_WAITERS_MAX; i++)
		page_words(page, STYLE_LABEL, 4, "%s%s", i ? ", " : " awaited by ",
			   task->awaited_by.v[i]);
	stacks_print(page, &task->stack, TASK_FRAMES_MAX);
}

static void section_tasks(struct page *page, const struct findings *findings)
{
	const struct python_findings *python = &findings->python;
	struct task_group groups[TASK_GROUPS_MAX] = {};
	size_t n = 0, left_out = 0;

	if (!python->tasks.n)
		return;
	for (size_t i = 0; i < python->tasks.n; i++) {
		const struct task *task = &python->tasks.v[i];
		size_t k = 0;

		while (k < n && !same_place(groups[k].first, task))
			k++;
		if (k == n && n < TASK_GROUPS_MAX)
			groups[n++].first = task;
		if (k < n)
			groups[k].n++;
		else
			left_out++;
	}
	page_section(page, "tasks", PAGE_FOLDED, "asyncio tasks, %zu:", python->tasks.n);
	// What runs comes first.
	for (int running = 1; running >= 0; running--)
		for (size_t k = 0; k < n; k++)
			if (groups[k].first->running == running)
				print_task(page, groups[k].first, groups[k].n);
	if (left_out) {
		page_line(page);
		page_add(page, STYLE_LABEL, "  ... and %zu more in the JSON report", left_out);
	}
}

static void print_gil_holder(struct page *page, const struct findings *findings)
{
	pid_t holder = findings->python.gil_holder;

	if (!holder) {
		page_field(page, "GIL", STYLE_PLAIN, "held by nobody");
		return;
	}
	for (size_t i = 0; i < findings->threads.n; i++)
		if (findings->threads.v[i].thread->tid == holder) {
			char *name = stacks_thread_name(&page->arena, &findings->threads.v[i]);
			if (name)
				page_field(page, "GIL", STYLE_PLAIN, "held by thread %s", name);
			page->failed |= !name;
			return;
		}
	page_field(page, "GIL", STYLE_PLAIN, "held by thread %d", (int)holder);
}

static void section_python(struct page *page, const struct findings *findings)
{
	const struct python_findings *python = &findings->python;

	if (!python->present)
		return;
	page_section(page, "python", PAGE_SHOWN, "Python:");
	bool mixed = python->tasks.n && !python->published_asyncio;
	page_field(page, "version", STYLE_PLAIN, "CPython %s%s in %s%s%s",
		   python->version ? python->version : "?",
		   python->free_threaded ? ", free-threaded" : "",
		   python->library ? python->library : "an unknown module",
		   python->published_layout ? ", read by the offsets that it publishes" : "",
		   python->published_layout && mixed ? ", its tasks by those known here" : "");
	if (python->gil_known)
		print_gil_holder(page, findings);
	if (python->gc_running)
		page_field(page, "garbage", STYLE_PLAIN, "was being collected");
	if (python->finalizing)
		page_field(page, "state", STYLE_PLAIN, "the interpreter was shutting down");
	if (python->interpreters.n > 1)
		page_field(page, "interpreters", STYLE_PLAIN, "%zu", python->interpreters.n);
	if (python->fatal_error) {
		page_field(page, "fatal error", STYLE_STRONG, "%s", python->fatal_error);
		if (python->fatal_error_source)
			page_field(page, "", STYLE_LABEL, "[%s]", python->fatal_error_source);
	}
	if (python->logged_exception)
		page_field(page, "logged", STYLE_PLAIN, "%s", python->logged_exception);
	if (python->watchdog)
		page_field(page, "watchdog", STYLE_PLAIN, "faulthandler's timeout of %s ran out",
			   python->watchdog);
}

static void section_gaps(struct page *page, const gaps *list)
{
	if (!list->n)
		return;
	page_section(page, "gaps", PAGE_SHOWN, "What this report could not see:");
	for (size_t i = 0; i < list->n && i < GAPS_MAX; i++) {
		const struct gap *gap = &list->v[i];

		page_bullet(page, STYLE_PLAIN, "%s: %s", gap->what, gap->why);
		if (gap->remedy && *gap->remedy) {
			page_line(page);
			page_add(page, STYLE_LABEL, "    next time: ");
			page_words(page, STYLE_PLAIN, 6, "%s", gap->remedy);
		}
	}
	if (list->n > GAPS_MAX) {
		page_line(page);
		page_add(page, STYLE_LABEL, "    ... and %zu more in the JSON report",
			 list->n - GAPS_MAX);
	}
}

struct error *report_page(const struct findings *findings, struct page *ret)
{
	const struct snapshot *snapshot = findings->snapshot;
	_cleanup_(page_deinit) struct page page = {};

	section_verdict(&page, findings);
	exceptions_section(&page, findings);
	section_dying(&page, findings);
	section_earlier(&page, findings);
	aftermath_print(&page, findings);
	logs_print_hints(&page, findings);
	section_tasks(&page, findings);
	section_threads(&page, findings);
	section_python(&page, findings);
	surroundings_print(&page, findings, report_thread(findings));
	section_gaps(&page, &findings->gaps);
	page_section(&page, "end", PAGE_SHOWN, NULL);
	page_line(&page);
	if (snapshot->unredacted) {
		page_add(&page, STYLE_LABEL, "Nothing is redacted (--no-redact): passwords may be "
					     "among it.");
		page_line(&page);
	}
	page_add(&page, STYLE_LABEL, "report %s, pcatch %s", snapshot->id,
		 snapshot->generator ? snapshot->generator : "of unknown version");

	struct error *err = page_error(&page);
	if (err)
		return err;
	*ret = TAKE(page);
	return NULL;
}
