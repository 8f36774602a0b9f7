/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_STORE_CORE_H
#define PCATCH_STORE_CORE_H

#include "../buf.h"
#include "../target/snapshot.h"

/*
 * ELF core files. Ours are what gdb, lldb and elfutils read, with one difference to the kernel's:
 * program headers and notes stand behind the memory, so that memory can be written while a
 * process is held, and what became of the process when that is known. What a core has no place
 * for is in notes of our own: name CORE_NOTE_NAME, type as of the minidump stream that holds it.
 */

#define CORE_NOTE_NAME "PCATCH"

/* Where the memory begins in a file that core_begin() has begun. */
#define CORE_MEMORY_OFFSET ((uint64_t)4096)

/* The first CORE_MEMORY_OFFSET bytes of a core file whose core_end() will stand at offset TAIL. */
void core_begin(const struct arch *arch, size_t n_segments, uint64_t tail, struct buf *out);

/*
 * Program headers for LIST and the notes of SNAPSHOT, whose memory is not looked at, to stand
 * at file offset TAIL, a multiple of 8.
 */
struct error *core_end(const struct snapshot *snapshot, const segments *list,
		       uint64_t tail, struct buf *out) __attribute__((warn_unused_result));

/*
 * What of RANGES (sorted, not overlapping) lies in mappings of SNAPSHOT, all of it where that has
 * none, as segments that follow offset START in the file, a multiple of CORE_MEMORY_OFFSET. END_RET:
 * the offset behind them.
 */
struct error *core_plan(const struct snapshot *snapshot, const struct mem_range *ranges, size_t n,
			uint64_t start, struct arena *arena, segments *ret, uint64_t *end_ret)
	__attribute__((warn_unused_result));

/* A whole file for SNAPSHOT, whose memory is not looked at, with that of RANGES. */
struct error *core_write(const struct snapshot *snapshot, const struct mem_range *ranges, size_t n,
			 struct buf *ret) __attribute__((warn_unused_result));

/*
 * Read a core file of anybody's making; what it lacks is a gap in RET. RET's memory points into
 * DATA, which must outlive it. What minidump_read() and this make of one death of ours is alike.
 * ERROR_INPUT for what is no core file.
 */
struct error *core_read(const void *data, size_t len, struct snapshot *ret)
	__attribute__((warn_unused_result));

/* Are the LEN bytes at DATA the beginning of an ELF core file? */
bool core_is(const void *data, size_t len);

#endif
