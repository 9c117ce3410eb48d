#!/bin/sh
# A shell's everyday work: children, pipes, redirections, a directory, a trap. It is run with few system calls allowed.
check() {
	if [ "$2" = "$3" ]; then
		echo "ok $1"
	else
		echo "not ok $1: '$3' instead of '$2'"
		exit 1
	fi
}
check "child" "7" "$(sh -c 'exit 7'; echo $?)"
check "pipe" "3" "$(printf 'a\nb\nc\n' | wc -l | tr -d ' ')"
echo one > /calls.file
echo two >> /calls.file
check "redirection" "one two" "$(cat /calls.file | tr '\n' ' ' | sed 's/ $//')"
check "directory" "/calls.file" "$(echo /calls.f*)"
check "trap" "over" "$(sh -c 'trap "echo over" EXIT; exit 0')"
