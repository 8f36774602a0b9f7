/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cleanup.h"
#include "live/cgroup.h"
#include "live/kmsg.h"
#include "live/sampler.h"

// A folder with files, made anew for each test.
static char folder[64];

static int make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "machine-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command);
}

static const char *path_of(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static void put(const char *name, const char *text)
{
	FILE *f = fopen(path_of(name), "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void test_counts_of_version_2_are_read_level_by_level(void **state)
{
	struct cgroup_tree tree;
	char line[256];

	(void)state;
	snprintf(line, sizeof(line), "35 24 0:30 / %s rw - cgroup2 cgroup2 rw\n", folder);
	put("mountinfo", line);
	mkdir(path_of("web.slice"), 0700);
	mkdir(path_of("web.slice/app"), 0700);
	put("web.slice/memory.max", "67108864\n");
	put("web.slice/memory.events.local", "low 0\nhigh 0\nmax 12\noom 3\noom_kill 1\n");
	put("web.slice/app/memory.max", "max\n");
	put("web.slice/app/memory.current", "4096\n");
	put("web.slice/app/memory.peak", "8192\n");
	put("web.slice/app/memory.events", "low 0\nhigh 0\nmax 0\noom 0\noom_kill 7\n");
	put("web.slice/app/cgroup.procs", "10\n11\n12\n");
	cgroup_find(path_of("mountinfo"), &tree);
	assert_true(tree.found && tree.unified);
	const char *path = "/web.slice/app";
	size_t own = cgroup_level(&tree, path, 0), above = cgroup_level(&tree, path, 1);
	assert_int_equal(own, strlen(path));
	assert_int_equal(above, strlen("/web.slice"));
	assert_int_equal(cgroup_level(&tree, path, 2), 1);
	assert_int_equal(cgroup_level(&tree, path, 3), 0);
	struct cgroup_sizes sizes = cgroup_sizes(&tree, path, own);
	assert_int_equal(sizes.limit, -1);
	assert_int_equal(sizes.usage, 4096);
	assert_int_equal(sizes.peak, 8192);
	assert_int_equal(cgroup_sizes(&tree, path, above).limit, 64 << 20);
	tree.whole = true;
	assert_true(cgroup_shares_limit(&tree, path, path));
	assert_true(cgroup_shares_limit(&tree, path, "/web.slice"));
	assert_true(cgroup_shares_limit(&tree, path, "/web.slice/other/one"));
	assert_false(cgroup_shares_limit(&tree, path, "/web.slices"));
	assert_false(cgroup_shares_limit(&tree, "/", path));
	tree.whole = false;
	assert_true(cgroup_shares_limit(&tree, "/", path));
	_cleanup_(closep) int events = cgroup_open_events(&tree, path, own);
	_cleanup_(closep) int events_above = cgroup_open_events(&tree, path, above);
	_cleanup_(closep) int procs = cgroup_open_procs(&tree, path, own);
	assert_int_equal(cgroup_read_events(events).kills, 7);
	assert_int_equal(cgroup_read_events(events_above).kills, 1);
	assert_int_equal(cgroup_read_events(events_above).ooms, 3);
	assert_int_equal(cgroup_read_others(procs, 10, 12), 1);
}

static void test_version_1_is_preferred_and_a_container_s_root_is_cut_off(void **state)
{
	struct cgroup_tree tree;
	char text[512];
	const char *path;
	size_t len;

	(void)state;
	snprintf(text, sizeof(text),
		 "35 24 0:30 / /nowhere rw - cgroup2 cgroup2 rw\n"
		 "36 24 0:31 /docker/x\\040y %s rw - cgroup cgroup rw,memory\n",
		 folder);
	put("mountinfo", text);
	put("memory.limit_in_bytes", "9223372036854771712\n");
	put("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n");
	cgroup_find(path_of("mountinfo"), &tree);
	assert_true(tree.found && !tree.unified);
	assert_string_equal(tree.root, "/docker/x y");
	assert_true(cgroup_path("0::/unified\n4:cpu,memory:/docker/x y\n", &path, &len));
	snprintf(text, sizeof(text), "%.*s", (int)len, path);
	assert_string_equal(text, "/docker/x y");
	assert_int_equal(cgroup_level(&tree, text, 0), len);
	assert_int_equal(cgroup_level(&tree, text, 1), 0);
	assert_int_equal(cgroup_sizes(&tree, text, len).limit, -1);
	_cleanup_(closep) int events = cgroup_open_events(&tree, text, len);
	assert_int_equal(cgroup_read_events(events).kills, 2);
	// Elsewhere in the host's tree, and out of it.
	assert_int_equal(cgroup_level(&tree, "/docker/x yz", 0), 0);
	assert_int_equal(cgroup_level(&tree, "/../other", 0), 0);
	assert_true(cgroup_path("0::/only\n", &path, &len) && len == strlen("/only"));
	assert_false(cgroup_path("nonsense\n", &path, &len));
}

static bool is_mine(const void *data, pid_t pid, const char *comm, size_t comm_len)
{
	(void)comm, (void)comm_len;
	return pid == *(const pid_t *)data;
}

static struct kmsg *follow(void)
{
	struct kmsg *kmsg;

	assert_null(kmsg_create("/dev/null", &kmsg));
	return kmsg;
}

static void say(struct kmsg *kmsg, unsigned priority, unsigned sequence, pid_t mine, const char *text)
{
	char record[512];
	int n = snprintf(record, sizeof(record), "%u,%u,5140900,-;%s\n SUBSYSTEM=x\n", priority,
			 sequence, text);

	kmsg_take(kmsg, record, (size_t)n, is_mine, &mine);
}

static struct error *copied(const struct kmsg *kmsg, pid_t mine, struct snapshot *snapshot)
{
	snapshot_init(snapshot);
	snapshot->process.cgroup = (char *)"/app/worker";
	return kmsg_copy(kmsg, is_mine, &mine, snapshot);
}

#define SEGFAULT "python3[12]: segfault at 0 ip 00007f0000000010 sp 00007ffc00000000 error 4 in x.so[7f0000000000+1000]"

static void test_lines_of_the_process_are_kept_and_those_of_others_are_not(void **state)
{
	_cleanup_(snapshot_deinit) struct snapshot snapshot;
	struct kmsg *kmsg = follow();

	(void)state;
	say(kmsg, 6, 1, 12, "usb 1-1: new device");
	say(kmsg, 6, 2, 12, SEGFAULT);
	say(kmsg, 6, 3, 12, "Code: 00 00 <8b> 00");
	say(kmsg, 6, 4, 12, "python3[13]: segfault at 0 ip 0 sp 0 error 4");
	// Somebody writes to the log what the kernel would.
	say(kmsg, 14, 5, 12, "Out of memory: Killed process 12 (python3) total-vm:1kB");
	assert_null(copied(kmsg, 12, &snapshot));
	assert_int_equal(snapshot.kernel_log.lines.n, 2);
	assert_string_equal(snapshot.kernel_log.lines.v[0].text, SEGFAULT);
	assert_int_equal(snapshot.kernel_log.lines.v[0].at, INT64_C(5140900000));
	assert_true(snapshot.kernel_log.followed && snapshot.kernel_log.whole);
	kmsg_destroy(kmsg);
}

static void say_oom(struct kmsg *kmsg, unsigned from, pid_t mine, pid_t victim, const char *group)
{
	char text[256];

	say(kmsg, 4, from, mine, "python3 invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0");
	say(kmsg, 6, from + 1, mine, "[     12]     0    12    74075    16256 0 184320 0 0 python3");
	snprintf(text, sizeof(text),
		 "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,"
		 "oom_memcg=%s,task_memcg=%s,task=python3,pid=%d,uid=0",
		 group, group, (int)victim);
	say(kmsg, 6, from + 2, mine, text);
	snprintf(text, sizeof(text),
		 "Memory cgroup out of memory: Killed process %d (python3) total-vm:296300kB",
		 (int)victim);
	say(kmsg, 3, from + 3, mine, text);
}

static void test_reports_of_the_oom_killer_are_whole_and_of_the_same_group(void **state)
{
	_cleanup_(snapshot_deinit) struct snapshot snapshot, other;
	const pid_t mine = 12;
	struct kmsg *kmsg = follow();

	(void)state;
	say_oom(kmsg, 1, mine, 99, "/elsewhere");
	assert_false(kmsg_has_kill(kmsg, is_mine, &mine));
	say_oom(kmsg, 5, mine, 12, "/app");
	assert_true(kmsg_has_kill(kmsg, is_mine, &mine));
	say(kmsg, 6, 9, mine, "something else");
	assert_null(copied(kmsg, 12, &snapshot));
	assert_int_equal(snapshot.kernel_log.lines.n, 4);
	// A neighbour of the victim is told as well: it may be why the count rose.
	assert_null(copied(kmsg, 13, &other));
	assert_int_equal(other.kernel_log.lines.n, 4);
	kmsg_destroy(kmsg);
}

static void test_what_was_overwritten_is_a_gap_and_memory_is_bounded(void **state)
{
	_cleanup_(snapshot_deinit) struct snapshot snapshot;
	struct kmsg *kmsg = follow();

	(void)state;
	say(kmsg, 6, 1, 12, "begin");
	for (unsigned i = 0; i < 20000; i++)
		say(kmsg, 6, 100 + i, 12, SEGFAULT);
	assert_null(copied(kmsg, 12, &snapshot));
	assert_true(snapshot.kernel_log.followed);
	assert_false(snapshot.kernel_log.whole);
	assert_in_range(snapshot.kernel_log.lines.n, 1, 2048);
	assert_true(snapshot.gaps.n >= 1);
	assert_non_null(strstr(snapshot.gaps.v[0].why, "98 messages"));
	kmsg_destroy(kmsg);
}

static void test_log_that_is_not_there_is_a_gap_with_its_remedy(void **state)
{
	_cleanup_(snapshot_deinit) struct snapshot snapshot;
	struct kmsg *kmsg;

	(void)state;
	assert_null(kmsg_create(path_of("nothing"), &kmsg));
	kmsg_read(kmsg, is_mine, &(pid_t){ 1 });
	assert_null(copied(kmsg, 12, &snapshot));
	assert_false(snapshot.kernel_log.followed || snapshot.kernel_log.whole);
	assert_int_equal(snapshot.gaps.n, 1);
	assert_non_null(snapshot.gaps.v[0].remedy);
	kmsg_destroy(kmsg);
}

// A day of samples at every five seconds, memory growing, with one peak and one dip long ago.
static void test_day_of_samples_is_bounded_and_keeps_first_newest_and_extremes(void **state)
{
	static struct sampler sampler;
	const int64_t second = 1000000000, start = 1000 * second;
	const int n = 24 * 3600 / 5;
	int64_t lowest = INT64_MAX, highest = 0, samples = 0;

	(void)state;
	sampler_init(&sampler, 5);
	for (int i = 0; i < n; i++) {
		struct sample sample = { .at = start + i * 5 * second, .rss = 100000 + i };

		sample.rss = i == 3000 ? 10 : i == 3001 ? 1 << 30 : sample.rss;
		sampler_add(&sampler, &sample);
		assert_in_range(sampler.n, 1, SAMPLES_MAX);
	}
	assert_int_equal(sampler.v[0].at, start);
	assert_int_equal(sampler.v[0].rss, 100000);
	for (size_t i = 0; i < sampler.n; i++) {
		const struct sample *sample = &sampler.v[i];

		lowest = sample->rss_min < lowest ? sample->rss_min : lowest;
		highest = sample->rss_max > highest ? sample->rss_max : highest;
		samples += sample->merged;
		assert_true(!i || sample->at > sampler.v[i - 1].at);
		// No hole of more than a quarter of an hour anywhere.
		assert_true(!i || sample->at - sampler.v[i - 1].at <= 900 * second);
	}
	assert_int_equal(samples, n);
	assert_int_equal(lowest, 10);
	assert_int_equal(highest, 1 << 30);
	for (size_t i = sampler.n - SAMPLES_RECENT; i < sampler.n; i++)
		assert_int_equal(sampler.v[i].merged, 1);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
	const struct CMUnitTest tests[] = {
		IN_FOLDER(test_counts_of_version_2_are_read_level_by_level),
		IN_FOLDER(test_version_1_is_preferred_and_a_container_s_root_is_cut_off),
		cmocka_unit_test(test_lines_of_the_process_are_kept_and_those_of_others_are_not),
		cmocka_unit_test(test_reports_of_the_oom_killer_are_whole_and_of_the_same_group),
		cmocka_unit_test(test_what_was_overwritten_is_a_gap_and_memory_is_bounded),
		cmocka_unit_test(
			test_day_of_samples_is_bounded_and_keeps_first_newest_and_extremes),
		IN_FOLDER(test_log_that_is_not_there_is_a_gap_with_its_remedy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
