/*
 * Proves that a program starts, prints, and ends with the status that it was given: `hello [STATUS]`.
 */
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	printf("hello, world\n");
	return argc > 1 ? atoi(argv[1]) : 0;
}
