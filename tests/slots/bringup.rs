//! The debug registers of a CPU after its bring-up, and MDSCR_EL1 while slots come and go (rule H8).

use crate::address_of;
use crate::support::{Slot, breakpoint_at, on_every_cpu};
use ::slots::Kind;
use harness::check_eq;
use harness::ktest::Outcome;
use kernel::arch::{barrier, daif, mdscr, sysreg};
use kernel::debug::{self, slots};
use kernel::{read_sysreg, write_sysreg};

macro_rules! read_numbered {
    ($prefix:literal, $n:expr) => {
        read_numbered!(@ $prefix, $n, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
    };
    (@ $prefix:literal, $n:expr, $($i:literal)*) => {
        match $n {
            $($i => read_sysreg!(concat!($prefix, $i, "_el1")),)*
            _ => 0,
        }
    };
}

/// Reads the control register of slot `n` of this CPU.
pub fn control(kind: Kind, n: u8) -> u64 {
    match kind {
        Kind::Breakpoint => read_numbered!("dbgbcr", n),
        Kind::Watchpoint => read_numbered!("dbgwcr", n),
    }
}

/// Writes the registers of slot `n` of this CPU without the slot manager. Called with D masked.
pub fn set(kind: Kind, n: u8, value: u64, control: u32) {
    match kind {
        Kind::Breakpoint => {
            sysreg::write_dbgbvr(n, value);
            sysreg::write_dbgbcr(n, control);
        }
        Kind::Watchpoint => {
            sysreg::write_dbgwvr(n, value);
            sysreg::write_dbgwcr(n, control);
        }
    }
}

const OSLK: u64 = 1 << 1;

fn all() -> impl Iterator<Item = (Kind, u8)> {
    [Kind::Breakpoint, Kind::Watchpoint]
        .into_iter()
        .flat_map(|kind| (0..slots::count(kind)).map(move |n| (kind, n)))
}

fn known_state() -> Outcome {
    for (kind, n) in all() {
        check_eq!(control(kind, n), 0, "{kind} {n}");
    }
    check_eq!(read_sysreg!("oslsr_el1") & OSLK, 0, "the OS lock");
    check_eq!(read_sysreg!("osdlr_el1") & 1, 0, "the double lock");
    check_eq!(mdscr::read(), mdscr::TDCC);
    Ok(())
}

/// The registers are UNKNOWN out of reset. So the bring-up is run again with garbage in all of them and with the OS lock set.
pub fn a_cpu_comes_up_with_every_slot_off_and_the_locks_clear() -> Outcome {
    on_every_cpu(|| {
        known_state()?;
        {
            let _masked = daif::AllMasked::new();
            for (kind, n) in all() {
                set(kind, n, 0xffff_8000_0000_1000 + 8 * u64::from(n), 0x1e5);
            }
            write_sysreg!("oslar_el1", 1);
            barrier::isb();
            // SAFETY: D is masked for as long as `_masked` lives.
            slots::init_cpu(unsafe { debug::masked() });
        }
        known_state()
    })
}

specimen! {
    fn target() {
        "nop", "ret"
    }
}

/// Rules H8 and H5: MDE and KDE have changed on every CPU when `install` and `remove` return.
pub fn mde_and_kde_are_on_only_while_a_slot_needs_them() -> Outcome {
    fn off() -> Outcome {
        check_eq!(mdscr::read(), mdscr::TDCC);
        Ok(())
    }
    fn on() -> Outcome {
        check_eq!(mdscr::read(), mdscr::TDCC | mdscr::MDE | mdscr::KDE);
        Ok(())
    }
    on_every_cpu(off)?;
    let first = Slot::counting(&breakpoint_at(address_of!(target)))?;
    on_every_cpu(on)?;
    let second = Slot::counting(&breakpoint_at(address_of!(target) + 4))?;
    drop(first);
    on_every_cpu(on)?;
    target();
    check_eq!(second.hits(), Some(1));
    on_every_cpu(on)?;
    drop(second);
    on_every_cpu(off)
}
