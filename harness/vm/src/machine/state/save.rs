//! Boots a guest until it stops itself, and saves it as it is then. [`super`] calls it
//! when the store has no state of the guest.

use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Instant;

use serde_json::json;

use super::monitor::Monitor;
use crate::channel::{HostChannel, MessageKind};
use crate::error::VmError;
use crate::files::{Files, anonymous_file};
use crate::qemu::{QemuProcess, Start};
use crate::settings::Settings;

/// The guest's memory and devices while it waits for its input.
///
/// The devices are saved separately (xen-save-devices-state, which has nothing to do
/// with Xen but its name): some kilobytes. With a whole migration every guest would
/// have to read the memory, which is only mapped this way.
pub(super) fn save(
    files: &Files,
    settings: &Settings,
    interrupt: Option<BorrowedFd<'_>>,
) -> Result<(File, Vec<u8>), VmError> {
    let memory = anonymous_file("halfopen-memory", b"")?;
    memory
        .set_len(u64::from(settings.memory_mib) << 20)
        .map_err(VmError::system("make the guest's memory"))?;
    let mut devices = anonymous_file("halfopen-devices", b"")?;
    let mut channel = HostChannel::new().map_err(VmError::system("make the guest's channel"))?;
    let (mut monitor, remote) = Monitor::pair()?;
    let start = Start::Save {
        files,
        memory: &memory,
        devices: &devices,
        monitor: &remote,
    };
    let release = files.release.clone();
    let mut qemu = QemuProcess::start(&start, settings, &channel)?;
    drop(remote);
    monitor.execute("qmp_capabilities", &json!({}))?;
    let began = Instant::now();
    let mut stopped = false;
    loop {
        let exit_code = qemu.wait(interrupt, Some(monitor.as_fd()))?;
        for message in monitor.receive()? {
            if message["event"] == "STOP" {
                stopped = true;
                let place = format!("/proc/self/fd/{}", devices.as_raw_fd());
                monitor.execute("xen-save-devices-state", &json!({ "filename": place }))?;
            } else if let Some(why) = message["error"]["desc"].as_str() {
                let why = format!("qemu: {why}");
                return Err(VmError::State { release, why });
            } else if stopped && message.get("return").is_some() {
                drop(qemu);
                let mut bytes = Vec::new();
                devices
                    .rewind()
                    .and_then(|()| devices.read_to_end(&mut bytes))
                    .map_err(VmError::system("read the guest's devices"))?;
                return Ok((memory, bytes));
            }
        }
        if let Some(code) = exit_code {
            let messages = channel
                .receive()
                .map_err(VmError::system("hear the guest"))?;
            let failed = messages
                .into_iter()
                .find(|(kind, _)| *kind == MessageKind::Failed);
            let failed = failed.map(|(_, why)| Err(String::from_utf8_lossy(&why).into_owned()));
            qemu.exit_result(&release, code, failed, false)?;
            let why = "the guest ended before it could be saved".to_owned();
            return Err(VmError::State { release, why });
        }
        if began.elapsed() > settings.silence {
            return Err(VmError::Hung {
                release,
                silence: settings.silence,
                console: qemu.console_tail(),
            });
        }
    }
}
