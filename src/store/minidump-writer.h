/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_STORE_MINIDUMP_WRITER_H
#define PCATCH_STORE_MINIDUMP_WRITER_H

#include "../buf.h"
#include "../target/snapshot.h"
#include "context.h"

/*
 * A minidump in the making: what minidump.c, which writes the file, shares with
 * minidump-memory.c, which decides what memory goes into it.
 */

#define MD_MAX_STREAMS 32

struct md_range {
	taddr at;
	size_t len;
	const uint8_t *data;
	bool wanted;  /* first when there is not room for all */
	uint32_t rva; /* 0: not in MemoryList */
};

struct md_added_line {
	size_t at, len;
};

struct md_writer {
	struct buf *out;
	const struct snapshot *s;
	const struct context_format *format;
	struct mem_bytes mem;
	struct arena arena;
	LIST(struct md_range) ranges; /* by address; what of the memory is written */
	bool all_listed;	      /* every range is in MemoryList */
	/* Memory that was never there: the unreadable bytes between an overflown stack and its SP. */
	regions guards;
	LIST(struct md_added_line) added_lines; /* in the maps stream, not in the text */
	const struct thread **threads;		/* those of ThreadList */
	size_t n_threads;
	size_t *contexts; /* where theirs are */
	struct {
		uint32_t type;
		size_t size, rva;
	} dir[MD_MAX_STREAMS];
	size_t n_dir;
};

/* Streams are written between md_begin(), which says where they are, and md_end(). */
size_t md_begin(struct md_writer *w);
void md_end(struct md_writer *w, uint32_t type, size_t rva);
void md_location(struct buf *out, size_t size, size_t rva);

/* What of the snapshot's memory is written, and which of it Breakpad's readers must find. */
struct error *md_plan_memory(struct md_writer *w) __attribute__((warn_unused_result));

/* The range that holds AT, NULL when none does. */
struct md_range *md_range_at(struct md_writer *w, taddr at);

/* The bytes of MemoryList's ranges, right behind the header, and the list. */
void md_write_memory(struct md_writer *w);

/*
 * When MemoryList could not hold everything: a list of all of it. Returns where it wants to be
 * told the offset of its bytes, which come last in the file; 0 when it was not needed.
 */
size_t md_write_memory64(struct md_writer *w);

/*
 * The text of process.maps, with a line for each guard that has bytes in the dump, as readers
 * want every byte to be mapped. It describes what is there: the kernel lets nothing else be
 * mapped in that place.
 */
struct error *md_write_maps(struct md_writer *w) __attribute__((warn_unused_result));

#endif
