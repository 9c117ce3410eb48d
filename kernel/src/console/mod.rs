//! The console: a PL011, shared by all CPUs and usable in every context.
//!
//! Where waiting is not allowed (debug and NMI context: PSTATE.D is set) or would be for ever (this CPU holds the console
//! already), what is printed goes to a buffer of the CPU's own and comes out with its next ordinary line.

mod deferred;
pub mod input;
mod logger;

pub use logger::init as init_log;

use crate::arch::daif;
use crate::drivers::pl011::Pl011;
use crate::irq::off::IrqOff;
use crate::percpu;
use core::fmt::{self, Write};
use core::sync::atomic::{
    AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use rules::pstate::Daif;

/// Base address of the PL011's registers.
static BASE: AtomicUsize = AtomicUsize::new(boot::DEFAULT_CONSOLE);
const FREE: usize = usize::MAX;
/// The CPU that prints.
static HOLDER: AtomicUsize = AtomicUsize::new(FREE);

fn uart() -> Pl011 {
    // SAFETY: `BASE` is always the address of a PL011 that is mapped: the default one by the boot tables, then by `init`.
    unsafe { Pl011::new(BASE.load(Relaxed)) }
}

/// Goes over to the console at this (virtual) address.
pub fn init(base: usize) {
    BASE.store(base, Relaxed);
    uart().init();
}

/// Sends a byte, a line's end as terminals want it.
fn send(byte: u8) {
    let uart = uart();
    if byte == b'\n' {
        uart.put(b'\r');
    }
    uart.put(byte);
}

/// Formats what is printed.
struct Put<'a>(&'a mut dyn FnMut(u8));

impl Write for Put<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(&mut self.0);
        Ok(())
    }
}

/// Prints. Any context; nothing is lost but what does not fit a CPU's buffer, and that is counted and said.
#[inline(never)]
pub fn print(text: fmt::Arguments) {
    print_by(&mut send, text);
}

/// As [`print`], with `put` in the place of the UART: for tests, which look at what is printed. `put` may print, which is then
/// kept for later.
pub fn print_by(put: &mut dyn FnMut(u8), text: fmt::Arguments) {
    let _off = IrqOff::new();
    let me = percpu::index();
    if HOLDER.load(Relaxed) == me {
        return deferred::keep(text);
    }
    let may_wait = !daif::read().contains(Daif::D);
    while HOLDER.compare_exchange(FREE, me, Acquire, Relaxed).is_err() {
        if !may_wait {
            return deferred::keep(text);
        }
        crate::arch::barrier::relax();
    }
    deferred::flush(put);
    let _ = Put(put).write_fmt(text);
    deferred::flush(put);
    HOLDER.store(FREE, Release);
    // What a BRK's handler has printed since the flush, while this CPU held the console still.
    while deferred::any() && HOLDER.compare_exchange(FREE, me, Acquire, Relaxed).is_ok() {
        deferred::flush(put);
        HOLDER.store(FREE, Release);
    }
}

/// Prints what this CPU kept, if the console is free. For the tick: a CPU that is idle afterwards prints no next line.
pub fn flush_kept() {
    if deferred::any() && HOLDER.load(Relaxed) == FREE {
        print(format_args!(""));
    }
}

/// Prints whoever holds the console: for the last words of a kernel whose other CPUs are stopped. All exceptions masked.
#[inline(never)]
pub fn print_regardless(text: fmt::Arguments) {
    deferred::flush(&mut send);
    let _ = Put(&mut send).write_fmt(text);
}

/// Prints to the console. Any context.
#[macro_export]
macro_rules! print {
    ($($arg:tt)*) => { $crate::console::print(format_args!($($arg)*)) };
}

/// Prints a line to the console. Any context.
#[macro_export]
macro_rules! println {
    () => { $crate::print!("\n") };
    ($($arg:tt)*) => { $crate::console::print(format_args!("{}\n", format_args!($($arg)*))) };
}
