/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "verdict.h"

#include <string.h>

#include "../cleanup.h"
#include "judges.h"

static judge judge_alive, judge_vanished, judge_unknown;

// The first that knows the case has it: what is special stands before what is general, and who
// raised a signal before which one it was.
static judge *const judges[] = {
	judge_autopsy,
	judge_alive,
	judge_vanished,

	judge_watchdog_exit,
	judge_fatal_exit,
	judge_aborted_by_supervisor,
	judge_shutdown,
	judge_os_exit,
	judge_uncaught_exception,
	judge_exit_from_c,
	judge_clean_exit,
	judge_exit_code,

	judge_out_of_memory,
	judge_cpu_limit_kill,
	judge_namespace_end,
	judge_own_kill,
	judge_raised_again,
	judge_bad_system_call,
	judge_stack_overflow,
	judge_native_crash,
	judge_rethrown_crash,
	judge_python_fatal_error,
	judge_abort,
	judge_broken_pipe,
	judge_file_size_limit,
	judge_cpu_limit,
	judge_timer,
	judge_hangup,
	judge_parent_death,
	judge_sent_from_outside,
	judge_sent,
	judge_unknown_kill,
	judge_signal,

	judge_unknown,
};

static bool judge_alive(const struct findings *findings, struct opinion *opinion)
{
	const struct snapshot *snapshot = findings->snapshot;
	const struct thread_findings *main = NULL;

	if (snapshot->death.kind != DEATH_SNAPSHOT)
		return false;
	for (size_t i = 0; i < findings->threads.n && !main; i++)
		if (findings->threads.v[i].thread &&
		    findings->threads.v[i].thread->tid == snapshot->process.pid)
			main = &findings->threads.v[i];
	if (!main && findings->threads.n)
		main = &findings->threads.v[0];
	const char *doing = "", *where = "", *place = "";
	if (main && main->python.frames.n)
		place = scene_thread_place(findings, opinion, main);
	else if (main && main->native.frames.n)
		place = scene_place(opinion, &main->native.frames.v[0]);
	if (main && main->syscall)
		doing = opinion_text(opinion, " in the system call %s", main->syscall);
	else if (main && main->thread && main->thread->state == 'R')
		doing = " running";
	if (*place)
		where = opinion_text(opinion, "%s at %s", *doing ? "," : "", place);
	opinion_claim(opinion, CAUSE_ALIVE, CERTAIN,
		      "It is alive, %zu thread%s; the main one is%s%s.", findings->threads.n,
		      findings->threads.n == 1 ? "" : "s",
		      *doing || *where ? doing : " not known to do anything", where);
	opinion_for(opinion, "ptrace", "it was held for a moment and let go on");
	return true;
}

static bool judge_vanished(const struct findings *findings, struct opinion *opinion)
{
	if (findings->snapshot->death.kind != DEATH_UNKNOWN)
		return false;
	opinion_claim(opinion, CAUSE_VANISHED, CONFIDENCE_UNKNOWN,
		      "It ended while nobody was looking; how it ended is not known.");
	opinion_for(opinion, "exit status", "neither an exit status nor a signal was seen");
	opinion_gap(opinion, "how it ended", "its end was not seen",
		    "attach before it happens: pcatch attach PID, or pcatch run -- COMMAND");
	opinion_advise(opinion, "Have pcatch attached the next time: only who is there at the end "
				"sees the exit status or the signal.");
	return true;
}

static bool judge_unknown(const struct findings *findings, struct opinion *opinion)
{
	const struct death *death = &findings->snapshot->death;

	opinion_claim(opinion, CAUSE_UNKNOWN, CONFIDENCE_UNKNOWN,
		      "It ended in a way that none of the known causes explains.");
	opinion_for(opinion, "exit status", "kind of end %d, exit code %d, signal %d",
		    (int)death->kind, death->exit_code, death->signo);
	return true;
}

// What is left on disk misleads whoever comes next.
static void advise_on_pidfile(const struct snapshot *snapshot, struct opinion *opinion)
{
	const struct process *process = &snapshot->process;

	if (!process->pidfile || snapshot->autopsy.holder.pid)
		return;
	if (process->pidfile_state == PIDFILE_STALE)
		opinion_advise(opinion,
			       "The pidfile %s is stale: remove it before the next start, as its number "
			       "may be another process's by then.",
			       process->pidfile);
	else if (process->pidfile_state == PIDFILE_REPLACED)
		opinion_advise(opinion,
			       "The pidfile %s names another process (%d): look whether that is its "
			       "successor, or the reason why it had to go.",
			       process->pidfile, (int)process->pidfile_names);
	else if (process->pidfile_state == PIDFILE_MISSING)
		opinion_advise(opinion,
			       "The pidfile %s was gone by then: a process that a signal ends removes "
			       "nothing, so look for who else did.",
			       process->pidfile);
}

struct error *verdict_judge(struct findings *findings)
{
	struct opinion opinion = { .arena = &findings->arena };
	const struct death *death = &findings->snapshot->death;

	for (size_t i = 0; i < ARRAY_SIZE(judges); i++)
		if (judges[i](findings, &opinion))
			break;
	if (death->kind != DEATH_SNAPSHOT && death->earlier.n)
		scene_tell_earlier(findings, &opinion);
	if (death->kind != DEATH_SNAPSHOT)
		advise_on_pidfile(findings->snapshot, &opinion);
	for (size_t i = 0; i < opinion.gaps.n; i++) {
		struct gap *gap = LIST_ADD(&findings->arena, &findings->gaps);

		if (!gap)
			return error_nomem();
		*gap = opinion.gaps.v[i];
	}
	if (opinion.failed)
		return error_nomem();
	findings->verdict = opinion.verdict;
	return NULL;
}
