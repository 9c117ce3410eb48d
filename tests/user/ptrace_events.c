/*
 * Proves that the events of PTRACE_O_* are those of Linux: what each of them tells, that new tasks are traced from their first instruction
 * with the options of those that made them, and what execve by any thread, threads' ends and vfork look like to a tracer.
 */
#include "tracer.h"
#include <pthread.h>

#define SELF "/proc/self/exe"

static unsigned long message_of(pid_t pid)
{
	unsigned long message = ~0ul;
	long error = PT(GETEVENTMSG, pid, 0, &message);

	return error ? (unsigned long)error : message;
}

/* Waits for an event; its message is returned. */
static unsigned long event_of(const char *name, pid_t pid, int event)
{
	waits(name, pid, EVENT(event));
	return message_of(pid);
}

static void told_of_event(pid_t pid, int event)
{
	siginfo_t info;

	memset(&info, 0, sizeof info);
	PT(GETSIGINFO, pid, 0, &info);
	check("    its siginfo", info.si_signo == SIGTRAP && info.si_code == (SIGTRAP | event << 8) && info.si_pid == pid,
	      "signal %d, code %#x, process %d", info.si_signo, info.si_code, info.si_pid);
}

static int grandchild(void) { return 5; }
static int forks(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(grandchild());
	shared->pid[1] = pid;
	if (waitpid(pid, &status, 0) != pid)
		return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}

static void a_fork(void)
{
	pid_t pid = traced(forks);
	is("SETOPTIONS", PT(SETOPTIONS, pid, 0, ON_FORK), 0);
	is("CONT", PT(CONT, pid, 0, 0), 0);
	pid_t child = event_of("the event", pid, E_FORK);
	told_of_event(pid, E_FORK);
	waits("the child's first stop", child, STOPPED(SIGSTOP));
	siginfo_t info;
	PT(GETSIGINFO, child, 0, &info);
	check("    its siginfo", info.si_signo == SIGSTOP && info.si_code == SI_USER && info.si_pid == 0, "%d, %d, %d", info.si_signo,
	      info.si_code, info.si_pid);
	is("its message is none", message_of(child), 0);
	is("the child goes on", PT(CONT, child, 0, 0), 0);
	waits("its end", child, EXITED(5));
	is("the parent goes on", PT(CONT, pid, 0, 0), 0);
	waits("SIGCHLD", pid, STOPPED(SIGCHLD));
	PT(CONT, pid, 0, SIGCHLD);
	waits("the parent has the status too", pid, EXITED(5));
	is("the number", shared->pid[1], child);
}

static int seized_start(void)
{
	until_word(1, 1);
	return forks();
}

static void a_fork_of_a_seized_one(void)
{
	pid_t pid = start(seized_start);

	is("SEIZE with an option", PT(SEIZE, pid, 0, ON_FORK), 0);
	shared->word[1] = 1;
	pid_t child = event_of("the event", pid, E_FORK);
	waits("the child's first stop", child, EVENT_STOP(SIGTRAP));
	siginfo_t info;
	PT(GETSIGINFO, child, 0, &info);
	check("    its siginfo", info.si_signo == SIGTRAP && info.si_code == STOP_CODE(SIGTRAP), "%d, %#x", info.si_signo, info.si_code);
	is("it is seized", PT(CONT, child, 0, 0) | PT(INTERRUPT, child, 0, 0), 0);
	int status = wait_status(child, 0);
	check("interrupted or over", status == EVENT_STOP(SIGTRAP) || status == EXITED(5), "%#x", status);
	if (status == EVENT_STOP(SIGTRAP)) {
		PT(CONT, child, 0, 0);
		waits("over", child, EXITED(5));
	}
	PT(CONT, pid, 0, 0);
	waits("SIGCHLD", pid, STOPPED(SIGCHLD));
	PT(CONT, pid, 0, 0);
	waits("the parent", pid, EXITED(5));
}

static void a_fork_without_options(void)
{
	pid_t pid = traced(forks);

	PT(CONT, pid, 0, 0);
	waits("only SIGCHLD is told", pid, STOPPED(SIGCHLD));
	is("the child is not here", wait_status(-1, WNOHANG), 0);
	PT(CONT, pid, 0, 0);
	waits("the end", pid, EXITED(5));
}

static int forks_deep(void)
{
	for (int depth = 0; depth < 3; depth++) {
		pid_t pid = fork();
		int status = 0;
		if (pid) {
			waitpid(pid, &status, 0);
			_exit(WEXITSTATUS(status) + 1);
		}
	}
	return 1;
}

/* All that there is, whoever it is of, is let go on. Counts what is seen. */
struct seen {
	int events[8], first_stops, ends, signals, calls, others;
};
static struct seen lead(pid_t root, int signals_too)
{
	struct seen seen = { 0 };
	int status;
	pid_t pid;

	(void)root;
	while ((pid = syscall(SYS_wait4, -1, &status, __WALL, NULL)) > 0) {
		int event = status >> 16, signal = WSTOPSIG(status), passed = 0;
		if (!WIFSTOPPED(status)) {
			seen.ends++;
			continue;
		}
		if (event == E_STOP)
			seen.first_stops++;
		else if (event > 0 && event < 8)
			seen.events[event]++;
		else if (signal == (SIGTRAP | 0x80))
			seen.calls++;
		else if (signal == SIGSTOP)
			seen.first_stops++;
		else if (signals_too)
			seen.signals++, passed = signal;
		else
			seen.others++;
		PT(CONT, pid, 0, passed);
	}
	return seen;
}

static void options_are_inherited(void)
{
	pid_t pid = traced(forks_deep);

	PT(SETOPTIONS, pid, 0, ON_FORK | ON_EXIT);
	PT(CONT, pid, 0, 0);
	struct seen seen = lead(pid, 1);
	is("three forks", seen.events[E_FORK], 3);
	is("three first stops", seen.first_stops, 3);
	is("four events of ends", seen.events[E_EXIT], 4);
	is("four ends", seen.ends, 4);
}

static int vforked(void *nothing)
{
	(void)nothing;
	return 6;
}

/* Some C libraries have a vfork that is fork, so this is clone. */
static int vforks(void)
{
	static char stack[16384] __attribute__((aligned(16)));
	int status;

	pid_t pid = clone(vforked, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

static void a_vfork(void)
{
	pid_t pid = traced(vforks);

	PT(SETOPTIONS, pid, 0, ON_VFORK | ON_VFORKDONE | ON_FORK | ON_CLONE);
	PT(CONT, pid, 0, 0);
	pid_t child = event_of("the event", pid, E_VFORK);
	told_of_event(pid, E_VFORK);
	waits("the child's first stop", child, STOPPED(SIGSTOP));
	PT(CONT, pid, 0, 0);
	nap();
	is("the parent waits for its child", wait_status(pid, WNOHANG), 0);
	PT(CONT, child, 0, 0);
	waits("the child's end", child, EXITED(6));
	is("the event when it is done", event_of("VFORK_DONE", pid, E_VFORKDONE), child);
	told_of_event(pid, E_VFORKDONE);
	PT(CONT, pid, 0, 0);
	waits("SIGCHLD", pid, STOPPED(SIGCHLD));
	PT(CONT, pid, 0, 0);
	waits("the end", pid, EXITED(6));
}

static void only_vfork_done(void)
{
	pid_t pid = traced(vforks);

	PT(SETOPTIONS, pid, 0, ON_VFORKDONE);
	PT(CONT, pid, 0, 0);
	pid_t child = event_of("VFORK_DONE", pid, E_VFORKDONE);
	is("the child is not traced", wait_status(child, WNOHANG), -ECHILD);
	check("its number", child > 0 && child != pid, "%d", child);
	PT(CONT, pid, 0, 0);
	waits("SIGCHLD", pid, STOPPED(SIGCHLD));
	PT(CONT, pid, 0, 0);
	waits("the end", pid, EXITED(6));
}

/* A vfork's child that is killed while its parent waits in the kernel. */
static void a_vforks_child_is_killed(void)
{
	pid_t pid = traced(vforks);

	PT(SETOPTIONS, pid, 0, ON_VFORK | ON_VFORKDONE);
	PT(CONT, pid, 0, 0);
	pid_t child = event_of("the event", pid, E_VFORK);
	waits("the child's first stop", child, STOPPED(SIGSTOP));
	PT(CONT, pid, 0, 0);
	ends("the child", child);
	event_of("VFORK_DONE", pid, E_VFORKDONE);
	ends("the parent", pid);
}

static void *thread_ends(void *nothing)
{
	shared->pid[1] = syscall(SYS_gettid);
	return nothing;
}

static int makes_a_thread(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, thread_ends, NULL))
		return 1;
	pthread_join(thread, NULL);
	/* From the end of the process on, its status is also that of threads that nobody has waited for. */
	until_word(2, 1);
	return 7;
}

static void a_thread(void)
{
	pid_t pid = traced(makes_a_thread);

	PT(SETOPTIONS, pid, 0, ON_CLONE | ON_FORK | ON_VFORK | ON_EXIT);
	PT(CONT, pid, 0, 0);
	pid_t thread = event_of("the event", pid, E_CLONE);
	told_of_event(pid, E_CLONE);
	waits("its first stop", thread, STOPPED(SIGSTOP));
	PT(CONT, pid, 0, 0);
	PT(CONT, thread, 0, 0);
	is("the event of its end", event_of("EXIT", thread, E_EXIT), 0);
	is("its number", shared->pid[1], thread);
	PT(CONT, thread, 0, 0);
	waits("its end", thread, EXITED(0));
	shared->word[2] = 1;
	is("the event of the process's end", event_of("EXIT", pid, E_EXIT), 7 << 8);
	told_of_event(pid, E_EXIT);
	PT(CONT, pid, 0, 0);
	waits("its end", pid, EXITED(7));
}

/* Without __WALL (or __WCLONE) a thread is not waited for. */
static void waits_for_threads(void)
{
	pid_t pid = traced(makes_a_thread);
	int status;

	PT(SETOPTIONS, pid, 0, ON_CLONE);
	PT(CONT, pid, 0, 0);
	pid_t thread = event_of("the event", pid, E_CLONE);
	/* Traced tasks are waited for whatever their kind: __WALL is implied. */
	is("a traced thread without __WALL", syscall(SYS_wait4, thread, &status, 0, NULL), thread);
	is("    its status", status, STOPPED(SIGSTOP));
	kill(pid, SIGKILL);
	until(pid, 'Z');
	until(thread, 'Z');
	is("the leader's end waits until the thread's is taken", wait_status(pid, WNOHANG), 0);
	waits("the thread", thread, SIGKILL);
	waits("the leader", pid, SIGKILL);
}

static void *stays(void *nothing)
{
	shared->pid[1] = syscall(SYS_gettid);
	until_word(1, 1);
	return nothing;
}

static void *leaves(void *nothing)
{
	until_word(1, 1);
	syscall(SYS_exit, 4);
	return nothing;
}

static int leader_leaves(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, leaves, NULL))
		return 1;
	syscall(SYS_exit, 3);
	return 2;
}

static void the_leader_leaves(void)
{
	pid_t pid = traced(leader_leaves);

	PT(SETOPTIONS, pid, 0, ON_CLONE | ON_EXIT);
	PT(CONT, pid, 0, 0);
	pid_t thread = event_of("the thread", pid, E_CLONE);
	waits("its first stop", thread, STOPPED(SIGSTOP));
	PT(CONT, pid, 0, 0);
	is("the leader's end", event_of("EXIT", pid, E_EXIT), 3 << 8);
	PT(CONT, pid, 0, 0);
	until(pid, 'Z');
	is("is not told while a thread lives", wait_status(pid, WNOHANG), 0);
	shared->word[1] = 1;
	PT(CONT, thread, 0, 0);
	is("the thread's end", event_of("EXIT", thread, E_EXIT), 4 << 8);
	PT(CONT, thread, 0, 0);
	waits("    is told", thread, EXITED(4));
	/* The last thread's status is the process's. */
	waits("and then the leader's", pid, EXITED(4));
}

static int executes(void)
{
	char *const arguments[] = { "again", "ends", NULL };

	execve(SELF, arguments, NULL);
	return 2;
}

static void an_exec(void)
{
	pid_t pid = traced(executes);
	siginfo_t info;

	PT(CONT, pid, 0, 0);
	waits("without the option: SIGTRAP", pid, STOPPED(SIGTRAP));
	PT(GETSIGINFO, pid, 0, &info);
	check("    its siginfo", info.si_signo == SIGTRAP && info.si_code == SI_USER && info.si_pid == pid, "code %#x, process %d",
	      info.si_code, info.si_pid);
	PT(CONT, pid, 0, 0);
	waits("the program runs", pid, EXITED(9));
	pid = traced(executes);
	PT(SETOPTIONS, pid, 0, ON_EXEC);
	PT(CONT, pid, 0, 0);
	is("the event's message", event_of("the event", pid, E_EXEC), pid);
	told_of_event(pid, E_EXEC);
	PT(CONT, pid, 0, 0);
	waits("no SIGTRAP follows", pid, EXITED(9));
}

static int executes_later(void)
{
	until_word(1, 1);
	return executes();
}

static void an_exec_of_a_seized_one(void)
{
	pid_t pid = start(executes_later);

	is("SEIZE", PT(SEIZE, pid, 0, 0), 0);
	shared->word[1] = 1;
	waits("no SIGTRAP", pid, EXITED(9));
}

static void *thread_executes(void *nothing)
{
	shared->pid[1] = syscall(SYS_gettid);
	executes();
	return nothing;
}

static int a_thread_executes(void)
{
	pthread_t first, second;

	if (pthread_create(&first, NULL, stays, NULL) || pthread_create(&second, NULL, thread_executes, NULL))
		return 1;
	pthread_join(second, NULL);
	return 2;
}

static void an_exec_by_a_thread(void)
{
	pid_t pid = traced(a_thread_executes);

	PT(SETOPTIONS, pid, 0, ON_CLONE | ON_EXEC);
	PT(CONT, pid, 0, 0);
	pid_t first = event_of("a thread", pid, E_CLONE);
	waits("    its first stop", first, STOPPED(SIGSTOP));
	PT(CONT, first, 0, 0);
	PT(CONT, pid, 0, 0);
	pid_t second = event_of("another one", pid, E_CLONE);
	waits("    its first stop", second, STOPPED(SIGSTOP));
	PT(CONT, pid, 0, 0);
	PT(CONT, second, 0, 0);
	waits("the other thread ends", first, EXITED(0));
	is("the event has the old number", event_of("EXEC is of the leader's number", pid, E_EXEC), second);
	is("which is gone", wait_status(second, WNOHANG), -ECHILD);
	is("    for requests too", PT(CONT, second, 0, 0), -ESRCH);
	PT(CONT, pid, 0, 0);
	waits("the new program", pid, EXITED(9));
}

static int leader_executes(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, stays, NULL))
		return 1;
	return executes();
}

static int channel[2];

static void *writes(void *nothing)
{
	write(channel[1], "x", 1);
	return nothing;
}

static int executes_beside_a_call(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, writes, NULL))
		return 1;
	until_word(1, 1);
	return executes();
}

/* A call about which the tracer has not decided is not made when another thread's exec ends the thread. */
static void an_exec_beside_a_call(void)
{
	char byte;

	if (pipe(channel))
		exit(1);
	fcntl(channel[0], F_SETFL, O_NONBLOCK);
	pid_t pid = traced(executes_beside_a_call);
	PT(SETOPTIONS, pid, 0, ON_CLONE | ON_EXEC | ON_SYSGOOD);
	PT(CONT, pid, 0, 0);
	pid_t thread = event_of("a thread", pid, E_CLONE);
	waits("    its first stop", thread, STOPPED(SIGSTOP));
	uint64_t info[16] = { 0 };
	for (;;) {
		PT(SYSCALL, thread, 0, 0);
		if (wait_status(thread, 0) != SYSCALL_STOP)
			break;
		PT(GET_SYSCALL_INFO, thread, sizeof info, info);
		if ((uint8_t)info[0] == 1 && info[3] == SYS_write)
			break;
	}
	is("the thread is about to write", (uint8_t)info[0] == 1 && info[3] == SYS_write, 1);
	shared->word[1] = 1;
	PT(CONT, pid, 0, 0);
	waits("exec ends it", thread, EXITED(0));
	event_of("EXEC", pid, E_EXEC);
	check("nothing was written", read(channel[0], &byte, 1) == -1 && errno == EAGAIN, "a byte");
	PT(CONT, pid, 0, 0);
	waits("the new program", pid, EXITED(9));
	close(channel[0]), close(channel[1]);
}

static void an_exec_by_the_leader(void)
{
	pid_t pid = traced(leader_executes);

	PT(SETOPTIONS, pid, 0, ON_CLONE | ON_EXEC);
	PT(CONT, pid, 0, 0);
	pid_t thread = event_of("a thread", pid, E_CLONE);
	waits("    its first stop", thread, STOPPED(SIGSTOP));
	/* A stopped thread does not hold up the exec: it is killed. */
	PT(CONT, pid, 0, 0);
	waits("the thread ends", thread, EXITED(0));
	is("the event's message", event_of("EXEC", pid, E_EXEC), pid);
	PT(CONT, pid, 0, 0);
	waits("the new program", pid, EXITED(9));
}

static int fails_to_execute(void)
{
	char *const arguments[] = { "none", NULL };

	execve("/no/such/program", arguments, NULL);
	return errno == ENOENT ? 7 : 1;
}

static void an_exec_that_fails(void)
{
	pid_t pid = traced(fails_to_execute);

	PT(SETOPTIONS, pid, 0, ON_EXEC);
	PT(CONT, pid, 0, 0);
	waits("no event", pid, EXITED(7));
}

static int dies(void)
{
	raise(SIGTERM);
	return 1;
}

static void ends_by_signals(void)
{
	pid_t pid = traced(dies);

	PT(SETOPTIONS, pid, 0, ON_EXIT);
	PT(CONT, pid, 0, 0);
	waits("the signal", pid, STOPPED(SIGTERM));
	PT(CONT, pid, 0, SIGTERM);
	is("the event's message", event_of("EXIT", pid, E_EXIT), SIGTERM);
	is("memory can be read", PT(PEEKDATA, pid, shared, &(long) { 0 }), 0);
	PT(CONT, pid, 0, 0);
	waits("the end", pid, SIGTERM);
	pid = traced(dies);
	PT(SETOPTIONS, pid, 0, ON_EXIT);
	kill(pid, SIGKILL);
	is("of SIGKILL too", event_of("EXIT", pid, E_EXIT), SIGKILL);
	kill(pid, SIGKILL);
	nap();
	is("a second SIGKILL does not end the stop", wait_status(pid, WNOHANG), 0);
	is("CONT does", PT(CONT, pid, 0, 0), 0);
	waits("    and it ends", pid, SIGKILL);
}

static int forks_and_execs(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(executes());
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

static void calls_across_events(void)
{
	pid_t pid = traced(forks_and_execs);

	PT(SETOPTIONS, pid, 0, ON_SYSGOOD | ON_FORK | ON_EXEC | ON_EXIT);
	/* Of SYSCALL: entry, event in the call, exit. */
	int status;
	PT(SYSCALL, pid, 0, 0);
	while ((status = wait_status(pid, 0)) == SYSCALL_STOP)
		PT(SYSCALL, pid, 0, 0);
	is("the event within a call", status, EVENT(E_FORK));
	pid_t child = message_of(pid);
	waits("the child's first stop", child, STOPPED(SIGSTOP));
	PT(SYSCALL, pid, 0, 0);
	waits("the call's exit", pid, SYSCALL_STOP);
	uint64_t info[16];
	PT(GET_SYSCALL_INFO, pid, sizeof info, info);
	check("    which gives the child", (uint8_t)info[0] == 2 && (pid_t)info[3] == child, "op %d, %ld", (uint8_t)info[0], (long)info[3]);
	PT(CONT, pid, 0, 0);
	/* The child's fork makes no exit stop: the child was not in a call that was traced... unless the flag is inherited. */
	PT(SYSCALL, child, 0, 0);
	status = wait_status(child, 0);
	is("the child's next stop is of a call", status, SYSCALL_STOP);
	PT(GET_SYSCALL_INFO, child, sizeof info, info);
	int op = (uint8_t)info[0];
	check("    the exit of its birth, or the next call", op == 1 || op == 2, "%d", op);
	do {
		PT(SYSCALL, child, 0, 0);
	} while ((status = wait_status(child, 0)) == SYSCALL_STOP);
	is("its exec", status, EVENT(E_EXEC));
	PT(SYSCALL, child, 0, 0);
	waits("    and the call's exit", child, SYSCALL_STOP);
	PT(GET_SYSCALL_INFO, child, sizeof info, info);
	check("    which gives 0", (uint8_t)info[0] == 2 && info[3] == 0, "op %d, %ld", (uint8_t)info[0], (long)info[3]);
	PT(CONT, child, 0, 0);
	is("its end's message", event_of("EXIT", child, E_EXIT), 9 << 8);
	PT(CONT, child, 0, 0);
	waits("its end", child, EXITED(9));
	waits("the parent's SIGCHLD", pid, STOPPED(SIGCHLD));
	PT(CONT, pid, 0, 0);
	event_of("EXIT", pid, E_EXIT);
	PT(DETACH, pid, 0, 0);
	waits("detached in its last event", pid, EXITED(9));
}

static void *does_not_trace(void *argument)
{
	pid_t pid = *(pid_t *)argument;
	int status;

	shared->word[10] = PT(CONT, pid, 0, 0);
	shared->word[11] = PT(ATTACH, getpid(), 0, 0);
	shared->word[12] = PT(SEIZE, getpid(), 0, 0);
	shared->word[13] = PT(ATTACH, pid, 0, 0);
	/* But it may wait: children and tracees are the process's. */
	shared->word[14] = syscall(SYS_wait4, pid, &status, __WALL | WNOHANG, NULL);
	shared->word[15] = syscall(SYS_wait4, pid, &status, __WALL | WNOHANG | 0x20000000 /* __WNOTHREAD */, NULL);
	shared->word[16] = errno;
	return NULL;
}

static void tracers_are_threads(void)
{
	pid_t pid = traced(ends_at_once);
	pthread_t thread;

	pthread_create(&thread, NULL, does_not_trace, &pid);
	pthread_join(thread, NULL);
	is("a sibling's tracee", shared->word[10], -ESRCH);
	is("ATTACH to the own process", shared->word[11], -EPERM);
	is("SEIZE of the own process", shared->word[12], -EPERM);
	is("ATTACH to a sibling's tracee", shared->word[13], -EPERM);
	is("it may wait", shared->word[14], 0);
	check("but not with __WNOTHREAD", shared->word[15] == -1 && shared->word[16] == ECHILD, "%d, %s", shared->word[15],
	      strerror(shared->word[16]));
	is("ATTACH to oneself", PT(ATTACH, getpid(), 0, 0), -EPERM);
	is("the tracer itself", PT(CONT, pid, 0, 0), 0);
	waits("the end", pid, EXITED(7));
}

static void *attaches_and_ends(void *argument)
{
	pid_t pid = *(pid_t *)argument;

	shared->word[10] = PT(ATTACH, pid, 0, 0);
	shared->word[11] = wait_status(pid, 0);
	return NULL;
}

static void a_tracing_thread_ends(void)
{
	pid_t pid = start(sleeps_for_ever);
	pthread_t thread;

	until(pid, 'S');
	pthread_create(&thread, NULL, attaches_and_ends, &pid);
	pthread_join(thread, NULL);
	is("ATTACH by a thread", shared->word[10], 0);
	is("    its stop", shared->word[11], STOPPED(SIGSTOP));
	until(pid, 'S');
	is("the tracee goes on when the thread has ended", PT(CONT, pid, 0, 0), -ESRCH);
	ends("it ends", pid);
}

static int two_threads(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, stays, NULL);
	pthread_join(thread, NULL);
	until_word(2, 1);
	return 7;
}

static void threads_one_by_one(void)
{
	pid_t pid = start(two_threads);

	while (!shared->pid[1])
		nap();
	pid_t thread = shared->pid[1];
	is("ATTACH to a thread", PT(ATTACH, thread, 0, 0), 0);
	waits("    stops it alone", thread, STOPPED(SIGSTOP));
	check("    the leader goes on", state_of(pid) == 'S', "%c", state_of(pid));
	is("the leader is not traced", PT(CONT, pid, 0, 0), -ESRCH);
	is("SEIZE of the leader", PT(SEIZE, pid, 0, 0), 0);
	kill(pid, SIGSTOP);
	is("the thread goes on", PT(CONT, thread, 0, 0), 0);
	/* Either thread takes it. */
	int status;
	pid_t taker = syscall(SYS_wait4, -1, &status, __WALL, NULL);
	is("SIGSTOP to the process", status, STOPPED(SIGSTOP));
	check("    is one thread's", taker == pid || taker == thread, "%d", taker);
	PT(CONT, taker, 0, SIGSTOP);
	waits("the group stop of the seized one", pid, EVENT_STOP(SIGSTOP));
	waits("    and of the attached one", thread, STOPPED(SIGSTOP));
	is("LISTEN", PT(LISTEN, pid, 0, 0), 0);
	kill(pid, SIGCONT);
	waits("the seized one hears of SIGCONT", pid, EVENT_STOP(SIGTRAP));
	PT(CONT, pid, 0, 0);
	PT(CONT, thread, 0, 0);
	taker = syscall(SYS_wait4, -1, &status, __WALL, NULL);
	is("SIGCONT is delivered", status, STOPPED(SIGCONT));
	PT(CONT, taker, 0, 0);
	shared->word[1] = 1;
	waits("the thread's end", thread, EXITED(0));
	shared->word[2] = 1;
	waits("the process's end", pid, EXITED(7));
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "ends"))
		return 9;
	CASE(a_fork);
	CASE(a_fork_of_a_seized_one);
	CASE(a_fork_without_options);
	CASE(options_are_inherited);
	CASE(a_vfork);
	CASE(only_vfork_done);
	CASE(a_vforks_child_is_killed);
	CASE(a_thread);
	CASE(waits_for_threads);
	CASE(the_leader_leaves);
	CASE(an_exec);
	CASE(an_exec_of_a_seized_one);
	CASE(an_exec_by_a_thread);
	CASE(an_exec_by_the_leader);
	CASE(an_exec_beside_a_call);
	CASE(an_exec_that_fails);
	CASE(ends_by_signals);
	CASE(calls_across_events);
	CASE(tracers_are_threads);
	CASE(a_tracing_thread_ends);
	CASE(threads_one_by_one);
	return failed();
}
