/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "analyse.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cleanup.h"
#include "../walk/native.h"
#include "../walk/python.h"
#include "aftermath.h"
#include "calls.h"
#include "demangle.h"
#include "disassembler.h"
#include "fault.h"
#include "hints.h"
#include "gil.h"
#include "lastwords.h"
#include "merge.h"
#include "names.h"
#include "scene.h"
#include "symbols.h"
#include "traceback.h"
#include "trend.h"
#include "verdict.h"

#define SIGNATURE_FRAMES 8

// The most that the thread pointer and pthread_self() lie apart, where a libc puts the one behind
// the other (aarch64: behind struct pthread, some 2 KiB). Threads' stacks are farther apart.
#define MAX_THREAD_DELTA 8192

struct analysis {
	struct findings *findings;
	const struct snapshot *snapshot;
	struct images images;
	struct names names;
	struct symbolizer *symbolizer;
	struct unwinder *unwinder;
	struct py_state py;
	bool have_python;
	unsigned python_version;
	struct fatal_frames fatal; // in the dying thread's stack
	// Stacks that end too early: how many, and the first one's thread and reason.
	size_t cut;
	const struct thread *cut_thread;
	const char *cut_why;
	// Threads whose two stacks could not be merged.
	size_t apart;
	const struct thread *apart_thread;
	const char *apart_why;
};

static struct error *copy_gaps(struct analysis *a, const gaps *from)
{
	for (size_t i = 0; i < from->n; i++) {
		struct error *err = gaps_add(&a->findings->arena, &a->findings->gaps,
					     from->v[i].what, from->v[i].remedy, "%s",
					     from->v[i].why);
		if (err)
			return err;
	}
	return NULL;
}

// The pc of frame I is one to come back to: what counts is the call before it. Not so for the
// innermost frame, for one that a signal interrupted, and for the kernel's way back from a handler.
static bool is_return_address(const struct native_stack *stack, size_t i)
{
	const struct native_frame *v = stack->frames.v;

	return i > 0 && !v[i].signal_frame && !v[i - 1].signal_frame;
}

static bool is_eval_loop(const struct analysis *a, const char *name)
{
	return a->have_python && name && merge_is_eval_loop(name, a->python_version);
}

static void fill_frames(const struct analysis *a, const struct native_frame *from,
			const struct symbol *symbol, struct frame *to)
{
	static const enum found_by found_by[] = {
		[FOUND_BY_CONTEXT] = FOUND_CONTEXT,
		[FOUND_BY_CFI] = FOUND_CFI,
		[FOUND_BY_FRAME_POINTER] = FOUND_FP,
		[FOUND_BY_SCAN] = FOUND_SCANNED,
	};

	for (size_t i = 0; i < symbol->levels.n; i++) {
		const struct symbol_level *level = &symbol->levels.v[i];
		bool outermost = i + 1 == symbol->levels.n;

		to[i] = (struct frame){
			.kind = FRAME_NATIVE,
			.function = level->function,
			.file = level->file,
			.line = level->line,
			.column = level->column,
			.pc = from->pc,
			.module = symbol->module,
			.module_offset = symbol->module ? from->pc - symbol->module->start : 0,
			.symbol_offset = outermost ? symbol->offset : -1,
			.inlined = level->inlined,
			.signal_frame = from->signal_frame,
			.found_by = found_by[from->found_by],
			.stack = from->cfa,
			.eval_loop = is_eval_loop(a, level->function) ||
				     (outermost && is_eval_loop(a, symbol->linker_name)),
		};
	}
}

static struct error *name_frames(struct analysis *a, const struct native_stack *from,
				 struct stack *to)
{
	size_t n = 0;
	struct error *err = NULL;

	// Looked up twice, the second time in the table of those known, so that a stack of many thousand
	// frames takes the room that it needs and no more.
	for (size_t i = 0; i < from->frames.n && !err; i++) {
		const struct symbol *symbol;

		err = symbolizer_lookup(a->symbolizer, from->frames.v[i].pc,
					is_return_address(from, i), &symbol);
		if (!err)
			n += symbol->levels.n;
	}
	if (err)
		return err;
	to->frames.v = arena_alloc(&a->findings->arena, (n ? n : 1) * sizeof(*to->frames.v));
	if (!to->frames.v)
		return error_nomem();
	for (size_t i = 0; i < from->frames.n && !err; i++) {
		const struct symbol *symbol;

		err = symbolizer_lookup(a->symbolizer, from->frames.v[i].pc,
					is_return_address(from, i), &symbol);
		if (err)
			break;
		fill_frames(a, &from->frames.v[i], symbol, &to->frames.v[to->frames.n]);
		to->frames.n += symbol->levels.n;
	}
	return err;
}

static struct error *note_cut(struct analysis *a, const struct thread *thread, const char *why,
			      struct stack *stack)
{
	stack->gap = arena_strdup(&a->findings->arena, why);
	if (!stack->gap)
		return error_nomem();
	if (!a->cut++) {
		a->cut_thread = thread;
		a->cut_why = stack->gap;
	}
	return NULL;
}

static bool is_named(const struct symbol *symbol, const char *name)
{
	const char *function = symbol->levels.v[symbol->levels.n - 1].function;

	return (function && !strcmp(function, name)) ||
	       (symbol->linker_name && !strcmp(symbol->linker_name, name));
}

// Where on the stack Py_FatalError() had what it was given: from its own frame down to abort()'s.
static struct error *find_fatal_frames(struct analysis *a, const struct native_stack *stack)
{
	static const char *const names[] = { "_Py_FatalErrorFunc", "Py_FatalError" };
	taddr from = 0;

	// Before 3.10 the pointer was no longer needed when it came to abort(), and what is on the
	// stack there is somebody else's.
	if (a->python_version < 0x030a0000)
		return NULL;
	for (size_t i = 0; i < stack->frames.n && i < 24 && !a->fatal.name; i++) {
		const struct native_frame *frame = &stack->frames.v[i];
		const struct symbol *symbol;

		struct error *err = symbolizer_lookup(a->symbolizer, frame->pc,
						      is_return_address(stack, i), &symbol);
		if (err)
			return err;
		if (is_named(symbol, "abort"))
			from = frame->cfa;
		for (size_t k = 0; k < ARRAY_SIZE(names) && from && frame->cfa > from; k++)
			if (is_named(symbol, names[k])) {
				a->fatal.from = from;
				a->fatal.to = frame->cfa;
				a->fatal.name = names[k];
			}
	}
	return NULL;
}

static struct error *native_stack(struct analysis *a, struct thread_findings *t)
{
	_cleanup_(native_stack_deinit) struct native_stack stack = {};

	if (!t->thread->regs.arch)
		return note_cut(a, t->thread, "its registers were not captured", &t->native);
	struct error *err = walk_native(a->unwinder, &t->thread->regs, &stack);
	if (!err)
		err = name_frames(a, &stack, &t->native);
	if (!err && t->crashed && a->have_python)
		err = find_fatal_frames(a, &stack);
	if (!err && !stack.complete)
		err = note_cut(a, t->thread, stack.gap ? stack.gap : "its root was not reached",
			       &t->native);
	return err;
}

static struct error *copy_locals(struct analysis *a, const py_locals *from, struct frame *to)
{
	struct arena *arena = &a->findings->arena;

	for (size_t i = 0; i < from->n; i++) {
		struct variable *variable = LIST_ADD(arena, &to->locals);

		if (!variable)
			return error_nomem();
		variable->name = names_add(&a->names, from->v[i].name);
		variable->value = arena_strdup(arena, from->v[i].value);
		if (!variable->name || !variable->value)
			return error_nomem();
	}
	return NULL;
}

static struct error *python_stack(struct analysis *a, const struct py_frame *frames, size_t n,
				  const char *gap, struct stack *to)
{
	to->frames.v = arena_alloc(&a->findings->arena, (n ? n : 1) * sizeof(*to->frames.v));
	if (!to->frames.v)
		return error_nomem();
	for (size_t i = 0; i < n; i++) {
		const struct py_frame *py = &frames[i];
		struct frame *frame = &to->frames.v[i];

		*frame = (struct frame){ .kind = FRAME_PYTHON,
					 .line = py->line,
					 .column = py->column,
					 .symbol_offset = -1,
					 .entry = py->entry,
					 .stack = py->on_c_stack };
		frame->function = py->function ? names_add(&a->names, py->function) : NULL;
		frame->file = py->file ? names_add(&a->names, py->file) : NULL;
		if ((py->function && !frame->function) || (py->file && !frame->file))
			return error_nomem();
		struct error *err = copy_locals(a, &py->locals, frame);
		if (err)
			return err;
	}
	to->frames.n = n;
	if (gap) {
		to->gap = arena_strdup(&a->findings->arena, gap);
		if (!to->gap)
			return error_nomem();
	}
	return NULL;
}

static struct error *copy_strings(struct arena *arena, const strings *from, strings *to)
{
	for (size_t i = 0; i < from->n; i++) {
		char **slot = LIST_ADD(arena, to);

		if (!slot)
			return error_nomem();
		*slot = arena_strdup(arena, from->v[i]);
		if (!*slot)
			return error_nomem();
	}
	return NULL;
}

// FROM and what it came of, of which SOURCE says where it was read.
static struct error *copy_exception(struct analysis *a, const struct py_exception *from,
				    const char *source, struct exception **to)
{
	struct arena *arena = &a->findings->arena;

	for (; from; from = from->cause) {
		struct exception *e = arena_alloc(arena, sizeof(*e));
		if (!e)
			return error_nomem();
		struct error *err = python_stack(a, from->traceback.v, from->traceback.n, from->gap,
						 &e->traceback);
		if (err)
			return err;
		e->recorded = true;
		e->type = arena_strdup(arena, from->type);
		e->message = from->message ? arena_strdup(arena, from->message) : NULL;
		e->source = source ? arena_strdup(arena, source) : NULL;
		if (!e->type || (source && !e->source) || (from->message && !e->message))
			return error_nomem();
		e->own_str = from->own_str;
		e->is_context = from->is_context;
		e->n_members = from->n_members;
		err = copy_strings(arena, &from->notes, &e->notes);
		for (size_t i = 0; !err && i < from->members.n; i++) {
			struct exception **member = LIST_ADD(arena, &e->members);

			err = member ? copy_exception(a, from->members.v[i], NULL, member)
				     : error_nomem();
		}
		if (err)
			return err;
		*to = e;
		to = &e->cause;
	}
	return NULL;
}

// The thread that PY's state belongs to. The thread pointer comes first: it is the same for all that
// look at it, where a tid is a number in the target's pid namespace, and one that a fork left
// wrong before 3.12. NULL when there is none.
static struct thread_findings *thread_of(struct analysis *a, taddr pthread, pid_t tid)
{
	struct findings *f = a->findings;
	struct thread_findings *near = NULL;
	size_t n_near = 0;

	for (size_t i = 0; i < f->threads.n; i++) {
		const struct regs *regs = &f->threads.v[i].thread->regs;

		if (!pthread || !regs->arch || !regs->tls)
			continue;
		if (regs->tls == pthread)
			return &f->threads.v[i];
		if (regs->tls > pthread && regs->tls - pthread < MAX_THREAD_DELTA) {
			near = &f->threads.v[i];
			n_near++;
		}
	}
	if (n_near == 1)
		return near;
	if (a->snapshot->process.ns_pids.n > 1)
		return NULL;
	for (size_t i = 0; i < f->threads.n; i++)
		if (tid && f->threads.v[i].thread->tid == tid)
			return &f->threads.v[i];
	return NULL;
}

static struct error *tell_untied(struct analysis *a, const struct py_thread *py)
{
	const struct py_frame *frame = py->frames.n ? &py->frames.v[0] : NULL;

	// A state without frames is one of a thread that is only just made or gone.
	if (!frame)
		return NULL;
	return gaps_add(&a->findings->arena, &a->findings->gaps, "a Python thread", NULL,
			"its state at 0x%" PRIx64 " names none of the threads that were captured; its "
			"%zu frames begin with %s (%s:%d)", py->tstate, py->frames.n,
			frame->function ? frame->function : "?", frame->file ? frame->file : "?",
			frame->line);
}

static struct error *tie_python(struct analysis *a)
{
	struct findings *f = a->findings;

	for (size_t i = 0; i < a->py.threads.n; i++) {
		const struct py_thread *py = &a->py.threads.v[i];
		struct thread_findings *t = thread_of(a, py->pthread, py->tid);
		struct error *err = NULL;

		if (!t) {
			err = tell_untied(a, py);
			if (err)
				return err;
			continue;
		}
		// A thread has a state in every interpreter that it has been in; one of them runs.
		struct stack before = t->python, both;
		bool ordered = false, better = !t->has_python || (py->holds_gil && !t->holds_gil) ||
					       (!before.frames.n && py->frames.n);
		struct stack own = {};
		err = python_stack(a, py->frames.v, py->frames.n, py->gap, &own);
		if (!err && before.frames.n && own.frames.n) {
			err = merge_interpreters(&f->arena, &before, &own, &both, &ordered);
			if (!err && !ordered)
				err = gaps_add(&f->arena, &f->gaps,
					       "Python frames of other interpreters", NULL,
					       "thread %d has frames in more than one interpreter and "
					       "only those of one are shown", t->thread->tid);
		}
		if (err)
			return err;
		if (ordered)
			t->python = both;
		else if (better)
			t->python = own;
		if (!t->handled)
			err = copy_exception(a, py->handled, NULL, &t->handled);
		if (!err && !t->raised)
			err = copy_exception(a, py->raised, NULL, &t->raised);
		if (err)
			return err;
		if (!better)
			continue;
		t->has_python = true;
		t->holds_gil = py->holds_gil;
		t->gil_known = a->py.have_gil;
		t->interpreter = py->interpreter;
		t->python_name = py->name ? names_add(&a->names, py->name) : NULL;
		if (py->name && !t->python_name)
			return error_nomem();
		if (py->holds_gil)
			f->python.gil_holder = t->thread->tid;
	}
	return NULL;
}

static struct error *copy_tasks(struct analysis *a)
{
	struct findings *f = a->findings;
	struct error *err = NULL;

	for (size_t i = 0; i < a->py.tasks.n && !err; i++) {
		const struct py_task *py = &a->py.tasks.v[i];
		struct task *task = LIST_ADD(&f->arena, &f->python.tasks);

		if (!task)
			return error_nomem();
		struct thread_findings *t = py->pthread ? thread_of(a, py->pthread, 0) : NULL;
		task->thread = t ? t->thread->tid : 0;
		task->running = py->running;
		// Up to 3.7 a task has no name.
		task->name = py->name ? arena_strdup(&f->arena, py->name)
				      : arena_printf(&f->arena, "0x%" PRIx64, py->at);
		task->coroutine = py->coroutine ? names_add(&a->names, py->coroutine) : NULL;
		if (!task->name || (py->coroutine && !task->coroutine))
			return error_nomem();
		for (size_t k = 0; k < py->awaited_by.n; k++) {
			char **name = LIST_ADD(&f->arena, &task->awaited_by);

			if (!name)
				return error_nomem();
			*name = names_add(&a->names, py->awaited_by.v[k]);
			if (!*name)
				return error_nomem();
		}
		err = python_stack(a, py->frames.v, py->frames.n, py->gap, &task->stack);
	}
	return err;
}

static struct error *version_text(struct arena *arena, unsigned version, char **ret)
{
	static const char levels[16] = { [0xa] = 'a', [0xb] = 'b', [0xc] = 'c' };
	unsigned major = version >> 24, minor = version >> 16 & 0xff, micro = version >> 8 & 0xff;
	char level = levels[version >> 4 & 0xf];

	// PY_VERSION_HEX; a final release has f0 at its end.
	if (!(version & 0xffff))
		*ret = arena_printf(arena, "%u.%u", major, minor);
	else if (level)
		*ret = arena_printf(arena, "%u.%u.%u%s%u", major, minor, micro,
				    level == 'c' ? "rc" : level == 'a' ? "a" : "b", version & 0xf);
	else
		*ret = arena_printf(arena, "%u.%u.%u", major, minor, micro);
	return *ret ? NULL : error_nomem();
}

/*
 * What sys has noted last is also left behind by a program that prints exceptions and goes on. One
 * that came all the way up to the program's outermost frame left nothing to go on with; that of a
 * script that does not compile has come up to nothing.
 */
static bool unwound_the_program(const struct py_exception *e)
{
	size_t n = e->traceback.n;
	const char *outermost = n ? e->traceback.v[n - 1].function : NULL;

	if (!n)
		return !strcmp(e->type, "SyntaxError") || !strcmp(e->type, "IndentationError") ||
		       !strcmp(e->type, "TabError");
	return !strcmp(outermost, "<module>") || !strcmp(outermost, "_run_module_as_main");
}

static bool ended_by_exception(const struct analysis *a)
{
	const struct death *death = &a->snapshot->death;

	if (!a->snapshot->time.finalization || !a->py.last || !unwound_the_program(a->py.last))
		return false;
	if (death->kind == DEATH_EXIT)
		return death->exit_code == 1;
	return death->kind == DEATH_SIGNAL && !strcmp(a->py.last->type, "KeyboardInterrupt");
}

static struct error *read_python(struct analysis *a)
{
	const struct python_hint *hint = &a->snapshot->python;
	struct python_findings *to = &a->findings->python;

	if (!hint->found)
		return NULL;
	a->python_version = hint->version;
	struct error *err = walk_python(&a->images.mem.mem, hint, false, 0, &a->py);
	// An interpreter that cannot be read is still one.
	bool failed = err != NULL;
	err = gaps_take(&a->findings->arena, &a->findings->gaps, "Python frames", NULL, err);
	if (!err && !failed)
		err = copy_gaps(a, &a->py.gaps);
	if (!err && !failed && a->py.version & 0xffff)
		a->python_version = a->py.version;
	if (!err)
		err = version_text(&a->findings->arena, a->python_version, &to->version);
	if (err)
		return err;
	a->have_python = true;
	to->present = true;
	to->library = hint->module;
	to->free_threaded = hint->free_threaded || a->py.free_threaded;
	to->published_layout = a->py.published_layout;
	to->published_asyncio = a->py.published_asyncio;
	to->finalizing = a->py.finalizing;
	to->gil_known = a->py.have_gil;
	to->gc_known = a->py.have_gc;
	to->gc_running = a->py.gc_running;
	for (int i = 0; i < a->py.n_interpreters && i < PY_MAX_INTERPRETERS; i++) {
		int64_t *id = LIST_ADD(&a->findings->arena, &to->interpreters);

		if (!id)
			return error_nomem();
		*id = a->py.interpreters[i];
	}
	if (!ended_by_exception(a))
		return NULL;
	return copy_exception(a, a->py.last, "the interpreter's own record (sys.last_value)",
			      &to->exception);
}

static struct error *merge_thread(struct analysis *a, struct thread_findings *t)
{
	enum merge how;
	char *why;
	struct error *err = merge_stacks(&a->findings->arena, &t->native, &t->python, &t->merged,
					 &how, &why);

	if (!err && how == MERGE_APART && !a->apart++) {
		a->apart_thread = t->thread;
		a->apart_why = why;
	}
	return err;
}

static struct error *tell_stacks(struct analysis *a)
{
	struct findings *f = a->findings;
	struct error *err = NULL;

	if (a->cut == 1)
		err = gaps_add(&f->arena, &f->gaps, "outer native frames", NULL, "thread %d (%s): %s",
			       a->cut_thread->tid, a->cut_thread->name, a->cut_why);
	else if (a->cut)
		err = gaps_add(&f->arena, &f->gaps, "outer native frames", NULL,
			       "of %zu threads, the first of them %d (%s): %s", a->cut,
			       a->cut_thread->tid, a->cut_thread->name, a->cut_why);
	if (!err && a->apart == 1)
		err = gaps_add(&f->arena, &f->gaps, "the place of Python frames among the native ones",
			       NULL, "thread %d (%s): %s", a->apart_thread->tid,
			       a->apart_thread->name, a->apart_why);
	else if (!err && a->apart)
		err = gaps_add(&f->arena, &f->gaps, "the place of Python frames among the native ones",
			       NULL, "of %zu threads, the first of them %d (%s): %s", a->apart,
			       a->apart_thread->tid, a->apart_thread->name, a->apart_why);
	return err;
}

static struct error *explain_fault(struct analysis *a)
{
	struct findings *f = a->findings;
	taddr pc = fault_pc(a->snapshot);
	const struct disassembler *disassembler;
	struct error *err = NULL;

	if (pc)
		err = gaps_take(&f->arena, &f->gaps, "the faulting instruction",
				"install the capstone library", disassembler_load(&disassembler));
	if (!err)
		err = fault_explain(a->snapshot, &a->images.mem.mem,
				    pc ? symbolizer_function_start(a->symbolizer, pc) : 0, &f->arena,
				    &f->fault);
	if (err || !f->fault.present || f->fault.class != FAULT_ABORT)
		return err;
	return last_words_from_memory(f, &a->images, &a->fatal);
}

static struct error *sign_frames(struct findings *f, const struct stack *stack, bool python_only)
{
	for (size_t i = 0; i < stack->frames.n && f->signature_frames.n < SIGNATURE_FRAMES; i++) {
		const struct frame *frame = &stack->frames.v[i];
		const char *name = frame->function;

		if (python_only && frame->kind != FRAME_PYTHON)
			continue;
		if (frame->kind == FRAME_NATIVE && !name)
			name = frame->module ? module_name(frame->module) : NULL;
		// What every abort() and raise() has on top, whoever called it.
		if (!name || (!f->signature_frames.n && frame->kind == FRAME_NATIVE &&
			      scene_is_plumbing(name)))
			continue;
		char **to = LIST_ADD(&f->arena, &f->signature_frames);
		if (!to)
			return error_nomem();
		*to = arena_strdup(&f->arena, name);
		if (!*to)
			return error_nomem();
	}
	return NULL;
}

// The same fault has the same signature wherever and whenever it happens: names only, no
// addresses, no lines.
static struct error *sign(struct findings *f)
{
	const struct thread_findings *t = f->dying;
	struct error *err = NULL;

	if (f->python.exception && f->snapshot->death.kind == DEATH_EXIT)
		err = sign_frames(f, &f->python.exception->traceback, true);
	else if (t && f->fault.present)
		err = sign_frames(f, &t->merged, false);
	else if (t && f->snapshot->death.kind != DEATH_SNAPSHOT)
		// Where nothing is wrong with the code, what the program was at tells more than
		// the system call it waited in.
		err = sign_frames(f, t->python.frames.n ? &t->python : &t->merged,
				  t->python.frames.n > 0);
	if (err || !f->signature_frames.n)
		return err;
	uint64_t hash = 0xcbf29ce484222325u;
	for (size_t i = 0; i < f->signature_frames.n; i++)
		// The terminating zero keeps "ab", "c" and "a", "bc" apart.
		for (const char *p = f->signature_frames.v[i];; p++) {
			hash = (hash ^ (uint8_t)*p) * 0x100000001b3u;
			if (!*p)
				break;
		}
	snprintf(f->signature, sizeof(f->signature), "%016" PRIx64, hash);
	return NULL;
}

static struct error *make_threads(struct analysis *a)
{
	struct findings *f = a->findings;
	size_t n = a->snapshot->threads.n;

	f->threads.v = arena_alloc(&f->arena, (n ? n : 1) * sizeof(*f->threads.v));
	if (!f->threads.v)
		return error_nomem();
	f->threads.n = n;
	for (size_t i = 0; i < n; i++) {
		struct thread_findings *t = &f->threads.v[i];

		t->thread = &a->snapshot->threads.v[i];
		t->interpreter = -1;
		// A process that lives on has no dying thread.
		t->crashed = a->snapshot->death.tid && t->thread->tid == a->snapshot->death.tid &&
			     a->snapshot->death.kind != DEATH_SNAPSHOT;
		if (t->crashed && !f->dying)
			f->dying = t;
	}
	return NULL;
}

static struct error *run(struct analysis *a)
{
	struct findings *f = a->findings;

	struct error *err = copy_gaps(a, &a->snapshot->gaps);
	if (!err)
		err = make_threads(a);
	if (!err)
		err = symbolizer_create(&a->images, &a->names, &a->symbolizer);
	if (!err)
		err = unwinder_create(&a->images, &a->unwinder);
	if (!err)
		err = read_python(a);
	if (!err && a->have_python)
		err = tie_python(a);
	if (!err && a->have_python)
		err = copy_tasks(a);
	for (size_t i = 0; i < f->threads.n && !err; i++) {
		struct thread_findings *t = &f->threads.v[i];

		err = native_stack(a, t);
		if (!err)
			err = merge_thread(a, t);
		if (t->has_python && t->gil_known && !f->python.free_threaded)
			t->wait_known = t->holds_gil || gil_wait(&t->native, f->python.library,
								 &t->waits_for_gil);
		if (!err)
			err = call_describe(t->thread, &a->images.mem.mem, &f->arena, &t->syscall,
					    &t->syscall_text);
	}
	if (!err)
		err = tell_stacks(a);
	if (!err)
		err = explain_fault(a);
	if (!err)
		err = symbolizer_gaps(a->symbolizer, &f->arena, &f->gaps);
	if (!err && demangle_lacks_cxx())
		err = gaps_add(&f->arena, &f->gaps, "names of C++", "install libstdc++",
			       "they are shown as the linker knows them");
	if (!err)
		err = symbolizer_wanted(a->symbolizer, &f->arena, &f->wanted);
	if (err)
		return err;
	size_t n = a->snapshot->modules.n;
	f->module_symbols = arena_alloc(&f->arena, (n ? n : 1) * sizeof(*f->module_symbols));
	if (!f->module_symbols)
		return error_nomem();
	for (size_t i = 0; i < n; i++)
		f->module_symbols[i] = symbolizer_kind(a->symbolizer, i);
	err = hints_find(f);
	if (!err)
		err = python_from_logs(f);
	if (err)
		return err;
	aftermath_find(f);
	err = last_words_from_logs(f);
	if (!err)
		err = sign(f);
	if (!err)
		err = trends_find(f);
	return err ? err : verdict_judge(f);
}

struct error *analyse(const struct snapshot *snapshot, struct findings *ret)
{
	_cleanup_(findings_deinit) struct findings findings = { .snapshot = snapshot };
	struct analysis a = { .findings = &findings, .snapshot = snapshot };

	struct error *err = images_init(&a.images, snapshot);
	if (err)
		return err;
	names_init(&a.names, &findings.arena);
	err = run(&a);
	py_state_deinit(&a.py);
	unwinder_destroy(a.unwinder);
	symbolizer_destroy(a.symbolizer);
	names_deinit(&a.names);
	images_deinit(&a.images);
	if (err)
		return err;
	*ret = TAKE(findings);
	return NULL;
}

struct error *analyse_plain(const struct snapshot *snapshot, const char *why, struct findings *ret)
{
	_cleanup_(findings_deinit) struct findings findings = { .snapshot = snapshot };
	struct analysis a = { .findings = &findings, .snapshot = snapshot };
	size_t n = snapshot->modules.n;
	struct error *err = copy_gaps(&a, &snapshot->gaps);

	if (!err)
		err = make_threads(&a);
	if (!err)
		err = gaps_add(&findings.arena, &findings.gaps,
			       "stacks, symbols and whatever else is computed from memory",
			       "the dump has it all: try pcatch show, with a newer pcatch or on "
			       "another machine", "the analysis was stopped: %s", why);
	if (err)
		return err;
	findings.module_symbols = arena_alloc(&findings.arena,
					      (n ? n : 1) * sizeof(*findings.module_symbols));
	if (!findings.module_symbols)
		return error_nomem();
	for (size_t i = 0; i < n; i++)
		findings.module_symbols[i] = SYMBOLS_UNKNOWN;
	err = verdict_judge(&findings);
	if (err)
		return err;
	*ret = TAKE(findings);
	return NULL;
}
