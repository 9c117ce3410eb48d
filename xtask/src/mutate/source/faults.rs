//! Faults that `cargo mutants` does not make: an ordering is made Relaxed, or a statement is left out that is a call (a barrier,
//! for example) or an assignment.

use super::Mutant;
use anyhow::{Context, Result};
use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// All such faults of a file.
///
/// # Errors
/// When the file does not parse.
pub fn of(file: &str, text: &str) -> Result<Vec<Mutant>> {
    let parsed = syn::parse_file(text).with_context(|| format!("{file} does not parse"))?;
    let mut finder = Finder { file, text, function: String::new(), mutants: Vec::new() };
    finder.visit_file(&parsed);
    Ok(finder.mutants)
}

struct Finder<'a> {
    file: &'a str,
    text: &'a str,
    function: String,
    mutants: Vec<Mutant>,
}

/// The orderings that forbid some reordering.
const ORDERINGS: [&str; 4] = ["Acquire", "Release", "AcqRel", "SeqCst"];

impl Finder<'_> {
    fn add(&mut self, span: Span, replacement: &str, what: String) {
        let (from, to) = (span.start(), span.end());
        self.mutants.push(Mutant {
            file: self.file.into(),
            from: (from.line, from.column + 1),
            to: (to.line, to.column + 1),
            replacement: replacement.into(),
            what,
        });
    }

    fn source(&self, span: Span) -> String {
        let text = self.text.lines().nth(span.start().line - 1).unwrap_or_default().trim();
        text.chars().take(60).collect()
    }

    fn weaken(&mut self, path: &syn::Path) {
        let Some(last) = path.segments.last() else { return };
        if ORDERINGS.iter().any(|ordering| last.ident == ordering) {
            let what = format!("replace {} with Relaxed in {}", last.ident, self.function);
            self.add(path.span(), "core::sync::atomic::Ordering::Relaxed", what);
        }
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if is_for_tests(&item.attrs) {
            return;
        }
        let outer = std::mem::replace(&mut self.function, item.sig.ident.to_string());
        visit::visit_item_fn(self, item);
        self.function = outer;
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        let outer = std::mem::replace(&mut self.function, item.sig.ident.to_string());
        visit::visit_impl_item_fn(self, item);
        self.function = outer;
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_for_tests(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        // A compare-exchange has a second ordering, for the case that it fails, which may not be stronger than the first one. So
        // both are tried.
        for argument in &call.args {
            if let syn::Expr::Path(path) = argument {
                self.weaken(&path.path);
            }
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_stmt(&mut self, statement: &'ast syn::Stmt) {
        if let syn::Stmt::Expr(expression, Some(_)) = statement {
            let is_call = matches!(expression, syn::Expr::Call(_) | syn::Expr::MethodCall(_));
            let is_assignment = matches!(expression, syn::Expr::Assign(_));
            if is_call || is_assignment {
                let what = format!("leave out `{}` in {}", self.source(statement.span()), self.function);
                self.add(statement.span(), "", what);
            }
        }
        visit::visit_stmt(self, statement);
    }
}

fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        syn::Meta::Path(path) => path.is_ident("test"),
        syn::Meta::NameValue(_) => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn barriers_orderings_and_calls_are_found_and_tests_are_not() {
        let text = "fn f() {\n    barrier::isb();\n    x.store(1, Release);\n    let y = g();\n    self.z = 2;\n}\n\
            #[cfg(test)]\nmod tests { fn h() { g(); } }\n";
        let mutants = of("a.rs", text).unwrap();
        let found: Vec<_> = mutants.iter().map(|mutant| (mutant.from, mutant.what.as_str())).collect();
        assert_eq!(
            found,
            [
                ((2, 5), "leave out `barrier::isb();` in f"),
                ((3, 5), "leave out `x.store(1, Release);` in f"),
                ((3, 16), "replace Release with Relaxed in f"),
                ((5, 5), "leave out `self.z = 2;` in f"),
            ]
        );
        assert!(mutants[0].put_into(text).unwrap().contains("{\n    \n"));
        assert!(
            mutants[2].put_into(text).unwrap().contains("store(1, core::sync::atomic::Ordering::Relaxed)")
        );
    }
}
