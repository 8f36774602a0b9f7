/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_STORE_PACKED_H
#define PCATCH_STORE_PACKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../error.h"

/* Files that zstd has compressed, as systemd-coredump keeps its cores. */

/* Do the LEN bytes at DATA begin such a file? */
bool packed_is(const void *data, size_t len);

/*
 * Unpack the LEN bytes at DATA into a file without a name in $TMPDIR, else /var/tmp: its descriptor
 * and size. Zeros become holes. More than MAX bytes are ERROR_INPUT; a file that is cut short
 * gives what there is of it.
 */
struct error *packed_expand(const void *data, size_t len, uint64_t max, int *ret,
			    uint64_t *size_ret) __attribute__((warn_unused_result));

/* What goes into a file piece by piece, and is compressed on its way. */
struct packer;

/* Into the empty file FD, which is borrowed like PATH, its name for errors. */
struct error *packer_create(int fd, const char *path, struct packer **ret)
	__attribute__((warn_unused_result));
struct error *packer_add(struct packer *packer, const void *data, size_t len)
	__attribute__((warn_unused_result));
/* That was all. */
struct error *packer_finish(struct packer *packer) __attribute__((warn_unused_result));
void packer_destroy(struct packer *packer); /* safe on NULL */

static inline void packer_destroyp(struct packer **packer)
{
	packer_destroy(*packer);
}

#endif
