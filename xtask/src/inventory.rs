//! The kernel's own list of its tests, scenarios and cells of the rule table (`mode=list`).

use crate::capture::{capture, to_the_end};
use crate::qemu::{El, Gic, MOST_CPUS, Machine, Start};
use crate::session::End;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::time::Duration;

/// What the kernel lists with `mode=list`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// The tests in the suites, as `suite.test`.
    pub tests: Vec<String>,
    pub dies: Vec<Die>,
    /// The tests with a boot of their own.
    pub apart: Vec<Apart>,
    /// Changes of one cell of the rule table, such as `M8.ss=keep`. With the boot argument `rule.M8.ss=keep` some test must fail.
    pub cells: Vec<String>,
    /// The names of the sweep's scenarios.
    pub sweeps: Vec<String>,
}

/// A test that must end the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Die {
    pub name: String,
    /// Texts that must all be in the kernel's report.
    pub expect: Vec<String>,
    pub needs: Needs,
}

/// A test that has a boot of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Apart {
    /// The test's name, as `suite.test`.
    pub name: String,
    pub needs: Needs,
}

/// What the boot of a test with its own boot needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The boot arguments that the test needs.
    pub arguments: String,
    /// What the machine must have: `el2`, `gic2`, `smp1`, `icount`, or a CPU model.
    pub machine: Vec<String>,
}

/// Boots the kernel and reads its list.
///
/// # Errors
/// When the kernel does not come to the end of its list.
pub fn ask(elf: &Path, image: &Path, limit: Option<Duration>) -> Result<Inventory> {
    let machine = Machine { smp: 1, append: "mode=list".into(), ..Machine::default() };
    let boot = capture(&machine, &Start::Kernel(image), limit, to_the_end)?;
    if boot.end != End::Status(0) {
        bail!("the kernel does not list its tests ({}):\n{}", boot.ending(), boot.tail(elf));
    }
    parse(&boot.console)
}

/// Reads the lines that start with `list: `.
fn parse(console: &str) -> Result<Inventory> {
    let mut inventory = Inventory::default();
    for item in console.lines().filter_map(|line| line.trim_end().strip_prefix("list: ")) {
        match item.split_once(' ').context("an item without a name")? {
            ("test", name) => inventory.tests.push(name.trim().into()),
            ("cell", cell) => inventory.cells.push(cell.trim().into()),
            ("sweep", name) => inventory.sweeps.push(name.trim().into()),
            ("die", rest) => inventory.dies.push(die(rest)?),
            ("apart", rest) => inventory.apart.push(apart(rest)?),
            (kind, _) => bail!("the kernel lists a `{kind}`, which this tool does not know"),
        }
    }
    Ok(inventory)
}

fn die(text: &str) -> Result<Die> {
    let (name, expect, needs) = fields(text);
    if expect.is_empty() {
        bail!("the test {name} expects nothing, so that it could not fail");
    }
    Ok(Die { name, expect, needs })
}

fn apart(text: &str) -> Result<Apart> {
    let (name, others, needs) = fields(text);
    if let Some(other) = others.first() {
        bail!("the kernel says `{other}` of the test {name}, which this tool does not understand");
    }
    Ok(Apart { name, needs })
}

/// Splits the line of a test into its name, its other fields, and what it needs.
fn fields(text: &str) -> (String, Vec<String>, Needs) {
    let mut fields = text.split(" | ").map(str::trim);
    let name = fields.next().unwrap_or_default().into();
    let (mut others, mut needs) = (Vec::new(), Needs::default());
    for field in fields {
        if let Some(arguments) = field.strip_prefix("args=") {
            needs.arguments = arguments.into();
        } else if let Some(machine) = field.strip_prefix("machine=") {
            needs.machine = machine.split(['|', ',', ' ']).map(str::to_owned).collect();
        } else {
            others.push(field.into());
        }
    }
    (name, others, needs)
}

/// Changes a machine as a test asks for.
///
/// # Errors
/// When the test asks for something that this tool does not know.
pub fn adapt(mut machine: Machine, wishes: &[String]) -> Result<Machine> {
    for wish in wishes {
        match wish.as_str() {
            "el1" => machine.el = El::El1,
            "el2" => machine.el = El::El2,
            "gic2" => machine.gic = Gic::V2,
            "gic3" => machine.gic = Gic::V3,
            "icount" => machine.icount = true,
            cpu if crate::qemu::CPUS.contains(&cpu) => machine.cpu = cpu.into(),
            other => {
                let count = other.strip_prefix("smp").and_then(|count| count.parse().ok());
                let count = count.filter(|count| (1..=MOST_CPUS).contains(count));
                machine.smp = count.with_context(|| format!("unknown machine `{other}`"))?;
            }
        }
    }
    Ok(machine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_read_among_other_lines() {
        let console = "[INFO] up\nlist: test steps.one\r\nlist: cell M8.ss=keep\n\
            list: die overflow | panic: stack overflow | guard page | args=nmi=1 hz=10 | machine=el2|gic3\n\
            list: apart bringup.late | args=maxcpus=1 | machine=smp4\n";
        let inventory = parse(console).unwrap();
        assert_eq!(inventory.tests, ["steps.one"]);
        assert_eq!(inventory.cells, ["M8.ss=keep"]);
        let die = &inventory.dies[0];
        assert_eq!((die.name.as_str(), die.needs.arguments.as_str()), ("overflow", "nmi=1 hz=10"));
        assert_eq!(die.expect, ["panic: stack overflow", "guard page"]);
        assert_eq!(die.needs.machine, ["el2", "gic3"]);
        let needs = Needs { arguments: "maxcpus=1".into(), machine: vec!["smp4".into()] };
        assert_eq!(inventory.apart, [Apart { name: "bringup.late".into(), needs }]);
    }

    #[test]
    fn a_list_that_cannot_be_tested_is_refused() {
        assert!(parse("list: die nothing\n").is_err());
        assert!(parse("list: surprise x\n").is_err());
        assert!(parse("list: apart a.b | panic: expected\n").is_err());
    }

    #[test]
    fn machines_are_adapted() {
        let wishes = ["el2", "gic2", "smp2", "cortex-a53"].map(String::from);
        let machine = adapt(Machine::default(), &wishes).unwrap();
        assert_eq!((machine.el, machine.gic, machine.smp), (El::El2, Gic::V2, 2));
        assert_eq!(machine.cpu, "cortex-a53");
        for unknown in ["smp9", "smp0", "gic4", ""] {
            assert!(adapt(Machine::default(), &[unknown.into()]).is_err(), "{unknown}");
        }
    }
}
