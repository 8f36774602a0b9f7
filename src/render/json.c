// SPDX-License-Identifier: GPL-3.0-or-later
#include "render.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "../cleanup.h"
#include "aftermath.h"
#include "limits.h"
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
	struct arena arena;
	struct frame_set set;
	LIST(json_t *)
	frames;		/* by number in the set; each is made once however often it is used */
	size_t written; /* frames so far */
	json_t *gaps;	/* borrowed from the report */
	bool failed;
};

static void json_deinit(struct json *j)
{
	for (size_t i = 0; i < j->frames.n; i++)
		json_decref(j->frames.v[i]);
	frame_set_deinit(&j->set);
	arena_deinit(&j->arena);
}

static void decrefp(json_t **value)
{
	json_decref(*value);
}

static void put(struct json *j, json_t *object, const char *key, json_t *value)
{
	j->failed |= json_object_set_new(object, key, value) != 0;
}

static void append(struct json *j, json_t *array, json_t *value)
{
	j->failed |= json_array_append_new(array, value) != 0;
}

// NULL becomes null; anything else valid UTF-8.
static json_t *string(const char *text)
{
	_cleanup_(buf_deinit) struct buf clean = {};

	if (!text)
		return json_null();
	buf_clean(&clean, text, strlen(text), "\n\t");
	return clean.failed ? NULL
			    : json_stringn(clean.len ? (const char *)clean.data : "", clean.len);
}

static void put_string(struct json *j, json_t *object, const char *key, const char *text)
{
	put(j, object, key, string(text));
}

static void put_known(struct json *j, json_t *object, const char *key, const char *text)
{
	if (text)
		put_string(j, object, key, text);
}

static json_t *address(uint64_t at)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%" PRIx64, at);
	return json_string(text);
}

// Negative stands for unknown.
static json_t *number(int64_t value)
{
	return value < 0 ? json_null() : json_integer(value);
}

static void put_time(struct json *j, json_t *object, const char *key, int64_t at)
{
	char *text = words_rfc3339(&j->arena, at);

	j->failed |= !text;
	put_string(j, object, key, text);
}

static void put_time_or_null(struct json *j, json_t *object, const char *key, int64_t at)
{
	if (at)
		put_time(j, object, key, at);
	else
		put(j, object, key, json_null());
}

static void put_signal(struct json *j, json_t *object, const char *key, int signo)
{
	char *text = words_signal(&j->arena, signo);

	j->failed |= !text;
	put_string(j, object, key, text);
}

static json_t *string_list(struct json *j, const strings *list)
{
	json_t *ret = json_array();

	for (size_t i = 0; i < list->n; i++)
		append(j, ret, string(list->v[i]));
	return ret;
}

static json_t *process_ref(struct json *j, const struct process_ref *ref)
{
	json_t *ret = json_object();

	put(j, ret, "pid", json_integer(ref->pid));
	put_string(j, ret, "comm", ref->comm);
	put_string(j, ret, "exe", ref->exe);
	put(j, ret, "cmdline", string_list(j, &ref->cmdline));
	put(j, ret, "uid", ref->uid == (uid_t)-1 ? json_null() : json_integer(ref->uid));
	return ret;
}

static json_t *process_ref_list(struct json *j, const process_refs *refs)
{
	json_t *ret = json_array();

	for (size_t i = 0; i < refs->n; i++)
		append(j, ret, process_ref(j, &refs->v[i]));
	return ret;
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

static json_t *locals_object(struct json *j, const struct frame *frame)
{
	json_t *ret = json_object();

	for (size_t i = 0; i < frame->locals.n; i++)
		put_string(j, ret, frame->locals.v[i].name, frame->locals.v[i].value);
	return ret;
}

static json_t *frame_object(struct json *j, const struct frame *frame)
{
	static const char *const found_by[] = {
		[FOUND_NONE] = NULL,	      [FOUND_CONTEXT] = "context", [FOUND_CFI] = "cfi",
		[FOUND_FP] = "frame-pointer", [FOUND_SCANNED] = "scan",
	};
	json_t *ret = json_object();

	put(j, ret, "kind", json_string(frame->kind == FRAME_PYTHON ? "python" : "native"));
	put_string(j, ret, "function", frame->function);
	put_string(j, ret, "file", frame->file);
	put(j, ret, "line", frame->line > 0 ? json_integer(frame->line) : json_null());
	put(j, ret, "column", frame->column > 0 ? json_integer(frame->column) : json_null());
	if (frame->locals.n)
		put(j, ret, "locals", locals_object(j, frame));
	if (frame->kind == FRAME_PYTHON)
		return ret;
	put(j, ret, "pc", address(frame->pc));
	put_string(j, ret, "module", frame->module ? frame->module->path : NULL);
	put(j, ret, "module_offset", frame->module ? address(frame->module_offset) : json_null());
	put(j, ret, "build_id", build_id(frame->module));
	put(j, ret, "symbol_offset", number(frame->symbol_offset));
	put(j, ret, "inlined", json_boolean(frame->inlined));
	put(j, ret, "signal_frame", json_boolean(frame->signal_frame));
	put_known(j, ret, "found_by", found_by[frame->found_by]);
	return ret;
}

static void append_frame(struct json *j, json_t *array, const struct frame *frame)
{
	size_t id = frame_set_add(&j->set, frame);

	// Numbers are given in order, so a new one is the next.
	if (id == j->frames.n) {
		json_t *object = frame_object(j, frame);
		json_t **slot = object ? LIST_ADD(&j->arena, &j->frames) : NULL;
		if (!slot) {
			json_decref(object);
			j->failed = true;
			return;
		}
		*slot = object;
	}
	// SIZE_MAX, for no memory, is among these.
	j->failed |= id >= j->frames.n || json_array_append(array, j->frames.v[id]) != 0;
}

static void add_gap(struct json *j, const struct gap *gap)
{
	json_t *object = json_object();

	put_string(j, object, "what", gap->what);
	put_string(j, object, "why", gap->why);
	put_string(j, object, "remedy", gap->remedy);
	append(j, j->gaps, object);
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
	char *why = arena_printf(&j->arena,
				 "this file has the innermost %zu and the outermost %zu of %zu",
				 head, tail, n);
	char *name = arena_strdup(&j->arena, what);
	j->failed |= !why || !name;
	if (why && name)
		add_gap(j, &(struct gap){ .what = name, .why = why });
	return ret;
}

static json_t *exception(struct json *j, const struct exception *e, int depth)
{
	if (!e || depth == EXCEPTIONS_MAX)
		return json_null();
	json_t *ret = json_object();
	put_string(j, ret, "type", e->type);
	put_string(j, ret, "message", e->message);
	put(j, ret, "traceback", stack(j, &e->traceback, "frames of a traceback"));
	put(j, ret, "cause", exception(j, e->cause, depth + 1));
	if (e->cause && e->recorded)
		put(j, ret, "cause_is", json_string(e->is_context ? "context" : "cause"));
	if (e->own_str)
		put(j, ret, "own_str", json_true());
	if (e->notes.n)
		put(j, ret, "notes", string_list(j, &e->notes));
	if (e->n_members) {
		json_t *members = json_array();

		for (size_t i = 0; i < e->members.n; i++)
			append(j, members, exception(j, e->members.v[i], depth + 1));
		put(j, ret, "exceptions", members);
		put(j, ret, "exceptions_total", number(e->n_members));
	}
	put_known(j, ret, "source", e->source);
	return ret;
}

static json_t *time_object(struct json *j, const struct snapshot *snapshot)
{
	static const struct gap unknown = {
		.what = (char *)"the time of the end",
		.why = (char *)"the dump does not say it; 1970 stands for unknown",
	};
	json_t *ret = json_object();

	put_time_or_null(j, ret, "process_start", snapshot->time.process_start);
	put_time_or_null(j, ret, "attached", snapshot->time.attached);
	put_time(j, ret, "death", snapshot->time.death);
	if (snapshot->time.finalization)
		put_time(j, ret, "finalization", snapshot->time.finalization);
	if (!snapshot->time.death)
		add_gap(j, &unknown);
	put(j, ret, "frozen_seconds",
	    snapshot->time.frozen < 0 ? json_null()
				      : json_real((double)snapshot->time.frozen / 1e9));
	return ret;
}

static json_t *host_object(struct json *j, const struct host *host)
{
	json_t *ret = json_object();

	put_known(j, ret, "hostname", host->hostname);
	put_string(j, ret, "kernel", host->kernel ? host->kernel : "");
	// The schema knows the architectures that we know, and has no word for another.
	if (host->arch)
		put_string(j, ret, "arch", host->arch->name);
	if (host->cpus > 0)
		put(j, ret, "cpus", json_integer(host->cpus));
	if (host->memory > 0)
		put(j, ret, "memory_bytes", json_integer(host->memory));
	return ret;
}

static json_t *environ_object(struct json *j, const strings *list)
{
	json_t *ret = json_object();

	for (size_t i = 0; i < list->n; i++) {
		const char *equals = strchr(list->v[i], '=');
		_cleanup_(buf_deinit) struct buf name = {};

		if (!equals)
			continue;
		buf_clean(&name, list->v[i], (size_t)(equals - list->v[i]), "");
		_cleanup_(freep) char *key = buf_steal(&name);
		// Of equal names the first counts, as it does for getenv().
		if (!key)
			j->failed = true;
		else if (!json_object_get(ret, key))
			put_string(j, ret, key, equals + 1);
	}
	return ret;
}

// "Max open files" becomes "open_files"; a limit that is null is none.
static json_t *limits_object(struct json *j, const struct process *process)
{
	json_t *ret = json_object();
	limit_list list = {};

	struct error *err = limits_parse(process, &j->arena, &list);
	j->failed |= error_drop(err);
	for (size_t i = 0; i < list.n; i++) {
		const struct limit *limit = &list.v[i];
		json_t *object = json_object();
		char *name = limit->name;

		for (char *p = name; *p; p++)
			*p = *p == ' ' ? '_' : *p;
		put(j, object, "soft", number(limit->soft));
		put(j, object, "hard", number(limit->hard));
		if (*limit->unit)
			put_string(j, object, "unit", limit->unit);
		put(j, ret, strncmp(name, "Max_", 4) ? name : name + 4, object);
	}
	return ret;
}

static json_t *cgroup_object(struct json *j, const struct process *process)
{
	if (!process->cgroup)
		return json_null();
	json_t *ret = json_object();
	put_string(j, ret, "path", process->cgroup);
	put(j, ret, "memory_limit_bytes", number(process->memory_limit));
	put(j, ret, "memory_usage_bytes", number(process->memory_usage));
	put(j, ret, "oom_kills_before", number(process->oom_kills_before));
	put(j, ret, "oom_kills_after", number(process->oom_kills_after));
	json_t *levels = json_array();
	for (size_t i = 0; i < process->cgroup_levels.n; i++) {
		const struct cgroup_level *level = &process->cgroup_levels.v[i];
		json_t *object = json_object();

		put_string(j, object, "path", level->path);
		put(j, object, "limit_bytes", number(level->limit));
		put(j, object, "usage_bytes", number(level->usage));
		put(j, object, "peak_bytes", number(level->peak));
		put(j, object, "oom_kills_before", number(level->kills_before));
		put(j, object, "oom_kills_after", number(level->kills_after));
		append(j, levels, object);
	}
	put(j, ret, "levels", levels);
	return ret;
}

static json_t *dispositions_object(struct json *j, const struct process *process)
{
	json_t *ret = json_object();

	for (int signo = 1; signo <= 64; signo++) {
		bool caught = process->caught >> (signo - 1) & 1;
		bool ignored = process->ignored >> (signo - 1) & 1;
		char *name = words_signal(&j->arena, signo);

		if (!name) {
			j->failed = true;
			break;
		}
		// Real-time signals are worth a line only when somebody uses them.
		if (signo <= 31 || caught || ignored)
			put_string(j, ret, name,
				   caught    ? "handled"
				   : ignored ? "ignored"
					     : "default");
	}
	return ret;
}

static json_t *fd_list(struct json *j, const struct process *process)
{
	json_t *ret = json_array();

	for (size_t i = 0; i < process->fds.n; i++) {
		const struct fd *fd = &process->fds.v[i];
		json_t *object = json_object();

		put(j, object, "fd", json_integer(fd->fd));
		put_string(j, object, "target", fd->target ? fd->target : "");
		if (fd->is_socket) {
			json_t *socket = json_object();
			put_known(j, socket, "family", fd->socket.family);
			put_known(j, socket, "type", fd->socket.type);
			put_known(j, socket, "local", fd->socket.local);
			put_known(j, socket, "peer", fd->socket.peer);
			put_known(j, socket, "state", fd->socket.state);
			put(j, object, "socket", socket);
		}
		append(j, ret, object);
	}
	return ret;
}

static json_t *pidfile_object(struct json *j, const struct process *process)
{
	static const char *const states[] = {
		[PIDFILE_NONE] = NULL,	       [PIDFILE_REMOVED] = "removed",
		[PIDFILE_STALE] = "stale",     [PIDFILE_REPLACED] = "replaced",
		[PIDFILE_MISSING] = "missing",
	};

	if (!process->pidfile || process->pidfile_state == PIDFILE_NONE)
		return json_null();
	json_t *ret = json_object();
	put_string(j, ret, "path", process->pidfile);
	put_string(j, ret, "state", states[process->pidfile_state]);
	put(j, ret, "names", process->pidfile_names > 0 ? json_integer(process->pidfile_names) : json_null());
	return ret;
}

static json_t *process_object(struct json *j, const struct process *process)
{
	json_t *ret = json_object(), *ns_pids = json_array();

	put(j, ret, "pid", json_integer(process->pid));
	for (size_t i = 0; i < process->ns_pids.n; i++)
		append(j, ns_pids, json_integer(process->ns_pids.v[i]));
	put(j, ret, "ns_pids", ns_pids);
	put(j, ret, "ppid", json_integer(process->ppid));
	if (process->pgid > 0)
		put(j, ret, "pgid", json_integer(process->pgid));
	if (process->sid > 0)
		put(j, ret, "sid", json_integer(process->sid));
	put_string(j, ret, "tty", process->tty);
	if (process->uid != (uid_t)-1)
		put(j, ret, "uid", json_integer(process->uid));
	if (process->gid != (gid_t)-1)
		put(j, ret, "gid", json_integer(process->gid));
	put_string(j, ret, "user", process->user);
	put_string(j, ret, "comm", process->comm);
	put_string(j, ret, "exe", process->exe);
	put(j, ret, "cmdline", string_list(j, &process->cmdline));
	put_string(j, ret, "cwd", process->cwd);
	put(j, ret, "role", json_string(process->role == ROLE_CHILD ? "child" : "main"));
	put(j, ret, "ancestors", process_ref_list(j, &process->ancestors));
	put(j, ret, "children", process_ref_list(j, &process->children));
	if (process->have_environ)
		put(j, ret, "environ", environ_object(j, &process->environ));
	if (process->limits.len)
		put(j, ret, "limits", limits_object(j, process));
	put(j, ret, "cgroup", cgroup_object(j, process));
	if (process->have_dispositions)
		put(j, ret, "signal_dispositions", dispositions_object(j, process));
	put(j, ret, "pidfile", pidfile_object(j, process));
	if (process->have_fds)
		put(j, ret, "fds", fd_list(j, process));
	return ret;
}

static json_t *sender_object(struct json *j, const struct sender *sender)
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

	put(j, ret, "kind", json_string(kinds[sender->kind]));
	put(j, ret, "pid", known ? json_integer(process->pid) : json_null());
	put(j, ret, "tid", sender->tid > 0 ? json_integer(sender->tid) : json_null());
	put(j, ret, "uid",
	    known && process->uid != (uid_t)-1 ? json_integer(process->uid) : json_null());
	put_string(j, ret, "user", sender->user);
	put_string(j, ret, "comm", process->comm);
	put_string(j, ret, "exe", process->exe);
	put(j, ret, "cmdline", string_list(j, &process->cmdline));
	put(j, ret, "ancestors", process_ref_list(j, &sender->ancestors));
	put_string(j, ret, "relation", relations[sender->relation]);
	put_string(j, ret, "source", sources[sender->source]);
	put(j, ret, "forwarded", json_boolean(sender->forwarded));
	return ret;
}

static json_t *signal_object(struct json *j, const struct death *death)
{
	json_t *ret = json_object();
	const struct signal_info *info = &death->info;
	const struct fault *fault = &j->findings->fault;
	bool known = info->signo == death->signo;

	put(j, ret, "number", json_integer(death->signo));
	put_signal(j, ret, "name", death->signo);
	put(j, ret, "code", known ? json_integer(info->code) : json_null());
	put_string(j, ret, "code_name", known ? signal_code_name(info->signo, info->code) : NULL);
	// With SI_KERNEL (0x80) the address is always 0 and means nothing; the one that the
	// instruction's operands make is in `fault`.
	bool addressed =
		known && signal_is_fault(info->signo) && info->code > 0 && info->code < 0x80;
	if (fault->present && fault->have_address)
		put(j, ret, "address", address(fault->address));
	else
		put(j, ret, "address", addressed ? address(info->addr) : json_null());
	put(j, ret, "sender", sender_object(j, &death->sender));
	return ret;
}

static json_t *earlier_list(struct json *j, const struct death *death)
{
	json_t *ret = json_array();

	for (size_t i = 0; i < death->earlier.n; i++) {
		const struct signal_event *event = &death->earlier.v[i];
		const struct signal_info *info = &event->info;
		json_t *object = json_object();

		put_signal(j, object, "name", info->signo);
		put_time(j, object, "at", event->at);
		put(j, object, "handled", json_boolean(event->disposition == SIGNAL_HANDLED));
		put(j, object, "sender", sender_object(j, &event->sender));
		put(j, object, "number", json_integer(info->signo));
		put(j, object, "code", json_integer(info->code));
		put_string(j, object, "code_name", signal_code_name(info->signo, info->code));
		put(j, object, "thread", event->tid > 0 ? json_integer(event->tid) : json_null());
		put(j, object, "count", json_integer((json_int_t)event->count));
		put_time_or_null(j, object, "last", event->last);
		append(j, ret, object);
	}
	if (death->earlier_dropped) {
		char *why = arena_printf(&j->arena, "%" PRIu64 " older ones were not kept",
					 death->earlier_dropped);
		char *what = arena_strdup(&j->arena, "earlier signals");
		j->failed |= !why || !what;
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

	put(j, ret, "kind", json_string(kinds[death->kind]));
	put(j, ret, "exit_code",
	    death->kind == DEATH_EXIT ? json_integer(death->exit_code) : json_null());
	put(j, ret, "signal", signal ? signal_object(j, death) : json_null());
	put(j, ret, "thread", death->tid > 0 ? json_integer(death->tid) : json_null());
	put(j, ret, "earlier_signals", earlier_list(j, death));
	put(j, ret, "core_dumped",
	    death->core_dumped < 0 ? json_null() : json_boolean(death->core_dumped));
	return ret;
}

static json_t *verdict_object(struct json *j, const struct verdict *verdict)
{
	json_t *ret = json_object(), *evidence = json_array(), *ruled_out = json_array();

	put_string(j, ret, "cause", cause_name(verdict->cause));
	put_string(j, ret, "summary", verdict->summary);
	put_string(j, ret, "confidence", confidence_name(verdict->confidence));
	for (size_t i = 0; i < verdict->evidence.n; i++) {
		json_t *object = json_object();
		put_string(j, object, "source", verdict->evidence.v[i].source);
		put_string(j, object, "text", verdict->evidence.v[i].text);
		put(j, object, "supports", json_boolean(verdict->evidence.v[i].supports));
		append(j, evidence, object);
	}
	put(j, ret, "evidence", evidence);
	for (size_t i = 0; i < verdict->ruled_out.n; i++) {
		json_t *object = json_object();
		put_string(j, object, "cause", cause_name(verdict->ruled_out.v[i].cause));
		put_string(j, object, "because", verdict->ruled_out.v[i].because);
		append(j, ruled_out, object);
	}
	put(j, ret, "ruled_out", ruled_out);
	put(j, ret, "advice", string_list(j, &verdict->advice));
	return ret;
}

static json_t *fault_object(struct json *j, const struct fault *fault)
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
	put_string(j, ret, "class", fault_class_name(fault->class));
	put_string(j, ret, "access", accesses[fault->access]);
	put(j, ret, "address", fault->have_address ? address(fault->address) : json_null());
	put_known(j, ret, "explanation", fault->explanation);
	put_string(j, ret, "operand", fault->operand);
	put_string(j, ret, "message", fault->message);
	put_known(j, ret, "message_source", fault->message_source);
	for (size_t i = 0; i < fault->disassembly.n; i++) {
		const struct instruction *in = &fault->disassembly.v[i];
		json_t *object = json_object();
		put(j, object, "address", address(in->at));
		put_known(j, object, "bytes", in->bytes);
		put_string(j, object, "text", in->text);
		put(j, object, "current", json_boolean(in->current));
		append(j, code, object);
	}
	put(j, ret, "disassembly", code);
	return ret;
}

static json_t *registers_object(struct json *j, const struct regs *regs)
{
	json_t *ret = json_object();

	for (unsigned i = 0; i < regs->arch->n_regs; i++)
		put(j, ret, regs->arch->reg_names[i], address(regs->r[i]));
	if (regs->arch->tls < 0)
		put(j, ret, "tls", address(regs->tls));
	return ret;
}

static json_t *thread_object(struct json *j, const struct thread_findings *findings)
{
	const struct thread *thread = findings->thread;
	json_t *ret = json_object();
	char what[48];

	snprintf(what, sizeof(what), "frames of thread %d", (int)thread->tid);
	put(j, ret, "tid", json_integer(thread->tid));
	put_string(j, ret, "name", thread->name ? thread->name : "");
	put_string(j, ret, "python_name", findings->python_name);
	if (*words_state(thread->state))
		put_string(j, ret, "state", words_state(thread->state));
	put(j, ret, "crashed", json_boolean(findings->crashed));
	put_string(j, ret, "syscall", findings->syscall);
	put_known(j, ret, "syscall_text", findings->syscall_text);
	if (thread->regs.arch)
		put(j, ret, "registers", registers_object(j, &thread->regs));
	if (findings->has_python) {
		put(j, ret, "holds_gil",
		    findings->gil_known ? json_boolean(findings->holds_gil) : json_null());
		put(j, ret, "waits_for_gil",
		    findings->wait_known ? json_boolean(findings->waits_for_gil) : json_null());
		put(j, ret, "interpreter", number(findings->interpreter));
		put(j, ret, "exception", exception(j, findings->handled, 0));
		put(j, ret, "raised", exception(j, findings->raised, 0));
	}
	put(j, ret, "stack", stack(j, &findings->merged, what));
	put(j, ret, "native", stack(j, &findings->native, what));
	put(j, ret, "python", stack(j, &findings->python, what));
	put_known(j, ret, "stack_ends", findings->merged.gap);
	return ret;
}

static json_t *task_list(struct json *j, const struct python_findings *python)
{
	json_t *ret = json_array();

	for (size_t i = 0; i < python->tasks.n; i++) {
		const struct task *task = &python->tasks.v[i];
		json_t *object = json_object();

		put_string(j, object, "name", task->name);
		put_known(j, object, "coroutine", task->coroutine);
		put(j, object, "state", json_string(task->running ? "running" : "pending"));
		put(j, object, "thread", task->thread ? json_integer(task->thread) : json_null());
		put(j, object, "awaited_by", string_list(j, &task->awaited_by));
		put(j, object, "stack", stack(j, &task->stack, "frames of an asyncio task"));
		append(j, ret, object);
	}
	return ret;
}

static json_t *python_object(struct json *j, const struct python_findings *python)
{
	if (!python->present)
		return json_null();
	json_t *ret = json_object(), *interpreters = json_array();
	put_string(j, ret, "version", python->version ? python->version : "");
	put(j, ret, "implementation", json_string("CPython"));
	put(j, ret, "free_threaded", json_boolean(python->free_threaded));
	put_known(j, ret, "library", python->library);
	put(j, ret, "layout", json_string(python->published_layout ? "published" : "table"));
	put(j, ret, "finalizing", json_boolean(python->finalizing));
	put(j, ret, "gil_holder",
	    python->gil_known && python->gil_holder > 0 ? json_integer(python->gil_holder)
							: json_null());
	put(j, ret, "gc_running", python->gc_known ? json_boolean(python->gc_running) : json_null());
	for (size_t i = 0; i < python->interpreters.n; i++) {
		json_t *object = json_object();
		put(j, object, "id", json_integer(python->interpreters.v[i]));
		append(j, interpreters, object);
	}
	put(j, ret, "interpreters", interpreters);
	put(j, ret, "tasks", task_list(j, python));
	put(j, ret, "exception", exception(j, python->exception, 0));
	put_known(j, ret, "fatal_error", python->fatal_error);
	put(j, ret, "fatal_stack", stack(j, &python->fatal_stack, "frames of faulthandler's dump"));
	put_known(j, ret, "logged_exception", python->logged_exception);
	put_known(j, ret, "watchdog", python->watchdog);
	return ret;
}

static json_t *module_list(struct json *j)
{
	static const char *const names[] = {
		[SYMBOLS_NONE] = "none",   [SYMBOLS_DYNSYM] = "dynsym", [SYMBOLS_SYMTAB] = "symtab",
		[SYMBOLS_DWARF] = "dwarf", [SYMBOLS_UNKNOWN] = NULL,
	};
	const struct snapshot *snapshot = j->findings->snapshot;
	json_t *ret = json_array();

	for (size_t i = 0; i < snapshot->modules.n; i++) {
		const struct module *module = &snapshot->modules.v[i];
		json_t *object = json_object();

		put_string(j, object, "path", module->path);
		put(j, object, "start", address(module->start));
		put(j, object, "end", address(module->end));
		put(j, object, "build_id", build_id(module));
		put(j, object, "deleted", json_boolean(module->deleted));
		if (j->findings->module_symbols)
			put_known(j, object, "symbols", names[j->findings->module_symbols[i]]);
		append(j, ret, object);
	}
	return ret;
}

static json_t *mapping_list(struct json *j, const struct snapshot *snapshot)
{
	json_t *ret = json_array();

	for (size_t i = 0; i < snapshot->mappings.n; i++) {
		const struct mapping *mapping = &snapshot->mappings.v[i];
		json_t *object = json_object();

		put(j, object, "start", address(mapping->start));
		put(j, object, "end", address(mapping->end));
		put_string(j, object, "permissions", mapping->permissions);
		if (mapping->name && *mapping->name)
			put_string(j, object, "name", mapping->name);
		append(j, ret, object);
	}
	return ret;
}

static json_t *trend_list(struct json *j)
{
	const struct findings *findings = j->findings;
	json_t *ret = json_array();

	for (size_t i = 0; i < findings->trends.n; i++) {
		const struct trend *trend = &findings->trends.v[i];
		json_t *object = json_object();

		put_string(j, object, "of", trend_what_name(trend->what));
		put_string(j, object, "shape", trend_shape_name(trend->shape));
		put(j, object, "seconds", json_real((double)trend->duration / 1e9));
		put(j, object, "per_minute", json_real(trend->rate));
		put(j, object, "from", json_real(trend->from));
		put(j, object, "to", json_real(trend->to));
		if (trend->shape == TREND_GREW_THEN_FLAT)
			put(j, object, "flat_seconds", json_real((double)trend->flat / 1e9));
		if (trend->shape == TREND_SAWTOOTH)
			put(j, object, "falls", json_integer(trend->times));
		if (trend->limit >= 0) {
			put(j, object, "limit", json_integer(trend->limit));
			put_string(j, object, "limit_name", trend->limit_name);
			put(j, object, "limit_reached", json_boolean(trend->reached));
		}
		if (trend->left >= 0)
			put(j, object, "seconds_to_limit", json_real((double)trend->left / 1e9));
		append(j, ret, object);
	}
	return ret;
}

static json_t *timeline_object(struct json *j)
{
	const struct snapshot *snapshot = j->findings->snapshot;

	if (!snapshot->timeline.samples.n)
		return json_null();
	json_t *ret = json_object(), *samples = json_array();
	double interval = snapshot->timeline.interval;
	// JSON has no infinity, and a dump may say anything.
	if (interval >= 0 && interval < 1e9)
		put(j, ret, "interval_seconds", json_real(interval));
	for (size_t i = 0; i < snapshot->timeline.samples.n; i++) {
		const struct sample *sample = &snapshot->timeline.samples.v[i];
		json_t *object = json_object();

		put_time(j, object, "at", sample->at);
		if (sample->rss >= 0)
			put(j, object, "rss_bytes", json_integer(sample->rss));
		if (sample->threads >= 0)
			put(j, object, "threads", json_integer(sample->threads));
		if (sample->fds >= 0)
			put(j, object, "fds", json_integer(sample->fds));
		if (sample->cpu_percent >= 0 && sample->cpu_percent < 1e9)
			put(j, object, "cpu_percent", json_real(sample->cpu_percent));
		if (sample->cgroup_memory >= 0)
			put(j, object, "cgroup_memory_bytes", json_integer(sample->cgroup_memory));
		if (sample->swap >= 0)
			put(j, object, "swap_bytes", json_integer(sample->swap));
		if (sample->minor_faults >= 0)
			put(j, object, "minor_faults", json_integer(sample->minor_faults));
		if (sample->major_faults >= 0)
			put(j, object, "major_faults", json_integer(sample->major_faults));
		if (sample->pss >= 0)
			put(j, object, "pss_bytes", json_integer(sample->pss));
		if (sample->children >= 0) {
			put(j, object, "children", json_integer(sample->children));
			put(j, object, "children_rss_bytes", number(sample->children_rss));
		}
		if (sample->voluntary_switches >= 0)
			put(j, object, "voluntary_switches", json_integer(sample->voluntary_switches));
		if (sample->involuntary_switches >= 0)
			put(j, object, "involuntary_switches",
			    json_integer(sample->involuntary_switches));
		if (sample->pressure_some >= 0 && sample->pressure_some <= 100)
			put(j, object, "pressure_some_percent", json_real(sample->pressure_some));
		if (sample->pressure_full >= 0 && sample->pressure_full <= 100)
			put(j, object, "pressure_full_percent", json_real(sample->pressure_full));
		if (sample->merged > 1) {
			put(j, object, "merged", json_integer(sample->merged));
			put(j, object, "rss_min_bytes", number(sample->rss_min));
			put(j, object, "rss_max_bytes", number(sample->rss_max));
		}
		append(j, samples, object);
	}
	put(j, ret, "samples", samples);
	char *trend = words_trends(&j->arena, j->findings);
	j->failed |= !trend;
	put_string(j, ret, "trend", trend && *trend ? trend : NULL);
	put(j, ret, "trends", trend_list(j));
	return ret;
}

static json_t *cut_list(struct json *j, const struct log *log)
{
	json_t *ret = json_array();

	for (size_t i = 0; i < log->cuts.n; i++)
		append(j, ret, json_pack("{s:I, s:I}", "before", (json_int_t)log->cuts.v[i].before,
					 "lines", (json_int_t)log->cuts.v[i].lines));
	return ret;
}

static json_t *kernel_log_list(struct json *j, const struct snapshot *snapshot)
{
	// What could not be looked at is not the same as what said nothing.
	if (!snapshot->kernel_log.followed)
		return json_null();
	json_t *ret = json_array();
	for (size_t i = 0; i < snapshot->kernel_log.lines.n; i++) {
		const struct kernel_line *line = &snapshot->kernel_log.lines.v[i];
		char *text = words_kernel_line(&j->arena, line);

		j->failed |= !text;
		append(j, ret, string(text));
	}
	return ret;
}

static json_t *log_list(struct json *j, const struct snapshot *snapshot)
{
	json_t *ret = json_array();

	for (size_t i = 0; i < snapshot->logs.n; i++) {
		const struct log *log = &snapshot->logs.v[i];
		json_t *object = json_object();

		put_string(j, object, "path", log->path);
		put(j, object, "fd", number(log->fd));
		put(j, object, "lines", string_list(j, &log->lines));
		put(j, object, "cuts", cut_list(j, log));
		put(j, object, "marks", logs_json_lines(j->findings, i, &j->arena));
		put_time_or_null(j, object, "modified", log->modified);
		append(j, ret, object);
	}
	return ret;
}

static json_t *signature_object(struct json *j)
{
	if (!*j->findings->signature)
		return json_null();
	json_t *ret = json_object();
	put_string(j, ret, "hash", j->findings->signature);
	put(j, ret, "frames", string_list(j, &j->findings->signature_frames));
	return ret;
}

static json_t *files_object(struct json *j, const struct render_files *files)
{
	json_t *ret = json_object();

	put_string(j, ret, "dump", files->dump);
	put_string(j, ret, "text", files->text);
	put_string(j, ret, "json", files->json);
	put_string(j, ret, "html", files->html);
	put(j, ret, "core", json_null());
	return ret;
}

static void fill_report(struct json *j, json_t *report, const struct render_files *files)
{
	const struct findings *findings = j->findings;
	const struct snapshot *snapshot = findings->snapshot;
	json_t *generator = json_object(), *threads = json_array();

	for (size_t i = 0; i < findings->gaps.n; i++)
		add_gap(j, &findings->gaps.v[i]);
	put(j, report, "schema", json_string("pcatch.report/1"));
	put(j, generator, "name", json_string("pcatch"));
	put_string(j, generator, "version", snapshot->generator ? snapshot->generator : "unknown");
	put(j, report, "generator", generator);
	put(j, report, "redacted", json_boolean(!snapshot->unredacted));
	put_string(j, report, "id", snapshot->id);
	put(j, report, "verdict", verdict_object(j, &findings->verdict));
	put(j, report, "time", time_object(j, snapshot));
	put(j, report, "host", host_object(j, &snapshot->host));
	put(j, report, "process", process_object(j, &snapshot->process));
	put(j, report, "death", death_object(j, &snapshot->death));
	put(j, report, "fault", fault_object(j, &findings->fault));
	put(j, report, "python", python_object(j, &findings->python));
	for (size_t i = 0; i < findings->threads.n; i++)
		append(j, threads, thread_object(j, &findings->threads.v[i]));
	put(j, report, "threads", threads);
	put(j, report, "signature", signature_object(j));
	put(j, report, "logs", log_list(j, snapshot));
	put(j, report, "hints", logs_json_hints(findings, &j->arena));
	put(j, report, "autopsy", aftermath_json(findings, &j->arena));
	put(j, report, "kernel_log", kernel_log_list(j, snapshot));
	put(j, report, "timeline", timeline_object(j));
	put(j, report, "modules", module_list(j));
	put(j, report, "mappings", mapping_list(j, snapshot));
	if (files)
		put(j, report, "files", files_object(j, files));
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
	j.failed |= json_object_set(report, "gaps", missing) != 0;
	if (j.failed ||
	    json_dump_callback(report, to_buf, ret, JSON_INDENT(1) | JSON_REAL_PRECISION(DIGITS)))
		return error_nomem();
	buf_addstr(ret, "\n");
	return buf_error(ret);
}
