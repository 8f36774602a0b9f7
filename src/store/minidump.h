/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_STORE_MINIDUMP_H
#define PCATCH_STORE_MINIDUMP_H

#include "../buf.h"
#include "../target/snapshot.h"

/*
 * Minidumps (MDMP) as Breakpad, Crashpad, lldb and rust-minidump read them, with what the format
 * has no place for in streams of our own (type 0x7043xxxx).
 */

#define MINIDUMP_STATE_STREAM 0x70430001u /* JSON: the rest of the snapshot, see store/state.h */
#define MINIDUMP_REGSETS_STREAM 0x70430002u /* raw register sets, see store/regsets.h */
#define MINIDUMP_DIGEST_STREAM 0x70430003u  /* JSON: what was found, see store/annotate.h */

/*
 * The whole file for SNAPSHOT, whose memory is settled. What minidump_read() makes of it equals
 * SNAPSHOT but for the modules' fds; bytes at addresses that no mapping covers are left out,
 * mappings are those of process.maps.
 */
struct error *minidump_write(const struct snapshot *snapshot, struct buf *ret)
	__attribute__((warn_unused_result));

/*
 * Read a minidump of anybody's making; what a foreign one lacks is a gap in RET. DATA is
 * borrowed only during the call. ERROR_INPUT, with the offset, for what is no minidump.
 */
struct error *minidump_read(const void *data, size_t len, struct snapshot *ret)
	__attribute__((warn_unused_result));

#endif
