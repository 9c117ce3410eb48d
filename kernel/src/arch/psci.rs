//! PSCI, by the conduit that the device tree names.

use platform::Conduit;
use smccc::{Hvc, Smc, psci};
use spin::Once;

static CONDUIT: Once<Conduit> = Once::new();

/// Remembers how the firmware is called. Once, at boot.
pub fn init(conduit: Conduit) {
    CONDUIT.call_once(|| conduit);
}

/// How the firmware is called, if it is there. Any context.
pub fn conduit() -> Option<Conduit> {
    CONDUIT.get().copied()
}

/// Starts the CPU with this MPIDR at a physical address, with `context` in x0.
///
/// # Errors
/// What the firmware says; also if no conduit is known.
pub fn cpu_on(mpidr: u64, entry: u64, context: u64) -> Result<(), psci::Error> {
    match CONDUIT.get() {
        Some(Conduit::Hvc) => psci::cpu_on::<Hvc>(mpidr, entry, context),
        Some(Conduit::Smc) => psci::cpu_on::<Smc>(mpidr, entry, context),
        None => Err(psci::Error::NotSupported),
    }
}

/// Switches the machine off. Returns only where there is no firmware.
pub fn system_off() {
    let _ = match CONDUIT.get() {
        Some(Conduit::Hvc) => psci::system_off::<Hvc>(),
        Some(Conduit::Smc) => psci::system_off::<Smc>(),
        None => return,
    };
}
