// SPDX-License-Identifier: GPL-3.0-or-later
#include "stacks.h"

#include <inttypes.h>
#include <search.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../buf.h"
#include "../cleanup.h"
#include "exceptions.h"
#include "words.h"

#define PERIOD_MAX	 32  // frames of one round of a recursion that is still recognised
#define FOLD_MIN	 4   // frames that folding leaves out at least
#define FUNCTION_COLUMNS 32  // of the column of functions; a longer one pushes its place aside
#define FUNCTION_MAX	 72  // columns of a function's name
#define GROUP_STACKS_MAX 48  // groups of threads with a stack; more have one line each
#define GROUP_LINES_MAX	 200 // groups with a line at all
#define GROUP_FRAMES_MAX 40  // lines of the stack of one group
#define IDLE_FRAMES_MAX	 8
#define LOCALS_MAX	 24  // variables of one frame
#define LOCAL_COLUMNS	 140 // of one's value
#define GROUP_NAMES_MAX	 6
#define PREFIXES_MAX	 8

struct numbered {
	const struct frame *frame;
	const void *locals; // a frame's own where they are what is shown of it, NULL else
	size_t number;
};

static int compare_text(const char *a, const char *b)
{
	if (a == b)
		return 0;
	if (!a || !b)
		return a ? 1 : -1;
	return strcmp(a, b);
}

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

static int compare_frames(const void *va, const void *vb)
{
	const struct frame *a = ((const struct numbered *)va)->frame;
	const struct frame *b = ((const struct numbered *)vb)->frame;
	int ret = COMPARE(a->kind, b->kind);

	ret = ret ? ret : COMPARE(a->pc, b->pc);
	ret = ret ? ret : COMPARE(a->line, b->line);
	ret = ret ? ret : COMPARE(a->column, b->column);
	ret = ret ? ret : COMPARE((uintptr_t)a->module, (uintptr_t)b->module);
	ret = ret ? ret : COMPARE(a->module_offset, b->module_offset);
	ret = ret ? ret : COMPARE(a->symbol_offset, b->symbol_offset);
	ret = ret ? ret : COMPARE(a->found_by, b->found_by);
	ret = ret ? ret : COMPARE(a->inlined, b->inlined);
	ret = ret ? ret : COMPARE(a->signal_frame, b->signal_frame);
	ret = ret ? ret : compare_text(a->function, b->function);
	ret = ret ? ret : compare_text(a->file, b->file);
	return ret ? ret
		   : COMPARE((uintptr_t)((const struct numbered *)va)->locals,
			     (uintptr_t)((const struct numbered *)vb)->locals);
}

// The keys of the trees below live in arenas.
static void keep(void *key)
{
	(void)key;
}

void frame_set_deinit(struct frame_set *set)
{
	tdestroy(set->tree, keep);
	arena_deinit(&set->arena);
	*set = (struct frame_set){};
}

size_t frame_set_add(struct frame_set *set, const struct frame *frame)
{
	struct numbered key = { .frame = frame,
				.locals = set->with_locals ? frame->locals.v : NULL };
	struct numbered *const *found = tfind(&key, &set->tree, compare_frames);

	if (found)
		return (*found)->number;
	struct numbered *entry = arena_memdup(&set->arena, &key, sizeof(key));
	const struct frame **slot = entry ? LIST_ADD(&set->arena, &set->frames) : NULL;
	if (!slot)
		return SIZE_MAX;
	*slot = frame;
	entry->number = set->frames.n - 1;
	return tsearch(entry, &set->tree, compare_frames) ? entry->number : SIZE_MAX;
}

char *frame_function(struct arena *arena, const struct frame *frame)
{
	if (frame->signal_frame && !frame->function)
		return arena_strdup(arena, "<signal handler called>");
	if (!frame->function || !*frame->function)
		return arena_strdup(arena, "??");
	if (frame->kind == FRAME_NATIVE && !frame->inlined && frame->symbol_offset > 0)
		return arena_printf(arena, "%s+0x%" PRIx64, frame->function,
				    (uint64_t)frame->symbol_offset);
	return arena_printf(arena, "%s%s", frame->function, frame->inlined ? " (inlined)" : "");
}

char *frame_place(struct arena *arena, const struct frame *frame, bool brief)
{
	if (frame->kind == FRAME_PYTHON) {
		const char *file = frame->file && *frame->file ? frame->file : "?";

		return frame->line ? arena_printf(arena, "%s:%d", file, frame->line)
				   : arena_strdup(arena, file);
	}
	const char *guess = frame->found_by == FOUND_SCANNED ? " (by scan, may be wrong)" : "";
	if (!frame->module)
		return arena_printf(arena, "0x%" PRIx64 ", in no module%s", frame->pc, guess);
	const char *module = module_name(frame->module);
	if (frame->file && *frame->file)
		return arena_printf(arena, "%s %s:%d%s", module,
				    brief ? path_basename(frame->file) : frame->file, frame->line,
				    guess);
	if (frame->function && *frame->function)
		return arena_printf(arena, "%s%s", module, guess);
	return arena_printf(arena, "%s+0x%" PRIx64 "%s", module, frame->module_offset, guess);
}

// What of a stack goes on the page: a frame, or the news that frames before it repeat.
struct item {
	size_t frame;
	size_t period, times; // times 0: a frame
};

typedef LIST(struct item) item_list;

// How often the PERIOD numbers at AT come again right behind themselves.
static size_t repeats(const size_t *numbers, size_t n, size_t at, size_t period)
{
	size_t run = 0;

	while (at + period + run < n && numbers[at + run] == numbers[at + period + run])
		run++;
	return run / period;
}

static bool fold(struct arena *arena, const size_t *numbers, size_t n, item_list *ret)
{
	for (size_t at = 0; at < n;) {
		size_t period, times = 0;

		for (period = 1; period <= PERIOD_MAX; period++) {
			times = repeats(numbers, n, at, period);
			// A few lines saved are not worth a puzzle.
			if (times >= 2 && period * times >= FOLD_MIN)
				break;
			times = 0;
		}
		size_t shown = times ? period : 1;
		for (size_t i = 0; i < shown; i++) {
			struct item *item = LIST_ADD(arena, ret);
			if (!item)
				return false;
			item->frame = at + i;
		}
		at += shown;
		if (!times)
			continue;
		struct item *item = LIST_ADD(arena, ret);
		if (!item)
			return false;
		*item = (struct item){ .frame = at, .period = period, .times = times };
		at += period * times;
	}
	return true;
}

// Directories of installed packages that a section's lines write as "...".
struct prefixes {
	const char *v[PREFIXES_MAX];
	size_t len[PREFIXES_MAX], n;
};

// How much of PATH only says where packages are installed.
static size_t package_prefix(const char *path)
{
	static const char *const folders[] = { "/site-packages/", "/dist-packages/" };

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		const char *at = strstr(path, folders[i]);
		if (at)
			return (size_t)(at - path) + strlen(folders[i]);
	}
	const char *at = strstr(path, "/lib/python");
	const char *end = at ? strchr(at + strlen("/lib/python"), '/') : NULL;
	return end ? (size_t)(end - path) + 1 : 0;
}

static bool prefixes_add(struct prefixes *prefixes, const char *path, size_t len)
{
	for (size_t i = 0; i < prefixes->n; i++)
		if (prefixes->len[i] == len && !memcmp(prefixes->v[i], path, len))
			return true;
	if (prefixes->n == PREFIXES_MAX)
		return false;
	prefixes->v[prefixes->n] = path;
	prefixes->len[prefixes->n++] = len;
	return true;
}

static void print_prefixes(struct page *page, const struct prefixes *prefixes)
{
	for (size_t i = 0; i < prefixes->n; i++) {
		page_line(page);
		page_add(page, STYLE_FAINT, "  %s .../ is %.*s", i ? "   " : "Here",
			 (int)prefixes->len[i], prefixes->v[i]);
	}
}

static void print_frame(struct page *page, const struct frame *frame, size_t number, size_t column,
			struct prefixes *prefixes)
{
	bool python = frame->kind == FRAME_PYTHON;
	enum style style = python ? STYLE_STRONG : STYLE_FAINT;
	char *full = frame_function(&page->arena, frame);
	char *function = full ? page_elide(&page->arena, full, FUNCTION_MAX - 4) : NULL;
	char *place = frame_place(&page->arena, frame, false);

	if (!function || !place) {
		page->failed = true;
		return;
	}
	page_line(page);
	page_add(page, STYLE_LABEL, " %5zu %s", number, python ? "py  " : "    ");
	size_t start = page_columns(function) + 13;
	if (start < column)
		start = column;
	if (start + page_columns(place) > PAGE_WIDTH) {
		size_t cut = python && frame->file ? package_prefix(frame->file) : 0;

		if (!python)
			place = frame_place(&page->arena, frame, true);
		else if (cut && prefixes_add(prefixes, frame->file, cut))
			place = arena_printf(&page->arena, ".../%s", place + cut);
		if (!place) {
			page->failed = true;
			return;
		}
	}
	// A wide place is still better on its function's line than under it.
	size_t close = page_columns(function) + 13;
	page_add(page, style, "%s", function);
	if (start + page_columns(place) <= PAGE_WIDTH) {
		page_pad(page, column);
	} else if (close + page_columns(place) <= PAGE_WIDTH) {
		page_pad(page, close);
	} else {
		page_line(page);
		page_pad(page, 13);
	}
	page_words(page, style, 13, "%s", place);
}

static void print_locals(struct page *page, const struct frame *frame)
{
	for (size_t i = 0; i < frame->locals.n && i < LOCALS_MAX; i++) {
		const struct variable *variable = &frame->locals.v[i];
		char *value = page_elide_tail(&page->arena, variable->value, LOCAL_COLUMNS);

		if (!value) {
			page->failed = true;
			return;
		}
		page_line(page);
		page_add(page, STYLE_LABEL, "             %s = ", variable->name);
		page_words(page, STYLE_PLAIN, 17, "%s", value);
	}
	if (frame->locals.n > LOCALS_MAX) {
		page_line(page);
		page_add(page, STYLE_LABEL, "             ... %zu more in the JSON report",
			 frame->locals.n - LOCALS_MAX);
	}
}

static void print_stack(struct page *page, const struct stack *stack, size_t max,
			struct prefixes *prefixes)
{
	_cleanup_(arena_deinit) struct arena arena = {};
	_cleanup_(frame_set_deinit) struct frame_set set = {};
	size_t n = stack->frames.n, column = 0;
	item_list items = {};

	size_t *numbers = arena_alloc(&arena, (n + 1) * sizeof(*numbers));
	page->failed |= !numbers;
	for (size_t i = 0; numbers && i < n; i++) {
		numbers[i] = frame_set_add(&set, &stack->frames.v[i]);
		page->failed |= numbers[i] == SIZE_MAX;
	}
	if (page->failed || !fold(&arena, numbers, n, &items)) {
		page->failed = true;
		return;
	}
	// The innermost say what happened, the outermost how it came there.
	size_t head = items.n, tail = 0;
	if (items.n > max) {
		tail = max / 3;
		head = max - tail;
	}
	for (size_t i = 0; i < items.n; i++) {
		if (items.v[i].times || (i >= head && i < items.n - tail))
			continue;
		char *function = frame_function(&arena, &stack->frames.v[items.v[i].frame]);
		size_t width = function ? page_columns(function) : 0;
		if (width <= FUNCTION_COLUMNS && width > column)
			column = width;
	}
	column += 13;
	for (size_t i = 0; i < items.n; i++) {
		const struct item *item = &items.v[i];

		if (i == head && tail) {
			i = items.n - tail;
			page_line(page);
			page_add(
				page, STYLE_LABEL,
				"       ... %zu frames are left out here; the JSON report has more",
				items.v[i].frame - item->frame);
			item = &items.v[i];
		}
		if (item->times) {
			page_line(page);
			if (item->period == 1)
				page_add(page, STYLE_ALERT,
					 "       ... the last frame repeated %zu times",
					 item->times);
			else
				page_add(page, STYLE_ALERT,
					 "       ... the last %zu frames repeated %zu times",
					 item->period, item->times);
			continue;
		}
		print_frame(page, &stack->frames.v[item->frame], item->frame, column, prefixes);
		print_locals(page, &stack->frames.v[item->frame]);
	}
	if (stack->gap) {
		page_line(page);
		page_add(page, STYLE_LABEL, "       (");
		page_words(page, STYLE_LABEL, 8, "%s: %s)", n ? "the stack ends here" : "no stack",
			   stack->gap);
	} else if (!n) {
		page_line(page);
		page_add(page, STYLE_LABEL, "       (no frames)");
	}
}

void stacks_print(struct page *page, const struct stack *stack, size_t max)
{
	struct prefixes prefixes = {};

	print_stack(page, stack, max, &prefixes);
	print_prefixes(page, &prefixes);
}

char *stacks_thread_name(struct arena *arena, const struct thread_findings *thread)
{
	const char *name = thread->thread->name, *python = thread->python_name;

	// Python hands a thread's name on to the kernel, which keeps 15 bytes of it.
	if (python && !strncmp(python, name, strlen(name)))
		name = "";
	return arena_printf(arena, "%d%s%s%s%s", (int)thread->thread->tid, *name ? " " : "", name,
			    python ? (*name ? " / " : " ") : "", python ? python : "");
}

// Threads that are at the same place, so that one stack speaks for all.
struct group {
	const struct thread_findings *first;
	const struct stack *stack; // what is compared and shown
	size_t *numbers, n;	   // of its frames
	int rank;
	LIST(const struct thread_findings *) threads;
};

static int compare_exceptions(const struct exception *a, const struct exception *b)
{
	int ret = compare_text(a ? a->type : NULL, b ? b->type : NULL);

	return ret ? ret : compare_text(a ? a->message : NULL, b ? b->message : NULL);
}

static int compare_groups(const void *va, const void *vb)
{
	const struct group *a = va, *b = vb;
	int ret = COMPARE(a->n, b->n);

	ret = ret ? ret : COMPARE(a->rank, b->rank);
	ret = ret ? ret : compare_text(a->first->syscall, b->first->syscall);
	ret = ret ? ret : COMPARE(a->first->thread->state, b->first->thread->state);
	ret = ret ? ret : COMPARE(a->first->holds_gil, b->first->holds_gil);
	ret = ret ? ret : COMPARE(a->first->waits_for_gil, b->first->waits_for_gil);
	ret = ret ? ret : compare_exceptions(a->first->handled, b->first->handled);
	ret = ret ? ret : compare_exceptions(a->first->raised, b->first->raised);
	for (size_t i = 0; !ret && i < a->n; i++)
		ret = COMPARE(a->numbers[i], b->numbers[i]);
	return ret;
}

static bool waits(const char *syscall)
{
	static const char *const names[] = {
		"futex",	"epoll_wait", "epoll_pwait", "epoll_pwait2",	"poll",
		"ppoll",	"select",     "pselect6",    "nanosleep",	"clock_nanosleep",
		"accept",	"accept4",    "pause",	     "rt_sigtimedwait", "rt_sigsuspend",
		"io_getevents", "futex_wait", "semop",	     "semtimedop",
	};

	for (size_t i = 0; syscall && i < ARRAY_SIZE(names); i++)
		if (!strcmp(syscall, names[i]))
			return true;
	return false;
}

// A worker that waits for work: of a thread pool, of a queue.
static bool idle_worker(const struct thread_findings *thread)
{
	static const struct {
		const char *file, *function;
	} places[] = {
		{ "thread.py", "_worker" },	      { "threading.py", "wait" },
		{ "threading.py", "Condition.wait" }, { "queue.py", "get" },
		{ "queue.py", "Queue.get" },	      { "pool.py", "worker" },
	};

	if (!thread->syscall || strncmp(thread->syscall, "futex", 5))
		return false;
	if (!thread->python.frames.n)
		return true;
	const struct frame *frame = &thread->python.frames.v[0];
	for (size_t i = 0; frame->file && frame->function && i < ARRAY_SIZE(places); i++)
		if (!strcmp(path_basename(frame->file), places[i].file) &&
		    !strcmp(frame->function, places[i].function))
			return true;
	return false;
}

#define RANK_IDLE 4

// The order in which threads are interesting.
static int thread_rank(const struct thread_findings *thread)
{
	if (thread->holds_gil)
		return 0;
	if (idle_worker(thread))
		return RANK_IDLE;
	if (waits(thread->syscall))
		return thread->has_python ? 2 : 3;
	return 1;
}

static int compare_ranks(const void *va, const void *vb)
{
	const struct group *a = *(const struct group *const *)va,
			   *b = *(const struct group *const *)vb;
	int ret = COMPARE(a->rank, b->rank);

	return ret ? ret : COMPARE(a->first->thread->tid, b->first->thread->tid);
}

struct groups {
	struct arena arena;
	struct frame_set set;
	void *tree;
	LIST(struct group *) v;
};

static void groups_deinit(struct groups *groups)
{
	tdestroy(groups->tree, keep);
	frame_set_deinit(&groups->set);
	arena_deinit(&groups->arena);
}

static bool groups_add(struct groups *groups, const struct thread_findings *thread)
{
	struct group *group = arena_alloc(&groups->arena, sizeof(*group));

	if (!group)
		return false;
	group->first = thread;
	group->rank = thread_rank(thread);
	// Of idle workers the C frames say only how Python waits.
	group->stack = group->rank == RANK_IDLE && thread->python.frames.n ? &thread->python
									   : &thread->merged;
	const struct stack *stack = group->stack;
	group->n = stack->frames.n;
	group->numbers = arena_alloc(&groups->arena, (group->n + 1) * sizeof(*group->numbers));
	if (!group->numbers)
		return false;
	for (size_t i = 0; i < group->n; i++) {
		group->numbers[i] = frame_set_add(&groups->set, &stack->frames.v[i]);
		if (group->numbers[i] == SIZE_MAX)
			return false;
	}
	struct group **found = tsearch(group, &groups->tree, compare_groups);
	if (!found)
		return false;
	if (*found == group) {
		struct group **slot = LIST_ADD(&groups->arena, &groups->v);
		if (!slot)
			return false;
		*slot = group;
	}
	const struct thread_findings **member = LIST_ADD(&groups->arena, &(*found)->threads);
	if (!member)
		return false;
	*member = thread;
	return true;
}

// ", waiting in futex", ", running", ", sleeping"; "" when it cannot be told
static char *what_it_does(struct arena *arena, const struct thread_findings *thread)
{
	const char *state = words_state(thread->thread->state);

	if (thread->syscall)
		return arena_printf(arena, ", %s %s", waits(thread->syscall) ? "waiting in" : "in",
				    thread->syscall);
	// Registers that are those of no system call are of a thread in the midst of its code.
	if (!*state && thread->thread->regs.arch)
		state = "running";
	return arena_printf(arena, "%s%s", *state ? ", " : "", state);
}

static void print_group_head(struct page *page, const struct group *group)
{
	const struct thread_findings *first = group->first;
	char *doing = what_it_does(&page->arena, first);

	page_line(page);
	if (group->threads.n == 1) {
		char *name = stacks_thread_name(&page->arena, first);
		if (!name || !doing) {
			page->failed = true;
			return;
		}
		page_words(page, STYLE_PLAIN, 4, "  Thread %s%s%s", name, doing,
			   first->holds_gil       ? ", holds the GIL"
			   : first->waits_for_gil ? ", waits for the GIL"
						  : "");
		return;
	}
	_cleanup_(buf_deinit) struct buf names = {};
	for (size_t i = 0; i < group->threads.n && i < GROUP_NAMES_MAX; i++) {
		const struct thread_findings *thread = group->threads.v[i];
		const char *name = thread->python_name ? thread->python_name : thread->thread->name;
		buf_printf(&names, "%s%d%s%s", i ? ", " : "", (int)thread->thread->tid,
			   *name ? " " : "", name);
	}
	if (group->threads.n > GROUP_NAMES_MAX)
		buf_printf(&names, " and %zu more", group->threads.n - GROUP_NAMES_MAX);
	_cleanup_(freep) char *text = buf_steal(&names);
	if (!text || !doing) {
		page->failed = true;
		return;
	}
	page_words(page, STYLE_PLAIN, 4, "  %zu threads%s: %s", group->threads.n, doing, text);
}

void stacks_print_threads(struct page *page, const struct findings *findings,
			  const struct thread_findings *skip)
{
	_cleanup_(groups_deinit) struct groups groups = {};
	struct prefixes prefixes = {};
	size_t left_out = 0;

	for (size_t i = 0; i < findings->threads.n; i++) {
		if (&findings->threads.v[i] == skip)
			continue;
		if (!groups_add(&groups, &findings->threads.v[i])) {
			page->failed = true;
			return;
		}
	}
	if (groups.v.n)
		qsort(groups.v.v, groups.v.n, sizeof(*groups.v.v), compare_ranks);
	for (size_t i = 0; i < groups.v.n; i++) {
		const struct group *group = groups.v.v[i];
		bool idle = group->rank == RANK_IDLE;

		if (i >= GROUP_LINES_MAX) {
			left_out += group->threads.n;
			continue;
		}
		if (i && i < GROUP_STACKS_MAX)
			page_line(page);
		print_group_head(page, group);
		if (i >= GROUP_STACKS_MAX)
			continue;
		print_stack(page, group->stack, idle ? IDLE_FRAMES_MAX : GROUP_FRAMES_MAX,
			    &prefixes);
		exceptions_print(page, group->first);
	}
	if (left_out) {
		page_line(page);
		page_words(page, STYLE_LABEL, 2,
			   "  ... and %zu threads more, all in the JSON report", left_out);
	}
	if (prefixes.n)
		page_line(page);
	print_prefixes(page, &prefixes);
}
