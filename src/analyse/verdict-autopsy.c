/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../cleanup.h"
#include "../target/kernlog.h"
#include "judges.h"
#include "systemd.h"
#include "traceback.h"

#define SECOND INT64_C(1000000000)

// Systemd writes what it knows of one end in one go.
#define AT_ONCE (10 * SECOND)

#define LEFT_NAMED 12 // of those that are left

/*
 * What those would decide by hand who find a server gone: who saw it end, what did it write last,
 * what does the kernel say; and when nothing says anything, what that silence leaves.
 */

static const char *time_words(struct opinion *opinion, int64_t at)
{
	time_t seconds = (time_t)(at / SECOND);
	char text[32] = "?";
	struct tm tm;

	if (gmtime_r(&seconds, &tm))
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%SZ", &tm);
	return opinion_text(opinion, "%s", text);
}

static const char *name_it(const struct findings *findings, struct opinion *opinion,
			   const char *unknown, const char *process_word)
{
	const struct process *process = &findings->snapshot->process;

	if (process->pid <= 0)
		return unknown;
	if (*process->comm)
		process_word = process->comm;
	return opinion_text(opinion, *process->comm ? "%s (pid %d)" : "%s %d", process_word,
			    (int)process->pid);
}

// At the beginning of a sentence, and within it.
static const char *who(const struct findings *findings, struct opinion *opinion)
{
	return name_it(findings, opinion, "The process", "Process");
}

static const char *whom(const struct findings *findings, struct opinion *opinion)
{
	return name_it(findings, opinion, "the process", "process");
}

// " at 08:03:39Z", " after 08:03:12Z"; for a summary.
static const char *when(const struct findings *findings, struct opinion *opinion, int64_t at)
{
	const struct aftermath *a = &findings->aftermath;

	if (at)
		return opinion_text(opinion, " at %s", time_words(opinion, at));
	return a->seen ? opinion_text(opinion, " after %s", time_words(opinion, a->seen)) : "";
}

// How sure it is that the number in a kernel's line is this process's, and not another one's.
static enum confidence pid_confidence(const struct findings *findings)
{
	const struct snapshot *snapshot = findings->snapshot;

	// There numbers are another matter, and the same one is as good as chance.
	if (snapshot->host.in_container)
		return POSSIBLE;
	return findings->aftermath.from || snapshot->autopsy.since ? CERTAIN : LIKELY;
}

static void doubt_pid(const struct findings *findings, struct opinion *opinion)
{
	if (pid_confidence(findings) == CERTAIN)
		return;
	opinion_doubt(opinion, "pid",
			findings->snapshot->host.in_container
				? "the kernel counts pids as the host does, not as this container"
				: "nothing says since when the pid was this process's: --since or "
				  "a pidfile would");
}

// What it lived in, and ended with at the latest.
static const char *world(const struct findings *findings)
{
	return findings->snapshot->host.in_container ? "container" : "machine";
}

static const char *hint_text(const struct findings *findings, const struct hint *hint)
{
	return findings->snapshot->logs.v[hint->log].lines.v[hint->line];
}

static void tell_hint(const struct findings *findings, struct opinion *opinion,
		      const struct hint *hint)
{
	if (hint)
		opinion_for(opinion, findings->snapshot->logs.v[hint->log].path, "\"%s\"",
			    opinion_clip(opinion, hint_text(findings, hint), 300));
}

static void tell_told(struct opinion *opinion, const struct testimony *told)
{
	if (told)
		opinion_for(opinion, told->where, "\"%s\"", opinion_clip(opinion, told->text, 300));
}

/* What every autopsy can say. */

static void tell_life(const struct findings *findings, struct opinion *opinion)
{
	const struct aftermath *a = &findings->aftermath;
	const struct heartbeat *beat = &findings->hints.heartbeat;
	const struct autopsy *autopsy = &findings->snapshot->autopsy;

	if (a->seen)
		opinion_for(opinion, "time", "it was last seen alive at %s: %s",
			    time_words(opinion, a->seen), a->seen_by);
	if (a->gone && a->gone_by)
		opinion_for(opinion, "time", "it was gone by %s: %s", time_words(opinion, a->gone),
			    a->gone_by);
	if (beat->present && a->gone)
		opinion_for(opinion, findings->snapshot->logs.v[beat->log].path,
			    "it wrote a line every %s; %zu are here, the last at %s",
			    scene_duration(opinion, beat->interval), beat->beats,
			    time_words(opinion, beat->last));
	if (a->restarted)
		opinion_for(opinion, "boot time", "the %s was started anew at %s%s",
			    world(findings), time_words(opinion, autopsy->boot),
			    autopsy->halt ? ", after a shutdown in order" : "");
}

// Processes that outlived it; where they listen has a section of its own.
static void tell_left(const struct findings *findings, struct opinion *opinion)
{
	const struct autopsy *autopsy = &findings->snapshot->autopsy;
	const char *pids = "";
	size_t family = 0, listening = 0;

	for (size_t i = 0; i < autopsy->left.n; i++) {
		const struct leftover *left = &autopsy->left.v[i];
		const char *comm = left->process.comm ? left->process.comm : "?";

		family += left->same_family;
		listening += left->same_family && left->listens;
		if (i < LEFT_NAMED)
			pids = opinion_text(opinion, "%s%s%d (%s)", pids, *pids ? ", " : "",
					    (int)left->process.pid, comm);
	}
	if (autopsy->left.n > LEFT_NAMED)
		pids = opinion_text(opinion, "%s and %zu more", pids,
				    autopsy->left.n - LEFT_NAMED);
	if (!autopsy->left.n)
		return;
	opinion_for(opinion, "/proc", "%s: %s; what they write after its end is not its own",
		    family ? "its workers, or others that it started, still run"
			   : "other processes still write to its log",
		    pids);
	if (family)
		opinion_advise(opinion, "End what is left of it before the next start, as it %s: "
					"%s.",
			       listening ? "holds the port" : "may hold the port and the files",
			       pids);
}

static void tell_reuse(const struct findings *findings, struct opinion *opinion)
{
	const struct autopsy *autopsy = &findings->snapshot->autopsy;
	const struct process_ref *holder = &autopsy->holder;
	int pid = (int)findings->snapshot->process.pid;

	if (findings->aftermath.fate != FATE_REUSED)
		return;
	opinion_for(opinion, "/proc", "pid %d now belongs to another: %s%s (pid %d), started at %s",
		    pid, autopsy->holder_thread_of ? "a thread of " : "",
		    holder->comm ? holder->comm : "?", (int)holder->pid,
		    autopsy->holder_started ? time_words(opinion, autopsy->holder_started)
					    : "an unknown time");
	if (findings->snapshot->process.pidfile)
		opinion_advise(opinion,
			       "Remove the pidfile %s: who trusts it signals process %d, which is "
			       "another one.",
			       findings->snapshot->process.pidfile, pid);
}

static void advise_core(const struct findings *findings, struct opinion *opinion)
{
	const struct testimony *core = findings->aftermath.core;

	if (core)
		opinion_advise(opinion,
			       "Its core is kept, with the stacks of all its threads: \"pcatch "
			       "show %s\".",
			       core->core);
}

static void advise_next_time(const struct findings *findings, struct opinion *opinion)
{
	const char *pidfile = findings->snapshot->process.pidfile;
	const char *how = pidfile ? opinion_text(opinion, "--pidfile %s", pidfile) : "PID";

	opinion_advise(opinion,
		       "To know the next time: start it again, then \"pcatch attach %s\" beside "
		       "it, or start it by \"pcatch run -- COMMAND\".",
		       how);
}

/* Judges. */

static bool judge_lives(const struct findings *findings, struct opinion *opinion)
{
	const struct autopsy *autopsy = &findings->snapshot->autopsy;
	int64_t started = autopsy->holder_started;
	int pid = (int)autopsy->holder.pid;

	if (findings->aftermath.fate != FATE_ALIVE)
		return false;
	opinion_claim(opinion, CAUSE_ALIVE, CERTAIN,
		      "%s (pid %d) is alive%s%s: there is no end to explain.",
		      autopsy->holder.comm ? autopsy->holder.comm : "The process", pid,
		      started ? ", since " : "", started ? time_words(opinion, started) : "");
	opinion_for(opinion, "/proc",
		    autopsy->pidfile_written
			    ? "the process that has the pid was there when the pidfile was written"
			    : "there is a process of that pid");
	opinion_advise(opinion,
		       "\"pcatch attach %d\" waits for its end; \"pcatch snapshot %d\" shows what "
		       "it does.",
		       pid, pid);
	return true;
}

static bool judge_oom(const struct findings *findings, struct opinion *opinion)
{
	const struct aftermath *a = &findings->aftermath;
	struct kernlog_event event;

	if (!a->oom)
		return false;
	const char *message = kernlog_syslog(a->oom->text), *of = "", *used = "";
	kernlog_parse(message ? message : a->oom->text, &event);
	if (event.kind != KERNLOG_OTHER)
		of = event.memcg ? ": its control group had met its limit"
				 : ": the machine had run out of memory";
	if (event.anon_rss >= 0)
		used = opinion_text(opinion, ", it had %s in use",
				    scene_size(opinion, (uint64_t)event.anon_rss));
	opinion_claim(opinion, CAUSE_OUT_OF_MEMORY, pid_confidence(findings),
		      "The kernel's OOM killer ended %s%s%s%s.", whom(findings, opinion),
		      when(findings, opinion, a->oom_at), of, used);
	tell_told(opinion, a->oom);
	doubt_pid(findings, opinion);
	opinion_advise(opinion,
		       "Give it more memory or find what grows: \"pcatch attach\" keeps a record "
		       "of its memory until the end.");
	return true;
}

// Which of the causes an end by SIGNO is that nobody sent, as far as the number tells.
static enum cause cause_of_signal(int signo)
{
	switch (signo) {
	case SIGSEGV:
	case SIGBUS:
	case SIGILL:
	case SIGFPE:
	case SIGTRAP:
		return CAUSE_NATIVE_CRASH;
	case SIGABRT:
		return CAUSE_ABORT;
	case SIGSYS:
		return CAUSE_BAD_SYSTEM_CALL;
	case SIGPIPE:
		return CAUSE_BROKEN_PIPE;
	case SIGXCPU:
	case SIGXFSZ:
		return CAUSE_RESOURCE_LIMIT;
	case SIGALRM:
	case SIGVTALRM:
	case SIGPROF:
		return CAUSE_TIMER_EXPIRED;
	case SIGKILL:
		return CAUSE_KILLED_BY_UNKNOWN;
	default:
		return CAUSE_TERMINATED_BY_SIGNAL;
	}
}

// " at app.py:12 in crash": what faulthandler's dump has on top; "" for none.
static const char *dump_place(const struct findings *findings, struct opinion *opinion)
{
	const char *place = scene_stack_place(opinion, &findings->python.fatal_stack);

	return findings->aftermath.dump && *place ? opinion_text(opinion, " at %s", place) : "";
}

static void tell_dump(const struct findings *findings, struct opinion *opinion)
{
	const struct python_findings *python = &findings->python;

	if (!findings->aftermath.dump)
		return;
	opinion_for(opinion, python->fatal_error_source, "\"Fatal Python error: %s\"",
		    opinion_clip(opinion, python->fatal_error, 200));
	if (python->fatal_stack.frames.n)
		opinion_for(opinion, python->fatal_error_source,
			    "faulthandler wrote the stack of the thread that crashed: innermost %s",
			    scene_full_place(opinion, &python->fatal_stack.frames.v[0]));
}

static bool judge_kernel_crash(const struct findings *findings, struct opinion *opinion)
{
	const struct aftermath *a = &findings->aftermath;
	const char *what = "a crash", *in = "";
	struct kernlog_event event;
	int signo = SIGSEGV;

	if (!a->crash)
		return false;
	const char *message = kernlog_syslog(a->crash->text);
	kernlog_parse(message ? message : a->crash->text, &event);
	if (event.what.s)
		what = opinion_text(opinion, "%.*s", (int)event.what.len, event.what.s);
	if (event.module.s)
		in = opinion_text(opinion, " in %.*s", (int)event.module.len, event.module.s);
	if (event.kind == KERNLOG_SECCOMP)
		signo = SIGSYS;
	else if (event.signo)
		signo = event.signo;
	enum confidence confidence = pid_confidence(findings);
	if (a->crash_of_thread && confidence == CERTAIN)
		confidence = LIKELY;
	opinion_claim(opinion, cause_of_signal(signo), confidence,
		      "%s crashed%s: %s%s%s.", who(findings, opinion),
		      when(findings, opinion, a->crash_at), what, in,
		      dump_place(findings, opinion));
	tell_told(opinion, a->crash);
	tell_dump(findings, opinion);
	if (a->crash_of_thread)
		opinion_doubt(opinion, a->crash->where,
				"the line names a thread, by its number; name and time fit this "
				"process");
	else
		doubt_pid(findings, opinion);
	return true;
}

static bool is_about_stop(const struct testimony *why)
{
	return strstr(why->text, "stop-") || strstr(why->text, "Stopping") ||
	       strstr(why->text, "final-");
}

// The words for why systemd sent a signal.
static const char *reason_words(const struct testimony *why, bool requested)
{
	struct unit_event event = {};

	if (why)
		systemd_parse(why->text, &event);
	switch (event.kind) {
	case UNIT_OVERDUE:
		return is_about_stop(why) ? "it had not stopped in the time it was given"
					  : "it had not done in time what it was to do";
	case UNIT_UNHEARD:
		return "the watchdog had not heard of it in time";
	case UNIT_EXPIRED:
		return "the time it was allowed to run was over";
	default:
		return requested ? "somebody asked for it by systemctl kill"
				 : "why, it does not say";
	}
}

// What is to be changed for it not to happen again, besides the program.
static void advise_on_reason(const struct findings *findings, struct opinion *opinion)
{
	const struct testimony *why = findings->aftermath.unit.why;
	const char *setting = "TimeoutStartSec=";
	struct unit_event event = {};

	if (why)
		systemd_parse(why->text, &event);
	if (event.kind == UNIT_EXPIRED)
		opinion_advise(opinion, "The time it may run is the unit's RuntimeMaxSec=.");
	if (event.kind != UNIT_OVERDUE && event.kind != UNIT_UNHEARD)
		return;
	if (event.kind == UNIT_UNHEARD)
		setting = "WatchdogSec=";
	else if (is_about_stop(why))
		setting = "TimeoutStopSec=";
	opinion_advise(opinion,
		       "Find what kept it from that: \"pcatch attach PID\" beside it has the "
		       "stacks at the kill, \"pcatch snapshot PID\" those of before. More time is "
		       "the unit's %s.",
		       setting);
}

// Systemd says that it sent this process a signal, or that the time was over at which it does.
static bool judge_unit_kill(const struct findings *findings, struct opinion *opinion)
{
	const struct aftermath *a = &findings->aftermath;
	const struct testimony *kill = a->unit.kill, *why = a->unit.why;
	struct unit_event event = {};

	if (kill)
		systemd_parse(kill->text, &event);
	int signo = kill ? event.signo : a->end.signo;
	if (a->end.known && a->end.signo != signo)
		return false;
	// Without a word of the kill itself a time that was over just before has to do.
	bool overdue = why && a->end.known && llabs(a->end.at - why->at) <= AT_ONCE &&
		       (signo == SIGKILL || signo == SIGABRT || signo == SIGTERM);
	if (!kill && !overdue)
		return false;
	int64_t at = a->end.known ? a->end.at : kill->at;
	bool sure = kill && a->end.known && (a->from || findings->snapshot->autopsy.since);
	opinion_claim(opinion, CAUSE_KILLED_BY_SUPERVISOR, sure ? CERTAIN : LIKELY,
		      "%s was killed by systemd%s with %s: %s.", who(findings, opinion),
		      when(findings, opinion, at), scene_signal(opinion, signo),
		      reason_words(why, event.kind == UNIT_REQUESTED));
	tell_told(opinion, a->unit.stop);
	tell_told(opinion, why);
	tell_told(opinion, kill);
	if (a->end.known)
		opinion_for(opinion, a->end.source, "\"%s\"",
			    opinion_clip(opinion, a->end.text, 300));
	if (!kill)
		opinion_doubt(opinion, why->where,
				"it does not name the process that it sent the signal to");
	tell_hint(findings, opinion, a->asked);
	advise_on_reason(findings, opinion);
	return true;
}

// One of the unit was ended for want of memory: this one, where it was ended by SIGKILL then.
static bool judge_unit_oom(const struct findings *findings, struct opinion *opinion)
{
	const struct aftermath *a = &findings->aftermath;
	const struct testimony *oom = a->unit.oom;
	struct unit_event event;

	if (!oom)
		return false;
	bool killed = a->end.known && a->end.signo == SIGKILL &&
		      llabs(a->end.at - a->unit.oom_at) <= AT_ONCE;
	bool told = a->end.known || a->dump || a->asked || a->traceback || a->stopped;
	if (!killed && told)
		return false;
	systemd_parse(oom->text, &event);
	bool daemon = event.kind == UNIT_OOMD;
	opinion_claim(opinion, daemon ? CAUSE_KILLED_BY_SUPERVISOR : CAUSE_OUT_OF_MEMORY,
		      killed ? LIKELY : POSSIBLE, "%s ended %s%s%s.",
		      daemon ? "systemd-oomd, which acts when memory gets short,"
			     : "The kernel's OOM killer",
		      killed ? "" : "a process of its unit, maybe ", whom(findings, opinion),
		      when(findings, opinion, a->unit.oom_at));
	tell_told(opinion, oom);
	if (a->end.known)
		opinion_for(opinion, a->end.source, "\"%s\"",
			    opinion_clip(opinion, a->end.text, 300));
	opinion_doubt(opinion, oom->where,
			"systemd does not say which process of the unit it was; the kernel's own "
			"line would, and is not there");
	opinion_advise(opinion,
		       "Give it more memory or find what grows: \"pcatch attach\" keeps a record "
		       "of its memory until the end.");
	return true;
}

static void claim_exit(const struct findings *findings, struct opinion *opinion)
{
	const struct aftermath *a = &findings->aftermath;
	const char *name = who(findings, opinion), *at = when(findings, opinion, a->end.at);
	const struct exception *exception = findings->python.exception;
	int code = a->end.exit_code;

	if (a->traceback)
		opinion_claim(opinion, CAUSE_UNCAUGHT_EXCEPTION, LIKELY,
			      "%s ended%s with %s%s%s, exit code %d.", name, at, exception->type,
			      exception->message ? ": " : "",
			      opinion_clip(opinion, exception->message, 80), code);
	else if (a->asked)
		opinion_claim(opinion, CAUSE_GRACEFUL_SHUTDOWN, LIKELY,
			      "%s was asked to stop by %s and exited%s with code %d.", name,
			      scene_signal(opinion, a->asked->signo), at, code);
	else if (a->unit.stop)
		opinion_claim(opinion, CAUSE_GRACEFUL_SHUTDOWN, LIKELY,
			      "%s was stopped by systemd and exited%s with code %d.", name, at,
			      code);
	else
		opinion_claim(opinion, code ? CAUSE_EXIT_CODE : CAUSE_CLEAN_EXIT, a->end.confidence,
			      "%s exited%s with code %d.", name, at, code);
}

// What its supervisor wrote before it sent the signal, in the words of gunicorn and supervisord.
static const char *supervisor_words(const struct findings *findings)
{
	const char *line = hint_text(findings, findings->aftermath.killing);

	if (strstr(line, "WORKER TIMEOUT"))
		return "gunicorn's master had given up on it after the worker timeout";
	if (strstr(line, "killing '"))
		return "supervisord had waited in vain for it to stop";
	return "its supervisor's log says that it was about to do so";
}

static void claim_signal(const struct findings *findings, struct opinion *opinion)
{
	const struct aftermath *a = &findings->aftermath;
	const char *name = who(findings, opinion), *at = when(findings, opinion, a->end.at);
	int signo = a->end.signo;
	const char *signal = scene_signal(opinion, signo);
	bool sent = signo == SIGKILL || signo == SIGTERM || signo == SIGINT || signo == SIGHUP ||
		    signo == SIGQUIT;

	if (!sent)
		opinion_claim(opinion, cause_of_signal(signo), a->end.confidence,
			      "%s was ended by %s%s%s.", name, signal, at,
			      dump_place(findings, opinion));
	else if (a->killing)
		opinion_claim(opinion, CAUSE_KILLED_BY_SUPERVISOR, LIKELY,
			      "%s was ended by %s%s; %s.", name, signal, at,
			      supervisor_words(findings));
	else
		opinion_claim(opinion,
			      signo == SIGKILL ? CAUSE_KILLED_BY_UNKNOWN
					       : CAUSE_TERMINATED_BY_SIGNAL,
			      a->end.confidence, "%s was ended by %s%s; who sent it is not known.",
			      name, signal, at);
}

// Somebody has seen with what status it ended.
static bool judge_status(const struct findings *findings, struct opinion *opinion)
{
	const struct aftermath *a = &findings->aftermath;
	int signo = a->end.signo;

	if (!a->end.known)
		return false;
	if (signo)
		claim_signal(findings, opinion);
	else
		claim_exit(findings, opinion);
	tell_told(opinion, a->unit.stop);
	tell_told(opinion, a->unit.kill);
	opinion_for(opinion, a->end.source, "\"%s\"", opinion_clip(opinion, a->end.text, 300));
	if (a->end.of_unit)
		opinion_doubt(opinion, a->end.source,
				"it is said of the main process of the unit: that this was pid %d, "
				"it does not say",
				(int)findings->snapshot->process.pid);
	tell_hint(findings, opinion, a->killing);
	tell_hint(findings, opinion, a->asked);
	tell_dump(findings, opinion);
	if (signo == SIGKILL && a->kernel_silent)
		opinion_rule_out(opinion, CAUSE_OUT_OF_MEMORY,
				 "the kernel's log covers the time and has no OOM kill of it");
	return true;
}

static bool judge_dump(const struct findings *findings, struct opinion *opinion)
{
	const struct aftermath *a = &findings->aftermath;
	const char *error = findings->python.fatal_error;

	if (!a->dump)
		return false;
	enum cause cause = CAUSE_PYTHON_FATAL_ERROR;
	if (!strcmp(error, "Aborted"))
		cause = CAUSE_ABORT;
	else if (fatal_error_is_signal(error))
		cause = CAUSE_NATIVE_CRASH;
	opinion_claim(opinion, cause, LIKELY, "%s crashed%s: %s%s, says faulthandler.",
		      who(findings, opinion), when(findings, opinion, 0),
		      opinion_clip(opinion, error, 60), dump_place(findings, opinion));
	tell_dump(findings, opinion);
	if (a->shared)
		opinion_doubt(opinion, findings->python.fatal_error_source,
				"others write to this log, too, and the dump has no mark: that it "
				"is this process's follows from its place alone");
	if (!a->core)
		opinion_advise(opinion,
			       "faulthandler sees Python frames only: \"pcatch attach\" or a core "
			       "file has the native ones, which say what crashed.");
	return true;
}

static bool judge_asked(const struct findings *findings, struct opinion *opinion)
{
	const struct aftermath *a = &findings->aftermath;

	if (!a->asked)
		return false;
	bool vague = a->asked->author == AUTHOR_UNKNOWN && a->shared;
	opinion_claim(opinion, CAUSE_GRACEFUL_SHUTDOWN, vague ? POSSIBLE : LIKELY,
		      "%s was asked to stop by %s%s, and its log says so%s.",
		      who(findings, opinion),
		      scene_signal(opinion, a->asked->signo),
		      a->asked->at ? when(findings, opinion, a->asked->at) : "",
		      a->stopped ? "; it finished its shutdown" : "; that it finished is not in "
								  "there");
	tell_hint(findings, opinion, a->asked);
	tell_hint(findings, opinion, a->stopping);
	tell_hint(findings, opinion, a->stopped);
	if (!a->stopped)
		opinion_doubt(opinion, "log",
				"it does not say that the shutdown came to its end: it may have "
				"been killed while at it");
	if (vague)
		opinion_doubt(opinion, "log",
				"others write to it, too, and the line has no mark");
	opinion_gap(opinion, "who asked it to stop", "the log does not name the sender of the "
						     "signal",
		    "pcatch attach names the sender, its user and its command line");
	return true;
}

static bool judge_traceback(const struct findings *findings, struct opinion *opinion)
{
	const struct aftermath *a = &findings->aftermath;
	const struct exception *exception = findings->python.exception;

	if (!a->traceback)
		return false;
	const struct stack *stack = &exception->traceback;
	const char *in = "";
	if (stack->frames.n)
		in = opinion_text(opinion, " in %s", scene_place(opinion, stack->frames.v));
	opinion_claim(opinion, CAUSE_UNCAUGHT_EXCEPTION, a->shared ? POSSIBLE : LIKELY,
		      "%s ended%s with %s%s%s%s: a traceback is the last that it wrote.",
		      who(findings, opinion), when(findings, opinion, 0), exception->type,
		      exception->message ? ": " : "",
		      opinion_clip(opinion, exception->message, 60), in);
	opinion_for(opinion, exception->source, "nothing of its own follows the traceback of %s",
		    exception->type);
	if (a->shared)
		opinion_doubt(opinion, exception->source,
				"others write to this log, too, and a traceback has no mark");
	return true;
}

static bool judge_stopped(const struct findings *findings, struct opinion *opinion)
{
	const struct aftermath *a = &findings->aftermath;

	if (!a->stopped)
		return false;
	bool vague = a->stopped->author == AUTHOR_UNKNOWN && a->shared;
	opinion_claim(opinion, CAUSE_CLEAN_EXIT, vague ? POSSIBLE : LIKELY,
		      "%s ended in order%s: its log says so, and not that a signal asked for it.",
		      who(findings, opinion), when(findings, opinion, a->stopped->at));
	tell_hint(findings, opinion, a->stopping);
	tell_hint(findings, opinion, a->stopped);
	return true;
}

static bool judge_restart(const struct findings *findings, struct opinion *opinion)
{
	const struct autopsy *autopsy = &findings->snapshot->autopsy;
	const char *how = "nothing is known of a shutdown in order";

	if (!findings->aftermath.restarted)
		return false;
	if (findings->snapshot->host.in_container)
		how = "the logs of what runs the container say why";
	else if (autopsy->halt)
		how = opinion_text(opinion, "it had been shut down in order at %s",
				   time_words(opinion, autopsy->halt));
	opinion_claim(opinion, CAUSE_VANISHED, LIKELY,
		      "The %s was restarted at %s, and %s went with it or before: %s.",
		      world(findings), time_words(opinion, autopsy->boot),
		      whom(findings, opinion), how);
	return true;
}

// Systemd stopped the unit, and has no failure to tell.
static bool judge_unit_stop(const struct findings *findings, struct opinion *opinion)
{
	const struct testimony *stop = findings->aftermath.unit.stop;

	if (!stop)
		return false;
	opinion_claim(opinion, CAUSE_GRACEFUL_SHUTDOWN, LIKELY,
		      "%s was stopped by systemd at %s, as it was asked to; of a failure it says "
		      "nothing.",
		      who(findings, opinion), time_words(opinion, stop->at));
	tell_told(opinion, stop);
	opinion_gap(opinion, "who asked systemd to stop it", "the journal does not say it",
		    "pcatch attach names the sender of each signal; auditd can log systemctl's "
		    "calls");
	return true;
}

static bool is_no_oom(const struct findings *findings)
{
	const struct snapshot *snapshot = findings->snapshot;

	return (findings->aftermath.kernel_silent && !snapshot->host.in_container) ||
	       snapshot->process.oom_kills_after == 0;
}

// Why memory is not to blame, and what kind of crash it was not.
static void rule_out_by_silence(const struct findings *findings, struct opinion *opinion)
{
	const struct snapshot *snapshot = findings->snapshot;
	bool silent = findings->aftermath.kernel_silent && !snapshot->host.in_container;
	int64_t kills = snapshot->process.oom_kills_after;

	if (silent)
		opinion_rule_out(opinion, CAUSE_OUT_OF_MEMORY,
				 "the kernel's log covers the time and has no OOM kill of it");
	else if (kills == 0)
		opinion_rule_out(opinion, CAUSE_OUT_OF_MEMORY, "its cgroup %s counts no OOM kill",
				 snapshot->process.cgroup);
	else if (kills > 0)
		opinion_for(opinion, "cgroup",
			    "%s, where it was, counts %lld OOM kills; whose and when, it does not",
			    snapshot->process.cgroup, (long long)kills);
	// Of a fault that a handler takes there is no line, also when it is raised again.
	if (silent && snapshot->autopsy.kernel_tells_faults)
		opinion_against(opinion, "the kernel's log",
				"hardly a native crash: there is no line of one, which only a "
				"handler such as faulthandler's keeps from being written");
}

static bool judge_silence(const struct findings *findings, struct opinion *opinion)
{
	const struct aftermath *a = &findings->aftermath;
	const struct snapshot *snapshot = findings->snapshot;
	const struct process_ref *holder = &snapshot->autopsy.holder;
	bool no_oom = is_no_oom(findings), heard = false;

	for (size_t i = 0; i < snapshot->logs.n; i++)
		heard |= snapshot->logs.v[i].lines.n > 0;

	if (a->fate == FATE_REUSED && !heard)
		opinion_claim(opinion, CAUSE_VANISHED, CONFIDENCE_UNKNOWN,
			      "Process %d is gone, and its pid now belongs to another process: %s "
			      "(pid %d).",
			      (int)snapshot->process.pid, holder->comm ? holder->comm : "?",
			      (int)holder->pid);
	else
		opinion_claim(opinion, CAUSE_VANISHED, CONFIDENCE_UNKNOWN,
			      "%s vanished%s without a word: most likely SIGKILL%s, or a signal "
			      "that ends silently, such as SIGPIPE.",
			      who(findings, opinion), when(findings, opinion, 0),
			      no_oom ? " by somebody" : " (somebody's, or the OOM killer's)");
	if (heard)
		opinion_for(opinion, "log",
			    "there is no signal, shutdown, traceback or dump of faulthandler in it "
			    "behind its last sign of life");
	rule_out_by_silence(findings, opinion);
	opinion_gap(opinion, "how it ended", "nobody saw its exit status or the signal",
		    "have pcatch attached: pcatch attach, or pcatch run -- COMMAND");
	return true;
}

// What can have been, when nothing speaks.
static void tell_likelihood(const struct findings *findings, struct opinion *opinion)
{
	opinion_for(opinion, "likelihood", "1: SIGKILL, which no program can log%s",
		    is_no_oom(findings) ? "" : "; the OOM killer sends it, too");
	opinion_for(opinion, "likelihood",
		    "2: a signal whose default action ends a process and that leaves no trace: "
		    "SIGPIPE where Python's own \"ignored\" was undone, SIGHUP, SIGALRM, SIGUSR1");
	opinion_for(opinion, "likelihood", "3: os._exit() or _exit(), in it or in a library");
}

static judge *const judges[] = {
	judge_lives,	 judge_oom,	  judge_kernel_crash, judge_unit_kill, judge_unit_oom,
	judge_status,	 judge_dump,	  judge_asked,	      judge_traceback, judge_stopped,
	judge_unit_stop, judge_restart,	  judge_silence,
};

bool judge_autopsy(const struct findings *findings, struct opinion *opinion)
{
	if (!findings->aftermath.present)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(judges); i++)
		if (judges[i](findings, opinion))
			break;
	tell_reuse(findings, opinion);
	if (findings->aftermath.fate == FATE_ALIVE)
		return true;
	const struct verdict *verdict = &opinion->verdict;
	bool silence = verdict->cause == CAUSE_VANISHED &&
		       verdict->confidence == CONFIDENCE_UNKNOWN;
	tell_life(findings, opinion);
	if (silence)
		tell_likelihood(findings, opinion);
	tell_left(findings, opinion);
	advise_core(findings, opinion);
	if (silence || verdict->cause == CAUSE_KILLED_BY_UNKNOWN ||
	    verdict->cause == CAUSE_TERMINATED_BY_SIGNAL)
		advise_next_time(findings, opinion);
	return true;
}
