/*
 * Proves that the second line is a terminal of its own: raw mode and lines, poll, flow control, signals of O_ASYNC, sessions. The other end of
 * the line must send back each byte that it gets.
 */
#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>

#define LINE "/dev/ttyS1"

/* How long anything that must happen may take, in ms: long enough that only what never happens takes so long. */
#define PATIENCE 60000

static void check_error(const char *name, long result, int error)
{
	int found = errno;

	check(name, result == -1 && found == error, "%ld, %s instead of %s", result, strerror(found), strerror(error));
}

static short polled(int file, short events, int wait)
{
	struct pollfd one = { file, events, 0 };

	poll(&one, 1, wait);
	return one.revents;
}

static void set_raw(int line)
{
	struct termios termios;

	tcgetattr(line, &termios);
	cfmakeraw(&termios);
	termios.c_cc[VMIN] = 1;
	termios.c_cc[VTIME] = 0;
	tcsetattr(line, TCSAFLUSH, &termios);
}

/* Reads so many bytes; fewer only if they do not come. */
static int read_whole(int line, char *to, int length)
{
	int done = 0;

	while (done < length && polled(line, POLLIN, PATIENCE) & POLLIN) {
		int count = read(line, to + done, length - done);

		if (count <= 0)
			break;
		done += count;
	}
	return done;
}

/* Waits until so many bytes can be read. */
static int await_queued(int line, int length)
{
	int queued = 0;

	for (int tries = 0; tries < PATIENCE; tries++) {
		ioctl(line, FIONREAD, &queued);
		if (queued >= length)
			break;
		usleep(1000);
	}
	return queued;
}

static void raw(int line)
{
	struct timespec none = { 0, 0 }, long_time = { PATIENCE / 1000, 0 };
	struct pollfd one = { line, POLLIN, 0 };
	struct termios termios;
	struct winsize size = { 0 };
	struct stat stat;
	char text[64];
	fd_set set;
	int other, queued = -1;

	check("the line is a terminal", isatty(line), "%s", strerror(errno));
	fstat(line, &stat);
	check("its numbers", S_ISCHR(stat.st_mode) && stat.st_rdev == makedev(4, 65), "%o, %d:%d", stat.st_mode,
	      (int)major(stat.st_rdev), (int)minor(stat.st_rdev));
	check("nothing to read", !(polled(line, POLLIN | POLLOUT, 0) & POLLIN), "POLLIN");
	check("room to write", polled(line, POLLIN | POLLOUT, 0) & POLLOUT, "no POLLOUT");
	fcntl(line, F_SETFL, O_NONBLOCK);
	check_error("O_NONBLOCK without input", read(line, text, 1), EAGAIN);
	fcntl(line, F_SETFL, 0);

	check("writing", write(line, "a\r\n\003\023z", 6) == 6, "%s", strerror(errno));
	check("bytes come as they are", read_whole(line, text, 6) == 6 && memcmp(text, "a\r\n\003\023z", 6) == 0, "other ones");
	check_call("tcdrain", tcdrain(line));
	check("TIOCOUTQ after tcdrain", ioctl(line, TIOCOUTQ, &queued) == 0 && queued == 0, "%d", queued);

	check("ppoll without input", ppoll(&one, 1, &none, NULL) == 0, "%d", one.revents);
	write(line, "p", 1);
	check("ppoll waits for input", ppoll(&one, 1, &long_time, NULL) == 1 && one.revents == POLLIN, "%d", one.revents);
	FD_ZERO(&set);
	FD_SET(line, &set);
	check("select sees it", pselect(line + 1, &set, NULL, NULL, &none, NULL) == 1, "not");
	read_whole(line, text, 1);

	other = open("/dev/hvc0", O_RDWR | O_NOCTTY);
	check_call("the line's other name", other);
	write(other, "h", 1);
	check("leads to the same line", read_whole(line, text, 1) == 1 && text[0] == 'h', "not");
	close(other);

	tcgetattr(line, &termios);
	termios.c_cc[VMIN] = 4;
	tcsetattr(line, TCSANOW, &termios);
	write(line, "1234", 4);
	check("VMIN bytes are waited for", read(line, text, sizeof text) == 4, "fewer");
	termios.c_cc[VMIN] = 0;
	termios.c_cc[VTIME] = 1;
	tcsetattr(line, TCSANOW, &termios);
	check("VTIME ends a read", read(line, text, sizeof text) == 0, "not");
	set_raw(line);

	tcgetattr(line, &termios);
	termios.c_lflag |= ICANON;
	tcsetattr(line, TCSANOW, &termios);
	write(line, "wax\177y\nrest\n", 11);
	check("a line is edited", read(line, text, sizeof text) == 4 && memcmp(text, "way\n", 4) == 0, "not");
	check("the next line", read(line, text, sizeof text) == 5 && memcmp(text, "rest\n", 5) == 0, "not");
	set_raw(line);

	size.ws_row = 50;
	size.ws_col = 132;
	check_call("TIOCSWINSZ", ioctl(line, TIOCSWINSZ, &size));
	memset(&size, 0, sizeof size);
	ioctl(line, TIOCGWINSZ, &size);
	check("TIOCGWINSZ", size.ws_row == 50 && size.ws_col == 132, "%d, %d", size.ws_row, size.ws_col);
	ioctl(0, TIOCGWINSZ, &size);
	check("the console has a size of its own", size.ws_row != 50, "not");
}

/* Signals that are blocked and waited for. */
static int take_signal(int signal, siginfo_t *info)
{
	struct timespec time = { PATIENCE / 1000, 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signal);
	return sigtimedwait(&set, info, &time) == signal;
}

static int is_pending(int signal)
{
	sigset_t set;

	sigpending(&set);
	return sigismember(&set, signal);
}

static void asynchronous(int line)
{
	struct f_owner_ex owner = { F_OWNER_PGRP, 0 };
	siginfo_t info;
	sigset_t set;
	char text[8];
	int on = 0;

	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);

	check("nobody owns a file at first", fcntl(line, F_GETOWN) == 0, "%d", fcntl(line, F_GETOWN));
	write(line, "-", 1);
	read_whole(line, text, 1);
	check("without O_ASYNC no signal comes", !is_pending(SIGIO), "SIGIO");
	check_call("O_ASYNC", fcntl(line, F_SETFL, O_ASYNC));
	check("is shown", fcntl(line, F_GETFL) & O_ASYNC, "%x", fcntl(line, F_GETFL));
	check("makes the caller the owner", fcntl(line, F_GETOWN) == getpid(), "%d", fcntl(line, F_GETOWN));
	write(line, "-", 1);
	check("SIGIO comes with input", take_signal(SIGIO, &info), "not");
	check("SIGIO tells nothing", info.si_code == SI_KERNEL, "%d", info.si_code);
	read_whole(line, text, 1);

	check_error("an owner that does not exist", fcntl(line, F_SETOWN, 32767), ESRCH);
	check_error("a group that does not exist", fcntl(line, F_SETOWN, -32767), ESRCH);
	check_call("a group is the owner", fcntl(line, F_SETOWN, -getpgrp()));
	check("F_GETOWN_EX", fcntl(line, F_GETOWN_EX, &owner) == 0 && owner.type == F_OWNER_PGRP && owner.pid == getpgrp(),
	      "%d, %d", owner.type, owner.pid);
	write(line, "-", 1);
	check("the group gets SIGIO", take_signal(SIGIO, &info), "not");
	read_whole(line, text, 1);
	owner.type = F_OWNER_TID;
	owner.pid = getpid();
	check_call("F_SETOWN_EX", fcntl(line, F_SETOWN_EX, &owner));
	check_error("F_SETSIG of no signal", fcntl(line, F_SETSIG, 65), EINVAL);
	check_call("F_SETSIG", fcntl(line, F_SETSIG, SIGRTMIN));
	check("F_GETSIG", fcntl(line, F_GETSIG) == SIGRTMIN, "%d", fcntl(line, F_GETSIG));
	write(line, "-", 1);
	check("the chosen signal comes", take_signal(SIGRTMIN, &info), "not");
	check("and tells of the file", info.si_code == POLL_IN && info.si_fd == line && info.si_band == (POLLIN | POLLRDNORM),
	      "%d, %d, %ld", info.si_code, info.si_fd, (long)info.si_band);
	read_whole(line, text, 1);

	check_call("FIOASYNC", ioctl(line, FIOASYNC, &on));
	check("clears O_ASYNC", !(fcntl(line, F_GETFL) & O_ASYNC), "%x", fcntl(line, F_GETFL));
	/* What came before, of which one byte may bring several. */
	while (is_pending(SIGRTMIN))
		take_signal(SIGRTMIN, &info);
	while (is_pending(SIGIO))
		take_signal(SIGIO, &info);
	write(line, "-", 1);
	read_whole(line, text, 1);
	check("no signal comes then", !is_pending(SIGIO) && !is_pending(SIGRTMIN), "one");
	fcntl(line, F_SETSIG, 0);
}

/* More than all queues of the kernel and of the device have room for. */
static char much[96 << 10], back[sizeof much];

static void flow(int line)
{
	siginfo_t info;
	long done = 0, count;

	for (size_t at = 0; at < sizeof much; at++)
		much[at] = at % 251;
	fcntl(line, F_SETOWN, getpid());
	fcntl(line, F_SETSIG, SIGRTMIN);
	fcntl(line, F_SETFL, O_NONBLOCK | O_ASYNC);
	tcflow(line, TCOOFF);
	while ((count = write(line, much + done, sizeof much - done)) > 0)
		done += count;
	check("stopped output does not take everything", count == -1 && errno == EAGAIN, "%ld after %ld", count, done);
	check("there is no room then", !(polled(line, POLLOUT, 0) & POLLOUT), "POLLOUT");
	tcflow(line, TCOON);
	do
		info.si_code = 0;
	while (take_signal(SIGRTMIN, &info) && info.si_code == POLL_IN);
	check("a signal tells that there is room again", info.si_code == POLL_OUT && info.si_band == (POLLOUT | POLLWRNORM | POLLWRBAND), "%d, %ld",
	      info.si_code, (long)info.si_band);
	check("poll sees it", polled(line, POLLOUT, PATIENCE) & POLLOUT, "no POLLOUT");
	fcntl(line, F_SETFL, 0);
	check("a write waits for room", write(line, much + done, sizeof much - done) == (long)sizeof much - done, "not");
	check("what nobody reads waits on the other side", read_whole(line, back, sizeof back) == sizeof back, "not");
	check("no byte is lost", memcmp(much, back, sizeof back) == 0, "there are others");
	fcntl(line, F_SETSIG, 0);
	while (is_pending(SIGRTMIN))
		take_signal(SIGRTMIN, &info);
}

static volatile sig_atomic_t interrupts;

static void interrupted(int signal)
{
	(void)signal;
	interrupts++;
}

static int tty_number(void)
{
	int number = -1;
	FILE *stat = fopen("/proc/self/stat", "r");

	fscanf(stat, "%*d (%*[^)]) %*c %*d %*d %*d %d", &number);
	fclose(stat);
	return number;
}

/* A session of its own, whose terminal the line becomes. */
static int session(void)
{
	struct sigaction action = { .sa_handler = interrupted };
	struct termios termios;
	int line, own, status;
	sigset_t set, none;
	char text[4];
	pid_t child;

	check_failures = 0;
	setsid();
	check_error("a session without a terminal", open("/dev/tty", O_RDWR), ENXIO);
	line = open(LINE, O_RDWR);
	check("its leader's first terminal is the session's", tcgetsid(line) == getpid(), "%d", (int)tcgetsid(line));
	check("the foreground group is the leader's", tcgetpgrp(line) == getpgrp(), "%d", (int)tcgetpgrp(line));
	check("/proc tells the terminal", tty_number() == (4 << 8 | 65), "%x", tty_number());
	check_error("the console is not the session's", tcgetpgrp(0), ENOTTY);
	own = open("/dev/tty", O_RDWR);
	check_call("/dev/tty is the line", own);
	write(own, "t", 1);
	check("what is written there comes back", read_whole(line, text, 1) == 1 && text[0] == 't', "not");

	sigaction(SIGINT, &action, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigemptyset(&none);
	tcgetattr(line, &termios);
	termios.c_lflag |= ISIG;
	tcsetattr(line, TCSANOW, &termios);
	write(line, "\003", 1);
	alarm(PATIENCE / 1000);
	while (!interrupts)
		sigsuspend(&none);
	check("^C interrupts the foreground group", interrupts == 1, "%d", interrupts);
	set_raw(line);

	child = fork();
	if (child == 0) {
		setpgid(0, 0);
		_exit(read(line, text, 1) == 1 ? 0 : 1);
	}
	check("a reader in the background stops",
	      waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTIN, "%x", status);
	signal(SIGTTOU, SIG_IGN);
	check_call("the child's group gets the line", tcsetpgrp(line, child));
	write(line, "g", 1);
	kill(child, SIGCONT);
	check("and reads", waitpid(child, &status, 0) == child && status == 0, "%x", status);
	tcsetpgrp(line, getpgrp());
	return failed();
}

static void sessions(int line)
{
	int status;
	pid_t child;

	check_error("who has a terminal gets no other", ioctl(line, TIOCSCTTY, 0), EPERM);
	check("the console is this session's", tcgetsid(0) == getsid(0), "%d", (int)tcgetsid(0));
	child = fork();
	if (child == 0)
		_exit(session());
	waitpid(child, &status, 0);
	check("a session on the line", status == 0, "%x", status);
	check_error("it is nobody's when its session has ended", tcgetsid(line), ENOTTY);
	check("the console is still this session's", tcgetsid(0) == getsid(0), "%d", (int)tcgetsid(0));
}

int main(void)
{
	int line = open(LINE, O_RDWR | O_NOCTTY), queued = -1;

	check_call("the line opens", line);
	if (line < 0)
		return failed();
	set_raw(line);
	raw(line);
	asynchronous(line);
	flow(line);
	sessions(line);

	write(line, "junk", 4);
	check("input waits", await_queued(line, 4) == 4, "not");
	close(line);
	line = open(LINE, O_RDWR | O_NOCTTY);
	ioctl(line, FIONREAD, &queued);
	check("the last close drops what was not read", queued == 0, "%d bytes", queued);
	return failed();
}
