//! QEMU's command line. Nothing else in the tool knows it.

use crate::setup::decide::OLDEST_QEMU;
use crate::setup::{facts, unpacked};
use clap::ValueEnum;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The emulator: the one in `PATH` if it is recent enough, else the one that set-up has unpacked.
pub fn program() -> PathBuf {
    const OWN: &str = "qemu-system-aarch64";
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    if let Some(found) = FOUND.get() {
        return found.clone();
    }
    let is_usable = |path: &Path| facts::version_of(path).is_some_and(|version| version >= OLDEST_QEMU);
    match [PathBuf::from(OWN), unpacked::program()].into_iter().find(|path| is_usable(path)) {
        Some(found) => FOUND.get_or_init(|| found).clone(),
        // Not remembered, because the set-up may still install or unpack QEMU.
        None => OWN.into(),
    }
}

/// The CPU models that are supported.
pub const CPUS: [&str; 6] = ["cortex-a53", "cortex-a57", "cortex-a72", "cortex-a76", "neoverse-n1", "max"];

/// Version of the interrupt controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Gic {
    /// GICv2
    #[value(name = "2")]
    V2,
    /// GICv3
    #[value(name = "3")]
    V3,
}

/// The exception level that the kernel is entered at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum El {
    /// EL1
    #[value(name = "1")]
    El1,
    /// EL2
    #[value(name = "2")]
    El2,
}

/// The other end of the second line: a Unix socket at which QEMU listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The socket's path.
    pub socket: PathBuf,
    /// Whether the machine starts only once somebody has connected to the socket. What is sent while nobody is connected is lost.
    pub wait: bool,
}

/// A machine to boot on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// QEMU's CPU model. It may have properties behind a comma.
    pub cpu: String,
    /// Number of CPUs.
    pub smp: u8,
    /// Interrupt controller.
    pub gic: Gic,
    /// The exception level at which the kernel is entered.
    pub el: El,
    /// Boot arguments.
    pub append: String,
    /// Whether one guest instruction is one tick of the counter. Such a machine is slower, and behaves the same in every run.
    pub icount: bool,
    /// Where QEMU's gdbstub listens. The CPUs do not start before gdb lets them.
    pub gdb: Option<String>,
    /// The initial ramdisk. Only [`Start::Kernel`] takes it.
    pub initrd: Option<PathBuf>,
    /// A file that is to be the machine's memory. Such a machine has [`TRACED`] MiB of it, for the rings of a trace.
    pub memory: Option<PathBuf>,
    /// The second line, of which programs see `/dev/ttyS1`.
    pub line: Option<Line>,
    /// Whether the console is a terminal: ^C then goes to the kernel, and ^A x ends QEMU.
    pub interactive: bool,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            cpu: "max".into(),
            smp: 4,
            gic: Gic::V3,
            el: El::El1,
            append: String::new(),
            icount: false,
            gdb: None,
            initrd: None,
            memory: None,
            line: None,
            interactive: false,
        }
    }
}

/// What QEMU boots on the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start<'a> {
    /// The image, loaded as a boot loader does.
    Kernel(&'a Path),
    /// Another image, loaded as a boot loader does, which branches to the kernel's image. QEMU only puts the kernel's image into
    /// memory.
    Behind {
        /// The image that is booted.
        prologue: &'a Path,
        /// The kernel's image.
        image: &'a Path,
        /// The address at which QEMU puts the kernel's image.
        at: u64,
    },
    /// Files in memory and the first PC, without QEMU's own boot code.
    Raw {
        /// Files and their addresses.
        files: Vec<(&'a Path, u64)>,
        /// Address that CPU 0 starts at.
        entry: u64,
    },
    /// Nothing. QEMU writes its device tree to this file, and ends.
    DumpDeviceTree(&'a Path),
}

/// The name of a boot argument.
pub fn name_of(word: &str) -> &str {
    word.split_once('=').map_or(word, |(name, _)| name)
}

/// GICv2 has room for 8 CPUs, the most that is supported.
pub const MOST_CPUS: u8 = 8;

/// The memory of a machine that is traced, in MiB.
pub const TRACED: u32 = 1536;

impl Machine {
    /// The value of a boot argument. If there are several values, the last one counts.
    pub fn argument(&self, name: &str) -> Option<&str> {
        let mut words = self.append.split_whitespace().rev().filter_map(|word| word.split_once('='));
        words.find_map(|(own, value)| (own == name).then_some(value))
    }

    /// The machine without a boot argument.
    pub fn without(&self, name: &str) -> Self {
        let others = self.append.split_whitespace().filter(|word| name_of(word) != name);
        Self { append: others.collect::<Vec<_>>().join(" "), ..self.clone() }
    }

    /// The arguments for QEMU.
    pub fn arguments(&self, start: &Start<'_>) -> Vec<OsString> {
        let mut line = Words::default();
        let gic = if self.gic == Gic::V2 { 2 } else { 3 };
        let mut machine = format!("virt,gic-version={gic}");
        if self.el == El::El2 {
            machine += ",virtualization=on";
        }
        if let Start::DumpDeviceTree(file) = start {
            machine += &format!(",dumpdtb={}", file.display());
        }
        if self.memory.is_some() {
            machine += ",memory-backend=memory";
        }
        line.pair("-M", machine);
        // With 1 GHz and shift=0, one tick of the counter is one instruction. The performance monitors are off because nothing uses
        // them, and QEMU spends a fifth of its time on them: it updates them at every exception.
        let exact = if self.icount { ",cntfrq=1000000000,pmu=off" } else { "" };
        line.pair("-cpu", format!("{}{exact}", self.cpu)).pair("-smp", self.smp.to_string());
        match &self.memory {
            None => line.pair("-m", "512M"),
            Some(file) => {
                let backend = "memory-backend-file,id=memory,share=on";
                let file = file.display();
                line.pair("-object", format!("{backend},size={TRACED}M,mem-path={file}"))
                    .pair("-m", format!("{TRACED}M"))
            }
        };
        line.pair("-display", "none");
        if self.interactive {
            line.pair("-serial", "mon:stdio");
        } else {
            line.pair("-serial", "stdio").pair("-monitor", "none");
        }
        line.pair("-nic", "none");
        if let Some(Line { socket, wait }) = &self.line {
            let wait = if *wait { "on" } else { "off" };
            let socket = socket.display();
            line.pair("-chardev", format!("socket,id=line,path={socket},server=on,wait={wait}"));
            line.pair("-device", "virtio-serial-device").pair("-device", "virtconsole,chardev=line");
        }
        line.flag("-no-reboot").pair("-semihosting-config", "enable=on,target=native");
        match start {
            Start::Kernel(image) => {
                line.pair("-kernel", image).pair("-append", &self.append);
                if let Some(initrd) = &self.initrd {
                    line.pair("-initrd", initrd);
                }
            }
            Start::Behind { prologue, image, at } => {
                line.pair("-kernel", prologue).pair("-append", &self.append).loader(image, *at);
            }
            Start::Raw { files, entry } => {
                files.iter().for_each(|(file, address)| _ = line.loader(file, *address));
                line.pair("-device", format!("loader,addr={entry:#x},cpu-num=0"));
            }
            Start::DumpDeviceTree(_) => {}
        }
        if self.icount {
            line.pair("-icount", "shift=0,sleep=off");
        }
        if let Some(socket) = &self.gdb {
            line.flag("-S").pair("-gdb", socket);
        }
        line.0
    }

    /// QEMU, ready to be started.
    pub fn command(&self, start: &Start<'_>) -> Command {
        let mut command = Command::new(program());
        command.args(self.arguments(start));
        if self.icount {
            // QEMU's threads, of which one runs the CPUs and one the timers, wait for each other at every interrupt.
            crate::pool::pin(&mut command);
        }
        command
    }

    /// The command line, quoted for a shell.
    pub fn shell_line(&self, start: &Start<'_>) -> String {
        let words = self.arguments(start);
        let words = words.iter().map(|word| quote(&word.to_string_lossy()));
        std::iter::once(quote(&program().to_string_lossy())).chain(words).collect::<Vec<_>>().join(" ")
    }
}

/// Arguments that make QEMU of this version execute one instruction at a time, so that its log has every instruction. Use with
/// [`LOG_INSTRUCTIONS`].
pub fn one_at_a_time(version: (u32, u32)) -> &'static [&'static str] {
    if version >= (8, 1) {
        &["-accel", "tcg,one-insn-per-tb=on", "-D", "/dev/stderr"]
    } else {
        &["-singlestep", "-D", "/dev/stderr"]
    }
}

/// The value of `-d` that logs each instruction and each exception.
pub const LOG_INSTRUCTIONS: &str = "cpu,int,nochain";

#[derive(Default)]
struct Words(Vec<OsString>);

impl Words {
    fn pair(&mut self, option: &str, value: impl Into<OsString>) -> &mut Self {
        self.0.extend([option.into(), value.into()]);
        self
    }

    /// A file that is put into memory as it is.
    fn loader(&mut self, file: &Path, address: u64) -> &mut Self {
        self.pair("-device", format!("loader,file={},addr={address:#x},force-raw=on", file.display()))
    }

    fn flag(&mut self, option: &str) -> &mut Self {
        self.0.push(option.into());
        self
    }
}

fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=,./:+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_an_ordinary_boot() {
        let machine = Machine { append: "hz=1000".into(), ..Machine::default() };
        assert_eq!(
            machine.shell_line(&Start::Kernel(Path::new("k.img"))),
            format!(
                "{} -M virt,gic-version=3 -cpu max -smp 4 -m 512M -display none -serial stdio -monitor none \
                 -nic none -no-reboot -semihosting-config enable=on,target=native -kernel k.img -append hz=1000",
                quote(&program().to_string_lossy())
            )
        );
    }

    #[test]
    fn every_choice_shows() {
        let machine = Machine {
            cpu: "cortex-a57".into(),
            smp: 1,
            gic: Gic::V2,
            el: El::El2,
            append: "mode=bench x='y z'".into(),
            icount: true,
            gdb: Some("tcp:localhost:1".into()),
            initrd: Some("r.cpio".into()),
            memory: Some("m".into()),
            line: Some(Line { socket: "s".into(), wait: true }),
            interactive: true,
        };
        let line = machine.shell_line(&Start::Kernel(Path::new("k.img")));
        for part in [
            "-M virt,gic-version=2,virtualization=on,memory-backend=memory ",
            "-object memory-backend-file,id=memory,share=on,size=1536M,mem-path=m -m 1536M ",
            "-cpu cortex-a57,cntfrq=1000000000,pmu=off ",
            "-serial mon:stdio -nic none",
            "-smp 1 ",
            r"-append 'mode=bench x='\''y z'\'''",
            " -initrd r.cpio ",
            "-icount shift=0,sleep=off",
            "-S -gdb tcp:localhost:1",
            "-chardev socket,id=line,path=s,server=on,wait=on -device virtio-serial-device -device virtconsole,chardev=line",
        ] {
            assert!(line.contains(part), "{part} is not in {line}");
        }
    }

    #[test]
    fn one_instruction_at_a_time_has_two_names() {
        assert_eq!(one_at_a_time((7, 2))[0], "-singlestep");
        assert_eq!(one_at_a_time((8, 0))[0], "-singlestep");
        assert_eq!(one_at_a_time((8, 1))[1], "tcg,one-insn-per-tb=on");
        assert_eq!(one_at_a_time((10, 0))[1], "tcg,one-insn-per-tb=on");
    }

    #[test]
    fn a_start_behind_another_image_has_its_boot_arguments() {
        let start =
            Start::Behind { prologue: Path::new("p.img"), image: Path::new("k.img"), at: 0x4200_0000 };
        let line = Machine { append: "hz=1".into(), ..Machine::default() }.shell_line(&start);
        assert!(
            line.ends_with(
                "-kernel p.img -append hz=1 -device loader,file=k.img,addr=0x42000000,force-raw=on"
            )
        );
    }

    #[test]
    fn a_raw_start_has_no_kernel_and_no_boot_arguments() {
        let start = Start::Raw { files: vec![(Path::new("k.img"), 0x4020_0000)], entry: 0x4010_0000 };
        let line = Machine::default().shell_line(&start);
        assert!(line.contains("-device loader,file=k.img,addr=0x40200000,force-raw=on"));
        assert!(line.ends_with("-device loader,addr=0x40100000,cpu-num=0"));
        assert!(!line.contains("-kernel") && !line.contains("-append"));
    }
}
