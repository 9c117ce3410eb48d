//! Stacks for threads: pages of the pool, mapped in the upper half of an aligned block whose lower half is never mapped.
//!
//! A few stacks that nobody uses any more stay mapped, for the next threads: to unmap a stack, every CPU has to be told.

use super::layout::STACK_SLOTS as SLOTS;
use super::layout::{self, PAGE, STACK_SIZE};
use super::pages::Page;
use super::tables::{map_stack_page, unmap_stack};
use crate::percpu::MAX_CPUS;
use crate::sync::IrqMutex;

const PAGES: usize = STACK_SIZE / PAGE;

/// How many stacks without a thread stay mapped.
const KEPT: usize = 4;

/// Where a stack is mapped, and its pages.
struct Mapped {
    slot: usize,
    /// Given back when the value is dropped.
    _pages: [Option<Page>; PAGES],
}

struct Stacks {
    /// One bit for each slot, set while the slot is used.
    used: [u64; SLOTS / 64],
    /// No word of `used` before this one has a clear bit.
    first: usize,
    kept: [Option<Mapped>; KEPT],
}

static STACKS: IrqMutex<Stacks> =
    IrqMutex::new(Stacks { used: [0; SLOTS / 64], first: 0, kept: [const { None }; KEPT] });

impl Stacks {
    fn take_slot(&mut self) -> Option<usize> {
        while let Some(word) = self.used.get_mut(self.first) {
            if *word != u64::MAX {
                let bit = word.trailing_ones() as usize;
                *word |= 1 << bit;
                return Some(self.first * 64 + bit);
            }
            self.first += 1;
        }
        None
    }

    fn free_slot(&mut self, slot: usize) {
        self.used[slot / 64] &= !(1 << (slot % 64));
        self.first = self.first.min(slot / 64);
    }
}

/// A stack. Dropping it gives back its pages, or keeps them for the next thread.
pub struct Stack(Option<Mapped>);

impl Stack {
    /// A new stack, with what another thread may have left on it; None if memory or slots are used up. Thread context.
    pub fn new() -> Option<Self> {
        let slot = {
            let mut stacks = STACKS.lock();
            if let Some(kept) = stacks.kept.iter_mut().find_map(Option::take) {
                return Some(Self(Some(kept)));
            }
            stacks.take_slot()?
        };
        let pages = core::array::from_fn(|_| Page::uninitialised());
        if pages.iter().any(Option::is_none) {
            STACKS.lock().free_slot(slot);
            return None;
        }
        for (number, page) in pages.iter().flatten().enumerate() {
            map_stack_page(bottom(slot) + number * PAGE, page.physical());
        }
        Some(Self(Some(Mapped { slot, _pages: pages })))
    }

    /// The first address past the stack, where SP starts.
    pub fn top(&self) -> usize {
        // A stack is mapped until it is dropped.
        self.0.as_ref().map_or(0, |mapped| bottom(mapped.slot) + STACK_SIZE)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let Some(mapped) = self.0.take() else { return };
        let slot = mapped.slot;
        {
            let mut stacks = STACKS.lock();
            if let Some(place) = stacks.kept.iter_mut().find(|place| place.is_none()) {
                *place = Some(mapped);
                return;
            }
        }
        unmap_stack(bottom(slot));
        // No CPU can reach the pages any more.
        drop(mapped);
        STACKS.lock().free_slot(slot);
    }
}

fn bottom(slot: usize) -> usize {
    layout::STACKS + (MAX_CPUS << layout::CPU_STACKS_SHIFT) + slot * 2 * STACK_SIZE + STACK_SIZE
}
