//! The kernel's first function on its own tables.

use crate::{console, debug, early, irq, mm, options, smp};

unsafe extern "Rust" {
    /// What the image does after boot: made by [`image_main!`](crate::image_main), which sees to its type.
    safe fn image_main() -> !;
}

/// Names the function `fn() -> !` that the first CPU calls once the kernel is up: in thread context, interrupts on, all CPUs that are
/// to come up online. The image, and nothing else, has one.
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
    image_main()
}
