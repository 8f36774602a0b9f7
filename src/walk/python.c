/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "python.h"

#include <endian.h>
#include <limits.h>
#include <string.h>
#include <time.h>

#include "../cleanup.h"
#include "pylayout.h"
#include "pylines.h"
#include "pyobject.h"
#include "pywalk.h"
#include "seen.h"

// A line table of a module of 100 000 lines has about this size.
#define PY_MAX_TABLE ((size_t)1 << 20)

// All threads together: what a dump of anybody's making may cost.
#define PY_MAX_ALL_FRAMES ((size_t)1 << 20)
#define PY_MAX_LINES_WORK ((size_t)256 << 20)
#define PY_MAX_CODE_BYTES ((size_t)64 << 20)

// A clock is read once in so many frames.
#define DEADLINE_FRAMES 16

// Gaps that do not cut a stack short are told so many times.
#define MAX_SIDE_GAPS 8

void py_state_deinit(struct py_state *state)
{
	arena_deinit(&state->arena);
	*state = (struct py_state){};
}

// What frames need of a code object. Strings are in the state's arena.
struct code {
	char *bad; /* why it cannot be one; NULL: it is */
	char *function, *file;
	int first_line;
	taddr instructions;
	int64_t units; /* how many instructions, in units of two bytes; -1: not needed */
	int64_t traceable; /* units before the first that may be traced; -1: not needed */
	struct buf table;
};

// How far the walk of a thread's stack has come.
struct cursor {
	taddr at;      /* the next frame, or ... */
	bool indirect; /* ... where in the thread's own structure the first one is told */
	uint32_t thread;
	size_t n; /* frames so far */
};

struct walk {
	const struct mem *mem;
	const struct py_layout *py;
	struct py_reader reader;
	taddr runtime;
	bool capture;	/* touch only */
	int64_t deadline;
	bool out_of_time;
	size_t max_threads, max_frames;
	struct py_state *state;
	struct seen interpreters, threads, frames, code_index;
	struct code *codes;
	size_t n_codes, codes_room, lines_work;
	struct cursor *cursors;
	size_t n_cursors, cursors_room;
	unsigned side_gaps, until_clock;
	int good_frames; /* whose code was read */
	bool broken;	 /* something did not make sense */
};

static void walk_deinit(struct walk *w)
{
	seen_deinit(&w->interpreters);
	seen_deinit(&w->threads);
	seen_deinit(&w->frames);
	seen_deinit(&w->code_index);
	for (size_t i = 0; i < w->n_codes; i++)
		buf_deinit(&w->codes[i].table);
	free(w->codes);
	free(w->cursors);
}

static bool time_is_up(struct walk *w)
{
	struct timespec now;

	if (!w->deadline || w->out_of_time)
		return w->out_of_time;
	if (w->until_clock--)
		return false;
	w->until_clock = DEADLINE_FRAMES;
	clock_gettime(CLOCK_MONOTONIC, &now);
	w->out_of_time = now.tv_sec * INT64_C(1000000000) + now.tv_nsec >= w->deadline;
	return w->out_of_time;
}

// ERR, which is consumed, becomes *GAP (of which the first stays); lack of memory is passed up.
static struct error *gap_from(struct walk *w, struct error *err, char **gap)
{
	if (!err || err->kind == ERROR_NOMEM)
		return err;
	_cleanup_(error_freep) struct error *why = err;
	w->broken |= err->kind != ERROR_UNSUPPORTED;
	if (w->capture || *gap)
		return NULL;
	*gap = arena_strdup(&w->state->arena, why->text);
	return *gap ? NULL : error_nomem();
}

// The same for what is missing beside the stacks. ERR is consumed.
static struct error *side_gap(struct walk *w, const char *what, struct error *err)
{
	if (!err || err->kind == ERROR_NOMEM)
		return err;
	w->broken |= err->kind != ERROR_UNSUPPORTED;
	if (w->capture || w->side_gaps++ >= MAX_SIDE_GAPS) {
		error_free(err);
		return NULL;
	}
	return gaps_take(&w->state->arena, &w->state->gaps, what, NULL, err);
}

// A bound of ours was met, which says nothing against the target.
#define limit(...) error_new(ERROR_UNSUPPORTED, __VA_ARGS__)

static uint64_t field(const uint8_t *base, uint32_t offset)
{
	uint64_t v;

	memcpy(&v, base + offset, sizeof(v));
	return le64toh(v);
}

static int32_t field_int(const uint8_t *base, uint32_t offset)
{
	uint32_t v;

	memcpy(&v, base + offset, sizeof(v));
	return (int32_t)le32toh(v);
}

// Bytes to read of a structure so that all these members are in it, each at most 8 bytes.
static size_t span(const uint32_t *offsets, size_t n)
{
	size_t end = 0;

	for (size_t i = 0; i < n; i++)
		if (offsets[i] != PY_NONE && offsets[i] + (size_t)8 > end)
			end = offsets[i] + (size_t)8;
	return end;
}

#define SPAN(...) span((const uint32_t[]){ __VA_ARGS__ }, sizeof((uint32_t[]){ __VA_ARGS__ }) / 4)

// Offsets of ours and published ones within small structures are at most 4096.
#define STRUCT_MAX (4096 + 8)

static char *copy_text(struct walk *w, const struct buf *text, bool had)
{
	if (!had)
		return arena_strdup(&w->state->arena, "?");
	return arena_strndup(&w->state->arena, (const char *)text->data, text->len);
}

static struct error *read_name(struct walk *w, taddr at, const char *what, char **ret)
{
	_cleanup_(buf_deinit) struct buf text = {};
	struct error *err = py_read_str(&w->reader, at, PY_MAX_STRING, &text);
	bool had = !err;

	err = side_gap(w, what, err);
	if (err || w->capture)
		return err;
	*ret = copy_text(w, &text, had);
	return *ret ? NULL : error_nomem();
}

// What is not a code object at all is an error; what is missing of one is a gap beside the stack.
static struct error *read_code(struct walk *w, taddr at, struct code *code)
{
	const union py_offsets *o = &w->py->offsets;
	uint8_t raw[STRUCT_MAX];

	struct error *err = py_check_code(&w->reader, at);
	if (!err)
		err = mem_read(w->mem, at, raw,
			       SPAN(o->object_size, o->code_name, o->code_qualname, o->code_file,
				    o->code_firstline, o->code_lines, o->code_traceable));
	if (err)
		return err;
	code->first_line = field_int(raw, o->code_firstline);
	code->units = code->traceable = -1;
	if (o->code_instructions != PY_NONE) {
		code->instructions = at + o->code_instructions;
		code->units = (int64_t)field(raw, o->object_size);
		code->traceable = field_int(raw, o->code_traceable);
		if (code->units < 0 || code->units > INT32_MAX)
			return error_new(ERROR_INPUT, "a code object of 0x%llx instructions",
					 (unsigned long long)code->units);
	}
	taddr name = field(raw, o->code_qualname == PY_NONE ? o->code_name : o->code_qualname);
	err = read_name(w, name, "name of a Python function", &code->function);
	if (!err)
		err = read_name(w, field(raw, o->code_file), "file name of a Python function",
				&code->file);
	if (!err)
		err = side_gap(w, "line table of a Python function",
			       py_read_bytes(&w->reader, field(raw, o->code_lines), PY_MAX_TABLE,
					     &code->table));
	return err;
}

// The code object at AT, read when it is met first.
static struct error *get_code(struct walk *w, taddr at, const struct code **ret)
{
	const uint32_t *known = seen_find(&w->code_index, at);

	if (known) {
		*ret = &w->codes[*known];
		return NULL;
	}
	if (w->n_codes == w->codes_room) {
		size_t room = w->codes_room ? w->codes_room * 2 : 64;
		struct code *codes = realloc(w->codes, room * sizeof(*codes));

		if (!codes)
			return error_nomem();
		w->codes = codes;
		w->codes_room = room;
	}
	struct code *code = &w->codes[w->n_codes];
	*code = (struct code){};
	struct error *err = seen_add(&w->code_index, at, (uint32_t)w->n_codes);
	if (err)
		return err;
	w->n_codes++;
	err = read_code(w, at, code);
	if (err && err->kind != ERROR_NOMEM) {
		code->bad = arena_strdup(&w->state->arena, err->text);
		error_free(err);
		err = code->bad ? NULL : error_nomem();
	}
	if (!err)
		*ret = code;
	return err;
}

// A frame as it was read, whatever the version.
struct raw_frame {
	taddr at, back, code;
	bool shim, entry, generator;
	uint64_t position;
	int line; /* that is truer than the position, 0: there is none */
};

// Bytes of a frame that are read.
static size_t frame_span(const struct py_layout *py)
{
	const union py_offsets *o = &py->offsets;

	return SPAN(o->frame_back, o->frame_code, o->frame_position, o->frame_owner, o->frame_entry,
		    o->frame_trace, o->frame_lineno);
}

static struct error *read_frame(struct walk *w, taddr at, struct raw_frame *ret)
{
	const struct py_layout *py = w->py;
	const union py_offsets *o = &py->offsets;
	uint8_t raw[STRUCT_MAX];

	if (at % 8)
		return error_new(ERROR_INPUT, "a frame at 0x%llx, which is not aligned",
				 (unsigned long long)at);
	struct error *err = mem_read(w->mem, at, raw, frame_span(py));
	if (err)
		return err;
	struct raw_frame frame = {
		.at = at,
		.back = field(raw, o->frame_back),
		.code = field(raw, o->frame_code) & ~(uint64_t)py->reference_tags,
		.entry = py->entry == PY_ENTRY_EVERY,
	};
	if (o->frame_owner != PY_NONE) {
		uint8_t owner = raw[o->frame_owner];

		if (owner > py->owner_max)
			return error_new(ERROR_INPUT, "the frame at 0x%llx is owned by nobody (%u)",
					 (unsigned long long)at, owner);
		frame.generator = owner == py->owner_generator;
		frame.shim = py->entry == PY_ENTRY_SHIM && owner >= py->owner_shim;
	}
	if (py->entry == PY_ENTRY_FLAG) {
		uint8_t flag = raw[o->frame_entry];

		if (flag > 1)
			return error_new(ERROR_INPUT, "the frame at 0x%llx is no frame",
					 (unsigned long long)at);
		frame.entry = flag;
	}
	if (py->position == PY_POSITION_POINTER)
		frame.position = field(raw, o->frame_position);
	else
		frame.position = (uint64_t)(int64_t)field_int(raw, o->frame_position);
	if ((py->traced == PY_TRACED_IF_TRACED && field(raw, o->frame_trace)) ||
	    py->traced == PY_TRACED_IF_SET)
		frame.line = field_int(raw, o->frame_lineno);
	*ret = frame;
	return NULL;
}

// Where FRAME is in CODE, in bytes; false when its position is not in it.
static bool frame_offset(const struct py_layout *py, const struct raw_frame *frame,
			 const struct code *code, int64_t *ret)
{
	int64_t offset = (int64_t)frame->position;

	switch (py->position) {
	case PY_POSITION_BYTES:
		break;
	case PY_POSITION_UNITS:
		offset = offset < 0 ? -1 : offset * 2;
		break;
	case PY_POSITION_POINTER:
		// A frame that has not begun is one unit before the first instruction.
		offset = (int64_t)(frame->position - code->instructions);
		if (offset < -2 || offset >= code->units * 2)
			return false;
		break;
	}
	if (offset < -2)
		return false;
	*ret = offset;
	return true;
}

static struct error *push_frame(struct walk *w, const struct raw_frame *raw,
				const struct code *code, struct py_thread *thread)
{
	int64_t offset;
	struct py_place place = {};
	struct error *err = NULL;

	if (raw->line > 0) {
		place.line = raw->line;
	} else if (!frame_offset(w->py, raw, code, &offset)) {
		err = side_gap(w, "line of a Python frame",
			       error_new(ERROR_INPUT, "the frame at 0x%llx is at no instruction of its code",
					 (unsigned long long)raw->at));
	} else if (w->lines_work + code->table.len > PY_MAX_LINES_WORK) {
		err = side_gap(w, "line of a Python frame",
			       limit("too many frames with long line tables"));
	} else {
		w->lines_work += code->table.len;
		place = py_lines_place(w->py->lines, code->table.data, code->table.len,
				       code->first_line, offset);
	}
	struct py_frame *frame = err ? NULL : LIST_ADD(&w->state->arena, &thread->frames);
	if (!frame)
		return err ? err : error_nomem();
	*frame = (struct py_frame){ .function = code->function,
				    .file = code->file,
				    .line = place.line,
				    .column = place.column,
				    .entry = raw->entry,
				    .address = raw->at };
	return NULL;
}

// One frame; *RET is the next one outwards. What does not hold is an error that ends the chain.
static struct error *walk_frame(struct walk *w, taddr at, struct py_thread *thread, taddr *ret)
{
	const struct code *code = NULL;
	struct raw_frame frame = {};

	struct error *err = read_frame(w, at, &frame);
	if (err)
		return err;
	if (frame.shim) {
		// C entered the eval loop here: the frame just inside of it is the first of that.
		if (thread->frames.n)
			thread->frames.v[thread->frames.n - 1].entry = true;
		*ret = frame.back;
		return NULL;
	}
	err = get_code(w, frame.code, &code);
	if (err)
		return err;
	if (code->bad)
		return error_new(ERROR_INPUT, "the frame at 0x%llx: %s", (unsigned long long)at,
				 code->bad);
	w->good_frames++;
	// Code without an instruction that may be traced is glue of the interpreter (3.12's
	// __init__ cleanup): CPython itself never shows it.
	bool glue = code->traceable >= 0 && code->traceable >= code->units && !frame.generator;
	if (!w->capture && !glue)
		err = push_frame(w, &frame, code, thread);
	if (!err)
		*ret = frame.back;
	return err;
}

// Follow a stack as far as it stays on a page; CURSOR->at is 0 at its end.
static struct error *walk_page(struct walk *w, struct cursor *cursor, struct py_thread *thread)
{
	taddr page = cursor->at / TARGET_PAGE;
	struct error *err = NULL;

	if (cursor->indirect) {
		cursor->indirect = false;
		err = error_prefix(mem_u64(w->mem, cursor->at, &cursor->at),
				   "the thread's innermost frame");
	} else {
		do {
			taddr frame = cursor->at;

			if (cursor->n == w->max_frames)
				err = limit("cut at %zu Python frames", cursor->n);
			else if (w->frames.n == PY_MAX_ALL_FRAMES)
				err = limit("cut: %zu Python frames in all threads", w->frames.n);
			else if (time_is_up(w))
				err = limit("cut: the time for it was up");
			else if (seen_find(&w->frames, frame))
				// Each call has its own, so this is a loop or another thread's stack.
				err = error_new(ERROR_INPUT, "the frame at 0x%llx was met before",
						(unsigned long long)frame);
			else
				err = seen_add(&w->frames, frame, 0);
			if (!err)
				err = walk_frame(w, frame, thread, &cursor->at);
			cursor->n++;
		} while (!err && cursor->at && cursor->at / TARGET_PAGE == page);
	}
	if (err)
		cursor->at = 0;
	return gap_from(w, err, &thread->gap);
}

// The pages that the next frames of all stacks are on, which are had faster together.
static struct error *prefetch_frames(struct walk *w)
{
	if (!w->mem->prefetch || w->n_cursors < 2)
		return NULL;
	_cleanup_(freep) taddr *pages = malloc(w->n_cursors * 2 * sizeof(*pages));
	size_t n = 0;

	if (!pages)
		return error_nomem();
	for (size_t i = 0; i < w->n_cursors; i++) {
		const struct cursor *c = &w->cursors[i];
		taddr last = c->at + (c->indirect ? 8 : frame_span(w->py)) - 1;

		pages[n++] = c->at & ~(TARGET_PAGE - 1);
		if (last > c->at && (last & ~(TARGET_PAGE - 1)) != pages[n - 1])
			pages[n++] = last & ~(TARGET_PAGE - 1);
	}
	w->mem->prefetch(w->mem, pages, n);
	return NULL;
}

/*
 * All stacks side by side, a page at a time. While a process is held this saves most of the
 * system calls, and when the time is up each thread has its innermost frames.
 */
static struct error *walk_stacks(struct walk *w)
{
	struct error *err = NULL;

	while (w->n_cursors && !err) {
		size_t left = 0;

		err = prefetch_frames(w);
		for (size_t i = 0; i < w->n_cursors && !err; i++) {
			struct cursor *c = &w->cursors[i];
			struct py_thread none = {};

			err = walk_page(w, c, w->capture ? &none : &w->state->threads.v[c->thread]);
			if (c->at)
				w->cursors[left++] = *c;
		}
		w->n_cursors = left;
	}
	return err;
}

// Note where the stack of thread INDEX begins, if it has one.
static struct error *add_cursor(struct walk *w, taddr frame, uint32_t index)
{
	uint32_t cframe = w->py->offsets.cframe_frame;

	if (!frame)
		return NULL;
	if (w->n_cursors == w->cursors_room) {
		size_t n = w->cursors_room ? w->cursors_room * 2 : 64;
		struct cursor *cursors = realloc(w->cursors, n * sizeof(*cursors));

		if (!cursors)
			return error_nomem();
		w->cursors = cursors;
		w->cursors_room = n;
	}
	w->cursors[w->n_cursors++] = (struct cursor){
		.at = frame + (cframe == PY_NONE ? 0 : cframe),
		.indirect = cframe != PY_NONE,
		.thread = index,
	};
	return NULL;
}

static pid_t native_id(const struct py_layout *py, const uint8_t *tstate)
{
	if (py->offsets.tstate_native_id == PY_NONE)
		return 0;
	uint64_t id = field(tstate, py->offsets.tstate_native_id);
	return id <= INT32_MAX ? (pid_t)id : 0;
}

// One thread; *RET is the next one of the interpreter.
static struct error *walk_thread(struct walk *w, taddr at, taddr interpreter, int64_t id,
				 taddr *ret)
{
	const union py_offsets *o = &w->py->offsets;
	uint8_t raw[STRUCT_MAX];

	struct error *err = mem_read(w->mem, at, raw,
				     SPAN(o->tstate_next, o->tstate_interp, o->tstate_frame,
					  o->tstate_thread_id, o->tstate_native_id));
	if (err)
		return err;
	if (field(raw, o->tstate_interp) != interpreter)
		return error_new(ERROR_INPUT, "the thread state at 0x%llx is not of this interpreter",
				 (unsigned long long)at);
	uint32_t index = (uint32_t)w->threads.n;
	err = seen_add(&w->threads, at, index);
	if (err)
		return err;
	if (!w->capture) {
		struct py_thread *thread = LIST_ADD(&w->state->arena, &w->state->threads);

		if (!thread)
			return error_nomem();
		*thread = (struct py_thread){ .tstate = at,
					      .tid = native_id(w->py, raw),
					      .pthread = field(raw, o->tstate_thread_id),
					      .interpreter = id };
	}
	err = add_cursor(w, field(raw, o->tstate_frame), index);
	if (!err)
		*ret = field(raw, o->tstate_next);
	return err;
}

static struct error *walk_threads(struct walk *w, taddr interpreter, int64_t id)
{
	taddr at;
	struct error *err = mem_u64(w->mem, interpreter + w->py->offsets.interp_threads, &at);

	while (!err && at) {
		if (w->threads.n == w->max_threads) {
			err = limit("cut at %zu threads", w->threads.n);
		} else if (time_is_up(w)) {
			err = limit("cut after %zu: the time for it was up",
					w->threads.n);
		} else if (seen_find(&w->threads, at)) {
			err = error_new(ERROR_INPUT, "the thread state at 0x%llx was met before",
					(unsigned long long)at);
		} else {
			err = walk_thread(w, at, interpreter, id, &at);
		}
	}
	return side_gap(w, "Python threads", err);
}

// Whether somebody holds the GIL at AT, and who. ERROR_INPUT when that cannot be.
static struct error *read_gil(struct walk *w, taddr gil)
{
	const union py_offsets *o = &w->py->offsets;
	uint32_t locked, enabled = 1;
	taddr holder;

	struct error *err = mem_u64(w->mem, gil + o->gil_holder, &holder);
	if (!err)
		err = mem_u32(w->mem, gil + o->gil_locked, &locked);
	if (!err && o->gil_enabled != PY_NONE)
		err = mem_u32(w->mem, gil + o->gil_enabled, &enabled);
	if (err || w->capture || !enabled)
		return err;
	if (locked == 0) {
		w->state->have_gil = true;
		return NULL;
	}
	// -1 is a lock that was never made, anything but 1 no lock at all.
	const uint32_t *index = locked == 1 ? seen_find(&w->threads, holder) : NULL;
	if (!index)
		return error_new(ERROR_INPUT, "its state is %d, its holder no thread that is known",
				 (int32_t)locked);
	w->state->threads.v[*index].holds_gil = true;
	w->state->have_gil = true;
	return NULL;
}

static struct error *walk_gil(struct walk *w, taddr interpreter)
{
	const union py_offsets *o = &w->py->offsets;
	taddr gil;

	switch (w->py->gil) {
	case PY_GIL_UNKNOWN:
		return NULL;
	case PY_GIL_RUNTIME:
		return read_gil(w, w->runtime + o->runtime_gil);
	case PY_GIL_INTERPRETER:
		break;
	}
	struct error *err = mem_u64(w->mem, interpreter + o->interp_gil, &gil);
	// An interpreter that is being made or taken down has none.
	return err || !gil ? err : read_gil(w, gil);
}

static struct error *walk_interpreter(struct walk *w, taddr at, taddr *ret)
{
	const union py_offsets *o = &w->py->offsets;
	uint64_t id = 0;
	taddr next;

	struct error *err = mem_u64(w->mem, at + o->interp_next, &next);
	if (!err && o->interp_id != PY_NONE)
		err = mem_u64(w->mem, at + o->interp_id, &id);
	if (err)
		return err;
	if (id > INT64_MAX)
		return error_new(ERROR_INPUT, "the interpreter at 0x%llx has number %lld",
				 (unsigned long long)at, (long long)id);
	err = seen_add(&w->interpreters, at, 0);
	if (err)
		return err;
	w->state->interpreters[w->state->n_interpreters++] = (int64_t)id;
	err = walk_threads(w, at, (int64_t)id);
	if (!err)
		*ret = next;
	return err;
}

static struct error *walk_interpreters(struct walk *w)
{
	const union py_offsets *o = &w->py->offsets;
	uint32_t head = o->runtime_head == PY_NONE ? 0 : o->runtime_head;
	taddr list[PY_MAX_INTERPRETERS];
	int n = 0;
	taddr at;

	struct error *err = mem_u64(w->mem, w->runtime + head, &at);
	while (!err && at) {
		if (n == PY_MAX_INTERPRETERS) {
			err = limit("cut at %d interpreters", n);
		} else if (seen_find(&w->interpreters, at)) {
			err = error_new(ERROR_INPUT, "the interpreter at 0x%llx was met before",
					(unsigned long long)at);
		} else {
			list[n] = at;
			err = walk_interpreter(w, at, &at);
			if (!err)
				n++;
		}
	}
	if (!err && o->runtime_main != PY_NONE) {
		taddr main_one;

		// The main interpreter goes last, and takes itself off the list and this away together.
		err = mem_u64(w->mem, w->runtime + o->runtime_main, &main_one);
		if (!err && main_one && !seen_find(&w->interpreters, main_one))
			err = error_new(ERROR_INPUT, "the main one is not among them");
	}
	err = side_gap(w, "Python interpreters", err);
	if (!err)
		err = walk_stacks(w);
	// The holder is checked against all threads, so the GIL comes last.
	for (int i = 0; !err && i < n; i++) {
		err = side_gap(w, "holder of the GIL", walk_gil(w, list[i]));
		if (w->py->gil == PY_GIL_RUNTIME)
			break;
	}
	return err;
}

static struct error *walk_runtime(struct walk *w)
{
	const union py_offsets *o = &w->py->offsets;
	taddr finalizing = 0;
	struct error *err = NULL;

	w->reader = (struct py_reader){ .mem = w->mem, .layout = w->py, .touch_only = w->capture,
					.budget = PY_MAX_CODE_BYTES };
	if (o->runtime_finalizing != PY_NONE)
		err = side_gap(w, "whether Python is finalizing",
			       mem_u64(w->mem, w->runtime + o->runtime_finalizing, &finalizing));
	w->state->finalizing = finalizing != 0;
	return err ? err : walk_interpreters(w);
}

struct error *walk_python(const struct mem *mem, const struct python_hint *hint, bool for_capture,
			  int64_t deadline, struct py_state *ret)
{
	_cleanup_(py_state_deinit) struct py_state state = {};
	_cleanup_(walk_deinit) struct walk w = { .mem = mem,
						 .runtime = hint->runtime,
						 .capture = for_capture,
						 .deadline = deadline,
						 .max_threads = PY_MAX_THREADS,
						 .max_frames = PY_MAX_FRAMES,
						 .state = &state };

	const struct py_layout *row = py_layout_row(hint->version);
	if (!row)
		return error_new(ERROR_UNSUPPORTED, "Python %u.%u is not a version that is known here",
				 PY_MAJOR(hint->version), PY_MINOR(hint->version));
	struct py_layout py = *row;
	w.py = &py;
	struct error *err = side_gap(&w, "Python's published offsets",
				     py_layout_read_published(mem, hint->runtime, &py));
	if (!err)
		err = walk_runtime(&w);
	if (err)
		return err;
	state.version = hint->version;
	state.free_threaded = py.free_threaded || hint->free_threaded;
	state.published_layout = py.from_target;
	if (for_capture)
		*ret = (struct py_state){};
	else
		*ret = TAKE(state);
	return NULL;
}

struct error *py_probe(const struct mem *mem, taddr runtime, const struct py_layout *layout,
		       struct py_probe *ret)
{
	_cleanup_(py_state_deinit) struct py_state state = {};
	_cleanup_(walk_deinit) struct walk w = { .mem = mem,
						 .py = layout,
						 .runtime = runtime,
						 .capture = true,
						 .max_threads = 64,
						 .max_frames = 4,
						 .state = &state };
	struct error *err = walk_runtime(&w);

	if (err)
		return err;
	*ret = (struct py_probe){ .interpreters = state.n_interpreters,
				  .threads = (int)w.threads.n,
				  .frames = w.good_frames,
				  .broken = w.broken };
	return NULL;
}
