//! Entering the sandbox.

use std::io;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;
use nix::unistd::ForkResult;

use super::error::{Privileges, SandboxError};
use super::{id_maps, machine_limits, neighbour_tables, supervise};
use crate::netlink::set_loopback_up;
use halfopen_sys::process::{fork_single_threaded, thread_count};

fn system(what: &'static str) -> impl Fn(nix::Error) -> SandboxError {
    move |e| SandboxError::System {
        what,
        source: e.into(),
    }
}

const NAMESPACES: CloneFlags = CloneFlags::CLONE_NEWNS
    .union(CloneFlags::CLONE_NEWPID)
    .union(CloneFlags::CLONE_NEWNET);

/// Continues the program inside a sandbox: returns in a new process, the only one
/// of its PID namespace besides init. The calling process stays outside as
/// supervisor, never returns from here, and exits with the inner process's exit code.
///
/// # Errors
/// [`SandboxError::Forbidden`] where neither root nor user namespaces are available,
/// [`SandboxError::Threads`] when the process has several threads: unshare(2) with
/// CLONE_NEWUSER refuses those, and fork(2) is not safe with them. On an error the
/// caller is still the only process, but may already be in new namespaces: it should
/// report the error and exit.
pub fn enter() -> Result<Privileges, SandboxError> {
    #[cfg(feature = "trace")]
    super::tracer::become_tracer_if_asked();
    neighbour_tables::remember();
    machine_limits::remember();
    let privileges = new_namespaces()?;
    let guard = supervise::Guard::new().map_err(system("make a pipe"))?;
    match fork()? {
        ForkResult::Parent { child } => supervise::supervise(child, guard),
        ForkResult::Child => {}
    }
    // From here on: PID 1 of the new PID namespace.
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(system("ask for SIGKILL"))?;
    guard.exit_if_supervisor_has_ended();
    private_mounts()?;
    // Programs and tests that know nothing of the sandbox find a localhost.
    set_loopback_up().map_err(SandboxError::Loopback)?;
    match fork()? {
        ForkResult::Parent { child } => supervise::init(child),
        ForkResult::Child => Ok(privileges),
    }
}

fn new_namespaces() -> Result<Privileges, SandboxError> {
    match unshare(NAMESPACES) {
        Ok(()) => return Ok(Privileges::Root),
        Err(nix::Error::EPERM) => {}
        Err(e) => return Err(system("unshare mount, PID and network namespaces")(e)),
    }
    let before = id_maps::Ids::current();
    unshare(NAMESPACES | CloneFlags::CLONE_NEWUSER)
        .map_err(|e| SandboxError::Forbidden { source: e.into() })?;
    before.map_to_root()?;
    Ok(Privileges::UserNamespace)
}

/// Makes mounts invisible outside, and mounts /proc of the new PID namespace.
fn private_mounts() -> Result<(), SandboxError> {
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .map_err(system("make the mounts private"))?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, none)
        .map_err(system("mount /proc of the new PID namespace"))
}

fn fork() -> Result<ForkResult, SandboxError> {
    fork_single_threaded().map_err(|e| {
        SandboxError::Threads(match (e, thread_count()) {
            (nix::Error::EDEADLK, Ok(threads)) => io::Error::new(
                io::ErrorKind::Unsupported,
                format!("this process has {threads} threads"),
            ),
            _ => e.into(),
        })
    })
}
