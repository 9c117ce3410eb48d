//! CPUs, and PSCI to start and stop them.

use dtoolkit::Node;
use dtoolkit::fdt::Fdt;

use crate::error::{Excerpt, Problem};
use crate::tree::{self, number, text, value, words};
use crate::{DtbError, List, MAX_CPUS, Warning, Warnings};

/// The affinity fields of MPIDR_EL1: Aff3 in bits 39:32, Aff2 to Aff0 in bits 23:0.
pub const MPIDR_AFFINITY: u64 = 0xff_00ff_ffff;

/// How PSCI is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conduit {
    /// By HVC: firmware at EL2.
    Hvc,
    /// By SMC: firmware at EL3.
    Smc,
}

/// The Power State Coordination Interface (PSCI, Arm DEN0022), by which CPUs are started and the machine is switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Psci {
    /// The instruction that calls PSCI.
    pub conduit: Conduit,
    /// The version that the tree promises, as (major, minor): (0, 2) or (1, 0). Both use the standard function IDs.
    pub version: (u16, u16),
}

/// The affinities of the CPUs in the tree's order. A CPU whose `status` says that it failed is left out.
pub(crate) fn cpus(fdt: Fdt<'_>, warnings: &mut Warnings) -> Result<List<u64, MAX_CPUS>, DtbError> {
    const NONE: DtbError =
        DtbError::NoNode { what: "CPU", hint: "add /cpus with one child of device_type = \"cpu\" per CPU" };
    let parent = fdt.root().child("cpus").ok_or(NONE)?;
    let fail = |property, problem| Err(DtbError::Property { node: "CPU node", property, problem });
    let cells = tree::address_cells(&parent, "CPU node")?;
    let (mut list, mut found) = (List::<u64, MAX_CPUS>::new(), 0);
    for node in parent.children() {
        let failed = value(&node, "status").is_some_and(|status| status.starts_with(b"fail"));
        if value(&node, "device_type") != Some(b"cpu\0") || failed {
            continue;
        }
        let Some(reg) = value(&node, "reg") else { return fail("reg", Problem::Missing) };
        let unit = 4 * cells;
        let mpidr = match number(&mut words(reg), cells) {
            Some(mpidr) if reg.len() == unit => mpidr,
            _ => return fail("reg", Problem::Length { have: reg.len(), unit }),
        };
        if mpidr & !MPIDR_AFFINITY != 0 {
            return fail("reg", Problem::Value(mpidr));
        }
        if list.contains(&mpidr) {
            crate::warn(warnings, Warning::DuplicateCpu { mpidr });
            continue;
        }
        found += 1;
        // A CPU that does not fit stays off; that is counted and reported below.
        let _ = list.push(mpidr);
    }
    if found == 0 {
        return Err(NONE);
    }
    if found > list.len() {
        crate::warn(warnings, Warning::MoreCpus { found, used: list.len() });
    }
    Ok(list)
}

/// The machine's PSCI if its version is 0.2 or newer. Version 0.1 has function IDs of its own and is not used.
pub(crate) fn psci(fdt: Fdt<'_>) -> Result<Option<Psci>, DtbError> {
    tree::with_compatible(fdt, &["arm,psci-1.0", "arm,psci-0.2"], |place| {
        let fail = |problem| DtbError::Property { node: "PSCI node", property: "method", problem };
        let version = if place.is_compatible(&["arm,psci-1.0"]) { (1, 0) } else { (0, 2) };
        let method = place.value("method").ok_or(fail(Problem::Missing))?;
        let conduit = match text(method) {
            Some("hvc") => Conduit::Hvc,
            Some("smc") => Conduit::Smc,
            Some(other) => {
                let found = Excerpt::new(other);
                return Err(fail(Problem::Text { found, allowed: "\"hvc\" or \"smc\"" }));
            }
            None => return Err(fail(Problem::NotText)),
        };
        Ok(Psci { conduit, version })
    })
    .transpose()
}
