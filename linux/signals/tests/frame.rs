//! The signal frame: layout, round trip, and frames that a program has changed.

use linux_raw_sys::general::SS_DISABLE;
use proptest::prelude::*;
use signals::frame::{
    BadFrame, FRAME_SIZE, Fpsimd, Frame, Interrupted, Place, Registers, Restored, check_pstate,
    enter_handler, restore,
};
use signals::{
    Action, ActionFlags, Actions, AltStack, Delivery, Entry, Handler, Info, SigSet, Signal, deliver,
};

const BASE: u64 = 0x7000_0000;
const RECORDS: usize = 592;
/// PSTATE bits that may be set in what a program gets: N, Z, C, V, TCO, DIT, SSBS, BTYPE.
const ALLOWED: u64 = 0xf300_1c00;

/// User memory of `bytes` at `BASE`.
fn reader(bytes: &[u8]) -> impl FnMut(u64, &mut [u8]) -> bool {
    |address, to| {
        let from = address.checked_sub(BASE).and_then(|offset| bytes.get(offset as usize..)?.get(..to.len()));
        from.map(|from| to.copy_from_slice(from)).is_some()
    }
}

fn entry(flags: ActionFlags, top: u64) -> Entry {
    let mut actions = Actions::new();
    let action = Action { handler: Handler::Address(0x4000), flags, restorer: 0x5000, mask: SigSet::EMPTY };
    actions.set(Signal::SIGUSR1, action).unwrap();
    match deliver(&mut actions, &Info::kill(Signal::SIGUSR1, 1, 2), SigSet::EMPTY, &AltStack::DISABLED, top) {
        Delivery::Handler(entry) => entry,
        other => panic!("{other:?}"),
    }
}

fn registers() -> Registers {
    let x = std::array::from_fn(|i| 0x1111_0000 + i as u64);
    Registers { x, sp: 0x7000_9000, pc: 0x40_0000, pstate: 0x6000_0000 }
}

fn fpsimd() -> Fpsimd {
    Fpsimd { v: std::array::from_fn(|i| u128::MAX / (i as u128 + 2)), fpsr: 0x0800_0001, fpcr: 0x0100_0000 }
}

/// The used bytes of a frame, in all the memory that it has.
fn frame(fault: Option<(u64, u64)>) -> Vec<u8> {
    let (registers, fpsimd) = (registers(), fpsimd());
    let interrupted = Interrupted {
        registers: &registers,
        fpsimd: &fpsimd,
        fault,
        blocked: SigSet::of(&[Signal::SIGHUP]),
        alternate: AltStack::DISABLED,
    };
    let mut bytes = Frame::new(&entry(ActionFlags::SIGINFO, BASE), &interrupted).bytes().to_vec();
    bytes.resize(FRAME_SIZE as usize, 0xee);
    bytes
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

fn set_word(bytes: &mut [u8], at: usize, value: u64) {
    bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

fn set_head(bytes: &mut [u8], at: usize, magic: u32, size: u32) {
    set_word(bytes, at, u64::from(magic) | u64::from(size) << 32);
}

fn read(bytes: &[u8]) -> Result<Restored, BadFrame> {
    restore(BASE, reader(bytes))
}

#[test]
fn the_layout_is_that_of_arm64() {
    let bytes = frame(Some((0xdead, 0x9200_0047)));
    assert_eq!(word(&bytes, 0), Signal::SIGUSR1.number().into());
    assert_eq!(word(&bytes, 128 + 16), 0, "uc_stack.ss_sp");
    assert_eq!(word(&bytes, 128 + 24), SS_DISABLE.into(), "uc_stack.ss_flags");
    assert_eq!(word(&bytes, 168), 1, "uc_sigmask");
    assert_eq!(word(&bytes, 304), 0xdead, "fault_address");
    assert_eq!(word(&bytes, 312 + 30 * 8), 0x1111_001e, "x30");
    assert_eq!(
        (word(&bytes, 560), word(&bytes, 568), word(&bytes, 576)),
        (0x7000_9000, 0x40_0000, 0x6000_0000)
    );
    assert_eq!(word(&bytes, RECORDS), 528 << 32 | 0x4650_8001);
    assert_eq!(word(&bytes, RECORDS + 8), 0x0100_0000_0800_0001, "fpsr, fpcr");
    assert_eq!(word(&bytes, RECORDS + 16 + 31 * 16), (u128::MAX / 33) as u64, "v31");
    assert_eq!(word(&bytes, RECORDS + 528), 16 << 32 | 0x4553_5201);
    assert_eq!(word(&bytes, RECORDS + 536), 0x9200_0047);
    assert_eq!((word(&bytes, RECORDS + 544), word(&bytes, RECORDS + 552)), (0, 0));
    let bytes = frame(None);
    assert_eq!((word(&bytes, RECORDS + 528), word(&bytes, RECORDS + 536)), (0, 0));
    assert_eq!(word(&bytes, RECORDS + 544), 0xeeee_eeee_eeee_eeee, "written up to the end record");
}

#[test]
fn a_frame_goes_below_its_frame_record() {
    assert_eq!(FRAME_SIZE, 4688);
    let place = Place::below(BASE + 9).unwrap();
    assert_eq!((place.record, place.frame), (BASE - 16, BASE - 16 - 4688));
    assert_eq!(Place::below(BASE).unwrap().record, BASE - 16);
    assert_eq!(Place::below(4688 + 16).unwrap().frame, 0);
    assert_eq!((Place::below(4688 + 15), Place::below(15), Place::below(0)), (None, None, None));
}

#[test]
fn a_handler_starts_with_its_arguments() {
    let before = Registers { pstate: 0xf2f0_1fdf | 1 << 24, ..registers() };
    let place = Place { frame: 0x1000, record: 0x3000 };
    let start =
        enter_handler(&entry(ActionFlags::SIGINFO | ActionFlags::RESTORER, BASE), &before, place, 0x7777);
    assert_eq!((start.x[0], start.x[1], start.x[2]), (10, 0x1000, 0x1080));
    assert_eq!((start.x[29], start.x[30], start.sp, start.pc), (0x3000, 0x5000, 0x1000, 0x4000));
    assert_eq!(start.pstate, 0xf100_1000, "NZCV, DIT and SSBS stay");
    assert_eq!(start.x[3..29], before.x[3..29]);

    let start = enter_handler(&entry(ActionFlags::empty(), BASE), &before, place, 0x7777);
    assert_eq!((start.x[0], start.x[1], start.x[2], start.x[30]), (10, before.x[1], before.x[2], 0x7777));
    assert_eq!(Frame::record(&before)[..8], before.x[29].to_le_bytes());
    assert_eq!(Frame::record(&before)[8..], before.x[30].to_le_bytes());
}

#[test]
fn pstate_is_a_user_programs() {
    for bit in (0..5).chain(6..10).chain([20]) {
        assert_eq!(check_pstate(1 << bit | 0x6000_0000).unwrap_err().bits, 1 << bit);
    }
    for bit in [10, 11, 12, 24, 25, 28, 29, 30, 31] {
        assert_eq!(check_pstate(1 << bit), Ok(1 << bit));
    }
    for bit in [5, 13, 14, 15, 16, 17, 18, 19, 21, 22, 23, 26, 27].into_iter().chain(32..64) {
        assert_eq!(check_pstate(1 << bit), Ok(0), "{bit}");
    }
}

#[test]
fn a_frame_is_read_only_where_it_can_be() {
    let bytes = frame(None);
    assert!(read(&bytes).is_ok());
    assert_eq!(restore(BASE + 8, reader(&bytes)).unwrap_err(), BadFrame::Misaligned);
    assert_eq!(restore(!15, |_, _| true).unwrap_err(), BadFrame::Unreadable);
    for end in [0, 591, 592, 599, 1119, 1127] {
        assert_eq!(read(&bytes[..end]).unwrap_err(), BadFrame::Unreadable, "{end}");
    }
}

#[test]
fn records_are_checked() {
    let changed = |change: &dyn Fn(&mut [u8])| {
        let mut bytes = frame(Some((0, 1)));
        change(&mut bytes);
        read(&bytes).map(|_| ())
    };
    let (first, second, third) = (RECORDS, RECORDS + 528, RECORDS + 544);
    assert_eq!(changed(&|_| ()), Ok(()));
    assert_eq!(changed(&|bytes| set_head(bytes, first, 0, 0)), Err(BadFrame::Fpsimd), "no FPSIMD");
    assert_eq!(changed(&|bytes| set_head(bytes, first, 0x5356_4501, 528)), Err(BadFrame::Record), "SVE");
    assert_eq!(
        changed(&|bytes| set_head(bytes, first, 0x4650_8001, 512)),
        Err(BadFrame::Record),
        "too short"
    );
    assert_eq!(changed(&|bytes| set_head(bytes, first, 0x4650_8001, 544)), Err(BadFrame::Fpsimd), "too long");
    assert_eq!(changed(&|bytes| set_head(bytes, first, 0x4650_8001, u32::MAX)), Err(BadFrame::Record));
    assert_eq!(
        changed(&|bytes| set_head(bytes, second, 0x4553_5201, 0)),
        Err(BadFrame::Record),
        "no progress"
    );
    assert_eq!(
        changed(&|bytes| set_head(bytes, second, 0x4553_5201, 8)),
        Err(BadFrame::Record),
        "misaligned"
    );
    assert_eq!(
        changed(&|bytes| set_head(bytes, second, 0x4553_5201, 4096 - 528)),
        Err(BadFrame::Record),
        "no end"
    );
    assert_eq!(
        changed(&|bytes| set_head(bytes, second, 0x4553_5201, 4096)),
        Err(BadFrame::Record),
        "past the end"
    );
    assert_eq!(changed(&|bytes| set_head(bytes, third, 0, 16)), Err(BadFrame::Record), "an end with a size");
    let twice = |bytes: &mut [u8]| {
        set_head(bytes, second, 0x4650_8001, 528);
        set_head(bytes, second + 528, 0, 0);
    };
    assert_eq!(changed(&twice), Err(BadFrame::Record));
}

/// A frame whose FPSIMD record lies behind the 4096 bytes.
fn extra_frame() -> Vec<u8> {
    let mut bytes = frame(None);
    let fpsimd = bytes[RECORDS..RECORDS + 528].to_vec();
    set_head(&mut bytes, RECORDS, 0x4553_5201, 4096 - 48);
    let extra = RECORDS + 4096 - 48;
    set_head(&mut bytes, extra, 0x4558_5401, 32);
    set_word(&mut bytes, extra + 8, BASE + FRAME_SIZE);
    set_word(&mut bytes, extra + 16, 544);
    set_word(&mut bytes, extra + 32, 0);
    bytes.extend(fpsimd);
    bytes.extend([0; 16]);
    bytes
}

#[test]
fn extra_records_are_read_once_and_right_behind() {
    let changed = |change: &dyn Fn(&mut [u8])| {
        let mut bytes = extra_frame();
        change(&mut bytes);
        read(&bytes).map(|restored| restored.fpsimd)
    };
    let extra = RECORDS + 4096 - 48;
    let behind = FRAME_SIZE as usize;
    assert_eq!(changed(&|_| ()), Ok(fpsimd()));
    assert_eq!(changed(&|bytes| set_head(bytes, extra, 0x4558_5401, 16)), Err(BadFrame::Record));
    assert_eq!(
        changed(&|bytes| set_head(bytes, extra, 0x4558_5401, 48)),
        Err(BadFrame::Record),
        "no room for the end"
    );
    assert_eq!(changed(&|bytes| set_word(bytes, extra + 8, BASE)), Err(BadFrame::Record), "a loop");
    assert_eq!(changed(&|bytes| set_word(bytes, extra + 16, 540)), Err(BadFrame::Record), "misaligned");
    assert_eq!(changed(&|bytes| set_word(bytes, extra + 16, 528)), Err(BadFrame::Record), "no end");
    assert_eq!(changed(&|bytes| set_word(bytes, extra + 16, 256 * 1024)), Err(BadFrame::Record), "too large");
    assert_eq!(changed(&|bytes| set_word(bytes, extra + 32, 1)), Err(BadFrame::Record), "not the end");
    assert_eq!(changed(&|bytes| set_head(bytes, behind, 0x4558_5401, 32)), Err(BadFrame::Record), "nested");
}

fn any_registers() -> impl Strategy<Value = Registers> {
    let rest = (any::<u64>(), any::<u64>(), any::<u64>());
    (any::<[u64; 31]>(), rest).prop_map(|(x, (sp, pc, pstate))| Registers {
        x,
        sp,
        pc,
        pstate: pstate & ALLOWED,
    })
}

fn any_fpsimd() -> impl Strategy<Value = Fpsimd> {
    (any::<[u128; 32]>(), any::<u32>(), any::<u32>()).prop_map(|(v, fpsr, fpcr)| Fpsimd { v, fpsr, fpcr })
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        registers in any_registers(), fpsimd in any_fpsimd(), fault in any::<Option<(u64, u64)>>(), mask in any::<u64>(),
    ) {
        let blocked = SigSet(mask).blockable();
        let interrupted = Interrupted { registers: &registers, fpsimd: &fpsimd, fault, blocked, alternate: AltStack::DISABLED };
        let frame = Frame::new(&entry(ActionFlags::empty(), BASE), &interrupted);
        let restored = read(frame.bytes()).unwrap();
        prop_assert_eq!(restored.registers, registers);
        prop_assert_eq!(restored.fpsimd, fpsimd);
        prop_assert_eq!(restored.blocked, blocked);
        prop_assert_eq!(restored.alternate, AltStack::DISABLED.saved());
    }

    #[test]
    fn a_damaged_frame_gives_no_pstate_or_mask_that_is_not_allowed(
        extra: bool,
        damage in prop::collection::vec((prop_oneof![Just(576usize), Just(168), 144usize..4688, 560usize..1152], any::<u64>()), 1..6),
        few_bits: bool,
    ) {
        let mut bytes = if extra { extra_frame() } else { frame(Some((1, 2))) };
        for (at, value) in damage {
            let at = at.min(bytes.len() - 8);
            let value = if few_bits { 1 << (value % 64) } else { value };
            set_word(&mut bytes, at, value);
        }
        if let Ok(restored) = read(&bytes) {
            prop_assert_eq!(restored.registers.pstate & !ALLOWED, 0);
            prop_assert!((restored.blocked & SigSet::UNBLOCKABLE).is_empty());
        }
    }

    #[test]
    fn any_pstate_is_refused_or_a_users(pstate: u64, masked in any::<u64>()) {
        for pstate in [pstate, pstate & !0x10_03df, pstate & masked] {
            match check_pstate(pstate) {
                Ok(taken) => prop_assert_eq!(taken & !ALLOWED | taken & !pstate, 0),
                Err(refused) => prop_assert_eq!(refused.bits, pstate & 0x10_03df),
            }
        }
    }
}
