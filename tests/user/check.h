/*
 * What the programs share: each check prints one line, `ok NAME` or `not ok NAME: why`. main() ends with `return failed();`.
 */
#ifndef CHECK_H
#define CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int check_failures;

/* Prints the result of one check. The text after the condition says what was found instead. */
__attribute__((format(printf, 3, 4), unused))
static int check(const char *name, int good, const char *format, ...)
{
	va_list list;

	if (good) {
		printf("ok %s\n", name);
	} else {
		check_failures++;
		printf("not ok %s: ", name);
		va_start(list, format);
		vprintf(format, list);
		va_end(list);
		printf("\n");
	}
	/* A child that is forked later must not print this line again. */
	fflush(stdout);
	return good;
}

/* The same for a system call that must give 0 or more. */
__attribute__((unused))
static long check_call(const char *name, long result)
{
	check(name, result >= 0, "%s", strerror(errno));
	return result;
}

__attribute__((unused))
static int failed(void)
{
	return check_failures != 0;
}

#endif
