/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "aftermath.h"

#include <signal.h>
#include <string.h>

#include "../cleanup.h"
#include "../target/kernlog.h"
#include "hints.h"
#include "logline.h"
#include "systemd.h"

#define SECOND INT64_C(1000000000)

// Clocks of a file system, of the kernel's log and of a logger may be apart by this much.
#define SLACK (2 * SECOND)
// Who was asked to stop and writes on for longer than this did not stop for that.
#define SHUTDOWN_MAX (300 * SECOND)
// A crash of a thread is told by the thread's number: it is taken for ours only near the end.
#define NEAR_THE_END (60 * SECOND)

int64_t aftermath_time(const struct snapshot *snapshot, const struct testimony *told)
{
	struct log_clock clock = { .latest = snapshot->autopsy.at,
				   .utc_offset = snapshot->host.utc_offset };

	return told->at ? told->at : logline_time(told->text, &clock, NULL, NULL);
}

static const char *kernel_message(const struct testimony *told)
{
	const char *message = kernlog_syslog(told->text);

	return message ? message : told->text;
}

/* Since when, until when. */

static int64_t earlier(int64_t a, int64_t b)
{
	return !a || (b && b < a) ? b : a;
}

static int64_t first_own_line(const struct findings *findings)
{
	int64_t first = 0;

	for (size_t l = 0; l < findings->snapshot->logs.n; l++)
		for (size_t i = 0; i < findings->snapshot->logs.v[l].lines.n; i++) {
			const struct line_findings *line = &findings->hints.logs[l].lines[i];

			if (line->author == AUTHOR_SELF && line->at)
				first = earlier(first, line->at);
		}
	return first;
}

static void find_life(struct findings *findings)
{
	const struct autopsy *autopsy = &findings->snapshot->autopsy;
	const struct hints *hints = &findings->hints;
	struct aftermath *a = &findings->aftermath;

	for (size_t i = 0; i < autopsy->left.n; i++)
		a->shared |= autopsy->left.v[i].same_log;
	for (size_t l = 0; l < findings->snapshot->logs.n; l++)
		a->shared |= hints->logs[l].n_other > 0;
	a->from = earlier(autopsy->pidfile_written, first_own_line(findings));
	a->seen = autopsy->pidfile_written;
	a->seen_by = "the pidfile was written";
	if (hints->last.at && (hints->last.author == AUTHOR_SELF || !a->shared) &&
	    hints->last.at >= a->seen) {
		a->seen = hints->last.at;
		a->seen_by = hints->last.author == AUTHOR_SELF ? "its last line in a log"
							       : "the last line of its log";
	}
	a->restarted = autopsy->boot && a->seen && a->seen < autopsy->boot - SLACK;
}

static void find_fate(struct findings *findings)
{
	const struct snapshot *snapshot = findings->snapshot;
	const struct autopsy *autopsy = &snapshot->autopsy;
	struct aftermath *a = &findings->aftermath;
	int64_t started = autopsy->holder_started;

	if (!autopsy->holder.pid)
		a->fate = FATE_GONE;
	else if (autopsy->holder_thread_of)
		a->fate = FATE_REUSED;
	// Whoever wrote the pidfile, or a line with that pid, was there before.
	else if (started && a->from && started > a->from + SLACK)
		a->fate = FATE_REUSED;
	else
		a->fate = autopsy->holder_zombie ? FATE_ZOMBIE : FATE_ALIVE;
}

// An event of this pid at AT can have been this process's.
static bool in_life(const struct findings *findings, int64_t at)
{
	const struct autopsy *autopsy = &findings->snapshot->autopsy;
	const struct aftermath *a = &findings->aftermath;

	if (!at)
		return !a->from && !autopsy->since;
	if (a->from && at < a->from - SLACK)
		return false;
	if (autopsy->since && at < autopsy->since)
		return false;
	// The dead write no more.
	if (a->seen && findings->hints.last.author == AUTHOR_SELF && at < a->seen - SLACK)
		return false;
	return a->fate != FATE_REUSED || !autopsy->holder_started ||
	       at <= autopsy->holder_started + SLACK;
}

static void set_gone(struct aftermath *a, int64_t at, const char *by)
{
	if (at && at >= a->seen && (!a->gone || at < a->gone)) {
		a->gone = at;
		a->gone_by = by;
	}
}

/* What others say. */

static bool same_name(const struct process *process, struct kernlog_text comm)
{
	return *process->comm && comm.len == strlen(process->comm) &&
	       !memcmp(comm.s, process->comm, comm.len);
}

static void take_kernel_line(struct findings *findings, const struct testimony *told)
{
	const struct process *process = &findings->snapshot->process;
	struct aftermath *a = &findings->aftermath;
	struct kernlog_event event;
	int64_t at = aftermath_time(findings->snapshot, told);

	if (!kernlog_parse(kernel_message(told), &event))
		return;
	bool own = event.pid == process->pid && in_life(findings, at);
	// A container counts pids for itself: the name has to fit, too.
	if (findings->snapshot->host.in_container && *process->comm && event.comm.len)
		own = own && same_name(process, event.comm);
	if (own && event.comm.len)
		a->comm = arena_strndup(&findings->arena, event.comm.s, event.comm.len);
	switch (event.kind) {
	case KERNLOG_OOM_KILL:
	case KERNLOG_OOM_REAPED:
	case KERNLOG_OOM_CONTEXT:
		// The line with the sizes is the one to show.
		if (own && (!a->oom || event.kind == KERNLOG_OOM_KILL)) {
			a->oom = told;
			a->oom_at = at;
		}
		break;
	case KERNLOG_FAULT:
	case KERNLOG_TRAP:
	case KERNLOG_ABEND:
	case KERNLOG_SECCOMP:
		if (own) {
			a->crash = told;
			a->crash_at = at;
			a->crash_of_thread = false;
		} else if (!a->crash && same_name(process, event.comm) && a->seen && at &&
			   at >= a->seen - SLACK && at <= a->seen + NEAR_THE_END) {
			a->crash = told;
			a->crash_at = at;
			a->crash_of_thread = true;
		}
		break;
	default:
		break;
	}
}

// An event at AT can have led to this end, some time later.
static bool may_lead_to_end(const struct findings *findings, int64_t at)
{
	const struct aftermath *a = &findings->aftermath;

	if (!at || (a->from && at < a->from - SLACK) || at < findings->snapshot->autopsy.since)
		return false;
	return a->seen <= at + SHUTDOWN_MAX;
}

static void take_unit_line(struct findings *findings, const struct testimony *told, int64_t at)
{
	struct aftermath *a = &findings->aftermath;
	struct unit_event event;

	if (!systemd_parse(told->text, &event) || !may_lead_to_end(findings, at))
		return;
	// When the end is told, what is told long after is of another run.
	if (a->end.known && at > a->end.at + NEAR_THE_END)
		return;
	switch (event.kind) {
	case UNIT_STOPPING:
		if (!a->end.known)
			a->unit.stop = told;
		break;
	case UNIT_OVERDUE:
	case UNIT_UNHEARD:
	case UNIT_EXPIRED:
		if (!a->end.known)
			a->unit.why = told;
		break;
	case UNIT_SIGNALLED:
	case UNIT_REQUESTED:
		if (event.pid == findings->snapshot->process.pid)
			a->unit.kill = told;
		break;
	case UNIT_OOM:
	case UNIT_OOMD:
		a->unit.oom = told;
		a->unit.oom_at = at;
		break;
	case UNIT_OTHER:
		break;
	}
}

static void take_told(struct findings *findings)
{
	const struct autopsy *autopsy = &findings->snapshot->autopsy;
	struct aftermath *a = &findings->aftermath;

	for (size_t i = 0; i < autopsy->told.n; i++) {
		const struct testimony *told = &autopsy->told.v[i];
		int64_t at = aftermath_time(findings->snapshot, told);

		if (told->source == TOLD_BY_KERNEL)
			take_kernel_line(findings, told);
		else if (told->source == TOLD_BY_SYSTEMD)
			take_unit_line(findings, told, at);
		if (!in_life(findings, at))
			continue;
		if (told->core)
			a->core = told;
		bool says_end = told->signo || told->exit_code >= 0;
		// systemd-coredump names the process; nobody knows better.
		bool better = told->source == TOLD_BY_COREDUMP && a->end.of_unit;
		if (!says_end || (a->end.known && !better))
			continue;
		a->end.known = true;
		a->end.signo = told->signo;
		a->end.exit_code = told->exit_code;
		a->end.of_unit = told->source == TOLD_BY_SYSTEMD && !autopsy->pidfile_written;
		a->end.confidence = a->end.of_unit ? LIKELY : CERTAIN;
		a->end.at = at;
		a->end.source = told->where;
		a->end.text = told->text;
	}
}

static void take_zombie(struct findings *findings)
{
	const struct death *death = &findings->snapshot->death;
	struct aftermath *a = &findings->aftermath;

	if (a->fate != FATE_ZOMBIE || death->kind == DEATH_UNKNOWN)
		return;
	a->end.known = true;
	a->end.signo = death->kind == DEATH_SIGNAL ? death->signo : 0;
	a->end.exit_code = death->kind == DEATH_EXIT ? death->exit_code : -1;
	a->end.confidence = CERTAIN;
	a->end.source = "the kernel";
	a->end.text = "it is a zombie: the kernel keeps how it ended for its parent";
}

/* What the logs say. */

static void take_hints(struct findings *findings)
{
	const struct snapshot *snapshot = findings->snapshot;
	const struct hints *hints = &findings->hints;
	struct aftermath *a = &findings->aftermath;

	for (size_t i = 0; i < hints->list.n; i++) {
		const struct hint *hint = &hints->list.v[i];

		if (hint->at && ((a->from && hint->at < a->from - SLACK) ||
				 hint->at < snapshot->autopsy.since))
			continue;
		switch (hint->kind) {
		case HINT_ASKED:
			a->asked = hint;
			break;
		case HINT_STOPPING:
			a->stopping = hint;
			break;
		case HINT_STOPPED:
			a->stopped = hint;
			break;
		case HINT_KILLING:
			a->killing = hint;
			break;
		case HINT_STARTED:
			// By another one, after the end: its successor.
			if (hint->author == AUTHOR_OTHER && a->seen && hint->at > a->seen)
				set_gone(a, hint->at, "a successor started");
			// Its own start makes an end before that another life's.
			if (hint->author != AUTHOR_OTHER)
				a->asked = a->stopping = a->stopped = NULL;
			break;
		case HINT_NOTICED:
			set_gone(a, hint->at, "another process noticed its end");
			if (a->end.known || (!hint->signo && hint->exit_code < 0))
				break;
			a->end.known = true;
			a->end.signo = hint->signo;
			a->end.exit_code = hint->exit_code;
			a->end.confidence = LIKELY;
			a->end.at = hint->at;
			a->end.source = snapshot->logs.v[hint->log].path;
			a->end.text = snapshot->logs.v[hint->log].lines.v[hint->line];
			break;
		}
	}
	// A shutdown that was asked for and did not come is none.
	if (a->asked && a->asked->at && a->seen > a->asked->at + SHUTDOWN_MAX)
		a->asked = NULL;
	if (a->stopping && a->stopping->at && a->seen > a->stopping->at + SHUTDOWN_MAX)
		a->stopping = NULL;
}

// The line that begins with WHAT, and nothing that the process marked as its own behind it.
static bool are_last_words(const struct findings *findings, const char *what, const char *more)
{
	const struct snapshot *snapshot = findings->snapshot;

	for (size_t l = 0; l < snapshot->logs.n; l++) {
		const strings *lines = &snapshot->logs.v[l].lines;

		for (size_t i = lines->n; i-- > 0;) {
			if (hints_author(findings, l, i) == AUTHOR_SELF &&
			    findings->hints.logs[l].lines[i].at &&
			    strncmp(lines->v[i], what, strlen(what)) != 0)
				break;
			if (!strncmp(lines->v[i], what, strlen(what)) &&
			    !strncmp(lines->v[i] + strlen(what), more, strlen(more)))
				return true;
		}
	}
	return false;
}

static void take_last_words(struct findings *findings)
{
	const struct python_findings *python = &findings->python;
	struct aftermath *a = &findings->aftermath;

	a->dump = python->fatal_error &&
		  are_last_words(findings, "Fatal Python error: ", python->fatal_error);
	a->traceback = python->exception && !python->exception->followed &&
		       are_last_words(findings, python->exception->type, "");
}

static void find_gone(struct findings *findings)
{
	const struct autopsy *autopsy = &findings->snapshot->autopsy;
	const struct heartbeat *beat = &findings->hints.heartbeat;
	struct aftermath *a = &findings->aftermath;

	set_gone(a, a->oom_at, "the kernel's log");
	set_gone(a, a->crash_at, "the kernel's log");
	set_gone(a, a->end.at, "the notice of its end");
	if (beat->present && (findings->hints.last.author == AUTHOR_SELF || !a->shared))
		set_gone(a, beat->last + beat->interval + beat->interval / 2,
			 "the next heartbeat did not come");
	if (a->restarted)
		set_gone(a, autopsy->halt ? autopsy->halt : autopsy->boot,
			 findings->snapshot->host.in_container ? "the container was restarted"
							       : "the machine was restarted");
	if (a->fate == FATE_REUSED)
		set_gone(a, autopsy->holder_started, "its pid was given to another process");
	set_gone(a, autopsy->at, "this autopsy");
	a->kernel_silent = autopsy->kernel_log_read && autopsy->kernel_log_from && a->seen &&
			   autopsy->kernel_log_from <= a->seen && !a->oom && !a->crash;
}

void aftermath_find(struct findings *findings)
{
	if (!findings->snapshot->autopsy.made)
		return;
	findings->aftermath.present = true;
	find_life(findings);
	find_fate(findings);
	take_zombie(findings);
	take_told(findings);
	take_hints(findings);
	take_last_words(findings);
	find_gone(findings);
}
