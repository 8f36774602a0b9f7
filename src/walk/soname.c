/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "soname.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "../buf.h"
#include "../cleanup.h"
#include "image.h"
#include "places.h"

// "/usr/lib/libffi.so.8" beside "/usr/lib/libffi.so.8.1.2", as ldconfig makes them.
static bool stands_beside(const struct module *module, const char *soname)
{
	char path[PLACE_MAX];
	struct stat theirs, ours;
	int folder = (int)(path_basename(module->path) - module->path);
	int len = snprintf(path, sizeof(path), "%.*s%s", folder, module->path, soname);

	return len > 0 && len < PLACE_MAX && !stat(path, &theirs) && !fstat(module->fd, &ours) &&
	       theirs.st_ino == ours.st_ino && theirs.st_dev == ours.st_dev;
}

static struct error *find_one(struct arena *arena, struct module *module)
{
	_cleanup_(image_close) struct image image = { .fd = -1 };
	_cleanup_(buf_deinit) struct buf clean = {};
	char soname[SONAME_MAX];

	if (error_drop(image_open_fd(module->fd, module->start, &image)) ||
	    !image_soname(&image, soname) || strchr(soname, '/') ||
	    !strcmp(soname, path_basename(module->path)) ||
	    (!module->deleted && !stands_beside(module, soname)))
		return NULL;
	buf_clean(&clean, soname, strlen(soname), "");
	module->soname = clean.failed ? NULL
				      : arena_strndup(arena, (const char *)clean.data, clean.len);
	return module->soname ? NULL : error_nomem();
}

struct error *soname_find(struct snapshot *snapshot)
{
	struct error *err = NULL;

	for (size_t i = 0; !err && i < snapshot->modules.n; i++)
		if (snapshot->modules.v[i].fd >= 0 && !snapshot->modules.v[i].in_memory)
			err = find_one(&snapshot->arena, &snapshot->modules.v[i]);
	return err;
}
