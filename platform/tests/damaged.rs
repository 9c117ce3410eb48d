//! Damage of every kind: the answer may be an error or a machine, never a panic or a hang.

mod common;

use common::{Node, Random, machine};
use platform::{DtbError, parse, total_size};

const BLOBS: &[&[u8]] = &[
    include_bytes!("data/gic2-el2-smp8.dtb"),
    include_bytes!("data/gic3-el1-smp4-numa.dtb"),
    include_bytes!("data/gic3-el1-smp10.dtb"),
];

/// Parses the blob, reads everything in the result, and returns whether the result was a machine.
fn survive(blob: &[u8]) -> bool {
    match parse(blob) {
        Ok(machine) => {
            assert_eq!(machine.to_string().ends_with('"'), machine.warnings.is_empty());
            assert!(machine.memory.iter().all(|bank| bank.size > 0 && bank.end() > bank.base));
            assert!(!machine.cpus.is_empty());
            true
        }
        Err(error) => {
            assert!(error.to_string().contains(": "));
            false
        }
    }
}

fn set_size(blob: &mut [u8], size: usize) {
    if let Some(field) = blob.get_mut(4..8) {
        field.copy_from_slice(&(size as u32).to_be_bytes());
    }
}

#[test]
fn every_truncation_is_refused() {
    for blob in BLOBS {
        for len in 0..blob.len() {
            assert!(matches!(parse(&blob[..len]), Err(DtbError::TooShort { .. })));
            let _ = total_size(&blob[..len]);
        }
    }
}

#[test]
fn truncations_that_the_header_agrees_with() {
    for blob in BLOBS {
        // Only `totalsize` fits the cut: the blocks keep their ends, so the blob is whole only if it contains the last end.
        let word = |i: usize| u32::from_be_bytes(blob[4 * i..][..4].try_into().unwrap()) as usize;
        let used = word(3) + word(8);
        for len in 0..blob.len() {
            let mut cut = blob[..len].to_vec();
            set_size(&mut cut, len);
            assert_eq!(parse(&cut).is_ok(), len >= used, "{len} of {used}");
            // Now the ends of the blocks fit the cut too.
            if len > word(3) {
                cut[32..36].copy_from_slice(&((len - word(3)) as u32).to_be_bytes());
            } else if len > word(2) {
                cut[12..16].copy_from_slice(&(len as u32).to_be_bytes());
                cut[32..36].fill(0);
                cut[36..40].copy_from_slice(&((len - word(2)) as u32).to_be_bytes());
            }
            survive(&cut);
        }
    }
}

#[test]
fn flipped_bytes() {
    let mut random = Random(0x5eed_0001);
    let (mut machines, mut errors) = (0, 0);
    for round in 0..40_000 {
        let mut blob = BLOBS[round % BLOBS.len()].to_vec();
        for _ in 0..=random.below(12) {
            let at = random.below(blob.len());
            blob[at] = random.next() as u8;
        }
        if round % 2 == 0 {
            blob[..40].copy_from_slice(&BLOBS[round % BLOBS.len()][..40]);
        }
        match survive(&blob) {
            true => machines += 1,
            false => errors += 1,
        }
    }
    // Both answers must have occurred, or the test shows nothing.
    assert!(machines > 1000 && errors > 1000, "{machines} machines, {errors} errors");
}

#[test]
fn odd_words() {
    const ODD: &[u32] = &[0, 1, 2, 3, 4, 9, 40, 0x8000_0000, u32::MAX - 3, u32::MAX];
    let try_each = |number: usize, blob: &[u8]| {
        for at in (0..blob.len() - 3).step_by(4) {
            // Half of the values in each of the two blobs, which have most of their words in common.
            for odd in ODD.iter().skip(number).step_by(2) {
                let mut changed = blob.to_vec();
                changed[at..at + 4].copy_from_slice(&odd.to_be_bytes());
                survive(&changed);
            }
        }
    };
    // By far the longest test of this file, so it runs on two CPUs.
    std::thread::scope(|scope| {
        for (number, blob) in BLOBS[..2].iter().enumerate() {
            scope.spawn(move || try_each(number, blob));
        }
    });
}

#[test]
fn removed_and_repeated_words() {
    let mut random = Random(0x5eed_0002);
    for round in 0..10_000 {
        let mut blob = BLOBS[round % BLOBS.len()].to_vec();
        for _ in 0..=random.below(2) {
            let at = 40 + 4 * random.below((blob.len() - 120) / 4);
            let to = at + 4 * random.below(8);
            match random.below(2) {
                0 => drop(blob.drain(at..to)),
                _ => blob.splice(at..at, BLOBS[round % BLOBS.len()][at..to].to_vec()).for_each(drop),
            }
        }
        let len = blob.len();
        set_size(&mut blob, len);
        survive(&blob);
    }
}

/// A tree of the largest size: the least machine's tree, with `body` repeated in its root, and then `end` as often.
fn largest(body: &[u8], end: &[u8]) -> Vec<u8> {
    let least = machine().blob();
    let word = |i: usize| u32::from_be_bytes(least[4 * i..][..4].try_into().unwrap()) as usize;
    let (off_struct, off_strings) = (word(2), word(3));
    // `tail` is the root's END_NODE and END.
    let (head, tail) = (&least[off_struct..off_strings - 8], &least[off_strings - 8..]);
    let room = platform::MAX_SIZE - least.len();
    let times = room / (body.len() + end.len());
    let mut blob = [&least[..off_struct], head].concat();
    blob.extend(body.repeat(times));
    blob.extend(end.repeat(times));
    let off_strings = blob.len() + 8;
    blob.extend(tail);
    let len = blob.len();
    set_size(&mut blob, len);
    blob[12..16].copy_from_slice(&(off_strings as u32).to_be_bytes());
    blob[36..40].copy_from_slice(&((off_strings - off_struct) as u32).to_be_bytes());
    blob
}

#[test]
fn the_deepest_and_the_widest_tree() {
    const BEGIN_A: &[u8] = &[0, 0, 0, 1, b'a', 0, 0, 0];
    const END: &[u8] = &[0, 0, 0, 2];
    const NOP: &[u8] = &[0, 0, 0, 4];
    assert!(parse(&largest(BEGIN_A, END)).is_ok());
    assert!(parse(&largest(&[BEGIN_A, END].concat(), &[])).is_ok());
    assert!(parse(&largest(NOP, &[])).is_ok());
    assert!(parse(&largest(BEGIN_A, &[])).is_err());
    assert!(parse(&largest(END, &[])).is_err());
}

#[test]
fn many_regions_behind_many_ranges() {
    const N: u32 = 30_000;
    let ranges: Vec<u32> = (0..N).flat_map(|i| [i * 16, 1, i * 16, 16]).collect();
    let banks: Vec<u32> = (0..N).flat_map(|i| [i * 16, 16]).collect();
    let bank = Node::new().text("device_type", "memory").cells("reg", &banks);
    let bus = Node::new()
        .cells("#address-cells", &[1])
        .cells("#size-cells", &[1])
        .cells("ranges", &ranges)
        .with("memory@0", bank);
    let error = parse(&machine().with("bus", bus).blob()).unwrap_err();
    assert_eq!(error, DtbError::Unreachable { node: "memory node", base: 64 * 16 });
}
