//! How a connection's owner would notice that its peer is dead, as far as
//! socket options say.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::{Detail, Event, Gave, Returned, SocketId, What};
use crate::{CallName, Setting};

/// What a program itself set on a connection. None: not set, the kernel's
/// default or the namespace's sysctl holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Detector {
    /// SO_KEEPALIVE is on.
    pub keepalive: bool,
    /// TCP_KEEPIDLE.
    pub idle: Option<Duration>,
    /// TCP_KEEPINTVL.
    pub interval: Option<Duration>,
    /// TCP_KEEPCNT.
    pub count: Option<u32>,
    /// TCP_USER_TIMEOUT.
    pub user_timeout: Option<Duration>,
    /// TCP_NODELAY is on.
    pub no_delay: bool,
    /// SO_RCVTIMEO.
    pub receive_timeout: Option<Duration>,
    /// SO_SNDTIMEO.
    pub send_timeout: Option<Duration>,
    /// SO_LINGER.
    pub linger: Option<Duration>,
    /// TCP_SYNCNT.
    pub syn_count: Option<u32>,
}

impl Detector {
    /// Takes over one setting that succeeded. Zero takes a timeout away.
    pub fn apply(&mut self, setting: &Setting) {
        let unless_zero = |time: &Duration| Some(*time).filter(|time| !time.is_zero());
        match setting {
            Setting::Keepalive(on) => self.keepalive = *on,
            Setting::KeepaliveIdle(idle) => self.idle = Some(*idle),
            Setting::KeepaliveInterval(interval) => self.interval = Some(*interval),
            Setting::KeepaliveCount(count) => self.count = Some(*count),
            Setting::UserTimeout(timeout) => self.user_timeout = unless_zero(timeout),
            Setting::NoDelay(on) => self.no_delay = *on,
            Setting::ReceiveTimeout(timeout) => self.receive_timeout = unless_zero(timeout),
            Setting::SendTimeout(timeout) => self.send_timeout = unless_zero(timeout),
            Setting::Linger(linger) => self.linger = *linger,
            Setting::SynCount(count) => self.syn_count = Some(*count),
            Setting::Other { .. } => {}
        }
    }
}

/// The detector of every socket, from the stream of events.
#[derive(Debug, Clone, Default)]
pub struct Detectors(BTreeMap<SocketId, Detector>);

impl Detectors {
    /// Looks at one event; all others than setsockopt() and accept() change nothing.
    pub fn observe(&mut self, event: &Event) {
        let What::Returned(returned) = &event.what else {
            return;
        };
        let Returned {
            name,
            socket: Some(socket),
            result: Ok(_),
            gave,
            ..
        } = returned
        else {
            return;
        };
        match (name, gave) {
            (_, Gave::Set(Setting::Other { .. })) => {}
            (CallName::Setsockopt, Gave::Set(setting)) => {
                self.0.entry(socket.id).or_default().apply(setting);
            }
            // The kernel copies the listener's options (sk_clone_lock()).
            (CallName::Accept | CallName::Accept4, Gave::Socket(accepted)) => {
                if let Some(detector) = self.0.get(&socket.id).cloned() {
                    self.0.insert(accepted.id, detector);
                }
            }
            _ => {}
        }
    }

    /// What was set on this socket; None: nothing.
    pub fn get(&self, socket: SocketId) -> Option<&Detector> {
        self.0.get(&socket)
    }

    /// All sockets on which something was set, in the order they were first seen.
    pub fn iter(&self) -> impl Iterator<Item = (SocketId, &Detector)> {
        self.0.iter().map(|(id, detector)| (*id, detector))
    }
}

impl Detail {
    /// The setting of a setsockopt().
    pub fn setting(&self) -> Option<&Setting> {
        match self {
            Self::Set(setting) => Some(setting),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Errno;
    use crate::event::{Protocol, Socket};

    fn socket(id: u32) -> Socket {
        Socket {
            id: SocketId(id),
            protocol: Protocol::Tcp,
            local: None,
            peer: None,
            listening: false,
        }
    }

    fn returned(name: CallName, id: u32, result: Result<i64, Errno>, gave: Gave) -> Event {
        Event {
            at_ns: 0,
            pid: 1,
            tid: 1,
            what: What::Returned(Returned {
                call: 0,
                name,
                fd: Some(3),
                socket: Some(socket(id)),
                entered_ns: 0,
                result,
                restarts: 0,
                gave,
            }),
        }
    }

    #[test]
    fn accepted_sockets_inherit_what_succeeded() {
        let mut detectors = Detectors::default();
        let on = Gave::Set(Setting::Keepalive(true));
        let idle = Gave::Set(Setting::KeepaliveIdle(Duration::from_secs(9)));
        detectors.observe(&returned(CallName::Setsockopt, 1, Ok(0), on));
        let failed = Err(Errno(libc::EINVAL));
        detectors.observe(&returned(CallName::Setsockopt, 1, failed, idle));
        let accepted = Gave::Socket(socket(2));
        detectors.observe(&returned(CallName::Accept4, 1, Ok(4), accepted));
        let detector = detectors.get(SocketId(2)).expect("inherited");
        assert!(detector.keepalive);
        assert_eq!(detector.idle, None);
        assert_eq!(detectors.get(SocketId(3)), None);
    }

    #[test]
    fn zero_takes_a_timeout_away() {
        let mut detector = Detector::default();
        detector.apply(&Setting::ReceiveTimeout(Duration::from_secs(1)));
        detector.apply(&Setting::ReceiveTimeout(Duration::ZERO));
        assert_eq!(detector, Detector::default());
    }
}
