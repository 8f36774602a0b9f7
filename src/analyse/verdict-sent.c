/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "../cleanup.h"
#include "judges.h"
#include "supervisors.h"

// A worker that is aborted ends at once, or after what its server lets it finish.
#define ABORT_MAX INT64_C(60000000000)

static bool killed_by(const struct findings *findings, int signo)
{
	const struct death *death = &findings->snapshot->death;

	return death->kind == DEATH_SIGNAL && death->signo == signo;
}

static bool sender_known(const struct findings *findings)
{
	enum raiser raiser = scene_raiser(findings);

	return raiser == RAISED_BY_PROCESS || raiser == RAISED_FROM_OUTSIDE ||
	       raiser == RAISED_BY_ITSELF;
}

// What SIGKILL cannot have been: all other ends leave another status.
void verdict_rule_out_for_kill(struct opinion *opinion)
{
	opinion_rule_out(opinion, CAUSE_NATIVE_CRASH,
			 "a segmentation fault ends with SIGSEGV (or SIGBUS, SIGILL, SIGFPE); the "
			 "kernel reports SIGKILL");
	opinion_rule_out(opinion, CAUSE_ABORT,
			 "abort() ends with SIGABRT; the kernel reports SIGKILL");
	opinion_rule_out(
		opinion, CAUSE_UNCAUGHT_EXCEPTION,
		"an exception that nobody catches ends with exit code 1, not with a signal");
	opinion_rule_out(opinion, CAUSE_OS_EXIT, "os._exit gives an exit code; a signal ended it");
	opinion_rule_out(opinion, CAUSE_BROKEN_PIPE,
			 "a write without a reader gives SIGPIPE; the kernel reports SIGKILL");
}

void verdict_tell_memory(const struct findings *findings, struct opinion *opinion)
{
	const struct snapshot *snapshot = findings->snapshot;
	const struct process *process = &snapshot->process;
	uint64_t rss;

	if (process->memory_limit >= 0 && process->memory_usage >= 0)
		opinion_for(opinion, "cgroup", "its cgroup used %s of the %s that it may",
			    scene_size(opinion, (uint64_t)process->memory_usage),
			    scene_size(opinion, (uint64_t)process->memory_limit));
	else if (process->memory_limit >= 0)
		opinion_for(opinion, "cgroup", "its cgroup may use %s",
			    scene_size(opinion, (uint64_t)process->memory_limit));
	if (scene_status(findings, "VmRSS", &rss) && rss < UINT64_MAX / 1024)
		opinion_for(opinion, "/proc", "it had %s of memory in use itself",
			    scene_size(opinion, rss * 1024));
	if (snapshot->timeline.samples.n > 1) {
		const struct sample *first = &snapshot->timeline.samples.v[0];
		const struct sample *last =
			&snapshot->timeline.samples.v[snapshot->timeline.samples.n - 1];

		if (first->rss >= 0 && last->rss > first->rss && last->at > first->at)
			opinion_for(opinion, "timeline", "its memory grew from %s to %s in %s",
				    scene_size(opinion, (uint64_t)first->rss),
				    scene_size(opinion, (uint64_t)last->rss),
				    scene_duration(opinion, last->at - first->at));
	}
}

bool judge_cpu_limit_kill(const struct findings *findings, struct opinion *opinion)
{
	const struct death *death = &findings->snapshot->death;
	uint64_t soft, hard;
	double used = scene_cpu_seconds(findings);

	if (!killed_by(findings, SIGKILL) || sender_known(findings) || used < 0 ||
	    !scene_limit(findings, "Max cpu time", &soft, &hard) || hard == UINT64_MAX)
		return false;
	bool by_kernel = death->info.code == SI_KERNEL &&
			 death->sender.process.pid == findings->snapshot->process.pid;
	// The kernel counts in nanoseconds, /proc in hundredths. What the limit is compared with are
	// whole ticks, of which who shares a busy CPU is charged too many (kernel/sched/cputime.c); so
	// much less is believed when the kernel is known to have done it, in the process's own time.
	if (used + (by_kernel ? (double)hard / 4 : 0.05) < (double)hard)
		return false;
	const struct frame *python = scene_python_frame(findings);
	opinion_claim(opinion, CAUSE_RESOURCE_LIMIT, LIKELY,
		      "The kernel killed it (SIGKILL): it had used up the hard limit of %" PRIu64
		      " s of CPU time%s%s.",
		      hard, python ? ", last at " : "", scene_python_place(findings, opinion));
	opinion_for(opinion, "/proc",
		    "it had used %.2f s of CPU time; the hard limit is %" PRIu64
		    " s, and the kernel sends SIGKILL there",
		    used, hard);
	opinion_for(opinion, "exit status", "SIGKILL ended it");
	if (by_kernel)
		opinion_for(opinion, "tracepoint",
			    "the kernel itself sent SIGKILL, while the process was running");
	scene_tell_python(findings, opinion, "when it was killed the thread was at");
	verdict_rule_out_for_kill(opinion);
	opinion_advise(opinion,
		       "Raise the hard limit (ulimit -Ht, LimitCPU=), or find out what used the "
		       "time.");
	return true;
}

// "at app.py:12 in f", "in g (libg.so)", "" for the thread that sent a signal to its own process.
static const char *sending_place(struct opinion *opinion, const struct thread_findings *thread)
{
	if (thread->python.frames.n)
		return opinion_text(opinion, " at %s",
				    scene_place(opinion, &thread->python.frames.v[0]));
	if (thread->native.frames.n)
		return opinion_text(opinion, " in %s",
				    scene_place(opinion, &thread->native.frames.v[0]));
	return "";
}

// The call's first argument names the process itself, or a group that it is in.
static bool aims_at_itself(const struct findings *findings, const struct thread_findings *thread)
{
	const struct process *process = &findings->snapshot->process;
	bool thread_call = !strcmp(thread->syscall, "tkill");
	int64_t pid;

	if (!strcmp(thread->syscall, "pidfd_send_signal") || !scene_argument(thread, 0, &pid))
		return false;
	int32_t target = (int32_t)pid;
	if (thread_call)
		return snapshot_thread(findings->snapshot, target) != NULL;
	if (target == scene_own_pid(findings))
		return true;
	return !strcmp(thread->syscall, "kill") &&
	       (target == 0 || target == -1 || (process->pgid > 1 && target == -process->pgid));
}

// SIGKILL has no siginfo, but a thread that was sending just that to itself is seen in the call.
bool judge_own_kill(const struct findings *findings, struct opinion *opinion)
{
	const struct thread_findings *sender = NULL;

	if (!killed_by(findings, SIGKILL) ||
	    (sender_known(findings) && scene_raiser(findings) != RAISED_BY_ITSELF))
		return false;
	for (size_t i = 0; i < findings->threads.n && !sender; i++) {
		const struct thread_findings *thread = &findings->threads.v[i];
		int64_t signo;

		if (!thread->syscall || !scene_sends_signal(thread))
			continue;
		unsigned index = strstr(thread->syscall, "tg") ? 2 : 1;
		if (scene_argument(thread, index, &signo) && (int32_t)signo == SIGKILL &&
		    aims_at_itself(findings, thread))
			sender = thread;
	}
	if (!sender)
		return false;
	opinion_claim(opinion, CAUSE_TERMINATED_BY_SIGNAL, LIKELY,
		      "It sent SIGKILL to itself%s; nobody else is to blame.",
		      sending_place(opinion, sender));
	opinion_for(opinion, "registers", "its thread %d was in the system call %s",
		    sender->thread ? (int)sender->thread->tid : 0,
		    opinion_clip(opinion,
				 sender->syscall_text ? sender->syscall_text : sender->syscall,
				 200));
	if (sender->python.frames.n)
		opinion_for(opinion, "python", "the call came from %s",
			    scene_full_place(opinion, &sender->python.frames.v[0]));
	verdict_rule_out_for_kill(opinion);
	return true;
}

static const char *terminal(const struct findings *findings)
{
	const char *tty = findings->snapshot->process.tty;

	return tty && *tty ? tty : NULL;
}

static const char *with_terminal(const struct findings *findings, struct opinion *opinion)
{
	return terminal(findings)
		       ? opinion_text(opinion, " %s", opinion_clip(opinion, terminal(findings), 60))
		       : "";
}

/*
 * What the interpreter does for a KeyboardInterrupt that nobody caught (since 3.8), programs do for
 * any other reason in their own handlers; but then they are still running Python.
 */
static const char *interrupted(const struct findings *findings, int signo)
{
	const struct exception *exception = findings->python.exception;

	if (signo != SIGINT || !scene_is_python(findings))
		return "";
	if (exception && !strcmp(exception->type, "KeyboardInterrupt"))
		return " (KeyboardInterrupt, which nobody caught)";
	if (exception || scene_python_frame(findings))
		return "";
	return " (as the interpreter does for a KeyboardInterrupt that nobody catches)";
}

/*
 * A handler that has done its work, puts the default action back and raises the signal again, so
 * that the parent sees the truth. It ended itself and nobody else is accused of it, but who sent the
 * first one is who it is about.
 */
bool judge_raised_again(const struct findings *findings, struct opinion *opinion)
{
	const struct death *death = &findings->snapshot->death;
	int signo = death->signo;
	int64_t elapsed;

	if (death->kind != DEATH_SIGNAL || scene_raiser(findings) != RAISED_BY_ITSELF ||
	    (signo != SIGTERM && signo != SIGINT && signo != SIGQUIT && signo != SIGHUP))
		return false;
	const struct signal_event *event = scene_asked_to_stop(findings, signo, &elapsed);
	if (!event)
		return false;
	const struct exception *exception = findings->python.exception;
	const struct sender *sender = &event->sender;
	const char *signal = scene_signal(opinion, signo);
	const char *who = scene_sender(opinion, sender), *after = "";
	if (sender->kind == SENDER_KERNEL)
		who = opinion_text(opinion, "its terminal%s", with_terminal(findings, opinion));
	if (elapsed >= 0)
		after = opinion_text(opinion, "%s later ", scene_duration(opinion, elapsed));
	opinion_claim(opinion, CAUSE_TERMINATED_BY_SIGNAL, LIKELY,
		      "%s from %s asked it to stop: it handled the signal%s, and %sended itself by "
		      "raising it again.",
		      signal, who, interrupted(findings, signo), after);
	opinion_for(opinion, "siginfo",
		    "the last %s was raised by the process itself, with the default "
		    "action",
		    signal);
	if (exception)
		opinion_for(opinion, exception->recorded ? "python" : "log", "%s: %s",
			    exception->source, opinion_clip(opinion, exception->type, 100));
	scene_tell_python(findings, opinion, "at the end the thread was at");
	opinion_rule_out(opinion, CAUSE_KILLED_BY_PROCESS,
			 "the %s that ended it came from itself; the first one was handled",
			 signal);
	return true;
}

bool judge_hangup(const struct findings *findings, struct opinion *opinion)
{
	const struct process *process = &findings->snapshot->process;
	const struct frame *python = scene_python_frame(findings);

	if (!killed_by(findings, SIGHUP) || scene_raiser(findings) != RAISED_BY_KERNEL)
		return false;
	bool leader = process->sid && process->sid == process->pid;
	opinion_claim(opinion, CAUSE_TERMINAL_HANGUP, terminal(findings) ? CERTAIN : LIKELY,
		      "SIGHUP killed it: its terminal%s was closed%s%s.",
		      with_terminal(findings, opinion), python ? "; it was at " : "",
		      scene_python_place(findings, opinion));
	opinion_for(opinion, "siginfo", "SIGHUP came from the kernel, not from a process%s",
		    findings->snapshot->death.sender.forwarded
			    ? "; pcatch run led the session and passed it on"
			    : "");
	if (terminal(findings))
		opinion_for(opinion, "/proc", "its controlling terminal was %s%s",
			    terminal(findings), leader ? ", and it led the session there" : "");
	else
		opinion_for(
			opinion, "/proc",
			"it has no controlling terminal any more; the kernel also sends "
			"SIGHUP to a stopped process group that has lost its session");
	scene_tell_python(findings, opinion, "at that moment it was at");
	opinion_rule_out(opinion, CAUSE_KILLED_BY_PROCESS, "no process sent the signal");
	opinion_rule_out(opinion, CAUSE_NATIVE_CRASH,
			 "SIGHUP is not raised by a faulty instruction");
	opinion_advise(opinion,
		       "Start it so that no terminal can take it along: as a service, in tmux, "
		       "with setsid or nohup.");
	return true;
}

static bool is_shell(const struct process_ref *process)
{
	static const char *const shells[] = { "sh",   "bash", "dash", "zsh", "ksh",
					      "fish", "ash",  "tcsh", "csh" };

	for (size_t i = 0; process->comm && i < ARRAY_SIZE(shells); i++)
		if (!strcmp(process->comm, shells[i]))
			return true;
	return false;
}

/*
 * That a dying parent did not send it itself, as far as that can be known without the kernel's
 * record of its end. A shell that hangs up its jobs and ends looks alike.
 */
static bool seems_ended_before(const struct findings *findings, const struct sender *sender)
{
	const struct process *process = &findings->snapshot->process;
	int64_t elapsed;
	uint64_t ppid;

	if (scene_status(findings, "PPid", &ppid) ? ppid == (uint64_t)sender->process.pid
						  : !sender->gone)
		return false;
	if (killed_by(findings, SIGHUP) &&
	    (is_shell(&sender->process) || is_shell(&process->ancestors.v[0])))
		return false;
	// It still had its memory a moment after it had sent the signal, or had asked before: then it
	// did so itself, and ended later, as timeout(1) does.
	return !(sender->source == SOURCE_TRACEPOINT && !sender->gone) &&
	       !scene_before(findings, sender, scene_signo(findings), &elapsed);
}

/*
 * PR_SET_PDEATHSIG: the kernel sends the signal in the dying parent's name, after the process has
 * been given to another one (kernel/exit.c, forget_original_parent).
 */
bool judge_parent_death(const struct findings *findings, struct opinion *opinion)
{
	const struct process *process = &findings->snapshot->process;
	const struct sender *sender = &findings->snapshot->death.sender;
	bool certain = sender->life == SENDER_ENDING;

	if (findings->snapshot->death.kind != DEATH_SIGNAL ||
	    scene_raiser(findings) != RAISED_BY_PROCESS || sender->forwarded ||
	    !process->ancestors.n || !sender->process.pid ||
	    process->ancestors.v[0].pid != sender->process.pid)
		return false;
	// One that kills its whole group may go with it, and still has done it.
	if (sender->life == SENDER_RUNNING || (!certain && !seems_ended_before(findings, sender)))
		return false;
	const char *signal = scene_signal(opinion, scene_signo(findings));
	// Who has ended can often be named only from what was seen when we attached.
	struct sender parent = *sender;
	if (!parent.process.comm && !parent.process.exe)
		parent.process = process->ancestors.v[0];
	parent.kind = SENDER_PROCESS;
	opinion_claim(opinion, CAUSE_PARENT_DEATH, certain ? CERTAIN : LIKELY,
		      "Its parent %s ended, and it had asked the kernel for %s in that case.",
		      scene_sender(opinion, &parent), signal);
	opinion_for(opinion, sender->source == SOURCE_TRACEPOINT ? "tracepoint" : "siginfo",
		    "%s carries the pid %d, its parent's", signal, (int)sender->process.pid);
	if (certain)
		opinion_for(opinion, "tracepoint",
			    "that parent was at its end already, where no process sends signals any "
			    "more: the kernel did");
	else
		opinion_for(opinion, "/proc",
			    "that parent had gone when the signal came: the process belonged to "
			    "another already");
	if (parent.process.cmdline.n || parent.user)
		opinion_for(opinion, "/proc", "the parent was %s",
			    scene_full_sender(opinion, &parent));
	scene_tell_python(findings, opinion, "at that moment it was at");
	opinion_rule_out(opinion, CAUSE_NATIVE_CRASH, "%s was not raised by a faulty instruction",
			 signal);
	opinion_advise(opinion, "Find out why the parent ended; the signal was asked for with "
				"prctl(PR_SET_PDEATHSIG).");
	return true;
}

// SIGTERM, SIGINT, SIGQUIT and SIGKILL are how a process is ended; any other signal was more likely
// meant to say something, or for somebody else.
static bool is_order_to_end(int signo)
{
	return signo == SIGTERM || signo == SIGINT || signo == SIGQUIT || signo == SIGKILL;
}

static bool is_memory_daemon(const struct process_ref *process)
{
	static const char *const names[] = { "systemd-oomd", "earlyoom", "oomd", "nohang" };

	for (size_t i = 0; process->comm && i < ARRAY_SIZE(names); i++)
		if (!strcmp(process->comm, names[i]))
			return true;
	return false;
}

static void advise_on_sender(const struct findings *findings, struct opinion *opinion,
			     const struct sender *sender, bool supervisor)
{
	int signo = scene_signo(findings);
	const char *comm = sender->process.comm ? sender->process.comm : "";
	const struct supervisor *keeper = supervisor_of(&sender->process);

	if (is_memory_daemon(&sender->process))
		opinion_advise(opinion, "%s ends processes when memory runs short: see its log.",
			       comm);
	else if (keeper && keeper->advice)
		opinion_advise(opinion, "%s", keeper->advice);
	else if (supervisor)
		opinion_advise(opinion,
			       "Ask %s why: its log says whether it was a stop, a restart, a "
			       "time-out or a failed check.",
			       scene_sender(opinion, sender));
	else
		opinion_advise(opinion, "The program did not fail: find out why %s sent %s.",
			       scene_sender(opinion, sender), scene_signal(opinion, signo));
	if (signo == SIGTERM)
		opinion_advise(opinion,
			       "It had no handler for SIGTERM, so it ended without cleaning up and "
			       "without a word in its log.");
}

// What a parent in Python means: nobody else's process ends so.
static const struct supervisor python_parent = {
	.title = "a Python parent",
	.term = "its Process.terminate()",
	.kill = "its Process.kill()",
	.after_term = "kill() after terminate() had not helped",
};

static const struct supervisor *keeper_of(const struct sender *sender)
{
	const struct supervisor *keeper = supervisor_of(&sender->process);
	const char *comm = sender->process.comm;

	if (!keeper && sender->relation == RELATION_PARENT && comm && !strncmp(comm, "python", 6))
		return &python_parent;
	return keeper;
}

static const char *supervisor_title(const struct sender *sender)
{
	const struct supervisor *keeper = keeper_of(sender);

	return keeper ? keeper->title : "it";
}

static const char *reason_of(const struct sender *sender, int signo,
			     const struct signal_event *before)
{
	const struct supervisor *keeper = keeper_of(sender);

	return keeper ? supervisor_reason(keeper, signo, before ? before->info.signo : 0) : NULL;
}

// " 10 s after SIGTERM", "": what BEFORE, which may be NULL, had to do with it.
static const char *after_request(struct opinion *opinion, const struct signal_event *before,
				 int64_t elapsed)
{
	return before ? opinion_text(opinion, " %s after %s", scene_duration(opinion, elapsed),
				     scene_signal(opinion, before->info.signo))
		      : "";
}

static void tell_reason(struct opinion *opinion, const struct sender *sender, const char *signal,
			const struct signal_event *before, const char *reason)
{
	if (reason)
		opinion_for(opinion, "supervisor", "%s%s from %s usually means: %s", signal,
			    before ? " after such a request" : "", supervisor_title(sender), reason);
}

/*
 * That the sender is not in the process's container says more than that it is above it: every
 * process of the host is outside, and whatever runs containers is an ancestor of all that is in them.
 */
bool judge_sent_from_outside(const struct findings *findings, struct opinion *opinion)
{
	if (findings->snapshot->death.kind != DEATH_SIGNAL ||
	    scene_raiser(findings) != RAISED_FROM_OUTSIDE)
		return false;
	int signo = scene_signo(findings);
	const char *signal = scene_signal(opinion, signo), *likely = "";
	const struct sender *sender = &findings->snapshot->death.sender;
	struct sender named = *sender;
	bool known = sender->process.pid > 0;
	int64_t elapsed;
	const struct signal_event *before = scene_before(findings, sender, signo, &elapsed);
	const char *reason = known ? reason_of(sender, signo, before) : NULL;
	if (reason)
		likely = opinion_text(opinion, ", likely: %s", reason);
	else if (!known)
		likely = ": mostly the container runtime or the node stopping it";
	named.kind = SENDER_PROCESS;
	opinion_claim(opinion, CAUSE_KILLED_FROM_OUTSIDE, CERTAIN,
		      "%s from %s%soutside of its container (pid namespace) killed it%s%s%s.", signal,
		      known ? scene_sender(opinion, &named) : "", known ? ", " : "",
		      after_request(opinion, before, elapsed), likely,
		      scene_main_place(findings, opinion));
	tell_reason(opinion, sender, signal, before, reason);
	if (known)
		scene_tell_sender(findings, opinion, sender);
	else
		opinion_for(opinion, "siginfo",
			    "%s was sent by a process, and its pid is 0: the sender is not in "
			    "this pid namespace",
			    signal);
	scene_tell_python(findings, opinion, "at that moment it was at");
	opinion_rule_out(opinion, CAUSE_NATIVE_CRASH, "%s was sent, not raised by an instruction",
			 signal);
	if (!known)
		opinion_gap(opinion, "who sent the signal",
			    "the sender is outside of the pid namespace",
			    "run pcatch on the host, outside of the container, with the right to "
			    "listen to who sends signals (root or CAP_PERFMON)");
	opinion_advise(opinion,
		       "Look at the events of the container runtime or the orchestrator at that "
		       "time (docker events, kubectl describe pod): stop, eviction, failed probe.");
	return true;
}

/*
 * gunicorn's way to end a worker that hangs: it sends SIGABRT, which the worker takes in Python and
 * exits by. The exit is the worker's own; that it had to is its supervisor's decision.
 */
bool judge_aborted_by_supervisor(const struct findings *findings, struct opinion *opinion)
{
	const struct snapshot *snapshot = findings->snapshot;
	const struct signal_event *event = NULL;

	if (snapshot->death.kind != DEATH_EXIT)
		return false;
	for (size_t i = snapshot->death.earlier.n; !event && i-- > 0;)
		if (snapshot->death.earlier.v[i].info.signo == SIGABRT &&
		    snapshot->death.earlier.v[i].disposition == SIGNAL_HANDLED &&
		    snapshot->death.earlier.v[i].sender.kind == SENDER_PROCESS)
			event = &snapshot->death.earlier.v[i];
	int64_t elapsed = event ? snapshot->time.death - event->last : -1;
	if (elapsed < 0 || elapsed > ABORT_MAX || !scene_is_supervisor(findings, &event->sender))
		return false;
	const struct sender *sender = &event->sender;
	const char *reason = reason_of(sender, SIGABRT, NULL);
	opinion_claim(opinion, CAUSE_KILLED_BY_SUPERVISOR, LIKELY,
		      "SIGABRT from %s%s made it end with exit code %d %s later%s%s%s.",
		      scene_sender(opinion, sender),
		      sender->relation == RELATION_PARENT ? ", its parent," : "",
		      snapshot->death.exit_code, scene_duration(opinion, elapsed),
		      reason ? ", likely: " : "", reason ? reason : "",
		      scene_main_place(findings, opinion));
	opinion_for(opinion, "siginfo", "SIGABRT came from %s", scene_full_sender(opinion, sender));
	opinion_for(opinion, "timing", "it exited %s after that, by its own handler",
		    scene_duration(opinion, elapsed));
	scene_tell_python(findings, opinion, "when SIGABRT came it was at");
	if (reason)
		opinion_for(opinion, "supervisor", "SIGABRT from %s usually means: %s",
			    supervisor_title(sender), reason);
	opinion_rule_out(opinion, CAUSE_ABORT, "another process sent SIGABRT; it did not call abort()");
	advise_on_sender(findings, opinion, sender, true);
	return true;
}

bool judge_sent(const struct findings *findings, struct opinion *opinion)
{
	const struct death *death = &findings->snapshot->death;
	struct sender sender = death->sender;
	int signo = scene_signo(findings);

	if (death->kind != DEATH_SIGNAL || scene_raiser(findings) != RAISED_BY_PROCESS)
		return false;
	// All that siginfo says is the number, when nobody could be looked up under it.
	if (sender.kind != SENDER_PROCESS) {
		sender.kind = SENDER_PROCESS;
		sender.gone = true;
		sender.process.pid = death->info.pid;
		sender.process.uid = death->info.uid;
	}
	bool supervisor = scene_is_supervisor(findings, &sender);
	enum cause cause = !is_order_to_end(signo) ? CAUSE_TERMINATED_BY_SIGNAL
			   : supervisor		   ? CAUSE_KILLED_BY_SUPERVISOR
						   : CAUSE_KILLED_BY_PROCESS;
	const char *signal = scene_signal(opinion, signo), *relation = "", *likely = "";
	if (sender.relation == RELATION_PARENT)
		relation = ", its parent,";
	else if (sender.relation == RELATION_CHILD)
		relation = ", its own child,";
	else if (supervisor)
		relation = ", its supervisor,";
	int64_t elapsed;
	const struct signal_event *before = scene_before(findings, &sender, signo, &elapsed);
	const char *reason = reason_of(&sender, signo, before);
	if (sender.on_behalf)
		likely = " by way of the kernel, likely with all of its cgroup (cgroup.kill)";
	else if (reason)
		likely = opinion_text(opinion, ", likely: %s", reason);
	opinion_claim(opinion, cause, CERTAIN, "%s from %s%s killed it%s%s%s.", signal,
		      scene_sender(opinion, &sender), relation,
		      after_request(opinion, before, elapsed), likely,
		      scene_main_place(findings, opinion));
	tell_reason(opinion, &sender, signal, before, reason);
	scene_tell_sender(findings, opinion, &sender);
	if (sender.on_behalf)
		opinion_for(opinion, "tracepoint",
			    "the kernel sent it in that process's name, as it does for a write to "
			    "cgroup.kill; its cgroup was %s",
			    findings->snapshot->process.cgroup
				    ? opinion_clip(opinion, findings->snapshot->process.cgroup, 200)
				    : "not known");
	scene_tell_python(findings, opinion, "at that moment it was at");
	if (signal_is_fault(signo) || signo == SIGABRT)
		opinion_rule_out(opinion, signo == SIGABRT ? CAUSE_ABORT : CAUSE_NATIVE_CRASH,
				 "another process sent %s; no instruction of its own raised it",
				 signal);
	else if (signo == SIGKILL)
		verdict_rule_out_for_kill(opinion), verdict_rule_out_oom(findings, opinion);
	else if (signo == SIGPIPE)
		opinion_rule_out(opinion, CAUSE_BROKEN_PIPE,
				 "another process sent SIGPIPE; no write of its own raised it");
	else if (signo == SIGHUP)
		opinion_rule_out(opinion, CAUSE_TERMINAL_HANGUP,
				 "another process sent SIGHUP, not the kernel for a terminal");
	else if (signo == SIGXCPU || signo == SIGXFSZ)
		opinion_rule_out(opinion, CAUSE_RESOURCE_LIMIT,
				 "another process sent %s, not the kernel for a limit", signal);
	else if (signo == SIGALRM || signo == SIGVTALRM || signo == SIGPROF)
		opinion_rule_out(opinion, CAUSE_TIMER_EXPIRED,
				 "another process sent %s; no timer of its own did", signal);
	else
		opinion_rule_out(opinion, CAUSE_NATIVE_CRASH,
				 "%s is not raised by a faulty instruction", signal);
	if (signo == SIGHUP && is_shell(&sender.process))
		opinion_advise(
			opinion,
			"A shell hangs up its jobs when it ends or loses its terminal: start "
			"the program with nohup, setsid or as a service.");
	else
		advise_on_sender(findings, opinion, &sender, supervisor);
	return true;
}

// So many of the ancestors are suspected by name.
#define SUSPECTS_MAX 3

/*
 * The known supervisors among the ancestors, the nearest first, with what a kill by each would
 * mean: who is nearest watches most closely. BEFORE is the signal that asked it to stop, 0: none.
 */
static void suspect_ancestors(const struct findings *findings, struct opinion *opinion, int before)
{
	const struct process *process = &findings->snapshot->process;
	int told = 0;

	for (size_t i = 0; i < process->ancestors.n && told < SUSPECTS_MAX; i++) {
		struct sender ancestor = { .kind = SENDER_PROCESS,
					   .process = process->ancestors.v[i],
					   .relation = i ? RELATION_ANCESTOR : RELATION_PARENT };
		const struct supervisor *keeper = keeper_of(&ancestor);

		if (!keeper)
			continue;
		const char *reason = supervisor_reason(keeper, SIGKILL, before);
		opinion_advise(opinion, "Suspect %s%s, %s%s%s; nothing proves it.",
			       told++ ? "then " : "", scene_sender(opinion, &ancestor),
			       i ? "an ancestor" : "its parent",
			       reason ? ": its SIGKILL would mean: " : "", reason ? reason : "");
	}
}

static void suspect(const struct findings *findings, struct opinion *opinion)
{
	int64_t elapsed;
	const struct signal_event *event = scene_asked_to_stop(findings, 0, &elapsed);
	uint64_t soft, hard = 0; // 0: unknown
	double used = scene_cpu_seconds(findings);

	if (event && elapsed >= 0)
		opinion_advise(opinion,
			       "Suspect first: %s, which sent %s %s before. Who asks a process to "
			       "stop and waits in vain often sends SIGKILL then.",
			       scene_sender(opinion, &event->sender),
			       scene_signal(opinion, event->info.signo),
			       scene_duration(opinion, elapsed));
	if (!verdict_rule_out_oom(findings, opinion)) {
		opinion_gap(opinion, "whether the OOM killer ended it",
			    "the OOM count of its cgroup could not be read",
			    "look for \"Out of memory\" or \"oom-kill\" in dmesg or journalctl -k");
		opinion_advise(
			opinion,
			"The OOM killer is possible: look for \"oom-kill\" in the kernel log "
			"(dmesg, journalctl -k) at that time.");
	}
	scene_limit(findings, "Max cpu time", &soft, &hard);
	if (hard == UINT64_MAX)
		opinion_rule_out(opinion, CAUSE_RESOURCE_LIMIT,
				 "its CPU time has no hard limit, the only one that SIGKILL enforces");
	else if (used >= 0 && used < (double)hard / 2)
		opinion_rule_out(opinion, CAUSE_RESOURCE_LIMIT,
				 "it had used %.2f s of the %" PRIu64 " s of CPU time that it may",
				 used, hard);
	verdict_tell_memory(findings, opinion);
	suspect_ancestors(findings, opinion, event && elapsed >= 0 ? event->info.signo : 0);
	opinion_advise(opinion,
		       "Otherwise somebody sent it: a supervisor after its grace time, a container "
		       "runtime, a memory daemon (earlyoom, systemd-oomd), an operator.");
}

// zap_pid_ns_processes(): the init of a pid namespace ends, and in its name the kernel kills the rest.
bool judge_namespace_end(const struct findings *findings, struct opinion *opinion)
{
	const struct death *death = &findings->snapshot->death;
	const struct process *process = &findings->snapshot->process;
	struct sender init = death->sender;
	// Of an ancestor that ends the kernel kills the rest only when it was the namespace's init.
	bool certain = init.life == SENDER_ENDING && (init.relation == RELATION_PARENT ||
						      init.relation == RELATION_ANCESTOR);

	if (!killed_by(findings, SIGKILL) || death->info.code != SI_KERNEL ||
	    init.kind != SENDER_KERNEL || init.process.pid <= 0 || (!certain && !init.gone) ||
	    init.life == SENDER_RUNNING || init.process.pid == process->pid || process->ns_pids.n < 2)
		return false;
	init.kind = SENDER_PROCESS;
	opinion_claim(opinion, CAUSE_KILLED_BY_SUPERVISOR, certain ? CERTAIN : LIKELY,
		      "Its container (pid namespace) ended: its init, %s, ended, and the kernel "
		      "killed (SIGKILL) what was left%s.",
		      scene_sender(opinion, &init), scene_main_place(findings, opinion));
	opinion_for(opinion, "tracepoint",
		    "the kernel itself sent SIGKILL, in the name of %s, which was ending",
		    scene_full_sender(opinion, &init));
	scene_tell_python(findings, opinion, "at that moment it was at");
	verdict_rule_out_for_kill(opinion);
	opinion_advise(opinion, "Find out why the init of the container ended.");
	return true;
}

bool judge_unknown_kill(const struct findings *findings, struct opinion *opinion)
{
	const struct frame *python = scene_python_frame(findings);

	// What siginfo knows of a sender has been judged before; a handler never sees SIGKILL.
	if (!killed_by(findings, SIGKILL) || scene_raiser(findings) == RAISED_BY_ITSELF ||
	    scene_raiser(findings) == RAISED_BY_TIMER)
		return false;
	opinion_claim(opinion, CAUSE_KILLED_BY_UNKNOWN, CONFIDENCE_UNKNOWN,
		      "SIGKILL ended it, and who sent it could not be seen%s%s.",
		      python ? "; it was at " : "", scene_python_place(findings, opinion));
	opinion_for(opinion, "exit status", "SIGKILL ended it; it did not crash and did not exit");
	scene_tell_python(findings, opinion, "when it was killed the thread was at");
	verdict_rule_out_for_kill(opinion);
	suspect(findings, opinion);
	const struct death *death = &findings->snapshot->death;
	const char *why = "SIGKILL carries no siginfo to a tracer, and the kernel's records of who sends "
			  "signals were not to be had";
	if (death->listened && death->records_lost)
		why = opinion_text(opinion, "the kernel lost %" PRIu64 " of its records of who sends "
				   "signals", death->records_lost);
	else if (death->info.signo == SIGKILL && death->info.code > 0)
		why = "the kernel's records say that the kernel itself sent it, and not why";
	else if (death->listened)
		why = "the kernel's records of who sends signals were listened to, and none was of it";
	opinion_gap(opinion, "who sent SIGKILL", why,
		    death->listened ? NULL
				    : "run pcatch as root or with CAP_PERFMON and CAP_DAC_READ_SEARCH; "
				      "until then auditd with a rule for kill(2) can name the sender");
	return true;
}

static const char *keys(int signo)
{
	return signo == SIGINT ? " (^C)" : signo == SIGQUIT ? " (^\\)" : "";
}

// Everything else that has a signal for its end.
bool judge_signal(const struct findings *findings, struct opinion *opinion)
{
	const struct death *death = &findings->snapshot->death;
	int signo = scene_signo(findings);
	const struct frame *python = scene_python_frame(findings);

	if (death->kind != DEATH_SIGNAL)
		return false;
	const char *signal = scene_signal(opinion, signo), *at = "";
	if (python)
		at = opinion_text(opinion, " at %s", scene_python_place(findings, opinion));
	else if (findings->dying && findings->dying->native.frames.n)
		at = opinion_text(opinion, " in %s",
				  scene_place(opinion, scene_native_frame(findings)));
	switch (scene_raiser(findings)) {
	case RAISED_BY_ITSELF:
		opinion_claim(opinion, CAUSE_TERMINATED_BY_SIGNAL, CERTAIN,
			      "It sent %s to itself%s; nobody else is to blame.", signal, at);
		opinion_for(opinion, "siginfo", "%s carries its own pid", signal);
		scene_tell_python(findings, opinion, "the signal was sent from");
		opinion_rule_out(opinion, CAUSE_KILLED_BY_PROCESS,
				 "the sender is the process itself");
		if (signal_is_fault(signo))
			opinion_rule_out(
				opinion, CAUSE_NATIVE_CRASH,
				"%s was sent with kill or raise, not raised by an instruction",
				signal);
		else if (signo == SIGPIPE)
			opinion_rule_out(opinion, CAUSE_BROKEN_PIPE,
					 "the thread was not writing, but sending the signal");
		break;
	case RAISED_BY_KERNEL:
		if (signo == SIGINT || signo == SIGQUIT)
			opinion_claim(opinion, CAUSE_TERMINATED_BY_SIGNAL, CERTAIN,
				      "%s from its terminal%s%s ended it.", signal,
				      with_terminal(findings, opinion), keys(signo));
		else
			opinion_claim(
				opinion, CAUSE_TERMINATED_BY_SIGNAL, CERTAIN,
				"%s from the kernel ended it: nothing in it took the signal%s%s.",
				signal, *at ? "; it was" : "", at);
		opinion_for(opinion, "siginfo", "%s came from the kernel, not from a process",
			    signal);
		scene_tell_python(findings, opinion, "at that moment it was at");
		opinion_rule_out(opinion, CAUSE_KILLED_BY_PROCESS, "no process sent the signal");
		break;
	default:
		opinion_claim(opinion, CAUSE_TERMINATED_BY_SIGNAL, LIKELY,
			      "%s ended it; who raised it could not be seen%s%s.", signal,
			      *at ? "; it was" : "", at);
		opinion_for(opinion, "exit status", "%s ended it", signal);
		scene_tell_python(findings, opinion, "at that moment it was at");
		opinion_gap(opinion, "who raised the signal", "its siginfo was not seen", NULL);
		break;
	}
	return true;
}
