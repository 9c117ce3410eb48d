//! Which slots a hit belongs to (rule H7).

use crate::{Encoding, SlotMask};

/// The size of the smallest translation granule. If the syndrome says that FAR_EL1 is not precise (FnP), FAR_EL1 still lies in the
/// same granule as the access.
const GRANULE: u64 = 4096;

/// What ESR_EL1 and FAR_EL1 say about a watchpoint exception.
///
/// The fields of `ESR_EL1.ISS` (DDI 0487, "ISS encoding for an exception from a Watchpoint exception"): WPT is bits
/// 23 to 18, WPTV bit 17, FnP bit 15, FnV bit 10, WnR bit 6. A field that the CPU does not implement is zero, which reads as
/// "the syndrome names no slot, and FAR is exact".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WatchHit {
    iss: u32,
    far: u64,
    zva_block: u64,
    atomic: bool,
}

impl WatchHit {
    /// A hit with these values of `ESR_EL1.ISS` and FAR_EL1, which the exception's entry has saved. `zva_block` is the size in
    /// bytes of the block that DC ZVA zeroes, a power of two: `4 << DCZID_EL0.BS`.
    #[inline]
    pub const fn from_syndrome(iss: u32, far: u64, zva_block: u64) -> WatchHit {
        WatchHit { iss, far, zva_block, atomic: false }
    }

    /// The same hit, with the A64 instruction that made the access.
    ///
    /// An atomic (LDADD and its like, SWP, CAS) reads and writes. Real hardware clears WnR if a watchpoint has matched the read
    /// (DDI 0487, "ISS encoding for an exception from a Watchpoint exception", WnR), so a set WnR rules out the slots for reads.
    /// QEMU sets WnR for every atomic. So the direction of an atomic with WnR set counts as unknown. On real hardware this changes
    /// nothing, because a slot for reads that holds a byte of the access would have cleared WnR.
    #[inline]
    #[must_use]
    pub const fn by_instruction(self, word: u32) -> WatchHit {
        WatchHit { atomic: is_atomic(word), ..self }
    }

    /// FAR_EL1, unless the syndrome's FnV says that it is not valid.
    #[inline]
    pub const fn far(&self) -> Option<u64> {
        if self.bit(10) { None } else { Some(self.far) }
    }

    /// Whether FAR_EL1 is the exact address (FnP clear), not just one in the same granule.
    #[inline]
    pub const fn precise(&self) -> bool {
        !self.bit(15)
    }

    /// WnR: whether the access was a write. An atomic counts as a read if a watchpoint for reads matches it.
    #[inline]
    pub const fn write(&self) -> bool {
        self.bit(6)
    }

    /// Whether a watchpoint with this encoding matches accesses in the direction of this one, as far as that is known.
    #[inline]
    pub const fn fits(&self, encoding: &Encoding) -> bool {
        self.atomic && self.write() || encoding.matches_access(self.write())
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

    /// FAR_EL1, if the syndrome says neither FnV nor FnP nor WPTV: then FAR_EL1 is exact, and the syndrome names no slot.
    #[inline]
    pub(crate) const fn plain_far(&self) -> Option<u64> {
        if WatchHit::is_plain(self.iss) { Some(self.far) } else { None }
    }

    /// Whether FnV, FnP and WPTV are all clear in `ESR_EL1.ISS`.
    #[inline(always)]
    pub(crate) const fn is_plain(iss: u32) -> bool {
        iss & (1 << 10 | 1 << 15 | 1 << 17) == 0
    }

    const fn bit(&self, n: u32) -> bool {
        self.iss >> n & 1 != 0
    }
}

/// Whether an A64 word is an atomic that reads and writes memory: the read-modify-write instructions of FEAT_LSE, FEAT_LSE128,
/// FEAT_LSUI, FEAT_LSFE and FEAT_THE, and compare and swap (DDI 0487 C4.1, "Loads and Stores").
const fn is_atomic(word: u32) -> bool {
    // LDADD, LDCLR, LDEOR, LDSET, LDSMAX, LDSMIN, LDUMAX, LDUMIN (o3 = 0), SWP (o3 = 1, opc = 0). Other words with o3 = 1 are no
    // atomics of FEAT_LSE: LDAPR, the 64-byte accesses, the atomics of FEAT_THE.
    let lse = word & 0x3f20_0c00 == 0x3820_0000 && (word & 0x8000 == 0 || word & 0x7000 == 0);
    // RCWCLR, RCWSWP, RCWSET (size 0) and RCWSCLR, RCWSSWP, RCWSSET (size 1): o3 = 1, opc = 1 to 3. The 64-byte accesses with these
    // values of opc have size 3.
    let the = word & 0xbf20_cc00 == 0x3820_8000;
    // LDFADD, LDFMAX, LDFMIN, LDFMAXNM, LDFMINNM, the same with BF16 (LDBFADD), and without a result (STFADD).
    let lsfe = word & 0x3f20_0c00 == 0x3c20_0000;
    // CAS, CASP.
    let cas = word & 0x3fa0_7c00 == 0x08a0_7c00 || word & 0xbfa0_7c00 == 0x0820_7c00;
    // CAST (size 3), CASPT (size 1).
    let unprivileged_cas = word & 0x7fa0_7c00 == 0x4980_7c00;
    // Size 0 or 1, by bits 11 to 10: LDCLRP, LDSETP, SWPP and the RCW forms of these three; LDTADD, LDTCLR, LDTSET, SWPT; RCWCAS,
    // RCWSCAS; RCWCASP, RCWSCASP. The instructions for memory tags have size 3.
    let pairs_unprivileged_and_rcw = word & 0xbf20_0000 == 0x1920_0000;
    lse || the || lsfe || cas || unprivileged_cas || pairs_unprivileged_and_rcw
}

/// The breakpoints among `armed` that match an exception at `pc` (ELR_EL1). Several may match; all of them are returned.
///
/// `armed` are the slots armed *and not suspended* on this CPU.
#[inline]
pub fn breakpoint_hits(pc: u64, armed: impl Iterator<Item = (u8, Encoding)>) -> SlotMask {
    armed.filter(|(_, encoding)| encoding.value == pc).fold(SlotMask::EMPTY, |mask, (n, _)| mask.with(n))
}

/// The watchpoints among `armed` that an access is attributed to. Empty only if `armed` is empty, or if the syndrome names a slot
/// that is not in `armed`.
///
/// `armed` are the slots armed *and not suspended* on this CPU. Because suspended slots are left out, an access that touches
/// several slots makes progress: each exception suspends more of them.
///
/// - If the syndrome names a slot (WPT): that slot, and all slots that fit the direction of the access (WnR) and whose range holds
///   an exact FAR. If the named slot is not in `armed`, nobody owns it, and the hit is not attributed to a near slot by guess.
/// - Otherwise, of the slots that fit the direction of the access, all whose range holds FAR. A slot for the other direction cannot
///   have caused the exception, so it is left out even if it alone holds FAR: an access may begin in its range and hit another slot
///   further on.
/// - If none of the fitting slots holds FAR, the nearest of them. FAR is not above the highest watched byte that was accessed, and
///   lies in the same block of at most DC ZVA's size (DDI 0487, "Determining the memory location that caused a Watchpoint
///   exception"). So slots above FAR in its block come first, then slots below FAR in its block, then all others.
/// - If FAR is only known to lie in the same granule as the access (FnP), all fitting slots that have a byte in that granule, or
///   else the nearest. If FAR is not valid (FnV), all fitting slots.
///
/// If no slot fits the direction, every slot counts as fitting: a hit that is attributed to no slot would come again.
pub fn watchpoint_hits(hit: &WatchHit, armed: impl Iterator<Item = (u8, Encoding)> + Clone) -> SlotMask {
    let select = |wanted: &dyn Fn(&Encoding) -> bool| {
        armed.clone().filter(|(_, e)| wanted(e)).fold(SlotMask::EMPTY, |mask, (n, _)| mask.with(n))
    };
    let fitting = select(&|e| hit.fits(e));
    if let Some(slot) = hit.slot() {
        let named = select(&|_| true).intersection(SlotMask::of(slot));
        let exact = match hit.far() {
            Some(far) if hit.precise() => select(&|e| e.holds(far)).intersection(fitting),
            _ => SlotMask::EMPTY,
        };
        return named.union(exact);
    }
    let candidates = if fitting.is_empty() { select(&|_| true) } else { fitting };
    let Some(far) = hit.far() else {
        return candidates;
    };
    let (first, last) = if hit.precise() { (far, far) } else { (far & !(GRANULE - 1), far | (GRANULE - 1)) };
    let there = select(&|e| e.touches(first, last)).intersection(candidates);
    if there.is_empty() {
        nearest(far, hit.zva_block(), armed.filter(|&(n, _)| candidates.contains(n)))
    } else {
        there
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
