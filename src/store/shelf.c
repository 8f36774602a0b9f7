/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "shelf.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "../cleanup.h"
#include "annotate.h"

#define SECOND INT64_C(1000000000)

static const char *const suffixes[] = { "txt", "json", "html", "core", "core.zst", "dmp" };

void shelf_deinit(struct shelf *shelf)
{
	arena_deinit(&shelf->arena);
	*shelf = (struct shelf){};
}

// The dot before FILE's suffix, if that is one of ours; others' names may have dots in them too.
static const char *find_suffix(const char *file)
{
	size_t len = strlen(file);

	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		size_t own = strlen(suffixes[i]) + 1;

		if (len > own && file[len - own] == '.' && !strcmp(file + len - own + 1, suffixes[i]))
			return file + len - own;
	}
	return NULL;
}

// Digits at *AT, at most nine; -1 when there are none. *AT is moved behind them.
static long digits(const char **at)
{
	long ret = -1;

	for (int i = 0; i < 9 && isdigit((unsigned char)**at); i++, (*at)++)
		ret = (ret < 0 ? 0 : ret) * 10 + (**at - '0');
	return ret;
}

static bool is_core(const char *suffix)
{
	return !strncmp(suffix, "core", 4);
}

// "-4711-20261124T041405Z", then nothing or "-2": what stands behind COMM in a report's name.
static bool parse_tail(const char *tail, struct shelf_report *ret)
{
	struct tm tm = {};
	const char *at = tail + 1;
	long pid = digits(&at);

	if (pid <= 0 || *at++ != '-')
		return false;
	const char *end = strptime(at, "%Y%m%dT%H%M%SZ", &tm);
	if (!end || end - at != 16)
		return false;
	if (*end == '-') {
		end++;
		if (digits(&end) < 2)
			return false;
	}
	ret->pid = (pid_t)pid;
	ret->time = (int64_t)timegm(&tm) * SECOND;
	return !*end;
}

// Whether NAME, LEN bytes without its suffix, is a report's; its parts into RET.
static struct error *parse_name(struct arena *arena, const char *name, size_t len,
				struct shelf_report *ret, bool *is_report)
{
	*is_report = false;
	*ret = (struct shelf_report){ .name = arena_strndup(arena, name, len) };
	if (!ret->name)
		return error_nomem();
	// COMM may have hyphens in it itself.
	for (const char *at = strchr(ret->name + 1, '-'); at && !*is_report;
	     at = strchr(at + 1, '-'))
		if (parse_tail(at, ret)) {
			ret->comm = arena_strndup(arena, ret->name, (size_t)(at - ret->name));
			*is_report = true;
		}
	return !*is_report || ret->comm ? NULL : error_nomem();
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int by_time(const void *a, const void *b)
{
	const struct shelf_report *x = a, *y = b;

	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	return strcmp(x->name, y->name);
}

// The names of all files that may belong to reports, so that those of one report are neighbours.
static struct error *list_files(const struct store *store, struct shelf *shelf, strings *ret)
{
	int fd = openat(store->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	struct error *err = NULL;

	if (!stream) {
		err = error_errno(errno, "cannot list the folder %s", store->path);
		closep(&fd);
		return err;
	}
	for (const struct dirent *e = readdir(stream); e && !err; e = readdir(stream)) {
		if (!find_suffix(e->d_name))
			continue;
		shelf->cut = ret->n == SHELF_MAX_REPORTS * ARRAY_SIZE(suffixes);
		if (shelf->cut)
			break;
		char **name = LIST_ADD(&shelf->arena, ret);
		if (name)
			*name = arena_strdup(&shelf->arena, e->d_name);
		if (!name || !*name)
			err = error_nomem();
	}
	closedir(stream);
	if (!err && ret->n)
		qsort(ret->v, ret->n, sizeof(*ret->v), by_name);
	return err;
}

// FILE belongs to the last report, or starts a new one.
static struct error *add_file(const struct store *store, struct shelf *shelf, const char *file)
{
	const char *dot = find_suffix(file);
	size_t len = (size_t)(dot - file);
	struct shelf_report *report =
		shelf->reports.n ? &shelf->reports.v[shelf->reports.n - 1] : NULL;
	struct stat st;

	if (fstatat(store->dir, file, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return NULL;
	if (!report || strlen(report->name) != len || memcmp(report->name, file, len) != 0) {
		struct shelf_report fresh;
		bool is_report;
		struct error *err = parse_name(&shelf->arena, file, len, &fresh, &is_report);

		if (err || !is_report)
			return err;
		report = LIST_ADD(&shelf->arena, &shelf->reports);
		if (!report)
			return error_nomem();
		*report = fresh;
	}
	char **suffix = LIST_ADD(&shelf->arena, &report->suffixes);
	if (suffix)
		*suffix = arena_strdup(&shelf->arena, dot + 1);
	if (!suffix || !*suffix)
		return error_nomem();
	uint64_t blocks = (uint64_t)st.st_blocks * 512, size = (uint64_t)st.st_size;
	uint64_t bytes = size < blocks ? size : blocks;
	report->bytes += bytes;
	report->core_bytes += is_core(dot + 1) ? bytes : 0;
	shelf->bytes += bytes;
	return NULL;
}

// A short text of a digest, which anybody may have written; NULL when it is not there.
static char *text_of(struct shelf *shelf, const json_t *digest, const char *key)
{
	const char *text = json_string_value(json_object_get(digest, key));
	_cleanup_(buf_deinit) struct buf clean = {};

	if (!text)
		return NULL;
	buf_clean(&clean, text, strnlen(text, 1000), "");
	buf_zero(&clean, 1);
	return clean.failed ? NULL : arena_strdup(&shelf->arena, (const char *)clean.data);
}

static void read_digest(const struct store *store, struct shelf *shelf, struct shelf_report *report)
{
	_cleanup_(buf_deinit) struct buf text = {};
	_cleanup_(closep) int fd = -1;
	struct error *err = store_reopen(store, report->name, "dmp", O_RDONLY, &fd);

	if (!err)
		err = minidump_digest(fd, &text);
	if (error_drop(err) || !text.len)
		return;
	json_t *digest = json_loadb((const char *)text.data, text.len, 0, NULL);
	report->cause = text_of(shelf, digest, "cause");
	report->summary = text_of(shelf, digest, "summary");
	report->signature = text_of(shelf, digest, "signature");
	json_decref(digest);
}

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

// From the newest to the oldest, so that groups come in the order of their newest.
static struct error *group(struct shelf *shelf)
{
	for (size_t i = shelf->reports.n; i-- > 0;) {
		struct shelf_report *report = &shelf->reports.v[i];
		size_t g = 0;

		while (g < shelf->groups.n && !(same(shelf->groups.v[g].cause, report->cause) &&
						same(shelf->groups.v[g].signature, report->signature)))
			g++;
		if (g == shelf->groups.n) {
			struct shelf_group *fresh = LIST_ADD(&shelf->arena, &shelf->groups);

			if (!fresh)
				return error_nomem();
			*fresh = (struct shelf_group){ .cause = report->cause,
						       .signature = report->signature,
						       .last = report->time };
		}
		report->group = g;
		shelf->groups.v[g].n++;
		shelf->groups.v[g].first = report->time;
	}
	return NULL;
}

struct error *shelf_read(const struct store *store, struct shelf *ret)
{
	_cleanup_(shelf_deinit) struct shelf shelf = {};
	strings files = {};
	struct error *err = list_files(store, &shelf, &files);

	for (size_t i = 0; !err && i < files.n; i++)
		err = add_file(store, &shelf, files.v[i]);
	if (!err && shelf.reports.n)
		qsort(shelf.reports.v, shelf.reports.n, sizeof(*shelf.reports.v), by_time);
	for (size_t i = 0; !err && i < shelf.reports.n; i++)
		read_digest(store, &shelf, &shelf.reports.v[i]);
	if (!err)
		err = group(&shelf);
	if (err)
		return err;
	*ret = TAKE(shelf);
	return NULL;
}

struct left {
	size_t reports;
	uint64_t bytes;
	size_t *of_group;
};

static void choose(struct shelf *shelf, size_t i, struct left *left)
{
	struct shelf_report *report = &shelf->reports.v[i];

	report->chosen = true;
	left->reports--;
	left->bytes -= report->bytes - (report->cores_chosen ? report->core_bytes : 0);
	left->of_group[report->group]--;
}

// Old cores, the largest of all files, before anything else; returns of how many reports.
static size_t choose_cores(struct shelf *shelf, uint64_t bytes, struct left *left)
{
	size_t ret = 0;

	for (size_t i = 0; bytes && left->bytes > bytes && i + 1 < shelf->reports.n; i++) {
		struct shelf_report *report = &shelf->reports.v[i];

		if (report->chosen || !report->core_bytes)
			continue;
		report->cores_chosen = true;
		left->bytes -= report->core_bytes;
		ret++;
	}
	return ret;
}

// The oldest report of the group that has most left; the last report of all is not asked.
static size_t next_choice(const struct shelf *shelf, const struct left *left)
{
	size_t ret = shelf->reports.n, most = 0;

	for (size_t i = 0; i + 1 < shelf->reports.n; i++) {
		const struct shelf_report *report = &shelf->reports.v[i];

		if (!report->chosen && left->of_group[report->group] > most) {
			most = left->of_group[report->group];
			ret = i;
		}
	}
	return ret;
}

size_t shelf_choose(struct shelf *shelf, const struct shelf_bounds *bounds, int64_t now)
{
	size_t n = shelf->reports.n;
	struct left left = { .reports = n, .bytes = shelf->bytes };

	// One large core is no reason for all other reports to go.
	if (n)
		left.bytes -= shelf->reports.v[n - 1].core_bytes;

	left.of_group = arena_alloc(&shelf->arena, (shelf->groups.n + 1) * sizeof(size_t));
	if (!left.of_group)
		return 0;
	for (size_t i = 0; i < shelf->groups.n; i++)
		left.of_group[i] = shelf->groups.v[i].n;
	for (size_t i = 0; i + 1 < n; i++)
		if (bounds->age && now - shelf->reports.v[i].time > bounds->age)
			choose(shelf, i, &left);
	size_t stripped = choose_cores(shelf, bounds->bytes, &left);
	while ((bounds->reports && left.reports > bounds->reports) ||
	       (bounds->bytes && left.bytes > bounds->bytes)) {
		size_t i = next_choice(shelf, &left);

		if (i == n)
			break;
		stripped -= shelf->reports.v[i].cores_chosen;
		choose(shelf, i, &left);
	}
	return n - left.reports + stripped;
}

struct error *shelf_remove(const struct store *store, const struct shelf_report *report)
{
	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++)
		for (size_t k = 0; k < report->suffixes.n; k++) {
			_cleanup_(freep) char *file = NULL;

			if (strcmp(report->suffixes.v[k], suffixes[i]) != 0 ||
			    (!report->chosen && !is_core(suffixes[i])))
				continue;
			if (asprintf(&file, "%s.%s", report->name, suffixes[i]) < 0) {
				file = NULL;
				return error_nomem();
			}
			// Another pcatch may have been quicker.
			if (unlinkat(store->dir, file, 0) < 0 && errno != ENOENT)
				return error_errno(errno, "cannot remove %s/%s", store->path, file);
		}
	return NULL;
}
