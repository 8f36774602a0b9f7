/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is packed comes back, and what cannot be written says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "store/packed.h"

static void ok(struct error *err)
{
	if (err)
		fail_msg("%s", err->text);
}

static int temporary(void)
{
	char path[] = "/tmp/pcatch-packed-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	unlink(path);
	return fd;
}

static void pieces_come_back_as_one(void **state)
{
	enum { PIECE = 300000, PIECES = 7 };
	_cleanup_(closep) int fd = temporary(), back = -1;
	_cleanup_(freep) uint8_t *data = calloc(PIECES, PIECE), *packed = NULL, *unpacked = NULL;
	struct packer *packer;
	struct stat st;
	uint64_t size;

	(void)state;
	assert_non_null(data);
	// Every second piece is zeros, the others are as good as random.
	for (size_t i = 0; i < (size_t)PIECES * PIECE; i++)
		if (i / PIECE % 2)
			data[i] = (uint8_t)(i * i * UINT64_C(0x9e3779b97f4a7c15) >> 56);
	ok(packer_create(fd, "the file", &packer));
	for (size_t i = 0; i < PIECES; i++)
		ok(packer_add(packer, data + i * PIECE, PIECE));
	ok(packer_finish(packer));
	packer_destroy(packer);
	assert_int_equal(fstat(fd, &st), 0);
	assert_true(st.st_size < 4 * PIECE);
	packed = malloc((size_t)st.st_size);
	unpacked = malloc((size_t)PIECES * PIECE);
	assert_true(packed && unpacked);
	assert_int_equal(pread(fd, packed, (size_t)st.st_size, 0), st.st_size);
	assert_true(packed_is(packed, (size_t)st.st_size));
	ok(packed_expand(packed, (size_t)st.st_size, UINT64_C(1) << 30, &back, &size));
	assert_int_equal(size, PIECES * PIECE);
	assert_int_equal(pread(back, unpacked, size, 0), size);
	assert_memory_equal(unpacked, data, size);
}

static void a_file_that_takes_nothing_is_named(void **state)
{
	_cleanup_(closep) int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct packer *packer;

	(void)state;
	ok(packer_create(fd, "/some/where", &packer));
	struct error *err = packer_add(packer, "abc", 3);
	if (!err)
		err = packer_finish(packer);
	assert_non_null(err);
	assert_int_equal(err->kind, ERROR_SYSTEM);
	assert_non_null(strstr(err->text, "cannot write /some/where"));
	error_free(err);
	packer_destroy(packer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_come_back_as_one),
		cmocka_unit_test(a_file_that_takes_nothing_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
