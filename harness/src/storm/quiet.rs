//! The state that a CPU must have when the storm does nothing on it.

use ::slots::Kind;
use alloc::format;
use alloc::string::String;
use kernel::arch::{daif, mdscr};
use kernel::debug::{self, slots};
use kernel::irq::off;
use kernel::kprobe;

/// Says what is not quiet on this CPU; None if all is. Call it while no slot and no probe is set. `standing` is the MDSCR_EL1 from before
/// the storm. Thread context, interrupts on.
pub fn unquiet(standing: u64) -> Option<String> {
    let cpu = debug::this();
    let registers = [Kind::Breakpoint, Kind::Watchpoint].into_iter().flat_map(|kind| {
        let armed = move |&n: &u8| slots::read_registers(kind, n).1 != 0;
        (0..slots::count(kind))
            .filter(armed)
            .map(move |n| format!("the control register of {kind} {n} is not zero"))
    });
    let suspended = slots::any_suspended();
    let state = [
        (!daif::read().is_empty(), format!("masks {}", daif::read())),
        (!off::enabled(), "interrupts off".into()),
        (mdscr::read() != standing, format!("MDSCR_EL1 {:#x}, before it was {standing:#x}", mdscr::read())),
        (!cpu.owners.get().is_empty(), format!("owners {:?}", cpu.owners.get())),
        (cpu.depth.get() != 0, format!("debug depth {}", cpu.depth.get())),
        (cpu.stash_len.get() != 0, format!("stash {}", cpu.stash_len.get())),
        (cpu.is_stepped(), "a session of steps".into()),
        (suspended, "a suspended slot".into()),
        (kprobe::depth() != 0, format!("{} active probes", kprobe::depth())),
        (slots::list().count() != 0, format!("{} records of slots", slots::list().count())),
        (kprobe::list().count() != 0, format!("{} probes", kprobe::list().count())),
        (off::out_of_order() != 0, format!("{} interrupt guards dropped out of order", off::out_of_order())),
    ];
    state.into_iter().find_map(|(wrong, what)| wrong.then_some(what)).into_iter().chain(registers).next()
}
