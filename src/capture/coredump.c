/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coredump.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "../cleanup.h"
#include "../live/procfs.h"

// A process that was killed while its core was being written leaves its number to others, who may
// want to be taken for it. A pidfd is readable as soon as its process has ended.
static bool has_ended(int pidfd)
{
	struct pollfd poll_fd = { .fd = pidfd, .events = POLLIN };

	return pidfd >= 0 && poll(&poll_fd, 1, 0) > 0;
}

// The kernel has put addresses into the auxiliary vector that it chose at random at the exec.
static bool same_image(const struct snapshot *a, const struct snapshot *b)
{
	const struct bytes *x = &a->process.auxv, *y = &b->process.auxv;

	return x->len && x->len == y->len && !memcmp(x->data, y->data, x->len);
}

static struct error *take(struct look *look, struct traced *process, const struct capture *capture)
{
	const struct snapshot *core = capture->core;
	struct error *err = look_take(look, process, capture->options->redact, NULL);

	bool same = !err && look->taken && same_image(&look->snapshot, core);
	if (!err && (!same || has_ended(process->pidfd)))
		err = error_new(ERROR_GONE, "process %d is not the one that the core is of",
				(int)process->pid);
	if (!err)
		err = capture_take(look, NULL, process, capture);
	if (!err && has_ended(process->pidfd))
		err = error_new(ERROR_GONE, "process %d was killed while it was looked at",
				(int)process->pid);
	return err;
}

struct error *capture_coredump(pid_t pid, int pidfd, const struct snapshot *core,
			       const struct capture_options *options, struct snapshot **ret)
{
	struct traced process = { .pid = pid,
				  .proc_dir = -1,
				  .dir_tid = pid,
				  .mem_fd = -1,
				  .status_fd = -1,
				  .pidfd = pidfd };
	struct capture capture = { .reason = CAPTURE_CORE,
				   .info = core->death.info,
				   .core = core,
				   .options = options };
	struct look *look = calloc(1, sizeof(*look));
	struct snapshot *snapshot = calloc(1, sizeof(*snapshot));
	struct error *err = look && snapshot ? procfs_open(pid, &process.proc_dir) : error_nomem();

	if (!err)
		process.mem_fd = openat(process.proc_dir, "mem", O_RDONLY | O_CLOEXEC);
	if (!err)
		err = take(look, &process, &capture);
	if (!err) {
		images_deinit(&look->images);
		*snapshot = TAKE(look->snapshot);
		look->taken = false;
		snapshot->death.kind = DEATH_SIGNAL;
		snapshot->death.signo = core->death.signo;
		snapshot->process.role = ROLE_MAIN;
		err = procfs_sender(&snapshot->process, &snapshot->death.info, &snapshot->arena,
				    &snapshot->death.sender);
		if (err)
			snapshot_deinit(snapshot);
	}
	closep(&process.mem_fd);
	closep(&process.proc_dir);
	if (look)
		look_deinit(look);
	free(look);
	if (err) {
		free(snapshot);
		return err;
	}
	*ret = snapshot;
	return NULL;
}
