// SPDX-License-Identifier: GPL-3.0-or-later
#include "compare.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../buf.h"
#include "../cleanup.h"
#include "limits.h"
#include "words.h"

#define COMMAND_MAX 2000 // columns of a command line
#define SIGNALS	    64

// Two reports, a and b, being compared; no memory is remembered and told once.
struct pair {
	const struct findings *f[2];
	struct comparison *out;
	bool failed;
};

static const struct {
	const char *name, *title;
} areas[] = {
	[AREA_END] = { "end", "How it ended" },
	[AREA_COMMAND] = { "command", "Program and folder" },
	[AREA_USER] = { "user", "User and rights" },
	[AREA_TERMINAL] = { "terminal", "Terminal, session, standard files" },
	[AREA_SIGNALS] = { "signals", "Signals" },
	[AREA_LIMITS] = { "limits", "Limits" },
	[AREA_CGROUP] = { "cgroup", "Control group and namespaces" },
	[AREA_ENVIRONMENT] = { "environment", "Environment" },
	[AREA_PYTHON] = { "python", "Python" },
	[AREA_MODULES] = { "modules", "Modules" },
	[AREA_TIMELINE] = { "timeline", "Age and use" },
	[AREA_HOST] = { "host", "Machine" },
};

const char *area_title(enum area area)
{
	return areas[area].title;
}

const char *area_name(enum area area)
{
	return areas[area].name;
}

void comparison_deinit(struct comparison *comparison)
{
	arena_deinit(&comparison->arena);
	*comparison = (struct comparison){};
}

static const struct process *process(const struct pair *p, int side)
{
	return &p->f[side]->snapshot->process;
}

// TEXT fit for a terminal and for JSON; a dump may say anything.
static char *clean(struct arena *arena, const char *text)
{
	_cleanup_(buf_deinit) struct buf buf = {};

	buf_clean(&buf, text, strlen(text), "");
	buf_zero(&buf, 1);
	return buf.failed ? NULL : arena_strdup(arena, (const char *)buf.data);
}

// A and B are this side's and that side's word for WHAT; NULL is none, which is a value as well.
static void check(struct pair *p, enum area area, const char *what, const char *a, const char *b)
{
	struct arena *arena = &p->out->arena;

	p->out->compared[area]++;
	if (a == b || (a && b && !strcmp(a, b)))
		return;
	struct difference *d = LIST_ADD(arena, &p->out->differences);
	if (!d) {
		p->failed = true;
		return;
	}
	*d = (struct difference){ .area = area,
				  .what = clean(arena, what),
				  .a = a ? clean(arena, a) : NULL,
				  .b = b ? clean(arena, b) : NULL };
	p->failed |= !d->what || (a && !d->a) || (b && !d->b);
}

// For words made in the comparison's arena, where NULL is a want of memory.
static void check_made(struct pair *p, enum area area, const char *what, char *const word[2])
{
	p->failed |= !word[0] || !word[1];
	if (word[0] && word[1])
		check(p, area, what, word[0], word[1]);
}

static void check_number(struct pair *p, enum area area, const char *what, int64_t a, int64_t b)
{
	struct arena *arena = &p->out->arena;

	if (a >= 0 && b >= 0)
		check_made(p, area, what,
			   (char *const[]){ arena_printf(arena, "%" PRId64, a),
					    arena_printf(arena, "%" PRId64, b) });
}

static void check_size(struct pair *p, enum area area, const char *what, int64_t a, int64_t b)
{
	struct arena *arena = &p->out->arena;
	int64_t size[2] = { a, b };
	char *word[2];

	for (int i = 0; i < 2; i++)
		word[i] = size[i] < 0 ? arena_strdup(arena, "none") : words_size(arena, size[i]);
	check_made(p, area, what, word);
}

static void note_gap(struct pair *p, const char *what, const char *why)
{
	p->failed |= error_drop(gaps_add(&p->out->arena, &p->out->gaps, what, NULL, "%s", why));
}

static void compare_end(struct pair *p)
{
	struct arena *arena = &p->out->arena;
	char *ended[2], *frame[2];

	for (int i = 0; i < 2; i++) {
		ended[i] = words_death(arena, &p->f[i]->snapshot->death);
		frame[i] = arena_strdup(arena, p->f[i]->signature_frames.n
						       ? p->f[i]->signature_frames.v[0]
						       : "unknown");
	}
	check(p, AREA_END, "cause", cause_name(p->f[0]->verdict.cause),
	      cause_name(p->f[1]->verdict.cause));
	check_made(p, AREA_END, "ended by", ended);
	check_made(p, AREA_END, "innermost call", frame);
	check(p, AREA_END, "signature", p->f[0]->signature, p->f[1]->signature);
}

static void compare_command(struct pair *p)
{
	char *command[2];

	for (int i = 0; i < 2; i++)
		command[i] = words_command(&p->out->arena, &process(p, i)->cmdline, COMMAND_MAX);
	check(p, AREA_COMMAND, "executable", process(p, 0)->exe, process(p, 1)->exe);
	check_made(p, AREA_COMMAND, "command line", command);
	check(p, AREA_COMMAND, "working folder", process(p, 0)->cwd, process(p, 1)->cwd);
}

// The value of a line "NAME:\tVALUE" of /proc/PID/status; NULL when it is not there.
static char *status_value(struct arena *arena, const struct process *process, const char *name)
{
	const char *line = (const char *)process->status.data;
	size_t len = strlen(name);

	for (; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
		if (!strncmp(line, name, len) && line[len] == ':') {
			line += len + 1;
			line += strspn(line, " \t");
			return arena_strndup(arena, line, strcspn(line, "\n"));
		}
	return NULL;
}

static void check_status(struct pair *p, enum area area, const char *what, const char *name)
{
	char *value[2];

	for (int i = 0; i < 2; i++)
		value[i] = status_value(&p->out->arena, process(p, i), name);
	// What one kernel does not tell is no difference of the processes.
	if (value[0] && value[1])
		check(p, area, what, value[0], value[1]);
}

static void compare_user(struct pair *p)
{
	char *user[2];

	for (int i = 0; i < 2; i++)
		user[i] = words_user(&p->out->arena, process(p, i)->user, process(p, i)->uid);
	check_made(p, AREA_USER, "user", user);
	check_number(p, AREA_USER, "group", process(p, 0)->gid, process(p, 1)->gid);
	check_status(p, AREA_USER, "groups", "Groups");
	check_status(p, AREA_USER, "effective capabilities", "CapEff");
	check_status(p, AREA_USER, "no new privileges", "NoNewPrivs");
	check_status(p, AREA_USER, "seccomp mode", "Seccomp");
	check_status(p, AREA_USER, "umask", "Umask");
	check_number(p, AREA_USER, "dumpable", process(p, 0)->dumpable, process(p, 1)->dumpable);
}

// What a descriptor leads to, without what is another one in every run.
static char *kind_of_file(struct arena *arena, const struct process *process, int number)
{
	for (size_t i = 0; i < process->fds.n; i++) {
		const struct fd *fd = &process->fds.v[i];

		if (fd->fd != number)
			continue;
		if (fd->is_socket)
			return arena_strdup(arena, "a socket");
		if (!strncmp(fd->target, "pipe:", 5))
			return arena_strdup(arena, "a pipe");
		if (!strncmp(fd->target, "/dev/pts/", 9) || !strncmp(fd->target, "/dev/tty", 8))
			return arena_strdup(arena, "a terminal");
		return arena_strdup(arena, fd->target);
	}
	return arena_strdup(arena, "closed");
}

static char *role_in_session(struct arena *arena, const struct process *process)
{
	const char *role = process->sid == process->pid	   ? "leads its session"
			   : process->pgid == process->pid ? "leads a process group"
							   : "in another's process group";

	return arena_strdup(arena, role);
}

static char *starters(struct arena *arena, const struct process *process)
{
	char *ret = arena_strdup(arena, process->ancestors.n ? "" : "nobody that is known");

	for (size_t i = 0; ret && i < process->ancestors.n; i++) {
		const char *name = process->ancestors.v[i].comm;
		ret = arena_printf(arena, "%s%s%s", ret, i ? ", " : "", name ? name : "?");
	}
	return ret;
}

static void compare_terminal(struct pair *p)
{
	static const char *const names[] = { "standard input", "standard output", "standard error" };
	struct arena *arena = &p->out->arena;
	char *word[2];

	for (int i = 0; i < 2; i++)
		word[i] = arena_strdup(arena, process(p, i)->tty ? "a terminal" : "none");
	check_made(p, AREA_TERMINAL, "controlling terminal", word);
	for (int i = 0; i < 2; i++)
		word[i] = role_in_session(arena, process(p, i));
	check_made(p, AREA_TERMINAL, "session", word);
	for (int i = 0; i < 2; i++)
		word[i] = starters(arena, process(p, i));
	check_made(p, AREA_TERMINAL, "started by", word);
	if (!process(p, 0)->have_fds || !process(p, 1)->have_fds) {
		note_gap(p, "standard files", "one of the reports has no open files");
		return;
	}
	for (int fd = 0; fd < 3; fd++) {
		for (int i = 0; i < 2; i++)
			word[i] = kind_of_file(arena, process(p, i), fd);
		check_made(p, AREA_TERMINAL, names[fd], word);
	}
}

static void compare_signals(struct pair *p)
{
	struct arena *arena = &p->out->arena;

	if (!process(p, 0)->have_dispositions || !process(p, 1)->have_dispositions) {
		note_gap(p, "signal dispositions", "one of the reports does not have them");
		return;
	}
	for (int signo = 1; signo <= SIGNALS; signo++) {
		uint64_t bit = UINT64_C(1) << (signo - 1);
		const char *word[2];
		char *name = words_signal(arena, signo);

		for (int i = 0; i < 2; i++)
			word[i] = process(p, i)->ignored & bit	? "ignored"
				  : process(p, i)->caught & bit ? "handled"
								: "default action";
		p->failed |= !name;
		if (name)
			check(p, AREA_SIGNALS, name, word[0], word[1]);
	}
	check_status(p, AREA_SIGNALS, "blocked in the main thread", "SigBlk");
}

static char *limit_word(struct arena *arena, const struct limit *limit)
{
	char soft[24] = "unlimited", hard[24] = "unlimited";

	if (limit->soft >= 0)
		snprintf(soft, sizeof(soft), "%" PRId64, limit->soft);
	if (limit->hard >= 0)
		snprintf(hard, sizeof(hard), "%" PRId64, limit->hard);
	return arena_printf(arena, "%s%s%s (may be raised to %s)", soft, *limit->unit ? " " : "",
			    limit->unit, hard);
}

static struct error *compare_limits(struct pair *p)
{
	struct arena *arena = &p->out->arena;
	limit_list list[2] = {};

	for (int i = 0; i < 2; i++) {
		struct error *err = limits_parse(process(p, i), arena, &list[i]);
		if (err)
			return err;
	}
	if (!list[0].n || !list[1].n)
		note_gap(p, "limits", "one of the reports does not have them");
	for (size_t i = 0; i < list[0].n; i++) {
		const struct limit *other = limits_find(&list[1], list[0].v[i].name);

		if (other)
			check_made(p, AREA_LIMITS, list[0].v[i].name,
				   (char *const[]){ limit_word(arena, &list[0].v[i]),
						    limit_word(arena, other) });
	}
	return NULL;
}

static void compare_cgroup(struct pair *p)
{
	check(p, AREA_CGROUP, "control group", process(p, 0)->cgroup, process(p, 1)->cgroup);
	check_size(p, AREA_CGROUP, "memory limit", process(p, 0)->memory_limit,
		   process(p, 1)->memory_limit);
	check_number(p, AREA_CGROUP, "nested pid namespaces", (int64_t)process(p, 0)->ns_pids.n,
		     (int64_t)process(p, 1)->ns_pids.n);
	check_status(p, AREA_CGROUP, "allowed CPUs", "Cpus_allowed_list");
}

// "NAME=value" in LIST whose name is that of VARIABLE; NULL: none.
static const char *same_variable(const strings *list, const char *variable)
{
	size_t len = strcspn(variable, "=");

	for (size_t i = 0; i < list->n; i++)
		if (!strncmp(list->v[i], variable, len) && list->v[i][len] == '=')
			return list->v[i];
	return NULL;
}

static const char *value_of(const char *variable)
{
	size_t len = variable ? strcspn(variable, "=") : 0;

	return variable && variable[len] ? variable + len + 1 : NULL;
}

static void check_variable(struct pair *p, const char *a, const char *b, size_t *hidden)
{
	const char *any = a ? a : b;
	char *name = arena_strndup(&p->out->arena, any, strcspn(any, "="));
	const char *value = value_of(a);

	p->failed |= !name;
	*hidden += a && b && value && strstr(value, REDACTED) && !strcmp(a, b);
	if (name)
		check(p, AREA_ENVIRONMENT, name, value, value_of(b));
}

static void compare_environment(struct pair *p)
{
	const strings *a = &process(p, 0)->environ, *b = &process(p, 1)->environ;
	size_t hidden = 0;

	if (!process(p, 0)->have_environ || !process(p, 1)->have_environ) {
		note_gap(p, "environment", "one of the reports does not have it");
		return;
	}
	// Of equal names the first counts, as it does for getenv().
	for (size_t i = 0; i < a->n; i++)
		if (same_variable(a, a->v[i]) == a->v[i])
			check_variable(p, a->v[i], same_variable(b, a->v[i]), &hidden);
	for (size_t i = 0; i < b->n; i++)
		if (same_variable(b, b->v[i]) == b->v[i] && !same_variable(a, b->v[i]))
			check_variable(p, NULL, b->v[i], &hidden);
	if (hidden)
		note_gap(p, "redacted variables",
			 "values that were replaced by " REDACTED " look the same whatever they were");
}

static void compare_python(struct pair *p)
{
	const struct python_findings *a = &p->f[0]->python, *b = &p->f[1]->python;

	check(p, AREA_PYTHON, "CPython", a->present ? a->version : NULL,
	      b->present ? b->version : NULL);
	check(p, AREA_PYTHON, "its library", a->present ? a->library : NULL,
	      b->present ? b->library : NULL);
	check_number(p, AREA_PYTHON, "free-threaded", a->free_threaded, b->free_threaded);
}

static char *module_word(struct arena *arena, const struct module *module)
{
	char id[2 * BUILD_ID_MAX + 1] = "";

	for (unsigned i = 0; i < module->build_id_len && i < BUILD_ID_MAX; i++)
		snprintf(id + 2 * i, 3, "%02x", module->build_id[i]);
	return arena_printf(arena, "%s, %s%s%s", module->path, *id ? "build id " : "no build id", id,
			    module->deleted ? ", deleted" : "");
}

// The module of SNAPSHOT that is the same thing as MODULE: the same path, else the same file name.
static const struct module *same_module(const struct snapshot *snapshot, const struct module *module)
{
	const struct module *ret = NULL;

	for (size_t i = 0; i < snapshot->modules.n; i++) {
		const struct module *m = &snapshot->modules.v[i];

		if (!strcmp(m->path, module->path))
			return m;
		if (!ret && !strcmp(path_basename(m->path), path_basename(module->path)))
			ret = m;
	}
	return ret;
}

static void compare_modules(struct pair *p)
{
	struct arena *arena = &p->out->arena;

	for (int side = 0; side < 2; side++) {
		const struct snapshot *own = p->f[side]->snapshot;

		for (size_t i = 0; i < own->modules.n; i++) {
			const struct module *m = &own->modules.v[i];
			const struct module *other = same_module(p->f[!side]->snapshot, m);

			// What both have is told once.
			if (other && side)
				continue;
			char *word[2] = { NULL, NULL };
			word[side] = module_word(arena, m);
			word[!side] = other ? module_word(arena, other) : NULL;
			p->failed |= !word[side] || (other && !word[!side]);
			check(p, AREA_MODULES, path_basename(m->path), word[0], word[1]);
		}
	}
}

static char *age(struct arena *arena, const struct snapshot *snapshot)
{
	int64_t ns = words_elapsed(snapshot->time.process_start, snapshot->time.death);

	return ns < 0 ? arena_strdup(arena, "unknown") : words_duration(arena, ns);
}

static void compare_timeline(struct pair *p)
{
	struct arena *arena = &p->out->arena;
	char *word[2];

	for (int i = 0; i < 2; i++)
		word[i] = age(arena, p->f[i]->snapshot);
	check_made(p, AREA_TIMELINE, "age", word);
	check_number(p, AREA_TIMELINE, "threads", (int64_t)p->f[0]->snapshot->threads.n,
		     (int64_t)p->f[1]->snapshot->threads.n);
	if (process(p, 0)->have_fds && process(p, 1)->have_fds)
		check_number(p, AREA_TIMELINE, "open files", (int64_t)process(p, 0)->fds.n,
			     (int64_t)process(p, 1)->fds.n);
	check_status(p, AREA_TIMELINE, "greatest resident memory", "VmHWM");
	check_status(p, AREA_TIMELINE, "greatest virtual memory", "VmPeak");
	for (int i = 0; i < 2; i++)
		word[i] = words_trends(arena, p->f[i]);
	check_made(p, AREA_TIMELINE, "trend", word);
}

static void compare_host(struct pair *p)
{
	const struct host *a = &p->f[0]->snapshot->host, *b = &p->f[1]->snapshot->host;

	check(p, AREA_HOST, "name", a->hostname, b->hostname);
	check(p, AREA_HOST, "kernel", a->kernel, b->kernel);
	check(p, AREA_HOST, "architecture", a->arch ? a->arch->name : NULL,
	      b->arch ? b->arch->name : NULL);
	if (a->cpus > 0 && b->cpus > 0)
		check_number(p, AREA_HOST, "CPUs", a->cpus, b->cpus);
	if (a->memory > 0 && b->memory > 0)
		check_size(p, AREA_HOST, "memory", a->memory, b->memory);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct difference *)a)->what, ((const struct difference *)b)->what);
}

// Variables and modules by name: their own order means nothing.
static void sort(struct comparison *out)
{
	size_t i = 0;

	while (i < out->differences.n) {
		enum area area = out->differences.v[i].area;
		size_t end = i;

		while (end < out->differences.n && out->differences.v[end].area == area)
			end++;
		if (area == AREA_ENVIRONMENT || area == AREA_MODULES)
			qsort(out->differences.v + i, end - i, sizeof(*out->differences.v), by_name);
		i = end;
	}
}

struct error *compare(const struct findings *a, const struct findings *b, struct comparison *ret)
{
	_cleanup_(comparison_deinit) struct comparison out = {};
	struct pair p = { .f = { a, b }, .out = &out };

	compare_end(&p);
	compare_command(&p);
	compare_user(&p);
	compare_terminal(&p);
	compare_signals(&p);
	struct error *err = compare_limits(&p);
	if (err)
		return err;
	compare_cgroup(&p);
	compare_environment(&p);
	compare_python(&p);
	compare_modules(&p);
	compare_timeline(&p);
	compare_host(&p);
	if (p.failed)
		return error_nomem();
	sort(&out);
	*ret = TAKE(out);
	return NULL;
}
