//! Child processes that the kernel kills when their parent ends, and such in another
//! root directory.
//!
//! The vm layer starts QEMU, and a guest's command, so.

use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;
use nix::unistd::{chdir, chroot, getppid};

/// Starts `command` with `inherited` besides its standard descriptors, under
/// their own numbers. The kernel kills it (PR_SET_PDEATHSIG: SIGKILL) when the
/// calling *thread* ends, however that happens: the caller must be the one that
/// waits for the child.
///
/// # Errors
/// Of fork() and exec(), and when a number is not an open descriptor.
pub fn spawn_with_pdeathsig(command: &mut Command, inherited: Vec<RawFd>) -> io::Result<Child> {
    let parent = nix::unistd::getpid();
    let prepare = move || {
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
        // The parent may have died before PR_SET_PDEATHSIG was set.
        if getppid() != parent {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        for &fd in &inherited {
            // SAFETY: the number is only looked up; the caller of spawn() keeps
            // it open, and fork() copied it.
            let fd = unsafe { BorrowedFd::borrow_raw(fd) };
            fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty()))?;
        }
        Ok(())
    };
    // SAFETY: the closure makes system calls and nothing else: no allocation,
    // no lock, as the time between fork() and exec() requires.
    unsafe { command.pre_exec(prepare) };
    command.spawn()
}

/// Starts `command` in a mount namespace of its own whose root directory is the mount
/// at `root`, and there in `directory`. As after switch_root(8), and other than in a
/// chroot, user namespaces can be created.
///
/// # Errors
/// Of unshare(2), mount(2), chroot(2), chdir(2), fork() and exec().
pub fn spawn_in_root(command: &mut Command, root: &Path, directory: &Path) -> io::Result<Child> {
    let terminated = |path: &Path| std::ffi::CString::new(path.as_os_str().as_encoded_bytes());
    let (root, directory) = (terminated(root)?, terminated(directory)?);
    let prepare = move || {
        unshare(CloneFlags::CLONE_NEWNS)?;
        let none = None::<&std::ffi::CStr>;
        chdir(root.as_c_str())?;
        mount(Some(c"."), c"/", none, MsFlags::MS_MOVE, none)?;
        chroot(c".")?;
        chdir(directory.as_c_str())?;
        Ok(())
    };
    // SAFETY: the closure makes system calls and nothing else, as above; the strings
    // exist already.
    unsafe { command.pre_exec(prepare) };
    command.spawn()
}
