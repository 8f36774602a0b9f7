/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "messages.h"

#include <string.h>

#include "../buf.h"
#include "../cleanup.h"

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

struct error *messages_touch(struct images *images, const struct mem *mem)
{
	_cleanup_(arena_deinit) struct arena arena = {};
	char *text, *source;

	// What is read to find it is what has to be kept.
	return messages_find(images, mem, &arena, &text, &source);
}
