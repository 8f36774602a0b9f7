/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A minidump of anybody's making, from its first byte to the whole report. */
#include "fuzz.h"
#include "store/minidump.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct snapshot snapshot;

	if (error_drop(minidump_read(data, size, &snapshot)))
		return 0;
	fuzz_report(&snapshot);
	snapshot_deinit(&snapshot);
	return 0;
}
