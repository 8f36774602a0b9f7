/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "procmem.h"

#include <errno.h>
#include <stdint.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../cleanup.h"
#include "errand.h"
#include "tracer.h"

// More iovecs a call gain nothing; the kernel takes 1024.
#define BATCH 512
// Between two looks at the clock. At 4 GB/s a quarter of a hundredth of a second.
#define BATCH_BYTES ((size_t)8 << 20)

static const char memory[] = "its memory";

static size_t read_vm(const struct procmem *p, taddr at, void *ret, size_t len)
{
	struct iovec local = { .iov_base = ret, .iov_len = len };
	struct iovec remote = { .iov_base = (void *)(uintptr_t)at, .iov_len = len };
	ssize_t n = process_vm_readv(p->pid, &local, 1, &remote, 1, 0);

	return n > 0 ? (size_t)n : 0;
}

static size_t procmem_read(const struct mem *mem, taddr at, void *ret, size_t len)
{
	const struct procmem *p = container_of(mem, struct procmem, mem);
	size_t done = 0;

	if (!errand_may_block(memory))
		return 0;
	if (p->fd < 0)
		done = read_vm(p, at, ret, len);
	// The upper half of the address space (vsyscall) is negative as an offset, and refused.
	while (p->fd >= 0 && done < len) {
		ssize_t n = pread(p->fd, (uint8_t *)ret + done, len - done, (off_t)(at + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	errand_came_back();
	return done;
}

static void procmem_read_pages(const struct mem *mem, struct mem_page *const *pages, size_t n)
{
	const struct procmem *p = container_of(mem, struct procmem, mem);
	struct procmem_range ranges[BATCH];

	while (n) {
		size_t k = n < BATCH ? n : BATCH;

		for (size_t i = 0; i < k; i++)
			ranges[i] = (struct procmem_range){ .at = pages[i]->at,
							    .len = TARGET_PAGE,
							    .to = pages[i]->data };
		procmem_read_ranges(p, ranges, k, INT64_MAX);
		for (size_t i = 0; i < k; i++)
			pages[i]->len = (uint32_t)ranges[i].got;
		pages += k;
		n -= k;
	}
}

void procmem_init(struct procmem *procmem, pid_t pid, int fd)
{
	*procmem = (struct procmem){ .mem.read = procmem_read,
				     .mem.read_pages = procmem_read_pages,
				     .pid = pid,
				     .fd = fd };
}

// One call for the first ranges of V; returns how many of them are settled, at least one.
static size_t read_batch(const struct procmem *p, struct procmem_range *v, size_t n)
{
	struct iovec local[BATCH], remote[BATCH];
	size_t k = 0, bytes = 0;

	/*
	 * process_vm_readv() pins pages, and of a page that is shared with a parent or child since a
	 * fork the kernel first makes the process a copy of its own (FAULT_FLAG_UNSHARE, since 5.19):
	 * memory that the process never asked for, and where its cgroup is full the end of a
	 * neighbour. /proc/PID/mem only looks.
	 */
	if (p->fd >= 0) {
		v->got = mem_read_some(&p->mem, v->at, v->to, v->len);
		return 1;
	}
	for (; k < n && k < BATCH && (!k || bytes + v[k].len <= BATCH_BYTES); k++) {
		local[k] = (struct iovec){ .iov_base = v[k].to, .iov_len = v[k].len };
		remote[k] = (struct iovec){ .iov_base = (void *)(uintptr_t)v[k].at,
					    .iov_len = v[k].len };
		bytes += v[k].len;
	}
	ssize_t got = 0;
	if (errand_may_block(memory)) {
		got = process_vm_readv(p->pid, local, k, remote, k, 0);
		errand_came_back();
	}
	size_t left = got > 0 ? (size_t)got : 0;
	for (size_t i = 0; i < k; i++) {
		v[i].got = left < v[i].len ? left : v[i].len;
		left -= v[i].got;
		if (v[i].got == v[i].len)
			continue;
		// The first byte that cannot be had ends the call: this range again by itself (it may
		// be a page that only /proc/PID/mem reads), the others in the next call.
		v[i].got += mem_read_some(&p->mem, v[i].at + v[i].got,
					  (uint8_t *)v[i].to + v[i].got, v[i].len - v[i].got);
		return i + 1;
	}
	return k;
}

void procmem_read_ranges(const struct procmem *procmem, struct procmem_range *ranges, size_t n,
			 int64_t deadline)
{
	size_t i = 0;

	while (i < n && monotonic_now() < deadline)
		i += read_batch(procmem, ranges + i, n - i);
	for (; i < n; i++)
		ranges[i].got = 0;
}
