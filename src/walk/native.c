/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "native.h"

#include <endian.h>
#include <inttypes.h>
#include <libunwind.h>
#include <string.h>

#include "../cleanup.h"
#include "callsite.h"
#include "cfi.h"
#include "rules.h"

#define NATIVE_MAX_SWITCHES 64		     /* of stacks, downwards */
#define NATIVE_MAX_FP_STEP  ((taddr)1 << 20) /* bytes of one frame found by its frame pointer */
#define NATIVE_MAX_SCAN	    ((taddr)16 << 10) /* bytes looked through for one return address */
#define NATIVE_MAX_SCANS    256		     /* frames of one thread that may be found so */
#define NATIVE_CACHE	    1024	     /* pcs whose rules libunwind keeps */
#define NATIVE_MAX_READS    (8u << 20) /* of libunwind for one thread: its expressions may loop */

// Registers by DWARF number, which differ from the kernel's order on x86_64.
struct layout {
	enum arch_id id;
	unsigned n;
	const uint8_t *kernel; /* index into regs.r of register n; NULL: the same */
	unsigned sp, fp;
	int pc;		       /* -1: has no number */
	int lr;		       /* where a call puts its return address; -1: on the stack */
};

static const uint8_t x86_64_kernel[] = { 10, 12, 11, 5, 13, 14, 4, 19, 9, 8, 7, 6, 3, 2, 1, 0, 16 };

static const struct layout layouts[] = {
	{ .id = ARCH_X86_64, .n = 17, .kernel = x86_64_kernel,
	  .sp = 7, .fp = 6, .pc = 16, .lr = -1 },
	{ .id = ARCH_AARCH64, .n = 32, .sp = 31, .fp = 29, .pc = -1, .lr = 30 },
};

// The architecture whose stacks the libunwind that we are linked with can walk, and how many of its
// registers have DWARF's numbers.
#if defined(UNW_TARGET_X86_64)
#define LIBUNWIND_ARCH ARCH_X86_64
#define LIBUNWIND_REGS 17
#elif defined(UNW_TARGET_AARCH64)
#define LIBUNWIND_ARCH ARCH_AARCH64
#define LIBUNWIND_REGS 32
#else
#error "a libunwind for an architecture that is not known here"
#endif

// Exported for those who find entries by other means, but declared nowhere.
#define search_unwind_table UNW_OBJ(dwarf_search_unwind_table)
int search_unwind_table(unw_addr_space_t space, unw_word_t ip, unw_dyn_info_t *info,
			unw_proc_info_t *pi, int need, void *arg);

// An entry of CFI is shown to libunwind at an address where no architecture has memory.
#define WINDOW ((taddr)1 << 62)

struct known {
	taddr pc;	     /* looked up; 0: free */
	struct rules *rules; /* NULL: there are none */
};

struct unwinder {
	uint64_t serial; /* no two have the same */
	struct images *images;
	struct cfi *cfi; /* one per module */
	struct arena arena;
	struct known *known; /* open hashing by pc; size a power of two */
	size_t known_size, n_known;

	struct mem mem;		        /* images->mem with a short way to the region read last */
	const struct mem_range *region; /* NULL: none yet */
	const struct mapping *code;     /* the executable mapping asked for last */

	const struct frame_regs *regs; /* what a cursor starts from */
	struct buf window;
	unsigned reads;	   /* that are left */
	struct error *err; /* ours, met in a callback */
};

struct walk {
	struct unwinder *unwinder;
	const struct arch *arch;
	const struct layout *layout;
	taddr pc_mask;		/* what belongs to an address of code */
	struct frame_regs regs; /* of the outermost frame so far */
	bool exact;		/* its pc is an instruction, not a return address */
	taddr floor;		/* its CFA lies above this */
	unsigned switches, scans;
	taddr fault;		/* a stack address that could not be read; 0: none */
	struct native_stack stack;
};

void native_stack_deinit(struct native_stack *stack)
{
	arena_deinit(&stack->arena);
	*stack = (struct native_stack){};
}

static const struct mem_range *region_at(const struct snapshot *snapshot, taddr at)
{
	size_t lo = 0, hi = snapshot->memory.n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct mem_range *r = &snapshot->memory.v[mid];

		if (at < r->at)
			hi = mid;
		else if (at - r->at >= r->len)
			lo = mid + 1;
		else
			return r;
	}
	return NULL;
}

// Nearly every read is of the stack that is being walked.
static size_t unwinder_read(const struct mem *mem, taddr at, void *ret, size_t len)
{
	struct unwinder *u = (struct unwinder *)container_of(mem, struct unwinder, mem);
	const struct mem_range *r = u->region;

	if (!r || at < r->at || at - r->at >= r->len) {
		r = region_at(u->images->snapshot, at);
		if (!r)
			return mem_read_some(&u->images->mem.mem, at, ret, len);
		u->region = r;
	}
	if (len > r->len - (at - r->at))
		return mem_read_some(&u->images->mem.mem, at, ret, len);
	memcpy(ret, r->data + (at - r->at), len);
	return len;
}

static bool read_u64(struct unwinder *u, taddr at, uint64_t *ret)
{
	uint64_t v;

	if (mem_read_some(&u->mem, at, &v, sizeof(v)) != sizeof(v))
		return false;
	*ret = le64toh(v);
	return true;
}

static bool executable(struct unwinder *u, taddr at)
{
	const struct snapshot *snapshot = u->images->snapshot;

	// Without the memory map the modules have to do.
	if (!snapshot->mappings.n)
		return snapshot_module_at(snapshot, at) != NULL;
	if (u->code && at >= u->code->start && at < u->code->end)
		return true;
	const struct mapping *m = snapshot_mapping_at(snapshot, at);
	if (!m || m->permissions[2] != 'x')
		return false;
	u->code = m;
	return true;
}

static size_t known_slot(const struct known *table, size_t size, taddr pc)
{
	size_t i = (size_t)(pc * 0x9e3779b97f4a7c15u >> 32) & (size - 1);

	while (table[i].pc && table[i].pc != pc)
		i = (i + 1) & (size - 1);
	return i;
}

static struct error *known_add(struct unwinder *u, taddr pc, struct rules *rules)
{
	if ((u->n_known + 1) * 2 > u->known_size) {
		size_t size = u->known_size ? u->known_size * 2 : 256;
		struct known *table = calloc(size, sizeof(*table));

		if (!table)
			return error_nomem();
		for (size_t i = 0; i < u->known_size; i++)
			if (u->known[i].pc)
				table[known_slot(table, size, u->known[i].pc)] = u->known[i];
		free(u->known);
		u->known = table;
		u->known_size = size;
	}
	u->known[known_slot(u->known, u->known_size, pc)] = (struct known){ pc, rules };
	u->n_known++;
	return NULL;
}

static struct error *find_entry(struct unwinder *u, taddr pc, uint16_t *machine,
				struct cfi_entry *ret, bool *found_ret)
{
	size_t index;
	const struct image *image = images_at(u->images, pc, &index);

	*found_ret = false;
	if (!image)
		return NULL;
	*machine = image->machine;
	return cfi_find(&u->cfi[index], image, pc, ret, found_ret);
}

// The rules for PC, an address to look up; NULL when there are none.
static struct error *find_rules(struct walk *w, taddr pc, struct rules **ret)
{
	struct unwinder *u = w->unwinder;

	*ret = NULL;
	if (!pc)
		return NULL;
	if (u->known_size) {
		const struct known *known = &u->known[known_slot(u->known, u->known_size, pc)];

		if (known->pc) {
			*ret = known->rules;
			return NULL;
		}
	}
	_cleanup_(cfi_entry_deinit) struct cfi_entry entry = {};
	uint16_t machine;
	bool found;
	struct error *err = find_entry(u, pc, &machine, &entry, &found);
	if (!err && found && machine == w->arch->elf_machine)
		err = rules_make(&entry, machine, pc, &u->arena, ret);
	return err ? err : known_add(u, pc, *ret);
}

// libunwind's view of the target: callbacks with the unwinder as their argument.

static int find_proc_info(unw_addr_space_t space, unw_word_t ip, unw_proc_info_t *pi, int need,
			  void *arg)
{
	struct unwinder *u = arg;
	_cleanup_(cfi_entry_deinit) struct cfi_entry entry = {};
	uint16_t machine;
	size_t fde;
	bool found;

	u->err = find_entry(u, ip, &machine, &entry, &found);
	// libunwind keeps rules by pc alone, but at a pc that was interrupted they may differ from
	// those of a call that returns there. So it gets calls only, and never a signal's frame.
	if (u->err || !found || !entry.basic || entry.signal ||
	    machine != arch_by_id(LIBUNWIND_ARCH)->elf_machine)
		return -UNW_EINVAL;
	buf_deinit(&u->window);
	u->err = cfi_entry_write(&entry, &u->window, &fde);
	if (u->err)
		return -UNW_ENOMEM;
	// A table of one row, which begins where the function does.
	size_t row = u->window.len;
	buf_u32(&u->window, 0);
	buf_u32(&u->window, (uint32_t)fde);
	u->err = buf_error(&u->window);
	if (u->err)
		return -UNW_ENOMEM;
	unw_dyn_info_t info = {
		.format = UNW_INFO_FORMAT_IP_OFFSET,
		.start_ip = entry.start,
		.end_ip = entry.end,
		.u.rti = { .segbase = WINDOW, .table_data = WINDOW + row, .table_len = 1 },
	};
	return search_unwind_table(space, ip, &info, pi, need, arg);
}

static void put_unwind_info(unw_addr_space_t space, unw_proc_info_t *pi, void *arg)
{
	(void)space;
	(void)pi;
	(void)arg;
}

static int no_dynamic_info(unw_addr_space_t space, unw_word_t *ret, void *arg)
{
	(void)space;
	(void)ret;
	(void)arg;
	return -UNW_ENOINFO;
}

static int access_mem(unw_addr_space_t space, unw_word_t at, unw_word_t *ret, int write, void *arg)
{
	struct unwinder *u = arg;
	uint64_t v = 0;

	(void)space;
	if (write || !u->reads)
		return -UNW_EINVAL;
	u->reads--;
	if (at >= WINDOW && at - WINDOW < u->window.len) {
		// It reads whole words; behind the window's end there are zeros.
		size_t left = u->window.len - (size_t)(at - WINDOW);

		memcpy(&v, u->window.data + (at - WINDOW), left < sizeof(v) ? left : sizeof(v));
		*ret = le64toh(v);
		return 0;
	}
	if (!read_u64(u, at, &v))
		return -UNW_EINVAL;
	*ret = v;
	return 0;
}

static int access_reg(unw_addr_space_t space, unw_regnum_t reg, unw_word_t *ret, int write,
		      void *arg)
{
	struct unwinder *u = arg;
	uint64_t v;

	(void)space;
	if (write)
		return -UNW_EREADONLYREG;
	// The call, not what it returns to: that may belong to the next function already.
	if (reg == UNW_REG_IP)
		*ret = u->regs->pc - 1;
	else if (reg >= 0 && frame_reg(u->regs, (unsigned)reg, &v))
		*ret = v;
	else
		return -UNW_EBADREG;
	return 0;
}

static int access_fpreg(unw_addr_space_t space, unw_regnum_t reg, unw_fpreg_t *ret, int write,
			void *arg)
{
	(void)space;
	(void)reg;
	(void)ret;
	(void)write;
	(void)arg;
	return -UNW_EBADREG;
}

static int no_resume(unw_addr_space_t space, unw_cursor_t *cursor, void *arg)
{
	(void)space;
	(void)cursor;
	(void)arg;
	return -UNW_EINVAL;
}

static int no_proc_name(unw_addr_space_t space, unw_word_t at, char *ret, size_t len,
			unw_word_t *offset, void *arg)
{
	(void)space;
	(void)at;
	(void)ret;
	(void)len;
	(void)offset;
	(void)arg;
	return -UNW_ENOINFO;
}

// The address space has no state but the rules it keeps. It is made once: destroying one loses what
// its larger cache consists of.
static unw_addr_space_t address_space(const struct unwinder *u)
{
	static unw_accessors_t accessors = {
		.find_proc_info = find_proc_info,
		.put_unwind_info = put_unwind_info,
		.get_dyn_info_list_addr = no_dynamic_info,
		.access_mem = access_mem,
		.access_reg = access_reg,
		.access_fpreg = access_fpreg,
		.resume = no_resume,
		.get_proc_name = no_proc_name,
	};
	static unw_addr_space_t space;
	static uint64_t owner; // whose rules it keeps

	if (!space) {
		space = unw_create_addr_space(&accessors, 0);
		if (!space)
			return NULL;
		// Not UNW_CACHE_PER_THREAD: what that keeps is told apart by nothing but the pc.
		unw_set_caching_policy(space, UNW_CACHE_GLOBAL);
		unw_set_cache_size(space, NATIVE_CACHE, 0);
	}
	if (owner != u->serial)
		unw_flush_cache(space, 0, 0);
	owner = u->serial;
	return space;
}

struct error *unwinder_create(struct images *images, struct unwinder **ret)
{
	static uint64_t serial;
	_cleanup_(unwinder_destroyp) struct unwinder *u = calloc(1, sizeof(*u));

	if (!u)
		return error_nomem();
	u->images = images;
	u->mem.read = unwinder_read;
	u->cfi = calloc(images->snapshot->modules.n + 1, sizeof(*u->cfi));
	u->serial = ++serial;
	if (!u->cfi)
		return error_nomem();
	*ret = TAKE(u);
	return NULL;
}

void unwinder_destroy(struct unwinder *u)
{
	if (!u)
		return;
	for (size_t i = 0; u->cfi && i < u->images->snapshot->modules.n; i++)
		cfi_deinit(&u->cfi[i]);
	free(u->cfi);
	free(u->known);
	buf_deinit(&u->window);
	arena_deinit(&u->arena);
	error_free(u->err);
	free(u);
}

static struct native_frame *top(struct walk *w)
{
	return &w->stack.frames.v[w->stack.frames.n - 1];
}

static struct error *push(struct walk *w, taddr pc, enum frame_found_by found_by)
{
	struct native_frame *frame = LIST_ADD(&w->stack.arena, &w->stack.frames);

	if (!frame)
		return error_nomem();
	*frame = (struct native_frame){ .pc = pc, .found_by = found_by };
	return NULL;
}

static bool full(const struct walk *w)
{
	return w->stack.frames.n >= NATIVE_MAX_FRAMES;
}

// Whether the frame may end at CFA: stacks grow downwards, so callers lie above. A signal handler's
// caller may be on another stack, and so may the caller of a function that switches stacks; a chain
// that goes in circles that way is ended by their number.
static bool cfa_sound(struct walk *w, taddr cfa, bool signal)
{
	const struct snapshot *snapshot = w->unwinder->images->snapshot;

	if (cfa > w->floor)
		return true;
	if (!cfa || w->switches == NATIVE_MAX_SWITCHES)
		return false;
	if (!signal) {
		const struct mapping *from = snapshot_mapping_at(snapshot, w->floor);

		if (!from || from == snapshot_mapping_at(snapshot, cfa))
			return false;
	}
	w->switches++;
	return true;
}

// The outermost frame ends at CFA, and CALLER called it or, if SIGNAL, was interrupted by it.
static struct error *accept(struct walk *w, const struct frame_regs *caller, taddr cfa, bool signal,
			    enum frame_found_by found_by)
{
	uint64_t sp;

	top(w)->cfa = cfa;
	top(w)->signal_frame = signal;
	w->regs = *caller;
	w->exact = signal;
	w->floor = cfa;
	// What was interrupted may not have a frame yet: on aarch64 it then ends where it begins.
	if (signal && frame_reg(caller, w->layout->sp, &sp))
		w->floor = sp - 1;
	return push(w, caller->pc, found_by);
}

// Let libunwind walk for as long as there is nothing special.
static struct error *walk_libunwind(struct walk *w)
{
	struct unwinder *u = w->unwinder;
	struct frame_regs start = w->regs;
	unw_cursor_t cursor, before;
	unw_word_t ip, sp;
	size_t steps = 0;
	unw_addr_space_t space = address_space(u);

	if (!space)
		return error_nomem();
	u->regs = &start;
	if (unw_init_remote(&cursor, space, u) < 0)
		return NULL;
	for (before = cursor; !full(w); steps++) {
		// What stops it (the root, missing memory, nonsense) is looked at by the rules.
		if (unw_step(&cursor) <= 0 || unw_get_reg(&cursor, UNW_REG_IP, &ip) < 0 ||
		    unw_get_reg(&cursor, UNW_REG_SP, &sp) < 0 || !executable(u, ip) ||
		    sp <= w->floor)
			break;
		before = cursor;
		top(w)->cfa = sp;
		w->floor = sp;
		w->regs.pc = ip;
		struct error *err = push(w, ip, FOUND_BY_CFI);
		if (err)
			return err;
	}
	struct error *err = TAKE(u->err);
	if (err || !steps)
		return err;
	w->regs.valid = 0;
	for (unsigned reg = 0; reg < LIBUNWIND_REGS; reg++) {
		unw_word_t v;

		if (unw_get_reg(&before, (unw_regnum_t)reg, &v) >= 0)
			frame_reg_set(&w->regs, reg, v);
	}
	return NULL;
}

enum step {
	STEP_DONE,
	STEP_ROOT,
	STEP_NO_CFI, /* nothing is said about the pc */
	STEP_NO_MEMORY,
	STEP_NONSENSE,
};

// Whether the outermost frame would return to the beginning of a function. No call leaves such an
// address; makecontext() does, at the bottom of the stack that it makes.
static struct error *begins_function(struct walk *w, bool *ret)
{
	_cleanup_(cfi_entry_deinit) struct cfi_entry entry = {};
	uint16_t machine;
	bool found = false;
	struct error *err = NULL;

	if (!w->exact)
		err = find_entry(w->unwinder, w->regs.pc, &machine, &entry, &found);
	*ret = !err && found && entry.start == w->regs.pc;
	return err;
}

static struct error *step_rules(struct walk *w, enum step *ret)
{
	const struct snapshot *snapshot = w->unwinder->images->snapshot;
	struct frame_regs caller = w->regs;
	struct rules *rules;
	bool root = false;
	taddr cfa, fault;
	struct error *err = find_rules(w, w->exact ? w->regs.pc : w->regs.pc - 1, &rules);

	*ret = STEP_NO_CFI;
	if (!err && !rules)
		err = begins_function(w, &root);
	if (root)
		*ret = STEP_ROOT;
	if (err || !rules)
		return err;
	enum rules_result result = rules_apply(rules, &w->unwinder->mem, w->layout->sp, w->pc_mask,
					       &caller, &cfa, &fault);
	bool signal = rules_signal(rules);
	if (result == RULES_STEPPED && !caller.pc && !signal)
		result = RULES_ROOT;
	switch (result) {
	case RULES_ROOT:
		top(w)->cfa = cfa;
		*ret = STEP_ROOT;
		return NULL;
	case RULES_MISSING:
		*ret = STEP_NONSENSE;
		// Memory that was never there is where a spoilt register leads to.
		if (fault && (!snapshot->mappings.n || snapshot_mapping_at(snapshot, fault))) {
			w->fault = fault;
			*ret = STEP_NO_MEMORY;
		}
		return NULL;
	case RULES_BAD:
		*ret = STEP_NONSENSE;
		return NULL;
	case RULES_STEPPED:
		break;
	}
	*ret = STEP_NONSENSE;
	if (!cfa_sound(w, cfa, signal))
		return NULL;
	// A return address that leads nowhere is told when it stood in this stack: something wrote
	// over it. From elsewhere, it is this step that went astray.
	uint64_t sp;
	if (!signal && !executable(w->unwinder, caller.pc) &&
	    frame_reg(&w->regs, w->layout->sp, &sp) &&
	    snapshot_mapping_at(snapshot, sp) != snapshot_mapping_at(snapshot, cfa - 1))
		return NULL;
	*ret = STEP_DONE;
	return accept(w, &caller, cfa, signal, FOUND_BY_CFI);
}

// Whether AT is what a call, or a signal, would have left to return to.
static enum call returns_from_call(struct walk *w, taddr at)
{
	const struct mem *mem = &w->unwinder->mem;

	if (!executable(w->unwinder, at))
		return CALL_NO;
	if (callsite_is_trampoline(mem, w->layout->id, at))
		return CALL_YES;
	return executable(w->unwinder, at - 1) ? callsite_before(mem, w->layout->id, at) : CALL_NO;
}

// A step without CFI: the caller's pc, sp and fp (NULL: unchanged) are what is known.
static struct error *step_to(struct walk *w, taddr pc, taddr sp, const uint64_t *fp,
			     enum frame_found_by found_by)
{
	struct frame_regs caller = { .pc = pc };
	uint64_t old_fp;

	frame_reg_set(&caller, w->layout->sp, sp);
	if (fp)
		frame_reg_set(&caller, w->layout->fp, *fp);
	else if (frame_reg(&w->regs, w->layout->fp, &old_fp))
		frame_reg_set(&caller, w->layout->fp, old_fp);
	if (w->layout->pc >= 0)
		frame_reg_set(&caller, (unsigned)w->layout->pc, pc);
	return accept(w, &caller, sp, false, found_by);
}

// The signal trampoline of a C library that does not describe it: the kernel's frame lies at the
// stack pointer.
static struct error *step_trampoline(struct walk *w, uint64_t sp, bool *done)
{
	// The kernel's sigcontext: r8 to r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip.
	static const uint8_t x86_64_order[] = { 8, 9, 10, 11, 12, 13, 14, 15, 5,
						4, 6, 3,  1,  0,  2,  7,  16 };
	// Both begin with flags, link and stack of a ucontext. aarch64 has a siginfo of 128 bytes
	// before it, and a signal mask and the fault address between; then 31 registers, sp and pc.
	bool x86_64 = w->layout->id == ARCH_X86_64;
	size_t at = x86_64 ? 40 : 128 + 176 + 8, n = x86_64 ? sizeof(x86_64_order) : 33;
	struct frame_regs caller = {};
	uint64_t v = 0;

	*done = false;
	if (!callsite_is_trampoline(&w->unwinder->mem, w->layout->id, w->regs.pc))
		return NULL;
	for (unsigned i = 0; i < n; i++) {
		if (!read_u64(w->unwinder, sp + at + 8 * i, &v))
			return NULL;
		if (i < w->layout->n)
			frame_reg_set(&caller, x86_64 ? x86_64_order[i] : i, v);
	}
	caller.pc = v;
	uint64_t cfa = caller.r[w->layout->sp];
	if (!cfa_sound(w, cfa, true))
		return NULL;
	*done = true;
	return accept(w, &caller, cfa, true, FOUND_BY_CFI);
}

// Right after a call nothing is on the stack yet but the return address: so it is where a pointer
// to nowhere was called, and in stubs that nobody describes.
static struct error *step_entry(struct walk *w, uint64_t sp, bool *done)
{
	taddr caller_sp = sp;
	uint64_t ra;

	*done = false;
	if (w->layout->lr >= 0) {
		if (!frame_reg(&w->regs, (unsigned)w->layout->lr, &ra))
			return NULL;
		ra &= w->pc_mask;
	} else {
		if (!read_u64(w->unwinder, sp, &ra))
			return NULL;
		caller_sp += 8;
	}
	// Where the code cannot be had, the word is believed only if there is no other explanation.
	enum call call = returns_from_call(w, ra);
	if (call == CALL_NO || (call == CALL_UNKNOWN && executable(w->unwinder, w->regs.pc)))
		return NULL;
	*done = true;
	// A jump to what is no code can only have been this call.
	bool certain = call == CALL_YES && !executable(w->unwinder, w->regs.pc);
	return step_to(w, ra, caller_sp, NULL, certain ? FOUND_BY_CFI : FOUND_BY_SCAN);
}

static struct error *step_frame_pointer(struct walk *w, uint64_t sp, bool *done)
{
	uint64_t fp, older, ra;

	*done = false;
	if (!frame_reg(&w->regs, w->layout->fp, &fp) || fp % 8 || fp < sp ||
	    fp - sp > NATIVE_MAX_FP_STEP || fp + 16 <= w->floor ||
	    !read_u64(w->unwinder, fp, &older) || !read_u64(w->unwinder, fp + 8, &ra))
		return NULL;
	ra &= w->pc_mask;
	// A frame pointer belongs to a chain that leads up, or is the last of one.
	if ((older && older <= fp) || returns_from_call(w, ra) == CALL_NO)
		return NULL;
	*done = true;
	return step_to(w, ra, fp + 16, &older, FOUND_BY_FRAME_POINTER);
}

static struct error *step_scan(struct walk *w, uint64_t sp, bool *done)
{
	uint64_t v;

	*done = false;
	if (w->scans == NATIVE_MAX_SCANS)
		return NULL;
	sp = (sp + 7) & ~(taddr)7;
	for (taddr at = sp; at - sp < NATIVE_MAX_SCAN; at += 8) {
		if (!read_u64(w->unwinder, at, &v))
			return NULL;
		v &= w->pc_mask;
		if (at + 8 <= w->floor || returns_from_call(w, v) != CALL_YES)
			continue;
		w->scans++;
		*done = true;
		return step_to(w, v, at + 8, NULL, FOUND_BY_SCAN);
	}
	return NULL;
}

// Where CFI does not lead on, less certain ways, the most certain first.
static struct error *step_otherwise(struct walk *w, bool *done)
{
	uint64_t sp, ignored;

	*done = false;
	if (!frame_reg(&w->regs, w->layout->sp, &sp) || sp > UINT64_MAX - NATIVE_MAX_FP_STEP * 2)
		return NULL;
	if (!w->fault && !read_u64(w->unwinder, sp, &ignored))
		w->fault = sp;
	struct error *err = step_trampoline(w, sp, done);
	if (!err && !*done && w->exact)
		err = step_entry(w, sp, done);
	if (!err && !*done)
		err = step_frame_pointer(w, sp, done);
	if (!err && !*done)
		err = step_scan(w, sp, done);
	return err;
}

static struct error *explain(struct walk *w, enum step why)
{
	struct images *images = w->unwinder->images;
	struct arena *arena = &w->stack.arena;
	taddr pc = w->regs.pc;
	const struct module *module = snapshot_module_at(images->snapshot, pc);
	const char *name = module ? path_basename(module->path) : "no module";
	size_t index = module ? (size_t)(module - images->snapshot->modules.v) : 0;
	const struct image *image = module ? images_get(images, index) : NULL;
	char *text;

	if (w->fault)
		text = arena_printf(arena, "the stack's bytes that are here end at %#" PRIx64,
				    w->fault);
	else if (!executable(w->unwinder, pc))
		text = arena_printf(arena, "%#" PRIx64 " is no code, and nothing leads on from it",
				    pc);
	else if (why == STEP_NO_CFI && module && (!image || image->debug_alone))
		text = arena_printf(arena, "no file to unwind %#" PRIx64 " with: %s", pc,
				    images->errors[index]->text);
	else if (why == STEP_NO_CFI)
		text = arena_printf(arena, "no unwind information for %#" PRIx64 " (%s)", pc, name);
	else
		text = arena_printf(arena, "the chain breaks at %#" PRIx64 " (%s)", pc, name);
	w->stack.gap = text;
	return text ? NULL : error_nomem();
}

static struct error *walk(struct walk *w)
{
	struct error *err = push(w, w->regs.pc, FOUND_BY_CONTEXT);

	while (!err) {
		enum step step;
		bool done;

		if (!w->exact && w->layout->id == LIBUNWIND_ARCH)
			err = walk_libunwind(w);
		if (err)
			return err;
		if (full(w)) {
			w->stack.gap = arena_printf(&w->stack.arena, "cut at %d frames",
						    NATIVE_MAX_FRAMES);
			return w->stack.gap ? NULL : error_nomem();
		}
		w->fault = 0;
		err = step_rules(w, &step);
		if (err || step == STEP_DONE)
			continue;
		if (step == STEP_ROOT) {
			w->stack.complete = true;
			return NULL;
		}
		// Where the caller is, is known then; it must not be looked for elsewhere.
		done = false;
		if (step != STEP_NO_MEMORY)
			err = step_otherwise(w, &done);
		if (!err && !done)
			return explain(w, step);
	}
	return err;
}

struct error *walk_native(struct unwinder *unwinder, const struct regs *regs,
			  struct native_stack *ret)
{
	struct walk w = { .unwinder = unwinder, .arch = regs->arch, .exact = true };

	for (size_t i = 0; i < ARRAY_SIZE(layouts); i++)
		if (regs->arch && layouts[i].id == regs->arch->id)
			w.layout = &layouts[i];
	if (!w.layout) {
		w.stack.gap = arena_strdup(&w.stack.arena, "its registers were not captured");
		*ret = w.stack;
		return w.stack.gap ? NULL : error_nomem();
	}
	// aarch64 may sign return addresses in the bits above an address; x86_64 has no such thing.
	w.pc_mask = w.layout->lr >= 0 ? ((taddr)1 << w.arch->address_bits) - 1 : ~(taddr)0;
	for (unsigned i = 0; i < w.layout->n; i++)
		frame_reg_set(&w.regs, i, regs->r[w.layout->kernel ? w.layout->kernel[i] : i]);
	w.regs.pc = regs_pc(regs);
	w.floor = regs_sp(regs) - 1;
	unwinder->reads = NATIVE_MAX_READS;
	unwinder->region = NULL;

	struct error *err = walk(&w);
	if (err) {
		native_stack_deinit(&w.stack);
		return err;
	}
	*ret = w.stack;
	return NULL;
}
