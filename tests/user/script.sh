#!/bin/sh
# Proves that a shell runs: pipes, redirections, subshells, background jobs, job control, traps, and the statuses of all of them. The shell
# is busybox's, and its applets are the commands.
# Each check prints `ok NAME` or `not ok NAME: why`.

# Job control needs a terminal that belongs to this session. As the first process of a kernel the shell may have none yet.
if ! (: < /dev/tty) 2> /dev/null && [ -z "$SCRIPT_AGAIN" ]; then
	export SCRIPT_AGAIN=1
	# In a subshell, which leads no process group: a leader could not begin a new session.
	(exec setsid -c sh "$0")
	exit
fi

failures=0
check() {
	if [ "$2" = "$3" ]; then
		echo "ok $1"
	else
		failures=$((failures + 1))
		echo "not ok $1: '$3' instead of '$2'"
	fi
}

dir=/tmp/script.$$
mkdir -p "$dir" || exit 1
cd "$dir" || exit 1

check "pipe" "3" "$(printf 'a\nb\nc\n' | wc -l | tr -d ' ')"
check "long pipe" "c b a" "$(printf 'a\nb\nc\n' | sort -r | cat | tr '\n' ' ' | sed 's/ $//')"
check "pipe of 200000 bytes" "200000" "$(head -c 200000 /dev/zero | cat | wc -c | tr -d ' ')"
false | true
check "status of a pipe" "0" "$?"

echo one > file
echo two >> file
check "redirection, appended" "one two" "$(cat file | tr '\n' ' ' | sed 's/ $//')"
check "input" "2" "$(wc -l < file | tr -d ' ')"
ls /no/such/file > out 2>&1
check "standard error" "1" "$(grep -c 'No such file' out)"
exec 3> third
echo three >&3
exec 3>&-
check "third file" "three" "$(cat third)"
check "here document" "x y" "$(cat <<END
x y
END
)"
set -C
(echo no > file) 2> refused
check "noclobber" "one" "$(head -n 1 file)"
set +C
mkdir sub
ln -s ../file sub/link
check "symbolic link" "one" "$(head -n 1 sub/link)"
mv file moved && rm moved third
check "what is left" "out refused sub" "$(ls | tr '\n' ' ' | sed 's/ $//')"

(exit 9)
check "status of a subshell" "9" "$?"
sh -c 'kill -KILL $$'
check "status of a killed shell" "137" "$?"
/no/such/program 2> out
check "program that does not exist" "127" "$?"
: > plain
./plain 2> out
check "program that is not executable" "126" "$?"

sleep 0.2 &
first=$!
sleep 0.1 &
second=$!
wait $first
check "background job" "0" "$?"
wait $second
check "second background job" "0" "$?"
(sleep 0.05; exit 5) &
wait $!
check "status of a background job" "5" "$?"
sleep 60 &
kill $!
wait $! 2> out
check "killed background job" "143" "$?"

got=
trap 'got=$got+usr1' USR1
kill -USR1 $$
check "trap" "+usr1" "$got"
(sleep 0.1; kill -USR1 $$) &
sleep 0.3
check "trap after a sleep" "+usr1+usr1" "$got"
wait
check "trap at the end" "bye" "$(sh -c "trap 'echo bye' EXIT; exit 3")"
check "ps" "$$ $(cat /proc/$$/comm)" "$(ps -o pid,comm | grep "^ *$$ " | sed 's/^ *//; s/  *$//; s/  */ /')"
check "ps has this script's arguments" "1" "$(ps -o pid,args | grep "^ *$$ " | grep -c script)"
check "an applet is the shell's own program" "$(readlink /proc/$$/exe)" "$(readlink /proc/self/exe)"
check "top" "1" "$(top -b -n 1 | grep -c '^ *PID')"
check "free" "1" "$(free | grep -c '^Mem:  *[1-9]')"
check "mount" "1" "$(mount | grep -c '^proc on /proc type proc')"
check "a process that has ended" "gone" "$(cat /proc/999999/stat 2> out || echo gone)"

trap '' TERM
kill -TERM $$
check "ignored signal" "0" "$?"
trap - TERM USR1

# With job control each job is a process group of its own.
set -m
sleep 60 &
job=$!
check "a job has its own group" "$job" "$(cut -d ' ' -f 5 /proc/$job/stat)"
kill -STOP %1
until grep -q '^State:.T' /proc/$job/status; do :; done
check "ps shows that it has stopped" "T" "$(ps -o pid,stat | sed -n "s/^ *$job //p" | head -c 1)"
jobs > list
check "a stopped job" "1" "$(grep -c 'Stopped' list)"
bg %1 > out
sleep 0.1
jobs > list
check "it runs on" "1" "$(grep -c 'Running' list)"
kill %1
wait
check "a job that was ended" "gone" "$(kill -0 $job 2> out || echo gone)"
sleep 0.1 | cat &
wait $!
check "a pipe as a job" "0" "$?"
set +m

cd /
rm -r "$dir"
check "all is removed" "gone" "$([ -e "$dir" ] || echo gone)"
[ $failures = 0 ]
