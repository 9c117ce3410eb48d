//! An *arrow* leads from a module to a module that it knows ([`super::modules`] finds the arrows). Refused are arrows that form a
//! circle, and arrows up the layers of `xtask/layers.txt`. With `STEPWELL_CIRCLES=FILE` in the environment, all arrows of all
//! circles are written to that file.

use super::modules::{self, Edges, Why};
use anyhow::{Result, anyhow, bail};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write;
use std::path::Path;

const FILE: &str = "xtask/layers.txt";

/// Checks the modules of the workspace.
///
/// # Errors
/// When there is a circle, an arrow up, or a line in the file that is no longer needed. The error names all of them.
pub fn check(workspace: &Path) -> Result<()> {
    let roots = modules::roots(workspace)?;
    let edges = modules::edges(&roots, &|path| std::fs::read_to_string(path).ok())?;
    let text = std::fs::read_to_string(workspace.join(FILE))?;
    let layers = Layers::read(&text).map_err(|error| anyhow!("{FILE}: {error}"))?;
    if let Some(path) = std::env::var_os("STEPWELL_CIRCLES") {
        std::fs::write(path, report(&layers.counted(&edges)))?;
    }
    let mistakes = layers.mistakes(&edges);
    if mistakes.is_empty() {
        return Ok(());
    }
    bail!("modules know each other in a circle, or know a higher layer ({FILE}):\n{}", mistakes.join("\n"))
}

/// The contents of `layers.txt`.
#[derive(Debug, Default)]
struct Layers {
    /// For the beginning of a module's name, the number of its layer; 0 is on top.
    layers: Vec<(String, usize)>,
    /// Beginnings of modules' names. An arrow from such a module to the file of a folder around it does not count.
    loose: Vec<String>,
}

impl Layers {
    fn read(text: &str) -> Result<Self, String> {
        let mut read = Self::default();
        let (mut section, mut layer) = ("", 0);
        for (index, line) in text.lines().enumerate() {
            let words = line.split_once('#').map_or(line, |(words, _)| words).trim();
            match (words, section) {
                ("", _) => {}
                ("[layers]" | "[loose]", _) => section = words,
                (_, "[layers]") => {
                    read.layers.extend(words.split_whitespace().map(|name| (name.to_owned(), layer)));
                    layer += 1;
                }
                (_, "[loose]") => read.loose.extend(words.split_whitespace().map(str::to_owned)),
                _ => return Err(format!("line {}: the line is before the first [section]", index + 1)),
            }
        }
        Ok(read)
    }

    /// The arrows without those that `loose` excuses.
    fn counted(&self, edges: &Edges) -> Edges {
        let mut edges = edges.clone();
        for (from, to) in &mut edges {
            if self.loose.iter().any(|name| is_in(from, name)) {
                to.retain(|to, _| !is_in(from, to));
            }
        }
        edges
    }

    /// The layer of a module: the layer of the longest listed name with which the module's name begins.
    fn of(&self, module: &str) -> Option<usize> {
        let named = self.layers.iter().filter(|(name, _)| is_in(module, name));
        named.max_by_key(|(name, _)| name.len()).map(|&(_, layer)| layer)
    }

    fn goes_up(&self, from: &str, to: &str) -> bool {
        self.of(from).zip(self.of(to)).is_some_and(|(from, to)| from > to)
    }

    fn mistakes(&self, edges: &Edges) -> Vec<String> {
        let edges = &self.counted(edges);
        let mut mistakes = Vec::new();
        for (from, to) in edges {
            let up = to.iter().filter(|(to, _)| self.goes_up(from, to));
            mistakes.extend(up.map(|(to, why)| format!("  up: {}", arrow(from, to, why))));
        }
        for circle in circles(edges) {
            mistakes.push(format!("  circle of {} modules, for example", circle.len()));
            mistakes.extend(
                shortest(edges, &circle)
                    .iter()
                    .map(|(from, to, why)| format!("    {}", arrow(from, to, why))),
            );
        }
        let names = self.layers.iter().map(|(name, _)| name).chain(&self.loose);
        let unknown = names.filter(|name| {
            let mut modules = edges.keys().chain(edges.values().flat_map(BTreeMap::keys));
            !modules.any(|module| is_in(module, name))
        });
        mistakes.extend(unknown.map(|name| format!("  [layers] or [loose] names no module: {name}")));
        mistakes
    }
}

/// Whether a module is `other`, or lies in the folder of `other`.
fn is_in(module: &str, other: &str) -> bool {
    module.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn arrow(from: &str, to: &str, why: &Why) -> String {
    format!("{from} -> {to} (line {}: {})", why.line, why.path)
}

/// The strongly connected sets of more than one module (Tarjan's algorithm), each sorted.
fn circles(edges: &Edges) -> Vec<BTreeSet<String>> {
    struct Search<'a> {
        edges: &'a Edges,
        /// For each module: when the search has found it, and when it has found the earliest module that this one leads back to.
        order: BTreeMap<&'a str, (usize, usize)>,
        stack: Vec<&'a str>,
        found: Vec<BTreeSet<String>>,
    }
    impl<'a> Search<'a> {
        fn visit(&mut self, module: &'a str) {
            let now = self.order.len();
            self.order.insert(module, (now, now));
            self.stack.push(module);
            let edges = self.edges;
            for to in edges.get(module).into_iter().flat_map(BTreeMap::keys) {
                if !self.order.contains_key(to.as_str()) {
                    self.visit(to);
                }
                if self.stack.contains(&to.as_str()) {
                    let low = self.order[to.as_str()].1.min(self.order[module].1);
                    self.order.get_mut(module).expect("it was inserted").1 = low;
                }
            }
            if self.order[module].0 == self.order[module].1 {
                let start = self.stack.iter().rposition(|one| *one == module).expect("it was pushed");
                let set: BTreeSet<String> = self.stack.drain(start..).map(str::to_owned).collect();
                if set.len() > 1 {
                    self.found.push(set);
                }
            }
        }
    }
    let mut search = Search { edges, order: BTreeMap::new(), stack: Vec::new(), found: Vec::new() };
    for module in edges.keys() {
        if !search.order.contains_key(module.as_str()) {
            search.visit(module);
        }
    }
    search.found
}

/// A shortest circle inside of a strongly connected set.
fn shortest<'a>(edges: &'a Edges, set: &BTreeSet<String>) -> Vec<(&'a str, &'a str, &'a Why)> {
    let ways = set.iter().filter_map(|start| way_back(edges, set, start));
    ways.min_by_key(Vec::len).unwrap_or_default()
}

fn way_back<'a>(
    edges: &'a Edges,
    set: &BTreeSet<String>,
    start: &str,
) -> Option<Vec<(&'a str, &'a str, &'a Why)>> {
    let (start, _) = edges.get_key_value(start)?;
    let mut came: BTreeMap<&str, (&str, &Why)> = BTreeMap::new();
    let mut next = VecDeque::from([start.as_str()]);
    while let Some(module) = next.pop_front() {
        for (to, why) in edges.get(module).into_iter().flatten().filter(|(to, _)| set.contains(*to)) {
            if came.contains_key(to.as_str()) {
                continue;
            }
            came.insert(to, (module, why));
            if to == start {
                let mut way = Vec::new();
                let mut at = start.as_str();
                loop {
                    let (from, why) = came[at];
                    way.push((from, at, why));
                    at = from;
                    if at == start {
                        way.reverse();
                        return Some(way);
                    }
                }
            }
            next.push_back(to);
        }
    }
    None
}

/// All arrows between modules that are in a circle together.
fn report(edges: &Edges) -> String {
    let mut text = String::new();
    for circle in circles(edges) {
        let _ = writeln!(text, "{} modules:", circle.len());
        for from in &circle {
            for (to, why) in edges.get(from).into_iter().flatten().filter(|(to, _)| circle.contains(*to)) {
                let _ = writeln!(text, "{}", arrow(from, to, why));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(arrows: &[(&str, &str)]) -> Edges {
        let mut edges = Edges::new();
        for (from, to) in arrows {
            let why = Why { path: format!("crate::{to}"), line: 1 };
            edges.entry((*from).into()).or_default().insert((*to).into(), why);
        }
        edges
    }

    fn mistakes(arrows: &[(&str, &str)], file: &str) -> Vec<String> {
        Layers::read(file).unwrap().mistakes(&graph(arrows))
    }

    #[test]
    fn a_circle_is_found_and_a_lattice_is_none() {
        assert_eq!(mistakes(&[("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")], ""), [""; 0]);
        let told = mistakes(&[("a", "b"), ("b", "c"), ("c", "a"), ("c", "b"), ("x", "a")], "").join("\n");
        assert!(told.contains("circle of 3 modules"), "{told}");
        assert!(
            told.contains("b -> c (line 1: crate::c)") && told.contains("c -> b"),
            "the shortest: {told}"
        );
        assert!(!told.contains("x -> a"), "{told}");
    }

    #[test]
    fn a_loose_module_may_know_its_folders_file() {
        let circle = [("k::a", "k::a::b"), ("k::a::b", "k::a")];
        assert_eq!(mistakes(&circle, "[loose]\nk::a"), [""; 0]);
        assert_eq!(mistakes(&circle, "").len(), 3);
        assert_eq!(mistakes(&[("k::a", "k::b"), ("k::b", "k::a")], "[loose]\nk").len(), 3, "siblings");
    }

    #[test]
    fn arrows_go_down_the_layers_only() {
        let file = "[layers]\nk::top k::debug::hit\nk::debug\nk::low\n";
        assert_eq!(
            mistakes(
                &[("k::top", "k::low"), ("k::debug::hit", "k::debug"), ("k::debug::hit::x", "k::top")],
                file
            ),
            [""; 0]
        );
        let told =
            mistakes(&[("k::low::x", "k::debug"), ("k::debug", "k::debug::hit"), ("k::top", "k::low")], file);
        assert_eq!(told.iter().filter(|one| one.starts_with("  up: ")).count(), 2, "{told:?}");
        let told = mistakes(&[("k::debugger", "k::top"), ("k::debug", "k::low")], file);
        assert!(
            told == ["  [layers] or [loose] names no module: k::debug::hit"],
            "another name that begins so: {told:?}"
        );
    }
}
