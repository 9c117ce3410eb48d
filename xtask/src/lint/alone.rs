//! Checks two promises of the libraries that other kernels may adopt: they build with the compiler that `rust-version` names, and
//! their packages are complete.
//!
//! Only one compiler is installed, so the promise about an older one is checked in two parts. Clippy's `incompatible_msrv` (a
//! warning, so the lint denies it like the others) compares each item of the standard library that a package uses with the
//! package's `rust-version`. Clippy does not look at the language, so [`versions`] looks for the syntax that is newer than
//! edition 2024.

use super::modules::value;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// The folders of these libraries.
const ALONE: [&str; 3] = ["probe", "rules", "slots"];

/// What a package must contain. Of the last entry, which is a folder, any file is enough.
const CONTENTS: [&str; 5] = ["README.md", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT", "examples/"];

/// Rust 1.88 has chains of `let` in a condition.
const CHAINS: u32 = 88;
/// Rust 1.95 has `if let` in the guard of a match arm.
const GUARDS: u32 = 95;

/// Makes a package of each library, as for a registry but without building it.
///
/// # Errors
/// When cargo cannot make a package (a dependency may have no version), or when a package lacks a file.
pub fn packages(root: &Path) -> Result<()> {
    for folder in ALONE {
        let cargo = |last: &str| {
            let mut cargo = Command::new("cargo");
            cargo.current_dir(root.join(folder)).args([
                "package",
                "--offline",
                "--allow-dirty",
                "--exclude-lockfile",
            ]);
            let output = cargo.arg(last).output().context("cannot start cargo")?;
            if !output.status.success() {
                bail!("{folder} cannot be packaged: {}", String::from_utf8_lossy(&output.stderr).trim());
            }
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        };
        let list = cargo("--list")?;
        for wanted in CONTENTS {
            let is_wanted = |file: &str| file == wanted || wanted.ends_with('/') && file.starts_with(wanted);
            if !list.lines().any(is_wanted) {
                bail!("the package of {folder} has no {wanted}");
            }
        }
        cargo("--no-verify")?;
    }
    Ok(())
}

/// Checks that the syntax of the libraries is not newer than their `rust-version`.
///
/// # Errors
/// With each place that needs a newer compiler than its package says.
pub fn versions(root: &Path) -> Result<()> {
    let mut found = Vec::new();
    for folder in ALONE {
        let manifest = std::fs::read_to_string(root.join(folder).join("Cargo.toml"))?;
        let declared =
            declared(&manifest).with_context(|| format!("{folder} has no rust-version of its own"))?;
        let mut folders = vec![root.join(folder).join("src")];
        while let Some(path) = folders.pop() {
            for entry in std::fs::read_dir(path)? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let text = std::fs::read_to_string(&path)?;
                    let newer =
                        newer(&text, declared).with_context(|| format!("cannot read {}", path.display()))?;
                    let path = path.strip_prefix(root).unwrap_or(&path).display();
                    found.extend(newer.iter().map(|(line, needs)| {
                        format!("{path}:{line}: needs Rust 1.{needs}, and {folder} declares 1.{declared}")
                    }));
                }
            }
        }
    }
    if found.is_empty() { Ok(()) } else { bail!("{}", found.join("\n")) }
}

/// The minor version that a manifest declares.
fn declared(manifest: &str) -> Option<u32> {
    value(manifest, "[package]", "rust-version")?.strip_prefix("1.")?.parse().ok()
}

/// The lines of a source whose syntax Rust 1.`declared` does not have, each with the minor version that has it.
fn newer(text: &str, declared: u32) -> Result<Vec<(usize, u32)>> {
    let mut syntax = Syntax { declared, found: Vec::new() };
    syntax.visit_file(&syn::parse_file(text)?);
    Ok(syntax.found)
}

struct Syntax {
    declared: u32,
    found: Vec<(usize, u32)>,
}

impl Syntax {
    fn needs(&mut self, version: u32, place: &impl Spanned) {
        if self.declared < version {
            self.found.push((place.span().start().line, version));
        }
    }
}

impl<'ast> Visit<'ast> for Syntax {
    fn visit_expr_binary(&mut self, binary: &'ast syn::ExprBinary) {
        let is_let = |side: &syn::Expr| matches!(side, syn::Expr::Let(_));
        if is_let(&binary.left) || is_let(&binary.right) {
            self.needs(CHAINS, binary);
        }
        visit::visit_expr_binary(self, binary);
    }

    fn visit_pat_guard(&mut self, pattern: &'ast syn::PatGuard) {
        if matches!(*pattern.guard, syn::Expr::Let(_)) {
            self.needs(GUARDS, pattern);
        }
        visit::visit_pat_guard(self, pattern);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_compiler_does_not_have_is_found() {
        let text = "fn f(a: Option<u8>) -> u8 {\n    if let Some(b) = a\n        && b > 1 { b } else { 0 }\n}\n\
                    fn g(a: Option<u8>, b: Option<u8>) -> u8 {\n    match a {\n        Some(_) if let Some(c) = b => c,\n        _ => 0,\n    }\n}\n\
                    fn h(a: Option<u8>) { if let Some(_) = a { while true && false {} } }";
        assert_eq!(newer(text, 85).unwrap(), [(2, 88), (7, 95)]);
        assert_eq!(newer(text, 88).unwrap(), [(7, 95)]);
        assert_eq!(newer(text, 95).unwrap(), []);
        assert!(newer("fn", 85).is_err());
    }

    #[test]
    fn each_of_them_declares_a_version() {
        assert_eq!(declared("[package]\nrust-version = \"1.85\"\n"), Some(85));
        assert_eq!(declared("[package]\nrust-version.workspace = true\n"), None);
        versions(&crate::paths::root()).unwrap();
    }
}
