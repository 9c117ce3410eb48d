//! System registers that are not in the frame (K1): after a hit they hold what the code had left in them. The exclusive monitor is
//! not among them, because every exception clears it.
//!
//! The suite `differential` compares these registers after instructions that fault under a probe.

use super::{How, Probe};
use crate::address_of;
use crate::differential::simd;
use crate::failed;
use crate::support::{OwnPage, Slot, breakpoint_at, nothing_left, watchpoint_at};
use ::slots::{Access, Cpus};
use core::sync::atomic::AtomicU64;
use harness::check_eq;
use harness::ktest::{Ended, Outcome};
use kernel::debug::debugger::{self, Client, Plan, Resume, Stop};
use kernel::debug::session::{self, Wish};
use kernel::debug::slots::{Disposition, Hit};
use kernel::exception::DebugFrame;
use kernel::kprobe::{self, DEFAULT_INSTANCES, Instance, ReturnProbe, WantedReturn};
use kernel::watcher;
use kernel::{read_sysreg, write_sysreg};

/// The registers that are compared. The kernel keeps nothing of its own in SP_EL0 and CONTEXTIDR_EL1.
const NAMES: [&str; 7] = ["PAR_EL1", "TPIDR_EL0", "TPIDRRO_EL0", "SP_EL0", "CONTEXTIDR_EL1", "FPCR", "FPSR"];

fn put(seed: u64) {
    // PAR_EL1.F is clear: an address, as a successful AT leaves it.
    write_sysreg!("par_el1", (seed << 12) & 0x0000_ffff_ffff_f000 | 0x800);
    write_sysreg!("tpidr_el0", seed.rotate_left(7));
    write_sysreg!("tpidrro_el0", seed.rotate_left(13));
    write_sysreg!("sp_el0", seed.rotate_left(19) & !15);
    write_sysreg!("contextidr_el1", seed & 0xffff_ffff);
    // FPCR.RMode and DN, FPSR's cumulative flags.
    write_sysreg!("S3_3_C4_C4_0", seed & 7 << 23);
    write_sysreg!("S3_3_C4_C4_1", seed & 0x1f);
}

fn get() -> [u64; NAMES.len()] {
    [
        read_sysreg!("par_el1"),
        read_sysreg!("tpidr_el0"),
        read_sysreg!("tpidrro_el0"),
        read_sysreg!("sp_el0"),
        read_sysreg!("contextidr_el1"),
        read_sysreg!("S3_3_C4_C4_0"),
        read_sysreg!("S3_3_C4_C4_1"),
    ]
}

static CELL: OwnPage<AtomicU64> = OwnPage(AtomicU64::new(0));
static NOWHERE: u64 = 0xffff_ffff_0000_0000;

specimen! {
    /// A store, two loads of literals, a load from X2 that faults and is fixed up, an exclusive sequence, and a call.
    fn target(cell: *const AtomicU64, n: u64, nowhere: u64) -> u64 {
        "stp x29, x30, [sp, #-16]!",
        "str x1, [x0]",                 // 1
        "ldr x3, 5f",                   // 2
        ".inst 0x1c000000 | 20 << 5",   // 3: ldr s0, the literal or what is near it
        "2: ldr x4, [x2]",              // 4
        "3: ldxr x5, [x0]",             // 5
        "add x5, x5, #1",
        "stxr w6, x5, [x0]",
        "cbnz w6, 3b",
        "bl {called}",                  // 9
        "mov x0, x5",
        "ldp x29, x30, [sp], #16",
        "ret",
        ".balign 8",
        "5: .quad 7",
        ".quad 8, 9, 10, 11, 12, 13, 14",
        ".pushsection .ex_table, \"a\"",
        ".quad 2b, 3b",
        ".popsection",
        called = sym called,
    }

    fn called() {
        "nop", "ret"
    }
}

/// Checks many times that the registers hold the same values before and after `target`.
fn kept(what: &str) -> Outcome {
    for n in 0..20 {
        put(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(n + 1));
        let before = get();
        let result = target(&raw const CELL.0, n, NOWHERE);
        let after = get();
        check_eq!(result, n + 1, "{what}");
        for (name, (before, after)) in NAMES.iter().zip(before.iter().zip(&after)) {
            check_eq!(after, before, "{name}, {what}");
        }
    }
    Ok(())
}

fn look(_: &Hit, _: &mut DebugFrame) {}

/// From its first stop on, this client steps through the rest of `target`.
static CLIENT: Client = Client { tell: client, data: 0 };

fn client(_: &Client, _: Stop, frame: &mut DebugFrame) -> Resume {
    if frame.pc.wrapping_sub(address_of!(target)) < 13 * 4 { Resume::Step(Plan::One) } else { Resume::Run }
}

fn hook(_: &mut DebugFrame) -> Wish {
    Wish::Step
}

fn returned(_: &ReturnProbe, _: &Instance, _: &mut DebugFrame) {}

fn with_all() -> Outcome {
    kept("natively")?;
    let word = |n: u64| address_of!(target) + 4 * n;
    for how in [How::Pre, How::Post, How::Optimised] {
        for n in [1, 2, 3, 4, 9, 10] {
            let _probe = Probe::on(word(n), how)?;
            kept("a probe")?;
        }
    }
    let probe = kprobe::register_return(&WantedReturn {
        address: address_of!(called),
        entry: None,
        handler: returned,
        instances: DEFAULT_INSTANCES,
    })
    .map_err(failed)?;
    let outcome = kept("a return probe");
    kprobe::remove_return(probe);
    outcome?;
    for disposition in [Disposition::Count, Disposition::Call(watcher!(look)), Disposition::STOP] {
        debugger::register(&CLIENT).map_err(failed)?;
        let run = || -> Result<(), Ended> {
            for at in [word(1), word(4), word(5), word(9)] {
                let _slot = Slot::on(&breakpoint_at(at), Cpus::ALL, disposition)?;
                kept("a breakpoint")?;
            }
            let request = watchpoint_at(CELL.as_ptr() as u64, 8, Access::ReadWrite);
            let _slot = Slot::on(&request, Cpus::ALL, disposition)?;
            kept("a watchpoint")?;
            let _probe = Probe::on(word(1), How::Post)?;
            kept("a watchpoint in a copy")
        };
        let outcome = run();
        debugger::unregister();
        outcome?;
        nothing_left()?;
    }
    let mut outcome = Ok(());
    session::step_with(hook, || outcome = kept_once()).map_err(failed)?;
    outcome
}

/// Checks the registers once, while a debugger steps through this function and `target`.
#[inline(never)]
fn kept_once() -> Outcome {
    put(0x1234_5678_9abc_def0);
    let before = get();
    let result = target(&raw const CELL.0, 5, NOWHERE);
    let after = get();
    check_eq!((result, after), (6, before), "stepped");
    Ok(())
}

pub fn what_no_frame_holds_is_what_it_was_behind_every_hit() -> Outcome {
    simd::allow(true);
    let saved = get();
    let outcome = with_all();
    write_sysreg!("tpidr_el0", saved[1]);
    write_sysreg!("tpidrro_el0", saved[2]);
    write_sysreg!("sp_el0", saved[3]);
    write_sysreg!("contextidr_el1", saved[4]);
    write_sysreg!("S3_3_C4_C4_0", saved[5]);
    write_sysreg!("S3_3_C4_C4_1", saved[6]);
    outcome
}
