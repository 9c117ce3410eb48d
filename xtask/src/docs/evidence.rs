//! Which tests, scenarios and searches fail without a rule, read from the source: a test's name begins with the rules that it is about, a file of
//! tests names its rules at its head, a scenario of the sweep in comments, a test that ends the kernel in what it expects of the report; and the
//! model's tests list by which rule each change of the table is found.

use crate::paths::root;
use anyhow::{Context, Result};
use model::properties::PROPERTIES;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The folders that have tests.
const FOLDERS: [&str; 7] = ["kernel", "linux", "probe", "protocols", "rules", "slots", "tests"];
/// The scenarios.
const SWEEP: &str = "tests/sweep";
/// The tests that must end the kernel.
const DEATHS: &str = "tests/deaths.rs";
/// The list of changes of the table, by which rule the model finds each.
const MUTANTS: &str = "rules/model/tests/mutants.rs";

/// What there is for each rule, by its name in capitals.
#[derive(Debug, Default)]
pub struct Evidence {
    /// Files from the repository's root, each with the names of its tests.
    tests: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
    /// Files and folders of tests that are about the rule as a whole.
    files: BTreeMap<String, BTreeSet<String>>,
    /// Tests that must end the kernel.
    deaths: BTreeMap<String, BTreeSet<String>>,
    /// Scenarios of the sweep.
    scenarios: BTreeMap<String, BTreeSet<String>>,
    /// Changes of cells, each with the rule that it breaks in the model.
    changes: Vec<(String, String)>,
}

impl Evidence {
    /// Reads all of it.
    ///
    /// # Errors
    /// When a source cannot be read, or has not the form that this module knows.
    pub fn read() -> Result<Self> {
        let mut evidence = Self::default();
        for folder in FOLDERS {
            for path in sources(&root().join(folder))? {
                let text = std::fs::read_to_string(&path)?;
                let file = path.strip_prefix(root())?.display().to_string();
                for (rule, test) in tests(&text) {
                    evidence.tests.entry(rule).or_default().entry(file.clone()).or_default().insert(test);
                }
                if file.starts_with(SWEEP) {
                    for (rule, scenario) in scenarios(&text) {
                        evidence.scenarios.entry(rule).or_default().insert(scenario);
                    }
                } else if file == DEATHS {
                    for (rule, death) in deaths(&text) {
                        evidence.deaths.entry(rule).or_default().insert(death);
                    }
                }
                // The scenarios of a folder are made from parts, which have the names.
                let is_folder_of_sweep = file.starts_with(SWEEP) && file.matches('/').count() > 2;
                if is_folder_of_sweep
                    || !file.starts_with(SWEEP) && file.starts_with("tests/")
                    || text.contains("#[test]")
                {
                    let whole = file.strip_suffix("/mod.rs").unwrap_or(&file);
                    for rule in named(&head(&text)) {
                        evidence.files.entry(rule).or_default().insert(whole.to_owned());
                    }
                }
            }
        }
        let mutants = std::fs::read_to_string(root().join(MUTANTS)).context(MUTANTS)?;
        evidence.changes = changes(&mutants).context("the list FOUND of the model's tests")?;
        Ok(evidence)
    }

    /// The lines of the page about a rule; empty if there is nothing.
    pub fn lines(&self, rule: &str) -> Vec<String> {
        let key = rule.to_uppercase();
        let mut lines = Vec::new();
        for (file, tests) in self.tests.get(&key).into_iter().flatten() {
            lines.push(format!("- [{file}](../{file}): {}", code(tests)));
        }
        if let Some(files) = self.files.get(&key) {
            let links: Vec<_> = files.iter().map(|file| format!("[{file}](../{file})")).collect();
            lines.push(format!("- tests in {}", links.join(", ")));
        }
        if let Some(deaths) = self.deaths.get(&key) {
            lines.push(format!("- tests that must end the kernel: {}", code(deaths)));
        }
        if let Some(scenarios) = self.scenarios.get(&key) {
            lines.push(format!("- scenarios of the sweep: {}", code(scenarios)));
        }
        let properties: BTreeSet<_> = PROPERTIES
            .iter()
            .filter(|property| property.rule == rule)
            .map(|property| property.name)
            .collect();
        if !properties.is_empty() {
            lines.push(format!("- properties of the model: {}", code(&properties)));
        }
        let own = |(cell, _): &&(String, String)| cell.split('.').next() == Some(rule);
        let breaks = grouped(self.changes.iter().filter(own).map(|(cell, broken)| (broken, cell)));
        if !breaks.is_empty() {
            let each = breaks.iter().map(|(broken, cells)| format!("{} with {}", said(broken), code(cells)));
            lines.push(format!(
                "- changed in the model, these do not hold: {}",
                each.collect::<Vec<_>>().join("; ")
            ));
        }
        let broken_by: BTreeSet<_> =
            self.changes.iter().filter(|(_, broken)| broken == rule).map(|(cell, _)| cell).collect();
        if !broken_by.is_empty() {
            lines.push(format!("- in the model it does not hold with {}", code(&broken_by)));
        }
        lines
    }
}

/// What the model's property `M` is called in the page.
fn said(rule: &str) -> &str {
    if rule == "M" { "what the row says of its context" } else { rule }
}

fn grouped<'a>(
    pairs: impl Iterator<Item = (&'a String, &'a String)>,
) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
    let mut groups: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (key, value) in pairs {
        groups.entry(key).or_default().insert(value);
    }
    groups
}

fn code<T: AsRef<str> + Ord>(names: &BTreeSet<T>) -> String {
    names.iter().map(|name| format!("`{}`", name.as_ref())).collect::<Vec<_>>().join(", ")
}

/// All sources in a folder and below it.
fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() && !path.ends_with("target") {
            found.extend(sources(&path)?);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// A rule's name in capitals, if the word is one.
fn rule(word: &str) -> Option<String> {
    let (letter, number) = word.split_at_checked(1)?;
    let digits = number.strip_suffix(['b', 'B']).unwrap_or(number);
    let is_rule = "IMHKXTimhkxt".contains(letter)
        && (1..=2).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_rule.then(|| word.to_uppercase())
}

/// The functions whose names begin with rules, each with each of its rules.
fn tests(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for line in text.lines() {
        let line = line.trim_start();
        let line = line.strip_prefix("pub ").unwrap_or(line);
        // A test takes nothing. Functions that it calls mostly do.
        let Some((name, _)) = line.strip_prefix("fn ").and_then(|rest| rest.split_once("()")) else {
            continue;
        };
        let rules = name.split('_').map_while(rule);
        found.extend(rules.map(|rule| (rule, name.to_owned())));
    }
    found
}

/// The rules in a comment: `M8`, `M1 to M5`. A cell, such as `M8.ss`, is an example of a cell.
fn named(comment: &str) -> BTreeSet<String> {
    let words = comment
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '.')
        .map(|word| word.trim_end_matches('.'));
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    let mut found: BTreeSet<String> = words.iter().filter_map(|word| rule(word)).collect();
    for range in words.windows(3) {
        let [from, "to", to] = range else { continue };
        let (Some(first), Some(last)) = (rule(from), rule(to)) else { continue };
        let number = |rule: &str| rule[1..].parse::<u32>().ok();
        if let (Some(a), Some(b)) = (number(&first), number(&last)) {
            found.extend((a..=b).map(|number| format!("{}{number}", &first[..1])));
        }
    }
    found
}

/// The comment at a file's head.
fn head(text: &str) -> String {
    text.lines().map_while(|line| line.strip_prefix("//!")).collect::<Vec<_>>().join(" ")
}

/// The tests that must end the kernel, each with the rules that the report must say are in force.
fn deaths(text: &str) -> Vec<(String, String)> {
    let death = |line: &str| {
        let (name, expect) = line.trim().split_once(" [")?;
        let (rules, _) = expect.split_once("rule ")?.1.split_once(" in force")?;
        Some((rule(rules)?, name.to_owned()))
    };
    text.lines().filter_map(death).collect()
}

/// The scenarios of a file, each with each of its rules: those in the comments above it and in it, and those in the comment at the head of the
/// file, which are all scenarios'.
fn scenarios(text: &str) -> Vec<(String, String)> {
    let of_all = named(&head(text));
    let (mut found, mut above, mut inside) = (Vec::new(), BTreeSet::new(), false);
    let mut name = None;
    for line in text.lines().map(str::trim) {
        if let Some(comment) = line.strip_prefix("// ") {
            above.extend(named(comment));
        } else if line == "Scenario {" {
            (inside, name) = (true, None);
        } else if let (true, Some(rest)) = (inside, line.strip_prefix("name: \"")) {
            name = rest.split('"').next().map(str::to_owned);
        } else if inside && line.starts_with("..Scenario::") {
            let rules = above.union(&of_all);
            found.extend(
                name.take()
                    .into_iter()
                    .flat_map(|name| rules.clone().map(move |rule| (rule.clone(), name.clone()))),
            );
            inside = false;
            above.clear();
        } else if !inside && !line.is_empty() {
            above.clear();
        }
    }
    found
}

/// The pairs of the list `FOUND`.
fn changes(text: &str) -> Option<Vec<(String, String)>> {
    let (_, rest) = text.split_once("const FOUND: &[(&str, &str)] = &[")?;
    let (list, _) = rest.split_once("];")?;
    let pair = |line: &str| {
        let (cell, rule) = line.trim().strip_prefix("(\"")?.strip_suffix("\"),")?.split_once("\", \"")?;
        Some((cell.to_owned(), rule.to_owned()))
    };
    let pairs: Vec<_> = list.lines().filter_map(pair).collect();
    (!pairs.is_empty()).then_some(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rules::invariants::INVARIANTS;
    use rules::table::TABLE;

    fn pair(a: &str, b: &str) -> (String, String) {
        (a.into(), b.into())
    }

    #[test]
    fn a_test_has_the_rules_that_its_name_begins_with() {
        let text = "    fn m2_m12b_handlers_h1() -> Outcome {\nfn m8_helper(a: u8) {\npub fn i1_returns() {\nfn mask_is() {\nfn m_1() {\n";
        assert_eq!(
            tests(text),
            [
                pair("M2", "m2_m12b_handlers_h1"),
                pair("M12B", "m2_m12b_handlers_h1"),
                pair("I1", "i1_returns"),
            ]
        );
    }

    #[test]
    fn a_scenario_has_the_rules_of_its_comments_and_of_the_files_head() {
        let text = "//! Steps (X2), M1 to M3, not M8.ss.\nfn x() {} // H1\n// It faults (M7).\nScenario {\n name: \"one\",\n // And K5.\n ..Scenario::EMPTY\n},\nScenario {\n \
                    name: \"two\",\n ..Scenario::EMPTY\n},\n";
        let of = |name: &str| -> Vec<_> {
            scenarios(text).into_iter().filter(|(_, own)| own == name).map(|(rule, _)| rule).collect()
        };
        assert_eq!(of("one"), ["K5", "M1", "M2", "M3", "M7", "X2"]);
        assert_eq!(of("two"), ["M1", "M2", "M3", "X2"]);
    }

    #[test]
    fn the_models_list_is_read_whole() {
        let evidence = Evidence::read().unwrap();
        assert!(evidence.changes.contains(&pair("M8.ss=keep", "I2")), "{:?}", evidence.changes);
        let text = std::fs::read_to_string(root().join(MUTANTS)).unwrap();
        let (_, rest) = text.split_once("const FOUND").unwrap();
        let (list, _) = rest.split_once("];").unwrap();
        assert_eq!(evidence.changes.len(), list.matches("(\"M").count());
    }

    #[test]
    fn a_test_that_ends_the_kernel_has_the_rule_that_is_in_force_then() {
        let text = "    serror [\"panic: SError\", \"rule M16 in force\", M7];\n    other [\"rule M7\"];\n";
        assert_eq!(deaths(text), [pair("M16", "serror")]);
    }

    /// A rule without any needs a test, or a reason here.
    #[test]
    fn each_rule_has_something_that_fails_without_it() {
        let evidence = Evidence::read().unwrap();
        let ids = TABLE.iter().map(|row| row.id.name()).chain(INVARIANTS.iter().map(|rule| rule.id));
        let bare: Vec<_> = ids.filter(|id| evidence.lines(id).is_empty()).collect();
        // I10 is about references that outlive a switch of CPUs. What goes wrong then breaks T1, T3 or X1.
        assert_eq!(bare, ["I10"]);
    }
}
