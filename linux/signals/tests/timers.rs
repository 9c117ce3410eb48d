//! Timers of `timer_create`: expiries, overruns, what is left.

use linux_raw_sys::general::{CLOCK_MONOTONIC, CLOCK_TAI, SI_TIMER};
use signals::{Error, Fields, Info, Notify, Pending, Pushed, Setting, SigSet, Signal, Timers};

fn every(first: u64, interval: u64) -> Setting {
    Setting { first, interval }
}

fn overrun_of(info: &Info) -> (i32, i32) {
    match info.fields {
        Fields::Timer { id, overrun, .. } => (id, overrun),
        _ => panic!("no timer's signal: {info:?}"),
    }
}

#[test]
fn a_timer_expires_once_and_tells_what_is_left() {
    let mut timers = Timers::new();
    let id = timers.create(CLOCK_MONOTONIC, Notify::Process(Signal::SIGALRM), None).unwrap();
    assert_eq!(timers.next(), None);
    assert_eq!(timers.set(id, every(100, 0), 10), Ok(every(0, 0)));
    assert_eq!(timers.next(), Some(100));
    assert_eq!(timers.get(id, 40), Ok(every(60, 0)));
    assert_eq!(timers.expire(99), None);
    // Due, but not sent: it still runs.
    assert_eq!(timers.get(id, 150), Ok(every(1, 0)));
    let (thread, info) = timers.expire(150).unwrap();
    assert_eq!((thread, info.signal, info.code), (None, Signal::SIGALRM, SI_TIMER));
    assert_eq!(info.fields, Fields::Timer { id, overrun: 0, value: id as u64 });
    assert_eq!((timers.expire(u64::MAX), timers.next()), (None, None));
    assert_eq!(timers.get(id, 200), Ok(every(0, 0)));
}

#[test]
fn missed_expiries_are_counted_and_the_rhythm_stays() {
    let mut timers = Timers::new();
    let id = timers.create(CLOCK_MONOTONIC, Notify::Thread(Signal::SIGUSR1, 7), Some(9)).unwrap();
    timers.set(id, every(100, 10), 0).unwrap();
    let (thread, first) = timers.expire(135).unwrap();
    assert_eq!((thread, overrun_of(&first)), (Some(7), (id, 3)));
    assert_eq!(timers.next(), Some(140));
    assert_eq!(timers.get(id, 135), Ok(every(5, 10)));
    // While the signal waits, further expiries go into it.
    let mut queue = Pending::new();
    assert_eq!(queue.push(first, 0), Ok(Pushed::Queued));
    let (_, second) = timers.expire(155).unwrap();
    assert_eq!(overrun_of(&second), (id, 1));
    assert_eq!(queue.push(second, 0), Ok(Pushed::Merged));
    let mut delivered = queue.take(SigSet::EMPTY).unwrap();
    assert_eq!(overrun_of(&delivered), (id, 5));
    assert_eq!(timers.overrun(id), Ok(0));
    // The expiry at 160 has not been sent: it is counted when the signal is delivered.
    timers.delivered(&mut delivered, || 165);
    assert_eq!((timers.overrun(id), overrun_of(&delivered)), (Ok(6), (id, 6)));
    assert_eq!((timers.expire(165), timers.next()), (None, Some(170)));
    timers.set(id, every(0, 0), 165).unwrap();
    assert_eq!(timers.overrun(id), Ok(0));
    timers.delivered(&mut Info::kernel(Signal::SIGHUP), || 170);
    assert_eq!(timers.overrun(id), Ok(0));
}

#[test]
fn a_timer_without_a_signal_is_only_asked() {
    let mut timers = Timers::new();
    let id = timers.create(CLOCK_MONOTONIC, Notify::Nothing, None).unwrap();
    timers.set(id, every(100, 30), 0).unwrap();
    assert_eq!((timers.next(), timers.expire(1000)), (None, None));
    assert_eq!(timers.get(id, 90), Ok(every(10, 30)));
    assert_eq!(timers.get(id, 100), Ok(every(30, 30)));
    assert_eq!(timers.get(id, 175), Ok(every(15, 30)));
    timers.set(id, every(100, 0), 0).unwrap();
    assert_eq!(timers.get(id, 100), Ok(every(0, 0)));
}

#[test]
fn numbers_are_not_given_twice_and_unknown_ones_refused() {
    let mut timers = Timers::new();
    let ids: Vec<_> =
        (0..1024).map(|_| timers.create(CLOCK_MONOTONIC, Notify::Nothing, None).unwrap()).collect();
    assert_eq!(ids, (0..1024).collect::<Vec<_>>());
    assert_eq!(timers.create(CLOCK_MONOTONIC, Notify::Nothing, None), Err(Error::Again));
    timers.delete(5).unwrap();
    assert_eq!(timers.create(CLOCK_MONOTONIC, Notify::Nothing, None), Ok(1024));
    let other = timers.create(CLOCK_TAI, Notify::Nothing, None);
    assert_eq!(other, Err(Error::Again));
    timers.delete(6).unwrap();
    let other = timers.create(CLOCK_TAI, Notify::Nothing, None).unwrap();
    assert_eq!((timers.clock(other), timers.clock(7)), (Ok(CLOCK_TAI), Ok(CLOCK_MONOTONIC)));
    assert_eq!(timers.delete(5), Err(Error::Invalid));
    assert_eq!(timers.get(5, 0), Err(Error::Invalid));
    assert_eq!(timers.set(-1, every(1, 0), 0), Err(Error::Invalid));
    assert_eq!(timers.overrun(i32::MAX), Err(Error::Invalid));
    assert_eq!(timers.ids().count(), 1024);
}

#[test]
fn no_setting_overflows() {
    let mut timers = Timers::new();
    let id = timers.create(CLOCK_MONOTONIC, Notify::Process(Signal::SIGALRM), None).unwrap();
    timers.set(id, every(1, 1), 0).unwrap();
    let (_, info) = timers.expire(u64::MAX).unwrap();
    assert_eq!(overrun_of(&info), (id, i32::MAX));
    timers.set(id, every(u64::MAX, u64::MAX), 0).unwrap();
    assert!(timers.expire(u64::MAX).is_some());
    assert_eq!(timers.get(id, 5), Ok(every(u64::MAX - 5, u64::MAX)));
}

#[test]
fn a_timer_of_a_clock_that_is_set_moves_with_it() {
    let mut timers = Timers::new();
    let [fixed, follows] = [(); 2].map(|()| timers.create(0, Notify::Nothing, None).unwrap());
    for id in [fixed, follows] {
        timers.set(id, every(100, 0), 0).unwrap();
    }
    timers.follow(follows).unwrap();
    timers.clock_set(50, 80);
    assert_eq!((timers.get(fixed, 0), timers.get(follows, 0)), (Ok(every(100, 0)), Ok(every(70, 0))));
    timers.clock_set(80, 50);
    assert_eq!(timers.get(follows, 0), Ok(every(100, 0)));
    timers.clock_set(0, 1000);
    assert_eq!(timers.get(follows, 0), Ok(every(1, 0)), "the past");
    // Set anew, to an instant of the clock that never jumps.
    timers.set(follows, every(100, 0), 0).unwrap();
    timers.clock_set(0, 30);
    assert_eq!(timers.get(follows, 0), Ok(every(100, 0)));
    assert_eq!(timers.follow(7), Err(Error::Invalid));
}
