//! Records and registers brought into line, on every CPU (rules H1, H2, H5).
//!
//! [`protocols::Changes`] is how CPUs tell each other of changed records.

use super::local::{slots_of, with_slots};
use super::records::{Disposition, KINDS, LIMITS, RECORDS, SLOTS, limit};
use super::registers;
use crate::arch::daif::{self, AllMasked};
use crate::arch::{barrier, mdscr};
use crate::debug::control::{self, Masked};
use crate::debug::{self, CpuDebug};
use crate::percpu::{self, PerCpu};
use ::slots::{Admitted, Cpus, Kind, Pieces, SlotError, SlotId, State};
use core::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release, SeqCst},
};
use protocols::{Applied, Changes};
use rules::pstate::Daif;

#[unsafe(link_section = ".noprobe.data")]
static CHANGES: Changes = Changes::new();

/// What a CPU has to apply, and what it has applied: records by kind and number.
#[unsafe(link_section = ".noprobe.data")]
static APPLIED: PerCpu<Applied<{ 2 * RECORDS / 64 }>> = crate::per_cpu!(Applied::new());

/// Which change retired a record without waiting for all CPUs to apply it. A record may go only when all have (H1): counting
/// from any other change, one that was retired meanwhile would go while it is armed elsewhere.
#[unsafe(link_section = ".noprobe.data")]
static RETIRED: [[AtomicU64; RECORDS]; 2] = [const { [const { AtomicU64::new(NEVER) }; RECORDS] }; 2];
const NEVER: u64 = u64::MAX;

/// Hits of a record that is retired, on the CPUs that have let go of it.
#[unsafe(link_section = ".noprobe.data")]
static LAST_HITS: [[AtomicU64; RECORDS]; 2] = [const { [const { AtomicU64::new(0) }; RECORDS] }; 2];

fn last_hits(id: SlotId) -> &'static AtomicU64 {
    &LAST_HITS[id.kind as usize][usize::from(id.record)]
}

/// Brings the debug hardware of this CPU into a known state: locks cleared, every slot of every bank off (rule H8), MDSCR_EL1
/// zero but for EMBWE where there are banks, slots that exist already armed. Bring-up, masked; the CPU is online.
pub fn init_cpu(cpu: &CpuDebug) {
    crate::write_sysreg!("oslar_el1", 0);
    crate::write_sysreg!("osdlr_el1", 0);
    barrier::isb();
    const OSLK: u64 = 1 << 1;
    assert!(crate::read_sysreg!("oslsr_el1") & OSLK == 0, "rule H8: the OS lock stays set");
    let counts = registers::bring_up(cpu);
    for kind in KINDS {
        let (mine, known) = (counts.of(kind), limit(kind));
        LIMITS[kind as usize].store(if known == 0 { mine } else { known.min(mine) }, Relaxed);
    }
    with_slots(cpu, |slots| slots.set_counts(counts));
    let me = percpu::index() as u32;
    // What was marked before may be gone, or a slot that this CPU lacks. Who marks from here on finds the CPU online and waits.
    APPLIED.this().forget();
    for id in SLOTS.for_cpu(me) {
        if id.index < counts.of(id.kind) {
            mark(id, Cpus::of(me));
        } else {
            log::error!("CPU {me} has no {} {}: what is set there is not in force on it", id.kind, id.index);
        }
    }
    bring_into_line();
}

/// Says that a record has changed, to the CPUs that it is for.
fn mark(id: SlotId, cpus: Cpus) {
    for cpu in (0..percpu::MAX_CPUS).filter(|&cpu| cpus.contains(cpu as u32)) {
        APPLIED.of(cpu).mark(id.kind as usize * RECORDS + usize::from(id.record));
    }
}

/// Reserves a slot for this CPU alone, and arms it, in the shortest way: see [`CpuSlots::install`](::slots::CpuSlots::install).
/// Any context.
#[inline(always)]
#[unsafe(link_section = ".noprobe.text")]
pub fn here(kind: Kind, admitted: Admitted, me: Cpus, disposition: Disposition) -> Option<SlotId> {
    // Masked, so that no handler of this CPU finds the record before its registers are written.
    let _masked = AllMasked::new();
    let cpu = debug::this();
    let (me, registers) = ((percpu::index() as u32, me), &mut registers::all(cpu));
    // SAFETY: this function has no other reference to the slots; D is masked.
    let slots = unsafe { slots_of(cpu) };
    let id = match kind {
        Kind::Breakpoint => slots.install(registers, kind, &SLOTS.breakpoints, admitted, me, disposition),
        Kind::Watchpoint => slots.install(registers, kind, &SLOTS.watchpoints, admitted, me, disposition),
    }?;
    cpu.add_armed_bits(mdscr::MDE | mdscr::KDE);
    // What `Masked` would do, without a call.
    control::pay(cpu);
    Some(id)
}

/// Reserves slots, and has every CPU that they are for arm them.
pub fn anywhere(
    cpus: Cpus,
    reserve: impl FnOnce() -> Result<Pieces<SlotId>, SlotError>,
) -> Result<Pieces<SlotId>, SlotError> {
    free_retired();
    let slots = reserve()?;
    for id in slots.iter() {
        mark(id, cpus);
    }
    everywhere(CHANGES.draw(), cpus);
    Ok(slots)
}

/// See [`super::remove`] and [`super::remove_counted`].
pub fn remove(slots: Pieces<SlotId>) -> Result<Option<u64>, SlotError> {
    let mut result = Ok(None);
    let mut retired = [None; 2];
    let mut all = Cpus(0);
    for (retired, id) in retired.iter_mut().zip(slots.iter()) {
        let cpus = SLOTS.live(id).map(|record| record.cpus);
        match (cpus, SLOTS.retire(id)) {
            (Some(cpus), Ok(())) => {
                // No CPU lets go of it before it is told.
                last_hits(id).store(0, Relaxed);
                mark(id, cpus);
                all = Cpus(all.0 | cpus.0);
                *retired = Some(id);
            }
            _ => result = Err(SlotError::Gone { id }),
        }
    }
    if retired == [None; 2] {
        return result;
    }
    let change = CHANGES.draw();
    let applied = everywhere(change, all);
    let mut hits = 0;
    for id in retired.into_iter().flatten() {
        if applied {
            // Every CPU has let go of it, and nobody else frees a record without an entry in `RETIRED`.
            hits += last_hits(id).load(Relaxed);
            if let Err(gone) = SLOTS.free(id) {
                result = Err(gone);
            }
        } else {
            RETIRED[id.kind as usize][usize::from(id.record)].store(change, Release);
        }
    }
    if applied {
        return result.map(|_| Some(hits));
    }
    free_retired();
    result
}

/// Has every online CPU of `cpus` bring its registers into line with the records as of `change`. Whether all have when this
/// returns: a debug context, or one with D masked, does not wait for the others (H5).
#[unsafe(link_section = ".noprobe.text")]
fn everywhere(change: u64, cpus: Cpus) -> bool {
    sync_local();
    // This CPU has done its part, and if the caller goes on on another one, the loop below does that one's.
    let behind = |&cpu: &usize| cpus.contains(cpu as u32) && !APPLIED.of(cpu).has(change);
    if crate::smp::cpus::online().find(behind).is_none() {
        return true;
    }
    crate::smp::cpus::kick_slots();
    if debug::this().depth.get() != 0 || daif::read().contains(Daif::D) {
        return false;
    }
    while crate::smp::cpus::online().any(|cpu| behind(&cpu)) {
        // Two CPUs that wait for each other with interrupts off must still get on.
        sync_local();
        barrier::relax();
    }
    true
}

/// Frees the records that were retired without waiting, as far as every CPU has let go of them by now.
fn free_retired() {
    for record in SLOTS.iter().filter(|record| record.state == State::Retired) {
        let retired = &RETIRED[record.id.kind as usize][usize::from(record.id.record)];
        let change = retired.load(Acquire);
        // NEVER is more than any CPU has applied. Whoever takes the entry frees the record, which may be another use of it by
        // now.
        if crate::smp::cpus::online().all(|cpu| APPLIED.of(cpu).has(change))
            && retired.compare_exchange(change, NEVER, SeqCst, Relaxed).is_ok()
            && let Some(record) = SLOTS.lookup(record.id.kind, record.id.record)
        {
            let _ = SLOTS.free(record.id);
        }
    }
}

/// Brings this CPU's registers into line with the records. Any context.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn sync_local() {
    if !APPLIED.this().is_current(&CHANGES) {
        bring_into_line();
    }
}

#[unsafe(link_section = ".noprobe.text")]
fn bring_into_line() {
    let masked = Masked::new();
    // Not before the masks are set: the caller may be on another CPU than it was (rule I10).
    let cpu = masked.cpu();
    let apply = |number: usize| apply(cpu, KINDS[number / RECORDS], (number % RECORDS) as u8);
    APPLIED.this().bring_into_line(&CHANGES, apply, || set_armed_bits(cpu));
}

/// Arms or disarms what one record says.
#[unsafe(link_section = ".noprobe.text")]
fn apply(cpu: &CpuDebug, kind: Kind, record: u8) {
    let Some(record) = SLOTS.lookup(kind, record) else { return };
    let id = record.id;
    with_slots(cpu, |slots| {
        let armed = slots.id(kind, id.index) == Some(id);
        match record.state {
            State::Live if !armed => {
                slots.arm_new(&mut registers::all(cpu), id, record.encoding, record.plain)
            }
            State::Retired if armed => {
                slots.disarm(&mut registers::all(cpu), id);
                last_hits(id).fetch_add(cpu.hits.of(kind, id.index), Relaxed);
                cpu.hits.clear(kind, id.index);
            }
            _ => {}
        }
    });
}

/// MDE and KDE, for what is armed now (H8). D is masked.
#[inline(always)]
#[unsafe(link_section = ".noprobe.text")]
fn set_armed_bits(cpu: &CpuDebug) {
    let any = with_slots(cpu, |slots| {
        !(slots.armed(Kind::Breakpoint).is_empty() && slots.armed(Kind::Watchpoint).is_empty())
    });
    cpu.set_armed_bits(if any { mdscr::MDE | mdscr::KDE } else { 0 });
    control::sync(cpu);
}
