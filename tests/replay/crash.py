# SPDX-License-Identifier: GPL-3.0-or-later
"""An interpreter that crashes below a few frames, one of them a generator's; and a thread waits."""
import _thread
import faulthandler


class Shop:
    def serve(self, customer):
        return [self.weigh(item) for item in customer]

    @staticmethod
    def weigh(item):
        if item == "feather":
            faulthandler._read_null()
        return len(item)


def customers():
    yield Shop().serve(["stone", "feather"])


def clerk(closed, started):
    started.release()
    closed.acquire()


def main():
    closed, started = _thread.allocate_lock(), _thread.allocate_lock()
    closed.acquire()
    started.acquire()
    _thread.start_new_thread(clerk, (closed, started))
    started.acquire()
    list(customers())


main()
