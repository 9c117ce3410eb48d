use crate::page::{PAGE, align_down};

/// The fixed bounds of an address space, chosen when the program starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The lowest address that can be mapped (Linux: vm.mmap_min_addr), in bytes.
    pub min: u64,
    /// The address behind the highest one (Linux: TASK_SIZE), `1 << 39` or `1 << 48`.
    pub top: u64,
    /// mmap places mappings below this address, from the top down. Randomised by the caller.
    pub mmap_base: u64,
    /// The bytes that stay free between a stack and the mapping below (Linux: stack_guard_gap).
    pub guard: u64,
    /// How many mappings there may be (Linux: vm.max_map_count).
    pub max_mappings: usize,
}

impl Layout {
    /// Linux's defaults: nothing below 64 KiB, 256 pages of guard, 65530 mappings.
    pub const fn new(top: u64, mmap_base: u64) -> Self {
        Self { min: 65536, top, mmap_base, guard: 256 * PAGE, max_mappings: 65530 }
    }

    /// The same layout with bounds that are multiples of a page and in order, which all other code relies on.
    pub(crate) fn sane(self) -> Self {
        let top = align_down(self.top);
        let min = align_down(self.min.saturating_add(PAGE - 1)).min(top);
        Self {
            min,
            top,
            mmap_base: align_down(self.mmap_base).min(top),
            guard: align_down(self.guard),
            ..self
        }
    }

    /// Where a search from the bottom up begins, when there is no room below `mmap_base` (Linux: TASK_UNMAPPED_BASE).
    pub(crate) fn bottom_up_base(&self) -> u64 {
        align_down(self.top / 4).max(self.min)
    }

    /// Whether the range of a length that is a multiple of a page lies below `top`. Does not check `min`.
    pub(crate) fn fits(&self, start: u64, len: u64) -> bool {
        len <= self.top && start <= self.top - len
    }
}

/// The resource limits of the process (its soft ones), in bytes; `u64::MAX` is RLIM_INFINITY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// RLIMIT_AS: all mapped pages.
    pub address_space: u64,
    /// RLIMIT_DATA: private writable pages that are no stack; and the distance of the break from its start.
    pub data: u64,
    /// RLIMIT_STACK: how large [`Maps::grow_stack`](crate::Maps::grow_stack) makes a mapping.
    pub stack: u64,
}

impl Limits {
    /// No limits.
    pub const UNLIMITED: Self = Self { address_space: u64::MAX, data: u64::MAX, stack: u64::MAX };
}
