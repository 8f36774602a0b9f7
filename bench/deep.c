/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * usage: deep MIB
 *
 * A process that waits for the end of its stdin with MIB mebibytes on the stack of its second thread.
 */
#include <alloca.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *wait_deep(void *arg)
{
	size_t size = *(const size_t *)arg;
	char byte, *bytes = alloca(size + 1);

	memset(bytes, 1, size + 1);
	printf("ready\n");
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	return bytes[size] ? NULL : arg;
}

int main(int argc, char **argv)
{
	size_t size = (argc > 1 ? strtoul(argv[1], NULL, 10) : 0) << 20;
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	if (pthread_attr_setstacksize(&attr, size + ((size_t)1 << 20)) ||
	    pthread_create(&thread, &attr, wait_deep, &size) || pthread_join(thread, NULL))
		return 1;
	return 0;
}
