/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cfi.h"

#include <dwarf.h>
#include <elf.h>
#include <endian.h>
#include <fcntl.h>
#include <libelf.h>
#include <string.h>

#include "../cleanup.h"

#define CFI_MAX_ENTRY	((uint64_t)64 << 10)  /* bytes of one CIE or FDE */
#define CFI_MAX_SECTION ((uint64_t)64 << 20)  /* that is searched without a table */
#define CFI_MAX_INDEX	((size_t)1 << 21)     /* entries of such a section */
#define CFI_MAX_REMEMBERED 64		      /* states that one entry stacks up */

// A section with entries, seen through offsets that count from ADDR (an address of the file).
struct cfi_source {
	const struct image *image;
	uint64_t offset;	/* in the file */
	uint8_t *data;		/* or in memory, owned, where the file has it compressed */
	uint64_t addr, size;
	bool debug_frame;
	bool bounded;		/* size is the section's: it may be searched from end to end */

	/* The sorted table of .eh_frame_hdr; 0 entries: none */
	uint64_t table, n_table; /* address of the file */
	uint64_t table_base;
	bool table_wide; /* 8-byte values */

	/* Without a table: one of our own. */
	bool indexed;
	struct cfi_place { uint64_t start, end, at; } *index;
	size_t n_index;
};

// Bytes that are walked through; at their end everything reads as zero and `over` is set.
struct cursor {
	const uint8_t *p, *end;
	bool over;
};

static uint64_t take(struct cursor *c, unsigned n)
{
	uint64_t v = 0;

	if ((size_t)(c->end - c->p) < n) {
		c->over = true;
		c->p = c->end;
		return 0;
	}
	for (unsigned i = 0; i < n; i++)
		v |= (uint64_t)c->p[i] << (8 * i);
	c->p += n;
	return v;
}

static int64_t take_signed(struct cursor *c, unsigned n)
{
	uint64_t v = take(c, n);
	uint64_t sign = (uint64_t)1 << (8 * n - 1);

	return (int64_t)((v ^ sign) - sign);
}

static uint64_t take_uleb(struct cursor *c)
{
	uint64_t v = 0;

	for (unsigned shift = 0;; shift += 7) {
		uint64_t byte = take(c, 1);

		if (shift < 64)
			v |= (byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return v;
	}
}

static int64_t take_sleb(struct cursor *c)
{
	uint64_t v = 0;

	for (unsigned shift = 0;;) {
		uint64_t byte = take(c, 1);

		if (shift < 64)
			v |= (byte & 0x7f) << shift;
		shift += 7;
		if (byte & 0x80)
			continue;
		if (shift < 64 && (byte & 0x40))
			v |= ~(uint64_t)0 << shift;
		return (int64_t)v;
	}
}

static void skip(struct cursor *c, uint64_t n)
{
	if (n > (uint64_t)(c->end - c->p)) {
		c->over = true;
		c->p = c->end;
	} else {
		c->p += n;
	}
}

// A pointer in one of .eh_frame's encodings. AT is the address of C->p, BASE that of a table's
// header, 0 when there is none.
static bool take_encoded(struct cursor *c, unsigned encoding, uint64_t at, uint64_t base,
			 uint64_t *ret)
{
	uint64_t v;

	switch (encoding & 0x0f) {
	case DW_EH_PE_absptr:
	case DW_EH_PE_udata8:
	case DW_EH_PE_sdata8:
		v = take(c, 8);
		break;
	case DW_EH_PE_udata4:
		v = take(c, 4);
		break;
	case DW_EH_PE_sdata4:
		v = (uint64_t)take_signed(c, 4);
		break;
	case DW_EH_PE_udata2:
		v = take(c, 2);
		break;
	case DW_EH_PE_sdata2:
		v = (uint64_t)take_signed(c, 2);
		break;
	case DW_EH_PE_uleb128:
		v = take_uleb(c);
		break;
	case DW_EH_PE_sleb128:
		v = (uint64_t)take_sleb(c);
		break;
	default:
		return false;
	}
	switch (encoding & 0xf0) {
	case 0: // absolute
		break;
	case DW_EH_PE_pcrel:
		v += at;
		break;
	case DW_EH_PE_datarel:
		if (!base)
			return false;
		v += base;
		break;
	default: // relative to text or function: of other systems; indirect: not for code addresses
		return false;
	}
	*ret = v;
	return !c->over;
}

static bool source_read(const struct cfi_source *s, uint64_t at, void *ret, size_t len)
{
	if (at > s->size || len > s->size - at)
		return false;
	if (!s->data)
		return image_file_read(s->image, s->offset + at, ret, len);
	memcpy(ret, s->data + at, len);
	return true;
}

// What stands at the beginning of each CIE and FDE.
struct head {
	uint64_t body, end; /* offsets in the source: behind the CIE pointer, behind the entry */
	uint64_t cie;	    /* of an FDE: offset of its CIE */
	bool is_cie, terminator;
};

static bool read_head(const struct cfi_source *s, uint64_t at, struct head *ret)
{
	uint8_t raw[20];
	size_t n = s->size - at < sizeof(raw) ? (size_t)(s->size - at) : sizeof(raw);

	if (at >= s->size || n < 4 || !source_read(s, at, raw, n))
		return false;
	struct cursor c = { .p = raw, .end = raw + n };
	uint64_t len = take(&c, 4);
	*ret = (struct head){ .terminator = !len };
	if (!len)
		return true;
	unsigned wide = len == 0xffffffff ? 8 : 4;
	if (wide == 8)
		len = take(&c, 8);
	uint64_t here = at + (uint64_t)(c.p - raw);
	uint64_t id = take(&c, wide);
	if (c.over || len < wide || len > CFI_MAX_ENTRY || len > s->size - here)
		return false;
	ret->body = here + wide;
	ret->end = here + len;
	if (s->debug_frame) {
		ret->is_cie = id == (wide == 8 ? UINT64_MAX : UINT32_MAX);
		ret->cie = id;
	} else {
		ret->is_cie = !id;
		ret->cie = here - id;
	}
	return ret->is_cie || ret->cie < s->size;
}

struct cie {
	uint8_t encoding;
	bool sized, signal;
	uint64_t code_align, ra;
	int64_t data_align;
	struct buf bytes; /* of the body */
	size_t program;	  /* where its instructions begin in it */
};

static void cie_deinit(struct cie *cie)
{
	buf_deinit(&cie->bytes);
}

// The body of the entry at H.
static bool read_body(const struct cfi_source *s, const struct head *h, struct buf *ret)
{
	size_t len = (size_t)(h->end - h->body);

	buf_zero(ret, len);
	return !ret->failed && source_read(s, h->body, ret->data, len);
}

static bool read_augmentation(struct cursor *c, const char *letters, uint64_t addr,
			      const uint8_t *first, struct cie *cie)
{
	uint64_t ignored;

	for (; *letters; letters++) {
		switch (*letters) {
		case 'L':
			take(c, 1);
			break;
		case 'R':
			cie->encoding = (uint8_t)take(c, 1);
			break;
		case 'P': {
			unsigned encoding = (unsigned)take(c, 1);

			// Only its length matters: what it points to is for languages.
			if (!take_encoded(c, encoding & 0x0f, addr + (uint64_t)(c->p - first), 0,
					  &ignored))
				return false;
			break;
		}
		case 'S':
			cie->signal = true;
			break;
		default:
			// Unknown ones are skipped by the length; B and G of aarch64 carry nothing.
			if (*letters != 'B' && *letters != 'G')
				return !c->over;
		}
	}
	return !c->over;
}

static bool read_cie(const struct cfi_source *s, uint64_t at, struct cie *ret)
{
	struct head h;

	if (!read_head(s, at, &h) || h.terminator || !h.is_cie || !read_body(s, &h, &ret->bytes))
		return false;
	const uint8_t *first = ret->bytes.data;
	struct cursor c = { .p = first, .end = first + ret->bytes.len };
	uint64_t version = take(&c, 1);
	if (version != 1 && version != 3 && version != 4)
		return false;
	const char *letters = (const char *)c.p;
	const uint8_t *nul = memchr(c.p, '\0', (size_t)(c.end - c.p));
	if (!nul)
		return false;
	c.p = nul + 1;
	if (version == 4 && (take(&c, 1) != 8 || take(&c, 1) != 0))
		return false;
	ret->code_align = take_uleb(&c);
	ret->data_align = take_sleb(&c);
	ret->ra = version == 1 ? take(&c, 1) : take_uleb(&c);
	ret->encoding = DW_EH_PE_absptr;
	if (*letters == 'z') {
		uint64_t len = take_uleb(&c);
		struct cursor inner = c;

		ret->sized = true;
		skip(&c, len);
		inner.end = c.p;
		if (c.over || !read_augmentation(&inner, letters + 1, s->addr + h.body, first, ret))
			return false;
	} else if (*letters) {
		return false;
	}
	if (c.over || ret->ra > CFI_MAX_REGISTER)
		return false;
	ret->program = (size_t)(c.p - first);
	return true;
}

// Start and end of the code (addresses of the file) that the FDE whose body is BYTES is about.
static bool read_range(const struct cfi_source *s, const struct head *h, const struct cie *cie,
		       struct cursor *c, uint64_t *start, uint64_t *end)
{
	uint64_t len;

	if (!take_encoded(c, cie->encoding, s->addr + h->body, 0, start) ||
	    !take_encoded(c, cie->encoding & 0x0f, 0, 0, &len) || len > UINT64_MAX - *start)
		return false;
	*end = *start + len;
	return true;
}

// What was seen while a program was checked.
struct checked {
	bool fancy; /* something that libunwind does not execute, or not safely */
};

// Whether a DWARF expression may divide: libunwind divides the smallest number by -1.
static bool may_divide(const uint8_t *p, uint64_t len)
{
	return memchr(p, DW_OP_div, (size_t)len) != NULL;
}

static void check_register(struct cursor *c, struct checked *ret)
{
	uint64_t reg = take_uleb(c);

	// libunwind's registers of x86_64 end at 16, the return address.
	if (reg > 16)
		ret->fancy = true;
	if (reg > CFI_MAX_REGISTER)
		c->over = true;
}

static void check_block(struct cursor *c, struct checked *ret)
{
	uint64_t len = take_uleb(c);
	const uint8_t *p = c->p;

	skip(c, len);
	if (!c->over && may_divide(p, len))
		ret->fancy = true;
}

// Whether every instruction of PROGRAM is known and whole. Those that only matter to others are
// made into nothing.
static bool check_program(struct buf *program, uint16_t machine, struct checked *ret)
{
	struct cursor c = {};
	unsigned remembered = 0;

	// Nothing to check, and nothing that a pointer could be computed from.
	if (program->len)
		c = (struct cursor){ .p = program->data, .end = program->data + program->len };
	while (c.p < c.end && !c.over) {
		uint8_t *at = program->data + (c.p - program->data);
		unsigned op = (unsigned)take(&c, 1);

		if (op >> 6) {
			if (op >> 6 != 1 && (op & 0x3f) > 16)
				ret->fancy = true;
			if (op >> 6 == 2)
				take_uleb(&c);
			continue;
		}
		switch (op) {
		case DW_CFA_nop:
			break;
		case DW_CFA_advance_loc1:
			take(&c, 1);
			break;
		case DW_CFA_advance_loc2:
			take(&c, 2);
			break;
		case DW_CFA_advance_loc4:
			take(&c, 4);
			break;
		case DW_CFA_val_offset:
		case DW_CFA_val_offset_sf:
			ret->fancy = true;
			check_register(&c, ret);
			take_uleb(&c);
			break;
		case DW_CFA_offset_extended:
		case DW_CFA_offset_extended_sf:
		case DW_CFA_def_cfa:
		case DW_CFA_def_cfa_sf:
		case DW_CFA_GNU_negative_offset_extended:
			check_register(&c, ret);
			take_uleb(&c);
			break;
		case DW_CFA_restore_extended:
		case DW_CFA_undefined:
		case DW_CFA_same_value:
		case DW_CFA_def_cfa_register:
			check_register(&c, ret);
			break;
		case DW_CFA_register:
			check_register(&c, ret);
			check_register(&c, ret);
			break;
		case DW_CFA_remember_state:
			if (++remembered > CFI_MAX_REMEMBERED)
				return false;
			break;
		case DW_CFA_restore_state:
			if (!remembered--)
				return false;
			break;
		case DW_CFA_def_cfa_offset:
		case DW_CFA_def_cfa_offset_sf:
		case DW_CFA_GNU_args_size:
			take_uleb(&c);
			break;
		case DW_CFA_def_cfa_expression:
			check_block(&c, ret);
			break;
		case DW_CFA_expression:
		case DW_CFA_val_expression:
			check_register(&c, ret);
			check_block(&c, ret);
			break;
		case DW_CFA_GNU_window_save:
			// On aarch64: the return address is signed from here on, or no longer.
			// Older libdw takes it for SPARC's; signatures are always taken off.
			if (machine != EM_AARCH64)
				return false;
			*at = DW_CFA_nop;
			break;
		default: // DW_CFA_set_loc too, which nobody emits
			return false;
		}
	}
	return !c.over;
}

void cfi_entry_deinit(struct cfi_entry *entry)
{
	buf_deinit(&entry->initial);
	buf_deinit(&entry->program);
	*entry = (struct cfi_entry){};
}

// The entry at AT of S, if it is about PC (an address of the file).
static struct error *read_entry(const struct cfi_source *s, uint64_t at, uint64_t pc,
				struct cfi_entry *ret, bool *found_ret)
{
	_cleanup_(cie_deinit) struct cie cie = {};
	_cleanup_(buf_deinit) struct buf body = {};
	_cleanup_(cfi_entry_deinit) struct cfi_entry entry = {};
	struct head h;
	uint64_t start, end;

	*found_ret = false;
	if (!read_head(s, at, &h) || h.terminator || h.is_cie || !read_cie(s, h.cie, &cie) ||
	    !read_body(s, &h, &body))
		return NULL;
	struct cursor c = { .p = body.data, .end = body.data + body.len };
	if (!read_range(s, &h, &cie, &c, &start, &end) || pc < start || pc >= end)
		return NULL;
	if (cie.sized)
		skip(&c, take_uleb(&c));
	if (c.over)
		return NULL;
	buf_add(&entry.initial, cie.bytes.data + cie.program, cie.bytes.len - cie.program);
	buf_add(&entry.program, c.p, (size_t)(c.end - c.p));
	struct error *err = buf_error(&entry.initial);
	err = err ? err : buf_error(&entry.program);
	if (err)
		return err;

	struct checked checked = {};
	if (!check_program(&entry.initial, s->image->machine, &checked) ||
	    !check_program(&entry.program, s->image->machine, &checked))
		return NULL;
	entry.start = start + s->image->bias;
	entry.end = end + s->image->bias;
	entry.signal = cie.signal;
	entry.basic = !checked.fancy && cie.ra == 16;
	entry.code_align = cie.code_align;
	entry.data_align = cie.data_align;
	entry.ra = (unsigned)cie.ra;
	*ret = TAKE(entry);
	*found_ret = true;
	return NULL;
}

static void put_uleb(struct buf *buf, uint64_t v)
{
	do {
		uint8_t byte = v & 0x7f;

		v >>= 7;
		byte |= v ? 0x80 : 0;
		buf_add(buf, &byte, 1);
	} while (v);
}

static void put_sleb(struct buf *buf, int64_t v)
{
	for (bool more = true; more;) {
		uint8_t byte = v & 0x7f;

		v >>= 7;
		more = !((v == 0 && !(byte & 0x40)) || (v == -1 && (byte & 0x40)));
		byte |= more ? 0x80 : 0;
		buf_add(buf, &byte, 1);
	}
}

// Close the entry that began at BEGIN: pad it with nops, which are zero, and fill its length in.
static void put_end(struct buf *buf, size_t begin)
{
	buf_align(buf, 8);
	// The length does not count itself, so entries end 4 bytes behind a border.
	buf_u32(buf, 0);
	if (buf->failed)
		return;
	uint32_t len = htole32((uint32_t)(buf->len - begin - 4));
	memcpy(buf->data + begin, &len, sizeof(len));
}

struct error *cfi_entry_write(const struct cfi_entry *entry, struct buf *ret, size_t *fde_ret)
{
	_cleanup_(buf_deinit) struct buf buf = {};
	uint8_t ra = (uint8_t)entry->ra, encoding = DW_EH_PE_absptr;

	buf_u32(&buf, 0);
	buf_u32(&buf, 0);
	// Version 1, augmentation "zR" or "zRS" with its NUL.
	buf_add(&buf, "\1zRS", entry->signal ? 4 : 3);
	buf_zero(&buf, 1);
	put_uleb(&buf, entry->code_align);
	put_sleb(&buf, entry->data_align);
	buf_add(&buf, &ra, 1);
	put_uleb(&buf, 1);
	buf_add(&buf, &encoding, 1);
	buf_add(&buf, entry->initial.data, entry->initial.len);
	put_end(&buf, 0);

	size_t fde = buf.len;
	buf_u32(&buf, 0);
	buf_u32(&buf, (uint32_t)(fde + 4));
	buf_u64(&buf, entry->start);
	buf_u64(&buf, entry->end - entry->start);
	put_uleb(&buf, 0);
	buf_add(&buf, entry->program.data, entry->program.len);
	put_end(&buf, fde);
	buf_u32(&buf, 0);
	struct error *err = buf_error(&buf);
	if (err)
		return err;
	*ret = TAKE(buf);
	*fde_ret = fde;
	return NULL;
}

static int place_compare(const void *a, const void *b)
{
	const struct cfi_place *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

static struct error *index_add(struct cfi_source *s, struct cfi_place place)
{
	if (!(s->n_index & (s->n_index - 1))) {
		size_t room = s->n_index ? s->n_index * 2 : 1;
		struct cfi_place *v = realloc(s->index, room * sizeof(*v));

		if (!v)
			return error_nomem();
		s->index = v;
	}
	s->index[s->n_index++] = place;
	return NULL;
}

// Go through S from end to end and remember where the FDE of each range is.
static struct error *make_index(struct cfi_source *s)
{
	_cleanup_(cie_deinit) struct cie cie = {};
	uint64_t cie_at = UINT64_MAX;
	bool cie_good = false;
	struct head h;

	s->indexed = true;
	if (!s->bounded || s->size > CFI_MAX_SECTION)
		return NULL;
	for (uint64_t at = 0; read_head(s, at, &h); at = h.terminator ? at + 4 : h.end) {
		// .eh_frame ends at a length of zero; linkers leave some between input files too.
		if (h.terminator || h.is_cie)
			continue;
		if (h.cie != cie_at) {
			cie_deinit(&cie);
			cie = (struct cie){};
			cie_at = h.cie;
			cie_good = read_cie(s, h.cie, &cie);
		}
		uint8_t raw[24];
		uint64_t len = h.end - h.body;
		size_t n = len < sizeof(raw) ? (size_t)len : sizeof(raw);
		struct cfi_place place = { .at = at };
		if (!cie_good || !source_read(s, h.body, raw, n))
			continue;
		struct cursor c = { .p = raw, .end = raw + n };
		// Code at 0 was thrown away by the linker.
		if (!read_range(s, &h, &cie, &c, &place.start, &place.end) || !place.start ||
		    place.start == place.end)
			continue;
		struct error *err = index_add(s, place);
		if (err)
			return err;
		if (s->n_index == CFI_MAX_INDEX)
			break;
	}
	if (s->n_index)
		qsort(s->index, s->n_index, sizeof(*s->index), place_compare);
	return NULL;
}

static bool table_value(const struct cfi_source *s, uint64_t i, unsigned column, uint64_t *ret)
{
	unsigned size = s->table_wide ? 8 : 4;
	uint8_t raw[8];

	if (image_read(s->image, s->image->bias + s->table + (2 * i + column) * size, raw, size) !=
	    size)
		return false;
	struct cursor c = { .p = raw, .end = raw + size };
	*ret = s->table_base + (uint64_t)take_signed(&c, size);
	return true;
}

// The FDE of the last row of the table that begins at or below PC.
static bool search_table(const struct cfi_source *s, uint64_t pc, uint64_t *fde_ret)
{
	uint64_t lo = 0, hi = s->n_table, start;

	while (lo < hi) {
		uint64_t mid = lo + (hi - lo) / 2;

		if (!table_value(s, mid, 0, &start))
			return false;
		if (start <= pc)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo && table_value(s, lo - 1, 1, fde_ret);
}

static struct error *search_source(struct cfi_source *s, uint64_t pc, struct cfi_entry *ret,
				   bool *found_ret)
{
	uint64_t fde;

	if (s->n_table && search_table(s, pc, &fde))
		return read_entry(s, fde - s->addr, pc, ret, found_ret);
	// The table is whole when it is there: what it does not have is nowhere.
	if (s->n_table)
		return NULL;
	struct error *err = s->indexed ? NULL : make_index(s);
	if (err)
		return err;
	size_t lo = 0, hi = s->n_index;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->index[mid].start <= pc)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo || pc >= s->index[lo - 1].end)
		return NULL;
	return read_entry(s, s->index[lo - 1].at, pc, ret, found_ret);
}

// The header of .eh_frame: where the section is, and a sorted table of it when the linker made one.
static bool read_eh_frame_hdr(struct cfi_source *s)
{
	const struct image *image = s->image;
	uint64_t at = image->eh_frame_hdr - image->bias;
	uint8_t raw[32];
	size_t n = image_read(image, image->eh_frame_hdr, raw, sizeof(raw));
	struct cursor c = { .p = raw, .end = raw + n };
	uint64_t eh_frame, count;

	if (take(&c, 1) != 1)
		return false;
	unsigned frame_encoding = (unsigned)take(&c, 1), count_encoding = (unsigned)take(&c, 1);
	unsigned table_encoding = (unsigned)take(&c, 1);
	if (!take_encoded(&c, frame_encoding, at + 4, at, &eh_frame))
		return false;

	// Entries are found by address: the whole segment is what they may lie in.
	const struct image_segment *load = image_segment_at(image, eh_frame + image->bias);
	if (!load)
		return false;
	s->addr = load->vaddr;
	s->offset = load->offset;
	s->size = load->filesz;
	bool narrow = table_encoding == (DW_EH_PE_datarel | DW_EH_PE_sdata4);
	bool wide = table_encoding == (DW_EH_PE_datarel | DW_EH_PE_sdata8);
	if (count_encoding == DW_EH_PE_omit || !(narrow || wide) ||
	    !take_encoded(&c, count_encoding, at + (uint64_t)(c.p - raw), at, &count))
		return false;
	s->table = at + (uint64_t)(c.p - raw);
	s->table_base = at;
	s->table_wide = wide;
	// One that claims more than its segment holds fails where it is read.
	s->n_table = count < CFI_MAX_INDEX * 8 ? count : 0;
	return s->n_table != 0;
}

static void source_free(struct cfi_source *s)
{
	if (s) {
		free(s->data);
		free(s->index);
		free(s);
	}
}

static void source_freep(struct cfi_source **s)
{
	source_free(*s);
}

// The bytes of a compressed section, by libelf, which knows the methods.
static struct error *decompress(struct cfi_source *s, const char *name)
{
	const struct image *image = s->image;
	Elf64_Chdr header;

	if (image->fd < 0 || !image_file_read(image, s->offset, &header, sizeof(header)) ||
	    le64toh(header.ch_size) > CFI_MAX_SECTION || elf_version(EV_CURRENT) == EV_NONE) {
		s->size = 0;
		return NULL;
	}
	uint64_t offset = s->offset;
	struct error *err = NULL;
	Elf *elf = elf_begin(image->fd, ELF_C_READ, NULL);
	s->size = 0;
	for (Elf_Scn *scn = elf ? elf_nextscn(elf, NULL) : NULL; scn; scn = elf_nextscn(elf, scn)) {
		Elf64_Shdr *sh = elf64_getshdr(scn);

		if (!sh || sh->sh_offset != offset || !(sh->sh_flags & SHF_COMPRESSED))
			continue;
		Elf_Data *data = elf_compress(scn, 0, 0) >= 0 ? elf_rawdata(scn, NULL) : NULL;
		if (!data || !data->d_buf || data->d_size > CFI_MAX_SECTION)
			break;
		s->data = malloc(data->d_size + 1);
		if (!s->data)
			err = error_nomem();
		else
			memcpy(s->data, data->d_buf, data->d_size);
		s->size = s->data ? data->d_size : 0;
		break;
	}
	elf_end(elf);
	return error_prefix(err, "%s", name);
}

static struct error *open_section(const struct image *image, const char *name, bool debug_frame,
				  struct cfi_source **ret)
{
	_cleanup_(source_freep) struct cfi_source *s = NULL;
	struct image_section section;
	bool has = image_section_header(image, name, &section) && section.type != SHT_NOBITS &&
		   section.size;

	if (!has && (debug_frame || !image->eh_frame_hdr))
		return NULL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return error_nomem();
	s->image = image;
	s->debug_frame = debug_frame;
	if (!debug_frame && image->eh_frame_hdr && read_eh_frame_hdr(s)) {
		*ret = TAKE(s);
		return NULL;
	}
	if (!has)
		return NULL;
	s->bounded = true;
	s->addr = section.vaddr;
	s->offset = section.offset;
	s->size = section.size;
	if (s->offset > image->size || s->size > image->size - s->offset)
		return NULL;
	struct error *err = section.flags & SHF_COMPRESSED ? decompress(s, name) : NULL;
	if (err)
		return err;
	*ret = TAKE(s);
	return NULL;
}

void cfi_deinit(struct cfi *cfi)
{
	source_free(cfi->eh);
	source_free(cfi->debug);
	*cfi = (struct cfi){};
}

struct error *cfi_find(struct cfi *cfi, const struct image *image, taddr pc, struct cfi_entry *ret,
		       bool *found_ret)
{
	struct error *err = NULL;

	*found_ret = false;
	if (!cfi->made) {
		err = open_section(image, ".eh_frame", false, &cfi->eh);
		err = err ? err : open_section(image, ".debug_frame", true, &cfi->debug);
		if (err)
			return err;
		cfi->made = true;
	}
	if (cfi->eh)
		err = search_source(cfi->eh, pc - image->bias, ret, found_ret);
	if (!err && !*found_ret && cfi->debug)
		err = search_source(cfi->debug, pc - image->bias, ret, found_ret);
	return err;
}
