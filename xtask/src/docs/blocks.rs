//! The fenced blocks of a document.

use anyhow::{Result, bail};

/// What a block holds, which decides how it is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A session: what is typed behind a prompt, and what is answered.
    Console,
    /// Command lines.
    Shell,
    /// A program in C.
    C,
    /// Rust code, which must also be in a source file that is compiled.
    Rust,
    /// No example: a drawing, or tables that a program has written.
    Text,
}

/// One fenced block.
#[derive(Clone, Debug)]
pub struct Block<'a> {
    pub kind: Kind,
    /// The lines with their numbers in the document, from 1.
    pub lines: Vec<(usize, &'a str)>,
}

const FENCE: &str = "```";

/// All blocks of a document.
///
/// # Errors
/// When a block is of no known kind, or is not closed, or when there is an indented block: no test would look at it.
pub fn blocks(text: &str) -> Result<Vec<Block<'_>>> {
    let mut blocks = Vec::new();
    let mut open: Option<Block<'_>> = None;
    for (line, number) in text.lines().zip(1..) {
        match (line.strip_prefix(FENCE), &mut open) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => block.lines.push((number, line)),
            (Some(info), None) => {
                let kind = match info {
                    "console" => Kind::Console,
                    "sh" => Kind::Shell,
                    "c" => Kind::C,
                    "rust" => Kind::Rust,
                    "text" => Kind::Text,
                    _ => bail!("line {number}: a block must be console, sh, c, rust or text, not {info:?}"),
                };
                open = Some(Block { kind, lines: Vec::new() });
            }
            (None, None) if line.starts_with("    ") => {
                bail!("line {number}: an indented block is not tested; put it between fences")
            }
            (None, None) => {}
        }
    }
    if open.is_some() {
        bail!("the last block is not closed");
    }
    Ok(blocks)
}

/// The document's lines outside of all blocks, with their numbers.
pub fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut inside = false;
    text.lines().zip(1..).filter_map(move |(line, number)| {
        let fence = line.starts_with(FENCE);
        inside ^= fence;
        (!inside && !fence).then_some((number, line))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_told_apart_and_prose_is_the_rest() {
        let text = "a\n```sh\nb\n```\nc\n```rust\nd\n\ne\n```\n";
        let found = blocks(text).unwrap();
        assert_eq!(found.iter().map(|block| block.kind).collect::<Vec<_>>(), [Kind::Shell, Kind::Rust]);
        assert_eq!(found[1].lines, [(7, "d"), (8, ""), (9, "e")]);
        assert_eq!(prose(text).collect::<Vec<_>>(), [(1, "a"), (5, "c")]);
    }

    #[test]
    fn what_no_test_would_look_at_is_refused() {
        for text in ["```\nx\n```\n", "```py\nx\n```\n", "```sh\nx\n", "a\n\n    x\n"] {
            assert!(blocks(text).is_err(), "{text:?}");
        }
    }
}
