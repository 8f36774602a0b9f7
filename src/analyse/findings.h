/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_ANALYSE_FINDINGS_H
#define PCATCH_ANALYSE_FINDINGS_H

#include "../target/snapshot.h"

/*
 * What can be said about a snapshot: the only thing that render/ reads. Everything hangs on
 * `arena` or on the snapshot, which is borrowed. The names are those of report.schema.json.
 */

enum frame_kind { FRAME_NATIVE, FRAME_PYTHON };

enum found_by { FOUND_NONE, FOUND_CONTEXT, FOUND_CFI, FOUND_FP, FOUND_SCANNED };

/* A variable and what it was, as repr() shows it within bounds. */
struct variable {
	char *name, *value;
};

struct frame {
	enum frame_kind kind;
	char *function;	     /* demangled or qualified; NULL: unknown */
	char *file;	     /* NULL: unknown */
	int line, column;    /* 0: unknown */
	taddr pc;	     /* native only */
	const struct module *module; /* NULL: in none */
	taddr module_offset; /* pc - module->start */
	int64_t symbol_offset; /* pc - the function's start, -1 unknown */
	bool inlined, signal_frame;
	enum found_by found_by;
	/* Native: a frame of the interpreter's eval loop, whose place the Python frames take. */
	bool eval_loop;
	/* Python: see struct py_frame. */
	bool entry;
	/* Native: SP in its caller, 0 unknown. Python: see on_c_stack of struct py_frame. */
	taddr stack;
	LIST(struct variable) locals; /* those that were bound, when they were asked for */
};

struct stack {
	LIST(struct frame) frames; /* innermost first */
	char *gap;		   /* why it ends where it ends; NULL when it is whole */
};

struct exception {
	char *type;
	char *message; /* NULL: none */
	bool own_str; /* its class says something else by a __str__ of its own, which was not run */
	strings notes;
	LIST(struct exception *) members; /* of a group, the first few of n_members */
	uint64_t n_members;
	struct stack traceback; /* innermost first */
	struct exception *cause; /* __cause__ or __context__; NULL: none */
	bool is_context; /* the cause was being handled; false: `raise ... from`, or not known */
	char *source; /* where it was read: "traceback in /var/log/app.log (fd 2)" */
	bool recorded; /* by the interpreter itself, not only in a log */
	bool followed; /* more was written behind it, so it is less sure to have been the end */
};

struct thread_findings {
	const struct thread *thread;
	bool crashed;
	struct stack native, python, merged;
	bool has_python;	/* a Python thread state is tied to it */
	bool holds_gil, gil_known;
	bool waits_for_gil, wait_known;
	int64_t interpreter;	/* -1: not a Python thread */
	char *python_name;	/* NULL: unknown */
	struct exception *handled; /* what sys.exc_info() would say; NULL: none */
	struct exception *raised;  /* was on its way to whoever handles it; NULL: none */
	char *syscall;		/* "read", NULL: in none */
	char *syscall_text;	/* "write(7, 0x7f.., 24)", NULL: in none */
};

struct instruction {
	taddr at;
	char *bytes; /* hex */
	char *text;
	bool current;
};

/* Indices into the names of fault.class in the schema, same order. */
enum fault_class {
	FAULT_NULL_POINTER, FAULT_NULL_POINTER_OFFSET, FAULT_STACK_OVERFLOW, FAULT_WILD_POINTER,
	FAULT_NON_CANONICAL, FAULT_FREED_OR_POISONED, FAULT_WRITE_TO_READ_ONLY,
	FAULT_EXECUTE_NON_EXECUTABLE, FAULT_BUS_PAST_END_OF_FILE, FAULT_MISALIGNED,
	FAULT_DIVIDE_BY_ZERO, FAULT_ILLEGAL_INSTRUCTION, FAULT_TRAP, FAULT_BAD_SYSTEM_CALL,
	FAULT_ABORT, FAULT_OTHER,
};

enum access { ACCESS_UNKNOWN, ACCESS_READ, ACCESS_WRITE, ACCESS_EXECUTE };

struct fault {
	bool present;
	enum fault_class class;
	enum access access;
	bool have_address;
	taddr address;
	char *explanation; /* one sentence for a person who has never read assembly */
	char *operand;	   /* "[rax + 8] with rax = 0x0", NULL: none */
	char *message;	   /* abort, assertion, malloc, Py_FatalError text; NULL: none found */
	char *message_source; /* "__abort_msg", "stderr", ...; NULL with message */
	LIST(struct instruction) disassembly;
};

/* Same order as the schema's causes. */
enum cause {
	CAUSE_CLEAN_EXIT, CAUSE_EXIT_CODE, CAUSE_OS_EXIT, CAUSE_UNCAUGHT_EXCEPTION,
	CAUSE_GRACEFUL_SHUTDOWN, CAUSE_NATIVE_CRASH, CAUSE_STACK_OVERFLOW, CAUSE_ABORT,
	CAUSE_PYTHON_FATAL_ERROR, CAUSE_BAD_SYSTEM_CALL, CAUSE_OUT_OF_MEMORY,
	CAUSE_KILLED_BY_PROCESS, CAUSE_KILLED_BY_SUPERVISOR, CAUSE_KILLED_FROM_OUTSIDE,
	CAUSE_KILLED_BY_UNKNOWN, CAUSE_TERMINATED_BY_SIGNAL, CAUSE_BROKEN_PIPE,
	CAUSE_TERMINAL_HANGUP, CAUSE_PARENT_DEATH, CAUSE_RESOURCE_LIMIT, CAUSE_TIMER_EXPIRED,
	CAUSE_ALIVE, CAUSE_VANISHED, CAUSE_UNKNOWN,
};

enum confidence { CERTAIN, LIKELY, POSSIBLE, CONFIDENCE_UNKNOWN };

struct evidence {
	char *source, *text;
	bool supports;
	bool doubt; /* it does not support the verdict, and does not stand for another one */
};

struct ruled_out {
	enum cause cause;
	char *because;
};

struct verdict {
	enum cause cause;
	enum confidence confidence;
	char *summary; /* one sentence a person can act on */
	LIST(struct evidence) evidence;
	LIST(struct ruled_out) ruled_out;
	strings advice;
};

/* An asyncio task that has not ended. */
struct task {
	char *name, *coroutine; /* coroutine NULL: unknown */
	bool running;
	pid_t thread; /* in which its loop runs, 0: unknown */
	strings awaited_by; /* names of tasks */
	struct stack stack; /* of what it awaits, to its own coroutine */
};

struct python_findings {
	bool present;
	char *version; /* "3.11.2" or "3.11" */
	char *library; /* path of the module */
	bool published_layout;	/* offsets came from the target itself */
	bool published_asyncio; /* those of its module _asyncio, too */
	bool free_threaded, finalizing;
	bool gil_known;
	pid_t gil_holder; /* 0: nobody */
	bool gc_known, gc_running;
	LIST(int64_t) interpreters;
	LIST(struct task) tasks;
	struct exception *exception; /* the uncaught one; NULL: none known */
	char *fatal_error; /* text of "Fatal Python error: ..." in a log; NULL: none */
	char *fatal_error_source; /* "/var/log/app.log (fd 2)"; NULL with fatal_error */
	char *logged_exception; /* "TYPE: message in LOG": caught and written by the program; NULL: none */
	char *watchdog; /* "0:00:05": faulthandler's dump_traceback_later ran out; NULL: not seen */
	/* The current thread's frames behind fatal_error, as faulthandler wrote them; may be empty. */
	struct stack fatal_stack;
};

enum author { AUTHOR_UNKNOWN, AUTHOR_SELF, AUTHOR_OTHER };

/* A line of a log. Servers write their pid into each; workers often share the log. */
struct line_findings {
	int64_t at;	     /* the time it carries; 0: none */
	pid_t pid;	     /* the mark it carries, or that of the line it goes on from; 0: none */
	enum author author;
};

struct log_findings {
	struct line_findings *lines; /* one for each of the log's */
	size_t n_self, n_other;	     /* how many are marked as whose */
};

enum hint_kind {
	HINT_STARTED,  /* a server starts anew */
	HINT_ASKED,    /* "Received signal 15": it was asked to stop, and says so itself */
	HINT_STOPPING, /* "Shutting down" */
	HINT_STOPPED,  /* "Shutdown complete" */
	HINT_KILLING,  /* another one is about to end it: gunicorn's worker timeout, supervisord */
	HINT_NOTICED,  /* another one has seen it end: "Worker (pid:4242) was sent SIGKILL!" */
};

/* Something that a line of a log tells of the end. */
struct hint {
	enum hint_kind kind;
	size_t log, line; /* indices into the snapshot's logs and their lines */
	int64_t at;	  /* 0: unknown */
	enum author author;
	int signo;	  /* 0: none named */
	int exit_code;	  /* NOTICED; -1: none named */
};

/* Lines that came at regular intervals. */
struct heartbeat {
	bool present;
	size_t log, line;	/* the last one */
	int64_t interval, last; /* nanoseconds; time of the last one */
	size_t beats;
};

struct hints {
	struct log_findings *logs; /* one for each of the snapshot's; NULL: not looked at */
	LIST(struct hint) list;	   /* in the order of logs and lines */
	struct heartbeat heartbeat;
	/* The last line with a time that the process itself may have written; at 0: none. */
	struct {
		size_t log, line;
		int64_t at;
		enum author author; /* UNKNOWN: in a log where no line is marked as its own */
	} last;
};

enum symbols { SYMBOLS_NONE, SYMBOLS_DYNSYM, SYMBOLS_SYMTAB, SYMBOLS_DWARF, SYMBOLS_UNKNOWN };

/* What has become of a process that an autopsy asked for. */
enum fate {
	FATE_GONE,
	FATE_ALIVE,
	FATE_ZOMBIE, /* ended, its parent has not asked how */
	FATE_REUSED, /* gone, and its pid is another one's */
};

/* What an autopsy has to go by. Pointers are into the snapshot and the findings. */
struct aftermath {
	bool present;
	enum fate fate;
	bool restarted; /* the machine, since it was last seen */
	bool shared;	/* others write to its logs, too */
	int64_t from;	/* it was there then; 0: not known since when */
	int64_t seen;	/* the last sign of its life; 0: none */
	int64_t gone;	/* the first sign that it was gone */
	const char *seen_by, *gone_by; /* what those signs are */
	/* How it ended, in the words of who saw it. */
	struct {
		bool known;
		int signo;     /* 0: it exited */
		int exit_code;
		enum confidence confidence;
		int64_t at;
		const char *source, *text;
		bool of_unit; /* said of the main process of a unit, without its pid */
	} end;
	const struct testimony *oom, *crash; /* the kernel's lines about it; NULL: none */
	int64_t oom_at, crash_at;
	/* Systemd's lines about its unit; NULL: none. */
	struct {
		const struct testimony *kill;  /* that it, or systemctl kill, sent this process a signal, ... */
		const struct testimony *why;   /* ... and what for: a time that was over */
		const struct testimony *stop;  /* that it was to be stopped */
		const struct testimony *oom;   /* that the OOM killer, or systemd-oomd, ended one of the unit */
		int64_t oom_at;
	} unit;
	const struct testimony *core; /* systemd-coredump's, of its core */
	const char *comm; /* what the kernel's line calls it; NULL: nothing */
	bool crash_of_thread; /* the line is not of the pid, but of its name and time */
	bool kernel_silent;   /* the kernel's log goes back far enough, and has no such line */
	/* Signs in the logs; NULL: none. */
	const struct hint *asked, *stopping, *stopped, *killing;
	bool dump, traceback; /* python's fatal_error, exception: it wrote nothing after */
};

enum trend_what { TREND_MEMORY, TREND_FILES, TREND_THREADS, TREND_CPU, TREND_PRESSURE, TREND_PAGING };

enum trend_shape {
	TREND_GREW,
	TREND_SHRANK,
	TREND_STEADY,
	TREND_SAWTOOTH,
	TREND_GREW_THEN_FLAT,
	TREND_JUMPED, /* at the very end */
	TREND_HIGH,   /* ... up to the end */
};

/*
 * What the samples say of one thing that a process uses: memory (with what is swapped) in bytes, CPU
 * and pressure in percent, paging in pages read back from disk.
 */
struct trend {
	enum trend_what what;
	enum trend_shape shape;
	int64_t duration; /* that it grew, or was as SHAPE says; nanoseconds */
	int64_t flat;	  /* GREW_THEN_FLAT: how long it has been so; nanoseconds */
	double rate;	  /* growth in a minute, never negative */
	double from, to;  /* at both ends of it; STEADY, SAWTOOTH: the extremes */
	unsigned times;	  /* SAWTOOTH: how often it fell */
	/* The limit that is nearest; -1: none, or none that matters. */
	int64_t limit;
	const char *limit_name; /* "its cgroup's limit", static */
	bool reached;
	int64_t left; /* until it would have been, had it gone on; nanoseconds, -1: not to be said */
};

/* A file that would tell more and is not here, but might be had by its build id. */
struct wanted_file {
	const uint8_t *build_id;
	unsigned build_id_len;
	bool debug; /* the debug information of the file with that id, not the file itself */
	const char *path; /* of that file */
};
typedef LIST(struct wanted_file) wanted_files;

struct findings {
	struct arena arena;
	const struct snapshot *snapshot;
	LIST(struct thread_findings) threads; /* in the snapshot's order */
	const struct thread_findings *dying;  /* the thread of death.tid; NULL: not known */
	enum symbols *module_symbols;	      /* one per module; UNKNOWN where no frame needed it */
	struct python_findings python;
	struct hints hints;
	struct aftermath aftermath;
	struct fault fault;
	LIST(struct trend) trends; /* memory first; empty where there is nothing to say */
	struct verdict verdict;
	char signature[17]; /* hash as hex, "" for none */
	strings signature_frames;
	gaps gaps; /* the snapshot's and analysis' own */
	wanted_files wanted;
};

void findings_deinit(struct findings *findings);

const char *trend_what_name(enum trend_what what);
const char *trend_shape_name(enum trend_shape shape);

/* The names that the schema uses. */
const char *cause_name(enum cause cause);
const char *fault_class_name(enum fault_class class);
const char *confidence_name(enum confidence confidence);

/* ", its parent": what a sender was to the process, to stand behind its name; "" for nothing to say. */
const char *relation_words(enum sender_relation relation);

#endif
