/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_CAPTURE_STORY_H
#define PCATCH_CAPTURE_STORY_H

#include "../live/senders.h"
#include "../target/snapshot.h"

/*
 * The kernel's own records of the signals that were sent to a process, put together with what was
 * seen of them when they came: who sent the SIGKILL, which nobody sees come; who had gone before it
 * could be looked up; and which requests to stop never came at all, since they were blocked.
 */

/*
 * SENT are the signals sent to the process, PASSED those sent to us that we passed on (empty when
 * we do not). Complete death.sender, death.info and death.earlier of SNAPSHOT, whose arena holds
 * both lists.
 */
struct error *story_complete(struct snapshot *snapshot, const sents *sent, const sents *passed)
	__attribute__((warn_unused_result));

#endif
