//! Accesses the guest's two PCI devices through sysfs: the channel, and the device by
//! which the guest stops itself. Used by [`crate::guest`].

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use halfopen_sys::shared::SharedMemory;

use super::settings::{CHANNEL_DEVICE, CHANNEL_VENDOR, PAUSE_DEVICE, PAUSE_VENDOR};

/// The memory of the channel's device: its region 2 (BAR 2).
pub(super) fn channel() -> Result<File, String> {
    let device = find_device(CHANNEL_VENDOR, CHANNEL_DEVICE).ok_or("the machine has no channel")?;
    open_region(&device, "resource2").map_err(|e| format!("open the channel: {e}"))
}

/// Stops this machine; returns when it continues, restored in another process.
///
/// The device is pvpanic: QEMU takes a 1 written to its only register for a panic, and
/// `-action panic=pause` makes it stop right after the instruction. No other way is as
/// exact: a monitor's `stop` arrives by the host's clock.
pub(super) fn pause() -> Result<(), String> {
    let device = find_device(PAUSE_VENDOR, PAUSE_DEVICE).ok_or("the machine has no pvpanic-pci")?;
    let failed = |e| format!("stop the machine: {e}");
    // The register is not at the beginning of the mapped page.
    let regions = fs::read_to_string(device.join("resource")).map_err(failed)?;
    let first = regions.split_whitespace().next().unwrap_or_default();
    let start = usize::from_str_radix(first.trim_start_matches("0x"), 16)
        .map_err(|e| format!("understand {first}: {e}"))?;
    let at = start % PAGE_BYTES;
    let file = open_region(&device, "resource0").map_err(failed)?;
    let mut register = SharedMemory::map_at_least(&file, at + 1).map_err(failed)?;
    register.write(at, &[1]);
    Ok(())
}

const PAGE_BYTES: usize = 4096;

fn find_device(vendor: &str, device: &str) -> Option<PathBuf> {
    let is = |path: &Path, file: &str, id: &str| {
        fs::read_to_string(path.join(file)).is_ok_and(|text| text.trim() == id)
    };
    let devices = fs::read_dir("/sys/bus/pci/devices").ok()?;
    devices
        .flatten()
        .map(|entry| entry.path())
        .find(|path| is(path, "vendor", vendor) && is(path, "device", device))
}

/// Opens a region of a device. A device does not respond before it is enabled.
fn open_region(device: &Path, region: &str) -> std::io::Result<File> {
    fs::write(device.join("enable"), "1")?;
    File::options()
        .read(true)
        .write(true)
        .open(device.join(region))
}
