//! Tests that must end the kernel, each in a boot of its own. They show what M7 does, what the report says, and that the checks of
//! checked builds find the faults that they look for.

#[cfg(debug_assertions)]
mod checks;

#[cfg(debug_assertions)]
use checks::*;

use crate::rules::{code, signal};
use core::arch::asm;
use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::ktest::Death;
use kernel::arch::daif::{self, AllMasked};
use kernel::arch::uaccess;
use kernel::debug::control::Masked;
use kernel::debug::session::{self, Wish};
use kernel::debug::{self, slots::Hit, step};
use kernel::exception::{DebugFrame, Frame, brk};
use kernel::irq::off::IrqOff;
use kernel::irq::{self, sgi};
use kernel::kprobe::{self, Kprobe, Then};
use kernel::mm::layout;
use kernel::{idle, kbug, watcher};
use rules::step::Owners;

/// What every report has to show: M7 is in force, with its masks and MDSCR_EL1.SS.
const M7: &str = "now M7: masks DAIF, MDSCR_EL1.SS 0";
/// The report shows that no owner's step is under way, and that none is in the stash.
const NO_STEP: &str = "owners Owners(0x0), stash 0";
const WHOLE: &str = "end of report";

macro_rules! deaths {
    ($($(#[$attribute:meta])* $name:ident [$($expect:expr),* $(,)?] $(args $args:literal)? $(machine $machine:literal)?;)*) => {
        /// All tests that must end the kernel. `expect` holds pieces of text that the report must contain; WHOLE shows that the
        /// report has come to its end.
        pub const ALL: &[Death] = &[$(
            $(#[$attribute])*
            Death {
                name: stringify!($name),
                run: $name,
                expect: &[$($expect,)* WHOLE],
                args: concat!($($args)?),
                machine: concat!($($machine)?),
            },
        )*];
    };
}

deaths! {
    bug ["panic: BUG at", "the reason given", M7, "rule M7 in force", "interrupted context: masks daif"];
    bug_with_interrupts_off ["panic: BUG at", M7, "interrupted context: masks daIF"];
    rust_panic ["panic: the reason given 7 (", "tests/deaths.rs:", M7];
    #[cfg(debug_assertions)]
    sleeps_with_preemption_off ["may sleep, with preemption off since tests/deaths/checks.rs:", "(rule T8)", M7];
    #[cfg(debug_assertions)]
    sleeps_with_interrupts_off ["may sleep, with interrupts off (rule T8)", M7];
    #[cfg(debug_assertions)]
    sleeps_in_a_probe ["may sleep, in a debug context (rule T8)", M7];
    unknown_brk ["panic: unexpected BRK #0x123", "rule M7 in force", M7, "interrupted context: masks daif"];
    unknown_brk_in_a_step ["panic: unexpected BRK #0x7f2", M7, NO_STEP];
    unknown_brk_in_a_step_over ["panic: unexpected BRK #0x7f2", M7, NO_STEP];
    a_return_probes_brk_elsewhere ["panic: unexpected BRK #0x7", "rule M7 in force", M7];
    a_return_of_no_probe ["panic: unexpected BRK #0x7", M7];
    a_return_of_no_call ["panic: unexpected BRK #0x7", M7];
    svc ["panic: SVC #0x5 at", "from EL1", "rule M6 in force", M7, "tests::deaths::svc"];
    svc_in_a_step ["panic: SVC #0x5 at", "from EL1", M7, NO_STEP, "tests::deaths::svc"];
    svc_in_a_step_over ["panic: SVC #0x5 at", "from EL1", M7, NO_STEP];
    brk_on_sp_el0 ["panic: exception with SP_EL0 as the stack pointer", "rule M7 in force", M7];
    brk_on_sp_el0_in_a_step ["panic: exception with SP_EL0 as the stack pointer", M7, NO_STEP];
    stack_overflow ["panic: stack overflow: SP", M7, "rule M7 in force", "tests::deaths::stack_overflow::deeper"];
    null_pointer ["panic: data abort at", "FAR 0x10", "rule M6 in force", M7, "interrupted context: masks daif",
        "tests::deaths::null_pointer"];
    undefined_instruction ["panic: undefined instruction at", "rule M6 in force", M7];
    fault_in_a_debug_handler ["panic: data abort at", "debug depth 1", "interrupted context: masks DAIF", M7];
    fault_in_a_probe_handler ["panic: data abort at", "debug depth 1", "interrupted context: masks DAIF", M7];
    fault_in_an_irq_handler ["panic: data abort at", "debug depth 0", "interrupted context: masks daIF", M7];
    fault_in_an_irq_handler_in_a_step ["panic: data abort at", "interrupted context: masks daIF", M7,
        "owners Owners(0x0), stash 1"];
    fault_in_a_report ["panic: data abort at", "FAR 0xffffa00000000010", "far ffffa00000000010", M7];
    serror ["panic: SError, ESR", "rule M16 in force", M7] machine "el2";
    serror_in_a_step ["panic: SError, ESR", "rule M16 in force", M7, "owners Owners(0x0), stash 1"] machine "el2";
    a_trap_to_el2 ["panic: unexpected exception taken to EL2: ESR_EL2 000000005a000002, ELR_EL2 ffff8000",
        "SPSR_EL2 00000000"] machine "el2";
    one_step_more_than_the_stash_holds ["panic: rule M8: interrupts nest deeper than the stash", M7];
    execute_data ["panic: instruction abort at", "rule M6 in force", M7];
    write_text ["panic: data abort at", "rule M6 in force", M7, "esr 000000009600004f"];
    write_rodata ["panic: data abort at", "rule M6 in force", M7, "esr 000000009600004f"];
    other_cpus_are_stopped ["panic: the others run (", "all other CPUs stopped", M7];
    a_stuck_cpu_is_reported ["panic: one is stuck (", "cpu1 did not stop: it has interrupts off", M7] machine "smp2";
    an_nmi_stops_interrupts_off ["panic: one has interrupts off (", "all other CPUs stopped", M7] args "nmi=1"
        machine "gic3,smp2";
    a_cpu_that_fails_during_the_report_has_stopped ["panic: the first (", "all other CPUs stopped", M7] machine "smp2";
    a_cpu_that_waits_in_a_rendezvous_is_stopped ["panic: instead of the rendezvous (", "all other CPUs stopped", M7]
        machine "smp2";
    stack_overflow_at_an_optimised_probe ["panic: stack overflow: SP", "tests::deaths::leaf+0x0", M7];
    #[cfg(debug_assertions)]
    i1_returning_with_d_masked_and_i_open ["panic: rule I1 violated: returning to a context with D masked and I open", M7];
    #[cfg(debug_assertions)]
    i2_mdscr_written_with_d_open ["panic: rule I2 violated: MDSCR_EL1 written with D open", M7];
    #[cfg(debug_assertions)]
    i2_ss_without_an_owner ["panic: rule I2 violated: D is open with an MDSCR_EL1.SS that no owner of this context asked for",
        M7];
    #[cfg(debug_assertions)]
    i3_returning_with_exceptions_open ["panic: rule I3 violated: the return path runs with exceptions open", M7]
        args "rule.M13.masks=open";
    #[cfg(debug_assertions)]
    i5_switching_in_a_debug_context ["panic: rule I5 violated: switching tasks with PSTATE.D set", M7];
    #[cfg(debug_assertions)]
    i5_switching_with_a_step_set_aside ["panic: rule I5 violated: switching tasks with a step on the stash", M7];
    #[cfg(debug_assertions)]
    mdscr_written_behind_the_rules ["panic: rule M11 violated: MDSCR_EL1 is not what was written there last", M7];
    #[cfg(debug_assertions)]
    an_irq_handler_opens_fiq ["panic: rule M8 violated: the handler ended with other masks than the table's", M7];
    #[cfg(debug_assertions)]
    a_breakpoint_handler_opens_fiq ["panic: rule M10 violated: the handler ended with other masks than the table's",
        M7];
    #[cfg(debug_assertions)]
    a_probe_handler_opens_fiq ["panic: rule M12 violated: the handler ended with other masks than the table's", M7];
    #[cfg(debug_assertions)]
    a_nested_handler_opens_fiq ["panic: rule M14 violated: the handler ended with other masks than the table's", M7];
}

/// Something that a test needs before it can end the kernel. If it is an error, the test returns without ending the kernel, and so
/// fails.
fn need<T, E: core::fmt::Debug>(result: Result<T, E>) -> Option<T> {
    result.map_err(|error| kernel::println!("cannot be tried: {error:?}")).ok()
}

fn bug() {
    kbug!("the reason given")
}

fn bug_with_interrupts_off() {
    daif::set::<{ daif::IF }>();
    kbug!("the reason given")
}

fn rust_panic() {
    panic!("the reason given {}", black_box(7));
}

fn unknown_brk() {
    // SAFETY: the kernel ends here.
    unsafe { asm!("brk #0x123") }
}

fn a_return_probes_brk_elsewhere() {
    // SAFETY: the kernel ends here.
    unsafe { asm!("brk #{}", const probe::ool::RETURN_PROBE) }
}

/// Branches to the first of the BRKs that replace return addresses, although no return probe waits there.
fn a_return_of_no_probe() {
    // SAFETY: the kernel ends here.
    unsafe { asm!("b KPROBE_RETURNS") }
}

fn a_return_of_no_call() {
    fn nothing(_: &kprobe::ReturnProbe, _: &kprobe::Instance, _: &mut DebugFrame) {}
    let (address, handler) = (code::line as *const () as u64, nothing);
    let wanted = kprobe::WantedReturn { address, entry: None, handler, instances: kprobe::DEFAULT_INSTANCES };
    if need(kprobe::register_return(&wanted)).is_some() {
        code::line();
        a_return_of_no_probe();
    }
}

fn step_on(_: &mut DebugFrame) -> Wish {
    Wish::Step
}

fn nothing(_: &Hit, _: &mut DebugFrame) {}

fn unknown_brk_in_a_step() {
    let _ = session::step_with(step_on, || code::trap());
}

fn unknown_brk_in_a_step_over() {
    if need(signal::breakpoint(code::trap as *const () as u64, watcher!(nothing))).is_some() {
        code::trap();
    }
}

specimen! {
    fn svc_5() {
        "svc #5", "ret"
    }
}

fn svc() {
    svc_5();
}

fn svc_in_a_step() {
    let _ = session::step_with(step_on, || svc_5());
}

fn svc_in_a_step_over() {
    if need(signal::breakpoint(svc_5 as *const () as u64, watcher!(nothing))).is_some() {
        svc_5();
    }
}

/// Masks I and F first, so that no interrupt comes before the BRK.
fn brk_on_sp_el0() {
    // SAFETY: the kernel ends here.
    unsafe { asm!("msr daifset, #3", "msr spsel, #0", "brk #{}", const brk::EMPTY) }
}

fn brk_on_sp_el0_in_a_step() {
    let _ = session::step_with(step_on, brk_on_sp_el0);
}

fn stack_overflow() {
    #[inline(never)]
    fn deeper(n: u64) -> u64 {
        let mut room = [n; 64];
        black_box(&mut room);
        if n == u64::MAX { 0 } else { deeper(n + 1) + room[0] }
    }
    black_box(deeper(0));
}

fn null_pointer() {
    // SAFETY: the kernel ends here.
    unsafe { asm!("ldr {0}, [{0}]", inout(reg) 0x10u64 => _) }
}

fn undefined_instruction() {
    // SAFETY: the kernel ends here.
    unsafe { asm!("udf #0") }
}

fn fault_in_a_debug_handler() {
    fn faults(_: &Hit, _: &mut DebugFrame) {
        null_pointer();
    }
    if need(signal::breakpoint_in_line(watcher!(faults))).is_some() {
        code::line();
    }
}

fn fault_in_a_probe_handler() {
    fn faults(_: &Kprobe, _: &mut DebugFrame) -> Then {
        null_pointer();
        Then::Run
    }
    if need(kprobe::register(code::line as *const () as u64, Some(faults), None)).is_some() {
        code::line();
    }
}

fn null_pointer_in_irq(_: &mut Frame) {
    null_pointer();
}

fn fault_in_an_irq_handler() {
    irq::set_handler(sgi::TEST, null_pointer_in_irq);
    signal::Signal::Irq.send();
    kernel::arch::barrier::isb();
}

fn fault_in_an_irq_handler_in_a_step() {
    irq::set_handler(sgi::TEST, null_pointer_in_irq);
    signal::arm(signal::Signal::Irq);
    if need(signal::breakpoint_in_line(watcher!(signal::interrupt))).is_some() {
        code::line();
    }
}

/// A probe in the report faults, too. The report must still show FAR and ESR of the fault that ended the kernel.
fn fault_in_a_report() {
    fn faults(_: &Kprobe, _: &mut DebugFrame) -> Then {
        let _ = uaccess::read_u8(code::UNMAPPED + 0x800);
        Then::Run
    }
    let report = kernel::console::print_regardless as *const () as u64;
    if need(kprobe::register(report, Some(faults), None)).is_some() {
        // SAFETY: the kernel ends here.
        unsafe { asm!("ldr {0}, [{0}]", inout(reg) code::UNMAPPED => _) }
    }
}

/// Asks the stub at EL2 (`boot/src/el2.S`) for a virtual SError.
fn pend_serror() {
    // SAFETY: the stub keeps all registers.
    unsafe { asm!("hvc #1", options(nostack)) }
}

/// Stashes one step more than `rule-interrupts.m8_the_stash_holds_as_much_as_it_says`, which fills the stash.
fn one_step_more_than_the_stash_holds() {
    let masked = Masked::new();
    let cpu = masked.cpu();
    for _ in 0..=debug::STASH_DEPTH {
        cpu.set_owners(Owners::DEBUGGER);
        step::stash(cpu);
    }
}

/// The code at EL2 does not know HVC #2. This stands for all traps that it does not expect.
fn a_trap_to_el2() {
    // SAFETY: the kernel ends here.
    unsafe { asm!("hvc #2", options(nostack)) }
}

fn serror() {
    pend_serror();
    kernel::arch::barrier::isb();
}

fn serror_in_a_step() {
    fn pends(_: &Hit, _: &mut DebugFrame) {
        pend_serror();
    }
    if need(signal::breakpoint_in_line(watcher!(pends))).is_some() {
        code::line();
    }
}

fn execute_data() {
    static RET: AtomicU64 = AtomicU64::new(0xd65f_03c0);
    // SAFETY: the kernel ends here.
    unsafe { asm!("blr {}", in(reg) &raw const RET, clobber_abi("C")) }
}

fn store(address: u64) {
    // SAFETY: the kernel ends here.
    unsafe { asm!("str xzr, [{}]", in(reg) address & !7) }
}

fn write_text() {
    // The end of the text is mapped by pages, whatever the text's length; what comes before may be in blocks.
    store(layout::text_end() as u64 - 8);
}

fn write_rodata() {
    store(layout::rodata_end() as u64 - 8);
}

/// How many other CPUs have begun [`run_for_ever`].
static STARTED: AtomicU64 = AtomicU64::new(0);

fn start_others(work: idle::Work) {
    let others = kernel::smp::online_count() as u64 - 1;
    for cpu in kernel::smp::online().filter(|cpu| *cpu != kernel::percpu::index()) {
        idle::give(cpu, work);
    }
    while STARTED.load(Relaxed) < others {
        kernel::arch::barrier::relax();
    }
}

fn run_for_ever() {
    STARTED.fetch_add(1, Relaxed);
    loop {
        kernel::arch::barrier::relax();
    }
}

fn other_cpus_are_stopped() {
    start_others(run_for_ever);
    panic!("the others run");
}

fn a_stuck_cpu_is_reported() {
    fn stuck() {
        let _masked = AllMasked::new();
        run_for_ever();
    }
    start_others(stuck);
    panic!("one is stuck");
}

/// Waits with everything masked until an interrupt from another CPU is pending. The timer is off, so that no other interrupt comes.
fn await_interrupt_of_another_cpu() {
    const I: u64 = 1 << 7;
    kernel::write_sysreg!("cntv_ctl_el0", 0u64);
    kernel::arch::barrier::isb();
    STARTED.fetch_add(1, Relaxed);
    while kernel::read_sysreg!("isr_el1") & I == 0 {
        kernel::arch::barrier::relax();
    }
}

/// The other CPU fails by itself, with interrupts masked, while this CPU waits for it to stop.
fn a_cpu_that_fails_during_the_report_has_stopped() {
    fn fails() {
        let _masked = AllMasked::new();
        await_interrupt_of_another_cpu();
        panic!("the second");
    }
    start_others(fails);
    panic!("the first");
}

/// The other CPU fails in place of taking part in the rendezvous for which this CPU waits, masked.
fn a_cpu_that_waits_in_a_rendezvous_is_stopped() {
    fn fails() {
        let _masked = AllMasked::new();
        await_interrupt_of_another_cpu();
        panic!("instead of the rendezvous");
    }
    start_others(fails);
    let _ = need(kprobe::register(leaf as *const () as u64, None, None));
}

specimen! {
    fn leaf() {
        "add x0, x0, #1", "ret"
    }
}

/// The first store of the trampoline overflows the stack.
fn stack_overflow_at_an_optimised_probe() {
    let wanted = kprobe::Wanted { optimise: Some(true), ..kprobe::Wanted::at(leaf as *const () as u64) };
    if need(kprobe::register_all([wanted])).is_some_and(|probes| probes[0].how() == "optimised") {
        let bottom = layout::STACK_SIZE as u64 - 1;
        // SAFETY: the kernel ends at the first access to the stack.
        unsafe {
            asm!("mov x9, sp", "bic x9, x9, {}", "mov sp, x9", "bl {}", in(reg) bottom, sym leaf, clobber_abi("C"))
        }
    }
}

fn an_nmi_stops_interrupts_off() {
    fn off() {
        let _off = IrqOff::new();
        run_for_ever();
    }
    start_others(off);
    panic!("one has interrupts off");
}
