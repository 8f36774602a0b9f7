/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "autopsy.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "analyse/analyse.h"
#include "analyse/hints.h"
#include "cleanup.h"
#include "deliver.h"
#include "live/journal.h"
#include "live/kernellog.h"
#include "live/past.h"
#include "live/pidfile.h"
#include "live/procfs.h"
#include "live/tracer.h"
#include "target/redact.h"

// The pid that the pidfile names, and what has become of that file.
static struct error *read_pidfile(const struct options *options, struct snapshot *snapshot)
{
	struct process *process = &snapshot->process;
	struct error *err;

	process->pid = options->pid;
	if (!options->pidfile)
		return NULL;
	process->pidfile = arena_strdup(&snapshot->arena, options->pidfile);
	if (!process->pidfile)
		return error_nomem();
	err = pidfile_read(options->pidfile, &process->pidfile_names,
			   &snapshot->autopsy.pidfile_written);
	if (err && err->kind == ERROR_SYSTEM && err->errnum == ENOENT &&
	    (options->pid || options->logs.n)) {
		error_free(err);
		process->pidfile_state = PIDFILE_REMOVED;
		return NULL;
	}
	if (err)
		return err;
	bool own = !options->pid || options->pid == process->pidfile_names;
	process->pid = own ? process->pidfile_names : options->pid;
	process->pidfile_state = own ? PIDFILE_STALE : PIDFILE_REPLACED;
	// When another one wrote its pid says nothing of this one.
	if (!own)
		snapshot->autopsy.pidfile_written = 0;
	return NULL;
}

static bool has_lines(const struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->logs.n; i++)
		if (snapshot->logs.v[i].lines.n)
			return true;
	return false;
}

/*
 * Without a pid the log may know: one process marks its lines, or of those that do one has gone
 * while the others, its workers, are still there.
 */
static struct error *take_pid_from_logs(const struct options *options, struct snapshot *snapshot)
{
	pid_t pids[64], gone[64];
	size_t n = hints_pids(snapshot, pids, ARRAY_SIZE(pids)), n_gone = 0;

	for (size_t i = 0; i < n; i++)
		if (kill(pids[i], 0) < 0 && errno == ESRCH)
			gone[n_gone++] = pids[i];
	if (n_gone > 1)
		return error_new(ERROR_INPUT,
				 "autopsy: several processes that wrote to the log are gone (%d, "
				 "%d%s): say by --pid which one is meant",
				 (int)gone[0], (int)gone[1], n_gone > 2 ? ", ..." : "");
	if (n_gone)
		snapshot->process.pid = gone[0];
	else if (n == 1)
		snapshot->process.pid = pids[0];
	if (!snapshot->process.pid && !has_lines(snapshot))
		return error_new(ERROR_INPUT,
				 "autopsy: nothing names the process, as %s: say by --pid which "
				 "pid it had",
				 options->pidfile ? "the pidfile is not there and no log has a line"
						  : "no log has a line");
	if (!snapshot->process.pid)
		return NULL;
	// With the pid more of them is worth keeping.
	snapshot->logs.v = NULL;
	snapshot->logs.n = 0;
	return past_logs(snapshot, &options->logs, options->lines);
}

// Between two cuts at a time, as of a PEM block one line stays: what is behind it moves up.
static struct error *redact_log(struct snapshot *snapshot, struct log *log)
{
	size_t from = 0, kept = 0;

	if (!log->lines.n)
		return NULL;
	for (size_t i = 0; i <= log->cuts.n; i++) {
		size_t to = i < log->cuts.n ? log->cuts.v[i].before : log->lines.n;
		size_t n = to - from;

		struct error *err = redact_lines(&snapshot->arena, log->lines.v + from, &n);
		if (err)
			return err;
		// An empty list has no array.
		if (n)
			memmove(log->lines.v + kept, log->lines.v + from,
				n * sizeof(*log->lines.v));
		kept += n;
		from = to;
		if (i < log->cuts.n)
			log->cuts.v[i].before = kept;
	}
	log->lines.n = kept;
	return NULL;
}

static struct error *redact(struct snapshot *snapshot)
{
	// The journal has the command line in one text.
	const strings *cmdline = &snapshot->process.cmdline;
	struct error *err = NULL;

	for (size_t i = 0; !err && i < cmdline->n; i++)
		err = redact_value(&snapshot->arena, "", cmdline->v[i], &cmdline->v[i]);
	for (size_t i = 0; !err && i < snapshot->logs.n; i++)
		err = redact_log(snapshot, &snapshot->logs.v[i]);
	for (size_t i = 0; !err && i < snapshot->autopsy.told.n; i++)
		err = redact_text(&snapshot->arena, snapshot->autopsy.told.v[i].text,
				  &snapshot->autopsy.told.v[i].text);
	return err;
}

static struct error *gather(const struct options *options, struct snapshot *snapshot)
{
	struct error *err = procfs_host(snapshot);

	snapshot->autopsy.made = true;
	snapshot->autopsy.at = realtime_now();
	snapshot->autopsy.since = options->since;
	snapshot->death.kind = DEATH_UNKNOWN;
	snapshot->death.core_dumped = -1;
	snapshot->time.death = snapshot->autopsy.at;
	snapshot->time.frozen = 0;
	if (!err)
		err = read_pidfile(options, snapshot);
	if (!err && !snapshot->process.pid)
		snapshot->process.pid = past_leader(&options->logs);
	if (!err)
		err = past_logs(snapshot, &options->logs, options->lines);
	if (!err && !snapshot->process.pid)
		err = take_pid_from_logs(options, snapshot);
	if (!err)
		err = past_boot(snapshot, "/var/log/wtmp");
	if (!err)
		err = past_holder(snapshot);
	if (!err)
		err = past_leftovers(snapshot, &options->logs);
	if (!err)
		err = journal_ask(snapshot);
	if (!err && !snapshot->logs.n)
		err = gaps_add(&snapshot->arena, &snapshot->gaps, "its logs", "name them by --log",
			       "none was named");
	if (!err)
		err = past_cgroup(snapshot);
	if (!err)
		err = kernel_log_ask(snapshot, "/var/log");
	return err;
}

// What becomes of the values that only a judgement gives, as the file is named by the time.
static struct error *settle(struct snapshot *snapshot)
{
	_cleanup_(findings_deinit) struct findings findings = {};
	struct error *err = analyse(snapshot, &findings);

	if (err)
		return err;
	const struct aftermath *a = &findings.aftermath;
	if (a->fate == FATE_ALIVE) {
		// What can be seen of it is its own.
		snapshot->death.kind = DEATH_SNAPSHOT;
		snapshot->process.pidfile_state = PIDFILE_NONE;
		snapshot->process.uid = snapshot->autopsy.holder.uid;
		snapshot->process.exe = snapshot->autopsy.holder.exe;
		snapshot->process.cmdline = snapshot->autopsy.holder.cmdline;
		snapshot->time.process_start = snapshot->autopsy.holder_started;
		if (snapshot->autopsy.holder.comm)
			snapshot->process.comm = snapshot->autopsy.holder.comm;
		return NULL;
	}
	if (a->comm && !*snapshot->process.comm) {
		snapshot->process.comm = arena_strdup(&snapshot->arena, a->comm);
		if (!snapshot->process.comm)
			return error_nomem();
	}
	if (a->end.at || a->oom_at || a->crash_at)
		snapshot->time.death = a->gone;
	else if (a->seen)
		snapshot->time.death = a->seen;
	return NULL;
}

struct error *autopsy(const struct store *store, const struct options *options, bool *alive_ret)
{
	_cleanup_(snapshot_deinit) struct snapshot snapshot;

	snapshot_init(&snapshot);
	struct error *err = gather(options, &snapshot);
	if (!err && !options->no_redact)
		err = redact(&snapshot);
	if (!err)
		err = settle(&snapshot);
	if (err)
		return err;
	*alive_ret = snapshot.death.kind == DEATH_SNAPSHOT;
	return deliver(store, options, &snapshot);
}
