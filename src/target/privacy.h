/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_TARGET_PRIVACY_H
#define PCATCH_TARGET_PRIVACY_H

#include "snapshot.h"

/*
 * Might one user, not root, have read all that a report on PROCESS holds while it lived? Then the
 * report may be that user's. So it is when it was dumpable, had one user and one group in all four
 * places, no capability, and had not come to any of that by a program that gives rights. Whatever
 * is not known speaks against it.
 */
bool process_is_users(const struct process *process, uid_t *ret);

#endif
