//! Rule H4, tried by a debug exception before every access of every operation. All is well if the operation is a masked section.
//! If it is not masked, or if the back end has a flaw, the tests must see damage.

use std::boxed::Box;
use std::vec::Vec;

use super::banks::{BigTables, KINDS, STALE, reserve_all};
use super::counts;
use crate::fake::{Pe, Stale};
use crate::{BankSelect, Banked, CpuSlots, DebugRegs, Encoding, Kind, ReadRegs, SlotId};

/// The operations on a slot.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Operation {
    Arm,
    Disarm,
    Suspend,
    Rearm,
    Stash,
    Unstash,
    Read,
    Resync,
}

const OPERATIONS: [Operation; 8] = [
    Operation::Arm,
    Operation::Disarm,
    Operation::Suspend,
    Operation::Rearm,
    Operation::Stash,
    Operation::Unstash,
    Operation::Read,
    Operation::Resync,
];

/// How a back end is made of the model: the real one, or one with a fault for the test to find.
trait BackEnd: 'static {
    type Regs<'a>: DebugRegs + ReadRegs;
    fn of(pe: &mut Pe) -> Self::Regs<'_>;
}

struct Real;

impl BackEnd for Real {
    type Regs<'a> = Banked<&'a mut Pe>;
    fn of(pe: &mut Pe) -> Self::Regs<'_> {
        Banked(pe)
    }
}

/// The state in which `operation` starts, the operation, and what it must find or leave.
struct Scene {
    tables: &'static BigTables,
    cpu: CpuSlots,
    id: SlotId,
    operation: Operation,
}

impl Scene {
    /// Slot `n` with a record, armed and suspended if the operation needs that.
    fn new(tables: &'static BigTables, kind: Kind, n: u8, operation: Operation, pe: &mut Pe) -> Scene {
        let id = tables.lookup(kind, n).expect("every slot has a record").id;
        let mut cpu = CpuSlots::new();
        let regs = &mut Banked(&mut *pe);
        let armed = operation != Operation::Arm;
        let suspended = matches!(operation, Operation::Rearm | Operation::Stash | Operation::Unstash);
        if armed {
            cpu.arm(regs, tables, id).expect("live");
        }
        if suspended {
            cpu.suspend(regs, id.kind, id.index);
            regs.isb();
        }
        Scene { tables, cpu, id, operation }
    }

    fn encoding(tables: &BigTables, id: SlotId) -> Encoding {
        tables.encoding_of(id).expect("live")
    }

    /// Runs the operation. Returns false if the operation has read wrong contents.
    fn run(&mut self, regs: &mut (impl DebugRegs + ReadRegs)) -> bool {
        let (cpu, tables, id) = (&mut self.cpu, self.tables, self.id);
        let encoding = Scene::encoding(tables, id);
        match self.operation {
            Operation::Arm => cpu.arm(regs, tables, id).expect("live"),
            Operation::Disarm => cpu.disarm(regs, id),
            Operation::Suspend => cpu.suspend(regs, id.kind, id.index),
            Operation::Rearm => cpu.rearm_all(regs),
            Operation::Stash => {
                cpu.stash(regs);
            }
            Operation::Unstash => {
                let stashed = cpu.stash(regs);
                cpu.unstash(regs, &stashed);
            }
            Operation::Resync => {
                cpu.resync(regs, tables, id.kind, 64);
            }
            Operation::Read => {
                let read = (regs.read_value(id.kind, id.index), regs.read_control(id.kind, id.index));
                return read == (encoding.value, encoding.enabled());
            }
        }
        true
    }

    /// The control register that the operation leaves.
    fn control(&self) -> u32 {
        let encoding = Scene::encoding(self.tables, self.id);
        match self.operation {
            Operation::Arm | Operation::Rearm | Operation::Stash | Operation::Read | Operation::Resync => {
                encoding.enabled()
            }
            Operation::Suspend | Operation::Unstash => encoding.control,
            Operation::Disarm => 0,
        }
    }

    fn as_it_must_be(&self, pe: &Pe) -> bool {
        let (_, control) = pe.contents(self.id.kind)[usize::from(self.id.index)];
        let (value, _) = pe.contents(self.id.kind)[usize::from(self.id.index)];
        control == self.control() && (control == 0 || value == Scene::encoding(self.tables, self.id).value)
    }
}

/// Runs the operation `outer`. Before its access `at` comes a debug exception, whose handler runs the operation `inner` on another
/// slot. Returns whether all is well afterwards, or `None` if `outer` has no such access.
fn interrupted<B: BackEnd>(
    tables: &'static BigTables,
    outer: (Kind, u8, Operation),
    inner: (Kind, u8, Operation),
    at: usize,
    stale: Stale,
    masked: bool,
) -> Option<bool> {
    let mut pe = Pe::brought_up(counts(64, 64), stale);
    let mut outer = Scene::new(tables, outer.0, outer.1, outer.2, &mut pe);
    let mut inner = Scene::new(tables, inner.0, inner.1, inner.2, &mut pe);
    // The handler takes `inner`. `witness` stays here, and knows what the handler's slot must hold afterwards.
    let witness = Scene { cpu: CpuSlots::new(), ..inner };
    let right = std::rc::Rc::new(std::cell::Cell::new(false));
    let told = right.clone();
    pe.inject(
        at,
        Box::new(move |pe| {
            let before = pe.faults().len();
            let read = inner.run(&mut B::of(pe));
            told.set(read && pe.faults().len() == before);
        }),
    );
    let start = pe.accesses();
    let read =
        if masked { pe.masked(|pe| outer.run(&mut B::of(pe))) } else { outer.run(&mut B::of(&mut pe)) };
    if pe.pending() {
        // Not reached: the operation has fewer accesses.
        assert!(pe.accesses() - start <= at);
        return None;
    }
    pe.isb();
    let others = KINDS.into_iter().all(|kind| {
        (0..64).filter(|&n| ![outer.id, witness.id].iter().any(|id| (id.kind, id.index) == (kind, n))).all(
            |n| {
                let other = pe.contents(kind)[usize::from(n)];
                // A resync switches off every slot that its CPU has not armed, but leaves the value register.
                other.1 == 0 && (other.0 == 0 || outer.operation == Operation::Resync)
            },
        )
    });
    let well = read
        && right.get()
        && others
        && outer.as_it_must_be(&pe)
        && witness.as_it_must_be(&pe)
        && pe.mdselr() == 0
        && pe.faults().is_empty();
    Some(well)
}

/// Interrupts every operation on each of `outer` slots, at every access, with every operation on each of `inner` slots in the
/// handler. Returns how often, and for which outer slots and operations not all was well.
fn exhaust<B: BackEnd>(masked: bool, outer: &[u8], inner: &[u8]) -> (usize, Vec<(u8, Operation)>) {
    let tables: &'static BigTables = Box::leak(Box::new(BigTables::new()));
    for kind in KINDS {
        reserve_all(tables, kind, 64);
    }
    let each = |slots: &'static [u8]| slots.iter().flat_map(|&n| OPERATIONS.map(|operation| (n, operation)));
    let slots = |slots: &[u8]| -> &'static [u8] { Box::leak(slots.into()) };
    let (outer, inner) = (slots(outer), slots(inner));
    let mut tried = 0;
    let mut wrong = Vec::new();
    for (n, operation) in each(outer) {
        let mut well = true;
        for (inner_n, inner) in each(inner) {
            // A resync writes all slots of its kind, so the other operation gets a slot of the other kind.
            let apart = operation == Operation::Resync || inner == Operation::Resync;
            let inner_kind = if apart { Kind::Breakpoint } else { Kind::Watchpoint };
            let (outer, inner) = ((Kind::Watchpoint, n, operation), (inner_kind, inner_n, inner));
            for stale in STALE {
                let all = (0..).map_while(|at| interrupted::<B>(tables, outer, inner, at, stale, masked));
                for this in all {
                    tried += 1;
                    well &= this;
                }
            }
        }
        if !well {
            wrong.push((n, operation));
        }
    }
    (tried, wrong)
}

const OUTER: [u8; 6] = [0, 15, 16, 31, 37, 63];
const INNER: [u8; 4] = [1, 17, 38, 62];

#[test]
fn h4_masked_nothing_goes_wrong_wherever_the_exception_comes() {
    let (tried, wrong) = exhaust::<Real>(true, &OUTER, &INNER);
    assert_eq!(wrong, []);
    assert!(tried > 50_000, "{tried}");
}

#[test]
fn h4_unmasked_every_operation_on_a_slot_above_15_goes_wrong() {
    let (_, wrong) = exhaust::<Real>(false, &OUTER, &INNER);
    let wanted: Vec<_> = OUTER
        .into_iter()
        .flat_map(|n| OPERATIONS.map(|operation| (n, operation)))
        // A resync of any slot writes the slots above 15 too.
        .filter(|&(n, operation)| n > 15 || operation == Operation::Resync)
        .collect();
    assert_eq!(wrong, wanted);
}

/// Even a handler that uses only a slot below 16 damages the interrupted operation, or is damaged by it.
#[test]
fn h4_unmasked_a_handler_that_knows_of_no_banks_goes_wrong_too() {
    let (_, wrong) = exhaust::<Real>(false, &[20], &[1]);
    assert_eq!(wrong, OPERATIONS.map(|operation| (20, operation)));
    let (_, wrong) = exhaust::<Real>(true, &[20], &[1]);
    assert_eq!(wrong, []);
}

/// The flaw of a [`Flawed`] back end.
#[derive(Clone, Copy, PartialEq)]
enum Flaw {
    NoIsbBehindSelect,
    NoIsbBehindRestore,
    NoRestore,
    NoSelect,
    OtherField,
}

struct Flawed<'a> {
    pe: &'a mut Pe,
    flaw: Flaw,
}

impl Flawed<'_> {
    fn select(&mut self, bank: u8, isb: bool) {
        let shift = if self.flaw == Flaw::OtherField { 0 } else { 4 };
        self.pe.write_mdselr(u64::from(bank) << shift);
        if isb {
            self.pe.isb();
        }
    }

    fn in_bank<T>(&mut self, n: u8, access: impl FnOnce(&mut Pe, u8) -> T) -> T {
        if n > 15 && self.flaw != Flaw::NoSelect {
            self.select(n / 16, self.flaw != Flaw::NoIsbBehindSelect);
        }
        let result = access(self.pe, n % 16);
        if n > 15 && self.flaw != Flaw::NoRestore {
            self.select(0, self.flaw != Flaw::NoIsbBehindRestore);
        }
        result
    }
}

impl DebugRegs for Flawed<'_> {
    fn write_value(&mut self, kind: Kind, n: u8, value: u64) {
        self.in_bank(n, |pe, n| pe.write_value(kind, n, value));
    }

    fn write_control(&mut self, kind: Kind, n: u8, control: u32) {
        self.in_bank(n, |pe, n| pe.write_control(kind, n, control));
    }

    fn isb(&mut self) {
        self.pe.isb();
    }
}

impl ReadRegs for Flawed<'_> {
    fn read_value(&mut self, kind: Kind, n: u8) -> u64 {
        self.in_bank(n, |pe, n| pe.read_value(kind, n))
    }

    fn read_control(&mut self, kind: Kind, n: u8) -> u32 {
        self.in_bank(n, |pe, n| pe.read_control(kind, n))
    }
}

macro_rules! flawed {
    ($($test:ident: $flaw:ident;)*) => {$(
        #[test]
        fn $test() {
            struct This;
            impl BackEnd for This {
                type Regs<'a> = Flawed<'a>;
                fn of(pe: &mut Pe) -> Self::Regs<'_> {
                    Flawed { pe, flaw: Flaw::$flaw }
                }
            }
            let (_, wrong) = exhaust::<This>(true, &[1, 20], &[2, 40]);
            assert!(OPERATIONS.iter().all(|&operation| wrong.contains(&(20, operation))), "{wrong:?}");
        }
    )*};
}

flawed! {
    h4_a_select_without_isb_is_noticed: NoIsbBehindSelect;
    h4_no_return_to_bank_0_is_noticed: NoRestore;
    h4_no_select_is_noticed: NoSelect;
    h4_another_field_than_bank_is_noticed: OtherField;
}

/// A slot below 16 is accessed after a slot above 15 in the same section: only then does the ISB after the return to bank 0 matter.
#[test]
fn h4_a_return_to_bank_0_without_isb_is_noticed() {
    let tables = BigTables::new();
    let ids = [reserve_all(&tables, Kind::Breakpoint, 21)[20], reserve_all(&tables, Kind::Watchpoint, 2)[1]];
    for (stale, flaw) in
        STALE.into_iter().flat_map(|stale| [None, Some(Flaw::NoIsbBehindRestore)].map(|flaw| (stale, flaw)))
    {
        let mut cpu = CpuSlots::new();
        let mut pe = Pe::brought_up(counts(64, 64), stale);
        for id in ids {
            cpu.arm(&mut Banked(&mut pe), &tables, id).expect("live");
            cpu.suspend(&mut Banked(&mut pe), id.kind, id.index);
        }
        match flaw {
            None => cpu.rearm_all(&mut Banked(&mut pe)),
            Some(flaw) => cpu.rearm_all(&mut Flawed { pe: &mut pe, flaw }),
        }
        assert_eq!(pe.faults().is_empty(), flaw.is_none());
    }
}
