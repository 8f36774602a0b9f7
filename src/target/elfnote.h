/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_TARGET_ELFNOTE_H
#define PCATCH_TARGET_ELFNOTE_H

#include "mem.h"
#include "snapshot.h"

/*
 * The GNU build id of the ELF64 image whose first byte is at BASE of IMAGE: a file read at its
 * offsets, or one that lies in memory as in its file (the vDSO). Returns its length, 0 when it
 * has none or makes no sense.
 */
unsigned elf_build_id(const struct mem *image, taddr base, uint8_t ret[BUILD_ID_MAX]);

#endif
