//! The tables as text, as a part of `docs/costs.md`, and as JSON.

use super::Costs;
use super::counts::{Class, Counts};
use super::rows::Row;
use super::samples::Counted;
use super::stretches::Masked;
use crate::json;
use anyhow::{Context, Result};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Where the tables are, from the repository's root.
pub const PAGE: &str = "docs/costs.md";

/// The page has the tables between these lines.
const BEGIN: &str = "<!-- cargo xtask bench --write -->\n```text\n";
const END: &str = "```\n<!-- end -->\n";

/// The tables as text: costs, counts of expensive instructions, and masked stretches.
pub fn tables(costs: &Costs) -> String {
    [rows(&costs.rows), counts(&costs.counted), stretches(&costs.stretches)].join("\n")
}

/// The table of expensive instructions: for each class our count, and Linux's behind the slash.
fn counts(rows: &[Counted]) -> String {
    let mut text = format!("{:<22}", "key");
    Class::ALL.iter().for_each(|class| text += &format!("{:>8}", class.name()));
    text += "\n";
    for row in rows {
        let Counted { key, counts, linux } = row;
        text += &format!("{key:<22}");
        for class in Class::ALL {
            let linux = linux.map_or("-".to_owned(), |linux| linux.get(class).to_string());
            text += &format!("{:>8}", format!("{}/{linux}", counts.get(class)));
        }
        if let over @ [_, ..] = &row.over()[..] {
            text += &format!("  OVER: {}", over.join(", "));
        }
        text += "\n";
    }
    text
}

/// The table of what each operation costs.
pub fn rows(rows: &[Row]) -> String {
    let dash = || "-".to_owned();
    let mut text = format!("{:<22}{:>9}{:>12}{:>9}{:>9}\n", "key", "insns", "linux", "ratio", "budget");
    for row in rows {
        let linux = row.linux.map_or_else(dash, |linux| linux.to_string());
        let ratio = row.ratio().unwrap_or_else(dash);
        let budget = row.budget.map_or_else(dash, |budget| budget.to_string());
        let verdict = match row.budget {
            None => "",
            Some(_) if row.holds() => "  ok",
            Some(_) => "  OVER",
        };
        text += &format!("{:<22}{:>9}{linux:>12}{ratio:>9}{budget:>9}{verdict}\n", row.key, row.insns);
    }
    text
}

/// The table of how long exceptions stay masked on each path.
pub fn stretches(paths: &[Masked]) -> String {
    let mut text =
        format!("{:<27}{:>7}{:>10}{:>10}  {}\n", "path", "insns", "D masked", "I masked", "the latter from");
    for path in paths {
        let longest = &path.longest;
        let (insns, d, i) = (longest.insns, longest.d.insns, longest.i.insns);
        text += &format!("{:<27}{insns:>7}{d:>10}{i:>10}  {}\n", path.name, path.i_from);
    }
    text
}

/// Replaces the tables in the file `page`.
///
/// # Errors
/// When the page cannot be read or written, or lacks the lines between which the tables belong.
pub fn write(page: &Path, costs: &Costs) -> Result<()> {
    let text = std::fs::read_to_string(page).with_context(|| format!("cannot read {}", page.display()))?;
    let text = replaced(&text, &tables(costs))
        .with_context(|| format!("{} lacks the lines between which the tables belong", page.display()))?;
    std::fs::write(page, text).with_context(|| format!("cannot write {}", page.display()))
}

fn replaced(page: &str, tables: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some([before, BEGIN, tables, END, after].concat())
}

/// The tables as JSON: `{"rows":[..],"counts":[..],"stretches":[..]}`.
pub fn json(costs: &Costs) -> String {
    #[derive(Serialize)]
    struct Json<'a> {
        rows: Vec<JsonRow<'a>>,
        counts: Vec<JsonCounts<'a>>,
        stretches: Vec<JsonStretch<'a>>,
    }
    #[derive(Serialize)]
    struct JsonRow<'a> {
        key: &'a str,
        insns: u64,
        linux: Option<u64>,
        ratio: Option<f64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        budget: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        holds: Option<bool>,
    }
    #[derive(Serialize)]
    struct JsonCounts<'a> {
        key: &'a str,
        counts: BTreeMap<&'static str, u64>,
        linux: Option<BTreeMap<&'static str, u64>>,
        over: Vec<String>,
    }
    #[derive(Serialize)]
    struct JsonStretch<'a> {
        path: &'a str,
        insns: u64,
        d: u64,
        d_from: Option<&'a str>,
        i: u64,
        i_from: Option<&'a str>,
    }
    fn row(row: &Row) -> JsonRow<'_> {
        let &Row { ref key, insns, linux, budget } = row;
        let ratio = row.ratio().and_then(|ratio| ratio.parse().ok());
        JsonRow { key, insns, linux, ratio, budget, holds: budget.map(|_| row.holds()) }
    }
    fn classes(counts: &Counts) -> BTreeMap<&'static str, u64> {
        Class::ALL.map(|class| (class.name(), counts.get(class))).into()
    }
    fn counted(row: &Counted) -> JsonCounts<'_> {
        JsonCounts {
            key: &row.key,
            counts: classes(&row.counts),
            linux: row.linux.as_ref().map(classes),
            over: row.over(),
        }
    }
    fn stretch(path: &Masked) -> JsonStretch<'_> {
        let Masked { name, longest, d_from, i_from } = path;
        fn from(text: &str) -> Option<&str> {
            (!text.is_empty()).then_some(text)
        }
        JsonStretch {
            path: name,
            insns: longest.insns,
            d: longest.d.insns,
            d_from: from(d_from),
            i: longest.i.insns,
            i_from: from(i_from),
        }
    }
    json::line(&Json {
        rows: costs.rows.iter().map(row).collect(),
        counts: costs.counted.iter().map(counted).collect(),
        stretches: costs.stretches.iter().map(stretch).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::log::{Longest, Stretch};
    use super::*;

    fn costs() -> Costs {
        let row = |key: &str, insns, linux, budget| Row { key: key.into(), insns, linux, budget };
        let stretch = |insns| Stretch { insns, from: 0 };
        let longest = Longest { runs: 3, insns: 396, d: stretch(0), i: stretch(150) };
        Costs {
            rows: vec![
                row("brk_bare", 97, Some(257), None),
                row("own", 5, None, Some(4)),
                row("good", 5, None, Some(5)),
            ],
            counted: vec![
                Counted {
                    key: "hw_bp_kernel".into(),
                    counts: Counts::of(&[0xd503_3fdf; 3], 2),
                    linux: Counts::read("2 2 2 0 0 6 4 4 10"),
                },
                Counted { key: "own".into(), counts: Counts::default(), linux: None },
            ],
            stretches: vec![Masked {
                name: "irq".into(),
                longest,
                d_from: String::new(),
                i_from: "IRQ vector".into(),
            }],
        }
    }

    #[test]
    fn json_is_as_promised() {
        assert_eq!(
            json(&costs()),
            "{\"rows\":[{\"key\":\"brk_bare\",\"insns\":97,\"linux\":257,\"ratio\":0.38},\
             {\"key\":\"own\",\"insns\":5,\"linux\":null,\"ratio\":null,\"budget\":4,\"holds\":false},\
             {\"key\":\"good\",\"insns\":5,\"linux\":null,\"ratio\":null,\"budget\":5,\"holds\":true}],\
             \"counts\":[{\"key\":\"hw_bp_kernel\",\"counts\":{\"daif\":0,\"debug\":0,\"dmb\":0,\"dsb\":0,\"eret\":0,\"exc\":2,\
             \"excl\":0,\"isb\":3,\"other\":0},\"linux\":{\"daif\":6,\"debug\":4,\"dmb\":0,\"dsb\":0,\"eret\":2,\"exc\":2,\"excl\":10,\
             \"isb\":2,\"other\":4},\"over\":[\"hw_bp_kernel.isb\"]},{\"key\":\"own\",\"counts\":{\"daif\":0,\"debug\":0,\"dmb\":0,\
             \"dsb\":0,\"eret\":0,\"exc\":0,\"excl\":0,\"isb\":0,\"other\":0},\"linux\":null,\"over\":[]}],\
             \"stretches\":[{\"path\":\"irq\",\"insns\":396,\"d\":0,\"d_from\":null,\"i\":150,\"i_from\":\"IRQ vector\"}]}\n"
        );
    }

    #[test]
    fn a_broken_budget_shows() {
        let text = tables(&costs());
        let line = |key| text.lines().find(|line| line.starts_with(key)).unwrap();
        assert!(line("own").ends_with("4  OVER") && line("good").ends_with("5  ok"));
        let counts = text.lines().find(|line| line.starts_with("hw_bp_kernel")).unwrap();
        assert!(
            counts.contains(" 2/2 ")
                && counts.contains(" 0/10")
                && counts.ends_with("OVER: hw_bp_kernel.isb")
        );
        assert!(line("irq").ends_with("396         0       150  IRQ vector"), "{text}");
    }

    #[test]
    fn the_page_keeps_everything_else() {
        let page = format!("a\n{BEGIN}old\n{END}b\n");
        let new = replaced(&page, "new\n").unwrap();
        assert_eq!(new, format!("a\n{BEGIN}new\n{END}b\n"));
        assert_eq!(replaced("a\n", "new\n"), None);
    }

    #[test]
    fn the_page_has_a_place_for_the_tables() {
        let page = std::fs::read_to_string(crate::paths::root().join(PAGE)).unwrap();
        assert!(replaced(&page, "").is_some());
    }
}
