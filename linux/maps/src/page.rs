/// The size of a page in bytes.
pub const PAGE: u64 = 4096;

pub(crate) const fn is_aligned(value: u64) -> bool {
    value & (PAGE - 1) == 0
}

pub(crate) const fn align_down(value: u64) -> u64 {
    value & !(PAGE - 1)
}

/// Linux's PAGE_ALIGN: rounds up; a value in the last page of the 64-bit space becomes 0.
pub(crate) const fn align_up(value: u64) -> u64 {
    align_down(value.wrapping_add(PAGE - 1))
}
