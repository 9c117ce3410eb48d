//! The parser. It works on byte offsets into the whole line, so that every error has its place.
use super::{Command, Event, Kind, MAX_ACTIVE, MAX_NAME, Probe, Problem, SyntaxError, Target};

type Result<T> = core::result::Result<T, SyntaxError>;

fn fail<T>(at: usize, problem: Problem) -> Result<T> {
    Err(SyntaxError { at, problem })
}

/// Reads one line, without its newline. Spaces and tabs around it are ignored. May be called from any context.
///
/// # Errors
/// The first error in the line, from the left.
pub fn parse(line: &str) -> Result<Command<'_>> {
    let end = line.trim_end().len();
    let line = &line[..end];
    let start = skip_blanks(line, 0);
    let head_end = line[start..].find(is_blank).map_or(end, |n| start + n);
    let tail = skip_blanks(line, head_end);
    match line[start..].chars().next() {
        None => fail(start, Problem::NoCommand),
        Some('p') => {
            let (number, event) = head(line, start + 1, head_end)?;
            if let Some((at, text)) = number {
                let digits = text.starts_with(|c: char| c.is_ascii_digit());
                return fail(at, if digits { Problem::MaxActiveOnProbe } else { Problem::BadCommandTail });
            }
            probe(line, tail, Kind::Entry, event)
        }
        Some('r') => {
            let (number, event) = head(line, start + 1, head_end)?;
            let max_active = match number {
                None => None,
                Some((at, text)) => match parse_number(text) {
                    None => return fail(at, Problem::BadMaxActive),
                    Some(n) if n > u64::from(MAX_ACTIVE) => return fail(at, Problem::MaxActiveTooBig),
                    Some(n) => Some(n as u16),
                },
            };
            probe(line, tail, Kind::Return { max_active }, event)
        }
        Some('-') => {
            if !line[start + 1..].starts_with(':') {
                return fail(start + 1, Problem::NothingToRemove);
            }
            let event = event(line, start + 2, head_end)?;
            if tail < end { fail(tail, Problem::RemoveTakesNoTarget) } else { Ok(Command::Remove(event)) }
        }
        Some(_) => fail(start, Problem::UnknownCommand),
    }
}

fn is_blank(c: char) -> bool {
    c == ' ' || c == '\t'
}

fn skip_blanks(line: &str, from: usize) -> usize {
    line.len() - line[from..].trim_start_matches(is_blank).len()
}

/// The text between the command letter and the colon, with its offset; and the event.
type Head<'a> = (Option<(usize, &'a str)>, Event<'a>);

/// Reads the head's `[NUMBER][:EVENT]`, which is the text from `from`, after the command letter, to `to`.
fn head(line: &str, from: usize, to: usize) -> Result<Head<'_>> {
    let text = &line[from..to];
    let colon = text.find(':');
    let number = &text[..colon.unwrap_or(text.len())];
    let event = match colon {
        Some(n) => event(line, from + n + 1, to)?,
        None => Event::default(),
    };
    Ok(((!number.is_empty()).then_some((from, number)), event))
}

/// Reads `[GROUP/][EVENT]`, of which at least one must be there.
fn event(line: &str, from: usize, to: usize) -> Result<Event<'_>> {
    let text = &line[from..to];
    let (group, name, name_at) = match text.find('/') {
        Some(0) => return fail(from, Problem::NoGroupName),
        Some(n) => (Some(&text[..n]), &text[n + 1..], from + n + 1),
        None => (None, text, from),
    };
    if let Some(group) = group {
        if group.len() > MAX_NAME {
            return fail(from, Problem::GroupNameTooLong);
        }
        if let Some(n) = not_identifier(group) {
            return fail(from + n, Problem::BadGroupName);
        }
    }
    if name.is_empty() {
        return match group {
            Some(_) => Ok(Event { group, name: None }),
            None => fail(name_at, Problem::NoEventName),
        };
    }
    if name.len() > MAX_NAME {
        return fail(name_at, Problem::EventNameTooLong);
    }
    match not_identifier(name) {
        Some(n) => fail(name_at + n, Problem::BadEventName),
        None => Ok(Event { group, name: Some(name) }),
    }
}

/// The offset at which `name` stops being a C identifier; None if it is one.
fn not_identifier(name: &str) -> Option<usize> {
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        return Some(0);
    }
    name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
}

/// Reads the rest of a probe's line, from `at`: the target, with nothing after it.
fn probe<'a>(line: &'a str, at: usize, mut kind: Kind, event: Event<'a>) -> Result<Command<'a>> {
    let (target, mut rest) = match line[at..].chars().next() {
        None => return fail(at, Problem::NoTarget),
        Some(c) if c.is_ascii_digit() => {
            let end = line[at..].find(|c| is_blank(c) || c == '%').map_or(line.len(), |n| at + n);
            match parse_number(&line[at..end]) {
                Some(address) => (Target::Address(address), end),
                None => return fail(at, Problem::BadAddress),
            }
        }
        Some(_) => symbol_and_offset(line, at)?,
    };
    if line[rest..].starts_with('%') {
        let end = line[rest..].find(is_blank).map_or(line.len(), |n| rest + n);
        if &line[rest..end] != "%return" {
            return fail(rest, Problem::BadSuffix);
        }
        rest = end;
        if kind == Kind::Entry {
            kind = Kind::Return { max_active: None };
        }
    }
    if let (Kind::Return { .. }, Target::Symbol { name, offset: 1.. }) = (kind, target) {
        return fail(offset_place(line, at, name), Problem::ReturnInsideFunction);
    }
    let behind = skip_blanks(line, rest);
    if behind < line.len() {
        return fail(behind, Problem::FetchArguments);
    }
    Ok(Command::Probe(Probe { kind, event, target }))
}

/// The offset of the `+` after the symbol `name`, which begins at `at`, quoted or not.
fn offset_place(line: &str, at: usize, name: &str) -> usize {
    at + name.len() + if line[at..].starts_with('"') { 2 } else { 0 }
}

fn symbol_and_offset(line: &str, at: usize) -> Result<(Target<'_>, usize)> {
    let (name, mut rest) = if line[at..].starts_with('"') {
        match line[at + 1..].find('"') {
            None => return fail(at, Problem::UnclosedQuote),
            Some(n) => (&line[at + 1..at + 1 + n], at + n + 2),
        }
    } else {
        let end = symbol_end(line, at)?;
        (&line[at..end], end)
    };
    let mut offset = 0;
    if line[rest..].starts_with('+') {
        let from = rest + 1;
        let end = line[from..].find(|c| is_blank(c) || c == '%').map_or(line.len(), |n| from + n);
        match parse_number(&line[from..end]) {
            Some(n) => offset = n,
            None => return fail(from, Problem::BadOffset),
        }
        rest = end;
    } else if line[rest..].starts_with(|c| !is_blank(c) && c != '%') {
        return fail(rest, Problem::BadSymbol);
    }
    if name.is_empty() { fail(at, Problem::NoTarget) } else { Ok((Target::Symbol { name, offset }, rest)) }
}

/// How deep brackets may nest: far more than in any name that a compiler prints in one line.
const MAX_DEPTH: usize = 128;

/// The end of the unquoted symbol that begins at `at`: a blank, `+` or `%` outside all brackets, or the line's end.
fn symbol_end(line: &str, at: usize) -> Result<usize> {
    let mut open = [('\0', 0); MAX_DEPTH];
    let mut depth = 0;
    let mut previous = '\0';
    let mut chars = line[at..].char_indices().peekable();
    while let Some((n, c)) = chars.next() {
        let place = at + n;
        let closing = match c {
            '<' => Some('>'),
            '(' => Some(')'),
            '[' => Some(']'),
            '{' => Some('}'),
            _ => None,
        };
        if let Some(closing) = closing {
            if depth == MAX_DEPTH {
                return fail(place, Problem::UnbalancedBracket);
            }
            open[depth] = (closing, place);
            depth += 1;
        } else if matches!(c, '>' | ')' | ']' | '}') {
            // The `>` of an arrow, as in `fn() -> T`, closes no bracket.
            if !(c == '>' && previous == '-') {
                if depth == 0 || open[depth - 1].0 != c {
                    return fail(place, Problem::UnbalancedBracket);
                }
                depth -= 1;
            }
        } else if depth > 0 {
            if c == '"' || (c.is_control()) {
                return fail(place, Problem::BadSymbol);
            }
        } else if c == ':' {
            // A path has two colons in a row; a single colon follows a module's name.
            if chars.next_if(|(_, c)| *c == ':').is_none() {
                return fail(place, Problem::Module);
            }
        } else if is_blank(c) || c == '+' || c == '%' {
            return Ok(place);
        } else if !(c.is_alphanumeric() || matches!(c, '_' | '.' | '$')) {
            return fail(place, Problem::BadSymbol);
        }
        previous = c;
    }
    if depth > 0 { fail(open[depth - 1].1, Problem::UnbalancedBracket) } else { Ok(line.len()) }
}

/// Whether [`parse`] reads `name` back without quotes.
pub(super) fn is_bare_symbol(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && symbol_end(name, 0).is_ok_and(|end| end == name.len())
}

/// A decimal number, or a hexadecimal number after `0x`. Linux reads `010` as octal. This parser refuses `010`, because a user
/// could also mean ten.
fn parse_number(text: &str) -> Option<u64> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    let octal = radix == 10 && digits.len() > 1 && digits.starts_with('0');
    if octal || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}
