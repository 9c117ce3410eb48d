//! WARN and BUG: `kwarn!` and `kbug!`, a BRK each, with a table that says where they stand (M11).

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

/// Reports that can be under way on one stack, each but the first in the handler of an exception that has interrupted the one
/// before: of a thread, an interrupt, an NMI, a debug context.
const REPORTS: usize = 4;

/// So many frame records are looked at in search of reports under way.
const RECORDS: usize = 256;

/// M11: reports, and returns behind a WARN. In the context of the assertion, with its masks.
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

/// Whether a WARN is reported whose context has this frame pointer. A report's own WARN is not: it would come again in the report
/// of itself. A WARN in the handler of an exception that has interrupted a report is, as long as there are no more than
/// [`REPORTS`].
///
/// What is under way is read off the stack, so it is the context's own: a report that is preempted keeps no other thread, and no
/// CPU that it goes on on, from reporting.
fn may_report(fp: u64) -> bool {
    let (mut reports, mut interrupted) = (0, false);
    for returns_to in Callers::of(fp).take(RECORDS) {
        if returns_to == (&raw const debug_bug_in_report).addr() as u64 {
            if !interrupted {
                return false;
            }
            reports += 1;
        }
        // The way from an exception to its handler leads through no-probe text, and what a report calls does not return there.
        interrupted |= layout::is_noprobe_text(returns_to);
    }
    reports < REPORTS
}

unsafe extern "C" {
    /// Where [`call`] goes on behind a report.
    static debug_bug_in_report: u8;
}

type Say = extern "C" fn(&Frame, &Site);

/// Calls `say`, so that a frame record with the return address `debug_bug_in_report` says that a report is under way.
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

/// Reports that a condition holds that should not, and goes on. Any context; it inherits the context's masks (M11).
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

/// Ends the kernel with a report of the context it stands in. Any context.
#[macro_export]
macro_rules! kbug {
    ($text:literal) => {{
        $crate::assertion_brk!(true, $text);
        loop {}
    }};
}
