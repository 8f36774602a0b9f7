/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_STORE_REGSETS_H
#define PCATCH_STORE_REGSETS_H

#include "minidump-writer.h"

/*
 * What a minidump's contexts do not hold of the threads' registers, as the kernel gave them: the
 * bytes of MINIDUMP_REGSETS_STREAM.
 *
 * u32 version 2, u32 size of the entries, the entries as compressed by zstd; or u32 version 1, u32 0,
 * the entries as they are. Each entry, 8-byte aligned: u32 index into the snapshot's threads, u32
 * note type as in a core file, u32 size, u32 number of zeros that follow the bytes and are left out,
 * the bytes.
 */

/* Append them to W's file. */
void regsets_write(const struct md_writer *w);

/*
 * Put them into S, whose threads and architecture are known; what stands there already is replaced.
 * Bytes that make no sense end it, what came before them counts.
 */
struct error *regsets_read(const uint8_t *stream, size_t stream_len, struct snapshot *s)
	__attribute__((warn_unused_result));

#endif
