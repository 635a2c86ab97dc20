//! Becoming able to build a lab: as root, or as root of a user namespace.

use std::fs;
use std::io;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};

/// What lets this process build labs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Privileges {
    /// CAP_SYS_ADMIN and CAP_NET_ADMIN where it was started.
    Root,
    /// Those of a user namespace that it made for itself.
    UserNamespace,
}

impl Privileges {
    /// The word that reports use.
    pub(super) fn word(self) -> &'static str {
        match self {
            Privileges::Root => "root",
            Privileges::UserNamespace => "user namespace",
        }
    }
}

/// Takes what is there already, or moves this process into a user namespace
/// in which it is root.
///
/// Call it before the first thread is started: unshare(CLONE_NEWUSER) answers
/// EINVAL to a process with several (user_namespaces(7)).
///
/// # Errors
/// When a user namespace is refused; [`why_refused`] finds out by whom.
pub(super) fn obtain() -> io::Result<Privileges> {
    const NEEDED: u64 = (1 << CAP_SYS_ADMIN) | (1 << CAP_NET_ADMIN);
    if effective_capabilities()? & NEEDED == NEEDED {
        return Ok(Privileges::Root);
    }
    let (uid, gid) = (geteuid(), getegid());
    // With a network namespace of its own, because a thread that was in a host's
    // must be able to come back: setns(2) asks for CAP_SYS_ADMIN in the user
    // namespace that owns the target, and the caller's belongs to another.
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)
        .map_err(|e| refused("unshare(CLONE_NEWUSER)", e.into()))?;
    // Without this an unprivileged process may not map its group (user_namespaces(7)).
    write("/proc/self/setgroups", "deny")?;
    write("/proc/self/uid_map", &format!("0 {uid} 1"))?;
    write("/proc/self/gid_map", &format!("0 {gid} 1"))?;
    Ok(Privileges::UserNamespace)
}

fn write(path: &str, text: &str) -> io::Result<()> {
    fs::write(path, text).map_err(|e| refused(&format!("writing {path}"), e))
}

fn refused(what: &str, error: io::Error) -> io::Error {
    let errno = error.raw_os_error().map(nix::errno::Errno::from_raw);
    let answer = errno.map_or_else(|| error.to_string(), |errno| format!("{errno:?}"));
    io::Error::new(error.kind(), format!("{what} was refused with {answer}"))
}

const CAP_NET_ADMIN: u32 = 12;
const CAP_SYS_ADMIN: u32 = 21;

/// The effective set, as proc_pid_status(5) shows it.
fn effective_capabilities() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .ok_or_else(|| io::Error::other("/proc/self/status shows no CapEff"))
}

/// Who refuses user namespaces here, and the cure.
pub(super) fn why_refused() -> String {
    let is =
        |path: &str, value: &str| fs::read_to_string(path).is_ok_and(|text| text.trim() == value);
    if is("/proc/sys/user/max_user_namespaces", "0") {
        "run it as root, or allow user namespaces: sysctl user.max_user_namespaces=15000".into()
    } else if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        "run it as root, or allow user namespaces: sysctl kernel.unprivileged_userns_clone=1".into()
    } else if is(
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
    ) {
        "run it as root, or allow user namespaces: \
         sysctl kernel.apparmor_restrict_unprivileged_userns=0"
            .into()
    } else {
        "run it as root; in a container, with --privileged (or --cap-add SYS_ADMIN --cap-add \
         NET_ADMIN and no seccomp profile that refuses unshare)"
            .into()
    }
}
