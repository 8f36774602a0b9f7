/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../buf.h"
#include "../cleanup.h"
#include "errand.h"
#include "procfs.h"

// The end of a file that is looked at, and what is kept of a long line.
#define TAIL_MAX ((off_t)256 << 10)
#define LINE_MAX_KEPT ((size_t)4096)

static struct error *add_line(struct snapshot *snapshot, struct log *log, const char *text,
			      size_t len)
{
	_cleanup_(buf_deinit) struct buf buf = {};
	char **line = LIST_ADD(&snapshot->arena, &log->lines);

	if (!line)
		return error_nomem();
	buf_clean(&buf, text, len < LINE_MAX_KEPT ? len : LINE_MAX_KEPT, "\t");
	if (len > LINE_MAX_KEPT)
		buf_printf(&buf, " [... %zu more bytes]", len - LINE_MAX_KEPT);
	struct error *err = buf_error(&buf);
	if (err)
		return err;
	*line = arena_strndup(&snapshot->arena, (char *)buf.data, buf.len);
	return *line ? NULL : error_nomem();
}

// The last LINES lines of FD, a regular file of SIZE bytes.
static struct error *read_tail(struct snapshot *snapshot, int fd, off_t size, int lines,
			       struct log *log)
{
	off_t start = size > TAIL_MAX ? size - TAIL_MAX : 0;
	size_t want = (size_t)(size - start), len = 0;
	_cleanup_(freep) char *text = malloc(want + 1);

	if (!text)
		return error_nomem();
	if (!errand_may_block(log->path))
		return error_errno(errno, "cannot read it");
	while (len < want) {
		ssize_t n = pread(fd, text + len, want - len, start + (off_t)len);

		if (n <= 0)
			break;
		len += (size_t)n;
	}
	errand_came_back();
	if (!len)
		return NULL;
	log->ends_in_newline = text[len - 1] == '\n';
	size_t end = log->ends_in_newline ? len - 1 : len, at = end;
	// Back over LINES newlines; a first line that begins before what was read is kept as it is.
	for (int n = 0; at > 0; at--)
		if (text[at - 1] == '\n' && ++n == lines)
			break;
	struct error *err = NULL;
	while (!err && lines && at <= end) {
		char *newline = memchr(text + at, '\n', end - at);
		size_t line = newline ? (size_t)(newline - text) - at : end - at;

		err = add_line(snapshot, log, text + at, line);
		at += line + 1;
	}
	return err;
}

static struct error *add_log(struct snapshot *snapshot, int file, const struct stat *st,
			     const char *path, int fd, int lines)
{
	struct log log = { .fd = fd, .path = arena_strdup(&snapshot->arena, path) };
	log.modified = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
	struct error *err = log.path ? read_tail(snapshot, file, st->st_size, lines, &log)
				     : error_nomem();

	if (err)
		return gaps_take(&snapshot->arena, &snapshot->gaps, path, NULL, err);
	struct log *to = LIST_ADD(&snapshot->arena, &snapshot->logs);
	if (!to)
		return error_nomem();
	*to = log;
	return NULL;
}

// A regular file, opened. -1, with errno 0 when it is of another kind.
static int open_log(int dir, const char *name, struct stat *ret)
{
	// Looked at before it is opened: opening a terminal or a FIFO has effects.
	if (!errand_may_block(name))
		return -1;
	int file = -1;
	if (fstatat(dir, name, ret, 0) == 0) {
		errno = 0;
		if (S_ISREG(ret->st_mode))
			file = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	}
	if (file >= 0 && (fstat(file, ret) < 0 || !S_ISREG(ret->st_mode))) {
		close(file);
		file = -1;
	}
	errand_came_back();
	return file;
}

struct seen {
	dev_t dev;
	ino_t ino;
};

static bool was_seen(struct seen *seen, size_t *n, size_t max, const struct stat *st)
{
	for (size_t i = 0; i < *n; i++)
		if (seen[i].dev == st->st_dev && seen[i].ino == st->st_ino)
			return true;
	if (*n < max)
		seen[(*n)++] = (struct seen){ st->st_dev, st->st_ino };
	return false;
}

struct error *procfs_logs(struct snapshot *snapshot, int proc_dir, const strings *paths, int lines)
{
	struct seen seen[64];
	size_t n_seen = 0;
	struct stat st;
	struct error *err = NULL;

	snapshot->logs.v = NULL;
	snapshot->logs.n = 0;
	// stderr first: where both lead to one file, that is what it is read for.
	for (int fd = 2; !err && fd >= 1; fd--) {
		char name[16], path[4096];

		snprintf(name, sizeof(name), "fd/%d", fd);
		_cleanup_(closep) int file = open_log(proc_dir, name, &st);
		ssize_t len = file < 0 ? -1 : readlinkat(proc_dir, name, path, sizeof(path) - 1);
		if (len < 0)
			continue;
		if (was_seen(seen, &n_seen, ARRAY_SIZE(seen), &st))
			continue;
		_cleanup_(buf_deinit) struct buf shown = {};
		buf_clean(&shown, path, (size_t)len, "");
		buf_add(&shown, "", 1);
		err = buf_error(&shown);
		if (!err)
			err = add_log(snapshot, file, &st, (char *)shown.data, fd, lines);
	}
	for (size_t i = 0; !err && paths && i < paths->n; i++) {
		_cleanup_(closep) int file = open_log(AT_FDCWD, paths->v[i], &st);

		if (file < 0) {
			err = gaps_add(&snapshot->arena, &snapshot->gaps, paths->v[i], NULL,
				       "the log could not be read: %s",
				       errno ? strerror(errno) : "it is not a regular file");
			continue;
		}
		if (!was_seen(seen, &n_seen, ARRAY_SIZE(seen), &st))
			err = add_log(snapshot, file, &st, paths->v[i], -1, lines);
	}
	return err;
}
