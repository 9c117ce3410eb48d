//! Copies and trampolines belong to the probe engine, so breakpoints and probes inside of them are refused (H6).

use super::{How, Probe};
use crate::address_of;
use crate::monitor::refusal;
use crate::support::breakpoint_at;
use ::slots::{Cpus, SlotError};
use alloc::format;
use alloc::string::ToString;
use harness::ktest::Outcome;
use harness::{check, check_eq};
use kernel::debug::slots::{self, Disposition};
use kernel::kprobe::{self, ProbeError, WantedReturn};
use kernel::mm::layout;
use kernel::monitor::Session;
use kernel::percpu;

specimen! {
    fn target(n: u64) -> u64 {
        "add x0, x0, #1", "add x0, x0, #2", "ret"
    }
}

pub fn copies_and_trampolines_are_refused_to_breakpoints_and_probes() -> Outcome {
    // The area of copies has a copy of the first probe at its start, and the trampoline of the second one at its end.
    let probes =
        [Probe::on(address_of!(target), How::Pre)?, Probe::on(address_of!(target) + 4, How::Optimised)?];
    let all = layout::copies();
    let mut session = Session::new();
    for address in
        [all.start, all.start + 4, all.start + all.len() / 2, all.end - 256, all.end - 24, all.end - 4]
    {
        let address = address as u64;
        let request = breakpoint_at(address);
        for cpus in [Cpus::ALL, Cpus::of(percpu::index() as u32)] {
            let refused = slots::install(&request, cpus, Disposition::Count);
            if let Ok(id) = refused {
                let _ = slots::remove(id);
            }
            check_eq!(refused, Err(SlotError::NoProbeText { address }));
            let refused = slots::install_split(&request, cpus, Disposition::Count);
            if let Ok(id) = refused {
                let _ = slots::remove(id);
            }
            check_eq!(refused.err(), Some(SlotError::NoProbeText { address }));
        }
        let text = format!(
            "{address:#x} is in a copy of a probed instruction, or in a trampoline: choose the probed instruction itself"
        );
        let refused = kprobe::register(address, None, None).map(|probe| probe.address);
        check_eq!(refused, Err(ProbeError::NoProbe(address)));
        check_eq!(ProbeError::NoProbe(address).to_string(), text);
        let wanted = WantedReturn { address, entry: None, handler: |_, _, _| (), instances: 1 };
        check!(matches!(kprobe::register_return(&wanted), Err(ProbeError::NoProbe(at)) if at == address));
        let said = refusal(&mut session, &format!("break {address:#x}"))?;
        check!(said.contains(&SlotError::NoProbeText { address }.to_string()), "{said}");
        let said = refusal(&mut session, &format!("probe p:t {address:#x}"))?;
        check!(said.contains(&text), "{said}");
    }
    check_eq!(target(1), 4);
    for probe in probes {
        check_eq!(probe.remove(1), (1, 0));
    }
    Ok(())
}
