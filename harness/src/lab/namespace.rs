//! Network namespaces: made by netns-rs in a private mount namespace, entered
//! by a guard of our own.
//!
//! netns-rs names a namespace by a bind mount. The mounts are made by one
//! thread per process, the keeper, that lives in a mount namespace of its own:
//! nobody else sees them, and they are gone when the process is gone, however
//! it ended. A [`Namespace`] is an open descriptor, good in every thread.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};

use netns_rs::{Env, NetNs};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};

use super::error::LabError;

/// A network namespace. Clones are the same namespace; the kernel destroys it
/// when the last clone is dropped, the last process in it has ended and the
/// last of its sockets is closed.
#[derive(Debug, Clone)]
pub struct Namespace {
    name: Arc<str>,
    file: Arc<File>,
}

impl Namespace {
    /// Makes a namespace. `name` is for error messages and need not be unique.
    ///
    /// # Errors
    /// Without CAP_SYS_ADMIN (root, or root of a user namespace).
    pub fn create(name: &str) -> Result<Self, LabError> {
        let (answer, result) = channel();
        let asked = keeper()?
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .send(Request { name: name.to_owned(), answer });
        let file = match asked.ok().and_then(|()| result.recv().ok()) {
            Some(made) => made?,
            None => {
                return Err(LabError::Plan("the keeper of the namespaces has ended".into()));
            }
        };
        Ok(Namespace { name: name.into(), file: Arc::new(file) })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `f` with the calling thread inside this namespace: sockets opened
    /// there stay in it, processes started there are born in it.
    ///
    /// The thread is back in its own namespace afterwards, after a panic too.
    ///
    /// # Errors
    /// When the thread may not enter.
    ///
    /// # Panics
    /// Aborts the process when the thread cannot get back: nothing that it did
    /// afterwards would be where its caller thinks it is.
    pub fn enter<R>(&self, f: impl FnOnce() -> R) -> Result<R, LabError> {
        let own = File::open("/proc/thread-self/ns/net")
            .map_err(|e| LabError::system("open this thread's own network namespace", e))?;
        setns(&*self.file, CloneFlags::CLONE_NEWNET)
            .map_err(|e| LabError::system(format!("enter namespace {}", self.name), e))?;
        let _back = Back { own };
        Ok(f())
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

struct Back {
    own: File,
}

impl Drop for Back {
    fn drop(&mut self) {
        if setns(&self.own, CloneFlags::CLONE_NEWNET).is_err() {
            std::process::abort();
        }
    }
}

struct Request {
    name: String,
    answer: Sender<Result<File, LabError>>,
}

/// Where netns-rs mounts the names, inside the keeper's mount namespace: a
/// tmpfs over a directory that every Linux has.
#[derive(Debug, Clone)]
struct PrivateDir(PathBuf);

impl Env for PrivateDir {
    fn persist_dir(&self) -> PathBuf {
        self.0.clone()
    }
}

const PRIVATE_DIR: &str = "/run";

fn keeper() -> Result<&'static Mutex<Sender<Request>>, LabError> {
    static KEEPER: OnceLock<Result<Mutex<Sender<Request>>, (String, i32)>> = OnceLock::new();
    KEEPER
        .get_or_init(start_keeper)
        .as_ref()
        .map_err(|(what, errno)| {
            LabError::system(what.clone(), std::io::Error::from_raw_os_error(*errno))
        })
}

fn start_keeper() -> Result<Mutex<Sender<Request>>, (String, i32)> {
    let (send, requests) = channel::<Request>();
    let (ready, is_ready) = channel();
    std::thread::Builder::new()
        .name("halfopen-keeper".into())
        .spawn(move || {
            let prepared = private_mounts();
            let failed = prepared.is_err();
            // The starter waits for this answer, so it is there to take it.
            let _ = ready.send(prepared);
            if failed {
                return;
            }
            let env = PrivateDir(PathBuf::from(PRIVATE_DIR).join("halfopen"));
            for (serial, request) in requests.iter().enumerate() {
                let (file, named) = match make(&env, serial, &request.name) {
                    Ok((file, named)) => (Ok(file), Some(named)),
                    Err(e) => (Err(e), None),
                };
                // A caller that gave up waiting does not want the answer.
                let _ = request.answer.send(file);
                // The descriptor keeps the namespace alive; its name has
                // served. Unmounting waits for RCU, so it is done after the
                // answer. A name that stays mounted harms nobody: it is
                // private to this thread.
                if let Some(Err(e)) = named.map(NetNs::remove) {
                    tracing::debug!("a namespace's name stays mounted: {e}");
                }
            }
        })
        .map_err(|e| ("start the keeper thread".to_owned(), e.raw_os_error().unwrap_or(0)))?;
    match is_ready.recv() {
        Ok(Ok(())) => Ok(Mutex::new(send)),
        Ok(Err(failed)) => Err(failed),
        Err(_) => Err(("start the keeper thread".to_owned(), 0)),
    }
}

/// A mount namespace for this thread alone, with an empty tmpfs for the names.
fn private_mounts() -> Result<(), (String, i32)> {
    let failed = |what: &str| {
        let what = what.to_owned();
        move |e: nix::Error| (what, e as i32)
    };
    unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS)
        .map_err(failed("unshare the mount namespace (needs root or a user namespace)"))?;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .map_err(failed("make the mounts private"))?;
    mount(Some("halfopen"), PRIVATE_DIR, Some("tmpfs"), MsFlags::empty(), none)
        .map_err(failed("mount a private tmpfs"))
}

fn make(
    env: &PrivateDir,
    serial: usize,
    name: &str,
) -> Result<(File, NetNs<PrivateDir>), LabError> {
    let what = || format!("create namespace {name}");
    let made = NetNs::new_with_env(format!("{serial}"), env.clone())
        .map_err(|e| LabError::netlink(what(), e))?;
    let file = made.file().try_clone().map_err(|e| LabError::system(what(), e))?;
    Ok((file, made))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thread_comes_back_after_a_panic() {
        let Ok(ns) = Namespace::create("t") else {
            panic!("this test needs root or a user namespace: run it by ci/test");
        };
        let link = || std::fs::read_link("/proc/thread-self/ns/net").expect("proc is mounted");
        let own = link();
        let inside = ns.enter(link).expect("may enter a namespace that it made");
        assert_ne!(own, inside);
        let panicked = std::panic::catch_unwind(|| ns.enter(|| panic!("on purpose")));
        assert!(panicked.is_err());
        assert_eq!(own, link());
    }
}
