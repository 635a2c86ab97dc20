//! Lists the sockets of a host, as netstat(8) would show them, without changing any.
//!
//! The kernel walks its tables and reads what it needs under the table's lock
//! (`inet_diag_dump_icsk()`); no socket is locked, no error is consumed. A socket that
//! was closed by an RST is no longer in the tables while its descriptor is still open.

use super::diag::{Diag, Entry};
use halfopen_lab::LabError;
use halfopen_lab::Namespace;
use halfopen_outcome::record::SocketState;

/// Lists the sockets of one namespace, as often as wanted.
#[derive(Debug)]
pub struct Sockets {
    pub(super) diag: Diag,
    pub(super) namespace: String,
}

impl Sockets {
    /// Opens a netlink socket in `ns`, which keeps the namespace alive.
    ///
    /// # Errors
    /// Where the kernel lacks CONFIG_INET_DIAG.
    pub fn open(ns: &Namespace) -> Result<Sockets, LabError> {
        match Diag::open(ns)? {
            Ok(diag) => Ok(Sockets {
                diag,
                namespace: ns.name().to_owned(),
            }),
            Err(e) if e.raw_os_error() == Some(libc::EPROTONOSUPPORT) => Err(unsupported()),
            Err(e) => Err(LabError::netlink(
                format!("ask for the sockets of namespace {}", ns.name()),
                e,
            )),
        }
    }

    /// Every TCP socket, IPv4 and IPv6, in every state; `host` goes into the
    /// record. Sorted: those that listen first, then by address.
    ///
    /// # Errors
    /// When the kernel cannot list TCP sockets (tcp_diag is not there).
    pub fn dump(&mut self, host: &str) -> Result<Vec<SocketState>, LabError> {
        let mut entries = self.entries()?;
        entries.sort_by_key(|e| (e.state != LISTEN, e.local, e.peer));
        Ok(entries.iter().map(|e| socket_state(e, host)).collect())
    }

    pub(super) fn entries(&mut self) -> Result<Vec<Entry>, LabError> {
        self.diag.dump().map_err(|e| match e.raw_os_error() {
            Some(libc::ENOENT) => unsupported(),
            _ => LabError::netlink(
                format!("list the sockets of namespace {}", self.namespace),
                e,
            ),
        })
    }
}

fn unsupported() -> LabError {
    LabError::Unsupported {
        what: "list TCP sockets".into(),
        cure: "load the modules: `modprobe -a inet_diag tcp_diag`".into(),
    }
}

const LISTEN: u8 = 10;

/// include/net/tcp_states.h, in the spelling of netstat.
fn state_name(state: u8) -> &'static str {
    match state {
        1 => "ESTABLISHED",
        2 => "SYN_SENT",
        // 12 is TCP_NEW_SYN_RECV: a request that is not a socket yet.
        3 | 12 => "SYN_RECV",
        4 => "FIN_WAIT1",
        5 => "FIN_WAIT2",
        6 => "TIME_WAIT",
        7 => "CLOSE",
        8 => "CLOSE_WAIT",
        9 => "LAST_ACK",
        LISTEN => "LISTEN",
        11 => "CLOSING",
        _ => "UNKNOWN",
    }
}

/// `inet_sk_diag_fill()`, in the spelling of ss(8). The TLP and reordering timers are
/// shown as `on`, too.
fn timer_name(timer: u8) -> &'static str {
    match timer {
        0 => "off",
        1 => "on",
        2 => "keepalive",
        3 => "timewait",
        4 => "probe",
        _ => "unknown",
    }
}

fn socket_state(entry: &Entry, host: &str) -> SocketState {
    SocketState {
        host: host.to_owned(),
        state: state_name(entry.state).to_owned(),
        local: entry.local.to_string(),
        peer: entry.peer.to_string(),
        recv_q: entry.recv_q,
        send_q: entry.send_q,
        timer: timer_name(entry.timer).to_owned(),
        timer_ms: match entry.timer {
            0 => 0,
            _ => entry.expires,
        },
        retransmits: entry.retransmits,
        owned: entry.inode != 0,
        memory: entry.memory,
    }
}
