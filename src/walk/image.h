/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_WALK_IMAGE_H
#define PCATCH_WALK_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../error.h"
#include "../target/mem.h"
#include "../target/snapshot.h"

/*
 * The ELF file behind a module, with what the walks need of it. The file is the target's making:
 * every offset in it is checked against its size. 32-bit and big-endian files are
 * ERROR_UNSUPPORTED.
 */
struct image {
	int fd;		     /* its own descriptor of the file; -1 for a module in memory */
	const uint8_t *data; /* the ELF image of a module in memory, owned; NULL for a file */
	const struct mem *embedded; /* in place of both: where embed_unwind() put what it is made of, borrowed */
	taddr start;	     /* of an embedded one: where its first bytes are */
	bool debug_alone;    /* the file with its debug information: none of its segments' bytes */
	uint64_t size;	     /* of the file or of the data */
	struct image_pages *pages; /* what has been read of the file */
	uint16_t machine;    /* EM_* */
	taddr bias;	     /* add to a virtual address of the file to get one of the target */
	LIST(struct image_segment {
		taddr vaddr;
		uint64_t offset, filesz, memsz;
		uint32_t flags;
	}) loads;
	taddr eh_frame_hdr;  /* target address, 0: none */
	uint64_t eh_frame_hdr_len;
	taddr dynamic;	     /* target address of .dynamic, 0: none */
	uint64_t dynamic_len;
	uint8_t build_id[BUILD_ID_MAX];
	unsigned build_id_len; /* 0: none */
	uint64_t shoff;	     /* section headers: where, how many (0: none), names in which */
	uint32_t shnum, shstrndx;
	struct arena arena;
};

/*
 * Open MODULE's file: by its held descriptor, else in the first of PLACES (may be NULL) where what
 * is there has the module's build id (or, without one, at its path its inode). For a module in
 * memory MEM supplies the bytes. ERROR_INPUT when files were found and none is the one that was mapped.
 */
struct error *image_open(const struct module *module, const struct places *places,
			 const struct mem *mem, struct image *ret)
	__attribute__((warn_unused_result));

/*
 * What MEM holds of MODULE's file itself, for unwinding: it has neither sections nor symbols. Borrows
 * MEM. An error when that is nothing.
 */
struct error *image_open_embedded(const struct module *module, const struct mem *mem,
				  struct image *ret) __attribute__((warn_unused_result));

/*
 * The first file in PLACES (may be NULL) with the debug information of MODULE, by its build id: it has
 * symbols, addresses of sections, and .debug_frame, but nothing that was mapped.
 */
struct error *image_open_debug(const struct module *module, const struct places *places,
			       struct image *ret) __attribute__((warn_unused_result));

/*
 * The image of ELF file FD (not taken over; dup'ed), placed so that its first PT_LOAD starts at
 * START. For finding build ids and symbols while the target lives.
 */
struct error *image_open_fd(int fd, taddr start, struct image *ret)
	__attribute__((warn_unused_result));

void image_close(struct image *image);

/* Move IMAGE to where BIAS puts it. */
void image_place(struct image *image, taddr bias);

/* Bytes of read-only segments as the file has them; returns how many, 0 outside of them. */
size_t image_read(const struct image *image, taddr at, void *ret, size_t len);

/* LEN bytes of the file at OFFSET, all or nothing. */
bool image_file_read(const struct image *image, uint64_t offset, void *ret, size_t len);

/* The segment whose bytes in the file contain target address AT, NULL when there is none. */
const struct image_segment *image_segment_at(const struct image *image, taddr at);

/*
 * The target address and size of symbol NAME, from .dynsym or .symtab; false when it has none.
 * SIZE_RET may be NULL.
 */
bool image_symbol(const struct image *image, const char *name, taddr *ret, uint64_t *size_ret);

#define SONAME_MAX 256 /* with its NUL */

/* What the image calls itself (DT_SONAME), as it stands there; false when it has no such name. */
bool image_soname(const struct image *image, char ret[SONAME_MAX]);

struct image_section {
	uint64_t vaddr, offset, size; /* the address as the file has it, without the bias */
	uint64_t flags;
	uint32_t type, link;
};

/* The header of section NAME, whether it is loaded or not; false when there is none. */
bool image_section_header(const struct image *image, const char *name, struct image_section *ret);

/* Target address and size of section NAME (".PyRuntime"); false when it is not loaded. */
bool image_section(const struct image *image, const char *name, taddr *ret, uint64_t *size_ret);

/* All images of a snapshot, opened when first needed. */
struct images {
	const struct snapshot *snapshot;
	struct mem_bytes dump;
	struct image *v;	 /* one per module */
	unsigned char *state;	 /* 0 not tried, 1 open, 2 cannot be had */
	struct error **errors;	 /* why not, or why something else stands in its place; owned */
	struct mem files;	 /* what the modules' files say about their read-only segments */
	const struct mem *layers[2];
	size_t last; /* the module that was last looked at by address, + 1 */
	struct mem_layers mem;	 /* the dump, then the files: what a walk reads */
};

/* Borrows SNAPSHOT until images_deinit(); IMAGES must not move after its init. */
struct error *images_init(struct images *images, const struct snapshot *snapshot)
	__attribute__((warn_unused_result));
void images_deinit(struct images *images);

/* The image of module INDEX, NULL when it cannot be had (why: images->errors[index]). */
const struct image *images_get(struct images *images, size_t index);

/* The image that covers target address AT and its module's index; NULL when there is none. */
const struct image *images_at(struct images *images, taddr at, size_t *index_ret);

#endif
