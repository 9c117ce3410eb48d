//! Trees made by hand: forms that QEMU does not produce, and every error.

mod common;

use common::{Node, cpu, machine, memory};
use platform::{
    Conduit, DtbError, Gic, MAX_BOOTARGS, MAX_REDISTRIBUTORS, MAX_RESERVED, Platform, Psci, Region, Warning,
    check_address, parse, total_size,
};

fn ok(tree: &Node) -> Platform {
    parse(&tree.blob()).unwrap()
}

/// The error's text, which must say what is wrong and what to do.
fn error(tree: &Node) -> String {
    parse(&tree.blob()).unwrap_err().to_string()
}

fn check_error(tree: &Node, parts: &[&str]) {
    let text = error(tree);
    for part in parts {
        assert!(text.contains(part), "no `{part}` in: {text}");
    }
}

fn changed(change: impl FnOnce(&mut Node)) -> Node {
    let mut tree = machine();
    change(&mut tree);
    tree
}

#[test]
fn the_least_machine() {
    let m = ok(&machine());
    assert_eq!(*m.memory, [Region { base: 0x4000_0000, size: 0x2000_0000 }]);
    assert_eq!(*m.cpus, [0]);
    assert_eq!(m.psci, Some(Psci { conduit: Conduit::Hvc, version: (1, 0) }));
    assert_eq!((m.uart.intid, m.timer.virt, m.timer.phys), (33, 27, 30));
    assert_eq!((m.pci, m.bootargs()), (None, ""));
    assert!(m.virtio.is_empty());
}

/// A virtio-mmio transport with its number, 0x200 bytes of registers and an SPI.
fn transport(number: u32) -> Node {
    Node::new()
        .text("compatible", "virtio,mmio")
        .cells("reg", &[0, 0xa00_0000 + 0x200 * number, 0, 0x200])
        .cells("interrupts", &[0, 16 + number, 1])
}

#[test]
fn virtio_transports() {
    let with = |nodes: Vec<Node>| {
        changed(|tree| {
            for (number, node) in nodes.into_iter().enumerate() {
                tree.children.push((format!("virtio_mmio@{number}"), node));
            }
        })
    };
    let off = transport(1).text("status", "disabled");
    let found = ok(&with(vec![transport(0), off, transport(2)])).virtio;
    let numbers: Vec<_> = found.iter().map(|found| (found.region.base, found.intid)).collect();
    assert_eq!(numbers, [(0xa00_0000, 48), (0xa00_0400, 50)]);
    assert_eq!(found[1].region.size, 0x200);
    // Those behind the 32nd are left out.
    assert_eq!(ok(&with((0..40).map(transport).collect())).virtio.len(), 32);
    check_error(&with(vec![transport(0).cells("interrupts", &[])]), &["virtio-mmio transport", "interrupts"]);
    check_error(&with(vec![transport(0).cells("reg", &[1])]), &["virtio-mmio transport", "reg"]);
}

#[test]
fn address_from_the_boot_loader() {
    assert_eq!(check_address(0), Err(DtbError::Missing));
    assert_eq!(check_address(0x4000_0004), Err(DtbError::Misaligned { address: 0x4000_0004 }));
    assert_eq!(check_address(0x4000_0008), Ok(()));
}

#[test]
fn header() {
    let blob = machine().blob();
    let with = |word: usize, value: u32| {
        let mut header = blob[..40].to_vec();
        header[4 * word..][..4].copy_from_slice(&value.to_be_bytes());
        total_size(&header)
    };
    assert_eq!(with(7, 0), Ok(blob.len()));
    assert_eq!(total_size(&blob[..39]), Err(DtbError::TooShort { have: 39, need: 40 }));
    assert_eq!(with(0, 0xedfe_0dd0), Err(DtbError::Magic { found: 0xedfe_0dd0 }));
    assert_eq!(with(1, 2 << 20), Ok(2 << 20));
    assert_eq!(with(1, (2 << 20) + 1), Err(DtbError::TotalSize { size: (2 << 20) + 1, max: 2 << 20 }));
    assert_eq!(with(1, 55), Err(DtbError::TotalSize { size: 55, max: 2 << 20 }));
    assert_eq!(with(5, 16), Err(DtbError::Version { version: 16, last_compatible: 16 }));
    assert_eq!(with(6, 18), Err(DtbError::Version { version: 17, last_compatible: 18 }));
    let short = parse(&blob[..blob.len() - 1]);
    assert_eq!(short, Err(DtbError::TooShort { have: blob.len() - 1, need: blob.len() }));
}

#[test]
fn missing_nodes() {
    for (name, part) in [
        ("memory@40000000", "no memory"),
        ("cpus", "no CPU"),
        ("intc@8000000", "no interrupt controller"),
        ("pl011@9000000", "no PL011"),
        ("timer", "no generic timer"),
    ] {
        check_error(&changed(|t| t.drop_child(name)), &[part, ": "]);
    }
    assert_eq!(ok(&changed(|t| t.drop_child("chosen"))).bootargs(), "");
    assert_eq!(ok(&changed(|t| t.drop_child("psci"))).psci, None);
}

#[test]
fn memory_banks() {
    let many = (0..17).fold(machine(), |t, i| {
        let base = 0x1_0000_0000 * (20 - i);
        t.with(&format!("memory@{base:x}"), memory(base, 0x1000))
    });
    let m = ok(&many);
    assert_eq!(m.memory.len(), 16);
    assert!(m.memory.is_sorted_by_key(|bank| bank.base));
    assert_eq!(*m.warnings, [Warning::MoreBanks { found: 18, used: 16 }]);

    let empty = changed(|t| *t.child("memory@40000000") = memory(0x4000_0000, 0));
    check_error(&empty, &["no memory"]);
    let overlap = machine().with("memory@5ffff000", memory(0x5fff_f000, 0x2000));
    check_error(&overlap, &["0x40000000..0x60000000 and 0x5ffff000..0x60001000 overlap"]);
    let adjacent = machine().with("memory@60000000", memory(0x6000_0000, 0x2000));
    assert_eq!(ok(&adjacent).memory.len(), 2);
    let wraps = machine().with("memory@ff", memory(u64::MAX - 0xfff, 0x1001));
    check_error(&wraps, &["memory node", "ends past 64 bits"]);
    let disabled = machine().with("memory@0", memory(0, 0x1000).text("status", "disabled"));
    assert_eq!(ok(&disabled).memory.len(), 1);
    let odd = changed(|t| t.child("memory@40000000").cells_set("reg", &[0, 1, 2]));
    check_error(&odd, &["`reg` of the memory node", "12 bytes", "entries of 16"]);
    let none = changed(|t| t.child("memory@40000000").remove("reg"));
    check_error(&none, &["`reg` of the memory node is missing"]);
}

/// The property belongs to the node above the one that is read: the error names the property, that node, and the number.
#[test]
fn cells_that_cannot_be_read() {
    for (property, cells) in
        [("#address-cells", u32::MAX), ("#address-cells", 0), ("#size-cells", 3), ("#size-cells", 0)]
    {
        let tree = changed(|t| t.cells_set(property, &[cells]));
        let expected = format!("`{property}` of the root node above the GIC is {cells}, but only 1 and 2");
        check_error(&tree, &[&expected]);
        let bus = Node::new().with("memory@0", memory(0, 0x1000)).cells(property, &[cells]);
        let expected = format!("`{property}` of the node `bus` above the memory node is {cells},");
        check_error(&machine().with("bus", bus), &[&expected]);
    }
    let cpus = |cells| changed(|t| t.child("cpus").cells_set("#address-cells", &[cells]));
    check_error(&cpus(3), &["`#address-cells` of the node `cpus` above the CPU node is 3,"]);
    check_error(&cpus(0), &["`#address-cells` of the node `cpus` above the CPU node is 0,"]);

    // The UART behind two buses, each of which can have the wrong number; the `ranges` are not at fault.
    let behind = |outer: [u32; 2], inner: [u32; 2]| {
        let mut tree = machine();
        let uart = tree.child("pl011@9000000").clone().cells("reg", &[0, 0x1000, 0, 0x100]);
        tree.drop_child("pl011@9000000");
        let bus = |[address, size]: [u32; 2], ranges: &[u32]| {
            let cells = Node::new().cells("#address-cells", &[address]).cells("#size-cells", &[size]);
            cells.cells("ranges", ranges)
        };
        let inner = bus(inner, &[0; 6]).with("uart@1000", uart);
        let outer = bus(outer, &[]).with("a-bus-whose-name-is-very-long-@ffffffff12345678", inner);
        tree.with("soc", outer)
    };
    let inner = "of the node `a-bus-whose-name-is-very-long-@ffffffff12345678` above the PL011 UART is";
    check_error(&behind([2, 2], [3, 2]), &["`#address-cells`", inner, "is 3"]);
    check_error(&behind([2, 2], [2, 0]), &["`#size-cells`", inner, "is 0"]);
    check_error(&behind([7, 2], [2, 2]), &["`#address-cells` of the node `soc` above the PL011 UART is 7"]);
    assert!(error(&behind([2, 2], [2, 2])).contains("`ranges`"));
}

#[test]
fn reserved_memory() {
    let m = parse(&machine().blob_reserving(&[(0x4800_0000, 0x1000), (0, 1)])).unwrap();
    assert_eq!(m.reserved.len(), 2);
    assert_eq!(m.reserved[0].region, Region { base: 0x4800_0000, size: 0x1000 });
    let wraps = parse(&machine().blob_reserving(&[(u64::MAX, 2)]));
    assert!(matches!(wraps, Err(DtbError::RegionOverflow { .. })), "{wraps:?}");

    let area = Node::new()
        .cells("#address-cells", &[2])
        .cells("#size-cells", &[2])
        .bytes("ranges", &[])
        .with("fw@50000000", Node::new().cells("reg", &[0, 0x5000_0000, 0, 0x1000]).bytes("no-map", &[]))
        .with("log@50001000", Node::new().cells("reg", &[0, 0x5000_1000, 0, 0x1000]))
        .with("cma", Node::new().cells("size", &[0, 0x40_0000]));
    let mut tree = machine().with("reserved-memory", area);
    tree.child("chosen").cells_set("linux,initrd-start", &[0x5800_0000]);
    tree.child("chosen").cells_set("linux,initrd-end", &[0, 0x5800_4000]);
    let m = ok(&tree);
    let got: Vec<_> = m.reserved.iter().map(|r| (r.region.base, r.region.size, r.no_map)).collect();
    assert_eq!(
        got,
        [(0x5000_0000, 0x1000, true), (0x5000_1000, 0x1000, false), (0x5800_0000, 0x4000, false)]
    );

    let full: Vec<_> = (0..MAX_RESERVED as u64).map(|i| (0x4000_0000 + i * 0x1000, 0x1000)).collect();
    assert_eq!(parse(&machine().blob_reserving(&full)).unwrap().reserved.len(), MAX_RESERVED);
    let over = [&full[..], &[(0x5000_0000, 1)]].concat();
    let error = parse(&machine().blob_reserving(&over)).unwrap_err().to_string();
    assert!(error.contains("more than 32 reserved memory regions"), "{error}");
}

#[test]
fn cpus() {
    let two_cells = changed(|t| {
        let cpus = t.child("cpus");
        cpus.cells_set("#address-cells", &[2]);
        cpus.child("cpu@0").cells_set("reg", &[0x12, 0x0003_0201]);
        cpus.children.push(("cpu@1".into(), cpu(0).cells("reg", &[0, 0x100])));
        cpus.children.push(("cpu@2".into(), cpu(0).cells("reg", &[0, 0x200]).text("status", "fail-fuse")));
        cpus.children.push(("cpu@3".into(), cpu(0).cells("reg", &[0, 0x300]).text("status", "disabled")));
        cpus.children.push(("cpu-map".into(), Node::new()));
    });
    let m = ok(&two_cells);
    // A disabled CPU is one to be started by PSCI; a failed one never runs.
    assert_eq!(*m.cpus, [0x12_0003_0201, 0x100, 0x300]);
    assert_eq!(m.cpu_index(1 << 31 | 0x100), Some(1));

    let twice = changed(|t| t.child("cpus").children.push(("cpu@1".into(), cpu(0))));
    assert_eq!(*ok(&twice).warnings, [Warning::DuplicateCpu { mpidr: 0 }]);
    let stray = changed(|t| t.child("cpus").child("cpu@0").cells_set("reg", &[0x8000_0000]));
    check_error(&stray, &["`reg` of the CPU node", "0x80000000"]);
    let no_reg = changed(|t| t.child("cpus").child("cpu@0").remove("reg"));
    check_error(&no_reg, &["`reg` of the CPU node is missing"]);
    let long = changed(|t| t.child("cpus").child("cpu@0").cells_set("reg", &[0, 0]));
    check_error(&long, &["`reg` of the CPU node has 8 bytes"]);
    let failed = changed(|t| t.child("cpus").child("cpu@0").set("status", b"fail\0"));
    check_error(&failed, &["no CPU"]);
}

#[test]
fn psci() {
    let old = changed(|t| {
        t.child("psci").set("compatible", b"arm,psci-0.2\0");
        t.child("psci").set("method", b"smc\0");
    });
    assert_eq!(ok(&old).psci, Some(Psci { conduit: Conduit::Smc, version: (0, 2) }));
    let oldest = changed(|t| {
        t.child("psci").set("compatible", b"arm,psci\0");
        t.child("cpus").children.push(("cpu@1".into(), cpu(1)));
    });
    assert_eq!((ok(&oldest).psci, &*ok(&oldest).warnings), (None, &[Warning::NoPsci][..]));
    let method = |text: &[u8]| changed(|t| t.child("psci").set("method", text));
    check_error(&method(b"svc\0"), &["`method` of the PSCI node is \"svc\", not \"hvc\" or \"smc\":"]);
    check_error(&method(b"\0"), &["is \"\", not"]);
    check_error(&method(b"a\n\xc3\xa9\0"), &["is \"a\\né\", not"]);
    let long = format!("{}é\0", "x".repeat(47));
    check_error(&method(long.as_bytes()), &[&format!("is \"{}...\", not", "x".repeat(47))]);
    check_error(&changed(|t| t.child("psci").set("method", b"hvc")), &["`method` of the PSCI node is not"]);
    check_error(&changed(|t| t.child("psci").remove("method")), &["`method` of the PSCI node is missing"]);
}

#[test]
fn gic() {
    let gic = |change: fn(&mut Node)| changed(|t| change(t.child("intc@8000000")));
    let two = gic(|g| {
        g.cells_set("#redistributor-regions", &[2]);
        g.cells_set("reg", &[0, 0x1000, 0, 0x100, 0, 0x2000, 0, 0x200, 0x40, 0x3000, 0, 0x300]);
    });
    let Gic::V3 { dist, redist } = ok(&two).gic else { panic!() };
    assert_eq!(dist, Region { base: 0x1000, size: 0x100 });
    assert_eq!(*redist, [Region { base: 0x2000, size: 0x200 }, Region { base: 0x40_0000_3000, size: 0x300 }]);

    let v2 = gic(|g| g.set("compatible", b"arm,gic-400\0"));
    assert!(matches!(ok(&v2).gic, Gic::V2 { cpu_if: Region { base: 0x80a_0000, .. }, .. }));
    check_error(
        &gic(|g| g.cells_set("#redistributor-regions", &[0])),
        &["`#redistributor-regions` of the GIC has the value 0x0"],
    );
    check_error(&gic(|g| g.cells_set("#redistributor-regions", &[u32::MAX])), &["redistributor regions"]);
    const { assert!(MAX_REDISTRIBUTORS >= 2) };
    check_error(
        &gic(|g| g.cells_set("#redistributor-regions", &[2])),
        &["`reg` of the GIC has 32 bytes where 48 are needed"],
    );
    check_error(&gic(|g| g.cells_set("#interrupt-cells", &[1])), &["`#interrupt-cells` of the GIC", "0x1"]);
    check_error(&gic(|g| g.remove("phandle")), &["`phandle` of the GIC is missing"]);
    check_error(&gic(|g| g.cells_set("reg", &[0, 0x1000, 0, 0])), &["`reg` of the GIC", "0x0"]);
    check_error(&gic(|g| g.set("compatible", b"arm,gic-v9\0")), &["no interrupt controller", "gic-version"]);
}

fn second_uart() -> Node {
    changed(|t| {
        let uart = Node::new()
            .text("compatible", "arm,pl011")
            .cells("reg", &[0, 0x904_0000, 0, 0x1000])
            .cells("interrupts", &[0, 8, 4]);
        t.children.push(("pl011@9040000".into(), uart));
        t.children.push(("aliases".into(), Node::new().text("serial1", "/pl011@9040000")));
    })
}

#[test]
fn console_by_stdout_path() {
    let with = |path: &str| {
        let mut tree = second_uart();
        tree.child("chosen").set("stdout-path", format!("{path}\0").as_bytes());
        ok(&tree)
    };
    for path in ["/pl011@9040000", "/pl011@9040000:115200n8", "serial1", "serial1:115200n8"] {
        let m = with(path);
        assert_eq!((m.uart.region.base, m.uart.intid, m.warnings.len()), (0x904_0000, 40, 0), "{path}");
    }
    for path in
        ["", ":", "/", "serial7", "/pl011", "/timer", "//pl011@9040000", "/pl011@9040000/", "pl011@9040000"]
    {
        let m = with(path);
        assert_eq!((m.uart.region.base, &*m.warnings), (0x900_0000, &[Warning::StdoutPath][..]), "{path}");
    }
    let mut tree = second_uart();
    assert_eq!(ok(&tree).uart.region.base, 0x900_0000);
    tree.child("pl011@9000000").set("status", b"disabled\0");
    assert_eq!(ok(&tree).uart.region.base, 0x904_0000);
}

#[test]
fn interrupts() {
    let uart = |change: fn(&mut Node)| changed(|t| change(t.child("pl011@9000000")));
    assert_eq!(ok(&uart(|u| u.cells_set("interrupts", &[0, 987, 4]))).uart.intid, 1019);
    assert_eq!(ok(&uart(|u| u.cells_set("interrupts", &[1, 15, 4]))).uart.intid, 31);
    check_error(&uart(|u| u.cells_set("interrupts", &[0, 988, 4])), &["<0 988>", "PL011"]);
    check_error(&uart(|u| u.cells_set("interrupts", &[1, 16, 4])), &["<1 16>"]);
    check_error(&uart(|u| u.cells_set("interrupts", &[2, 0, 4])), &["<2 0>"]);
    check_error(
        &uart(|u| u.cells_set("interrupts", &[0, 1])),
        &["`interrupts` of the PL011 UART has 8 bytes where 12"],
    );
    check_error(&uart(|u| u.remove("interrupts")), &["`interrupts` of the PL011 UART is missing"]);
    check_error(
        &uart(|u| u.cells_set("interrupt-parent", &[9])),
        &["PL011", "interrupt parent is not the GIC"],
    );
    check_error(&changed(|t| t.remove("interrupt-parent")), &["interrupt parent is not the GIC"]);

    let short = changed(|t| t.child("timer").cells_set("interrupts", &[1, 13, 4, 1, 14, 4]));
    check_error(&short, &["`interrupts` of the generic timer has 24 bytes where 36"]);
    let named = changed(|t| {
        t.child("timer").set("interrupt-names", b"virt\0phys\0");
        t.child("timer").cells_set("interrupts", &[1, 11, 4, 1, 14, 4]);
    });
    assert_eq!((ok(&named).timer.virt, ok(&named).timer.phys), (27, 30));
    let unnamed = changed(|t| t.child("timer").set("interrupt-names", b"phys\0"));
    check_error(&unnamed, &["`interrupt-names` of the generic timer lacks a name"]);
}

#[test]
fn devices_behind_buses() {
    let behind = |ranges: Option<&[u32]>| {
        let mut tree = machine();
        let uart = tree.child("pl011@9000000").clone().cells("reg", &[0x1000, 0x100]);
        tree.drop_child("pl011@9000000");
        let mut bus =
            Node::new().cells("#address-cells", &[1]).cells("#size-cells", &[1]).with("uart@1000", uart);
        if let Some(ranges) = ranges {
            bus.cells_set("ranges", ranges);
        }
        let outer = Node::new()
            .cells("#address-cells", &[2])
            .cells("#size-cells", &[2])
            .bytes("ranges", &[])
            .with("bus", bus);
        tree.children.push(("soc".into(), outer));
        tree.child("chosen").set("stdout-path", b"/soc/bus/uart@1000\0");
        tree
    };
    assert_eq!(ok(&behind(Some(&[]))).uart.region, Region { base: 0x1000, size: 0x100 });
    let m = ok(&behind(Some(&[0, 7, 0, 0x100, 0x800, 0x9, 0x8000, 0x900])));
    assert_eq!((m.uart.region, m.warnings.len()), (Region { base: 0x9_0000_8800, size: 0x100 }, 0));
    check_error(&behind(Some(&[0x800, 0x9, 0x8000, 0x8ff])), &["PL011", "0x1000", "`ranges`"]);
    check_error(&behind(Some(&[0x1001, 0x9, 0x8000, 0x900])), &["`ranges`"]);
    check_error(&behind(Some(&[0, u32::MAX, u32::MAX, u32::MAX])), &["`ranges`"]);
    check_error(&behind(None), &["`ranges`"]);
}

#[test]
fn bootargs() {
    let with = |bytes: &[u8]| changed(|t| t.child("chosen").set("bootargs", bytes));
    assert_eq!(ok(&with("mode=test é\0".as_bytes())).bootargs(), "mode=test é");
    let longest = format!("{}\0", "x".repeat(MAX_BOOTARGS));
    assert_eq!(ok(&with(longest.as_bytes())).bootargs().len(), MAX_BOOTARGS);
    check_error(&with(format!("x{longest}").as_bytes()), &["2049 bytes", "at most 2048", "shorten"]);
    check_error(&with(b"mode=test"), &["`bootargs` of the chosen node is not"]);
    check_error(&with(b"mode=\xff\0"), &["`bootargs` of the chosen node is not"]);
}

trait Cells {
    fn cells_set(&mut self, name: &str, value: &[u32]);
}

impl Cells for Node {
    fn cells_set(&mut self, name: &str, value: &[u32]) {
        self.set(name, &common::cells(value));
    }
}
