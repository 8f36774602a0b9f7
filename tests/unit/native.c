/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dwarf.h>
#include <elf.h>
#include <execinfo.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/auxv.h>
#include <ucontext.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "walk/native.h"

#define must(call)                                                                                 \
	do {                                                                                       \
		struct error *_err = (call);                                                       \
		if (_err)                                                                          \
			print_error("%s\n", _err->text);                                           \
		assert_null(_err);                                                                 \
	} while (0)

static void print_stack(const struct native_stack *stack)
{
	static const char *const by[] = { "context", "cfi", "frame pointer", "scan" };

	for (size_t i = 0; i < stack->frames.n && i < 100; i++) {
		const struct native_frame *f = &stack->frames.v[i];

		print_error("#%zu %#" PRIx64 " cfa %#" PRIx64 " %s%s\n", i, f->pc, f->cfa,
			    by[f->found_by], f->signal_frame ? " signal" : "");
	}
	print_error("%s %s\n", stack->complete ? "complete" : "incomplete",
		    stack->gap ? stack->gap : "");
}

static void walk_snapshot(const struct snapshot *s, const struct regs *regs,
			  struct native_stack *ret)
{
	struct images images;
	struct unwinder *unwinder;

	must(images_init(&images, s));
	must(unwinder_create(&images, &unwinder));
	must(walk_native(unwinder, regs, ret));
	// A second time everything is known already, and the same must come of it.
	struct native_stack again;
	must(walk_native(unwinder, regs, &again));
	assert_int_equal(again.frames.n, ret->frames.n);
	for (size_t i = 0; i < again.frames.n; i++)
		assert_int_equal(again.frames.v[i].pc, ret->frames.v[i].pc);
	assert_int_equal(again.complete, ret->complete);
	native_stack_deinit(&again);
	unwinder_destroy(unwinder);
	images_deinit(&images);
	assert_true(ret->frames.n >= 1 && ret->frames.n <= NATIVE_MAX_FRAMES);
	if (ret->complete ? ret->gap != NULL : ret->gap == NULL) {
		print_stack(ret);
		fail_msg("a gap if and only if it is not complete");
	}
}

/* The test's own stack, copied at one moment. */

struct shot {
	struct snapshot snapshot;
	struct regs regs;
	void *truth[200]; /* as backtrace() tells it */
	int n_truth;
};

static struct shot shot;
static bool shot_vdso;

static void add_bytes(struct snapshot *s, taddr from, taddr to)
{
	void *copy = arena_alloc(&s->arena, (size_t)(to - from));

	assert_non_null(copy);
	// Byte by byte through the kernel: the sanitizers mind copying other functions' variables.
	int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, copy, (size_t)(to - from), (off_t)from), (ssize_t)(to - from));
	close(fd);
	must(snapshot_add_memory(s, from, copy, (size_t)(to - from)));
}

static void read_maps(struct snapshot *s)
{
	static char text[1 << 20];
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n;

	assert_true(fd >= 0);
	while ((n = read(fd, text + len, sizeof(text) - len)) > 0)
		len += (size_t)n;
	close(fd);
	s->process.maps.data = arena_memdup(&s->arena, text, len + 1);
	s->process.maps.len = len;
	assert_non_null(s->process.maps.data);
	must(snapshot_parse_maps(s));
}

static void take_regs(const ucontext_t *uc, struct regs *ret)
{
	*ret = (struct regs){ .arch = arch_host() };
#if defined(__x86_64__)
	static const int order[] = { REG_R15, REG_R14, REG_R13, REG_R12, REG_RBP, REG_RBX, REG_R11,
				     REG_R10, REG_R9,  REG_R8,	REG_RAX, REG_RCX, REG_RDX, REG_RSI,
				     REG_RDI, -1,      REG_RIP, -1,	 -1,	  REG_RSP };
	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		if (order[i] >= 0)
			ret->r[i] = (uint64_t)uc->uc_mcontext.gregs[order[i]];
#elif defined(__aarch64__)
	memcpy(ret->r, uc->uc_mcontext.regs, sizeof(uc->uc_mcontext.regs));
	ret->r[31] = uc->uc_mcontext.sp;
	ret->r[32] = uc->uc_mcontext.pc;
#endif
}

static taddr other_stack; /* one more stack whose bytes are wanted; 0: none */

static __attribute__((noinline)) void take_shot(void)
{
	ucontext_t uc;

	snapshot_init(&shot.snapshot);
	shot.n_truth = backtrace(shot.truth, ARRAY_SIZE(shot.truth));
	assert_int_equal(getcontext(&uc), 0);
	take_regs(&uc, &shot.regs);
	read_maps(&shot.snapshot);
	taddr stacks[] = { regs_sp(&shot.regs), other_stack };
	for (size_t i = 0; i < ARRAY_SIZE(stacks); i++) {
		const struct mapping *m = snapshot_mapping_at(&shot.snapshot, stacks[i]);

		if (m)
			add_bytes(&shot.snapshot, stacks[i] & ~(taddr)7, m->end);
	}
	if (shot_vdso) {
		const struct module *vdso =
			snapshot_module_at(&shot.snapshot, getauxval(AT_SYSINFO_EHDR));
		assert_non_null(vdso);
		add_bytes(&shot.snapshot, vdso->start, vdso->end);
	}
	must(snapshot_settle_memory(&shot.snapshot));
}

static void drop_shot(void)
{
	snapshot_deinit(&shot.snapshot);
	shot = (struct shot){};
}

static __attribute__((noinline)) int descend(int depth, void (*then)(void))
{
	volatile char room[100];

	room[0] = (char)depth;
	if (depth)
		room[1] = (char)descend(depth - 1, then);
	else
		then();
	return room[0];
}

// FROM is the first frame that must be the same; what lies within was at another instruction.
static void assert_truth(const struct native_stack *stack, size_t from)
{
	bool same = stack->frames.n == (size_t)shot.n_truth;

	for (size_t i = from; same && i < stack->frames.n; i++)
		same = stack->frames.v[i].pc == (uintptr_t)shot.truth[i];
	if (same && stack->complete)
		return;
	print_stack(stack);
	for (int i = 0; i < shot.n_truth; i++)
		print_error("backtrace: #%d %p\n", i, shot.truth[i]);
	fail_msg("not what backtrace() says");
}

// Where in backtrace()'s list the stack of take_shot() begins: sanitizers put themselves before it.
static void skip_interceptors(const struct native_stack *stack)
{
	int extra = shot.n_truth - (int)stack->frames.n;

	if (extra > 0 && extra < 3) {
		shot.n_truth -= extra;
		memmove(shot.truth, shot.truth + extra,
			sizeof(shot.truth[0]) * (size_t)shot.n_truth);
	}
}

static void test_own_stack_is_what_backtrace_says(void **state)
{
	struct native_stack stack;

	(void)state;
	descend(30, take_shot);
	walk_snapshot(&shot.snapshot, &shot.regs, &stack);
	skip_interceptors(&stack);
	assert_true(stack.frames.n > 33);
	assert_truth(&stack, 1);
	assert_int_equal(stack.frames.v[0].found_by, FOUND_BY_CONTEXT);
	for (size_t i = 1; i < stack.frames.n; i++) {
		assert_int_equal(stack.frames.v[i].found_by, FOUND_BY_CFI);
		assert_false(stack.frames.v[i].signal_frame);
		if (i + 1 < stack.frames.n)
			assert_true(stack.frames.v[i].cfa > stack.frames.v[i - 1].cfa);
	}
	native_stack_deinit(&stack);
	drop_shot();
}

static void handler(int signo, siginfo_t *info, void *context)
{
	const ucontext_t *uc = context;
	struct regs interrupted;

	(void)signo;
	(void)info;
	take_regs(uc, &interrupted);
	other_stack = regs_sp(&interrupted);
	descend(3, take_shot);
}

static void raise_signal(void)
{
	raise(SIGUSR1);
}

static void test_signal_handler_on_its_own_stack(void **state)
{
	static char room[256 << 10];
	stack_t alternate = { .ss_sp = room, .ss_size = sizeof(room) };
	struct sigaction old, action = { .sa_sigaction = handler,
					 .sa_flags = SA_SIGINFO | SA_ONSTACK };
	struct native_stack stack;
	unsigned signals = 0;

	(void)state;
	assert_int_equal(sigaltstack(&alternate, NULL), 0);
	assert_int_equal(sigaction(SIGUSR1, &action, &old), 0);
	descend(5, raise_signal);
	sigaction(SIGUSR1, &old, NULL);
	alternate.ss_flags = SS_DISABLE;
	sigaltstack(&alternate, NULL);
	other_stack = 0;

	walk_snapshot(&shot.snapshot, &shot.regs, &stack);
	skip_interceptors(&stack);
	assert_truth(&stack, 1);
	for (size_t i = 0; i < stack.frames.n; i++)
		signals += stack.frames.v[i].signal_frame;
	assert_int_equal(signals, 1);
	native_stack_deinit(&stack);
	drop_shot();
}

static void test_stack_that_was_cut_says_where(void **state)
{
	struct native_stack whole, stack;
	struct mem_range *r = NULL;

	(void)state;
	descend(30, take_shot);
	walk_snapshot(&shot.snapshot, &shot.regs, &whole);
	assert_true(whole.frames.n > 30);
	for (size_t i = 0; i < shot.snapshot.memory.n; i++)
		if (shot.snapshot.memory.v[i].at <= regs_sp(&shot.regs))
			r = &shot.snapshot.memory.v[i];
	assert_non_null(r);
	// What the 16th frame returns to is missing, on x86_64 by its very word.
	taddr end = whole.frames.v[15].cfa - 8;
	assert_true(end > r->at && end - r->at < r->len);
	r->len = (size_t)(end - r->at);
	walk_snapshot(&shot.snapshot, &shot.regs, &stack);
	assert_false(stack.complete);
	assert_in_range(stack.frames.n, 14, 17);
	for (size_t i = 0; i < stack.frames.n; i++)
		assert_int_equal(stack.frames.v[i].pc, whole.frames.v[i].pc);
	const char *at = strstr(stack.gap, "0x");
	if (!at || strtoull(at, NULL, 16) < end || strtoull(at, NULL, 16) > end + 512)
		fail_msg("the bytes end at %#" PRIx64 ", and the gap says: %s", end, stack.gap);
	native_stack_deinit(&stack);
	native_stack_deinit(&whole);
	drop_shot();
}

// Make SHOT's thread call PC from where it is.
static void call_from_shot(taddr pc, uint8_t word[8], taddr *caller)
{
	*caller = (uintptr_t)shot.truth[1];
	for (int i = 0; i < shot.n_truth; i++) {
		taddr at = (uintptr_t)shot.truth[i];
		const struct mapping *m = snapshot_mapping_at(&shot.snapshot, at);

		assert_true(m && m->permissions[2] == 'x');
	}
	if (arch_host()->id == ARCH_X86_64) {
		taddr sp = regs_sp(&shot.regs) - 8;

		memcpy(word, caller, 8);
		shot.regs.r[arch_host()->sp] = sp;
		must(snapshot_add_memory(&shot.snapshot, sp, word, 8));
		must(snapshot_settle_memory(&shot.snapshot));
	} else {
		shot.regs.r[30] = *caller;
	}
	shot.regs.r[arch_host()->pc] = pc;
}

static void check_called(taddr pc)
{
	struct native_stack stack;
	uint8_t word[8];
	taddr caller;

	call_from_shot(pc, word, &caller);
	walk_snapshot(&shot.snapshot, &shot.regs, &stack);
	if (stack.frames.n < 2 || stack.frames.v[0].pc != pc || stack.frames.v[1].pc != caller ||
	    stack.frames.v[1].found_by != FOUND_BY_CFI) {
		print_stack(&stack);
		fail_msg("called %#" PRIx64 " from %#" PRIx64, pc, caller);
	}
	native_stack_deinit(&stack);
	drop_shot();
}

static void test_call_of_nothing_is_told_with_its_caller(void **state)
{
	(void)state;
	descend(3, take_shot);
	check_called(0);
	descend(3, take_shot);
	check_called((uintptr_t)&shot);
	descend(3, take_shot);
	check_called(0x4141414141414141);
}

static void test_through_the_vdso(void **state)
{
	taddr base = getauxval(AT_SYSINFO_EHDR), at;
	struct images images;
	size_t index;

	(void)state;
	if (!base) {
		skip();
		return;
	}
	shot_vdso = true;
	descend(3, take_shot);
	shot_vdso = false;
	must(images_init(&images, &shot.snapshot));
	const struct image *image = images_at(&images, base, &index);
	assert_non_null(image);
	assert_true(image_symbol(image, "__vdso_gettimeofday", &at, NULL) ||
		    image_symbol(image, "__kernel_gettimeofday", &at, NULL));
	images_deinit(&images);
	check_called(at);
}

/* Targets that are made by hand: code at CODE, a stack at STACK. */

#define CODE  ((taddr)0x400000)
#define STACK ((taddr)0x7ffc00000000)

struct made {
	struct snapshot snapshot;
	struct regs regs;
	uint8_t code[0x4000];
	uint64_t *stack;
	size_t words;
};

static void made_init(struct made *m, enum arch_id arch, size_t words, bool module)
{
	char maps[512];
	int n = snprintf(maps, sizeof(maps),
			 "%" PRIx64 "-%" PRIx64 " r-xp 00000000 00:00 0 %s\n"
			 "%" PRIx64 "-%" PRIx64 " rw-p 00000000 00:00 0 [stack]\n",
			 CODE, CODE + sizeof(m->code), module ? "[vdso]" : "", STACK,
			 (STACK + words * 8 + 0xfff) & ~(taddr)0xfff);

	memset(m, 0, sizeof(*m));
	snapshot_init(&m->snapshot);
	m->snapshot.process.maps.data = arena_memdup(&m->snapshot.arena, maps, (size_t)n + 1);
	m->snapshot.process.maps.len = (size_t)n;
	must(snapshot_parse_maps(&m->snapshot));
	m->regs.arch = arch_by_id(arch);
	m->words = words;
	m->stack = calloc(words, 8);
	assert_non_null(m->stack);
	must(snapshot_add_memory(&m->snapshot, CODE, m->code, sizeof(m->code)));
	must(snapshot_add_memory(&m->snapshot, STACK, m->stack, words * 8));
	must(snapshot_settle_memory(&m->snapshot));
	m->regs.r[m->regs.arch->sp] = STACK;
}

static void made_deinit(struct made *m)
{
	free(m->stack);
	snapshot_deinit(&m->snapshot);
}

static void set_reg(struct made *m, unsigned index, uint64_t v)
{
	m->regs.r[index] = v;
}

// Code without any CFI in which everything follows a call.
static void calls_everywhere(struct made *m)
{
	if (m->regs.arch->id == ARCH_X86_64) {
		memset(m->code, 0xe8, sizeof(m->code));
		return;
	}
	for (size_t i = 0; i < sizeof(m->code); i += 4)
		memcpy(m->code + i, "\0\0\0\x94", 4);
}

static void check_frame_pointers(enum arch_id arch)
{
	struct made m;
	struct native_stack stack;

	made_init(&m, arch, 512, false);
	calls_everywhere(&m);
	set_reg(&m, m.regs.arch->pc, CODE + 0x100);
	set_reg(&m, m.regs.arch->fp, STACK + 0x40);
	m.stack[0] = 1;
	m.stack[8] = STACK + 0x80;
	m.stack[9] = CODE + 0x200;
	m.stack[16] = STACK + 0xc0;
	m.stack[17] = CODE + 0x300;
	m.stack[24] = 0;
	m.stack[25] = CODE + 0x400;
	walk_snapshot(&m.snapshot, &m.regs, &stack);
	if (stack.frames.n != 4)
		print_stack(&stack);
	assert_int_equal(stack.frames.n, 4);
	for (size_t i = 1; i < 4; i++) {
		assert_int_equal(stack.frames.v[i].pc, CODE + 0x100 + 0x100 * i);
		assert_int_equal(stack.frames.v[i].found_by, FOUND_BY_FRAME_POINTER);
		assert_int_equal(stack.frames.v[i - 1].cfa, STACK + 0x10 + 0x40 * i);
	}
	native_stack_deinit(&stack);
	made_deinit(&m);
}

static void test_frame_pointers_lead_where_there_is_no_cfi(void **state)
{
	(void)state;
	check_frame_pointers(ARCH_X86_64);
	check_frame_pointers(ARCH_AARCH64);
}

static void test_frame_pointers_in_a_circle_end(void **state)
{
	struct made m;
	struct native_stack stack;

	(void)state;
	for (size_t len = 1; len < 4; len++) {
		made_init(&m, ARCH_X86_64, 512, false);
		calls_everywhere(&m);
		set_reg(&m, m.regs.arch->pc, CODE + 0x100);
		set_reg(&m, m.regs.arch->fp, STACK + 0x40);
		m.stack[0] = 1;
		for (size_t i = 0; i < len; i++) {
			m.stack[8 + 8 * i] = STACK + 0x40 + 0x40 * ((i + 1) % len);
			m.stack[9 + 8 * i] = CODE + 0x200 + i;
		}
		walk_snapshot(&m.snapshot, &m.regs, &stack);
		if (stack.frames.n > 2 * len + 2 || stack.complete) {
			print_stack(&stack);
			fail_msg("%zu frames of a circle of %zu", stack.frames.n, len);
		}
		native_stack_deinit(&stack);
		made_deinit(&m);
	}
}

static void test_scan_finds_what_calls_left(void **state)
{
	struct made m;
	struct native_stack stack;

	(void)state;
	made_init(&m, ARCH_X86_64, 512, false);
	// One call by register at CODE + 0x10, one through memory at CODE + 0x20.
	memcpy(m.code + 0x10, "\x41\xff\xd3", 3);
	memcpy(m.code + 0x20, "\xff\x54\x24\x08", 4);
	set_reg(&m, m.regs.arch->pc, CODE + 0x100);
	m.stack[3] = CODE + 0x12; // inside of the instruction
	m.stack[4] = CODE + 0x13;
	m.stack[5] = CODE + 0x30; // code, but behind no call
	m.stack[9] = CODE + 0x24;
	walk_snapshot(&m.snapshot, &m.regs, &stack);
	if (stack.frames.n != 3)
		print_stack(&stack);
	assert_int_equal(stack.frames.n, 3);
	assert_int_equal(stack.frames.v[1].pc, CODE + 0x13);
	assert_int_equal(stack.frames.v[1].found_by, FOUND_BY_SCAN);
	assert_int_equal(stack.frames.v[0].cfa, STACK + 5 * 8);
	assert_int_equal(stack.frames.v[2].pc, CODE + 0x24);
	assert_false(stack.complete);
	native_stack_deinit(&stack);
	made_deinit(&m);
}

static void test_endless_stack_is_cut(void **state)
{
	struct made m;
	struct native_stack stack;
	size_t frames = NATIVE_MAX_FRAMES + 100;

	(void)state;
	made_init(&m, ARCH_X86_64, 2 * frames + 16, false);
	calls_everywhere(&m);
	set_reg(&m, m.regs.arch->pc, CODE + 0x100);
	set_reg(&m, m.regs.arch->fp, STACK + 16);
	for (size_t i = 1; i <= frames; i++) {
		m.stack[2 * i] = STACK + 16 * (i + 1);
		m.stack[2 * i + 1] = CODE + 0x200 + i % 1000;
	}
	walk_snapshot(&m.snapshot, &m.regs, &stack);
	assert_int_equal(stack.frames.n, NATIVE_MAX_FRAMES);
	assert_false(stack.complete);
	assert_non_null(strstr(stack.gap, "65536"));
	native_stack_deinit(&stack);
	made_deinit(&m);
}

static void test_registers_that_were_not_captured_are_a_gap(void **state)
{
	struct made m;
	struct native_stack stack = {};
	struct images images;
	struct unwinder *unwinder;

	(void)state;
	made_init(&m, ARCH_X86_64, 512, false);
	m.regs.arch = NULL;
	must(images_init(&images, &m.snapshot));
	must(unwinder_create(&images, &unwinder));
	must(walk_native(unwinder, &m.regs, &stack));
	assert_int_equal(stack.frames.n, 0);
	assert_false(stack.complete);
	assert_non_null(stack.gap);
	native_stack_deinit(&stack);
	unwinder_destroy(unwinder);
	images_deinit(&images);
	made_deinit(&m);
}

/* Modules with CFI of the test's own. */

struct cfi_text {
	const char *name;
	uint8_t fde[20];
	size_t fde_len;
};

#define PROGRAM(...) .fde = { __VA_ARGS__ }, .fde_len = sizeof((uint8_t[]){ __VA_ARGS__ })

static void put_length(struct buf *buf, size_t begin)
{
	uint32_t len = (uint32_t)(buf->len - begin - 4);

	memcpy(buf->data + begin, &len, 4);
}

enum form { FORM_EH_TABLE, FORM_EH, FORM_DEBUG };

#define FUNCTION ((taddr)0x1000) /* of FUNCTION_LEN bytes each: inner, outer, root, signal */
#define FUNCTION_LEN 0x100

struct function {
	const uint8_t *program;
	size_t len;
	bool signal;
};

// An ELF image, as a module in memory, that describes FUNCTIONS one behind the other.
static void make_module(uint8_t *image, size_t room, uint16_t machine, enum form form, unsigned ra,
			const uint8_t *cie, size_t cie_len, const struct function *functions,
			size_t n)
{
	static const char names[] = "\0.eh_frame\0.debug_frame\0.shstrtab";
	_cleanup_(buf_deinit) struct buf b = {};
	size_t cies[2], fdes[8];
	bool debug = form == FORM_DEBUG;

	buf_zero(&b, 0x2000); // headers and code
	size_t frames = b.len;
	for (unsigned k = 0; k < 2; k++) {
		cies[k] = b.len;
		buf_u32(&b, 0);
		buf_u32(&b, debug ? UINT32_MAX : 0);
		buf_add(&b, "\1", 1);
		if (debug)
			buf_zero(&b, 1);
		else
			buf_add(&b, k ? "zRS" : "zR", k ? 4 : 3);
		uint8_t rest[] = { 1, 0x78, (uint8_t)ra, 1, DW_EH_PE_pcrel | DW_EH_PE_sdata4 };
		buf_add(&b, rest, debug ? 3 : 5);
		buf_add(&b, cie, cie_len);
		put_length(&b, cies[k]);
	}
	for (size_t i = 0; i < n; i++) {
		size_t at = fdes[i] = b.len;
		taddr start = FUNCTION + i * FUNCTION_LEN;

		buf_u32(&b, 0);
		buf_u32(&b, debug ? (uint32_t)(cies[functions[i].signal] - frames) :
				    (uint32_t)(at + 4 - cies[functions[i].signal]));
		if (debug) {
			buf_u64(&b, start);
			buf_u64(&b, FUNCTION_LEN);
		} else {
			buf_u32(&b, (uint32_t)(start - b.len));
			buf_u32(&b, FUNCTION_LEN);
			buf_zero(&b, 1);
		}
		buf_add(&b, functions[i].program, functions[i].len);
		put_length(&b, at);
	}
	if (!debug)
		buf_u32(&b, 0);
	size_t frames_len = b.len - frames;
	buf_align(&b, 8);
	size_t hdr = b.len;
	if (form == FORM_EH_TABLE) {
		uint8_t head[] = { 1, DW_EH_PE_pcrel | DW_EH_PE_sdata4, DW_EH_PE_udata4,
				   DW_EH_PE_datarel | DW_EH_PE_sdata4 };
		buf_add(&b, head, sizeof(head));
		buf_u32(&b, (uint32_t)(frames - b.len));
		buf_u32(&b, (uint32_t)n);
		for (size_t i = 0; i < n; i++) {
			buf_u32(&b, (uint32_t)(FUNCTION + i * FUNCTION_LEN - hdr));
			buf_u32(&b, (uint32_t)(fdes[i] - hdr));
		}
	}
	size_t hdr_len = b.len - hdr, names_at = b.len;
	buf_add(&b, names, sizeof(names));
	buf_align(&b, 8);
	Elf64_Shdr sections[] = {
		{},
		{ .sh_name = debug ? 11 : 1,
		  .sh_type = SHT_PROGBITS,
		  .sh_addr = debug ? 0 : frames,
		  .sh_offset = frames,
		  .sh_size = frames_len },
		{ .sh_name = 24,
		  .sh_type = SHT_STRTAB,
		  .sh_offset = names_at,
		  .sh_size = sizeof(names) },
	};
	size_t sections_at = b.len;
	buf_add(&b, sections, sizeof(sections));
	assert_false(b.failed);
	assert_true(b.len <= room);
	Elf64_Ehdr eh = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
			     EV_CURRENT },
		.e_type = ET_DYN,
		.e_machine = machine,
		.e_phoff = sizeof(Elf64_Ehdr),
		.e_shoff = sections_at,
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = form == FORM_EH_TABLE ? 2 : 1,
		.e_shentsize = sizeof(Elf64_Shdr),
		.e_shnum = ARRAY_SIZE(sections),
		.e_shstrndx = 2,
	};
	Elf64_Phdr ph[] = {
		{ .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_filesz = b.len, .p_memsz = b.len },
		{ .p_type = PT_GNU_EH_FRAME, .p_flags = PF_R, .p_vaddr = hdr, .p_offset = hdr,
		  .p_filesz = hdr_len, .p_memsz = hdr_len },
	};
	memcpy(b.data, &eh, sizeof(eh));
	memcpy(b.data + sizeof(eh), ph, sizeof(ph));
	memset(image, 0, room);
	memcpy(image, b.data, b.len);
}

#define AT(i, off) (CODE + FUNCTION + (i) * FUNCTION_LEN + (off))

// x86_64: inner has a frame of 32 bytes, outer one of 48, root has no caller.
static void make_x86_64(struct made *m, enum form form, const uint8_t *outer, size_t outer_len)
{
	static const uint8_t cie[] = { DW_CFA_def_cfa, 7, 8, DW_CFA_offset | 16, 1 };
	static const uint8_t inner[] = { DW_CFA_advance_loc | 4, DW_CFA_def_cfa_offset, 32 };
	static const uint8_t usual[] = { DW_CFA_advance_loc | 4, DW_CFA_def_cfa_offset, 48 };
	static const uint8_t root[] = { DW_CFA_undefined, 16 };
	struct function functions[] = {
		{ inner, sizeof(inner), false },
		{ outer ? outer : usual, outer ? outer_len : sizeof(usual), false },
		{ root, sizeof(root), false },
	};

	made_init(m, ARCH_X86_64, 512, true);
	make_module(m->code, sizeof(m->code), EM_X86_64, form, 16, cie, sizeof(cie), functions,
		    ARRAY_SIZE(functions));
	set_reg(m, m->regs.arch->pc, AT(0, 0x10));
	m->stack[3] = AT(1, 0x20);
	m->stack[4 + 5] = AT(2, 0x30);
}

static void check_three(struct made *m, const char *what)
{
	static const taddr pcs[] = { AT(0, 0x10), AT(1, 0x20), AT(2, 0x30) };
	struct native_stack stack;

	walk_snapshot(&m->snapshot, &m->regs, &stack);
	bool same = stack.frames.n == 3 && stack.complete;
	for (size_t i = 0; same && i < 3; i++)
		same = stack.frames.v[i].pc == pcs[i] &&
		       stack.frames.v[i].found_by == (i ? FOUND_BY_CFI : FOUND_BY_CONTEXT);
	if (!same) {
		print_stack(&stack);
		fail_msg("%s", what);
	}
	assert_int_equal(stack.frames.v[0].cfa, STACK + 4 * 8);
	assert_int_equal(stack.frames.v[1].cfa, STACK + 10 * 8);
	native_stack_deinit(&stack);
}

static void test_every_form_of_cfi_is_read(void **state)
{
	static const char *const names[] = { ".eh_frame with a table", ".eh_frame without a table",
					     ".debug_frame" };

	(void)state;
	for (enum form form = FORM_EH_TABLE; form <= FORM_DEBUG; form++) {
		struct made m;

		make_x86_64(&m, form, NULL, 0);
		check_three(&m, names[form]);
		made_deinit(&m);
	}
}

// CFI that libunwind cannot execute, or must not see, says the same.
static void test_unusual_cfi_says_the_same(void **state)
{
	static const struct cfi_text cases[] = {
		{ "a vector register is saved",
		  PROGRAM(DW_CFA_def_cfa_offset, 48, DW_CFA_offset_extended, 20, 3) },
		{ "val_offset", PROGRAM(DW_CFA_def_cfa_offset, 48, DW_CFA_val_offset, 7, 0) },
		{ "an expression that divides",
		  PROGRAM(DW_CFA_def_cfa_expression, 8, DW_OP_breg7, 0, DW_OP_const1u, 96,
			  DW_OP_lit2, DW_OP_div, DW_OP_plus, DW_OP_nop) },
		{ "the smallest number by -1",
		  PROGRAM(DW_CFA_def_cfa_expression, 11, DW_OP_breg7, 48, DW_OP_lit1,
			  DW_OP_const1u, 63, DW_OP_shl, DW_OP_const1s, 0xff, DW_OP_div,
			  DW_OP_drop, DW_OP_nop) },
		{ "an expression that jumps",
		  PROGRAM(DW_CFA_def_cfa_expression, 8, DW_OP_breg7, 48, DW_OP_skip, 1, 0,
			  DW_OP_drop, DW_OP_nop, DW_OP_nop) },
		{ "remembered state",
		  PROGRAM(DW_CFA_def_cfa_offset, 48, DW_CFA_remember_state,
			  DW_CFA_def_cfa_offset, 99, DW_CFA_restore_state) },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct made m;

		make_x86_64(&m, FORM_EH_TABLE, cases[i].fde, cases[i].fde_len);
		check_three(&m, cases[i].name);
		made_deinit(&m);
	}
}

// Programs made to hurt: the frame that has one is told, and then something else must come.
static void test_hostile_cfi_is_no_danger(void **state)
{
	static const struct cfi_text cases[] = {
		{ "an expression that loops",
		  PROGRAM(DW_CFA_def_cfa_expression, 3, DW_OP_skip, 0xfd, 0xff) },
		{ "a loop that pushes",
		  PROGRAM(DW_CFA_def_cfa_expression, 4, DW_OP_lit1, DW_OP_skip, 0xfc, 0xff) },
		{ "a jump into nowhere",
		  PROGRAM(DW_CFA_def_cfa_expression, 3, DW_OP_skip, 0, 0x80) },
		{ "an empty expression", PROGRAM(DW_CFA_def_cfa_expression, 0) },
		{ "a pop of nothing", PROGRAM(DW_CFA_def_cfa_expression, 1, DW_OP_plus) },
		{ "division by zero",
		  PROGRAM(DW_CFA_def_cfa_expression, 3, DW_OP_lit1, DW_OP_lit0, DW_OP_div) },
		{ "a register of 2^31", PROGRAM(DW_CFA_register, 3, 0x80, 0x80, 0x80, 0x80, 8) },
		{ "a column of 2^28", PROGRAM(DW_CFA_undefined, 0x80, 0x80, 0x80, 0x80, 1) },
		{ "restore without remember", PROGRAM(DW_CFA_restore_state) },
		{ "an operand that is missing", PROGRAM(DW_CFA_advance_loc4, 1) },
		{ "a block that is longer than all",
		  PROGRAM(DW_CFA_expression, 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
			  0xff, 1) },
		{ "an unknown instruction", PROGRAM(0x3f) },
		{ "a CFA that goes down", PROGRAM(DW_CFA_def_cfa_sf, 7, 8) },
		{ "a CFA that stays", PROGRAM(DW_CFA_def_cfa_offset, 0) },
		{ "a CFA out of the world",
		  PROGRAM(DW_CFA_def_cfa, 7, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
			  0xff, 1) },
		{ "a return address in no register", PROGRAM(DW_CFA_register, 16, 20) },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct made m;
		struct native_stack stack;

		make_x86_64(&m, i % 2 ? FORM_EH_TABLE : FORM_EH, cases[i].fde, cases[i].fde_len);
		walk_snapshot(&m.snapshot, &m.regs, &stack);
		if (stack.frames.n != 2 || stack.frames.v[1].pc != AT(1, 0x20) || stack.complete) {
			print_stack(&stack);
			fail_msg("%s", cases[i].name);
		}
		native_stack_deinit(&stack);
		made_deinit(&m);
	}
}

// aarch64: inner is a leaf without a frame, outer has one and a signed return address.
static void make_aarch64(struct made *m, enum form form)
{
	static const uint8_t cie[] = { DW_CFA_def_cfa, 31, 0 };
	static const uint8_t leaf[] = { DW_CFA_nop };
	static const uint8_t outer[] = { DW_CFA_GNU_window_save, DW_CFA_advance_loc | 4,
					 DW_CFA_def_cfa_offset, 48, DW_CFA_offset | 29, 6,
					 DW_CFA_offset | 30, 5 };
	static const uint8_t root[] = { DW_CFA_undefined, 30 };
	static const struct function functions[] = {
		{ leaf, sizeof(leaf), false },
		{ outer, sizeof(outer), false },
		{ root, sizeof(root), false },
	};

	made_init(m, ARCH_AARCH64, 512, true);
	make_module(m->code, sizeof(m->code), EM_AARCH64, form, 30, cie, sizeof(cie), functions,
		    ARRAY_SIZE(functions));
	set_reg(m, 32, AT(0, 0x10));
	set_reg(m, 30, AT(1, 0x20));
	m->stack[0] = STACK + 0x200;
	m->stack[1] = AT(2, 0x30) | 0x002b000000000000;
}

static void test_aarch64_is_walked_on_any_machine(void **state)
{
	static const taddr pcs[] = { AT(0, 0x10), AT(1, 0x20), AT(2, 0x30) };

	(void)state;
	for (enum form form = FORM_EH_TABLE; form <= FORM_DEBUG; form++) {
		struct made m;
		struct native_stack stack;

		make_aarch64(&m, form);
		walk_snapshot(&m.snapshot, &m.regs, &stack);
		bool same = stack.frames.n == 3 && stack.complete;
		for (size_t i = 0; same && i < 3; i++)
			same = stack.frames.v[i].pc == pcs[i];
		if (!same) {
			print_stack(&stack);
			fail_msg("form %d", (int)form);
		}
		assert_int_equal(stack.frames.v[0].cfa, STACK);
		assert_int_equal(stack.frames.v[1].cfa, STACK + 48);
		native_stack_deinit(&stack);
		made_deinit(&m);
	}
}

// A trampoline that nobody describes, known by its code; the kernel's frame is at the stack
// pointer.
static void test_trampolines_without_cfi_are_known(void **state)
{
	struct made m;
	struct native_stack stack;

	(void)state;
	make_x86_64(&m, FORM_EH, NULL, 0);
	memcpy(m.code + 0x800, "\x48\xc7\xc0\x0f\x00\x00\x00\x0f\x05", 9);
	// Inner runs as the handler; what it interrupted is outer, whose stack lies above.
	m.stack[3] = CODE + 0x800;
	m.stack[4 + 5 + 15] = STACK + 100 * 8; // rsp
	m.stack[4 + 5 + 16] = AT(1, 0);	       // rip, at the first instruction
	m.stack[100] = AT(2, 0x30);
	walk_snapshot(&m.snapshot, &m.regs, &stack);
	if (stack.frames.n != 4 || !stack.complete) {
		print_stack(&stack);
		fail_msg("x86_64");
	}
	assert_true(stack.frames.v[1].signal_frame);
	assert_int_equal(stack.frames.v[1].pc, CODE + 0x800);
	assert_int_equal(stack.frames.v[2].pc, AT(1, 0));
	assert_int_equal(stack.frames.v[3].pc, AT(2, 0x30));
	native_stack_deinit(&stack);
	made_deinit(&m);

	make_aarch64(&m, FORM_EH);
	memcpy(m.code + 0x800, "\x68\x11\x80\xd2\x01\x00\x00\xd4", 8);
	set_reg(&m, 30, CODE + 0x800);
	m.stack[39 + 30] = AT(2, 0x30);	 // x30
	m.stack[39 + 31] = STACK + 0x500; // sp
	m.stack[39 + 32] = AT(0, 0);
	walk_snapshot(&m.snapshot, &m.regs, &stack);
	if (stack.frames.n != 4 || !stack.complete) {
		print_stack(&stack);
		fail_msg("aarch64");
	}
	assert_true(stack.frames.v[1].signal_frame);
	assert_int_equal(stack.frames.v[2].pc, AT(0, 0));
	assert_int_equal(stack.frames.v[3].pc, AT(2, 0x30));
	native_stack_deinit(&stack);
	made_deinit(&m);
}

// Rules differ between a pc that was interrupted and a call that returns there.
static void test_interrupted_pc_and_return_address_are_kept_apart(void **state)
{
	// At offset 0x20 the frame is gone: a call that returns there still has it.
	static const uint8_t outer[] = { DW_CFA_def_cfa_offset, 48, DW_CFA_advance_loc | 0x20,
					 DW_CFA_def_cfa_offset, 8 };
	struct made m;
	struct images images;
	struct unwinder *unwinder;

	(void)state;
	make_x86_64(&m, FORM_EH_TABLE, outer, sizeof(outer));
	m.stack[20] = AT(2, 0x30);
	must(images_init(&images, &m.snapshot));
	must(unwinder_create(&images, &unwinder));
	for (int round = 0; round < 4; round++) {
		struct regs regs = m.regs;
		struct native_stack stack;

		if (round % 2) {
			regs.r[regs.arch->pc] = AT(1, 0x20);
			regs.r[regs.arch->sp] = STACK + 20 * 8;
		}
		must(walk_native(unwinder, &regs, &stack));
		size_t n = round % 2 ? 2 : 3;
		if (stack.frames.n != n || !stack.complete ||
		    stack.frames.v[n - 2].cfa != (round % 2 ? STACK + 21 * 8 : STACK + 10 * 8)) {
			print_stack(&stack);
			fail_msg("round %d", round);
		}
		native_stack_deinit(&stack);
	}
	unwinder_destroy(unwinder);
	images_deinit(&images);
	made_deinit(&m);
}

// Two targets have different code at the same addresses, and are looked at in turn.
static void test_two_unwinders_do_not_share_rules(void **state)
{
	static const uint8_t other[] = { DW_CFA_def_cfa_offset, 64 };
	struct made m[2];
	struct images images[2];
	struct unwinder *unwinder[2];

	(void)state;
	make_x86_64(&m[0], FORM_EH_TABLE, NULL, 0);
	make_x86_64(&m[1], FORM_EH_TABLE, other, sizeof(other));
	m[1].stack[4 + 7] = AT(2, 0x30);
	for (int i = 0; i < 2; i++) {
		must(images_init(&images[i], &m[i].snapshot));
		must(unwinder_create(&images[i], &unwinder[i]));
	}
	for (int round = 0; round < 4; round++) {
		struct native_stack stack;
		int i = round % 2;

		must(walk_native(unwinder[i], &m[i].regs, &stack));
		if (stack.frames.n != 3 || !stack.complete ||
		    stack.frames.v[1].cfa != STACK + (i ? 12 : 10) * 8) {
			print_stack(&stack);
			fail_msg("round %d", round);
		}
		native_stack_deinit(&stack);
	}
	for (int i = 0; i < 2; i++) {
		unwinder_destroy(unwinder[i]);
		images_deinit(&images[i]);
		made_deinit(&m[i]);
	}
}

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

// Whatever is written over the module, the registers and the stack: an end, and no harm.
static void test_spoilt_targets_do_no_harm(void **state)
{
	uint32_t seed = 4711;
	size_t whole = 0;

	(void)state;
	for (unsigned round = 0; round < 6000; round++) {
		struct made m;
		struct native_stack stack;

		if (round % 4 == 3)
			make_aarch64(&m, round % 3);
		else
			make_x86_64(&m, round % 3, NULL, 0);
		for (unsigned i = 0; i <= next_random(&seed) % 6; i++) {
			uint32_t where = next_random(&seed);
			uint8_t value = (uint8_t)next_random(&seed);

			switch (next_random(&seed) % 8) {
			case 0: // ELF and program headers
				m.code[where % 176] = value;
				break;
			case 1:
				((uint8_t *)m.stack)[where % 160] = value;
				break;
			case 2:
				m.regs.r[where % m.regs.arch->n_regs] ^= (uint64_t)value
									 << (where % 57);
				break;
			default: // CFI, its table, section headers
				m.code[0x2000 + where % 0x240] = value;
			}
		}
		walk_snapshot(&m.snapshot, &m.regs, &stack);
		whole += stack.frames.n == 3 && stack.complete;
		native_stack_deinit(&stack);
		made_deinit(&m);
	}
	// The changes must neither miss all that matters nor spoil everything.
	if (whole < 600 || whole > 5400)
		fail_msg("%zu stacks of 6000 were whole", whole);
}

static void test_truncated_modules_do_no_harm(void **state)
{
	(void)state;
	for (size_t len = 0; len < 0x2400; len += len < 0x100 || len >= 0x2000 ? 3 : 0x100) {
		struct made m;
		struct native_stack stack;

		make_x86_64(&m, len % 2 ? FORM_EH_TABLE : FORM_EH, NULL, 0);
		m.snapshot.memory.v[0].len = len ? len : 1;
		walk_snapshot(&m.snapshot, &m.regs, &stack);
		assert_int_equal(stack.frames.v[0].pc, AT(0, 0x10));
		native_stack_deinit(&stack);
		made_deinit(&m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own_stack_is_what_backtrace_says),
		cmocka_unit_test(test_signal_handler_on_its_own_stack),
		cmocka_unit_test(test_stack_that_was_cut_says_where),
		cmocka_unit_test(test_call_of_nothing_is_told_with_its_caller),
		cmocka_unit_test(test_through_the_vdso),
		cmocka_unit_test(test_frame_pointers_lead_where_there_is_no_cfi),
		cmocka_unit_test(test_frame_pointers_in_a_circle_end),
		cmocka_unit_test(test_scan_finds_what_calls_left),
		cmocka_unit_test(test_endless_stack_is_cut),
		cmocka_unit_test(test_registers_that_were_not_captured_are_a_gap),
		cmocka_unit_test(test_every_form_of_cfi_is_read),
		cmocka_unit_test(test_unusual_cfi_says_the_same),
		cmocka_unit_test(test_hostile_cfi_is_no_danger),
		cmocka_unit_test(test_aarch64_is_walked_on_any_machine),
		cmocka_unit_test(test_trampolines_without_cfi_are_known),
		cmocka_unit_test(test_interrupted_pc_and_return_address_are_kept_apart),
		cmocka_unit_test(test_two_unwinders_do_not_share_rules),
		cmocka_unit_test(test_spoilt_targets_do_no_harm),
		cmocka_unit_test(test_truncated_modules_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
