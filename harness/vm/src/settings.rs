//! Defines what a guest consists of: QEMU's machine, the kernel's command line, the
//! modules. Each word is there for speed, for determinism, or for a clean end. Used to
//! start QEMU, and in the guest.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// The clock that a guest runs by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuestTime {
    /// An instruction takes a nanosecond, and idle time takes no real time.
    Virtual,
    /// The host's clock.
    Real,
}

/// How a guest is run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The guest's clock.
    pub time: GuestTime,
    /// The guest's memory, MiB. Results may depend on it: derive it from the input
    /// only.
    pub memory_mib: u32,
    /// Nanoseconds of guest time that an instruction takes, as a power of two. The work
    /// is the same number of instructions, so a larger value makes the guest a slower
    /// machine without making the run shorter; it only shortens busy waiting, which
    /// [`command_line`] nearly eliminates.
    pub shift: u8,
    /// The guest is killed when its clock did not advance and no message arrived for so
    /// long, in real time. Booting counts as silence.
    pub silence: Duration,
    /// How many network namespaces the guest makes before it asks for its input: they
    /// are part of a saved state.
    pub namespaces: usize,
    /// In virtual time: restore the guest from a saved state.
    pub restore: bool,
    /// The kernel makes tracefs's files at boot, for its trace events: 26 to 30 ms of
    /// guest time.
    pub trace_events: bool,
    /// More arguments for the kernel's command line.
    pub append: String,
    /// Signals for the command that the guest runs, one bit each; they are taken from
    /// here and passed on.
    pub signals: Option<Arc<AtomicU64>>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            time: GuestTime::Virtual,
            memory_mib: 512,
            shift: 0,
            silence: Duration::from_secs(120),
            namespaces: 0,
            restore: true,
            trace_events: false,
            append: String::new(),
            signals: None,
        }
    }
}

/// On the kernel's command line of every guest of halfopen.
pub use halfopen_sys::guest::MARKER;

/// The PCI vendor id of the channel's device (ivshmem), as sysfs writes it.
pub const CHANNEL_VENDOR: &str = "0x1af4";
/// The PCI device id, see [`CHANNEL_VENDOR`].
pub const CHANNEL_DEVICE: &str = "0x1110";

/// On the kernel's command line, followed by a number: see [`Settings::namespaces`].
pub const NAMESPACES: &str = "halfopen.namespaces=";

/// The PCI vendor id of the device by which a guest stops itself (pvpanic-pci).
pub const PAUSE_VENDOR: &str = "0x1b36";
/// The PCI device id, see [`PAUSE_VENDOR`].
pub const PAUSE_DEVICE: &str = "0x0011";

/// Modules that labs, faults and observers use. Those that a kernel does not have are
/// left out; their dependencies are added.
pub const MODULES: [&str; 30] = [
    "veth",
    "bridge",
    "nf_tables",
    "nft_fwd_netdev",
    "nft_dup_netdev",
    "nft_numgen",
    "nft_limit",
    "nft_counter", // Part of nf_tables from 5.17 on.
    "nft_ct",
    "nf_conntrack_netlink",
    "nft_reject_inet",
    "nft_reject_ipv4",
    "nft_reject_ipv6",
    "nft_reject_netdev", // 5.11 and later; Debian's cloud flavour has it only built from 6.x on.
    "nft_chain_nat",
    "nft_nat",
    "nft_masq",
    "nft_redir",
    "sch_netem",
    "sch_tbf",
    "sch_ingress",
    "cls_bpf",
    "cls_u32",
    "act_mirred",
    "act_gact",
    "inet_diag",
    "tcp_diag",
    // The file system of a command (crate::command).
    "fuse",
    "overlay",
    "crc32c_generic", // nf_tables needs a crc32c through libcrc32c (a soft dependency).
];

/// Makes tracefs's files.
const TRACEFS: &str = "tracer_init_tracefs";

/// Functions that the kernel's boot skips (initcall_blacklist=; the kernel ignores
/// names that it does not have). The numbers are what each costs of the instructions of
/// a boot: 870 million on 6.12 and 820 million on 7.3 with all of them skipped but the
/// first three.
const SKIPPED: [&str; 11] = [
    // Certificates that check modules' signatures (the modules come without).
    "load_system_certificate_list",
    // Tracing of block devices.
    "init_blk_tracer",
    // Its check is a busy wait.
    "init_acpi_pm_clocksource",
    // A source of random numbers tests itself: 130 million on 6.12.
    "jent_mod_init",
    // Names in the texts of trace events, 33 to 126 million, and their files.
    "trace_eval_init",
    TRACEFS,
    // Looks every function up by its address: 75 to 96 million.
    "ftrace_check_for_weak_functions",
    // A self-test: 5 million.
    "blake2s_mod_init",
    // The device by which programs may use the HPET is timed by 300 000 iterations of
    // reading and writing its registers, which are slow to emulate (0.15 s); one of the
    // two functions does it for the other. The kernel's own use of the HPET is in
    // neither.
    "hpet_late_init",
    "hpet_init",
    // kcompactd: 5.9 to 5.14 wake it every half second to check whether memory is
    // fragmented (HPAGE_FRAG_CHECK_INTERVAL_MSEC), even where proactive compaction is
    // turned off: of 108 000 idle wake-ups in nine hours of 5.10 it caused most.
    "kcompactd_init",
];

/// Arguments for determinism: random addresses, and whatever depends on the host's
/// speed, would make two runs differ.
const DETERMINISM: [&str; 4] = [
    // The kernel and every process at the same address each time.
    "nokaslr",
    "norandmaps",
    // The random pool is filled at once by RDRAND, which `-seed` makes repeatable.
    "random.trust_cpu=on",
    // DAMON_STAT (6.17 and later; Debian has it on) checks every 5 ms to 10 s which
    // pages were accessed, and acts on the result. A translated processor sets a page's
    // accessed bit when its own translation table (TLB) lacks the page, and QEMU
    // shrinks that table by the host's clock (tlb_mmu_resize_locked(), windows of 100
    // ms): it is the one thing in a guest that depends on how fast the host is.
    "damon_stat.enabled=0",
];

/// The kernel's command line.
pub fn command_line(settings: &Settings) -> String {
    let needed = |name: &&&str| settings.trace_events && **name == TRACEFS;
    let skipped: Vec<&str> = SKIPPED
        .iter()
        .filter(|name| !needed(name))
        .copied()
        .collect();
    let skipped = format!("initcall_blacklist={}", skipped.join(","));
    let mut words = vec![MARKER, "rdinit=/init", "console=ttyS0", "quiet"];
    // A panic ends the machine (QEMU's -no-reboot), with its message on the console. It
    // resets by a triple fault: otherwise, on a machine without a keyboard controller,
    // the kernel waits for the controller in a counting loop for a minute
    // (native_machine_emergency_restart()).
    words.extend(["panic=-1", "oops=panic", "reboot=triple"]);
    // Speed; the numbers are what each saved of Debian 6.1's first 10 s on a busy
    // machine:
    words.extend([
        // The local APIC's timer is calibrated by 100 ms of busy waiting, which is the
        // most expensive thing a translated guest can do (6 s), and it cannot be set
        // further ahead than 134 ms (8 wake-ups a second when idle). Without it the
        // kernel uses the HPET: 21 s ahead, and fewer registers.
        "nolapic",
        // Self-tests of ciphers: 0.7 s of guest time.
        "cryptomgr.notests",
        // Functions that only make the boot longer.
        &skipped,
        // Keeps the kernel from patching thousands of locks for a single processor:
        // each patch would change address spaces twice, which discards translated code.
        "noreplace-smp",
        "mitigations=off",
        "init_on_alloc=0",
        "no_timer_check",
        "8250.nr_uarts=1",
        "audit=0",
        // Other security modules check each file and each call on a socket, without
        // effect here.
        "lsm=capability",
        "hardened_usercopy=off",
        // Each dump of the sockets (inet_diag) walks these tables, which all namespaces
        // share and whose size depends on the memory.
        "thash_entries=256",
        "uhash_entries=256",
        // Removing a namespace walks this one (tcp_metrics_flush_all()).
        "tcpmhash_entries=64",
        // khugepaged scans the runner's hundreds of stacks.
        "transparent_hugepage=never",
    ]);
    // Idle wake-ups: watchdogs, and memory and pressure accounting.
    words.extend(["nowatchdog", "cgroup_disable=memory", "psi=0"]);
    words.extend(DETERMINISM);
    if settings.time == GuestTime::Virtual {
        // The time stamp counter counts nanoseconds exactly, so it needs no calibration
        // and no watchdog. (With the host's clock it has the host's rate.)
        words.extend(["tsc=reliable", "tsc_early_khz=1000000"]);
    }
    let namespaces = format!("{NAMESPACES}{}", settings.namespaces);
    if settings.namespaces > 0 {
        words.push(&namespaces);
    }
    words.push(&settings.append);
    words.join(" ").trim_end().to_owned()
}

/// Whether QEMU records the run (record/replay).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// Record to /dev/null, for determinism: see [`machine_arguments`].
    On,
    /// A machine that records cannot be stopped: QEMU 7.2's replay-time.c ends it.
    Off,
}

/// QEMU's arguments, without the files.
pub fn machine_arguments(settings: &Settings, record: Record) -> Vec<String> {
    let mut words: Vec<String> = [
        "-nodefaults",
        "-no-user-config",
        "-no-reboot",
        "-display",
        "none",
    ]
    .map(str::to_owned)
    .to_vec();
    let mut add = |option: &str, value: String| words.extend([option.to_owned(), value]);
    // Not the newest machine type: one that every QEMU in use has, and always the same.
    add(
        "-machine",
        // The memory has a name, so that a file can back it; suppress-vmdesc leaves the
        // description of the state's fields out of a saved state.
        "pc-i440fx-6.2,i8042=off,smbus=off,usb=off,vmport=off,memory-backend=pc.ram,suppress-vmdesc=on"
            .into(),
    );
    add("-cpu", "qemu64,+rdrand".into());
    add("-smp", "1".into());
    add("-m", settings.memory_mib.to_string());
    add("-accel", "tcg".into());
    add("-seed", "1".into());
    match settings.time {
        GuestTime::Virtual => {
            // The record is discarded. It is requested because only then does QEMU's
            // main loop wait until the guest's instructions are counted before it lets
            // the clock jump. Otherwise, once in 100 000 jumps, it uses a stale count,
            // and the guest is a few nanoseconds older than in another run.
            let record = match record {
                Record::On => ",rr=record,rrfile=/dev/null",
                Record::Off => "",
            };
            add(
                "-icount",
                format!("shift={},sleep=off{record}", settings.shift),
            );
            add("-rtc", "base=2026-01-01T00:00:00,clock=vm".into());
        }
        GuestTime::Real => add("-rtc", "base=utc,clock=host".into()),
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_virtual_time_counts_instructions() {
        let real = Settings {
            time: GuestTime::Real,
            ..Settings::default()
        };
        assert!(
            machine_arguments(&Settings::default(), Record::On)
                .iter()
                .any(|word| word.starts_with("shift=0,sleep=off"))
        );
        assert!(!machine_arguments(&real, Record::On).contains(&"-icount".to_owned()));
        assert!(!command_line(&real).contains("tsc"));
        assert!(command_line(&real).split(' ').any(|word| word == MARKER));
    }
}
