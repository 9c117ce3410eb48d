//! The image links kernel, harness and tests. The boot argument `mode=` says what the image does after boot.
#![cfg(target_os = "none")]
#![no_std]
#![cfg_attr(test, no_main)]

extern crate alloc;

use alloc::vec::Vec;
use harness::ktest::Suite;
use harness::{bench, demo, ktest, storm, sweep};
use kernel::report::power;
use kernel::{drivers::timer, exception, monitor, options, println, smp};
use tests::{APART, DEATHS, SCENARIOS, STORM, SUITES, UNFIT_UNDER_PROBES};

mod user;

kernel::image_main!(run);

/// Does what `mode=` says, and ends the machine.
fn run() -> ! {
    exception::register_hooks(&harness::HOOKS);
    monitor::register_tests(|filter, out| ktest::command(SUITES, filter, out));
    let options = options::get();
    let started = timer::now();
    match smp::present().saturating_sub(smp::online_count()) {
        0 => log::info!("{} CPUs online", smp::online_count()),
        held => log::info!("{} CPUs online, {held} held back", smp::online_count()),
    }
    match options.mode.unwrap_or("run") {
        "test" => test(SUITES, options.test.unwrap_or("")),
        "apart" => {
            let suites: Vec<_> = APART.iter().map(|apart| apart.suite).collect();
            test(&suites, options.test.unwrap_or(""))
        }
        "list" => {
            ktest::list(SUITES, APART, DEATHS);
            for scenario in SCENARIOS.iter().flat_map(|group| group.iter()) {
                println!("list: sweep {}", scenario.name);
            }
            power::exit(power::SUCCESS)
        }
        "bench" => {
            bench::costs(started);
            power::exit(power::SUCCESS)
        }
        "samples" => {
            bench::samples();
            power::exit(power::SUCCESS)
        }
        "stretches" => {
            bench::stretches();
            power::exit(power::SUCCESS)
        }
        "die" => die(options.die.unwrap_or("")),
        "sweep" => {
            let all = if options.pairs { sweep::Extent::Pairs } else { sweep::Extent::Every(options.share) };
            let extent = options.k.map_or(all, sweep::Extent::One);
            let name = options.test.unwrap_or("");
            let good = sweep::run(SCENARIOS, sweep::Choice { name, from: options.from, unfit: &[], extent });
            power::exit(if good { power::SUCCESS } else { power::FAILURE })
        }
        "storm" => {
            // Without `seed=` the time of boot serves as the seed; the storm prints it.
            let good = storm::run(STORM, options.seed.unwrap_or(started), options.exceptions);
            power::exit(if good { power::SUCCESS } else { power::FAILURE })
        }
        "run" => {
            let good = demo::run();
            monitor::run(good)
        }
        "monitor" => monitor::run(true),
        "user" => user::run(),
        other => {
            log::error!(
                "mode={other}: expected run, test, apart, list, sweep, storm, die, bench, samples, stretches, monitor or user"
            );
            power::exit(power::FAILURE)
        }
    }
}

fn test(suites: &[&Suite], filter: &str) -> ! {
    let options = options::get();
    let counts = match options.probes {
        None => ktest::run(suites, ktest::Choice { filter, ..Default::default() }),
        Some(every) => {
            let seed = options.seed.unwrap_or(0);
            ktest::everywhere::run(suites, SCENARIOS, filter, &UNFIT_UNDER_PROBES, every, seed)
        }
    };
    println!("{} passed, {} failed, {} skipped", counts.passed, counts.failed, counts.skipped);
    power::exit(if counts.failed == 0 { power::SUCCESS } else { power::FAILURE })
}

fn die(name: &str) -> ! {
    match DEATHS.iter().find(|death| death.name == name) {
        Some(death) => {
            (death.run)();
            println!("{name} did not end the kernel");
        }
        None => log::error!("die={name}: no such test"),
    }
    power::exit(power::FAILURE)
}
