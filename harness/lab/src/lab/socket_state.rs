//! The state of a socket on one of the lab's hosts.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{SockaddrStorage, getsockname, getsockopt, sockopt};
use nix::sys::utsname::uname;

use super::Lab;
use crate::error::LabError;
use halfopen_net::{Family, SocketState};
use halfopen_sys::clock::hz;
use halfopen_sys::socket::{bytes_queued, tcp_info};

/// TCP_ESTABLISHED (include/net/tcp_states.h).
const ESTABLISHED: u8 = 1;

impl Lab {
    /// What decides how a socket of the node will notice that its peer is gone: its options,
    /// its queue, its timers. The crate `halfopen-predict` says from that what will happen:
    ///
    /// ```ignore
    /// // Ignored here, because it needs halfopen-predict: tests/tests/library.rs runs it.
    /// use halfopen_predict::{Fault, Next, predict_socket};
    ///
    /// let state = lab.socket_state("client", &stream)?;
    /// let prediction = predict_socket(&state, Fault::Crash, Next::Read)?;
    /// lab.crash("server")?;
    /// // read() fails with prediction.sign between prediction.earliest and prediction.latest
    /// ```
    ///
    /// # Errors
    /// [`LabError::Unknown`] for a node that the lab does not have, [`LabError::System`] for
    /// what is no connected TCP socket.
    pub fn socket_state(&self, node: &str, socket: impl AsFd) -> Result<SocketState, LabError> {
        let sysctls = self.nodes[self.topology.node(node)?].wanted.clone();
        let state = read(socket.as_fd(), sysctls);
        state.map_err(|e| LabError::system("read the state of a socket", e))
    }
}

fn read(fd: BorrowedFd<'_>, sysctls: BTreeMap<String, String>) -> Result<SocketState, Errno> {
    let seconds = |count: u32| Duration::from_secs(count.into());
    let ms = |count: u32| Duration::from_millis(count.into());
    let info = tcp_info(fd)?;
    let keepalive = match getsockopt(&fd, sockopt::KeepAlive)? {
        false => None,
        true => Some((
            seconds(getsockopt(&fd, sockopt::TcpKeepIdle)?),
            seconds(getsockopt(&fd, sockopt::TcpKeepInterval)?),
            getsockopt(&fd, sockopt::TcpKeepCount)?,
        )),
    };
    let user_timeout = getsockopt(&fd, sockopt::TcpUserTimeout)?;
    Ok(SocketState {
        family: family(fd)?,
        established: info.tcpi_state == ESTABLISHED,
        keepalive,
        user_timeout: (user_timeout > 0).then(|| ms(user_timeout)),
        // As keepalive_time_elapsed() counts it.
        idle: ms(info.tcpi_last_data_recv.min(info.tcpi_last_ack_recv)),
        since_sent: ms(info.tcpi_last_data_sent),
        queued: bytes_queued(fd)?,
        unacked: info.tcpi_unacked,
        retransmits: info.tcpi_retransmits,
        probes: info.tcpi_probes,
        rto: Duration::from_micros(info.tcpi_rto.into()),
        sysctls,
        kernel: uname()?.release().to_string_lossy().into_owned(),
        hz: hz().ok_or(Errno::EINVAL)?,
    })
}

fn family(fd: BorrowedFd<'_>) -> Result<Family, Errno> {
    let address: SockaddrStorage = getsockname(fd.as_raw_fd())?;
    let mapped = |v6: &nix::sys::socket::SockaddrIn6| v6.ip().to_ipv4_mapped().is_some();
    match address.as_sockaddr_in6() {
        Some(v6) if !mapped(v6) => Ok(Family::Ipv6),
        Some(_) => Ok(Family::Ipv4),
        None if address.as_sockaddr_in().is_some() => Ok(Family::Ipv4),
        None => Err(Errno::from_raw(libc::EAFNOSUPPORT)),
    }
}
