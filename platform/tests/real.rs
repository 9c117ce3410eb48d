//! Device trees of real machines: what QEMU's `virt` passes, cut to the bytes in use. See data/README.md.

use platform::{Conduit, Gic, Platform, Psci, Region, VirtioMmio, parse, total_size};

macro_rules! fixture {
    ($name:literal) => {
        (include_bytes!(concat!("data/", $name, ".dtb")) as &[u8])
    };
}

const GICD: Region = Region { base: 0x800_0000, size: 0x1_0000 };
const GICC: Region = Region { base: 0x801_0000, size: 0x1_0000 };
const GICR: Region = Region { base: 0x80a_0000, size: 0xf6_0000 };

fn check_common(machine: &Platform, cpus: usize, el2: bool) {
    assert_eq!(machine.cpus.len(), cpus);
    assert!(machine.cpus.iter().copied().eq(0..cpus as u64));
    assert_eq!(
        (machine.uart.region.base, machine.uart.region.size, machine.uart.intid),
        (0x900_0000, 0x1000, 33)
    );
    assert_eq!((machine.timer.virt, machine.timer.phys), (27, 30));
    // On a machine with EL2 the kernel is entered there, so no firmware at EL2 answers HVC.
    let conduit = if el2 { Conduit::Smc } else { Conduit::Hvc };
    assert_eq!(machine.psci, Some(Psci { conduit, version: (1, 0) }));
    assert!(machine.reserved.is_empty());
    assert!(machine.warnings.is_empty(), "{:?}", machine.warnings);
    let transport = |number: u32| VirtioMmio {
        region: Region { base: 0xa00_0000 + 0x200 * u64::from(number), size: 0x200 },
        intid: 48 + number,
    };
    assert!(machine.virtio.iter().copied().eq((0..32).map(transport)));
    let pci = machine.pci.unwrap();
    assert_eq!(pci.ecam, Region { base: 0x40_1000_0000, size: 0x1000_0000 });
    assert_eq!((pci.pio, pci.pio_port), (Some(Region { base: 0x3eff_0000, size: 0x1_0000 }), 0));
}

fn check(blob: &[u8], gic: u8, cpus: usize, el2: bool) {
    let machine = parse(blob).unwrap();
    check_common(&machine, cpus, el2);
    assert_eq!(*machine.memory, [Region { base: 0x4000_0000, size: 512 << 20 }]);
    assert_eq!(machine.bootargs(), "");
    match (gic, machine.gic) {
        (2, Gic::V2 { dist, cpu_if }) => {
            // With virtualization the regions of the virtual CPU interface follow, which the kernel does not use.
            assert_eq!((dist, cpu_if), (GICD, GICC));
        }
        (3, Gic::V3 { dist, redist }) => assert_eq!((dist, &*redist), (GICD, &[GICR][..])),
        (_, other) => panic!("wrong GIC: {other:?}"),
    }
}

#[test]
fn gic_version_exception_level_and_cpu_count() {
    check(fixture!("gic2-el1-smp1"), 2, 1, false);
    check(fixture!("gic2-el1-smp8"), 2, 8, false);
    check(fixture!("gic2-el2-smp1"), 2, 1, true);
    check(fixture!("gic2-el2-smp8"), 2, 8, true);
    check(fixture!("gic3-el1-smp1"), 3, 1, false);
    check(fixture!("gic3-el1-smp8"), 3, 8, false);
    check(fixture!("gic3-el2-smp1"), 3, 1, true);
    check(fixture!("gic3-el2-smp8"), 3, 8, true);
}

#[test]
fn banks_are_sorted_and_bootargs_are_read() {
    let machine = parse(fixture!("gic3-el1-smp4-numa")).unwrap();
    check_common(&machine, 4, false);
    let bank = |base| Region { base, size: 512 << 20 };
    assert_eq!(*machine.memory, [bank(0x4000_0000), bank(0x6000_0000)]);
    assert_eq!(machine.bootargs(), "mode=test test=step loglevel=debug");
    assert_eq!(machine.cpu_index(0x8000_0003), Some(3));
    assert_eq!(machine.cpu_index(0x100), None);
}

#[test]
fn more_cpus_than_are_used() {
    let machine = parse(fixture!("gic3-el1-smp10")).unwrap();
    check_cpus(&machine);
    let warnings: Vec<_> = machine.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings, ["10 CPUs in the device tree, only the first 8 are used"]);
}

fn check_cpus(machine: &Platform) {
    assert!(machine.cpus.iter().copied().eq(0..8));
}

#[test]
fn padding_is_part_of_the_size() {
    let mut blob = fixture!("gic3-el1-smp1").to_vec();
    let used = total_size(&blob).unwrap();
    assert_eq!(used, blob.len());
    blob.resize(1 << 20, 0);
    blob[4..8].copy_from_slice(&(1u32 << 20).to_be_bytes());
    assert_eq!(total_size(&blob[..40]), Ok(1 << 20));
    check(&blob, 3, 1, false);
    blob.extend([0xff; 100]);
    check(&blob, 3, 1, false);
}

#[test]
fn boot_log() {
    let machine = parse(fixture!("gic3-el1-smp4-numa")).unwrap();
    assert_eq!(
        machine.to_string(),
        "memory   0x40000000..0x60000000 (512 MiB)\n\
         memory   0x60000000..0x80000000 (512 MiB)\n\
         cpus     4: 0x0 0x1 0x2 0x3\n\
         psci     1.0 by HVC\n\
         gic      v3, distributor 0x8000000..0x8010000, redistributors 0x80a0000..0x9000000\n\
         console  pl011 0x9000000..0x9001000, INTID 33\n\
         timer    virtual INTID 27, physical INTID 30\n\
         pci      ECAM 0x4010000000..0x4020000000, ports from 0x0 at 0x3eff0000..0x3f000000\n\
         virtio   32 transports, INTID 48 to 79\n\
         bootargs \"mode=test test=step loglevel=debug\""
    );
}
