/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "../cleanup.h"
#include "image.h"

#define IMAGE_LARGEST_PAGE ((uint64_t)64 << 10) /* of the target, aarch64 has such */

enum { IMAGE_UNTRIED, IMAGE_OPEN, IMAGE_MISSING };

// How much of LEN bytes at AT, which the dump does not have, lies before what it has next.
static size_t until_dump(const struct snapshot *snapshot, taddr at, size_t len)
{
	size_t lo = 0, hi = snapshot->memory.n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (snapshot->memory.v[mid].at <= at)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo < snapshot->memory.n && snapshot->memory.v[lo].at - at < len)
		len = (size_t)(snapshot->memory.v[lo].at - at);
	return len;
}

static size_t files_read(const struct mem *mem, taddr at, void *ret, size_t len)
{
	struct images *images = (struct images *)container_of(mem, struct images, files);
	const struct snapshot *snapshot = images->snapshot;
	const struct mapping *mapping = snapshot_mapping_at(snapshot, at);

	// Where the target made its own copy writable, or mapped something over it, the file lies.
	if (snapshot->mappings.n && (!mapping || mapping->permissions[1] == 'w'))
		return 0;
	size_t index;
	const struct image *image = images_at(images, at, &index);
	if (!image || (mapping && mapping->inode != snapshot->modules.v[index].inode))
		return 0;
	if (mapping && len > mapping->end - at)
		len = (size_t)(mapping->end - at);
	// The dump comes first for each byte: code that was patched is there as it was.
	return image_read(image, at, ret, until_dump(snapshot, at, len));
}

struct error *images_init(struct images *images, const struct snapshot *snapshot)
{
	size_t n = snapshot->modules.n;

	*images = (struct images){ .snapshot = snapshot, .files.read = files_read };
	snapshot_mem(snapshot, &images->dump);
	images->layers[0] = &images->dump.mem;
	images->layers[1] = &images->files;
	mem_layers_init(&images->mem, images->layers, ARRAY_SIZE(images->layers));
	images->v = calloc(n + 1, sizeof(*images->v));
	images->state = calloc(n + 1, sizeof(*images->state));
	images->errors = calloc(n + 1, sizeof(struct error *));
	if (!images->v || !images->state || !images->errors) {
		images_deinit(images);
		return error_nomem();
	}
	return NULL;
}

void images_deinit(struct images *images)
{
	for (size_t i = 0; images->snapshot && i < images->snapshot->modules.n; i++) {
		if (images->state && images->state[i] == IMAGE_OPEN)
			image_close(&images->v[i]);
		if (images->errors)
			error_free(images->errors[i]);
	}
	free(images->v);
	free(images->state);
	free(images->errors);
	*images = (struct images){};
}

// Put IMAGE where the mapping of its code says it is. A module's lowest mapping may be something
// else, such as the file mapped once more to be read.
static void place_by_code(struct image *image, const struct snapshot *snapshot,
			  const struct module *module)
{
	for (size_t i = 0; i < snapshot->mappings.n; i++) {
		const struct mapping *m = &snapshot->mappings.v[i];

		if (m->start >= module->end)
			return;
		if (m->start < module->start || m->permissions[2] != 'x' ||
		    strcmp(m->name, module->path))
			continue;
		for (size_t k = 0; k < image->loads.n; k++) {
			const struct image_segment *load = &image->loads.v[k];
			bool inside = m->offset < load->offset ?
					      load->offset - m->offset < IMAGE_LARGEST_PAGE :
					      m->offset - load->offset < load->filesz;

			if (!(load->flags & PF_X) || !inside)
				continue;
			image_place(image, m->start - m->offset + load->offset - load->vaddr);
			return;
		}
	}
}

// What there is of a module whose file is missing: unwind information that the dump keeps, else the
// file with its debug information, else its first page.
static bool open_in_its_place(struct images *images, const struct module *module,
			      struct image *ret)
{
	struct image debug;
	uint8_t byte;
	bool embedded = !error_drop(image_open_embedded(module, &images->dump.mem, ret));

	if (embedded && image_read(ret, ret->eh_frame_hdr, &byte, 1))
		return true;
	if (error_drop(image_open_debug(module, images->snapshot->places, &debug)))
		return embedded;
	if (embedded)
		image_close(ret);
	*ret = debug;
	return true;
}

const struct image *images_get(struct images *images, size_t index)
{
	const struct snapshot *snapshot = images->snapshot;

	if (index >= snapshot->modules.n)
		return NULL;
	if (images->state[index] == IMAGE_UNTRIED) {
		const struct module *module = &snapshot->modules.v[index];
		struct image image;
		struct error *err = image_open(module, snapshot->places, &images->dump.mem,
					       &image);

		if (err) {
			images->errors[index] = err;
			images->state[index] = IMAGE_MISSING;
			if (module->in_memory || !open_in_its_place(images, module, &image))
				return NULL;
		}
		if (!module->in_memory && !image.debug_alone)
			place_by_code(&image, snapshot, module);
		images->v[index] = image;
		images->state[index] = IMAGE_OPEN;
	}
	return images->state[index] == IMAGE_OPEN ? &images->v[index] : NULL;
}

const struct image *images_at(struct images *images, taddr at, size_t *index_ret)
{
	const struct module *v = images->snapshot->modules.v;
	size_t index = images->last;

	if (!index || at < v[index - 1].start || at >= v[index - 1].end) {
		const struct module *module = snapshot_module_at(images->snapshot, at);

		if (!module)
			return NULL;
		index = (size_t)(module - v) + 1;
		images->last = index;
	}
	const struct image *image = images_get(images, index - 1);
	if (image && index_ret)
		*index_ret = index - 1;
	return image;
}
