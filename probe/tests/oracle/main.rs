//! The classification against an independent decoder, fARM64.
//!
//! For each word the decoder's answer is turned into the verdict it calls for (`expected`), and compared with `classify`.
//! Where the two differ on purpose, `known` lists the difference with its reason. Any other difference is a failure.
mod expected;
mod known;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use expected::{Verdict, expected};
use known::{KNOWN, known};
use stepwell_probe::{Class, classify};

/// What a comparison of many words came to.
#[derive(Default)]
struct Tally {
    words: u64,
    simulate: u64,
    out_of_line: u64,
    refuse: u64,
    /// Words and first example, by index into `KNOWN`.
    known: BTreeMap<usize, (u64, u32)>,
    /// Words and first example of each kind of unexplained difference, by bits 31 to 21 and the two verdicts.
    unknown: BTreeMap<(u32, String), (u64, u32)>,
}

impl Tally {
    fn word(&mut self, word: u32) {
        let class = classify(word);
        self.words += 1;
        match class {
            Class::Simulate(_) => self.simulate += 1,
            Class::OutOfLine(_) => self.out_of_line += 1,
            Class::Refuse(_) => self.refuse += 1,
        }
        let expected = expected(word);
        if expected.agrees(class) {
            return;
        }
        match known(word, expected, class) {
            Some(index) => self.known.entry(index).or_insert((0, word)).0 += 1,
            None => {
                let difference = (word >> 21, format!("{class:?}, but the decoder says {expected:?}"));
                self.unknown.entry(difference).or_insert((0, word)).0 += 1;
            }
        }
    }

    fn add(&mut self, other: Tally) {
        self.words += other.words;
        self.simulate += other.simulate;
        self.out_of_line += other.out_of_line;
        self.refuse += other.refuse;
        for (index, (count, example)) in other.known {
            self.known.entry(index).or_insert((0, example)).0 += count;
        }
        for (difference, (count, example)) in other.unknown {
            self.unknown.entry(difference).or_insert((0, example)).0 += count;
        }
    }

    fn report(&self) {
        println!(
            "{} words: {} simulated, {} out of line, {} refused",
            self.words, self.simulate, self.out_of_line, self.refuse
        );
        for (index, (count, example)) in &self.known {
            println!("  {count:>10} like {example:#010x}: {}", KNOWN[*index].why);
        }
        for ((_, difference), (count, example)) in self.unknown.iter().take(60) {
            println!("  {count:>10} like {example:#010x}: UNEXPLAINED: {difference}");
        }
        assert!(self.unknown.is_empty(), "{} kinds of unexplained differences", self.unknown.len());
    }
}

/// Compares the words of all `blocks` of 2^`bits` words, on all CPUs.
fn compare(blocks: &[u32], bits: u32, progress: bool) -> Tally {
    const CHUNK_BITS: u32 = 20;
    let chunk_bits = bits.min(CHUNK_BITS);
    let chunks_a_block = 1u64 << (bits - chunk_bits);
    let chunks = blocks.len() as u64 * chunks_a_block;
    let next = AtomicU64::new(0);
    let total = Mutex::new(Tally::default());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                let mut tally = Tally::default();
                loop {
                    let chunk = next.fetch_add(1, Ordering::Relaxed);
                    if chunk >= chunks {
                        break;
                    }
                    let base = u64::from(blocks[(chunk / chunks_a_block) as usize])
                        + ((chunk % chunks_a_block) << chunk_bits);
                    for word in base..base + (1 << chunk_bits) {
                        tally.word(word as u32);
                    }
                    if progress && chunk.is_multiple_of(64) {
                        // Not by `eprint!`, which the harness captures.
                        let _ = write!(std::io::stderr(), "{:3} %\r", chunk * 100 / chunks);
                    }
                }
                total.lock().unwrap().add(tally);
            });
        }
    });
    total.into_inner().unwrap()
}

/// splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[test]
fn four_million_words_of_a_fixed_seed() {
    let mut random = Random(0x5354_4550_5745_4c4c);
    let mut tally = Tally::default();
    for _ in 0..4_000_000 {
        tally.word(random.next() as u32);
    }
    tally.report();
}

/// Every word of the groups in which a verdict is more than "out of line": branches, exceptions and system, exclusives and
/// their neighbours, MOPS.
#[test]
fn every_word_of_the_groups_that_matter() {
    const BLOCKS: [u32; 13] = [
        0xd400_0000,
        0xd500_0000,
        0xd600_0000,
        0xd700_0000,
        0x5500_0000,
        0x7400_0000,
        0x0800_0000,
        0xc800_0000,
        0x1900_0000,
        0x1d00_0000,
        0xd900_0000,
        0xda00_0000,
        0xf300_0000,
    ];
    let tally = compare(&BLOCKS, 24, false);
    assert_eq!(tally.words, 13 << 24);
    tally.report();
}

/// All 2^32 words; `cargo xtask qemu-test --matrix full` does it. By hand, with all differences and why they are there:
/// `cargo test --release -p stepwell-probe --test oracle -- --ignored --nocapture`, a minute or two.
#[test]
#[ignore = "takes minutes; --matrix full runs it in release"]
fn every_word() {
    let tally = compare(&[0], 32, true);
    assert_eq!(tally.words, 1 << 32);
    tally.report();
    for (index, entry) in KNOWN.iter().enumerate() {
        let count = tally.known.get(&index).map_or(0, |k| k.0);
        assert_eq!(count, entry.count, "words that differ because {}", entry.why);
    }
}

#[test]
fn verdicts_that_do_not_agree_are_noticed() {
    use stepwell_probe::Reason;
    assert!(!Verdict::OutOfLine.agrees(classify(0x9000_0000)));
    assert!(!Verdict::Simulate.agrees(classify(0x9100_0421)));
    assert!(!Verdict::Refuse(Reason::Exclusive).agrees(Class::Refuse(Reason::Wait)));
    assert!(Verdict::Refuse(Reason::Exclusive).agrees(Class::Refuse(Reason::Exclusive)));
}
