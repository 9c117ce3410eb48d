//! Requests for slots that are refused, and the errors.

use crate::address_of;
use crate::failed;
use crate::support::{breakpoint_at, watchpoint_at};
use ::slots::{Access, Cpus, Kind, Privilege, Request, SlotError, SlotId, VaSize};
use harness::check_eq;
use harness::ktest::Outcome;
use kernel::debug::slots::{self, Disposition};
use kernel::mm::layout;
use kernel::percpu;
use kernel::report::symbols;

fn refusal(request: &Request) -> Result<SlotId, SlotError> {
    let result = slots::install(request, Cpus::ALL, Disposition::Count);
    if let Ok(id) = result {
        let _ = slots::remove(id);
    }
    result
}

pub fn a_request_that_no_slot_can_hold_says_why() -> Outcome {
    const BASE: u64 = 0xffff_8000_4000_0000;
    let watch = |address, length| refusal(&watchpoint_at(address, length, Access::Write));
    check_eq!(watch(BASE, 0), Err(SlotError::BadLength { length: 0 }));
    check_eq!(watch(BASE, 1 << 32), Err(SlotError::BadLength { length: 1 << 32 }));
    check_eq!(watch(BASE + 5, 4), Err(SlotError::CrossesDoubleword { address: BASE + 5, length: 4 }));
    check_eq!(watch(BASE, 24), Err(SlotError::RangeNotPowerOfTwo { length: 24 }));
    check_eq!(watch(BASE + 8, 16), Err(SlotError::Misaligned { address: BASE + 8, alignment: 16 }));
    let hole = 0x0012_0000_0000_0000;
    check_eq!(watch(hole, 8), Err(SlotError::NotCanonical { address: hole, va: VaSize::Bits48 }));
    let odd = address_of!(refusal) + 2;
    check_eq!(refusal(&breakpoint_at(odd)), Err(SlotError::Misaligned { address: odd, alignment: 4 }));
    let user = Request::Breakpoint { address: BASE, privilege: Privilege::El0 };
    check_eq!(refusal(&user), Err(SlotError::WrongAddressSpace { address: BASE }));
    let nobody = slots::install(&breakpoint_at(BASE), Cpus(0), Disposition::Count);
    check_eq!(nobody, Err(SlotError::NoCpu));
    Ok(())
}

/// A request for this CPU alone takes a shorter way, but must get the same answer. Every length is tried, also 0 and lengths that
/// wrap around, at each offset in a doubleword of the kernel and at the last addresses of the address space.
pub fn a_request_for_this_cpu_alone_is_answered_as_one_for_all() -> Outcome {
    const BASE: u64 = 0xffff_8000_4000_0000;
    let lengths = (0..20).chain([24, 32, 1 << 31, 1 << 32, 1 << 63]).chain((0..10).map(|n| u64::MAX - n));
    for length in lengths {
        for address in (BASE..BASE + 16).chain((0..16).map(|n| u64::MAX - n)) {
            let request = watchpoint_at(address, length, Access::Write);
            let all = refusal(&request).err();
            let here = slots::install(&request, Cpus::of(percpu::index() as u32), Disposition::Count);
            if let Ok(id) = here {
                slots::remove(id).map_err(failed)?;
            }
            check_eq!(here.err(), all, "{length} bytes at {address:#x}");
        }
    }
    let wraps = watchpoint_at(u64::MAX, 8, Access::Write);
    let refused = SlotError::PastTheEnd { address: u64::MAX, length: 8, last: u64::MAX };
    check_eq!(refusal(&wraps), Err(refused));
    Ok(())
}

pub fn a_slot_that_is_gone_says_so() -> Outcome {
    let request = breakpoint_at(address_of!(refusal));
    let first = slots::install(&request, Cpus::ALL, Disposition::Count).map_err(failed)?;
    slots::remove(first).map_err(failed)?;
    check_eq!(slots::remove(first), Err(SlotError::Gone { id: first }));
    check_eq!(slots::hits(first), None);
    let second = slots::install(&request, Cpus::ALL, Disposition::Count).map_err(failed)?;
    check_eq!(second.index, first.index, "the same registers");
    check_eq!(
        slots::remove(first),
        Err(SlotError::Gone { id: first }),
        "the same registers, another generation"
    );
    slots::remove(second).map_err(failed)?;
    let never = SlotId { kind: Kind::Watchpoint, index: 63, record: 63, generation: 1 };
    check_eq!(slots::remove(never), Err(SlotError::Gone { id: never }));
    Ok(())
}

/// Rule H6: breakpoints in no-probe text and watchpoints on no-probe data are refused.
pub fn no_probe_text_and_data_are_refused() -> Outcome {
    let (text, text_end) = (layout::noprobe_text_start() as u64, layout::noprobe_text_end() as u64);
    for address in
        [text, text_end - 4, address_of!(slots::sync_local), address_of!(kernel::debug::step::stash)]
    {
        check_eq!(refusal(&breakpoint_at(address)), Err(SlotError::NoProbeText { address }));
    }
    let (data, data_end) = (layout::noprobe_data_start() as u64, layout::noprobe_data_end() as u64);
    let tables = ["SLOTS", "CPU_DEBUG", "KPROBE_PAGES"].map(symbols::by_name);
    for symbol in tables {
        let address = symbol.map_err(failed)?.address;
        let watched = watchpoint_at(address, 8, Access::ReadWrite);
        check_eq!(refusal(&watched), Err(SlotError::NoProbeData { address }));
    }
    for address in [data, data_end - 1] {
        let watched = watchpoint_at(address, 1, Access::Read);
        check_eq!(refusal(&watched), Err(SlotError::NoProbeData { address }));
    }
    let around = data & !0xffff;
    let watched = watchpoint_at(around, 0x10000, Access::Read);
    check_eq!(refusal(&watched), Err(SlotError::NoProbeData { address: around }), "a range that touches it");
    Ok(())
}
