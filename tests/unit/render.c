// SPDX-License-Identifier: GPL-3.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../render/samples.h"
#include "buf.h"
#include "cleanup.h"
#include "render/limits.h"
#include "render/page.h"
#include "render/words.h"

static char *render(const char *name, const char *format)
{
	struct sample_findings sample;

	sample_init(&sample, name);
	struct buf out = sample_render(&sample, format);
	sample_deinit(&sample);
	char *ret = buf_steal(&out);
	assert_non_null(ret);
	return ret;
}

static void assert_has(const char *text, const char *what)
{
	if (!strstr(text, what))
		fail_msg("`%s' is not in:\n%s", what, text);
}

static void assert_has_not(const char *text, const char *what)
{
	if (strstr(text, what))
		fail_msg("`%s' is in:\n%s", what, text);
}

static size_t count_lines(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

// Where WHAT begins in TEXT; fails when it does not.
static size_t position(const char *text, const char *what)
{
	assert_has(text, what);
	return (size_t)(strstr(text, what) - text);
}

static void test_first_line_is_the_summary_alone(void **state)
{
	(void)state;
	for (size_t i = 0; i < n_sample_cases; i++) {
		struct sample_findings sample;
		_cleanup_(freep) char *text = render(sample_cases[i].name, "text");
		_cleanup_(buf_deinit) struct buf clean = {};

		sample_init(&sample, sample_cases[i].name);
		const char *summary = sample.findings.verdict.summary;
		buf_clean(&clean, summary, strlen(summary), "");
		size_t len = strcspn(text, "\n");
		if (len != clean.len || memcmp(text, clean.data, len))
			fail_msg("%s begins with `%.*s', not with `%.*s'", sample_cases[i].name,
				 (int)len, text, (int)clean.len, (const char *)clean.data);
		assert_memory_equal(text + len, "\n\n", 2);
		sample_deinit(&sample);
	}
}

static void test_lines_fit_80_columns(void **state)
{
	static const char *const formats[] = { "text", "summary" };

	(void)state;
	for (size_t i = 0; i < n_sample_cases; i++)
		for (size_t k = 0; k < ARRAY_SIZE(formats); k++) {
			_cleanup_(freep) char *text = render(sample_cases[i].name, formats[k]);
			char *save = NULL, *line = strtok_r(text, "\n", &save);

			// The verdict is one line on purpose. Names that somebody made long may
			// be wider, in bounds.
			size_t max = strcmp(sample_cases[i].name, "hostile") ? PAGE_WIDTH : 300;
			while ((line = strtok_r(NULL, "\n", &save))) {
				if (page_columns(line) > max)
					fail_msg("%s, %s: %zu columns: %s", sample_cases[i].name,
						 formats[k], page_columns(line), line);
				if (*line && line[strlen(line) - 1] == ' ')
					fail_msg("%s, %s: a space at the end of: %s",
						 sample_cases[i].name, formats[k], line);
			}
		}
}

static void test_no_control_characters_without_colour(void **state)
{
	static const char *const formats[] = { "text", "summary", "html", "json" };

	(void)state;
	for (size_t i = 0; i < n_sample_cases; i++)
		for (size_t k = 0; k < ARRAY_SIZE(formats); k++) {
			_cleanup_(freep) char *text = render(sample_cases[i].name, formats[k]);

			for (const unsigned char *p = (unsigned char *)text; *p; p++)
				if ((*p < 0x20 && *p != '\n') || *p == 0x7f || *p == 0xff ||
				    (*p == 0xc2 && p[1] < 0xa0))
					fail_msg("%s, %s: byte 0x%02x at %zu", sample_cases[i].name,
						 formats[k], *p,
						 (size_t)(p - (unsigned char *)text));
		}
}

// ESC and what follows it up to "m" taken out.
static void strip_colours(char *text)
{
	char *to = text;

	for (const char *p = text; *p;) {
		if (*p == '\033') {
			assert_int_equal(p[1], '[');
			p += strcspn(p, "m") + 1;
			continue;
		}
		*to++ = *p++;
	}
	*to = 0;
}

static void test_colour_changes_nothing_but_colour(void **state)
{
	(void)state;
	for (size_t i = 0; i < n_sample_cases; i++) {
		_cleanup_(freep) char *plain = render(sample_cases[i].name, "text");
		_cleanup_(freep) char *colour = render(sample_cases[i].name, "colour");

		assert_has(colour, "\033[1;31m");
		strip_colours(colour);
		assert_string_equal(plain, colour);
	}
}

static void test_rendering_twice_gives_the_same_bytes(void **state)
{
	static const char *const formats[] = { "text", "summary", "html", "json" };

	(void)state;
	for (size_t i = 0; i < n_sample_cases; i++)
		for (size_t k = 0; k < ARRAY_SIZE(formats); k++) {
			_cleanup_(freep) char *a = render(sample_cases[i].name, formats[k]);
			// The wall clock's zone is the reader's, not the report's.
			setenv("TZ", "America/St_Johns", 1);
			_cleanup_(freep) char *b = render(sample_cases[i].name, formats[k]);
			unsetenv("TZ");
			assert_string_equal(a, b);
		}
}

static void test_summary_is_short(void **state)
{
	(void)state;
	for (size_t i = 0; i < n_sample_cases; i++) {
		_cleanup_(freep) char *text = render(sample_cases[i].name, "summary");
		size_t lines = count_lines(text);

		if (lines > 24)
			fail_msg("%s: %zu lines:\n%s", sample_cases[i].name, lines, text);
		assert_int_equal(text[strlen(text) - 1], '\n');
	}
}

static void test_broken_pipe_names_socket_and_line(void **state)
{
	_cleanup_(freep) char *text = render("broken-pipe", "text");

	(void)state;
	assert_has(text, "\n  cause       broken-pipe (certain)\n");
	assert_has(text, "\n     2 py  stream  ");
	assert_has(text, " /srv/app.py:31\n");
	assert_has(
		text,
		"\n  =>   13  tcp 127.0.0.1:8000 -> 127.0.0.1:51234 CLOSE_WAIT (being written)\n");
	assert_has(text, "\n  unusual     SIGPIPE has its default action");
	assert_has(text, "  Here .../ is /usr/lib/python3/dist-packages/\n");
	assert_has(text, "\n    next time: give pcatch CAP_SYSLOG\n");
	assert_has(text, "\nreport 0b5c6f5e-3f0a-4c1e-9d52-7a1f0e6f2b11, pcatch 0.1.0\n");
	assert_has_not(text, "DATABASE_PASSWORD");
	// What is most useful comes first.
	assert_true(position(text, "\nWhy:\n") <
		    position(text, "\nThe thread that took the signal:"));
	assert_true(position(text, "\nThe thread that took the signal:") <
		    position(text, "\nSignals before that:"));
	assert_true(position(text, "\nSignals before that:") <
		    position(text, "\nThe other thread:"));
	assert_true(position(text, "\nThe other thread:") <
		    position(text, "\nOpen files and sockets"));
	assert_true(position(text, "\nOpen files and sockets") <
		    position(text, "\nWhat this report could not see:"));
}

static void test_crash_folds_recursion_and_marks_the_instruction(void **state)
{
	_cleanup_(freep) char *text = render("crash", "text");

	(void)state;
	assert_has(text, "\n     6     slot_tp_call+0x1d");
	assert_has(text, "\n       ... the last 3 frames repeated 299 times\n");
	assert_has(text, "\n   904 py  Thread.run ");
	assert_has(text, "(the stack ends here: page 0x7f3a10ff0000 is not in the dump)\n");
	assert_has(text, "\n  => 0x7f3a12001240  488b4018  mov rax, qword ptr [rax + 0x18]\n");
	assert_has(text, "a handler took it first");
	assert_has(text, "\n  rip      000000000109a010 rsp      000000000109a013");
}

static void test_equal_threads_share_a_stack_and_idle_ones_are_last(void **state)
{
	_cleanup_(freep) char *text = render("sigkill", "text");

	(void)state;
	assert_has(text, "\nThe other 51 threads:\n  Thread 4400 busy, running\n");
	assert_has(text, "\n  50 threads, waiting in futex: 4300 ThreadPoolExecutor-0_0, 4301\n");
	assert_has(text, " and 44 more\n     0 py  _worker ");
	assert_has(text, "\n  sent by     pid 812 timeout, user root (0), its ancestor\n");
	assert_has(text, "\n  (3 older ones are left out here)\n  04:13:55.123Z  -10.0 s    "
			 "SIGTERM, handled");
	assert_has(text, "\n  memory grew 11.0 MiB/min for 43 min, 3 min short of its cgroup's limit (562.0\n"
			 "  MiB); open files grew by 12/min for 40 min and reached 1020, at the limit\n"
			 "  (1024)\n");
	if (count_lines(text) > 120)
		fail_msg("%zu lines for 52 threads", count_lines(text));
}

static void test_exception_reads_as_python_prints_it(void **state)
{
	_cleanup_(freep) char *text = render("exception", "text");

	(void)state;
	assert_has(text, "\n  Traceback (most recent call last):\n    File \"/srv/app.py\", line "
			 "100, in f\n");
	assert_has(text, "\n    File \"/srv/app.py\", line 1, in f\n  RuntimeError: cannot start\n "
			 " see below\n");
	assert_has(text, "\n  which came from:\n");
	assert_has(text, "\n  OSError: [Errno 98] Address in use\n");
}

static void test_snapshot_is_no_death(void **state)
{
	_cleanup_(freep) char *text = render("snapshot", "text");

	(void)state;
	assert_has(text,
		   "\n  taken       2026-11-24 04:14:05.123Z after 4 h 33 min; it lives on\n");
	assert_has_not(text, "ended ");
	assert_has(text, "\nThe main thread: 4242 python3\n");
}

static void test_html_runs_and_loads_nothing(void **state)
{
	_cleanup_(freep) char *hostile = render("hostile", "html");
	_cleanup_(freep) char *page = render("broken-pipe", "html");

	(void)state;
	assert_has_not(hostile, "<script");
	assert_has(hostile, "&lt;script&gt;");
	assert_has(page, "content=\"default-src 'none'; style-src 'unsafe-inline'\"");
	assert_has(page, "<details class=\"threads\">");
	assert_has(page, "<details class=\"environ\">");
	assert_has(page, "DATABASE_PASSWORD=[redacted]");
	assert_has_not(page, "http-equiv=\"refresh");
	assert_has_not(page, " src=");
	assert_has_not(page, " href=");
}

static void test_memory_is_plotted_below_its_limit(void **state)
{
	_cleanup_(freep) char *text = render("sigkill", "text");
	_cleanup_(freep) char *html = render("sigkill", "html");
	_cleanup_(freep) char *exit = render("clean-exit", "text");

	(void)state;
	assert_has(text, "\nMemory in the last 6 min 30 s (100.0 MiB to 529.0 MiB, limit 562.0 MiB):\n"
			 "   562.0 MiB ┼╌");
	assert_has(text, "╌▂▃▃▄\n");
	assert_has(text, "\n             │████████");
	assert_has(text, "█\n           0 └───");
	assert_has(html, "<svg viewBox=");
	assert_has(html, ">limit 562.0 MiB</text>");
	assert_has_not(html, "█");
	// Without samples there is nothing to draw.
	assert_has_not(exit, "Memory in the last");
}

static void test_limits_are_parsed_strictly(void **state)
{
	static const char text[] =
		"Limit                     Soft Limit           Hard Limit           Units     \n"
		"Max open files            1024                 unlimited            files     \n"
		"Max nice priority         0                    7                    \n"
		"Max broken                12x                  7                    \n"
		"Max negative              -1                   7                    \n"
		"Max huge                  99999999999999999999999999 7              bytes\n"
		"Max short                 1";
	struct process process = { .limits = { (uint8_t *)strdup(text), sizeof(text) - 1 } };
	struct arena arena = {};
	limit_list list = {};

	(void)state;
	assert_null(limits_parse(&process, &arena, &list));
	assert_int_equal(list.n, 2);
	const struct limit *files = limits_find(&list, "Max open files");
	assert_non_null(files);
	assert_int_equal(files->soft, 1024);
	assert_int_equal(files->hard, -1);
	assert_string_equal(files->unit, "files");
	assert_string_equal(limits_find(&list, "Max nice priority")->unit, "");
	assert_null(limits_find(&list, "Max broken"));
	free(process.limits.data);
	arena_deinit(&arena);
}

static void test_words(void **state)
{
	static const struct {
		int64_t ns;
		const char *text;
	} spans[] = {
		{ 0, "0 ms" },
		{ 250000000, "250 ms" },
		{ 12550000000, "12.5 s" },
		{ 185000000000, "3 min 5 s" },
		{ 15120000000000, "4 h 12 min" },
		{ 273600000000000, "3 d 4 h" },
	};
	struct arena arena = {};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(spans); i++)
		assert_string_equal(words_duration(&arena, spans[i].ns), spans[i].text);
	assert_string_equal(words_rfc3339(&arena, INT64_C(1795493645123456789)),
			    "2026-11-24T04:14:05.123456Z");
	assert_string_equal(words_rfc3339(&arena, -1), "1969-12-31T23:59:59.999999Z");
	assert_string_equal(words_size(&arena, 1023), "1023 B");
	assert_string_equal(words_size(&arena, 1 << 20), "1.0 MiB");
	assert_string_equal(words_size(&arena, INT64_MAX), "8.0 EiB");
	assert_int_equal(words_elapsed(INT64_MIN, INT64_MAX), -1);
	assert_int_equal(words_elapsed(5, 3), -1);
	assert_int_equal(words_elapsed(3, 5), 2);
	assert_string_equal(page_elide(&arena, "abcdefghij", 7), "ab...ij");
	assert_string_equal(page_elide(&arena, "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f", 4),
			    "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f");
	assert_string_equal(page_elide_head(&arena, "abcdefghij", 7), "...ghij");
	assert_string_equal(page_elide_tail(&arena, "abcdefghij", 7), "abcd...");
	strings argv = {};
	*LIST_ADD(&arena, &argv) = arena_strdup(&arena, "sh");
	*LIST_ADD(&arena, &argv) = arena_strdup(&arena, "it's $HOME");
	*LIST_ADD(&arena, &argv) = arena_strdup(&arena, "");
	assert_string_equal(words_command(&arena, &argv, 80), "sh 'it'\\''s $HOME' ''");
	arena_deinit(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_line_is_the_summary_alone),
		cmocka_unit_test(test_lines_fit_80_columns),
		cmocka_unit_test(test_no_control_characters_without_colour),
		cmocka_unit_test(test_colour_changes_nothing_but_colour),
		cmocka_unit_test(test_rendering_twice_gives_the_same_bytes),
		cmocka_unit_test(test_summary_is_short),
		cmocka_unit_test(test_broken_pipe_names_socket_and_line),
		cmocka_unit_test(test_crash_folds_recursion_and_marks_the_instruction),
		cmocka_unit_test(test_equal_threads_share_a_stack_and_idle_ones_are_last),
		cmocka_unit_test(test_exception_reads_as_python_prints_it),
		cmocka_unit_test(test_snapshot_is_no_death),
		cmocka_unit_test(test_html_runs_and_loads_nothing),
		cmocka_unit_test(test_memory_is_plotted_below_its_limit),
		cmocka_unit_test(test_limits_are_parsed_strictly),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
