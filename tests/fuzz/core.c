/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A core file of anybody's making, from its first byte to the whole report. */
#include "fuzz.h"
#include "store/core.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct snapshot snapshot;

	if (!core_is(data, size) || error_drop(core_read(data, size, &snapshot)))
		return 0;
	fuzz_report(&snapshot);
	snapshot_deinit(&snapshot);
	return 0;
}
