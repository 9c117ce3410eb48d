//! `probes --blacklist`: lists the text that takes neither probes nor breakpoints (rules H6, K2).

use super::Error;
use crate::mm::layout;
use crate::report::symbols::{self, Kind, Symbol};
use core::fmt::Write;
use core::ops::Range;

/// The ranges in which `kprobe::register` refuses probes, each with the reason.
fn ranges() -> [(Range<usize>, &'static str); 3] {
    let (text, no_probe) = (layout::text_start(), layout::noprobe_text_start());
    [
        (text..no_probe, "the image's header and the way from reset to the kernel"),
        (
            no_probe..layout::noprobe_text_end(),
            "entry, exit, dispatcher, slot manager, probe engine, and what those call",
        ),
        (layout::copies(), "copies of probed instructions, trampolines"),
    ]
}

/// Writes each range with its symbols and their sizes, and the sum of all ranges.
pub fn show(out: &mut dyn Write) -> Result<(), Error> {
    let mut total = 0;
    for (range, what) in ranges() {
        writeln!(out, "  {:016x}-{:016x} {:>7}  {what}", range.start, range.end, range.len())?;
        // Copies and trampolines lie outside of the image's text.
        if range.start < layout::text_end() {
            total += range.len();
        }
        let inside =
            |symbol: &Symbol| symbol.kind == Kind::Text && range.contains(&(symbol.address as usize));
        for symbol in symbols::all().filter(inside) {
            writeln!(out, "  {:016x} {:>24}  {}", symbol.address, symbol.size, symbol.name)?;
        }
    }
    let text = layout::text_end() - layout::text_start();
    writeln!(out, "  {total} of {text} bytes of text cannot be probed, {} percent", total * 100 / text)?;
    Ok(())
}
