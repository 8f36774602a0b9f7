/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_ANALYSE_JUDGES_H
#define PCATCH_ANALYSE_JUDGES_H

#include "scene.h"

/*
 * A judge knows one way to end. It looks at the findings and says whether this was it: then it has
 * made its claim and given its evidence. Otherwise it is false and has not touched the opinion. The
 * order in which they are asked is in verdict.c.
 */
typedef bool judge(const struct findings *findings, struct opinion *opinion);

/* verdict-exit.c: ended by an exit */
judge judge_watchdog_exit, judge_fatal_exit, judge_shutdown, judge_os_exit,
	judge_uncaught_exception, judge_exit_from_c, judge_clean_exit, judge_exit_code;

/* verdict-signal.c: signals that came of what it did itself */
judge judge_bad_system_call, judge_stack_overflow, judge_native_crash, judge_rethrown_crash,
	judge_python_fatal_error, judge_abort, judge_broken_pipe, judge_file_size_limit,
	judge_cpu_limit, judge_timer;

/* verdict-sent.c: signals that somebody sent */
judge judge_aborted_by_supervisor, judge_namespace_end, judge_cpu_limit_kill, judge_own_kill, judge_raised_again,
	judge_hangup, judge_parent_death, judge_sent_from_outside, judge_sent, judge_unknown_kill,
	judge_signal;

/* verdict-autopsy.c: nobody was attached */
judge judge_autopsy;

/* verdict-memory.c: the OOM killer, on the kernel's word alone */
judge judge_out_of_memory;

/* Say what proves that a SIGKILL was not the OOM killer's; false when nothing does. */
bool verdict_rule_out_oom(const struct findings *findings, struct opinion *opinion);

/* Evidence on how much memory was in use. */
void verdict_tell_memory(const struct findings *findings, struct opinion *opinion);

/*
 * Memory that was asked for was refused, as it said itself (SAID) or as its own limit being met
 * suggests: whose limit that was, and that nobody was killed for it. Without either it says nothing.
 */
void verdict_tell_refused(const struct findings *findings, struct opinion *opinion, bool said);

/* What SIGKILL cannot have been: all other ends leave another status. */
void verdict_rule_out_for_kill(struct opinion *opinion);

#endif
