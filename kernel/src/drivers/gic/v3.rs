//! GICv3 (Arm IHI 0069): affinity routing, CPU interface in system registers, one security state (GICD_CTLR.DS=1). Interrupts
//! are in group 1 and signalled as IRQ, except those that were moved to group 0, which are signalled as FIQ.

use core::arch::asm;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use platform::{MAX_CPUS, MAX_REDISTRIBUTORS, MPIDR_AFFINITY};
use tock_registers::interfaces::{ReadWriteable, Readable, Writeable};
use tock_registers::registers::{ReadOnly, ReadWrite};
use tock_registers::{register_bitfields, register_structs};

use super::regs::{Distributor, IROUTER, PRIVATE, lines};
use super::{GicError, NORMAL, PMR_UNMASKED, Target};

register_bitfields! {
    u32,
    WAKER [
        ChildrenAsleep OFFSET(2) NUMBITS(1) [],
        ProcessorSleep OFFSET(1) NUMBITS(1) []
    ]
}

register_bitfields! {
    u64,
    TYPER [
        AffinityValue OFFSET(32) NUMBITS(32) [],
        Last OFFSET(4) NUMBITS(1) [],
        VLPIS OFFSET(1) NUMBITS(1) []
    ]
}

register_structs! {
    /// The first frame of a redistributor. The second one, for SGIs and PPIs, follows at [`SGI_FRAME`].
    Redistributor {
        (0x00 => ctlr: ReadOnly<u32>),
        (0x04 => _reserved0),
        (0x08 => typer: ReadOnly<u64, TYPER::Register>),
        (0x10 => _reserved1),
        (0x14 => waker: ReadWrite<u32, WAKER::Register>),
        (0x18 => @END),
    }
}

const FRAME: usize = 0x1_0000;
const SGI_FRAME: usize = FRAME;

pub(super) const REDISTRIBUTOR_SIZE: u64 = 2 * FRAME as u64;

/// GICD_CTLR in the format with DS=1: ARE, EnableGrp1, EnableGrp0.
const GICD_ENABLE: u32 = 1 << 4 | 1 << 1 | 1;
const GICD_DS: u32 = 1 << 6;
const GICD_RWP: u32 = 1 << 31;
const GICR_RWP: u32 = 1 << 3;

/// How often a register is polled before [`GicError::Timeout`].
const PATIENCE: usize = 10_000_000;

/// The mapped regions of redistributors, as (address, bytes); (0, 0) if unused.
static REGIONS: [(AtomicUsize, AtomicUsize); MAX_REDISTRIBUTORS] =
    [const { (AtomicUsize::new(0), AtomicUsize::new(0)) }; MAX_REDISTRIBUTORS];

/// The data of one CPU; all 0 before [`init_cpu`] on the CPU.
struct Cpu {
    /// Address of the first frame of the CPU's redistributor.
    redistributor: AtomicUsize,
    affinity: AtomicU64,
    /// The value of ICC_SGI1R_EL1, without the INTID, that sends an SGI to this CPU alone.
    sgi: AtomicU64,
}

static CPUS: [Cpu; MAX_CPUS] = [const {
    Cpu { redistributor: AtomicUsize::new(0), affinity: AtomicU64::new(0), sgi: AtomicU64::new(0) }
}; MAX_CPUS];

/// Reads a register of the CPU interface. This macro and `write_icc` lack `nomem`, because the compiler must not move
/// memory accesses across an acknowledge, an end, or a change of the mask.
macro_rules! read_icc {
    ($name:literal) => {{
        let value: u64;
        // SAFETY: reads a register of the GIC's CPU interface, which ICC_SRE_EL1.SRE makes accessible.
        unsafe { asm!(concat!("mrs {}, ", $name), out(reg) value, options(nostack, preserves_flags)) };
        value
    }};
}

macro_rules! write_icc {
    ($name:literal, $value:expr $(, $after:literal)?) => {{
        let value: u64 = $value;
        // SAFETY: writes a register of the GIC's CPU interface; that changes which interrupts are signalled, and no memory.
        unsafe {
            asm!(concat!("msr ", $name, ", {}") $(, $after)?, in(reg) value, options(nostack, preserves_flags))
        };
    }};
}

#[inline(always)]
pub(super) fn acknowledge() -> u32 {
    let iar: u64;
    // SAFETY: acknowledges the most urgent pending interrupt of group 1, or reads 1023. The DSB makes the redistributor see the
    // acknowledge before the device accesses and the end that follow (IHI 0069, "Observability of the effects of accesses to the GIC
    // registers").
    unsafe { asm!("mrs {}, icc_iar1_el1", "dsb sy", out(reg) iar, options(nostack, preserves_flags)) };
    iar as u32
}

#[inline(always)]
pub(super) fn acknowledge_group0() -> u32 {
    let iar: u64;
    // SAFETY: as `acknowledge`, for group 0.
    unsafe { asm!("mrs {}, icc_iar0_el1", "dsb sy", out(reg) iar, options(nostack, preserves_flags)) };
    iar as u32
}

#[inline(always)]
pub(super) fn end(iar: u32) {
    write_icc!("icc_eoir1_el1", iar.into());
}

#[inline(always)]
pub(super) fn end_group0(iar: u32) {
    write_icc!("icc_eoir0_el1", iar.into());
}

#[inline(always)]
pub(super) fn running_priority() -> u8 {
    read_icc!("icc_rpr_el1") as u8
}

/// A write of ICC_PMR_EL1 synchronises itself: an interrupt that the new mask holds back is not taken after the write (IHI 0069,
/// "Observability of the effects of accesses to the GIC registers").
#[inline(always)]
pub(super) fn set_priority_mask(mask: u8) {
    write_icc!("icc_pmr_el1", mask.into());
}

#[inline(always)]
pub(super) fn priority_mask() -> u8 {
    read_icc!("icc_pmr_el1") as u8
}

/// Adds a mapped region of redistributors.
pub(super) fn add_region(index: usize, address: usize, size: usize) {
    let (a, s) = &REGIONS[index];
    s.store(size, Ordering::Relaxed);
    a.store(address, Ordering::Release);
}

fn wait(what: &'static str, done: impl Fn() -> bool) -> Result<(), GicError> {
    match (0..PATIENCE).any(|_| done()) {
        true => Ok(()),
        false => Err(GicError::Timeout(what)),
    }
}

fn wait_distributor(distributor: &Distributor) -> Result<(), GicError> {
    wait("GICD_CTLR.RWP", || distributor.ctlr.get() & GICD_RWP == 0)
}

pub(super) fn init(distributor: &Distributor) -> Result<(), GicError> {
    distributor.ctlr.set(distributor.ctlr.get() & GICD_DS);
    wait_distributor(distributor)?;
    for word in (PRIVATE / 32) as usize..lines(distributor).div_ceil(32) as usize {
        distributor.igroupr[word].set(!0);
        distributor.icenabler[word].set(!0);
        distributor.icpendr[word].set(!0);
        distributor.icactiver[word].set(!0);
    }
    for id in PRIVATE..lines(distributor) {
        distributor.ipriorityr[id as usize].set(NORMAL);
    }
    wait_distributor(distributor)?;
    distributor.ctlr.set(distributor.ctlr.get() & GICD_DS | GICD_ENABLE);
    wait_distributor(distributor)
}

/// Whether all 8 bits of priorities order interrupts as they were written. With two security states the non-secure view is shifted,
/// and half the range cannot be used.
pub(super) fn has_one_security_state(distributor: &Distributor) -> bool {
    distributor.ctlr.get() & GICD_DS != 0
}

/// MPIDR's affinity fields in the format of GICR_TYPER.AffinityValue.
fn packed(affinity: u64) -> u64 {
    affinity >> 8 & 0xff00_0000 | affinity & 0xff_ffff
}

/// The first frame of the redistributor that belongs to the CPU with `affinity`.
fn find(affinity: u64) -> Option<usize> {
    for (address, size) in &REGIONS {
        let (address, size) = (address.load(Ordering::Acquire), size.load(Ordering::Relaxed));
        let mut offset = 0;
        while address != 0 && offset + 2 * FRAME <= size {
            let typer = redistributor(address + offset).typer.extract();
            if typer.read(TYPER::AffinityValue) == packed(affinity) {
                return Some(address + offset);
            }
            if typer.is_set(TYPER::Last) {
                break;
            }
            // With GICv4 a redistributor has two more frames, for virtual LPIs.
            offset += if typer.is_set(TYPER::VLPIS) { 4 } else { 2 } * FRAME;
        }
    }
    None
}

fn redistributor(address: usize) -> &'static Redistributor {
    // SAFETY: only called with addresses in regions whose mapping `init`'s caller has promised: redistributors, mapped for
    // good. All fields are cells that are accessed by volatile reads and writes only.
    unsafe { &*(address as *const Redistributor) }
}

/// The part of a redistributor that controls its CPU's SGIs and PPIs.
fn private(redistributor: usize) -> &'static Distributor {
    // SAFETY: as `redistributor`; the frame for SGIs and PPIs follows the first one, and has the layout of a distributor.
    unsafe { &*((redistributor + SGI_FRAME) as *const Distributor) }
}

pub(super) fn init_cpu(cpu: usize, mpidr: u64) -> Result<(), GicError> {
    let affinity = mpidr & MPIDR_AFFINITY;
    let base = find(affinity).ok_or(GicError::NoRedistributor { mpidr })?;
    let frame = redistributor(base);
    frame.waker.modify(WAKER::ProcessorSleep::CLEAR);
    wait("GICR_WAKER.ChildrenAsleep", || !frame.waker.is_set(WAKER::ChildrenAsleep))?;
    let private = private(base);
    private.igroupr[0].set(!0);
    private.icenabler[0].set(!0);
    private.icpendr[0].set(!0);
    private.icactiver[0].set(!0);
    for id in 0..PRIVATE {
        private.ipriorityr[id as usize].set(NORMAL);
    }
    wait_redistributor(base)?;
    init_interface()?;

    let aff = |n: u32| affinity >> n & 0xff;
    // Aff3, range selector, Aff2, Aff1, one bit of the target list.
    let sgi = aff(32) << 48 | aff(0) >> 4 << 44 | aff(16) << 32 | aff(8) << 16 | 1 << (aff(0) & 0xf);
    CPUS[cpu].affinity.store(affinity, Ordering::Relaxed);
    CPUS[cpu].sgi.store(sgi, Ordering::Relaxed);
    CPUS[cpu].redistributor.store(base, Ordering::Release);
    Ok(())
}

fn init_interface() -> Result<(), GicError> {
    const SRE: u64 = 1;
    // DFB, DIB: no interrupt bypasses the GIC. The register is written whole, because after reset DFB and DIB are
    // UNKNOWN on CPUs whose SRE is fixed.
    // The ISB: without SRE in force the other registers are UNDEFINED (DDI 0487 D24.1.2.2).
    write_icc!("icc_sre_el1", SRE | 1 << 1 | 1 << 2, "isb");
    if read_icc!("icc_sre_el1") & SRE == 0 {
        return Err(GicError::NoSystemRegisters);
    }
    // EOImode 0: the end of an interrupt also deactivates it. CBPR 0: each group has its own binary point.
    write_icc!("icc_ctlr_el1", 0);
    write_icc!("icc_bpr0_el1", 0);
    write_icc!("icc_bpr1_el1", 0);
    set_priority_mask(PMR_UNMASKED);
    write_icc!("icc_igrpen0_el1", 1);
    // The ISB puts this and all writes above in force (DDI 0487 D24.1.2.2).
    write_icc!("icc_igrpen1_el1", 1, "isb");
    Ok(())
}

fn wait_redistributor(base: usize) -> Result<(), GicError> {
    wait("GICR_CTLR.RWP", || redistributor(base).ctlr.get() & GICR_RWP == 0)
}

/// The redistributor of the executing CPU.
fn own() -> Result<usize, GicError> {
    use aarch64_cpu::registers::MPIDR_EL1;
    let affinity = MPIDR_EL1.get() & MPIDR_AFFINITY;
    CPUS.iter()
        .map(|cpu| (cpu.redistributor.load(Ordering::Acquire), cpu.affinity.load(Ordering::Relaxed)))
        .find_map(|(base, a)| (base != 0 && a == affinity).then_some(base))
        .ok_or(GicError::NotInitialised)
}

/// The block of registers that controls `id`: the distributor, or the frame in this CPU's redistributor.
pub(super) fn control(distributor: &'static Distributor, id: u32) -> Result<&'static Distributor, GicError> {
    if id < PRIVATE { own().map(private) } else { Ok(distributor) }
}

/// Waits until the cleared enable bit of `id` has taken effect.
pub(super) fn wait_disabled(distributor: &Distributor, id: u32) -> Result<(), GicError> {
    if id < PRIVATE { wait_redistributor(own()?) } else { wait_distributor(distributor) }
}

/// Routes a shared interrupt to CPU `cpu`.
pub(super) fn route(distributor: &Distributor, id: u32, cpu: usize) {
    let register = core::ptr::from_ref(distributor) as usize + IROUTER + 8 * id as usize;
    // SAFETY: GICD_IROUTER<id> lies in the distributor that `init`'s caller has promised to be mapped for good. `init` has checked
    // that its size includes the last IROUTER, `control` that the distributor has `id`. No Rust reference covers the register.
    unsafe { (register as *mut u64).write_volatile(CPUS[cpu].affinity.load(Ordering::Acquire)) };
}

/// The value for ICC_SGI1R_EL1 or ICC_SGI0R_EL1; `None` for a CPU that has not been initialised.
#[inline(always)]
fn sgi(id: u32, target: Target) -> Option<u64> {
    const ALL_OTHERS: u64 = 1 << 40;
    let to = match target {
        Target::OneCpu(cpu) => CPUS.get(cpu)?.sgi.load(Ordering::Relaxed),
        Target::AllOthers => ALL_OTHERS,
        Target::Me => {
            let own = own().ok()?;
            CPUS.iter()
                .find(|cpu| cpu.redistributor.load(Ordering::Relaxed) == own)?
                .sgi
                .load(Ordering::Relaxed)
        }
    };
    (to != 0).then_some(to | u64::from(id) << 24)
}

#[inline(always)]
pub(super) fn send_sgi(id: u32, target: Target) {
    if let Some(value) = sgi(id, target) {
        publish(target);
        // The ISB: the SGI is certain to be sent only behind a context synchronization event (DDI 0487 D24.1.2.2).
        write_icc!("icc_sgi1r_el1", value, "isb");
    }
}

#[inline(always)]
pub(super) fn send_sgi_group0(id: u32, target: Target) {
    if let Some(value) = sgi(id, target) {
        publish(target);
        // As in `send_sgi`.
        write_icc!("icc_sgi0r_el1", value, "isb");
    }
}

/// Makes earlier stores visible to the CPU that takes an SGI: a write of a system register is not ordered after stores by itself
/// (DDI 0487 B2, "Data Synchronization Barrier"). This CPU sees its own stores without a barrier.
#[inline(always)]
fn publish(target: Target) {
    if !matches!(target, Target::Me) {
        // SAFETY: a barrier.
        unsafe { asm!("dsb ishst", options(nostack, preserves_flags)) };
    }
}
