/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "dump.h"
#include "store/annotate.h"
#include "store/format.h"
#include "store/minidump.h"

static const struct annotation notes[] = { { "cause", "broken-pipe" }, { "verdict", "It ended." } };

static void ok(struct error *err)
{
	if (err)
		fail_msg("%s", err->text);
}

// A small dump of ours in a file without a name.
static int dump_file(struct buf *dump)
{
	struct snapshot s;
	int fd = memfd_create("dump", MFD_CLOEXEC);

	snapshot_init(&s);
	s.host.arch = arch_by_id(ARCH_X86_64);
	s.process.pid = 4711;
	s.process.comm = arena_strdup(&s.arena, "app");
	s.time.death = 1700000042987654321;
	strcpy(s.id, "01234567-89ab-cdef-0123-456789abcdef");
	ok(minidump_write(&s, dump));
	snapshot_deinit(&s);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, dump->data, dump->len), dump->len);
	return fd;
}

static struct buf text(const char *s)
{
	struct buf ret = {};

	buf_addstr(&ret, s);
	return ret;
}

static uint8_t *map(int fd, size_t *len)
{
	struct stat st;

	assert_return_code(fstat(fd, &st), 0);
	*len = (size_t)st.st_size;
	uint8_t *ret = mmap(NULL, *len, PROT_READ, MAP_PRIVATE, fd, 0);
	assert_true(ret != MAP_FAILED);
	return ret;
}

static uint32_t u32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

// Offset and size of the one stream of TYPE; it fails when there are several.
static size_t stream(const uint8_t *file, uint32_t type, size_t *len)
{
	size_t found = 0;

	for (uint32_t i = 0; i < u32(file + 8); i++) {
		const uint8_t *entry = file + u32(file + 12) + 12 * i;

		if (u32(entry) != type)
			continue;
		assert_int_equal(found, 0);
		found = u32(entry + 8);
		*len = u32(entry + 4);
	}
	return found;
}

// The value of KEY among Crashpad's simple annotations.
static const char *note_value(const uint8_t *file, const char *key)
{
	size_t len = 0, info = stream(file, MD_CRASHPAD_INFO, &len);
	const uint8_t *dictionary = file + u32(file + info + 40);

	assert_int_equal(len, 64);
	assert_int_equal(u32(file + info + 36), 4 + 8 * u32(dictionary));
	for (uint32_t i = 0; i < u32(dictionary); i++)
		if (!strcmp((const char *)file + u32(dictionary + 4 + 8 * i) + 4, key))
			return (const char *)file + u32(dictionary + 8 + 8 * i) + 4;
	return NULL;
}

static void what_was_found_is_in_the_dump_and_the_dump_is_as_before(void **state)
{
	struct buf dump = {}, digest = text("{\"cause\":\"broken-pipe\"}"), back = {};
	struct snapshot before, after;
	int fd = dump_file(&dump);
	size_t len, n = 0;

	(void)state;
	ok(minidump_digest(fd, &back));
	assert_int_equal(back.len, 0);
	buf_deinit(&back);
	ok(minidump_annotate(fd, &digest, notes, 2));
	ok(minidump_digest(fd, &back));
	assert_int_equal(back.len, digest.len);
	assert_memory_equal(back.data, digest.data, digest.len);

	uint8_t *file = map(fd, &len);
	assert_string_equal(note_value(file, "cause"), "broken-pipe");
	assert_string_equal(note_value(file, "verdict"), "It ended.");
	assert_string_equal(note_value(file, "process"), "app"); // it was there before
	// The same twice, in places of their own.
	size_t own = stream(file, MINIDUMP_DIGEST_STREAM, &n), soft = stream(file, MD_SOFT_ERRORS, &n);
	assert_int_equal(n, digest.len);
	assert_true(soft >= own + digest.len || own >= soft + digest.len);
	assert_memory_equal(file + soft, digest.data, digest.len);
	// What the file was is still in it, byte for byte, but for the pointer to the directory.
	assert_memory_equal(file + 16, dump.data + 16, dump.len - 16);
	ok(minidump_read(dump.data, dump.len, &before));
	ok(minidump_read(file, len, &after));
	assert_string_equal(after.id, before.id);
	assert_int_equal(after.gaps.n, before.gaps.n);
	snapshot_deinit(&before);
	snapshot_deinit(&after);
	munmap(file, len);
	close(fd);
	buf_deinit(&dump);
	buf_deinit(&digest);
	buf_deinit(&back);
}

static void a_second_time_replaces_the_digest(void **state)
{
	struct buf dump = {}, one = text("{\"n\":1}"), two = text("{\"n\":2}"), back = {};
	int fd = dump_file(&dump);
	size_t len, n;

	(void)state;
	ok(minidump_annotate(fd, &one, notes, 2));
	ok(minidump_annotate(fd, &two, NULL, 0));
	ok(minidump_digest(fd, &back));
	assert_string_equal(back.data, "{\"n\":2}");
	uint8_t *file = map(fd, &len);
	assert_string_equal(note_value(file, "cause"), "broken-pipe");
	assert_true(stream(file, MINIDUMP_DIGEST_STREAM, &n) > 0);
	munmap(file, len);
	close(fd);
	buf_deinit(&dump);
	buf_deinit(&one);
	buf_deinit(&two);
	buf_deinit(&back);
}

// Cut anywhere and with any word of header, directory or annotations spoilt: an error or an answer.
static void spoilt_dumps_are_survived(void **state)
{
	struct buf dump = {}, digest = text("{}");
	int fd = dump_file(&dump);
	size_t len, refused = 0, tried = 0;

	(void)state;
	ok(minidump_annotate(fd, &digest, notes, 2));
	uint8_t *file = map(fd, &len);
	for (size_t at = 0; at < len; at += at < 64 ? 1 : 61) {
		static const uint32_t words[] = { 0, 1, 0x7fffffff, 0xffffffff, 0xfffffff0 };

		for (size_t w = 0; w <= sizeof(words) / sizeof(*words); w++) {
			int spoilt = memfd_create("spoilt", MFD_CLOEXEC);
			struct buf back = {};

			assert_int_equal(write(spoilt, file, w ? len : at), w ? len : at);
			if (w && at + 4 <= len)
				assert_int_equal(pwrite(spoilt, &words[w - 1], 4, (off_t)at), 4);
			refused += (size_t)error_drop(minidump_digest(spoilt, &back));
			refused += (size_t)error_drop(minidump_annotate(spoilt, &digest, notes, 2));
			tried += 2;
			buf_deinit(&back);
			close(spoilt);
		}
	}
	assert_true(refused > 0 && refused < tried);
	munmap(file, len);
	close(fd);
	buf_deinit(&dump);
	buf_deinit(&digest);
}

static void a_dump_that_cannot_be_written_is_left_as_it_was(void **state)
{
	struct buf dump = {}, digest = text("{}");
	int fd = dump_file(&dump);
	char path[64];
	size_t len;

	(void)state;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int read_only = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(read_only >= 0);
	assert_true(error_drop(minidump_annotate(read_only, &digest, notes, 2)));
	uint8_t *file = map(fd, &len);
	assert_int_equal(len, dump.len);
	assert_memory_equal(file, dump.data, len);
	munmap(file, len);
	close(read_only);
	close(fd);
	buf_deinit(&dump);
	buf_deinit(&digest);
}

static void a_dump_that_was_opened_before_is_read_as_it_was(void **state)
{
	struct buf bytes = {}, digest = text("{}");
	int fd = dump_file(&bytes);
	struct dump dump = {};
	char path[32];

	(void)state;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ok(dump_map(path, &dump));
	ok(minidump_annotate(fd, &digest, notes, 2));
	snapshot_init(&dump.snapshot);
	ok(dump_read(&dump));
	assert_int_equal(dump.snapshot.process.pid, 4711);
	dump_close(&dump);
	buf_deinit(&bytes);
	buf_deinit(&digest);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_found_is_in_the_dump_and_the_dump_is_as_before),
		cmocka_unit_test(a_second_time_replaces_the_digest),
		cmocka_unit_test(spoilt_dumps_are_survived),
		cmocka_unit_test(a_dump_that_cannot_be_written_is_left_as_it_was),
		cmocka_unit_test(a_dump_that_was_opened_before_is_read_as_it_was),
	};

	return cmocka_run_group_tests_name("annotate", tests, NULL, NULL);
}
