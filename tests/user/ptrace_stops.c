/*
 * Proves that stops of a traced task are those of Linux: how each of them comes to be, what wait4, waitid and SIGCHLD tell of it, what ends
 * it, and what the death of the tracer or of the tracee does in it.
 */
#include "tracer.h"
#include <pthread.h>

/* What a handler of the tracee has seen. */
enum { SIGNALS, NUMBER, CODE, SENDER, READY, RESULT, ERROR };

static void note(int number, siginfo_t *info, void *context)
{
	(void)context;
	shared->word[SIGNALS]++;
	shared->word[NUMBER] = number;
	shared->word[CODE] = info->si_code;
	shared->word[SENDER] = info->si_pid;
}

static void handle(int number)
{
	struct sigaction action = { .sa_sigaction = note, .sa_flags = SA_SIGINFO };

	sigaction(number, &action, NULL);
}

static siginfo_t info_of(pid_t pid)
{
	siginfo_t info;

	memset(&info, 0, sizeof info);
	if (PT(GETSIGINFO, pid, 0, &info) < 0)
		info.si_signo = -errno;
	return info;
}

static void tells(const char *name, pid_t pid, int number, int code, pid_t sender)
{
	siginfo_t info = info_of(pid);

	check(name, info.si_signo == number && info.si_code == code && info.si_pid == sender,
	      "signal %d, code %#x, process %d instead of %d, %#x, %d", info.si_signo, info.si_code, info.si_pid, number, code, sender);
}

static int raises_usr1(void)
{
	handle(SIGUSR1);
	handle(SIGUSR2);
	raise(SIGUSR1);
	return shared->word[SIGNALS] * 16 + shared->word[NUMBER];
}

static int asks_twice(void)
{
	return PT(TRACEME, 0, 0, 0) == -EPERM ? 7 : 1;
}

static void traceme(void)
{
	pid_t pid = traced(asks_twice);

	tells("stopped by itself", pid, SIGSTOP, SI_USER, pid);
	check("state t", state_of(pid) == 't', "%c", state_of(pid));
	is("go on", PT(CONT, pid, 0, 0), 0);
	waits("TRACEME again is refused", pid, EXITED(7));
	is("it is gone", wait_status(pid, 0), -ECHILD);
	is("nobody is there", PT(CONT, pid, 0, 0), -ESRCH);
}

static void a_signal_is_suppressed(void)
{
	pid_t pid = traced(raises_usr1);

	PT(CONT, pid, 0, 0);
	waits("the stop", pid, STOPPED(SIGUSR1));
	tells("what is told of the signal", pid, SIGUSR1, SI_TKILL, pid);
	PT(CONT, pid, 0, 0);
	waits("no handler runs", pid, EXITED(0));
}

static void a_signal_is_passed_on(void)
{
	pid_t pid = traced(raises_usr1);

	PT(CONT, pid, 0, 0);
	waits("the stop", pid, STOPPED(SIGUSR1));
	PT(CONT, pid, 0, SIGUSR1);
	waits("its handler runs", pid, EXITED(16 + SIGUSR1));
	is("    with the code", shared->word[CODE], SI_TKILL);
	is("    and the sender", shared->word[SENDER], pid);
}

static void a_signal_is_exchanged(void)
{
	pid_t pid = traced(raises_usr1);

	PT(CONT, pid, 0, 0);
	waits("the stop", pid, STOPPED(SIGUSR1));
	is("no such signal", PT(CONT, pid, 0, 65), -EIO);
	is("no such signal: -1", PT(CONT, pid, 0, -1), -EIO);
	PT(CONT, pid, 0, SIGUSR2);
	waits("the other one's handler runs", pid, EXITED(16 + SIGUSR2));
	is("    sent by a user", shared->word[CODE], SI_USER);
	is("    the tracer", shared->word[SENDER], getpid());
}

static void a_signals_information_is_changed(void)
{
	pid_t pid = traced(raises_usr1);

	PT(CONT, pid, 0, 0);
	waits("the stop", pid, STOPPED(SIGUSR1));
	siginfo_t info = info_of(pid);
	info.si_pid = 4711;
	info.si_code = SI_QUEUE;
	is("SETSIGINFO", PT(SETSIGINFO, pid, 0, &info), 0);
	tells("is read back", pid, SIGUSR1, SI_QUEUE, 4711);
	PT(CONT, pid, 0, SIGUSR1);
	waits("the handler runs", pid, EXITED(16 + SIGUSR1));
	is("    with the code", shared->word[CODE], SI_QUEUE);
	is("    and the sender", shared->word[SENDER], 4711);
}

static int ignores(void)
{
	signal(SIGUSR1, SIG_IGN);
	raise(SIGUSR1);
	raise(SIGWINCH);
	raise(SIGCHLD);
	return 7;
}

static void ignored_signals_stop(void)
{
	pid_t pid = traced(ignores);
	static const int signals[] = { SIGUSR1, SIGWINCH, SIGCHLD };

	for (int i = 0; i < 3; i++) {
		PT(CONT, pid, 0, i ? signals[i - 1] : 0);
		waits(strsignal(signals[i]), pid, STOPPED(signals[i]));
	}
	PT(CONT, pid, 0, SIGCHLD);
	waits("no harm is done", pid, EXITED(7));
}

static int masks(void)
{
	sigset_t set, none;

	sigemptyset(&set);
	sigemptyset(&none);
	sigaddset(&set, SIGUSR1);
	handle(SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR1);
	raise(SIGUSR2);
	sigprocmask(SIG_SETMASK, &none, NULL);
	return shared->word[SIGNALS];
}

static void masked_signals_wait(void)
{
	pid_t pid = traced(masks);

	PT(CONT, pid, 0, 0);
	waits("the one that is not masked", pid, STOPPED(SIGUSR2));
	PT(CONT, pid, 0, 0);
	waits("the other one when it is unmasked", pid, STOPPED(SIGUSR1));
	/* A signal that is exchanged for a masked one waits: there is none here. */
	PT(CONT, pid, 0, SIGUSR1);
	waits("and its handler runs", pid, EXITED(1));
}

/* A process that sends itself two signals at once. */
static int two(void)
{
	sigset_t set, none;

	sigemptyset(&none);
	sigfillset(&set);
	handle(SIGUSR1);
	handle(SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR2);
	raise(SIGUSR1);
	sigprocmask(SIG_SETMASK, &none, NULL);
	return shared->word[SIGNALS];
}

static void two_signals(void)
{
	pid_t pid = traced(two);

	PT(CONT, pid, 0, 0);
	waits("the lower number", pid, STOPPED(SIGUSR1));
	PT(CONT, pid, 0, SIGUSR1);
	waits("the higher one", pid, STOPPED(SIGUSR2));
	PT(CONT, pid, 0, SIGUSR2);
	waits("both handlers have run", pid, EXITED(2));
}

static void kills(void)
{
	pid_t pid = traced(sleeps_for_ever);

	kill(pid, SIGKILL);
	waits("SIGKILL in a stop", pid, SIGKILL);
	pid = traced(sleeps_for_ever);
	PT(CONT, pid, 0, 0);
	until(pid, 'S');
	kill(pid, SIGKILL);
	waits("SIGKILL in a sleep makes no stop", pid, SIGKILL);
	pid = traced(sleeps_for_ever);
	is("CONT with SIGKILL", PT(CONT, pid, 0, SIGKILL), 0);
	waits("    kills", pid, SIGKILL);
	pid = traced(sleeps_for_ever);
	is("PTRACE_KILL", PT(KILL, pid, 0, 0), 0);
	waits("    kills", pid, SIGKILL);
	pid = traced(sleeps_for_ever);
	PT(CONT, pid, 0, SIGTERM);
	waits("CONT with SIGTERM ends it", pid, SIGTERM);
	pid = traced(sleeps_for_ever);
	PT(CONT, pid, 0, 0);
	until(pid, 'S');
	kill(pid, SIGTERM);
	waits("SIGTERM stops first", pid, STOPPED(SIGTERM));
	PT(CONT, pid, 0, SIGTERM);
	waits("and then ends it", pid, SIGTERM);
}

static long tracer_of(pid_t pid)
{
	char path[64], text[4096];

	snprintf(path, sizeof path, "/proc/%d/status", pid);
	int fd = open(path, O_RDONLY);
	ssize_t length = read(fd, text, sizeof text - 1);
	close(fd);
	text[length < 0 ? 0 : length] = 0;
	char *at = strstr(text, "TracerPid:");
	return at ? strtol(at + 10, NULL, 10) : -1;
}

static void attach(void)
{
	pid_t pid = start(sleeps_for_ever);

	until(pid, 'S');
	is("no tracer", tracer_of(pid), 0);
	is("ATTACH", PT(ATTACH, pid, 0, 0), 0);
	waits("a stop by SIGSTOP", pid, STOPPED(SIGSTOP));
	tells("    by the kernel", pid, SIGSTOP, SI_KERNEL, 0);
	is("the tracer is named", tracer_of(pid), getpid());
	is("a second time", PT(ATTACH, pid, 0, 0), -EPERM);
	is("SEIZE of a tracee", PT(SEIZE, pid, 0, 0), -EPERM);
	is("INTERRUPT is for seized ones", PT(INTERRUPT, pid, 0, 0), -EIO);
	is("LISTEN is for seized ones", PT(LISTEN, pid, 0, 0), -EIO);
	is("DETACH", PT(DETACH, pid, 0, 0), 0);
	is("no tracer", tracer_of(pid), 0);
	is("no longer traced", PT(CONT, pid, 0, 0), -ESRCH);
	until(pid, 'S');
	is("no stop is told", wait_status(pid, WNOHANG), 0);
	is("ATTACH again", PT(ATTACH, pid, 0, 0), 0);
	waits("    stops again", pid, STOPPED(SIGSTOP));
	PT(DETACH, pid, 0, SIGTERM);
	waits("DETACH with SIGTERM", pid, SIGTERM);
}

static void attach_in_group_stop(void)
{
	pid_t pid = start(sleeps_for_ever);

	kill(pid, SIGSTOP);
	is("stopped", wait_status(pid, WUNTRACED), STOPPED(SIGSTOP));
	check("state T", state_of(pid) == 'T', "%c", state_of(pid));
	is("ATTACH", PT(ATTACH, pid, 0, 0), 0);
	waits("a stop", pid, STOPPED(SIGSTOP));
	check("state t", state_of(pid) == 't', "%c", state_of(pid));
	is("DETACH", PT(DETACH, pid, 0, SIGSTOP), 0);
	until(pid, 'T');
	kill(pid, SIGCONT);
	until(pid, 'S');
	ends("it goes on by SIGCONT", pid);
}

static void detach_with_a_stop(void)
{
	pid_t pid = traced(ends_at_once);

	is("no such signal", PT(DETACH, pid, 0, 65), -EIO);
	is("DETACH", PT(DETACH, pid, 0, SIGSTOP), 0);
	is("stopped", wait_status(pid, WUNTRACED), STOPPED(SIGSTOP));
	kill(pid, SIGCONT);
	is("continued or gone on", wait_status(pid, 0), EXITED(7));
}

static void seize(void)
{
	pid_t pid = start(sleeps_for_ever);

	until(pid, 'S');
	is("an address", PT(SEIZE, pid, 1, 0), -EIO);
	is("SEIZE", PT(SEIZE, pid, 0, 0), 0);
	is("the tracer is named", tracer_of(pid), getpid());
	nap();
	is("no stop", wait_status(pid, WNOHANG), 0);
	is("it is not stopped", PT(CONT, pid, 0, 0), -ESRCH);
	is("INTERRUPT", PT(INTERRUPT, pid, 0, 0), 0);
	waits("a stop", pid, EVENT_STOP(SIGTRAP));
	tells("    of INTERRUPT", pid, SIGTRAP, STOP_CODE(SIGTRAP), pid);
	is("LISTEN", PT(LISTEN, pid, 0, 0), 0);
	is("it counts as not stopped", PT(CONT, pid, 0, 0), -ESRCH);
	is("nothing new", wait_status(pid, WNOHANG), 0);
	is("INTERRUPT while it listens", PT(INTERRUPT, pid, 0, 0), 0);
	waits("stops anew", pid, EVENT_STOP(SIGTRAP));
	is("CONT", PT(CONT, pid, 0, 0), 0);
	until(pid, 'S');
	kill(pid, SIGSTOP);
	waits("SIGSTOP's delivery", pid, STOPPED(SIGSTOP));
	tells("    by a user", pid, SIGSTOP, SI_USER, getpid());
	is("LISTEN is not for it", PT(LISTEN, pid, 0, 0), -EIO);
	is("go on", PT(CONT, pid, 0, SIGSTOP), 0);
	waits("the group stop", pid, EVENT_STOP(SIGSTOP));
	tells("    is told", pid, SIGSTOP, STOP_CODE(SIGSTOP), pid);
	is("LISTEN", PT(LISTEN, pid, 0, 0), 0);
	is("it counts as not stopped", PT(CONT, pid, 0, 0), -ESRCH);
	is("nothing new", wait_status(pid, WNOHANG), 0);
	kill(pid, SIGCONT);
	waits("SIGCONT is told", pid, EVENT_STOP(SIGTRAP));
	PT(CONT, pid, 0, 0);
	waits("SIGCONT's delivery", pid, STOPPED(SIGCONT));
	PT(CONT, pid, 0, SIGCONT);
	until(pid, 'S');
	is("DETACH of one that runs", PT(DETACH, pid, 0, 0), -ESRCH);
	ends("it ends", pid);
}

static void interrupt_while_listening(void)
{
	pid_t pid = start(sleeps_for_ever);

	PT(SEIZE, pid, 0, 0);
	kill(pid, SIGTSTP);
	/* The group is orphaned or not: the tracer sees the signal, and passes on SIGSTOP. */
	waits("SIGTSTP", pid, STOPPED(SIGTSTP));
	PT(CONT, pid, 0, SIGSTOP);
	waits("the group stop", pid, EVENT_STOP(SIGSTOP));
	is("LISTEN", PT(LISTEN, pid, 0, 0), 0);
	is("INTERRUPT", PT(INTERRUPT, pid, 0, 0), 0);
	waits("the group stop again", pid, EVENT_STOP(SIGSTOP));
	/* CONT leaves the group stop behind; it is not told again. */
	is("CONT", PT(CONT, pid, 0, 0), 0);
	until(pid, 'S');
	is("nothing new", wait_status(pid, WNOHANG), 0);
	ends("it ends", pid);
}

/* As strace starts a program: seized while its process is stopped, and continued at once. The tracer is told of the stop or not, but always of
 * its end. */
static void continued_while_seized(void)
{
	int good = 1, status = 0;

	for (int i = 0; i < 200 && good; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			raise(SIGSTOP);
			_exit(5);
		}
		good = wait_status(pid, WUNTRACED) == STOPPED(SIGSTOP) && PT(SEIZE, pid, 0, 0) == 0;
		kill(pid, SIGCONT);
		status = wait_status(pid, 0);
		if (status == EVENT_STOP(SIGSTOP)) {
			PT(LISTEN, pid, 0, 0);
			status = wait_status(pid, 0);
		}
		good = good && status == EVENT_STOP(SIGTRAP) && PT(CONT, pid, 0, 0) == 0;
		good = good && (status = wait_status(pid, 0)) == STOPPED(SIGCONT) && PT(CONT, pid, 0, SIGCONT) == 0;
		good = good && (status = wait_status(pid, 0)) == EXITED(5);
	}
	check("the end of the stop is told", good, "%#x", status);
}

/* INTERRUPT of one that is stopped already: it stops once more as soon as it goes on. */
static void interrupt_in_a_stop(void)
{
	pid_t pid = start(sleeps_for_ever);

	PT(SEIZE, pid, 0, 0);
	kill(pid, SIGUSR1);
	waits("a stop", pid, STOPPED(SIGUSR1));
	is("INTERRUPT", PT(INTERRUPT, pid, 0, 0), 0);
	is("    twice", PT(INTERRUPT, pid, 0, 0), 0);
	is("nothing new", wait_status(pid, WNOHANG), 0);
	PT(CONT, pid, 0, 0);
	waits("the second stop", pid, EVENT_STOP(SIGTRAP));
	PT(CONT, pid, 0, 0);
	until(pid, 'S');
	is("no third one", wait_status(pid, WNOHANG), 0);
	ends("it ends", pid);
}

static void group_stop_of_an_attached_one(void)
{
	pid_t pid = traced(sleeps_for_ever);

	is("pass SIGSTOP on", PT(CONT, pid, 0, SIGSTOP), 0);
	waits("the group stop", pid, STOPPED(SIGSTOP));
	siginfo_t info;
	is("has no information", PT(GETSIGINFO, pid, 0, &info), -EINVAL);
	is("nor can it be set", PT(SETSIGINFO, pid, 0, memset(&info, 0, sizeof info)), -EINVAL);
	is("CONT", PT(CONT, pid, 0, 0), 0);
	until(pid, 'S');
	kill(pid, SIGCONT);
	waits("SIGCONT is delivered", pid, STOPPED(SIGCONT));
	tells("    from here", pid, SIGCONT, SI_USER, getpid());
	PT(CONT, pid, 0, SIGCONT);
	until(pid, 'S');
	ends("it ends", pid);
}

/* SIGCONT while the tracee is in a signal-delivery stop ends no stop, and waits its turn. */
static void continued_in_a_stop(void)
{
	pid_t pid = traced(sleeps_for_ever);

	PT(CONT, pid, 0, 0);
	until(pid, 'S');
	kill(pid, SIGUSR1);
	waits("a stop", pid, STOPPED(SIGUSR1));
	kill(pid, SIGCONT);
	nap();
	is("nothing new", wait_status(pid, WNOHANG), 0);
	check("state t", state_of(pid) == 't', "%c", state_of(pid));
	PT(CONT, pid, 0, 0);
	waits("SIGCONT comes next", pid, STOPPED(SIGCONT));
	/* SIGSTOP in the delivery stop of another signal waits too; SIGCONT takes it away. */
	kill(pid, SIGSTOP);
	kill(pid, SIGCONT);
	PT(CONT, pid, 0, 0);
	waits("SIGCONT has taken SIGSTOP away", pid, STOPPED(SIGCONT));
	PT(CONT, pid, 0, 0);
	until(pid, 'S');
	ends("it ends", pid);
}

static int counts(void)
{
	for (;;) {
		shared->word[0]++;
		nap();
	}
	return 0;
}

/* The next status, or 0 if there is none for a while. */
static int next_status(pid_t pid)
{
	int status = 0;

	for (int i = 0; i < 100 && !(status = wait_status(pid, WNOHANG)); i++)
		nap();
	return status;
}

static void counts_on(const char *name, pid_t pid)
{
	int before = shared->word[0];

	for (int i = 0; i < 300 && shared->word[0] == before; i++)
		nap();
	check(name, shared->word[0] != before, "state %c", state_of(pid));
}

/* SIGCONT while the tracer is asked for a stop signal, or for one that it exchanges for a stop signal: the process is not stopped. */
static void continued_before_it_stops(void)
{
	pid_t pid = traced(counts);

	kill(pid, SIGCONT);
	is("the stop is passed on", PT(CONT, pid, 0, SIGSTOP), 0);
	is("SIGCONT comes next", next_status(pid), STOPPED(SIGCONT));
	is("    and is passed on", PT(DETACH, pid, 0, SIGCONT), 0);
	counts_on("    and the process runs", pid);
	/* Seized: the tracer is told first that the process goes on. */
	is("the same seized", PT(SEIZE, pid, 0, 0), 0);
	kill(pid, SIGSTOP);
	waits("    the stop is told", pid, STOPPED(SIGSTOP));
	kill(pid, SIGCONT);
	PT(CONT, pid, 0, SIGSTOP);
	is("    the process goes on", next_status(pid), EVENT_STOP(SIGTRAP));
	PT(CONT, pid, 0, 0);
	is("    SIGCONT", next_status(pid), STOPPED(SIGCONT));
	PT(CONT, pid, 0, 0);
	kill(pid, SIGUSR1);
	waits("another signal", pid, STOPPED(SIGUSR1));
	kill(pid, SIGCONT);
	PT(DETACH, pid, 0, SIGSTOP);
	counts_on("    exchanged for a stop, at DETACH", pid);
	/* And without SIGCONT it does stop. */
	is("the same without SIGCONT", PT(SEIZE, pid, 0, 0), 0);
	kill(pid, SIGSTOP);
	waits("    the stop is told", pid, STOPPED(SIGSTOP));
	PT(CONT, pid, 0, SIGSTOP);
	waits("    and made", pid, EVENT_STOP(SIGSTOP));
	kill(pid, SIGKILL);
	waits("it ends", pid, SIGKILL);
}

/* Whatever stop comes first is the answer to PTRACE_INTERRUPT; none follows. */
static void answered_by_another_stop(void)
{
	pid_t pid = start(sleeps_for_ever);

	until(pid, 'S');
	PT(SEIZE, pid, 0, ON_SYSGOOD);
	PT(INTERRUPT, pid, 0, 0);
	waits("a stop", pid, EVENT_STOP(SIGTRAP));
	PT(SYSCALL, pid, 0, 0);
	waits("a call begins", pid, SYSCALL_STOP);
	PT(SYSCALL, pid, 0, 0);
	until(pid, 'S');
	PT(INTERRUPT, pid, 0, 0);
	waits("the call ends", pid, SYSCALL_STOP);
	PT(CONT, pid, 0, 0);
	is("nothing follows", next_status(pid), 0);
	PT(INTERRUPT, pid, 0, 0);
	waits("and the next one is answered", pid, EVENT_STOP(SIGTRAP));
	ends("it ends", pid);
}

static void *attaches(void *nothing)
{
	pid_t pid = shared->pid[0];

	shared->word[1] = PT(ATTACH, pid, 0, 0) == 0;
	until_word(2, 1);
	PT(DETACH, pid, 0, 0);
	return nothing;
}

/* The thread that has made a process is told of its stops also if another thread traces it. */
static void a_sibling_traces(void)
{
	pid_t pid = shared->pid[0] = start(sleeps_for_ever);
	pthread_t thread;

	shared->word[1] = shared->word[2] = 0;
	until(pid, 'S');
	pthread_create(&thread, NULL, attaches, NULL);
	until_word(1, 1);
	until(pid, 't');
	is("its maker is told", wait_status(pid, WNOHANG | __WNOTHREAD), STOPPED(SIGSTOP));
	shared->word[2] = 1;
	pthread_join(thread, NULL);
	ends("it ends", pid);
}

static void waits_without_a_tracer(void)
{
	pid_t pid = start(sleeps_for_ever);
	siginfo_t info;

	kill(pid, SIGSTOP);
	is("WUNTRACED", wait_status(pid, WUNTRACED), STOPPED(SIGSTOP));
	is("    once", wait_status(pid, WUNTRACED | WNOHANG), 0);
	kill(pid, SIGCONT);
	is("WCONTINUED", wait_status(pid, WCONTINUED), CONTINUED);
	is("    once", wait_status(pid, WCONTINUED | WNOHANG), 0);
	kill(pid, SIGSTOP);
	waitid(P_PID, pid, &info, WSTOPPED);
	check("waitid: stopped", info.si_code == CLD_STOPPED && info.si_status == SIGSTOP && info.si_pid == pid &&
	      info.si_signo == SIGCHLD, "code %d, status %#x", info.si_code, info.si_status);
	kill(pid, SIGCONT);
	waitid(P_PID, pid, &info, WCONTINUED);
	check("waitid: continued", info.si_code == CLD_CONTINUED && info.si_status == SIGCONT, "code %d, status %#x", info.si_code,
	      info.si_status);
	kill(pid, SIGKILL);
	waitid(P_PID, pid, &info, WEXITED | WNOWAIT);
	check("waitid: killed", info.si_code == CLD_KILLED && info.si_status == SIGKILL, "code %d, status %#x", info.si_code,
	      info.si_status);
	waits("    it is still there", pid, SIGKILL);
}

static void waitid_of_a_tracee(void)
{
	pid_t pid = traced(raises_usr1);
	siginfo_t info;

	PT(CONT, pid, 0, 0);
	for (int i = 0; i < 2; i++) {
		memset(&info, 0, sizeof info);
		long got = waitid(P_PID, pid, &info, WEXITED | WNOWAIT);
		check(i ? "WNOWAIT leaves the stop" : "a stop, asked for or not", got == 0 && info.si_code == CLD_TRAPPED &&
		      info.si_status == SIGUSR1 && info.si_pid == pid && info.si_signo == SIGCHLD, "%ld: code %d, status %#x", got,
		      info.si_code, info.si_status);
	}
	waitid(P_PID, pid, &info, WSTOPPED);
	check("and then it is taken", info.si_code == CLD_TRAPPED, "%d", info.si_code);
	memset(&info, 0, sizeof info);
	long got = waitid(P_PID, pid, &info, WSTOPPED | WEXITED | WNOHANG);
	check("there is no second one", got == 0 && info.si_pid == 0, "%ld, process %d", got, info.si_pid);
	is("it is stopped all the same", PT(CONT, pid, 0, 0), 0);
	waitid(P_PID, pid, &info, WEXITED);
	check("the end", info.si_code == CLD_EXITED && info.si_status == 0, "code %d, status %#x", info.si_code, info.si_status);
}

static int waitid_all(siginfo_t *info)
{
	memset(info, 0, sizeof *info);
	return waitid(P_ALL, 0, info, WEXITED | WSTOPPED | WCONTINUED | __WALL);
}

/* The next SIGCHLD, which is masked here. */
static siginfo_t next_child_signal(void)
{
	struct timespec limit = { 5, 0 };
	siginfo_t info = { 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	if (sigtimedwait(&set, &info, &limit) < 0)
		memset(&info, 0, sizeof info);
	return info;
}

static void told(const char *name, pid_t pid, int code, int status)
{
	siginfo_t info = next_child_signal();

	check(name, info.si_signo == SIGCHLD && info.si_code == code && info.si_pid == pid && info.si_status == status,
	      "signal %d, code %d, process %d, status %#x", info.si_signo, info.si_code, info.si_pid, info.si_status);
}

/* What gdb does: it has a task of a process that has stopped go on. A second stop signal stops the task again. */
static void stops_twice(void)
{
	pid_t pid = traced(sleeps_for_ever);

	PT(CONT, pid, 0, 0);
	for (int turn = 0; turn < 2; turn++) {
		int signal = turn ? SIGTSTP : SIGSTOP;
		kill(pid, signal);
		waits("the signal", pid, STOPPED(signal));
		PT(CONT, pid, 0, signal);
		waits("    the group stop", pid, STOPPED(signal));
		PT(CONT, pid, 0, 0);
	}
	ends("it ends", pid);
}

/* A parent that ignores SIGCHLD is not told of its children's ends, but of those of its tracees. */
static void sigchld_is_ignored(void)
{
	signal(SIGCHLD, SIG_IGN);
	pid_t pid = traced(ends_at_once);

	is("CONT", PT(CONT, pid, 0, 0), 0);
	waits("the end of a tracee", pid, EXITED(7));
	pid = start(ends_at_once);
	is("the end of another child", wait_status(pid, 0), -ECHILD);
	signal(SIGCHLD, SIG_DFL);
}

static void child_signals(void)
{
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	pid_t pid = start(sleeps_for_ever);
	PT(SEIZE, pid, 0, ON_EXIT | ON_SYSGOOD);
	PT(INTERRUPT, pid, 0, 0);
	/* Linux fills in the signal of the group stop here, and there is none. */
	told("INTERRUPT's stop", pid, CLD_STOPPED, 0);
	waitid_all(&info);
	check("    waitid has all of it", info.si_code == CLD_TRAPPED && info.si_status == (SIGTRAP | E_STOP << 8), "%d %#x", info.si_code,
	      info.si_status);
	kill(pid, SIGSTOP);
	PT(CONT, pid, 0, 0);
	told("a signal", pid, CLD_TRAPPED, SIGSTOP);
	waits("    is waited for", pid, STOPPED(SIGSTOP));
	PT(CONT, pid, 0, SIGSTOP);
	told("a group stop", pid, CLD_STOPPED, SIGSTOP);
	waitid_all(&info);
	check("    waitid", info.si_code == CLD_TRAPPED && info.si_status == (SIGSTOP | E_STOP << 8), "%d %#x", info.si_code, info.si_status);
	kill(pid, SIGKILL);
	told("the event of its end", pid, CLD_TRAPPED, SIGTRAP);
	waits("    is waited for", pid, EVENT(E_EXIT));
	unsigned long message = 0;
	PT(GETEVENTMSG, pid, 0, &message);
	is("    its status", message, SIGKILL);
	PT(CONT, pid, 0, 0);
	told("the end", pid, CLD_KILLED, SIGKILL);
	waits("    is waited for", pid, SIGKILL);

	/* SA_NOCLDSTOP is for tracers too. */
	signal(SIGCHLD, SIG_DFL);
	struct sigaction action = { .sa_handler = SIG_DFL, .sa_flags = SA_NOCLDSTOP };
	sigaction(SIGCHLD, &action, NULL);
	pid = traced(sleeps_for_ever);
	is("SA_NOCLDSTOP: no signal", sigtimedwait(&set, NULL, &(struct timespec) { 0 }) < 0 ? errno : 0, EAGAIN);
	kill(pid, SIGKILL);
	told("but one of its end", pid, CLD_KILLED, SIGKILL);
	waits("it ends", pid, SIGKILL);
}

static void polling(void)
{
	pid_t pid = traced(sleeps_for_ever);
	int status = 0, polls = 0;

	is("WNOHANG in a stop that was taken", wait_status(pid, WNOHANG), 0);
	PT(CONT, pid, 0, 0);
	kill(pid, SIGUSR1);
	while ((status = wait_status(-1, WNOHANG)) == 0 && ++polls < 1000000)
		give_way();
	is("WNOHANG finds the stop", status, STOPPED(SIGUSR1));
	PT(CONT, pid, 0, SIGUSR1);
	while ((status = wait_status(-1, WNOHANG)) == 0)
		give_way();
	is("and the end", status, SIGUSR1);
	is("and then nobody", wait_status(-1, WNOHANG), -ECHILD);
}

static int reads_a_pipe(void)
{
	char byte = 0;

	handle(SIGUSR1);
	long got = read(shared->word[40], &byte, 1);
	shared->word[RESULT] = got;
	shared->word[ERROR] = errno;
	return byte;
}

static int pipe_of(int *ends)
{
	if (pipe(ends))
		exit(1);
	return shared->word[40] = ends[0];
}

static void a_read_goes_on(void)
{
	struct { int signal, interrupt; const char *name; } ways[] = {
		{ SIGSTOP, 0, "after ATTACH" }, { SIGUSR1, 0, "after a suppressed signal" }, { 0, 1, "after INTERRUPT" },
	};

	for (int i = 0; i < 3; i++) {
		int pipes[2];

		pipe_of(pipes);
		pid_t pid = start(reads_a_pipe);
		until(pid, 'S');
		if (ways[i].signal == SIGSTOP)
			PT(ATTACH, pid, 0, 0);
		else
			PT(SEIZE, pid, 0, 0);
		if (ways[i].signal == SIGUSR1)
			kill(pid, SIGUSR1);
		if (ways[i].interrupt)
			PT(INTERRUPT, pid, 0, 0);
		waits(ways[i].name, pid, ways[i].interrupt ? EVENT_STOP(SIGTRAP) : STOPPED(ways[i].signal));
		PT(CONT, pid, 0, 0);
		until(pid, 'S');
		check("    a byte is written", write(pipes[1], "x", 1) == 1, "%s", strerror(errno));
		waits("    and read", pid, EXITED('x'));
		close(pipes[0]);
		close(pipes[1]);
	}
	int pipes[2];
	pipe_of(pipes);
	pid_t pid = start(reads_a_pipe);
	until(pid, 'S');
	PT(SEIZE, pid, 0, 0);
	kill(pid, SIGUSR1);
	waits("a signal that is passed on", pid, STOPPED(SIGUSR1));
	PT(CONT, pid, 0, SIGUSR1);
	waits("    ends the call", pid, EXITED(0));
	check("    with EINTR", shared->word[RESULT] == -1 && shared->word[ERROR] == EINTR, "%d, %s", shared->word[RESULT],
	      strerror(shared->word[ERROR]));
	is("    after its handler", shared->word[SIGNALS], 1);
}

static int sleeps_a_while(void)
{
	struct timespec pause = { 0, 150000000 }, before, after;

	clock_gettime(CLOCK_MONOTONIC, &before);
	shared->word[READY] = 1;
	long got = nanosleep(&pause, NULL);
	clock_gettime(CLOCK_MONOTONIC, &after);
	int64_t took = (after.tv_sec - before.tv_sec) * 1000000000LL + after.tv_nsec - before.tv_nsec;
	return got ? 1 : took < 150000000 ? 2 : 7;
}

static void a_sleep_goes_on(void)
{
	pid_t pid = start(sleeps_a_while);

	until_word(READY, 1);
	PT(SEIZE, pid, 0, 0);
	for (int i = 0; i < 3; i++) {
		PT(INTERRUPT, pid, 0, 0);
		waits("stopped", pid, EVENT_STOP(SIGTRAP));
		PT(CONT, pid, 0, 0);
	}
	waits("for its whole time", pid, EXITED(7));
	shared->word[READY] = 0;
	pid = start(sleeps_a_while);
	until_word(READY, 1);
	PT(ATTACH, pid, 0, 0);
	waits("ATTACH", pid, STOPPED(SIGSTOP));
	PT(DETACH, pid, 0, 0);
	waits("for its whole time", pid, EXITED(7));
}

static int makes_calls(void)
{
	syscall(SYS_getppid);
	syscall(SYS_close, 1000);
	raise(SIGUSR1);
	return 7;
}

/* What PTRACE_GET_SYSCALL_INFO gives. */
struct call_info {
	uint8_t op, reserved[3];
	uint32_t arch;
	uint64_t ip, sp;
	union {
		struct { uint64_t number, arguments[6]; } entry;
		struct { int64_t value; uint8_t is_error; } exit;
	};
};

static void system_calls(void)
{
	pid_t pid = traced(makes_calls);
	struct call_info info;

	is("SETOPTIONS", PT(SETOPTIONS, pid, 0, ON_SYSGOOD), 0);
	is("in a signal's stop", PT(GET_SYSCALL_INFO, pid, sizeof info, &info), 24);
	check("    no call", info.op == 0 && info.arch == ARCH && info.ip && info.sp, "op %d, arch %#x", info.op, info.arch);
	is("SYSCALL", PT(SYSCALL, pid, 0, 0), 0);
	/* The rest of kill's way out makes no stop. */
	waits("entry", pid, SYSCALL_STOP);
	is("    its size", PT(GET_SYSCALL_INFO, pid, sizeof info, &info), 80);
	check("    its call", info.op == 1 && info.arch == ARCH && info.entry.number == SYS_getppid, "op %d, call %ld", info.op,
	      (long)info.entry.number);
	siginfo_t signal = info_of(pid);
	check("    its siginfo", signal.si_signo == SIGTRAP && signal.si_code == (SIGTRAP | 0x80), "%d %#x", signal.si_signo, signal.si_code);
	uint8_t part[32] = { [8 ... 31] = 0xaa };
	is("    a part of it is asked for", PT(GET_SYSCALL_INFO, pid, 9, part), 80);
	check("    and not more written", part[0] == 1 && part[9] == 0xaa, "%d, %#x", part[0], part[9]);
	is("    to nowhere", PT(GET_SYSCALL_INFO, pid, 80, 8), -EFAULT);
	PT(SYSCALL, pid, 0, 0);
	waits("exit", pid, SYSCALL_STOP);
	is("    its size", PT(GET_SYSCALL_INFO, pid, sizeof info, &info), 33);
	check("    its result", info.op == 2 && info.exit.value == getpid() && !info.exit.is_error, "op %d, %ld", info.op,
	      (long)info.exit.value);
	PT(SYSCALL, pid, 0, 0);
	waits("entry", pid, SYSCALL_STOP);
	PT(GET_SYSCALL_INFO, pid, sizeof info, &info);
	check("    its argument", info.op == 1 && info.entry.number == SYS_close && info.entry.arguments[0] == 1000, "call %ld",
	      (long)info.entry.number);
	PT(SYSCALL, pid, 0, 0);
	waits("exit", pid, SYSCALL_STOP);
	PT(GET_SYSCALL_INFO, pid, sizeof info, &info);
	check("    its error", info.op == 2 && info.exit.value == -EBADF && info.exit.is_error == 1, "%ld", (long)info.exit.value);
	/* To the signal; masks and getpid may come before. */
	int status, stops = 0;
	do {
		PT(SYSCALL, pid, 0, 0);
		status = wait_status(pid, 0);
	} while (status == SYSCALL_STOP && ++stops < 20);
	is("the signal between two calls", status, STOPPED(SIGUSR1));
	is("    is no call", PT(GET_SYSCALL_INFO, pid, sizeof info, &info), 24);
	check("    no op", info.op == 0, "%d", info.op);
	PT(CONT, pid, 0, 0);
	waits("CONT tells of no call", pid, EXITED(7));
}

static void plain_system_calls(void)
{
	pid_t pid = traced(makes_calls);
	siginfo_t info;

	PT(SYSCALL, pid, 0, 0);
	waits("without SYSGOOD: SIGTRAP", pid, STOPPED(SIGTRAP));
	info = info_of(pid);
	check("    its siginfo", info.si_signo == SIGTRAP && info.si_code == SIGTRAP, "%d %#x", info.si_signo, info.si_code);
	PT(SYSCALL, pid, 0, 0);
	waits("and at its exit", pid, STOPPED(SIGTRAP));
	/* A signal that is passed on at a call's stop is sent anew, and stops. */
	PT(CONT, pid, 0, SIGUSR2);
	waits("a signal that was put in", pid, STOPPED(SIGUSR2));
	PT(CONT, pid, 0, 0);
	waits("the program's own signal", pid, STOPPED(SIGUSR1));
	PT(CONT, pid, 0, 0);
	waits("the end", pid, EXITED(7));
}

static int sleeper_in_a_call(void)
{
	raise(SIGUSR1);
	syscall(SYS_nanosleep, &(struct timespec) { 0, 1000 }, NULL);
	return 7;
}

/* SYSCALL at an entry, then a signal in the call. */
static void death_in_each_stop(void)
{
	pid_t pid = traced(raises_usr1);

	PT(CONT, pid, 0, 0);
	waits("in a signal's stop", pid, STOPPED(SIGUSR1));
	ends("    killed", pid);
	pid = traced(sleeper_in_a_call);
	PT(SETOPTIONS, pid, 0, ON_SYSGOOD);
	PT(SYSCALL, pid, 0, 0);
	waits("at a call's entry", pid, SYSCALL_STOP);
	ends("    killed", pid);
	pid = traced(sleeper_in_a_call);
	PT(SETOPTIONS, pid, 0, ON_SYSGOOD);
	PT(SYSCALL, pid, 0, 0);
	waits("at a call's entry", pid, SYSCALL_STOP);
	PT(SYSCALL, pid, 0, 0);
	waits("at its exit", pid, SYSCALL_STOP);
	ends("    killed", pid);
	pid = traced(sleeps_for_ever);
	PT(CONT, pid, 0, SIGSTOP);
	waits("in a group stop", pid, STOPPED(SIGSTOP));
	ends("    killed", pid);
	pid = start(sleeps_for_ever);
	PT(SEIZE, pid, 0, 0);
	PT(INTERRUPT, pid, 0, 0);
	waits("interrupted", pid, EVENT_STOP(SIGTRAP));
	ends("    killed", pid);
	pid = start(sleeps_for_ever);
	PT(SEIZE, pid, 0, 0);
	kill(pid, SIGSTOP);
	waits("stopped", pid, STOPPED(SIGSTOP));
	PT(CONT, pid, 0, SIGSTOP);
	waits("group stop", pid, EVENT_STOP(SIGSTOP));
	PT(LISTEN, pid, 0, 0);
	ends("    killed while it listens", pid);
}

/* A tracer of its own, which traces pid[0] and ends by itself or stays. */
static int options_of_tracer, stop_of_tracer;
static int is_a_tracer(void)
{
	pid_t pid = shared->pid[0];
	int status;

	if (PT(SEIZE, pid, 0, options_of_tracer))
		return 1;
	if (stop_of_tracer) {
		PT(INTERRUPT, pid, 0, 0);
		if (wait_status(pid, 0) != EVENT_STOP(SIGTRAP))
			return 2;
	}
	if (stop_of_tracer == 2) {
		kill(pid, SIGSTOP);
		PT(CONT, pid, 0, 0);
		if ((status = wait_status(pid, 0)) != STOPPED(SIGSTOP))
			return 3;
		PT(CONT, pid, 0, SIGSTOP);
		if ((status = wait_status(pid, 0)) != EVENT_STOP(SIGSTOP))
			return 4;
	}
	return 7;
}

static void the_tracer_ends(void)
{
	static const char *const names[] = { "it runs", "it is stopped", "it is in a group stop" };

	for (int kill_it = 0; kill_it < 2; kill_it++) {
		for (int stop = 0; stop < 3; stop++) {
			pid_t pid = shared->pid[0] = start(sleeps_for_ever);
			until(pid, 'S');
			options_of_tracer = kill_it ? ON_EXITKILL : 0;
			stop_of_tracer = stop;
			waits(names[stop], start(is_a_tracer), EXITED(7));
			if (kill_it) {
				waits("    killed with its tracer", pid, SIGKILL);
				continue;
			}
			if (stop == 2) {
				is("    and stays so", wait_status(pid, WUNTRACED), STOPPED(SIGSTOP));
				until(pid, 'T');
				kill(pid, SIGCONT);
			}
			until(pid, 'S');
			is("    no tracer", tracer_of(pid), 0);
			kill(pid, SIGTERM);
			int status;
			while ((status = wait_status(pid, 0)) == STOPPED(SIGSTOP))
				;
			is("    it goes on", status, SIGTERM);
		}
	}
}

static int tracer_by_attach(void)
{
	return PT(ATTACH, shared->pid[0], 0, 0) || wait_status(shared->pid[0], 0) != STOPPED(SIGSTOP) ? 1 : 7;
}

static void the_tracer_ends_after_attach(void)
{
	pid_t pid = shared->pid[0] = start(sleeps_for_ever);

	until(pid, 'S');
	waits("the tracer", start(tracer_by_attach), EXITED(7));
	until(pid, 'S');
	is("nothing is told", wait_status(pid, WNOHANG | WUNTRACED), 0);
	ends("the tracee has gone on", pid);
}

static void notes_it(int signal)
{
	shared->word[5] = signal;
}

static int notes_signals(void)
{
	struct sigaction action = { .sa_handler = notes_it };

	sigaction(SIGUSR1, &action, NULL);
	shared->word[4] = 1;
	for (;;)
		nap();
	return 0;
}

/* Ends while the tracee has stopped for a signal, without having been told so. */
static int is_not_told(void)
{
	pid_t pid = shared->pid[0];

	if (PT(SEIZE, pid, 0, 0) || kill(pid, SIGUSR1))
		return 1;
	until(pid, 't');
	return 7;
}

static void the_tracer_ends_before_it_is_told(void)
{
	pid_t pid = shared->pid[0] = start(notes_signals);

	until_word(4, 1);
	waits("the tracer", start(is_not_told), EXITED(7));
	until_word(5, SIGUSR1);
	is("the signal is delivered", shared->word[5], SIGUSR1);
	ends("    and the tracee goes on", pid);
}

static int traces_and_obeys(void)
{
	pid_t pid = shared->pid[0];

	if (PT(SEIZE, pid, 0, 0))
		return 1;
	shared->word[0] = 1;
	if (wait_status(pid, 0) != STOPPED(SIGSTOP))
		return 2;
	if (PT(CONT, pid, 0, SIGSTOP) || wait_status(pid, 0) != EVENT_STOP(SIGSTOP))
		return 3;
	if (PT(LISTEN, pid, 0, 0))
		return 4;
	if (wait_status(pid, 0) != EVENT_STOP(SIGTRAP))
		return 5;
	if (PT(CONT, pid, 0, 0) || wait_status(pid, 0) != STOPPED(SIGCONT))
		return 6;
	if (PT(CONT, pid, 0, SIGCONT))
		return 8;
	shared->word[0] = 2;
	until_word(0, 3);
	if (wait_status(pid, 0) != STOPPED(SIGTERM))
		return 9;
	if (PT(CONT, pid, 0, SIGTERM))
		return 10;
	until_word(0, 4);
	if (wait_status(pid, 0) != SIGTERM)
		return 11;
	/* Now it is the parent's. */
	return wait_status(pid, 0) == -ECHILD ? 7 : 12;
}

static void a_parent_and_a_tracer(void)
{
	pid_t pid = shared->pid[0] = start(sleeps_for_ever);

	until(pid, 'S');
	pid_t tracer = start(traces_and_obeys);
	until_word(0, 1);
	is("the parent's requests", PT(INTERRUPT, pid, 0, 0), -ESRCH);
	is("another tracer", PT(ATTACH, pid, 0, 0), -EPERM);
	is("the parent sees no stop yet", wait_status(pid, WNOHANG | WUNTRACED), 0);
	kill(pid, SIGSTOP);
	is("the group stop is the parent's too", wait_status(pid, WUNTRACED), STOPPED(SIGSTOP));
	kill(pid, SIGCONT);
	is("and its end", wait_status(pid, WCONTINUED), CONTINUED);
	until_word(0, 2);
	shared->word[0] = 3;
	kill(pid, SIGTERM);
	until(pid, 'Z');
	is("the end is the tracer's first", wait_status(pid, WNOHANG), 0);
	shared->word[0] = 4;
	waits("then the parent's", pid, SIGTERM);
	waits("the tracer", tracer, EXITED(7));
}

#define CROWD 200

static void hundreds(void)
{
	static pid_t pids[CROWD];
	int wrong = 0, seen = 0, status;

	for (int i = 0; i < CROWD; i++) {
		pids[i] = start(sleeps_for_ever);
		wrong += PT(SEIZE, pids[i], 0, ON_EXITKILL) != 0;
	}
	is("SEIZE", wrong, 0);
	for (int i = 0; i < CROWD; i++)
		wrong += PT(INTERRUPT, pids[i], 0, 0) != 0;
	is("INTERRUPT", wrong, 0);
	for (int i = 0; i < CROWD; i++)
		wrong += wait_status(-1, 0) != EVENT_STOP(SIGTRAP);
	is("all stop", wrong, 0);
	is("once", wait_status(-1, WNOHANG), 0);
	for (int i = 0; i < CROWD; i++)
		wrong += PT(CONT, pids[i], 0, i % 2 ? 0 : SIGUSR1) != 0;
	is("CONT", wrong, 0);
	/* A signal that is given where no signal stopped it is ignored. */
	for (int i = 0; i < CROWD; i++)
		kill(pids[i], SIGTERM);
	while ((status = wait_status(-1, 0)) == STOPPED(SIGTERM) && ++seen < CROWD)
		;
	is("all are signalled", seen, CROWD);
	for (int i = 0; i < CROWD; i++)
		wrong += PT(CONT, pids[i], 0, SIGTERM) != 0;
	for (int i = 0; i < CROWD; i++)
		wrong += wait_status(-1, 0) != SIGTERM;
	is("all end", wrong, 0);
	is("nobody is left", wait_status(-1, 0), -ECHILD);
}

int main(void)
{
	CASE(traceme);
	CASE(a_signal_is_suppressed);
	CASE(a_signal_is_passed_on);
	CASE(a_signal_is_exchanged);
	CASE(a_signals_information_is_changed);
	CASE(ignored_signals_stop);
	CASE(masked_signals_wait);
	CASE(two_signals);
	CASE(kills);
	CASE(attach);
	CASE(attach_in_group_stop);
	CASE(detach_with_a_stop);
	CASE(seize);
	CASE(interrupt_while_listening);
	CASE(continued_while_seized);
	CASE(interrupt_in_a_stop);
	CASE(group_stop_of_an_attached_one);
	CASE(continued_in_a_stop);
	CASE(continued_before_it_stops);
	CASE(answered_by_another_stop);
	CASE(a_sibling_traces);
	CASE(waits_without_a_tracer);
	CASE(waitid_of_a_tracee);
	CASE(stops_twice);
	CASE(sigchld_is_ignored);
	CASE(child_signals);
	CASE(polling);
	CASE(a_read_goes_on);
	CASE(a_sleep_goes_on);
	CASE(system_calls);
	CASE(plain_system_calls);
	CASE(death_in_each_stop);
	CASE(the_tracer_ends);
	CASE(the_tracer_ends_after_attach);
	CASE(the_tracer_ends_before_it_is_told);
	CASE(a_parent_and_a_tracer);
	CASE(hundreds);
	return failed();
}
