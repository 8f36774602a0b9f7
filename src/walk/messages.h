/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_WALK_MESSAGES_H
#define PCATCH_WALK_MESSAGES_H

#include "image.h"

/*
 * The last words that C libraries leave in memory before abort(): glibc keeps the text of a failed
 * assertion, of malloc's complaints and of the fortified functions behind __abort_msg.
 */

/*
 * Read through MEM, a recorder, what messages_find() will want to read again. Called while the
 * process is held. What is not there is no error.
 */
struct error *messages_touch(struct images *images, const struct mem *mem)
	__attribute__((warn_unused_result));

/*
 * The text, cleaned and without its last newline, and where it was found ("__abort_msg in
 * /lib/.../libc.so.6"), in ARENA; both NULL when there is none.
 */
struct error *messages_find(struct images *images, const struct mem *mem, struct arena *arena,
			    char **text_ret, char **source_ret) __attribute__((warn_unused_result));

#endif
