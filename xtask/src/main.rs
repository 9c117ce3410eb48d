//! Builds, boots, tests and measures Stepwell.

mod args;
mod barriers;
mod bench;
mod build;
mod capture;
mod code;
mod docs;
mod doctor;
mod fuzz;
mod gdb;
mod gdbserver;
mod gdbstub;
mod inventory;
mod json;
mod ktap;
mod lab;
mod line;
mod lint;
mod machines;
mod model;
mod mutate;
mod noprobe;
mod pack;
mod paths;
mod pool;
mod process;
mod qemu;
mod ramdisk;
mod remote;
mod run;
mod say;
mod session;
mod setup;
mod storm;
mod sweep;
mod symbolise;
mod symbols;
mod test;
#[cfg(test)]
mod testing;
mod timeline;
mod trace;
mod user;

use anyhow::Result;
use args::{Cli, Command};
use clap::Parser;
use say::say;
use setup::Unprepared;
use setup::decide::Need;
use std::process::ExitCode;

fn main() -> ExitCode {
    match dispatch(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            say!("{error:#}");
            ExitCode::from(if error.is::<Unprepared>() { 2 } else { 1 })
        }
    }
}

fn dispatch(command: Command) -> Result<ExitCode> {
    match command {
        Command::Run(arguments) => run::run(&arguments).map(ExitCode::from),
        Command::QemuTest(arguments) => test::qemu_test(&arguments).map(verdict),
        Command::Gdb(arguments) => gdb::run(&arguments).map(ExitCode::from),
        Command::Bench(arguments) => bench::bench(&arguments).map(verdict),
        Command::Sweep(arguments) => sweep::sweep(&arguments).map(verdict),
        Command::Storm(arguments) => storm::storm(&arguments).map(verdict),
        Command::Fuzz(arguments) => fuzz::fuzz(&arguments).map(verdict),
        Command::Mutate(arguments) => mutate::mutate(&arguments).map(verdict),
        Command::Lab(arguments) => lab::lab(&arguments).map(verdict),
        Command::Model(arguments) => Ok(verdict(model::model(&arguments))),
        Command::Timeline(arguments) => timeline::timeline(&arguments).map(verdict),
        Command::Runner(arguments) => run::runner(&arguments).map(ExitCode::from),
        Command::Doctor => doctor::doctor().map(verdict),
        Command::Setup => {
            setup::prepare(Need { qemu: true, gdb: true, user: true, tracers: true, ..Need::default() })?;
            say!("ready");
            Ok(ExitCode::SUCCESS)
        }
        Command::User => user::show().map(|()| ExitCode::SUCCESS),
        Command::Docs => docs::write().map(|()| ExitCode::SUCCESS),
        Command::Lint => lint::lint().map(|()| ExitCode::SUCCESS),
    }
}

fn verdict(good: bool) -> ExitCode {
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
