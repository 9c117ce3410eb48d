//! The index of pages against an ordered map.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::pages::Pages;

#[derive(Clone, Debug)]
enum Op {
    Insert(u64),
    Remove(u64),
    Cut(u64),
}

fn index() -> impl Strategy<Value = u64> {
    prop_oneof![0..10u64, 60..70u64, 120..200u64, Just(u64::MAX / 4096)]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => index().prop_map(Op::Insert),
        2 => index().prop_map(Op::Remove),
        1 => index().prop_map(Op::Cut),
    ]
}

proptest! {
    #[test]
    fn the_index_is_an_ordered_map(ops in prop::collection::vec(op(), 1..100), probes in prop::collection::vec(index(), 8)) {
        let (mut pages, mut model) = (Pages::new(), BTreeMap::new());
        for (value, op) in ops.into_iter().enumerate() {
            match op {
                Op::Insert(index) => {
                    pages.insert(index, value).unwrap();
                    model.insert(index, value);
                }
                Op::Remove(index) => {
                    pages.remove(index);
                    model.remove(&index);
                }
                Op::Cut(first) => prop_assert_eq!(pages.cut(first), model.split_off(&first).len() as u64),
            }
            prop_assert_eq!(pages.count(), model.len() as u64);
            for &probe in &probes {
                prop_assert_eq!(pages.get(probe), model.get(&probe));
                prop_assert_eq!(pages.next_page(probe), model.range(probe..).next().map(|(&index, _)| index));
                let hole = (probe..).find(|index| !model.contains_key(index)).unwrap();
                prop_assert_eq!(pages.next_hole(probe), hole);
                for &end in probes.iter().filter(|&&end| end >= probe) {
                    prop_assert_eq!(pages.count_between(probe, end), model.range(probe..end).count() as u64);
                }
            }
        }
    }
}
