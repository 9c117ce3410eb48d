//! The `log` crate's back end.

use crate::drivers::timer;
use crate::percpu;
use log::{LevelFilter, Log, Metadata, Record};

struct Console;

static CONSOLE: Console = Console;

impl Log for Console {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let micros = timer::now() as u128 * 1_000_000 / timer::frequency() as u128;
        crate::println!(
            "[{:5}.{:06}] cpu{} {:<5} {}",
            micros / 1_000_000,
            micros % 1_000_000,
            percpu::index(),
            record.level(),
            record.args()
        );
    }

    fn flush(&self) {}
}

/// Starts logging, of records up to this level.
pub fn init(level: LevelFilter) {
    if log::set_logger(&CONSOLE).is_ok() {
        log::set_max_level(level);
    }
}
