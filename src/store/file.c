/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#include "../cleanup.h"

#define MAX_COMM 64
#define MAX_SAME_NAME 1000
#define BLOCK ((size_t)4096)

static struct error *default_path(char **ret)
{
	const char *dir = getenv("PCATCH_DIR"), *state = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");
	int n;

	if (dir && *dir) {
		n = asprintf(ret, "%s", dir);
	} else if (geteuid() == 0) {
		n = asprintf(ret, "/var/lib/pcatch");
	} else if (state && state[0] == '/') {
		// A relative one is to be ignored, says the XDG Base Directory Specification.
		n = asprintf(ret, "%s/pcatch", state);
	} else {
		if (!home || !*home) {
			const struct passwd *pw = getpwuid(geteuid());
			home = pw ? pw->pw_dir : NULL;
		}
		if (!home)
			return error_new(ERROR_INPUT, "no home folder to put reports into: "
						      "say where with -o DIR");
		n = asprintf(ret, "%s/.local/state/pcatch", home);
	}
	return n < 0 ? error_nomem() : NULL;
}

// PATH and its missing parents.
static struct error *make_folders(const char *path)
{
	_cleanup_(freep) char *part = strdup(path);

	if (!part)
		return error_nomem();
	for (char *p = part; *p; p++) {
		if (*p != '/' || p == part)
			continue;
		*p = '\0';
		// A parent that cannot be made will show when its child cannot.
		mkdir(part, 0700);
		*p = '/';
	}
	if (mkdir(part, 0700) && errno != EEXIST)
		return error_errno(errno, "cannot make the folder %s", path);
	return NULL;
}

static bool no_tmpfile(int errnum)
{
	// Kernels and file systems without O_TMPFILE say one of these; open(2).
	return errnum == EOPNOTSUPP || errnum == EISDIR || errnum == ENOENT || errnum == EINVAL;
}

// A new empty file in DIR without a name, or with one: then it is put into TEMP. MODE is O_WRONLY
// or O_RDWR.
static int open_temporary(int dir, int mode, char *temp, size_t size)
{
	int fd = openat(dir, ".", O_TMPFILE | mode | O_CLOEXEC, 0600);

	*temp = '\0';
	for (int i = 0; fd < 0 && i < 100 && (no_tmpfile(errno) || (i && errno == EEXIST)); i++) {
		uint64_t random;

		if (getrandom(&random, sizeof(random), 0) != sizeof(random))
			return -1;
		snprintf(temp, size, ".pcatch-%016llx", (unsigned long long)random);
		fd = openat(dir, temp, O_CREAT | O_EXCL | mode | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0 && errno != EEXIST) {
			*temp = '\0';
			break;
		}
	}
	// The umask has had its say above.
	if (fd >= 0)
		fchmod(fd, 0600);
	return fd;
}

int file_write_at(int fd, uint64_t at, const void *data, size_t len)
{
	// Past RLIMIT_FSIZE this signal comes beside EFBIG, and would end us; setrlimit(2). What was
	// started by us has its own disposition, since it is only changed here.
	struct sigaction ignored = { .sa_handler = SIG_IGN }, before;
	const char *p = data;
	int errnum = 0;

	sigaction(SIGXFSZ, &ignored, &before);
	while (len && !errnum) {
		ssize_t n = pwrite(fd, p, len < (1u << 30) ? len : 1u << 30, (off_t)at);

		if (n < 0 && errno != EINTR)
			errnum = errno;
		if (n == 0)
			errnum = ENOSPC;
		if (n > 0) {
			p += n;
			at += (uint64_t)n;
			len -= (size_t)n;
		}
	}
	sigaction(SIGXFSZ, &before, NULL);
	errno = errnum;
	return errnum ? -1 : 0;
}

int file_write_sparse(int fd, uint64_t at, const void *data, size_t len)
{
	static const uint8_t zeros[BLOCK];
	const uint8_t *p = data;
	size_t from = 0, done = 0;

	while (done < len) {
		size_t n = len - done < BLOCK ? len - done : BLOCK;
		bool hole = !memcmp(p + done, zeros, n);

		if (hole && done > from && file_write_at(fd, at + from, p + from, done - from))
			return -1;
		done += n;
		from = hole ? done : from;
	}
	return done > from ? file_write_at(fd, at + from, p + from, done - from) : 0;
}

int store_scratch(const struct store *store)
{
	char temp[32];
	int fd = open_temporary(store->dir, O_RDWR, temp, sizeof(temp));

	if (fd >= 0 && *temp)
		unlinkat(store->dir, temp, 0);
	return fd;
}

// The folder that PATH, which may be NULL, stands for; malloc'ed.
static struct error *wanted_path(const char *path, char **ret)
{
	if (!path)
		return default_path(ret);
	*ret = strdup(path);
	return *ret ? NULL : error_nomem();
}

static struct error *open_folder(const char *wanted, struct store *ret)
{
	_cleanup_(closep) int dir = open(wanted, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char *absolute = dir < 0 ? NULL : realpath(wanted, NULL);

	if (!absolute)
		return error_errno(errno, "cannot use the folder %s", wanted);
	struct stat st = {};
	int failed = fstat(dir, &st);
	*ret = (struct store){ .dir = TAKE_FD(dir), .path = absolute, .owner = st.st_uid };
	return failed ? error_errno(errno, "cannot use the folder %s", ret->path) : NULL;
}

struct error *store_admits(const struct store *store, uid_t user)
{
	if (store->owner == 0 || store->owner == geteuid() || store->owner == user)
		return NULL;
	return error_new(ERROR_DENIED,
			 "the folder %s belongs to user %u, who could put anything in the place of "
			 "reports: choose another with -o DIR",
			 store->path, store->owner);
}

// Everybody may rename what is there, unless it is like /tmp.
static struct error *check_permissions(const struct store *store)
{
	struct stat st;

	if (fstat(store->dir, &st) < 0)
		return error_errno(errno, "cannot use the folder %s", store->path);
	if (!(st.st_mode & S_IWOTH) || st.st_mode & S_ISVTX)
		return NULL;
	return error_new(ERROR_DENIED,
			 "the folder %s may be written to by everybody: chmod o-w it, or choose "
			 "another with -o DIR",
			 store->path);
}

struct error *store_find(const char *path, struct store *ret)
{
	_cleanup_(freep) char *wanted = NULL;
	struct error *err = wanted_path(path, &wanted);

	return err ? err : open_folder(wanted, ret);
}

struct error *store_open(const char *path, struct store *ret)
{
	_cleanup_(freep) char *wanted = NULL;
	_cleanup_(store_close) struct store store = { .dir = -1 };
	struct error *err = wanted_path(path, &wanted);

	if (!err)
		err = make_folders(wanted);
	if (!err)
		err = open_folder(wanted, &store);
	if (!err)
		err = check_permissions(&store);
	// Root's choice depends on the target, whose user may own the folder.
	if (!err && geteuid())
		err = store_admits(&store, geteuid());
	if (err)
		return err;
	char temp[32];
	_cleanup_(closep) int fd = open_temporary(store.dir, O_WRONLY, temp, sizeof(temp));
	// One byte, as a full disk has room for empty files.
	int errnum = fd < 0 || file_write_at(fd, 0, "", 1) ? errno : 0;
	if (*temp)
		unlinkat(store.dir, temp, 0);
	if (errnum)
		return error_errno(errnum, "cannot write into the folder %s", store.path);
	*ret = TAKE(store);
	return NULL;
}

void store_close(struct store *store)
{
	// A store that was never opened is all zero, and 0 is somebody's stdin.
	if (store->path)
		closep(&store->dir);
	free(store->path);
	*store = (struct store){ .dir = -1 };
}

// Whether DIR has a file NAME or NAME.anything.
static struct error *name_taken(int dir, const char *name, bool *ret)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	size_t len = strlen(name);

	if (!stream) {
		int errnum = errno;
		closep(&fd);
		return error_errno(errnum, "cannot list the folder for reports");
	}
	*ret = false;
	for (const struct dirent *e = readdir(stream); e && !*ret; e = readdir(stream))
		*ret = !strncmp(e->d_name, name, len) && (!e->d_name[len] || e->d_name[len] == '.');
	closedir(stream);
	return NULL;
}

// COMM as a part of a file name: nothing that a shell, an option parser or "ls" stumbles over.
static void safe_comm(const char *comm, char *ret, size_t size)
{
	size_t n = 0;

	for (; comm[n] && n < size - 1; n++) {
		char c = comm[n];
		bool safe = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			    (c >= '0' && c <= '9') || c == '_' ||
			    (n && (c == '.' || c == '-' || c == '+'));

		ret[n] = safe ? c : '_';
	}
	ret[n] = '\0';
}

struct error *store_name(const struct store *store, const struct snapshot *snapshot, char **ret)
{
	time_t seconds = (time_t)(snapshot->time.death / 1000000000);
	char comm[MAX_COMM + 1], when[32];
	struct tm tm;

	safe_comm(*snapshot->process.comm ? snapshot->process.comm : "process", comm, sizeof(comm));
	if (!gmtime_r(&seconds, &tm))
		return error_new(ERROR_INPUT, "a time of death that no calendar has");
	strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", &tm);
	for (int i = 1; i <= MAX_SAME_NAME; i++) {
		_cleanup_(freep) char *name = NULL;
		char again[12] = "";
		bool taken = false;

		if (i > 1)
			snprintf(again, sizeof(again), "-%d", i);
		if (asprintf(&name, "%s-%d-%s%s", comm, snapshot->process.pid, when, again) < 0) {
			name = NULL;
			return error_nomem();
		}
		struct error *err = name_taken(store->dir, name, &taken);
		if (err)
			return err;
		if (!taken) {
			*ret = TAKE(name);
			return NULL;
		}
	}
	return error_new(ERROR_INPUT, "%s has %d reports of %s-%d at %s already", store->path,
			 MAX_SAME_NAME, comm, snapshot->process.pid, when);
}

// Give the file its name, unless somebody has it: 0 or -1 with errno.
static int publish(int dir, int fd, const char *temp, const char *file)
{
	char proc[32];

	if (*temp) {
		if (!linkat(dir, temp, dir, file, 0))
			return unlinkat(dir, temp, 0);
		// vfat and some network file systems have no links.
		if (errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS)
			return renameat2(dir, temp, dir, file, RENAME_NOREPLACE);
		return -1;
	}
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	if (!linkat(AT_FDCWD, proc, dir, file, AT_SYMLINK_FOLLOW))
		return 0;
	// No /proc here; this way takes CAP_DAC_READ_SEARCH.
	return errno == ENOENT ? linkat(fd, "", dir, file, AT_EMPTY_PATH) : -1;
}

struct error *draft_begin(const struct store *store, const char *name, const char *suffix,
			  struct draft *ret)
{
	struct draft draft = { .store = store, .fd = -1 };

	if (asprintf(&draft.path, "%s/%s.%s", store->path, name, suffix) < 0)
		return error_nomem();
	draft.fd = open_temporary(store->dir, O_WRONLY, draft.temp, sizeof(draft.temp));
	if (draft.fd < 0) {
		int errnum = errno;
		_cleanup_(freep) char *path = draft.path;

		return error_errno(errnum, "cannot write %s", path);
	}
	*ret = draft;
	return NULL;
}

struct error *draft_adopt(const struct store *store, int fd, const char *name, const char *suffix,
			  struct draft *ret)
{
	struct draft draft = { .store = store, .fd = fd };

	if (asprintf(&draft.path, "%s/%s.%s", store->path, name, suffix) < 0) {
		close(fd);
		return error_nomem();
	}
	*ret = draft;
	return NULL;
}

void draft_discard(struct draft *draft)
{
	// One that was never begun is all zero.
	if (!draft->path)
		return;
	if (*draft->temp)
		unlinkat(draft->store->dir, draft->temp, 0);
	closep(&draft->fd);
	free(draft->path);
	*draft = (struct draft){ .fd = -1 };
}

struct error *draft_publish(struct draft *draft, char **path_ret)
{
	const struct store *store = draft->store;
	const char *file = draft->path + strlen(store->path) + 1;
	bool published = false;
	int errnum = 0;

	if ((store->reader && fchown(draft->fd, store->reader, (gid_t)-1)) || fsync(draft->fd))
		errnum = errno;
	else if (publish(store->dir, draft->fd, draft->temp, file))
		errnum = errno;
	else
		published = true;
	// Some file systems cannot sync a folder and say EINVAL.
	if (published && fsync(store->dir) && errno != EINVAL)
		errnum = errno;
	if (published)
		*draft->temp = '\0';
	if (errnum && published)
		unlinkat(store->dir, file, 0);
	// It had a name once: nothing brings it back.
	if (errnum == ENOENT && !published && !*draft->temp)
		return error_new(ERROR_UNSUPPORTED, "cannot give %s its name here", draft->path);
	if (errnum)
		return error_errno(errnum, "cannot write %s", draft->path);
	*path_ret = TAKE(draft->path);
	closep(&draft->fd);
	draft->fd = -1;
	return NULL;
}

struct error *store_write(const struct store *store, const char *name, const char *suffix,
			  const void *data, size_t len, char **path_ret)
{
	_cleanup_(draft_discard) struct draft draft = { .fd = -1 };
	struct error *err = draft_begin(store, name, suffix, &draft);

	if (err)
		return err;
	if (file_write_at(draft.fd, 0, data, len))
		return error_errno(errno, "cannot write %s", draft.path);
	return draft_publish(&draft, path_ret);
}

struct error *store_reopen(const struct store *store, const char *name, const char *suffix,
			   int flags, int *ret)
{
	_cleanup_(freep) char *file = NULL;

	if (asprintf(&file, "%s.%s", name, suffix) < 0) {
		file = NULL;
		return error_nomem();
	}
	int fd = openat(store->dir, file,
			flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return error_errno(errno, "cannot open %s/%s", store->path, file);
	struct stat st;
	bool ours = !fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_nlink == 1 &&
		    (st.st_uid == geteuid() || st.st_uid == store->reader);
	if ((flags & O_ACCMODE) != O_RDONLY && !ours) {
		close(fd);
		return error_new(ERROR_DENIED, "%s/%s is not what was written there", store->path, file);
	}
	*ret = fd;
	return NULL;
}
