//! WARN and BUG (M11). Each `kwarn!` and each `kbug!` is a BRK. A table has the source line and the text of the
//! assertion for the address of each BRK.

pub use crate::exception::Site;

use super::{cpu, stats};
use crate::exception::{Frame, Reason, fatal};
use crate::mm::layout;
use crate::percpu;
use crate::report::backtrace::Callers;
use log::LevelFilter;

/// An entry of the table in `.bug_table`.
#[repr(C)]
struct Entry {
    address: u64,
    site: &'static Site,
}

unsafe extern "C" {
    static __bug_table_start: u8;
    static __bug_table_end: u8;
}

/// The assertion whose BRK is at `address`.
fn site(address: u64) -> Option<&'static Site> {
    let (start, end) =
        ((&raw const __bug_table_start).cast::<Entry>(), (&raw const __bug_table_end).cast::<Entry>());
    let mut entry = start;
    while entry < end {
        // SAFETY: the linker script puts whole entries between the two symbols, made by the macros below.
        let Entry { address: at, site } = unsafe { entry.read() };
        if at == address {
            return Some(site);
        }
        entry = entry.wrapping_add(1);
    }
    None
}

/// How many reports can be under way on one stack. Each report after the first is made by the handler of an exception that has
/// interrupted the report before: first that of a thread, then of an interrupt, of an NMI, and of a debug context.
const REPORTS: usize = 4;

/// How many frame records are searched for reports under way.
const RECORDS: usize = 256;

/// Deals with the BRK of an assertion (M11): ends the kernel at a BUG; reports a WARN and moves the context behind the
/// BRK. This function runs with the masks of the context that has executed the BRK.
#[inline(never)]
pub fn report(frame: &mut Frame) {
    let Some(site) = site(frame.pc) else { fatal(frame, "M7", Reason::UnknownBrk) };
    if site.fatal {
        fatal(frame, "M7", Reason::Bug(site));
    }
    stats::WARNINGS.count_shared();
    if log::max_level() >= LevelFilter::Warn && may_report(frame.x[29]) {
        call(say, frame, site);
    }
    frame.move_to(frame.pc + 4);
}

/// Whether a WARN is to be reported. `fp` is the frame pointer of the context of the WARN. A WARN in the code that makes a report
/// is not reported, because its report would hit the same WARN again. A WARN in the handler of an exception that has interrupted a
/// report is reported, as long as no more than [`REPORTS`] reports are under way.
///
/// The reports under way are found on the stack, and so belong to the context. A report that is preempted therefore keeps no other
/// thread from reporting, nor the CPU on which it continues.
fn may_report(fp: u64) -> bool {
    let (mut reports, mut interrupted) = (0, false);
    for returns_to in Callers::of(fp).take(RECORDS) {
        if returns_to == (&raw const debug_bug_in_report).addr() as u64 {
            if !interrupted {
                return false;
            }
            reports += 1;
        }
        // An exception's handler is called from no-probe text. No call inside of a report is made from no-probe text.
        interrupted |= layout::is_noprobe_text(returns_to);
    }
    reports < REPORTS
}

unsafe extern "C" {
    /// The address in [`call`] to which a report returns.
    static debug_bug_in_report: u8;
}

type Say = extern "C" fn(&Frame, &Site);

/// Calls `say`. As long as `say` runs, the stack has a frame record with the return address `debug_bug_in_report`, by which
/// [`may_report`] knows that a report is under way.
#[unsafe(naked)]
extern "C" fn call(say: Say, frame: &Frame, site: &Site) {
    core::arch::naked_asm!(
        "stp x29, x30, [sp, #-16]!",
        "mov x29, sp",
        "mov x3, x0",
        "mov x0, x1",
        "mov x1, x2",
        "blr x3",
        ".global debug_bug_in_report",
        "debug_bug_in_report:",
        "ldp x29, x30, [sp], #16",
        "ret",
    )
}

extern "C" fn say(frame: &Frame, site: &Site) {
    log::warn!(
        "WARNING at {}:{}: {} (cpu{}, masks {}, debug depth {})",
        site.file,
        site.line,
        site.text,
        percpu::index(),
        frame.masks(),
        cpu::this().depth.get(),
    );
}

/// The BRK of an assertion with its place in the table. For `kwarn!` and `kbug!`.
#[doc(hidden)]
#[macro_export]
macro_rules! assertion_brk {
    ($fatal:expr, $text:expr) => {{
        static SITE: $crate::debug::bug::Site =
            $crate::debug::bug::Site { file: file!(), line: line!(), text: $text, fatal: $fatal };
        // SAFETY: the handler finds the site by the BRK's address and returns behind it with all registers as they were.
        unsafe {
            core::arch::asm!(
                "2: brk #{number}",
                ".pushsection .bug_table, \"a\"",
                ".quad 2b, {site}",
                ".popsection",
                number = const $crate::exception::brk::BUG,
                site = sym SITE,
                options(nostack, preserves_flags),
            );
        }
    }};
}

/// Reports a WARN if the condition holds, which it should not, and goes on in any case. The value of the macro is
/// whether the condition holds. Any context; the report is made with the masks of the context (M11).
#[macro_export]
macro_rules! kwarn {
    ($condition:expr) => {{
        let holds = $condition;
        if holds {
            $crate::assertion_brk!(false, stringify!($condition));
        }
        holds
    }};
}

/// Ends the kernel with a report of the context that executes the macro. Any context.
#[macro_export]
macro_rules! kbug {
    ($text:literal) => {{
        $crate::assertion_brk!(true, $text);
        loop {}
    }};
}
