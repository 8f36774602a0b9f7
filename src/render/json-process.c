// SPDX-License-Identifier: GPL-3.0-or-later
#include "json.h"

#include <string.h>

#include "../buf.h"
#include "../cleanup.h"
#include "limits.h"
#include "words.h"

static json_t *environ_object(struct out *o, const strings *list)
{
	json_t *ret = json_object();

	for (size_t i = 0; i < list->n; i++) {
		const char *equals = strchr(list->v[i], '=');
		_cleanup_(buf_deinit) struct buf name = {};

		if (!equals)
			continue;
		buf_clean(&name, list->v[i], (size_t)(equals - list->v[i]), "");
		_cleanup_(freep) char *key = buf_steal(&name);
		// Of equal names the first counts, as it does for getenv().
		if (!key)
			o->failed = true;
		else if (!json_object_get(ret, key))
			out_put_string(o, ret, key, equals + 1);
	}
	return ret;
}

// "Max open files" becomes "open_files"; a limit that is null is none.
static json_t *limits_object(struct out *o, const struct process *process)
{
	json_t *ret = json_object();
	limit_list list = {};

	struct error *err = limits_parse(process, &o->arena, &list);
	o->failed |= error_drop(err);
	for (size_t i = 0; i < list.n; i++) {
		const struct limit *limit = &list.v[i];
		json_t *object = json_object();
		char *name = limit->name;

		for (char *p = name; *p; p++)
			*p = *p == ' ' ? '_' : *p;
		out_put(o, object, "soft", out_number(limit->soft));
		out_put(o, object, "hard", out_number(limit->hard));
		if (*limit->unit)
			out_put_string(o, object, "unit", limit->unit);
		out_put(o, ret, strncmp(name, "Max_", 4) ? name : name + 4, object);
	}
	return ret;
}

static json_t *cgroup_object(struct out *o, const struct process *process)
{
	if (!process->cgroup)
		return json_null();
	json_t *ret = json_object();
	out_put_string(o, ret, "path", process->cgroup);
	out_put(o, ret, "memory_limit_bytes", out_number(process->memory_limit));
	out_put(o, ret, "memory_usage_bytes", out_number(process->memory_usage));
	out_put(o, ret, "oom_kills_before", out_number(process->oom_kills_before));
	out_put(o, ret, "oom_kills_after", out_number(process->oom_kills_after));
	json_t *levels = json_array();
	for (size_t i = 0; i < process->cgroup_levels.n; i++) {
		const struct cgroup_level *level = &process->cgroup_levels.v[i];
		json_t *object = json_object();

		out_put_string(o, object, "path", level->path);
		out_put(o, object, "limit_bytes", out_number(level->limit));
		out_put(o, object, "usage_bytes", out_number(level->usage));
		out_put(o, object, "peak_bytes", out_number(level->peak));
		out_put(o, object, "oom_kills_before", out_number(level->kills_before));
		out_put(o, object, "oom_kills_after", out_number(level->kills_after));
		out_append(o, levels, object);
	}
	out_put(o, ret, "levels", levels);
	return ret;
}

static json_t *dispositions_object(struct out *o, const struct process *process)
{
	json_t *ret = json_object();

	for (int signo = 1; signo <= 64; signo++) {
		bool caught = process->caught >> (signo - 1) & 1;
		bool ignored = process->ignored >> (signo - 1) & 1;
		char *name = words_signal(&o->arena, signo);

		if (!name) {
			o->failed = true;
			break;
		}
		// Real-time signals are worth a line only when somebody uses them.
		if (signo <= 31 || caught || ignored)
			out_put_string(o, ret, name,
				   caught    ? "handled"
				   : ignored ? "ignored"
					     : "default");
	}
	return ret;
}

static json_t *fd_list(struct out *o, const struct process *process)
{
	json_t *ret = json_array();

	for (size_t i = 0; i < process->fds.n; i++) {
		const struct fd *fd = &process->fds.v[i];
		json_t *object = json_object();

		out_put(o, object, "fd", json_integer(fd->fd));
		out_put_string(o, object, "target", fd->target ? fd->target : "");
		if (fd->is_socket) {
			json_t *socket = json_object();
			out_put_known(o, socket, "family", fd->socket.family);
			out_put_known(o, socket, "type", fd->socket.type);
			out_put_known(o, socket, "local", fd->socket.local);
			out_put_known(o, socket, "peer", fd->socket.peer);
			out_put_known(o, socket, "state", fd->socket.state);
			out_put(o, object, "socket", socket);
		}
		out_append(o, ret, object);
	}
	return ret;
}

static json_t *pidfile_object(struct out *o, const struct process *process)
{
	static const char *const states[] = {
		[PIDFILE_NONE] = NULL,	       [PIDFILE_REMOVED] = "removed",
		[PIDFILE_STALE] = "stale",     [PIDFILE_REPLACED] = "replaced",
		[PIDFILE_MISSING] = "missing",
	};

	if (!process->pidfile || process->pidfile_state == PIDFILE_NONE)
		return json_null();
	json_t *ret = json_object();
	out_put_string(o, ret, "path", process->pidfile);
	out_put_string(o, ret, "state", states[process->pidfile_state]);
	out_put(o, ret, "names",
		process->pidfile_names > 0 ? json_integer(process->pidfile_names) : json_null());
	return ret;
}

json_t *process_json(struct out *o, const struct process *process)
{
	json_t *ret = json_object(), *ns_pids = json_array();

	out_put(o, ret, "pid", json_integer(process->pid));
	for (size_t i = 0; i < process->ns_pids.n; i++)
		out_append(o, ns_pids, json_integer(process->ns_pids.v[i]));
	out_put(o, ret, "ns_pids", ns_pids);
	out_put(o, ret, "ppid", json_integer(process->ppid));
	if (process->pgid > 0)
		out_put(o, ret, "pgid", json_integer(process->pgid));
	if (process->sid > 0)
		out_put(o, ret, "sid", json_integer(process->sid));
	out_put_string(o, ret, "tty", process->tty);
	if (process->uid != (uid_t)-1)
		out_put(o, ret, "uid", json_integer(process->uid));
	if (process->gid != (gid_t)-1)
		out_put(o, ret, "gid", json_integer(process->gid));
	out_put_string(o, ret, "user", process->user);
	out_put_string(o, ret, "comm", process->comm);
	out_put_string(o, ret, "exe", process->exe);
	out_put(o, ret, "cmdline", out_strings(o, &process->cmdline));
	out_put_string(o, ret, "cwd", process->cwd);
	out_put(o, ret, "role", json_string(process->role == ROLE_CHILD ? "child" : "main"));
	out_put(o, ret, "ancestors", out_processes(o, &process->ancestors));
	out_put(o, ret, "children", out_processes(o, &process->children));
	if (process->have_environ)
		out_put(o, ret, "environ", environ_object(o, &process->environ));
	if (process->limits.len)
		out_put(o, ret, "limits", limits_object(o, process));
	out_put(o, ret, "cgroup", cgroup_object(o, process));
	if (process->have_dispositions)
		out_put(o, ret, "signal_dispositions", dispositions_object(o, process));
	out_put(o, ret, "pidfile", pidfile_object(o, process));
	if (process->have_fds)
		out_put(o, ret, "fds", fd_list(o, process));
	return ret;
}
