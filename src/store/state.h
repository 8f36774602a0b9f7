/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_STORE_STATE_H
#define PCATCH_STORE_STATE_H

#include <jansson.h>

#include "../target/snapshot.h"

/*
 * A snapshot as JSON, except what a minidump has an exact place for: register sets, memory,
 * mappings, and the raw texts status, limits, maps, auxv, cpuinfo and os_release. A field's key is
 * its name in snapshot.h; 64-bit numbers beyond 2^53 are strings "0x1f" (two's complement), bytes
 * that are no UTF-8 are { "hex": "00ff" }, enumerators are names, absent strings and empty lists
 * have no key. Versions may add keys; a reader ignores what it does not know.
 */
struct error *state_encode(const struct snapshot *snapshot, json_t **ret)
	__attribute__((warn_unused_result));

/*
 * Put into SNAPSHOT, freshly initialised, what ROOT says. Any JSON may come: a value of the wrong
 * kind or out of range leaves its field as it was. Lists take at most BUDGET bytes; what is
 * beyond is cut off and becomes a gap.
 */
struct error *state_decode(const json_t *root, size_t budget, struct snapshot *snapshot)
	__attribute__((warn_unused_result));

#endif
