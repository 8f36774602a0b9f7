/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_DELIVER_H
#define PCATCH_DELIVER_H

#include "buf.h"
#include "options.h"
#include "store/file.h"

/*
 * A captured snapshot becomes a report: the dump is written, read back, and what was read is
 * analysed and rendered into the formats asked for, beside the dump. A summary (or for a
 * snapshot of a living process, the whole text) goes to where people read. SNAPSHOT is consumed but for its shell.
 * When the folder refuses the files, people still get to read the report before the error comes back.
 */
struct error *deliver(const struct store *store, const struct options *options,
		      struct snapshot *snapshot) __attribute__((warn_unused_result));

/* What deliver() wrote, said again from the dump at options->file on standard output. */
struct error *deliver_again(const struct options *options) __attribute__((warn_unused_result));

/* What differs between the dumps at options->file and options->other, on standard output. */
struct error *deliver_diff(const struct options *options) __attribute__((warn_unused_result));

/* Whether FD is a terminal whose user wants colours. */
bool wants_colour(int fd);

/* All of TEXT to FD, which is standard output or standard error. */
struct error *print(int fd, const struct buf *text) __attribute__((warn_unused_result));

#endif
