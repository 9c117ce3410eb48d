# The scripted gdb session of `cargo xtask qemu-test`: it begins with the kernel stopped before its first instruction, and
# passes if gdb says all that is expected here, in this order, and the kernel's test passes as it does without gdb. A slow tick,
# so that after `detach` the kernel still runs when gdb says so.
#
# append: mode=test test=gdb. hz=10
# never: Backtrace stopped

source scripts/stepwell.py

# A plain breakpoint, set while the MMU is off.
break kernel_main
continue
# expect: hit Breakpoint 1, 
backtrace
# expect: ::kernel_main ()
# expect: in primary_
delete

echo == a hardware breakpoint of the kernel, in its handler ==\n
break tests::gdb::hit
continue
backtrace
delete
# expect: == a hardware breakpoint
# expect: #0  tests::gdb::hit
# expect: kernel::exception::el1::any_breakpoint
# expect: <signal handler called>
# expect: tests::gdb::target (n=0)
# expect: in tests::gdb::everything_at_once
# expect: in harness::ktest::run::run
# expect: ::kernel_main ()
# expect: in primary_

echo == the interrupted LR is not the interrupted PC ==\n
frame function tests::gdb::target
info symbol $pc
info symbol $x30
# expect: == the interrupted LR
# expect: tests::gdb::target
# expect: tests::gdb::everything_at_once

stepwell slots
# expect: breakpoint 0 live
# expect: <tests::gdb::target>, all CPUs, 1 hits, calls tests::gdb::hit
# expect: cpu0: DBGBVR0=0xffff8000
# expect: (E=0 PMC=1 BAS=0xf), armed b0, suspended b0
# expect: cpu3: DBGBVR0=0xffff8000
# expect: (E=1 PMC=1 BAS=0xf), armed b0, suspended none

stepwell masks
# expect: when it was interrupted: nothing masked, SS=1
# expect: breakpoint, breakpoint: M10
# expect: interrupted tests::gdb::target (0xffff8000

echo == a probe, in its handler ==\n
break tests::gdb::pre
continue
backtrace
# expect: == a probe
# expect: #0  tests::gdb::pre
# expect: <signal handler called>
# expect: tests::gdb::probed (n=0)
# expect: in tests::gdb::everything_at_once
stepwell probes
# expect: <tests::gdb::probed>: instruction 0x
# expect: pre tests::gdb::pre, post none, 1 hits, 0 missed
# expect: 1 probes
stepwell masks
# expect: now: D, A, I, F masked
# expect: BRK #0x4, exception_el1_brk: M12
delete
finish
# expect: Value returned is $1 = kernel::kprobe::probe::Then::Run

echo == an interrupt in the middle of the kernel's single steps ==\n
tbreak tests::gdb::stepped_loop
continue
tbreak kernel::debug::step::stash
continue
tbreak kernel::time::account thread 1
continue
backtrace
# expect: == an interrupt
# expect: tests::gdb::stepped_loop
# expect: kernel::debug::step::stash
# expect: #0  kernel::time::account
# expect: kernel::exception::el1::exception_el1_irq
# expect: <signal handler called>
# expect: tests::gdb::stepped_loop
# expect: in tests::gdb::everything_at_once
# expect: in primary_
stepwell masks
# expect: now: I, F masked, SS=0
# expect: interrupt, exception_el1_irq: M8
# expect: nothing masked, SS=1
stepwell stash
# expect: cpu0: debug depth 0, owners none
# expect: steps reported to nobody, 1 on the stash
# expect: stash[0]: owners Debugger, steps reported to tests::gdb::stepped, suspended slots none

echo == a watchpoint on the first CPU's ticks ==\n
watch *(&kernel::time::TICKS as *mut u64)
continue
# expect: == a watchpoint
# expect: Hardware watchpoint
# expect: Old value =
# expect: New value =
# expect: kernel::time::account
finish
# expect: kernel::time::interrupt
delete

echo == steps that may meet an interrupt ==\n
stepwell irq-steps on
stepi
stepwell irq-steps off
# expect: == steps that may
# expect: during single steps: on
# expect: during single steps: off

detach
# expect: detached]
