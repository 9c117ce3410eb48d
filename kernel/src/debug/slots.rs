//! The slot manager: hands out hardware breakpoints and watchpoints, and has every CPU take part.
//!
//! A record is reserved or retired in one place; each CPU then brings its registers into line with the records, in
//! [`sync_local`]: at once on the CPU that asks, by an interrupt on the others (rule H5).

mod registers;

use super::{CpuDebug, MAX_SLOTS, control, exclusive, stats};
use crate::arch::daif::{self, AllMasked};
use crate::arch::{barrier, mdscr};
use crate::exception::Frame;
use crate::mm::layout;
use crate::percpu::{self, PerCpu};
use ::slots::{
    Admitted, CpuSlots, Cpus, DebugRegs, Kind, NoProbe, Payload, Pieces, Privilege, ReadRegs, Request,
    SlotError, SlotId, SlotMask, Snapshot, State, Suspended, Tables,
};
use core::sync::atomic::{
    AtomicU8, AtomicU64,
    Ordering::{Acquire, Relaxed, Release, SeqCst},
};
use rules::pstate::Daif;

/// What is done about a hit, besides counting it. Runs in debug context (rule M10).
pub type Handler = fn(&Hit, &mut Frame);

/// What a handler is told.
#[derive(Clone, Copy)]
pub struct Hit {
    /// The slot.
    pub id: SlotId,
    /// The address that the slot is set on.
    pub address: u64,
}

/// A slot's disposition.
#[derive(Clone, Copy)]
pub enum Disposition {
    /// Count.
    Count,
    /// Count and call.
    Call(Handler),
    /// Count and stop in the kernel's debugger.
    Stop,
}

/// Where a handler's address would be.
const STOP: u64 = 1;

impl Payload for Disposition {
    #[inline(always)]
    fn to_words(self) -> [u64; 2] {
        match self {
            Self::Count => [0, 0],
            Self::Stop => [STOP, 0],
            Self::Call(handler) => [handler as usize as u64, 0],
        }
    }

    #[inline(always)]
    fn from_words(words: [u64; 2]) -> Self {
        match words[0] {
            0 => Self::Count,
            STOP => Self::Stop,
            // SAFETY: the word came from `to_words`, which put the address of a `Handler` there.
            address => Self::Call(unsafe { core::mem::transmute::<usize, Handler>(address as usize) }),
        }
    }
}

#[unsafe(no_mangle)]
#[unsafe(link_section = ".noprobe.data")]
static SLOTS: Tables<Disposition, MAX_SLOTS, MAX_SLOTS> = Tables::new();

/// How many slots of each kind every CPU has.
#[unsafe(link_section = ".noprobe.data")]
static LIMITS: [AtomicU8; 2] = [const { AtomicU8::new(0) }; 2];

/// Counts changes of the records; a CPU that has `APPLIED` that many has its registers in line. No CPU has at first.
#[unsafe(link_section = ".noprobe.data")]
static CHANGES: AtomicU64 = AtomicU64::new(1);
#[unsafe(link_section = ".noprobe.data")]
static APPLIED: PerCpu<AtomicU64> = crate::per_cpu!(AtomicU64::new(0));

/// Which change retired the record of an index without waiting for all CPUs to apply it. A record may go only when all have
/// (H1): counting from any other change, one that was retired meanwhile would go while it is armed elsewhere.
#[unsafe(link_section = ".noprobe.data")]
static RETIRED: [[AtomicU64; MAX_SLOTS]; 2] = [const { [const { AtomicU64::new(NEVER) }; MAX_SLOTS] }; 2];
const NEVER: u64 = u64::MAX;

/// This CPU's slots, with D masked.
#[inline(always)]
fn with_slots<R>(cpu: &CpuDebug, use_: impl FnOnce(&mut CpuSlots) -> R) -> R {
    // SAFETY: no caller's closure calls back into this module.
    use_(unsafe { slots_of(cpu) })
}

/// The same for the path of a hit, where nothing may be left to the compiler's taste for inlining closures.
///
/// # Safety
/// One at a time.
#[inline(always)]
#[expect(clippy::mut_from_ref, reason = "the cell is this CPU's, and D is masked")]
unsafe fn slots_of(cpu: &CpuDebug) -> &mut CpuSlots {
    debug_assert!(daif::read().contains(Daif::D), "slots are changed with D masked (H1)");
    // SAFETY: the value belongs to this CPU; with D masked no exception that uses it can interrupt; the caller holds no other.
    unsafe { &mut *cpu.slots.get() }
}

fn limit(kind: Kind) -> u8 {
    LIMITS[kind as usize].load(Relaxed)
}

/// How many slots of this kind each CPU has. Any context.
pub fn count(kind: Kind) -> u8 {
    limit(kind)
}

/// Brings the debug hardware of this CPU into a known state: locks cleared, every slot of every bank off (rule H8), MDSCR_EL1
/// zero but for EMBWE where there are banks, slots that exist already armed. Bring-up, masked.
pub fn init_cpu(cpu: &CpuDebug) {
    crate::write_sysreg!("oslar_el1", 0);
    crate::write_sysreg!("osdlr_el1", 0);
    barrier::isb();
    const OSLK: u64 = 1 << 1;
    assert!(crate::read_sysreg!("oslsr_el1") & OSLK == 0, "rule H8: the OS lock stays set");
    let counts = registers::bring_up(cpu);
    for kind in [Kind::Breakpoint, Kind::Watchpoint] {
        let (mine, known) = (counts.of(kind), limit(kind));
        LIMITS[kind as usize].store(if known == 0 { mine } else { known.min(mine) }, Relaxed);
    }
    sync_local(cpu);
}

/// Value and control register of a slot of this CPU, for listings. Any context.
pub fn read_registers(kind: Kind, n: u8) -> (u64, u32) {
    let _masked = AllMasked::new();
    let mut registers = registers::all();
    (registers.read_value(kind, n), registers.read_control(kind, n))
}

/// Where slots are refused (rule H6).
fn no_probe<R>(check: impl FnOnce(&NoProbe) -> R) -> R {
    let text = layout::noprobe_text_start() as u64..layout::noprobe_text_end() as u64;
    let data = layout::noprobe_data_start() as u64..layout::noprobe_data_end() as u64;
    check(&NoProbe { text: &[text], data: &[data] })
}

/// Sets a slot on the CPUs of `cpus`. When this returns it is in force on all that are online (H2, H5); called from a debug
/// context it is in force here, and elsewhere as each CPU takes the interrupt.
///
/// Any context; with several CPUs online interrupts must be on, or D masked.
///
/// # Errors
/// What cannot be, with the reason: see [`SlotError`].
pub fn install(request: &Request, cpus: Cpus, disposition: Disposition) -> Result<SlotId, SlotError> {
    let admitted = no_probe(|no_probe| no_probe.admit(request))?;
    exclusive::check(request)?;
    install_admitted(admitted.into(), cpus, disposition).map(|slots| slots.first())
}

/// As [`install`], rules H6 and H9 overridden: for tests that show what becomes of what is refused.
///
/// # Errors
/// As `install`, but for these.
pub fn install_despite_no_probe(
    request: &Request,
    cpus: Cpus,
    disposition: Disposition,
) -> Result<SlotId, SlotError> {
    let admitted = Admitted::despite_no_probe(request)?;
    install_admitted(admitted.into(), cpus, disposition).map(|slots| slots.first())
}

/// As [`install`], over two slots if one does not hold the range and two do exactly: then both are set, or none. They are
/// one to all intents: an access that touches both is one hit.
///
/// # Errors
/// As `install`, and [`SlotError::CannotSplit`], [`SlotError::NeedsTwo`].
pub fn install_split(
    request: &Request,
    cpus: Cpus,
    disposition: Disposition,
) -> Result<Pieces<SlotId>, SlotError> {
    let admitted = no_probe(|no_probe| no_probe.admit_split(request))?;
    exclusive::check(request)?;
    install_admitted(admitted, cpus, disposition)
}

fn install_admitted(
    admitted: Pieces<Admitted>,
    cpus: Cpus,
    disposition: Disposition,
) -> Result<Pieces<SlotId>, SlotError> {
    free_retired();
    let slots = SLOTS.reserve_pieces(admitted, cpus, disposition, limit(admitted.first().kind()))?;
    everywhere(changed());
    Ok(slots)
}

/// Takes a slot, or the two of [`install_split`], away. When this returns it can hit no more (H2) and is free, with the
/// exceptions of [`install`].
///
/// # Errors
/// [`SlotError::Gone`] if it is not there any more.
pub fn remove(slots: impl Into<Pieces<SlotId>>) -> Result<(), SlotError> {
    let mut result = Ok(());
    let mut retired = [None; 2];
    for (retired, id) in retired.iter_mut().zip(slots.into().iter()) {
        match SLOTS.retire(id) {
            Ok(()) => *retired = Some(id),
            Err(gone) => result = Err(gone),
        }
    }
    if retired == [None; 2] {
        return result;
    }
    let change = changed();
    if everywhere(change) {
        for id in retired.into_iter().flatten() {
            // Every CPU has let go of it, and nobody else frees a record without an entry in `RETIRED`.
            result = result.and(SLOTS.free(id));
        }
    } else {
        for id in retired.into_iter().flatten() {
            RETIRED[id.kind as usize][usize::from(id.index)].store(change, Release);
        }
        free_retired();
    }
    result
}

/// Hits of a slot, or of the two of [`install_split`], so far.
pub fn hits(slots: impl Into<Pieces<SlotId>>) -> Option<u64> {
    slots.into().iter().map(|id| SLOTS.hits(id)).sum()
}

/// All records. Any context.
pub fn list() -> impl Iterator<Item = Snapshot<Disposition>> {
    SLOTS.iter()
}

/// Counts a change of the records, made before.
#[unsafe(link_section = ".noprobe.text")]
fn changed() -> u64 {
    CHANGES.fetch_add(1, SeqCst) + 1
}

/// Has every online CPU bring its registers into line with the records as of `change`. Whether all have when this returns: a
/// debug context, or one with D masked, does not wait for the others (H5).
#[unsafe(link_section = ".noprobe.text")]
fn everywhere(change: u64) -> bool {
    let cpu = super::this();
    sync_local(cpu);
    crate::smp::kick_slots();
    if cpu.depth.get() != 0 || daif::read().contains(Daif::D) {
        return false;
    }
    for other in crate::smp::online() {
        while APPLIED.of(other).load(Acquire) < change {
            // Two CPUs that wait for each other with interrupts off must still get on.
            sync_local(cpu);
            crate::arch::barrier::relax();
        }
    }
    true
}

/// Frees the records that were retired without waiting, as far as every CPU has let go of them by now.
fn free_retired() {
    for record in SLOTS.iter().filter(|record| record.state == State::Retired) {
        let SlotId { kind, index, .. } = record.id;
        let retired = &RETIRED[kind as usize][usize::from(index)];
        let change = retired.load(Acquire);
        // NEVER is more than any CPU has applied. Whoever takes the entry frees the record, which may be another use of the
        // index by now.
        if crate::smp::online().all(|cpu| APPLIED.of(cpu).load(Acquire) >= change)
            && retired.compare_exchange(change, NEVER, SeqCst, Relaxed).is_ok()
            && let Some(record) = SLOTS.lookup(kind, index)
        {
            let _ = SLOTS.free(record.id);
        }
    }
}

/// Brings this CPU's registers into line with the records. Any context.
#[unsafe(link_section = ".noprobe.text")]
pub fn sync_local(cpu: &CpuDebug) {
    if APPLIED.this().load(Relaxed) == CHANGES.load(SeqCst) {
        return;
    }
    let _masked = AllMasked::new();
    let changes = CHANGES.load(SeqCst);
    let me = percpu::index() as u32;
    with_slots(cpu, |slots| {
        for kind in [Kind::Breakpoint, Kind::Watchpoint] {
            for index in 0..limit(kind) {
                let Some(record) = SLOTS.lookup(kind, index) else { continue };
                let wanted = record.state == State::Live && record.cpus.contains(me);
                match (slots.armed(kind).contains(index), wanted) {
                    (false, true) => {
                        let _ = slots.arm(&mut registers::all(), &SLOTS, record.id);
                    }
                    (true, false) => slots.disarm(&mut registers::all(), record.id),
                    _ => {}
                }
            }
        }
        let any = !(slots.armed(Kind::Breakpoint).is_empty() && slots.armed(Kind::Watchpoint).is_empty());
        cpu.set_armed_bits(if any { mdscr::MDE | mdscr::KDE } else { 0 });
    });
    control::sync(cpu);
    APPLIED.this().store(changes, Release);
}

/// The slots that a breakpoint exception at `pc` belongs to. D is masked.
#[inline(always)]
pub fn breakpoint_hits(cpu: &CpuDebug, pc: u64) -> SlotMask {
    let armed = with_slots(cpu, |slots| slots.matching(Kind::Breakpoint));
    SLOTS.breakpoint_hits(pc, armed, limit(Kind::Breakpoint))
}

/// The slots that a watchpoint exception belongs to (rule H7). D is masked.
#[inline(always)]
pub fn watchpoint_hits(cpu: &CpuDebug, hit: &::slots::WatchHit) -> SlotMask {
    let armed = with_slots(cpu, |slots| slots.matching(Kind::Watchpoint));
    SLOTS.watchpoint_hits(hit, armed, limit(Kind::Watchpoint))
}

/// Suspends a slot that was hit; counts the hit if `report`; returns what else is to be done. D is masked.
#[inline(always)]
pub fn suspend(cpu: &CpuDebug, kind: Kind, index: u8, report: bool) -> Option<Snapshot<Disposition>> {
    let mut record = SLOTS.lookup(kind, index)?;
    // What the table says too, but a constant here, which spares the choice between the kinds of registers.
    record.id.kind = kind;
    // SAFETY: the only one here.
    unsafe { slots_of(cpu) }.suspend(&mut registers::all(), record.id, record.encoding);
    if kind == Kind::Watchpoint
        && let Some(mate) = SLOTS.mate(record.id)
    {
        suspend_mate(cpu, &mate);
    }
    if report {
        SLOTS.count_hit(kind, index);
    }
    Some(record)
}

/// A slot's record, if there is one. D is masked.
pub fn record(kind: Kind, index: u8) -> Option<Snapshot<Disposition>> {
    SLOTS.lookup(kind, index)
}

/// The other slot of [`install_split`], if there is one. D is masked.
pub fn mate(id: SlotId) -> Option<Snapshot<Disposition>> {
    SLOTS.mate(id)
}

/// Counts a hit of a slot that is not suspended for it. D is masked.
pub fn count_hit(kind: Kind, index: u8) -> Option<Snapshot<Disposition>> {
    let record = SLOTS.lookup(kind, index)?;
    SLOTS.count_hit(kind, index);
    Some(record)
}

/// The watchpoints that an access from EL1 would hit here if D were open: armed and not suspended. Of two that are one
/// ([`install_split`]) the first. D is masked.
pub fn touched(cpu: &CpuDebug, address: u64, bytes: u64, write: bool) -> SlotMask {
    let armed = with_slots(cpu, |slots| slots.matching(Kind::Watchpoint));
    let mut hits = SlotMask::EMPTY;
    for index in armed {
        let Some(record) = SLOTS.lookup(Kind::Watchpoint, index) else { continue };
        let (first, last) = record.encoding.watched();
        if record.encoding.privilege() != Privilege::El0
            && record.encoding.matches_access(write)
            && first < address.saturating_add(bytes)
            && address <= last
            && !SLOTS.mate(record.id).is_some_and(|mate| hits.contains(mate.id.index))
        {
            hits = hits.with(index);
        }
    }
    hits
}

/// Has a watchpoint match loads too on this CPU, or what its record says again. False if it is not armed here, or gone. No
/// ISB. D is masked.
pub fn match_loads(cpu: &CpuDebug, id: SlotId, loads: bool) -> bool {
    const LSC_LOADS: u32 = 1 << 3;
    let Some(encoding) = SLOTS.encoding_of(id) else { return false };
    let (armed, suspended) =
        with_slots(cpu, |slots| (slots.armed(id.kind).contains(id.index), slots.suspended().contains(id)));
    if armed && !suspended {
        let control = encoding.enabled() | if loads { LSC_LOADS } else { 0 };
        registers::all().write_control(id.kind, id.index, control);
    }
    armed
}

/// The other half of a range over two slots, hit or not, is let through with the one that is.
#[cold]
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
fn suspend_mate(cpu: &CpuDebug, mate: &Snapshot<Disposition>) {
    with_slots(cpu, |slots| slots.suspend(&mut registers::all(), mate.id, mate.encoding));
}

/// Re-arms what is suspended. No ISB: the exception return synchronises. D is masked.
#[inline(always)]
pub fn rearm(cpu: &CpuDebug) {
    // SAFETY: the only one here.
    unsafe { slots_of(cpu) }.rearm_all(&mut registers::all(), &SLOTS);
    if exclusive::any_widened(cpu) {
        exclusive::widen_again(cpu);
    }
}

/// Re-arms what is suspended and says what it was (M8). No ISB. D is masked.
#[inline(always)]
pub fn stash(cpu: &CpuDebug) -> Suspended {
    let suspended = with_slots(cpu, |slots| slots.stash(&mut registers::all(), &SLOTS));
    if exclusive::any_widened(cpu) {
        exclusive::widen_again(cpu);
    }
    suspended
}

/// Suspends again what still exists (M8); whether anything is suspended now. No ISB. D is masked.
#[inline(always)]
pub fn unstash(cpu: &CpuDebug, suspended: &Suspended) -> bool {
    with_slots(cpu, |slots| {
        slots.unstash(&mut registers::all(), &SLOTS, suspended);
        !slots.suspended().is_empty()
    })
}

/// Whether a slot is suspended on this CPU. D is masked.
pub fn any_suspended(cpu: &CpuDebug) -> bool {
    with_slots(cpu, |slots| !slots.suspended().is_empty())
}

/// A hit that nothing accounts for (rule H3): switches off whatever has no record, and counts.
#[cold]
#[unsafe(link_section = ".noprobe.text")]
pub fn spurious(cpu: &CpuDebug, kind: Kind) {
    stats::SPURIOUS.count();
    with_slots(cpu, |slots| slots.resync(&mut registers::all(), &SLOTS, kind, limit(kind)));
}
