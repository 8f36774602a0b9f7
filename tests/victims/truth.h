/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_VICTIMS_TRUTH_H
#define PCATCH_VICTIMS_TRUTH_H

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Say what is about to happen as one line of JSON on stdout: pid, tid, and the members that FMT
 * makes, which begins with a comma or is empty. Then wait until stdin has a byte or is at its
 * end: whoever wants to attach first keeps it open.
 */
static inline void truth(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static inline void truth(const char *fmt, ...)
{
	char line[4096];
	int len = snprintf(line, sizeof(line), "{\"pid\": %d, \"tid\": %ld", (int)getpid(),
			   syscall(SYS_gettid));

	va_list args;
	va_start(args, fmt);
	len += vsnprintf(line + len, sizeof(line) - len, fmt, args);
	va_end(args);
	len += snprintf(line + len, sizeof(line) - len, "}\n");
	if (write(1, line, len) != len)
		_exit(99);

	char byte;
	if (read(0, &byte, 1) < 0)
		_exit(98);
}

/* The usual truth about a fault: where, and at which address. */
static inline void truth_fault(const char *function, const volatile void *address)
{
	truth(", \"function\": \"%s\", \"address\": \"0x%llx\"", function,
	      (unsigned long long)(uintptr_t)address);
}

/* For calls whose failure would make the victim a liar. */
#define MUST(x)                                        \
	do {                                           \
		if (!(x)) {                            \
			perror(#x);                    \
			_exit(97);                     \
		}                                      \
	} while (0)

#endif
