/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "findings.h"

#include "../cleanup.h"

static const char *const causes[] = {
	[CAUSE_CLEAN_EXIT] = "clean-exit",
	[CAUSE_EXIT_CODE] = "exit-code",
	[CAUSE_OS_EXIT] = "os-exit",
	[CAUSE_UNCAUGHT_EXCEPTION] = "uncaught-exception",
	[CAUSE_GRACEFUL_SHUTDOWN] = "graceful-shutdown",
	[CAUSE_NATIVE_CRASH] = "native-crash",
	[CAUSE_STACK_OVERFLOW] = "stack-overflow",
	[CAUSE_ABORT] = "abort",
	[CAUSE_PYTHON_FATAL_ERROR] = "python-fatal-error",
	[CAUSE_BAD_SYSTEM_CALL] = "bad-system-call",
	[CAUSE_OUT_OF_MEMORY] = "out-of-memory",
	[CAUSE_KILLED_BY_PROCESS] = "killed-by-process",
	[CAUSE_KILLED_BY_SUPERVISOR] = "killed-by-supervisor",
	[CAUSE_KILLED_FROM_OUTSIDE] = "killed-from-outside",
	[CAUSE_KILLED_BY_UNKNOWN] = "killed-by-unknown",
	[CAUSE_TERMINATED_BY_SIGNAL] = "terminated-by-signal",
	[CAUSE_BROKEN_PIPE] = "broken-pipe",
	[CAUSE_TERMINAL_HANGUP] = "terminal-hangup",
	[CAUSE_PARENT_DEATH] = "parent-death",
	[CAUSE_RESOURCE_LIMIT] = "resource-limit",
	[CAUSE_TIMER_EXPIRED] = "timer-expired",
	[CAUSE_ALIVE] = "alive",
	[CAUSE_VANISHED] = "vanished",
	[CAUSE_UNKNOWN] = "unknown",
};

static const char *const trend_whats[] = {
	[TREND_MEMORY] = "memory", [TREND_FILES] = "open-files", [TREND_THREADS] = "threads",
	[TREND_CPU] = "cpu",	   [TREND_PRESSURE] = "pressure", [TREND_PAGING] = "paging",
};

static const char *const trend_shapes[] = {
	[TREND_GREW] = "grew",		 [TREND_SHRANK] = "shrank",
	[TREND_STEADY] = "steady",	 [TREND_SAWTOOTH] = "sawtooth",
	[TREND_GREW_THEN_FLAT] = "grew-then-flat", [TREND_JUMPED] = "jumped",
	[TREND_HIGH] = "high",
};

static const char *const fault_classes[] = {
	[FAULT_NULL_POINTER] = "null-pointer",
	[FAULT_NULL_POINTER_OFFSET] = "null-pointer-offset",
	[FAULT_STACK_OVERFLOW] = "stack-overflow",
	[FAULT_WILD_POINTER] = "wild-pointer",
	[FAULT_NON_CANONICAL] = "non-canonical",
	[FAULT_FREED_OR_POISONED] = "freed-or-poisoned",
	[FAULT_WRITE_TO_READ_ONLY] = "write-to-read-only",
	[FAULT_EXECUTE_NON_EXECUTABLE] = "execute-non-executable",
	[FAULT_BUS_PAST_END_OF_FILE] = "bus-past-end-of-file",
	[FAULT_MISALIGNED] = "misaligned",
	[FAULT_DIVIDE_BY_ZERO] = "divide-by-zero",
	[FAULT_ILLEGAL_INSTRUCTION] = "illegal-instruction",
	[FAULT_TRAP] = "trap",
	[FAULT_BAD_SYSTEM_CALL] = "bad-system-call",
	[FAULT_ABORT] = "abort",
	[FAULT_OTHER] = "other",
};

static const char *const confidences[] = {
	[CERTAIN] = "certain",
	[LIKELY] = "likely",
	[POSSIBLE] = "possible",
	[CONFIDENCE_UNKNOWN] = "unknown",
};

void findings_deinit(struct findings *findings)
{
	arena_deinit(&findings->arena);
	*findings = (struct findings){};
}

const char *cause_name(enum cause cause)
{
	return causes[cause];
}

const char *fault_class_name(enum fault_class class)
{
	return fault_classes[class];
}

const char *confidence_name(enum confidence confidence)
{
	return confidences[confidence];
}

const char *trend_what_name(enum trend_what what)
{
	return trend_whats[what];
}

const char *trend_shape_name(enum trend_shape shape)
{
	return trend_shapes[shape];
}

static const char *const relations[] = {
	[RELATION_UNKNOWN] = "",
	[RELATION_SELF] = "",
	[RELATION_PARENT] = ", its parent",
	[RELATION_CHILD] = ", its child",
	[RELATION_SIBLING] = ", its sibling",
	[RELATION_ANCESTOR] = ", its ancestor",
	[RELATION_OTHER] = "",
};

const char *relation_words(enum sender_relation relation)
{
	return (size_t)relation < ARRAY_SIZE(relations) ? relations[relation] : "";
}
