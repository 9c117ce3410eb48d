/*
 * Proves that no request of ptrace harms the kernel: random requests with random and with well-formed arguments, of live, stopped, dying
 * and foreign tasks, by several tracers at once. Tracees do ordinary things (sleep, fork, run threads, execute programs, send themselves signals)
 * until a tracer gives them random registers or writes into their text. At the end the kernel is alive, has as many free pages as before,
 * and a new tracer can do its work.
 *
 * Arguments: the number of requests, and the seed. The same seed makes the same choices; which task is in which state by then is a race.
 *
 * Left out: requests about the first process and about other tracers. A tracer that were stopped would never go on.
 */
#include "tracer.h"
#include <pthread.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>

#define MOST_TRACERS 8
#define VICTIMS 6
/* A tracer ends after so many requests, with all its tracees as they are. */
#define REQUESTS_OF_TRACER 3000
#define ROOM 8192

static struct {
	volatile uint64_t done[MOST_TRACERS];
	/* Whom the tracers have made. */
	volatile pid_t victims[MOST_TRACERS][VICTIMS];
} *common;
static uint64_t seed = 1, state;
static unsigned char *room, *readable;

/* splitmix64. */
static uint64_t next(void)
{
	uint64_t z = state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}
static uint64_t below(uint64_t limit) { return next() % limit; }

static void quiet(int signal) { (void)signal; }

static void *thread_of_victim(void *nothing)
{
	for (int i = 0; i < 20; i++)
		nap();
	return nothing;
}

/* What a victim does for ever, if it is let. */
static void victim(int kind)
{
	char *const arguments[] = { "again", "ends", NULL };
	pthread_t thread;

	signal(SIGUSR1, quiet);
	for (;;) {
		switch (kind) {
		case 0:
			for (volatile int i = 0; i < 10000; i++)
				;
			getppid();
			break;
		case 1:
			nap();
			break;
		case 2:
			raise(SIGUSR1);
			kill(getpid(), SIGWINCH);
			nap();
			break;
		case 3: {
			pid_t pid = fork();
			if (pid == 0) {
				nap();
				_exit(1);
			}
			waitpid(pid, NULL, 0);
			break;
		}
		case 4:
			if (!pthread_create(&thread, NULL, thread_of_victim, NULL))
				pthread_join(thread, NULL);
			break;
		default: {
			pid_t pid = fork();
			if (pid == 0) {
				execve("/proc/self/exe", arguments, NULL);
				_exit(1);
			}
			waitpid(pid, NULL, 0);
			nap();
		}
		}
	}
}

static uint64_t wild(void)
{
	switch (below(8)) {
	case 0: return (uintptr_t)room + ROOM - below(64);
	case 1: return (uintptr_t)readable + below(4096);
	case 2: return 0xffff000040000000 + below(1 << 28);
	case 3: return 0xffff800080000000 + below(1 << 24);
	case 4: return 0x0001000000000000 + below(1ul << 40) - (1ul << 39);
	case 5: return ((uintptr_t)room + below(ROOM)) | next() << 56;
	case 6: return ~0ul - below(4096);
	default: return next() >> below(64);
	}
}

static void fill(size_t length)
{
	for (size_t i = 0; i < length / 8; i++)
		((uint64_t *)room)[i] = next() >> (below(2) ? 0 : below(64));
}

static const int sets[] = { NT_STATUS, NT_STATUS, NT_FPREGS, NT_TLS, NT_BREAKS, NT_WATCHES, NT_CALL, NT_VECTORS, NT_PAC_MASK, NT_VFP };

/* Registers with random values, or those of the tracee with one changed. */
static void change_registers(pid_t pid)
{
	struct iovec *vector = (struct iovec *)(room + ROOM - 64);
	int type = sets[below(sizeof sets / sizeof *sets)];
	static const size_t lengths[] = { 0, 4, 7, 8, 16, 24, 72, 104, 264, 272, 528, 600, 1 << 20, ~0ul };

	*vector = (struct iovec) { room, below(4) ? 4096 : lengths[below(sizeof lengths / sizeof *lengths)] };
	if (!below(16))
		vector->iov_base = (void *)wild();
	if (below(4)) {
		ptrace_(GETREGSET, pid, type, (uintptr_t)vector);
		if (vector->iov_base == room && vector->iov_len < ROOM - 64) {
			for (unsigned changes = below(4); changes; changes--) {
				size_t at = below(vector->iov_len / 8 + 1);
				((uint64_t *)room)[at] = below(2) ? wild() : next() >> below(64);
			}
			/* A slot that is likely to be taken: on the tracee's stack or text. */
			if (type == NT_BREAKS || type == NT_WATCHES) {
				uint64_t *slots = (uint64_t *)room + 1;
				size_t slot = below(6) * 2;
				slots[slot] = below(2) ? (uintptr_t)victim + below(64) * 4 : (uintptr_t)&slot - below(2048);
				slots[slot + 1] = 1 | 2 << 1 | (type == NT_BREAKS ? 0xf << 5 : (below(3) + 1) << 3 | below(256) << 5);
				vector->iov_len = 8 + 16 * below(7);
			}
		}
	} else {
		fill(640);
	}
	ptrace_(SETREGSET, pid, below(16) ? (uint64_t)type : next() >> below(64), below(32) ? (uintptr_t)vector : wild());
}

static void request(int slot, pid_t pid)
{
	static const int requests[] = { TRACEME, PEEKTEXT, PEEKDATA, PEEKUSER, POKETEXT, POKEDATA, POKEUSER, CONT, CONT, CONT, KILL, SINGLESTEP,
		SINGLESTEP, SINGLESTEP, ATTACH, ATTACH, DETACH, SYSCALL, SYSCALL, SYSCALL, SETOPTIONS, SETOPTIONS, GETEVENTMSG, GETSIGINFO, SETSIGINFO,
		GETREGSET, SETREGSET, SETREGSET, SETREGSET, SEIZE, SEIZE, INTERRUPT, INTERRUPT, INTERRUPT, LISTEN, LISTEN, PEEKSIGINFO, GETSIGMASK,
		SETSIGMASK, SECCOMP_GET_FILTER, SECCOMP_GET_METADATA, GET_SYSCALL_INFO, 31, 32, 33, 34 };
	uint64_t request = requests[below(sizeof requests / sizeof *requests)], address = below(4) ? (uintptr_t)room : wild(), data = address;

	(void)slot;
	switch (request) {
	case TRACEME:
		/* The tracer would stop at each signal. */
		if (below(512))
			return;
		break;
	case KILL:
		if (below(16))
			return;
		break;
	case CONT: case SINGLESTEP: case SYSCALL: case DETACH:
		data = below(4) ? 0 : below(4) ? below(66) : next();
		break;
	case SETOPTIONS:
		data = below(8) ? next() & 0x1000ff : next();
		break;
	case ATTACH: case SEIZE: case LISTEN: case INTERRUPT:
		address = below(16) ? 0 : next();
		data = below(8) ? next() & 0x1000ff : next();
		break;
	case POKETEXT: case POKEDATA:
		address = below(4) ? (uintptr_t)victim + below(512) : below(2) ? (uintptr_t)&request - below(1024) : wild();
		data = below(2) ? 0xd4200000d4200000 : next();
		break;
	case PEEKTEXT: case PEEKDATA:
		address = below(2) ? (uintptr_t)victim + below(512) : wild();
		data = below(8) ? (uintptr_t)room : wild();
		break;
	case SETSIGINFO:
		if (below(2))
			PT(GETSIGINFO, pid, 0, room);
		else
			fill(128);
		data = below(16) ? (uintptr_t)room : wild();
		break;
	case GETSIGMASK: case SETSIGMASK:
		address = below(8) ? 8 : next();
		fill(8);
		break;
	case PEEKSIGINFO:
		fill(16);
		if (below(2))
			memcpy(room, (uint64_t[]) { below(4), below(2) | 8ul << 32 }, 16);
		break;
	case GET_SYSCALL_INFO:
		address = below(2) ? below(128) : next();
		break;
	case SETREGSET:
		change_registers(pid);
		return;
	case GETREGSET: {
		struct iovec *vector = (struct iovec *)(room + ROOM - 64);
		*vector = (struct iovec) { below(8) ? room : (void *)wild(), below(4) ? below(800) : next() };
		/* The vector's length may say more than there is: what it says is written. */
		vector->iov_len %= ROOM - 64;
		address = below(8) ? (uint64_t)sets[below(sizeof sets / sizeof *sets)] : next();
		data = below(16) ? (uintptr_t)vector : wild();
		break;
	}
	}
	if (!below(64))
		request = below(2) ? below(64) : next();
	if (request == TRACEME && below(64))
		return;
	ptrace_(request, pid, address, data);
}

static void tracer(int slot, uint64_t from, uint64_t to)
{
	pid_t seen[16] = { 0 };
	int status;

	setpgid(0, 0);
	/* A victim can be the last member whose parent is outside of the group: when it ends while another one is stopped, all get SIGHUP. */
	signal(SIGHUP, SIG_IGN);
	for (uint64_t turn = from; turn < to; turn++) {
		state = seed * 0x2545f4914f6cdd1d + turn;
		common->done[slot] = turn + 1;
		int which = below(VICTIMS);
		volatile pid_t *mine = &common->victims[slot][which];
		if (!*mine) {
			pid_t pid = fork();
			if (pid == 0) {
				if (below(4) == 0)
					ptrace_(TRACEME, 0, 0, 0);
				victim(which);
			}
			*mine = pid > 0 ? pid : 0;
		}
		pid_t pid = *mine;
		switch (below(16)) {
		case 0: case 1: pid = common->victims[below(MOST_TRACERS)][below(VICTIMS)]; break;
		case 2: case 3: pid = seen[below(16)]; break;
		case 4: pid = below(4) ? 0 : (pid_t)next(); break;
		case 5: pid = below(2) ? getpid() : 0x3fffff - (pid_t)below(100); break;
		}
		int forbidden = pid == getppid() || pid == 1;
		for (int i = 0; i < MOST_TRACERS; i++)
			forbidden |= pid == shared->pid[i] && pid != getpid();
		if (!forbidden)
			request(slot, pid);
		if (!below(8) && *mine)
			kill(*mine, below(2) ? SIGSTOP : below(2) ? SIGCONT : below(4) ? SIGUSR1 : (int)below(65));
		if (!below(128) && *mine)
			kill(*mine, SIGKILL);
		/* Who has stopped or ended, sometimes without taking it. */
		for (int i = 0; i < 4; i++) {
			siginfo_t info = { 0 };
			if (!below(32))
				waitid(P_ALL, 0, &info, WNOHANG | WEXITED | WSTOPPED | WCONTINUED | WNOWAIT | __WALL);
			pid_t got = syscall(SYS_wait4, -1, &status, WNOHANG | __WALL | (below(2) ? WUNTRACED : 0) | (below(2) ? WCONTINUED : 0), NULL);
			if (got <= 0)
				break;
			seen[below(16)] = got;
			if (!WIFSTOPPED(status) && !WIFCONTINUED(status))
				for (int v = 0; v < VICTIMS; v++)
					if (common->victims[slot][v] == got)
						common->victims[slot][v] = 0;
			/* Most go on, so that they get somewhere. */
			if (WIFSTOPPED(status) && below(4))
				ptrace_(below(4) ? CONT : below(2) ? SINGLESTEP : SYSCALL, got, 0, below(4) || WSTOPSIG(status) > 64 ? 0 : WSTOPSIG(status) & 63);
		}
	}
	_exit(0);
}

/* The free pages, and those of files. */
static long pages_free(void)
{
	struct sysinfo info;
	struct statfs files;

	if (sysinfo(&info) || statfs("/", &files))
		return -1;
	return (long)(info.freeram * info.mem_unit / 4096) + (long)(files.f_blocks - files.f_bfree);
}

static void run(uint64_t from, uint64_t to, int tracers, uint64_t *died, uint64_t *stuck)
{
	struct { pid_t pid; uint64_t at, to; } workers[MOST_TRACERS] = { 0 };
	struct timespec while_ = { 0, 500000000 };
	sigset_t ended;
	int busy = 1, status;

	sigemptyset(&ended);
	sigaddset(&ended, SIGCHLD);
	for (int i = 0; i < tracers; i++) {
		workers[i].at = common->done[i] = from + (to - from) * i / tracers;
		workers[i].to = from + (to - from) * (i + 1) / tracers;
	}
	for (;;) {
		busy = 0;
		for (int i = 0; i < tracers; i++) {
			if (workers[i].pid == 0 && workers[i].at < workers[i].to) {
				uint64_t end = workers[i].at + REQUESTS_OF_TRACER < workers[i].to ? workers[i].at + REQUESTS_OF_TRACER : workers[i].to;
				pid_t pid = fork();
				if (pid == 0) {
					shared->pid[i] = getpid();
					tracer(i, workers[i].at, end);
				}
				workers[i].pid = pid > 0 ? pid : 0;
			}
			busy |= workers[i].pid != 0 || workers[i].at < workers[i].to;
		}
		if (!busy)
			break;
		uint64_t before[MOST_TRACERS];
		memcpy(before, (void *)common->done, sizeof before);
		int none = sigtimedwait(&ended, NULL, &while_) < 0;
		for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
			for (int i = 0; i < tracers; i++) {
				if (workers[i].pid != pid)
					continue;
				/* It has asked to be traced: nobody lets it go on. */
				if (WIFSTOPPED(status)) {
					kill(pid, SIGKILL);
					continue;
				}
				/* Its victims, mostly; some go on for a while without a tracer. */
				if (workers[i].at & 1 || workers[i].to == common->done[i])
					kill(-pid, SIGKILL);
				for (int v = 0; v < VICTIMS; v++) {
					if (common->victims[i][v] > 1)
						kill(common->victims[i][v], SIGKILL);
					common->victims[i][v] = 0;
				}
				workers[i].pid = 0;
				*died += !WIFEXITED(status);
				workers[i].at = common->done[i] > workers[i].at ? common->done[i] : workers[i].at + 1;
			}
		}
		for (int i = 0; none && i < tracers; i++) {
			if (workers[i].pid != 0 && common->done[i] == before[i]) {
				kill(workers[i].pid, SIGKILL);
				++*stuck;
			}
		}
	}
	/* Whoever is left, wherever a wild call has led it. */
	kill(-1, SIGKILL);
	while (waitpid(-1, NULL, __WALL) > 0)
		;
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "ends"))
		return 9;
	uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 0) : 20000, died = 0, stuck = 0, ignored = 0;
	int tracers = sysconf(_SC_NPROCESSORS_ONLN) + 1;
	sigset_t ended;

	if (getpid() != 1) {
		printf("not ok first process: this program ends all others, so it must be the first\n");
		return 1;
	}
	seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	tracers = tracers > MOST_TRACERS ? MOST_TRACERS : tracers;
	printf("fuzz: %llu requests, seed %llu, %d tracers at once\n", (unsigned long long)count, (unsigned long long)seed, tracers);
	fflush(stdout);
	sigemptyset(&ended);
	sigaddset(&ended, SIGCHLD);
	sigprocmask(SIG_BLOCK, &ended, NULL);
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	common = mmap(NULL, sizeof *common, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	/* What is written over the room's end must not be anything else. */
	room = mmap(NULL, ROOM + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	readable = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mprotect(room + ROOM, 4096, PROT_NONE);
	memset(shared, 0, sizeof *shared);
	memset(common, 0, sizeof *common);
	/* What stays of the first requests is no loss. */
	run(~0ul / 2, ~0ul / 2 + 300 * tracers, tracers, &ignored, &ignored);
	check("free pages are known", pages_free() > 0, "%ld", pages_free());
	usleep(200000);
	long before = pages_free();
	run(0, count, tracers, &died, &stuck);
	printf("fuzz: %llu tracers died, %llu made no request for a while\n", (unsigned long long)died, (unsigned long long)stuck);
	pid_t pid = traced(ends_at_once);
	is("a tracer after all requests", PT(CONT, pid, 0, 0), 0);
	waits("    and its tracee", pid, EXITED(7));
	long after = pages_free();
	for (int i = 0; i < 500 && after != before; i++) {
		usleep(10000);
		after = pages_free();
	}
	check("free pages", after == before, "%ld, before %ld", after, before);
	return failed();
}
