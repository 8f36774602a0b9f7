/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_WALK_CFI_H
#define PCATCH_WALK_CFI_H

#include "../buf.h"
#include "image.h"

/*
 * Call frame information: which entry of .eh_frame or .debug_frame speaks about an address. An
 * entry is taken apart and checked here, and written down again in one plain form, so that the
 * libraries which execute it (libunwind, libdw) never see the bytes of the target's making:
 * neither defends itself against all that can be wrong with them.
 */

/* The highest DWARF register number that an entry may name: x86_64 and aarch64 end below. */
#define CFI_MAX_REGISTER 127

struct cfi_entry {
	taddr start, end;    /* of the code, in the target */
	bool signal;	     /* a signal trampoline */
	bool basic;	     /* nothing in it that libunwind executes wrongly or unsafely */
	uint64_t code_align;
	int64_t data_align;
	unsigned ra;	     /* column of the return address */
	struct buf initial, program; /* instructions of its CIE and its own */
};

void cfi_entry_deinit(struct cfi_entry *entry);

/* The entry as an .eh_frame of one CIE (at 0) and one FDE (at *fde_ret), addresses absolute. */
struct error *cfi_entry_write(const struct cfi_entry *entry, struct buf *ret, size_t *fde_ret)
	__attribute__((warn_unused_result));

/* Where the entries of one image are. Made when first asked; all zero is not made yet. */
struct cfi {
	bool made;
	struct cfi_source *eh, *debug; /* NULL: there is none */
};

void cfi_deinit(struct cfi *cfi);

/*
 * The entry for address PC of the target in IMAGE; *found_ret is false when there is none that
 * makes sense.
 */
struct error *cfi_find(struct cfi *cfi, const struct image *image, taddr pc, struct cfi_entry *ret,
		       bool *found_ret) __attribute__((warn_unused_result));

#endif
