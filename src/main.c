/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "autopsy.h"
#include "capture/watch.h"
#include "cleanup.h"
#include "corepattern.h"
#include "deliver.h"
#include "doctor.h"
#include "fullcore.h"
#include "handler.h"
#include "live/procfs.h"
#include "options.h"
#include "reports.h"
#include "secrets.h"

// Of run, as of env(1): it failed itself; its program cannot be executed; there is none.
enum { EXIT_USAGE = 2, EXIT_OWN_FAILURE = 125, EXIT_CANNOT_EXECUTE = 126, EXIT_NOT_FOUND = 127 };

static void complain(struct error *err)
{
	const char *remedy = error_remedy(err->errnum);

	fprintf(stderr, "pcatch: %s%s%s\n", err->text, remedy ? "; " : "", remedy ? remedy : "");
	error_free(err);
}


/*
 * With others still under watch, thinking must not make them wait for us at their stops: a
 * process of its own does it. It inherits no tracee, so nothing is held for it. FAILED is shared
 * with it.
 */
static void report(const struct store *store, const struct options *options,
		   struct snapshot *snapshot, unsigned *failed)
{
	struct error *err = NULL;
	pid_t pid = options->children ? fork() : -1;

	// Without a child, asked for or to be had, it is done here.
	if (pid <= 0) {
		err = deliver(store, options, snapshot);
		// The report is there; what became of others does not make it less.
		struct error *untidy = err ? NULL : reports_tidy(store, options);
		if (untidy)
			complain(untidy);
	}
	if (err) {
		complain(err);
		__atomic_add_fetch(failed, 1, __ATOMIC_SEQ_CST);
	}
	if (pid == 0)
		_exit(0);
	snapshot_deinit(snapshot);
	free(snapshot);
}

// Reporters hold the writing end of a pipe until they end. Waiting for children would not do: what
// is still traced is a child to waitpid(), and lives on.
static void await_reporters(int alive[2])
{
	char byte;

	close(alive[1]);
	while (read(alive[0], &byte, 1) < 0 && errno == EINTR)
		;
	close(alive[0]);
}

// End as the child did, so that whoever waits for us cannot tell the difference.
static int end_like(int status)
{
	struct rlimit none = { 0, 0 };
	sigset_t set;

	if (!WIFSIGNALED(status))
		return WEXITSTATUS(status);
	// Its core is the one that matters.
	setrlimit(RLIMIT_CORE, &none);
	signal(WTERMSIG(status), SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, WTERMSIG(status));
	raise(WTERMSIG(status));
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	return 128 + WTERMSIG(status);
}

static struct watch_options watch_options(const struct options *o)
{
	struct watch_options w = { .capture = { .redact = !o->no_redact,
						.locals = o->locals,
						.lines = o->lines,
						.logs = &o->logs },
				   .children = o->children,
				   .senders = o->command != COMMAND_SNAPSHOT,
				   .stop_python = o->stop_python,
				   .pidfile = o->pidfile,
				   .sample = o->sample };

	if (o->command == COMMAND_RUN) {
		// Whatever is sent to us is for the child.
		sigfillset(&w.signals);
	} else {
		sigemptyset(&w.signals);
		sigaddset(&w.signals, SIGINT);
		sigaddset(&w.signals, SIGTERM);
		sigaddset(&w.signals, SIGHUP);
	}
	return w;
}

static int not_started(const struct options *o, int errnum)
{
	fprintf(stderr, "pcatch: cannot run %s: %s\n", o->program[0], strerror(errnum));
	return errnum == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_EXECUTE;
}

// The wait status to end by is put into ENDED_BY when there is one, -1 else.
static int run(const struct options *o, const struct store *store, struct watch *watch,
	       unsigned *failed, int *ended_by)
{
	pid_t pid;
	struct error *err = watch_spawn(watch, o->program, &pid);

	while (!err) {
		struct watch_news news;

		err = watch_next(watch, &news);
		if (err)
			break;
		switch (news.kind) {
		case WATCH_REPORT:
			report(store, o, news.snapshot, failed);
			break;
		case WATCH_STARTED:
			if (o->verbose && !o->quiet)
				fprintf(stderr, "watching %d\n", (int)pid);
			break;
		case WATCH_NOT_STARTED:
			return not_started(o, news.errnum);
		case WATCH_OWN_SIGNAL:
			watch_relay(watch, &news.own_signal);
			break;
		case WATCH_STOPPED:
			// What the shell must see stopped is us; it continues the whole job. SIGSTOP is not a
			// terminal's doing: who sent it to the child will continue the child, not us.
			if (news.signo != SIGSTOP)
				raise(SIGSTOP);
			break;
		case WATCH_NAMED_ENDED:
			// A daemon that stays behind does not change how the program ended.
			if (*ended_by < 0)
				*ended_by = news.status;
			break;
		case WATCH_DONE:
			return EXIT_OWN_FAILURE;
		}
	}
	complain(err);
	return EXIT_OWN_FAILURE;
}

static int attach(const struct options *o, const struct store *store, struct watch *watch,
		  unsigned *failed)
{
	struct error *err = watch_attach(watch, o->pid);

	if (!err && !o->quiet)
		fprintf(stderr, "watching %d\n", (int)o->pid);
	while (!err) {
		struct watch_news news;

		err = watch_next(watch, &news);
		if (err)
			break;
		if (news.kind == WATCH_REPORT)
			report(store, o, news.snapshot, failed);
		else if (news.kind == WATCH_DONE)
			return EXIT_SUCCESS;
		else if (news.kind == WATCH_OWN_SIGNAL) {
			if (!o->quiet)
				fprintf(stderr, "pcatch: let go of %d, which runs on\n", (int)o->pid);
			return EXIT_FAILURE;
		}
	}
	complain(err);
	return EXIT_FAILURE;
}

static int snapshot(const struct options *o, const struct store *store, struct watch *watch,
		    unsigned *failed)
{
	struct snapshot *taken;
	struct error *err = watch_attach(watch, o->pid);

	if (!err)
		err = watch_snapshot(watch, &taken);
	if (err) {
		complain(err);
		return EXIT_FAILURE;
	}
	report(store, o, taken, failed);
	return EXIT_SUCCESS;
}

// Whose the process PID is; -1 for none.
static uid_t user_of(pid_t pid)
{
	struct procfs_status status;

	return pid && !error_drop(procfs_status(pid, &status)) ? status.uid : (uid_t)-1;
}

static int watch_with(const struct options *o)
{
	_cleanup_(store_close) struct store store = { .dir = -1 };
	_cleanup_(watch_destroyp) struct watch *watch = NULL;
	struct watch_options w = watch_options(o);
	struct fullcore full;
	unsigned *failed = mmap(NULL, sizeof(*failed), PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct error *err = failed == MAP_FAILED ? error_nomem() : NULL;
	int alive[2] = { -1, -1 };

	if (!err && pipe2(alive, O_CLOEXEC) < 0)
		err = error_errno(errno, "cannot make a pipe");
	// Before anything is watched: an unwritable folder is no news for the hour of death.
	if (!err)
		err = store_open(o->output, &store);
	if (!err)
		err = store_admits(&store, user_of(o->pid));
	fullcore_init(&full, &store, o);
	if (o->full_core)
		w.capture.bulk = &full.bulk;
	if (!err)
		err = watch_create(&w, &watch);
	if (err) {
		complain(err);
		return o->command == COMMAND_RUN ? EXIT_OWN_FAILURE : EXIT_FAILURE;
	}
	int status, ended_by = -1;
	if (o->command == COMMAND_RUN)
		status = run(o, &store, watch, failed, &ended_by);
	else if (o->command == COMMAND_ATTACH)
		status = attach(o, &store, watch, failed);
	else
		status = snapshot(o, &store, watch, failed);
	await_reporters(alive);
	if (o->command != COMMAND_RUN && *failed)
		status = EXIT_FAILURE;
	munmap(failed, sizeof(*failed));
	return ended_by >= 0 ? end_like(ended_by) : status;
}

static int look_around(const struct options *o)
{
	bool works = false;
	struct error *err = doctor(o, &works);

	if (!err)
		return works ? EXIT_SUCCESS : EXIT_FAILURE;
	complain(err);
	return EXIT_FAILURE;
}

static int examine(const struct options *o)
{
	_cleanup_(store_close) struct store store = { .dir = -1 };
	bool alive = false;
	struct error *err = store_open(o->output, &store);

	if (!err)
		err = store_admits(&store, (uid_t)-1);
	if (!err)
		err = autopsy(&store, o, &alive);
	if (!err)
		return alive ? EXIT_FAILURE : EXIT_SUCCESS;
	complain(err);
	return EXIT_FAILURE;
}

static int set_up(const struct options *o)
{
	struct error *err = o->handler.what == INSTALL ? core_pattern_install(o)
						       : core_pattern_uninstall(o);

	if (!err)
		return EXIT_SUCCESS;
	complain(err);
	return EXIT_FAILURE;
}

// The kernel starts this with its standard input alone: what is opened must not come to stand where
// output goes, and complaints are for the system's log.
static int handle(const struct options *o)
{
	int fd;

	while ((fd = open("/dev/null", O_RDWR)) >= 0 && fd <= STDERR_FILENO)
		;
	closep(&fd);
	struct error *err = handle_core(o);
	if (!err)
		return EXIT_SUCCESS;
	syslog(LOG_ERR, "%s", err->text);
	complain(err);
	return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	_cleanup_(options_deinit) struct options o;
	enum options_outcome outcome;
	struct error *err = options_parse(argc, argv, &o, &outcome);

	if (err) {
		int status = err->kind == ERROR_INPUT ? EXIT_USAGE : EXIT_FAILURE;

		complain(err);
		return status;
	}
	if (outcome == OPTIONS_DONE)
		return EXIT_SUCCESS;
	for (int i = 0; i < SECRETS_FILES; i++) {
		struct error *wrong = secrets_read(i);

		// What the other lines say holds, and a death is reported in any case.
		if (wrong)
			complain(wrong);
	}
	if (o.command == COMMAND_AUTOPSY)
		return examine(&o);
	if (o.command == COMMAND_DOCTOR)
		return look_around(&o);
	if (o.command == COMMAND_RUN || o.command == COMMAND_ATTACH || o.command == COMMAND_SNAPSHOT)
		return watch_with(&o);
	if (o.command == COMMAND_CORE_HANDLER)
		return o.handler.what == HANDLE ? handle(&o) : set_up(&o);
	err = o.command == COMMAND_DIFF	   ? deliver_diff(&o)
	      : o.command == COMMAND_LIST  ? reports_list(&o)
	      : o.command == COMMAND_PRUNE ? reports_prune(&o)
					   : deliver_again(&o);
	if (err) {
		complain(err);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
