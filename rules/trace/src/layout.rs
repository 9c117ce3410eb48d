//! Where the records are in memory: a page with the header, and behind it one ring for each CPU.
//!
//! | offset | what |
//! |---|---|
//! | 0 | [`MAGIC`], two words |
//! | 16 | the number of rings |
//! | 24 | how many records a ring has room for, a power of 2 |
//! | 32 | ticks of the records' clock in a second |
//! | 64 and every 64 bytes behind | for each ring how many records were begun in it, ever |
//! | [`PAGE`] | the rings, one behind the other |
//!
//! Record number `n` of a ring, counted from 0, is at the place `n % capacity`. Its first word is `n + 1` once the record is whole. So a record
//! that a later one has taken the place of, or that was never finished, is known by its number.

/// The size of the header, which begins at a multiple of it, in bytes.
pub const PAGE: usize = 4096;

/// What the header begins with.
pub const MAGIC: [u64; 2] = [0x6c6c_6577_7065_7473, 0x3120_6563_6172_7420];

/// The offset of the number of rings.
pub const CPUS: usize = 16;

/// The offset of the number of records that a ring has room for.
pub const CAPACITY: usize = 24;

/// The offset of the clock's frequency.
pub const FREQUENCY: usize = 32;

/// The size of a record, in bytes.
pub const RECORD: usize = 64;

/// The most rings.
pub const MOST_CPUS: usize = PAGE / 64 - 1;

/// The offset of the count of a CPU's records.
pub const fn count(cpu: usize) -> usize {
    64 * (cpu + 1)
}

/// The offset of the record with the number `number` in a CPU's ring. `capacity` is a power of 2.
pub const fn place(cpu: usize, capacity: usize, number: u64) -> usize {
    PAGE + (cpu * capacity + (number as usize & (capacity - 1))) * RECORD
}

/// The size of the header and of all rings, in bytes.
pub const fn size(cpus: usize, capacity: usize) -> usize {
    PAGE + cpus * capacity * RECORD
}
