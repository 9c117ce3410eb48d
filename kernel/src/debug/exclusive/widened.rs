//! The store-only watchpoints that match loads too on this CPU, until the sequence whose store they caught has been made.

use crate::debug::{CpuDebug, MAX_SLOTS, slots};
use ::slots::{Kind, SlotId, SlotMask};

/// Which they are, by index and generation: a slot that was removed meanwhile is not its index's next user.
pub struct Widened {
    mask: SlotMask,
    generations: [u32; MAX_SLOTS],
}

impl Widened {
    /// None.
    pub const NONE: Self = Self { mask: SlotMask::EMPTY, generations: [0; MAX_SLOTS] };
}

fn with<R>(cpu: &CpuDebug, use_: impl FnOnce(&mut Widened) -> R) -> R {
    // SAFETY: the value belongs to this CPU; with D masked no exception that uses it can interrupt, and no closure below
    // calls back into this module.
    use_(unsafe { &mut *cpu.widened.get() })
}

/// Whether any slot is. D is masked.
#[inline(always)]
pub fn any(cpu: &CpuDebug) -> bool {
    with(cpu, |widened| !widened.mask.is_empty())
}

/// Those of `slots` that are. D is masked.
pub fn among(cpu: &CpuDebug, slots: SlotMask) -> SlotMask {
    let slots = with(cpu, |widened| slots.intersection(widened.mask));
    super::filter(cpu, slots, |record| {
        with(cpu, |widened| {
            widened.generations.get(usize::from(record.id.index)) == Some(&record.id.generation)
        })
    })
}

/// Has a slot match loads too. D is masked.
pub fn insert(cpu: &CpuDebug, id: SlotId) {
    if slots::match_loads(cpu, id, true) {
        with(cpu, |widened| {
            if let Some(generation) = widened.generations.get_mut(usize::from(id.index)) {
                *generation = id.generation;
                widened.mask = widened.mask.with(id.index);
            }
        });
    }
}

/// Has a slot match what its record says. D is masked.
pub fn remove(cpu: &CpuDebug, id: SlotId) {
    slots::match_loads(cpu, id, false);
    with(cpu, |widened| widened.mask = widened.mask.without(SlotMask::of(id.index)));
}

/// Slots were re-armed from their records: those that are widened are made so again. D is masked.
#[cold]
#[inline(never)]
pub fn again(cpu: &CpuDebug) {
    let all = with(cpu, |widened| widened.mask);
    let mut left = SlotMask::EMPTY;
    for index in among(cpu, all) {
        if let Some(record) = slots::record(cpu, Kind::Watchpoint, index)
            && slots::match_loads(cpu, record.id, true)
        {
            left = left.with(index);
        }
    }
    with(cpu, |widened| widened.mask = left);
}
