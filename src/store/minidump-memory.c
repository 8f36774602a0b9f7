/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "format.h"
#include "minidump-writer.h"

// What Breakpad's reader accepts; it drops a list that is longer.
#define MAX_RANGES 4096
#define MAX_RANGE  ((size_t)64 << 20)

// MemoryList has 32-bit file offsets and shares them with all that follows it.
#define MAX_LISTED_BYTES ((uint64_t)3 << 30)

// The kernel keeps this much below a growing stack free of mappings (stack_guard_gap's default).
#define STACK_GUARD ((taddr)1 << 20)

// The captured region that holds AT or is the next above it, NULL when there is none.
static const struct mem_range *region_from(const struct snapshot *s, taddr at)
{
	size_t lo = 0, hi = s->memory.n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->memory.v[mid].at + s->memory.v[mid].len <= at)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < s->memory.n ? &s->memory.v[lo] : NULL;
}

static int compare_at(const void *a, const void *b)
{
	const struct mem_range *x = a, *y = b;

	return x->at < y->at ? -1 : x->at > y->at;
}

// A stack overflow leaves SP below its stack, where nothing can be read. Readers refuse a thread
// whose stack does not contain its SP, so the gap is filled with zeros; ours takes them out again.
static struct error *plan_guards(struct md_writer *w)
{
	regions all = {};

	for (size_t i = 0; i < w->n_threads; i++) {
		taddr sp = regs_sp(&w->threads[i]->regs) & ~(taddr)15;
		const struct mapping *m = snapshot_mapping_at(w->s, sp);
		const struct mem_range *above = region_from(w->s, sp);

		if (!w->s->mappings.n || (m && m->permissions[0] == 'r') || !above ||
		    above->at <= sp || above->at - sp > STACK_GUARD)
			continue;
		struct mem_range *guard = LIST_ADD(&w->arena, &all);
		if (!guard)
			return error_nomem();
		*guard = (struct mem_range){ .at = sp, .len = (size_t)(above->at - sp) };
	}
	if (all.n)
		qsort(all.v, all.n, sizeof(*all.v), compare_at);
	for (size_t i = 0; i < all.n; i++) {
		const struct mem_range *last = w->guards.n ? &w->guards.v[w->guards.n - 1] : NULL;

		// Two threads in one gap: the lower one's covers the other's.
		if (last && all.v[i].at < last->at + last->len)
			continue;
		struct mem_range *guard = LIST_ADD(&w->arena, &w->guards);
		if (!guard)
			return error_nomem();
		*guard = all.v[i];
	}
	return NULL;
}

static struct error *add_range(struct md_writer *w, taddr at, taddr end, const uint8_t *data)
{
	while (at < end) {
		size_t len = end - at < MAX_RANGE ? (size_t)(end - at) : MAX_RANGE;
		struct md_range *r = LIST_ADD(&w->arena, &w->ranges);

		if (!r)
			return error_nomem();
		*r = (struct md_range){ .at = at, .len = len, .data = data };
		at += len;
		data += len;
	}
	return NULL;
}

// What of REGION some mapping covers, from mapping *MI on, which moves on; without a map all of it.
// GUARD (may be NULL) ends where REGION begins: one range in the file too, a stack is one piece.
static struct error *add_region(struct md_writer *w, const struct mem_range *region, size_t *mi,
				const struct mem_range *guard)
{
	const struct mapping *v = w->s->mappings.v;
	size_t n = w->s->mappings.n;
	taddr at = region->at, stop = region->at + region->len;

	while (at < stop) {
		taddr from = at, to = stop;

		if (n) {
			while (*mi < n && v[*mi].end <= at)
				++*mi;
			if (*mi == n || v[*mi].start >= stop)
				return NULL;
			if (v[*mi].start > from)
				from = v[*mi].start;
			size_t last = *mi;
			while (last + 1 < n && v[last].end < stop && v[last + 1].start == v[last].end)
				last++;
			if (v[last].end < to)
				to = v[last].end;
		}
		const uint8_t *data = region->data + (from - region->at);
		if (guard && from == region->at) {
			uint8_t *both = arena_alloc(&w->arena, guard->len + (size_t)(to - from));
			if (!both)
				return error_nomem();
			memcpy(both + guard->len, data, (size_t)(to - from));
			data = both;
			from = guard->at;
		}
		struct error *err = add_range(w, from, to, data);
		if (err)
			return err;
		at = to;
	}
	return NULL;
}

struct md_range *md_range_at(struct md_writer *w, taddr at)
{
	size_t lo = 0, hi = w->ranges.n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		struct md_range *r = &w->ranges.v[mid];

		if (at < r->at)
			hi = mid;
		else if (at - r->at < r->len)
			return r;
		else
			lo = mid + 1;
	}
	return NULL;
}

struct error *md_plan_memory(struct md_writer *w)
{
	size_t guard = 0, mapping = 0;
	struct error *err = plan_guards(w);

	for (size_t i = 0; !err && i < w->s->memory.n; i++) {
		const struct mem_range *region = &w->s->memory.v[i];
		const struct mem_range *g = guard < w->guards.n ? &w->guards.v[guard] : NULL;

		if (g && g->at + g->len == region->at)
			guard++;
		else
			g = NULL;
		err = add_region(w, region, &mapping, g);
	}
	if (err)
		return err;
	for (size_t i = 0; i < w->n_threads; i++) {
		struct md_range *stack = md_range_at(w, regs_sp(&w->threads[i]->regs));
		struct md_range *code = md_range_at(w, regs_pc(&w->threads[i]->regs));

		if (stack)
			stack->wanted = true;
		if (code)
			code->wanted = true;
	}
	return NULL;
}

void md_write_memory(struct md_writer *w)
{
	size_t wanted = 0, listed = 0;
	uint64_t bytes = 0;

	for (size_t i = 0; i < w->ranges.n; i++)
		wanted += w->ranges.v[i].wanted;
	size_t others = wanted < MAX_RANGES ? MAX_RANGES - wanted : 0;
	for (size_t i = 0; i < w->ranges.n; i++) {
		struct md_range *r = &w->ranges.v[i];

		if ((!r->wanted && !others) || listed == MAX_RANGES ||
		    r->len > MAX_LISTED_BYTES - bytes)
			continue;
		others -= !r->wanted;
		listed++;
		bytes += r->len;
		buf_align(w->out, 16);
		r->rva = (uint32_t)w->out->len;
		buf_add(w->out, r->data, r->len);
	}
	w->all_listed = listed == w->ranges.n;

	size_t rva = md_begin(w);
	buf_u32(w->out, (uint32_t)listed);
	for (size_t i = 0; i < w->ranges.n; i++) {
		const struct md_range *r = &w->ranges.v[i];

		if (!r->rva)
			continue;
		buf_u64(w->out, r->at);
		md_location(w->out, r->len, r->rva);
	}
	md_end(w, MD_MEMORY_LIST, rva);
}

size_t md_write_memory64(struct md_writer *w)
{
	if (w->all_listed)
		return 0;
	size_t rva = md_begin(w);
	buf_u64(w->out, w->ranges.n);
	size_t base_at = w->out->len;
	buf_u64(w->out, 0);
	for (size_t i = 0; i < w->ranges.n; i++) {
		buf_u64(w->out, w->ranges.v[i].at);
		buf_u64(w->out, w->ranges.v[i].len);
	}
	md_end(w, MD_MEMORY64_LIST, rva);
	return base_at;
}

// Lines for those parts of GUARD's pages that no mapping covers.
static struct error *add_guard_lines(struct md_writer *w, size_t rva, const struct mem_range *guard)
{
	taddr start = guard->at & ~(TARGET_PAGE - 1);
	taddr stop = (guard->at + guard->len + TARGET_PAGE - 1) & ~(TARGET_PAGE - 1);

	for (size_t i = 0; i <= w->s->mappings.n && start < stop; i++) {
		const struct mapping *m = i < w->s->mappings.n ? &w->s->mappings.v[i] : NULL;
		taddr to = m && m->start < stop ? m->start : stop;

		if (to > start) {
			struct md_added_line *line = LIST_ADD(&w->arena, &w->added_lines);
			if (!line)
				return error_nomem();
			line->at = w->out->len - rva;
			buf_printf(w->out, "%08llx-%08llx ---p 00000000 00:00 0 \n",
				   (unsigned long long)start, (unsigned long long)to);
			line->len = w->out->len - rva - line->at;
		}
		if (m && m->end > start)
			start = m->end;
	}
	return NULL;
}

struct error *md_write_maps(struct md_writer *w)
{
	const struct bytes *maps = &w->s->process.maps;
	size_t guard = 0, rva = md_begin(w);

	if (!maps->len)
		return NULL;
	for (size_t done = 0; done < maps->len;) {
		const char *line = (const char *)maps->data + done;
		const char *nl = memchr(line, '\n', maps->len - done);
		size_t len = nl ? (size_t)(nl - line) + 1 : maps->len - done;
		// A NUL stands behind the text.
		taddr start = strtoull(line, NULL, 16);

		for (; guard < w->guards.n && w->guards.v[guard].at < start; guard++) {
			struct error *err = add_guard_lines(w, rva, &w->guards.v[guard]);
			if (err)
				return err;
		}
		buf_add(w->out, line, len);
		done += len;
	}
	md_end(w, MD_MAPS, rva);
	return NULL;
}
