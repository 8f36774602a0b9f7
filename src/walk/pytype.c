/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pytype.h"

#include <endian.h>
#include <string.h>

#include "../cleanup.h"
#include "pyobject.h"

// Bases of a class until a built-in one is met.
#define MAX_BASES 32

// tp_flags: of what it is a subclass, from 2.6 on. The bits of int and long are those of 2.7.
#define FLAG_INT   ((uint64_t)1 << 23)
#define FLAG_LONG  ((uint64_t)1 << 24)
#define FLAG_LIST  ((uint64_t)1 << 25)
#define FLAG_TUPLE ((uint64_t)1 << 26)
#define FLAG_BYTES ((uint64_t)1 << 27)
#define FLAG_STR   ((uint64_t)1 << 28)
#define FLAG_DICT  ((uint64_t)1 << 29)
#define FLAG_TYPE  ((uint64_t)1 << 31)

static const struct {
	uint64_t flag;
	const char *name;
	enum py_kind kind;
} flagged[] = {
	{ FLAG_LONG, "int", PY_LONG },	  { FLAG_STR, "str", PY_STR },
	{ FLAG_BYTES, "bytes", PY_BYTES }, { FLAG_TUPLE, "tuple", PY_TUPLE },
	{ FLAG_LIST, "list", PY_LIST },	  { FLAG_DICT, "dict", PY_DICT },
	{ FLAG_TYPE, "type", PY_TYPE },
}, flagged_2[] = {
	{ FLAG_INT, "int", PY_SHORT },	  { FLAG_LONG, "long", PY_LONG },
	{ FLAG_STR, "unicode", PY_STR },  { FLAG_BYTES, "str", PY_BYTES },
	{ FLAG_TUPLE, "tuple", PY_TUPLE }, { FLAG_LIST, "list", PY_LIST },
	{ FLAG_DICT, "dict", PY_DICT },	  { FLAG_TYPE, "type", PY_TYPE },
};

// Static types that have no flag.
static const struct {
	const char *name;
	enum py_kind kind;
} named[] = {
	{ "NoneType", PY_NONE_TYPE },
	{ "ellipsis", PY_ELLIPSIS },
	{ "NotImplementedType", PY_NOT_IMPLEMENTED },
	{ "bool", PY_BOOL },
	{ "float", PY_FLOAT },
	{ "complex", PY_COMPLEX },
	{ "bytearray", PY_BYTEARRAY },
	{ "set", PY_SET },
	{ "frozenset", PY_FROZENSET },
	{ "module", PY_MODULE },
	{ "function", PY_FUNCTION },
	{ "builtin_function_or_method", PY_BUILTIN },
	{ "method", PY_METHOD },
	{ "instancemethod", PY_METHOD },
	{ "cell", PY_CELL },
	{ "weakref", PY_WEAKREF },
	{ "weakref.ReferenceType", PY_WEAKREF },
	{ "code", PY_CODE },
	{ "generator", PY_GENERATOR },
	{ "coroutine", PY_COROUTINE },
	{ "async_generator", PY_ASYNC_GENERATOR },
};

static struct error *read_name(struct py_reader *reader, taddr type, struct py_type *to)
{
	_cleanup_(buf_deinit) struct buf clean = {};
	char raw[PY_TYPE_NAME];
	taddr at;

	struct error *err = mem_u64(reader->mem, type + reader->layout->offsets.type_name, &at);
	if (err)
		return err;
	// What is cut by the end of what is there is still told by its beginning.
	size_t n = mem_read_some(reader->mem, at, raw, sizeof(raw) - 1);
	if (!n)
		return error_fault(at);
	n = strnlen(raw, n);
	buf_clean(&clean, raw, n, "");
	err = buf_error(&clean);
	if (err)
		return err;
	if (!n || memchr(raw, '\\', n))
		return error_new(ERROR_INPUT, "a type without a name at 0x%llx",
				 (unsigned long long)type);
	n = clean.len < PY_TYPE_NAME - 1 ? clean.len : PY_TYPE_NAME - 1;
	// No half a character at the end.
	while (n && n < clean.len && (clean.data[n] & 0xc0) == 0x80)
		n--;
	memcpy(to->name, clean.data, n);
	to->name[n] = '\0';
	return NULL;
}

static struct error *read_type(struct py_reader *reader, taddr at, struct py_type *ret)
{
	const union py_offsets *o = &reader->layout->offsets;
	struct py_type type = { .at = at };
	uint64_t word = 0;

	if (!at || at % 8)
		return error_new(ERROR_INPUT, "a type at 0x%llx", (unsigned long long)at);
	struct error *err = read_name(reader, at, &type);
	if (!err && o->type_flags != PY_NONE)
		err = mem_u64(reader->mem, at + o->type_flags, &type.flags);
	if (!err && o->type_basicsize != PY_NONE)
		err = mem_u64(reader->mem, at + o->type_basicsize, &word);
	type.basicsize = (int64_t)word;
	if (!err && o->type_dictoffset != PY_NONE)
		err = mem_u64(reader->mem, at + o->type_dictoffset, &word);
	type.dictoffset = (int64_t)word;
	if (!err)
		*ret = type;
	return err;
}

static enum py_kind kind_by_name(const struct py_type *type)
{
	if (type->flags & PY_TYPE_HEAP)
		return PY_OTHER;
	for (size_t i = 0; i < ARRAY_SIZE(named); i++)
		if (!strcmp(type->name, named[i].name))
			return named[i].kind;
	return PY_OTHER;
}

// Classes without a flag are told by the built-in one among their bases.
static struct error *kind_by_bases(struct py_reader *reader, struct py_type *type)
{
	taddr at = type->at;

	if (!(type->flags & PY_TYPE_HEAP) || reader->layout->offsets.type_base == PY_NONE)
		return NULL;
	for (int i = 0; i < MAX_BASES; i++) {
		struct py_type base = {};
		struct error *err = mem_u64(reader->mem,
					    at + reader->layout->offsets.type_base, &at);
		if (err || !at)
			return err;
		err = read_type(reader, at, &base);
		if (err)
			return err;
		type->kind = kind_by_name(&base);
		if (!(base.flags & PY_TYPE_HEAP))
			return NULL;
	}
	return NULL;
}

static struct error *judge_type(struct py_reader *reader, struct py_type *type)
{
	bool two = reader->layout->names_are_bytes;
	size_t n = two ? ARRAY_SIZE(flagged_2) : ARRAY_SIZE(flagged);

	type->kind = kind_by_name(type);
	type->exact = type->kind != PY_OTHER;
	for (size_t i = 0; i < n && type->kind == PY_OTHER; i++) {
		uint64_t flag = two ? flagged_2[i].flag : flagged[i].flag;
		const char *name = two ? flagged_2[i].name : flagged[i].name;

		if (!(type->flags & flag))
			continue;
		type->kind = two ? flagged_2[i].kind : flagged[i].kind;
		type->exact = !(type->flags & PY_TYPE_HEAP) && !strcmp(type->name, name);
	}
	return type->kind == PY_OTHER ? kind_by_bases(reader, type) : NULL;
}

struct error *py_type_of(struct py_reader *reader, taddr at, struct py_type *ret)
{
	struct py_type type = {};
	taddr type_at;

	if (!at || at % 8)
		return error_new(ERROR_INPUT, "an object at 0x%llx", (unsigned long long)at);
	struct error *err = mem_u64(reader->mem, at + reader->layout->offsets.object_type, &type_at);
	if (err)
		return err;
	struct py_type *known = &reader->types[(type_at >> 4) % PY_READER_TYPES];
	if (!type_at || known->at != type_at) {
		err = read_type(reader, type_at, &type);
		if (!err)
			err = judge_type(reader, &type);
		if (err)
			return err;
		*known = type;
	}
	*ret = *known;
	return NULL;
}

bool py_type_is(const struct py_type *type, const char *name)
{
	const char *dot = strrchr(type->name, '.');

	return !strcmp(type->name, name) || (dot && !strcmp(dot + 1, name));
}
