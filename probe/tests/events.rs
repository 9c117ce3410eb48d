//! The parser of `kprobe_events` lines: which lines it accepts, every way in which a line can be wrong, and that it never panics.
use proptest::prelude::*;
use stepwell_probe::events::{
    Command, Event, Kind, MAX_ACTIVE, MAX_NAME, Probe, Problem, SyntaxError, Target, parse,
};

const NO_NAME: Event = Event { group: None, name: None };

fn named(name: &str) -> Event<'_> {
    Event { group: None, name: Some(name) }
}

fn in_group<'a>(group: &'a str, name: &'a str) -> Event<'a> {
    Event { group: Some(group), name: Some(name) }
}

fn entry<'a>(event: Event<'a>, name: &'a str, offset: u64) -> Command<'a> {
    Command::Probe(Probe { kind: Kind::Entry, event, target: Target::Symbol { name, offset } })
}

fn ret<'a>(max_active: Option<u16>, event: Event<'a>, name: &'a str) -> Command<'a> {
    Command::Probe(Probe {
        kind: Kind::Return { max_active },
        event,
        target: Target::Symbol { name, offset: 0 },
    })
}

#[test]
fn probes() {
    assert_eq!(parse("p timer_tick"), Ok(entry(NO_NAME, "timer_tick", 0)));
    assert_eq!(parse("p:tick timer_tick"), Ok(entry(named("tick"), "timer_tick", 0)));
    assert_eq!(parse("p:irq/tick timer_tick+16"), Ok(entry(in_group("irq", "tick"), "timer_tick", 16)));
    assert_eq!(
        parse("p:irq/ timer_tick"),
        Ok(entry(Event { group: Some("irq"), name: None }, "timer_tick", 0))
    );
    assert_eq!(parse("p timer_tick+0x1C"), Ok(entry(NO_NAME, "timer_tick", 0x1c)));
    assert_eq!(parse(" \tp:a   b+0 \t"), Ok(entry(named("a"), "b", 0)));
    let address =
        |n| Ok(Command::Probe(Probe { kind: Kind::Entry, event: NO_NAME, target: Target::Address(n) }));
    assert_eq!(parse("p 0xffff800080001234"), address(0xffff_8000_8000_1234));
    assert_eq!(parse("p 4096"), address(4096));
    assert_eq!(parse("p 0"), address(0));
    assert_eq!(parse("p 0xffffffffffffffff"), address(u64::MAX));
}

#[test]
fn return_probes_and_removals() {
    assert_eq!(parse("r timer_tick"), Ok(ret(None, NO_NAME, "timer_tick")));
    assert_eq!(parse("r:back timer_tick+0"), Ok(ret(None, named("back"), "timer_tick")));
    assert_eq!(parse("r16:g/back timer_tick"), Ok(ret(Some(16), in_group("g", "back"), "timer_tick")));
    assert_eq!(parse("r4096 f"), Ok(ret(Some(MAX_ACTIVE), NO_NAME, "f")));
    assert_eq!(parse("p:back timer_tick%return"), Ok(ret(None, named("back"), "timer_tick")));
    assert_eq!(parse("p timer_tick+0%return"), Ok(ret(None, NO_NAME, "timer_tick")));
    assert_eq!(parse("r8 timer_tick%return"), Ok(ret(Some(8), NO_NAME, "timer_tick")));
    assert_eq!(parse("-:tick"), Ok(Command::Remove(named("tick"))));
    assert_eq!(parse("-:irq/tick"), Ok(Command::Remove(in_group("irq", "tick"))));
    assert_eq!(parse("-:irq/"), Ok(Command::Remove(Event { group: Some("irq"), name: None })));
}

#[test]
fn names_of_rust() {
    for name in [
        "kernel::time::tick",
        "core::ptr::drop_in_place<alloc::vec::Vec<u8, A>>",
        "<alloc::vec::Vec<T> as core::ops::drop::Drop>::drop",
        "<impl core::fmt::Debug for [T; 4]>::fmt",
        "core::slice::<impl [T]>::len",
        "<dyn core::any::Any + core::marker::Send as Foo<'_>>::bar",
        "<fn(u32) -> u64 as Call<(A, B)>>::call",
        "kernel::main::{closure#0}",
        "kernel::main::{{closure}}",
        "<T as Into<U>>::into::{shim:vtable#0}",
        "memcpy.llvm.1234",
        "$x.7",
        "_ZN4core3ptr13drop_in_place17h0123456789abcdefE",
        "größe::μs",
        "Vec<&'static mut *const T>::new",
    ] {
        for (suffix, offset) in [("", 0), ("+8", 8), ("+0x8", 8)] {
            let line = format!("p:e {name}{suffix}");
            assert_eq!(parse(&line), Ok(entry(named("e"), name, offset)), "{line}");
            assert_eq!(
                Command::to_string(&parse(&line).unwrap()),
                format!("p:e {name}{}", if offset > 0 { "+0x8" } else { "" })
            );
        }
        let line = format!("p {name}%return");
        assert_eq!(parse(&line), Ok(ret(None, NO_NAME, name)), "{line}");
    }
}

#[test]
fn quoted_names() {
    assert_eq!(parse("p \"operator new\"+4"), Ok(entry(NO_NAME, "operator new", 4)));
    assert_eq!(parse("r \"a<b\"%return"), Ok(ret(None, NO_NAME, "a<b")));
    assert_eq!(parse("p \"0day\""), Ok(entry(NO_NAME, "0day", 0)));
    assert_eq!(parse("p \"operator new\"+4").unwrap().to_string(), "p \"operator new\"+0x4");
    assert_eq!(parse("p \"plain\"").unwrap().to_string(), "p plain");
}

/// The line has a caret before the byte at which the error must be.
#[track_caller]
fn bad(marked: &str, problem: Problem) {
    let at = marked.find('^').expect("a caret");
    let line = marked.replacen('^', "", 1);
    assert_eq!(parse(&line), Err(SyntaxError { at, problem }), "{line}");
}

/// The cases of Linux's kprobe_syntax_errors.tc that do not need a symbol table, and more of their kinds.
#[test]
fn bad_heads() {
    bad("^", Problem::NoCommand);
    bad("^  ", Problem::NoCommand);
    bad("^x timer_tick", Problem::UnknownCommand);
    bad(" ^:a b", Problem::UnknownCommand);
    bad("^é", Problem::UnknownCommand);
    bad("p^100 vfs_read", Problem::MaxActiveOnProbe);
    bad("p^1:a vfs_read", Problem::MaxActiveOnProbe);
    bad("p^robe vfs_read", Problem::BadCommandTail);
    bad("r^1a111 vfs_read", Problem::BadMaxActive);
    bad("r^x:a vfs_read", Problem::BadMaxActive);
    bad("r^-1 vfs_read", Problem::BadMaxActive);
    bad("r^100000 vfs_read", Problem::MaxActiveTooBig);
    bad("r^4097 vfs_read", Problem::MaxActiveTooBig);
    bad("r^99999999999999999999999 vfs_read", Problem::BadMaxActive);
}

#[test]
fn bad_event_names() {
    let long = "x".repeat(MAX_NAME + 1);
    bad("p:^ vfs_read", Problem::NoEventName);
    bad("p:^/bar vfs_read", Problem::NoGroupName);
    bad("p:^/ vfs_read", Problem::NoGroupName);
    bad(&format!("p:^{long}/bar vfs_read"), Problem::GroupNameTooLong);
    bad(&format!("p:foo/^{long} vfs_read"), Problem::EventNameTooLong);
    bad(&format!("p:^{long} vfs_read"), Problem::EventNameTooLong);
    bad("p:foo^.1/bar vfs_read", Problem::BadGroupName);
    bad("p:^1foo/bar vfs_read", Problem::BadGroupName);
    bad("p:foo/bar^.1 vfs_read", Problem::BadEventName);
    bad("p:foo/bar^/baz vfs_read", Problem::BadEventName);
    bad("p:^1bar vfs_read", Problem::BadEventName);
    bad("p:my^-probe vfs_read", Problem::BadEventName);
    bad("p:ev^é vfs_read", Problem::BadEventName);
    bad("r:^ vfs_read", Problem::NoEventName);
    let fits = "x".repeat(MAX_NAME);
    assert_eq!(parse(&format!("-:{fits}/{fits}")), Ok(Command::Remove(in_group(&fits, &fits))));
}

#[test]
fn bad_removals() {
    bad("-^", Problem::NothingToRemove);
    bad("-^tick", Problem::NothingToRemove);
    bad("-^ :tick", Problem::NothingToRemove);
    bad("-:^", Problem::NoEventName);
    bad("-:^/tick", Problem::NoGroupName);
    bad("-:tick ^vfs_read", Problem::RemoveTakesNoTarget);
    bad("-:ti^*", Problem::BadEventName);
}

#[test]
fn bad_places() {
    bad("p^", Problem::NoTarget);
    bad("p:a^", Problem::NoTarget);
    bad("p:a ^+8", Problem::NoTarget);
    bad("p ^\"\"", Problem::NoTarget);
    bad("p hoge^-fuga", Problem::BadSymbol);
    bad("p hoge+^1000-1000", Problem::BadOffset);
    bad("p hoge+^", Problem::BadOffset);
    bad("p hoge+^ 8", Problem::BadOffset);
    bad("p hoge+^0x", Problem::BadOffset);
    bad("p hoge+^-8", Problem::BadOffset);
    bad("p hoge+^+8", Problem::BadOffset);
    bad("p hoge+^8+8", Problem::BadOffset);
    bad("p hoge+^010", Problem::BadOffset);
    bad("p hoge+^1f", Problem::BadOffset);
    bad("p hoge+^18446744073709551616", Problem::BadOffset);
    bad("p ^0x10000000000000000", Problem::BadAddress);
    bad("p ^12ab", Problem::BadAddress);
    bad("p ^0777", Problem::BadAddress);
    bad("p ^4096+4", Problem::BadAddress);
    bad("p ext4^:read", Problem::Module);
    bad("p a::b^:c", Problem::Module);
    bad("p a^&b", Problem::BadSymbol);
    bad("p ^@path:1", Problem::BadSymbol);
    bad("p a^\"b\"", Problem::BadSymbol);
    bad("p \"a\"^b", Problem::BadSymbol);
    bad("p ^\"abc", Problem::UnclosedQuote);
    bad("p ^\"", Problem::UnclosedQuote);
    bad("p a^<b", Problem::UnbalancedBracket);
    bad("p a<b^(c", Problem::UnbalancedBracket);
    bad("p a^>b", Problem::UnbalancedBracket);
    bad("p a<b^)", Problem::UnbalancedBracket);
    bad("p a<b^\tc>", Problem::BadSymbol);
    bad("p vfs_read^%hoge", Problem::BadSuffix);
    bad("p vfs_read^%", Problem::BadSuffix);
    bad("p vfs_read^%return1", Problem::BadSuffix);
    bad("p 4096^%rtn", Problem::BadSuffix);
    bad("r vfs_read^+10", Problem::ReturnInsideFunction);
    bad("p vfs_read^+0x10%return", Problem::ReturnInsideFunction);
    bad("r \"vfs read\"^+4", Problem::ReturnInsideFunction);
    let deep = format!("p {}^{}", "<".repeat(128), "<".repeat(128));
    bad(&deep, Problem::UnbalancedBracket);
}

/// Everything that Linux's test gives as fetch arguments, good or bad, has one answer.
#[test]
fn fetch_arguments() {
    for argument in [
        "$retval",
        "$stack",
        "$stack10000",
        "$arg1",
        "$none_var",
        "%x0",
        "%none_reg",
        "@12345678abcde",
        "@+10",
        "arg1=\\x",
        "arg1=\\\"abc",
        "+0@0)",
        "+0ab1(@0)",
        "+0(+0(@0",
        "arg1=%x0:u8",
        "abc=",
        "^abc",
        "-4(%sp)",
        "a=b c=d",
    ] {
        let line = format!("p:e vfs_read+4 {argument}");
        assert_eq!(parse(&line), Err(SyntaxError { at: 15, problem: Problem::FetchArguments }), "{line}");
    }
    bad("r vfs_read%return ^$retval", Problem::FetchArguments);
    bad("p 4096  ^x", Problem::FetchArguments);
    bad("p \"a b\" ^x", Problem::FetchArguments);
    bad("p <A as B>::c ^x", Problem::FetchArguments);
}

#[test]
fn errors_say_where_and_what() {
    let error = parse("p:my-probe f").unwrap_err();
    assert_eq!(
        error.to_string(),
        "at byte 4: bad event name; expected letters, digits and _, not beginning with a digit"
    );
}

fn identifier() -> impl Strategy<Value = String> {
    "[a-zA-Z_][a-zA-Z0-9_]{0,62}"
}

fn symbol() -> impl Strategy<Value = String> {
    let path = "[a-z_][a-z0-9_]{0,8}(::[a-z_]{1,8}){0,2}".prop_map(String::from);
    path.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("<{a} as {b}>::f")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{}<({a}, [{b}; 4])>", "g")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("h<fn({a} + X) -> {b}>::{{closure#1}}")),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_printed_is_read_back(
        group in prop::option::of(identifier()), name in prop::option::of(identifier()), symbol in symbol(), offset: u64,
        address in prop::option::of(any::<u64>()), kind in prop::option::of(prop::option::of(0..=MAX_ACTIVE)),
    ) {
        let event = Event { group: group.as_deref(), name: name.as_deref() };
        let kind = kind.map_or(Kind::Entry, |max_active| Kind::Return { max_active });
        let target = match address {
            Some(address) => Target::Address(address),
            None => Target::Symbol { name: &symbol, offset: if kind == Kind::Entry { offset } else { 0 } },
        };
        let command = Command::Probe(Probe { kind, event, target });
        let line = command.to_string();
        prop_assert_eq!(parse(&line), Ok(command));
        if event != NO_NAME {
            let command = Command::Remove(event);
            let line = command.to_string();
            prop_assert_eq!(parse(&line), Ok(command));
        }
    }

    #[test]
    fn any_text_gets_an_answer(line in "\\PC*") {
        if let Err(error) = parse(&line) {
            prop_assert!(line.is_char_boundary(error.at));
        }
    }

    #[test]
    fn any_text_that_looks_like_a_probe_gets_an_answer(line in "[pr-]([0-9]{1,5})?:?[a/.]{0,4}[ \t][\"<>(){}\\[\\]+%:a0x é-]{0,20}") {
        match parse(&line) {
            Err(error) => prop_assert!(line.is_char_boundary(error.at)),
            Ok(command) => {
                let line = command.to_string();
                prop_assert_eq!(parse(&line), Ok(command));
            }
        }
    }
}
