//! The interrupt controller, GICv2 or GICv3.
//!
//! [`init`] finds out which of the two it is; after that the same functions serve both. There are no locks: the functions of the
//! hot path ([`acknowledge`], [`end`], [`send_sgi`], [`set_priority_mask`]) may be called in any context on any initialised CPU.
//! The functions that configure an interrupt may be called in any context too, but the callers must see to it that two CPUs do not
//! configure the same shared interrupt at once.

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
/// The priority mask that lets all interrupts through.
pub const PMR_UNMASKED: u8 = 0xf0;
/// The priority mask that lets only interrupts of [`Priority::Nmi`] through.
pub const PMR_MASKED: u8 = 0x80;

const _: () = assert!(NMI < PMR_MASKED && PMR_MASKED < NORMAL && NORMAL < PMR_UNMASKED);

/// Number of software generated interrupts: 0 to 15.
pub const SGIS: u32 = 16;

/// Address of the distributor, 0 before [`init`].
static DISTRIBUTOR: AtomicUsize = AtomicUsize::new(0);

/// One bit for each interrupt enabled with [`Priority::Nmi`].
static NMIS: [AtomicU32; 32] = [const { AtomicU32::new(0) }; 32];

/// An interrupt that has been acknowledged and must be [`end`]ed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "an interrupt that is not ended blocks all others of its priority"]
pub struct IntId(
    /// The whole value of the acknowledge register, because on GICv2 the end of an SGI must also name the CPU that sent
    /// the SGI.
    u32,
);

impl IntId {
    /// `None` for the special values 1020 to 1023, which mean that there is no interrupt to serve.
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
    /// Passes [`PriorityMask::Masked`], and can interrupt the handler of a normal interrupt.
    Nmi,
}

/// Which interrupts the CPU interface lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PriorityMask {
    /// Only interrupts of [`Priority::Nmi`].
    Masked,
    /// All interrupts.
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
        // SAFETY: only `init` stores an address here, and its caller has promised that it is the distributor, mapped for good.
        // All fields are cells that are accessed by volatile reads and writes only.
        base => Ok(unsafe { &*(base as *const Distributor) }),
    }
}

/// Initialises the distributor, with every shared interrupt disabled. Called once, on the boot CPU, before any [`init_cpu`]. `map`
/// is given a physical address and a size in bytes, and returns the address at which that region is mapped.
///
/// # Errors
///
/// [`GicError::RegionTooSmall`], [`GicError::Timeout`].
///
/// # Safety
///
/// `gic` describes the machine's GIC, and `map` maps the region that it is given as device memory, readable and writable, for
/// good.
pub unsafe fn init(gic: &Gic, map: impl Fn(u64, u64) -> usize) -> Result<(), GicError> {
    let map = |what, region: &Region, least: u64| {
        if region.size < least {
            return Err(GicError::RegionTooSmall { what, region: *region });
        }
        Ok(map(region.base, region.size))
    };
    // `DISTRIBUTOR` is stored last: once it is not 0, the other functions use the controller.
    // SAFETY: `init`'s caller has promised it; see `distributor`.
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

/// Initialises the part of the controller that belongs to the executing CPU: private interrupts disabled and not pending, CPU
/// interface on, priority mask open. `cpu` is the index for [`Target::OneCpu`], `mpidr` the CPU's MPIDR_EL1. Interrupts must be
/// masked.
///
/// # Errors
///
/// [`GicError::NotInitialised`], [`GicError::BadCpu`]; on GICv3 also [`GicError::NoRedistributor`],
/// [`GicError::NoSystemRegisters`], [`GicError::Timeout`].
// Not inlined in any build, because tests probe this function: a CPU runs it before its slots are set up.
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

/// The version of the controller: 2 or 3.
///
/// # Errors
///
/// [`GicError::NotInitialised`].
pub fn version() -> Result<u8, GicError> {
    distributor()?;
    Ok(if v2::interface().is_some() { 2 } else { 3 })
}

/// Whether the priority mask can replace PSTATE.I: on GICv3 with one security state.
pub fn has_priority_masking() -> bool {
    v2::interface().is_none() && distributor().is_ok_and(v3::has_one_security_state)
}

/// The block of registers that controls interrupt `id`: in the distributor, or in this CPU's redistributor.
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

/// Enables interrupt `id` with `priority`. An SGI or PPI is enabled on the executing CPU; an SPI is routed to the CPU with index 0.
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

/// Disables interrupt `id`; an SGI or PPI is disabled on the executing CPU. Once this returns, the interrupt is not signalled any
/// more; if it was pending, it stays pending. SGIs cannot be disabled on every GICv2 (QEMU's ignores it).
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

/// Moves interrupt `id`, an SGI or PPI of the executing CPU, to group 0, so that it is signalled as FIQ. An SGI is then sent with
/// [`send_sgi_group0`].
///
/// # Errors
///
/// [`GicError::Unsupported`] on GICv2, whose groups need the security extensions; [`GicError::Shared`] for a shared
/// interrupt, whose group another CPU could change at the same time; otherwise as [`enable`].
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

/// The block of registers that holds the group of a private interrupt.
fn private_group(id: u32) -> Result<&'static Distributor, GicError> {
    let control = control(id)?;
    if v2::interface().is_some() {
        return Err(GicError::Unsupported("an interrupt signalled as FIQ"));
    }
    if id >= PRIVATE {
        return Err(GicError::Shared(id));
    }
    Ok(control)
}

/// Changes the group of a private interrupt. The register also holds the groups of other interrupts, and a device's
/// register cannot be changed atomically. So no other code of this CPU may run between the read and the write. Masks do
/// not keep the handler of a BRK away (rule I8), so this is also no-probe text.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
fn change_groups(control: &Distributor, id: u32, group0: bool) {
    let _masked = AllMasked::new();
    let (word, bit) = word_and_bit(id);
    let groups = control.igroupr[word].get();
    control.igroupr[word].set(if group0 { groups & !bit } else { groups | bit });
}

/// Whether interrupt `id` is in group 0.
///
/// # Errors
///
/// As [`enable`].
pub fn is_group0(id: u32) -> Result<bool, GicError> {
    let control = control(id)?;
    let (word, bit) = word_and_bit(id);
    Ok(control.igroupr[word].get() & bit == 0)
}

/// Acknowledges the most urgent interrupt that is signalled as IRQ; `None` if there is none, or none any more. For the IRQ handler,
/// which later [`end`]s the interrupt.
#[inline(always)]
pub fn acknowledge() -> Option<IntId> {
    IntId::from_iar(match v2::interface() {
        Some(interface) => interface.acknowledge(),
        None => v3::acknowledge(),
    })
}

/// Acknowledges the most urgent interrupt that is signalled as FIQ; `None` if there is none, and always on GICv2. For the FIQ
/// handler, which later ends the interrupt with [`end_group0`].
#[inline(always)]
pub fn acknowledge_group0() -> Option<IntId> {
    match v2::interface() {
        Some(_) => None,
        None => IntId::from_iar(v3::acknowledge_group0()),
    }
}

/// Ends an interrupt that [`acknowledge`] has returned: drops the running priority and deactivates the interrupt. Ends
/// must come in the reverse order of the acknowledges, on the same CPU. The end takes effect at the next ISB or
/// exception return, which the caller executes.
#[inline(always)]
pub fn end(interrupt: IntId) {
    match v2::interface() {
        Some(interface) => interface.end(interrupt.0),
        None => v3::end(interrupt.0),
    }
}

/// Ends an interrupt that [`acknowledge_group0`] has returned.
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

/// The priority of the interrupt that this CPU serves: of those that are not ended, the one that was acknowledged last.
/// If the CPU serves none, 0xff or the idle value of the implementation.
#[inline(always)]
pub fn running_priority() -> u8 {
    match v2::interface() {
        Some(interface) => interface.running_priority(),
        None => v3::running_priority(),
    }
}

/// Sets which interrupts this CPU's interface lets through. Once this returns, no interrupt that the new mask holds
/// back is signalled. On GICv3 this is one instruction. The compiler moves no memory access across it.
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

/// Which interrupts this CPU's interface lets through.
#[inline(always)]
pub fn priority_mask() -> PriorityMask {
    let value = match v2::interface() {
        Some(interface) => interface.priority_mask(),
        None => v3::priority_mask(),
    };
    if value <= PMR_MASKED { PriorityMask::Masked } else { PriorityMask::Unmasked }
}

/// Sends software generated interrupt `id`, of which only the low four bits count. Earlier stores are visible to the handler; for
/// [`Target::Me`] that needs no barrier.
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

/// Sends software generated interrupt `id`, which [`set_group0`] has moved to group 0 on its target.
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
