//! The protocols under the model checker `loom`: every interleaving, and every order in which the weak memory model lets accesses take
//! effect. `cargo xtask qemu-test` runs these; by hand:
//! `RUSTFLAGS="--cfg loom" cargo test -p stepwell-protocols --test models --profile models --target-dir target/loom`.
#![cfg(loom)]

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{
    AtomicU64, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use loom::thread;
use protocols::{Applied, Changes, Rendezvous};
use slots::{Admitted, Cpus, Kind, Privilege, Request, SlotId, State, Table, VaSize};

/// Tries all executions with at most three preemptions.
fn model(check: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(check);
}

/// Text that all CPUs execute and one CPU changes. `loom` reports an execution during a change.
struct Text(UnsafeCell<u64>);

impl Text {
    fn execute(&self) -> u64 {
        // SAFETY: `loom` checks that nobody writes meanwhile.
        self.0.with(|text| unsafe { *text })
    }

    fn change(&self, to: u64) {
        // SAFETY: `loom` checks that nobody reads or writes meanwhile.
        self.0.with_mut(|text| unsafe { *text = to });
    }
}

/// The state that the CPUs of a rendezvous share.
struct Machine {
    rendezvous: Rendezvous,
    /// The number of interrupts sent. In the kernel the sender executes a DSB before it; here release and acquire stand for that
    /// DSB.
    sent: AtomicUsize,
    text: Text,
}

impl Machine {
    fn new() -> Arc<Self> {
        Arc::new(Machine {
            rendezvous: Rendezvous::new(),
            sent: AtomicUsize::new(0),
            text: Text(UnsafeCell::new(0)),
        })
    }

    fn hold(&self, others: usize, to: u64) {
        let tell = || _ = self.sent.fetch_add(1, Release);
        self.rendezvous.hold(others, tell, thread::yield_now, || self.text.change(to));
    }

    /// Executes the text until the interrupt number `interrupt` comes, and then takes part.
    fn interrupted(&self, interrupt: usize) {
        self.text.execute();
        while self.sent.load(Acquire) < interrupt {
            thread::yield_now();
        }
        self.take_part();
    }

    /// The CPU executes the new text before it counts as gone. So `loom` checks that the CPU's instruction stream is synchronised
    /// by then.
    fn take_part(&self) {
        self.rendezvous.take_part(thread::yield_now, || _ = self.text.execute());
    }
}

/// K3: text changes while no CPU executes it, and a CPU that has gone on executes the new text.
#[test]
fn k3_text_changes_while_all_stand_still() {
    model(|| {
        let machine = Machine::new();
        let cpu = {
            let machine = machine.clone();
            thread::spawn(move || {
                machine.interrupted(1);
                assert_eq!(machine.text.execute(), 1);
            })
        };
        machine.hold(1, 1);
        cpu.join().expect("no panic");
    });
}

/// K3: a round ends only when every CPU has left it, so the text may then change at once.
#[test]
fn k3_a_round_waits_until_all_have_gone() {
    model(|| {
        let machine = Machine::new();
        let mut cpu = None;
        // The interrupt starts the CPU's thread.
        let tell = || {
            let machine = machine.clone();
            cpu = Some(thread::spawn(move || {
                machine.text.execute();
                machine.take_part();
            }));
        };
        machine.rendezvous.hold(1, tell, thread::yield_now, || machine.text.change(1));
        machine.text.change(2);
        cpu.map(|cpu| cpu.join().expect("no panic"));
    });
}

/// K3: a CPU that takes part late, or while there is no round, delays no other CPU and is not held.
#[test]
fn k3_rounds_in_a_row_and_interrupts_that_come_late() {
    model(|| {
        let machine = Machine::new();
        let cpu = {
            let machine = machine.clone();
            thread::spawn(move || {
                // Perhaps this is in the middle of the first round, whose own interrupt then comes late.
                machine.take_part();
                machine.interrupted(1);
                machine.interrupted(2);
                machine.take_part();
            })
        };
        machine.hold(1, 1);
        machine.hold(1, 2);
        cpu.join().expect("no panic");
    });
}

/// A record that other CPUs change, and the CPU that applies it to its registers.
struct Cpu {
    changes: Changes,
    applied: Applied<1>,
    record: AtomicU64,
    registers: UnsafeCell<u64>,
}

impl Cpu {
    fn new() -> Arc<Self> {
        Arc::new(Cpu {
            changes: Changes::new(),
            applied: Applied::new(),
            record: AtomicU64::new(0),
            registers: UnsafeCell::new(0),
        })
    }

    /// The CPU's interrupt handler.
    fn sync(&self) {
        if self.applied.is_current(&self.changes) {
            return;
        }
        let apply = |_| {
            let record = self.record.load(Acquire);
            // SAFETY: the registers are this CPU's until it says that it has applied the change; `loom` checks that.
            self.registers.with_mut(|registers| unsafe { *registers = record });
        };
        self.applied.bring_into_line(&self.changes, apply, || ());
    }

    /// Another CPU's change, which waits until the CPU has applied it. Returns what the CPU's registers then hold.
    fn change(&self, to: u64) -> u64 {
        self.record.store(to, Relaxed);
        self.applied.mark(0);
        let change = self.changes.draw();
        while !self.applied.has(change) {
            thread::yield_now();
        }
        // SAFETY: as above.
        self.registers.with(|registers| unsafe { *registers })
    }
}

/// H1, H5: when a change counts as applied, the CPU's registers have it.
#[test]
fn h5_a_change_that_counts_as_applied_is() {
    model(|| {
        let cpu = Cpu::new();
        let other = {
            let cpu = cpu.clone();
            thread::spawn(move || {
                while !cpu.applied.has(1) {
                    cpu.sync();
                    thread::yield_now();
                }
            })
        };
        assert_eq!(cpu.change(1), 1);
        other.join().expect("no panic");
    });
}

/// H5: when two CPUs make changes, none is lost, whatever the order.
#[test]
fn h5_no_change_is_lost() {
    model(|| {
        let changes = Arc::new((Changes::new(), Applied::<1>::new(), [AtomicU64::new(0), AtomicU64::new(0)]));
        let cpus: Vec<_> = (0..2)
            .map(|thing| {
                let changes = changes.clone();
                thread::spawn(move || {
                    let (changes, applied, records) = &*changes;
                    records[thing].store(1, Relaxed);
                    applied.mark(thing);
                    changes.draw()
                })
            })
            .collect();
        let (all, applied, records) = &*changes;
        let mut registers = [0; 2];
        for _ in 0..2 {
            applied.bring_into_line(all, |thing| registers[thing] = records[thing].load(Relaxed), || ());
            if applied.has(2) {
                assert_eq!(registers, [1, 1]);
            }
            if applied.has(1) {
                assert_ne!(registers, [0, 0]);
            }
        }
        cpus.into_iter().for_each(|cpu| _ = cpu.join().expect("no panic"));
        applied.bring_into_line(all, |thing| registers[thing] = records[thing].load(Relaxed), || ());
        assert_eq!(registers, [1, 1]);
    });
}

/// Records of slots, and the CPU that arms them.
struct Slots {
    records: Table<u64, 1>,
    changes: Changes,
    applied: Applied<1>,
    armed: UnsafeCell<Option<SlotId>>,
}

impl Slots {
    /// The CPU's interrupt handler.
    fn sync(&self) {
        if self.applied.is_current(&self.changes) {
            return;
        }
        let apply = |_| {
            let Some(record) = self.records.lookup(0) else { return };
            let armed = (record.state == State::Live).then_some(record.id);
            // SAFETY: the registers are this CPU's until it says that it has applied the change; `loom` checks that.
            self.armed.with_mut(|registers| unsafe { *registers = armed });
        };
        self.applied.bring_into_line(&self.changes, apply, || ());
    }

    /// Waits until the CPU has applied a change that was made. Returns the slot that the CPU then has armed.
    fn changed(&self) -> Option<SlotId> {
        self.applied.mark(0);
        let change = self.changes.draw();
        while !self.applied.has(change) {
            thread::yield_now();
        }
        // SAFETY: as above.
        self.armed.with(|registers| unsafe { *registers })
    }
}

/// H1, H2: an installed slot is armed, and a freed slot is armed nowhere.
#[test]
fn h1_a_slot_is_armed_from_its_installation_until_its_removal() {
    model(|| {
        let slots = Arc::new(Slots {
            records: Table::new(Kind::Breakpoint),
            changes: Changes::new(),
            applied: Applied::new(),
            armed: UnsafeCell::new(None),
        });
        let cpu = {
            let slots = slots.clone();
            thread::spawn(move || {
                while !slots.applied.has(2) {
                    slots.sync();
                    thread::yield_now();
                }
            })
        };
        let request = Request::Breakpoint { address: 0xffff_8000_8000_0000, privilege: Privilege::El1 };
        let admitted = Admitted::despite_no_probe(&request, VaSize::Bits48).expect("aligned");
        let id = slots.records.reserve(admitted, Cpus::of(0), 7, 1).expect("free");
        assert_eq!(slots.changed(), Some(id));
        slots.records.retire(id).expect("live");
        assert_eq!(slots.changed(), None);
        slots.records.free(id).expect("retired");
        cpu.join().expect("no panic");
    });
}
