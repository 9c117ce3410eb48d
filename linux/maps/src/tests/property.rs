//! Random operations on the crate and on the model: same results, same mappings, and the reported changes keep a model of page tables
//! right.

use proptest::{collection::vec, prelude::*};

use super::{
    Back,
    arguments::{Op, op},
    model::{Model, Page},
    page, small,
};
use crate::{Change, Error, Flags, Layout, Limits, Mapping, Maps, PAGE, Placement, Prot, Remap, Request};

/// What the page tables hold for a page: the stamp that tells its content, and the permission.
type Entry = Option<(u32, Prot)>;

struct Both {
    real: Maps<Back>,
    model: Model,
    tables: Vec<Entry>,
    next_stamp: u32,
}

fn number(addr: u64) -> usize {
    (addr / PAGE) as usize
}

/// Applies a change to the page tables. `before` is what was mapped before the operation.
fn apply(tables: &mut [Entry], before: &[Option<Page>], change: Change<'_, Back>) {
    match change {
        Change::Unmapped(part) => {
            assert!(part.start < part.end);
            for addr in (part.start..part.end).step_by(PAGE as usize) {
                let page = before[number(addr)].as_ref().expect("was mapped");
                assert_eq!(
                    (page.prot, page.may, page.flags, page.back, page.offset),
                    (part.prot, part.may, part.flags, part.backing, part.offset_of(addr))
                );
                tables[number(addr)] = None;
            }
        }
        Change::Protected { range, prot } => {
            assert!(range.start < range.end);
            for (_, now) in tables[number(range.start)..number(range.end)].iter_mut().flatten() {
                assert_ne!(*now, prot);
                *now = prot;
            }
        }
        Change::Moved { from, to, len } => {
            assert!(len > 0);
            for index in 0..number(len) {
                let entry = tables[number(from) + index].take();
                assert_eq!(tables[number(to) + index], None, "the destination has no entries");
                tables[number(to) + index] = entry;
            }
        }
    }
}

impl Both {
    fn new(layout: Layout) -> Self {
        let mut real = Maps::new(layout);
        let mut model = Model::new(&layout);
        real.set_brk(page(20) + 100, 5000);
        (model.brk_start, model.brk, model.brk_data) = (page(20) + 100, page(20) + 100, 5000);
        let tables = vec![None; number(layout.top)];
        Self { real, model, tables, next_stamp: 0 }
    }

    fn run(&mut self, op: Op) {
        let Self { real, model, tables, .. } = self;
        let before = model.pages.clone();
        let mut reports = 0;
        let changes = |change: Change<'_, Back>| {
            reports += 1;
            apply(tables, &before, change);
        };
        let failed = match op {
            Op::Map(request, limits) => {
                let result = real.map(request.clone(), &limits, changes);
                assert_eq!(result, model.map(&request, &limits));
                result.is_err()
            }
            Op::Unmap(addr, len) => {
                let result = real.unmap(addr, len, changes);
                assert_eq!(result, model.unmap(addr, len));
                result.is_err()
            }
            Op::Protect(addr, len, bits, limits) => {
                assert_eq!(
                    real.protect(addr, len, bits, &limits, changes),
                    model.protect(addr, len, bits, &limits)
                );
                false
            }
            Op::Remap(remap, has_tables, limits) => {
                Self::run_remap(real, model, remap, has_tables, &limits, changes)
            }
            Op::Brk(wanted, limits) => {
                let result = real.brk(wanted, &limits, Back::Anonymous, changes);
                assert_eq!(result, model.set_brk(wanted, &limits));
                result != wanted
            }
            Op::GrowStack(addr, limits) => {
                assert_eq!(real.grow_stack(addr, &limits), model.grow_stack(addr, &limits));
                true
            }
            Op::Advise(addr, len) => {
                let mut visited = Vec::new();
                let result = real.advise(addr, len, |range, mapping| {
                    assert!(
                        mapping.start <= range.start && range.start < range.end && range.end <= mapping.end
                    );
                    visited.extend(number(range.start)..number(range.end));
                });
                assert_eq!((visited, result), model.advise(addr, len));
                true
            }
            Op::Accessible(addr, len, access) => {
                assert_eq!(real.accessible(addr, len, access), model.accessible(addr, len, access));
                assert_eq!(real.access(addr, access).is_ok(), model.accessible(addr, 1, access) == 1);
                true
            }
            Op::Touch(pages) => {
                self.touch(&pages);
                true
            }
            Op::Fork => {
                *real = real.fork().unwrap();
                true
            }
        };
        assert!(!failed || reports == 0, "an operation that fails or only asks reports nothing");
        self.compare();
    }

    /// Returns whether it failed. Without `has_tables`, the caller has no page tables for the destination.
    fn run_remap(
        real: &mut Maps<Back>,
        model: &mut Model,
        remap: Remap,
        has_tables: bool,
        limits: &Limits,
        mut changes: impl FnMut(Change<'_, Back>),
    ) -> bool {
        let mut prepared = None;
        let mut moved = None;
        let prepare = |range| {
            prepared = Some(range);
            if has_tables { Ok(()) } else { Err(Error::NoMemory) }
        };
        let result = real.remap(remap, limits, prepare, |change| {
            if let Change::Moved { to, len, .. } = change {
                moved = Some(to..to + len);
            }
            changes(change);
        });
        if has_tables || prepared.is_none() {
            assert_eq!(result, model.remap(&remap, limits));
            assert_eq!(prepared, moved);
        } else {
            assert_eq!(result, Err(Error::NoMemory));
        }
        result.is_err()
    }

    fn touch(&mut self, pages: &[usize]) {
        for &at in pages {
            if let Some(page) = &mut self.model.pages[at]
                && page.stamp.is_none()
            {
                page.stamp = Some(self.next_stamp);
                self.tables[at] = Some((self.next_stamp, page.prot));
                self.next_stamp += 1;
            }
        }
    }

    fn compare(&self) {
        let real: Vec<Mapping<Back>> = self.real.iter().cloned().collect();
        assert_eq!(real, self.model.mappings());
        assert_eq!(self.real.len(), real.len());
        assert_eq!((self.real.pages(), self.real.data_pages()), (self.model.mapped(), self.model.data()));
        let pages = self.model.pages.iter();
        let entries: Vec<Entry> = pages
            .map(|page| page.as_ref().and_then(|page| page.stamp.map(|stamp| (stamp, page.prot))))
            .collect();
        assert_eq!(self.tables, entries);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_operations_do_as_the_model_does(ops in vec(op(), 1..60)) {
        let mut both = Both::new(small());
        for op in ops {
            both.run(op);
        }
    }

    #[test]
    fn the_number_of_mappings_is_limited_as_in_the_model(max in 0usize..20, ops in vec(op(), 1..80)) {
        let mut both = Both::new(Layout { max_mappings: max, ..small() });
        for op in ops {
            both.run(op);
        }
    }

    /// Any layout, with mappings to work on, and any numbers.
    #[test]
    fn no_number_makes_it_panic(
        bounds in any::<[u64; 4]>(),
        top in prop_oneof![Just(1u64 << 39), Just(1 << 48), any::<u64>()],
        calls in vec((0u8..8, any::<[u64; 3]>(), 0u64..8, 0u32..4), 1..40),
    ) {
        let [min, mmap_base, guard, brk] = bounds;
        let layout = Layout { min: min % (1 << 40), top, mmap_base, guard, max_mappings: 12 };
        let mut maps = Maps::new(layout);
        maps.set_brk(brk, guard);
        let limits = &Limits::UNLIMITED;
        for (call, [mut a, mut b, mut c], small, shift) in calls {
            // Large numbers alone would rarely hit anything.
            a >>= shift * 16;
            b >>= shift * 16;
            if shift > 0 {
                let known = maps.iter().nth(small as usize).map(|mapping| mapping.start);
                a = known.unwrap_or(a & !(PAGE - 1));
                c &= !(PAGE - 1);
            }
            match call {
                0 | 1 => {
                    let placement = [Placement::Hint, Placement::Fixed, Placement::FixedNoReplace][small as usize % 3];
                    let backing = if small < 4 { Back::Anonymous } else { Back::Object(0) };
                    let flags = Flags::from_bits_truncate(small as u8);
                    let (prot, may) = (Prot::from_mmap(b), Prot::all());
                    let request = Request { hint: a, len: b, placement, prot, may, flags, backing, offset: c };
                    let _ = maps.map(request, limits, |_| ());
                }
                2 => _ = maps.unmap(a, b, |_| ()),
                3 => _ = maps.protect(a, b, if shift > 0 { small } else { c }, limits, |_| ()),
                4 | 5 => {
                    let remap = Remap { addr: a, old_len: b, new_len: c, flags: small, new_addr: b ^ c };
                    let _ = maps.remap(remap, limits, |_| Ok(()), |_| ());
                }
                6 => _ = maps.brk(a, limits, Back::Anonymous, |_| ()),
                _ => {
                    let _ = maps.grow_stack(a, limits);
                    let _ = maps.advise(a, b, |_, _| ());
                    let _ = maps.covers(a, b, crate::Access::Read);
                    let _ = maps.overlapping(a..b).count();
                }
            }
        }
    }
}
