//! What was packed is read back. The ELF files are written here, byte by byte, so that no compiler is needed.

use super::elf::{Elf, Refusal};
use super::tree::{Node, Tree};
use super::*;
use cpio::newc;
use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use tempfile::TempDir;

const AARCH64: u16 = 183;
const X86_64: u16 = 62;
/// Where the tests' programs have their text, dynamic section and string table: all in one segment, whose address is not its
/// offset.
const BASE: u64 = 0x40_0000;

/// An ELF file with PT_LOAD, PT_DYNAMIC and, with an interpreter, PT_INTERP.
fn elf(machine: u16, interpreter: Option<&str>, needed: &[&str], runpath: Option<&str>) -> Vec<u8> {
    let mut strings = vec![0u8];
    let mut string = |text: &str| {
        let at = strings.len() as u64;
        strings.extend(text.bytes().chain([0]));
        at
    };
    let mut dynamic: Vec<(u64, u64)> = needed.iter().map(|name| (1, string(name))).collect();
    dynamic.extend(runpath.map(|path| (29, string(path))));
    let at_dynamic = 64 + 3 * 56;
    let at_strings = at_dynamic + (dynamic.len() as u64 + 3) * 16;
    dynamic.extend([(5, BASE + at_strings), (10, strings.len() as u64), (0, 0)]);
    let at_interpreter = at_strings + strings.len() as u64;
    let interpreter: Vec<u8> = interpreter.map_or(Vec::new(), |path| path.bytes().chain([0]).collect());
    let end = at_interpreter + interpreter.len() as u64;
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend([3, 0]);
    file.extend(machine.to_le_bytes());
    file.extend(1u32.to_le_bytes());
    for word in [BASE, 64, 0] {
        file.extend(u64::to_le_bytes(word));
    }
    file.extend(0u32.to_le_bytes());
    for half in [64u16, 56, if interpreter.is_empty() { 2 } else { 3 }, 64, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    for (kind, offset, size) in [
        (1u32, 0, end),
        (2, at_dynamic, at_strings - at_dynamic),
        (3, at_interpreter, interpreter.len() as u64),
    ] {
        file.extend(kind.to_le_bytes());
        file.extend(5u32.to_le_bytes());
        for word in [offset, BASE + offset, BASE + offset, size, size, 8] {
            file.extend(u64::to_le_bytes(word));
        }
    }
    for (tag, value) in dynamic {
        file.extend(tag.to_le_bytes());
        file.extend(value.to_le_bytes());
    }
    file.extend(strings);
    file.extend(interpreter);
    file
}

const LINKER: &str = "/lib/ld-linux-aarch64.so.1";

/// A directory of the host with files in it, which are executable.
fn host(files: &[(&str, &[u8])]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, data) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, data).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    dir
}

/// What is packed for a program, with a sysroot.
fn contents(program: &Path, sysroot: &Path) -> Contents {
    Contents { exec: Some(program.to_owned()), sysroot: Some(sysroot.to_owned()), ..Contents::default() }
}

/// An entry of an archive: mode, content, device.
type Entry = (u32, Vec<u8>, (u32, u32));

/// Reads an archive back: entries in their order.
fn unpack(archive: &[u8]) -> Vec<(String, Entry)> {
    let mut rest = archive;
    let mut entries = Vec::new();
    let mut inodes = std::collections::BTreeSet::new();
    loop {
        let mut reader = newc::Reader::new(rest).unwrap();
        if reader.entry().is_trailer() {
            assert!(reader.finish().unwrap().is_empty());
            return entries;
        }
        assert!(inodes.insert(reader.entry().ino()), "two entries with one inode are hard links");
        let mut content = Vec::new();
        reader.read_to_end(&mut content).unwrap();
        let entry = reader.entry();
        let device = (entry.rdev_major(), entry.rdev_minor());
        assert_eq!((entry.uid(), entry.gid(), entry.mtime()), (0, 0, 0));
        entries.push((entry.name().to_owned(), (entry.mode(), content, device)));
        rest = reader.finish().unwrap();
    }
}

fn packed(contents: &Contents) -> Result<BTreeMap<String, Entry>> {
    let packed = pack(contents)?;
    Ok(unpack(&fs::read(packed.path()).unwrap()).into_iter().collect())
}

fn error(contents: &Contents) -> String {
    format!("{:#}", packed(contents).unwrap_err())
}

#[test]
fn additions_come_with_what_they_need() {
    let (own, library) = (elf(AARCH64, None, &[], None), elf(AARCH64, None, &[], None));
    let added = elf(AARCH64, Some("/lib/ld.so"), &["libx.so"], None);
    let dir = host(&[("p", &own), ("q", &added), ("s/lib/ld.so", &library), ("s/usr/lib/libx.so", &library)]);
    let mut contents = Contents {
        exec: Some(dir.path().join("p")),
        others: vec![(dir.path().join("q"), "/sbin/r".into())],
        sysroot: Some(dir.path().join("s")),
        ..Contents::default()
    };
    let files = packed(&contents).unwrap();
    assert_eq!(files["sbin/r"], (0o100_755, added, (0, 0)));
    assert!(["bin/p", "lib/ld.so", "usr/lib/libx.so"].iter().all(|path| files.contains_key(*path)));
    fs::set_permissions(dir.path().join("q"), fs::Permissions::from_mode(0o644)).unwrap();
    let files = packed(&contents).unwrap();
    assert!(files["sbin/r"].0 == 0o100_644 && !files.contains_key("lib/ld.so"), "no program");
    contents.others = vec![(dir.path().join("none"), "/bin/none".into())];
    assert!(error(&contents).contains("cannot run"));
}

#[test]
fn a_static_program_is_packed_alone() {
    let program = elf(AARCH64, None, &[], None);
    let dir = host(&[("my prog", &program)]);
    let contents = Contents {
        exec: Some(dir.path().join("my prog")),
        arguments: ["a b", "", "\"q'", "-x"].map(String::from).to_vec(),
        environment: vec!["A=b c".into(), "B=".into()],
        ..Contents::default()
    };
    assert_eq!(pack(&contents).unwrap().init.as_deref(), Some("/bin/my_prog"));
    let files = packed(&contents).unwrap();
    assert_eq!(files["bin/my_prog"], (0o100_755, program, (0, 0)));
    assert_eq!(files["init.args"].1, b"/bin/my_prog\0a b\0\0\"q'\0-x\0");
    assert_eq!(files["init.env"].1, b"A=b c\0B=\0");
    assert_eq!(files["tmp"].0, 0o41_777);
    let names: Vec<_> = files.keys().map(String::as_str).collect();
    assert_eq!(names, ["bin", "bin/my_prog", "dev", "init.args", "init.env", "proc", "root", "sys", "tmp"]);
    for wrong in ["=x", "x", ""] {
        let contents = Contents { environment: vec![wrong.into()], ..contents.clone() };
        assert!(error(&contents).contains("expected NAME=VALUE"), "{wrong}");
    }
}

#[test]
fn libraries_come_with_their_libraries_and_links() {
    let libc = elf(AARCH64, Some(LINKER), &["ld-linux-aarch64.so.1"], None);
    let libx = elf(AARCH64, None, &["liby.so", "libc.so.6"], None);
    let liby = elf(AARCH64, None, &["libx.so.1"], None);
    let gcc = elf(AARCH64, None, &["libc.so.6"], None);
    let sysroot = host(&[
        ("lib/aarch64-linux-gnu/ld-2.36.so", &elf(AARCH64, None, &[], None)),
        ("lib/aarch64-linux-gnu/libc.so.6", &libc),
        ("usr/lib/libx.so.1.2.3", &libx),
        ("usr/lib/libgcc_s.so.1", &gcc),
        // The host's own library of this name comes first in the search, and is passed over.
        ("lib/aarch64-linux-gnu/liby.so", &elf(X86_64, None, &[], None)),
        ("usr/lib64/liby.so", &liby),
        ("lib/aarch64-linux-gnu/unused.so", &libc),
    ]);
    // An absolute link means a file of the sysroot, not of the host.
    symlink("/lib/aarch64-linux-gnu/ld-2.36.so", sysroot.path().join(&LINKER[1..])).unwrap();
    symlink("libx.so.1.2.3", sysroot.path().join("usr/lib/libx.so.1")).unwrap();
    let dir = host(&[("p", &elf(AARCH64, Some(LINKER), &["libx.so.1", "libc.so.6"], None))]);
    let files = packed(&contents(&dir.path().join("p"), sysroot.path())).unwrap();
    assert_eq!(files["lib/ld-linux-aarch64.so.1"].0, 0o100_755);
    assert_eq!(files["lib/aarch64-linux-gnu/libc.so.6"].1, libc);
    assert_eq!(files["usr/lib/libx.so.1.2.3"].1, libx);
    assert_eq!(files["usr/lib/libx.so.1"], (0o120_777, b"libx.so.1.2.3".to_vec(), (0, 0)));
    assert_eq!(files["usr/lib64/liby.so"].1, liby);
    assert_eq!(files["usr/lib/libgcc_s.so.1"].1, gcc, "glibc opens it by itself");
    assert!(!files.keys().any(|name| name.contains("unused") || name.ends_with("ld-2.36.so")));
}

#[test]
fn a_runpath_counts_and_its_origin_is_the_program() {
    let lib = elf(AARCH64, None, &["libb.so"], Some("/opt/b"));
    let sysroot = host(&[
        ("lib/ld-linux-aarch64.so.1", &elf(AARCH64, None, &[], None)),
        ("opt/b/libb.so", &elf(AARCH64, None, &[], None)),
    ]);
    let program = elf(AARCH64, Some(LINKER), &["liba.so"], Some("/nowhere:$ORIGIN/../own"));
    let dir = host(&[("build/p", &program), ("own/liba.so", &lib)]);
    let files = packed(&contents(&dir.path().join("build/p"), sysroot.path())).unwrap();
    assert_eq!(files["own/liba.so"].1, lib);
    assert!(files.contains_key("opt/b/libb.so"));
}

#[test]
fn musl_is_its_own_dynamic_linker() {
    let musl = elf(AARCH64, None, &[], None);
    let sysroot = host(&[("lib/aarch64-linux-musl/libc.so", &musl), ("lib/libgcc_s.so.1", &musl)]);
    symlink("aarch64-linux-musl/libc.so", sysroot.path().join("lib/ld-musl-aarch64.so.1")).unwrap();
    let dir = host(&[("p", &elf(AARCH64, Some("/lib/ld-musl-aarch64.so.1"), &["libc.so"], None))]);
    let files = packed(&contents(&dir.path().join("p"), sysroot.path())).unwrap();
    let libraries: Vec<_> = files.keys().filter(|name| name.starts_with("lib/")).collect();
    assert_eq!(libraries, ["lib/ld-musl-aarch64.so.1"]);
}

#[test]
fn what_is_missing_is_named_with_the_places_of_the_search() {
    let empty = host(&[]);
    let dir = host(&[
        ("p", &elf(AARCH64, Some(LINKER), &["libfoo.so.3"], None)),
        ("x86", &elf(X86_64, None, &[], None)),
        ("text", b"hello"),
        ("script", b"#!/bin/sh -e\n"),
    ]);
    let told = error(&contents(&dir.path().join("p"), empty.path()));
    assert!(told.contains(LINKER) && told.contains(&empty.path().display().to_string()), "{told}");
    assert!(told.contains("--sysroot"), "{told}");
    let linker = elf(AARCH64, None, &[], None);
    let sysroot = host(&[
        ("lib/ld-linux-aarch64.so.1", &linker),
        ("usr/lib/libfoo.so.3", &elf(X86_64, None, &[], None)),
    ]);
    let told = error(&contents(&dir.path().join("p"), sysroot.path()));
    for part in ["needs the library libfoo.so.3", "/lib/aarch64-linux-gnu", "is for x86-64"] {
        assert!(told.contains(part), "{part} is not in: {told}");
    }
    let told = error(&contents(&dir.path().join("x86"), empty.path()));
    assert!(told.contains("is for x86-64") && told.contains("aarch64-linux-gnu-gcc"), "{told}");
    let told = error(&contents(&dir.path().join("text"), empty.path()));
    assert!(told.contains("neither an ELF program nor a script"), "{told}");
    let told = error(&contents(&dir.path().join("script"), empty.path()));
    assert!(told.contains("needs the interpreter /bin/sh"), "{told}");
    let told = error(&contents(&dir.path().join("none"), empty.path()));
    assert!(told.contains("No such file"), "{told}");
    assert!(error(&contents(dir.path(), empty.path())).contains("no regular file"));
    assert!(error(&contents(&dir.path().join("p"), Path::new("/none"))).contains("no such directory"));
    fs::set_permissions(dir.path().join("p"), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(error(&contents(&dir.path().join("p"), empty.path())).contains("is not executable: chmod +x"));
}

#[test]
fn a_script_comes_with_its_interpreter() {
    let shell = elf(AARCH64, None, &[], None);
    let dir =
        host(&[("s", b"#! /bin/sh -e\necho\n"), ("t", b"#!/usr/bin/two\n"), ("loop", b"#!/bin/loop\n")]);
    let sysroot =
        host(&[("bin/busybox", &shell), ("usr/bin/two", b"#!/bin/busybox sh"), ("bin/loop", b"#!/bin/loop")]);
    let files = packed(&contents(&dir.path().join("s"), sysroot.path())).unwrap();
    assert_eq!(files["bin/sh"], (0o120_777, b"busybox".to_vec(), (0, 0)));
    assert_eq!(files["bin/busybox"].1, shell);
    let files = packed(&contents(&dir.path().join("t"), sysroot.path())).unwrap();
    assert!(files.contains_key("usr/bin/two") && files.contains_key("bin/busybox"));
    assert!(
        packed(&contents(&dir.path().join("loop"), sysroot.path())).is_ok(),
        "the script is its own interpreter"
    );
}

#[test]
fn the_shell_of_another_machine_is_passed_over() {
    let other = host(&[("bin/sh", &elf(X86_64, None, &[], None)), ("bin/x", b"#!/bin/sh")]);
    let own = host(&[("bin/sh", &elf(AARCH64, None, &[], None)), ("bin/x", b"")]);
    let roots = Roots::new(Some(other.path()), Some(own.path()));
    assert_eq!(roots.find("/bin/sh"), Some(own.path().join("bin/sh")));
    assert_eq!(roots.find("/bin/x"), Some(other.path().join("bin/x")), "a script is for every machine");
    assert_eq!(roots.find("/bin"), None);
}

#[test]
fn the_linker_and_the_libraries_are_of_one_system() {
    let (first, second) = (elf(AARCH64, None, &[], None), elf(AARCH64, None, &["none"], None));
    let files = |library: &str, elf: &[u8]| host(&[("lib/ld.so", elf), (library, elf)]);
    let cross = files("lib/libc.so.6", &first);
    let debian = files("lib/aarch64-linux-gnu/libc.so.6", &second);
    let program = host(&[("p", &elf(AARCH64, Some("/lib/ld.so"), &["libc.so.6"], None))]);
    let contents = Contents {
        exec: Some(program.path().join("p")),
        initrd: Some(cross.path().into()),
        sysroot: Some(debian.path().into()),
        ..Contents::default()
    };
    let files = packed(&contents).unwrap();
    assert_eq!((&files["lib/ld.so"].1, &files["lib/libc.so.6"].1), (&first, &first));
    assert!(!files.contains_key("lib/aarch64-linux-gnu/libc.so.6"));
}

#[test]
fn a_directory_is_packed_as_it_is() {
    let dir = host(&[("usr/lib/x", b"x"), ("secret", b"y")]);
    fs::set_permissions(dir.path().join("secret"), fs::Permissions::from_mode(0o4600)).unwrap();
    symlink("usr/lib", dir.path().join("lib")).unwrap();
    symlink("/nowhere", dir.path().join("broken")).unwrap();
    // SAFETY: the path is a C string, and a FIFO can be made without privileges.
    let made = unsafe {
        let path = std::ffi::CString::new(dir.path().join("fifo").to_str().unwrap()).unwrap();
        libc::mkfifo(path.as_ptr(), 0o640)
    };
    assert_eq!(made, 0);
    let program = host(&[("p", &elf(AARCH64, None, &[], None))]);
    let contents = Contents {
        initrd: Some(dir.path().into()),
        exec: Some(program.path().join("p")),
        ..Contents::default()
    };
    let files = packed(&contents).unwrap();
    assert_eq!(files["secret"].0, 0o104_600);
    assert_eq!(files["lib"], (0o120_777, b"usr/lib".to_vec(), (0, 0)));
    assert_eq!(files["broken"].1, b"/nowhere");
    assert_eq!(files["fifo"].0 & 0o170_000, 0o10_000);
    assert!(files.contains_key("bin/p") && files.contains_key("usr/lib/x"));
}

#[test]
fn a_file_is_passed_on() {
    let dir = host(&[("r.gz", b"\x1f\x8bany"), ("p", b"")]);
    let initrd = dir.path().join("r.gz");
    let contents = Contents { initrd: Some(initrd.clone()), ..Contents::default() };
    assert_eq!(pack(&contents).unwrap().path(), initrd);
    let more = Contents { exec: Some(dir.path().join("p")), ..contents };
    assert!(error(&more).contains("unpack it into a directory"));
    let none = Contents { initrd: Some(dir.path().join("none")), ..Contents::default() };
    assert!(error(&none).contains("cannot open the initial ramdisk"));
}

#[test]
fn links_in_a_tree_are_followed_and_directories_come_first() {
    let mut tree = Tree::default();
    let file = || Node::File(0o644, vec![1, 2, 3]);
    tree.put("/lib", Node::Link("usr/lib".into())).unwrap();
    tree.put("//lib/./a/../b", file()).unwrap();
    assert_eq!(tree.get("/usr/lib/b"), Some(&file()));
    tree.put("/x", Node::Link("/y".into())).unwrap();
    tree.put("/y", Node::Link("x".into())).unwrap();
    assert!(tree.put("/x/z", file()).unwrap_err().to_string().contains("too many symbolic links"));
    assert!(tree.put("/usr/lib/b/c", file()).unwrap_err().to_string().contains("is no directory"));
    assert!(tree.put("/usr", file()).unwrap_err().to_string().contains("is a directory"));
    assert!(tree.put("/usr/lib/b", Node::Directory(0)).is_err());
    assert!(tree.put("/..", file()).is_err());
    let mut archive = Vec::new();
    tree.write(&mut archive).unwrap();
    let names: Vec<_> = unpack(&archive).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["lib", "usr", "usr/lib", "usr/lib/b", "x", "y"]);
    assert_eq!(archive.len() % 4, 0);
}

#[test]
fn device_nodes_keep_their_numbers() {
    let mut tree = Tree::default();
    tree.put("/dev/null", Node::Special { mode: 0o20_666, device: (1, 3) }).unwrap();
    let mut archive = Vec::new();
    tree.write(&mut archive).unwrap();
    assert_eq!(unpack(&archive)[1], ("dev/null".into(), (0o20_666, vec![], (1, 3))));
}

#[test]
fn an_elf_is_read_and_a_damaged_one_refused() {
    let whole = elf(AARCH64, Some(LINKER), &["a.so", "b.so"], Some("/x::$ORIGIN"));
    let read = Elf::parse(&whole).unwrap();
    assert_eq!(read.interpreter.as_deref(), Some(LINKER));
    assert_eq!(read.needed, ["a.so", "b.so"]);
    assert_eq!(read.search, ["/x", "$ORIGIN"]);
    for length in 0..whole.len() {
        assert!(Elf::parse(&whole[..length]).is_err(), "cut to {length} bytes");
    }
    // No damage of one byte makes the reader panic, and a damage that is seen is told as one.
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << bit;
            let _ = Elf::parse(&damaged);
        }
    }
    let with = |at: usize, bytes: &[u8]| {
        let mut changed = whole.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        Elf::parse(&changed).unwrap_err()
    };
    assert_eq!(with(0, b"\x7fELG"), Refusal::NotElf);
    assert_eq!(with(16, &[1, 0]), Refusal::Unlinked);
    assert_eq!(with(18, &X86_64.to_le_bytes()), Refusal::Machine("x86-64".into()));
    assert_eq!(with(18, &[243, 0]), Refusal::Machine("RISC-V".into()));
    assert!(matches!(with(4, &[1]), Refusal::Machine(_)), "32 bits");
    assert!(matches!(with(4, &[7]), Refusal::Damaged(_)));
    assert!(matches!(with(5, &[2]), Refusal::Machine(_) | Refusal::Damaged(_)), "big-endian");
    let dynamic = 64 + 3 * 56;
    let far = u64::MAX.to_le_bytes();
    assert!(matches!(with(dynamic + 8, &far), Refusal::Damaged(_)), "a name outside of the string table");
    assert!(matches!(with(dynamic + 3 * 16 + 8, &far), Refusal::Damaged(_)), "no string table");
    assert!(matches!(with(64 + 32, &far), Refusal::Damaged(_)), "a segment behind the file's end");
}
