//! Which file of the source knows which other one, found by parsing.
//!
//! A *module* here is a file; an inline `mod` belongs to its file. File A knows file B if a path in A names something that B
//! defines. The path is followed through `use`, `pub use` and `crate::`, `self::`, `super::` to the file that defines the thing, so
//! an edge leads to that file and not to the `mod.rs` that passes the name on; a `pub use` by itself is no edge. A `use` whose name
//! is in no path (a trait, for its methods) counts as well. The arguments of macros are tokens; paths are read from those too.
//! Code for tests of the host (`#[cfg(test)]`) does not count. Two things are not seen: a method that another file adds to a
//! type, and names that macros make.

use anyhow::{Context, Result, bail};
use proc_macro2::{Spacing, TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use syn::visit::{self, Visit};

/// A crate: its name, and the file of its root.
pub type Root = (String, PathBuf);

/// Why one file knows another: the path in the source, and its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    pub path: String,
    pub line: usize,
}

/// Who knows whom, by the names of modules (`kernel::debug::step`).
pub type Edges = BTreeMap<String, BTreeMap<String, Why>>;

/// How long a chain of `use` may be; more is a circle of `use`.
const LONGEST_CHAIN: usize = 16;

/// Reads the crates and finds all edges. `read` gives a file's text, or `None` if there is no such file.
///
/// # Errors
/// When a file is missing or does not parse.
pub fn edges(roots: &[Root], read: &dyn Fn(&Path) -> Option<String>) -> Result<Edges> {
    let mut reader = Reader { read, modules: Vec::new(), files: Vec::new() };
    let mut crates = BTreeMap::new();
    for (name, file) in roots {
        let root = reader.file(name.clone(), file.clone(), true, None)?;
        crates.insert(name.clone(), root);
    }
    let all = All { modules: reader.modules, crates };
    let mut edges = Edges::new();
    for (index, module) in all.modules.iter().enumerate() {
        for (target, why) in all.known_to(index) {
            if target != module.file {
                let to = edges.entry(reader.files[module.file].clone()).or_default();
                to.entry(reader.files[target].clone()).or_insert(why);
            }
        }
    }
    Ok(edges)
}

/// A `mod`, of a file or inline.
#[derive(Default)]
struct Module {
    /// The index of the module's file.
    file: usize,
    parent: Option<usize>,
    root: usize,
    children: BTreeMap<String, usize>,
    /// The names that the module itself defines.
    items: BTreeSet<String>,
    /// Of these, functions, constants and statics: no path goes on behind them, so a module may have the same name.
    values: BTreeSet<String>,
    /// Only in the root of a crate: for each exported macro of the crate, the file that defines the macro.
    macros: BTreeMap<String, usize>,
    uses: BTreeMap<String, Use>,
    /// The path of each `use path::*`.
    globs: Vec<Vec<String>>,
    paths: Vec<Mention>,
}

struct Use {
    path: Vec<String>,
    line: usize,
    public: bool,
}

struct Mention {
    path: Vec<String>,
    line: usize,
}

struct Reader<'a> {
    read: &'a dyn Fn(&Path) -> Option<String>,
    modules: Vec<Module>,
    /// The module's path for each file.
    files: Vec<String>,
}

impl Reader<'_> {
    /// Reads a file. `owns` says that the files of inner modules lie beside it, as for lib.rs and mod.rs, and not in a folder of
    /// its name.
    fn file(&mut self, name: String, path: PathBuf, owns: bool, parent: Option<usize>) -> Result<usize> {
        let text = (self.read)(&path).with_context(|| format!("no file {}", path.display()))?;
        let parsed = syn::parse_file(&text).with_context(|| format!("{} does not parse", path.display()))?;
        let file = self.files.len();
        self.files.push(name.clone());
        let beside = path.parent().unwrap_or(Path::new("")).to_path_buf();
        let inner = if owns { beside.clone() } else { path.with_extension("") };
        self.module(&parsed.items, Place { file, name, beside, inner }, parent)
    }

    fn module(&mut self, items: &[syn::Item], place: Place, parent: Option<usize>) -> Result<usize> {
        let index = self.modules.len();
        let root = parent.map_or(index, |parent| self.modules[parent].root);
        self.modules.push(Module { file: place.file, parent, root, ..Module::default() });
        for item in items {
            if is_for_tests(attributes(item)) {
                continue;
            }
            if let syn::Item::Mod(inner) = item {
                let child = self.inner(inner, &place, index)?;
                self.modules[index].children.insert(inner.ident.to_string(), child);
                continue;
            }
            for (name, exported) in names(item) {
                if exported {
                    self.modules[root].macros.insert(name.clone(), place.file);
                }
                if matches!(item, syn::Item::Const(_) | syn::Item::Fn(_) | syn::Item::Static(_)) {
                    self.modules[index].values.insert(name.clone());
                }
                self.modules[index].items.insert(name);
            }
            Collector { module: &mut self.modules[index] }.visit_item(item);
        }
        Ok(index)
    }

    fn inner(&mut self, inner: &syn::ItemMod, place: &Place, parent: usize) -> Result<usize> {
        let own = inner.ident.to_string();
        let name = format!("{}::{own}", place.name);
        if let Some((_, items)) = &inner.content {
            let place = Place {
                file: place.file,
                name,
                beside: place.beside.join(&own),
                inner: place.inner.join(&own),
            };
            return self.module(items, place, Some(parent));
        }
        if let Some(path) = path_attribute(&inner.attrs) {
            return self.file(name, plain(&place.beside.join(path)), true, Some(parent));
        }
        let leaf = place.inner.join(format!("{own}.rs"));
        if (self.read)(&leaf).is_some() {
            return self.file(name, leaf, false, Some(parent));
        }
        self.file(name, place.inner.join(own).join("mod.rs"), true, Some(parent))
    }
}

/// Where a module's items are.
struct Place {
    file: usize,
    name: String,
    /// The folder of the file.
    beside: PathBuf,
    /// The folder of the files of inner modules.
    inner: PathBuf,
}

/// The path without `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        if part.as_os_str() == ".." && plain.file_name().is_some() {
            plain.pop();
        } else {
            plain.push(part);
        }
    }
    plain
}

/// Modules, and the crates' roots by name.
struct All {
    modules: Vec<Module>,
    crates: BTreeMap<String, usize>,
}

/// What a path leads to.
enum Found {
    Module(usize),
    /// Something that this file defines.
    Item(usize),
}

impl All {
    /// The files that a module knows.
    fn known_to(&self, index: usize) -> Vec<(usize, Why)> {
        let module = &self.modules[index];
        let mut known = Vec::new();
        let mut mentioned = BTreeSet::new();
        for Mention { path, line } in &module.paths {
            mentioned.insert(path[0].as_str());
            if let Some(Found::Item(file)) = self.resolve(index, path, 0) {
                known.push((file, Why { path: path.join("::"), line: *line }));
            }
        }
        let silent =
            module.uses.iter().filter(|(name, one)| !one.public && !mentioned.contains(name.as_str()));
        for (_, Use { path, line, .. }) in silent {
            let file = match self.resolve(index, path, 0) {
                Some(Found::Item(file)) => file,
                Some(Found::Module(module)) => self.modules[module].file,
                None => continue,
            };
            known.push((file, Why { path: path.join("::"), line: *line }));
        }
        known
    }

    /// Follows a path that is used in a module.
    fn resolve(&self, module: usize, path: &[String], chain: usize) -> Option<Found> {
        if chain > LONGEST_CHAIN {
            return None;
        }
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => self.walk(self.modules[module].root, rest, chain, true),
            "self" => self.walk(module, rest, chain, true),
            "super" => self.walk(self.modules[module].parent?, rest, chain, true),
            "" => self.walk(*self.crates.get(rest.first()?)?, &rest[1..], chain, true),
            name => self.walk(module, path, chain, false).or_else(|| {
                let root = *self.crates.get(name).filter(|_| !rest.is_empty())?;
                self.walk(root, rest, chain, true)
            }),
        }
    }

    /// Follows what is left of a path, from inside of a module. `sure` says that the path certainly leads into this module: a
    /// name that the module does not seem to define is then made by a macro in it.
    fn walk(&self, at: usize, path: &[String], chain: usize, sure: bool) -> Option<Found> {
        let module = &self.modules[at];
        let Some((name, rest)) = path.split_first() else { return Some(Found::Module(at)) };
        if name == "super" {
            return self.walk(module.parent?, rest, chain, true);
        }
        let is_item = module.items.contains(name) && (rest.is_empty() || !module.values.contains(name));
        if let Some(child) = module.children.get(name).filter(|_| !(is_item && rest.is_empty())) {
            return self.walk(*child, rest, chain, true);
        }
        if is_item {
            return Some(Found::Item(module.file));
        }
        if let Some(found) = module.uses.get(name) {
            let path: Vec<String> = found.path.iter().chain(rest).cloned().collect();
            return self.resolve(at, &path, chain + 1);
        }
        if let Some(file) = module.macros.get(name) {
            return Some(Found::Item(*file));
        }
        let by_glob = module.globs.iter().find_map(|glob| {
            let Some(Found::Module(module)) = self.resolve(at, glob, chain + 1) else { return None };
            if chain > LONGEST_CHAIN { None } else { self.walk(module, path, chain + 1, false) }
        });
        by_glob.or_else(|| sure.then_some(Found::Item(module.file)))
    }
}

/// Collects the paths and `use`s of a module's items.
struct Collector<'a> {
    module: &'a mut Module,
}

impl Collector<'_> {
    fn flatten(&mut self, tree: &syn::UseTree, before: &mut Vec<String>, public: bool) {
        match tree {
            syn::UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.flatten(&path.tree, before, public);
                before.pop();
            }
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.flatten(tree, before, public))
            }
            syn::UseTree::Glob(_) => self.module.globs.push(before.clone()),
            syn::UseTree::Name(name) => self.name(&name.ident, &name.ident, before, public),
            syn::UseTree::Rename(rename) => self.name(&rename.ident, &rename.rename, before, public),
        }
    }

    fn name(&mut self, ident: &syn::Ident, known_as: &syn::Ident, before: &[String], public: bool) {
        let line = ident.span().start().line;
        let mut path = before.to_vec();
        let mut name = known_as.to_string();
        if ident != "self" {
            path.push(ident.to_string());
        } else if known_as == "self" {
            name = before.last().cloned().unwrap_or_default();
        }
        if name == "_" {
            // A `use` as `_` defines no name, so it gets one that no path can mention.
            name = format!("_ {}", path.join("::"));
        }
        self.module.uses.insert(name, Use { path, line, public });
    }

    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut line = 0;
        // Colons since the last name; a name behind `.` is a field's or a method's, one behind `$` a macro's variable.
        let (mut colons, mut before) = (0, ' ');
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    let name = ident.to_string();
                    if colons == 2 && !path.is_empty() {
                        path.push(name);
                    } else {
                        self.mention(&mut path, line);
                        line = ident.span().start().line;
                        if before != '.' && (before != '$' || name == "crate") {
                            if colons == 2 {
                                path.push(String::new());
                            }
                            path.push(name);
                        }
                    }
                    (colons, before) = (0, ' ');
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => {
                    colons = if punct.spacing() == Spacing::Joint { 1 } else { colons + 1 };
                }
                TokenTree::Punct(punct) => {
                    self.mention(&mut path, line);
                    (colons, before) = (0, punct.as_char());
                }
                TokenTree::Group(group) => {
                    self.mention(&mut path, line);
                    (colons, before) = (0, ' ');
                    self.tokens(group.stream());
                }
                TokenTree::Literal(_) => {
                    self.mention(&mut path, line);
                    (colons, before) = (0, ' ');
                }
            }
        }
        self.mention(&mut path, line);
    }

    fn mention(&mut self, path: &mut Vec<String>, line: usize) {
        if !path.is_empty() {
            self.module.paths.push(Mention { path: std::mem::take(path), line });
        }
    }
}

impl<'ast> Visit<'ast> for Collector<'_> {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let mut before = if item.leading_colon.is_some() { vec![String::new()] } else { Vec::new() };
        let public = !matches!(item.vis, syn::Visibility::Inherited);
        self.flatten(&item.tree, &mut before, public);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let mut names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if path.leading_colon.is_some() {
            names.insert(0, String::new());
        }
        let line = path.segments.first().map_or(0, |first| first.ident.span().start().line);
        self.mention(&mut names, line);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        visit::visit_macro(self, call);
        self.tokens(call.tokens.clone());
    }

    // No file defines `derive` and the other attributes, and a file does not know the path in a `pub(in path)`.
    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_stmt(&mut self, statement: &'ast syn::Stmt) {
        if let syn::Stmt::Item(item) = statement
            && is_for_tests(attributes(item))
        {
            return;
        }
        visit::visit_stmt(self, statement);
    }
}

/// The names that an item defines in its module, and whether each is a macro for the whole crate.
fn names(item: &syn::Item) -> Vec<(String, bool)> {
    let own = |ident: &syn::Ident| vec![(ident.to_string(), false)];
    match item {
        syn::Item::Const(item) => own(&item.ident),
        syn::Item::Enum(item) => own(&item.ident),
        syn::Item::Fn(item) => own(&item.sig.ident),
        syn::Item::Static(item) => own(&item.ident),
        syn::Item::Struct(item) => own(&item.ident),
        syn::Item::Trait(item) => own(&item.ident),
        syn::Item::TraitAlias(item) => own(&item.ident),
        syn::Item::Type(item) => own(&item.ident),
        syn::Item::Union(item) => own(&item.ident),
        syn::Item::Macro(item) => {
            let exported = item.attrs.iter().any(|attribute| attribute.path().is_ident("macro_export"));
            item.ident.iter().map(|ident| (ident.to_string(), exported)).collect()
        }
        syn::Item::ForeignMod(block) => {
            let names = block.items.iter().filter_map(|item| match item {
                syn::ForeignItem::Fn(item) => Some(item.sig.ident.to_string()),
                syn::ForeignItem::Static(item) => Some(item.ident.to_string()),
                _ => None,
            });
            names.map(|name| (name, false)).collect()
        }
        _ => Vec::new(),
    }
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Enum(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::ForeignMod(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Macro(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Trait(item) => &item.attrs,
        syn::Item::Type(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        _ => false,
    })
}

/// `#[path = "..."]`.
fn path_attribute(attributes: &[syn::Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| {
        let syn::Meta::NameValue(pair) = &attribute.meta else { return None };
        let syn::Expr::Lit(literal) = &pair.value else { return None };
        let syn::Lit::Str(text) = &literal.lit else { return None };
        pair.path.is_ident("path").then(|| text.value())
    })
}

/// The roots of the libraries of a workspace, by the names that `use` knows them by; without the tools that run on the host.
///
/// # Errors
/// When a manifest cannot be read.
pub fn roots(workspace: &Path) -> Result<Vec<Root>> {
    let manifest = |path: &Path| {
        std::fs::read_to_string(path.join("Cargo.toml"))
            .with_context(|| format!("no Cargo.toml in {}", path.display()))
    };
    let text = manifest(workspace)?;
    let members = text.lines().find_map(|line| line.strip_prefix("members = [")).context("no members")?;
    let mut roots = Vec::new();
    for member in members.split('"').skip(1).step_by(2) {
        let folder = workspace.join(member);
        let text = manifest(&folder)?;
        let root = folder.join(of_lib(&text, "path").as_deref().unwrap_or("src/lib.rs"));
        if !root.exists() {
            continue;
        }
        let name = lib_name(&text).with_context(|| format!("{member} has no name"))?;
        roots.push((name, root));
    }
    if roots.is_empty() {
        bail!("the workspace has no libraries");
    }
    Ok(roots)
}

/// The name under `[lib]`, or the package's.
fn lib_name(manifest: &str) -> Option<String> {
    let name = of_lib(manifest, "name").or_else(|| value(manifest, "[package]", "name"));
    name.map(|name| name.replace('-', "_"))
}

fn of_lib(manifest: &str, key: &str) -> Option<String> {
    value(manifest, "[lib]", key)
}

/// The text of a key in a section of a manifest.
pub(super) fn value(manifest: &str, wanted: &str, key: &str) -> Option<String> {
    let mut lines = manifest.lines().skip_while(|line| line.trim() != wanted).skip(1);
    let lines = lines.by_ref().take_while(|line| !line.starts_with('['));
    let mut values = lines.filter_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix('='));
    values.next().map(|value| value.trim().trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `from -> to` for all edges of a crate `k` of these files.
    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let files: BTreeMap<PathBuf, String> =
            files.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_owned())).collect();
        let roots: Vec<Root> = files
            .keys()
            .filter(|path| path.ends_with("lib.rs"))
            .map(|path| (path.parent().unwrap().display().to_string(), path.clone()))
            .collect();
        let edges = edges(&roots, &|path| files.get(path).cloned()).unwrap();
        let each = edges.iter().flat_map(|(from, to)| to.keys().map(move |to| format!("{from} -> {to}")));
        each.collect()
    }

    #[test]
    fn paths_of_every_kind_are_edges() {
        let of = |text: &str| {
            found(&[
                ("k/lib.rs", "mod a; mod b;"),
                ("k/a.rs", text),
                ("k/b.rs", "pub fn f() {} pub struct S;"),
            ])
        };
        for text in [
            "use crate::b::f; fn g() { f() }",
            "use crate::b; fn g() { b::f() }",
            "use crate::b; fn b() { b::f() }",
            "use crate::b as c; fn g() { c::f() }",
            "use super::b::{self}; fn g() { b::f() }",
            "fn g() { crate::b::f() }",
            "fn g() { super::b::f() }",
            "fn g(_: &[crate::b::S; 2]) {}",
            "use crate::b::*; fn g() { f() }",
            "fn g() { println!(\"{}\", crate::b::f()) }",
            "use crate::b; fn g() { assert!(x.y && !b::f()) }",
            "mod inner { fn g() { super::super::b::f() } }",
            "fn g() { use crate::b::f; f() }",
            "macro_rules! m { () => { $crate::b::f() } }",
            "use crate::b::S;",
            "use crate::b::S as _;",
        ] {
            assert_eq!(of(text), ["k::a -> k::b"], "{text}");
        }
        for text in [
            "#[cfg(test)] mod tests { use crate::b; fn g() { b::f() } }",
            "pub(in crate::b) fn g() {}",
            "pub use crate::b::f;",
            "fn g() { let b = 1; b }",
            "use core::b::f; fn g() { f() }",
            "fn g() { x.f() }",
        ] {
            assert_eq!(of(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn a_name_that_is_passed_on_leads_to_the_file_that_defines_it() {
        let files = [
            ("k/lib.rs", "mod a; mod b; #[macro_use] mod c;"),
            (
                "k/a.rs",
                "use crate::b; use crate::b::Renamed; fn g(_: b::Passed, _: Renamed) { crate::shout!() }",
            ),
            (
                "k/b/mod.rs",
                "mod deep; mod other; pub use deep::Passed; pub use other::Own as Renamed; fn h() {}",
            ),
            ("k/b/deep.rs", "pub struct Passed; fn up() { super::h() }"),
            ("k/b/other.rs", "pub struct Own;"),
            ("k/c.rs", "#[macro_export] macro_rules! shout { () => {} }"),
        ];
        let edges = ["k::a -> k::b::deep", "k::a -> k::b::other", "k::a -> k::c", "k::b::deep -> k::b"];
        assert_eq!(found(&files), edges);
    }

    #[test]
    fn other_crates_and_files_elsewhere_are_followed() {
        let files = [
            ("k/lib.rs", "#[path = \"../tests/mod.rs\"] mod tests; mod a { pub mod slots; }"),
            ("k/a/slots.rs", "use ::slots::Mask; fn f(_: Mask) { lib::run::<slots::Bank>() }"),
            ("tests/mod.rs", "mod one;"),
            ("tests/one.rs", "fn f() { crate::a::slots::f() }"),
            ("slots/lib.rs", "mod mask; mod bank; pub use mask::Mask; pub use bank::*;"),
            ("slots/mask.rs", "pub struct Mask;"),
            ("slots/bank.rs", "pub struct Bank;"),
        ];
        let edges =
            ["k::a::slots -> slots::bank", "k::a::slots -> slots::mask", "k::tests::one -> k::a::slots"];
        assert_eq!(found(&files), edges);
    }

    #[test]
    fn a_lib_has_its_own_name_or_the_packages() {
        assert_eq!(lib_name("[package]\nname = \"a-b\"\n").as_deref(), Some("a_b"));
        let both =
            "[package]\nname = \"a-b\"\n\n[lib]\nname = \"c\"\npath = \"lib.rs\"\n[lints]\nname = \"d\"\n";
        assert_eq!(lib_name(both).as_deref(), Some("c"));
        assert_eq!(of_lib(both, "path").as_deref(), Some("lib.rs"));
        assert_eq!(of_lib("[package]\npath = \"x\"\n", "path"), None);
    }
}
