/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fuzz.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "analyse/analyse.h"
#include "cleanup.h"
#include "render/digest.h"
#include "render/render.h"

static void findings_report(const struct findings *findings)
{
	_cleanup_(buf_deinit) struct buf text = {}, summary = {}, json = {}, html = {};
	struct digest digest = {};

	error_drop(render_text(findings, true, &text));
	error_drop(render_summary(findings, false, &summary));
	error_drop(render_json(findings, NULL, &json));
	error_drop(render_html(findings, &html));
	if (!error_drop(render_digest(findings, &digest)))
		digest_deinit(&digest);
}

void fuzz_report(const struct snapshot *snapshot)
{
	struct findings findings;

	if (error_drop(analyse(snapshot, &findings)))
		return;
	findings_report(&findings);
	findings_deinit(&findings);
}

int fuzz_file(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	for (size_t done = 0; done < size;) {
		ssize_t n = write(fd, data + done, size - done);

		if (n <= 0)
			abort();
		done += (size_t)n;
	}
	return fd;
}
