//! Decides what the set-up does from what it has found. Nothing here looks at the host, so that tests can try every kind of
//! host.

use super::arm64::{PROGRAMS, Set, TRACERS};
use std::path::PathBuf;

/// The oldest compiler that the workspace builds with (`rust-version`).
pub const OLDEST_RUSTC: (u32, u32) = (1, 95);
/// The oldest QEMU that is supported.
pub const OLDEST_QEMU: (u32, u32) = (7, 2);
/// The package with QEMU for AArch64.
pub const QEMU_PACKAGE: &str = "qemu-system-arm";
/// The package with the browser.
pub const BROWSER_PACKAGE: &str = "chromium";
/// The packages with a C compiler and a C library for AArch64, on hosts of other architectures.
pub const CROSS_PACKAGES: [&str; 2] = ["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"];
/// The same on AArch64.
pub const NATIVE_PACKAGES: [&str; 2] = ["gcc", "libc6-dev"];

/// What was found on the host.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Whether the active toolchain has `core` for the target.
    pub target: bool,
    /// The toolchain manager, if it manages the active toolchain.
    pub rustup: Option<Downloads>,
    /// Whether the active toolchain has the source of the standard library.
    pub rust_src: bool,
    /// The distribution's compiler, if it is recent enough.
    pub distro: Option<Distro>,
    /// The distribution's clippy driver that belongs to `distro`.
    pub distro_clippy: bool,
    /// What the distribution could install.
    pub offer: Option<Offer>,
    /// A linker: the active toolchain's `rust-lld` or an `lld` of the distribution.
    pub linker: bool,
    /// QEMU's version, if it is there.
    pub qemu: Option<(u32, u32)>,
    /// Whether `gdb-multiarch` or a `gdb` that knows AArch64 is installed.
    pub gdb: bool,
    /// Whether the host itself is an AArch64 one.
    pub aarch64: bool,
    /// Whether a C compiler for AArch64 is there, with a C library.
    pub cross: bool,
    /// Whether the packages for AArch64 are unpacked that user programs are made of and run with.
    pub arm64: bool,
    /// Whether the tracers for AArch64 are unpacked.
    pub tracers: bool,
    /// Whether a browser is installed that needs no window.
    pub browser: bool,
    /// How packages may be installed.
    pub install: Install,
}

/// Whether the toolchain manager may download.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Downloads {
    /// Nothing forbids it.
    Allowed,
    /// The user has turned downloads off, or a download has failed. The text says which.
    Off(String),
}

/// A compiler of the distribution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distro {
    /// The compiler's path.
    pub rustc: PathBuf,
    /// Whether the source of its library is installed.
    pub source: bool,
}

/// Packages with a compiler that is recent enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The package with the compiler.
    pub rustc: String,
    /// The package with the source of its library.
    pub source: String,
    /// The package with its clippy.
    pub clippy: String,
}

/// How packages may be installed here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Install {
    /// The user is root.
    Root,
    /// By sudo, which asks for no password.
    Sudo,
    /// There is apt, but the user may not use it.
    NoRight,
    /// There is no package manager that this tool knows.
    #[default]
    NoManager,
}

/// How the kernel is compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// The active toolchain has the target.
    Target,
    /// The toolchain manager fetches the target.
    Fetch,
    /// `core` is built from the active toolchain's source.
    Source,
    /// `core` is built with the distribution's compiler, from its source package.
    Distro(PathBuf),
    /// The same as `Distro`, but the packages have to be installed first.
    InstallDistro,
    /// There is no way to compile the kernel here.
    None,
}

/// What a command needs besides the compiler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// QEMU, to boot.
    pub qemu: bool,
    /// gdb, to debug.
    pub gdb: bool,
    /// clippy for the target, to lint.
    pub clippy: bool,
    /// A C compiler for AArch64 with glibc, for the program of the main job.
    pub cross: bool,
    /// What the user programs of the tests are made of: `cross`, musl, busybox.
    pub user: bool,
    /// The tracers that the tests run: strace, gdb and gdbserver.
    pub tracers: bool,
    /// A browser that needs no window, to check pages.
    pub browser: bool,
}

/// What the set-up is going to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The way to compile.
    pub route: Route,
    /// Packages to install first.
    pub packages: Vec<String>,
    /// Packages for AArch64 to unpack.
    pub unpack: Vec<&'static Set>,
}

/// Decides how the kernel is compiled, and which packages are installed for `need`. Routes that change less on the host come
/// first.
pub fn decide(facts: &Facts, need: Need) -> Plan {
    let mut packages = Vec::new();
    let route = if facts.target {
        Route::Target
    } else if facts.rustup == Some(Downloads::Allowed) {
        Route::Fetch
    } else if facts.rust_src {
        Route::Source
    } else if let Some(distro) = facts.distro.as_ref().filter(|distro| distro.source) {
        Route::Distro(distro.rustc.clone())
    } else if let Some(offer) = &facts.offer {
        if facts.distro.is_none() {
            packages.push(offer.rustc.clone());
        }
        packages.push(offer.source.clone());
        Route::InstallDistro
    } else {
        Route::None
    };
    let distro = matches!(route, Route::Distro(_) | Route::InstallDistro);
    if need.clippy
        && distro
        && !facts.distro_clippy
        && let Some(offer) = &facts.offer
    {
        packages.push(offer.clippy.clone());
    }
    // A toolchain that has the target brings its own linker.
    if !facts.linker {
        packages.push("lld".into());
    }
    if need.qemu && facts.qemu.is_none_or(|version| version < OLDEST_QEMU) {
        packages.push(QEMU_PACKAGE.into());
    }
    if need.gdb && !facts.gdb {
        packages.push("gdb-multiarch".into());
    }
    if need.browser && !facts.browser {
        packages.push(BROWSER_PACKAGE.into());
    }
    if (need.cross || need.user) && !facts.cross {
        let names = if facts.aarch64 { NATIVE_PACKAGES } else { CROSS_PACKAGES };
        packages.extend(names.map(String::from));
    }
    let unpack = [(need.user && !facts.arm64, &PROGRAMS), (need.tracers && !facts.tracers, &TRACERS)];
    let unpack = unpack.into_iter().filter_map(|(wanted, set)| wanted.then_some(set)).collect();
    Plan { route, packages, unpack }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Need =
        Need { qemu: true, gdb: true, clippy: true, cross: true, user: true, tracers: true, browser: true };

    fn complete() -> Facts {
        Facts {
            target: true,
            rustup: Some(Downloads::Allowed),
            rust_src: true,
            distro: Some(Distro { rustc: "/usr/bin/rustc".into(), source: true }),
            distro_clippy: true,
            offer: Some(Offer {
                rustc: "rustc-web".into(),
                source: "rust-web-src".into(),
                clippy: "c".into(),
            }),
            linker: true,
            qemu: Some((7, 2)),
            gdb: true,
            aarch64: false,
            cross: true,
            arm64: true,
            tracers: true,
            browser: true,
            install: Install::Root,
        }
    }

    #[test]
    fn routes_are_taken_in_the_written_order() {
        let mut facts = complete();
        assert_eq!(decide(&facts, ALL), Plan { route: Route::Target, packages: vec![], unpack: vec![] });
        facts.target = false;
        assert_eq!(decide(&facts, ALL).route, Route::Fetch);
        facts.rustup = Some(Downloads::Off("RUSTUP_AUTO_INSTALL=0".into()));
        assert_eq!(decide(&facts, ALL).route, Route::Source);
        facts.rust_src = false;
        assert_eq!(decide(&facts, ALL).route, Route::Distro("/usr/bin/rustc".into()));
        facts.distro = Some(Distro { rustc: "/usr/bin/rustc".into(), source: false });
        let plan = decide(&facts, ALL);
        assert_eq!((plan.route, plan.packages), (Route::InstallDistro, vec!["rust-web-src".to_string()]));
        facts.distro = None;
        let plan = decide(&facts, ALL);
        assert_eq!(plan.packages, ["rustc-web", "rust-web-src"]);
        facts.offer = None;
        assert_eq!(decide(&facts, ALL).route, Route::None);
    }

    #[test]
    fn downloads_that_were_turned_off_stay_off() {
        let mut facts = Facts { rustup: Some(Downloads::Off("why".into())), ..complete() };
        facts.target = false;
        for rust_src in [false, true] {
            facts.rust_src = rust_src;
            assert_ne!(decide(&facts, ALL).route, Route::Fetch);
        }
    }

    #[test]
    fn only_what_the_command_needs_is_installed() {
        let facts = Facts { qemu: None, gdb: false, linker: false, ..complete() };
        assert_eq!(decide(&facts, Need::default()).packages, ["lld"]);
        assert_eq!(decide(&facts, ALL).packages, ["lld", "qemu-system-arm", "gdb-multiarch"]);
        let old = Facts { qemu: Some((7, 1)), ..complete() };
        assert_eq!(decide(&old, ALL).packages, ["qemu-system-arm"]);
        assert!(decide(&Facts { qemu: Some((10, 0)), ..complete() }, ALL).packages.is_empty());
    }

    #[test]
    fn a_browser_is_installed_for_those_who_need_it_only() {
        let facts = Facts { browser: false, ..complete() };
        assert!(decide(&facts, Need { browser: false, ..ALL }).packages.is_empty());
        assert_eq!(decide(&facts, ALL).packages, [BROWSER_PACKAGE]);
    }

    #[test]
    fn user_programs_need_a_compiler_and_packages_for_aarch64() {
        let mut facts = Facts { cross: false, arm64: false, tracers: false, ..complete() };
        assert_eq!(decide(&facts, ALL).packages, CROSS_PACKAGES);
        assert_eq!(decide(&facts, ALL).unpack, [&PROGRAMS, &TRACERS]);
        let programs = Need { tracers: false, ..ALL };
        assert_eq!(decide(&facts, programs).unpack, [&PROGRAMS]);
        let none = decide(&facts, Need { user: false, cross: false, ..programs });
        assert!(none.packages.is_empty() && none.unpack.is_empty());
        let compiler = decide(&facts, Need { user: false, ..programs });
        assert!(compiler.packages == CROSS_PACKAGES && compiler.unpack.is_empty());
        facts.aarch64 = true;
        assert_eq!(decide(&facts, ALL).packages, NATIVE_PACKAGES);
    }

    #[test]
    fn clippy_of_the_distribution_only_with_its_compiler() {
        let mut facts = Facts { distro_clippy: false, ..complete() };
        assert!(decide(&facts, ALL).packages.is_empty());
        facts.target = false;
        facts.rustup = None;
        facts.rust_src = false;
        assert_eq!(decide(&facts, ALL).packages, ["c"]);
        assert!(decide(&facts, Need { clippy: false, ..ALL }).packages.is_empty());
    }
}
