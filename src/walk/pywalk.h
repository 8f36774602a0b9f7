/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_WALK_PYWALK_H
#define PCATCH_WALK_PYWALK_H

#include "image.h"
#include "pylayout.h"

/* What a short walk made of a place that may be an interpreter's state. */
struct py_probe {
	int interpreters, threads, frames; /* that were read and made sense, a handful at most */
	bool broken;			   /* something did not */
};

/*
 * Walk a little from RUNTIME as if it were that of an interpreter with LAYOUT, which must
 * already be the published one where there is one. The only error is lack of memory.
 */
struct error *py_probe(const struct mem *mem, taddr runtime, const struct py_layout *layout,
		       struct py_probe *ret) __attribute__((warn_unused_result));

/*
 * python_find() without what modules say by symbols and sections: the writable memory of those
 * that look like a CPython core is searched.
 */
struct error *py_find_by_search(struct images *images, const struct mem *mem, struct arena *arena,
				struct python_hint *ret, char **why_ret)
	__attribute__((warn_unused_result));

#endif
