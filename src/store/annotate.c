/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "annotate.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../arena.h"
#include "../cleanup.h"
#include "file.h"
#include "format.h"
#include "little.h"
#include "minidump.h"

#define STREAMS_MAX 4096 // of a file of anybody's making
#define NOTES_MAX   4096
// Breakpad drops the whole dictionary for one string that is longer.
#define STRING_MAX 1024

struct entry {
	uint32_t type, size, rva;
};

// A dump on the disk, as far as its directory tells.
struct dump {
	int fd;
	uint64_t len;
	struct entry *entries;
	size_t n;
};

static void dump_deinit(struct dump *dump)
{
	free(dump->entries);
}

// LEN bytes at AT, all or nothing.
static struct error *read_at(const struct dump *dump, uint64_t at, void *ret, size_t len)
{
	size_t done = 0;

	if (at > dump->len || len > dump->len - at)
		return error_new(ERROR_INPUT, "the dump ends before 0x%llx",
				 (unsigned long long)(at + len));
	while (done < len) {
		ssize_t n = pread(dump->fd, (char *)ret + done, len - done, (off_t)(at + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? error_errno(errno, "cannot read the dump")
				 : error_new(ERROR_INPUT, "the dump became shorter");
		done += (size_t)n;
	}
	return NULL;
}

static struct error *write_at(const struct dump *dump, uint64_t at, const void *data, size_t len)
{
	return file_write_at(dump->fd, at, data, len) ? error_errno(errno, "cannot write the dump")
						      : NULL;
}

static struct error *dump_open(int fd, struct dump *ret)
{
	_cleanup_(dump_deinit) struct dump dump = { .fd = fd };
	uint8_t header[MD_HEADER_SIZE];
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_errno(errno, "cannot read the dump");
	dump.len = (uint64_t)st.st_size;
	struct error *err = read_at(&dump, 0, header, sizeof(header));
	if (err)
		return err;
	if (u32_at(header) != MD_SIGNATURE || u32_at(header + 8) > STREAMS_MAX)
		return error_new(ERROR_INPUT, "no minidump");
	dump.n = u32_at(header + 8);
	_cleanup_(freep) uint8_t *raw = malloc(dump.n * MD_ENTRY_SIZE + 1);
	dump.entries = calloc(dump.n + 1, sizeof(*dump.entries));
	if (!raw || !dump.entries)
		return error_nomem();
	err = read_at(&dump, u32_at(header + 12), raw, dump.n * MD_ENTRY_SIZE);
	if (err)
		return err;
	for (size_t i = 0; i < dump.n; i++) {
		const uint8_t *p = raw + i * MD_ENTRY_SIZE;
		dump.entries[i] = (struct entry){ u32_at(p), u32_at(p + 4), u32_at(p + 8) };
	}
	*ret = TAKE(dump);
	return NULL;
}

static struct entry *find(const struct dump *dump, uint32_t type)
{
	for (size_t i = 0; i < dump->n; i++)
		if (dump->entries[i].type == type)
			return &dump->entries[i];
	return NULL;
}

// What is appended to the file, which ends at BASE.
struct tail {
	struct buf out;
	uint64_t base;
};

static void tail_deinit(struct tail *tail)
{
	buf_deinit(&tail->out);
}

static uint32_t tail_begin(struct tail *tail)
{
	buf_align(&tail->out, 8);
	return (uint32_t)(tail->base + tail->out.len);
}

static uint32_t add_string(struct tail *tail, const char *s)
{
	uint32_t rva = tail_begin(tail);
	size_t len = strnlen(s, STRING_MAX + 1);

	// What is too long ends before a character, not within one.
	if (len > STRING_MAX)
		for (len = STRING_MAX; len && (s[len] & 0xc0) == 0x80;)
			len--;
	buf_u32(&tail->out, (uint32_t)len);
	buf_add(&tail->out, s, len);
	buf_add(&tail->out, "", 1);
	return rva;
}

// A dictionary of the old pairs, whose strings stay where they are, and the new ones.
static struct error *add_dictionary(struct tail *tail, const struct dump *dump,
				    const uint8_t *info, const struct annotation *notes, size_t n,
				    struct entry *ret)
{
	uint32_t old_rva = u32_at(info + 40), old = 0;
	uint8_t count[4];
	struct error *err = NULL;

	if (old_rva) {
		err = read_at(dump, old_rva, count, sizeof(count));
		old = err ? 0 : u32_at(count);
	}
	if (err)
		return err;
	if (old > NOTES_MAX || n > NOTES_MAX)
		return error_new(ERROR_INPUT, "too many annotations in the dump");
	_cleanup_(freep) uint8_t *pairs = malloc(old * 8 + 1);
	_cleanup_(freep) uint32_t *fresh = calloc(2 * n + 1, sizeof(*fresh));
	if (!pairs || !fresh)
		return error_nomem();
	err = read_at(dump, old_rva + 4, pairs, old * 8);
	if (err)
		return err;
	for (size_t i = 0; i < n; i++) {
		fresh[2 * i] = add_string(tail, notes[i].key);
		fresh[2 * i + 1] = add_string(tail, notes[i].value);
	}
	ret->rva = tail_begin(tail);
	buf_u32(&tail->out, (uint32_t)(old + n));
	buf_add(&tail->out, pairs, old * 8);
	for (size_t i = 0; i < 2 * n; i++)
		buf_u32(&tail->out, fresh[i]);
	ret->size = (uint32_t)(tail->base + tail->out.len - ret->rva);
	return NULL;
}

// Crashpad's stream anew, with its dictionary in another place.
static struct error *add_notes(struct tail *tail, struct dump *dump,
			       const struct annotation *notes, size_t n)
{
	enum { INFO_SIZE = 64, DICTIONARY = 36 };
	uint8_t info[INFO_SIZE] = { 1 };
	struct entry *old = find(dump, MD_CRASHPAD_INFO), dictionary = {};
	struct error *err = NULL;

	if (!old) {
		old = &dump->entries[dump->n++];
		old->type = MD_CRASHPAD_INFO;
	} else {
		err = read_at(dump, old->rva, info, old->size < INFO_SIZE ? old->size : INFO_SIZE);
	}
	if (!err)
		err = add_dictionary(tail, dump, info, notes, n, &dictionary);
	if (err)
		return err;
	old->rva = tail_begin(tail);
	old->size = INFO_SIZE;
	buf_add(&tail->out, info, DICTIONARY);
	buf_u32(&tail->out, dictionary.size);
	buf_u32(&tail->out, dictionary.rva);
	buf_add(&tail->out, info + DICTIONARY + 8, INFO_SIZE - DICTIONARY - 8);
	return NULL;
}

static void set_stream(struct dump *dump, uint32_t type, uint32_t size, uint32_t rva)
{
	struct entry *entry = find(dump, type);

	if (!entry)
		entry = &dump->entries[dump->n++];
	*entry = (struct entry){ type, size, rva };
}

struct error *minidump_annotate(int fd, const struct buf *digest, const struct annotation *notes,
				size_t n)
{
	_cleanup_(dump_deinit) struct dump dump = {};
	_cleanup_(tail_deinit) struct tail tail = {};
	struct error *err = dump_open(fd, &dump);

	if (err)
		return err;
	// Room for the three streams that may be new.
	struct entry *entries = reallocarray(dump.entries, dump.n + 3, sizeof(*entries));
	if (!entries)
		return error_nomem();
	dump.entries = entries;
	tail.base = (dump.len + 15) & ~UINT64_C(15);
	err = add_notes(&tail, &dump, notes, n);
	if (err)
		return err;
	// Twice, since validators of minidumps do not like two streams to share their bytes.
	static const uint32_t types[] = { MINIDUMP_DIGEST_STREAM, MD_SOFT_ERRORS };
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		uint32_t rva = tail_begin(&tail);

		buf_add(&tail.out, digest->data, digest->len);
		set_stream(&dump, types[i], (uint32_t)digest->len, rva);
	}
	uint32_t directory = tail_begin(&tail);
	for (size_t i = 0; i < dump.n; i++) {
		buf_u32(&tail.out, dump.entries[i].type);
		buf_u32(&tail.out, dump.entries[i].size);
		buf_u32(&tail.out, dump.entries[i].rva);
	}
	err = buf_error(&tail.out);
	if (!err && tail.base + tail.out.len > UINT32_MAX)
		err = error_new(ERROR_UNSUPPORTED, "a dump of 4 GiB has no room for annotations");
	if (!err)
		err = write_at(&dump, tail.base, tail.out.data, tail.out.len);
	if (!err && fdatasync(fd))
		err = error_errno(errno, "cannot write the dump");
	// What there was room for says nothing to anybody. Where it stays, it harms nobody.
	if (err && ftruncate(fd, (off_t)dump.len) < 0)
		return err;
	if (err)
		return err;
	// Count and offset of the directory lie side by side, in one sector.
	uint32_t header[2] = { htole32((uint32_t)dump.n), htole32(directory) };
	err = write_at(&dump, 8, header, sizeof(header));
	if (!err && fdatasync(fd))
		err = error_errno(errno, "cannot write the dump");
	return err;
}

struct error *minidump_digest(int fd, struct buf *ret)
{
	_cleanup_(dump_deinit) struct dump dump = {};
	_cleanup_(buf_deinit) struct buf out = {};
	struct error *err = dump_open(fd, &dump);

	if (err)
		return err;
	const struct entry *entry = find(&dump, MINIDUMP_DIGEST_STREAM);
	if (entry && entry->size > DIGEST_MAX)
		return error_new(ERROR_INPUT, "a digest of %u bytes", entry->size);
	buf_zero(&out, (entry ? entry->size : 0) + 1);
	err = buf_error(&out);
	if (!err && entry)
		err = read_at(&dump, entry->rva, out.data, entry->size);
	if (err)
		return err;
	out.len--;
	*ret = TAKE(out);
	return NULL;
}
