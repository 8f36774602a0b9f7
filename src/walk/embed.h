/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_WALK_EMBED_H
#define PCATCH_WALK_EMBED_H

#include "image.h"

enum embed {
	EMBED_AUTO,   /* of modules that a stack may lead through, up to EMBED_BOUND */
	EMBED_NEVER,
	EMBED_ALWAYS, /* of every module, up to EMBED_BOUND_ALWAYS */
};

#define EMBED_BOUND	   ((size_t)4 << 20)
#define EMBED_BOUND_ALWAYS ((size_t)256 << 20)

/*
 * Put what unwinding needs of the modules' files among SNAPSHOT's memory, where it is mapped: the
 * page with the ELF headers, .eh_frame_hdr and .eh_frame. A dump of it can then be unwound where
 * there are no binaries. It is read from the files that are held open, never from the process.
 */
struct error *embed_unwind(struct snapshot *snapshot, enum embed mode)
	__attribute__((warn_unused_result));

#endif
