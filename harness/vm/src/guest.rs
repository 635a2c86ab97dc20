//! The other side: this program as the first process of a guest.

use std::ffi::CStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid};

use super::channel::{GuestChannel, MessageKind};
use super::machine::BootReport;
use super::settings::MARKER;
use super::{initramfs, pci};
use halfopen_sys::clock::monotonic_ns;
use halfopen_sys::process::exit_now;
use halfopen_sys::process::fork_single_threaded;

/// A guest's work: prepares what does not depend on its input, asks for that once,
/// says lines, fails with command_line. What is done before it asks is part of a saved
/// state, so it is the same for all inputs.
pub type Work = fn(
    input: &mut dyn FnMut() -> Result<Vec<u8>, String>,
    send: &mut dyn FnMut(&[u8]),
) -> Result<(), String>;

/// How often the guest shows its clock, guest time.
const CLOCK_INTERVAL: Duration = Duration::from_secs(20);

/// Does a guest's `work` if this process is the first one of a guest, and never
/// returns then. To be called first in main(), before any thread is started.
pub fn serve_if_guest(work: Work) {
    if std::process::id() != 1 || !Path::new(initramfs::MODULES).exists() {
        return;
    }
    // A container's first process has /proc mounted, and no such word in it.
    if !Path::new("/proc/cmdline").exists() && mount_filesystem("proc", "/proc").is_err() {
        return;
    }
    let command_line = fs::read_to_string("/proc/cmdline").unwrap_or_default();
    if !command_line.split_whitespace().any(|word| word == MARKER) {
        return;
    }
    if let Err(why) = run_guest(work) {
        eprintln!("halfopen guest: {why}");
    }
    // Takes 8 ms of guest time, ACPI's registers and all.
    let _ = reboot(RebootMode::RB_POWER_OFF);
    // What is left is the kernel's panic when its first process ends.
    exit_now(1)
}

fn run_guest(work: Work) -> Result<(), String> {
    for (kind, place) in [
        ("sysfs", "/sys"),
        ("devtmpfs", "/dev"),
        ("tmpfs", "/run"),
        ("tmpfs", "/tmp"),
    ] {
        mount_filesystem(kind, place).map_err(|e| format!("mount {place}: {e}"))?;
    }
    let refused = load_modules();
    configure_kernel();
    let device = pci::channel()?;
    // The first process must not end, and it inherits every orphan: it only
    // reaps, and its child does the work.
    match fork_single_threaded().map_err(|e| format!("fork: {e}"))? {
        ForkResult::Parent { child } => reap_until(child),
        ForkResult::Child => {
            let channel = GuestChannel::open(&device).map_err(|e| format!("open the channel: {e}"));
            let code = match channel {
                Ok(channel) => run_work(channel, refused, work),
                Err(why) => {
                    eprintln!("halfopen guest: {why}");
                    1
                }
            };
            exit_now(code)
        }
    }
}

fn run_work(channel: GuestChannel, refused: Vec<String>, work: Work) -> i32 {
    if let Err(e) = halfopen_runner::endpoint::share_memory() {
        eprintln!("halfopen guest: endpoints get memory of their own: {e}");
    }
    let channel = Arc::new(Mutex::new(channel));
    let send = |kind, content: &[u8]| {
        channel
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .send(kind, content);
    };
    let mut input = || {
        let input = wait_for_input(&channel)?;
        let report = BootReport {
            release: halfopen_runner::machine::kernel(),
            at_ns: monotonic_ns(),
            refused: refused.clone(),
        };
        send(
            MessageKind::Booted,
            &serde_json::to_vec(&report).unwrap_or_default(),
        );
        start_clock_thread(&channel).map_err(|e| format!("start a thread: {e}"))?;
        Ok(input)
    };
    let result = work(&mut input, &mut |message| send(MessageKind::Work, message));
    if let Some(busy) = busy_time() {
        channel
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .publish_busy_time(busy);
    }
    match result {
        Ok(()) => send(MessageKind::Done, b""),
        Err(why) => send(MessageKind::Failed, why.as_bytes()),
    }
    0
}

/// What the host has given. Where it has given nothing yet, the guest has the host
/// stop it, save it, and give the input to a restored copy.
fn wait_for_input(channel: &Mutex<GuestChannel>) -> Result<Vec<u8>, String> {
    let read_input = || {
        let channel = channel.lock().unwrap_or_else(PoisonError::into_inner);
        channel.read_input()
    };
    if let Some(input) = read_input() {
        return Ok(input);
    }
    pci::pause()?;
    read_input().ok_or_else(|| "there is no input".to_owned())
}

/// Shows the guest's clock now and then, for who watches the run.
fn start_clock_thread(channel: &Arc<Mutex<GuestChannel>>) -> std::io::Result<()> {
    let clock = Arc::clone(channel);
    let builder = std::thread::Builder::new().name("clock".into());
    builder.spawn(move || {
        loop {
            std::thread::sleep(CLOCK_INTERVAL);
            clock
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .publish_clock();
        }
    })?;
    Ok(())
}

/// How long the processor was busy since the boot: all the time but the idle
/// one, which the kernel measures by the clock, not by ticks
/// (get_cpu_idle_time_us()).
fn busy_time() -> Option<Duration> {
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let idle: f64 = uptime.split_whitespace().nth(1)?.parse().ok()?;
    let up = Duration::from_nanos(u64::try_from(monotonic_ns()).ok()?);
    up.checked_sub(Duration::try_from_secs_f64(idle).ok()?)
}

/// Reaps whatever ends, until `main` has.
fn reap_until(main: Pid) -> Result<(), String> {
    loop {
        match waitpid(None, None) {
            Ok(WaitStatus::Exited(pid, 0)) if pid == main => return Ok(()),
            Ok(status) if status.pid() == Some(main) => {
                return Err(format!("the process at work ended: {status:?}"));
            }
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(e) => return Err(format!("wait: {e}")),
        }
    }
}

fn mount_filesystem(kind: &str, place: &str) -> nix::Result<()> {
    mount(
        Some(kind),
        place,
        Some(kind),
        MsFlags::empty(),
        None::<&str>,
    )
}

/// Loads the modules in the order of their names; returns what went wrong.
fn load_modules() -> Vec<String> {
    let files = fs::read_dir(initramfs::MODULES)
        .into_iter()
        .flatten()
        .flatten();
    let mut files: Vec<PathBuf> = files.map(|entry| entry.path()).collect();
    files.sort();
    let mut refused = Vec::new();
    for file in files {
        let name = file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let name = name.split_once('-').map_or(name.as_str(), |(_, name)| name);
        let loaded = fs::read(&file)
            .map_err(|e| e.to_string())
            .and_then(|image| {
                nix::kmod::init_module(&image, parameters(name)).map_err(|e| e.to_string())
            });
        if let Err(e) = loaded {
            refused.push(format!("{name}: {e}"));
        }
        // Its memory is the guest's again.
        let _ = fs::remove_file(&file);
    }
    refused
}

/// A module's parameters.
fn parameters(module: &str) -> &'static CStr {
    match module {
        // Its collector walks the whole table, which is sized by the memory.
        "nf_conntrack" => c"hashsize=1024",
        _ => c"",
    }
}

/// Stops what wakes an idle kernel up for nothing, and lifts limits. What a
/// kernel does not know is left as it is.
fn configure_kernel() {
    for (key, value) in [
        // kcompactd: twice a second.
        ("vm/compaction_proactiveness", "0"),
        // vmstat_shepherd: once a second.
        ("vm/stat_interval", "100000"),
        ("vm/dirty_writeback_centisecs", "0"),
        ("kernel/hung_task_timeout_secs", "0"),
        // neigh_managed_work: every 5 s, for entries that nobody makes here. Newer
        // kernels take no more than 2^31 / HZ.
        ("net/ipv4/neigh/default/interval_probe_time_ms", "2000000"),
        ("net/ipv6/neigh/default/interval_probe_time_ms", "2000000"),
        // neigh_periodic_work: twice in this time, 30 s. All that is left to it here is
        // to draw new reachable times each 300 s. A lab's interfaces have times of
        // their own.
        ("net/ipv4/neigh/default/base_reachable_time_ms", "600000"),
        ("net/ipv6/neigh/default/base_reachable_time_ms", "600000"),
        // Neighbour tables are shared by all namespaces: with too many entries
        // of too many cases, those that nobody has used for a minute are gone.
        ("net/ipv4/neigh/default/gc_thresh1", "1000000"),
        ("net/ipv4/neigh/default/gc_thresh2", "1000000"),
        ("net/ipv4/neigh/default/gc_thresh3", "1000000"),
        ("net/ipv6/neigh/default/gc_thresh1", "1000000"),
        ("net/ipv6/neigh/default/gc_thresh2", "1000000"),
        ("net/ipv6/neigh/default/gc_thresh3", "1000000"),
        ("kernel/randomize_va_space", "0"),
        // A thread or a process for every lane of every case.
        ("kernel/pid_max", "4194304"),
    ] {
        let _ = fs::write(Path::new("/proc/sys").join(key), value);
    }
    // Since 6.12 each start of an ordinary thread sets a timer a second ahead, for
    // the case that real-time ones leave it no time.
    if mount_filesystem("debugfs", "/sys/kernel/debug").is_ok() {
        let _ = fs::write("/sys/kernel/debug/sched/fair_server/cpu0/runtime", "0");
    }
    let _ = setrlimit(Resource::RLIMIT_NOFILE, 1 << 20, 1 << 20);
}
