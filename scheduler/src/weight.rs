//! Shares of CPU time, and virtual time.

use crate::{Priority, consts::MAX_CHARGE};

/// The weight of nice 0.
pub(crate) const NICE_0: u64 = 1024;

/// The weight of SCHED_IDLE (Linux's WEIGHT_IDLEPRIO).
const IDLE: u64 = 3;

/// 1024 / 1.25^nice, rounded: each step of nice changes a task's share by about a tenth. Linux's table (`sched_prio_to_weight`)
/// is rounded a little differently, by less than one in a hundred.
const fn weight_of_nice(nice: i8) -> u64 {
    let steps = nice.unsigned_abs() as u32;
    let (up, down) = if nice < 0 { (5, 4) } else { (4, 5) };
    // At most 1024 * 5^20, which is below 2^57.
    let (numerator, denominator) = (NICE_0 * u64::pow(up, steps), u64::pow(down, steps));
    (numerator + denominator / 2) / denominator
}

const WEIGHTS: [u64; 40] = {
    let mut weights = [0; 40];
    let mut index = 0;
    while index < weights.len() {
        weights[index] = weight_of_nice(index as i8 - 20);
        index += 1;
    }
    weights
};

/// The weight of a task with this priority. Real-time tasks have none; while they are in nobody's fair queue nothing asks for it.
pub(crate) fn weight(priority: Priority) -> u64 {
    match priority {
        Priority::Fair(0) => NICE_0,
        Priority::Idle => IDLE,
        Priority::Fair(nice) => WEIGHTS.get((i16::from(nice) + 20) as usize).copied().unwrap_or(NICE_0),
        Priority::RealTime(_) => NICE_0,
    }
}

/// What `nanoseconds` of CPU time are in virtual time: equal shares have equal virtual run times.
#[inline(always)]
pub(crate) fn virtual_time(nanoseconds: u64, priority: Priority) -> u64 {
    let nanoseconds = nanoseconds.min(MAX_CHARGE);
    if priority == Priority::Fair(0) {
        // Most tasks: no division.
        return nanoseconds;
    }
    weighted(nanoseconds, priority)
}

#[inline(never)]
fn weighted(nanoseconds: u64, priority: Priority) -> u64 {
    // MAX_CHARGE keeps the product in 64 bits.
    nanoseconds * NICE_0 / weight(priority)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_follow_nice() {
        assert_eq!(
            [weight(Priority::Fair(0)), weight(Priority::Fair(1)), weight(Priority::Fair(19))],
            [1024, 819, 15]
        );
        assert_eq!(weight(Priority::Fair(-20)), 88818);
        assert!(WEIGHTS.is_sorted_by(|a, b| a > b));
        assert_eq!(virtual_time(u64::MAX, Priority::Idle), (1 << 60) / 3);
        assert_eq!(virtual_time(1000, Priority::Fair(0)), 1000);
    }
}
