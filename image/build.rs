//! For the bare-metal target, passes the linker script to the linker, with the patterns of text that cannot be probed. The patterns
//! are generated from noprobe.txt.

use std::env;
use std::path::{Path, PathBuf};

#[path = "../xtask/src/noprobe/list.rs"]
#[allow(dead_code, reason = "cargo xtask uses the rest")]
mod list;

fn main() {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("..");
    let made = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it"));
    let (script, names) = (root.join("linker.ld"), root.join("noprobe.txt"));
    for source in [&script, &names, &root.join("xtask/src/noprobe/list.rs")] {
        println!("cargo:rerun-if-changed={}", source.display());
    }
    let file = std::fs::read_to_string(&names).expect("noprobe.txt can be read");
    match list::List::read(&file) {
        Ok(list) => {
            std::fs::write(made.join("noprobe.ld"), list.linker_script()).expect("OUT_DIR can be written")
        }
        Err(error) => println!("cargo::error={error}"),
    }
    if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("none") {
        println!("cargo:rustc-link-arg=-L{}", made.display());
        println!("cargo:rustc-link-arg=-T{}", script.display());
    }
}
