/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "cleanup.h"
#include "members.h"
#include "store/format.h"
#include "store/minidump.h"
#include "store/state.h"

// The world of every case: a program at 0x400000, a library, a stack with a gap below it.
static const char maps_text[] =
	"00400000-00401000 r--p 00000000 08:01 11                         /srv/app\n"
	"00401000-00402000 r-xp 00001000 08:01 11                         /srv/app\n"
	"00402000-00403000 rw-p 00002000 08:01 11                         /srv/app\n"
	"01000000-09000000 rw-p 00000000 00:00 0                          [heap]\n"
	"7f0000000000-7f0000001000 r-xp 00000000 08:01 12                 /lib/libc.so.6 (deleted)\n"
	"7f0000001000-7f0000002000 rw-p 00001000 08:01 12                 /lib/libc.so.6 (deleted)\n"
	"7ffc00000000-7ffc00010000 rw-p 00000000 00:00 0                  [stack]\n"
	"7ffc10000000-7ffc10002000 r-xp 00000000 00:00 0                  [vdso]\n"
	"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0          [vsyscall]\n";

#define CODE  0x401000
#define HEAP  0x1000000
#define STACK 0x7ffc00000000
#define STACK_END 0x7ffc00010000
#define VDSO  0x7ffc10000000

static uint8_t pattern[0x10000];

static void ok(struct error *err)
{
	if (err)
		fail_msg("%s", err->text);
}

static struct bytes text_bytes(struct arena *arena, const char *s)
{
	return (struct bytes){ .data = (uint8_t *)arena_strdup(arena, s), .len = strlen(s) };
}

static void remember(struct snapshot *s, taddr at, const void *data, size_t len)
{
	ok(snapshot_add_memory(s, at, data, len));
}

static struct thread *add_thread(struct snapshot *s, pid_t tid, taddr sp)
{
	struct thread *t = LIST_ADD(&s->arena, &s->threads);
	const struct arch *arch = s->host.arch;

	*t = (struct thread){ .tid = tid, .name = arena_printf(&s->arena, "worker %d", tid) };
	t->state = 'S';
	t->regs.arch = arch;
	for (size_t i = 0; i < arch->n_regs; i++)
		t->regs.r[i] = (uint64_t)tid << 40 | i;
	t->regs.r[arch->sp] = sp;
	t->regs.r[arch->pc] = CODE + 0x40;
	t->regs.tls = 0x7f0000aa0000u + (unsigned)tid;
	if (arch->id == ARCH_X86_64) {
		t->regs.r[17] = 0x33; // cs
		t->regs.r[arch->tls] = t->regs.tls;
	}
	size_t fp = arch->id == ARCH_X86_64 ? 512 : 528;
	t->fpregs.data = arena_alloc(&s->arena, fp + 1);
	t->fpregs.len = fp;
	memcpy(t->fpregs.data, pattern, arch->id == ARCH_X86_64 ? 512 : 520);
	t->stack_start = STACK;
	t->stack_end = STACK_END;
	return t;
}

// A process with two threads that died of SIGSEGV.
static void small_world(struct snapshot *s, enum arch_id arch)
{
	static const uint64_t auxv[] = { 3, 0x400040, 5, 2, 9, CODE, 0, 0 };

	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)(i * 7 + i / 256 + 1);
	snapshot_init(s);
	strcpy(s->id, "01234567-89ab-cdef-0123-456789abcdef");
	s->generator = arena_strdup(&s->arena, "0.1.0");
	s->host.arch = arch_by_id(arch);
	s->host.uname = arena_strdup(&s->arena, "Linux 6.18.5-7 #1 SMP x86_64 GNU/Linux");
	s->host.kernel = arena_strdup(&s->arena, "6.18.5-7");
	s->host.cpus = 2;
	memcpy(s->host.cpu_vendor, "GenuineIntel", 12);
	s->time.process_start = 1700000000123456789;
	s->time.death = 1700000042987654321;
	s->process.pid = 4711;
	s->process.comm = arena_strdup(&s->arena, "app");
	s->process.exe = arena_strdup(&s->arena, "/srv/app");
	s->process.maps = text_bytes(&s->arena, maps_text);
	s->process.status = text_bytes(&s->arena, "Name:\tapp\nPid:\t4711\nPPid:\t1\nUid:\t33\t33"
						  "\t33\t33\nGid:\t34\nThreads:\t2\n"
						  "SigIgn:\t0000000000001000\n"
						  "SigCgt:\t0000000180004002\n");
	s->process.stat = text_bytes(&s->arena, "4711 (a) p) S 1 1 1 0 -1 0 0 0 0 0 250 1200 0");
	s->process.auxv = (struct bytes){
		.data = (uint8_t *)arena_strndup(&s->arena, (const char *)auxv, sizeof(auxv)),
		.len = sizeof(auxv)
	};
	*(char **)LIST_ADD(&s->arena, &s->process.cmdline) = arena_strdup(&s->arena, "/srv/app");
	*(char **)LIST_ADD(&s->arena, &s->process.cmdline) = arena_strdup(&s->arena, "-v");
	ok(snapshot_parse_maps(s));
	for (size_t i = 0; i < s->modules.n; i++) {
		s->modules.v[i].build_id_len = 20;
		memcpy(s->modules.v[i].build_id, pattern + i, 20);
	}
	s->modules.v[1].soname = arena_strdup(&s->arena, "libc.so.7");
	s->death.kind = DEATH_SIGNAL;
	s->death.signo = 11;
	s->death.tid = 4712;
	s->death.info = (struct signal_info){ .signo = 11, .code = 1, .addr = 0xdeadbeef };
	add_thread(s, 4712, STACK + 0x800);
	add_thread(s, 4711, STACK + 0x900);
	remember(s, STACK, pattern, sizeof(pattern));
	remember(s, CODE, pattern + 5, 0x100);
	remember(s, HEAP + 0x3000, pattern + 9, 0x1000);
	remember(s, VDSO, pattern + 3, 0x2000);
	ok(snapshot_settle_memory(s));
}

static void no_close(struct snapshot *s)
{
	// Filled members look like open files.
	for (size_t i = 0; i < s->modules.n; i++)
		s->modules.v[i].fd = -1;
	snapshot_deinit(s);
}

static void write_and_read(const struct snapshot *s, struct buf *file, struct snapshot *ret)
{
	*file = (struct buf){};
	ok(minidump_write(s, file));
	ok(minidump_read(file->data, file->len, ret));
}

static void compare(struct snapshot *a, struct snapshot *b)
{
	Dwarf *dwarf = members_open();
	Dwarf_Die type;

	if (!dwarf || !members_find(dwarf, "snapshot", &type)) {
		print_message("no debug information in this program: members are not compared\n");
		dwarf_end(dwarf);
		skip();
	}
	struct members m = { .skip = { "snapshot.arena", "snapshot.modules[].fd",
				       "snapshot.places", "snapshot.bulk" } };
	members_walk(&m, &type, "snapshot", a, b);
	dwarf_end(dwarf);
	assert_int_equal(m.differences, 0);
	assert_true(m.count > 200);
}

static void every_member_survives(void **state)
{
	struct snapshot s, back;
	struct buf file;
	Dwarf *dwarf = members_open();
	Dwarf_Die type;
	enum arch_id arch = (enum arch_id)(uintptr_t)*state;

	if (!dwarf || !members_find(dwarf, "snapshot", &type)) {
		print_message("no debug information in this program: members are not compared\n");
		dwarf_end(dwarf);
		skip();
	}
	snapshot_init(&s);
	struct members m = { .arena = &s.arena, .fill = true,
			     .skip = { "snapshot.arena", "snapshot.places", "snapshot.bulk" } };
	members_walk(&m, &type, "snapshot", &s, NULL);
	dwarf_end(dwarf);
	assert_int_equal(m.differences, 0);

	// What cannot be just anything.
	s.host.arch = arch_by_id(arch);
	strcpy(s.id, "01234567-89ab-cdef-0123-456789abcdef");
	for (size_t i = 0; i < s.threads.n; i++) {
		struct thread *t = &s.threads.v[i];

		t->regs.arch = s.host.arch;
		memset(t->regs.r + s.host.arch->n_regs, 0,
		       (ARCH_MAX_REGS - s.host.arch->n_regs) * sizeof(*t->regs.r));
		t->stack_start = STACK;
		t->stack_end = STACK_END;
	}
	s.threads.v[1].regs.arch = NULL;
	memset(s.threads.v[1].regs.r, 0, sizeof(s.threads.v[1].regs.r));
	for (size_t i = 0; i < s.modules.n; i++) {
		struct module *mod = &s.modules.v[i];

		mod->start = 0x400000 + i * 0x100000;
		mod->end = mod->start + 0x3000;
		mod->build_id_len = i ? BUILD_ID_MAX : 7;
		memset(mod->build_id + mod->build_id_len, 0, BUILD_ID_MAX - mod->build_id_len);
		mod->fd = -1;
	}
	// Mappings are those of the text.
	__typeof__(s.modules) modules = s.modules;
	gaps known = s.gaps;
	s.modules.n = 0;
	s.process.maps = text_bytes(&s.arena, maps_text);
	ok(snapshot_parse_maps(&s));
	assert_int_equal(s.mappings.n, 9);
	s.modules = modules;
	s.gaps = known;
	s.memory.n = 0;
	remember(&s, STACK, pattern, sizeof(pattern));
	remember(&s, HEAP, pattern + 1, 77);
	ok(snapshot_settle_memory(&s));

	write_and_read(&s, &file, &back);
	compare(&s, &back);
	buf_deinit(&file);
	no_close(&s);
	snapshot_deinit(&back);
}

static void what_an_older_dump_does_not_say_is_unknown(void **state)
{
	json_t *root = json_pack("{s:[{s:i, s:i}]}", "timeline.samples", "rss", 4096, "threads", 3);
	struct snapshot s;

	(void)state;
	assert_non_null(root);
	snapshot_init(&s);
	ok(state_decode(root, 1000, &s));
	json_decref(root);
	assert_int_equal(s.timeline.samples.n, 1);
	const struct sample *sample = &s.timeline.samples.v[0];
	assert_int_equal(sample->rss, 4096);
	assert_int_equal(sample->threads, 3);
	assert_int_equal(sample->pss, -1);
	assert_int_equal(sample->children, -1);
	assert_int_equal(sample->voluntary_switches, -1);
	assert_true(sample->cpu_percent < 0);
	snapshot_deinit(&s);
}

static void a_process_survives(void **state)
{
	struct snapshot s, back;
	struct buf file;

	small_world(&s, (enum arch_id)(uintptr_t)*state);
	assert_int_equal(s.modules.n, 3);
	s.threads.v[0].xstate = text_bytes(&s.arena, "wide registers");
	// Zeros at the end are not stored; they are part of it all the same.
	s.threads.v[0].xstate.len += 1;
	s.threads.v[1].fpregs.len = 100; // no size that a context knows
	write_and_read(&s, &file, &back);
	compare(&s, &back);
	buf_deinit(&file);
	snapshot_deinit(&s);
	snapshot_deinit(&back);
}

static uint32_t u32_of(const struct buf *file, size_t at)
{
	uint32_t v;

	memcpy(&v, file->data + at, sizeof(v));
	return v;
}

// Offset of the directory entry of TYPE, 0 when there is none.
static size_t entry_of(const struct buf *file, uint32_t type)
{
	for (uint32_t i = 0; i < u32_of(file, 8); i++)
		if (u32_of(file, u32_of(file, 12) + 12 * i) == type)
			return u32_of(file, 12) + 12 * i;
	return 0;
}

static size_t stream_at(const struct buf *file, uint32_t type)
{
	size_t entry = entry_of(file, type);

	if (!entry)
		fail_msg("no stream 0x%x", type);
	return u32_of(file, entry + 8);
}

static void the_exception_is_one_that_lldb_can_load(void **state)
{
	static const struct {
		enum death_kind kind;
		int signo;
		uint32_t code, flags;
	} cases[] = {
		{ DEATH_SIGNAL, 11, 11, 1 },	       { DEATH_SIGNAL, 14, 0xffffffff, 0 },
		{ DEATH_SIGNAL, 17, 0xffffffff, 0 },   { DEATH_SIGNAL, 18, 0xffffffff, 0 },
		{ DEATH_SIGNAL, 27, 0xffffffff, 0 },   { DEATH_SIGNAL, 32, 0xffffffff, 0 },
		{ DEATH_SIGNAL, 64, 0xffffffff, 0 },   { DEATH_EXIT, 0, 0xffffffff, 0 },
		{ DEATH_SNAPSHOT, 0, 0xffffffff, 0 },  { DEATH_SIGNAL, 31, 31, 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct snapshot s, back;
		struct buf file;

		small_world(&s, ARCH_X86_64);
		s.death.kind = cases[i].kind;
		s.death.signo = s.death.info.signo = cases[i].signo;
		write_and_read(&s, &file, &back);
		size_t at = stream_at(&file, MD_EXCEPTION);
		assert_int_equal(u32_of(&file, at), 4712);
		assert_int_equal(u32_of(&file, at + 8), cases[i].code);
		assert_int_equal(u32_of(&file, at + 12), cases[i].flags);
		assert_int_equal(back.death.signo, cases[i].signo);
		buf_deinit(&file);
		snapshot_deinit(&s);
		snapshot_deinit(&back);
	}
}

static void an_overflown_stack_has_its_sp_in_a_range(void **state)
{
	struct snapshot s, back;
	struct buf file;

	(void)state;
	small_world(&s, ARCH_X86_64);
	s.threads.v[0].regs.r[s.host.arch->sp] = STACK - 0x1238;
	write_and_read(&s, &file, &back);
	size_t list = stream_at(&file, MD_THREAD_LIST);
	uint64_t start;
	memcpy(&start, file.data + list + 4 + 24, sizeof(start));
	assert_int_equal(start, STACK - 0x1240);
	assert_int_equal(u32_of(&file, list + 4 + 32), STACK_END - start);
	size_t maps = stream_at(&file, MD_MAPS);
	assert_non_null(strstr((char *)file.data + maps, "7ffbffffe000-7ffc00000000 ---p "));
	// For us there is nothing there.
	compare(&s, &back);
	buf_deinit(&file);
	snapshot_deinit(&s);
	snapshot_deinit(&back);
}

static void bytes_of_no_mapping_are_left_out(void **state)
{
	struct snapshot s, back;
	struct buf file;

	(void)state;
	small_world(&s, ARCH_X86_64);
	size_t n = s.memory.n;
	remember(&s, 0x10000, pattern, 0x1000);
	remember(&s, HEAP - 0x10, pattern, 0x20);
	ok(snapshot_settle_memory(&s));
	write_and_read(&s, &file, &back);
	assert_int_equal(back.memory.n, n + 1);
	struct mem_bytes mem;
	uint8_t byte;
	snapshot_mem(&back, &mem);
	assert_int_equal(mem_read_some(&mem.mem, HEAP - 1, &byte, 1), 0);
	ok(mem_read(&mem.mem, HEAP, &byte, 1));
	assert_int_equal(byte, pattern[0x10]);
	buf_deinit(&file);
	snapshot_deinit(&s);
	snapshot_deinit(&back);
}

static void many_threads_and_ranges_stay_within_the_readers_limits(void **state)
{
	struct snapshot s, back;
	struct buf file;

	(void)state;
	small_world(&s, ARCH_X86_64);
	for (int i = 0; i < 5000; i++)
		add_thread(&s, 5000 + i, HEAP + 0x1000000 + (taddr)i * 0x2000 + 0x10);
	for (int i = 0; i < 5000; i++)
		remember(&s, HEAP + 0x1000000 + (taddr)i * 0x2000, pattern + i, 0x20);
	ok(snapshot_settle_memory(&s));
	write_and_read(&s, &file, &back);
	assert_int_equal(u32_of(&file, stream_at(&file, MD_THREAD_LIST)), 4096);
	assert_int_equal(u32_of(&file, stream_at(&file, MD_MEMORY_LIST)), 4096);
	assert_int_not_equal(entry_of(&file, MD_MEMORY64_LIST), 0);
	// The first thread's stack is among those that Breakpad sees.
	assert_int_not_equal(u32_of(&file, stream_at(&file, MD_THREAD_LIST) + 4 + 36), 0);
	compare(&s, &back);
	buf_deinit(&file);
	snapshot_deinit(&s);
	snapshot_deinit(&back);
}

static void a_huge_region_is_split_and_joined_again(void **state)
{
	struct snapshot s, back;
	struct buf file;
	size_t size = (size_t)65 << 20;
	uint8_t *big = calloc(1, size);

	(void)state;
	small_world(&s, ARCH_X86_64);
	big[size - 1] = 0x5a;
	s.memory.n = 0;
	s.memory.v = NULL;
	remember(&s, STACK, pattern, sizeof(pattern));
	remember(&s, HEAP, big, size);
	ok(snapshot_settle_memory(&s));
	write_and_read(&s, &file, &back);
	assert_int_equal(u32_of(&file, stream_at(&file, MD_MEMORY_LIST)), 3);
	assert_int_equal(entry_of(&file, MD_MEMORY64_LIST), 0);
	compare(&s, &back);
	buf_deinit(&file);
	snapshot_deinit(&s);
	snapshot_deinit(&back);
	free(big);
}

// What everybody may rely on, whatever the file was.
static void check_invariants(const struct snapshot *s)
{
	struct mem_bytes mem;
	uint8_t byte[16];

	snapshot_mem(s, &mem);
	for (size_t i = 0; i < s->memory.n; i++) {
		const struct mem_range *r = &s->memory.v[i];

		assert_true(r->len > 0 && r->at + r->len > r->at);
		if (i)
			assert_true(r[-1].at + r[-1].len <= r->at);
		// Under a sanitizer: the bytes are there.
		memcpy(byte, r->data, 1);
		memcpy(byte, r->data + r->len - 1, 1);
	}
	for (size_t i = 1; i < s->mappings.n; i++)
		assert_true(s->mappings.v[i - 1].end <= s->mappings.v[i].start);
	for (size_t i = 0; i < s->modules.n; i++) {
		const struct module *m = &s->modules.v[i];

		assert_true(m->start < m->end && m->build_id_len <= BUILD_ID_MAX && m->fd == -1);
		assert_ptr_equal(snapshot_module_at(s, m->start), m);
		assert_non_null(m->path);
	}
	for (size_t i = 0; i < s->threads.n; i++) {
		const struct thread *t = &s->threads.v[i];

		assert_ptr_equal(snapshot_thread(s, t->tid), t);
		assert_non_null(t->name);
		assert_true(t->stack_start <= t->stack_end);
		if (t->regs.arch)
			mem_read_some(&mem.mem, regs_sp(&t->regs), byte, sizeof(byte));
	}
	assert_non_null(s->host.arch);
	assert_non_null(s->host.uname);
	assert_non_null(s->process.comm);
}

// Take our own stream away, as if another program had written the file.
static void make_foreign(struct buf *file)
{
	memcpy(file->data + entry_of(file, MINIDUMP_STATE_STREAM), &(uint32_t){ 0x12345678 }, 4);
}

static void a_foreign_dump_is_read_as_far_as_it_goes(void **state)
{
	enum arch_id arch = (enum arch_id)(uintptr_t)*state;
	struct snapshot s, back;
	struct buf file = {};

	small_world(&s, arch);
	ok(minidump_write(&s, &file));
	make_foreign(&file);
	ok(minidump_read(file.data, file.len, &back));
	check_invariants(&back);
	assert_int_equal(back.process.pid, 4711);
	assert_int_equal(back.process.ppid, 1);
	assert_int_equal(back.process.uid, 33);
	assert_int_equal(back.process.ignored, 0x1000);
	assert_int_equal(back.process.caught, 0x180004002);
	assert_string_equal(back.process.comm, "app");
	assert_string_equal(back.process.exe, "/srv/app");
	assert_int_equal(back.process.cmdline.n, 2);
	assert_string_equal(back.process.cmdline.v[1], "-v");
	assert_string_equal(back.host.kernel, "6.18.5-7");
	assert_string_equal(back.id, s.id);
	assert_int_equal(back.time.death, 1700000042000000000);
	assert_int_equal(back.death.kind, DEATH_SIGNAL);
	assert_int_equal(back.death.signo, 11);
	assert_int_equal(back.death.tid, 4712);
	assert_int_equal(back.death.info.addr, 0xdeadbeef);
	assert_int_equal(back.threads.n, 2);
	for (size_t i = 0; i < 2; i++) {
		const struct thread *t = &back.threads.v[i];

		assert_int_equal(t->tid, s.threads.v[i].tid);
		assert_string_equal(t->name, s.threads.v[i].name);
		assert_int_equal(regs_pc(&t->regs), CODE + 0x40);
		assert_int_equal(regs_sp(&t->regs), regs_sp(&s.threads.v[i].regs));
		assert_int_equal(t->regs.tls, s.threads.v[i].regs.tls);
		assert_int_equal(regs_syscall(&t->regs), -1);
		assert_int_equal(t->fpregs.len, s.threads.v[i].fpregs.len);
		assert_memory_equal(t->fpregs.data, s.threads.v[i].fpregs.data, t->fpregs.len);
		assert_int_equal(t->stack_end, STACK_END);
	}
	assert_int_equal(back.modules.n, s.modules.n);
	for (size_t i = 0; i < s.modules.n; i++) {
		// For others it has the name that the loader goes by.
		assert_string_equal(back.modules.v[i].path,
				    s.modules.v[i].soname ? "/lib/libc.so.7" : s.modules.v[i].path);
		assert_null(back.modules.v[i].soname);
		assert_int_equal(back.modules.v[i].end, s.modules.v[i].end);
		assert_int_equal(back.modules.v[i].deleted, s.modules.v[i].deleted);
		assert_int_equal(back.modules.v[i].inode, s.modules.v[i].inode);
		assert_int_equal(back.modules.v[i].in_memory, s.modules.v[i].in_memory);
		assert_int_equal(back.modules.v[i].build_id_len, 20);
		assert_memory_equal(back.modules.v[i].build_id, s.modules.v[i].build_id, 20);
	}
	assert_int_equal(back.mappings.n, s.mappings.n);
	assert_int_equal(back.memory.n, s.memory.n);
	for (size_t i = 0; i < s.memory.n; i++) {
		assert_int_equal(back.memory.v[i].len, s.memory.v[i].len);
		assert_memory_equal(back.memory.v[i].data, s.memory.v[i].data, s.memory.v[i].len);
	}
	assert_int_equal(back.gaps.n, 1);
	buf_deinit(&file);
	snapshot_deinit(&s);
	snapshot_deinit(&back);
}

static void a_dump_without_maps_has_them_from_its_memory_info(void **state)
{
	struct snapshot s, back;
	struct buf file = {};

	(void)state;
	small_world(&s, ARCH_X86_64);
	ok(minidump_write(&s, &file));
	make_foreign(&file);
	memcpy(file.data + entry_of(&file, MD_MAPS), &(uint32_t){ 0x12345679 }, 4);
	ok(minidump_read(file.data, file.len, &back));
	assert_int_equal(back.mappings.n, s.mappings.n);
	for (size_t i = 0; i < s.mappings.n; i++) {
		assert_int_equal(back.mappings.v[i].start, s.mappings.v[i].start);
		assert_int_equal(back.mappings.v[i].end, s.mappings.v[i].end);
		assert_string_equal(back.mappings.v[i].permissions, s.mappings.v[i].permissions);
	}
	assert_int_equal(back.modules.n, 3);
	buf_deinit(&file);
	snapshot_deinit(&s);
	snapshot_deinit(&back);
}

static void what_is_no_linux_minidump_is_refused(void **state)
{
	struct snapshot s, back;
	struct buf file = {};
	static const struct {
		uint32_t stream, at;
		uint16_t value;
		enum error_kind kind;
	} cases[] = {
		{ 0, 0, 0x1234, ERROR_INPUT },	    { 0, 4, 0x1234, ERROR_INPUT },
		{ 0, 14, 0x7fff, ERROR_INPUT },	    { MD_SYSTEM_INFO, 0, 0, ERROR_UNSUPPORTED },
		{ MD_SYSTEM_INFO, 20, 2, ERROR_UNSUPPORTED },
	};

	(void)state;
	small_world(&s, ARCH_X86_64);
	ok(minidump_write(&s, &file));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint8_t *at = file.data + cases[i].at +
			      (cases[i].stream ? stream_at(&file, cases[i].stream) : 0);
		uint16_t was;

		memcpy(&was, at, sizeof(was));
		memcpy(at, &cases[i].value, sizeof(was));
		struct error *err = minidump_read(file.data, file.len, &back);
		assert_non_null(err);
		if (err->kind != cases[i].kind)
			fail_msg("case %zu: kind %d (%s)", i, err->kind, err->text);
		error_free(err);
		memcpy(at, &was, sizeof(was));
	}
	buf_deinit(&file);
	snapshot_deinit(&s);
}

static int64_t milliseconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

#define MUTATION_BUDGET_MS 10000

static void try_file(const void *data, size_t len)
{
	struct snapshot back;

	// A copy of just that size, so that a sanitizer sees a read beyond it.
	void *copy = malloc(len ? len : 1);
	memcpy(copy, data, len);
	struct error *err = minidump_read(copy, len, &back);
	free(copy);
	if (error_drop(err))
		return;
	check_invariants(&back);
	snapshot_deinit(&back);
}

static void garbage_is_survived(void **state)
{
	bool foreign = *state != NULL;
	struct snapshot s;
	struct buf file = {};
	uint64_t seed = 88172645463325252u;
	int64_t until = milliseconds() + MUTATION_BUDGET_MS;
	unsigned tries = 0;

	small_world(&s, ARCH_X86_64);
	// A small file, so that a random byte often means something.
	s.memory.n = 0;
	s.memory.v = NULL;
	remember(&s, STACK + 0x700, pattern, 0x300);
	remember(&s, CODE, pattern, 0x80);
	s.threads.v[1].regs.r[s.host.arch->sp] = STACK - 0x40;
	ok(minidump_write(&s, &file));
	if (foreign)
		make_foreign(&file);
	for (size_t len = 0; len < file.len && milliseconds() < until; len += 53, tries++)
		try_file(file.data, len);
	for (unsigned i = 0; i < 3000 && milliseconds() < until; i++, tries++) {
		struct {
			size_t at;
			uint8_t was;
		} undo[4];
		unsigned n = 1 + i % 4;

		for (unsigned j = 0; j < n; j++) {
			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			undo[j].at = (seed >> 16) % file.len;
			undo[j].was = file.data[undo[j].at];
			// A flipped bit, or a number at a border.
			static const uint8_t borders[] = { 0, 0xff, 0x7f, 0x80 };
			file.data[undo[j].at] = seed & 4 ? borders[seed & 3]
							 : undo[j].was ^ (uint8_t)(1u << (seed & 7));
		}
		try_file(file.data, file.len);
		while (n--)
			file.data[undo[n].at] = undo[n].was;
	}
	print_message("%u broken files\n", tries);
	assert_true(tries > 500);
	buf_deinit(&file);
	snapshot_deinit(&s);
}

// Lists of a million entries that all name the same bytes must cost what the file costs.
static void repetition_in_a_file_costs_no_memory(void **state)
{
	struct snapshot s, back;
	struct buf file = {};
	enum { ENTRIES = 200000 };

	(void)state;
	small_world(&s, ARCH_X86_64);
	ok(minidump_write(&s, &file));
	make_foreign(&file);
	size_t modules = file.len;
	buf_u32(&file, ENTRIES);
	for (uint32_t i = 0; i < ENTRIES; i++) {
		buf_u64(&file, 0x100000000 + (uint64_t)i * 0x1000);
		buf_u32(&file, 0x1000);
		buf_zero(&file, 8);
		buf_u32(&file, 64); // a "string" of pattern bytes
		buf_zero(&file, 84);
	}
	size_t memory = file.len;
	buf_u32(&file, ENTRIES);
	for (uint32_t i = 0; i < ENTRIES; i++) {
		buf_u64(&file, 0x200000000 + (uint64_t)i * 0x100000);
		buf_u32(&file, 0x100000);
		buf_u32(&file, 64);
	}
	uint32_t size = (uint32_t)file.len;
	memcpy(file.data + 64, &(uint32_t){ 0x8000 }, 4);
	size_t entry = entry_of(&file, MD_MODULE_LIST);
	memcpy(file.data + entry + 4, &(uint32_t){ (uint32_t)(memory - modules) }, 4);
	memcpy(file.data + entry + 8, &(uint32_t){ (uint32_t)modules }, 4);
	entry = entry_of(&file, MD_MEMORY_LIST);
	memcpy(file.data + entry + 4, &(uint32_t){ (uint32_t)(size - memory) }, 4);
	memcpy(file.data + entry + 8, &(uint32_t){ (uint32_t)memory }, 4);
	int64_t start = milliseconds();
	ok(minidump_read(file.data, file.len, &back));
	assert_true(milliseconds() - start < 10000);
	check_invariants(&back);
	uint64_t bytes = 0;
	for (size_t i = 0; i < back.memory.n; i++)
		bytes += back.memory.v[i].len;
	assert_true(bytes <= 2 * file.len);
	buf_deinit(&file);
	snapshot_deinit(&s);
	snapshot_deinit(&back);
}

// The validator that lies beside some checkouts, if it does.
static void the_validator_accepts(void **state)
{
	const char *tool = getenv("PCATCH_MDMP_CHECK");
	char name[] = "/tmp/pcatch-test-XXXXXX", command[4096];

	if (!tool || access(tool, R_OK)) {
		print_message("PCATCH_MDMP_CHECK names no validator: skipped\n");
		skip();
	}
	for (int i = 0; i < 4; i++) {
		struct snapshot s;
		struct buf file = {};

		small_world(&s, *state ? ARCH_AARCH64 : ARCH_X86_64);
		if (i == 1)
			s.threads.v[0].regs.r[s.host.arch->sp] = STACK - 0x1238;
		if (i == 2)
			s.death.signo = 34;
		if (i == 3)
			for (int j = 0; j < 5000; j++) {
				taddr at = HEAP + (taddr)j * 0x2000;
				add_thread(&s, 5000 + j, at + 0x10);
				remember(&s, at, pattern + j, 0x20);
			}
		ok(snapshot_settle_memory(&s));
		ok(minidump_write(&s, &file));
		int fd = mkstemp(name);
		assert_true(fd >= 0);
		assert_int_equal(write(fd, file.data, file.len), file.len);
		close(fd);
		// In the last case the status text has not as many threads as there are.
		snprintf(command, sizeof(command), "python3 '%s' --strict --ignore sysinfo-csd%s '%s'",
			 tool, i == 3 ? ",thread-count" : "", name);
		int status = system(command);
		unlink(name);
		assert_int_equal(status, 0);
		strcpy(name + strlen(name) - 6, "XXXXXX");
		buf_deinit(&file);
		snapshot_deinit(&s);
	}
}

#define X86 ((void *)(uintptr_t)ARCH_X86_64)
#define ARM ((void *)(uintptr_t)ARCH_AARCH64)
#define CASE(f, state, name) { name, f, NULL, NULL, state }

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(every_member_survives, X86, "every member survives (x86_64)"),
		CASE(every_member_survives, ARM, "every member survives (aarch64)"),
		CASE(a_process_survives, X86, "a process survives (x86_64)"),
		CASE(a_process_survives, ARM, "a process survives (aarch64)"),
		cmocka_unit_test(what_an_older_dump_does_not_say_is_unknown),
		cmocka_unit_test(the_exception_is_one_that_lldb_can_load),
		cmocka_unit_test(an_overflown_stack_has_its_sp_in_a_range),
		cmocka_unit_test(bytes_of_no_mapping_are_left_out),
		cmocka_unit_test(many_threads_and_ranges_stay_within_the_readers_limits),
		cmocka_unit_test(a_huge_region_is_split_and_joined_again),
		CASE(a_foreign_dump_is_read_as_far_as_it_goes, X86, "a foreign dump (x86_64)"),
		CASE(a_foreign_dump_is_read_as_far_as_it_goes, ARM, "a foreign dump (aarch64)"),
		cmocka_unit_test(a_dump_without_maps_has_them_from_its_memory_info),
		cmocka_unit_test(what_is_no_linux_minidump_is_refused),
		CASE(garbage_is_survived, NULL, "garbage is survived (own dump)"),
		CASE(garbage_is_survived, ARM, "garbage is survived (foreign dump)"),
		cmocka_unit_test(repetition_in_a_file_costs_no_memory),
		CASE(the_validator_accepts, NULL, "the validator accepts (x86_64)"),
		CASE(the_validator_accepts, ARM, "the validator accepts (aarch64)"),
	};

	return cmocka_run_group_tests_name("minidump", tests, NULL, NULL);
}
