//! The console: a PL011, shared by all CPUs and usable in every context.
//!
//! In debug and NMI context (PSTATE.D is set) a printer must not wait for the console. If this CPU holds the console already,
//! waiting would last for ever. In both cases the text goes to a buffer of this CPU, and is printed with the CPU's next ordinary
//! line.

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
/// The CPU that prints, or [`FREE`].
static HOLDER: AtomicUsize = AtomicUsize::new(FREE);

fn uart() -> Pl011 {
    // SAFETY: `BASE` is always the address of a PL011 that is mapped: the default one by the boot tables, then by `init`.
    unsafe { Pl011::new(BASE.load(Relaxed)) }
}

/// Switches to the console whose registers are mapped at this (virtual) address.
pub fn init(base: usize) {
    BASE.store(base, Relaxed);
    uart().init();
}

/// Sends a byte, and a CR before each LF, as terminals expect.
fn send(byte: u8) {
    let uart = uart();
    if byte == b'\n' {
        uart.put(b'\r');
    }
    uart.put(byte);
}

/// Passes text on to a function, byte by byte.
struct Put<'a>(&'a mut dyn FnMut(u8));

impl Write for Put<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(&mut self.0);
        Ok(())
    }
}

/// Prints. Any context. Only text that does not fit in a CPU's buffer is lost; the lost bytes are counted and reported.
#[inline(never)]
pub fn print(text: fmt::Arguments) {
    print_by(&mut send, text);
}

/// As [`print`], but calls `put` for each byte instead of sending it: for tests, which look at what is printed. If `put` itself
/// prints, that text is kept for later.
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
    give_up(put);
}

/// Gives the console up, with interrupts off, after it has printed what this CPU has kept.
fn give_up(put: &mut dyn FnMut(u8)) {
    deferred::flush(put);
    HOLDER.store(FREE, Release);
    // Prints what the handler of a BRK has kept after the flush, while this CPU still held the console.
    while deferred::any() && HOLDER.compare_exchange(FREE, percpu::index(), Acquire, Relaxed).is_ok() {
        deferred::flush(put);
        HOLDER.store(FREE, Release);
    }
}

/// Prints what this CPU has kept, if the console is free. Called by the tick, because a CPU that becomes idle prints no next line.
pub fn flush_kept() {
    if deferred::any() && HOLDER.load(Relaxed) == FREE {
        print(format_args!(""));
    }
}

/// Prints without asking who holds the console: for the report at the kernel's end, when all other CPUs are stopped. All exceptions
/// must be masked.
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

/// Sends bytes as they are. Thread and interrupt context.
pub fn send_bytes(bytes: &[u8]) {
    let _off = IrqOff::new();
    let me = percpu::index();
    debug_assert_ne!(HOLDER.load(Relaxed), me, "bytes are sent in debug context");
    while HOLDER.compare_exchange(FREE, me, Acquire, Relaxed).is_err() {
        crate::arch::barrier::relax();
    }
    deferred::flush(&mut send);
    let uart = uart();
    bytes.iter().for_each(|&byte| uart.put(byte));
    give_up(&mut send);
}
