//! Calls of PSCI, by the conduit (HVC or SMC) that the device tree names.

use platform::Conduit;
pub use smccc::psci::Error;
use smccc::{Hvc, Smc, psci};
use spin::Once;

static CONDUIT: Once<Conduit> = Once::new();

/// Remembers by which instruction the firmware is called. Called once, at boot.
pub fn init(conduit: Conduit) {
    CONDUIT.call_once(|| conduit);
}

/// By which instruction the firmware is called; None if the device tree names no firmware. Any context.
pub fn conduit() -> Option<Conduit> {
    CONDUIT.get().copied()
}

/// Starts the CPU with this MPIDR at a physical address, with `context` in x0.
///
/// # Errors
/// The error that the firmware returns; `NotSupported` if no conduit is known.
pub fn cpu_on(mpidr: u64, entry: u64, context: u64) -> Result<(), psci::Error> {
    match CONDUIT.get() {
        Some(Conduit::Hvc) => psci::cpu_on::<Hvc>(mpidr, entry, context),
        Some(Conduit::Smc) => psci::cpu_on::<Smc>(mpidr, entry, context),
        None => Err(psci::Error::NotSupported),
    }
}

/// Whether the firmware says that the CPU with this MPIDR is off.
pub fn is_off(mpidr: u64) -> bool {
    let state = match CONDUIT.get() {
        Some(Conduit::Hvc) => psci::affinity_info::<Hvc>(mpidr, psci::LowestAffinityLevel::All),
        Some(Conduit::Smc) => psci::affinity_info::<Smc>(mpidr, psci::LowestAffinityLevel::All),
        None => return false,
    };
    state == Ok(psci::AffinityState::Off)
}

/// Switches the machine off. Returns if there is no firmware, or if the firmware fails.
pub fn system_off() {
    let _ = match CONDUIT.get() {
        Some(Conduit::Hvc) => psci::system_off::<Hvc>(),
        Some(Conduit::Smc) => psci::system_off::<Smc>(),
        None => return,
    };
}
