/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_RENDER_OUT_H
#define PCATCH_RENDER_OUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "../arena.h"
#include "../target/snapshot.h"

/*
 * JSON on its way out: text of any bytes as valid UTF-8, unknowns as null. A failure for lack of
 * memory is kept here and asked for once at the end; everything may be called after it. All that
 * is returned is a new reference, and VALUE is always taken.
 */
struct out {
	struct arena arena; /* for words on their way; may go before the JSON does */
	bool failed;
};

void out_put(struct out *o, json_t *object, const char *key, json_t *value);
void out_append(struct out *o, json_t *array, json_t *value);

/* NULL becomes null. */
json_t *out_string(const char *text);
json_t *out_address(uint64_t at);
/* Negative stands for unknown, and becomes null. */
json_t *out_number(int64_t value);
/* AT in ns since 1970; null when it is 0. */
json_t *out_time(struct out *o, int64_t at);
json_t *out_strings(struct out *o, const strings *list);
json_t *out_process(struct out *o, const struct process_ref *ref);
json_t *out_processes(struct out *o, const process_refs *refs);

void out_put_string(struct out *o, json_t *object, const char *key, const char *text);
/* Nothing when TEXT is NULL. */
void out_put_known(struct out *o, json_t *object, const char *key, const char *text);
/* Where the schema has no null: 0, for unknown, becomes 1970. */
void out_put_time(struct out *o, json_t *object, const char *key, int64_t at);
/* The word for the signal, as "SIGTERM". */
void out_put_signal(struct out *o, json_t *object, const char *key, int signo);

#endif
