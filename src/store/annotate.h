/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_STORE_ANNOTATE_H
#define PCATCH_STORE_ANNOTATE_H

#include "../buf.h"

/*
 * What analysis found, put into a minidump that is on the disk already: for readers that do not
 * analyse (other programs' crash collectors, our own list of reports). It is never read back as
 * evidence: a report is computed from the rest of the file.
 */

/* Shown by Breakpad's and Rust's dumpers as Crashpad's simple annotations. */
struct annotation {
	const char *key, *value;
};

/*
 * Append DIGEST, a JSON object, as MINIDUMP_DIGEST_STREAM and once more under the type that
 * rust-minidump prints as soft errors, and the N NOTES to Crashpad's annotations. FD is open for
 * reading and writing. Everything is written behind the end of the file, and only then does the
 * header's pointer move: whoever opens the file in between, or after we died there, reads the
 * dump as it was.
 */
struct error *minidump_annotate(int fd, const struct buf *digest, const struct annotation *notes,
				size_t n) __attribute__((warn_unused_result));

/*
 * The digest in the minidump behind FD, of anybody's making, with a NUL behind it; empty when it
 * has none. At most DIGEST_MAX bytes.
 */
#define DIGEST_MAX (1u << 20)
struct error *minidump_digest(int fd, struct buf *ret) __attribute__((warn_unused_result));

#endif
