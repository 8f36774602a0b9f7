/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "perf.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../cleanup.h"
#include "procfs.h"

#define FORMAT_MAX 8192

struct error *perf_open(struct perf_event_attr *attr, pid_t pid, int cpu, int *ret)
{
	attr->size = sizeof(*attr);
	int fd = (int)syscall(SYS_perf_event_open, attr, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC);

	if (fd < 0)
		return error_errno(errno, "perf_event_open");
	*ret = fd;
	return NULL;
}

/*
 * tracefs without a path to it: a mount that is attached nowhere, seen through its descriptor
 * alone (fsmount(2)), so the machine's mounts stay as they are.
 */
static int detached_tracefs(void)
{
	_cleanup_(closep) int fs = (int)syscall(SYS_fsopen, "tracefs", FSOPEN_CLOEXEC);

	if (fs < 0 || syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	return (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY);
}

static int open_events(void)
{
	static const char *const paths[] = { "/sys/kernel/tracing/events",
					     "/sys/kernel/debug/tracing/events" };
	int denied = 0;

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		int fd = open(paths[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (fd >= 0)
			return fd;
		if (errno != ENOENT)
			denied = errno;
	}
	_cleanup_(closep) int root = detached_tracefs();
	if (root >= 0)
		return openat(root, "events", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	// That it is there and closed to us says more than that we may not mount it.
	errno = denied ? denied : ENOENT;
	return -1;
}

struct error *tracepoint_find(const char *name, struct tracepoint *ret)
{
	char path[128], text[FORMAT_MAX];
	_cleanup_(closep) int events = open_events();

	if (events < 0 && errno == ENOENT)
		return error_new(ERROR_UNSUPPORTED,
				 "tracefs, which describes tracepoints, is not mounted");
	if (events < 0 && (errno == EACCES || errno == EPERM))
		return error_new(ERROR_DENIED,
				 "tracefs, which describes tracepoints, is closed to us");
	if (events < 0)
		return error_errno(errno, "tracefs, which describes tracepoints, cannot be read");
	snprintf(path, sizeof(path), "%s/format", name);
	if (!procfs_peek(events, path, text, sizeof(text)))
		return error_new(errno == EACCES ? ERROR_DENIED : ERROR_UNSUPPORTED,
				 "the tracepoint %s cannot be read in tracefs", name);
	return tracepoint_parse(text, ret);
}

// The number behind KEY in a line of a format file.
static bool number_after(const char *line, const char *key, unsigned *ret)
{
	const char *at = strstr(line, key);
	char *end;

	if (!at)
		return false;
	unsigned long v = strtoul(at + strlen(key), &end, 10);
	if (end == at + strlen(key) || v > UINT16_MAX)
		return false;
	*ret = (unsigned)v;
	return true;
}

// "field:char comm[16];	offset:20;	size:16;	signed:0;"
static bool parse_field(const char *line, struct tracepoint_field *ret)
{
	unsigned is_signed;
	const char *end = strchr(line, ';');

	if (!end || !number_after(end, "offset:", &ret->offset) ||
	    !number_after(end, "size:", &ret->size) || !number_after(end, "signed:", &is_signed))
		return false;
	ret->is_signed = is_signed;
	const char *array = memchr(line, '[', (size_t)(end - line));
	if (array)
		end = array;
	const char *start = end;
	while (start > line && start[-1] != ' ' && start[-1] != '*')
		start--;
	size_t len = (size_t)(end - start);
	if (!len || len >= sizeof(ret->name))
		return false;
	memcpy(ret->name, start, len);
	ret->name[len] = '\0';
	return true;
}

struct error *tracepoint_parse(const char *text, struct tracepoint *ret)
{
	struct tracepoint tp = {};
	bool have_id = false;

	for (const char *s = text; s; s = strchr(s, '\n'), s = s ? s + 1 : NULL) {
		char line[256];
		size_t len = strcspn(s, "\n");

		if (len >= sizeof(line))
			continue;
		memcpy(line, s, len);
		line[len] = '\0';
		if (!strncmp(line, "ID: ", 4)) {
			char *end;

			tp.id = strtoull(line + 4, &end, 10);
			have_id = end != line + 4;
		}
		char *field = strstr(line, "field:");
		if (field && tp.n_fields < TRACEPOINT_FIELDS &&
		    parse_field(field + strlen("field:"), &tp.fields[tp.n_fields]))
			tp.n_fields++;
	}
	if (!have_id || !tp.n_fields)
		return error_new(ERROR_INPUT, "a tracepoint's format makes no sense");
	*ret = tp;
	return NULL;
}

bool tracepoint_value(const struct tracepoint *tracepoint, const char *field, const void *raw,
		      size_t len, int64_t *ret)
{
	const struct tracepoint_field *f = tracepoint->fields;
	const struct tracepoint_field *end = f + tracepoint->n_fields;

	while (f < end && strcmp(f->name, field) != 0)
		f++;
	if (f == end || f->offset > len || f->size > len - f->offset)
		return false;
	const char *at = (const char *)raw + f->offset;
#define READ(bits)                                                                                 \
	({                                                                                         \
		uint##bits##_t _v;                                                                 \
		memcpy(&_v, at, sizeof(_v));                                                       \
		*ret = f->is_signed ? (int64_t)(int##bits##_t)_v : (int64_t)_v;                    \
		true;                                                                              \
	})
	switch (f->size) {
	case 1:
		return READ(8);
	case 2:
		return READ(16);
	case 4:
		return READ(32);
	case 8:
		return READ(64);
	default:
		return false;
	}
#undef READ
}

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

struct error *perf_ring_init(struct perf_ring *ring, int fd, unsigned pages)
{
	size_t size = pages * page_size();
	void *map = mmap(NULL, page_size() + size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		return error_errno(errno, "cannot map a ring for events");
	ring->page = map;
	ring->size = size;
	return NULL;
}

void perf_ring_deinit(struct perf_ring *ring)
{
	if (ring->page)
		munmap(ring->page, page_size() + ring->size);
	*ring = (struct perf_ring){};
}

static void copy_out(const struct perf_ring *ring, uint64_t at, void *ret, size_t len)
{
	const char *data = (const char *)ring->page + page_size();
	size_t from = (size_t)(at & (ring->size - 1));
	size_t first = ring->size - from < len ? ring->size - from : len;

	memcpy(ret, data + from, first);
	memcpy((char *)ret + first, data, len - first);
}

size_t perf_ring_next(struct perf_ring *ring, void *ret)
{
	// perf_event_open(2): the head is read before the data, the tail written after it.
	uint64_t head = __atomic_load_n(&ring->page->data_head, __ATOMIC_ACQUIRE);
	uint64_t tail = ring->page->data_tail;
	struct perf_event_header header;

	if (head - tail < sizeof(header))
		return 0;
	copy_out(ring, tail, &header, sizeof(header));
	size_t len = header.size;
	// The kernel never writes such; a ring that is not to be understood is let go of as a whole.
	if (len < sizeof(header) || len > head - tail || len > ring->size) {
		__atomic_store_n(&ring->page->data_tail, head, __ATOMIC_RELEASE);
		return 0;
	}
	copy_out(ring, tail, ret, len);
	__atomic_store_n(&ring->page->data_tail, tail + len, __ATOMIC_RELEASE);
	return len;
}

struct sample_id {
	uint32_t pid, tid;
	uint64_t time;
};

// The kernel has -1 for who has no number any more.
static pid_t known_pid(uint32_t pid)
{
	return (int32_t)pid > 0 ? (pid_t)pid : 0;
}

static void take_id(const void *at, struct perf_record *ret)
{
	struct sample_id id;

	memcpy(&id, at, sizeof(id));
	ret->pid = known_pid(id.pid);
	ret->tid = known_pid(id.tid);
	ret->at = (int64_t)id.time;
}

static bool parse_sample(const char *body, size_t len, struct perf_record *ret)
{
	uint32_t raw;

	if (len < sizeof(struct sample_id) + sizeof(raw))
		return false;
	take_id(body, ret);
	body += sizeof(struct sample_id);
	len -= sizeof(struct sample_id) + sizeof(raw);
	memcpy(&raw, body, sizeof(raw));
	if (raw > len)
		return false;
	ret->raw.data = body + sizeof(raw);
	ret->raw.len = raw;
	return true;
}

/*
 * perf_event_open(2): pid, tid, the number of namespaces, and device and inode of each, in the order
 * of linux/perf_event.h.
 */
static bool parse_namespaces(const char *body, size_t len, struct perf_record *ret)
{
	struct {
		uint32_t pid, tid;
		uint64_t n;
	} head;
	struct perf_ns_link_info link;

	if (len < sizeof(head))
		return false;
	memcpy(&head, body, sizeof(head));
	ret->namespaces.pid = known_pid(head.pid);
	ret->namespaces.tid = known_pid(head.tid);
	if (head.n <= PID_NS_INDEX || len < sizeof(head) + (PID_NS_INDEX + 1) * sizeof(link))
		return true;
	memcpy(&link, body + sizeof(head) + PID_NS_INDEX * sizeof(link), sizeof(link));
	ret->namespaces.inode = link.ino;
	return true;
}

bool perf_record_parse(const void *data, size_t len, struct perf_record *ret)
{
	struct perf_event_header header;
	const char *body = (const char *)data + sizeof(header);
	uint32_t words[4];
	uint64_t longs[2];

	if (len < sizeof(header))
		return false;
	memcpy(&header, data, sizeof(header));
	len -= sizeof(header);
	*ret = (struct perf_record){ .type = header.type, .misc = header.misc };
	if (header.type == PERF_RECORD_SAMPLE)
		return parse_sample(body, len, ret);
	// Behind everything else stands who was running and when.
	if (len < sizeof(struct sample_id))
		return false;
	len -= sizeof(struct sample_id);
	take_id(body + len, ret);
	switch (header.type) {
	case PERF_RECORD_COMM:
		if (len < 2 * sizeof(words[0]))
			return false;
		memcpy(words, body, 2 * sizeof(words[0]));
		ret->comm.pid = known_pid(words[0]);
		ret->comm.tid = known_pid(words[1]);
		len -= 2 * sizeof(words[0]);
		if (len >= sizeof(ret->comm.name))
			len = sizeof(ret->comm.name) - 1;
		memcpy(ret->comm.name, body + 2 * sizeof(words[0]), len);
		return true;
	case PERF_RECORD_FORK:
	case PERF_RECORD_EXIT:
		if (len < sizeof(words) + sizeof(uint64_t))
			return false;
		memcpy(words, body, sizeof(words));
		ret->task.pid = known_pid(words[0]);
		ret->task.parent = known_pid(words[1]);
		ret->task.tid = known_pid(words[2]);
		return true;
	case PERF_RECORD_NAMESPACES:
		return parse_namespaces(body, len, ret);
	case PERF_RECORD_LOST:
		if (len < sizeof(longs))
			return false;
		memcpy(longs, body, sizeof(longs));
		ret->lost = longs[1];
		return true;
	default:
		return false;
	}
}
