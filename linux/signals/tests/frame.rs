//! The signal frame: layout, round trip, and frames that a program has changed.

use linux_raw_sys::general::SS_DISABLE;
use proptest::prelude::*;
use signals::frame::{
    BadFrame, FRAME_SIZE, Fpsimd, Interrupted, Masks, Memory, Place, Registers, check_pstate, enter_handler,
    restore, write,
};
use signals::{
    Action, ActionFlags, Actions, AltStack, Delivery, Entry, Handler, Info, SigSet, Signal, deliver,
};

const BASE: u64 = 0x7000_0000;
const RECORDS: usize = 592;
/// PSTATE bits that may be set in what a program gets: N, Z, C, V, TCO, DIT, SSBS, BTYPE.
const ALLOWED: u64 = 0xf300_1c00;

/// User memory at `BASE`.
struct Bytes<'a>(&'a [u8]);

impl Memory for Bytes<'_> {
    fn write(&mut self, _: u64, _: &[u8]) -> bool {
        unreachable!("nothing is written when a frame is read")
    }

    fn clear(&mut self, _: u64, _: usize) -> bool {
        unreachable!("nothing is written when a frame is read")
    }

    fn read(&mut self, from: u64, to: &mut [u8]) -> bool {
        let from = from.checked_sub(BASE).and_then(|offset| self.0.get(offset as usize..)?.get(..to.len()));
        from.map(|from| to.copy_from_slice(from)).is_some()
    }
}

fn entry(flags: ActionFlags, top: u64) -> Entry {
    let mut actions = Actions::new();
    let action = Action { handler: Handler::Address(0x4000), flags, restorer: 0x5000, mask: SigSet::EMPTY };
    actions.set(Signal::SIGUSR1, action).unwrap();
    match deliver(&mut actions, Signal::SIGUSR1, SigSet::EMPTY, &AltStack::DISABLED, top) {
        Delivery::Handler(entry) => entry,
        other => panic!("{other:?}"),
    }
}

fn registers() -> Registers {
    let x = std::array::from_fn(|i| 0x1111_0000 + i as u64);
    Registers { x, sp: 0x7000_9000, pc: 0x40_0000, pstate: 0x6000_0000 }
}

fn fpsimd() -> Fpsimd {
    Fpsimd::new(std::array::from_fn(|i| u128::MAX / (i as u128 + 2)), 0x0800_0001, 0x0100_0000)
}

/// A frame that is written at `BASE`, with 0xee where nothing is; and its frame record.
#[derive(Default)]
struct Written {
    frame: Vec<u8>,
    record: Vec<u8>,
}

impl Memory for Written {
    fn write(&mut self, to: u64, from: &[u8]) -> bool {
        if to == BASE + FRAME_SIZE {
            self.record.extend(from);
            return true;
        }
        let at = (to - BASE) as usize;
        let end = self.frame.len().max(at + from.len());
        self.frame.resize(end, 0xee);
        self.frame[at..at + from.len()].copy_from_slice(from);
        true
    }

    fn clear(&mut self, to: u64, length: usize) -> bool {
        self.write(to, &vec![0; length])
    }

    fn read(&mut self, _: u64, _: &mut [u8]) -> bool {
        unreachable!("nothing is read when a frame is written")
    }
}

/// The bytes of a frame at `BASE`, up to the last one that is written; and the frame record.
fn written(flags: ActionFlags, interrupted: &Interrupted<'_>) -> (Vec<u8>, Vec<u8>) {
    let place = Place { frame: BASE, record: BASE + FRAME_SIZE };
    let mut memory = Written::default();
    let info = Info::kill(Signal::SIGUSR1, 1, 2);
    assert!(write(&place, &entry(flags, BASE), &info, interrupted, &mut memory));
    assert_eq!(memory.frame[..128], info.encode(), "siginfo_t");
    (memory.frame, memory.record)
}

/// The used bytes of a frame, in all the memory that it has.
fn frame(fault: Option<(u64, u64)>) -> Vec<u8> {
    let (registers, fpsimd) = (registers(), fpsimd());
    let interrupted = Interrupted {
        registers: &registers,
        v: &fpsimd.v,
        fpsr: fpsimd.fpsr,
        fpcr: fpsimd.fpcr,
        fault,
        blocked: SigSet::of(&[Signal::SIGHUP]),
        alternate: AltStack::DISABLED,
    };
    let (mut bytes, record) = written(ActionFlags::SIGINFO, &interrupted);
    assert_eq!((word(&record, 0), word(&record, 8)), (0x1111_001d, 0x1111_001e));
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

/// What a frame gives.
#[derive(Debug)]
struct Restored {
    registers: Registers,
    fpsimd: Fpsimd,
    masks: Masks,
}

fn read(bytes: &[u8]) -> Result<Restored, BadFrame> {
    read_at(BASE, bytes)
}

/// As `read`, at another address.
fn read_at(sp: u64, bytes: &[u8]) -> Result<Restored, BadFrame> {
    let before = Registers { pstate: 0x8000_0000, ..Registers::default() };
    let (mut registers, mut fpsimd) = (before, Fpsimd::default());
    match restore(sp, &mut registers, &mut Bytes(bytes), |record| fpsimd = *record) {
        Ok(masks) => Ok(Restored { registers, fpsimd, masks }),
        Err(error) => {
            assert_eq!(registers.pstate, before.pstate, "{error:?}");
            Err(error)
        }
    }
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
    let start = |flags| {
        let mut registers = before;
        enter_handler(&mut registers, Signal::SIGUSR1, &entry(flags, BASE), &place, 0x7777);
        registers
    };
    let with_info = start(ActionFlags::SIGINFO | ActionFlags::RESTORER);
    let without = start(ActionFlags::empty());
    let start = with_info;
    assert_eq!((start.x[0], start.x[1], start.x[2]), (10, 0x1000, 0x1080));
    assert_eq!((start.x[29], start.x[30], start.sp, start.pc), (0x3000, 0x5000, 0x1000, 0x4000));
    assert_eq!(start.pstate, 0xf100_1000, "NZCV, DIT and SSBS stay");
    assert_eq!(start.x[3..29], before.x[3..29]);

    let start = without;
    assert_eq!((start.x[0], start.x[1], start.x[2], start.x[30]), (10, before.x[1], before.x[2], 0x7777));
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
    assert_eq!(read_at(BASE + 8, &bytes).unwrap_err(), BadFrame::Misaligned);
    assert_eq!(read_at(!15, &bytes).unwrap_err(), BadFrame::Unreadable);
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
    (any::<[u128; 32]>(), any::<u32>(), any::<u32>()).prop_map(|(v, fpsr, fpcr)| Fpsimd::new(v, fpsr, fpcr))
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        registers in any_registers(), fpsimd in any_fpsimd(), fault in any::<Option<(u64, u64)>>(), mask in any::<u64>(),
    ) {
        let blocked = SigSet(mask).blockable();
        let Fpsimd { v, fpsr, fpcr, .. } = &fpsimd;
        let interrupted = Interrupted {
            registers: &registers, v, fpsr: *fpsr, fpcr: *fpcr, fault, blocked, alternate: AltStack::DISABLED,
        };
        let (frame, _) = written(ActionFlags::empty(), &interrupted);
        let restored = read(&frame).unwrap();
        prop_assert_eq!(restored.registers, registers);
        prop_assert_eq!(restored.fpsimd, fpsimd);
        prop_assert_eq!(restored.masks.blocked, blocked);
        prop_assert_eq!(restored.masks.alternate, AltStack::DISABLED.saved());
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
            prop_assert!((restored.masks.blocked & SigSet::UNBLOCKABLE).is_empty());
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
