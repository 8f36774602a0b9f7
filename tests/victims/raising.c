/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A library for Python, without its headers: C code that raises an exception and crashes. */
extern void *PyExc_ValueError;
void PyErr_SetString(void *type, const char *message);

void raise_and_crash(void)
{
	PyErr_SetString(PyExc_ValueError, "on its way");
	*(volatile int *)8 = 1;
}
