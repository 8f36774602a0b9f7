/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_WALK_SONAME_H
#define PCATCH_WALK_SONAME_H

#include "../target/snapshot.h"

/*
 * Find the names that SNAPSHOT's modules give themselves, from the files that are held open, where
 * others know them by these (see struct module).
 */
struct error *soname_find(struct snapshot *snapshot) __attribute__((warn_unused_result));

#endif
