//! The records under the model checker `loom`: every interleaving, and every order in which the weak memory model lets accesses take
//! effect. `cargo xtask qemu-test` runs these; by hand:
//! `RUSTFLAGS="--cfg loom" cargo test -p stepwell-slots --test models --profile models --target-dir target/loom`.
#![cfg(loom)]

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;
use stepwell_slots::{Access, Admitted, Cpus, Kind, Privilege, Request, State, Table, VaSize};

const TEXT: u64 = 0xffff_8000_8000_0000;

type Records = Table<u64, 2>;

/// Every word of a record follows from `seed`, so that a mixture of two uses is noticed.
fn use_of(seed: u64) -> (Admitted, Cpus) {
    let request = Request::Watchpoint {
        address: TEXT + 8 * seed,
        length: 8,
        access: Access::Write,
        privilege: Privilege::El1,
    };
    (Admitted::despite_no_probe(&request, VaSize::Bits48).expect("aligned"), Cpus(1 | seed << 8))
}

fn reserve(records: &Records, seed: u64) -> stepwell_slots::SlotId {
    let (admitted, cpus) = use_of(seed);
    records.reserve(admitted, cpus, seed, 1).expect("free")
}

fn check_whole(records: &Records) {
    let Some(record) = records.lookup(0) else { return };
    let (admitted, cpus) = use_of(record.payload);
    assert_eq!((record.encoding, record.cpus), (admitted.encoding(), cpus), "torn");
}

fn model(check: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(check);
}

/// H1: a record is published in one store, and a reader never sees a part of one use and a part of the next.
#[test]
fn h1_a_reader_sees_a_whole_record_or_none_while_its_slot_is_reused() {
    model(|| {
        let records = Arc::new(Records::new(Kind::Watchpoint));
        let reader = {
            let records = records.clone();
            thread::spawn(move || check_whole(&records))
        };
        let id = reserve(&records, 1);
        records.retire(id).expect("live");
        records.free(id).expect("retired");
        reserve(&records, 2);
        reader.join().expect("no panic");
    });
}

/// H1: a thread that gets a slot number from another thread sees all that the other thread did while it had the number.
#[test]
fn h1_a_slot_number_is_one_use_at_a_time() {
    model(|| {
        let records = Arc::new(Records::new(Kind::Watchpoint));
        let registers = Arc::new(UnsafeCell::new(0));
        let use_once = |records: &Records, registers: &UnsafeCell<u64>, seed| {
            let (admitted, cpus) = use_of(seed);
            let Ok(id) = records.reserve(admitted, cpus, seed, 1) else { return };
            assert_eq!(records.live(id).map(|record| record.payload), Some(seed));
            // SAFETY: only the thread that has the slot number accesses `registers`; `loom` reports a violation.
            registers.with_mut(|registers| unsafe { *registers = seed });
            records.retire(id).and_then(|()| records.free(id)).expect("it is nobody else's");
        };
        let other = {
            let (records, registers) = (records.clone(), registers.clone());
            thread::spawn(move || use_once(&records, &registers, 1))
        };
        use_once(&records, &registers, 2);
        other.join().expect("no panic");
        assert!(records.iter().next().is_none());
    });
}

/// If two threads retire one slot, exactly one of them succeeds, and the slot can then be freed.
#[test]
fn h1_a_slot_is_retired_once() {
    model(|| {
        let records = Arc::new(Records::new(Kind::Watchpoint));
        let id = reserve(&records, 1);
        let other = {
            let records = records.clone();
            thread::spawn(move || records.retire(id).is_ok())
        };
        let mine = records.retire(id).is_ok();
        assert!(mine != other.join().expect("no panic"));
        assert_eq!(records.lookup(id.record).map(|record| record.state), Some(State::Retired));
        records.free(id).expect("retired");
    });
}

/// H5: a CPU that comes up is seen by the thread that reserves a slot, or sees the slot itself.
#[test]
fn h5_a_cpu_that_comes_up_misses_no_slot() {
    model(|| {
        let records = Arc::new(Records::new(Kind::Watchpoint));
        let online = Arc::new(AtomicU64::new(0));
        let cpu = {
            let (records, online) = (records.clone(), online.clone());
            thread::spawn(move || {
                online.fetch_or(1, Ordering::SeqCst);
                records.for_cpu(0).count() == 1
            })
        };
        reserve(&records, 1);
        let seen = online.load(Ordering::SeqCst) == 1;
        assert!(cpu.join().expect("no panic") || seen, "neither saw the other");
    });
}
