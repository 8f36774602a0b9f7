/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Samples of a process that is a folder made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cleanup.h"
#include "folder.h"
#include "live/sampler.h"

#define SECOND INT64_C(1000000000)

static void put_process(const struct folder *folder, long rss, long ticks)
{
	char text[256];

	snprintf(text, sizeof(text), "Name:\tx\nVmRSS:\t%ld kB\nVmSwap:\t  12 kB\n", rss);
	folder_text(folder, "status", text);
	snprintf(text, sizeof(text), "7 (a) b) S 1 1 1 0 -1 0 11 0 13 0 %ld 0 0 0 20 0 3 0 9", ticks);
	folder_text(folder, "stat", text);
}

static struct sampler *fresh(double seconds)
{
	struct sampler *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	sampler_init(s, seconds);
	return s;
}

static void a_sample_is_what_the_texts_say(void **state)
{
	_cleanup_(folder_remove) struct folder folder = folder_make();
	_cleanup_(freep) struct sampler *s = fresh(1);
	long hertz = sysconf(_SC_CLK_TCK);

	(void)state;
	put_process(&folder, 1000, 0);
	sampler_take(s, folder.fd, NULL, NULL, 5 * SECOND);
	put_process(&folder, 2000, hertz / 2);
	// Not due yet.
	sampler_take(s, folder.fd, NULL, NULL, 6 * SECOND - 1);
	assert_int_equal(s->n, 1);
	sampler_take(s, folder.fd, NULL, NULL, 6 * SECOND);
	assert_int_equal(s->n, 2);
	assert_int_equal(s->v[0].rss, 1000 * 1024);
	assert_int_equal(s->v[0].swap, 12 * 1024);
	assert_int_equal(s->v[0].minor_faults, 11);
	assert_int_equal(s->v[0].major_faults, 13);
	assert_int_equal(s->v[0].threads, 3);
	assert_true(s->v[0].cpu_percent < 0);
	assert_int_equal(s->v[0].fds, -1);
	assert_int_equal(s->v[1].rss, 2000 * 1024);
	assert_true(s->v[1].cpu_percent > 49 && s->v[1].cpu_percent < 51);
}

static void of_a_process_without_texts_nothing_is_known(void **state)
{
	_cleanup_(folder_remove) struct folder folder = folder_make();
	_cleanup_(freep) struct sampler *s = fresh(1);

	(void)state;
	folder_text(&folder, "status", "Name:\tx\nVmRSS:\tmuch\n");
	folder_text(&folder, "stat", "7 (a) S");
	sampler_take(s, folder.fd, NULL, NULL, SECOND);
	assert_int_equal(s->n, 1);
	assert_int_equal(s->v[0].rss, -1);
	assert_int_equal(s->v[0].swap, -1);
	assert_int_equal(s->v[0].threads, -1);
	assert_true(s->v[0].cpu_percent < 0);
}

static void nothing_is_taken_when_nothing_is_wanted(void **state)
{
	_cleanup_(folder_remove) struct folder folder = folder_make();
	_cleanup_(freep) struct sampler *s = fresh(0);

	(void)state;
	sampler_take(s, folder.fd, NULL, NULL, SECOND);
	assert_int_equal(s->n, 0);
}

static void however_long_it_takes_extremes_and_both_ends_stay(void **state)
{
	_cleanup_(freep) struct sampler *s = fresh(1);
	const unsigned total = 100000, low = 31337, high = 54321;
	unsigned stand_for = 0;
	int64_t least = INT64_MAX, most = 0;

	(void)state;
	for (unsigned i = 0; i < total; i++) {
		int64_t rss = i == low ? 1 : i == high ? 9000 : 1000 + i % 100;
		const struct sample sample = { .at = i + 1, .rss = rss };

		sampler_add(s, &sample);
		assert_true(s->n <= SAMPLES_MAX);
	}
	for (size_t i = 0; i < s->n; i++) {
		stand_for += s->v[i].merged;
		least = s->v[i].rss_min < least ? s->v[i].rss_min : least;
		most = s->v[i].rss_max > most ? s->v[i].rss_max : most;
		assert_true(!i || s->v[i].at > s->v[i - 1].at);
		assert_true(i + SAMPLES_RECENT < s->n || s->v[i].merged == 1);
	}
	assert_int_equal(stand_for, total);
	assert_int_equal(least, 1);
	assert_int_equal(most, 9000);
	assert_int_equal(s->v[0].at, 1);
	assert_int_equal(s->v[s->n - 1].at, total);
}

static void the_last_sample_is_of_the_death(void **state)
{
	_cleanup_(freep) struct sampler *s = fresh(1);
	const struct sample sample = { .at = 10, .rss = 5 };
	struct snapshot snapshot;

	(void)state;
	snapshot_init(&snapshot);
	sampler_add(s, &sample);
	snapshot.time.death = 20;
	snapshot.process.status.data = (uint8_t *)"Name:\tx\nVmRSS:\t8 kB\n";
	assert_null(sampler_copy(s, &snapshot));
	assert_int_equal(snapshot.timeline.samples.n, 2);
	assert_int_equal(snapshot.timeline.samples.v[0].rss, 5);
	assert_int_equal(snapshot.timeline.samples.v[1].rss, 8192);
	assert_int_equal(snapshot.timeline.samples.v[1].at, 20);
	snapshot_deinit(&snapshot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sample_is_what_the_texts_say),
		cmocka_unit_test(of_a_process_without_texts_nothing_is_known),
		cmocka_unit_test(nothing_is_taken_when_nothing_is_wanted),
		cmocka_unit_test(however_long_it_takes_extremes_and_both_ends_stay),
		cmocka_unit_test(the_last_sample_is_of_the_death),
	};

	return cmocka_run_group_tests_name("sampler", tests, NULL, NULL);
}
