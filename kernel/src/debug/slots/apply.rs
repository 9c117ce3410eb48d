//! Every CPU brings its slot registers into line with the records (rules H1, H2, H5).
//!
//! Whoever changes records *marks* them for the CPUs that they are for, draws a number for the change, and sends those CPUs an SGI.
//! [`protocols::Changes`] has the protocol by which a CPU finds the marked records, and by which the others see how far it is.

use super::bank;
use super::local::{set_armed, slots_of, with_slots};
use super::records::{Disposition, KINDS, LIMITS, RECORDS, SLOTS, limit};
use super::registers;
use crate::arch::daif::{self, AllMasked};
use crate::arch::{barrier, mdscr};
use crate::debug::control::{self, Masked};
use crate::debug::{self, MaskedCpu};
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

/// For each CPU the records that it has still to apply, by kind and number, and the last change that it has applied.
#[unsafe(link_section = ".noprobe.data")]
static APPLIED: PerCpu<Applied<{ 2 * RECORDS / 64 }>> = crate::per_cpu!(Applied::new());

/// The number of the change that has retired a record, if the caller did not wait for all CPUs to apply that change; else
/// [`NEVER`]. A record may be freed only when all CPUs have applied exactly this change (H1). With the number of an
/// earlier change, the record could be freed while it is still armed on another CPU.
#[unsafe(link_section = ".noprobe.data")]
static RETIRED: [[AtomicU64; RECORDS]; 2] = [const { [const { AtomicU64::new(NEVER) }; RECORDS] }; 2];
const NEVER: u64 = u64::MAX;

/// The hits of a retired record, summed over the CPUs that have disarmed it.
#[unsafe(link_section = ".noprobe.data")]
static LAST_HITS: [[AtomicU64; RECORDS]; 2] = [const { [const { AtomicU64::new(0) }; RECORDS] }; 2];

fn last_hits(id: SlotId) -> &'static AtomicU64 {
    &LAST_HITS[id.kind as usize][usize::from(id.record)]
}

/// Brings the debug hardware of this CPU into a known state (rule H8): clears the OS lock and the OS double lock,
/// switches off every slot of every bank, and sets MDSCR_EL1 to 0, or to EMBWE if the CPU has banks. Then arms the
/// slots that are set for this CPU already. Called when the CPU is brought up, with all exceptions masked, after the
/// CPU was marked as online.
pub fn init_cpu(cpu: &MaskedCpu) {
    crate::write_sysreg!("oslar_el1", 0);
    crate::write_sysreg!("osdlr_el1", 0);
    // OSLSR_EL1 shows a write of OSLAR_EL1, and debug exceptions are possible, only behind a context synchronization event (DDI 0487
    // D24.1.2.2).
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
    // Marks from before this moment may be of records that are gone, or of slots that this CPU lacks. Whoever marks from now on
    // finds the CPU online, and waits for it.
    APPLIED.this().forget();
    for id in SLOTS.for_cpu(me).filter(|&id| !bank::keeps(id)) {
        if id.index < counts.of(id.kind) {
            mark(id, Cpus::of(me));
        } else {
            log::error!("CPU {me} has no {} {}, so this slot does not work on it", id.kind, id.index);
        }
    }
    bring_into_line();
}

/// Marks a record as changed for each of `cpus`.
fn mark(id: SlotId, cpus: Cpus) {
    for cpu in (0..percpu::MAX_CPUS).filter(|&cpu| cpus.contains(cpu as u32)) {
        APPLIED.of(cpu).mark(id.kind as usize * RECORDS + usize::from(id.record));
    }
}

/// Reserves a slot for this CPU alone, and arms it, in constant time. Returns None where
/// [`CpuSlots::install`](::slots::CpuSlots::install) does. Any context.
#[inline(always)]
#[unsafe(link_section = ".noprobe.text")]
pub fn install_on_this_cpu(
    kind: Kind,
    admitted: Admitted,
    me: Cpus,
    disposition: Disposition,
) -> Option<SlotId> {
    // Masked, so that no handler of this CPU finds the record before its registers are written.
    let _masked = AllMasked::new();
    // SAFETY: D is masked for as long as `_masked` lives.
    let cpu = unsafe { debug::masked() };
    let (me, registers) = ((percpu::index() as u32, me), &mut registers::all(cpu));
    // SAFETY: this function has no other reference to the slots; D is masked.
    let slots = unsafe { slots_of(cpu) };
    let id = match kind {
        Kind::Breakpoint => slots.install(registers, kind, &SLOTS.breakpoints, admitted, me, disposition),
        Kind::Watchpoint => slots.install(registers, kind, &SLOTS.watchpoints, admitted, me, disposition),
    }?;
    cpu.add_armed_bits(mdscr::MDE | mdscr::KDE);
    // This pays what the end of a `Masked` section pays, but without a function call.
    control::pay(cpu);
    Some(id)
}

/// Reserves slots by `reserve`, and has every CPU of `cpus` arm them.
pub fn install_on_cpus(
    cpus: Cpus,
    reserve: impl FnOnce() -> Result<Pieces<SlotId>, SlotError>,
) -> Result<Pieces<SlotId>, SlotError> {
    free_retired();
    let slots = reserve()?;
    for id in slots.iter() {
        mark(id, cpus);
    }
    sync_cpus(CHANGES.draw(), cpus);
    Ok(slots)
}

/// Retires slots, has every CPU disarm them, and frees their records: see [`super::remove`] and [`super::remove_counted`]. Returns
/// the sum of their hits; None if the caller could not wait for the other CPUs, so that the sum is not known.
pub fn remove(slots: Pieces<SlotId>) -> Result<Option<u64>, SlotError> {
    let mut result = Ok(None);
    let mut retired = [None; 2];
    let mut all = Cpus(0);
    for (retired, id) in retired.iter_mut().zip(slots.iter()) {
        let cpus = SLOTS.live(id).map(|record| record.cpus);
        match (cpus, SLOTS.retire(id)) {
            (Some(cpus), Ok(())) => {
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
    let applied = sync_cpus(change, all);
    let mut hits = 0;
    for id in retired.into_iter().flatten() {
        if applied {
            // Every CPU has disarmed the slot. Nobody else frees the record, since it has no entry in `RETIRED`.
            match free(id) {
                Ok(of_slot) => hits += of_slot,
                Err(gone) => result = Err(gone),
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

/// Frees a retired record that no CPU has armed any more, and returns the sum of its hits. The sum is set to 0 here and not when a
/// removal begins, because a CPU that looks at the record for another reason may disarm the slot before the removal tells it to.
fn free(id: SlotId) -> Result<u64, SlotError> {
    let hits = last_hits(id).swap(0, Relaxed);
    SLOTS.free(id).map(|()| hits)
}

/// Has every online CPU of `cpus` bring its registers into line with the records as of `change`. Returns whether all of them have
/// done so: a caller in a debug context, or with D masked, does not wait for the other CPUs (H5).
#[unsafe(link_section = ".noprobe.text")]
fn sync_cpus(change: u64, cpus: Cpus) -> bool {
    sync_local();
    // This CPU is in line now. If the scheduler moves the caller to another CPU, the loop below brings that CPU into line.
    let behind = |&cpu: &usize| cpus.contains(cpu as u32) && !APPLIED.of(cpu).has(change);
    if crate::smp::cpus::online().find(behind).is_none() {
        return true;
    }
    crate::smp::cpus::kick_slots();
    if debug::this().depth.get() != 0 || daif::read().contains(Daif::D) {
        return false;
    }
    while crate::smp::cpus::online().any(|cpu| behind(&cpu)) {
        // Another CPU may wait for this CPU in the same loop, and both may have interrupts off, so that no SGI comes: each applies
        // changes while it waits.
        sync_local();
        barrier::relax();
    }
    true
}

/// Frees those records that were retired without waiting, and that every CPU has disarmed by now.
fn free_retired() {
    for record in SLOTS.iter().filter(|record| record.state == State::Retired) {
        let retired = &RETIRED[record.id.kind as usize][usize::from(record.id.record)];
        let change = retired.load(Acquire);
        // NEVER is greater than the number of any change that a CPU has applied. Whoever takes the entry frees the record. The
        // record is looked up again, because it may have been freed and retired anew since the iterator has read it.
        if crate::smp::cpus::online().all(|cpu| APPLIED.of(cpu).has(change))
            && retired.compare_exchange(change, NEVER, SeqCst, Relaxed).is_ok()
            && let Some(record) = SLOTS.lookup(record.id.kind, record.id.record)
        {
            let _ = free(record.id);
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
    // The CPU is looked up after masking, since the caller may have been moved to another CPU before (rule I10).
    let cpu = masked.cpu();
    let apply = |number: usize| apply(cpu, KINDS[number / RECORDS], (number % RECORDS) as u8);
    APPLIED.this().bring_into_line(&CHANGES, apply, || set_armed_bits(cpu));
}

/// Arms the slot of a live record, or disarms the slot of a retired one, on this CPU.
#[unsafe(link_section = ".noprobe.text")]
fn apply(cpu: &MaskedCpu, kind: Kind, record: u8) {
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

/// Has MDSCR_EL1 hold MDE and KDE exactly if a slot is armed now (H8). D is masked.
#[inline(always)]
#[unsafe(link_section = ".noprobe.text")]
fn set_armed_bits(cpu: &MaskedCpu) {
    set_armed(cpu);
    control::sync(cpu);
}
