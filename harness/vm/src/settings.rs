//! What a guest is made of: QEMU's machine, the kernel's command line, the
//! modules. Each word is here for speed, for sameness, or to end well.

use std::time::Duration;

/// Which clock a guest lives by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuestTime {
    /// An instruction is a nanosecond, and idle time takes none of the host's.
    Virtual,
    /// The host's.
    Real,
}

/// How a guest is run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its clock.
    pub time: GuestTime,
    /// Its memory, MiB. Results may depend on it: derive it from the input only.
    pub memory_mib: u32,
    /// Nanoseconds of guest time an instruction takes, as a power of two. The
    /// work is the same number of instructions, so a larger one makes the
    /// guest a slower machine without making the run shorter; what it shortens
    /// is busy waiting, and [`command_line`] leaves next to none of that.
    pub shift: u8,
    /// End the guest when its clock stood still and nothing was heard for so
    /// long, real time. Booting counts as silence.
    pub silence: Duration,
    /// How many network namespaces the guest makes before it asks for its input:
    /// they are part of a saved state.
    pub namespaces: usize,
    /// In virtual time: go on from a saved state of the same guest.
    pub restore: bool,
    /// More words for the kernel's command line.
    pub append: String,
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
            append: String::new(),
        }
    }
}

/// On the kernel's command line of every guest of ours.
pub use halfopen_sys::guest::MARKER;

/// The PCI id of the channel's device, as sysfs writes it.
pub const CHANNEL_VENDOR: &str = "0x1af4";
/// See [`CHANNEL_VENDOR`].
pub const CHANNEL_DEVICE: &str = "0x1110";

/// On the kernel's command line, with a number: see [`Settings::namespaces`].
pub const NAMESPACES: &str = "halfopen.namespaces=";

/// The PCI id of the device by which a guest has itself stopped (pvpanic-pci).
pub const PAUSE_VENDOR: &str = "0x1b36";
/// See [`PAUSE_VENDOR`].
pub const PAUSE_DEVICE: &str = "0x0011";

/// Modules that labs, faults and observers use. What a kernel does not have is
/// left out; what they need themselves is added.
pub const MODULES: [&str; 28] = [
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
    "crc32c_generic", // nf_tables needs a crc32c through libcrc32c (a soft dependency).
];

/// Functions that the kernel's boot leaves out (initcall_blacklist=; names that
/// a kernel does not have are passed over). What each costs of the instructions
/// of a boot, 870 million on 6.12 and 820 million on 7.3 with all of them but
/// the first three.
const SKIPPED: [&str; 11] = [
    // Certificates that check modules' signatures (the modules come without).
    "load_system_certificate_list",
    // Tracing of block devices.
    "init_blk_tracer",
    // Its check is busy waiting.
    "init_acpi_pm_clocksource",
    // A source of random numbers tries itself out: 130 million on 6.12.
    "jent_mod_init",
    // Names in the texts of trace events, 33 to 126 million, and their files.
    "trace_eval_init",
    "tracer_init_tracefs",
    // Looks every function up by its address: 75 to 96 million.
    "ftrace_check_for_weak_functions",
    // A self-test: 5 million.
    "blake2s_mod_init",
    // A device by which programs may use the HPET is timed by 300 000 turns of
    // reading and writing its registers, which are slow to emulate (0.15 s); one
    // of the two does it for the other. The kernel's own use of it is neither.
    "hpet_late_init",
    "hpet_init",
    // kcompactd: 5.9 to 5.14 wake it each half a second to look whether memory is in
    // pieces (HPAGE_FRAG_CHECK_INTERVAL_MSEC), also where that is turned off: of 108 000
    // idle wake-ups in nine hours of 5.10 it caused most.
    "kcompactd_init",
];

/// Words for sameness: what takes a guest's memory as it comes would make two
/// runs differ.
const SAMENESS: [&str; 4] = [
    // The kernel and every process at the same address each time.
    "nokaslr",
    "norandmaps",
    // The random pool filled at once, by RDRAND, which `-seed` makes repeatable.
    "random.trust_cpu=on",
    // DAMON_STAT (6.17 and later; Debian has it on) looks every 5 ms to 10 s which
    // pages were accessed, and works by what it finds. A translated processor
    // sets a page's accessed bit when its own table of translations lacks the
    // page, and QEMU makes that table smaller by the host's clock
    // (tlb_mmu_resize_locked(), windows of 100 ms): the one thing in a guest that
    // depends on how fast the host is.
    "damon_stat.enabled=0",
];

/// The kernel's command line.
pub fn command_line(settings: &Settings) -> String {
    let skipped = format!("initcall_blacklist={}", SKIPPED.join(","));
    let mut words = vec![MARKER, "rdinit=/init", "console=ttyS0", "quiet"];
    // A panic ends the machine (QEMU's -no-reboot), its message on the console.
    // By a triple fault: a machine without a keyboard's controller is otherwise
    // waited for, by counting, for a minute (native_machine_emergency_restart()).
    words.extend(["panic=-1", "oops=panic", "reboot=triple"]);
    // Speed, by what it saved of Debian 6.1's first 10 s on a busy machine:
    words.extend([
        // The local APIC's timer is calibrated by 100 ms of busy waiting, which
        // is the most expensive thing a translated guest can do (6 s), and it
        // can't be set further ahead than 134 ms (8 wake-ups a second, idle).
        // Without it the HPET is used: 21 s ahead, and fewer registers.
        "nolapic",
        // Self-tests of ciphers: 0.7 s of guest time.
        "cryptomgr.notests",
        // Instructions that only make the boot longer.
        &skipped,
        // Locks, thousands of them, are not made those of a single processor: each would
        // be a change of address spaces twice, which costs what was translated.
        "noreplace-smp",
        "mitigations=off",
        "init_on_alloc=0",
        "no_timer_check",
        "8250.nr_uarts=1",
        "audit=0",
        // Each file and each call on a socket is asked about, to no end.
        "lsm=capability",
        "hardened_usercopy=off",
        // Each look at the sockets (inet_diag) walks these tables, which every
        // namespace shares and which the kernel sizes by its memory.
        "thash_entries=256",
        "uhash_entries=256",
        // The end of a namespace walks this one (tcp_metrics_flush_all()).
        "tcpmhash_entries=64",
        // khugepaged looks through the runner's hundreds of stacks.
        "transparent_hugepage=never",
    ]);
    // Idle wake-ups: watchdogs, and accounting of memory and pressure.
    words.extend(["nowatchdog", "cgroup_disable=memory", "psi=0"]);
    words.extend(SAMENESS);
    if settings.time == GuestTime::Virtual {
        // The time stamp counter counts nanoseconds exactly: nothing to measure
        // or to doubt. (With the host's clock it has the host's rate.)
        words.extend(["tsc=reliable", "tsc_early_khz=1000000"]);
    }
    let namespaces = format!("{NAMESPACES}{}", settings.namespaces);
    if settings.namespaces > 0 {
        words.push(&namespaces);
    }
    words.push(&settings.append);
    words.join(" ").trim_end().to_owned()
}

/// Whether QEMU keeps a record of what happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// Into nothing: for sameness.
    Kept,
    /// A machine with a record cannot be stopped: QEMU 7.2's replay-time.c ends it.
    None,
}

/// QEMU's arguments, less the files.
pub fn machine(settings: &Settings, record: Record) -> Vec<String> {
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
    // Not the newest machine: one that every QEMU in use has, and the same.
    add(
        "-machine",
        // Its memory is named, so that it can be a file's, and a saved state has no
        // description of its own fields.
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
            // The record of what happened goes nowhere; it is asked for because
            // only then does QEMU's main loop wait for the instructions of the
            // guest to be counted before it lets the clock jump. Otherwise, once
            // in 100 000 jumps, it takes a stale count, and the guest is a few
            // nanoseconds older than in another run.
            let record = match record {
                Record::Kept => ",rr=record,rrfile=/dev/null",
                Record::None => "",
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
            machine(&Settings::default(), Record::Kept)
                .iter()
                .any(|word| word.starts_with("shift=0,sleep=off"))
        );
        assert!(!machine(&real, Record::Kept).contains(&"-icount".to_owned()));
        assert!(!command_line(&real).contains("tsc"));
        assert!(command_line(&real).split(' ').any(|word| word == MARKER));
    }
}
