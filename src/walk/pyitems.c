/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pyitems.h"

#include <string.h>

#include "../cleanup.h"

// No container has more slots than this; a number beyond it is not one.
#define MAX_SLOTS ((uint64_t)1 << 40)

// dk_kind: slots of these keys have a hash; others hold texts, which have their own.
#define KEYS_GENERAL 0

// Names that are looked for are no longer than this.
#define MAX_NAME 64

static struct error *no_sense(const char *what, taddr at, uint64_t size)
{
	return error_new(ERROR_INPUT, "the %s at 0x%llx has size 0x%llx", what,
			 (unsigned long long)at, (unsigned long long)size);
}

static struct error *begin_sequence(struct py_items *items, taddr at, enum py_kind kind)
{
	const union py_offsets *o = &items->reader->layout->offsets;

	items->size = 8;
	items->key = 0;
	items->slots = at + o->tuple_items;
	struct error *err = mem_u64(items->reader->mem, at + o->object_size, &items->n);
	if (!err && kind == PY_LIST)
		err = mem_u64(items->reader->mem, at + o->list_items, &items->slots);
	items->n_slots = items->n;
	return err;
}

static struct error *begin_set(struct py_items *items, taddr at)
{
	const union py_offsets *o = &items->reader->layout->offsets;
	const struct mem *mem = items->reader->mem;
	uint64_t mask;

	items->size = o->setentry_size;
	items->key = o->setentry_key;
	// The hash stands on the other side of the key: a deleted slot has -1, which no hash is.
	items->hash = o->setentry_key ? 0 : 8;
	struct error *err = mem_u64(mem, at + o->set_used, &items->n);
	if (!err)
		err = mem_u64(mem, at + o->set_mask, &mask);
	if (!err)
		err = mem_u64(mem, at + o->set_table, &items->slots);
	if (err)
		return err;
	if (mask >= MAX_SLOTS)
		return no_sense("set", at, mask);
	items->n_slots = mask + 1;
	return NULL;
}

// Up to 2.7 a dict is one hash table.
static struct error *begin_table(struct py_items *items, taddr at)
{
	const union py_offsets *o = &items->reader->layout->offsets;
	const struct mem *mem = items->reader->mem;
	uint64_t mask;

	struct error *err = mem_u64(mem, at + o->dict_used, &items->n);
	if (!err)
		err = mem_u64(mem, at + o->dict_mask, &mask);
	if (!err)
		err = mem_u64(mem, at + o->dict_table, &items->slots);
	if (err)
		return err;
	if (mask >= MAX_SLOTS)
		return no_sense("dict", at, mask);
	items->n_slots = mask + 1;
	items->size = o->entry_size;
	items->key = o->entry_key;
	items->value = o->entry_value;
	return NULL;
}

// How many bytes the hash table takes that stands before the entries.
static struct error *index_bytes(const struct py_items *items, taddr keys, uint64_t *ret)
{
	const union py_offsets *o = &items->reader->layout->offsets;
	const struct mem *mem = items->reader->mem;
	uint64_t size;
	uint8_t log2;

	if (o->keys_log2_index != PY_NONE) {
		struct error *err = mem_u8(mem, keys + o->keys_log2_index, &log2);

		if (!err && log2 > 43)
			err = no_sense("table of keys", keys, log2);
		if (!err)
			*ret = (uint64_t)1 << log2;
		return err;
	}
	struct error *err = mem_u64(mem, keys + o->keys_size, &size);
	if (err)
		return err;
	if (size > MAX_SLOTS)
		return no_sense("table of keys", keys, size);
	*ret = size * (size <= 0xff ? 1 : size <= 0xffff ? 2 : size <= 0xffffffff ? 4 : 8);
	return NULL;
}

static struct error *begin_keys(struct py_items *items, taddr keys)
{
	const union py_offsets *o = &items->reader->layout->offsets;
	const struct mem *mem = items->reader->mem;
	uint8_t kind = KEYS_GENERAL;
	uint64_t before = 0;

	struct error *err = index_bytes(items, keys, &before);
	if (!err)
		err = mem_u64(mem, keys + o->keys_entries, &items->n_slots);
	if (!err && o->keys_kind != PY_NONE)
		err = mem_u8(mem, keys + o->keys_kind, &kind);
	if (err)
		return err;
	if (items->n_slots > MAX_SLOTS)
		return no_sense("table of keys", keys, items->n_slots);
	bool general = kind == KEYS_GENERAL || o->strentry_size == PY_NONE;
	items->slots = keys + o->keys_indices + before;
	items->size = general ? o->entry_size : o->strentry_size;
	items->key = general ? o->entry_key : o->strentry_key;
	items->value = general ? o->entry_value : o->strentry_value;
	return NULL;
}

static struct error *begin_dict(struct py_items *items, taddr at)
{
	const union py_offsets *o = &items->reader->layout->offsets;
	const struct mem *mem = items->reader->mem;
	taddr keys, values;

	items->is_dict = true;
	if (o->dict_table != PY_NONE)
		return begin_table(items, at);
	struct error *err = mem_u64(mem, at + o->dict_used, &items->n);
	if (!err)
		err = mem_u64(mem, at + o->dict_keys, &keys);
	if (!err)
		err = mem_u64(mem, at + o->dict_values, &values);
	if (!err)
		err = begin_keys(items, keys);
	if (!err && values)
		items->values = values + (o->values_items == PY_NONE ? 0 : o->values_items);
	return err;
}

struct error *py_items_begin(struct py_reader *reader, taddr at, const struct py_type *type,
			     struct py_items *ret)
{
	struct py_items items = { .reader = reader, .hash = PY_NONE, .value = PY_NONE };
	struct error *err;

	switch (type->kind) {
	case PY_TUPLE:
	case PY_LIST:
		err = begin_sequence(&items, at, type->kind);
		break;
	case PY_SET:
	case PY_FROZENSET:
		err = begin_set(&items, at);
		break;
	case PY_DICT:
		err = begin_dict(&items, at);
		break;
	default:
		return error_new(ERROR_INPUT, "%s at 0x%llx is no container", type->name,
				 (unsigned long long)at);
	}
	if (!err && items.n > MAX_SLOTS)
		err = no_sense(type->name, at, items.n);
	if (!err)
		*ret = items;
	return err;
}

static struct error *read_slot(struct py_items *items, taddr *key_ret, taddr *value_ret)
{
	const struct mem *mem = items->reader->mem;
	taddr at = items->slots + items->slot * items->size, key, value = 0;
	uint64_t hash;

	*key_ret = 0;
	struct error *err = py_spend(items->reader, items->size);
	if (!err)
		err = mem_u64(mem, at + items->key, &key);
	if (err || !key)
		return err;
	if (items->hash != PY_NONE) {
		err = mem_u64(mem, at + items->hash, &hash);
		if (err || hash == UINT64_MAX)
			return err;
	}
	if (items->values)
		err = mem_u64(mem, items->values + items->slot * 8, &value);
	else if (items->is_dict)
		err = mem_u64(mem, at + items->value, &value);
	// A deleted key has no value.
	if (err || (items->is_dict && !value))
		return err;
	*key_ret = key;
	*value_ret = value;
	return NULL;
}

struct error *py_items_next(struct py_items *items, taddr *key_ret, taddr *value_ret)
{
	taddr key = 0, value = 0;
	struct error *err = NULL;

	while (!err && !key && items->slot < items->n_slots && items->shown < items->n) {
		err = read_slot(items, &key, &value);
		items->slot++;
	}
	if (err)
		return err;
	items->shown++;
	*key_ret = key;
	if (value_ret)
		*value_ret = value;
	return NULL;
}

bool py_text_is(struct py_reader *reader, taddr at, const char *name)
{
	const union py_offsets *o = &reader->layout->offsets;
	size_t len = strlen(name);
	struct py_type type = {};
	struct py_text text = {};
	char bytes[MAX_NAME];

	if (len > sizeof(bytes) || error_drop(py_type_of(reader, at, &type)))
		return false;
	if (type.kind == PY_BYTES && reader->layout->names_are_bytes) {
		text.data = at + o->bytes_data;
		text.width = 1;
		if (error_drop(mem_u64(reader->mem, at + o->object_size, &text.length)))
			return false;
	} else if (type.kind != PY_STR || error_drop(py_find_text(reader, at, &text))) {
		return false;
	}
	return text.width == 1 && text.length == len &&
	       mem_read_some(reader->mem, text.data, bytes, len) == len &&
	       !memcmp(bytes, name, len);
}

// Pages that keys are on, so that a large dict is not read page by page while a process is held.
static void prefetch_keys(struct py_items items)
{
	const struct mem *mem = items.reader->mem;
	taddr pages[256];

	for (bool more = mem->prefetch != NULL; more;) {
		size_t n = 0;
		taddr key = 0;

		while ((more = n < ARRAY_SIZE(pages) && !error_drop(py_items_next(&items, &key, NULL)) &&
			       key))
			pages[n++] = key & ~(TARGET_PAGE - 1);
		mem->prefetch(mem, pages, n);
		more = n == ARRAY_SIZE(pages);
	}
}

static struct error *find(struct py_items *items, const char *name, taddr *ret)
{
	taddr key, value;
	struct error *err = NULL;

	if (items->n > 32)
		prefetch_keys(*items);
	do {
		if (py_reader_late(items->reader))
			return error_new(ERROR_UNSUPPORTED, "the time for it was up");
		err = py_items_next(items, &key, &value);
		if (!err && key && py_text_is(items->reader, key, name)) {
			*ret = value;
			return NULL;
		}
	} while (!err && key);
	if (!err)
		*ret = 0;
	return err;
}

struct error *py_items_find(struct py_reader *reader, taddr dict, const char *name, taddr *ret)
{
	struct py_items items = {};
	struct py_type type = {};

	struct error *err = py_type_of(reader, dict, &type);
	if (!err && type.kind != PY_DICT)
		err = error_new(ERROR_INPUT, "a %s where there should be a dict", type.name);
	if (!err)
		err = py_items_begin(reader, dict, &type, &items);
	return err ? err : find(&items, name, ret);
}

// Where an object of TYPE has its dict, 0 for nowhere; *VALUES_RET: values that stand for one.
static struct error *find_dict(struct py_reader *reader, taddr at, const struct py_type *type,
			       taddr *dict_ret, taddr *values_ret)
{
	const union py_offsets *o = &reader->layout->offsets;
	taddr word = 0, values = 0;
	uint8_t valid = 1;
	struct error *err = NULL;

	*dict_ret = *values_ret = 0;
	if (!(type->flags & PY_TYPE_MANAGED_DICT) || reader->layout->managed_dict == PY_MANAGED_NONE) {
		// Of what has a variable size the dict stands behind it, counted from the end.
		if (type->dictoffset <= 0 || type->dictoffset > type->basicsize)
			return NULL;
		return mem_u64(reader->mem, at + (uint64_t)type->dictoffset, dict_ret);
	}
	switch (reader->layout->managed_dict) {
	case PY_MANAGED_NONE:
		break;
	case PY_MANAGED_WORDS:
		err = mem_u64(reader->mem, at - 24, &word);
		if (!err && !word)
			err = mem_u64(reader->mem, at - 32, &values);
		break;
	case PY_MANAGED_TAGGED:
		err = mem_u64(reader->mem, at - 24, &word);
		if (!err && word & 1) {
			values = word + 1;
			word = 0;
		}
		break;
	case PY_MANAGED_INLINE:
		err = mem_u64(reader->mem, at - (reader->layout->free_threaded ? 8 : 24), &word);
		if (err || word || !(type->flags & PY_TYPE_INLINE_VALUES) || type->basicsize <= 0)
			break;
		values = at + (uint64_t)type->basicsize;
		err = mem_u8(reader->mem, values + o->values_valid, &valid);
		break;
	}
	if (err)
		return err;
	*dict_ret = word;
	if (values && valid)
		*values_ret = values + (o->values_items == PY_NONE ? 0 : o->values_items);
	return NULL;
}

struct error *py_attribute(struct py_reader *reader, taddr at, const struct py_type *type,
			   const char *name, taddr *ret)
{
	struct py_items items = { .reader = reader, .hash = PY_NONE, .is_dict = true };
	taddr dict, values, keys;

	struct error *err = find_dict(reader, at, type, &dict, &values);
	if (err)
		return err;
	*ret = 0;
	if (dict)
		return py_items_find(reader, dict, name, ret);
	if (!values)
		return NULL;
	err = mem_u64(reader->mem, type->at + reader->layout->offsets.type_cached_keys, &keys);
	if (!err && keys)
		err = begin_keys(&items, keys);
	if (err || !keys)
		return err;
	items.values = values;
	items.n = items.n_slots;
	return find(&items, name, ret);
}
