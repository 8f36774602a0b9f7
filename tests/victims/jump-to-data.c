// SPDX-License-Identifier: GPL-3.0-or-later
// Calls a function pointer that points to data, which is not executable.
#include "truth.h"

static char data[64] = "data";

static void jump(void (*f)(void))
{
	truth_fault("jump", (void *)f);
	f();
}

int main(void)
{
	jump((void (*)(void))(uintptr_t)data);
}
