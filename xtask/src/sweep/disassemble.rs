//! An instruction of the image in assembly language, if llvm-objdump or gdb is installed.

use crate::process;
use std::path::Path;
use std::process::Command;

/// Disassembles the instruction at this address with llvm-objdump or gdb. None if neither is there.
pub fn at(elf: &Path, address: u64) -> Option<String> {
    by_objdump(elf, address).or_else(|| by_gdb(elf, address))
}

fn by_objdump(elf: &Path, address: u64) -> Option<String> {
    let output = process::output(
        Command::new(process::find("llvm-objdump")?)
            .args(["--disassemble", "--no-show-raw-insn"])
            .arg(format!("--start-address={address:#x}"))
            .arg(format!("--stop-address={:#x}", address + 4))
            .arg(elf),
    )?;
    let line = output.lines().find_map(|line| line.trim().strip_prefix(&format!("{address:x}:")))?;
    Some(tidy(line))
}

fn by_gdb(elf: &Path, address: u64) -> Option<String> {
    let gdb = process::find("gdb-multiarch")?;
    let examine = format!("x/i {address:#x}");
    let output = process::output(Command::new(gdb).args(["-nx", "-batch", "-ex", &examine]).arg(elf))?;
    Some(tidy(output.lines().last()?.split_once(":\t")?.1))
}

fn tidy(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
