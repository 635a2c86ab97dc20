//! Boots a guest until it stops itself, and keeps it as it is then.

use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Instant;

use serde_json::json;

use super::monitor::Monitor;
use crate::channel::{Kind, Listener};
use crate::error::VmError;
use crate::files::{Files, nameless};
use crate::qemu::{Running, Start};
use crate::settings::Settings;

/// The guest as it is when it waits for its input: memory and devices.
///
/// The devices are saved by themselves (xen-save-devices-state, which has nothing to do
/// with Xen but its name): some kilobytes. With a whole migration the memory would
/// have to be read by every guest, where it is only mapped now.
pub(super) fn save(
    files: &Files,
    settings: &Settings,
    interrupt: Option<BorrowedFd<'_>>,
) -> Result<(File, Vec<u8>), VmError> {
    let memory = nameless("halfopen-memory", b"")?;
    memory
        .set_len(u64::from(settings.memory_mib) << 20)
        .map_err(VmError::system("make the guest's memory"))?;
    let mut devices = nameless("halfopen-devices", b"")?;
    let mut listener = Listener::new().map_err(VmError::system("make the guest's channel"))?;
    let (mut monitor, theirs) = Monitor::pair()?;
    let start = Start::Save {
        files,
        memory: &memory,
        devices: &devices,
        monitor: &theirs,
    };
    let release = files.release.clone();
    let mut running = Running::start(&start, settings, &listener)?;
    drop(theirs);
    monitor.tell("qmp_capabilities", &json!({}))?;
    let began = Instant::now();
    let mut stopped = false;
    loop {
        let ended = running.wait(interrupt, Some(monitor.as_fd()))?;
        for message in monitor.hear()? {
            if message["event"] == "STOP" {
                stopped = true;
                let place = format!("/proc/self/fd/{}", devices.as_raw_fd());
                monitor.tell("xen-save-devices-state", &json!({ "filename": place }))?;
            } else if let Some(why) = message["error"]["desc"].as_str() {
                let why = format!("qemu: {why}");
                return Err(VmError::State { release, why });
            } else if stopped && message.get("return").is_some() {
                drop(running);
                let mut bytes = Vec::new();
                devices
                    .rewind()
                    .and_then(|()| devices.read_to_end(&mut bytes))
                    .map_err(VmError::system("read the guest's devices"))?;
                return Ok((memory, bytes));
            }
        }
        if let Some(code) = ended {
            let said = listener.hear().map_err(VmError::system("hear the guest"))?;
            let failed = said.into_iter().find(|(kind, _)| *kind == Kind::Failed);
            let failed = failed.map(|(_, why)| Err(String::from_utf8_lossy(&why).into_owned()));
            running.verdict(&release, code, failed, false)?;
            let why = "the guest ended before it could be saved".to_owned();
            return Err(VmError::State { release, why });
        }
        if began.elapsed() > settings.silence {
            return Err(VmError::Hung {
                release,
                silence: settings.silence,
                console: running.console_end(),
            });
        }
    }
}
