/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Gives each file named on its command line to the fuzzer that it is linked with. */
#include <stdio.h>

#include "buf.h"
#include "cleanup.h"
#include "fuzz.h"

static bool replay(const char *path)
{
	_cleanup_(buf_deinit) struct buf data = {};
	FILE *file = fopen(path, "re");
	uint8_t block[4096];

	if (!file) {
		perror(path);
		return false;
	}
	for (size_t n; (n = fread(block, 1, sizeof(block), file));)
		buf_add(&data, block, n);
	bool whole = !ferror(file) && !data.failed;
	fclose(file);
	// Which one it was must be known when it does not come back.
	fprintf(stderr, "%s\n", path);
	if (whole)
		LLVMFuzzerTestOneInput(data.data, data.len);
	return whole;
}

int main(int argc, char **argv)
{
	bool good = argc > 1;

	for (int i = 1; i < argc; i++)
		good = replay(argv[i]) && good;
	return good ? 0 : 1;
}
