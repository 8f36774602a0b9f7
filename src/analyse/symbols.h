/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_ANALYSE_SYMBOLS_H
#define PCATCH_ANALYSE_SYMBOLS_H

#include "../walk/image.h"
#include "findings.h"
#include "names.h"

/*
 * From program counters to functions, files and lines. Names come from .symtab (also that of a
 * separate debug file found by build id or .gnu_debuglink in the snapshot's places), else from .dynsym; lines and inlined calls from DWARF, of which only the compilation
 * units are parsed that a pc lies in. A name is given only when the symbol's size covers the pc:
 * in a stripped file the nearest symbol is mostly the wrong one.
 */

/* One level of a pc: the function itself, or a call that was inlined into it. */
struct symbol_level {
	char *function; /* demangled; NULL: unknown */
	char *file;	/* NULL: unknown */
	int line, column; /* 0: unknown */
	bool inlined;	/* its code stands in the function of the next level */
};

struct symbol {
	const struct module *module; /* NULL: in none */
	char *linker_name;	     /* of the ELF symbol, not demangled; NULL: none */
	int64_t offset;		     /* pc - the function's start; -1 unknown */
	LIST(struct symbol_level) levels; /* innermost first, at least one */
};

struct symbolizer;

/* Borrows IMAGES, and NAMES, in whose arena all strings and results are put. */
struct error *symbolizer_create(struct images *images, struct names *names, struct symbolizer **ret)
	__attribute__((warn_unused_result));
void symbolizer_destroy(struct symbolizer *symbolizer);

static inline void symbolizer_destroyp(struct symbolizer **s)
{
	symbolizer_destroy(*s);
}

/*
 * What PC is. RETURN_ADDRESS: the call before it counts, which may be another line or, at the
 * end of a function that calls one that does not return, another function. The result lives in
 * the names' arena; the same pc is looked up once.
 */
struct error *symbolizer_lookup(struct symbolizer *symbolizer, taddr pc, bool return_address,
				const struct symbol **ret) __attribute__((warn_unused_result));

/* Where the function that PC is in starts, 0 when no symbol covers PC. */
taddr symbolizer_function_start(struct symbolizer *symbolizer, taddr pc);

/* What kind of symbols module INDEX turned out to have; SYMBOLS_UNKNOWN when nobody asked. */
enum symbols symbolizer_kind(const struct symbolizer *symbolizer, size_t index);

/* Every module that a pc lay in and whose names or lines are missing, as gaps. */
struct error *symbolizer_gaps(const struct symbolizer *symbolizer, struct arena *arena, gaps *ret)
	__attribute__((warn_unused_result));

/* Files that were looked for and not found, of modules with a build id. */
struct error *symbolizer_wanted(const struct symbolizer *symbolizer, struct arena *arena,
				wanted_files *ret) __attribute__((warn_unused_result));

#endif
