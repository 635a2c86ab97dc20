//! Socket options as a program set them.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// SO_RCVTIMEO_NEW and SO_SNDTIMEO_NEW of asm-generic/socket.h, which 32-bit
/// time is not stored in; on 64-bit machines the layout is the same.
const SO_RCVTIMEO_NEW: i32 = 66;
const SO_SNDTIMEO_NEW: i32 = 67;

/// A socket option with its value (setsockopt(2), tcp(7), socket(7)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Setting {
    /// SO_KEEPALIVE.
    Keepalive(bool),
    /// TCP_KEEPIDLE.
    KeepaliveIdle(Duration),
    /// TCP_KEEPINTVL.
    KeepaliveInterval(Duration),
    /// TCP_KEEPCNT.
    KeepaliveCount(u32),
    /// TCP_USER_TIMEOUT; zero is the kernel's default.
    UserTimeout(Duration),
    /// TCP_NODELAY.
    NoDelay(bool),
    /// SO_RCVTIMEO; zero is none.
    ReceiveTimeout(Duration),
    /// SO_SNDTIMEO; zero is none.
    SendTimeout(Duration),
    /// SO_LINGER; None is off.
    Linger(Option<Duration>),
    /// TCP_SYNCNT.
    SynCount(u32),
    /// Any other option, by number.
    Other {
        /// SOL_SOCKET, IPPROTO_TCP, ...
        level: i32,
        /// The option within its level.
        option: i32,
        /// The value, when it is an int.
        value: Option<i32>,
    },
}

impl Setting {
    /// Decodes the arguments of setsockopt(); `value` is the program's buffer,
    /// or its first bytes.
    pub fn decode(level: i32, option: i32, value: &[u8]) -> Self {
        let int = value.first_chunk().map(|bytes| i32::from_ne_bytes(*bytes));
        Self::known(level, option, value, int).unwrap_or(Self::Other {
            level,
            option,
            value: int,
        })
    }

    fn known(level: i32, option: i32, value: &[u8], int: Option<i32>) -> Option<Self> {
        let unsigned = || int.and_then(|n| u32::try_from(n).ok());
        let seconds = || unsigned().map(|n| Duration::from_secs(n.into()));
        match (level, option) {
            (libc::SOL_SOCKET, libc::SO_KEEPALIVE) => int.map(|n| Self::Keepalive(n != 0)),
            (libc::SOL_SOCKET, libc::SO_RCVTIMEO | SO_RCVTIMEO_NEW) => {
                timeval(value).map(Self::ReceiveTimeout)
            }
            (libc::SOL_SOCKET, libc::SO_SNDTIMEO | SO_SNDTIMEO_NEW) => {
                timeval(value).map(Self::SendTimeout)
            }
            (libc::SOL_SOCKET, libc::SO_LINGER) => linger(value).map(Self::Linger),
            (libc::IPPROTO_TCP, libc::TCP_KEEPIDLE) => seconds().map(Self::KeepaliveIdle),
            (libc::IPPROTO_TCP, libc::TCP_KEEPINTVL) => seconds().map(Self::KeepaliveInterval),
            (libc::IPPROTO_TCP, libc::TCP_KEEPCNT) => unsigned().map(Self::KeepaliveCount),
            (libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT) => {
                unsigned().map(|n| Self::UserTimeout(Duration::from_millis(n.into())))
            }
            (libc::IPPROTO_TCP, libc::TCP_NODELAY) => int.map(|n| Self::NoDelay(n != 0)),
            (libc::IPPROTO_TCP, libc::TCP_SYNCNT) => unsigned().map(Self::SynCount),
            _ => None,
        }
    }
}

/// `struct timeval`: two longs, seconds and microseconds.
fn timeval(value: &[u8]) -> Option<Duration> {
    let seconds = i64::from_ne_bytes(*value.first_chunk()?);
    let micros = i64::from_ne_bytes(*value.get(8..)?.first_chunk()?);
    // sock_set_timeout(): a negative time is no wait at all, which no program means.
    let seconds = u64::try_from(seconds).ok()?;
    let micros = u32::try_from(micros).ok()?;
    Some(Duration::from_secs(seconds) + Duration::from_micros(micros.into()))
}

/// `struct linger`: two ints, on or off and seconds.
fn linger(value: &[u8]) -> Option<Option<Duration>> {
    let on = i32::from_ne_bytes(*value.first_chunk()?);
    let seconds = i32::from_ne_bytes(*value.get(4..)?.first_chunk()?);
    let seconds = u64::try_from(seconds).unwrap_or_default();
    Some((on != 0).then_some(Duration::from_secs(seconds)))
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keepalive(on) => write!(f, "SO_KEEPALIVE={}", u8::from(*on)),
            Self::KeepaliveIdle(idle) => write!(f, "TCP_KEEPIDLE={idle:?}"),
            Self::KeepaliveInterval(interval) => write!(f, "TCP_KEEPINTVL={interval:?}"),
            Self::KeepaliveCount(count) => write!(f, "TCP_KEEPCNT={count}"),
            Self::UserTimeout(timeout) => write!(f, "TCP_USER_TIMEOUT={timeout:?}"),
            Self::NoDelay(on) => write!(f, "TCP_NODELAY={}", u8::from(*on)),
            Self::ReceiveTimeout(timeout) => write!(f, "SO_RCVTIMEO={timeout:?}"),
            Self::SendTimeout(timeout) => write!(f, "SO_SNDTIMEO={timeout:?}"),
            Self::Linger(Some(time)) => write!(f, "SO_LINGER={time:?}"),
            Self::Linger(None) => f.write_str("SO_LINGER=off"),
            Self::SynCount(count) => write!(f, "TCP_SYNCNT={count}"),
            Self::Other {
                level,
                option,
                value,
            } => {
                write!(f, "level {level} option {option}")?;
                value.map_or(Ok(()), |value| write!(f, "={value}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ints(values: &[i32]) -> Vec<u8> {
        values.iter().flat_map(|v| v.to_ne_bytes()).collect()
    }

    #[test]
    fn known_options_get_their_units() {
        let tcp = |option, value| Setting::decode(libc::IPPROTO_TCP, option, &ints(&[value]));
        assert_eq!(
            tcp(libc::TCP_KEEPIDLE, 15),
            Setting::KeepaliveIdle(Duration::from_secs(15))
        );
        assert_eq!(
            tcp(libc::TCP_USER_TIMEOUT, 1500),
            Setting::UserTimeout(Duration::from_millis(1500))
        );
        let socket = |option, value: &[u8]| Setting::decode(libc::SOL_SOCKET, option, value);
        let half_a_second: Vec<u8> = [0_i64, 500_000]
            .iter()
            .flat_map(|v| v.to_ne_bytes())
            .collect();
        assert_eq!(
            socket(libc::SO_RCVTIMEO, &half_a_second),
            Setting::ReceiveTimeout(Duration::from_millis(500))
        );
        assert_eq!(
            socket(libc::SO_LINGER, &ints(&[1, 0])),
            Setting::Linger(Some(Duration::ZERO))
        );
        assert_eq!(
            socket(libc::SO_LINGER, &ints(&[0, 7])),
            Setting::Linger(None)
        );
    }

    #[test]
    fn others_and_short_buffers_are_kept_by_number() {
        let short = Setting::decode(libc::SOL_SOCKET, libc::SO_RCVTIMEO, &[1, 0, 0, 0]);
        assert_eq!(short.to_string(), "level 1 option 20=1");
        assert_eq!(
            Setting::decode(0, 1, &[]),
            Setting::Other {
                level: 0,
                option: 1,
                value: None
            }
        );
    }
}
