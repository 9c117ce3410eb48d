//! Trees made by hand, and the smallest machine that `parse` accepts.
#![allow(dead_code)]

use std::collections::BTreeMap;

pub const GIC_PHANDLE: u32 = 1;

/// A node that a test can change before it is written as a blob.
#[derive(Clone, Default)]
pub struct Node {
    pub props: Vec<(String, Vec<u8>)>,
    pub children: Vec<(String, Node)>,
}

pub fn cells(cells: &[u32]) -> Vec<u8> {
    cells.iter().flat_map(|cell| cell.to_be_bytes()).collect()
}

impl Node {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn bytes(mut self, name: &str, value: &[u8]) -> Self {
        self.set(name, value);
        self
    }

    pub fn cells(self, name: &str, value: &[u32]) -> Self {
        self.bytes(name, &cells(value))
    }

    pub fn text(self, name: &str, value: &str) -> Self {
        self.bytes(name, format!("{value}\0").as_bytes())
    }

    pub fn with(mut self, name: &str, child: Node) -> Self {
        self.children.push((name.into(), child));
        self
    }

    pub fn set(&mut self, name: &str, value: &[u8]) {
        self.remove(name);
        self.props.push((name.into(), value.into()));
    }

    pub fn remove(&mut self, name: &str) {
        self.props.retain(|(n, _)| n != name);
    }

    pub fn child(&mut self, name: &str) -> &mut Node {
        &mut self.children.iter_mut().find(|(n, _)| n == name).expect("no such child").1
    }

    pub fn drop_child(&mut self, name: &str) {
        let before = self.children.len();
        self.children.retain(|(n, _)| n != name);
        assert_eq!(self.children.len() + 1, before, "no such child");
    }

    /// The blob, with the given memory reservations.
    pub fn blob_reserving(&self, reservations: &[(u64, u64)]) -> Vec<u8> {
        let (mut structure, mut strings, mut known) = (Vec::new(), Vec::new(), BTreeMap::new());
        self.write("", &mut structure, &mut strings, &mut known);
        structure.extend(9u32.to_be_bytes());
        let rsvmap = 40;
        let off_struct = rsvmap + 16 * (reservations.len() + 1);
        let off_strings = off_struct + structure.len();
        let total = off_strings + strings.len();
        let header =
            [0xd00d_feed, total, off_struct, off_strings, rsvmap, 17, 16, 0, strings.len(), structure.len()];
        let mut blob: Vec<u8> = header.iter().flat_map(|&word| (word as u32).to_be_bytes()).collect();
        for (base, size) in reservations.iter().chain([&(0, 0)]) {
            blob.extend(base.to_be_bytes());
            blob.extend(size.to_be_bytes());
        }
        blob.extend(structure);
        blob.extend(strings);
        blob
    }

    pub fn blob(&self) -> Vec<u8> {
        self.blob_reserving(&[])
    }

    fn write(&self, name: &str, out: &mut Vec<u8>, strings: &mut Vec<u8>, known: &mut BTreeMap<String, u32>) {
        let pad = |out: &mut Vec<u8>| out.resize(out.len().next_multiple_of(4), 0);
        out.extend(1u32.to_be_bytes());
        out.extend(name.as_bytes());
        out.push(0);
        pad(out);
        for (name, value) in &self.props {
            let offset = *known.entry(name.clone()).or_insert_with(|| {
                let offset = strings.len() as u32;
                strings.extend(name.as_bytes());
                strings.push(0);
                offset
            });
            out.extend(cells(&[3, value.len() as u32, offset]));
            out.extend(value);
            pad(out);
        }
        for (name, child) in &self.children {
            child.write(name, out, strings, known);
        }
        out.extend(2u32.to_be_bytes());
    }
}

pub fn cpu(reg: u32) -> Node {
    Node::new().text("device_type", "cpu").cells("reg", &[reg])
}

pub fn memory(base: u64, size: u64) -> Node {
    let split = |n: u64| [(n >> 32) as u32, n as u32];
    Node::new().text("device_type", "memory").cells("reg", &[split(base), split(size)].concat())
}

/// One CPU, one bank, GICv3, PL011, timer, PSCI 1.0 by HVC.
pub fn machine() -> Node {
    let gic = Node::new()
        .text("compatible", "arm,gic-v3")
        .cells("#interrupt-cells", &[3])
        .bytes("interrupt-controller", &[])
        .cells("phandle", &[GIC_PHANDLE])
        .cells("reg", &[0, 0x800_0000, 0, 0x1_0000, 0, 0x80a_0000, 0, 0xf6_0000]);
    let uart = Node::new()
        .bytes("compatible", b"arm,pl011\0arm,primecell\0")
        .cells("reg", &[0, 0x900_0000, 0, 0x1000])
        .cells("interrupts", &[0, 1, 4]);
    let timer = Node::new()
        .text("compatible", "arm,armv8-timer")
        .cells("interrupts", &[1, 13, 4, 1, 14, 4, 1, 11, 4, 1, 10, 4]);
    let psci = Node::new().bytes("compatible", b"arm,psci-1.0\0arm,psci-0.2\0").text("method", "hvc");
    let cpus = Node::new().cells("#address-cells", &[1]).cells("#size-cells", &[0]).with("cpu@0", cpu(0));
    Node::new()
        .cells("#address-cells", &[2])
        .cells("#size-cells", &[2])
        .cells("interrupt-parent", &[GIC_PHANDLE])
        .with("chosen", Node::new())
        .with("psci", psci)
        .with("memory@40000000", memory(0x4000_0000, 0x2000_0000))
        .with("cpus", cpus)
        .with("intc@8000000", gic)
        .with("pl011@9000000", uart)
        .with("timer", timer)
}

/// xorshift64*: repeatable from its seed.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}
