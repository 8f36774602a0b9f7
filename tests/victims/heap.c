// SPDX-License-Identifier: GPL-3.0-or-later
// heap.c [MAPPED [TOUCHED]]: has texts in its heap, in memory that it shares, in its data and where none
// is to be dumped, and MAPPED MiB of which it writes to the first TOUCHED; then reads through a null pointer.
#include <stdlib.h>
#include <sys/mman.h>

#include "truth.h"

#define MIB ((size_t)1 << 20)

char *heap_text, *shared_text, *secret_text;
char data_text[64] = "as it came from the file";
char *block;

static char *map(size_t len, int flags)
{
	char *ret = mmap(NULL, len, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);

	MUST(ret != MAP_FAILED);
	return ret;
}

static char *put(char *to, const char *text)
{
	return strcpy(to, text);
}

static int read_through(const int *nothing)
{
	return *(const volatile int *)nothing;
}

int main(int argc, char **argv)
{
	size_t mapped = argc > 1 ? strtoul(argv[1], NULL, 10) * MIB : MIB;
	size_t touched = argc > 2 ? strtoul(argv[2], NULL, 10) * MIB : 0;

	heap_text = put(malloc(100), "a text in the heap");
	shared_text = put(map(MIB, MAP_SHARED), "a text in shared memory");
	secret_text = map(MIB, MAP_PRIVATE);
	snprintf(secret_text, 100, "secret of %d", (int)getpid());
	MUST(madvise(secret_text, MIB, MADV_DONTDUMP) == 0);
	put(data_text, "written over");
	block = map(mapped, MAP_PRIVATE);
	MUST(madvise(block, mapped, MADV_NOHUGEPAGE) == 0);
	// Not zeros, and not alike.
	for (size_t i = 0; i < touched; i += 8)
		*(size_t *)(block + i) = i * 0x9e3779b97f4a7c15;
	truth(", \"function\": \"read_through\", \"block\": %zu", (size_t)block);
	return read_through(NULL);
}
