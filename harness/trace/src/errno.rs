//! Errnos, signals and readiness bits by name.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An errno. Displayed by name; serialised as its name in formats that people
/// read (JSON), as a number in others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Errno(pub i32);

/// The highest errno of Linux is EHWPOISON, 133.
const LAST_ERRNO: i32 = 133;

impl Errno {
    /// The name, `E?` for a number that has none.
    pub fn name(self) -> String {
        match nix::errno::Errno::from_raw(self.0) {
            nix::errno::Errno::UnknownErrno => format!("E{}", self.0),
            known => format!("{known:?}"),
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        let named = |errno: &i32| Self(*errno).name() == name;
        match (1..=LAST_ERRNO).find(named) {
            Some(errno) => Some(Self(errno)),
            None => name.strip_prefix('E')?.parse().ok().map(Self),
        }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl Serialize for Errno {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&self.name())
        } else {
            serializer.serialize_i32(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Errno {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let name = String::deserialize(deserializer)?;
            Self::from_name(&name)
                .ok_or_else(|| D::Error::custom(format!("{name} is no errno of Linux")))
        } else {
            i32::deserialize(deserializer).map(Self)
        }
    }
}

/// A signal by number; displayed as `SIGTERM`, real-time ones as `SIGRTMIN+3`
/// with the kernel's SIGRTMIN, 32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SignalNumber(pub i32);

impl fmt::Display for SignalNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match nix::sys::signal::Signal::try_from(self.0) {
            Ok(signal) => f.write_str(signal.as_str()),
            Err(_) if self.0 >= 32 => write!(f, "SIGRTMIN+{}", self.0 - 32),
            Err(_) => write!(f, "signal {}", self.0),
        }
    }
}

/// What a descriptor is or was waited to be ready for, as the bits of poll(2).
/// epoll's have the same values; select's three sets count as POLLIN, POLLOUT
/// and POLLPRI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Readiness(pub u32);

impl Readiness {
    const NAMES: [(i16, &str); 7] = [
        (libc::POLLIN, "POLLIN"),
        (libc::POLLPRI, "POLLPRI"),
        (libc::POLLOUT, "POLLOUT"),
        (libc::POLLERR, "POLLERR"),
        (libc::POLLHUP, "POLLHUP"),
        (libc::POLLNVAL, "POLLNVAL"),
        (libc::POLLRDHUP, "POLLRDHUP"),
    ];

    /// Whether every bit of `bits` (POLLIN, ...) is set.
    pub fn has(self, bits: i16) -> bool {
        let bits = u32::from(bits.cast_unsigned());
        self.0 & bits == bits
    }
}

impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = Self::NAMES
            .iter()
            .filter(|(bit, _)| self.has(*bit))
            .map(|(_, name)| *name)
            .collect();
        match names.is_empty() {
            true => f.write_str("0"),
            false => f.write_str(&names.join("|")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errnos_survive_both_kinds_of_format() {
        for errno in [libc::ETIMEDOUT, libc::EAGAIN, libc::ECONNRESET, 999] {
            let json = serde_json::to_string(&Errno(errno)).unwrap_or_default();
            assert_eq!(
                serde_json::from_str::<Errno>(&json).ok(),
                Some(Errno(errno))
            );
            let bytes = postcard::to_stdvec(&Errno(errno)).unwrap_or_default();
            assert_eq!(postcard::from_bytes(&bytes), Ok(Errno(errno)));
        }
        assert_eq!(Errno(libc::ETIMEDOUT).to_string(), "ETIMEDOUT");
        assert!(serde_json::from_str::<Errno>("\"TIMEOUT\"").is_err());
    }

    #[test]
    fn names_of_signals_and_bits() {
        assert_eq!(SignalNumber(15).to_string(), "SIGTERM");
        assert_eq!(SignalNumber(33).to_string(), "SIGRTMIN+1");
        assert_eq!(Readiness(0x19).to_string(), "POLLIN|POLLERR|POLLHUP");
        assert_eq!(Readiness(0).to_string(), "0");
    }
}
