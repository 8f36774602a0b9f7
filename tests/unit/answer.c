/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "analyse/analyse.h"
#include "answer.h"
#include "store/minidump.h"

static enum { SURVIVES, DIES } analysis;

struct error *__real_analyse(const struct snapshot *snapshot, struct findings *ret);
struct error *__wrap_analyse(const struct snapshot *snapshot, struct findings *ret);

// The linker puts this in the place of analyse().
struct error *__wrap_analyse(const struct snapshot *snapshot, struct findings *ret)
{
	if (analysis == DIES) {
		signal(SIGILL, SIG_DFL);
		__builtin_trap();
	}
	return __real_analyse(snapshot, ret);
}

static struct buf make_dump(void)
{
	struct buf ret = {};
	struct snapshot s;

	snapshot_init(&s);
	s.host.arch = arch_by_id(ARCH_X86_64);
	s.generator = arena_strdup(&s.arena, "0.1.0");
	s.process.pid = 4711;
	s.process.comm = arena_strdup(&s.arena, "app");
	s.time.death = 1700000042987654321;
	strcpy(s.id, "01234567-89ab-cdef-0123-456789abcdef");
	s.death.kind = DEATH_EXIT;
	s.death.exit_code = 3;
	struct error *err = minidump_write(&s, &ret);
	assert_null(err);
	snapshot_deinit(&s);
	return ret;
}

static struct error *ask(struct buf *bytes, struct answer *ret)
{
	struct dump dump = { .data = bytes->data, .len = bytes->len };
	struct question question = { .dump = &dump,
				     .formats = FORMAT_TEXT | FORMAT_JSON,
				     .tell = TELL_SUMMARY,
				     .digest = true };

	return answer(&question, ret);
}

static bool holds(struct buf *text, const char *words)
{
	return text->len && memmem(text->data, text->len, words, strlen(words));
}

static void what_was_asked_for_comes_and_nothing_else(void **state)
{
	struct buf dump = make_dump();
	struct answer found = {};

	(void)state;
	analysis = SURVIVES;
	assert_null(ask(&dump, &found));
	assert_true(holds(answer_format(&found, FORMAT_TEXT), "01234567-89ab"));
	assert_true(holds(answer_format(&found, FORMAT_JSON), "\"pcatch.report/1\""));
	assert_int_equal(answer_format(&found, FORMAT_HTML)->len, 0);
	assert_int_equal(answer_format(&found, FORMAT_CORE)->len, 0);
	assert_true(holds(&found.told, "exit"));
	assert_false(holds(&found.told, "report: "));
	assert_true(holds(&found.digest, "\"pcatch.digest/1\""));
	assert_string_equal(found.notes.v[0], "verdict");
	assert_false(holds(answer_format(&found, FORMAT_TEXT), "was stopped"));
	answer_deinit(&found);
	buf_deinit(&dump);
}

// The report is there all the same, with what the dump says by itself, and says so.
static void an_analysis_that_dies_is_a_gap(void **state)
{
	struct buf dump = make_dump();
	struct answer found = {};

	(void)state;
	analysis = DIES;
	assert_null(ask(&dump, &found));
	assert_true(holds(answer_format(&found, FORMAT_JSON), "the analysis was stopped: it died of SIG"));
	assert_true(holds(answer_format(&found, FORMAT_JSON), "\"exit-code\""));
	assert_true(holds(answer_format(&found, FORMAT_TEXT), "SIGILL"));
	answer_deinit(&found);
	buf_deinit(&dump);
}

static void what_is_no_dump_is_an_error(void **state)
{
	struct buf garbage = {};
	struct answer found = {};

	(void)state;
	analysis = SURVIVES;
	buf_addstr(&garbage, "MDMP, it says, and that is all");
	struct error *err = ask(&garbage, &found);
	assert_non_null(err);
	assert_int_equal(err->kind, ERROR_INPUT);
	error_free(err);
	buf_deinit(&garbage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_asked_for_comes_and_nothing_else),
		cmocka_unit_test(an_analysis_that_dies_is_a_gap),
		cmocka_unit_test(what_is_no_dump_is_an_error),
	};

	return cmocka_run_group_tests_name("answer", tests, NULL, NULL);
}
