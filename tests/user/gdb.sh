#!/bin/sh
# Proves that Debian's gdb debugs programs on the kernel itself: breakpoints and watchpoints of software and hardware, steps, threads, children,
# system calls, and programs that run already. Each check looks for lines in what gdb has said, in their order.

# gdb_on FILE PROGRAM... : runs gdb with the commands of the standard input.
gdb_on() {
	file=$1
	shift
	cat >commands
	gdb -nx -batch -iex 'set width 0' -x commands "$@" >"$file" 2>&1
}

# says NAME FILE PATTERN...: whether the file has a line like each pattern, in this order.
says() {
	name=$1 file=$2 from=1
	shift 2
	for pattern; do
		at=$(sed -n "$from,\$p" "$file" | grep -n -x -m 1 -- "$pattern")
		if [ -z "$at" ]; then
			echo "not ok $name: no line from line $from on is like $pattern"
			sed 's/^/| /' "$file"
			return
		fi
		from=$((from + ${at%%:*}))
	done
	echo "ok $name"
}

# is NAME FOUND DUE
is() {
	if [ "$2" = "$3" ]; then echo "ok $1"; else echo "not ok $1: $2 is not $3"; fi
}

cd /tmp

gdb_on said /bin/sums <<END
break main
break add if amount == 3
run
next
next
step
echo stepped\n
continue
print amount
backtrace
finish
stepi
x/i \$pc
next
info breakpoints
call add(100)
continue
END
says "breakpoints" said 'Breakpoint 1, main (argc=1, argv=0x[0-9a-f]*) at .*/sums.c:.*' 'stepped' 'Breakpoint 2, add (amount=.*3) at .*' '\$1 = 3' \
	'#0  add (amount=.*3) at .*' '#1  0x[0-9a-f]* in main (.*' 'Value returned is \$2 = 6'
says "    steps, calls, and the end" said 'Value returned is .*' '=> 0x[0-9a-f]* <main+[0-9]*>:.*' '.*breakpoint already hit 1 time' '\$3 = 11[05]' \
	'total 115' '\[Inferior 1 (process [0-9]*) exited with code 0163\]'

gdb_on said /bin/sums <<END
break main
run
hbreak add
continue
delete 2
watch total
continue
continue
delete 3
rwatch total
continue
delete 4
awatch total
continue
continue
delete
continue
END
says "hardware breakpoints" said 'Hardware assisted breakpoint 2 at .*' 'Breakpoint 2, add (amount=.*1) at .*'
says "    watchpoints" said 'Hardware watchpoint 3: total' 'Old value = 0' 'New value = 1' 'Old value = 1' 'New value = 3' \
	'Hardware read watchpoint 4: total' 'Value = 3' 'Hardware access (read/write) watchpoint 5: total' '\(Value\|Old value\) = .*' '\(Value\|Old value\) = .*' \
	'total 15' '\[Inferior 1 (process [0-9]*) exited with code 017\]'

gdb_on said /bin/sums <<END
set can-use-hw-watchpoints 0
break add
run
watch total
continue
info registers pc sp
delete
continue
END
says "a watchpoint by single steps" said 'Watchpoint 2: total' 'Old value = 0' 'New value = 1' 'pc  *0x[0-9a-f]* .*' '\[Inferior 1 .*'

gdb_on said --args /bin/sums threads <<END
break worker
run
info threads
backtrace
continue
thread apply all backtrace
continue
END
says "threads" said '.*hit Breakpoint 1, worker (name=0x[0-9a-f]*) at .*' '\* 2 .* worker (.*' '#0  worker (.*' 'one works' '.*hit Breakpoint 1, worker .*' \
	'Thread 3 .*' '#0  worker .*' 'Thread 1 .*' 'two works' '\[Inferior 1 (process [0-9]*) exited normally\]'

gdb_on said --args /bin/sums fork <<END
set follow-fork-mode child
set detach-on-fork off
catch fork
break add
run
continue
print amount
info inferiors
continue
inferior 1
continue
END
says "children" said '.*Catchpoint 1 (forked process [0-9]*).*' '.*Breakpoint 2.*, add (amount=.*4) at .*' '\$1 = 4' '  1 .*' '\* 2 .*' \
	'\[Inferior 2 (process [0-9]*) exited with code 04\]' '\[Inferior 1 (process [0-9]*) exited with code 05\]'

gdb_on said /bin/sums <<END
catch syscall 64
run
continue
END
says "system calls" said '.*Catchpoint 1 (call to syscall 64), .*' '.*Catchpoint 1 (returned from syscall 64), .*'
is "a program that is left is killed" "$(ps | grep -c '[s]ums')" 0

sums wait &
gdb_on said -p $! <<END
backtrace
print go_on
print go_on = 7
detach
END
wait $!
is "a program that runs is attached to, and ends as gdb has set it" $? 7
says "    where it was" said '#[0-9]*  0x[0-9a-f]* in waits () at .*' '#[0-9]*  .* main (.*' '\$1 = 0' '\$2 = 7' '\[Inferior 1 (process [0-9]*) detached\]'

sums wait &
gdb_on said -p $! <<END
tbreak waits
kill
END
wait $!
is "    and is killed" $? 137
