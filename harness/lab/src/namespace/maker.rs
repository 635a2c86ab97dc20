//! Threads that create named network namespaces with netns-rs.
//!
//! netns-rs names a namespace by a bind mount. A maker is a thread of this
//! process in a mount namespace of its own, so that no other process sees the
//! mounts, and they are gone when the process is gone, however it ended.

use std::fs::File;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, OnceLock};

use netns_rs::{Env, NetNs};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::error::LabError;

/// The error when a maker's thread is no longer there.
pub(super) fn ended() -> LabError {
    LabError::Plan("the thread that creates namespaces has ended".into())
}

/// Asks a maker for a namespace; `number` chooses the maker. The result comes
/// through the channel.
pub(super) fn request(
    name: &str,
    number: usize,
) -> Result<Receiver<Result<File, LabError>>, LabError> {
    let (answer, result) = channel();
    maker(number)?
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
        .send(Request {
            name: name.to_owned(),
            answer,
        })
        .map_err(|_| ended())?;
    Ok(result)
}

/// What failed at a maker's start, and the errno.
type Failure = (String, i32);

struct Request {
    name: String,
    answer: Sender<Result<File, LabError>>,
}

/// Where netns-rs mounts the names, inside the maker's mount namespace: a
/// tmpfs over a directory that every Linux has.
#[derive(Debug, Clone)]
struct PrivateDir(PathBuf);

impl Env for PrivateDir {
    fn persist_dir(&self) -> PathBuf {
        self.0.clone()
    }
}

const PRIVATE_DIR: &str = "/run";

/// A maker's requests, or why it could not start.
type Maker = OnceLock<Result<Mutex<Sender<Request>>, Failure>>;

/// Two, because creating a namespace takes the kernel half a millisecond, and
/// another creation waits for it only during a part of that (setup_net() shares
/// pernet_ops_rwsem, but not rtnl_mutex).
static MAKERS: [Maker; 2] = [const { OnceLock::new() }; 2];

fn maker(number: usize) -> Result<&'static Mutex<Sender<Request>>, LabError> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    MAKERS[number % MAKERS.len().min(processors)]
        .get_or_init(start_maker)
        .as_ref()
        .map_err(|(what, errno)| {
            LabError::system(what.clone(), std::io::Error::from_raw_os_error(*errno))
        })
}

fn start_maker() -> Result<Mutex<Sender<Request>>, Failure> {
    let (send, requests) = channel::<Request>();
    let (ready, is_ready) = channel();
    std::thread::Builder::new()
        .name("halfopen-netns".into())
        .spawn(move || {
            let prepared = private_mounts();
            let failed = prepared.is_err();
            // The starting thread waits for this.
            let _ = ready.send(prepared);
            if failed {
                return;
            }
            let env = PrivateDir(PathBuf::from(PRIVATE_DIR).join("halfopen"));
            let mut mounted = Vec::new();
            for serial in 0.. {
                // Names are unmounted when no request is queued, because unmounting
                // waits for RCU; the descriptors keep the namespaces alive. A name
                // that stays mounted is visible in this thread's mount namespace
                // only.
                let request = requests.try_recv().or_else(|_| {
                    for name in mounted.drain(..) {
                        let _ = NetNs::remove(name);
                    }
                    requests.recv()
                });
                let Ok(request) = request else {
                    return;
                };
                let file = create(&env, serial, &request.name).map(|(file, name)| {
                    mounted.push(name);
                    file
                });
                // The requester may have stopped waiting.
                let _ = request.answer.send(file);
            }
        })
        .map_err(|e| {
            (
                "start the thread that creates namespaces".to_owned(),
                e.raw_os_error().unwrap_or(0),
            )
        })?;
    match is_ready.recv() {
        Ok(Ok(())) => Ok(Mutex::new(send)),
        Ok(Err(failed)) => Err(failed),
        Err(_) => Err(("start the thread that creates namespaces".to_owned(), 0)),
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

fn create(
    env: &PrivateDir,
    serial: u64,
    name: &str,
) -> Result<(File, NetNs<PrivateDir>), LabError> {
    let what = || format!("create namespace {name}");
    let made = NetNs::new_with_env(format!("{serial}"), env.clone())
        .map_err(|e| LabError::netlink(what(), e))?;
    let file = made
        .file()
        .try_clone()
        .map_err(|e| LabError::system(what(), e))?;
    Ok((file, made))
}
