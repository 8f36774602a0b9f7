/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "handler.h"

#include <elf.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "capture/coredump.h"
#include "cleanup.h"
#include "deliver.h"
#include "store/core.h"

// Headers and notes: some 4 to 11 KiB for each thread.
#define HEAD_MAX ((size_t)256 << 20)
#define CHUNK	 ((size_t)64 << 10)
// What RLIMIT_CORE has to allow for a report to be wanted: less than a page is no core.
#define LIMIT_MIN 4096

// Read on until HEAD has LEN bytes; false when the core ends before.
static bool read_up_to(struct buf *head, uint64_t len)
{
	static uint8_t chunk[CHUNK];

	while (head->len < len && len <= HEAD_MAX && !head->failed) {
		ssize_t n = read(STDIN_FILENO, chunk, sizeof(chunk));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		buf_add(head, chunk, (size_t)n);
	}
	return head->len >= len;
}

// The kernel writes its headers and notes first: as much of the core as tells who died of what.
static struct error *read_head(struct buf *head)
{
	Elf64_Ehdr eh;
	Elf64_Phdr ph;
	uint64_t notes = 0;
	bool whole = read_up_to(head, sizeof(eh));

	if (whole) {
		memcpy(&eh, head->data, sizeof(eh));
		uint64_t at = le64toh(eh.e_phoff);
		whole = at < HEAD_MAX && read_up_to(head, at + sizeof(ph));
		if (whole) {
			memcpy(&ph, head->data + at, sizeof(ph));
			notes = le64toh(ph.p_offset);
			whole = le32toh(ph.p_type) == PT_NOTE && notes < HEAD_MAX &&
				le64toh(ph.p_filesz) < HEAD_MAX &&
				read_up_to(head, notes + le64toh(ph.p_filesz));
		}
	}
	return whole ? buf_error(head)
		     : error_new(ERROR_INPUT, "standard input is no core as the kernel writes it");
}

static void pass_all(int fd, const uint8_t *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		data += n;
		len -= (size_t)n;
	}
}

// The whole core, HEAD of which has been read, to the standard input of the next handler.
static struct error *hand_on(char *const argv[], const struct buf *head)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(errno, "cannot make a pipe");
	pid_t pid = fork();
	if (pid == 0) {
		if (dup2(ends[0], STDIN_FILENO) >= 0)
			execv(argv[0], argv);
		_exit(127);
	}
	close(ends[0]);
	if (pid > 0) {
		pass_all(ends[1], head->data, head->len);
		for (ssize_t n = 1; n > 0;)
			n = splice(STDIN_FILENO, NULL, ends[1], NULL, CHUNK, 0);
	}
	close(ends[1]);
	int status = 0;
	if (pid < 0)
		return error_errno(errno, "cannot start %s", argv[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return error_new(ERROR_SYSTEM, "cannot start %s", argv[0]);
	return NULL;
}

// Might the user have looked into the process? The kernel's word and its copy of what it told the
// program at the exec decide, not /proc, whose process may be another by now.
static bool is_users(const struct options *o, const struct snapshot *core)
{
	const struct bytes *auxv = &core->process.auxv;

	return o->handler.dumpable == 1 && auxv->len && !auxv_value(auxv, AT_SECURE) &&
	       auxv_value(auxv, AT_UID) == o->handler.uid &&
	       auxv_value(auxv, AT_EUID) == o->handler.uid &&
	       auxv_value(auxv, AT_GID) == o->handler.gid &&
	       auxv_value(auxv, AT_EGID) == o->handler.gid;
}

// A folder in ROOT's that is the user's own, and the user's rights alone from here on.
static struct error *become_user(const struct options *o, const struct store *root, char **path)
{
	char name[16];
	struct stat st;

	snprintf(name, sizeof(name), "%u", o->handler.uid);
	if (mkdirat(root->dir, name, 0700) < 0 && errno != EEXIST)
		return error_errno(errno, "cannot make the folder %s/%s", root->path, name);
	_cleanup_(closep) int dir = openat(root->dir, name,
					   O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0 || fstat(dir, &st) < 0)
		return error_errno(errno, "cannot use the folder %s/%s", root->path, name);
	if ((st.st_uid == 0 && fchown(dir, o->handler.uid, o->handler.gid) < 0) ||
	    (st.st_uid && st.st_uid != o->handler.uid))
		return error_new(ERROR_DENIED, "the folder %s/%s is not that user's", root->path,
				 name);
	// So that the user gets there; nobody may list it.
	if (fchmod(root->dir, 0711) < 0)
		return error_errno(errno, "cannot open the folder %s to users", root->path);
	uid_t uid = o->handler.uid;
	gid_t gid = o->handler.gid;
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return error_errno(errno, "cannot become user %u", uid);
	return asprintf(path, "%s/%s", root->path, name) < 0 ? error_nomem() : NULL;
}

static struct error *file_report(const struct options *o, bool users, struct snapshot *snapshot)
{
	_cleanup_(store_close) struct store root = { .dir = -1 }, own = { .dir = -1 };
	_cleanup_(freep) char *path = NULL;
	struct error *err = store_open(o->output, &root);

	if (!err && users && o->handler.uid) {
		err = become_user(o, &root, &path);
		if (!err)
			err = store_open(path, &own);
	}
	return err ? err : deliver(path ? &own : &root, o, snapshot);
}

static struct error *report(const struct options *o, const struct buf *head,
			    struct snapshot **snapshot, bool *users)
{
	_cleanup_(snapshot_deinit) struct snapshot core = {};
	struct capture_options capture = { .redact = !o->no_redact, .logs = &o->logs };
	struct error *err = core_read(head->data, head->len, &core);

	if (err)
		return error_prefix(err, "standard input");
	*users = is_users(o, &core);
	// The user may write to a log without the right to read it; we read it as root.
	capture.lines = *users && o->handler.uid ? 0 : o->lines;
	return capture_coredump(o->pid, o->handler.pidfd, &core, &capture, snapshot);
}

struct error *handle_core(const struct options *o)
{
	_cleanup_(buf_deinit) struct buf head = {};
	struct snapshot *snapshot = NULL;
	bool users = false;

	// Should this crash, nobody is called for it. The kernel refuses to as well.
	prctl(PR_SET_DUMPABLE, 0);
	signal(SIGPIPE, SIG_IGN);
	struct error *err = read_head(&head);
	bool wanted = o->handler.limit >= LIMIT_MIN || o->handler.ignore_limit;
	if (!err && wanted)
		err = report(o, &head, &snapshot, &users);
	// Only now may the process go: the one that is to have the whole core has it first.
	if (o->handler.then) {
		struct error *failed = hand_on(o->handler.then, &head);

		if (err)
			error_free(failed);
		else
			err = failed;
	}
	close(STDIN_FILENO);
	if (snapshot) {
		struct error *failed = file_report(o, users, snapshot);

		if (err)
			error_free(failed);
		else
			err = failed;
		snapshot_deinit(snapshot);
		free(snapshot);
	}
	return err;
}
