//! `mode=user`: the initial ramdisk's first program runs, and the machine ends with the program's status.

use kernel::report::power;
use kernel::{options, userspace};

/// Runs the first program.
pub fn run() -> ! {
    match userspace::run_first(options::get().init.unwrap_or("/init")) {
        Ok(status) => power::exit(status.as_shells_show_it().into()),
        Err(message) => {
            log::error!("{message}");
            power::exit(power::FAILURE)
        }
    }
}
