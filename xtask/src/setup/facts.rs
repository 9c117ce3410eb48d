//! Finds out what is on the host, and changes nothing.

use super::decide::{Distro, Downloads, Facts, Install, OLDEST_RUSTC, Offer};
use crate::paths::{TARGET, root};
use crate::process::{find, is_executable, output, version};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The toolchain that plain `rustc` uses at the root of the repository.
#[derive(Clone, Debug)]
pub struct Active {
    /// The toolchain's sysroot.
    pub sysroot: PathBuf,
    /// The first line of its version.
    pub version: String,
}

/// The active toolchain; `None` if there is no `rustc` at all.
pub fn active() -> Option<Active> {
    let version = output(Command::new("rustc").current_dir(root()).arg("-V"))?;
    let sysroot = sysroot_of(Path::new("rustc"))?;
    Some(Active { sysroot, version: version.trim().into() })
}

/// Where a compiler keeps its libraries.
pub fn sysroot_of(rustc: &Path) -> Option<PathBuf> {
    let text = output(Command::new(rustc).current_dir(root()).args(["--print", "sysroot"]))?;
    Some(PathBuf::from(text.trim()))
}

/// The target triple of the host that a compiler runs on.
pub fn host_of(rustc: &Path) -> Option<String> {
    let text = output(Command::new(rustc).current_dir(root()).arg("-vV"))?;
    text.lines().find_map(|line| line.strip_prefix("host: ").map(str::to_owned))
}

/// Finds out everything that `decide` needs.
pub fn look() -> Facts {
    let active = active();
    let sysroot = active.as_ref().map(|active| active.sysroot.clone());
    let distro = distro();
    Facts {
        target: sysroot.as_deref().is_some_and(has_target),
        rustup: sysroot.as_deref().and_then(toolchain_manager),
        rust_src: sysroot.as_deref().is_some_and(has_source),
        distro_clippy: distro.as_ref().is_some_and(|distro| clippy_of(&distro.rustc).is_some()),
        distro,
        // Asking apt takes time, so `complete` asks only when the answer matters.
        offer: None,
        linker: linker().is_some(),
        qemu: qemu_version(),
        gdb: gdb().is_some(),
        aarch64: cfg!(target_arch = "aarch64"),
        cross: cross_compiler().is_some(),
        arm64: super::arm64::PROGRAMS.is_unpacked(),
        tracers: super::arm64::TRACERS.is_unpacked(),
        browser: browser().is_some(),
        install: install(),
    }
}

/// A browser that needs no window.
pub fn browser() -> Option<PathBuf> {
    ["chromium", "chromium-browser"].iter().find_map(|name| find(name))
}

/// Asks the package manager which compiler it could install.
pub fn complete(facts: &mut Facts) {
    if facts.offer.is_none() && facts.install != Install::NoManager {
        facts.offer = offer();
    }
}

fn has_target(sysroot: &Path) -> bool {
    let libraries = sysroot.join("lib/rustlib").join(TARGET).join("lib");
    libraries.read_dir().is_ok_and(|mut files| {
        files.any(|file| file.is_ok_and(|file| file.file_name().to_string_lossy().starts_with("libcore-")))
    })
}

fn has_source(sysroot: &Path) -> bool {
    sysroot.join("lib/rustlib/src/rust/library/core/src/lib.rs").exists()
}

fn toolchain_manager(sysroot: &Path) -> Option<Downloads> {
    find("rustup")?;
    let home = std::env::var_os("RUSTUP_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".rustup")))?;
    // The toolchain manager can only change toolchains that it has installed.
    sysroot.starts_with(home.join("toolchains")).then(|| {
        let settings = std::fs::read_to_string(home.join("settings.toml")).unwrap_or_default();
        downloads(|name| std::env::var(name).ok(), &settings)
    })
}

/// Whether the user has turned downloads off, by the environment or by the manager's settings.
fn downloads(environment: impl Fn(&str) -> Option<String>, settings: &str) -> Downloads {
    let set = |name: &str| environment(name).filter(|value| !value.is_empty());
    match set("RUSTUP_AUTO_INSTALL").as_deref() {
        Some("1" | "true") => {}
        Some(value) => return Downloads::Off(format!("RUSTUP_AUTO_INSTALL={value}")),
        None => {
            let disabled = settings.lines().map(|line| line.replace([' ', '"', '\''], ""));
            if disabled.into_iter().any(|line| line == "auto_install=disable") {
                return Downloads::Off("`rustup set auto-install disable`".into());
            }
        }
    }
    for name in ["CARGO_NET_OFFLINE", "RUSTUP_OFFLINE"] {
        if let Some(value) = set(name).filter(|value| value != "0" && value != "false") {
            return Downloads::Off(format!("{name}={value}"));
        }
    }
    Downloads::Allowed
}

/// The distribution's compiler: `/usr/bin/rustc`, or the newest `/usr/bin/rustc-X.Y`.
fn distro() -> Option<Distro> {
    let versioned = Path::new("/usr/bin").read_dir().ok()?.filter_map(|file| {
        let name = file.ok()?.file_name().into_string().ok()?;
        let number = version(name.strip_prefix("rustc-")?)?;
        Some((number, Path::new("/usr/bin").join(name)))
    });
    let plain = PathBuf::from("/usr/bin/rustc");
    let plain = is_executable(&plain).then_some(plain).and_then(|rustc| {
        let number = version(&output(Command::new(&rustc).arg("-V"))?)?;
        // `/usr/bin/rustc` can belong to a packaged toolchain manager. Then it is not the distribution's compiler.
        let sysroot = sysroot_of(&rustc)?;
        sysroot.starts_with("/usr").then_some((number, rustc))
    });
    let mut found: Vec<_> = versioned.chain(plain).filter(|(number, _)| *number >= OLDEST_RUSTC).collect();
    found.sort();
    let candidates = found.into_iter().rev().map(|(_, rustc)| {
        let source = sysroot_of(&rustc).is_some_and(|sysroot| has_source(&sysroot));
        Distro { rustc, source }
    });
    let candidates: Vec<_> = candidates.collect();
    candidates.iter().find(|distro| distro.source).or(candidates.first()).cloned()
}

/// The clippy driver beside a compiler of the distribution.
pub fn clippy_of(rustc: &Path) -> Option<PathBuf> {
    let suffix = rustc.file_name()?.to_str()?.strip_prefix("rustc")?.to_owned();
    let driver = rustc.with_file_name(format!("clippy-driver{suffix}"));
    is_executable(&driver).then_some(driver)
}

/// The linker for the image: the active toolchain's own, or the distribution's.
pub fn linker() -> Option<PathBuf> {
    let own = active().and_then(|active| {
        let host = host_of(Path::new("rustc"))?;
        let own = active.sysroot.join("lib/rustlib").join(host).join("bin/rust-lld");
        is_executable(&own).then_some(own)
    });
    own.or_else(|| find("rust-lld")).or_else(|| find("lld")).or_else(|| {
        let mut versioned: Vec<_> = Path::new("/usr/bin")
            .read_dir()
            .ok()?
            .filter_map(|file| Some(file.ok()?.path()))
            .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("lld-")))
            .collect();
        versioned.sort();
        versioned.pop()
    })
}

/// The version of the QEMU that a boot would use.
pub fn qemu_version() -> Option<(u32, u32)> {
    version_of(&crate::qemu::program())
}

/// The version of a QEMU, if it runs.
pub fn version_of(qemu: &Path) -> Option<(u32, u32)> {
    version(&output(Command::new(qemu).arg("--version"))?)
}

/// A gdb that knows AArch64.
pub fn gdb() -> Option<PathBuf> {
    find("gdb-multiarch").or_else(|| find("aarch64-linux-gnu-gdb")).or_else(|| find("aarch64-none-elf-gdb"))
}

/// A C compiler for AArch64 whose C library is there, too, for static and for dynamic programs.
pub fn cross_compiler() -> Option<PathBuf> {
    let compiler = find("aarch64-linux-gnu-gcc")?;
    let has = |file: &str| {
        let path = output(Command::new(&compiler).arg(format!("-print-file-name={file}")));
        // Where a file is missing, the compiler prints its bare name.
        path.is_some_and(|path| Path::new(path.trim()).is_absolute())
    };
    ["libc.a", "rcrt1.o", "libc.so"].into_iter().all(has).then_some(compiler)
}

fn install() -> Install {
    if find("apt-get").is_none() {
        return Install::NoManager;
    }
    let id = output(Command::new("id").arg("-u")).unwrap_or_default();
    if id.trim() == "0" {
        Install::Root
    } else if output(Command::new("sudo").args(["-n", "true"])).is_some() {
        Install::Sudo
    } else {
        Install::NoRight
    }
}

/// The packages with a compiler that is recent enough. Debian's backport for browsers comes first, because it is the newest.
fn offer() -> Option<Offer> {
    let named = |rustc: &str, rust: &str| Offer {
        rustc: rustc.into(),
        source: format!("{rust}-src"),
        clippy: format!("{rust}-clippy"),
    };
    let mut offers = vec![named("rustc-web", "rust-web"), named("rustc", "rust")];
    let names = output(Command::new("apt-cache").args(["search", "--names-only", r"^rustc-1\.[0-9]+$"]));
    let mut versioned: Vec<_> = names
        .iter()
        .flat_map(|text| text.lines())
        .filter_map(|line| {
            let number = line.split_whitespace().next()?.strip_prefix("rustc-")?.to_owned();
            Some((version(&number)?, number))
        })
        .collect();
    versioned.sort();
    offers.extend(versioned.iter().rev().map(|(_, number)| {
        let rust = format!("rust-{number}");
        named(&format!("rustc-{number}"), &rust)
    }));
    offers.into_iter().find(|offer| {
        candidate(&offer.rustc).is_some_and(|number| number >= OLDEST_RUSTC)
            && candidate(&offer.source).is_some()
    })
}

fn candidate(package: &str) -> Option<(u32, u32)> {
    let text = output(Command::new("apt-cache").env("LC_ALL", "C").args(["policy", package]))?;
    version(text.lines().find_map(|line| line.trim().strip_prefix("Candidate:"))?)
}

#[cfg(test)]
mod tests {
    use super::{Downloads, downloads};

    fn with(pairs: &[(&str, &str)], settings: &str) -> Downloads {
        downloads(
            |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()),
            settings,
        )
    }

    #[test]
    fn every_way_to_turn_downloads_off_is_honoured() {
        assert_eq!(with(&[], "version = \"12\"\n"), Downloads::Allowed);
        assert_eq!(with(&[("RUSTUP_AUTO_INSTALL", "1")], "auto_install = \"disable\""), Downloads::Allowed);
        assert!(matches!(with(&[("RUSTUP_AUTO_INSTALL", "0")], ""), Downloads::Off(_)));
        assert!(matches!(with(&[("CARGO_NET_OFFLINE", "true")], ""), Downloads::Off(_)));
        assert_eq!(with(&[("CARGO_NET_OFFLINE", "false")], ""), Downloads::Allowed);
        assert!(matches!(with(&[], "auto_install = \"disable\"\n"), Downloads::Off(_)));
    }
}
