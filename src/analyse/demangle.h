/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_ANALYSE_DEMANGLE_H
#define PCATCH_ANALYSE_DEMANGLE_H

#include <stdbool.h>

/*
 * The name that the programmer wrote for linker symbol NAME: C++ (Itanium ABI), Rust (legacy and
 * v0). Malloc'ed; NULL when NAME is not mangled, makes no sense or would grow without measure:
 * then NAME itself is what there is to show.
 */
char *demangle(const char *name) __attribute__((warn_unused_result));

/*
 * A name of C++ was met, and the C++ run-time library, which can read them, is not installed. It is
 * loaded when the first one is met: it takes more than a megabyte of a process that has loaded
 * it, and pcatch waits for weeks.
 */
bool demangle_lacks_cxx(void);

#endif
