/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Gives each file named on its command line to the fuzzer that it is linked with: as it is, or
 * with --mutations N first, N times cut at any byte or with bits flipped.
 *
 * A single input that takes longer than TIME_MAX seconds, or altogether more memory than
 * MEMORY_MAX, is the end.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "fuzz.h"

#if defined(__has_feature)
#define HAS_FEATURE(x) __has_feature(x)
#else
#define HAS_FEATURE(x) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || HAS_FEATURE(address_sanitizer)
#define HAS_SHADOW true
#else
#define HAS_SHADOW false
#endif

#define TIME_MAX   5 // seconds of the processor's, which a busy machine does not lengthen
#define MEMORY_MAX ((rlim_t)2 << 30)

static const char *path;
static unsigned long mutation;

static void told_too_long(int signo)
{
	char text[512];

	(void)signo;
	int n = snprintf(text, sizeof(text), "%s, mutation %lu: longer than %d s\n", path, mutation,
			 TIME_MAX);

	// Nothing else of this program runs any more.
	if (n > 0 && write(STDERR_FILENO, text, (size_t)n) < 0)
		_exit(2);
	_exit(1);
}

static void give(const uint8_t *data, size_t len)
{
	static const struct itimerval limit = { .it_value = { .tv_sec = TIME_MAX } }, none;

	setitimer(ITIMER_VIRTUAL, &limit, NULL);
	LLVMFuzzerTestOneInput(data, len);
	setitimer(ITIMER_VIRTUAL, &none, NULL);
}

// xorshift64*: the same mutations every time.
static uint64_t random_number(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(2685821657736338717);
}

// A copy of just its size, so that a byte read behind it is seen.
static void give_mutation(const struct buf *file, uint64_t *random)
{
	size_t len = file->len;
	bool cut = random_number(random) % 4 == 0;

	if (cut)
		len = random_number(random) % len;
	_cleanup_(freep) uint8_t *data = malloc(len + !len);
	if (!data)
		abort();
	memcpy(data, file->data, len);
	for (uint64_t n = cut ? 0 : 1 + random_number(random) % 8; len && n; n--) {
		// What is at the start decides most of the rest.
		size_t within = random_number(random) % 2 && len > 4096 ? 4096 : len;

		data[random_number(random) % within] ^= (uint8_t)(1 << random_number(random) % 8);
	}
	give(data, len);
}

static bool replay(unsigned long mutations)
{
	_cleanup_(buf_deinit) struct buf data = {};
	FILE *file = fopen(path, "re");
	uint64_t random = UINT64_C(88172645463325252);
	uint8_t block[4096];

	if (!file) {
		perror(path);
		return false;
	}
	for (size_t n; (n = fread(block, 1, sizeof(block), file));)
		buf_add(&data, block, n);
	bool whole = !ferror(file) && !data.failed;
	fclose(file);
	// Which one it was must be known when it does not come back.
	fprintf(stderr, "%s\n", path);
	if (whole)
		give(data.data, data.len);
	for (mutation = 1; whole && data.len && mutation <= mutations; mutation++)
		give_mutation(&data, &random);
	mutation = 0;
	return whole;
}

// The sanitizer maps terabytes that it does not use.
static void limit_memory(void)
{
	const struct rlimit limit = { MEMORY_MAX, MEMORY_MAX };

	if (!HAS_SHADOW)
		setrlimit(RLIMIT_AS, &limit);
}

int main(int argc, char **argv)
{
	int first = argc > 2 && !strcmp(argv[1], "--mutations") ? 3 : 1;
	unsigned long mutations = first == 3 ? strtoul(argv[2], NULL, 10) : 0;
	bool good = argc > first;

	signal(SIGVTALRM, told_too_long);
	limit_memory();
	for (int i = first; i < argc; i++) {
		path = argv[i];
		good = replay(mutations) && good;
	}
	return good ? 0 : 1;
}
