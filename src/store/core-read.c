/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <elf.h>
#include <endian.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "../cleanup.h"
#include "../target/redact.h"
#include "core.h"
#include "format.h"
#include "little.h"
#include "minidump.h"
#include "state.h"

// More than any kernel lets a process have; they keep the work on nonsense in bounds.
#define MAX_SEGMENTS ((uint64_t)1 << 20)
#define MAX_NOTES    ((uint64_t)1 << 20)
#define MAX_FILES    ((uint64_t)1 << 18)
#define MAX_PARTS    64 // segments of one file
#define MAX_THREADS  65536
#define MAX_WORDS    65536 // of an argument or environment vector
#define AUXV_HEAD    64 // enough of the auxiliary vector to find it by
#define MAX_TEXT     ((size_t)4 << 20) // of arguments and environment

// struct elf_prstatus and elf_prpsinfo, <sys/procfs.h>.
enum {
	PRSTATUS_CURSIG = 12,
	PRSTATUS_PENDING = 16,
	PRSTATUS_BLOCKED = 24,
	PRSTATUS_TID = 32,
	PRSTATUS_REGS = 112,
	PRPSINFO_UID = 16,
	PRPSINFO_IDS = 24, // pid, ppid, pgrp, sid
	PRPSINFO_NAME = 40,
	PRPSINFO_ARGS = 56,
	PRPSINFO_SIZE = 136,
	SIGINFO_SIZE = 128,
};

struct note {
	const char *name; // not the end of a string
	size_t name_len;
	uint32_t type;
	const uint8_t *desc;
	size_t len;
};

struct reader {
	const uint8_t *data; // the file; memory regions point into it
	uint64_t len;
	struct snapshot *s;
	const struct arch *arch;
	uint64_t phoff, n_phdrs;
	struct note files;	   // NT_FILE
	struct bytes state;	   // our own; empty when the core is another's
	struct thread *last;	   // the thread that vector registers are of
	bool has_psinfo, has_info;
	int signo;		   // of the first NT_PRSTATUS
	pid_t first;
	uint64_t budget; // bytes of the file that notes may still be copied of: they may overlap
	uint64_t missing;	   // bytes of memory that are not in the file
	uint64_t total;
};

static struct error *clean(struct reader *r, const void *data, size_t len, char **ret)
{
	_cleanup_(buf_deinit) struct buf text = {};

	buf_clean(&text, data, len, "");
	char *copy = text.failed ? NULL
				 : arena_strndup(&r->s->arena, (const char *)text.data, text.len);
	if (!copy)
		return error_nomem();
	*ret = copy;
	return NULL;
}

static struct error *copy_bytes(struct reader *r, const struct note *note, struct bytes *ret)
{
	if (note->len > r->budget)
		return NULL;
	r->budget -= note->len;
	uint8_t *copy = (uint8_t *)arena_strndup(&r->s->arena, (const char *)note->desc, note->len);
	if (!copy)
		return error_nomem();
	*ret = (struct bytes){ .data = copy, .len = note->len };
	return NULL;
}

static const struct arch *arch_by_machine(uint16_t machine)
{
	for (int id = ARCH_X86_64; id <= ARCH_AARCH64; id++)
		if (arch_by_id((enum arch_id)id)->elf_machine == machine)
			return arch_by_id((enum arch_id)id);
	return NULL;
}

static struct error *read_header(struct reader *r)
{
	Elf64_Ehdr eh;
	Elf64_Shdr first;

	if (!core_is(r->data, r->len))
		return error_new(ERROR_INPUT, "no ELF core file");
	memcpy(&eh, r->data, sizeof(eh));
	if (eh.e_ident[EI_CLASS] != ELFCLASS64 || eh.e_ident[EI_DATA] != ELFDATA2LSB)
		return error_new(ERROR_UNSUPPORTED, "not a 64-bit little-endian core file");
	r->arch = arch_by_machine(le16toh(eh.e_machine));
	if (!r->arch)
		return error_new(ERROR_UNSUPPORTED, "the core is of machine type %u, not of x86_64 "
				 "or aarch64", le16toh(eh.e_machine));
	r->s->host.arch = r->arch;
	r->phoff = le64toh(eh.e_phoff);
	r->n_phdrs = le16toh(eh.e_phnum);
	uint64_t shoff = le64toh(eh.e_shoff);
	// gABI: counts that do not fit stand in the first section header.
	if (r->n_phdrs == PN_XNUM && shoff <= r->len && r->len - shoff >= sizeof(first)) {
		memcpy(&first, r->data + shoff, sizeof(first));
		r->n_phdrs = le32toh(first.sh_info);
	}
	if (!r->n_phdrs || r->n_phdrs > MAX_SEGMENTS ||
	    le16toh(eh.e_phentsize) != sizeof(Elf64_Phdr) || r->phoff > r->len ||
	    (r->len - r->phoff) / sizeof(Elf64_Phdr) < r->n_phdrs)
		return error_new(ERROR_INPUT, "its %llu program headers at 0x%llx are not in the "
				 "file of 0x%llx bytes", (unsigned long long)r->n_phdrs,
				 (unsigned long long)r->phoff, (unsigned long long)r->len);
	return NULL;
}

static Elf64_Phdr phdr_at(const struct reader *r, uint64_t i)
{
	Elf64_Phdr raw;

	memcpy(&raw, r->data + r->phoff + i * sizeof(raw), sizeof(raw));
	return (Elf64_Phdr){ .p_type = le32toh(raw.p_type),
			     .p_flags = le32toh(raw.p_flags),
			     .p_offset = le64toh(raw.p_offset),
			     .p_vaddr = le64toh(raw.p_vaddr),
			     .p_filesz = le64toh(raw.p_filesz),
			     .p_memsz = le64toh(raw.p_memsz) };
}

// In a core of ours the state lists the threads, before their registers come.
static struct thread *thread_for(struct reader *r, pid_t tid)
{
	static char no_name[1];

	if (r->state.len)
		return (struct thread *)snapshot_thread(r->s, tid);
	struct thread *thread = r->s->threads.n < MAX_THREADS
					? LIST_ADD(&r->s->arena, &r->s->threads) : NULL;
	if (thread)
		*thread = (struct thread){ .tid = tid, .name = no_name };
	return thread;
}

static struct error *read_prstatus(struct reader *r, const struct note *note)
{
	r->last = NULL;
	if (note->len < PRSTATUS_REGS + r->arch->n_regs * 8)
		return NULL;
	pid_t tid = (pid_t)u32_at(note->desc + PRSTATUS_TID);
	if (!r->first) {
		r->first = tid;
		r->signo = u16_at(note->desc + PRSTATUS_CURSIG);
	}
	struct thread *thread = thread_for(r, tid);
	if (!thread)
		return NULL;
	r->last = thread;
	thread->regs.arch = r->arch;
	for (unsigned i = 0; i < r->arch->n_regs; i++)
		thread->regs.r[i] = u64_at(note->desc + PRSTATUS_REGS + 8 * i);
	if (r->arch->tls >= 0)
		thread->regs.tls = thread->regs.r[r->arch->tls];
	if (!r->state.len) {
		thread->pending = u64_at(note->desc + PRSTATUS_PENDING);
		thread->blocked = u64_at(note->desc + PRSTATUS_BLOCKED);
		thread->have_masks = true;
	}
	return NULL;
}

static struct error *read_prpsinfo(struct reader *r, const struct note *note)
{
	struct process *p = &r->s->process;
	const uint8_t *d = note->desc;

	if (note->len < PRPSINFO_SIZE || r->has_psinfo || r->state.len)
		return NULL;
	r->has_psinfo = true;
	p->uid = u32_at(d + PRPSINFO_UID);
	p->gid = u32_at(d + PRPSINFO_UID + 4);
	p->pid = (pid_t)u32_at(d + PRPSINFO_IDS);
	p->ppid = (pid_t)u32_at(d + PRPSINFO_IDS + 4);
	p->pgid = (pid_t)u32_at(d + PRPSINFO_IDS + 8);
	p->sid = (pid_t)u32_at(d + PRPSINFO_IDS + 12);
	const char *name = (const char *)d + PRPSINFO_NAME, *args = (const char *)d + PRPSINFO_ARGS;
	struct error *err = clean(r, name, strnlen(name, PRPSINFO_ARGS - PRPSINFO_NAME), &p->comm);
	// One line, cut short; the stack may have the words.
	char **line = err ? NULL : LIST_ADD(&r->s->arena, &p->cmdline);
	if (!err && !line)
		err = error_nomem();
	return err ? err : clean(r, args, strnlen(args, PRPSINFO_SIZE - PRPSINFO_ARGS), line);
}

static void read_siginfo(struct reader *r, const struct note *note)
{
	const uint8_t *d = note->desc, *of = d + 16;

	if (note->len < SIGINFO_SIZE || r->has_info || r->state.len)
		return;
	r->has_info = true;
	struct signal_info info = { .signo = (int)u32_at(d), .code = (int)u32_at(d + 8) };
	if (signal_is_fault(info.signo) && info.code > 0) {
		info.addr = u64_at(of);
		if (info.signo == SIGSYS)
			info.syscall = (int)u32_at(of + 8);
	} else if (info.code == SI_TIMER) {
		info.timer_id = (int)u32_at(of);
		info.value = u64_at(of + 8);
	} else if (info.code <= 0 || info.signo == SIGCHLD) {
		info.pid = (pid_t)u32_at(of);
		info.uid = u32_at(of + 4);
		if (info.signo == SIGCHLD)
			info.child_status = (int)u32_at(of + 8);
		else
			info.value = u64_at(of + 8);
	}
	r->s->death.info = info;
}

// What only a note of ours has. The state comes first of them, but behind the threads' registers.
static struct error *read_own(struct reader *r, const struct note *note)
{
	struct process *p = &r->s->process;
	struct host *host = &r->s->host;

	switch (note->type) {
	case MINIDUMP_STATE_STREAM:
		return copy_bytes(r, note, &r->state);
	case MD_PROC_STATUS:
		return copy_bytes(r, note, &p->status);
	case MD_LIMITS:
		return copy_bytes(r, note, &p->limits);
	case MD_MAPS:
		return copy_bytes(r, note, &p->maps);
	case MD_CPU_INFO:
		return copy_bytes(r, note, &host->cpuinfo);
	case MD_LSB_RELEASE:
		return copy_bytes(r, note, &host->os_release);
	default:
		return NULL;
	}
}

static struct error *read_note(struct reader *r, const struct note *note)
{
	switch (note->type) {
	case NT_PRSTATUS:
		return read_prstatus(r, note);
	case NT_PRPSINFO:
		return read_prpsinfo(r, note);
	case NT_SIGINFO:
		read_siginfo(r, note);
		return NULL;
	case NT_AUXV:
		return copy_bytes(r, note, &r->s->process.auxv);
	case NT_FILE:
		r->files = *note;
		return NULL;
	case NT_FPREGSET:
		return r->last ? copy_bytes(r, note, &r->last->fpregs) : NULL;
	case NT_X86_XSTATE:
		return r->last && r->arch->id == ARCH_X86_64 ? copy_bytes(r, note, &r->last->xstate)
							     : NULL;
	case NT_ARM_TLS:
		if (r->last && r->arch->tls < 0 && note->len >= 8)
			r->last->regs.tls = u64_at(note->desc);
		return NULL;
	default:
		return NULL;
	}
}

// Every note of every PT_NOTE, as far as they are in the file.
static struct error *for_notes(struct reader *r, bool own,
			       struct error *(*take)(struct reader *, const struct note *))
{
	struct error *err = NULL;
	uint64_t left = MAX_NOTES;

	for (uint64_t i = 0; i < r->n_phdrs && !err; i++) {
		Elf64_Phdr ph = phdr_at(r, i);

		if (ph.p_type != PT_NOTE || ph.p_offset > r->len)
			continue;
		const uint8_t *p = r->data + ph.p_offset;
		uint64_t len = ph.p_filesz < r->len - ph.p_offset ? ph.p_filesz
								   : r->len - ph.p_offset;
		while (len >= sizeof(Elf64_Nhdr) && !err && left--) {
			uint64_t name_len = u32_at(p), desc_len = u32_at(p + 4);
			uint64_t desc = sizeof(Elf64_Nhdr) + ((name_len + 3) & ~(uint64_t)3);
			uint64_t next = desc + ((desc_len + 3) & ~(uint64_t)3);

			if (desc > len || desc_len > len - desc)
				break;
			struct note note = { .name = (const char *)p + sizeof(Elf64_Nhdr),
					     .name_len = name_len,
					     .type = u32_at(p + 8),
					     .desc = p + desc,
					     .len = desc_len };
			bool ours = name_len == sizeof(CORE_NOTE_NAME) &&
				    !memcmp(note.name, CORE_NOTE_NAME, sizeof(CORE_NOTE_NAME));
			if (ours == own)
				err = take(r, &note);
			next = next < len ? next : len;
			p += next;
			len -= next;
		}
	}
	return err;
}

static struct error *read_state(struct reader *r)
{
	json_error_t why;

	if (!r->state.len)
		return NULL;
	json_t *root = json_loadb((const char *)r->state.data, r->state.len, 0, &why);
	struct error *err = NULL;
	if (json_is_object(root)) {
		// An object in JSON is never a 64th of what its values need here.
		err = state_decode(root, r->state.len * 64, r->s);
		r->s->host.arch = r->arch;
	} else {
		r->state = (struct bytes){};
		err = gaps_add(&r->s->arena, &r->s->gaps, "state in the core", NULL,
			       "it is damaged at byte %d", root ? 0 : why.position);
	}
	json_decref(root);
	return err;
}

// The file's name for what is mapped at AT, from NT_FILE; false when no file is.
struct file_entry {
	taddr start, end;
	uint64_t offset;
	const char *name;
	size_t name_len;
};

static struct error *read_files(struct reader *r, struct arena *arena, struct file_entry **ret,
				size_t *n_ret)
{
	const uint8_t *d = r->files.desc;
	uint64_t n = r->files.len >= 16 ? u64_at(d) : 0;

	*n_ret = 0;
	*ret = NULL;
	if (!n || n > MAX_FILES || (r->files.len - 16) / 24 < n)
		return NULL;
	struct file_entry *v = arena_alloc(arena, n * sizeof(*v));
	if (!v)
		return error_nomem();
	uint64_t page = u64_at(d + 8);
	const char *name = (const char *)d + 16 + n * 24;
	const char *end = (const char *)d + r->files.len;
	size_t got = 0;
	for (uint64_t i = 0; i < n && name < end; i++) {
		const uint8_t *p = d + 16 + i * 24;
		size_t len = strnlen(name, (size_t)(end - name));

		// Sorted, as the kernel has them; what is not cannot be looked up.
		if (u64_at(p) < u64_at(p + 8) && (!got || u64_at(p) >= v[got - 1].end))
			v[got++] = (struct file_entry){ .start = u64_at(p),
							.end = u64_at(p + 8),
							.offset = u64_at(p + 16) * page,
							.name = name,
							.name_len = len };
		name += len < (size_t)(end - name) ? len + 1 : len;
	}
	*ret = v;
	*n_ret = got;
	return NULL;
}

static struct error *add_mapping(struct reader *r, taddr start, taddr end, uint32_t flags,
				 const struct file_entry *file)
{
	const struct bytes *auxv = &r->s->process.auxv;
	taddr vdso = auxv_value(auxv, AT_SYSINFO_EHDR), stack = auxv_value(auxv, AT_RANDOM);
	struct mapping m = { .start = start, .end = end };
	struct mapping *to = LIST_ADD(&r->s->arena, &r->s->mappings);
	const char *name = "";

	if (!to)
		return error_nomem();
	snprintf(m.permissions, sizeof(m.permissions), "%c%c%cp", flags & PF_R ? 'r' : '-',
		 flags & PF_W ? 'w' : '-', flags & PF_X ? 'x' : '-');
	if (file)
		m.offset = file->offset + (start - file->start);
	else if (vdso == start)
		name = "[vdso]";
	else if (stack >= start && stack < end)
		name = "[stack]";
	struct error *err = mapping_set_name(&r->s->arena, file ? file->name : name,
					     file ? file->name_len : strlen(name), &m);
	*to = m;
	return err;
}

// How FILE is mapped where no segment says it, as gdb's cores have it: as the program headers of
// its first page want it, which is in the core; FIRST is that page's entry. Without them as code,
// since that is what is mostly left out.
static uint32_t file_flags(const struct reader *r, const struct file_entry *first,
			   const struct file_entry *file)
{
	struct mem_bytes mem;
	Elf64_Ehdr eh;
	Elf64_Phdr ph;

	snapshot_mem(r->s, &mem);
	if (first->offset || error_drop(mem_read(&mem.mem, first->start, &eh, sizeof(eh))) ||
	    memcmp(eh.e_ident, ELFMAG, SELFMAG))
		return PF_R | PF_X;
	for (unsigned i = 0; i < le16toh(eh.e_phnum) && i < MAX_PARTS; i++) {
		taddr at = first->start + le64toh(eh.e_phoff) + i * sizeof(ph);

		if (error_drop(mem_read(&mem.mem, at, &ph, sizeof(ph))))
			break;
		uint64_t offset = le64toh(ph.p_offset) & ~(TARGET_PAGE - 1);
		if (le32toh(ph.p_type) == PT_LOAD && file->offset >= offset &&
		    file->offset - offset < le64toh(ph.p_filesz))
			return le32toh(ph.p_flags) & ~(uint32_t)PF_W;
	}
	return PF_R | PF_X;
}

// Files up to END of which no segment speaks. They may be read.
static struct error *add_files(struct reader *r, const struct file_entry *files, size_t n,
			       size_t *next, taddr done, taddr end)
{
	struct error *err = NULL;

	for (; *next < n && files[*next].end <= end && !err; ++*next) {
		const struct file_entry *file = &files[*next], *first = file;

		if (file->end <= done)
			continue;
		while (first > files && file - first < MAX_PARTS && first->offset &&
		       first[-1].name_len == file->name_len &&
		       !memcmp(first[-1].name, file->name, file->name_len))
			first--;
		err = add_mapping(r, file->start < done ? done : file->start, file->end,
				  file_flags(r, first, file), file);
	}
	return err;
}

struct area {
	taddr start, end;
	uint32_t flags;
};

static int compare_areas(const void *a, const void *b)
{
	const struct area *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->end < y->end ? -1 : x->end > y->end;
}

// What was mapped: the segments, each cut where a file's mapping begins or ends, and mappings of
// files for which there is no segment.
static struct error *make_mappings(struct reader *r)
{
	_cleanup_(arena_deinit) struct arena arena = {};
	struct file_entry *files;
	LIST(struct area) areas = {};
	size_t n_files, f = 0;
	struct error *err = read_files(r, &arena, &files, &n_files);

	for (uint64_t i = 0; i < r->n_phdrs && !err; i++) {
		Elf64_Phdr ph = phdr_at(r, i);

		if (ph.p_type != PT_LOAD || !ph.p_memsz || ph.p_memsz > UINT64_MAX - ph.p_vaddr)
			continue;
		struct area *area = LIST_ADD(&arena, &areas);
		if (!area)
			return error_nomem();
		*area = (struct area){ ph.p_vaddr, ph.p_vaddr + ph.p_memsz, ph.p_flags };
	}
	if (areas.n)
		qsort(areas.v, areas.n, sizeof(*areas.v), compare_areas);
	taddr done = 0;
	for (size_t i = 0; i < areas.n && !err; i++) {
		taddr at = areas.v[i].start < done ? done : areas.v[i].start;

		while (at < areas.v[i].end && !err) {
			err = add_files(r, files, n_files, &f, done, at);
			const struct file_entry *file = f < n_files ? &files[f] : NULL;
			bool inside = file && file->start <= at;
			taddr end = areas.v[i].end;
			if (file && !inside && file->start < end)
				end = file->start;
			if (inside && file->end < end)
				end = file->end;
			if (!err)
				err = add_mapping(r, at, end, areas.v[i].flags,
						  inside ? file : NULL);
			done = at = end;
		}
	}
	if (!err)
		err = add_files(r, files, n_files, &f, done, UINT64_MAX);
	if (!err && !n_files)
		err = gaps_add(&r->s->arena, &r->s->gaps, "modules", NULL,
			       "the core does not say which files were mapped (it has no NT_FILE)");
	return err;
}

static int compare_ranges(const void *a, const void *b)
{
	const struct mem_range *x = a, *y = b;

	return x->at < y->at ? -1 : x->at > y->at;
}

// Memory is not joined: it lies in the file, which may be larger than our own memory.
static struct error *read_memory(struct reader *r)
{
	regions *memory = &r->s->memory;
	_cleanup_(arena_deinit) struct arena arena = {};
	regions all = {};

	for (uint64_t i = 0; i < r->n_phdrs; i++) {
		Elf64_Phdr ph = phdr_at(r, i);

		if (ph.p_type != PT_LOAD || !ph.p_filesz || ph.p_filesz > UINT64_MAX - ph.p_vaddr)
			continue;
		uint64_t there = ph.p_offset < r->len ? r->len - ph.p_offset : 0;
		if (there > ph.p_filesz)
			there = ph.p_filesz;
		r->total += ph.p_filesz;
		r->missing += ph.p_filesz - there;
		struct mem_range *range = there ? LIST_ADD(&arena, &all) : NULL;
		if (!range && there)
			return error_nomem();
		if (range)
			*range = (struct mem_range){ .at = ph.p_vaddr,
						     .len = (size_t)there,
						     .data = r->data + ph.p_offset };
	}
	if (all.n)
		qsort(all.v, all.n, sizeof(*all.v), compare_ranges);
	taddr end = 0;
	for (size_t i = 0; i < all.n; i++) {
		struct mem_range range = all.v[i];

		if (range.at + range.len <= end)
			continue;
		if (range.at < end) {
			range.len -= (size_t)(end - range.at);
			range.data += end - range.at;
			range.at = end;
		}
		end = range.at + range.len;
		struct mem_range *to = LIST_ADD(&r->s->arena, memory);
		if (!to)
			return error_nomem();
		*to = range;
	}
	if (!r->missing)
		return NULL;
	return gaps_add(&r->s->arena, &r->s->gaps, "memory",
			"raise the limit that cut it: ulimit -c, or systemd-coredump's "
			"ProcessSizeMax and ExternalSizeMax",
			"the core file is cut short: of 0x%llx bytes of memory, 0x%llx are missing",
			(unsigned long long)r->total, (unsigned long long)r->missing);
}

// The region that has the byte at AT, NULL when there is none.
static const struct mem_range *region_at(const struct snapshot *s, taddr at)
{
	size_t lo = 0, hi = s->memory.n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct mem_range *m = &s->memory.v[mid];

		if (at < m->at)
			hi = mid;
		else if (at - m->at >= m->len)
			lo = mid + 1;
		else
			return m;
	}
	return NULL;
}

// The strings of the vector that ends with the null at AT. AT moves to what stands below it: the
// null of the next vector, or the COUNTED number of words.
static struct error *read_vector(struct reader *r, const struct mem *mem, taddr *at, bool counted,
				 strings *ret)
{
	size_t left = MAX_TEXT;
	_cleanup_(freep) uint64_t *words = calloc(MAX_WORDS, sizeof(*words));
	uint64_t word = 0;
	size_t n = 0;

	*ret = (strings){};
	if (!words)
		return error_nomem();
	for (taddr p = *at - 8; n < MAX_WORDS; p -= 8, n++) {
		if (p > *at || error_drop(mem_u64(mem, p, &word)))
			return NULL;
		if (counted ? word == n : !word) {
			*at = p;
			break;
		}
		words[n] = word;
	}
	for (size_t i = n == MAX_WORDS ? 0 : n; i-- > 0;) {
		char *text;
		struct error *err = mem_string(mem, words[i], left, &r->s->arena, &text, NULL);

		if (err && err->kind == ERROR_FAULT) {
			error_free(err);
			break;
		}
		left -= err ? 0 : strlen(text);
		char **to = err ? NULL : LIST_ADD(&r->s->arena, ret);
		err = err ? err : to ? clean(r, text, strlen(text), to) : error_nomem();
		if (err)
			return err;
	}
	return NULL;
}

// The stack as the program was started with: arguments, environment, and the auxiliary vector,
// which stands in the core a second time and so is found.
static struct error *read_arguments(struct reader *r)
{
	struct process *p = &r->s->process;
	taddr random = auxv_value(&p->auxv, AT_RANDOM), found = 0;
	strings environment, args;
	struct mem_bytes mem;
	struct error *err = NULL;

	snapshot_mem(r->s, &mem);
	const struct mem_range *m = region_at(r->s, random);
	if (m && p->auxv.len >= AUXV_HEAD) {
		size_t len = (size_t)(random - m->at), most = MAX_TEXT;
		const uint8_t *from = m->data + (len > most ? len - most : 0);
		const uint8_t *hit = memmem(from, (size_t)(m->data + len - from), p->auxv.data,
					    AUXV_HEAD);
		found = hit ? m->at + (taddr)(hit - m->data) : 0;
	}
	if (!found)
		return NULL;
	taddr at = found - 8;
	err = read_vector(r, &mem.mem, &at, false, &environment);
	if (!err && at != found - 8)
		err = read_vector(r, &mem.mem, &at, true, &args);
	else
		args = (strings){};
	for (size_t i = 0; !err && i < environment.n; i++)
		err = redact_assignment(&r->s->arena, environment.v[i], &environment.v[i]);
	if (err)
		return err;
	if (environment.n) {
		p->environ = environment;
		p->have_environ = p->environ_redacted = true;
	}
	if (args.n)
		p->cmdline = args;
	return NULL;
}

static void find_stacks(struct snapshot *s)
{
	for (size_t i = 0; i < s->threads.n; i++) {
		struct thread *thread = &s->threads.v[i];
		taddr sp = regs_sp(&thread->regs), red = thread->regs.arch->red_zone;
		const struct mapping *m = snapshot_mapping_at(s, sp);
		const struct mem_range *region = region_at(s, sp);

		if (!m || !region)
			continue;
		taddr end = region->at + region->len;
		thread->stack_start = sp - region->at < red ? region->at : sp - red;
		thread->stack_end = end < m->end ? end : m->end;
	}
}

// Who raised the signal, as far as numbers tell.
static void judge_death(struct reader *r)
{
	struct death *death = &r->s->death;
	int signo = death->info.signo ? death->info.signo : r->signo;
	pid_t pid = r->s->process.pid;

	// A debugger's core of a process that lives has no signal, or the one it stopped it by.
	death->kind = signo && signal_default_kills(signo) ? DEATH_SIGNAL : DEATH_SNAPSHOT;
	if (death->kind == DEATH_SNAPSHOT) {
		death->info = (struct signal_info){};
		return;
	}
	death->signo = signo;
	death->tid = r->first;
	struct sender *sender = &death->sender;
	sender->process.uid = (uid_t)-1;
	if (!r->has_info)
		return;
	sender->source = SOURCE_SIGINFO;
	if (death->info.code == SI_TIMER || (death->info.code <= 0 && death->info.pid == pid)) {
		sender->kind = SENDER_SELF;
		sender->relation = RELATION_SELF;
		sender->process.pid = pid;
		sender->process.uid = death->info.uid;
	} else if (death->info.code > 0 || death->info.code == SI_ASYNCIO ||
		   death->info.code == SI_SIGIO) {
		sender->kind = SENDER_KERNEL;
	} else if (!death->info.pid) {
		sender->kind = SENDER_OUTSIDE;
	} else {
		sender->kind = SENDER_PROCESS;
		sender->process.pid = death->info.pid;
		sender->process.uid = death->info.uid;
		sender->gone = true;
		sender->relation = death->info.pid == r->s->process.ppid ? RELATION_PARENT
									  : RELATION_UNKNOWN;
	}
}

static int compare_threads(const void *a, const void *b)
{
	const struct thread *x = a, *y = b;

	return x->tid < y->tid ? -1 : x->tid > y->tid;
}

static struct error *finish_foreign(struct reader *r)
{
	struct snapshot *s = r->s;
	struct error *err = make_mappings(r);

	if (!err)
		err = snapshot_find_modules(s);
	if (err)
		return err;
	if (s->threads.n > 1)
		qsort(s->threads.v + 1, s->threads.n - 1, sizeof(*s->threads.v), compare_threads);
	strcpy(s->id, "00000000-0000-0000-0000-000000000000");
	judge_death(r);
	find_stacks(s);
	err = read_arguments(r);
	if (!err && s->process.cmdline.n)
		err = redact_arguments(&s->arena, s->process.cmdline.v, s->process.cmdline.n);
	for (size_t i = 0; !err && i < s->modules.n && !s->process.exe; i++)
		if (!s->modules.v[i].in_memory)
			s->process.exe = s->modules.v[i].path;
	if (!err && !s->threads.n)
		err = gaps_add(&s->arena, &s->gaps, "threads", NULL, "the core has none");
	if (!err && !r->has_psinfo)
		err = gaps_add(&s->arena, &s->gaps, "process", NULL,
			       "the core does not say whose it is (it has no NT_PRPSINFO)");
	if (!err && !s->process.auxv.len)
		err = gaps_add(&s->arena, &s->gaps, "auxiliary vector", NULL, "the core has none");
	if (err)
		return err;
	return gaps_add(&s->arena, &s->gaps, "what only pcatch records",
			"let pcatch watch the process before it happens",
			"a core file does not hold descriptors, logs, limits, names of threads, "
			"times, or who sent a signal");
}

static struct error *finish_own(struct reader *r)
{
	struct snapshot *s = r->s;
	// The state has the modules, with their build ids, and the gaps that the text made.
	__typeof__(s->modules) modules = s->modules;
	gaps known = s->gaps;

	s->modules.v = NULL;
	s->modules.n = 0;
	struct error *err = snapshot_parse_maps(s);
	s->modules = modules;
	s->gaps = known;
	return err;
}

static struct error *read_file(struct reader *r)
{
	struct error *err = read_header(r);

	// The state lists threads whose registers stand before it.
	if (!err)
		err = for_notes(r, true, read_own);
	if (!err)
		err = read_state(r);
	if (!err)
		err = for_notes(r, false, read_note);
	if (!err)
		err = r->state.len ? finish_own(r) : NULL;
	if (!err)
		err = read_memory(r);
	return err || r->state.len ? err : finish_foreign(r);
}

struct error *core_read(const void *data, size_t len, struct snapshot *ret)
{
	struct snapshot s;

	snapshot_init(&s);
	struct reader r = { .data = data, .len = len, .s = &s, .budget = len };
	struct error *err = read_file(&r);
	if (err) {
		snapshot_deinit(&s);
		return err;
	}
	*ret = s;
	return NULL;
}
