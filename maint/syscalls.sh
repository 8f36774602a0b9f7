#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Makes src/target/syscalls-x86_64.inc and -aarch64.inc from the kernel's headers. Run it in the
# top folder on an x86_64 machine with new headers, look at the difference, commit.
set -eu
export LC_ALL=C
cc=${CC:-cc}

# Numbers from 424 on are the same everywhere, so those that the installed headers are too old for
# can be given once. A header that has one wins.
newer='451 cachestat
452 fchmodat2
453 map_shadow_stack
454 futex_wake
455 futex_wait
456 futex_requeue
457 statmount
458 listmount
459 lsm_get_self_attr
460 lsm_set_self_attr
461 lsm_list_modules
462 mseal
463 setxattrat
464 getxattrat
465 listxattrat
466 removexattrat
467 open_tree_attr
468 file_getattr
469 file_setattr'

numbers()
{
	sed -n 's/^#define __NR_\([a-z0-9_]*\) \([0-9][0-9]*\)$/\2 \1/p'
}

# Names that stand for another number by way of a macro: __NR_fcntl is __NR3264_fcntl.
numbers_3264()
{
	sed -n 's/^#define __NR3264_\([a-z0-9_]*\) \([0-9][0-9]*\)$/\2 \1/p'
}

table()
{
	{ cat; echo "$newer"; } | sort -n -s -k1,1 | awk '!seen[$1]++' | {
		echo '/* SPDX-License-Identifier: GPL-3.0-or-later */'
		echo '/* Made by maint/syscalls.sh: do not edit. */'
		while read -r number name; do
			printf '[%s] = "%s",\n' "$number" "$name"
		done
	}
}

echo '#include <asm/unistd_64.h>' | $cc -E -dM - | numbers |
	table >src/target/syscalls-x86_64.inc.new

# What arch/arm64/include/uapi/asm/unistd.h asks of the generic table.
generic=$(echo '#include <asm-generic/unistd.h>' | $cc -E -dM \
	-D__ARCH_WANT_RENAMEAT -D__ARCH_WANT_NEW_STAT -D__ARCH_WANT_SET_GET_RLIMIT \
	-D__ARCH_WANT_SYS_CLONE3 -D__ARCH_WANT_MEMFD_SECRET -)
# __NR_syscalls is how many there are, __NR_arch_specific_syscall where holes begin.
{
	echo "$generic" | numbers | grep -v -e ' syscalls$' -e ' arch_specific_syscall$'
	echo "$generic" | numbers_3264
} | sed 's/ fadvise64_64$/ fadvise64/; s/ fstatat$/ newfstatat/' |
	table >src/target/syscalls-aarch64.inc.new

for arch in x86_64 aarch64; do
	test "$(wc -l <src/target/syscalls-$arch.inc.new)" -gt 300
	mv src/target/syscalls-$arch.inc.new src/target/syscalls-$arch.inc
done
