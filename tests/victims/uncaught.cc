// SPDX-License-Identifier: GPL-3.0-or-later
// Exceptions that nobody catches, by name; and std::terminate() and abort() for other reasons.
#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include "truth.h"

namespace house {
struct gone : std::out_of_range {
	gone() : std::out_of_range("no such room") {}
};
struct silent : std::runtime_error {
	silent() : std::runtime_error("kept to itself") {}
	const char *what() const noexcept override { return "said instead"; }
};
}

// No exception, but it begins with one that has a text.
struct wrapped {
	std::runtime_error inner;
};

static void quietly() noexcept
{
	throw std::logic_error("not so quiet");
}

int main(int argc, char **argv)
{
	std::string kind = argc > 1 ? argv[1] : "";

	truth("%s", "");
	if (kind == "runtime")
		throw std::runtime_error("no such table");
	if (kind == "secret")
		throw std::runtime_error("cannot log in with password=hunter2andmore");
	if (kind == "inherited")
		throw house::gone();
	if (kind == "system")
		throw std::system_error(2, std::generic_category(), "opening");
	if (kind == "noexcept")
		quietly();
	if (kind == "again") {
		try {
			throw std::runtime_error("first");
		} catch (...) {
			std::exception_ptr kept = std::current_exception();
			std::rethrow_exception(kept);
		}
	}
	if (kind == "thread")
		std::thread([] { throw std::runtime_error("in a thread"); }).join();
	if (kind == "overridden")
		throw house::silent();
	if (kind == "wrapped")
		throw wrapped{ std::runtime_error("inside") };
	if (kind == "int")
		throw 42;
	if (kind == "bad-alloc")
		throw std::bad_alloc();
	if (kind == "handler") {
		try {
			throw std::runtime_error("was handled");
		} catch (...) {
			abort();
		}
	}
	if (kind == "none")
		std::terminate();
	return 1;
}
