/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "capture/reserve.h"

#define NOBODY 65534
#define MIB ((size_t)1 << 20)

static void *nothing(void *argument)
{
	return argument;
}

// Of a user who may lock LIMIT bytes: what has become impossible once the reserve is full, 0: nothing.
static int fill_under(size_t limit)
{
	struct rlimit memlock = { .rlim_cur = limit, .rlim_max = limit };
	pthread_t thread;

	if (setrlimit(RLIMIT_MEMLOCK, &memlock) < 0)
		return 1;
	if (geteuid() == 0 && setresuid(NOBODY, NOBODY, NOBODY) < 0)
		return 2;
	reserve_fill(true);
	if (mmap(NULL, 4 * limit + MIB, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
		return 3;
	if (pthread_create(&thread, NULL, nothing, NULL) || pthread_join(thread, NULL))
		return 4;
	return 0;
}

static void test_memory_and_threads_are_to_be_had_with_a_full_reserve(void **state)
{
	// Too little for what is there already, what most systems allow, and enough for some time.
	static const size_t limits[] = { 64 << 10, 8 * MIB, 48 * MIB };
	struct rlimit now;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &now), 0);
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		int status;

		if (limits[i] > now.rlim_max)
			continue;
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (!pid)
			_exit(fill_under(limits[i]));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory_and_threads_are_to_be_had_with_a_full_reserve),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
