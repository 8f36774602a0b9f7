/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <linux/capability.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "analyse/symbols.h"
#include "cleanup.h"
#include "live/attach.h"
#include "live/breakpoint.h"
#include "live/cgroup.h"
#include "live/procfs.h"
#include "live/procmem.h"
#include "live/senders.h"
#include "render/page.h"
#include "render/text.h"
#include "store/file.h"
#include "walk/python.h"

#ifndef CAP_PERFMON
#define CAP_PERFMON 38 // Linux 5.8
#endif

#define MODULES_MAX 12 // shown of one process

enum state { STATE_YES, STATE_PARTLY, STATE_NO, STATE_NONE /* there is nothing of the kind */ };

struct check {
	const char *name;
	enum state state;
	char *text;
	char *remedy; /* NULL: none is needed */
};

struct examination {
	struct arena arena;
	const struct options *options;
	LIST(struct check) checks;
	bool attaches, writes;
	bool without_core; /* the process may write none */
	bool failed; /* no memory */
};

static void note(struct examination *x, const char *name, enum state state, const char *remedy,
		 const char *fmt, ...) __attribute__((format(printf, 5, 6)));

static void note(struct examination *x, const char *name, enum state state, const char *remedy,
		 const char *fmt, ...)
{
	struct check *check = LIST_ADD(&x->arena, &x->checks);
	va_list ap;

	va_start(ap, fmt);
	char *text = arena_vprintf(&x->arena, fmt, ap);
	va_end(ap);
	char *copy = remedy ? arena_strdup(&x->arena, remedy) : NULL;
	if (!check || !text || (remedy && !copy)) {
		x->failed = true;
		return;
	}
	*check = (struct check){ name, state, text, copy };
}

// ERR, which is consumed, is the answer: what is behind its last semicolon is the way to mend it.
static void note_error(struct examination *x, const char *name, struct error *err)
{
	const char *remedy = strrchr(err->text, ';');

	if (remedy)
		note(x, name, STATE_NO, remedy + 1 + strspn(remedy + 1, " "), "%.*s",
		     (int)(remedy - err->text), err->text);
	else
		note(x, name, STATE_NO, NULL, "%s", err->text);
	error_free(err);
}

/* A child, of USER where that may be, that does nothing and ends with us at the latest. */
static pid_t idle_child(uid_t user)
{
	int ready[2];
	char byte;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return -1;
	pid_t parent = getpid(), pid = fork();
	if (pid == 0) {
		// A change of user forgets the wish, so it comes after.
		if (user != geteuid() && setresuid(user, user, user) < 0)
			_exit(0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(0);
		if (write(ready[1], "", 1) != 1)
			_exit(0);
		for (;;)
			pause();
	}
	close(ready[1]);
	while (pid > 0 && read(ready[0], &byte, 1) < 0 && errno == EINTR)
		;
	close(ready[0]);
	return pid;
}

static void end_child(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
		;
}

static const char *user_name(uid_t uid, char *room, size_t size)
{
	const struct passwd *pw = getpwuid(uid);

	snprintf(room, size, "uid %u", (unsigned)uid);
	return pw ? pw->pw_name : room;
}

static uint64_t own_capabilities(void)
{
	_cleanup_(closep) int dir = -1;
	char text[4096];
	const char *at;

	if (error_drop(procfs_open(getpid(), &dir)) ||
	    !procfs_peek(dir, "status", text, sizeof(text)) || !(at = strstr(text, "\nCapEff:")))
		return 0;
	return strtoull(at + strlen("\nCapEff:"), NULL, 16);
}

// A user namespace has rights of its own, which end at its border.
static bool in_user_namespace(void)
{
	_cleanup_(closep) int dir = -1;
	unsigned inside, outside, count;
	char text[256];

	return !error_drop(procfs_open(getpid(), &dir)) &&
	       procfs_peek(dir, "uid_map", text, sizeof(text)) &&
	       sscanf(text, "%u %u %u", &inside, &outside, &count) == 3 &&
	       (inside || outside || count != UINT32_MAX);
}

// Who we are to the kernel, in its own words.
static void check_rights(struct examination *x)
{
	static const struct {
		const char *name;
		unsigned number;
	} wanted[] = {
		{ "CAP_SYS_PTRACE", CAP_SYS_PTRACE },
		{ "CAP_PERFMON", CAP_PERFMON },
		{ "CAP_SYSLOG", CAP_SYSLOG },
	};
	uint64_t have = own_capabilities();
	char room[32];
	const char *user = user_name(geteuid(), room, sizeof(room));
	char lacking[128] = "", yama[64] = "there is no Yama";
	int scope = attach_yama_scope();

	if (scope >= 0)
		snprintf(yama, sizeof(yama), "Yama's ptrace_scope is %d", scope);
	// Before Linux 5.8 CAP_SYS_ADMIN was what CAP_PERFMON is.
	if (have & UINT64_C(1) << CAP_SYS_ADMIN)
		have |= UINT64_C(1) << CAP_PERFMON;
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		size_t len = strlen(lacking);

		if (!(have >> wanted[i].number & 1))
			snprintf(lacking + len, sizeof(lacking) - len, "%s%s", len ? ", " : "",
				 wanted[i].name);
	}
	if (*lacking)
		note(x, "rights", STATE_PARTLY,
		     "run pcatch as root, or once: sudo setcap "
		     "cap_sys_ptrace,cap_perfmon,cap_syslog,cap_dac_read_search+ep $(command -v "
		     "pcatch)",
		     "user %s, without %s; %s", user, lacking, yama);
	else if (in_user_namespace())
		note(x, "rights", STATE_PARTLY, "run pcatch as root outside of it",
		     "user %s of a user namespace, whose rights end at its border; %s", user, yama);
	else
		note(x, "rights", STATE_YES, NULL,
		     "user %s, with CAP_SYS_PTRACE, CAP_PERFMON, CAP_SYSLOG; %s", user, yama);
}

static void check_container(struct examination *x, const struct host *host)
{
	if (host->in_container)
		note(x, "container", STATE_PARTLY, "run pcatch on the host to have these, too",
		     "a container: in the kernel's log pids are the host's, and who sends signals "
		     "from outside has no name");
	else
		note(x, "container", STATE_NONE, NULL,
		     "no container: pids here are the kernel's own");
}

static void check_own_child(struct examination *x)
{
	pid_t pid = idle_child(geteuid());
	struct breakpoint breakpoint = {};
	const char *remedy = NULL;

	if (pid < 0) {
		note(x, "ptrace", STATE_NO, NULL, "no process can be made to try it on: %s",
		     strerror(errno));
		return;
	}
	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0) {
		x->attaches = true;
		note(x, "ptrace", STATE_YES, NULL, "a child of our own could be seized");
	} else {
		note(x, "ptrace", STATE_NO,
		     "allow ptrace(2) in the container's seccomp profile, or start it with "
		     "--cap-add=SYS_PTRACE",
		     "not even a child of our own may be seized: %s", strerror(errno));
	}
	struct error *err = breakpoint_set(&breakpoint, pid, (taddr)(uintptr_t)getpid, &remedy);
	if (err)
		note(x, "breakpoint", STATE_NO, remedy, "%s", err->text);
	else
		note(x, "breakpoint", STATE_YES, NULL,
		     "a debug register can be used: a Python is stopped as it begins to end");
	error_free(err);
	breakpoint_clear(&breakpoint);
	end_child(pid);
}

// What the kernel looks at in a process before it lets anybody watch.
static void check_process(struct examination *x, const struct process *process)
{
	const char *guarded = NULL;
	struct procfs_status status;
	char inner[64] = "", room[32];

	if (!x->options->pid || error_drop(procfs_status(process->pid, &status)))
		return;
	if (process->ns_pids.n > 1)
		snprintf(inner, sizeof(inner), ", in a container, where its pid is %d",
			 (int)process->ns_pids.v[process->ns_pids.n - 1]);
	if (status.uid != status.euid)
		guarded = "has the rights of another by a setuid program";
	else if (process->dumpable == 0)
		guarded = "is not dumpable";
	if (guarded)
		note(x, "process", STATE_PARTLY, NULL,
		     "%s of %s%s %s: only root may watch it, and its report is for root alone",
		     process->comm, user_name(status.uid, room, sizeof(room)), inner, guarded);
	else
		note(x, "process", STATE_YES, NULL, "%s of %s%s%s", process->comm,
		     user_name(status.uid, room, sizeof(room)), inner,
		     process->dumpable == 1 ? ", dumpable" : "");
}

static void check_attach(struct examination *x)
{
	pid_t pid = x->options->pid;
	char path[32];

	struct error *err = attach_possible(pid);
	if (!err) {
		// The kernel asks the same questions as for ptrace (PTRACE_MODE_ATTACH), and
		// nothing stops.
		snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
		_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			err = attach_refused(pid, errno);
	}
	if (err) {
		x->attaches = false;
		note_error(x, "attach", err);
		return;
	}
	note(x, "attach", x->attaches ? STATE_YES : STATE_NO, NULL,
	     x->attaches ? "process %d may be watched" : "process %d could be, but for ptrace",
	     (int)pid);
}

// A process of another user can be attached to: root makes one to try, others look at the first
// one.
static bool reaches_others(void)
{
	pid_t pid = geteuid() ? -1 : idle_child(65534);
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/mem", pid > 0 ? (int)pid : 1);
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	end_child(pid);
	return fd >= 0;
}

// Without a process in mind: whose processes the rights are good for.
static void check_scope(struct examination *x)
{
	int scope = attach_yama_scope();

	if (scope < 3 && reaches_others())
		note(x, "attach", STATE_YES, NULL, "processes of every user may be watched");
	else if (scope == 3)
		note(x, "attach", STATE_NO,
		     "set kernel.yama.ptrace_scope lower in /etc/sysctl.d and reboot",
		     "kernel.yama.ptrace_scope is 3: none may be, until the next boot");
	else if (scope > 0)
		note(x, "attach", STATE_PARTLY,
		     "sysctl kernel.yama.ptrace_scope=0, or run pcatch as root",
		     "kernel.yama.ptrace_scope is %d: of running processes none of yours; what "
		     "'pcatch run' starts may be",
		     scope);
	else
		note(x, "attach", STATE_PARTLY,
		     "run pcatch as root or with CAP_SYS_PTRACE for others'",
		     "your own processes may be watched, those of other users not");
}

static void check_senders(struct examination *x)
{
	struct senders *senders = NULL;
	struct error *err = senders_create(false, NULL, &senders);

	if (err) {
		note_error(x, "senders", err);
		return;
	}
	const struct gap *gap = senders_gap(senders);
	if (gap)
		note(x, "senders", STATE_NO, gap->remedy, "%s", gap->why);
	else
		note(x, "senders", STATE_YES, NULL, "who sends a signal, SIGKILL too, is seen");
	senders_destroy(senders);
}

static void check_kernel_log(struct examination *x)
{
	char record[8192];
	_cleanup_(closep) int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, record, sizeof(record));

	// EPIPE: it may be read, and has moved on meanwhile; EAGAIN: it is empty.
	if (n >= 0 || (fd >= 0 && (errno == EPIPE || errno == EAGAIN)))
		note(x, "kernel log", STATE_YES, NULL,
		     "OOM kills and crashes are read in /dev/kmsg");
	else if (errno == ENOENT)
		note(x, "kernel log", STATE_NO, "give the container the device /dev/kmsg",
		     "there is no /dev/kmsg");
	else
		note(x, "kernel log", STATE_NO,
		     "run pcatch as root or with CAP_SYSLOG, or: sysctl kernel.dmesg_restrict=0",
		     "/dev/kmsg: %s", strerror(errno));
}

// The soft limit of PROCESS is none at all; a handler is started all the same.
static bool has_no_room_for_core(const struct process *process)
{
	static const char name[] = "Max core file size";
	const char *limits = process->limits.len ? (const char *)process->limits.data : "";
	const char *at = strstr(limits, name);

	// "unlimited" is no number.
	at = at ? at + strlen(name) : "";
	at += strspn(at, " ");
	return at[0] == '0' && at[1] == ' ';
}

static void check_core_pattern(struct examination *x)
{
	char text[256];
	_cleanup_(closep) int fd = open("/proc/sys/kernel/core_pattern", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n < 0)
		n = 0;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	if (!*text)
		note(x, "core files", STATE_NONE, NULL,
		     "the kernel writes none (kernel.core_pattern is empty); pcatch needs none");
	else if (*text == '|')
		note(x, "core files", STATE_YES, NULL, "the kernel hands them to %s", text + 1);
	else if (x->without_core)
		note(x, "core files", STATE_NONE, NULL,
		     "its limit (ulimit -c) is 0: none is written; pcatch needs none");
	else
		note(x, "core files", STATE_YES, NULL, "written as %s, where limits allow", text);
}

static void check_cgroup(struct examination *x, const struct process *process)
{
	const char *path = process->cgroup ? process->cgroup : "/";
	struct cgroup_tree tree;

	cgroup_find("/proc/self/mountinfo", &tree);
	struct cgroup_sizes sizes = cgroup_sizes(&tree, path, strlen(path));
	_cleanup_(closep) int fd = cgroup_open_events(&tree, path, strlen(path));
	int64_t usage = sizes.usage, limit = sizes.limit, kills = cgroup_read_events(fd).kills;
	if (kills >= 0 && usage >= 0)
		note(x, "cgroup", STATE_YES, NULL, "memory and OOM kills of %s are counted%s",
		     path, limit >= 0 ? "; it has a limit" : "");
	else if (usage >= 0)
		note(x, "cgroup", STATE_PARTLY, "a newer kernel (4.13) counts OOM kills per cgroup",
		     "memory of %s is counted, OOM kills are not", path);
	else
		note(x, "cgroup", STATE_NO,
		     "mount the cgroup file system where pcatch runs, with the memory controller "
		     "enabled",
		     "the memory of the control group %s cannot be read", path);
}

static void check_symbols(struct examination *x, struct images *images,
			  const struct snapshot *snapshot)
{
	static const char *const kinds[] = {
		[SYMBOLS_NONE] = "no symbols",	   [SYMBOLS_DYNSYM] = "exported symbols only",
		[SYMBOLS_SYMTAB] = "symbols",	   [SYMBOLS_DWARF] = "debug info",
		[SYMBOLS_UNKNOWN] = "not readable",
	};
	_cleanup_(symbolizer_destroyp) struct symbolizer *symbolizer = NULL;
	struct names names;
	size_t shown = 0;

	names_init(&names, &x->arena);
	struct error *err = symbolizer_create(images, &names, &symbolizer);
	for (size_t i = 0; !err && i < snapshot->modules.n && shown < MODULES_MAX; i++) {
		const struct module *module = &snapshot->modules.v[i];
		const char *file = path_basename(module->path);
		const struct symbol *symbol;
		taddr at = 0;

		if (i && strncmp(file, "libc.", 5) != 0 && strncmp(file, "libpython", 9) != 0)
			continue;
		for (size_t m = 0; m < snapshot->mappings.n && !at; m++)
			if (snapshot->mappings.v[m].start >= module->start &&
			    snapshot->mappings.v[m].start < module->end &&
			    snapshot->mappings.v[m].permissions[2] == 'x')
				at = snapshot->mappings.v[m].start;
		err = symbolizer_lookup(symbolizer, at ? at : module->start, false, &symbol);
		if (err)
			break;
		shown++;
		enum symbols kind = symbolizer_kind(symbolizer, i);
		bool enough = kind == SYMBOLS_DWARF || kind == SYMBOLS_SYMTAB;
		note(x, "symbols", enough ? STATE_YES : STATE_PARTLY,
		     enough ? NULL
			    : "install the debug symbols of its package (Debian: "
			      "find-dbgsym-packages)",
		     "%s: %s", file, kinds[kind]);
	}
	names_deinit(&names);
	x->failed |= error_drop(err) && !shown;
}

static void check_python(struct examination *x, struct images *images, struct snapshot *snapshot,
			 int mem_fd)
{
	struct procmem live;
	char *why = NULL;

	procmem_init(&live, snapshot->process.pid, mem_fd);
	struct error *err =
		python_find(images, &live.mem, &snapshot->arena, &snapshot->python, &why);
	const struct python_hint *python = &snapshot->python;
	if (err)
		note_error(x, "Python", err);
	else if (python->found)
		note(x, "Python", STATE_YES, NULL, "CPython %u.%u%s, found by %s in %s",
		     python->version >> 24, python->version >> 16 & 0xff,
		     python->free_threaded ? ", free-threaded" : "",
		     python->found_by ? python->found_by : "?",
		     python->module ? python->module : "?");
	else if (why)
		note(x, "Python", STATE_NO, "report its version, and where it comes from", "%s",
		     why);
	else
		note(x, "Python", STATE_NONE, NULL, "it is no Python program");
}

// What the process is made of; nothing of it is stopped.
static struct error *check_target(struct examination *x)
{
	_cleanup_(snapshot_deinit) struct snapshot snapshot;
	_cleanup_(closep) int dir = -1;
	struct procmem live;
	struct images images;

	snapshot_init(&snapshot);
	snapshot.process.pid = x->options->pid ? x->options->pid : getpid();
	struct error *err = procfs_open(snapshot.process.pid, &dir);
	if (!err)
		err = procfs_host(&snapshot);
	if (!err)
		err = procfs_process(&snapshot, dir, true);
	if (err)
		return err;
	check_container(x, &snapshot.host);
	check_process(x, &snapshot.process);
	check_cgroup(x, &snapshot.process);
	x->without_core = x->options->pid && has_no_room_for_core(&snapshot.process);
	if (!x->options->pid || !x->attaches)
		return NULL;
	_cleanup_(closep) int mem_fd = openat(dir, "mem", O_RDONLY | O_CLOEXEC);
	procmem_init(&live, snapshot.process.pid, mem_fd);
	err = procfs_maps(&snapshot, -1, dir);
	if (!err)
		err = procfs_modules(&snapshot, dir, &live.mem);
	if (!err)
		err = images_init(&images, &snapshot);
	if (err)
		return err;
	check_symbols(x, &images, &snapshot);
	check_python(x, &images, &snapshot, mem_fd);
	images_deinit(&images);
	return NULL;
}

static void check_output(struct examination *x)
{
	_cleanup_(store_close) struct store store = { .dir = -1 };
	struct error *err = store_open(x->options->output, &store);

	x->writes = !err;
	if (err)
		note(x, "reports", STATE_NO, "name another folder by -o DIR or in PCATCH_DIR", "%s",
		     err->text);
	else
		note(x, "reports", STATE_YES, NULL, "they go to %s", store.path);
	error_free(err);
}

static const char *const state_names[] = {
	[STATE_YES] = "yes", [STATE_PARTLY] = "partly", [STATE_NO] = "no", [STATE_NONE] = "none",
};

static struct error *print_text(const struct examination *x, bool works)
{
	_cleanup_(page_deinit) struct page page = {};
	_cleanup_(buf_deinit) struct buf out = {};

	page_section(&page, "doctor", PAGE_SHOWN, NULL);
	page_line(&page);
	page_words(&page, STYLE_VERDICT, 0, "%s",
		   works ? "pcatch can catch a death and report it here."
			 : "pcatch cannot do its work here: see what says \"no\".");
	page_line(&page);
	for (size_t i = 0; i < x->checks.n; i++) {
		const struct check *check = &x->checks.v[i];

		page_line(&page);
		page_add(&page, STYLE_PLAIN, "  %-12s%-8s", check->name, state_names[check->state]);
		page_words(&page, STYLE_PLAIN, 22, "%s", check->text);
		if (!check->remedy)
			continue;
		page_line(&page);
		page_add(&page, STYLE_PLAIN, "%20s", "");
		page_words(&page, STYLE_STRONG, 22, "-> %s", check->remedy);
	}
	struct error *err = page_error(&page);
	for (size_t i = 0; !err && i < page.sections.v[0].lines.n; i++)
		text_line(&page.sections.v[0].lines.v[i], false, &out);
	if (!err)
		err = buf_error(&out);
	if (!err && fwrite(out.data, 1, out.len, stdout) != out.len)
		err = error_errno(errno, "cannot write to standard output");
	return err;
}

static struct error *print_json(const struct examination *x, bool works)
{
	json_t *checks = json_array();
	struct error *err = NULL;

	for (size_t i = 0; i < x->checks.n; i++) {
		const struct check *check = &x->checks.v[i];
		_cleanup_(buf_deinit) struct buf text = {}, remedy = {};

		buf_clean(&text, check->text, strlen(check->text), "");
		buf_add(&text, "", 1);
		buf_clean(&remedy, check->remedy ? check->remedy : "",
			  check->remedy ? strlen(check->remedy) : 0, "");
		buf_add(&remedy, "", 1);
		json_t *object =
			text.failed || remedy.failed
				? NULL
				: json_pack("{s:s, s:s, s:s, s:s?}", "name", check->name, "state",
					    state_names[check->state], "text", (char *)text.data,
					    "remedy",
					    check->remedy ? (char *)remedy.data : NULL);
		if (!object || json_array_append_new(checks, object)) {
			json_decref(checks);
			return error_nomem();
		}
	}
	json_t *pid = x->options->pid ? json_integer(x->options->pid) : json_null();
	json_t *root = json_pack("{s:s, s:o, s:b, s:o}", "schema", "pcatch.doctor/1", "pid", pid,
				 "works", works, "checks", checks);
	if (!root || json_dumpf(root, stdout, JSON_INDENT(1)) || putchar('\n') == EOF)
		err = error_new(ERROR_SYSTEM, "cannot write to standard output");
	json_decref(root);
	return err;
}

struct error *doctor(const struct options *options, bool *works_ret)
{
	struct examination x = { .options = options };

	check_rights(&x);
	check_own_child(&x);
	if (options->pid)
		check_attach(&x);
	else
		check_scope(&x);
	check_senders(&x);
	check_kernel_log(&x);
	struct error *err = check_target(&x);
	if (err && err->kind != ERROR_NOMEM) {
		// It may have ended while it was looked at, or not be there at all: that has been
		// said.
		error_free(err);
		err = NULL;
	}
	check_core_pattern(&x);
	check_output(&x);
	*works_ret = x.attaches && x.writes;
	if (!err && x.failed)
		err = error_nomem();
	if (!err)
		err = options->formats == FORMAT_JSON ? print_json(&x, *works_ret)
						      : print_text(&x, *works_ret);
	if (!err && fflush(stdout))
		err = error_errno(errno, "cannot write to standard output");
	arena_deinit(&x.arena);
	return err;
}
