//! Ends what runs in a host's namespace: the processes, and the sockets that this
//! process has there (sock_diag(7), include/uapi/linux/inet_diag.h).

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use netlink_packet_core::NLM_F_DUMP;
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::HostState;
use crate::error::LabError;
use crate::namespace::Namespace;
use crate::netlink::message::Purpose;
use crate::netlink::socket::NetlinkSocket;

/// SOCK_DIAG_BY_FAMILY and SOCK_DESTROY.
const LIST: u16 = 20;
const DESTROY: u16 = 21;
/// Where struct inet_diag_msg has a struct inet_diag_sockid, and how long that is.
const ID: std::ops::Range<usize> = 4..52;
/// Its idiag_timer, and that of a connection in TIME-WAIT, which no process has
/// (inet_twsk_diag_fill()). Older kernels refuse to destroy those (tcp_abort(), measured on
/// 5.10); the end of the namespace does it.
const TIMER: usize = 2;
const TIME_WAIT: u8 = 3;
/// How long a killed process may take to be gone. One that is in the kernel ends later,
/// and has no cable any more.
const SOON: Duration = Duration::from_millis(200);

impl HostState {
    /// Kills every process in the namespace but this one, and destroys its sockets:
    /// threads of this process that wait for one get ECONNABORTED (tcp_abort()).
    ///
    /// # Errors
    /// [`LabError::Unsupported`] on a kernel without CONFIG_INET_DIAG_DESTROY.
    pub(crate) fn end_sockets_and_processes(namespace: &Namespace) -> Result<(), LabError> {
        let number = namespace.inode()?;
        signal_processes(number, Signal::SIGKILL);
        let began = Instant::now();
        while !processes(number).is_empty() && began.elapsed() < SOON {
            std::thread::sleep(Duration::from_millis(1));
        }
        destroy_sockets(namespace)
    }
}

/// Sends a signal to every process whose network namespace has this inode number, but
/// to this one.
pub(crate) fn signal_processes(number: u64, signal: Signal) {
    for pid in processes(number) {
        // It may have ended.
        let _ = kill(pid, signal);
    }
}

fn processes(number: u64) -> Vec<Pid> {
    let own = std::process::id();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| *pid != own)
        .filter(|pid| {
            let link = fs::metadata(format!("/proc/{pid}/ns/net"));
            link.is_ok_and(|link| link.ino() == number)
        })
        .filter_map(|pid| i32::try_from(pid).ok().map(Pid::from_raw))
        .collect()
}

fn destroy_sockets(namespace: &Namespace) -> Result<(), LabError> {
    let opened = namespace.enter(|| NetlinkSocket::open(NETLINK_SOCK_DIAG))?;
    let mut socket = opened.map_err(|e| LabError::system("open a sock_diag socket", e))?;
    for protocol in [libc::IPPROTO_TCP, libc::IPPROTO_UDP] {
        for family in [libc::AF_INET, libc::AF_INET6] {
            let (family, protocol) = (family as u8, protocol as u8);
            let ids = match list(&mut socket, family, protocol) {
                Ok(ids) => ids,
                // The kernel has no UDP, or no IPv6, to ask about.
                Err(LabError::Unsupported { .. }) => continue,
                Err(e) => return Err(e),
            };
            for id in ids {
                destroy(&mut socket, family, protocol, &id)?;
            }
        }
    }
    Ok(())
}

/// struct inet_diag_req_v2 with all states.
fn request(family: u8, protocol: u8, id: &[u8]) -> Vec<u8> {
    let mut request = vec![family, protocol, 0, 0];
    request.extend(u32::MAX.to_ne_bytes());
    request.extend(id);
    request
}

fn list(socket: &mut NetlinkSocket, family: u8, protocol: u8) -> Result<Vec<Vec<u8>>, LabError> {
    let mut messages = socket.start();
    let purpose = Purpose {
        what: "list a host's sockets".into(),
        needs: "CONFIG_INET_DIAG and CONFIG_INET_UDP_DIAG",
    };
    let all = request(family, protocol, &[0; 48]);
    messages.push(LIST, NLM_F_DUMP, &all, purpose, |_| ());
    let mut ids = Vec::new();
    socket.exchange(&messages, |answer| {
        if answer.get(TIMER) != Some(&TIME_WAIT) {
            ids.extend(answer.get(ID).map(<[u8]>::to_vec));
        }
    })?;
    Ok(ids)
}

fn destroy(
    socket: &mut NetlinkSocket,
    family: u8,
    protocol: u8,
    id: &[u8],
) -> Result<(), LabError> {
    let mut messages = socket.start();
    let purpose = Purpose {
        what: "destroy a socket of a host that crashes".into(),
        // ENOENT is no lack of the kernel's here: the socket has ended meanwhile.
        needs: "",
    };
    let one = request(family, protocol, id);
    messages.push(DESTROY, 0, &one, purpose, |_| ());
    messages.acknowledge_newest();
    match socket.execute(&messages) {
        Err(e) if !has_ended(&e) => Err(e),
        _ => Ok(()),
    }
}

fn has_ended(e: &LabError) -> bool {
    use crate::netlink::socket::Refusal;
    let LabError::Netlink { source, .. } = e else {
        return false;
    };
    let refusal = source.downcast_ref::<Refusal>();
    refusal.is_some_and(|refusal| refusal.errno.raw_os_error() == Some(libc::ENOENT))
}
