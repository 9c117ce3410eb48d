# ^C at gdb stops the program.
# guest: gdbserver /dev/ttyS1 /bin/debuggee loop
# interrupt: debuggee: counts
# stays

continue
# expect: Program received signal SIGINT, Interrupt.
# expect: loop ()
print total > 0
# expect: $1 = 1
print told = 1
signal 0
# expect: exited with code 05
# console: debuggee: was told to end
