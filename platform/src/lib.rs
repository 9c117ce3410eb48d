//! What the device tree says about the machine.
//!
//! [`parse`] turns a flattened device tree (Devicetree Specification 0.4), the *blob*, into a [`Platform`]: plain data that does not
//! refer to the blob. The blob is not trusted. Whatever its bytes are, [`parse`] returns a `Platform` or a [`DtbError`] that says
//! what is wrong, within bounded time and stack and without allocation.
//!
//! ```no_run
//! # let blob: &[u8] = &[];
//! let size = platform::total_size(&blob[..40])?;
//! let machine = platform::parse(&blob[..size])?;
//! # Ok::<(), platform::DtbError>(())
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod cpus;
mod devices;
mod error;
mod header;
mod list;
mod memory;
mod region;
mod tree;

use core::fmt;

pub use cpus::{Conduit, MPIDR_AFFINITY, Psci};
pub use devices::{Gic, PciHost, Timer, Uart, VirtioMmio};
pub use error::{DtbError, Excerpt, Problem, Warning};
pub use header::{HEADER_SIZE, MAX_SIZE, check_address, total_size};
pub use list::List;
pub use memory::Reserved;
pub use region::Region;

/// The most CPUs that are taken from the tree.
pub const MAX_CPUS: usize = 8;
/// The most memory banks that are kept.
pub const MAX_BANKS: usize = 16;
/// The most reserved regions that are kept. A tree with more is refused, since memory that firmware uses must not be given out.
pub const MAX_RESERVED: usize = 32;
/// The most regions of GICv3 redistributors that are kept.
pub const MAX_REDISTRIBUTORS: usize = 8;
/// The most virtio-mmio transports that are kept.
pub const MAX_VIRTIO: usize = 32;
/// The longest command line that is taken, in bytes.
pub const MAX_BOOTARGS: usize = 2048;
/// The most warnings that are kept.
pub const MAX_WARNINGS: usize = 8;

type Warnings = List<Warning, MAX_WARNINGS>;

/// The machine. Addresses are physical, as the CPU sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Platform {
    /// Memory banks in ascending order; none overlap, none is empty.
    pub memory: List<Region, MAX_BANKS>,
    /// Parts of memory that are not free: reservation block, `/reserved-memory`, initial RAM disk. The blob itself
    /// need not be among them.
    pub reserved: List<Reserved, MAX_RESERVED>,
    /// The initial RAM disk, if there is one. Its region is among the reserved ones.
    pub ramdisk: Option<Region>,
    /// Affinities of the CPUs ([`MPIDR_AFFINITY`]) in the tree's order, which need not begin with the boot CPU.
    pub cpus: List<u64, MAX_CPUS>,
    /// How other CPUs are started and the machine is switched off; `None` if the tree promises no usable PSCI.
    pub psci: Option<Psci>,
    /// The interrupt controller.
    pub gic: Gic,
    /// The console.
    pub uart: Uart,
    /// The generic timer.
    pub timer: Timer,
    /// The PCI host, if there is one.
    pub pci: Option<PciHost>,
    /// The virtio-mmio transports.
    pub virtio: List<VirtioMmio, MAX_VIRTIO>,
    /// The oddities of the tree that do not keep the machine from being used.
    pub warnings: List<Warning, MAX_WARNINGS>,
    bootargs: Bootargs,
}

impl Platform {
    /// The command line; empty if there is none.
    pub fn bootargs(&self) -> &str {
        self.bootargs.as_str()
    }

    /// The memory that may be mapped as normal memory, in ascending order: the banks without the regions that must not be mapped
    /// (`no-map`). Each of these is extended to whole pages of `page` bytes, a power of two.
    pub fn mappable(&self, page: u64) -> impl Iterator<Item = Region> + Clone + '_ {
        self.memory.iter().flat_map(move |&bank| memory::mappable(bank, &self.reserved, page))
    }

    /// The memory that nobody has reserved, in ascending order and in whole pages as [`Platform::mappable`].
    pub fn free(&self, page: u64) -> impl Iterator<Item = Region> + Clone + '_ {
        self.memory.iter().flat_map(move |&bank| memory::free(bank, &self.reserved, page))
    }

    /// Index in [`Platform::cpus`] of the CPU whose MPIDR_EL1 is `mpidr`; bits outside [`MPIDR_AFFINITY`] are ignored.
    pub fn cpu_index(&self, mpidr: u64) -> Option<usize> {
        self.cpus.iter().position(|&cpu| cpu == mpidr & MPIDR_AFFINITY)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Bootargs {
    bytes: [u8; MAX_BOOTARGS],
    len: usize,
}

impl Bootargs {
    fn new(text: &str) -> Result<Self, DtbError> {
        let mut bytes = [0; MAX_BOOTARGS];
        let len = text.len();
        let place = bytes.get_mut(..len).ok_or(DtbError::BootargsTooLong { len, max: MAX_BOOTARGS })?;
        place.copy_from_slice(text.as_bytes());
        Ok(Self { bytes, len })
    }

    fn as_str(&self) -> &str {
        // Always text: `new` is the only way to make one, and takes whole text only.
        core::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

impl fmt::Debug for Bootargs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

/// Reads the device tree at the start of `dtb`; bytes after it are ignored.
///
/// # Errors
///
/// The first [`DtbError`] met: a damaged blob, or one that lacks memory, CPUs, a GIC, a PL011 or the generic timer, or
/// describes one of them in a way that cannot be right.
pub fn parse(dtb: &[u8]) -> Result<Platform, DtbError> {
    let size = total_size(dtb)?;
    let blob = dtb.get(..size).ok_or(DtbError::TooShort { have: dtb.len(), need: size })?;
    let fdt = dtoolkit::fdt::Fdt::new(blob).map_err(DtbError::Structure)?;
    let mut warnings = Warnings::new();
    let cpus = cpus::cpus(fdt, &mut warnings)?;
    let psci = cpus::psci(fdt)?;
    if psci.is_none() && cpus.len() > 1 {
        warn(&mut warnings, Warning::NoPsci);
    }
    let (gic, phandle) = devices::gic(fdt)?;
    Ok(Platform {
        memory: memory::banks(fdt, &mut warnings)?,
        reserved: memory::reserved(fdt)?,
        ramdisk: memory::ramdisk(fdt)?,
        cpus,
        psci,
        gic,
        uart: devices::uart(fdt, phandle, &mut warnings)?,
        timer: devices::timer(fdt, phandle)?,
        pci: devices::pci(fdt)?,
        virtio: devices::virtio(fdt, phandle)?,
        bootargs: Bootargs::new(memory::bootargs(fdt)?)?,
        warnings,
    })
}

/// Adds a warning, or drops it if there is no room: the first ones are the most useful.
fn warn(warnings: &mut Warnings, warning: Warning) {
    let _ = warnings.push(warning);
}

/// The boot log's lines about the machine; the last one ends without a newline.
impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for bank in &self.memory {
            writeln!(f, "memory   {bank} ({} MiB)", bank.size >> 20)?;
        }
        for Reserved { region, no_map } in &self.reserved {
            writeln!(f, "reserved {region}{}", if *no_map { " (not to be mapped)" } else { "" })?;
        }
        write!(f, "cpus     {}:", self.cpus.len())?;
        for mpidr in &self.cpus {
            write!(f, " {mpidr:#x}")?;
        }
        writeln!(f)?;
        match self.psci {
            Some(Psci { conduit, version: (major, minor) }) => {
                let conduit = match conduit {
                    Conduit::Hvc => "HVC",
                    Conduit::Smc => "SMC",
                };
                writeln!(f, "psci     {major}.{minor} by {conduit}")?;
            }
            None => writeln!(f, "psci     none")?,
        }
        match &self.gic {
            Gic::V2 { dist, cpu_if } => {
                writeln!(f, "gic      v2, distributor {dist}, CPU interface {cpu_if}")?;
            }
            Gic::V3 { dist, redist } => {
                write!(f, "gic      v3, distributor {dist}, redistributors")?;
                for region in redist {
                    write!(f, " {region}")?;
                }
                writeln!(f)?;
            }
        }
        writeln!(f, "console  pl011 {}, INTID {}", self.uart.region, self.uart.intid)?;
        writeln!(f, "timer    virtual INTID {}, physical INTID {}", self.timer.virt, self.timer.phys)?;
        if let Some(pci) = &self.pci {
            write!(f, "pci      ECAM {}", pci.ecam)?;
            if let Some(pio) = pci.pio {
                write!(f, ", ports from {:#x} at {pio}", pci.pio_port)?;
            }
            writeln!(f)?;
        }
        if let (Some(first), Some(last)) = (self.virtio.first(), self.virtio.last()) {
            writeln!(
                f,
                "virtio   {} transports, INTID {} to {}",
                self.virtio.len(),
                first.intid,
                last.intid
            )?;
        }
        write!(f, "bootargs \"{}\"", self.bootargs().escape_debug())?;
        for warning in &self.warnings {
            write!(f, "\nwarning: {warning}")?;
        }
        Ok(())
    }
}
