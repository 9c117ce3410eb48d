//! The monitor: a prompt with commands that set, list and remove probes, breakpoints and watchpoints, and step.
//!
//! - this file: the prompt, and the end of the session;
//! - `session`: executes one line; `error`: what can be wrong with a line;
//! - `probes`, `blacklist`, `slots`, `walk`, `cpus`, `show`: the commands. `test` is the image's command ([`register_tests`]).

mod blacklist;
mod cpus;
mod error;
mod probes;
mod session;
mod show;
mod slots;
mod walk;

pub use error::Error;
pub use session::{Flow, Session};

use crate::console::input;
use crate::report::power;
use crate::{early, options, print, println};
use cli::{Event, LineEditor};
use core::fmt::{self, Write};
use spin::Once;

const PROMPT: &str = "stepwell> ";
/// The most characters of a line.
const WIDTH: usize = 256;
/// The number of lines that the editor remembers.
const HISTORY: usize = 32;

/// Runs the tests whose names contain the filter (`None`: all), and writes the results. Thread context of the first CPU.
pub type RunTests = fn(Option<&str>, &mut dyn Write) -> Result<(), Error>;

static TESTS: Once<RunTests> = Once::new();

/// Names the function that the command `test` runs. The kernel does not know the image's tests, so the image calls this once; a
/// later call changes nothing.
pub fn register_tests(run: RunTests) {
    TESTS.call_once(|| run);
}

/// The console, for the output of the editor and of the commands.
struct Console;

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // The console puts a CR before each LF, so the CR of the text is left out.
        for (number, part) in text.split("\r\n").enumerate() {
            print!("{}{part}", if number == 0 { "" } else { "\n" });
        }
        Ok(())
    }
}

/// Reads and executes lines until `poweroff` or ^D, and then ends the machine. The status is success if no command has failed and
/// `so_far` is true. Thread context of the first CPU, interrupts on.
pub fn run(so_far: bool) -> ! {
    if let Err(error) = input::init(early::boot().platform.uart.intid) {
        log::error!("the console's interrupt: {error}");
        power::exit(power::FAILURE)
    }
    let echo = options::get().echo;
    let mut editor = LineEditor::<WIDTH, HISTORY>::new(PROMPT, echo);
    let mut session = Session::new();
    let mut good = so_far;
    print!("{PROMPT}");
    loop {
        let outcome = match editor.feed(input::wait(), &mut Console) {
            Event::Pending => continue,
            Event::End => {
                if !echo {
                    println!();
                }
                break;
            }
            // Without echo the line is printed here, so that a log of the session shows the commands all the same.
            Event::Line(line) => {
                if !echo {
                    println!("{line}");
                }
                session.execute(line, &mut Console)
            }
            Event::Rejected(error) => {
                if !echo {
                    println!();
                }
                Err(error.into())
            }
        };
        match outcome {
            Ok(Flow::Continue) => {}
            Ok(Flow::End) => power::exit(status(good)),
            Err(error) => {
                good = false;
                println!("error: {error}");
            }
        }
        if editor.ended() {
            break;
        }
        print!("{PROMPT}");
    }
    power::exit(status(good))
}

fn status(good: bool) -> u32 {
    if good { power::SUCCESS } else { power::FAILURE }
}
