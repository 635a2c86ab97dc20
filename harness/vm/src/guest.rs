//! This program as the first process of a guest: mounts, loads modules, configures the
//! kernel, and runs the work that it was built with. Uses the initramfs and the
//! channel; [`crate::machine`] is its counterpart on the host.

use std::ffi::CStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid};

use super::channel::{GuestChannel, MessageKind};
use super::gate::GuestGate;
use super::machine::BootReport;
use super::settings::MARKER;
use super::{initramfs, pci};
use halfopen_sys::clock::monotonic_ns;
use halfopen_sys::process::exit_now;
use halfopen_sys::process::fork_single_threaded;

/// A guest's work: prepares what does not depend on its input, calls `input` once,
/// sends messages, and returns an error as text. What it does before `input` is part of
/// a saved state, so it is the same for all inputs.
pub type Work = fn(
    input: &mut dyn FnMut() -> Result<Vec<u8>, String>,
    send: &mut dyn FnMut(&[u8]),
    link: &Link,
) -> Result<(), String>;

/// The guest's side of the channel, shared by its threads.
#[derive(Debug, Clone)]
pub struct Link {
    channel: Arc<Mutex<GuestChannel>>,
    gate: Arc<Mutex<Option<GuestGate>>>,
}

impl Link {
    fn new(channel: GuestChannel) -> Self {
        Link {
            channel: Arc::new(Mutex::new(channel)),
            gate: Arc::default(),
        }
    }

    fn channel(&self) -> MutexGuard<'_, GuestChannel> {
        self.channel.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prepares [`Link::ask`], for this thread and those that it starts later.
    ///
    /// # Errors
    /// Of ioperm(2).
    pub(super) fn open_gate(&self) -> io::Result<()> {
        let gate = GuestGate::open()?;
        *self.gate.lock().unwrap_or_else(PoisonError::into_inner) = Some(gate);
        Ok(())
    }

    /// Sends a request; the host's answer. The guest stands still meanwhile.
    ///
    /// # Errors
    /// NotConnected without [`Link::open_gate`]; FileTooLarge for a request that does
    /// not fit.
    pub(super) fn ask(&self, request: &[u8]) -> io::Result<Vec<u8>> {
        let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        let gate = gate.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        self.channel().ask(request, || gate.ring())
    }

    /// As [`GuestChannel::take_signals`].
    pub(super) fn take_signals(&self) -> u64 {
        self.channel().take_signals()
    }
}

/// How often the guest publishes its clock, in guest time.
const CLOCK_INTERVAL: Duration = Duration::from_secs(20);

/// Runs `work` and does not return if this process is the first one of a guest;
/// otherwise does nothing. Call it first in main(), before any thread is started.
pub fn serve_if_guest(work: Work) {
    if std::process::id() != 1 || !Path::new(initramfs::MODULES).exists() {
        return;
    }
    // In a container /proc is mounted for the first process, and its command line lacks
    // the marker.
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
    // Powering off takes 8 ms of guest time, including ACPI's registers.
    let _ = reboot(RebootMode::RB_POWER_OFF);
    // If that fails, the kernel panics when its first process ends.
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
    // The first process must not end, and it inherits every orphan: it only reaps, and
    // its child runs the work.
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
    let link = Link::new(channel);
    let send = |kind, content: &[u8]| link.channel().send(kind, content);
    let mut input = || {
        let input = wait_for_input(&link)?;
        let report = BootReport {
            release: halfopen_runner::machine::kernel(),
            at_ns: monotonic_ns(),
            refused: refused.clone(),
        };
        send(
            MessageKind::Booted,
            &serde_json::to_vec(&report).unwrap_or_default(),
        );
        start_clock_thread(&link).map_err(|e| format!("start a thread: {e}"))?;
        Ok(input)
    };
    let result = work(
        &mut input,
        &mut |message| send(MessageKind::Work, message),
        &link,
    );
    if let Some(busy) = busy_time() {
        link.channel().publish_busy_time(busy);
    }
    match result {
        Ok(()) => send(MessageKind::Done, b""),
        Err(why) => send(MessageKind::Failed, why.as_bytes()),
    }
    0
}

/// The input. If the host has not written it yet, the guest stops itself, the host
/// saves it and writes the input for a restored copy.
fn wait_for_input(link: &Link) -> Result<Vec<u8>, String> {
    let read_input = || link.channel().read_input();
    if let Some(input) = read_input() {
        return Ok(input);
    }
    pci::pause()?;
    read_input().ok_or_else(|| "there is no input".to_owned())
}

/// Publishes the guest's clock every [`CLOCK_INTERVAL`], for the progress display.
fn start_clock_thread(link: &Link) -> io::Result<()> {
    let clock = link.clone();
    let builder = std::thread::Builder::new().name("clock".into());
    builder.spawn(move || {
        loop {
            std::thread::sleep(CLOCK_INTERVAL);
            clock.channel().publish_clock();
        }
    })?;
    Ok(())
}

/// How long the processor was busy since the boot: the uptime without the idle time,
/// which the kernel measures by the clock, not by ticks (get_cpu_idle_time_us()).
fn busy_time() -> Option<Duration> {
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let idle: f64 = uptime.split_whitespace().nth(1)?.parse().ok()?;
    let up = Duration::from_nanos(u64::try_from(monotonic_ns()).ok()?);
    up.checked_sub(Duration::try_from_secs_f64(idle).ok()?)
}

/// Reaps processes until `main` has ended.
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

/// Loads the modules in the order of their file names; returns those that failed, with
/// the reason.
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
        // Frees the memory of the file.
        let _ = fs::remove_file(&file);
    }
    refused
}

/// A module's parameters.
fn parameters(module: &str) -> &'static CStr {
    match module {
        // The garbage collector walks the whole table, whose size depends on the
        // memory.
        "nf_conntrack" => c"hashsize=1024",
        _ => c"",
    }
}

/// Turns off periodic work that wakes an idle kernel up, and raises limits. A kernel
/// without one of these settings ignores it.
fn configure_kernel() {
    for (key, value) in [
        // kcompactd: twice a second.
        ("vm/compaction_proactiveness", "0"),
        // vmstat_shepherd: once a second.
        ("vm/stat_interval", "100000"),
        ("vm/dirty_writeback_centisecs", "0"),
        ("kernel/hung_task_timeout_secs", "0"),
        // neigh_managed_work: every 5 s, for managed entries, which are not used here.
        // Newer kernels accept no more than 2^31 / HZ.
        ("net/ipv4/neigh/default/interval_probe_time_ms", "2000000"),
        ("net/ipv6/neigh/default/interval_probe_time_ms", "2000000"),
        // neigh_periodic_work: runs twice in this time, which is 30 s by default. It is
        // only left with drawing new reachable times each 300 s. A lab's interfaces
        // have times of their own.
        ("net/ipv4/neigh/default/base_reachable_time_ms", "600000"),
        ("net/ipv6/neigh/default/base_reachable_time_ms", "600000"),
        // Neighbour tables are shared by all namespaces: with too many entries of too
        // many cases, those that were not used for a minute would be removed.
        ("net/ipv4/neigh/default/gc_thresh1", "1000000"),
        ("net/ipv4/neigh/default/gc_thresh2", "1000000"),
        ("net/ipv4/neigh/default/gc_thresh3", "1000000"),
        ("net/ipv6/neigh/default/gc_thresh1", "1000000"),
        ("net/ipv6/neigh/default/gc_thresh2", "1000000"),
        ("net/ipv6/neigh/default/gc_thresh3", "1000000"),
        ("kernel/randomize_va_space", "0"),
        // Each lane of each case is a thread or a process.
        ("kernel/pid_max", "4194304"),
    ] {
        let _ = fs::write(Path::new("/proc/sys").join(key), value);
    }
    // Since 6.12 (fair_server) each start of an ordinary thread sets a timer one second
    // ahead, in case real-time threads leave it no time.
    if mount_filesystem("debugfs", "/sys/kernel/debug").is_ok() {
        let _ = fs::write("/sys/kernel/debug/sched/fair_server/cpu0/runtime", "0");
    }
    let _ = setrlimit(Resource::RLIMIT_NOFILE, 1 << 20, 1 << 20);
}
