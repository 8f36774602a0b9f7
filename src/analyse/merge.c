/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "merge.h"

#include <stdlib.h>
#include <string.h>

#include "../cleanup.h"

// What stands between the eval loop of a caller and that of a Python function that it calls:
// CPython's way from the one to the other, which says nothing about the program. Names of 2.7 to
// 3.15. Whatever is not listed stays.
static const char *const machinery[] = {
	"PyCFunction_Call", "PyEval_CallObjectWithKeywords", "PyEval_EvalCodeEx",
	"PyEval_EvalFrame", "PyEval_EvalFrameEx", "PyFunction_Vectorcall", "PyInstance_Call",
	"PyMethod_Call", "PyObject_Call", "PyObject_CallFunction", "PyObject_CallFunctionObjArgs",
	"PyObject_CallMethod", "PyObject_CallMethodObjArgs", "PyObject_CallNoArgs",
	"PyObject_CallObject", "PyObject_CallOneArg", "PyObject_Vectorcall", "PyObject_VectorcallDict",
	"PyObject_VectorcallMethod", "PyVectorcall_Call", "_PyCFunction_FastCallDict",
	"_PyCFunction_FastCallKeywords", "_PyEval_EvalCode", "_PyEval_EvalCodeWithName",
	"_PyEval_EvalFrame", "_PyEval_Vector", "_PyFunction_FastCall", "_PyFunction_FastCallDict",
	"_PyFunction_FastCallKeywords", "_PyFunction_Vectorcall", "_PyFunction_VectorcallNoArgs",
	"_PyMethodDef_RawFastCallDict", "_PyMethodDef_RawFastCallKeywords",
	"_PyMethodDescr_FastCallKeywords", "_PyMethodDescr_Vectorcall", "_PyObject_Call",
	"_PyObject_CallFunctionVa", "_PyObject_CallMethod", "_PyObject_CallMethodId",
	"_PyObject_CallMethodIdObjArgs", "_PyObject_CallNoArg", "_PyObject_CallNoArgs",
	"_PyObject_CallNoArgsTstate", "_PyObject_Call_Prepend", "_PyObject_FastCall",
	"_PyObject_FastCallDict", "_PyObject_FastCallDictTstate", "_PyObject_FastCallKeywords",
	"_PyObject_FastCallTstate", "_PyObject_MakeTpCall", "_PyObject_Vectorcall",
	"_PyObject_VectorcallDictTstate", "_PyObject_VectorcallPrepend",
	"_PyObject_VectorcallTstate", "_PyStack_AsDict", "_PyVectorcall_Call",
	"cfunction_call", "cfunction_call_varargs", "cfunction_vectorcall_FASTCALL",
	"cfunction_vectorcall_FASTCALL_KEYWORDS", "cfunction_vectorcall_FASTCALL_KEYWORDS_METHOD",
	"cfunction_vectorcall_NOARGS", "cfunction_vectorcall_O", "call_function",
	"cfunction_enter_call", "classmethoddescr_call", "clear_thread_frame", "do_call",
	"do_call_core", "ext_do_call", "fast_function", "function_call", "function_code_fastcall",
	"instancemethod_call", "method_call", "method_vectorcall", "method_vectorcall_FASTCALL",
	"method_vectorcall_FASTCALL_KEYWORDS", "method_vectorcall_NOARGS", "method_vectorcall_O",
	"method_vectorcall_VARARGS", "method_vectorcall_VARARGS_KEYWORDS", "methoddescr_call",
	"object_vacall", "trace_call_function", "vectorcall_method", "vectorcall_unbound",
	"vectorcall_maybe", "callmethod", "_PyObject_CallFunctionVa", "call_function_tail",
};

// NAME up to the first dot: "f" of "f.cold", "f.part.0.lto_priv.3".
static size_t stem(const char *name)
{
	return strcspn(name, ".");
}

static bool stem_is(const char *name, const char *want)
{
	size_t len = stem(name);

	return strlen(want) == len && !memcmp(name, want, len);
}

bool merge_is_eval_loop(const char *name, unsigned version)
{
	// PEP 523 (3.6) moved the loop into a function of its own and left the old name to a wrapper.
	return stem_is(name, version && version < 0x03060000 ? "PyEval_EvalFrameEx"
							      : "_PyEval_EvalFrameDefault");
}

static bool is_machinery(const struct frame *frame)
{
	if (!frame->function)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(machinery); i++)
		if (stem_is(frame->function, machinery[i]))
			return true;
	return false;
}

// The tail-calling interpreter of 3.14 is cut into a function per instruction, of which one runs.
static bool is_instruction(const struct frame *frame)
{
	return frame->function && !strncmp(frame->function, "_TAIL_CALL_", 11);
}

// A native frame with everything that was inlined into it: [start, end) of native->frames.
struct activation {
	size_t start, end;
};

typedef LIST(struct activation) activations;

static struct error *add_activation(struct arena *arena, const struct stack *native, size_t start,
				    size_t end, activations *ret)
{
	struct activation *a = LIST_ADD(arena, ret);

	if (!a)
		return error_nomem();
	while (start && (is_instruction(&native->frames.v[start - 1]) ||
			 native->frames.v[start - 1].inlined) &&
	       !native->frames.v[start - 1].signal_frame)
		start--;
	*a = (struct activation){ .start = start, .end = end };
	return NULL;
}

// The eval loops that NATIVE names.
static struct error *find_activations(struct arena *arena, const struct stack *native,
				      activations *ret)
{
	for (size_t i = 0; i < native->frames.n;) {
		size_t end = i;
		bool eval = false;

		// The frames inlined into a function stand before it.
		while (end < native->frames.n && native->frames.v[end].inlined)
			eval |= native->frames.v[end++].eval_loop;
		if (end < native->frames.n)
			eval |= native->frames.v[end++].eval_loop;
		if (eval) {
			struct error *err = add_activation(arena, native, i, end, ret);

			if (err)
				return err;
		}
		i = end;
	}
	return NULL;
}

// No frame of an eval loop is larger, whoever compiled it.
#define MAX_LOOP_FRAME ((taddr)64 << 10)

// The native frame from START outwards on whose part of the stack AT is, or the number of frames.
static size_t frame_around(const struct stack *native, size_t start, taddr at)
{
	size_t best = native->frames.n;

	for (size_t i = start; i < native->frames.n; i++) {
		const struct frame *f = &native->frames.v[i], *inside = i ? f - 1 : NULL;

		if (f->inlined || f->found_by == FOUND_SCANNED || f->stack <= at ||
		    f->stack - at > MAX_LOOP_FRAME)
			continue;
		while (inside > native->frames.v && inside->inlined)
			inside--;
		if (inside && !inside->signal_frame) {
			if (inside->stack <= at)
				return i;
			continue;
		}
		// How far in this one reaches is not known: where a handler has a stack of its own, the
		// one that it interrupted may be nearer.
		if (best == native->frames.n || f->stack < native->frames.v[best].stack)
			best = i;
	}
	return best;
}

/*
 * The eval loops on whose parts of the stack PYTHON's entries say they are. This needs no symbols
 * and leaves out loops that have not yet begun, or that another interpreter's frames run in. Where
 * the native stack ends early, so does the list. False when entries do not say it, or wrongly.
 */
static struct error *place_activations(struct arena *arena, const struct stack *native,
				       const struct stack *python, const activations *named,
				       activations *ret, bool *ok_ret)
{
	activations loops = {};
	bool open = false, short_of = false;
	size_t at = 0;

	*ok_ret = false;
	for (size_t i = 0; i < python->frames.n && !short_of; i++) {
		const struct frame *entry = &python->frames.v[i];

		open = !entry->entry;
		if (open)
			continue;
		size_t found = entry->stack ? frame_around(native, at, entry->stack) : native->frames.n;
		if (found == native->frames.n) {
			if (!entry->stack || !native->gap)
				return NULL;
			short_of = true;
			continue;
		}
		struct error *err = add_activation(arena, native, found, found + 1, &loops);
		if (err)
			return err;
		at = found + 1;
	}
	if (!loops.n)
		return NULL;
	// The loop of frames that were cut off before their entry came is the next one.
	for (size_t i = 0; i < named->n && open && python->gap; i++) {
		if (named->v[i].start < at)
			continue;
		struct activation *a = LIST_ADD(arena, &loops);
		if (!a)
			return error_nomem();
		*a = named->v[i];
		open = false;
	}
	*ok_ret = !open;
	*ret = loops;
	return NULL;
}

// How many times the eval loop was entered for PYTHON's frames. OPEN: the outermost frames belong to an
// entry that is not in the list.
static size_t count_entries(const struct stack *python, bool *open)
{
	size_t n = 0;

	for (size_t i = 0; i < python->frames.n; i++)
		n += python->frames.v[i].entry;
	*open = python->frames.n && !python->frames.v[python->frames.n - 1].entry;
	return n;
}

static bool by_cfi(const struct stack *native)
{
	for (size_t i = 0; i < native->frames.n; i++)
		if (native->frames.v[i].found_by == FOUND_FP ||
		    native->frames.v[i].found_by == FOUND_SCANNED)
			return false;
	return true;
}

struct merged {
	struct frame *v;
	size_t n;
};

static void put(struct merged *to, const struct frame *from, size_t n)
{
	if (n)
		memcpy(to->v + to->n, from, n * sizeof(*from));
	to->n += n;
}

// Native frames between two eval loops, without the machinery of the interpreter they belong to.
static void put_between(struct merged *to, const struct stack *native, size_t start, size_t end,
			const struct module *interpreter)
{
	for (size_t i = start; i < end; i++) {
		const struct frame *frame = &native->frames.v[i];

		if (frame->module != interpreter || !is_machinery(frame))
			put(to, frame, 1);
	}
}

// The frame that was interrupted, by a fault or by a signal's handler: the eval loop's own code was
// running there, and that is what its reader wants to see.
static bool is_interrupted(const struct stack *native, const struct activation *a)
{
	return a->start == 0 || native->frames.v[a->start - 1].signal_frame;
}

static struct error *merge_matched(struct arena *arena, const struct stack *native,
				   const struct stack *python, const activations *loops,
				   struct stack *ret)
{
	struct merged out = { .v = arena_alloc(arena, (native->frames.n + python->frames.n + 1) *
							      sizeof(struct frame)) };
	size_t done = 0, p = 0;

	if (!out.v)
		return error_nomem();
	for (size_t i = 0; i < loops->n && p < python->frames.n; i++) {
		const struct activation *a = &loops->v[i];

		if (i)
			put_between(&out, native, done, a->start,
				    native->frames.v[a->end - 1].module);
		else
			put(&out, native->frames.v, a->start);
		if (is_interrupted(native, a))
			put(&out, native->frames.v + a->start, a->end - a->start);
		bool entry = false;
		while (p < python->frames.n && !entry) {
			entry = python->frames.v[p].entry;
			put(&out, &python->frames.v[p++], 1);
		}
		done = a->end;
	}
	put(&out, native->frames.v + done, native->frames.n - done);
	// Native frames can be missing at the outer end; the Python frames out there are still true.
	put(&out, python->frames.v + p, python->frames.n - p);
	ret->frames.v = out.v;
	ret->frames.n = out.n;
	ret->gap = native->gap ? native->gap : python->gap;
	return NULL;
}

// Where the eval loop was entered for the frame I of PYTHON; NULL when its place on the C stack is
// not known.
static const struct frame *next_entry(const struct stack *python, size_t i)
{
	while (i < python->frames.n && !python->frames.v[i].entry)
		i++;
	return i < python->frames.n && python->frames.v[i].stack ? &python->frames.v[i] : NULL;
}

struct error *merge_interpreters(struct arena *arena, const struct stack *one,
				 const struct stack *other, struct stack *ret, bool *ok_ret)
{
	const struct stack *from[] = { one, other };
	size_t at[] = { 0, 0 };
	struct merged out = { .v = arena_alloc(arena, (one->frames.n + other->frames.n + 1) *
							      sizeof(struct frame)) };

	if (!out.v)
		return error_nomem();
	*ok_ret = false;
	while (at[0] < one->frames.n || at[1] < other->frames.n) {
		const struct frame *inner = NULL;
		int which = 0;

		for (int i = 0; i < 2; i++) {
			if (at[i] == from[i]->frames.n)
				continue;
			const struct frame *entry = next_entry(from[i], at[i]);
			if (!entry)
				return NULL;
			if (!inner || entry->stack < inner->stack) {
				inner = entry;
				which = i;
			}
		}
		size_t end = (size_t)(inner - from[which]->frames.v) + 1;
		put(&out, from[which]->frames.v + at[which], end - at[which]);
		at[which] = end;
	}
	ret->frames.v = out.v;
	ret->frames.n = out.n;
	ret->gap = one->gap ? one->gap : other->gap;
	*ok_ret = true;
	return NULL;
}

// The eval loop has made its frame the thread's before it has come this far.
#define MAX_PROLOGUE 512

// Does the innermost loop only just begin? It is the one that is running, near its start. Only
// there can a loop be without a frame: any other is calling something on behalf of its own.
static bool is_entering(const struct stack *native, const struct activation *a)
{
	const struct frame *loop = &native->frames.v[a->end - 1];

	return a->start == 0 && loop->symbol_offset >= 0 && loop->symbol_offset < MAX_PROLOGUE;
}

struct error *merge_stacks(struct arena *arena, const struct stack *native,
			   const struct stack *python, struct stack *ret, enum merge *how_ret,
			   char **why_ret)
{
	activations loops = {}, placed = {};
	bool open, ok;

	*why_ret = NULL;
	// A stack of one kind is its own merge.
	if (!native->frames.n || !python->frames.n) {
		*ret = python->frames.n ? *python : *native;
		*how_ret = MERGE_NONE;
		return NULL;
	}
	struct error *err = find_activations(arena, native, &loops);
	if (!err)
		err = place_activations(arena, native, python, &loops, &placed, &ok);
	if (err)
		return err;
	if (ok) {
		*how_ret = MERGE_DONE;
		return merge_matched(arena, native, python, &placed, ret);
	}
	size_t entries = count_entries(python, &open);
	// Innermost ends always meet. At the outer end either walk may have been cut short, which it says;
	// a chain that was guessed counts for nothing.
	bool native_short = native->gap && by_cfi(native);
	bool python_short = python->gap != NULL;
	bool match = loops.n == entries + open && !(open && !python_short);
	if (!match && native_short && loops.n < entries + open)
		match = true;
	if (!match && python_short && loops.n > entries)
		match = true;
	if (!match && loops.n == entries + 1 && !open && !native->gap && !python->gap &&
	    is_entering(native, &loops.v[0])) {
		// Where the C stack runs out on entry, up to 3.9.
		loops.v++;
		loops.n--;
		match = true;
	}
	if (match) {
		*how_ret = MERGE_DONE;
		return merge_matched(arena, native, python, &loops, ret);
	}
	*why_ret = arena_printf(arena, "its native stack runs the eval loop %zu times, its Python "
				"frames say %zu", loops.n, entries + open);
	if (!*why_ret)
		return error_nomem();
	*ret = *native;
	*how_ret = MERGE_APART;
	return NULL;
}
