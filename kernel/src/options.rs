//! The boot arguments, which are parsed once.

use crate::early;
use crate::exception::live;
use cli::BootArgs;
use cli::bootargs::LogLevel;
use log::LevelFilter;
use rules::overrides::Override;
use spin::Once;

static OPTIONS: Once<BootArgs<'static>> = Once::new();

/// The boot arguments. The first call, in `kernel_main`, parses them; after that any context.
pub fn get() -> &'static BootArgs<'static> {
    OPTIONS.call_once(|| BootArgs::parse(early::boot().platform.bootargs()))
}

/// The log level that the boot arguments ask for.
pub fn log_level() -> LevelFilter {
    match get().loglevel {
        LogLevel::Off => LevelFilter::Off,
        LogLevel::Error => LevelFilter::Error,
        LogLevel::Warn => LevelFilter::Warn,
        LogLevel::Info => LevelFilter::Info,
        LogLevel::Debug => LevelFilter::Debug,
        LogLevel::Trace => LevelFilter::Trace,
    }
}

/// Logs a warning for each boot argument that was not understood, and changes the cells of the rule table that boot
/// arguments name. Called at boot, when the log works.
pub fn apply() {
    for warning in get().warnings() {
        log::warn!("{warning}");
    }
    for cell in get().rules() {
        let change = Override::parse(cell.id, cell.column, cell.value);
        let done = match change {
            Ok(change) => live::exchange(change).map(|()| change).map_err(|error| error.into()),
            Err(error) => Err(alloc::format!("{error}")),
        };
        match done {
            Ok(change) => log::warn!("the rule table says {change} from here on"),
            Err(error) => log::warn!("rule.{}.{}={}: {error}", cell.id, cell.column, cell.value),
        }
    }
}
