//! The limit on the number of calls under way, and how instances are given back.

use super::{Probe, wanted};
use crate::address_of;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use harness::check_eq;
use harness::ktest::{Ended, Outcome};
use kernel::exception::DebugFrame;
use kernel::kprobe::{self, Instance, ProbeError, ReturnProbe, WantedReturn};

specimen! {
    fn target(n: u64) -> u64 {
        "add x0, x0, #21", "wfi", "ret"
    }
}

fn nothing(_: &ReturnProbe, _: &Instance, _: &mut DebugFrame) {}

fn refusal(wanted: &WantedReturn) -> Option<ProbeError> {
    match kprobe::register_return(wanted) {
        Ok(probe) => {
            kprobe::remove_return(probe);
            None
        }
        Err(error) => Some(error),
    }
}

/// Registers return probes with `instances` instances each until there is no more room.
pub fn all(instances: usize) -> Result<Vec<Probe>, Ended> {
    let mut all = Vec::new();
    let wanted = WantedReturn { instances, ..wanted(address_of!(target), nothing) };
    loop {
        match kprobe::register_return(&wanted) {
            Ok(probe) => all.push(Probe(Some(probe))),
            Err(ProbeError::Instances(_)) => return Ok(all),
            Err(error) => return Err(super::failed(error)),
        }
    }
}

pub fn what_cannot_be_is_refused_with_the_reason() -> Outcome {
    let entry = address_of!(target);
    let good = wanted(entry, nothing);
    let said = |wanted: &WantedReturn| refusal(wanted).map(|error| error.to_string());
    let inside = said(&WantedReturn { address: entry + 8, ..good });
    let name = "tests::returns::room::target+0x8/0xc";
    check_eq!(inside, Some(format!("{name}: a return probe is for a function's first instruction")));
    let odd = said(&WantedReturn { address: entry + 2, ..good });
    check_eq!(odd, Some(format!("{:#x} is not a multiple of 4: no instruction begins there", entry + 2)));
    let nowhere = said(&WantedReturn { address: 0x1000, ..good });
    check_eq!(nowhere.as_deref(), Some("0x1000 is not in the kernel's text"));
    for instances in [0, 65, 1000] {
        check_eq!(
            said(&WantedReturn { instances, ..good }),
            Some(format!(
                "no room for {instances} calls at once; a return probe can have 1 to 64, all together 1024"
            ))
        );
    }
    // The entry is refused as for every other probe, and the instances that were asked for are given back.
    for _ in 0..100 {
        let said = refusal(&WantedReturn { address: address_of!(waits), instances: 64, ..good });
        check_eq!(said, Some(ProbeError::Refused(address_of!(waits), probe::Reason::Wait)));
    }
    let no_probe = address_of!(kernel::debug::step::stash);
    check_eq!(refusal(&WantedReturn { address: no_probe, ..good }), Some(ProbeError::NoProbe(no_probe)));
    check_eq!(refusal(&good), None);
    Ok(())
}

specimen! {
    fn waits() {
        "wfi", "ret"
    }
}

/// There is room for 1024 instances, which is given out in blocks of 16.
pub fn room_is_given_back() -> Outcome {
    check_eq!(all(33)?.len(), 21, "three blocks each");
    // This takes all the room, which the probes before must have given back.
    let mut probes = all(64)?;
    check_eq!(probes.len(), 16);
    let full =
        kprobe::register_return(&WantedReturn { instances: 1, ..wanted(address_of!(target), nothing) });
    check_eq!(
        full.err().map(|error| error.to_string()),
        Some("no room for 1 calls at once; a return probe can have 1 to 64, all together 1024".into())
    );
    drop(probes.swap_remove(7));
    let smallest = all(1)?;
    check_eq!(smallest.len(), 4, "one block each");
    Ok(())
}
