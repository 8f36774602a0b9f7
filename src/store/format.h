/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef PCATCH_STORE_FORMAT_H
#define PCATCH_STORE_FORMAT_H

#include <stdbool.h>

/* Numbers of the minidump format that its writer and its reader share. */

#define MD_SIGNATURE 0x504d444du
#define MD_VERSION   0xa793u

enum {
	MD_HEADER_SIZE = 32,
	MD_ENTRY_SIZE = 12, /* of the stream directory */
	MD_THREAD_SIZE = 48,
	MD_MODULE_SIZE = 108,
	MD_MEMORY_SIZE = 16,
	MD_NAME_SIZE = 12,
	MD_SYSTEM_INFO_SIZE = 56,
	MD_EXCEPTION_SIZE = 168,
	MD_MEMORY_INFO_SIZE = 48,
};

enum {
	MD_THREAD_LIST = 3,
	MD_MODULE_LIST = 4,
	MD_MEMORY_LIST = 5,
	MD_EXCEPTION = 6,
	MD_SYSTEM_INFO = 7,
	MD_MEMORY64_LIST = 9,
	MD_HANDLE_DATA = 12,
	MD_MISC_INFO = 15,
	MD_MEMORY_INFO_LIST = 16,
	MD_THREAD_NAMES = 24,
	MD_CRASHPAD_INFO = 0x43500001,
	MD_BREAKPAD_INFO = 0x47670001,
	MD_CPU_INFO = 0x47670003,
	MD_PROC_STATUS = 0x47670004,
	MD_LSB_RELEASE = 0x47670005,
	MD_CMD_LINE = 0x47670006,
	MD_ENVIRON = 0x47670007,
	MD_AUXV = 0x47670008,
	MD_MAPS = 0x47670009,
	MD_DSO_DEBUG = 0x4767000a,
	MD_LIMITS = 0x4d7a0003,
	MD_SOFT_ERRORS = 0x4d7a0004, /* free JSON, which rust-minidump prints */
};

#define MD_PLATFORM_LINUX   0x8201u
#define MD_PLATFORM_ANDROID 0x8203u

/* MemoryInfoList's states and types. */
#define MD_MEM_COMMIT  0x1000u
#define MD_MEM_PRIVATE 0x20000u
#define MD_MEM_MAPPED  0x40000u
#define MD_MEM_IMAGE   0x1000000u

#define MD_DUMP_REQUESTED 0xffffffffu /* exception code of a dump that no signal caused */

#define MD_CV_BUILD_ID 0x4270454cu /* "LEpB": raw build id */
#define MD_CV_PDB70    0x53445352u /* "RSDS": GUID, age, name */

/* How Crashpad and Breakpad call the vDSO. */
#define MD_VDSO_NAME "linux-gate.so"

/*
 * lldb waits for ever when it loads a dump or a core whose exception is a signal that it does not
 * stop on: SIGALRM, SIGCHLD, SIGCONT, SIGPROF and the real-time ones.
 */
static inline bool lldb_stops_on(int signo)
{
	return signo > 0 && signo < 32 && signo != 14 && signo != 17 && signo != 18 && signo != 27;
}

#endif
