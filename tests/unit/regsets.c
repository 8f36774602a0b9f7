/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Register sets of many threads take little room, and those of older dumps are still read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cleanup.h"
#include "store/regsets.h"

#define THREADS	    100
#define XSTATE_SIZE 2696 // of a processor with AVX-512

static void ok(struct error *err)
{
	if (err)
		fail_msg("%s", err->text);
}

// Threads that have run the same code, as those of a server: a few words are each one's own.
static void make_threads(struct snapshot *s, size_t n)
{
	snapshot_init(s);
	s->host.arch = arch_by_id(ARCH_X86_64);
	for (size_t i = 0; i < n; i++) {
		struct thread *t = LIST_ADD(&s->arena, &s->threads);

		assert_non_null(t);
		t->tid = (pid_t)(1000 + i);
		t->regs.arch = s->host.arch;
		for (size_t k = 0; k < s->host.arch->n_regs; k++)
			t->regs.r[k] = 0x7f0000000000 + 0x1000 * k + (k % 3 ? 0 : 0x100000 * i);
		t->xstate.len = XSTATE_SIZE;
		t->xstate.data = arena_alloc(&s->arena, XSTATE_SIZE);
		assert_non_null(t->xstate.data);
		for (size_t k = 0; k < XSTATE_SIZE; k++)
			t->xstate.data[k] = (uint8_t)(k % 64 ? k * k >> 3 : i);
	}
}

static void write_to(const struct snapshot *s, struct buf *out)
{
	struct md_writer w = { .s = s, .out = out, .format = context_format_of(s->host.arch) };

	regsets_write(&w);
	ok(buf_error(out));
}

static void registers_of_many_threads_come_back_from_little_room(void **state)
{
	_cleanup_(buf_deinit) struct buf out = {};
	struct snapshot s, back;

	(void)state;
	make_threads(&s, THREADS);
	write_to(&s, &out);
	assert_true(out.len < THREADS * XSTATE_SIZE / 4);
	make_threads(&back, THREADS);
	for (size_t i = 0; i < THREADS; i++) {
		back.threads.v[i].regs = (struct regs){};
		back.threads.v[i].xstate = (struct bytes){};
	}
	ok(regsets_read(out.data, out.len, &back));
	for (size_t i = 0; i < THREADS; i++) {
		const struct thread *a = &s.threads.v[i], *b = &back.threads.v[i];

		assert_memory_equal(a->regs.r, b->regs.r, sizeof(a->regs.r));
		assert_int_equal(b->xstate.len, XSTATE_SIZE);
		assert_memory_equal(a->xstate.data, b->xstate.data, XSTATE_SIZE);
	}
	snapshot_deinit(&s);
	snapshot_deinit(&back);
}

static void what_was_not_compressed_is_read(void **state)
{
	_cleanup_(buf_deinit) struct buf out = {};
	struct snapshot s;

	(void)state;
	make_threads(&s, 2);
	buf_u32(&out, 1);
	buf_u32(&out, 0);
	buf_u32(&out, 1);
	buf_u32(&out, 0x202);
	buf_u32(&out, 4);
	buf_u32(&out, 2);
	buf_addstr(&out, "wide");
	ok(buf_error(&out));
	ok(regsets_read(out.data, out.len, &s));
	assert_int_equal(s.threads.v[0].xstate.len, XSTATE_SIZE);
	assert_int_equal(s.threads.v[1].xstate.len, 6);
	assert_memory_equal(s.threads.v[1].xstate.data, "wide\0", 6);
	snapshot_deinit(&s);
}

static void what_makes_no_sense_changes_nothing(void **state)
{
	static const uint32_t sizes[] = { 0, 1, 100, UINT32_MAX };
	_cleanup_(buf_deinit) struct buf out = {};
	struct snapshot s, back;

	(void)state;
	make_threads(&s, 2);
	write_to(&s, &out);
	make_threads(&back, 2);
	back.threads.v[0].xstate.len = 1;
	// Less is unpacked than there is, cut short, of no version.
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		memcpy(out.data + 4, &sizes[i], sizeof(sizes[i]));
		ok(regsets_read(out.data, out.len, &back));
	}
	for (size_t len = 0; len < out.len; len++)
		ok(regsets_read(out.data, len, &back));
	out.data[0] = 77;
	ok(regsets_read(out.data, out.len, &back));
	assert_int_equal(back.threads.v[0].xstate.len, 1);
	snapshot_deinit(&s);
	snapshot_deinit(&back);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registers_of_many_threads_come_back_from_little_room),
		cmocka_unit_test(what_was_not_compressed_is_read),
		cmocka_unit_test(what_makes_no_sense_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
