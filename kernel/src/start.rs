//! The kernel's first function on its own tables.

use crate::{console, debug, early, irq, mm, mode, options, smp};

/// The kernel, on the first CPU: called by `head.S` with D, A, I, F masked.
#[unsafe(no_mangle)]
extern "C" fn kernel_main() -> ! {
    early::init_console();
    mm::drop_identity_map();
    console::init_log(options::log_level());
    let boot = early::boot();
    mm::init_heap(boot.free.clone());
    options::apply();
    debug::exclusive::survey();
    irq::init();
    smp::init_cpu(options::get().hz, boot.platform.timer.virt);
    smp::start_others(options::get().maxcpus);
    mode::run()
}
