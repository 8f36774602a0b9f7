/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_WALK_PYFRAME_H
#define PCATCH_WALK_PYFRAME_H

#include "pyobject.h"
#include "python.h"
#include "seen.h"

/* What frames need of a code object. The strings are in the arena. */
struct py_code {
	char *bad; /* why it cannot be one; NULL: it is */
	char *function, *file;
	int first_line;
	taddr instructions;
	int64_t units; /* how many instructions, in units of two bytes; -1: not needed */
	int64_t traceable; /* units before the first that may be traced; -1: not needed */
	struct buf table;
};

/*
 * Frames and the code that they run, each code object read once however many frames run it. What
 * is missing of one is noted in `gaps` and tells nothing against the frame. The reader, arena and
 * gaps are set by whoever has it. All zero may be deinitialised.
 */
struct py_frames {
	struct py_reader reader;
	struct arena *arena;
	gaps *gaps;
	bool hide;   /* what smells of a secret is not shown */
	bool broken; /* something did not make sense */

	struct seen index;
	struct py_code *codes;
	size_t n, room, lines_work;
	size_t traced; /* frames of tracebacks that were read */
	unsigned depth, members; /* of exception groups */
	unsigned n_gaps;
};

void py_frames_deinit(struct py_frames *f);

/*
 * ERR, which is consumed, becomes a gap of the first few: WHAT is missing. Lack of memory is
 * handed back. With `touch_only` nothing is noted but that something is `broken`.
 */
struct error *py_frames_gap(struct py_frames *f, const char *what, struct error *err)
	__attribute__((warn_unused_result));

/* A bound of ours was met, which says nothing against the target. */
#define py_limit(...) error_new(ERROR_UNSUPPORTED, __VA_ARGS__)

/* The code object at AT, good until the next call; what can be none has `bad` set. */
struct error *py_frames_code(struct py_frames *f, taddr at, const struct py_code **ret)
	__attribute__((warn_unused_result));

/* A frame as it was read, whatever the version. */
struct py_raw_frame {
	taddr at, back, code;
	bool shim, entry, generator;
	uint64_t position;
	taddr instructions; /* what `position` points into; 0: the code object's own */
	int line; /* that is truer than the position, 0: there is none */
};

/* How many bytes of a frame are read. */
size_t py_frame_span(const struct py_layout *py);

struct error *py_frames_read(struct py_frames *f, taddr at, struct py_raw_frame *ret)
	__attribute__((warn_unused_result));

/* RAW, which runs CODE, as it is shown. A line that cannot be told is a gap, and 0. */
struct error *py_frames_show(struct py_frames *f, const struct py_raw_frame *raw,
			     const struct py_code *code, struct py_frame *ret)
	__attribute__((warn_unused_result));

#endif
