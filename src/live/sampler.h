/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_LIVE_SAMPLER_H
#define PCATCH_LIVE_SAMPLER_H

#include "../target/snapshot.h"

/*
 * What a process used, sample by sample, in bounded memory: when there is no more room, every
 * other sample is given up and the interval doubles, so the first and the latest always stay.
 */

#define SAMPLES_MAX 512

struct sampler {
	struct sample v[SAMPLES_MAX];
	size_t n;
	int64_t interval; /* nanoseconds; 0: takes none */
	int64_t next;	  /* CLOCK_MONOTONIC, when the next is due */
	int64_t last_cpu, last_at;
};

/* SECONDS between samples, 0 for none. */
void sampler_init(struct sampler *sampler, double seconds);

/* Take a sample of the process at PROC_DIR if one is due at NOW (CLOCK_MONOTONIC). Stops nothing. */
void sampler_take(struct sampler *sampler, int proc_dir, int64_t now);

/* Copy what there is into SNAPSHOT's timeline. */
struct error *sampler_copy(const struct sampler *sampler, struct snapshot *snapshot)
	__attribute__((warn_unused_result));

#endif
