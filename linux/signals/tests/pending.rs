//! The queues, also against a model that is nothing but a list.

use linux_raw_sys::general::{SI_KERNEL, SI_QUEUE, SI_TIMER, SI_USER};
use proptest::prelude::*;
use signals::{Error, Fields, Info, Pending, Pushed, SigSet, Signal, take, take_waited};

fn signal(number: u32) -> Signal {
    Signal::new(number).unwrap()
}

fn queued(number: u32, value: u64) -> Info {
    Info {
        signal: signal(number),
        errno: 0,
        code: SI_QUEUE,
        fields: Fields::Queued { pid: 7, uid: 0, value },
    }
}

fn timer(number: u32, id: i32) -> Info {
    let fields = Fields::Timer { id, overrun: 0, value: 0 };
    Info { signal: signal(number), errno: 0, code: SI_TIMER, fields }
}

fn numbers(queue: &mut Pending, blocked: SigSet) -> Vec<u32> {
    std::iter::from_fn(|| queue.take(blocked)).map(|info| info.signal.number()).collect()
}

#[test]
fn faults_come_first_then_the_lowest_number() {
    let mut queue = Pending::new();
    for number in [40, 15, 31, 1, 11, 34] {
        queue.push(queued(number, 0), 10).unwrap();
    }
    assert_eq!(numbers(&mut queue, SigSet::EMPTY), [11, 31, 1, 15, 34, 40]);
    assert!(queue.signals().is_empty());
}

#[test]
fn a_standard_signal_is_pending_once_and_the_first_info_stays() {
    let mut queue = Pending::new();
    let first = Info::kill(Signal::SIGUSR1, 1, 10);
    assert_eq!(queue.push(first, 10), Ok(Pushed::Queued));
    assert_eq!(queue.push(Info::kill(Signal::SIGUSR1, 2, 20), 10), Ok(Pushed::Merged));
    assert_eq!(queue.take(SigSet::EMPTY), Some(first));
    assert_eq!(queue.take(SigSet::EMPTY), None);
}

#[test]
fn realtime_signals_queue_in_order_up_to_the_limit() {
    let mut queue = Pending::new();
    assert_eq!(queue.push(queued(34, 1), 2), Ok(Pushed::Queued));
    assert_eq!(queue.push(queued(34, 2), 1), Ok(Pushed::Queued));
    assert_eq!(queue.push(queued(34, 3), 0), Err(Error::Again));
    assert_eq!(queue.push(queued(35, 3), 0), Err(Error::Again));
    assert_eq!(queue.signals(), SigSet::of(&[signal(34)]));
    assert_eq!(queue.take(SigSet::EMPTY), Some(queued(34, 1)));
    assert_eq!(queue.signals(), SigSet::of(&[signal(34)]));
    assert_eq!(queue.take(SigSet::EMPTY), Some(queued(34, 2)));
    assert!(queue.signals().is_empty());
}

#[test]
fn without_room_kill_still_arrives_but_not_who_sent_a_realtime_signal() {
    let mut queue = Pending::new();
    assert_eq!(queue.push(Info::kill(signal(40), 5, 6), 0), Ok(Pushed::WithoutInfo));
    assert_eq!(queue.push(Info::kill(Signal::SIGTERM, 5, 6), 0), Ok(Pushed::Queued));
    assert_eq!(queue.push(queued(16, 9), 0), Ok(Pushed::WithoutInfo));
    assert_eq!(queue.take(SigSet::EMPTY), Some(Info::kill(Signal::SIGTERM, 5, 6)));
    assert_eq!(queue.take(SigSet::EMPTY), Some(Info::kill(signal(16), 0, 0)));
    assert_eq!(queue.take(SigSet::EMPTY), Some(Info::kill(signal(40), 0, 0)));
}

#[test]
fn a_timer_has_one_entry_and_counts_its_overruns() {
    let mut queue = Pending::new();
    assert_eq!(queue.push(timer(14, 1), 0), Ok(Pushed::Queued));
    assert_eq!(queue.push(timer(14, 2), 0), Ok(Pushed::Queued));
    assert_eq!(queue.push(timer(14, 1), 0), Ok(Pushed::Merged));
    let first = queue.take(SigSet::EMPTY).unwrap();
    assert_eq!(first.fields, Fields::Timer { id: 1, overrun: 1, value: 0 });
    assert_eq!(queue.remove_timer(2), Some(timer(14, 2)));
    assert_eq!(queue.remove_timer(2), None);
    assert!(queue.signals().is_empty());
}

#[test]
fn what_is_removed_has_both_the_number_and_the_code() {
    let mut queue = Pending::new();
    for info in [queued(34, 1), queued(34, 2), Info::kernel(signal(34)), queued(35, 3)] {
        queue.push(info, 10).unwrap();
    }
    queue.remove(signal(34), SI_QUEUE);
    assert_eq!(queue.iter().map(|info| info.code).collect::<Vec<_>>(), [SI_KERNEL as i32, SI_QUEUE]);
    queue.remove(signal(34), SI_KERNEL as i32);
    assert_eq!(numbers(&mut queue, SigSet::EMPTY), [35], "no other signal is pending");
}

#[test]
fn a_threads_own_signals_come_before_its_processes() {
    let (mut thread, mut process) = (Pending::new(), Pending::new());
    process.push(Info::kernel(Signal::SIGHUP), 10).unwrap();
    thread.push(Info::kill(Signal::SIGTERM, 1, 1), 10).unwrap();
    // Sent by kill, so no fault; the real fault came later, with a higher number.
    thread.push(Info::kill(Signal::SIGILL, 1, 1), 10).unwrap();
    thread.push(Info::fault(Signal::SIGSEGV, 1, 0x1000), 10).unwrap();
    let order: Vec<_> = std::iter::from_fn(|| take(&mut thread, &mut process, SigSet::EMPTY)).collect();
    let order: Vec<_> = order.iter().map(|info| info.signal).collect();
    assert_eq!(order, [Signal::SIGSEGV, Signal::SIGILL, Signal::SIGTERM, Signal::SIGHUP]);
}

#[test]
fn faults_come_in_the_order_in_which_they_happened() {
    let (mut thread, mut process) = (Pending::new(), Pending::new());
    for fault in [Signal::SIGSEGV, Signal::SIGTRAP, Signal::SIGBUS] {
        thread.push(Info::fault(fault, 1, 0), 10).unwrap();
    }
    let blocked = SigSet::of(&[Signal::SIGTRAP]);
    assert_eq!(take(&mut thread, &mut process, blocked).unwrap().signal, Signal::SIGSEGV);
    assert_eq!(take(&mut thread, &mut process, blocked).unwrap().signal, Signal::SIGBUS);
    assert_eq!(take(&mut thread, &mut process, blocked), None);
    assert_eq!(take(&mut thread, &mut process, SigSet::EMPTY).unwrap().signal, Signal::SIGTRAP);
}

#[test]
fn sigkill_comes_before_everything() {
    let (mut thread, mut process) = (Pending::new(), Pending::new());
    thread.push(Info::fault(Signal::SIGSEGV, 1, 0), 10).unwrap();
    assert_eq!(process.push(Info::kill(Signal::SIGKILL, 1, 1), 10), Ok(Pushed::WithoutInfo));
    assert_eq!(take(&mut thread, &mut process, !SigSet::EMPTY.blockable()).unwrap().signal, Signal::SIGKILL);
}

#[test]
fn sigtimedwait_takes_what_is_blocked_but_never_sigkill() {
    let (mut thread, mut process) = (Pending::new(), Pending::new());
    process.push(Info::kill(Signal::SIGKILL, 1, 1), 10).unwrap();
    process.push(queued(40, 4), 10).unwrap();
    thread.push(queued(41, 5), 10).unwrap();
    let set = SigSet(!0);
    assert_eq!(take_waited(&mut thread, &mut process, set), Some(queued(41, 5)));
    assert_eq!(take_waited(&mut thread, &mut process, SigSet::of(&[signal(41)])), None);
    assert_eq!(take_waited(&mut thread, &mut process, set), Some(queued(40, 4)));
    assert_eq!(take_waited(&mut thread, &mut process, set), None);
}

/// The pending signals as a list in the order of arrival.
#[derive(Default)]
struct Model(Vec<Info>);

impl Model {
    fn push(&mut self, info: Info) {
        if info.signal.is_realtime() || !self.0.iter().any(|other| other.signal == info.signal) {
            self.0.push(info);
        }
    }

    fn take(&mut self, blocked: SigSet) -> Option<Info> {
        let rank = |info: &Info| (!SigSet::SYNCHRONOUS.contains(info.signal), info.signal);
        let at = (0..self.0.len())
            .filter(|at| !blocked.contains(self.0[*at].signal))
            .min_by_key(|at| (rank(&self.0[*at]), *at))?;
        Some(self.0.remove(at))
    }
}

#[derive(Clone, Debug)]
enum Step {
    Push(Info),
    Take(SigSet),
    Flush(SigSet),
}

fn step() -> impl Strategy<Value = Step> {
    let number = prop_oneof![1u32..=64, Just(34), Just(11), Just(10)]
        .prop_filter("has no entry", |number| *number != 9);
    let code = prop_oneof![Just(SI_USER as i32), Just(SI_KERNEL as i32), Just(SI_QUEUE)];
    let info =
        (number, code, any::<u64>()).prop_map(|(number, code, value)| Info { code, ..queued(number, value) });
    // Few bits, so that signals are taken more often than not.
    let set = (any::<u64>(), any::<u64>(), any::<u64>()).prop_map(|(a, b, c)| SigSet(a & b & c));
    prop_oneof![3 => info.prop_map(Step::Push), 2 => set.clone().prop_map(Step::Take), 1 => set.prop_map(Step::Flush)]
}

proptest! {
    #[test]
    fn the_queue_behaves_as_a_list(steps in prop::collection::vec(step(), 0..60)) {
        let (mut queue, mut model) = (Pending::new(), Model::default());
        for step in steps {
            match step {
                Step::Push(info) => {
                    queue.push(info, 1).unwrap();
                    model.push(info);
                }
                Step::Take(blocked) => prop_assert_eq!(queue.take(blocked), model.take(blocked)),
                Step::Flush(set) => {
                    queue.flush(set);
                    model.0.retain(|info| !set.contains(info.signal));
                }
            }
            prop_assert_eq!(queue.queued(), model.0.len());
            let signals: Vec<_> = model.0.iter().map(|info| info.signal).collect();
            prop_assert_eq!(queue.signals(), SigSet::of(&signals));
        }
    }
}
