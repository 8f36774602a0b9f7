/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <gelf.h>
#include <libdeflate.h>
#include <zstd.h>

#include "analyse/sections.h"
#include "cleanup.h"

#define CONTENT_LEN 100000

static uint8_t content[CONTENT_LEN];

// A file with one section, NAME, that has FLAGS and these bytes.
struct file {
	char path[32];
	int fd;
	Elf *elf;
};

static void must(bool ok)
{
	if (!ok)
		fail_msg("libelf: %s", elf_errmsg(-1));
}

static struct file make_file(const char *name, uint64_t flags, void *bytes, size_t len)
{
	struct file file = { .path = "/tmp/pcatch-sections-XXXXXX" };
	char names[64] = "\0.shstrtab";
	int fd = mkstemp(file.path);

	assert_true(fd >= 0);
	snprintf(names + 11, sizeof(names) - 11, "%s", name);
	Elf *elf = elf_begin(fd, ELF_C_WRITE, NULL);
	must(elf && gelf_newehdr(elf, ELFCLASS64));
	GElf_Ehdr ehdr;
	must(gelf_getehdr(elf, &ehdr));
	ehdr.e_ident[EI_DATA] = ELFDATA2LSB;
	ehdr.e_type = ET_REL;
	ehdr.e_machine = EM_X86_64;
	ehdr.e_shstrndx = 2;
	must(gelf_update_ehdr(elf, &ehdr));
	const struct {
		void *data;
		size_t len, name, flags, type;
	} sections[] = {
		{ bytes, len, 11, flags, SHT_PROGBITS },
		{ names, sizeof(names), 1, 0, SHT_STRTAB },
	};
	for (size_t i = 0; i < ARRAY_SIZE(sections); i++) {
		Elf_Scn *scn = elf_newscn(elf);
		Elf_Data *data = scn ? elf_newdata(scn) : NULL;
		GElf_Shdr shdr;

		must(data && gelf_getshdr(scn, &shdr));
		data->d_buf = sections[i].data;
		data->d_size = sections[i].len;
		data->d_align = 8;
		shdr.sh_name = (uint32_t)sections[i].name;
		shdr.sh_type = (uint32_t)sections[i].type;
		shdr.sh_flags = sections[i].flags;
		must(gelf_update_shdr(scn, &shdr));
	}
	must(elf_update(elf, ELF_C_WRITE) > 0);
	elf_end(elf);
	close(fd);
	file.fd = open(file.path, O_RDONLY | O_CLOEXEC);
	file.elf = elf_begin(file.fd, ELF_C_READ_MMAP_PRIVATE, NULL);
	must(file.elf);
	return file;
}

static void drop_file(struct file *file)
{
	elf_end(file->elf);
	close(file->fd);
	unlink(file->path);
}

// CONTENT as a section has it: a header that says SIZE, and the packed bytes but for the last CUT.
static size_t pack(unsigned type, uint64_t size, size_t cut, uint8_t *ret, size_t room)
{
	Elf64_Chdr header = { .ch_type = type, .ch_size = size, .ch_addralign = 1 };
	size_t len = 0;

	memcpy(ret, &header, sizeof(header));
	ret += sizeof(header);
	room -= sizeof(header);
	if (type == 2) {
		len = ZSTD_compress(ret, room, content, sizeof(content), 1);
		assert_false(ZSTD_isError(len));
	} else {
		struct libdeflate_compressor *deflater = libdeflate_alloc_compressor(6);

		len = libdeflate_zlib_compress(deflater, content, sizeof(content), ret, room);
		libdeflate_free_compressor(deflater);
		assert_true(len);
	}
	return sizeof(header) + len - cut;
}

static int fill_content(void **state)
{
	(void)state;
	elf_version(EV_CURRENT);
	for (size_t i = 0; i < sizeof(content); i++)
		content[i] = (uint8_t)(i * i >> 8);
	return 0;
}

static Elf_Scn *first_section(struct file *file, GElf_Shdr *ret)
{
	Elf_Scn *scn = elf_getscn(file->elf, 1);

	must(scn && gelf_getshdr(scn, ret));
	return scn;
}

static void packed_sections_become_what_they_hold(void **state)
{
	static uint8_t bytes[2 * CONTENT_LEN];

	(void)state;
	for (unsigned type = 1; type <= 2; type++) {
		size_t len = pack(type, CONTENT_LEN, 0, bytes, sizeof(bytes));
		struct file file = make_file(".debug_info", SHF_COMPRESSED, bytes, len);
		struct sections sections;
		GElf_Shdr header;

		sections_unpack(file.elf, &sections);
		assert_int_equal(sections.n, 1);
		Elf_Scn *scn = first_section(&file, &header);
		assert_int_equal(header.sh_flags, 0);
		assert_int_equal(header.sh_size, CONTENT_LEN);
		Elf_Data *data = elf_getdata(scn, NULL);
		assert_int_equal(data->d_size, CONTENT_LEN);
		assert_memory_equal(data->d_buf, content, CONTENT_LEN);
		sections_free(&sections);
		drop_file(&file);
	}
}

static void sections_that_nobody_reads_are_hidden(void **state)
{
	static uint8_t bytes[2 * CONTENT_LEN];
	size_t len = pack(ELFCOMPRESS_ZLIB, CONTENT_LEN, 0, bytes, sizeof(bytes));
	struct file file = make_file(".debug_loclists", SHF_COMPRESSED, bytes, len);
	struct sections sections;
	GElf_Shdr header;

	(void)state;
	sections_unpack(file.elf, &sections);
	assert_int_equal(sections.n, 0);
	first_section(&file, &header);
	assert_int_equal(header.sh_type, SHT_NOBITS);
	drop_file(&file);
}

static void what_is_not_packed_is_left_alone(void **state)
{
	struct file file = make_file(".debug_info", 0, content, sizeof(content));
	struct sections sections;
	GElf_Shdr header;

	(void)state;
	sections_unpack(file.elf, &sections);
	assert_int_equal(sections.n, 0);
	Elf_Data *data = elf_getdata(first_section(&file, &header), NULL);
	assert_memory_equal(data->d_buf, content, CONTENT_LEN);
	drop_file(&file);
}

static void what_lies_of_its_size_is_hidden(void **state)
{
	static uint8_t bytes[2 * CONTENT_LEN];
	const struct {
		unsigned type;
		uint64_t size;
		size_t cut;
	} lies[] = {
		{ ELFCOMPRESS_ZLIB, CONTENT_LEN + 1, 0 },
		{ ELFCOMPRESS_ZLIB, CONTENT_LEN - 1, 0 },
		{ ELFCOMPRESS_ZLIB, CONTENT_LEN, 5 },
		{ ELFCOMPRESS_ZLIB, 0, 0 },
		{ ELFCOMPRESS_ZLIB, UINT64_MAX, 0 },
		{ ELFCOMPRESS_ZLIB, 1 << 30, 0 },
		{ 2, CONTENT_LEN + 1, 0 },
		{ 2, CONTENT_LEN - 1, 0 },
		{ 2, CONTENT_LEN, 5 },
		{ 2, UINT64_MAX, 0 },
		{ 3, CONTENT_LEN, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		size_t len = pack(lies[i].type, lies[i].size, lies[i].cut, bytes, sizeof(bytes));
		struct file file = make_file(".debug_info", SHF_COMPRESSED, bytes, len);
		struct sections sections;
		GElf_Shdr header;

		sections_unpack(file.elf, &sections);
		if (sections.n)
			fail_msg("lie %zu was believed", i);
		first_section(&file, &header);
		assert_int_equal(header.sh_type, SHT_NOBITS);
		assert_int_equal(header.sh_size, len);
		drop_file(&file);
	}
	struct file file = make_file(".debug_info", SHF_COMPRESSED, content, 10);
	struct sections sections;
	sections_unpack(file.elf, &sections);
	assert_int_equal(sections.n, 0);
	drop_file(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packed_sections_become_what_they_hold),
		cmocka_unit_test(sections_that_nobody_reads_are_hidden),
		cmocka_unit_test(what_is_not_packed_is_left_alone),
		cmocka_unit_test(what_lies_of_its_size_is_hidden),
	};

	return cmocka_run_group_tests_name("sections", tests, fill_content, NULL);
}
