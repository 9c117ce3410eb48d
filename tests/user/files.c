/*
 * Proves that files, directories, descriptors, pipes, poll and the terminal work as on Linux. With the argument `input` it proves instead
 * that typed text arrives: it must be given the text that typed() says.
 */
#include "check.h"
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>

/* A call that must fail with this error. */
/* musl 1.2.3 has no renameat2. */
#define NO_REPLACE 1
#define EXCHANGE 2
static int rename_at(int from, const char *old, int to, const char *new, unsigned flags)
{
        return syscall(SYS_renameat2, from, old, to, new, flags);
}

/* Values that the compiler does not know, so that it has no warning for calls that must fail. */
static void *volatile bad = (void *)8;
static volatile nfds_t many = 100000;

static void check_error(const char *name, long result, int error)
{
	int found = errno;

	check(name, result == -1 && found == error, "%ld, %s instead of %s", result, strerror(found), strerror(error));
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static char big[3 * 4096 + 100], back[sizeof big];

static void contents(void)
{
	char text[32] = "";
	struct stat stat;
	int file = open("one", O_RDWR | O_CREAT | O_EXCL, 0666);

	check_call("a file is made", file);
	check_error("a second time", open("one", O_RDWR | O_CREAT | O_EXCL, 0666), EEXIST);
	check("the umask counts", fstat(file, &stat) == 0 && stat.st_mode == (S_IFREG | 0644), "%o", stat.st_mode);
	check("write", write(file, "0123456789", 10) == 10, "%s", strerror(errno));
	check("lseek", lseek(file, 3, SEEK_SET) == 3 && read(file, text, 4) == 4 && !memcmp(text, "3456", 4), "%s", text);
	check("lseek from here", lseek(file, -2, SEEK_CUR) == 5 && lseek(file, 0, SEEK_END) == 10, "%s", strerror(errno));
	check_error("lseek in front of the file", lseek(file, -1, SEEK_SET), EINVAL);
	check("end of file", read(file, text, 4) == 0, "something");
	check("pread", pread(file, text, 2, 8) == 2 && !memcmp(text, "89", 2) && lseek(file, 0, SEEK_CUR) == 10, "%s", text);
	check("pwrite makes a hole", pwrite(file, "x", 1, 9000) == 1 && fstat(file, &stat) == 0 && stat.st_size == 9001, "%ld", (long)stat.st_size);
	check("a hole is zeros", pread(file, text, 1, 5000) == 1 && text[0] == 0, "%d", text[0]);
	check("SEEK_DATA", lseek(file, 4096, SEEK_DATA) == 8192, "%ld", (long)lseek(file, 4096, SEEK_DATA));
	check("ftruncate", ftruncate(file, 5) == 0 && fstat(file, &stat) == 0 && stat.st_size == 5, "%ld", (long)stat.st_size);
	for (size_t i = 0; i < sizeof big; i++)
		big[i] = i * 7 + i / 4096;
	lseek(file, 0, SEEK_SET);
	check("much is written", write(file, big, sizeof big) == (ssize_t)sizeof big, "%s", strerror(errno));
	lseek(file, 0, SEEK_SET);
	check("and read", read(file, back, sizeof back) == (ssize_t)sizeof back && !memcmp(big, back, sizeof big), "something else");
	struct iovec parts[3] = { { back, 5 }, { NULL, 0 }, { back + 5, 4096 } };
	check("readv", preadv(file, parts, 3, 100) == 4101 && !memcmp(back, big + 100, 4101), "something else");
	check("writev", lseek(file, 0, SEEK_SET) == 0 && writev(file, parts, 3) == 4101, "%s", strerror(errno));
	check_error("read to bad memory", pread(file, bad, 10, 0), EFAULT);
	check_error("write from bad memory", write(file, bad, 10), EFAULT);
	check_error("write from the kernel's memory", write(file, (void *)0xffff800080000000, 10), EFAULT);
	close(file);
	file = open("one", O_WRONLY | O_APPEND | O_TRUNC);
	check("O_TRUNC", fstat(file, &stat) == 0 && stat.st_size == 0, "%ld", (long)stat.st_size);
	check("O_APPEND", write(file, "ab", 2) == 2 && lseek(file, 0, SEEK_SET) == 0 && write(file, "cd", 2) == 2 && fstat(file, &stat) == 0 &&
	      stat.st_size == 4, "%ld", (long)stat.st_size);
	check_error("read of what is open for writing", read(file, text, 1), EBADF);
	check("F_GETFL", (fcntl(file, F_GETFL) & (O_ACCMODE | O_APPEND)) == (O_WRONLY | O_APPEND), "%o", fcntl(file, F_GETFL));
	close(file);
	file = open("one", O_RDONLY);
	char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
	check("a file is mapped", map != MAP_FAILED && !memcmp(map, "abcd", 5), "%s", strerror(errno));
	check("read into a page of the file itself", pread(file, map + 1, 2, 0) == 2 && !memcmp(map, "aabd", 4), "%.4s", map);
	check_error("write to what is open for reading", write(file, text, 1), EBADF);
	int other = open("two", O_RDWR | O_CREAT, 0600);
	off_t at = 1;
	check("sendfile", sendfile(other, file, &at, 10) == 3 && at == 4 && pread(other, text, 4, 0) == 3 && !memcmp(text, "bcd", 3), "%s", text);
	check_call("fsync", fsync(other));
	close(other);
	close(file);
	check_error("write to a closed one", write(file, text, 1), EBADF);
	check_error("ioctl of a file", ioctl(open("one", O_RDONLY), TCGETS, text), ENOTTY);
}

static int listed(const char *path, const char *wanted)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	int found = 0;

	while (directory && (entry = readdir(directory)))
		found += !strcmp(entry->d_name, wanted);
	if (directory)
		closedir(directory);
	return found;
}

static void names(void)
{
	char text[64] = "";
	struct stat one, two;
	struct statfs tree;

	check_call("mkdir", mkdir("d", 0777));
	check_error("mkdir again", mkdir("d", 0777), EEXIST);
	check_call("chdir", chdir("d"));
	check("getcwd", getcwd(text, sizeof text) && !strcmp(text, "/t/d"), "%s", text);
	check_error("getcwd without room", syscall(SYS_getcwd, text, 3), ERANGE);
	check("a relative path", stat("../one", &one) == 0 && S_ISREG(one.st_mode), "%s", strerror(errno));
	int here = open(".", O_RDONLY | O_DIRECTORY);
	check_call("open of a directory", here);
	check_error("read of a directory", read(here, text, 1), EISDIR);
	check_call("chdir to the parent", chdir(".."));
	check("openat", openat(here, "in", O_CREAT | O_WRONLY, 0600) >= 0 && access("d/in", R_OK) == 0, "%s", strerror(errno));
	check_error("openat below a file", openat(open("one", O_RDONLY), "in", O_RDONLY), ENOTDIR);
	check_error("rmdir of what is not empty", rmdir("d"), ENOTEMPTY);
	check_error("unlink of a directory", unlink("d"), EISDIR);
	check_call("link", link("one", "d/hard"));
	check("a second name", stat("one", &one) == 0 && stat("d/hard", &two) == 0 && one.st_ino == two.st_ino && two.st_nlink == 2, "%lu", (unsigned long)two.st_nlink);
	check_call("symlink", symlink("../one", "d/soft"));
	check("readlink", readlink("d/soft", text, 4) == 4 && !memcmp(text, "../o", 4) && readlink("d/soft", text, 64) == 6, "%s", text);
	check("lstat and stat", lstat("d/soft", &two) == 0 && S_ISLNK(two.st_mode) && stat("d/soft", &two) == 0 && two.st_ino == one.st_ino, "%o", two.st_mode);
	check_error("O_NOFOLLOW", open("d/soft", O_RDONLY | O_NOFOLLOW), ELOOP);
	check_error("readlink of a file", readlink("one", text, 64), EINVAL);
	check_call("rename", rename("two", "d/three"));
	check_error("it is gone", access("two", F_OK), ENOENT);
	check_error("RENAME_NOREPLACE", rename_at(AT_FDCWD, "one", here, "three", NO_REPLACE), EEXIST);
	check_call("RENAME_EXCHANGE", rename_at(AT_FDCWD, "one", here, "three", EXCHANGE));
	check("it is exchanged", stat("d/three", &two) == 0 && two.st_ino == one.st_ino, "%lu", (unsigned long)two.st_ino);
	check_error("a directory into itself", rename("d", "d/e"), EINVAL);
	check("a directory is listed", listed("d", "hard") == 1 && listed("d", "..") == 1 && listed("d", "one") == 0, "%d", listed("d", "hard"));
	check("devices are listed", listed("/dev", "null") == 1 && listed("/dev", "ttyAMA0") == 1, "%d", listed("/dev", "null"));
	char list[512];
	long length = syscall(SYS_getdents64, here, list, 48), more = 0;
	for (long step = length; step > 0; step = syscall(SYS_getdents64, here, list, 32))
		more++;
	check("a listing in small parts", length > 0 && more >= 3, "%ld, %ld", length, more);
	check_error("a listing without room", syscall(SYS_getdents64, open("d", O_RDONLY), list, 10), EINVAL);
	check("chmod", chmod("one", 0751) == 0 && stat("one", &one) == 0 && (one.st_mode & 07777) == 0751, "%o", one.st_mode);
	check("fchmod and chown", fchmod(here, 0700) == 0 && lchown("one", 12, -1) == 0 && stat("one", &one) == 0 && one.st_uid == 12 && one.st_gid == 0, "%d", one.st_uid);
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { 1234567, 89 } };
	check("utimensat", utimensat(AT_FDCWD, "one", times, 0) == 0 && stat("one", &one) == 0 && one.st_mtim.tv_sec == 1234567 && one.st_mtim.tv_nsec == 89, "%ld", (long)one.st_mtime);
	check("truncate", truncate("one", 77) == 0 && stat("one", &one) == 0 && one.st_size == 77, "%ld", (long)one.st_size);
	check_error("truncate of a directory", truncate("d", 0), EISDIR);
	check("statfs", statfs(".", &tree) == 0 && tree.f_bsize == 4096 && tree.f_bfree > 0 && tree.f_bfree <= tree.f_blocks, "%ld", (long)tree.f_bfree);
	check("umask", umask(077) == 022 && umask(022) == 077, "it is another one");
	check_error("an empty path", access("", F_OK), ENOENT);
	check_error("a path at a bad address", access((char *)8, F_OK), EFAULT);
	check("mknod", mknod("zero", S_IFCHR | 0600, makedev(1, 5)) == 0 && stat("zero", &one) == 0 && one.st_rdev == makedev(1, 5), "%lx", (long)one.st_rdev);
	/* A current directory that is removed. */
	mkdir("gone", 0700);
	chdir("gone");
	check_call("the current directory is removed", rmdir("../gone"));
	check_error("it has no name", syscall(SYS_getcwd, text, 64), ENOENT);
	check_error("nothing is made in it", open("x", O_CREAT | O_WRONLY, 0600), ENOENT);
	check_call("its parent is found", chdir(".."));
	check_call("fchdir", fchdir(here));
	check("getcwd after it", getcwd(text, sizeof text) && !strcmp(text, "/t/d"), "%s", text);
	/* What was unlinked while it is open. */
	int file = open("in", O_RDWR);
	check("an unlinked file stays open", unlink("in") == 0 && write(file, "still", 5) == 5 && pread(file, text, 5, 0) == 5 && fstat(file, &one) == 0 && one.st_nlink == 0, "%s", strerror(errno));
}

static void devices(void)
{
	char text[8] = "1234567";
	int null = open("/dev/null", O_RDWR), zero = open("/dev/zero", O_RDWR);
	struct stat stat;

	check("/dev/null", null >= 0 && write(null, text, 8) == 8 && read(null, text, 8) == 0, "%s", strerror(errno));
	check("/dev/zero", zero >= 0 && read(zero, text, 4) == 4 && !memcmp(text, "\0\0\0\0" "567", 8) && write(zero, text, 8) == 8, "%s", strerror(errno));
	check("fstat of a device", fstat(null, &stat) == 0 && S_ISCHR(stat.st_mode) && stat.st_rdev == makedev(1, 3), "%o", stat.st_mode);
	check_error("/dev/full", write(open("/dev/full", O_WRONLY), text, 1), ENOSPC);
	check_error("a machine without a second line", access("/dev/ttyS1", F_OK), ENOENT);
	check("the terminals are there", access("/dev/console", R_OK) + access("/dev/tty", R_OK) + access("/dev/ttyAMA0", R_OK) == 0, "%s", strerror(errno));
	close(null);
	close(zero);
}

static void descriptors(void)
{
	char text[8] = "";
	int file = open("/t/d/hard", O_RDWR | O_CLOEXEC);
	int copy = dup(file);

	check("dup", copy > file && fcntl(file, F_GETFD) == FD_CLOEXEC && fcntl(copy, F_GETFD) == 0, "%d, %d", file, copy);
	check("they share the offset", lseek(file, 2, SEEK_SET) == 2 && lseek(copy, 0, SEEK_CUR) == 2, "%ld", (long)lseek(copy, 0, SEEK_CUR));
	check("dup3", dup3(file, 100, O_CLOEXEC) == 100 && fcntl(100, F_GETFD) == FD_CLOEXEC, "%s", strerror(errno));
	check_error("dup3 onto itself", syscall(SYS_dup3, file, file, 0), EINVAL);
	check_error("dup3 to no descriptor", dup3(file, 1 << 20, 0), EBADF);
	check("F_DUPFD", fcntl(file, F_DUPFD, 50) == 50 && fcntl(file, F_DUPFD_CLOEXEC, 50) == 51 && fcntl(51, F_GETFD) == FD_CLOEXEC, "%s", strerror(errno));
	check("F_SETFD", fcntl(51, F_SETFD, 0) == 0 && fcntl(51, F_GETFD) == 0, "%s", strerror(errno));
	check("F_SETFL", fcntl(file, F_SETFL, O_NONBLOCK) == 0 && (fcntl(copy, F_GETFL) & O_NONBLOCK), "%o", fcntl(copy, F_GETFL));
	check("close_range", syscall(SYS_close_range, 50, 200, 0) == 0 && read(100, text, 1) == -1 && errno == EBADF && fcntl(50, F_GETFD) == -1, "%s", strerror(errno));
	close(file);
	check("the copy still works", lseek(copy, 0, SEEK_CUR) == 2, "%s", strerror(errno));
	check("the lowest number is given", dup(copy) == file, "it is not");
	close(file);
	close(copy);
	check_error("close of nothing", close(file), EBADF);
	int last = -1, next;
	while ((next = open("/dev/null", O_RDONLY)) >= 0)
		last = next;
	check("the table is full", errno == EMFILE && last == 1023, "%d, %s", last, strerror(errno));
	check_error("no file is made without a descriptor", open("unmade", O_WRONLY | O_CREAT, 0600), EMFILE);
	check_error("it was not made", access("unmade", F_OK), ENOENT);
	check_call("close_range of the rest", syscall(SYS_close_range, 20, ~0U, 0));
}

/* Signals tell of what can be read and written. The chosen signal tells which. */
static void asynchronous(void)
{
	struct timespec none = { 0, 0 };
	int ends[2], file, got;
	siginfo_t info;
	sigset_t set;
	char text[4];

	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	pipe(ends);
	check_call("O_ASYNC of a pipe", fcntl(ends[0], F_SETFL, O_ASYNC));
	check("F_GETFL shows it", fcntl(ends[0], F_GETFL) & O_ASYNC, "%o", fcntl(ends[0], F_GETFL));
	check("the caller owns the pipe", fcntl(ends[0], F_GETOWN) == getpid(), "%d", fcntl(ends[0], F_GETOWN));
	write(ends[1], "a", 1);
	check("SIGIO tells of input", sigtimedwait(&set, &info, &none) == SIGIO && info.si_code == SI_KERNEL, "%d", info.si_code);
	fcntl(ends[1], F_SETFL, O_ASYNC);
	fcntl(ends[1], F_SETSIG, SIGRTMIN);
	read(ends[0], text, 1);
	got = sigtimedwait(&set, &info, &none);
	check("the chosen signal tells of room", got == SIGRTMIN && info.si_code == POLL_OUT && info.si_fd == ends[1], "%d, %d, %d", got,
	      info.si_code, info.si_fd);
	fcntl(ends[0], F_SETSIG, SIGRTMIN);
	close(ends[1]);
	got = sigtimedwait(&set, &info, &none);
	check("and of the other end's end", got == SIGRTMIN && info.si_code == POLL_IN && info.si_fd == ends[0], "%d, %d, %d", got,
	      info.si_code, info.si_fd);
	close(ends[0]);
	got = sigtimedwait(&set, &info, &none);
	check("closed files tell nothing", got == -1 && errno == EAGAIN, "%d", got);

	file = open("regular", O_RDWR | O_CREAT, 0666);
	fcntl(file, F_SETFL, O_ASYNC);
	check("a regular file has no O_ASYNC", !(fcntl(file, F_GETFL) & O_ASYNC), "%o", fcntl(file, F_GETFL));
	close(file);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void pipes(void)
{
	int ends[2], count = 0;
	char text[16] = "";
	struct stat stat;
	static char page[4096];

	check_call("pipe", pipe2(ends, O_NONBLOCK | O_CLOEXEC));
	check("its flags", fcntl(ends[0], F_GETFD) == FD_CLOEXEC && (fcntl(ends[1], F_GETFL) & (O_ACCMODE | O_NONBLOCK)) == (O_WRONLY | O_NONBLOCK), "%o", fcntl(ends[1], F_GETFL));
	check_error("nothing in it", read(ends[0], text, 1), EAGAIN);
	check("bytes go through", write(ends[1], "hello", 5) == 5 && read(ends[0], text, 16) == 5 && !memcmp(text, "hello", 5), "%s", text);
	check("fstat of a pipe", fstat(ends[0], &stat) == 0 && S_ISFIFO(stat.st_mode), "%o", stat.st_mode);
	check_error("lseek of a pipe", lseek(ends[0], 0, SEEK_SET), ESPIPE);
	check_error("pread of a pipe", pread(ends[0], text, 1, 0), ESPIPE);
	check_error("read at the wrong end", read(ends[1], text, 1), EBADF);
	while (write(ends[1], page, sizeof page) == sizeof page)
		count++;
	check("a full pipe", errno == EAGAIN && count == 16, "%d pages, %s", count, strerror(errno));
	check("FIONREAD", ioctl(ends[0], FIONREAD, &count) == 0 && count == 65536, "%d", count);
	struct pollfd both[3] = { { ends[0], POLLIN, 0 }, { ends[1], POLLOUT, 0 }, { -1, POLLIN, 7 } };
	check("poll of a full pipe", poll(both, 3, 0) == 1 && both[0].revents == POLLIN && both[1].revents == 0 && both[2].revents == 0, "%x, %x", both[0].revents, both[1].revents);
	while (read(ends[0], page, sizeof page) > 0)
		;
	check("poll of an empty pipe", poll(both, 2, 0) == 1 && both[0].revents == 0 && both[1].revents == POLLOUT, "%x, %x", both[0].revents, both[1].revents);
	fd_set in, out;
	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_SET(ends[0], &in);
	FD_SET(ends[1], &out);
	struct timeval none = { 0, 0 };
	check("select", select(ends[1] + 1, &in, &out, NULL, &none) == 1 && !FD_ISSET(ends[0], &in) && FD_ISSET(ends[1], &out), "%s", strerror(errno));
	double start = now();
	int ready = poll(both, 1, 50);
	double took = now() - start;
	check("poll waits", ready == 0 && took >= 0.05 && took < 2, "%d after %f s", ready, took);
	struct timeval wait = { 0, 50000 };
	FD_SET(ends[0], &in);
	start = now();
	ready = select(ends[0] + 1, &in, NULL, NULL, &wait);
	took = now() - start;
	check("select waits", ready == 0 && !FD_ISSET(ends[0], &in) && took >= 0.05 && took < 2, "%d after %f s", ready, took);
	both[2].fd = 999;
	check("poll of no file", poll(both + 2, 1, 0) == 1 && both[2].revents == POLLNVAL, "%x", both[2].revents);
	FD_SET(999, &in);
	check_error("select of no file", select(1000, &in, NULL, NULL, &none), EBADF);
	check_error("poll of too many", poll(both, many, 0), EINVAL);
	check_error("poll at a bad address", syscall(SYS_ppoll, 8, 1, NULL, NULL, 8), EFAULT);
	write(ends[1], "rest", 4);
	close(ends[1]);
	check("the rest is read", read(ends[0], text, 16) == 4, "%s", strerror(errno));
	check("then its end", read(ends[0], text, 16) == 0, "%s", strerror(errno));
	check("poll of the end", poll(both, 1, 0) == 1 && both[0].revents == POLLHUP, "%x", both[0].revents);
	close(ends[0]);
	signal(SIGPIPE, SIG_IGN);
	check_call("another pipe", pipe(ends));
	close(ends[0]);
	check_error("write to a broken one", write(ends[1], text, 1), EPIPE);
	both[1].fd = ends[1];
	check("poll of a broken one", poll(both + 1, 1, 0) == 1 && (both[1].revents & POLLERR), "%x", both[1].revents);
	close(ends[1]);
}

/* What a reader's memory cannot take stays in the pipe. */
static void pipe_into_bad_memory(void)
{
	char *memory = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	static char out[8192], in[8192];
	int ends[2];

	munmap(memory + 4096, 4096);
	for (int i = 0; i < 8192; i++)
		out[i] = i / 3;
	if (pipe(ends))
		exit(1);
	check("100 bytes into a pipe", write(ends[1], out, 100) == 100, "%s", strerror(errno));
	check_error("    into 50 bytes of memory", read(ends[0], memory + 4096 - 50, 100), EFAULT);
	check("    are all there", read(ends[0], in, 200) == 100 && !memcmp(in, out, 100), "lost");
	check("two pages into a pipe", write(ends[1], out, 8192) == 8192, "%s", strerror(errno));
	check("    into one page of memory", read(ends[0], memory, 8192) == 4096 && !memcmp(memory, out, 4096), "%s", strerror(errno));
	check("    leave one", read(ends[0], in, 8192) == 4096 && !memcmp(in, out + 4096, 4096), "lost");
	close(ends[0]);
	close(ends[1]);
	munmap(memory, 4096);
}

static void named_pipe(void)
{
	char text[8] = "";
	struct stat stat;

	check_call("mkfifo", mkfifo("/t/fifo", 0600));
	check_error("a writer without a reader", open("/t/fifo", O_WRONLY | O_NONBLOCK), ENXIO);
	int reader = open("/t/fifo", O_RDONLY | O_NONBLOCK);
	struct pollfd poll_it = { reader, POLLIN, 0 };
	check_call("a reader without a writer", reader);
	check("nobody has hung up", poll(&poll_it, 1, 0) == 0 && read(reader, text, 8) == 0, "%x", poll_it.revents);
	int writer = open("/t/fifo", O_WRONLY);
	check_call("a writer", writer);
	check("bytes go through a named pipe", write(writer, "named", 5) == 5 && read(reader, text, 8) == 5 && !memcmp(text, "named", 5), "%s", text);
	check("fstat of a named pipe", fstat(writer, &stat) == 0 && stat.st_mode == (S_IFIFO | 0600), "%o", stat.st_mode);
	close(writer);
	check("it hangs up", poll(&poll_it, 1, 0) == 1 && poll_it.revents == POLLHUP, "%x", poll_it.revents);
	close(reader);
	int both = open("/t/fifo", O_RDWR);
	check("both ends", write(both, "x", 1) == 1 && read(both, text, 8) == 1, "%s", strerror(errno));
	close(both);
}

/* Two processes at a pipe, which both must wait for each other. */
static void piped(void)
{
	enum { SIZE = 1000003 };
	int there[2], status;
	size_t done = 0, wrong = 0;
	ssize_t count;

	pipe(there);
	pid_t child = fork();
	if (child < 0 && errno == ENOSYS)
		return;
	if (child == 0) {
		static char bytes[SIZE];

		close(there[0]);
		for (size_t i = 0; i < SIZE; i++)
			bytes[i] = i % 251;
		for (size_t i = 0; i < SIZE;) {
			count = write(there[1], bytes + i, SIZE - i < 77777 ? SIZE - i : 77777);
			if (count <= 0)
				_exit(1);
			i += count;
		}
		_exit(0);
	}
	close(there[1]);
	struct pollfd poll_there = { there[0], POLLIN, 0 };
	while (poll(&poll_there, 1, -1) == 1 && (count = read(there[0], back, 5000)) > 0)
		for (ssize_t i = 0; i < count; i++)
			wrong += back[i] != (char)(done++ % 251);
	check("a child's bytes", done == SIZE && wrong == 0, "%zu bytes, %zu wrong", done, wrong);
	check("its status", waitpid(child, &status, 0) == child && status == 0, "%x", status);
	close(there[0]);
}

static void terminal(void)
{
	struct termios old, new;
	struct winsize size = { 25, 80, 0, 0 }, found = { 0 };
	char byte;
	int group = 0;

	check("a terminal", isatty(0) && isatty(1), "%s", strerror(errno));
	check("its settings", tcgetattr(0, &old) == 0 && (old.c_lflag & ICANON) && (old.c_iflag & ICRNL), "%s", strerror(errno));
	new = old;
	new.c_lflag &= ~(ICANON | ECHO);
	new.c_cc[VMIN] = 0;
	new.c_cc[VTIME] = 1;
	/* Without input, the host's tool sends ^D at the beginning. */
	poll(NULL, 0, 200);
	check_call("they change", tcsetattr(0, TCSAFLUSH, &new));
	check("they have changed", tcgetattr(0, &new) == 0 && !(new.c_lflag & ICANON), "%x", new.c_lflag);
	double start = now();
	ssize_t count = read(0, &byte, 1);
	double took = now() - start;
	check("VTIME", count == 0 && took >= 0.1 && took < 2, "%zd after %f s, %s", count, took, strerror(errno));
	fcntl(0, F_SETFL, O_NONBLOCK);
	check_error("O_NONBLOCK", read(0, &byte, 1), EAGAIN);
	fcntl(0, F_SETFL, 0);
	struct pollfd poll_it = { 0, POLLIN | POLLOUT, 0 };
	check("poll of the terminal", poll(&poll_it, 1, 0) == 1 && poll_it.revents == POLLOUT, "%x", poll_it.revents);
	check_call("TCSETSF", tcsetattr(0, TCSAFLUSH, &old));
	check("the window", ioctl(0, TIOCSWINSZ, &size) == 0 && ioctl(0, TIOCGWINSZ, &found) == 0 && found.ws_col == 80, "%d", found.ws_col);
	check("its group", ioctl(0, TIOCGPGRP, &group) == 0 && group > 0 && ioctl(0, TIOCSPGRP, &group) == 0, "%d, %s", group, strerror(errno));
	check("its session", ioctl(0, TIOCGSID, &group) == 0 && group > 0, "%d, %s", group, strerror(errno));
	check("FIONREAD of a terminal", ioctl(0, FIONREAD, &group) == 0 && group == 0, "%d", group);
	check_call("TCFLSH", tcflush(0, TCIOFLUSH));
	check_error("bad memory for settings", ioctl(0, TCGETS, (void *)8), EFAULT);
	check_error("lseek of a terminal", lseek(0, 0, SEEK_CUR), ESPIPE);
	check("zero bytes", read(0, &byte, 0) == 0, "%s", strerror(errno));
}

/* Must be given: "first line\n", "abX\177c\n" (an erased X), "^D", "rawbytes". */
static int typed(void)
{
	char text[64] = "";
	struct termios raw;
	ssize_t count;

	printf("ok ready\n");
	fflush(stdout);
	count = read(0, text, sizeof text);
	check("a line", count == 11 && !memcmp(text, "first line\n", 11), "%zd, %.11s", count, text);
	struct pollfd poll_it = { 0, POLLIN, 0 };
	check("poll waits for a line", poll(&poll_it, 1, 10000) == 1 && poll_it.revents == POLLIN, "%x", poll_it.revents);
	count = read(0, text, 2);
	check("half a line", count == 2 && !memcmp(text, "ab", 2), "%zd, %.2s", count, text);
	count = read(0, text, sizeof text);
	check("the other half", count == 2 && !memcmp(text, "c\n", 2), "%zd, %.2s", count, text);
	check("^D is the end", read(0, text, sizeof text) == 0, "%s", text);
	tcgetattr(0, &raw);
	raw.c_lflag &= ~(ICANON | ECHO | ISIG);
	raw.c_cc[VMIN] = 8;
	raw.c_cc[VTIME] = 0;
	tcsetattr(0, TCSANOW, &raw);
	count = read(0, text, sizeof text);
	/* The host's tool sends ^D at the end. */
	check("VMIN bytes", count >= 8 && !memcmp(text, "rawbytes", 8), "%zd, %.8s", count, text);
	return failed();
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "input"))
		return typed();
	mkdir("/t", 0777);
	chdir("/t");
	contents();
	names();
	devices();
	descriptors();
	asynchronous();
	pipes();
	pipe_into_bad_memory();
	named_pipe();
	piped();
	terminal();
	return failed();
}
