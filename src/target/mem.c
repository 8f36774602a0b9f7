/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "mem.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "../cleanup.h"

size_t mem_read_some(const struct mem *mem, taddr at, void *ret, size_t len)
{
	if (len > UINT64_MAX - at)
		len = UINT64_MAX - at;
	return len ? mem->read(mem, at, ret, len) : 0;
}

struct error *mem_read(const struct mem *mem, taddr at, void *ret, size_t len)
{
	size_t n = mem_read_some(mem, at, ret, len);

	return n == len ? NULL : error_fault(at + n);
}

struct error *mem_u8(const struct mem *mem, taddr at, uint8_t *ret)
{
	return mem_read(mem, at, ret, sizeof(*ret));
}

struct error *mem_u16(const struct mem *mem, taddr at, uint16_t *ret)
{
	uint16_t v;
	struct error *err = mem_read(mem, at, &v, sizeof(v));

	if (!err)
		*ret = le16toh(v);
	return err;
}

struct error *mem_u32(const struct mem *mem, taddr at, uint32_t *ret)
{
	uint32_t v;
	struct error *err = mem_read(mem, at, &v, sizeof(v));

	if (!err)
		*ret = le32toh(v);
	return err;
}

struct error *mem_u64(const struct mem *mem, taddr at, uint64_t *ret)
{
	uint64_t v;
	struct error *err = mem_read(mem, at, &v, sizeof(v));

	if (!err)
		*ret = le64toh(v);
	return err;
}

struct error *mem_string(const struct mem *mem, taddr at, size_t max, struct arena *arena,
			 char **ret, bool *cut)
{
	_cleanup_(freep) char *text = NULL;
	size_t len = 0, room = 0;
	bool ended = false;

	while (!ended && len < max) {
		// Step to the next 64-byte border, so that no read crosses into a missing page.
		size_t want = 64 - (at + len) % 64;
		if (want > max - len)
			want = max - len;
		if (room - len < want) {
			char *grown = realloc(text, room = len + want + 256);
			if (!grown)
				return error_nomem();
			text = grown;
		}
		size_t got = mem_read_some(mem, at + len, text + len, want);
		if (!got)
			break;
		char *nul = memchr(text + len, '\0', got);
		ended = nul != NULL;
		len = ended ? (size_t)(nul - text) : len + got;
		if (got < want)
			break;
	}
	if (!len && !ended && max)
		return error_fault(at);
	char *copy = arena_strndup(arena, text, len);
	if (!copy)
		return error_nomem();
	if (cut)
		*cut = !ended;
	*ret = copy;
	return NULL;
}

static size_t bytes_read(const struct mem *mem, taddr at, void *ret, size_t len)
{
	const struct mem_bytes *bytes = container_of(mem, struct mem_bytes, mem);
	size_t lo = 0, hi = bytes->n, done = 0;

	// The last range that starts at or below AT.
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (bytes->ranges[mid].at <= at)
			lo = mid + 1;
		else
			hi = mid;
	}
	// Ranges that touch are read across.
	for (size_t i = lo ? lo - 1 : 0; i < bytes->n && done < len; i++) {
		const struct mem_range *r = &bytes->ranges[i];

		if (at + done < r->at || at + done - r->at >= r->len)
			break;
		size_t skip = at + done - r->at;
		size_t n = r->len - skip < len - done ? r->len - skip : len - done;
		memcpy((uint8_t *)ret + done, r->data + skip, n);
		done += n;
	}
	return done;
}

void mem_bytes_init(struct mem_bytes *bytes, const struct mem_range *ranges, size_t n)
{
	*bytes = (struct mem_bytes){ .mem.read = bytes_read, .ranges = ranges, .n = n };
}

static size_t layers_read(const struct mem *mem, taddr at, void *ret, size_t len)
{
	const struct mem_layers *layers = container_of(mem, struct mem_layers, mem);
	size_t done = 0;

	while (done < len) {
		size_t got = 0;

		for (size_t i = 0; i < layers->n && !got; i++)
			got = mem_read_some(layers->layers[i], at + done, (uint8_t *)ret + done,
					    len - done);
		if (!got)
			break;
		done += got;
	}
	return done;
}

void mem_layers_init(struct mem_layers *layers, const struct mem *const *below, size_t n)
{
	*layers = (struct mem_layers){ .mem.read = layers_read, .layers = below, .n = n };
}

#define RECORDER_TABLE ((size_t)256)

static size_t page_slot(struct mem_page **table, size_t size, taddr page)
{
	size_t i = (size_t)((page / TARGET_PAGE) * 0x9e3779b97f4a7c15u >> 20) & (size - 1);

	while (table[i] && table[i]->at != page)
		i = (i + 1) & (size - 1);
	return i;
}

// Room for one more page, NULL when the limit is met or there is no memory.
static struct mem_page *recorder_add(struct mem_recorder *r, taddr page)
{
	if (r->pages >= r->max_pages)
		return NULL;
	if ((r->pages + 1) * 4 > r->table_size * 3) {
		struct mem_page **table = calloc(r->table_size * 2, sizeof(struct mem_page *));

		if (!table)
			return NULL;
		for (size_t i = 0; i < r->table_size; i++)
			if (r->table[i])
				table[page_slot(table, r->table_size * 2, r->table[i]->at)] =
					r->table[i];
		free(r->table);
		r->table = table;
		r->table_size *= 2;
	}
	struct mem_page *p = arena_alloc(&r->arena, sizeof(*p));
	if (!p)
		return NULL;
	p->at = page;
	r->table[page_slot(r->table, r->table_size, page)] = p;
	r->pages++;
	return p;
}

static size_t recorder_read(const struct mem *mem, taddr at, void *ret, size_t len)
{
	struct mem_recorder *r = (struct mem_recorder *)container_of(mem, struct mem_recorder, mem);
	size_t done = 0;

	while (done < len) {
		taddr page = (at + done) & ~(TARGET_PAGE - 1);
		size_t skip = (size_t)(at + done - page);
		struct mem_page *p = r->table[page_slot(r->table, r->table_size, page)];

		if (!p) {
			p = recorder_add(r, page);
			if (!p)
				break;
			p->len = (uint32_t)mem_read_some(r->below, page, p->data, TARGET_PAGE);
		}
		if (skip >= p->len)
			break;
		size_t n = p->len - skip < len - done ? p->len - skip : len - done;
		memcpy((uint8_t *)ret + done, p->data + skip, n);
		done += n;
		if (skip + n < TARGET_PAGE && done < len)
			break;
	}
	return done;
}

static void recorder_prefetch(const struct mem *mem, const taddr *pages, size_t n)
{
	struct mem_recorder *r = (struct mem_recorder *)container_of(mem, struct mem_recorder, mem);
	_cleanup_(freep) struct mem_page **missing = malloc((n ? n : 1) * sizeof(struct mem_page *));
	size_t n_missing = 0;

	// What cannot be prefetched is read when it is asked for.
	if (!missing || !r->below->read_pages)
		return;
	for (size_t i = 0; i < n; i++) {
		if (r->table[page_slot(r->table, r->table_size, pages[i])])
			continue;
		struct mem_page *p = recorder_add(r, pages[i]);
		if (!p)
			break;
		missing[n_missing++] = p;
	}
	if (n_missing)
		r->below->read_pages(r->below, missing, n_missing);
}

struct error *mem_recorder_init(struct mem_recorder *recorder, const struct mem *below,
				size_t max_pages)
{
	struct mem_page **table = calloc(RECORDER_TABLE, sizeof(struct mem_page *));

	if (!table)
		return error_nomem();
	*recorder = (struct mem_recorder){ .mem.read = recorder_read,
					   .mem.prefetch = recorder_prefetch,
					   .below = below,
					   .table = table,
					   .table_size = RECORDER_TABLE,
					   .max_pages = max_pages };
	return NULL;
}

void mem_recorder_deinit(struct mem_recorder *recorder)
{
	free(recorder->table);
	arena_deinit(&recorder->arena);
	*recorder = (struct mem_recorder){};
}

struct error *mem_recorder_preload(struct mem_recorder *recorder, taddr page, const void *data)
{
	if (recorder->table[page_slot(recorder->table, recorder->table_size, page)])
		return NULL;
	if (recorder->pages >= recorder->max_pages)
		return NULL;
	struct mem_page *p = recorder_add(recorder, page);
	if (!p)
		return error_nomem();
	p->len = TARGET_PAGE;
	memcpy(p->data, data, TARGET_PAGE);
	return NULL;
}

static int range_compare(const void *a, const void *b)
{
	const struct mem_range *x = a, *y = b;

	return x->at < y->at ? -1 : x->at > y->at;
}

struct error *mem_recorder_ranges(const struct mem_recorder *recorder, struct arena *arena,
				  struct mem_range **ret, size_t *n_ret)
{
	struct mem_range *v = arena_alloc(arena, (recorder->pages + 1) * sizeof(*v));
	size_t n = 0;

	if (!v)
		return error_nomem();
	for (size_t i = 0; i < recorder->table_size; i++) {
		const struct mem_page *p = recorder->table[i];

		if (p && p->len)
			v[n++] = (struct mem_range){ .at = p->at, .len = p->len, .data = p->data };
	}
	qsort(v, n, sizeof(*v), range_compare);
	*ret = v;
	*n_ret = n;
	return NULL;
}
