//! Places for probes that are given as the names of symbols.

use crate::address_of;
use crate::failed;
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;
use harness::check_eq;
use harness::ktest::Outcome;
use kernel::kprobe::{self, ProbeError};
use kernel::mm::layout;
use kernel::report::place::{Place, PlaceError};
use kernel::report::symbols::{self, Kind, SymbolError};

const TWIN: &str = "tests::probes::names::twin";

specimen! {
    /// `first` and `second` have the same demangled name, as the instances of a generic function do.
    #[unsafe(export_name = "_ZN5tests6probes5names4twin17h1000000000000001E")]
    fn first(n: u64) -> u64 {
        "add x0, x0, #1", "ret"
    }

    #[unsafe(export_name = "_ZN5tests6probes5names4twin17h2000000000000002E")]
    fn second(n: u64) -> u64 {
        "add x0, x0, #2", "ret"
    }

    #[unsafe(export_name = "_RNvNtNtCsabc_5tests6probes5names6modern")]
    fn modern(n: u64) -> u64 {
        "add x0, x0, #3", "ret"
    }
}

/// A type with a `fmt` of its own: the name of that function contains the name of the type.
struct Odd;

impl fmt::Display for Odd {
    #[inline(never)]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("odd, and formatted by a function that has no twin")
    }
}

#[inline(never)]
fn of_this_file_only(n: u64) -> u64 {
    core::hint::black_box(n) ^ 0x6f66_5f74_6869_7300
}

fn address(text: &str) -> Result<u64, String> {
    Place::parse(text).map(|place| place.address).map_err(|error| error.to_string())
}

pub fn a_name_that_two_functions_have_is_refused_with_both() -> Outcome {
    let (one, two) = (address_of!(first), address_of!(second));
    let whole = match Place::parse(TWIN) {
        Err(PlaceError::Symbol(SymbolError::Ambiguous { name, candidates })) => (name, candidates),
        other => return Err(failed(other)),
    };
    check_eq!(whole.0, TWIN);
    let mut candidates: alloc::vec::Vec<(u64, u64)> =
        whole.1.iter().map(|symbol| (symbol.address, symbol.hash)).collect();
    candidates.sort_unstable_by_key(|(_, hash)| *hash);
    check_eq!(candidates, [(one, 0x1000_0000_0000_0001), (two, 0x2000_0000_0000_0002)]);
    let told = |(at, hash): (u64, &str)| format!("{TWIN}::h{hash} at {at:#x}");
    let mut both = [(one, "1000000000000001"), (two, "2000000000000002")];
    both.sort_unstable();
    let both = both.map(told).join(", ");
    for typed in [TWIN, "names::twin", "twin", "twin+0x4"] {
        let name = typed.trim_end_matches("+0x4");
        let expected =
            format!("'{name}' is the name of 2 symbols: {both}; give one of these names, or an address");
        check_eq!(address(typed), Err(expected));
    }
    // Each of the two is found by its hash, by its mangled name, and by its address.
    for (name, at) in [("1000000000000001", one), ("2000000000000002", two)] {
        for text in [
            format!("{TWIN}::h{name}"),
            format!("twin::h{name}"),
            format!("_ZN5tests6probes5names4twin17h{name}E"),
            format!("{at:#x}"),
        ] {
            check_eq!(address(&text), Ok(at), "{text}");
            if !text.starts_with("0x") {
                check_eq!(address(&format!("{text}+4")), Ok(at + 4), "{text}");
            }
        }
    }
    Ok(())
}

pub fn every_way_to_write_a_name_leads_to_its_function() -> Outcome {
    let fmt = <Odd as fmt::Display>::fmt as fn(&Odd, &mut fmt::Formatter<'_>) -> fmt::Result;
    let this_file = of_this_file_only as fn(u64) -> u64;
    check_eq!(format!("{Odd}").len(), 49);
    for (text, function) in [
        ("tests::probes::names::modern", address_of!(modern)),
        ("_RNvNtNtCsabc_5tests6probes5names6modern", address_of!(modern)),
        ("<tests::probes::names::Odd as core::fmt::Display>::fmt", address_of!(fmt)),
        ("\"<tests::probes::names::Odd as core::fmt::Display>::fmt\"", address_of!(fmt)),
        ("tests::probes::names::of_this_file_only", address_of!(this_file)),
        ("names::of_this_file_only", address_of!(this_file)),
        ("  of_this_file_only ", address_of!(this_file)),
    ] {
        check_eq!(address(text), Ok(function), "{text}");
        check_eq!(symbols::at(function).map(|symbol| symbol.address), Some(function), "{text}");
    }
    check_eq!(of_this_file_only(0), 0x6f66_5f74_6869_7300);
    // A label in assembly that is not exported is found, too.
    let entry = symbols::by_name("el1_irq_entry").map_err(failed)?;
    check_eq!(entry.kind, Kind::Text);
    Ok(())
}

/// Each wrong place has its own message. Either no address is found for the place, or the registration of a probe at the address is
/// refused.
pub fn each_wrong_place_has_its_error() -> Outcome {
    static DATA: u64 = 0xd503_201f_d503_201f;
    let size = symbols::at(address_of!(first)).map_or(0, |symbol| symbol.size);
    let beyond = |offset| SymbolError::Beyond { symbol: TWIN, offset, size };
    check_eq!(size, 8);
    for offset in [8, 9, 1 << 40, u64::MAX] {
        let text = format!("twin::h1000000000000001+{offset:#x}");
        check_eq!(Place::parse(&text), Err(PlaceError::Symbol(beyond(offset))), "{text}");
        check_eq!(address(&text), Err(format!("offset {offset:#x} is outside {TWIN}, which has 0x8 bytes")));
    }
    for (text, said) in [
        ("kernel::nowhere::nothing_like_it", "'kernel::nowhere::nothing_like_it': no such symbol"),
        ("names::modrn", "'names::modrn': no such symbol: did you mean 'tests::probes::names::modern'?"),
        (
            "_ZN5tests6probes5names4twin17h3000000000000003E",
            "'_ZN5tests6probes5names4twin17h3000000000000003E': no such symbol",
        ),
        ("modern+", "expected an address or SYMBOL[+OFFSET], found 'modern+'"),
        ("0x12g", "expected an address or SYMBOL[+OFFSET], found '0x12g'"),
        ("", "expected an address or SYMBOL[+OFFSET], found ''"),
    ] {
        check_eq!(address(text), Err(said.into()));
    }
    let data = &raw const DATA as u64;
    let unaligned = address_of!(modern) + 2;
    let no_probe = layout::noprobe_text_start() as u64;
    let no_text = |at: u64| (ProbeError::NotText(at), format!("{at:#x} is not in the kernel's text"));
    for (at, (error, said)) in [
        (
            unaligned,
            (
                ProbeError::Unaligned(unaligned),
                format!("{unaligned:#x} is not a multiple of 4: no instruction begins there"),
            ),
        ),
        (data, no_text(data)),
        (0xffff_ffff_0000_0000, no_text(0xffff_ffff_0000_0000)),
        (0, no_text(0)),
        (
            no_probe,
            (
                ProbeError::NoProbe(no_probe),
                format!(
                    "{} is in no-probe text, which handles debug exceptions itself",
                    symbols::Shown(no_probe)
                ),
            ),
        ),
    ] {
        check_eq!(address(&format!("{at:#x}")), Ok(at));
        let refused = kprobe::register(at, None, None).map(|probe| probe.address);
        check_eq!(refused, Err(error));
        check_eq!(error.to_string(), said);
    }
    check_eq!((first(0), second(0), modern(0)), (1, 2, 3));
    Ok(())
}
