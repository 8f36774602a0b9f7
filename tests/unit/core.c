/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Core files there and back, of both architectures on either, and files that are no good. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <elf.h>
#include <signal.h>

#include "cleanup.h"
#include "store/core.h"

#define STACK ((taddr)0x7ffc00000000)

static uint8_t stack[8192];
static Elf64_auxv_t auxv[] = { { .a_type = AT_PAGESZ, .a_un.a_val = 4096 },
			       { .a_type = AT_RANDOM, .a_un.a_val = STACK + 100 },
			       { .a_type = AT_NULL } };
static char maps[] = "400000-401000 r-xp 00002000 08:01 77 /bin/victim\n"
		     "7ffc00000000-7ffc00002000 rw-p 00000000 00:00 0 [stack]\n";
static uint8_t vectors[528] = { 1, 2, 3 };

/* Two threads of a process that read through a null pointer. */
static void make(struct snapshot *s, enum arch_id id)
{
	snapshot_init(s);
	s->host.arch = arch_by_id(id);
	s->generator = (char *)"test";
	strcpy(s->id, "12345678-1234-1234-1234-123456789abc");
	s->process.pid = 500;
	s->process.ppid = 400;
	s->process.uid = 1000;
	s->process.comm = (char *)"victim";
	s->process.auxv = (struct bytes){ (uint8_t *)auxv, sizeof(auxv) };
	s->process.maps = (struct bytes){ (uint8_t *)maps, sizeof(maps) - 1 };
	assert_null(snapshot_parse_maps(s));
	for (pid_t tid = 501; tid >= 500; tid--) {
		struct thread *t = LIST_ADD(&s->arena, &s->threads);

		*t = (struct thread){ .tid = tid, .name = (char *)"worker", .regs.arch = s->host.arch };
		for (unsigned i = 0; i < s->host.arch->n_regs; i++)
			t->regs.r[i] = (uint64_t)tid << 32 | i;
		t->regs.tls = s->host.arch->tls < 0 ? 0x1234 : t->regs.r[s->host.arch->tls];
		t->regs.r[s->host.arch->sp] = STACK + 256;
		t->fpregs = (struct bytes){ vectors, id == ARCH_AARCH64 ? 528 : 512 };
	}
	s->death = (struct death){ .kind = DEATH_SIGNAL,
				   .signo = SIGSEGV,
				   .tid = 501,
				   .info = { .signo = SIGSEGV, .code = SEGV_MAPERR, .addr = 0x18 } };
	for (size_t i = 0; i < sizeof(stack); i++)
		stack[i] = (uint8_t)(i * 7 + i / 256);
	assert_null(snapshot_add_memory(s, STACK, stack, sizeof(stack)));
}

static void write_core(struct snapshot *s, struct buf *ret)
{
	*ret = (struct buf){};
	assert_null(core_write(s, s->memory.v, s->memory.n, ret));
	assert_true(core_is(ret->data, ret->len));
}

static void check(const struct snapshot *s, const struct snapshot *again)
{
	struct mem_bytes mem;
	uint8_t bytes[sizeof(stack)];

	assert_ptr_equal(again->host.arch, s->host.arch);
	assert_int_equal(again->process.pid, 500);
	assert_string_equal(again->process.comm, "victim");
	assert_int_equal(again->death.kind, DEATH_SIGNAL);
	assert_int_equal(again->death.signo, SIGSEGV);
	assert_int_equal(again->death.tid, 501);
	assert_int_equal(again->death.info.code, SEGV_MAPERR);
	assert_int_equal(again->death.info.addr, 0x18);
	assert_int_equal(again->threads.n, 2);
	for (size_t i = 0; i < 2; i++) {
		const struct thread *a = &s->threads.v[i], *b = &again->threads.v[i];

		assert_int_equal(a->tid, b->tid);
		assert_memory_equal(a->regs.r, b->regs.r, s->host.arch->n_regs * 8);
		assert_int_equal(a->regs.tls, b->regs.tls);
		assert_int_equal(a->fpregs.len, b->fpregs.len);
		assert_memory_equal(a->fpregs.data, b->fpregs.data, a->fpregs.len);
	}
	snapshot_mem(again, &mem);
	assert_null(mem_read(&mem.mem, STACK, bytes, sizeof(bytes)));
	assert_memory_equal(bytes, stack, sizeof(stack));
	assert_int_equal(again->modules.n, 1);
	assert_string_equal(again->modules.v[0].path, "/bin/victim");
}

static void test_what_is_written_is_read_again(void **state)
{
	for (int id = ARCH_X86_64; id <= ARCH_AARCH64; id++) {
		struct snapshot s, again;
		struct buf core;

		make(&s, (enum arch_id)id);
		write_core(&s, &core);
		assert_null(core_read(core.data, core.len, &again));
		check(&s, &again);
		assert_string_equal(again.generator, "test");
		assert_string_equal(again.id, s.id);
		assert_string_equal(again.threads.v[0].name, "worker");
		snapshot_deinit(&again);
		snapshot_deinit(&s);
		buf_deinit(&core);
	}
	(void)state;
}

/* As if another program had written it: our notes bear another name. */
static void test_the_same_without_what_only_we_write(void **state)
{
	for (int id = ARCH_X86_64; id <= ARCH_AARCH64; id++) {
		struct snapshot s, again;
		struct buf core;

		make(&s, (enum arch_id)id);
		write_core(&s, &core);
		for (uint8_t *p = core.data; (p = memmem(p, core.len - (size_t)(p - core.data),
							 CORE_NOTE_NAME, sizeof(CORE_NOTE_NAME)));)
			memcpy(p, "OTHERS", 6);
		/* Code is no segment of this core, and its file's headers are not there. */
		assert_null(core_read(core.data, core.len, &again));
		check(&s, &again);
		assert_string_equal(again.generator, "");
		assert_true(again.gaps.n > 0);
		assert_int_equal(again.mappings.v[0].offset, 0x2000);
		assert_string_equal(again.mappings.v[0].permissions, "r-xp");
		assert_string_equal(again.mappings.v[1].name, "[stack]");
		snapshot_deinit(&again);
		snapshot_deinit(&s);
		buf_deinit(&core);
	}
	(void)state;
}

static void test_more_segments_than_a_header_counts(void **state)
{
	enum { N = 70000 };
	_cleanup_(freep) struct mem_range *ranges = calloc(N, sizeof(*ranges));
	struct snapshot s, again;
	struct buf core = {};

	make(&s, ARCH_X86_64);
	s.mappings.n = 0;
	s.process.maps = (struct bytes){ (uint8_t *)maps, 0 };
	for (size_t i = 0; i < N; i++)
		ranges[i] = (struct mem_range){ .at = 0x10000 + i * 4096, .len = 8, .data = stack + i % 999 };
	assert_null(core_write(&s, ranges, N, &core));
	assert_null(core_read(core.data, core.len, &again));
	assert_int_equal(again.memory.n, N);
	assert_int_equal(again.memory.v[N - 1].at, ranges[N - 1].at);
	assert_memory_equal(again.memory.v[N - 1].data, ranges[N - 1].data, 8);
	snapshot_deinit(&again);
	snapshot_deinit(&s);
	buf_deinit(&core);
	(void)state;
}

static void try_core(const uint8_t *data, size_t len)
{
	struct snapshot s;
	/* Just as long as it claims to be, for sanitizers to see what is read beyond. */
	uint8_t *copy = malloc(len ? len : 1);

	memcpy(copy, data, len);
	struct error *err = core_read(copy, len, &s);
	if (err)
		error_free(err);
	else
		snapshot_deinit(&s);
	free(copy);
}

static void test_a_core_cut_anywhere_is_no_danger(void **state)
{
	struct snapshot s;
	struct buf core;

	make(&s, ARCH_X86_64);
	write_core(&s, &core);
	for (size_t len = 0; len < core.len; len += len < 5000 || len > 12000 ? 3 : 97)
		try_core(core.data, len);
	snapshot_deinit(&s);
	buf_deinit(&core);
	(void)state;
}

static void test_a_core_with_bytes_turned_is_no_danger(void **state)
{
	static const uint8_t values[] = { 0, 1, 0x7f, 0x80, 0xff };
	struct snapshot s;
	struct buf core;

	make(&s, ARCH_X86_64);
	write_core(&s, &core);
	for (size_t at = 0; at < core.len; at += at >= 64 && at < 12000 ? 509 : 1)
		for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
			uint8_t was = core.data[at];

			core.data[at] = values[i];
			try_core(core.data, core.len);
			core.data[at] = was;
		}
	snapshot_deinit(&s);
	buf_deinit(&core);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_written_is_read_again),
		cmocka_unit_test(test_the_same_without_what_only_we_write),
		cmocka_unit_test(test_more_segments_than_a_header_counts),
		cmocka_unit_test(test_a_core_cut_anywhere_is_no_danger),
		cmocka_unit_test(test_a_core_with_bytes_turned_is_no_danger),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
