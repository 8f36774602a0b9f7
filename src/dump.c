/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "dump.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "analyse/complete.h"
#include "cleanup.h"
#include "store/core.h"
#include "store/format.h"
#include "store/minidump.h"
#include "store/packed.h"
#include "walk/image.h"

// More than a compressed core of a few kilobytes may make of itself on a disk.
#define UNPACKED_MAX ((uint64_t)256 << 30)

static struct error *map_descriptor(int fd, uint64_t size, const char *path, void **ret,
				    size_t *len_ret)
{
	void *data = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);

	if (data == MAP_FAILED)
		return error_errno(errno, "cannot read %s", path);
	*ret = data;
	*len_ret = (size_t)size;
	return NULL;
}

// The whole of PATH, mapped. An empty file is no dump.
static struct error *map_file(const char *path, void **ret, size_t *len_ret)
{
	char header[MD_HEADER_SIZE];
	struct stat st;
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	ssize_t n = fd < 0 ? -1 : pread(fd, header, sizeof(header), 0);

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(errno, "cannot read %s", path);
	if (!S_ISREG(st.st_mode) || !st.st_size)
		return error_new(ERROR_SYSTEM, "cannot read %s: %s", path,
				 S_ISREG(st.st_mode) ? "it is empty" : "it is not a regular file");
	struct error *err = map_descriptor(fd, (uint64_t)st.st_size, path, ret, len_ret);
	// Notes are put behind the end of a minidump, and then its header is made to say so. A header
	// from before the size was asked for speaks of nothing beyond it.
	if (!err && n > 0)
		memcpy(*ret, header, (size_t)n < *len_ret ? (size_t)n : *len_ret);
	return err;
}

// In place of the packed file DUMP has what it unpacks to.
static struct error *unpack(struct dump *dump, const char *path)
{
	_cleanup_(closep) int fd = -1;
	uint64_t size = 0;
	struct error *err = packed_expand(dump->data, dump->len, UNPACKED_MAX, &fd, &size);

	munmap(dump->data, dump->len);
	dump->data = NULL;
	if (!err && !size)
		err = error_new(ERROR_INPUT, "it unpacks to nothing");
	return err ? error_prefix(err, "cannot read %s", path)
		   : map_descriptor(fd, size, path, &dump->data, &dump->len);
}

struct error *dump_map(const char *path, struct dump *dump)
{
	*dump = (struct dump){ .path = path };
	struct error *err = map_file(path, &dump->data, &dump->len);

	return !err && packed_is(dump->data, dump->len) ? unpack(dump, path) : err;
}

struct error *dump_read(struct dump *dump)
{
	bool core = core_is(dump->data, dump->len);
	struct error *err = NULL;

	// gdb is given the program first.
	if (!core && dump->len >= SELFMAG && !memcmp(dump->data, ELFMAG, SELFMAG))
		err = error_new(ERROR_INPUT, "it is a program or a library and no dump: name the dump "
					     "or core first, and binaries after it");
	else
		err = core ? core_read(dump->data, dump->len, &dump->snapshot)
			   : minidump_read(dump->data, dump->len, &dump->snapshot);

	dump->snapshot.places = dump->places;
	// Ours say by which version they were made, and lack nothing that could be had.
	if (!err && !*dump->snapshot.generator)
		err = snapshot_complete(&dump->snapshot);
	return error_prefix(err, "cannot read %s", dump->path ? dump->path : "the dump");
}

void dump_close(struct dump *dump)
{
	snapshot_deinit(&dump->snapshot);
	if (dump->data && dump->path)
		munmap(dump->data, dump->len);
	*dump = (struct dump){};
}

// The first page of each module's file, as the kernel puts it into a core: by the build ids in
// them readers know which files they need.
static struct error *add_headers(const struct snapshot *from, struct snapshot *to)
{
	struct images images;
	struct error *err = images_init(&images, from);

	for (size_t i = 0; !err && i < from->modules.n; i++) {
		taddr start = from->modules.v[i].start;
		void *page = arena_alloc(&to->arena, TARGET_PAGE);

		err = page ? snapshot_add_memory(to, start, page, mem_read_some(&images.mem.mem, start,
									 page, TARGET_PAGE))
			   : error_nomem();
	}
	images_deinit(&images);
	return err;
}

// What is missing of the page where a stack begins: readers that compute in pages would not see
// its frames. It is below the red zone, where nothing lives.
static struct error *fill_stack_pages(const struct snapshot *from, struct snapshot *to)
{
	static const uint8_t zeros[TARGET_PAGE];
	struct error *err = NULL;

	for (size_t i = 0; !err && i < from->threads.n; i++) {
		const struct thread *thread = &from->threads.v[i];
		size_t missing = thread->stack_start & (TARGET_PAGE - 1);

		if (thread->stack_end > thread->stack_start)
			err = snapshot_add_memory(to, thread->stack_start - missing, zeros, missing);
	}
	return err;
}

struct error *dump_core_memory(const struct snapshot *snapshot, struct snapshot *ret)
{
	struct error *err = NULL;

	*ret = (struct snapshot){};
	for (size_t i = 0; !err && i < snapshot->memory.n; i++)
		err = snapshot_add_memory(ret, snapshot->memory.v[i].at, snapshot->memory.v[i].data,
					  snapshot->memory.v[i].len);
	if (!err)
		err = add_headers(snapshot, ret);
	if (!err)
		err = fill_stack_pages(snapshot, ret);
	if (!err)
		err = snapshot_settle_memory(ret);
	if (err)
		snapshot_deinit(ret);
	return err;
}

struct error *dump_to_core(const struct snapshot *snapshot, struct buf *ret)
{
	struct snapshot more;
	struct error *err = dump_core_memory(snapshot, &more);

	if (err)
		return err;
	err = core_write(snapshot, more.memory.v, more.memory.n, ret);
	snapshot_deinit(&more);
	return err;
}
