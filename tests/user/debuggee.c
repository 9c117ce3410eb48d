/*
 * What gdb's sessions with gdbserver stop in (scripts/gdbserver). Without an argument it does one thing after the other, and ends with status 7.
 * `loop` has it count until it is told to end by `told`; `fork` has it make a child.
 */
#pragma GCC optimize("O0")
#include "check.h"
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

struct pair {
	long first, second;
};

volatile long total, copy, told;
struct pair pair = { 1, 2 };
volatile sig_atomic_t signals;

__attribute__((noinline))
long add(long a, long b)
{
	long sum = a + b;

	total += sum;
	return sum;
}

__attribute__((noinline))
void touch(void)
{
	pair.second = 20;
	copy = pair.second;
	pair.second = 30;
}

__attribute__((noinline))
void *work(void *argument)
{
	add(100, (long)argument);
	return argument;
}

static void handle(int signal)
{
	(void)signal;
	signals++;
}

__attribute__((noinline))
int child(void)
{
	total = 1000;
	return 3;
}

static int make_child(void)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(child());
	waitpid(pid, &status, 0);
	printf("debuggee: the child has ended with %d\n", WEXITSTATUS(status));
	return 0;
}

/* A child says that the loop runs: whoever interrupts it then finds it in the loop, and not on its way there. */
static int loop(void)
{
	volatile long *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (fork() == 0) {
		while (!*shared)
			;
		printf("debuggee: counts\n");
		fflush(stdout);
		_exit(0);
	}
	while (!told)
		*shared = ++total;
	printf("debuggee: was told to end\n");
	return 5;
}

int main(int count, char **words)
{
	pthread_t thread;

	if (count > 1)
		return strcmp(words[1], "fork") == 0 ? make_child() : loop();
	for (long turn = 0; turn < 4; turn++)
		add(turn, 10);
	touch();
	signal(SIGUSR1, handle);
	raise(SIGUSR1);
	pthread_create(&thread, NULL, work, (void *)7);
	pthread_join(thread, NULL);
	printf("debuggee: total %ld, %d signals\n", total, (int)signals);
	return 7;
}
