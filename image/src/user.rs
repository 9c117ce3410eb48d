//! `mode=user`: the initial ramdisk's first program runs, and the machine ends with the program's status.

use kernel::report::power;
use kernel::{options, task};

/// Runs the first program.
pub fn run() -> ! {
    match task::run_first(options::get().init.unwrap_or("/init")) {
        Ok(status) => power::exit(status.as_shells_show_it().into()),
        Err(message) => {
            log::error!("{message}");
            power::exit(power::FAILURE)
        }
    }
}
