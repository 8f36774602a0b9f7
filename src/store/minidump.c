/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "minidump.h"

#include <endian.h>
#include <stdio.h>

#include "../cleanup.h"
#include "../target/linkmap.h"
#include "context.h"
#include "format.h"
#include "minidump-writer.h"
#include "regsets.h"
#include "state.h"

// What Breakpad's reader accepts; it drops a list that is longer.
#define MAX_THREADS 4096
#define MAX_MODULES 2048
#define MAX_STRING  1024 // UTF-16 units

// What a dump takes beside the memory, roughly: for a thread its context, for a mapping its line.
#define REST_BYTES	   ((size_t)256 << 10)
#define REST_THREAD_BYTES  ((size_t)2 << 10)
#define REST_MAPPING_BYTES ((size_t)192)

static void put(struct md_writer *w, size_t at, const void *data, size_t len)
{
	if (!w->out->failed)
		memcpy(w->out->data + at, data, len);
}

static void put_u32(struct md_writer *w, size_t at, uint32_t v)
{
	put(w, at, &(uint32_t){ htole32(v) }, sizeof(v));
}

static void put_u64(struct md_writer *w, size_t at, uint64_t v)
{
	put(w, at, &(uint64_t){ htole64(v) }, sizeof(v));
}

// Offsets are checked against 4 GiB at the end, for all of them at once.
size_t md_begin(struct md_writer *w)
{
	buf_align(w->out, 8);
	return w->out->len;
}

void md_end(struct md_writer *w, uint32_t type, size_t rva)
{
	w->dir[w->n_dir].type = type;
	w->dir[w->n_dir].size = w->out->len - rva;
	w->dir[w->n_dir++].rva = rva;
}

void md_location(struct buf *out, size_t size, size_t rva)
{
	buf_u32(out, (uint32_t)size);
	buf_u32(out, (uint32_t)rva);
}

// A list that was put together aside because its entries name places that had to be written first.
static void add_aside(struct md_writer *w, const struct buf *list)
{
	buf_add(w->out, list->data, list->len);
	w->out->failed |= list->failed;
}

// The code point at *P, U+FFFD for what is no UTF-8; moves on.
static uint32_t next_char(const uint8_t **p)
{
	static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
	const uint8_t *s = *p;
	unsigned more = s[0] >= 0xf0 ? 3 : s[0] >= 0xe0 ? 2 : 1;
	uint32_t c = s[0] & (0x3fu >> more);

	*p = s + 1;
	if (s[0] < 0x80)
		return s[0];
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0xfffd;
	for (unsigned i = 1; i <= more; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0xfffd;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0xfffd;
	*p = s + 1 + more;
	return c;
}

// MDString; returns where it is.
static size_t add_string(struct md_writer *w, const char *s)
{
	const uint8_t *p = (const uint8_t *)s;
	uint32_t units = 0;

	buf_align(w->out, 4);
	size_t rva = w->out->len;
	buf_u32(w->out, 0);
	while (*p && units < MAX_STRING - 1) {
		uint32_t c = next_char(&p);

		if (c >= 0x10000) {
			buf_u16(w->out, (uint16_t)(0xd800 + ((c - 0x10000) >> 10)));
			buf_u16(w->out, (uint16_t)(0xdc00 + ((c - 0x10000) & 0x3ff)));
			units++;
		} else {
			buf_u16(w->out, (uint16_t)c);
		}
		units++;
	}
	put_u32(w, rva, units * 2);
	buf_u16(w->out, 0);
	return rva;
}

// Crashpad's kind of string.
static size_t add_utf8(struct md_writer *w, const char *s)
{
	size_t len = strlen(s);

	buf_align(w->out, 4);
	size_t rva = w->out->len;
	buf_u32(w->out, (uint32_t)len);
	buf_add(w->out, s, len + 1);
	return rva;
}

static struct error *plan_threads(struct md_writer *w)
{
	w->threads = arena_alloc(&w->arena, (w->s->threads.n + 1) * sizeof(*w->threads));
	w->contexts = arena_alloc(&w->arena, (w->s->threads.n + 1) * sizeof(*w->contexts));
	if (!w->threads || !w->contexts)
		return error_nomem();
	for (size_t i = 0; i < w->s->threads.n && w->n_threads < MAX_THREADS; i++) {
		const struct thread *t = &w->s->threads.v[i];

		// Readers choke on a thread without a context; our own state lists all of them.
		if (t->regs.arch && t->regs.arch == context_arch(w->format) && t->tid > 0)
			w->threads[w->n_threads++] = t;
	}
	return NULL;
}

// The part of its range that is THREAD's stack: the range may hold more, and has to hold SP.
static void add_stack(struct md_writer *w, const struct thread *thread)
{
	taddr sp = regs_sp(&thread->regs);
	const struct md_range *r = md_range_at(w, sp);

	if (!r || !r->rva) {
		buf_u64(w->out, sp);
		md_location(w->out, 0, 0);
		return;
	}
	taddr start = r->at, stop = r->at + r->len;
	if (thread->stack_start > start && thread->stack_start <= sp)
		start = thread->stack_start;
	if (thread->stack_end > sp && thread->stack_end < stop)
		stop = thread->stack_end;
	buf_u64(w->out, start);
	md_location(w->out, (size_t)(stop - start), r->rva + (size_t)(start - r->at));
}

static void write_threads(struct md_writer *w)
{
	size_t size = 0;

	for (size_t i = 0; i < w->n_threads; i++) {
		buf_align(w->out, 16);
		w->contexts[i] = w->out->len;
		size = context_write(w->format, w->threads[i], w->out);
	}
	size_t rva = md_begin(w);
	buf_u32(w->out, (uint32_t)w->n_threads);
	for (size_t i = 0; i < w->n_threads; i++) {
		buf_u32(w->out, (uint32_t)w->threads[i]->tid);
		buf_zero(w->out, 12);
		buf_u64(w->out, w->threads[i]->regs.tls);
		add_stack(w, w->threads[i]);
		md_location(w->out, size, w->contexts[i]);
	}
	md_end(w, MD_THREAD_LIST, rva);

	_cleanup_(buf_deinit) struct buf names = {};
	buf_u32(&names, (uint32_t)w->n_threads);
	for (size_t i = 0; i < w->n_threads; i++) {
		buf_u32(&names, (uint32_t)w->threads[i]->tid);
		buf_u64(&names, add_string(w, w->threads[i]->name));
	}
	rva = md_begin(w);
	add_aside(w, &names);
	md_end(w, MD_THREAD_NAMES, rva);
}

static void write_exception(struct md_writer *w)
{
	const struct death *death = &w->s->death;
	size_t blamed = 0;

	if (!w->n_threads)
		return;
	for (size_t i = 0; i < w->n_threads; i++)
		if (w->threads[i]->tid == death->tid)
			blamed = i;
	// The true number is in our own state.
	bool signal = death->kind == DEATH_SIGNAL && lldb_stops_on(death->signo);
	// Siginfo may be that of an earlier fault, or of nothing when SIGKILL came.
	bool info = signal && death->info.signo == death->signo;
	size_t rva = md_begin(w);
	buf_u32(w->out, (uint32_t)w->threads[blamed]->tid);
	buf_u32(w->out, 0);
	buf_u32(w->out, signal ? (uint32_t)death->signo : MD_DUMP_REQUESTED);
	buf_u32(w->out, info ? (uint32_t)death->info.code : 0);
	buf_u64(w->out, 0);
	buf_u64(w->out, info ? death->info.addr : regs_pc(&w->threads[blamed]->regs));
	buf_zero(w->out, 8 + 15 * 8);
	md_location(w->out, context_size(w->format), w->contexts[blamed]);
	md_end(w, MD_EXCEPTION, rva);
}

// The first "number.number" of TEXT: in a uname line the kernel's version.
static void find_version(const char *text, unsigned *major, unsigned *minor)
{
	for (const char *p = text; *(p += strcspn(p, "0123456789"));
	     p += strspn(p, "0123456789"))
		if (sscanf(p, "%9u.%9u", major, minor) == 2)
			return;
	*major = *minor = 0;
}

static void write_system_info(struct md_writer *w)
{
	const struct host *host = &w->s->host;
	const char *csd = host->uname;
	unsigned major, minor;

	if (!*csd)
		csd = arena_printf(&w->arena, "Linux %s", host->kernel);
	if (!csd) {
		w->out->failed = true;
		return;
	}
	find_version(csd, &major, &minor);
	size_t csd_rva = add_string(w, csd), rva = md_begin(w);
	buf_u16(w->out, context_processor(w->format));
	buf_u16(w->out, host->cpu_family);
	buf_u16(w->out, host->cpu_model_stepping);
	uint8_t cpus = (uint8_t)(host->cpus < 1 ? 1 : host->cpus > 255 ? 255 : host->cpus);
	buf_add(w->out, &cpus, 1);
	buf_zero(w->out, 1);
	buf_u32(w->out, major);
	buf_u32(w->out, minor);
	buf_u32(w->out, 0);
	buf_u32(w->out, MD_PLATFORM_LINUX);
	buf_u32(w->out, (uint32_t)csd_rva);
	buf_u32(w->out, 0);
	for (int i = 0; i < 3; i++)
		buf_u32(w->out, host->cpu_vendor[i]);
	buf_u32(w->out, host->cpu_version);
	buf_u32(w->out, host->cpu_features);
	buf_u32(w->out, host->cpu_amd_features);
	md_end(w, MD_SYSTEM_INFO, rva);
}

static uint32_t seconds(int64_t nanoseconds)
{
	return nanoseconds > 0 ? (uint32_t)(nanoseconds / 1000000000) : 0;
}

static void write_misc_info(struct md_writer *w)
{
	// utime and stime are fields 14 and 15, in ticks of 1/100 s (USER_HZ). The name before
	// them may hold anything, but its parenthesis is the last one.
	const char *stat = w->s->process.stat.len ? (const char *)w->s->process.stat.data : "";
	const char *paren = strrchr(stat, ')');
	unsigned long user = 0, kernel = 0;
	if (!paren || sscanf(paren + 1,
			     " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %10lu %10lu",
			     &user, &kernel) != 2)
		user = kernel = 0;

	size_t rva = md_begin(w);
	uint32_t born = seconds(w->s->time.process_start), died = seconds(w->s->time.death);
	buf_u32(w->out, 24);
	buf_u32(w->out, 1 | (born ? 2 : 0));
	buf_u32(w->out, (uint32_t)w->s->process.pid);
	// Both are rounded, and the clock may have been set: readers want them in order.
	buf_u32(w->out, died && born > died ? died : born);
	buf_u32(w->out, (uint32_t)(user / 100));
	buf_u32(w->out, (uint32_t)(kernel / 100));
	md_end(w, MD_MISC_INFO, rva);
}

// Symbol stores, and readers that look for files, go by the name that the loader goes by.
static size_t add_module_name(struct md_writer *w, const struct module *m)
{
	_cleanup_(buf_deinit) struct buf path = {};

	if (m->in_memory || !m->soname)
		return add_string(w, m->in_memory ? MD_VDSO_NAME : m->path);
	buf_printf(&path, "%.*s%s", (int)(path_basename(m->path) - m->path), m->path, m->soname);
	buf_add(&path, "", 1);
	w->out->failed = w->out->failed || path.failed;
	return add_string(w, path.failed ? "" : (const char *)path.data);
}

static void write_modules(struct md_writer *w)
{
	_cleanup_(buf_deinit) struct buf list = {};
	size_t n = w->s->modules.n < MAX_MODULES ? w->s->modules.n : MAX_MODULES;

	buf_u32(&list, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		const struct module *m = &w->s->modules.v[i];
		uint64_t size = m->end - m->start;
		size_t name = add_module_name(w, m), cv = 0;

		if (m->build_id_len) {
			buf_align(w->out, 4);
			cv = w->out->len;
			buf_u32(w->out, MD_CV_BUILD_ID);
			buf_add(w->out, m->build_id, m->build_id_len);
		}
		buf_u64(&list, m->start);
		buf_u32(&list, size > UINT32_MAX ? 0xfffff000u : (uint32_t)size);
		buf_zero(&list, 8);
		buf_u32(&list, (uint32_t)name);
		buf_zero(&list, 52);
		md_location(&list, cv ? 4 + m->build_id_len : 0, cv);
		buf_zero(&list, 24);
	}
	size_t rva = md_begin(w);
	add_aside(w, &list);
	md_end(w, MD_MODULE_LIST, rva);
}

static uint32_t protection(const char *permissions)
{
	bool readable = permissions[0] == 'r', writable = permissions[1] == 'w';

	if (permissions[2] == 'x')
		return writable ? 0x40 : readable ? 0x20 : 0x10;
	return writable ? 4 : readable ? 2 : 1;
}

static void write_memory_info(struct md_writer *w)
{
	size_t rva = md_begin(w);

	buf_u32(w->out, 16);
	buf_u32(w->out, MD_MEMORY_INFO_SIZE);
	buf_u64(w->out, w->s->mappings.n);
	for (size_t i = 0; i < w->s->mappings.n; i++) {
		const struct mapping *m = &w->s->mappings.v[i];
		uint32_t type = MD_MEM_PRIVATE;

		if (m->name[0] == '/')
			type = snapshot_module_at(w->s, m->start) ? MD_MEM_IMAGE : MD_MEM_MAPPED;
		buf_u64(w->out, m->start);
		buf_u64(w->out, m->start);
		buf_u32(w->out, protection(m->permissions));
		buf_u32(w->out, 0);
		buf_u64(w->out, m->end - m->start);
		buf_u32(w->out, MD_MEM_COMMIT);
		buf_u32(w->out, protection(m->permissions));
		buf_u32(w->out, type);
		buf_u32(w->out, 0);
	}
	md_end(w, MD_MEMORY_INFO_LIST, rva);
}

static void write_bytes(struct md_writer *w, uint32_t type, const struct bytes *bytes)
{
	if (!bytes->len)
		return;
	size_t rva = md_begin(w);
	buf_add(w->out, bytes->data, bytes->len);
	md_end(w, type, rva);
}

static void write_strings(struct md_writer *w, uint32_t type, const strings *list)
{
	if (!list->n)
		return;
	size_t rva = md_begin(w);
	for (size_t i = 0; i < list->n; i++)
		buf_add(w->out, list->v[i], strlen(list->v[i]) + 1);
	md_end(w, type, rva);
}

static struct error *write_handles(struct md_writer *w)
{
	const struct process *process = &w->s->process;
	_cleanup_(buf_deinit) struct buf list = {};

	if (!process->have_fds)
		return NULL;
	buf_u32(&list, 16);
	buf_u32(&list, 32);
	buf_u32(&list, (uint32_t)process->fds.n);
	buf_u32(&list, 0);
	for (size_t i = 0; i < process->fds.n; i++) {
		const struct fd *fd = &process->fds.v[i];
		// "socket:[123]", "pipe:[123]", "anon_inode:[eventfd]"
		size_t kind = fd->target[0] == '/' ? 0 : strcspn(fd->target, ":");
		char *type = kind && fd->target[kind]
				     ? arena_strndup(&w->arena, fd->target, kind)
				     : arena_strdup(&w->arena, "file");

		if (!type)
			return error_nomem();
		buf_u64(&list, (uint64_t)fd->fd);
		buf_u32(&list, (uint32_t)add_string(w, type));
		buf_u32(&list, (uint32_t)add_string(w, fd->target));
		buf_zero(&list, 16);
	}
	size_t rva = md_begin(w);
	add_aside(w, &list);
	md_end(w, MD_HANDLE_DATA, rva);
	return NULL;
}

// The dynamic linker's list of what it has loaded, if it is among the captured memory.
static struct error *write_link_map(struct md_writer *w)
{
	struct link_map_list list;
	_cleanup_(buf_deinit) struct buf entries = {};
	struct error *err = link_map_read(&w->mem.mem, &w->s->process.auxv, &w->arena, &list);

	if (err || !list.objects.n)
		return err;
	for (size_t i = 0; i < list.objects.n; i++) {
		buf_u64(&entries, list.objects.v[i].bias);
		buf_u32(&entries, (uint32_t)add_string(w, list.objects.v[i].name));
		buf_u32(&entries, 0);
		buf_u64(&entries, list.objects.v[i].dynamic);
	}
	size_t map_rva = md_begin(w);
	add_aside(w, &entries);
	size_t rva = md_begin(w);
	buf_u32(w->out, list.version);
	buf_u32(w->out, (uint32_t)map_rva);
	buf_u32(w->out, (uint32_t)list.objects.n);
	buf_u32(w->out, 0);
	buf_u64(w->out, list.brk);
	buf_u64(w->out, list.base);
	buf_u64(w->out, list.dynamic);
	buf_add(w->out, list.dynamic_bytes, list.dynamic_len);
	md_end(w, MD_DSO_DEBUG, rva);
	return NULL;
}

// A UUID's text as a GUID, whose first three numbers are little endian.
static void add_guid(struct buf *out, const char *text)
{
	static const uint8_t order[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };
	uint8_t plain[16] = {}, guid[16];
	size_t n = 0;

	for (; *text && n < 32; text++) {
		unsigned digit = (unsigned)(*text >= 'a' ? *text - 'a' + 10 : *text - '0');

		if (digit > 15)
			continue;
		plain[n / 2] = (uint8_t)(plain[n / 2] << 4 | digit);
		n++;
	}
	for (size_t i = 0; i < 16; i++)
		guid[i] = plain[order[i]];
	buf_add(out, guid, sizeof(guid));
}

static void write_crashpad_info(struct md_writer *w)
{
	const struct snapshot *s = w->s;
	struct note {
		const char *key, *value;
	} notes[8];
	size_t n = 0, keys[ARRAY_SIZE(notes)], values[ARRAY_SIZE(notes)];
	char number[12], code[12];

	notes[n++] = (struct note){ "generator", "pcatch" };
	notes[n++] = (struct note){ "pcatch_version", s->generator };
	notes[n++] = (struct note){ "report_id", s->id };
	notes[n++] = (struct note){ "process", s->process.comm };
	if (s->death.kind == DEATH_SIGNAL) {
		const char *name = signal_name(s->death.signo);
		const char *code_name = signal_code_name(s->death.signo, s->death.info.code);

		snprintf(number, sizeof(number), "%d", s->death.signo);
		snprintf(code, sizeof(code), "%d", s->death.info.code);
		notes[n++] = (struct note){ "signal", name ? name : number };
		notes[n++] = (struct note){ "signal_number", number };
		if (s->death.info.signo == s->death.signo)
			notes[n++] = (struct note){ "signal_code", code_name ? code_name : code };
	} else if (s->death.kind == DEATH_EXIT) {
		snprintf(number, sizeof(number), "%d", s->death.exit_code);
		notes[n++] = (struct note){ "exit_code", number };
	}
	for (size_t i = 0; i < n; i++) {
		keys[i] = add_utf8(w, notes[i].key);
		values[i] = add_utf8(w, notes[i].value);
	}
	size_t dictionary = md_begin(w);
	buf_u32(w->out, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		buf_u32(w->out, (uint32_t)keys[i]);
		buf_u32(w->out, (uint32_t)values[i]);
	}
	size_t len = w->out->len - dictionary, rva = md_begin(w);
	buf_u32(w->out, 1);
	add_guid(w->out, s->id);
	buf_zero(w->out, 16);
	md_location(w->out, len, dictionary);
	buf_zero(w->out, 20);
	md_end(w, MD_CRASHPAD_INFO, rva);
}

static struct error *write_state(struct md_writer *w)
{
	json_t *root;
	struct error *err = state_encode(w->s, &root);

	if (err)
		return err;
	// What the reader must take out again.
	json_t *guards = json_array(), *lines = json_array();
	bool ok = guards && lines;
	for (size_t i = 0; ok && i < w->guards.n; i++) {
		char at[19];

		snprintf(at, sizeof(at), "0x%llx", (unsigned long long)w->guards.v[i].at);
		ok = !json_array_append_new(
			guards, json_pack("[sI]", at, (json_int_t)w->guards.v[i].len));
	}
	for (size_t i = 0; ok && i < w->added_lines.n; i++)
		ok = !json_array_append_new(
			lines, json_pack("[II]", (json_int_t)w->added_lines.v[i].at,
					 (json_int_t)w->added_lines.v[i].len));
	ok = ok && !json_object_set(root, "guards", guards) &&
	     !json_object_set(root, "added_map_lines", lines);
	char *text = ok ? json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
	json_decref(guards);
	json_decref(lines);
	json_decref(root);
	if (!text)
		return error_nomem();
	size_t rva = md_begin(w);
	buf_addstr(w->out, text);
	free(text);
	md_end(w, MINIDUMP_STATE_STREAM, rva);
	return NULL;
}

static struct error *write_streams(struct md_writer *w)
{
	const struct snapshot *s = w->s;

	buf_zero(w->out, MD_HEADER_SIZE);
	md_write_memory(w);
	write_system_info(w);
	write_misc_info(w);
	write_threads(w);
	write_exception(w);
	write_modules(w);
	write_memory_info(w);
	struct error *err = md_write_maps(w);
	if (err)
		return err;
	write_bytes(w, MD_PROC_STATUS, &s->process.status);
	write_bytes(w, MD_AUXV, &s->process.auxv);
	write_bytes(w, MD_LIMITS, &s->process.limits);
	write_bytes(w, MD_CPU_INFO, &s->host.cpuinfo);
	write_bytes(w, MD_LSB_RELEASE, &s->host.os_release);
	write_strings(w, MD_CMD_LINE, &s->process.cmdline);
	write_strings(w, MD_ENVIRON, &s->process.environ);
	err = write_handles(w);
	if (err)
		return err;
	write_crashpad_info(w);
	size_t regsets = md_begin(w);
	regsets_write(w);
	md_end(w, MINIDUMP_REGSETS_STREAM, regsets);
	err = write_link_map(w);
	return err ? err : write_state(w);
}

// All of it at once where that is to be had; pages that are not written to cost nothing.
static void reserve(struct md_writer *w)
{
	size_t len = REST_BYTES + w->s->threads.n * REST_THREAD_BYTES +
		     w->s->mappings.n * REST_MAPPING_BYTES;

	for (size_t i = 0; i < w->ranges.n; i++)
		len += w->ranges.v[i].len + 16;
	buf_reserve(w->out, len);
}

static struct error *write_file(struct md_writer *w)
{
	struct error *err = plan_threads(w);
	if (!err)
		err = md_plan_memory(w);
	if (!err) {
		reserve(w);
		err = write_streams(w);
	}
	if (err)
		return err;

	size_t base_at = md_write_memory64(w), dir = md_begin(w);
	for (size_t i = 0; i < w->n_dir; i++) {
		buf_u32(w->out, w->dir[i].type);
		md_location(w->out, w->dir[i].size, w->dir[i].rva);
	}
	if (w->out->len > UINT32_MAX)
		return error_new(ERROR_UNSUPPORTED,
				 "more than 4 GiB beside the memory: no minidump can hold it");
	if (base_at) {
		buf_align(w->out, 16);
		put_u64(w, base_at, w->out->len);
		for (size_t i = 0; i < w->ranges.n; i++)
			buf_add(w->out, w->ranges.v[i].data, w->ranges.v[i].len);
	}
	put_u32(w, 0, MD_SIGNATURE);
	put_u32(w, 4, MD_VERSION);
	put_u32(w, 8, (uint32_t)w->n_dir);
	put_u32(w, 12, (uint32_t)dir);
	put_u32(w, 20, seconds(w->s->time.death));
	return buf_error(w->out);
}

struct error *minidump_write(const struct snapshot *snapshot, struct buf *ret)
{
	_cleanup_(buf_deinit) struct buf out = {};
	const struct arch *arch = snapshot->host.arch ? snapshot->host.arch : arch_host();
	struct md_writer w = { .out = &out, .s = snapshot, .format = context_format_of(arch) };

	snapshot_mem(snapshot, &w.mem);
	struct error *err = write_file(&w);
	arena_deinit(&w.arena);
	if (err)
		return err;
	*ret = TAKE(out);
	return NULL;
}
