// SPDX-License-Identifier: GPL-3.0-or-later
// page-waits.c [lives]: a page of its second thread's stack never comes (userfaultfd that nobody
// serves), then it aborts. "lives": ends with 0 instead.
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "truth.h"

#define PAGE 4096ul

static pthread_barrier_t ready;

static void *with_a_missing_page(void *arg)
{
	char bytes[8 * PAGE];
	char *page = (char *)(((uintptr_t)bytes + 4 * PAGE) & ~(PAGE - 1));
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .range = { (uintptr_t)page, PAGE },
					 .mode = UFFDIO_REGISTER_MODE_MISSING };

	if (fd < 0) {
		perror("userfaultfd");
		_exit(77);
	}
	MUST(ioctl(fd, UFFDIO_API, &api) == 0);
	MUST(ioctl(fd, UFFDIO_REGISTER, &range) == 0);
	MUST(madvise(page, PAGE, MADV_DONTNEED) == 0);
	pthread_barrier_wait(&ready);
	for (;;)
		pause();
	return arg;
}

static int die(int lives)
{
	if (!lives)
		abort();
	return 0;
}

int main(int argc, char **argv)
{
	pthread_t thread;

	pthread_barrier_init(&ready, NULL, 2);
	MUST(pthread_create(&thread, NULL, with_a_missing_page, NULL) == 0);
	pthread_barrier_wait(&ready);
	truth(", \"function\": \"die\"");
	return die(argc > 1);
}
