//! Readers never see a record that mixes two uses, however fast slots are reused under them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::vec::Vec;

use super::{Random, TEXT, breakpoint};
use crate::{Cpus, Kind, SlotError, Table};

/// Every word of a record follows from `seed`, so that a mixture shows.
fn words(seed: u64) -> (u64, [u64; 2], Cpus) {
    (TEXT + 4 * seed, [seed, !seed], Cpus(seed | 1 << 63))
}

#[test]
fn no_reader_sees_a_torn_record() {
    static TABLE: Table<[u64; 2], 2> = Table::new(Kind::Breakpoint);
    let writing = AtomicUsize::new(2);
    let seen = AtomicUsize::new(0);
    let torn = AtomicUsize::new(0);
    thread::scope(|scope| {
        for writer in 0..2 {
            let (writing, seen) = (&writing, &seen);
            scope.spawn(move || {
                let mut random = Random(writer + 1);
                let mut uses = 0;
                while uses < 30_000 || seen.load(Ordering::Relaxed) < 10_000 {
                    uses += 1;
                    let (address, payload, cpus) = words(random.below(1 << 20));
                    let id = TABLE.reserve(breakpoint(address), cpus, payload, 2).expect("one each");
                    let record = TABLE.lookup(id.index).expect("live");
                    assert_eq!((record.id, record.payload), (id, payload));
                    TABLE.retire(id).expect("live");
                    assert_eq!(TABLE.encoding_of(id), None);
                    TABLE.free(id).expect("retired");
                }
                writing.fetch_sub(1, Ordering::Relaxed);
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                while writing.load(Ordering::Relaxed) > 0 {
                    for record in TABLE.iter() {
                        let (address, payload, cpus) = words(record.payload[0]);
                        let whole =
                            (address, payload, cpus) == (record.encoding.value, record.payload, record.cpus);
                        torn.fetch_add(usize::from(!whole), Ordering::Relaxed);
                        seen.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(torn.into_inner(), 0);
    assert_eq!(TABLE.iter().count(), 0);
}

#[test]
fn of_many_claimants_and_removers_each_slot_has_one() {
    static TABLE: Table<u64, 6> = Table::new(Kind::Breakpoint);
    let retired = AtomicUsize::new(0);
    let mut ids = thread::scope(|scope| {
        let claimants: Vec<_> =
            (0..12).map(|n| scope.spawn(move || TABLE.reserve(breakpoint(TEXT), Cpus::ALL, n, 6))).collect();
        claimants.into_iter().map(|c| c.join().expect("no panic")).collect::<Vec<_>>()
    });
    // A claimant may lose a slot to another and find the rest taken, but no slot stays free while there are more than enough.
    let refused = Err(SlotError::NoFreeSlot { kind: Kind::Breakpoint, total: 6 });
    ids.retain(|id| *id != refused);
    let mut indices: Vec<_> = ids.iter().map(|id| id.expect("claimed").index).collect();
    indices.sort_unstable();
    assert_eq!(indices, [0, 1, 2, 3, 4, 5]);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for id in &ids {
                    if TABLE.retire(id.expect("claimed")).is_ok() {
                        retired.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(retired.into_inner(), 6);
}

#[test]
fn no_hit_is_lost_in_the_count() {
    static TABLE: Table<u64, 1> = Table::new(Kind::Breakpoint);
    let id = TABLE.reserve(breakpoint(TEXT), Cpus::ALL, 0, 1).expect("free");
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..10_000).for_each(|_| TABLE.count_hit(0)));
        }
    });
    assert_eq!(TABLE.hits(id), Some(40_000));
}
