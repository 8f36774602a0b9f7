/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_WALK_MESSAGES_H
#define PCATCH_WALK_MESSAGES_H

#include "image.h"

/*
 * The last words that are left in memory before abort(): glibc keeps the text of a failed
 * assertion, of malloc's complaints and of the fortified functions behind __abort_msg; the text
 * given to CPython's Py_FatalError() is mostly still pointed to from its frames. (What C++ has thrown
 * is with thrown.h.)
 */

/*
 * Read through RECORDER what the functions below and thrown_find() will want to read again. Called while
 * the process is held, when the registers of the snapshot's dying thread are known. What is not
 * there is no error.
 */
struct error *messages_touch(struct images *images, const struct mem_recorder *recorder)
	__attribute__((warn_unused_result));

/*
 * The text, cleaned and without its last newline, and where it was found ("__abort_msg in
 * /lib/.../libc.so.6"), in ARENA; both NULL when there is none.
 */
struct error *messages_find(struct images *images, const struct mem *mem, struct arena *arena,
			    char **text_ret, char **source_ret) __attribute__((warn_unused_result));

/*
 * The text that was given to Py_FatalError(), whose frames, down to where it calls abort(), take the
 * stack from FROM to TO. NULL when no string there, or more than one, may be it. NAMED: it was called
 * with the name of its caller, too.
 */
struct error *messages_fatal(const struct snapshot *snapshot, const struct mem *mem, taddr from,
			     taddr to, bool named, struct arena *arena, char **text_ret)
	__attribute__((warn_unused_result));

#endif
