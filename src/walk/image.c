/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "image.h"

#include <elf.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "../cleanup.h"
#include "places.h"

#define IMAGE_MAX_PHDRS	   256
#define IMAGE_MAX_SECTIONS 65536
#define IMAGE_MAX_IN_MEMORY ((taddr)1 << 20)
#define IMAGE_MAX_SYMBOLS  ((uint64_t)256 << 20) /* bytes of a symbol or string table */
#define IMAGE_MAX_NOTES	   ((uint64_t)64 << 10)
#define IMAGE_MAX_PAGES	   ((size_t)8192) /* kept of one file; others are read again */
#define IMAGE_CHUNK	   ((size_t)64 << 10)
#define IMAGE_PAGE	   ((uint64_t)4096)

// Files are read, not mapped: one that shrinks under a mapping would end us by SIGBUS, and the few
// pages a walk needs (headers, a path through the unwind table, some CFI) cost a read each, which
// is what a page fault costs. They are kept, so that their bytes stay where they are.
struct image_pages {
	struct image_page **table; /* open hashing by page number; size a power of two */
	size_t size, n;
	struct arena arena;
};

struct image_page {
	uint64_t offset;
	uint32_t len;
	uint8_t data[IMAGE_PAGE];
};

static size_t page_slot(struct image_page **table, size_t size, uint64_t offset)
{
	size_t i = (size_t)((offset / IMAGE_PAGE) * 0x9e3779b97f4a7c15u >> 32) & (size - 1);

	while (table[i] && table[i]->offset != offset)
		i = (i + 1) & (size - 1);
	return i;
}

static size_t read_file(int fd, uint64_t offset, void *ret, size_t len)
{
	size_t done = 0;

	if (offset > INT64_MAX - len)
		return 0;
	while (done < len) {
		ssize_t n = pread(fd, (uint8_t *)ret + done, len - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	return done;
}

static bool grow_table(struct image_pages *pages)
{
	size_t size = pages->size ? pages->size * 2 : 16;
	struct image_page **table = calloc(size, sizeof(*table));

	if (!table)
		return false;
	for (size_t i = 0; i < pages->size; i++)
		if (pages->table[i])
			table[page_slot(table, size, pages->table[i]->offset)] = pages->table[i];
	free(pages->table);
	pages->table = table;
	pages->size = size;
	return true;
}

// The page at OFFSET, NULL when there is no room to keep it.
static const struct image_page *file_page(const struct image *image, uint64_t offset)
{
	struct image_pages *pages = image->pages;

	if ((pages->n + 1) * 4 > pages->size * 3 && !grow_table(pages))
		return NULL;
	size_t slot = page_slot(pages->table, pages->size, offset);
	if (pages->table[slot])
		return pages->table[slot];
	if (pages->n == IMAGE_MAX_PAGES)
		return NULL;
	struct image_page *page = arena_alloc(&pages->arena, sizeof(*page));
	if (!page)
		return NULL;
	page->offset = offset;
	page->len = (uint32_t)read_file(image->fd, offset, page->data, IMAGE_PAGE);
	pages->table[slot] = page;
	pages->n++;
	return page;
}

// Headers are where the module begins, everything else is where the segments say.
static size_t embedded_read(const struct image *image, uint64_t offset, void *ret, size_t len)
{
	if (offset < TARGET_PAGE)
		return mem_read_some(image->embedded, image->start + offset, ret, len);
	for (size_t i = 0; i < image->loads.n; i++) {
		const struct image_segment *load = &image->loads.v[i];

		if (offset < load->offset || offset - load->offset >= load->filesz)
			continue;
		uint64_t skip = offset - load->offset;
		if (len > load->filesz - skip)
			len = (size_t)(load->filesz - skip);
		return mem_read_some(image->embedded, image->bias + load->vaddr + skip, ret, len);
	}
	return 0;
}

static size_t file_read_some(const struct image *image, uint64_t offset, void *ret, size_t len)
{
	size_t done = 0;

	if (offset >= image->size)
		return 0;
	if (len > image->size - offset)
		len = (size_t)(image->size - offset);
	if (image->embedded)
		return embedded_read(image, offset, ret, len);
	if (image->data) {
		memcpy(ret, image->data + offset, len);
		return len;
	}
	while (done < len) {
		uint64_t at = offset + done;
		size_t skip = (size_t)(at % IMAGE_PAGE);
		const struct image_page *page = file_page(image, at - skip);

		if (!page)
			return done + read_file(image->fd, at, (uint8_t *)ret + done, len - done);
		if (skip >= page->len)
			break;
		size_t n = page->len - skip < len - done ? page->len - skip : len - done;
		memcpy((uint8_t *)ret + done, page->data + skip, n);
		done += n;
	}
	return done;
}

bool image_file_read(const struct image *image, uint64_t offset, void *ret, size_t len)
{
	return file_read_some(image, offset, ret, len) == len;
}

// The same for long stretches that are looked at once: they are not kept.
static bool file_read_once(const struct image *image, uint64_t offset, void *ret, size_t len)
{
	if (image->data || image->embedded)
		return image_file_read(image, offset, ret, len);
	if (offset > image->size || len > image->size - offset)
		return false;
	return read_file(image->fd, offset, ret, len) == len;
}

static struct error *not_elf(const char *what)
{
	return error_new(ERROR_INPUT, "not an ELF file that could be mapped: %s", what);
}

// A GNU build id among the notes of LEN bytes at file offset AT.
static void find_build_id(struct image *image, uint64_t at, uint64_t len, uint64_t align)
{
	uint64_t pos = 0;

	if (len > IMAGE_MAX_NOTES)
		len = IMAGE_MAX_NOTES;
	// Notes are padded to 4 bytes, to 8 where the segment says so.
	align = align == 8 ? 8 : 4;
	while (len - pos >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr note;

		if (!image_file_read(image, at + pos, &note, sizeof(note)))
			return;
		uint64_t namesz = le32toh(note.n_namesz), descsz = le32toh(note.n_descsz);
		uint64_t name = pos + sizeof(note);
		uint64_t desc = (name + namesz + align - 1) & ~(align - 1);
		if (desc > len || descsz > len - desc)
			return;
		char owner[4];
		if (le32toh(note.n_type) == NT_GNU_BUILD_ID && namesz == 4 && descsz &&
		    descsz <= BUILD_ID_MAX && image_file_read(image, at + name, owner, 4) &&
		    !memcmp(owner, "GNU", 4) &&
		    image_file_read(image, at + desc, image->build_id, (size_t)descsz)) {
			image->build_id_len = (unsigned)descsz;
			return;
		}
		pos = (desc + descsz + align - 1) & ~(align - 1);
		if (pos > len)
			return;
	}
}

static struct error *add_load(struct image *image, const Elf64_Phdr *ph)
{
	uint64_t vaddr = le64toh(ph->p_vaddr), offset = le64toh(ph->p_offset);
	uint64_t filesz = le64toh(ph->p_filesz), memsz = le64toh(ph->p_memsz);

	if (memsz > UINT64_MAX - vaddr || filesz > UINT64_MAX - vaddr)
		return not_elf("a segment beyond the address space");
	// A file that was cut short keeps what is left of it.
	if (offset > image->size)
		filesz = 0;
	else if (filesz > image->size - offset)
		filesz = image->size - offset;
	struct image_segment *load = LIST_ADD(&image->arena, &image->loads);
	if (!load)
		return error_nomem();
	*load = (struct image_segment){ .vaddr = vaddr,
					.offset = offset,
					.filesz = filesz,
					.memsz = memsz,
					.flags = le32toh(ph->p_flags) };
	return NULL;
}

// Section headers serve for names alone; when they make no sense there are none.
static void find_sections(struct image *image, const Elf64_Ehdr *eh)
{
	uint64_t shoff = le64toh(eh->e_shoff);
	uint32_t shnum = le16toh(eh->e_shnum), shstrndx = le16toh(eh->e_shstrndx);
	Elf64_Shdr first;

	if (!shoff || le16toh(eh->e_shentsize) != sizeof(Elf64_Shdr) ||
	    !image_file_read(image, shoff, &first, sizeof(first)))
		return;
	// gABI: counts that do not fit stand in the first header.
	if (!shnum && le64toh(first.sh_size) <= IMAGE_MAX_SECTIONS)
		shnum = (uint32_t)le64toh(first.sh_size);
	if (shstrndx == SHN_XINDEX)
		shstrndx = le32toh(first.sh_link);
	if (shstrndx >= shnum || shnum > IMAGE_MAX_SECTIONS ||
	    shnum > (image->size - shoff) / sizeof(Elf64_Shdr))
		return;
	image->shoff = shoff;
	image->shnum = shnum;
	image->shstrndx = shstrndx;
}

static struct error *parse(struct image *image)
{
	Elf64_Ehdr eh;

	if (!image_file_read(image, 0, &eh, sizeof(eh)))
		return not_elf("too short");
	if (memcmp(eh.e_ident, ELFMAG, SELFMAG))
		return not_elf("no ELF header");
	if (eh.e_ident[EI_CLASS] != ELFCLASS64 || eh.e_ident[EI_DATA] != ELFDATA2LSB)
		return error_new(ERROR_UNSUPPORTED, "not a 64-bit little-endian ELF file");
	image->machine = le16toh(eh.e_machine);

	uint64_t phoff = le64toh(eh.e_phoff);
	unsigned phnum = le16toh(eh.e_phnum);
	if (!phnum || phnum > IMAGE_MAX_PHDRS || le16toh(eh.e_phentsize) != sizeof(Elf64_Phdr) ||
	    phoff > image->size || image->size - phoff < phnum * sizeof(Elf64_Phdr))
		return not_elf("no program headers");
	for (unsigned i = 0; i < phnum; i++) {
		Elf64_Phdr ph;

		if (!image_file_read(image, phoff + i * sizeof(ph), &ph, sizeof(ph)))
			return not_elf("no program headers");
		struct error *err = NULL;
		switch (le32toh(ph.p_type)) {
		case PT_LOAD:
			err = add_load(image, &ph);
			break;
		case PT_NOTE:
			if (!image->build_id_len)
				find_build_id(image, le64toh(ph.p_offset), le64toh(ph.p_filesz),
					      le64toh(ph.p_align));
			break;
		case PT_GNU_EH_FRAME:
			image->eh_frame_hdr = le64toh(ph.p_vaddr);
			image->eh_frame_hdr_len = le64toh(ph.p_memsz);
			break;
		case PT_DYNAMIC:
			image->dynamic = le64toh(ph.p_vaddr);
			image->dynamic_len = le64toh(ph.p_filesz);
			break;
		}
		if (err)
			return err;
	}
	if (!image->loads.n)
		return not_elf("nothing to load");
	find_sections(image, &eh);
	return NULL;
}

void image_place(struct image *image, taddr bias)
{
	taddr move = bias - image->bias;

	image->bias = bias;
	if (image->eh_frame_hdr)
		image->eh_frame_hdr += move;
	if (image->dynamic)
		image->dynamic += move;
}

// The lowest mapping holds the first PT_LOAD; both begin at a page's border.
static void place_at(struct image *image, taddr start)
{
	image_place(image, start - (image->loads.v[0].vaddr & ~(TARGET_PAGE - 1)));
}

static struct error *open_owned_fd(int fd, taddr start, struct image *ret)
{
	_cleanup_(image_close) struct image image = { .fd = fd };
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_errno(errno, "fstat");
	if (!S_ISREG(st.st_mode))
		return not_elf("not a regular file");
	image.size = (uint64_t)st.st_size;
	image.pages = calloc(1, sizeof(*image.pages));
	if (!image.pages)
		return error_nomem();
	struct error *err = parse(&image);
	if (err)
		return err;
	place_at(&image, start);
	*ret = TAKE(image);
	image.fd = -1;
	return NULL;
}

struct error *image_open_fd(int fd, taddr start, struct image *ret)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	return own < 0 ? error_errno(errno, "dup") : open_owned_fd(own, start, ret);
}

static struct error *open_in_memory(const struct module *module, const struct mem *mem,
				    struct image *ret)
{
	_cleanup_(image_close) struct image image = { .fd = -1 };

	if (module->end <= module->start || module->end - module->start > IMAGE_MAX_IN_MEMORY)
		return error_new(ERROR_INPUT, "%s has an absurd size", module->path);
	size_t len = (size_t)(module->end - module->start);
	uint8_t *data = malloc(len);
	image.data = data;
	if (!data)
		return error_nomem();
	// Its pages are in the dump one by one, or not at all: keep those up to the first hole.
	image.size = mem_read_some(mem, module->start, data, len);
	if (!image.size)
		return error_fault(module->start);
	struct error *err = parse(&image);
	if (err)
		return err;
	place_at(&image, module->start);
	*ret = TAKE(image);
	image.fd = -1;
	return NULL;
}

struct error *image_open_embedded(const struct module *module, const struct mem *mem,
				  struct image *ret)
{
	_cleanup_(image_close) struct image image = {
		.fd = -1, .embedded = mem, .start = module->start, .size = INT64_MAX,
	};
	struct error *err = parse(&image);

	if (err)
		return err;
	place_at(&image, module->start);
	*ret = TAKE(image);
	image.fd = -1;
	return NULL;
}

static bool section_at(const struct image *image, uint32_t index, Elf64_Shdr *ret)
{
	return index < image->shnum &&
	       image_file_read(image, image->shoff + (uint64_t)index * sizeof(*ret), ret,
			       sizeof(*ret));
}

// A file with debug information has the build id of the one that it was taken from, and headers of
// segments whose bytes it has not.
static bool lacks_code(const struct image *image)
{
	Elf64_Shdr sh;

	for (uint32_t i = 1; i < image->shnum && section_at(image, i, &sh); i++)
		if (le64toh(sh.sh_flags) & SHF_EXECINSTR)
			return le32toh(sh.sh_type) == SHT_NOBITS;
	return false;
}

static bool same_build_id(const struct module *module, const struct image *image)
{
	return module->build_id_len == image->build_id_len &&
	       !memcmp(module->build_id, image->build_id, image->build_id_len);
}

// Is IMAGE, found at PATH or (NULL) held open, what MODULE was mapped from? Nothing is believed for its name alone.
static struct error *check_identity(const struct module *module, const struct image *image,
				    const char *path)
{
	char mapped[BUILD_ID_TEXT], found[BUILD_ID_TEXT];
	struct stat st;

	if (path && lacks_code(image))
		return error_new(ERROR_INPUT, "%s has debug information and no code", path);
	if (module->build_id_len) {
		if (same_build_id(module, image))
			return NULL;
		build_id_text(module->build_id, module->build_id_len, mapped);
		build_id_text(image->build_id, image->build_id_len, found);
		return error_new(ERROR_INPUT,
				 "%s is another build than the one that was mapped, which has build id %s; "
				 "this one has %s", path ? path : module->path, mapped,
				 *found ? found : "none");
	}
	if (!path)
		return NULL;
	// Inodes are numbers of this machine alone.
	if (!module->inode || strcmp(path, module->path) != 0)
		return error_new(ERROR_INPUT, "%s: nothing tells whether it is the file that was mapped",
				 path);
	if (fstat(image->fd, &st) < 0 || (uint64_t)st.st_ino != module->inode)
		return error_new(ERROR_INPUT, "%s is not the file that was mapped: it was replaced", path);
	return NULL;
}

// FD is taken over; its number, when it is none, is an error that errno explains.
static struct error *open_checked(const struct module *module, int fd, const char *path,
				  struct image *ret)
{
	_cleanup_(image_close) struct image image = { .fd = -1 };

	if (fd < 0)
		return error_errno(errno, "%s", path ? path : module->path);
	struct error *err = open_owned_fd(fd, module->start, &image);
	if (err)
		return error_prefix(err, "%s", path ? path : module->path);
	err = check_identity(module, &image, path);
	if (err)
		return err;
	*ret = TAKE(image);
	image.fd = -1;
	return NULL;
}

struct error *image_open(const struct module *module, const struct places *places,
			 const struct mem *mem, struct image *ret)
{
	char path[PLACE_MAX];
	_cleanup_(error_freep) struct error *why = NULL;

	if (module->in_memory)
		return open_in_memory(module, mem, ret);
	if (module->fd >= 0)
		return open_checked(module, fcntl(module->fd, F_DUPFD_CLOEXEC, 0), NULL, ret);
	for (unsigned n = 0; places_file(places, module, n, path); n++) {
		int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		struct error *err = open_checked(module, fd, path, ret);

		if (!err || err->kind == ERROR_NOMEM)
			return err;
		// What was named for one module is no news about the others.
		if (places && n < places->named.n &&
		    strcmp(path_basename(path), path_basename(module->path)) != 0) {
			error_free(err);
			continue;
		}
		// A file that is the wrong one tells more than one that is not there.
		bool better = !why || (why->kind == ERROR_SYSTEM && err->kind != ERROR_SYSTEM);
		error_free(better ? why : err);
		if (better)
			why = err;
	}
	return why ? TAKE(why)
		   : error_new(ERROR_UNSUPPORTED, "%s was not looked for on this machine",
			       module->path);
}

struct error *image_open_debug(const struct module *module, const struct places *places,
			       struct image *ret)
{
	char path[PLACE_MAX];

	for (unsigned n = 0; places_debug(places, module->build_id, module->build_id_len, n, path);
	     n++) {
		_cleanup_(image_close) struct image image = { .fd = -1 };
		int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

		if (fd < 0 || error_drop(open_owned_fd(fd, module->start, &image)) ||
		    !same_build_id(module, &image) || !lacks_code(&image))
			continue;
		// What its headers say of segments is true of the file that it was taken from.
		for (size_t i = 0; i < image.loads.n; i++)
			image.loads.v[i].filesz = 0;
		image.eh_frame_hdr = image.dynamic = 0;
		image.debug_alone = true;
		*ret = TAKE(image);
		image.fd = -1;
		return NULL;
	}
	return error_new(ERROR_UNSUPPORTED, "%s: no debug information is here", module->path);
}

void image_close(struct image *image)
{
	if (image->fd >= 0)
		close(image->fd);
	free((void *)(uintptr_t)image->data);
	if (image->pages) {
		free(image->pages->table);
		arena_deinit(&image->pages->arena);
		free(image->pages);
	}
	arena_deinit(&image->arena);
	*image = (struct image){ .fd = -1 };
}

const struct image_segment *image_segment_at(const struct image *image, taddr at)
{
	taddr vaddr = at - image->bias;

	for (size_t i = 0; i < image->loads.n; i++) {
		const struct image_segment *load = &image->loads.v[i];

		if (vaddr >= load->vaddr && vaddr - load->vaddr < load->filesz)
			return load;
	}
	return NULL;
}

size_t image_read(const struct image *image, taddr at, void *ret, size_t len)
{
	const struct image_segment *load = image_segment_at(image, at);

	// The file knows nothing of what the target has written since.
	if (!load || (load->flags & PF_W))
		return 0;
	uint64_t skip = at - image->bias - load->vaddr;
	if (len > load->filesz - skip)
		len = (size_t)(load->filesz - skip);
	return file_read_some(image, load->offset + skip, ret, len);
}

// File offset of virtual address VADDR (of the file, without bias); false when no segment has it.
static bool offset_of(const struct image *image, uint64_t vaddr, uint64_t *ret)
{
	const struct image_segment *load = image_segment_at(image, vaddr + image->bias);

	if (load)
		*ret = load->offset + (vaddr - load->vaddr);
	return load != NULL;
}

static void section_decode(const Elf64_Shdr *sh, struct image_section *ret)
{
	*ret = (struct image_section){ .vaddr = le64toh(sh->sh_addr),
				       .offset = le64toh(sh->sh_offset),
				       .size = le64toh(sh->sh_size),
				       .flags = le64toh(sh->sh_flags),
				       .type = le32toh(sh->sh_type),
				       .link = le32toh(sh->sh_link) };
}

bool image_section_header(const struct image *image, const char *name, struct image_section *ret)
{
	size_t len = strlen(name) + 1;
	Elf64_Shdr sh;
	char found[64];

	if (len > sizeof(found) || !section_at(image, image->shstrndx, &sh))
		return false;
	uint64_t names = le64toh(sh.sh_offset), names_len = le64toh(sh.sh_size);
	for (uint32_t i = 1; i < image->shnum; i++) {
		if (!section_at(image, i, &sh))
			return false;
		uint64_t at = le32toh(sh.sh_name);
		if (at >= names_len || len > names_len - at || names > UINT64_MAX - at ||
		    !image_file_read(image, names + at, found, len) || memcmp(found, name, len))
			continue;
		section_decode(&sh, ret);
		return true;
	}
	return false;
}

bool image_section(const struct image *image, const char *name, taddr *ret, uint64_t *size_ret)
{
	struct image_section section;

	if (!image_section_header(image, name, &section) || !(section.flags & SHF_ALLOC))
		return false;
	*ret = section.vaddr + image->bias;
	if (size_ret)
		*size_ret = section.size;
	return true;
}

struct symbol_name {
	const char *name;
	size_t len; /* with its NUL */
};

// A symbol that stands for something in this file.
static bool defined(const Elf64_Sym *sym)
{
	unsigned type = ELF64_ST_TYPE(sym->st_info);

	return le16toh(sym->st_shndx) != SHN_UNDEF &&
	       (type == STT_NOTYPE || type == STT_OBJECT || type == STT_FUNC ||
		type == STT_GNU_IFUNC);
}

struct dynamic {
	uint64_t gnu_hash, hash, symtab, strtab, strsz; /* virtual addresses of the file; 0: none */
	uint64_t soname; /* in strtab; 0: none */
};

static bool read_dynamic(const struct image *image, struct dynamic *ret)
{
	uint64_t at, n = image->dynamic_len / sizeof(Elf64_Dyn);
	struct dynamic d = {};

	if (!image->dynamic || !offset_of(image, image->dynamic - image->bias, &at))
		return false;
	for (uint64_t i = 0; i < n && i < 4096; i++) {
		Elf64_Dyn dyn;

		if (!image_file_read(image, at + i * sizeof(dyn), &dyn, sizeof(dyn)))
			return false;
		uint64_t v = le64toh(dyn.d_un.d_val);
		switch ((int64_t)le64toh((uint64_t)dyn.d_tag)) {
		case DT_NULL:
			n = 0;
			break;
		case DT_GNU_HASH:
			d.gnu_hash = v;
			break;
		case DT_HASH:
			d.hash = v;
			break;
		case DT_SYMTAB:
			d.symtab = v;
			break;
		case DT_STRTAB:
			d.strtab = v;
			break;
		case DT_STRSZ:
			d.strsz = v;
			break;
		case DT_SONAME:
			d.soname = v;
			break;
		}
	}
	*ret = d;
	return d.symtab && d.strtab;
}

bool image_soname(const struct image *image, char ret[SONAME_MAX])
{
	struct dynamic d;
	uint64_t strtab;

	if (!read_dynamic(image, &d) || !d.soname || d.soname >= d.strsz ||
	    !offset_of(image, d.strtab, &strtab) || strtab > UINT64_MAX - d.soname)
		return false;
	size_t len = file_read_some(image, strtab + d.soname, ret, SONAME_MAX);
	return len && *ret && memchr(ret, '\0', len);
}

static bool symbol_matches(const struct image *image, uint64_t symtab, uint64_t strtab,
			   uint64_t strsz, uint64_t index, const struct symbol_name *name,
			   Elf64_Sym *ret)
{
	char found[256];

	if (index > UINT32_MAX ||
	    !image_file_read(image, symtab + index * sizeof(*ret), ret, sizeof(*ret)))
		return false;
	uint64_t at = le32toh(ret->st_name);
	return defined(ret) && at < strsz && name->len <= strsz - at &&
	       name->len <= sizeof(found) &&
	       image_file_read(image, strtab + at, found, name->len) &&
	       !memcmp(found, name->name, name->len);
}

static bool read_u32(const struct image *image, uint64_t offset, uint32_t *ret)
{
	uint32_t v;

	if (!image_file_read(image, offset, &v, sizeof(v)))
		return false;
	*ret = le32toh(v);
	return true;
}

// The hash table of dynamic symbols; where it is there it has every defined one.
static bool find_by_gnu_hash(const struct image *image, const struct dynamic *d,
			     const struct symbol_name *name, Elf64_Sym *ret)
{
	uint64_t table, symtab, strtab, strsz = d->strsz;
	uint32_t header[4], hash = 5381;

	if (!offset_of(image, d->gnu_hash, &table) || !offset_of(image, d->symtab, &symtab) ||
	    !offset_of(image, d->strtab, &strtab) ||
	    !image_file_read(image, table, header, sizeof(header)))
		return false;
	for (const char *c = name->name; *c; c++)
		hash = hash * 33 + (uint8_t)*c;
	uint64_t n_buckets = le32toh(header[0]), first = le32toh(header[1]);
	uint64_t bloom_words = le32toh(header[2]);
	unsigned shift = le32toh(header[3]) & 31;
	if (!n_buckets || !bloom_words)
		return false;

	uint64_t word, bloom = table + sizeof(header);
	if (!image_file_read(image, bloom + (hash / 64) % bloom_words * 8, &word, sizeof(word)))
		return false;
	word = le64toh(word);
	if (!(word >> (hash % 64) & 1) || !(word >> ((hash >> shift) % 64) & 1))
		return false;

	uint64_t buckets = bloom + bloom_words * 8, chains = buckets + n_buckets * 4;
	uint32_t index, link;
	if (!read_u32(image, buckets + hash % n_buckets * 4, &index) || index < first)
		return false;
	// The chain ends at its mark or with the file.
	do {
		if (!read_u32(image, chains + (index - first) * 4, &link))
			return false;
		if ((link | 1) == (hash | 1) &&
		    symbol_matches(image, symtab, strtab, strsz, index, name, ret))
			return true;
		index++;
	} while (!(link & 1) && index);
	return false;
}

#define NAME_PLACES 64

// Where NAME stands in the string table. Linkers let a name end another, so all places count.
static size_t find_name(const struct image *image, uint64_t strtab, uint64_t strsz,
			const struct symbol_name *name, uint8_t *chunk, uint32_t *ret)
{
	size_t n = 0, kept = 0;

	for (uint64_t at = 0; at < strsz && n < NAME_PLACES;) {
		size_t want = IMAGE_CHUNK - kept;
		if (want > strsz - at)
			want = (size_t)(strsz - at);
		if (!file_read_once(image, strtab + at, chunk + kept, want))
			break;
		size_t have = kept + want;
		uint64_t base = at - kept;
		for (uint8_t *p = chunk, *hit; n < NAME_PLACES; p = hit + 1) {
			hit = memmem(p, (size_t)(chunk + have - p), name->name, name->len);
			if (!hit)
				break;
			ret[n++] = (uint32_t)(base + (uint64_t)(hit - chunk));
		}
		at += want;
		// A name may lie across the border; one that ends before it has been counted.
		kept = have < name->len ? have : name->len - 1;
		memmove(chunk, chunk + have - kept, kept);
	}
	return n;
}

// A symbol table looked through from end to end, the strings first.
static bool find_by_scan(const struct image *image, uint64_t symtab, uint64_t symsz,
			 uint64_t strtab, uint64_t strsz, const struct symbol_name *name,
			 Elf64_Sym *ret)
{
	_cleanup_(freep) uint8_t *chunk = malloc(IMAGE_CHUNK);
	uint32_t places[NAME_PLACES];
	bool found = false;

	if (strsz > UINT32_MAX)
		strsz = UINT32_MAX;
	if (!chunk || strsz > IMAGE_MAX_SYMBOLS || symsz > IMAGE_MAX_SYMBOLS)
		return false;
	size_t n = find_name(image, strtab, strsz, name, chunk, places);
	if (!n)
		return false;
	size_t step = IMAGE_CHUNK / sizeof(Elf64_Sym) * sizeof(Elf64_Sym);
	for (uint64_t at = 0; symsz - at >= sizeof(Elf64_Sym); at += step) {
		size_t want = symsz - at < step ? (size_t)(symsz - at) : step;

		if (!file_read_once(image, symtab + at, chunk, want))
			break;
		for (size_t i = 0; i + sizeof(Elf64_Sym) <= want; i += sizeof(Elf64_Sym)) {
			Elf64_Sym sym;

			memcpy(&sym, chunk + i, sizeof(sym));
			bool named = false;
			for (size_t k = 0; k < n && !named; k++)
				named = places[k] == le32toh(sym.st_name);
			if (!named || !defined(&sym))
				continue;
			// A local one of that name is another thing, unless it is the only one.
			bool local = ELF64_ST_BIND(sym.st_info) == STB_LOCAL;
			if (!found || !local)
				*ret = sym;
			found = true;
			if (!local)
				return true;
		}
		if (want < step)
			break;
	}
	return found;
}

// The section of TYPE with symbols, looked through.
static bool find_in_section(const struct image *image, uint32_t type,
			    const struct symbol_name *name, Elf64_Sym *ret)
{
	for (uint32_t i = 1; i < image->shnum; i++) {
		Elf64_Shdr sh, names;

		if (!section_at(image, i, &sh))
			return false;
		if (le32toh(sh.sh_type) != type || !section_at(image, le32toh(sh.sh_link), &names))
			continue;
		return find_by_scan(image, le64toh(sh.sh_offset), le64toh(sh.sh_size),
				    le64toh(names.sh_offset), le64toh(names.sh_size), name, ret);
	}
	return false;
}

// The table behind DT_SYMTAB, whose length the old hash table knows.
static bool find_by_hash_size(const struct image *image, const struct dynamic *d,
			      const struct symbol_name *name, Elf64_Sym *ret)
{
	uint64_t table, symtab, strtab;
	uint32_t n;

	return offset_of(image, d->hash, &table) && offset_of(image, d->symtab, &symtab) &&
	       offset_of(image, d->strtab, &strtab) && read_u32(image, table + 4, &n) &&
	       find_by_scan(image, symtab, (uint64_t)n * sizeof(*ret), strtab, d->strsz, name, ret);
}

bool image_symbol(const struct image *image, const char *name, taddr *ret, uint64_t *size_ret)
{
	struct symbol_name sought = { .name = name, .len = strlen(name) + 1 };
	struct dynamic d;
	Elf64_Sym sym;
	bool found = false;

	if (sought.len < 2 || sought.len > 256)
		return false;
	if (read_dynamic(image, &d)) {
		if (d.gnu_hash)
			found = find_by_gnu_hash(image, &d, &sought, &sym);
		else if (d.hash)
			found = find_by_hash_size(image, &d, &sought, &sym);
	} else {
		found = find_in_section(image, SHT_DYNSYM, &sought, &sym);
	}
	if (!found && !find_in_section(image, SHT_SYMTAB, &sought, &sym))
		return false;
	*ret = le64toh(sym.st_value) + (le16toh(sym.st_shndx) == SHN_ABS ? 0 : image->bias);
	if (size_ret)
		*size_ret = le64toh(sym.st_size);
	return true;
}
