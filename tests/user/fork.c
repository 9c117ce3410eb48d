/*
 * Proves that processes are made and end as on Linux: fork, every kind of wait status, vfork with exec, posix_spawn, pipes between
 * processes, memory that is copied when one of two processes writes to it, and process groups that lose the one who could continue them.
 */
#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>

extern char **environ;

static int status_of(pid_t child)
{
	int status = -1;

	return waitpid(child, &status, 0) == child ? status : -1;
}

/* Forks; the child calls the function and ends with its result. */
static pid_t child_of(int (*function)(void))
{
	pid_t child = fork();

	if (child == 0)
		_exit(function());
	return child;
}

static int seven(void) { return 7; }
static int killed(void) { raise(SIGKILL); return 1; }
static int aborted(void) { signal(SIGABRT, SIG_DFL); abort(); }
static int faults(void) { *(volatile int *)8 = 1; return 1; }
/* By this pipe the parent says that it has learnt that the child goes on: then the child ends. */
static int learnt[2];
static int stops(void) { char byte; raise(SIGSTOP); return read(learnt[0], &byte, 1) == 1 ? 3 : 4; }

static void wait_statuses(void)
{
	int status = status_of(child_of(seven));
	check("exit status", WIFEXITED(status) && WEXITSTATUS(status) == 7, "%#x", status);
	status = status_of(child_of(killed));
	check("killed", WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%#x", status);
	status = status_of(child_of(aborted));
	check("aborted", WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "%#x", status);
	status = status_of(child_of(faults));
	check("faulted", WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "%#x", status);

	check_call("pipe for the child that stops", pipe(learnt));
	pid_t child = child_of(stops);
	pid_t got = waitpid(child, &status, WUNTRACED);
	check("stopped", got == child && WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP, "%d: %#x", got, status);
	check("nothing more to tell", waitpid(child, &status, WNOHANG | WUNTRACED) == 0, "%#x", status);
	kill(child, SIGCONT);
	got = waitpid(child, &status, WCONTINUED);
	check("continued", got == child && WIFCONTINUED(status), "%d: %#x", got, status);
	check_call("the child may end", write(learnt[1], "x", 1));
	close(learnt[0]);
	close(learnt[1]);
	status = status_of(child);
	check("ended after it was stopped", WIFEXITED(status) && WEXITSTATUS(status) == 3, "%#x", status);

	siginfo_t info = { 0 };
	child = child_of(seven);
	int result = waitid(P_PID, child, &info, WEXITED | WNOWAIT);
	check("waitid leaves the child", result == 0 && info.si_pid == child && info.si_code == CLD_EXITED && info.si_status == 7,
	      "%d, code %d, status %d", result, info.si_code, info.si_status);
	status = status_of(child);
	check("waitpid after waitid", WIFEXITED(status), "%#x", status);
	result = waitpid(-1, &status, 0);
	check("no children", result == -1 && errno == ECHILD, "%d: %s", result, strerror(errno));
}

static void copy_on_write(void)
{
	size_t size = 64 * 4096;
	volatile char *own = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int wrong = 0;

	for (size_t i = 0; i < size; i += 4096)
		own[i] = 1;
	pid_t child = fork();
	if (child == 0) {
		for (size_t i = 0; i < size; i += 4096) {
			wrong += own[i] != 1;
			own[i] = 2;
		}
		_exit(wrong != 0);
	}
	/* Writes of the parent must not reach the child either: every second page is written before the child has ended. */
	for (size_t i = 0; i < size; i += 8192)
		own[i] = 3;
	int status = status_of(child);
	check("the child saw the parent's memory as it was", status == 0, "%#x", status);
	for (size_t i = 0; i < size; i += 4096)
		wrong += own[i] != (i % 8192 ? 1 : 3);
	check("the parent's memory is its own", wrong == 0, "%d pages differ", wrong);
	munmap((void *)own, size);
}

static void pipes(void)
{
	static char block[8192];
	int ends[2];
	long total = 0, got;

	check_call("pipe", pipe(ends));
	pid_t child = fork();
	if (child == 0) {
		close(ends[0]);
		memset(block, 'x', sizeof block);
		/* More than the pipe holds, so that the writer has to wait for the reader. */
		for (int i = 0; i < 32; i++)
			if (write(ends[1], block, sizeof block) != sizeof block)
				_exit(1);
		_exit(0);
	}
	close(ends[1]);
	while ((got = read(ends[0], block, sizeof block)) > 0)
		total += got;
	check("all bytes came, then the end", got == 0 && total == 32 * 8192, "%ld bytes, then %ld", total, got);
	check("the writer ended well", status_of(child) == 0, "it did not");
	close(ends[0]);

	check_call("second pipe", pipe2(ends, O_NONBLOCK));
	got = read(ends[0], block, 1);
	check("empty pipe, not blocking", got == -1 && errno == EAGAIN, "%ld: %s", got, strerror(errno));
	struct pollfd poll_for = { ends[0], POLLIN, 0 };
	check("poll finds nothing", poll(&poll_for, 1, 1) == 0, "%#x", poll_for.revents);
	check_call("write", write(ends[1], "y", 1));
	check("poll finds a byte", poll(&poll_for, 1, -1) == 1 && poll_for.revents == POLLIN, "%#x", poll_for.revents);
	close(ends[0]);
	signal(SIGPIPE, SIG_IGN);
	got = write(ends[1], "z", 1);
	check("nobody reads", got == -1 && errno == EPIPE, "%ld: %s", got, strerror(errno));
	close(ends[1]);
	signal(SIGPIPE, SIG_DFL);
}

static void execs(const char *self)
{
	char *arguments[] = { (char *)self, "again", "a b", NULL };
	pid_t child;
	volatile int seen __attribute__((unused)) = 0;

	if ((child = vfork()) == 0) {
		/* The child runs in the parent's memory. */
		seen = 1;
		execve(self, arguments, environ);
		_exit(99);
	}
#ifdef __GLIBC__
	/* musl's vfork() is a fork on AArch64. */
	check("vfork shares memory", seen == 1, "%d", seen);
#endif
	int status = status_of(child);
	check("vfork and exec", WIFEXITED(status) && WEXITSTATUS(status) == 42, "%#x", status);
	int error = posix_spawn(&child, self, NULL, NULL, arguments, environ);
	check("posix_spawn", error == 0, "%s", strerror(error));
	status = status_of(child);
	check("spawned program", WIFEXITED(status) && WEXITSTATUS(status) == 42, "%#x", status);
	error = posix_spawn(&child, "/no/such/file", NULL, NULL, arguments, environ);
	check("spawn of nothing", error == ENOENT, "%s", strerror(error));
	execve("/no/such/file", arguments, environ);
	check("exec of nothing", errno == ENOENT, "%s", strerror(errno));
}

static volatile sig_atomic_t hung_up;
static void hang_up(int signal) { (void)signal; hung_up = 1; }
static int stops_for_ever(void) { raise(SIGSTOP); return 0; }

/* A session whose leader has a child that is stopped, and another one that ends: the group has lost nobody who could continue it. */
static int one_of_a_group_ends(void)
{
	int status, good;

	setsid();
	signal(SIGHUP, hang_up);
	pid_t stopped = child_of(stops_for_ever);
	waitpid(stopped, &status, WUNTRACED);
	good = status_of(child_of(seven)) == 7 << 8 && !hung_up && waitpid(stopped, &status, WNOHANG) == 0;
	kill(stopped, SIGKILL);
	return good && status_of(stopped) == SIGKILL ? 0 : 1;
}

static int hears(void)
{
	signal(SIGHUP, hang_up);
	raise(SIGSTOP);
	return write(learnt[1], &(char){ hung_up ? 'y' : 'n' }, 1) == 1;
}

/* The leader of a group ends, whose member is stopped. */
static int leaves_its_group(void)
{
	int status;

	setpgid(0, 0);
	waitpid(child_of(hears), &status, WUNTRACED);
	return 7;
}

static int a_group_is_orphaned(void)
{
	char byte = 0;

	setsid();
	pipe(learnt);
	if (status_of(child_of(leaves_its_group)) != 7 << 8)
		return 2;
	close(learnt[1]);
	return read(learnt[0], &byte, 1) == 1 && byte == 'y' ? 0 : 1;
}

static void hang_ups(void)
{
	int status = status_of(child_of(one_of_a_group_ends));
	check("a member of a group ends, another one stays stopped", status == 0, "%#x", status);
	status = status_of(child_of(a_group_is_orphaned));
	check("an orphaned group with a stopped member gets SIGHUP and SIGCONT", status == 0, "%#x", status);
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "again"))
		return strcmp(argv[2], "a b") ? 41 : 42;
	pid_t parent = getpid();
	pid_t child = fork();
	if (child == 0)
		_exit(getppid() != parent || getpid() == parent);
	check("fork", child > 0 && status_of(child) == 0, "%d", child);
	wait_statuses();
	copy_on_write();
	pipes();
	execs(argv[0]);
	hang_ups();
	return failed();
}
