/*
 * Proves that /proc shows processes as on Linux, that /proc/PID/mem reads and writes the memory of others, read-only text too, and never the
 * file behind it, and that process_vm_readv and process_vm_writev transfer as much as they can.
 */
#include "check.h"
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#define PAGE 4096L

static char text[65536];

/* Reads a file in small pieces. Returns how many bytes there are, or -1. */
static long slurp(const char *path)
{
	long total = 0, got;
	int file = open(path, O_RDONLY);

	if (file < 0)
		return -1;
	while (total < (long)sizeof text - 1 && (got = read(file, text + total, 1000)) > 0)
		total += got;
	close(file);
	text[total] = 0;
	return total;
}

static const char *of(pid_t pid, const char *name)
{
	static char path[128];

	snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
	return path;
}

/* A field of /proc/PID/stat behind the name, by its number in proc(5). */
static char *field(int number)
{
	char *at = strrchr(text, ')');

	for (int i = 2; at && i < number; i++)
		at = strchr(at + 1, ' ');
	return at ? at + 1 : (char *)"";
}

static char state_of(pid_t pid)
{
	return slurp(of(pid, "stat")) > 0 ? *field(3) : '-';
}

/* Waits until a process is in a state, in which it then stays. */
static int comes_to(pid_t pid, char state)
{
	while (state_of(pid) != state)
		if (kill(pid, 0) || usleep(1000))
			return 0;
	return 1;
}

static int has_line(const char *line)
{
	const char *at = strstr(text, line);

	return at && (at == text || at[-1] == '\n');
}

static int lists(const char *path, const char *name)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	int found = 0;

	while (directory && (entry = readdir(directory)))
		if (!strcmp(entry->d_name, name))
			found += entry->d_type == DT_DIR ? 1 : entry->d_type == DT_LNK ? 100 : 10000;
	if (directory)
		closedir(directory);
	return found;
}

static void names(void)
{
	char own[32], path[PATH_MAX], other[PATH_MAX];
	struct stat one, two;
	struct statfs fs;
	long got;

	snprintf(own, sizeof own, "%d", getpid());
	got = readlink("/proc/self", path, sizeof path);
	check("self", got == (long)strlen(own) && !memcmp(path, own, got), "%ld, '%.*s'", got, (int)got, path);
	check("own process is listed once", lists("/proc", own) == 1, "%d", lists("/proc", own));
	check("files are listed", lists("/proc", "meminfo") == 10000 && lists("/proc", "self") == 100 && lists("/proc", "..") == 1,
	      "%d, %d, %d", lists("/proc", "meminfo"), lists("/proc", "self"), lists("/proc", ".."));
	check("mode of mem", !stat("/proc/self/mem", &one) && one.st_mode == (S_IFREG | 0600), "%o", one.st_mode);
	check("mode of a process", !stat("/proc/self", &one) && one.st_mode == (S_IFDIR | 0555), "%o", one.st_mode);
	check("mode of the link", !lstat("/proc/self", &two) && two.st_mode == (S_IFLNK | 0777), "%o", two.st_mode);
	check("another device", !stat("/", &two) && one.st_dev != two.st_dev, "%lx", (long)one.st_dev);
	check("statfs", !statfs("/proc/self/mem", &fs) && fs.f_type == 0x9fa0, "%lx", (long)fs.f_type);
	got = open("/proc/999999/stat", O_RDONLY);
	check("no such process", got < 0 && errno == ENOENT, "%ld: %s", got, strerror(errno));
	got = open("/proc/self/stat/x", O_RDONLY);
	check("a file is no directory", got < 0 && errno == ENOTDIR, "%ld: %s", got, strerror(errno));
	got = open("/proc/self/new", O_CREAT | O_WRONLY, 0644);
	check("nothing can be made", got < 0 && errno == ENOENT, "%ld: %s", got, strerror(errno));
	got = mkdir("/proc/self/stat", 0777);
	check("a name that is taken", got < 0 && errno == EEXIST, "%ld: %s", got, strerror(errno));
	got = unlink("/proc/self/stat");
	check("nothing can be removed", got < 0 && errno == EPERM, "%ld: %s", got, strerror(errno));
	got = open("/proc/self/exe", O_RDONLY | O_NOFOLLOW);
	check("link that may not be followed", got < 0 && errno == ELOOP, "%ld: %s", got, strerror(errno));
	got = open("/proc/self", O_RDWR);
	check("directory that would be written", got < 0 && errno == EISDIR, "%ld: %s", got, strerror(errno));
	got = rename("/proc/self/comm", "/name");
	check("nothing can be renamed", got < 0 && errno == EPERM, "%ld: %s", got, strerror(errno));

	/* Relative paths, from the current directory and from a descriptor. */
	check_call("chdir", chdir("/proc/self/task/../"));
	check("getcwd", getcwd(path, sizeof path) && snprintf(other, sizeof other, "/proc/%s", own) && !strcmp(path, other), "%s", path);
	check("relative path", !stat("stat", &one) && !stat("/proc/self/stat", &two) && one.st_ino == two.st_ino, "%lu, %lu",
	      (long)one.st_ino, (long)two.st_ino);
	check("out of the mount and in again", !stat("../../proc/self/stat", &one) && one.st_ino == two.st_ino, "%lu", (long)one.st_ino);
	check("above the mount", !stat("../..", &one) && !stat("/", &two) && one.st_ino == two.st_ino, "%lu", (long)one.st_ino);
	got = readlink("cwd", path, sizeof path - 1);
	path[got < 0 ? 0 : got] = 0;
	check("cwd", !strcmp(path, other), "%s", path);
	check("through cwd", !stat("cwd/cwd/cwd/stat", &one) && one.st_mode == (S_IFREG | 0444), "%o", one.st_mode);
	int directory = open("task", O_RDONLY | O_DIRECTORY);
	check("openat", directory >= 0 && !fstatat(directory, own, &one, 0) && S_ISDIR(one.st_mode), "%s", strerror(errno));
	check_call("fchdir", fchdir(directory));
	snprintf(path, sizeof path, "%s/comm", own);
	check("after fchdir", !access(path, R_OK) && access(path, X_OK) && errno == EACCES, "%s", strerror(errno));
	close(directory);
	check_call("chdir back", chdir("/"));
	int file = open("/proc/self/cwd/tmp-proc", O_CREAT | O_RDWR | O_TRUNC, 0600);
	check("a file made through a link", file >= 0 && !unlink("/tmp-proc"), "%s", strerror(errno));
	snprintf(path, sizeof path, "/proc/self/fd/%d", file);
	got = readlink(path, other, sizeof other - 1);
	other[got < 0 ? 0 : got] = 0;
	check("a removed file's name", !strcmp(other, "/tmp-proc (deleted)"), "%s", other);
	int again = open(path, O_RDWR);
	check("it is opened again", again >= 0 && write(again, "abc", 3) == 3 && pread(file, other, 9, 0) == 3, "%s", strerror(errno));
	close(again);
	check("how a descriptor is open", !lstat(path, &one) && one.st_mode == (S_IFLNK | 0700), "%o", one.st_mode);
	close(file);
	check("a closed descriptor", lstat(path, &one) && errno == ENOENT, "%s", strerror(errno));
	int ends[2];
	check_call("pipe", pipe(ends));
	snprintf(path, sizeof path, "/proc/self/fd/%d", ends[1]);
	again = open(path, O_WRONLY);
	check("a pipe is opened again", again >= 0 && write(again, "z", 1) == 1 && read(ends[0], other, 9) == 1, "%s", strerror(errno));
	got = readlink(path, other, sizeof other - 1);
	other[got < 0 ? 0 : got] = 0;
	fstat(ends[0], &one);
	snprintf(path, sizeof path, "pipe:[%lu]", (long)one.st_ino);
	check("a pipe's name", !strcmp(other, path), "%s instead of %s", other, path);
	close(again);
	close(ends[0]);
	close(ends[1]);
}

static void system_files(void)
{
	check("version", slurp("/proc/version") > 0 && !strncmp(text, "Linux version ", 14), "%s", text);
	/* The machine boots within the hundredth of a second that the file shows. */
	usleep(20000);
	check("uptime", slurp("/proc/uptime") > 0 && strtod(text, NULL) > 0, "%s", text);
	check("meminfo", slurp("/proc/meminfo") > 0 && has_line("MemTotal:       ") && has_line("MemFree:"), "%s", text);
	check("mounts", slurp("/proc/mounts") > 0 && has_line("proc /proc proc rw"), "%s", text);
	check("stat", slurp("/proc/stat") > 0 && !strncmp(text, "cpu  ", 5) && has_line("btime "), "%s", text);
	check("pid_max", slurp("/proc/sys/kernel/pid_max") > 0 && !strcmp(text, "32768\n"), "%s", text);
	check("cpus", slurp("/sys/devices/system/cpu/online") > 1 && text[0] == '0', "%s", text);
	int file = open("/proc/version", O_RDONLY);
	char one[5] = "", two[5] = "";
	check("reads at offsets", pread(file, one, 4, 6) == 4 && !strcmp(one, "vers") && read(file, two, 4) == 4 && !strcmp(two, "Linu"),
	      "%s, %s", one, two);
	check("nothing to write", write(file, "x", 1) < 0 && errno == EBADF, "%s", strerror(errno));
	close(file);
}

static pthread_barrier_t barrier;

static void *sleeper(void *argument)
{
	(void)argument;
	prctl(PR_SET_NAME, "second");
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	return NULL;
}

static void own_process(char **argv)
{
	char path[PATH_MAX], line[128];
	unsigned long entry[2] = { 1, 1 }, phdr = 0;
	long got = slurp("/proc/self/cmdline");

	check("cmdline", got == (long)strlen(argv[0]) + 1 && !strcmp(text, argv[0]), "%ld, %s", got, text);
	got = slurp("/proc/self/environ");
	check("environ", got > 0 && memmem(text, got, "\0TERM=linux", 12), "%s", text);
	int file = open("/proc/self/auxv", O_RDONLY);
	for (int i = 0; entry[0] != AT_NULL && pread(file, entry, 16, 16 * i) == 16; i++)
		if (entry[0] == AT_PHDR)
			phdr = entry[1];
	check("auxv", entry[0] == AT_NULL && phdr == getauxval(AT_PHDR), "%lx", phdr);
	close(file);
	struct stat one, two;
	got = readlink("/proc/self/exe", path, sizeof path - 1);
	path[got < 0 ? 0 : got] = 0;
	check("exe", !strcmp(path, argv[0]) && !stat("/proc/self/exe", &one) && !stat(argv[0], &two) && one.st_ino == two.st_ino, "%s", path);
	file = open("/proc/self/exe", O_RDONLY);
	check("exe is the program", read(file, path, 4) == 4 && !memcmp(path, "\177ELF", 4), "%s", strerror(errno));
	close(file);
	check("root", readlink("/proc/self/root", path, 9) == 1 && path[0] == '/', "%c", path[0]);

	prctl(PR_SET_NAME, "a) (b");
	check("comm", slurp("/proc/self/comm") == 6 && !strcmp(text, "a) (b\n"), "%s", text);
	slurp("/proc/self/stat");
	snprintf(line, sizeof line, "%d (a) (b) R %d ", getpid(), getppid());
	check("stat begins", !strncmp(text, line, strlen(line)), "%s", text);
	check("threads in stat", atoi(field(20)) == 1, "%s", field(20));
	check("group and session in stat", atoi(field(5)) == getpgrp() && atoi(field(6)) == getsid(0), "%s", field(5));
	check("52 fields", strchr(field(52), ' ') == NULL && strchr(field(52), '\n') != NULL, "%s", field(52));
	check("vsize and rss", atol(field(23)) > PAGE && atol(field(24)) > 1, "%s", field(23));
	check("start of the stack", strtoul(field(28), NULL, 10) > (unsigned long)&path, "%s", field(28));
	file = open("/proc/self/comm", O_WRONLY);
	check("comm is written", write(file, "new name that is long", 21) == 21 && slurp("/proc/self/comm") > 0 && !strcmp(text, "new name that i\n"),
	      "%s", text);
	close(file);

	pthread_t thread;
	pthread_barrier_init(&barrier, NULL, 2);
	pthread_create(&thread, NULL, sleeper, NULL);
	pthread_barrier_wait(&barrier);
	slurp("/proc/self/status");
	snprintf(line, sizeof line, "Pid:\t%d\n", getpid());
	check("status", has_line(line) && has_line("State:\tR (running)\n") && has_line("TracerPid:\t0\n") && has_line("Threads:\t2\n"), "%s",
	      text);
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *found;
	int second = 0, count = 0;
	while (tasks && (found = readdir(tasks)))
		if (found->d_name[0] != '.') {
			count++;
			if (atoi(found->d_name) != getpid())
				second = atoi(found->d_name);
		}
	if (tasks)
		closedir(tasks);
	check("two tasks", count == 2 && second > 0, "%d", count);
	snprintf(path, sizeof path, "/proc/%d/task/%d/comm", getpid(), second);
	check("a task's name", slurp(path) > 0 && !strcmp(text, "second\n"), "%s", text);
	snprintf(path, sizeof path, "/proc/thread-self/../%d/status", second);
	snprintf(line, sizeof line, "Pid:\t%d\n", second);
	check("a task's status", slurp(path) > 0 && has_line(line), "%s", text);
	snprintf(path, sizeof path, "/proc/%d/task/1/comm", getpid());
	check("a task of another process", getpid() == 1 || slurp(path) < 0, "%s", text);
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);
}

/* What gdb and others read of an open file. */
static void open_files(void)
{
	char path[64];
	struct stat status;
	unsigned long flags = 0, inode = 0;
	long long at = -1;
	int fd = open("/proc_test", O_RDWR | O_CREAT | O_CLOEXEC | O_APPEND, 0600);

	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
	check("fdinfo", write(fd, "12345", 5) == 5 && slurp(path) > 0, "%s", strerror(errno));
	check("    its lines", sscanf(text, "pos:\t%lld\nflags:\t%lo\nmnt_id:\t%*d\nino:\t%lu\n", &at, &flags, &inode) == 3, "%s", text);
	check("    the offset", at == 5, "%lld", at);
	check("    the flags", (flags & (O_ACCMODE | O_CLOEXEC | O_APPEND | O_NONBLOCK)) == (O_RDWR | O_CLOEXEC | O_APPEND), "0%lo", flags);
	check("    the inode", !fstat(fd, &status) && status.st_ino == inode, "%lu", inode);
	close(fd);
	check("    of a closed file", slurp(path) < 0 && errno == ENOENT, "%s", strerror(errno));
	unlink("/proc_test");
	DIR *list = opendir("/proc/self/fdinfo");
	int numbers = 0;
	for (struct dirent *found; list && (found = readdir(list));)
		numbers += found->d_name[0] != '.';
	check("    the list", list && numbers >= 4, "%d", numbers);
	closedir(list);
}

/* The line of /proc/self/maps whose mapping contains an address; it stays in `text`. */
static char *line_of(const void *address)
{
	unsigned long start, end;

	slurp("/proc/self/maps");
	for (char *line = text, *next; line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = 0;
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2 && start <= (unsigned long)address && (unsigned long)address < end)
			return line;
	}
	return (char *)"";
}

static const int constant = 17;

static void own_maps(const char *self)
{
	char local = 0, *line;
	struct stat file;

	line = line_of(&local);
	check("stack", strlen(line) > 73 && !strcmp(line + 73, "[stack]") && strstr(line, " rw-p 00000000 00:00 0 "), "%s", line);
	/* musl's functions for this always fail. */
	char *heap = (char *)syscall(SYS_brk, 0);
	check("brk", (char *)syscall(SYS_brk, heap + 2 * PAGE) == heap + 2 * PAGE, "%p", (void *)heap);
	line = line_of(heap + PAGE);
	check("heap", strlen(line) > 73 && !strcmp(line + 73, "[heap]"), "%s", line);
	line = line_of((void *)own_maps);
	stat(self, &file);
	char *end;
	char *inode = strchr(line, ':');
	unsigned long number = inode ? strtoul(inode + 3, &end, 10) : 0;
	check("text", strlen(line) > 73 && !strcmp(line + 73, self) && strstr(line, " r-xp ") && number == file.st_ino, "%s", line);
	slurp("/proc/self/maps");
	check("vdso", strstr(text, " [vdso]\n") != NULL, "%s", text);
	char *shared = mmap(NULL, 3 * PAGE, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	line = line_of(shared + PAGE);
	check("shared memory", strstr(line, " ---s ") != NULL, "%s", line);
	munmap(shared, 3 * PAGE);
}

static void states(void)
{
	int ends[2];

	check_call("pipe for states", pipe(ends));
	pid_t child = fork();
	if (child == 0) {
		char byte;
		close(ends[1]);
		_exit(read(ends[0], &byte, 1) != 0);
	}
	close(ends[0]);
	check("sleeping", comes_to(child, 'S'), "%c", state_of(child));
	kill(child, SIGSTOP);
	check("stopped", comes_to(child, 'T'), "%c", state_of(child));
	slurp(of(child, "status"));
	check("stopped in status", has_line("State:\tT (stopped)\n"), "%s", text);
	kill(child, SIGCONT);
	check("sleeping again", comes_to(child, 'S'), "%c", state_of(child));
	int file = open(of(child, "stat"), O_RDONLY), memory = open(of(child, "mem"), O_RDWR), directory = open(of(child, ""), O_RDONLY);
	close(ends[1]);
	check("zombie", comes_to(child, 'Z'), "%c", state_of(child));
	check("a zombie has no mappings", slurp(of(child, "maps")) == 0, "%s", text);
	check("a zombie has no program", readlink(of(child, "exe"), text, 9) < 0 && errno == ENOENT, "%s", strerror(errno));
	int status;
	waitpid(child, &status, 0);
	char byte;
	long got = read(file, &byte, 1);
	check("stat of one that is gone", got < 0 && errno == ESRCH, "%ld: %s", got, strerror(errno));
	got = pread(memory, &byte, 1, (long)&constant);
	check("memory of one that is gone", got == 0, "%ld: %s", got, strerror(errno));
	got = openat(directory, "stat", O_RDONLY);
	check("directory of one that is gone", got < 0 && errno == ENOENT, "%ld: %s", got, strerror(errno));
	check("its name is gone", slurp(of(child, "stat")) < 0 && errno == ENOENT, "%s", strerror(errno));
	close(file);
	close(memory);
	close(directory);
}

/* A function that a tracer changes. */
__attribute__((noinline)) static int answer(void)
{
	__asm__ volatile("");
	return 1;
}

static volatile long shared_word = 5;

static void memory(const char *self)
{
	/* Two pages, of which the second is followed by nothing; one without access; and shared memory. */
	char *area = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *none = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *shared = mmap(NULL, PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char buffer[64];
	int ask[2], tell[2];

	memset(area, 'a', 4 * PAGE);
	munmap(area + 2 * PAGE, 2 * PAGE);
	none[7] = 'n';
	mprotect(none, PAGE, PROT_NONE);
	check_call("pipes", pipe(ask) || pipe(tell) ? -1 : 0);
	pid_t child = fork();
	if (child == 0) {
		char byte;
		close(ask[1]);
		close(tell[0]);
		while (read(ask[0], &byte, 1) == 1) {
			int result = byte == 'a' ? answer() : byte == 'w' ? (int)shared_word : byte == 'p' ? area[PAGE] : 0;
			if (byte == 'x') {
				char *arguments[] = { (char *)self, (char *)"wait", NULL };
				dup2(ask[0], 0);
				dup2(tell[1], 1);
				execv(self, arguments);
			}
			if (write(tell[1], &result, sizeof result) != sizeof result)
				break;
		}
		_exit(0);
	}
	int file = open(of(child, "mem"), O_RDWR | O_CLOEXEC), result = 0;
	check_call("mem", file);
#define ASK(what) (write(ask[1], what, 1) == 1 && read(tell[0], &result, sizeof result) == sizeof result ? result : -1)
	long value = 0;
	check("read", pread(file, &value, 8, (long)&shared_word) == 8 && value == 5, "%ld", value);
	value = 6;
	check("write", pwrite(file, &value, 8, (long)&shared_word) == 8 && ASK("w") == 6, "%d", result);
	check("the own word is as before", shared_word == 5, "%ld", shared_word);
	check("write over the end of a page", pwrite(file, "bcde", 4, (long)area + PAGE - 2) == 4 && ASK("p") == 'd', "%d", result);
	check("read of it", pread(file, buffer, 6, (long)area + PAGE - 3) == 6 && !memcmp(buffer, "abcdea", 6), "%.6s", buffer);
	check("the own pages are as before", area[PAGE] == 'a' && area[PAGE - 1] == 'a', "%c", area[PAGE]);
	long got = pread(file, buffer, 64, (long)area + 2 * PAGE - 10);
	check("read up to the end", got == 10, "%ld: %s", got, strerror(errno));
	got = pread(file, buffer, 1, (long)area + 2 * PAGE);
	check("read behind the end", got < 0 && errno == EIO, "%ld: %s", got, strerror(errno));
	got = pwrite(file, buffer, 1, 8);
	check("write where nothing is", got < 0 && errno == EIO, "%ld: %s", got, strerror(errno));
	got = pread(file, buffer, 1, 1UL << 55);
	check("read of the kernel's half", got < 0 && errno == EIO, "%ld: %s", got, strerror(errno));
	check("read of memory without access", pread(file, buffer, 1, (long)none + 7) == 1 && buffer[0] == 'n', "%s", strerror(errno));
	got = pwrite(file, "x", 1, (long)shared);
	check("write to shared memory that may only be read", got < 0 && errno == EIO, "%ld: %s", got, strerror(errno));
	check("seek", lseek(file, (long)&shared_word, SEEK_SET) == (long)&shared_word && read(file, &value, 8) == 8 && value == 6, "%ld", value);
	check("read-only data", pread(file, &result, 4, (long)&constant) == 4 && result == 17, "%d", result);

	/* mov w0, #2; ret. Put together here, so that the program's file has them nowhere. */
	volatile uint32_t none_of_it = 0xffffffff;
	uint32_t words[] = { 0xad7fffbf ^ none_of_it, 0x29a0fc3f ^ none_of_it }, before[2];
	check("answer before", ASK("a") == 1, "%d", result);
	check("read of text", pread(file, before, 8, (long)answer) == 8 && !memcmp(before, (void *)answer, 8), "%x", before[0]);
	check("write to text", pwrite(file, words, 8, (long)answer) == 8, "%s", strerror(errno));
	check("it is executed", ASK("a") == 2, "%d", result);
	check("the own text is as before", answer() == 1, "%d", answer());
	pid_t other = fork();
	if (other == 0)
		_exit(answer());
	int status;
	waitpid(other, &status, 0);
	check("another process's text is as before", WEXITSTATUS(status) == 1, "%#x", status);
	int program = open(self, O_RDONLY), differs = 1;
	for (long at = 0; pread(program, text, 32768, at) > 0; at += 16384)
		differs &= !memmem(text, 32768, words, 8);
	check("the file is as before", differs, "it has the words");
	close(program);
	check("text as it was", pwrite(file, before, 8, (long)answer) == 8 && ASK("a") == 1, "%d", result);
	/* brk #0 in place of the first instruction: a breakpoint. */
	static const uint32_t trap = 0xd4200000;
	check("breakpoint", pwrite(file, &trap, 4, (long)answer) == 4, "%s", strerror(errno));
	check("text again", pwrite(file, before, 4, (long)answer) == 4 && ASK("a") == 1, "%d", result);

	/* process_vm_readv and process_vm_writev. */
	struct iovec local[2] = { { buffer, 3 }, { buffer + 10, 20 } }, remote[2] = { { area, 5 }, { area + 2 * PAGE - 4, 20 } };
	memset(buffer, 0, sizeof buffer);
	got = process_vm_readv(child, local, 2, remote, 2, 0);
	check("process_vm_readv", got == 9 && !memcmp(buffer, "aaa", 3) && !memcmp(buffer + 10, "aaaaaa", 7), "%ld: %s", got, strerror(errno));
	remote[0].iov_base = area + 2 * PAGE;
	got = process_vm_readv(child, local, 2, remote, 1, 0);
	check("process_vm_readv where nothing is", got < 0 && errno == EFAULT, "%ld: %s", got, strerror(errno));
	got = process_vm_readv(child, local, 2, (struct iovec[]){ { none + 7, 1 } }, 1, 0);
	check("process_vm_readv without access", got < 0 && errno == EFAULT, "%ld: %s", got, strerror(errno));
	memcpy(buffer, "QRS", 3);
	remote[0].iov_base = area + PAGE - 1;
	got = process_vm_writev(child, local, 1, remote, 1, 0);
	check("process_vm_writev", got == 3 && ASK("p") == 'R', "%ld, %d", got, result);
	got = process_vm_writev(child, local, 1, (struct iovec[]){ { (void *)answer, 4 } }, 1, 0);
	check("process_vm_writev to text", got < 0 && errno == EFAULT, "%ld: %s", got, strerror(errno));
	/* The caller's own memory ends after 6 bytes. */
	struct iovec end = { area + 2 * PAGE - 6, 20 };
	remote[0] = (struct iovec){ area, 20 };
	got = process_vm_readv(child, &end, 1, remote, 1, 0);
	check("process_vm_readv to too little memory", got == 6, "%ld: %s", got, strerror(errno));
	got = process_vm_readv(child, local, 1, remote, 1, 1);
	check("flags", got < 0 && errno == EINVAL, "%ld: %s", got, strerror(errno));
	got = process_vm_readv(child, local, IOV_MAX + 1, remote, 1, 0);
	check("too many ranges", got < 0 && errno == EINVAL, "%ld: %s", got, strerror(errno));
	got = process_vm_readv(child, local, 1, remote, 0, 0);
	check("no ranges", got == 0, "%ld: %s", got, strerror(errno));
	got = process_vm_readv(999999, local, 1, remote, 1, 0);
	check("no such process to read", got < 0 && errno == ESRCH, "%ld: %s", got, strerror(errno));

	/* After execve the file still means the memory from before, which is gone. */
	check("exec", write(ask[1], "x", 1) == 1 && read(tell[0], buffer, 5) == 5 && !memcmp(buffer, "again", 5), "%.5s", buffer);
	got = pread(file, buffer, 1, (long)&shared_word);
	check("memory from before execve", got == 0, "%ld: %s", got, strerror(errno));
	slurp(of(child, "cmdline"));
	check("cmdline after execve", !strcmp(text, self) && !strcmp(text + strlen(self) + 1, "wait"), "%s", text);
	close(ask[1]);
	waitpid(child, &status, 0);
	check("the child ended well", status == 0, "%#x", status);
	close(file);
}

int main(int argc, char **argv)
{
	char byte;

	if (argc > 1)
		return write(1, "again", 5) != 5 || read(0, &byte, 1) != 0;
	names();
	system_files();
	own_process(argv);
	open_files();
	own_maps(argv[0]);
	states();
	memory(argv[0]);
	return failed();
}
