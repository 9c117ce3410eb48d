//! A CPU's levels: the sites that it deals with, one inside the other (rule K5).

use super::level::{LEVELS, Level};
use super::site::Site;
use crate::debug::{self, CpuDebug, MaskedCpu};
use rules::step::Owners;

/// How many levels deep handlers are called. Deeper hits are `missed` (rule K5).
pub const HANDLER_DEPTH: usize = 4;

impl CpuDebug {
    /// How many levels are in use. D is masked.
    #[inline(always)]
    pub fn probe_levels(&self) -> usize {
        usize::from(self.levels_len.get())
    }

    /// Whether one of the levels deals with the site. D is masked.
    #[inline(always)]
    pub fn is_probed(&self, site: &Site) -> bool {
        let mut at = 0;
        while at < self.probe_levels().min(LEVELS) {
            if core::ptr::eq(self.levels[at].site.get(), site) {
                return true;
            }
            at += 1;
        }
        false
    }

    /// The innermost level and its site. D is masked.
    #[inline(always)]
    pub fn top(&self) -> Option<(&Level, &'static Site)> {
        if self.probe_levels() == 0 {
            return None;
        }
        let level = &self.levels[self.probe_levels() - 1];
        // SAFETY: a site in a level is alive: sites are removed while all other CPUs are held, and a CPU that is held has no level.
        Some((level, unsafe { &*level.site.get() }))
    }
}

impl MaskedCpu {
    /// Begins a level for a hit of the site; None if all levels are in use. D is masked.
    #[inline(always)]
    pub fn push(&self, site: &'static Site, missed: bool) -> Option<&Level> {
        if self.probe_levels() >= LEVELS {
            return None;
        }
        let level = &self.levels[self.probe_levels()];
        level.site.set(site);
        level.missed.set(missed);
        self.levels_len.set(self.levels_len.get() + 1);
        Some(level)
    }

    /// Ends the innermost level. D is masked.
    #[inline(always)]
    pub fn pop(&self) {
        let len = self.levels_len.get() - 1;
        let level = &self.levels[usize::from(len)];
        level.missed.set(false);
        level.parked.set(Owners::empty());
        self.levels_len.set(len);
    }
}

/// Whether a probe's handler runs and its context stands behind the probed instruction, at `pc`. Debug context.
#[inline]
pub fn is_behind(cpu: &CpuDebug, pc: u64) -> bool {
    matches!(cpu.top(), Some((_, site)) if site.address != pc)
}

/// How many probes this CPU deals with now, one inside the other (rule I5). Any context.
pub fn depth() -> usize {
    debug::this().probe_levels()
}
