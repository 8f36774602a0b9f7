/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "thrown.h"

#include <endian.h>
#include <string.h>

#include "../buf.h"
#include "../cleanup.h"

// Blocks of thread-local variables that are looked into, and how far. The runtimes' own are tiny.
#define MAX_BLOCKS   64
#define MAX_BLOCK    512
#define MAX_TYPE     1000
#define MAX_WHAT     4000

// What libstdc++ names its exceptions by; with a last byte of 1 one stands for another.
#define CLASS	  UINT64_C(0x474e5543432b2b00) /* "GNUCC++\0" */
#define DEPENDENT 1

// What it puts before a thrown object (struct __cxa_exception of its unwind-cxx.h), and where in
// that the class stands. Neither has changed since the Itanium ABI was agreed upon.
#define HEADER_CLASS 80
#define HEADER_SIZE  112

static uint64_t word_at(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

// The first word of the header at AT, and its class; false when none is there.
static bool read_header(const struct mem *mem, taddr at, uint64_t *first_ret, uint64_t *class_ret)
{
	uint8_t header[HEADER_CLASS + 8];

	if (error_drop(mem_read(mem, at, header, sizeof(header))))
		return false;
	*first_ret = word_at(header);
	*class_ret = word_at(header + HEADER_CLASS);
	return *class_ret == CLASS || *class_ret == (CLASS | DEPENDENT);
}

// Whether V, a word among a thread's variables, points to an exception: its object and type_info.
static bool is_exception(const struct snapshot *snapshot, const struct mem *mem, uint64_t v,
			 taddr *object_ret, taddr *type_ret)
{
	const struct mapping *m = snapshot_mapping_at(snapshot, v);
	uint64_t first, class;

	if (v % 8 || !m || m->permissions[1] != 'w' || !read_header(mem, v, &first, &class))
		return false;
	*object_ret = v + HEADER_SIZE;
	// std::rethrow_exception() throws a header alone, which points to the object of another one.
	if (class != CLASS) {
		*object_ret = first;
		if (first < HEADER_SIZE ||
		    !read_header(mem, first - HEADER_SIZE, &first, &class) || class != CLASS)
			return false;
	}
	*type_ret = first;
	return true;
}

// The name in the type_info at AT; NULL in RET when it is none.
static struct error *read_type(const struct snapshot *snapshot, const struct mem *mem, taddr at,
			       struct arena *arena, char **ret)
{
	uint64_t type[2];
	char *name;
	bool cut;

	*ret = NULL;
	// It lies in a module, and begins with a vtable of a runtime's.
	if (!snapshot_module_at(snapshot, at) || error_drop(mem_u64(mem, at, &type[0])) ||
	    error_drop(mem_u64(mem, at + 8, &type[1])) || !snapshot_module_at(snapshot, type[0]))
		return NULL;
	struct error *err = mem_string(mem, type[1], MAX_TYPE, arena, &name, &cut);
	if (err && err->kind == ERROR_FAULT) {
		error_free(err);
		return NULL;
	}
	if (err || cut)
		return err;
	// A star says that equal names in other modules are other types.
	name += *name == '*';
	for (const char *p = name; *p; p++)
		if (*p <= ' ' || *p > '~')
			return NULL;
	if (*name)
		*ret = name;
	return NULL;
}

// Whether the function at AT is one that returns the text kept behind its object's vtable pointer.
static bool returns_kept_text(struct images *images, taddr at)
{
	static const char *const names[] = { "_ZNKSt13runtime_error4whatEv",
					     "_ZNKSt11logic_error4whatEv" };
	size_t index;
	const struct image *image = images_at(images, at, &index);

	for (size_t i = 0; image && i < ARRAY_SIZE(names); i++) {
		taddr function;

		if (image_symbol(image, names[i], &function, NULL) && function == at)
			return true;
	}
	return false;
}

/*
 * The text that what() of the OBJECT of TYPE would return. No code runs in a target, so only where
 * it is known what the function does: where a class has inherited it, as most do. Its slot in the
 * vtable is behind those of two destructors; before them stands the class that the vtable is of.
 */
static struct error *read_what(struct images *images, const struct mem *mem, taddr object,
			       taddr type, struct arena *arena, char **ret)
{
	_cleanup_(buf_deinit) struct buf buf = {};
	uint64_t vtable, of, what, text;
	char *raw;
	bool cut;

	*ret = NULL;
	if (error_drop(mem_u64(mem, object, &vtable)) ||
	    !snapshot_module_at(images->snapshot, vtable) ||
	    error_drop(mem_u64(mem, vtable - 8, &of)) || of != type ||
	    error_drop(mem_u64(mem, vtable + 16, &what)) ||
	    error_drop(mem_u64(mem, object + 8, &text)))
		return NULL;
	struct error *err = mem_string(mem, text, MAX_WHAT, arena, &raw, &cut);
	if (err && err->kind == ERROR_FAULT) {
		error_free(err);
		return NULL;
	}
	if (err || !returns_kept_text(images, what))
		return err;
	buf_clean(&buf, raw, strlen(raw), "\n\t");
	buf_add(&buf, "", 1);
	if (buf.failed)
		return error_nomem();
	*ret = arena_strdup(arena, (char *)buf.data);
	return *ret ? NULL : error_nomem();
}

// The one exception that a thread with blocks DTV has: the word that points to it is at WORD_RET.
// False when there is none, or there are several.
static bool find_exception(const struct snapshot *snapshot, const struct mem *mem, taddr dtv,
			   taddr *word_ret)
{
	uint8_t vector[MAX_BLOCKS * 16], block[MAX_BLOCK];
	size_t n = mem_read_some(mem, dtv, vector, sizeof(vector)) / 8;
	taddr object = 0;

	// In glibc's vector each entry has a second word, musl's have one; what is no block has no such
	// pointers in it.
	for (size_t i = 0; i < n; i++) {
		taddr at = word_at(vector + 8 * i);
		const struct mapping *m = snapshot_mapping_at(snapshot, at);

		if (at % 8 || !m || m->permissions[1] != 'w')
			continue;
		size_t words = mem_read_some(mem, at, block, sizeof(block)) / 8;
		for (size_t w = 0; w < words; w++) {
			taddr found, type;

			// Blocks may lie side by side, and be seen twice.
			if (!is_exception(snapshot, mem, word_at(block + 8 * w), &found, &type) ||
			    found == object)
				continue;
			if (object)
				return false;
			object = found;
			*word_ret = at + 8 * w;
		}
	}
	return object != 0;
}

struct error *thrown_find(struct images *images, const struct mem *probe, const struct mem *mem,
			  const struct regs *regs, struct arena *arena, struct thrown *ret)
{
	taddr dtv, word, object, type;
	struct thrown thrown = {};
	uint8_t vector[MAX_BLOCKS * 16];
	uint64_t v;

	*ret = thrown;
	// The dynamic thread vector has every module's block of thread-local variables.
	if (!regs->arch || !regs->tls ||
	    error_drop(mem_u64(mem, regs->tls + regs->arch->tls_vector, &dtv)) ||
	    !find_exception(images->snapshot, probe, dtv, &word))
		return NULL;
	// Only what led there is read again, and so kept.
	mem_read_some(mem, dtv, vector, sizeof(vector));
	if (error_drop(mem_u64(mem, word, &v)) ||
	    !is_exception(images->snapshot, mem, v, &object, &type))
		return NULL;
	struct error *err = read_type(images->snapshot, mem, type, arena, &thrown.type);
	if (!err && thrown.type)
		err = read_what(images, mem, object, type, arena, &thrown.what);
	if (!err)
		*ret = thrown;
	return err;
}
