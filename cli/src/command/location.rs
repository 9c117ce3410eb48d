//! Places in the kernel, as people name them.

use super::ParseError;
use crate::number;

/// A place in the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Location<'a> {
    /// A virtual address.
    Address(u64),
    /// A symbol and an offset into it.
    Symbol {
        /// The symbol's name.
        name: &'a str,
        /// Bytes from its start.
        offset: u64,
    },
}

impl core::fmt::Display for Location<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match *self {
            Location::Address(address) => write!(f, "{address:#x}"),
            Location::Symbol { name, offset } => {
                if name_end(name) == Some(name.len()) {
                    f.write_str(name)?;
                } else {
                    write!(f, "\"{name}\"")?;
                }
                if offset == 0 { Ok(()) } else { write!(f, "+{offset:#x}") }
            }
        }
    }
}

impl<'a> Location<'a> {
    const SYNTAX: &'static str = "an address or SYMBOL[+OFFSET]";

    /// Reads a place: an address, or a symbol that may be followed by `+` and an offset.
    ///
    /// A symbol's name may be a Rust path as demanglers print it: within `<>`, `()`, `[]` and `{}` it may hold spaces and `+`.
    /// Any other name goes between double quotes.
    ///
    /// # Errors
    /// [`ParseError::Expected`].
    pub fn parse(text: &'a str) -> Result<Location<'a>, ParseError<'a>> {
        match Self::split(text)? {
            (location, "") => Ok(location),
            _ => Err(ParseError::Expected { what: Self::SYNTAX, found: text }),
        }
    }

    /// Reads the place at the beginning of `text`. Also returns the rest of `text`, from the blank behind the place on.
    pub(super) fn split(text: &'a str) -> Result<(Location<'a>, &'a str), ParseError<'a>> {
        let blank = |c: char| c.is_ascii_whitespace();
        let word = text.split(blank).next().unwrap_or(text);
        let wrong = |found| ParseError::Expected { what: Self::SYNTAX, found };
        if word.starts_with(|c: char| c.is_ascii_digit()) {
            let address = number::parse(word).ok_or(wrong(word))?;
            return Ok((Location::Address(address), &text[word.len()..]));
        }
        let (name, rest) = if let Some(quoted) = text.strip_prefix('"') {
            quoted.split_once('"').ok_or(wrong(text))?
        } else {
            text.split_at(name_end(text).ok_or(wrong(word))?)
        };
        let (offset, rest) = match rest.strip_prefix('+') {
            Some(offset) => {
                let end = offset.find(blank).unwrap_or(offset.len());
                (number::parse(&offset[..end]), &offset[end..])
            }
            None => (Some(0), rest),
        };
        let whole = &text[..text.len() - rest.len()];
        match offset {
            Some(offset) if !name.is_empty() && (rest.is_empty() || rest.starts_with(blank)) => {
                Ok((Location::Symbol { name, offset }, rest))
            }
            _ => Err(wrong(if rest.is_empty() { whole } else { word })),
        }
    }
}

/// How deep brackets may nest: deeper than in any name that fits a line.
const MAX_DEPTH: usize = 64;

/// Where the unquoted name at the beginning of `text` ends: at a blank or `+` outside of all brackets, or at the text's end. None
/// if `text` does not begin with a name: the first character cannot begin one, or brackets are not paired.
fn name_end(text: &str) -> Option<usize> {
    // A symbol begins with one of these, mangled or as a Rust path; an option does not.
    if !text.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '.' | '$' | '<' | '[' | '{')) {
        return None;
    }
    let mut open = ['\0'; MAX_DEPTH];
    let mut depth = 0;
    let mut previous = '\0';
    for (at, c) in text.char_indices() {
        match c {
            '<' | '(' | '[' | '{' => {
                *open.get_mut(depth)? = match c {
                    '<' => '>',
                    '(' => ')',
                    '[' => ']',
                    _ => '}',
                };
                depth += 1;
            }
            // The `>` of an arrow, as in `fn() -> T`, closes no bracket.
            '>' if previous == '-' && depth > 0 => {}
            '>' | ')' | ']' | '}' => {
                depth = depth.checked_sub(1)?;
                if open[depth] != c {
                    return None;
                }
            }
            '"' => return None,
            _ if c.is_control() && !(depth == 0 && c.is_ascii_whitespace()) => return None,
            _ if depth > 0 => {}
            '+' => return Some(at),
            _ if c.is_ascii_whitespace() => return Some(at),
            _ if c.is_alphanumeric() || matches!(c, '_' | '.' | '$' | ':') => {}
            _ => return None,
        }
        previous = c;
    }
    (depth == 0).then_some(text.len())
}
