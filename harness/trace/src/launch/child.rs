//! What the child does between fork() and exec(), and how it says what failed.

use std::io;
use std::os::fd::AsRawFd;

use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::unistd::{Gid, Uid, chdir, execve, setgroups, setresgid, setresuid, setsid};

use super::streams::Inner;
use super::{Image, candidates, directories};
use crate::error::TraceError;
use crate::filter;
use crate::program::{Program, Setup, User};
use halfopen_sys::{process, seccomp};

/// Something the child could not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Failure {
    step: Step,
    /// Which candidate, for [`Step::Execute`].
    detail: u8,
    errno: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Step {
    Streams,
    Namespace,
    Session,
    Nested,
    Filter,
    User,
    Directory,
    Execute,
}

const STEPS: [(Step, &str, &str); 8] = [
    (Step::Streams, "set up its standard streams", ""),
    (
        Step::Namespace,
        "enter a namespace",
        "; that needs CAP_SYS_ADMIN over it",
    ),
    (Step::Session, "begin a session", ""),
    (
        Step::Nested,
        "make a user namespace for it",
        "; allow user namespaces (user.max_user_namespaces, kernel.unprivileged_userns_clone, \
         kernel.apparmor_restrict_unprivileged_userns)",
    ),
    (
        Step::Filter,
        "install the seccomp filter",
        "; the kernel needs CONFIG_SECCOMP_FILTER",
    ),
    (
        Step::User,
        "change its user",
        "; that needs root, else let a nested user namespace map the user",
    ),
    (Step::Directory, "enter its working directory", ""),
    (Step::Execute, "execute it", ""),
];

/// Becomes the program, or says why not.
pub(super) fn become_program(program: &Program, image: &Image, streams: Inner) -> Failure {
    match prepare(program, image, streams) {
        Ok(()) => execute(image),
        Err(failure) => failure,
    }
}

fn prepare(program: &Program, image: &Image, streams: Inner) -> Result<(), Failure> {
    for (fd, stream) in (0..).zip(&streams) {
        if let Some(stream) = stream {
            failing(Step::Streams, || {
                #[allow(unsafe_code)]
                // SAFETY: a child that is about to exec: its standard descriptors are
                // owned by no value of this process.
                unsafe {
                    process::dup_to(stream.as_raw_fd(), fd)
                }
            })?;
        }
    }
    failing(Step::Streams, || {
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
        process::reset_sigpipe()
    })?;
    for setup in &program.setup {
        match setup {
            Setup::Namespace(fd) => {
                failing(Step::Namespace, || Ok(setns(fd, CloneFlags::empty())?))?;
            }
            Setup::Session => failing(Step::Session, || Ok(setsid().map(drop)?))?,
        }
    }
    if let User::Nested { uid, gid } = program.user {
        failing(Step::Nested, || nest(uid, gid))?;
    }
    // Before the user changes: afterwards the right to do it without
    // no_new_privs is gone.
    if program.observed {
        failing(Step::Filter, install_filter)?;
    }
    if let User::Ids { uid, gid } = program.user {
        failing(Step::User, || become_user(uid, gid))?;
    }
    match &image.cwd {
        Some(cwd) => failing(Step::Directory, || Ok(chdir(cwd.as_c_str())?)),
        None => Ok(()),
    }
}

/// no_new_privs takes the effect of setuid files away, so it is set only where
/// the kernel insists: without CAP_SYS_ADMIN (seccomp(2)).
fn install_filter() -> io::Result<()> {
    let mut filter = filter::program();
    match seccomp::install(&mut filter) {
        Err(e) if e.raw_os_error() == Some(libc::EACCES) => {
            nix::sys::prctl::set_no_new_privs()?;
            seccomp::install(&mut filter)
        }
        result => result,
    }
}

fn nest(uid: u32, gid: u32) -> io::Result<()> {
    let (outer_uid, outer_gid) = (Uid::effective(), Gid::effective());
    unshare(CloneFlags::CLONE_NEWUSER)?;
    // Without this the kernel lets nobody without CAP_SETGID outside map a group.
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("{uid} {outer_uid} 1"))?;
    std::fs::write("/proc/self/gid_map", format!("{gid} {outer_gid} 1"))
}

fn become_user(uid: u32, gid: u32) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    setgroups(&[])?;
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)?;
    Ok(())
}

/// As execvp(3): a file that may not be executed does not end the search, but
/// is what is reported when nothing else is found.
fn execute(image: &Image) -> Failure {
    let mut refused = None;
    let mut missing = Failure {
        step: Step::Execute,
        detail: 0,
        errno: libc::ENOENT,
    };
    for (index, path) in image.candidates.iter().enumerate() {
        let Err(errno) = execve(path, &image.argv, &image.env);
        let failure = Failure {
            step: Step::Execute,
            detail: u8::try_from(index).unwrap_or(u8::MAX),
            errno: errno as i32,
        };
        match failure.errno {
            libc::ENOENT if path_exists(path) => return failure,
            libc::ENOENT | libc::ENOTDIR => missing = failure,
            // A directory that its user may not look into says nothing.
            libc::EACCES if path_exists(path) => refused = refused.or(Some(failure)),
            libc::EACCES => missing = failure,
            _ => return failure,
        }
    }
    refused.unwrap_or(missing)
}

fn path_exists(path: &std::ffi::CStr) -> bool {
    nix::unistd::access(path, nix::unistd::AccessFlags::F_OK).is_ok()
}

fn failing<T>(step: Step, f: impl FnOnce() -> io::Result<T>) -> Result<T, Failure> {
    f().map_err(|e| Failure {
        step,
        detail: 0,
        errno: e.raw_os_error().unwrap_or(libc::EIO),
    })
}

impl Failure {
    pub(super) fn encode(self) -> [u8; 6] {
        let [a, b, c, d] = self.errno.to_ne_bytes();
        [self.step as u8, self.detail, a, b, c, d]
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let &[step, detail, a, b, c, d] = bytes else {
            return None;
        };
        let (step, ..) = *STEPS.get(usize::from(step))?;
        Some(Self {
            step,
            detail,
            errno: i32::from_ne_bytes([a, b, c, d]),
        })
    }

    pub(super) fn explain(self, program: &Program) -> TraceError {
        let source = io::Error::from_raw_os_error(self.errno);
        let name = program.name().to_owned();
        if self.step != Step::Execute {
            let (_, step, cure) = STEPS[self.step as usize];
            return TraceError::Setup {
                name,
                step: step.into(),
                source,
                cure,
            };
        }
        let path = candidates(program)
            .into_iter()
            .nth(self.detail.into())
            .unwrap_or_else(|| name.clone());
        let exists = std::fs::metadata(&path).is_ok();
        let why = match self.errno {
            libc::ENOENT | libc::ENOTDIR | libc::EACCES if !exists => {
                let looked_in = match name.contains('/') {
                    true => vec![name.clone()],
                    false => directories(program),
                };
                return TraceError::NotFound { name, looked_in };
            }
            libc::ENOENT => "the interpreter that its first line or ELF header names is missing",
            libc::EACCES => {
                "permission denied: chmod +x, and its user must be allowed to reach its directory"
            }
            libc::ENOEXEC => {
                "it is neither an ELF file of this machine nor begins with #! and an interpreter"
            }
            _ => {
                return TraceError::NotExecutable {
                    why: source.to_string(),
                    path,
                    source,
                };
            }
        };
        TraceError::NotExecutable {
            path,
            why: why.into(),
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_stand_at_their_numbers() {
        for (index, (step, ..)) in STEPS.iter().enumerate() {
            assert_eq!(*step as usize, index);
            let failure = Failure {
                step: *step,
                detail: 3,
                errno: libc::EPERM,
            };
            assert_eq!(Failure::decode(&failure.encode()), Some(failure));
        }
        assert_eq!(Failure::decode(&[1]), None);
    }
}
