/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "snapshot.h"

#include <elf.h>
#include <endian.h>
#include <stdio.h>

#include "../buf.h"
#include "../cleanup.h"

// For strings and texts that are not there yet; nobody writes through them.
static char no_text[1];
static const struct bytes no_bytes = { .data = (uint8_t *)no_text };

const struct sample sample_unknown = {
	.rss = -1,
	.cgroup_memory = -1,
	.swap = -1,
	.minor_faults = -1,
	.major_faults = -1,
	.threads = -1,
	.fds = -1,
	.cpu_percent = -1,
	.pressure_some = -1,
	.pressure_full = -1,
	.pss = -1,
	.children_rss = -1,
	.children = -1,
	.voluntary_switches = -1,
	.involuntary_switches = -1,
	.merged = 1,
	.rss_min = -1,
	.rss_max = -1,
};

void snapshot_init(struct snapshot *snapshot)
{
	*snapshot = (struct snapshot){
		.generator = no_text,
		.host = { .hostname = no_text,
			  .kernel = no_text,
			  .uname = no_text,
			  .cpuinfo = no_bytes,
			  .os_release = no_bytes },
		.time.frozen = -1,
		.machine_kills_before = -1,
		.machine_kills_after = -1,
		.process = { .uid = (uid_t)-1,
			     .gid = (gid_t)-1,
			     .comm = no_text,
			     .memory_limit = -1,
			     .memory_usage = -1,
			     .oom_kills_before = -1,
			     .oom_kills_after = -1,
			     .cgroup_others = -1,
			     .dumpable = -1,
			     .status = no_bytes,
			     .stat = no_bytes,
			     .limits = no_bytes,
			     .maps = no_bytes,
			     .auxv = no_bytes,
			     .cgroup_text = no_bytes,
			     .mountinfo = no_bytes },
		.death = { .kind = DEATH_UNKNOWN, .core_dumped = -1 },
	};
}

static void close_modules(struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->modules.n; i++)
		closep(&snapshot->modules.v[i].fd);
	snapshot->modules.v = NULL;
	snapshot->modules.n = 0;
}

void snapshot_drop_bulk(struct snapshot *snapshot)
{
	if (snapshot->bulk.has_file)
		close(snapshot->bulk.file);
	snapshot->bulk.has_file = false;
	snapshot->bulk.file = -1;
}

void snapshot_deinit(struct snapshot *snapshot)
{
	close_modules(snapshot);
	snapshot_drop_bulk(snapshot);
	arena_deinit(&snapshot->arena);
	memset(snapshot, 0, sizeof(*snapshot));
}

static bool has_gap(const gaps *list, const struct gap *gap)
{
	for (size_t i = 0; i < list->n; i++)
		if (!strcmp(list->v[i].what, gap->what) && !strcmp(list->v[i].why, gap->why))
			return true;
	return false;
}

// FROM's gaps that TO has not, those about WHAT alone unless that is NULL. The texts are FROM's.
static struct error *take_gaps(struct snapshot *to, const struct snapshot *from, const char *what)
{
	for (size_t i = 0; i < from->gaps.n; i++) {
		if ((what && strcmp(from->gaps.v[i].what, what) != 0) ||
		    has_gap(&to->gaps, &from->gaps.v[i]))
			continue;
		struct gap *gap = LIST_ADD(&to->arena, &to->gaps);
		if (!gap)
			return error_nomem();
		*gap = from->gaps.v[i];
	}
	return NULL;
}

static void move_bulk(struct snapshot *to, struct snapshot *from)
{
	snapshot_drop_bulk(to);
	to->bulk = from->bulk;
	from->bulk = (struct bulk){};
	memcpy(&to->full_core, &from->full_core, sizeof(to->full_core));
}

struct error *snapshot_take_bulk(struct snapshot *to, struct snapshot *from)
{
	struct error *err = take_gaps(to, from, FULL_CORE);

	move_bulk(to, from);
	arena_adopt(&to->arena, &from->arena);
	return err;
}

struct error *snapshot_take_scene(struct snapshot *to, struct snapshot *from)
{
	struct error *err = take_gaps(to, from, NULL);

	if (err)
		return err;
	close_modules(to);
	memcpy(&to->threads, &from->threads, sizeof(to->threads));
	memcpy(&to->mappings, &from->mappings, sizeof(to->mappings));
	memcpy(&to->modules, &from->modules, sizeof(to->modules));
	to->memory = from->memory;
	move_bulk(to, from);
	to->python = from->python;
	to->process.maps = from->process.maps;
	to->time.finalization = from->time.death;
	if (to->time.frozen >= 0 && from->time.frozen >= 0)
		to->time.frozen += from->time.frozen;
	arena_adopt(&to->arena, &from->arena);
	snapshot_init(from);
	return NULL;
}

const struct mapping *snapshot_mapping_at(const struct snapshot *snapshot, taddr at)
{
	size_t lo = 0, hi = snapshot->mappings.n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct mapping *m = &snapshot->mappings.v[mid];

		if (at < m->start)
			hi = mid;
		else if (at >= m->end)
			lo = mid + 1;
		else
			return m;
	}
	return NULL;
}

const struct module *snapshot_module_at(const struct snapshot *snapshot, taddr at)
{
	const struct module *v = snapshot->modules.v;
	// The main executable is out of order; what follows it is sorted by address.
	size_t lo = 1, hi = snapshot->modules.n;

	if (hi && at >= v[0].start && at < v[0].end)
		return v;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (at < v[mid].start)
			hi = mid;
		else if (at >= v[mid].end)
			lo = mid + 1;
		else
			return &v[mid];
	}
	return NULL;
}

const struct thread *snapshot_thread(const struct snapshot *snapshot, pid_t tid)
{
	// The dying thread stands first, whatever its tid.
	size_t lo = 1, hi = snapshot->threads.n;

	if (hi && snapshot->threads.v[0].tid == tid)
		return snapshot->threads.v;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (tid < snapshot->threads.v[mid].tid)
			hi = mid;
		else if (tid > snapshot->threads.v[mid].tid)
			lo = mid + 1;
		else
			return &snapshot->threads.v[mid];
	}
	return NULL;
}

void snapshot_mem(const struct snapshot *snapshot, struct mem_bytes *ret)
{
	mem_bytes_init(ret, snapshot->memory.v, snapshot->memory.n);
}

struct error *snapshot_add_memory(struct snapshot *snapshot, taddr at, const void *data, size_t len)
{
	if (!len)
		return NULL;
	if (len > UINT64_MAX - at)
		return error_new(ERROR_INPUT, "%zu bytes at 0x%llx go past the end of memory", len,
				 (unsigned long long)at);
	struct mem_range *r = LIST_ADD(&snapshot->arena, &snapshot->memory);
	if (!r)
		return error_nomem();
	*r = (struct mem_range){ .at = at, .len = len, .data = data };
	return NULL;
}

// Settling: where several regions have a byte, the one added first wins. A sweep in order of
// address keeps the regions that cover the present address in a heap, the first added on top.
struct sweep {
	const struct mem_range *in;
	size_t *by_address; // indices into `in`
	size_t *heap, heap_n;
};

static taddr range_end(const struct mem_range *r)
{
	return r->at + r->len;
}

static void heap_push(struct sweep *s, size_t index)
{
	size_t i = s->heap_n++;

	for (; i && s->heap[(i - 1) / 2] > index; i = (i - 1) / 2)
		s->heap[i] = s->heap[(i - 1) / 2];
	s->heap[i] = index;
}

static void heap_pop(struct sweep *s)
{
	size_t last = s->heap[--s->heap_n], i = 0;

	for (;;) {
		size_t child = 2 * i + 1;

		if (child + 1 < s->heap_n && s->heap[child + 1] < s->heap[child])
			child++;
		if (child >= s->heap_n || s->heap[child] >= last)
			break;
		s->heap[i] = s->heap[child];
		i = child;
	}
	s->heap[i] = last;
}

static int by_address(const void *a, const void *b, void *arg)
{
	const struct mem_range *in = arg;
	size_t x = *(const size_t *)a, y = *(const size_t *)b;

	if (in[x].at != in[y].at)
		return in[x].at < in[y].at ? -1 : 1;
	return x < y ? -1 : x > y;
}

// The regions cut so that none overlaps; a piece is not split where its source goes on.
static struct error *cut_overlaps(struct sweep *s, size_t n, struct arena *arena, regions *ret)
{
	taddr at = 0;

	for (size_t next = 0; next < n || s->heap_n;) {
		if (!s->heap_n)
			at = s->in[s->by_address[next]].at;
		while (next < n && s->in[s->by_address[next]].at == at)
			heap_push(s, s->by_address[next++]);
		while (s->heap_n && range_end(&s->in[s->heap[0]]) <= at)
			heap_pop(s);
		if (!s->heap_n)
			continue;
		const struct mem_range *top = &s->in[s->heap[0]];
		taddr end = range_end(top);
		if (next < n && s->in[s->by_address[next]].at < end)
			end = s->in[s->by_address[next]].at;
		const uint8_t *data = top->data + (at - top->at);
		struct mem_range *last = ret->n ? &ret->v[ret->n - 1] : NULL;
		if (last && range_end(last) == at && last->data + last->len == data) {
			last->len += end - at;
		} else {
			last = LIST_ADD(arena, ret);
			if (!last)
				return error_nomem();
			*last = (struct mem_range){ .at = at, .len = end - at, .data = data };
		}
		at = end;
	}
	return NULL;
}

struct error *snapshot_settle_memory(struct snapshot *snapshot)
{
	size_t n = snapshot->memory.n;
	_cleanup_(freep) size_t *order = malloc((n + 1) * sizeof(*order));
	_cleanup_(freep) size_t *heap = malloc((n + 1) * sizeof(*heap));
	_cleanup_(arena_deinit) struct arena scratch = {};

	if (!order || !heap)
		return error_nomem();
	for (size_t i = 0; i < n; i++)
		order[i] = i;
	qsort_r(order, n, sizeof(*order), by_address, snapshot->memory.v);
	struct sweep sweep = { .in = snapshot->memory.v, .by_address = order, .heap = heap };
	regions pieces = {};
	struct error *err = cut_overlaps(&sweep, n, &scratch, &pieces);
	if (err)
		return err;

	regions joined = {};
	for (size_t i = 0, end; i < pieces.n; i = end) {
		size_t len = pieces.v[i].len;
		for (end = i + 1; end < pieces.n && pieces.v[end].at == range_end(&pieces.v[end - 1]);
		     end++)
			len += pieces.v[end].len;
		struct mem_range *r = LIST_ADD(&snapshot->arena, &joined);
		if (!r)
			return error_nomem();
		*r = pieces.v[i];
		if (end - i == 1)
			continue;
		uint8_t *data = arena_alloc(&snapshot->arena, len);
		if (!data)
			return error_nomem();
		r->data = data;
		r->len = len;
		for (size_t j = i; j < end; j++) {
			memcpy(data, pieces.v[j].data, pieces.v[j].len);
			data += pieces.v[j].len;
		}
	}
	snapshot->memory = joined;
	return NULL;
}

static bool number(const char **p, const char *end, unsigned base, uint64_t *ret)
{
	uint64_t v = 0;
	const char *s = *p;

	for (; s < end; s++) {
		unsigned digit;

		if (*s >= '0' && *s <= '9')
			digit = (unsigned)(*s - '0');
		else if (base == 16 && *s >= 'a' && *s <= 'f')
			digit = (unsigned)(*s - 'a') + 10;
		else
			break;
		if (v > (UINT64_MAX - digit) / base)
			return false;
		v = v * base + digit;
	}
	if (s == *p)
		return false;
	*p = s;
	*ret = v;
	return true;
}

static bool literal(const char **p, const char *end, char c)
{
	if (*p == end || **p != c)
		return false;
	++*p;
	return true;
}

// A name as /proc/PID/maps has it: the kernel writes a newline as \012 and nothing else so.
struct error *mapping_set_name(struct arena *arena, const char *s, size_t len, struct mapping *m)
{
	static const char deleted[] = " (deleted)";
	_cleanup_(buf_deinit) struct buf plain = {}, clean = {};

	if (len > strlen(deleted) && s[0] == '/' &&
	    !memcmp(s + len - strlen(deleted), deleted, strlen(deleted))) {
		m->deleted = true;
		len -= strlen(deleted);
	}
	for (size_t i = 0; i < len; i++) {
		if (len - i >= 4 && !memcmp(s + i, "\\012", 4)) {
			buf_add(&plain, "\n", 1);
			i += 3;
		} else {
			buf_add(&plain, s + i, 1);
		}
	}
	buf_clean(&clean, plain.data, plain.len, "");
	if (plain.failed || clean.failed)
		return error_nomem();
	m->name = arena_strndup(arena, (const char *)clean.data, clean.len);
	return m->name ? NULL : error_nomem();
}

// "start-end perms offset major:minor inode    name". SENSE tells whether the line has that form.
static struct error *mapping_line(struct arena *arena, const char *p, const char *end,
				  struct mapping *ret, bool *sense)
{
	struct mapping m = {};
	uint64_t major, minor;

	*sense = number(&p, end, 16, &m.start) && literal(&p, end, '-') &&
		 number(&p, end, 16, &m.end) && literal(&p, end, ' ') && m.start < m.end &&
		 end - p > 4;
	if (!*sense)
		return NULL;
	for (int i = 0; i < 4; i++, p++) {
		*sense = *sense && (*p == "rwxp"[i] || *p == '-' || (i == 3 && *p == 's'));
		m.permissions[i] = *p;
	}
	*sense = *sense && literal(&p, end, ' ') && number(&p, end, 16, &m.offset) &&
		 literal(&p, end, ' ') && number(&p, end, 16, &major) && literal(&p, end, ':') &&
		 number(&p, end, 16, &minor) && literal(&p, end, ' ') &&
		 number(&p, end, 10, &m.inode) && major <= UINT32_MAX && minor <= UINT32_MAX;
	if (!*sense)
		return NULL;
	m.dev_major = (uint32_t)major;
	m.dev_minor = (uint32_t)minor;
	while (p < end && *p == ' ')
		p++;
	struct error *err = mapping_set_name(arena, p, (size_t)(end - p), &m);
	if (!err)
		*ret = m;
	return err;
}

static int mapping_compare(const void *a, const void *b)
{
	const struct mapping *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->end < y->end ? -1 : x->end > y->end;
}

static struct error *parse_mappings(struct snapshot *snapshot)
{
	const char *text = (const char *)snapshot->process.maps.data;
	const char *end = text + snapshot->process.maps.len;
	size_t nonsense = 0;

	snapshot->mappings.v = NULL;
	snapshot->mappings.n = 0;
	for (const char *line = text, *next; line < end; line = next) {
		const char *stop = memchr(line, '\n', (size_t)(end - line));
		stop = stop ? stop : end;
		next = stop < end ? stop + 1 : end;
		if (stop == line)
			continue;
		struct mapping m;
		bool sense;
		struct error *err = mapping_line(&snapshot->arena, line, stop, &m, &sense);
		if (err)
			return err;
		if (!sense) {
			nonsense++;
			continue;
		}
		struct mapping *to = LIST_ADD(&snapshot->arena, &snapshot->mappings);
		if (!to)
			return error_nomem();
		*to = m;
	}
	// The kernel's text is sorted and has no overlaps; a dump's may be anything.
	struct mapping *v = snapshot->mappings.v;
	size_t n = 0;
	if (v)
		qsort(v, snapshot->mappings.n, sizeof(*v), mapping_compare);
	for (size_t i = 0; i < snapshot->mappings.n; i++) {
		if (n && v[i].start < v[n - 1].end)
			nonsense++;
		else
			v[n++] = v[i];
	}
	// The list must not shrink in place: its room is a function of its length.
	struct mapping *dropped = n == snapshot->mappings.n ? NULL : v;
	if (dropped) {
		snapshot->mappings.v = NULL;
		snapshot->mappings.n = 0;
		for (size_t i = 0; i < n; i++) {
			struct mapping *to = LIST_ADD(&snapshot->arena, &snapshot->mappings);
			if (!to)
				return error_nomem();
			*to = dropped[i];
		}
	}
	if (!nonsense)
		return NULL;
	return gaps_add(&snapshot->arena, &snapshot->gaps, "memory map", NULL,
			"%zu lines of it make no sense", nonsense);
}

static bool same_file(const struct mapping *m, const struct mapping *first)
{
	return m->inode == first->inode && m->dev_major == first->dev_major &&
	       m->dev_minor == first->dev_minor && !strcmp(m->name, first->name);
}

// Whether M, of the file that LAST maps, begins another load of that file: file offsets rise with
// addresses within one load, except that small files have several segments in their first page, and
// that a linker's 2 MiB gap between segments shows as an inaccessible mapping.
static bool new_load(const struct mapping *m, const struct mapping *last)
{
	if (m->offset)
		return false;
	if (last->offset)
		return strncmp(last->permissions, "---", 3) != 0;
	return !strncmp(last->permissions, "r--", 3) && !strncmp(m->permissions, "r--", 3);
}

static struct error *add_module(struct snapshot *snapshot, const struct mapping *first,
				const struct mapping *last, bool executable)
{
	// Data files are mapped too (locales, fonts, databases); code is what makes a module.
	if (!first || !executable)
		return NULL;
	struct module *module = LIST_ADD(&snapshot->arena, &snapshot->modules);
	if (!module)
		return error_nomem();
	*module = (struct module){
		.start = first->start,
		.end = last->end,
		.path = first->name,
		.inode = first->inode,
		.dev_major = first->dev_major,
		.dev_minor = first->dev_minor,
		.deleted = first->deleted,
		.in_memory = !strcmp(first->name, "[vdso]"),
		.fd = -1,
	};
	return NULL;
}

uint64_t auxv_value(const struct bytes *auxv, uint64_t type)
{
	for (size_t at = 0; auxv->len - at >= 16; at += 16) {
		uint64_t pair[2];

		memcpy(pair, auxv->data + at, sizeof(pair));
		if (le64toh(pair[0]) == AT_NULL)
			break;
		if (le64toh(pair[0]) == type)
			return le64toh(pair[1]);
	}
	return 0;
}

static void main_module_first(struct snapshot *snapshot)
{
	struct module *v = snapshot->modules.v;
	taddr phdr = auxv_value(&snapshot->process.auxv, AT_PHDR);
	size_t n = snapshot->modules.n, main = n;

	for (size_t i = 0; i < n && main == n; i++)
		if (phdr >= v[i].start && phdr < v[i].end)
			main = i;
	for (size_t i = 0; i < n && main == n && snapshot->process.exe; i++)
		if (!strcmp(v[i].path, snapshot->process.exe))
			main = i;
	// The file that was mapped lowest; the vDSO may be below it.
	for (size_t i = 0; i < n && main == n; i++)
		if (!v[i].in_memory)
			main = i;
	if (main == n)
		return;
	struct module first = v[main];
	memmove(v + 1, v, main * sizeof(*v));
	v[0] = first;
}

struct error *snapshot_parse_maps(struct snapshot *snapshot)
{
	struct error *err = parse_mappings(snapshot);

	return err ? err : snapshot_find_modules(snapshot);
}

struct error *snapshot_find_modules(struct snapshot *snapshot)
{
	struct error *err;

	close_modules(snapshot);
	const struct mapping *first = NULL, *last = NULL;
	bool executable = false;
	for (size_t i = 0; i < snapshot->mappings.n; i++) {
		const struct mapping *m = &snapshot->mappings.v[i];
		bool file = m->name[0] == '/';
		bool vdso = !strcmp(m->name, "[vdso]");

		// A module's bss is anonymous, and may have been given a name by prctl().
		if (!m->name[0] || !strncmp(m->name, "[anon", 5))
			continue;
		// Neither the kernel nor a dynamic linker loads with MAP_SHARED.
		bool part = vdso || (file && m->permissions[3] == 'p');
		if (part && first && same_file(m, first) && !new_load(m, last)) {
			last = m;
			executable = executable || m->permissions[2] == 'x';
			continue;
		}
		// Anything else in between ends the module before it: modules do not overlap.
		err = add_module(snapshot, first, last, executable);
		if (err)
			return err;
		first = last = part ? m : NULL;
		executable = part && m->permissions[2] == 'x';
	}
	err = add_module(snapshot, first, last, executable);
	if (err)
		return err;
	main_module_first(snapshot);
	return NULL;
}

static struct error *gap_put(struct arena *arena, gaps *list, const char *what, const char *remedy,
			     char *why)
{
	char *what_copy = arena_strdup(arena, what);
	char *remedy_copy = remedy ? arena_strdup(arena, remedy) : NULL;

	if (!why || !what_copy || (remedy && !remedy_copy))
		return error_nomem();
	struct gap *gap = LIST_ADD(arena, list);
	if (!gap)
		return error_nomem();
	*gap = (struct gap){ .what = what_copy, .why = why, .remedy = remedy_copy };
	return NULL;
}

struct error *gaps_add(struct arena *arena, gaps *list, const char *what, const char *remedy,
		       const char *why, ...)
{
	va_list ap;

	va_start(ap, why);
	char *text = arena_vprintf(arena, why, ap);
	va_end(ap);
	return gap_put(arena, list, what, remedy, text);
}

struct error *gaps_take(struct arena *arena, gaps *list, const char *what, const char *remedy,
			struct error *err)
{
	if (!err)
		return NULL;
	// Want of memory is ours and stays an error.
	if (err->kind == ERROR_NOMEM)
		return err;
	if (!remedy)
		remedy = error_remedy(err->errnum);
	struct error *failed = gap_put(arena, list, what, remedy, arena_strdup(arena, err->text));
	error_free(err);
	return failed;
}

static char *copy_string(struct arena *arena, const char *s, bool *failed)
{
	if (!s)
		return NULL;
	char *ret = arena_strdup(arena, s);
	*failed |= !ret;
	return ret;
}

static void copy_ref(struct arena *arena, const struct process_ref *from, struct process_ref *to,
		     bool *failed)
{
	*to = (struct process_ref){ .pid = from->pid,
				    .uid = from->uid,
				    .comm = copy_string(arena, from->comm, failed),
				    .exe = copy_string(arena, from->exe, failed) };
	for (size_t i = 0; !*failed && i < from->cmdline.n; i++) {
		char **arg = LIST_ADD(arena, &to->cmdline);

		if (arg)
			*arg = copy_string(arena, from->cmdline.v[i], failed);
		*failed |= !arg;
	}
}

struct error *sender_copy(struct arena *arena, const struct sender *from, struct sender *to)
{
	bool failed = false;
	struct sender copy = *from;

	copy_ref(arena, &from->process, &copy.process, &failed);
	copy.user = copy_string(arena, from->user, &failed);
	copy.ancestors = (process_refs){};
	for (size_t i = 0; !failed && i < from->ancestors.n; i++) {
		struct process_ref *ref = LIST_ADD(arena, &copy.ancestors);

		if (ref)
			copy_ref(arena, &from->ancestors.v[i], ref, &failed);
		failed |= !ref;
	}
	if (failed)
		return error_nomem();
	*to = copy;
	return NULL;
}

const char *module_name(const struct module *module)
{
	return module->deleted && module->soname ? module->soname : path_basename(module->path);
}

const char *path_basename(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}
