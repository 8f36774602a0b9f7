/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "residence.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../cleanup.h"
#include "errand.h"

// 28 MiB of ours, and some 65000 mappings of other programs' defaults are far below.
#define RUNS_MAX ((size_t)1 << 19)
#define MAPPINGS_MAX ((size_t)1 << 18)
// Of one mapping; the kernel takes a second for its two gigabytes of entries.
#define MAPPING_MAX ((uint64_t)1 << 40)
#define ENTRIES 32768
// The longest path with each byte of it escaped, and what stands before it.
#define LINE 20480

// Documentation/admin-guide/mm/pagemap.rst
#define ENTRY_PRESENT (UINT64_C(1) << 63)
#define ENTRY_SWAPPED (UINT64_C(1) << 62)
#define ENTRY_FILE    (UINT64_C(1) << 61) // or shared memory
#define ENTRY_GUARD   (UINT64_C(1) << 58) // nothing to be read

// What smaps says of one mapping.
struct entry {
	taddr start, end;
	char permissions[5];
	bool nameless; // nothing but its pages says what is in it
	bool deleted;
	uint64_t rss, anonymous, swap; // bytes
};

struct survey {
	struct residence *residence;
	int pagemap;
	uint64_t page;
	_Atomic uint64_t *beat;
	uint64_t *entries; // ENTRIES of them
};

void residence_deinit(struct residence *residence)
{
	arena_deinit(&residence->arena);
	*residence = (struct residence){};
}

static bool add_page(struct survey *s, struct residence_mapping *m, taddr at, bool swapped,
		     bool nameless)
{
	struct residence *r = s->residence;
	struct residence_run *last = m->n_runs ? &r->runs.v[r->runs.n - 1] : NULL;

	if (last && last->at + last->len == at && last->swapped == swapped) {
		last->len += s->page;
		return true;
	}
	r->cut = r->runs.n == RUNS_MAX;
	struct residence_run *run = r->cut ? NULL : LIST_ADD(&r->arena, &r->runs);
	if (!run)
		return false;
	*run = (struct residence_run){ .at = at,
				       .len = s->page,
				       .swapped = swapped,
				       .follows = m->n_runs && nameless };
	m->n_runs++;
	return true;
}

// The entries of the pages from AT on; 0 at the end, or errno is set.
static size_t read_entries(struct survey *s, taddr at, size_t n)
{
	ssize_t got = -1;

	if (errand_may_block("its page tables")) {
		got = pread(s->pagemap, s->entries, n * sizeof(*s->entries),
			    (off_t)(at / s->page * sizeof(*s->entries)));
		errand_came_back();
	}
	atomic_fetch_add(s->beat, 1);
	return got > 0 ? (size_t)got / sizeof(*s->entries) : 0;
}

// Look at each page of what E stands for, and note those that are its own.
static struct error *survey_pages(struct survey *s, const struct entry *e, bool shared)
{
	struct residence *r = s->residence;
	struct residence_mapping m = { .start = e->start, .end = e->end, .first_run = r->runs.n };
	bool ok = true;
	size_t n = 1;

	memcpy(m.permissions, e->permissions, sizeof(m.permissions));
	for (taddr at = e->start; at < e->end && n && ok; at += n * s->page) {
		uint64_t left = (e->end - at) / s->page;

		n = read_entries(s, at, left < ENTRIES ? (size_t)left : ENTRIES);
		for (size_t i = 0; i < n && ok; i++) {
			uint64_t entry = s->entries[i];
			bool present = entry & ENTRY_PRESENT;
			bool swapped = !present && entry & ENTRY_SWAPPED && !(entry & ENTRY_GUARD);

			if (swapped || (present && (shared || !(entry & ENTRY_FILE)))) {
				ok = add_page(s, &m, at + i * s->page, swapped, e->nameless);
				*(swapped ? &r->swapped : &r->resident) += s->page;
				m.resident += swapped ? 0 : s->page;
			}
		}
	}
	if (!ok && !r->cut)
		return error_nomem();
	if (!m.n_runs)
		return NULL;
	struct residence_mapping *to = LIST_ADD(&r->arena, &r->mappings);
	if (!to)
		return error_nomem();
	*to = m;
	r->cut |= r->mappings.n == MAPPINGS_MAX;
	return NULL;
}

static bool has_flag(const char *flags, const char *flag)
{
	for (const char *p = flags; (p = strstr(p, flag)); p++)
		if (p[-1] == ' ' && (!p[2] || p[2] == ' '))
			return true;
	return false;
}

// FLAGS, the last line about a mapping, begins with "VmFlags:".
static struct error *survey_entry(struct survey *s, const struct entry *e, const char *flags)
{
	struct residence *r = s->residence;
	bool shared = e->permissions[3] == 's', huge = has_flag(flags, "ht");
	// Shared memory without a name is a file that has been deleted, as for core(5). smaps counts pages
	// of hugetlbfs apart.
	uint64_t own = shared ? (e->deleted ? e->rss : 0) : e->anonymous;

	if (has_flag(flags, "io") || has_flag(flags, "pf") || r->cut ||
	    !(own + e->swap || (huge && (!shared || e->deleted))))
		return NULL;
	if (has_flag(flags, "dd")) {
		r->unwanted += own + e->swap;
		return NULL;
	}
	if (e->end - e->start > MAPPING_MAX) {
		r->too_large++;
		return NULL;
	}
	return survey_pages(s, e, shared);
}

static bool parse_head(const char *line, struct entry *ret)
{
	static const char deleted[] = " (deleted)";
	size_t len = strlen(line);
	uint64_t inode;

	*ret = (struct entry){};
	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*x %*x:%*x %" SCNu64, &ret->start, &ret->end,
		   ret->permissions, &inode) != 4)
		return false;
	ret->nameless = !inode;
	ret->deleted = len >= sizeof(deleted) && !strcmp(line + len - (sizeof(deleted) - 1), deleted);
	return true;
}

// A line of smaps. E is the mapping that it is about.
static struct error *take_line(struct survey *s, const char *line, struct entry *e)
{
	uint64_t kilobytes;
	char key[32];

	if (*line < 'A' || *line > 'Z') {
		if (!parse_head(line, e) || e->end <= e->start)
			*e = (struct entry){};
		return NULL;
	}
	if (!e->end)
		return NULL;
	if (!strncmp(line, "VmFlags:", 8))
		return survey_entry(s, e, line);
	if (sscanf(line, "%31[^:]: %" SCNu64, key, &kilobytes) != 2)
		return NULL;
	if (!strcmp(key, "Rss"))
		e->rss = kilobytes << 10;
	else if (!strcmp(key, "Anonymous"))
		e->anonymous = kilobytes << 10;
	else if (!strcmp(key, "Swap"))
		e->swap = kilobytes << 10;
	return NULL;
}

static struct error *survey_all(struct survey *s, int smaps)
{
	struct entry e = {};
	char text[LINE];
	size_t have = 0;

	for (;;) {
		ssize_t n = -1;

		errno = ETIME;
		if (errand_may_block("its smaps")) {
			n = read(smaps, text + have, sizeof(text) - 1 - have);
			errand_came_back();
		}
		atomic_fetch_add(s->beat, 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(errno, "cannot read /proc/PID/smaps");
		if (!n)
			return NULL;
		have += (size_t)n;
		text[have] = '\0';
		char *line = text;
		for (char *end; (end = memchr(line, '\n', have - (size_t)(line - text))); line = end + 1) {
			*end = '\0';
			struct error *err = take_line(s, line, &e);
			if (err)
				return err;
		}
		have -= (size_t)(line - text);
		memmove(text, line, have);
		// No line is as long.
		if (have == sizeof(text) - 1)
			have = 0;
	}
}

static int open_at(int dir, const char *name)
{
	int fd = -1;

	errno = ETIME;
	if (errand_may_block(name)) {
		fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
		errand_came_back();
	}
	return fd;
}

struct error *residence_read(int proc_dir, _Atomic uint64_t *beat, struct residence *ret)
{
	struct residence residence = {};
	_cleanup_(freep) uint64_t *entries = calloc(ENTRIES, sizeof(*entries));
	_cleanup_(closep) int smaps = open_at(proc_dir, "smaps");
	_cleanup_(closep) int pagemap = smaps < 0 ? -1 : open_at(proc_dir, "pagemap");

	if (!entries)
		return error_nomem();
	if (pagemap < 0)
		return error_errno(errno, "cannot open /proc/PID/%s", smaps < 0 ? "smaps" : "pagemap");
	struct survey s = { .residence = &residence,
			    .pagemap = pagemap,
			    .page = (uint64_t)sysconf(_SC_PAGESIZE),
			    .beat = beat,
			    .entries = entries };
	struct error *err = survey_all(&s, smaps);
	if (err) {
		residence_deinit(&residence);
		return err;
	}
	*ret = residence;
	return NULL;
}
