/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cleanup.h"
#include "target/kernlog.h"

static void equals(struct kernlog_text text, const char *wanted)
{
	char got[256] = "";

	if (text.s)
		snprintf(got, sizeof(got), "%.*s", (int)text.len, text.s);
	assert_string_equal(got, wanted);
}

static struct kernlog_event parse(const char *line, enum kernlog_kind kind, pid_t pid,
				  const char *comm)
{
	struct kernlog_event event;

	assert_true(kernlog_parse(line, &event));
	assert_int_equal(event.kind, kind);
	assert_int_equal(event.pid, pid);
	equals(event.comm, comm);
	return event;
}

static void test_oom_kill_of_a_cgroup_has_its_sizes(void **state)
{
	(void)state;
	struct kernlog_event e = parse(
		"Memory cgroup out of memory: Killed process 4242 (python3) total-vm:81920kB, "
		"anon-rss:61440kB, file-rss:1024kB, shmem-rss:0kB, UID:1000 pgtables:200kB "
		"oom_score_adj:0",
		KERNLOG_OOM_KILL, 4242, "python3");

	assert_true(e.memcg);
	assert_int_equal(e.total_vm, 81920 * 1024);
	assert_int_equal(e.anon_rss, 61440 * 1024);
	assert_int_equal(e.file_rss, 1024 * 1024);
	assert_int_equal(e.shmem_rss, 0);
	assert_int_equal(e.signo, SIGKILL);
}

static void test_oom_kill_in_the_words_of_several_kernels(void **state)
{
	(void)state;
	struct kernlog_event e = parse("Out of memory: Killed process 12 (a (b) c) total-vm:1kB, "
				       "anon-rss:1kB",
				       KERNLOG_OOM_KILL, 12, "a (b");

	assert_false(e.memcg);
	parse("Killed process 77 (java) total-vm:5kB, anon-rss:4kB, file-rss:0kB, shmem-rss:0kB",
	      KERNLOG_OOM_KILL, 77, "java");
	e = parse("Memory cgroup out of memory: Kill process 99 (java) score 1900 or sacrifice child",
		  KERNLOG_OOM_KILL, 99, "java");
	assert_true(e.memcg);
	assert_int_equal(e.anon_rss, -1);
	parse("Killed process 13, UID 48, (httpd) total-vm:4kB, anon-rss:2kB", KERNLOG_OOM_KILL, 13,
	      "httpd");
}

static void test_oom_context_names_both_cgroups(void **state)
{
	(void)state;
	struct kernlog_event e = parse(
		"oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,"
		"oom_memcg=/system.slice,task_memcg=/system.slice/web.service,task=a,pid=9,b,pid=41,"
		"uid=33",
		KERNLOG_OOM_CONTEXT, 41, "a,pid=9,b");

	assert_true(e.memcg);
	equals(e.oom_memcg, "/system.slice");
	equals(e.task_memcg, "/system.slice/web.service");
	e = parse("oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,"
		  "global_oom,task_memcg=/x,task=web,pid=5,uid=0",
		  KERNLOG_OOM_CONTEXT, 5, "web");
	assert_false(e.memcg);
	assert_null(e.oom_memcg.s);
}

static void test_the_rest_of_the_oom_story(void **state)
{
	(void)state;
	parse("python3 invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
	      KERNLOG_OOM_INVOKED, 0, "python3");
	parse("oom_reaper: reaped process 4242 (python3), now anon-rss:0kB, file-rss:0kB",
	      KERNLOG_OOM_REAPED, 4242, "python3");
}

static void test_segfault_line(void **state)
{
	(void)state;
	struct kernlog_event e =
		parse("python3[812]: segfault at 10 ip 00007f1234567890 sp 00007ffc00000000 error 4 "
		      "in libfoo.so[1890,7f1234560000+10000] likely on CPU 1 (core 1, socket 0)",
		      KERNLOG_FAULT, 812, "python3");

	assert_int_equal(e.signo, SIGSEGV);
	assert_true(e.have_address && e.address == 0x10);
	assert_true(e.have_pc && e.pc == 0x7f1234567890);
	equals(e.module, "libfoo.so");
	equals(e.what, "segfault");
	e = parse("a[1]: b[7]: segfault at 0 ip 0000000000000000 sp 00007ffc00000000 error 14",
		  KERNLOG_FAULT, 7, "a[1]: b");
	assert_true(e.have_pc && e.pc == 0);
	assert_null(e.module.s);
}

static void test_traps(void **state)
{
	(void)state;
	struct kernlog_event e = parse(
		"traps: python3[9] general protection fault ip:7f00 sp:7ffc error:0 in libc.so.6[7+1]",
		KERNLOG_TRAP, 9, "python3");

	assert_int_equal(e.signo, SIGSEGV);
	equals(e.what, "general protection fault");
	equals(e.module, "libc.so.6");
	e = parse("traps: x y[10] trap divide error ip:401136 sp:7ffc error:0 in x[401000+1000]",
		  KERNLOG_TRAP, 10, "x y");
	assert_int_equal(e.signo, SIGFPE);
	equals(e.what, "divide error");
	e = parse("traps: x[11] trap invalid opcode ip:401136 sp:7ffc error:0", KERNLOG_TRAP, 11,
		  "x");
	assert_int_equal(e.signo, SIGILL);
	assert_true(e.have_pc && e.pc == 0x401136);
}

static void test_aarch64_faults(void **state)
{
	(void)state;
	struct kernlog_event e = parse(
		"web[14]: unhandled level 2 translation fault (11) at 0x00000008, esr 0x92000006, in "
		"web[400000+1000]",
		KERNLOG_FAULT, 14, "web");

	assert_int_equal(e.signo, SIGSEGV);
	assert_true(e.have_address && e.address == 8);
	equals(e.module, "web");
	e = parse("web[15]: unhandled exception: DABT (lower EL), ESR 0x0000000092000046, level 2 "
		  "translation fault in web[400000+1000]",
		  KERNLOG_FAULT, 15, "web");
	assert_int_equal(e.signo, 0);
	assert_false(e.have_address);
}

static void test_audit_and_hung_tasks(void **state)
{
	(void)state;
	struct kernlog_event e = parse(
		"audit: type=1701 audit(1700000000.123:45): auid=4294967295 uid=0 gid=0 ses=1 pid=33 "
		"comm=\"web\" exe=\"/usr/bin/web\" sig=6 res=1",
		KERNLOG_ABEND, 33, "web");

	assert_int_equal(e.signo, SIGABRT);
	e = parse("audit: type=1326 audit(1.0:4): auid=0 uid=0 gid=0 ses=1 pid=34 comm=776562 "
		  "exe=\"/w\" sig=31 arch=c000003e syscall=41 compat=0 ip=0x7f code=0x80000000",
		  KERNLOG_SECCOMP, 34, "");
	assert_int_equal(e.signo, SIGSYS);
	parse("watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [python3:4242]", KERNLOG_LOCKUP, 4242,
	      "python3");
	parse("NMI watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [a]:b:77]", KERNLOG_LOCKUP, 77, "a]:b");
	parse("INFO: task a:1:77 blocked for more than 120 seconds.", KERNLOG_HUNG, 77, "a:1");
}

static void test_what_concerns_nobody(void **state)
{
	static const char *const lines[] = {
		"",
		"Killed process",
		"Killed process 0 (x) total-vm:1kB",
		"Killed process 99999999999999999999 (x)",
		"we Killed process 12 (x) in a fit",
		"[4242]: segfault",
		"a comm much too long for a task[12]: segfault at 0 ip 0 sp 0 error 4",
		"python3[12x]: segfault at 0",
		"python3[-12]: segfault at 0",
		"traps: python3[9] no such thing",
		"oom-kill:constraint=CONSTRAINT_NONE",
		"oom-kill:constraint=X,task=,pid=",
		"oom_reaper: reaped process (x)",
		"audit: type=1400 audit(1.0:4): pid=12",
		"audit: type=1701 audit(1.0:4): sig=11",
		"watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [python3:4242] x",
		"watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [python3]",
		"watchdog: BUG: soft lockup - CPU#1 stuck for 26s!",
		"INFO: task x blocked for more than 120 seconds.",
		"INFO: task :x blocked for more than 120 seconds.",
		"eth0: link up",
	};
	struct kernlog_event event;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		if (kernlog_parse(lines[i], &event))
			fail_msg("taken for news: %s", lines[i]);
		assert_int_equal(event.kind, KERNLOG_OTHER);
	}
}

static void test_records_of_kmsg(void **state)
{
	static const char *const bad[] = { "", ";", "6;x", "6,1;x", "6,a,5,-;x", "6,1,b,-;x",
					   "6,1,2,-" };
	static const char good[] = "6,339,5140900,-,caller=T1;eth0: link up\n SUBSYSTEM=net\n";
	uint64_t sequence;
	int64_t us;
	struct kernlog_text message;

	(void)state;
	assert_true(kernlog_record(good, sizeof(good) - 1, &sequence, &us, &message));
	assert_int_equal(sequence, 339);
	assert_int_equal(us, 5140900);
	equals(message, "eth0: link up");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (kernlog_record(bad[i], strlen(bad[i]), &sequence, &us, &message))
			fail_msg("taken for a record: %s", bad[i]);
}

static void test_lines_of_syslog_daemons(void **state)
{
	(void)state;
	assert_string_equal(kernlog_syslog("Nov 26 08:03:39 host kernel: [ 5.1] eth0: up"), "eth0: up");
	assert_string_equal(kernlog_syslog("2025-11-26T08:03:39Z host kernel: eth0: up"), "eth0: up");
	assert_string_equal(kernlog_syslog("Nov 26 08:03:39 host kernel: [x] y"), "[x] y");
	assert_null(kernlog_syslog("Nov 26 08:03:39 host app[12]: no kernel here"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_oom_kill_of_a_cgroup_has_its_sizes),
		cmocka_unit_test(test_oom_kill_in_the_words_of_several_kernels),
		cmocka_unit_test(test_oom_context_names_both_cgroups),
		cmocka_unit_test(test_the_rest_of_the_oom_story),
		cmocka_unit_test(test_segfault_line),
		cmocka_unit_test(test_traps),
		cmocka_unit_test(test_aarch64_faults),
		cmocka_unit_test(test_audit_and_hung_tasks),
		cmocka_unit_test(test_what_concerns_nobody),
		cmocka_unit_test(test_records_of_kmsg),
		cmocka_unit_test(test_lines_of_syslog_daemons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
