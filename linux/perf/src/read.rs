//! What `read` returns of an event.

use crate::error::Error;

const TOTAL_TIME_ENABLED: u64 = 1 << 0;
const TOTAL_TIME_RUNNING: u64 = 1 << 1;
const ID: u64 = 1 << 2;
const LOST: u64 = 1 << 4;

/// Checks `perf_event_attr.read_format`, and returns how many bytes a read has.
///
/// # Errors
/// EINVAL for a format that is not known, and for PERF_FORMAT_GROUP: there are no groups.
pub fn format_of(format: u64) -> Result<usize, Error> {
    if format & !(TOTAL_TIME_ENABLED | TOTAL_TIME_RUNNING | ID | LOST) != 0 {
        return Err(Error::EINVAL);
    }
    Ok(8 + 8 * format.count_ones() as usize)
}

/// An event as it is when it is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reading {
    /// The count.
    pub value: u64,
    /// How long the event was enabled, in nanoseconds.
    pub enabled: u64,
    /// How long it was counted, in nanoseconds.
    pub running: u64,
    /// The event's own number.
    pub id: u64,
}

impl Reading {
    /// The words that a read with this format returns. Returns how many words there are.
    pub fn words(&self, format: u64, to: &mut [u64; 5]) -> usize {
        let fields = [
            (TOTAL_TIME_ENABLED, self.enabled),
            (TOTAL_TIME_RUNNING, self.running),
            (ID, self.id),
            (LOST, 0),
        ];
        to[0] = self.value;
        let mut count = 1;
        for (bit, value) in fields {
            if format & bit != 0 {
                to[count] = value;
                count += 1;
            }
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_in_the_order_of_the_header() {
        let reading = Reading { value: 7, enabled: 100, running: 60, id: 3 };
        let of = |format| {
            let mut words = [u64::MAX; 5];
            let count = reading.words(format, &mut words);
            assert_eq!(format_of(format), Ok(8 * count));
            words[..count].to_vec()
        };
        assert_eq!(of(0), [7]);
        assert_eq!(of(3), [7, 100, 60]);
        assert_eq!(of(ID), [7, 3]);
        assert_eq!(of(0x17), [7, 100, 60, 3, 0]);
    }

    #[test]
    fn groups_and_unknown_bits_are_refused() {
        assert_eq!(format_of(1 << 3), Err(Error::EINVAL));
        assert_eq!(format_of(1 << 5), Err(Error::EINVAL));
    }
}
