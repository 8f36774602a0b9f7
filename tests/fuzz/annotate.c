/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A dump on the disk into which a digest is put and read back, whatever else is in it. */
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "fuzz.h"
#include "store/annotate.h"
#include "store/minidump.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct annotation notes[] = { { "summary", "it was killed" }, { "id", "" } };
	_cleanup_(closep) int fd = fuzz_file(data, size);
	_cleanup_(buf_deinit) struct buf digest = {}, before = {}, after = {};

	buf_printf(&digest, "{\"schema\":\"pcatch.digest/1\"}");
	error_drop(minidump_digest(fd, &before));
	bool written = !error_drop(minidump_annotate(fd, &digest, notes, 2));
	// What was written has to be what is read.
	if (!error_drop(minidump_digest(fd, &after)) && written &&
	    (after.len < digest.len || memcmp(after.data, digest.data, digest.len)))
		abort();
	return 0;
}
