//! The interrupts of a run. The first one is taken in front of a given instruction of the body; the second one, if there is one, a given
//! number of instructions after the first one's handler.
//!
//! Only a timer can interrupt at a given instant, because an instruction has to send a software-generated interrupt (SGI). So both are
//! timers. The second one's handler sends an SGI to its own CPU. The SGI is pending when that handler returns, and is taken before the
//! next instruction: a third exception in a row, with only the return in between (M13, then M8).

use super::{Body, Scenario};
use cli::bootargs::Boundary;
use core::arch::{asm, naked_asm};
use core::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use kernel::arch::{daif, mdscr};
use kernel::drivers::gic::{self, Priority, Target};
use kernel::drivers::timer;
use kernel::exception::Frame;
use kernel::irq::{self, off::IrqOff, sgi};
use kernel::{debug, early, kprobe, time};

/// How many instructions [`fire`] executes from the read of the counter to the body's first instruction.
const LEAD: u64 = 7;
/// The interrupt is taken one instruction after the timer expires.
const LATE: u64 = 1;
/// A body that has not ended after this many instructions hangs. The number allows for probes on every instruction, under which a
/// body takes hundreds of times as long.
const PATIENCE: u64 = 200_000_000;
const NEVER: u64 = u64::MAX;

/// How often each interrupt was taken, and where it was taken last. Index 0 is the first interrupt, 1 the second one, 2 the SGI.
static TAKEN: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];
static PCS: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];
/// When each interrupt's handler was reached, in instructions since the timer was armed.
static REACHED: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
/// The state that the first interrupt's handler has found.
static FOUND: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];
/// The counter when each timer was armed.
static START: AtomicU64 = AtomicU64::new(0);
static SECOND_START: AtomicU64 = AtomicU64::new(0);
/// How many instructions after the first interrupt's handler the second interrupt comes; [`NEVER`] if there is none.
static SECOND: AtomicU64 = AtomicU64::new(NEVER);
static SCENARIO: AtomicPtr<Scenario> = AtomicPtr::new(core::ptr::null_mut());

/// Whether this run is one without interrupts.
static PLAIN: AtomicBool = AtomicBool::new(false);
/// Whether an interrupted context was in the state that the scenario was written for (`covers`).
static COVERED: AtomicBool = AtomicBool::new(false);
/// Whether the interrupts are NMIs.
static NMI: AtomicBool = AtomicBool::new(false);

/// Whether there are probes that are not the scenario's.
static AMONG_PROBES: AtomicBool = AtomicBool::new(false);

/// Whether there are probes that are not the scenario's. Any context.
pub fn among_probes() -> bool {
    AMONG_PROBES.load(Relaxed)
}

/// The state that the interrupt's handler must find: I and F masked (M8), or everything for an NMI (M9); MDSCR_EL1.SS clear; no owner.
pub fn due() -> [u64; 3] {
    [if is_nmi() { 0x3c0 } else { 0xc0 }, 0, 0]
}

/// Whether the interrupts are NMIs. Any context.
pub fn is_nmi() -> bool {
    NMI.load(Relaxed)
}

/// Whether an interrupted context was in the state that the scenario was written for, since the last call of this function.
pub fn covered() -> bool {
    COVERED.swap(false, SeqCst)
}

/// Makes the interrupts NMIs, or ordinary ones. Thread context, between two runs.
pub fn set_priority(priority: Priority) {
    let timers = &early::boot().platform.timer;
    for intid in [timers.virt, timers.phys] {
        // Both interrupts have been enabled before, so this cannot fail.
        let _ = gic::enable(intid, priority);
    }
    NMI.store(priority == Priority::Nmi, Relaxed);
}

/// Takes the timers over from the tick. Thread context.
///
/// # Errors
/// When the second timer has no interrupt, or when one tick of the counter is not one instruction.
pub fn prepare() -> Result<(), &'static str> {
    AMONG_PROBES.store(kprobe::count() != 0, Relaxed);
    let timers = &early::boot().platform.timer;
    irq::set_handler(timers.virt, first);
    irq::set_handler(timers.phys, second);
    irq::set_handler(sgi::TEST_CHAINED, third);
    for intid in [timers.phys, sgi::TEST_CHAINED] {
        gic::enable(intid, Priority::Normal)
            .map_err(|_| "the second interrupt of a pair cannot be enabled")?;
    }
    calibrate()
}

/// Gives the timers back. The tick goes on only after [`time::resume`].
pub fn release() {
    irq::set_handler(early::boot().platform.timer.virt, time::interrupt);
}

/// Runs the body of `scenario` with interrupts at `at`, or without interrupts. Returns the body's result and the number of instructions that
/// it has taken.
pub fn run(scenario: &'static Scenario, at: Option<Boundary>) -> (u64, u64) {
    SCENARIO.store(core::ptr::from_ref(scenario).cast_mut(), Relaxed);
    fire_at(scenario.body, at)
}

fn fire_at(body: Body, at: Option<Boundary>) -> (u64, u64) {
    for words in [&TAKEN[..], &PCS, &REACHED, &FOUND] {
        for word in words {
            word.store(0, Relaxed);
        }
    }
    SECOND.store(at.and_then(|at| at.second).unwrap_or(NEVER), Relaxed);
    PLAIN.store(at.is_none(), Relaxed);
    // In a run without interrupts the timer only finds a hang.
    let ticks = at.map_or(PATIENCE, |at| at.first + LEAD - LATE);
    let mut passed = 0;
    let result = fire(body, ticks, &mut passed, &START);
    (result, passed.wrapping_add(ticks).wrapping_sub(LEAD))
}

/// The number of instructions of the body that the last run had executed when the counter was `at`.
pub fn passed_at(at: u64) -> u64 {
    at.wrapping_sub(START.load(Relaxed)).saturating_sub(LEAD)
}

/// How often each interrupt was taken in the last run.
pub fn taken() -> [u64; 3] {
    TAKEN.each_ref().map(|count| count.load(SeqCst))
}

/// Where each interrupt was taken.
pub fn pcs() -> [u64; 3] {
    PCS.each_ref().map(|pc| pc.load(SeqCst))
}

/// When each handler was reached, in instructions since the timer was armed. Two runs with different boundaries have the same
/// value exactly if masking has delayed both interrupts to the same instruction.
pub fn reached() -> [u64; 2] {
    [REACHED[0].load(SeqCst), REACHED[1].load(SeqCst)]
}

/// The state that the first interrupt's handler has found; see [`due`].
pub fn found() -> [u64; 3] {
    [0, 1, 2].map(|n| FOUND[n].load(SeqCst))
}

/// Arms the virtual timer `ticks` after the read of the counter, calls `body`, and stops both timers. Stores in
/// `passed` how many instructions there are from the timer's expiry to the body's end, and in `start` the counter that was read.
/// The number of this function's own instructions is known, so no probe may be on them.
#[unsafe(naked)]
#[unsafe(link_section = ".noprobe.text")]
extern "C" fn fire(body: Body, ticks: u64, passed: &mut u64, start: &AtomicU64) -> u64 {
    naked_asm!(
        "stp x29, x30, [sp, #-32]!",
        "mov x29, sp",
        "stp x19, x20, [sp, #16]",
        "mov x19, x2",
        "mov x4, #1",
        "isb",
        "mrs x20, cntvct_el0",
        "str x20, [x3]",
        "add x20, x20, x1",
        "msr cntv_cval_el0, x20",
        "msr cntv_ctl_el0, x4",
        "isb",
        "blr x0",
        "mrs x1, cntvct_el0",
        "msr cntv_ctl_el0, xzr",
        "msr cntp_ctl_el0, xzr",
        "isb",
        "sub x1, x1, x20",
        "str x1, [x19]",
        "ldp x19, x20, [sp, #16]",
        "ldp x29, x30, [sp], #32",
        "ret",
    )
}

/// Arms the physical timer.
fn arm_second(ticks: u64) {
    let start = timer::now();
    SECOND_START.store(start, Relaxed);
    // SAFETY: sets the compare value, then enables the timer; its interrupt has a handler.
    unsafe {
        asm!(
            "msr cntp_cval_el0, {at}",
            "msr cntp_ctl_el0, {enable}",
            "isb",
            at = in(reg) start.wrapping_add(ticks),
            enable = in(reg) 1u64,
            options(nostack, preserves_flags)
        );
    }
}

/// The handler of the virtual timer's interrupt.
fn first(frame: &mut Frame) {
    let before = TAKEN[0].load(Relaxed);
    TAKEN[0].store(before + 1, Relaxed);
    assert!(
        !PLAIN.load(Relaxed),
        "the body has not ended within {PATIENCE} instructions, without an interrupt"
    );
    if before != 0 {
        assert!(!timer::is_due(), "the body has not ended {PATIENCE} instructions after the interrupt");
        return;
    }
    PCS[0].store(frame.pc, Relaxed);
    REACHED[0].store(timer::now().wrapping_sub(START.load(Relaxed)), Relaxed);
    let cpu = debug::this();
    let found = [daif::read().bits(), mdscr::read() & mdscr::SS, cpu.owners.get().bits().into()];
    for (word, value) in FOUND.iter().zip(found) {
        word.store(value, Relaxed);
    }
    // SAFETY: the pointer is null, or points to the scenario of this run.
    let scenario = unsafe { SCENARIO.load(Relaxed).as_ref() };
    if scenario.is_some_and(|scenario| (scenario.covers)(frame)) {
        COVERED.store(true, Relaxed);
    }
    // From here on the timer only finds a hang.
    timer::arm_after(PATIENCE);
    if is_nmi() {
        // The interrupt may come while the body makes a guard, and this handler may make one too.
        drop(IrqOff::new());
    }
    // The scenario's handler is not called by NMIs: with D masked, nothing in it would be hit.
    if let Some(scenario) = scenario.filter(|_| !is_nmi()) {
        (scenario.handler)(Some(frame));
    }
    // With PSTATE.I set neither an interrupt nor an NMI can come in this handler. So the second interrupt is taken at the earliest
    // in front of the instruction that this handler returns to.
    let second = SECOND.load(Relaxed);
    if second != NEVER {
        arm_second(second);
    }
}

/// The handler of the physical timer's interrupt. It sends the SGI.
fn second(frame: &mut Frame) {
    REACHED[1].store(timer::now().wrapping_sub(SECOND_START.load(Relaxed)), Relaxed);
    // SAFETY: disables the timer.
    unsafe { asm!("msr cntp_ctl_el0, xzr", "isb", options(nostack, preserves_flags)) };
    PCS[1].store(frame.pc, Relaxed);
    TAKEN[1].store(TAKEN[1].load(Relaxed) + 1, Relaxed);
    gic::send_sgi(sgi::TEST_CHAINED, Target::Me);
}

/// The handler of the SGI.
fn third(frame: &mut Frame) {
    PCS[2].store(frame.pc, Relaxed);
    TAKEN[2].store(TAKEN[2].load(Relaxed) + 1, Relaxed);
}

/// Checks on a small function that the timer can interrupt each instruction in turn. Otherwise the sweep would prove nothing.
fn calibrate() -> Result<(), &'static str> {
    #[unsafe(naked)]
    #[unsafe(link_section = ".noprobe.text")]
    extern "C" fn known() -> u64 {
        naked_asm!("mov x0, #1", "add x0, x0, #1", "add x0, x0, #1", "ret")
    }
    let start = known as *const () as u64;
    SCENARIO.store(core::ptr::null_mut(), Relaxed);
    let (result, length) = fire_at(known, None);
    let every = (0..length).all(|k| {
        let (result, _) = fire_at(known, Some(Boundary { first: k, second: None }));
        (result, taken(), PCS[0].load(SeqCst)) == (3, [1, 0, 0], start + k * 4)
    });
    if (result, length, every) == (3, 4, true) {
        Ok(())
    } else {
        Err(
            "a tick of the counter is not an instruction: QEMU needs -icount shift=0,sleep=off and a CPU with cntfrq=1000000000",
        )
    }
}
