/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_ANALYSE_DEBUGFILE_H
#define PCATCH_ANALYSE_DEBUGFILE_H

#include <gelf.h>

#include "../walk/places.h"

/* The file with the debug information that was taken out of another one. */
struct debug_file {
	Elf *elf; /* NULL: none */
	int fd;
};

/* That other one. */
struct debug_file_of {
	Elf *elf; /* for its .gnu_debuglink; NULL: it is not here */
	const char *path; /* as it was mapped */
	const uint8_t *build_id;
	unsigned build_id_len;
	uint16_t machine; /* EM_* */
};

/*
 * The first file in PLACES (may be NULL) that belongs to OF by its build id or, where OF has none, by
 * the checksum of the link. RET, when there is one, is to be closed.
 */
bool debug_file_find(const struct debug_file_of *of, const struct places *places,
		     struct debug_file *ret);

/*
 * The same for what dwz took out of several files with debug information into one that they share: PATH
 * is what they know it by.
 */
bool debug_file_find_shared(const struct debug_file_of *of, const struct places *places,
			    struct debug_file *ret);
void debug_file_close(struct debug_file *file);

/* The section NAME of ELF (may be NULL), whose header is put into RET; NULL when it has none. */
Elf_Scn *elf_section(Elf *elf, const char *name, GElf_Shdr *ret);

#endif
