/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_WALK_PYTYPE_H
#define PCATCH_WALK_PYTYPE_H

#include "pylayout.h"

struct py_reader; /* walk/pyobject.h */

#define PY_TYPE_NAME 64

/* The built-in type that an object is of, or whose subclass it is an instance of. */
enum py_kind {
	PY_OTHER,
	PY_NONE_TYPE, PY_ELLIPSIS, PY_NOT_IMPLEMENTED,
	PY_BOOL,
	PY_SHORT, /* 2.7's int */
	PY_LONG,  /* int, and 2.7's long */
	PY_FLOAT, PY_COMPLEX,
	PY_STR,	  /* text: 2.7's unicode */
	PY_BYTES, /* 2.7's str */
	PY_BYTEARRAY,
	PY_TUPLE, PY_LIST, PY_DICT, PY_SET, PY_FROZENSET,
	PY_TYPE, PY_MODULE, PY_FUNCTION, PY_BUILTIN, PY_METHOD,
	PY_CELL, PY_WEAKREF,
	PY_CODE, PY_GENERATOR, PY_COROUTINE, PY_ASYNC_GENERATOR,
};

/* What is known of a type. */
struct py_type {
	taddr at;
	char name[PY_TYPE_NAME]; /* tp_name, clean; cut where it is longer */
	uint64_t flags;
	int64_t basicsize, dictoffset;
	enum py_kind kind;
	bool exact; /* it is the built-in type itself */
};

/* tp_flags, the same in every version that has them. */
#define PY_TYPE_INLINE_VALUES ((uint64_t)1 << 2)
#define PY_TYPE_MANAGED_DICT  ((uint64_t)1 << 4)
#define PY_TYPE_HEAP	      ((uint64_t)1 << 9)
#define PY_TYPE_EXCEPTION     ((uint64_t)1 << 30) /* of an instance of BaseException */

/* The type of the object at AT. What can be no object is ERROR_INPUT. */
struct error *py_type_of(struct py_reader *reader, taddr at, struct py_type *ret)
	__attribute__((warn_unused_result));

/* Is the type called NAME, with or without its module before it ("_asyncio.Task")? */
bool py_type_is(const struct py_type *type, const char *name);

#endif
