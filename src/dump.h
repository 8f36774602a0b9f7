/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_DUMP_H
#define PCATCH_DUMP_H

#include "buf.h"
#include "target/snapshot.h"

/*
 * A file that a report can be made of: a minidump, or an ELF core as it is or compressed by zstd.
 * What another program wrote is completed by what the files on this machine tell.
 */
struct dump {
	struct snapshot snapshot; /* of a core: its memory points into the file */
	const struct places *places; /* where its modules' files may be; NULL: at their paths */
	const char *path;	  /* for errors; NULL: it is in our memory alone */
	void *data;		  /* the file, mapped, or borrowed where it has no path */
	size_t len;
};

/*
 * The file at PATH, mapped and unpacked: nothing of it is looked at yet, since whoever looks may
 * want to be in a sandbox. PATH is borrowed. On an error DUMP may be closed all the same.
 */
struct error *dump_map(const char *path, struct dump *dump) __attribute__((warn_unused_result));

/* The snapshot in it. */
struct error *dump_read(struct dump *dump) __attribute__((warn_unused_result));
void dump_close(struct dump *dump); /* safe on zero */

/*
 * The memory that a core of SNAPSHOT has, out of it and of the modules' files, which is put into RET:
 * settled, borrowing SNAPSHOT's, nothing else is set.
 */
struct error *dump_core_memory(const struct snapshot *snapshot, struct snapshot *ret)
	__attribute__((warn_unused_result));

/* A core file of what SNAPSHOT holds, and of the modules' first pages out of their files. */
struct error *dump_to_core(const struct snapshot *snapshot, struct buf *ret)
	__attribute__((warn_unused_result));

#endif
