//! The requests of `ioctl` on an event.
#![allow(missing_docs, reason = "Linux's names")]

const fn io(number: u32) -> u32 {
    (b'$' as u32) << 8 | number
}

pub const ENABLE: u32 = io(0);
pub const DISABLE: u32 = io(1);
pub const RESET: u32 = io(3);
pub const PERIOD: u32 = 1 << 30 | 8 << 16 | io(4);
pub const ID: u32 = 2 << 30 | 8 << 16 | io(7);
pub const MODIFY_ATTRIBUTES: u32 = 1 << 30 | 8 << 16 | io(11);

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_are_linuxs() {
        // As `cc` computes them from the header.
        assert_eq!(
            [super::ENABLE, super::DISABLE, super::RESET, super::PERIOD, super::ID, super::MODIFY_ATTRIBUTES],
            [0x2400, 0x2401, 0x2403, 0x4008_2404, 0x8008_2407, 0x4008_240b]
        );
    }
}
