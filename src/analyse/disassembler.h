/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_ANALYSE_DISASSEMBLER_H
#define PCATCH_ANALYSE_DISASSEMBLER_H

#include <capstone/capstone.h>

#include "../error.h"

/*
 * capstone's functions, loaded when an instruction is looked at. Its tables for every processor
 * take three megabytes of a process that has loaded it, and pcatch waits for weeks before it needs
 * two of them once.
 */
struct disassembler {
	__typeof__(cs_open) *open;
	__typeof__(cs_close) *close;
	__typeof__(cs_option) *option;
	__typeof__(cs_strerror) *strerror;
	__typeof__(cs_malloc) *malloc;
	__typeof__(cs_free) *free;
	__typeof__(cs_disasm) *disasm;
	__typeof__(cs_disasm_iter) *disasm_iter;
	__typeof__(cs_reg_name) *reg_name;
};

/* Loads it when this is the first call. ERROR_UNSUPPORTED where the library is missing. */
struct error *disassembler_load(const struct disassembler **ret) __attribute__((warn_unused_result));

#endif
