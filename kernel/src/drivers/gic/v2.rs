//! GICv2 (Arm IHI 0048): distributor and memory-mapped CPU interface. This driver is for a GIC without the security extensions,
//! where all interrupts are in group 0 and are signalled as IRQ.

use core::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use platform::MAX_CPUS;
use tock_registers::interfaces::{Readable, Writeable};
use tock_registers::register_structs;
use tock_registers::registers::{ReadOnly, ReadWrite, WriteOnly};

use super::regs::{Distributor, PRIVATE, lines};
use super::{GicError, IntId, NORMAL, PMR_UNMASKED, Target};

register_structs! {
    /// The CPU interface (IHI 0048, 4.1.3).
    CpuInterface {
        (0x00 => ctlr: ReadWrite<u32>),
        (0x04 => pmr: ReadWrite<u32>),
        (0x08 => bpr: ReadWrite<u32>),
        (0x0c => iar: ReadOnly<u32>),
        (0x10 => eoir: WriteOnly<u32>),
        (0x14 => rpr: ReadOnly<u32>),
        (0x18 => @END),
    }
}

pub(super) const CPU_INTERFACE_SIZE: u64 = size_of::<CpuInterface>() as u64;

/// Address of the CPU interface; 0 if the GIC is no GICv2. The hot path tells the versions apart by this value.
static CPU_INTERFACE: AtomicUsize = AtomicUsize::new(0);

/// Each CPU's bit in GICD_ITARGETSR and GICD_SGIR, 0 until the CPU has been initialised.
static TARGETS: [AtomicU8; MAX_CPUS] = [const { AtomicU8::new(0) }; MAX_CPUS];

const GICD_ENABLE: u32 = 1;
/// EnableGrp0. EOImodeNS is 0, so a write of EOIR both drops the priority and deactivates the interrupt.
const GICC_ENABLE: u32 = 1;

/// The CPU interface of the executing CPU, if the GIC is a GICv2.
#[derive(Clone, Copy)]
pub(super) struct Interface(&'static CpuInterface);

#[inline(always)]
pub(super) fn interface() -> Option<Interface> {
    match CPU_INTERFACE.load(Ordering::Relaxed) {
        0 => None,
        // SAFETY: only `init` stores an address here, and its caller has promised that it is the CPU interface, mapped for good.
        // All fields are cells that are accessed by volatile reads and writes only.
        base => Some(Interface(unsafe { &*(base as *const CpuInterface) })),
    }
}

impl Interface {
    #[inline(always)]
    pub(super) fn acknowledge(self) -> u32 {
        let iar = self.0.iar.get();
        // The handler's loads do not wait for a load from a device by themselves (DDI 0487 B2.3). The DSB completes the acknowledge
        // first, so that the handler sees what another CPU has stored before it sent an SGI.
        aarch64_cpu::asm::barrier::dsb(aarch64_cpu::asm::barrier::SY);
        iar
    }

    #[inline(always)]
    pub(super) fn end(self, iar: u32) {
        self.0.eoir.set(iar);
    }

    #[inline(always)]
    pub(super) fn running_priority(self) -> u8 {
        self.0.rpr.get() as u8
    }

    #[inline(always)]
    pub(super) fn set_priority_mask(self, mask: u8) {
        self.0.pmr.set(u32::from(mask));
        // Reading the register back completes the write: once this returns, no interrupt of lower priority is signalled.
        let _ = self.0.pmr.get();
    }

    #[inline(always)]
    pub(super) fn priority_mask(self) -> u8 {
        self.0.pmr.get() as u8
    }
}

pub(super) fn init(distributor: &Distributor, cpu_interface: usize) {
    distributor.ctlr.set(0);
    for word in (PRIVATE / 32) as usize..lines(distributor).div_ceil(32) as usize {
        distributor.icenabler[word].set(!0);
        distributor.icpendr[word].set(!0);
        distributor.icactiver[word].set(!0);
    }
    for id in PRIVATE..lines(distributor) {
        distributor.ipriorityr[id as usize].set(NORMAL);
    }
    distributor.ctlr.set(GICD_ENABLE);
    CPU_INTERFACE.store(cpu_interface, Ordering::Release);
}

pub(super) fn init_cpu(distributor: &Distributor, cpu: usize) -> Result<(), GicError> {
    let interface = interface().ok_or(GicError::NotInitialised)?;
    distributor.icenabler[0].set(!0);
    distributor.icpendr[0].set(!0);
    distributor.icactiver[0].set(!0);
    for pending in &distributor.cpendsgir {
        pending.set(!0);
    }
    for id in 0..PRIVATE {
        distributor.ipriorityr[id as usize].set(NORMAL);
    }
    // The target bytes of private interrupts read as the bit of the executing CPU; on a machine with one CPU they read as zero.
    let own = distributor.itargetsr[..PRIVATE as usize].iter().fold(0, |all, target| all | target.get());
    TARGETS[cpu].store(if own == 0 { 1 } else { own }, Ordering::Release);
    interface.0.bpr.set(0);
    interface.set_priority_mask(PMR_UNMASKED);
    interface.0.ctlr.set(GICC_ENABLE);
    Ok(())
}

/// Routes a shared interrupt to CPU `cpu`: on a machine with several CPUs, reset leaves shared interrupts without a target.
pub(super) fn route(distributor: &Distributor, id: u32, cpu: usize) {
    distributor.itargetsr[id as usize].set(TARGETS[cpu].load(Ordering::Acquire));
}

#[inline]
pub(super) fn send_sgi(distributor: &Distributor, id: u32, target: Target) {
    const ALL_OTHERS: u32 = 1 << 24;
    const ONLY_ME: u32 = 2 << 24;
    let to = match target {
        Target::OneCpu(cpu) => TARGETS.get(cpu).map_or(0, |t| u32::from(t.load(Ordering::Relaxed)) << 16),
        Target::AllOthers => ALL_OTHERS,
        Target::Me => ONLY_ME,
    };
    if to == 0 {
        return;
    }
    // The CPU that takes the interrupt must see earlier stores of this CPU, which the store to a device does not wait for by itself (DDI 0487
    // B2, "Data Synchronization Barrier"). This CPU sees its own stores without a barrier.
    if !matches!(target, Target::Me) {
        aarch64_cpu::asm::barrier::dsb(aarch64_cpu::asm::barrier::ISHST);
    }
    distributor.sgir.set(to | id);
}

/// The interrupt's number in a value of the acknowledge register. For an SGI the bits above hold the number of the CPU
/// that has sent it.
pub(super) const fn id(iar: u32) -> u32 {
    iar & 0x3ff
}

const _: () = assert!(id(0x1c05) == 5);

impl IntId {
    /// The CPU interface that sent an SGI (GICv2 only; 0 on GICv3, which does not tell).
    pub const fn sender(self) -> u32 {
        self.0 >> 10 & 7
    }
}
