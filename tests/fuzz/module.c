/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An ELF file that a target has mapped: its segments and symbols, the stacks that its call frame
 * information tells, the lines of its DWARF.
 */
#include <elf.h>
#include <unistd.h>

#include "analyse/symbols.h"
#include "cleanup.h"
#include "fuzz.h"
#include "walk/cfi.h"
#include "walk/native.h"

#define START ((taddr)0x10000000)
#define STACK ((taddr)0x20000000)
#define MAX_PCS 64

struct pcs {
	taddr v[MAX_PCS];
	size_t n;
};

static void add_pcs(struct pcs *pcs, taddr start, uint64_t size)
{
	for (uint64_t i = 0; i < 8 && pcs->n < MAX_PCS; i++)
		pcs->v[pcs->n++] = start + size / 8 * i;
}

// Where code may be, as far as the file itself tells.
static void find_pcs(const struct image *image, struct pcs *ret)
{
	taddr at;
	uint64_t size;

	for (size_t i = 0; i < image->loads.n; i++)
		if (image->loads.v[i].flags & PF_X)
			add_pcs(ret, image->bias + image->loads.v[i].vaddr, image->loads.v[i].memsz);
	if (image_symbol(image, "main", &at, &size))
		add_pcs(ret, at, size);
	if (image_section(image, ".text", &at, &size))
		add_pcs(ret, at, size);
}

static void name(struct images *images, const struct pcs *pcs)
{
	_cleanup_(arena_deinit) struct arena arena = {};
	_cleanup_(symbolizer_destroyp) struct symbolizer *symbolizer = NULL;
	const struct symbol *symbol;
	struct names names;
	gaps missing = {};

	names_init(&names, &arena);
	bool made = !error_drop(symbolizer_create(images, &names, &symbolizer));
	for (size_t i = 0; made && i < pcs->n; i++)
		error_drop(symbolizer_lookup(symbolizer, pcs->v[i], i & 1, &symbol));
	if (made)
		error_drop(symbolizer_gaps(symbolizer, &arena, &missing));
	names_deinit(&names);
}

static void unwind(struct images *images, const struct pcs *pcs, const struct arch *arch)
{
	_cleanup_(unwinder_destroyp) struct unwinder *unwinder = NULL;
	bool made = !error_drop(unwinder_create(images, &unwinder));

	for (size_t i = 0; made && i < pcs->n; i++) {
		struct regs regs = { .arch = arch };
		struct native_stack stack;

		for (unsigned r = 0; r < arch->n_regs; r++)
			regs.r[r] = STACK + 8 * r;
		regs.r[arch->pc] = pcs->v[i];
		regs.r[arch->sp] = STACK;
		if (!error_drop(walk_native(unwinder, &regs, &stack)))
			native_stack_deinit(&stack);
	}
}

// The stack: return addresses into the module, and pointers to the stack itself.
static void *make_stack(struct arena *arena, const struct pcs *pcs, size_t words)
{
	uint64_t *ret = arena_alloc(arena, words * sizeof(*ret));

	for (size_t i = 0; ret && i < words; i++)
		ret[i] = i % 3 || !pcs->n ? STACK + 8 * (i + 4) : pcs->v[i % pcs->n];
	return ret;
}

static void examine(struct snapshot *snapshot, const struct pcs *pcs, unsigned machine)
{
	enum { WORDS = 1024 };
	struct images images;
	void *stack = make_stack(&snapshot->arena, pcs, WORDS);

	snapshot->host.arch = arch_by_id(machine == EM_AARCH64 ? ARCH_AARCH64 : ARCH_X86_64);
	if (!stack || error_drop(snapshot_add_memory(snapshot, STACK, stack, WORDS * 8)) ||
	    error_drop(images_init(&images, snapshot)))
		return;
	unwind(&images, pcs, snapshot->host.arch);
	name(&images, pcs);
	images_deinit(&images);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(closep) int fd = fuzz_file(data, size);
	_cleanup_(snapshot_deinit) struct snapshot snapshot;
	struct pcs pcs = {};
	struct image image;
	struct cfi cfi = {};

	snapshot_init(&snapshot);
	if (error_drop(image_open_fd(fd, START, &image)))
		return 0;
	find_pcs(&image, &pcs);
	for (size_t i = 0; i < pcs.n; i++) {
		struct cfi_entry entry;
		bool found = false;

		if (!error_drop(cfi_find(&cfi, &image, pcs.v[i], &entry, &found)) && found)
			cfi_entry_deinit(&entry);
	}
	cfi_deinit(&cfi);
	unsigned machine = image.machine;
	image_close(&image);
	static char maps[] = "10000000-18000000 r-xp 00000000 00:01 7 /srv/fuzz\n"
			     "20000000-20002000 rw-p 00000000 00:00 0 [stack]\n";
	snapshot.process.maps = (struct bytes){ (uint8_t *)maps, sizeof(maps) - 1 };
	if (error_drop(snapshot_parse_maps(&snapshot)) || !snapshot.modules.n)
		return 0;
	snapshot.modules.v[0].fd = dup(fd);
	examine(&snapshot, &pcs, machine);
	return 0;
}
