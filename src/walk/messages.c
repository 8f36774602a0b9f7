/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "messages.h"

#include <string.h>

#include "../buf.h"
#include "../cleanup.h"
#include "thrown.h"

#define MAX_TEXT 4000

// glibc's struct abort_msg_s (include/stdlib.h in its source, also known to gdb scripts and crash
// reporters, so it is not changed lightly): the size of the whole, then the text.
#define ABORT_MSG_TEXT 4

// Whether MODULE may hold glibc: the library under its names, or a static executable.
static bool may_be_libc(const struct snapshot *snapshot, const struct module *module)
{
	const char *name = path_basename(module->path);

	return !strncmp(name, "libc.so", 7) || !strncmp(name, "libc-2.", 7) ||
	       module == snapshot->modules.v;
}

// Read the message behind POINTER, a variable of the target; NULL in RET when it was never set.
static struct error *read_message(const struct mem *mem, taddr pointer, struct arena *arena,
				  char **ret)
{
	uint8_t text[MAX_TEXT];
	uint64_t at;
	uint32_t size;

	*ret = NULL;
	if (error_drop(mem_u64(mem, pointer, &at)) || !at || at > UINT64_MAX - MAX_TEXT - 8 ||
	    error_drop(mem_u32(mem, at, &size)) || size <= ABORT_MSG_TEXT)
		return NULL;
	size_t want = size - ABORT_MSG_TEXT < MAX_TEXT ? size - ABORT_MSG_TEXT : MAX_TEXT;
	size_t len = strnlen((char *)text, mem_read_some(mem, at + ABORT_MSG_TEXT, text, want));
	while (len && (text[len - 1] == '\n' || text[len - 1] == ' '))
		len--;
	if (!len)
		return NULL;
	_cleanup_(buf_deinit) struct buf buf = {};
	buf_clean(&buf, text, len, "\n\t");
	buf_add(&buf, "", 1);
	if (buf.failed)
		return error_nomem();
	*ret = arena_strdup(arena, (char *)buf.data);
	return *ret ? NULL : error_nomem();
}

struct error *messages_find(struct images *images, const struct mem *mem, struct arena *arena,
			    char **text_ret, char **source_ret)
{
	const struct snapshot *snapshot = images->snapshot;

	*text_ret = *source_ret = NULL;
	for (size_t i = 0; i < snapshot->modules.n && !*text_ret; i++) {
		const struct module *module = &snapshot->modules.v[i];
		const struct image *image =
			may_be_libc(snapshot, module) ? images_get(images, i) : NULL;
		taddr pointer;

		if (!image || !image_symbol(image, "__abort_msg", &pointer, NULL))
			continue;
		struct error *err = read_message(mem, pointer, arena, text_ret);
		if (err)
			return err;
		if (*text_ret) {
			*source_ret = arena_printf(arena, "__abort_msg in %s", module->path);
			if (!*source_ret)
				return error_nomem();
		}
	}
	return NULL;
}

// How far up from SP the frames of abort() and of Py_FatalError() reach, and how many pages of what
// they point to are kept.
#define MAX_FATAL_STACK 2048
#define MAX_FATAL_PAGES 24
#define MAX_FATAL_TEXT	1000

// Read what the innermost frames point to on the heap: constants are in the modules' files.
static void touch_pointers(const struct snapshot *snapshot, const struct mem *mem)
{
	const struct thread *thread = snapshot_thread(snapshot, snapshot->death.tid);
	taddr pages[MAX_FATAL_PAGES];
	size_t n = 0;

	if (!thread || !thread->regs.arch || !snapshot->python.found)
		return;
	taddr sp = regs_sp(&thread->regs);
	const struct mapping *stack = snapshot_mapping_at(snapshot, sp);
	for (taddr at = sp; at - sp < MAX_FATAL_STACK && n < MAX_FATAL_PAGES; at += 8) {
		char text[MAX_FATAL_TEXT];
		uint64_t v;
		size_t i = 0;

		if (error_drop(mem_u64(mem, at, &v)))
			break;
		const struct mapping *m = snapshot_mapping_at(snapshot, v);
		if (!m || m == stack || m->permissions[1] != 'w')
			continue;
		while (i < n && pages[i] != v / TARGET_PAGE)
			i++;
		if (i < n)
			continue;
		pages[n++] = v / TARGET_PAGE;
		mem_read_some(mem, v, text, sizeof(text));
	}
}

struct error *messages_touch(struct images *images, const struct mem_recorder *recorder)
{
	const struct snapshot *snapshot = images->snapshot;
	const struct thread *thread = snapshot_thread(snapshot, snapshot->death.tid);
	const struct mem *mem = &recorder->mem;
	_cleanup_(arena_deinit) struct arena arena = {};
	char *text, *source;
	struct thrown thrown;

	touch_pointers(snapshot, mem);
	// What is read to find it is what has to be kept.
	struct error *err = messages_find(images, mem, &arena, &text, &source);
	if (!err && thread)
		err = thrown_find(images, recorder->below, mem, &thread->regs, &arena, &thrown);
	return err;
}

// The string at AT when it is one: ended, clean, and long enough not to be an accident.
static struct error *string_at(const struct mem *mem, taddr at, struct arena *arena, char **ret)
{
	_cleanup_(buf_deinit) struct buf clean = {};
	char *text;
	bool cut;

	*ret = NULL;
	struct error *err = mem_string(mem, at, MAX_FATAL_TEXT, arena, &text, &cut);
	if (err && err->kind == ERROR_FAULT) {
		error_free(err);
		return NULL;
	}
	size_t len = err ? 0 : strlen(text);
	if (err || cut || len < 4 || !strncmp(text, "Fatal Python error", 18))
		return err;
	buf_clean(&clean, text, len, "");
	if (clean.failed)
		return error_nomem();
	if (clean.len == len && !memcmp(clean.data, text, len))
		*ret = text;
	return NULL;
}

static bool is_identifier(const char *s)
{
	return !s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")];
}

struct error *messages_fatal(const struct snapshot *snapshot, const struct mem *mem, taddr from,
			     taddr to, bool named, struct arena *arena, char **text_ret)
{
	const struct mapping *stack = snapshot_mapping_at(snapshot, from);
	char *text = NULL, *name = NULL;
	bool texts = false, names = false; /* there are several */

	*text_ret = NULL;
	for (taddr at = from; at < to && at - from < MAX_FATAL_STACK; at += 8) {
		char *s;
		uint64_t v;

		if (error_drop(mem_u64(mem, at, &v)))
			break;
		const struct mapping *m = snapshot_mapping_at(snapshot, v);
		if (!m || m == stack || m->permissions[2] == 'x')
			continue;
		struct error *err = string_at(mem, v, arena, &s);
		if (err)
			return err;
		if (!s)
			continue;
		char **one = is_identifier(s) ? &name : &text;
		bool *several = is_identifier(s) ? &names : &texts;
		*several |= *one && strcmp(*one, s) != 0;
		*one = s;
	}
	// A single word may be the text, too, when it cannot be the caller's name.
	if (text && !texts)
		*text_ret = text;
	else if (!text && name && !names && !named)
		*text_ret = name;
	return NULL;
}
