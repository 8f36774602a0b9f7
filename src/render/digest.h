/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_RENDER_DIGEST_H
#define PCATCH_RENDER_DIGEST_H

#include "../analyse/findings.h"
#include "../buf.h"

/*
 * The essence of a report, in a bounded number of bytes: what goes back into the dump for those
 * who list reports and for collectors that do not analyse.
 */

struct digest_note {
	const char *key; /* static */
	char *value;
};

struct digest {
	struct arena arena;
	/*
	 * A JSON object, schema "pcatch.digest/1": id, time, process (pid, comm, role), end, cause,
	 * confidence, summary, signature (a hash or null), stack (lines, innermost first).
	 */
	struct buf json;
	LIST(struct digest_note) notes; /* the same for annotations: short texts by name */
};

struct error *render_digest(const struct findings *findings, struct digest *ret)
	__attribute__((warn_unused_result));
void digest_deinit(struct digest *digest);

#endif
