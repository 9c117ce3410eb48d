//! Places where a probe is refused, and the reasons (rules H6, K2).

use crate::address_of;
use crate::failed;
use harness::check_eq;
use harness::ktest::Outcome;
use kernel::kprobe::{self, ProbeError};
use kernel::mm::layout;
use kernel::smp;
use probe::Reason;

specimen! {
    fn plain(n: u64) -> u64 {
        "add x0, x0, #1",
        "cbz x0, 1f",
        "sub x0, x0, #1",
        "adr x1, 1f",
        "nop",
        "1: eor x0, x0, #1",
        "ret"
    }
}

fn refusal(address: u64) -> Option<ProbeError> {
    match kprobe::register(address, None, None) {
        Ok(_) => {
            let _ = kprobe::unregister(address);
            None
        }
        Err(error) => Some(error),
    }
}

pub fn only_instruction_boundaries_can_be_probed() -> Outcome {
    let entry = address_of!(plain);
    for address in entry..entry + 7 * 4 {
        let expected = (address % 4 != 0).then_some(ProbeError::Unaligned(address));
        check_eq!(refusal(address), expected, "byte {}", address - entry);
    }
    check_eq!(plain(1), 0, "the text is as it was");
    Ok(())
}

specimen! {
    /// First, one word for each reason in the order of [`Reason::ALL`], but for the reasons that one word alone cannot show. Then
    /// further words for some of these reasons. Never executed.
    fn unprobeable() {
        ".inst 0xd4200020", // brk #1
        ".inst 0xd4000001", // svc #0
        ".inst 0xd69f03e0", // eret
        ".inst 0xd65f0bff", // retaa
        ".inst 0xd50324ff", // pacm
        ".inst 0xd50342df", // msr daifset, #2
        ".inst 0xd538c100", // mrs x0, isr_el1
        ".inst 0xd50041bf", // msr spsel, #1
        ".inst 0xd500409f", // msr pan, #0
        ".inst 0xd5384020", // mrs x0, elr_el1
        ".inst 0xd518c000", // msr vbar_el1, x0
        ".inst 0x0420bc20", // movprfx z0, z1
        ".inst 0x19010440", // cpyfp [x0]!, [x1]!, x2!
        ".inst 0xd503207f", // wfi
        ".inst 0xd5233060", // tstart x0
        ".inst 0x00000000", // udf #0
        ".inst 0x00010000", // unallocated
        ".inst 0xd53b4220", // mrs x0, daif
        ".inst 0xd503205f", // wfe
        ".inst 0xd4400000", // hlt #0
        ".inst 0xd5384600", // mrs x0, icc_pmr_el1
        ".inst 0x0420bc20", // movprfx z0, z1
        ".inst 0x04800020", // add z0.s, p0/m, z0.s, z1.s
        ".inst 0x9b431026", // smulh x6, x1, x3, with Ra not 31
    }

    fn exclusives() {
        "1: ldxr x0, [x1]", "add x0, x0, #1", "stxr w2, x0, [x1]", "cbnz w2, 1b", "ret"
    }
}

pub fn every_reason_for_refusal_is_given() -> Outcome {
    let of_several = [Reason::Exclusive, Reason::ExclusiveSequence, Reason::Surroundings, Reason::Unreadable];
    let others = Reason::ALL.iter().filter(|reason| !of_several.contains(reason));
    let more = [
        Reason::InterruptMasks,
        Reason::Wait,
        Reason::Breakpoint,
        Reason::InterruptState,
        Reason::MovePrefix,
        Reason::MovePrefix,
        Reason::Unallocated,
    ];
    for (index, &reason) in others.chain(&more).enumerate() {
        let address = address_of!(unprobeable) + 4 * index as u64;
        check_eq!(refusal(address), Some(ProbeError::Refused(address, reason)));
    }
    for (index, reason) in
        [Reason::Exclusive, Reason::ExclusiveSequence, Reason::Exclusive].into_iter().enumerate()
    {
        let address = address_of!(exclusives) + 4 * index as u64;
        check_eq!(refusal(address), Some(ProbeError::Refused(address, reason)));
    }
    check_eq!(refusal(address_of!(exclusives) + 16), None, "behind the sequence");
    Ok(())
}

pub fn what_is_not_probeable_text_is_refused() -> Outcome {
    static DATA: [u32; 2] = [0xd503_201f; 2];
    let heap = alloc::boxed::Box::new(0xd503_201f_u64);
    let nowhere = 0xffff_ffff_0000_0000;
    for address in
        [&raw const DATA as u64, &raw const *heap as u64, nowhere, 0x1000, 0, layout::text_end() as u64]
    {
        check_eq!(refusal(address & !3), Some(ProbeError::NotText(address & !3)));
    }
    let no_probe = [
        layout::noprobe_text_start() as u64,
        layout::noprobe_text_end() as u64 - 4,
        kernel::read_sysreg!("vbar_el1"),
        address_of!(kernel::debug::slots::sync_local),
        address_of!(kernel::debug::step::stash),
        layout::copies().start as u64,
        layout::copies().end as u64 - 4,
    ];
    for address in no_probe {
        check_eq!(refusal(address), Some(ProbeError::NoProbe(address)));
    }
    Ok(())
}

pub fn what_is_not_there_cannot_be_removed() -> Outcome {
    let address = address_of!(plain);
    check_eq!(kprobe::unregister(address), Err(ProbeError::Absent(address)));
    kprobe::register(address, None, None).map_err(failed)?;
    check_eq!(kprobe::unregister(address), Ok((0, 0)));
    check_eq!(kprobe::unregister(address), Err(ProbeError::Absent(address)));
    check_eq!(refusal(address), None);
    Ok(())
}

specimen! {
    fn sled(n: u64) -> u64 {
        ".rept 4", "add x0, x0, #1", ".endr", ".rept 96", "nop", ".endr", "ret"
    }
}

/// A hundred probes at once, or twenty where there are several CPUs, because there each removal waits for the others.
pub fn many_probes_at_once() -> Outcome {
    let many = if smp::online_count() == 1 { 100 } else { 20 };
    let at = |n: u64| address_of!(sled) + 4 * n;
    let others = kprobe::list().count() as u64;
    for n in 0..many {
        kprobe::register(at(n), None, None).map_err(failed)?;
    }
    let listed = kprobe::list().count() as u64 - others;
    let result = [sled(0), sled(1)];
    let mut counts = [Ok((2, 0)); 100];
    for n in 0..many {
        counts[n as usize] = kprobe::unregister(at(n));
    }
    check_eq!(listed, many);
    check_eq!(result, [4, 5]);
    check_eq!(counts, [Ok((2, 0)); 100]);
    Ok(())
}
