use super::*;
use crate::testing::Random;

fn symbol(name: &str, offset: u64) -> Location<'_> {
    Location::Symbol { name, offset }
}

#[test]
fn every_form_of_every_command_is_understood() {
    use Access::{Read, ReadWrite, Write};
    let add = |location, length, access| Command::Watch(Watch::Add { location, length, access });
    let cases = [
        ("", Command::Nothing),
        (" \t ", Command::Nothing),
        ("help", Command::Help { topic: None }),
        ("probe", Command::Probe(Probe::List)),
        ("probe p:tick timer_tick+0x10", Command::Probe(Probe::Add { spec: "p:tick timer_tick+0x10" })),
        ("probe  r:x  f  $retval ", Command::Probe(Probe::Add { spec: "r:x  f  $retval" })),
        ("probe -:tick", Command::Probe(Probe::Remove { name: "tick" })),
        ("break", Command::Break(Break::List)),
        ("break 0xffff800000081000", Command::Break(Break::Add(Location::Address(0xffff_8000_0008_1000)))),
        ("break kernel::time::tick+0x8", Command::Break(Break::Add(symbol("kernel::time::tick", 8)))),
        ("break <A+B>::f+4", Command::Break(Break::Add(symbol("<A+B>::f", 4)))),
        (
            "break <stepwell_slots::SlotError as core::fmt::Display>::fmt+0x8",
            Command::Break(Break::Add(symbol("<stepwell_slots::SlotError as core::fmt::Display>::fmt", 8))),
        ),
        ("break [u8; 4]::f+4", Command::Break(Break::Add(symbol("[u8; 4]::f", 4)))),
        ("break f::{{closure}}", Command::Break(Break::Add(symbol("f::{{closure}}", 0)))),
        ("break <fn() -> u8 as T>::f", Command::Break(Break::Add(symbol("<fn() -> u8 as T>::f", 0)))),
        ("break \"operator new\"+4", Command::Break(Break::Add(symbol("operator new", 4)))),
        ("watch <A as B>::C+4 8 r", add(symbol("<A as B>::C", 4), Some(8), Read)),
        ("probes --blacklist", Command::Blacklist),
        ("  break   _start  ", Command::Break(Break::Add(symbol("_start", 0)))),
        ("break -3", Command::Break(Break::Remove { number: 3 })),
        ("watch", Command::Watch(Watch::List)),
        ("watch TICKS", add(symbol("TICKS", 0), None, Write)),
        ("watch TICKS+4 4", add(symbol("TICKS", 4), Some(4), Write)),
        ("watch 4096 0x1000 rw", add(Location::Address(4096), Some(4096), ReadWrite)),
        ("watch r r", add(symbol("r", 0), None, Read)),
        ("watch -0", Command::Watch(Watch::Remove { number: 0 })),
        ("step", Command::Step { count: 1 }),
        ("step 1000", Command::Step { count: 1000 }),
        ("cpu", Command::Cpu(Cpu::List)),
        ("cpu 3 online", Command::Cpu(Cpu::Online { number: 3 })),
        ("slots", Command::Slots),
        ("rules", Command::Rules { id: None }),
        ("rules M8", Command::Rules { id: Some("M8") }),
        ("stats", Command::Stats),
        ("why", Command::Why { count: 16 }),
        ("why 3", Command::Why { count: 3 }),
        ("test", Command::Test { filter: None }),
        ("test slots on every cpu", Command::Test { filter: Some("slots on every cpu") }),
        ("poweroff", Command::Poweroff),
    ];
    for (line, command) in cases {
        assert_eq!(parse(line), Ok(command), "{line:?}");
    }
    for entry in COMMANDS {
        let line = format!("help {}", entry.name);
        assert_eq!(parse(&line), Ok(Command::Help { topic: Some(entry) }));
    }
}

#[test]
fn errors_say_in_one_line_what_was_expected() {
    let cases = [
        ("brek main", "unknown command 'brek': did you mean 'break'?"),
        ("b main", "unknown command 'b': did you mean 'break'?"),
        ("frobnicate", "unknown command 'frobnicate': 'help' lists the commands"),
        ("help stpe", "unknown command 'stpe': did you mean 'step'?"),
        ("break 12zz", "expected an address or SYMBOL[+OFFSET], found '12zz'"),
        (
            "break 0x1_0000_0000_0000_0000",
            "expected an address or SYMBOL[+OFFSET], found '0x1_0000_0000_0000_0000'",
        ),
        ("break main+", "expected an address or SYMBOL[+OFFSET], found 'main+'"),
        ("break +8", "expected an address or SYMBOL[+OFFSET], found '+8'"),
        ("break *main", "expected an address or SYMBOL[+OFFSET], found '*main'"),
        ("break <A as B", "expected an address or SYMBOL[+OFFSET], found '<A'"),
        ("break A)>::f", "expected an address or SYMBOL[+OFFSET], found 'A)>::f'"),
        ("break \"f", "expected an address or SYMBOL[+OFFSET], found '\\\"f'"),
        ("break \"\"+4", "expected an address or SYMBOL[+OFFSET], found '\\\"\\\"+4'"),
        ("break \"f\"x", "expected an address or SYMBOL[+OFFSET], found '\\\"f\\\"x'"),
        ("break f++4", "expected an address or SYMBOL[+OFFSET], found 'f++4'"),
        ("probes", "expected --blacklist ('probe' lists the probes), found the end of the line"),
        ("probes all", "expected --blacklist ('probe' lists the probes), found 'all'"),
        ("break -x", "expected -N, with a number from the list, found '-x'"),
        ("break main 4", "'4' is too much: see 'help break'"),
        ("watch x 0", "expected a length in bytes, or r, w or rw, found '0'"),
        ("watch x 8 rx", "expected r, w or rw, found 'rx'"),
        ("watch x w 8", "'8' is too much: see 'help watch'"),
        ("step 0", "expected a number of instructions, 1 or more, found '0'"),
        ("step -1", "expected a number of instructions, 1 or more, found '-1'"),
        ("probe -:", "expected a probe's name after '-:', found the end of the line"),
        ("probe -tick", "expected -:NAME to remove a probe, found '-tick'"),
        ("probe -:a b", "'b' is too much: see 'help probe'"),
        ("cpu one online", "expected the number of a CPU, found 'one'"),
        ("cpu 1", "expected 'online', found the end of the line"),
        ("cpu 1 offline", "expected 'online', found 'offline'"),
        ("cpu 1 online now", "'now' is too much: see 'help cpu'"),
        ("slots now", "'now' is too much: see 'help slots'"),
        ("poweroff 1", "'1' is too much: see 'help poweroff'"),
        ("\u{1b}[2J", "unknown command '\\u{1b}[2J': 'help' lists the commands"),
    ];
    for (line, message) in cases {
        let error = parse(line).expect_err(line);
        assert_eq!(error.to_string(), message, "{line:?}");
    }
}

#[test]
fn the_help_is_the_table() {
    let mut all = String::new();
    write_help(&mut all, None).expect("a String takes all");
    let forms: Vec<_> = COMMANDS.iter().flat_map(|entry| entry.forms).collect();
    assert_eq!(all.lines().count(), forms.len());
    for form in forms {
        assert!(all.contains(form.syntax) && all.contains(form.help), "{form:?}");
    }
    for entry in COMMANDS {
        let mut one = String::new();
        write_help(&mut one, Some(entry)).expect("a String takes all");
        assert_eq!(one.lines().count(), entry.forms.len());
        assert!(entry.forms.iter().all(|form| form.syntax.split(' ').next() == Some(entry.name)));
    }
}

#[test]
fn a_location_is_written_as_it_is_read() {
    for text in [
        "0xffff800000081000",
        "main",
        "kernel::time::tick+0x8",
        "<A as B<C + D>>::f+0x10",
        "\"operator new\"+0x4",
    ] {
        assert_eq!(Location::parse(text).expect(text).to_string(), text);
    }
}

#[test]
fn no_line_panics_and_no_error_has_two_lines() {
    let words = [
        "help",
        "probe",
        "break",
        "watch",
        "step",
        "slots",
        "rules",
        "stats",
        "why",
        "test",
        "poweroff",
        "probes",
        "--blacklist",
        "<a b>",
        "\"",
        "f+",
        "-",
        "-1",
        "-:",
        "-:a",
        "0x",
        "0xffffffffffffffff",
        "99999999999999999999",
        "+",
        "a+b",
        "a+1",
        "r",
        "w",
        "rw",
        "é",
        "\u{0}",
        "\r",
        "\n",
        "\u{2028}",
        "  ",
        "\t",
        "<a>",
        "",
    ];
    let mut random = Random(2);
    for _ in 0..100_000 {
        let mut line = String::new();
        for _ in 0..random.below(6) {
            match random.below(4) {
                0 => line.push(char::from_u32(random.below(0x300) as u32).unwrap_or(' ')),
                _ => line.push_str(random.pick(&words)),
            }
            if random.below(2) == 0 {
                line.push(' ');
            }
        }
        if let Err(error) = parse(&line) {
            assert!(!error.to_string().chars().any(|c| c.is_control()), "{line:?}: {error}");
        }
    }
}
