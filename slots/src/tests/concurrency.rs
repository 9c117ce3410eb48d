//! Readers never see a record that mixes two uses, however fast slots are reused under them.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::vec::Vec;

use super::{Random, TEXT, breakpoint};
use crate::{CpuHits, Cpus, Kind, Table};

/// Every word of a record follows from `seed`, so that a mixture of two uses is noticed.
fn words(seed: u64) -> (u64, u64, Cpus) {
    (TEXT + 4 * seed, seed, Cpus(seed | 1 << 63))
}

/// Counts a writer as ended, also when it panics: the readers run until no writer is left.
struct Countdown<'a>(&'a AtomicUsize);

impl Drop for Countdown<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[test]
fn no_reader_sees_a_torn_record() {
    static TABLE: Table<u64, 2> = Table::new(Kind::Breakpoint);
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
                    let record = TABLE.lookup(id.record).expect("live");
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
                        let (address, payload, cpus) = words(record.payload);
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
    static HITS: [CpuHits; 4] = [const { CpuHits::new() }; 4];
    let id = TABLE.reserve(breakpoint(TEXT), Cpus(0b1101), 0, 1).expect("free");
    thread::scope(|scope| {
        for hits in &HITS {
            scope.spawn(|| (0..10_000).for_each(|_| hits.count(Kind::Breakpoint, 0)));
        }
    });
    assert_eq!(TABLE.hits(id, HITS.iter()), Some(30_000), "of the CPUs that the slot is for");
}

/// Slots of different CPUs share numbers, but on one CPU a slot never belongs to two records.
#[test]
fn of_many_claimants_each_has_its_own_slot_on_each_of_its_cpus() {
    static TABLE: Table<u64, 24> = Table::new(Kind::Breakpoint);
    static OWNERS: [[AtomicUsize; 6]; 4] = [const { [const { AtomicUsize::new(0) }; 6] }; 4];
    thread::scope(|scope| {
        for thread in 1..=4 {
            scope.spawn(move || {
                let mut random = Random(thread as u64);
                for _ in 0..20_000 {
                    let cpus = 1 + random.below(15);
                    let Ok(id) = TABLE.reserve(breakpoint(TEXT), Cpus(cpus), 0, 6) else { continue };
                    let mine = || {
                        (0..4)
                            .filter(|cpu| cpus >> cpu & 1 != 0)
                            .map(|cpu| &OWNERS[cpu][usize::from(id.index)])
                    };
                    for slot in mine() {
                        assert_eq!(slot.swap(thread, Ordering::SeqCst), 0);
                    }
                    for slot in mine() {
                        assert_eq!(slot.swap(0, Ordering::SeqCst), thread);
                    }
                    TABLE.retire(id).and_then(|()| TABLE.free(id)).expect("live");
                }
            });
        }
    });
    assert_eq!(TABLE.iter().count(), 0);
    for _ in 0..6 {
        TABLE.reserve(breakpoint(TEXT), Cpus::ALL, 0, 6).expect("all are free again");
    }
}
