//! Arguments of system calls: mostly sensible within the small address space, sometimes nonsense.

use proptest::{collection::vec, prelude::*, sample::select};

use super::{Back, page};
use crate::{Access, Flags, Limits, PAGE, Placement, Prot, Remap, Request};

#[derive(Clone, Debug)]
pub enum Op {
    Map(Request<Back>, Limits),
    Unmap(u64, u64),
    Protect(u64, u64, u64, Limits),
    Remap(Remap, bool, Limits),
    Brk(u64, Limits),
    GrowStack(u64, Limits),
    Advise(u64, u64),
    Accessible(u64, u64, Access),
    /// The program touches these pages, if they are mapped.
    Touch(Vec<usize>),
    /// The rest goes on in the child.
    Fork,
}

fn nonsense() -> impl Strategy<Value = u64> {
    prop_oneof![
        select(vec![
            0,
            1,
            PAGE - 1,
            PAGE,
            page(15),
            page(127),
            page(128),
            page(128) + 1,
            1 << 47,
            1 << 63,
            u64::MAX - 2 * PAGE + 1,
            u64::MAX - PAGE,
            u64::MAX - PAGE + 1,
            u64::MAX - PAGE + 2,
            u64::MAX,
        ]),
        any::<u64>(),
        any::<u64>().prop_map(|value| value & !(PAGE - 1)),
    ]
}

pub fn addr() -> impl Strategy<Value = u64> {
    prop_oneof![
        20 => (10u64..130).prop_map(page),
        2 => page(10)..page(130),
        1 => nonsense(),
    ]
}

fn len() -> impl Strategy<Value = u64> {
    prop_oneof![
        16 => (1u64..12).prop_map(page),
        4 => (12u64..120).prop_map(page),
        2 => 0..page(12),
        1 => nonsense(),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    let limit = || prop_oneof![3 => Just(u64::MAX), 1 => 0..page(112)];
    prop_oneof![
        3 => Just(Limits::UNLIMITED),
        1 => (limit(), limit(), limit()).prop_map(|(address_space, data, stack)| Limits { address_space, data, stack }),
    ]
}

/// Few values, so that neighbours are often alike.
fn prot() -> impl Strategy<Value = Prot> {
    prop_oneof![4 => Just(super::RW), 3 => Just(Prot::READ), 2 => (0u32..8).prop_map(Prot::from_bits_truncate)]
}

fn request() -> impl Strategy<Value = Request<Back>> {
    let placement = prop_oneof![3 => Just(Placement::Hint), 3 => Just(Placement::Fixed), 1 => Just(Placement::FixedNoReplace)];
    let hint = prop_oneof![1 => Just(0), 2 => addr()];
    let may = prop_oneof![4 => Just(Prot::all()), 1 => Just(Prot::READ | Prot::EXEC)];
    let flags = prop_oneof![
        6 => Just(Flags::empty()),
        2 => Just(Flags::GROWS_DOWN),
        2 => Just(Flags::SHARED),
        1 => Just(Flags::SHARED | Flags::GROWS_DOWN),
    ];
    let back = prop_oneof![4 => Just(Back::Anonymous), 3 => (0u8..2).prop_map(Back::Object)];
    let offset = prop_oneof![20 => (0u64..8).prop_map(page), 1 => nonsense()];
    let rest = (prot(), may, flags, back, offset);
    (hint, len(), placement, rest).prop_map(|(hint, len, placement, (prot, may, flags, backing, offset))| {
        // Shared memory always has an object.
        let backing = if flags.contains(Flags::SHARED) && backing == Back::Anonymous {
            Back::Object(2)
        } else {
            backing
        };
        Request { hint, len, placement, prot, may, flags, backing, offset }
    })
}

/// The bits of mprotect's argument.
fn bits() -> impl Strategy<Value = u64> {
    let grows = prop_oneof![
        12 => Just(0),
        3 => Just(0x0100_0000),
        1 => Just(0x0200_0000),
        1 => Just(0x0300_0000),
        1 => Just(0x8),
    ];
    prop_oneof![
        20 => (prot(), grows).prop_map(|(prot, grows)| u64::from(prot.bits()) | grows),
        1 => nonsense(),
    ]
}

fn remap() -> impl Strategy<Value = Remap> {
    let flags = prop_oneof![3 => Just(0), 6 => Just(1), 8 => Just(3), 1 => 0u64..8, 1 => nonsense()];
    let old_len = prop_oneof![1 => Just(0), 8 => len()];
    (addr(), old_len, len(), flags, addr()).prop_map(|(addr, old_len, new_len, flags, new_addr)| Remap {
        addr,
        old_len,
        new_len,
        flags,
        new_addr,
    })
}

pub fn op() -> impl Strategy<Value = Op> {
    let access = select(vec![Access::Read, Access::Write, Access::Execute]);
    let brk = prop_oneof![8 => page(18)..page(60), 1 => nonsense()];
    prop_oneof![
        8 => (request(), limits()).prop_map(|(request, limits)| Op::Map(request, limits)),
        4 => (addr(), len()).prop_map(|(addr, len)| Op::Unmap(addr, len)),
        6 => (addr(), len(), bits(), limits()).prop_map(|(addr, len, bits, l)| Op::Protect(addr, len, bits, l)),
        8 => (remap(), prop::bool::weighted(0.9), limits()).prop_map(|(remap, ok, l)| Op::Remap(remap, ok, l)),
        3 => (brk, limits()).prop_map(|(wanted, limits)| Op::Brk(wanted, limits)),
        4 => (addr(), limits()).prop_map(|(addr, limits)| Op::GrowStack(addr, limits)),
        1 => (addr(), len()).prop_map(|(addr, len)| Op::Advise(addr, len)),
        1 => (addr(), len(), access).prop_map(|(addr, len, access)| Op::Accessible(addr, len, access)),
        8 => vec(16usize..128, 1..40).prop_map(Op::Touch),
        1 => Just(Op::Fork),
    ]
}
