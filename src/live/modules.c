/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "../cleanup.h"
#include "../target/elfnote.h"
#include "errand.h"
#include "procfs.h"

// A file as memory: addresses are its offsets.
struct file_mem {
	struct mem mem;
	int fd;
};

static size_t file_read(const struct mem *mem, taddr at, void *ret, size_t len)
{
	const struct file_mem *file = container_of(mem, struct file_mem, mem);
	ssize_t n = pread(file->fd, ret, len, (off_t)at);

	return n > 0 ? (size_t)n : 0;
}

static bool is_the_file(int fd, const struct module *module)
{
	struct stat st;

	// Some file systems (overlayfs, btrfs) show mappings another device number than stat()
	// does.
	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_ino == module->inode;
}

// LIMIT: the errno of a file that was not opened because there may be no more of them.
static int open_at(int dir, const char *path, int *limit)
{
	int fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0 && error_remedy(errno))
		*limit = errno;
	return fd;
}

// map_files names the mapped file whatever became of its name; it wants CAP_CHECKPOINT_RESTORE.
static int open_mapped(const struct snapshot *snapshot, int proc_dir, const struct module *module,
		       int *limit)
{
	const struct mapping *first = snapshot_mapping_at(snapshot, module->start);
	char name[64];

	if (!first)
		return -1;
	snprintf(name, sizeof(name), "map_files/%" PRIx64 "-%" PRIx64, first->start, first->end);
	return open_at(proc_dir, name, limit);
}

/*
 * The file that is mapped: by its path, as the target sees it or as we do, if what is there now
 * is the one; else through the mapping itself, or for the executable through exe.
 */
static int open_module(const struct snapshot *snapshot, int proc_dir, const struct module *module,
		       int *limit)
{
	_cleanup_(closep) int root = openat(proc_dir, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = -1;

	if (!module->deleted) {
		fd = open_at(AT_FDCWD, module->path, limit);
		if (fd >= 0 && is_the_file(fd, module))
			return fd;
		closep(&fd);
		fd = root < 0 ? -1 : open_at(root, module->path + 1, limit);
		if (fd >= 0 && is_the_file(fd, module))
			return fd;
		closep(&fd);
	}
	fd = open_mapped(snapshot, proc_dir, module, limit);
	if (fd >= 0 && is_the_file(fd, module))
		return fd;
	closep(&fd);
	fd = module->start == snapshot->modules.v[0].start ? open_at(proc_dir, "exe", limit) : -1;
	if (fd >= 0 && is_the_file(fd, module))
		return fd;
	closep(&fd);
	return -1;
}

// A program may map more files than the customary soft limit lets us hold.
static void allow_files(size_t n)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur > n + 128)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

// Is what bears the module's name today still the file that is mapped?
static bool was_replaced(const struct module *module, int proc_dir)
{
	struct stat st;
	_cleanup_(closep) int root = openat(proc_dir, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root < 0 || fstatat(root, module->path + 1, &st, 0) < 0)
		return errno == ENOENT;
	return st.st_ino != module->inode;
}

void procfs_keep_files(struct module *to, size_t n_to, struct module *from, size_t n_from)
{
	for (size_t i = 0; i < n_to; i++)
		for (size_t j = 0; j < n_from; j++) {
			struct module *m = &to[i], *old = &from[j];

			if (m->start != old->start || m->inode != old->inode ||
			    m->dev_major != old->dev_major || m->dev_minor != old->dev_minor)
				continue;
			m->fd = TAKE_FD(old->fd);
			memcpy(m->build_id, old->build_id, sizeof(m->build_id));
			m->build_id_len = old->build_id_len;
			break;
		}
}

// MODULE's file, its build id, and whether it still is where it was.
static void find_file(const struct snapshot *snapshot, int proc_dir, struct module *module,
		      int *limit)
{
	if (!module->deleted)
		module->deleted = was_replaced(module, proc_dir);
	if (module->fd >= 0)
		return;
	module->fd = open_module(snapshot, proc_dir, module, limit);
	struct file_mem file = { .mem.read = file_read, .fd = module->fd };
	if (module->fd >= 0)
		module->build_id_len = elf_build_id(&file.mem, 0, module->build_id);
}

static struct error *miss_file(struct snapshot *snapshot, const struct module *module, int limit)
{
	const char *remedy = error_remedy(limit), *why = "its path leads elsewhere";

	if (limit)
		why = strerror(limit);
	else if (module->deleted)
		why = "it was deleted or replaced on disk";
	if (!remedy)
		remedy = "run pcatch as root or with CAP_SYS_PTRACE and CAP_CHECKPOINT_RESTORE";
	return gaps_add(&snapshot->arena, &snapshot->gaps, module->path, remedy,
			"the mapped file cannot be opened: %s", why);
}

struct error *procfs_modules(struct snapshot *snapshot, int proc_dir, const struct mem *mem)
{
	struct error *err = NULL;

	allow_files(snapshot->modules.n);
	for (size_t i = 0; !err && i < snapshot->modules.n; i++) {
		struct module *module = &snapshot->modules.v[i];

		if (module->in_memory) {
			module->build_id_len = elf_build_id(mem, module->start, module->build_id);
			continue;
		}
		if (module->path[0] != '/')
			continue;
		// Its path may lead to a file server that is gone.
		struct module found = *module;
		int limit = 0;
		if (errand_may_block(module->path)) {
			find_file(snapshot, proc_dir, &found, &limit);
			errand_came_back();
		}
		*module = found;
		if (module->fd < 0)
			err = miss_file(snapshot, module, limit);
	}
	return err;
}
