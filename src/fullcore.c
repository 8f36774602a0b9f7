/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fullcore.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "dump.h"
#include "store/core.h"
#include "store/packed.h"

#define CHUNK ((size_t)1 << 20)
// Between two words on the progress, for a terminal and for a log.
#define SOON  INT64_C(100000000)
#define LATER INT64_C(2000000000)

static int open_scratch(const void *data)
{
	const struct fullcore *f = data;

	return store_scratch(f->store);
}

static void show_progress(const void *data, uint64_t done, uint64_t total)
{
	struct fullcore *f = (struct fullcore *)data;
	int64_t now = monotonic_now();
	bool first = !f->said, over = done == total;

	if (first)
		f->said = now;
	if (f->line && over && !first)
		fputs("\r\033[K", stderr);
	else if (!over && total && now - f->said >= (f->line ? SOON : LATER) &&
		 (f->line || f->words)) {
		f->said = now;
		fprintf(stderr,
			f->line ? "\r%s: %3.0f%% of %.0f MiB\033[K" : "%s: %.0f%% of %.0f MiB\n",
			f->doing, 100.0 * (double)done / (double)total, (double)total / (1 << 20));
	}
	if (over)
		f->said = 0;
}

void fullcore_init(struct fullcore *ret, const struct store *store, const struct options *options)
{
	*ret = (struct fullcore){ .bulk = { .limit = options->full_core,
					    .start = CORE_MEMORY_OFFSET,
					    .open = open_scratch,
					    .write = file_write_sparse,
					    .progress = show_progress,
					    .data = ret },
				  .store = store,
				  .doing = "full core",
				  .line = !options->quiet && isatty(STDERR_FILENO),
				  .words = !options->quiet && options->verbose };
}

// What of RANGES is not among HAVE; both are sorted.
static struct error *subtract(struct arena *arena, const regions *ranges, const segments *have,
			      regions *ret)
{
	size_t next = 0;

	for (size_t i = 0; i < ranges->n; i++) {
		struct mem_range left = ranges->v[i];

		while (next < have->n && have->v[next].at + have->v[next].size <= left.at)
			next++;
		for (size_t k = next; left.len; k++) {
			taddr end = left.at + left.len;
			taddr at = k < have->n && have->v[k].at < end ? have->v[k].at : end;
			struct mem_range *piece = at > left.at ? LIST_ADD(arena, ret) : NULL;

			if (piece)
				*piece = (struct mem_range){ .at = left.at,
							     .len = (size_t)(at - left.at),
							     .data = left.data };
			else if (at > left.at)
				return error_nomem();
			taddr behind = at < end ? have->v[k].at + have->v[k].size : end;
			if (behind > end)
				behind = end;
			left.data += behind - left.at;
			left.len = (size_t)(end - behind);
			left.at = behind;
		}
	}
	return NULL;
}

static int compare_segments(const void *a, const void *b)
{
	const struct segment *x = a, *y = b;

	return x->at < y->at ? -1 : x->at > y->at;
}

static const struct mem_range *range_of(const regions *ranges, taddr at)
{
	size_t lo = 0, hi = ranges->n;

	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (ranges->v[mid].at <= at)
			lo = mid;
		else
			hi = mid;
	}
	return &ranges->v[lo];
}

// What the capture has besides, to where it was PLANNED.
static int write_rest(int fd, const regions *rest, const segments *planned)
{
	for (size_t i = 0; i < planned->n; i++) {
		const struct segment *segment = &planned->v[i];
		const struct mem_range *from = range_of(rest, segment->at);

		if (file_write_at(fd, segment->offset, from->data + (segment->at - from->at),
				  (size_t)segment->size))
			return -1;
	}
	return 0;
}

// Headers, notes and what is not yet there of the memory, so that the file becomes a core.
static struct error *complete(int fd, const struct snapshot *snapshot)
{
	const struct arch *arch = snapshot->host.arch ? snapshot->host.arch : arch_host();
	const struct bulk *bulk = &snapshot->bulk;
	_cleanup_(snapshot_deinit) struct snapshot more = {};
	_cleanup_(buf_deinit) struct buf head = {}, tail = {};
	_cleanup_(arena_deinit) struct arena arena = {};
	uint64_t start = (bulk->end + CORE_MEMORY_OFFSET - 1) & ~(CORE_MEMORY_OFFSET - 1), end;
	regions rest = {};
	segments all = {}, planned;
	struct error *err = dump_core_memory(snapshot, &more);

	if (!err)
		err = subtract(&arena, &more.memory, &bulk->segments, &rest);
	if (!err)
		err = core_plan(snapshot, rest.v, rest.n, start, &arena, &planned, &end);
	if (err)
		return err;
	all.n = bulk->segments.n + planned.n;
	all.v = arena_alloc(&arena, (all.n + 1) * sizeof(*all.v));
	if (!all.v)
		return error_nomem();
	if (bulk->segments.n)
		memcpy(all.v, bulk->segments.v, bulk->segments.n * sizeof(*all.v));
	if (planned.n)
		memcpy(all.v + bulk->segments.n, planned.v, planned.n * sizeof(*all.v));
	qsort(all.v, all.n, sizeof(*all.v), compare_segments);
	core_begin(arch, all.n, end, &head);
	err = core_end(snapshot, &all, end, &tail);
	if (!err)
		err = buf_error(&head);
	if (err)
		return err;
	if (write_rest(fd, &rest, &planned) || file_write_at(fd, end, tail.data, tail.len) ||
	    file_write_at(fd, 0, head.data, head.len))
		return error_errno(errno, "cannot write it");
	return NULL;
}

// All of FROM into TO, through PACKER when there is one.
static struct error *copy(int from, const struct draft *to, struct packer *packer,
			  struct fullcore *f)
{
	_cleanup_(freep) uint8_t *chunk = malloc(CHUNK);
	struct error *err = chunk ? NULL : error_nomem();
	struct stat st = {};
	ssize_t n = 1;

	fstat(from, &st);
	for (uint64_t at = 0; !err && n > 0; at += n > 0 ? (uint64_t)n : 0) {
		n = pread(from, chunk, CHUNK, (off_t)at);
		if (n < 0)
			err = error_errno(errno, "cannot read what was written for %s", to->path);
		else if (packer)
			err = packer_add(packer, chunk, (size_t)n);
		else if (file_write_sparse(to->fd, at, chunk, (size_t)n))
			err = error_errno(errno, "cannot write %s", to->path);
		show_progress(f, at, (uint64_t)st.st_size);
	}
	show_progress(f, 1, 1);
	return err;
}

static struct error *write_copy(const struct store *store, const char *name,
				const struct options *options, int from, char **path_ret)
{
	bool compress = options->compress;
	struct fullcore f;
	_cleanup_(draft_discard) struct draft draft = { .fd = -1 };
	_cleanup_(packer_destroyp) struct packer *packer = NULL;
	struct error *err = draft_begin(store, name, compress ? "core.zst" : "core", &draft);

	fullcore_init(&f, store, options);
	f.doing = compress ? "compressing it" : "copying it";
	if (!err && compress)
		err = packer_create(draft.fd, draft.path, &packer);
	if (!err)
		err = copy(from, &draft, packer, &f);
	if (!err && packer)
		err = packer_finish(packer);
	return err ? err : draft_publish(&draft, path_ret);
}

struct error *fullcore_write(const struct store *store, const char *name,
			     const struct options *options, struct snapshot *snapshot,
			     char **path_ret)
{
	_cleanup_(draft_discard) struct draft draft = { .fd = -1 };
	int fd = snapshot->bulk.file;

	snapshot->bulk.has_file = false;
	struct error *err = draft_adopt(store, fd, name, "core", &draft);
	if (!err)
		err = error_prefix(complete(fd, snapshot), "%s/%s.core", store->path, name);
	if (err)
		return err;
	if (options->compress)
		return write_copy(store, name, options, fd, path_ret);
	err = draft_publish(&draft, path_ret);
	if (!err || err->kind != ERROR_UNSUPPORTED)
		return err;
	error_free(err);
	return write_copy(store, name, options, fd, path_ret);
}
