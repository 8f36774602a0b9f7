/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "residence.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../cleanup.h"
#include "errand.h"

// 28 MiB of ours, and some 65000 mappings of other programs' defaults are far below.
#define RUNS_MAX ((size_t)1 << 19)
#define MAPPINGS_MAX ((size_t)1 << 18)
// Of one mapping, where the kernel cannot skip what is not there: it has two gigabytes of entries.
#define MAPPING_MAX ((uint64_t)1 << 40)
#define REGIONS 2048
#define ENTRIES 32768
// The longest path with each byte of it escaped, and what stands before it.
#define LINE 20480

// Documentation/admin-guide/mm/pagemap.rst
#define ENTRY_PRESENT (UINT64_C(1) << 63)
#define ENTRY_SWAPPED (UINT64_C(1) << 62)
#define ENTRY_FILE    (UINT64_C(1) << 61) // or shared memory
#define ENTRY_GUARD   (UINT64_C(1) << 58) // nothing to be read

// PAGEMAP_SCAN, ibidem: stretches of pages with something in common, since Linux 6.7. Headers may be
// older than the kernel.
struct scan {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t inverted, mask, anyof, returned;
};

struct region {
	uint64_t start, end, categories;
};

#define SCAN	     _IOWR('f', 16, struct scan)
#define SCAN_FILE    (UINT64_C(1) << 2)
#define SCAN_PRESENT (UINT64_C(1) << 3)
#define SCAN_SWAPPED (UINT64_C(1) << 4)
#define SCAN_ZERO    (UINT64_C(1) << 5) // the page of zeros that was read, never written to
#define SCAN_GUARD   (UINT64_C(1) << 8) // since Linux 6.15
#define SCAN_WANTED  (SCAN_FILE | SCAN_PRESENT | SCAN_SWAPPED | SCAN_ZERO)

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
	uint64_t returned; // categories that the kernel knows; 0: it has no such scan
	_Atomic uint64_t *beat;
	union {
		uint64_t entries[ENTRIES];
		struct region regions[REGIONS];
	} *answer;
};

void residence_deinit(struct residence *residence)
{
	arena_deinit(&residence->arena);
	*residence = (struct residence){};
}

static bool add_pages(struct residence *r, struct residence_mapping *m, taddr at, uint64_t len,
		      bool swapped, bool nameless)
{
	struct residence_run *last = m->n_runs ? &r->runs.v[r->runs.n - 1] : NULL;

	*(swapped ? &r->swapped : &r->resident) += len;
	m->resident += swapped ? 0 : len;
	if (last && last->at + last->len == at && last->swapped == swapped) {
		last->len += len;
		return true;
	}
	r->cut = r->runs.n == RUNS_MAX;
	struct residence_run *run = r->cut ? NULL : LIST_ADD(&r->arena, &r->runs);
	if (!run)
		return false;
	*run = (struct residence_run){ .at = at,
				       .len = len,
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
		got = pread(s->pagemap, s->answer->entries, n * sizeof(uint64_t),
			    (off_t)(at / s->page * sizeof(uint64_t)));
		errand_came_back();
	}
	atomic_fetch_add(s->beat, 1);
	return got > 0 ? (size_t)got / sizeof(uint64_t) : 0;
}

// Look at each page of E, and note in M those that are its own. False: no more can be noted.
static bool survey_each(struct survey *s, const struct entry *e, bool shared,
			struct residence_mapping *m)
{
	bool ok = true;
	size_t n = 1;

	for (taddr at = e->start; at < e->end && n && ok; at += n * s->page) {
		uint64_t left = (e->end - at) / s->page;

		n = read_entries(s, at, left < ENTRIES ? (size_t)left : ENTRIES);
		for (size_t i = 0; i < n && ok; i++) {
			uint64_t entry = s->answer->entries[i];
			bool present = entry & ENTRY_PRESENT;
			bool swapped = !present && entry & ENTRY_SWAPPED && !(entry & ENTRY_GUARD);

			if (swapped || (present && (shared || !(entry & ENTRY_FILE))))
				ok = add_pages(s->residence, m, at + i * s->page, s->page, swapped,
					       e->nameless);
		}
	}
	return ok;
}

// The stretches that there are from AT on, as many as fit; -1 and errno.
static long scan(struct survey *s, taddr at, taddr end)
{
	struct scan arg = { .size = sizeof(arg),
			    .start = at,
			    .end = end,
			    .vec = (uintptr_t)s->answer->regions,
			    .vec_len = REGIONS,
			    .anyof = SCAN_PRESENT | SCAN_SWAPPED,
			    .returned = s->returned };
	long n = -1;

	errno = ETIME;
	if (errand_may_block("its page tables")) {
		n = ioctl(s->pagemap, SCAN, &arg);
		errand_came_back();
	}
	atomic_fetch_add(s->beat, 1);
	return n;
}

// The same by stretches: what is not there costs no time. False: as above.
static bool survey_stretches(struct survey *s, const struct entry *e, bool shared,
			     struct residence_mapping *m)
{
	bool ok = true;
	long n = REGIONS;

	// When all fit, there are no more. Linux 6.18 has walk_end before the last of them then.
	for (taddr at = e->start; n == REGIONS && ok; at = s->answer->regions[REGIONS - 1].end) {
		n = scan(s, at, e->end);
		for (long i = 0; i < n && ok; i++) {
			const struct region *region = &s->answer->regions[i];
			uint64_t is = region->categories;
			bool swapped = is & SCAN_SWAPPED && !(is & SCAN_GUARD);

			if (swapped || (is & SCAN_PRESENT && !(is & SCAN_ZERO) &&
					(shared || !(is & SCAN_FILE))))
				ok = add_pages(s->residence, m, region->start,
					       region->end - region->start, swapped, e->nameless);
		}
	}
	s->residence->unseen += n < 0;
	return ok;
}

static struct error *survey_pages(struct survey *s, const struct entry *e, bool shared)
{
	struct residence *r = s->residence;
	struct residence_mapping m = { .start = e->start, .end = e->end, .first_run = r->runs.n };

	memcpy(m.permissions, e->permissions, sizeof(m.permissions));
	if (!s->returned && e->end - e->start > MAPPING_MAX) {
		r->unseen++;
		return NULL;
	}
	bool ok = s->returned ? survey_stretches(s, e, shared, &m) : survey_each(s, e, shared, &m);
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
	// Shared memory without a name is a file that has been deleted, as for core(5). smaps counts
	// pages of hugetlbfs apart.
	uint64_t own = shared ? (e->deleted ? e->rss : 0) : e->anonymous;

	if (has_flag(flags, "io") || has_flag(flags, "pf") || r->cut ||
	    !(own + e->swap || (huge && (!shared || e->deleted))))
		return NULL;
	if (has_flag(flags, "dd")) {
		r->unwanted += own + e->swap;
		return NULL;
	}
	return survey_pages(s, e, shared);
}

static bool parse_head(const char *line, struct entry *ret)
{
	static const char deleted[] = " (deleted)";
	size_t len = strlen(line), tail = sizeof(deleted) - 1;
	uint64_t inode;

	*ret = (struct entry){};
	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*x %*x:%*x %" SCNu64, &ret->start, &ret->end,
		   ret->permissions, &inode) != 4)
		return false;
	ret->nameless = !inode;
	ret->deleted = len > tail && !strcmp(line + len - tail, deleted);
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
		for (char *end; (end = strchr(line, '\n')); line = end + 1) {
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
	struct survey s = { .residence = &residence,
			    .page = (uint64_t)sysconf(_SC_PAGESIZE),
			    .returned = SCAN_WANTED | SCAN_GUARD,
			    .beat = beat };
	_cleanup_(freep) void *answer = s.answer = calloc(1, sizeof(*s.answer));
	_cleanup_(closep) int smaps = open_at(proc_dir, "smaps");
	_cleanup_(closep) int pagemap = smaps < 0 ? -1 : open_at(proc_dir, "pagemap");

	if (!answer)
		return error_nomem();
	if (pagemap < 0)
		return error_errno(errno, "cannot open /proc/PID/%s",
				   smaps < 0 ? "smaps" : "pagemap");
	s.pagemap = pagemap;
	// Of nothing, so as to see what the kernel knows.
	if (scan(&s, 0, 0) < 0)
		s.returned = SCAN_WANTED;
	if (scan(&s, 0, 0) < 0)
		s.returned = 0;
	struct error *err = survey_all(&s, smaps);
	if (err) {
		residence_deinit(&residence);
		return err;
	}
	*ret = residence;
	return NULL;
}
