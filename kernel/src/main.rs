//! The kernel's image.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(not(target_os = "none"))]
fn main() {}

#[cfg(target_os = "none")]
mod image {
    use kernel::{console, drivers, early, irq, mm, report, smp, time};

    /// The kernel, from its own tables on.
    #[unsafe(no_mangle)]
    extern "C" fn kernel_main() -> ! {
        early::init_console();
        mm::drop_identity_map();
        console::init_log(log::LevelFilter::Info);
        let boot = early::boot();
        mm::init_heap(boot.free.clone());
        kernel::println!("{}", boot.platform);
        let _ = (drivers::timer::now(), irq::off::enabled(), smp::online_count(), time::ticks());
        report::power::exit(0)
    }
}
