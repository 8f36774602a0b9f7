/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "live/tracer.h"

// Only what hangs is ever cut off by it.
#define PATIENCE INT64_C(60000000000)

static void take(int signo)
{
	(void)signo;
}

static pid_t sleeper(void)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	signal(SIGTERM, take);
	for (;;)
		pause();
}

static enum event_kind next(struct tracer *tracer, struct event *event)
{
	assert_null(tracer_next(tracer, monotonic_now() + PATIENCE, event));
	return event->kind;
}

static void test_exit_is_seen_though_sigkill_comes_while_another_stop_is_looked_at(void **state)
{
	struct tracer tracer;
	struct traced *traced;
	struct event event;
	sigset_t none;
	siginfo_t now = {};

	(void)state;
	sigemptyset(&none);
	assert_null(tracer_init(&tracer, &none, false));
	pid_t pid = sleeper();
	struct error *err = tracer_seize(&tracer, pid, &traced);
	if (err) {
		// No right to attach here.
		error_free(err);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		tracer_deinit(&tracer);
		skip();
	}
	kill(pid, SIGTERM);
	assert_int_equal(next(&tracer, &event), EVENT_SIGNAL);
	assert_int_equal(event.signo, SIGTERM);
	kill(pid, SIGKILL);
	while (now.si_status >> 8 != PTRACE_EVENT_EXIT)
		assert_int_equal(waitid(P_PID, (id_t)pid, &now, WSTOPPED | WNOWAIT | __WALL), 0);
	tracer_resume(event.tracee);
	assert_int_equal(next(&tracer, &event), EVENT_EXITING);
	assert_int_equal(event.status, SIGKILL);
	tracer_resume(event.tracee);
	assert_int_equal(next(&tracer, &event), EVENT_ENDED);
	assert_int_equal(event.status, SIGKILL);
	tracer_deinit(&tracer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_exit_is_seen_though_sigkill_comes_while_another_stop_is_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
