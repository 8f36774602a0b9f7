/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_LIVE_SAMPLER_H
#define PCATCH_LIVE_SAMPLER_H

#include "../target/snapshot.h"
#include "cgroup.h"

/*
 * What a process used, sample by sample, in bounded memory however long it takes: the newest stay as
 * they were taken, of older ones several become one that keeps the extremes of their memory. The first
 * always stays.
 */

#define SAMPLES_MAX    512
#define SAMPLES_RECENT 128

/* Something that takes long to ask for is asked for so seldom that it costs next to nothing. */
struct seldom {
	int64_t next; /* CLOCK_MONOTONIC */
};

struct sampler {
	struct sample v[SAMPLES_MAX];
	size_t n;
	unsigned step;	  /* how many older samples become one */
	int64_t interval; /* nanoseconds; 0: takes none */
	int64_t next;	  /* CLOCK_MONOTONIC, when the next is due */
	int64_t last_cpu, last_at;
	struct seldom pss, family;
};

/* SECONDS between samples, 0 for none. */
void sampler_init(struct sampler *sampler, double seconds);

/*
 * Take a sample of the process at PROC_DIR, in the control group PATH (NULL: unknown) of TREE, if one is
 * due at NOW (CLOCK_MONOTONIC). Stops nothing.
 */
void sampler_take(struct sampler *sampler, int proc_dir, const struct cgroup_tree *tree,
		  const char *path, int64_t now);

/* Put SAMPLE, which is newer than all others, among them. */
void sampler_add(struct sampler *sampler, const struct sample *sample);

/*
 * Copy what there is into SNAPSHOT's timeline, and as the last one what its texts of /proc say of the
 * moment of its capture.
 */
struct error *sampler_copy(const struct sampler *sampler, struct snapshot *snapshot)
	__attribute__((warn_unused_result));

#endif
