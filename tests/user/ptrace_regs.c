/*
 * Proves that a tracer reads and writes the registers of a tracee as on Linux: the sets, their sizes and parts, the values that are refused,
 * and what becomes of a system call whose number or result is changed.
 */
#include "tracer.h"
#include "keep.h"
#include <sys/auxv.h>

KEEP(at_break, "brk #0x123");

/* BRK's process: what it loads and what it has in the end. It may be written by the tracee, and be read by the tracer. */
static struct { struct registers in, out; } *kept;

static void prepare(void)
{
	kept = mmap(NULL, sizeof *kept, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < 31; i++)
		kept->in.x[i] = 0x0101010101010101ULL * (i + 1);
	for (int i = 0; i < 32; i++) {
		kept->in.q[i][0] = 0x0123456789abcdefULL * (i + 3);
		kept->in.q[i][1] = ~kept->in.q[i][0] + i;
	}
	kept->in.nzcv = 0xa0000000;
}

static int breaks(void)
{
	at_break(&kept->in, &kept->out);
	return 7;
}

static pid_t at_a_break(void)
{
	prepare();
	pid_t pid = traced(breaks);
	siginfo_t info;

	PT(CONT, pid, 0, 0);
	waits("BRK", pid, STOPPED(SIGTRAP));
	PT(GETSIGINFO, pid, 0, &info);
	struct task_registers now = registers_of(pid);
	check("    its siginfo", info.si_code == TRAP_BRKPT && (uint64_t)info.si_addr == now.pc, "code %#x, %p, PC %#lx", info.si_code,
	      info.si_addr, (unsigned long)now.pc);
	uint64_t word = 0;
	PT(PEEKTEXT, pid, now.pc, &word);
	check("    PC is on it", (uint32_t)word == 0xd4202460, "%#x", (uint32_t)word);
	return pid;
}

static void all_registers(void)
{
	pid_t pid = at_a_break();
	struct task_registers now = registers_of(pid);
	int wrong = 0;

	for (int i = 0; i < 31; i++)
		wrong += now.x[i] != kept->in.x[i];
	is("x0 to x30 are read", wrong, 0);
	check("NZCV and EL0", (now.pstate & 0xf00003df) == 0xa0000000, "%#lx", (unsigned long)now.pstate);
	check("SP", now.sp && now.sp % 16 == 0, "%#lx", (unsigned long)now.sp);
	for (int i = 0; i < 31; i++)
		now.x[i] = ~now.x[i] ^ i;
	now.pc += 4;
	now.pstate ^= 0xf0000000;
	set_registers(pid, &now);
	struct task_registers again = registers_of(pid);
	is("they are read back", memcmp(&now, &again, sizeof now), 0);
	PT(CONT, pid, 0, 0);
	waits("the program goes on behind BRK", pid, EXITED(7));
	/* x0 and x1 were changed before the program stored them. */
	for (int i = 0; i < 31; i++)
		wrong += kept->out.x[i] != (~kept->in.x[i] ^ i);
	is("and has them all", wrong, 0);
	is("    and the flags", kept->out.nzcv, 0x50000000);
	is("    and its SIMD registers", memcmp(kept->in.q, kept->out.q, sizeof kept->in.q), 0);
}

static void sizes(void)
{
	pid_t pid = at_a_break();
	struct task_registers before = registers_of(pid), now;
	uint8_t area[1024];

	memset(area, 0xee, sizeof area);
	is("too much is asked for", regset(GETREGSET, pid, NT_STATUS, area, 1000), 272);
	check("    and 272 bytes are written", area[272] == 0xee && !memcmp(area, &before, 272), "%#x", area[272]);
	memset(area, 0xee, sizeof area);
	is("two registers", regset(GETREGSET, pid, NT_STATUS, area, 16), 16);
	check("    and no more", area[16] == 0xee && !memcmp(area, &before, 16), "%#x", area[16]);
	is("none", regset(GETREGSET, pid, NT_STATUS, area, 0), 0);
	is("7 bytes", regset(GETREGSET, pid, NT_STATUS, area, 7), -EINVAL);
	is("12 bytes", regset(SETREGSET, pid, NT_STATUS, area, 12), -EINVAL);
	uint64_t two[2] = { 11, 22 };
	is("two are set", regset(SETREGSET, pid, NT_STATUS, two, 16), 16);
	now = registers_of(pid);
	check("    the others stay", now.x[0] == 11 && now.x[1] == 22 && !memcmp(&now.x[2], &before.x[2], 272 - 16), "x0 %#lx",
	      (unsigned long)now.x[0]);
	is("more than all are set", regset(SETREGSET, pid, NT_STATUS, memcpy(area, &before, 272), 1000), 272);
	now = registers_of(pid);
	is("    and are there", memcmp(&now, &before, sizeof now), 0);
	is("none are set", regset(SETREGSET, pid, NT_STATUS, area, 0), 0);
	is("to nowhere", regset(GETREGSET, pid, NT_STATUS, (void *)8, 272), -EFAULT);
	is("from nowhere", regset(SETREGSET, pid, NT_STATUS, (void *)8, 272), -EFAULT);
	is("a vector that is nowhere", PT(GETREGSET, pid, NT_STATUS, 8), -EFAULT);
	is("    SETREGSET", PT(SETREGSET, pid, NT_STATUS, 8), -EFAULT);
	is("no such set", regset(GETREGSET, pid, 0x999, area, 8), -EINVAL);
	is("no such set is set", regset(SETREGSET, pid, 0x999, area, 8), -EINVAL);
	is("NT_ARM_VFP", regset(GETREGSET, pid, NT_VFP, area, 8), -EINVAL);
	is("NT_PRPSINFO", regset(GETREGSET, pid, 3, area, 8), -EINVAL);
	if (!(getauxval(AT_HWCAP) & 1 << 22))
		is("NT_ARM_SVE without SVE", regset(GETREGSET, pid, NT_VECTORS, area, 16), -EINVAL);
	if (!(getauxval(AT_HWCAP) & 1 << 30))
		is("NT_ARM_PAC_MASK without it", regset(GETREGSET, pid, NT_PAC_MASK, area, 16), -EINVAL);
	now = registers_of(pid);
	is("nothing has changed", memcmp(&now, &before, sizeof now), 0);
	ends("it ends", pid);
}

static void bad_states(void)
{
	pid_t pid = at_a_break();
	struct task_registers good = registers_of(pid), now;
	static const struct { uint64_t bits; const char *name; } bad[] = {
		{ 4, "EL1t" }, { 5, "EL1h" }, { 8, "EL2t" }, { 9, "EL2h" }, { 12, "EL3t" }, { 13, "EL3h" }, { 1, "EL0 with SP_EL1" }, { 2, "M[1]" },
		{ 0x10, "AArch32" }, { 1 << 20, "IL" }, { 0x40, "F" }, { 0x80, "I" }, { 0x100, "A" }, { 0x200, "D" }, { 0x3c0, "DAIF" }, { 0x13, "AArch32's SVC" },
	};

	/* Linux drops IL. Here it is refused as the other bits with which no program can run. */
	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
		now = good;
		now.pstate |= bad[i].bits;
		now.x[5] = 55;
		is(bad[i].name, regset(SETREGSET, pid, NT_STATUS, &now, sizeof now), -EINVAL);
		now = registers_of(pid);
		is("    nothing has changed", memcmp(&now, &good, sizeof now), 0);
	}
	/* What has no meaning is dropped; what debuggers read and write back is not theirs. */
	static const struct { uint64_t bits; const char *name; } dropped[] = {
		{ 1ul << 32, "bit 32" }, { 1ul << 63, "bit 63" }, { 1 << 13, "ALLINT" }, { 1 << 5, "bit 5" },
		{ 1 << 26, "bit 26" }, { 1 << 22, "PAN" }, { 1 << 23, "UAO" }, { 1 << 21, "SS" },
	};
	for (unsigned i = 0; i < sizeof dropped / sizeof *dropped; i++) {
		now = good;
		now.pstate |= dropped[i].bits;
		is(dropped[i].name, regset(SETREGSET, pid, NT_STATUS, &now, sizeof now), sizeof now);
		now = registers_of(pid);
		check("    is dropped", now.pstate == good.pstate, "%#lx", (unsigned long)now.pstate);
	}
	now = good;
	now.pc += 4;
	set_registers(pid, &now);
	PT(CONT, pid, 0, 0);
	waits("the program goes on", pid, EXITED(7));
}

static void bad_addresses(void)
{
	static const struct { uint64_t pc; int signal, code; const char *name; } bad[] = {
		{ 0, SIGBUS, BUS_ADRALN, "an odd PC" }, { 0x10, SIGSEGV, SEGV_MAPERR, "PC where nothing is" },
		{ 0xffff800008000000, SIGSEGV, SEGV_MAPERR, "PC in the kernel" }, { 0x00ff000000001000, SIGSEGV, SEGV_MAPERR, "PC in between" },
	};
	siginfo_t info;

	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
		pid_t pid = at_a_break();
		struct task_registers now = registers_of(pid);
		/* An odd PC is one where there is text: emulators look for the page first. */
		uint64_t pc = now.pc = bad[i].pc ? bad[i].pc : now.pc + 1;
		set_registers(pid, &now);
		PT(CONT, pid, 0, 0);
		waits(bad[i].name, pid, STOPPED(bad[i].signal));
		PT(GETSIGINFO, pid, 0, &info);
		is("    its code", info.si_code, bad[i].code);
		is("    PC", registers_of(pid).pc, pc);
		ends("    it ends", pid);
	}
	pid_t pid = at_a_break();
	struct task_registers now = registers_of(pid);
	now.sp = 0x1003;
	set_registers(pid, &now);
	is("an odd SP is taken", registers_of(pid).sp, 0x1003);
	PT(CONT, pid, 0, 0);
	waits("BRK again", pid, STOPPED(SIGTRAP));
	is("    with that SP", registers_of(pid).sp, 0x1003);
	ends("it ends", pid);
}

struct vectors {
	uint64_t q[32][2];
	uint32_t fpsr, fpcr, zero[2];
};

static void simd_registers(void)
{
	pid_t pid = at_a_break();
	struct vectors now, again;
	uint8_t area[600];

	is("all", regset(GETREGSET, pid, NT_FPREGS, &now, sizeof now), 528);
	is("q0 to q31", memcmp(now.q, kept->in.q, sizeof now.q), 0);
	is("more", regset(GETREGSET, pid, NT_FPREGS, area, 600), 528);
	is("4 bytes", regset(GETREGSET, pid, NT_FPREGS, area, 4), 4);
	is("6 bytes", regset(GETREGSET, pid, NT_FPREGS, area, 6), -EINVAL);
	is("to nowhere", regset(GETREGSET, pid, NT_FPREGS, (void *)8, 528), -EFAULT);
	is("from nowhere", regset(SETREGSET, pid, NT_FPREGS, (void *)8, 528), -EFAULT);
	for (int i = 0; i < 32; i++) {
		now.q[i][0] = ~now.q[i][0];
		now.q[i][1] += i;
	}
	now.fpsr = 0x08000010;
	now.fpcr = 0x00c00000;
	is("all are set", regset(SETREGSET, pid, NT_FPREGS, &now, sizeof now), 528);
	is("    and read", regset(GETREGSET, pid, NT_FPREGS, &again, sizeof again), 528);
	check("    the same", !memcmp(now.q, again.q, sizeof now.q) && again.fpsr == 0x08000010 && again.fpcr == 0x00c00000, "FPSR %#x, FPCR %#x",
	      again.fpsr, again.fpcr);
	uint64_t q0[2] = { 1, 2 };
	is("q0 alone", regset(SETREGSET, pid, NT_FPREGS, q0, 16), 16);
	regset(GETREGSET, pid, NT_FPREGS, &again, sizeof again);
	check("    and the others stay", again.q[0][0] == 1 && again.q[0][1] == 2 && !memcmp(now.q[1], again.q[1], 31 * 16) &&
	      again.fpcr == 0x00c00000, "q0 %#lx", (unsigned long)again.q[0][0]);
	struct task_registers general = registers_of(pid);
	general.pc += 4;
	set_registers(pid, &general);
	PT(CONT, pid, 0, 0);
	waits("the program goes on", pid, EXITED(7));
	check("and has q1 to q31", !memcmp(now.q[1], kept->out.q[1], 31 * 16) && kept->out.q[0][0] == 1, "q0 %#lx",
	      (unsigned long)kept->out.q[0][0]);
}

static void thread_pointer(void)
{
	pid_t pid = at_a_break();
	uint64_t tls[2] = { 5, 5 }, own, more[4];

	__asm__("mrs %0, tpidr_el0" : "=r"(own));
	is("8 bytes", regset(GETREGSET, pid, NT_TLS, tls, 8), 8);
	check("    the thread pointer", tls[0] == own && tls[1] == 5, "%#lx", (unsigned long)tls[0]);
	is("16 bytes", regset(GETREGSET, pid, NT_TLS, tls, 16), 16);
	check("    the second is 0", tls[0] == own && tls[1] == 0, "%#lx", (unsigned long)tls[1]);
	is("32 bytes", regset(GETREGSET, pid, NT_TLS, more, 32), 16);
	is("4 bytes", regset(GETREGSET, pid, NT_TLS, tls, 4), -EINVAL);
	is("to nowhere", regset(GETREGSET, pid, NT_TLS, (void *)8, 8), -EFAULT);
	is("from nowhere", regset(SETREGSET, pid, NT_TLS, (void *)8, 8), -EFAULT);
	tls[0] = own + 0x1000;
	is("8 are set", regset(SETREGSET, pid, NT_TLS, tls, 8), 8);
	tls[0] = 0;
	regset(GETREGSET, pid, NT_TLS, tls, 8);
	is("    read back", tls[0], own + 0x1000);
	tls[0] = 0xffff123412341234;
	tls[1] = 77;
	is("16 are set", regset(SETREGSET, pid, NT_TLS, tls, 16), 16);
	regset(GETREGSET, pid, NT_TLS, tls, 16);
	check("    read back, the second is 0", tls[0] == 0xffff123412341234 && tls[1] == 0, "%#lx", (unsigned long)tls[1]);
	is("none are set", regset(SETREGSET, pid, NT_TLS, tls, 0), 0);
	regset(GETREGSET, pid, NT_TLS, tls, 16);
	is("    and it stays", tls[0], 0xffff123412341234);
	tls[0] = own;
	regset(SETREGSET, pid, NT_TLS, tls, 8);
	struct task_registers general = registers_of(pid);
	general.pc += 4;
	set_registers(pid, &general);
	PT(CONT, pid, 0, 0);
	waits("the program goes on", pid, EXITED(7));
}

static int shows_its_pointer(void)
{
	uint64_t own, changed;

	__asm__ volatile("mrs %0, tpidr_el0\nbrk #1\nmrs %1, tpidr_el0\nmsr tpidr_el0, %0" : "=&r"(own), "=&r"(changed));
	return changed == own + 0x770 ? 7 : 1;
}

static void the_program_has_the_thread_pointer(void)
{
	pid_t pid = traced(shows_its_pointer);
	uint64_t tls;

	PT(CONT, pid, 0, 0);
	waits("BRK", pid, STOPPED(SIGTRAP));
	regset(GETREGSET, pid, NT_TLS, &tls, 8);
	tls += 0x770;
	regset(SETREGSET, pid, NT_TLS, &tls, 8);
	struct task_registers general = registers_of(pid);
	general.pc += 4;
	set_registers(pid, &general);
	PT(CONT, pid, 0, 0);
	waits("the program reads what was set", pid, EXITED(7));
}

/* getppid with known registers, by one instruction. */
static long raw_call(long number, long x0, uint64_t *x7)
{
	register long a __asm__("x0") = x0, n __asm__("x8") = number, seven __asm__("x7") = 0x7777;

	__asm__ volatile("svc #0" : "+r"(a), "+r"(n), "+r"(seven) : : "memory");
	*x7 = seven;
	return a;
}

static int calls(void)
{
	uint64_t x7;

	kill(getpid(), SIGSTOP);
	long result = raw_call(SYS_getppid, 321, &x7);
	shared->word[0] = result;
	shared->word[1] = x7;
	return 7;
}

/* Leads a tracee to the entry of its getppid. */
static pid_t at_an_entry(void)
{
	pid_t pid = traced(calls);

	PT(SETOPTIONS, pid, 0, ON_SYSGOOD);
	PT(CONT, pid, 0, 0);
	waits("ready", pid, STOPPED(SIGSTOP));
	PT(SYSCALL, pid, 0, 0);
	waits("entry", pid, SYSCALL_STOP);
	return pid;
}

static void a_call_is_seen(void)
{
	pid_t pid = at_an_entry();
	struct task_registers now = registers_of(pid);
	uint32_t call = 0, area[4];
	uint64_t word = 0;

	check("x0, x8", now.x[0] == 321 && now.x[8] == SYS_getppid, "%ld, %ld", (long)now.x[0], (long)now.x[8]);
	PT(PEEKTEXT, pid, now.pc - 4, &word);
	check("PC is behind SVC", (uint32_t)word == 0xd4000001, "%#x", (uint32_t)word);
	is("x7 says entry", now.x[7], 0);
	is("NT_ARM_SYSTEM_CALL", regset(GETREGSET, pid, NT_CALL, &call, 4), 4);
	is("    is the call", call, SYS_getppid);
	is("16 bytes", regset(GETREGSET, pid, NT_CALL, area, 16), 4);
	is("2 bytes", regset(GETREGSET, pid, NT_CALL, area, 2), -EINVAL);
	is("to nowhere", regset(GETREGSET, pid, NT_CALL, (void *)8, 4), -EFAULT);
	is("from nowhere", regset(SETREGSET, pid, NT_CALL, (void *)8, 4), -EFAULT);
	/* x8 is only a register by now. */
	now.x[8] = SYS_getpid;
	now.x[7] = 0x1234;
	set_registers(pid, &now);
	is("writing x8 does not change the call", regset(GETREGSET, pid, NT_CALL, &call, 4) == 4 && call == SYS_getppid, 1);
	PT(SYSCALL, pid, 0, 0);
	waits("exit", pid, SYSCALL_STOP);
	now = registers_of(pid);
	is("x0 is the result", now.x[0], getpid());
	is("x7 says exit", now.x[7], 1);
	PT(CONT, pid, 0, 0);
	waits("the end", pid, EXITED(7));
	is("the program's result", shared->word[0], getpid());
	is("the program's x7", shared->word[1], 0x7777);
}

static void a_call_is_exchanged(void)
{
	pid_t pid = at_an_entry();
	uint32_t call = SYS_getpid;

	is("another call", regset(SETREGSET, pid, NT_CALL, &call, 4), 4);
	call = 0;
	regset(GETREGSET, pid, NT_CALL, &call, 4);
	is("    is read back", call, SYS_getpid);
	PT(SYSCALL, pid, 0, 0);
	waits("exit", pid, SYSCALL_STOP);
	is("it was made", registers_of(pid).x[0], pid);
	PT(CONT, pid, 0, 0);
	waits("the end", pid, EXITED(7));
	is("the program's result", shared->word[0], pid);
}

static void a_call_is_skipped(void)
{
	pid_t pid = at_an_entry();
	int32_t call = -1;

	is("no call", regset(SETREGSET, pid, NT_CALL, &call, 4), 4);
	PT(SYSCALL, pid, 0, 0);
	waits("exit", pid, SYSCALL_STOP);
	is("x0 is as it was", registers_of(pid).x[0], 321);
	PT(CONT, pid, 0, 0);
	waits("the end", pid, EXITED(7));
	is("the program's result", shared->word[0], 321);

	pid = at_an_entry();
	struct task_registers now = registers_of(pid);
	regset(SETREGSET, pid, NT_CALL, &call, 4);
	now.x[0] = 1234;
	set_registers(pid, &now);
	PT(CONT, pid, 0, 0);
	waits("without a call x0 is the result that the tracer says", pid, EXITED(7));
	is("    so the program has it", shared->word[0], 1234);

	pid = at_an_entry();
	call = 5000;
	regset(SETREGSET, pid, NT_CALL, &call, 4);
	PT(CONT, pid, 0, 0);
	waits("a call that there is not", pid, EXITED(7));
	is("    is ENOSYS", shared->word[0], -ENOSYS);
}

static void a_result_is_exchanged(void)
{
	pid_t pid = at_an_entry();

	PT(SYSCALL, pid, 0, 0);
	waits("exit", pid, SYSCALL_STOP);
	struct task_registers now = registers_of(pid);
	now.x[0] = 4711;
	set_registers(pid, &now);
	PT(CONT, pid, 0, 0);
	waits("the end", pid, EXITED(7));
	is("the program's result", shared->word[0], 4711);
}

static void an_argument_is_exchanged(void)
{
	pid_t pid = at_an_entry();
	uint32_t call = SYS_exit_group;

	regset(SETREGSET, pid, NT_CALL, &call, 4);
	struct task_registers now = registers_of(pid);
	now.x[0] = 44;
	set_registers(pid, &now);
	PT(CONT, pid, 0, 0);
	waits("the call has the new argument", pid, EXITED(44));
}

static int ends_of_pipe[2];

static int reads(void)
{
	char byte = 0;
	register long a __asm__("x0") = ends_of_pipe[0], b __asm__("x1") = (long)&byte, c __asm__("x2") = 1, n __asm__("x8") = SYS_read;

	__asm__ volatile("svc #0" : "+r"(a) : "r"(b), "r"(c), "r"(n) : "memory");
	shared->word[0] = a;
	return byte;
}

int called_by_tracer(int value);
__asm__(".text\n.global called_by_tracer\n.type called_by_tracer, %function\ncalled_by_tracer: add w0, w0, #1\nbrk #7\n.size called_by_tracer, .-called_by_tracer\n");

/* The tracee sleeps in a call. The tracer has it call a function, and puts all back. */
static void a_call_is_put_in(void)
{
	if (pipe(ends_of_pipe))
		exit(1);
	pid_t pid = start(reads);
	uint32_t call = 0;
	uint64_t word = 0;
	until(pid, 'S');
	PT(SEIZE, pid, 0, 0);
	PT(INTERRUPT, pid, 0, 0);
	waits("a sleeping one is stopped", pid, EVENT_STOP(SIGTRAP));
	struct task_registers before = registers_of(pid), now = before;
	PT(PEEKTEXT, pid, before.pc, &word);
	check("PC is on SVC again", (uint32_t)word == 0xd4000001, "%#x", (uint32_t)word);
	is("x0 is the argument again", before.x[0], ends_of_pipe[0]);
	regset(GETREGSET, pid, NT_CALL, &call, 4);
	is("there is no call", (int32_t)call, -1);
	now.pc = (uintptr_t)called_by_tracer;
	now.x[0] = 40;
	set_registers(pid, &now);
	PT(CONT, pid, 0, 0);
	waits("the function ends by BRK", pid, STOPPED(SIGTRAP));
	is("    it has run", registers_of(pid).x[0], 41);
	set_registers(pid, &before);
	PT(CONT, pid, 0, 0);
	until(pid, 'S');
	check("the read goes on", write(ends_of_pipe[1], "y", 1) == 1, "%s", strerror(errno));
	waits("    and ends", pid, EXITED('y'));
	is("    with one byte", shared->word[0], 1);
}

static int executes(void)
{
	char *const arguments[] = { "again", "ends", NULL };

	execve("/proc/self/exe", arguments, NULL);
	return 2;
}

static void after_exec(void)
{
	pid_t pid = traced(executes);
	uint64_t tls = 1;
	struct vectors vectors;
	int wrong = 0;

	PT(SETOPTIONS, pid, 0, ON_EXEC);
	PT(CONT, pid, 0, 0);
	waits("the event of exec", pid, EVENT(E_EXEC));
	struct task_registers now = registers_of(pid);
	for (int i = 0; i < 31; i++)
		wrong += i != 7 && i != 8 && now.x[i] != 0;
	is("registers are 0", wrong, 0);
	check("PC, SP and PSTATE", now.pc && now.sp % 16 == 0 && now.sp && (now.pstate & 0xf00003ff) == 0, "PC %#lx, SP %#lx, PSTATE %#lx",
	      (unsigned long)now.pc, (unsigned long)now.sp, (unsigned long)now.pstate);
	regset(GETREGSET, pid, NT_TLS, &tls, 8);
	is("the thread pointer is 0", tls, 0);
	regset(GETREGSET, pid, NT_FPREGS, &vectors, sizeof vectors);
	for (unsigned i = 0; i < sizeof vectors; i++)
		wrong += ((uint8_t *)&vectors)[i] != 0;
	is("SIMD registers are 0", wrong, 0);
	uint64_t count = 0;
	PT(PEEKDATA, pid, now.sp, &count);
	is("SP is at the number of arguments", count, 2);
	PT(CONT, pid, 0, 0);
	waits("the program runs", pid, EXITED(9));
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "ends"))
		return 9;
	CASE(all_registers);
	CASE(sizes);
	CASE(bad_states);
	CASE(bad_addresses);
	CASE(simd_registers);
	CASE(thread_pointer);
	CASE(the_program_has_the_thread_pointer);
	CASE(a_call_is_seen);
	CASE(a_call_is_exchanged);
	CASE(a_call_is_skipped);
	CASE(a_result_is_exchanged);
	CASE(an_argument_is_exchanged);
	CASE(a_call_is_put_in);
	CASE(after_exec);
	return failed();
}
