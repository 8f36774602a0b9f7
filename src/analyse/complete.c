/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "complete.h"

#include <fcntl.h>
#include <string.h>

#include "../cleanup.h"
#include "../target/elfnote.h"
#include "../walk/image.h"
#include "../walk/places.h"
#include "../walk/python.h"

// Is the file of MODULE the one whose first page is in memory?
static bool same_first_page(const struct mem *mem, const struct module *module, int fd)
{
	uint8_t ours[TARGET_PAGE], theirs[TARGET_PAGE];
	size_t len = mem_read_some(mem, module->start, theirs, sizeof(theirs));

	return len && pread(fd, ours, len, 0) == (ssize_t)len && !memcmp(ours, theirs, len);
}

static void identify(const struct mem *mem, const struct places *places, struct module *module)
{
	char path[PLACE_MAX];

	if (module->build_id_len || module->fd >= 0)
		return;
	module->build_id_len = elf_build_id(mem, module->start, module->build_id);
	if (module->build_id_len || module->in_memory || module->path[0] != '/')
		return;
	for (unsigned n = 0; places_file(places, module, n, path); n++) {
		_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

		if (fd < 0 || !same_first_page(mem, module, fd))
			continue;
		module->fd = TAKE_FD(fd);
		return;
	}
}

static struct error *find_python(struct snapshot *snapshot)
{
	struct images images;
	char *why = NULL;
	struct error *err = images_init(&images, snapshot);

	if (err)
		return err;
	err = python_find(&images, &images.mem.mem, &snapshot->arena, &snapshot->python, &why);
	images_deinit(&images);
	if (!err && why)
		return gaps_add(&snapshot->arena, &snapshot->gaps, "Python frames", NULL, "%s", why);
	return gaps_take(&snapshot->arena, &snapshot->gaps, "Python frames", NULL, err);
}

struct error *snapshot_complete(struct snapshot *snapshot)
{
	struct mem_bytes mem;

	snapshot_mem(snapshot, &mem);
	for (size_t i = 0; i < snapshot->modules.n; i++)
		identify(&mem.mem, snapshot->places, &snapshot->modules.v[i]);
	return snapshot->python.found ? NULL : find_python(snapshot);
}
