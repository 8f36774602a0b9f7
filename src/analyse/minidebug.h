/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_ANALYSE_MINIDEBUG_H
#define PCATCH_ANALYSE_MINIDEBUG_H

#include <stddef.h>

#include "../error.h"

/*
 * MiniDebugInfo: what Fedora and its kin leave in a stripped file's section .gnu_debugdata, a whole
 * ELF file packed by xz that has the symbols of those functions which the dynamic table lacks.
 *
 * Unpack LEN bytes at DATA into memory that the caller frees. Bytes that are no xz stream, end too
 * early or unpack to more than they reasonably may are no error: *RET is NULL then.
 */
struct error *minidebug_unpack(const void *data, size_t len, void **ret, size_t *len_ret)
	__attribute__((warn_unused_result));

#endif
