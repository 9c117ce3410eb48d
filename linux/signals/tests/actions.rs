//! Actions, deliveries, restarts and alternate stacks.

use linux_raw_sys::general::{SIG_BLOCK, SIG_SETMASK, SIG_UNBLOCK, SS_AUTODISARM, SS_DISABLE, SS_ONSTACK};
use signals::{
    Action, ActionFlags, Actions, AltStack, Cut, Delivery, Entry, Error, Handler, Info, Resume, SigSet,
    Signal, Stack, deliver,
};

const SP: u64 = 0x7fff_0000;

fn action(handler: u64, flags: ActionFlags) -> Action {
    Action { handler: Handler::Address(handler), flags, ..Action::default() }
}

fn entry(actions: &mut Actions, info: Info, blocked: SigSet, alternate: &AltStack, sp: u64) -> Entry {
    match deliver(actions, info.signal, blocked, alternate, sp) {
        Delivery::Handler(entry) => entry,
        other => panic!("{other:?}"),
    }
}

fn by_default(signal: Signal) -> Delivery {
    deliver(&mut Actions::new(), signal, SigSet::EMPTY, &AltStack::DISABLED, SP)
}

#[test]
fn default_actions_are_those_of_the_manual() {
    // signal(7), the column "Action".
    let core = [3, 4, 5, 6, 7, 8, 11, 24, 25, 31];
    let (stop, ignore) = ([19, 20, 21, 22], [17, 18, 23, 28]);
    for number in 1..=64 {
        let expected = match number {
            _ if core.contains(&number) => Delivery::Terminate { core: true },
            _ if stop.contains(&number) => Delivery::Stop { unless_orphaned: number != 19 },
            _ if ignore.contains(&number) => Delivery::Ignore,
            _ => Delivery::Terminate { core: false },
        };
        assert_eq!(by_default(Signal::new(number).unwrap()), expected, "{number}");
    }
}

#[test]
fn numbers_and_names() {
    assert_eq!((Signal::new(0), Signal::new(65), Signal::new(256)), (None, None, None));
    assert_eq!(Signal::new(64).unwrap().to_string(), "SIGRTMIN+32");
    assert_eq!(Signal::SIGSEGV.to_string(), "SIGSEGV");
    assert!((1..32).all(|number| Signal::new(number).unwrap().name().is_some()));
    assert_eq!(SigSet(1 << 8 | 1).iter().collect::<Vec<_>>(), [Signal::SIGHUP, Signal::SIGKILL]);
}

#[test]
fn sigkill_and_sigstop_keep_their_action_and_are_in_no_mask() {
    let mut actions = Actions::new();
    for signal in [Signal::SIGKILL, Signal::SIGSTOP] {
        assert_eq!(actions.set(signal, Action::default()), Err(Error::Invalid));
    }
    actions.set(Signal::SIGUSR1, Action { mask: SigSet(!0), ..action(8, ActionFlags::empty()) }).unwrap();
    assert_eq!(actions.get(Signal::SIGUSR1).mask, !SigSet::UNBLOCKABLE);
    let entry = entry(&mut actions, Info::kernel(Signal::SIGUSR1), SigSet(!0), &AltStack::DISABLED, SP);
    assert_eq!(entry.blocked, !SigSet::UNBLOCKABLE);

    let mask = SigSet::of(&[Signal::SIGHUP]);
    assert_eq!(mask.changed(SIG_BLOCK, SigSet(!0)), Ok(!SigSet::UNBLOCKABLE));
    assert_eq!(mask.changed(SIG_SETMASK, SigSet::UNBLOCKABLE), Ok(SigSet::EMPTY));
    assert_eq!(mask.changed(SIG_UNBLOCK, SigSet(!1)), Ok(mask));
    assert_eq!(mask.changed(3, SigSet::EMPTY), Err(Error::Invalid));
}

#[test]
fn an_action_keeps_the_flags_that_are_known() {
    let words = [0x4000, !0, 0x5000, 0x10];
    let action = Action::from_words(words);
    assert_eq!((action.handler, action.restorer), (Handler::Address(0x4000), 0x5000));
    // SA_UNSUPPORTED and what no flag has.
    assert_eq!(action.to_words(), [0x4000, 0xdc00_0807, 0x5000, 0x10]);
    assert_eq!(Action::from_words([1, 0, 0, 0]).handler, Handler::Ignore);
}

#[test]
fn ignoring_a_signal_drops_it() {
    let mut actions = Actions::new();
    let ignore = Action { handler: Handler::Ignore, ..Action::default() };
    let usr1 = SigSet::of(&[Signal::SIGUSR1]);
    assert_eq!(actions.set(Signal::SIGUSR1, ignore).unwrap().flush, usr1);
    assert_eq!(actions.set(Signal::SIGUSR1, Action::default()).unwrap().flush, SigSet::EMPTY);
    assert_eq!(
        actions.set(Signal::SIGCHLD, Action::default()).unwrap().flush,
        SigSet::of(&[Signal::SIGCHLD])
    );

    actions.set(Signal::SIGUSR1, ignore).unwrap();
    assert!(actions.generate(Signal::SIGUSR1, SigSet::EMPTY, false).discard);
    assert!(!actions.generate(Signal::SIGUSR1, usr1, false).discard, "it is blocked");
    assert!(!actions.generate(Signal::SIGUSR1, SigSet::EMPTY, true).discard, "a debugger wants to see it");
    assert!(!actions.generate(Signal::SIGTERM, SigSet::EMPTY, false).discard);
}

#[test]
fn stop_and_continue_remove_each_other() {
    let actions = Actions::new();
    let cont = actions.generate(Signal::SIGCONT, SigSet::EMPTY, false);
    assert!(cont.continues && cont.discard);
    assert_eq!(cont.flush, SigSet::STOPS);
    let stop = actions.generate(Signal::SIGTTOU, SigSet::EMPTY, false);
    assert!(!stop.continues && !stop.discard);
    assert_eq!(stop.flush, SigSet::of(&[Signal::SIGCONT]));
    assert_eq!(actions.generate(Signal::SIGTERM, SigSet::EMPTY, false).flush, SigSet::EMPTY);
}

#[test]
fn exec_keeps_only_what_is_ignored() {
    let mut actions = Actions::new();
    let flags = ActionFlags::ONSTACK;
    actions.set(Signal::SIGUSR1, action(0x1000, flags)).unwrap();
    actions
        .set(Signal::SIGUSR2, Action { handler: Handler::Ignore, flags, restorer: 1, mask: SigSet(2) })
        .unwrap();
    actions.reset_handlers();
    assert_eq!(actions.get(Signal::SIGUSR1), Action::default());
    assert_eq!(actions.get(Signal::SIGUSR2), Action { handler: Handler::Ignore, ..Action::default() });
}

#[test]
fn sigchld_says_what_becomes_of_children() {
    let mut actions = Actions::new();
    assert_eq!((actions.reaps_children(), actions.wants_child_stops()), (false, true));
    actions.set(Signal::SIGCHLD, action(8, ActionFlags::NOCLDWAIT | ActionFlags::NOCLDSTOP)).unwrap();
    assert_eq!((actions.reaps_children(), actions.wants_child_stops()), (true, false));
    actions.set(Signal::SIGCHLD, Action { handler: Handler::Ignore, ..Action::default() }).unwrap();
    assert_eq!((actions.reaps_children(), actions.wants_child_stops()), (true, false));
}

#[test]
fn a_fault_that_is_blocked_or_ignored_ends_the_process() {
    let segv = Signal::SIGSEGV;
    let mut actions = Actions::new();
    actions.set(segv, action(0x1000, ActionFlags::empty())).unwrap();
    let mut blocked = SigSet::EMPTY;
    actions.force(segv, &mut blocked);
    assert_eq!(actions.get(segv).handler, Handler::Address(0x1000), "nothing stands against the handler");

    blocked = SigSet::of(&[segv, Signal::SIGHUP]);
    actions.force(segv, &mut blocked);
    assert_eq!((actions.get(segv).handler, blocked), (Handler::Default, SigSet::of(&[Signal::SIGHUP])));

    actions.set(segv, Action { handler: Handler::Ignore, ..Action::default() }).unwrap();
    actions.force(segv, &mut blocked);
    assert_eq!(actions.get(segv).handler, Handler::Default);
}

#[test]
fn a_frame_that_cannot_be_written_ends_in_sigsegv_and_the_second_time_for_good() {
    let (mut actions, mut blocked) = (Actions::new(), SigSet::EMPTY);
    actions.set(Signal::SIGSEGV, action(0x1000, ActionFlags::empty())).unwrap();
    actions.force_after_failed_frame(Signal::SIGUSR1, &mut blocked);
    assert_eq!(actions.get(Signal::SIGSEGV).handler, Handler::Address(0x1000));
    actions.force_after_failed_frame(Signal::SIGSEGV, &mut blocked);
    assert_eq!(actions.get(Signal::SIGSEGV).handler, Handler::Default);
    assert_eq!(actions.set(Signal::SIGSEGV, action(0x1000, ActionFlags::empty())), Err(Error::Invalid));
}

#[test]
fn a_handler_starts_as_its_flags_say() {
    let mut actions = Actions::new();
    let hup = SigSet::of(&[Signal::SIGHUP]);
    let usr1 = Signal::SIGUSR1;
    actions
        .set(usr1, Action { mask: SigSet::of(&[Signal::SIGINT]), ..action(0x1000, ActionFlags::RESETHAND) })
        .unwrap();
    let first = entry(&mut actions, Info::kernel(usr1), hup, &AltStack::DISABLED, SP);
    assert_eq!(first.blocked, SigSet::of(&[Signal::SIGHUP, Signal::SIGINT, usr1]));
    assert_eq!((first.handler, first.restorer, first.top, first.enters_alternate), (0x1000, None, SP, false));
    assert_eq!(actions.get(usr1).handler, Handler::Default);

    let flags = ActionFlags::NODEFER | ActionFlags::RESTORER;
    actions.set(usr1, Action { restorer: 0x2000, ..action(0x1000, flags) }).unwrap();
    let second = entry(&mut actions, Info::kernel(usr1), hup, &AltStack::DISABLED, SP);
    assert_eq!((second.blocked, second.restorer), (hup, Some(0x2000)));
    assert_eq!(actions.get(usr1).handler, Handler::Address(0x1000));
}

#[test]
fn tags_of_addresses_are_shown_to_those_who_ask() {
    let address = |flags, info: Info| u64::from_le_bytes(info.encode_for(flags)[16..24].try_into().unwrap());
    let fault = |address| Info::fault(Signal::SIGSEGV, 1, address);
    assert_eq!(address(ActionFlags::empty(), fault(0xab00_0000_0000_1000)), 0x1000);
    assert_eq!(address(ActionFlags::EXPOSE_TAGBITS, fault(0xab00_0000_0000_1000)), 0xab00_0000_0000_1000);
    assert_eq!(address(ActionFlags::empty(), fault(0xffff_8000_0000_0000)), 0xffff_8000_0000_0000);
    let watch = Info::fault(Signal::SIGTRAP, 4, 0xab00_0000_0000_1000);
    assert_eq!(address(ActionFlags::empty(), watch), 0xab00_0000_0000_1000);
}

#[test]
fn an_alternate_stack_is_entered_once() {
    let mut alternate = AltStack::DISABLED;
    alternate.set(Stack { sp: 0x1000, size: 0x2000, ..Stack::default() }, SP, 0x1400).unwrap();
    let mut actions = Actions::new();
    actions.set(Signal::SIGUSR1, action(8, ActionFlags::ONSTACK)).unwrap();
    actions.set(Signal::SIGUSR2, action(8, ActionFlags::empty())).unwrap();
    let mut top = |signal, sp| {
        let entry = entry(&mut actions, Info::kernel(signal), SigSet::EMPTY, &alternate, sp);
        (entry.top, entry.enters_alternate)
    };
    assert_eq!(top(Signal::SIGUSR1, SP), (0x3000, true));
    assert_eq!(top(Signal::SIGUSR1, 0x2ff0), (0x2ff0, false), "it is there already");
    assert_eq!(top(Signal::SIGUSR1, 0x1000), (0x3000, true), "the lowest address is not on it");
    assert_eq!(top(Signal::SIGUSR2, SP), (SP, false));
    assert_eq!(alternate.describe(0x2000).flags, SS_ONSTACK);
    assert_eq!(alternate.describe(SP), Stack { sp: 0x1000, size: 0x2000, ..Stack::default() });
}

#[test]
fn sigaltstack_refuses_what_linux_refuses() {
    let mut alternate = AltStack::DISABLED;
    let good = Stack { sp: 0x1000, size: 0x1400, ..Stack::default() };
    assert_eq!(alternate.describe(SP).flags, SS_DISABLE);
    assert_eq!(alternate.set(Stack { size: 0x13ff, ..good }, SP, 0x1400), Err(Error::NoMemory));
    assert_eq!(alternate.set(Stack { flags: 4, ..good }, SP, 0x1400), Err(Error::Invalid));
    assert_eq!(
        alternate.set(Stack { flags: SS_ONSTACK | SS_DISABLE, ..good }, SP, 0x1400),
        Err(Error::Invalid)
    );
    assert_eq!(alternate, AltStack::DISABLED);
    alternate.set(good, SP, 0x1400).unwrap();
    assert_eq!(alternate.set(good, 0x1800, 0x1400), Err(Error::Permission));
    alternate.set(Stack { flags: SS_DISABLE, ..good }, SP, 0x1400).unwrap();
    assert_eq!(alternate, AltStack::DISABLED);
}

#[test]
fn autodisarm_disables_the_stack_while_a_handler_runs() {
    let mut alternate = AltStack::DISABLED;
    let armed = Stack { sp: 0x1000, size: 0x2000, flags: SS_AUTODISARM, padding: 0 };
    alternate.set(armed, SP, 0x1400).unwrap();
    let mut actions = Actions::new();
    actions.set(Signal::SIGUSR1, action(8, ActionFlags::ONSTACK)).unwrap();
    let entry = entry(&mut actions, Info::kernel(Signal::SIGUSR1), SigSet::EMPTY, &alternate, SP);
    assert_eq!((entry.top, entry.alternate), (0x3000, AltStack::DISABLED));
    assert_eq!(alternate.saved(), armed);
    assert_eq!(alternate.describe(0x2000).flags, SS_AUTODISARM, "the program is never on it");
}

#[test]
fn calls_restart_as_linux_restarts_them() {
    use Resume::{Again, Interrupted, RestartSyscall};
    let plain = Some(ActionFlags::SIGINFO);
    let restart = Some(ActionFlags::RESTART);
    let table = [
        (Cut::RestartSys, Again, Interrupted, Again),
        (Cut::RestartNoIntr, Again, Again, Again),
        (Cut::RestartNoHand, Again, Interrupted, Interrupted),
        (Cut::RestartBlock, RestartSyscall, Interrupted, Interrupted),
    ];
    for (cut, none, without, with) in table {
        assert_eq!(
            (cut.resume(None), cut.resume(plain), cut.resume(restart)),
            (none, without, with),
            "{cut:?}"
        );
        assert_eq!(Cut::from_errno(cut.errno()), Some(cut));
    }
    assert_eq!(Cut::from_errno(515), None);
}
