/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * python-live [--search] PID: walk a running interpreter and print what was found, for
 * test_python_walk.py. What is printed was walked from the pages alone that a walk for
 * capture had touched before, as a report is.
 *
 * python-live --break ROUNDS PID: walk what was recorded ROUNDS times more, each time with other
 * words of it overwritten, and print how long the longest took.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "walk/python.h"
#include "walk/pywalk.h"

struct process_mem {
	struct mem mem;
	pid_t pid;
};

static size_t process_read(const struct mem *mem, taddr at, void *ret, size_t len)
{
	const struct process_mem *p = container_of(mem, struct process_mem, mem);
	size_t done = 0;

	while (done < len) {
		size_t n = TARGET_PAGE - (at + done) % TARGET_PAGE;
		if (n > len - done)
			n = len - done;
		struct iovec local = { (uint8_t *)ret + done, n };
		struct iovec remote = { (void *)(uintptr_t)(at + done), n };
		if (process_vm_readv(p->pid, &local, 1, &remote, 1, 0) != (ssize_t)n)
			break;
		done += n;
	}
	return done;
}

#define BATCH 512

// As src/live/procmem.c does it, which this must not need: a page that cannot be had ends a batch.
static void process_read_pages(const struct mem *mem, struct mem_page *const *pages, size_t n)
{
	const struct process_mem *p = container_of(mem, struct process_mem, mem);
	struct iovec local[BATCH], remote[BATCH];

	while (n) {
		size_t k = n < BATCH ? n : BATCH, done;

		for (size_t i = 0; i < k; i++) {
			local[i] = (struct iovec){ pages[i]->data, TARGET_PAGE };
			remote[i] = (struct iovec){ (void *)(uintptr_t)pages[i]->at, TARGET_PAGE };
		}
		ssize_t got = process_vm_readv(p->pid, local, k, remote, k, 0);
		done = got > 0 ? (size_t)got / TARGET_PAGE : 0;
		for (size_t i = 0; i < done; i++)
			pages[i]->len = TARGET_PAGE;
		if (done < k)
			pages[done++]->len = 0;
		pages += done;
		n -= done;
	}
}

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void check(struct error *err, const char *what)
{
	if (!err)
		return;
	fprintf(stderr, "%s: %s\n", what, err->text);
	exit(1);
}

static void read_maps(pid_t pid, struct snapshot *snapshot)
{
	char path[64];
	size_t room = 8 << 20;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t *text = arena_alloc(&snapshot->arena, room);
	size_t len = 0;

	if (fd < 0 || !text) {
		perror(path);
		exit(1);
	}
	while ((n = read(fd, text + len, room - 1 - len)) > 0)
		len += (size_t)n;
	close(fd);
	snapshot->process.maps = (struct bytes){ .data = text, .len = len };
}

static void print_state(const struct py_state *state)
{
	printf("state\t%u.%u.%u\tinterpreters %d\tfinalizing %d\tgil %d\tpublished %d\n",
	       state->version >> 24, state->version >> 16 & 255, state->version >> 8 & 255,
	       state->n_interpreters, state->finalizing, state->have_gil, state->published_layout);
	for (size_t i = 0; i < state->threads.n; i++) {
		const struct py_thread *t = &state->threads.v[i];

		printf("thread\t%d\t%" PRIu64 "\t%d\t%" PRId64 "\t%s\n", t->tid, t->pthread,
		       t->holds_gil, t->interpreter, t->gap ? t->gap : "");
		for (size_t k = 0; k < t->frames.n; k++) {
			const struct py_frame *f = &t->frames.v[k];

			printf("frame\t%s\t%s\t%d\t%d\t%d\n", f->function, f->file, f->line,
			       f->column, f->entry);
		}
	}
	for (size_t i = 0; i < state->gaps.n; i++)
		printf("gap\t%s\t%s\n", state->gaps.v[i].what, state->gaps.v[i].why);
}

// The same sequence everywhere, so that a round that fails can be had again.
static uint64_t random_word(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static uint64_t get_word(const uint8_t *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	return word;
}

static uint8_t *any_word(const struct mem_range *ranges, size_t n, uint64_t *seed, taddr *at_ret)
{
	const struct mem_range *range = &ranges[random_word(seed) % n];
	size_t i = random_word(seed) % (range->len / 8);

	*at_ret = range->at + i * 8;
	// Recorded by us: nobody else reads it.
	return (uint8_t *)(uintptr_t)(range->data + i * 8);
}

static uint64_t wrong_word(const struct mem_range *ranges, size_t n, uint64_t *seed, taddr own,
			   uint64_t was)
{
	taddr other;

	switch (random_word(seed) % 8) {
	case 0:
		return 0;
	case 1:
		return own;
	case 2:
		return UINT64_MAX;
	case 3:
		return (uint64_t)1 << 60;
	case 4:
		return was ^ (uint64_t)1 << random_word(seed) % 64;
	case 5:
		return random_word(seed);
	case 6:
		return get_word(any_word(ranges, n, seed, &other));
	default:
		any_word(ranges, n, seed, &other);
		return other;
	}
}

#define MAX_BROKEN 64

static void walk_broken(const struct mem_range *ranges, size_t n, const struct mem *mem,
			struct python_hint hint, int rounds)
{
	uint64_t seed = 88172645463325252;
	int64_t longest = 0;
	size_t frames = 0, all = 0;

	hint.locals = true;
	for (int round = 0; round < rounds; round++) {
		size_t broken = 1 + random_word(&seed) % MAX_BROKEN;
		uint64_t was[MAX_BROKEN];
		uint8_t *words[MAX_BROKEN];
		struct py_state state;

		for (size_t i = 0; i < broken; i++) {
			taddr at;

			// Most of memory is zeros, which nothing follows.
			for (int try = 0; try == 0 || (try < 8 && !get_word(words[i])); try++)
				words[i] = any_word(ranges, n, &seed, &at);
			was[i] = get_word(words[i]);
			uint64_t wrong = wrong_word(ranges, n, &seed, at, was[i]);
			memcpy(words[i], &wrong, sizeof(wrong));
		}
		int64_t start = now();
		check(walk_python(mem, &hint, round % 4 == 3, 0, &state), "walk of broken memory");
		int64_t took = now() - start;
		longest = took > longest ? took : longest;
		for (size_t i = 0; i < state.threads.n; i++)
			frames += state.threads.v[i].frames.n;
		all += round % 4 != 3 ? state.threads.n : 0;
		py_state_deinit(&state);
		// Back to front: a word may have been broken twice.
		while (broken--)
			memcpy(words[broken], &was[broken], sizeof(was[broken]));
	}
	printf("broken\t%d rounds\tlongest %" PRId64 " us\tthreads %zu\tframes %zu\n", rounds,
	       longest / 1000, all, frames);
}

int main(int argc, char **argv)
{
	bool search = argc == 3 && strcmp(argv[1], "--search") == 0;
	int rounds = argc == 4 && strcmp(argv[1], "--break") == 0 ? atoi(argv[2]) : 0;

	if (argc != 2 && !search && rounds < 1) {
		fprintf(stderr, "usage: python-live [--search | --break ROUNDS] PID\n");
		return 2;
	}
	struct process_mem process = { .mem.read = process_read,
				       .mem.read_pages = process_read_pages,
				       .pid = atoi(argv[argc - 1]) };
	struct snapshot snapshot;
	snapshot_init(&snapshot);
	read_maps(process.pid, &snapshot);
	check(snapshot_parse_maps(&snapshot), "maps");

	struct images images;
	check(images_init(&images, &snapshot), "images");
	struct python_hint hint = {};
	char *why = NULL;
	int64_t begin = now();
	check(search ? py_find_by_search(&images, &process.mem, &snapshot.arena, &hint, &why) :
		       python_find(&images, &process.mem, &snapshot.arena, &hint, &why),
	      "find");
	int64_t found = now();
	if (!hint.found) {
		printf("none\t%s\n", why ? why : "");
		images_deinit(&images);
		snapshot_deinit(&snapshot);
		return 0;
	}
	hint.locals = rounds > 0;
	printf("found\t%s\t%s\t%x\t%d\n", hint.found_by, hint.module, hint.version,
	       hint.asyncio != 0);

	struct mem_recorder recorder;
	struct py_state state;
	check(mem_recorder_init(&recorder, &process.mem, 100000), "recorder");
	int64_t start = now();
	check(walk_python(&recorder.mem, &hint, true, 0, &state), "capture");
	int64_t end = now();
	py_state_deinit(&state);

	struct mem_range *ranges;
	size_t n;
	struct mem_bytes bytes;
	check(mem_recorder_ranges(&recorder, &snapshot.arena, &ranges, &n), "ranges");
	mem_bytes_init(&bytes, ranges, n);
	if (rounds)
		walk_broken(ranges, n, &bytes.mem, hint, rounds);
	check(walk_python(&bytes.mem, &hint, false, 0, &state), "walk");
	int64_t walked = now();
	print_state(&state);
	printf("time\tfind %" PRId64 " us\tcapture %" PRId64 " us\twalk %" PRId64 " us\tpages %zu\n",
	       (found - begin) / 1000, (end - start) / 1000, (walked - end) / 1000, recorder.pages);

	py_state_deinit(&state);
	mem_recorder_deinit(&recorder);
	images_deinit(&images);
	snapshot_deinit(&snapshot);
	return 0;
}
