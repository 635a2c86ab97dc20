//! Facts about the machine that results and speed depend on. None of them decides
//! whether a case can run; `doctor` and the records show them.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::options::Options;
use crate::timer_wheel;
use halfopen_lab::internal::pinned;
use halfopen_outcome::environment::Environment;

pub use halfopen_sys::clock::hz;

/// The kernel's release.
pub fn kernel() -> String {
    nix::sys::utsname::uname().map_or_else(
        |e| e.to_string(),
        |name| name.release().to_string_lossy().into_owned(),
    )
}

/// Processors this process may use.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Congestion controls a host may be given, in the kernel's order.
pub fn congestion_controls() -> Vec<String> {
    std::fs::read_to_string("/proc/sys/net/ipv4/tcp_available_congestion_control")
        .map(|text| text.split_whitespace().map(str::to_owned).collect())
        .unwrap_or_default()
}

/// The virtual machine's program, as execvp(3) would find it.
pub fn qemu() -> Option<PathBuf> {
    const PROGRAM: &str = "qemu-system-x86_64";
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|dir| dir.join(PROGRAM))
        .find(|file| {
            file.metadata()
                .is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
        })
}

/// The objects of an accepted connection and their sizes: the socket
/// (sk_prot_alloc()), and what makes it a descriptor: sock_alloc_inode(),
/// d_alloc_pseudo(), alloc_file_pseudo(). An IPv6 one is a TCPv6 instead.
fn connection_objects() -> BTreeMap<String, u32> {
    const OBJECTS: [&str; 5] = ["TCP", "TCPv6", "sock_inode_cache", "dentry", "filp"];
    let slabs = std::fs::read_to_string("/proc/slabinfo").unwrap_or_default();
    let sizes = slabs.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let name = words.next().filter(|name| OBJECTS.contains(name))?;
        // name, active objects, objects, object size: slabinfo(5).
        Some((name.to_owned(), words.nth(2)?.parse().ok()?))
    });
    sizes.collect()
}

/// What a run's results depend on besides its cases.
pub(crate) fn environment(options: &Options) -> Environment {
    let pinned = pinned::TCP
        .iter()
        .map(|p| (p.key.to_owned(), p.value.to_owned()));
    let sysctls: BTreeMap<String, String> = pinned.collect();
    Environment {
        kernel: kernel(),
        hz: hz(),
        time: if options.virtual_time {
            "virtual"
        } else {
            "real"
        }
        .into(),
        congestion_control: sysctls
            .get("net.ipv4.tcp_congestion_control")
            .cloned()
            .unwrap_or_default(),
        halfopen: env!("CARGO_PKG_VERSION").into(),
        privileges: options.privileges.clone(),
        sysctls,
        overrides: options.sysctls.clone(),
        connection_objects: connection_objects(),
        wheel: hz()
            .filter(|_| options.virtual_time)
            .and_then(timer_wheel::read),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn hz_is_one_that_linux_offers() {
        let hz = super::hz().expect("the coarse clocks have a resolution");
        assert!([100, 250, 300, 1000].contains(&hz), "{hz}");
    }
}
