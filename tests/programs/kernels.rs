//! What the kernel's own accesses to a program's memory do with slots (M15), and that the kernel's text is covered while it works for programs.

use super::program::{Act, BRKPT, NO_SIGNAL, Program, READS_AND_WRITES, word};
use super::text::data;
use crate::failed;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
use harness::ktest::{Ended, Outcome};
use harness::{check, check_eq, suite};
use kernel::arch::usercopy;
use kernel::debug::slots::{Disposition, Installed};
use kernel::exception::DebugFrame;
use kernel::kprobe::{self, Kprobe, Then};
use kernel::task;
use slots::{Access, Cpus, Privilege, Request};

suite!("programs-kernels":
    m15_a_programs_watchpoint_is_silent_for_the_kernel_and_stays_armed,
    m15_a_kernels_watchpoint_on_a_programs_memory_is_reported,
    h8_a_programs_slots_do_not_enable_debug_exceptions_of_el1,
    the_kernels_work_for_a_program_is_covered,
);

fn breakpoint(function: *const ()) -> Result<Installed, Ended> {
    let request = Request::breakpoint(function.addr() as u64, Privilege::El1);
    Installed::new(&request, Cpus::ALL, Disposition::Count).map_err(failed)
}

/// While a slot of the kernel's needs KDE, the kernel's unprivileged stores hit the program's watchpoint.
fn m15_a_programs_watchpoint_is_silent_for_the_kernel_and_stays_armed() -> Outcome {
    let copies = breakpoint(usercopy::to_user as *const ())?;
    let program = Program::start(Act::Names, 30)?;
    let own = program.event(READS_AND_WRITES, data(word::NAMES + 8), 1, false)?;
    let before = copies.hits();
    program.go();
    check_eq!(program.signals()?, NO_SIGNAL);
    check_eq!(own.read().value, 1, "hits of the program's watchpoint: its own load");
    let copied = copies.hits().zip(before).map_or(0, |(after, before)| after - before);
    check!(copied >= 100, "{copied} copies: debug exceptions were enabled at EL1");
    Ok(())
}

fn m15_a_kernels_watchpoint_on_a_programs_memory_is_reported() -> Outcome {
    let program = Program::start(Act::Names, 30)?;
    let request = Request::watchpoint(data(word::NAMES + 8), 1, Access::ReadWrite, Privilege::Both);
    let kernels = Installed::new(&request, Cpus::ALL, Disposition::Count).map_err(failed)?;
    let own = program.event(READS_AND_WRITES, data(word::NAMES + 8), 1, false)?;
    program.go();
    check_eq!(program.signals()?, NO_SIGNAL);
    check_eq!(kernels.hits(), Some(101), "stores of the kernel, and the program's load");
    check_eq!(own.read().value, 1, "hits of the program's watchpoint");
    Ok(())
}

fn h8_a_programs_slots_do_not_enable_debug_exceptions_of_el1() -> Outcome {
    static SEEN: AtomicU64 = AtomicU64::new(0);
    fn look(_: &Kprobe, _: &mut DebugFrame) -> Then {
        SEEN.store(kernel::arch::mdscr::read(), SeqCst);
        Then::Run
    }
    let program = Program::start(Act::Names, 30)?;
    let own = program.event(READS_AND_WRITES, data(word::NAMES + 8), 1, false)?;
    let copies = usercopy::to_user as *const ();
    let probe = kprobe::register(copies.addr() as u64, Some(look), None).map_err(failed)?;
    program.go();
    check_eq!(program.signals()?, NO_SIGNAL);
    kprobe::unregister(probe.address).map_err(failed)?;
    use kernel::arch::mdscr::{KDE, MDE, SS};
    check_eq!(SEEN.load(SeqCst) & (MDE | KDE | SS), MDE, "MDSCR_EL1 while the kernel works for the program");
    check_eq!(own.read().value, 1);
    Ok(())
}

/// Functions of system calls, and of the delivery path with its faults: a breakpoint and a probe on each are hit as often as it runs.
fn the_kernels_work_for_a_program_is_covered() -> Outcome {
    let functions = [task::sigreturn as *const (), task::exception as *const ()];
    let mut slots = Vec::new();
    let mut probes = Vec::new();
    for function in functions {
        slots.push(breakpoint(function)?);
        let probe = kprobe::register(function.addr() as u64, None, None).map_err(failed)?;
        probes.push(probe.address);
    }
    let program = Program::start(Act::Brk, 30)?;
    let hits = |slots: &[Installed]| slots.iter().map(|slot| slot.hits().unwrap_or(0)).collect::<Vec<_>>();
    let before = hits(&slots);
    program.go();
    check_eq!(program.signals()?, (1, BRKPT));
    let after = hits(&slots);
    check_eq!(after[0] - before[0], 1, "rt_sigreturn");
    // The BRK, and pages that are brought in.
    check!(after[1] > before[1], "other exceptions");
    for (slot, address) in slots.iter().zip(probes) {
        let (probed, missed) = kprobe::unregister(address).map_err(failed)?;
        check_eq!(slot.hits(), Some(probed + missed), "a breakpoint and a probe at {address:#x}");
    }
    Ok(())
}
