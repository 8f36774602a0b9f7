/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_ANALYSE_TRACEBACK_H
#define PCATCH_ANALYSE_TRACEBACK_H

#include "findings.h"

/*
 * What the interpreter itself wrote last into the logs of FINDINGS->snapshot: the traceback of the
 * exception that nobody caught, a fatal error, the end of faulthandler's patience. Fills
 * findings->python.exception, fatal_error, logged_exception and watchdog, each of them left alone
 * when no log has it. Only text that the logs end with counts: what the program wrote on after
 * was not its end. A log has no owner, so this is what was read and no proof of whose it is.
 */
struct error *python_from_logs(struct findings *findings) __attribute__((warn_unused_result));

/* TEXT of a fatal error is faulthandler's name for a signal, not Py_FatalError's own text. */
bool fatal_error_is_signal(const char *text);

#endif
