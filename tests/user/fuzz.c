/*
 * Proves that no system call harms the kernel, whatever its arguments: random ones, and ones of the right kind with wild pointers, addresses
 * of the kernel, tagged addresses and huge lengths. Children make the calls and may die; the parent goes on with the next child where the
 * last one stopped. At the end the kernel is alive, and has as many free pages as before and no file open that nobody can close.
 *
 * Arguments: the number of calls, and the seed. The same seed makes the same calls, except that what they do depends on the others.
 *
 * Left out or masked:
 * - exit, exit_group: they would end the child at each turn. reboot: the test.
 * - kill and its kin hit the child only, the scheduler's calls change the child only: the parent must be able to go on.
 * - clone's CLONE_VM without CLONE_VFORK, and CLONE_PARENT: the first would have two tasks run on one stack, the second make
 *   the parent wait for children that it does not know. execve: a program that runs makes no more calls.
 * - The descriptors 0 to 2 and the paths are not those of the terminal: reading it waits for a person. Names are made below /tmp/fuzz only,
 *   so that all can be removed.
 * - Times are short, and SIGALRM ends what sleeps. A child that makes no call for a while is killed.
 */
#include "check.h"
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#define HOME "/tmp/fuzz"
#define MOST_CHILDREN 8
/* A child ends after so many calls, so that what it holds is given back. */
#define CALLS_OF_CHILD 2000
#define LAST_NUMBER 470
#define ROOM (64 * 4096)

/* What the children share with the parent. */
struct shared {
	volatile uint64_t done[MOST_CHILDREN];
};
static struct shared *shared;
static uint64_t seed = 1;

/* splitmix64: the calls of a child depend on the seed and on the number of the call only. */
static uint64_t state;
static uint64_t next(void)
{
	uint64_t z = state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}
static uint64_t below(uint64_t limit) { return next() % limit; }

static unsigned char *room, *readable, *hidden;
static const char *paths[] = { "a", "b", "c", "d", "d/e", "d/f", HOME "/a", HOME "/d", HOME "/link", "fifo", "", "no/such", "." };

/* The kinds of arguments: d descriptor, p path, b buffer, l length, t time, o flags, i small number, a page, s set, v vector, n signal. */
struct call {
	short number;
	const char *kinds;
};
#define C(name, kinds) { SYS_##name, kinds }
static const struct call calls[] = {
	C(brk, "a"), C(mmap, "alooda"), C(munmap, "al"), C(mprotect, "alo"), C(mremap, "alloa"), C(madvise, "ali"),
	C(openat, "dpoo"), C(close, "d"), C(close_range, "ddi"), C(dup, "d"), C(dup3, "ddo"), C(fcntl, "dil"), C(pipe2, "bo"),
	C(read, "dbl"), C(write, "dbl"), C(readv, "dvi"), C(writev, "dvi"), C(pread64, "dbll"), C(pwrite64, "dbll"),
	C(preadv, "dvill"), C(pwritev, "dvill"), C(lseek, "dli"), C(sendfile, "ddbi"), C(fsync, "d"), C(ioctl, "dob"),
	C(newfstatat, "dpbo"), C(fstat, "db"), C(faccessat, "dpi"), C(faccessat2, "dpio"), C(statfs, "pb"), C(fstatfs, "db"),
	C(readlinkat, "dpbl"), C(getdents64, "dbl"), C(getcwd, "bl"), C(mkdirat, "dpi"), C(unlinkat, "dpo"), C(symlinkat, "pdp"),
	C(linkat, "dpdpo"), C(renameat2, "dpdpo"), C(mknodat, "dpol"), C(ftruncate, "dl"), C(fallocate, "dill"), C(fchmod, "di"),
	C(fchmodat, "dpi"), C(fchownat, "dpiio"), C(utimensat, "dpto"), C(umask, "i"), C(ppoll, "bits"), C(pselect6, "ibbbts"),
	C(clone, "oabba"), C(clone3, "bl"), C(wait4, "ibob"), C(waitid, "iibob"), C(getpid, ""), C(getppid, ""), C(setsid, ""),
	C(setpgid, "ii"), C(getpgid, "i"), C(getsid, "i"), C(uname, "b"), C(sysinfo, "b"), C(getrusage, "ib"), C(prlimit64, "iibb"),
	C(personality, "o"), C(getrandom, "bli"), C(gettid, ""), C(set_tid_address, "b"), C(set_robust_list, "bl"),
	C(futex, "boitbi"), C(prctl, "ibbbb"), C(sched_yield, ""), C(sched_setaffinity, "ilb"), C(sched_getaffinity, "ilb"),
	C(sched_setscheduler, "iib"), C(sched_setparam, "ib"), C(sched_getscheduler, "i"), C(sched_getparam, "ib"), C(setpriority, "iii"),
	C(getpriority, "ii"), C(getcpu, "bb"), C(rt_sigaction, "nbbl"), C(rt_sigprocmask, "isbl"), C(rt_sigpending, "bl"),
	C(rt_sigsuspend, "sl"), C(rt_sigtimedwait, "sbtl"), C(rt_sigqueueinfo, "inb"), C(rt_tgsigqueueinfo, "iinb"), C(kill, "in"),
	C(tkill, "in"), C(tgkill, "iin"), C(sigaltstack, "bb"), C(rt_sigreturn, ""), C(clock_gettime, "ib"), C(clock_getres, "ib"),
	C(gettimeofday, "bb"), C(times, "b"), C(nanosleep, "tb"), C(clock_nanosleep, "iitb"), C(restart_syscall, ""),
	C(getitimer, "ib"), C(setitimer, "ibb"), C(getgroups, "ib"), C(getresuid, "bbb"), C(membarrier, "oo"), C(rseq, "blii"),
	C(process_vm_readv, "iviiii"), C(ptrace, "iiab"), C(socket, "iii"), C(eventfd2, "io"), C(epoll_create1, "o"), C(timerfd_create, "io"),
	C(timer_create, "ibb"), C(statx, "dpoob"), C(memfd_create, "po"), C(inotify_init1, "o"), C(splice, "dbdblo"),
};
#define CALLS (sizeof calls / sizeof *calls)

static uint64_t length(void)
{
	static const uint64_t lengths[] = { 0, 1, 7, 8, 16, 128, 4095, 4096, 4097, 65536, 1 << 20, 0x7ffff000, 0x7fffffff, 0x80000000,
					    0xffffffff, 1ul << 47, 1ul << 48, 1ul << 63, ~0ul, ~0xffful };

	return lengths[below(sizeof lengths / sizeof *lengths)];
}

static uint64_t wild(void)
{
	switch (below(9)) {
	case 0: return (uintptr_t)room + ROOM - below(64);
	case 1: return (uintptr_t)readable + below(4096);
	case 2: return (uintptr_t)hidden + below(4096);
	case 3: return 0xffff000040000000 + below(1 << 28);
	case 4: return 0xffff800080000000 + below(1 << 24);
	case 5: return 0x0001000000000000 + below(1ul << 40) - (1ul << 39);
	case 6: return ((uintptr_t)room + below(ROOM)) | next() << 56;
	case 7: return ~0ul - below(4096);
	default: return next() >> below(64);
	}
}

static uint64_t buffer(void) { return below(4) ? (uintptr_t)room + below(ROOM - 512) / 8 * 8 : wild(); }

static uint64_t typed(char kind)
{
	struct timespec *time = (void *)(room + 512);
	struct iovec *vector = (void *)(room + 1024);

	switch (kind) {
	case 'd': return below(8) ? below(32) : below(2) ? (uint64_t)AT_FDCWD : next();
	case 'p': return below(8) ? (uintptr_t)paths[below(sizeof paths / sizeof *paths)] : wild();
	case 'b': return buffer();
	case 'l': return length();
	case 't':
		*time = (struct timespec) { 0, below(100000) };
		if (!below(8))
			*time = (struct timespec) { -1, next() };
		return below(8) ? (uintptr_t)time : wild();
	case 'o': return below(3) ? 1ul << below(32) | 1ul << below(32) : next();
	case 'i': return below(8) ? below(12) - 1 : next();
	case 'a': return below(4) ? (uintptr_t)room + ROOM + below(64) * 4096 : wild();
	case 's': *(uint64_t *)(room + 768) = next() & ~(1ul << (SIGALRM - 1)); return below(8) ? (uintptr_t)room + 768 : wild();
	case 'v':
		for (int i = 0; i < 8; i++)
			vector[i] = (struct iovec) { (void *)buffer(), below(2) ? below(4096) : length() };
		return below(8) ? (uintptr_t)vector : wild();
	case 'n': return below(4) ? below(66) : next();
	default: return next();
	}
}

/* Whether the call is made at all, after what would stop the test was masked. */
static int masked(uint64_t number, uint64_t *x)
{
	static const struct timespec soon = { 0, 1000000 };

	switch ((unsigned)number) {
	case SYS_exit: case SYS_exit_group: case SYS_reboot: case SYS_execve: case SYS_execveat: case SYS_chroot: case SYS_chdir:
	case SYS_fchdir:
		return 0;
	case SYS_rt_sigreturn:
		/* Mostly the end of the child. */
		return below(64) == 0;
	case SYS_kill: case SYS_rt_sigqueueinfo:
		x[0] = below(8) ? (uint64_t)getpid() : 0x7fffff00;
		return 1;
	case SYS_tkill:
		x[0] = below(8) ? (uint64_t)gettid() : 0x7fffff00;
		return 1;
	case SYS_tgkill: case SYS_rt_tgsigqueueinfo:
		x[0] = getpid();
		x[1] = below(8) ? (uint64_t)gettid() : 0x7fffff00;
		return 1;
	case SYS_sched_setscheduler: case SYS_sched_setparam: case SYS_sched_setaffinity: case SYS_sched_setattr: case SYS_prlimit64:
		x[0] = 0;
		return 1;
	case SYS_setpriority:
		x[0] = PRIO_PROCESS;
		x[1] = 0;
		return 1;
	case SYS_setpgid:
		x[0] = x[1] = 0;
		return 1;
	case SYS_clone:
		x[0] &= ~(uint64_t)(CLONE_PARENT | CLONE_THREAD | CLONE_SIGHAND);
		if (x[0] & CLONE_VM)
			x[0] |= CLONE_VFORK;
		x[1] = 0;
		return below(16) == 0;
	case SYS_clone3:
		/* Only with arguments that are refused: their flags cannot be masked in memory that may be shared. */
		x[1] = below(64);
		return 1;
	case SYS_ppoll:
		x[2] = (uintptr_t)&soon;
		return 1;
	case SYS_pselect6:
		x[4] = (uintptr_t)&soon;
		return 1;
	case SYS_sendfile: case SYS_splice:
		/* A file that is copied to itself would fill the memory. */
		x[3] &= 0xffff;
		return 1;
	case SYS_fallocate:
		x[3] &= 0xfffff;
		return 1;
	case SYS_ftruncate:
		x[1] &= below(4) ? 0xfffff : ~0ul;
		return 1;
	}
	return 1;
}

static void prepare(void)
{
	struct sigaction action = { .sa_handler = SIG_IGN };
	struct itimerval often = { { 0, 20000 }, { 0, 20000 } };
	sigset_t none;

	/* A handler that does nothing: sleeping calls end by EINTR. */
	void nothing(int);
	action.sa_handler = nothing;
	sigaction(SIGALRM, &action, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	syscall(SYS_close_range, 32, ~0u, 0);
}

void nothing(int signal) { (void)signal; }

static void open_files(void)
{
	int ends[2];

	for (int i = 0; i < 24; i++)
		close(i);
	open("/dev/null", O_RDWR);
	open("a", O_RDWR | O_CREAT, 0600);
	open("b", O_RDWR | O_CREAT | O_APPEND, 0600);
	open(".", O_RDONLY | O_DIRECTORY);
	if (pipe2(ends, O_NONBLOCK) || pipe2(ends, 0))
		_exit(1);
	mkfifo("fifo", 0600);
	open("fifo", O_RDWR | O_NONBLOCK);
	if (symlink("a", "link") && errno != EEXIST)
		_exit(1);
	mkdir("d", 0700);
}

static void child(int slot, uint64_t from, uint64_t to)
{
	pid_t me = getpid();

	setpgid(0, 0);
	if (chdir(HOME))
		_exit(1);
	open_files();
	for (uint64_t turn = from; turn < to; turn++) {
		uint64_t x[6], number;

		if (turn == from || turn % 16 == 0)
			prepare();
		if (turn % 64 == 0)
			open_files();
		state = seed * 0x2545f4914f6cdd1d + turn;
		/* No byte of the room makes a path that leads out of the directory. */
		for (int i = 0; i < 256; i++) {
			unsigned char byte = next();
			room[below(ROOM)] = byte == '/' || byte == '.' ? '_' : byte;
		}
		const struct call *call = &calls[below(CALLS)];
		int random = below(4) == 0;
		number = random ? below(16) ? below(LAST_NUMBER) : next() : (uint64_t)call->number;
		for (int i = 0; i < 6; i++) {
			char kind = random || !call->kinds[0] ? "dpblotiasvnx"[below(12)] : call->kinds[i % strlen(call->kinds)];
			x[i] = below(16) ? typed(kind) : below(2) ? wild() : length();
		}
		shared->done[slot] = turn + 1;
		if (masked(number, x)) {
			syscall(number, x[0], x[1], x[2], x[3], x[4], x[5]);
			if (syscall(SYS_getpid) != me)
				_exit(0);
		}
	}
	_exit(0);
}

static void remove_all(int at, const char *name)
{
	int directory = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);

	if (directory >= 0) {
		DIR *list = fdopendir(directory);
		for (struct dirent *entry; list && (entry = readdir(list));) {
			if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) {
				remove_all(directory, entry->d_name);
				rewinddir(list);
			}
		}
		closedir(list);
	}
	if (unlinkat(at, name, 0))
		unlinkat(at, name, AT_REMOVEDIR);
}

/* The free pages, and the pages of files, which the children may have left behind. */
static long pages_free(void)
{
	struct sysinfo info;
	struct statfs files;

	if (sysinfo(&info) || statfs("/", &files))
		return -1;
	return (long)(info.freeram * info.mem_unit / 4096) + (long)(files.f_blocks - files.f_bfree);
}

/* Makes the calls with these numbers. Returns how many children died or were killed because they made no calls. */
static void run(uint64_t from, uint64_t to, int children, uint64_t *died, uint64_t *stuck)
{
	struct worker { pid_t pid; uint64_t at, to; } workers[MOST_CHILDREN] = { 0 };
	struct timespec while_ = { 0, 200000000 };
	sigset_t ended;
	int busy = 1;

	mkdir(HOME, 0700);
	sigemptyset(&ended);
	sigaddset(&ended, SIGCHLD);
	for (int i = 0; i < children; i++) {
		workers[i].at = shared->done[i] = from + (to - from) * i / children;
		workers[i].to = from + (to - from) * (i + 1) / children;
	}
	while (busy) {
		busy = 0;
		for (int i = 0; i < children; i++) {
			struct worker *worker = &workers[i];
			if (worker->pid == 0 && worker->at < worker->to) {
				uint64_t end = worker->at + CALLS_OF_CHILD < worker->to ? worker->at + CALLS_OF_CHILD : worker->to;
				pid_t pid = fork();
				if (pid == 0)
					child(i, worker->at, end);
				worker->pid = pid > 0 ? pid : 0;
			}
			busy |= worker->pid != 0 || worker->at < worker->to;
		}
		uint64_t before[MOST_CHILDREN];
		memcpy(before, (void *)shared->done, sizeof before);
		int none = sigtimedwait(&ended, NULL, &while_) < 0;
		int status;
		for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
			for (int i = 0; i < children; i++) {
				if (workers[i].pid != pid)
					continue;
				workers[i].pid = 0;
				if (!WIFEXITED(status))
					++*died;
				/* A child that makes no call at all would be started for ever. */
				workers[i].at = shared->done[i] > workers[i].at ? shared->done[i] : workers[i].at + 1;
			}
		}
		for (int i = 0; none && i < children; i++) {
			if (workers[i].pid != 0 && shared->done[i] == before[i]) {
				kill(workers[i].pid, SIGKILL);
				++*stuck;
			}
		}
	}
	/* Children of the children, too. */
	kill(-1, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0)
		;
	remove_all(AT_FDCWD, HOME);
}

int main(int argc, char **argv)
{
	uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 0) : 20000;
	uint64_t died = 0, stuck = 0, ignored = 0;
	int children = sysconf(_SC_NPROCESSORS_ONLN), ends[2];
	sigset_t ended;
	char byte;

	seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	children = children < 1 ? 1 : children > MOST_CHILDREN ? MOST_CHILDREN : children;
	printf("fuzz: %llu calls, seed %llu, %d children at once\n", (unsigned long long)count, (unsigned long long)seed, children);
	fflush(stdout);
	sigemptyset(&ended);
	sigaddset(&ended, SIGCHLD);
	sigprocmask(SIG_BLOCK, &ended, NULL);
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	room = mmap(NULL, 2 * ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	readable = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	hidden = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || room == MAP_FAILED || readable == MAP_FAILED || hidden == MAP_FAILED || pipe2(ends, O_NONBLOCK))
		return 1;
	/* Shared memory stays once somebody has touched it. */
	memset(shared, 0, sizeof *shared);
	/* Where the children leave them open. */
	for (int i = 0; i < 2; i++) {
		int kept = fcntl(ends[i], F_DUPFD, 28);
		close(ends[i]);
		ends[i] = kept;
	}
	/* What stays of the first calls is no loss: pages of the C library, and a few stacks that the kernel keeps for the next task. */
	for (int i = 0; i < 16; i++) {
		if (fork() == 0) {
			usleep(100000);
			_exit(0);
		}
	}
	run(~0ul / 2, ~0ul / 2 + 200 * children, children, &ignored, &ignored);
	usleep(200000);
	/* As below, so that the pages that the C library and the dynamic linker need for this are there already. */
	printf("fuzz: %llu calls\n", (unsigned long long)count);
	waitpid(-1, NULL, WNOHANG);
	check("free pages are known", pages_free() > 0, "%ld, %ld", pages_free(), pages_free());
	usleep(10000);
	long before = pages_free();
	run(0, count, children, &died, &stuck);
	printf("fuzz: %llu children died, %llu made no call for a while\n", (unsigned long long)died, (unsigned long long)stuck);
	pid_t again = fork();
	if (again == 0)
		_exit(7);
	int status = 0;
	check("a child after all calls", waitpid(again, &status, 0) == again && WIFEXITED(status) && WEXITSTATUS(status) == 7, "%#x", status);
	long after = pages_free();
	for (int i = 0; i < 500 && after != before; i++) {
		usleep(10000);
		after = pages_free();
	}
	check("free pages", after == before, "%ld, before %ld", after, before);
	/* The children had the writing end, too, and its copies. */
	close(ends[1]);
	ssize_t got;
	while ((got = read(ends[0], &byte, 1)) > 0)
		;
	check("open files", got == 0, "%zd: %s", got, strerror(errno));
	return failed();
}
