//! WARN and BUG: `kwarn!` and `kbug!`, a BRK each, with a table that says where they stand (M11).

use super::stats;
use crate::exception::Frame;
use crate::percpu;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Where an assertion stands and what it does.
pub struct Site {
    /// Source file.
    pub file: &'static str,
    /// Line in it.
    pub line: u32,
    /// The assertion as written, or the text given.
    pub text: &'static str,
    /// BUG: does not return.
    pub fatal: bool,
}

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

/// Recursion: a WARN met while this CPU reports one is counted, not reported.
static REPORTING: percpu::PerCpu<AtomicBool> = crate::per_cpu!(AtomicBool::new(false));

/// M11: reports, and returns behind a WARN. In the context of the assertion, with its masks.
#[inline(never)]
pub fn report(frame: &mut Frame) {
    let Some(site) = site(frame.pc) else {
        crate::exception::fatal(frame, "M7", crate::exception::Reason::UnknownBrk)
    };
    if site.fatal {
        crate::exception::fatal(frame, "M7", crate::exception::Reason::Bug(site));
    }
    stats::WARNINGS.count_shared();
    if !REPORTING.this().swap(true, Relaxed) {
        log::warn!(
            "WARNING at {}:{}: {} (cpu{}, masks {}, debug depth {})",
            site.file,
            site.line,
            site.text,
            percpu::index(),
            frame.masks(),
            super::this().depth.get(),
        );
        REPORTING.this().store(false, Relaxed);
    }
    frame.move_to(frame.pc + 4);
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
