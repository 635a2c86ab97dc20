//! Moves a thread, or a process that is about to start, onto a lab's host: into its
//! network namespace, and with an /etc/hosts of its own.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::fcntl::{OFlag, open};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::stat::Mode;

/// A directory that every Linux has, covered for a moment.
const PLACE: &CStr = c"/run";
const FILE: &CStr = c"/run/hosts";
const HOSTS: &CStr = c"/etc/hosts";

/// Moves the calling thread for good. `hosts` becomes the content of /etc/hosts for it,
/// in a mount namespace of its own. Makes system calls only, so it may be called
/// between fork() and exec().
///
/// # Errors
/// Of setns(2), unshare(2) and mount(2): CAP_SYS_ADMIN is needed.
pub fn move_to_host(netns: BorrowedFd<'_>, hosts: &[u8]) -> io::Result<()> {
    setns(netns, CloneFlags::CLONE_NEWNET)?;
    // A thread shares its root and working directory with the others of its process,
    // and a mount namespace of its own needs its own (unshare(2)).
    unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS)?;
    let none = None::<&CStr>;
    mount(
        none,
        c"/",
        none,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        none,
    )?;
    mount(
        Some(c"tmpfs"),
        PLACE,
        Some(c"tmpfs"),
        MsFlags::empty(),
        none,
    )?;
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_CLOEXEC;
    let file = open(FILE, flags, Mode::from_bits_truncate(0o644))?;
    let mut rest = hosts;
    while !rest.is_empty() {
        rest = &rest[nix::unistd::write(&file, rest)?..];
    }
    drop(file);
    match mount(Some(FILE), HOSTS, none, MsFlags::MS_BIND, none) {
        // Without an /etc/hosts there is nothing to put in its place.
        Ok(()) | Err(nix::Error::ENOENT) => {}
        Err(e) => return Err(e.into()),
    }
    Ok(umount2(PLACE, MntFlags::MNT_DETACH)?)
}

/// Lets `command` start on a host, as by [`move_to_host`].
pub fn start_on_host(command: &mut Command, netns: OwnedFd, hosts: Vec<u8>) {
    // SAFETY: the closure makes system calls and nothing else: no allocation, no lock,
    // as the time between fork() and exec() requires.
    unsafe { command.pre_exec(move || move_to_host(netns.as_fd(), &hosts)) };
}
