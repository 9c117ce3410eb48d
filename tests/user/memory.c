/*
 * Proves that memory is mapped, protected, moved, shared and given back as on Linux, that the stack grows, and that each kind of fault has
 * the right si_code and si_addr.
 */
#include "check.h"
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define PAGE 4096UL

static siginfo_t last;
static volatile int faults;
/* Whether `away` is set: a fault at any other place is none that a check has made. */
static volatile int armed;
static sigjmp_buf away;

static void handler(int signal, siginfo_t *info, void *context)
{
	(void)context;
	if (!armed) {
		dprintf(1, "not ok memory: unexpected fault, signal %d, code %d, address %p\n", signal, info->si_code, info->si_addr);
		_exit(1);
	}
	faults++;
	last = *info;
	siglongjmp(away, 1);
}

enum access { READ, WRITE, CALL };

/* Accesses an address, and checks the fault; code 0 means that there must be none. */
static void access_gives(const char *name, volatile char *address, enum access access, int signal, int code)
{
	faults = 0;
	armed = 1;
	if (!sigsetjmp(away, 1)) {
		if (access == READ)
			(void)*address;
		else if (access == WRITE)
			*address = 1;
		else
			((void (*)(void))(uintptr_t)address)();
	}
	armed = 0;
	if (code == 0)
		check(name, faults == 0, "signal %d, code %d, address %p", last.si_signo, last.si_code, last.si_addr);
	else
		check(name, faults == 1 && last.si_signo == signal && last.si_code == code && last.si_addr == (void *)address,
		      "%d faults, signal %d, code %d, address %p instead of %p", faults, last.si_signo, last.si_code, last.si_addr,
		      (void *)address);
}

static char *map(size_t size, int protection, int flags)
{
	return mmap(NULL, size, protection, flags | MAP_ANONYMOUS, -1, 0);
}

static void mappings(void)
{
	char *area = map(8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	int wrong = 0;

	check("mmap", area != MAP_FAILED && (uintptr_t)area % PAGE == 0, "%p", (void *)area);
	for (size_t i = 0; i < 8 * PAGE; i++)
		wrong += area[i] != 0;
	check("new memory is zero", wrong == 0, "%d bytes", wrong);
	memset(area, 'a', 8 * PAGE);
	check_call("mprotect, read only", mprotect(area + PAGE, PAGE, PROT_READ));
	access_gives("write to memory that may be read", area + PAGE + 5, WRITE, SIGSEGV, SEGV_ACCERR);
	access_gives("read of it", area + PAGE + 5, READ, 0, 0);
	access_gives("write in front of it", area + PAGE - 1, WRITE, 0, 0);
	check_call("mprotect, no access", mprotect(area + PAGE, PAGE, PROT_NONE));
	access_gives("read of memory without access", area + PAGE, READ, SIGSEGV, SEGV_ACCERR);
	check_call("mprotect, all again", mprotect(area + PAGE, PAGE, PROT_READ | PROT_WRITE));
	check("the content was kept", area[PAGE + 5] == 'a', "%d", area[PAGE + 5]);
	access_gives("call of data", area, CALL, SIGSEGV, SEGV_ACCERR);
	check_call("munmap of the middle", munmap(area + 2 * PAGE, PAGE));
	access_gives("read of what was unmapped", area + 2 * PAGE + 8, READ, SIGSEGV, SEGV_MAPERR);
	access_gives("read behind it", area + 3 * PAGE, READ, 0, 0);
	char *fixed = mmap(area + 2 * PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	check("MAP_FIXED into the hole", fixed == area + 2 * PAGE && *fixed == 0, "%p", (void *)fixed);
	check_call("madvise", madvise(area, PAGE, MADV_DONTNEED));
	check("MADV_DONTNEED empties", area[0] == 0 && area[PAGE] == 'a', "%d, %d", area[0], area[PAGE]);
	check_call("munmap", munmap(area, 8 * PAGE));
	check("munmap of nothing is no error", munmap(area, 8 * PAGE) == 0, "%s", strerror(errno));
	check("munmap of half a page", munmap(area + 1, PAGE) == -1 && errno == EINVAL, "%s", strerror(errno));
	check("mprotect of nothing", mprotect(area, PAGE, PROT_READ) == -1 && errno == ENOMEM, "%s", strerror(errno));
	check("mmap of nothing", map(0, PROT_READ, MAP_PRIVATE) == MAP_FAILED && errno == EINVAL, "%s", strerror(errno));
	check("mmap of too much", map(1UL << 50, PROT_READ, MAP_PRIVATE) == MAP_FAILED && errno == ENOMEM, "%s", strerror(errno));
}

/* Code that returns a number: MOVZ w0, RET. Writes it, and makes it visible to the instruction stream. */
static void write_code(char *to, int number)
{
	uint32_t *words = (uint32_t *)to;

	words[0] = 0x52800000 | number << 5;
	words[1] = 0xd65f03c0;
	__builtin___clear_cache(to, to + 8);
}

static void code(void)
{
	char *area = map(PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE);

	write_code(area, 17);
	access_gives("call of code in memory that may be written", area, CALL, 0, 0);
	check("    does what the code says", ((int (*)(void))(uintptr_t)area)() == 17, "it does not");
	write_code(area, 18);
	check("    and what it says now", ((int (*)(void))(uintptr_t)area)() == 18, "it does not");
	check_call("mprotect, not executable", mprotect(area, PAGE, PROT_READ | PROT_WRITE));
	access_gives("call of it", area, CALL, SIGSEGV, SEGV_ACCERR);
	write_code(area, 19);
	check_call("mprotect, executable, not writable", mprotect(area, PAGE, PROT_READ | PROT_EXEC));
	access_gives("call of code that was written before", area, CALL, 0, 0);
	check("    does what it says", ((int (*)(void))(uintptr_t)area)() == 19, "it does not");
	access_gives("write to it", area, WRITE, SIGSEGV, SEGV_ACCERR);
	munmap(area, PAGE);
}

/* Addresses at the end of the 64 bits, for a result that would be written behind it. */
static void ends_of_addresses(void)
{
	char *area = map(2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	void *last = (void *)-1L;

	check("mincore, nowhere to write to", syscall(SYS_mincore, area, 2 * PAGE, last) == -1 && errno == EFAULT, "%s", strerror(errno));
	check("mincore of nothing", syscall(SYS_mincore, NULL, 1UL, last) == -1 && errno == ENOMEM, "%s", strerror(errno));
	munmap(area, 2 * PAGE);
}

static void moved(void)
{
	char *area = map(4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);

	for (int i = 0; i < 4; i++)
		area[i * PAGE] = 'a' + i;
	char *grown = mremap(area, 4 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
	check("mremap grows", grown != MAP_FAILED, "%s", strerror(errno));
	check("and keeps the content", grown[0] == 'a' && grown[3 * PAGE] == 'd' && grown[63 * PAGE] == 0, "%d", grown[0]);
	char *shrunk = mremap(grown, 64 * PAGE, PAGE, 0);
	check("mremap shrinks", shrunk == grown && shrunk[0] == 'a', "%p", (void *)shrunk);
	access_gives("what was cut off is gone", shrunk + PAGE, READ, SIGSEGV, SEGV_MAPERR);
	munmap(shrunk, PAGE);
}

/* The system call itself, since musl's sbrk() moves nothing. It returns the break, which is the old one if it could not be moved. */
static char *move_break(char *to)
{
	return (char *)syscall(SYS_brk, to);
}

static void heap(void)
{
	char *old = move_break(NULL);
	char *start = (char *)(((uintptr_t)old + PAGE - 1) & ~(PAGE - 1));
	char *end = start + 16 * PAGE;

	if (!check("the break moves", move_break(end) == end, "%p", (void *)move_break(NULL)))
		return;
	check("new heap is zero", start[0] == 0 && end[-1] == 0, "%d, %d", start[0], end[-1]);
	memset(start, 'h', end - start);
	check("the break moves back", move_break(start) == start, "%p", (void *)move_break(NULL));
	access_gives("what was cut off the heap is gone", start + PAGE, READ, SIGSEGV, SEGV_MAPERR);
	check("the break moves again", move_break(end) == end, "%p", (void *)move_break(NULL));
	check("the heap is zero again", start[8 * PAGE] == 0, "%d", start[8 * PAGE]);
	check("too far for the break", move_break((char *)(1UL << 50)) == end, "%p", (void *)move_break(NULL));
	move_break(old);
}

static void shared(void)
{
	volatile int *words = (volatile int *)map(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
	volatile int *own = (volatile int *)map(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	int status;

	*own = 1;
	pid_t child = fork();
	if (child == 0) {
		*own = 2;
		words[1] = 7;
		__atomic_store_n(&words[0], 1, __ATOMIC_RELEASE);
		_exit(0);
	}
	waitpid(child, &status, 0);
	check("memory shared with a child", words[0] == 1 && words[1] == 7, "%d, %d", words[0], words[1]);
	check("private memory is not", *own == 1, "%d", *own);
}

static void files(const char *self)
{
	int file = open(self, O_RDONLY);

	check_call("open", file);
	char *image = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
	check("a file is mapped", image != MAP_FAILED && !memcmp(image, "\177ELF", 4), "%s", strerror(errno));
	image[0] = 'x';
	char byte = 0;
	check("writes stay private", pread(file, &byte, 1, 0) == 1 && byte == 0x7f, "%d", byte);
	munmap(image, PAGE);
	image = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, file, 0);
	check("a file is mapped read-only, shared", image != MAP_FAILED && image[1] == 'E', "%s", strerror(errno));
	off_t size = lseek(file, 0, SEEK_END);
	char *end = mmap(NULL, size + 4 * PAGE, PROT_READ, MAP_PRIVATE, file, 0);
	check("a mapping may be longer than the file", end != MAP_FAILED, "%s", strerror(errno));
	access_gives("read of a page behind the file", end + (size / PAGE + 2) * PAGE, READ, SIGBUS, BUS_ADRERR);
	close(file);
	file = open("/tmp-memory", O_RDWR | O_CREAT | O_TRUNC, 0600);
	check_call("a file for mappings", file);
	check_call("two pages", ftruncate(file, 2 * PAGE));
	char *shared = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	char *own = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
	shared[PAGE] = 's';
	own[PAGE] = 'o';
	shared[1] = own[2] = 'x';
	check_call("a page less", ftruncate(file, PAGE));
	access_gives("shared page behind the new end", shared + PAGE, READ, SIGBUS, BUS_ADRERR);
	access_gives("private page behind the new end", own + PAGE, WRITE, SIGBUS, BUS_ADRERR);
	check("what is left is as before", shared[1] == 'x' && own[2] == 'x', "%d, %d", shared[1], own[2]);
	check_call("two pages again", ftruncate(file, 2 * PAGE));
	check("new memory is zero again", shared[PAGE] == 0 && own[PAGE] == 0, "%d, %d", shared[PAGE], own[PAGE]);
	close(open("/tmp-memory", O_WRONLY | O_TRUNC));
	access_gives("page of a file that was emptied", shared, READ, SIGBUS, BUS_ADRERR);
	unlink("/tmp-memory");
	munmap(shared, 2 * PAGE);
	munmap(own, 2 * PAGE);
	close(file);
	check("no file, no mapping", mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 99, 0) == MAP_FAILED && errno == EBADF, "%s",
	      strerror(errno));
}

__attribute__((noinline))
static int deep(int levels)
{
	volatile char block[4096];

	block[0] = levels;
	return levels == 0 ? 0 : deep(levels - 1) + (block[0] == (char)levels);
}

/* Needs 64 KiB of stack for each level. */
__attribute__((noinline))
static int wide(int levels)
{
	volatile char block[65536];

	block[0] = levels;
	return levels == 0 ? 0 : wide(levels - 1) + block[0];
}

static void stack(void)
{
	static char area[65536] __attribute__((aligned(16)));
	stack_t other = { .ss_sp = area, .ss_size = sizeof area };
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	char top = 0;

	check("the stack grows to 4 MiB", deep(1000) == 1000, "it does not");
	sigaltstack(&other, NULL);
	sigaction(SIGSEGV, &action, NULL);
	faults = 0;
	armed = 1;
	if (!sigsetjmp(away, 1))
		wide(10000);
	armed = 0;
	uintptr_t depth = (uintptr_t)&top - (uintptr_t)last.si_addr;
	check("it ends at its limit", faults == 1 && depth > 7 << 20 && depth < 9 << 20, "%d faults, %lu KiB below the top", faults,
	      (unsigned long)depth >> 10);
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };

	(void)argc;
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	access_gives("read of NULL", (char *)0, READ, SIGSEGV, SEGV_MAPERR);
	access_gives("write near NULL", (char *)0x18, WRITE, SIGSEGV, SEGV_MAPERR);
	access_gives("write to text", (char *)(uintptr_t)&main, WRITE, SIGSEGV, SEGV_ACCERR);
	access_gives("read of the kernel's memory", (char *)0xffff800080000000UL, READ, SIGSEGV, SEGV_MAPERR);
	mappings();
	code();
	ends_of_addresses();
	moved();
	heap();
	shared();
	files(argv[0]);
	stack();
	return failed();
}
