//! Network namespaces: made by netns-rs in a private mount namespace, entered
//! by a guard of our own.
//!
//! netns-rs names a namespace by a bind mount. The mounts are made by threads
//! of this process, the keepers, that live in mount namespaces of their own:
//! nobody else sees them, and they are gone when the process is gone, however
//! it ended. A [`Namespace`] is an open descriptor, good in every thread.
//!
//! Where nobody else is, as in a guest, they need no names: the thread that wants one
//! makes it and goes home (`home.rs`).

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};

use netns_rs::{Env, NetNs};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};

use super::error::LabError;
use super::root_netns::{self, Back};

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
        Coming::ask(name, 0)?.get()
    }

    /// Makes several namespaces, two at a time where there are two processors;
    /// the caller can work in the first while the next ones are being made.
    ///
    /// # Errors
    /// As [`Namespace::create`], from the iterator's items.
    pub fn create_all<'a>(
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<impl Iterator<Item = Result<Self, LabError>>, LabError> {
        let asked: Vec<Coming> = names
            .into_iter()
            .enumerate()
            .map(|(number, name)| Coming::ask(name, number))
            .collect::<Result<_, _>>()?;
        Ok(asked.into_iter().map(Coming::get))
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
        let opened;
        let own = match root_netns::known() {
            Some(home) => home,
            None => {
                opened = root_netns::this_thread()
                    .map_err(|e| LabError::system("open this thread's own network namespace", e))?;
                &opened
            }
        };
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

/// A namespace that was asked for.
enum Coming {
    /// A keeper is making it.
    Made {
        name: String,
        result: Receiver<Result<File, LabError>>,
    },
    /// Whoever asks for it makes it.
    ToMake { name: String, home: &'static File },
}

impl Coming {
    /// The keepers take turns by the number.
    fn ask(name: &str, number: usize) -> Result<Self, LabError> {
        let name = name.to_owned();
        if let Some(home) = root_netns::known() {
            return Ok(Coming::ToMake { name, home });
        }
        let (answer, result) = channel();
        keeper(number)?
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .send(Request {
                name: name.clone(),
                answer,
            })
            .map_err(|_| keeper_ended())?;
        Ok(Coming::Made { name, result })
    }

    fn get(self) -> Result<Namespace, LabError> {
        let (name, file) = match self {
            Coming::Made { name, result } => (name, result.recv().map_err(|_| keeper_ended())??),
            Coming::ToMake { name, home } => {
                let file = root_netns::take_or_make(home)
                    .map_err(|e| LabError::system(format!("create namespace {name}"), e))?;
                (name, file)
            }
        };
        Ok(Namespace {
            name: name.into(),
            file: Arc::new(file),
        })
    }
}

fn keeper_ended() -> LabError {
    LabError::Plan("the keeper of the namespaces has ended".into())
}

/// What failed at the keeper's start, and the errno.
type Failure = (String, i32);

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

/// A keeper's inbox, or why it could not start.
type Keeper = OnceLock<Result<Mutex<Sender<Request>>, Failure>>;

/// A namespace takes the kernel half a millisecond, and others wait for it only
/// during a part of that (setup_net() shares pernet_ops_rwsem, but not
/// rtnl_mutex).
static KEEPERS: [Keeper; 2] = [const { OnceLock::new() }; 2];

fn keeper(number: usize) -> Result<&'static Mutex<Sender<Request>>, LabError> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    KEEPERS[number % KEEPERS.len().min(processors)]
        .get_or_init(start_keeper)
        .as_ref()
        .map_err(|(what, errno)| {
            LabError::system(what.clone(), std::io::Error::from_raw_os_error(*errno))
        })
}

fn start_keeper() -> Result<Mutex<Sender<Request>>, Failure> {
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
            let mut served = Vec::new();
            for serial in 0.. {
                // Nobody waits: time to unmount the names that have served.
                // The descriptors keep the namespaces alive. Unmounting waits
                // for RCU, so it is done when no request is queued. A name
                // that stays mounted harms nobody: it is private to this thread.
                let request = requests.try_recv().or_else(|_| {
                    for name in served.drain(..) {
                        if let Err(e) = NetNs::remove(name) {
                            tracing::debug!("a namespace's name stays mounted: {e}");
                        }
                    }
                    requests.recv()
                });
                let Ok(request) = request else {
                    return;
                };
                let file = make(&env, serial, &request.name).map(|(file, name)| {
                    served.push(name);
                    file
                });
                // A caller that gave up waiting does not want the answer.
                let _ = request.answer.send(file);
            }
        })
        .map_err(|e| {
            (
                "start the keeper thread".to_owned(),
                e.raw_os_error().unwrap_or(0),
            )
        })?;
    match is_ready.recv() {
        Ok(Ok(())) => Ok(Mutex::new(send)),
        Ok(Err(failed)) => Err(failed),
        Err(_) => Err(("start the keeper thread".to_owned(), 0)),
    }
}

/// A mount namespace for this thread alone, with an empty tmpfs for the names.
fn private_mounts() -> Result<(), Failure> {
    let failed = |what: &str| {
        let what = what.to_owned();
        move |e: nix::Error| (what, e as i32)
    };
    unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS).map_err(failed(
        "unshare the mount namespace (needs root or a user namespace)",
    ))?;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .map_err(failed("make the mounts private"))?;
    mount(
        Some("halfopen"),
        PRIVATE_DIR,
        Some("tmpfs"),
        MsFlags::empty(),
        none,
    )
    .map_err(failed("mount a private tmpfs"))
}

fn make(env: &PrivateDir, serial: u64, name: &str) -> Result<(File, NetNs<PrivateDir>), LabError> {
    let what = || format!("create namespace {name}");
    let made = NetNs::new_with_env(format!("{serial}"), env.clone())
        .map_err(|e| LabError::netlink(what(), e))?;
    let file = made
        .file()
        .try_clone()
        .map_err(|e| LabError::system(what(), e))?;
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
