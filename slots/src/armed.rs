//! What a CPU has armed in its slots of one kind, and the [`Lookup`] by which a hit finds its slot.
//!
//! The arrays are a copy of the records, kept by each CPU for itself, so that a hit reads no memory that other CPUs write.

use crate::lookup::{Entry, Keys, Lookup};
use crate::{Encoding, SlotMask};

/// Which use of a slot is armed. One word holds the use's generation (bits 31 to 0), the number of its record (39 to 32), and the
/// slot's entry in the [`Lookup`] (47 to 40).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Use(u64);

impl Use {
    #[inline(always)]
    pub(crate) const fn new(generation: u32, record: u8, entry: Entry) -> Use {
        Use(generation as u64 | (record as u64) << 32 | (entry.0 as u64) << 40)
    }

    #[inline(always)]
    pub(crate) const fn generation(self) -> u32 {
        self.0 as u32
    }

    pub(crate) const fn record(self) -> u8 {
        (self.0 >> 32) as u8
    }

    pub(crate) const fn entry(self) -> Entry {
        Entry((self.0 >> 40) as u8)
    }
}

/// One CPU's slots of one kind. `values`, `controls` and `uses` are indexed by slot number, and valid for armed slots only.
#[derive(Debug)]
pub(crate) struct Slots {
    /// The slots that this CPU has.
    pub(crate) all: SlotMask,
    /// The slots of `all` that are not armed.
    pub(crate) free: SlotMask,
    /// The armed watchpoints that match more than a doubleword. [`Lookup`] finds a slot by one doubleword, so it does not hold
    /// these.
    pub(crate) wide: SlotMask,
    pub(crate) lookup: Lookup,
    pub(crate) values: [u64; 64],
    pub(crate) controls: [u32; 64],
    pub(crate) uses: [Use; 64],
}

impl Slots {
    pub(crate) const fn new() -> Self {
        Slots {
            all: SlotMask::first(64),
            free: SlotMask::first(64),
            wide: SlotMask::EMPTY,
            lookup: Lookup::new(),
            values: [0; 64],
            controls: [0; 64],
            uses: [Use(0); 64],
        }
    }

    #[inline(always)]
    pub(crate) const fn armed(&self) -> SlotMask {
        self.all.without(self.free)
    }

    pub(crate) fn encoding(&self, n: u8) -> Encoding {
        Encoding { value: self.values[usize::from(n & 63)], control: self.controls[usize::from(n & 63)] }
    }

    /// Notes that slot `n` is armed now. `n` is below 64, and the slot was not armed. Writes no register.
    #[inline(always)]
    pub(crate) fn put(&mut self, n: u8, encoding: Encoding, wide: bool, this: Use) {
        self.put_without_lookup(n, encoding, this);
        if wide {
            self.wide = self.wide.with(n);
        } else if let Some(bucket) = self.lookup.free_bucket(key(encoding.value)) {
            self.lookup.put(bucket, this.entry());
        } else {
            self.rebuild();
        }
    }

    /// As [`put`](Self::put), but the caller enters the slot into `lookup` itself.
    #[inline(always)]
    pub(crate) fn put_without_lookup(&mut self, n: u8, Encoding { value, control }: Encoding, this: Use) {
        let at = usize::from(n & 63);
        self.values[at] = value;
        self.controls[at] = control;
        self.uses[at] = this;
        self.free = SlotMask(self.free.0 & !(1 << at));
    }

    #[cold]
    #[inline(never)]
    fn rebuild(&mut self) {
        let keys = All { armed: self.armed().without(self.wide), values: &self.values, uses: &self.uses };
        self.lookup.rebuild(keys);
    }

    /// Notes that slot `n` is no longer armed. Does nothing if it was not. Writes no register.
    #[inline]
    pub(crate) fn take(&mut self, n: u8) {
        if !self.armed().contains(n) {
            return;
        }
        self.free = self.free.with(n);
        if self.wide.contains(n) {
            self.wide = self.wide.without(SlotMask::of(n));
        } else {
            let keys = All { armed: self.armed().without(self.wide), values: &self.values, uses: &self.uses };
            self.lookup.remove(key(self.values[usize::from(n & 63)]), n, keys);
        }
    }
}

/// The key by which [`Lookup`] finds a slot. `address` is what the slot's value register holds: the address of a breakpoint's
/// instruction, or of a watchpoint's doubleword. Both are multiples of 4, so bits 1 and 0 are left out.
#[inline(always)]
pub(crate) const fn key(address: u64) -> u64 {
    address >> 2
}

struct All<'a> {
    armed: SlotMask,
    values: &'a [u64; 64],
    uses: &'a [Use; 64],
}

impl Keys for All<'_> {
    fn each(&self, mut use_: impl FnMut(u64, u8, Entry)) {
        for n in self.armed {
            let at = usize::from(n);
            use_(key(self.values[at]), n, self.uses[at].entry());
        }
    }
}
