# gdb ends while the program is stopped, and so the program is killed.
# guest: gdbserver /dev/ttyS1 /bin/debuggee
# guest: grep debuggee /proc/[0-9]*/comm || echo "the debuggee is gone"
# stays

break add
continue
# expect: Breakpoint 1, add (a=0, b=10)
# never: exited
# console: the debuggee is gone
