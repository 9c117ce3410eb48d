//! The lines that were entered before, which up and down recall.

/// The last `H` lines of up to `N` characters, and the unfinished line while an older one is shown.
pub struct History<const N: usize, const H: usize> {
    lines: [([u8; N], usize); H],
    /// Where the next line goes.
    next: usize,
    count: usize,
    /// How many lines back the shown line is; 0 means the unfinished line.
    shown: usize,
    draft: ([u8; N], usize),
}

impl<const N: usize, const H: usize> History<N, H> {
    pub const fn new() -> Self {
        History { lines: [([0; N], 0); H], next: 0, count: 0, shown: 0, draft: ([0; N], 0) }
    }

    /// Remembers a line, unless it is blank or the same as the latest. A line of more than `N` characters is cut.
    pub fn push(&mut self, line: &[u8]) {
        let repeated = self.count > 0 && self.back(1) == line;
        if H == 0 || repeated || line.iter().all(|&c| c == b' ') {
            return;
        }
        fill(&mut self.lines[self.next], line);
        self.next = (self.next + 1) % H;
        self.count = (self.count + 1).min(H);
    }

    /// The next older or newer line, in place of `current`; `None` at either end.
    pub fn step(&mut self, older: bool, current: &[u8]) -> Option<&[u8]> {
        let to = if older { self.shown + 1 } else { self.shown.checked_sub(1)? };
        if to > self.count {
            return None;
        }
        if self.shown == 0 {
            fill(&mut self.draft, current);
        }
        self.shown = to;
        Some(if to == 0 { &self.draft.0[..self.draft.1] } else { self.back(to) })
    }

    /// Whether the shown line is the unfinished one.
    pub fn shows_draft(&self) -> bool {
        self.shown == 0
    }

    /// Goes back to the unfinished line.
    pub fn leave(&mut self) {
        self.shown = 0;
    }

    /// The line `n` back, 1 to `count`.
    fn back(&self, n: usize) -> &[u8] {
        let (line, len) = &self.lines[(self.next + H - n) % H];
        &line[..*len]
    }
}

fn fill<const N: usize>(to: &mut ([u8; N], usize), line: &[u8]) {
    to.1 = line.len().min(N);
    to.0[..to.1].copy_from_slice(&line[..to.1]);
}
