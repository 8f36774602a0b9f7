/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "elfnote.h"

#include <elf.h>
#include <string.h>

// The one note section that matters is a few hundred bytes, and there are a few of them.
#define PHDRS_MAX 128
#define NOTES_MAX ((size_t)64 << 10)

static bool get(const struct mem *image, taddr at, void *ret, size_t len)
{
	return mem_read_some(image, at, ret, len) == len;
}

// System V gABI, chapter 5, "Note Section": three words, name and descriptor padded to 4.
static unsigned find_in_notes(const struct mem *image, taddr at, size_t len,
			      uint8_t ret[BUILD_ID_MAX])
{
	for (size_t done = 0; len - done >= sizeof(Elf64_Nhdr);) {
		Elf64_Nhdr note;
		char name[4];

		if (!get(image, at + done, &note, sizeof(note)))
			return 0;
		done += sizeof(note);
		uint64_t name_len = ((uint64_t)note.n_namesz + 3) & ~UINT64_C(3);
		uint64_t desc_len = ((uint64_t)note.n_descsz + 3) & ~UINT64_C(3);
		if (name_len + desc_len > len - done)
			return 0;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && note.n_descsz &&
		    note.n_descsz <= BUILD_ID_MAX && get(image, at + done, name, 4) &&
		    !memcmp(name, "GNU", 4))
			return get(image, at + done + name_len, ret, note.n_descsz) ? note.n_descsz : 0;
		done += name_len + desc_len;
	}
	return 0;
}

unsigned elf_build_id(const struct mem *image, taddr base, uint8_t ret[BUILD_ID_MAX])
{
	Elf64_Ehdr ehdr;
	Elf64_Phdr phdr;
	unsigned found = 0;

	if (!get(image, base, &ehdr, sizeof(ehdr)) || memcmp(ehdr.e_ident, ELFMAG, SELFMAG) ||
	    ehdr.e_ident[EI_CLASS] != ELFCLASS64 || ehdr.e_ident[EI_DATA] != ELFDATA2LSB ||
	    ehdr.e_phentsize != sizeof(phdr))
		return 0;
	for (unsigned i = 0; !found && i < ehdr.e_phnum && i < PHDRS_MAX; i++) {
		if (!get(image, base + ehdr.e_phoff + i * sizeof(phdr), &phdr, sizeof(phdr)))
			return 0;
		if (phdr.p_type != PT_NOTE)
			continue;
		size_t len = phdr.p_filesz < NOTES_MAX ? phdr.p_filesz : NOTES_MAX;
		found = find_in_notes(image, base + phdr.p_offset, len, ret);
	}
	return found;
}
