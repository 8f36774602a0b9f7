/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"

#if defined(__has_feature)
#define HAS_FEATURE(x) __has_feature(x)
#else
#define HAS_FEATURE(x) 0
#endif

// The sanitizer's shadow is terabytes of address space.
#if defined(__SANITIZE_ADDRESS__) || HAS_FEATURE(address_sanitizer)
#define HAS_SHADOW true
#else
#define HAS_SHADOW false
#endif

#define PIECE 65536

// What analysis asks of the kernel; anything else is EPERM.
static const int allowed[] = {
	SCMP_SYS(access),	   SCMP_SYS(arch_prctl),     SCMP_SYS(brk),
	SCMP_SYS(clock_getres),	   SCMP_SYS(clock_gettime),  SCMP_SYS(close),
	SCMP_SYS(dup),		   SCMP_SYS(exit),	     SCMP_SYS(exit_group),
	SCMP_SYS(faccessat),	   SCMP_SYS(faccessat2),     SCMP_SYS(fadvise64),
	SCMP_SYS(fcntl),	   SCMP_SYS(fstat),	     SCMP_SYS(fstatfs),
	SCMP_SYS(futex),	   SCMP_SYS(getcwd),	     SCMP_SYS(getdents64),
	SCMP_SYS(getegid),	   SCMP_SYS(geteuid),	     SCMP_SYS(getgid),
	SCMP_SYS(getpid),	   SCMP_SYS(getrandom),	     SCMP_SYS(getrusage),
	SCMP_SYS(gettid),	   SCMP_SYS(gettimeofday),   SCMP_SYS(getuid),
	SCMP_SYS(lseek),	   SCMP_SYS(lstat),	     SCMP_SYS(madvise),
	SCMP_SYS(mincore),	   SCMP_SYS(mmap),	     SCMP_SYS(mprotect),	     SCMP_SYS(mremap),
	SCMP_SYS(munmap),	   SCMP_SYS(newfstatat),     SCMP_SYS(pread64),
	SCMP_SYS(prlimit64),	   SCMP_SYS(read),	     SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),	   SCMP_SYS(readv),	     SCMP_SYS(restart_syscall),
	SCMP_SYS(rt_sigaction),	   SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sched_getaffinity), SCMP_SYS(sched_yield),  SCMP_SYS(sigaltstack),
	SCMP_SYS(stat),		   SCMP_SYS(statfs),	     SCMP_SYS(statx),
	SCMP_SYS(sysinfo),	   SCMP_SYS(uname),
};

// Opening for anything but reading would need one of these.
#define WRITES (O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND | (O_TMPFILE & ~O_DIRECTORY))

static bool confine_calls(int answer)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	bool ok = filter;

	for (size_t i = 0; ok && i < ARRAY_SIZE(allowed); i++) {
		int failed = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);

		// A call that this architecture has not.
		ok = !failed || failed == -EDOM || failed == -EACCES;
	}
	ok = ok && !seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(write), 1,
				     SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)answer, 0));
	ok = ok && !seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, WRITES, O_RDONLY));
	// Architectures that came late have openat() alone.
	if (ok)
		seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(open), 1,
				 SCMP_A1(SCMP_CMP_MASKED_EQ, WRITES, O_RDONLY));
	ok = ok && !seccomp_load(filter);
	seccomp_release(filter);
	return ok;
}

// All of them go, but for reading the binaries and debug files of other users where we may.
static void drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {};
	uint32_t keep = 1u << CAP_DAC_READ_SEARCH;

	if (syscall(SYS_capget, &header, data))
		return;
	struct __user_cap_data_struct left[2] = { { .effective = data[0].permitted & keep,
						    .permitted = data[0].permitted & keep } };
	syscall(SYS_capset, &header, left);
}

static void set_limit(int resource, rlim_t value)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit))
		return;
	if (limit.rlim_max > value)
		limit.rlim_max = value;
	if (limit.rlim_cur > limit.rlim_max)
		limit.rlim_cur = limit.rlim_max;
	setrlimit(resource, &limit);
}

// What is done in a child, and within which bounds.
struct job {
	sandbox_work *work;
	void *arg;
	uint64_t memory, file_size;
	int seconds;
	bool fetches;
};

static void confine(const struct job *job, int answer)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	set_limit(RLIMIT_CORE, 0);
	set_limit(RLIMIT_FSIZE, job->file_size);
	set_limit(RLIMIT_CPU, (rlim_t)job->seconds);
	if (!HAS_SHADOW)
		set_limit(RLIMIT_DATA, job->memory);
	drop_capabilities();
	// Name services and TLS are libraries of the machine's own choice: no list would hold
	// everywhere.
	if (!job->fetches)
		confine_calls(answer);
}

static bool write_all(int fd, const void *data, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = write(fd, (const char *)data + done, len - done);

		if (n < 0 && errno != EINTR)
			return false;
		done += n < 0 ? 0 : (size_t)n;
	}
	return true;
}

// What the child answers: this, and LEN bytes of answer or of error text.
struct verdict_of_work {
	uint64_t len;
	int32_t failed, kind, errnum;
};

static void child(const struct job *job, int answer)
{
	_cleanup_(buf_deinit) struct buf out = {};
	sigset_t none;

	for (int signo = 1; signo < NSIG; signo++)
		signal(signo, SIG_DFL);
	// Whoever reads has gone: there is an error for that.
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	confine(job, answer);
	struct error *err = job->work(job->arg, &out);
	if (!err)
		err = buf_error(&out);
	struct verdict_of_work head = { .len = err ? strlen(err->text) : out.len };
	if (err) {
		head.failed = 1;
		head.kind = err->kind;
		head.errnum = err->errnum;
	}
	bool told = write_all(answer, &head, sizeof(head)) &&
		    write_all(answer, err ? (const void *)err->text : out.data, head.len);
	_exit(told ? EXIT_SUCCESS : EXIT_FAILURE);
}

static int64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

// Everything the child says until it closes the pipe; false when DEADLINE came first or it says too much.
static bool listen_to(int fd, int64_t deadline, struct buf *ret)
{
	_cleanup_(freep) uint8_t *piece = malloc(PIECE);

	while (piece && ret->len <= SANDBOX_ANSWER) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int64_t left = deadline - now();

		if (left <= 0)
			return false;
		if (poll(&p, 1, (int)left) <= 0)
			continue;
		ssize_t n = read(fd, piece, PIECE);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == 0 && !ret->failed;
		buf_add(ret, piece, (size_t)n);
		if (ret->failed)
			return false;
	}
	return false;
}

static struct error *how_it_went(int status)
{
	if (WIFSIGNALED(status))
		return error_new(ERROR_UNSUPPORTED, "it died of SIG%s", sigabbrev_np(WTERMSIG(status)));
	return error_new(ERROR_UNSUPPORTED, "it ended with status %d and no whole answer",
			 WEXITSTATUS(status));
}

// The answer in ALL, whose head may say anything.
static struct error *take_answer(struct buf *all, int status, struct buf *ret, bool *stopped_ret)
{
	struct verdict_of_work head;

	if (all->len < sizeof(head) || !WIFEXITED(status) || WEXITSTATUS(status)) {
		*stopped_ret = true;
		return how_it_went(status);
	}
	memcpy(&head, all->data, sizeof(head));
	if (head.len != all->len - sizeof(head)) {
		*stopped_ret = true;
		return how_it_went(status);
	}
	const char *data = (const char *)all->data + sizeof(head);
	if (!head.failed) {
		buf_add(ret, data, (size_t)head.len);
		return buf_error(ret);
	}
	if (head.kind == ERROR_NOMEM)
		return error_nomem();
	struct error *err = error_new(head.kind >= 0 && head.kind <= ERROR_UNSUPPORTED
					      ? (enum error_kind)head.kind
					      : ERROR_UNSUPPORTED,
				      "%.*s", (int)(head.len < 4096 ? head.len : 4096), data);
	// The one for want of memory is nobody's to write to.
	if (err->kind != ERROR_NOMEM)
		err->errnum = head.errnum;
	return err;
}

static struct error *call(const struct job *job, struct buf *ret, bool *stopped_ret)
{
	_cleanup_(buf_deinit) struct buf all = {};
	int pipe_fds[2], status = 0;

	*stopped_ret = false;
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return error_errno(errno, "cannot make a pipe");
	pid_t pid = fork();
	if (pid == 0) {
		close(pipe_fds[0]);
		child(job, pipe_fds[1]);
	}
	int errnum = errno;
	close(pipe_fds[1]);
	if (pid < 0) {
		close(pipe_fds[0]);
		return error_errno(errnum, "cannot start the %s",
				   job->fetches ? "fetching" : "analysis");
	}
	bool whole = listen_to(pipe_fds[0], now() + (int64_t)job->seconds * 1000, &all);
	close(pipe_fds[0]);
	if (!whole)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!whole) {
		*stopped_ret = true;
		return error_new(ERROR_UNSUPPORTED, "it took more than %d s or %d MiB of answer",
				 job->seconds, (int)(SANDBOX_ANSWER >> 20));
	}
	return take_answer(&all, status, ret, stopped_ret);
}

struct error *sandbox_call(sandbox_work *work, void *arg, uint64_t input, int seconds,
			   struct buf *ret, bool *stopped_ret)
{
	struct job job = { .work = work,
			   .arg = arg,
			   .memory = SANDBOX_MEMORY + 4 * input,
			   .seconds = seconds };

	return call(&job, ret, stopped_ret);
}

struct error *sandbox_fetch(sandbox_work *work, void *arg, uint64_t size, int seconds,
			    struct buf *ret, bool *stopped_ret)
{
	struct job job = { .work = work,
			   .arg = arg,
			   .memory = SANDBOX_MEMORY,
			   .file_size = size,
			   .seconds = seconds,
			   .fetches = true };

	return call(&job, ret, stopped_ret);
}
