/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "packed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "../cleanup.h"
#include "file.h"

bool packed_is(const void *data, size_t len)
{
	static const uint8_t magic[] = { 0x28, 0xb5, 0x2f, 0xfd };

	return len >= sizeof(magic) && !memcmp(data, magic, sizeof(magic));
}

static int open_unnamed(void)
{
	const char *dir = getenv("TMPDIR");

	return open(dir && *dir ? dir : "/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

static struct error *expand(ZSTD_DStream *stream, ZSTD_inBuffer *in, uint64_t max, int fd,
			    uint64_t *size)
{
	size_t room = ZSTD_DStreamOutSize();
	_cleanup_(freep) uint8_t *chunk = malloc(room);
	bool more = true;

	if (!chunk)
		return error_nomem();
	while (more) {
		ZSTD_outBuffer out = { .dst = chunk, .size = room };
		size_t before = in->pos, left = ZSTD_decompressStream(stream, &out, in);

		if (ZSTD_isError(left))
			return error_new(ERROR_INPUT, "its zstd compression is damaged at byte %zu: %s",
					 in->pos, ZSTD_getErrorName(left));
		if (out.pos > max - *size)
			return error_new(ERROR_INPUT, "it unpacks to more than %llu bytes",
					 (unsigned long long)max);
		if (file_write_sparse(fd, *size, chunk, out.pos))
			return error_errno(errno, "cannot unpack it to $TMPDIR or /var/tmp");
		*size += out.pos;
		// Nothing more comes of what is there: the end, or where the file was cut.
		more = out.pos || in->pos > before;
	}
	return NULL;
}

struct error *packed_expand(const void *data, size_t len, uint64_t max, int *ret,
			    uint64_t *size_ret)
{
	_cleanup_(closep) int fd = open_unnamed();
	ZSTD_inBuffer in = { .src = data, .size = len };
	uint64_t size = 0;

	if (fd < 0)
		return error_errno(errno, "cannot make a file in $TMPDIR or /var/tmp to unpack it to");
	ZSTD_DStream *stream = ZSTD_createDStream();
	if (!stream)
		return error_nomem();
	struct error *err = expand(stream, &in, max, fd, &size);
	ZSTD_freeDStream(stream);
	if (!err && ftruncate(fd, (off_t)size))
		err = error_errno(errno, "cannot unpack it to $TMPDIR or /var/tmp");
	if (err)
		return err;
	*ret = TAKE_FD(fd);
	*size_ret = size;
	return NULL;
}

struct packer {
	ZSTD_CCtx *context;
	int fd;
	const char *path;
	uint64_t size; // of the file
	size_t room;
	uint8_t chunk[];
};

struct error *packer_create(int fd, const char *path, struct packer **ret)
{
	size_t room = ZSTD_CStreamOutSize();
	struct packer *p = malloc(sizeof(*p) + room);
	ZSTD_CCtx *context = p ? ZSTD_createCCtx() : NULL;

	if (!context) {
		free(p);
		return error_nomem();
	}
	*p = (struct packer){ .context = context, .fd = fd, .path = path, .room = room };
	// So that who unpacks it knows that it is what was packed.
	ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
	*ret = p;
	return NULL;
}

void packer_destroy(struct packer *packer)
{
	if (packer)
		ZSTD_freeCCtx(packer->context);
	free(packer);
}

static struct error *pack(struct packer *p, const void *data, size_t len, ZSTD_EndDirective what)
{
	ZSTD_inBuffer in = { .src = data, .size = len };
	size_t left;

	do {
		ZSTD_outBuffer out = { .dst = p->chunk, .size = p->room };

		left = ZSTD_compressStream2(p->context, &out, &in, what);
		if (ZSTD_isError(left))
			return error_new(ERROR_SYSTEM, "cannot compress %s: %s", p->path,
					 ZSTD_getErrorName(left));
		if (file_write_at(p->fd, p->size, p->chunk, out.pos))
			return error_errno(errno, "cannot write %s", p->path);
		p->size += out.pos;
	} while (what == ZSTD_e_end ? left > 0 : in.pos < in.size);
	return NULL;
}

struct error *packer_add(struct packer *packer, const void *data, size_t len)
{
	return pack(packer, data, len, ZSTD_e_continue);
}

struct error *packer_finish(struct packer *packer)
{
	return pack(packer, NULL, 0, ZSTD_e_end);
}
