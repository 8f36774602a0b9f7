/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pyend.h"

#include <endian.h>
#include <string.h>

#include "pylayout.h"

// An executable of another name may contain an interpreter, but is not held for long to find out.
#define QUICK_SIZE ((uint64_t)16 << 20)

static bool is_candidate(const struct snapshot *snapshot, size_t index,
			 const struct python_hint *hint)
{
	const char *path = snapshot->modules.v[index].path;

	if (hint->found)
		return hint->module && !strcmp(path, hint->module);
	return index == 0 || strstr(path_basename(path), "python");
}

static bool is_quick(const struct image *image, const struct module *module,
		     const struct python_hint *hint)
{
	return hint->found || image->size <= QUICK_SIZE ||
	       strstr(path_basename(module->path), "python");
}

// PY_VERSION_HEX as the interpreter has it in its constants from 3.11 on, 0 before.
static unsigned version_of(const struct image *image)
{
	uint64_t version;
	taddr at;

	if (!image_symbol(image, "Py_Version", &at, NULL) ||
	    image_read(image, at, &version, sizeof(version)) != sizeof(version))
		return 0;
	return (unsigned)le64toh(version);
}

static unsigned find_finalizers(const struct image *image, taddr ret[PY_FINALIZERS])
{
	// Up to 3.12 all ways lead to the first; since then each of them takes down by itself.
	static const char *const names[PY_FINALIZERS] = { "Py_FinalizeEx", "Py_Finalize",
							  "Py_Exit" };
	unsigned n = 0;
	bool all = version_of(image) >= PY_VERSION(3, 13);

	for (unsigned i = 0; i < PY_FINALIZERS && (all || n == 0); i++)
		n += image_symbol(image, names[i], &ret[n], NULL);
	return n;
}

void python_finalizers(struct images *images, const struct python_hint *hint,
		       taddr ret[PY_FINALIZERS])
{
	const struct snapshot *snapshot = images->snapshot;
	unsigned n = 0;

	memset(ret, 0, PY_FINALIZERS * sizeof(*ret));
	for (size_t i = 0; !n && i < snapshot->modules.n; i++) {
		const struct image *image =
			is_candidate(snapshot, i, hint) ? images_get(images, i) : NULL;

		if (image && is_quick(image, &snapshot->modules.v[i], hint))
			n = find_finalizers(image, ret);
	}
}

bool python_is_gone(const struct mem *mem, const struct python_hint *hint)
{
	const struct py_layout *row = hint->found ? py_layout_row(hint->version) : NULL;
	taddr head;

	if (!row)
		return false;
	struct py_layout py = *row;
	// Without what it publishes the row still holds, as everywhere.
	error_drop(py_layout_read_published(mem, hint->runtime, &py));
	uint32_t offset = py.offsets.runtime_head == PY_NONE ? 0 : py.offsets.runtime_head;
	return !error_drop(mem_u64(mem, hint->runtime + offset, &head)) && !head;
}
