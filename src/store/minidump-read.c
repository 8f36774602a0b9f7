/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <endian.h>
#include <stdio.h>

#include "../cleanup.h"
#include "context.h"
#include "format.h"
#include "little.h"
#include "minidump.h"
#include "regsets.h"
#include "state.h"

// More than any kernel lets a process have; keeps the work on nonsense in bounds.
#define MAX_THREADS 65536
#define MAX_MODULES 65536

struct stream {
	const uint8_t *data;
	size_t len; // 0: there is none
};

struct reader {
	const uint8_t *data; // the file, in the snapshot's arena: memory regions point into it
	size_t len;
	const uint8_t *dir;
	size_t n_dir;
	struct snapshot *s;
	const struct context_format *format;
	size_t string_budget; // bytes of the file that strings may still be made of
	json_t *state;	      // NULL: no dump of ours
};

// LEN bytes of the file at RVA, NULL when it does not have them.
static const uint8_t *bytes_at(const struct reader *r, uint64_t rva, uint64_t len)
{
	return rva <= r->len && len <= r->len - rva ? r->data + rva : NULL;
}

static struct error *missing(struct reader *r, const char *what, const char *why)
{
	return gaps_add(&r->s->arena, &r->s->gaps, what, NULL, "%s", why);
}

// The first stream of TYPE. One that is not wholly in the file counts as absent.
static struct stream stream_of(const struct reader *r, uint32_t type)
{
	for (size_t i = 0; i < r->n_dir; i++) {
		const uint8_t *entry = r->dir + i * MD_ENTRY_SIZE;
		uint32_t len = u32_at(entry + 4);
		const uint8_t *data = bytes_at(r, u32_at(entry + 8), len);

		if (u32_at(entry) == type && data)
			return (struct stream){ .data = data, .len = len };
	}
	return (struct stream){};
}

// A stream of a count and entries of SIZE bytes, between them 4 bytes of padding in some files.
static const uint8_t *list_of(const struct reader *r, uint32_t type, size_t size, size_t *n)
{
	struct stream s = stream_of(r, type);

	*n = 0;
	if (s.len < 4)
		return NULL;
	size_t count = u32_at(s.data), head = 4, fit = (s.len - 4) / size;
	if (s.len >= 8 && (s.len - 8) / size == count && (s.len - 8) % size == 0)
		head = 8;
	*n = count < fit ? count : fit;
	return s.data + head;
}

static void add_char(struct buf *buf, uint32_t c)
{
	uint8_t utf8[4] = { (uint8_t)c };
	size_t n = 1;

	if (c >= 0x10000) {
		utf8[0] = (uint8_t)(0xf0 | c >> 18);
		utf8[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
		utf8[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
		utf8[3] = (uint8_t)(0x80 | (c & 0x3f));
		n = 4;
	} else if (c >= 0x800) {
		utf8[0] = (uint8_t)(0xe0 | c >> 12);
		utf8[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
		utf8[2] = (uint8_t)(0x80 | (c & 0x3f));
		n = 3;
	} else if (c >= 0x80) {
		utf8[0] = (uint8_t)(0xc0 | c >> 6);
		utf8[1] = (uint8_t)(0x80 | (c & 0x3f));
		n = 2;
	}
	buf_add(buf, utf8, n);
}

static struct error *clean(struct reader *r, const void *data, size_t len, char **ret)
{
	_cleanup_(buf_deinit) struct buf text = {};

	buf_clean(&text, data, len, "");
	char *copy = text.failed ? NULL : arena_strndup(&r->s->arena, (char *)text.data, text.len);
	if (!copy)
		return error_nomem();
	*ret = copy;
	return NULL;
}

// The MDString at RVA, cleaned; "" for one that is not in the file. Many entries may name one long
// string, so all strings together get no more of the file than there is.
static struct error *string_at(struct reader *r, uint64_t rva, char **ret)
{
	const uint8_t *head = bytes_at(r, rva, 4);
	size_t len = head ? u32_at(head) & ~(size_t)1 : 0;
	const uint8_t *p = head ? bytes_at(r, rva + 4, len) : NULL;
	_cleanup_(buf_deinit) struct buf text = {};

	if (!p || len > r->string_budget)
		len = 0;
	r->string_budget -= len;
	for (size_t i = 0; i < len; i += 2) {
		uint32_t c = u16_at(p + i), low = i + 4 <= len ? u16_at(p + i + 2) : 0;

		if (!c)
			break;
		if (c >= 0xd800 && c < 0xdc00 && low >= 0xdc00 && low < 0xe000) {
			c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
			i += 2;
		} else if (c >= 0xd800 && c < 0xe000) {
			c = 0xfffd;
		}
		add_char(&text, c);
	}
	if (text.failed)
		return error_nomem();
	return clean(r, text.data, text.len, ret);
}

static struct error *bytes_of(struct reader *r, uint32_t type, struct bytes *ret)
{
	struct stream s = stream_of(r, type);

	if (!s.len)
		return NULL;
	ret->data = (uint8_t *)arena_strndup(&r->s->arena, (const char *)s.data, s.len);
	ret->len = s.len;
	return ret->data ? NULL : error_nomem();
}

static struct error *strings_of(struct reader *r, uint32_t type, strings *ret)
{
	struct stream s = stream_of(r, type);

	for (size_t at = 0; at < s.len;) {
		size_t len = strnlen((const char *)s.data + at, s.len - at);
		char **to = LIST_ADD(&r->s->arena, ret);
		struct error *err = to ? clean(r, s.data + at, len, to) : error_nomem();

		if (err)
			return err;
		at += len + 1;
	}
	return NULL;
}

static struct error *read_header(struct reader *r)
{
	if (r->len < MD_HEADER_SIZE)
		return error_new(ERROR_INPUT, "at 0x0: %zu bytes are no minidump", r->len);
	if (u32_at(r->data) != MD_SIGNATURE)
		return error_new(ERROR_INPUT, "at 0x0: no minidump: its signature is 0x%08x",
				 u32_at(r->data));
	if (u16_at(r->data + 4) != MD_VERSION)
		return error_new(ERROR_INPUT, "at 0x4: minidump version 0x%04x is not known",
				 u16_at(r->data + 4));
	uint32_t n = u32_at(r->data + 8), rva = u32_at(r->data + 12);
	r->dir = bytes_at(r, rva, (uint64_t)n * MD_ENTRY_SIZE);
	if (!r->dir)
		return error_new(ERROR_INPUT, "at 0x%x: the directory of %u streams is not in "
				 "the file of 0x%zx bytes", rva, n, r->len);
	// The real number is about 25, and each is looked for in turn.
	r->n_dir = n < 4096 ? n : 4096;
	r->s->time.death = (int64_t)u32_at(r->data + 20) * 1000000000;
	return NULL;
}

static struct error *read_system(struct reader *r)
{
	struct stream s = stream_of(r, MD_SYSTEM_INFO);
	struct host *host = &r->s->host;

	if (s.len < MD_SYSTEM_INFO_SIZE)
		return error_new(ERROR_INPUT, "the minidump does not say what system it is of");
	uint32_t platform = u32_at(s.data + 20);
	if (platform != MD_PLATFORM_LINUX && platform != MD_PLATFORM_ANDROID)
		return error_new(ERROR_UNSUPPORTED, "the minidump is of system 0x%x, not of Linux",
				 platform);
	r->format = context_format_by_processor(u16_at(s.data));
	if (!r->format)
		return error_new(ERROR_UNSUPPORTED, "the minidump is of processor type %u, not of "
				 "x86_64 or aarch64", u16_at(s.data));
	host->arch = context_arch(r->format);
	host->cpu_family = u16_at(s.data + 2);
	host->cpu_model_stepping = u16_at(s.data + 4);
	host->cpus = s.data[6];
	for (int i = 0; i < 3; i++)
		host->cpu_vendor[i] = u32_at(s.data + 32 + 4 * i);
	host->cpu_version = u32_at(s.data + 44);
	host->cpu_features = u32_at(s.data + 48);
	host->cpu_amd_features = u32_at(s.data + 52);
	struct error *err = string_at(r, u32_at(s.data + 24), &host->uname);
	if (err)
		return err;
	// "Linux 6.1.0-18-amd64 #1 SMP ...": the second word.
	const char *release = strncmp(host->uname, "Linux ", 6) ? "" : host->uname + 6;
	host->kernel = arena_strndup(&r->s->arena, release, strcspn(release, " "));
	return host->kernel ? NULL : error_nomem();
}

// The texts that every writer stores in the same way.
static struct error *read_texts(struct reader *r)
{
	struct process *process = &r->s->process;
	struct host *host = &r->s->host;
	struct error *err = bytes_of(r, MD_PROC_STATUS, &process->status);

	if (!err)
		err = bytes_of(r, MD_LIMITS, &process->limits);
	if (!err)
		err = bytes_of(r, MD_MAPS, &process->maps);
	if (!err)
		err = bytes_of(r, MD_AUXV, &process->auxv);
	if (!err)
		err = bytes_of(r, MD_CPU_INFO, &host->cpuinfo);
	if (!err)
		err = bytes_of(r, MD_LSB_RELEASE, &host->os_release);
	return err;
}

// Bytes of the file that stand for target memory. USED counts them: a list whose entries name more
// bytes than the file has repeats some, and joining its regions would take memory without end.
static struct error *add_memory(struct reader *r, taddr at, uint64_t rva, uint64_t len,
				uint64_t *used, bool *bad)
{
	const uint8_t *data = bytes_at(r, rva, len);

	if (!data || len > UINT64_MAX - at || len > r->len - *used) {
		*bad = true;
		return NULL;
	}
	*used += len;
	return snapshot_add_memory(r->s, at, data, (size_t)len);
}

static struct error *read_memory(struct reader *r)
{
	struct error *err = NULL;
	uint64_t used = 0;
	bool bad = false;
	size_t n;
	const uint8_t *list = list_of(r, MD_MEMORY_LIST, MD_MEMORY_SIZE, &n);

	for (size_t i = 0; i < n && !err; i++) {
		const uint8_t *p = list + i * MD_MEMORY_SIZE;
		err = add_memory(r, u64_at(p), u32_at(p + 12), u32_at(p + 8), &used, &bad);
	}
	// Readers use a thread's own stack where the list lacks it, which ours never does. Threads may
	// share one, so that their bytes add up to more than the file.
	bool shared = false;
	used = 0;
	list = list_of(r, MD_THREAD_LIST, MD_THREAD_SIZE, &n);
	for (size_t i = 0; i < n && !r->state && !err; i++) {
		const uint8_t *p = list + i * MD_THREAD_SIZE;
		err = add_memory(r, u64_at(p + 24), u32_at(p + 36), u32_at(p + 32), &used,
				 &shared);
	}
	struct stream s = stream_of(r, MD_MEMORY64_LIST);
	if (s.len >= 16) {
		uint64_t count = u64_at(s.data), rva = u64_at(s.data + 8);
		size_t fit = (s.len - 16) / 16;

		bad = bad || count > fit;
		used = 0;
		for (size_t i = 0; i < fit && i < count && !err; i++) {
			const uint8_t *p = s.data + 16 + i * 16;
			uint64_t len = u64_at(p + 8);

			err = add_memory(r, u64_at(p), rva, len, &used, &bad);
			if (len > r->len || rva > r->len)
				break;
			rva += len;
		}
	}
	if (!err && bad)
		err = missing(r, "memory", "some of the dump's memory is not in the file");
	return err ? err : snapshot_settle_memory(r->s);
}

static int thread_compare(const void *a, const void *b)
{
	const struct thread *x = a, *y = b;

	return x->tid < y->tid ? -1 : x->tid > y->tid;
}

// The order that the snapshot promises, whatever the file had: the first one stays first.
static struct error *sort_threads(struct reader *r)
{
	struct thread *v = r->s->threads.v;
	size_t n = r->s->threads.n;

	if (!n)
		return NULL;
	qsort(v + 1, n - 1, sizeof(*v), thread_compare);
	// A list must not shrink in place: its room is a function of its length.
	r->s->threads.v = NULL;
	r->s->threads.n = 0;
	for (size_t i = 0; i < n; i++) {
		if (i && (v[i].tid == v[0].tid || (i > 1 && v[i].tid == v[i - 1].tid)))
			continue;
		struct thread *to = LIST_ADD(&r->s->arena, &r->s->threads);
		if (!to)
			return error_nomem();
		*to = v[i];
	}
	return NULL;
}

static int module_compare(const void *a, const void *b)
{
	const struct module *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

// The main executable first, the others by address, none over another.
static struct error *sort_modules(struct reader *r)
{
	struct module *v = r->s->modules.v;
	size_t n = r->s->modules.n;
	taddr end = 0;

	if (!n)
		return NULL;
	qsort(v + 1, n - 1, sizeof(*v), module_compare);
	r->s->modules.v = NULL;
	r->s->modules.n = 0;
	for (size_t i = 0; i < n; i++) {
		if (v[i].start >= v[i].end || (i && v[i].start < end) ||
		    (i && v[i].start < v[0].end && v[i].end > v[0].start))
			continue;
		if (i)
			end = v[i].end;
		struct module *to = LIST_ADD(&r->s->arena, &r->s->modules);
		if (!to)
			return error_nomem();
		*to = v[i];
	}
	return NULL;
}

static struct thread *thread_by_tid(struct reader *r, pid_t tid)
{
	return (struct thread *)snapshot_thread(r->s, tid);
}

// Context and thread pointer of every ThreadList entry that is one of the state's threads.
static struct error *read_own_contexts(struct reader *r)
{
	size_t n;
	const uint8_t *list = list_of(r, MD_THREAD_LIST, MD_THREAD_SIZE, &n);

	for (size_t i = 0; i < n; i++) {
		const uint8_t *p = list + i * MD_THREAD_SIZE;
		struct thread *t = thread_by_tid(r, (pid_t)u32_at(p));
		uint32_t size = u32_at(p + 40);
		const uint8_t *context = bytes_at(r, u32_at(p + 44), size);
		struct regs regs;
		struct bytes fpregs;
		bool valid;

		if (!t || t->regs.arch || !context)
			continue;
		struct error *err = context_read(r->format, context, size, &r->s->arena, &regs,
						 &fpregs, &valid);
		if (err)
			return err;
		if (!valid)
			continue;
		regs.tls = t->regs.tls;
		t->regs = regs;
		t->fpregs = fpregs;
	}
	return NULL;
}

// Take what the writer put between a stack and its SP out again. Guards are in order of address,
// as the regions are.
static struct error *cut_guards(struct reader *r)
{
	const json_t *guards = json_object_get(r->state, "guards");
	size_t n = json_array_size(guards), next = 0;
	taddr guard = 0, guard_end = 0;
	regions kept = {};

	if (!n)
		return NULL;
	for (size_t i = 0; i < r->s->memory.n; i++) {
		const struct mem_range *m = &r->s->memory.v[i];
		taddr at = m->at, stop = m->at + m->len;

		while (at < stop) {
			while (next < n && guard_end <= at) {
				const json_t *pair = json_array_get(guards, next++);
				const char *text = json_string_value(json_array_get(pair, 0));
				json_int_t len = json_integer_value(json_array_get(pair, 1));

				guard = text ? strtoull(text, NULL, 16) : 0;
				guard_end = guard;
				if (len > 0 && (uint64_t)len <= UINT64_MAX - guard)
					guard_end += (uint64_t)len;
			}
			if (guard <= at && at < guard_end) {
				at = guard_end;
				continue;
			}
			taddr to = guard > at && guard < stop ? guard : stop;
			struct mem_range *k = LIST_ADD(&r->s->arena, &kept);
			if (!k)
				return error_nomem();
			*k = (struct mem_range){ .at = at,
						 .len = (size_t)(to - at),
						 .data = m->data + (at - m->at) };
			at = to;
		}
	}
	r->s->memory = kept;
	return NULL;
}

// The same for the lines that tell other readers about them.
static void cut_map_lines(struct reader *r)
{
	const json_t *lines = json_object_get(r->state, "added_map_lines");
	struct bytes *maps = &r->s->process.maps;
	size_t from = 0, to = 0;

	for (size_t i = 0; i < json_array_size(lines); i++) {
		const json_t *line = json_array_get(lines, i);
		json_int_t at = json_integer_value(json_array_get(line, 0));
		json_int_t len = json_integer_value(json_array_get(line, 1));

		if (at < (json_int_t)from || len < 0 || (uint64_t)at > maps->len ||
		    (uint64_t)len > maps->len - (uint64_t)at)
			break;
		memmove(maps->data + to, maps->data + from, (size_t)at - from);
		to += (size_t)at - from;
		from = (size_t)(at + len);
	}
	if (from == to)
		return;
	memmove(maps->data + to, maps->data + from, maps->len - from + 1);
	maps->len -= from - to;
}

static struct error *read_own(struct reader *r, size_t state_len)
{
	struct snapshot *s = r->s;
	// An object in JSON is never a 64th of what its values need here.
	struct error *err = state_decode(r->state, state_len * 64, s);

	if (err)
		return err;
	s->host.arch = context_arch(r->format);
	for (size_t i = 0; i < s->threads.n; i++)
		if (s->threads.v[i].stack_end < s->threads.v[i].stack_start)
			s->threads.v[i].stack_end = s->threads.v[i].stack_start;
	err = sort_threads(r);
	if (!err)
		err = sort_modules(r);
	if (err)
		return err;

	// The state has the modules, with their build ids, and the gaps that the text made.
	__typeof__(s->modules) modules = s->modules;
	gaps known = s->gaps;
	s->modules.v = NULL;
	s->modules.n = 0;
	cut_map_lines(r);
	err = snapshot_parse_maps(s);
	s->modules = modules;
	s->gaps = known;
	if (!err)
		err = read_own_contexts(r);
	struct stream regsets = stream_of(r, MINIDUMP_REGSETS_STREAM);
	if (!err)
		err = regsets_read(regsets.data, regsets.len, s);
	if (!err)
		err = read_memory(r);
	return err ? err : cut_guards(r);
}

// What follows "NAME:" and blanks on a line of /proc/PID/status; NULL when there is no such line.
static const char *status_field(const struct snapshot *s, const char *name)
{
	const char *p = s->process.status.len ? (const char *)s->process.status.data : "";
	size_t len = strlen(name);

	for (; p && *p; p = strchr(p, '\n'), p = p ? p + 1 : NULL)
		if (!strncmp(p, name, len) && p[len] == ':')
			return p + len + 1 + strspn(p + len + 1, " \t");
	return NULL;
}

static uint64_t status_number(const struct snapshot *s, const char *name, int base)
{
	const char *text = status_field(s, name);

	return text ? strtoull(text, NULL, base) : 0;
}

static struct error *foreign_process(struct reader *r)
{
	struct process *process = &r->s->process;
	struct stream misc = stream_of(r, MD_MISC_INFO);
	const char *name = status_field(r->s, "Name");
	struct error *err = strings_of(r, MD_CMD_LINE, &process->cmdline);

	if (!err)
		err = strings_of(r, MD_ENVIRON, &process->environ);
	if (!err && name)
		err = clean(r, name, strcspn(name, "\n"), &process->comm);
	if (err)
		return err;
	process->have_environ = process->environ.n != 0;
	process->pid = (pid_t)status_number(r->s, "Pid", 10);
	process->ppid = (pid_t)status_number(r->s, "PPid", 10);
	if (name) {
		process->uid = (uid_t)status_number(r->s, "Uid", 10);
		process->gid = (gid_t)status_number(r->s, "Gid", 10);
	}
	process->have_dispositions = status_field(r->s, "SigCgt") != NULL;
	process->ignored = status_number(r->s, "SigIgn", 16);
	process->caught = status_number(r->s, "SigCgt", 16);
	if (misc.len >= 24) {
		if (u32_at(misc.data + 4) & 1)
			process->pid = (pid_t)u32_at(misc.data + 8);
		if (u32_at(misc.data + 4) & 2)
			r->s->time.process_start =
				(int64_t)u32_at(misc.data + 12) * 1000000000;
	}
	return NULL;
}

// Registers of T from the context that LOCATION names, if it is one.
static struct error *foreign_context(struct reader *r, const uint8_t *location, struct thread *t)
{
	uint32_t size = u32_at(location);
	const uint8_t *context = bytes_at(r, u32_at(location + 4), size);
	struct regs regs;
	struct bytes fpregs;
	bool valid;

	if (!context)
		return NULL;
	struct error *err =
		context_read(r->format, context, size, &r->s->arena, &regs, &fpregs, &valid);
	if (err || !valid)
		return err;
	regs.tls = t->regs.tls;
	if (regs.arch->tls >= 0)
		regs.r[regs.arch->tls] = regs.tls;
	t->regs = regs;
	t->fpregs = fpregs;
	return NULL;
}

static struct error *foreign_threads(struct reader *r)
{
	static char no_name[1];
	struct stream exception = stream_of(r, MD_EXCEPTION);
	struct stream info = stream_of(r, MD_BREAKPAD_INFO);
	struct death *death = &r->s->death;
	struct error *err = NULL;
	size_t n;

	if (exception.len >= MD_EXCEPTION_SIZE)
		death->tid = (pid_t)u32_at(exception.data);
	else if (info.len >= 12 && u32_at(info.data) & 2)
		death->tid = (pid_t)u32_at(info.data + 8);
	const uint8_t *list = list_of(r, MD_THREAD_LIST, MD_THREAD_SIZE, &n);
	for (size_t i = 0; i < n && i < MAX_THREADS && !err; i++) {
		const uint8_t *p = list + i * MD_THREAD_SIZE;
		struct thread *t = LIST_ADD(&r->s->arena, &r->s->threads);

		if (!t)
			return error_nomem();
		*t = (struct thread){ .tid = (pid_t)u32_at(p),
				      .name = no_name,
				      .regs.tls = u64_at(p + 16) };
		uint64_t start = u64_at(p + 24), len = u32_at(p + 32);
		if (bytes_at(r, u32_at(p + 36), len) && len <= UINT64_MAX - start) {
			t->stack_start = start;
			t->stack_end = start + len;
		}
		err = foreign_context(r, p + 40, t);
		if (!err && exception.len >= MD_EXCEPTION_SIZE && t->tid == death->tid)
			err = foreign_context(r, exception.data + 160, t);
		if (t->tid == death->tid) {
			struct thread dying = *t;
			*t = r->s->threads.v[0];
			r->s->threads.v[0] = dying;
		}
	}
	if (!err)
		err = sort_threads(r);
	if (!err && n > MAX_THREADS)
		err = missing(r, "threads", "there are more than a process can have");
	if (!err && !r->s->threads.n)
		err = missing(r, "threads", "the dump has none");
	if (err)
		return err;

	list = list_of(r, MD_THREAD_NAMES, MD_NAME_SIZE, &n);
	for (size_t i = 0; i < n && !err; i++) {
		struct thread *t = thread_by_tid(r, (pid_t)u32_at(list + i * MD_NAME_SIZE));
		if (t)
			err = string_at(r, u64_at(list + i * MD_NAME_SIZE + 4), &t->name);
	}
	return err;
}

static struct error *foreign_death(struct reader *r)
{
	struct stream s = stream_of(r, MD_EXCEPTION);
	struct death *death = &r->s->death;

	death->kind = DEATH_SNAPSHOT;
	if (s.len < MD_EXCEPTION_SIZE)
		return NULL;
	uint32_t code = u32_at(s.data + 8);
	if (code == MD_DUMP_REQUESTED)
		return NULL;
	if (!signal_name((int)(code > 64 ? 0 : code)))
		return gaps_add(&r->s->arena, &r->s->gaps, "cause of death", NULL,
				"the dump's exception 0x%x is no signal", code);
	death->kind = DEATH_SIGNAL;
	death->signo = (int)code;
	death->info = (struct signal_info){ .signo = (int)code,
					    .code = (int)u32_at(s.data + 12),
					    .addr = u64_at(s.data + 24) };
	return NULL;
}

static struct error *foreign_mappings(struct reader *r)
{
	static const struct protection {
		uint32_t flags;
		const char *text;
	} protections[] = { { 1, "---p" }, { 2, "r--p" }, { 4, "rw-p" },
			    { 0x10, "--xp" }, { 0x20, "r-xp" }, { 0x40, "rwxp" } };
	static char no_name[1];
	struct stream s = stream_of(r, MD_MEMORY_INFO_LIST);

	if (r->s->process.maps.len)
		return snapshot_parse_maps(r->s);
	if (s.len < 16 || u32_at(s.data) < 16 || u32_at(s.data) > s.len ||
	    u32_at(s.data + 4) < MD_MEMORY_INFO_SIZE)
		return missing(r, "memory map", "the dump has none");
	size_t head = u32_at(s.data), size = u32_at(s.data + 4);
	uint64_t n = u64_at(s.data + 8);
	taddr end = 0;
	for (size_t i = 0; i < n && i < (s.len - head) / size; i++) {
		const uint8_t *p = s.data + head + i * size;
		uint64_t start = u64_at(p), len = u64_at(p + 24);

		if (u32_at(p + 32) != MD_MEM_COMMIT || start < end || !len ||
		    len > UINT64_MAX - start)
			continue;
		end = start + len;
		struct mapping *m = LIST_ADD(&r->s->arena, &r->s->mappings);
		if (!m)
			return error_nomem();
		*m = (struct mapping){ .start = start, .end = end, .name = no_name };
		strcpy(m->permissions, "---p");
		for (size_t j = 0; j < ARRAY_SIZE(protections); j++)
			if (protections[j].flags == (u32_at(p + 36) & 0xff))
				strcpy(m->permissions, protections[j].text);
	}
	return NULL;
}

// A CodeView record's build id; of an RSDS one the first 16 bytes, as a GUID.
static void build_id(const uint8_t *cv, size_t len, struct module *m)
{
	static const uint8_t order[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };

	if (len > 4 && u32_at(cv) == MD_CV_BUILD_ID) {
		m->build_id_len = len - 4 < BUILD_ID_MAX ? (unsigned)len - 4 : BUILD_ID_MAX;
		memcpy(m->build_id, cv + 4, m->build_id_len);
	} else if (len >= 24 && u32_at(cv) == MD_CV_PDB70) {
		m->build_id_len = 16;
		for (size_t i = 0; i < 16; i++)
			m->build_id[i] = cv[4 + order[i]];
	}
}

static struct error *foreign_modules(struct reader *r)
{
	size_t n;
	const uint8_t *list = list_of(r, MD_MODULE_LIST, MD_MODULE_SIZE, &n);

	// The dump's own list knows more than the maps: what is a module, and build ids.
	r->s->modules.v = NULL;
	r->s->modules.n = 0;
	for (size_t i = 0; i < n && i < MAX_MODULES; i++) {
		const uint8_t *p = list + i * MD_MODULE_SIZE;
		uint64_t start = u64_at(p);
		uint32_t size = u32_at(p + 8), cv_len = u32_at(p + 76);
		const uint8_t *cv = bytes_at(r, u32_at(p + 80), cv_len);

		if (!size || size > UINT64_MAX - start)
			continue;
		struct module *m = LIST_ADD(&r->s->arena, &r->s->modules);
		if (!m)
			return error_nomem();
		*m = (struct module){ .start = start, .end = start + size, .fd = -1 };
		struct error *err = string_at(r, u32_at(p + 20), &m->path);
		if (err)
			return err;
		if (cv)
			build_id(cv, cv_len, m);
		const struct mapping *mapping = snapshot_mapping_at(r->s, start);
		if (mapping) {
			m->inode = mapping->inode;
			m->dev_major = mapping->dev_major;
			m->dev_minor = mapping->dev_minor;
			m->deleted = mapping->deleted;
		}
		if (!strcmp(m->path, MD_VDSO_NAME)) {
			m->in_memory = true;
			m->path = arena_strdup(&r->s->arena, "[vdso]");
			if (!m->path)
				return error_nomem();
		}
	}
	struct error *err = sort_modules(r);
	if (err)
		return err;
	if (!r->s->modules.n)
		return missing(r, "modules", "the dump has none");
	r->s->process.exe = r->s->modules.v[0].path;
	return NULL;
}

// Crashpad's report id; the nil UUID when there is none.
static void foreign_id(struct reader *r)
{
	struct stream s = stream_of(r, MD_CRASHPAD_INFO);
	uint8_t nil[20] = {};
	const uint8_t *p = s.len >= 20 && u32_at(s.data) == 1 ? s.data + 4 : nil;

	snprintf(r->s->id, sizeof(r->s->id),
		 "%08x-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x", u32_at(p), u16_at(p + 4),
		 u16_at(p + 6), p[8], p[9], p[10], p[11], p[12], p[13], p[14], p[15]);
}

static struct error *read_foreign(struct reader *r)
{
	foreign_id(r);
	struct error *err = missing(r, "what only pcatch records",
				    "the dump was written by another program: descriptors, logs, "
				    "children and who sent the signal are not in it");
	if (!err)
		err = foreign_process(r);
	if (!err)
		err = foreign_threads(r);
	if (!err)
		err = foreign_death(r);
	if (!err)
		err = foreign_mappings(r);
	if (!err)
		err = foreign_modules(r);
	return err ? err : read_memory(r);
}

static struct error *read_file(struct reader *r)
{
	struct error *err = read_header(r);
	if (!err)
		err = read_system(r);
	if (!err)
		err = read_texts(r);
	if (err)
		return err;

	struct stream s = stream_of(r, MINIDUMP_STATE_STREAM);
	json_error_t why;
	if (s.len)
		r->state = json_loadb((const char *)s.data, s.len, 0, &why);
	if (s.len && !json_is_object(r->state)) {
		err = gaps_add(&r->s->arena, &r->s->gaps, "state in the dump", NULL,
			       "it is damaged at byte %d", r->state ? 0 : why.position);
		json_decref(r->state);
		r->state = NULL;
	}
	if (!err)
		err = r->state ? read_own(r, s.len) : read_foreign(r);
	json_decref(r->state);
	return err;
}

struct error *minidump_read(const void *data, size_t len, struct snapshot *ret)
{
	struct snapshot s;

	snapshot_init(&s);
	struct reader r = { .len = len, .s = &s, .string_budget = len };
	// Memory regions stay in the file's own bytes; what joins of them is copied once more.
	r.data = arena_memdup(&s.arena, data, len);
	struct error *err = r.data ? read_file(&r) : error_nomem();
	if (err) {
		snapshot_deinit(&s);
		return err;
	}
	*ret = s;
	return NULL;
}
