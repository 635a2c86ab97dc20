//! A place where nothing can be left behind and nothing of the caller's can
//! be changed.
//!
//! [`enter`] puts the rest of the program into new mount, PID and network
//! namespaces (and a user namespace, when the caller is not root):
//!
//! ```text
//! caller's shell
//!   └─ supervisor   the process the shell knows: passes signals in, the exit code out
//!        └─ init    PID 1 inside: reaps orphans, passes signals on
//!             └─ the program goes on here
//! ```
//!
//! When the supervisor dies, by SIGKILL too, init gets SIGKILL
//! (PR_SET_PDEATHSIG); when init dies, the kernel kills every process of the
//! PID namespace (zap_pid_ns_processes()), and with the last process go the
//! namespaces, mounts and interfaces.

mod before_main;
mod cure;
mod maps;
mod supervise;

pub use before_main::enter_or_exit;
pub use cure::why_refused;

use std::io;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;

use halfopen_sys::process::{Side, fork_single_threaded};

/// By what right the sandbox was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privileges {
    /// By the caller's own CAP_SYS_ADMIN.
    Root,
    /// As root of a new user namespace.
    UserNamespace,
}

impl Privileges {
    /// For people and for JSON.
    pub fn name(self) -> &'static str {
        match self {
            Privileges::Root => "root",
            Privileges::UserNamespace => "user namespace",
        }
    }
}

/// Why there is no sandbox.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// Neither root nor user namespaces.
    #[error("not root, and this machine forbids user namespaces to ordinary users")]
    Forbidden {
        /// The kernel's answer to unshare().
        source: io::Error,
    },
    /// The program has started threads already.
    #[error("the sandbox must be entered before the program starts threads ({0})")]
    Threads(io::Error),
    /// Something else.
    #[error("failed to {what}")]
    System {
        /// What.
        what: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
}

fn system(what: &'static str) -> impl Fn(nix::Error) -> SandboxError {
    move |e| SandboxError::System {
        what,
        source: e.into(),
    }
}

const OTHERS: CloneFlags = CloneFlags::CLONE_NEWNS
    .union(CloneFlags::CLONE_NEWPID)
    .union(CloneFlags::CLONE_NEWNET);

/// Goes on inside a sandbox. The calling process stays outside as supervisor
/// and never returns from here; it exits with the inner one's exit code.
///
/// # Errors
/// Before anything has happened, so that the caller can say so and leave.
pub fn enter() -> Result<Privileges, SandboxError> {
    let privileges = new_namespaces()?;
    let guard = supervise::Guard::new().map_err(system("make a pipe"))?;
    match fork_single_threaded().map_err(SandboxError::Threads)? {
        Side::Parent { child } => supervise::supervise(child, guard),
        Side::Child => {}
    }
    // From here on: PID 1 of the new PID namespace.
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(system("ask for SIGKILL"))?;
    guard.exit_if_supervisor_is_gone();
    private_mounts()?;
    match fork_single_threaded().map_err(SandboxError::Threads)? {
        Side::Parent { child } => supervise::init(child),
        Side::Child => Ok(privileges),
    }
}

fn new_namespaces() -> Result<Privileges, SandboxError> {
    match unshare(OTHERS) {
        Ok(()) => return Ok(Privileges::Root),
        Err(nix::Error::EPERM) => {}
        Err(e) => return Err(system("unshare mount, PID and network namespaces")(e)),
    }
    let before = maps::Ids::current();
    unshare(OTHERS | CloneFlags::CLONE_NEWUSER)
        .map_err(|e| SandboxError::Forbidden { source: e.into() })?;
    before.map_to_root()?;
    Ok(Privileges::UserNamespace)
}

/// Nothing mounted here shows outside, and /proc is the new PID namespace's.
fn private_mounts() -> Result<(), SandboxError> {
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .map_err(system("make the mounts private"))?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, none)
        .map_err(system("mount /proc of the new PID namespace"))
}
