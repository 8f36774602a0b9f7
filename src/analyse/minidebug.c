/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "minidebug.h"

#include <lzma.h>
#include <stdint.h>

#include "../buf.h"
#include "../cleanup.h"

// The largest known are some MiB. xz asks for its dictionary, 64 MiB at its best level.
#define MAX_UNPACKED ((size_t)64 << 20)
#define MAX_MEMORY   ((uint64_t)100 << 20)

struct error *minidebug_unpack(const void *data, size_t len, void **ret, size_t *len_ret)
{
	lzma_stream stream = LZMA_STREAM_INIT;
	_cleanup_(buf_deinit) struct buf out = {};
	uint8_t chunk[16384];
	lzma_ret status;

	*ret = NULL;
	*len_ret = 0;
	status = lzma_stream_decoder(&stream, MAX_MEMORY, 0);
	if (status == LZMA_MEM_ERROR)
		return error_nomem();
	stream.next_in = data;
	stream.avail_in = len;
	while (status == LZMA_OK && out.len <= MAX_UNPACKED && !out.failed) {
		stream.next_out = chunk;
		stream.avail_out = sizeof(chunk);
		status = lzma_code(&stream, LZMA_FINISH);
		buf_add(&out, chunk, sizeof(chunk) - stream.avail_out);
	}
	lzma_end(&stream);
	if (out.failed || status == LZMA_MEM_ERROR)
		return error_nomem();
	if (status != LZMA_STREAM_END || out.len > MAX_UNPACKED || !out.len)
		return NULL;
	*len_ret = out.len;
	*ret = buf_steal(&out);
	return *ret ? NULL : error_nomem();
}
