//! The layouts, byte by byte as Linux has them.

use procfs::{Addresses, MapsLine, MemInfo, ProcessStat, State, Statm, Status, SystemStat, Text};

fn text(write: impl FnOnce(&mut Text) -> procfs::Result) -> String {
    let mut text = Text::new();
    write(&mut text).unwrap();
    String::from_utf8(text.into_bytes()).unwrap()
}

fn line(
    range: std::ops::Range<u64>,
    letters: &str,
    offset: u64,
    device: (u32, u32),
    inode: u64,
    name: &str,
) -> String {
    let letters: Vec<char> = letters.chars().collect();
    let letters = letters.try_into().unwrap();
    text(|to| MapsLine { range, letters, offset, device, inode, name: name.as_bytes() }.write(to))
}

#[test]
fn names_of_mappings_begin_at_column_73() {
    assert_eq!(
        line(0x40_0000..0x5f_0000, "r-xp", 0, (0xfe, 1), 1234, "/bin/busybox"),
        "00400000-005f0000 r-xp 00000000 fe:01 1234                               /bin/busybox\n"
    );
    assert_eq!(
        line(0xffff_f7ff_b000..0xffff_f7ff_d000, "rw-s", 0x18c000, (0, 5), 7, "/x y"),
        "fffff7ffb000-fffff7ffd000 rw-s 0018c000 00:05 7                          /x y\n"
    );
    assert_eq!(line(0xffff_ffff_d000..0xffff_ffff_f000, "rw-p", 0, (0, 0), 0, "[stack]").find('['), Some(73));
    // Longer numbers move the name to the right, and one blank stays.
    let long = line(u64::MAX - 1..u64::MAX, "---p", u64::MAX, (0xfff, 0xf_ffff), u64::MAX, "x");
    assert!(long.ends_with("18446744073709551615  x\n"), "{long}");
    assert!(long.len() > 75);
}

#[test]
fn a_mapping_without_a_name_ends_behind_the_inode() {
    assert_eq!(
        line(0xffff_f7ff_b000..0xffff_f7ff_d000, "rw-p", 0, (0, 0), 0, ""),
        "fffff7ffb000-fffff7ffd000 rw-p 00000000 00:00 0 \n"
    );
    assert!(line(0..1, "----", 0, (0, 0), 0, "/a\nb c\\").ends_with("/a\\012b c\\\n"));
}

fn stat() -> ProcessStat<'static> {
    ProcessStat {
        pid: 101,
        comm: b"a) (b",
        state: State::Sleeping,
        ppid: 104,
        pgrp: 105,
        session: 106,
        tty: (107, 108),
        utime: 114,
        cutime: 116,
        priority: -18,
        nice: -19,
        num_threads: 120,
        starttime: 122,
        vsize: 123,
        rss: 124,
        code: Addresses(126, 127),
        startstack: 128,
        signal: 0x1_8000_0083,
        blocked: 132,
        sigignore: 133,
        sigcatch: 134,
        exit_signal: 138,
        processor: 139,
        rt_priority: 140,
        policy: 141,
        data: Addresses(145, 146),
        start_brk: 147,
        arg: Addresses(148, 149),
        env: Addresses(150, 151),
        exit_code: 152,
    }
}

#[test]
fn fields_of_stat_have_the_numbers_of_proc5() {
    let line = text(|to| stat().write(to));
    let (head, rest) = line.rsplit_once(") ").unwrap();
    assert_eq!(head, "101 (a) (b");
    let rest = rest.strip_suffix('\n').unwrap();
    let fields: Vec<&str> = rest.split(' ').collect();
    assert_eq!(fields.len(), 50);
    let field = |number: usize| fields[number - 3];
    for number in (4..=52).filter(|number| !matches!(number, 18 | 19 | 31)) {
        let expected = match number {
            9..=13 | 15 | 17 | 21 | 29 | 30 | 36 | 37 | 42..=44 => "0".to_string(),
            25 => u64::MAX.to_string(),
            35 => "1".to_string(),
            _ => (100 + number).to_string(),
        };
        assert_eq!(field(number), expected, "field {number}");
    }
    assert_eq!((field(3), field(18), field(19), field(31)), ("S", "-18", "-19", "131"));
}

#[test]
fn a_running_task_waits_nowhere_and_no_terminal_has_no_foreground() {
    let line = text(|to| ProcessStat { state: State::Running, tty: (0, -1), ..stat() }.write(to));
    let fields: Vec<&str> = line.rsplit_once(") ").unwrap().1.split(' ').collect();
    assert_eq!((fields[0], fields[4], fields[5], fields[32]), ("R", "0", "-1", "0"));
}

fn status() -> Status<'static> {
    Status {
        name: b"a\nb\\",
        umask: 0o22,
        state: State::Traced,
        tgid: 7,
        pid: 8,
        ppid: 1,
        tracer: 9,
        pgrp: 5,
        session: 4,
        descriptors: 64,
        memory: Some((Statm { size: 1000, resident: 10, shared: 5, text: 3, data: 40 }, 33)),
        threads: 2,
        queued: (1, 1024),
        pending: [1, 2],
        blocked: 0x1_0000,
        ignored: 0x1000,
        caught: u64::MAX,
        cpus: 0b10111,
    }
}

#[test]
fn status_is_linux_s() {
    assert_eq!(
        text(|to| status().write(to)),
        "Name:\ta\\012b\\134\nUmask:\t0022\nState:\tt (tracing stop)\nTgid:\t7\nNgid:\t0\nPid:\t8\nPPid:\t1\n\
         TracerPid:\t9\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nFDSize:\t64\nGroups:\t \nNStgid:\t7\nNSpid:\t8\n\
         NSpgid:\t5\nNSsid:\t4\nVmSize:\t    4000 kB\nVmRSS:\t      40 kB\nVmData:\t      28 kB\nVmStk:\t     132 kB\n\
         VmExe:\t      12 kB\nThreads:\t2\nSigQ:\t1/1024\nSigPnd:\t0000000000000001\nShdPnd:\t0000000000000002\n\
         SigBlk:\t0000000000010000\nSigIgn:\t0000000000001000\nSigCgt:\tffffffffffffffff\nCapInh:\t0000000000000000\n\
         CapPrm:\t000001ffffffffff\nCapEff:\t000001ffffffffff\nCapBnd:\t000001ffffffffff\nCapAmb:\t0000000000000000\n\
         NoNewPrivs:\t0\nSeccomp:\t0\nCpus_allowed:\t17\nCpus_allowed_list:\t0-2,4\n"
    );
}

#[test]
fn what_has_no_memory_shows_none() {
    let lines = text(|to| Status { memory: None, state: State::Zombie, ..status() }.write(to));
    assert!(lines.contains("State:\tZ (zombie)\n"), "{lines}");
    assert!(!lines.contains("Vm"), "{lines}");
}

#[test]
fn each_state_has_its_letter() {
    let all = [State::Running, State::Sleeping, State::Waiting, State::Stopped, State::Traced, State::Zombie];
    assert_eq!(all.map(State::letter), ['R', 'S', 'D', 'T', 't', 'Z']);
}

#[test]
fn statm_has_seven_fields() {
    let statm = Statm { size: 1, resident: 2, shared: 3, text: 4, data: 6 };
    assert_eq!(text(|to| statm.write(to)), "1 2 3 4 0 6 0\n");
}

#[test]
fn files_of_the_system() {
    let memory = text(|to| MemInfo { total: 4096, free: 1024, cached: 3 }.write(to));
    assert!(memory.starts_with("MemTotal:          16384 kB\nMemFree:            4096 kB\n"), "{memory}");
    assert!(memory.contains("\nCached:               12 kB\n"), "{memory}");
    let stat = SystemStat { user: 12, idle: 34, switches: 56, boot_time: 78, running: 9 };
    assert_eq!(
        text(|to| stat.write(to)),
        "cpu  12 0 0 34 0 0 0 0 0 0\nctxt 56\nbtime 78\nprocs_running 9\nprocs_blocked 0\n"
    );
    assert_eq!(text(|to| procfs::uptime(12_345_678_901, 999_999_999, to)), "12.34 0.99\n");
    assert_eq!(text(|to| procfs::version("Linux", "6.1", "#1", to)), "Linux version 6.1 #1\n");
    assert_eq!(
        text(|to| procfs::mounts(&[("/", "tmpfs"), ("/proc", "proc")], to)),
        "tmpfs / tmpfs rw,relatime 0 0\nproc /proc proc rw,relatime 0 0\n"
    );
}

#[test]
fn lists_of_cpus() {
    let list = |set| text(|to| procfs::cpu_list(set, to));
    assert_eq!(list(0), "\n");
    assert_eq!(list(1), "0\n");
    assert_eq!(list(0b1111), "0-3\n");
    assert_eq!(list(0b1011_0110), "1-2,4-5,7\n");
    assert_eq!(list(u64::MAX), "0-63\n");
    assert_eq!(list(1 << 63 | 1), "0,63\n");
}
