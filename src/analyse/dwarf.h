/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_ANALYSE_DWARF_H
#define PCATCH_ANALYSE_DWARF_H

#include <libelf.h>

#include "names.h"
#include "symbols.h"

/* Lines and inlined calls of one ELF file with debug information. */
struct dwarf;

/*
 * What dwz took out of the file is looked for in PLACES (may be NULL). ELF is borrowed and must have been opened with ELF_C_READ_MMAP_PRIVATE: section headers of it
 * are changed. NULL in RET when it holds no DWARF that libdw understands.
 */
struct error *dwarf_create(Elf *elf, const struct places *places, struct names *names,
			   struct dwarf **ret)
	__attribute__((warn_unused_result));
void dwarf_destroy(struct dwarf *dwarf);

/*
 * Append the levels of ADDRESS (of the file, unbiased) to RET's, innermost first; none when the
 * file says nothing about it. START_RET is where the outermost function begins, 0 if unknown.
 */
struct error *dwarf_lookup(struct dwarf *dwarf, uint64_t address, struct symbol *ret,
			   uint64_t *start_ret) __attribute__((warn_unused_result));

/* A file that others share with this one (see debugfile.h), and that is not here. */
struct dwarf_shared {
	uint8_t build_id[BUILD_ID_MAX];
	unsigned build_id_len; /* 0: nothing is missing */
	const char *path;      /* lives as long as the dwarf */
};
const struct dwarf_shared *dwarf_missing(const struct dwarf *dwarf);

/* Units were too many to be searched for an address that no index lists. */
bool dwarf_gave_up(const struct dwarf *dwarf);

#endif
