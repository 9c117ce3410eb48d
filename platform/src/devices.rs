//! Interrupt controller, console, timer, PCI host, virtio transports.

use dtoolkit::Node;
use dtoolkit::fdt::Fdt;

use crate::error::Problem;
use crate::tree::{self, Place, number, text, value, words};
use crate::{DtbError, List, MAX_REDISTRIBUTORS, MAX_VIRTIO, Region, Warning, Warnings};

/// The interrupt controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gic {
    /// GICv2 (Arm IHI 0048).
    V2 {
        /// The distributor's registers.
        dist: Region,
        /// The CPU interface's registers.
        cpu_if: Region,
    },
    /// GICv3 or GICv4 (Arm IHI 0069), whose CPU interface consists of system registers.
    V3 {
        /// The distributor's registers.
        dist: Region,
        /// Regions of redistributors, each with one frame pair or more.
        redist: List<Region, MAX_REDISTRIBUTORS>,
    },
}

/// The console: a PL011 UART (Arm DDI 0183).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uart {
    /// The UART's registers.
    pub region: Region,
    /// The INTID of the UART's combined interrupt.
    pub intid: u32,
}

/// The generic timer's interrupts, as INTIDs of PPIs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timer {
    /// The interrupt of the EL1 virtual timer.
    pub virt: u32,
    /// The interrupt of the non-secure EL1 physical timer.
    pub phys: u32,
}

/// A PCI host with ECAM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PciHost {
    /// The configuration space: function `f` of device `d` on bus `b` at `b << 20 | d << 15 | f << 12`.
    pub ecam: Region,
    /// The window to I/O ports, if there is one, as the CPU addresses it.
    pub pio: Option<Region>,
    /// The I/O port at the start of the window.
    pub pio_port: u64,
}

/// A virtio-mmio transport (Virtio 1.2, 4.2), which may have a device or not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VirtioMmio {
    /// The transport's registers.
    pub region: Region,
    /// The INTID of the transport's interrupt.
    pub intid: u32,
}

/// The GIC, and its phandle, which devices must have as their interrupt parent.
pub(crate) fn gic(fdt: Fdt<'_>) -> Result<(Gic, u32), DtbError> {
    const V3: &[&str] = &["arm,gic-v3"];
    const V2: &[&str] = &["arm,cortex-a15-gic", "arm,gic-400", "arm,cortex-a7-gic", "arm,cortex-a9-gic"];
    const WHAT: &str = "GIC";
    let read = |place: &Place<'_, '_>| {
        let fail = |property, problem| DtbError::Property { node: WHAT, property, problem };
        let word = |name| place.value(name).and_then(|v| words(v).next());
        let phandle = word("phandle").ok_or(fail("phandle", Problem::Missing))?;
        match word("#interrupt-cells") {
            Some(3) => {}
            Some(n) => return Err(fail("#interrupt-cells", Problem::Value(n.into()))),
            None => return Err(fail("#interrupt-cells", Problem::Missing)),
        }
        let dist = place.region(WHAT, 0)?;
        if !place.is_compatible(V3) {
            return Ok((Gic::V2 { dist, cpu_if: place.region(WHAT, 1)? }, phandle));
        }
        let regions = word("#redistributor-regions").unwrap_or(1) as usize;
        if regions == 0 {
            return Err(fail("#redistributor-regions", Problem::Value(0)));
        }
        if regions > MAX_REDISTRIBUTORS {
            return Err(DtbError::TooMany { what: "GIC redistributor regions", max: MAX_REDISTRIBUTORS });
        }
        let mut redist = List::new();
        for index in 1..=regions {
            // Cannot fail: the check above admits only as many as fit.
            let _ = redist.push(place.region(WHAT, index)?);
        }
        Ok((Gic::V3 { dist, redist }, phandle))
    };
    let missing = DtbError::NoNode {
        what: "interrupt controller",
        hint: "GICv2 or GICv3 is needed (QEMU: -M virt,gic-version=2 or 3)",
    };
    tree::with_compatible(fdt, V3, read).or_else(|| tree::with_compatible(fdt, V2, read)).ok_or(missing)?
}

/// The PL011 that `stdout-path` names, or else the first PL011 of the tree.
pub(crate) fn uart(fdt: Fdt<'_>, gic: u32, warnings: &mut Warnings) -> Result<Uart, DtbError> {
    const NAMES: &[&str] = &["arm,pl011"];
    const WHAT: &str = "PL011 UART";
    let read = |place: &Place<'_, '_>| {
        Ok(Uart { region: place.region(WHAT, 0)?, intid: place.interrupt(WHAT, gic, 0)? })
    };
    if let Some(stdout) = stdout_path(fdt) {
        let named = tree::walk(fdt, &mut |place| {
            if stdout.is_some_and(|path| place.is_at(path)) && place.is_compatible(NAMES) {
                return core::ops::ControlFlow::Break(read(place));
            }
            core::ops::ControlFlow::Continue(())
        });
        match named.break_value() {
            Some(uart) => return uart,
            None => crate::warn(warnings, Warning::StdoutPath),
        }
    }
    tree::with_compatible(fdt, NAMES, read).ok_or(DtbError::NoNode {
        what: "PL011 UART",
        hint: "the console needs one; add a node compatible with \"arm,pl011\"",
    })?
}

/// The full path that `stdout-path` gives. `None` if there is no `stdout-path`, `Some(None)` if its value is not text or an
/// unknown alias. The text after a colon has parameters of the serial line and is left out. A value without a leading slash is an
/// alias.
fn stdout_path(fdt: Fdt<'_>) -> Option<Option<&str>> {
    let root = fdt.root();
    let chosen = root.child("chosen")?;
    let path = value(&chosen, "stdout-path")?;
    let Some(path) = text(path) else { return Some(None) };
    let path = path.split(':').next().unwrap_or("");
    if path.starts_with('/') {
        return Some(Some(path));
    }
    let aliases = root.child("aliases");
    Some(aliases.and_then(|aliases| value(&aliases, path)).and_then(text))
}

/// The INTIDs of the generic timer, found by `interrupt-names`, or else by the order that the binding gives.
pub(crate) fn timer(fdt: Fdt<'_>, gic: u32) -> Result<Timer, DtbError> {
    const WHAT: &str = "generic timer";
    tree::with_compatible(fdt, &["arm,armv8-timer"], |place| {
        let index = |name: &str, default| match place.value("interrupt-names") {
            Some(names) => names.split(|&b| b == 0).position(|entry| entry == name.as_bytes()).ok_or(
                DtbError::Property { node: WHAT, property: "interrupt-names", problem: Problem::NoEntry },
            ),
            None => Ok(default),
        };
        let (phys, virt) = (index("phys", 1)?, index("virt", 2)?);
        Ok(Timer { virt: place.interrupt(WHAT, gic, virt)?, phys: place.interrupt(WHAT, gic, phys)? })
    })
    .ok_or(DtbError::NoNode {
        what: "generic timer",
        hint: "add a node compatible with \"arm,armv8-timer\" with its interrupts",
    })?
}

/// The PCI host, if there is one that can be used.
pub(crate) fn pci(fdt: Fdt<'_>) -> Result<Option<PciHost>, DtbError> {
    const WHAT: &str = "PCI host";
    /// Space code in the first cell of a PCI address: I/O (IEEE 1275 PCI binding, 2.2.1.1).
    const IO_SPACE: u32 = 1;
    /// The bytes of an entry of `ranges`: PCI address (3 cells), CPU address (2), size (2).
    const ENTRY: usize = 4 * (3 + 2 + 2);
    tree::with_compatible(fdt, &["pci-host-ecam-generic"], |place| {
        let ecam = place.region(WHAT, 0)?;
        let mut host = PciHost { ecam, pio: None, pio_port: 0 };
        for entry in place.value("ranges").unwrap_or(&[]).chunks_exact(ENTRY) {
            let mut words = words(entry);
            let space = words.next().unwrap_or(0) >> 24 & 3;
            let (port, base, size) = (number(&mut words, 2), number(&mut words, 2), number(&mut words, 2));
            if let (IO_SPACE, Some(port), Some(base), Some(size)) = (space, port, base, size) {
                if base.checked_add(size).is_none() {
                    return Err(DtbError::RegionOverflow { node: WHAT, base, size });
                }
                host.pio = Some(Region { base, size });
                host.pio_port = port;
            }
        }
        Ok(host)
    })
    .transpose()
}

/// The virtio-mmio transports in the tree's order. Those that do not fit are left out.
pub(crate) fn virtio(fdt: Fdt<'_>, gic: u32) -> Result<List<VirtioMmio, MAX_VIRTIO>, DtbError> {
    const WHAT: &str = "virtio-mmio transport";
    let mut found = List::new();
    tree::each_compatible(fdt, &["virtio,mmio"], &mut |place| {
        let transport = VirtioMmio { region: place.region(WHAT, 0)?, intid: place.interrupt(WHAT, gic, 0)? };
        let _ = found.push(transport);
        Ok(())
    })?;
    Ok(found)
}
