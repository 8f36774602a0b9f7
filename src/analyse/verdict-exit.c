/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "../cleanup.h"
#include "judges.h"
#include "supervisors.h"
#include "traceback.h"

// How a thread of a Python process came to call exit_group, from its native frames.
enum way_out {
	WAY_NORMAL,   /* the interpreter was taken down, or had been: no Python frames were left */
	WAY_CHILD,    /* as normal: what forks workers ends them by os._exit() when they have done */
	WAY_UNKNOWN,  /* they were, and what lies inside of them has no names */
	WAY_OS_EXIT,  /* _exit() */
	WAY_C_EXIT,   /* exit() or quick_exit(), called from C */
	WAY_WATCHDOG, /* faulthandler's thread */
};

static bool exited(const struct findings *findings)
{
	return findings->snapshot->death.kind == DEATH_EXIT;
}

static bool named(const struct frame *frame, const char *const *names)
{
	for (; frame->function && *names; names++)
		if (!strcmp(frame->function, *names))
			return true;
	return false;
}

static const char *const exit_functions[] = { "exit",	   "__run_exit_handlers", "quick_exit",
					      "__GI_exit", "__GI_quick_exit",	  "_dl_fini",
					      NULL };
static const char *const raw_exit_functions[] = { "_exit",	"_Exit",      "__GI__exit",
						  "__GI__Exit", "exit_group", NULL };
static const char *const os_exit_functions[] = { "os__exit", "os__exit_impl", "posix__exit",
						 "posix__exit_impl", NULL };
static const char *const watchdog_functions[] = { "faulthandler_thread", NULL };

/*
 * What forks a child to run a function in it ends it by os._exit() when the function has returned, in
 * a frame of its own: else it would do the parent's cleanup. NULL for any other frame.
 */
static const char *forker_of(const struct frame *frame)
{
	static const struct {
		const char *file, *name;
	} forkers[] = {
		{ "multiprocessing/popen_fork", "multiprocessing" },
		{ "multiprocessing/forkserver", "multiprocessing" },
		{ "billiard/popen_fork", "billiard (celery)" },
		{ "billiard/pool.py", "billiard (celery)" },
	};

	for (size_t i = 0; frame && frame->file && i < ARRAY_SIZE(forkers); i++)
		if (strstr(frame->file, forkers[i].file))
			return forkers[i].name;
	return NULL;
}

static enum way_out way_out(const struct findings *findings)
{
	const struct thread_findings *thread = findings->dying;
	bool raw = false, child = forker_of(scene_python_frame(findings));

	if (findings->snapshot->time.finalization)
		return WAY_NORMAL;
	if (scene_native_named(findings, watchdog_functions))
		return WAY_WATCHDOG;
	if (!thread || !thread->python.frames.n)
		return WAY_NORMAL;
	for (size_t i = 0; i < thread->native.frames.n; i++) {
		const struct frame *frame = &thread->native.frames.v[i];

		// What lies outside of the innermost Python frame called Python, not exit().
		if (frame->eval_loop)
			break;
		if (named(frame, exit_functions))
			return WAY_C_EXIT;
		if (named(frame, os_exit_functions))
			return child ? WAY_CHILD : WAY_OS_EXIT;
		if (named(frame, raw_exit_functions))
			raw = true;
	}
	if (child)
		return WAY_CHILD;
	if (raw)
		return WAY_OS_EXIT;
	return findings->python.finalizing ? WAY_NORMAL : WAY_UNKNOWN;
}

// Who called exit() or _exit(): the first named frame that is none of them.
static const struct frame *exit_caller(const struct findings *findings)
{
	const struct thread_findings *thread = findings->dying;

	for (size_t i = 0; thread && i < thread->native.frames.n; i++) {
		const struct frame *frame = &thread->native.frames.v[i];

		if (frame->eval_loop)
			return NULL;
		if (frame->module && !named(frame, exit_functions) &&
		    !named(frame, raw_exit_functions) && frame->function)
			return frame;
	}
	return NULL;
}

static void tell_code(const struct findings *findings, struct opinion *opinion)
{
	opinion_for(opinion, "exit status", "it called exit with code %d; no signal ended it",
		    findings->snapshot->death.exit_code);
}

static void rule_out_signals(struct opinion *opinion)
{
	opinion_rule_out(opinion, CAUSE_NATIVE_CRASH,
			 "a crash ends with a signal; this was an exit");
	opinion_rule_out(opinion, CAUSE_OUT_OF_MEMORY,
			 "the kernel's OOM killer ends a process with SIGKILL; this was an exit");
	opinion_rule_out(opinion, CAUSE_KILLED_BY_PROCESS,
			 "no signal ended it; it called exit itself");
}

static const char *code_words(struct opinion *opinion, int code)
{
	return opinion_text(opinion, "exited with code %d", code);
}

// faulthandler.dump_traceback_later(exit=True): its thread has no Python state and calls _exit(1).
bool judge_watchdog_exit(const struct findings *findings, struct opinion *opinion)
{
	const struct thread_findings *thread = findings->dying;
	const char *after = findings->python.watchdog;
	int code = findings->snapshot->death.exit_code;

	if (!exited(findings) || code != 1)
		return false;
	bool frame = way_out(findings) == WAY_WATCHDOG;
	bool log = after && thread && !thread->has_python && !thread->python.frames.n &&
		   findings->python.present && !findings->python.finalizing;
	if (!frame && !log)
		return false;
	opinion_claim(opinion, CAUSE_EXIT_CODE, frame ? CERTAIN : LIKELY,
		      "faulthandler's watchdog ended it with exit code 1: the time%s%s%s set by "
		      "dump_traceback_later(exit=True) ran out.",
		      after ? " of " : "", after ? opinion_clip(opinion, after, 30) : "",
		      after ? "" : " that was");
	tell_code(findings, opinion);
	if (frame)
		opinion_for(opinion, "native stack",
			    "the thread that called exit is faulthandler's watchdog");
	if (after)
		opinion_for(opinion, "log", "faulthandler wrote \"Timeout (%s)!\"",
			    opinion_clip(opinion, after, 60));
	rule_out_signals(opinion);
	opinion_rule_out(opinion, CAUSE_UNCAUGHT_EXCEPTION,
			 "the interpreter was whole and running when the watchdog exited");
	opinion_advise(opinion, "The threads' Python stacks in this report show what had taken too "
				"long; look for faulthandler.dump_traceback_later in the program.");
	return true;
}

// Errors of the interpreter's own start end with exit(1), not with abort().
bool judge_fatal_exit(const struct findings *findings, struct opinion *opinion)
{
	const char *text = findings->python.fatal_error;

	if (!exited(findings) || findings->snapshot->death.exit_code != 1 || !text ||
	    fatal_error_is_signal(text))
		return false;
	if (findings->dying && findings->dying->python.frames.n)
		return false;
	opinion_claim(opinion, CAUSE_PYTHON_FATAL_ERROR, LIKELY,
		      "The interpreter gave up with exit code 1: %s.",
		      opinion_clip(opinion, text, 150));
	tell_code(findings, opinion);
	opinion_for(opinion, "log", "\"Fatal Python error: %s\" is what %s ends with",
		    opinion_clip(opinion, text, 500),
		    findings->python.fatal_error_source ? findings->python.fatal_error_source
							: "a log");
	rule_out_signals(opinion);
	opinion_advise(opinion, "Before it runs a program the interpreter has to find its standard "
				"library: check PYTHONHOME, PYTHONPATH and the installation.");
	return true;
}

// The traceback is all that the interpreter's own record would say: the end of it, by exit 1.
static bool strong_exception(const struct findings *findings)
{
	const struct exception *exception = findings->python.exception;

	return findings->snapshot->death.exit_code == 1 && exception && !exception->followed &&
	       strcmp(exception->type, "KeyboardInterrupt") != 0 && way_out(findings) <= WAY_CHILD;
}

bool judge_shutdown(const struct findings *findings, struct opinion *opinion)
{
	const struct death *death = &findings->snapshot->death;
	int64_t elapsed;

	if (!exited(findings) || strong_exception(findings))
		return false;
	const struct signal_event *event = scene_asked_to_stop(findings, 0, &elapsed);
	if (!event)
		return false;
	const char *signal = scene_signal(opinion, event->info.signo), *how = "", *time = "";
	const struct frame *frame = scene_python_frame(findings);
	const struct exception *exception = findings->python.exception;
	// Up to 3.7 one that nobody catches ends the process as any other exception.
	bool interrupt = exception && event->info.signo == SIGINT &&
			 !strcmp(exception->type, "KeyboardInterrupt");
	if (way_out(findings) == WAY_OS_EXIT && frame)
		how = opinion_text(opinion, " through os._exit at %s",
				   scene_python_place(findings, opinion));
	if (elapsed >= 0)
		time = opinion_text(opinion, " %s later", scene_duration(opinion, elapsed));
	const struct supervisor *keeper = supervisor_of(&event->sender.process);
	const char *reason = keeper ? supervisor_reason(keeper, event->info.signo, 0) : NULL;
	opinion_claim(opinion, CAUSE_GRACEFUL_SHUTDOWN, LIKELY,
		      "%s from %s%s asked it to stop; it handled the signal%s and exited%s with "
		      "code %d%s.",
		      signal, scene_sender(opinion, &event->sender),
		      event->sender.relation == RELATION_PARENT ? ", its parent," : "",
		      interrupt ? " (KeyboardInterrupt, which nobody caught)" : "", time,
		      death->exit_code, how);
	if (reason)
		opinion_for(opinion, "supervisor", "%s from %s usually means: %s", signal,
			    keeper->title, reason);
	tell_code(findings, opinion);
	if (elapsed >= 0)
		opinion_for(opinion, "timing", "the shutdown took %s from the first %s to the exit",
			    scene_duration(opinion, elapsed), signal);
	if (frame)
		scene_tell_python(findings, opinion, "exit was called at");
	if (death->exit_code == 128 + event->info.signo)
		opinion_for(opinion, "exit status", "%d is 128 + %d, the usual way to say %s",
			    death->exit_code, event->info.signo, signal);
	else if (death->exit_code != 0)
		opinion_for(opinion, "exit status",
			    "a code other than 0 says that the shutdown "
			    "did not go as planned, or that the program tells by it that it was "
			    "stopped");
	if (exception)
		opinion_for(opinion, exception->recorded ? "python" : "log", "%s: %s",
			    exception->source, opinion_clip(opinion, exception->type, 100));
	rule_out_signals(opinion);
	if (event->sender.kind == SENDER_PROCESS)
		opinion_advise(opinion,
			       "It was told to stop: ask the sender why, not the program.");
	return true;
}

// A frame of the interpreter's own, whose exported functions have names in a stripped file too.
static bool is_interpreter(const struct findings *findings, const struct frame *frame)
{
	const char *library = findings->python.library;

	return library && frame->module && frame->module->path &&
	       !strcmp(library, frame->module->path);
}

bool judge_os_exit(const struct findings *findings, struct opinion *opinion)
{
	const struct frame *frame = scene_python_frame(findings);
	int code = findings->snapshot->death.exit_code;

	if (!exited(findings) || !frame)
		return false;
	enum way_out way = way_out(findings);
	if (way != WAY_OS_EXIT && way != WAY_UNKNOWN)
		return false;
	const struct frame *caller = exit_caller(findings);
	if (caller && is_interpreter(findings, caller))
		caller = NULL;
	const struct frame *own = scene_own_frame(findings);
	const char *at = scene_place(opinion, frame), *from = "";
	if (own && own != frame)
		from = opinion_text(opinion, ", called from %s", scene_place(opinion, own));
	opinion_claim(opinion, CAUSE_OS_EXIT, way == WAY_OS_EXIT ? CERTAIN : LIKELY,
		      "It was ended at once by %s(%d) at %s%s: no cleanup, no message, no "
		      "traceback.",
		      caller ? "C's _exit" : "os._exit", code, at, from);
	tell_code(findings, opinion);
	opinion_for(opinion, "python", "the interpreter was whole, and its thread %d was at %s",
		    findings->dying->thread ? (int)findings->dying->thread->tid : 0,
		    scene_full_place(opinion, frame));
	if (from[0])
		opinion_for(opinion, "python", "called from %s", scene_full_place(opinion, own));
	if (way == WAY_OS_EXIT)
		opinion_for(opinion, "native stack",
			    "exit_group came straight from _exit, without exit handlers%s%s",
			    caller ? "; called by " : "",
			    caller ? scene_full_place(opinion, caller) : "");
	else
		opinion_for(opinion, "native stack",
			    "the frames between have no names that would "
			    "say whether os._exit or a C library called exit");
	rule_out_signals(opinion);
	opinion_rule_out(opinion, CAUSE_UNCAUGHT_EXCEPTION,
			 "an exception that nobody catches tears the interpreter down first");
	opinion_advise(opinion, "os._exit skips finally, atexit and the flushing of files: "
				"use sys.exit unless this is a forked child.");
	return true;
}

bool judge_uncaught_exception(const struct findings *findings, struct opinion *opinion)
{
	const struct exception *exception = findings->python.exception;

	if (!exited(findings) || findings->snapshot->death.exit_code != 1 || !exception)
		return false;
	// A child's has been printed before it was ended.
	if (way_out(findings) > WAY_CHILD)
		return false;
	const struct frame *frame =
		exception->traceback.frames.n ? &exception->traceback.frames.v[0] : NULL;
	const char *type = opinion_clip(opinion, exception->type, 60);
	const char *message = opinion_clip(opinion, exception->message, 90);
	opinion_claim(opinion, CAUSE_UNCAUGHT_EXCEPTION,
		      exception->recorded   ? CERTAIN
		      : exception->followed ? POSSIBLE
					    : LIKELY,
		      "Nobody caught %s%s%s%s%s, so the interpreter %s.", type,
		      *message ? " (" : "", message, *message ? ")" : "",
		      frame ? opinion_text(opinion, ", raised at %s", scene_place(opinion, frame))
			    : "",
		      code_words(opinion, 1));
	tell_code(findings, opinion);
	if (exception->recorded)
		opinion_for(opinion, "python",
			    "sys.last_value held it as the interpreter began to take itself down");
	else if (exception->followed)
		opinion_for(opinion, "log",
			    "%s: %s; something was written behind it, which an "
			    "interpreter that ends may do as well as a program that goes on",
			    exception->source ? exception->source : "a log", type);
	else
		opinion_for(opinion, "log", "its traceback is the last thing in %s",
			    exception->source && !strncmp(exception->source, "traceback in ", 13)
				    ? exception->source + 13
				    : "the log");
	if (exception->cause)
		opinion_for(opinion, exception->recorded ? "python" : "log", "it came of %s%s%s",
			    exception->cause->type,
			    exception->cause->message ? ": " : "",
			    opinion_clip(opinion, exception->cause->message, 200));
	opinion_for(opinion, "python",
		    "code 1 is what the interpreter exits with after an exception "
		    "that nobody caught");
	rule_out_signals(opinion);
	opinion_rule_out(opinion, CAUSE_OS_EXIT,
			 "the interpreter had been torn down before the exit");
	// Also numpy's _ArrayMemoryError.
	if (strstr(exception->type, "MemoryError"))
		verdict_tell_refused(findings, opinion, true);
	if (!strcmp(exception->type, "BrokenPipeError"))
		opinion_advise(opinion,
			       "Whoever read what it wrote had gone: catch BrokenPipeError "
			       "where it writes.");
	return true;
}

bool judge_exit_from_c(const struct findings *findings, struct opinion *opinion)
{
	const struct frame *python = scene_python_frame(findings);
	int code = findings->snapshot->death.exit_code;

	if (!exited(findings) || !python || way_out(findings) != WAY_C_EXIT)
		return false;
	const struct frame *caller = exit_caller(findings);
	const char *by =
		caller ? opinion_text(opinion, " by %s,", scene_place(opinion, caller)) : "";
	opinion_claim(opinion, code ? CAUSE_EXIT_CODE : CAUSE_CLEAN_EXIT, CERTAIN,
		      "C code called exit(%d) under a running interpreter:%s called from %s.", code,
		      by, scene_python_place(findings, opinion));
	tell_code(findings, opinion);
	if (caller)
		opinion_for(opinion, "native stack", "exit was called by %s",
			    scene_full_place(opinion, caller));
	scene_tell_python(findings, opinion, "the thread was at");
	rule_out_signals(opinion);
	opinion_rule_out(opinion, CAUSE_OS_EXIT, "the C library's exit handlers ran");
	opinion_rule_out(opinion, CAUSE_UNCAUGHT_EXCEPTION,
			 "the interpreter was whole when exit was called");
	opinion_advise(opinion, "A library that calls exit() cannot be caught by Python; look for "
				"its error message just before the end of the log.");
	return true;
}

// A fault that a handler took just before: crash handlers often report it and then exit.
static void tell_handled_fault(const struct findings *findings, struct opinion *opinion)
{
	const struct snapshot *snapshot = findings->snapshot;

	for (size_t i = snapshot->death.earlier.n; i-- > 0;) {
		const struct signal_event *event = &snapshot->death.earlier.v[i];
		int64_t ago = snapshot->time.death - event->last;

		if (event->disposition != SIGNAL_HANDLED ||
		    (!signal_is_fault(event->info.signo) && event->info.signo != SIGABRT))
			continue;
		if (ago >= 0 && ago < INT64_C(5000000000))
			opinion_advise(opinion,
				       "%s was handled %s before the exit: a crash handler "
				       "may have called exit.",
				       scene_signal(opinion, event->info.signo),
				       scene_duration(opinion, ago));
		return;
	}
}

// ", as a child of multiprocessing", "" for all others.
static const char *as_child(const struct findings *findings, struct opinion *opinion)
{
	const char *forker = forker_of(scene_python_frame(findings));

	return way_out(findings) == WAY_CHILD
		       ? opinion_text(opinion, ", as a child of %s whose work was over", forker)
		       : "";
}

static void tell_frames(const struct findings *findings, struct opinion *opinion)
{
	const char *forker = forker_of(scene_python_frame(findings));

	if (way_out(findings) == WAY_CHILD)
		opinion_for(opinion, "python",
			    "this is how %s ends its children: the code is the result of the "
			    "function that it ran in them",
			    forker);
	scene_tell_python(findings, opinion, "when exit was called the thread was at");
	tell_handled_fault(findings, opinion);
}

bool judge_clean_exit(const struct findings *findings, struct opinion *opinion)
{
	if (!exited(findings) || findings->snapshot->death.exit_code != 0)
		return false;
	opinion_claim(opinion, CAUSE_CLEAN_EXIT, CERTAIN,
		      "It ended by itself with exit code 0%s: nothing killed it, and it reported no "
		      "error.",
		      as_child(findings, opinion));
	tell_code(findings, opinion);
	tell_frames(findings, opinion);
	rule_out_signals(opinion);
	if (findings->python.logged_exception)
		opinion_for(opinion, "log", "the last exception in its logs is %s",
			    findings->python.logged_exception);
	opinion_rule_out(opinion, CAUSE_UNCAUGHT_EXCEPTION,
			 "the interpreter exits with 1 after an exception that nobody caught");
	opinion_advise(opinion, "If it should have gone on running, look for what let the main "
				"thread return: an accept loop that ended, sys.exit(0).");
	return true;
}

static bool has_stderr_log(const struct findings *findings)
{
	const struct snapshot *snapshot = findings->snapshot;

	for (size_t i = 0; i < snapshot->logs.n; i++)
		if (snapshot->logs.v[i].fd == 2 || snapshot->logs.v[i].fd == 1)
			return true;
	return false;
}

static bool is_shell(const struct findings *findings)
{
	static const char *const shells[] = { "sh",  "bash", "dash",	"zsh",
					      "ksh", "ash",  "busybox", NULL };
	const char *comm = findings->snapshot->process.comm;

	for (const char *const *shell = shells; comm && *shell; shell++)
		if (!strcmp(comm, *shell))
			return true;
	return false;
}

static void advise_on_code(const struct findings *findings, struct opinion *opinion, int code)
{
	if (code > 128 && code < 128 + 65 && signal_name(code - 128))
		opinion_advise(opinion, "%d is 128 + %d: %s.", code, code - 128,
			       is_shell(findings)
				       ? opinion_text(opinion,
						      "a shell says so when the command "
						      "that it waited for was ended by %s",
						      signal_name(code - 128))
				       : opinion_text(opinion,
						      "programs say so by convention when "
						      "%s made them or a child end",
						      signal_name(code - 128)));
	else if (code == 120 && scene_is_python(findings))
		opinion_advise(opinion,
			       "CPython exits with 120 when it cannot flush stdout or stderr "
			       "at its end: is the disk full, or the reader of a pipe gone?");
	else if (code == 2)
		opinion_advise(opinion,
			       "2 is the usual code for a wrong command line, and argparse's.");
	else if (code == 126 || code == 127)
		opinion_advise(opinion, "%d is what shells and env exit with when a command %s.",
			       code, code == 126 ? "cannot be run" : "is not found");
	else if (scene_is_python(findings))
		opinion_advise(opinion,
			       "Look for sys.exit(%d) or SystemExit in the program, and for "
			       "what its log says last.",
			       code);
}

bool judge_exit_code(const struct findings *findings, struct opinion *opinion)
{
	int code = findings->snapshot->death.exit_code;
	bool python = scene_is_python(findings);

	if (!exited(findings))
		return false;
	// 1 is also what an exception gives, and that no traceback was found does not prove that
	// there was none.
	opinion_claim(opinion, CAUSE_EXIT_CODE, python && code == 1 ? LIKELY : CERTAIN,
		      "It ended by itself with exit code %d%s; nothing killed it%s.", code,
		      as_child(findings, opinion),
		      python && code == 1 && has_stderr_log(findings)
			      ? ", and its log does not end with a traceback"
			      : "");
	tell_code(findings, opinion);
	tell_frames(findings, opinion);
	rule_out_signals(opinion);
	if (findings->python.logged_exception)
		opinion_for(opinion, "log",
			    "the last exception in its logs is %s; the program wrote it "
			    "itself and went on, at least for a moment",
			    findings->python.logged_exception);
	if (python && code != 1)
		opinion_rule_out(
			opinion, CAUSE_UNCAUGHT_EXCEPTION,
			"the interpreter exits with 1 after an exception that nobody caught");
	if (python && code == 1 && !has_stderr_log(findings))
		opinion_gap(
			opinion, "whether an exception ended it",
			"an uncaught exception exits with 1 too, and its stderr is no file that "
			"could be read",
			"send stderr to a file, or name the log with --log FILE");
	advise_on_code(findings, opinion, code);
	return true;
}
