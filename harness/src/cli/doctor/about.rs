//! Facts about the machine that decide no yes or no, but results and speed.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use nix::time::{ClockId, clock_getres};

/// Timer ticks a second (CONFIG_HZ): the resolution of the coarse clocks is
/// one tick (clock_getres(2); posix_get_coarse_res() in the kernel), so no
/// configuration file is needed. None when it is no whole number of ticks.
pub fn hz() -> Option<u32> {
    let tick = clock_getres(ClockId::CLOCK_MONOTONIC_COARSE).ok()?;
    let ns = u64::try_from(tick.tv_nsec())
        .ok()
        .filter(|ns| *ns > 0 && tick.tv_sec() == 0)?;
    // HZ=300 has a tick of 3333333 ns: rounded, not divided.
    u32::try_from((1_000_000_000 + ns / 2) / ns).ok()
}

/// The kernel's release.
pub(super) fn kernel() -> String {
    nix::sys::utsname::uname().map_or_else(
        |e| e.to_string(),
        |name| name.release().to_string_lossy().into_owned(),
    )
}

/// Processors this process may use.
pub(super) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Congestion controls a host may be given, in the kernel's order.
pub(super) fn congestion_controls() -> Vec<String> {
    std::fs::read_to_string("/proc/sys/net/ipv4/tcp_available_congestion_control")
        .map(|text| text.split_whitespace().map(str::to_owned).collect())
        .unwrap_or_default()
}

/// The virtual machine's program, as execvp(3) would find it.
pub(super) fn qemu() -> Option<PathBuf> {
    const PROGRAM: &str = "qemu-system-x86_64";
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|dir| dir.join(PROGRAM))
        .find(|file| {
            file.metadata()
                .is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
        })
}

#[cfg(test)]
mod tests {
    #[test]
    fn hz_is_one_that_linux_offers() {
        let hz = super::hz().expect("the coarse clocks have a resolution");
        assert!([100, 250, 300, 1000].contains(&hz), "{hz}");
    }
}
