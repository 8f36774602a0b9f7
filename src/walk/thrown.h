/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_WALK_THROWN_H
#define PCATCH_WALK_THROWN_H

#include "image.h"

/*
 * The C++ exception that a thread is handling: after std::terminate() the one that nobody caught.
 * libstdc++, as a library or linked into whatever module, keeps it in a variable of the thread and
 * marks it with its name, so no symbols are needed to find it. libc++abi's is not looked for: it may
 * be behind a pthread key, as Debian's is.
 */
struct thrown {
	char *type; /* as its type_info has it, without the leading _Z: "St13runtime_error" */
	char *what; /* cleaned; NULL when the exception has no what() of which the text is kept */
};

/*
 * What the thread with registers REGS has, in ARENA; RET->type is NULL when there is none, or
 * several copies of libstdc++ each have one. PROBE serves to look around; everything that the
 * answer rests on is read through MEM, the same or a recorder above it.
 */
struct error *thrown_find(struct images *images, const struct mem *probe, const struct mem *mem,
			  const struct regs *regs, struct arena *arena, struct thrown *ret)
	__attribute__((warn_unused_result));

#endif
