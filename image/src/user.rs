//! `mode=user`: the initial ramdisk's first program runs, and the machine ends with the program's status.

use harness::contend;
use kernel::println;
use kernel::report::power;
use kernel::{options, userspace};

/// Runs the first program.
pub fn run() -> ! {
    let rival = options::get().contend;
    if let Some(name) = rival {
        contend::start(name);
    }
    let ended = userspace::run_first(options::get().init.unwrap_or("/init"));
    if rival.is_some() {
        println!("{} waits for a lock of delivery", contend::waited());
    }
    match ended {
        Ok(status) => power::exit(status.as_shells_show_it().into()),
        Err(message) => {
            log::error!("{message}");
            power::exit(power::FAILURE)
        }
    }
}
