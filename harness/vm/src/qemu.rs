//! Runs QEMU's process: its arguments, waiting for it, and how its exit is judged. Used
//! by [`crate::machine`], also to save a guest.

use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::channel::{self, HostChannel};
use super::error::VmError;
use super::files::{Files, anonymous_file};
use super::gate;
use super::settings::{Record, Settings, command_line, machine_arguments};
use halfopen_sys::child::spawn_with_pdeathsig;
use halfopen_sys::process::pidfd_open;

/// The executable, which is searched for in $PATH.
const PROGRAM: &str = "qemu-system-x86_64";
/// How often the guest's channel is read.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Lines of the console that an error shows.
const CONSOLE_LINES: usize = 25;

/// The path of QEMU's executable.
pub(super) fn find_executable() -> Result<PathBuf, VmError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut files = std::env::split_paths(&path).map(|dir| dir.join(PROGRAM));
    files.find(|file| file.is_file()).ok_or(VmError::NoQemu)
}

/// How a guest is started.
pub(super) enum Start<'a> {
    /// Boot the kernel.
    Boot(&'a Files),
    /// Boot the kernel, to be saved when the guest stops itself.
    Save {
        files: &'a Files,
        /// Becomes the guest's memory.
        memory: &'a File,
        /// Another file that must be open in QEMU: the devices are written to it.
        devices: &'a File,
        /// The other end of [`super::state::monitor::Monitor`].
        monitor: &'a OwnedFd,
    },
    /// Restore a saved guest.
    Restore {
        release: &'a str,
        /// The saved memory; it is mapped privately, so that the guest's changes are
        /// not written to the file.
        memory: &'a File,
        /// A pipe with the saved devices.
        devices: &'a OwnedFd,
    },
}

impl Start<'_> {
    /// `uname -r`.
    pub(super) fn release(&self) -> &str {
        match self {
            Start::Boot(files) | Start::Save { files, .. } => &files.release,
            Start::Restore { release, .. } => release,
        }
    }

    fn record(&self) -> Record {
        match self {
            Start::Save { .. } => Record::Off,
            Start::Boot(_) | Start::Restore { .. } => Record::On,
        }
    }

    /// The arguments of this start, without those of the machine, and the descriptors
    /// in them.
    fn arguments(&self, settings: &Settings) -> Result<Arguments, VmError> {
        let mut arguments = Arguments::default();
        match self {
            Start::Boot(files) => {
                arguments.memory("ram", settings, "");
                arguments.kernel(files, settings)?;
            }
            Start::Save {
                files,
                memory,
                devices,
                monitor,
            } => {
                let place = format!(",share=on,mem-path={}", fd_path(memory));
                arguments.memory("file", settings, &place);
                arguments.kernel(files, settings)?;
                arguments.add(&["-action", "panic=pause"]);
                let monitor = monitor.as_raw_fd();
                arguments.add(&["-chardev", &format!("socket,id=monitor,fd={monitor}")]);
                arguments.add(&["-mon", "chardev=monitor,mode=control"]);
                let others = [memory.as_raw_fd(), devices.as_raw_fd(), monitor];
                arguments.inherited.extend(others);
            }
            Start::Restore {
                memory, devices, ..
            } => {
                let place = format!(",share=off,mem-path={}", fd_path(memory));
                arguments.memory("file", settings, &place);
                let devices = devices.as_raw_fd();
                arguments.add(&["-incoming", &format!("fd:{devices}")]);
                arguments.inherited.extend([memory.as_raw_fd(), devices]);
            }
        }
        Ok(arguments)
    }
}

/// Arguments, the descriptors that they name, and files that have to stay open.
#[derive(Default)]
struct Arguments {
    words: Vec<String>,
    inherited: Vec<RawFd>,
    open_files: Vec<File>,
}

impl Arguments {
    fn add(&mut self, words: &[&str]) {
        self.words.extend(words.iter().map(|&word| word.to_owned()));
    }

    fn memory(&mut self, backend: &str, settings: &Settings, more: &str) {
        let size = settings.memory_mib;
        let object = format!("memory-backend-{backend},id=pc.ram,size={size}M{more}");
        self.add(&["-object", &object]);
    }

    fn kernel(&mut self, files: &Files, settings: &Settings) -> Result<(), VmError> {
        let initrd = files.initramfs()?;
        self.add(&[
            "-kernel",
            &fd_path(&files.image),
            "-initrd",
            &fd_path(&initrd),
        ]);
        self.add(&["-append", &command_line(settings)]);
        let files = [files.image.as_raw_fd(), initrd.as_raw_fd()];
        self.inherited.extend(files);
        self.open_files.push(initrd);
        Ok(())
    }
}

fn fd_path(file: &File) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// Every argument that a guest with these settings can get, without the files: part of
/// what a saved state depends on.
pub(super) fn all_arguments(settings: &Settings) -> Vec<String> {
    let mut words = machine_arguments(settings, Record::Off);
    words.extend(machine_arguments(settings, Record::On));
    words.extend(DEVICES.map(str::to_owned));
    words.extend(gate::device_arguments());
    words.push(channel::SIZE.to_string());
    words.push(command_line(settings));
    words
}

/// The channel, and the device by which a guest stops itself. The migration settings
/// leave out of a saved state what is not a device, so that devices can be loaded
/// separately.
const DEVICES: [&str; 8] = [
    "-device",
    // `master=on`: this side saves the device's memory; without it the guest cannot be
    // saved.
    "ivshmem-plain,memdev=channel,master=on",
    "-device",
    "pvpanic-pci",
    "-global",
    "migration.store-global-state=off",
    "-global",
    "migration.send-configuration=off",
];

/// A QEMU process; it is killed on drop.
pub(super) struct QemuProcess {
    child: Child,
    pidfd: OwnedFd,
    console: File,
    errors: File,
}

impl QemuProcess {
    pub(super) fn start(
        start: &Start<'_>,
        settings: &Settings,
        host_channel: &HostChannel,
    ) -> Result<Self, VmError> {
        let console = anonymous_file("halfopen-console", b"")?;
        let errors = anonymous_file("halfopen-qemu", b"")?;
        let arguments = start.arguments(settings)?;
        let channel = format!(
            "memory-backend-file,id=channel,share=on,mem-path={},size={}",
            fd_path(&host_channel.file),
            channel::SIZE
        );
        let (gate_words, gate_fds) = host_channel.gate.arguments();
        let mut command = Command::new(PROGRAM);
        command
            .args(machine_arguments(settings, start.record()))
            .args(&arguments.words)
            .args(["-serial", &format!("file:{}", fd_path(&console))])
            .args(["-object", &channel])
            .args(DEVICES)
            .args(gate_words)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors.try_clone().map_err(VmError::system("start qemu"))?)
            // A Ctrl-C on the terminal is for this process to handle, not for QEMU.
            .process_group(0);
        let mut inherited = arguments.inherited;
        inherited.extend([console.as_raw_fd(), host_channel.file.as_raw_fd()]);
        inherited.extend(gate_fds);
        let child = spawn_with_pdeathsig(&mut command, inherited).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => VmError::NoQemu,
            _ => VmError::system("start qemu")(e),
        })?;
        let pid = i32::try_from(child.id()).expect("Linux's process ids fit into an i32");
        match pidfd_open(pid) {
            Ok(pidfd) => Ok(QemuProcess {
                child,
                pidfd,
                console,
                errors,
            }),
            Err(e) => {
                kill_and_wait(child);
                Err(VmError::system("watch qemu")(e))
            }
        }
    }

    /// Waits for [`POLL_INTERVAL`], or until `other` is readable; returns QEMU's exit
    /// code once it has ended (-1: killed by a signal).
    pub(super) fn wait(
        &mut self,
        interrupt: Option<BorrowedFd<'_>>,
        other: Option<BorrowedFd<'_>>,
    ) -> Result<Option<i32>, VmError> {
        let mut fds = vec![PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
        fds.extend(other.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        fds.extend(interrupt.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        let timeout = PollTimeout::try_from(POLL_INTERVAL).expect("a few milliseconds");
        match poll(&mut fds, timeout) {
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(e) => return Err(VmError::system("wait for qemu")(e)),
        }
        let interrupted = fds.last().filter(|_| interrupt.is_some());
        if interrupted.and_then(PollFd::any).unwrap_or(false) {
            return Err(VmError::Interrupted);
        }
        let status = self
            .child
            .try_wait()
            .map_err(VmError::system("wait for qemu"))?;
        Ok(status.map(|status| status.code().unwrap_or(-1)))
    }

    pub(super) fn exit_result(
        &mut self,
        release: &str,
        code: i32,
        work_result: Option<Result<(), String>>,
        booted: bool,
    ) -> Result<(), VmError> {
        let release = release.to_owned();
        match work_result {
            Some(Ok(())) if code == 0 => Ok(()),
            Some(Err(why)) => Err(VmError::Guest { release, why }),
            _ => {
                let (console, output) = (self.console_tail(), read_lossy(&mut self.errors));
                if !booted && console.is_empty() && !output.trim().is_empty() {
                    return Err(VmError::Qemu {
                        release,
                        output: output.trim().to_owned(),
                    });
                }
                Err(VmError::Died { release, console })
            }
        }
    }

    pub(super) fn console_tail(&mut self) -> String {
        let console = read_lossy(&mut self.console);
        let lines: Vec<&str> = console.lines().map(str::trim_end).collect();
        let last = lines.len().saturating_sub(CONSOLE_LINES);
        lines[last..].join("\n")
    }
}

impl Drop for QemuProcess {
    fn drop(&mut self) {
        // Both fail only when QEMU has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn kill_and_wait(mut child: Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// The content of a file as text. Errors are ignored: it is for the text of an error.
fn read_lossy(file: &mut File) -> String {
    let mut bytes = Vec::new();
    let _ = file.rewind().and_then(|()| file.read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}
