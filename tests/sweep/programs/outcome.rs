//! What the programs of a scenario must have done, whatever the interrupt did.

use super::stage::{Outcome, Who, actor, outcomes};
use super::text::Act;
use signals::Signal;

/// What is wrong, as a number: that of the program in bits 19 to 16, and one of these below.
mod wrong {
    /// A register has another value after the deed; the register's number is added.
    pub const REGISTER: u64 = 0x1000;
    /// An event was not hit as often as it must be; the event's number is added.
    pub const HITS: u64 = 0x2000;
    /// A signal was given too often or not often enough; its number is added.
    pub const SIGNALS: u64 = 0x3000;
    /// `si_code` or `si_addr` of the signal of a trap.
    pub const CODE: u64 = 0x4000;
    pub const ADDRESS: u64 = 0x5000;
    /// How many laps were done.
    pub const LAPS: u64 = 0x7000;
    /// What was read from pages that are touched for the first time.
    pub const PAGES: u64 = 0x6000;
}

/// What the first program must have been given besides the signals of its traps, and how many laps it was to do.
#[derive(Clone, Copy)]
pub struct Due {
    /// How often SIGUSR1 was sent.
    pub signals: u64,
    pub laps: u64,
}

/// Looks at everything that the programs have noted. Returns what is wrong and the value that was found; 0 and 0 if all is as it must be.
pub fn facts(due: Due) -> [u64; 2] {
    outcomes(Who::First, due.laps).iter().find_map(|one| of(one, due)).unwrap_or([0, 0])
}

fn of(one: &Outcome, due: Due) -> Option<[u64; 2]> {
    let Outcome { who, part, hits, laps } = one;
    let actor = actor(*who);
    let say = |what: u64, value: u64| Some([(*who as u64 + 1) << 16 | what, value]);
    if *laps != if *who == Who::First { due.laps } else { 1 } {
        return say(wrong::LAPS, *laps);
    }
    if let Some(register) = actor.changed_register() {
        return say(wrong::REGISTER + register as u64, 0);
    }
    let missed = hits.iter().zip(part.watches).position(|(hits, (_, each))| *hits != each * laps);
    if let Some(event) = missed {
        return say(wrong::HITS + event as u64, hits[event]);
    }
    for signal in [Signal::SIGILL, Signal::SIGTRAP, Signal::SIGUSR1, Signal::SIGSEGV] {
        let [count, code, address, _] = actor.noted(signal);
        let number = u64::from(signal.number());
        let trap = part.trap.filter(|trap| trap.signal == signal);
        let sent = if *who == Who::First && signal == Signal::SIGUSR1 { due.signals } else { 0 };
        if count != trap.map_or(sent, |_| 1) {
            return say(wrong::SIGNALS + number, count);
        }
        let Some(trap) = trap else { continue };
        if code != u64::from(trap.code) {
            return say(wrong::CODE + number, code);
        }
        if !(trap.at)(address) {
            return say(wrong::ADDRESS + number, address);
        }
    }
    // 0 from the load of a new page, and twice the number of mmap, which was stored there.
    if part.act == Act::Touch && actor.result() != 444 {
        return say(wrong::PAGES, actor.result());
    }
    None
}
