# SPDX-License-Identifier: GPL-3.0-or-later
"""An exception with a cause, that nobody catches, and whose traceback goes nowhere."""


def price(item, prices):
    return prices[item]


def sell(item):
    try:
        return price(item, {"stone": 3})
    except KeyError as error:
        raise LookupError("no price for %s" % item) from error


sell("feather")
