//! Which expensive instructions each row's operation executes. Nothing here boots: `sampled` does.
//!
//! A row is the difference of the medians of two series of samples. Of each series, a few samples are in QEMU's log. A sample whose
//! cost is the median stands for the series, and the counts of the row are the difference of two such samples. So a row of counts is
//! as many instructions as the row of costs says; otherwise the log or the samples were misunderstood.

use super::counts::{Class, Counts};
use super::rows::{self, BUDGETS, Row};
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;

const LINUX: &str = include_str!("../../linux-counts.txt");

/// Rows that begin at the vector, because an interrupt comes at an instant and not at an instruction.
const FROM_VECTOR: [&str; 2] = ["irq_to_handler", "irq_to_handler_armed"];

/// Rows whose operation switches threads, and so takes one of several ways: what the scheduler does depends on the time at which the operation
/// begins, which is not the same in two boots of different modes. The samples may lack the way of the median, and then the nearest one
/// stands for it.
const SEVERAL_WAYS: [&str; 5] =
    ["fork_exit", "context_switch", "context_switch_slots", "ptrace_step", "ptrace_wp"];

/// Whether a sample of a row may stand for another number of instructions: within a twentieth, for rows of several ways.
fn stands_for(key: &str, insns: u64, median: u64) -> bool {
    let most = if SEVERAL_WAYS.contains(&key) { median / 20 } else { 0 };
    insns.abs_diff(median) <= most
}

/// MRS X0, CNTVCT_EL0.
const READ_COUNTER: u32 = 0xd53b_e040;
const ISB: u32 = 0xd503_3fdf;
const NOP: u32 = 0xd503_201f;

/// A sample: what was executed between its marks.
#[derive(Clone, Debug)]
pub struct Sample {
    pub series: u64,
    /// The instructions.
    pub words: Vec<u32>,
    /// Where exceptions were taken: how many instructions had been executed before each.
    pub taken: Vec<usize>,
}

impl Sample {
    /// What was executed from the first read of the counter to the last one.
    fn between_reads(&self) -> Option<Counts> {
        let mut reads = (0..self.words.len()).filter(|&at| self.reads_counter(at));
        let first = reads.next()?;
        Some(self.counts(first, reads.next_back()?, first + 1))
    }

    /// What was executed from the first exception to the next read of the counter. When the timer is due, QEMU executes one more
    /// instruction before the exception; the row's figure has it, too.
    fn behind_vector(&self) -> Option<Counts> {
        let first = *self.taken.first()?;
        let read = (first..self.words.len()).find(|&at| self.reads_counter(at))?;
        Some(self.counts(first.checked_sub(1)?, read, first))
    }

    fn reads_counter(&self, at: usize) -> bool {
        self.words[at] & !31 == READ_COUNTER
    }

    /// The instructions from `first` to the one before `read`, and the exceptions before the instructions from `taken` to `read`. The
    /// ISB in front of the last read keeps that read in its place: it is an instruction of the figure, and no ISB of the operation.
    fn counts(&self, first: usize, read: usize, taken: usize) -> Counts {
        let exceptions = self.taken.iter().filter(|at| (taken..=read).contains(*at)).count();
        let mut words = self.words[first..read].to_vec();
        if let Some(last) = words.last_mut().filter(|last| **last == ISB) {
            *last = NOP;
        }
        Counts::of(&words, exceptions)
    }
}

/// A row of the table of counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    pub key: String,
    pub counts: Counts,
    /// The same operation on Linux, if Linux has it and was measured.
    pub linux: Option<Counts>,
}

impl Counted {
    /// The budgets that do not hold, as `KEY.CLASS`: lines of the file of budgets with such a name have the most that a count may be.
    pub fn over(&self) -> Vec<String> {
        let names = Class::ALL.map(|class| (class, format!("{}.{}", self.key, class.name())));
        let over = |(class, name): &(Class, String)| {
            rows::number(BUDGETS, name).is_some_and(|most| self.counts.get(*class) > most)
        };
        names.into_iter().filter(over).map(|(_, name)| name).collect()
    }
}

/// A line `series: KEY NUMBER MEDIAN NUMBER MEDIAN PARTS`: a row is the difference of the medians of two series, divided by PARTS.
struct Line<'a> {
    key: &'a str,
    /// The number and the median of the series with the operation, and of the series without it. The number 0 stands for no series.
    with: (u64, u64),
    without: (u64, u64),
    parts: u64,
}

fn lines(console: &str) -> Result<Vec<Line<'_>>> {
    let read = |line| {
        let fields: Vec<&str> = str::split_whitespace(line).collect();
        let &[key, ref numbers @ ..] = &fields[..] else { bail!("a series without a row: {line}") };
        let numbers: Vec<u64> = numbers.iter().map(|number| number.parse()).collect::<Result<_, _>>()?;
        match numbers[..] {
            [with, with_median, without, without_median, parts] if parts != 0 => {
                Ok(Line { key, with: (with, with_median), without: (without, without_median), parts })
            }
            _ => bail!("not the numbers of two series: {line}"),
        }
    };
    console.lines().filter_map(|line| line.strip_prefix("series: ")).map(read).collect()
}

/// The counts of all rows of a boot with samples. `console` is that boot's, and says from which series each row is. `measured` is the
/// console of the boots that have measured the rows, and has the medians.
///
/// # Errors
/// When a line cannot be read, or a series has no sample with the cost of the median.
pub fn read(console: &str, samples: &[Sample], measured: &str) -> Result<Vec<Counted>> {
    let measured = lines(measured)?;
    let mut rows = Vec::new();
    for Line { key, with, without, parts } in lines(console)? {
        let row = measured.iter().find(|row| row.key == key);
        let row = row.with_context(|| format!("{key} has samples, and was not measured"))?;
        let with = typical(key, samples, with.0, row.with.1)?;
        let without = match without.0 {
            0 => Counts::default(),
            number => typical(key, samples, number, row.without.1)?,
        };
        let counts = with
            .minus(&without)
            .with_context(|| format!("{key}: {with:?} with the operation, {without:?} without it"))?;
        rows.push(Counted { key: key.into(), counts: counts.part(parts), linux: linux(key) });
    }
    Ok(rows)
}

/// The counts of the first sample of a series that cost the median, or as much as may stand for it.
fn typical(key: &str, samples: &[Sample], series: u64, median: u64) -> Result<Counts> {
    let counts = samples.iter().filter(|sample| sample.series == series).filter_map(|sample| {
        if FROM_VECTOR.contains(&key) { sample.behind_vector() } else { sample.between_reads() }
    });
    let all: Vec<_> = counts.collect();
    let nearest = all.iter().min_by_key(|counts| counts.insns.abs_diff(median)).copied();
    nearest.filter(|counts| stands_for(key, counts.insns, median)).with_context(|| {
        let insns: Vec<_> = all.iter().map(|counts| counts.insns).collect();
        format!("{key}: the median of series {series} is {median}, but its logged samples have {insns:?} instructions")
    })
}

fn linux(key: &str) -> Option<Counts> {
    Counts::read(rows::value(LINUX, key)?)
}

/// Checks that the counts are of the operations whose costs the rows have.
///
/// # Errors
/// When a row of counts has no row, or another number of instructions.
pub fn consistent(counted: &[Counted], rows: &[Row]) -> Result<()> {
    let rows: BTreeMap<_, _> = rows.iter().map(|row| (row.key.as_str(), row.insns)).collect();
    for Counted { key, counts, .. } in counted {
        let insns = rows.get(key.as_str()).with_context(|| format!("counts of {key}, which is no row"))?;
        if !stands_for(key, counts.insns, *insns) {
            bail!("{key}: {insns} instructions by the counter, {} by QEMU's log", counts.insns);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: u32 = READ_COUNTER | 8;
    const ERET: u32 = 0xd69f_03e0;
    const MSR_ELR: u32 = 0xd518_4020;

    /// A sample of a series: `inside` between two reads of the counter.
    fn sample(series: u64, inside: &[u32], taken: &[usize]) -> Sample {
        let words = [&[NOP, ISB, READ][..], inside, &[ISB, READ, NOP]].concat();
        Sample { series, words, taken: taken.to_vec() }
    }

    fn only(line: &str, samples: &[Sample]) -> Result<Counts> {
        let console = format!("noise\nseries: {line}\n");
        Ok(read(&console, samples, &console)?.remove(0).counts)
    }

    fn classes(counts: Counts, classes: &[Class]) -> Vec<u64> {
        classes.iter().map(|&class| counts.get(class)).collect()
    }

    #[test]
    fn a_row_is_the_difference_of_typical_samples() {
        let with = [NOP, MSR_ELR, ISB, ERET];
        let samples = [
            sample(1, &[NOP], &[]),
            sample(2, &[NOP, NOP, NOP, NOP, NOP], &[]),
            sample(2, &with, &[4]),
            sample(2, &[NOP; 4], &[]),
        ];
        // Two more than `with` and `[NOP]`: the first read, and the ISB of the last one.
        let counts = only("key 2 6 1 3 1", &samples).unwrap();
        use Class::{Eret, Exception, Isb, Other};
        assert_eq!(counts.insns, 3);
        assert_eq!(classes(counts, &[Exception, Eret, Isb, Other]), [1, 1, 1, 1]);
        let whole = only("key 2 6 0 0 2", &samples).unwrap();
        assert_eq!((whole.insns, whole.get(Isb)), (3, 1));
    }

    #[test]
    fn exceptions_before_the_first_read_and_after_the_last_do_not_count() {
        for (taken, exceptions) in [(2, 0), (3, 1), (6, 1), (7, 0)] {
            let samples = [sample(1, &[NOP, NOP], &[taken])];
            let counts = only("key 1 4 0 0 1", &samples).unwrap();
            assert_eq!(counts.get(Class::Exception), exceptions, "{taken}");
        }
    }

    #[test]
    fn an_interrupt_counts_from_its_vector_on() {
        // The counter is read, the wait is interrupted behind three instructions of it, and the handler reads the counter.
        let words = vec![READ, ISB, ISB, NOP, MSR_ELR, ISB, READ, ISB, READ];
        let samples = [Sample { series: 1, words, taken: vec![4] }];
        let counts = only("irq_to_handler 1 3 0 0 1", &samples).unwrap();
        use Class::{Exception, Isb, Other};
        assert_eq!((counts.insns, classes(counts, &[Exception, Isb, Other])), (3, vec![1, 0, 1]));
    }

    #[test]
    fn a_sample_must_cost_the_median() {
        let samples = [sample(1, &[NOP], &[])];
        let error = only("key 1 4 0 0 1", &samples).unwrap_err().to_string();
        assert!(error.contains("the median of series 1 is 4") && error.contains("[3]"), "{error}");
        for wrong in ["key 2 3 0 0 1", "key 1 3 0 0 0", "key 1 3 0 0", "key 1 x 0 0 1", "", "key 1 3 2 3 1"] {
            assert!(only(wrong, &samples).is_err(), "{wrong}");
        }
        // Of several ways the nearest one.
        let ways = [sample(1, &[NOP; 100], &[]), sample(1, &[NOP; 104], &[]), sample(1, &[NOP; 110], &[])];
        assert_eq!(only("context_switch 1 103 0 0 1", &ways).unwrap().insns, 102);
        assert_eq!(only("context_switch 1 116 0 0 1", &ways).unwrap().insns, 112);
        assert!(
            only("context_switch 1 120 0 0 1", &ways).is_err() && only("key 1 103 0 0 1", &ways).is_err()
        );
        assert!(read("series: key 1 3 0 0 1", &samples, "series: other 1 3 0 0 1").is_err());
        // More without the operation than with it.
        let samples = [sample(1, &[NOP], &[]), sample(2, &[ISB], &[])];
        assert!(only("key 1 3 2 3 1", &samples).is_err());
    }

    #[test]
    fn the_medians_are_those_of_the_measurement() {
        let samples = [sample(5, &[NOP], &[]), sample(5, &[ISB, NOP], &[])];
        let rows = read("series: key 5 3 0 0 1", &samples, "series: other 1 9 0 0 1\nseries: key 9 4 0 0 1");
        let counts = rows.unwrap()[0].counts;
        assert_eq!((counts.insns, counts.get(Class::Isb)), (4, 1));
    }

    #[test]
    fn counts_belong_to_their_row() {
        let rows = rows::read(&rows::tests::console(|_| 7)).unwrap();
        let counted = |key: &str, insns: usize| Counted {
            key: key.into(),
            counts: Counts::of(&vec![NOP; insns], 0),
            linux: None,
        };
        assert!(consistent(&[counted("boot", 7), counted("brk_bare", 7)], &rows).is_ok());
        assert!(consistent(&[counted("boot", 8)], &rows).is_err());
        assert!(consistent(&[counted("unknown", 7)], &rows).is_err());
    }

    #[test]
    fn a_count_over_its_budget_is_named() {
        let counted = |isbs| Counted {
            key: "hw_bp_kernel".into(),
            counts: Counts::of(&vec![ISB; isbs], 0),
            linux: None,
        };
        assert_eq!(counted(2).over(), [""; 0]);
        assert_eq!(counted(3).over(), ["hw_bp_kernel.isb"]);
    }

    #[test]
    fn linux_has_every_class() {
        let names = LINUX.lines().find_map(|line| line.strip_prefix("# key ")).unwrap();
        assert_eq!(names.split_whitespace().collect::<Vec<_>>(), Class::ALL.map(Class::name));
        let lines: Vec<_> = LINUX.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(lines.len() >= 15);
        for line in lines {
            assert!(linux(line.split_once(' ').unwrap().0).is_some(), "{line}");
        }
        let hit = linux("hw_bp_kernel").unwrap();
        assert_eq!(classes(hit, &[Class::Isb, Class::Daif, Class::Exclusive]), [2, 6, 10]);
    }
}
