/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Signals that are passed on to a child: real ones, which only get as far as being pending here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "live/relay.h"
#include "live/tracer.h"

#define NOBODY 0x3ffffff /* more than any pid */

static const struct process child = { .pid = 1 };

static siginfo_t sent(int signo, int code, pid_t pid)
{
	siginfo_t si = { .si_signo = signo, .si_code = code };

	si.si_pid = pid;
	si.si_value.sival_int = 42;
	return si;
}

// Passes on until nothing is left to wait for: a moment, as a group's members need.
static void pass_all(struct relay *relay)
{
	for (int64_t next; (next = relay_pass(relay)) != INT64_MAX;) {
		int64_t wait = next - monotonic_now();

		if (wait > 0)
			nanosleep(&(struct timespec){ .tv_nsec = wait }, NULL);
	}
}

// The signal that this process, which plays the child, has been sent; 0: none.
static int arrived(int signo, siginfo_t *si)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signo);
	int got = sigtimedwait(&set, si, &(struct timespec){});
	return got < 0 ? 0 : got;
}

static int block(void **state)
{
	sigset_t set;

	(void)state;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGCONT);
	return sigprocmask(SIG_BLOCK, &set, NULL);
}

static void a_signal_is_passed_on_after_a_moment(void **state)
{
	_cleanup_(relay_deinit) struct relay relay;
	siginfo_t si = sent(SIGTERM, SI_USER, NOBODY);

	(void)state;
	relay_init(&relay, getpid());
	assert_null(relay_origin(&relay, SIGTERM));
	relay_take(&relay, &child, &si);
	assert_true(relay_pass(&relay) > monotonic_now() - INT64_C(1000000000));
	assert_null(relay_origin(&relay, SIGUSR1));
	pass_all(&relay);
	assert_int_equal(arrived(SIGTERM, &si), SIGTERM);
	assert_int_equal(si.si_pid, getpid());
	const struct sender *origin = relay_origin(&relay, SIGTERM);
	assert_non_null(origin);
	assert_int_equal(origin->process.pid, NOBODY);
	assert_true(origin->forwarded);
	assert_int_equal(relay_pass(&relay), INT64_MAX);
	assert_int_equal(arrived(SIGTERM, &si), 0);
}

static void its_value_goes_with_it(void **state)
{
	_cleanup_(relay_deinit) struct relay relay;
	siginfo_t si = sent(SIGUSR1, SI_QUEUE, NOBODY);

	(void)state;
	relay_init(&relay, getpid());
	relay_take(&relay, &child, &si);
	pass_all(&relay);
	assert_int_equal(arrived(SIGUSR1, &si), SIGUSR1);
	assert_int_equal(si.si_code, SI_QUEUE);
	assert_int_equal(si.si_value.sival_int, 42);
}

// To the whole group, that is: the child is seen to get the same before it is passed on, or was already.
static void what_the_child_had_itself_is_not_passed_on(void **state)
{
	bool before = *(bool *)*state;
	_cleanup_(relay_deinit) struct relay relay;
	siginfo_t si = sent(SIGTERM, SI_USER, NOBODY);

	relay_init(&relay, getpid());
	if (before)
		relay_saw(&relay, SIGTERM, NOBODY);
	relay_take(&relay, &child, &si);
	if (!before)
		relay_saw(&relay, SIGTERM, NOBODY);
	pass_all(&relay);
	assert_int_equal(arrived(SIGTERM, &si), 0);
	assert_null(relay_origin(&relay, SIGTERM));
}

static void another_sender_or_signal_of_the_child_s_is_no_reason_to_drop(void **state)
{
	_cleanup_(relay_deinit) struct relay relay;
	siginfo_t si = sent(SIGTERM, SI_USER, NOBODY);

	(void)state;
	relay_init(&relay, getpid());
	relay_take(&relay, &child, &si);
	relay_saw(&relay, SIGTERM, NOBODY - 1);
	relay_saw(&relay, SIGUSR1, NOBODY);
	relay_saw(&relay, SIGTERM, getpid());
	pass_all(&relay);
	assert_int_equal(arrived(SIGTERM, &si), SIGTERM);
}

static void the_terminal_s_signals_are_the_child_s_already(void **state)
{
	_cleanup_(relay_deinit) struct relay relay;
	siginfo_t si = sent(SIGINT, SI_KERNEL, 0);

	(void)state;
	relay_init(&relay, getpid());
	relay_take(&relay, &child, &si);
	assert_int_equal(relay_pass(&relay), INT64_MAX);
}

static void a_running_child_is_not_continued(void **state)
{
	_cleanup_(relay_deinit) struct relay relay;
	siginfo_t si = sent(SIGCONT, SI_USER, NOBODY);

	(void)state;
	relay_init(&relay, getpid());
	relay_take(&relay, &child, &si);
	pass_all(&relay);
	assert_int_equal(arrived(SIGCONT, &si), 0);
}

static void of_more_than_it_holds_the_newest_are_passed_on(void **state)
{
	_cleanup_(relay_deinit) struct relay relay;
	siginfo_t si = sent(SIGTERM, SI_USER, NOBODY);

	(void)state;
	relay_init(&relay, getpid());
	relay_take(&relay, &child, &si);
	si = sent(SIGUSR1, SI_USER, NOBODY);
	for (int i = 0; i < RELAY_MAX; i++)
		relay_take(&relay, &child, &si);
	pass_all(&relay);
	assert_int_equal(arrived(SIGUSR1, &si), SIGUSR1);
	assert_int_equal(arrived(SIGTERM, &si), 0);
}

int main(void)
{
	static bool before = true, after = false;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_signal_is_passed_on_after_a_moment),
		cmocka_unit_test(its_value_goes_with_it),
		{ "what the child gets itself is not passed on",
		  what_the_child_had_itself_is_not_passed_on, NULL, NULL, &after },
		{ "what the child had itself is not passed on",
		  what_the_child_had_itself_is_not_passed_on, NULL, NULL, &before },
		cmocka_unit_test(another_sender_or_signal_of_the_child_s_is_no_reason_to_drop),
		cmocka_unit_test(the_terminal_s_signals_are_the_child_s_already),
		cmocka_unit_test(a_running_child_is_not_continued),
		cmocka_unit_test(of_more_than_it_holds_the_newest_are_passed_on),
	};

	return cmocka_run_group_tests_name("relay", tests, block, NULL);
}
