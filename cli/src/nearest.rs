//! The name that was probably meant by a word with typing errors.

/// Words of more bytes are not compared, which bounds the time and the stack that a comparison takes.
const LONGEST: usize = 40;

/// The name that is most like `word`: a name that begins with `word`, or else the nearest name that is at most two typing errors away and
/// has at least one letter in common.
pub fn nearest(word: &str, names: impl Iterator<Item = &'static str> + Clone) -> Option<&'static str> {
    if word.is_empty() || word.len() > LONGEST {
        return None;
    }
    if let Some(name) = names.clone().find(|name| name.starts_with(word)) {
        return Some(name);
    }
    let (distance, name) = names.map(|name| (distance(word.as_bytes(), name.as_bytes()), name)).min()?;
    (distance <= 2 && distance < word.len().min(name.len())).then_some(name)
}

/// Optimal string alignment distance: insertions, deletions, substitutions, and exchanges of neighbours. `usize::MAX` for words
/// of more than 40 bytes.
pub fn distance(a: &[u8], b: &[u8]) -> usize {
    if a.len() > LONGEST || b.len() > LONGEST {
        return usize::MAX;
    }
    let mut rows = [[0u8; LONGEST + 1]; LONGEST + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                (i + j) as u8
            } else {
                let differ = u8::from(a[i - 1] != b[j - 1]);
                let mut least = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + differ);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    least = least.min(rows[i - 2][j - 2] + 1);
                }
                least
            };
        }
    }
    rows[a.len()][b.len()].into()
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    #[test]
    fn distances_count_typing_errors() {
        for (a, b, errors) in [
            ("watch", "watch", 0),
            ("wacth", "watch", 1),
            ("wtch", "watch", 1),
            ("", "step", 4),
            ("stepp", "tep", 2),
        ] {
            assert_eq!(distance(a.as_bytes(), b.as_bytes()), errors, "{a} {b}");
            assert_eq!(distance(b.as_bytes(), a.as_bytes()), errors, "{b} {a}");
        }
    }

    #[test]
    fn only_what_is_alike_is_proposed() {
        let names = || ["break", "step", "stats"].into_iter();
        assert_eq!(nearest("brk", names()), Some("break"));
        assert_eq!(nearest("b", names()), Some("break"));
        assert_eq!(nearest("stat", names()), Some("stats"));
        assert_eq!(nearest("xyzzy", names()), None);
        assert_eq!(nearest("q", names()), None);
        assert_eq!(nearest("sxxps", names()), None, "three errors");
        assert_eq!(nearest("", names()), None);
        assert_eq!(nearest("breakbreakbreakbreak", names()), None);
        assert_eq!(nearest("é", names()), None);
    }

    #[test]
    fn the_longest_words_are_compared_and_longer_ones_are_like_none() {
        let (longest, longer) = ("a".repeat(40), "a".repeat(41));
        assert_eq!(distance(longest.as_bytes(), longest.as_bytes()), 0);
        assert_eq!(distance(longest.as_bytes(), b""), 40);
        assert_eq!(distance(longer.as_bytes(), longest.as_bytes()), usize::MAX);
        assert_eq!(distance(b"", longer.as_bytes()), usize::MAX);
        const NAME: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
        assert_eq!(nearest(&longest, [NAME].into_iter()), Some(NAME));
        assert_eq!(nearest(&longer, [NAME].into_iter()), None);
    }

    #[test]
    fn neighbours_exchanged_are_one_error_and_two_errors_are_the_most() {
        for (a, b, errors) in [("ab", "ba", 1), ("abcd", "badc", 2), ("abc", "cab", 2), ("ca", "abc", 3)] {
            assert_eq!(distance(a.as_bytes(), b.as_bytes()), errors, "{a} {b}");
        }
        let names = || ["watch", "probe"].into_iter();
        assert_eq!(nearest("wtchx", names()), Some("watch"), "two");
        assert_eq!(nearest("xtcyh", names()), None, "three");
        assert_eq!(nearest("rpobe", names()), Some("probe"));
        // The nearest of several names, and never a name without a common letter.
        assert_eq!(nearest("stap", ["step", "stat"].into_iter()), Some("stat"));
        assert_eq!(nearest("xy", ["ab"].into_iter()), None);
        assert_eq!(nearest("ax", ["ab"].into_iter()), Some("ab"));
    }
}
