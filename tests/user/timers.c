/*
 * Proves that the timers of timer_create and setitimer send the signals that they are asked for, to the process or to one thread, count the expiries
 * that found the signal pending, can be asked and stopped, and are neither inherited nor kept by execve.
 */
#include "check.h"
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#ifndef SIGEV_THREAD_ID
#define SIGEV_THREAD_ID 4
#endif

/* As the kernel has it: the C libraries wrap timers in objects of their own. */
struct event {
	uint64_t value;
	int signal, notify, thread;
	char rest[64 - 20];
};

static long create(int clock, const struct event *event, int *id)
{
	return syscall(SYS_timer_create, clock, event, id);
}

static long set(int id, int flags, int64_t first, int64_t interval, struct itimerspec *old)
{
	struct itimerspec new = {
		.it_value = { first / 1000000000, first % 1000000000 }, .it_interval = { interval / 1000000000, interval % 1000000000 },
	};

	return syscall(SYS_timer_settime, id, flags, &new, old);
}

static int64_t left(int id)
{
	struct itimerspec now;

	return syscall(SYS_timer_gettime, id, &now) ? -1 : now.it_value.tv_sec * 1000000000LL + now.it_value.tv_nsec;
}

static int64_t time_now(int clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

#define MS 1000000LL

static sigset_t wanted;

/* The next signal of `wanted`; 0 if none comes for a minute. */
static int next_signal(siginfo_t *info)
{
	struct timespec limit = { .tv_sec = 60 };
	int signal = sigtimedwait(&wanted, info, &limit);

	return signal < 0 ? 0 : signal;
}

static int none_pending(void)
{
	struct timespec none = { 0 };

	return sigtimedwait(&wanted, NULL, &none) == -1 && errno == EAGAIN;
}

static void once(const char *name, int clock)
{
	struct event event = { .value = 0x123456789abcdef0, .signal = SIGRTMIN, .notify = SIGEV_SIGNAL };
	siginfo_t info = { 0 };
	int id = -1;

	check_call(name, create(clock, &event, &id));
	set(id, 0, 3600000 * MS, 0, NULL);
	int64_t rest = left(id);
	check("    what is left", rest > 0 && rest <= 3600000 * MS, "%lld", (long long)rest);
	int64_t start = time_now(CLOCK_MONOTONIC);
	check_call("    it is set", set(id, 0, 20 * MS, 0, NULL));
	int signal = next_signal(&info);
	int64_t end = time_now(CLOCK_MONOTONIC);
	check("    its signal comes", signal == SIGRTMIN && info.si_code == SI_TIMER, "signal %d, code %d", signal, info.si_code);
	check("    with its value", (uintptr_t)info.si_value.sival_ptr == event.value, "%p", info.si_value.sival_ptr);
	check("    with its number", info.si_timerid == id && info.si_overrun == 0, "%d, overrun %d", info.si_timerid,
	      info.si_overrun);
	check("    not before its time", end - start >= 20 * MS, "%lld", (long long)(end - start));
	check("    and then it is stopped", left(id) == 0, "%lld", (long long)left(id));
	check_call("    until an instant", set(id, TIMER_ABSTIME, time_now(clock) + 10 * MS, 0, NULL));
	check("    its signal comes again", next_signal(&info) == SIGRTMIN, "no");
	check_call("    until an instant of the past", set(id, TIMER_ABSTIME, 1, 0, NULL));
	check("    its signal comes at once", next_signal(&info) == SIGRTMIN, "no");
	check_call("    it is deleted", syscall(SYS_timer_delete, id));
	check("    and gone", syscall(SYS_timer_delete, id) == -1 && errno == EINVAL, "%d", errno);
}

static void repeated(void)
{
	struct event event = { .value = 1, .signal = SIGRTMIN, .notify = SIGEV_SIGNAL };
	struct itimerspec old;
	struct timespec sleep = { .tv_nsec = 60 * MS };
	siginfo_t info;
	int id, other;

	check_call("a timer with an interval", create(CLOCK_MONOTONIC, &event, &id));
	check_call("    it is set", set(id, 0, 5 * MS, 5 * MS, NULL));
	nanosleep(&sleep, NULL);
	check("    its signal comes", next_signal(&info) == SIGRTMIN, "no");
	/* Eleven expiries follow the first one within the 60 ms. */
	check("    it counts the expiries while it was pending", info.si_overrun >= 11, "%d", info.si_overrun);
	long overrun = syscall(SYS_timer_getoverrun, id);
	check("    timer_getoverrun says the same", overrun == info.si_overrun, "%ld instead of %d", overrun, info.si_overrun);
	for (int i = 0; i < 5; i++)
		if (!check("    it goes on", next_signal(&info) == SIGRTMIN, "no"))
			break;
	check_call("    it is stopped", set(id, 0, 0, 0, &old));
	check("    it tells its interval", old.it_interval.tv_sec == 0 && old.it_interval.tv_nsec == 5 * MS, "%ld",
	      old.it_interval.tv_nsec);
	while (!none_pending())
		;
	nanosleep(&sleep, NULL);
	check("    then nothing comes", none_pending(), "a signal");

	check_call("two timers with one signal", create(CLOCK_MONOTONIC, &event, &other));
	set(id, 0, 1, 0, NULL);
	set(other, 0, 1, 0, NULL);
	nanosleep(&sleep, NULL);
	int seen = 0;
	for (int i = 0; i < 2; i++)
		if (next_signal(&info) == SIGRTMIN)
			seen |= info.si_timerid == id ? 1 : info.si_timerid == other ? 2 : 4;
	check("    both come", seen == 3, "%d", seen);
	set(id, 0, 1, 0, NULL);
	nanosleep(&sleep, NULL);
	syscall(SYS_timer_delete, id);
	check("a deleted timer leaves no signal", none_pending(), "one");
	syscall(SYS_timer_delete, other);
}

static pthread_barrier_t ready;
static volatile int thread_tid, thread_got, thread_done;

static void *waiter(void *unused)
{
	siginfo_t info;

	(void)unused;
	thread_tid = syscall(SYS_gettid);
	pthread_barrier_wait(&ready);
	thread_got = next_signal(&info);
	thread_done = 1;
	return NULL;
}

static void to_a_thread(void)
{
	struct event event = { .signal = SIGUSR1, .notify = SIGEV_THREAD_ID };
	struct timespec sleep = { .tv_nsec = 20 * MS };
	pthread_t thread;
	int id;

	pthread_barrier_init(&ready, NULL, 2);
	pthread_create(&thread, NULL, waiter, NULL);
	pthread_barrier_wait(&ready);
	event.thread = thread_tid;
	check_call("a timer for a thread", create(CLOCK_MONOTONIC, &event, &id));
	set(id, 0, 5 * MS, 0, NULL);
	/* The other thread does not take it away. */
	nanosleep(&sleep, NULL);
	check("    not for another", none_pending(), "it is");
	pthread_join(thread, NULL);
	check("    its signal comes", thread_done && thread_got == SIGUSR1, "signal %d", thread_got);
	syscall(SYS_timer_delete, id);
	event.thread = 1 << 20;
	check("no timer for a thread that is none", create(CLOCK_MONOTONIC, &event, &id) == -1 && errno == EINVAL, "%d", errno);
}

static void without_a_signal(void)
{
	struct event event = { .notify = SIGEV_NONE };
	struct timespec sleep = { .tv_nsec = 10 * MS };
	int id;

	check_call("a timer without a signal", create(CLOCK_MONOTONIC, &event, &id));
	set(id, 0, 3600000 * MS, 0, NULL);
	int64_t rest = left(id);
	check("    counts down", rest > 0 && rest <= 3600000 * MS, "%lld", (long long)rest);
	set(id, 0, 5 * MS, 0, NULL);
	nanosleep(&sleep, NULL);
	check("    to its end", left(id) == 0, "%lld", (long long)left(id));
	syscall(SYS_timer_delete, id);
}

static void wrong(void)
{
	struct event event = { .signal = SIGUSR1, .notify = SIGEV_SIGNAL };
	struct itimerval virtual = { .it_value = { 1, 0 } };
	int id;

	check("no such clock", create(10, &event, &id) == -1 && errno == EINVAL, "%d", errno);
	check("a clock without timers", create(CLOCK_MONOTONIC_COARSE, &event, &id) == -1 && errno == EOPNOTSUPP, "%d", errno);
	check("no event there", create(CLOCK_MONOTONIC, (void *)8, &id) == -1 && errno == EFAULT, "%d", errno);
	check("no place for the number", create(CLOCK_MONOTONIC, &event, NULL) == -1 && errno == EFAULT, "%d", errno);
	event.signal = 65;
	check("no such signal", create(CLOCK_MONOTONIC, &event, &id) == -1 && errno == EINVAL, "%d", errno);
	event.signal = SIGUSR1;
	event.notify = 77;
	check("no such notification", create(CLOCK_MONOTONIC, &event, &id) == -1 && errno == EINVAL, "%d", errno);
	check("no such timer", set(12345, 0, 1, 0, NULL) == -1 && errno == EINVAL, "%d", errno);
	check("    to be asked", left(12345) == -1 && errno == EINVAL, "%d", errno);
	check("    with an overrun", syscall(SYS_timer_getoverrun, -1) == -1 && errno == EINVAL, "%d", errno);
	check_call("a timer with SIGALRM", create(CLOCK_REALTIME, NULL, &id));
	check("    no setting", syscall(SYS_timer_settime, id, 0, NULL, NULL) == -1 && errno == EINVAL, "%d", errno);
	struct itimerspec bad = { .it_value = { 0, 1000000000 } };
	check("    too many nanoseconds", syscall(SYS_timer_settime, id, 0, &bad, NULL) == -1 && errno == EINVAL, "%d", errno);
	set(id, 0, 1, 0, NULL);
	siginfo_t info;
	check("    comes with its number", next_signal(&info) == SIGALRM && info.si_value.sival_int == id, "no");
	syscall(SYS_timer_delete, id);
	check("no itimer 3", setitimer(3, &virtual, NULL) == -1 && errno == EINVAL, "%d", errno);
}

static volatile sig_atomic_t expiries;
static volatile int64_t ran_until;

static int64_t cpu_time(void)
{
	struct timespec time;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
	return time.tv_sec * 1000000000L + time.tv_nsec;
}

static void expires(int signal)
{
	(void)signal;
	expiries++;
	ran_until = cpu_time();
}

/* Timers that go by the time that the process runs: not while it sleeps. */
static void by_cpu_time(int which, int signal, const char *name)
{
	struct itimerval once = { .it_value = { 0, 4000 } }, stop = { 0 }, old;
	struct sigaction action = { .sa_handler = expires };
	struct timespec sleep = { 0, 12 * MS };
	int before;

	sigaction(signal, &action, NULL);
	expiries = 0;
	int64_t began = cpu_time();
	check_call(name, setitimer(which, &once, NULL));
	nanosleep(&sleep, NULL);
	getitimer(which, &old);
	/* On a machine whose host is busy the process may have run so long all the same. */
	check("    does not go while the process sleeps", !expiries || ran_until - began >= 4 * MS, "%ld ns",
	      (long)(ran_until - began));
	check("    what is left", expiries || (old.it_value.tv_sec == 0 && old.it_value.tv_usec > 0 && old.it_value.tv_usec <= 4000),
	      "%ld us", (long)old.it_value.tv_usec);
	while (!expiries)
		__asm__ volatile("yield");
	check("    expires when it has run so long", ran_until - began >= 4 * MS, "%ld ns", (long)(ran_until - began));
	getitimer(which, &old);
	check("    and stops", expiries == 1 && old.it_value.tv_sec == 0 && old.it_value.tv_usec == 0, "%d", expiries);
	once.it_interval.tv_usec = once.it_value.tv_usec = 1000;
	began = cpu_time();
	setitimer(which, &once, NULL);
	while (expiries < 4)
		__asm__ volatile("yield");
	check("    comes again", ran_until - began >= 3 * MS, "%ld ns", (long)(ran_until - began));
	check_call("    until it is stopped", setitimer(which, &stop, &old));
	check("    with its interval", old.it_interval.tv_usec == 1000, "%ld us", (long)old.it_interval.tv_usec);
	before = expiries;
	began = cpu_time();
	while (cpu_time() - began < 4 * MS)
		__asm__ volatile("yield");
	check("    and comes no more", expiries == before, "%d", expiries - before);
}

static void by_the_library(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2 };
	struct itimerspec time = { .it_value = { 0, 5 * MS } };
	siginfo_t info;
	timer_t timer;

	check_call("the library's timer_create", timer_create(CLOCK_MONOTONIC, &event, &timer));
	check_call("    timer_settime", timer_settime(timer, 0, &time, NULL));
	check("    the signal", next_signal(&info) == SIGUSR2, "no");
	check_call("    timer_delete", timer_delete(timer));
}

static int exec_mode(void)
{
	/* The mask is kept by execve; the timer with number 0 must be gone, and its pending signal with it. */
	struct itimerspec time;

	sigprocmask(SIG_BLOCK, NULL, &wanted);
	if (syscall(SYS_timer_gettime, 0, &time) == 0)
		return 10;
	return none_pending() ? 11 : 12;
}

static int status_of(pid_t child)
{
	int status = 0;

	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define FAR (100000 * MS)

static void *sleeps(void *until)
{
	return (void *)(long)clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, until, NULL);
}

/* By a call of the kernel: musl waits for a length of time instead. */
static void *waits(void *until)
{
	enum { WAIT_BITSET = 9, CLOCK_REALTIME_FLAG = 256 };
	static uint32_t word;
	long waited = syscall(SYS_futex, &word, WAIT_BITSET | CLOCK_REALTIME_FLAG, 0, until, NULL, ~0U);

	return (void *)(long)(waited == -1 ? errno : 0);
}

/* Sets CLOCK_REALTIME so many nanoseconds ahead. */
static long jump(int64_t ahead)
{
	int64_t to = time_now(CLOCK_REALTIME) + ahead;

	return clock_settime(CLOCK_REALTIME, &(struct timespec){ to / 1000000000, to % 1000000000 });
}

/* CLOCK_REALTIME jumps over the ends of sleeps, and of timers, which are over then. No signal may wake the sleepers, so timers come later. */
static void with_the_clock(void)
{
	struct event event = { .signal = SIGUSR1, .notify = SIGEV_SIGNAL };
	struct timespec pause = { .tv_nsec = 20 * MS };
	int64_t start = time_now(CLOCK_MONOTONIC), until = time_now(CLOCK_REALTIME) + FAR;
	struct timespec far = { until / 1000000000, until % 1000000000 };
	pthread_t sleeper, waiter;
	siginfo_t info;
	int absolute, relative;
	void *result;

	pthread_create(&sleeper, NULL, sleeps, &far);
	pthread_create(&waiter, NULL, waits, &far);
	nanosleep(&pause, NULL);
	check_call("CLOCK_REALTIME is set", jump(FAR));
	pthread_join(sleeper, &result);
	check("    a sleep until an instant of it ends", result == 0, "%ld", (long)result);
	pthread_join(waiter, &result);
	check("    and so does a wait", (long)result == ETIMEDOUT, "%ld", (long)result);
	create(CLOCK_REALTIME, &event, &absolute);
	create(CLOCK_REALTIME, &event, &relative);
	set(absolute, TIMER_ABSTIME, time_now(CLOCK_REALTIME) + FAR, 0, NULL);
	set(relative, 0, FAR, 0, NULL);
	jump(FAR);
	check("    and a timer", next_signal(&info) == SIGUSR1 && left(absolute) == 0, "%lld left", (long long)left(absolute));
	check("    but no relative one", left(relative) > FAR / 2, "%lld left", (long long)left(relative));
	int64_t took = time_now(CLOCK_MONOTONIC) - start;
	check("    all at once", took < FAR / 2, "%lld ns", (long long)took);
	syscall(SYS_timer_delete, absolute);
	syscall(SYS_timer_delete, relative);
	jump(-2 * FAR);
}

int main(int count, char **arguments)
{
	struct event event = { .signal = SIGUSR1, .notify = SIGEV_SIGNAL };
	int id;

	if (count > 1 && !strcmp(arguments[1], "exec"))
		return exec_mode();
	sigemptyset(&wanted);
	sigaddset(&wanted, SIGRTMIN);
	sigaddset(&wanted, SIGUSR1);
	sigaddset(&wanted, SIGUSR2);
	sigaddset(&wanted, SIGALRM);
	sigprocmask(SIG_BLOCK, &wanted, NULL);
	once("a timer of CLOCK_MONOTONIC", CLOCK_MONOTONIC);
	once("a timer of CLOCK_REALTIME", CLOCK_REALTIME);
	once("a timer of CLOCK_BOOTTIME", CLOCK_BOOTTIME);
	repeated();
	to_a_thread();
	without_a_signal();
	by_cpu_time(ITIMER_PROF, SIGPROF, "ITIMER_PROF");
	by_cpu_time(ITIMER_VIRTUAL, SIGVTALRM, "ITIMER_VIRTUAL");
	by_the_library();
	wrong();
	with_the_clock();

	check_call("a timer that a child could see", create(CLOCK_MONOTONIC, &event, &id));
	set(id, 0, 3600000 * MS, 0, NULL);
	pid_t child = fork();
	if (child == 0)
		_exit(left(id) == -1 && errno == EINVAL ? 3 : 4);
	int status = status_of(child);
	check("    is not inherited", status == 3, "%d", status);
	check("    and still runs here", left(id) > 0, "%lld", (long long)left(id));
	syscall(SYS_timer_delete, id);

	child = fork();
	if (child == 0) {
		struct timespec sleep = { .tv_nsec = 10 * MS };

		create(CLOCK_MONOTONIC, &event, &id);
		if (id != 0)
			_exit(5);
		set(id, 0, 1, MS, NULL);
		nanosleep(&sleep, NULL);
		execl(arguments[0], arguments[0], "exec", NULL);
		_exit(6);
	}
	status = status_of(child);
	check("execve drops timers and their signals", status == 11, "%d", status);
	return failed();
}
