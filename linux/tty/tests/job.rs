//! Who may use a terminal.

use linux_raw_sys::errno::{EINVAL, EIO, ENOTTY, EPERM, ESRCH};
use linux_raw_sys::general::TOSTOP;
use signals::Signal;
use tty::{Access, Caller, Denied, Job, Termios};

const SHELL: Caller = Caller {
    session: 10,
    group: 10,
    leads_session: true,
    controlled_by_this: true,
    has_terminal: true,
    orphaned: false,
    ignores_signal: false,
};
const BACKGROUND: Caller = Caller { group: 20, leads_session: false, ..SHELL };
const JOB: Job = Job { session: Some(10), foreground: Some(10) };

fn tostop() -> Termios {
    let termios = Termios::default();
    Termios { lflag: termios.lflag | TOSTOP, ..termios }
}

#[test]
fn the_foreground_may_do_all() {
    for access in [Access::Read, Access::Write, Access::Change] {
        assert_eq!(JOB.check(access, &SHELL, &tostop()), Ok(()));
        let elsewhere = Caller { controlled_by_this: false, ..BACKGROUND };
        assert_eq!(JOB.check(access, &elsewhere, &tostop()), Ok(()));
        let nobody = Job { foreground: None, ..JOB };
        assert_eq!(nobody.check(access, &BACKGROUND, &tostop()), Ok(()));
    }
}

#[test]
fn the_background_is_stopped() {
    let check = |access, caller: Caller| JOB.check(access, &caller, &tostop());
    assert_eq!(check(Access::Read, BACKGROUND), Err(Denied::Signal(Signal::SIGTTIN)));
    assert_eq!(check(Access::Write, BACKGROUND), Err(Denied::Signal(Signal::SIGTTOU)));
    assert_eq!(check(Access::Change, BACKGROUND), Err(Denied::Signal(Signal::SIGTTOU)));
    let ignores = Caller { ignores_signal: true, ..BACKGROUND };
    assert_eq!(check(Access::Read, ignores), Err(Denied::Errno(EIO)));
    assert_eq!(check(Access::Write, ignores), Ok(()));
    assert_eq!(check(Access::Change, Caller { orphaned: true, ..ignores }), Ok(()));
    for access in [Access::Read, Access::Write, Access::Change] {
        assert_eq!(check(access, Caller { orphaned: true, ..BACKGROUND }), Err(Denied::Errno(EIO)));
    }
    let plain = Termios::default();
    assert_eq!(JOB.check(Access::Write, &BACKGROUND, &plain), Ok(()), "without TOSTOP");
    assert_eq!(JOB.check(Access::Change, &BACKGROUND, &plain), Err(Denied::Signal(Signal::SIGTTOU)));
}

#[test]
fn a_shell_moves_groups_to_the_foreground() {
    let session_of =
        |group| [(10, 10), (20, 10), (30, 11)].iter().find(|(g, _)| *g == group).map(|(_, s)| *s);
    let mut job = JOB;
    assert_eq!(job.set_foreground(20, &SHELL, session_of), Ok(()));
    assert_eq!(job.foreground_for(&SHELL), Ok(20));
    assert_eq!(job.set_foreground(10, &SHELL, session_of), Err(Denied::Signal(Signal::SIGTTOU)));
    let ignores = Caller { ignores_signal: true, ..SHELL };
    assert_eq!(job.set_foreground(10, &ignores, session_of), Ok(()));
    assert_eq!(job.set_foreground(-1, &SHELL, session_of), Err(Denied::Errno(EINVAL)));
    assert_eq!(job.set_foreground(40, &SHELL, session_of), Err(Denied::Errno(ESRCH)));
    assert_eq!(job.set_foreground(30, &SHELL, session_of), Err(Denied::Errno(EPERM)));
    let orphan = Caller { orphaned: true, ..BACKGROUND };
    assert_eq!(job.set_foreground(20, &orphan, session_of), Err(Denied::Errno(ENOTTY)));
    let elsewhere = Caller { controlled_by_this: false, ..SHELL };
    assert_eq!(job.set_foreground(20, &elsewhere, session_of), Err(Denied::Errno(ENOTTY)));
    assert_eq!(job.foreground_for(&elsewhere), Err(Denied::Errno(ENOTTY)));
    assert_eq!(job, JOB);
}

#[test]
fn a_session_leader_takes_a_free_terminal() {
    let leader = Caller { has_terminal: false, controlled_by_this: false, ..SHELL };
    let mut job = Job::default();
    assert_eq!(job.acquire(&Caller { leads_session: false, ..leader }, false), Err(Denied::Errno(EPERM)));
    assert_eq!(job.acquire(&Caller { has_terminal: true, ..leader }, false), Err(Denied::Errno(EPERM)));
    assert_eq!((job.acquire(&leader, false), job), (Ok(()), JOB));
    assert_eq!(job.acquire(&SHELL, false), Ok(()), "it has it already");
    let other = Caller { session: 11, group: 11, ..leader };
    assert_eq!(job.acquire(&other, false), Err(Denied::Errno(EPERM)));
    assert_eq!(job, JOB);
    assert_eq!(job.acquire(&other, true), Ok(()));
    assert_eq!((job.release(), job), (Some(11), Job::default()));
}
