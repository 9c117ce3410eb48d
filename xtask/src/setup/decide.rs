//! What set-up does, decided from what was found. Pure, so that every machine can be tried on this one.

use std::path::PathBuf;

/// The oldest compiler that the workspace builds with (`rust-version`).
pub const OLDEST_RUSTC: (u32, u32) = (1, 95);
/// The oldest QEMU that is supported.
pub const OLDEST_QEMU: (u32, u32) = (7, 2);
/// Its package.
pub const QEMU_PACKAGE: &str = "qemu-system-arm";

/// What the machine has.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The active toolchain has `core` for the target.
    pub target: bool,
    /// The toolchain manager, if the active toolchain is its.
    pub rustup: Option<Downloads>,
    /// The active toolchain has the library's source.
    pub rust_src: bool,
    /// The distribution's compiler, recent enough.
    pub distro: Option<Distro>,
    /// The distribution's clippy driver that belongs to `distro`.
    pub distro_clippy: bool,
    /// What the distribution could install.
    pub offer: Option<Offer>,
    /// A linker: the active toolchain's `rust-lld` or an `lld` of the distribution.
    pub linker: bool,
    /// QEMU's version, if it is there.
    pub qemu: Option<(u32, u32)>,
    /// `gdb-multiarch` (or a `gdb` that knows AArch64) is there.
    pub gdb: bool,
    /// How packages may be installed.
    pub install: Install,
}

/// May the toolchain manager download?
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Downloads {
    /// Nothing forbids it.
    Allowed,
    /// The user's environment turned it off (why), or it was tried and failed.
    Off(String),
}

/// A compiler of the distribution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distro {
    /// The compiler.
    pub rustc: PathBuf,
    /// The source of its library is installed.
    pub source: bool,
}

/// Packages with a compiler that is recent enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Compiler.
    pub rustc: String,
    /// Source of its library.
    pub source: String,
    /// Its clippy.
    pub clippy: String,
}

/// How packages may be installed here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Install {
    /// As root.
    Root,
    /// With a sudo that asks for no password.
    Sudo,
    /// There is apt, but no right to use it.
    NoRight,
    /// No package manager that is known here.
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
    /// As `Distro`, once its packages are there.
    InstallDistro,
    /// There is no way to compile here.
    None,
}

/// What a command needs besides the compiler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// To boot.
    pub qemu: bool,
    /// To debug.
    pub gdb: bool,
    /// To lint for the target.
    pub clippy: bool,
}

/// The decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// How to compile.
    pub route: Route,
    /// Packages to install first.
    pub packages: Vec<String>,
}

/// Decides. The order of the routes is the order in which they disturb the machine least.
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
    Plan { route, packages }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Need = Need { qemu: true, gdb: true, clippy: true };

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
            install: Install::Root,
        }
    }

    #[test]
    fn routes_are_taken_in_the_written_order() {
        let mut facts = complete();
        assert_eq!(decide(&facts, ALL), Plan { route: Route::Target, packages: vec![] });
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
