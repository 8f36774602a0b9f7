/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sections.h"

#include <gelf.h>
#include <libdeflate.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>

#include "../cleanup.h"

// Chromium's .debug_info is half of it.
#define UNPACKED_MAX ((uint64_t)2 << 30)
// What deflate makes of a byte at most.
#define DEFLATE_RATIO 1032

// elf.h has it from glibc 2.37 on.
#define CHDR_ZSTD 2

// Names, lines and inlined calls do without these: in libc's debug file they are more than half.
static bool is_needed(const char *name)
{
	static const char *const unneeded[] = {
		".debug_loc", ".debug_loclists", ".debug_macro", ".debug_macinfo",
		".debug_frame", ".debug_pubnames", ".debug_pubtypes", ".debug_names",
	};

	for (size_t i = 0; name && i < ARRAY_SIZE(unneeded); i++)
		if (!strcmp(name, unneeded[i]))
			return false;
	return true;
}

static bool inflate(const Elf64_Chdr *header, const uint8_t *packed, size_t len, void *ret)
{
	size_t size = header->ch_size;

	if (header->ch_type == CHDR_ZSTD)
		return ZSTD_decompress(ret, size, packed, len) == size;
	struct libdeflate_decompressor *inflater = libdeflate_alloc_decompressor();
	// With no place for the length it has to be exactly SIZE.
	bool ok = inflater && libdeflate_zlib_decompress(inflater, packed, len, ret, size, NULL) ==
				      LIBDEFLATE_SUCCESS;
	libdeflate_free_decompressor(inflater);
	return ok;
}

// The LEN bytes at DATA, of which the first are a header, unpacked.
static bool unpack(const uint8_t *data, size_t len, struct section_bytes *ret)
{
	Elf64_Chdr header;

	if (len <= sizeof(header))
		return false;
	memcpy(&header, data, sizeof(header));
	len -= sizeof(header);
	if (!header.ch_size || header.ch_size > UNPACKED_MAX)
		return false;
	if (header.ch_type == ELFCOMPRESS_ZLIB ? header.ch_size / DEFLATE_RATIO > len
					       : header.ch_type != CHDR_ZSTD)
		return false;
	void *to = mmap(NULL, header.ch_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			0);
	if (to == MAP_FAILED)
		return false;
	if (!inflate(&header, data + sizeof(header), len, to)) {
		munmap(to, header.ch_size);
		return false;
	}
	*ret = (struct section_bytes){ .data = to, .len = header.ch_size };
	return true;
}

// Nobody will look at the packed bytes again: their pages need not count as ours.
static void drop_packed(Elf *elf, const GElf_Shdr *section)
{
	size_t size;
	char *file = elf_rawfile(elf, &size);
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t start = (section->sh_offset + page - 1) & ~(page - 1);
	uint64_t end = section->sh_offset + section->sh_size;

	if (file && end >= section->sh_offset && end <= size && start < end &&
	    !((uintptr_t)file % page))
		madvise(file + start, (end - start) & ~(page - 1), MADV_DONTNEED);
}

void sections_unpack(Elf *elf, struct sections *ret)
{
	GElf_Ehdr file;
	size_t names;

	*ret = (struct sections){};
	if (!gelf_getehdr(elf, &file) || file.e_ident[EI_CLASS] != ELFCLASS64 ||
	    file.e_ident[EI_DATA] != ELFDATA2LSB || elf_getshdrstrndx(elf, &names))
		return;
	for (Elf_Scn *scn = elf_nextscn(elf, NULL); scn; scn = elf_nextscn(elf, scn)) {
		GElf_Shdr header;

		if (!gelf_getshdr(scn, &header) || !(header.sh_flags & SHF_COMPRESSED) ||
		    header.sh_type == SHT_NOBITS)
			continue;
		Elf_Data *raw = NULL, *data = NULL;
		if (is_needed(elf_strptr(elf, names, header.sh_name))) {
			raw = elf_rawdata(scn, NULL);
			data = elf_getdata(scn, NULL);
		}
		if (ret->n == SECTIONS_MAX || !raw || !raw->d_buf || !data ||
		    !unpack(raw->d_buf, raw->d_size, &ret->v[ret->n])) {
			// libdw, which would unpack it to whatever size, passes over sections without bytes.
			header.sh_type = SHT_NOBITS;
			gelf_update_shdr(scn, &header);
			continue;
		}
		drop_packed(elf, &header);
		data->d_buf = ret->v[ret->n].data;
		data->d_size = ret->v[ret->n].len;
		header.sh_flags &= ~(GElf_Xword)SHF_COMPRESSED;
		header.sh_size = ret->v[ret->n].len;
		gelf_update_shdr(scn, &header);
		ret->n++;
	}
}

void sections_free(struct sections *sections)
{
	for (size_t i = 0; i < sections->n; i++)
		munmap(sections->v[i].data, sections->v[i].len);
	*sections = (struct sections){};
}
