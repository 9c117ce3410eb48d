//! What a PC of the kernel is called: the function, and where in the source it is.

use crate::code::Functions;
use crate::paths::root;
use crate::symbols::{self, Symbol};
use addr2line::Loader;
use anyhow::{Context, Result};
use std::path::Path;

/// The kernel's functions and lines.
#[derive(Default)]
pub struct Names {
    start: u64,
    symbols: Vec<Symbol>,
    lines: Option<Loader>,
}

impl Names {
    /// The names of a kernel's ELF.
    ///
    /// # Errors
    /// When the file is no ELF of the kernel.
    pub fn of(elf: &Path) -> Result<Self> {
        let bytes = std::fs::read(elf).with_context(|| format!("cannot read {}", elf.display()))?;
        let file = symbols::parse(&bytes)?;
        let start = symbols::value(&file, "__image_start")?;
        let symbols = symbols::read(&file)?;
        Ok(Self { start, symbols, lines: Loader::new(elf).ok() })
    }

    /// `function+0x10`; None if the address is in no function of the kernel.
    pub fn function(&self, address: u64) -> Option<String> {
        let functions = Functions { start: self.start, symbols: &self.symbols };
        let range = functions.range(address);
        if !range.contains(&address) {
            return None;
        }
        let name = functions.name(address);
        Some(if range.start == address {
            name.to_owned()
        } else {
            format!("{name}+{:#x}", address - range.start)
        })
    }

    /// `file:line`.
    pub fn line(&self, address: u64) -> Option<String> {
        let location = self.lines.as_ref()?.find_location(address).ok()??;
        let prefix = format!("{}/", root().display());
        let file = location.file?;
        let file = file.strip_prefix(&prefix).unwrap_or(file);
        location.line.map(|line| format!("{file}:{line}"))
    }
}
