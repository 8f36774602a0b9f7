/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "sandbox.h"

#define INPUT 1000

static struct error *call(sandbox_work *work, void *arg, int seconds, struct buf *ret, bool *stopped)
{
	*ret = (struct buf){};
	return sandbox_call(work, arg, INPUT, seconds, ret, stopped);
}

static struct error *say_hello(void *arg, struct buf *ret)
{
	buf_printf(ret, "hello %s", (const char *)arg);
	return NULL;
}

static struct error *refuse(void *arg, struct buf *ret)
{
	(void)arg;
	buf_addstr(ret, "half an answer");
	return error_new(ERROR_INPUT, "at 0x12: no such thing");
}

static void answers_and_errors_come_through(void **state)
{
	struct buf out;
	bool stopped;
	char *name = (char *)"world";

	(void)state;
	assert_null(call(say_hello, name, 60, &out, &stopped));
	assert_false(stopped);
	assert_int_equal(out.len, 11);
	assert_memory_equal(out.data, "hello world", 11);
	buf_deinit(&out);
	struct error *err = call(refuse, NULL, 60, &out, &stopped);
	assert_non_null(err);
	assert_false(stopped);
	assert_int_equal(err->kind, ERROR_INPUT);
	assert_string_equal(err->text, "at 0x12: no such thing");
	assert_int_equal(out.len, 0);
	error_free(err);
}

static struct error *say_much(void *arg, struct buf *ret)
{
	(void)arg;
	buf_zero(ret, 10 << 20);
	return NULL;
}

static void a_long_answer_comes_whole(void **state)
{
	struct buf out;
	bool stopped;

	(void)state;
	assert_null(call(say_much, NULL, 60, &out, &stopped));
	assert_int_equal(out.len, 10 << 20);
	buf_deinit(&out);
}

// What is said of each attempt: "name: " and the errno, 0 for one that came to something.
static void tell(struct buf *ret, const char *name, long result)
{
	buf_printf(ret, "%s: %d\n", name, result < 0 ? errno : 0);
}

static struct error *break_out(void *arg, struct buf *ret)
{
	const char *file = arg;
	char *const argv[] = { (char *)"true", NULL };

	tell(ret, "read", open("/proc/self/maps", O_RDONLY));
	tell(ret, "write", open(file, O_WRONLY));
	tell(ret, "create", open("/tmp/pcatch-must-not-be", O_RDONLY | O_CREAT, 0600));
	tell(ret, "temporary", open("/tmp", O_TMPFILE | O_RDWR, 0600));
	tell(ret, "truncate", truncate(file, 0));
	tell(ret, "unlink", unlink(file));
	tell(ret, "rename", rename(file, "/tmp/pcatch-must-not-be"));
	tell(ret, "socket", socket(AF_INET, SOCK_STREAM, 0));
	tell(ret, "unix", socket(AF_UNIX, SOCK_STREAM, 0));
	tell(ret, "kill", kill(getppid(), 0));
	tell(ret, "trace", ptrace(PTRACE_SEIZE, getppid(), 0, 0));
	tell(ret, "fork", fork());
	tell(ret, "exec", execv("/bin/true", argv));
	tell(ret, "stdout", write(STDOUT_FILENO, "", 0));
	return NULL;
}

static void nothing_but_reading_is_allowed(void **state)
{
	static const char *const refused[] = { "write",	 "create", "temporary", "truncate", "unlink",
					       "rename", "socket", "unix",	"kill",	    "trace",
					       "fork",	 "exec",   "stdout" };
	char file[] = "/tmp/pcatch-sandbox-XXXXXX";
	struct buf out;
	bool stopped;
	int fd = mkstemp(file);

	(void)state;
	assert_true(fd >= 0);
	struct error *err = call(break_out, file, 60, &out, &stopped);
	unlink(file);
	close(fd);
	assert_null(err);
	buf_zero(&out, 1);
	assert_non_null(strstr((char *)out.data, "read: 0\n"));
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
		char line[64];

		snprintf(line, sizeof(line), "%s: %d\n", refused[i], EPERM);
		if (!strstr((char *)out.data, line))
			fail_msg("%s was not refused:\n%s", refused[i], (char *)out.data);
	}
	buf_deinit(&out);
	assert_int_equal(access("/tmp/pcatch-must-not-be", F_OK), -1);
}

static struct error *crash(void *arg, struct buf *ret)
{
	(void)arg, (void)ret;
	// Nothing that a sanitizer would turn into an exit.
	signal(SIGILL, SIG_DFL);
	__builtin_trap();
}

static struct error *vanish(void *arg, struct buf *ret)
{
	(void)arg, (void)ret;
	_exit(0);
}

static struct error *spin(void *arg, struct buf *ret)
{
	(void)ret;
	for (volatile int *forever = arg; !*forever;)
		;
	return NULL;
}

static struct error *sleep_on(void *arg, struct buf *ret)
{
	(void)arg, (void)ret;
	// No system call to sleep by: read what never comes.
	char byte;
	int fds[2] = { *(int *)arg, -1 };
	while (read(fds[0], &byte, 1) != 0)
		;
	return NULL;
}

static void who_dies_or_dawdles_is_said_to_have(void **state)
{
	static int zero;
	struct buf out;
	bool stopped;
	int silent[2];

	(void)state;
	assert_int_equal(pipe(silent), 0);
	const struct {
		sandbox_work *work;
		void *arg;
		int seconds;
		const char *words;
	} cases[] = {
		{ crash, NULL, 60, "SIGILL" },
		{ vanish, NULL, 60, "no whole answer" },
		{ spin, &zero, 1, "" }, // by its own limit of CPU time or by ours
		{ sleep_on, silent, 1, "more than 1 s" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct error *err = call(cases[i].work, cases[i].arg, cases[i].seconds, &out, &stopped);

		assert_non_null(err);
		assert_true(stopped);
		if (!strstr(err->text, cases[i].words))
			fail_msg("%s has no %s", err->text, cases[i].words);
		error_free(err);
		buf_deinit(&out);
	}
	// Nobody is left.
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	close(silent[0]);
	close(silent[1]);
}

static struct error *take_memory(void *arg, struct buf *ret)
{
	(void)arg;
	for (size_t i = 0; i < 64; i++) {
		void *p = malloc(SANDBOX_MEMORY / 16);

		if (!p) {
			buf_printf(ret, "%zu", i);
			return NULL;
		}
		memset(p, 1, 4096);
		// A compiler may leave out what nobody looks at.
		__asm__ volatile("" : : "r"(p) : "memory");
	}
	return error_new(ERROR_INPUT, "there was no end to it");
}

static void memory_has_an_end(void **state)
{
	struct buf out;
	bool stopped;

	(void)state;
#if defined(__SANITIZE_ADDRESS__)
	print_message("the limit of memory is not set under the address sanitizer\n");
	skip();
#endif
	assert_null(call(take_memory, NULL, 60, &out, &stopped));
	assert_true(out.len > 0);
	buf_deinit(&out);
}

static struct error *fetch_things(void *arg, struct buf *ret)
{
	static const char longer[200];

	// The signal would end us.
	signal(SIGXFSZ, SIG_IGN);
	tell(ret, "socket", socket(AF_INET, SOCK_STREAM, 0));
	int fd = open(arg, O_WRONLY);
	tell(ret, "write", write(fd, longer, 100));
	tell(ret, "write on", write(fd, longer, 1));
	return NULL;
}

static void what_fetches_has_the_network_and_files_up_to_a_size(void **state)
{
	char file[] = "/tmp/pcatch-sandbox-XXXXXX";
	struct buf out = {};
	bool stopped;
	int fd = mkstemp(file);
	char wanted[128];

	(void)state;
	assert_true(fd >= 0);
	struct error *err = sandbox_fetch(fetch_things, file, 100, 60, &out, &stopped);
	unlink(file);
	close(fd);
	assert_null(err);
	buf_zero(&out, 1);
	snprintf(wanted, sizeof(wanted), "socket: 0\nwrite: 0\nwrite on: %d\n", EFBIG);
	if (strncmp((char *)out.data, wanted, strlen(wanted)) != 0)
		fail_msg("%s", (char *)out.data);
	buf_deinit(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_and_errors_come_through),
		cmocka_unit_test(a_long_answer_comes_whole),
		cmocka_unit_test(nothing_but_reading_is_allowed),
		cmocka_unit_test(who_dies_or_dawdles_is_said_to_have),
		cmocka_unit_test(memory_has_an_end),
		cmocka_unit_test(what_fetches_has_the_network_and_files_up_to_a_size),
	};

	return cmocka_run_group_tests_name("sandbox", tests, NULL, NULL);
}
