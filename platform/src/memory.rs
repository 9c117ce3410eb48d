//! Memory banks, and the parts of them that must be left alone.

use core::ops::ControlFlow;

use dtoolkit::Node;
use dtoolkit::fdt::Fdt;

use crate::tree::{self, Place, text, value, words};
use crate::{DtbError, List, MAX_BANKS, MAX_RESERVED, Region, Warning, Warnings};

/// Memory that is not free for use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reserved {
    /// The addresses of this memory.
    pub region: Region,
    /// The memory must not even be mapped as normal memory (`no-map`).
    pub no_map: bool,
}

/// The parts of a bank that may be mapped as normal memory: the bank without the `no-map` regions of `reserved`, each of which is
/// extended to whole pages of `page` bytes (a power of two).
pub(crate) fn mappable(
    bank: Region,
    reserved: &[Reserved],
    page: u64,
) -> impl Iterator<Item = Region> + Clone {
    without(bank, reserved.iter().filter(|reserved| reserved.no_map), page)
}

/// The parts of a bank that nobody has reserved, as [`mappable`].
pub(crate) fn free(bank: Region, reserved: &[Reserved], page: u64) -> impl Iterator<Item = Region> + Clone {
    without(bank, reserved.iter(), page)
}

fn without<'r>(
    bank: Region,
    holes: impl Iterator<Item = &'r Reserved> + Clone,
    page: u64,
) -> impl Iterator<Item = Region> + Clone {
    let mut base = bank.base;
    core::iter::from_fn(move || {
        while base < bank.end() {
            let holes = holes.clone().map(|hole| {
                (
                    hole.region.base & !(page - 1),
                    hole.region.end().checked_next_multiple_of(page).unwrap_or(u64::MAX),
                )
            });
            let next = holes.filter(|&(start, end)| end > base && start < bank.end()).min();
            let (start, end) = next.unwrap_or((bank.end(), bank.end()));
            let part = Region { base, size: start.saturating_sub(base) };
            base = end;
            if part.size > 0 {
                return Some(part);
            }
        }
        None
    })
}

/// The memory banks in ascending order, without empty banks.
pub(crate) fn banks(fdt: Fdt<'_>, warnings: &mut Warnings) -> Result<List<Region, MAX_BANKS>, DtbError> {
    let mut banks = List::<Region, MAX_BANKS>::new();
    let mut found = 0;
    let outcome = tree::walk(fdt, &mut |place| {
        if place.value("device_type") != Some(b"memory\0") {
            return ControlFlow::Continue(());
        }
        let all = place.for_each_region("memory node", |bank| {
            if bank.size == 0 {
                return Ok(());
            }
            if let Some(other) = banks.iter().find(|other| other.overlaps(&bank)) {
                return Err(DtbError::MemoryOverlap(*other, bank));
            }
            found += 1;
            // A bank that does not fit stays unused; that is counted and reported below.
            let _ = banks.push(bank);
            Ok(())
        });
        match all {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    });
    if let ControlFlow::Break(error) = outcome {
        return Err(error);
    }
    if found == 0 {
        return Err(DtbError::NoNode {
            what: "memory",
            hint: "add a node with device_type = \"memory\" and a non-empty `reg`",
        });
    }
    if found > banks.len() {
        crate::warn(warnings, Warning::MoreBanks { found, used: banks.len() });
    }
    banks.as_mut_slice().sort_unstable_by_key(|bank| bank.base);
    Ok(banks)
}

/// The memory reservation block, the static children of `/reserved-memory`, and the initial RAM disk.
pub(crate) fn reserved(fdt: Fdt<'_>) -> Result<List<Reserved, MAX_RESERVED>, DtbError> {
    let mut list = List::<Reserved, MAX_RESERVED>::new();
    let mut add = |region: Region, no_map: bool| match region.size {
        0 => Ok(()),
        _ => list
            .push(Reserved { region, no_map })
            .map_err(|_| DtbError::TooMany { what: "reserved memory regions", max: MAX_RESERVED }),
    };
    for entry in fdt.memory_reservations() {
        add(region("memory reservation block", entry.address(), entry.size())?, false)?;
    }
    let mut outcome = ControlFlow::Continue(());
    // Most machines have no such node, and a walk over all nodes takes long.
    let any = fdt.root().child("reserved-memory").is_some();
    let mut look = |place: &Place<'_, '_>| {
        // A node without `reg` asks for memory to be set aside, which concerns only the driver that asks.
        if !place.is_child_of("reserved-memory") || place.value("reg").is_none() {
            return ControlFlow::Continue(());
        }
        let no_map = place.value("no-map").is_some();
        match place.for_each_region("reserved-memory node", |region| add(region, no_map)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    };
    if any {
        outcome = tree::walk(fdt, &mut look);
    }
    if let ControlFlow::Break(error) = outcome {
        return Err(error);
    }
    if let Some(region) = ramdisk(fdt)? {
        add(region, false)?;
    }
    Ok(list)
}

/// The initial RAM disk that `/chosen` names.
pub(crate) fn ramdisk(fdt: Fdt<'_>) -> Result<Option<Region>, DtbError> {
    let Some(chosen) = fdt.root().child("chosen") else { return Ok(None) };
    let address = |name| {
        let words = words(value(&chosen, name)?);
        words.fold(None, |n: Option<u64>, word| Some(n.unwrap_or(0) << 32 | u64::from(word)))
    };
    match (address("linux,initrd-start"), address("linux,initrd-end")) {
        (Some(start), Some(end)) => region("initial RAM disk", start, end.saturating_sub(start)).map(Some),
        _ => Ok(None),
    }
}

fn region(node: &'static str, base: u64, size: u64) -> Result<Region, DtbError> {
    match base.checked_add(size) {
        Some(_) => Ok(Region { base, size }),
        None => Err(DtbError::RegionOverflow { node, base, size }),
    }
}

/// The command line, `""` if there is none.
pub(crate) fn bootargs<'t>(fdt: Fdt<'t>) -> Result<&'t str, DtbError> {
    let Some(chosen) = fdt.root().child("chosen") else { return Ok("") };
    let Some(bytes) = value(&chosen, "bootargs") else { return Ok("") };
    text(bytes).ok_or(DtbError::Property {
        node: "chosen node",
        property: "bootargs",
        problem: crate::Problem::NotText,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(base: u64, size: u64) -> Region {
        Region { base, size }
    }

    #[test]
    fn what_must_not_be_mapped_is_left_out_in_whole_pages() {
        let bank = region(0x10000, 0x10000);
        let parts = |holes: &[(u64, u64)]| {
            let reserved: Vec<_> = holes
                .iter()
                .map(|&(base, size)| Reserved { region: region(base, size), no_map: true })
                .collect();
            mappable(bank, &reserved, 0x1000).map(|part| (part.base, part.size)).collect::<Vec<_>>()
        };
        assert_eq!(parts(&[]), [(0x10000, 0x10000)]);
        assert_eq!(parts(&[(0x14800, 0x10)]), [(0x10000, 0x4000), (0x15000, 0xb000)]);
        assert_eq!(
            parts(&[(0x1c000, 0x1000), (0x12000, 0x800)]),
            [(0x10000, 0x2000), (0x13000, 0x9000), (0x1d000, 0x3000)]
        );
        assert_eq!(
            parts(&[(0x12000, 0x3000), (0x13000, 0x4000)]),
            [(0x10000, 0x2000), (0x17000, 0x9000)],
            "overlap"
        );
        assert_eq!(
            parts(&[(0x12000, 0x8000), (0x13000, 0x1000)]),
            [(0x10000, 0x2000), (0x1a000, 0x6000)],
            "inside"
        );
        assert_eq!(parts(&[(0, 0x11000)]), [(0x11000, 0xf000)], "from below");
        assert_eq!(
            parts(&[(0x1f001, u64::MAX - 0x1f001)]),
            [(0x10000, 0xf000)],
            "to the end of all addresses"
        );
        assert_eq!(parts(&[(0, 0x100000)]), [], "all of it");
        assert_eq!(parts(&[(0x1000, 0x1000), (0x20000, 0x1000)]), [(0x10000, 0x10000)], "beside");
        let mapped = Reserved { region: region(0x14000, 0x1000), no_map: false };
        assert_eq!(mappable(bank, &[mapped], 0x1000).collect::<Vec<_>>(), [bank]);
        let rest = [region(0x10000, 0x4000), region(0x15000, 0xb000)];
        assert_eq!(free(bank, &[mapped], 0x1000).collect::<Vec<_>>(), rest);
    }
}
