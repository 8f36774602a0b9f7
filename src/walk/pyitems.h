/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_WALK_PYITEMS_H
#define PCATCH_WALK_PYITEMS_H

#include "pyobject.h"

/*
 * What a tuple, list, set, frozenset or dict holds, one item after the other in the order in
 * which Python would show them. However large the container says it is, an iteration ends:
 * each slot that is looked at costs of the reader's budget.
 */
struct py_items {
	struct py_reader *reader;
	bool is_dict;
	uint64_t n; /* how many there are, as the container says */

	/* How far it has come. */
	taddr slots;	/* NULL slots of sets and dicts hold nothing */
	taddr values;	/* 0: each stands beside its key */
	uint64_t slot, n_slots, shown;
	uint32_t size, key, value, hash; /* of a slot, PY_NONE for what it has not */
};

/* ERROR_INPUT when the object at AT, of TYPE, is no container or makes no sense. */
struct error *py_items_begin(struct py_reader *reader, taddr at, const struct py_type *type,
			     struct py_items *ret) __attribute__((warn_unused_result));

/* The next item and, of a dict, its VALUE; *KEY_RET is 0 at the end. */
struct error *py_items_next(struct py_items *items, taddr *key_ret, taddr *value_ret)
	__attribute__((warn_unused_result));

/* Is the object at AT a text (2.7: byte string) that says NAME? What cannot be read is not. */
bool py_text_is(struct py_reader *reader, taddr at, const char *name);

/* What the dict at DICT has under the text NAME, 0 for nothing. */
struct error *py_items_find(struct py_reader *reader, taddr dict, const char *name, taddr *ret)
	__attribute__((warn_unused_result));

/*
 * The attribute NAME that the object at AT, of TYPE, has in its own dict or in the values that
 * stand for one; 0 when it has none. Attributes of its class are not looked for.
 */
struct error *py_attribute(struct py_reader *reader, taddr at, const struct py_type *type,
			   const char *name, taddr *ret) __attribute__((warn_unused_result));

#endif
