//! The kernel's image.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(not(target_os = "none"))]
fn main() {}

#[cfg(target_os = "none")]
mod image {
    use kernel::{console, early, irq, mm, mode, options, smp};

    /// The kernel, from its own tables on, on the first CPU.
    #[unsafe(no_mangle)]
    extern "C" fn kernel_main() -> ! {
        early::init_console();
        mm::drop_identity_map();
        console::init_log(options::log_level());
        let boot = early::boot();
        mm::init_heap(boot.free.clone());
        options::apply();
        irq::init();
        smp::init_cpu(options::get().hz, boot.platform.timer.virt);
        smp::start_others(&boot.platform, boot.ttbr1);
        mode::run()
    }
}
