//! User and group IDs in a new user namespace.

use nix::unistd::{Gid, Uid, getegid, geteuid};

use super::error::SandboxError;

/// The user and the group of the caller before it had a user namespace.
#[derive(Debug, Clone, Copy)]
pub struct Ids {
    uid: Uid,
    gid: Gid,
}

impl Ids {
    /// Those of the calling process.
    pub fn current() -> Self {
        Ids {
            uid: geteuid(),
            gid: getegid(),
        }
    }

    /// Makes the caller root of the new user namespace (user_namespaces(7):
    /// an unprivileged process may map itself alone, after it gave up setgroups()).
    pub fn map_to_root(self) -> Result<(), SandboxError> {
        write("/proc/self/setgroups", "deny", "give up setgroups()")?;
        write(
            "/proc/self/uid_map",
            &format!("0 {} 1", self.uid),
            "map the user to root",
        )?;
        write(
            "/proc/self/gid_map",
            &format!("0 {} 1", self.gid),
            "map the group to root",
        )
    }
}

fn write(path: &str, text: &str, what: &'static str) -> Result<(), SandboxError> {
    std::fs::write(path, text).map_err(|source| SandboxError::System { what, source })
}
