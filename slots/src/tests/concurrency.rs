//! Readers never see a record that mixes two uses, however fast slots are reused under them.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::vec::Vec;

use super::{Random, TEXT, breakpoint};
use crate::{Cpus, Kind, Table};

/// Every word of a record follows from `seed`, so that a mixture shows.
fn words(seed: u64) -> (u64, [u64; 2], Cpus) {
    (TEXT + 4 * seed, [seed, !seed], Cpus(seed | 1 << 63))
}

/// Lets the readers end, also when the writer panics.
struct Countdown<'a>(&'a AtomicUsize);

impl Drop for Countdown<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
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
                let _writing = Countdown(writing);
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
    let start = Barrier::new(4);
    let claim = || {
        let mut won = Vec::new();
        let mut removed = 0;
        for _ in 0..2000 {
            start.wait();
            let ids: Vec<_> =
                (0..3).filter_map(|_| TABLE.reserve(breakpoint(TEXT), Cpus::ALL, 0, 6).ok()).collect();
            start.wait();
            let live: Vec<_> = TABLE.iter().map(|record| record.id).collect();
            start.wait();
            won.push((ids, live.len()));
            removed += live.iter().filter(|&&id| TABLE.retire(id).is_ok() && TABLE.free(id).is_ok()).count();
        }
        (won, removed)
    };
    let results: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(claim)).collect();
        threads.into_iter().map(|t| t.join().expect("no panic")).collect()
    });
    for round in 0..2000 {
        let mut indices: Vec<_> =
            results.iter().flat_map(|(won, _)| won[round].0.iter().map(|id| id.index)).collect();
        indices.sort_unstable();
        assert_eq!(indices, [0, 1, 2, 3, 4, 5], "round {round}");
        assert!(results.iter().all(|(won, _)| won[round].1 == 6));
    }
    assert_eq!(results.iter().map(|(_, removed)| removed).sum::<usize>(), 12_000);
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
