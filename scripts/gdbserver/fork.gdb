# The child of a fork is followed, and stops in its own memory.
# guest: gdbserver /dev/ttyS1 /bin/debuggee fork
# stays

set follow-fork-mode child
break child
continue
# expect: [Attaching after
# expect: [New inferior 2
# expect: , child () at
print total
# expect: $1 = 0
next
print total
# expect: $2 = 1000
continue
# expect: exited with code 03
# console: debuggee: the child has ended with 3
