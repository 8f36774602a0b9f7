/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_TESTS_FUZZ_H
#define PCATCH_TESTS_FUZZ_H

#include "target/snapshot.h"

/*
 * A fuzzer is one program with this function, which is given bytes of anybody's making: whatever
 * they are it returns 0, in bounded time and memory. libFuzzer calls it (scripts/fuzz), or
 * replay.c with each file that it is given.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Everything that a report on SNAPSHOT takes, in each form that there is. */
void fuzz_report(const struct snapshot *snapshot);

/* A descriptor of a file with SIZE bytes DATA in it. */
int fuzz_file(const uint8_t *data, size_t size);

#endif
