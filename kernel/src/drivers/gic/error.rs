//! Errors of the interrupt controller.

use core::fmt;

use platform::{MAX_CPUS, Region};

/// Why the interrupt controller cannot do what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum GicError {
    /// [`init`](super::init), or [`init_cpu`](super::init_cpu) on this CPU, has not been called.
    NotInitialised,
    /// A region in the device tree is smaller than the registers that belong in it.
    RegionTooSmall {
        /// Which registers the region should hold.
        what: &'static str,
        /// The region, as the device tree gives it.
        region: Region,
    },
    /// A CPU index of [`MAX_CPUS`] or above.
    BadCpu(usize),
    /// No redistributor has this CPU's affinity.
    NoRedistributor {
        /// MPIDR_EL1 of the CPU.
        mpidr: u64,
    },
    /// ICC_SRE_EL1.SRE cannot be set: the exception level above does not allow it.
    NoSystemRegisters,
    /// A register bit did not change in time.
    Timeout(&'static str),
    /// The controller has no such interrupt.
    BadInterrupt(u32),
    /// Only a private interrupt (an SGI or a PPI) can change its group here.
    Shared(u32),
    /// The operation is not possible with this controller.
    Unsupported(&'static str),
}

impl fmt::Display for GicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GIC: ")?;
        match *self {
            Self::NotInitialised => f.write_str("not initialised on this CPU yet"),
            Self::RegionTooSmall { what, region } => {
                write!(f, "the {what}'s region {region} is too small: correct `reg` in the device tree")
            }
            Self::BadCpu(cpu) => write!(f, "CPU index {cpu}, there are at most {MAX_CPUS}"),
            Self::NoRedistributor { mpidr } => write!(
                f,
                "no redistributor for the CPU with MPIDR_EL1 {mpidr:#x}: correct the GIC's `reg` in the device tree"
            ),
            Self::NoSystemRegisters => f.write_str(
                "ICC_SRE_EL1.SRE stays 0: the exception level above has to set ICC_SRE_EL2.Enable and SRE before it \
                 starts the kernel",
            ),
            Self::Timeout(bit) => write!(f, "{bit} did not change in time: the device does not work as specified"),
            Self::BadInterrupt(id) => write!(f, "there is no interrupt {id}"),
            Self::Shared(id) => write!(f, "interrupt {id} is shared between CPUs: only SGIs and PPIs can change their group"),
            Self::Unsupported(what) => write!(f, "{what} needs GICv3 (QEMU: -M virt,gic-version=3)"),
        }
    }
}

impl core::error::Error for GicError {}
