// SPDX-License-Identifier: GPL-3.0-or-later
// A failed assertion.
#include <assert.h>
#include "truth.h"

static void check_answer(int answer)
{
	truth(", \"function\": \"check_answer\", \"message\": \"answer == 42\"");
	assert(answer == 42);
}

int main(void)
{
	check_answer(41);
}
