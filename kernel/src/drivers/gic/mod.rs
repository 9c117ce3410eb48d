//! The interrupt controller, GICv2 or GICv3.
//!
//! Which one it is, is found out by [`init`]; after that the same functions serve both. There are no locks: the hot path
//! ([`acknowledge`], [`end`], [`send_sgi`], [`set_priority_mask`]) may be called from any context on any initialised
//! CPU. The functions that configure an interrupt may be called from any context too, but two CPUs that configure the
//! *same* shared interrupt at once have to agree between themselves.

mod error;
mod regs;
mod v2;
mod v3;

use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use platform::{Gic, MAX_CPUS, Region};
use tock_registers::interfaces::{Readable, Writeable};

use crate::arch::daif::AllMasked;
pub use error::GicError;
use regs::{Distributor, PRIVATE};

/// The priority value of [`Priority::Normal`]. Lower values are more urgent.
pub const NORMAL: u8 = 0xa0;
/// The priority value of [`Priority::Nmi`].
pub const NMI: u8 = 0x20;
/// The priority mask that lets everything through.
pub const PMR_UNMASKED: u8 = 0xf0;
/// The priority mask that lets only [`Priority::Nmi`] through.
pub const PMR_MASKED: u8 = 0x80;

const _: () = assert!(NMI < PMR_MASKED && PMR_MASKED < NORMAL && NORMAL < PMR_UNMASKED);

/// Number of software generated interrupts: 0 to 15.
pub const SGIS: u32 = 16;

/// Address of the distributor, 0 until [`init`].
static DISTRIBUTOR: AtomicUsize = AtomicUsize::new(0);

/// One bit for each interrupt enabled with [`Priority::Nmi`].
static NMIS: [AtomicU32; 32] = [const { AtomicU32::new(0) }; 32];

/// An interrupt that has been acknowledged and must be [`end`]ed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "an interrupt that is not ended blocks all others of its priority"]
pub struct IntId(
    /// The acknowledge register's value: on GICv2 the end of an SGI must name its sender as well.
    u32,
);

impl IntId {
    /// `None` for the special values 1020 to 1023: nothing to be served.
    #[inline(always)]
    fn from_iar(iar: u32) -> Option<Self> {
        const SPECIAL: u32 = 0x3fc;
        (iar & SPECIAL != SPECIAL).then_some(Self(iar))
    }

    /// The interrupt's number: 0 to 15 SGI, 16 to 31 PPI, 32 to 1019 SPI.
    #[inline(always)]
    pub const fn id(self) -> u32 {
        v2::id(self.0)
    }
}

/// How urgent an interrupt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// Held back by [`PriorityMask::Masked`].
    Normal,
    /// Passes [`PriorityMask::Masked`], and can interrupt the handler of a normal one.
    Nmi,
}

/// What the CPU interface lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PriorityMask {
    /// Only [`Priority::Nmi`].
    Masked,
    /// Everything.
    Unmasked,
}

/// Where a software generated interrupt goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The CPU with this index. Nothing is sent if it has not been initialised.
    OneCpu(usize),
    /// Every CPU but this one.
    AllOthers,
    /// This CPU.
    Me,
}

fn distributor() -> Result<&'static Distributor, GicError> {
    match DISTRIBUTOR.load(Ordering::Acquire) {
        0 => Err(GicError::NotInitialised),
        // SAFETY: a non-zero address was stored by `init`, whose caller promised that it is the distributor, mapped for
        // good. All fields are cells accessed by volatile reads and writes.
        base => Ok(unsafe { &*(base as *const Distributor) }),
    }
}

/// Initialises the distributor, with every shared interrupt disabled. To be called once, on the boot CPU, before any
/// [`init_cpu`]; `map` is given a physical address and a size in bytes, and returns where that is mapped.
///
/// # Errors
///
/// [`GicError::RegionTooSmall`], [`GicError::Timeout`].
///
/// # Safety
///
/// `gic` describes the machine's GIC, and what `map` returns is that region, mapped as device memory, readable and
/// writable, for good.
pub unsafe fn init(gic: &Gic, map: impl Fn(u64, u64) -> usize) -> Result<(), GicError> {
    let map = |what, region: &Region, least: u64| {
        if region.size < least {
            return Err(GicError::RegionTooSmall { what, region: *region });
        }
        Ok(map(region.base, region.size))
    };
    // Published only when the rest is in place: the other functions take it as the sign that they may work.
    // SAFETY: the caller's promise; see `distributor`.
    let at = |base: usize| unsafe { &*(base as *const Distributor) };
    let base = match gic {
        Gic::V2 { dist, cpu_if } => {
            let base = map("distributor", dist, size_of::<Distributor>() as u64)?;
            let cpu_if = map("CPU interface", cpu_if, v2::CPU_INTERFACE_SIZE)?;
            v2::init(at(base), cpu_if);
            base
        }
        Gic::V3 { dist, redist } => {
            let base = map("distributor", dist, regs::DISTRIBUTOR_V3)?;
            for (index, region) in redist.iter().enumerate() {
                v3::add_region(
                    index,
                    map("redistributors", region, v3::REDISTRIBUTOR_SIZE)?,
                    region.size as usize,
                );
            }
            v3::init(at(base))?;
            base
        }
    };
    DISTRIBUTOR.store(base, Ordering::Release);
    Ok(())
}

/// Initialises the part of the CPU that executes this: its private interrupts disabled and not pending, its interface
/// on, its priority mask open. `cpu` is the index that [`Target::OneCpu`] will use, `mpidr` its MPIDR_EL1. Interrupts
/// have to be masked.
///
/// # Errors
///
/// Any [`GicError`] but `BadInterrupt` and `Unsupported`.
// A function of its own in every build: a place for a probe in what a CPU does before its slots are set up.
#[inline(never)]
pub fn init_cpu(cpu: usize, mpidr: u64) -> Result<(), GicError> {
    let distributor = distributor()?;
    if cpu >= MAX_CPUS {
        return Err(GicError::BadCpu(cpu));
    }
    match v2::interface() {
        Some(_) => v2::init_cpu(distributor, cpu),
        None => v3::init_cpu(cpu, mpidr),
    }
}

/// The version found: 2 or 3.
///
/// # Errors
///
/// [`GicError::NotInitialised`].
pub fn version() -> Result<u8, GicError> {
    distributor()?;
    Ok(if v2::interface().is_some() { 2 } else { 3 })
}

/// Whether the priority mask can stand in for PSTATE.I: GICv3 with one security state.
pub fn has_priority_masking() -> bool {
    v2::interface().is_none() && distributor().is_ok_and(v3::has_one_security_state)
}

/// The registers that control interrupt `id`, if there is one.
fn control(id: u32) -> Result<&'static Distributor, GicError> {
    let distributor = distributor()?;
    if id >= regs::lines(distributor) {
        return Err(GicError::BadInterrupt(id));
    }
    if v2::interface().is_some() { Ok(distributor) } else { v3::control(distributor, id) }
}

const fn word_and_bit(id: u32) -> (usize, u32) {
    ((id / 32) as usize, 1 << (id % 32))
}

/// Enables interrupt `id` with `priority`: an SGI or PPI on the CPU that executes this, an SPI on the CPU with index 0.
///
/// # Errors
///
/// [`GicError::BadInterrupt`], [`GicError::NotInitialised`].
pub fn enable(id: u32, priority: Priority) -> Result<(), GicError> {
    let control = control(id)?;
    let (word, bit) = word_and_bit(id);
    let value = match priority {
        Priority::Normal => {
            NMIS[word].fetch_and(!bit, Ordering::Relaxed);
            NORMAL
        }
        Priority::Nmi => {
            NMIS[word].fetch_or(bit, Ordering::Relaxed);
            NMI
        }
    };
    control.ipriorityr[id as usize].set(value);
    if id >= PRIVATE {
        match v2::interface() {
            Some(_) => v2::route(control, id, 0),
            None => v3::route(control, id, 0),
        }
    }
    control.isenabler[word].set(bit);
    Ok(())
}

/// Disables interrupt `id`: an SGI or PPI on the CPU that executes this. Once it returns the interrupt is not signalled
/// any more; one that was pending stays so. SGIs cannot be disabled on every GICv2 (QEMU's ignores it).
///
/// # Errors
///
/// [`GicError::BadInterrupt`], [`GicError::NotInitialised`], [`GicError::Timeout`].
pub fn disable(id: u32) -> Result<(), GicError> {
    let control = control(id)?;
    let (word, bit) = word_and_bit(id);
    control.icenabler[word].set(bit);
    match v2::interface() {
        Some(_) => {
            // A read from the same device completes the write.
            let _ = control.icenabler[word].get();
            Ok(())
        }
        None => v3::wait_disabled(distributor()?, id),
    }
}

/// Moves interrupt `id`, an SGI or PPI of the CPU that executes this, to group 0, so that it is signalled as FIQ. An SGI is then
/// sent with [`send_sgi_group0`].
///
/// # Errors
///
/// [`GicError::Unsupported`] on GICv2, whose groups need the security extensions, and for a shared interrupt, whose group other CPUs
/// could change at the same time; else as [`enable`].
pub fn set_group0(id: u32) -> Result<(), GicError> {
    change_groups(private_group(id)?, id, true);
    Ok(())
}

/// Moves interrupt `id` back to group 1, the inverse of [`set_group0`].
///
/// # Errors
///
/// As [`set_group0`].
pub fn set_group1(id: u32) -> Result<(), GicError> {
    change_groups(private_group(id)?, id, false);
    Ok(())
}

/// The registers that hold the group of a private interrupt.
fn private_group(id: u32) -> Result<&'static Distributor, GicError> {
    let control = control(id)?;
    if v2::interface().is_some() {
        return Err(GicError::Unsupported("an interrupt signalled as FIQ"));
    }
    if id >= PRIVATE {
        return Err(GicError::Unsupported("the group of a shared interrupt"));
    }
    Ok(control)
}

/// Changes the group of a private interrupt. The register holds the others' too, and there is no atomic change of a device's
/// register: so nothing may come in between, not even a BRK, which no mask keeps away (rule I8).
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
fn change_groups(control: &Distributor, id: u32, group0: bool) {
    let _masked = AllMasked::new();
    let (word, bit) = word_and_bit(id);
    let groups = control.igroupr[word].get();
    control.igroupr[word].set(if group0 { groups & !bit } else { groups | bit });
}

/// Whether interrupt `id` is of group 0.
///
/// # Errors
///
/// As [`set_group0`].
pub fn is_group0(id: u32) -> Result<bool, GicError> {
    let control = control(id)?;
    let (word, bit) = word_and_bit(id);
    Ok(control.igroupr[word].get() & bit == 0)
}

/// Acknowledges the most urgent interrupt signalled as IRQ; `None` if there is none (any more). For the IRQ handler,
/// which then [`end`]s it.
#[inline(always)]
pub fn acknowledge() -> Option<IntId> {
    IntId::from_iar(match v2::interface() {
        Some(interface) => interface.acknowledge(),
        None => v3::acknowledge(),
    })
}

/// Acknowledges the most urgent interrupt signalled as FIQ; `None` if there is none, and always on GICv2. For the FIQ
/// handler, which then ends it with [`end_group0`].
#[inline(always)]
pub fn acknowledge_group0() -> Option<IntId> {
    match v2::interface() {
        Some(_) => None,
        None => IntId::from_iar(v3::acknowledge_group0()),
    }
}

/// Ends an interrupt that [`acknowledge`] returned: drops the running priority and deactivates it. Ends must come in
/// reverse order of acknowledges, on the same CPU. In force after the next ISB or exception return: the caller's.
#[inline(always)]
pub fn end(interrupt: IntId) {
    match v2::interface() {
        Some(interface) => interface.end(interrupt.0),
        None => v3::end(interrupt.0),
    }
}

/// Ends an interrupt that [`acknowledge_group0`] returned.
#[inline(always)]
pub fn end_group0(interrupt: IntId) {
    if v2::interface().is_none() {
        v3::end_group0(interrupt.0);
    }
}

/// Whether interrupt `id` was enabled with [`Priority::Nmi`].
#[inline(always)]
pub fn is_nmi_priority(id: u32) -> bool {
    let (word, bit) = word_and_bit(id);
    NMIS.get(word).is_some_and(|nmis| nmis.load(Ordering::Relaxed) & bit != 0)
}

/// Priority of the interrupt that this CPU is serving: between acknowledge and end that of the interrupt acknowledged
/// last; 0xff (or the idle value that the implementation has) when it serves none.
#[inline(always)]
pub fn running_priority() -> u8 {
    match v2::interface() {
        Some(interface) => interface.running_priority(),
        None => v3::running_priority(),
    }
}

/// Sets what this CPU's interface lets through. Once it returns, nothing held back by the new mask is signalled. On
/// GICv3 that is one instruction; reordering of memory accesses across it by the compiler is excluded.
#[inline(always)]
pub fn set_priority_mask(mask: PriorityMask) {
    let value = match mask {
        PriorityMask::Masked => PMR_MASKED,
        PriorityMask::Unmasked => PMR_UNMASKED,
    };
    match v2::interface() {
        Some(interface) => interface.set_priority_mask(value),
        None => v3::set_priority_mask(value),
    }
}

/// What this CPU's interface lets through.
#[inline(always)]
pub fn priority_mask() -> PriorityMask {
    let value = match v2::interface() {
        Some(interface) => interface.priority_mask(),
        None => v3::priority_mask(),
    };
    if value <= PMR_MASKED { PriorityMask::Masked } else { PriorityMask::Unmasked }
}

/// Sends software generated interrupt `id` (below [`SGIS`], the rest is ignored). Stores made before are visible to the
/// handler; for [`Target::Me`] that costs no barrier.
#[inline]
pub fn send_sgi(id: u32, target: Target) {
    let id = id % SGIS;
    match v2::interface() {
        Some(_) => {
            if let Ok(distributor) = distributor() {
                v2::send_sgi(distributor, id, target);
            }
        }
        None => v3::send_sgi(id, target),
    }
}

/// Sends software generated interrupt `id`, which has been moved to group 0 on its target by [`set_group0`].
///
/// # Errors
///
/// [`GicError::Unsupported`] on GICv2.
pub fn send_sgi_group0(id: u32, target: Target) -> Result<(), GicError> {
    if v2::interface().is_some() {
        return Err(GicError::Unsupported("an interrupt signalled as FIQ"));
    }
    v3::send_sgi_group0(id % SGIS, target);
    Ok(())
}
