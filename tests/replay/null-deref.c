// SPDX-License-Identifier: GPL-3.0-or-later
// A whole program without a library, small enough to be kept beside its dump: built by make-dumps.
struct room {
	long number;
	struct room *next;
};

static volatile long seen;

__attribute__((noinline)) static void visit(struct room *room)
{
	seen = room->next->number;
}

__attribute__((noinline)) static void walk(struct room *first, int depth)
{
	if (depth)
		walk(first, depth - 1);
	else
		visit(first);
	seen++;
}

__attribute__((used)) static void begin(void)
{
	struct room only = { .number = 1 };

	walk(&only, 3);
}

// Where the kernel enters. There is no caller, as the unwind table says.
asm(".globl _start\n"
    ".type _start, @function\n"
    "_start:\n"
    "	.cfi_startproc\n"
    "	.cfi_undefined rip\n"
    "	xor %ebp, %ebp\n"
    "	call begin\n"
    "	hlt\n"
    "	.cfi_endproc\n"
    ".size _start, . - _start\n");
