/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_ANALYSE_COMPLETE_H
#define PCATCH_ANALYSE_COMPLETE_H

#include "../target/snapshot.h"

/*
 * Put into a snapshot that another program took what a capture finds while the process lives, as
 * far as its memory and the files on this machine tell: which file each module is (a file is
 * believed when its build id, or for want of one its first page, is the one in memory), and
 * where the Python interpreter is.
 */
struct error *snapshot_complete(struct snapshot *snapshot) __attribute__((warn_unused_result));

#endif
