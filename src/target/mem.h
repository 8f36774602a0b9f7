/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_TARGET_MEM_H
#define PCATCH_TARGET_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../arena.h"
#include "../error.h"

/* An address in the target, which may be of another architecture: never a pointer of ours. */
typedef uint64_t taddr;

#define TARGET_PAGE ((taddr)4096)

struct mem_page;

/*
 * A way to read target memory: a process, a dump, module files, an array of bytes in a test. A
 * backend embeds this and finds itself by container_of.
 */
struct mem {
	/*
	 * Read up to LEN bytes at AT, without a gap: returns how many could be had, 0 when the
	 * byte at AT is missing. AT + LEN does not wrap.
	 */
	size_t (*read)(const struct mem *mem, taddr at, void *ret, size_t len);

	/* Optional, with read_pages() below: N pages (their addresses) will be read soon. */
	void (*prefetch)(const struct mem *mem, const taddr *pages, size_t n);

	/*
	 * Optional, where many pages are faster had together than one by one: fill `data` and
	 * `len` of N pages whose `at` is set, as read() would.
	 */
	void (*read_pages)(const struct mem *mem, struct mem_page *const *pages, size_t n);
};

/*
 * Read LEN bytes at AT, all or nothing. Bytes that cannot be had are ERROR_FAULT with the
 * first missing address; whether that page existed is a question for snapshot_mapping_at().
 */
struct error *mem_read(const struct mem *mem, taddr at, void *ret, size_t len)
	__attribute__((warn_unused_result));

/* As much of it as there is; returns the number of bytes. */
size_t mem_read_some(const struct mem *mem, taddr at, void *ret, size_t len);

/* Little-endian integers, the byte order of every architecture we know. */
struct error *mem_u8(const struct mem *mem, taddr at, uint8_t *ret) __attribute__((warn_unused_result));
struct error *mem_u16(const struct mem *mem, taddr at, uint16_t *ret) __attribute__((warn_unused_result));
struct error *mem_u32(const struct mem *mem, taddr at, uint32_t *ret) __attribute__((warn_unused_result));
struct error *mem_u64(const struct mem *mem, taddr at, uint64_t *ret) __attribute__((warn_unused_result));

/*
 * The NUL-terminated string at AT, at most MAX bytes of it, as a C string in ARENA. It is cut
 * where memory ends or at MAX, and CUT (may be NULL) says so. ERROR_FAULT only if the first
 * byte is missing.
 */
struct error *mem_string(const struct mem *mem, taddr at, size_t max, struct arena *arena,
			 char **ret, bool *cut) __attribute__((warn_unused_result));

/* Bytes of ours that stand for target memory; borrowed. Sorted by address, not overlapping. */
struct mem_range {
	taddr at;
	size_t len;
	const uint8_t *data;
};

struct mem_bytes {
	struct mem mem;
	const struct mem_range *ranges;
	size_t n;
};

void mem_bytes_init(struct mem_bytes *bytes, const struct mem_range *ranges, size_t n);

/* Several backends, the first that has a byte wins; the array is borrowed. */
struct mem_layers {
	struct mem mem;
	const struct mem *const *layers;
	size_t n;
};

void mem_layers_init(struct mem_layers *layers, const struct mem *const *below, size_t n);

/*
 * A reader that keeps every page it was asked for: each page is read from BELOW once, kept, and
 * can afterwards be listed. At most MAX_PAGES are kept; past them reads fault.
 */
struct mem_recorder {
	struct mem mem;
	const struct mem *below;
	struct mem_page **table; /* open hashing by page number; size a power of two */
	size_t table_size, pages, max_pages;
	struct arena arena;
};

struct mem_page {
	taddr at;
	uint32_t len; /* bytes that could be had: a prefix of the page, 0 for none */
	uint8_t data[4096];
};

struct error *mem_recorder_init(struct mem_recorder *recorder, const struct mem *below,
				size_t max_pages) __attribute__((warn_unused_result));
void mem_recorder_deinit(struct mem_recorder *recorder);

/* Put a page that was read by other means (in one batch) into the recorder. */
struct error *mem_recorder_preload(struct mem_recorder *recorder, taddr page, const void *data)
	__attribute__((warn_unused_result));

/* The pages read so far in order of address, as ranges that borrow the recorder's memory. */
struct error *mem_recorder_ranges(const struct mem_recorder *recorder, struct arena *arena,
				  struct mem_range **ret, size_t *n_ret)
	__attribute__((warn_unused_result));

#endif
