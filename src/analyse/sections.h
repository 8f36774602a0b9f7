/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_ANALYSE_SECTIONS_H
#define PCATCH_ANALYSE_SECTIONS_H

#include <libelf.h>
#include <stddef.h>

/*
 * The compressed debug sections of an ELF file. libdw inflates all of them as soon as it sees the
 * file, by zlib: for a frame in libc that was two thirds of the time that a whole report took. Here
 * it is done before, by libdeflate in less than half of that time, and only for those that are
 * needed; and by zstd, which libdw knows from elfutils 0.189 on.
 */
#define SECTIONS_MAX 16

struct sections {
	struct section_bytes {
		void *data;
		size_t len;
	} v[SECTIONS_MAX];
	size_t n;
};

/*
 * Unpack ELF's, which must have been opened with ELF_C_READ_MMAP_PRIVATE: its section headers are
 * changed, and its data are in RET until sections_free(), which is to come after ELF was used for
 * the last time. What cannot be unpacked, or is larger than anybody's, is as if it were not there.
 */
void sections_unpack(Elf *elf, struct sections *ret);
void sections_free(struct sections *sections); /* safe on zero */

#endif
