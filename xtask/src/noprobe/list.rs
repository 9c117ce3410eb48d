//! Reads `noprobe.txt`, which says which text cannot be probed (rule H6), and what that text may call. Only `std` is used here,
//! because the image's build script includes this file too, to make the linker's patterns.

use std::fmt;

/// The contents of the file.
#[derive(Debug, Default)]
pub struct List {
    /// The functions that cannot be probed.
    pub text: Vec<Line<Pattern>>,
    /// The allowed calls from these functions to functions that can be probed.
    pub calls: Vec<Line<Call>>,
}

/// What a line of the file says, with the line's number.
#[derive(Debug)]
pub struct Line<T> {
    /// The line's number, from 1.
    pub number: usize,
    pub says: T,
}

/// A call from no-probe text that is allowed, with its reason.
#[derive(Debug)]
pub struct Call {
    pub from: Pattern,
    pub to: Pattern,
    /// Why the call is allowed.
    pub reason: String,
}

/// A pattern that names functions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// `*` names all functions.
    Any,
    /// `extern memcpy` names a symbol that is not mangled.
    Extern(String),
    /// `kernel::debug::step` names a path and everything inside of it. With `*` at its end it names every path that begins so.
    Path(Path),
    /// `<rules as core::ops>` names the methods that types under the first path have from traits under the second path. `<rules>`
    /// names the methods from all traits.
    Methods(Path, Option<Path>),
}

/// A path: names with `::` in between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    text: String,
    /// Whether the path ends in `*`.
    open: bool,
}

impl List {
    /// Reads the text of `noprobe.txt`.
    ///
    /// # Errors
    /// The line that is wrong, and what is wrong with it.
    pub fn read(file: &str) -> Result<Self, String> {
        let mut list = Self::default();
        let mut section = "";
        for (index, line) in file.lines().enumerate() {
            let number = index + 1;
            let (words, reason) = line.split_once('#').unwrap_or((line, ""));
            let (words, reason) = (words.trim(), reason.trim());
            let wrong = |what: &str| format!("noprobe.txt, line {number}: {what}: `{line}`");
            match (words, section) {
                ("", _) => {}
                ("[text]" | "[calls]", _) => section = words,
                (_, "[text]") => {
                    let says = Pattern::read(words).map_err(|what| wrong(&what))?;
                    if matches!(&says, Pattern::Any) || says.is_open() {
                        return Err(wrong("a linker's pattern cannot be made of `*`"));
                    }
                    list.text.push(Line { number, says });
                }
                (_, "[calls]") => {
                    let (from, to) = words.split_once("->").unwrap_or(("*", words));
                    let read = |name: &str| Pattern::read(name.trim()).map_err(|what| wrong(&what));
                    let says = Call { from: read(from)?, to: read(to)?, reason: reason.into() };
                    if says.reason.len() < 10 {
                        return Err(wrong("no reason is given"));
                    }
                    list.calls.push(Line { number, says });
                }
                _ => return Err(wrong("the line is before [text] and [calls]")),
            }
        }
        Ok(list)
    }

    /// The linker script's patterns of input sections, for legacy mangling and for v0.
    pub fn linker_script(&self) -> String {
        let mut script = String::from("/* Made of noprobe.txt. */\n");
        for line in &self.text {
            let sections = line.says.sections().join(" ");
            script += &format!("*({sections}) /* {} */\n", line.says);
        }
        script
    }
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with the pattern.
    pub fn read(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Any);
        }
        if let Some(symbol) = text.strip_prefix("extern ") {
            return Ok(Self::Extern(symbol.trim().into()));
        }
        let Some(inner) = text.strip_prefix('<') else { return Path::read(text).map(Self::Path) };
        let inner = inner.strip_suffix('>').ok_or("`<` without `>` at the end")?;
        let Some((of, what)) = inner.split_once(" as ") else {
            return Ok(Self::Methods(Path::read(inner)?, None));
        };
        Ok(Self::Methods(Path::read(of)?, Some(Path::read(what)?)))
    }

    fn is_open(&self) -> bool {
        let open = |path: &Path| path.open;
        match self {
            Self::Any | Self::Extern(_) => false,
            Self::Path(path) => path.open,
            Self::Methods(of, what) => of.open || what.as_ref().is_some_and(open),
        }
    }

    /// Whether the compiler, and not this project, decides which functions with such names an image has.
    pub fn is_the_compilers(&self) -> bool {
        match self {
            Self::Any | Self::Extern(_) => true,
            Self::Path(path) | Self::Methods(path, _) => {
                ["core", "alloc", "compiler_builtins"].contains(&path.crate_name())
            }
        }
    }

    /// Whether this pattern names the function `name`, which is a demangled symbol.
    pub fn covers(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Extern(symbol) => name == symbol,
            Self::Path(path) => {
                // v0 writes an inherent method as `<a::B>::c`, and legacy mangling writes it as `a::B::c`.
                let plain = without_arguments(name);
                let own = plain.strip_prefix('<').filter(|rest| !rest.contains(" as "));
                path.begins(&own.map_or(plain.clone(), |own| own.replacen(">::", "::", 1)))
            }
            Self::Methods(of, what) => name.strip_prefix('<').is_some_and(|rest| {
                let Some((own, of_what)) = rest.split_once(" as ") else { return false };
                of.begins(own) && what.as_ref().is_none_or(|what| what.begins(of_what))
            }),
        }
    }

    /// Patterns for the input sections of these functions, as rustc names them. They may match more functions than this, and never
    /// fewer.
    fn sections(&self) -> Vec<String> {
        match self {
            Self::Any => vec![],
            Self::Extern(symbol) => vec![format!(".text.{symbol}")],
            Self::Path(path) => {
                vec![format!(".text*._ZN{}*", path.legacy()), format!(".text*._R*{}*", path.v0())]
            }
            Self::Methods(of, None) => {
                vec![format!(".text*._ZN*_$LT${}*", of.dotted()), format!(".text*._R*X*{}*", of.v0())]
            }
            Self::Methods(of, Some(what)) => {
                let legacy = format!(".text*._ZN*_$LT${}*$u20$as$u20${}*", of.dotted(), what.dotted());
                // v0 writes a crate's name once, and later refers back to it.
                let same = of.crate_name() == what.crate_name();
                let what = if same { String::new() } else { format!("{}*", what.v0()) };
                vec![legacy, format!(".text*._R*X*{}*{what}", of.v0())]
            }
        }
    }
}

impl Path {
    fn read(text: &str) -> Result<Self, String> {
        let open = text.ends_with('*');
        let path = text.trim_end_matches('*');
        let is_name = |name: &str| {
            let mut letters = name.chars();
            letters.next().is_some_and(|first| first.is_alphabetic() || first == '_')
                && letters.all(|letter| letter.is_alphanumeric() || letter == '_')
        };
        if !path.split("::").all(is_name) {
            return Err(format!("`{text}` is no path"));
        }
        Ok(Self { text: path.into(), open })
    }

    fn crate_name(&self) -> &str {
        self.text.split("::").next().unwrap_or_default()
    }

    fn begins(&self, name: &str) -> bool {
        let Some(rest) = name.strip_prefix(self.text.as_str()) else { return false };
        self.open || !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_')
    }

    /// The path as legacy mangling writes it, such as `5debug4step`.
    fn legacy(&self) -> String {
        self.text.split("::").map(|name| format!("{}{name}", name.len())).collect()
    }

    /// The path as legacy mangling writes it inside of a component.
    fn dotted(&self) -> String {
        self.text.replace("::", "..")
    }

    /// As [`Self::legacy`], but with `_` before a name that begins with `_`.
    fn v0(&self) -> String {
        let name =
            |name: &str| format!("{}{}{name}", name.len(), if name.starts_with('_') { "_" } else { "" });
        self.text.split("::").map(name).collect()
    }
}

/// `a::B<C, D>::e` without `<C, D>`.
fn without_arguments(name: &str) -> String {
    let mut plain = String::new();
    let (mut depth, mut before) = (0, ' ');
    for letter in name.chars() {
        let opens = letter == '<' && (depth > 0 || before.is_alphanumeric() || before == '_');
        if opens {
            depth += 1;
        } else if depth == 0 {
            plain.push(letter);
        } else if letter == '>' && before != '-' {
            depth -= 1;
        }
        before = letter;
    }
    plain
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.text, if self.open { "*" } else { "" })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Extern(symbol) => write!(f, "extern {symbol}"),
            Self::Path(path) => path.fmt(f),
            Self::Methods(of, None) => write!(f, "<{of}>"),
            Self::Methods(of, Some(what)) => write!(f, "<{of} as {what}>"),
        }
    }
}
