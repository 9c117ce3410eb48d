//! The errors in a device tree, and what to do about them.

use core::fmt;

use crate::Region;

/// Why a device tree cannot be used. `Display` says what is wrong and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DtbError {
    /// The boot loader passed no address.
    Missing,
    /// The address is not a multiple of 8 bytes.
    Misaligned {
        /// The physical address passed.
        address: u64,
    },
    /// The address is where the kernel's first page tables do not reach.
    OutOfReach {
        /// The physical address passed.
        address: u64,
    },
    /// There are fewer bytes than a header has, or than the header announces.
    TooShort {
        /// How many bytes there are.
        have: usize,
        /// How many bytes there should be.
        need: usize,
    },
    /// The first word is not `0xd00dfeed`.
    Magic {
        /// The word found.
        found: u32,
    },
    /// The header's `totalsize` is out of bounds.
    TotalSize {
        /// The size in the header, in bytes.
        size: usize,
        /// The largest accepted size, in bytes.
        max: usize,
    },
    /// A reader of version 17 cannot read the blob.
    Version {
        /// `version` of the header.
        version: u32,
        /// `last_comp_version` of the header.
        last_compatible: u32,
    },
    /// The blob is damaged: offsets, tokens or strings do not fit.
    Structure(dtoolkit::error::FdtParseError),
    /// A node that must be there does not exist.
    NoNode {
        /// What was looked for.
        what: &'static str,
        /// How the user can provide the node.
        hint: &'static str,
    },
    /// A property is missing, or its value is not one that the property can have.
    Property {
        /// The node, by its role.
        node: &'static str,
        /// The property's name.
        property: &'static str,
        /// What is wrong with the property.
        problem: Problem,
    },
    /// A node gives the addresses or the sizes in the nodes below it a number of cells that cannot be read.
    Cells {
        /// `#address-cells` or `#size-cells`.
        property: &'static str,
        /// The name of the node that has the property; empty for the root.
        node: Excerpt,
        /// The node below it that was read, by its role.
        below: &'static str,
        /// The number of cells.
        cells: u32,
    },
    /// There are more entries than are kept, and it would be unsafe to drop some.
    TooMany {
        /// The kind of entries.
        what: &'static str,
        /// How many entries are kept.
        max: usize,
    },
    /// Two banks of memory overlap.
    MemoryOverlap(Region, Region),
    /// A region's end does not fit in 64 bits.
    RegionOverflow {
        /// The node, by its role.
        node: &'static str,
        /// The address of the first byte.
        base: u64,
        /// The size in bytes.
        size: u64,
    },
    /// A region lies behind a bus that does not translate its address.
    Unreachable {
        /// The node, by its role.
        node: &'static str,
        /// The address on its own bus.
        base: u64,
    },
    /// An interrupt specifier names no SPI and no PPI.
    Interrupt {
        /// The node, by its role.
        node: &'static str,
        /// The first cell: 0 for an SPI, 1 for a PPI.
        kind: u32,
        /// The second cell.
        number: u32,
    },
    /// The device's interrupt parent is not the interrupt controller found.
    InterruptParent {
        /// The node, by its role.
        node: &'static str,
    },
    /// The command line is longer than the buffer it is copied to.
    BootargsTooLong {
        /// The length of the command line, in bytes.
        len: usize,
        /// The longest command line that is taken, in bytes.
        max: usize,
    },
}

/// What is wrong with a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// The property does not exist.
    Missing,
    /// The property's length is not a multiple of its entries' length.
    Length {
        /// How many bytes there are.
        have: usize,
        /// The bytes of one entry.
        unit: usize,
    },
    /// The property has fewer entries than are needed.
    Short {
        /// How many bytes there are.
        have: usize,
        /// How many bytes the entries have that are needed.
        need: usize,
    },
    /// A value outside what the binding allows.
    Value(u64),
    /// A text that is not one of those that the binding allows.
    Text {
        /// The text that was found.
        found: Excerpt,
        /// The texts that the binding allows.
        allowed: &'static str,
    },
    /// A list of names lacks a name that is needed.
    NoEntry,
    /// The value is not text.
    NotText,
}

/// The beginning of a text in the tree. An error owns it, so that it can be reported when the blob is no longer at hand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Excerpt {
    /// Whole characters, and zeros behind them.
    bytes: [u8; Excerpt::MAX],
    len: u8,
    /// The text goes on.
    cut: bool,
}

impl Excerpt {
    /// How many bytes are kept: as many as a node's name has at most (Devicetree Specification, 2.2.1: 31 characters) with an `@`
    /// and a unit address of 64 bits.
    const MAX: usize = 31 + 1 + 16;

    pub(crate) fn new(text: &str) -> Self {
        let len = text.floor_char_boundary(Self::MAX);
        let mut bytes = [0; Self::MAX];
        bytes[..len].copy_from_slice(&text.as_bytes()[..len]);
        Self { bytes, len: len as u8, cut: len < text.len() }
    }

    fn as_str(&self) -> &str {
        // Always text: `new` keeps whole characters.
        core::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }
}

/// The text with control characters escaped, and with dots where it was cut.
impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.as_str().escape_debug(), if self.cut { "..." } else { "" })
    }
}

impl fmt::Debug for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Missing => f.write_str("is missing"),
            Self::Length { have, unit } => {
                write!(f, "has {have} bytes, which does not fit entries of {unit}")
            }
            Self::Short { have, need } => write!(f, "has {have} bytes where {need} are needed"),
            Self::Text { found, allowed } => write!(f, "is \"{found}\", not {allowed}"),
            Self::Value(value) => write!(f, "has the value {value:#x}, which its binding does not allow"),
            Self::NoEntry => f.write_str("lacks a name that is needed"),
            Self::NotText => f.write_str("is not UTF-8 text ended by a NUL"),
        }
    }
}

impl fmt::Display for DtbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("device tree: ")?;
        match self {
            Self::Missing => f.write_str(
                "none was passed: boot the raw image (not the ELF file), so that the loader puts the device tree's \
                 address in x0",
            ),
            Self::Misaligned { address } => {
                write!(f, "its address {address:#x} is not a multiple of 8: let the boot loader align it")
            }
            Self::OutOfReach { address } => write!(
                f,
                "its address {address:#x} is not between 1 GiB and 511 GiB, where the boot code can read it: have the boot loader put it \
                 near the image"
            ),
            Self::TooShort { have, need } => write!(
                f,
                "{have} bytes where {need} are needed: it is truncated; check how it was copied or loaded"
            ),
            Self::Magic { found } => write!(
                f,
                "starts with {found:#010x}, not 0xd00dfeed: x0 does not point to a device tree; check the boot \
                 loader's -dtb or -kernel argument"
            ),
            Self::TotalSize { size, max } => write!(
                f,
                "claims {size} bytes, but only 56 to {max} are accepted: it is damaged, or padded too far (repack it with dtc)"
            ),
            Self::Version { version, last_compatible } => write!(
                f,
                "version {version} (compatible down to {last_compatible}) cannot be read as version 17: rebuild it \
                 with `dtc -V 17`"
            ),
            Self::Structure(error) => {
                write!(f, "damaged: {error}; check it with `dtc -I dtb`, and that nothing overwrote it")
            }
            Self::NoNode { what, hint } => write!(f, "no {what}: {hint}"),
            Self::Property { node, property, problem } => {
                write!(f, "`{property}` of the {node} {problem}: correct the device tree")
            }
            Self::Cells { property, node, below, cells } => {
                write!(f, "`{property}` of the ")?;
                match node.as_str() {
                    "" => f.write_str("root node")?,
                    _ => write!(f, "node `{node}`")?,
                }
                write!(f, " above the {below} is {cells}, but only 1 and 2 are supported: correct the device tree")
            }
            Self::TooMany { what, max } => {
                write!(f, "more than {max} {what}, and none can be left out safely: merge them")
            }
            Self::MemoryOverlap(a, b) => write!(f, "memory banks {a} and {b} overlap: correct the memory nodes"),
            Self::RegionOverflow { node, base, size } => write!(
                f,
                "the {node}'s region at {base:#x} of {size:#x} bytes ends past 64 bits: correct its `reg` property"
            ),
            Self::Unreachable { node, base } => write!(
                f,
                "the {node} at {base:#x} is on a bus that does not translate this address: correct the bus's \
                 `ranges`"
            ),
            Self::Interrupt { node, kind, number } => write!(
                f,
                "the {node}'s interrupt <{kind} {number}> is neither an SPI <0 0..987> nor a PPI <1 0..15>: correct \
                 its `interrupts`"
            ),
            Self::InterruptParent { node } => write!(
                f,
                "the {node}'s interrupt parent is not the GIC: correct `interrupt-parent`; chained controllers are \
                 not supported"
            ),
            Self::BootargsTooLong { len, max } => {
                write!(f, "bootargs of {len} bytes, at most {max} are taken: shorten the command line")
            }
        }
    }
}

impl core::error::Error for DtbError {}

/// An oddity that does not keep the machine from being used. `Display` says what was done instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Warning {
    /// The tree has more CPUs than are used.
    MoreCpus {
        /// The number of CPUs in the device tree.
        found: usize,
        /// The number of CPUs that are used, which are the first ones.
        used: usize,
    },
    /// Two CPU nodes have the same affinity; the second was left out.
    DuplicateCpu {
        /// The affinity, as in MPIDR_EL1.
        mpidr: u64,
    },
    /// The tree has more memory banks than are kept; the others are not used.
    MoreBanks {
        /// The number of banks in the device tree.
        found: usize,
        /// The number of banks that are used.
        used: usize,
    },
    /// `stdout-path` names nothing usable; the first PL011 was taken.
    #[default]
    StdoutPath,
    /// Several CPUs, but no PSCI 0.2 or newer to start them with: only the boot CPU can run.
    NoPsci,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::MoreCpus { found, used } => {
                write!(f, "{found} CPUs in the device tree, only the first {used} are used")
            }
            Self::DuplicateCpu { mpidr } => {
                write!(f, "two CPU nodes with affinity {mpidr:#x}, the second is left out")
            }
            Self::MoreBanks { found, used } => {
                write!(f, "{found} memory banks in the device tree, only {used} are used")
            }
            Self::StdoutPath => {
                f.write_str("stdout-path names no enabled PL011, the first PL011 is the console")
            }
            Self::NoPsci => {
                f.write_str("no PSCI 0.2 or newer in the device tree, CPUs other than the boot CPU stay off")
            }
        }
    }
}
