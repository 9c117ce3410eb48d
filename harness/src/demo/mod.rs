//! The main job: shows what the kernel can do, on the machine at hand and with the tick running, by counts that are measured.
//!
//! Each item prints one line: it compares counts of the same events that different parts of the kernel have made. The items of the kernel
//! half have a file each. Those of the user half ([`user`]) are a program's.

mod breakpoint;
mod crowd;
mod nested;
mod probe;
mod step;
mod tick;
mod user;
mod warn;
mod watch;

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use kernel::debug::slots;
use kernel::irq::off;
use kernel::kprobe::ProbeError;
use kernel::options;
use kernel::{println, smp};

/// The result of an item: its counts, and whether they agree.
struct Finding {
    counts: String,
    agree: bool,
}

/// The result of an item, or the error that has ended it.
type Outcome = Result<Finding, Failure>;

/// Why an item could not be shown.
struct Failure(String);

macro_rules! failures {
    ($($error:ty),*) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self(error.to_string())
            }
        }
    )*};
}

failures!(ProbeError, ::slots::SlotError, rules::step::StepError);

/// Shows one item.
type Show = fn() -> Outcome;

const ITEMS: [(&str, Show); 6] = [
    ("WARN", warn::show),
    ("kprobe", probe::show),
    ("breakpoint", breakpoint::show),
    ("watchpoint", watch::show),
    ("single step", step::show),
    ("nested", nested::show),
];

/// The items that the machine can show. Without an initial ramdisk there is no program, and a line says so.
fn items() -> Vec<(&'static str, Show)> {
    let mut items = ITEMS.to_vec();
    match user::is_there() {
        Ok(true) => items.extend(user::ITEMS),
        Ok(false) => println!(
            "demo: without an initial ramdisk there is no program that debugs itself: the kernel half only"
        ),
        // Each item of the user half then says that it cannot be shown.
        Err(message) => {
            println!("demo: {message}");
            items.extend(user::ITEMS);
        }
    }
    items
}

/// Runs all items and prints their lines. Returns whether all counts agree. Thread context of the first CPU, interrupts on.
pub fn run() -> bool {
    let masked_by = if off::by_priority() { "the GIC's priority mask" } else { "PSTATE.I" };
    println!(
        "demo: {} CPUs, {} breakpoints and {} watchpoints each, tick {} Hz, interrupts masked by {masked_by}",
        smp::online_count(),
        slots::count(::slots::Kind::Breakpoint),
        slots::count(::slots::Kind::Watchpoint),
        options::get().hz,
    );
    let mut good = 0;
    let items = items();
    for &(name, show) in &items {
        let (verdict, text) = match show() {
            Ok(Finding { counts, agree: true }) => ("ok", counts),
            Ok(Finding { counts, agree: false }) => ("FAILED", counts),
            Err(Failure(why)) => ("FAILED", why),
        };
        good += usize::from(verdict == "ok");
        println!("demo: {verdict:<6} {name:<11}  {text}");
    }
    println!("demo: {good} of {} ok", items.len());
    good == items.len()
}
