/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "analyse/hints.h"
#include "analyse/logline.h"
#include "analyse/traceback.h"
#include "cleanup.h"

#define SECOND INT64_C(1000000000)
#define END    (INT64_C(1764144219) * SECOND) /* 2025-11-26 08:03:39 UTC */

/* Logs made in memory, and what is read from them. */
struct reading {
	struct snapshot snapshot;
	struct findings findings;
};

static void reading_init(struct reading *r, pid_t pid)
{
	memset(r, 0, sizeof(*r));
	r->findings.snapshot = &r->snapshot;
	r->snapshot.process.pid = pid;
	r->snapshot.time.death = END;
}

static void add_log(struct reading *r, const char *text)
{
	struct arena *arena = &r->findings.arena;
	struct log *log = LIST_ADD(arena, &r->snapshot.logs);

	assert_non_null(log);
	log->path = (char *)"/var/log/app.log";
	log->fd = 2;
	while (*text) {
		size_t n = strcspn(text, "\n");
		char **line = LIST_ADD(arena, &log->lines);

		assert_non_null(line);
		*line = arena_strndup(arena, text, n);
		assert_non_null(*line);
		text += n + (text[n] == '\n');
	}
}

static void read_text(struct reading *r, pid_t pid, const char *text)
{
	reading_init(r, pid);
	add_log(r, text);
	assert_null(hints_find(&r->findings));
}

static void reading_deinit(struct reading *r)
{
	arena_deinit(&r->findings.arena);
}

static void test_times_of_lines(void **state)
{
	static const struct {
		const char *line;
		int64_t at; /* seconds; 0: none */
		int64_t ms;
	} lines[] = {
		{ "2025-11-26 08:03:39,123 INFO x", 1764144219 - 3600, 123 },
		{ "[2025-11-26 08:03:39 +0000] [12] [INFO] x", 1764144219, 0 },
		{ "2025-11-26T08:03:39.5Z x", 1764144219, 500 },
		{ "2025-11-26T10:03:39+02:00 x", 1764144219, 0 },
		{ "INFO 2025-11-26 08:03:39,5 views 12 x", 1764144219 - 3600, 500 },
		{ "{\"level\": \"info\", \"timestamp\": \"2025-11-26T08:03:39Z\"}", 1764144219, 0 },
		{ "127.0.0.1 - - [26/Nov/2025:08:03:39 +0000] \"GET /\"", 1764144219, 0 },
		{ "Nov 26 08:03:39 host app[12]: x", 1764144219 - 3600, 0 },
		{ "Dec 31 08:03:39 host app[12]: x", 1735632219 - 3600, 0 },
		{ "1764144219.25 x", 1764144219, 250 },
		{ "09:03:39.5 x", 1764144219, 500 },
		{ "[09:03:39] x", 1764144219, 0 },
		{ "23:03:39 x", 1764144219 - 3600 - 9 * 3600, 0 },
		// What is behind the end is not of the line.
		{ "2025-11-26 08:03:39\0" "9", 1764144219 - 3600, 0 },
		{ "no time in here 12:00", 0, 0 },
		{ "2025-13-26 08:03:39 x", 0, 0 },
		{ "2025-11-26 25:03:39 x", 0, 0 },
		{ "version 1.2025-11-26 x", 0, 0 },
		{ "", 0, 0 },
		{ "Nov", 0, 0 },
		{ "2025-11-26 08:03", 0, 0 },
	};
	struct log_clock clock = { .latest = END, .utc_offset = 3600 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		int64_t at = logline_time(lines[i].line, &clock, NULL, NULL);
		int64_t wanted = lines[i].at * SECOND + lines[i].ms * 1000000;

		if (at != wanted)
			fail_msg("%s: %lld, not %lld", lines[i].line, (long long)at, (long long)wanted);
	}
}

static void test_pids_that_lines_are_marked_with(void **state)
{
	static const struct {
		const char *line;
		pid_t pid;
	} lines[] = {
		{ "[2025-11-26 08:03:39 +0000] [326382] [INFO] Listening", 326382 },
		{ "2025-11-26 08:03:39,123 [326382] INFO x", 326382 },
		{ "Nov 26 08:03:39 host gunicorn[12]: x", 12 },
		{ "INFO:     Started server process [4242]", 4242 },
		{ "INFO:     Finished server process [4242]", 4242 },
		{ "2025-11-26 08:03:39 pid=77 x", 77 },
		{ "{\"time\": \"x\", \"process\": 78, \"message\": \"y\"}", 78 },
		{ "Worker exiting (pid: 79)", 79 },
		{ "Worker (pid:80) was sent SIGKILL! Perhaps out of memory?", 80 },
		{ "[2025-11-26 08:03:39 +0000] [1] [ERROR] Worker (pid:80) was sent SIGKILL!", 1 },
		{ "2025-11-26 08:03:39,123 app.views INFO [81] x", 81 },
		{ "[4242] 2025-11-26 08:03:39 x", 4242 },
		{ "[3] items of 2025-11-26 08:03:39", 0 },
		{ "value[12] of the list", 0 },
		{ "we have found here items [12] of it", 0 },
		{ "[12ab] x", 0 },
		{ "[99999999999] x", 0 },
		{ "rapid=12", 0 },
		{ "", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		if (logline_pid(lines[i].line) != lines[i].pid)
			fail_msg("%s: %d, not %d", lines[i].line, logline_pid(lines[i].line),
				 lines[i].pid);
}

static void test_signals_that_lines_name(void **state)
{
	(void)state;
	assert_int_equal(logline_signal("received signal 15"), SIGTERM);
	assert_int_equal(logline_signal("handling signal: term"), SIGTERM);
	assert_int_equal(logline_signal("caught sigint, exiting"), SIGINT);
	assert_int_equal(logline_signal("worker was sent sigkill! perhaps"), SIGKILL);
	assert_int_equal(logline_signal("terminated by signal (11)"), SIGSEGV);
	assert_int_equal(logline_signal("signal sigquit received"), SIGQUIT);
	assert_int_equal(logline_signal("the design of signals"), 0);
	assert_int_equal(logline_signal("signal 99"), 0);
	assert_int_equal(logline_signal("sigterminal"), 0);
}

static void test_lines_of_workers_are_told_apart(void **state)
{
	struct reading r;

	(void)state;
	read_text(&r, 100,
		  "[2025-11-26 08:03:30 +0000] [100] [INFO] Starting gunicorn 20.1.0\n"
		  "[2025-11-26 08:03:30 +0000] [101] [INFO] Booting worker with pid: 101\n"
		  "[2025-11-26 08:03:31 +0000] [101] [ERROR] Exception in request\n"
		  "Traceback (most recent call last):\n"
		  "  File \"a.py\", line 1, in f\n"
		  "a line of nobody\n");
	static const enum author wanted[] = { AUTHOR_SELF,  AUTHOR_OTHER, AUTHOR_OTHER,
					      AUTHOR_OTHER, AUTHOR_OTHER, AUTHOR_UNKNOWN };
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		if (hints_author(&r.findings, 0, i) != wanted[i])
			fail_msg("line %zu: %d", i, hints_author(&r.findings, 0, i));
	assert_int_equal(r.findings.hints.last.author, AUTHOR_SELF);
	assert_int_equal(r.findings.hints.last.line, 0);
	assert_int_equal(r.findings.hints.list.n, 1);
	assert_int_equal(r.findings.hints.list.v[0].kind, HINT_STARTED);
	reading_deinit(&r);
}

static void test_naked_pids_are_learnt_from_the_own_ones(void **state)
{
	struct reading r;

	(void)state;
	read_text(&r, 100,
		  "INFO 2025-11-26 08:03:30,000 views 100 1396 a\n"
		  "INFO 2025-11-26 08:03:31,000 views 101 1396 b\n"
		  "INFO 2025-11-26 08:03:32,000 views 100 1396 c\n"
		  "INFO no time here at all\n");
	assert_int_equal(hints_author(&r.findings, 0, 0), AUTHOR_SELF);
	assert_int_equal(hints_author(&r.findings, 0, 1), AUTHOR_OTHER);
	assert_int_equal(hints_author(&r.findings, 0, 2), AUTHOR_SELF);
	assert_int_equal(hints_author(&r.findings, 0, 3), AUTHOR_UNKNOWN);
	reading_deinit(&r);
}

static void test_a_heartbeat_is_found_among_other_lines(void **state)
{
	struct reading r;

	(void)state;
	read_text(&r, 100,
		  "2025-11-26 08:02:52,010 [100] heartbeat 1, 3 requests\n"
		  "2025-11-26 08:02:53,010 [101] heartbeat 7, 3 requests\n"
		  "2025-11-26 08:02:55,000 [100] GET /\n"
		  "2025-11-26 08:03:02,030 [100] heartbeat 2, 4 requests\n"
		  "2025-11-26 08:03:12,020 [100] heartbeat 3, 5 requests\n"
		  "2025-11-26 08:03:22,030 [100] heartbeat 4, 6 requests\n"
		  "2025-11-26 08:03:32,030 [100] heartbeat 5, 6 requests\n"
		  "2025-11-26 08:03:38,000 [101] heartbeat 12, 6 requests\n");
	const struct heartbeat *beat = &r.findings.hints.heartbeat;
	assert_true(beat->present);
	assert_int_equal(beat->beats, 5);
	assert_int_equal(beat->line, 6);
	assert_in_range(beat->interval, 99 * SECOND / 10, 101 * SECOND / 10);
	assert_in_range(END - beat->last, 6 * SECOND, 7 * SECOND);
	reading_deinit(&r);
}

static void test_irregular_lines_are_no_heartbeat(void **state)
{
	struct reading r;

	(void)state;
	read_text(&r, 100,
		  "2025-11-26 08:02:52,000 [100] GET /1\n2025-11-26 08:02:53,000 [100] GET /2\n"
		  "2025-11-26 08:02:59,000 [100] GET /3\n2025-11-26 08:03:00,000 [100] GET /4\n"
		  "2025-11-26 08:03:20,000 [100] GET /5\n2025-11-26 08:03:22,000 [100] GET /6\n");
	assert_false(r.findings.hints.heartbeat.present);
	reading_deinit(&r);
}

static void test_what_it_and_others_say_of_the_end(void **state)
{
	static const struct {
		const char *line;
		int kind; /* -1: nothing */
		int signo, exit_code;
	} lines[] = {
		{ "2025-11-26 08:03:30,000 [100] Received signal 15, shutting down", HINT_ASKED, 15, -1 },
		{ "[2025-11-26 08:03:30 +0000] [100] [INFO] Handling signal: term", HINT_ASKED, 15, -1 },
		{ "[2025-11-26 08:03:30 +0000] [100] [INFO] Handling signal: hup", -1, 0, -1 },
		{ "[2025-11-26 08:03:30 +0000] [101] [INFO] Handling signal: term", -1, 0, -1 },
		{ "Received SIGUSR1, reopening logs", -1, 0, -1 },
		{ "INFO:     Shutting down", HINT_STOPPING, 0, -1 },
		{ "INFO:     Finished server process [100]", HINT_STOPPED, 0, -1 },
		{ "INFO:     Finished server process [101]", -1, 0, -1 },
		{ "[2025-11-26 08:03:30 +0000] [1] [ERROR] Worker (pid:100) was sent SIGKILL! Perhaps "
		  "out of memory?",
		  HINT_NOTICED, 9, -1 },
		{ "[2025-11-26 08:03:30 +0000] [1] [WARNING] Worker with pid 100 was terminated due to "
		  "signal 11",
		  HINT_NOTICED, 11, -1 },
		{ "[2025-11-26 08:03:30 +0000] [1] [ERROR] Worker (pid:100) exited with code 3",
		  HINT_NOTICED, 0, 3 },
		{ "[2025-11-26 08:03:30 +0000] [1] [CRITICAL] WORKER TIMEOUT (pid:100)", HINT_KILLING, 0,
		  -1 },
		{ "2025-11-26 08:03:30,1 WARN killing 'web' (100) with SIGKILL", HINT_KILLING, 9, -1 },
		{ "./start.sh: line 3:   100 Killed                  python app.py", HINT_NOTICED, 9, -1 },
		{ "./start.sh: line 3:   101 Killed                  python app.py", -1, 0, -1 },
		{ "./start.sh: line 3:   100 Segmentation fault      (core dumped) x", HINT_NOTICED, 11,
		  -1 },
		{ "took 100 ms", -1, 0, -1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct reading r;

		read_text(&r, 100, lines[i].line);
		const struct hint *hint = r.findings.hints.list.n ? r.findings.hints.list.v : NULL;
		if ((hint ? (int)hint->kind : -1) != lines[i].kind)
			fail_msg("%s: kind %d", lines[i].line, hint ? (int)hint->kind : -1);
		if (hint && (hint->signo != lines[i].signo || hint->exit_code != lines[i].exit_code))
			fail_msg("%s: signal %d, code %d", lines[i].line, hint->signo, hint->exit_code);
		reading_deinit(&r);
	}
}

static void test_supervisord_names_programs_not_pids(void **state)
{
	struct reading r;

	(void)state;
	read_text(&r, 100,
		  "2025-11-26 08:03:20,001 INFO spawned: 'web' with pid 100\n"
		  "2025-11-26 08:03:20,001 INFO spawned: 'other' with pid 99\n"
		  "2025-11-26 08:03:30,001 INFO exited: other (terminated by SIGTERM; not expected)\n"
		  "2025-11-26 08:03:30,001 INFO exited: web (terminated by SIGKILL; not expected)\n"
		  "2025-11-26 08:03:31,001 INFO spawned: 'web' with pid 102\n"
		  "2025-11-26 08:03:32,001 INFO exited: web (exit status 1; not expected)\n");
	assert_int_equal(r.findings.hints.list.n, 1);
	assert_int_equal(r.findings.hints.list.v[0].kind, HINT_NOTICED);
	assert_int_equal(r.findings.hints.list.v[0].signo, SIGKILL);
	reading_deinit(&r);
}

static void test_the_file_tells_which_zone_its_times_are_in(void **state)
{
	struct reading r;

	(void)state;
	reading_init(&r, 100);
	add_log(&r, "2025-11-26 08:03:39,000 [100] a\n");
	r.snapshot.host.utc_offset = 7200;
	r.snapshot.logs.v[0].modified = END;
	assert_null(hints_find(&r.findings));
	assert_int_equal(r.findings.hints.logs[0].lines[0].at, END);
	r.snapshot.logs.v[0].modified = END - 7200 * SECOND;
	assert_null(hints_find(&r.findings));
	assert_int_equal(r.findings.hints.logs[0].lines[0].at, END - 7200 * SECOND);
	reading_deinit(&r);
}

static void test_a_workers_lines_do_not_hide_the_traceback(void **state)
{
	struct reading r;

	(void)state;
	read_text(&r, 100,
		  "2025-11-26 08:03:30,000 [100] INFO ready\n"
		  "Traceback (most recent call last):\n"
		  "  File \"/srv/app.py\", line 3, in main\n"
		  "ValueError: bad\n"
		  "2025-11-26 08:03:31,000 [101] INFO still serving\n");
	assert_null(python_from_logs(&r.findings));
	assert_non_null(r.findings.python.exception);
	assert_string_equal(r.findings.python.exception->type, "ValueError");
	assert_false(r.findings.python.exception->followed);
	reading_deinit(&r);
}

static void test_faulthandlers_dump_has_its_frames(void **state)
{
	struct reading r;

	(void)state;
	read_text(&r, 100,
		  "2025-11-26 08:03:30,000 [100] INFO ready\n"
		  "Fatal Python error: Segmentation fault\n"
		  "\n"
		  "Thread 0x00007f0000000001 (most recent call first):\n"
		  "  File \"/usr/lib/python3.11/threading.py\", line 324 in wait\n"
		  "\n"
		  "Current thread 0x00007f0000000002 (most recent call first):\n"
		  "  File \"/srv/app.py\", line 12 in crash\n"
		  "  File \"/srv/app.py\", line 20 in <module>\n"
		  "\n"
		  "Extension modules: a, b (total: 2)\n"
		  "2025-11-26 08:03:31,000 [101] INFO still serving\n");
	assert_null(python_from_logs(&r.findings));
	const struct python_findings *python = &r.findings.python;
	assert_string_equal(python->fatal_error, "Segmentation fault");
	assert_int_equal(python->fatal_stack.frames.n, 2);
	assert_string_equal(python->fatal_stack.frames.v[0].function, "crash");
	assert_string_equal(python->fatal_stack.frames.v[0].file, "/srv/app.py");
	assert_int_equal(python->fatal_stack.frames.v[0].line, 12);
	reading_deinit(&r);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_times_of_lines),
		cmocka_unit_test(test_pids_that_lines_are_marked_with),
		cmocka_unit_test(test_signals_that_lines_name),
		cmocka_unit_test(test_lines_of_workers_are_told_apart),
		cmocka_unit_test(test_naked_pids_are_learnt_from_the_own_ones),
		cmocka_unit_test(test_a_heartbeat_is_found_among_other_lines),
		cmocka_unit_test(test_irregular_lines_are_no_heartbeat),
		cmocka_unit_test(test_what_it_and_others_say_of_the_end),
		cmocka_unit_test(test_supervisord_names_programs_not_pids),
		cmocka_unit_test(test_the_file_tells_which_zone_its_times_are_in),
		cmocka_unit_test(test_a_workers_lines_do_not_hide_the_traceback),
		cmocka_unit_test(test_faulthandlers_dump_has_its_frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
