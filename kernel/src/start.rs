//! The kernel's first function on its own translation tables.

use crate::{console, debug, early, exception, irq, mm, options, smp, trace};

unsafe extern "Rust" {
    /// What the image does after boot. Defined by [`image_main!`](crate::image_main), which checks the function's type.
    safe fn image_main() -> !;
}

/// Names the function `fn() -> !` that the first CPU calls once the kernel is up: in thread context, with interrupts on, and all
/// CPUs that `maxcpus` allows online. Exactly one crate, the image, uses this macro.
#[macro_export]
macro_rules! image_main {
    ($main:path) => {
        #[unsafe(no_mangle)]
        fn image_main() -> ! {
            let main: fn() -> ! = $main;
            main()
        }
    };
}

/// The kernel's start on the first CPU. `head.S` calls it with D, A, I, F masked.
#[unsafe(no_mangle)]
extern "C" fn kernel_main() -> ! {
    early::init_console();
    mm::drop_identity_map();
    console::init_log(options::log_level());
    let boot = early::boot();
    let free = trace::init(boot.free.clone(), options::get().trace.then(smp::present));
    exception::el0::trace_programs();
    mm::init_heap(free, boot.free_behind());
    crate::policy::log();
    options::apply();
    debug::exclusive::survey();
    irq::init();
    smp::init_cpu(options::get().hz, boot.platform.timer.virt);
    smp::start_others(options::get().maxcpus);
    image_main()
}
