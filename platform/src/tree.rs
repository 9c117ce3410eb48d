//! Reading nodes: properties, cells, regions translated to CPU addresses, interrupts.
//!
//! dtoolkit validates the whole blob once, and after that cannot panic on the parts of it that are used here: nodes, their names,
//! the bytes of their properties. Cells are decoded here, because nothing guarantees the lengths and cell counts that a tree gives.

use core::ops::ControlFlow;

use dtoolkit::fdt::{Fdt, FdtNode};
use dtoolkit::{Node, Property};

use crate::error::{Excerpt, Problem};
use crate::{DtbError, Region};

/// Deepest level searched (the root is 0). It bounds the recursion; devices sit at most under a few buses.
const MAX_DEPTH: usize = 8;

/// The most entries of one bus's `ranges` that are searched, so that a hostile tree cannot make translation quadratic.
const MAX_RANGES: usize = 64;

/// A node together with the nodes above it.
#[derive(Clone, Copy)]
pub(crate) struct Place<'t, 'p> {
    pub(crate) node: FdtNode<'t>,
    parent: Option<&'p Place<'t, 'p>>,
}

/// Calls `f` for every node down to [`MAX_DEPTH`], parents first, in the tree's order, until `f` breaks. Nodes below a disabled
/// node are not visited.
pub(crate) fn walk<'t, B>(
    fdt: Fdt<'t>,
    f: &mut impl FnMut(&Place<'t, '_>) -> ControlFlow<B>,
) -> ControlFlow<B> {
    descend(&Place { node: fdt.root(), parent: None }, MAX_DEPTH, &|_| true, f)
}

/// As [`walk`], but calls `f` only for nodes that are `wanted`. Whether a node is enabled is looked at last, because that takes long and most
/// nodes are neither wanted nor have children.
fn descend<'t, B>(
    place: &Place<'t, '_>,
    levels: usize,
    wanted: &impl Fn(&Place<'t, '_>) -> bool,
    f: &mut impl FnMut(&Place<'t, '_>) -> ControlFlow<B>,
) -> ControlFlow<B> {
    let mut enabled = false;
    if wanted(place) {
        if !place.is_enabled() {
            return ControlFlow::Continue(());
        }
        enabled = true;
        f(place)?;
    }
    if levels == 0 {
        return ControlFlow::Continue(());
    }
    for node in place.node.children() {
        if !enabled && !place.is_enabled() {
            return ControlFlow::Continue(());
        }
        enabled = true;
        descend(&Place { node, parent: Some(place) }, levels - 1, wanted, f)?;
    }
    ControlFlow::Continue(())
}

/// Calls `f` with the first enabled node that is compatible with one of `names`, and returns its result.
pub(crate) fn with_compatible<'t, R>(
    fdt: Fdt<'t>,
    names: &[&str],
    mut f: impl FnMut(&Place<'t, '_>) -> R,
) -> Option<R> {
    let wanted = |place: &Place<'t, '_>| place.is_compatible(names);
    let root = Place { node: fdt.root(), parent: None };
    descend(&root, MAX_DEPTH, &wanted, &mut |place| ControlFlow::Break(f(place))).break_value()
}

/// Calls `f` with each enabled node that is compatible with one of `names`, until `f` fails.
pub(crate) fn each_compatible<'t>(
    fdt: Fdt<'t>,
    names: &[&str],
    f: &mut impl FnMut(&Place<'t, '_>) -> Result<(), DtbError>,
) -> Result<(), DtbError> {
    let wanted = |place: &Place<'t, '_>| place.is_compatible(names);
    let root = Place { node: fdt.root(), parent: None };
    let ended = descend(&root, MAX_DEPTH, &wanted, &mut |place| match f(place) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    });
    ended.break_value().map_or(Ok(()), Err)
}

/// The value of `node`'s property `name`.
pub(crate) fn value<'t>(node: &FdtNode<'t>, name: &str) -> Option<&'t [u8]> {
    node.property(name).and_then(|property| property.value_as::<&'t [u8]>().ok())
}

/// The text of a string property: without the NUL that ends it. `None` if it is not UTF-8 ended by a NUL.
pub(crate) fn text(value: &[u8]) -> Option<&str> {
    core::ffi::CStr::from_bytes_until_nul(value).ok()?.to_str().ok()
}

/// The big-endian words of a property's value; a rest of less than a word is left out.
pub(crate) fn words(value: &[u8]) -> impl Iterator<Item = u32> + '_ {
    value.chunks_exact(4).map(|c| u32::from_be_bytes([c[0], c[1], c[2], c[3]]))
}

/// The number made of `cells` words at the start of `words`; `None` if there are fewer, or more than 64 bits.
pub(crate) fn number(words: &mut impl Iterator<Item = u32>, cells: usize) -> Option<u64> {
    (0..cells).try_fold(0u64, |n, _| {
        let word = words.next()?;
        (n >> 32 == 0).then_some(n << 32 | u64::from(word))
    })
}

/// `#address-cells` and `#size-cells` of a node that does not say (Devicetree Specification, 2.3.5).
const DEFAULT_CELLS: (usize, usize) = (2, 1);

/// `#address-cells` of a node, by which the addresses in its children are read: 1 or 2, or an error. `below` is the role of the
/// node that is being read.
pub(crate) fn address_cells(node: &FdtNode<'_>, below: &'static str) -> Result<usize, DtbError> {
    cells(node, "#address-cells", DEFAULT_CELLS.0, below)
}

/// `#size-cells` of a node, by which the sizes in its children are read: 1 or 2, or an error.
fn size_cells(node: &FdtNode<'_>, below: &'static str) -> Result<usize, DtbError> {
    cells(node, "#size-cells", DEFAULT_CELLS.1, below)
}

fn cells(
    node: &FdtNode<'_>,
    property: &'static str,
    default: usize,
    below: &'static str,
) -> Result<usize, DtbError> {
    match value(node, property).and_then(|v| words(v).next()) {
        None => Ok(default),
        Some(cells @ 1..=2) => Ok(cells as usize),
        Some(cells) => Err(DtbError::Cells { property, node: Excerpt::new(node.name()), below, cells }),
    }
}

impl<'t> Place<'t, '_> {
    /// Whether the node's `status` is absent or okay.
    pub(crate) fn is_enabled(&self) -> bool {
        matches!(self.status(), None | Some(b"okay\0" | b"ok\0"))
    }

    fn status(&self) -> Option<&'t [u8]> {
        self.value("status")
    }

    pub(crate) fn value(&self, name: &str) -> Option<&'t [u8]> {
        value(&self.node, name)
    }

    /// Whether one of the strings of `compatible` is one of `names`.
    pub(crate) fn is_compatible(&self, names: &[&str]) -> bool {
        let Some(list) = self.value("compatible") else { return false };
        list.split(|&b| b == 0).any(|entry| names.iter().any(|name| name.as_bytes() == entry))
    }

    /// Whether the node's parent is the root's child `name`.
    pub(crate) fn is_child_of(&self, name: &str) -> bool {
        match self.parent {
            Some(Place { node, parent: Some(Place { parent: None, .. }) }) => node.name() == name,
            _ => false,
        }
    }

    /// Whether `path` is the node's full path.
    pub(crate) fn is_at(&self, path: &str) -> bool {
        let mut names = path.rsplit('/');
        let mut place = self;
        // The root's name is empty, and so is the text before the first slash.
        while names.next() == Some(place.node.name()) {
            match place.parent {
                Some(parent) => place = parent,
                None => return names.next().is_none(),
            }
        }
        false
    }

    /// Calls `f` for each region of `reg`, translated to the CPU's addresses. `what` is the node's role, for errors.
    pub(crate) fn for_each_region(
        &self,
        what: &'static str,
        mut f: impl FnMut(Region) -> Result<(), DtbError>,
    ) -> Result<(), DtbError> {
        let fail = |problem| DtbError::Property { node: what, property: "reg", problem };
        let reg = self.value("reg").ok_or(fail(Problem::Missing))?;
        let (address_cells, size_cells) = match self.parent {
            Some(parent) => (address_cells(&parent.node, what)?, size_cells(&parent.node, what)?),
            None => DEFAULT_CELLS,
        };
        let unit = 4 * (address_cells + size_cells);
        if reg.is_empty() || !reg.len().is_multiple_of(unit) {
            return Err(fail(Problem::Length { have: reg.len(), unit }));
        }
        for entry in reg.chunks_exact(unit) {
            let mut words = words(entry);
            let numbers = (number(&mut words, address_cells), number(&mut words, size_cells));
            let (Some(base), Some(size)) = numbers else {
                return Err(fail(Problem::Length { have: entry.len(), unit }));
            };
            f(self.translate(what, base, size)?)?;
        }
        Ok(())
    }

    /// The `index`th region of `reg`, which must not be empty.
    pub(crate) fn region(&self, what: &'static str, index: usize) -> Result<Region, DtbError> {
        let (mut found, mut entries) = (None, 0);
        self.for_each_region(what, |region| {
            if entries == index {
                found = Some(region);
            }
            entries += 1;
            Ok(())
        })?;
        let problem = match found {
            Some(region) if region.size != 0 => return Ok(region),
            Some(_) => Problem::Value(0),
            None => {
                let have = self.value("reg").map_or(0, <[u8]>::len);
                Problem::Short { have, need: have / entries * (index + 1) }
            }
        };
        Err(DtbError::Property { node: what, property: "reg", problem })
    }

    /// Translates a region through the `ranges` of every bus above the node (Devicetree Specification, 2.3.8).
    fn translate(&self, what: &'static str, base: u64, size: u64) -> Result<Region, DtbError> {
        let mut at = base;
        let mut bus = self.parent;
        while let Some(Place { node, parent: Some(above) }) = bus {
            let unreachable = DtbError::Unreachable { node: what, base };
            let ranges = value(node, "ranges").ok_or(unreachable.clone())?;
            if !ranges.is_empty() {
                let (child, length) = (address_cells(node, what)?, size_cells(node, what)?);
                let parent = address_cells(&above.node, what)?;
                at = through(ranges, [child, parent, length], at, size).ok_or(unreachable)?;
            }
            bus = Some(above);
        }
        match at.checked_add(size) {
            Some(_) => Ok(Region { base: at, size }),
            None => Err(DtbError::RegionOverflow { node: what, base: at, size }),
        }
    }

    /// The `interrupt-parent` of the node, or of the nearest node above that has one.
    fn interrupt_parent(&self) -> Option<u32> {
        let mut place = Some(self);
        while let Some(Place { node, parent }) = place {
            if let Some(phandle) = value(node, "interrupt-parent") {
                return words(phandle).next();
            }
            place = *parent;
        }
        None
    }

    /// The INTID of the `index`th interrupt of the node, whose interrupt parent must be the GIC with phandle `gic`.
    pub(crate) fn interrupt(&self, what: &'static str, gic: u32, index: usize) -> Result<u32, DtbError> {
        const UNIT: usize = 12;
        let fail = |problem| DtbError::Property { node: what, property: "interrupts", problem };
        let list = self.value("interrupts").ok_or(fail(Problem::Missing))?;
        if self.interrupt_parent() != Some(gic) {
            return Err(DtbError::InterruptParent { node: what });
        }
        let short = fail(Problem::Short { have: list.len(), need: UNIT * (index + 1) });
        let entry = list.chunks_exact(UNIT).nth(index).ok_or(short)?;
        let mut words = words(entry);
        let (kind, number) = (words.next().unwrap_or(u32::MAX), words.next().unwrap_or(u32::MAX));
        match (kind, number) {
            (0, 0..=987) => Ok(number + 32),
            (1, 0..=15) => Ok(number + 16),
            _ => Err(DtbError::Interrupt { node: what, kind, number }),
        }
    }
}

/// Translates `at` through one bus's `ranges`; None if no entry contains all `size` bytes. An entry has addresses of `child` and
/// `parent` cells, and a size of `length` cells; none of the three is 0.
fn through(ranges: &[u8], [child, parent, length]: [usize; 3], at: u64, size: u64) -> Option<u64> {
    ranges.chunks_exact(4 * (child + parent + length)).take(MAX_RANGES).find_map(|entry| {
        let mut words = words(entry);
        let from = number(&mut words, child)?;
        let to = number(&mut words, parent)?;
        let length = number(&mut words, length)?;
        let offset = at.checked_sub(from)?;
        (offset.checked_add(size)? <= length).then_some(to.checked_add(offset)?)
    })
}
