/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "bulk.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "../cleanup.h"
#include "../live/procmem.h"
#include "../live/residence.h"

#define BUFFER ((size_t)1 << 20)
// How often the one who waits looks up.
#define TICK INT64_C(50000000)
// What one buffer may take on a busy disk, for which the file is not given up.
#define GRACE INT64_C(500000000)
// Zeros between two runs that are put into the file, as a hole, rather than begin a segment.
#define HOLE_MAX ((uint64_t)16 << 20)
// What is left on a disk for the report.
#define ROOM_LEFT ((uint64_t)32 << 20)

// What becomes of one run of the residence.
struct part {
	uint64_t planned, copied; // bytes: a prefix
	uint64_t offset;	  // in the file
	bool joined;		  // with the part before, by zeros
};

enum stop {
	GO_ON,
	KILLED,	     // the process
	INTERRUPTED, // we
	STALLED,
	TOO_LONG,
	UNWRITABLE,
};

// The errand writes it until it is done or given up; who waits for it reads the numbers.
struct bulk_copy {
	const struct bulk_options *options;
	const struct snapshot *snapshot; // its stacks, to plan by
	struct procmem live;
	int proc_dir;
	bool lives; // on
	struct residence residence;
	struct part *parts; // one for each run
	size_t *order;	    // the mappings, the most important first
	uint64_t planned, end;
	int file;
	int errnum; // UNWRITABLE
	bool begun; // there is a plan
	struct error *err;
	uint64_t unreadable;
	_Atomic uint64_t total, done, beat;
	_Atomic int stop;
	const char *stuck; // in what it was given up
	int64_t held;
	uint8_t buffer[];
};

static void *zeroed(struct arena *arena, size_t n, size_t size)
{
	return arena_alloc(arena, (n ? n : 1) * size);
}

// The first of the mappings that end above AT.
static size_t mapping_above(const struct residence *r, taddr at)
{
	size_t lo = 0, hi = r->mappings.n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (r->mappings.v[mid].end <= at)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct ranked {
	uint64_t rank;
	size_t mapping;
};

static int compare_ranked(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return x->mapping < y->mapping ? -1 : x->mapping > y->mapping;
}

// Stacks first, then the small ones: the most different things that fit.
static bool rank(struct bulk_copy *c)
{
	struct residence *r = &c->residence;
	struct ranked *ranked = zeroed(&r->arena, r->mappings.n, sizeof(*ranked));

	c->order = zeroed(&r->arena, r->mappings.n, sizeof(*c->order));
	if (!ranked || !c->order)
		return false;
	for (size_t i = 0; i < r->mappings.n; i++)
		ranked[i] = (struct ranked){ r->mappings.v[i].resident, i };
	for (size_t i = 0; i < c->snapshot->threads.n; i++) {
		const struct thread *thread = &c->snapshot->threads.v[i];
		size_t k = mapping_above(r, thread->stack_start);

		if (k < r->mappings.n && r->mappings.v[k].start < thread->stack_end)
			ranked[k].rank = 0;
	}
	qsort(ranked, r->mappings.n, sizeof(*ranked), compare_ranked);
	for (size_t i = 0; i < r->mappings.n; i++)
		c->order[i] = ranked[i].mapping;
	return true;
}

// As much of the runs that are SWAPPED, or are not, as fits.
static void choose(struct bulk_copy *c, bool swapped)
{
	const struct residence *r = &c->residence;
	uint64_t limit = c->options->limit & ~(uint64_t)(sysconf(_SC_PAGESIZE) - 1);

	for (size_t i = 0; i < r->mappings.n; i++) {
		const struct residence_mapping *m = &r->mappings.v[c->order[i]];

		for (size_t k = m->first_run; k < m->first_run + m->n_runs; k++) {
			uint64_t left = limit - c->planned, len = r->runs.v[k].len;

			if (r->runs.v[k].swapped != swapped)
				continue;
			c->parts[k].planned = len < left ? len : left;
			c->planned += c->parts[k].planned;
		}
	}
}

// Places in the file, in the order of addresses, as debuggers like it.
static void place(struct bulk_copy *c)
{
	const struct residence *r = &c->residence;
	uint64_t end = c->options->start, holes = 0;

	for (size_t i = 0; i < r->runs.n; i++) {
		const struct residence_run *run = &r->runs.v[i], *before = run - 1;
		struct part *part = &c->parts[i];

		if (!part->planned)
			continue;
		if (run->follows && c->parts[i - 1].planned == before->len) {
			uint64_t hole = run->at - before->at - before->len;

			part->joined = hole <= HOLE_MAX && hole <= c->options->limit - holes;
			holes += part->joined ? hole : 0;
			end += part->joined ? hole : 0;
		}
		part->offset = end;
		end += part->planned;
	}
	c->end = end;
}

static void fail(struct bulk_copy *c, int errnum)
{
	c->errnum = errnum;
	atomic_store(&c->stop, UNWRITABLE);
}

static bool open_file(struct bulk_copy *c)
{
	struct statvfs fs;
	int fd = -1, known = -1;

	errno = ETIME;
	if (errand_may_block("the disk")) {
		fd = c->options->open(c->options->data);
		known = fd < 0 ? -1 : fstatvfs(fd, &fs);
		errand_came_back();
	}
	c->file = fd;
	if (fd < 0)
		fail(c, errno);
	else if (!known && fs.f_bavail * (uint64_t)fs.f_frsize < c->planned + ROOM_LEFT)
		fail(c, ENOSPC);
	return atomic_load(&c->stop) == GO_ON;
}

static bool write_out(struct bulk_copy *c, uint64_t offset, size_t len)
{
	int errnum = ETIME;

	if (errand_may_block("the disk")) {
		errnum = c->options->write(c->file, offset, c->buffer, len) ? errno : 0;
		errand_came_back();
	}
	if (errnum)
		fail(c, errnum);
	return !errnum;
}

static void copy_run(struct bulk_copy *c, const struct residence_run *run, struct part *part)
{
	while (part->copied < part->planned && atomic_load(&c->stop) == GO_ON) {
		uint64_t left = part->planned - part->copied;
		size_t want = left < BUFFER ? (size_t)left : BUFFER;
		size_t got = mem_read_some(&c->live.mem, run->at + part->copied, c->buffer, want);

		if (got && !write_out(c, part->offset + part->copied, got))
			return;
		part->copied += got;
		atomic_fetch_add(&c->done, got);
		atomic_fetch_add(&c->beat, 1);
		if (got < want) {
			c->unreadable += left - got;
			return;
		}
	}
}

static bool make_plan(struct bulk_copy *c)
{
	struct residence *r = &c->residence;

	c->err = residence_read(c->proc_dir, &c->beat, r);
	if (c->err)
		return false;
	c->parts = zeroed(&r->arena, r->runs.n, sizeof(*c->parts));
	if (!c->parts || !rank(c)) {
		c->err = error_nomem();
		return false;
	}
	choose(c, false);
	if (!c->lives)
		choose(c, true);
	place(c);
	atomic_store(&c->total, c->planned);
	c->begun = true;
	return true;
}

static void run_copy(void *arg)
{
	struct bulk_copy *c = arg;
	const struct residence *r = &c->residence;
	struct sched_param ordinary = {};

	// This takes too long for others on this processor to be kept waiting.
	sched_setscheduler(0, SCHED_OTHER, &ordinary);
	if (!make_plan(c) || !open_file(c))
		return;
	for (int swapped = 0; swapped < 2; swapped++)
		for (size_t i = 0; i < r->mappings.n; i++) {
			const struct residence_mapping *m = &r->mappings.v[c->order[i]];

			for (size_t k = m->first_run; k < m->first_run + m->n_runs; k++)
				if (r->runs.v[k].swapped == swapped)
					copy_run(c, &r->runs.v[k], &c->parts[k]);
		}
}

// They are blocked, and told of by tracer_next().
static bool somebody_wants_us(void)
{
	sigset_t pending;

	return !sigpending(&pending) && (sigismember(&pending, SIGINT) == 1 ||
					 sigismember(&pending, SIGTERM) == 1 ||
					 sigismember(&pending, SIGHUP) == 1);
}

static enum stop reason_to_stop(struct bulk_copy *c, const struct traced *process, int64_t now,
				int64_t start, int64_t moved)
{
	if (tracer_was_killed(process))
		return KILLED;
	if (somebody_wants_us())
		return INTERRUPTED;
	if (now - moved >= BULK_STALL)
		return STALLED;
	return now - start >= BULK_HOLD ? TOO_LONG : atomic_load(&c->stop);
}

static void watch_over(struct bulk_copy *c, struct errand *errand, const struct traced *process)
{
	const struct bulk_options *o = c->options;
	int64_t start = monotonic_now(), moved = start;
	uint64_t beat = 0;

	while (!errand_wait(errand, monotonic_now() + TICK)) {
		int64_t now = monotonic_now();
		uint64_t newer = atomic_load(&c->beat);
		int unstopped = GO_ON;

		if (newer != beat)
			moved = now;
		beat = newer;
		enum stop why = reason_to_stop(c, process, now, start, moved);
		if (why != GO_ON) {
			atomic_compare_exchange_strong(&c->stop, &unstopped, why);
			errand_wait(errand, why == STALLED ? now : now + GRACE);
			return;
		}
		o->progress(o->data, atomic_load(&c->done), atomic_load(&c->total));
	}
}

struct bulk_copy *bulk_take(struct errand **errand, const struct traced *process, bool lives,
			    const struct bulk_options *options, const struct snapshot *snapshot)
{
	struct bulk_copy *c = calloc(1, sizeof(*c) + BUFFER);
	int64_t start = monotonic_now();

	if (!c)
		return NULL;
	*c = (struct bulk_copy){ .options = options,
				 .snapshot = snapshot,
				 .proc_dir = process->proc_dir,
				 .lives = lives,
				 .file = -1 };
	procmem_init(&c->live, process->pid, process->mem_fd);
	errand_start(*errand, run_copy, c, INT64_MAX);
	watch_over(c, *errand, process);
	c->stuck = errand_give_up(*errand);
	if (c->stuck)
		errand_destroy(TAKE(*errand));
	c->held = monotonic_now() - start;
	options->progress(options->data, atomic_load(&c->total), atomic_load(&c->total));
	return c;
}

static struct error *add_segments(const struct bulk_copy *c, struct snapshot *snapshot)
{
	const struct residence *r = &c->residence;
	struct bulk *bulk = &snapshot->bulk;
	struct segment *last = NULL;

	for (size_t i = 0; i < r->mappings.n; i++) {
		const struct residence_mapping *m = &r->mappings.v[i];

		for (size_t k = m->first_run; k < m->first_run + m->n_runs; k++) {
			const struct part *part = &c->parts[k];
			taddr at = r->runs.v[k].at;

			if (!part->copied)
				continue;
			snapshot->full_core.bytes += part->copied;
			if (r->runs.v[k].swapped)
				snapshot->full_core.swapped += part->copied;
			if (last && part->joined &&
			    c->parts[k - 1].copied == r->runs.v[k - 1].len) {
				last->size = at + part->copied - last->at;
				continue;
			}
			last = LIST_ADD(&snapshot->arena, &bulk->segments);
			if (!last)
				return error_nomem();
			*last = (struct segment){ .at = at,
						  .size = part->copied,
						  .offset = part->offset };
			memcpy(last->permissions, m->permissions, sizeof(last->permissions));
		}
	}
	return NULL;
}

// Why it ended before all was copied that was planned; NULL: it did not.
static const char *why_stopped(const struct bulk_copy *c)
{
	switch (atomic_load(&c->stop)) {
	case KILLED:
		return "the process was killed while it was copied, and let go at once";
	case INTERRUPTED:
		return "pcatch was asked to end while it copied";
	case STALLED:
		return "nothing moved for 5 s";
	case TOO_LONG:
		return "the process was let go after 60 s";
	default:
		return NULL;
	}
}

struct size {
	char text[24];
};

// As --full-core takes it, more or less.
static struct size size(uint64_t bytes)
{
	struct size ret;

	if (bytes < UINT64_C(10) << 20)
		snprintf(ret.text, sizeof(ret.text), "%.0f KiB", (double)bytes / 1024);
	else
		snprintf(ret.text, sizeof(ret.text), "%.0f MiB", (double)bytes / (1 << 20));
	return ret;
}

static struct error *add_gaps(const struct bulk_copy *c, struct snapshot *s)
{
	const struct residence *r = &c->residence;
	uint64_t all = r->resident + (c->lives ? 0 : r->swapped), left_out = all - c->planned;
	const char *why = why_stopped(c), *stuck = c->stuck;
	bool slow = atomic_load(&c->stop) == TOO_LONG;
	struct error *err = NULL;

	if (left_out) {
		char *remedy = arena_printf(&s->arena, "--full-core=%lluM",
					    (unsigned long long)(all >> 20) + 1);

		if (!remedy)
			return error_nomem();
		err = gaps_add(&s->arena, &s->gaps, FULL_CORE, remedy,
			       "%s of %s did not fit into the limit of %s; stacks and small mappings "
			       "came first",
			       size(left_out).text, size(all).text, size(c->options->limit).text);
	}
	if (!err && (why || stuck))
		err = gaps_add(&s->arena, &s->gaps, FULL_CORE,
			       slow ? "put reports on a faster disk with -o DIR" : NULL,
			       "%s%s%s: %s of %s were copied",
			       why ? why : "it did not come back",
			       stuck ? ", copying waits for " : "", stuck ? stuck : "",
			       size(s->full_core.bytes).text, size(c->planned).text);
	if (!err && c->lives && r->swapped)
		err = gaps_add(&s->arena, &s->gaps, FULL_CORE, NULL,
			       "%s are swapped out and were left there, as the process lives on",
			       size(r->swapped).text);
	if (!err && c->unreadable)
		err = gaps_add(&s->arena, &s->gaps, FULL_CORE, NULL, "%s could not be read",
			       size(c->unreadable).text);
	if (!err && r->unwanted)
		err = gaps_add(&s->arena, &s->gaps, FULL_CORE, NULL,
			       "%s are left out as the program asked by madvise(MADV_DONTDUMP)",
			       size(r->unwanted).text);
	if (!err && (r->cut || r->unseen))
		err = gaps_add(&s->arena, &s->gaps, FULL_CORE, NULL,
			       "its mappings are too many or too large to be looked through");
	return err;
}

// Nothing is kept: neither the file, nor what the errand may still write into.
static struct error *give_up(struct bulk_copy *c, struct snapshot *s, struct error *why)
{
	s->bulk.failed = arena_strdup(&s->arena, why->text);
	if (!s->bulk.failed) {
		error_free(why);
		return error_nomem();
	}
	// Closing may wait for a disk that does not answer.
	if (c->file >= 0 && !c->stuck)
		close(c->file);
	return gaps_take(&s->arena, &s->gaps, FULL_CORE, NULL, why);
}

// What makes a file of no use. NULL: it is one.
static struct error *verdict(struct bulk_copy *c)
{
	if (!c->stuck && c->err)
		return TAKE(c->err);
	if (!c->stuck && c->errnum == ENOSPC)
		return error_errno(ENOSPC,
				   "cannot write its %s (choose another disk with -o DIR, or less "
				   "with --full-core=SIZE)",
				   size(c->planned).text);
	if (!c->stuck && c->errnum)
		return error_errno(c->errnum, "cannot write its %s", size(c->planned).text);
	if (!c->begun || c->file < 0 || (c->stuck && !strcmp(c->stuck, "the disk")))
		return error_new(ERROR_SYSTEM, "%s%s%s",
				 why_stopped(c) ? why_stopped(c) : "it was given up",
				 c->stuck ? ", copying waits for " : "", c->stuck ? c->stuck : "");
	return NULL;
}

struct error *bulk_finish(struct bulk_copy *c, struct snapshot *snapshot)
{
	snapshot_drop_bulk(snapshot);
	snapshot->bulk = (struct bulk){};
	snapshot->full_core.bytes = snapshot->full_core.swapped = 0;
	snapshot->full_core.held = c->held;
	struct error *why = verdict(c), *err;
	if (why) {
		err = give_up(c, snapshot, why);
	} else {
		snapshot->bulk.has_file = true;
		snapshot->bulk.file = c->file;
		snapshot->bulk.end = c->end;
		err = add_segments(c, snapshot);
		if (!err)
			err = add_gaps(c, snapshot);
	}
	// It may come back one day, into this very memory.
	if (!c->stuck) {
		residence_deinit(&c->residence);
		free(c);
	}
	return err;
}
