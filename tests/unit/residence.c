/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which pages are a process's own: from what the kernel might say, and by what it says of us. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/mman.h>

#include "cleanup.h"
#include "folder.h"
#include "live/residence.h"

#define PRESENT (UINT64_C(1) << 63)
#define SWAPPED (UINT64_C(1) << 62)
#define OF_FILE (UINT64_C(1) << 61)
#define GUARD	(UINT64_C(1) << 58)

enum { BASE = 0x10, PAGES = 0x60 }; // the first page that there is an entry of, and the end

static void ok(struct error *err)
{
	if (err)
		fail_msg("%s", err->text);
}

static struct residence residence_of(const char *smaps, const uint64_t *entries)
{
	struct folder folder = folder_make();
	_Atomic uint64_t beat = 0;
	struct residence ret;
	int fd;

	folder_text(&folder, "smaps", smaps);
	folder_put(&folder, "pagemap", "", 0);
	fd = openat(folder.fd, "pagemap", O_WRONLY | O_CLOEXEC);
	for (size_t i = 0; i < PAGES - BASE; i++)
		assert_int_equal(pwrite(fd, &entries[i], 8, (off_t)(8 * (BASE + i))), 8);
	close(fd);
	ok(residence_read(folder.fd, &beat, &ret));
	assert_true(beat > 0);
	folder_remove(&folder);
	return ret;
}

// Addresses are in pages, whatever their size is here.
static char *text(const char *pattern)
{
	static char ret[16384];
	unsigned long page = (unsigned long)sysconf(_SC_PAGESIZE);
	char *to = ret;

	for (; *pattern; pattern++) {
		if (*pattern == '@') {
			unsigned long n = strtoul(pattern + 1, (char **)&pattern, 16);

			to += sprintf(to, "%lx", n * page);
			pattern--;
		} else {
			*to++ = *pattern;
		}
	}
	*to = '\0';
	return ret;
}

#define FIELDS(rss, anonymous, swap, flags)                                                        \
	"Size: 64 kB\nRss: " rss " kB\nPss: 0 kB\nAnonymous: " anonymous " kB\nSwap: " swap      \
	" kB\nTHPeligible: 0\nVmFlags: rd wr " flags "\n"

static void a_run(const struct residence *r, size_t i, uint64_t at, uint64_t pages, bool swapped,
		  bool follows)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	assert_true(i < r->runs.n);
	assert_int_equal(r->runs.v[i].at, at * page);
	assert_int_equal(r->runs.v[i].len, pages * page);
	assert_int_equal(r->runs.v[i].swapped, swapped);
	assert_int_equal(r->runs.v[i].follows, follows);
}

static void what_is_a_process_s_own(void **state)
{
	uint64_t e[PAGES - BASE] = {};
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	(void)state;
	e[0x10 - BASE] = e[0x11 - BASE] = PRESENT;
	e[0x14 - BASE] = PRESENT;
	e[0x15 - BASE] = SWAPPED;
	e[0x16 - BASE] = SWAPPED | GUARD;
	e[0x20 - BASE] = PRESENT | OF_FILE;
	e[0x21 - BASE] = PRESENT;
	e[0x23 - BASE] = PRESENT;
	for (size_t i = 0x30; i < 0x38; i++)
		e[i - BASE] = PRESENT | OF_FILE;
	e[0x40 - BASE] = e[0x50 - BASE] = PRESENT;
	struct residence r = residence_of(
		text("@10-@18 rw-p 00000000 00:00 0 \n" FIELDS("12", "12", "4", "mr ac")
		     "@20-@28 rw-p 00001000 08:01 77    /lib/x (deleted) y\n" FIELDS("12", "8", "0", "mr")
		     "@30-@32 rw-s 00000000 00:01 78    /dev/zero (deleted)\n" FIELDS("8", "0", "0", "sh")
		     "@34-@36 rw-s 00000000 08:01 79    /var/lib/database\n" FIELDS("8", "0", "0", "sh")
		     "@36-@38 rw-s 00000000 00:05 80    /dev/card\n" FIELDS("8", "8", "0", "io pf dd")
		     "@40-@48 rw-p 00000000 00:00 0 \n" FIELDS("4", "4", "4", "ac dd")
		     "@50-@54 rw-p 00000000 00:00 0 \n" FIELDS("0", "0", "0", "ac")),
		e);

	assert_int_equal(r.mappings.n, 3);
	assert_int_equal(r.runs.n, 6);
	a_run(&r, 0, 0x10, 2, false, false);
	a_run(&r, 1, 0x14, 1, false, true);
	a_run(&r, 2, 0x15, 1, true, true);
	// Between pages of a file is the file.
	a_run(&r, 3, 0x21, 1, false, false);
	a_run(&r, 4, 0x23, 1, false, false);
	a_run(&r, 5, 0x30, 2, false, false);
	assert_int_equal(r.mappings.v[0].n_runs, 3);
	assert_int_equal(r.mappings.v[0].resident, 3 * page);
	assert_int_equal(r.mappings.v[1].first_run, 3);
	assert_string_equal(r.mappings.v[2].permissions, "rw-s");
	assert_int_equal(r.resident, 7 * page);
	assert_int_equal(r.swapped, page);
	assert_int_equal(r.unwanted, 8192);
	assert_false(r.cut);
	residence_deinit(&r);
}

static void names_that_pretend_to_be_lines(void **state)
{
	static char smaps[32768];
	uint64_t e[PAGES - BASE] = {};
	char *to = smaps;

	(void)state;
	e[0x10 - BASE] = PRESENT;
	to += sprintf(to, "%s", text("@10-@18 rw-p 00000000 08:01 77    /"));
	// The kernel escapes what would end a line; this is the longest that there can be.
	for (int i = 0; i < 4095; i++)
		to += sprintf(to, "\\012");
	sprintf(to, "%s", text("VmFlags: io @20-@28\n" FIELDS("4", "4", "0", "ac")
			       "nonsense\nVmFlags: rd\n@18-@10 rw-p 0 0:0 0\nVmFlags: rd\n"));
	struct residence r = residence_of(smaps, e);
	assert_int_equal(r.runs.n, 1);
	a_run(&r, 0, 0x10, 1, false, false);
	residence_deinit(&r);
}

// Every other page of more than the kernel tells at a time.
static void our_own_pages_are_found(void **state)
{
	enum { OWN = 10000 };
	size_t page = (size_t)sysconf(_SC_PAGESIZE), n = 0;
	char *at = mmap(NULL, OWN * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	_cleanup_(closep) int dir = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_Atomic uint64_t beat = 0;
	struct residence r;

	(void)state;
	assert_true(at != MAP_FAILED);
	madvise(at, OWN * page, MADV_NOHUGEPAGE);
	for (size_t i = 1; i < OWN; i += 2)
		at[i * page] = 1;
	struct error *err = residence_read(dir, &beat, &r);
	if (err) {
		print_message("%s\n", err->text);
		error_free(err);
		skip();
	}
	for (size_t i = 0; i < r.runs.n; i++) {
		const struct residence_run *run = &r.runs.v[i];

		// The kernel may have joined it with a neighbour.
		if (run->at < (uintptr_t)at || run->at >= (uintptr_t)at + OWN * page)
			continue;
		assert_int_equal(run->at, (uintptr_t)at + (2 * n + 1) * page);
		assert_true(run->len == page || n == OWN / 2 - 1);
		n++;
	}
	assert_int_equal(n, OWN / 2);
	residence_deinit(&r);
	munmap(at, OWN * page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_a_process_s_own),
		cmocka_unit_test(names_that_pretend_to_be_lines),
		cmocka_unit_test(our_own_pages_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
