/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../buf.h"
#include "../cleanup.h"
#include "errand.h"
#include "past.h"
#include "procfs.h"

// The end of a file that is looked at, and what is kept of a long line.
#define TAIL_MAX ((off_t)256 << 10)
#define LINE_MAX_KEPT ((size_t)4096)

// The same of a log that is searched for what was written long before its end.
#define PAST_TAIL_MAX ((off_t)32 << 20)
#define PAST_LOGS_MAX 64 // that are told apart, so that none is read twice

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
			err = errno ? error_errno(errno, "the log could not be read")
				    : error_new(ERROR_INPUT, "the log could not be read: it is "
							     "not a regular file");
			err = gaps_take(&snapshot->arena, &snapshot->gaps, paths->v[i], NULL, err);
			continue;
		}
		if (!was_seen(seen, &n_seen, ARRAY_SIZE(seen), &st))
			err = add_log(snapshot, file, &st, paths->v[i], -1, lines);
	}
	return err;
}

/* Logs of a process that is gone: those who outlived it have written on. */

struct tail {
	char *text; /* malloc'ed, NUL behind it */
	size_t len;
	LIST(size_t) starts; /* of lines */
	bool *kept;	     /* one for each */
	struct arena arena;
};

static void tail_deinit(struct tail *tail)
{
	free(tail->text);
	arena_deinit(&tail->arena);
}

static const char *tail_line(const struct tail *tail, size_t i, size_t *len)
{
	size_t start = tail->starts.v[i];
	size_t end = i + 1 < tail->starts.n ? tail->starts.v[i + 1] - 1 : tail->len;

	if (i + 1 == tail->starts.n && end > start && tail->text[end - 1] == '\n')
		end--;
	*len = end - start;
	return tail->text + start;
}

static struct error *load_tail(int fd, off_t size, struct tail *ret)
{
	off_t start = size > PAST_TAIL_MAX ? size - PAST_TAIL_MAX : 0;
	size_t want = (size_t)(size - start), n = 0;

	ret->text = malloc(want + 1);
	if (!ret->text)
		return error_nomem();
	while (ret->len < want) {
		ssize_t got = pread(fd, ret->text + ret->len, want - ret->len,
				    start + (off_t)ret->len);

		if (got <= 0)
			break;
		ret->len += (size_t)got;
	}
	ret->text[ret->len] = '\0';
	for (size_t i = 0; i < ret->len; i++)
		n += ret->text[i] == '\n';
	// A first line that begins before what was read is kept as it is.
	ret->starts.v = arena_alloc(&ret->arena, (n + 1) * sizeof(*ret->starts.v));
	ret->kept = arena_alloc(&ret->arena, n + 1);
	if (!ret->starts.v || !ret->kept)
		return error_nomem();
	for (size_t i = 0; i < ret->len; i++)
		if (i == 0 || ret->text[i - 1] == '\n')
			ret->starts.v[ret->starts.n++] = i;
	return NULL;
}

// NUMBER stands in the line with no digit, letter or dot on either side.
static bool mentions(const char *line, size_t len, const char *number, size_t number_len)
{
	const char *end = line + len;

	for (const char *at = line; (at = memmem(at, (size_t)(end - at), number, number_len));
	     at++) {
		unsigned char before = at > line ? (unsigned char)at[-1] : ' ';
		unsigned char after = at + number_len < end ? (unsigned char)at[number_len] : ' ';

		if (!isalnum(before) && before != '.' && !isalnum(after))
			return true;
	}
	return false;
}

static void keep(struct tail *tail, size_t from, size_t to)
{
	for (size_t i = from; i < to && i < tail->starts.n; i++)
		tail->kept[i] = true;
}

static void keep_around(struct tail *tail, size_t at, size_t before, size_t behind)
{
	keep(tail, at > before ? at - before : 0, at + behind + 1);
}

// What the last lines, the last ones with the pid, a traceback and a dump say. True: the pid is
// there.
static bool choose(struct tail *tail, pid_t pid, size_t lines)
{
	static const char *const marks[] = { "Fatal Python error: ",
					     "Traceback (most recent call last):" };
	bool marked[ARRAY_SIZE(marks)] = {};
	size_t found = 0, n = tail->starts.n, len;
	char number[16];

	int number_len = snprintf(number, sizeof(number), "%d", (int)pid);
	keep(tail, n > lines ? n - lines : 0, n);
	for (size_t i = n; i-- > 0;) {
		const char *line = tail_line(tail, i, &len);

		for (size_t m = 0; m < ARRAY_SIZE(marks); m++)
			if (!marked[m] && len >= strlen(marks[m]) &&
			    !memcmp(line, marks[m], strlen(marks[m]))) {
				marked[m] = true;
				keep_around(tail, i, 2, lines);
			}
		if (pid <= 0 || found >= lines || !mentions(line, len, number, (size_t)number_len))
			continue;
		if (!found++)
			keep_around(tail, i, lines, lines);
		tail->kept[i] = true;
	}
	return found > 0;
}

static struct error *take_lines(struct snapshot *snapshot, const struct tail *tail, struct log *log)
{
	struct error *err = NULL;
	uint64_t cut = 0;

	for (size_t i = 0; !err && i < tail->starts.n; i++) {
		size_t len;
		const char *line = tail_line(tail, i, &len);

		if (!tail->kept[i]) {
			// What is before the first is no gap in the story.
			cut += log->lines.n > 0;
			continue;
		}
		if (cut) {
			struct log_cut *to = LIST_ADD(&snapshot->arena, &log->cuts);

			if (!to)
				return error_nomem();
			*to = (struct log_cut){ .before = log->lines.n, .lines = cut };
			cut = 0;
		}
		err = add_line(snapshot, log, line, len);
	}
	return err;
}

// PATH can have no log for us, and ERRNUM, unless 0, is why.
static struct error *refuse_log(const char *path, int errnum, const struct stat *st)
{
	if (errnum == EACCES || errnum == EPERM)
		return error_errno(errnum,
				   "the log %s is closed to you: run pcatch as root, or as its "
				   "owner",
				   path);
	if (errnum)
		return error_errno(errnum, "cannot read the log %s", path);
	if (S_ISDIR(st->st_mode))
		return error_new(ERROR_INPUT, "the log %s is a folder: name a file in it", path);
	return error_new(ERROR_INPUT,
			 "the log %s is not a regular file, and keeps nothing of the past: name "
			 "the file that it is written to",
			 path);
}

struct past {
	struct snapshot *snapshot;
	int lines;
	struct seen seen[PAST_LOGS_MAX];
	size_t n_seen;
};

// Where NAMED, the user did so. MENTIONED_RET: the pid stands in it.
static struct error *past_log(struct past *past, const char *path, bool named, bool *mentioned_ret)
{
	struct snapshot *snapshot = past->snapshot;
	_cleanup_(tail_deinit) struct tail tail = {};
	_cleanup_(buf_deinit) struct buf shown = {};
	struct stat st = {};

	*mentioned_ret = false;
	_cleanup_(closep) int fd = open_log(AT_FDCWD, path, &st);
	if (fd < 0)
		return named ? refuse_log(path, errno, &st) : NULL;
	struct error *err = load_tail(fd, st.st_size, &tail);
	if (err)
		return err;
	*mentioned_ret = choose(&tail, snapshot->process.pid, (size_t)past->lines);
	if (!named && !*mentioned_ret)
		return NULL;
	if (was_seen(past->seen, &past->n_seen, ARRAY_SIZE(past->seen), &st))
		return NULL;
	struct log log = { .fd = -1 };
	buf_clean(&shown, path, strlen(path), "");
	buf_add(&shown, "", 1);
	err = buf_error(&shown);
	if (err)
		return err;
	log.path = arena_strdup(&snapshot->arena, (char *)shown.data);
	log.modified = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	log.ends_in_newline = tail.len && tail.text[tail.len - 1] == '\n';
	if (!log.path)
		return error_nomem();
	err = take_lines(snapshot, &tail, &log);
	if (err)
		return err;
	struct log *to = LIST_ADD(&snapshot->arena, &snapshot->logs);
	if (!to)
		return error_nomem();
	*to = log;
	return NULL;
}

struct error *past_logs(struct snapshot *snapshot, const strings *paths, int lines)
{
	struct past past = { .snapshot = snapshot, .lines = lines };
	struct error *err = NULL;

	for (size_t i = 0; !err && i < paths->n; i++) {
		bool mentioned, rotated;
		char before[4096];

		err = past_log(&past, paths->v[i], true, &mentioned);
		if (err || mentioned || snapshot->process.pid <= 0)
			continue;
		// logrotate(8)'s and Python's RotatingFileHandler's name for the one before.
		snprintf(before, sizeof(before), "%s.1", paths->v[i]);
		err = past_log(&past, before, false, &rotated);
	}
	return err;
}
