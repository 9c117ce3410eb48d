//! The rows of the table of costs: the kernel's figures, Linux's figures, and the budgets.

use anyhow::{Context, Result, bail};

const LINUX: &str = include_str!("../../linux-costs.txt");
pub const BUDGETS: &str = include_str!("../../budgets.txt");

/// The rows that the kernel and then the programs of `tests/bench` must print, in this order.
const KEYS: [&str; 37] = [
    "dbg_entry_exit",
    "brk_bare",
    "kprobe_sim",
    "kprobe_ool",
    "kprobe_pre_post",
    "kretprobe",
    "probe_optimised",
    "kprobe_register_first",
    "kprobe_ool_1000",
    "kprobe_register_50000",
    "kprobe_ool_50000",
    "hw_bp_kernel",
    "hw_bp_kernel_full",
    "hw_wp_kernel",
    "hw_wp_kernel_full",
    "slot_install_first",
    "slot_install",
    "slot_install_wp",
    "slot_install_full",
    "slot_remove",
    "irq_to_handler",
    "irq_to_handler_armed",
    "irq_self_ipi",
    "resched_after_step",
    "wake_in_delivery",
    "boot",
    "boot_to_user",
    "null_syscall",
    "user_brk_signal",
    "page_fault",
    "fork_exit",
    "context_switch",
    "hw_bp_user",
    "hw_wp_user",
    "context_switch_slots",
    "ptrace_step",
    "ptrace_wp",
];

/// A row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub key: String,
    /// The cost in guest instructions.
    pub insns: u64,
    /// Guest instructions of the same operation on Linux, if Linux has it.
    pub linux: Option<u64>,
    /// The budget: the most guest instructions that the operation may cost, if it has one.
    pub budget: Option<u64>,
}

/// Reads the lines `bench: KEY INSNS`.
///
/// # Errors
/// When a row is missing, or an unknown one is there.
pub fn read(console: &str) -> Result<Vec<Row>> {
    let mut rows: Vec<Row> = Vec::new();
    for line in console.lines().filter_map(|line| line.strip_prefix("bench: ")) {
        let (key, insns) =
            line.trim().split_once(' ').with_context(|| format!("a row without a figure: {line}"))?;
        let insns = insns.trim().parse().with_context(|| format!("no number: {line}"))?;
        rows.push(Row { key: key.into(), insns, linux: number(LINUX, key), budget: None });
    }
    let keys: Vec<_> = rows.iter().map(|row| row.key.as_str()).collect();
    if keys != KEYS {
        bail!("the kernel measured {keys:?} where {KEYS:?} are due");
    }
    let budgets: Vec<_> = rows.iter().map(|row| budget(&rows, &row.key)).collect();
    rows.iter_mut().zip(budgets).for_each(|(row, budget)| row.budget = budget);
    Ok(rows)
}

/// The value of a line `KEY VALUE` of a table.
pub fn value<'a>(table: &'a str, key: &str) -> Option<&'a str> {
    let lines = table.lines().filter(|line| !line.starts_with('#'));
    Some(lines.filter_map(|line| line.split_once(' ')).find(|(name, _)| *name == key)?.1.trim())
}

/// The value of a line `KEY NUMBER` of a table.
pub fn number(table: &str, key: &str) -> Option<u64> {
    value(table, key)?.parse().ok()
}

fn budget(rows: &[Row], key: &str) -> Option<u64> {
    match value(BUDGETS, key)?.strip_prefix('=') {
        Some(other) => {
            let (times, other) = other.split_once('*').unwrap_or(("1", other));
            Some(times.parse::<u64>().ok()? * rows.iter().find(|row| row.key == other)?.insns)
        }
        None => number(BUDGETS, key),
    }
}

impl Row {
    /// The ratio to Linux, with two decimal places, or with as many as it takes to show two digits.
    pub fn ratio(&self) -> Option<String> {
        let ratio = self.insns as f64 / self.linux? as f64;
        let mut places = 2;
        while places < 9 && ratio > 0.0 && ratio < 10f64.powi(1 - places) {
            places += 1;
        }
        Some(format!("{ratio:.*}", places as usize))
    }

    /// Whether the budget holds. True if the row has none.
    pub fn holds(&self) -> bool {
        self.budget.is_none_or(|budget| self.insns <= budget)
    }
}

#[cfg(test)]
pub mod tests {
    use super::super::counts::Class;
    use super::*;

    /// The console of a kernel that takes `insns(KEY)` instructions for the row KEY.
    pub fn console(insns: impl Fn(&str) -> u64) -> String {
        KEYS.map(|key| format!("bench: {key} {}\r\n", insns(key))).concat()
    }

    #[test]
    fn small_ratios_keep_two_digits() {
        let ratio =
            |insns| Row { key: String::new(), insns, linux: Some(1000), budget: None }.ratio().unwrap();
        assert_eq!(
            [ratio(2), ratio(12), ratio(99), ratio(100), ratio(1500)],
            ["0.0020", "0.012", "0.099", "0.10", "1.50"]
        );
        assert_eq!(ratio(0), "0.00");
    }

    #[test]
    fn what_is_not_all_rows_is_refused() {
        let whole = console(|_| 7);
        assert_eq!(read(&format!("noise\n{whole}")).unwrap().len(), KEYS.len());
        for wrong in [
            String::new(),
            "bench: boot\n".into(),
            whole.replace("boot 7", "boot x"),
            whole.replace("bench: boot 7\r\n", ""),
            format!("{whole}bench: boot 7\n"),
            format!("{whole}bench: unknown 7\n"),
        ] {
            assert!(read(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn linux_has_the_rows_that_are_compared() {
        let keys = "dbg_entry_exit brk_bare kprobe_sim kprobe_ool kprobe_pre_post kretprobe hw_bp_kernel hw_wp_kernel irq_to_handler \
                    irq_self_ipi boot boot_to_user null_syscall user_brk_signal hw_bp_user \
                    hw_wp_user ptrace_step ptrace_wp";
        assert!(keys.split(' ').all(|key| number(LINUX, key).is_some()));
    }

    #[test]
    fn every_budget_is_of_a_row_and_can_be_broken() {
        let budgets = BUDGETS.lines().filter(|line| !line.starts_with('#'));
        let keys = budgets.filter_map(|line| line.split_once(' ')).map(|(key, _)| key);
        // A name with a dot is the budget of a count.
        let (counts, keys): (Vec<_>, Vec<_>) = keys.partition(|key| key.contains('.'));
        assert!(keys.len() >= 7 && keys.iter().all(|key| KEYS.contains(key)));
        let is_class = |name: &str| Class::ALL.iter().any(|class| class.name() == name);
        let is_count = |name: &&str| {
            name.split_once('.').is_some_and(|(key, class)| KEYS.contains(&key) && is_class(class))
        };
        assert!(!counts.is_empty() && counts.iter().all(is_count));
        assert!(counts.iter().all(|name| number(BUDGETS, name).is_some()));
        for key in keys {
            let rows = |more: u64| read(&console(|row| if row == key { more } else { 100 })).unwrap();
            let row = |more| rows(more).into_iter().find(|row| row.key == key).unwrap();
            let most = row(1).budget.unwrap();
            assert!(row(most).holds() && !row(most + 1).holds(), "{key}");
        }
    }

    #[test]
    fn a_budget_may_be_another_row() {
        let rows = read(&console(|key| if key == "hw_bp_kernel" { 289 } else { 200 })).unwrap();
        let budget = |key: &str| rows.iter().find(|row| row.key == key).unwrap().budget;
        assert_eq!(budget("hw_bp_kernel_full"), Some(289));
        assert_eq!(budget("kprobe_register_50000"), Some(2 * 200));
        assert_eq!((budget("hw_bp_kernel"), budget("boot")), (Some(290), None));
    }
}
