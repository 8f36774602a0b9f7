// SPDX-License-Identifier: GPL-3.0-or-later
// An exception that nobody catches.
#include <stdexcept>
#include "truth.h"

namespace house {
struct door {
	void slam(int times)
	{
		truth(", \"function\": \"house::door::slam(int)\"");
		throw std::runtime_error(times ? "slammed" : "shut");
	}
};
}

int main()
{
	house::door().slam(2);
}
