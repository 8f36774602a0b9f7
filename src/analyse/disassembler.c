/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "disassembler.h"

#include <dlfcn.h>
#include <string.h>

#include "../cleanup.h"

#define TEXT_OF(x) #x
#define LIBRARY_OF(major) "libcapstone.so." TEXT_OF(major)

// The one whose header we were built with.
#define LIBRARY LIBRARY_OF(CS_API_MAJOR)

struct error *disassembler_load(const struct disassembler **ret)
{
	static struct disassembler d;
	static bool loaded;
	const struct {
		const char *name;
		void *to;
	} functions[] = {
		{ "cs_open", &d.open },	      { "cs_close", &d.close },
		{ "cs_option", &d.option },   { "cs_strerror", &d.strerror },
		{ "cs_malloc", &d.malloc },   { "cs_free", &d.free },
		{ "cs_disasm", &d.disasm },   { "cs_disasm_iter", &d.disasm_iter },
		{ "cs_reg_name", &d.reg_name },
	};

	if (!loaded) {
		void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

		if (!library)
			return error_new(ERROR_UNSUPPORTED, "no disassembler: %s", dlerror());
		for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
			// POSIX lets dlsym() give functions, ISO C has no such pointer.
			void *function = dlsym(library, functions[i].name);

			if (!function)
				return error_new(ERROR_UNSUPPORTED, "no disassembler: %s has no %s",
						 LIBRARY, functions[i].name);
			memcpy(functions[i].to, &function, sizeof(function));
		}
		loaded = true;
	}
	*ret = &d;
	return NULL;
}
