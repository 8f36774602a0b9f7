/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "../cleanup.h"
#include "judges.h"
#include "traceback.h"

static bool killed(const struct findings *findings)
{
	return findings->snapshot->death.kind == DEATH_SIGNAL;
}

static void rule_out_others(const struct findings *findings, struct opinion *opinion)
{
	const char *signal = scene_signal(opinion, findings->snapshot->death.signo);

	// Only siginfo says who did not send it.
	if (findings->snapshot->death.info.signo)
		opinion_rule_out(opinion, CAUSE_KILLED_BY_PROCESS,
				 "%s was not sent by another process", signal);
	opinion_rule_out(opinion, CAUSE_OUT_OF_MEMORY,
			 "the OOM killer uses SIGKILL; the kernel reports %s", signal);
	opinion_rule_out(opinion, CAUSE_OS_EXIT, "a signal ended it, not an exit");
}

// " in strlen (libc.so.6), called from app.py:12 in handler"; "" when nothing is known.
static const char *crash_place(const struct findings *findings, struct opinion *opinion)
{
	const struct frame *native = scene_native_frame(findings);
	const char *python = scene_python_place(findings, opinion);
	const char *in = native ? opinion_text(opinion, native->file ? " at %s" : " in %s",
						scene_place(opinion, native))
				: "";

	if (!*python)
		return in;
	return opinion_text(opinion, "%s%s %s", in, native ? ", called from" : " at", python);
}

// "it read through a null pointer": the fault in a few words; "" when they would say nothing.
static const char *crash_reason(const struct fault *fault, struct opinion *opinion)
{
	bool wrote = fault->access == ACCESS_WRITE, ran = fault->access == ACCESS_EXECUTE;
	const char *did = wrote ? "wrote" : fault->access == ACCESS_READ ? "read" : "used memory";

	switch (fault->class) {
	case FAULT_NULL_POINTER:
		return ran ? "it called a function through a null pointer"
			   : opinion_text(opinion, "it %s through a null pointer", did);
	case FAULT_NULL_POINTER_OFFSET:
		return opinion_text(opinion, "it %s 0x%" PRIx64 " bytes behind a null pointer", did,
				    fault->address);
	case FAULT_WILD_POINTER:
		return opinion_text(opinion, "it %s 0x%" PRIx64 ", a wrong address",
				    ran ? "jumped to" : wrote ? "wrote to" : "read from",
				    fault->address);
	case FAULT_NON_CANONICAL:
		return "it used a pointer that holds no address";
	case FAULT_FREED_OR_POISONED:
		return "it used an object that was freed or never filled in";
	case FAULT_WRITE_TO_READ_ONLY:
		return "it wrote to memory that may only be read";
	case FAULT_EXECUTE_NON_EXECUTABLE:
		return "it jumped to data, which is no code";
	case FAULT_BUS_PAST_END_OF_FILE:
		return opinion_text(opinion, "it %s past the end of a mapped file", did);
	case FAULT_MISALIGNED:
		return "it used an address that is not aligned";
	case FAULT_DIVIDE_BY_ZERO:
		return "it divided by zero";
	case FAULT_ILLEGAL_INSTRUCTION:
		return "it came to an instruction that stops a program or that there is not";
	case FAULT_TRAP:
		return "it ran into a breakpoint instruction";
	case FAULT_STACK_OVERFLOW:
	case FAULT_BAD_SYSTEM_CALL:
	case FAULT_ABORT:
	case FAULT_OTHER:
		break;
	}
	return "";
}

static void tell_fault(const struct findings *findings, struct opinion *opinion)
{
	const struct death *death = &findings->snapshot->death;
	const struct signal_info *info = &death->info;
	const struct fault *fault = &findings->fault;
	const struct frame *native = scene_native_frame(findings);
	const char *code = signal_code_name(info->signo, info->code);

	if (info->signo)
		opinion_for(opinion, "siginfo",
			    "%s, code %s: raised by an instruction of its own%s",
			    scene_signal(opinion, info->signo),
			    code ? code : opinion_text(opinion, "%d", info->code),
			    info->code == SI_KERNEL || !info->addr
				    ? ""
				    : opinion_text(opinion, ", address 0x%" PRIx64, info->addr));
	else
		opinion_for(opinion, "exit status", "%s ended it; its siginfo was not seen",
			    scene_signal(opinion, death->signo));
	if (fault->present && fault->explanation)
		opinion_for(opinion, "registers", "%s", fault->explanation);
	if (fault->present && fault->operand)
		opinion_for(opinion, "registers", "the operand is %s", fault->operand);
	if (native)
		opinion_for(opinion, "native stack", "it was in %s",
			    scene_full_place(opinion, native));
	scene_tell_python(findings, opinion, "the thread's innermost Python line is");
	if (death->first_chance)
		opinion_for(opinion, "siginfo",
			    "a handler (faulthandler's, say) took the signal and "
			    "raised %s again; registers and stacks are those of the first fault",
			    scene_signal(opinion, death->signo));
	if (findings->python.fatal_error && fatal_error_is_signal(findings->python.fatal_error))
		opinion_for(opinion, "log", "faulthandler wrote \"Fatal Python error: %s\" to %s",
			    opinion_clip(opinion, findings->python.fatal_error, 100),
			    findings->python.fatal_error_source
				    ? findings->python.fatal_error_source
				    : "a log");
}

// A fault by an instruction; its siginfo may be missing, but then nobody was seen to send it
// either.
static bool is_own_fault(const struct findings *findings)
{
	return killed(findings) && signal_is_fault(scene_signo(findings)) &&
	       (scene_raiser(findings) == RAISED_BY_INSTRUCTION ||
		(scene_raiser(findings) == RAISED_UNKNOWN &&
		 !findings->snapshot->death.info.signo));
}

static enum confidence fault_confidence(const struct findings *findings)
{
	return scene_raiser(findings) == RAISED_BY_INSTRUCTION ? CERTAIN : LIKELY;
}

bool judge_bad_system_call(const struct findings *findings, struct opinion *opinion)
{
	const struct snapshot *snapshot = findings->snapshot;
	const struct signal_info *info = &snapshot->death.info;
	const struct thread_findings *thread = findings->dying;
	uint64_t mode = 0;

	if (!is_own_fault(findings) || scene_signo(findings) != SIGSYS)
		return false;
	const char *call = thread && thread->syscall ? thread->syscall : NULL;
	if (info->signo && !call)
		call = arch_syscall_name(snapshot->host.arch ? snapshot->host.arch : arch_host(),
					 info->syscall);
	if (info->signo && !call)
		call = opinion_text(opinion, "number %d", info->syscall);
	bool filtered = scene_status(findings, "Seccomp", &mode) && mode != 0;
	const struct frame *python = scene_python_frame(findings);
	opinion_claim(opinion, CAUSE_BAD_SYSTEM_CALL, info->signo || filtered ? CERTAIN : LIKELY,
		      "A seccomp filter killed it (SIGSYS) for the system call %s%s%s.",
		      call ? opinion_clip(opinion, call, 40) : "that it made", python ? " at " : "",
		      scene_python_place(findings, opinion));
	if (info->signo)
		opinion_for(opinion, "siginfo", "SIGSYS, system call number %d", info->syscall);
	else
		opinion_for(opinion, "exit status",
			    "SIGSYS without a signal being delivered: that is "
			    "how seccomp's KILL action ends a process");
	if (filtered)
		opinion_for(opinion, "/proc", "the process runs under seccomp (mode %" PRIu64 ")",
			    mode);
	if (call)
		opinion_for(opinion, "registers", "the thread was in the system call %s", call);
	if (scene_native_frame(findings))
		opinion_for(opinion, "native stack", "it was in %s",
			    scene_full_place(opinion, scene_native_frame(findings)));
	scene_tell_python(findings, opinion, "the thread's innermost Python line is");
	rule_out_others(findings, opinion);
	opinion_advise(opinion,
		       "Allow the call in the sandbox's profile (container runtime, systemd's "
		       "SystemCallFilter=, the program's own filter), or avoid it.");
	return true;
}

bool judge_stack_overflow(const struct findings *findings, struct opinion *opinion)
{
	uint64_t soft, hard;

	if (!is_own_fault(findings) || !findings->fault.present ||
	    findings->fault.class != FAULT_STACK_OVERFLOW)
		return false;
	const struct thread_findings *thread = findings->dying;
	opinion_claim(
		opinion, CAUSE_STACK_OVERFLOW, fault_confidence(findings),
		"It ran out of stack (%s)%s; the thread has %zu native and %zu Python frames.",
		scene_signal(opinion, scene_signo(findings)), crash_place(findings, opinion),
		thread ? thread->native.frames.n : 0, thread ? thread->python.frames.n : 0);
	tell_fault(findings, opinion);
	if (scene_limit(findings, "Max stack size", &soft, &hard) && soft != UINT64_MAX)
		opinion_for(opinion, "/proc", "the main thread's stack may grow to %s",
			    scene_size(opinion, soft));
	rule_out_others(findings, opinion);
	opinion_advise(opinion,
		       "Look for the frames that repeat: a recursion without an end, or one "
		       "deeper than the stack; sys.setrecursionlimit does not make the stack "
		       "larger, threading.stack_size and ulimit -s do.");
	return true;
}

bool judge_native_crash(const struct findings *findings, struct opinion *opinion)
{
	const struct fault *fault = &findings->fault;

	if (!is_own_fault(findings))
		return false;
	const char *reason = fault->present ? crash_reason(fault, opinion) : "";
	opinion_claim(opinion, CAUSE_NATIVE_CRASH, fault_confidence(findings),
		      "It crashed (%s)%s%s%s.", scene_signal(opinion, scene_signo(findings)),
		      crash_place(findings, opinion), *reason ? ": " : "", reason);
	tell_fault(findings, opinion);
	rule_out_others(findings, opinion);
	opinion_rule_out(opinion, CAUSE_UNCAUGHT_EXCEPTION,
			 "an exception that nobody catches ends with exit code 1");
	// malloc()'s NULL, used without a look.
	if (fault->present && (fault->class == FAULT_NULL_POINTER ||
			       fault->class == FAULT_NULL_POINTER_OFFSET))
		verdict_tell_refused(findings, opinion, false);
	if (scene_is_python(findings))
		opinion_advise(opinion,
			       "Python code alone does not crash: suspect the C code nearest to "
			       "the top of the stack, and what the Python line handed to it.");
	return true;
}

// A handler's raise() that was not seen to follow a fault, with the handler still on the stack.
bool judge_rethrown_crash(const struct findings *findings, struct opinion *opinion)
{
	static const char *const handlers[] = { "faulthandler_fatal_error", NULL };
	const char *fatal = findings->python.fatal_error;

	if (!killed(findings) || !signal_is_fault(scene_signo(findings)) ||
	    scene_raiser(findings) != RAISED_BY_ITSELF)
		return false;
	const struct frame *handler = scene_native_named(findings, handlers);
	if (!handler && !(fatal && fatal_error_is_signal(fatal)))
		return false;
	const char *signal = scene_signal(opinion, scene_signo(findings));
	opinion_claim(opinion, CAUSE_NATIVE_CRASH, LIKELY,
		      "It crashed (%s): a handler took the fault, then raised it again%s%s.",
		      signal, scene_python_frame(findings) ? "; Python was at " : "",
		      scene_python_place(findings, opinion));
	opinion_for(opinion, "siginfo", "%s was raised by the process itself", signal);
	if (handler)
		opinion_for(opinion, "native stack", "faulthandler's handler raised it");
	if (fatal)
		opinion_for(opinion, "log", "\"Fatal Python error: %s\" in %s",
			    opinion_clip(opinion, fatal, 100),
			    findings->python.fatal_error_source
				    ? findings->python.fatal_error_source
				    : "a log");
	rule_out_others(findings, opinion);
	opinion_gap(opinion, "the first fault",
		    "only the handler's raise() was seen, so the address "
		    "and the registers of the fault are not known",
		    NULL);
	return true;
}

static bool is_own_abort(const struct findings *findings)
{
	return killed(findings) && scene_signo(findings) == SIGABRT &&
	       (scene_raiser(findings) == RAISED_BY_ITSELF ||
		(scene_raiser(findings) == RAISED_UNKNOWN &&
		 !findings->snapshot->death.info.signo));
}

static enum confidence abort_confidence(const struct findings *findings)
{
	return scene_raiser(findings) == RAISED_BY_ITSELF ? CERTAIN : LIKELY;
}

static void tell_abort(const struct findings *findings, struct opinion *opinion)
{
	const struct death *death = &findings->snapshot->death;
	const struct fault *fault = &findings->fault;
	const struct frame *native = scene_native_frame(findings);
	const char *code = signal_code_name(SIGABRT, death->info.code);

	if (death->info.signo)
		opinion_for(opinion, "siginfo", "SIGABRT, code %s: it raised the signal on itself",
			    code ? code : opinion_text(opinion, "%d", death->info.code));
	else
		opinion_for(opinion, "exit status", "SIGABRT ended it");
	// The interpreter's own words have been told already.
	const char *told = findings->python.fatal_error;
	if (fault->message && !(told && !strcmp(told, fault->message)))
		opinion_for(opinion, fault->message_source ? fault->message_source : "memory",
			    "\"%s\"", fault->message);
	if (native)
		opinion_for(opinion, "native stack", "it gave up in %s",
			    scene_full_place(opinion, native));
	scene_tell_python(findings, opinion, "the thread's innermost Python line is");
	if (death->first_chance)
		opinion_for(opinion, "siginfo",
			    "a handler took the first SIGABRT; registers and stacks "
			    "are those of that one");
}

bool judge_python_fatal_error(const struct findings *findings, struct opinion *opinion)
{
	static const char *const functions[] = { "fatal_error",
						 "fatal_error_exit",
						 "Py_FatalError",
						 "_Py_FatalErrorFunc",
						 "_Py_FatalErrorFormat",
						 "_Py_FatalRefcountErrorFunc",
						 "_PyObject_AssertFailed",
						 "_Py_FatalErrorFormatArgs",
						 NULL };
	const struct python_findings *python = &findings->python;

	if (!is_own_abort(findings))
		return false;
	const struct frame *frame = scene_native_named(findings, functions);
	const char *logged = python->fatal_error && !fatal_error_is_signal(python->fatal_error)
				     ? python->fatal_error
				     : NULL;
	if (!frame && !logged)
		return false;
	const char *text = logged ? logged : findings->fault.message;
	const char *where = crash_place(findings, opinion);
	if (text)
		opinion_claim(opinion, CAUSE_PYTHON_FATAL_ERROR, frame ? CERTAIN : LIKELY,
			      "The interpreter gave up with a fatal error, \"%s\",%s.",
			      opinion_clip(opinion, text, 90), where);
	else
		opinion_claim(opinion, CAUSE_PYTHON_FATAL_ERROR, CERTAIN,
			      "The interpreter gave up with a fatal error%s.", where);
	if (frame)
		opinion_for(opinion, "native stack", "SIGABRT came from the interpreter's own %s",
			    frame->function);
	if (logged)
		opinion_for(opinion, "log", "\"Fatal Python error: %s\" in %s",
			    opinion_clip(opinion, logged, 500),
			    python->fatal_error_source ? python->fatal_error_source : "a log");
	tell_abort(findings, opinion);
	rule_out_others(findings, opinion);
	opinion_advise(opinion,
		       "A fatal error means that the interpreter found its own state broken: "
		       "mostly by a C extension that miscounted references or called Python "
		       "without holding the GIL.");
	return true;
}

bool judge_abort(const struct findings *findings, struct opinion *opinion)
{
	static const char *const heap[] = { "double free", "free()",	   "malloc", "corrupted",
					    "realloc",	   "munmap_chunk", "heap",   "chunk" };
	// What C++, Rust and old tools of C say.
	static const char *const no_memory[] = { "bad_alloc", "memory allocation of",
						 "out of memory", "memory exhausted",
						 "cannot allocate memory" };
	const char *message = findings->fault.message;

	if (!is_own_abort(findings))
		return false;
	const char *where = crash_place(findings, opinion);
	if (message && *message)
		opinion_claim(opinion, CAUSE_ABORT, abort_confidence(findings),
			      "It aborted itself (SIGABRT)%s: %s", where,
			      opinion_clip(opinion, message, 110));
	else
		opinion_claim(opinion, CAUSE_ABORT, abort_confidence(findings),
			      "It aborted itself (SIGABRT)%s.", where);
	tell_abort(findings, opinion);
	rule_out_others(findings, opinion);
	bool broken = false, refused = false;
	for (size_t i = 0; message && i < ARRAY_SIZE(heap); i++)
		broken |= strstr(message, heap[i]) != NULL;
	for (size_t i = 0; message && i < ARRAY_SIZE(no_memory); i++)
		refused |= strcasestr(message, no_memory[i]) != NULL;
	verdict_tell_refused(findings, opinion, refused);
	if (refused)
		return true;
	if (broken)
		opinion_advise(opinion,
			       "The heap was found damaged, which may have happened long "
			       "before: run it with PYTHONMALLOC=debug, under valgrind, or with "
			       "AddressSanitizer.");
	else if (!message)
		opinion_advise(opinion,
			       "Whoever calls abort() usually says why on stderr: look at the "
			       "end of the log.");
	return true;
}

static const char *std_name(int fd)
{
	return fd == 0 ? ", its stdin" : fd == 1 ? ", its stdout" : fd == 2 ? ", its stderr" : "";
}

// "a socket whose peer 127.0.0.1:51234", "a pipe whose reader"
static const char *broken_end(struct opinion *opinion, const struct fd *fd)
{
	if (!fd)
		return "something whose reader";
	if (fd->is_socket && fd->socket.peer && *fd->socket.peer)
		return opinion_text(opinion, "a socket whose peer %s",
				    opinion_clip(opinion, fd->socket.peer, 60));
	if (fd->is_socket || !strncmp(fd->target, "socket:", 7))
		return "a socket whose peer";
	if (!strncmp(fd->target, "pipe:", 5))
		return "a pipe whose reader";
	return opinion_text(opinion, "%s whose reader", opinion_clip(opinion, fd->target, 60));
}

static void tell_fd(struct opinion *opinion, const struct fd *fd)
{
	const struct socket *socket = &fd->socket;

	if (!fd->is_socket) {
		opinion_for(opinion, "/proc", "fd %d%s is %s", fd->fd, std_name(fd->fd),
			    opinion_clip(opinion, fd->target, 300));
		return;
	}
	opinion_for(opinion, "/proc", "fd %d%s: %s%s%s socket, local %s, peer %s, state %s",
		    fd->fd, std_name(fd->fd), socket->family ? socket->family : "",
		    socket->family && socket->type ? " " : "", socket->type ? socket->type : "",
		    socket->local ? socket->local : "unknown",
		    socket->peer ? socket->peer : "unknown",
		    socket->state ? socket->state : "unknown");
}

// 'i' ignored, 'h' handled, 'd' default, 0 unknown: as of the end.
static char disposition(const struct process *process, int signo)
{
	uint64_t bit = UINT64_C(1) << (signo - 1);

	if (!process->have_dispositions)
		return 0;
	return process->ignored & bit ? 'i' : process->caught & bit ? 'h' : 'd';
}

bool judge_broken_pipe(const struct findings *findings, struct opinion *opinion)
{
	const struct death *death = &findings->snapshot->death;
	const struct process *process = &findings->snapshot->process;
	const struct thread_findings *thread = findings->dying;
	int number;

	if (!killed(findings) || scene_signo(findings) != SIGPIPE)
		return false;
	enum raiser raiser = scene_raiser(findings);
	bool writes = scene_writes(findings, &number);
	// Without siginfo the system call is all that speaks for the kernel.
	if (raiser != RAISED_BY_KERNEL && !(raiser == RAISED_UNKNOWN && writes))
		return false;
	const struct fd *fd = scene_fd(findings, number);
	const struct frame *python = scene_python_frame(findings);
	const struct frame *own = scene_own_frame(findings);
	bool is_python = scene_is_python(findings);
	const char *where = "";
	if (python)
		where = opinion_text(opinion, "%s%s", number >= 0 ? ", " : "",
				     scene_python_place(findings, opinion));
	const char *which = number >= 0 ? opinion_text(opinion, "fd %d", number) : "";
	const char *in = *which || *where ? opinion_text(opinion, " (%s%s)", which, where) : "";
	opinion_claim(opinion, CAUSE_BROKEN_PIPE, death->info.signo && writes ? CERTAIN : LIKELY,
		      "SIGPIPE killed it: it wrote to %s had gone%s%s.", broken_end(opinion, fd),
		      in,
		      is_python ? ", with SIGPIPE set back to its default" : "");
	if (death->info.signo)
		opinion_for(opinion, "siginfo",
			    "SIGPIPE, code %d, in its own name: the kernel sends it so "
			    "to a thread that writes",
			    death->info.code);
	if (thread && thread->syscall && writes)
		opinion_for(
			opinion, "registers", "the thread was in %s",
			opinion_clip(opinion,
				     thread->syscall_text ? thread->syscall_text : thread->syscall,
				     200));
	if (fd)
		tell_fd(opinion, fd);
	else
		opinion_gap(opinion, "what it wrote to",
			    number >= 0 ? "the descriptor is not among those that were listed"
					: "the registers do not hold the descriptor any more",
			    NULL);
	scene_tell_python(findings, opinion, "written by");
	if (!python && scene_native_frame(findings))
		opinion_for(opinion, "native stack", "written by %s",
			    scene_full_place(opinion, scene_native_frame(findings)));
	if (disposition(process, SIGPIPE) == 'd' || !disposition(process, SIGPIPE))
		opinion_for(opinion, process->have_dispositions ? "/proc" : "exit status",
			    "SIGPIPE had its default action, which ends the process%s",
			    is_python
				    ? "; CPython ignores it from its start on, so something in the "
				      "process set it back"
				    : "");
	rule_out_others(findings, opinion);
	opinion_rule_out(opinion, CAUSE_NATIVE_CRASH,
			 "SIGPIPE is not raised by a faulty instruction");
	opinion_rule_out(opinion, CAUSE_UNCAUGHT_EXCEPTION,
			 "a BrokenPipeError is raised only where SIGPIPE is ignored");
	if (is_python)
		opinion_advise(opinion,
			       "Find what calls signal.signal(signal.SIGPIPE, signal.SIG_DFL), in "
			       "the program or a library, and take it out of the server.");
	else
		opinion_advise(opinion, "Ignore SIGPIPE (signal(SIGPIPE, SIG_IGN)) or write with "
					"MSG_NOSIGNAL, and handle EPIPE.");
	opinion_advise(opinion,
		       "That a reader goes away is normal%s: handle it where it is written%s%s.",
		       fd && fd->is_socket ? " for a server" : "", python || own ? ", at " : "",
		       own	? scene_place(opinion, own)
		       : python ? scene_place(opinion, python)
				: "");
	return true;
}

bool judge_file_size_limit(const struct findings *findings, struct opinion *opinion)
{
	uint64_t soft = 0, hard;
	int number;

	if (!killed(findings) || scene_signo(findings) != SIGXFSZ ||
	    scene_raiser(findings) != RAISED_BY_KERNEL)
		return false;
	bool writes = scene_writes(findings, &number);
	const struct fd *fd = scene_fd(findings, number);
	bool have = scene_limit(findings, "Max file size", &soft, &hard) && soft != UINT64_MAX;
	const struct frame *python = scene_python_frame(findings);
	opinion_claim(opinion, CAUSE_RESOURCE_LIMIT, writes ? CERTAIN : LIKELY,
		      "SIGXFSZ killed it: it wrote past the file size limit%s%s%s%s%s.",
		      have ? opinion_text(opinion, " of %s", scene_size(opinion, soft)) : "",
		      fd ? ", to " : "", fd ? opinion_clip(opinion, fd->target, 70) : "",
		      python ? ", at " : "", scene_python_place(findings, opinion));
	opinion_for(opinion, "siginfo",
		    "SIGXFSZ, code %d: the kernel sends it so to a thread that writes",
		    findings->snapshot->death.info.code);
	if (have)
		opinion_for(opinion, "/proc", "Max file size is %" PRIu64 " bytes", soft);
	if (fd)
		tell_fd(opinion, fd);
	scene_tell_python(findings, opinion, "written by");
	if (scene_is_python(findings))
		opinion_for(opinion, "python",
			    "CPython ignores SIGXFSZ from its start on, so something "
			    "in the process set it back");
	rule_out_others(findings, opinion);
	opinion_advise(opinion,
		       "Raise the limit (ulimit -f, LimitFSIZE=, setrlimit) or keep the file "
		       "smaller; a log may want to be rotated.");
	return true;
}

bool judge_cpu_limit(const struct findings *findings, struct opinion *opinion)
{
	uint64_t soft = 0, hard = 0, rt = UINT64_MAX, rt_hard;
	double used = scene_cpu_seconds(findings);

	if (!killed(findings) || scene_signo(findings) != SIGXCPU ||
	    scene_raiser(findings) != RAISED_BY_KERNEL)
		return false;
	bool have = scene_limit(findings, "Max cpu time", &soft, &hard) && soft != UINT64_MAX;
	bool realtime = !have && scene_limit(findings, "Max realtime timeout", &rt, &rt_hard) &&
			rt != UINT64_MAX;
	// With each SIGXCPU the kernel raises the soft limit by a second (check_process_timers() in
	// kernel/time/posix-cpu-timers.c), before anybody can read it.
	bool raised = have && soft > 1 && used >= 0 && used < (double)soft;
	uint64_t limit = raised ? soft - 1 : soft;
	const struct frame *python = scene_python_frame(findings);
	if (realtime)
		opinion_claim(
			opinion, CAUSE_RESOURCE_LIMIT, CERTAIN,
			"SIGXCPU killed it: a realtime thread ran for longer than its limit of "
			"%" PRIu64 " us without sleeping.",
			rt);
	else
		opinion_claim(opinion, CAUSE_RESOURCE_LIMIT, CERTAIN,
			      "SIGXCPU killed it: it had used up its CPU time limit%s%s%s.",
			      have ? opinion_text(opinion, " of %" PRIu64 " s", limit) : "",
			      python ? ", last at " : "",
			      scene_python_place(findings, opinion));
	opinion_for(opinion, "siginfo", "SIGXCPU was raised by the kernel");
	if (have)
		opinion_for(opinion, "/proc", "Max cpu time is %" PRIu64 " s%s", soft,
			    raised ? ", which the kernel raises by one with each SIGXCPU" : "");
	if (used >= 0)
		opinion_for(opinion, "/proc", "it had used %.2f s of CPU time", used);
	scene_tell_python(findings, opinion, "at that moment it was at");
	rule_out_others(findings, opinion);
	opinion_advise(opinion,
		       "Raise the limit (ulimit -t, LimitCPU=, setrlimit), or find out what "
		       "used the time.");
	return true;
}

bool judge_timer(const struct findings *findings, struct opinion *opinion)
{
	const struct signal_info *info = &findings->snapshot->death.info;
	int signo = scene_signo(findings);
	enum raiser raiser = scene_raiser(findings);
	bool interval = signo == SIGALRM || signo == SIGVTALRM || signo == SIGPROF;

	if (!killed(findings) ||
	    !(raiser == RAISED_BY_TIMER || (interval && raiser == RAISED_BY_KERNEL)))
		return false;
	const char *what = raiser == RAISED_BY_TIMER
				   ? opinion_text(opinion, "its own POSIX timer %d", info->timer_id)
			   : signo == SIGALRM ? "its own alarm() or setitimer(ITIMER_REAL)"
			   : signo == SIGPROF ? "its own setitimer(ITIMER_PROF)"
					      : "its own setitimer(ITIMER_VIRTUAL)";
	const struct frame *python = scene_python_frame(findings);
	opinion_claim(opinion, CAUSE_TIMER_EXPIRED, CERTAIN,
		      "%s killed it: %s expired and no handler was there%s%s.",
		      scene_signal(opinion, signo), what, python ? "; it was at " : "",
		      scene_python_place(findings, opinion));
	opinion_for(opinion, "siginfo", "%s, code %s: %s", scene_signal(opinion, signo),
		    raiser == RAISED_BY_TIMER ? "SI_TIMER" : "SI_KERNEL",
		    raiser == RAISED_BY_TIMER
			    ? "a timer made by timer_create()"
			    : "the kernel's, for an interval timer of the process");
	scene_tell_python(findings, opinion, "when it expired the thread was at");
	rule_out_others(findings, opinion);
	opinion_gap(opinion, "who armed the timer",
		    "the kernel keeps no record of the call that armed it", NULL);
	opinion_advise(opinion,
		       "Look for signal.alarm, signal.setitimer or timer_create in the program; "
		       "an alarm armed before exec goes on counting in the new program.");
	return true;
}
