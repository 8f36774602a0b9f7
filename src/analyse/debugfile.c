/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "debugfile.h"

#include <elf.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../cleanup.h"

Elf_Scn *elf_section(Elf *elf, const char *name, GElf_Shdr *ret)
{
	Elf_Scn *scn = NULL;
	size_t table;

	if (!elf || elf_getshdrstrndx(elf, &table))
		return NULL;
	while ((scn = elf_nextscn(elf, scn))) {
		const char *s = gelf_getshdr(scn, ret) ? elf_strptr(elf, table, ret->sh_name) : NULL;

		if (s && !strcmp(s, name))
			return scn;
	}
	return NULL;
}

static bool has_build_id(Elf *elf, const uint8_t *id, size_t len)
{
	Elf_Scn *scn = NULL;

	while ((scn = elf_nextscn(elf, scn))) {
		GElf_Shdr header;
		Elf_Data *data;
		size_t at = 0, name, desc;
		GElf_Nhdr note;

		if (!gelf_getshdr(scn, &header) || header.sh_type != SHT_NOTE ||
		    !(data = elf_getdata(scn, NULL)))
			continue;
		while ((at = gelf_getnote(data, at, &note, &name, &desc)))
			if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
			    !memcmp((char *)data->d_buf + name, "GNU", 4))
				return note.n_descsz == len &&
				       !memcmp((char *)data->d_buf + desc, id, len);
	}
	return false;
}

// The checksum of .gnu_debuglink: CRC-32 as in zlib.
static bool has_crc(int fd, uint32_t want)
{
	struct stat st;

	if (fstat(fd, &st) || st.st_size <= 0)
		return false;
	size_t len = (size_t)st.st_size;
	const uint8_t *data = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		return false;
	uint32_t table[256], crc = ~0u;
	for (uint32_t i = 0; i < 256; i++) {
		table[i] = i;
		for (int bit = 0; bit < 8; bit++)
			table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xedb88320u : 0);
	}
	for (size_t i = 0; i < len; i++)
		crc = table[(crc ^ data[i]) & 0xff] ^ crc >> 8;
	munmap((void *)data, len);
	return ~crc == want;
}

// Is PATH it? Without a build id CRC has to match.
static bool try_file(const struct debug_file_of *of, const char *path, uint32_t crc,
		     struct debug_file *ret)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode))
		return false;
	Elf *elf = elf_begin(fd, ELF_C_READ_MMAP_PRIVATE, NULL);
	if (!elf)
		return false;
	GElf_Ehdr header;
	if (elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &header) ||
	    header.e_machine != of->machine || gelf_getclass(elf) != ELFCLASS64 ||
	    !(of->build_id_len ? has_build_id(elf, of->build_id, of->build_id_len)
			       : has_crc(fd, crc))) {
		elf_end(elf);
		return false;
	}
	*ret = (struct debug_file){ .elf = elf, .fd = TAKE_FD(fd) };
	return true;
}

bool debug_file_find(const struct debug_file_of *of, const struct places *places,
		     struct debug_file *ret)
{
	char path[PLACE_MAX];
	uint32_t crc = 0;

	for (unsigned n = 0; places_debug(places, of->build_id, of->build_id_len, n, path); n++)
		if (try_file(of, path, 0, ret))
			return true;
	GElf_Shdr header;
	Elf_Scn *scn = elf_section(of->elf, ".gnu_debuglink", &header);
	Elf_Data *data = scn ? elf_getdata(scn, NULL) : NULL;
	if (!data || !data->d_buf || data->d_size < 8 || data->d_size > 256)
		return false;
	const char *link = data->d_buf;
	if (!memchr(link, '\0', data->d_size - 4) || strchr(link, '/') || !*link)
		return false;
	memcpy(&crc, link + data->d_size - 4, 4);
	for (unsigned n = 0; places_debuglink(places, of->path, link, n, path); n++)
		// A link to itself would be its own debug file.
		if (strcmp(path, of->path) != 0 && try_file(of, path, crc, ret))
			return true;
	return false;
}

bool debug_file_find_shared(const struct debug_file_of *of, const struct places *places,
			    struct debug_file *ret)
{
	struct module file = { .path = (char *)of->path, .build_id_len = of->build_id_len };
	char path[PLACE_MAX];

	memcpy(file.build_id, of->build_id, of->build_id_len);
	for (unsigned n = 0; places_file(places, &file, n, path); n++)
		if (try_file(of, path, 0, ret))
			return true;
	return debug_file_find(of, places, ret);
}

void debug_file_close(struct debug_file *file)
{
	elf_end(file->elf);
	closep(&file->fd);
	*file = (struct debug_file){ .fd = -1 };
}
