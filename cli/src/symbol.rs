//! Compares symbols' names, as people type them, with those in a symbol table.
//!
//! A table holds names as `rustfilt` prints them: demangled, without hashes. Several symbols can have the same demangled name (instances
//! of a generic function, closures), so the table also holds a hash for each symbol, which no other symbol has.

/// A hash of a mangled name, which a symbol table holds instead of the name.
///
/// The hash is 64-bit FNV-1a of the name without the suffix that LLVM may append (`.llvm.1234`). It is never 0.
pub fn mangled_id(mangled: &str) -> u64 {
    let name = mangled.split(".llvm.").next().unwrap_or(mangled);
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash.max(1)
}

/// A hash that differs between mangled names with the same demangled name. A name in legacy mangling contains a hash by the
/// compiler, which is returned. A name in v0 mangling contains none, so [`mangled_id`] is returned. The result is 0 for a name
/// that is not mangled.
pub fn hash(mangled: &str) -> u64 {
    let name = mangled.split(".llvm.").next().unwrap_or(mangled);
    let legacy = name.strip_prefix("_ZN").and_then(|name| name.strip_suffix('E')).and_then(|name| {
        let (path, digits) = name.split_at_checked(name.len().checked_sub(16)?)?;
        if path.ends_with("17h") { hexadecimal(digits) } else { None }
    });
    legacy.unwrap_or_else(|| if name.starts_with("_R") { mangled_id(name) } else { 0 })
}

fn hexadecimal(digits: &str) -> Option<u64> {
    let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (digits.len() == 16 && digits.bytes().all(lower)).then(|| u64::from_str_radix(digits, 16).ok())?
}

/// The values by which a table identifies a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity<'a> {
    /// Demangled, without the hash.
    pub name: &'a str,
    /// [`hash`] of the mangled name.
    pub hash: u64,
    /// [`mangled_id`] of the mangled name; 0 if it is not mangled.
    pub mangled: u64,
}

/// How well a symbol's name fits what was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    /// What was typed is the end of the symbol's name, from the beginning of a path segment on.
    Tail,
    /// What was typed is the whole name.
    Whole,
}

/// A name as it was typed: demangled, whole or its tail (`kprobe::register`), perhaps with the hash at its end
/// (`kernel::time::now::h0123456789abcdef`); or mangled, legacy or v0. Spaces do not count: `Vec<T,A>` and `Vec<T, A>` are the
/// same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name<'a> {
    path: &'a str,
    hash: Option<u64>,
    mangled: Option<u64>,
}

impl<'a> Name<'a> {
    /// The name in `text`. Every text is accepted.
    pub fn new(text: &'a str) -> Self {
        let text = text.trim_ascii();
        let mangled = (text.starts_with("_ZN") || text.starts_with("_R")).then(|| mangled_id(text));
        let hashed = text.rsplit_once("::h").and_then(|(path, hash)| Some((path, hexadecimal(hash)?)));
        match hashed {
            Some((path, hash)) => Self { path, hash: Some(hash), mangled },
            None => Self { path: text, hash: None, mangled },
        }
    }

    /// How `symbol`'s name fits, if it does.
    pub fn fits(&self, symbol: &Identity<'_>) -> Option<Fit> {
        if self.mangled.is_some_and(|mangled| mangled == symbol.mangled) {
            return Some(Fit::Whole);
        }
        if self.hash.is_some_and(|hash| hash != symbol.hash) || self.path.is_empty() {
            return None;
        }
        let mut name = symbol.name.bytes().rev().filter(|byte| *byte != b' ');
        let mut path = self.path.bytes().rev().filter(|byte| *byte != b' ');
        if !path.all(|byte| name.next() == Some(byte)) {
            return None;
        }
        match (name.next(), name.next()) {
            (None, _) => Some(Fit::Whole),
            (Some(b':'), Some(b':')) => Some(Fit::Tail),
            _ => None,
        }
    }

    /// How many typing errors lie between this name and `name`, if there are at most two and not every letter is wrong. Compares the last
    /// segment of the paths, or the last two if this name has several.
    pub fn errors(&self, name: &str) -> Option<usize> {
        let segments = if self.path.contains("::") { 2 } else { 1 };
        let (typed, meant) = (last(self.path, segments), last(name, segments));
        if typed.len().abs_diff(meant.len()) > 2 {
            return None;
        }
        let errors = crate::nearest::distance(typed.as_bytes(), meant.as_bytes());
        (errors <= 2 && errors < typed.len().min(meant.len())).then_some(errors)
    }
}

/// The last `segments` segments of a path.
fn last(path: &str, segments: usize) -> &str {
    match path.rmatch_indices("::").nth(segments - 1) {
        Some((at, separator)) => &path[at + separator.len()..],
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEGACY: &str = "_ZN6kernel6kprobe8register17h0123456789abcdefE";
    const V0: &str = "_RNvNtCsabc_6kernel6kprobe8register";

    fn identity(name: &'static str, mangled: &str) -> Identity<'static> {
        Identity { name, hash: hash(mangled), mangled: mangled_id(mangled) }
    }

    fn fit(typed: &str, symbol: &Identity<'_>) -> Option<Fit> {
        Name::new(typed).fits(symbol)
    }

    #[test]
    fn a_name_fits_whole_or_from_a_segment_on() {
        let symbol = identity("kernel::kprobe::register", LEGACY);
        for whole in ["kernel::kprobe::register", "kernel::kprobe::register::h0123456789abcdef", LEGACY] {
            assert_eq!(fit(whole, &symbol), Some(Fit::Whole), "{whole}");
        }
        for tail in ["kprobe::register", "register", "kprobe::register::h0123456789abcdef"] {
            assert_eq!(fit(tail, &symbol), Some(Fit::Tail), "{tail}");
        }
        for other in [
            "",
            "unregister",
            "ister",
            ":register",
            "::register",
            "x::kernel::kprobe::register",
            "kernel::kprobe",
            "Kprobe::register",
            "kernel::kprobe::register::h0123456789abcdee",
            "_ZN6kernel6kprobe8register17h0123456789abcdeeE",
            "_ZN6kernel6kprobe9registers17h0123456789abcdefE",
            V0,
        ] {
            assert_eq!(fit(other, &symbol), None, "{other}");
        }
        assert_eq!(fit(V0, &identity("kernel::kprobe::register", V0)), Some(Fit::Whole));
    }

    #[test]
    fn generic_names_fit_as_they_are_printed() {
        for (name, typed) in [
            (
                "<stepwell_slots::SlotError as core::fmt::Display>::fmt",
                "<stepwell_slots::SlotError as core::fmt::Display>::fmt",
            ),
            ("alloc::vec::Vec<T,A>::push", "alloc::vec::Vec<T, A>::push"),
            ("<alloc::vec::Vec<u8>>::push", "<alloc::vec::Vec<u8>>::push"),
            ("core::ops::function::FnOnce::call_once{{vtable.shim}}", "FnOnce::call_once{{vtable.shim}}"),
        ] {
            assert!(fit(typed, &identity(name, "")).is_some(), "{typed}");
        }
        assert_eq!(fit("Display>::fmt", &identity("<A as Display>::fmt", "")), None);
    }

    #[test]
    fn hashes_tell_symbols_of_one_name_apart() {
        assert_eq!(hash(LEGACY), 0x0123_4567_89ab_cdef);
        assert_eq!(hash("_ZN1f17h0123456789abcdefE.llvm.77"), 0x0123_4567_89ab_cdef);
        assert_eq!(mangled_id("_ZN1f17h0123456789abcdefE.llvm.77"), mangled_id("_ZN1f17h0123456789abcdefE"));
        assert_eq!(hash(V0), mangled_id(V0));
        for unmangled in
            ["vectors", "", "_ZN", "_ZN1fE", "_ZN1f17h0123456789ABCDEFE", "_ZN1f17hé123456789abcdeE"]
        {
            assert_eq!(hash(unmangled), 0, "{unmangled}");
        }
    }

    #[test]
    fn only_what_is_alike_is_within_two_errors() {
        let errors = |typed: &str, name: &str| Name::new(typed).errors(name);
        assert_eq!(errors("acount", "kernel::time::account"), Some(1));
        assert_eq!(errors("tiem::account", "kernel::time::account"), Some(1));
        assert_eq!(errors("kernel::time::acount", "kernel::time::account"), Some(1));
        assert_eq!(errors("kernel::smp::account", "kernel::time::account"), None, "four");
        assert_eq!(errors("xy", "ab"), None, "nothing is left");
        assert_eq!(errors("", "ab"), None);
    }

    /// The constants of FNV-1a, by values that its authors publish.
    #[test]
    fn ids_are_64_bit_fnv_1a() {
        assert_eq!(mangled_id(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(mangled_id("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(mangled_id("foobar"), 0x8594_4171_f739_67e8);
        assert_eq!(mangled_id("a.llvm.1"), mangled_id("a"));
    }

    #[test]
    fn a_hash_is_16_lower_case_digits_behind_17h() {
        assert_eq!(hash("_ZN1f17hffffffffffffffffE"), u64::MAX);
        for wrong in [
            "_ZN1f17hfffffffffffffffE",
            "_ZN1f16hffffffffffffffffE",
            "_ZN1f17hgfffffffffffffffE",
            "ZN1f17hffffffffffffffffE",
            "_ZN1f17hffffffffffffffff",
        ] {
            assert_eq!(hash(wrong), 0, "{wrong}");
        }
        let typed = Name::new("a::b::hffffffffffffffff");
        assert_eq!((typed.path, typed.hash, typed.mangled), ("a::b", Some(u64::MAX), None));
        let typed = Name::new(" a::b::hfffffffffffffff ");
        assert_eq!((typed.path, typed.hash, typed.mangled), ("a::b::hfffffffffffffff", None, None));
        assert_eq!(Name::new("_Rx").mangled, Some(mangled_id("_Rx")));
        assert_eq!(Name::new("_ZNx").mangled, Some(mangled_id("_ZNx")));
    }

    #[test]
    fn errors_are_counted_in_as_many_segments_as_were_typed() {
        let errors = |typed: &str, name: &str| Name::new(typed).errors(name);
        assert_eq!(errors("account", "kernel::time::account"), Some(0));
        assert_eq!(errors("acuont", "kernel::time::account"), Some(2));
        assert_eq!(errors("acunt", "kernel::time::account"), Some(2));
        assert_eq!(errors("acxyz", "kernel::time::account"), None);
        assert_eq!(errors("accountxx", "a::account"), Some(2));
        assert_eq!(errors("accountxxx", "a::account"), None);
        assert_eq!(errors("tume::account", "kernel::time::account"), Some(1));
        assert_eq!(errors("x::time::account", "kernel::time::account"), Some(0), "the last two");
        assert_eq!(errors("time::account", "account"), None);
        assert_eq!(errors("ab", "ax"), Some(1));
        assert_eq!(errors("abcd", "abxy"), Some(2));
    }

    #[test]
    fn blanks_do_not_count() {
        let symbol = identity("a::Vec<T,A>::push", "");
        assert_eq!(fit("a::Vec<T, A>::push", &symbol), Some(Fit::Whole));
        assert_eq!(fit(" Vec< T,A >::push ", &symbol), Some(Fit::Tail));
        assert_eq!(fit("   ", &symbol), None);
        // One colon is no separator. Two colons are a separator, even without a segment before them.
        assert_eq!(fit("b", &identity("a:b", "")), None);
        assert_eq!(fit("b", &identity("::b", "")), Some(Fit::Tail));
        assert!(Fit::Tail < Fit::Whole);
    }
}
