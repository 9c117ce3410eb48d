//! From a request to the slot that a hit belongs to, with plain variables as registers.
//!
//! In a kernel, only the back end is different: it writes the registers with `msr`. `cargo test` runs this example.
#![allow(clippy::single_range_in_vec_init, reason = "a list of ranges, of which there is one")]

use stepwell_slots::{
    Access, Counts, CpuHits, CpuSlots, Cpus, DebugRegs, Kind, NoProbe, Privilege, Request, SlotError, Tables,
    VaSize, WatchHit, reset_all,
};

/// The registers of one CPU: value and control, by slot.
struct Registers {
    breakpoints: [(u64, u32); 6],
    watchpoints: [(u64, u32); 4],
}

impl Registers {
    fn slot(&mut self, kind: Kind, n: u8) -> &mut (u64, u32) {
        match kind {
            Kind::Breakpoint => &mut self.breakpoints[usize::from(n)],
            Kind::Watchpoint => &mut self.watchpoints[usize::from(n)],
        }
    }
}

impl DebugRegs for Registers {
    fn write_value(&mut self, kind: Kind, n: u8, value: u64) {
        self.slot(kind, n).0 = value;
    }

    fn write_control(&mut self, kind: Kind, n: u8, control: u32) {
        self.slot(kind, n).1 = control;
    }

    fn isb(&mut self) {
        // A kernel executes an ISB here: what was written before the ISB is in effect after it.
    }
}

/// The records of all slots, for all CPUs. A kernel keeps one word of its own in each record: here the number of the slot's client.
static TABLES: Tables<u64, 6, 4> = Tables::new();

/// Code and data of the debugger itself, where no slot may be set.
const NO_PROBE: NoProbe = NoProbe {
    text: &[0xffff_8000_0001_0000..0xffff_8000_0001_4000],
    data: &[0xffff_8000_0009_0000..0xffff_8000_0009_1000],
    va: VaSize::Bits48,
};

fn main() -> Result<(), SlotError> {
    // Bring-up of CPU 0, with debug exceptions masked. ID_AA64DFR0_EL1 of a CPU with 6 breakpoints and 4 watchpoints.
    let counts = Counts::from_ids(5 << 12 | 3 << 20 | 6, 0);
    let mut registers = Registers { breakpoints: [(0, u32::MAX); 6], watchpoints: [(0, u32::MAX); 4] };
    let mut cpu = CpuSlots::new();
    cpu.set_counts(counts);
    reset_all(&mut registers, counts);
    let hits = CpuHits::new();

    // What to watch: stores to 4 bytes, and loads of 12 bytes, which take two slots.
    let counter = 0xffff_8000_0020_0010;
    let stores = Request::watchpoint(counter, 4, Access::Write, Privilege::El1);
    let loads = Request::watchpoint(counter + 16, 12, Access::Read, Privilege::El1);
    let limit = counts.of(Kind::Watchpoint);
    let stores = TABLES.reserve(NO_PROBE.admit(&stores)?, Cpus::ALL, 1, limit)?;
    let loads = TABLES.reserve_pieces(NO_PROBE.admit_split(&loads)?, Cpus::ALL, 2, limit)?;

    // Every CPU arms them, with debug exceptions masked.
    cpu.arm(&mut registers, &TABLES, stores)?;
    for id in loads.iter() {
        cpu.arm(&mut registers, &TABLES, id)?;
    }
    assert_eq!(registers.watchpoints[0], (counter, 0xf << 5 | 0b10 << 3 | 0b01 << 1 | 1));

    // A request for the debugger's own code or data is refused, with the reason.
    let refused = NO_PROBE.admit(&Request::breakpoint(0xffff_8000_0001_2000, Privilege::El1));
    println!("refused: {}", refused.expect_err("the debugger's own text"));

    // A watchpoint exception: a 32-byte load from `counter` on. FAR_EL1 may be any address from the first byte of the access
    // to the last byte that is watched; WnR (bit 6 of ISS) is clear. So the slot for stores, which holds FAR, was not hit.
    let hit = WatchHit::from_syndrome(0, counter, 64);
    let slots = cpu.watchpoint_hits(&TABLES, &hit);
    assert!(!slots.is_empty());
    for n in slots.iter() {
        // The instruction is to run once: both slots of the range are suspended, it is stepped, and they are armed again.
        let record = cpu.suspend_whole(&mut registers, &TABLES, Kind::Watchpoint, n);
        let record = record.expect("attributed to a slot that is armed");
        println!("{} {n} was hit, for client {}", Kind::Watchpoint, record.payload);
        assert_eq!(record.payload, 2);
        hits.count(Kind::Watchpoint, n);
    }
    assert_eq!(registers.watchpoints.map(|(_, control)| control & 1), [1, 0, 0, 0]);
    cpu.rearm_all(&mut registers);
    assert_eq!(registers.watchpoints.map(|(_, control)| control & 1), [1, 1, 1, 0]);

    // Removal: each slot is retired, disarmed on every CPU, and then freed.
    for id in loads.iter().chain([stores]) {
        let count = TABLES.hits(id, [&hits].into_iter());
        println!("{} {}: {} hits", id.kind, id.index, count.unwrap_or(0));
        TABLES.retire(id)?;
        cpu.disarm(&mut registers, id);
        hits.clear(id.kind, id.index);
        TABLES.free(id)?;
    }
    assert!(cpu.armed(Kind::Watchpoint).is_empty());
    Ok(())
}

#[test]
fn the_example_runs() {
    main().expect("no slot is refused");
}
