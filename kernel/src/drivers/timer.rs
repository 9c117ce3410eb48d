//! The generic timer's EL1 virtual timer (DDI 0487, chapter "The Generic Timer in AArch64 state").
//!
//! The virtual timer can be used at EL1, whichever level the kernel was entered at. Its counter (CNTVCT_EL0) has no
//! offset against the physical counter, unless a hypervisor has set one.

use core::arch::asm;
use core::num::NonZeroU64;

use aarch64_cpu::registers::{CNTFRQ_EL0, CNTV_CTL_EL0, Readable};

const ENABLE: u64 = 1;

/// Counter ticks per second: CNTFRQ_EL0, as firmware has set it.
#[inline]
pub fn frequency() -> u64 {
    CNTFRQ_EL0.get() & 0xffff_ffff
}

/// The counter now. The ISB in front keeps the CPU from reading the counter before earlier instructions have completed (DDI 0487, chapter
/// "The Generic Timer in AArch64 state").
#[inline(always)]
pub fn now() -> u64 {
    let count;
    // SAFETY: reads a counter. Not `nomem`: the compiler must not move the measured accesses across the read.
    unsafe { asm!("isb", "mrs {}, cntvct_el0", out(reg) count, options(nostack, preserves_flags)) };
    count
}

/// Arms this CPU's timer for the instant `at`, in counter ticks; an instant in the past is due at once.
#[inline(always)]
pub fn arm_at(at: u64) {
    // SAFETY: sets the compare value, then enables the timer with its interrupt unmasked. The timer's handler expects the
    // interrupt. The ISB puts the writes in force before the caller goes on (DDI 0487 D24.1.2.2).
    unsafe {
        asm!(
            "msr cntv_cval_el0, {at}",
            "msr cntv_ctl_el0, {enable}",
            "isb",
            at = in(reg) at,
            enable = in(reg) ENABLE,
            options(nostack, preserves_flags)
        );
    }
}

/// Arms this CPU's timer `ticks` counter ticks from now. Returns that instant.
#[inline(always)]
pub fn arm_after(ticks: u64) -> u64 {
    let at = now().wrapping_add(ticks);
    arm_at(at);
    at
}

/// Stops this CPU's timer; its interrupt line goes low.
#[inline(always)]
pub fn stop() {
    // SAFETY: disables the timer. The ISB puts that in force before the caller goes on (DDI 0487 D24.1.2.2), so the timer raises no later
    // interrupt.
    unsafe { asm!("msr cntv_ctl_el0, xzr", "isb", options(nostack, preserves_flags)) };
}

/// Whether this CPU's timer is enabled and its instant has passed.
#[inline]
pub fn is_due() -> bool {
    CNTV_CTL_EL0.matches_all(CNTV_CTL_EL0::ENABLE::SET + CNTV_CTL_EL0::ISTATUS::SET)
}

/// Why a periodic tick is impossible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadRate {
    /// The ticks per second that were asked for.
    pub hz: u32,
    /// The counter's frequency, Hz.
    pub frequency: u64,
}

impl core::fmt::Display for BadRate {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "hz={} cannot be had from a counter of {} Hz: choose 1 to {}",
            self.hz,
            self.frequency,
            self.frequency.min(u32::MAX.into())
        )
    }
}

impl core::error::Error for BadRate {}

/// A periodic tick of one CPU. Its instants are multiples of the period after the start, so late handlers cause no drift, and
/// missed ticks do not pile up.
#[derive(Debug, Clone, Copy)]
pub struct Tick {
    period: NonZeroU64,
    next: u64,
}

impl Tick {
    /// Starts this CPU's timer at `hz` interrupts per second.
    ///
    /// # Errors
    ///
    /// [`BadRate`] if `hz` is 0 or more than the counter's frequency.
    pub fn start(hz: u32) -> Result<Self, BadRate> {
        let frequency = frequency();
        let period = frequency.checked_div(hz.into()).and_then(NonZeroU64::new);
        let period = period.ok_or(BadRate { hz, frequency })?;
        Ok(Self { period, next: arm_after(period.get()) })
    }

    /// For the interrupt handler: arms the next instant, and returns how many instants have passed since the last call.
    /// The result is 0 if the interrupt came too early (a spurious interrupt), and more than 1 if the handler is late
    /// by whole periods.
    #[inline]
    pub fn rearm(&mut self) -> u64 {
        let late = now().wrapping_sub(self.next);
        // If the interrupt is early, the difference is negative, which wraps.
        if late > i64::MAX as u64 {
            return 0;
        }
        // Only the rare case divides: the division is the most expensive instruction here.
        let passed = if late < self.period.get() { 1 } else { late / self.period + 1 };
        self.next = self.next.wrapping_add(passed.wrapping_mul(self.period.get()));
        arm_at(self.next);
        passed
    }

    /// Arms the pending instant again, after [`stop`] or after another use of the timer.
    pub fn resume(&self) {
        arm_at(self.next);
    }

    /// The period in counter ticks.
    pub const fn period(&self) -> u64 {
        self.period.get()
    }
}
