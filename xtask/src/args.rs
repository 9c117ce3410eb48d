//! The command line.

use clap::{Parser, Subcommand};

/// Builds, boots, tests and measures Stepwell.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Tell what set-up found and chose; change nothing
    Doctor,
    /// Install and build what is missing to compile and boot (the other commands do it by themselves)
    Setup,
    /// Check formatting, and clippy for host and target, with warnings denied
    #[command(hide = true)]
    Lint,
}
