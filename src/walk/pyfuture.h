/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_WALK_PYFUTURE_H
#define PCATCH_WALK_PYFUTURE_H

#include "pyobject.h"

#define PY_MAX_COMPLETED 32

/* A future of asyncio, which every task is: one of the C module, or one written in Python. */
struct py_future {
	taddr at;
	struct py_type type;
	bool native; /* of the C module */
};

/* The object at AT, which is said to be one. */
struct error *py_future_of(struct py_reader *reader, taddr at, struct py_future *ret)
	__attribute__((warn_unused_result));

/*
 * A member: of a native one what stands at OFFSET, of one in Python its ATTRIBUTE. 0: it has none.
 */
struct error *py_future_member(struct py_reader *reader, const struct py_future *future,
			       uint32_t offset, const char *attribute, taddr *ret)
	__attribute__((warn_unused_result));

/*
 * The futures that are completed when FUTURE is, or when it and others are: wait(),
 * gather(), shield() and wait_for() and the task groups of asyncio and of anyio hang a function of
 * theirs on what they wait for, which has the future that stands for all of it; on that the next
 * may hang. What hangs on a future without being one of these says nothing. After an error RET has
 * what was found before it. RET, which is all zero at first, may come from another future: those
 * of one gather() have the same callback, which then is not followed again.
 */
struct py_completed {
	taddr only; /* the one callback that led to them; 0: there are others */
	taddr v[PY_MAX_COMPLETED];
	size_t n;
};

struct error *py_future_completes(struct py_reader *reader, const struct py_future *future,
				  struct py_completed *ret) __attribute__((warn_unused_result));

#endif
