/*
 * Proves that a program gets its arguments, its environment and its auxiliary vector. It prints them, so that a test can compare them:
 * `argv N: WORD`, `env: NAME=VALUE`, `auxv TYPE: VALUE`.
 */
#include "check.h"
#include <elf.h>
#include <stdint.h>
#include <sys/auxv.h>

extern char **environ;

int main(int argc, char **argv, char **envp)
{
	char **word = envp;
	int random = 0;

	for (int i = 0; i < argc; i++)
		printf("argv %d: %s\n", i, argv[i]);
	for (; *word; word++)
		printf("env: %s\n", *word);
	/* The auxiliary vector comes behind the NULL that ends the environment. */
	for (Elf64_auxv_t *entry = (Elf64_auxv_t *)(word + 1); entry->a_type != AT_NULL; entry++)
		printf("auxv %lu: %#lx\n", (unsigned long)entry->a_type, (unsigned long)entry->a_un.a_val);

	check("argv ends with NULL", argv[argc] == NULL, "%p", (void *)argv[argc]);
	check("environ is envp", environ == envp, "%p and %p", (void *)environ, (void *)envp);
	check("stack is aligned", (uintptr_t)(argv - 1) % 16 == 0, "argc is at %p", (void *)(argv - 1));
	check("AT_PAGESZ", (long)getauxval(AT_PAGESZ) == sysconf(_SC_PAGESIZE), "%lu", getauxval(AT_PAGESZ));
	const unsigned char *bytes = (const unsigned char *)getauxval(AT_RANDOM);
	for (int i = 0; bytes && i < 16; i++)
		random |= bytes[i];
	check("AT_RANDOM", random != 0, "%p", (const void *)bytes);
	const Elf64_Phdr *header = (const Elf64_Phdr *)getauxval(AT_PHDR);
	check("AT_PHENT", getauxval(AT_PHENT) == sizeof *header, "%lu", getauxval(AT_PHENT));
	int loads = 0;
	for (unsigned long i = 0; header && i < getauxval(AT_PHNUM); i++)
		loads += header[i].p_type == PT_LOAD;
	check("AT_PHDR and AT_PHNUM", loads >= 2, "%d segments to load", loads);
	check("AT_ENTRY", getauxval(AT_ENTRY) != 0, "0");
	return failed();
}
