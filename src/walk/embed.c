/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "embed.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "../cleanup.h"

struct candidate {
	size_t index; /* of the module */
	size_t words; /* of the stacks that point into its code */
};

static void count_word(const struct snapshot *snapshot, struct candidate *candidates, taddr at)
{
	const struct module *module = snapshot_module_at(snapshot, at);
	const struct mapping *mapping = module ? snapshot_mapping_at(snapshot, at) : NULL;

	if (mapping && mapping->permissions[2] == 'x')
		candidates[module - snapshot->modules.v].words++;
}

static void count_stack(const struct snapshot *snapshot, const struct mem *mem,
			const struct thread *thread, struct candidate *candidates)
{
	taddr low = snapshot->modules.v[0].start, high = low;
	uint64_t words[512];

	for (size_t i = 0; i < snapshot->modules.n; i++) {
		const struct module *module = &snapshot->modules.v[i];

		low = module->start < low ? module->start : low;
		high = module->end > high ? module->end : high;
	}
	for (taddr at = (thread->stack_start + 7) & ~(taddr)7; at < thread->stack_end;) {
		taddr left = thread->stack_end - at;
		size_t n = mem_read_some(mem, at, words, left < sizeof(words) ? left : sizeof(words)) / 8;

		for (size_t i = 0; i < n; i++) {
			taddr word = le64toh(words[i]);

			if (word >= low && word < high)
				count_word(snapshot, candidates, word);
		}
		if (!n)
			return;
		at += n * 8;
	}
}

static int most_words_first(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->words != y->words)
		return x->words > y->words ? -1 : 1;
	return x->index < y->index ? -1 : 1;
}

static struct error *keep(struct snapshot *snapshot, const struct image *image, taddr at, size_t len)
{
	void *data = arena_alloc(&snapshot->arena, len ? len : 1);

	if (!data)
		return error_nomem();
	return snapshot_add_memory(snapshot, at, data, image_read(image, at, data, len));
}

// What a file has to say about unwinding, all of it or, when it is longer than *LEFT, nothing.
static struct error *embed(struct snapshot *snapshot, const struct module *module,
			   const struct image *image, size_t *left)
{
	taddr frames;
	uint64_t frames_len;

	if (!image->eh_frame_hdr || !image_section(image, ".eh_frame", &frames, &frames_len) ||
	    image->eh_frame_hdr_len > *left || frames_len > *left ||
	    TARGET_PAGE + image->eh_frame_hdr_len + frames_len > *left)
		return NULL;
	*left -= TARGET_PAGE + image->eh_frame_hdr_len + frames_len;
	struct error *err = keep(snapshot, image, module->start, TARGET_PAGE);
	if (!err)
		err = keep(snapshot, image, image->eh_frame_hdr, image->eh_frame_hdr_len);
	return err ? err : keep(snapshot, image, frames, frames_len);
}

struct error *embed_unwind(struct snapshot *snapshot, enum embed mode)
{
	size_t n = snapshot->modules.n;
	size_t left = mode == EMBED_ALWAYS ? EMBED_BOUND_ALWAYS : EMBED_BOUND;
	_cleanup_(freep) struct candidate *candidates = calloc(n + 1, sizeof(*candidates));
	struct images images;

	if (mode == EMBED_NEVER || !n)
		return NULL;
	struct error *err = candidates ? images_init(&images, snapshot) : error_nomem();
	if (err)
		return err;
	for (size_t i = 0; i < n; i++)
		candidates[i].index = i;
	// A return address is a word of the stack, and a word that points into code mostly one. To
	// unwind first would be to know exactly, at the price of analysing outside of the sandbox.
	for (size_t i = 0; i < snapshot->threads.n; i++) {
		const struct thread *thread = &snapshot->threads.v[i];

		if (thread->regs.arch)
			count_word(snapshot, candidates, regs_pc(&thread->regs));
		count_stack(snapshot, &images.dump.mem, thread, candidates);
	}
	qsort(candidates, n, sizeof(*candidates), most_words_first);
	for (size_t i = 0; !err && i < n; i++) {
		const struct module *module = &snapshot->modules.v[candidates[i].index];

		if (mode == EMBED_AUTO && !candidates[i].words)
			break;
		if (module->in_memory || module->fd < 0)
			continue;
		const struct image *image = images_get(&images, candidates[i].index);
		if (image)
			err = embed(snapshot, module, image, &left);
	}
	images_deinit(&images);
	return err ? err : snapshot_settle_memory(snapshot);
}
