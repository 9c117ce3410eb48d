/*
 * Proves that the kernel maps a vDSO that is a real shared object: its symbols and their version are found, its clocks are those of the
 * system calls, a handler returns through it, and an unwinder finds its way from a handler to the interrupted code by its rules.
 */
#include "check.h"
#include <elf.h>
#include <link.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#ifdef __GLIBC__
/* musl's programs cannot be linked with the compiler's unwinder, which is made for glibc. */
#include <unwind.h>
#endif

static uintptr_t base;
static const Elf64_Phdr *headers;
static int header_count;
static const Elf64_Dyn *dynamic;

static void *entry(int64_t tag)
{
	for (const Elf64_Dyn *at = dynamic; at->d_tag != DT_NULL; at++)
		if (at->d_tag == tag)
			return (void *)(base + at->d_un.d_ptr);
	return NULL;
}

static const Elf64_Phdr *segment(uint32_t type)
{
	for (int i = 0; i < header_count; i++)
		if (headers[i].p_type == type)
			return &headers[i];
	return NULL;
}

/* The address of a symbol with the version LINUX_2.6.39, found in the table of all symbols. */
static void *symbol(const char *name)
{
	const uint32_t *hash = entry(DT_HASH);
	const Elf64_Sym *symbols = entry(DT_SYMTAB);
	const char *strings = entry(DT_STRTAB);
	const uint16_t *versions = entry(DT_VERSYM);
	const Elf64_Verdef *definition = entry(DT_VERDEF);

	if (!hash || !symbols || !strings || !versions || !definition)
		return NULL;
	while (!(definition->vd_ndx != 1 &&
		 !strcmp(strings + ((const Elf64_Verdaux *)((uintptr_t)definition + definition->vd_aux))->vda_name, "LINUX_2.6.39"))) {
		if (!definition->vd_next)
			return NULL;
		definition = (const void *)((uintptr_t)definition + definition->vd_next);
	}
	for (uint32_t i = 1; i < hash[1]; i++)
		if (!strcmp(strings + symbols[i].st_name, name) && ELF64_ST_TYPE(symbols[i].st_info) == STT_FUNC &&
		    ELF64_ST_BIND(symbols[i].st_info) == STB_GLOBAL && versions[i] == definition->vd_ndx)
			return (void *)(base + symbols[i].st_value);
	return NULL;
}

static int (*vdso_gettime)(int, struct timespec *);
static int (*vdso_getres)(int, struct timespec *);
static int (*vdso_timeofday)(struct timeval *, int *);
static void *vdso_sigreturn;

static int64_t nanoseconds(struct timespec time)
{
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

/* A clock by the system call and by the vDSO in turns never goes back; returns how many of the readings did not. */
static int in_turns(int clock)
{
	struct timespec time;
	int64_t last = 0, now;
	int good = 0;

	for (int i = 0; i < 1000; i++) {
		int failed = i % 2 ? vdso_gettime(clock, &time) : (int)syscall(SYS_clock_gettime, clock, &time);

		now = nanoseconds(time);
		good += !failed && now >= last && time.tv_nsec >= 0 && time.tv_nsec < 1000000000;
		last = now;
	}
	return good;
}

static void clocks(void)
{
	struct timespec time, other;
	struct timeval value;
	char name[32];
	int zone[2] = { 7, 7 };

	for (int clock = CLOCK_REALTIME; clock <= CLOCK_TAI; clock++) {
		if (clock == 10)
			continue;
		snprintf(name, sizeof(name), "clock %d", clock);
		int good = in_turns(clock);
		check(name, good == 1000, "%d of 1000 readings are good", good);
		memset(&time, 7, sizeof(time));
		memset(&other, 9, sizeof(other));
		int failed = vdso_getres(clock, &time) || syscall(SYS_clock_getres, clock, &other);
		check("    its resolution", !failed && nanoseconds(time) == nanoseconds(other) && time.tv_nsec > 0, "%ld and %ld",
		      time.tv_nsec, other.tv_nsec);
	}
	check("resolution to nowhere", vdso_getres(CLOCK_MONOTONIC, NULL) == 0, "fails");
	check("no clock 10", vdso_gettime(10, &time) == -EINVAL, "%d", vdso_gettime(10, &time));
	check("no clock 12", vdso_gettime(12, &time) == -EINVAL, "%d", vdso_gettime(12, &time));
	check("no clock 64", vdso_gettime(64, &time) == -EINVAL, "%d", vdso_gettime(64, &time));
	check("no clock 32", vdso_getres(32, &time) == -EINVAL, "%d", vdso_getres(32, &time));

	int64_t before, now, after;
	int good = 0;
	for (int i = 0; i < 100; i++) {
		syscall(SYS_clock_gettime, CLOCK_REALTIME, &time);
		before = nanoseconds(time) / 1000;
		good += vdso_timeofday(&value, i ? NULL : zone) == 0;
		now = value.tv_sec * 1000000 + value.tv_usec;
		syscall(SYS_gettimeofday, &value, NULL);
		after = value.tv_sec * 1000000 + value.tv_usec;
		good += before <= now && now <= after;
	}
	check("gettimeofday", good == 200, "%d of 200", good);
	check("    its time zone", zone[0] == 0 && zone[1] == 0, "%d %d", zone[0], zone[1]);
	check("    without a time", vdso_timeofday(NULL, NULL) == 0, "fails");
}

static void set_the_time(void)
{
	struct timespec mono, time = { .tv_sec = 1700000000, .tv_nsec = 5 };
	struct timeval value;

	vdso_gettime(CLOCK_MONOTONIC, &mono);
	check_call("clock_settime", clock_settime(CLOCK_REALTIME, &time));
	syscall(SYS_clock_gettime, CLOCK_REALTIME, &time);
	int64_t called = nanoseconds(time);
	vdso_gettime(CLOCK_REALTIME, &time);
	int64_t read = nanoseconds(time);
	check("    seen by both", called >= 1700000000000000005 && read >= called && read < called + 100000000000, "%lld and %lld",
	      (long long)called, (long long)read);
	vdso_timeofday(&value, NULL);
	check("    and by gettimeofday", value.tv_sec >= 1700000000 && value.tv_sec < 1700000100, "%ld", (long)value.tv_sec);
	int64_t earlier = nanoseconds(mono);
	vdso_gettime(CLOCK_MONOTONIC, &mono);
	check("    not by CLOCK_MONOTONIC", nanoseconds(mono) >= earlier && nanoseconds(mono) < earlier + 100000000000, "%lld",
	      (long long)nanoseconds(mono));
	check("    the clocks agree", in_turns(CLOCK_REALTIME) == 1000, "%d", in_turns(CLOCK_REALTIME));
	/* An absolute sleep until a time that is near by the new clock only. */
	vdso_gettime(CLOCK_REALTIME, &time);
	time.tv_nsec += 20000000;
	if (time.tv_nsec >= 1000000000) {
		time.tv_sec++;
		time.tv_nsec -= 1000000000;
	}
	int slept = clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &time, NULL);
	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &mono);
	check("    a sleep until a time", slept == 0 && nanoseconds(mono) < earlier + 100000000000, "%d", slept);
	time.tv_nsec = 1000000000;
	check("a time with too many nanoseconds", clock_settime(CLOCK_REALTIME, &time) == -1 && errno == EINVAL, "%d", errno);
	time = (struct timespec){ .tv_sec = -1 };
	check("a negative time", clock_settime(CLOCK_REALTIME, &time) == -1 && errno == EINVAL, "%d", errno);
	time = (struct timespec){ .tv_sec = 9000000000 };
	check("a time too far ahead", clock_settime(CLOCK_REALTIME, &time) == -1 && errno == EINVAL, "%d", errno);
	time = (struct timespec){ .tv_sec = 1 };
	check("a clock that cannot be set", clock_settime(CLOCK_MONOTONIC, &time) == -1 && errno == EINVAL, "%d", errno);
	check("a time from nowhere", syscall(SYS_clock_settime, CLOCK_REALTIME, NULL) == -1 && errno == EFAULT, "%d", errno);
	value = (struct timeval){ .tv_sec = 1800000000, .tv_usec = 7 };
	check_call("settimeofday", settimeofday(&value, NULL));
	vdso_gettime(CLOCK_REALTIME, &time);
	check("    seen", time.tv_sec >= 1800000000 && time.tv_sec < 1800000100, "%ld", (long)time.tv_sec);
}

static sigjmp_buf away;

static void jump(int signal)
{
	(void)signal;
	siglongjmp(away, 1);
}

static int can_write(volatile uint32_t *at)
{
	signal(SIGSEGV, jump);
	if (sigsetjmp(away, 1))
		return 0;
	*at = *at;
	return 1;
}

/* What the handler and its unwinder have seen. */
static volatile int handled;
static void *returns_to;
static uint64_t interrupted_pc;

static void interrupted(void);
int main(void);

#ifdef __GLIBC__
static volatile int in_interrupted, in_main, exact;
static uint64_t seen_x19, seen_x28;

static _Unwind_Reason_Code frame(struct _Unwind_Context *context, void *argument)
{
	int before = 0;
	uintptr_t pc = _Unwind_GetIPInfo(context, &before);
	uintptr_t start = _Unwind_GetRegionStart(context);

	(void)argument;
	if (start == (uintptr_t)interrupted) {
		in_interrupted++;
		exact = pc == interrupted_pc && before;
		seen_x19 = _Unwind_GetGR(context, 19);
		seen_x28 = _Unwind_GetGR(context, 28);
	}
	in_main += start == (uintptr_t)main;
	return _URC_NO_REASON;
}
#endif

__attribute__((noinline))
static void interrupted(void)
{
	__asm__ volatile("mov x19, #0x1919\nmov x28, #0x2828\nbrk #0\n" : : : "x19", "x28", "x30", "memory");
}

static void handler(int signal, siginfo_t *info, void *context)
{
	mcontext_t *machine = &((ucontext_t *)context)->uc_mcontext;

	(void)signal;
	(void)info;
	handled++;
	returns_to = __builtin_return_address(0);
	interrupted_pc = machine->pc;
#ifdef __GLIBC__
	_Unwind_Backtrace(frame, NULL);
#endif
	machine->pc += 4;
}

/* As the kernel has it: the C library may give each handler a return of its own. */
struct kernel_action {
	void (*handler)(int, siginfo_t *, void *);
	unsigned long flags;
	void *restorer;
	uint64_t mask;
};

#ifdef __GLIBC__
static int list_vdso(struct dl_phdr_info *info, size_t size, void *found)
{
	(void)size;
	if (info->dlpi_addr == base && info->dlpi_phdr == headers)
		*(int *)found += 1;
	return 0;
}
#endif

static void unwinding(void)
{
	struct kernel_action action = { .handler = handler, .flags = SA_SIGINFO };

	check_call("a handler without a restorer", syscall(SYS_rt_sigaction, SIGTRAP, &action, NULL, 8));
	interrupted();
	check("    has run", handled == 1, "%d", handled);
	check("    returns to the vDSO", returns_to == vdso_sigreturn, "%p instead of %p", returns_to, vdso_sigreturn);
	uint32_t words[2];
	memcpy(words, vdso_sigreturn, sizeof(words));
	check("    by mov x8, #139; svc #0", words[0] == 0xd2801168 && words[1] == 0xd4000001, "%#x %#x", words[0], words[1]);
#ifdef __GLIBC__
	check("an unwinder comes to the interrupted function", in_interrupted == 1, "%d times", in_interrupted);
	check("    exactly where it was interrupted", exact, "no");
	check("    with its registers", seen_x19 == 0x1919 && seen_x28 == 0x2828, "%#lx %#lx", (unsigned long)seen_x19,
	      (unsigned long)seen_x28);
	check("    and to main", in_main == 1, "%d times", in_main);

	struct dwarf_eh_bases { void *tbase, *dbase, *func; } bases = { 0 };
	extern const void *_Unwind_Find_FDE(void *, struct dwarf_eh_bases *) __attribute__((weak));
	int listed = 0;
	dl_iterate_phdr(list_vdso, &listed);
	check("the vDSO is in the list of objects", listed == 1, "%d times", listed);
	if (_Unwind_Find_FDE)
		check("there are rules for the return", _Unwind_Find_FDE((char *)vdso_sigreturn - 1, &bases) != NULL &&
		      bases.func == (char *)vdso_sigreturn - 4, "%p", bases.func);
#endif
}

int main(void)
{
	base = getauxval(AT_SYSINFO_EHDR);
	if (!check("AT_SYSINFO_EHDR", base != 0 && base % 4096 == 0, "%#lx", (unsigned long)base))
		return failed();
	const Elf64_Ehdr *header = (const void *)base;
	check("an ELF file", !memcmp(header->e_ident, ELFMAG, SELFMAG) && header->e_ident[EI_CLASS] == ELFCLASS64 &&
	      header->e_type == ET_DYN && header->e_machine == EM_AARCH64, "%#x %d %d", header->e_ident[0], header->e_type,
	      header->e_machine);
	headers = (const void *)(base + header->e_phoff);
	header_count = header->e_phnum;
	const Elf64_Phdr *load = segment(PT_LOAD), *note = segment(PT_NOTE), *rules = segment(PT_GNU_EH_FRAME);
	check("a segment to be executed", load && load->p_flags == (PF_R | PF_X) && load->p_vaddr == 0 && load->p_offset == 0, "no");
	check("unwind rules", rules != NULL, "none");
	if (!check("a dynamic section", segment(PT_DYNAMIC) != NULL, "none"))
		return failed();
	dynamic = (const void *)(base + segment(PT_DYNAMIC)->p_vaddr);
	const char *strings = entry(DT_STRTAB);
	uint64_t name = (uintptr_t)entry(DT_SONAME) - base;
	check("its name", strings && !strcmp(strings + name, "linux-vdso.so.1"), "%s", strings ? strings + name : "none");
	const Elf64_Nhdr *build = note ? (const void *)(base + note->p_vaddr) : NULL;
	check("a build id", build && build->n_type == NT_GNU_BUILD_ID && build->n_descsz >= 8 && !memcmp(build + 1, "GNU", 4), "none");
	vdso_sigreturn = symbol("__kernel_rt_sigreturn");
	vdso_gettime = symbol("__kernel_clock_gettime");
	vdso_timeofday = symbol("__kernel_gettimeofday");
	vdso_getres = symbol("__kernel_clock_getres");
	if (!check("its symbols", vdso_sigreturn && vdso_gettime && vdso_timeofday && vdso_getres, "%p %p %p %p", vdso_sigreturn,
		   (void *)vdso_gettime, (void *)vdso_timeofday, (void *)vdso_getres))
		return failed();
	check("no symbol of another name", symbol("__kernel_getcpu") == NULL, "one");

	clocks();
	check("the code cannot be written", !can_write((void *)base), "it can");
	check("the kernel's data cannot be written", !can_write((void *)(base - 4096)), "it can");
	unwinding();
	fflush(stdout);
	pid_t child = fork();
	if (child == 0)
		_exit(in_turns(CLOCK_MONOTONIC) == 1000 ? 3 : 4);
	int status = 0;
	waitpid(child, &status, 0);
	check("in a child", WIFEXITED(status) && WEXITSTATUS(status) == 3, "%#x", status);
	set_the_time();
	return failed();
}
