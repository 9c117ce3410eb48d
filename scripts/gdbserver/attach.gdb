# A process that runs already is attached to, changed, and let go.
# guest: debuggee loop & gdbserver --attach /dev/ttyS1 $!; wait $!; echo "ended with $?"

print told
# expect: $1 = 0
info threads
# expect: * 1
break loop if 0
stepi
next
print told = 1
# expect: $2 = 1
detach
# expect: [Inferior 1 (process
# expect: detached]
# never: exited
# console: Detaching from process
# console: debuggee: was told to end
# console: ended with 5
