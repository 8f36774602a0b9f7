// SPDX-License-Identifier: GPL-3.0-or-later
// render-sample CASE FORMAT: a report about findings made by hand; without arguments the cases.
#include <stdio.h>

#include "buf.h"
#include "cleanup.h"
#include "samples.h"

int main(int argc, char **argv)
{
	struct sample_findings sample;

	if (argc != 3) {
		for (size_t i = 0; i < n_sample_cases; i++)
			puts(sample_cases[i].name);
		return argc == 1 ? 0 : 2;
	}
	sample_init(&sample, argv[1]);
	_cleanup_(buf_deinit) struct buf out = sample_render(&sample, argv[2]);
	sample_deinit(&sample);
	return fwrite(out.data, 1, out.len, stdout) == out.len && !fflush(stdout) ? 0 : 1;
}
