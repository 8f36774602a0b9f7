/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "live/census.h"
#include "live/perf.h"

static const char format[] =
	"name: signal_generate\n"
	"ID: 261\n"
	"format:\n"
	"\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n"
	"\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n"
	"\n"
	"\tfield:int sig;\toffset:8;\tsize:4;\tsigned:1;\n"
	"\tfield:char comm[16];\toffset:12;\tsize:16;\tsigned:0;\n"
	"\tfield:const char * filename;\toffset:28;\tsize:8;\tsigned:0;\n"
	"\n"
	"print fmt: \"sig=%d field:comm=%s\", REC->sig, REC->comm\n";

static void test_fields_are_where_the_format_says(void **state)
{
	struct tracepoint tp;
	int64_t value;
	uint8_t raw[36] = {};

	(void)state;
	assert_null(tracepoint_parse(format, &tp));
	assert_int_equal(tp.id, 261);
	assert_int_equal(tp.n_fields, 5);
	assert_string_equal(tp.fields[3].name, "comm");
	assert_string_equal(tp.fields[4].name, "filename");
	memcpy(raw, &(uint16_t){ 0xffff }, 2);
	memcpy(raw + 4, &(int32_t){ -6 }, 4);
	memcpy(raw + 8, &(int32_t){ 9 }, 4);
	assert_true(tracepoint_value(&tp, "common_type", raw, sizeof(raw), &value));
	assert_int_equal(value, 0xffff);
	assert_true(tracepoint_value(&tp, "common_pid", raw, sizeof(raw), &value));
	assert_int_equal(value, -6);
	assert_true(tracepoint_value(&tp, "sig", raw, sizeof(raw), &value));
	assert_int_equal(value, 9);
	assert_false(tracepoint_value(&tp, "sig", raw, 11, &value));
	assert_false(tracepoint_value(&tp, "comm", raw, sizeof(raw), &value));
	assert_false(tracepoint_value(&tp, "code", raw, sizeof(raw), &value));
}

static void test_format_without_sense_is_an_error(void **state)
{
	static const char *const texts[] = {
		"", "\n\n", "ID: x\nfield:int a;\toffset:0;\tsize:4;\tsigned:1;\n", "ID: 5\n",
		"ID: 5\n\tfield:int a;\toffset:;\tsize:4;\tsigned:1;\n",
		"ID: 5\n\tfield:int a;\toffset:99999999;\tsize:4;\tsigned:1;\n", "ID: 5\nfield:",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct tracepoint tp;
		struct error *err = tracepoint_parse(texts[i], &tp);

		assert_non_null(err);
		assert_int_equal(err->kind, ERROR_INPUT);
		error_free(err);
	}
}

struct bytes_made {
	uint8_t data[256];
	size_t len;
};

static void add(struct bytes_made *to, const void *data, size_t len)
{
	memcpy(to->data + to->len, data, len);
	to->len += len;
}

static struct bytes_made record(uint32_t type)
{
	struct bytes_made made = {};
	struct perf_event_header header = { .type = type };

	add(&made, &header, sizeof(header));
	return made;
}

static void add_id(struct bytes_made *to, uint32_t pid, uint32_t tid, uint64_t at)
{
	add(to, &pid, 4);
	add(to, &tid, 4);
	add(to, &at, 8);
}

static struct bytes_made comm_record(uint32_t pid, uint32_t tid, const char *name, uint64_t at)
{
	struct bytes_made made = record(PERF_RECORD_COMM);
	char padded[16] = "";

	memcpy(padded, name, strnlen(name, sizeof(padded)));
	add(&made, &pid, 4);
	add(&made, &tid, 4);
	add(&made, padded, (strlen(name) + 8) & ~(size_t)7);
	add_id(&made, pid, tid, at);
	return made;
}

static struct bytes_made task_record(uint32_t type, uint32_t pid, uint32_t parent, uint32_t tid,
				     uint64_t at)
{
	struct bytes_made made = record(type);

	add(&made, &pid, 4);
	add(&made, &parent, 4);
	add(&made, &tid, 4);
	add(&made, &parent, 4);
	add(&made, &at, 8);
	add_id(&made, parent, parent, at);
	return made;
}

static struct bytes_made fork_record(uint32_t pid, uint32_t parent, uint32_t tid, uint64_t at)
{
	return task_record(PERF_RECORD_FORK, pid, parent, tid, at);
}

static struct bytes_made namespaces_record(uint32_t pid, uint64_t inode, uint64_t at)
{
	struct bytes_made made = record(PERF_RECORD_NAMESPACES);

	add(&made, &pid, 4);
	add(&made, &pid, 4);
	add(&made, &(uint64_t){ NR_NAMESPACES }, 8);
	for (uint64_t i = 0; i < NR_NAMESPACES; i++) {
		add(&made, &(uint64_t){ 4 }, 8);
		add(&made, &(uint64_t){ i == PID_NS_INDEX ? inode : 1 }, 8);
	}
	add_id(&made, pid, pid, at);
	return made;
}

static void test_records_say_who_and_when(void **state)
{
	struct perf_record r;
	struct bytes_made made = record(PERF_RECORD_SAMPLE);
	uint32_t raw_len = 12;

	(void)state;
	add_id(&made, 100, 101, 77);
	add(&made, &raw_len, 4);
	add(&made, "abcdefghijkl", 12);
	assert_true(perf_record_parse(made.data, made.len, &r));
	assert_int_equal(r.pid, 100);
	assert_int_equal(r.tid, 101);
	assert_int_equal(r.at, 77);
	assert_int_equal(r.raw.len, 12);
	assert_memory_equal(r.raw.data, "abcdefghijkl", 12);

	made = comm_record(5, 5, "kill", 9);
	assert_true(perf_record_parse(made.data, made.len, &r));
	assert_int_equal(r.comm.pid, 5);
	assert_string_equal(r.comm.name, "kill");
	assert_int_equal(r.at, 9);

	made = fork_record(8, 7, 8, 3);
	assert_true(perf_record_parse(made.data, made.len, &r));
	assert_int_equal(r.task.pid, 8);
	assert_int_equal(r.task.parent, 7);

	made = namespaces_record(8, 4026531836, 3);
	assert_true(perf_record_parse(made.data, made.len, &r));
	assert_int_equal(r.namespaces.pid, 8);
	assert_int_equal(r.namespaces.inode, 4026531836);

	made = record(PERF_RECORD_LOST);
	add(&made, &(uint64_t){ 1 }, 8);
	add(&made, &(uint64_t){ 42 }, 8);
	add_id(&made, 0, 0, 1);
	assert_true(perf_record_parse(made.data, made.len, &r));
	assert_int_equal(r.lost, 42);
}

static void test_who_is_outside_of_the_namespace_has_no_pid(void **state)
{
	struct bytes_made made = record(PERF_RECORD_SAMPLE);
	struct perf_record r;

	(void)state;
	add_id(&made, (uint32_t)-1, 0, 77);
	add(&made, &(uint32_t){ 0 }, 4);
	assert_true(perf_record_parse(made.data, made.len, &r));
	assert_int_equal(r.pid, 0);
	assert_int_equal(r.tid, 0);
}

static void test_records_cut_anywhere_are_none_or_whole(void **state)
{
	struct bytes_made all[] = { comm_record(5, 5, "kill", 9), fork_record(8, 7, 8, 3),
				    record(PERF_RECORD_SAMPLE) };
	struct perf_record r;

	(void)state;
	add_id(&all[2], 1, 1, 1);
	add(&all[2], &(uint32_t){ 8 }, 4);
	add(&all[2], "12345678", 8);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		for (size_t len = 0; len < all[i].len; len++) {
			bool parsed = perf_record_parse(all[i].data, len, &r);

			// A name may be cut short, the rest not.
			assert_true(!parsed || i == 0);
		}
	// A size that the record does not have.
	memcpy(all[2].data + sizeof(struct perf_event_header) + 16, &(uint32_t){ 9 }, 4);
	assert_false(perf_record_parse(all[2].data, all[2].len, &r));
}

static void note(struct census *census, struct bytes_made made)
{
	struct perf_record r;

	assert_true(perf_record_parse(made.data, made.len, &r));
	census_note(census, &r);
}

static void test_census_knows_names_and_parents(void **state)
{
	static struct census census;

	(void)state;
	memset(&census, 0, sizeof(census));
	note(&census, comm_record(10, 10, "bash", 1));
	note(&census, fork_record(20, 10, 20, 2));
	const struct census_entry *e = census_find(&census, 20);
	assert_non_null(e);
	assert_string_equal(e->comm, "bash");
	assert_int_equal(e->parent, 10);
	note(&census, comm_record(20, 20, "kill", 3));
	assert_string_equal(census_find(&census, 20)->comm, "kill");
	// Its threads are not it.
	note(&census, comm_record(20, 21, "worker", 4));
	note(&census, fork_record(20, 20, 21, 4));
	assert_string_equal(census_find(&census, 20)->comm, "kill");
	assert_int_equal(census_find(&census, 20)->parent, 10);
	assert_null(census_find(&census, 21));
	assert_null(census_find(&census, 0));
}

static void test_census_puts_rings_in_order_by_time(void **state)
{
	static struct census census;

	(void)state;
	memset(&census, 0, sizeof(census));
	// The fork was on another CPU than the exec, and is read after it.
	note(&census, comm_record(30, 30, "kill", 6));
	note(&census, fork_record(30, 10, 30, 5));
	assert_string_equal(census_find(&census, 30)->comm, "kill");
	assert_int_equal(census_find(&census, 30)->parent, 10);
	// The number is used again.
	note(&census, fork_record(30, 11, 30, 50));
	assert_string_equal(census_find(&census, 30)->comm, "");
	assert_int_equal(census_find(&census, 30)->parent, 11);
	// A newer one takes the place of one CENSUS_SIZE below it.
	note(&census, fork_record(30 + CENSUS_SIZE, 11, 30 + CENSUS_SIZE, 51));
	assert_null(census_find(&census, 30));
}

// Two processes of which /proc knows nothing: such numbers are not given.
#define KILL ((1 << 22) + 20)
#define SHELL ((1 << 22) + 10)

static void test_sender_that_is_gone_gets_name_and_parents_from_the_records(void **state)
{
	static struct census census;
	struct arena arena = {};
	struct sender sender = { .process = { .pid = KILL, .uid = (uid_t)-1 } };

	(void)state;
	memset(&census, 0, sizeof(census));
	// What it forked on another CPU may be read last of all.
	note(&census, comm_record(KILL, KILL, "kill", 30));
	census_complete(&census, true, &arena, &sender);
	assert_string_equal(sender.process.comm, "kill");
	assert_int_equal(sender.ancestors.n, 0);
	note(&census, fork_record(KILL, SHELL, KILL, 20));
	note(&census, comm_record(SHELL, SHELL, "sh", 12));
	note(&census, fork_record(SHELL, (uint32_t)getpid(), SHELL, 10));
	census_complete(&census, true, &arena, &sender);
	assert_true(sender.ancestors.n >= 2);
	assert_int_equal(sender.ancestors.v[0].pid, SHELL);
	assert_string_equal(sender.ancestors.v[0].comm, "sh");
	assert_int_equal(sender.ancestors.v[1].pid, getpid());
	// One that lives is asked in /proc, and so are those above it.
	assert_true(sender.ancestors.v[1].cmdline.n > 0);
	assert_true(getppid() == 0 || sender.ancestors.v[2].pid == getppid());
	// Once is enough.
	size_t n = sender.ancestors.n;
	census_complete(&census, true, &arena, &sender);
	assert_int_equal(sender.ancestors.n, n);
	arena_deinit(&arena);
}

static void test_of_a_storm_of_senders_names_and_parents_are_known_without_proc(void **state)
{
	static struct census census;
	struct arena arena = {};
	struct sender sender = { .process = { .pid = KILL, .uid = (uid_t)-1 } };

	(void)state;
	memset(&census, 0, sizeof(census));
	note(&census, fork_record(KILL, (uint32_t)getpid(), KILL, 20));
	note(&census, comm_record(KILL, KILL, "kill", 30));
	census_complete(&census, false, &arena, &sender);
	assert_string_equal(sender.process.comm, "kill");
	assert_int_equal(sender.ancestors.n, 1);
	assert_int_equal(sender.ancestors.v[0].pid, getpid());
	assert_int_equal(sender.ancestors.v[0].cmdline.n, 0);
	arena_deinit(&arena);
}

static void test_end_tells_whose_child_was_there_before_us(void **state)
{
	static struct census census;
	struct arena arena = {};
	struct sender sender = { .process = { .pid = KILL, .uid = (uid_t)-1 } };

	(void)state;
	memset(&census, 0, sizeof(census));
	note(&census, task_record(PERF_RECORD_EXIT, KILL, SHELL, KILL, 20));
	// A thread's end is not its process's, and who adopts an orphan did not fork it.
	note(&census, fork_record(SHELL, 7, SHELL, 10));
	note(&census, task_record(PERF_RECORD_EXIT, SHELL, 5, SHELL + 1, 21));
	note(&census, task_record(PERF_RECORD_EXIT, SHELL, 1, SHELL, 22));
	census_complete(&census, false, &arena, &sender);
	assert_int_equal(sender.ancestors.n, 2);
	assert_int_equal(sender.ancestors.v[0].pid, SHELL);
	assert_int_equal(sender.ancestors.v[1].pid, 7);
	// It takes the place of nobody.
	note(&census, task_record(PERF_RECORD_EXIT, SHELL + CENSUS_SIZE, 1, SHELL + CENSUS_SIZE, 23));
	assert_non_null(census_find(&census, SHELL));
	arena_deinit(&arena);
}

static void test_orphan_was_started_by_who_forked_it(void **state)
{
	static struct census census;
	struct arena arena = {};
	struct process_ref adopters[] = { { .pid = 1 } };
	struct sender sender = { .process = { .pid = KILL, .uid = (uid_t)-1 },
				 .ancestors = { .v = adopters, .n = 1 } };

	(void)state;
	memset(&census, 0, sizeof(census));
	// Its end says who had adopted it; of who was there before us nobody knows better.
	note(&census, task_record(PERF_RECORD_EXIT, KILL, SHELL, KILL, 40));
	census_complete(&census, false, &arena, &sender);
	assert_int_equal(sender.ancestors.v[0].pid, 1);
	note(&census, fork_record(KILL, SHELL, KILL, 20));
	note(&census, comm_record(SHELL, SHELL, "sh", 12));
	sender.ancestors = (process_refs){};
	struct process_ref *adopter = LIST_ADD(&arena, &sender.ancestors);
	assert_non_null(adopter);
	*adopter = adopters[0];
	census_complete(&census, false, &arena, &sender);
	assert_int_equal(sender.ancestors.n, 1);
	assert_int_equal(sender.ancestors.v[0].pid, SHELL);
	assert_string_equal(sender.ancestors.v[0].comm, "sh");
	arena_deinit(&arena);
}

static void test_end_of_a_thread_is_known_with_its_time(void **state)
{
	static struct census census;

	(void)state;
	memset(&census, 0, sizeof(census));
	assert_false(census_had_ended(&census, 0, 20));
	note(&census, task_record(PERF_RECORD_EXIT, SHELL, 7, SHELL + 1, 20));
	assert_false(census_had_ended(&census, SHELL + 1, 19));
	assert_true(census_had_ended(&census, SHELL + 1, 20));
	assert_false(census_had_ended(&census, SHELL, 20));
	// Much later it is another one's number.
	assert_false(census_had_ended(&census, SHELL + 1, INT64_C(2000000000)));
	for (unsigned i = 0; i < CENSUS_ENDS; i++)
		note(&census, task_record(PERF_RECORD_EXIT, KILL, 7, KILL, 21));
	assert_false(census_had_ended(&census, SHELL + 1, 20));
}

static void test_number_that_is_used_again_is_no_parent(void **state)
{
	static struct census census;
	struct arena arena = {};
	struct sender sender = { .process = { .pid = KILL, .uid = (uid_t)-1 } };

	(void)state;
	memset(&census, 0, sizeof(census));
	note(&census, fork_record(KILL, SHELL, KILL, 20));
	note(&census, fork_record(SHELL, 7, SHELL, 25));
	census_complete(&census, false, &arena, &sender);
	assert_int_equal(sender.ancestors.n, 0);
	// Two that are each other's parents would go on for ever.
	note(&census, fork_record(SHELL, KILL, SHELL, 20));
	census_complete(&census, false, &arena, &sender);
	assert_true(sender.ancestors.n > 0 && sender.ancestors.n <= 64);
	arena_deinit(&arena);
}

static void test_namespace_of_who_is_gone_is_that_of_its_last_record(void **state)
{
	static struct census census;

	(void)state;
	memset(&census, 0, sizeof(census));
	// It is recorded right behind the fork, and may be read before it.
	note(&census, namespaces_record(KILL, 100, 21));
	note(&census, fork_record(KILL, SHELL, KILL, 20));
	assert_int_equal(census_find(&census, KILL)->inode, 100);
	note(&census, fork_record(KILL, SHELL, KILL, 30));
	assert_int_equal(census_find(&census, KILL)->inode, 0);
}

static void test_outside_is_who_is_in_a_namespace_above(void **state)
{
	struct pid_namespace target = { .inode = 300, .above = { 200, 100 }, .n_above = 2, .depth = 3 };
	struct pid_namespace ours = procfs_pid_namespace(getpid());

	(void)state;
	assert_true(procfs_is_outside(&(struct pid_namespace){ .inode = 100 }, &target));
	assert_true(procfs_is_outside(&(struct pid_namespace){ .inode = 200, .depth = 2 }, &target));
	assert_false(procfs_is_outside(&target, &target));
	// Below it.
	assert_false(procfs_is_outside(&(struct pid_namespace){ .inode = 400, .depth = 4 }, &target));
	// Where it may not be seen which one it is, how deep it lies tells as well.
	assert_true(procfs_is_outside(&(struct pid_namespace){ .depth = 2 }, &target));
	assert_false(procfs_is_outside(&(struct pid_namespace){ .depth = 3 }, &target));
	// Of one that is not known nothing can be said.
	assert_false(procfs_is_outside(&(struct pid_namespace){}, &target));
	assert_false(procfs_is_outside(&target, &(struct pid_namespace){}));
	assert_true(ours.inode && ours.depth > 0);
	assert_false(procfs_is_outside(&ours, &ours));
	assert_int_equal(procfs_pid_namespace(KILL).inode, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields_are_where_the_format_says),
		cmocka_unit_test(test_format_without_sense_is_an_error),
		cmocka_unit_test(test_records_say_who_and_when),
		cmocka_unit_test(test_who_is_outside_of_the_namespace_has_no_pid),
		cmocka_unit_test(test_records_cut_anywhere_are_none_or_whole),
		cmocka_unit_test(test_census_knows_names_and_parents),
		cmocka_unit_test(test_census_puts_rings_in_order_by_time),
		cmocka_unit_test(test_sender_that_is_gone_gets_name_and_parents_from_the_records),
		cmocka_unit_test(test_of_a_storm_of_senders_names_and_parents_are_known_without_proc),
		cmocka_unit_test(test_end_tells_whose_child_was_there_before_us),
		cmocka_unit_test(test_orphan_was_started_by_who_forked_it),
		cmocka_unit_test(test_end_of_a_thread_is_known_with_its_time),
		cmocka_unit_test(test_number_that_is_used_again_is_no_parent),
		cmocka_unit_test(test_namespace_of_who_is_gone_is_that_of_its_last_record),
		cmocka_unit_test(test_outside_is_who_is_in_a_namespace_above),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
