#!/bin/sh
# Proves that Debian's strace traces programs: one program, threads, children, a process that runs already, stops, and calls that strace
# answers in the kernel's place. Traces are written into files, in which each check looks for lines.

# has NAME FILE PATTERN...: whether for each pattern the file has a line that is like it as a whole, in any order.
has() {
	name=$1 file=$2
	shift 2
	for pattern; do
		if ! grep -q -x -- "$pattern" "$file"; then
			echo "not ok $name: no line is like $pattern"
			sed 's/^/| /' "$file"
			return
		fi
	done
	echo "ok $name"
}

# is NAME FOUND DUE
is() {
	if [ "$2" = "$3" ]; then echo "ok $1"; else echo "not ok $1: $2 is not $3"; fi
}

# until_has FILE PATTERN: waits until a line of the file has the pattern.
until_has() {
	until grep -q -- "$2" "$1" 2>/dev/null; do sleep 0.01; done
}

cd /tmp

strace -o one hello 3 >said
is "the program's status is strace's" $? 3
is "    it says what it says" "$(cat said)" "hello, world"
has "a call and its result" one \
	'execve("/bin/hello", \["hello", "3"\], 0x[0-9a-f]* /\* [0-9]* vars \*/) = 0' \
	'openat(AT_FDCWD, "/lib/aarch64-linux-gnu/libc.so.6", O_RDONLY|O_CLOEXEC) = 3' \
	'read(3, "\\177ELF.*"\.\.\., 832) = 832' \
	'faccessat(AT_FDCWD, "/etc/ld.so.preload", R_OK) = -1 ENOENT (No such file or directory)' \
	'write(1, "hello, world\\n", 13) *= 13' \
	'exit_group(3) *= ?'
is "    the last line" "$(sed -n '$p' one)" "+++ exited with 3 +++"

strace -y -e trace=write -o paths hello >said
is "only the calls that are wanted, with paths" "$(cat paths)" 'write(1</tmp/said>, "hello, world\n", 13) = 13
+++ exited with 0 +++'

strace -c -o count hello >said
has "how often each call was made" count '% time *seconds *usecs/call *calls *errors syscall' '.* 1 *write' '.* 1 *execve' \
	'.* 1 *1 faccessat' '100.00 *[0-9.]* .* total'

strace -f -o threads duo >said
is "a program with threads" "$(cat said)" "ok two threads
ok a signal"
has "    they are made" threads '[0-9]* *clone(.*CLONE_THREAD.*'
is "    all are seen to end" "$(grep -c '+++ exited with 0 +++' threads)" 3
has "    their signal" threads '[0-9]* *tgkill(\([0-9]*\), \1, SIGUSR1.*' \
	'\([0-9]*\) *--- SIGUSR1 {si_signo=SIGUSR1, si_code=SI_TKILL, si_pid=\1, si_uid=0} ---' '[0-9]* *rt_sigreturn({mask=\[\]}.*'

strace -f -o children sh -c 'hello 4 | cat; hello 5; kill -KILL $$' >said
is "a program with children, which is killed" $? 137
has "    they are executed" children '[0-9]* *execve("/bin/hello", \["hello", "4"\], .*' '[0-9]* *execve("/bin/hello", \["hello", "5"\], .*) = 0'
has "    they end" children '[0-9]* *+++ exited with 4 +++' '[0-9]* *+++ exited with 5 +++' \
	'[0-9]* *--- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=[0-9]*, si_uid=0, si_status=5, .*} ---' \
	'[0-9]* *+++ killed by SIGKILL +++'

strace -e inject=write:error=ENOSPC:when=1 -e trace=write -o refused sh -c 'echo a; echo b' >said 2>&1
has "an error that strace puts in" refused 'write(1, "a\\n", 2) *= -1 ENOSPC (No space left on device) (INJECTED)' 'write(1, ".*b\\n", [0-9]) *= [0-9]'
strace -e inject=getppid:retval=4321 -e trace=getppid -o answered sh -c 'echo $PPID' >said
is "a result that strace puts in" "$(cat said)" 4321

sleep 1000 &
sleeper=$!
strace -o attached -p $sleeper 2>note &
tracer=$!
until_has attached 'restart_syscall\|nanosleep('
has "a process that sleeps is attached to" note "strace: Process $sleeper attached"
is "    /proc names the tracer" "$(grep TracerPid /proc/$sleeper/status)" "TracerPid:	$tracer"
kill -INT $tracer
wait $tracer
is "    and let go" "$(grep TracerPid /proc/$sleeper/status)" "TracerPid:	0"
strace -o again -p $sleeper 2>note &
until_has again 'restart_syscall\|nanosleep('
kill -STOP $sleeper
until_has again 'stopped by SIGSTOP'
kill -CONT $sleeper
until_has again 'SIGCONT'
kill -TERM $sleeper
wait $sleeper
is "    a signal ends it" $? 143
wait
has "    its signals and its end are seen" again '--- SIGSTOP {si_signo=SIGSTOP, si_code=SI_USER, si_pid=1, si_uid=0} ---' \
	'--- stopped by SIGSTOP ---' '--- SIGCONT {si_signo=SIGCONT, si_code=SI_USER, si_pid=1, si_uid=0} ---' \
	'--- SIGTERM {si_signo=SIGTERM, si_code=SI_USER, si_pid=1, si_uid=0} ---' '+++ killed by SIGTERM +++'
