/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_LIVE_PERF_H
#define PCATCH_LIVE_PERF_H

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../error.h"

/*
 * Events of the kernel, perf_event_open(2): descriptors, the rings that records are put into,
 * tracepoints by name.
 */

/* ATTR's size is set. What the kernel says is an error with its errno (EACCES, EPERM: no right). */
struct error *perf_open(struct perf_event_attr *attr, pid_t pid, int cpu, int *ret)
	__attribute__((warn_unused_result));

/* A tracepoint's number and where its fields lie in the raw data, as its format file says. */
#define TRACEPOINT_FIELDS 24

struct tracepoint {
	uint64_t id;
	struct tracepoint_field {
		char name[32];
		unsigned offset, size;
		bool is_signed;
	} fields[TRACEPOINT_FIELDS];
	unsigned n_fields;
};

/*
 * The tracepoint NAME, "signal/signal_generate", from tracefs where it is mounted; where it is not,
 * through a mount of our own that no path leads to and that ends with this call. ERROR_DENIED and
 * ERROR_UNSUPPORTED say what stands in the way.
 */
struct error *tracepoint_find(const char *name, struct tracepoint *ret)
	__attribute__((warn_unused_result));

/* TEXT is what a format file holds. ERROR_INPUT when it makes no sense. */
struct error *tracepoint_parse(const char *text, struct tracepoint *ret)
	__attribute__((warn_unused_result));

/* The integer FIELD of the raw data of a sample; false when there is no such field in it. */
bool tracepoint_value(const struct tracepoint *tracepoint, const char *field, const void *raw,
		      size_t len, int64_t *ret);

/*
 * A ring of records. Events whose sample_type is PERF_SAMPLE_TID | PERF_SAMPLE_TIME |
 * PERF_SAMPLE_RAW with sample_id_all give records that perf_record_parse() understands.
 */
struct perf_ring {
	struct perf_event_mmap_page *page; /* NULL: none */
	size_t size; /* of the data */
};

/* Largest record there is: its size is 16 bits wide. */
#define PERF_RECORD_MAX 65536

/* PAGES, a power of two, of data behind the event FD, which must stay open. */
struct error *perf_ring_init(struct perf_ring *ring, int fd, unsigned pages)
	__attribute__((warn_unused_result));
void perf_ring_deinit(struct perf_ring *ring);

/* Take the oldest record out of the ring into RET (PERF_RECORD_MAX bytes). 0: there is none. */
size_t perf_ring_next(struct perf_ring *ring, void *ret);

struct perf_record {
	uint32_t type; /* PERF_RECORD_* */
	uint16_t misc;
	pid_t pid, tid; /* who was running, in our pid namespace; 0: outside of it */
	int64_t at;	/* the event's clock */
	union {
		struct {
			const void *data;
			size_t len;
		} raw; /* SAMPLE */
		struct {
			pid_t pid, tid;
			char name[16];
		} comm;
		struct {
			pid_t pid, parent, tid;
		} task; /* FORK, EXIT */
		struct {
			pid_t pid, tid;
			uint64_t inode; /* of the pid namespace; 0: unknown */
		} namespaces;
		uint64_t lost;
	};
};

/* False for what is cut short, or of a type that is not in the union. RET borrows DATA. */
bool perf_record_parse(const void *data, size_t len, struct perf_record *ret);

#endif
