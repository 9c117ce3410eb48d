/*
 * Children end by faults. The console must name each one's program, function, file and ESR: the test tool looks for these lines. A signal
 * that somebody sends leaves no line.
 */
#include "check.h"
#include <signal.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <elf.h>

__attribute__((noinline))
static void goes_wrong(void)
{
	__asm__ volatile("nop\nbrk #7");
}

__attribute__((noinline))
static void writes_nowhere(void)
{
	*(volatile int *)0x10 = 1;
}

__attribute__((noinline))
static void undefined(void)
{
	__asm__ volatile("udf #1");
}

__attribute__((noinline))
static void branches_nowhere(void)
{
	__asm__ volatile("br %0" : : "r"(0x10UL));
}

/* The vDSO's function for the time, by its name alone. */
static int (*vdso_gettime(void))(int, void *)
{
	uintptr_t base = getauxval(AT_SYSINFO_EHDR);
	const Elf64_Ehdr *header = (const void *)base;
	const Elf64_Phdr *segments = (const void *)(base + header->e_phoff);
	const Elf64_Sym *symbols = NULL;
	const char *strings = NULL;

	for (int i = 0; i < header->e_phnum; i++)
		if (segments[i].p_type == PT_DYNAMIC)
			for (const Elf64_Dyn *at = (const void *)(base + segments[i].p_vaddr); at->d_tag != DT_NULL; at++) {
				if (at->d_tag == DT_SYMTAB)
					symbols = (const void *)(base + at->d_un.d_ptr);
				if (at->d_tag == DT_STRTAB)
					strings = (const void *)(base + at->d_un.d_ptr);
			}
	while (strcmp(strings + symbols->st_name, "__kernel_clock_gettime"))
		symbols++;
	return (int (*)(int, void *))(base + symbols->st_value);
}

__attribute__((noinline))
static void in_the_vdso(void)
{
	vdso_gettime()(1, (void *)0x10);
}

__attribute__((noinline))
static void is_killed(void)
{
	raise(SIGSEGV);
}

static void ends(const char *name, void (*how)(void), int signal)
{
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		how();
		_exit(0);
	}
	waitpid(child, &status, 0);
	check(name, WIFSIGNALED(status) && WTERMSIG(status) == signal, "%#x", status);
}

int main(void)
{
	ends("BRK", goes_wrong, SIGTRAP);
	ends("a write to nowhere", writes_nowhere, SIGSEGV);
	ends("an undefined instruction", undefined, SIGILL);
	ends("a fault in the vDSO", in_the_vdso, SIGSEGV);
	ends("a branch to nowhere", branches_nowhere, SIGSEGV);
	ends("a signal that was sent", is_killed, SIGSEGV);
	return failed();
}
