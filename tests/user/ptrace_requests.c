/*
 * Proves what each request of ptrace refuses, and with which error; that memory of a tracee is read and written whatever its protection is,
 * also at the ends of mappings; and the requests about signals that wait and are masked.
 */
#include "tracer.h"

static unsigned char *page;

/* Three pages: read-only, readable and writable, and a hole. They are there before the tracee is made. */
static void make_pages(void)
{
	page = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < 2 * 4096; i++)
		page[i] = i * 7;
	mprotect(page, 4096, PROT_READ);
	munmap(page + 2 * 4096, 4096);
}

static int reports_a_page(void)
{
	raise(SIGUSR1);
	return page[4096 + 11];
}

static long peek(pid_t pid, const void *at, uint64_t *word)
{
	*word = 0x5a5a5a5a5a5a5a5a;
	return PT(PEEKDATA, pid, at, word);
}

static void peek_and_poke(void)
{
	uint64_t word, wanted;

	make_pages();
	pid_t pid = traced(reports_a_page);
	int wrong = 0;
	for (int offset = 0; offset < 16; offset++) {
		memcpy(&wanted, page + 4096 + offset, 8);
		wrong += peek(pid, page + 4096 + offset, &word) != 0 || word != wanted;
	}
	is("PEEKDATA at each offset", wrong, 0);
	is("PEEKTEXT is the same", PT(PEEKTEXT, pid, page, &word), 0);
	memcpy(&wanted, page + 4092, 8);
	check("across two pages", peek(pid, page + 4092, &word) == 0 && word == wanted, "%#lx", (unsigned long)word);
	memcpy(&wanted, page + 8184, 8);
	check("the last word of a mapping", peek(pid, page + 8184, &word) == 0 && word == wanted, "%#lx", (unsigned long)word);
	for (int over = 1; over < 8; over++)
		wrong += peek(pid, page + 8184 + over, &word) != -EIO || word != 0x5a5a5a5a5a5a5a5a;
	is("over the end: EIO, nothing is written", wrong, 0);
	is("in a hole", peek(pid, page + 8192, &word), -EIO);
	is("at 0", peek(pid, NULL, &word), -EIO);
	is("at -8", peek(pid, (void *)-8L, &word), -EIO);
	is("in the kernel", peek(pid, (void *)0xffff800000000000, &word), -EIO);
	is("the result goes nowhere", PT(PEEKDATA, pid, page, 8), -EFAULT);
	is("the result goes to a read-only place", PT(PEEKDATA, pid, page, page), -EFAULT);

	is("POKEDATA", PT(POKEDATA, pid, page + 4096 + 9, 0x1122334455667788), 0);
	is("    is read back", peek(pid, page + 4096 + 9, &word), 0);
	check("    as it was written", word == 0x1122334455667788, "%#lx", (unsigned long)word);
	is("to a read-only page", PT(POKETEXT, pid, page + 16, 0x99), 0);
	check("    is read back", peek(pid, page + 16, &word) == 0 && word == 0x99, "%#lx", (unsigned long)word);
	check("    and is not the tracer's", page[16] == (unsigned char)(16 * 7), "%#x", page[16]);
	is("across the two pages", PT(POKEDATA, pid, page + 4093, 0xabcdef), 0);
	check("    is read back", peek(pid, page + 4093, &word) == 0 && word == 0xabcdef, "%#lx", (unsigned long)word);
	memcpy(&wanted, page + 8184, 8);
	is("over the end", PT(POKEDATA, pid, page + 8188, 0), -EIO);
	is("in a hole", PT(POKEDATA, pid, page + 8192, 0), -EIO);
	is("at 0", PT(POKEDATA, pid, 0, 0), -EIO);

	/* The program's text. */
	uint64_t text = 0;
	is("text is read", peek(pid, (void *)reports_a_page, &text), 0);
	check("    as it is", !memcmp(&text, (void *)reports_a_page, 8), "%#lx", (unsigned long)text);
	is("text is written", PT(POKETEXT, pid, reports_a_page, ~text), 0);
	check("    and read back", peek(pid, (void *)reports_a_page, &word) == 0 && word == ~text, "%#lx", (unsigned long)word);
	is("    and put back", PT(POKETEXT, pid, reports_a_page, text), 0);

	unsigned char bytes[64] = { 0 };
	struct iovec here = { bytes, sizeof bytes }, there = { page + 4096, sizeof bytes };
	is("process_vm_readv", syscall(SYS_process_vm_readv, pid, &here, 1, &there, 1, 0), 64);
	check("    has what POKEDATA wrote", bytes[9] == 0x88 && bytes[16] == 0x11, "%#x", bytes[9]);
	PT(CONT, pid, 0, 0);
	waits("the program's signal", pid, STOPPED(SIGUSR1));
	PT(CONT, pid, 0, 0);
	waits("the program sees what was written", pid, EXITED(0x66));
}

static void unknown_requests(void)
{
	pid_t pid = traced(sleeps_for_ever);
	static const long unknown[] = { 99, 0x4300, 0x41ff, -1, 1 << 20 };

	for (unsigned i = 0; i < sizeof unknown / sizeof *unknown; i++) {
		char name[64];
		snprintf(name, sizeof name, "request %#lx", unknown[i]);
		is(name, PT(unknown[i], pid, 0, 0), -EIO);
	}
#ifdef __aarch64__
	/* What only other architectures have: GETREGS, SETREGS, GETFPREGS, PEEKUSER, POKEUSER. */
	char area[1024];
	static const long others[] = { 12, 13, 14, 15, PEEKUSER, POKEUSER };
	for (unsigned i = 0; i < sizeof others / sizeof *others; i++)
		is("a request of other architectures", PT(others[i], pid, 0, area), -EIO);
#endif
	is("no process", PT(99, 0x3ffffff, 0, 0), -ESRCH);
	is("process 0", PT(CONT, 0, 0, 0), -ESRCH);
	is("process -1", PT(CONT, -1, 0, 0), -ESRCH);
	is("process -1: ATTACH", PT(ATTACH, -1, 0, 0), -ESRCH);
	pid_t other = start(sleeps_for_ever);
	is("an unknown request of one that is not traced", PT(99, other, 0, 0), -ESRCH);
	static const long all[] = { PEEKTEXT, PEEKDATA, POKETEXT, POKEDATA, CONT, KILL, SINGLESTEP, DETACH, SYSCALL, SETOPTIONS,
				    GETEVENTMSG, GETSIGINFO, SETSIGINFO, GETREGSET, SETREGSET, INTERRUPT, LISTEN, PEEKSIGINFO, GETSIGMASK,
				    SETSIGMASK, GET_SYSCALL_INFO };
	int wrong = 0;
	for (unsigned i = 0; i < sizeof all / sizeof *all; i++)
		wrong += PT(all[i], other, 0, 0) != -ESRCH;
	is("all of one that is not traced: ESRCH", wrong, 0);
	is("a signal that there is not, for one that is not traced", PT(CONT, other, 0, 65), -ESRCH);
	is("    for a tracee", PT(CONT, pid, 0, 65), -EIO);
	is("    as a large number", PT(SINGLESTEP, pid, 0, 1L << 32 | 5), -EIO);
	kill(other, SIGKILL);
	until(other, 'Z');
	is("ATTACH to one that has ended", PT(ATTACH, other, 0, 0), -EPERM);
	is("SEIZE of one that has ended", PT(SEIZE, other, 0, 0), -EPERM);
	waits("it ends", other, SIGKILL);
	PT(CONT, pid, 0, 0);
	until(pid, 'S');
	for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
		long error = all[i] == KILL || all[i] == INTERRUPT ? -ESRCH : PT(all[i], pid, 0, 0);
		if (error != -ESRCH) {
			printf("# request %#lx of one that runs: %ld\n", all[i], error);
			wrong++;
		}
	}
	is("all of one that runs: ESRCH", wrong, 0);
	ends("it ends", pid);

	/* Whom the tracer has not waited for is still its tracee. */
	pid = start(sleeps_for_ever);
	is("SEIZE", PT(SEIZE, pid, 0, 0), 0);
	kill(pid, SIGKILL);
	until(pid, 'Z');
	is("INTERRUPT of a tracee that has ended", PT(INTERRUPT, pid, 0, 0), 0);
	is("    KILL", PT(KILL, pid, 0, 0), 0);
	is("    CONT", PT(CONT, pid, 0, 0), -ESRCH);
	waits("it is told", pid, SIGKILL);
	is("    and gone", PT(INTERRUPT, pid, 0, 0), -ESRCH);
	pid = traced(sleeps_for_ever);
	kill(pid, SIGKILL);
	until(pid, 'Z');
	is("INTERRUPT of one that was not seized", PT(INTERRUPT, pid, 0, 0), -EIO);
	waits("it is told", pid, SIGKILL);
}

static void options(void)
{
	pid_t pid = traced(sleeps_for_ever);
	static const unsigned long bad[] = { 0x80 << 1, 1 << 9, 1 << 19, 1 << 22, 1ul << 31 };

	is("all options", PT(SETOPTIONS, pid, 0, 0x1000ff), 0);
	is("none", PT(SETOPTIONS, pid, 0, 0), 0);
	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
		is("an unknown option", PT(SETOPTIONS, pid, 0, bad[i]), -EINVAL);
	unsigned long message = ~0ul;
	is("GETEVENTMSG without an event", PT(GETEVENTMSG, pid, 0, &message), 0);
	is("    is 0", message, 0);
	is("    to nowhere", PT(GETEVENTMSG, pid, 0, 8), -EFAULT);
	is("GETSIGINFO to nowhere", PT(GETSIGINFO, pid, 0, 8), -EFAULT);
	is("SETSIGINFO from nowhere", PT(SETSIGINFO, pid, 0, 8), -EFAULT);
	ends("it ends", pid);
	pid = start(sleeps_for_ever);
	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
		/* Linux has given EINVAL here since 6.11, and EIO before. */
		long error = PT(SEIZE, pid, 0, bad[i]);
		check("SEIZE with an unknown option", error == -EIO || error == -EINVAL, "%ld", error);
	}
	is("SEIZE with all", PT(SEIZE, pid, 0, 0x1000ff), 0);
	PT(INTERRUPT, pid, 0, 0);
	waits("a stop", pid, EVENT_STOP(SIGTRAP));
	PT(DETACH, pid, 0, 0);
	ends("it ends", pid);
}

static int waits_for_signals(void)
{
	sigset_t set;
	siginfo_t info;

	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (int i = 0; i < 5; i++)
		sigqueue(getpid(), SIGRTMIN + 2, (union sigval) { .sival_int = 100 + i });
	for (int i = 0; i < 3; i++) {
		memset(&info, 0, sizeof info);
		info.si_signo = SIGRTMIN + 3;
		info.si_code = SI_QUEUE;
		info.si_value.sival_int = 200 + i;
		syscall(SYS_rt_tgsigqueueinfo, getpid(), getpid(), SIGRTMIN + 3, &info);
	}
	/* The one signal that stops, although it is masked. */
	kill(getpid(), SIGSTOP);
	return 7;
}

static void signals_that_wait(void)
{
	struct { uint64_t offset; uint32_t flags; int32_t count; } which = { 0, 0, 10 };
	siginfo_t found[10];

	pid_t pid = traced(waits_for_signals);
	PT(CONT, pid, 0, 0);
	waits("stopped with signals that wait", pid, STOPPED(SIGSTOP));
	memset(found, 0, sizeof found);
	is("the task's own", PT(PEEKSIGINFO, pid, &which, found), 3);
	check("    in their order", found[0].si_value.sival_int == 200 && found[2].si_value.sival_int == 202 &&
	      found[0].si_signo == SIGRTMIN + 3 && found[0].si_code == SI_QUEUE, "%d, %d", found[0].si_value.sival_int,
	      found[2].si_value.sival_int);
	which.flags = 1;
	is("the process's", PT(PEEKSIGINFO, pid, &which, found), 5);
	check("    in their order", found[0].si_value.sival_int == 100 && found[4].si_value.sival_int == 104 && found[0].si_pid == pid,
	      "%d, %d", found[0].si_value.sival_int, found[4].si_value.sival_int);
	which.offset = 3;
	is("from the fourth on", PT(PEEKSIGINFO, pid, &which, found), 2);
	check("    these", found[0].si_value.sival_int == 103, "%d", found[0].si_value.sival_int);
	which.offset = 1;
	which.count = 2;
	is("two of them", PT(PEEKSIGINFO, pid, &which, found), 2);
	check("    these", found[0].si_value.sival_int == 101 && found[1].si_value.sival_int == 102, "%d", found[0].si_value.sival_int);
	which.offset = 5;
	is("behind the last", PT(PEEKSIGINFO, pid, &which, found), 0);
	which.offset = ~0ul;
	is("far behind", PT(PEEKSIGINFO, pid, &which, found), 0);
	which.offset = 0;
	is("to nowhere", PT(PEEKSIGINFO, pid, &which, 8), -EFAULT);
	which.count = 0;
	is("none", PT(PEEKSIGINFO, pid, &which, found), 0);
	which.count = -1;
	is("less than none", PT(PEEKSIGINFO, pid, &which, found), -EINVAL);
	which.count = 1;
	which.flags = 2;
	is("an unknown flag", PT(PEEKSIGINFO, pid, &which, found), -EINVAL);
	is("arguments from nowhere", PT(PEEKSIGINFO, pid, 8, found), -EFAULT);
	PT(CONT, pid, 0, 0);
	waits("the end", pid, EXITED(7));
}

static int asks_for_its_mask(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	kill(getpid(), SIGSTOP);
	sigprocmask(SIG_BLOCK, NULL, &set);
	return sigismember(&set, SIGUSR1) + 2 * sigismember(&set, SIGUSR2) + 4 * sigismember(&set, SIGKILL) + 8 * sigismember(&set, SIGSTOP);
}

static void masks(void)
{
	pid_t pid = traced(asks_for_its_mask);
	uint64_t mask = 0;

	PT(CONT, pid, 0, 0);
	waits("stopped", pid, STOPPED(SIGSTOP));
	is("GETSIGMASK", PT(GETSIGMASK, pid, 8, &mask), 0);
	is("    is the mask", mask, 1 << (SIGUSR1 - 1));
	is("of 4 bytes", PT(GETSIGMASK, pid, 4, &mask), -EINVAL);
	is("of 16 bytes", PT(SETSIGMASK, pid, 16, &mask), -EINVAL);
	is("to nowhere", PT(GETSIGMASK, pid, 8, 8), -EFAULT);
	is("from nowhere", PT(SETSIGMASK, pid, 8, 8), -EFAULT);
	mask = 1 << (SIGUSR2 - 1) | 1 << (SIGKILL - 1) | 1 << (SIGSTOP - 1);
	is("SETSIGMASK", PT(SETSIGMASK, pid, 8, &mask), 0);
	is("GETSIGMASK", PT(GETSIGMASK, pid, 8, &mask), 0);
	is("    without SIGKILL and SIGSTOP", mask, 1 << (SIGUSR2 - 1));
	PT(CONT, pid, 0, 0);
	waits("the program has it", pid, EXITED(2));
}

static int masks_and_signals(void)
{
	sigset_t set;

	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR1);
	kill(getpid(), SIGSTOP);
	return 7;
}

static void a_mask_is_opened(void)
{
	pid_t pid = traced(masks_and_signals);
	uint64_t none = 0;

	PT(CONT, pid, 0, 0);
	waits("stopped", pid, STOPPED(SIGSTOP));
	is("nothing is masked now", PT(SETSIGMASK, pid, 8, &none), 0);
	PT(CONT, pid, 0, 0);
	waits("so the signal that waited comes", pid, STOPPED(SIGUSR1));
	PT(CONT, pid, 0, 0);
	waits("the end", pid, EXITED(7));
}

/* A signal that the tracer puts in for another one, and that is masked, waits. */
static int masks_usr2(void)
{
	sigset_t set, none;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR1);
	shared->word[0] = 1;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	return 7;
}

static void a_masked_signal_is_put_in(void)
{
	pid_t pid = traced(masks_usr2);

	PT(CONT, pid, 0, 0);
	waits("a signal", pid, STOPPED(SIGUSR1));
	PT(CONT, pid, 0, SIGUSR2);
	waits("the other one stops anew", pid, STOPPED(SIGUSR2));
	is("    when it is no longer masked", shared->word[0], 1);
	PT(CONT, pid, 0, 0);
	waits("the end", pid, EXITED(7));
}

/* /proc/PID/mem of a tracee, and of one that has ended. */
static void the_file_of_memory(void)
{
	char path[64];
	uint64_t word = 0;

	make_pages();
	pid_t pid = traced(reports_a_page);
	snprintf(path, sizeof path, "/proc/%d/mem", pid);
	int file = open(path, O_RDWR | O_CLOEXEC);
	check_call("open", file);
	is("read", pread(file, &word, 8, (uintptr_t)page + 4096), 8);
	check("    what is there", !memcmp(&word, page + 4096, 8), "%#lx", (unsigned long)word);
	is("write to a read-only page", pwrite(file, "12345678", 8, (uintptr_t)page), 8);
	is("    read back", PT(PEEKDATA, pid, page, &word), 0);
	check("    by PEEKDATA", !memcmp(&word, "12345678", 8), "%#lx", (unsigned long)word);
	is("a read that ends in a hole", pread(file, &word, 8, (uintptr_t)page + 8188), 4);
	long got = pread(file, &word, 8, (uintptr_t)page + 8192);
	is("a hole", got < 0 ? errno : got, EIO);
	ends("it ends", pid);
	is("then there is nothing", pread(file, &word, 8, (uintptr_t)page), 0);
}

int main(void)
{
	CASE(peek_and_poke);
	CASE(unknown_requests);
	CASE(options);
	CASE(signals_that_wait);
	CASE(masks);
	CASE(a_mask_is_opened);
	CASE(a_masked_signal_is_put_in);
	CASE(the_file_of_memory);
	return failed();
}
