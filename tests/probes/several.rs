//! Several probes at one address, and probes that are switched off and on.

use crate::address_of;
use crate::failed;
use crate::order::{self, post, pre};
use harness::ktest::{Outcome, everywhere};
use harness::{check, check_eq};
use kernel::arch::uaccess;
use kernel::exception::DebugFrame;
use kernel::kprobe::{self, Kprobe, Then};

specimen! {
    fn ordinary(n: u64) -> u64 {
        "add x0, x0, #9", "ret"
    }

    fn branch(n: u64) -> u64 {
        "b 1f", "add x0, x0, #100", "1: add x0, x0, #9", "ret"
    }
}

fn skip(_: &Kprobe, frame: &mut DebugFrame) -> Then {
    order::note(5);
    frame.x[0] = 77;
    frame.pc = frame.x[30];
    Then::Skip
}

pub fn several_probes_at_one_address_are_hit_in_their_order() -> Outcome {
    for function in [ordinary, branch] {
        let address = address_of!(function);
        let calls = |digits: u64| {
            check_eq!(order::of(|| function(1)), (10, digits));
            Ok(())
        };
        let first = kprobe::register(address, Some(pre::<1>), Some(post::<6>)).map_err(failed)?;
        calls(16)?;
        let second = kprobe::register(address, Some(pre::<2>), None).map_err(failed)?;
        calls(126)?;
        let third = kprobe::register(address, None, Some(post::<8>)).map_err(failed)?;
        calls(1268)?;
        let last = kprobe::register(address, Some(skip), None).map_err(failed)?;
        check_eq!(order::of(|| function(1)), (77, 125), "every pre-handler is called, and no post-handler");
        check_eq!(everywhere::others(), 4);
        check_eq!(kprobe::remove(second), (3, 0));
        check_eq!(kprobe::remove(last), (1, 0));
        calls(168)?;
        check_eq!(kprobe::remove(first), (5, 0));
        calls(8)?;
        check_eq!(kprobe::unregister(address), Ok((4, 0)), "{}", third.hits());
        calls(0)?;
    }
    Ok(())
}

pub fn a_probe_that_is_off_is_not_hit() -> Outcome {
    for function in [ordinary, branch] {
        let address = address_of!(function);
        let text = uaccess::read_u32(address);
        let word = kprobe::original(address);
        let first = kprobe::register(address, None, None).map_err(failed)?;
        let probed = uaccess::read_u32(address);
        let second = kprobe::register(address, None, Some(post::<1>)).map_err(failed)?;
        let call = |expected: (u64, u64)| {
            check_eq!(function(1), 10);
            check_eq!((first.hits(), second.hits()), expected);
            Ok(())
        };
        call((1, 1))?;
        kprobe::disable(first);
        check_eq!((first.is_enabled(), second.is_enabled()), (false, true));
        call((1, 2))?;
        kprobe::disable(second);
        check_eq!(uaccess::read_u32(address), text, "no probe is left that needs a BRK");
        call((1, 2))?;
        check_eq!(kprobe::original(address), word);
        kprobe::enable(first);
        check!(uaccess::read_u32(address) != text, "{probed:x?} or a branch");
        call((2, 2))?;
        kprobe::enable(first);
        kprobe::enable(second);
        call((3, 3))?;
        kprobe::disable(second);
        check_eq!(kprobe::remove(first), (3, 0));
        check_eq!(uaccess::read_u32(address), text);
        call_off(function, second, 3)?;
        let third = kprobe::register(address, None, None).map_err(failed)?;
        call_off(function, second, 3)?;
        check_eq!(kprobe::remove(second), (3, 0));
        check_eq!(function(1), 10);
        check_eq!(kprobe::remove(third), (2, 0));
        check_eq!(uaccess::read_u32(address), text);
    }
    Ok(())
}

fn call_off(function: extern "C" fn(u64) -> u64, probe: &Kprobe, hits: u64) -> Outcome {
    check_eq!(function(1), 10);
    check_eq!(probe.hits(), hits);
    Ok(())
}
