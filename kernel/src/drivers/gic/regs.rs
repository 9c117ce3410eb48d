//! Register layouts that both versions share.

use tock_registers::register_structs;
use tock_registers::registers::{ReadOnly, ReadWrite, WriteOnly};

register_structs! {
    /// The distributor (IHI 0048, 4.1.2). The SGI frame of a GICv3 redistributor has the same layout for its 32 interrupts, as far
    /// as the kernel uses it.
    pub(super) Distributor {
        (0x0000 => pub ctlr: ReadWrite<u32>),
        (0x0004 => pub typer: ReadOnly<u32>),
        (0x0008 => _reserved0),
        (0x0080 => pub igroupr: [ReadWrite<u32>; 32]),
        (0x0100 => pub isenabler: [ReadWrite<u32>; 32]),
        (0x0180 => pub icenabler: [ReadWrite<u32>; 32]),
        (0x0200 => pub ispendr: [ReadWrite<u32>; 32]),
        (0x0280 => pub icpendr: [ReadWrite<u32>; 32]),
        (0x0300 => pub isactiver: [ReadWrite<u32>; 32]),
        (0x0380 => pub icactiver: [ReadWrite<u32>; 32]),
        (0x0400 => pub ipriorityr: [ReadWrite<u8>; 1020]),
        (0x07fc => _reserved1),
        (0x0800 => pub itargetsr: [ReadWrite<u8>; 1020]),
        (0x0bfc => _reserved2),
        (0x0f00 => pub sgir: WriteOnly<u32>),
        (0x0f04 => _reserved3),
        (0x0f10 => pub cpendsgir: [ReadWrite<u32>; 4]),
        (0x0f20 => @END),
    }
}

/// Offset of GICD_IROUTER0 (GICv3), the first of the registers of 64 bits that route shared interrupts, one for each interrupt.
pub(super) const IROUTER: usize = 0x6000;

/// Bytes of a GICv3 distributor that must be mapped: up to and including the IROUTERs.
pub(super) const DISTRIBUTOR_V3: u64 = IROUTER as u64 + 8 * 1020;

/// The number of SGIs and PPIs, the interrupts that are private to each CPU; shared interrupts begin with this number.
pub(super) const PRIVATE: u32 = 32;

/// Number of interrupts that the distributor has lines for, from GICD_TYPER.ITLinesNumber.
pub(super) fn lines(distributor: &Distributor) -> u32 {
    use tock_registers::interfaces::Readable;
    (32 * ((distributor.typer.get() & 0x1f) + 1)).min(1020)
}
