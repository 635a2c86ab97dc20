//! Applies a detector to a socket, when `script` connects or accepts.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::sys::socket::sockopt;
use nix::sys::time::{TimeVal, TimeValLike};

use super::report::{Reporter, Site};
use halfopen_scenario::case::{Detector, KeepaliveBy, SocketOption};
use halfopen_sys::socket::TcpOption;

/// Sets the socket options of `detector` on `fd`. Each setsockopt() is
/// reported; one that fails does not keep the others from being tried.
///
/// A connecting socket gets them before connect(): TCP_USER_TIMEOUT limits the
/// SYN's retransmissions, too (tcp_write_timeout() in net/ipv4/tcp_timer.c), so a
/// program that wants to be protected sets it there; keepalive starts by itself
/// once the connection is established (tcp_finish_connect()). An accepted socket
/// gets them right after accept(), whatever it inherited from its listener.
pub(super) fn apply(detector: &Detector, reporter: &mut Reporter, site: Site<'_>, fd: &OwnedFd) {
    // Every result is in the report already.
    if let Some(keepalive) = &detector.keepalive {
        let _ = reporter.set_detector_option(site, fd, sockopt::KeepAlive, &true);
        if keepalive.by == KeepaliveBy::Socket {
            if let Some(idle) = keepalive.idle {
                let _ =
                    reporter.set_detector_option(site, fd, sockopt::TcpKeepIdle, &seconds(idle));
            }
            if let Some(interval) = keepalive.interval {
                let _ = reporter.set_detector_option(
                    site,
                    fd,
                    sockopt::TcpKeepInterval,
                    &seconds(interval),
                );
            }
            if let Some(count) = keepalive.count {
                let _ = reporter.set_detector_option(site, fd, sockopt::TcpKeepCount, &count);
            }
        }
    }
    if let Some(limit) = detector.user_timeout {
        let millis = u32::try_from(limit.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX);
        let _ = reporter.set_detector_option(site, fd, sockopt::TcpUserTimeout, &millis);
    }
    if let Some(limit) = detector.read_timeout {
        let micros = i64::try_from(limit.as_nanos().div_ceil(1_000)).unwrap_or(i64::MAX);
        let _ = reporter.set_detector_option(
            site,
            fd,
            sockopt::ReceiveTimeout,
            &TimeVal::microseconds(micros),
        );
    }
    for option in &detector.options {
        set_option(*option, reporter, site, fd);
    }
}

/// setsockopt() of one option, reported; its result is in the report.
pub(super) fn set_option(
    option: SocketOption,
    reporter: &mut Reporter,
    site: Site<'_>,
    fd: &impl AsFd,
) {
    let fd = &fd.as_fd();
    let millis = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
    let _ = match option {
        SocketOption::Keepalive(on) => {
            reporter.set_detector_option(site, fd, sockopt::KeepAlive, &on)
        }
        SocketOption::KeepaliveIdle(time) => {
            reporter.set_detector_option(site, fd, sockopt::TcpKeepIdle, &seconds(time))
        }
        SocketOption::KeepaliveInterval(time) => {
            reporter.set_detector_option(site, fd, sockopt::TcpKeepInterval, &seconds(time))
        }
        SocketOption::KeepaliveCount(count) => {
            reporter.set_detector_option(site, fd, sockopt::TcpKeepCount, &count)
        }
        SocketOption::UserTimeout(time) => {
            reporter.set_detector_option(site, fd, sockopt::TcpUserTimeout, &millis(time))
        }
        SocketOption::ReadTimeout(time) => {
            let micros = i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
            let time = TimeVal::microseconds(micros);
            reporter.set_detector_option(site, fd, sockopt::ReceiveTimeout, &time)
        }
        SocketOption::Syncnt(count) => {
            let count = i32::try_from(count).unwrap_or(i32::MAX);
            reporter.set_tcp_option(site, fd, TcpOption::Syncnt, count)
        }
        SocketOption::RtoMax(time) => {
            let millis = i32::try_from(time.as_millis()).unwrap_or(i32::MAX);
            reporter.set_tcp_option(site, fd, TcpOption::RtoMaxMs, millis)
        }
        SocketOption::Linger(time) => {
            let l_linger = time.map_or(0, |t| i32::try_from(t.as_secs()).unwrap_or(i32::MAX));
            let l_onoff = i32::from(time.is_some());
            let linger = nix::libc::linger { l_onoff, l_linger };
            reporter.set_detector_option(site, fd, sockopt::Linger, &linger)
        }
        SocketOption::ReceiveBuffer(bytes) => {
            let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
            reporter.set_detector_option(site, fd, sockopt::RcvBuf, &bytes)
        }
    };
}

/// Whole seconds, rounded up: these options have no fractions.
fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_nanos().div_ceil(1_000_000_000)).unwrap_or(u32::MAX)
}
