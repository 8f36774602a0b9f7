/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "analyse/analyse.h"
#include "cleanup.h"

#define SECOND INT64_C(1000000000)
#define NOW    (INT64_C(1764144219) * SECOND) /* 2025-11-26 08:03:39 UTC */
#define HOUR   (3600 * SECOND)

#define OOM                                                                                        \
	"Memory cgroup out of memory: Killed process 4242 (python3) total-vm:81920kB, "            \
	"anon-rss:61440kB, file-rss:1024kB, shmem-rss:0kB"
#define SEGFAULT "python3[4242]: segfault at 10 ip 7f00 sp 7ffc error 4 in libfoo.so[7f00+1000]"

/* An autopsy of process 4242, whose pidfile was written an hour ago. */
struct scene {
	struct snapshot snapshot;
	struct findings findings;
};

static void scene_init(struct scene *s)
{
	*s = (struct scene){};
	snapshot_init(&s->snapshot);
	s->snapshot.process.pid = 4242;
	s->snapshot.death.kind = DEATH_UNKNOWN;
	s->snapshot.time.death = NOW;
	s->snapshot.autopsy.made = true;
	s->snapshot.autopsy.at = NOW;
	s->snapshot.autopsy.pidfile_written = NOW - HOUR;
}

static void scene_deinit(struct scene *s)
{
	findings_deinit(&s->findings);
	snapshot_deinit(&s->snapshot);
}

static void told(struct scene *s, enum testimony_source source, int64_t at, const char *text, int signo,
		 int exit_code)
{
	struct testimony *t = LIST_ADD(&s->snapshot.arena, &s->snapshot.autopsy.told);

	assert_non_null(t);
	*t = (struct testimony){ .source = source,
				 .where = (char *)"/dev/kmsg",
				 .at = at,
				 .text = (char *)text,
				 .signo = signo,
				 .exit_code = exit_code };
}

static void judge(struct scene *s, enum cause cause, enum confidence confidence)
{
	assert_null(analyse(&s->snapshot, &s->findings));
	if (s->findings.verdict.cause != cause || s->findings.verdict.confidence != confidence)
		fail_msg("%s, %s: %s", cause_name(s->findings.verdict.cause),
			 confidence_name(s->findings.verdict.confidence), s->findings.verdict.summary);
}

static void test_kernel_s_word_about_this_pid_is_certain(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s);
	told(&s, TOLD_BY_KERNEL, NOW - 60 * SECOND, OOM, 0, -1);
	judge(&s, CAUSE_OUT_OF_MEMORY, CERTAIN);
	assert_int_equal(s.findings.aftermath.gone, NOW - 60 * SECOND);
	assert_non_null(strstr(s.findings.verdict.summary, "60.0 MiB"));
	scene_deinit(&s);
	scene_init(&s);
	told(&s, TOLD_BY_KERNEL, NOW - 60 * SECOND, SEGFAULT, 0, -1);
	judge(&s, CAUSE_NATIVE_CRASH, CERTAIN);
	assert_non_null(strstr(s.findings.verdict.summary, "libfoo.so"));
	scene_deinit(&s);
	// The same line in a syslog daemon's file has its time in its text.
	scene_init(&s);
	told(&s, TOLD_BY_KERNEL, 0, "2025-11-26T08:00:00Z host kernel: [ 77.1] " SEGFAULT, 0, -1);
	judge(&s, CAUSE_NATIVE_CRASH, CERTAIN);
	scene_deinit(&s);
}

static void test_lines_about_an_older_owner_of_the_pid_are_not_ours(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s);
	told(&s, TOLD_BY_KERNEL, NOW - 2 * HOUR, OOM, 0, -1);
	told(&s, TOLD_BY_KERNEL, NOW - 2 * HOUR, SEGFAULT, 0, -1);
	judge(&s, CAUSE_VANISHED, CONFIDENCE_UNKNOWN);
	scene_deinit(&s);
	scene_init(&s);
	s.snapshot.autopsy.since = NOW - 30 * SECOND;
	told(&s, TOLD_BY_KERNEL, NOW - 60 * SECOND, OOM, 0, -1);
	judge(&s, CAUSE_VANISHED, CONFIDENCE_UNKNOWN);
	scene_deinit(&s);
}

static void test_without_a_time_that_it_lived_at_nothing_is_certain(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s);
	s.snapshot.autopsy.pidfile_written = 0;
	told(&s, TOLD_BY_KERNEL, NOW - 60 * SECOND, OOM, 0, -1);
	judge(&s, CAUSE_OUT_OF_MEMORY, LIKELY);
	scene_deinit(&s);
	scene_init(&s);
	s.snapshot.host.in_container = true;
	told(&s, TOLD_BY_KERNEL, NOW - 60 * SECOND, SEGFAULT, 0, -1);
	judge(&s, CAUSE_NATIVE_CRASH, POSSIBLE);
	scene_deinit(&s);
	scene_init(&s);
	s.snapshot.host.in_container = true;
	s.snapshot.process.comm = (char *)"java";
	told(&s, TOLD_BY_KERNEL, NOW - 60 * SECOND, SEGFAULT, 0, -1);
	judge(&s, CAUSE_VANISHED, CONFIDENCE_UNKNOWN);
	scene_deinit(&s);
}

static void test_what_systemd_and_coredump_were_told_is_certain(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s);
	told(&s, TOLD_BY_SYSTEMD, NOW - 60 * SECOND,
	     "web.service: Main process exited, code=killed, status=9/KILL", SIGKILL, -1);
	judge(&s, CAUSE_KILLED_BY_UNKNOWN, CERTAIN);
	scene_deinit(&s);
	scene_init(&s);
	told(&s, TOLD_BY_COREDUMP, NOW - 60 * SECOND, "Process 4242 (python3) dumped core.", SIGABRT, -1);
	judge(&s, CAUSE_ABORT, CERTAIN);
	scene_deinit(&s);
	scene_init(&s);
	told(&s, TOLD_BY_SYSTEMD, NOW - 60 * SECOND, "web.service: Main process exited", 0, 3);
	judge(&s, CAUSE_EXIT_CODE, CERTAIN);
	scene_deinit(&s);
}

#define KILLED	 "web.service: Main process exited, code=killed, status=9/KILL"
#define OF_UNIT	 "web.service: A process of this unit has been killed by the OOM killer."
#define TIME_OUT "web.service: State 'stop-sigterm' timed out. Killing."
#define KILLING	 "web.service: Killing process 4242 (python3) with signal SIGKILL."

static void test_what_systemd_says_of_the_unit_is_not_yet_said_of_the_process(void **state)
{
	struct scene s;

	(void)state;
	// Which process of the unit it was it cannot say: one that was killed at that time, maybe.
	scene_init(&s);
	told(&s, TOLD_BY_SYSTEMD, NOW - 60 * SECOND, OF_UNIT, 0, -1);
	judge(&s, CAUSE_OUT_OF_MEMORY, POSSIBLE);
	scene_deinit(&s);
	scene_init(&s);
	told(&s, TOLD_BY_SYSTEMD, NOW - 60 * SECOND, OF_UNIT, 0, -1);
	told(&s, TOLD_BY_SYSTEMD, NOW - 60 * SECOND, KILLED, SIGKILL, -1);
	judge(&s, CAUSE_OUT_OF_MEMORY, LIKELY);
	scene_deinit(&s);
	// One of its workers, ten minutes earlier, is another matter.
	scene_init(&s);
	told(&s, TOLD_BY_SYSTEMD, NOW - 660 * SECOND, OF_UNIT, 0, -1);
	told(&s, TOLD_BY_SYSTEMD, NOW - 60 * SECOND, KILLED, SIGKILL, -1);
	judge(&s, CAUSE_KILLED_BY_UNKNOWN, CERTAIN);
	scene_deinit(&s);
	// Without a pidfile nothing says that it was the main process.
	scene_init(&s);
	s.snapshot.autopsy.pidfile_written = 0;
	told(&s, TOLD_BY_SYSTEMD, NOW - 60 * SECOND, KILLED, SIGKILL, -1);
	judge(&s, CAUSE_KILLED_BY_UNKNOWN, LIKELY);
	scene_deinit(&s);
}

static void test_kill_that_systemd_owns_up_to(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s);
	told(&s, TOLD_BY_SYSTEMD, NOW - 150 * SECOND, "Stopping web.service - Web...", 0, -1);
	told(&s, TOLD_BY_SYSTEMD, NOW - 60 * SECOND, TIME_OUT, 0, -1);
	told(&s, TOLD_BY_SYSTEMD, NOW - 60 * SECOND, KILLING, 0, -1);
	told(&s, TOLD_BY_SYSTEMD, NOW - 60 * SECOND, KILLED, SIGKILL, -1);
	judge(&s, CAUSE_KILLED_BY_SUPERVISOR, CERTAIN);
	assert_non_null(strstr(s.findings.verdict.summary, "had not stopped in the time"));
	scene_deinit(&s);
	// Of another process of the unit that is no word, but the time that was over is.
	scene_init(&s);
	told(&s, TOLD_BY_SYSTEMD, NOW - 60 * SECOND, TIME_OUT, 0, -1);
	told(&s, TOLD_BY_SYSTEMD, NOW - 60 * SECOND,
	     "web.service: Killing process 4243 (python3) with signal SIGKILL.", 0, -1);
	told(&s, TOLD_BY_SYSTEMD, NOW - 60 * SECOND, KILLED, SIGKILL, -1);
	judge(&s, CAUSE_KILLED_BY_SUPERVISOR, LIKELY);
	scene_deinit(&s);
	// A time that was over before this process began.
	scene_init(&s);
	told(&s, TOLD_BY_SYSTEMD, NOW - 2 * HOUR, TIME_OUT, 0, -1);
	told(&s, TOLD_BY_SYSTEMD, NOW - 2 * HOUR, KILLING, 0, -1);
	told(&s, TOLD_BY_SYSTEMD, NOW - 60 * SECOND, KILLED, SIGKILL, -1);
	judge(&s, CAUSE_KILLED_BY_UNKNOWN, CERTAIN);
	scene_deinit(&s);
	// The watchdog's SIGABRT is systemd's, also where a core was made of it.
	scene_init(&s);
	told(&s, TOLD_BY_SYSTEMD, NOW - 60 * SECOND, "web.service: Watchdog timeout (limit 30s)!", 0,
	     -1);
	told(&s, TOLD_BY_SYSTEMD, NOW - 60 * SECOND,
	     "web.service: Killing process 4242 (python3) with signal SIGABRT.", 0, -1);
	told(&s, TOLD_BY_COREDUMP, NOW - 60 * SECOND, "Process 4242 (python3) of user 0 dumped "
						      "core.",
	     SIGABRT, -1);
	judge(&s, CAUSE_KILLED_BY_SUPERVISOR, CERTAIN);
	assert_non_null(strstr(s.findings.verdict.summary, "watchdog"));
	scene_deinit(&s);
	// systemctl kill is somebody's wish.
	scene_init(&s);
	told(&s, TOLD_BY_SYSTEMD, NOW - 60 * SECOND,
	     "web.service: Sent signal SIGKILL to main process 4242 (python3) on client request.", 0,
	     -1);
	told(&s, TOLD_BY_SYSTEMD, NOW - 60 * SECOND, KILLED, SIGKILL, -1);
	judge(&s, CAUSE_KILLED_BY_SUPERVISOR, CERTAIN);
	assert_non_null(strstr(s.findings.verdict.summary, "systemctl kill"));
	scene_deinit(&s);
	// A SIGTERM that was sent and another end that was seen are two things.
	scene_init(&s);
	told(&s, TOLD_BY_SYSTEMD, NOW - 60 * SECOND,
	     "web.service: Sent signal SIGTERM to main process 4242 (python3) on client request.", 0,
	     -1);
	told(&s, TOLD_BY_SYSTEMD, NOW - 30 * SECOND, "web.service: Main process exited", 0, 3);
	judge(&s, CAUSE_EXIT_CODE, CERTAIN);
	scene_deinit(&s);
	// systemd-oomd is no kernel.
	scene_init(&s);
	told(&s, TOLD_BY_SYSTEMD, NOW - 60 * SECOND,
	     "web.service: systemd-oomd killed 3 process(es) in this unit.", 0, -1);
	told(&s, TOLD_BY_SYSTEMD, NOW - 60 * SECOND, KILLED, SIGKILL, -1);
	judge(&s, CAUSE_KILLED_BY_SUPERVISOR, LIKELY);
	scene_deinit(&s);
	// Asked to stop, and no failure told.
	scene_init(&s);
	told(&s, TOLD_BY_SYSTEMD, NOW - 60 * SECOND, "Stopping web.service - Web...", 0, -1);
	judge(&s, CAUSE_GRACEFUL_SHUTDOWN, LIKELY);
	scene_deinit(&s);
}

static void test_who_has_the_pid_now(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s);
	s.snapshot.autopsy.holder.pid = 4242;
	s.snapshot.autopsy.holder_started = NOW - 2 * HOUR;
	judge(&s, CAUSE_ALIVE, CERTAIN);
	scene_deinit(&s);
	scene_init(&s);
	s.snapshot.autopsy.holder.pid = 4242;
	s.snapshot.autopsy.holder_started = NOW - HOUR / 2;
	told(&s, TOLD_BY_KERNEL, NOW - HOUR / 4, SEGFAULT, 0, -1);
	judge(&s, CAUSE_VANISHED, CONFIDENCE_UNKNOWN);
	assert_int_equal(s.findings.aftermath.fate, FATE_REUSED);
	scene_deinit(&s);
}

static void test_restart_is_the_machine_s_or_the_container_s(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s);
	s.snapshot.autopsy.boot = NOW - 60 * SECOND;
	s.snapshot.autopsy.halt = NOW - 90 * SECOND;
	judge(&s, CAUSE_VANISHED, LIKELY);
	assert_string_equal(s.findings.verdict.summary,
			    "The machine was restarted at 2025-11-26 08:02:39Z, and process 4242 "
			    "went with it or before: it had been shut down in order at 2025-11-26 "
			    "08:02:09Z.");
	assert_int_equal(s.findings.aftermath.gone, NOW - 90 * SECOND);
	scene_deinit(&s);
	scene_init(&s);
	s.snapshot.autopsy.boot = NOW - 60 * SECOND;
	s.snapshot.host.in_container = true;
	judge(&s, CAUSE_VANISHED, LIKELY);
	assert_non_null(strstr(s.findings.verdict.summary, "The container was restarted"));
	scene_deinit(&s);
	// It was seen after the boot: no restart is to blame.
	scene_init(&s);
	s.snapshot.autopsy.boot = NOW - 2 * HOUR;
	judge(&s, CAUSE_VANISHED, CONFIDENCE_UNKNOWN);
	scene_deinit(&s);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kernel_s_word_about_this_pid_is_certain),
		cmocka_unit_test(test_lines_about_an_older_owner_of_the_pid_are_not_ours),
		cmocka_unit_test(test_without_a_time_that_it_lived_at_nothing_is_certain),
		cmocka_unit_test(test_what_systemd_and_coredump_were_told_is_certain),
		cmocka_unit_test(test_what_systemd_says_of_the_unit_is_not_yet_said_of_the_process),
		cmocka_unit_test(test_kill_that_systemd_owns_up_to),
		cmocka_unit_test(test_who_has_the_pid_now),
		cmocka_unit_test(test_restart_is_the_machine_s_or_the_container_s),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
