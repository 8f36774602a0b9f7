/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "supervisors.h"

#include <signal.h>
#include <string.h>

#include "../cleanup.h"

#define CONTAINER_ADVICE                                                                           \
	"See the container runtime's events at that time (docker events, podman events, kubectl "  \
	"describe pod): stop, restart, eviction, failed probe."

static const struct supervisor supervisors[] = {
	{ .name = "gunicorn*", .title = "gunicorn's master",
	  .term = "a stop, a reload or a change of the number of workers",
	  .kill = "its worker timeout (--timeout)",
	  .after_term = "its graceful timeout (--graceful-timeout) ran out",
	  .abort = "its worker timeout (--timeout)",
	  .advice =
		"gunicorn aborts a worker that has not reported for --timeout seconds: its log "
		"says \"WORKER TIMEOUT\"; see what the main thread was doing, use async workers "
		"or a longer --timeout." },
	{ .name = "uvicorn", .title = "uvicorn's supervisor",
	  .term = "a stop or a reload",
	  .kill = "its worker health check (--timeout-worker-healthcheck)",
	  .after_term = "the stop took too long",
	  .advice =
		"uvicorn's supervisor ends workers at a stop, on a reload and when they do not "
		"answer its ping: see its log." },
	{ .name = "hypercorn", .title = "hypercorn's master",
	  .term = "a stop or a reload",
	  .after_term = "the stop took too long",
	  .advice = "hypercorn's master ends its workers at a stop and on a reload: see its log." },
	{ .name = "celery*", .title = "celery's parent",
	  .term =
		"a task's hard time limit (--time-limit), a revoked task (terminate=True) or a "
		"shutdown",
	  .kill = "a task's hard time limit (--time-limit)",
	  .after_term = "a task's hard time limit (--time-limit), or a shutdown that took too long",
	  .advice =
		"celery ends a pool process whose task exceeds its hard time limit by SIGTERM, "
		"and SIGKILL a moment later: its log says \"Hard time limit\"." },
	{ .name = "supervisord", .title = "supervisord",
	  .term = "a stop or a restart",
	  .after_term = "stopwaitsecs ran out",
	  .advice =
		"supervisord sends SIGKILL when a program has not ended stopwaitsecs after its "
		"stopsignal: see its log and supervisorctl." },
	{ .name = "systemd", .title = "systemd",
	  .term = "a stop or a restart of the unit",
	  .kill = "systemctl kill, or a unit with KillSignal=SIGKILL",
	  .after_term = "the unit's stop timeout (TimeoutStopSec=) ran out",
	  .abort = "the unit's watchdog (WatchdogSec=)",
	  .advice =
		"See journalctl -u of the unit (--user for a user's): it says who stopped it, "
		"and whether \"State 'stop-sigterm' timed out\" or \"Watchdog timeout\"." },
	{ .name = "containerd-shim*", .title = "the container runtime",
	  .term = "a stop of the container",
	  .kill = "a kill of the container",
	  .after_term = "the grace time of the stop ran out",
	  .advice = CONTAINER_ADVICE },
	{ .name = "dockerd", .title = "docker",
	  .term = "a stop of the container",
	  .kill = "docker kill",
	  .after_term = "the grace time of docker stop ran out",
	  .advice = CONTAINER_ADVICE },
	{ .name = "containerd", .title = "containerd",
	  .term = "a stop of the container",
	  .kill = "a kill of the container",
	  .after_term = "the grace time of the stop ran out",
	  .advice = CONTAINER_ADVICE },
	{ .name = "runc", .title = "the container runtime",
	  .term = "a stop of the container",
	  .kill = "a kill of the container",
	  .after_term = "the grace time of the stop ran out",
	  .advice = CONTAINER_ADVICE },
	{ .name = "crun", .title = "the container runtime",
	  .term = "a stop of the container",
	  .kill = "a kill of the container",
	  .after_term = "the grace time of the stop ran out",
	  .advice = CONTAINER_ADVICE },
	{ .name = "conmon", .title = "podman's monitor",
	  .term = "a stop of the container",
	  .kill = "podman kill",
	  .after_term = "the grace time of podman stop ran out",
	  .advice = CONTAINER_ADVICE },
	{ .name = "podman", .title = "podman",
	  .term = "podman stop",
	  .kill = "podman kill",
	  .after_term = "the grace time of podman stop ran out",
	  .advice = CONTAINER_ADVICE },
	{ .name = "crio", .title = "the container runtime",
	  .term = "a stop of the container",
	  .kill = "a kill of the container",
	  .after_term = "the grace time of the stop ran out",
	  .advice = CONTAINER_ADVICE },
	{ .name = "kubelet", .title = "the kubelet",
	  .term = "the pod is stopped",
	  .kill = "the pod is removed at once",
	  .after_term = "terminationGracePeriodSeconds ran out",
	  .advice = CONTAINER_ADVICE },
	{ .name = "runsv", .title = "runit",
	  .term = "sv down or sv restart",
	  .kill = "sv kill or sv force-stop",
	  .after_term = "sv force-stop's time ran out",
	  .advice = "Ask who used sv(8) on the service." },
	{ .name = "s6-supervise", .title = "s6",
	  .term = "s6-svc -d or -r",
	  .kill = "s6-svc -k",
	  .after_term = "the service's timeout-kill ran out",
	  .advice = "Ask who used s6-svc on the service, and see its timeout-kill file." },
	{ .name = "supervise", .title = "daemontools",
	  .term = "svc -d or -t",
	  .kill = "svc -k",
	  .after_term = "svc -k",
	  .advice = "Ask who used svc(8) on the service." },
	{ .name = "timeout", .title = "timeout(1)",
	  .term = "its time limit ran out",
	  .kill = "its time limit ran out (--signal=KILL)",
	  .after_term = "its time limit and --kill-after ran out",
	  .advice =
		"timeout(1) ends what takes longer than it was told to allow: see its arguments." },
	{ .name = "sshd*", .title = "sshd",
	  .term = "the session ended",
	  .advice =
		"sshd ends what its session leaves: start the program as a service, in tmux, or "
		"with nohup." },
	{ .name = "slurmstepd", .title = "slurm",
	  .term = "the job was cancelled, or its time limit ran out",
	  .kill = "KillWait ran out",
	  .after_term = "KillWait ran out",
	  .advice = "See sacct and the job's time limit." },
	{ .name = "slurmd", .title = "slurm" },
	{ .name = "init", .title = "init" },
	{ .name = "openrc*", .title = "OpenRC" },
	{ .name = "supervise-daemon", .title = "OpenRC" },
	{ .name = "uwsgi*", .title = "uwsgi's master",
	  .term = "a stop or a reload",
	  .kill = "its harakiri timeout, or a worker that did not reload in time",
	  .advice = "uwsgi kills a worker whose request exceeds harakiri: see its log." },
	{ .name = "runsvdir", .title = "runit" },
	{ .name = "s6-*", .title = "s6" },
	{ .name = "perpd", .title = "perp" },
	{ .name = "nomad", .title = "nomad", .after_term = "kill_timeout ran out" },
	{ .name = "pm2*", .title = "pm2", .after_term = "kill_timeout ran out" },
	{ .name = "PM2*", .title = "pm2", .after_term = "kill_timeout ran out" },
	{ .name = "circusd", .title = "circus", .after_term = "graceful_timeout ran out" },
	{ .name = "tini", .title = "the container's init" },
	{ .name = "dumb-init", .title = "the container's init" },
	{ .name = "catatonit", .title = "the container's init" },
	{ .name = "docker-init", .title = "the container's init" },
	{ .name = "monit", .title = "monit" },
	{ .name = "honcho", .title = "honcho" },
	{ .name = "foreman", .title = "foreman" },
	{ .name = "upstart", .title = "upstart" },
	{ .name = "daemon", .title = "daemon(1)" },
	{ .name = "start-stop-daem*", .title = "start-stop-daemon",
	  .term = "the service is stopped",
	  .after_term = "its --retry schedule" },
};

static bool is_named(const char *name, const struct supervisor *s)
{
	size_t n = strlen(s->name) - 1;

	return s->name[n] == '*' ? !strncmp(name, s->name, n) : !strcmp(name, s->name);
}

static const struct supervisor *by_name(const char *name)
{
	// "[celeryd: celery@host:MainProcess]": a title that some give themselves.
	if (name && *name == '[')
		name++;
	for (size_t i = 0; name && i < ARRAY_SIZE(supervisors); i++)
		if (is_named(name, &supervisors[i]))
			return &supervisors[i];
	return NULL;
}

// "python3 /usr/bin/supervisord", "python3 -B -m gunicorn app:app": the name of the program.
static const char *python_program(const strings *cmdline)
{
	size_t i = 1;

	if (!cmdline->n || strncmp(path_basename(cmdline->v[0]), "python", 6) != 0)
		return NULL;
	for (; i < cmdline->n && cmdline->v[i][0] == '-'; i++) {
		if (!strcmp(cmdline->v[i], "-m"))
			return i + 1 < cmdline->n ? cmdline->v[i + 1] : NULL;
		if (!strcmp(cmdline->v[i], "-c"))
			return NULL;
		// These two may have their argument behind them.
		if (!strcmp(cmdline->v[i], "-W") || !strcmp(cmdline->v[i], "-X"))
			i++;
	}
	return i < cmdline->n ? path_basename(cmdline->v[i]) : NULL;
}

const struct supervisor *supervisor_of(const struct process_ref *process)
{
	const strings *cmdline = &process->cmdline;
	const struct supervisor *found = by_name(process->comm);

	if (!found && process->exe)
		found = by_name(path_basename(process->exe));
	if (!found && cmdline->n)
		found = by_name(path_basename(cmdline->v[0]));
	return found ? found : by_name(python_program(cmdline));
}

const char *supervisor_program(const struct process_ref *process)
{
	const char *name = python_program(&process->cmdline);

	return by_name(name) ? name : NULL;
}

const char *supervisor_reason(const struct supervisor *supervisor, int signo, int before)
{
	if (signo == SIGTERM)
		return supervisor->term;
	if (signo == SIGABRT || (signo == SIGKILL && before == SIGABRT))
		return supervisor->abort;
	if (signo != SIGKILL)
		return NULL;
	return before ? supervisor->after_term : supervisor->kill;
}
