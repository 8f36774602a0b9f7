/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "symbols.h"

#include <elf.h>
#include <gelf.h>
#include <libelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../buf.h"
#include "../cleanup.h"
#include "../walk/places.h"
#include "debugfile.h"
#include "demangle.h"
#include "dwarf.h"
#include "minidebug.h"

// Symbols of one file that are looked at, and of those before a pc that are asked whether they cover it.
#define MAX_SYMBOLS	4000000
#define MAX_LOOK_BACK	64

// The remedy for a file that is not here.
#define FIND_FILES                                                                                 \
	"run `pcatch show` where the same build of the file is installed, name a folder that has " \
	"it by --sysroot or --debug-dir, or a server by DEBUGINFOD_URLS"

struct entry {
	uint64_t start, size;
	uint64_t end; /* start + size; of one without a size, the end of its section */
	const char *name;
	unsigned rank; /* the lower the better */
};

struct names_of_module {
	bool tried;
	enum symbols kind;
	Elf *elf;
	struct debug_file debug;
	taddr bias; /* add to an address of the files to get one of the target */
	Elf *mini_elf; /* of `mini`, the file in .gnu_debugdata; owned, as that is */
	void *mini;
	struct entry *entries; /* by address, the best of equal ones last; owned */
	size_t n;
	struct dwarf *dwarf;
	char *why; /* no symbols at all; owned */
	bool lacks_debug; /* neither in its file nor in one of its own */
};

struct slot {
	taddr pc;
	struct symbol *symbol;
	bool return_address;
};

struct symbolizer {
	struct images *images;
	struct names *names;
	struct names_of_module *modules; /* one per module */
	struct slot *table;		 /* open hashing by pc */
	size_t size, n;
};

struct error *symbolizer_create(struct images *images, struct names *names, struct symbolizer **ret)
{
	size_t n = images->snapshot->modules.n;
	struct symbolizer *s = calloc(1, sizeof(*s));

	if (!s)
		return error_nomem();
	s->images = images;
	s->names = names;
	s->modules = calloc(n ? n : 1, sizeof(*s->modules));
	if (!s->modules) {
		free(s);
		return error_nomem();
	}
	for (size_t i = 0; i < n; i++)
		s->modules[i] = (struct names_of_module){ .kind = SYMBOLS_UNKNOWN, .debug.fd = -1 };
	elf_version(EV_CURRENT);
	*ret = s;
	return NULL;
}

void symbolizer_destroy(struct symbolizer *symbolizer)
{
	if (!symbolizer)
		return;
	for (size_t i = 0; i < symbolizer->images->snapshot->modules.n; i++) {
		struct names_of_module *m = &symbolizer->modules[i];

		dwarf_destroy(m->dwarf);
		free(m->entries);
		free(m->why);
		debug_file_close(&m->debug);
		elf_end(m->mini_elf);
		free(m->mini);
		elf_end(m->elf);
	}
	free(symbolizer->modules);
	free(symbolizer->table);
	free(symbolizer);
}

static Elf_Scn *section_by_type(Elf *elf, unsigned type, GElf_Shdr *ret)
{
	Elf_Scn *scn = NULL;

	while ((scn = elf_nextscn(elf, scn)))
		if (gelf_getshdr(scn, ret) && ret->sh_type == type)
			return scn;
	return NULL;
}

// Of several names for one address the one that people use: libc's "raise" before "gsignal", both before
// "__GI_raise".
static unsigned rank_of(const GElf_Sym *sym, const char *name)
{
	unsigned underscores = (unsigned)strspn(name, "_");

	// The underscore of mangled names says nothing.
	if (!strncmp(name, "_Z", 2) || !strncmp(name, "_R", 2))
		underscores = 0;
	if (underscores > 3)
		underscores = 3;
	unsigned binding = GELF_ST_BIND(sym->st_info);
	// "cfree@GLIBC_2.2.5" is there for programs of long ago; "freeGLIBC_2.2.5" is what is called today.
	const char *at = strchr(name, '@');
	bool old = at && at[1] != '@';
	return (sym->st_size ? 0u : 32u) + underscores * 8 + old * 4u +
	       (binding == STB_GLOBAL ? 0u : binding == STB_WEAK ? 1u : 2u);
}

static int entry_compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	if (x->rank != y->rank)
		return x->rank > y->rank ? -1 : 1;
	return -strcmp(x->name, y->name);
}

static bool is_function(Elf *elf, const GElf_Sym *sym, const char *name, uint64_t *end_ret)
{
	unsigned type = GELF_ST_TYPE(sym->st_info);
	GElf_Shdr section;

	*end_ret = sym->st_value + sym->st_size;
	if (sym->st_shndx == SHN_UNDEF || !sym->st_value || !*name || *end_ret < sym->st_value)
		return false;
	if (sym->st_size && (type == STT_FUNC || type == STT_GNU_IFUNC))
		return true;
	// Assembly often leaves out type and size. $x, $d and the like mark code and data on aarch64.
	if ((type != STT_FUNC && type != STT_NOTYPE) || *name == '$' ||
	    sym->st_shndx >= SHN_LORESERVE ||
	    !gelf_getshdr(elf_getscn(elf, sym->st_shndx), &section) ||
	    !(section.sh_flags & SHF_EXECINSTR))
		return false;
	if (!sym->st_size)
		*end_ret = section.sh_addr + section.sh_size;
	return true;
}

// Add the functions of a table of ELF to those that there are.
static struct error *load_table(struct names_of_module *m, Elf *elf, unsigned type)
{
	GElf_Shdr header;
	Elf_Scn *scn = section_by_type(elf, type, &header);
	Elf_Data *data = scn ? elf_getdata(scn, NULL) : NULL;

	if (!data || !data->d_buf || !header.sh_entsize)
		return NULL;
	size_t n = data->d_size / sizeof(Elf64_Sym);
	if (n > MAX_SYMBOLS)
		n = MAX_SYMBOLS;
	struct entry *v = reallocarray(m->entries, m->n + n + 1, sizeof(*v));
	if (!v)
		return error_nomem();
	m->entries = v;
	size_t used = m->n;
	for (size_t i = 0; i < n; i++) {
		GElf_Sym sym;
		const char *name = gelf_getsym(data, (int)i, &sym)
					   ? elf_strptr(elf, header.sh_link, sym.st_name)
					   : NULL;

		uint64_t end;

		if (name && is_function(elf, &sym, name, &end))
			v[used++] = (struct entry){ .start = sym.st_value,
						    .size = sym.st_size,
						    .end = end,
						    .name = name,
						    .rank = rank_of(&sym, name) };
	}
	if (used == m->n)
		return NULL;
	qsort(v, used, sizeof(*v), entry_compare);
	m->n = used;
	m->kind = type == SHT_SYMTAB ? SYMBOLS_SYMTAB : SYMBOLS_DYNSYM;
	return NULL;
}

// What a stripped file keeps of its symbol table: all that the dynamic one has not.
static struct error *load_mini(struct names_of_module *m)
{
	GElf_Shdr header;
	Elf_Scn *scn = elf_section(m->elf, ".gnu_debugdata", &header);
	Elf_Data *data = scn ? elf_rawdata(scn, NULL) : NULL;
	size_t len;

	if (!data || !data->d_buf || header.sh_type == SHT_NOBITS)
		return NULL;
	struct error *err = minidebug_unpack(data->d_buf, data->d_size, &m->mini, &len);
	if (err || !m->mini)
		return err;
	m->mini_elf = elf_memory(m->mini, len);
	if (!m->mini_elf || elf_kind(m->mini_elf) != ELF_K_ELF ||
	    gelf_getclass(m->mini_elf) != ELFCLASS64)
		return NULL;
	err = load_table(m, m->elf, SHT_DYNSYM);
	return err ? err : load_table(m, m->mini_elf, SHT_SYMTAB);
}

static struct error *load(struct names_of_module *m, const struct image *image,
			  const struct module *module, const struct places *places,
			  struct names *names)
{
	m->kind = SYMBOLS_NONE;
	m->elf = image->fd >= 0 ? elf_begin(image->fd, ELF_C_READ_MMAP_PRIVATE, NULL)
				: elf_memory((char *)(uintptr_t)image->data, image->size);
	if (!m->elf)
		return NULL;
	if (elf_kind(m->elf) != ELF_K_ELF || gelf_getclass(m->elf) != ELFCLASS64)
		return NULL;
	GElf_Shdr header;
	bool own = elf_section(m->elf, ".debug_info", &header) ||
		   elf_section(m->elf, ".zdebug_info", &header);
	struct debug_file_of sought = { .elf = m->elf,
					.path = module->path,
					.build_id = image->build_id,
					.build_id_len = image->build_id_len,
					.machine = image->machine };
	if (!own && image->fd >= 0)
		debug_file_find(&sought, places, &m->debug);
	m->lacks_debug = !own && !m->debug.elf;
	struct error *err = load_table(m, m->elf, SHT_SYMTAB);
	if (!err && !m->n && m->debug.elf)
		err = load_table(m, m->debug.elf, SHT_SYMTAB);
	if (!err && !m->n && image->fd >= 0)
		err = load_mini(m);
	if (!err && !m->n)
		err = load_table(m, m->elf, SHT_DYNSYM);
	if (err || image->fd < 0)
		return err;
	err = dwarf_create(m->debug.elf ? m->debug.elf : m->elf, places, names, &m->dwarf);
	if (m->dwarf && (own || m->debug.elf))
		m->kind = SYMBOLS_DWARF;
	return err;
}

// Where MODULE's addresses begin, by the program headers of its debug file: it has those of the
// file that it was taken from, whose segments are elsewhere.
static bool bias_of(Elf *elf, const struct module *module, taddr *ret)
{
	size_t n;
	GElf_Phdr ph;

	if (elf_getphdrnum(elf, &n))
		return false;
	for (int i = 0; i < (int)n && gelf_getphdr(elf, i, &ph); i++)
		if (ph.p_type == PT_LOAD) {
			*ret = module->start - (ph.p_vaddr & ~(taddr)(TARGET_PAGE - 1));
			return true;
		}
	return false;
}

// The names of a module of whose files only the one with debug information is here.
static struct error *load_debug_alone(struct names_of_module *m, const struct snapshot *snapshot,
				      const struct module *module, bool placed,
				      struct names *names)
{
	const struct arch *arch = snapshot->host.arch;
	struct debug_file_of sought = { .path = module->path,
					.build_id = module->build_id,
					.build_id_len = module->build_id_len,
					.machine = arch ? arch->elf_machine : EM_NONE };

	if (module->in_memory || !module->build_id_len ||
	    !debug_file_find(&sought, snapshot->places, &m->debug))
		return NULL;
	if (!placed && !bias_of(m->debug.elf, module, &m->bias)) {
		debug_file_close(&m->debug);
		return NULL;
	}
	struct error *err = load_table(m, m->debug.elf, SHT_SYMTAB);
	if (!err)
		err = dwarf_create(m->debug.elf, snapshot->places, names, &m->dwarf);
	if (m->dwarf)
		m->kind = SYMBOLS_DWARF;
	return err;
}

// Modules are loaded when the first pc lies in them.
static struct error *module_names(struct symbolizer *s, size_t index, const struct image *image,
				  struct names_of_module **ret)
{
	struct names_of_module *m = &s->modules[index];

	*ret = m;
	if (m->tried)
		return NULL;
	m->tried = true;
	const struct snapshot *snapshot = s->images->snapshot;
	const struct module *module = &snapshot->modules.v[index];
	if (image)
		m->bias = image->bias;
	if (image && !image->embedded && !image->debug_alone)
		return load(m, image, module, snapshot->places, s->names);
	m->kind = SYMBOLS_NONE;
	struct error *err = load_debug_alone(m, snapshot, module, image != NULL, s->names);
	m->lacks_debug = !m->debug.elf;
	if (err || m->debug.elf)
		return err;
	const struct error *why = s->images->errors[index];
	m->why = strdup(why ? why->text : "its file cannot be had");
	return m->why ? NULL : error_nomem();
}

static const struct entry *covering_entry(const struct names_of_module *m, uint64_t address)
{
	size_t lo = 0, hi = m->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (m->entries[mid].start <= address)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (size_t i = lo, n = 0; i-- > 0 && n < MAX_LOOK_BACK; n++) {
		const struct entry *e = &m->entries[i];

		if (e->size && address < e->end)
			return e;
		// Hand-written assembly has no sizes; it reaches up to the next symbol. The dynamic
		// table is no list of everything, so there the next one proves nothing.
		if (!e->size && address < e->end && m->kind != SYMBOLS_DYNSYM && n == 0)
			return e;
	}
	return NULL;
}

// The name of E without the version that a linker put behind it.
static struct error *linker_name(struct symbolizer *s, const struct entry *e, char **ret)
{
	size_t len = strcspn(e->name, "@");
	_cleanup_(freep) char *name = strndup(e->name, len ? len : strlen(e->name));

	*ret = name ? names_add(s->names, name) : NULL;
	return *ret ? NULL : error_nomem();
}

static struct error *plain_name(struct symbolizer *s, const char *name, char **ret)
{
	_cleanup_(freep) char *plain = demangle(name);

	*ret = names_add(s->names, plain ? plain : name);
	return *ret ? NULL : error_nomem();
}

// A level of which no more is known than the linker's name; NULL: nothing.
static struct error *add_level(struct symbolizer *s, struct symbol *symbol, const char *name)
{
	struct symbol_level *level = LIST_ADD(s->names->arena, &symbol->levels);

	if (!level)
		return error_nomem();
	return name ? plain_name(s, name, &level->function) : NULL;
}

// DWARF knows libc's functions by the names of their sources ("__GI_raise"), people by what they call.
static void prefer_public_name(struct symbol *symbol, const struct entry *e, uint64_t start)
{
	struct symbol_level *outermost = &symbol->levels.v[symbol->levels.n - 1];

	if (e && e->start == start && !strncmp(outermost->function, "__", 2) &&
	    strncmp(e->name, "__", 2) != 0 && strncmp(e->name, "_Z", 2) != 0 &&
	    strncmp(e->name, "_R", 2) != 0)
		outermost->function = symbol->linker_name;
}

static struct error *describe(struct symbolizer *s, taddr pc, taddr look, struct symbol *symbol)
{
	size_t index;
	uint64_t start = 0;

	symbol->offset = -1;
	symbol->module = snapshot_module_at(s->images->snapshot, look);
	if (!symbol->module)
		return add_level(s, symbol, NULL);
	index = (size_t)(symbol->module - s->images->snapshot->modules.v);
	const struct image *image = images_get(s->images, index);
	struct names_of_module *m;
	struct error *err = module_names(s, index, image, &m);
	if (err || m->why)
		return err ? err : add_level(s, symbol, NULL);
	uint64_t address = look - m->bias;
	const struct entry *e = covering_entry(m, address);
	if (m->dwarf)
		err = dwarf_lookup(m->dwarf, address, symbol, &start);
	if (err)
		return err;
	if (e) {
		symbol->offset = (int64_t)(address - e->start + (pc - look));
		err = linker_name(s, e, &symbol->linker_name);
	} else if (start && start <= address) {
		symbol->offset = (int64_t)(address - start + (pc - look));
	}
	if (err)
		return err;
	if (!symbol->levels.n)
		return add_level(s, symbol, symbol->linker_name);
	struct symbol_level *outermost = &symbol->levels.v[symbol->levels.n - 1];
	if (outermost->function)
		prefer_public_name(symbol, e, start);
	else if (e)
		err = plain_name(s, symbol->linker_name, &outermost->function);
	return err;
}

static size_t slot_of(const struct slot *table, size_t size, taddr pc, bool return_address)
{
	size_t i = (size_t)((pc * 2 + return_address) * 0x9e3779b97f4a7c15u >> 32) & (size - 1);

	while (table[i].symbol && (table[i].pc != pc || table[i].return_address != return_address))
		i = (i + 1) & (size - 1);
	return i;
}

static struct error *grow(struct symbolizer *s)
{
	size_t size = s->size ? s->size * 2 : 256;
	struct slot *table = calloc(size, sizeof(*table));

	if (!table)
		return error_nomem();
	for (size_t i = 0; i < s->size; i++)
		if (s->table[i].symbol)
			table[slot_of(table, size, s->table[i].pc, s->table[i].return_address)] =
				s->table[i];
	free(s->table);
	s->table = table;
	s->size = size;
	return NULL;
}

struct error *symbolizer_lookup(struct symbolizer *symbolizer, taddr pc, bool return_address,
				const struct symbol **ret)
{
	struct error *err = NULL;

	if ((symbolizer->n + 1) * 2 > symbolizer->size)
		err = grow(symbolizer);
	if (err)
		return err;
	struct slot *slot = &symbolizer->table[slot_of(symbolizer->table, symbolizer->size, pc,
						       return_address)];
	if (!slot->symbol) {
		struct symbol *symbol = arena_alloc(symbolizer->names->arena, sizeof(*symbol));

		if (!symbol)
			return error_nomem();
		err = describe(symbolizer, pc, return_address && pc ? pc - 1 : pc, symbol);
		if (err)
			return err;
		*slot = (struct slot){ .pc = pc, .symbol = symbol, .return_address = return_address };
		symbolizer->n++;
	}
	*ret = slot->symbol;
	return NULL;
}

taddr symbolizer_function_start(struct symbolizer *symbolizer, taddr pc)
{
	const struct symbol *symbol;

	if (error_drop(symbolizer_lookup(symbolizer, pc, false, &symbol)) || symbol->offset < 0)
		return 0;
	return pc - (taddr)symbol->offset;
}

enum symbols symbolizer_kind(const struct symbolizer *symbolizer, size_t index)
{
	return symbolizer->modules[index].kind;
}

// Why module INDEX has no debug information although a server was asked; NULL: it has, or none was.
static const char *fetched_in_vain(const struct symbolizer *s, size_t index)
{
	const struct module *module = &s->images->snapshot->modules.v[index];
	const struct names_of_module *m = &s->modules[index];
	const struct fetched_file *file =
		m->lacks_debug && !m->why
			? places_fetched(s->images->snapshot->places, module->build_id,
					 module->build_id_len, true)
			: NULL;

	if (file && file->path)
		return "what a server in DEBUGINFOD_URLS has sent for it belongs to another build";
	return file ? file->why : NULL;
}

// The modules of one reason together: where no server answers it is all of them.
static struct error *fetching_gaps(const struct symbolizer *s, struct arena *arena, gaps *ret)
{
	const struct snapshot *snapshot = s->images->snapshot;
	size_t n = snapshot->modules.n;
	_cleanup_(freep) const char **reasons = calloc(n + 1, sizeof(*reasons));

	if (!reasons)
		return error_nomem();
	for (size_t i = 0; i < n; i++)
		reasons[i] = fetched_in_vain(s, i);
	for (size_t i = 0; i < n; i++) {
		_cleanup_(buf_deinit) struct buf what = {};
		const char *why = reasons[i], *between = "debug information of ";

		for (size_t k = i; why && k < n; k++) {
			if (!reasons[k] || strcmp(reasons[k], why) != 0)
				continue;
			buf_printf(&what, "%s%s", between, snapshot->modules.v[k].path);
			between = ", ";
			reasons[k] = NULL;
		}
		_cleanup_(freep) char *text = why ? buf_steal(&what) : NULL;
		struct error *err = !why   ? NULL
				    : text ? gaps_add(arena, ret, text, NULL, "%s", why)
					   : error_nomem();
		if (err)
			return err;
	}
	return NULL;
}

// What is missing of the debug information itself.
static struct error *shared_gap(const struct symbolizer *s, size_t index, struct arena *arena,
				gaps *ret)
{
	const struct snapshot *snapshot = s->images->snapshot;
	const struct dwarf *dwarf = s->modules[index].dwarf;
	const struct dwarf_shared *missing = dwarf ? dwarf_missing(dwarf) : NULL;

	if (!missing || !missing->build_id_len)
		return NULL;
	const struct fetched_file *file = places_fetched(snapshot->places, missing->build_id,
							 missing->build_id_len, true);
	char *what = arena_printf(arena, "inlined functions of %s",
				  snapshot->modules.v[index].path);
	return !what ? error_nomem()
		     : gaps_add(arena, ret, what, FIND_FILES,
				"its debug information shares %s with others, which is not here%s%s",
				missing->path, file && file->why ? ": " : "",
				file && file->why ? file->why : "");
}

static struct error *names_gap(const struct symbolizer *s, size_t index, const char *what,
			       struct arena *arena, gaps *ret)
{
	const struct snapshot *snapshot = s->images->snapshot;
	const struct module *module = &snapshot->modules.v[index];
	const struct fetched_file *file = places_fetched(snapshot->places, module->build_id,
							 module->build_id_len, false);

	return gaps_add(arena, ret, what, FIND_FILES, "%s%s%s", s->modules[index].why,
			file && file->why ? "; " : "", file && file->why ? file->why : "");
}

struct error *symbolizer_gaps(const struct symbolizer *symbolizer, struct arena *arena, gaps *ret)
{
	for (size_t i = 0; i < symbolizer->images->snapshot->modules.n; i++) {
		const struct module *module = &symbolizer->images->snapshot->modules.v[i];
		const struct names_of_module *m = &symbolizer->modules[i];
		struct error *err = NULL;
		char *what = NULL;

		if (m->why || (m->dwarf && dwarf_gave_up(m->dwarf))) {
			what = arena_printf(arena, "%s of %s", m->why ? "function names" : "lines",
					    module->path);
			if (!what)
				return error_nomem();
		}
		if (m->why)
			err = names_gap(symbolizer, i, what, arena, ret);
		else if (what)
			err = gaps_add(arena, ret, what, NULL,
				       "its debug information has no index of addresses and too "
				       "many units to search");
		if (!err)
			err = shared_gap(symbolizer, i, arena, ret);
		if (err)
			return err;
	}
	return fetching_gaps(symbolizer, arena, ret);
}

static struct error *want(const uint8_t *build_id, unsigned len, bool debug, const char *path,
			  struct arena *arena, wanted_files *ret)
{
	struct wanted_file *file = LIST_ADD(arena, ret);

	if (!file)
		return error_nomem();
	*file = (struct wanted_file){ .build_id = arena_memdup(arena, build_id, len),
				      .build_id_len = len,
				      .debug = debug,
				      .path = arena_strdup(arena, path) };
	return file->build_id && file->path ? NULL : error_nomem();
}

struct error *symbolizer_wanted(const struct symbolizer *symbolizer, struct arena *arena,
				wanted_files *ret)
{
	const struct images *images = symbolizer->images;
	struct error *err = NULL;

	for (size_t i = 0; !err && i < images->snapshot->modules.n; i++) {
		const struct module *module = &images->snapshot->modules.v[i];
		const struct names_of_module *m = &symbolizer->modules[i];
		const struct dwarf_shared *missing = m->dwarf ? dwarf_missing(m->dwarf) : NULL;

		if (missing && missing->build_id_len)
			err = want(missing->build_id, missing->build_id_len, true, missing->path,
				   arena, ret);
		if (err || module->in_memory || !module->build_id_len)
			continue;
		// One of what is here in its place has its error, too.
		if (images->errors[i])
			err = want(module->build_id, module->build_id_len, false, module->path,
				   arena, ret);
		if (!err && m->lacks_debug)
			err = want(module->build_id, module->build_id_len, true, module->path,
				   arena, ret);
	}
	return err;
}
