# A program from its first instruction to its end: breakpoints of both kinds, watchpoints, steps, conditions, threads, signals.
# guest: gdbserver /dev/ttyS1 /bin/debuggee
# stays

break main
# expect: Breakpoint 1 at
continue
# expect: Breakpoint 1, main (count=1

hbreak add
# expect: Hardware assisted breakpoint 2 at
continue
# expect: Breakpoint 2, add (a=0, b=10)
finish
# expect: Value returned is $1 = 10
print total
# expect: $2 = 10

# A breakpoint in software, with a condition that is true once.
delete 2
break add if a == 2
# expect: Breakpoint 3 at
continue
# expect: Breakpoint 3, add (a=2, b=10)
info breakpoints
# expect: stop only if a == 2
# expect: breakpoint already hit 1 time
next
# expect: total += sum
stepi
print $pc != 0
# expect: $3 = 1
step
# expect: return sum;
backtrace
# expect: #0  add (a=2, b=10)
# expect: #1
# expect: main (count=1
delete 3

break touch
continue
# expect: touch ()
watch pair.second
# expect: Hardware watchpoint 5: pair.second
continue
# expect: Hardware watchpoint 5: pair.second
# expect: Old value = 2
# expect: New value = 20
rwatch copy
# expect: Hardware read watchpoint 6: copy
continue
# expect: Hardware watchpoint 5: pair.second
# expect: New value = 30
delete 5 6
rwatch signals
# expect: Hardware read watchpoint 7: signals
awatch total
# expect: Hardware access (read/write) watchpoint 8: total

# The signal stops the program, and its handler reads and writes `signals`.
continue
# expect: Program received signal SIGUSR1
continue
# expect: Hardware read watchpoint 7: signals
# expect: Value = 0
# expect: handle (signal=10)
delete 7

# The thread adds to `total`.
continue
# expect: Hardware access (read/write) watchpoint 8: total
# expect: Value = 46
# expect: add (a=100, b=7)
info threads
# expect: Thread
# expect: * 2
# expect: add (a=100, b=7)
thread apply all -q backtrace 1
# expect: #0
# expect: #0
delete 8
print add(1, 2)
# expect: $4 = 3
print total = total - 3
# expect: $5 = 46
finish
# expect: Value returned is $6 = 107
continue
# expect: exited with code 07

# never: Cannot
# never: Couldn't
# never: error
# never: Remote failure
# console: debuggee: total 153, 1 signals
