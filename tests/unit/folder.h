/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_TESTS_UNIT_FOLDER_H
#define PCATCH_TESTS_UNIT_FOLDER_H

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A folder of files made by hand that stands for one of /proc. */
struct folder {
	char path[64];
	int fd;
};

static inline struct folder folder_make(void)
{
	struct folder folder = { .path = "/tmp/pcatch-unit-XXXXXX", .fd = -1 };

	if (!mkdtemp(folder.path))
		abort();
	folder.fd = open(folder.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder.fd < 0)
		abort();
	return folder;
}

static inline void folder_put(const struct folder *folder, const char *name, const void *data,
			      size_t len)
{
	int fd = openat(folder->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, data, len) != (ssize_t)len || close(fd))
		abort();
}

static inline void folder_text(const struct folder *folder, const char *name, const char *text)
{
	folder_put(folder, name, text, strlen(text));
}

static inline void folder_dir(const struct folder *folder, const char *name)
{
	if (mkdirat(folder->fd, name, 0700))
		abort();
}

static inline void folder_link(const struct folder *folder, const char *name, const char *target)
{
	if (symlinkat(target, folder->fd, name))
		abort();
}

// What is in the folder open as FD, which is taken over: files, and folders of files.
static inline void folder_empty(int fd, int depth)
{
	DIR *dir = fdopendir(fd);

	for (struct dirent *d; dir && (d = readdir(dir));) {
		if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
			continue;
		if (!unlinkat(dirfd(dir), d->d_name, 0) || depth > 2)
			continue;
		int sub = openat(dirfd(dir), d->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (sub >= 0)
			folder_empty(sub, depth + 1);
		unlinkat(dirfd(dir), d->d_name, AT_REMOVEDIR);
	}
	if (dir)
		closedir(dir);
}

static inline void folder_remove(struct folder *folder)
{
	folder_empty(folder->fd, 0);
	rmdir(folder->path);
}

#endif
