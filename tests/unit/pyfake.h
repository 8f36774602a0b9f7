/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_TESTS_UNIT_PYFAKE_H
#define PCATCH_TESTS_UNIT_PYFAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "walk/pylayout.h"
#include "walk/python.h"

/*
 * An interpreter's memory made by hand for every layout, from the offsets of the layout itself:
 * two interpreters, the main one with a thread of three frames and one of one that has the GIL.
 * That the offsets are those of real interpreters is tests/walk's to prove.
 */
#define FAKE_BASE ((taddr)0x7f1200000000)
#define FAKE_ROOM ((size_t)8 << 20)
#define FAKE_POINTERS 256
#define FAKE_FIRST_LINE 10

struct fake {
	struct py_layout py;
	uint8_t *bytes;
	size_t used;
	bool spread; /* each object on pages of its own */
	struct mem_range range;
	struct mem_bytes mem;
	struct python_hint hint;
	/* Where pointers that the walk follows stand, and what they are. */
	struct {
		taddr at;
		const char *what;
	} pointers[FAKE_POINTERS];
	size_t n_pointers;
	taddr code_type, str_type, bytes_type, holder;
	taddr interpreters[2], threads[3], frames[3], lone_frame, codes[4], names[4];
};

#define FOR_LAYOUTS(py)                                                                            \
	for (unsigned _n, _i = 0; py_layout_rows(&_n), _i < _n; _i++)                              \
		for (const struct py_layout *py = &py_layout_rows(&_n)[_i]; py; py = NULL)

void fake_make(struct fake *f, const struct py_layout *py);
/* The same; SPREAD: each object on pages of its own. */
void fake_make_spread(struct fake *f, const struct py_layout *py, bool spread);
void fake_deinit(struct fake *f);

/* Memory of F that is used; its bytes at WHERE. */
taddr fake_room(struct fake *f, size_t size);
uint8_t *fake_at(struct fake *f, taddr where);
void fake_put64(struct fake *f, taddr where, uint64_t v);
void fake_put32(struct fake *f, taddr where, uint32_t v);
void fake_put8(struct fake *f, taddr where, uint8_t v);
uint64_t fake_get64(struct fake *f, taddr where);
/* A pointer that the walk follows, kept in `pointers`. */
void fake_point(struct fake *f, taddr where, taddr to, const char *what);

/* Objects: a type called NAME; a str of N characters of KIND bytes; code, and a frame in it. */
taddr fake_type(struct fake *f, const char *name);
taddr fake_bytes(struct fake *f, const void *data, size_t len);
taddr fake_str(struct fake *f, const void *data, size_t n, unsigned kind, bool ascii,
	       bool compact);
taddr fake_code(struct fake *f, taddr name);
taddr fake_frame(struct fake *f, taddr code, int offset, bool entry, taddr back);
/* FRAME is at OFFSET, in bytes, of CODE. */
void fake_set_offset(struct fake *f, taddr frame, taddr code, int offset);

#endif
