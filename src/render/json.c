// SPDX-License-Identifier: GPL-3.0-or-later
#include "render.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "../cleanup.h"
#include "aftermath.h"
#include "json.h"
#include "logs.h"
#include "stacks.h"
#include "words.h"

// A stack that overflowed has tens of thousands of frames, and its two ends tell the story.
#define FRAMES_HEAD    8192
#define FRAMES_TAIL    2048
#define FRAMES_ALL     400000 // of all stacks together
#define EXCEPTIONS_MAX 16

#define DIGITS	       9 // of a number that is not whole

struct json {
	const struct findings *findings;
	struct out out;
	struct frame_set set;
	LIST(json_t *)
	frames;		/* by number in the set; each is made once however often it is used */
	size_t written; /* frames so far */
	json_t *gaps;	/* borrowed from the report */
};

static void json_deinit(struct json *j)
{
	for (size_t i = 0; i < j->frames.n; i++)
		json_decref(j->frames.v[i]);
	frame_set_deinit(&j->set);
	arena_deinit(&j->out.arena);
}

static void decrefp(json_t **value)
{
	json_decref(*value);
}

static json_t *build_id(const struct module *module)
{
	char text[2 * BUILD_ID_MAX + 1] = "";

	if (!module || !module->build_id_len)
		return json_null();
	for (unsigned i = 0; i < module->build_id_len && i < BUILD_ID_MAX; i++)
		snprintf(text + 2 * i, 3, "%02x", module->build_id[i]);
	return json_string(text);
}

static json_t *locals_object(struct out *o, const struct frame *frame)
{
	json_t *ret = json_object();

	for (size_t i = 0; i < frame->locals.n; i++)
		out_put_string(o, ret, frame->locals.v[i].name, frame->locals.v[i].value);
	return ret;
}

static json_t *frame_object(struct out *o, const struct frame *frame)
{
	static const char *const found_by[] = {
		[FOUND_NONE] = NULL,	      [FOUND_CONTEXT] = "context", [FOUND_CFI] = "cfi",
		[FOUND_FP] = "frame-pointer", [FOUND_SCANNED] = "scan",
	};
	json_t *ret = json_object();

	out_put(o, ret, "kind", json_string(frame->kind == FRAME_PYTHON ? "python" : "native"));
	out_put_string(o, ret, "function", frame->function);
	out_put_string(o, ret, "file", frame->file);
	out_put(o, ret, "line", frame->line > 0 ? json_integer(frame->line) : json_null());
	out_put(o, ret, "column", frame->column > 0 ? json_integer(frame->column) : json_null());
	if (frame->locals.n)
		out_put(o, ret, "locals", locals_object(o, frame));
	if (frame->kind == FRAME_PYTHON)
		return ret;
	out_put(o, ret, "pc", out_address(frame->pc));
	out_put_string(o, ret, "module", frame->module ? frame->module->path : NULL);
	out_put(o, ret, "module_offset",
		frame->module ? out_address(frame->module_offset) : json_null());
	out_put(o, ret, "build_id", build_id(frame->module));
	out_put(o, ret, "symbol_offset", out_number(frame->symbol_offset));
	out_put(o, ret, "inlined", json_boolean(frame->inlined));
	out_put(o, ret, "signal_frame", json_boolean(frame->signal_frame));
	out_put_known(o, ret, "found_by", found_by[frame->found_by]);
	return ret;
}

static void append_frame(struct json *j, json_t *array, const struct frame *frame)
{
	size_t id = frame_set_add(&j->set, frame);

	// Numbers are given in order, so a new one is the next.
	if (id == j->frames.n) {
		json_t *object = frame_object(&j->out, frame);
		json_t **slot = object ? LIST_ADD(&j->out.arena, &j->frames) : NULL;
		if (!slot) {
			json_decref(object);
			j->out.failed = true;
			return;
		}
		*slot = object;
	}
	// SIZE_MAX, for no memory, is among these.
	j->out.failed |= id >= j->frames.n || json_array_append(array, j->frames.v[id]) != 0;
}

static void add_gap(struct json *j, const struct gap *gap)
{
	json_t *object = json_object();

	out_put_string(&j->out, object, "what", gap->what);
	out_put_string(&j->out, object, "why", gap->why);
	out_put_string(&j->out, object, "remedy", gap->remedy);
	out_append(&j->out, j->gaps, object);
}

// WHAT names the stack, should it have to be cut.
static json_t *stack(struct json *j, const struct stack *stack, const char *what)
{
	json_t *ret = json_array();
	size_t n = stack->frames.n, head = n, tail = 0;
	size_t room = FRAMES_ALL - j->written;

	if (n > FRAMES_HEAD + FRAMES_TAIL) {
		head = FRAMES_HEAD;
		tail = FRAMES_TAIL;
	}
	if (head + tail > room) {
		head = n < room ? n : room;
		tail = 0;
	}
	for (size_t i = 0; i < head; i++)
		append_frame(j, ret, &stack->frames.v[i]);
	for (size_t i = n - tail; i < n; i++)
		append_frame(j, ret, &stack->frames.v[i]);
	j->written += head + tail;
	if (head + tail == n)
		return ret;
	char *why = arena_printf(&j->out.arena,
				 "this file has the innermost %zu and the outermost %zu of %zu",
				 head, tail, n);
	char *name = arena_strdup(&j->out.arena, what);
	j->out.failed |= !why || !name;
	if (why && name)
		add_gap(j, &(struct gap){ .what = name, .why = why });
	return ret;
}

static json_t *exception(struct json *j, const struct exception *e, int depth)
{
	if (!e || depth == EXCEPTIONS_MAX)
		return json_null();
	json_t *ret = json_object();
	out_put_string(&j->out, ret, "type", e->type);
	out_put_string(&j->out, ret, "message", e->message);
	out_put(&j->out, ret, "traceback", stack(j, &e->traceback, "frames of a traceback"));
	out_put(&j->out, ret, "cause", exception(j, e->cause, depth + 1));
	if (e->cause && e->recorded)
		out_put(&j->out, ret, "cause_is", json_string(e->is_context ? "context" : "cause"));
	if (e->own_str)
		out_put(&j->out, ret, "own_str", json_true());
	if (e->notes.n)
		out_put(&j->out, ret, "notes", out_strings(&j->out, &e->notes));
	if (e->n_members) {
		json_t *members = json_array();

		for (size_t i = 0; i < e->members.n; i++)
			out_append(&j->out, members, exception(j, e->members.v[i], depth + 1));
		out_put(&j->out, ret, "exceptions", members);
		out_put(&j->out, ret, "exceptions_total", out_number(e->n_members));
	}
	out_put_known(&j->out, ret, "source", e->source);
	return ret;
}

static json_t *time_object(struct json *j, const struct snapshot *snapshot)
{
	static const struct gap unknown = {
		.what = (char *)"the time of the end",
		.why = (char *)"the dump does not say it; 1970 stands for unknown",
	};
	json_t *ret = json_object();

	out_put(&j->out, ret, "process_start", out_time(&j->out, snapshot->time.process_start));
	out_put(&j->out, ret, "attached", out_time(&j->out, snapshot->time.attached));
	out_put_time(&j->out, ret, "death", snapshot->time.death);
	if (snapshot->time.finalization)
		out_put_time(&j->out, ret, "finalization", snapshot->time.finalization);
	if (!snapshot->time.death)
		add_gap(j, &unknown);
	out_put(&j->out, ret, "frozen_seconds",
		snapshot->time.frozen < 0 ? json_null()
					  : json_real((double)snapshot->time.frozen / 1e9));
	return ret;
}

static json_t *full_core_object(struct out *o, const struct snapshot *snapshot)
{
	json_t *ret = json_object();

	out_put(o, ret, "bytes", json_integer((json_int_t)snapshot->full_core.bytes));
	out_put(o, ret, "swapped_bytes", json_integer((json_int_t)snapshot->full_core.swapped));
	out_put(o, ret, "held_seconds", json_real((double)snapshot->full_core.held / 1e9));
	return ret;
}

static json_t *host_object(struct out *o, const struct host *host)
{
	json_t *ret = json_object();

	out_put_known(o, ret, "hostname", host->hostname);
	out_put_string(o, ret, "kernel", host->kernel ? host->kernel : "");
	// The schema knows the architectures that we know, and has no word for another.
	if (host->arch)
		out_put_string(o, ret, "arch", host->arch->name);
	if (host->cpus > 0)
		out_put(o, ret, "cpus", json_integer(host->cpus));
	if (host->memory > 0)
		out_put(o, ret, "memory_bytes", json_integer(host->memory));
	return ret;
}

static json_t *sender_object(struct out *o, const struct sender *sender)
{
	static const char *const kinds[] = {
		[SENDER_UNKNOWN] = "unknown",		[SENDER_SELF] = "self",
		[SENDER_PROCESS] = "process",		[SENDER_KERNEL] = "kernel",
		[SENDER_OUTSIDE] = "outside-namespace",
	};
	static const char *const relations[] = {
		[RELATION_UNKNOWN] = NULL,	[RELATION_SELF] = "self",
		[RELATION_PARENT] = "parent",	[RELATION_CHILD] = "child",
		[RELATION_SIBLING] = "sibling", [RELATION_ANCESTOR] = "ancestor",
		[RELATION_OTHER] = "other",
	};
	static const char *const sources[] = {
		[SOURCE_NONE] = NULL,
		[SOURCE_SIGINFO] = "siginfo",
		[SOURCE_TRACEPOINT] = "tracepoint",
		[SOURCE_AUDIT] = "audit",
		[SOURCE_INFERRED] = "inferred",
	};
	const struct process_ref *process = &sender->process;
	json_t *ret = json_object();
	bool known = process->pid > 0;

	out_put(o, ret, "kind", json_string(kinds[sender->kind]));
	out_put(o, ret, "pid", known ? json_integer(process->pid) : json_null());
	out_put(o, ret, "tid", sender->tid > 0 ? json_integer(sender->tid) : json_null());
	out_put(o, ret, "uid",
		known && process->uid != (uid_t)-1 ? json_integer(process->uid) : json_null());
	out_put_string(o, ret, "user", sender->user);
	out_put_string(o, ret, "comm", process->comm);
	out_put_string(o, ret, "exe", process->exe);
	out_put(o, ret, "cmdline", out_strings(o, &process->cmdline));
	out_put(o, ret, "ancestors", out_processes(o, &sender->ancestors));
	out_put_string(o, ret, "relation", relations[sender->relation]);
	out_put_string(o, ret, "source", sources[sender->source]);
	out_put(o, ret, "forwarded", json_boolean(sender->forwarded));
	return ret;
}

static json_t *signal_object(struct json *j, const struct death *death)
{
	json_t *ret = json_object();
	const struct signal_info *info = &death->info;
	const struct fault *fault = &j->findings->fault;
	bool known = info->signo == death->signo;

	out_put(&j->out, ret, "number", json_integer(death->signo));
	out_put_signal(&j->out, ret, "name", death->signo);
	out_put(&j->out, ret, "code", known ? json_integer(info->code) : json_null());
	out_put_string(&j->out, ret, "code_name",
		       known ? signal_code_name(info->signo, info->code) : NULL);
	// With SI_KERNEL (0x80) the address is always 0 and means nothing; the one that the
	// instruction's operands make is in `fault`.
	bool addressed =
		known && signal_is_fault(info->signo) && info->code > 0 && info->code < 0x80;
	if (fault->present && fault->have_address)
		out_put(&j->out, ret, "address", out_address(fault->address));
	else
		out_put(&j->out, ret, "address", addressed ? out_address(info->addr) : json_null());
	out_put(&j->out, ret, "sender", sender_object(&j->out, &death->sender));
	return ret;
}

static json_t *earlier_list(struct json *j, const struct death *death)
{
	json_t *ret = json_array();

	for (size_t i = 0; i < death->earlier.n; i++) {
		const struct signal_event *event = &death->earlier.v[i];
		const struct signal_info *info = &event->info;
		json_t *object = json_object();

		out_put_signal(&j->out, object, "name", info->signo);
		out_put_time(&j->out, object, "at", event->at);
		out_put(&j->out, object, "handled", json_boolean(event->disposition == SIGNAL_HANDLED));
		out_put(&j->out, object, "sender", sender_object(&j->out, &event->sender));
		out_put(&j->out, object, "number", json_integer(info->signo));
		out_put(&j->out, object, "code", json_integer(info->code));
		out_put_string(&j->out, object, "code_name", signal_code_name(info->signo, info->code));
		out_put(&j->out, object, "thread", event->tid > 0 ? json_integer(event->tid) : json_null());
		out_put(&j->out, object, "count", json_integer((json_int_t)event->count));
		out_put(&j->out, object, "last", out_time(&j->out, event->last));
		out_append(&j->out, ret, object);
	}
	if (death->earlier_dropped) {
		char *why = arena_printf(&j->out.arena, "%" PRIu64 " older ones were not kept",
					 death->earlier_dropped);
		char *what = arena_strdup(&j->out.arena, "earlier signals");
		j->out.failed |= !why || !what;
		if (why && what)
			add_gap(j, &(struct gap){ .what = what, .why = why });
	}
	return ret;
}

static json_t *death_object(struct json *j, const struct death *death)
{
	static const char *const kinds[] = {
		[DEATH_EXIT] = "exit",
		[DEATH_SIGNAL] = "signal",
		[DEATH_SNAPSHOT] = "snapshot",
		[DEATH_UNKNOWN] = "unknown",
	};
	json_t *ret = json_object();
	bool signal = death->kind == DEATH_SIGNAL && death->signo > 0;

	out_put(&j->out, ret, "kind", json_string(kinds[death->kind]));
	out_put(&j->out, ret, "exit_code",
		death->kind == DEATH_EXIT ? json_integer(death->exit_code) : json_null());
	out_put(&j->out, ret, "signal", signal ? signal_object(j, death) : json_null());
	out_put(&j->out, ret, "thread", death->tid > 0 ? json_integer(death->tid) : json_null());
	out_put(&j->out, ret, "earlier_signals", earlier_list(j, death));
	out_put(&j->out, ret, "core_dumped",
		death->core_dumped < 0 ? json_null() : json_boolean(death->core_dumped));
	return ret;
}

static json_t *verdict_object(struct out *o, const struct verdict *verdict)
{
	json_t *ret = json_object(), *evidence = json_array(), *ruled_out = json_array();

	out_put_string(o, ret, "cause", cause_name(verdict->cause));
	out_put_string(o, ret, "summary", verdict->summary);
	out_put_string(o, ret, "confidence", confidence_name(verdict->confidence));
	for (size_t i = 0; i < verdict->evidence.n; i++) {
		json_t *object = json_object();
		out_put_string(o, object, "source", verdict->evidence.v[i].source);
		out_put_string(o, object, "text", verdict->evidence.v[i].text);
		out_put(o, object, "supports", json_boolean(verdict->evidence.v[i].supports));
		out_append(o, evidence, object);
	}
	out_put(o, ret, "evidence", evidence);
	for (size_t i = 0; i < verdict->ruled_out.n; i++) {
		json_t *object = json_object();
		out_put_string(o, object, "cause", cause_name(verdict->ruled_out.v[i].cause));
		out_put_string(o, object, "because", verdict->ruled_out.v[i].because);
		out_append(o, ruled_out, object);
	}
	out_put(o, ret, "ruled_out", ruled_out);
	out_put(o, ret, "advice", out_strings(o, &verdict->advice));
	return ret;
}

static json_t *fault_object(struct out *o, const struct fault *fault)
{
	static const char *const accesses[] = {
		[ACCESS_UNKNOWN] = NULL,
		[ACCESS_READ] = "read",
		[ACCESS_WRITE] = "write",
		[ACCESS_EXECUTE] = "execute",
	};

	if (!fault->present)
		return json_null();
	json_t *ret = json_object(), *code = json_array();
	out_put_string(o, ret, "class", fault_class_name(fault->class));
	out_put_string(o, ret, "access", accesses[fault->access]);
	out_put(o, ret, "address", fault->have_address ? out_address(fault->address) : json_null());
	out_put_known(o, ret, "explanation", fault->explanation);
	out_put_string(o, ret, "operand", fault->operand);
	out_put_string(o, ret, "message", fault->message);
	out_put_known(o, ret, "message_source", fault->message_source);
	for (size_t i = 0; i < fault->disassembly.n; i++) {
		const struct instruction *in = &fault->disassembly.v[i];
		json_t *object = json_object();
		out_put(o, object, "address", out_address(in->at));
		out_put_known(o, object, "bytes", in->bytes);
		out_put_string(o, object, "text", in->text);
		out_put(o, object, "current", json_boolean(in->current));
		out_append(o, code, object);
	}
	out_put(o, ret, "disassembly", code);
	return ret;
}

static json_t *registers_object(struct out *o, const struct regs *regs)
{
	json_t *ret = json_object();

	for (unsigned i = 0; i < regs->arch->n_regs; i++)
		out_put(o, ret, regs->arch->reg_names[i], out_address(regs->r[i]));
	if (regs->arch->tls < 0)
		out_put(o, ret, "tls", out_address(regs->tls));
	return ret;
}

static json_t *thread_object(struct json *j, const struct thread_findings *findings)
{
	const struct thread *thread = findings->thread;
	json_t *ret = json_object();
	char what[48];

	snprintf(what, sizeof(what), "frames of thread %d", (int)thread->tid);
	out_put(&j->out, ret, "tid", json_integer(thread->tid));
	out_put_string(&j->out, ret, "name", thread->name ? thread->name : "");
	out_put_string(&j->out, ret, "python_name", findings->python_name);
	if (*words_state(thread->state))
		out_put_string(&j->out, ret, "state", words_state(thread->state));
	out_put(&j->out, ret, "crashed", json_boolean(findings->crashed));
	out_put_string(&j->out, ret, "syscall", findings->syscall);
	out_put_known(&j->out, ret, "syscall_text", findings->syscall_text);
	if (thread->regs.arch)
		out_put(&j->out, ret, "registers", registers_object(&j->out, &thread->regs));
	if (findings->has_python) {
		out_put(&j->out, ret, "holds_gil",
			findings->gil_known ? json_boolean(findings->holds_gil) : json_null());
		out_put(&j->out, ret, "waits_for_gil",
			findings->wait_known ? json_boolean(findings->waits_for_gil) : json_null());
		out_put(&j->out, ret, "interpreter", out_number(findings->interpreter));
		out_put(&j->out, ret, "exception", exception(j, findings->handled, 0));
		out_put(&j->out, ret, "raised", exception(j, findings->raised, 0));
	}
	out_put(&j->out, ret, "stack", stack(j, &findings->merged, what));
	out_put(&j->out, ret, "native", stack(j, &findings->native, what));
	out_put(&j->out, ret, "python", stack(j, &findings->python, what));
	out_put_known(&j->out, ret, "stack_ends", findings->merged.gap);
	return ret;
}

static json_t *task_list(struct json *j, const struct python_findings *python)
{
	json_t *ret = json_array();

	for (size_t i = 0; i < python->tasks.n; i++) {
		const struct task *task = &python->tasks.v[i];
		json_t *object = json_object();

		out_put_string(&j->out, object, "name", task->name);
		out_put_known(&j->out, object, "coroutine", task->coroutine);
		out_put(&j->out, object, "state", json_string(task->running ? "running" : "pending"));
		out_put(&j->out, object, "thread", task->thread ? json_integer(task->thread) : json_null());
		out_put(&j->out, object, "awaited_by", out_strings(&j->out, &task->awaited_by));
		out_put(&j->out, object, "stack", stack(j, &task->stack, "frames of an asyncio task"));
		out_append(&j->out, ret, object);
	}
	return ret;
}

static json_t *python_object(struct json *j, const struct python_findings *python)
{
	if (!python->present)
		return json_null();
	json_t *ret = json_object(), *interpreters = json_array();
	out_put_string(&j->out, ret, "version", python->version ? python->version : "");
	out_put(&j->out, ret, "implementation", json_string("CPython"));
	out_put(&j->out, ret, "free_threaded", json_boolean(python->free_threaded));
	out_put_known(&j->out, ret, "library", python->library);
	out_put(&j->out, ret, "layout", json_string(python->published_layout ? "published" : "table"));
	if (python->tasks.n)
		out_put(&j->out, ret, "asyncio_layout",
			json_string(python->published_asyncio ? "published" : "table"));
	out_put(&j->out, ret, "finalizing", json_boolean(python->finalizing));
	out_put(&j->out, ret, "gil_holder",
		python->gil_known && python->gil_holder > 0 ? json_integer(python->gil_holder)
							    : json_null());
	out_put(&j->out, ret, "gc_running",
		python->gc_known ? json_boolean(python->gc_running) : json_null());
	for (size_t i = 0; i < python->interpreters.n; i++) {
		json_t *object = json_object();
		out_put(&j->out, object, "id", json_integer(python->interpreters.v[i]));
		out_append(&j->out, interpreters, object);
	}
	out_put(&j->out, ret, "interpreters", interpreters);
	out_put(&j->out, ret, "tasks", task_list(j, python));
	out_put(&j->out, ret, "exception", exception(j, python->exception, 0));
	out_put_known(&j->out, ret, "fatal_error", python->fatal_error);
	out_put(&j->out, ret, "fatal_stack",
		stack(j, &python->fatal_stack, "frames of faulthandler's dump"));
	out_put_known(&j->out, ret, "logged_exception", python->logged_exception);
	out_put_known(&j->out, ret, "watchdog", python->watchdog);
	return ret;
}

static json_t *module_list(struct out *o, const struct findings *findings)
{
	static const char *const names[] = {
		[SYMBOLS_NONE] = "none",   [SYMBOLS_DYNSYM] = "dynsym", [SYMBOLS_SYMTAB] = "symtab",
		[SYMBOLS_DWARF] = "dwarf", [SYMBOLS_UNKNOWN] = NULL,
	};
	const struct snapshot *snapshot = findings->snapshot;
	json_t *ret = json_array();

	for (size_t i = 0; i < snapshot->modules.n; i++) {
		const struct module *module = &snapshot->modules.v[i];
		json_t *object = json_object();

		out_put_string(o, object, "path", module->path);
		out_put_known(o, object, "soname", module->soname);
		out_put(o, object, "start", out_address(module->start));
		out_put(o, object, "end", out_address(module->end));
		out_put(o, object, "build_id", build_id(module));
		out_put(o, object, "deleted", json_boolean(module->deleted));
		if (findings->module_symbols)
			out_put_known(o, object, "symbols", names[findings->module_symbols[i]]);
		out_append(o, ret, object);
	}
	return ret;
}

static json_t *mapping_list(struct out *o, const struct snapshot *snapshot)
{
	json_t *ret = json_array();

	for (size_t i = 0; i < snapshot->mappings.n; i++) {
		const struct mapping *mapping = &snapshot->mappings.v[i];
		json_t *object = json_object();

		out_put(o, object, "start", out_address(mapping->start));
		out_put(o, object, "end", out_address(mapping->end));
		out_put_string(o, object, "permissions", mapping->permissions);
		if (mapping->name && *mapping->name)
			out_put_string(o, object, "name", mapping->name);
		out_append(o, ret, object);
	}
	return ret;
}

static json_t *cut_list(struct out *o, const struct log *log)
{
	json_t *ret = json_array();

	for (size_t i = 0; i < log->cuts.n; i++)
		out_append(o, ret, json_pack("{s:I, s:I}", "before", (json_int_t)log->cuts.v[i].before,
					 "lines", (json_int_t)log->cuts.v[i].lines));
	return ret;
}

static json_t *kernel_log_list(struct out *o, const struct snapshot *snapshot)
{
	// What could not be looked at is not the same as what said nothing.
	if (!snapshot->kernel_log.followed)
		return json_null();
	json_t *ret = json_array();
	for (size_t i = 0; i < snapshot->kernel_log.lines.n; i++) {
		const struct kernel_line *line = &snapshot->kernel_log.lines.v[i];
		char *text = words_kernel_line(&o->arena, line);

		o->failed |= !text;
		out_append(o, ret, out_string(text));
	}
	return ret;
}

static json_t *log_list(struct out *o, const struct findings *findings)
{
	const struct snapshot *snapshot = findings->snapshot;
	json_t *ret = json_array();

	for (size_t i = 0; i < snapshot->logs.n; i++) {
		const struct log *log = &snapshot->logs.v[i];
		json_t *object = json_object();

		out_put_string(o, object, "path", log->path);
		out_put(o, object, "fd", out_number(log->fd));
		out_put(o, object, "lines", out_strings(o, &log->lines));
		out_put(o, object, "cuts", cut_list(o, log));
		out_put(o, object, "marks", logs_json_lines(o, findings, i));
		out_put(o, object, "modified", out_time(o, log->modified));
		out_append(o, ret, object);
	}
	return ret;
}

static json_t *signature_object(struct out *o, const struct findings *findings)
{
	if (!*findings->signature)
		return json_null();
	json_t *ret = json_object();
	out_put_string(o, ret, "hash", findings->signature);
	out_put(o, ret, "frames", out_strings(o, &findings->signature_frames));
	return ret;
}

static json_t *files_object(struct out *o, const struct render_files *files)
{
	json_t *ret = json_object();

	out_put_string(o, ret, "dump", files->dump);
	out_put_string(o, ret, "text", files->text);
	out_put_string(o, ret, "json", files->json);
	out_put_string(o, ret, "html", files->html);
	out_put(o, ret, "core", json_null());
	return ret;
}

static void fill_report(struct json *j, json_t *report, const struct render_files *files)
{
	const struct findings *findings = j->findings;
	const struct snapshot *snapshot = findings->snapshot;
	json_t *generator = json_object(), *threads = json_array();

	for (size_t i = 0; i < findings->gaps.n; i++)
		add_gap(j, &findings->gaps.v[i]);
	out_put(&j->out, report, "schema", json_string("pcatch.report/1"));
	out_put(&j->out, generator, "name", json_string("pcatch"));
	out_put_string(&j->out, generator, "version",
		       snapshot->generator ? snapshot->generator : "unknown");
	out_put(&j->out, report, "generator", generator);
	out_put(&j->out, report, "redacted", json_boolean(!snapshot->unredacted));
	out_put_string(&j->out, report, "id", snapshot->id);
	out_put(&j->out, report, "verdict", verdict_object(&j->out, &findings->verdict));
	out_put(&j->out, report, "time", time_object(j, snapshot));
	if (snapshot->full_core.bytes)
		out_put(&j->out, report, "full_core", full_core_object(&j->out, snapshot));
	out_put(&j->out, report, "host", host_object(&j->out, &snapshot->host));
	out_put(&j->out, report, "process", process_json(&j->out, &snapshot->process));
	out_put(&j->out, report, "death", death_object(j, &snapshot->death));
	out_put(&j->out, report, "fault", fault_object(&j->out, &findings->fault));
	out_put(&j->out, report, "python", python_object(j, &findings->python));
	for (size_t i = 0; i < findings->threads.n; i++)
		out_append(&j->out, threads, thread_object(j, &findings->threads.v[i]));
	out_put(&j->out, report, "threads", threads);
	out_put(&j->out, report, "signature", signature_object(&j->out, findings));
	out_put(&j->out, report, "logs", log_list(&j->out, findings));
	out_put(&j->out, report, "hints", logs_json_hints(&j->out, findings));
	out_put(&j->out, report, "autopsy", aftermath_json(&j->out, findings));
	out_put(&j->out, report, "kernel_log", kernel_log_list(&j->out, snapshot));
	out_put(&j->out, report, "timeline", timeline_json(&j->out, findings));
	out_put(&j->out, report, "modules", module_list(&j->out, findings));
	out_put(&j->out, report, "mappings", mapping_list(&j->out, snapshot));
	if (files)
		out_put(&j->out, report, "files", files_object(&j->out, files));
}

static int to_buf(const char *data, size_t len, void *buf)
{
	buf_add(buf, data, len);
	return ((struct buf *)buf)->failed ? -1 : 0;
}

struct error *render_json(const struct findings *findings, const struct render_files *files,
			  struct buf *ret)
{
	_cleanup_(json_deinit) struct json j = { .findings = findings, .set.with_locals = true };
	_cleanup_(decrefp) json_t *report = json_object(), *missing = json_array();

	if (!report || !missing)
		return error_nomem();
	j.gaps = missing;
	fill_report(&j, report, files);
	j.out.failed |= json_object_set(report, "gaps", missing) != 0;
	if (j.out.failed ||
	    json_dump_callback(report, to_buf, ret, JSON_INDENT(1) | JSON_REAL_PRECISION(DIGITS)))
		return error_nomem();
	buf_addstr(ret, "\n");
	return buf_error(ret);
}
