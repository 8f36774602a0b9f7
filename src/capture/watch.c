/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../cleanup.h"
#include "../live/pidfile.h"
#include "../live/procfs.h"
#include "../live/relay.h"
#include "../live/sampler.h"
#include "../live/senders.h"
#include "earlier.h"
#include "ending.h"
#include "reserve.h"
#include "story.h"
#include "witness.h"

#define SECOND INT64_C(1000000000)
// Looks are taken soon after a start, when libraries are still being loaded, then ever more rarely.
#define FIRST_LOOK (SECOND / 20)
// The program that we started ourselves may not live that long.
#define SPAWNED_LOOK (SECOND / 100)
#define LOOK_MAX (5 * SECOND)
// A worker that was aborted exits at once, or after what its server lets it finish.
#define ABORT_TO_EXIT (60 * SECOND)
// A starter that ended well is the daemon it leaves behind, if that shows itself within this time;
// and a daemon that ended is the named one, if its starter ends well within it.
#define DAEMON_WAIT (2 * SECOND)

struct watched {
	struct watch *watch;
	struct traced *traced;
	struct look look;
	/* Of a forked process: where the parent's interpreter was, and so its own is. */
	struct arena inherited_arena;
	struct python_hint inherited;
	struct ending ending;
	enum role role;
	bool captured;
	int captured_status; /* a wait status: what the capture was made for */
	struct earlier earlier;
	struct witness_before before;
	int64_t next_look, look_step;
	pid_t sid; /* its session, as last seen */
	bool exiting;
	int64_t aborted; /* CLOCK_MONOTONIC, when a SIGABRT from elsewhere was handled; 0: never */
	struct sampler sampler;
};

// A report held back until it is known which of the two, starter or daemon, is the named one.
struct held_back {
	struct snapshot *snapshot;
	int64_t until;
};

struct watch {
	const struct watch_options *options;
	struct tracer tracer;
	struct relay relay;
	struct senders *senders; // NULL: nobody waits for an end
	struct witness witness;
	bool spawned;
	pid_t named; /* the process that the user named */
	pid_t sid;   /* its session when watching began: what a daemon leaves */
	struct held_back starter; /* ended well: a daemon may be what it was for */
	struct held_back daemon;  /* ended badly: its starter may be about to end well */
	struct watch_news queue[4]; /* told by later calls */
	size_t n_queue;
};

struct error *watch_create(const struct watch_options *options, struct watch **ret)
{
	struct watch *w = calloc(1, sizeof(*w));

	if (!w)
		return error_nomem();
	w->options = options;
	// Before there are other threads, which would have heaps of their own.
	reserve_fill(false);
	struct error *err = witness_init(&w->witness);
	if (!err)
		err = tracer_init(&w->tracer, &options->signals, options->children);
	if (!err && options->senders) {
		err = senders_create(options->children, reserve_release, &w->senders);
		if (err)
			tracer_deinit(&w->tracer);
	}
	if (err) {
		witness_deinit(&w->witness);
		free(w);
		return err;
	}
	*ret = w;
	return NULL;
}

static void watched_destroy(struct watched *d)
{
	if (d->watch->senders)
		senders_forget(d->watch->senders, d->traced->pid);
	look_deinit(&d->look);
	arena_deinit(&d->inherited_arena);
	ending_deinit(&d->ending);
	earlier_deinit(&d->earlier);
	free(d);
}

static void forget(struct watch *w, struct traced *traced)
{
	if (traced->data)
		watched_destroy(traced->data);
	traced->data = NULL;
	tracer_forget(&w->tracer, traced);
}

static void drop(struct held_back *held)
{
	if (held->snapshot)
		snapshot_deinit(held->snapshot);
	free(held->snapshot);
	held->snapshot = NULL;
}

void watch_destroy(struct watch *w)
{
	if (!w)
		return;
	while (w->tracer.processes)
		forget(w, w->tracer.processes);
	tracer_deinit(&w->tracer);
	senders_destroy(w->senders);
	relay_deinit(&w->relay);
	witness_deinit(&w->witness);
	drop(&w->starter);
	drop(&w->daemon);
	free(w);
}

static struct error *watched_for(struct watch *w, struct traced *traced, struct watched **ret)
{
	struct error *err = NULL;

	if (!traced->data) {
		const struct traced *parent = tracer_process(&w->tracer, traced->parent);
		struct watched *d = calloc(1, sizeof(*d));

		if (!d)
			return error_nomem();
		d->watch = w;
		d->traced = traced;
		d->role = traced->pid == w->named ? ROLE_MAIN : ROLE_CHILD;
		d->sid = getsid(traced->pid);
		d->look_step = FIRST_LOOK;
		d->next_look = monotonic_now() + FIRST_LOOK;
		sampler_init(&d->sampler, w->options->sample);
		traced->data = d;
		if (w->senders)
			senders_watch(w->senders, traced->pid);
		// It may end before it is looked at.
		const struct watched *of_parent = parent ? parent->data : NULL;
		if (of_parent && of_parent->look.taken)
			err = look_copy_hint(&d->inherited_arena, &of_parent->look.snapshot.python,
					     &d->inherited);
		if (!err && parent && w->options->stop_python != STOP_NEVER)
			err = ending_forked(&d->ending, traced, parent);
	}
	if (!err)
		*ret = traced->data;
	return err;
}

// Look at a process that may be gone by now: then its end is what comes next.
static struct error *look(struct watched *d)
{
	struct error *err = look_take(&d->look, d->traced, d->watch->options->capture.redact,
				      d->ending.scene ? &d->ending.scene->python : &d->inherited);

	if (err && err->kind == ERROR_GONE) {
		error_free(err);
		return NULL;
	}
	if (!err)
		err = d->watch->options->stop_python != STOP_NEVER
			      ? ending_arm(&d->ending, d->traced, &d->look,
					   d->watch->options->stop_python == STOP_ALWAYS)
			      : ending_unwanted(&d->ending);
	if (!err && d->look.taken) {
		witness_look(&d->watch->witness, d->traced, &d->before);
		d->sid = getsid(d->traced->pid);
	}
	reserve_fill(d->before.shares_limit);
	return err;
}

// A line of the kernel's log is about a task that we watch, or one that was there when its process
// was captured.
static bool concerns_anybody(const void *data, pid_t pid, const char *comm, size_t comm_len)
{
	const struct watch *w = data;

	if (pid && tracer_tracee(&w->tracer, pid))
		return true;
	for (const struct traced *p = w->tracer.processes; p; p = p->next) {
		const struct watched *d = p->data;
		const struct snapshot *s = d && d->look.taken ? &d->look.snapshot : NULL;

		if (s && s->host.in_container && comm_len &&
		    !strncmp(s->process.comm, comm, comm_len) && !s->process.comm[comm_len])
			return true;
		if (pid && (p->pid == pid || (s && snapshot_thread(s, pid))))
			return true;
	}
	return false;
}

// When the next look or sample is due.
static struct error *next_due(struct watch *w, int64_t *ret)
{
	*ret = INT64_MAX;
	for (struct traced *p = w->tracer.processes; p; p = p->next) {
		struct watched *d;
		struct error *err = watched_for(w, p, &d);

		if (err)
			return err;
		if (!d->captured && d->next_look < *ret)
			*ret = d->next_look;
		if (!d->captured && d->sampler.interval && d->sampler.next < *ret)
			*ret = d->sampler.next;
	}
	return NULL;
}

static void take_sample(struct watched *d, int64_t now)
{
	sampler_take(&d->sampler, d->traced->proc_dir, &d->watch->witness.tree,
		     witness_path(&d->before), now);
}

static struct error *look_when_due(struct watch *w)
{
	int64_t now = monotonic_now();
	struct error *err = NULL;

	for (struct traced *p = w->tracer.processes; !err && p; p = p->next) {
		struct watched *d = p->data;

		if (!d || d->captured)
			continue;
		if (d->next_look <= now) {
			if (!d->exiting)
				ending_passed(&d->ending, p);
			err = look(d);
			d->look_step = d->look_step * 2 < LOOK_MAX ? d->look_step * 2 : LOOK_MAX;
			d->next_look = now + d->look_step;
		}
		take_sample(d, now);
	}
	kmsg_read(w->witness.kmsg, concerns_anybody, w);
	return err;
}

static struct error *attach_children(struct watch *w, pid_t pid, int depth)
{
	_cleanup_(arena_deinit) struct arena arena = {};
	process_refs children = {};
	struct error *err = procfs_children(pid, &arena, &children);

	for (size_t i = 0; !err && i < children.n; i++) {
		pid_t child = children.v[i].pid;
		struct traced *p = tracer_process(&w->tracer, child);

		if (child == getpid())
			continue;
		if (!p) {
			struct error *refused = tracer_seize(&w->tracer, child, &p);

			// One that has just ended, or has another tracer, is no reason to leave the rest.
			if (refused && refused->kind == ERROR_NOMEM)
				return refused;
			if (error_drop(refused))
				continue;
			p->followed = true;
			p->parent = pid;
		}
		if (depth < INT8_MAX)
			err = attach_children(w, child, depth + 1);
	}
	return err;
}

struct error *watch_attach(struct watch *w, pid_t pid)
{
	struct traced *p;
	struct watched *d;
	struct error *err = tracer_seize(&w->tracer, pid, &p);

	if (err)
		return err;
	w->named = pid;
	w->sid = getsid(pid);
	if (w->senders)
		senders_watch_closely(w->senders, pid);
	err = watched_for(w, p, &d);
	if (!err)
		err = look(d);
	// The first is of how it was found, whatever happens to it next.
	if (!err)
		take_sample(d, monotonic_now());
	if (!err && w->options->children)
		err = attach_children(w, pid, 0);
	return err;
}

struct error *watch_spawn(struct watch *w, char *const argv[], pid_t *ret)
{
	struct traced *p;
	struct watched *d;
	struct error *err = tracer_spawn(&w->tracer, argv, &p);

	if (err)
		return err;
	w->named = p->pid;
	w->sid = getsid(p->pid);
	w->spawned = true;
	if (w->senders) {
		senders_watch_closely(w->senders, p->pid);
		// What comes to us is passed on; who sent it is who counts.
		senders_watch(w->senders, getpid());
	}
	relay_init(&w->relay, p->pid);
	*ret = p->pid;
	err = watched_for(w, p, &d);
	if (!err)
		witness_look(&w->witness, p, &d->before);
	return err;
}

void watch_relay(struct watch *w, const siginfo_t *si)
{
	struct traced *p = tracer_process(&w->tracer, w->named);
	struct process unknown = { .pid = w->named };
	struct watched *d = p ? p->data : NULL;

	if (p)
		relay_take(&w->relay, d && d->look.taken ? &d->look.snapshot.process : &unknown,
			   si);
}

/*
 * Who sent INFO to D, as of now, into ARENA. A signal that came through us is said to be from
 * whoever sent it to us.
 */
static struct error *find_sender(struct watched *d, const struct signal_info *info,
				 struct arena *arena, struct sender *ret)
{
	struct watch *w = d->watch;
	struct process unknown = { .pid = d->traced->pid };
	const struct process *process = d->look.taken ? &d->look.snapshot.process : &unknown;

	if (w->spawned && d->traced->pid == w->named && info->code <= 0 && info->pid == getpid()) {
		const struct sender *origin = relay_origin(&w->relay, info->signo);

		if (origin)
			return sender_copy(arena, origin, ret);
	}
	return procfs_sender(process, info, arena, ret);
}

// Remember a signal that did not end the process; it may be the beginning of the story of one that does.
static struct error *remember(struct watched *d, const struct tracee *tracee,
			      const struct signal_info *info, int disposition)
{
	int64_t now = realtime_now();
	_cleanup_(arena_deinit) struct arena arena = {};
	struct signal_event event = { .info = *info,
				      .tid = tracee->tid,
				      .at = now,
				      .last = now,
				      .count = 1,
				      .disposition = disposition };

	if (earlier_again(&d->earlier, info, disposition, now))
		return NULL;
	struct error *err = find_sender(d, info, &arena, &event.sender);
	return err ? err : earlier_add(&d->earlier, &event);
}

static struct error *capture_now(struct watched *d, enum capture_reason reason,
				 struct tracee *tracee, const struct signal_info *info, int status)
{
	struct watch *w = d->watch;
	struct capture_options options = w->options->capture;
	struct capture capture = { .reason = reason, .tracee = tracee, .options = &options };
	struct error *err = NULL;
	_cleanup_(arena_deinit) struct arena arena = {};
	_cleanup_(snapshot_deinit) struct snapshot before = {};
	bool killed = reason == CAPTURE_EXIT && WTERMSIG(status) == SIGKILL;
	struct sender sender = {};

	if (info) {
		capture.info = *info;
		// First of all: a kill command has ended a moment later.
		err = find_sender(d, info, &arena, &sender);
	}
	// What an earlier capture left that came to nothing is not the state of now.
	if (d->captured) {
		images_deinit(&d->look.images);
		before = TAKE(d->look.snapshot);
		d->look.taken = false;
	}
	d->captured = false;
	if (!err && !d->look.taken)
		err = look(d);
	if (err || !d->look.taken) {
		tracer_resume(tracee);
		return err;
	}
	ending_foreseen(&d->ending, d->traced);
	// What is wanted is what it was like before it took itself down.
	if (d->ending.gone || (killed && before.bulk.has_file))
		options.bulk = NULL;
	if (killed)
		capture.no_bulk = "who kills it wants it gone, perhaps its memory; it is not held for that";
	err = capture_take(&d->look, &w->tracer, d->traced, &capture);
	d->captured = !err;
	d->captured_status = status;
	struct snapshot *snapshot = &d->look.snapshot;
	// Of one that was killed while it was captured, there is what had been copied.
	if (!err && killed && before.bulk.has_file)
		err = snapshot_take_bulk(snapshot, &before);
	if (!err && info && !snapshot->death.first_chance)
		err = sender_copy(&snapshot->arena, &sender, &snapshot->death.sender);
	else if (!err && snapshot->death.first_chance)
		err = procfs_sender(&snapshot->process, &snapshot->death.info, &snapshot->arena,
				    &snapshot->death.sender);
	return err;
}

// A process that must not be held for us: its end is nobody's loss.
static bool needs_no_report(const struct watched *d, int status)
{
	return d->role == ROLE_CHILD && status == 0;
}

// Capture what the process is at, before TRACEE goes on and what may be its end begins.
static struct error *take_scene(struct watched *d, struct tracee *tracee)
{
	struct capture capture = { .reason = CAPTURE_FINALIZING,
				   .tracee = tracee,
				   .options = &d->watch->options->capture };
	struct error *err = NULL;

	if (d->role == ROLE_CHILD)
		capture.no_bulk = "a child that may end well is not held for it";
	// A look from before the interpreter was made does not know of it.
	if (!d->look.snapshot.python.found)
		look_deinit(&d->look);
	if (!d->look.taken)
		err = look(d);
	if (err || !d->look.taken) {
		tracer_resume(tracee);
		return err;
	}
	err = capture_take(&d->look, &d->watch->tracer, d->traced, &capture);
	if (!err)
		err = ending_keep(&d->ending, &d->look);
	// The death needs one of its own: while the process takes itself down there is time for it.
	d->look_step = FIRST_LOOK;
	d->next_look = monotonic_now();
	return err;
}

static bool was_aborted(const struct watched *d)
{
	return d->aborted && d->ending.scene && monotonic_now() - d->aborted < ABORT_TO_EXIT;
}

static struct error *on_signal(struct watched *d, struct tracee *tracee, int signo)
{
	uint64_t ignored, caught, bit = UINT64_C(1) << (signo - 1);
	struct signal_info info;
	struct error *err = NULL;

	if (!tracee_siginfo(tracee, &info) || !traced_dispositions(d->traced, &ignored, &caught)) {
		tracer_resume(tracee);
		return NULL;
	}
	if (d->watch->spawned && d->traced->pid == d->watch->named && info.code <= 0)
		relay_saw(&d->watch->relay, signo, info.pid);
	bool handled = caught & bit;
	if (!handled && !(ignored & bit) && signal_default_kills(signo))
		return capture_now(d, CAPTURE_SIGNAL, tracee, &info, signo);
	bool kept = handled && (signo == SIGABRT || (signal_is_fault(signo) && info.code > 0));
	if (kept)
		// It may be the last of them, or one of ten thousand a second: registers are cheap.
		tracee_keep_first_chance(tracee, &info);
	bool asked = signo == SIGTERM || signo == SIGINT || signo == SIGQUIT || signo == SIGHUP ||
		     (signo == SIGABRT && info.code == SI_USER);
	if (handled ? !kept || asked : asked)
		err = remember(d, tracee, &info, handled ? SIGNAL_HANDLED : SIGNAL_IGNORED);
	// A server that gives up on its worker: by the time that the worker exits, what it hung in is gone.
	if (!err && kept && asked && d->look.taken && d->look.snapshot.python.found &&
	    !d->captured && !was_aborted(d)) {
		d->aborted = monotonic_now();
		err = take_scene(d, tracee);
		d->ending.aborted = !err && d->ending.scene;
		return err;
	}
	if (!err && handled && asked)
		err = ending_asked(&d->ending, d->traced);
	tracer_resume(tracee);
	return err;
}

static struct error *on_exiting(struct watched *d, struct tracee *tracee, int status)
{
	int was = d->captured_status;
	pid_t sid = getsid(d->traced->pid);

	d->exiting = true;
	if (sid > 0)
		d->sid = sid;
	if (needs_no_report(d, status) ||
	    (d->captured && (was == status || (WIFSIGNALED(status) && WTERMSIG(status) == was)))) {
		tracer_resume(tracee);
		return NULL;
	}
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		reserve_release();
	return capture_now(d, CAPTURE_EXIT, tracee, NULL, status);
}

// Python is about to take itself down. Whether that ends the process remains to be seen.
static struct error *on_breakpoint(struct watched *d, struct tracee *tracee,
				   struct breakpoint *breakpoint)
{
	bool finalizing;
	struct error *err = ending_reached(&d->ending, d->traced, breakpoint, &finalizing);

	// After an abort that it takes by exiting, what it hung in is the scene, not how it left.
	if (err || !finalizing || d->captured || was_aborted(d)) {
		tracer_resume(tracee);
		return err;
	}
	return take_scene(d, tracee);
}

// What became of the pidfile by the time the process had gone.
static struct error *look_at_pidfile(struct watched *d, int status, struct snapshot *snapshot)
{
	const char *path = d->watch->options->pidfile;
	struct process *process = &snapshot->process;
	pid_t names;

	process->pidfile = arena_strdup(&snapshot->arena, path);
	if (!process->pidfile)
		return error_nomem();
	struct error *err = pidfile_read(path, &names, NULL);
	if (err && err->kind == ERROR_SYSTEM && err->errnum == ENOENT) {
		// Whom a signal ends cannot have cleaned up on its way out.
		process->pidfile_state = WIFSIGNALED(status) ? PIDFILE_MISSING : PIDFILE_REMOVED;
		error_free(err);
		return NULL;
	}
	if (err)
		return gaps_take(&snapshot->arena, &snapshot->gaps, "what became of the pidfile", NULL,
				 err);
	bool own = names == d->traced->pid;
	for (size_t i = 0; i < process->ns_pids.n; i++)
		own |= names == process->ns_pids.v[i];
	process->pidfile_state = own ? PIDFILE_STALE : PIDFILE_REPLACED;
	process->pidfile_names = names;
	return NULL;
}

// What the kernel's records say of the signals that D had, and what they could not say.
static struct error *tell_senders(struct watched *d, struct snapshot *snapshot)
{
	struct senders *senders = d->watch->senders;
	struct death *death = &snapshot->death;
	struct process *process = &snapshot->process;
	bool relays = d->watch->spawned && d->traced->pid == d->watch->named;
	sents sent = {}, passed = {};

	if (!senders)
		return NULL;
	struct error *err = senders_collect(senders, d->traced->pid, d->traced->seized, process,
					    &snapshot->arena, &sent);
	if (!err && relays)
		err = senders_collect(senders, getpid(), d->traced->seized, process,
				      &snapshot->arena, &passed);
	if (!err)
		err = story_complete(snapshot, &sent, &passed);
	const struct gap *gap = senders_gap(senders);
	death->listened = !gap;
	death->records_lost = senders_lost(senders);
	if (!err && gap && death->kind == DEATH_SIGNAL)
		err = gaps_add(&snapshot->arena, &snapshot->gaps, gap->what, gap->remedy, "%s",
			       gap->why);
	return err;
}

// The snapshot of D as the caller gets it, with how it ended put in.
static struct error *finish(struct watched *d, int status, struct snapshot **ret)
{
	struct watch *w = d->watch;
	struct snapshot *snapshot = malloc(sizeof(*snapshot));
	struct error *err = NULL;

	if (!snapshot)
		return error_nomem();
	if (d->look.taken) {
		images_deinit(&d->look.images);
		*snapshot = TAKE(d->look.snapshot);
		d->look.taken = false;
	} else {
		snapshot_init(snapshot);
		snapshot->process.pid = d->traced->pid;
		snapshot->time.attached = d->traced->seized;
		err = procfs_host(snapshot);
	}
	struct death *death = &snapshot->death;
	if (!d->captured) {
		snapshot->time.death = realtime_now();
		snapshot->time.frozen = 0;
		if (!err)
			err = gaps_add(&snapshot->arena, &snapshot->gaps, "registers and stacks", NULL,
				       "the process was gone before it could be held");
	}
	if (WIFEXITED(status)) {
		death->kind = DEATH_EXIT;
		death->exit_code = WEXITSTATUS(status);
	} else if (WIFSIGNALED(status)) {
		death->kind = DEATH_SIGNAL;
		death->signo = WTERMSIG(status);
		death->core_dumped = WCOREDUMP(status) ? 1 : 0;
	} else {
		death->kind = DEATH_UNKNOWN;
	}
	snapshot->process.role = d->role;
	if (!err)
		err = witness_tell(&w->witness, &d->before,
				   death->kind == DEATH_SIGNAL && death->signo == SIGKILL,
				   concerns_anybody, w, snapshot);
	if (!err && w->options->pidfile && d->role == ROLE_MAIN)
		err = look_at_pidfile(d, status, snapshot);
	if (!err)
		err = earlier_copy(&d->earlier, snapshot);
	if (!err)
		err = tell_senders(d, snapshot);
	if (!err)
		err = ending_settle(&d->ending, d->traced, snapshot);
	if (!err)
		err = sampler_copy(&d->sampler, snapshot);
	if (err) {
		snapshot_deinit(snapshot);
		free(snapshot);
		return err;
	}
	*ret = snapshot;
	return NULL;
}

static void tell(struct watch *w, struct watch_news news)
{
	if (w->n_queue < ARRAY_SIZE(w->queue))
		w->queue[w->n_queue++] = news;
}

static bool has_followed(const struct watch *w)
{
	for (const struct traced *p = w->tracer.processes; p; p = p->next)
		if (p->followed)
			return true;
	return false;
}

static void tell_report(struct watch *w, struct held_back *held)
{
	tell(w, (struct watch_news){ .kind = WATCH_REPORT, .snapshot = TAKE(held->snapshot) });
}

static bool left_session(const struct watched *d)
{
	return d->traced->followed && d->sid > 0 && d->sid != d->watch->sid;
}

// A followed process that lives on in a session of its own. An intermediate one of a double fork
// may be chosen first; when it ends well, the next is looked for.
static struct watched *find_daemon(const struct watch *w)
{
	struct watched *found = NULL;

	for (const struct traced *p = w->tracer.processes; p; p = p->next) {
		struct watched *d = p->data;
		pid_t sid = d && !d->exiting ? getsid(p->pid) : -1;

		if (sid > 0)
			d->sid = sid;
		// The list has the youngest first: the last that fits is the one that was first.
		if (sid > 0 && left_session(d))
			found = d;
	}
	return found;
}

// Decide about reports that are held back, as soon as that can be done.
static void settle(struct watch *w)
{
	struct watched *d = w->starter.snapshot ? find_daemon(w) : NULL;
	int64_t now = monotonic_now();

	if (d) {
		d->role = ROLE_MAIN;
		w->named = d->traced->pid;
		drop(&w->starter);
	} else if (w->starter.snapshot && (!has_followed(w) || now >= w->starter.until)) {
		tell_report(w, &w->starter);
	}
	if (w->daemon.snapshot && (now >= w->daemon.until || !tracer_process(&w->tracer, w->named)))
		tell_report(w, &w->daemon);
}

static struct error *on_ended(struct watched *d, int status)
{
	struct watch *w = d->watch;
	struct held_back report = { .until = monotonic_now() + DAEMON_WAIT };
	bool named = d->traced->pid == w->named, daemon = left_session(d);
	struct error *err = needs_no_report(d, status) ? NULL : finish(d, status, &report.snapshot);

	if (err)
		return err;
	forget(w, d->traced);
	if (named && status == 0 && w->daemon.snapshot) {
		w->daemon.snapshot->process.role = ROLE_MAIN;
		tell_report(w, &w->daemon);
		drop(&report);
	} else if (named && status == 0 && has_followed(w) && !w->starter.snapshot) {
		w->starter = report;
	} else if (daemon && report.snapshot && w->starter.snapshot) {
		// It was at its end already when its starter's was seen.
		report.snapshot->process.role = ROLE_MAIN;
		tell_report(w, &report);
		drop(&w->starter);
	} else if (daemon && !named && report.snapshot && !w->daemon.snapshot &&
		   tracer_process(&w->tracer, w->named)) {
		w->daemon = report;
	} else if (report.snapshot) {
		tell_report(w, &report);
	}
	if (named)
		tell(w, (struct watch_news){ .kind = WATCH_NAMED_ENDED, .status = status });
	return NULL;
}

static struct error *on_event(struct watch *w, const struct event *event)
{
	struct watched *d = NULL;
	struct error *err = event->process ? watched_for(w, event->process, &d) : NULL;

	if (err)
		return err;
	switch (event->kind) {
	case EVENT_TIMEOUT:
	case EVENT_NEW_PROCESS:
		return NULL;
	case EVENT_OWN_SIGNAL:
		tell(w, (struct watch_news){ .kind = WATCH_OWN_SIGNAL,
					     .own_signal = event->own_signal });
		return NULL;
	case EVENT_SIGNAL:
		return on_signal(d, event->tracee, event->signo);
	case EVENT_BREAKPOINT:
		return on_breakpoint(d, event->tracee, event->breakpoint);
	case EVENT_EXITING:
		return on_exiting(d, event->tracee, event->status);
	case EVENT_EXEC:
		d->exiting = false;
		// Another program: nothing that was known of the old one holds.
		look_deinit(&d->look);
		d->inherited = (struct python_hint){};
		ending_deinit(&d->ending);
		if (w->options->stop_python != STOP_NEVER)
			err = ending_new_program(&d->ending, d->traced);
		d->captured = false;
		d->look_step = w->spawned && event->process->pid == w->named ? SPAWNED_LOOK
									     : FIRST_LOOK;
		d->next_look = monotonic_now() + d->look_step;
		sampler_init(&d->sampler, w->options->sample);
		tracer_resume(event->tracee);
		if (w->spawned && event->process->pid == w->named)
			tell(w, (struct watch_news){ .kind = WATCH_STARTED });
		return err;
	case EVENT_GROUP_STOP:
		if (event->process->pid == w->named)
			tell(w, (struct watch_news){ .kind = WATCH_STOPPED,
						     .signo = event->signo });
		return NULL;
	case EVENT_ENDED:
		return on_ended(d, event->status);
	case EVENT_NOT_STARTED:
		forget(w, event->process);
		tell(w, (struct watch_news){ .kind = WATCH_NOT_STARTED, .errnum = event->status });
		return NULL;
	}
	return NULL;
}

struct error *watch_next(struct watch *w, struct watch_news *ret)
{
	reserve_guard(w->tracer.processes ? w->tracer.processes->proc_dir : -1);
	for (;;) {
		settle(w);
		if (w->n_queue) {
			reserve_guard(-1);
			*ret = w->queue[0];
			memmove(w->queue, w->queue + 1, --w->n_queue * sizeof(w->queue[0]));
			return NULL;
		}
		if (!w->tracer.processes) {
			*ret = (struct watch_news){ .kind = WATCH_DONE };
			return NULL;
		}
		int64_t due, deadline, relay = w->spawned ? relay_pass(&w->relay) : INT64_MAX;
		struct event event;
		struct error *err = next_due(w, &due);

		if (!err) {
			deadline = due;
			if (relay < deadline)
				deadline = relay;
			if ((w->starter.snapshot || w->daemon.snapshot) &&
			    monotonic_now() + SECOND / 10 < deadline)
				deadline = monotonic_now() + SECOND / 10;
			err = tracer_next(&w->tracer, deadline, &event);
		}
		if (!err)
			err = on_event(w, &event);
		// What happens comes first: a look may have to wait for memory while a victim of the
		// OOM killer waits for us. A busy process must not keep us from looking forever.
		int64_t now = monotonic_now();
		if (!err && (event.kind == EVENT_TIMEOUT ? now >= due : now > due && now - due > SECOND))
			err = look_when_due(w);
		if (err)
			return err;
	}
}

struct error *watch_snapshot(struct watch *w, struct snapshot **ret)
{
	struct traced *p = tracer_process(&w->tracer, w->named);
	struct watched *d;
	struct error *err = p ? watched_for(w, p, &d)
			      : error_new(ERROR_GONE, "process %d has ended", (int)w->named);
	struct capture capture = { .reason = CAPTURE_ON_DEMAND, .options = &w->options->capture };

	if (!err && !d->look.taken)
		err = look(d);
	if (!err && !d->look.taken)
		err = error_new(ERROR_GONE, "process %d has ended", (int)w->named);
	if (!err)
		err = capture_take(&d->look, &w->tracer, p, &capture);
	if (err)
		return err;
	d->captured = true;
	// A process whose first threads are gone is about to end; its status is not yet known.
	err = finish(d, -1, ret);
	if (!err)
		(*ret)->death.kind = DEATH_SNAPSHOT;
	return err;
}
