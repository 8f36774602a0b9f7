/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "analyse/trend.h"
#include "cleanup.h"

#define SECOND INT64_C(1000000000)
#define BEGIN  (INT64_C(1764144219) * SECOND)
#define MIB    (1024 * 1024)

struct scene {
	struct snapshot snapshot;
	struct findings findings;
	double interval;
	int64_t at;
};

static void scene_init(struct scene *scene, double interval)
{
	memset(scene, 0, sizeof(*scene));
	snapshot_init(&scene->snapshot);
	scene->findings.snapshot = &scene->snapshot;
	scene->snapshot.timeline.interval = scene->interval = interval;
	scene->at = BEGIN;
}

static void scene_deinit(struct scene *scene)
{
	arena_deinit(&scene->findings.arena);
	snapshot_deinit(&scene->snapshot);
}

static struct sample *add(struct scene *scene, double mib)
{
	struct sample *sample = LIST_ADD(&scene->snapshot.arena, &scene->snapshot.timeline.samples);
	int64_t rss = (int64_t)(mib * MIB);

	assert_non_null(sample);
	*sample = (struct sample){ .at = scene->at,
				   .rss = rss,
				   .rss_min = rss,
				   .rss_max = rss,
				   .merged = 1,
				   .cgroup_memory = -1,
				   .swap = -1,
				   .minor_faults = -1,
				   .major_faults = -1,
				   .threads = -1,
				   .fds = -1,
				   .cpu_percent = -1,
				   .pressure_some = -1,
				   .pressure_full = -1 };
	scene->at += (int64_t)(scene->interval * 1e9);
	return sample;
}

static void set_text(struct scene *scene, struct bytes *bytes, const char *text)
{
	bytes->data = (uint8_t *)arena_strdup(&scene->snapshot.arena, text);
	assert_non_null(bytes->data);
	bytes->len = strlen(text);
}

static void set_group_limit(struct scene *scene, int64_t mib)
{
	struct cgroup_level *level =
		LIST_ADD(&scene->snapshot.arena, &scene->snapshot.process.cgroup_levels);

	assert_non_null(level);
	*level = (struct cgroup_level){ .path = (char *)"/x", .limit = mib * MIB, .usage = -1 };
	scene->snapshot.process.cgroup_others = 0;
}

/* A number between -1 and 1, the same in every run. */
static double noise(void)
{
	static uint32_t state = 1;

	state = state * 1664525 + 1013904223;
	return (double)(state >> 8) / (1 << 23) - 1;
}

static const struct trend *find(struct scene *scene, enum trend_what what)
{
	assert_null(trends_find(&scene->findings));
	for (size_t i = 0; i < scene->findings.trends.n; i++)
		if (scene->findings.trends.v[i].what == what)
			return &scene->findings.trends.v[i];
	return NULL;
}

static void check(struct scene *scene, enum trend_what what, enum trend_shape shape)
{
	const struct trend *trend = find(scene, what);

	if (!trend)
		fail_msg("no trend, not %s", trend_shape_name(shape));
	if (trend->shape != shape)
		fail_msg("%s %g to %g, not %s", trend_shape_name(trend->shape), trend->from, trend->to,
			 trend_shape_name(shape));
}

static void check_near(double value, double wanted, double part)
{
	if (fabs(value - wanted) > fabs(wanted) * part)
		fail_msg("%g, not %g", value, wanted);
}

static void test_leak_of_43_minutes_is_3_minutes_short_of_the_limit(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene, 5);
	set_group_limit(&scene, 45 + 46 * 11);
	add(&scene, 8); /* starting up */
	for (int i = 0; i <= 43 * 12; i++)
		add(&scene, 45 + 11.0 / 12 * i + 2 * noise());
	check(&scene, TREND_MEMORY, TREND_GREW);
	const struct trend *trend = &scene.findings.trends.v[0];
	check_near(trend->rate, 11.0 * MIB, 0.05);
	check_near((double)trend->duration, 43 * 60.0 * SECOND, 0.05);
	assert_int_equal(trend->limit, (45 + 46 * 11) * INT64_C(1) * MIB);
	assert_false(trend->reached);
	check_near((double)trend->left, 3 * 60.0 * SECOND, 0.2);
	scene_deinit(&scene);
}

static void test_growth_after_hours_of_rest_is_measured_from_where_it_began(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene, 30);
	for (int i = 0; i < 240; i++)
		add(&scene, 100 + noise());
	for (int i = 0; i < 60; i++)
		add(&scene, 100 + 5 * i + noise());
	check(&scene, TREND_MEMORY, TREND_GREW);
	check_near(scene.findings.trends.v[0].rate, 10.0 * MIB, 0.1);
	check_near((double)scene.findings.trends.v[0].duration, 30 * 60.0 * SECOND, 0.15);
	scene_deinit(&scene);
}

static void test_growth_up_to_the_limit_reached_it(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene, 1);
	set_group_limit(&scene, 256);
	for (int i = 0; i <= 24; i++)
		add(&scene, 10 + 10 * i);
	check(&scene, TREND_MEMORY, TREND_GREW);
	assert_true(scene.findings.trends.v[0].reached);
	assert_int_equal(scene.findings.trends.v[0].left, -1);
	scene_deinit(&scene);
}

static void test_leak_then_flat_at_the_limit(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene, 5);
	set_group_limit(&scene, 512);
	for (int i = 0; i < 100; i++)
		add(&scene, 5 + 5 * i);
	for (int i = 0; i < 60; i++)
		add(&scene, 508 + noise());
	check(&scene, TREND_MEMORY, TREND_GREW_THEN_FLAT);
	check_near(scene.findings.trends.v[0].rate, 60.0 * MIB, 0.1);
	check_near((double)scene.findings.trends.v[0].flat, 300.0 * SECOND, 0.1);
	assert_true(scene.findings.trends.v[0].reached);
	scene_deinit(&scene);
}

static void test_own_limits_count_by_what_they_limit(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene, 5);
	set_text(&scene, &scene.snapshot.process.limits,
		 "Limit                     Soft Limit           Hard Limit           Units     \n"
		 "Max address space         524288000            524288000            bytes     \n");
	set_text(&scene, &scene.snapshot.process.status, "Name:\tx\nVmSize:\t  510000 kB\n");
	for (int i = 0; i < 50; i++)
		add(&scene, 40 + i);
	check(&scene, TREND_MEMORY, TREND_GREW);
	assert_string_equal(scene.findings.trends.v[0].limit_name, "RLIMIT_AS");
	assert_true(scene.findings.trends.v[0].reached);
	scene_deinit(&scene);
}

static void test_sawtooth(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene, 5);
	for (int i = 0; i < 120; i++)
		add(&scene, 50 + 15 * (i % 10));
	check(&scene, TREND_MEMORY, TREND_SAWTOOTH);
	assert_int_equal(scene.findings.trends.v[0].times, 11);
	check_near(scene.findings.trends.v[0].from, 50.0 * MIB, 0.01);
	check_near(scene.findings.trends.v[0].to, 185.0 * MIB, 0.01);
	scene_deinit(&scene);
}

static void test_steady_is_neither_startup_nor_one_peak(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene, 5);
	add(&scene, 5);
	add(&scene, 30);
	for (int i = 0; i < 300; i++) {
		struct sample *sample = add(&scene, 45 + 0.5 * noise());
		if (i == 100)
			sample->rss = 46 * MIB;
	}
	check(&scene, TREND_MEMORY, TREND_STEADY);
	check_near((double)scene.findings.trends.v[0].duration, 1500.0 * SECOND, 0.03);
	scene_deinit(&scene);
}

static void test_jump_in_the_last_seconds(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene, 5);
	for (int i = 0; i < 50; i++)
		add(&scene, 45 + noise());
	add(&scene, 2000);
	check(&scene, TREND_MEMORY, TREND_JUMPED);
	check_near(scene.findings.trends.v[0].to, 2000.0 * MIB, 0.01);
	assert_int_equal(scene.findings.trends.v[0].duration, 5 * SECOND);
	scene_deinit(&scene);
}

static void test_shrinking(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene, 5);
	for (int i = 0; i < 50; i++)
		add(&scene, 500 - 5 * i + noise());
	check(&scene, TREND_MEMORY, TREND_SHRANK);
	check_near(scene.findings.trends.v[0].rate, 60.0 * MIB, 0.05);
	scene_deinit(&scene);
}

static void test_files_and_threads_that_are_not_given_back(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene, 5);
	set_text(&scene, &scene.snapshot.process.limits,
		 "Max open files            1024                 1048576              files     \n");
	for (int i = 0; i <= 1000; i++) {
		struct sample *sample = add(&scene, 45);
		sample->fds = 20 + i;
		sample->threads = 4 + i / 20;
	}
	check(&scene, TREND_FILES, TREND_GREW);
	check(&scene, TREND_THREADS, TREND_GREW);
	scene_deinit(&scene);

	scene_init(&scene, 5);
	set_text(&scene, &scene.snapshot.process.limits,
		 "Max open files            1024                 1048576              files     \n");
	for (int i = 0; i <= 1000; i++)
		add(&scene, 45)->fds = 20 + i;
	const struct trend *files = find(&scene, TREND_FILES);
	assert_non_null(files);
	check_near(files->rate, 12, 0.05);
	assert_int_equal(files->limit, 1024);
	assert_true(files->reached);
	check_near(files->to, 1020, 0.001);
	scene_deinit(&scene);
}

static void test_busy_and_short_of_memory_at_the_end_only(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene, 5);
	for (int i = 0; i < 60; i++) {
		struct sample *sample = add(&scene, 45);
		sample->cpu_percent = i < 40 ? 3 : 99;
		sample->pressure_some = i < 50 ? 0 : 45;
		sample->major_faults = i < 50 ? 300 : 300 + 500 * (i - 49);
	}
	check(&scene, TREND_CPU, TREND_HIGH);
	check(&scene, TREND_PRESSURE, TREND_HIGH);
	check(&scene, TREND_PAGING, TREND_HIGH);
	scene_deinit(&scene);

	scene_init(&scene, 5);
	for (int i = 0; i < 60; i++) {
		struct sample *sample = add(&scene, 45);
		sample->cpu_percent = i < 58 ? 99 : 1;
		sample->pressure_some = i < 58 ? 45 : 0;
		sample->major_faults = 300;
	}
	assert_null(find(&scene, TREND_CPU));
	assert_null(find(&scene, TREND_PRESSURE));
	assert_null(find(&scene, TREND_PAGING));
	scene_deinit(&scene);
}

static void test_too_little_is_nothing_to_speak_of(void **state)
{
	static const double few[] = { 5, 45, 45.1, 45.2, 45.2 };
	struct scene scene;

	(void)state;
	scene_init(&scene, 5);
	assert_null(find(&scene, TREND_MEMORY));
	for (size_t i = 0; i < ARRAY_SIZE(few); i++) {
		add(&scene, few[i]);
		assert_null(find(&scene, TREND_MEMORY));
	}
	scene_deinit(&scene);
}

/* A dump may say anything. */
static void test_nonsense_is_no_trend_and_no_harm(void **state)
{
	struct scene scene;

	(void)state;
	scene_init(&scene, 0);
	for (int i = 0; i < 5000; i++) {
		struct sample *sample = add(&scene, 1);
		sample->at = i % 2 ? INT64_MIN : INT64_MAX - 5000 + i;
		sample->rss = i % 3 ? INT64_MAX : 0;
		sample->rss_min = INT64_MIN;
		sample->swap = INT64_MAX;
		sample->merged = 0xffffffff;
		sample->cpu_percent = i % 5 ? NAN : INFINITY;
		sample->pressure_some = INFINITY;
		sample->major_faults = INT64_MAX;
		sample->fds = INT32_MAX;
	}
	scene.snapshot.timeline.interval = NAN;
	assert_null(trends_find(&scene.findings));
	scene_deinit(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_leak_of_43_minutes_is_3_minutes_short_of_the_limit),
		cmocka_unit_test(test_growth_after_hours_of_rest_is_measured_from_where_it_began),
		cmocka_unit_test(test_growth_up_to_the_limit_reached_it),
		cmocka_unit_test(test_leak_then_flat_at_the_limit),
		cmocka_unit_test(test_own_limits_count_by_what_they_limit),
		cmocka_unit_test(test_sawtooth),
		cmocka_unit_test(test_steady_is_neither_startup_nor_one_peak),
		cmocka_unit_test(test_jump_in_the_last_seconds),
		cmocka_unit_test(test_shrinking),
		cmocka_unit_test(test_files_and_threads_that_are_not_given_back),
		cmocka_unit_test(test_busy_and_short_of_memory_at_the_end_only),
		cmocka_unit_test(test_too_little_is_nothing_to_speak_of),
		cmocka_unit_test(test_nonsense_is_no_trend_and_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
