// SPDX-License-Identifier: GPL-3.0-or-later
#include "surroundings.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "../buf.h"
#include "../cleanup.h"
#include "limits.h"
#include "logs.h"
#include "plot.h"
#include "words.h"

#define FDS_MAX	      40
#define MODULES_MAX   24
#define SAMPLES_MAX   12
#define KERNEL_LINES_MAX 80

static void more_line(struct page *page, size_t n, const char *where)
{
	page_line(page);
	page_add(page, STYLE_LABEL, "    ... and %zu more %s", n, where);
}

// The first argument of the system call that raised SIGPIPE; -1 for none.
static int fd_written(const struct findings *findings)
{
	const char *text = findings->dying ? findings->dying->syscall_text : NULL;
	const char *open = text ? strchr(text, '(') : NULL;
	char *end;

	if (findings->verdict.cause != CAUSE_BROKEN_PIPE || !open)
		return -1;
	long fd = strtol(open + 1, &end, 10);
	return end != open + 1 && fd >= 0 && fd < INT32_MAX ? (int)fd : -1;
}

#define FD_RANKS 6

// The order in which descriptors are worth reading about.
static int fd_rank(const struct fd *fd, int written)
{
	if (fd->fd == written)
		return 0;
	if (fd->is_socket)
		return fd->socket.peer && *fd->socket.peer ? 1 : 2;
	if (fd->target[0] == '/' && strncmp(fd->target, "/dev/", 5) != 0)
		return 3;
	return strncmp(fd->target, "pipe:", 5) ? 5 : 4;
}

// "tcp" for "inet stream", as ss(8) and people say
static char *socket_kind(struct arena *arena, const struct socket *socket)
{
	static const char *const names[][3] = {
		{ "inet", "stream", "tcp" },
		{ "inet6", "stream", "tcp6" },
		{ "inet", "dgram", "udp" },
		{ "inet6", "dgram", "udp6" },
	};
	const char *family = socket->family ? socket->family : "socket";

	for (size_t i = 0; socket->type && i < ARRAY_SIZE(names); i++)
		if (!strcmp(family, names[i][0]) && !strcmp(socket->type, names[i][1]))
			return arena_strdup(arena, names[i][2]);
	return arena_printf(arena, "%s%s%s", family, socket->type ? " " : "",
			    socket->type ? socket->type : "");
}

static void print_fd(struct page *page, const struct fd *fd, int written)
{
	const struct socket *socket = &fd->socket;
	bool peer = socket->peer && *socket->peer;

	page_line(page);
	page_add(page, fd->fd == written ? STYLE_ALERT : STYLE_PLAIN, "  %s%5d  ",
		 fd->fd == written ? "=>" : "  ", fd->fd);
	if (!fd->is_socket) {
		page_words(page, STYLE_PLAIN, 11, "%s", fd->target);
		return;
	}
	char *kind = socket_kind(&page->arena, socket);
	page_words(page, STYLE_PLAIN, 11, "%s %s%s%s%s%s%s", kind ? kind : "",
		   socket->local ? socket->local
		   : peer	 ? "?"
				 : fd->target,
		   peer ? " -> " : "", peer ? socket->peer : "", socket->state ? " " : "",
		   socket->state ? socket->state : "", fd->fd == written ? " (being written)" : "");
	page->failed |= !kind;
}

static void section_files(struct page *page, const struct findings *findings)
{
	const struct process *process = &findings->snapshot->process;
	int written = fd_written(findings);
	size_t shown = 0;

	if (!process->have_fds || !process->fds.n)
		return;
	page_section(page, "files", PAGE_SHOWN, "Open files and sockets (%zu):", process->fds.n);
	for (int rank = 0; rank < FD_RANKS; rank++)
		for (size_t i = 0; i < process->fds.n && shown < FDS_MAX; i++)
			if (fd_rank(&process->fds.v[i], written) == rank) {
				print_fd(page, &process->fds.v[i], written);
				shown++;
			}
	if (shown < process->fds.n)
		more_line(page, process->fds.n - shown, "in the JSON report");
}

// A report of the OOM killer is long: its table of tasks may be left to the other forms.
static void section_kernel_log(struct page *page, const struct findings *findings)
{
	const struct snapshot *snapshot = findings->snapshot;
	size_t n = snapshot->kernel_log.lines.n;

	if (!n)
		return;
	page_section(page, "kernel-log", PAGE_SHOWN, "What the kernel's log says:");
	for (size_t i = 0; i < n; i++) {
		char *line = words_kernel_line(&page->arena, &snapshot->kernel_log.lines.v[i]);

		if (n > KERNEL_LINES_MAX && i == KERNEL_LINES_MAX / 2) {
			page_line(page);
			page_add(page, STYLE_LABEL, "  ... %zu lines more in the JSON report",
				 n - KERNEL_LINES_MAX);
			i = n - KERNEL_LINES_MAX / 2;
			line = words_kernel_line(&page->arena, &snapshot->kernel_log.lines.v[i]);
		}
		page->failed |= !line;
		if (line)
			page_quote(page, line);
	}
}

struct limit_words {
	const char *name, *label;
	bool bytes;
	bool always; // worth a line also when it is unlimited
};

static void add_limit(struct page *page, const limit_list *list, const struct limit_words *words,
		      size_t used)
{
	const struct limit *limit = limits_find(list, words->name);
	struct arena *arena = &page->arena;
	char *value[2], *in_use = NULL;

	if (!limit || (!words->always && limit->soft < 0))
		return;
	for (int i = 0; i < 2; i++) {
		int64_t v = i ? limit->hard : limit->soft;

		value[i] = v < 0	       ? arena_strdup(arena, "unlimited")
			   : words->bytes && v ? words_size(arena, v)
					       : arena_printf(arena, "%" PRId64, v);
	}
	if (used)
		in_use = arena_printf(arena, ", %zu in use", used);
	if (!value[0] || !value[1] || (used && !in_use)) {
		page->failed = true;
		return;
	}
	if (limit->soft == limit->hard)
		page_field(page, words->label, STYLE_PLAIN, "%s%s", value[0], in_use ? in_use : "");
	else
		page_field(page, words->label, STYLE_PLAIN, "%s (may be raised to %s)%s", value[0],
			   value[1], in_use ? in_use : "");
}

static void section_limits(struct page *page, const struct findings *findings)
{
	static const struct limit_words rows[] = {
		{ "Max open files", "open files", false, true },
		{ "Max stack size", "stack", true, true },
		{ "Max core file size", "core file", true, true },
		{ "Max cpu time", "CPU seconds", false, false },
		{ "Max file size", "file size", true, false },
		{ "Max address space", "addresses", true, false },
		{ "Max data size", "data", true, false },
		{ "Max processes", "processes", false, false },
	};
	const struct process *process = &findings->snapshot->process;
	limit_list list = {};

	struct error *err = limits_parse(process, &page->arena, &list);
	if (error_drop(err)) {
		page->failed = true;
		return;
	}
	if (!list.n)
		return;
	page_section(page, "limits", PAGE_SHOWN, "Limits:");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		add_limit(page, &list, &rows[i], i ? 0 : process->fds.n);
}

static bool in_set(uint64_t set, int signo)
{
	return set >> (signo - 1) & 1;
}

static void add_signals(struct page *page, const char *label, uint64_t set)
{
	_cleanup_(buf_deinit) struct buf text = {};

	for (int signo = 1; signo <= 64; signo++)
		// 32 and 33 are glibc's own, for cancelling threads and for setuid().
		if (in_set(set, signo) && signo != 32 && signo != 33) {
			char *name = words_signal(&page->arena, signo);
			buf_printf(&text, "%s%s", text.len ? " " : "", name ? name : "");
			page->failed |= !name;
		}
	_cleanup_(freep) char *s = buf_steal(&text);
	if (s && *s)
		page_field(page, label, STYLE_PLAIN, "%s", s);
	page->failed |= !s;
}

static void add_dispositions(struct page *page, const struct findings *findings)
{
	const struct process *process = &findings->snapshot->process;
	uint64_t set = process->ignored | process->caught;

	if (!process->have_dispositions)
		return;
	add_signals(page, "handled", process->caught);
	add_signals(page, "ignored", process->ignored & ~process->caught);
	if (!findings->python.present)
		return;
	// What CPython sets up at its start (Python/pylifecycle.c) and somebody has undone.
	if (!in_set(set, SIGPIPE))
		page_field(page, "unusual", STYLE_ALERT,
			   "SIGPIPE has its default action, which ends the process; CPython itself "
			   "ignores it");
	if (!in_set(set, SIGXFSZ))
		page_field(page, "unusual", STYLE_PLAIN,
			   "SIGXFSZ has its default action, which ends the process; CPython itself "
			   "ignores it");
	if (in_set(process->ignored, SIGINT))
		page_field(page, "unusual", STYLE_PLAIN,
			   "SIGINT is ignored, as for a command started in the background");
	if (in_set(process->caught, SIGSEGV))
		page_field(page, "note", STYLE_PLAIN,
			   "SIGSEGV has a handler: faulthandler or another crash reporter");
}

static void section_surroundings(struct page *page, const struct findings *findings)
{
	const struct process *process = &findings->snapshot->process;
	struct arena *arena = &page->arena;

	if (!process->cgroup && process->memory_usage < 0 && !process->have_dispositions)
		return;
	page_section(page, "surroundings", PAGE_SHOWN, "Signals and memory:");
	add_dispositions(page, findings);
	if (process->cgroup)
		page_field(page, "cgroup", STYLE_PLAIN, "%s", process->cgroup);
	if (process->memory_usage >= 0) {
		char *usage = words_size(arena, process->memory_usage);
		char *limit = process->memory_limit >= 0 ? words_size(arena, process->memory_limit)
							 : arena_strdup(arena, "none known");
		if (usage && limit)
			page_field(page, "memory", STYLE_PLAIN, "%s used by the cgroup, limit %s",
				   usage, limit);
		page->failed |= !usage || !limit;
	}
	if (process->oom_kills_before >= 0 && process->oom_kills_after >= 0)
		page_field(page, "OOM kills", STYLE_PLAIN,
			   "%" PRId64 " in the cgroup before, %" PRId64 " after",
			   process->oom_kills_before, process->oom_kills_after);
	if (findings->snapshot->full_core.bytes) {
		char *size = words_size(arena, (int64_t)findings->snapshot->full_core.bytes);
		char *held = words_duration(arena, findings->snapshot->full_core.held);

		if (size && held)
			page_field(page, "full core", STYLE_PLAIN, "%s copied, for which it was held for %s",
				   size, held);
		page->failed |= !size || !held;
	}
}

static void print_module(struct page *page, const struct findings *findings, size_t i,
			 bool build_id)
{
	static const char *const symbols[] = {
		[SYMBOLS_NONE] = ", no symbols", [SYMBOLS_DYNSYM] = ", exported symbols only",
		[SYMBOLS_SYMTAB] = "",		 [SYMBOLS_DWARF] = ", debug info",
		[SYMBOLS_UNKNOWN] = "",
	};
	const struct module *module = &findings->snapshot->modules.v[i];
	enum symbols have =
		findings->module_symbols ? findings->module_symbols[i] : SYMBOLS_UNKNOWN;

	page_line(page);
	page_add(page, STYLE_FAINT, "  0x%012" PRIx64 "  ", module->start);
	page_words(page, STYLE_FAINT, 18, "%s%s%s", module->path,
		   module->deleted ? ", deleted or replaced on disk" : "", symbols[have]);
	if (!build_id || !module->build_id_len)
		return;
	page_add(page, STYLE_FAINT, " ");
	for (unsigned k = 0; k < module->build_id_len && k < BUILD_ID_MAX; k++)
		page_add(page, STYLE_FAINT, "%02x", module->build_id[k]);
}

static void section_modules(struct page *page, const struct findings *findings,
			    const struct thread_findings *thread)
{
	const struct snapshot *snapshot = findings->snapshot;
	size_t n = snapshot->modules.n, shown = 0;

	if (!n)
		return;
	bool *wanted = arena_alloc(&page->arena, n * sizeof(*wanted));
	if (!wanted) {
		page->failed = true;
		return;
	}
	wanted[0] = true;
	for (size_t i = 0; i < n; i++)
		wanted[i] |= snapshot->modules.v[i].deleted;
	for (size_t i = 0; thread && i < thread->native.frames.n; i++) {
		const struct module *module = thread->native.frames.v[i].module;
		if (module)
			wanted[module - snapshot->modules.v] = true;
	}
	page_section(page, "modules", PAGE_SHOWN, "Modules that matter here:");
	for (size_t i = 0; i < n && shown < MODULES_MAX; i++)
		if (wanted[i]) {
			print_module(page, findings, i, false);
			shown++;
		}
	if (shown < n)
		more_line(page, n - shown, "in the JSON report, with build ids");
	page_section(page, "all-modules", PAGE_DETAIL, "All modules with build ids:");
	for (size_t i = 0; i < n; i++)
		print_module(page, findings, i, true);
}

static void section_environ(struct page *page, const struct process *process)
{
	if (!process->have_environ)
		return;
	page_section(page, "environ", PAGE_DETAIL, "Environment%s:",
		     process->environ_redacted ? " (what looks like a secret is redacted)" : "");
	for (size_t i = 0; i < process->environ.n; i++)
		page_quote(page, process->environ.v[i]);
}

static void add_size(struct page *page, int64_t bytes)
{
	char *size = bytes < 0 ? arena_strdup(&page->arena, "-") : words_size(&page->arena, bytes);

	page_add(page, STYLE_PLAIN, " %10s", size ? size : "");
	page->failed |= !size;
}

static void add_count(struct page *page, int width, int count)
{
	if (count < 0)
		page_add(page, STYLE_PLAIN, " %*s", width, "-");
	else
		page_add(page, STYLE_PLAIN, " %*d", width, count);
}

// FAMILY: there are children at some time.
static void print_sample(struct page *page, const struct sample *sample, bool family)
{
	char *when = words_time(&page->arena, sample->at);

	page_line(page);
	page_add(page, STYLE_PLAIN, "  %-24s", when ? when : "");
	page->failed |= !when;
	add_size(page, sample->rss);
	if (family)
		add_size(page, sample->children_rss);
	add_size(page, sample->cgroup_memory);
	add_count(page, 7, sample->threads);
	add_count(page, 5, sample->fds);
	if (sample->cpu_percent >= 0 && sample->cpu_percent < 1e5)
		page_add(page, STYLE_PLAIN, " %5.0f%%", sample->cpu_percent);
	else
		page_add(page, STYLE_PLAIN, " %6s", "-");
}

static void section_timeline(struct page *page, const struct findings *findings)
{
	const struct snapshot *snapshot = findings->snapshot;
	size_t n = snapshot->timeline.samples.n;
	size_t lines = n < SAMPLES_MAX ? n : SAMPLES_MAX;
	bool family = false;

	// One sample tells no story.
	if (n < 2)
		return;
	char *trend = words_trends(&page->arena, findings);
	page->failed |= !trend;
	page_section(page, "timeline", PAGE_SHOWN, "The time before:");
	if (trend && *trend) {
		page_line(page);
		page_add(page, STYLE_PLAIN, "  ");
		page_words(page, STYLE_STRONG, 2, "%s", trend);
	}
	for (size_t i = 0; i < n; i++)
		family |= snapshot->timeline.samples.v[i].children > 0;
	page_line(page);
	page_add(page, STYLE_LABEL, "  %-24s %10s ", "when", "resident");
	if (family)
		page_add(page, STYLE_LABEL, "%10s ", "children");
	page_add(page, STYLE_LABEL, "%10s %7s %5s %6s", "cgroup", "threads", "files", "CPU");
	// Evenly over the whole time, the first and the last one always.
	for (size_t i = 0; i < lines; i++)
		print_sample(page, &snapshot->timeline.samples.v[i * (n - 1) / (lines - 1)],
			     family);
}

void surroundings_print(struct page *page, const struct findings *findings,
			const struct thread_findings *thread)
{
	section_files(page, findings);
	logs_print(page, findings);
	section_kernel_log(page, findings);
	section_limits(page, findings);
	section_surroundings(page, findings);
	section_modules(page, findings, thread);
	section_environ(page, &findings->snapshot->process);
	plot_print(page, findings);
	section_timeline(page, findings);
}
