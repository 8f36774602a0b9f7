// SPDX-License-Identifier: GPL-3.0-or-later
// seccomp.c kill|trap: a system call that a seccomp filter forbids.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include "truth.h"

static void forbidden(void)
{
	syscall(SYS_getppid);
}

int main(int argc, char **argv)
{
	unsigned action = argc > 1 && !strcmp(argv[1], "trap") ? SECCOMP_RET_TRAP
							       : SECCOMP_RET_KILL_PROCESS;
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	truth(", \"function\": \"forbidden\", \"syscall\": \"getppid\", \"number\": %d",
	      (int)SYS_getppid);
	MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	MUST(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
	forbidden();
}
