//! The vDSO: a shared object that the kernel maps into every program. `kernel/build.rs` compiles and links it, apart from the kernel.
//!
//! It answers the questions for the time without a system call: it reads the counter, and the page of the kernel's data in front of the
//! object. What it cannot answer it asks the kernel.
#![no_std]
#![no_main]

#[path = "../src/clock/data.rs"]
mod data;

use core::arch::{asm, global_asm};
use data::{Clock, Data};

global_asm!(include_str!("sigreturn.S"), options(raw));

/// The system calls for what this object cannot answer (`__NR_` of `asm/unistd.h`).
const CLOCK_GETTIME: u64 = 113;
const CLOCK_GETRES: u64 = 114;

/// The kernel's data: the page in front of this object.
fn kernel_data() -> &'static Data {
    let object: *const u8;
    // SAFETY: computes an address.
    unsafe {
        asm!("adrp {0}, __ehdr_start", "add {0}, {0}, :lo12:__ehdr_start", out(reg) object, options(pure, nomem, nostack, preserves_flags));
    }
    // SAFETY: the kernel has mapped the page for reading, and its fields are atomics.
    unsafe { &*object.wrapping_sub(data::PAGE).cast() }
}

/// The counter. The ISB keeps the CPU from reading it before earlier instructions have completed, as the kernel does.
fn counter() -> u64 {
    let count;
    // SAFETY: EL0 may read the counter. Not `nomem`: the data that belongs to the count is not read before.
    unsafe { asm!("isb", "mrs {}, cntvct_el0", out(reg) count, options(nostack, preserves_flags)) };
    count
}

/// A system call with two arguments.
fn call(number: u64, first: u64, second: u64) -> i32 {
    let result: u64;
    // SAFETY: the arguments are the caller's own, and the kernel checks them.
    unsafe {
        asm!("svc #0", in("x8") number, inlateout("x0") first => result, in("x1") second, options(nostack))
    };
    result as i32
}

/// `struct timespec`, and `struct timeval`, whose second field has another unit.
#[repr(C)]
pub struct Time {
    seconds: u64,
    rest: u64,
}

/// clock_gettime(2).
///
/// # Safety
/// `to` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __kernel_clock_gettime(clock: i32, to: *mut Time) -> i32 {
    let data = kernel_data();
    let Some(clock) = Clock::of(clock.cast_unsigned()) else {
        return call(CLOCK_GETTIME, clock as u64, to as u64);
    };
    let now = data.time(clock, counter());
    // SAFETY: the caller's promise.
    unsafe { to.write(Time { seconds: now / data::SECOND, rest: now % data::SECOND }) };
    0
}

/// gettimeofday(2).
///
/// # Safety
/// `to` and `zone` are null or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __kernel_gettimeofday(to: *mut Time, zone: *mut [u32; 2]) -> i32 {
    if !to.is_null() {
        let now = kernel_data().time(Clock::Realtime, counter());
        // SAFETY: the caller's promise.
        unsafe { to.write(Time { seconds: now / data::SECOND, rest: now % data::SECOND / 1000 }) };
    }
    if !zone.is_null() {
        // SAFETY: the caller's promise.
        unsafe { zone.write([0; 2]) };
    }
    0
}

/// clock_getres(2).
///
/// # Safety
/// `to` is null or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __kernel_clock_getres(clock: i32, to: *mut Time) -> i32 {
    if Clock::of(clock.cast_unsigned()).is_none() {
        return call(CLOCK_GETRES, clock as u64, to as u64);
    }
    if !to.is_null() {
        // SAFETY: the caller's promise.
        unsafe { to.write(Time { seconds: 0, rest: data::RESOLUTION }) };
    }
    0
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
