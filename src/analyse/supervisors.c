/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "supervisors.h"

#include <signal.h>
#include <string.h>

#include "../cleanup.h"

#define CONTAINER_ADVICE                                                                           \
	"See the container runtime's events at that time (docker events, podman events, kubectl "  \
	"describe pod): stop, restart, eviction, failed probe."

static const struct supervisor supervisors[] = {
	{ "gunicorn*", "gunicorn's master", "a stop, a reload or a change of the number of workers",
	  "its worker timeout (--timeout)", "its graceful timeout (--graceful-timeout) ran out",
	  "its worker timeout (--timeout)",
	  "gunicorn aborts a worker that has not reported for --timeout seconds: its log says "
	  "\"WORKER TIMEOUT\"; see what the main thread was doing, use async workers or a longer "
	  "--timeout." },
	{ "uvicorn", "uvicorn's supervisor", "a stop or a reload",
	  "its worker health check (--timeout-worker-healthcheck)", "the stop took too long", NULL,
	  "uvicorn's supervisor ends workers at a stop, on a reload and when they do not answer its "
	  "ping: see its log." },
	{ "hypercorn", "hypercorn's master", "a stop or a reload", NULL, "the stop took too long",
	  NULL, "hypercorn's master ends its workers at a stop and on a reload: see its log." },
	{ "celery*", "celery's parent",
	  "a task's hard time limit (--time-limit), a revoked task (terminate=True) or a shutdown",
	  "a task's hard time limit (--time-limit)",
	  "a task's hard time limit (--time-limit), or a shutdown that took too long", NULL,
	  "celery ends a pool process whose task exceeds its hard time limit by SIGTERM, and SIGKILL a "
	  "moment later: its log says \"Hard time limit\"." },
	{ "supervisord", "supervisord", "a stop or a restart", NULL,
	  "stopwaitsecs ran out", NULL,
	  "supervisord sends SIGKILL when a program has not ended stopwaitsecs after its "
	  "stopsignal: see its log and supervisorctl." },
	{ "systemd", "systemd", "a stop or a restart of the unit", "systemctl kill, or a unit with "
	  "KillSignal=SIGKILL", "the unit's stop timeout (TimeoutStopSec=) ran out",
	  "the unit's watchdog (WatchdogSec=)",
	  "See journalctl -u of the unit (--user for a user's): it says who stopped it, and whether "
	  "\"State 'stop-sigterm' timed out\" or \"Watchdog timeout\"." },
	{ "containerd-shim*", "the container runtime", "a stop of the container", "a kill of the "
	  "container", "the grace time of the stop ran out", NULL, CONTAINER_ADVICE },
	{ "dockerd", "docker", "a stop of the container", "docker kill",
	  "the grace time of docker stop ran out", NULL, CONTAINER_ADVICE },
	{ "containerd", "containerd", "a stop of the container", "a kill of the container",
	  "the grace time of the stop ran out", NULL, CONTAINER_ADVICE },
	{ "runc", "the container runtime", "a stop of the container", "a kill of the container",
	  "the grace time of the stop ran out", NULL, CONTAINER_ADVICE },
	{ "crun", "the container runtime", "a stop of the container", "a kill of the container",
	  "the grace time of the stop ran out", NULL, CONTAINER_ADVICE },
	{ "conmon", "podman's monitor", "a stop of the container", "podman kill",
	  "the grace time of podman stop ran out", NULL, CONTAINER_ADVICE },
	{ "podman", "podman", "podman stop", "podman kill", "the grace time of podman stop ran out",
	  NULL, CONTAINER_ADVICE },
	{ "crio", "the container runtime", "a stop of the container", "a kill of the container",
	  "the grace time of the stop ran out", NULL, CONTAINER_ADVICE },
	{ "kubelet", "the kubelet", "the pod is stopped", "the pod is removed at once",
	  "terminationGracePeriodSeconds ran out", NULL, CONTAINER_ADVICE },
	{ "runsv", "runit", "sv down or sv restart", "sv kill or sv force-stop",
	  "sv force-stop's time ran out", NULL, "Ask who used sv(8) on the service." },
	{ "s6-supervise", "s6", "s6-svc -d or -r", "s6-svc -k", "the service's timeout-kill ran out",
	  NULL, "Ask who used s6-svc on the service, and see its timeout-kill file." },
	{ "supervise", "daemontools", "svc -d or -t", "svc -k", "svc -k", NULL,
	  "Ask who used svc(8) on the service." },
	{ "timeout", "timeout(1)", "its time limit ran out",
	  "its time limit ran out (--signal=KILL)",
	  "its time limit and --kill-after ran out", NULL,
	  "timeout(1) ends what takes longer than it was told to allow: see its arguments." },
	{ "sshd*", "sshd", "the session ended", NULL, NULL, NULL,
	  "sshd ends what its session leaves: start the program as a service, in tmux, or with "
	  "nohup." },
	{ "slurmstepd", "slurm", "the job was cancelled, or its time limit ran out", "KillWait ran out",
	  "KillWait ran out", NULL, "See sacct and the job's time limit." },
	{ .name = "slurmd", .title = "slurm" },
	{ .name = "init", .title = "init" },
	{ .name = "openrc*", .title = "OpenRC" },
	{ .name = "supervise-daemon", .title = "OpenRC" },
	{ .name = "uwsgi*", .title = "uwsgi's master", .term = "a stop or a reload",
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
	{ .name = "start-stop-daem*", .title = "start-stop-daemon", .term = "the service is stopped",
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
