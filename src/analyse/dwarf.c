/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "dwarf.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwelf.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>

#include "../cleanup.h"
#include "debugfile.h"
#include "demangle.h"
#include "sections.h"

// Units whose ranges are looked through when .debug_aranges does not list an address (clang writes
// none); a unit costs some 5 us.
#define MAX_UNITS 20000

// Entries of one unit that are looked at for its functions, and of one function for what was
// inlined into it.
#define MAX_ENTRIES 1000000

#define MAX_DEPTH 64

struct range {
	uint64_t start, end;
	Dwarf_Off entry;
};

typedef LIST(struct range) ranges;

struct unit {
	Dwarf_Off offset;
	ranges functions;
};

struct dwarf {
	Dwarf *dw;
	struct sections sections;
	struct {
		struct debug_file file;
		struct sections sections;
		Dwarf *dw;
		struct dwarf_shared missing;
	} shared;
	struct names *names;
	struct arena arena;
	LIST(struct unit) units; /* those touched */
	ranges unit_ranges;	 /* all there are, when the index had to be made up for */
	bool have_unit_ranges, gave_up;
};

// Without it names in the units that were common to several files are unknown, but nothing is wrong.
static void find_shared(struct dwarf *dwarf, Elf *elf, const struct places *places)
{
	struct dwarf_shared *missing = &dwarf->shared.missing;
	GElf_Ehdr header;
	const void *build_id;
	const char *path;
	ssize_t len = dwelf_dwarf_gnu_debugaltlink(dwarf->dw, &path, &build_id);

	if (len <= 0 || len > BUILD_ID_MAX || !gelf_getehdr(elf, &header))
		return;
	struct debug_file_of sought = { .path = path,
					.build_id = build_id,
					.build_id_len = (unsigned)len,
					.machine = header.e_machine };
	// libdw looks for it where the link says, seen from the file.
	if (!(places && places->not_here) && dwarf_getalt(dwarf->dw))
		return;
	if (debug_file_find_shared(&sought, places, &dwarf->shared.file)) {
		sections_unpack(dwarf->shared.file.elf, &dwarf->shared.sections);
		dwarf->shared.dw = dwarf_begin_elf(dwarf->shared.file.elf, DWARF_C_READ, NULL);
	}
	if (dwarf->shared.dw) {
		dwarf_setalt(dwarf->dw, dwarf->shared.dw);
		return;
	}
	missing->path = path;
	missing->build_id_len = (unsigned)len;
	memcpy(missing->build_id, build_id, (size_t)len);
}

const struct dwarf_shared *dwarf_missing(const struct dwarf *dwarf)
{
	return &dwarf->shared.missing;
}

struct error *dwarf_create(Elf *elf, const struct places *places, struct names *names,
			   struct dwarf **ret)
{
	*ret = NULL;
	struct dwarf *dwarf = calloc(1, sizeof(*dwarf));
	if (!dwarf)
		return error_nomem();
	dwarf->shared.file.fd = -1;
	sections_unpack(elf, &dwarf->sections);
	dwarf->dw = dwarf_begin_elf(elf, DWARF_C_READ, NULL);
	if (!dwarf->dw) {
		dwarf_destroy(dwarf);
		return NULL;
	}
	find_shared(dwarf, elf, places);
	dwarf->names = names;
	*ret = dwarf;
	return NULL;
}

void dwarf_destroy(struct dwarf *dwarf)
{
	if (!dwarf)
		return;
	dwarf_end(dwarf->dw);
	dwarf_end(dwarf->shared.dw);
	sections_free(&dwarf->sections);
	sections_free(&dwarf->shared.sections);
	debug_file_close(&dwarf->shared.file);
	arena_deinit(&dwarf->arena);
	free(dwarf);
}

bool dwarf_gave_up(const struct dwarf *dwarf)
{
	return dwarf->gave_up;
}

// Add the addresses of DIE, which has some, to LIST.
static struct error *add_ranges(struct dwarf *dwarf, Dwarf_Die *die, ranges *list)
{
	Dwarf_Addr base, start, end;
	ptrdiff_t offset = 0;

	for (unsigned n = 0; n < MAX_ENTRIES; n++) {
		offset = dwarf_ranges(die, offset, &base, &start, &end);
		if (offset <= 0)
			break;
		// Code that the linker threw away is left behind at address 0.
		if (!start || start >= end)
			continue;
		struct range *r = LIST_ADD(&dwarf->arena, list);
		if (!r)
			return error_nomem();
		*r = (struct range){ .start = start, .end = end, .entry = dwarf_dieoffset(die) };
	}
	return NULL;
}

static bool find_range(const ranges *list, uint64_t address, Dwarf_Off *ret)
{
	for (size_t i = 0; i < list->n; i++)
		if (address >= list->v[i].start && address < list->v[i].end) {
			*ret = list->v[i].entry;
			return true;
		}
	return false;
}

static struct error *search_units(struct dwarf *dwarf)
{
	Dwarf_CU *cu = NULL;
	Dwarf_Die die;
	uint8_t type;

	dwarf->have_unit_ranges = true;
	for (unsigned n = 0; !dwarf_get_units(dwarf->dw, cu, &cu, NULL, &type, &die, NULL); n++) {
		if (n == MAX_UNITS) {
			dwarf->gave_up = true;
			break;
		}
		if (type != DW_UT_compile && type != DW_UT_skeleton)
			continue;
		struct error *err = add_ranges(dwarf, &die, &dwarf->unit_ranges);
		if (err)
			return err;
	}
	return NULL;
}

static struct error *find_unit(struct dwarf *dwarf, uint64_t address, Dwarf_Die *ret, bool *found)
{
	Dwarf_Off offset;

	*found = false;
	// The index tells at once. dwarf_addrdie() would, in newer libraries, read all units without
	// measure when it does not.
	Dwarf_Aranges *aranges;
	if (!dwarf_getaranges(dwarf->dw, &aranges, NULL)) {
		Dwarf_Arange *arange = dwarf_getarange_addr(aranges, address);

		if (arange && !dwarf_getarangeinfo(arange, NULL, NULL, &offset)) {
			*found = dwarf_offdie(dwarf->dw, offset, ret) != NULL;
			if (*found)
				return NULL;
		}
	}
	if (!dwarf->have_unit_ranges) {
		struct error *err = search_units(dwarf);

		if (err)
			return err;
	}
	if (find_range(&dwarf->unit_ranges, address, &offset))
		*found = dwarf_offdie(dwarf->dw, offset, ret) != NULL;
	return NULL;
}

// The functions below PARENT. Most stand right below the unit or in namespaces; with TYPES also
// inside of classes.
static struct error *add_functions(struct dwarf *dwarf, Dwarf_Die *parent, bool types,
				   unsigned depth, unsigned *left, ranges *list)
{
	Dwarf_Die die;

	if (depth == MAX_DEPTH || dwarf_child(parent, &die))
		return NULL;
	do {
		struct error *err = NULL;

		if (!*left)
			return NULL;
		--*left;
		switch (dwarf_tag(&die)) {
		case DW_TAG_subprogram:
			if (dwarf_hasattr(&die, DW_AT_low_pc) || dwarf_hasattr(&die, DW_AT_ranges))
				err = add_ranges(dwarf, &die, list);
			break;
		case DW_TAG_namespace:
		case DW_TAG_module:
			err = add_functions(dwarf, &die, types, depth + 1, left, list);
			break;
		case DW_TAG_class_type:
		case DW_TAG_structure_type:
		case DW_TAG_union_type:
		case DW_TAG_enumeration_type:
			if (types)
				err = add_functions(dwarf, &die, types, depth + 1, left, list);
			break;
		default:
			break;
		}
		if (err)
			return err;
	} while (!dwarf_siblingof(&die, &die));
	return NULL;
}

static struct error *unit_functions(struct dwarf *dwarf, Dwarf_Die *cu, const ranges **ret)
{
	Dwarf_Off offset = dwarf_dieoffset(cu);

	for (size_t i = 0; i < dwarf->units.n; i++)
		if (dwarf->units.v[i].offset == offset) {
			*ret = &dwarf->units.v[i].functions;
			return NULL;
		}
	struct unit *unit = LIST_ADD(&dwarf->arena, &dwarf->units);
	if (!unit)
		return error_nomem();
	unit->offset = offset;
	unsigned left = MAX_ENTRIES;
	struct error *err = add_functions(dwarf, cu, false, 0, &left, &unit->functions);
	if (!err && !unit->functions.n) {
		left = MAX_ENTRIES;
		err = add_functions(dwarf, cu, true, 0, &left, &unit->functions);
	}
	*ret = &unit->functions;
	return err;
}

static const char *string_attribute(Dwarf_Die *die, unsigned name)
{
	Dwarf_Attribute attribute;

	return dwarf_formstring(dwarf_attr_integrate(die, name, &attribute));
}

static struct error *name_of(struct dwarf *dwarf, Dwarf_Die *die, char **ret)
{
	const char *linkage = string_attribute(die, DW_AT_linkage_name);

	if (!linkage)
		linkage = string_attribute(die, DW_AT_MIPS_linkage_name);
	_cleanup_(freep) char *plain = linkage ? demangle(linkage) : NULL;
	const char *name = plain ? plain : string_attribute(die, DW_AT_name);
	if (!name)
		name = linkage;
	*ret = NULL;
	if (name) {
		*ret = names_add(dwarf->names, name);
		if (!*ret)
			return error_nomem();
	}
	return NULL;
}

// Compilers write the path as it was put together: "./nptl/../sysdeps/x.c". Takes out "." and
// "name/.." where that cannot change what it means to a reader.
static struct error *path_of(struct dwarf *dwarf, const char *raw, char **ret)
{
	_cleanup_(freep) char *path = strdup(raw);

	if (!path)
		return error_nomem();
	char *out = path;
	for (const char *p = raw; *p;) {
		size_t len = strcspn(p, "/");
		const char *next = p + len + strspn(p + len, "/");

		if (len == 1 && *p == '.' && *next) {
			p = next;
			continue;
		}
		if (len == 2 && !memcmp(p, "..", 2) && *next && out > path + 1) {
			char *last = out - 1;

			while (last > path && last[-1] != '/')
				last--;
			if (out - last != 3 || memcmp(last, "../", 3) != 0) {
				out = last;
				p = next;
				continue;
			}
		}
		// Never longer than what was read, so it may be done in place.
		memmove(out, p, len);
		out += len;
		if (*next || p[len] == '/')
			*out++ = '/';
		p = next;
	}
	*out = '\0';
	*ret = names_add(dwarf->names, path);
	return *ret ? NULL : error_nomem();
}

static struct error *line_of(struct dwarf *dwarf, Dwarf_Die *cu, uint64_t address,
			     struct symbol_level *level)
{
	Dwarf_Line *line = dwarf_getsrc_die(cu, address);
	const char *file = line ? dwarf_linesrc(line, NULL, NULL) : NULL;

	if (!file)
		return NULL;
	if (dwarf_lineno(line, &level->line) || level->line < 0)
		level->line = 0;
	if (dwarf_linecol(line, &level->column) || level->column < 0)
		level->column = 0;
	return path_of(dwarf, file, &level->file);
}

static int number_attribute(Dwarf_Die *die, unsigned name)
{
	Dwarf_Attribute attribute;
	Dwarf_Word v;

	if (!dwarf_attr(die, name, &attribute) || dwarf_formudata(&attribute, &v) || v > INT32_MAX)
		return 0;
	return (int)v;
}

// Where the call stands that was replaced by the code of INLINED.
static struct error *call_of(struct dwarf *dwarf, Dwarf_Die *cu, Dwarf_Die *inlined,
			     struct symbol_level *level)
{
	Dwarf_Files *files;
	size_t n;
	size_t index = (size_t)number_attribute(inlined, DW_AT_call_file);
	Dwarf_Half version = 0;

	// File 0 is the unit's own from version 5 on, before it means that none is known.
	dwarf_cu_info(cu->cu, &version, NULL, NULL, NULL, NULL, NULL, NULL);
	if (!dwarf_hasattr(inlined, DW_AT_call_file) || (!index && version < 5) ||
	    dwarf_getsrcfiles(cu, &files, &n) || index >= n)
		return NULL;
	const char *file = dwarf_filesrc(files, index, NULL, NULL);
	if (!file)
		return NULL;
	level->line = number_attribute(inlined, DW_AT_call_line);
	level->column = number_attribute(inlined, DW_AT_call_column);
	return path_of(dwarf, file, &level->file);
}

// The chain of calls inlined at ADDRESS into FUNCTION, outermost first; FUNCTION is its first.
static unsigned inlined_chain(Dwarf_Die *function, uint64_t address, Dwarf_Die *chain)
{
	Dwarf_Die scope = *function, die;
	unsigned n = 0, left = MAX_ENTRIES;

	chain[n++] = *function;
	for (unsigned depth = 0; depth < 4 * MAX_DEPTH && !dwarf_child(&scope, &die); depth++) {
		bool deeper = false;

		do {
			int tag = dwarf_tag(&die);

			if (!left--)
				return n;
			if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_lexical_block &&
			    tag != DW_TAG_try_block && tag != DW_TAG_catch_block)
				continue;
			// A block that has no addresses of its own has none of code either.
			if (dwarf_haspc(&die, address) != 1)
				continue;
			if (tag == DW_TAG_inlined_subroutine) {
				if (n == MAX_DEPTH)
					return n;
				chain[n++] = die;
			}
			scope = die;
			deeper = true;
			break;
		} while (!dwarf_siblingof(&die, &die));
		if (!deeper)
			break;
	}
	return n;
}

struct error *dwarf_lookup(struct dwarf *dwarf, uint64_t address, struct symbol *ret,
			   uint64_t *start_ret)
{
	Dwarf_Die cu, function;
	bool found;
	const ranges *functions = NULL;
	Dwarf_Off offset;

	*start_ret = 0;
	struct error *err = find_unit(dwarf, address, &cu, &found);
	if (err || !found)
		return err;
	// What a split unit describes is in its other file; libdw hands out the whole of it here.
	Dwarf_Die split;
	uint8_t type;
	if (!dwarf_cu_info(cu.cu, NULL, &type, NULL, &split, NULL, NULL, NULL) &&
	    type == DW_UT_skeleton && split.addr)
		cu = split;
	err = unit_functions(dwarf, &cu, &functions);
	if (err)
		return err;
	Dwarf_Die chain[MAX_DEPTH];
	unsigned n = 0;
	Dwarf *home = dwarf_cu_getdwarf(cu.cu);
	if (functions && find_range(functions, address, &offset) && dwarf_offdie(home, offset, &function)) {
		Dwarf_Addr low;

		n = inlined_chain(&function, address, chain);
		if (!dwarf_entrypc(&function, &low))
			*start_ret = low;
	}
	// A unit of assembly has lines and no functions.
	struct symbol_level level = {};
	err = line_of(dwarf, &cu, address, &level);
	if (err || (!n && !level.file))
		return err;
	for (unsigned i = n ? n : 1; i-- > 0;) {
		if (n) {
			err = name_of(dwarf, &chain[i], &level.function);
			if (err)
				return err;
			level.inlined = i > 0;
		}
		struct symbol_level *to = LIST_ADD(dwarf->names->arena, &ret->levels);
		if (!to)
			return error_nomem();
		*to = level;
		level = (struct symbol_level){};
		if (i) {
			err = call_of(dwarf, &cu, &chain[i], &level);
			if (err)
				return err;
		}
	}
	return NULL;
}
