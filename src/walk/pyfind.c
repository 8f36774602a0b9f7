/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <elf.h>
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "../cleanup.h"
#include "pylayout.h"
#include "python.h"
#include "pywalk.h"

// What is searched: more is no interpreter, or not worth the wait.
#define SEARCH_MAX_DATA ((taddr)32 << 20)  /* writable memory of one module */
#define SEARCH_MAX_TEXT ((uint64_t)64 << 20) /* constants of all modules */
#define CHUNK ((size_t)64 << 10)

// A running target changes under the walk: what fails once may hold the next time.
#define TRIES 3

#define MAX_VERSIONS 32

// Versions that a module may be, most likely first.
struct versions {
	unsigned v[MAX_VERSIONS];
	unsigned n;
	bool certain; /* the first is what the interpreter says itself */
};

struct find {
	struct images *images;
	const struct snapshot *snapshot;
	const struct mem *mem;
	struct arena *arena;
	struct python_hint hint; /* as found so far */
	int frames;		 /* that were looked at there */
	char *other;		 /* a second interpreter, which the hint does not name */
	char *why;		 /* what the first thing that looked like a Python lacks */
	uint64_t text_left;
};

static struct error *explain(struct find *f, const struct module *module, const char *why)
{
	if (f->why)
		return NULL;
	f->why = arena_printf(f->arena, "%s: %s", module->path, why);
	return f->why ? NULL : error_nomem();
}

static void add_version(struct versions *versions, unsigned version)
{
	for (unsigned i = 0; i < versions->n; i++)
		if (versions->v[i] == version)
			return;
	if (versions->n < MAX_VERSIONS)
		versions->v[versions->n++] = version;
}

// A decimal of at most three digits at *P, which is moved behind it; -1 when there is none.
static int number(const char **p)
{
	int v = -1;

	for (int i = 0; i < 3 && **p >= '0' && **p <= '9'; i++)
		v = (v < 0 ? 0 : v * 10) + *(*p)++ - '0';
	return v;
}

// "3.8.18", "3.13.0rc2", "3.12.1+" and nothing else, as PY_VERSION_HEX; 0 when TEXT is none.
static unsigned parse_version(const char *text)
{
	int major = number(&text);
	if (major < 2 || major > 3 || *text++ != '.')
		return 0;
	int minor = number(&text);
	if (minor < 0 || minor > 99 || *text++ != '.')
		return 0;
	int micro = number(&text), level = 0xf, serial = 0;
	if (micro < 0 || micro > 255)
		return 0;
	if (*text == 'a' || *text == 'b' || (text[0] == 'r' && text[1] == 'c')) {
		level = *text == 'r' ? 0xc : *text - 'a' + 0xa;
		text += *text == 'r' ? 2 : 1;
		serial = number(&text);
		if (serial < 0 || serial > 15)
			return 0;
	}
	if (*text == '+')
		text++;
	if (*text)
		return 0;
	return PY_VERSION(major, minor) | (unsigned)(micro << 8 | level << 4 | serial);
}

// "python3.11", "libpython3.6m.so.1.0"; 0 when the name has no version.
static unsigned version_in_name(const char *path)
{
	const char *p = strstr(path_basename(path), "python");

	if (!p)
		return 0;
	p += strlen("python");
	int major = number(&p);
	if (major < 2 || major > 3 || *p++ != '.')
		return 0;
	int minor = number(&p);
	return minor < 0 || minor > 99 ? 0 : PY_VERSION(major, minor);
}

// Strings in CHUNK that end in a whole version; the last byte of CHUNK is a NUL.
static void versions_in(const uint8_t *chunk, size_t len, unsigned like, struct versions *ret)
{
	const uint8_t *end = chunk + len, *p = chunk;

	while ((p = memchr(p, '.', (size_t)(end - p)))) {
		// A linker may let the string be the end of a longer one.
		const uint8_t *digit = p++ - 1;
		if (digit <= chunk || (*digit != '2' && *digit != '3') || digit[-1] == '.' ||
		    (digit[-1] >= '0' && digit[-1] <= '9'))
			continue;
		unsigned version = parse_version((const char *)digit);
		// The name, when it has a version, knows better than a stray string.
		if (version && (!like || PY_MAJOR_MINOR(version) == like) && py_layout_row(version))
			add_version(ret, version);
	}
}

// An environment variable that every CPython core looks up, 2.7 too.
static const char marker[] = "PYTHONHASHSEED";

/*
 * Look through the read-only bytes of IMAGE's file: is it a CPython core, and which version
 * strings are in it? They are read past the image's cache, which keeps what it has read.
 */
static struct error *scan_text(struct find *f, const struct image *image, unsigned like,
			       bool *core_ret, struct versions *ret)
{
	// Chunks overlap, so that nothing is missed that lies across a border.
	const size_t overlap = 32;
	_cleanup_(freep) uint8_t *chunk = malloc(CHUNK + 1);

	if (!chunk)
		return error_nomem();
	*core_ret = false;
	for (size_t i = 0; i < image->loads.n && image->fd >= 0; i++) {
		const struct image_segment *load = &image->loads.v[i];
		uint64_t size = load->filesz < f->text_left ? load->filesz : f->text_left;

		if (load->flags & PF_W)
			continue;
		f->text_left -= size;
		for (uint64_t at = 0; at < size; at += CHUNK - overlap) {
			size_t want = size - at < CHUNK ? (size_t)(size - at) : CHUNK;
			ssize_t n = pread(image->fd, chunk, want, (off_t)(load->offset + at));

			if (n <= 0)
				break;
			chunk[n] = '\0';
			*core_ret = *core_ret || memmem(chunk, (size_t)n, marker, sizeof(marker));
			versions_in(chunk, (size_t)n + 1, like, ret);
		}
	}
	return NULL;
}

// What MODULE says of its version: Py_Version (3.11 on), else its name and its constants.
static struct error *versions_of(struct find *f, const struct module *module,
				 const struct image *image, struct versions *ret)
{
	struct versions versions = {};
	unsigned named = version_in_name(module->path);
	uint64_t hex;
	bool core;
	taddr at;

	if (image_symbol(image, "Py_Version", &at, NULL) &&
	    (image_read(image, at, &hex, sizeof(hex)) == sizeof(hex) ||
	     mem_read_some(f->mem, at, &hex, sizeof(hex)) == sizeof(hex))) {
		hex = le64toh(hex);
		if (hex >= PY_VERSION(3, 11) && hex < PY_VERSION(4, 0)) {
			*ret = (struct versions){ .v = { (unsigned)hex }, .n = 1, .certain = true };
			return NULL;
		}
	}
	struct error *err = scan_text(f, image, named, &core, &versions);
	if (err)
		return err;
	if (named)
		add_version(&versions, named);
	*ret = versions;
	return NULL;
}

// The layout of VERSION for what is at RUNTIME; false when there is none.
static struct error *layout_at(struct find *f, taddr runtime, unsigned version,
			       struct py_layout *ret, bool *ok_ret)
{
	struct py_layout layout;

	*ok_ret = py_layout_of(version, &layout);
	if (!*ok_ret)
		return NULL;
	struct error *err = py_layout_read_published(f->mem, runtime, &layout);
	if (err && err->kind == ERROR_NOMEM)
		return err;
	*ok_ret = !error_drop(err);
	*ret = layout;
	return NULL;
}

// Where the version is not CERTAIN, no frame at all is good only if nothing speaks against it.
// Nor is one of which only the published offsets are known.
static bool believable(const struct py_probe *probe, const struct py_layout *layout, bool certain)
{
	if (layout->newer)
		return probe->frames && !probe->broken;
	return probe->interpreters && probe->threads &&
	       (certain || probe->frames || !probe->broken);
}

// One more was found than a hint can name: that with frames counts, the other is told.
static struct error *take(struct find *f, struct python_hint hint, int frames)
{
	struct python_hint less = f->hint;

	if (!hint.found_by || !hint.module)
		return error_nomem();
	if (f->hint.found && f->hint.runtime == hint.runtime)
		return NULL;
	if (f->hint.found && (frames == 0 || f->frames > 0)) {
		less = hint;
	} else {
		f->hint = hint;
		f->frames = frames;
	}
	if (!less.found || f->other)
		return NULL;
	f->other = arena_printf(f->arena, "a second interpreter, CPython %u.%u in %s, runs here, too, and is "
				"not shown", PY_MAJOR(less.version), PY_MINOR(less.version), less.module);
	return f->other ? NULL : error_nomem();
}

// Is an interpreter of VERSION at RUNTIME? Then the hint says so.
static struct error *try_version(struct find *f, const struct module *module, taddr runtime,
				 unsigned version, bool certain, const char *found_by, bool *ret)
{
	for (int i = 0; i < TRIES; i++) {
		struct py_probe probe = {};
		struct py_layout layout;
		bool ok;

		struct error *err = layout_at(f, runtime, version, &layout, &ok);
		if (!err && ok)
			err = py_probe(f->mem, runtime, &layout, &probe);
		if (err || !ok)
			return err;
		if (believable(&probe, &layout, certain)) {
			const struct python_hint hint = {
				.found = true,
				.runtime = runtime,
				.version = version,
				.found_by = arena_strdup(f->arena, found_by),
				.module = arena_strdup(f->arena, module->path),
				.free_threaded = layout.free_threaded,
			};
			*ret = true;
			return take(f, hint, probe.frames);
		}
		if (!probe.broken)
			return NULL;
	}
	return NULL;
}

// The same for whichever version holds.
static struct error *try_versions(struct find *f, const struct module *module,
				  const struct versions *versions, taddr runtime,
				  const char *found_by, bool *found_ret)
{
	struct error *err = NULL;

	*found_ret = false;
	for (unsigned i = 0; i < versions->n && !err && !*found_ret; i++)
		err = try_version(f, module, runtime, versions->v[i], versions->certain, found_by,
				  found_ret);
	return err;
}

// The place that MODULE itself names as its state: by symbol, else by section.
static bool named_place(const struct image *image, bool likely, taddr *ret, const char **by_ret)
{
	*by_ret = "symbol";
	if (image_symbol(image, "_PyRuntime", ret, NULL))
		return true;
	*by_ret = "section";
	if (image_section(image, ".PyRuntime", ret, NULL))
		return true;
	// Up to 3.6 the list of interpreters is all there is; a local symbol of a common name.
	*by_ret = "symbol";
	return likely && image_symbol(image, "interp_head", ret, NULL);
}

static bool is_likely(size_t index, const struct module *module)
{
	return index == 0 || strstr(path_basename(module->path), "python");
}

static struct error *find_named(struct find *f, size_t index)
{
	const struct module *module = &f->snapshot->modules.v[index];
	bool likely = is_likely(index, module);
	struct versions versions;
	const char *found_by;
	taddr runtime;
	bool found;

	const struct image *image = images_get(f->images, index);
	if (!image || !named_place(image, likely, &runtime, &found_by))
		return NULL;
	struct error *err = versions_of(f, module, image, &versions);
	if (err)
		return err;
	err = try_versions(f, module, &versions, runtime, found_by, &found);
	if (!err && !found && versions.certain && !py_layout_row(versions.v[0])) {
		// The walk will say that it cannot be followed.
		const struct python_hint hint = { .found = true,
						  .runtime = runtime,
						  .version = versions.v[0],
						  .found_by = arena_strdup(f->arena, found_by),
						  .module = arena_strdup(f->arena, module->path) };
		return take(f, hint, 0);
	}
	if (!err && !found)
		err = explain(f, module, "no threads were found in its interpreter: it has not "
					 "started, has been finalized, or is of an unknown make");
	return err;
}

static bool in_writable(const struct find *f, taddr at)
{
	const struct mapping *m;

	if (!at || at % 8)
		return false;
	m = snapshot_mapping_at(f->snapshot, at);
	return m && m->permissions[0] == 'r' && m->permissions[1] == 'w';
}

// Does ROW's head of interpreters stand at WORDS, of which N are there? A quick test.
static bool looks_like_head(const struct find *f, const struct py_layout *row,
			    const uint64_t *words, size_t n)
{
	const union py_offsets *o = &row->offsets;
	taddr interpreter = le64toh(words[0]), thread, back;

	if (!in_writable(f, interpreter))
		return false;
	// The main interpreter stands behind the head of the list, and is the head when it is alone.
	if (o->runtime_main != PY_NONE &&
	    (o->runtime_main != o->runtime_head + 8 || n < 2 || !in_writable(f, le64toh(words[1]))))
		return false;
	if (mem_read_some(f->mem, interpreter + o->interp_threads, &thread, 8) != 8)
		return false;
	thread = le64toh(thread);
	return in_writable(f, thread) &&
	       mem_read_some(f->mem, thread + o->tstate_interp, &back, 8) == 8 &&
	       le64toh(back) == interpreter;
}

// Try what WORDS, N of them at AT, may be to VERSIONS.
static struct error *search_word(struct find *f, const struct module *module,
				 const struct versions *versions, taddr at, const uint64_t *words,
				 size_t n)
{
	struct error *err = NULL;
	bool found = false;

	for (unsigned i = 0; i < versions->n && !err && !found; i++) {
		const struct py_layout *row = py_layout_row(versions->v[i]);
		uint32_t head = row->offsets.runtime_head;
		taddr runtime = at;

		if (row->published) {
			// Its cookie is enough to begin with.
			if (memcmp(words, PY_PUBLISHED_COOKIE, 8) != 0)
				continue;
		} else {
			if (!looks_like_head(f, row, words, n))
				continue;
			runtime = at - (head == PY_NONE ? 0 : head);
		}
		err = try_version(f, module, runtime, versions->v[i], false, "search", &found);
	}
	return err;
}

static struct error *search_range(struct find *f, const struct module *module,
				  const struct versions *versions, taddr start, taddr end)
{
	_cleanup_(freep) uint64_t *words = malloc(CHUNK);
	struct error *err = NULL;

	if (!words)
		return error_nomem();
	// One word more is read than is tried, for the one that stands behind a head.
	for (taddr at = start; at < end && !err && !f->hint.found; at += CHUNK - 8) {
		size_t want = end - at < CHUNK ? (size_t)(end - at) : CHUNK;
		size_t n = mem_read_some(f->mem, at, words, want) / 8;
		size_t tried = want < CHUNK ? n : CHUNK / 8 - 1;

		for (size_t i = 0; i < n && i < tried && !err && !f->hint.found; i++)
			if (words[i])
				err = search_word(f, module, versions, at + i * 8, words + i, n - i);
	}
	return err;
}

// The module's data, and what follows it without a name: its zeroed data.
static struct error *search_module(struct find *f, size_t index)
{
	const struct module *module = &f->snapshot->modules.v[index];
	struct versions versions = {};
	taddr left = SEARCH_MAX_DATA, data_end = 0;
	bool core;

	// A search takes its time, and goes on for one that is missing, not for a second one.
	if (f->hint.found)
		return NULL;
	const struct image *image = images_get(f->images, index);
	if (!image)
		return NULL;
	unsigned named = version_in_name(module->path);
	struct error *err = scan_text(f, image, named, &core, &versions);
	if (err || !core)
		return err;
	if (named && py_layout_row(named))
		add_version(&versions, named);
	for (size_t i = 0; i < f->snapshot->mappings.n && !err && !f->hint.found; i++) {
		const struct mapping *m = &f->snapshot->mappings.v[i];
		bool own = m->start >= module->start && m->end <= module->end;
		bool zeroed = data_end && m->start == data_end && !m->inode;

		if (m->permissions[1] != 'w' || (!own && !zeroed))
			continue;
		data_end = m->end;
		taddr size = m->end - m->start < left ? m->end - m->start : left;
		left -= size;
		err = search_range(f, module, &versions, m->start, m->start + size);
	}
	if (!err && !f->hint.found)
		err = explain(f, module, "no interpreter was found in its data");
	return err;
}

// Every module, those first that are likely. Of these all are asked: they may have one each.
static struct error *for_modules(struct find *f, struct error *(*look)(struct find *, size_t))
{
	struct error *err = NULL;

	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < f->snapshot->modules.n && !err && !(f->hint.found && pass); i++)
			if (is_likely(i, &f->snapshot->modules.v[i]) == (pass == 0))
				err = look(f, i);
	return err;
}

// It is a file of its own, or part of the interpreter.
static bool may_be_asyncio(const struct module *module, const struct python_hint *hint)
{
	return !strncmp(path_basename(module->path), "_asyncio.", strlen("_asyncio.")) ||
	       (hint->module && !strcmp(module->path, hint->module));
}

void python_find_asyncio(struct images *images, struct python_hint *hint)
{
	const struct py_layout *row = hint->found ? py_layout_row(hint->version) : NULL;

	hint->asyncio = hint->asyncio_size = 0;
	for (size_t i = 0; row && row->published_asyncio && i < images->snapshot->modules.n; i++) {
		const struct module *module = &images->snapshot->modules.v[i];
		const struct image *image = may_be_asyncio(module, hint) ? images_get(images, i) : NULL;

		if (image && (image_section(image, ".AsyncioDebug", &hint->asyncio,
					    &hint->asyncio_size) ||
			      image_symbol(image, "_AsyncioDebug", &hint->asyncio,
					   &hint->asyncio_size)))
			return;
	}
}

static struct error *finish(struct find *f, struct error *err, struct python_hint *ret,
			    char **why_ret)
{
	if (err)
		return err;
	python_find_asyncio(f->images, &f->hint);
	*ret = f->hint;
	*why_ret = f->hint.found ? f->other : f->why;
	return NULL;
}

static struct find find_init(struct images *images, const struct mem *mem, struct arena *arena)
{
	return (struct find){ .images = images,
			      .snapshot = images->snapshot,
			      .mem = mem,
			      .arena = arena,
			      .text_left = SEARCH_MAX_TEXT };
}

struct error *python_find(struct images *images, const struct mem *mem, struct arena *arena,
			  struct python_hint *ret, char **why_ret)
{
	struct find f = find_init(images, mem, arena);
	struct error *err = for_modules(&f, find_named);

	// What names its state and has none will not have it elsewhere.
	if (!err && !f.hint.found && !f.why)
		err = for_modules(&f, search_module);
	return finish(&f, err, ret, why_ret);
}

struct error *py_find_by_search(struct images *images, const struct mem *mem, struct arena *arena,
				struct python_hint *ret, char **why_ret)
{
	struct find f = find_init(images, mem, arena);

	return finish(&f, for_modules(&f, search_module), ret, why_ret);
}
