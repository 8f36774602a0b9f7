// SPDX-License-Identifier: GPL-3.0-or-later
// Writes to stdout the dump of a process that never was: an aarch64 that followed a null pointer, three
// calls deep, whose program is gone. Everything about it is made up, so it is the same anywhere.
#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "buf.h"
#include "cleanup.h"
#include "store/minidump.h"

#define CODE  0xaaaad0001000
#define STACK 0xffffe0000000
#define WORDS 64

static const char maps[] =
	"aaaad0000000-aaaad0001000 r--p 00000000 08:01 11                         /srv/shop\n"
	"aaaad0001000-aaaad0002000 r-xp 00001000 08:01 11                         /srv/shop\n"
	"aaaad0002000-aaaad0003000 rw-p 00002000 08:01 11                         /srv/shop\n"
	"ffffe0000000-ffffe0001000 rw-p 00000000 00:00 0                          [stack]\n";
static const char status[] = "Name:\tshop\nPid:\t4711\nPPid:\t1\nUid:\t33\t33\t33\t33\nThreads:\t1\n"
			     "SigIgn:\t0000000000001000\nSigCgt:\t0000000000000000\n";

static struct bytes text(struct arena *arena, const char *s)
{
	return (struct bytes){ .data = (uint8_t *)arena_strdup(arena, s), .len = strlen(s) };
}

static struct error *make(struct snapshot *s)
{
	struct arena *arena = &s->arena;
	static uint32_t code[32];
	static uint64_t stack[WORDS];

	strcpy(s->id, "01234567-89ab-cdef-0123-456789abcdef");
	s->generator = arena_strdup(arena, "0.1.0");
	s->host.arch = arch_by_id(ARCH_AARCH64);
	s->host.hostname = arena_strdup(arena, "replay");
	s->host.uname = arena_strdup(arena, "Linux 6.1.0 #1 SMP aarch64 GNU/Linux");
	s->host.kernel = arena_strdup(arena, "6.1.0");
	s->host.cpus = 4;
	s->time.process_start = 1700000000123456789;
	s->time.death = 1700000042987654321;
	s->process.pid = 4711;
	s->process.ppid = 1;
	s->process.uid = 33;
	s->process.comm = arena_strdup(arena, "shop");
	s->process.exe = arena_strdup(arena, "/srv/shop");
	s->process.maps = text(arena, maps);
	s->process.status = text(arena, status);
	*(char **)LIST_ADD(arena, &s->process.cmdline) = arena_strdup(arena, "/srv/shop");
	struct error *err = snapshot_parse_maps(s);
	if (err)
		return err;
	s->death.kind = DEATH_SIGNAL;
	s->death.signo = 11;
	s->death.tid = 4711;
	s->death.info = (struct signal_info){ .signo = 11, .code = 1, .addr = 8 };

	struct thread *t = LIST_ADD(arena, &s->threads);
	*t = (struct thread){ .tid = 4711, .name = arena_strdup(arena, "shop"), .state = 'R' };
	t->regs.arch = s->host.arch;
	for (size_t i = 0; i < ARRAY_SIZE(code); i++)
		code[i] = htole32(0xd503201f); // nop
	code[15] = htole32(0x94000001);	       // bl, to the next one
	code[16] = htole32(0xf9400401);	       // ldr x1, [x0, #8]
	t->regs.r[32] = CODE + 4 * 16;
	// Frame records: the caller's, and the return address. The last one has neither.
	for (size_t i = 0; i < 3; i++) {
		stack[16 * i] = i < 2 ? htole64(STACK + 128 * (i + 1)) : 0;
		stack[16 * i + 1] = i < 2 ? htole64(CODE + 4 * (16 + i)) : 0;
	}
	t->regs.r[31] = t->regs.r[29] = STACK;
	t->regs.r[30] = CODE + 4 * 16;
	t->stack_start = STACK;
	t->stack_end = STACK + sizeof(stack);
	err = snapshot_add_memory(s, CODE, code, sizeof(code));
	if (!err)
		err = snapshot_add_memory(s, STACK, stack, sizeof(stack));
	return err ? err : snapshot_settle_memory(s);
}

int main(void)
{
	_cleanup_(buf_deinit) struct buf file = {};
	struct snapshot snapshot;

	snapshot_init(&snapshot);
	struct error *err = make(&snapshot);
	if (!err)
		err = minidump_write(&snapshot, &file);
	snapshot_deinit(&snapshot);
	if (err) {
		fprintf(stderr, "aarch64-dump: %s\n", err->text);
		return 1;
	}
	return fwrite(file.data, 1, file.len, stdout) == file.len && !fflush(stdout) ? 0 : 1;
}
