/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "callsite.h"

#include <endian.h>
#include <string.h>

static bool x86_64_call_before(const uint8_t *end, size_t n)
{
	if (n >= 5 && end[-5] == 0xe8)
		return true;
	// FF /2 with every form of operand: register, memory, displacement, index.
	for (size_t len = 2; len <= 7 && len <= n; len++) {
		const uint8_t *p = end - len;
		unsigned mod = p[1] >> 6, rm = p[1] & 7;
		size_t want = 2;

		if (p[0] != 0xff || (p[1] >> 3 & 7) != 2)
			continue;
		if (mod != 3 && rm == 4)
			want++;
		if (mod == 1)
			want++;
		else if (mod == 2 || (mod == 0 && rm == 5) ||
			 (mod == 0 && rm == 4 && len > 2 && (p[2] & 7) == 5))
			want += 4;
		if (want == len)
			return true;
	}
	return false;
}

static bool aarch64_call_before(const uint8_t *end, size_t n)
{
	uint32_t insn;

	if (n < 4)
		return false;
	memcpy(&insn, end - 4, sizeof(insn));
	insn = le32toh(insn);
	return (insn & 0xfc000000) == 0x94000000 || // BL
	       (insn & 0xfffffc1f) == 0xd63f0000 || // BLR
	       (insn & 0xfefff800) == 0xd63f0800;   // BLRAA and its kin
}

bool callsite_is_trampoline(const struct mem *mem, enum arch_id arch, taddr at)
{
	static const uint8_t x86_64_code[2][9] = {
		{ 0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 0x05 }, // mov $15, %rax; syscall
		{ 0xb8, 15, 0, 0, 0, 0x0f, 0x05 },	       // mov $15, %eax; syscall
	};
	static const uint8_t aarch64_code[] = { 0x68, 0x11, 0x80, 0xd2, 1, 0, 0, 0xd4 };
	uint8_t code[9] = {};
	size_t n = mem_read_some(mem, at, code, sizeof(code));

	if (arch == ARCH_X86_64)
		return (n >= 9 && !memcmp(code, x86_64_code[0], 9)) ||
		       (n >= 7 && !memcmp(code, x86_64_code[1], 7));
	return n >= sizeof(aarch64_code) && !memcmp(code, aarch64_code, sizeof(aarch64_code));
}

enum call callsite_before(const struct mem *mem, enum arch_id arch, taddr at)
{
	uint8_t code[8];

	if (at < sizeof(code))
		return CALL_NO;
	for (size_t n = sizeof(code); n >= 2; n--) {
		if (mem_read_some(mem, at - n, code, n) != n)
			continue;
		bool call = arch == ARCH_X86_64 ? x86_64_call_before(code + n, n)
						: aarch64_call_before(code + n, n);
		return call ? CALL_YES : CALL_NO;
	}
	return CALL_UNKNOWN;
}
