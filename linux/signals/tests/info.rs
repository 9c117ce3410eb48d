//! `siginfo_t`, byte for byte.

use linux_raw_sys::general::{
    CLD_STOPPED, POLL_IN, SI_ASYNCNL, SI_QUEUE, SI_TIMER, SI_TKILL, SYS_SECCOMP, TRAP_PERF,
};
use signals::{Error, Fields, Info, Signal};

/// The words of 4 bytes from byte 16 on.
fn union(signal: Signal, code: i32, fields: Fields) -> Vec<u32> {
    let bytes = Info { signal, errno: 0, code, fields }.encode();
    assert!(bytes[48..].iter().all(|byte| *byte == 0));
    bytes[16..48].chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect()
}

#[test]
fn the_head_is_signal_errno_code() {
    let info = Info { errno: 3, ..Info::tkill(Signal::SIGUSR1, 5, 6) };
    assert_eq!(
        info.encode()[..24],
        [10, 0, 0, 0, 3, 0, 0, 0, 0xfa, 0xff, 0xff, 0xff, 0, 0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0]
    );
}

#[test]
fn each_kind_has_its_layout() {
    let value = 0x9_0000_0008;
    let queued = Fields::Queued { pid: -1, uid: 6, value };
    assert_eq!(union(Signal::SIGUSR1, SI_QUEUE, queued), [u32::MAX, 6, 8, 9, 0, 0, 0, 0]);
    let timer = Fields::Timer { id: 5, overrun: 6, value };
    assert_eq!(union(Signal::SIGALRM, SI_TIMER, timer), [5, 6, 8, 9, 0, 0, 0, 0]);
    let child = Fields::Child { pid: 5, uid: 6, status: 7, utime: value as i64, stime: 1 };
    assert_eq!(union(Signal::SIGCHLD, CLD_STOPPED as i32, child), [5, 6, 7, 0, 8, 9, 1, 0]);
    assert_eq!(union(Signal::SIGBUS, 1, Fields::Fault { address: value }), [8, 9, 0, 0, 0, 0, 0, 0]);
    let perf = Fields::Perf { address: value, data: 0x2_0000_0001, kind: 5, flags: 1 };
    assert_eq!(union(Signal::SIGTRAP, TRAP_PERF as i32, perf), [8, 9, 1, 2, 5, 1, 0, 0]);
    assert_eq!(
        union(Signal::SIGIO, POLL_IN as i32, Fields::Poll { band: 1, fd: 4 }),
        [1, 0, 4, 0, 0, 0, 0, 0]
    );
    let sys = Fields::Sys { address: value, syscall: 64, arch: 0xc000_00b7 };
    assert_eq!(union(Signal::SIGSYS, SYS_SECCOMP as i32, sys), [8, 9, 64, 0xc000_00b7, 0, 0, 0, 0]);
}

fn user(code: i32, rest: u8) -> [u8; 128] {
    let mut bytes = [0x5a; 128];
    bytes[8..12].copy_from_slice(&code.to_le_bytes());
    bytes[48..].fill(rest);
    bytes
}

#[test]
fn what_a_user_queues_arrives_unchanged_but_for_the_signal() {
    let bytes = user(SI_QUEUE, 0x5a);
    let info = Info::from_user(Signal::SIGUSR1, &bytes, false).unwrap();
    let arrived = info.encode();
    assert_eq!(arrived[..4], [10, 0, 0, 0]);
    assert_eq!((&arrived[4..12], &arrived[16..48]), (&bytes[4..12], &bytes[16..48]));
    assert!(arrived[12..16].iter().chain(&arrived[48..]).all(|byte| *byte == 0));
}

#[test]
fn nobody_claims_to_be_the_kernel_but_to_himself() {
    for code in [0, 1, 0x80, SI_TKILL] {
        assert_eq!(Info::from_user(Signal::SIGUSR1, &user(code, 0), false), Err(Error::Permission), "{code}");
        assert_eq!(Info::from_user(Signal::SIGUSR1, &user(code, 0), true).unwrap().code, code);
    }
}

#[test]
fn an_unknown_code_carries_48_bytes_and_no_more() {
    for (signal, code) in
        [(Signal::SIGUSR1, -8), (Signal::SIGUSR1, 7), (Signal::SIGTRAP, 7), (Signal::SIGSYS, 3)]
    {
        assert_eq!(Info::from_user(signal, &user(code, 1), true), Err(Error::TooBig), "{signal} {code}");
        assert!(Info::from_user(signal, &user(code, 0), true).is_ok());
    }
    for (signal, code) in
        [(Signal::SIGUSR1, SI_ASYNCNL), (Signal::SIGUSR1, 6), (Signal::SIGTRAP, 6), (Signal::SIGILL, 11)]
    {
        assert!(Info::from_user(signal, &user(code, 1), true).is_ok(), "{signal} {code}");
    }
}
