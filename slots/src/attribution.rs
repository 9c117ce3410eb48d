//! Which slots a hit belongs to (rule H7).

use crate::{Encoding, SlotMask};

/// What the snapshot says about a watchpoint exception.
///
/// The fields of `ESR_EL1.ISS` (DDI 0487, "ISS encoding for an exception from a Watchpoint exception"): WPT is bits
/// 23 to 18, WPTV bit 17, FnP bit 15, FnV bit 10, WnR bit 6. Where one is not implemented it is zero, which reads as
/// "no number, FAR exact".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WatchHit {
    iss: u32,
    far: u64,
    zva_block: u64,
}

impl WatchHit {
    /// From the snapshots of `ESR_EL1.ISS` and FAR_EL1. `zva_block` is the size in bytes of the block that DC ZVA
    /// zeroes, a power of two: `4 << DCZID_EL0.BS`.
    #[inline]
    pub const fn from_syndrome(iss: u32, far: u64, zva_block: u64) -> WatchHit {
        WatchHit { iss, far, zva_block }
    }

    /// FAR_EL1, unless the syndrome's FnV says that it is not valid.
    #[inline]
    pub const fn far(&self) -> Option<u64> {
        if self.bit(10) { None } else { Some(self.far) }
    }

    /// Whether FAR_EL1 is the exact address (FnP clear), not just one nearby.
    #[inline]
    pub const fn precise(&self) -> bool {
        !self.bit(15)
    }

    /// WnR: a write. An atomic that a read watchpoint would have caught counts as a read.
    #[inline]
    pub const fn write(&self) -> bool {
        self.bit(6)
    }

    /// WPT, where WPTV says that it is valid: the number of a slot that matched, perhaps one of several.
    #[inline]
    pub const fn slot(&self) -> Option<u8> {
        if self.bit(17) { Some((self.iss >> 18 & 0x3f) as u8) } else { None }
    }

    /// The size in bytes of the block that DC ZVA zeroes.
    #[inline]
    pub const fn zva_block(&self) -> u64 {
        self.zva_block
    }

    /// FAR, where the syndrome leaves nothing but it to look at.
    #[inline]
    pub(crate) const fn plain_far(&self) -> Option<u64> {
        if WatchHit::is_plain(self.iss) { Some(self.far) } else { None }
    }

    /// Whether `ESR_EL1.ISS` says neither FnV nor FnP nor WPTV.
    #[inline(always)]
    pub(crate) const fn is_plain(iss: u32) -> bool {
        iss & (1 << 10 | 1 << 15 | 1 << 17) == 0
    }

    const fn bit(&self, n: u32) -> bool {
        self.iss >> n & 1 != 0
    }
}

/// The breakpoints among `armed` that match an exception at `pc` (ELR_EL1): all of them, several may.
///
/// `armed` are the slots armed *and not suspended* on this CPU.
#[inline]
pub fn breakpoint_hits(pc: u64, armed: impl Iterator<Item = (u8, Encoding)>) -> SlotMask {
    armed.filter(|(_, encoding)| encoding.value == pc).fold(SlotMask::EMPTY, |mask, (n, _)| mask.with(n))
}

/// The watchpoints among `armed` that an access is attributed to; empty only if there is nothing to attribute it to.
///
/// `armed` are the slots armed *and not suspended* on this CPU: that is what makes progress when an access touches
/// several. In order of preference:
///
/// 1. The slot that the syndrome names (WPT), with all whose range holds an exact FAR. A number that is not among
///    `armed` is a hit of a slot nobody owns, and attributed to no other by guess.
/// 2. All slots whose range holds FAR, those that fit the direction of the access first.
/// 3. The nearest. FAR lies below the highest watched byte accessed and in one block of at most DC ZVA's size with it
///    (DDI 0487, "Determining the memory location that caused a Watchpoint exception"), so slots which that allows come
///    before slots in the same block, and these before all others.
/// 4. Without a valid FAR, all that fit the direction.
pub fn watchpoint_hits(hit: &WatchHit, armed: impl Iterator<Item = (u8, Encoding)> + Clone) -> SlotMask {
    let select = |fits: &dyn Fn(&Encoding) -> bool| {
        armed.clone().filter(|(_, e)| fits(e)).fold(SlotMask::EMPTY, |mask, (n, _)| mask.with(n))
    };
    let holds_far = |e: &Encoding| {
        let (first, last) = e.watched();
        hit.far().is_some_and(|far| first <= far && far <= last)
    };
    let exact = select(&|e| holds_far(e) && e.matches_access(hit.write()));
    if let Some(slot) = hit.slot() {
        let named = if armed.clone().any(|(n, _)| n == slot) { SlotMask::of(slot) } else { SlotMask::EMPTY };
        return if hit.precise() { named.union(exact) } else { named };
    }
    if !exact.is_empty() {
        return exact;
    }
    // Emulators report an atomic caught by a read watchpoint as a write.
    let exact = select(&holds_far);
    if !exact.is_empty() {
        return exact;
    }
    let fitting = select(&|e| e.matches_access(hit.write()));
    let candidates = if fitting.is_empty() { select(&|_| true) } else { fitting };
    match hit.far() {
        Some(far) => nearest(far, hit.zva_block(), armed.filter(|&(n, _)| candidates.contains(n))),
        None => candidates,
    }
}

fn nearest(far: u64, block: u64, candidates: impl Iterator<Item = (u8, Encoding)>) -> SlotMask {
    let block_mask = !(block.max(1) - 1);
    let mut best = (u64::MAX, u64::MAX);
    let mut mask = SlotMask::EMPTY;
    for (n, encoding) in candidates {
        let (first, last) = encoding.watched();
        let (distance, edge) =
            if last < far { (far - last, last) } else { (first.saturating_sub(far), first) };
        let rank = match (edge & block_mask == far & block_mask, last < far) {
            (true, false) => 0,
            (true, true) => 1,
            (false, _) => 2,
        };
        let key = (rank, distance);
        if key < best {
            best = key;
            mask = SlotMask::EMPTY;
        }
        if key == best {
            mask = mask.with(n);
        }
    }
    mask
}
