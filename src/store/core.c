/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core.h"

#include <elf.h>
#include <endian.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "../cleanup.h"
#include "format.h"
#include "minidump.h"
#include "state.h"

#define PAGE ((uint64_t)4096)

// struct elf_prstatus and elf_prpsinfo, <sys/procfs.h>; alike on both architectures but for the
// registers.
enum {
	PRSTATUS_REGS = 112,
	PRPSINFO_SIZE = 136,
	PRPSINFO_NAME = 16,
	PRPSINFO_ARGS = 80,
	SIGINFO_SIZE = 128,
};

static void pad_to(struct buf *out, size_t start, size_t len)
{
	if (out->len - start < len)
		buf_zero(out, len - (out->len - start));
}

// A text in SIZE bytes, the last of them a NUL.
static void add_text(struct buf *out, const char *text, size_t size)
{
	size_t len = strnlen(text, size - 1);

	buf_add(out, text, len);
	buf_zero(out, size - len);
}

static void add_note(struct buf *out, const char *name, uint32_t type, const void *data, size_t len)
{
	size_t name_len = strlen(name) + 1;

	buf_u32(out, (uint32_t)name_len);
	buf_u32(out, (uint32_t)len);
	buf_u32(out, type);
	buf_add(out, name, name_len);
	buf_align(out, 4);
	buf_add(out, data, len);
	buf_align(out, 4);
}

// A note that was put together in DESC, which is emptied.
static void add_built(struct buf *out, uint32_t type, struct buf *desc)
{
	add_note(out, "CORE", type, desc->data, desc->len);
	out->failed |= desc->failed;
	buf_deinit(desc);
}

// Our own state says which signal it was that lldb could not have stopped on.
static uint16_t current_signal(const struct death *death, const struct thread *thread)
{
	bool signal = death->kind == DEATH_SIGNAL && lldb_stops_on(death->signo);

	return signal && thread->tid == death->tid ? (uint16_t)death->signo : 0;
}

static void add_prstatus(struct buf *out, const struct snapshot *s, const struct thread *thread)
{
	const struct arch *arch = thread->regs.arch;
	struct buf d = {};

	bool info = lldb_stops_on(s->death.info.signo) && thread->tid == s->death.tid;
	buf_u32(&d, info ? (uint32_t)s->death.info.signo : 0);
	buf_u32(&d, info ? (uint32_t)s->death.info.code : 0);
	buf_u32(&d, 0);
	buf_u32(&d, current_signal(&s->death, thread));
	buf_u64(&d, thread->pending);
	buf_u64(&d, thread->blocked);
	buf_u32(&d, (uint32_t)thread->tid);
	buf_u32(&d, (uint32_t)s->process.ppid);
	buf_u32(&d, (uint32_t)s->process.pgid);
	buf_u32(&d, (uint32_t)s->process.sid);
	pad_to(&d, 0, PRSTATUS_REGS); // processor times
	for (unsigned i = 0; i < arch->n_regs; i++)
		buf_u64(&d, thread->regs.r[i]);
	buf_u32(&d, thread->fpregs.len ? 1 : 0);
	buf_align(&d, 8);
	add_built(out, NT_PRSTATUS, &d);
}

static void add_prpsinfo(struct buf *out, const struct snapshot *s)
{
	static const char states[] = "RSDTZW";
	const struct process *p = &s->process;
	char state = s->threads.n && s->threads.v[0].state ? s->threads.v[0].state : 'R';
	const char *found = strchr(states, state);
	struct buf d = {}, args = {};

	buf_add(&d, &(char){ found ? (char)(found - states) : 0 }, 1);
	buf_add(&d, &state, 1);
	buf_align(&d, 8);
	buf_u64(&d, 0);
	buf_u32(&d, (uint32_t)p->uid);
	buf_u32(&d, (uint32_t)p->gid);
	buf_u32(&d, (uint32_t)p->pid);
	buf_u32(&d, (uint32_t)p->ppid);
	buf_u32(&d, (uint32_t)p->pgid);
	buf_u32(&d, (uint32_t)p->sid);
	add_text(&d, p->comm, PRPSINFO_NAME);
	for (size_t i = 0; i < p->cmdline.n && args.len < PRPSINFO_ARGS; i++)
		buf_printf(&args, "%s%s", i ? " " : "", p->cmdline.v[i]);
	buf_add(&args, "", 1);
	add_text(&d, args.failed ? "" : (const char *)args.data, PRPSINFO_ARGS);
	d.failed |= args.failed;
	buf_deinit(&args);
	add_built(out, NT_PRPSINFO, &d);
}

// The kernel's siginfo_t, of which each kind of signal has its own part.
static void add_siginfo(struct buf *out, const struct signal_info *info)
{
	struct buf d = {};

	buf_u32(&d, (uint32_t)info->signo);
	buf_u32(&d, 0);
	buf_u32(&d, (uint32_t)info->code);
	buf_align(&d, 8);
	if (info->signo == SIGSYS && info->code > 0) {
		buf_u64(&d, info->addr);
		buf_u32(&d, (uint32_t)info->syscall);
	} else if (signal_is_fault(info->signo) && info->code > 0) {
		buf_u64(&d, info->addr);
	} else if (info->code == SI_TIMER) {
		buf_u32(&d, (uint32_t)info->timer_id);
		buf_u32(&d, 0);
		buf_u64(&d, info->value);
	} else {
		buf_u32(&d, (uint32_t)info->pid);
		buf_u32(&d, (uint32_t)info->uid);
		if (info->signo == SIGCHLD)
			buf_u32(&d, (uint32_t)info->child_status);
		else
			buf_u64(&d, info->value);
	}
	pad_to(&d, 0, SIGINFO_SIZE);
	add_built(out, NT_SIGINFO, &d);
}

// Which files are mapped where: offsets are counted in pages.
static void add_files(struct buf *out, const struct snapshot *s)
{
	struct buf d = {}, names = {};
	uint64_t n = 0, page = auxv_value(&s->process.auxv, AT_PAGESZ);

	if (!page)
		page = PAGE;
	buf_u64(&d, 0);
	buf_u64(&d, page);
	for (size_t i = 0; i < s->mappings.n; i++) {
		const struct mapping *m = &s->mappings.v[i];

		if (m->name[0] != '/')
			continue;
		n++;
		buf_u64(&d, m->start);
		buf_u64(&d, m->end);
		buf_u64(&d, m->offset / page);
		buf_printf(&names, "%s%s", m->name, m->deleted ? " (deleted)" : "");
		buf_add(&names, "", 1);
	}
	buf_add(&d, names.data, names.len);
	d.failed |= names.failed;
	buf_deinit(&names);
	if (!d.failed)
		memcpy(d.data, &(uint64_t){ htole64(n) }, 8);
	if (n)
		add_built(out, NT_FILE, &d);
	buf_deinit(&d);
}

static void add_vectors(struct buf *out, const struct thread *thread)
{
	if (thread->fpregs.len)
		add_note(out, "CORE", NT_FPREGSET, thread->fpregs.data, thread->fpregs.len);
	if (thread->xstate.len)
		add_note(out, "LINUX", NT_X86_XSTATE, thread->xstate.data, thread->xstate.len);
	if (thread->regs.arch->tls < 0)
		add_note(out, "LINUX", NT_ARM_TLS, &(uint64_t){ htole64(thread->regs.tls) }, 8);
}

static void add_own_text(struct buf *out, uint32_t type, const struct bytes *text)
{
	if (text->len)
		add_note(out, CORE_NOTE_NAME, type, text->data, text->len);
}

static struct error *add_own(struct buf *out, const struct snapshot *s)
{
	json_t *root;
	struct error *err = state_encode(s, &root);

	if (err)
		return err;
	char *text = json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(17));
	json_decref(root);
	if (!text)
		return error_nomem();
	add_note(out, CORE_NOTE_NAME, MINIDUMP_STATE_STREAM, text, strlen(text));
	free(text);
	add_own_text(out, MD_PROC_STATUS, &s->process.status);
	add_own_text(out, MD_LIMITS, &s->process.limits);
	add_own_text(out, MD_MAPS, &s->process.maps);
	add_own_text(out, MD_CPU_INFO, &s->host.cpuinfo);
	add_own_text(out, MD_LSB_RELEASE, &s->host.os_release);
	return NULL;
}

// gdb takes the first thread for the one to show, and readers expect what concerns the process
// between that thread's two notes.
static struct error *add_notes(struct buf *out, const struct snapshot *s)
{
	bool first = true;

	for (size_t i = 0; i < s->threads.n; i++) {
		const struct thread *thread = &s->threads.v[i];

		if (!thread->regs.arch)
			continue;
		add_prstatus(out, s, thread);
		if (first) {
			add_prpsinfo(out, s);
			if (lldb_stops_on(s->death.info.signo))
				add_siginfo(out, &s->death.info);
			if (s->process.auxv.len)
				add_note(out, "CORE", NT_AUXV, s->process.auxv.data,
					 s->process.auxv.len);
			add_files(out, s);
		}
		add_vectors(out, thread);
		first = false;
	}
	// elfutils refuses a core that does not say whose it is.
	if (first)
		add_prpsinfo(out, s);
	return add_own(out, s);
}

void core_begin(const struct arch *arch, size_t n_segments, uint64_t tail, struct buf *out)
{
	size_t n = n_segments + 1; // and the notes
	bool many = n >= PN_XNUM;
	uint64_t sections = tail + n * sizeof(Elf64_Phdr);

	buf_add(out, ELFMAG, SELFMAG);
	buf_add(out, &(uint8_t[12]){ ELFCLASS64, ELFDATA2LSB, EV_CURRENT, ELFOSABI_NONE }, 12);
	buf_u16(out, ET_CORE);
	buf_u16(out, arch->elf_machine);
	buf_u32(out, EV_CURRENT);
	buf_u64(out, 0);
	buf_u64(out, tail);
	// gABI: more program headers than fit are counted in a section header.
	buf_u64(out, many ? sections : 0);
	buf_u32(out, 0);
	buf_u16(out, sizeof(Elf64_Ehdr));
	buf_u16(out, sizeof(Elf64_Phdr));
	buf_u16(out, many ? PN_XNUM : (uint16_t)n);
	buf_u16(out, many ? sizeof(Elf64_Shdr) : 0);
	buf_u16(out, many);
	buf_u16(out, 0);
	buf_align(out, CORE_MEMORY_OFFSET);
}

static void add_phdr(struct buf *out, uint32_t type, uint32_t flags, uint64_t offset, taddr at,
		     uint64_t filesz, uint64_t memsz, uint64_t align)
{
	buf_u32(out, type);
	buf_u32(out, flags);
	buf_u64(out, offset);
	buf_u64(out, at);
	buf_u64(out, 0);
	buf_u64(out, filesz);
	buf_u64(out, memsz);
	buf_u64(out, align);
}

static void add_load(struct buf *out, const struct segment *segment)
{
	const char *p = segment->permissions;
	uint32_t flags = (p[0] == 'r' ? PF_R : 0) | (p[1] == 'w' ? PF_W : 0) |
			 (p[2] == 'x' ? PF_X : 0);

	add_phdr(out, PT_LOAD, flags, segment->offset, segment->at, segment->size, segment->size,
		 segment->at % PAGE ? 1 : PAGE);
}

struct error *core_end(const struct snapshot *snapshot, const segments *list,
		       uint64_t tail, struct buf *out)
{
	_cleanup_(buf_deinit) struct buf notes = {};
	size_t n = list->n + 1;
	bool many = n >= PN_XNUM;
	struct error *err = add_notes(&notes, snapshot);

	if (err)
		return err;
	uint64_t at = tail + n * sizeof(Elf64_Phdr) + (many ? sizeof(Elf64_Shdr) : 0);
	add_phdr(out, PT_NOTE, 0, at, 0, notes.len, 0, 4);
	for (size_t i = 0; i < list->n; i++)
		add_load(out, &list->v[i]);
	if (many) {
		buf_zero(out, offsetof(Elf64_Shdr, sh_size));
		buf_u64(out, 1);
		buf_u32(out, 0);
		buf_u32(out, (uint32_t)n); // sh_info
		buf_zero(out, 16);
	}
	buf_add(out, notes.data, notes.len);
	out->failed |= notes.failed;
	return buf_error(out);
}

static struct error *add_segment(struct arena *arena, segments *list, taddr at, taddr end,
				 const char *permissions)
{
	if (at >= end)
		return NULL;
	struct segment *segment = LIST_ADD(arena, list);
	if (!segment)
		return error_nomem();
	*segment = (struct segment){ .at = at, .size = end - at };
	memcpy(segment->permissions, permissions, sizeof(segment->permissions));
	return NULL;
}

// elfutils computes in pages, whatever p_align says, and finds the bytes of a segment that begins
// within one at the wrong place: whole pages are segments of their own.
static struct error *add_range(struct arena *arena, segments *list, taddr at, taddr end,
			       const char *permissions)
{
	taddr first = (at + PAGE - 1) & ~(PAGE - 1), last = end & ~(PAGE - 1);

	if (first > end || first < at)
		first = end;
	if (last < first)
		last = first;
	struct error *err = add_segment(arena, list, at, first, permissions);
	if (!err)
		err = add_segment(arena, list, first, last, permissions);
	return err ? err : add_segment(arena, list, last, end, permissions);
}

struct error *core_plan(const struct snapshot *snapshot, const struct mem_range *ranges, size_t n,
			uint64_t start, struct arena *arena, segments *ret, uint64_t *end_ret)
{
	uint64_t offset = start;
	segments list = {};
	struct error *err = NULL;
	size_t next = 0;

	for (size_t i = 0; !snapshot->mappings.n && i < n && !err; i++)
		err = add_range(arena, &list, ranges[i].at, ranges[i].at + ranges[i].len, "rw-p");
	for (size_t i = 0; i < snapshot->mappings.n && !err; i++) {
		const struct mapping *m = &snapshot->mappings.v[i];

		while (next < n && ranges[next].at + ranges[next].len <= m->start)
			next++;
		for (size_t k = next; k < n && ranges[k].at < m->end && !err; k++) {
			taddr at = ranges[k].at, end = at + ranges[k].len;

			err = add_range(arena, &list, at < m->start ? m->start : at,
					end > m->end ? m->end : end, m->permissions);
		}
	}
	for (size_t i = 0; i < list.n; i++) {
		list.v[i].offset = offset;
		offset = (offset + list.v[i].size + PAGE - 1) & ~(PAGE - 1);
	}
	if (err)
		return err;
	*ret = list;
	*end_ret = offset;
	return NULL;
}

struct error *core_write(const struct snapshot *snapshot, const struct mem_range *ranges, size_t n,
			 struct buf *ret)
{
	const struct arch *arch = snapshot->host.arch ? snapshot->host.arch : arch_host();
	_cleanup_(buf_deinit) struct buf out = {};
	_cleanup_(arena_deinit) struct arena arena = {};
	segments list;
	uint64_t tail;
	struct error *err = core_plan(snapshot, ranges, n, CORE_MEMORY_OFFSET, &arena, &list,
				      &tail);

	if (err)
		return err;
	core_begin(arch, list.n, tail, &out);
	for (size_t i = 0, from = 0; i < list.n; i++) {
		const struct segment *segment = &list.v[i];

		// A segment lies within one range.
		while (ranges[from].at + ranges[from].len <= segment->at)
			from++;
		buf_add(&out, ranges[from].data + (segment->at - ranges[from].at),
			(size_t)segment->size);
		buf_align(&out, PAGE);
	}
	err = core_end(snapshot, &list, tail, &out);
	if (err)
		return err;
	*ret = TAKE(out);
	return NULL;
}

bool core_is(const void *data, size_t len)
{
	Elf64_Ehdr eh;

	if (len < sizeof(eh))
		return false;
	memcpy(&eh, data, sizeof(eh));
	return !memcmp(eh.e_ident, ELFMAG, SELFMAG) && le16toh(eh.e_type) == ET_CORE;
}
