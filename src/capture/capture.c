/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "capture.h"

#include <elf.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../cleanup.h"
#include "../live/errand.h"
#include "../live/procfs.h"
#include "../live/procmem.h"
#include "../target/redact.h"
#include "../target/linkmap.h"
#include "../walk/messages.h"
#include "../walk/python.h"
#include "bulk.h"

// A region of more is not read by common minidump readers, and no unwinder needs it.
#define STACK_MAX ((size_t)64 << 20)
#define STACKS_MAX ((size_t)512 << 20)
// Python pages kept at most: 128 MiB.
#define PYTHON_MAX_PAGES ((size_t)32768)
// Around what registers point to, around a pc, and behind pointers on the dying thread's stack.
#define AROUND_REGISTER 256
#define AROUND_PC 256
#define BEHIND_POINTER 256
#define POINTER_WORDS 256
// Threads besides the dying one whose registers' targets are kept.
#define POINTING_THREADS 32
// A signal frame lies this near above the handler's stack pointer, or the handler has returned.
#define HANDLER_DEPTH ((size_t)64 << 10)
// The vDSO has two pages, on some architectures a few more.
#define VDSO_MAX ((taddr)64 << 10)
// How far below its stack an overflowing frame may have moved SP.
#define OVERFLOW_REACH ((taddr)16 << 20)
// A hold this long, without the right to a better priority, is worth a word.
#define UNRAISED_IS_NEWS INT64_C(100000000)
// What is made ready before a hold, a little more than was seen to be used: for the process, and for
// each of its first threads; for registers and stacks, and for what Python's frames lie in.
#define READY_STACK ((size_t)64 << 10)
#define READY_BYTES ((size_t)96 << 10)
#define READY_THREAD_BYTES ((size_t)20 << 10)
#define READY_PYTHON_BYTES ((size_t)608 << 10)
#define READY_PYTHON_THREAD_BYTES ((size_t)12 << 10)
#define READY_THREADS ((size_t)2000)
// Threads that are being killed come to their exit stops by themselves, at once but for one in
// an uninterruptible sleep.
#define DYING_WAIT INT64_C(300000000)

struct priority {
	int policy, nice;
	struct sched_param param;
	bool raised;
};

/*
 * With many runnable threads the scheduler, not the copying, decides how long the hold takes
 * (2.9 s against 22 ms for 1000 of them on two processors).
 */
static struct priority priority_raise(void)
{
	struct priority before = { .policy = sched_getscheduler(0),
				   .nice = getpriority(PRIO_PROCESS, 0) };
	struct sched_param first = { .sched_priority = 1 };

	sched_getparam(0, &before.param);
	before.raised = sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &first) == 0;
	if (!before.raised)
		before.raised = setpriority(PRIO_PROCESS, 0, -20) == 0;
	return before;
}

static void priority_restore(const struct priority *before)
{
	if (!before->raised)
		return;
	sched_setscheduler(0, before->policy, &before->param);
	setpriority(PRIO_PROCESS, 0, before->nice);
}

// Ranges to be read in one batch: a system call for each would hold the process many times as long.
typedef LIST(struct procmem_range) ranges;

/*
 * A capture while it is made. What reads the process is an errand; whatever had been read when
 * that is given up is used.
 */
struct taking {
	struct look *look;
	struct snapshot *snapshot;
	struct tracer *tracer;
	struct traced *process;
	const struct capture *capture;
	struct procmem live;
	struct mem_recorder recorder;
	int64_t deadline; /* CLOCK_MONOTONIC */
	bool late;	  /* the deadline cut something off */
	ranges stacks, surroundings;
	struct errand *errand;
	struct error *err; /* of the errand */
	struct bulk_copy *bulk;
};

static bool is_late(struct taking *t)
{
	if (!t->late)
		t->late = monotonic_now() >= t->deadline;
	return t->late;
}

static int compare_tids(const void *a, const void *b)
{
	const struct tracee *const *x = a, *const *y = b;

	return (*x)->tid < (*y)->tid ? -1 : (*x)->tid > (*y)->tid;
}

static int compare_threads(const void *a, const void *b)
{
	const struct thread *x = a, *y = b;

	return x->tid < y->tid ? -1 : x->tid > y->tid;
}

// The stopped tracees, the one that the capture is about first, then by tid.
static struct error *stopped_tracees(struct taking *t, struct tracee ***ret, size_t *n_ret)
{
	struct tracee **v = arena_alloc(&t->snapshot->arena,
					(t->process->n_tracees + 1) * sizeof(struct tracee *));
	size_t n = 0;

	if (!v)
		return error_nomem();
	for (struct tracee *o = t->process->tracees; o; o = o->next_in_process)
		if (o->state == TRACEE_AT_SIGNAL || o->state == TRACEE_AT_EVENT ||
		    o->state == TRACEE_AT_EXIT)
			v[n++] = o;
	qsort(v, n, sizeof(struct tracee *), compare_tids);
	for (size_t i = 1; i < n; i++)
		if (v[i] == t->capture->tracee) {
			memmove(v + 1, v, i * sizeof(struct tracee *));
			v[0] = t->capture->tracee;
		}
	*ret = v;
	*n_ret = n;
	return NULL;
}

// The entry for TID; before a stop that is waited for they stand there already, sorted.
static struct thread *thread_entry(struct snapshot *snapshot, pid_t tid, size_t *from)
{
	while (*from < snapshot->threads.n && snapshot->threads.v[*from].tid < tid)
		++*from;
	if (*from < snapshot->threads.n && snapshot->threads.v[*from].tid == tid)
		return &snapshot->threads.v[*from];
	struct thread *ret = LIST_ADD(&snapshot->arena, &snapshot->threads);
	if (ret) {
		ret->tid = tid;
		ret->name = (char *)"";
	}
	return ret;
}

// The kernel's core has them; its notes are borrowed no longer than the capture.
static struct error *take_core_threads(struct taking *t)
{
	const struct snapshot *core = t->capture->core;
	struct arena *arena = &t->snapshot->arena;

	for (size_t i = 0; i < core->threads.n; i++) {
		struct thread *thread = LIST_ADD(arena, &t->snapshot->threads);

		if (!thread)
			return error_nomem();
		*thread = core->threads.v[i];
		thread->name = (char *)"";
		struct bytes *sets[] = { &thread->fpregs, &thread->xstate };
		for (size_t k = 0; k < ARRAY_SIZE(sets); k++)
			if (sets[k]->len &&
			    !(sets[k]->data = arena_memdup(arena, sets[k]->data, sets[k]->len)))
				return error_nomem();
	}
	return NULL;
}

static struct error *take_registers(struct taking *t)
{
	if (t->capture->core)
		return take_core_threads(t);
	struct tracee **tracees = NULL;
	size_t n = 0, from = 0;
	struct error *err = stopped_tracees(t, &tracees, &n);

	for (size_t i = 0; !err && i < n; i++) {
		struct thread *thread = thread_entry(t->snapshot, tracees[i]->tid, &from);

		if (!thread)
			return error_nomem();
		// One that was torn away in between keeps no registers.
		tracee_registers(tracees[i], &t->snapshot->arena, !is_late(t), thread);
	}
	return err;
}

/*
 * The thread that called exit_group; the others were killed on its behalf. Without one (a main
 * thread that was the last to leave) whoever is in exit. 0: killed from outside.
 */
static pid_t exit_caller(const struct snapshot *snapshot, const struct mem *mem)
{
	pid_t last = 0;

	for (size_t i = 0; i < snapshot->threads.n; i++) {
		const struct regs *regs = &snapshot->threads.v[i].regs;
		if (!regs->arch)
			continue;
		long nr = regs_syscall_at(regs, mem);

		if (nr == regs->arch->nr_exit_group)
			return snapshot->threads.v[i].tid;
		if (nr == regs->arch->nr_exit)
			last = snapshot->threads.v[i].tid;
	}
	return last;
}

/*
 * Does a handler for the fault in FIRST still run on this thread? Then the kernel's signal frame
 * is on its stack, above SP, and holds the fault's SP and pc side by side (struct sigcontext of
 * both architectures); once the handler has returned or jumped away, it is below SP.
 */
static bool handler_runs(struct taking *t, const struct regs *now, const struct regs *first)
{
	static uint8_t stack[HANDLER_DEPTH];
	taddr sp = regs_sp(now);
	uint64_t pair[2] = { regs_sp(first), regs_pc(first) };
	size_t len = mem_read_some(&t->live.mem, sp & ~(taddr)7, stack, sizeof(stack));

	for (size_t i = 0; i + sizeof(pair) <= len; i += 8)
		if (memcmp(stack + i, pair, sizeof(pair)) == 0)
			return true;
	return false;
}

static struct error *take_first_chance(struct taking *t, struct thread *thread)
{
	struct tracee *tracee = tracer_tracee(t->tracer, thread->tid);
	const struct first_chance *first = tracee ? tracee->first_chance : NULL;
	struct snapshot *snapshot = t->snapshot;

	if (!first || !first->info.signo || !handler_runs(t, &thread->regs, &first->thread.regs))
		return NULL;
	thread->regs = first->thread.regs;
	thread->first_chance = true;
	struct bytes *from[] = { (struct bytes *)&first->thread.fpregs,
				 (struct bytes *)&first->thread.xstate };
	struct bytes *to[] = { &thread->fpregs, &thread->xstate };
	for (size_t i = 0; i < ARRAY_SIZE(to); i++) {
		*to[i] = (struct bytes){};
		if (!from[i]->len)
			continue;
		to[i]->data = arena_memdup(&snapshot->arena, from[i]->data, from[i]->len);
		if (!to[i]->data)
			return error_nomem();
		to[i]->len = from[i]->len;
	}
	snapshot->death.first_chance = true;
	snapshot->death.info = first->info;
	snapshot->death.tid = thread->tid;
	return NULL;
}

/*
 * The bytes of THREAD's stack: from the red zone below SP to the top of the mapping, or to just
 * above the thread's own control block when that is near, since neighbouring mappings of one
 * kind are joined by the kernel. A stack that overflowed has SP below its mapping.
 */
static bool stack_bounds(const struct snapshot *snapshot, const struct regs *regs, taddr *start,
			 taddr *end)
{
	taddr sp = regs_sp(regs);
	const struct mapping *m = snapshot_mapping_at(snapshot, sp);

	for (size_t i = 0; (!m || m->permissions[0] != 'r') && i < snapshot->mappings.n; i++) {
		const struct mapping *above = &snapshot->mappings.v[i];

		if (above->start > sp && above->permissions[1] == 'w') {
			if (above->start - sp <= OVERFLOW_REACH)
				m = above;
			break;
		}
	}
	if (!m || m->permissions[0] != 'r')
		return false;
	*start = sp < m->start + regs->arch->red_zone ? m->start : sp - regs->arch->red_zone;
	*end = m->end;
	taddr block = (regs->tls + 2 * TARGET_PAGE) & ~(TARGET_PAGE - 1);
	if (regs->tls <= sp)
		return true;
	// Part of a stack may be a mapping by itself, for mprotect() or userfaultfd.
	const struct mapping *last = snapshot->mappings.v + snapshot->mappings.n;
	taddr top = m->end;
	while (top <= regs->tls && ++m < last && m->start == top && m->permissions[1] == 'w')
		top = m->end;
	if (regs->tls < top)
		*end = block < top ? block : top;
	return true;
}

static struct error *take_stacks(struct taking *t)
{
	struct snapshot *snapshot = t->snapshot;
	size_t total = 0;

	for (size_t i = 0; i < snapshot->threads.n; i++) {
		struct thread *thread = &snapshot->threads.v[i];
		taddr start, end;

		if (!thread->regs.arch || !stack_bounds(snapshot, &thread->regs, &start, &end))
			continue;
		size_t len = end - start < STACK_MAX ? (size_t)(end - start) : STACK_MAX;
		thread->stack_cut = len < end - start || len > STACKS_MAX - total;
		if (len > STACKS_MAX - total)
			continue;
		total += len;
		thread->stack_start = start;
		thread->stack_end = start + len;
		struct procmem_range *range = LIST_ADD(&snapshot->arena, &t->stacks);
		if (!range)
			return error_nomem();
		*range = (struct procmem_range){ .at = start, .len = len };
		range->to = arena_alloc(&snapshot->arena, len);
		if (!range->to)
			return error_nomem();
	}
	// The first one by itself: should another thread's not come back, it is there.
	size_t alone = t->stacks.n > 0;
	procmem_read_ranges(&t->live, t->stacks.v, alone, t->deadline);
	procmem_read_ranges(&t->live, t->stacks.v + alone, t->stacks.n - alone, t->deadline);
	return NULL;
}

// LEN bytes at AT, as far as they lie in one readable mapping with INSIDE.
static struct error *want_range(struct taking *t, ranges *batch, taddr inside, taddr at, size_t len)
{
	const struct mapping *m = snapshot_mapping_at(t->snapshot, inside);

	if (!m || m->permissions[0] != 'r')
		return NULL;
	taddr end = at + len < at || at + len > m->end ? m->end : at + len;
	if (at < m->start || at > inside)
		at = m->start;
	// Neighbouring registers and words point to the same places again and again.
	for (size_t i = batch->n; i-- > 0 && batch->n - i <= 32;)
		if (batch->v[i].at <= at && end <= batch->v[i].at + batch->v[i].len)
			return NULL;
	struct procmem_range *range = LIST_ADD(&t->snapshot->arena, batch);
	if (!range)
		return error_nomem();
	*range = (struct procmem_range){ .at = at, .len = end - at };
	range->to = arena_alloc(&t->snapshot->arena, range->len);
	return range->to ? NULL : error_nomem();
}

// What is captured is not the end itself.
static bool lives_on(const struct capture *capture)
{
	return capture->reason == CAPTURE_ON_DEMAND || capture->reason == CAPTURE_FINALIZING;
}

// What registers and the top of the dying thread's stack point to, and the code around the pcs.
static struct error *take_surroundings(struct taking *t)
{
	struct snapshot *snapshot = t->snapshot;
	struct error *err = NULL;
	ranges *batch = &t->surroundings;
	taddr last_pc = 0;

	for (size_t i = 0; !err && i < snapshot->threads.n; i++) {
		const struct regs *regs = &snapshot->threads.v[i].regs;

		if (!regs->arch)
			continue;
		taddr pc = regs_pc(regs);
		// Idle threads wait at one and the same pc.
		if (pc != last_pc)
			err = want_range(t, batch, pc, pc - AROUND_PC, 2 * AROUND_PC);
		last_pc = pc;
		for (unsigned r = 0; !err && i < POINTING_THREADS && r < regs->arch->n_regs; r++)
			err = want_range(t, batch, regs->r[r], regs->r[r] - AROUND_REGISTER,
					 2 * AROUND_REGISTER);
	}
	const struct regs *first = snapshot->threads.n ? &snapshot->threads.v[0].regs : NULL;
	// Nobody died of a snapshot: what the first thread's stack points to explains nothing.
	if (!err && first && first->arch && !lives_on(t->capture)) {
		uint64_t words[POINTER_WORDS];
		size_t n = mem_read_some(&t->live.mem, regs_sp(first), words, sizeof(words)) /
			   sizeof(words[0]);

		for (size_t i = 0; !err && i < n; i++)
			err = want_range(t, batch, words[i], words[i], BEHIND_POINTER);
	}
	if (!err)
		procmem_read_ranges(&t->live, batch->v, batch->n, t->deadline);
	return err;
}

static struct error *keep_ranges(struct taking *t, const ranges *list)
{
	struct error *err = NULL;

	for (size_t i = 0; !err && i < list->n; i++)
		if (list->v[i].got)
			err = snapshot_add_memory(t->snapshot, list->v[i].at, list->v[i].to,
						  list->v[i].got);
	return err;
}

static struct error *take_python(struct taking *t)
{
	struct snapshot *snapshot = t->snapshot;
	struct py_state state = {};

	if (!snapshot->python.found || is_late(t))
		return NULL;
	snapshot->python.locals = t->capture->options->locals;
	snapshot->python.locals_redacted = t->capture->options->redact;
	struct error *err = walk_python(&t->recorder.mem, &snapshot->python, true, t->deadline,
					&state);
	py_state_deinit(&state);
	if (err && err->kind != ERROR_NOMEM)
		err = gaps_take(&snapshot->arena, &snapshot->gaps, "Python frames", NULL, err);
	return err;
}

// What debuggers go by in a core file: the link map, and the vDSO's code with its unwind table.
static struct error *take_link_map(struct taking *t)
{
	struct snapshot *snapshot = t->snapshot;
	const struct bytes *auxv = &snapshot->process.auxv;
	const struct mapping *vdso = snapshot_mapping_at(snapshot,
							 auxv_value(auxv, AT_SYSINFO_EHDR));
	struct link_map_list list;
	uint8_t byte;

	if (is_late(t))
		return NULL;
	for (taddr at = vdso ? vdso->start : 0; vdso && at < vdso->end && at < vdso->start + VDSO_MAX;
	     at += TARGET_PAGE)
		mem_read_some(&t->recorder.mem, at, &byte, 1);
	return link_map_read(&t->recorder.mem, auxv, &snapshot->arena, &list);
}

// The recorder's pages go where the stacks are; it may be let go of afterwards.
static struct error *keep_recorded(struct taking *t)
{
	struct snapshot *snapshot = t->snapshot;
	struct mem_range *pages = NULL;
	size_t n = 0;
	struct error *err = mem_recorder_ranges(&t->recorder, &snapshot->arena, &pages, &n);

	for (size_t i = 0; !err && i < n; i++) {
		void *copy = arena_memdup(&snapshot->arena, pages[i].data, pages[i].len);

		err = copy ? snapshot_add_memory(snapshot, pages[i].at, copy, pages[i].len)
			   : error_nomem();
	}
	return err;
}

// The descriptor in the first argument of the dying thread's system call: what it wrote to.
static int written_fd(const struct snapshot *snapshot, const struct mem *mem)
{
	const struct thread *thread = snapshot_thread(snapshot, snapshot->death.tid);

	if (!thread || !thread->regs.arch || regs_syscall_at(&thread->regs, mem) < 0)
		return -1;
	uint64_t fd = regs_argument(&thread->regs, 0);
	return fd <= INT32_MAX ? (int)fd : -1;
}

// What /proc says, and is gone with the process. The most telling comes first.
static struct error *take_proc(struct taking *t)
{
	struct snapshot *snapshot = t->snapshot;
	const struct capture *c = t->capture;
	int dir = t->process->proc_dir;
	struct error *err = procfs_process(snapshot, dir, c->options->redact);

	if (!err && c->reason != CAPTURE_ON_DEMAND)
		err = procfs_threads(snapshot, dir);
	if (!err && c->info.signo == SIGPIPE)
		err = procfs_sockets(snapshot, dir, t->process->pidfd, written_fd(snapshot, &t->live.mem));
	if (!err && !is_late(t))
		err = procfs_logs(snapshot, dir, c->options->logs, c->options->lines);
	if (!err && !is_late(t))
		err = procfs_sockets(snapshot, dir, t->process->pidfd, -1);
	if (!err && !is_late(t))
		err = procfs_children(t->process->pid, &snapshot->arena,
				      &snapshot->process.children);
	if (!err && is_late(t))
		err = gaps_add(&snapshot->arena, &snapshot->gaps, "part of the capture", NULL,
			       "the process was let go after %.1f s, before everything had been copied",
			       CAPTURE_BUDGET / 1e9);
	return err;
}

// Readers and people look at the first thread first.
static void dying_first(struct snapshot *snapshot)
{
	for (size_t i = 1; i < snapshot->threads.n; i++)
		if (snapshot->threads.v[i].tid == snapshot->death.tid) {
			struct thread dying = snapshot->threads.v[i];

			memmove(snapshot->threads.v + 1, snapshot->threads.v, i * sizeof(dying));
			snapshot->threads.v[0] = dying;
			return;
		}
}

// What may be read of a process that runs on, or comes last of one that dies.
static struct error *take_unchanging(struct taking *t)
{
	// It grows with the number of shared objects, and changes with dlopen() alone.
	struct error *err = take_link_map(t);

	return err ? err : take_proc(t);
}

// What is to be read of a process that is stopped. Its memory comes first.
static struct error *take_held(struct taking *t)
{
	struct snapshot *snapshot = t->snapshot;
	const struct capture *c = t->capture;
	struct error *err = NULL;

	if (c->reason == CAPTURE_EXIT) {
		snapshot->death.tid = exit_caller(snapshot, &t->live.mem);
		// seccomp's KILL ends the process from within a call, without a signal stop; of several
		// threads nothing tells which made it.
		if (!snapshot->death.tid && snapshot->threads.n == 1 &&
		    WIFSIGNALED(c->tracee->exit_status) && WTERMSIG(c->tracee->exit_status) == SIGSYS)
			snapshot->death.tid = snapshot->threads.v[0].tid;
		dying_first(snapshot);
		if (snapshot->threads.n && snapshot->threads.v[0].tid == snapshot->death.tid)
			err = take_first_chance(t, &snapshot->threads.v[0]);
	} else if (c->reason == CAPTURE_FINALIZING) {
		snapshot->death.tid = c->tracee->tid;
		dying_first(snapshot);
	} else if (c->reason == CAPTURE_CORE) {
		snapshot->death.tid = c->core->death.tid;
		snapshot->death.info = c->info;
	} else if (c->reason == CAPTURE_SIGNAL && snapshot->threads.n) {
		snapshot->death.tid = c->tracee->tid;
		snapshot->death.info = c->info;
		if (snapshot->threads.v[0].tid == c->tracee->tid && c->info.code <= 0)
			err = take_first_chance(t, &snapshot->threads.v[0]);
	}
	if (!err)
		err = take_stacks(t);
	if (!err)
		err = take_python(t);
	if (!err)
		err = take_surroundings(t);
	if (!err && c->info.signo == SIGABRT && t->look->taken)
		err = messages_touch(&t->look->images, &t->recorder);
	if (!err && !lives_on(c))
		err = take_unchanging(t);
	return err;
}

static struct error *names_before(struct taking *t)
{
	struct snapshot *snapshot = t->snapshot;

	for (struct tracee *o = t->process->tracees; o; o = o->next_in_process) {
		struct thread *thread = LIST_ADD(&snapshot->arena, &snapshot->threads);

		if (!thread)
			return error_nomem();
		*thread = (struct thread){ .tid = o->tid, .name = (char *)"" };
	}
	qsort(snapshot->threads.v, snapshot->threads.n, sizeof(struct thread), compare_threads);
	return procfs_threads(snapshot, t->process->proc_dir);
}

static void drop_threads_without_registers(struct snapshot *snapshot)
{
	size_t n = 0;

	for (size_t i = 0; i < snapshot->threads.n; i++)
		if (snapshot->threads.v[i].regs.arch)
			snapshot->threads.v[n++] = snapshot->threads.v[i];
	snapshot->threads.n = n;
}

/*
 * Memory that is there when it is needed, and a stack that is: while the process is held, each
 * page that the kernel would have to find for us takes as long as reading one.
 */
static void make_ready(struct taking *t)
{
	size_t threads = t->process->n_tracees < READY_THREADS ? t->process->n_tracees : READY_THREADS;
	volatile uint8_t stack[READY_STACK];

	for (size_t i = 0; i < sizeof(stack); i += TARGET_PAGE)
		stack[i] = 0;
	arena_reserve(&t->snapshot->arena, READY_BYTES + threads * READY_THREAD_BYTES);
	if (t->snapshot->python.found)
		arena_reserve(&t->recorder.arena,
			      READY_PYTHON_BYTES + threads * READY_PYTHON_THREAD_BYTES);
}

// The three errands of a capture.

static void run_before(void *arg)
{
	struct taking *t = arg;

	// While the other threads still run: what may take long, and rarely changes.
	if (lives_on(t->capture))
		t->err = names_before(t);
	if (!t->err)
		t->err = look_update(t->look, t->process);
	make_ready(t);
	// For the next one, which is the last of this thread that somebody waits for.
	priority_raise();
}

static void run_held(void *arg)
{
	struct taking *t = arg;

	t->err = take_held(t);
}

static void run_after(void *arg)
{
	struct taking *t = arg;

	t->err = take_unchanging(t);
}

/*
 * The errand has been waited for as long as the process could bear it. When it is stuck, what it
 * had read until then is all there is, and the memory that it reads into stays for ever.
 */
static struct error *settle(struct taking *t)
{
	// It was given up before, with what it had to do done.
	const char *stuck = t->errand ? errand_give_up(t->errand) : NULL;

	if (!stuck)
		return TAKE(t->err);
	errand_destroy(TAKE(t->errand));
	t->late = true;
	t->snapshot->arena.kept = t->recorder.arena.kept = true;
	return gaps_add(&t->snapshot->arena, &t->snapshot->gaps, "part of the capture", NULL,
			"reading %s did not come back: the process was let go after %.1f s, with what "
			"had been read until then",
			stuck, CAPTURE_BUDGET / 1e9);
}

static struct error *run_errand(struct taking *t, void (*work)(void *), int64_t deadline)
{
	// The one before was given up.
	struct error *err = t->errand ? NULL : errand_create(&t->errand);

	if (err)
		return err;
	errand_start(t->errand, work, t, deadline);
	errand_wait(t->errand, deadline);
	return settle(t);
}

static struct error *hold(struct taking *t, int64_t start)
{
	const struct capture *c = t->capture;
	struct snapshot *snapshot = t->snapshot;
	bool dying = c->reason == CAPTURE_EXIT;
	size_t expected = 0;

	for (const struct tracee *o = t->process->tracees; o; o = o->next_in_process)
		expected += o->state != TRACEE_ENDED;
	errand_prepare(t->errand);
	size_t stopped = tracer_hold(t->tracer, t->process, dying,
				     dying ? start + DYING_WAIT : t->deadline);
	// Again: many threads take longer to stop than it stays awake.
	errand_prepare(t->errand);
	struct error *err = take_registers(t);
	if (!err) {
		errand_start(t->errand, run_held, t, t->deadline);
		bool done = errand_wait(t->errand, t->deadline);
		if (done && !t->err && c->options->bulk && !c->no_bulk)
			t->bulk = bulk_take(&t->errand, t->process, lives_on(c), c->options->bulk,
					    snapshot);
	}
	tracer_release(t->process, c->reason == CAPTURE_ON_DEMAND ? NULL : c->tracee);
	snapshot->time.frozen = monotonic_now() - start;
	if (!err)
		err = settle(t);
	if (t->bulk) {
		struct error *failed = bulk_finish(t->bulk, snapshot);

		if (err)
			error_free(failed);
		else
			err = failed;
	} else if (!err && c->options->bulk) {
		err = gaps_add(&snapshot->arena, &snapshot->gaps, FULL_CORE, NULL, "%s",
			       c->no_bulk ? c->no_bulk : "the capture before it did not come to its end");
	}
	if (!err && stopped < expected && !dying)
		err = gaps_add(&snapshot->arena, &snapshot->gaps, "some threads", NULL,
			       "%zu of %zu threads did not come to a stop in %.1f s", expected - stopped,
			       expected, CAPTURE_BUDGET / 1e9);
	return err;
}

static struct error *take_all(struct taking *t)
{
	struct snapshot *snapshot = t->snapshot;
	const struct capture *c = t->capture;
	int64_t begun = monotonic_now();

	// One thread waits for us already, unless nobody dies. Half of what it can bear is for this.
	struct error *err = run_errand(t, run_before, begun + CAPTURE_BUDGET / 2);
	if (!err && !t->errand) {
		err = look_repair(t->look);
		if (!err)
			err = errand_create(&t->errand);
	}
	if (err)
		return err;
	struct priority before = priority_raise();
	int64_t start = monotonic_now();
	snapshot->time.death = realtime_now();
	t->deadline = (c->reason == CAPTURE_ON_DEMAND ? start : begun) + CAPTURE_BUDGET;
	err = hold(t, start);
	priority_restore(&before);
	if (!err && !before.raised && snapshot->time.frozen - snapshot->full_core.held > UNRAISED_IS_NEWS)
		err = gaps_add(&snapshot->arena, &snapshot->gaps, "a short hold",
			       "run pcatch as root or with CAP_SYS_NICE",
			       "the process was held for %.0f ms at ordinary priority",
			       (snapshot->time.frozen - snapshot->full_core.held) / 1e6);
	if (!err && c->reason == CAPTURE_ON_DEMAND)
		err = run_errand(t, run_after, monotonic_now() + CAPTURE_BUDGET);
	return err;
}

struct error *capture_take(struct look *look, struct tracer *tracer, struct traced *process,
			   const struct capture *capture)
{
	struct taking t = { .look = look,
			    .snapshot = &look->snapshot,
			    .tracer = tracer,
			    .process = process,
			    .capture = capture };
	struct snapshot *snapshot = t.snapshot;

	procmem_init(&t.live, process->pid, process->mem_fd);
	struct error *err = mem_recorder_init(&t.recorder, &t.live.mem, PYTHON_MAX_PAGES);
	if (err) {
		tracer_release(process, capture->tracee);
		return err;
	}
	err = take_all(&t);
	errand_destroy(t.errand);
	if (!err)
		err = keep_ranges(&t, &t.stacks);
	if (!err)
		err = keep_ranges(&t, &t.surroundings);
	if (!err)
		err = keep_recorded(&t);
	mem_recorder_deinit(&t.recorder);
	drop_threads_without_registers(snapshot);
	if (!err)
		err = snapshot_settle_memory(snapshot);
	if (!err)
		err = procfs_finish(snapshot);
	for (size_t i = 0; !err && capture->options->redact && i < snapshot->logs.n; i++)
		err = redact_lines(&snapshot->arena, snapshot->logs.v[i].lines.v,
				   &snapshot->logs.v[i].lines.n);
	return err;
}
