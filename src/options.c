/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "options.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "capture/bulk.h"
#include "cleanup.h"
#include "fetch.h"
#include "live/pidfile.h"
#include "moment.h"

#define LINES_DEFAULT 50
#define LINES_AUTOPSY 200
#define LINES_MAX 10000
#define SAMPLE_DEFAULT 5.0
#define DEBUGINFOD_SECONDS_MAX 3600
#define KEEP_REPORTS 1000
#define KEEP_BYTES (UINT64_C(4) << 30)

static const char *const command_names[] = {
	[COMMAND_RUN] = "run",
	[COMMAND_ATTACH] = "attach",
	[COMMAND_SNAPSHOT] = "snapshot",
	[COMMAND_SHOW] = "show",
	[COMMAND_DIFF] = "diff",
	[COMMAND_LIST] = "list",
	[COMMAND_PRUNE] = "prune",
	[COMMAND_CORE_HANDLER] = "core-handler",
	[COMMAND_AUTOPSY] = "autopsy",
	[COMMAND_DOCTOR] = "doctor",
};

static const char help[] =
	"usage: pcatch run [OPTION]... [--] PROGRAM [ARG]...\n"
	"       pcatch attach [OPTION]... PID\n"
	"       pcatch attach [OPTION]... --pidfile FILE\n"
	"       pcatch snapshot [OPTION]... PID\n"
	"       pcatch show [-f FORMAT] FILE.dmp|CORE [BINARY]...\n"
	"       pcatch show -f core [--compress] [-o DIR] FILE.dmp\n"
	"       pcatch diff [-f FORMAT] A.dmp B.dmp\n"
	"       pcatch list [-o DIR] [-f FORMAT] [-v]\n"
	"       pcatch prune [-o DIR] [--keep-...] [--dry-run]\n"
	"       pcatch autopsy [--pidfile FILE] [--log FILE]... [--pid N] [--since TIME]\n"
	"       pcatch core-handler [OPTION]... %P %I %s %u %g %d %c [%F]\n"
	"                           [--then PROGRAM [ARG]...]\n"
	"       pcatch core-handler --install|--uninstall [--print] [OPTION]...\n"
	"                           [--then PROGRAM [ARG]...]\n"
	"       pcatch doctor [-o DIR] [-f FORMAT] [PID]\n"
	"\n"
	"Watch a process until it ends, and say why it did.\n"
	"\n"
	"  run       start PROGRAM under watch; ends the way it ends\n"
	"  attach    watch a running process until it ends\n"
	"  snapshot  report on a process that lives on\n"
	"  show      say again, from a dump or any core alone, why it ended\n"
	"  diff      what differs between two dumps: environment, limits, user, ...\n"
	"  list      the reports of a folder, grouped by what they died of\n"
	"  prune     remove old reports, of the most frequent kind first\n"
	"  autopsy   what can still be known when nobody was attached\n"
	"  doctor    what pcatch can do here, and what to do about the rest\n"
	"\n"
	"  -o, --output DIR    folder for reports [$PCATCH_DIR, else for root\n"
	"                      /var/lib/pcatch, else $XDG_STATE_HOME/pcatch,\n"
	"                      else ~/.local/state/pcatch]\n"
	"  -f, --format LIST   text, json, html, core; the dump is always written [text]\n"
	"      --full-core[=SIZE]  run, attach, snapshot: a core with the whole memory that\n"
	"                      the process wrote to, up to SIZE; it is held meanwhile [4G]\n"
	"      --compress      write cores compressed by zstd, as FILE.core.zst\n"
	"      --children      watch and report what it starts, too\n"
	"      --breakpoint[=WHEN]  auto, always, never: stop Python as it begins to end, if\n"
	"                      that does not slow it down, or in any case [auto]\n"
	"      --pidfile FILE  take the pid from FILE, and say what became of it\n"
	"      --log FILE      show the last lines of FILE, too; may be repeated\n"
	"                      (files behind fd 1 and 2 are found without it)\n"
	"      --lines N       lines per log file [50; for autopsy 200]\n"
	"      --pid N         autopsy: the pid that it had\n"
	"      --since TIME    autopsy: it ended after TIME, as 2026-11-26T08:03:39Z,\n"
	"                      \"2026-11-26 08:03\", 08:03 or \"2 hours ago\"\n"
	"      --locals        show local variables\n"
	"      --sample SECS   seconds between two samples, 0 for none [5]\n"
	"      --sysroot DIR   show, diff: a copy of the root of the machine of the dump,\n"
	"                      to find binaries and debug information in; may be repeated\n"
	"      --debug-dir DIR  a folder with debug information, as /usr/lib/debug; may be\n"
	"                      repeated\n"
	"      --no-local-files  show, diff: find binaries and debug information nowhere on\n"
	"                      this machine but where the options above and names say\n"
	"      --debuginfod-timeout SECS  show, diff: how long to fetch what is not found\n"
	"                      from the servers in $DEBUGINFOD_URLS, 0 for never [60]\n"
	"      --embed-unwind[=WHEN]  never, auto, always: keep in the dump what unwinding\n"
	"                      needs of binaries, up to 4 MiB of those on stacks, or of all [auto]\n"
	"      --no-redact     do not replace what looks like a secret\n"
	"      --keep-reports N, --keep-bytes SIZE, --keep-days N\n"
	"                      what the folder may hold after a report: the oldest of\n"
	"                      the most frequent go first; 0 for no bound [1000, 4G, 0]\n"
	"      --dry-run       prune: only say what would go\n"
	"      --install, --uninstall  core-handler: have the kernel start it for a crash,\n"
	"                      with the options given now, or as before\n"
	"      --print         ... only print the commands for that\n"
	"      --ignore-limit  core-handler: report what wants no core (RLIMIT_CORE 0)\n"
	"  -q, --quiet         say nothing but our own errors\n"
	"  -v, --verbose       say when everything is armed, or what is fetched\n"
	"      --help          print this and exit\n"
	"      --version       print the version and exit\n"
	"\n"
	"Exit status: run ends as its program does, 127 or 126 when it cannot be\n"
	"started; attach is 0 when the end was caught and the report written, 1 when\n"
	"not; autopsy is 0 when an end was reported, 1 when not or when it is alive;\n"
	"doctor is 0 when a death could be caught; 2 for a wrong command line. The\n"
	"manual is pcatch(1).\n";

#define PID_LIMIT 4194304 // the kernel has no larger ones

enum { OPT_CHILDREN = 256, OPT_COMPRESS, OPT_FULL_CORE, OPT_PIDFILE, OPT_LOG, OPT_LINES, OPT_LOCALS, OPT_SAMPLE, OPT_BREAKPOINT,
       OPT_NO_BREAKPOINT, OPT_NO_REDACT,
       OPT_KEEP_REPORTS, OPT_KEEP_BYTES, OPT_KEEP_DAYS, OPT_DRY_RUN, OPT_PID, OPT_SINCE, OPT_IGNORE_LIMIT, OPT_SYSROOT,
       OPT_INSTALL, OPT_UNINSTALL, OPT_PRINT, OPT_THEN,
       OPT_DEBUG_DIR, OPT_DEBUGINFOD_TIMEOUT, OPT_NO_LOCAL_FILES, OPT_EMBED_UNWIND, OPT_HELP, OPT_VERSION };

// Which commands an option means something to.
enum { RUN = 1 << COMMAND_RUN, ATTACH = 1 << COMMAND_ATTACH, SNAPSHOT = 1 << COMMAND_SNAPSHOT,
       SHOW = 1 << COMMAND_SHOW, DIFF = 1 << COMMAND_DIFF, LIVE = RUN | ATTACH | SNAPSHOT,
       LIST_REPORTS = 1 << COMMAND_LIST, PRUNE = 1 << COMMAND_PRUNE, AUTOPSY = 1 << COMMAND_AUTOPSY,
       DOCTOR = 1 << COMMAND_DOCTOR,
       CORE_HANDLER = 1 << COMMAND_CORE_HANDLER, WRITING = LIVE | CORE_HANDLER,
       ALL = LIVE | SHOW | DIFF | LIST_REPORTS | PRUNE | AUTOPSY | CORE_HANDLER | DOCTOR };

static const struct option long_options[] = {
	{ "output", required_argument, NULL, 'o' },
	{ "format", required_argument, NULL, 'f' },
	{ "children", no_argument, NULL, OPT_CHILDREN },
	{ "full-core", optional_argument, NULL, OPT_FULL_CORE },
	{ "compress", no_argument, NULL, OPT_COMPRESS },
	{ "pidfile", required_argument, NULL, OPT_PIDFILE },
	{ "log", required_argument, NULL, OPT_LOG },
	{ "lines", required_argument, NULL, OPT_LINES },
	{ "locals", no_argument, NULL, OPT_LOCALS },
	{ "sample", required_argument, NULL, OPT_SAMPLE },
	{ "breakpoint", optional_argument, NULL, OPT_BREAKPOINT },
	{ "no-breakpoint", no_argument, NULL, OPT_NO_BREAKPOINT },
	{ "pid", required_argument, NULL, OPT_PID },
	{ "since", required_argument, NULL, OPT_SINCE },
	{ "no-redact", no_argument, NULL, OPT_NO_REDACT },
	{ "keep-reports", required_argument, NULL, OPT_KEEP_REPORTS },
	{ "keep-bytes", required_argument, NULL, OPT_KEEP_BYTES },
	{ "keep-days", required_argument, NULL, OPT_KEEP_DAYS },
	{ "dry-run", no_argument, NULL, OPT_DRY_RUN },
	{ "ignore-limit", no_argument, NULL, OPT_IGNORE_LIMIT },
	{ "install", no_argument, NULL, OPT_INSTALL },
	{ "uninstall", no_argument, NULL, OPT_UNINSTALL },
	{ "print", no_argument, NULL, OPT_PRINT },
	{ "then", required_argument, NULL, OPT_THEN },
	{ "sysroot", required_argument, NULL, OPT_SYSROOT },
	{ "debug-dir", required_argument, NULL, OPT_DEBUG_DIR },
	{ "no-local-files", no_argument, NULL, OPT_NO_LOCAL_FILES },
	{ "debuginfod-timeout", required_argument, NULL, OPT_DEBUGINFOD_TIMEOUT },
	{ "embed-unwind", optional_argument, NULL, OPT_EMBED_UNWIND },
	{ "quiet", no_argument, NULL, 'q' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{}
};

static struct error *bad(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static struct error *bad(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return error_new(ERROR_INPUT, "%s (see pcatch --help)", text);
}

static unsigned commands_of(int option)
{
	switch (option) {
	case OPT_CHILDREN:
	case OPT_BREAKPOINT:
	case OPT_NO_BREAKPOINT:
	case OPT_SAMPLE:
		return RUN | ATTACH;
	case OPT_PIDFILE:
		return ATTACH | SNAPSHOT | AUTOPSY;
	case OPT_PID:
	case OPT_SINCE:
		return AUTOPSY;
	case OPT_LOG:
	case OPT_LINES:
	case OPT_NO_REDACT:
		return WRITING | AUTOPSY;
	case OPT_COMPRESS:
		return WRITING | SHOW;
	case OPT_FULL_CORE:
		return LIVE;
	case OPT_LOCALS:
	case OPT_EMBED_UNWIND:
		return WRITING;
	case 'v':
		return WRITING | LIST_REPORTS | SHOW | DIFF;
	case OPT_KEEP_REPORTS:
	case OPT_KEEP_BYTES:
	case OPT_KEEP_DAYS:
		return WRITING | PRUNE;
	case OPT_IGNORE_LIMIT:
	case OPT_INSTALL:
	case OPT_UNINSTALL:
	case OPT_PRINT:
	case OPT_THEN:
		return CORE_HANDLER;
	case OPT_DRY_RUN:
		return PRUNE;
	case OPT_SYSROOT:
	case OPT_DEBUGINFOD_TIMEOUT:
	case OPT_NO_LOCAL_FILES:
		return SHOW | DIFF;
	case OPT_DEBUG_DIR:
		return WRITING | SHOW | DIFF;
	case 'f':
		return ALL & ~(unsigned)PRUNE;
	case 'o':
		return ALL & ~(unsigned)DIFF;
	default:
		return ALL;
	}
}

static struct error *parse_formats(char *list, struct options *o)
{
	char *rest = list;

	o->formats = 0;
	for (char *name; (name = strsep(&rest, ","));) {
		if (!strcmp(name, "text"))
			o->formats |= FORMAT_TEXT;
		else if (!strcmp(name, "json"))
			o->formats |= FORMAT_JSON;
		else if (!strcmp(name, "html"))
			o->formats |= FORMAT_HTML;
		else if (!strcmp(name, "core"))
			o->formats |= FORMAT_CORE;
		else
			return bad("--format: '%s' is none of text, json, html, core", name);
	}
	if (!((WRITING | AUTOPSY) & (1u << o->command)) && (o->formats & (o->formats - 1)))
		return bad("--format: %s writes one format, not several", command_names[o->command]);
	if ((o->command == COMMAND_DIFF || o->command == COMMAND_LIST || o->command == COMMAND_DOCTOR) &&
	    o->formats & ~(unsigned)(FORMAT_TEXT | FORMAT_JSON))
		return bad("--format: %s writes text or json", command_names[o->command]);
	if (o->command == COMMAND_AUTOPSY && o->formats & FORMAT_CORE)
		return bad("--format: an autopsy has no memory to make a core of");
	return NULL;
}

static struct error *parse_number(const char *what, const char *text, long min, long max, long *ret)
{
	char *end;

	errno = 0;
	long v = strtol(text, &end, 10);
	if (!isdigit((unsigned char)text[0]) || *end || errno || v < min || v > max)
		return bad("%s: '%s' is not a number from %ld to %ld", what, text, min, max);
	*ret = v;
	return NULL;
}

// "4G", "500M", "1048576"
static struct error *parse_bytes(const char *what, const char *text, uint64_t *ret)
{
	static const char units[] = "KMGT";
	char *end;

	errno = 0;
	unsigned long long v = strtoull(text, &end, 10);
	const char *unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
	unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
	if (!isdigit((unsigned char)text[0]) || errno || (*end && (!unit || end[1])) ||
	    v > UINT64_MAX >> shift)
		return bad("%s: '%s' is not a size such as 500M or 4G", what, text);
	*ret = (uint64_t)v << shift;
	return NULL;
}

static struct error *parse_sample(const char *text, double *ret)
{
	char *end;
	double v = strtod(text, &end);

	if (!*text || *end || !isfinite(v) || v < 0 || v > 86400 || (v > 0 && v < 0.01))
		return bad("--sample: '%s' is not a number of seconds: 0, or 0.01 to 86400", text);
	*ret = v;
	return NULL;
}

// WHEN, by default always, as the number of its name.
static struct error *parse_when(const char *what, const char *when, unsigned *ret)
{
	static const char *const names[] = {
		[EMBED_AUTO] = "auto", [EMBED_NEVER] = "never", [EMBED_ALWAYS] = "always",
	};
	static_assert((unsigned)STOP_AUTO == EMBED_AUTO && (unsigned)STOP_NEVER == EMBED_NEVER &&
		      (unsigned)STOP_ALWAYS == EMBED_ALWAYS, "the same names for the same numbers");

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(when ? when : "always", names[i])) {
			*ret = (unsigned)i;
			return NULL;
		}
	return bad("%s: '%s' is none of never, auto, always", what, when);
}

// Misspelt, it would be a silent way to find nothing.
static struct error *add_folder(struct options *o, const char *what, char *path, strings *list)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return error_errno(errno, "%s: cannot look for files in %s", what, path);
	if (!S_ISDIR(st.st_mode))
		return bad("%s: %s is no folder", what, path);
	char **folder = LIST_ADD(&o->arena, list);
	if (!folder)
		return error_nomem();
	*folder = path;
	return NULL;
}

static struct error *parse_option(int option, char *arg, struct options *o)
{
	long n = 0;
	struct error *err = NULL;
	unsigned when = 0;

	switch (option) {
	case 'o':
		if (!*arg)
			return bad("--output: the name of the folder is empty");
		o->output = arg;
		return NULL;
	case 'f': {
		char *list = arena_strdup(&o->arena, arg);

		return list ? parse_formats(list, o) : error_nomem();
	}
	case 'q':
		o->quiet = true;
		return NULL;
	case 'v':
		o->verbose = true;
		return NULL;
	case OPT_CHILDREN:
		o->children = true;
		return NULL;
	case OPT_COMPRESS:
		o->compress = true;
		return NULL;
	case OPT_FULL_CORE:
		o->full_core = BULK_LIMIT;
		err = arg ? parse_bytes("--full-core", arg, &o->full_core) : NULL;
		return err || o->full_core ? err : bad("--full-core: a core of no bytes is none");
	case OPT_PIDFILE:
		o->pidfile = arg;
		return NULL;
	case OPT_LOG: {
		char **log = LIST_ADD(&o->arena, &o->logs);

		if (!log)
			return error_nomem();
		*log = arg;
		return NULL;
	}
	case OPT_LINES:
		err = parse_number("--lines", arg, 0, LINES_MAX, &n);
		o->lines = (int)n;
		return err;
	case OPT_PID:
		err = parse_number("--pid", arg, 1, PID_LIMIT, &n);
		o->pid = (pid_t)n;
		return err;
	case OPT_SINCE: {
		struct timespec now;

		clock_gettime(CLOCK_REALTIME, &now);
		err = moment_parse(arg, (int64_t)now.tv_sec * 1000000000 + now.tv_nsec, &o->since);
		return err ? error_prefix(err, "--since") : NULL;
	}
	case OPT_LOCALS:
		o->locals = true;
		return NULL;
	case OPT_SAMPLE:
		return parse_sample(arg, &o->sample);
	case OPT_KEEP_REPORTS:
		return parse_number("--keep-reports", arg, 0, 1000000, &o->keep_reports);
	case OPT_KEEP_BYTES:
		return parse_bytes("--keep-bytes", arg, &o->keep_bytes);
	case OPT_KEEP_DAYS:
		return parse_number("--keep-days", arg, 0, 36500, &o->keep_days);
	case OPT_DRY_RUN:
		o->dry_run = true;
		return NULL;
	case OPT_BREAKPOINT:
		err = parse_when("--breakpoint", arg, &when);
		o->stop_python = (enum stop_python)when;
		return err;
	case OPT_NO_BREAKPOINT:
		o->stop_python = STOP_NEVER;
		return NULL;
	case OPT_EMBED_UNWIND:
		err = parse_when("--embed-unwind", arg, &when);
		o->embed = (enum embed)when;
		return err;
	case OPT_SYSROOT:
		return add_folder(o, "--sysroot", arg, &o->places.sysroots);
	case OPT_DEBUG_DIR:
		return add_folder(o, "--debug-dir", arg, &o->places.debug_dirs);
	case OPT_DEBUGINFOD_TIMEOUT:
		err = parse_number("--debuginfod-timeout", arg, 0, DEBUGINFOD_SECONDS_MAX, &n);
		o->debuginfod_seconds = (int)n;
		return err;
	case OPT_NO_LOCAL_FILES:
		o->places.not_here = true;
		return NULL;
	case OPT_INSTALL:
		o->handler.what = INSTALL;
		return NULL;
	case OPT_UNINSTALL:
		o->handler.what = UNINSTALL;
		return NULL;
	case OPT_PRINT:
		o->handler.print = true;
		return NULL;
	case OPT_IGNORE_LIMIT:
		o->handler.ignore_limit = true;
		return NULL;
	default:
		o->no_redact = true;
		return NULL;
	}
}

// The process that a pidfile names, who has to be there.
static struct error *watched_by_pidfile(const char *path, pid_t *ret)
{
	pid_t pid;
	struct error *err = pidfile_read(path, &pid, NULL);

	if (err)
		return err;
	if (kill(pid, 0) < 0 && errno == ESRCH)
		return error_new(ERROR_GONE,
				 "pidfile %s names process %d, which does not exist: it is stale, and nobody "
				 "is there to watch; 'pcatch autopsy --pidfile %s' says what can still be known",
				 path, (int)pid, path);
	*ret = pid;
	return NULL;
}

// What core_pattern's specifiers have become: %P %I %s %u %g %d %c, and %F where the kernel knows it.
static struct error *parse_handler(char **args, int n, struct options *o)
{
	long numbers[6], pidfd = -1;
	struct error *err = NULL;
	int given = 0;

	while (given < n && strcmp(args[given], "--then"))
		given++;
	if (given < n) {
		o->handler.then = args + given + 1;
		if (!o->handler.then[0] || o->handler.then[0][0] != '/')
			return bad("--then: name the program by its whole path");
	}
	if (given < 7 || given > 8)
		return bad("core-handler is for kernel.core_pattern: %%P %%I %%s %%u %%g %%d %%c [%%F]");
	for (int i = 0; i < 6 && !err; i++)
		err = parse_number("core-handler", args[i], 0, UINT32_MAX, &numbers[i]);
	// An older kernel leaves nothing of %F.
	if (!err && given == 8 && args[7][0])
		err = parse_number("core-handler", args[7], 0, INT_MAX, &pidfd);
	if (err)
		return err;
	o->pid = (pid_t)numbers[0];
	o->handler.uid = (uid_t)numbers[3];
	o->handler.gid = (gid_t)numbers[4];
	o->handler.dumpable = (int)numbers[5];
	// Without a limit it is the largest number there is.
	o->handler.limit = strtoull(args[6], NULL, 10);
	o->handler.pidfd = (int)pidfd;
	o->quiet = true;
	return NULL;
}

// Of --install ARGS, what is for the handler and not for us.
static struct error *check_setup(char **args, int n, struct options *o)
{
	static const char *const ours[] = { "--install", "--print" };

	if (o->handler.then && o->handler.then[0][0] != '/')
		return bad("--then: name the program by its whole path");
	if (o->handler.what == UNINSTALL)
		return NULL;
	for (int i = 1; i < n; i++) {
		bool for_us = false;

		if (o->handler.then && args + i + 1 == o->handler.then)
			break;
		// An option may be cut short.
		for (size_t k = 0; k < ARRAY_SIZE(ours); k++)
			for_us |= strlen(args[i]) > 2 && !strncmp(args[i], ours[k], strlen(args[i]));
		if (for_us)
			continue;
		char **word = LIST_ADD(&o->arena, &o->handler.words);
		if (!word)
			return error_nomem();
		*word = args[i];
	}
	return NULL;
}

// Those for `show` to look into, wherever they were mapped from.
static struct error *add_binaries(struct options *o, char **args, int n)
{
	for (int i = 0; i < n; i++) {
		struct stat st;

		if (stat(args[i], &st) < 0)
			return error_errno(errno, "%s", args[i]);
		if (!S_ISREG(st.st_mode))
			return bad("show: %s is no file", args[i]);
		char **binary = LIST_ADD(&o->arena, &o->places.named);
		if (!binary)
			return error_nomem();
		*binary = args[i];
	}
	return NULL;
}

static struct error *parse_target(char **args, int n, struct options *o)
{
	long pid = 0;

	switch (o->command) {
	case COMMAND_RUN:
		if (!n)
			return bad("run: which program?");
		o->program = args;
		return NULL;
	case COMMAND_SHOW:
		if (!n)
			return bad("show: name one dump");
		if (o->output && o->formats != FORMAT_CORE)
			return bad("output: show writes to its standard output, but for -f core");
		o->file = args[0];
		return add_binaries(o, args + 1, n - 1);
	case COMMAND_LIST:
	case COMMAND_PRUNE:
		if (n)
			return bad("%s: '%s' is too much; name the folder with -o",
				   command_names[o->command], args[0]);
		return NULL;
	case COMMAND_CORE_HANDLER:
		if (o->handler.what != HANDLE)
			return n ? bad("core-handler: '%s' is too much", args[0]) : NULL;
		return parse_handler(args, n, o);
	case COMMAND_DIFF:
		if (n != 2)
			return bad("diff: name two dumps");
		o->file = args[0];
		o->other = args[1];
		return NULL;
	case COMMAND_AUTOPSY:
		if (n)
			return bad("autopsy: '%s' is one argument too many; a pid is given by --pid",
				   args[0]);
		if (!o->pidfile && !o->pid && !o->logs.n)
			return bad("autopsy: name what is left: --pidfile FILE, --log FILE or --pid N");
		return NULL;
	case COMMAND_DOCTOR: {
		if (n > 1)
			return bad("doctor: name one process id, or none");
		struct error *err = n ? parse_number("doctor", args[0], 1, INT_MAX, &pid) : NULL;
		o->pid = (pid_t)pid;
		return err;
	}
	default:
		break;
	}
	const char *name = command_names[o->command];
	if (o->pidfile && n)
		return bad("%s: a pid or a --pidfile, not both", name);
	if (o->pidfile)
		return watched_by_pidfile(o->pidfile, &o->pid);
	if (n != 1)
		return bad("%s: name one process id%s", name, n ? "" : ", or --pidfile FILE");
	struct error *err = parse_number(name, args[0], 1, INT_MAX, &pid);
	o->pid = (pid_t)pid;
	return err;
}

static struct error *parse_command(const char *name, enum command *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(command_names); i++)
		if (!strcmp(name, command_names[i])) {
			*ret = (enum command)i;
			return NULL;
		}
	return bad("'%s' is no command: run, attach, snapshot, show, diff, list, prune, autopsy or doctor", name);
}

struct error *options_parse(int argc, char **argv, struct options *ret,
			    enum options_outcome *outcome)
{
	*ret = (struct options){ .formats = FORMAT_TEXT,
				 .lines = LINES_DEFAULT,
				 .sample = SAMPLE_DEFAULT,
				 .debuginfod_seconds = FETCH_SECONDS,
				 .keep_reports = KEEP_REPORTS,
				 .keep_bytes = KEEP_BYTES };
	*outcome = OPTIONS_GO;
	if (argc < 2)
		return bad("which command? run, attach, snapshot, show, diff, list, prune, autopsy or doctor");
	bool early = argv[1][0] == '-';
	struct error *err = early ? NULL : parse_command(argv[1], &ret->command);
	if (err)
		return err;
	if (ret->command == COMMAND_AUTOPSY)
		ret->lines = LINES_AUTOPSY;
	// "+": what follows the program's name belongs to the program.
	bool others = ret->command == COMMAND_RUN || ret->command == COMMAND_CORE_HANDLER;
	const char *letters = others && !early ? "+:o:f:qv" : ":o:f:qv";
	char **args = early ? argv : argv + 1;
	int n = early ? argc : argc - 1, index = -1;
	optind = 0;
	opterr = 0;
	for (int c; (c = getopt_long(n, args, letters, long_options, &index)) != -1; index = -1) {
		const char *given = args[optind - 1];

		if (c == OPT_HELP || c == OPT_VERSION) {
			*outcome = OPTIONS_DONE;
			fputs(c == OPT_HELP ? help : "pcatch " PACKAGE_VERSION "\n", stdout);
			return fflush(stdout) ? error_errno(errno, "standard output") : NULL;
		}
		if (c == ':')
			return bad("%s wants an argument", given);
		if (c == '?' && optopt && optopt < 128 && !strchr("ofqv", optopt))
			return bad("-%c is no option", optopt);
		if (c == '?')
			return bad("%s is no option, or has an argument too many", given);
		if (early)
			return bad("name the command first: pcatch run|attach|... %s", given);
		if (!(commands_of(c) & (1u << ret->command)))
			return index >= 0 ? bad("--%s means nothing to %s", long_options[index].name,
						command_names[ret->command])
					  : bad("-%c means nothing to %s", c,
						command_names[ret->command]);
		// All that follows belongs to the next handler.
		if (c == OPT_THEN) {
			ret->handler.then = args + optind - 1;
			optind = n;
			break;
		}
		err = parse_option(c, optarg, ret);
		if (err)
			return err;
	}
	if (ret->handler.what != HANDLE) {
		err = check_setup(args, n, ret);
		if (err)
			return err;
	}
	if (early)
		return bad("which command? run, attach, snapshot, show, diff, list, prune, autopsy or doctor");
	if (ret->compress && !(ret->formats & FORMAT_CORE) && !ret->full_core)
		return bad("--compress: it is cores that are compressed; say -f core or --full-core, too");
	// It has all that the other one has, and its name.
	if (ret->full_core)
		ret->formats &= ~(unsigned)FORMAT_CORE;
	return parse_target(args + optind, n - optind, ret);
}

void options_deinit(struct options *options)
{
	arena_deinit(&options->arena);
}
